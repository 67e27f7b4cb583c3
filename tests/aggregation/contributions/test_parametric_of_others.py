"""Parametric VaR of sensitivities and covariances that were brought in: published figures, hand computations, simulation."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats
from small_lake import MONDAY
from support import new_lake

from aggregation.contributions.parametric import ParametricQuery, ParametricResult, run_parametric
from aggregation.questions import ask
from aggregation.replay import replay
from aggregation.session import reading
from lake.committer import Committer
from lake.errors import BadInput, NotFound
from lake.tables import Lake
from scenarios.market.covariances import ingest_covariance
from scenarios.store import find_scenario_set, load_scenario_set
from valuation.books.sensitivities import ingest_sensitivities

EXAMPLES = Path(__file__).parents[3] / "docs" / "examples"


def ask_of(lake: Lake, **more: object) -> ParametricResult:
    query = ParametricQuery.model_validate({"as_of": MONDAY, "sensitivities": ["other"], **more})
    return run_parametric(reading(lake), query)


Write = Callable[..., Lake]


@pytest.fixture
def empty(tmp_path: Path) -> Write:
    """Brings sensitivities and a covariance into a lake that holds nothing else."""
    lake = new_lake(tmp_path)

    def bring(sensitivities: str, covariance: str, unit: Any = "1", **more: Any) -> Lake:
        (tmp_path / "s.csv").write_text(sensitivities)
        (tmp_path / "c.csv").write_text(covariance)
        with Committer(lake, "test") as writer:
            ingest_sensitivities(writer, tmp_path / "s.csv", source="other", as_of=MONDAY)
            ingest_covariance(writer, tmp_path / "c.csv", name="c", horizon_days=1, unit=unit, **more)
        return lake

    return bring


@pytest.fixture(scope="module")
def jorion(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """The example files of the documentation, in a lake that holds nothing else: CAD $2m of 5%, EUR $1m of 12%, uncorrelated."""
    lake = new_lake(tmp_path_factory.mktemp("jorion"))
    with Committer(lake, "test") as writer:
        ingest_sensitivities(writer, EXAMPLES / "sensitivities.csv", source="other")
        ingest_covariance(writer, EXAMPLES / "covariance.csv", name="c", horizon_days=1, unit="1", moves="relative")
    return lake


class TestPublished:
    def test_jorion(self, jorion: Lake) -> None:
        """Jorion, chapter 7: sd 156,205; with z exact VaR 256,934, components 105,301 and 151,633, incremental 59,552 and 92,449."""
        found = ask_of(jorion, covariance="c", level="0.95", by=["desk"])
        assert found.total["sd"] == pytest.approx(156_205, abs=0.5)
        assert found.total["component"] == pytest.approx(256_934, abs=0.5)
        rows = {r["desk"]: r for r in found.rows.to_pylist()}
        assert rows["Americas"]["component"] == pytest.approx(105_301, abs=0.5)
        assert rows["Europe"]["component"] == pytest.approx(151_633, abs=0.5)
        assert rows["Americas"]["incremental"] == pytest.approx(59_552, abs=0.5)
        assert rows["Europe"]["incremental"] == pytest.approx(92_449, abs=0.5)
        # no gamma: the exact figure is the normal one
        assert found.total["delta_gamma"] == pytest.approx(found.total["component"], rel=1e-9)
        assert rows["Europe"]["delta_gamma"] == pytest.approx(rows["Europe"]["component"], rel=1e-8)
        assert found.coverage.status == "complete"
        assert found.unused.num_rows == 0
        assert found.total["historical"] is None

    def test_hull_zero_coupon_mapping(self, empty: Write, tmp_path: Path) -> None:
        """Hull: 37,397, 331,382 and 678,074 at 3, 6 and 12 months; 0.06, 0.10, 0.20% a day; variance 2,628,518, sd 1,621.3."""
        amounts = {"3M": 37_397, "6M": 331_382, "1Y": 678_074}
        vols = tmp_path / "vols.csv"
        vols.write_text("factor,volatility,unit\n3M,0.06,percent\n6M,0.10,percent\n1Y,20,bp\n")
        lake = empty(
            "trade,kind,factor,amount,currency,bump\n"
            + "".join(f"{m},delta,{m},{a / 100},USD,1%\n" for m, a in amounts.items()),
            "factor_1,factor_2,correlation\n3M,6M,0.9\n3M,1Y,0.6\n6M,1Y,0.7\n",
            volatilities=str(vols),
        )
        found = ask_of(lake, covariance="c")
        assert found.total["sd"] == pytest.approx(1_621.3, abs=0.05)
        assert found.total["sd"] ** 2 == pytest.approx(2_628_518, abs=1)

    def test_a_short_gamma_is_a_chi_square(self, empty: Write) -> None:
        """99% loss of -10,000 u^2 / 2 is 33,174.48 where four moments say 34,704.7; the second difference for a bump of 0.1 is -100."""
        lake = empty(
            "trade,kind,factor,amount,currency,bump\nT,gamma,u,-100,USD,0.1 abs\n",
            "factor_1,factor_2,covariance\nu,u,1\n",
        )
        found = ask_of(lake, covariance="c")
        assert found.total["delta_gamma"] == pytest.approx(33_174.48, abs=0.005)
        assert found.total["cornish_fisher"] == pytest.approx(34_704.7, abs=0.05)
        assert found.total["component"] == 0.0
        (factor,) = found.factors.to_pylist()
        assert factor["delta_gamma"] == pytest.approx(33_174.48, abs=0.005)


class TestUnits:
    def test_the_same_book_in_other_bumps_and_units(self, empty: Write) -> None:
        """One basis point of 25 bp^2, ten of it, and multiples of the bump: all the same figure, by hand 1.645 x 5 bp x 1,000."""
        for amount, bump, variance, unit in (
            (1000, "1bp", 25, "bp"),
            (10_000, "10bp", 25, "bp"),
            (1000, "1bp", 25e-8, "1"),
            (1000, "0.01 abs", 25e-4, "1"),
            (1000, "1bp", 25, "bump"),
        ):
            lake = empty(
                f"trade,kind,factor,amount,currency,bump\nT,delta,r,{amount},USD,{bump}\n",
                f"factor_1,factor_2,covariance\nr,r,{variance}\n",
                unit,
            )
            found = ask_of(lake, covariance="c", level="0.95")
            assert found.total["component"] == pytest.approx(stats.norm.ppf(0.95) * 5 * 1000, rel=1e-12)

    def test_what_a_matrix_does_not_know_is_listed_with_its_share(self, empty: Write) -> None:
        lake = empty(
            "trade,kind,factor,amount,currency,bump\nA,delta,r,300,USD,1bp\nB,delta,s,-100,USD,1bp\nC,delta,r,5,EUR,1bp\n"
            "D,delta,t,40,USD,1%\nD,gamma,r,2,USD,1bp\n",
            "factor_1,factor_2,covariance\nr,r,25\nt,t,1\n",
            "bp",
            absent_are_zero=True,
            moves="absolute",
        )
        found = ask_of(lake, covariance="c", by=["trade"])
        unused = {(r["factor"], r["currency"]): r for r in found.unused.to_pylist()}
        assert unused["s", "USD"]["share"] == pytest.approx(100 / 440)
        assert unused["s", "USD"]["reason"].startswith("the covariance c has no factor of this name")
        assert unused["t", "USD"]["reason"] == "its bump is relative, and the covariance c is of absolute moves of t"
        assert unused["r", "EUR"]["share"] is None
        assert "no exchange rate of EUR into USD" in unused["r", "EUR"]["reason"]
        assert found.total["unused_delta"] == pytest.approx(140 / 440)
        assert found.total["component"] == pytest.approx(stats.norm.ppf(0.99) * 5 * 300, rel=1e-12)
        rows = {r["trade"]: (r["status"], r["component"]) for r in found.rows.to_pylist()}
        assert rows["A"][0] == "complete"
        assert rows["B"] == ("invalid", None)
        assert rows["C"] == ("invalid", None)
        assert rows["D"][0] == "partial"
        assert (found.coverage.covered, found.coverage.positions) == (1, 4)
        assert any("0.318 of delta" in note and "without a rate" in note for note in found.notes)

    @pytest.mark.parametrize(
        ("unit", "bump", "told"),
        [("1", "1%", "others of r are absolute"), ("bump", "10bp", "is in units of one bump"), ("1", "10bp", "")],
    )
    def test_what_cannot_be_added_is_not(self, empty: Write, unit: str, bump: str, told: str) -> None:
        """Two sensitivities to a factor: where they are not to the same kind of move, or bump, the later one is listed."""
        lake = empty(
            f"trade,kind,factor,amount,currency,bump\nA,delta,r,100,USD,1bp\nB,delta,r,1000,USD,{bump}\n",
            "factor_1,factor_2,covariance\nr,r,1e-8\n" if unit == "1" else "factor_1,factor_2,covariance\nr,r,1\n",
            unit,
        )
        found = ask_of(lake, covariance="c")
        assert [r["reason"] for r in found.unused.to_pylist() if told in r["reason"]] == found.unused[
            "reason"
        ].to_pylist()
        assert found.unused.num_rows == (told != "")
        assert found.total["sd"] == pytest.approx(100 if told else 200, rel=1e-12)

    def test_nothing_known_is_no_figure(self, empty: Write) -> None:
        lake = empty(
            "trade,kind,factor,amount,currency,bump\nA,delta,s,300,USD,1bp\n", "factor_1,factor_2,covariance\nr,r,25\n"
        )
        found = ask_of(lake, covariance="c")
        assert set(found.total.values()) == {None}
        assert found.coverage.status == "invalid"


class TestOre:
    """The example files of ORE's layouts, with the covariance in bumps, as ORE takes it."""

    @pytest.fixture
    def lake(self, tmp_path: Path) -> Lake:
        lake = new_lake(tmp_path)
        with Committer(lake, "test") as writer:
            ingest_sensitivities(writer, EXAMPLES / "ore-sensitivity.csv", source="other", as_of=MONDAY)
            ingest_covariance(
                writer, EXAMPLES / "ore-covariance.csv", name="c", horizon_days=1, unit="bump", absent_are_zero=True
            )
        return lake

    # 5Y, 1M, spot, volatility
    DELTA = np.array([-4310.25, 85.1, 91_000.0, 310.4])
    GAMMA = np.array([[2.15, -0.05, 0, 0], [-0.05, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 1.05]])
    SIGMA = np.array([[25, 3, 0.3, 0], [3, 4, 0, 0], [0.3, 0, 0.36, 0], [0, 0, 0, 9]])

    def test_by_hand(self, lake: Lake) -> None:
        found = ask_of(lake, covariance="c", gamma="full")
        sd = np.sqrt(self.DELTA @ self.SIGMA @ self.DELTA)
        assert found.total["component"] == pytest.approx(stats.norm.ppf(0.99) * sd, rel=1e-12)
        gs = self.GAMMA @ self.SIGMA
        assert found.total["mean"] == pytest.approx(np.trace(gs) / 2, rel=1e-12)
        third = 3 * self.DELTA @ self.SIGMA @ gs @ self.DELTA + np.trace(gs @ gs @ gs)
        variance = sd**2 + np.trace(gs @ gs) / 2
        assert found.total["skewness"] == pytest.approx(third / variance**1.5, rel=1e-10)
        diagonal = ask_of(lake, covariance="c")
        assert diagonal.total["mean"] == pytest.approx(
            np.trace(np.diag(np.diag(self.GAMMA)) @ self.SIGMA) / 2, rel=1e-12
        )
        assert any("Cross gammas are left out" in note for note in diagonal.notes)

    def test_simulation(self, lake: Lake) -> None:
        n = 400_000
        x = np.random.default_rng(3).multivariate_normal(np.zeros(4), self.SIGMA, n)
        loss = -(x @ self.DELTA + ((x @ self.GAMMA) * x).sum(axis=1) / 2)
        found = ask_of(lake, covariance="c", gamma="full", level="0.975")
        share = (loss > found.total["delta_gamma"]).mean()
        assert abs(share - 0.025) < 4.5 * np.sqrt(0.025 * 0.975 / n)

    def test_everything_adds_up(self, lake: Lake) -> None:
        for measure in ("var", "es"):
            found = ask_of(lake, covariance="c", gamma="full", by=["trade"], measure=measure)
            for column, whole in (("component", found.total["component"]), ("delta_gamma", found.total["delta_gamma"])):
                for table in (found.rows, found.factors, found.classes):
                    assert sum(table[column].to_pylist()) == pytest.approx(whole, rel=1e-9)
        assert found.classes["risk_class"].to_pylist() == ["fx", "rates", "volatility"]


ORE_SENSITIVITIES = """#TradeId,IsPar,Factor_1,ShiftSize_1,Factor_2,ShiftSize_2,Currency,Base NPV,Delta,Gamma
SWAP-1,false,DiscountCurve/USD/4/5Y,0.000100,,0.000000,USD,120500.00,-4310.25,-1502.15
SWAP-1,false,DiscountCurve/USD/0/1M,0.000100,,0.000000,USD,120500.00,85.10,-700.00
SWAP-1,false,DiscountCurve/USD/0/1M,0.000100,DiscountCurve/USD/4/5Y,0.000100,USD,120500.00,0.00,350.50
FWD-7,false,FXSpot/EURUSD/0/spot,0.011000,,0.000000,USD,-2100.00,11000.00,-40000.00
CAP-2,false,OptionletVolatility/USD/10/3Y/0.01,0.000100,,0.000000,USD,8800.00,3100.40,-800.05
"""


def test_what_ore_says_of_the_same_files(empty: Write) -> None:
    """Open Source Risk Engine 1.8.17, its parametricVar of these two files: methods Delta, Cornish-Fisher, and MonteCarlo of a million
    paths, whose 99% quantile has a standard error of about 450."""
    lake = empty(ORE_SENSITIVITIES, (EXAMPLES / "ore-covariance.csv").read_text(), "bump", absent_are_zero=True)
    found = ask_of(lake, covariance="c", gamma="full")
    assert found.total["component"] == pytest.approx(55_243.253642, rel=1e-8)
    assert found.total["cornish_fisher"] == pytest.approx(169_861.788699, rel=1e-8)
    assert abs(found.total["delta_gamma"] - 162_594.15) < 3 * 450
    classes = {c["risk_class"]: c["standalone"] for c in found.classes.to_pylist()}
    assert classes["fx"] == pytest.approx(15_353.895971, rel=1e-8)


def _own_as_file(lake: Lake, path: Path) -> None:
    """The book's own sensitivities by trade, as another system would write them."""
    query = ParametricQuery.model_validate({"as_of": MONDAY})
    with path.open("w", newline="") as file:
        out = csv.writer(file)
        out.writerow(["date", "trade", "desk", "kind", "factor", "amount", "currency", "bump"])
        trades = run_parametric(reading(lake), query.model_copy(update={"by": ("trade", "desk")})).rows.to_pylist()
        for row in trades:
            if row["covered"] == 0:
                continue
            where = f"trade={row['trade']}"
            found = run_parametric(reading(lake), ParametricQuery.model_validate({"as_of": MONDAY, "where": [where]}))
            for f in found.factors.to_pylist():
                unit = "abs" if f["move"] == "absolute" else "rel"
                for kind in ("delta", "gamma"):
                    out.writerow(
                        [MONDAY, row["trade"], row["desk"], kind, f["risk_factor"], repr(f[kind]), "USD", f"1 {unit}"]
                    )


@pytest.fixture(scope="module")
def others(bumped_lake: Path, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    folder = tmp_path_factory.mktemp("others")
    shutil.copytree(bumped_lake, folder / "lake")
    lake = Lake.open(folder / "lake")
    _own_as_file(lake, folder / "own.csv")
    with Committer(lake, "test") as writer:
        ingest_sensitivities(writer, folder / "own.csv", source="other")
        ingest_sensitivities(writer, EXAMPLES / "crif.csv", source="margin")
        ingest_covariance(writer, EXAMPLES / "covariance.csv", name="two", horizon_days=1, unit="1")
    return lake


class TestWithTheLake:
    def test_the_books_own_sensitivities_brought_in_give_its_own_figures(self, others: Lake) -> None:
        own = run_parametric(reading(others), ParametricQuery.model_validate({"as_of": MONDAY, "by": ["desk"]}))
        found = ask_of(others, by=["desk"])
        for name in ("component", "sd", "skewness", "excess_kurtosis", "delta_gamma", "cornish_fisher"):
            assert found.total[name] == pytest.approx(own.total[name], rel=1e-9), name
        mine = {r["desk"]: r for r in own.rows.to_pylist()}
        for row in found.rows.to_pylist():
            for name in ("component", "standalone", "incremental", "delta_gamma"):
                assert row[name] == pytest.approx(mine[row["desk"]][name], rel=1e-8)
        assert sum(r["delta_gamma"] for r in mine.values()) == pytest.approx(own.total["delta_gamma"], rel=1e-9)

    def test_crif_under_the_moves_of_the_scenarios(self, others: Lake) -> None:
        """By hand from the levels of the scenario set; what is not mapped is 600 of the deltas."""
        market = load_scenario_set(others, find_scenario_set(others, "historical-30", MONDAY).scenario_set_id)
        level = {f: (np.asarray(market.levels[r]), market.base[r]) for f, r in market.index.row.items()}
        pnl = np.zeros(30)
        for factor, amount, bump in (("YC:USD:5Y", -4310, 1e-4), ("YC:USD:1M", 85, 1e-4)):
            pnl += amount / bump * (level[factor][0] - level[factor][1])
        for factor, amount, bump in (("FX:EURUSD", 91_000, 0.01), ("EQ:AAA", 25_400, 0.01)):
            pnl += amount / bump * (level[factor][0] / level[factor][1] - 1)
        pnl += 12_750 / 0.01 * (level["IV:AAA"][0] - level["IV:AAA"][1])  # of one point
        found = ask_of(others, sensitivities=["margin"], gamma="none", level="0.95")
        assert found.total["component"] == pytest.approx(stats.norm.ppf(0.95) * pnl.std(), rel=1e-10)
        assert found.total["unused_delta"] == pytest.approx(600 / 121_395)
        assert found.total["delta_gamma"] is None
        euro = ask_of(others, sensitivities=["margin"], gamma="none", level="0.95", currency="EUR")
        assert euro.total["component"] == pytest.approx(found.total["component"] / level["FX:EURUSD"][1], rel=1e-12)

    def test_two_sources_together_and_apart(self, others: Lake) -> None:
        found = ask_of(others, sensitivities=["other", "margin"], by=["attribute.source"])
        assert found.rows["attribute.source"].to_pylist() == ["margin", "other"]
        assert [s["source"] for s in found.receipt["sensitivities"]] == ["other", "margin"]
        assert found.total["unused_delta"] > 0

    def test_own_sensitivities_under_a_matrix(self, others: Lake) -> None:
        """The shares in EUR: only their rate is in the matrix; of BBB itself it knows nothing, which is said."""
        where = ["desk=Equities"]
        own = run_parametric(reading(others), ParametricQuery.model_validate({"as_of": MONDAY, "where": where}))
        delta = {f["risk_factor"]: f["delta"] for f in own.factors.to_pylist()}
        found = ask_of(others, sensitivities=[], covariance="two", where=where)
        assert found.total["sd"] == pytest.approx(0.12 * abs(delta["FX:EURUSD"]), rel=1e-9)
        assert {r["factor"] for r in found.unused.to_pylist()} == {"EQ:AAA", "EQ:BBB"}
        size = {f: abs(d) for f, d in delta.items()}
        wanted = (size["EQ:AAA"] + size["EQ:BBB"]) / sum(size.values())
        assert found.total["unused_delta"] == pytest.approx(wanted, rel=1e-9)
        assert found.receipt["covariance"]["name"] == "two"
        assert found.receipt["valuation_set_id"]

    def test_replays_after_another_file_came(self, others: Lake, tmp_path: Path) -> None:
        query = ParametricQuery.model_validate({"as_of": MONDAY, "sensitivities": ["margin"], "by": ["portfolio"]})
        kept = ask(reading(others), "parametric", query)
        path = tmp_path / "crif.csv"
        path.write_text((EXAMPLES / "crif.csv").read_text().replace("25400", "25500"))
        with Committer(others, "test") as writer:
            ingest_sensitivities(writer, path, source="margin")
        try:
            again = ask(reading(others), "parametric", query)
            assert again.total["component"] != kept.total["component"]
            done = replay(others, kept.to_dict())
            assert done.verdict == "same bits", done
        finally:
            with Committer(others, "test") as writer:
                ingest_sensitivities(writer, EXAMPLES / "crif.csv", source="margin")

    @pytest.mark.parametrize(
        ("more", "kind", "told"),
        [
            ({"sensitivities": ["othre"]}, NotFound, "Unknown source of sensitivities 'othre'. Nearest valid: other"),
            (
                {"as_of": "2020-03-13"},
                NotFound,
                "No sensitivities of other on 2020-03-13. Nearest dates with some: 2020-03-16",
            ),
            ({"covariance": "too"}, NotFound, "Unknown covariance 'too'. Nearest valid: two"),
            ({"branch": "b"}, BadInput, "leave branch out"),
            ({"by": ["dsk"]}, BadInput, "Unknown dimension 'dsk'. Nearest valid: desk"),
            ({"where": ["desk=Equites"]}, BadInput, "Equities"),
            ({"level": "1.5"}, BadInput, "level"),
        ],
    )
    def test_errors_teach(self, others: Lake, more: dict[str, Any], kind: type[Exception], told: str) -> None:
        with pytest.raises(kind, match=told):
            ask_of(others, **more)
