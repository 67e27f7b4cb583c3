"""The risk weight of each counterparty: standardised from class and rating, or by internal ratings from PD, LGD and maturity.

Sources: CRE20.7-20.67 and 20.99, CRE31.2-31.16, CRE32.2-32.58. A counterparty that lacks what its approach needs has no weight, and the
reason.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from aggregation.exposure.reference import Counterparty, ReferenceData
from aggregation.kernels.credit_risk import asset_correlation, capital, maturity_factor, size_adjusted
from aggregation.regulatory.credit.parameters import Credit, IrbClass
from lake.arrays import Floats

Approach = Literal["standardised", "foundation", "advanced"]
DEFAULTED = "D"


@dataclass(frozen=True)
class Obligor:
    """Whose exposure it is and how long: the key of a risk weight. years : effective maturity, None where it is not known."""

    counterparty: str | None
    years: float | None


@dataclass(frozen=True)
class RiskWeight:
    """A risk weight with what it was made from. approach : the one that was used. weight : None where `reason` says why there is none.

    pd, lgd : as used, after floors; correlation, years, maturity_factor : of internal ratings, None where they are not used.
    expected_loss : a fraction of EAD, None of the standardised approach.
    """

    approach: Approach
    credit_class: str | None = None
    rating: str | None = None
    pd: float | None = None
    lgd: float | None = None
    correlation: float | None = None
    years: float | None = None
    maturity_factor: float | None = None
    weight: float | None = None
    expected_loss: float | None = None
    reason: str | None = None


@dataclass(frozen=True)
class _Rated:
    """An exposure by internal ratings before its capital: what the formula takes, and the size of the firm."""

    place: int
    of: IrbClass
    who: Counterparty
    approach: Approach
    pd: float
    lgd: float
    years: float


def risk_weights(
    obligors: Sequence[Obligor],
    counterparties: ReferenceData[Counterparty],
    parameters: Credit,
    approach: Approach,
    *,
    cva_charged: bool = False,
) -> list[RiskWeight]:
    """The risk weight of each obligor. cva_charged : the maturity factor is at most one, since capital for CVA is held beside it."""
    found: list[RiskWeight] = []
    rated: list[_Rated] = []
    for place, obligor in enumerate(obligors):
        weight, formula = _of(place, obligor, counterparties, parameters, approach)
        found.append(weight)
        if formula is not None:
            rated.append(formula)
    for one, made in zip(rated, _by_formula(rated, parameters, cva_charged), strict=True):
        found[one.place] = made
    return found


def _of(
    place: int,
    obligor: Obligor,
    counterparties: ReferenceData[Counterparty],
    parameters: Credit,
    approach: Approach,
) -> tuple[RiskWeight, _Rated | None]:
    """The weight where no formula is needed, or its reason; else what the formula takes."""
    name = obligor.counterparty
    if name is None:
        return RiskWeight(approach, reason="The trades name no counterparty."), None
    if name not in counterparties:
        return RiskWeight(approach, reason=counterparties.lacking(name)), None
    who = counterparties[name]
    known = RiskWeight(approach, who.credit_class, who.rating)
    if who.credit_class is None:
        return _without(known, f"Counterparty {name} has no credit_class; add it to the table counterparties."), None
    if approach == "standardised":
        rules = parameters.standardised
        weight = rules.default_weight if who.rating == DEFAULTED else rules.weights[who.credit_class][who.rating]
        return RiskWeight(approach, who.credit_class, who.rating, weight=weight), None
    return _rated(place, who, obligor.years, parameters, approach, known)


def _rated(
    place: int, who: Counterparty, years: float | None, parameters: Credit, approach: Approach, known: RiskWeight
) -> tuple[RiskWeight, _Rated | None]:
    rules, name = parameters.irb, who.counterparty
    of = rules.classes[str(who.credit_class)]
    financial = who.sector == "financial"
    sales = who.sales_million_eur
    barred = (
        who.credit_class in rules.advanced.never
        or (rules.advanced.never_financial and financial)
        or (sales is not None and sales > rules.advanced.never_above_sales)
    )
    if approach == "advanced" and barred:
        approach = "foundation"
    if not of.supervisory_lgd:
        approach = "advanced"  # there are own estimates alone
    lgd = of.supervisory_lgd["financial" if financial else "other"] if approach == "foundation" else who.lgd
    known = RiskWeight(approach, who.credit_class, who.rating)
    if lgd is None:
        return _without(known, f"Counterparty {name} has no lgd, which the {approach} approach needs."), None
    lgd = lgd if approach == "foundation" else max(lgd, of.lgd_floor)
    if who.rating == DEFAULTED or who.pd == 1.0:
        if approach == "advanced":
            why = f"Counterparty {name} is in default, and no best estimate of its expected loss is held (CRE31.3)."
            return _without(known, why), None
        # the expected loss is the supervisory LGD itself, 35.3: nothing is unexpected, 31.3
        return RiskWeight(approach, who.credit_class, who.rating, 1.0, lgd, weight=0.0, expected_loss=lgd), None
    if who.pd is None:
        return _without(known, f"Counterparty {name} has no pd, which the {approach} approach needs."), None
    m = rules.maturity
    own = m.default_years if years is None else min(max(years, m.floor_years), m.cap_years)
    used = m.foundation_years if approach == "foundation" else own
    return known, _Rated(place, of, who, approach, max(who.pd, of.pd_floor), lgd, used)


def _without(known: RiskWeight, reason: str) -> RiskWeight:
    return RiskWeight(known.approach, known.credit_class, known.rating, reason=reason)


def _by_formula(rated: Sequence[_Rated], parameters: Credit, cva_charged: bool) -> list[RiskWeight]:
    """The weights by the risk-weight function; of a PD of zero, which a sovereign may have, zero."""
    if not rated:
        return []
    rules = parameters.irb

    def column(values: Sequence[float]) -> Floats:
        return np.array(values, dtype=np.float64)

    pd, lgd = column([r.pd for r in rated]), column([r.lgd for r in rated])
    of = [r.of for r in rated]
    correlation = asset_correlation(
        pd, column([c.low for c in of]), column([c.high for c in of]), column([c.decay for c in of])
    )
    small = np.array(
        [r.who.credit_class in rules.size.classes and r.who.sales_million_eur is not None for r in rated], np.bool_
    )
    sales = column([r.who.sales_million_eur or 0.0 for r in rated])
    size = rules.size
    correlation = size_adjusted(correlation, sales, small, size.least_sales, size.below_sales, size.reduction)
    large = np.array([r.who.large_financial for r in rated], np.bool_)
    correlation = np.where(large, rules.large_financial_multiple * correlation, correlation)
    m, years = rules.maturity, column([r.years for r in rated])
    adjusted = np.array([c.maturity for c in of], np.bool_) & (pd > 0.0)
    full = maturity_factor(np.where(pd > 0.0, pd, 0.5), years, m.intercept, m.slope, m.reference_years, m.base_years)
    factor = np.where(adjusted, np.minimum(full, 1.0) if cva_charged else full, 1.0)
    k = capital(pd, lgd, correlation, factor, rules.confidence)
    return [
        RiskWeight(
            r.approach,
            r.who.credit_class,
            r.who.rating,
            float(pd[i]),
            float(lgd[i]),
            float(correlation[i]),
            r.years if r.of.maturity else None,
            float(factor[i]) if r.of.maturity else None,
            float(k[i] * rules.multiple),
            float(pd[i] * lgd[i]),
        )
        for i, r in enumerate(rated)
    ]
