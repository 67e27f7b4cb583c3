"""The layouts in which other systems write sensitivities, told apart by their header: plain, CRIF and ORE.

Every layout gives the same rows: a gain, or for gammas a second difference of gains, for a bump of stated size and kind. Nothing is
converted here. Sources: ISDA, *SIMM: Risk Data Standards* (what a CRIF amount is of); Open Source Risk Engine, *User Guide* (sensitivity
and cross gamma reports).
"""

from __future__ import annotations

import datetime as dt
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from pathlib import Path
from typing import Any

import pyarrow as pa

from lake.errors import BadInput, Issue, counted, nearest, unknown
from lake.landing.delimited import TextRow, read_delimited
from lake.landing.numbers import doubles
from lake.landing.rows import NO_NAME, is_no_name, refuse
from lake.schemas import DIMENSION_COLUMNS
from scenarios.types import RiskClass

ABSOLUTE, RELATIVE = "absolute", "relative"
DELTA, GAMMA, CROSS_GAMMA, VEGA = "delta", "gamma", "cross gamma", "vega"
KINDS = (DELTA, GAMMA, CROSS_GAMMA, VEGA)
BASIS_POINT, PERCENT = 1e-4, 1e-2
_BUMP = re.compile(r"\+?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*(bp|%|abs|rel)", re.ASCII)
_UNITS = {"bp": (ABSOLUTE, BASIS_POINT), "%": (RELATIVE, PERCENT), "abs": (ABSOLUTE, 1.0), "rel": (RELATIVE, 1.0)}
_TOLD = 5  # reasons why rows are no sensitivities
_LEAST_BUMP, _MOST_BUMP = 1e-12, 1e12  # beyond, derivatives would overflow
_CURRENCY = re.compile("[A-Z]{3}")
_ATTRIBUTE = "attribute."
_dimensions = itemgetter(*DIMENSION_COLUMNS)

Row = dict[str, Any]


@dataclass
class FileRows:
    """What a file holds: the layout, its rows, those that are no sensitivities with the reason, how many amounts are zero."""

    layout: str
    read: int
    rows: list[Row] = field(default_factory=list)
    skipped: list[dict[str, Any]] = field(default_factory=list)
    zero: int = 0


class _Fault(Exception):
    """A cell that cannot be used: the column, what is wrong, what stood there."""

    def __init__(self, column: str, message: str, value: str | None = None, allowed: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.column, self.value, self.allowed = column, value, allowed


class _NoSensitivity(Exception):
    """A row of another kind; the message is the reason."""


def read_sensitivities(path: Path, as_of: dt.date | None) -> FileRows:
    """The rows of a file, all of one layout; raises `BadInput` with every fault.

    as_of : the day of a file without a date in its rows.
    """
    names, lines = read_delimited(path, "file of sensitivities")
    layout = next((name for name, (signs, _, _) in _LAYOUTS.items() if signs <= {_plain(n) for n in names}), None)
    if layout is None:
        expected = "; ".join(f"{name}: {', '.join(sorted(signs))}" for name, (signs, _, _) in _LAYOUTS.items())
        raise BadInput(
            f"{path.name} has columns of no layout ({', '.join(names[:12])}). The columns that tell one: {expected}."
        )
    _, columns, read = _LAYOUTS[layout]
    issues = [
        i
        for n in names
        if _plain(n) not in columns and not (layout == "plain" and n.startswith(_ATTRIBUTE))
        for i in unknown("column", n, columns.values(), pointer=n).issues
    ]
    refuse(path.name, issues)
    shown = {n: columns.get(_plain(n), n) for n in names}
    if as_of is None and "date" not in shown.values():
        raise BadInput(f"{path.name} has no column of dates; give the day of the file with as_of (--as-of 2020-03-16).")
    found = FileRows(layout, len(lines))
    texts: list[tuple[Row, str, str]] = []  # a row, the column of its amount, and its text
    for number, cells in lines:
        given = {shown[n]: v for n, v in cells.items()}
        try:
            if is_no_name("\t".join(given.values())):
                name = next(n for n, value in given.items() if is_no_name(value))
                raise _Fault(name, NO_NAME, ascii(given[name]))
            day = _day(given, as_of)
            for row, amount in read(given):
                row["as_of_date"], row["line"] = day, number
                texts.append((row, *amount))
        except _NoSensitivity as reason:
            found.skipped.append({"line": number, "reason": str(reason)})
        except _Fault as fault:
            issues.append(Issue(f"line {number}, {fault.column}", str(fault), fault.value, fault.allowed))
    amounts = doubles(pa.array([text for _, _, text in texts], pa.string())).to_pylist()
    for (row, column, text), amount in zip(texts, amounts, strict=True):
        if amount is None:
            issues.append(Issue(f"line {row['line']}, {column}", "expected a number of at most 1e16", text))
        elif amount == 0.0:
            found.zero += 1
        else:
            row["amount"] = amount
            found.rows.append(row)
    issues += _twice(found.rows)
    refuse(path.name, sorted(issues, key=lambda i: int(i.pointer.split()[1].rstrip(","))))
    if not found.rows:
        reasons = Counter(str(skipped["reason"]) for skipped in found.skipped).most_common(_TOLD)
        why = "".join(f"; {counted(n, 'row')}: {reason}" for reason, n in reasons)
        raise BadInput(
            f"{path.name} was not loaded: none of its {found.read:,} rows is a sensitivity other than zero{why}."
        )
    return found


def _twice(rows: Sequence[Row]) -> Iterator[Issue]:
    seen: dict[tuple[Any, ...], int] = {}
    for row in rows:
        first = seen.setdefault(identity(row), row["line"])
        if first != row["line"]:
            yield Issue(f"line {row['line']}", f"the same sensitivity stands in line {first} already", row["factor"])


def identity(row: Row) -> tuple[Any, ...]:
    """What no two sensitivities of a source and day have in common."""
    pair, attributes = (row["factor"], row["factor_2"]), tuple(row["attributes"].items())
    if pair[1] is not None:
        pair = tuple(sorted(pair))
    if len(attributes) > 1:
        attributes = tuple(sorted(attributes))
    return (row["as_of_date"], row["kind"], pair, row["currency"], _dimensions(row), attributes)


def _plain(name: str) -> str:
    return re.sub(r"[\s_]", "", name).lower()


def _day(given: TextRow, as_of: dt.date | None) -> dt.date:
    text = given.get("date")
    if text is None:
        if as_of is None:
            raise _Fault("date", "is empty; every row has one, or as_of is given for all")
        return as_of
    try:
        day = dt.date.fromisoformat(text) if len(text) == 10 else None
    except ValueError:
        day = None
    if day is None:
        raise _Fault("date", "expected a date YYYY-MM-DD", text)
    if as_of not in (None, day):
        raise _Fault("date", f"another day than the {as_of} that was given as as_of", text)
    return day


def _needed(given: TextRow, name: str) -> str:
    if name not in given:
        raise _Fault(name, "is empty; every row has one")
    return given[name]


def _currency(given: TextRow, name: str) -> str:
    text = _needed(given, name)
    if not _CURRENCY.fullmatch(text):
        raise _Fault(name, "expected an ISO 4217 currency, such as USD", text)
    return text


_EMPTY: Row = dict.fromkeys([*DIMENSION_COLUMNS, "factor_2", "move_2", "bump_2", "risk_class"])


def _row(kind: str, factor: str, move: str, bump: float | None, currency: str, **more: Any) -> Row:
    return {
        **_EMPTY,
        "attributes": {},
        "kind": kind,
        "factor": factor,
        "move": move,
        "bump": bump,
        "currency": currency,
        **more,
    }


_Read = Iterator[tuple[Row, tuple[str, str]]]


def _bump(given: TextRow, name: str) -> tuple[str, float]:
    text = _needed(given, name)
    found = _BUMP.fullmatch(text)
    size = float(f"{found[1]}{found[2] or ''}") if found else 0.0
    if found is None or not _LEAST_BUMP <= size <= _MOST_BUMP:
        raise _Fault(name, "expected the size of the bump: 1bp, 1% (of the level), 0.01 abs or 0.01 rel", text)
    move, unit = _UNITS[found[3]]
    return move, size * unit


def _of_plain(given: TextRow) -> _Read:
    kind = _needed(given, "kind").lower().replace("_", " ").replace("-", " ")
    if kind not in KINDS:
        raise _Fault("kind", f"expected {', '.join(KINDS)}", given["kind"], nearest(kind, KINDS))
    move, bump = _bump(given, "bump")
    more: Row = {d: given.get(d) for d in DIMENSION_COLUMNS}
    if (kind == CROSS_GAMMA) != ("factor_2" in given):
        raise _Fault("factor_2", "a cross gamma has a second factor, and nothing else has", given.get("factor_2"))
    if kind == CROSS_GAMMA:
        move_2, bump_2 = _bump(given, "bump_2")
        more |= {"factor_2": given["factor_2"], "move_2": move_2, "bump_2": bump_2}
        if given["factor_2"] == _needed(given, "factor"):
            raise _Fault("factor_2", "is the first factor again, which is a gamma", given["factor_2"])
    if (risk_class := given.get("risk_class")) is not None:
        if risk_class not in set(RiskClass):
            raise _Fault("risk_class", f"expected {', '.join(RiskClass)}", risk_class, nearest(risk_class, RiskClass))
        more["risk_class"] = risk_class
    more["attributes"] = {n.removeprefix(_ATTRIBUTE): v for n, v in given.items() if n.startswith(_ATTRIBUTE)}
    row = _row(kind, _needed(given, "factor"), move, bump, _currency(given, "currency"), **more)
    yield row, ("amount", _needed(given, "amount"))


_RATES, _CREDIT, _VOLATILITY = RiskClass.RATES.value, RiskClass.CREDIT.value, RiskClass.VOLATILITY.value
# SIMM risk type: risk class, how the amount's bump moves the factor, and its size. An amount of vega of rates and credit is volatility x
# dV/dvolatility; of shares, currencies and commodities it is of one point, since SIMM multiplies it by a volatility of its own
CRIF: Mapping[str, tuple[str, str, float]] = {
    "Risk_IRCurve": (_RATES, ABSOLUTE, BASIS_POINT),
    "Risk_Inflation": (_RATES, ABSOLUTE, BASIS_POINT),
    "Risk_XCcyBasis": (_RATES, ABSOLUTE, BASIS_POINT),
    "Risk_CreditQ": (_CREDIT, ABSOLUTE, BASIS_POINT),
    "Risk_CreditNonQ": (_CREDIT, ABSOLUTE, BASIS_POINT),
    "Risk_BaseCorr": (_CREDIT, ABSOLUTE, PERCENT),
    "Risk_Equity": (RiskClass.EQUITY.value, RELATIVE, PERCENT),
    "Risk_Commodity": (RiskClass.COMMODITY.value, RELATIVE, PERCENT),
    "Risk_FX": (RiskClass.FX.value, RELATIVE, PERCENT),
    **dict.fromkeys(
        ("Risk_IRVol", "Risk_InflationVol", "Risk_CreditVol", "Risk_CreditVolNonQ"),
        (_VOLATILITY, RELATIVE, 1.0),
    ),
    **dict.fromkeys(
        ("Risk_EquityVol", "Risk_CommodityVol", "Risk_FXVol"), (_VOLATILITY, ABSOLUTE, PERCENT)
    ),
}  # fmt: skip


# risk types of a CRIF of FRTB's standardised approach, such as GIRR_DELTA, CSR_NS_VEGA, EQ_CURV, DRC_NS and RRAO_1_PERCENT
_FRTB = re.compile(r"(Risk_)?((GIRR|CSR|EQ|FX|COMM)\w*_?(DELTA|VEGA|CURV\w*)|(DRC|RRAO)\w*)", re.IGNORECASE)


def _of_crif(given: TextRow) -> _Read:
    kind = _needed(given, "RiskType")
    if kind not in CRIF:
        if kind.startswith("Risk_") and not _FRTB.fullmatch(kind):
            raise _Fault("RiskType", f"expected one of {', '.join(CRIF)}", kind, nearest(kind, CRIF))
        if _FRTB.fullmatch(kind):
            raise _NoSensitivity(
                f"risk type {kind} is of the standardised approach of FRTB, whose sensitivities are not read from files: frtb-sa makes "
                "its own from the positions"
            )
        raise _NoSensitivity(f"risk type {kind} is no sensitivity of SIMM")
    risk_class, move, bump = CRIF[kind]
    # AmountUSD is what SIMM computes with; AmountCurrency stands where it is empty
    column, currency = ("AmountUSD", "USD") if "AmountUSD" in given else ("Amount", _currency(given, "AmountCurrency"))
    qualifier = _needed(given, "Qualifier")
    if kind == "Risk_FX" and len(qualifier) == 3:
        if qualifier == currency:
            raise _NoSensitivity(f"{currency} does not move against itself")
        qualifier += currency  # of the amount for 1% of this currency against that of the amount
    parts = (kind, qualifier, given.get("Bucket", ""), given.get("Label1", ""), given.get("Label2", ""))
    row = _row(
        VEGA if risk_class == _VOLATILITY else DELTA,
        "/".join(parts).rstrip("/"),
        move,
        bump,
        currency,
        risk_class=risk_class,
        trade=given.get("TradeID"),
        portfolio=given.get("PortfolioID"),
        attributes={"product_class": given["ProductClass"]} if "ProductClass" in given else {},
    )
    yield row, (column, _needed(given, column))


# type of an ORE factor: its risk class; shift sizes are absolute in ORE's report, of whatever moves relatively too
_ORE = {
    **dict.fromkeys(("DiscountCurve", "YieldCurve", "IndexCurve", "ZeroInflationCurve", "YoYInflationCurve"), _RATES),
    **dict.fromkeys(
        ("SurvivalProbability", "RecoveryRate", "SecuritySpread", "BaseCorrelation", "CDSVolatility"), _CREDIT
    ),
    **dict.fromkeys(("EquitySpot", "DividendYield", "EquityForecastCurve"), RiskClass.EQUITY.value),
    "FXSpot": RiskClass.FX.value,
    "CommodityCurve": RiskClass.COMMODITY.value,
}
_NONE = ("#N/A", "N/A", "NaN", "nan")


def _of_ore(given: TextRow) -> _Read:
    currency, trade = _currency(given, "Currency"), _needed(given, "TradeId")
    par = given.get("IsPar", "false").lower()
    if par not in ("true", "false"):
        raise _Fault("IsPar", "expected true or false", par)
    factor, second = _needed(given, "Factor_1"), given.get("Factor_2")
    key = factor.partition("/")[0]
    volatility = "Volatility" in key
    more: Row = {
        "trade": trade,
        "risk_class": _VOLATILITY if volatility else _ORE.get(key),
        "attributes": {"is_par": par} | ({"netting_set": given["NettingSetId"]} if "NettingSetId" in given else {}),
    }
    bump = _shift(given, "ShiftSize_1")
    if second is None:
        kinds = {"Delta": VEGA if volatility else DELTA, "Gamma": GAMMA}
    else:
        kinds = {"Gamma": CROSS_GAMMA}
        more |= {"factor_2": second, "move_2": ABSOLUTE, "bump_2": _shift(given, "ShiftSize_2")}
    for column, kind in kinds.items():
        if given.get(column) not in (None, *_NONE):
            yield _row(kind, factor, ABSOLUTE, bump, currency, **more), (column, given[column])


def _shift(given: TextRow, name: str) -> float | None:
    """The shift; None where the report shows it as zero, having too few decimals for it."""
    text = _needed(given, name)
    size = doubles(pa.array([text]))[0].as_py()
    if size is None or (size and not _LEAST_BUMP <= size <= _MOST_BUMP):
        raise _Fault(name, "expected a shift size", text)
    return size or None


def _columns(*names: str) -> dict[str, str]:
    return {_plain(n): n for n in names}


# name: the columns that tell it, all its columns, and what reads a row
_LAYOUTS: Mapping[str, tuple[set[str], dict[str, str], Callable[[TextRow], _Read]]] = {
    "crif": (
        {"risktype", "qualifier"},
        {
            "valuationdate": "date",
            **_columns("TradeID", "PortfolioID", "ProductClass", "RiskType", "Qualifier", "Bucket", "Label1", "Label2"),
            **_columns("Amount", "AmountCurrency", "AmountUSD", "IMModel", "Model", "EndDate", "Match", "CollectRegulations"),
            **_columns("PostRegulations", "AgreementType", "CallType", "InitialMarginType", "LegalEntityID", "CounterpartyID"),
        },
        _of_crif,
    ),
    "ore": (
        {"tradeid", "factor1", "shiftsize1"},
        {
            **_columns("TradeId", "NettingSetId", "IsPar", "Factor_1", "ShiftSize_1", "Factor_2", "ShiftSize_2", "Currency"),
            **_columns("Base NPV", "Base XVA", "Delta", "Gamma"),
            # the same in the currency of the trade, which nothing is read from
            **_columns("Currency(Trade)", "Base NPV(Trade)", "Delta(Trade)", "Gamma(Trade)"),
        },
        _of_ore,
    ),
    "plain": (
        {"factor", "kind", "amount", "bump"},
        _columns("date", "factor", "factor_2", "kind", "amount", "currency", "bump", "bump_2", "risk_class", *DIMENSION_COLUMNS),
        _of_plain,
    ),
}  # fmt: skip
