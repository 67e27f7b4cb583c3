"""Historical simulation against plain arithmetic on the same history, and against its own promises."""

import datetime as dt
from pathlib import Path

import numpy as np
import pytest
from support import factor, new_lake, put_market, random_walks

from lake.committer import Committer
from lake.errors import BadInput, NotFound
from lake.tables import Lake
from scenarios import generators
from scenarios.market.calendars import sessions
from scenarios.store import find_scenario_set, list_scenario_sets, load_scenario_set, save_scenario_set

AS_OF = dt.date(2020, 3, 16)
FIRST = dt.date(2019, 6, 3)
FACTORS = [
    factor("EQ:A", "equity_price"),
    factor("FX:EURUSD", "fx_rate"),
    factor("YC:USD:10Y", "par_yield", curve="USD", pillar="10Y"),
    factor("IV:A", "implied_vol"),
    factor("CMD:WTI", "commodity_price"),
]


@pytest.fixture
def market() -> dict[str, dict[dt.date, float | None]]:
    return random_walks(FACTORS, FIRST, AS_OF)


@pytest.fixture
def lake(tmp_path: Path, market: dict[str, dict[dt.date, float | None]]) -> Lake:
    made = new_lake(tmp_path)
    put_market(made, FACTORS, market)
    return made


def build(lake: Lake, **parameters: object):
    return generators.generate(lake.snapshot(), "historical", {"market_date": AS_OF, **parameters}, "test")


def test_each_scenario_replays_one_day(lake: Lake, market: dict[str, dict[dt.date, float | None]]) -> None:
    made = build(lake, scenarios=100)
    days = [d.item() for d in sessions("XNYS", FIRST, AS_OF)]
    assert made.labels == tuple(map(str, days[-100:]))
    assert made.n_scenarios == 100  # the base is not a scenario
    for row, f in enumerate(made.index.factors):
        series = market[f.risk_factor_id]
        assert made.base[row] == series[AS_OF]
        for column, label in enumerate(made.labels):
            day = dt.date.fromisoformat(label)
            earlier, later = series[days[days.index(day) - 1]], series[day]
            assert earlier is not None
            assert later is not None
            base = series[AS_OF]
            assert base is not None
            expected = base + (later - earlier) if f.type == "par_yield" else base * later / earlier
            assert made.levels[row, column] == pytest.approx(expected, rel=1e-13)


def test_a_return_across_a_gap_is_no_one_day_return(lake: Lake, market: dict[str, dict[dt.date, float | None]]) -> None:
    hole = dt.date(2020, 2, 5)
    market["EQ:A"][hole] = None
    put_market(lake, FACTORS, market)
    made = build(lake, scenarios=100)
    assert made.n_scenarios == 100
    for day in ("2020-02-05", "2020-02-06"):
        assert day not in made.labels
        assert made.dropped[day] == "no one-day move for EQ:A"
    assert np.isfinite(made.levels).all()


def test_short_history_is_excluded_with_its_reason(lake: Lake, market: dict[str, dict[dt.date, float | None]]) -> None:
    listed = dt.date(2020, 1, 2)
    market["EQ:A"] = {d: v for d, v in market["EQ:A"].items() if d >= listed}
    put_market(lake, FACTORS, market)
    made = build(lake, scenarios=100)
    assert "EQ:A" not in made.index.row
    assert "one-day moves on only" in made.excluded["EQ:A"]
    assert made.n_scenarios == 100


def test_missing_base_level_is_held_visibly_or_excluded(
    lake: Lake, market: dict[str, dict[dt.date, float | None]]
) -> None:
    market["FX:EURUSD"][AS_OF] = None
    market["IV:A"] = {d: v for d, v in market["IV:A"].items() if d < dt.date(2020, 3, 9)}
    put_market(lake, FACTORS, market)
    made = build(lake, scenarios=50)
    assert made.held == {"FX:EURUSD": "level of 2020-03-13 held"}
    assert made.base[made.index.row["FX:EURUSD"]] == market["FX:EURUSD"][dt.date(2020, 3, 13)]
    assert made.excluded["IV:A"] == "no level since 2020-03-06"
    assert "FX:EURUSD" in build(lake, scenarios=50, max_held_days=0).excluded


def test_negative_price_moves_absolutely_nowhere_and_is_dropped(
    lake: Lake, market: dict[str, dict[dt.date, float | None]]
) -> None:
    market["CMD:WTI"][dt.date(2020, 2, 5)] = -36.98
    put_market(lake, FACTORS, market)
    made = build(lake, scenarios=100)
    assert "2020-02-05" in made.labels  # the fall to a negative price is a relative move
    assert "2020-02-06" not in made.labels  # the rise from it is none
    assert made.levels[made.index.row["CMD:WTI"], made.labels.index("2020-02-05")] < 0


def test_zero_history_gives_zero_shocks(tmp_path: Path) -> None:
    lake = new_lake(tmp_path)
    flat = {f.risk_factor_id: dict.fromkeys((d.item() for d in sessions("XNYS", FIRST, AS_OF)), 1.5) for f in FACTORS}
    put_market(lake, FACTORS, flat)
    made = build(lake, scenarios=100)
    np.testing.assert_array_equal(made.levels, np.full((5, 100), 1.5))


@pytest.mark.parametrize(
    ("parameters", "error", "match"),
    [
        ({"scenarios": 0}, BadInput, "scenarios"),
        ({"scenarios": "many"}, BadInput, "scenarios"),
        ({"scenarios": 5000}, BadInput, "history gives only"),
        ({"scenarois": 10}, BadInput, "nearest scenarios"),
        ({"calendar": "XNYX"}, BadInput, "XNYS"),
        ({"market_date": dt.date(2020, 3, 15)}, NotFound, "2020-03-13"),  # a Sunday
        ({"market_date": dt.date(2024, 3, 15)}, NotFound, "No market data|holds no market data"),
    ],
)
def test_bad_input_is_told_and_stores_nothing(
    lake: Lake, parameters: dict[str, object], error: type[Exception], match: str
) -> None:
    with pytest.raises(error, match=match):
        build(lake, **parameters)
    assert list_scenario_sets(lake).num_rows == 0


def test_unknown_method(lake: Lake) -> None:
    with pytest.raises(BadInput, match="historical"):
        generators.generate(lake.snapshot(), "historcal", {}, "x")


def test_store_round_trip_and_versions(lake: Lake, market: dict[str, dict[dt.date, float | None]]) -> None:
    made = build(lake, scenarios=60)
    with Committer(lake, "test") as committer:
        stored = save_scenario_set(committer, made)
        version = lake.version("scenario_sets")
        again = save_scenario_set(committer, build(lake, scenarios=60))
        assert (again.scenario_set_id, again.version) == (stored.scenario_set_id, 1)
        assert lake.version("scenario_sets") == version
    loaded = load_scenario_set(lake, stored.scenario_set_id)
    assert loaded.levels.tobytes() == made.levels.tobytes()
    assert loaded.base.tobytes() == made.base.tobytes()
    assert (loaded.labels, loaded.index, loaded.definition) == (made.labels, made.index, made.definition)

    market["EQ:A"][dt.date(2020, 3, 10)] = 123.0
    put_market(lake, FACTORS, market)
    with Committer(lake, "test") as committer:
        corrected = save_scenario_set(committer, build(lake, scenarios=60))
    assert corrected.version == 2
    assert corrected.scenario_set_id != stored.scenario_set_id
    found = find_scenario_set(lake, "test", AS_OF)
    assert (found.scenario_set_id, found.version) == (corrected.scenario_set_id, corrected.version)
    assert load_scenario_set(lake, stored.scenario_set_id).levels.tobytes() == made.levels.tobytes()
    with pytest.raises(NotFound, match="test"):
        find_scenario_set(lake, "tset")
    with pytest.raises(NotFound, match="2020-03-16"):
        find_scenario_set(lake, "test", dt.date(2020, 3, 17))


def test_blocks_of_scenarios_round_trip(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scenarios.store.BLOCK", 7)
    made = build(lake, scenarios=60)
    with Committer(lake, "test") as committer:
        stored = save_scenario_set(committer, made)
    assert load_scenario_set(lake, stored.scenario_set_id).levels.tobytes() == made.levels.tobytes()
