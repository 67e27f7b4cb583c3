"""CVA and DVA of netting sets and of the contracts in them, from exposures on paths and default curves: one pass over the dates.

Every figure is a sum over dates of a weight by netting set and an expected discounted exposure: see `aggregation.kernels.cva`. What a
contract
contributes takes the same weights, so that contributions add up to the figure.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from aggregation.exposure.along_paths import Along, Exposed, Part
from aggregation.exposure.default_curves import DefaultCurves
from aggregation.kernels import cva
from lake.arrays import Codes, Floats

CVA, CVA_FIRST, DVA, DVA_FIRST = range(4)
FIGURES = ("cva", "cva_bilateral", "dva", "dva_bilateral")


@dataclass(frozen=True)
class DateWeights:
    """What an expected exposure of each netting set at each date counts, in one state of the credit market.

    figures : (n_sets, n_dates, 4) in the order of `FIGURES`, of the positive exposure for CVA and the negative for DVA; NaN where a
    curve lacks.
    """

    figures: Floats

    def filled(self) -> Floats:
        """With 0 for what lacks, for sums that are then set aside."""
        return np.where(np.isnan(self.figures), 0.0, self.figures)


@dataclass(frozen=True)
class WrongWay:
    """Default of a counterparty moves with a factor: `correlation` of the hazard rate with it, by a Gaussian copula date by date."""

    risk_factor_id: str
    correlation: float


@dataclass(frozen=True)
class CvaFigures:
    """The figures of netting sets and of their contracts.

    positive, negative : (n_sets, n_dates) expected discounted exposures, both positive, wrong-way weights included in the positive one.
    positions : (n_kept, n_figures), parts of the figures asked for; what is lacking of a set's figure is of its collateral.
    by_path : (n_groups + 1, 4, n_paths) of the base, whose means are CVA, ..., the total last.
    """

    positive: Floats
    negative: Floats
    positions: Floats
    by_path: Floats


def date_weights(
    curves: DefaultCurves,
    counterparties: Sequence[str | None],
    entities: Sequence[str | None],
    n_dates: int,
    state: int = 0,
) -> DateWeights:
    """The weights of every netting set in a state of the credit market, by its counterparty and our entity."""
    made: dict[tuple[str | None, str | None], Floats] = {}
    rows = []
    for pair in zip(counterparties, entities, strict=True):
        if pair not in made:
            made[pair] = _pair_weights(curves, *pair, n_dates, state)
        rows.append(made[pair])
    return DateWeights(np.array(rows) if rows else np.empty((0, n_dates, 4)))


def _pair_weights(
    curves: DefaultCurves, counterparty: str | None, entity: str | None, n_dates: int, state: int
) -> Floats:
    them, us = (None if n is None else curves.curves.get(n) for n in (counterparty, entity))
    out = np.full((n_dates, 4), np.nan)
    if them is not None:
        out[:, CVA] = them.loss * cva.date_weights(cva.default_probabilities(them.logs[:, state]))
    if us is not None:
        out[:, DVA] = us.loss * cva.date_weights(cva.default_probabilities(us.logs[:, state]))
    if them is not None and us is not None:
        one, other = them.logs[:, state : state + 1], us.logs[:, state : state + 1]
        out[:, CVA_FIRST] = them.loss * cva.date_weights(cva.first_default(one, other))[:, 0]
        out[:, DVA_FIRST] = us.loss * cva.date_weights(cva.first_default(other, one))[:, 0]
    return out


def cva_figures(
    along: Along,
    weights: Sequence[Floats],
    group_of: Codes,
    n_groups: int,
    wrong_way: Mapping[int, WrongWay],
    default_by_date: Mapping[int, Floats],
) -> CvaFigures:
    """One pass over the dates of every portion of the netting sets.

    weights : of each figure, (n_sets, n_dates, 2) of the positive and of the negative exposure; the first four are those of `FIGURES` at
    the base. group_of : (n_sets,) group of each set, -1 for none. wrong_way : by set; default_by_date : probability of default by each
    date, (n_dates,), of those sets.
    """
    asked, weight_of = _kinds(len(along.sets), wrong_way, default_by_date)
    n_sets, n, n_dates = len(along.sets), along.paths.n_paths, 1 + int(along.reported.sum())
    expected = np.zeros((n_sets, n_dates)), np.zeros((n_sets, n_dates))
    by_path = np.zeros((n_groups + 1, 4, n))
    base = np.stack([w[:, :, i // 2] for i, w in enumerate(weights[:4])], axis=2)
    of_position = np.zeros((len(along.sets.position), len(weights)))
    for part in along.parts():
        last = part.first + part.netting.n_sets
        here = slice(part.first, last)
        found = np.zeros((len(part.netting.quantity), len(weights)))
        one = np.empty((len(part.netting.quantity), 2))
        of_set = part.netting.of_set
        for j, at in enumerate(itertools.chain([wide_today(part.today(), n)], part.dates())):
            discount = np.ones(n) if at.k < 0 else np.ascontiguousarray(along.paths.discount(at.k, along.currency))
            on_paths = _on_paths(along, asked, at.k, j, n_dates)
            kinds = weight_of[here]
            up, down = np.empty(len(kinds)), np.empty(len(kinds))
            slopes = np.ascontiguousarray(base[here, j])
            cva.set_profiles(
                at.positive, at.negative, discount, on_paths, kinds, group_of[here], slopes, up, down, by_path
            )
            expected[0][here, j], expected[1][here, j] = up, down
            slopes_there = cva.slopes_on_paths(at.positive, at.negative, discount, on_paths, kinds)
            cva.entry_profiles(
                of_set,
                part.netting.entry_row,
                part.netting.quantity,
                part.netting.entry_currency,
                _values(along, at.k),
                _rates(along, part.netting.currencies, at.k),
                *slopes_there,
                one,
            )
            for m, w in enumerate(weights):
                found[:, m] += w[here, j, 0][of_set] * one[:, 0] + w[here, j, 1][of_set] * one[:, 1]
        _share_out(along, part, found, of_position)
    return CvaFigures(*expected, of_position, by_path)


def _kinds(
    n_sets: int, wrong_way: Mapping[int, WrongWay], default_by_date: Mapping[int, Floats]
) -> tuple[list[tuple[WrongWay, Floats]], Codes]:
    """The different weights on paths, and which is that of each set; 0 is none."""
    places: dict[tuple[WrongWay, bytes], int] = {}
    asked: list[tuple[WrongWay, Floats]] = []
    weight_of = np.zeros(n_sets, np.int32)
    for s, way in sorted(wrong_way.items()):
        by_date = default_by_date[s]
        key = (way, by_date.tobytes())
        if key not in places:
            asked.append((way, by_date))
            places[key] = len(asked)
        weight_of[s] = places[key]
    return asked, weight_of


def _on_paths(along: Along, asked: Sequence[tuple[WrongWay, Floats]], k: int, j: int, n_dates: int) -> Floats:
    """How likely default is on each path at a date against the mean, (1 + n_asked, n_paths); all 1 today."""
    out = np.ones((1 + len(asked), along.paths.n_paths))
    if k < 0:
        return out
    for i, (way, by_date) in enumerate(asked, 1):
        scores = cva.copula_scores(along.paths.level(k, way.risk_factor_id))
        before, after = float(by_date[j - 1]), float(by_date[min(j + 1, n_dates - 1)])
        out[i] = cva.wrong_way_weights(scores, way.correlation, before, after)
    return out


def wide_today(today: Exposed, n: int) -> Exposed:
    """Today's exposure, which is the same on every path, on each of them."""
    positive, negative = np.repeat(today.positive, n, axis=1), np.repeat(today.negative, n, axis=1)
    return dataclasses.replace(today, positive=positive, negative=negative)


def _values(along: Along, k: int) -> Floats:
    """Values of a unit of every contract, (n_contracts, n_paths), at date k; today's for -1."""
    if k < 0:
        return np.repeat(along.paths.base[:, None], along.paths.n_paths, axis=1)
    return np.ascontiguousarray(along.paths.values(k))


def _rates(along: Along, currencies: Sequence[str], k: int) -> Floats:
    """Price of one unit of each currency, (n_currencies, n_paths), at date k; today's for -1."""
    if k < 0:
        spot = np.array([along.spot(c) for c in currencies]).reshape(-1, 1)
        return np.repeat(spot, along.paths.n_paths, axis=1)
    return along.paths.rates(k, currencies, along.currency)


def _share_out(along: Along, part: Part, found: Floats, of_position: Floats) -> None:
    """Adds what the contracts of netting sets contribute to the positions that hold them: of a contract that is held net, its share of
    the net
    quantity; one that cancels contributes nothing."""
    netting, sets, book = part.netting, along.sets, along.book
    within = np.flatnonzero((sets.code >= part.first) & (sets.code < part.first + netting.n_sets))
    row = netting.row[np.searchsorted(book.starts, sets.position[within], side="right") - 1]
    within, row = within[row >= 0], row[row >= 0]
    n_rows = len(along.paths.contract_ids)
    key = netting.of_set.astype(np.int64) * n_rows + netting.entry_row
    order = np.argsort(key)
    wanted = (sets.code[within] - part.first).astype(np.int64) * n_rows + row
    entry = order[np.searchsorted(key[order], wanted)] if len(order) else np.empty(0, np.int64)
    net = netting.quantity[entry]
    share = np.where(net != 0.0, book.quantity[sets.position[within]] / np.where(net != 0.0, net, 1.0), 0.0)
    of_position[within] = share[:, None] * found[entry]
