"""Proxies: beta against SciPy, and what is filled, by what, and said about it."""

import dataclasses
import datetime as dt
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import linregress
from support import factor, new_lake, put_market

from lake.errors import BadInput
from lake.tables import Lake
from scenarios import generators
from scenarios.market.calendars import sessions
from scenarios.market.proxies import regress
from scenarios.types import RiskFactor, ScenarioSet

AS_OF = dt.date(2020, 3, 16)
DAYS = [d.item() for d in sessions("XNYS", dt.date(2019, 6, 3), AS_OF)]
TECH, BANK, INDEX = {"region": "US", "sector": "Tech"}, {"region": "US", "sector": "Bank"}, {"region": "US"}


def described(risk_factor_id: str, kind: str, attributes: dict[str, str], **more: object) -> RiskFactor:
    return factor(risk_factor_id, kind, attributes=tuple(sorted(attributes.items())), **more)


FACTORS = [
    described("EQ:NEW", "equity_price", TECH),
    described("EQ:OLD", "equity_price", TECH),
    described("EQ:BANK", "equity_price", BANK),
    described("IDX:US", "index_level", INDEX),
    described("YC:USD:5Y", "zero_rate", INDEX, curve="USD", pillar="5Y"),
    described("YC:USD:7Y", "zero_rate", INDEX, curve="USD", pillar="7Y"),
    described("YC:EUR:7Y", "zero_rate", INDEX, curve="EUR", pillar="7Y"),
]
LISTED = DAYS[-81]  # 80 moves of its own
Market = dict[str, dict[dt.date, float | None]]


@pytest.fixture
def market() -> Market:
    rng = np.random.default_rng(11)
    shocks = {f.risk_factor_id: rng.standard_normal(len(DAYS)) * 0.01 for f in FACTORS}
    shocks["EQ:OLD"] = 0.8 * shocks["IDX:US"] + 0.7 * shocks["EQ:OLD"]
    shocks["EQ:NEW"] = 1.3 * shocks["EQ:OLD"] + 0.2 * shocks["EQ:NEW"]
    shocks["EQ:BANK"] = 1.3 * shocks["EQ:OLD"]  # moves as EQ:NEW does, but is of another sector
    shocks["YC:USD:7Y"] = shocks["YC:USD:5Y"] + 0.1 * shocks["YC:USD:7Y"]
    shocks["YC:EUR:7Y"] = shocks["YC:USD:7Y"]  # of another curve
    made: Market = {}
    for f in FACTORS:
        moves = shocks[f.risk_factor_id]
        path = 0.02 + 0.05 * moves.cumsum() if f.type == "zero_rate" else 100 * np.exp(moves.cumsum())
        made[f.risk_factor_id] = dict(zip(DAYS, path.tolist(), strict=True))
    made["EQ:NEW"] = {d: v for d, v in made["EQ:NEW"].items() if d >= LISTED}
    return made


def lake_of(folder: Path, market: Market, factors: list[RiskFactor] = FACTORS) -> Lake:
    made = new_lake(folder)
    put_market(made, factors, market)
    return made


def build(lake: Lake, **parameters: object) -> ScenarioSet:
    return generators.generate(
        lake.snapshot(), "historical", {"market_date": AS_OF, "scenarios": 150, **parameters}, "test"
    )


def relative_moves(made: ScenarioSet, factor_id: str) -> np.ndarray:
    row = made.index.row[factor_id]
    return made.levels[row] / made.base[row] - 1


def test_regression_against_scipy() -> None:
    rng = np.random.default_rng(5)
    x = rng.standard_normal(300)
    y = 0.7 * x + rng.standard_normal(300) + 0.3
    y[:40], x[250:] = np.nan, np.nan
    slope, r2, n = regress(y, np.column_stack([x, rng.standard_normal(300)]))
    expected = linregress(x[40:250], y[40:250])
    assert (slope[0], r2[0], n[0]) == (pytest.approx(expected.slope), pytest.approx(expected.rvalue**2), 210)
    assert n[1] == 260


@pytest.mark.parametrize("still", [0, 1])
def test_what_never_moved_explains_nothing(still: int) -> None:
    pair = [np.random.default_rng(5).standard_normal(50), np.random.default_rng(6).standard_normal(50)]
    pair[still] = np.zeros(50)
    assert [v[0] for v in regress(pair[0], pair[1][:, None])] == [0.0, 0.0, 50]
    assert [v[0] for v in regress(np.full(50, np.nan), pair[0][:, None])] == [0.0, 0.0, 0]


def test_a_newly_listed_name_moves_by_beta_and_is_named(tmp_path: Path, market: Market) -> None:
    made = build(lake_of(tmp_path, market))
    new, old = relative_moves(made, "EQ:NEW"), relative_moves(made, "EQ:OLD")
    own = [market["EQ:NEW"][d] for d in DAYS[-81:]]
    theirs = [market["EQ:OLD"][d] for d in DAYS[-81:]]
    fit = linregress(np.diff(theirs) / theirs[:-1], np.diff(own) / own[:-1])
    np.testing.assert_allclose(new[:70], fit.slope * old[:70], rtol=1e-9, atol=1e-14)
    np.testing.assert_allclose(new[70:], np.diff(own) / own[:-1], rtol=1e-9, atol=1e-14)
    assert made.proxied == {
        "EQ:NEW": f"EQ:NEW by EQ:OLD, beta {fit.slope:.4g}, R2 {fit.rvalue**2:.2f} on 80 moves, 70 of 150 scenarios"
    }
    assert made.excluded == {}
    assert made.definition["proxies"]["auto"] is True


def test_without_automatic_proxies_it_is_excluded(tmp_path: Path, market: Market) -> None:
    made = build(lake_of(tmp_path, market), proxies={"auto": False})
    assert made.proxied == {}
    assert "EQ:NEW" in made.excluded


def test_a_declared_proxy_goes_first_with_its_beta_or_an_estimated_one(tmp_path: Path, market: Market) -> None:
    lake = lake_of(tmp_path, market)
    stated = build(lake, proxies={"declared": {"EQ:NEW": {"factor": "IDX:US", "beta": 1.5}}})
    np.testing.assert_allclose(
        relative_moves(stated, "EQ:NEW")[:70], 1.5 * relative_moves(stated, "IDX:US")[:70], rtol=1e-9, atol=1e-14
    )
    assert stated.proxied["EQ:NEW"] == "EQ:NEW by IDX:US, beta 1.5, as stated, 70 of 150 scenarios"
    estimated = build(lake, proxies={"declared": {"EQ:NEW": {"factor": "EQ:BANK"}}, "auto": False})
    assert "EQ:NEW by EQ:BANK, beta" in estimated.proxied["EQ:NEW"]


def test_a_hole_in_a_pillar_is_filled_by_its_curve(tmp_path: Path, market: Market) -> None:
    hole = DAYS[-20]
    market["YC:USD:7Y"][hole] = None
    made = build(lake_of(tmp_path, market))
    assert made.n_scenarios == 150
    assert made.dropped == {}
    assert "YC:USD:7Y by YC:USD:5Y" in made.proxied["YC:USD:7Y"]
    assert made.proxied["YC:USD:7Y"].endswith("2 of 150 scenarios")  # into the hole and out of it


def test_an_index_stands_in_where_no_peer_does(tmp_path: Path, market: Market) -> None:
    factors = [f for f in FACTORS if f.risk_factor_id != "EQ:OLD"]
    levels = {f.risk_factor_id: market[f.risk_factor_id] for f in factors}
    made = build(lake_of(tmp_path, levels, factors))
    assert made.proxied["EQ:NEW"].startswith("EQ:NEW by IDX:US")
    strict = build(lake_of(tmp_path / "other", levels, factors), proxies={"min_r2": 0.99})
    assert "EQ:NEW" in strict.excluded


def test_on_a_holiday_the_proxy_moves_it_only_where_asked(tmp_path: Path, market: Market) -> None:
    factors = [dataclasses.replace(f, source="abroad") if f.risk_factor_id == "EQ:OLD" else f for f in FACTORS]
    day = DAYS[-10]
    del market["EQ:OLD"][day]
    lake = lake_of(tmp_path, market, factors)
    own = build(lake)
    assert own.holidays == {str(day): "unchanged: abroad (1 factor)"}
    at = own.labels.index(str(day))
    assert relative_moves(own, "EQ:OLD")[at] == 0
    proxied = build(lake, gaps="proxy", proxies={"declared": {"EQ:OLD": {"factor": "IDX:US", "beta": 0.8}}})
    assert proxied.holidays == {}
    assert relative_moves(proxied, "EQ:OLD")[at] == pytest.approx(0.8 * relative_moves(proxied, "IDX:US")[at], rel=1e-9)
    assert proxied.proxied["EQ:OLD"].endswith("1 of 150 scenarios")


def test_a_still_proxy_moves_nothing(tmp_path: Path, market: Market) -> None:
    market["IDX:US"] = dict.fromkeys(DAYS, 100.0)
    made = build(lake_of(tmp_path, market), proxies={"declared": {"EQ:NEW": {"factor": "IDX:US"}}})
    np.testing.assert_array_equal(relative_moves(made, "EQ:NEW")[:70], np.zeros(70))


@pytest.mark.parametrize(
    ("proxies", "match"),
    [
        ({"declared": {"EQ:NEW": {"factor": "IDX:UK"}}}, "Nearest valid: IDX:US"),
        ({"declared": {"EQ:NWE": {"factor": "IDX:US"}}}, "Nearest valid: EQ:NEW"),
        ({"declared": {"EQ:NEW": {"factor": "EQ:NEW"}}}, "its own proxy"),
        ({"declared": {"EQ:NEW": {"factor": "IDX:US"}}, "min_observations": 81}, "80 moves in common"),
        ({"window": 1}, "window"),
    ],
)
def test_bad_proxies_are_told(tmp_path: Path, market: Market, proxies: dict[str, object], match: str) -> None:
    with pytest.raises(BadInput, match=match):
        build(lake_of(tmp_path, market), proxies=proxies)
