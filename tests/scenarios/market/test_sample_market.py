"""The synthetic market: the same bytes for a seed, always labelled, and shaped like a market."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import kurtosis

from lake.arrays import Floats
from lake.errors import BadInput
from lake.tables import Lake
from scenarios.market.calendars import sessions
from scenarios.market.history import MarketHistory, load_history
from scenarios.market.landing_catalogue import load_catalogue
from scenarios.market.sample_market import DEFAULT_FIRST, DEFAULT_LAST, simulate, write_sample_market
from scenarios.types import FACTOR_TYPES, RiskClass

SEEDS = (1, 2, 2026)


@pytest.fixture(scope="module")
def history(sample_market: Path) -> MarketHistory:
    """The default sample market through files, ingest and the lake."""
    return load_history(Lake.open(sample_market).snapshot(), "XNYS", DEFAULT_FIRST, DEFAULT_LAST)


def moves(seed: int) -> tuple[Floats, dict[str, Floats]]:
    """Days of the moves, and daily moves: relative for prices and volatilities, absolute for yields; not of dividends, which end."""
    dates, files = simulate(seed)
    out = {}
    for file, columns in files.items():
        if file == "dividends":
            continue
        for name, levels in columns.items():
            absolute = file.endswith("_curve") or file == "fixings"
            change = np.diff(levels) if absolute else np.diff(np.log(levels))
            out[f"{file}:{name}"] = change
    return dates[1:], out


def between(days: Floats, first: str, last: str) -> Floats:
    return (days >= np.datetime64(first)) & (days <= np.datetime64(last))


def test_same_seed_same_bytes_other_seed_other_prices(tmp_path: Path) -> None:
    last = dt.date(2006, 12, 29)
    written = [
        write_sample_market(tmp_path / name, seed, last=last).parent for name, seed in (("a", 5), ("b", 5), ("c", 6))
    ]
    names = sorted(p.name for p in written[0].iterdir())
    assert len(names) == 36
    for name in names:
        a, b, c = ((folder / name).read_bytes() for folder in written)
        assert a == b
        assert (a == c) == name.endswith(".toml")


def test_everything_written_says_synthetic(tmp_path: Path, history: MarketHistory) -> None:
    catalogue = write_sample_market(tmp_path, last=dt.date(2005, 3, 1))
    assert all("synthetic" in p.name for p in tmp_path.iterdir())
    assert "SYNTHETIC" in catalogue.read_text().splitlines()[0]
    assert all(f.synthetic and "synthetic" in f.name for f in history.index.factors)


def test_it_has_the_core_of_the_real_catalogue_on_every_business_day(history: MarketHistory) -> None:
    real = load_catalogue("marketdata")
    core = {
        f.risk_factor_id: f.type
        for name, source in real.source.items()
        if name not in ("uk_stocks", "ecb_fx")
        for f in source.named_factors(name, synthetic=False)
    }
    ours = {f.risk_factor_id: f.type for f in history.index.factors}
    assert core.items() <= ours.items()
    assert len([i for i in ours if i.startswith("FX:EUR")]) >= 12
    assert set(ours.values()) <= set(FACTOR_TYPES)
    assert (history.dates == sessions("XNYS", DEFAULT_FIRST, DEFAULT_LAST)).all()
    assert np.isfinite(history.levels).all()


def test_levels_are_positive_where_they_must_be_and_plausible(history: MarketHistory) -> None:
    rates = np.array(
        [
            f.risk_class == RiskClass.RATES and f.type not in ("rate_future", "price_index")
            for f in history.index.factors
        ]
    )
    assert (history.levels[:, ~rates] > 0).all()
    assert history.levels[:, rates].min() > -0.02
    assert history.levels[:, rates].max() < 0.08
    for j, f in enumerate(history.index.factors):
        low, high = FACTOR_TYPES[f.type].plausible
        assert low <= history.levels[:, j].min() <= history.levels[:, j].max() <= high, f.risk_factor_id
    row = history.index.row
    spx, vix = history.levels[:, row["IDX:SPX"]], history.levels[:, row["IV:SPX"]]
    day = {str(d): i for i, d in enumerate(history.dates)}
    assert 1100 < spx[day["2005-01-03"]] < 1300
    assert 3000 < spx[day["2020-02-14"]] < 3700
    assert spx[day["2020-03-23"]] < 0.75 * spx[day["2020-02-19"]]
    assert spx[day["2009-03-09"]] < 0.6 * spx[day["2008-08-29"]]
    assert 0.05 < vix.min() < 0.12
    assert 0.5 < vix.max() < 1.5


@pytest.mark.parametrize("seed", SEEDS)
def test_tails_are_fat_and_crises_are_wild(seed: int) -> None:
    days, move = moves(seed)
    calm = between(days, "2013-01-01", "2014-12-31")
    for name, change in move.items():
        assert kurtosis(change, fisher=False) > 4, name
    for name in ("sp500:SP500", "us_stocks:JPM", "commodities:WTI", "us_high_yield:US_HY", "fx:AUD"):
        for crisis in (between(days, "2008-09-02", "2009-03-31"), between(days, "2020-02-20", "2020-04-30")):
            ratio = move[name][crisis].std() / move[name][calm].std()
            assert ratio > (2.5 if name == "sp500:SP500" else 1.5), name


@pytest.mark.parametrize("seed", SEEDS)
def test_volatility_clusters_but_returns_do_not(seed: int) -> None:
    _, move = moves(seed)
    change = move["sp500:SP500"]
    size = np.abs(change)
    assert abs(np.corrcoef(change[1:], change[:-1])[0, 1]) < 0.1
    assert np.mean([np.corrcoef(size[lag:], size[:-lag])[0, 1] for lag in range(1, 21)]) > 0.1


@pytest.mark.parametrize("seed", SEEDS)
def test_classes_move_together(seed: int) -> None:
    _, move = moves(seed)

    def correlation(a: str, b: str) -> float:
        return float(np.corrcoef(move[a], move[b])[0, 1])

    index = "sp500:SP500"
    assert -0.9 < correlation(index, "vix:VIX") < -0.6
    assert correlation(index, "us_high_yield:US_HY") < -0.4
    assert correlation(index, "usd_curve:10Y") > 0.2
    assert correlation(index, "commodities:WTI") > 0.3
    assert correlation(index, "fx:JPY") > 0.3
    assert correlation(index, "fx:AUD") < -0.3
    assert all(correlation(index, name) > 0.3 for name in move if name.startswith("us_stocks"))
    assert correlation("us_stocks:CVX", "us_stocks:XOM") > correlation("us_stocks:CVX", "us_stocks:PG")
    assert correlation("commodities:WTI", "commodities:BRENT") > 0.9
    assert 0.9 < correlation("usd_curve:10Y", "usd_curve:7Y") < 1
    assert correlation("usd_curve:10Y", "usd_curve:3M") < 0.8
    assert correlation("us_stocks:AAPL", "us_stock_vols:AAPL") < -0.3
    assert correlation("us_high_yield:US_HY", "credit_indices:CDX_IG") > 0.5
    assert correlation("us_stocks:BAC", "cds:BAC_5Y") < -0.3
    assert correlation("cds:BAC_5Y", "recoveries:BAC") < -0.2
    assert correlation("vix:VIX", "spx_smile:1M_100") > 0.9
    assert correlation("vix:VIX", "fx_vols:EURUSD") > 0.3
    assert correlation("usd_curve:5Y", "usd_3m_curve:5Y") > 0.9
    assert correlation("usd_3m_curve:3M", "fixings:USD_3M") > 0.999
    assert correlation(index, "inflation_us_curve:10Y") > 0.2
    assert correlation("commodities:WTI", "commodity_futures:WTI_M12") > 0.6


def test_far_futures_move_less_than_near_ones_and_smiles_slope_down() -> None:
    _, files = simulate(1)
    near, far = files["commodities"]["WTI"], files["commodity_futures"]["WTI_M12"]
    assert np.diff(np.log(far)).std() < 0.8 * np.diff(np.log(near)).std()
    smile = files["spx_smile"]
    for expiry in ("1M", "3M", "6M", "1Y", "2Y"):
        levels = [smile[f"{expiry}_{m}"] for m in (80, 90, 100, 110, 120)]
        assert (np.diff(levels, axis=0) < 0).all()


def test_dividends_are_expected_until_they_go_ex() -> None:
    dates, files = simulate(1, dt.date(2019, 1, 2), dt.date(2020, 12, 30))
    for name, levels in files["dividends"].items():
        ex = np.datetime64(name.split()[1])
        assert (np.isfinite(levels) == (dates < ex)).all()


def test_bad_arguments_are_told(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="seed -1"):
        write_sample_market(tmp_path, -1)
    with pytest.raises(BadInput, match="0 business days lie between"):
        simulate(1, dt.date(2020, 1, 4), dt.date(2020, 1, 5))
    with pytest.raises(BadInput, match="before the first"):
        simulate(1, dt.date(2020, 1, 6), dt.date(2020, 1, 2))
    assert not list(tmp_path.iterdir())
