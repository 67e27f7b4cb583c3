"""Hull's four-index portfolio, through the whole path: files, ingest, scenarios, valuation, query.

Source: Hull, *Risk Management and Financial Institutions*, historical simulation chapter: $4m DJIA, $3m FTSE 100, $1m
CAC 40, $2m Nikkei 225 on 25 September 2008. Days 0 to 4, 499 and 500 of the published history, in the edition that converts
the indices to USD and in the one that does not. The local levels are checked by the published losses they give.
"""

from __future__ import annotations

import csv
import datetime as dt
import math
from pathlib import Path

import pytest

from aggregation.risk.query import run_query
from aggregation.types import RiskQuery
from lake.committer import Committer
from lake.tables import Lake
from scenarios.market.landing_catalogue import ingest_market, load_catalogue
from scenarios.requests import ScenarioRequest
from valuation.books.positions import ingest_positions
from valuation.sets.requests import ValuationRequest, run_valuation

DAYS = ["2006-08-07", "2006-08-08", "2006-08-09", "2006-08-10", "2006-08-11", "2008-09-24", "2008-09-25"]
AS_OF = dt.date(2008, 9, 25)
INDICES = {"DJIA": ("USD", 4.0), "FTSE": ("GBP", 3.0), "CAC": ("EUR", 1.0), "NIKKEI": ("JPY", 2.0)}
USD_LEVELS = {
    "DJIA": [11219.38, 11173.59, 11076.18, 11124.37, 11088.02, 10825.17, 11022.06],
    "FTSE": [11131.84, 11096.28, 11185.35, 11016.71, 11040.73, 9438.58, 9599.90],
    "CAC": [6373.894, 6378.162, 6474.040, 6357.486, 6364.764, 6033.93, 6200.40],
    "NIKKEI": [131.7744, 134.3818, 135.9433, 135.4381, 134.1003, 114.26, 112.82],
}
LOCAL_LEVELS = {
    "DJIA": USD_LEVELS["DJIA"],
    "FTSE": [5828.80, 5818.10, 5860.50, 5823.40, 5820.10, 5095.57, 5197.02],
    "CAC": [4956.34, 4967.95, 5025.15, 4976.64, 4985.52, 4114.54, 4226.81],
    "NIKKEI": [15154.06, 15464.66, 15656.59, 15630.91, 15565.02, 12115.03, 12006.53],
}
# published portfolio values of scenarios 1 to 3, $000; this edition cuts digits off instead of rounding, so a loss of
# 53.26328 stands as 10,000 - 9,946.736 = 53.264
WITH_CONVERSION = ["10,014.334", "10,027.481", "9,946.736"]
# published losses of scenarios 1 to 3, $000, rounded
WITHOUT_CONVERSION = [-21.502, -23.327, 14.522]
POSITION = "HULL"


def write_market(folder: Path, levels: dict[str, list[float]], *, local: bool) -> Path:
    """The landing files and their catalogue; `local` declares the indices in their own currencies, with FX rates beside."""
    folder.mkdir()
    with (folder / "indices.csv").open("w", newline="") as f:
        rows = csv.writer(f)
        rows.writerow(["Date", *levels])
        rows.writerows([day, *values] for day, values in zip(DAYS, zip(*levels.values(), strict=True), strict=True))
    text = 'name = "hull"\n'
    for index, (currency, _) in INDICES.items():
        text += f'''
[source.{index.lower()}]
file = "indices.csv"
layout = "wide"
columns = ["{index}"]
[source.{index.lower()}.factor]
id = "IDX:{{column}}"
type = "index_level"
currency = "{currency if local else "USD"}"
'''
    if local:
        with (folder / "fx.csv").open("w", newline="") as f:
            rows = csv.writer(f)
            foreign = [(i, c) for i, (c, _) in INDICES.items() if c != "USD"]
            rows.writerow(["Date", *(c for _, c in foreign)])
            for d, day in enumerate(DAYS):
                rows.writerow([day, *(repr(USD_LEVELS[i][d] / LOCAL_LEVELS[i][d]) for i, _ in foreign)])
        text += """
[source.fx]
file = "fx.csv"
layout = "wide"
[source.fx.factor]
id = "FX:{column}USD"
type = "fx_rate"
currency = "USD"
"""
    catalogue = folder / "catalogue.toml"
    catalogue.write_text(text)
    return catalogue


def write_positions(path: Path, levels: dict[str, list[float]], *, local: bool) -> Path:
    """Millions of USD in each index, as units of the index at the level that values them in USD."""
    with path.open("w", newline="") as f:
        rows = csv.writer(f)
        names = ["portfolio", "instrument", "client", "account", "desk", "book", "legal_entity", "counterparty"]
        rows.writerow(["positions_date", "trade", "quantity", *names, "instrument_type", "underlying", "currency"])
        for index, (currency, millions) in INDICES.items():
            in_usd = USD_LEVELS[index][-1] if local else levels[index][-1]
            own = currency if local else "USD"
            rows.writerow(
                [
                    AS_OF,
                    f"T-{index}",
                    repr(millions * 1e6 / in_usd),
                    POSITION,
                    index,
                    "C",
                    "A",
                    "D",
                    "B",
                    "E",
                    "X",
                    "cash_equity",
                    f"IDX:{index}",
                    own,
                ]
            )
    return path


def losses(tmp_path: Path, levels: dict[str, list[float]], *, local: bool) -> list[float]:
    """Losses of all scenarios in $000, worst first, read one by one as VaR at the level that picks each."""
    catalogue = write_market(tmp_path / "market", levels, local=local)
    book = write_positions(tmp_path / "book.csv", levels, local=local)
    lake = Lake.create(tmp_path / "lake")
    with Committer(lake, "test") as committer:
        ingest_market(committer, tmp_path / "market", load_catalogue(str(catalogue)))
        report = ingest_positions(committer, book)
        assert (report.loaded, report.rejected) == (4, 0)
        request = ValuationRequest(
            as_of=AS_OF,
            scenarios=ScenarioRequest(parameters={"scenarios": 5, "max_missing": 0.999}, name="hull"),
            runner="in-process",
        )
        run = run_valuation(committer, request, spark=pytest.fail)
    # days 4 and 499 are no neighbours: their return is no one-day return, and 4 of 6 + 1 moves are left
    assert run.valuation_set.scenario_count == 5
    query = RiskQuery(as_of=AS_OF, measures=("var",), levels=("0.8", "0.6", "0.4", "0.2", "0.0001"), currency="USD")
    result = run_query(lake, query)
    assert result.coverage.status == "complete"
    assert result.total["base_value"] == pytest.approx(10e6, rel=1e-12)
    return [result.total[f"var_{level}"] / 1000 for level in query.levels]


def printed_values(found: list[float]) -> list[str]:
    """Portfolio values in $000, cut off after the third digit as the book prints them."""
    return [f"{math.floor(1e7 - 1000 * loss) / 1000:,.3f}" for loss in found]


def test_scenarios_of_converted_indices(tmp_path: Path) -> None:
    assert set(WITH_CONVERSION) <= set(printed_values(losses(tmp_path, USD_LEVELS, local=False)))


def test_scenarios_of_unconverted_indices(tmp_path: Path) -> None:
    assert set(WITHOUT_CONVERSION) <= {round(loss, 3) for loss in losses(tmp_path, LOCAL_LEVELS, local=False)}


def test_local_indices_and_exchange_rates_give_the_converted_losses(tmp_path: Path) -> None:
    assert set(WITH_CONVERSION) <= set(printed_values(losses(tmp_path, LOCAL_LEVELS, local=True)))
