"""Correlations of the default risk charge from a lake's history, held to pandas on the same levels and to the model they are drawn from."""

from __future__ import annotations

import datetime as dt
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from small_lake import MONDAY
from support import factor, put_market

from aggregation import questions
from aggregation.opened.inputs import Inputs
from aggregation.regulatory.default_correlations import (
    CorrelationRules,
    Correlations,
    Issuers,
    correlations_of,
    factors_of,
)
from aggregation.regulatory.ima_default_risk import DrcIma
from aggregation.replay import replay
from aggregation.session import reading
from lake.committer import Committer
from lake.errors import BadInput
from lake.tables import Lake
from scenarios.types import FactorIndex, RiskFactor

LAST = dt.date(2020, 6, 30)
SHORT = {"correlation_days": 5, "correlation_calendar": "weekdays"}
# by the exchange's own list
NYSE_CLOSED = ["2019-11-28", "2019-12-25", "2020-01-01", "2020-01-20", "2020-02-17", "2020-04-10", "2020-05-25"]
Levels = Mapping[str, Mapping[dt.date, float | None]]


def weekdays(n: int, last: dt.date = LAST) -> list[dt.date]:
    return [d.date() for d in pd.bdate_range(end=last, periods=n)]


def walks(sectors: Mapping[str, str], common: float, own: float, n: int, seed: int = 1) -> pd.DataFrame:
    """Levels of shares whose daily log moves are of the model, by day and name."""
    rng = np.random.default_rng(seed)
    market, of = rng.standard_normal(n), {s: rng.standard_normal(n) for s in sorted(set(sectors.values()))}
    moves = {
        name: np.sqrt(common) * market + np.sqrt(own) * of[s] + np.sqrt(1 - common - own) * rng.standard_normal(n)
        for name, s in sectors.items()
    }
    return 100 * np.exp(0.01 * pd.DataFrame(moves, index=pd.Index(weekdays(n))).cumsum())


def levels_of(frame: pd.DataFrame) -> Levels:
    return {
        str(name): {d: None if np.isnan(v) else float(v) for d, v in column.items()} for name, column in frame.items()
    }  # type: ignore[misc]


def estimate(
    folder: Path,
    levels: pd.DataFrame,
    sectors: Mapping[str, str],
    factors: list[RiskFactor] | None = None,
    lose: frozenset[str] | None = None,
    indices: frozenset[str] = frozenset(),
    **rules: Any,
) -> Correlations:
    """Of a lake with these levels and no more."""
    lake = Lake.create(folder / "lake")
    put_market(lake, factors or [factor(str(n), "equity_price") for n in levels], levels_of(levels))
    inputs = SimpleNamespace(snapshot=lake.snapshot(), valuation_set=SimpleNamespace(market_date=LAST))
    who = Issuers(sectors, indices, frozenset(sectors) if lose is None else lose)
    return correlations_of(cast(Inputs, inputs), CorrelationRules(**{**SHORT, **rules}), who)


def by_pandas(levels: pd.DataFrame, sectors: Mapping[str, str], days: int = 5, least: int = 21) -> tuple[float, float]:
    """Means over pairs of different sectors and of one, of log moves over rows of the frame."""
    moves = np.log(levels).diff(days)
    rho = moves.corr(min_periods=least)
    pairs = [(a, b) for i, a in enumerate(levels) for b in list(levels)[:i] if not np.isnan(rho.loc[a, b])]
    across = [rho.loc[a, b] for a, b in pairs if sectors[a] != sectors[b]]
    within = [rho.loc[a, b] for a, b in pairs if sectors[a] == sectors[b]]
    return tuple(float(np.mean(x)) if x else np.nan for x in (across, within))  # type: ignore[return-value]


def named(*sizes: int) -> dict[str, str]:
    """Shares by sector, so many of each."""
    return {f"EQ:{s}{i}": f"sector {s}" for s, n in zip("ABCDEFGH", sizes, strict=False) for i in range(n)}


def rows(found: Correlations) -> dict[str, dict[str, Any]]:
    return {r["factor"]: r for r in found.rows.to_pylist()}


def test_correlations_are_those_of_pandas_on_the_same_levels(tmp_path: Path) -> None:
    sectors = named(3, 2, 3)
    levels = walks(sectors, 0.3, 0.2, 400)
    found = estimate(tmp_path, levels, sectors)
    across, within = by_pandas(levels, sectors)
    assert (found.common, found.common + found.own_sector) == pytest.approx((across, within), rel=1e-10)
    common, sector = rows(found)["common"], rows(found)["sector"]
    assert (common["correlation"], sector["correlation"]) == (found.common, found.own_sector)
    assert (common["pairs"], sector["pairs"], common["issuers"], sector["issuers"]) == (21, 7, 8, 8)
    assert (common["most_moves"], common["fewest_moves"]) == (395, 395)
    assert (common["first"], common["last"]) == (weekdays(400)[0], LAST)
    assert found.moves == dict.fromkeys(sectors, 395)
    assert 0 < common["correlation_standard_error"] < 0.2
    assert found.short  # neither ten years nor moves over a year
    assert any("shorter than the 10 years asked for: it begins on" in n for n in found.notes)
    assert any("MAR33.20 asks for 10 years at least and moves over a year" in n for n in found.notes)


def test_ten_years_of_moves_over_a_year_are_what_the_rule_asks_for(tmp_path: Path) -> None:
    sectors = named(2, 2)
    found = estimate(tmp_path, walks(sectors, 0.3, 0.2, 2620), sectors, correlation_days=250)
    assert not found.short
    assert not found.substituted
    assert "Periods of stress in this history: february-2018, march-2020." in found.notes
    assert not any("shorter" in n or "asks for" in n for n in found.notes)
    assert rows(found)["common"]["most_moves"] == 2609 - 250  # weekdays of ten years less those a move spans


def test_a_history_without_a_period_of_stress_is_said(tmp_path: Path) -> None:
    sectors = named(2, 2)
    levels = walks(sectors, 0.3, 0.2, 400)
    calm = levels[[d > dt.date(2020, 4, 1) for d in levels.index]]
    found = estimate(tmp_path, calm, sectors)
    assert found.short
    assert any("none of those known by name lies in it" in n for n in found.notes)


def test_a_missing_day_is_no_move_and_never_a_level_of_before(tmp_path: Path) -> None:
    sectors = named(2, 2)
    levels = walks(sectors, 0.4, 0.2, 300)
    rng = np.random.default_rng(2)
    levels = levels.mask(rng.random(levels.shape) < 0.15)
    found = estimate(tmp_path / "holes", levels, sectors)
    across, within = by_pandas(levels, sectors)
    assert (found.common, found.common + found.own_sector) == pytest.approx((across, within), rel=1e-10)
    filled = by_pandas(levels.ffill(), sectors)
    assert abs(filled[0] - across) > 1e-4  # to fill them would be another figure
    assert rows(found)["common"]["fewest_moves"] < 295


def test_the_order_in_which_the_market_came_changes_no_bit(tmp_path: Path) -> None:
    sectors = named(3, 2)
    levels = walks(sectors, 0.3, 0.2, 200)
    found = estimate(tmp_path / "one", levels, sectors)
    turned = estimate(tmp_path / "other", levels.iloc[::-1, ::-1], dict(reversed(sectors.items())))
    assert turned.rows.equals(found.rows)


def test_days_are_those_of_the_calendar(tmp_path: Path) -> None:
    sectors = named(2, 2)
    levels = walks(sectors, 0.3, 0.2, 200)
    holiday = dt.date(2020, 5, 25)  # Memorial Day
    found = estimate(tmp_path / "nyse", levels, sectors, correlation_calendar="XNYS")
    assert holiday in levels.index
    open_days = pd.bdate_range(end=LAST, periods=200).difference(pd.DatetimeIndex(NYSE_CLOSED)).date
    across, within = by_pandas(levels.loc[open_days], sectors)
    assert (found.common, found.common + found.own_sector) == pytest.approx((across, within), rel=1e-10)
    with pytest.raises(BadInput, match="Unknown calendar 'XNYX'"):
        estimate(tmp_path / "none", levels, sectors, correlation_calendar="XNYX")


@pytest.mark.parametrize(("common", "own"), [(0.35, 0.2), (0.1, 0.0)])
@pytest.mark.parametrize("days", [1, 10])
def test_a_long_history_gives_back_the_model_it_was_drawn_from(
    tmp_path: Path, common: float, own: float, days: int
) -> None:
    sectors = named(4, 4, 4, 4, 4)
    found = estimate(tmp_path, walks(sectors, common, own, 2600, seed=5), sectors, correlation_days=days)
    of = rows(found)
    assert abs(found.common - common) < 4 * of["common"]["correlation_standard_error"]
    assert abs(found.own_sector - own) < 4 * of["sector"]["correlation_standard_error"]
    assert of["common"]["correlation_standard_error"] < (0.03 if days == 1 else 0.1)


def test_negative_estimates_are_lifted_to_nil_and_said(tmp_path: Path) -> None:
    sectors = {"EQ:A": "one", "EQ:B": "two", "EQ:C": "one", "EQ:D": "two"}
    base = walks({"EQ:A": "x", "EQ:C": "x"}, 0.5, 0.0, 300)
    levels = base.assign(**{"EQ:B": 1e4 / base["EQ:A"], "EQ:D": 1e4 / base["EQ:C"]})[sorted(sectors)]
    across, within = by_pandas(levels, sectors)
    assert across < 0 < within
    found = estimate(tmp_path / "common", levels, sectors)
    assert (found.common, found.own_sector) == (0.0, pytest.approx(within, rel=1e-10))
    assert f"The estimate of common_correlation is {across:.3f}, and is lifted to nil." in found.notes
    turned = {"EQ:A": "one", "EQ:B": "one", "EQ:C": "two", "EQ:D": "two"}
    levels["EQ:B"], levels["EQ:D"] = 1e4 / levels["EQ:A"] * levels["EQ:C"] ** 2, levels["EQ:C"]
    across, within = by_pandas(levels, turned)
    assert within < across
    less = estimate(tmp_path / "sector", levels, turned)
    assert (less.common, less.own_sector) == (pytest.approx(across, rel=1e-10), 0.0)
    assert any(f"sector_correlation is {within - across:.3f}, and is lifted" in n for n in less.notes)


def test_together_they_stay_below_one(tmp_path: Path) -> None:
    one = walks({"EQ:A": "x"}, 0.5, 0.0, 300)
    levels = one.assign(**{"EQ:B": one["EQ:A"] * 3})
    found = estimate(tmp_path, levels, {"EQ:A": "one", "EQ:B": "two"})
    assert found.common + found.own_sector == 0.999
    assert any("are cut to 0.999" in n for n in found.notes)


def test_all_of_one_sector_have_one_correlation_which_is_the_common_one(tmp_path: Path) -> None:
    sectors = named(4)
    levels = walks(sectors, 0.3, 0.2, 400)
    found = estimate(tmp_path / "one", levels, sectors)
    assert (found.common, found.own_sector) == (pytest.approx(by_pandas(levels, sectors)[1], rel=1e-10), 0.0)
    assert not any("prudent" in n for n in found.notes)  # of one sector it is the same however it is split
    more = {**sectors, "Z": "another"}
    wider = estimate(tmp_path / "more", levels, more)
    assert (wider.common, wider.own_sector) == (found.common, 0.0)
    assert any("That is prudent where issuers of different sectors are held long." in n for n in wider.notes)
    assert "neither a price of its share nor a credit spread" in wider.lacking["Z"]


def test_a_sector_each_needs_no_correlation_of_a_sector_unless_two_are_of_one(tmp_path: Path) -> None:
    sectors = named(1, 1, 1)
    levels = walks(sectors, 0.3, 0.2, 400)
    found = estimate(tmp_path / "each", levels, sectors)
    assert (found.common, found.own_sector) == (pytest.approx(by_pandas(levels, sectors)[0], rel=1e-10), 0.0)
    assert rows(found)["sector"]["how"] == "not needed: no two issuers of the charge are of one sector"
    with pytest.raises(BadInput, match="EQ:A0 and Z in the charge are both of sector sector A") as error:
        estimate(tmp_path / "two", levels, {**sectors, "Z": "sector A"})
    assert error.value.issues[0].pointer == "/sector_correlation"


CREDIT = [
    factor("CDS:N1:1Y", "cds_spread", curve="N1", pillar="1Y"),
    factor("CDS:N1:4Y", "cds_spread", curve="N1", pillar="4Y"),
    factor("CDS:N1:6Y", "cds_spread", curve="N1", pillar="6Y"),
    factor("HR:N1:5Y", "hazard_rate", curve="N1", pillar="5Y"),
    factor("HR:N2:10Y", "hazard_rate", curve="N2", pillar="10Y"),
    factor("HR:N2:OLD", "hazard_rate", curve="N2", pillar="OLD"),
    factor("EQ:N2B", "equity_price"),
    factor("EQ:N3", "equity_price"),
    factor("CR:X", "credit_spread"),
    factor("IDX", "index_level"),
]


def test_an_issuer_has_its_share_or_else_its_spread_nearest_to_five_years() -> None:
    found = factors_of(FactorIndex.of(CREDIT), ["N1", "N2", "N3", "EQ:N3", "CR:X", "IDX", "N4"])
    assert {n: [f.risk_factor_id for f in of] for n, of in found.items()} == {
        "N1": ["CDS:N1:4Y", "HR:N1:5Y"],
        "N2": ["HR:N2:10Y"],
        "N3": ["EQ:N3"],
        "EQ:N3": ["EQ:N3"],
        "CR:X": ["CR:X"],
    }


def test_a_wider_spread_is_a_lower_share(tmp_path: Path) -> None:
    sectors = {"EQ:A": "one", "N": "two", "EQ:B": "two"}
    shares = walks({"EQ:A": "one", "N": "two", "EQ:B": "two"}, 0.3, 0.2, 400)
    quoted = shares.assign(N=1 / shares["N"]).rename(columns={"N": "CDS:N:5Y"})
    kinds = [factor("EQ:A", "equity_price"), factor("CDS:N:5Y", "cds_spread", curve="N", pillar="5Y")]
    found = estimate(tmp_path, quoted, sectors, [*kinds, factor("EQ:B", "equity_price")])
    across, within = by_pandas(shares, sectors)
    assert (found.common, found.common + found.own_sector) == pytest.approx((across, within), rel=1e-9)
    assert found.history["N"] == "CDS:N:5Y"


def test_a_share_with_too_short_a_history_gives_way_to_the_spread(tmp_path: Path) -> None:
    sectors = {"A": "one", "EQ:B": "two"}
    shares = walks({"EQ:A": "one", "CDS:A:5Y": "one", "EQ:B": "two"}, 0.3, 0.2, 400)
    shares.loc[shares.index[:-20], "EQ:A"] = np.nan
    kinds = [factor("EQ:A", "equity_price"), factor("CDS:A:5Y", "cds_spread", curve="A", pillar="5Y")]
    found = estimate(tmp_path, shares, sectors, [*kinds, factor("EQ:B", "equity_price")])
    rho = np.log(shares).diff(5).corr().loc["CDS:A:5Y", "EQ:B"]
    assert found.history["A"] == "CDS:A:5Y"
    assert rows(found)["common"]["mean_correlation"] == pytest.approx(-rho, rel=1e-10)


def test_a_level_that_is_not_positive_has_no_log_move(tmp_path: Path) -> None:
    sectors = named(2, 2)
    levels = walks(sectors, 0.3, 0.2, 200)
    levels.iloc[50:60, 0] = 0.0
    found = estimate(tmp_path, levels, sectors)
    assert found.moves["EQ:A0"] == 195 - 15
    assert found.common == pytest.approx(by_pandas(levels.replace(0.0, np.nan), sectors)[0], rel=1e-10)


def test_two_names_of_one_share_are_no_pair_and_indices_are_none(tmp_path: Path) -> None:
    sectors = {"EQ:A": "one", "A": "one", "EQ:B": "one", "EQ:C": "two", "EQ:I": "two"}
    levels = walks({n: s for n, s in sectors.items() if n != "A"}, 0.3, 0.2, 300)
    found = estimate(tmp_path, levels, sectors, indices=frozenset({"EQ:I"}))
    rho = np.log(levels).diff(5).corr()
    a_b, a_c, b_c = rho.loc["EQ:A", "EQ:B"], rho.loc["EQ:A", "EQ:C"], rho.loc["EQ:B", "EQ:C"]
    assert found.common == pytest.approx((2 * a_c + b_c) / 3, rel=1e-10)
    assert found.common + found.own_sector == pytest.approx(a_b, rel=1e-10)  # of both names of A with B
    assert found.lacking == {"EQ:I": "an index has many issuers"}


def test_issuers_without_enough_history_are_named_and_take_that_of_the_others(tmp_path: Path) -> None:
    sectors = {**named(2, 2), "EQ:Z0": "sector A", "EQ:Z1": "sector B", "EQ:Z2": "sector B"}
    levels = walks(sectors, 0.3, 0.2, 300)
    levels.loc[levels.index[:-20], "EQ:Z0"] = np.nan
    levels["EQ:Z1"] = 7.0
    levels.loc[levels.index[:100], "EQ:Z2"] = np.nan
    found = estimate(tmp_path, levels, sectors)
    assert found.lacking == {
        "EQ:Z0": "EQ:Z0 has 15 moves over 5 business days, of 21 that are needed",
        "EQ:Z1": "EQ:Z1 never moves",
    }
    kept = levels.drop(columns=["EQ:Z0", "EQ:Z1"])
    assert found.common == pytest.approx(by_pandas(kept, sectors)[0], rel=1e-10)
    assert any(n.startswith("2 issuers without a history take the correlations of the others") for n in found.notes)
    assert found.moves["EQ:Z2"] == 195
    assert found.substituted


def test_an_issuer_that_came_later_is_named(tmp_path: Path) -> None:
    sectors = named(2, 2)
    levels = walks(sectors, 0.3, 0.2, 2620)
    levels.loc[levels.index[:1000], "EQ:B1"] = np.nan
    found = estimate(tmp_path, levels, sectors, correlation_days=250)
    assert (found.short, found.substituted, found.lacking) == (False, True, {})
    assert "The history of 1 issuer begins later than asked for, see moves: EQ:B1." in found.notes
    assert rows(found)["common"]["fewest_moves"] == found.moves["EQ:B1"] == 1620 - 250


@pytest.mark.parametrize("n", [10, 25])
def test_a_history_that_is_too_short_is_an_error_and_no_figure(tmp_path: Path, n: int) -> None:
    sectors = named(2, 2)
    with pytest.raises(BadInput) as error:
        estimate(tmp_path, walks(sectors, 0.3, 0.2, n), sectors)
    said = str(error.value)
    assert "0 of 4 issuers have enough history in the 10 years to 2020-06-30" in said
    assert f"EQ:A0 has {n - 5} moves over 5 business days, of 21 that are needed" in said
    assert "Give common_correlation and sector_correlation, or shorter correlation_days" in said
    assert error.value.issues[0].pointer == "/common_correlation"


def test_one_issuer_with_history_or_histories_apart_in_time_are_too_few(tmp_path: Path) -> None:
    sectors = named(1, 1)
    levels = walks(sectors, 0.3, 0.2, 300)
    with pytest.raises(BadInput, match="1 of 2 issuers has enough history"):
        estimate(tmp_path / "one", levels[["EQ:A0"]], sectors)
    levels.iloc[:150, 0] = np.nan
    levels.iloc[150:, 1] = np.nan
    with pytest.raises(BadInput, match="no other issuer has 21 moves on the same days"):
        estimate(tmp_path / "apart", levels, sectors)
    bare = Lake.create(tmp_path / "bare")
    inputs = SimpleNamespace(snapshot=bare.snapshot(), valuation_set=SimpleNamespace(market_date=LAST))
    with pytest.raises(BadInput, match="0 of 2 issuers have enough history"):
        correlations_of(cast(Inputs, inputs), CorrelationRules(), Issuers(sectors, frozenset(), frozenset(sectors)))


@pytest.mark.parametrize("lose", [frozenset[str](), frozenset({"EQ:A0"})])
def test_one_issuer_or_none_needs_no_correlation(tmp_path: Path, lose: frozenset[str]) -> None:
    found = estimate(tmp_path, walks(named(1), 0.3, 0.2, 10), named(1, 1), lose=lose)
    assert (found.common, found.own_sector, found.short) == (0.0, 0.0, False)
    assert [r["correlation"] for r in found.rows.to_pylist()] == [None, None]
    assert found.notes == ("No correlation is needed: the charge has fewer than two issuers.",)


def test_a_given_pair_is_used_as_it_is_and_said(tmp_path: Path) -> None:
    found = estimate(tmp_path, walks(named(2), 0.3, 0.2, 10), named(2), common_correlation=0.25, sector_correlation=0.0)
    assert (found.common, found.own_sector, found.short) == (0.25, 0.0, False)
    assert {r["how"] for r in found.rows.to_pylist()} == {"as given"}
    assert found.notes[0].startswith("Correlations as given, common 0.25 and of a sector 0;")


# --- as the question answers -----------------------------------------------------------------------------------------

ASKED = {
    "as_of": str(MONDAY),
    "where": ["desk=Equities"],
    "by": ["trade"],
    "paths": 20_000,
    "pds": {"EQ:AAA": 0.02, "EQ:BBB": 0.03},
}


def ask(lake: Path, **changed: Any) -> DrcIma:
    found: DrcIma = questions.ask(
        reading(Lake.open(lake)), "drc-ima", questions.read("drc-ima", {**ASKED, "correlation_days": 5, **changed})
    )
    return found


def test_the_charge_is_that_of_the_same_correlations_given(valued_lake: Path) -> None:
    found = ask(valued_lake)
    market = Lake.open(valued_lake).read("market_data").to_pandas()
    levels = market.pivot(index="as_of_date", columns="risk_factor_id", values="value_used")[["EQ:AAA", "EQ:BBB"]]
    rho = np.log(levels[levels.index <= MONDAY]).diff(5).corr().iloc[0, 1]
    common, sector = found.correlations.to_pylist()
    assert common["mean_correlation"] == pytest.approx(rho, rel=1e-10)
    assert (common["correlation"], sector["correlation"]) == (max(common["mean_correlation"], 0.0), 0.0)
    given = ask(valued_lake, common_correlation=common["correlation"], sector_correlation=0.0)
    assert (found.charge, found.low, found.high) == (given.charge, given.low, given.high)
    assert found.rows.equals(given.rows)
    assert (found.status, given.status) == ("partial", "complete")
    assert [(r["history"], r["no_history"]) for r in found.issuers.to_pylist()] == [("EQ:AAA", None), ("EQ:BBB", None)]
    assert given.issuers["history"].null_count == 2


def test_a_year_of_moves_is_not_in_the_small_lake_and_is_said(valued_lake: Path) -> None:
    with pytest.raises(BadInput, match="0 of 2 issuers have enough history"):
        ask(valued_lake, correlation_days=250)
    one = ask(valued_lake, correlation_days=250, pds={"EQ:AAA": 0.02}, where=["desk=Options"])
    assert one.correlations["correlation"].null_count == 2
    assert any("fewer than two issuers" in n for n in one.notes)


def test_an_answer_replays_to_the_bit_when_the_market_has_changed_since(valued_lake: Path, tmp_path: Path) -> None:
    path = shutil.copytree(valued_lake, tmp_path / "lake")
    found = ask(path)
    named = found.receipt["correlations"]
    assert named["market_data_version"] == found.receipt["table_versions"]["market_data"]
    assert named["window"].endswith(str(MONDAY))
    lake = Lake.open(path)
    rows_then = lake.read("market_data").to_pylist()
    for r in rows_then[::3]:
        r["value_used"] = None if r["value_used"] is None else r["value_used"] * 1.01
    with Committer(lake, "test") as committer:
        schema = lake.read("market_data").schema
        committer.put("market_data", pa.Table.from_pylist(rows_then, schema=schema), replace=True)
    assert ask(path).correlations["mean_correlation"] != found.correlations["mean_correlation"]
    again = replay(lake, json.loads(json.dumps(found.to_dict(), default=str)))
    assert (again.verdict, again.recomputed_digest) == ("same bits", found.receipt["answer_digest"])
