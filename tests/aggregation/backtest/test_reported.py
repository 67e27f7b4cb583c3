"""VaR of other systems backtested, and counts alone: held against published tables, and against the backtest of our own VaR."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats
from small_lake import FRIDAY, MONDAY

from aggregation.questions import ask, read
from aggregation.replay import replay
from aggregation.session import reading
from lake.committer import Committer
from lake.errors import BadInput, NotFound
from lake.landing.actual_pnl import ingest_pnl
from lake.landing.reported_var import ingest_var
from lake.tables import Lake


def counts(tmp_path: Path, **given: Any) -> Any:
    return ask(reading(Lake.create(tmp_path / "lake")), "backtest-counts", read("backtest-counts", given))


# Basel Committee, Supervisory framework for the use of backtesting (1996), table 2; multipliers of MAR32.9
@pytest.mark.parametrize(
    ("exceptions", "zone", "plus", "multiplier", "cumulative"),
    [
        (0, "green", 0.00, 1.50, 8.11), (1, "green", 0.00, 1.50, 28.58), (2, "green", 0.00, 1.50, 54.32),
        (3, "green", 0.00, 1.50, 75.81), (4, "green", 0.00, 1.50, 89.22), (5, "amber", 0.40, 1.70, 95.88),
        (6, "amber", 0.50, 1.76, 98.63), (7, "amber", 0.65, 1.83, 99.60), (8, "amber", 0.75, 1.88, 99.89),
        (9, "amber", 0.85, 1.92, 99.97), (10, "red", 1.00, 2.00, 99.99),
    ],
)  # fmt: skip
def test_the_zones_are_those_of_the_table(
    exceptions: int, zone: str, plus: float, multiplier: float, cumulative: float, tmp_path: Path
) -> None:
    light = counts(tmp_path, exceptions=exceptions, days=250).traffic_light
    assert (light.zone, light.plus_factor, light.multiplier) == (zone, plus, multiplier)
    assert 100 * light.probability == pytest.approx(cumulative, abs=0.0051)


# Kupiec (1995), table 3, test confidence 95%: the counts N for which a model is not rejected, N < 7 of 255 days at 99%, and so on
@pytest.mark.parametrize(
    ("level", "days", "low", "high"),
    [
        ("0.99", 510, 2, 10), ("0.99", 1000, 5, 16), ("0.975", 255, 3, 11), ("0.975", 510, 7, 20), ("0.975", 1000, 16, 35),
        ("0.95", 255, 7, 20), ("0.95", 510, 17, 35), ("0.95", 1000, 38, 64), ("0.925", 255, 12, 27), ("0.9", 255, 17, 35),
        ("0.9", 1000, 82, 119),
    ],
)  # fmt: skip
def test_kupiec_does_not_reject_the_counts_of_his_table(
    level: str, days: int, low: int, high: int, tmp_path: Path
) -> None:
    row = counts(tmp_path, exceptions=low, days=days, level=level).rows.to_pylist()[0]
    assert (row["test"], row["not_rejected_from"], row["not_rejected_to"], row["rejected"]) == (
        "kupiec",
        low,
        high,
        False,
    )
    p = 1 - float(level)
    for x in (low - 1, high + 1):
        row = counts(tmp_path, exceptions=x, days=days, level=level).rows.to_pylist()[0]
        ratio = 2 * (stats.binom.logpmf(x, days, x / days) - stats.binom.logpmf(x, days, p))
        assert row["statistic"] == pytest.approx(ratio, rel=1e-9)
        assert row["rejected"]


def test_counts_that_cannot_be(tmp_path: Path) -> None:
    for given in (
        {"exceptions": 251},
        {"exceptions": -1},
        {"exceptions": 1, "level": "1.5"},
        {"exceptions": 1, "days": 0},
    ):
        with pytest.raises(BadInput):
            counts(tmp_path, **given)


def reported(lake: Lake, *rows: str, header: str = "date,desk,level,var,es,pnl,currency", **options: Any) -> None:
    path = lake.path.parent / "var.csv"
    path.write_text("\n".join([header, *rows]) + "\n")
    with Committer(lake, "test") as committer:
        ingest_var(committer, path, **{"source": "risksys", **options})


def backtest(lake: Lake, **given: Any) -> Any:
    days = {"from": "2019-01-01", "to": "2020-12-31", "calendar": "books", "source": "risksys"}
    return ask(reading(lake), "backtest", read("backtest", {**days, **given}))


def test_the_exceptions_are_those_counted_by_numpy(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    n = 300
    days = np.arange(np.datetime64("2019-06-03"), np.datetime64("2021-01-01"))
    days = days[np.is_busday(days)][:n]
    var, pnl = rng.uniform(150, 250, n).round(2), (rng.standard_normal(n) * 100).round(2)
    lake = Lake.create(tmp_path / "lake")
    reported(lake, *(f"{d},,0.99,{v},{1.2 * v},{x},USD" for d, v, x in zip(days, var, pnl, strict=True)))
    answer = backtest(lake, law="normal", simulations=200)
    hits = -pnl[1:] > var[:-1]
    (level,) = answer.nodes[0].levels
    (judged,) = level.by_pnl
    assert (level.level, judged.pnl, judged.days, judged.exceptions) == ("0.99", "actual", n - 1, int(hits.sum()))
    assert judged.exceptions > 3
    assert level.traffic_light.exceptions == int(hits[-250:].sum())
    tests = {t.test: t for t in judged.outcomes}
    x, p = int(hits.sum()), 0.01
    ratio = 2 * (stats.binom.logpmf(x, n - 1, x / (n - 1)) - stats.binom.logpmf(x, n - 1, p))
    assert tests["kupiec"].statistic == pytest.approx(ratio, rel=1e-9)
    es = 1.2 * var[:-1]
    assert tests["acerbi_szekely_z2"].statistic == pytest.approx(
        (pnl[1:] * hits / es).sum() / ((n - 1) * p) + 1, rel=1e-9
    )
    assert "multinomial" not in str(answer.nodes[0].multinomial)
    assert answer.receipt["reported_var"]["files"] == ["var.csv"]
    assert "risksys" in answer.notes[0]
    without = {t.test for t in backtest(lake).nodes[0].levels[0].by_pnl[0].outcomes}
    assert without == {t for t in tests if not t.startswith("acerbi")}


def test_our_own_var_reported_by_another_system_is_judged_alike(valued_lake: Path, tmp_path: Path) -> None:
    given = {
        "from": str(FRIDAY),
        "to": str(MONDAY),
        "calendar": "books",
        "by": ["desk"],
        "levels": ["0.9"],
        "simulations": 0,
    }
    own = ask(reading(Lake(valued_lake)), "backtest", read("backtest", given))
    lake = Lake.create(tmp_path / "lake")
    rows = []
    for node in own.nodes:
        (day,) = node.days
        desk = node.node.get("desk", "")
        rows += [f"{day['var_day']},{desk},0.9,{day['var_0.9']!r},,,USD"]
        rows += [f"{day['day']},{desk},0.9,1,,{day['hypothetical_pnl']!r},USD"]
    reported(lake, *rows)
    other = backtest(lake, by=["desk"], simulations=0)
    assert len(other.nodes) == len(own.nodes)
    for one, two in zip(own.nodes, other.nodes, strict=True):
        assert dict(one.node) == dict(two.node)
        mine, theirs = one.levels[0].by_pnl[0], two.levels[0].by_pnl[0]
        assert (mine.exceptions, mine.exceeded, mine.outcomes) == (theirs.exceptions, theirs.exceeded, theirs.outcomes)


class TestNodes:
    ROWS = (
        "2020-03-12,,0.99,100,,,USD",
        "2020-03-12,Rates,0.99,60,,,USD",
        "2020-03-13,,0.99,100,,-101,USD",
        "2020-03-13,Rates,0.99,60,,-60,USD",
        "2020-03-16,,0.99,100,,-99,USD",
    )

    @pytest.fixture
    def lake(self, tmp_path: Path) -> Lake:
        lake = Lake.create(tmp_path / "lake")
        reported(lake, *self.ROWS)
        return lake

    def test_a_node_is_answered_for_by_its_own_rows(self, lake: Lake) -> None:
        total, rates = backtest(lake, by=["desk"]).nodes
        assert total.levels[0].by_pnl[0].exceeded == 1
        # a loss equal to the VaR is no exception; the day without P&L counts as one
        assert (rates.levels[0].by_pnl[0].exceeded, rates.levels[0].by_pnl[0].missing) == (0, 1)
        (alone,) = backtest(lake, where=["desk=Rates"]).nodes
        assert alone.levels == rates.levels

    def test_an_answer_of_before_a_correction_replays(self, lake: Lake) -> None:
        before = backtest(lake)
        reported(lake, "2020-03-12,,0.99,105,,,USD")
        assert backtest(lake).nodes[0].levels[0].by_pnl[0].exceeded == 0
        again = replay(lake, json.loads(json.dumps(before.to_dict(), default=str)))
        assert again.verdict == "same bits", (again.why, again.inputs, again.changed)

    def test_a_day_without_var_counts(self, lake: Lake) -> None:
        (total,) = backtest(lake, calendar="weekdays", **{"from": "2020-03-12", "to": "2020-03-17"}).nodes
        assert total.levels[0].by_pnl[0].missing == 1
        assert "no actual P&L" in total.days[-1]["remark"]

    def test_pnl_of_the_lake_is_taken_where_the_file_has_none(self, lake: Lake) -> None:
        reported(lake, *self.ROWS[:2], source="two")
        pnl = lake.path.parent / "pnl.csv"
        pnl.write_text("date,pnl,currency\n2020-03-13,-150,USD\n")
        with Committer(lake, "test") as committer:
            ingest_pnl(committer, pnl)
        (total,) = backtest(lake, source="two").nodes
        assert total.levels[0].by_pnl[0].exceeded == 1

    def test_a_currency_without_a_rate_is_told_on_every_day(self, lake: Lake) -> None:
        (total,) = backtest(lake, currency="EUR").nodes
        assert all("no VaR" in d["remark"] for d in total.days)

    @pytest.mark.parametrize(
        ("given", "says"),
        [
            ({"source": "risksis"}, "Nearest valid: risksys"),
            ({"levels": ["0.95"]}, "Nearest valid: 0.99"),
            ({"where": ["desk=FX"]}, "desk=Rates"),
            ({"where": ["desk!=Rates"]}, "does not add up"),
            ({"by": ["currency"]}, "dimension of reported VaR"),
            ({"from": "2019-01-01", "to": "2019-12-31"}, "ingest var"),
        ],
    )
    def test_what_cannot_be_answered_is_said(self, given: dict[str, Any], says: str, lake: Lake) -> None:
        with pytest.raises((BadInput, NotFound), match=says):
            backtest(lake, **given)

    def test_without_pnl_there_is_nothing_to_test(self, tmp_path: Path) -> None:
        lake = Lake.create(tmp_path / "bare")
        reported(lake, "2020-03-12,,0.99,100,,,USD", "2020-03-13,,0.99,100,,,USD")
        with pytest.raises(NotFound, match="ingest pnl"):
            backtest(lake)
