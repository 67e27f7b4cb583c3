"""The book's own sensitivities in CRIF: amounts by hand, and what is written is read."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from small_lake import MONDAY
from support import factor

from aggregation import questions
from aggregation.contributions.crif import CRIF_FILE, Crif, CrifQuery, _places
from aggregation.contributions.parametric import ParametricQuery, run_parametric
from aggregation.session import reading
from lake.committer import Committer
from lake.errors import BadInput
from lake.tables import Lake
from scenarios.store import find_scenario_set, load_scenario_set
from scenarios.types import FactorIndex, RiskClass, RiskFactor
from service.encoding import FILES, about_answer
from valuation.books.sensitivities import ingest_sensitivities


def ask(lake: Lake, **more: object) -> Crif:
    found: Crif = CRIF_FILE.answer(reading(lake), CrifQuery.model_validate({"as_of": MONDAY, **more}))
    return found


@pytest.fixture(scope="module")
def lake(bumped_lake: Path) -> Lake:
    return Lake.open(bumped_lake)


def test_amounts_by_hand(lake: Lake) -> None:
    """1,000 shares AAA gain 1% of their value; -200 of BBB in EUR lose 1% of theirs in USD for 1% of the share and of the euro."""
    market = load_scenario_set(lake, find_scenario_set(lake, "historical-30", MONDAY).scenario_set_id)
    level = {f: float(market.base[r]) for f, r in market.index.row.items()}
    rows = ask(lake, where=["desk=Equities"]).rows.to_pylist()
    of = {(r["TradeID"], r["RiskType"], r["Qualifier"]): r for r in rows}
    assert set(of) == {
        ("T00000-0", "Risk_Equity", "AAA"),
        ("T00000-1", "Risk_Equity", "BBB"),
        ("T00000-1", "Risk_FX", "EUR"),
    }
    assert of["T00000-0", "Risk_Equity", "AAA"]["AmountUSD"] == pytest.approx(10 * level["EQ:AAA"], rel=1e-9)
    euro = -2 * level["EQ:BBB"] * level["FX:EURUSD"]
    assert of["T00000-1", "Risk_Equity", "BBB"]["AmountUSD"] == pytest.approx(euro, rel=1e-9)
    assert of["T00000-1", "Risk_FX", "EUR"]["AmountUSD"] == pytest.approx(euro, rel=1e-9)
    assert {r["ProductClass"] for r in rows} == {"Equity"}
    assert {r["ValuationDate"] for r in rows} == {"2020-03-16"}


def test_what_cannot_be_valued_is_named(lake: Lake) -> None:
    found = ask(lake)
    assert len(found.failures) == 1
    assert any("1 contract has no value and no row" in note for note in found.notes)
    option = {r["RiskType"]: r for r in found.rows.to_pylist() if r["TradeID"] == "T00000-2"}
    assert option["Risk_EquityVol"]["Qualifier"] == "AAA"
    assert {r["Label1"] for r in found.rows.to_pylist() if r["RiskType"] == "Risk_IRCurve"} <= {"1m", "5y"}


def test_vega_is_of_one_point_at_the_expiry_of_the_trade(lake: Lake) -> None:
    """The option expires in 277 days: of the way from 6m to 1y it has gone (277/365 - 1/2) / (1/2)."""
    rows = {
        r["Label1"]: r
        for r in ask(lake, where=["trade=T00000-2"]).rows.to_pylist()
        if r["RiskType"] == "Risk_EquityVol"
    }
    greeks = questions.read("greeks", {"as_of": MONDAY, "where": ["trade=T00000-2"], "greeks": ["vega"]})
    (vega,) = questions.ask(reading(lake), "greeks", greeks).total["value"].to_pylist()
    share = (277 / 365 - 0.5) / 0.5
    assert set(rows) == {"6m", "1y"}
    assert rows["1y"]["Amount"] == pytest.approx(share * vega, rel=1e-12)
    assert rows["6m"]["Amount"] == pytest.approx((1 - share) * vega, rel=1e-12)


@pytest.mark.parametrize(
    ("one", "level", "wanted"),
    [
        (
            factor("YC:USD:7Y", "swap_rate", curve="USD", pillar="7Y"),
            0.03,
            {("Risk_IRCurve", "USD", "1", "5y", "OIS"): 0.6e-4, ("Risk_IRCurve", "USD", "1", "10y", "OIS"): 0.4e-4},
        ),
        (
            factor("YC:L3:40Y", "par_yield", "JPY", curve="L3", pillar="40Y"),
            0.03,
            {("Risk_IRCurve", "JPY", "2", "30y", "L3"): 1e-4},
        ),
        (
            factor("YC:BRL:1D", "zero_rate", "BRL", curve="BRL", pillar="1D"),
            0.03,
            {("Risk_IRCurve", "BRL", "3", "2w", "OIS"): 1e-4},
        ),
        (
            factor("YC:USD:3M", "rate_future", curve="USD", pillar="3M"),
            97.0,
            {("Risk_IRCurve", "USD", "1", "3m", "OIS"): -1e-2},
        ),
        (
            factor(
                "YC:EUR_USD:5Y",
                "basis_spread",
                "EUR",
                curve="EUR_USD",
                pillar="5Y",
                attributes=(("projection_curve", "EUR"),),
            ),
            0.0,
            {("Risk_XCcyBasis", "EUR", "", "", ""): 1e-4},
        ),
        (
            factor("CDS:ACME:5Y", "cds_spread", "EUR", curve="ACME", pillar="5Y"),
            0.01,
            {("Risk_CreditQ", "ACME", "Residual", "5y", "EUR"): 1e-4},
        ),
        (
            factor("IV:USD:1Y", "normal_vol", attributes=(("asset", "USD"), ("expiry", "1Y"))),
            0.008,
            {("Risk_IRVol", "USD", "", "1y", ""): 0.008},
        ),
        (  # nothing but the caps that read it say what it is of
            factor("IV:USD_SHIFTED", "implied_vol"),
            0.22,
            {("Risk_IRVol", "USD", "", "", ""): 0.22},
        ),
        (
            factor("IV:EURUSD:3M", "implied_vol", attributes=(("asset", "FX:EURUSD"), ("expiry", "3M"))),
            0.1,
            {("Risk_FXVol", "EURUSD", "", "3m", ""): 0.01},
        ),
        (
            factor("FX:EURGBP", "fx_rate", "GBP"),
            0.9,
            {("Risk_FX", "EUR", "", "", ""): 0.009, ("Risk_FX", "GBP", "", "", ""): -0.009},
        ),
        (
            factor("INF:USD:5Y", "inflation_rate", curve="INF", pillar="5Y"),
            0.02,
            {("Risk_Inflation", "USD", "", "", ""): 1e-4},
        ),
        (factor("REC:ACME", "recovery_rate"), 0.4, {}),
    ],
)
def test_where_a_factor_stands_and_its_amount_for_a_derivative_of_one(
    one: RiskFactor, level: float, wanted: dict[tuple[str, ...], float]
) -> None:
    index = FactorIndex.of(
        [one, factor("FX:EURUSD", "fx_rate"), factor("YC:USD:1Y", "zero_rate", curve="USD", pillar="1Y")]
    )
    found = {
        tuple(place): amount for place, amount in _places(one, level, index, "USD", {"IV:USD_SHIFTED": RiskClass.RATES})
    }
    assert found.keys() == wanted.keys()
    for place, amount in wanted.items():
        assert found[place] == pytest.approx(amount, rel=1e-12)


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_what_is_written_is_read(bumped_lake: Path, tmp_path: Path, kind: str) -> None:
    """The delta-normal VaR of the file is that of the book, in all currencies, and no factor is unmapped."""
    shutil.copytree(bumped_lake, tmp_path / "lake")
    lake = Lake.open(tmp_path / "lake")
    for currency in ("USD", "EUR"):
        found = ask(lake, currency=currency)
        receipt = {"question": {"as_of": "2020-03-16"}}
        path = tmp_path / f"crif.{kind}"
        path.write_bytes(FILES[kind](found.rows, about_answer(Crif(found.query, found.rows, (), receipt, found.notes))))
        with Committer(lake, "test") as writer:
            report = ingest_sensitivities(writer, path, source=currency)
        assert report.layout == "crif"
        assert report.unmapped_factors == 0
        asked = {"as_of": MONDAY, "gamma": "none", "currency": currency, "level": "0.975"}
        own = run_parametric(reading(lake), ParametricQuery.model_validate({**asked, "by": ["trade"]}))
        read = run_parametric(
            reading(lake), ParametricQuery.model_validate({**asked, "by": ["trade"], "sensitivities": [currency]})
        )
        # 1 / EURUSD does not move as EURUSD does: equal to first order where euros are reported in
        near = 1e-9 if currency == "USD" else 2e-2
        assert read.total["component"] == pytest.approx(own.total["component"], rel=near)
        mine = {r["trade"]: r["component"] for r in own.rows.to_pylist() if r["covered"]}
        theirs = {r["trade"]: r["component"] for r in read.rows.to_pylist()}
        assert np.array([theirs[t] for t in mine]) == pytest.approx(
            np.array(list(mine.values())), rel=max(near, 1e-7), abs=0.05
        )


def test_by_is_refused(lake: Lake) -> None:
    with pytest.raises(BadInput, match="leave by out"):
        ask(lake, by=["desk"])
