"""Capital of a small book from end to end: against closed forms, over any dimension, for a changed book, and what is told of holes."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_lake import BOOK, FACTORS, MONDAY, SHARE_A, build_lake

from aggregation import questions
from aggregation.regimes.regimes import regime_of
from aggregation.regulatory.frtb_sa import FrtbSaCapital
from aggregation.session import reading
from lake.committer import Committer
from lake.errors import BadInput, NotValued
from lake.tables import Lake
from scenarios.store import load_scenario_set
from valuation.kernels.black import european_options

BOND = {
    "instrument_type": "zero_bond",
    "currency": "USD",
    "maturity": "2025-03-17",
    "calendar": "USGS",
    "discount_curve": "USD",
}
Ask = Callable[..., FrtbSaCapital]


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """The small lake with a bond, its moves valued in both currencies, and with the choices that change shocks."""
    made = build_lake(tmp_path_factory.mktemp("frtb") / "lake", held=[*BOOK, ("Rates", 10.0, BOND)])
    with Committer(made, "test") as committer:
        session = reading(made).writing(committer)
        for more in ({}, {"currency": "EUR"}, {"liquid_rates": "full"}, {"liquid_fx": "full"}):
            query = questions.read("frtb-sa", {"as_of": str(MONDAY), **more})
            questions.value(session, "frtb-sa", query)
    return made


@pytest.fixture(scope="module")
def ask(lake: Lake) -> Ask:
    def asked(**given: Any) -> FrtbSaCapital:
        query = questions.read("frtb-sa", {"as_of": str(MONDAY), **given})
        answer: FrtbSaCapital = questions.ask(reading(lake), "frtb-sa", query)
        return answer

    return asked


@pytest.fixture(scope="module")
def market(lake: Lake, ask: Ask) -> dict[str, float]:
    """Levels of the day."""
    made = load_scenario_set(lake, ask().receipt["scenario_set_id"])
    return dict(zip(made.index.row, made.base.tolist(), strict=True))


def cell(answer: FrtbSaCapital, **which: Any) -> dict[str, Any]:
    found = [r for r in answer.factors.to_pylist() if all(r[k] == v for k, v in which.items())]
    assert len(found) == 1, found
    return found[0]


def test_shares_by_hand(ask: Ask, market: dict[str, float]) -> None:
    """1,000 of a large financial in dollars, short 200 of a small emerging one in euros."""
    answer = ask(where=["desk=Equities"])
    a = 1000 * market["EQ:AAA"]
    b = -200 * market["EQ:BBB"] * market["FX:EURUSD"]
    assert cell(answer, name="EQ:AAA")["sensitivity"] == pytest.approx(a)
    assert cell(answer, name="EQ:BBB")["bucket"] == "9"
    wa, wb = 0.5 * a, 0.7 * b
    classes = {(r["risk_class"], r["type"]): r for r in answer.classes.to_pylist()}
    for scenario, gamma in (("medium", 0.15), ("high", 0.1875), ("low", 0.1125)):
        assert classes["equity", "delta"][scenario] == pytest.approx(math.sqrt(wa**2 + wb**2 + 2 * gamma * wa * wb))
        assert classes["fx", "delta"][scenario] == pytest.approx(abs(b) * 0.15 / math.sqrt(2))
    assert answer.total["scenario"] == "low"  # hedged
    ratio = a / (a - b)
    assert answer.total["drc"] == pytest.approx(0.15 * (a - ratio * -b))
    assert answer.total["rrao"] == 0.0
    assert answer.total["rwa"] == pytest.approx(12.5 * (answer.total["sbm_low"] + answer.total["drc"]))


def test_a_rate_sensitivity_is_for_one_and_not_for_a_basis_point(ask: Ask, market: dict[str, float]) -> None:
    """A zero bond of five years: dV/dr = -T V, and of its government's spread the same; weights are 1.1%/sqrt 2 and 2%."""
    answer = ask(where=["desk=Rates"])
    years = (dt.date(2025, 3, 17) - MONDAY).days / 365
    value = 1000 * math.exp(-market["YC:USD:5Y"] * years)
    found = [r for r in answer.factors.to_pylist() if r["risk_class"] == "girr"]
    total = sum(r["sensitivity"] for r in found)
    assert total == pytest.approx(-years * value, rel=2e-3)
    assert abs(total) > 4000  # not divided by 10,000
    five = cell(answer, risk_class="girr", tenor=5.0)
    assert five["weighted"] == pytest.approx(five["sensitivity"] * 0.011 / math.sqrt(2))
    government = cell(answer, risk_class="csr", tenor=5.0)
    assert (government["name"], government["bucket"], government["curve"]) == ("USD", "9", "bond")
    assert government["sensitivity"] == pytest.approx(five["sensitivity"], rel=1e-9)
    # 75% is lost of a senior claim that is not rated
    assert answer.total["drc"] == pytest.approx(0.15 * max(0.75 * 1000 + value - 1000, 0.0), rel=1e-4)


def test_vega_and_curvature_of_an_option(ask: Ask, market: dict[str, float]) -> None:
    answer = ask(where=["desk=Options", "trade=T00000-2"])
    spot, vol, years = market["EQ:AAA"], market["IV:AAA"], (dt.date(2020, 12, 18) - MONDAY).days / 365
    pillars = [1 / 12, 5]
    logs = [-market["YC:USD:1M"] * pillars[0], -market["YC:USD:5Y"] * pillars[1]]  # linear between, as the curve is
    discount = math.exp(np.interp(years, pillars, logs))

    def value(s: float, v: float = vol) -> float:
        one = np.ones(1)
        states = (np.array([[x]]) for x in (s, v, discount))
        return 100 * float(european_options(one, one, 100 * one, years * one, *states)[0, 0])

    vega = sum(r["sensitivity"] for r in answer.factors.to_pylist() if r["type"] == "vega")
    assert vega == pytest.approx((value(spot, vol * 1.01) - value(spot)) / 0.01, rel=1e-6)
    tenors = {r["tenor"]: r["sensitivity"] / vega for r in answer.factors.to_pylist() if r["type"] == "vega"}
    assert tenors == {0.5: pytest.approx((1 - years) / 0.5), 1.0: pytest.approx((years - 0.5) / 0.5)}
    delta = (value(1.01 * spot) - value(spot)) / 0.01
    assert cell(answer, type="delta", name="EQ:AAA")["sensitivity"] == pytest.approx(delta, rel=1e-6)
    curved = cell(answer, type="curvature", name="EQ:AAA")
    for side, way in (("cvr_up", 1), ("cvr_down", -1)):
        moved = value(spot * (1 + way * 0.5)) - value(spot)
        assert curved[side] == pytest.approx(-(moved - way * 0.5 * delta), rel=1e-6)


def test_curvature_and_vega_are_of_options_alone(ask: Ask) -> None:
    types = {r["type"] for r in ask(where=["desk=Equities,Rates"]).factors.to_pylist()}
    assert types == {"delta"}


def test_the_reporting_currency_has_no_risk_and_another_has_all(ask: Ask, market: dict[str, float]) -> None:
    answer = ask(where=["desk=Rates"], currency="EUR", parts=["fx"])
    years = (dt.date(2025, 3, 17) - MONDAY).days / 365
    value = 1000 * math.exp(-market["YC:USD:5Y"] * years) / market["FX:EURUSD"]
    (only,) = answer.factors.to_pylist()
    assert (only["bucket"], only["risk_weight"]) == ("USD", pytest.approx(0.15 / math.sqrt(2)))
    assert only["sensitivity"] == pytest.approx(value, rel=2e-3)
    assert ask(where=["desk=Rates"], parts=["fx"]).total["capital"] == 0.0


@pytest.mark.parametrize("by", [["trade"], ["desk"], ["desk", "trade"], ["client"]])
def test_contributions_add_up_to_the_last_bit(ask: Ask, by: list[str]) -> None:
    answer = ask(by=by)
    rows = [r for r in answer.rows.to_pylist() if r["capital"] is not None]
    assert len(rows) >= answer.rows.num_rows - 1  # the trade that has matured
    names = [
        n for n in answer.rows.column_names if n.startswith(("girr", "csr", "equity", "commodity", "fx", "drc", "rrao"))
    ]
    for some in (rows, rows[::-1]):
        total = 0.0
        for row in some:
            total += row["capital"]
            assert sum(row[n] for n in names) == row["capital"]
        assert total == answer.total["capital"]
    assert answer.total["capital"] == pytest.approx(
        max(answer.total[f"sbm_{s}"] for s in ("medium", "high", "low")) + answer.total["drc"] + answer.total["rrao"],
        rel=1e-12,
    )
    desks = {r["desk"]: r["capital"] for r in ask(by=["desk"]).rows.to_pylist()}
    trades = [r for r in ask(by=["desk", "trade"]).rows.to_pylist() if r["capital"] is not None]
    assert {d: sum(r["capital"] for r in trades if r["desk"] == d) for d in desks} == desks


def test_standalone_is_the_capital_of_the_row_by_itself(ask: Ask) -> None:
    rows = {r["desk"]: r for r in ask(by=["desk"], standalone=True).rows.to_pylist()}
    for desk in ("Equities", "Rates", "Options"):
        assert rows[desk]["standalone"] == pytest.approx(ask(where=[f"desk={desk}"]).total["capital"], rel=1e-12)
    assert sum(r["standalone"] for r in rows.values()) >= ask().total["capital"]


def test_a_changed_book(ask: Ask) -> None:
    whole = ask()
    doubled = ask(scale=["*2"])
    assert doubled.total["capital"] == pytest.approx(2 * whole.total["capital"], rel=1e-12)
    assert doubled.total["capital_before"] == whole.total["capital"]
    assert doubled.total["incremental"] == doubled.total["capital"] - whole.total["capital"]
    without = ask(remove=["desk=Options,Rates"])
    assert without.total["capital"] == pytest.approx(ask(where=["desk=Equities"]).total["capital"], rel=1e-12)
    hedge = {"trade": "HEDGE", "desk": "Equities", "quantity": -1000, **SHARE_A}
    hedged = ask(add=[hedge], remove=["T00000-1"], where=["desk=Equities"])
    assert hedged.total["capital"] == 0.0
    assert hedged.total["incremental"] == -hedged.total["capital_before"]


def test_a_trade_that_the_lake_has_never_seen(ask: Ask) -> None:
    """A put that was never valued is valued for the question alone; it hedges the share."""
    put = {
        "instrument_type": "equity_option",
        "currency": "USD",
        "underlying": "EQ:AAA",
        "volatility": "IV:AAA",
        "strike": 90,
        "expiry": "2021-06-18",
        "option_type": "put",
        "discount_curve": "USD",
    }
    added = {"trade": "PUT", "desk": "Equities", "quantity": 500, **put}
    answer = ask(add=[added], remove=["T00000-1"], by=["trade"], where=["desk=Equities"], parts=["equity", "drc"])
    rows = {r["trade"]: r for r in answer.rows.to_pylist()}
    assert rows["PUT"]["equity_delta"] < 0
    assert rows["PUT"]["equity_vega"] > 0
    assert rows["PUT"]["drc"] < 0  # it gains at the default of what is held
    assert answer.coverage.status == "complete"


def test_what_is_not_valued_is_told(ask: Ask) -> None:
    answer = ask(by=["trade"])
    failed = next(r for r in answer.rows.to_pylist() if r["trade"] == "T00000-3")
    assert (failed["failed"], failed["status"], failed["capital"]) == (1, "invalid", None)
    assert answer.coverage.status == "partial"
    assert any("1 of 5 positions has no capital" in n and "matured" in n for n in answer.notes)


def test_a_contract_without_an_amount_makes_its_row_partial(ask: Ask) -> None:
    """What an Asian option is worth at a default is not known: its sensitivities are in the capital, its default is not."""
    asian = {
        "instrument_type": "equity_asian_option",
        "currency": "USD",
        "underlying": "EQ:AAA",
        "volatility": "IV:AAA",
        "strike": 90,
        "expiry": "2021-06-18",
        "option_type": "call",
        "averaging_start": "2021-05-03",
        "averaging_frequency": "weekly",
        "discount_curve": "USD",
    }
    added = {"trade": "ASIAN", "desk": "Equities", "quantity": 5, **asian}
    answer = ask(add=[added], by=["trade"], where=["desk=Equities"])
    rows = {r["trade"]: r for r in answer.rows.to_pylist()}
    assert (rows["ASIAN"]["status"], rows["ASIAN"]["in_part"], rows["ASIAN"]["covered"]) == ("partial", 1, 1)
    assert rows["ASIAN"]["equity_delta"] != 0.0
    assert {(r["status"], r["in_part"]) for t, r in rows.items() if t != "ASIAN"} == {("complete", 0)}
    assert (answer.coverage.status, answer.coverage.in_part, answer.total["status"]) == ("partial", 1, "partial")
    assert answer.coverage.to_dict()["status"] == "partial"
    (row,) = answer.lacking.to_pylist()
    assert (row["instrument_type"], row["contracts"], row["positions"]) == ("equity_asian_option", 1, 1)
    assert "not known" in row["reason"]
    assert any(n.startswith("Partial: 1 position is of a contract") for n in answer.notes)
    alone = ask(add=[added], by=["trade"], where=["desk=Equities"], parts=["equity"])
    assert alone.coverage.status == "complete"  # default risk was not asked for


def test_parts_left_out_are_named(ask: Ask) -> None:
    answer = ask(parts=["girr", "drc"])
    assert any("not the whole capital: csr, equity, commodity, fx, rrao" in n for n in answer.notes)
    assert answer.total["capital"] == pytest.approx(answer.total["girr_delta"] + answer.total["drc"], rel=1e-12)


def test_the_regime_is_printed_and_in_the_receipt(ask: Ask) -> None:
    answer = ask()
    assert answer.receipt["regime"] == "basel@2023"
    assert answer.receipt["regime_digest"] == regime_of("basel", MONDAY, None).digest
    assert any("basel@2023" in n for n in answer.notes)
    assert "classifications" in answer.receipt["table_versions"]


def test_a_part_that_a_regime_numbers_otherwise_is_refused_by_its_name(ask: Ask) -> None:
    with pytest.raises(BadInput, match=r"eu@crr3 has no csr .*art\. 325ah"):
        ask(regime="eu")
    answer = ask(regime="eu", parts=["girr", "equity", "fx", "drc", "rrao"])
    assert answer.total["capital"] > 0
    assert ask(regime="eu", where=["desk=Equities"]).total["capital"] > 0  # it has no spreads


def test_choices_change_what_they_say(ask: Ask) -> None:
    full, divided = (
        ask(where=["desk=Rates"], parts=["girr"], liquid_rates=c).total["capital"] for c in ("full", "divided")
    )
    assert full == pytest.approx(divided * math.sqrt(2), rel=1e-12)
    full, divided = (
        ask(where=["desk=Equities"], parts=["fx"], liquid_fx=c).total["capital"] for c in ("full", "divided")
    )
    assert full == pytest.approx(divided * math.sqrt(2), rel=1e-12)
    year, months = (
        ask(where=["desk=Equities"], parts=["drc"], equity_maturity=c).total["capital"] for c in ("1Y", "3M")
    )
    assert year == pytest.approx(4 * months, rel=1e-12)


def test_a_lake_without_the_moves_says_what_they_take(tmp_path: Path) -> None:
    lake = build_lake(tmp_path / "lake")
    session = reading(lake)
    query = questions.read("frtb-sa", {"as_of": str(MONDAY)})
    plan = questions.plan(session, "frtb-sa", query)
    assert not plan.ready
    with pytest.raises(NotValued, match="moves of the standardised approach"):
        questions.ask(session, "frtb-sa", query)


def test_a_contract_is_not_priced_where_nothing_that_it_reads_moves(lake: Lake, ask: Ask) -> None:
    """Of the share in dollars only its own move and its two shocks are not zero."""
    from aggregation.opened.opened_lake import VectorCache

    answer = ask()
    cache = VectorCache(lake)
    seal = next(s for s in cache.seals(lake.snapshot()) if s.valuation_set_id == answer.receipt["valuation_set_id"])
    labels = load_scenario_set(lake, seal.scenario_set_id).labels
    vectors = cache.vectors(seal)
    moving = {tuple(np.array(labels)[row != 0.0].tolist()) for row in vectors.pnl}
    assert ("EQ:AAA up", "curvature equity EQ:AAA up", "curvature equity EQ:AAA down") in moving
    assert len(FACTORS) == 6
