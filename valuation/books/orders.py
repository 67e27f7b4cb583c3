"""Orders: brought in, and netted to the positions of an instant.

The quantities of one contract and the same members of all dimensions are added up as exact fractions, so that no order of arrival and no
earlier netting shows in the sum. A corporate action between an order and the instant applies to the order, as to any position.
"""

from __future__ import annotations

import datetime as dt
import json
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from lake.canonical import digest
from lake.committer import Committer
from lake.dates import Day
from lake.errors import BadInput, NotAllowed, NotFound
from lake.landing import orders
from lake.landing.numbers import MOST
from lake.landing.orders import DIMENSIONS, OrdersReport, instant
from lake.schemas import CONTRACTS
from lake.tables import Lake
from valuation.books.contracts import contracts_by_id
from valuation.books.corporate_actions import Held, in_terms_of
from valuation.books.running_positions import Legs, Line, Row, RunningPositions, Units, line_of, signed_units

NETTED = "net:"  # how the trades begin that netting makes
LIVE = "live:"  # and those that a snapshot of a live day makes of the orders of the day


def _instant(value: Any) -> dt.datetime:
    return instant(value.isoformat() if isinstance(value, dt.datetime) else str(value))


class NettingRequest(BaseModel):
    """Until which instant orders are netted, and to the positions of which date."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    as_of: Annotated[dt.datetime, BeforeValidator(_instant)] = Field(
        description="the last instant whose orders count, with its zone, such as 2020-03-16T16:00:00-04:00"
    )
    positions_date: Day | None = Field(
        None, description="the date whose positions they become; default the day of the instant in its own zone"
    )


def ingest_orders(committer: Committer, path: str | Path, *, accept_unknown_factors: bool = False) -> OrdersReport:
    """Loads a file of orders, see `lake.landing.orders.ingest_orders`. A row is of the contract of its instrument type and terms, or of the
    share that its `symbol` names."""
    return orders.ingest_orders(
        committer, path, order_reader(committer.lake, accept_unknown_factors=accept_unknown_factors)
    )


def order_reader(lake: Lake, *, accept_unknown_factors: bool = False) -> orders.OrderReader:
    """What reads orders with their contracts; risk factors that come into the lake later are known from then on."""
    # with every instrument and QuantLib, which netting needs not
    from valuation.books.positions import contract_reader  # noqa: PLC0415
    from valuation.catalogue import all_term_fields  # noqa: PLC0415

    def reader_at(version: int) -> tuple[int, Callable[[str, Mapping[str, str]], dict[str, str]]]:
        return version, contract_reader(lake, accept_unknown_factors=accept_unknown_factors)

    newest = [reader_at(lake.version("risk_factors"))]

    def read(instrument_type: str, terms: Mapping[str, str]) -> dict[str, str]:
        version, reader = newest[0]
        try:
            return reader(instrument_type, terms)
        except BadInput:
            if (now := lake.version("risk_factors")) == version:
                raise
            newest[0] = reader_at(now)
            return newest[0][1](instrument_type, terms)

    def contract_of(instrument_type: str, terms: Mapping[str, str]) -> dict[str, str]:
        symbol = terms.get("symbol")
        if symbol is None or instrument_type not in ("", "cash_equity"):
            return read(instrument_type, terms)
        given = {t: cell for t, cell in terms.items() if t != "symbol"}
        try:
            return read("cash_equity", {**given, "underlying": symbol})
        except BadInput as error:
            issues = [replace(i, pointer="symbol" if i.pointer == "underlying" else i.pointer) for i in error.issues]
            raise BadInput(error.message, issues=issues) from None

    return orders.OrderReader(tuple(all_term_fields()), contract_of)


@dataclass(frozen=True)
class Netting:
    """What netting made. orders : known = netted + cancelled + later, those executed after the instant. corrected : of the netted, those
    whose latest row is a correction. lines : positions made; flat : lines that net to nothing and are none. removed : positions of an
    earlier netting of that date that are gone. held : positions of the date afterwards."""

    as_of: dt.datetime
    positions_date: dt.date
    orders: int
    netted: int
    corrected: int
    cancelled: int
    later: int
    lines: int
    flat: int
    removed: int
    held: int
    version: int
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def check_netting(lake: Lake) -> None:
    """Raises `NotAllowed` for whoever sees a part of the book: a date's positions are made of the orders of all."""
    if lake.reader:
        raise NotAllowed("Orders are netted by those who see the whole book; you see a part of it.")


def net_orders(committer: Committer, request: NettingRequest) -> Netting:
    """Makes the positions of a date of all orders executed up to an instant: a trade for each contract and members that do not net to
    nothing.

    They take the place of what was netted to that date before, by a live day too; its other trades stay. Raises `NotFound` where
    no order counts.
    """
    lake, date = committer.lake, request.positions_date or request.as_of.date()
    check_netting(lake)
    every = _latest(lake)
    known = [r for r in every if r["event"] != "cancel"]
    counted = [r for r in known if r["executed_at"] <= request.as_of]
    if not counted:
        first = min((r["executed_at"] for r in known), default=None)
        there = (
            f"the first is of {first:%Y-%m-%d %H:%M:%S} UTC" if first else "bring some in with `varlake ingest orders`"
        )
        raise NotFound(
            f"The lake holds no order executed up to {request.as_of.isoformat()} that is not cancelled; {there}."
        )
    sums, contracts, said = _sums(lake, counted, date)
    open_lines = {line: units for line, units in sums.items() if units}
    held = lake.read("positions", where=ds.field("positions_date") == date)
    netted = pc.or_(*(pc.starts_with(held["trade"], prefix) for prefix in (NETTED, LIVE)))
    others, before = held.filter(pc.invert(netted)), held.filter(netted)["trade"].to_pylist()
    # a date without any position could not be told from one that was never netted
    lines = open_lines if open_lines or others.num_rows else sums
    rows = [_position(date, line, units, contracts) for line, units in lines.items()]
    book = pa.concat_tables([pa.Table.from_pylist(rows, schema=held.schema), others]).sort_by("trade")
    note = {"netted": request.as_of.isoformat()}
    _store_contracts(committer, contracts, {line[0] for line in sums}, note)
    version = committer.put("positions", book, replace=True, note=note)
    events = [r["event"] for r in counted]
    return Netting(
        request.as_of,
        date,
        len(every),
        len(counted),
        events.count("correction"),
        len(every) - len(known),
        len(known) - len(counted),
        len(rows),
        len(sums) - len(open_lines),
        len(set(before) - {r["trade"] for r in rows}),
        book.num_rows,
        version,
        said,
    )


def _latest(lake: Lake) -> list[dict[str, Any]]:
    """The row of each order that counts, in the order of the ids."""
    rows = lake.read("orders").sort_by([("order_id", "ascending"), ("sequence", "ascending")])
    return list({r["order_id"]: r for r in rows.to_pylist(maps_as_pydicts="strict")}.values())


def _sums(
    lake: Lake, counted: list[dict[str, Any]], date: dt.date
) -> tuple[dict[Line, Units], dict[str, Mapping[str, str]], tuple[str, ...]]:
    """Net units by line, the contracts of the lines, and what is said of corporate actions on the way."""
    of_day: dict[dt.date, set[str]] = defaultdict(set)
    for r in counted:
        of_day[r["trade_date"]].add(r["contract_id"])
    everything = pa.array(sorted(set[str]().union(*of_day.values())), pa.string())
    rows = {r["contract_id"]: r for r in contracts_by_id(lake, everything).to_pylist()}
    said: dict[str, None] = {}
    held: dict[tuple[dt.date, str], tuple[Held, ...]] = {}
    for day, ids in of_day.items():
        found = in_terms_of(lake, pa.array(sorted(ids), pa.string()), day, date) if day < date else None
        said |= dict.fromkeys(found.said if found else ())
        for i in ids:
            held[day, i] = (found.adjusted if found else {}).get(i, (Held(rows[i], Fraction(1)),))

    def adjusted(row: Row) -> Legs:
        """An order in the units of the date, after the corporate actions on the way."""
        made = []
        for h in held[row["trade_date"], row["contract_id"]]:
            rows[h.row["contract_id"]] = dict(h.row)
            given = {**row, "contract_id": h.row["contract_id"]}
            if h.spun_off:
                given["instrument"] = h.underlying
            made.append((line_of(given), signed_units(row) * h.units))
        return tuple(made)

    running = RunningPositions(legs=adjusted)
    for r in counted:
        running.apply(r)
    return dict(sorted(running.lines.items())), rows, tuple(sorted(said))


def _position(date: dt.date, line: Line, units: Units, contracts: Mapping[str, Mapping[str, str]]) -> dict[str, Any]:
    contract_id, members, attributes = line
    if not -MOST <= units <= MOST:
        raise BadInput(f"The orders of {members} net to {float(units):g} units, beyond {MOST:g}; correct them.")
    row = contracts[contract_id]
    return {
        **dict(zip(DIMENSIONS, members, strict=True)),
        "positions_date": date,
        "trade": f"{NETTED}{digest(contract_id, *members, attributes)[:16]}",
        "contract_id": contract_id,
        "quantity": float(units),
        "instrument_type": row["instrument_type"],
        "currency": row["currency"],
        "attributes": json.loads(attributes),
    }


def _store_contracts(
    committer: Committer, contracts: Mapping[str, Mapping[str, str]], wanted: set[str], note: Mapping[str, str]
) -> None:
    """Those of a corporate action that the lake does not hold."""
    known = set(committer.lake.read("contracts", ["contract_id"])["contract_id"].to_pylist())
    lacking = [dict(contracts[i]) for i in sorted(wanted - known)]
    if lacking:
        committer.put("contracts", pa.Table.from_pylist(lacking, schema=CONTRACTS.schema), note=note)
