"""What is held before an ex date in the terms of a day after it, and the other way round: quantities and contracts.

A split, a stock dividend, a symbol change and a merger into shares change the number of units and the terms of a contract: twice the
shares at half the strike, of the share that is held then; of a variance swap the name alone. What is paid out (dividends, cash of a
merger, the shares of a spin-off) changes no term of an option or a forward; shares of a spin-off are held beside the share.
"""

from __future__ import annotations

import datetime as dt
import itertools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from lake.schemas import CONTRACTS
from lake.tables import Lake, Snapshot
from scenarios.market.corporate_actions import CorporateAction, load_actions

_NAMES = ("underlying", "volatility")  # terms that name a share, or a factor that may change its name with it
_PRICES = (
    "strike",
    "reference_price",
    "barrier",
    "lower_barrier",
    "upper_barrier",
    "rebate",
)  # terms that are of one share


@dataclass(frozen=True)
class Held:
    """A contract in other terms. row : of the table `contracts`. units : held of it for each unit before. spun_off : whether it is held
    beside what it comes from."""

    row: Mapping[str, str]
    units: Fraction
    spun_off: bool = False

    @property
    def underlying(self) -> str:
        """The share that the contract is of."""
        return str(json.loads(self.row["terms"])["underlying"])


@dataclass(frozen=True)
class TermsOfDay:
    """What holdings of one day are in the terms of another: `adjusted` by contract id, of those that change. said : what was applied, and
    what it does not say."""

    adjusted: Mapping[str, tuple[Held, ...]]
    said: tuple[str, ...] = ()

    @property
    def contracts(self) -> pa.Table:
        """Rows of the table contracts, of what is held afterwards."""
        rows = {h.row["contract_id"]: dict(h.row) for held in self.adjusted.values() for h in held}
        return pa.Table.from_pylist([rows[i] for i in sorted(rows)], schema=CONTRACTS.schema)


def in_terms_of(
    at: Lake | Snapshot, contract_ids: pa.Array, since: dt.date, until: dt.date, *, carried: bool = False
) -> TermsOfDay:
    """Contracts held on `since` in the terms of `until`, of those given; nothing where no action lies between the two days.

    carried : a share that is merged keeps its name, for whoever gives it the value of what it became.
    """
    between = load_actions(at).between(min(since, until), max(since, until))
    if not between:
        return TermsOfDay({})
    rows = _on_shares(at, between)
    rows = rows.filter(pc.is_in(rows["contract_id"], value_set=contract_ids))
    adjusted: dict[str, tuple[Held, ...]] = {}
    said: dict[str, None] = {}
    for row in rows.to_pylist():
        held, notes = _held(row, between if since < until else between[::-1], back=until < since, carried=carried)
        if held != (Held(row, Fraction(1)),):
            adjusted[row["contract_id"]] = held
        said |= dict.fromkeys(notes)
    return TermsOfDay(adjusted, tuple(sorted(said)))


def ids_in_terms_of(at: Lake | Snapshot, contract_ids: pa.Array, since: dt.date, until: dt.date) -> set[str]:
    """Ids of what is held in the terms of `until` by whoever held these contracts on `since`."""
    adjusted = in_terms_of(at, contract_ids, since, until).adjusted
    made = {h.row["contract_id"] for several in adjusted.values() for h in several}
    return made | {i for i in contract_ids.to_pylist() if i not in adjusted}


def derived_contracts(at: Lake | Snapshot, wanted: set[str]) -> dict[str, dict[str, str]]:
    """Those of the wanted ids that a stored contract has in the terms of some day: they are made where they are needed, not stored."""
    actions = tuple(a for a in load_actions(at).actions if a.shares != 1 or a.new_risk_factor_id)
    found: dict[str, dict[str, str]] = {}
    for row in _on_shares(at, actions).to_pylist() if actions else ():
        own = _of_share(actions, {str(json.loads(row["terms"]).get(n)) for n in _NAMES})
        for path, back in ((own, False), (own[::-1], True)):
            for first, last in itertools.combinations(range(len(path) + 1), 2):
                for held in _held(row, path[first:last], back=back)[0]:
                    if held.row["contract_id"] in wanted:
                        found[held.row["contract_id"]] = dict(held.row)
        if len(found) == len(wanted):
            break
    return found


def _of_share(actions: tuple[CorporateAction, ...], names: set[str]) -> tuple[CorporateAction, ...]:
    """Those of what goes by one of the names, and of what it was or became under others."""
    for path in (actions, actions[::-1]):
        for a in path:
            if names & {a.risk_factor_id, a.becomes}:
                names = names | {a.risk_factor_id, a.becomes}
    return tuple(a for a in actions if a.risk_factor_id in names)


def _on_shares(at: Lake | Snapshot, actions: tuple[CorporateAction, ...]) -> pa.Table:
    """The stored contracts whose terms name one of the shares, or what it becomes."""
    names = {n for a in actions for n in (a.risk_factor_id, a.new_risk_factor_id) if n is not None}
    lake = at.lake if isinstance(at, Snapshot) else at
    where = ds.scalar(False)
    for name in sorted(names):
        where = where | pc.match_substring(ds.field("terms"), json.dumps(name))
    version = at.versions.get("contracts") if isinstance(at, Snapshot) else None
    return lake.read("contracts", CONTRACTS.schema.names, where, version).sort_by("contract_id")


def _held(
    row: dict[str, str], actions: tuple[CorporateAction, ...], *, back: bool, carried: bool = False
) -> tuple[tuple[Held, ...], list[str]]:
    """What a unit of the contract is after the actions, one after the other, or before them; and what is said of it."""
    terms: dict[str, Any] = json.loads(row["terms"])
    if not set(_NAMES) & terms.keys():
        return (Held(row, Fraction(1)),), []
    kind, units, beside, said = row["instrument_type"], Fraction(1), list[Held](), list[str]()
    share = kind == "cash_equity"
    prices = [n for n in _PRICES if terms.get(n) is not None]
    merged = set[str]()  # names of what the share became that keeps its own
    for action in actions:
        was, now = (action.becomes, action.risk_factor_id) if back else (action.risk_factor_id, action.becomes)
        named = [n for n in _NAMES if terms.get(n) == was]
        if not named and was not in merged:
            continue
        if action.kind == "merger" and (back or (action.amount and not share)):
            said.append(f"{action}: not applied to {'what is held after it' if back else 'options and forwards'}.")
            continue
        if share or action.kind != "cash_dividend":  # which every option and forward has been priced without
            said.append(f"{action}{_left_out(action, share)}.")
        if was in merged or (action.kind == "merger" and carried):
            merged.add(now)
            continue
        terms |= dict.fromkeys(named, now)
        if "underlying" not in named:
            continue
        if action.kind == "spin_off":
            if share and not back and action.new_risk_factor_id and action.ratio:
                child = {"currency": terms["currency"], "underlying": action.new_risk_factor_id}
                beside.append(Held(_row("cash_equity", child), units * action.ratio, spun_off=True))
            continue
        if not share and not prices:  # a variance swap is of no number of shares
            continue
        shares = 1 / action.shares if back else action.shares
        if not shares or terms.get("payoff") != "cash_or_nothing":  # which pays an amount, whatever a share is
            units *= shares
        if shares:
            terms |= {n: float(Fraction(terms[n]) / shares) for n in prices}
            if "fixings" in terms:  # prices of the share, of an average
                terms["fixings"] = {d: float(Fraction(p) / shares) for d, p in terms["fixings"].items()}
    own = (Held(_row(kind, terms), units),) if units else ()
    return (*own, *beside), said


def _left_out(action: CorporateAction, share: bool) -> str:
    """What the action gives that no position shows."""
    if action.amount is None or (action.kind == "spin_off" and share):
        return ""
    if share:
        return ", whose amount is paid out and no position"
    return ", which changes no term of options and forwards here: where their exchange adjusts them, bring in the adjusted contract"


def _row(kind: str, terms: Mapping[str, Any]) -> dict[str, str]:
    """The row of `contracts`."""
    from valuation.catalogue import terms_from_json  # noqa: PLC0415 - with every instrument, and few lakes have such actions

    parsed = terms_from_json(kind, json.dumps(terms))
    values = (parsed.contract_id(), kind, parsed.currency, parsed.to_json())
    return dict(zip(CONTRACTS.schema.names, values, strict=True))
