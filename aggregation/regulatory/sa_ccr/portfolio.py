"""Netting sets and the sums of their effective notionals, from which exposures follow in closed form.

The sums are exact (see the kernel), so a trade added to or taken from a netting set gives the bits of the whole computed anew, and
nothing but that netting set is looked at.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from aggregation.kernels import sa_ccr as kernel
from aggregation.kernels.sa_ccr import Exposure, Sets, Terms
from aggregation.regulatory.sa_ccr.parameters import SaCcr
from aggregation.regulatory.sa_ccr.rows import Row
from lake.arrays import Bools, Codes, Floats, Ints
from lake.errors import BadInput


class Hedging(NamedTuple):
    """A hedging set; sorted by class, then name."""

    asset_class: int
    name: str
    form: int


class Entity(NamedTuple):
    """What offsets fully in a hedging set: a maturity bucket, a currency pair, a name, a commodity type."""

    hedging: Hedging
    place: int
    name: str
    factor: float
    correlation: float

    @classmethod
    def of(cls, row: Row) -> Entity:
        hedging = Hedging(row.asset_class, row.hedging_set, row.form)
        return cls(hedging, row.place, row.entity, row.factor, row.correlation)


@dataclass(frozen=True)
class Margins:
    """What is agreed and held, (n_sets,) each, in the reporting currency.

    collateral : C, held positive. margined : whether a margin agreement holds. least : TH + MTA - NICA. period : margin period of risk in
    business days, NaN where not margined. most : what the EAD is at most; infinite where nothing but the formulas limits it.
    """

    collateral: Floats
    margined: Bools
    least: Floats
    period: Floats
    most: Floats

    @classmethod
    def none(cls, n: int) -> Margins:
        """Of netting sets without collateral and margin."""
        return cls(np.zeros(n), np.zeros(n, np.bool_), np.zeros(n), np.full(n, np.nan), np.full(n, np.inf))

    def of(self, places: Ints) -> Margins:
        """Those of some netting sets."""
        return Margins(*(getattr(self, f.name)[places] for f in dataclasses.fields(self)))


@dataclass(frozen=True)
class Exposures:
    """What the formulas give, see the kernel's `Exposure`, with or without margin as each netting set has it.

    by_margin : whether the figures are those of the margin agreement. capped : margined, but the EAD without margin is lower (52.2).
    slope : (n_cells,) of the add-on in the effective notional of each cell. addon : (n_hedging,) of each hedging set of each netting set.
    """

    figures: Exposure
    by_margin: Bools
    capped: Bools
    slope: Floats
    add_on: Floats

    @property
    def ead(self) -> Floats:
        return self.figures.ead


@dataclass(frozen=True)
class Sums:
    """Exact sums (n,) as the kernel's `exact_sums` gives them."""

    coarse: Floats
    fine: Floats
    gross: Floats

    @property
    def value(self) -> Floats:
        return np.asarray(self.coarse + self.fine)

    @classmethod
    def by(cls, slot: Codes, values: Floats, n: int, of: str) -> Sums:
        """Of the values in each slot; raises `BadInput` where they are too large to be summed exactly."""
        return cls(*kernel.exact_sums(slot, values, n)).checked(of)

    def checked(self, of: str) -> Sums:
        if kernel.overflowing(self.gross).any():
            raise BadInput(
                f"The {of} of a netting set adds up to {float(np.nanmax(self.gross)):.3g} in the reporting currency, which is too large "
                "to be added exactly. Look at the quantities of its largest trades, or report in a currency of larger units."
            )
        return self

    def plus(self, other: Sums) -> Sums:
        return Sums(self.coarse + other.coarse, self.fine + other.fine, self.gross + other.gross)

    def at(self, places: Ints | slice) -> Sums:
        return Sums(self.coarse[places], self.fine[places], self.gross[places])


@dataclass(frozen=True)
class Portfolio:
    """Netting sets with the sums that their exposures follow from.

    entities : sorted. cells : (n_cells,) ascending, netting set x number of entities + entity: where a netting set has a position.
    cell_of : (n_entries,) cell of each entry. notional : effective notional of each cell without margin. unscaled : the same before the
    maturity factor, which of a margined netting set is one of the set. value : V of the netting sets.
    """

    parameters: SaCcr
    entities: tuple[Entity, ...]
    n_sets: int
    cells: Ints
    cell_of: Codes
    notional: Sums
    unscaled: Sums
    value: Sums
    margins: Margins

    @property
    def sets(self) -> Sets:
        """The cells as the kernel takes them."""
        return _sets(self.cells, self.entities, self.n_sets)

    def exposures(self) -> Exposures:
        return exposures(
            self.parameters, self.sets, self.notional.value, self.unscaled.value, self.value.value, self.margins
        )

    def entities_of(self, code: int) -> slice:
        """The cells of a netting set."""
        n = len(self.entities)
        first, stop = np.searchsorted(self.cells, [code * n, (code + 1) * n])
        return slice(int(first), int(stop))


def margined_factor(parameters: SaCcr, margins: Margins) -> Floats:
    """Maturity factor with margin of each netting set, zero where not margined, 52.52."""
    days = np.where(margins.margined, margins.period, 0.0)
    return kernel.margined_factors(days, parameters.maturity.margined_scale, parameters.business_days_a_year)


def portfolio(
    parameters: SaCcr,
    entities: Sequence[Entity],
    set_of: Codes,
    entity_of: Codes,
    notional: Floats,
    factor: Floats,
    value_set: Codes,
    value: Floats,
    margins: Margins,
) -> Portfolio:
    """The portfolio of risk positions.

    set_of, entity_of : (n_entries,) netting set and entity of each risk position; notional : d x delta x quantity; factor : maturity factor
    without margin. value_set, value : (n_trades,) netting set and value of each trade. entities : sorted. The order of entries and of
    trades changes no bit.
    """
    n_sets = len(margins.collateral)
    cells, cell_of = _cells(set_of.astype(np.int64) * max(len(entities), 1) + entity_of, n_sets * max(len(entities), 1))
    return Portfolio(
        parameters,
        tuple(entities),
        n_sets,
        cells,
        cell_of,
        Sums.by(cell_of, notional * factor, len(cells), "notional"),
        Sums.by(cell_of, notional, len(cells), "notional"),
        Sums.by(value_set, value, n_sets, "value"),
        margins,
    )


def exposures(
    parameters: SaCcr, sets: Sets, notional: Floats, unscaled: Floats, value: Floats, margins: Margins
) -> Exposures:
    """The exposures of netting sets; that of a margined set is at most what it is without margin, 52.2.

    notional, unscaled : (n_cells,) effective notionals without margin, and before the maturity factor.
    """
    rates, alpha, floor = parameters.interest_rate, parameters.alpha, parameters.multiplier_floor
    add_on, slope = kernel.add_ons(sets, notional, rates.adjacent, rates.distant)
    unmargined = np.zeros(len(value), np.bool_)
    terms = Terms(value, margins.collateral, unmargined, margins.least)
    figures = kernel.exposures(sets, add_on, terms, alpha, floor)
    capped = unmargined
    by_margin = unmargined
    if margins.margined.any():
        of_cell = np.repeat(margined_factor(parameters, margins), np.diff(sets.entity[sets.hedging]))
        with_margin, steep = kernel.add_ons(sets, unscaled * of_cell, rates.adjacent, rates.distant)
        margined = kernel.exposures(sets, with_margin, terms._replace(margined=margins.margined), alpha, floor)
        lower = figures.ead < margined.ead
        capped = margins.margined & lower if parameters.margined_cap else unmargined
        by_margin = margins.margined & ~capped
        figures = Exposure(*(_chosen(by_margin, one, other) for one, other in zip(margined, figures, strict=True)))
        hedging = np.repeat(by_margin, np.diff(sets.hedging))
        add_on = np.where(hedging, with_margin, add_on)
        slope = np.where(np.repeat(hedging, np.diff(sets.entity)), steep, slope)
    figures = figures._replace(ead=np.minimum(figures.ead, kernel.on_grid(margins.most)))
    return Exposures(figures, by_margin, capped, slope, add_on)


class Position(NamedTuple):
    """A risk position of a trade: its entity, d x delta x quantity, and its maturity factor without margin."""

    entity: Entity
    notional: float
    factor: float


def changed(
    held: Portfolio,
    code: int | None,
    positions: Sequence[Position],
    values: Sequence[float],
    before: Margins,
    after: Margins | None = None,
) -> tuple[Exposures, Exposures]:
    """Exposures of one netting set before and after trades are added to it, or taken out, which are added with their sign turned.

    code : None of a netting set that is new, whose exposure before is nothing. values : of these trades. before, after : the margins of this
    netting set alone. Costs what it has of entities, however many trades there are. The bits are those of the whole computed anew.
    """
    n = len(held.entities)
    own = held.entities_of(code) if code is not None else slice(0, 0)
    there = [] if code is None else [held.entities[i] for i in (held.cells[own] - code * n).tolist()]
    together = sorted({*there, *(p.entity for p in positions)})
    place = {entity: i for i, entity in enumerate(together)}
    at = np.array([place[e] for e in there], dtype=np.int64)
    slot = np.array([place[p.entity] for p in positions], dtype=np.int32)
    notional = np.array([p.notional for p in positions], dtype=np.float64)
    factor = np.array([p.factor for p in positions], dtype=np.float64)

    def with_more(of: Sums, more: Floats) -> tuple[Floats, Floats]:
        spread = Sums(*(_spread(values[own], at, len(together)) for values in (of.coarse, of.fine, of.gross)))
        summed = spread.plus(Sums.by(slot, more, len(together), "notional"))
        return spread.value, summed.checked("notional").value

    notionals, unscaled = with_more(held.notional, notional * factor), with_more(held.unscaled, notional)
    worth = held.value.at(slice(code, code + 1)) if code is not None else Sums(np.zeros(1), np.zeros(1), np.zeros(1))
    more_worth = worth.plus(
        Sums.by(np.zeros(len(values), np.int32), np.array(values, dtype=np.float64), 1, "value")
    ).checked("value")
    sets = _sets(np.arange(len(together)), together, 1)
    return (
        exposures(held.parameters, sets, notionals[0], unscaled[0], worth.value, before),
        exposures(held.parameters, sets, notionals[1], unscaled[1], more_worth.value, after or before),
    )


def _spread(values: Floats, at: Ints, n: int) -> Floats:
    out = np.zeros(n)
    out[at] = values
    return out


def _cells(key: Ints, most: int) -> tuple[Ints, Codes]:
    """The distinct keys, ascending, and the place of each among them."""
    if most <= max(8 * len(key), 1 << 22):  # a mark a possible key is faster than a sort
        there = np.zeros(most, np.bool_)
        there[key] = True
        cells = np.flatnonzero(there)
        place = np.cumsum(there, dtype=np.int32) - np.int32(1)
        return cells, place[key]
    cells, place = np.unique(key, return_inverse=True)
    return cells, place.astype(np.int32)


def _sets(cells: Ints, entities: Sequence[Entity], n_sets: int) -> Sets:
    n = max(len(entities), 1)
    netting, entity = cells // n, cells % n
    hedgings = sorted({e.hedging for e in entities})
    number = {h: i for i, h in enumerate(hedgings)}
    hedging_of = np.array([number[e.hedging] for e in entities], dtype=np.int64)
    hedging = hedging_of[entity] if len(entities) else entity
    key = netting * max(len(hedgings), 1) + hedging
    begins = np.flatnonzero(np.diff(key, prepend=-1))
    of = hedging[begins]
    return Sets(
        np.searchsorted(netting[begins], np.arange(n_sets + 1)).astype(np.int64),
        np.array([h.asset_class for h in hedgings], dtype=np.int32)[of] if hedgings else np.zeros(0, np.int32),
        np.array([h.form for h in hedgings], dtype=np.int32)[of] if hedgings else np.zeros(0, np.int32),
        np.append(begins, len(cells)).astype(np.int64),
        np.array([e.factor for e in entities], dtype=np.float64)[entity] if len(entities) else np.zeros(0),
        np.array([e.correlation for e in entities], dtype=np.float64)[entity] if len(entities) else np.zeros(0),
        np.array([e.place for e in entities], dtype=np.int32)[entity] if len(entities) else np.zeros(0, np.int32),
    )


def _chosen(of: Bools, one: Floats, other: Floats) -> Floats:
    return np.where(of[:, None] if one.ndim == 2 else of, one, other)
