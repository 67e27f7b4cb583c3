"""Every file of the market data folder is mapped by a catalogue, and lands as pandas and rdata read it by themselves."""

from __future__ import annotations

import random
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import rdata
from rdata.conversion import DEFAULT_CLASS_MAP

from lake.committer import Committer
from lake.tables import Lake
from scenarios.market.landing_catalogue import Catalogue, Source, ingest_market, load_catalogue, shipped_catalogues

pytestmark = pytest.mark.marketdata

NOT_DATA = {  # descriptors of the folders: licence, source, schema
    f"datasets-{name}/datapackage.json" for name in ("finance-vix", "natural-gas", "oil-prices")
}
# those that load beside each other, and those that need a lake of their own
LAKES = {"beside": ["marketdata", "fred", "marketdata_more"], "stocks": ["us_stocks_148"], "qrmdata": ["qrmdata"]}
DATES = {"us-treasury-par-curve": "%m/%d/%y", "mof-jgb": "%Y/%m/%d", "arch": "%m/%d/%Y"}


def frame(path: Path) -> pd.DataFrame:
    """The file by date and column, with pandas or rdata alone."""
    if path.suffix != ".rda":
        made = pd.read_csv(
            path, skiprows=int(path.parent.name == "mof-jgb"), na_values=["."], float_precision="round_trip"
        )
        made.index = pd.to_datetime(made.iloc[:, 0], format=DATES.get(path.parent.name, "%Y-%m-%d"))
        return made.iloc[:, 1:].replace("-", np.nan)

    def xts(values: object, attributes: dict[str, object]) -> pd.DataFrame:
        names = attributes["dimnames"][1]  # type: ignore[index]
        return pd.DataFrame(np.asarray(values), pd.to_datetime(attributes["index"], unit="s"), names)  # type: ignore[call-overload]

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        (found,) = rdata.read_rda(path, constructor_dict={**DEFAULT_CLASS_MAP, "xts": xts}).values()
    if path.parent.name == "quarks":
        return found.set_index(pd.to_datetime(found["ref_date"], unit="D"))
    hours = 3 if path.parent.name == "YieldCurve" else 0  # midnight of Frankfurt, as its README says
    found.index = (found.index + pd.Timedelta(hours=hours)).normalize()
    return found


def columns_of(source: Source, file: str, found: pd.DataFrame) -> Iterator[tuple[str, pd.Series]]:
    """The risk factor of each column, and what was received for it."""
    if source.layout == "ohlc":
        named = [(source.take or source.ohlc.get("close", "Close"), {})]
    elif source.layout == "series":
        named = [(found.columns[0], {})]
    elif source.columns is not None and not source.several:
        named = [(c, {}) for c in source.columns]
    else:
        named = [(c, {"tenor": c}) for c in found.columns if not c.startswith("Unnamed")]
    for column, factor in zip(named, source.risk_factors("", named, synthetic=False, file=file), strict=True):
        values = pd.to_numeric(found[column[0]])
        for change in source.redenominations:
            if change.column == column[0]:
                values = values.fillna(found[change.before])
        yield factor.risk_factor_id, values


def test_every_file_of_the_main_catalogue_lands_as_others_read_it(real_market: Path, market_data_dir: Path) -> None:
    check_as_others_read_it(Lake.open(real_market), [load_catalogue("marketdata")], market_data_dir)


@pytest.mark.slow
@pytest.mark.parametrize("names", LAKES.values(), ids=LAKES)
def test_every_file_lands_as_others_read_it(market_data_dir: Path, tmp_path: Path, names: list[str]) -> None:
    lake = Lake.create(tmp_path / "lake")
    catalogues = [load_catalogue(name) for name in names]
    with Committer(lake, "test") as committer:
        for catalogue in catalogues:
            ingest_market(committer, market_data_dir, catalogue)
    check_as_others_read_it(lake, catalogues, market_data_dir)


def check_as_others_read_it(lake: Lake, catalogues: list[Catalogue], market_data_dir: Path) -> None:
    names = ["risk_factor_id", "as_of_date", "value_received", "value_used", "status"]
    table = lake.read("market_data", names).to_pandas()
    stored = {str(i): rows.set_index("as_of_date") for i, rows in table.groupby("risk_factor_id")}
    seen: dict[str, list[pd.Series]] = {}
    multipliers: dict[str, float] = {}
    for source in (s for c in catalogues for s in c.source.values()):
        for file, path in source.files(market_data_dir).items():
            for factor, values in columns_of(source, file, frame(path)):
                if source.weekends == "drop":
                    values = values[values.index.dayofweek < 5]
                if source.drop_after is not None:
                    values = values[values.index <= pd.Timestamp(source.drop_after)]
                seen.setdefault(factor, []).append(values)
                multipliers[factor] = source.multiplier
    assert set(stored) == set(seen)
    draw = random.Random(20200316)
    for factor, parts in seen.items():
        expected = pd.concat(parts)
        expected = expected[~expected.index.duplicated()].sort_index()
        rows = stored[factor]
        assert list(rows.index) == list(expected.index.date), factor
        assert rows["value_received"].notna().sum() == expected.notna().sum(), factor
        known = [*expected.dropna().index]
        for day in [known[0], known[-1], *draw.sample(known, 5)]:
            row = rows.loc[day.date()]
            assert row["value_received"] == expected[day], (factor, day)
            if row["status"] == "held":  # by a gate: tests of the gates say which
                continue
            before = {"FX:EURTRY": ("2005-01-01", 1e-6), "FX:EURRON": ("2005-07-01", 1e-4)}.get(factor)
            rescaled = before[1] if before and day < pd.Timestamp(before[0]) else 1.0
            assert row["value_used"] == expected[day] * (multipliers[factor] * rescaled), (factor, day)


def test_every_file_is_mapped(market_data_dir: Path) -> None:
    assert set(shipped_catalogues()) == {"sample_market", *(name for names in LAKES.values() for name in names)}
    mapped = {
        path
        for names in LAKES.values()
        for name in names
        for source in load_catalogue(name).source.values()
        for path in source.files(market_data_dir).values()
    }
    files = {p for p in market_data_dir.rglob("*") if p.is_file()}
    assert {str(p.relative_to(market_data_dir)) for p in files - mapped} == NOT_DATA
    assert len(mapped) == 220


def test_known_days_around_a_new_currency(real_market: Path) -> None:
    """The last fixings in old units and the first in new ones, as the European Central Bank published them."""
    rows = Lake.open(real_market).read("market_data", among={"risk_factor_id": ["FX:EURTRY", "FX:EURRON"]}).to_pylist()
    got = {(r["risk_factor_id"], str(r["as_of_date"])): (r["value_received"], r["value_used"]) for r in rows}
    for factor, day, received, used in [
        ("FX:EURTRY", "2004-12-31", 1836200.0, 1.8362),
        ("FX:EURTRY", "2005-01-03", 1.815, 1.815),
        ("FX:EURRON", "2005-06-30", 36030.0, 3.603),
        ("FX:EURRON", "2005-07-01", 3.603, 3.603),
    ]:
        assert got[factor, day] == (received, pytest.approx(used, rel=1e-14))
