"""Which class, bucket, name and tenor of the FRTB standardised approach a risk factor of the lake is, and the moves that are valued for it.

What lies between two tenors is given to both by time, linearly (MAR21.8 asks for a method that is stated); beyond the first and the last it
is given to them. A share, issuer or commodity without a classification is in the bucket of other sectors, which is told.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import numpy as np

from aggregation.exposure.reference import Classification
from aggregation.kernels.frtb_sbm import tenor_shares
from aggregation.regulatory.frtb_sa_parameters import FrtbSa
from scenarios.derived import regulatory_bumps
from scenarios.derived.regulatory_bumps import Shock
from scenarios.types import RATES, SHARES, FactorIndex, RiskClass, RiskFactor, tenor_years

DELTA, VEGA, CURVATURE = "delta", "vega", "curvature"
GIRR, CSR, EQUITY, COMMODITY, FX = "girr", "csr", "equity", "commodity", "fx"
CLASSES = (GIRR, CSR, EQUITY, COMMODITY, FX)
INFLATION, BASIS = "inflation", "cross-currency basis"
_INVESTMENT_GRADE = ("AAA", "AA", "A", "BBB", "IG")
_NONE = {
    "dividend": "dividends are no risk factor of the method, which has spot prices and repo rates (MAR21.12)",
    "fixing": "a rate that is published already is no risk factor",
    "price_index": "a price index that is published already is no risk factor; expected inflation is",
    "recovery_rate": "recoveries are no risk factor of the method (MAR21.9)",
    "traded_volume": "volumes are no risk factor of the method",
    "hazard_rate": "a default intensity is no spread; give the curve as par spreads (cds_spread)",
    "credit_yield": "a yield of a rating is of no issuer; give spreads",
}
# of those the ones that stand for a risk that the method has: capital without them is not whole
HOLES = ("hazard_rate", "credit_yield")


class Cell(NamedTuple):
    """A risk factor of the method. tenor, underlying : years; 0 where it has none. curve : bond or cds, spot or repo, a curve of rates."""

    measure: str
    risk_class: str
    bucket: str
    name: str
    curve: str = ""
    tenor: float = 0.0
    underlying: float = 0.0


@dataclass(frozen=True)
class Choices:
    """What a bank may choose. reporting : the reporting currency. liquid_rates, liquid_fx : weights of liquid currencies divided by the
    root of two. fx_divisor : curvature of options without the reporting currency divided by 1.5."""

    reporting: str
    liquid_rates: bool = True
    liquid_fx: bool = True
    fx_divisor: bool = True


class DeltaPlace(NamedTuple):
    """A part of the P&L of a scenario, and the sensitivity that it is: P&L times `per`."""

    label: str
    cell: Cell
    per: float


@dataclass
class Mapped:
    """The risk factors of a market by what they are in the method.

    direct : deltas of every contract. flat : of spreads without a tenor, given to the tenor of the contract, which is left 0 in the cell.
    sovereign : of rates by currency, for bonds whose curve is the yield of their government. curvature : of each curvature cell the
    deltas that its shock is compared with, and its shock. volatilities : label of each volatility to its factor.
    residual : a factor without a classification, in the bucket of other sectors. unmapped : a factor that is none of the method's.
    """

    direct: list[DeltaPlace] = field(default_factory=list)
    flat: list[DeltaPlace] = field(default_factory=list)
    sovereign: list[DeltaPlace] = field(default_factory=list)
    curvature: dict[Cell, tuple[Shock, list[tuple[str, float]]]] = field(default_factory=dict)
    volatilities: dict[str, RiskFactor] = field(default_factory=dict)
    residual: dict[str, str] = field(default_factory=dict)
    unmapped: dict[str, str] = field(default_factory=dict)

    @property
    def shocks(self) -> tuple[Shock, ...]:
        """Those of the curvature cells, in their order."""
        return tuple(self.curvature[c][0] for c in sorted(self.curvature))


class Mapper:
    """Finds buckets; what had to be put into the bucket of other sectors is kept in `residual`."""

    def __init__(self, p: FrtbSa, classified: Mapping[str, Classification], choices: Choices) -> None:
        self.p, self.classified, self.choices = p, classified, choices
        self.residual: dict[str, str] = {}

    def _found(self, *names: str | None) -> Classification | None:
        return next((self.classified[n] for n in names if n and n in self.classified), None)

    def _other(self, name: str, bucket: str, why: str) -> str:
        self.residual[name] = f"{why}: in bucket {bucket}, other sector"
        return bucket

    def share_bucket(self, factor_id: str, *, index: bool) -> str:
        """The bucket of a share or an equity index."""
        p, found = self.p.equity, self._found(factor_id)
        if found is None:
            return self._other(factor_id, p.other_bucket, "it has no classification")
        size = f"{found.capitalisation}_{found.economy}"
        if index or found.kind == "index":
            return p.index_bucket_of.get(size, p.index_bucket_of["other"])
        by_sector = p.bucket_of.get(size)
        if by_sector is None:
            return self._other(factor_id, p.other_bucket, "its classification lacks capitalisation or economy")
        bucket = by_sector.get("any") or by_sector.get(found.sector or "")
        return bucket or self._other(factor_id, p.other_bucket, f"its sector is {found.sector or 'not given'}")

    def issuer_bucket(self, shown: str, *names: str | None) -> str:
        """The credit bucket of an issuer, an index or, by its currency, a government; the first name that is classified decides."""
        p, found = self.p.csr, self._found(*names, shown)
        if found is None:
            return self._other(shown, p.other_bucket, "it has no classification")
        quality = quality_of(found.rating)
        if found.covered or found.seniority == "covered":
            return p.bucket_of["covered"][quality]
        sector = "credit_index" if found.kind == "credit_index" else found.sector
        if found.kind == "currency" and sector is None:
            sector = "sovereign"
        if sector not in p.bucket_of:
            return self._other(shown, p.other_bucket, f"its sector is {sector or 'not given'}")
        return p.bucket_of[sector][quality]

    def commodity_bucket(self, shown: str, *names: str | None) -> str:
        """The bucket of a commodity; the first name that is classified decides."""
        p, found = self.p.commodity, self._found(*names, shown)
        if found is None:
            return self._other(shown, p.other_bucket, "it has no classification")
        bucket = p.bucket_of.get(found.commodity_group or "")
        return bucket or self._other(shown, p.other_bucket, "its classification lacks the group of commodities")

    def delta_weight(self, cell: Cell) -> float:
        """The risk weight of a delta cell."""
        p = self.p
        if cell.risk_class == GIRR:
            weight = (
                p.girr.inflation
                if cell.name == INFLATION
                else p.girr.cross_currency_basis
                if cell.name == BASIS
                else p.girr.weights[p.girr.tenors.index(cell.tenor)]
            )
            return weight / self.rates_divisor(cell.bucket)
        if cell.risk_class == CSR:
            return p.csr.weight(cell.bucket)
        if cell.risk_class == EQUITY:
            return p.equity.weight(cell.bucket) / (p.equity.repo_divisor if cell.curve == "repo" else 1.0)
        if cell.risk_class == COMMODITY:
            return p.commodity.weight(cell.bucket)
        return p.fx.weight / self.fx_divisor(cell.bucket)

    def rates_divisor(self, currency: str) -> float:
        """What the weights of rates of a currency are divided by."""
        liquid = currency in (*self.p.girr.liquid_currencies, self.choices.reporting)
        return float(np.sqrt(self.p.girr.liquid_divisor_squared)) if liquid and self.choices.liquid_rates else 1.0

    def fx_divisor(self, currency: str) -> float:
        """What the weight of a currency against the reporting currency is divided by: liquid are those of the list against each other."""
        known = self.p.fx.liquid_currencies
        liquid = currency in known and self.choices.reporting in known and self.choices.liquid_fx
        return float(np.sqrt(self.p.fx.liquid_divisor_squared)) if liquid else 1.0


def quality_of(rating: str | None) -> Literal["IG", "HY"]:
    """IG or HY; what is not rated is HY."""
    return "IG" if rating in _INVESTMENT_GRADE else "HY"


def map_factors(index: FactorIndex, mapper: Mapper) -> Mapped:
    """The risk factors of a market by what they are in the method; see `Mapped`."""
    p, out = mapper.p, Mapped()
    parallel: dict[str, list[RiskFactor]] = {}
    spreads: dict[str, list[RiskFactor]] = {}
    goods: dict[str, list[RiskFactor]] = {}
    for f in index.factors:
        label = regulatory_bumps.factor_label(f.risk_factor_id)
        if f.type in _NONE:
            out.unmapped[f.risk_factor_id] = _NONE[f.type]
        elif f.risk_class is RiskClass.VOLATILITY:
            out.volatilities[label] = f
        elif f.type == "inflation_rate":
            out.direct.append(DeltaPlace(label, Cell(DELTA, GIRR, f.currency, INFLATION), 1.0 / p.shifts.rate))
        elif f.type == "basis_spread" and "projection_curve" in dict(f.attributes):
            out.direct.append(DeltaPlace(label, Cell(DELTA, GIRR, f.currency, BASIS), 1.0 / p.shifts.rate))
        elif f.type in RATES:
            curve = f.curve or f.currency
            parallel.setdefault(f.currency, []).append(f)
            for tenor, share in _at(f, p.girr.tenors):
                per = share / p.shifts.rate
                out.direct.append(DeltaPlace(label, Cell(DELTA, GIRR, f.currency, "", curve, tenor), per))
            bucket = mapper.issuer_bucket(f.currency)
            for tenor, share in _at(f, p.csr.tenors):
                cell = Cell(DELTA, CSR, bucket, f.currency, "bond", tenor)
                out.sovereign.append(DeltaPlace(label, cell, share / p.shifts.rate))
        elif f.type in ("credit_spread", "cds_spread"):
            name = issuer_of(f)
            bucket = mapper.issuer_bucket(name, f.risk_factor_id)
            spreads.setdefault(name, []).append(f)
            of = Cell(DELTA, CSR, bucket, name, "bond" if f.type == "credit_spread" else "cds")
            if _years(f) is None:
                out.flat.append(DeltaPlace(label, of, 1.0 / p.shifts.spread))
            for tenor, share in _at(f, p.csr.tenors) if _years(f) is not None else ():
                out.direct.append(DeltaPlace(label, of._replace(tenor=tenor), share / p.shifts.spread))
        elif f.type in SHARES:
            bucket = mapper.share_bucket(f.risk_factor_id, index=f.type == "index_level")
            delta = Cell(DELTA, EQUITY, bucket, f.risk_factor_id, "spot")
            _with_shock(out, mapper, delta, [(label, 1.0 / p.shifts.price)], (f.risk_factor_id,))
        elif f.type == "commodity_price":
            goods.setdefault(commodity_of(f), []).append(f)
    for name, factors in goods.items():
        _commodity(out, mapper, name, factors)
    for currency, factors in parallel.items():
        _parallel_rates(out, mapper, currency, factors)
    for name, factors in spreads.items() if p.instruments.with_credit_options else ():
        _parallel_spreads(out, mapper, name, factors)
    for currency in regulatory_bumps.currencies(index):
        if currency != mapper.choices.reporting:
            delta = Cell(DELTA, FX, currency, currency)
            _with_shock(
                out, mapper, delta, [(regulatory_bumps.currency_label(currency), 1.0 / p.shifts.price)], (), currency
            )
    out.residual = dict(mapper.residual)
    return out


def _with_shock(
    out: Mapped,
    mapper: Mapper,
    delta: Cell,
    places: Sequence[tuple[str, float]],
    factors: tuple[str, ...],
    currency: str | None = None,
) -> None:
    """A delta without tenors, and the curvature that its own weight shifts it by (MAR21.98)."""
    out.direct += [DeltaPlace(label, delta, per) for label, per in places]
    name = f"curvature {delta.risk_class} {delta.name}"
    shock = Shock(name=name, factors=factors, currency=currency, size=mapper.delta_weight(delta), relative=True)
    out.curvature[Cell(CURVATURE, delta.risk_class, delta.bucket, delta.name)] = (shock, list(places))


def _commodity(out: Mapped, mapper: Mapper, name: str, factors: Sequence[RiskFactor]) -> None:
    p = mapper.p
    bucket = mapper.commodity_bucket(name, *(f.risk_factor_id for f in factors))
    deltas = []
    for f in factors:
        label = regulatory_bumps.factor_label(f.risk_factor_id)
        deltas.append((label, 1.0 / p.shifts.price))
        for tenor, share in _at(f, p.commodity.tenors):  # a spot price, which has no tenor, is at 0 years
            out.direct.append(
                DeltaPlace(label, Cell(DELTA, COMMODITY, bucket, name, "", tenor), share / p.shifts.price)
            )
    shock = Shock(
        name=f"curvature {COMMODITY} {name}",
        factors=tuple(f.risk_factor_id for f in factors),
        size=p.commodity.weight(bucket),
        relative=True,
    )
    out.curvature[Cell(CURVATURE, COMMODITY, bucket, name)] = (shock, deltas)


def _parallel_rates(out: Mapped, mapper: Mapper, currency: str, factors: Sequence[RiskFactor]) -> None:
    """All curves of a currency by the highest weight of a tenor (MAR21.99)."""
    p = mapper.p
    size = max(p.girr.weights) / mapper.rates_divisor(currency)
    ids = tuple(f.risk_factor_id for f in factors if f.type != "basis_spread")
    labels = [(regulatory_bumps.factor_label(i), 1.0 / p.shifts.rate) for i in ids]
    if ids:
        shock = Shock(name=f"curvature {GIRR} {currency}", factors=ids, size=size, relative=False)
        out.curvature[Cell(CURVATURE, GIRR, currency, currency)] = (shock, labels)


def _parallel_spreads(out: Mapped, mapper: Mapper, name: str, factors: Sequence[RiskFactor]) -> None:
    p = mapper.p
    bucket = mapper.issuer_bucket(name, *(f.risk_factor_id for f in factors))
    ids = tuple(f.risk_factor_id for f in factors)
    shock = Shock(
        name=f"curvature {CSR} {name}",
        factors=ids,
        size=p.csr.weight(bucket),
        relative=False,
        least=p.curvature.least_spread,
    )
    labels = [(regulatory_bumps.factor_label(i), 1.0 / p.shifts.spread) for i in ids]
    out.curvature[Cell(CURVATURE, CSR, bucket, name)] = (shock, labels)


def issuer_of(f: RiskFactor) -> str:
    """Issuer or reference name of a spread, without its tenor."""
    return f.curve or f.risk_factor_id.partition(":")[2].partition(":")[0]


def commodity_of(f: RiskFactor) -> str:
    """Name of a commodity, without its delivery."""
    return f.curve or f.risk_factor_id.partition(":")[2].partition(":")[0]


_TENOR, _MONTH = re.compile(r"\d+[DWMY]"), re.compile(r"M(\d+)")


def _years(f: RiskFactor) -> float | None:
    """Years to a pillar, or to the delivery month of a future that is named by it, as M6; None where there is neither."""
    pillar = f.pillar or f.risk_factor_id.rpartition(":")[2]
    if _TENOR.fullmatch(pillar):
        return tenor_years(pillar)
    month = _MONTH.fullmatch(pillar)
    return int(month[1]) / 12 if month else None


def _at(f: RiskFactor, tenors: Sequence[float]) -> list[tuple[float, float]]:
    """The tenors of the method that a factor belongs to, each with its share; one without a pillar is at 0 years."""
    return [(tenors[i], share) for i, share in tenor_shares(_years(f) or 0.0, np.array(tenors))]
