"""A book valued along the paths of a market that is moved: the same draws from other levels and volatilities. Nothing is stored.

Every path keeps its draws, so that the difference to the paths as they are is that of the move and of nothing else. A contract whose
value does not depend on what is moved keeps the values it has.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from aggregation.exposure.cva_query import OpenedCva
from aggregation.exposure.path_values import PathSource, PathValues
from lake.arrays import Floats, Ints
from lake.errors import BadInput
from valuation.books.contracts import contracts_by_id
from valuation.catalogue import factors_of, pricer_version, terms_from_json
from valuation.horizons.path_values import path_blocks, value_along
from valuation.market.path_market import PathMarkets
from valuation.market.path_model import Decided, PathKeys, PathModel
from valuation.types import Contract


def model_of(paths: PathValues) -> PathModel:
    """What the paths are drawn from; raises `BadInput` for values that were given and not drawn."""
    model = getattr(paths.source, "model", None)
    if not isinstance(model, PathModel):
        raise BadInput("These paths were given and not drawn from a model, so the market cannot be moved on them.")
    return model


class Movable:
    """The contracts of a question's paths with their model, to be valued on paths that are moved: those of netting sets with CVA or DVA
    alone, for what else the paths hold, such as the bonds of the book, is in no figure."""

    def __init__(self, opened: OpenedCva) -> None:
        self.paths = opened.paths
        self.model = model_of(opened.paths)
        ids = opened.paths.contract_ids
        self.contracts = tuple(Contract.of(contracts_by_id(opened.exposure.held.snapshot.lake, ids)))
        book, sets = opened.book, opened.sets
        of_set = np.array([not (one and two) for one, two in opened.reasons()], np.bool_)
        counts = np.zeros(book.n_positions, np.bool_)
        counts[sets.position[of_set[sets.code]]] = True
        asked = pc.is_in(ids, book.contract_ids.filter(pa.array(book.by_contract(counts) > 0)))
        rows = np.flatnonzero(asked.to_numpy(zero_copy_only=False))
        keys, day = PathKeys(self.model), self.model.as_of
        self._of: dict[tuple[str, Decided], list[int]] = {}
        for i in rows.tolist():
            kind, terms = self.contracts[i].instrument_type, self.contracts[i].terms
            decided = keys.decided(factors_of(terms_from_json(kind, terms), self.model.index, day))
            self._of.setdefault((pricer_version(kind), decided), []).append(i)
        self._keys = [keys.digest_of(*what) for what in self._of]
        self._markets = [PathMarkets(self.model, first, stop) for first, stop in path_blocks(self.model)]

    def affected(self, model: PathModel) -> Ints:
        """The contracts whose values are others on the paths of a moved model."""
        keys = PathKeys(model)
        moved = [
            rows for key, (what, rows) in zip(self._keys, self._of.items(), strict=True) if keys.digest_of(*what) != key
        ]
        return np.sort(np.array([row for rows in moved for row in rows], np.int64))

    def moved(self, model: PathModel, rows: Ints) -> PathValues:
        """The values on the paths of a moved model, which `rows` are `affected` by. A contract that has none there is among the
        failures, and no longer among the contracts."""
        markets = {m.first: m.moved(model) for m in self._markets}
        block = value_along([self.contracts[i] for i in rows.tolist()], model, lambda first, _: markets[first])
        at = {c: i for i, c in enumerate(block.contract_ids)}
        ids = [c.contract_id for c in self.contracts]
        again = {ids[i] for i in rows.tolist()}
        kept = [i for i, name in enumerate(ids) if name not in again or name in at]
        base = np.array([block.base[at[ids[i]]] if ids[i] in again else self.paths.base[i] for i in kept])
        source = _Moved(
            self.paths.source,
            _drawn(self.paths, model),
            [at.get(ids[i], -1) for i in kept],
            kept,
            block.values,
            block.cash,
        )
        return dataclasses.replace(
            self.paths,
            contract_ids=pa.array([ids[i] for i in kept], pa.string()),
            currencies=tuple(self.paths.currencies[i] for i in kept),
            base=base,
            failures=(*self.paths.failures, *block.failures),
            source=source,
        )


def markets_of(model: PathModel) -> tuple[PathMarkets, ...]:
    """The markets of all blocks of paths, which keep what they have worked out."""
    return tuple(PathMarkets(model, first, stop) for first, stop in path_blocks(model))


def _drawn(paths: PathValues, model: PathModel) -> PathSource:
    """What the paths of another model say of exchange rates, discount factors and levels."""
    source: Any = paths.source
    drawn: PathSource = dataclasses.replace(source, model=model)
    return drawn


@dataclasses.dataclass(frozen=True)
class _Moved:
    """Values of contracts: row of the block, -1 for one that keeps those it had, kept : its place there."""

    before: PathSource
    drawn: PathSource
    row: list[int]
    kept: list[int]
    all_values: Floats
    all_cash: Floats

    def values(self, k: int, rows: Ints | None) -> Floats:
        return self._block(k, rows, self.all_values, self.before.values)

    def cash(self, k: int, rows: Ints | None) -> Floats:
        return self._block(k, rows, self.all_cash, self.before.cash)

    def fx(self, k: int, currency: str, into: str) -> Floats:
        return self.drawn.fx(k, currency, into)

    def discount(self, k: int, currency: str) -> Floats:
        return self.drawn.discount(k, currency)

    def level(self, k: int, risk_factor_id: str) -> Floats:
        return self.drawn.level(k, risk_factor_id)

    def _block(self, k: int, rows: Ints | None, again: Floats, before: Callable[[int, Ints | None], Floats]) -> Floats:
        wanted = list(range(len(self.row))) if rows is None else rows.tolist()
        out = np.empty((len(wanted), again.shape[2]))
        old = [i for i, w in enumerate(wanted) if self.row[w] < 0]
        new = [i for i, w in enumerate(wanted) if self.row[w] >= 0]
        if old:
            out[old] = before(k, np.array([self.kept[wanted[i]] for i in old], np.int64))
        if new:
            out[new] = again[[self.row[wanted[i]] for i in new], k]
        return out


def moved_model(
    model: PathModel, levels: Mapping[str, float], volatilities: Mapping[str, float] | None = None
) -> PathModel:
    """The model with other levels today, by risk factor id, and with the volatilities of drivers multiplied, by `kind name`."""
    base = model.base.copy()
    for name, level in levels.items():
        base[model.index.row[name]] = level
    factors = volatilities or {}
    drivers = tuple(
        dataclasses.replace(d, volatility=d.volatility * factors.get(f"{d.kind} {d.name}", 1.0)) for d in model.drivers
    )
    return dataclasses.replace(model, base=base, drivers=drivers)


def opened_on(opened: OpenedCva, paths: PathValues) -> OpenedCva:
    """CVA with exposures on other paths; default curves and everything else as they are. Today's exchange rates are those of the paths."""
    market = paths.source.drawn.model.base_market()  # type: ignore[attr-defined]
    currency = opened.query.currency

    def spot(name: str) -> float:
        return float(market.fx(name, currency)[0])

    along = dataclasses.replace(opened.along, paths=paths, spot=spot)
    return dataclasses.replace(opened, exposure=dataclasses.replace(opened.exposure, along=along))
