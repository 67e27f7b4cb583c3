"""Positions in, where the files meet the instruments: term columns come from the catalogue, contracts from its terms."""

from __future__ import annotations

import dataclasses
import datetime as dt
import functools
from collections.abc import Callable, Mapping
from pathlib import Path

from lake.committer import Committer
from lake.errors import BadInput, Issue, unknown
from lake.landing import positions
from lake.landing.mapping import FileMapping
from lake.landing.positions import PositionsReport
from lake.tables import Lake
from scenarios.market.landing_catalogue import shipped_factors
from scenarios.types import FactorIndex, MissingRiskFactor, RiskFactor
from valuation.books.contracts import contract_notes
from valuation.books.trade_files.formats import trade_sheet
from valuation.catalogue import INSTRUMENTS, factors_of, parse_terms, term_kinds
from valuation.types import Contract, InstrumentTerms, NotValuable

_REPORTING = ("USD", "EUR")  # into one of them a contract's currency is converted


def ingest_positions(
    committer: Committer,
    path: str | Path,
    *,
    replace_dates: bool = False,
    force: bool = False,
    rejects: str | Path | None = None,
    accept_unknown_factors: bool = False,
    mapping: FileMapping | None = None,
    as_of: dt.date | None = None,
    party: str | None = None,
) -> PositionsReport:
    """Loads a positions file (docs/positions.md) into the lake; unusable rows are in the report, the others load.

    A file of trades (docs/trades.md) is one too, of the day `as_of`, an FpML document as `party` sees it.

    The file's row of a trade wins over the lake's row of that date. With `replace_dates` each date of the file becomes
    exactly its usable rows, else other trades of the date stay; where rows are rejected and trades would go, only with
    `force`. `rejects` names a CSV for the rejected rows. A row whose contract reads a risk factor or an exchange rate that
    neither the lake's market data nor a shipped catalogue knows is unusable, unless with `accept_unknown_factors`. `mapping` says
    how a file with columns of its own is read. Raises `BadInput` when the file as a whole is unusable: not readable, unknown or
    missing columns, no rows.
    """
    with_calendar: list[Contract] = []
    market = _KnownMarket(committer.lake)

    def row(instrument_type: str, terms: Mapping[str, str]) -> dict[str, str]:
        parsed = _parsed(instrument_type, terms)
        made = _row(parsed)
        if not accept_unknown_factors:
            market.check(parsed, terms)
        if "calendar" in terms:
            with_calendar.append(Contract(made["contract_id"], instrument_type, made["terms"]))
        return made

    report = positions.ingest(
        committer,
        path,
        term_kinds(),
        row,
        mapping=mapping,
        replace_dates=replace_dates,
        force=force,
        rejects=rejects,
        sheet=trade_sheet(Path(path), as_of, party),
    )
    notes = contract_notes(with_calendar, report.dates[0].positions_date) if report.dates else ()
    return dataclasses.replace(report, notes=(*report.notes, *notes, *market.notes()))


_ANY_DAY = dt.date(2000, 1, 1)  # which pillars of a curve are read depends on the day, whether it is at hand does not


class _KnownMarket:
    """The risk factors that contracts may read: those of the lake, and those that a shipped catalogue describes."""

    def __init__(self, lake: Lake) -> None:
        rows = lake.read("risk_factors").to_pylist(maps_as_pydicts="strict")
        self._index = FactorIndex.of(RiskFactor.from_dict(r) for r in rows)
        self._not_loaded: set[str] = set()  # contract ids
        self._converted: set[str] = set()

    def check(self, parsed: InstrumentTerms, terms: Mapping[str, str]) -> None:
        """Raises `BadInput` for a contract whose risk factors nobody knows; in a lake without market data for none."""
        if not self._index.factors:
            return
        try:
            _read(parsed, self._index, self._converted)
        except NotValuable:  # of its dates or the quotes of a curve: it loads, and its valuation says why it has none
            return
        except MissingRiskFactor as error:
            try:
                _read(parsed, self._with_shipped, set())
            except MissingRiskFactor:
                issue = next(iter(error.issues), Issue("", error.message))
                named = (
                    t
                    for t, cell in terms.items()
                    if cell == issue.value or (issue.value is None and cell in error.message.split())
                )
                column = next(named, "currency")
                reason = (
                    f"{error.message} No market data here has it: correct it, bring its market data in first, or accept "
                    "unknown factors"
                )
                given = issue.value if issue.value is not None else terms.get(column)
                raise BadInput(reason, issues=(Issue(column, reason, given, issue.allowed),)) from None
            except NotValuable:
                return
            self._not_loaded.add(parsed.contract_id())

    @functools.cached_property
    def _with_shipped(self) -> FactorIndex:
        """What the lake knows, and what a catalogue adds: a curve of the lake keeps its own pillars."""
        own, curves = self._index.row, {f.curve for f in self._index.factors if f.curve is not None}
        more = (f for f in shipped_factors().factors if f.risk_factor_id not in own and f.curve not in curves)
        return FactorIndex.of((*self._index.factors, *more))

    def notes(self) -> tuple[str, ...]:
        """What the ingest cannot know."""
        said = ""
        if not self._index.factors:
            said = "The lake holds no market data yet: whether it has the risk factors of these contracts, their valuation tells."
        elif n := len(self._not_loaded):
            said = (
                f"Contracts whose risk factors a shipped catalogue knows and the lake does not hold: {n:,}. They have no value "
                "until that market data is in."
            )
        return (said,) if said else ()


def _read(terms: InstrumentTerms, index: FactorIndex, converted: set[str]) -> None:
    """Raises `MissingRiskFactor` where the contract or its conversion reads what the index lacks. `converted` : currencies that do not."""
    factors_of(terms, index, _ANY_DAY)
    currency = terms.currency
    if currency in converted:  # contracts are a million, currencies few
        return
    if any(f.type == "fx_rate" for f in index.factors) and all(index.without_rate([currency], r) for r in _REPORTING):
        index.fx_path(currency, _REPORTING[0])
    converted.add(currency)


def contract_reader(
    lake: Lake, *, accept_unknown_factors: bool = False
) -> Callable[[str, Mapping[str, str]], dict[str, str]]:
    """As `contract_row`, refusing a contract whose risk factors nobody knows; what it is asked of, it remembers."""
    market = _KnownMarket(lake)

    def read(instrument_type: str, terms: Mapping[str, str]) -> dict[str, str]:
        parsed = _parsed(instrument_type, terms)
        if not accept_unknown_factors:
            market.check(parsed, terms)
        return _row(parsed)

    return read


def contract_row(instrument_type: str, terms: Mapping[str, str]) -> dict[str, str]:
    """The row of `contracts` for terms as texts; raises `BadInput` whose issues point at columns."""
    return _row(_parsed(instrument_type, terms))


def _parsed(instrument_type: str, terms: Mapping[str, str]) -> InstrumentTerms:
    if instrument_type not in INSTRUMENTS:
        raise unknown("instrument type", instrument_type, INSTRUMENTS, pointer="instrument_type")
    return parse_terms(instrument_type, terms)


def _row(parsed: InstrumentTerms) -> dict[str, str]:
    return {
        "contract_id": parsed.contract_id(),
        "instrument_type": parsed.instrument_type,
        "currency": parsed.currency,
        "terms": parsed.to_json(),
    }
