"""CVA and DVA of netting sets and of the contracts in them, from exposures on paths and default curves: one pass over the dates.

Every figure is a sum over dates of a weight by netting set and an expected discounted exposure: see `aggregation.kernels.cva`. What a contract
contributes takes the same weights, so that contributions add up to the figure.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from aggregation.exposure.default_curves import DefaultCurves
from aggregation.exposure.path_values import PathValues
from aggregation.exposure.set_entries import SetEntries
from aggregation.kernels import cva
from lake.arrays import Codes, Floats

CVA, CVA_FIRST, DVA, DVA_FIRST = range(4)
FIGURES = ("cva", "cva_bilateral", "dva", "dva_bilateral")


@dataclass(frozen=True)
class SetDate:
    """Netting sets at one date, today's being the first, in the reporting currency: value before collateral and exposure net of it, both
    (n_sets, n_paths) and signed."""

    value: Floats
    exposure: Floats


@dataclass(frozen=True)
class DateWeights:
    """What an expected exposure of each netting set at each date counts, in one state of the credit market.

    figures : (n_sets, n_dates, 4) in the order of `FIGURES`, of the positive exposure for CVA and the negative for DVA; NaN where a curve lacks.
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
    entries : (n_entries, n_figures), parts of the figures asked for, by contract; the rest of a set's figure is of collateral alone.
    by_path : (n_groups + 1, 4, n_paths) of the base, whose means are CVA, ..., the total last.
    """

    positive: Floats
    negative: Floats
    entries: Floats
    by_path: Floats


def date_weights(
    curves: DefaultCurves, counterparties: Sequence[str | None], entities: Sequence[str | None], state: int = 0
) -> DateWeights:
    """The weights of every netting set in a state of the credit market, by its counterparty and our entity."""
    made: dict[tuple[str | None, str | None], Floats] = {}
    rows = []
    for pair in zip(counterparties, entities, strict=True):
        if pair not in made:
            made[pair] = _pair_weights(curves, *pair, state)
        rows.append(made[pair])
    n_dates = len(next(iter(curves.curves.values())).logs) if curves.curves else 1
    return DateWeights(np.array(rows) if rows else np.empty((0, n_dates, 4)))


def _pair_weights(curves: DefaultCurves, counterparty: str | None, entity: str | None, state: int) -> Floats:
    them, us = (None if n is None else curves.curves.get(n) for n in (counterparty, entity))
    n_dates = next(len(c.logs) for c in curves.curves.values()) if curves.curves else 1
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


@dataclass(frozen=True)
class OnPaths:
    """What is read of the paths at today (date 0) and at each of their dates, 1, 2, ..., in the reporting currency.

    spot : price today of one unit of each currency of the contracts.
    """

    paths: PathValues
    currency: str
    spot: Mapping[str, float]

    @property
    def n_dates(self) -> int:
        return 1 + len(self.paths.dates)

    def values(self, k: int) -> Floats:
        """Of a unit of every contract, (n_contracts, n_paths), in its own currency."""
        if k == 0:
            return np.repeat(self.paths.base[:, None], self.paths.n_paths, axis=1)
        return np.ascontiguousarray(self.paths.values(k - 1))

    def rates(self, k: int, currencies: Sequence[str]) -> Floats:
        """Price of one unit of each currency, (n_currencies, n_paths)."""
        if k == 0:
            return np.repeat(np.array([[self.spot[c]] for c in currencies]), self.paths.n_paths, axis=1)
        return np.array([self.paths.fx(k - 1, c, self.currency) for c in currencies])

    def discount(self, k: int) -> Floats:
        """(n_paths,), 1 today."""
        return np.ones(self.paths.n_paths) if k == 0 else self.paths.discount(k - 1, self.currency)

    def net(self, entries: SetEntries, k: int) -> Floats:
        """Value of each netting set before collateral, (n_sets, n_paths)."""
        net = np.empty((len(entries.starts) - 1, self.paths.n_paths))
        fx = self.rates(k, entries.currencies)
        cva.net_values(entries.starts, entries.row, entries.quantity, entries.currency, self.values(k), fx, net)
        return net


def without_collateral(at: OnPaths, entries: SetEntries) -> Iterator[SetDate]:
    """The netting sets at today and every date as they are without any collateral."""
    for k in range(at.n_dates):
        net = at.net(entries, k)
        yield SetDate(net, net)


def cva_figures(
    on: OnPaths,
    entries: SetEntries,
    dates: Iterable[SetDate],
    weights: Sequence[Floats],
    group_of: Codes,
    n_groups: int,
    wrong_way: Mapping[int, WrongWay] | None = None,
    default_by_date: Mapping[int, Floats] | None = None,
) -> CvaFigures:
    """One pass over the dates.

    dates : today, then every date of the paths. weights : per column of `entries`, (n_sets, n_dates, 2) of the positive and of the
    negative exposure; the first four are those of `FIGURES` at the base. group_of : (n_sets,) group of each set, -1 for none. wrong_way :
    by set; default_by_date : probability of default by each date, (n_dates,), of the sets with wrong-way risk.
    """
    wrong = dict(wrong_way or {})
    kinds: dict[tuple[WrongWay, bytes], int] = {}
    weight_of = np.zeros(len(entries.starts) - 1, np.int32)
    asked: list[tuple[WrongWay, Floats]] = []
    for s, way in sorted(wrong.items()):
        assert default_by_date is not None
        by_date = default_by_date[s]
        key = (way, by_date.tobytes())
        if key not in kinds:
            kinds[key] = len(kinds) + 1
            asked.append((way, by_date))
        weight_of[s] = kinds[key]
    n_sets, n, n_dates = len(weight_of), on.paths.n_paths, on.n_dates
    positive, negative = np.empty((n_sets, n_dates)), np.empty((n_sets, n_dates))
    found = np.zeros((len(entries.row), len(weights)))
    by_path = np.zeros((n_groups + 1, 4, n))
    base = np.stack([w[:, :, i // 2] for i, w in enumerate(weights[:4])], axis=2)
    set_of = np.repeat(np.arange(n_sets), np.diff(entries.starts))
    up, down = np.empty(len(entries.row)), np.empty(len(entries.row))
    for k, at in enumerate(dates):
        discount = np.ascontiguousarray(on.discount(k))
        on_paths = np.ones((len(asked) + 1, n))
        for i, (way, by_date) in enumerate(asked, 1):
            if k > 0:
                scores = cva.copula_scores(on.paths.level(k - 1, way.risk_factor_id))
                last = by_date[min(k + 1, n_dates - 1)]
                on_paths[i] = cva.wrong_way_weights(scores, way.correlation, float(by_date[k - 1]), float(last))
        exposure = np.ascontiguousarray(at.exposure)
        cva.set_profiles(
            exposure,
            discount,
            on_paths,
            weight_of,
            group_of,
            np.ascontiguousarray(base[:, k]),
            one := np.empty(n_sets),
            two := np.empty(n_sets),
            by_path,
        )
        positive[:, k], negative[:, k] = one, two
        converted = on.rates(k, entries.currencies) * discount
        cva.entry_profiles(
            entries.starts,
            entries.row,
            entries.quantity,
            entries.currency,
            on.values(k),
            converted,
            np.ascontiguousarray(at.value),
            exposure,
            on_paths,
            weight_of,
            up,
            down,
        )
        for m, w in enumerate(weights):
            found[:, m] += w[set_of, k, 0] * up + w[set_of, k, 1] * down
    return CvaFigures(positive, negative, found, by_path)
