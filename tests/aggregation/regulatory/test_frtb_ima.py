"""frtb-ima on a small lake: figures worked out again from the levels of the scenario sets, contributions, subsets,
price test, bad input."""

from __future__ import annotations

import datetime as dt
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_lake import FRIDAY, MONDAY, build_lake

from aggregation import questions
from aggregation.opened.opened_lake import VectorCache
from aggregation.regulatory.frtb_ima import FrtbIma
from aggregation.session import Session, reading
from lake.arrays import Floats
from lake.committer import Committer
from lake.errors import BadInput, NotValued
from lake.landing.real_prices import ingest_real_prices
from lake.tables import Lake
from scenarios.store import find_scenario_set, load_scenario_set
from scenarios.types import ScenarioSet

ASKED = {
    "as_of": str(MONDAY),
    "by": ["desk"],
    "scenarios": 40,
    "stress": "2020-01-06:2020-02-14",
    "untested": "modellable",
    "reduced_without": ["EQ:BBB"],
}
SHARES = {"EQ:AAA": 1000.0, "EQ:BBB": -200.0}
# MAR33.12: a large share, a small one, a specified pair, rates of a specified currency, volatility of a large share
HORIZONS = {"EQ:AAA": 10, "EQ:BBB": 20, "FX:EURUSD": 10, "IV:AAA": 20, "YC:USD:1M": 10, "YC:USD:5Y": 10}
CLASSES = {
    "EQ:AAA": "equity",
    "EQ:BBB": "equity",
    "IV:AAA": "equity",
    "FX:EURUSD": "fx",
    "YC:USD:1M": "rates",
    "YC:USD:5Y": "rates",
}


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    made = build_lake(tmp_path_factory.mktemp("ima") / "lake")
    value(made, ASKED)
    return made


def value(lake: Lake, asked: dict[str, Any]) -> None:
    query = questions.read("frtb-ima", asked)
    with Committer(lake, "test") as committer:
        questions.value(Session(lake, VectorCache(lake), committer), "frtb-ima", query)


def ask(lake: Lake, **changed: Any) -> FrtbIma:
    found: FrtbIma = questions.ask(reading(lake), "frtb-ima", questions.read("frtb-ima", {**ASKED, **changed}))
    return found


def levels(lake: Lake, name: str) -> ScenarioSet:
    return load_scenario_set(lake, find_scenario_set(lake, name, MONDAY).scenario_set_id)


def share_pnl(made: ScenarioSet, shocked: set[str]) -> Floats:
    """P&L of the desk Equities in dollars, where only these factors move."""
    row, all_levels = made.index.row, np.asarray(made.levels)

    def at(f: str) -> Floats:
        return all_levels[row[f]] if f in shocked else np.full(made.n_scenarios, made.base[row[f]])

    fx0 = made.base[row["FX:EURUSD"]]
    one = SHARES["EQ:AAA"] * (at("EQ:AAA") - made.base[row["EQ:AAA"]])
    two = SHARES["EQ:BBB"] * (at("EQ:BBB") * at("FX:EURUSD") - made.base[row["EQ:BBB"]] * fx0)
    return np.asarray(one + two)


def shortfall(pnl: Floats) -> float:
    """ES at 97.5%: the worst losses, the last with the part of it that is left (Acerbi and Tasche)."""
    losses, k = np.sort(-pnl)[::-1], len(pnl) * 0.025
    whole = math.floor(k + 1e-12)
    return float((losses[:whole].sum() + (k - whole) * losses[whole]) / k)


def adjusted(made: ScenarioSet, factors: set[str], part: str) -> float:
    total, before = 0.0, 0
    for days in (10, 20, 40, 60, 120):
        moved = {f for f in factors if HORIZONS[f] >= days and part in ("all", CLASSES[f])}
        total += (shortfall(share_pnl(made, moved)) * math.sqrt((days - before) / 10)) ** 2
        before = days
    return math.sqrt(total)


def test_imcc_is_that_worked_out_from_the_levels(lake: Lake) -> None:
    current, stress = levels(lake, "frtb-current-10d-40"), levels(lake, "frtb-stress-10d-2020-01-06-2020-02-14")
    assert (current.horizon_days, stress.horizon_days) == (10, 10)
    full, reduced = {*HORIZONS}, {*HORIZONS} - {"EQ:BBB"}
    parts = {}
    for part in ("all", "equity", "fx", "rates"):
        fc, rc = adjusted(current, full, part), adjusted(current, reduced, part)
        ratio = max(fc / rc, 1.0) if rc else 1.0
        parts[part] = adjusted(stress, reduced, part) * ratio
    (row,) = [r for r in ask(lake).rows.to_pylist() if r["desk"] == "Equities"]
    assert {p: row[f"imcc_{p}"] for p in parts} == pytest.approx(parts, rel=1e-10)
    assert row["imcc"] == pytest.approx(
        0.5 * parts["all"] + 0.5 * sum(parts[p] for p in ("equity", "fx", "rates")), rel=1e-10
    )
    assert row["imcc_commodity"] == row["imcc_credit"] == row["ses"] == 0.0
    assert row["capital"] == row["imcc"]


def test_a_day_scaled_by_root_ten_is_not_the_base_horizon(lake: Lake) -> None:
    """Trap: moves of ten days are measured over ten days. Their ES is not that of daily moves times the root of ten."""
    current = levels(lake, "frtb-current-10d-40")
    ten = shortfall(share_pnl(current, {*HORIZONS}))
    found = ask(lake, where=["desk=Equities"], by=[]).cascade.to_pylist()[0]
    assert (found["part"], found["set"], found["liquidity_horizon"]) == ("all", "ES_FC", 10)
    assert found["es"] == pytest.approx(ten, rel=1e-10)
    assert (
        len({round(x, 12) for x in np.diff([int(label[-2:]) for label in current.labels])}) > 1
    )  # consecutive days: they overlap


def test_contributions_add_up_to_the_last_bit_at_any_depth(lake: Lake) -> None:
    by_desk, by_trade, total = ask(lake), ask(lake, by=["trade"]), ask(lake, by=[])
    for answer in (by_desk, by_trade):
        parts = [r["contribution"] for r in answer.rows.to_pylist() if r["contribution"] is not None]
        assert sum(parts) == answer.total["contribution"]
        assert sum(reversed(parts)) == answer.total["contribution"]
    for name in ("imcc", "contribution", "imcc_all", "ses"):
        assert by_desk.total[name] == by_trade.total[name] == total.total[name]
    assert by_desk.total["contribution"] == pytest.approx(by_desk.total["imcc"], rel=1e-12)
    assert by_desk.total["imcc"] <= sum(r["imcc"] for r in by_desk.rows.to_pylist()) + 1e-9


def test_a_contribution_is_quantity_times_the_slope_of_imcc(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    """Against differences of the figure worked out from the levels, a millionth more and less of each share. Slopes by the reduced and the
    full set count too, since the ratio is above its floor."""
    current, stress = levels(lake, "frtb-current-10d-40"), levels(lake, "frtb-stress-10d-2020-01-06-2020-02-14")
    full, reduced = {*HORIZONS}, {*HORIZONS} - {"EQ:BBB"}

    def imcc() -> float:
        total = 0.0
        for part in ("all", "equity", "fx", "rates"):
            rc = adjusted(current, reduced, part)
            ratio = max(adjusted(current, full, part) / rc, 1.0) if rc else 1.0
            total += 0.5 * ratio * adjusted(stress, reduced, part)
        return total

    answer = ask(lake, by=["trade"], where=["desk=Equities"])
    found = {r["trade"]: r["contribution"] for r in answer.rows.to_pylist()}
    for trade, share in (("T00000-0", "EQ:AAA"), ("T00000-1", "EQ:BBB")):
        held, h = SHARES[share], 1e-6
        moved = []
        for step in (1 + h, 1 - h):
            monkeypatch.setitem(SHARES, share, held * step)
            moved.append(imcc())
        monkeypatch.setitem(SHARES, share, held)
        assert found[trade] == pytest.approx((moved[0] - moved[1]) / (2 * h), rel=1e-5)


def test_cuts_nest_and_each_is_named_in_the_receipt(lake: Lake) -> None:
    answer = ask(lake)
    counts = [r["factors"] for r in answer.cascade.to_pylist()]
    for i in range(0, len(counts), 5):
        assert counts[i : i + 5] == sorted(counts[i : i + 5], reverse=True)
    assert counts[:5] == [6, 2, 0, 0, 0]
    named = {r["scenario_set"] for r in answer.cascade.to_pylist()} - {None}
    assert named == set(answer.receipt["cuts"])
    assert answer.receipt["regime"] == "basel@2023" == answer.regime
    assert answer.factors == {"modellable": 6, "non_modellable": 0, "reduced_set": 5}
    assert any("not capital" in n for n in answer.notes)


def test_the_floor_holds_the_ratio_at_one_or_more(lake: Lake) -> None:
    assert all(r["stress_ratio"] >= 1.0 for r in ask(lake).rows.to_pylist())
    assert ask(lake).total["stress_ratio"] >= 1.0


def test_what_is_not_valued_is_planned_and_refused(lake: Lake) -> None:
    session, query = reading(lake), questions.read("frtb-ima", {**ASKED, "reduced_without": []})
    plan = questions.plan(session, "frtb-ima", query)
    assert not plan.ready
    assert {label[:9] for label, _, p in plan.valuations if p.sealed is None} == {"frtb-cut-"}
    with pytest.raises(NotValued, match="subset"):
        questions.ask(session, "frtb-ima", query)
    assert questions.plan(session, "frtb-ima", questions.read("frtb-ima", ASKED)).ready


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"regime": "basle"}, "basel"),
        ({"stress": "lehman"}, "lehman-2008"),
        ({"stress": "2020-02-14:2020-01-06"}, "first day before its last"),
        ({"stress": "2020-01:2020-02"}, "FIRST:LAST"),
        ({"reduced_without": ["EQ:BB"]}, "EQ:BBB"),
        ({"idiosyncratic": ["EQ:AAA"]}, "modellable"),
        ({"scenarios": 5}, "20"),
        ({"untested": "maybe"}, "non_modellable"),
    ],
)
def test_bad_input_is_told(lake: Lake, changed: dict[str, Any], said: str) -> None:
    with pytest.raises(BadInput) as error:
        ask(lake, **changed)
    assert said in str(error.value)


def test_changes_of_the_book_are_those_of_the_quantities(lake: Lake) -> None:
    halved = ask(lake, by=[], where=["desk=Equities"], scale=["*0.5"])
    before = ask(lake, by=[], where=["desk=Equities"])
    assert halved.before is not None
    assert before.before is None
    assert halved.before["imcc"] == before.total["imcc"]
    assert halved.total["imcc"] == pytest.approx(before.total["imcc"] / 2, rel=1e-12)  # homogeneous of degree one
    removed = ask(lake, by=[], where=["desk=Equities"], remove=["T00000-1"])
    assert removed.total["imcc"] == pytest.approx(ask(lake, by=[], where=["trade=T00000-0"]).total["imcc"], rel=1e-12)
    known = {
        "instrument_type": "cash_equity",
        "terms": {"currency": "USD", "underlying": "EQ:AAA"},
        "desk": "Equities",
        "quantity": 1000.0,
    }
    added = ask(lake, by=[], where=["desk=Equities"], remove=["T00000-1"], add=[known])
    assert added.total["imcc"] == pytest.approx(2 * removed.total["imcc"], rel=1e-12)
    assert added.total["contribution"] == pytest.approx(added.total["imcc"], rel=1e-12)


# --- non-modellable factors -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def priced(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """Every factor but the small share and the short rate has a real price a week; the rate's bucket has none."""
    folder = tmp_path_factory.mktemp("ima-priced")
    made = build_lake(folder / "lake")
    days = [MONDAY - dt.timedelta(days=7 * i) for i in range(52)]
    rows = [f"{day},{f},desk,own_deal" for day in days for f in ("EQ:AAA", "IV:AAA", "FX:EURUSD", "YC:USD:5Y")]
    rows += [f"{FRIDAY},EQ:BBB,desk,vendor"]
    file = folder / "prices.csv"
    file.write_text("date,risk_factor_id,source,evidence\n" + "\n".join(rows) + "\n")
    with Committer(made, "test") as committer:
        report = ingest_real_prices(committer, file)
        again = ingest_real_prices(committer, file)
    assert (report.read, report.new) == (len(rows), len(rows))
    assert (again.new, again.unchanged, again.version) == (0, len(rows), report.version)
    value(made, {**ASKED, "untested": "non_modellable", "reduced_without": []})
    return made


def test_factors_that_fail_the_price_test_leave_imcc_and_are_capitalised_alone(priced: Lake) -> None:
    answer = ask(priced, untested="non_modellable", reduced_without=[])
    stress = levels(priced, "frtb-stress-10d-2020-01-06-2020-02-14")
    units = {r["unit"]: r for r in answer.non_modellable.to_pylist()}
    assert set(units) == {"EQ:BBB", "USD A1"}
    assert answer.factors == {"modellable": 4, "non_modellable": 2, "reduced_set": 4}
    alone = shortfall(share_pnl(stress, {"EQ:BBB"}))
    assert units["EQ:BBB"]["es"] == pytest.approx(alone, rel=1e-10)
    assert units["EQ:BBB"]["ses"] == pytest.approx(alone * math.sqrt(2), rel=1e-10)  # 20 days at least
    assert units["USD A1"]["ses"] == pytest.approx(max(units["USD A1"]["es"], 0) * math.sqrt(2), rel=1e-12)
    a, b = units["EQ:BBB"]["ses"], units["USD A1"]["ses"]
    assert answer.total["ses"] == pytest.approx(math.sqrt((0.6 * (a + b)) ** 2 + 0.64 * (a * a + b * b)), rel=1e-12)
    assert answer.total["capital"] == answer.total["imcc"] + answer.total["ses"]
    assert "fewer than 24" in units["EQ:BBB"]["reason"]


def test_an_idiosyncratic_share_stands_under_a_root_of_its_own(priced: Lake) -> None:
    answer = ask(priced, untested="non_modellable", reduced_without=[], idiosyncratic=["EQ:BBB"])
    units = {r["unit"]: r for r in answer.non_modellable.to_pylist()}
    assert units["EQ:BBB"]["counted_as"] == "equity"
    assert answer.total["ses"] == pytest.approx(units["EQ:BBB"]["ses"] + units["USD A1"]["ses"], rel=1e-12)


def test_the_price_test_by_bucket(priced: Lake) -> None:
    rfet = questions.ask(reading(priced), "rfet", questions.read("rfet", {"as_of": str(MONDAY)}))
    rows = {r["risk_factor_id"]: r for r in rfet.rows.to_pylist()}
    assert rows["YC:USD:1M"]["unit"] == "USD A1"
    assert rows["YC:USD:5Y"]["bucket"] == "row A, 4 to 7 years"
    assert (rows["EQ:AAA"]["observations"], rows["EQ:AAA"]["fewest"], rows["EQ:AAA"]["modellable"]) == (52, 12, True)
    assert (rfet.modellable, rfet.non_modellable) == (4, 2)
    late = questions.ask(
        reading(priced), "rfet", questions.read("rfet", {"as_of": "2020-09-30", "factors": ["EQ:AAA"]})
    )
    assert late.rows.to_pylist()[0]["modellable"] is False  # months without a price


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("date,risk_factor_id,source\n2020-03-02,EQ:AAA,x\n", "evidence"),
        ("date,risk_factor_id,source,evidence\n2020-03-02,EQ:AAX,x,vendor\n", "no such risk factor"),
        ("date,risk_factor_id,source,evidence\n2020-03-02,EQ:AAA,x,rumour\n", "own_deal"),
        ("date,risk_factor_id,source,evidence\n2020-13-02,EQ:AAA,x,vendor\n", "YYYY-MM-DD"),
        ("date,risk_factor_id,source,evidence\n2020-03-02,EQ:AAA,,vendor\n", "source is empty"),
        ("date,risk_factor_id,source,evidence\n", "no rows"),
    ],
)
def test_files_of_real_prices_with_a_fault_are_refused(priced: Lake, tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "prices.csv"
    file.write_text(text)
    before = priced.version("real_prices")
    with Committer(priced, "test") as committer, pytest.raises(BadInput) as error:
        ingest_real_prices(committer, file)
    assert said in str(error.value)
    assert priced.version("real_prices") == before
