"""A book held against ORE: the value of each trade here and there, in the market of a date and in chosen scenarios."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from aggregation.book.book import Book
from aggregation.book.filters import page_of_positions
from aggregation.dimensions import ATTRIBUTE
from aggregation.types import Filter
from lake.arrays import Floats
from lake.errors import BadInput, unknown
from lake.landing.positions_file import UNASSIGNED
from lake.schemas import DIMENSION_COLUMNS
from lake.tables import Snapshot
from lake.words import sentence
from scenarios.market.base_market import load_base
from scenarios.market.moves import MoveRules
from scenarios.store import find_scenario_set, load_stored
from scenarios.types import MissingRiskFactor
from valuation.batch import value_batch
from valuation.books.contracts import contracts_by_id
from valuation.books.trade_files.ore_names import NotWritten
from valuation.books.trade_files.ore_portfolio import HeldTrade, write_portfolio
from valuation.catalogue import terms_from_json
from valuation.market.scenario_market import ScenarioMarket
from valuation.ore.facts import convention
from valuation.ore.market_files import OreMarket
from valuation.ore.ore_process import ore_values
from valuation.types import Contract

_LAST_DIGIT = 1e-6  # ORE's file has six decimals
DIFFERS, MISSING, AGREES, NOT_COMPARED = "differs", "missing", "agrees", "not compared"
_ORDER = (DIFFERS, MISSING, AGREES, NOT_COMPARED)


@dataclass(frozen=True)
class TradeCheck:
    """A trade's value, in its currency, here and in ORE; in the base market where no scenario is named.

    relative : the difference over the larger of both, a fraction; zero within the decimals of ORE's file.
    reason : of what differs, the convention that does, where one is known.
    status : agrees or differs; missing is what ORE was asked about and did not value, not compared what it was not asked about.
    """

    trade: str
    instrument_type: str
    status: str
    currency: str | None = None
    value: float | None = None
    ore_value: float | None = None
    difference: float | None = None
    relative: float | None = None
    reason: str | None = None
    scenario: str | None = None


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
        """By scenario and instrument type: how many trades have each status, and the largest differences of those compared."""
        groups: dict[tuple[str, str], list[TradeCheck]] = {}
        for t in self.trades:
            groups.setdefault((t.scenario or "", t.instrument_type), []).append(t)
        rows = []
        for (scenario, kind), of in sorted(groups.items()):
            count = Counter(t.status for t in of)
            compared = [t for t in of if t.difference is not None]
            rows.append(
                {
                    "instrument_type": kind,
                    "scenario": scenario or None,
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
    snapshot: Snapshot,
    book: Book,
    where: Sequence[Filter],
    tolerance: float,
    folder: Path,
    python: Path,
    scenario_set: str | None = None,
    scenarios: Sequence[str] = (),
) -> OreCheck:
    """Writes the trades and the market of the book's date into `folder`, has ORE value them, and compares trade by trade.

    tolerance : of the difference, over the larger of both values. scenario_set : a stored set, in whose base and scenarios of these
    labels the trades are valued too. Raises `BadInput` where ORE can be asked about no trade.
    """
    rows, _ = page_of_positions(book, where, None, book.n_positions)
    contracts = Contract.of(contracts_by_id(snapshot, rows["contract_id"].combine_chunks().unique()))
    version, trades = "", list[TradeCheck]()
    for k, (scenario, market) in enumerate(_markets(snapshot, book.positions_date, scenario_set, scenarios)):
        files = folder / f"scenario-{k}" if k else folder
        files.mkdir(exist_ok=True)
        version, found = _compare(market, rows.to_pylist(), contracts, tolerance, files, python)
        trades += [replace(t, scenario=scenario) for t in found]
    trades.sort(key=lambda t: (_ORDER.index(t.status), -(t.relative or 0.0), t.trade, t.scenario or ""))
    return OreCheck(book.positions_date, version, tolerance, tuple(trades))


def _markets(
    snapshot: Snapshot, day: dt.date, scenario_set: str | None, scenarios: Sequence[str]
) -> Iterator[tuple[str | None, ScenarioMarket]]:
    """The base market of the date, and as a base each of the scenarios."""
    if scenario_set is None:
        if scenarios:
            raise BadInput(f"Scenario {scenarios[0]} was given without a scenario set; name the set it is of.")
        rules = MoveRules.model_validate({"market_date": day})
        base = load_base(snapshot, day, rules.calendar, rules.max_held_days)
        yield None, ScenarioMarket(day, base.index, base.base, np.empty((len(base.base), 0)))
        return
    found = load_stored(snapshot, find_scenario_set(snapshot, scenario_set, day))
    if found.market_date != day or found.roll is not None:
        raise BadInput(f"Scenario set {scenario_set} is of another market than that of {day}; build one of that day.")
    states: list[tuple[str | None, Floats]] = [(None, found.base)]
    for label in scenarios:
        if label not in found.labels:
            raise unknown(f"scenario of {scenario_set}", label, found.labels, pointer="scenarios")
        k = found.labels.index(label)
        states.append((label, found.levels[:, k : k + 1][:, 0]))
    for name, levels in states:
        yield name, ScenarioMarket(day, found.index, levels, np.empty((len(levels), 0)))


def _compare(
    market: ScenarioMarket,
    positions: Sequence[Mapping[str, Any]],
    contracts: Sequence[Contract],
    tolerance: float,
    folder: Path,
    python: Path,
) -> tuple[str, list[TradeCheck]]:
    """ORE's version, and every position."""
    block = value_batch(contracts, market)
    unit = dict(zip(block.contract_ids, block.base.tolist(), strict=True))
    failed = {f.contract_id: f"it is not valued here: {f.message}" for f in block.failures}
    known = {c.contract_id: c for c in contracts}
    ore = OreMarket(market, Counter(block.currencies).most_common(1)[0][0] if block.currencies else "USD")
    asked: dict[str, tuple[HeldTrade, float]] = {}
    done: list[TradeCheck] = []
    for p in positions:
        contract = known[p["contract_id"]]
        try:
            if p["contract_id"] in failed:
                raise NotWritten(failed[p["contract_id"]])
            held = HeldTrade(p["trade"], p["quantity"], terms_from_json(*contract[1:]), dict(_owners(p)))
            ore.add(held)
            asked[p["trade"]] = held, p["quantity"] * unit[p["contract_id"]]
        except (NotWritten, MissingRiskFactor) as error:
            done.append(TradeCheck(p["trade"], contract.instrument_type, NOT_COMPARED, reason=str(error)))
    if not asked:
        why = sentence(str(done[0].reason))
        raise BadInput(f"No trade of {len(done):,} can be put to ORE; the first, {done[0].trade}: {why}")
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
        status = AGREES if beyond <= tolerance * largest else DIFFERS
        relative = abs(difference) / largest if beyond else 0.0
        reason = convention(held.terms) if status == DIFFERS else None
        done.append(TradeCheck(trade, kind, status, currency, value, theirs, difference, relative, reason))
    return found.version, done


def _owners(position: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, member in position.items():
        own = name.removeprefix(ATTRIBUTE)
        if (
            (own != name or name in DIMENSION_COLUMNS)
            and name not in ("trade", "instrument")
            and member not in (None, UNASSIGNED)
        ):
            yield own, member
