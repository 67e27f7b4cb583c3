"""INSTRUMENTS: instrument type to its module. The one place to add an instrument."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from typing import Any, get_args, get_origin

from pydantic import ValidationError

from lake.errors import BadInput, Issue, in_words, nearest, unknown
from lake.landing.mapping import Kind
from lake.words import clause
from scenarios.types import IMPORTED, FactorIndex
from valuation.instruments.commodity import (
    commodity_american_option,
    commodity_forward,
    commodity_future,
    commodity_option,
    commodity_spread_option,
    commodity_swap,
)
from valuation.instruments.credit import credit_default_swap, credit_index, risky_bond
from valuation.instruments.equity import (
    cash_equity,
    equity_american_option,
    equity_asian_option,
    equity_barrier_option,
    equity_digital_option,
    equity_forward,
    equity_future,
    equity_option,
    variance_swap,
)
from valuation.instruments.fx import (
    fx_american_option,
    fx_barrier_option,
    fx_digital_option,
    fx_forward,
    fx_option,
    fx_spot,
    fx_swap,
    non_deliverable_forward,
)
from valuation.instruments.kinds import check_kinds
from valuation.instruments.rates import (
    amortising_bond,
    basis_swap,
    bermudan_swaption,
    bond_forward,
    bond_future,
    cap_floor,
    cross_currency_swap,
    deposit,
    fixed_bond,
    floating_bond,
    forward_rate_agreement,
    government_bond,
    inflation_bond,
    inflation_swap,
    interest_rate_swap,
    overnight_swap,
    step_bond,
    swaption,
    zero_bond,
)
from valuation.kernels import elementary
from valuation.types import NOT_OURS, Instrument, InstrumentTerms, NotValuable

INSTRUMENTS: dict[str, Instrument] = {
    "cash_equity": cash_equity,
    "equity_forward": equity_forward,
    "equity_future": equity_future,
    "equity_option": equity_option,
    "equity_american_option": equity_american_option,
    "equity_digital_option": equity_digital_option,
    "equity_barrier_option": equity_barrier_option,
    "equity_asian_option": equity_asian_option,
    "variance_swap": variance_swap,
    "fx_spot": fx_spot,
    "fx_forward": fx_forward,
    "fx_swap": fx_swap,
    "non_deliverable_forward": non_deliverable_forward,
    "fx_option": fx_option,
    "fx_american_option": fx_american_option,
    "fx_digital_option": fx_digital_option,
    "fx_barrier_option": fx_barrier_option,
    "government_bond": government_bond,
    "zero_bond": zero_bond,
    "fixed_bond": fixed_bond,
    "step_bond": step_bond,
    "amortising_bond": amortising_bond,
    "floating_bond": floating_bond,
    "bond_forward": bond_forward,
    "bond_future": bond_future,
    "inflation_bond": inflation_bond,
    "inflation_swap": inflation_swap,
    "deposit": deposit,
    "forward_rate_agreement": forward_rate_agreement,
    "interest_rate_swap": interest_rate_swap,
    "overnight_swap": overnight_swap,
    "basis_swap": basis_swap,
    "cross_currency_swap": cross_currency_swap,
    "cap_floor": cap_floor,
    "swaption": swaption,
    "bermudan_swaption": bermudan_swaption,
    "credit_default_swap": credit_default_swap,
    "credit_index": credit_index,
    "risky_bond": risky_bond,
    "commodity_forward": commodity_forward,
    "commodity_future": commodity_future,
    "commodity_swap": commodity_swap,
    "commodity_option": commodity_option,
    "commodity_american_option": commodity_american_option,
    "commodity_spread_option": commodity_spread_option,
}


def instrument(instrument_type: str) -> Instrument:
    """The module of an instrument type; raises `BadInput` with the nearest names, `NotValuable` for an imported vector."""
    if instrument_type == IMPORTED:
        raise NotValuable(IMPORTED, NOT_OURS)
    if instrument_type not in INSTRUMENTS:
        raise unknown("instrument type", instrument_type, INSTRUMENTS)
    return INSTRUMENTS[instrument_type]


def factors_of(terms: InstrumentTerms, index: FactorIndex, valuation_date: dt.date) -> tuple[str, ...]:
    """Ids of the risk factors that decide the value of a contract on a date, each once.

    Raises `MissingRiskFactor` for one that is not at hand, or is not of the currency or kind that the contract needs.
    """
    check_kinds(terms, index)
    return instrument(terms.instrument_type).risk_factors(terms, index, valuation_date)


def pricer_version(instrument_type: str) -> str:
    """Changes whenever the same terms and levels may give other bits; part of every fingerprint."""
    return f"{instrument_type}/{instrument(instrument_type).VERSION}+{elementary.VERSION}"


def all_term_fields() -> dict[str, tuple[str, ...]]:
    """Every term, sorted, with the instrument types that have it: the term columns of a positions file."""
    having: dict[str, tuple[str, ...]] = {}
    for instrument_type, module in INSTRUMENTS.items():
        for name in module.Terms.model_fields:
            having[name] = (*having.get(name, ()), instrument_type)
    return dict(sorted(having.items()))


def term_kinds() -> dict[str, Kind]:
    """Every term, sorted, with what stands in its column: a number, a date or text."""
    types = {n: f.annotation for module in INSTRUMENTS.values() for n, f in module.Terms.model_fields.items()}
    return {n: _kind(types[n]) for n in sorted(types)}


def _kind(annotation: Any) -> Kind:
    parts = _parts(annotation)
    if parts & {dict, list, tuple}:
        return "text"
    return "date" if dt.date in parts else "number" if parts & {int, float} else "text"


def _parts(annotation: Any) -> set[Any]:
    return {annotation, get_origin(annotation)}.union(*map(_parts, get_args(annotation)))


def parse_terms(instrument_type: str, terms: Mapping[str, Any]) -> InstrumentTerms:
    """Terms from columns of a positions file, texts or typed values; None and empty texts count as absent.

    Raises `BadInput` with an `Issue` for every fault: column, value, what is expected.
    """
    model = instrument(instrument_type).Terms
    given = {k: v for k, v in terms.items() if v is not None and not (isinstance(v, str) and not v.strip())}
    try:
        return model.model_validate(given)
    except ValidationError as error:
        raise _bad_terms(instrument_type, model, error) from None


def terms_from_json(instrument_type: str, text: str) -> InstrumentTerms:
    """Terms from the canonical JSON the lake holds; raises `BadInput` as `parse_terms` does."""
    model = instrument(instrument_type).Terms
    try:
        return model.model_validate_json(text)
    except ValidationError as error:
        raise _bad_terms(instrument_type, model, error) from None


def _bad_terms(instrument_type: str, model: type[InstrumentTerms], error: ValidationError) -> BadInput:
    issues = []
    for fault in error.errors(include_url=False):
        name = str(fault["loc"][0]) if fault["loc"] else ""
        # of a term that is a list or a table
        inner = ", ".join(f"entry {p + 1}" if isinstance(p, int) else str(p) for p in fault["loc"][1:] if p != "[key]")
        message = f"{inner + ': ' if inner else ''}{in_words(fault)}"
        allowed: tuple[str, ...] = ()
        if fault["type"] == "extra_forbidden":
            allowed = nearest(name, model.model_fields)
            message = f"{instrument_type} has no such term; nearest: {', '.join(allowed)}"
        elif name in model.model_fields:
            # a pattern is no help to a reader, and what is meant stands in the description
            said = "is not of this form" if fault["type"] == "string_pattern_mismatch" else message
            about = model.model_fields[name].description
            message = f"{said} ({about})" if "expected" in said else f"{said}; expected: {about}"
        value = None if fault["type"] == "missing" or not name else _shown(fault["input"])
        issues.append(Issue(name, message, value, allowed))
    listed = "; ".join(
        f"{i.pointer or 'terms'}{'' if i.value is None else f' = {i.value}'}: {clause(i.message)}" for i in issues
    )
    return BadInput(f"The terms of this {instrument_type} are not valid: {listed}.", issues=issues)


def _shown(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    return text if len(text) <= 80 else text[:77] + "..."
