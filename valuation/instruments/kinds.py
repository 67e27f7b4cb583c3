"""Whether the market data that a contract names are of its currency and kind: one check for all instruments.

A curve that discounts or projects is of the currency of what it discounts or projects, whatever the collateral is in: money in USD under
collateral in EUR is discounted on a curve of USD that a cross-currency basis quotes. A credit curve and a credit spread may be of
another currency: they say how likely a default is, and a rating's often stands for bonds of all currencies.
"""

from __future__ import annotations

from collections.abc import Iterator

from scenarios.surfaces import surface_of
from scenarios.types import FactorIndex, MissingRiskFactor, RiskClass, RiskFactor
from valuation.market.volatility import surface
from valuation.types import InstrumentTerms

# Term that names a curve: the term with the currency it must be of.
CURVES = {
    **dict.fromkeys(
        (
            "discount_curve",
            "projection_curve",
            "pay_projection_curve",
            "receive_projection_curve",
            "repo_curve",
            "quote_curve",
            "inflation_curve",
        ),
        "currency",
    ),
    "base_curve": "base_currency",
    "base_projection_curve": "base_currency",
}
# Term that names a volatility: the term with the price it is of, where that is a price.
_VOLATILITIES = {"volatility": "underlying", "second_volatility": "second_underlying"}
_fields: dict[type[InstrumentTerms], tuple[tuple[str, str], ...]] = {}  # the terms above that an instrument has


def check_kinds(terms: InstrumentTerms, index: FactorIndex) -> None:
    """Raises `MissingRiskFactor` for a curve of another currency, a volatility of another kind, and a smile of what has none.

    A name that is not at hand is left to whoever reads it.
    """
    kind = type(terms)
    if kind not in _fields:
        _fields[kind] = tuple((n, of) for n, of in {**CURVES, **_VOLATILITIES}.items() if n in kind.model_fields)
    for name, of in _fields[kind]:
        named = getattr(terms, name)
        if named is None:
            continue
        key = (check_kinds, name, named, getattr(terms, of, None), terms.currency, getattr(terms, "smile", None))
        if key not in index.memo:
            if name in CURVES and index.has_curve(named):
                index.curve_in(named, getattr(terms, of), f"the {name} of this contract")
            elif name not in CURVES:
                _check_volatility(terms, name, of, index)
            index.memo[key] = None


def _check_volatility(terms: InstrumentTerms, name: str, of: str, index: FactorIndex) -> None:
    named = getattr(terms, name)
    wanted = _class_of(terms, of, index)
    for factor in _points(index, named):
        asset = dict(factor.attributes).get("asset", named)
        found = (
            index.factors[index.row[asset]].risk_class
            if asset in index.row and asset != factor.risk_factor_id
            else wanted
        )
        if wanted and found != wanted:
            raise MissingRiskFactor(
                f"The {name} {named} is that of {asset}, of class {found}; this contract needs one of class {wanted}."
            )
        if factor.currency != terms.currency and (wanted is RiskClass.RATES or factor.type == "normal_price_vol"):
            raise MissingRiskFactor(
                f"The {name} {named} is of {factor.currency}; that of this contract must be of {terms.currency}."
            )
    if getattr(terms, "smile", None) and (
        (found_surface := surface(index, named)) is None or found_surface.coordinate is None
    ):
        raise MissingRiskFactor(
            f"The volatility {named} is the same at every strike, so that smile does nothing: leave smile out, or name a surface."
        )


def _points(index: FactorIndex, named: str) -> Iterator[RiskFactor]:
    """The factors of a volatility."""
    if named in index.row:
        yield index.factors[index.row[named]]
    yield from (f for f in index.factors if surface_of(f) == named)


def _class_of(terms: InstrumentTerms, of: str, index: FactorIndex) -> RiskClass | None:
    """What moves the option: the class of the price it is on, FX of a pair of currencies, else rates; None for a price not at hand."""
    if of in type(terms).model_fields:
        underlying = getattr(terms, of)
        return index.factors[index.row[underlying]].risk_class if underlying in index.row else None
    return RiskClass.FX if "base_currency" in type(terms).model_fields else RiskClass.RATES
