"""Roll-forward of a book through a lake: the sum rule, groups, maturity, and scenarios at the horizon."""

from __future__ import annotations

import csv
import datetime as dt
import json
import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from small_lake import FORMULA, FRIDAY, MATURED, MONDAY, OPTION, SHARE_B, no_spark, request

from aggregation.risk.query import run_query
from aggregation.stress.roll_forward import RollRequest, RollResult, roll_forward, value_rolled
from aggregation.types import Filter, RiskQuery
from lake.committer import Committer
from lake.errors import BadInput, NotFound
from lake.schemas import DIMENSION_COLUMNS
from lake.tables import Lake
from scenarios.store import find_scenario_set, load_scenario_set
from valuation.batch import value_batch
from valuation.books.positions import ingest_positions
from valuation.catalogue import parse_terms
from valuation.market.scenario_market import ScenarioMarket
from valuation.sets.requests import run_valuation
from valuation.sets.store import find_sealed
from valuation.types import Contract

HORIZONS = ("1D", "1M", "1Y")
DAYS = (dt.date(2020, 3, 17), dt.date(2020, 4, 16), dt.date(2021, 3, 16))
EXPIRY = dt.date(2020, 12, 18)


def ask(lake: Lake, **more: object) -> RollResult:
    return roll_forward(lake, RollRequest.model_validate({"as_of": MONDAY, "horizons": HORIZONS, **more}))


@pytest.fixture(scope="module")
def lake(valued_lake: Path) -> Lake:
    return Lake.open(valued_lake)


@pytest.fixture(scope="module")
def forwards(lake: Lake) -> RollResult:
    return ask(lake, by=("desk",))


def market_of(lake: Lake, valuation_date: dt.date) -> ScenarioMarket:
    """The market of Monday as the historical set has it, seen from a later day: the constant market without this code."""
    seal = max(lake.read("valuation_sets").to_pylist(), key=lambda s: (s["valuation_date"], s["sealed_at"]))
    assert seal["market_date"] == MONDAY
    s = load_scenario_set(lake, seal["scenario_set_id"])
    return ScenarioMarket(valuation_date, s.index, s.base, s.base[:, None])


def contract(terms: Mapping[str, object]) -> Contract:
    parsed = parse_terms(str(terms["instrument_type"]), {k: v for k, v in terms.items() if k != "instrument_type"})
    return Contract(parsed.contract_id(), parsed.instrument_type, parsed.to_json())


def test_one_row_a_group_and_horizon_and_the_sum_rule(forwards: RollResult) -> None:
    rows = forwards.rows.to_pylist()
    assert [(r["desk"], r["horizon"], r["day"]) for r in rows] == [
        (desk, h, d) for desk in ("Equities", "Options") for h, d in zip(HORIZONS, DAYS, strict=True)
    ]
    for r in (*rows, *forwards.totals):
        assert r["pnl"] == pytest.approx(r["value"] + r["cash"] - r["base_value"], rel=1e-15)
    for i, total in enumerate(forwards.totals):
        assert total["horizon"] == HORIZONS[i]
        for name in ("base_value", "value", "cash", "pnl"):
            # a P&L is what is left of values that nearly cancel
            assert total[name] == pytest.approx(sum(r[name] for r in rows[i::3]), abs=1e-14 * abs(total["base_value"]))
        assert (total["positions"], total["covered"], total["failed"], total["missing"]) == (4, 3, 1, 0)
        assert total["status"] == "partial"


def test_base_values_are_those_of_the_query(lake: Lake, forwards: RollResult) -> None:
    answer = run_query(lake, RiskQuery(as_of=MONDAY, by=("desk",)))
    expected = dict(zip(answer.rows["desk"].to_pylist(), answer.rows["base_value"].to_pylist(), strict=True))
    for r in forwards.rows.to_pylist():
        assert r["base_value"] == pytest.approx(expected[r["desk"]], rel=1e-15)


def test_contracts_in_their_own_currency_and_state(forwards: RollResult) -> None:
    by_contract = {(r["contract_id"], r["horizon"]): r for r in forwards.contracts.to_pylist()}
    assert len(by_contract) == 4 * len(HORIZONS)
    option, share = contract(OPTION)[0], contract(SHARE_B)[0]
    assert [by_contract[option, h]["state"] for h in HORIZONS] == ["alive", "alive", "matured"]
    assert by_contract[share, "1D"]["currency"] == "EUR"
    last = by_contract[option, "1Y"]
    assert last["value"] == 0.0
    assert last["pnl"] == last["cash"] - last["base_value"]
    gone = by_contract[contract(MATURED)[0], "1D"]
    assert (gone["state"], gone["value"], gone["pnl"]) == ("failed", None, None)
    (failure,) = forwards.failures
    assert (failure.contract_id, failure.reason) == (contract(MATURED)[0], "matured")


def test_a_whole_book_against_a_slow_loop(work_lake: Lake, tmp_path: Path) -> None:
    """Groups of a book with coupons, a settlement, dividends and a reset inside the year, position by position."""
    tuesday, year = dt.date(2020, 3, 17), dt.date(2021, 3, 17)
    dollars = {"currency": "USD", "discount_curve": "USD"}
    book: list[tuple[str, float, dict[str, object]]] = [
        ("Rates", 40.0, {**dollars, "instrument_type": "government_bond", "issue_date": "2019-05-15",
         "maturity": "2029-05-15", "coupon": 0.03, "frequency": 2}),
        ("Rates", -15.0, {**dollars, "instrument_type": "government_bond", "issue_date": "2019-05-15",
         "maturity": "2020-11-15", "coupon": 0.02, "frequency": 2}),
        ("Rates", 1e4, {**dollars, "instrument_type": "interest_rate_swap", "pay_fixed": "true", "fixed_rate": 0.02,
         "start": "2020-01-15", "maturity": "2027-01-15", "fixed_frequency": 2, "float_frequency": 4,
         "fixed_day_count": "Thirty360", "float_day_count": "Actual360", "fixings": '{"2020-01-15": 0.03}'}),
        ("Equities", 30.0, {"instrument_type": "cash_equity", "currency": "USD", "underlying": "EQ:AAA",
         "dividend_yield": 0.02}),
        ("Equities", 12.0, {**OPTION, "option_type": "put", "strike": 250, "dividend_yield": 0.02}),
        ("Equities", -3.0, SHARE_B),
    ]  # fmt: skip
    file = tmp_path / "book.csv"
    terms = sorted({name for *_, t in book for name in t})
    with file.open("w", newline="") as out:
        rows = csv.DictWriter(out, ["positions_date", "quantity", *DIMENSION_COLUMNS, *terms])
        rows.writeheader()
        for i, (desk, quantity, contract_terms) in enumerate(book):
            dimensions = dict.fromkeys(DIMENSION_COLUMNS, "x") | {"desk": desk, "trade": str(i)}
            rows.writerow({"positions_date": tuesday, "quantity": quantity, **dimensions, **contract_terms})
    with Committer(work_lake, "test") as committer:
        assert ingest_positions(committer, file).rejected == 0

    result = ask(work_lake, as_of=tuesday, horizons=("1Y",), by=("desk",), rates={"EUR": 0.01})
    assert result.failures == ()
    assert result.receipt["days"] == {"1Y": str(year)}
    by_contract = {r["contract_id"]: r for r in result.contracts.to_pylist()}
    history = work_lake.read("market_data").to_pylist()
    level = {r["risk_factor_id"]: r["value_used"] for r in history if r["as_of_date"] == tuesday}
    t, r5, r1 = 1.0, level["YC:USD:5Y"], level["YC:USD:1M"]
    slope = (r5 * 5 - r1 / 12) / (5 - 1 / 12)  # the forward rate between the two zero rates
    df = math.exp(-(r1 / 12 + slope * (t - 1 / 12)))
    fx0 = level["FX:EURUSD"]
    fx1 = fx0 * math.exp(-0.01) / df
    expected: dict[str, list[float]] = {"Rates": [0.0] * 3, "Equities": [0.0] * 3}
    for desk, quantity, contract_terms in book:
        row = by_contract[contract(contract_terms)[0]]
        rate0, rate1 = (fx0, fx1) if row["currency"] == "EUR" else (1.0, 1.0)
        for k, x in enumerate((row["base_value"] * rate0, row["value"] * rate1, row["cash"] * rate1)):
            expected[desk][k] += quantity * x
    for row in result.rows.to_pylist():
        base, value, cash = expected[row["desk"]]
        assert row["base_value"] == pytest.approx(base, rel=1e-13)
        assert row["value"] == pytest.approx(value, rel=1e-13)
        assert row["cash"] == pytest.approx(cash, rel=1e-13)
        assert row["pnl"] == pytest.approx(value + cash - base, rel=1e-11)
    units = [by_contract[contract(c)[0]] for *_, c in book]
    assert units[0]["cash"] == pytest.approx(3.0, rel=1e-12)  # two coupons of 1.5
    assert (units[1]["state"], units[1]["value"]) == ("matured", 0.0)
    assert units[1]["cash"] == pytest.approx(102.0, rel=1e-12)
    share = level["EQ:AAA"] / df  # the share with its dividends earns the curve
    assert units[3]["value"] + units[3]["cash"] == pytest.approx(share, rel=1e-12)
    expiry = (EXPIRY - tuesday).days / 365
    forward = level["EQ:AAA"] * math.exp(-0.02 * expiry + r1 / 12 + slope * (expiry - 1 / 12))
    assert units[4]["cash"] == pytest.approx(250 - forward, rel=1e-12)
    assert units[4]["state"] == "matured"


def test_theta_is_the_constant_market_priced_on_the_later_day(lake: Lake) -> None:
    result = ask(lake, market="constant", by=("desk",))
    c = contract(OPTION)
    today, later = market_of(lake, MONDAY), [market_of(lake, d) for d in DAYS[:2]]
    values = [value_batch([c], m).base[0] for m in (today, *later)]
    rows = {(r["desk"], r["horizon"]): r for r in result.rows.to_pylist()}
    for h, value in zip(HORIZONS[:2], values[1:], strict=True):
        assert rows["Options", h]["pnl"] == pytest.approx(100 * (value - values[0]), rel=1e-9)
        assert rows["Options", h]["pnl"] < 0
        assert rows["Equities", h]["pnl"] == 0.0  # shares have no theta, nor have exchange rates
    spot = today.level("EQ:AAA")[0]
    assert rows["Options", "1Y"]["cash"] == pytest.approx(100 * max(spot - 100, 0.0), rel=1e-12)


def test_currencies_are_converted_with_the_rolled_rates(lake: Lake) -> None:
    """Shares in EUR, whose spot stays for want of a curve: with a rate for EUR both price and exchange rate move."""
    stay = ask(lake, where=(Filter.parse("currency=EUR"),))
    assert set(stay.receipt["unrolled"]) == {"EQ:BBB", "FX:EURUSD"}
    assert any("without a forward stay: EQ:BBB, FX:EURUSD" in n for n in stay.notes)
    assert [t["pnl"] for t in stay.totals] == [0.0, 0.0, 0.0]
    moved = ask(lake, where=(Filter.parse("currency=EUR"),), rates={"EUR": 0.01})
    assert moved.receipt["unrolled"] == {}
    today = market_of(lake, MONDAY)
    for total, day in zip(moved.totals, DAYS, strict=True):
        t = (day - MONDAY).days / 365
        # S exp(0.01 t) in EUR, times X exp(-0.01 t) / DF_usd: in dollars the share earns the dollar curve
        growth = 1 / today.discount("USD", np.array([t]))[0, 0]
        assert total["value"] == pytest.approx(total["base_value"] * growth, rel=1e-13)
    euros = ask(lake, where=(Filter.parse("currency=EUR"),), rates={"EUR": 0.01}, currency="EUR")
    assert euros.totals[2]["value"] == pytest.approx(euros.totals[2]["base_value"] * math.exp(0.01), rel=1e-13)


def test_dividends_are_cash_only_where_a_term_says_so(lake: Lake) -> None:
    """The yield lowers the share's forward; a note says that nobody is paid."""
    result = ask(lake, dividend_yields={"EQ:AAA": 0.03}, by=("desk",))
    assert any("EQ:AAA roll with a dividend yield" in n for n in result.notes)
    assert {r["cash"] for r in result.rows.to_pylist() if r["desk"] == "Equities"} == {0.0}
    assert not any("dividend" in n for n in ask(lake, dividend_yields={"EQ:AAA": 0.03}, market="constant").notes)


def test_any_dimension_filter_and_no_grouping(lake: Lake) -> None:
    total = ask(lake).rows.to_pylist()
    assert [r["horizon"] for r in total] == list(HORIZONS)
    assert "desk" not in total[0]
    two = ask(lake, by=("client", "instrument_type"), where=(Filter.parse("desk=Equities"),))
    assert {(r["client"], r["instrument_type"]) for r in two.rows.to_pylist()} == {
        (FORMULA, "cash_equity"),
        ("Acme", "cash_equity"),
    }
    nothing = ask(lake, by=("trade",), where=(Filter.parse("trade=T00000-3"),))
    (row, *_) = nothing.rows.to_pylist()
    assert (row["status"], row["value"], row["pnl"]) == ("invalid", None, None)


def test_the_same_bits_and_nothing_stored(lake: Lake, forwards: RollResult) -> None:
    versions = lake.snapshot().versions
    again = ask(lake, by=("desk",))
    assert again.to_dict() == forwards.to_dict()
    assert json.loads(json.dumps(again.to_dict(), default=str))["totals"][0]["horizon"] == "1D"
    assert lake.snapshot().versions == versions
    assert again.receipt["days"] == {h: str(d) for h, d in zip(HORIZONS, DAYS, strict=True)}
    other = ask(lake, by=("desk",), market="constant")
    assert other.receipt["result_digest"] != forwards.receipt["result_digest"]


@pytest.mark.parametrize(
    ("more", "error", "match"),
    [
        ({"horizons": ("1D", "5X")}, BadInput, "Unknown horizon '5X'"),
        ({"by": ("dsk",)}, BadInput, "desk"),
        ({"where": (Filter.parse("desk=Rates"),)}, BadInput, "Equities"),
        ({"calendar": "NYC"}, BadInput, "USNY"),
        ({"as_of": "2020-03-15"}, NotFound, "2020-03-13"),
        ({"as_of": "2020-03-17", "positions_date": FRIDAY, "scenario_set": "historical-30"}, NotFound, "2020-03-16"),
        ({"scenario_set": "historical-3"}, NotFound, "historical-30"),
        ({"dividend_yields": {"EQ:AA": 0.1}}, NotFound, "EQ:AAA"),
        ({"rates": {"GBP": 0.1}}, BadInput, "EUR"),
        ({"currency": "GBP"}, NotFound, "GBP"),
    ],
)
def test_errors_teach(lake: Lake, more: dict[str, object], error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        ask(lake, **more)


def test_horizons_beyond_the_holidays_that_their_calendar_knows_are_told(lake: Lake) -> None:
    told = "Calendar HKHK lists its moving holidays of 2004-2026 alone"
    assert any(n.startswith(told) for n in ask(lake, horizons=("1M", "7Y"), calendar="HKHK").notes)
    assert not any(n.startswith("Calendar") for n in ask(lake, horizons=("1M", "6Y"), calendar="HKHK").notes)


def test_a_horizon_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="named twice"):
        RollRequest(as_of=MONDAY, horizons=("1D", "1D"))


def test_scenarios_at_the_horizon(work_lake: Lake) -> None:
    """A historical set rolled and valued: risk at T is an ordinary query; asked again, nothing is priced."""
    asked = RollRequest(as_of=MONDAY, horizons=("1D", "1Y"), scenario_set="historical-30")
    with Committer(work_lake, "test") as committer:
        run_valuation(committer, request(), spark=no_spark)  # type: ignore[arg-type]
        before = run_query(work_lake, RiskQuery(as_of=MONDAY))
        seals = [r.valuation_set for r in value_rolled(committer, asked, runner="in-process")]
        again = value_rolled(committer, asked, runner="in-process")
    assert [s.valuation_date for s in seals] == [DAYS[0], DAYS[2]]
    assert [(s.valued, s.failed) for s in seals] == [(3, 1), (2, 2)]  # the option matures within the year
    assert all(r.this_run.valued == 0 for r in again)
    tomorrow, year = (
        run_query(
            work_lake,
            RiskQuery(as_of=s.valuation_date, positions_date=MONDAY, valuation_set=s.valuation_set_id),
        )
        for s in seals
    )
    rolled = roll_forward(work_lake, asked)
    for answer, total in zip((tomorrow, year), rolled.totals, strict=True):
        assert answer.total["base_value"] == pytest.approx(total["value"], rel=1e-14)
        assert answer.total["var_0.99"] > 0
    assert tomorrow.total["var_0.99"] == pytest.approx(before.total["var_0.99"], rel=0.01)  # a day changes little
    assert tomorrow.total["var_0.99"] != before.total["var_0.99"]
    assert find_sealed(work_lake, seals[0].valuation_set_id).market_date == MONDAY
    # a question about Monday is answered as before: rolled sets never stand in for the day's own
    assert run_query(work_lake, RiskQuery(as_of=MONDAY)).receipt["result_digest"] == before.receipt["result_digest"]
    stored = load_scenario_set(work_lake, seals[0].scenario_set_id)
    assert stored.roll is not None
    assert (stored.roll.since, stored.roll.to, stored.roll.market) == (MONDAY, DAYS[0], "forwards")
    with Committer(work_lake, "test") as committer, pytest.raises(BadInput, match="Name a stored scenario set"):
        value_rolled(committer, RollRequest(as_of=MONDAY), runner="in-process")


def test_a_rolled_set_has_one_valuation_date(work_lake: Lake) -> None:
    asked = RollRequest(as_of=MONDAY, horizons=("1D",), scenario_set="historical-30")
    with Committer(work_lake, "test") as committer:
        run_valuation(committer, request(), spark=no_spark)  # type: ignore[arg-type]
        (run,) = value_rolled(committer, asked, runner="in-process")
        with pytest.raises(BadInput, match="rolled to 2020-03-17"):
            run_valuation(
                committer,
                request(scenarios={}, scenario_set=run.valuation_set.scenario_set_id),
                spark=no_spark,  # type: ignore[arg-type]
            )


def test_generated_scenarios_are_rolled_too(work_lake: Lake) -> None:
    random = {"method": "monte_carlo", "parameters": {"scenarios": 256, "window": 40, "seed": 5}, "name": "mc"}
    asked = RollRequest(as_of=MONDAY, horizons=("1M",), market="constant", scenario_set="mc")
    with Committer(work_lake, "test") as committer:
        run_valuation(committer, request(scenarios=random), spark=no_spark)  # type: ignore[arg-type]
        (run,) = value_rolled(committer, asked, runner="in-process")
    one = load_scenario_set(work_lake, find_scenario_set(work_lake, "mc").scenario_set_id)
    rolled = load_scenario_set(work_lake, run.valuation_set.scenario_set_id)
    assert run.valuation_set.scenario_count == 256
    assert np.asarray(rolled.levels).tobytes() == np.asarray(one.levels).tobytes()
