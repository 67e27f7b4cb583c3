"""Suggests the mapping of a bank's own positions file: which columns are which terms, units of rates, and what is only for some types."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from lake.landing.mapping import TYPE, MappedColumn, mapped, plain_number
from lake.landing.positions import check_positions, faults_by_reason
from lake.landing.positions_file import ACTION, KINDS, REQUIRED, positions_of
from lake.landing.suggest import (
    DIMENSION_HEADERS,
    LOOKED_AT,
    SHOWN_ROWS,
    Known,
    Suggestion,
    leave_out,
    plain_name,
    shown,
    suggest_columns,
)
from valuation.books.positions import contract_row
from valuation.catalogue import INSTRUMENTS, term_kinds
from valuation.instruments.schedules import DAY_COUNTS

_YEARLY = ("annual", "annually", "yearly", "1y", "12m", "jahrlich")
_HALF = ("semi", "semiannual", "semiannually", "semi-annual", "6m", "halbjahrlich")
_QUARTER = ("quarterly", "3m", "vierteljahrlich")
_FREQUENCY = {"1": _YEARLY, "2": _HALF, "4": _QUARTER}
_DAY_COUNT = dict.fromkeys(DAY_COUNTS, ()) | {
    "Thirty360": ("30360", "30/360", "30u360"),
    "Actual360": ("act360", "a360"),
    "Actual365Fixed": ("act365", "act365f", "actual365"),
    "ActualActualISMA": ("actact", "actactisma", "actacticma"),
}
_TYPES: Mapping[str, tuple[str, ...]] = {
    "cash_equity": ("equity", "equities", "stock", "share", "shares", "aktie", "aktien", "commonstock", "etf", "eq", "cash"),
    "equity_option": ("option", "optionen", "stockoption", "eqoption", "put", "call", "optn"),
    "equity_forward": ("equityfwd", "stockforward", "aktientermin"),
    "equity_future": ("future", "futures", "indexfuture", "stockfuture", "fut"),
    "variance_swap": ("varswap", "varianceswap", "varianzswap"),
    "fx_forward": ("fxfwd", "fx", "forward", "outright", "devisentermin", "devisentermingeschaft"),
    "government_bond": ("bond", "govt", "govtbond", "govbond", "treasury", "anleihe", "staatsanleihe", "anleihen"),
    "interest_rate_swap": ("swap", "irs", "rateswap", "zinsswap"),
    "cap_floor": ("cap", "floor", "capfloor", "zinscap"),
    "swaption": ("europeanswaption", "swapoption"),
    "bermudan_swaption": ("bermudan", "bermuda"),
    "commodity_forward": ("commodity", "commodityfwd", "commfwd", "rohstofftermin"),
}  # fmt: skip
_HEADERS: Mapping[str, tuple[str, ...]] = {
    "positions_date": ("asofdate", "asof", "cobdate", "cob", "businessdate", "reportdate", "positiondate", "stichtag", "bewertungstag",
                       "datum", "date"),
    "quantity": ("qty", "units", "shares", "stuck", "stuckzahl", "anzahl", "menge", "notional", "notionalamount", "nominal", "nominale",
                 "nominalbetrag", "facevalue", "facevalueamount", "positionsize", "size", "position", "amount", "betrag"),
    TYPE: ("type", "product", "producttype", "assettype", "securitytype", "sectype", "insttype", "assetclass", "produktart",
                                   "produkt", "art", "typ", "gattung"),
    "currency": ("ccy", "cur", "curr", "wahrung", "whrg", "devise"),
    "underlying": ("underlyer", "underlyingid", "underlyingticker", "ticker", "symbol", "basiswert", "riskfactor", "ric"),
    "volatility": ("volsurface", "vol", "impliedvol"),
    "strike": ("strikeprice", "exerciseprice", "basispreis", "ausubungspreis", "forwardprice", "contractrate"),
    "reference_price": ("futuresprice", "tradedprice", "settlementprice"),
    "volatility_strike": ("volstrike", "strikevol"),
    "expiry": ("expirydate", "expiration", "expirationdate", "exp", "verfall", "verfalltag", "verfallsdatum"),
    "maturity": ("maturitydate", "mat", "enddate", "end", "falligkeit", "fallig", "laufzeitende", "endfalligkeit", "settlementdate"),
    "start": ("startdate", "effectivedate", "effective", "beginn", "laufzeitbeginn"),
    "issue_date": ("issue", "issued", "dated", "ausgabetag", "emission"),
    "option_type": ("putcall", "callput", "pc", "cp", "optionsart", "optiontype"),
    "coupon": ("couponrate", "cpn", "kupon", "zinssatz", "rate"),
    "fixed_rate": ("fixrate", "swaprate", "fixedcoupon", "festsatz", "festzins", "rate", "zinssatz"),
    "frequency": ("couponfrequency", "freq", "zinsrhythmus"),
    "dividend_yield": ("dividend", "dividendrate", "divyield", "dividende"),
    "pay_fixed": ("payreceive", "payrec", "payrcv", "fixedleg"),
    "day_count": ("daycount", "daycountconvention", "basis", "zinsmethode"),
    "base_currency": ("buycurrency", "buyccy", "ccy1"),
    "discount_curve": ("curve", "discountingcurve", "zinskurve"),
}  # fmt: skip
_WORDS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    TYPE: _TYPES,
    "option_type": {"call": ("c", "calls", "kaufoption"), "put": ("p", "puts", "verkaufsoption")},
    "pay_fixed": {"true": ("pay", "p", "payer", "payfixed", "yes", "y"), "false": ("receive", "rec", "r", "receiver", "no", "n")},
    **dict.fromkeys(("frequency", "fixed_frequency", "float_frequency"), _FREQUENCY),
    **dict.fromkeys(("day_count", "fixed_day_count", "float_day_count"), _DAY_COUNT),
    ACTION: {"new": ("insert", "add", "neu"), "amend": ("update", "change", "anderung"), "remove": ("delete", "cancel", "storno")},
}  # fmt: skip
# a term that a file has under another's name, and what stands before it there
_ELSEWHERE = {
    "expiry": ("maturity", ""),
    "maturity": ("expiry", ""),
    "volatility": ("underlying", "IV:"),
    "discount_curve": ("currency", ""),
}
_HIGH_RATE = 0.25
_BOND = "government_bond"
_COUNTS = (
    "quantity",
    "qty",
    "units",
    "stuck",
    "stuckzahl",
    "anzahl",
    "menge",
)  # headers of what is counted, not of face amounts
_FRACTIONS = {
    (n, "fraction" in (f.description or "")) for m in INSTRUMENTS.values() for n, f in m.Terms.model_fields.items()
}
_RATES = {n for n, fraction in _FRACTIONS if fraction and (n, False) not in _FRACTIONS}  # a strike is a price too
_SHARES = {"cash_equity", "equity_option", "equity_forward", "equity_future", "variance_swap"}


def suggest_positions(path: str | Path) -> Suggestion:
    """The mapping that the file seems to need, with its doubts, and its first rows as they would load by it.

    Raises `BadInput` for a file that cannot be read at all.
    """
    kinds = {**KINDS, **term_kinds(), ACTION: "text"}
    headers = {**DIMENSION_HEADERS, **_HEADERS}
    names = [*dict.fromkeys((*REQUIRED, "currency", *kinds))]
    known = {n: Known(kinds.get(n, "text"), headers.get(n, ()), _WORDS.get(n, {}), n in REQUIRED) for n in names}
    sheet, guess = suggest_columns(Path(path), known, "positions_date")
    head = dataclasses.replace(sheet, cells=sheet.cells.slice(0, LOOKED_AT), lines=sheet.lines[:LOOKED_AT])
    read = mapped(head, guess.mapping, kinds).columns
    columns = dict(guess.mapping.columns)
    types = {t for t in pc.unique(read[TYPE]).to_pylist() if t in INSTRUMENTS} if TYPE in read else set()
    filled = {
        n: {t for t in types if pc.any(pc.and_(pc.equal(read[TYPE], t), read[n].is_valid())).as_py()} for n in columns
    }
    _names_of_factors(columns, types, read, guess.doubts)
    _face_amounts(columns, types, guess.doubts)
    for kind in sorted(types):
        for term, field in INSTRUMENTS[kind].Terms.model_fields.items():
            if field.is_required() and term not in columns:
                _elsewhere(columns, term, types, guess.doubts)
            if field.is_required() and term not in columns:
                guess.doubts.append(
                    f"Rows of {kind} need {term} ({field.description}), and no column was recognised as that: name its column, or, "
                    f'where it is the same for all, {term} = {{ constant = "...", only_for = ["{kind}"] }}.'
                )
    for term in [n for n in columns if n in term_kinds()]:
        having = {t for t in types if term in INSTRUMENTS[t].Terms.model_fields}
        if types and not having:
            del columns[term]
            continue
        if types and filled.get(term, types) - having:
            columns[term] = columns[term].model_copy(update={"only_for": tuple(sorted(having))})
        _percent(columns, term, read, guess.doubts)
    guess.mapping = guess.mapping.model_copy(update={"columns": columns})
    leave_out(guess, head)
    done = mapped(head, guess.mapping, kinds)
    first = min(SHOWN_ROWS, len(done.lines))
    guess.rows = shown({n: c for n, c in done.columns.items() if c.null_count < len(c)}, range(first))
    if not done.issues and not {"positions_date", "trade", "quantity", TYPE} - {*done.columns}:
        file = positions_of(head, term_kinds(), REQUIRED, guess.mapping, kinds, (ACTION,))
        guess.faults = [dict(r) for r in faults_by_reason(check_positions(file, contract_row).rejections)]
    return guess


def _names_of_factors(
    columns: dict[str, MappedColumn], types: set[str], read: Mapping[str, pa.Array], doubts: list[str]
) -> None:
    """Names of risk factors and of what people hold, where the file has one of the two."""
    instrument, underlying = columns.get("instrument"), columns.get("underlying")
    having = {t for t in types if "underlying" in INSTRUMENTS[t].Terms.model_fields}
    if underlying is None and instrument is not None and instrument.from_ and having:
        underlying = columns["underlying"] = instrument
        doubts.append(f"The risk factor is made of {instrument.from_!r}, for lack of a column of its own.")
    if underlying is None or underlying.from_ is None:
        return
    if instrument is None or instrument.constant:
        empty = "underlying" in read and read["underlying"].null_count
        columns["instrument"] = MappedColumn(from_=underlying.from_, values={"": "unnamed"} if empty else {})
        doubts[:] = [d for d in doubts if not d.startswith("No column was recognised as instrument:")]
        doubts.append(
            f"The name people use for what is held is taken from {underlying.from_!r} too"
            + (", and is 'unnamed' where that is empty." if empty else ".")
        )
    name = next(n for n in ("underlying", "instrument") if n in read)
    if having and not pc.any(pc.match_substring(read[name], ":")).as_py():
        prefix = "EQ:" if having <= _SHARES else "CMD:" if having.isdisjoint(_SHARES) else ""
        columns["underlying"] = underlying.model_copy(update={"prefix": prefix})
        doubts.append(
            f"Names of risk factors are {underlying.from_!r} with {prefix} before it: see that the market data calls them so."
            if prefix
            else f"{underlying.from_!r} has shares and commodities, whose risk factors begin with EQ: and CMD:. Name each in its values."
        )


def _face_amounts(columns: dict[str, MappedColumn], types: set[str], doubts: list[str]) -> None:
    """A bond's unit is 100 of face, and files have its face amount."""
    amount = columns.get("quantity")
    if _BOND not in types or amount is None:
        return
    if plain_name(str(amount.from_)) in _COUNTS:
        doubts.append(
            f"Bonds are counted in 100 of face. If {amount.from_!r} is their face amount, "
            f'add unit_for = {{ {_BOND} = "0.01" }} to quantity.'
        )
        return
    columns["quantity"] = amount.model_copy(update={"unit_for": {_BOND: "0.01"}})
    doubts.append(
        f"{amount.from_!r} is taken for the face amount of bonds, which are counted in 100 of face: divided by a hundred."
    )


def _elsewhere(columns: dict[str, MappedColumn], term: str, types: set[str], doubts: list[str]) -> None:
    """Takes a term from the column of another one, where a file usually has one for both."""
    other, prefix = _ELSEWHERE.get(term, ("", ""))
    source = columns.get(other)
    if source is None or not source.from_ or (prefix and not source.prefix):
        return
    having = tuple(sorted(t for t in types if term in INSTRUMENTS[t].Terms.model_fields))
    columns[term] = source.model_copy(update={"prefix": prefix, "only_for": having})
    doubts.append(
        f"{term} of {', '.join(having)} is taken from {source.from_!r}"
        + (f", with {prefix} before it." if prefix else ".")
    )


def _percent(columns: dict[str, MappedColumn], term: str, read: Mapping[str, pa.Array], doubts: list[str]) -> None:
    """Rates of 1 and above are percentages: as fractions they would be a hundred percent a year."""
    if term not in read or term not in _RATES:
        return
    rates = [abs(float(t)) for t in read[term].drop_null().unique().to_pylist() if plain_number(t) is not None]
    theirs, most = columns[term].from_, max(rates, default=0)
    if most >= 1:
        columns[term] = columns[term].model_copy(update={"unit": "percent"})
        doubts.append(f"{theirs!r} is read in percent, since it reaches {most:g}.")
    elif most > _HIGH_RATE:
        doubts.append(
            f'{theirs!r} is read as a fraction, so that its largest is {most:.0%}; if it is in percent, add unit = "percent".'
        )
