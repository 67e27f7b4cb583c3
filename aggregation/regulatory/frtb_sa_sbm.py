"""The sensitivities-based method: capital of given sensitivities by class, type and correlation scenario, with its derivatives (MAR21)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from aggregation.kernels.frtb_sbm import (
    Buckets,
    ClassCapital,
    curvature_capital,
    girr_delta_correlation,
    linear_capital,
    product_correlation,
    tenor_correlation,
)
from aggregation.regulatory.frtb_sa_factors import (
    BASIS,
    CLASSES,
    COMMODITY,
    CSR,
    CURVATURE,
    DELTA,
    EQUITY,
    GIRR,
    INFLATION,
    VEGA,
    Cell,
    Mapper,
)
from aggregation.regulatory.frtb_sa_parameters import FrtbSa
from lake.arrays import Floats, Ints

MEASURES = (DELTA, VEGA, CURVATURE)
UP, DOWN = 0, 1


@dataclass(frozen=True)
class Group:
    """The cells of a class and type. places : (n,) of them among all cells. buckets : names, sorted; within : how they go together."""

    risk_class: str
    measure: str
    places: Ints
    buckets: tuple[str, ...]
    within: Buckets

    @property
    def name(self) -> str:
        """Of its column."""
        return f"{self.risk_class}_{self.measure}"


@dataclass(frozen=True)
class Method:
    """Cells sorted, those of delta and vega before those of curvature, with their risk weights (1 of curvature, whose shock has it)."""

    cells: tuple[Cell, ...]
    weights: Floats
    n_linear: int
    groups: tuple[Group, ...]
    p: FrtbSa

    @property
    def n_outputs(self) -> int:
        """Sensitivities, and of each curvature cell the CVR up and down."""
        return 2 * len(self.cells) - self.n_linear

    def outputs(self, cell: int) -> tuple[int, ...]:
        """Where a cell stands among the outputs: once, or for curvature up and down."""
        if cell < self.n_linear:
            return (cell,)
        first = self.n_linear + 2 * (cell - self.n_linear)
        return first, first + 1


def method_of(cells: Sequence[Cell], mapper: Mapper) -> Method:
    """The method for cells in any order, each once."""
    p = mapper.p
    linear = sorted({c for c in cells if c.measure != CURVATURE})
    curved = sorted({c for c in cells if c.measure == CURVATURE})
    ordered = (*linear, *curved)
    weights = [
        1.0
        if c.measure == CURVATURE
        else mapper.delta_weight(c)
        if c.measure == DELTA
        else p.vega.weight_of(c.risk_class, c.bucket)
        for c in ordered
    ]
    groups = []
    for risk_class in CLASSES:
        for measure in MEASURES:
            places = [i for i, c in enumerate(ordered) if (c.risk_class, c.measure) == (risk_class, measure)]
            if places:
                groups.append(_group(risk_class, measure, places, ordered, p))
    return Method(ordered, np.array(weights, dtype=np.float64), len(linear), tuple(groups), p)


def _group(risk_class: str, measure: str, places: Sequence[int], cells: Sequence[Cell], p: FrtbSa) -> Group:
    own = [cells[i] for i in places]
    buckets = sorted({c.bucket for c in own})
    members = tuple(np.array([i for i, c in enumerate(own) if c.bucket == b], dtype=np.int64) for b in buckets)
    power = p.curvature.correlation_power if measure == CURVATURE else 1.0
    rho = tuple(
        _within(risk_class, measure, b, [own[i] for i in at.tolist()], p) ** power
        for b, at in zip(buckets, members, strict=True)
    )
    gamma = np.ones((len(buckets), len(buckets)))
    for i, one in enumerate(buckets):
        for j in range(i):
            gamma[i, j] = gamma[j, i] = _across(risk_class, one, buckets[j], p) ** power
    plain = np.array([(risk_class, b) in ((CSR, p.csr.other_bucket), (EQUITY, p.equity.other_bucket)) for b in buckets])
    return Group(
        risk_class, measure, np.array(places, dtype=np.int64), tuple(buckets), Buckets(members, rho, plain, gamma)
    )


def _across(risk_class: str, one: str, two: str, p: FrtbSa) -> float:
    if risk_class == GIRR:
        return p.girr.across_buckets
    if risk_class == CSR:
        return p.csr.across(one, two)
    if risk_class == EQUITY:
        return p.equity.across(one, two)
    if risk_class == COMMODITY:
        return p.commodity.across(one, two)
    return p.fx.across_buckets


def _within(risk_class: str, measure: str, bucket: str, cells: Sequence[Cell], p: FrtbSa) -> Floats:
    """Correlations (n, n) of the cells of a bucket in the medium scenario; of curvature before they are squared."""
    tenor = np.array([c.tenor for c in cells])
    if measure == VEGA:
        rho = tenor_correlation(tenor, tenor, p.vega.decay, 0.0)
        if risk_class == GIRR:
            underlying = np.array([c.underlying for c in cells])
            return np.minimum(rho * tenor_correlation(underlying, underlying, p.vega.decay, 0.0), 1.0)
        return np.minimum(rho * _names(risk_class, bucket, cells, p), 1.0)
    if risk_class == GIRR and measure == CURVATURE:
        return np.ones((len(cells), len(cells)))  # one factor a currency
    if risk_class == GIRR:
        kind = np.array([1 if c.name == INFLATION else 2 if c.name == BASIS else 0 for c in cells])
        g = p.girr
        return girr_delta_correlation(
            kind,
            _codes([c.curve for c in cells]),
            tenor,
            g.decay,
            g.floor,
            g.other_curve,
            g.inflation_correlation,
            g.basis_correlation,
        )
    rho = _names(risk_class, bucket, cells, p)
    if measure == DELTA and risk_class in (CSR, COMMODITY):
        of = p.csr if risk_class == CSR else p.commodity
        curve = _codes([c.curve for c in cells])
        rho = rho * product_correlation((_codes([str(t) for t in tenor.tolist()]), of.tenor), (curve, of.basis))
    if measure == DELTA and risk_class == EQUITY:
        rho = rho * product_correlation((_codes([c.curve for c in cells]), p.equity.repo))
    return rho


def _names(risk_class: str, bucket: str, cells: Sequence[Cell], p: FrtbSa) -> Floats:
    if risk_class == CSR:
        other = p.csr.index_name if bucket in p.csr.index_buckets else p.csr.name
    elif risk_class == EQUITY:
        other = p.equity.names[p.equity.buckets.index(bucket)]
    elif risk_class == COMMODITY:
        other = p.commodity.names[p.commodity.buckets.index(bucket)]
    else:
        other = 1.0
    return product_correlation((_codes([c.name for c in cells]), other))


def _codes(names: Sequence[str]) -> Ints:
    known = {name: i for i, name in enumerate(sorted(set(names)))}
    return np.array([known[n] for n in names], dtype=np.int64)


@dataclass(frozen=True)
class SbmCapital:
    """Capital in each correlation scenario, and in the chosen one, which has the greatest sum, its derivatives.

    totals : by scenario. parts : by scenario the capital of each group. chosen : the scenario. groups : of each group the capital of the
    chosen one. slope : (n_outputs,) derivative of the total to each sensitivity and CVR.
    """

    totals: Mapping[str, float]
    parts: Mapping[str, Mapping[str, float]]
    chosen: str
    groups: Mapping[str, ClassCapital]
    slope: Floats

    @property
    def value(self) -> float:
        return self.totals[self.chosen]


def sbm_capital(method: Method, outputs: Floats) -> SbmCapital:
    """The capital of outputs (n_outputs,), ordered as `Method.outputs` says (MAR21.7: the greatest of the sums of all classes and types).

    Of equal sums that of the medium scenario is chosen, then the high one.
    """
    found: dict[str, dict[str, ClassCapital]] = {}
    for scenario, scaling in method.p.scenarios.scaling.scenarios.items():
        found[scenario] = {g.name: _capital(method, g, outputs, g.within.scaled(scaling)) for g in method.groups}
    parts = {s: {name: c.value for name, c in of.items()} for s, of in found.items()}
    totals = {s: float(sum(of.values())) for s, of in parts.items()}
    chosen = max(totals, key=lambda s: totals[s])  # the first of equal ones
    slope = np.zeros(method.n_outputs)
    for group in method.groups:
        made = found[chosen][group.name]
        if group.measure == CURVATURE:
            at = np.array([method.outputs(c) for c in group.places.tolist()])
            slope[at] = made.slope.T
        else:
            slope[group.places] = made.slope * method.weights[group.places]
    return SbmCapital(totals, parts, chosen, found[chosen], slope)


def _capital(method: Method, group: Group, outputs: Floats, within: Buckets) -> ClassCapital:
    if group.measure == CURVATURE:
        at = np.array([method.outputs(c) for c in group.places.tolist()])
        return curvature_capital(np.ascontiguousarray(outputs[at].T), within)
    return linear_capital(outputs[group.places] * method.weights[group.places], within)


def standalone(method: Method) -> Callable[[Floats], float]:
    """The capital alone."""
    return lambda outputs: sbm_capital(method, outputs).value
