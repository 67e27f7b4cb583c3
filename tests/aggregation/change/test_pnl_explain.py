"""P&L explain against the stored base values of both dates and a slow loop over trades, orders and subsets."""

from __future__ import annotations

import csv
import datetime as dt
import itertools
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import answer, plain, refused, varlake
from flask.testing import FlaskClient
from small_lake import FACTORS, FRIDAY, MATURED, MONDAY, OPTION, SHARE_B, no_spark, request
from support import factor, put_market, random_walks

from aggregation.change.pnl_explain import (
    LINES,
    PNL,
    TRADES,
    PnlExplain,
    PnlExplainRequest,
    plan_pnl_explain,
    pnl_explain,
)
from aggregation.replay import replay
from aggregation.risk.query import run_query
from aggregation.types import Filter, RiskQuery
from lake.committer import Committer
from lake.errors import BadInput, NotFound
from lake.schemas import DIMENSION_COLUMNS
from lake.tables import Lake
from scenarios.types import FactorIndex
from service.api.app import create_app
from service.config import Settings
from valuation.batch import value_batch
from valuation.books.positions import ingest_positions
from valuation.catalogue import parse_terms
from valuation.horizons.cash import cash_until
from valuation.market.scenario_market import ScenarioMarket
from valuation.sets.requests import run_valuation
from valuation.types import Contract

THURSDAY = dt.date(2020, 3, 12)
DOLLARS = {"currency": "USD", "discount_curve": "USD"}
BOND = {**DOLLARS, "instrument_type": "government_bond", "issue_date": "2019-03-13", "maturity": "2029-03-13",
        "coupon": 0.03, "frequency": 2}  # fmt: skip
SWAP = {**DOLLARS, "instrument_type": "interest_rate_swap", "pay_fixed": "true", "fixed_rate": 0.02,
        "start": "2019-12-13", "maturity": "2026-12-13", "fixed_frequency": 2, "float_frequency": 4,
        "fixed_day_count": "Thirty360", "float_day_count": "Actual360"}  # fmt: skip
UNFIXED, FIXED = (
    {**SWAP, "fixings": json.dumps(f)} for f in ({"2019-12-13": 0.03}, {"2019-12-13": 0.03, "2020-03-13": 0.027})
)
SHARE = {"instrument_type": "cash_equity", "currency": "USD", "underlying": "EQ:AAA", "dividend_yield": 0.02}
EXPIRING = {**OPTION, "expiry": str(FRIDAY), "strike": "60"}
# trade to (desk, quantity, terms) on each date
BOOKS: dict[dt.date, dict[str, tuple[str, float, Mapping[str, Any]]]] = {
    THURSDAY: {
        "bond": ("Rates", 4.0, BOND),
        "refixed": ("Rates", 1e3, UNFIXED),
        "unfixed": ("Rates", -5e2, {**UNFIXED, "fixed_rate": 0.021}),
        "share": ("Equities", 30.0, SHARE),
        "euro": ("Equities", -3.0, SHARE_B),
        "more": ("Options", 10.0, OPTION),
        "expiring": ("Options", 7.0, EXPIRING),
        "closed": ("Options", -4.0, {**OPTION, "strike": "110"}),
        "moved": ("Options", 6.0, {**OPTION, "option_type": "put"}),
        "failing": ("Options", 5.0, MATURED),
    },
    MONDAY: {
        "bond": ("Rates", 4.0, BOND),
        "refixed": ("Rates", 1e3, FIXED),
        "unfixed": ("Rates", -5e2, {**UNFIXED, "fixed_rate": 0.021}),
        "share": ("Equities", 30.0, SHARE),
        "euro": ("Equities", -3.0, SHARE_B),
        "more": ("Options", 25.0, OPTION),
        "moved": ("Equities", 8.0, {**OPTION, "option_type": "put"}),
        "failing": ("Options", 5.0, MATURED),
        "new": ("Equities", 2.0, {**OPTION, "strike": "95"}),
    },
}


def write_books(folder: Path) -> Path:
    terms = sorted({name for book in BOOKS.values() for *_, t in book.values() for name in t})
    file = folder / "books.csv"
    with file.open("w", newline="") as out:
        rows = csv.DictWriter(out, ["positions_date", "quantity", *DIMENSION_COLUMNS, *terms])
        rows.writeheader()
        for day, book in BOOKS.items():
            for trade, (desk, quantity, t) in book.items():
                dimensions = dict.fromkeys(DIMENSION_COLUMNS, "x") | {"desk": desk, "trade": trade}
                rows.writerow({"positions_date": day, "quantity": quantity, **dimensions, **t})
    return file


@pytest.fixture(scope="module")
def lake(bare_lake: Path, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    folder = tmp_path_factory.mktemp("pnl")
    lake = Lake.open(shutil.copytree(bare_lake, folder / "lake"))
    with Committer(lake, "test") as committer:
        assert ingest_positions(committer, write_books(folder), replace_dates=True).rejected == 0
        for day in (THURSDAY, MONDAY):
            run_valuation(committer, request(day), spark=no_spark)  # type: ignore[arg-type]
    return lake


def ask(lake: Lake, **more: object) -> PnlExplain:
    return pnl_explain(lake, PnlExplainRequest.model_validate({"from": THURSDAY, "to": MONDAY, **more}))


@pytest.fixture(scope="module")
def by_desk(lake: Lake) -> PnlExplain:
    return ask(lake, by=("desk",))


def contract(terms: Mapping[str, object]) -> Contract:
    parsed = parse_terms(str(terms["instrument_type"]), {k: v for k, v in terms.items() if k != "instrument_type"})
    return Contract(parsed.contract_id(), parsed.instrument_type, parsed.to_json())


class Slow:
    """The same figures trade by trade from the market data table, every subset and every order by itself."""

    def __init__(self, lake: Lake) -> None:
        self.index = FactorIndex.of(FACTORS)
        table = lake.read("market_data").to_pylist()
        level = {(r["as_of_date"], r["risk_factor_id"]): r["value_used"] for r in table}
        self.levels = {
            d: np.array([level[d, f.risk_factor_id] for f in self.index.factors]) for d in (THURSDAY, FRIDAY, MONDAY)
        }
        self.classes = sorted({f.risk_class.value for f in FACTORS})

    def plain(self, day: dt.date, terms: Mapping[str, Any]) -> float | None:
        block = value_batch([contract(terms)], ScenarioMarket(day, self.index, self.levels[day], np.empty((6, 0))))
        return float(block.base[0]) if block.contract_ids else None

    def fixed(self, terms: Mapping[str, Any], friday: ScenarioMarket) -> Mapping[str, Any]:
        """The terms with the rate that Friday's curve has from that day to Monday 15 June, where they have none."""
        fixings = json.loads(terms.get("fixings", "{}"))
        if not fixings or str(FRIDAY) in fixings:
            return terms
        days = (dt.date(2020, 6, 15) - FRIDAY).days
        rate = (1 / float(friday.discount("USD", np.array([days / 365]))[0, 0]) - 1) * 360 / days
        return {**terms, "fixings": json.dumps({**fixings, str(FRIDAY): rate})}

    def worth(self, terms: Mapping[str, Any], moved: frozenset[str]) -> tuple[float, float]:
        """Value on Monday and cash until then, with some classes moved."""
        before = self.levels[THURSDAY]
        mask = np.array([f.risk_class.value in moved for f in self.index.factors])

        class Markets:
            market_date = THURSDAY

            @staticmethod
            def market(day: dt.date) -> ScenarioMarket:
                now = self.levels[max(d for d in self.levels if d <= day)]
                return ScenarioMarket(day, self.index, np.where(mask, now, before), np.empty((6, 0)))

        one = [contract(self.fixed(terms, Markets.market(FRIDAY)))]
        block = value_batch(one, Markets.market(MONDAY))
        if block.failures:
            assert block.failures[0].reason == "matured"
        cash = cash_until(one, Markets(), MONDAY)
        assert not cash.failures
        return (0.0 if block.failures else float(block.base[0])), float(cash.amounts[0])

    def rate(self, day: dt.date, terms: Mapping[str, Any]) -> float:
        row = self.index.row["FX:EURUSD"]
        return float(self.levels[day][row]) if terms["currency"] == "EUR" else 1.0

    def held(self, quantity: float, terms: Mapping[str, Any]) -> dict[str, float]:
        """The lines of a position carried from Thursday to Monday, in dollars."""
        fx0, fx1 = self.rate(THURSDAY, terms), self.rate(MONDAY, terms)
        start = self.plain(THURSDAY, terms)
        assert start is not None
        all_moved = frozenset(self.classes)
        lines = {"theta": (sum(self.worth(terms, frozenset())) - start) * fx1, "currency": start * (fx1 - fx0)}
        orders = list(itertools.permutations(self.classes))
        for order in orders:
            for i, c in enumerate(order):
                step = sum(self.worth(terms, frozenset(order[: i + 1]))) - sum(self.worth(terms, frozenset(order[:i])))
                lines[f"market_{c}"] = lines.get(f"market_{c}", 0.0) + step * fx1 / len(orders)
        value, cash = self.worth(terms, all_moved)
        return {k: quantity * v for k, v in {**lines, "cash": cash * fx1, "leave": value * fx1}.items()}


def slow_lines(lake: Lake, desk: str | None) -> dict[str, float]:
    """The lines of a desk, or of all."""
    slow = Slow(lake)
    total = dict.fromkeys(LINES, 0.0)

    def inside(day: dt.date, trade: str) -> bool:
        return trade in BOOKS[day] and desk in (None, BOOKS[day][trade][0])

    for trade in sorted({t for b in BOOKS.values() for t in b} - {"failing"}):
        was, now = BOOKS[THURSDAY].get(trade), BOOKS[MONDAY].get(trade)
        held: dict[str, float] = {}
        if was is not None:
            held = slow.held(*was[1:])
        if inside(THURSDAY, trade):
            assert was is not None
            total["value_from"] += was[1] * (slow.plain(THURSDAY, was[2]) or 0.0) * slow.rate(THURSDAY, was[2])
            for name, value in held.items():
                if name != "leave":
                    total[name] += value
            if now is None:
                total["closed"] -= held["leave"]
            elif not inside(MONDAY, trade):
                total["transferred"] -= held["leave"]
        if inside(MONDAY, trade):
            assert now is not None
            plain = slow.plain(MONDAY, now[2])
            value = now[1] * (plain or 0.0) * slow.rate(MONDAY, now[2])
            total["value_to"] += value
            if was is None:
                total["new"] += value
            else:
                total["amended" if plain is not None else "failed"] += value - held["leave"]
                if not inside(THURSDAY, trade):
                    total["transferred"] += held["leave"]
    total["pnl"] = sum(total[name] for name in PNL)
    total["change"] = total["value_to"] - total["value_from"]
    return total


@pytest.mark.parametrize("desk", ["Equities", "Options", "Rates", None])
def test_every_line_against_a_slow_loop(lake: Lake, by_desk: PnlExplain, desk: str | None) -> None:
    row = by_desk.total if desk is None else {r["desk"]: r for r in by_desk.rows.to_pylist()}[desk]
    expected = slow_lines(lake, desk)
    scale = max(abs(v) for v in expected.values())
    for name in LINES:
        assert row[name] == pytest.approx(expected[name], rel=1e-10, abs=1e-12 * scale), name


def test_the_lines_say_what_happened(by_desk: PnlExplain) -> None:
    rates, equities, options = (
        {r["desk"]: r for r in by_desk.rows.to_pylist()}[d] for d in ("Rates", "Equities", "Options")
    )
    assert by_desk.classes == ("equity", "rates", "fx", "volatility")
    # the bond's coupon, the fixed and floating coupons of two swaps, on the 13th
    coupon = 4.0 * 100 * 0.03 / 2
    assert rates["cash"] == pytest.approx(coupon + (1e3 - 5e2) * 0.03 * 91 / 360, rel=1e-12)
    assert rates["market_equity"] == rates["market_volatility"] == rates["currency"] == 0.0
    assert rates["amended"] != 0.0  # the fixing that Monday's swap holds is another than Friday's curve had
    assert rates["failed"] != 0.0
    assert options["new"] == 0.0 < equities["new"]
    assert options["closed"] != 0.0
    assert options["transferred"] == pytest.approx(-equities["transferred"], rel=1e-15)
    assert by_desk.total["transferred"] == 0.0
    assert (options["status"], equities["status"]) == ("partial", "complete")
    assert (options["failed_from"], options["failed_to"]) == (1, 1)
    assert {(f["reason"], f["date"]) for f in by_desk.failures.to_pylist()} == {
        ("matured", THURSDAY), ("matured", MONDAY), ("missing_fixing", MONDAY)}  # fmt: skip
    assert any("matured on the way" in n for n in by_desk.notes)


@pytest.mark.parametrize("currency", ["USD", "EUR"])
@pytest.mark.parametrize("by", [(), ("desk",), ("trade",), ("instrument_type", "desk")])
def test_the_ends_are_the_stored_base_values_and_nothing_is_left(lake: Lake, by: Sequence[str], currency: str) -> None:
    result = ask(lake, by=by, currency=currency)
    for side, day in (("value_from", THURSDAY), ("value_to", MONDAY)):
        stored = run_query(lake, RiskQuery(as_of=day, by=tuple(by), currency=currency))
        values = {tuple(r[b] for b in by): r["base_value"] for r in stored.rows.to_pylist()}
        for row in result.rows.to_pylist():
            expected = values.get(tuple(row[b] for b in by))
            if row["status"] == "invalid":
                assert row[side] is expected is None
            else:
                assert row[side] == pytest.approx(expected or 0.0, rel=1e-13)
        assert result.total[side] == pytest.approx(stored.total["base_value"], rel=1e-13)
    rows = [r for r in (*result.rows.to_pylist(), result.total) if r["status"] != "invalid"]
    for row in rows:
        assert abs(row["unexplained"]) <= 1e-12 * sum(abs(row[n]) for n in LINES)
        parts = sum(row[n] for n in (*PNL, *TRADES)) - row["cash"]
        assert parts == pytest.approx(row["value_to"] - row["value_from"], abs=1e-12 * sum(abs(row[n]) for n in LINES))
    for name in LINES:  # parts of parts
        scale = sum(abs(r[name]) for r in rows[:-1])
        assert sum(r[name] for r in rows[:-1]) == pytest.approx(result.total[name], abs=1e-11 + 1e-12 * scale)


def test_unchanged_trades_have_no_line_of_trading(lake: Lake) -> None:
    rows = {r["trade"]: r for r in ask(lake, by=("trade",)).rows.to_pylist()}
    for trade in ("bond", "share", "euro"):
        assert all(rows[trade][name] == 0.0 for name in TRADES), trade
    share = rows["euro"]  # a share: price at the new rate, the old value at the change of rate
    slow = Slow(lake)
    prices = [float(slow.levels[d][slow.index.row["EQ:BBB"]]) for d in (THURSDAY, MONDAY)]
    rates = [float(slow.levels[d][slow.index.row["FX:EURUSD"]]) for d in (THURSDAY, MONDAY)]
    assert share["market_equity"] == pytest.approx(-3 * (prices[1] - prices[0]) * rates[1], rel=1e-12)
    assert share["currency"] == pytest.approx(-3 * prices[0] * (rates[1] - rates[0]), rel=1e-12)
    # what expired on Friday is the intrinsic value of Friday
    friday = float(slow.levels[FRIDAY][slow.index.row["EQ:AAA"]])
    assert rows["expiring"]["cash"] == pytest.approx(7 * max(friday - 60, 0.0), rel=1e-13)
    assert friday > 60
    assert rows["expiring"]["closed"] == 0.0
    assert rows["expiring"]["value_to"] == 0.0


def test_a_filter_may_leave_one_date_empty(lake: Lake) -> None:
    result = ask(lake, where=(Filter(dimension="trade", values=("new",)),))
    assert result.total["new"] == result.total["change"] == result.total["value_to"] != 0.0
    assert (result.total["positions_from"], result.total["positions_to"]) == (0, 1)
    assert any("trade on 2020-03-12" in n for n in result.notes)
    with pytest.raises(BadInput, match="trade on 2020-03-12"):
        ask(lake, where=(Filter(dimension="trade", values=("newest",)),))


def test_a_pillar_that_only_the_later_date_has_stands_in_its_own_line(lake: Lake, tmp_path: Path) -> None:
    changed = Lake.open(shutil.copytree(lake.path, tmp_path / "lake"))
    pillar = factor("YC:USD:2Y", "zero_rate", curve="USD", pillar="2Y")
    levels = random_walks(FACTORS, dt.date(2019, 12, 2), dt.date(2020, 3, 17))  # as in the small lake
    put_market(changed, [*FACTORS, pillar], {**levels, pillar.risk_factor_id: {MONDAY: 0.05}})
    before, after = (ask(x, by=("desk",)) for x in (lake, changed))
    assert before.total["factors"] == 0.0
    was, now = ({r["desk"]: r for r in x.rows.to_pylist()} for x in (before, after))
    assert now["Rates"]["factors"] == pytest.approx(now["Rates"]["pnl"] - was["Rates"]["pnl"], rel=1e-9)
    assert now["Rates"]["factors"] != 0.0 != now["Options"]["factors"]
    # the factor moves what the book is worth on Monday, and no other line
    for name in (*PNL[:-1], "cash", "value_from"):
        assert now["Rates"][name] == pytest.approx(was["Rates"][name], rel=1e-12, abs=1e-9), name
    there = {
        r["risk_factor_id"]: r["value_used"]
        for r in changed.read("market_data").to_pylist()
        if r["as_of_date"] == MONDAY
    }
    index = FactorIndex.of([*FACTORS, pillar])
    market = ScenarioMarket(MONDAY, index, np.array([there[f.risk_factor_id] for f in index.factors]), np.empty((7, 0)))
    worth = sum(
        q * value_batch([contract(t)], market).base[0] for _, q, t in (BOOKS[MONDAY][n] for n in ("bond", "refixed"))
    )
    assert now["Rates"]["value_to"] == pytest.approx(worth, rel=1e-13)
    assert any("YC:USD:2Y" in n for n in after.notes)


def test_bad_questions_are_told(lake: Lake) -> None:
    with pytest.raises(BadInput, match="swap the dates"):
        ask(lake, **{"from": MONDAY, "to": THURSDAY})
    with pytest.raises(BadInput, match="Nearest valid: desk"):
        ask(lake, by=("desc",))
    with pytest.raises(NotFound, match="No positions on 2020-03-11"):
        ask(lake, **{"from": dt.date(2020, 3, 11)})
    same = ask(lake, **{"from": MONDAY})
    assert all(same.total[name] == 0.0 for name in (*PNL, *TRADES, "change", "cash"))


def test_the_plan_says_what_is_priced(lake: Lake) -> None:
    request = PnlExplainRequest.model_validate({"from": THURSDAY, "to": MONDAY})
    plan = plan_pnl_explain(lake, request)
    assert (plan.positions_from, plan.positions_to, plan.contracts_from, plan.contracts_to) == (10, 9, 10, 9)
    assert (plan.states, plan.classes) == (16, ("equity", "rates", "fx", "volatility"))
    assert sum(n for n, _ in plan.by_instrument_type.values()) == 19
    assert plan.expected_core_seconds > 0


def test_the_receipt_names_the_inputs_and_the_same_question_gives_it_again(lake: Lake, by_desk: PnlExplain) -> None:
    assert ask(lake, by=("desk",)).receipt == by_desk.receipt
    assert by_desk.receipt["from"]["market_date"] == "2020-03-12"
    assert replay(lake, by_desk.receipt).verdict == "same bits"
    assert ask(lake).receipt["result_digest"] != by_desk.receipt["result_digest"]


def test_on_the_command_line_and_over_http(lake: Lake, by_desk: PnlExplain, tmp_path: Path) -> None:
    asked = ("pnl-explain", "--from", THURSDAY, "--to", MONDAY, "--by", "desk")
    expected = plain(by_desk.to_dict())
    assert plain(answer(*asked, lake=lake.path)) == expected
    shown = varlake(*asked, "--plot", tmp_path / "a.svg", lake=lake.path)
    assert shown.returncode == 0, shown.stderr
    assert "market_rates" in shown.stdout
    assert "market_credit" not in shown.stdout
    assert "missing_fixing" in shown.stdout
    assert "theta" in (tmp_path / "a.svg").read_text()
    assert answer(*asked, "--plan", lake=lake.path)["about"]["contracts_from"] == 10
    assert "contracts from" in varlake(*asked, "--plan", lake=lake.path).stdout
    assert "Nearest valid: desk" in refused(
        "pnl-explain", "--from", THURSDAY, "--to", MONDAY, "--by", "dsk", lake=lake.path
    )

    client: FlaskClient = create_app(Settings(lake=lake.path)).test_client()
    path = f"/api/v1/pnl-explain?from={THURSDAY}&to={MONDAY}&by=desk"
    assert plain(client.get(path).get_json()) == expected
    rows = list(csv.DictReader(client.get(f"{path}&format=csv").get_data(as_text=True).splitlines()))
    assert [float(r["pnl"]) for r in rows] == [r["pnl"] for r in expected["rows"]]
    plan = client.get(f"/api/v1/pnl-explain/plan?from={THURSDAY}&to={MONDAY}").get_json()
    assert plan["about"]["states"] == 16
    assert client.get(f"/api/v1/pnl-explain?from={MONDAY}&to={THURSDAY}").status_code == 422
