"""A live book: whatever came, in whatever order, its figures are those of a valuation from scratch, bit for bit."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from live_days import DAY, contracts, level, order
from small_lake import MONDAY, OPTION, SHARE_A, build_lake, no_spark, request

from aggregation.kernels.live_sums import sum_of_rows
from aggregation.live import view as views
from aggregation.live.live_book import LiveBook
from aggregation.live.live_risk import LiveQuery, LiveRisk, answer_live
from aggregation.live.opening import LiveDay, Opening, open_day
from aggregation.opened.alignment import align
from aggregation.opened.opened_lake import VectorCache
from aggregation.reduce import in_numpy
from aggregation.reduce.grouping import group_by
from aggregation.types import Filter
from lake.committer import Committer
from lake.errors import BadInput, NotFound
from valuation.catalogue import parse_terms
from valuation.sets.requests import run_valuation

BY_DESK = LiveQuery(as_of=DAY, by=("desk",), measures=("var", "es", "worst"), levels=("0.9", "0.99"))
FACTORS = ("EQ:AAA", "EQ:BBB", "IV:AAA", "FX:EURUSD", "YC:USD:1M", "YC:USD:5Y")


@pytest.fixture(scope="module")
def opening(tmp_path_factory: pytest.TempPathFactory) -> Opening:
    """The day after the last of the small lake's market, opened on Monday's book; contracts that nobody holds yet are in the lake."""
    lake = build_lake(tmp_path_factory.mktemp("live") / "lake", copies=2)
    with Committer(lake, "test") as committer:
        run_valuation(committer, request(MONDAY), spark=no_spark)
        held = lake.read("contracts").slice(0, 1).to_pylist()[0]
        further = [
            {**OPTION, "strike": "80"},
            {**SHARE_A, "dividend_yield": "0.01"},
        ]
        rows = []
        for given in further:
            kind = given["instrument_type"]
            terms = parse_terms(kind, {k: v for k, v in given.items() if k != "instrument_type"})
            about = {"contract_id": terms.contract_id(), "instrument_type": kind, "terms": terms.to_json()}
            rows.append({**held, **about, "currency": given["currency"]})
        schema = lake.read("contracts").schema
        committer.put("contracts", type(lake.read("contracts")).from_pylist(rows, schema=schema))
    return open_day(VectorCache(lake), LiveDay(as_of=DAY))


@pytest.fixture
def every_change_is_added(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As of a book of very many contracts: no sum is made anew because it is small."""
    monkeypatch.setattr(views, "_SMALL", 0)
    monkeypatch.setattr(views, "_WORTH", 0)
    return


def said(answer: LiveRisk) -> dict[str, Any]:
    """All figures and their coverage, as bits."""
    found = {c: answer.rows[c].to_pylist() for c in answer.rows.column_names}
    return {"rows": found, "total": dict(answer.total), "held": answer.held, "refused": dict(answer.refused)}


def exact_pnl(live: LiveBook, query: LiveQuery) -> None:
    """The P&L of all groups is that of the reduce of stored vectors."""
    view = live.view(query)
    base, pnl = view.exact()
    vectors = live.vectors_in(query.currency)
    book, _ = live.whole_book()
    groups = group_by(book, query.by, np.ones(book.n_positions, np.bool_))
    assert view.number == {(key,): g for g, key in enumerate(groups.keys["desk"].to_pylist())}
    expected = in_numpy.group_values(book, groups, align(book, vectors), vectors, view.rates, 0, view.n)
    np.testing.assert_array_equal(base, expected[0])
    np.testing.assert_array_equal(pnl, expected[1])


class Day(RuleBasedStateMachine):
    """A day of levels and orders that arrive late, twice, out of order and across restarts."""

    opening: Opening

    def __init__(self) -> None:
        super().__init__()
        self.live = LiveBook(self.opening)
        self.levels: list[dict[str, Any]] = []
        self.orders: list[dict[str, Any]] = []
        self.contracts = list(contracts(self.opening.at.lake).values())
        self.late: list[dict[str, Any]] = []
        self.live.view(BY_DESK)

    @rule(
        factor=st.sampled_from(FACTORS),
        value=st.sampled_from((0.02, 0.5, 1.1, 90.0, 123.25)),
        seconds=st.integers(1, 99),
    )
    def tick(self, factor: str, value: float, seconds: int) -> None:
        self.levels.append(level(factor, value, seconds))
        self.live.apply_levels(self.levels[-1:])

    @rule(seed=st.integers(0, 9))
    def ticks_at_once(self, seed: int) -> None:
        draw = random.Random(seed)
        rows = [
            level(draw.choice(FACTORS), draw.choice((0.03, 1.3, -1.0, 77.0)), draw.randint(1, 99)) for _ in range(5)
        ]
        self.levels += rows
        self.live.apply_levels(rows)

    @rule(factor=st.sampled_from(("EQ:BBB", "EQ:NONE")))
    def unusable_tick(self, factor: str) -> None:
        self.levels.append(level(factor, -1.0, 50))  # at the time of usable ones, too
        self.live.apply_levels(self.levels[-1:])

    @rule(
        kind=st.integers(0, 4),
        quantity=st.sampled_from(("0.1", "0.2", "0.3", "100", "12345.678")),
        side=st.sampled_from(("buy", "sell")),
        desk=st.sampled_from(("Equities", "Options", "New")),
        late=st.booleans(),
    )
    def trade(self, kind: int, quantity: str, side: str, desk: str, late: bool) -> None:
        contract = self.contracts[kind % len(self.contracts)]
        number = len({o["order_id"] for o in self.orders})
        self._send(order(f"O{number}", 1, contract, quantity, side=side, desk=desk, seconds=number), late)

    @precondition(lambda self: self.orders)
    @rule(which=st.integers(0, 99), cancel=st.booleans(), late=st.booleans(), quantity=st.sampled_from(("0.1", "7")))
    def amend(self, which: int, cancel: bool, late: bool, quantity: str) -> None:
        before = self.orders[which % len(self.orders)]
        number = 1 + max(o["sequence"] for o in self.orders if o["order_id"] == before["order_id"])
        contract = self.contracts[which % len(self.contracts)]
        event = "cancel" if cancel else "correction"
        self._send(order(before["order_id"], number, contract, quantity, event=event), late)

    def _send(self, row: dict[str, Any], late: bool) -> None:
        self.orders.append(row)
        self.late.append(row)
        if not late:
            self.arrive(7)

    @rule(seed=st.integers(0, 9))
    def arrive(self, seed: int) -> None:
        random.Random(seed).shuffle(self.late)
        self.live.apply_orders([*self.late, *self.late[:1]])
        self.late = []

    @precondition(lambda self: self.orders)
    @rule()
    def again(self) -> None:
        assert self.live.apply_orders([o for o in self.orders if o not in self.late]) == 0

    @rule()
    def restart(self) -> None:
        self.live = LiveBook(self.opening)
        self.live.apply_orders([o for o in self.orders if o not in self.late])
        self.live.apply_levels(self.levels)

    @invariant()
    def is_as_from_scratch(self) -> None:
        fresh = LiveBook(self.opening)
        arrived = [o for o in self.orders if o not in self.late]
        fresh.apply_orders(sorted(arrived, key=lambda o: (o["sequence"], o["order_id"])))
        for row in sorted(self.levels, key=lambda r: r["bucket_end"]):
            fresh.apply_levels([row])
        query = BY_DESK.model_copy(update={"causes": False})
        assert said(answer_live(self.live, query)) == said(answer_live(fresh, query))

    def teardown(self) -> None:
        exact_pnl(self.live, BY_DESK)


def _run(opening: Opening, examples: int, steps: int) -> None:
    machine = type("DayOfTheLake", (Day,), {"opening": opening})
    machine.TestCase.settings = settings(max_examples=examples, stateful_step_count=steps, deadline=None)
    machine.TestCase("runTest").runTest()


def test_a_day_is_as_from_scratch(opening: Opening, every_change_is_added: None) -> None:
    _run(opening, 6, 12)


@pytest.mark.slow
def test_many_days_are_as_from_scratch(opening: Opening, every_change_is_added: None) -> None:
    _run(opening, 300, 25)


def test_the_causes_add_up(opening: Opening) -> None:
    live = LiveBook(opening)
    share = contracts(opening.at.lake)["cash_equity USD"]
    live.apply_orders([order("A", 1, share, "50")])
    live.apply_levels([level("EQ:AAA", 90.0), level("FX:EURUSD", 1.2), level("YC:USD:5Y", 0.01)])
    answer = answer_live(live, BY_DESK)
    rows = answer.causes.to_pylist()
    assert [r["figure"] for r in rows] == ["base_value", "var_0.9", "var_0.99", "es_0.9", "es_0.99", "worst"]
    for row in rows:
        parts = [row[c] for c in ("trades", "equity", "rates", "fx")]
        assert all(parts)
        assert sum(parts) == pytest.approx(row["change"], rel=1e-9)
        assert row["now"] - row["open"] == row["change"]
    bought = 50 * float(opening.base.base[opening.base.index.row["EQ:AAA"]])
    assert rows[0]["trades"] == pytest.approx(bought)  # at the level of the open


def test_a_sick_feed_is_told_from_a_quiet_market(opening: Opening) -> None:
    live = LiveBook(opening)
    live.apply_levels([level("EQ:AAA", 90.0, 1, source="shares"), level("EQ:BBB", 20.0, 100, source="shares")])
    live.apply_levels(
        [level("FX:EURUSD", 1.1, 2, source="rates"), level("FX:EURUSD", 1.1, 110, source="rates", carried=108)]
    )
    answer = answer_live(live, BY_DESK)
    assert [(f["source"], f["silent"], f["stale"]) for f in answer.feeds.to_pylist()] == [
        ("rates", True, 0),
        ("shares", False, 1),
    ]
    assert answer.stale == ("EQ:AAA",)
    assert answer.watermark["factors_of_the_day"] == 3
    assert set(answer.held) == {"IV:AAA", "YC:USD:1M", "YC:USD:5Y"}


def test_what_cannot_be_opened_or_asked(opening: Opening) -> None:
    cache = VectorCache(opening.at.lake)
    with pytest.raises(NotFound, match=r"No positions on or before 1999-01-04"):
        open_day(cache, LiveDay(as_of="1999-01-04"))
    with pytest.raises(BadInput, match=r"2020-03-21 is no business day of calendar XNYS"):
        open_day(cache, LiveDay(as_of="2020-03-21"))
    live = LiveBook(opening)
    with pytest.raises(BadInput, match=r"var_own_volatility_0.9 follows the P&L from day to day"):
        answer_live(live, BY_DESK.model_copy(update={"measures": ("var_own_volatility",)}))
    nobody = BY_DESK.model_copy(update={"where": (Filter.parse("desk=Equity"),)})
    with pytest.raises(BadInput, match=r"Equities"):
        answer_live(live, nobody)


def test_a_sum_is_the_plain_loop() -> None:
    random_numbers = np.random.default_rng(3)
    rows = random_numbers.normal(size=(11, 70))
    row, quantity = np.array([0, 4, 2, 10, 7, 7, 1], np.int32), random_numbers.normal(size=7)
    out, plain = np.full(70, np.nan), np.zeros(70)
    sum_of_rows(rows, row, quantity, 0, 7, 0, 70, out)
    for r, q in zip(row, quantity, strict=True):
        plain = plain + q * rows[r]
    np.testing.assert_array_equal(out, plain)
