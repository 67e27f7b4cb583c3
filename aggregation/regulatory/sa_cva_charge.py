"""SA-CVA: sensitivities of CVA and of hedges placed in buckets, weighted and aggregated by risk class. MAR50.42 to 50.77."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from aggregation.kernels import sa_cva
from aggregation.kernels.sa_cva import Bucket, ClassCharge
from aggregation.regulatory.cva_parameters import Quality, SaCva
from lake.arrays import Floats
from lake.errors import BadInput, unknown
from scenarios.types import tenor_years

RiskClass = Literal["rates", "fx", "counterparty_spread", "reference_spread", "equity", "commodity"]
Kind = Literal["delta", "vega"]
RISK_CLASSES: tuple[RiskClass, ...] = (
    "rates",
    "fx",
    "counterparty_spread",
    "reference_spread",
    "equity",
    "commodity",
)
INFLATION, PARALLEL, RATES = "inflation", "parallel", "rates"


@dataclass(frozen=True, order=True)
class Factor:
    """A risk factor of SA-CVA. bucket : a currency, or the number of a bucket. factor : a tenor, `inflation`, or `parallel` of a rate,
    `rates` of
    its vega; empty where a bucket has one factor. name : of a counterparty or index whose spread it is; quality, sector, group : its
    own."""

    risk_class: RiskClass
    kind: Kind
    bucket: str
    factor: str = ""
    name: str = ""
    quality: Quality | None = None
    sector: str = ""
    group: str = ""


@dataclass(frozen=True)
class PlacedFactor:
    """A factor with its net sensitivities, its weight, and what it contributes to the capital of its class."""

    factor: Factor
    cva: float
    hedges: float
    weight: float
    of_cva: float
    of_hedges: float


@dataclass(frozen=True)
class ClassCapital:
    """Capital of a risk class, delta or vega, with K_b and S_b by bucket and the factors of each."""

    risk_class: RiskClass
    kind: Kind
    capital: float
    buckets: tuple[str, ...]
    charges: Floats
    sums: Floats
    factors: tuple[PlacedFactor, ...]


def spread_factor(
    rules: SaCva, name: str, sector: str, rating: str, group: str | None, tenor: str, *, index: bool = False
) -> Factor:
    """The factor of a counterparty's spread at a tenor; of an index, sector is `index` and `group` its family."""
    spread = rules.counterparty_spread
    kind = "index" if index else sector
    if kind not in spread.buckets:
        raise unknown("sector", sector, spread.buckets)
    if tenor not in spread.tenors:
        raise unknown("tenor of a counterparty's spread", tenor, spread.tenors)
    quality = rules.quality.of(rating)
    return Factor("counterparty_spread", "delta", spread.buckets[kind], tenor, name, quality, kind, group or "")


def check_factor(rules: SaCva, factor: Factor, reporting: str) -> Factor:
    """The factor as the rules name it; raises `BadInput` for a bucket or tenor that they do not have."""
    if factor.risk_class == "rates":
        allowed = _rate_factors(rules, factor.bucket, factor.kind, reporting)
        if factor.factor not in allowed:
            raise unknown(f"rate factor of {factor.bucket}", factor.factor, allowed)
    elif factor.risk_class == "fx":
        if factor.bucket == reporting:
            raise BadInput(
                f"{reporting} is the reporting currency; its exchange rate against itself is no risk factor."
            )
    elif factor.risk_class == "counterparty_spread":
        if factor.kind == "vega":
            raise BadInput("Spreads of counterparties have no vega in SA-CVA (MAR50.63); leave it out.")
    else:
        n = len(getattr(rules, factor.risk_class).weights)
        if factor.bucket not in (known := [str(i + 1) for i in range(n)]):
            raise unknown(f"bucket of {factor.risk_class}", factor.bucket, known)
        if factor.factor:
            raise BadInput(
                f"Bucket {factor.bucket} of {factor.risk_class} is one factor in SA-CVA; leave {factor.factor!r} out."
            )
    return factor


def _rate_factors(rules: SaCva, currency: str, kind: Kind, reporting: str) -> tuple[str, ...]:
    if kind == "vega":
        return (RATES, INFLATION)
    return (*rules.rates.tenors, INFLATION) if is_main(rules, currency, reporting) else (PARALLEL, INFLATION)


def is_main(rules: SaCva, currency: str, reporting: str) -> bool:
    """Whether rates of a currency are taken by tenor."""
    return currency in rules.rates.main_currencies or currency == reporting


def weight_of(rules: SaCva, factor: Factor, reporting: str) -> float:
    """The risk weight."""
    place = None if factor.risk_class in ("rates", "fx", "counterparty_spread") else int(factor.bucket) - 1
    if factor.kind == "vega":
        if factor.risk_class == "equity":
            large = factor.bucket in rules.equity.large_buckets
            return rules.equity.vega_weight_large if large else rules.equity.vega_weight
        weight: float = getattr(rules, factor.risk_class).vega_weight
        return weight
    if factor.risk_class == "rates":
        main, inflation = is_main(rules, factor.bucket, reporting), factor.factor == INFLATION
        if not main:
            return rules.rates.other_inflation_weight if inflation else rules.rates.other_weight
        return (
            rules.rates.inflation_weight if inflation else rules.rates.weights[rules.rates.tenors.index(factor.factor)]
        )
    if factor.risk_class == "fx":
        return rules.fx.weight
    if factor.risk_class == "counterparty_spread":
        assert factor.quality is not None
        return rules.counterparty_spread.weights.of(factor.quality, factor.sector)
    assert place is not None
    weights: Sequence[float] = getattr(rules, factor.risk_class).weights
    return weights[place]


def correlation(rules: SaCva, one: Factor, other: Factor, reporting: str) -> float:
    """rho of two factors of a bucket."""
    if one == other:
        return 1.0
    if one.risk_class == "rates":
        r = rules.rates
        if one.kind == "vega":
            return r.vega_correlation
        if not is_main(rules, one.bucket, reporting):
            return r.other_correlation
        if INFLATION in (one.factor, other.factor):
            return r.inflation_correlation
        return r.correlations[r.tenors.index(one.factor)][r.tenors.index(other.factor)]
    if one.risk_class != "counterparty_spread":
        raise ValueError(f"Expected one factor in bucket {one.bucket} of {one.risk_class}, but received two")
    s = rules.counterparty_spread
    of_index = one.bucket == s.index_bucket
    related = bool(one.group) and one.group == other.group
    near, far = (
        (s.index_series_correlation, s.index_correlation) if of_index else (s.related_correlation, s.name_correlation)
    )
    name = 1.0 if one.name == other.name else near if related else far
    tenor = 1.0 if one.factor == other.factor else s.tenor_correlation
    return name * tenor * (1.0 if one.quality == other.quality else s.quality_correlation)


def gamma(rules: SaCva, risk_class: RiskClass, one: str, other: str) -> float:
    """Correlation of two different buckets of a class."""
    if risk_class == "rates":
        return rules.rates.across
    if risk_class == "fx":
        return rules.fx.across
    if risk_class == "counterparty_spread":
        across = rules.counterparty_spread.across
        return across.gamma[across.buckets.index(one)][across.buckets.index(other)]
    a, b = sorted((int(one), int(other)))
    return _OF_NUMBERED[risk_class](rules, a, b)


def _reference_gamma(rules: SaCva, a: int, b: int) -> float:
    r = rules.reference_spread
    if 15 in (a, b):
        return 0.0
    if a > 15:
        return r.indices_gamma
    if b > 15:
        return r.index_gamma
    sector = r.sector_gamma[(a - 1) % 7][(b - 1) % 7]
    return sector if (a <= 7) == (b <= 7) else sector * r.quality_factor


def _equity_gamma(rules: SaCva, a: int, b: int) -> float:
    e = rules.equity
    if 11 in (a, b):
        return 0.0
    if a > 11:
        return e.indices_gamma
    return e.index_gamma if b > 11 else e.within


def _commodity_gamma(rules: SaCva, a: int, b: int) -> float:
    return 0.0 if b == 11 else rules.commodity.across


_OF_NUMBERED: Mapping[RiskClass, Callable[[SaCva, int, int], float]] = {
    "reference_spread": _reference_gamma,
    "equity": _equity_gamma,
    "commodity": _commodity_gamma,
}


def class_capitals(
    rules: SaCva, sensitivities: Iterable[tuple[Factor, float, float]], reporting: str
) -> list[ClassCapital]:
    """Capital of every class that has a sensitivity, delta and then vega. sensitivities : factor, of CVA (its rise), of hedges (their
    gain); those of
    one factor are added, in the order of their size, so that no order of rows changes a bit."""
    gathered: dict[Factor, tuple[list[float], list[float]]] = defaultdict(lambda: ([], []))
    for factor, of_cva, of_hedges in sensitivities:
        checked = check_factor(rules, factor, reporting)
        gathered[checked][0].append(of_cva)
        gathered[checked][1].append(of_hedges)
    net = {f: (sum(sorted(c)), sum(sorted(h))) for f, (c, h) in gathered.items()}
    found = []
    for kind in ("delta", "vega"):
        for risk_class in RISK_CLASSES:
            mine = sorted(
                (f for f in net if f.kind == kind and f.risk_class == risk_class), key=lambda f: (_order(f), f)
            )
            if mine:
                found.append(_class_capital(rules, risk_class, mine, net, reporting))
    return found


def _order(f: Factor) -> tuple[int, str, str, float]:
    """Buckets by number, factors by tenor."""
    number = int(f.bucket) if f.bucket.isdigit() else 0
    try:
        years = tenor_years(f.factor)
    except BadInput:
        years = 1e9
    return number, f.bucket, f.name, years


def _class_capital(
    rules: SaCva,
    risk_class: RiskClass,
    factors: Sequence[Factor],
    net: Mapping[Factor, tuple[float, float]],
    reporting: str,
) -> ClassCapital:
    buckets: dict[str, list[Factor]] = defaultdict(list)
    for f in factors:
        buckets[f.bucket].append(f)
    names, built, weights = list(buckets), [], {}
    for b in names:
        weights.update({f: weight_of(rules, f, reporting) for f in buckets[b]})
        built.append(
            Bucket(
                np.array([weights[f] * net[f][0] for f in buckets[b]]),
                np.array([weights[f] * net[f][1] for f in buckets[b]]),
                np.array([[correlation(rules, f, g, reporting) for g in buckets[b]] for f in buckets[b]]),
            )
        )
    across = np.array([[1.0 if a == b else gamma(rules, risk_class, a, b) for b in names] for a in names])
    charge: ClassCharge = sa_cva.charge(built, across, rules.disallowance, rules.multiplier)
    placed = [
        PlacedFactor(f, *net[f], weights[f], float(c), float(h))
        for b, of_cva, of_hedges in zip(names, charge.cva, charge.hedges, strict=True)
        for f, c, h in zip(buckets[b], of_cva, of_hedges, strict=True)
    ]
    return ClassCapital(
        risk_class, factors[0].kind, charge.capital, tuple(names), charge.buckets, charge.sums, tuple(placed)
    )
