"""A book held against ORE: the base value of each trade here and there, in the market of a date."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from aggregation.book.book import Book
from aggregation.book.filters import page_of_positions
from aggregation.dimensions import ATTRIBUTE
from aggregation.types import Filter
from lake.errors import BadInput
from lake.landing.positions_file import UNASSIGNED
from lake.schemas import DIMENSION_COLUMNS
from lake.tables import Snapshot
from scenarios.market.base_market import load_base
from scenarios.market.moves import MoveRules
from scenarios.types import MissingRiskFactor
from valuation.batch import value_batch
from valuation.books.contracts import contracts_by_id
from valuation.books.trade_files.ore_portfolio import HeldTrade, NotWritten, write_portfolio
from valuation.catalogue import terms_from_json
from valuation.market.scenario_market import ScenarioMarket
from valuation.ore.market_files import OreMarket
from valuation.ore.ore_process import ore_values
from valuation.types import Contract

_LAST_DIGIT = 1e-6  # ORE's file has six decimals
DIFFERS, MISSING, AGREES, NOT_COMPARED = "differs", "missing", "agrees", "not compared"
_ORDER = (DIFFERS, MISSING, AGREES, NOT_COMPARED)


@dataclass(frozen=True)
class TradeCheck:
    """A trade's base value, in its currency, here and in ORE. relative : the difference over the larger of both, a fraction;
    zero within the decimals of ORE's file.

    status : agrees or differs; missing is what ORE was asked about and did not value, not compared what it was not asked about.
    """

    trade: str
    instrument_type: str
    status: str
    currency: str | None = None
    base_value: float | None = None
    ore_value: float | None = None
    difference: float | None = None
    relative: float | None = None
    reason: str | None = None


@dataclass(frozen=True)
class OreCheck:
    """What differs first, the largest relative difference first."""

    as_of: dt.date
    ore_version: str
    tolerance: float
    trades: tuple[TradeCheck, ...]

    @property
    def passed(self) -> bool:
        """Whether ORE has a value of each trade it was asked about, within the tolerance."""
        return not {t.status for t in self.trades} & {DIFFERS, MISSING}

    def summary(self) -> list[dict[str, Any]]:
        """By instrument type: how many trades have each status, and the largest differences of those compared."""
        rows = []
        for kind in sorted({t.instrument_type for t in self.trades}):
            of = [t for t in self.trades if t.instrument_type == kind]
            count = Counter(t.status for t in of)
            compared = [t for t in of if t.difference is not None]
            rows.append(
                {
                    "instrument_type": kind,
                    "trades": len(of),
                    **{status.replace(" ", "_"): count[status] for status in _ORDER},
                    "largest_difference": max((abs(t.difference or 0.0) for t in compared), default=None),
                    "largest_relative": max((t.relative or 0.0 for t in compared), default=None),
                }
            )
        return rows

    def reasons(self) -> list[dict[str, Any]]:
        """Why trades were not valued or compared, and how many, the most frequent first."""
        count = Counter((t.status, t.reason) for t in self.trades if t.reason is not None)
        return [{"status": status, "trades": n, "reason": reason} for (status, reason), n in count.most_common()]

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "as_of": str(self.as_of), "passed": self.passed, "summary": self.summary()}


def check_against_ore(
    snapshot: Snapshot, book: Book, where: Sequence[Filter], tolerance: float, folder: Path, python: Path
) -> OreCheck:
    """Writes the trades and the market of the book's date into `folder`, has ORE value them, and compares trade by trade.

    tolerance : of the difference, over the larger of both values. Raises `BadInput` where ORE can be asked about no trade.
    """
    rules = MoveRules.model_validate({"market_date": book.positions_date})
    base = load_base(snapshot, book.positions_date, rules.calendar, rules.max_held_days)
    market = ScenarioMarket(base.market_date, base.index, base.base, np.empty((len(base.base), 0)))
    rows, _ = page_of_positions(book, where, None, book.n_positions)
    table = contracts_by_id(snapshot, rows["contract_id"].combine_chunks().unique())
    contracts = {c.contract_id: c for c in Contract.of(table)}
    block = value_batch(list(contracts.values()), market)
    unit = dict(zip(block.contract_ids, block.base.tolist(), strict=True))
    failed = {f.contract_id: f"it is not valued here: {f.message}" for f in block.failures}

    positions = rows.to_pylist()
    ore = OreMarket(market, Counter(block.currencies).most_common(1)[0][0] if block.currencies else "USD")
    asked: dict[str, tuple[HeldTrade, float]] = {}
    done: list[TradeCheck] = []
    for p in positions:
        contract = contracts[p["contract_id"]]
        try:
            if p["contract_id"] in failed:
                raise NotWritten(failed[p["contract_id"]])
            held = HeldTrade(p["trade"], p["quantity"], terms_from_json(*contract[1:]), dict(_owners(p)))
            ore.add(held)
            asked[p["trade"]] = held, p["quantity"] * unit[p["contract_id"]]
        except (NotWritten, MissingRiskFactor) as error:
            done.append(TradeCheck(p["trade"], contract.instrument_type, NOT_COMPARED, reason=str(error)))
    if not asked:
        raise BadInput(
            f"ORE can be asked about none of {len(done)} trades; of the first, {done[0].trade}: {done[0].reason}."
        )
    left = write_portfolio(folder / "portfolio.xml", (held for held, _ in asked.values()))
    assert not left, left
    ore.write(folder)
    found = ore_values(folder, asked, python)
    for trade, (held, value) in asked.items():
        kind, currency = held.terms.instrument_type, held.terms.currency
        if trade in found.missing:
            done.append(TradeCheck(trade, kind, MISSING, currency, value, reason=found.missing[trade]))
            continue
        written, written_in = found.values[trade]
        rate = float(market.fx(written_in, currency)[0])
        theirs = written * rate
        difference, largest = value - theirs, max(abs(value), abs(theirs))
        beyond = max(abs(difference) - _LAST_DIGIT * rate, 0.0)
        agrees = beyond <= tolerance * largest
        relative = abs(difference) / largest if beyond else 0.0
        status = AGREES if agrees else DIFFERS
        done.append(TradeCheck(trade, kind, status, currency, value, theirs, difference, relative))
    done.sort(key=lambda t: (_ORDER.index(t.status), -(t.relative or 0.0), t.trade))
    return OreCheck(book.positions_date, found.version, tolerance, tuple(done))


def _owners(position: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, member in position.items():
        own = name.removeprefix(ATTRIBUTE)
        if (
            (own != name or name in DIMENSION_COLUMNS)
            and name not in ("trade", "instrument")
            and member not in (None, UNASSIGNED)
        ):
            yield own, member
