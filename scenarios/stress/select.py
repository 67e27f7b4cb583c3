"""Selectors to risk factors of a market: nothing is matched by accident and nothing missed in silence."""

from __future__ import annotations

import fnmatch
import functools
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from lake.errors import BadInput, Issue, VarlakeError, unknown
from scenarios.stress.language import selector_text
from scenarios.stress.model import BARE, CLASSES, FactorFilter, Selector, tenor_range
from scenarios.types import FACTOR_TYPES, FactorIndex, RiskFactor, tenor_years

_WORD_OF_CLASS = {c: word for word, c in CLASSES.items() if c is not None}
_CLASS_OF_PREFIX = {"EQ": "equity", "IDX": "equity", "FX": "fx", "CMD": "commodity", "YC": "rate", "CR": "credit"}
_PAIR = re.compile(r"[A-Z]{6}")
_SAME_TIME = 1e-9  # years


def short_name(risk_factor_id: str) -> str:
    """The id without its kind: EURUSD for FX:EURUSD."""
    return risk_factor_id.partition(":")[2]


@dataclass(frozen=True)
class Universe:
    """The risk factors a scenario may name; `excluded` are known but not in the market, with the reason."""

    index: FactorIndex
    excluded: Mapping[str, str] = field(default_factory=dict)

    @functools.cached_property
    def properties(self) -> tuple[Mapping[str, tuple[str, ...]], ...]:
        """For each factor its properties by filter key; `is` holds everything it answers to without a key."""
        return tuple(self._properties(f) for f in self.index.factors)

    def _properties(self, f: RiskFactor) -> Mapping[str, tuple[str, ...]]:
        attributes = dict(f.attributes)
        answers = [f.risk_factor_id, short_name(f.risk_factor_id)]
        if f.curve is not None:
            answers.append(f.curve)
        asset = attributes.get("asset")
        if asset is not None:
            # the volatility of AAPL answers to AAPL and to the asset's class; not to EQ:AAPL, which is the share
            held = self.index.row.get(asset)
            known = _WORD_OF_CLASS[self.index.factors[held].risk_class] if held is not None else None
            word = known or _CLASS_OF_PREFIX.get(asset.partition(":")[0])
            answers += [short_name(asset), *([word] if word else [])]
        own = {"id": f.risk_factor_id, "name": f.name, "type": f.type, "ccy": f.currency}
        own |= {k: v for k, v in (("curve", f.curve), ("pillar", f.pillar)) if v is not None}
        if f.type == "fx_rate":
            own |= {"base": f.risk_factor_id[-6:-3], "quote": f.risk_factor_id[-3:]}
        properties: dict[str, tuple[str, ...]] = {k: (v,) for k, v in (attributes | own).items()}
        properties[BARE] = tuple(dict.fromkeys(answers))
        return properties

    def rows_of_class(self, word: str) -> tuple[int, ...]:
        wanted = CLASSES[word]
        rows = tuple(i for i, f in enumerate(self.index.factors) if wanted is None or f.risk_class is wanted)
        if not rows:
            present = sorted({_WORD_OF_CLASS[f.risk_class] for f in self.index.factors})
            raise BadInput(f"The market has no {word} factor. It has: {', '.join(present)}.")
        return rows

    def select(self, selector: Selector) -> tuple[int, ...]:
        """Rows of the factors selected, ascending. What stands apart in its class, such as recoveries, only by a filter that says which.

        Raises `BadInput` when a value or the whole matches nothing.
        """
        rows = everything = self.rows_of_class(selector.risk_class)
        for i, condition in enumerate(selector.where):
            matching = self._matching(everything, condition, selector, f"select/where/{i}")
            rows = tuple(r for r in rows if (r in matching) != condition.negate)
        if not any(_says_which(condition) for condition in selector.where):
            rows = tuple(r for r in rows if not FACTOR_TYPES[self.index.factors[r].type].apart) or rows
        if not rows:
            raise BadInput(
                f"{selector_text(selector)} matches no factor: each condition does for itself, but no factor meets all."
            )
        return rows

    def rows_and_pairs(self, selector: Selector) -> tuple[tuple[int, ...], tuple[tuple[str, str], ...]]:
        """As `select`, and the currency pairs named that no factor is: crosses and inverses of held pairs."""
        condition = selector.where[0] if selector.risk_class == "fx" and len(selector.where) == 1 else None
        if condition is None or condition.key != BARE or condition.negate:
            return self.select(selector), ()
        everything = self.rows_of_class("fx")
        held = {name for r in everything for name in self.properties[r][BARE]}
        currencies = {c for r in everything for k in ("base", "quote") for c in self.properties[r][k]}
        pairs = tuple(
            (v[:3], v[3:])
            for v in condition.values
            if _PAIR.fullmatch(v) and v not in held and {v[:3], v[3:]} <= currencies and v[:3] != v[3:]
        )
        rest = tuple(v for v in condition.values if (v[:3], v[3:]) not in pairs)
        if not rest:
            return (), pairs
        where = (condition.model_copy(update={"values": rest}),)
        return self.select(selector.model_copy(update={"where": where})), pairs

    def _matching(self, rows: Iterable[int], condition: FactorFilter, selector: Selector, pointer: str) -> set[int]:
        values_of = {r: self.properties[r].get(condition.key, ()) for r in rows}
        if not any(values_of.values()):
            keys = {k for r in values_of for k in self.properties[r]} - {BARE}
            raise unknown(f"property of {selector.risk_class} factors", condition.key, keys, pointer=pointer)
        matched: set[int] = set()
        for i, value in enumerate(condition.values):
            matching = {r for r, values in values_of.items() if any(_matches(condition.key, value, o) for o in values)}
            if not matching:
                value_pointer = f"{pointer}/values/{i}"
                raise self._nothing(
                    value, condition, selector, {o for values in values_of.values() for o in values}, value_pointer
                )
            matched |= matching
        return matched

    def _nothing(
        self, value: str, condition: FactorFilter, selector: Selector, valid: set[str], pointer: str
    ) -> VarlakeError:
        for risk_factor_id, reason in self.excluded.items():
            if any(_matches(BARE, value, name) for name in (risk_factor_id, short_name(risk_factor_id))):
                message = f"{risk_factor_id} is not in the market of this date: {reason}."
                return BadInput(message, issues=[Issue(pointer, message, value)])
        if condition.key == BARE and selector.where == (condition,):
            valid = {short_name(i) if short_name(i) in valid else i for i in valid}
        kind = f"{selector.risk_class} factor" if condition.key == BARE else f"{condition.key} of {selector.risk_class}"
        return unknown(kind, value, valid, pointer=pointer)


def _says_which(condition: FactorFilter) -> bool:
    """Whether it names factors or a type of them, and not merely what many have, as a currency or the class of an asset."""
    return condition.key in ("id", "name", "type") or (
        condition.key == BARE and not set(condition.values) <= set(CLASSES)
    )


def _matches(key: str, wanted: str, own: str) -> bool:
    if key == "pillar":
        first, last = tenor_range(wanted)
        return first - _SAME_TIME <= tenor_years(own) <= last + _SAME_TIME
    return fnmatch.fnmatchcase(own, wanted.replace("[", "[[]"))
