"""Swaps along market paths: every value here against the exposure run of Open Source Risk Engine, on one core each.

Both value the same swaps, as our writer puts them to ORE, in the same market on as many paths and dates. ORE's run ends with the
exposure profile of each trade; ours, at twice the work it needs, with values and cash.
"""

from __future__ import annotations

import csv
import os
import resource
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from lake.errors import NotReady
from service.bench.harness import VALUATION_DATE, Row, mixed_contracts, noisy_market, row
from service.bench.paths import path_model
from valuation.books.trade_files.ore_portfolio import HeldTrade, write_portfolio, write_xml
from valuation.catalogue import terms_from_json
from valuation.horizons.path_values import value_along
from valuation.market.scenario_market import ScenarioMarket
from valuation.ore.facts import facts
from valuation.ore.market_files import OreMarket
from valuation.types import Contract

_MONTHS = 120
_SECONDS = 3600
_RUN = """
import ORE
given = ORE.Parameters()
given.fromFile("ore.xml")
app = ORE.OREApp(given, False)
app.run()
for error in app.getErrors():
    print(error)
"""


def bench_ore_exposure(python: Path, swaps: int, n_paths: int, n_dates: int) -> list[Row]:
    """Values a second of one core here and in ORE.

    Raises `NotReady` where ORE ends without the exposure of every swap at every date.
    """
    contracts = _swaps(swaps)
    model = path_model(n_paths, n_dates, 1)
    value_along(contracts[:1], model)
    started = time.thread_time()
    block = value_along(contracts, model)
    ours = time.thread_time() - started
    if block.failures:
        raise NotReady(f"Not all swaps are valued along the paths: {block.failures[0].message}")
    with TemporaryDirectory(prefix="varlake-ore-") as folder:
        theirs = _ore_seconds(Path(folder), python, contracts, n_paths, n_dates)
    values = len(contracts) * n_paths * n_dates
    return [
        row(
            f"{len(contracts):,} swaps x {n_paths:,} paths x {n_dates} dates, one core",
            values / ours,
            "values/s",
            "ORE's exposure run on the same swaps, its core",
            values / theirs,
            ">= 20",
        )
    ]


def _swaps(n: int) -> list[Contract]:
    """The first swaps of the mixed list."""
    of = [c for c in Contract.of(mixed_contracts(8 * n)) if c.instrument_type == "interest_rate_swap"]
    return of[:n]


def _ore_seconds(folder: Path, python: Path, contracts: Sequence[Contract], n_paths: int, n_dates: int) -> float:
    """Seconds of processor time of the whole run: ORE's own start and the curves it builds are small beside it."""
    market = ScenarioMarket.of(noisy_market(1), VALUATION_DATE)
    market = ScenarioMarket(VALUATION_DATE, market.index, market.states[:, 0], market.states[:, :0])
    ore, trades, indices = OreMarket(market, "USD"), [], set()
    for number, contract in enumerate(contracts):
        terms = terms_from_json(contract.instrument_type, contract.terms)
        owners = {"counterparty": "CPTY", "netting_set": "NS"}
        held = HeldTrade(f"S{number:04}", 1e6, terms, owners)
        ore.add(held)
        trades.append(held)
        indices |= {key[1] for key in facts(terms, market) if key[0] == "projection curve of"}
    left = write_portfolio(folder / "portfolio.xml", trades)
    if left:
        raise NotReady(f"Not all swaps can be put to ORE: {next(iter(left.values()))}")
    for index in sorted(indices):
        ore.simulate("USD", index)
    ore.write(folder)
    write_xml(folder / "netting.xml", "NettingSetDefinitions", {"NettingSet": _NETTING_SET})
    write_xml(folder / "simulation.xml", "Simulation", _simulation(sorted(indices), n_paths, n_dates))
    write_xml(folder / "ore.xml", "ORE", _run())
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [os.path.abspath(python), "-P", "-c", _RUN],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        check=False,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    for held in trades:
        file = folder / f"exposure_trade_{held.trade_id}.csv"
        rows = list(csv.reader(file.open(newline=""))) if file.exists() else []
        if len(rows) < n_dates + 2:  # a heading, today and the dates
            said = (done.stdout.strip() or done.stderr.strip() or f"exit code {done.returncode}").splitlines()[-1]
            raise NotReady(f"ORE has no exposure of {held.trade_id} at {n_dates} dates, but {len(rows)} rows: {said}")
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


_NETTING_SET = {"NettingSetId": "NS", "ActiveCSAFlag": False, "CSADetails": None}


def _simulation(indices: Sequence[str], n_paths: int, n_dates: int) -> dict[str, Any]:
    """Hull-White rates of the dollar, with parameters that are given."""

    def constant(value: float, **told: Any) -> dict[str, Any]:
        return {"Calibrate": "N", **told, "ParamType": "Constant", "TimeGrid": "", "InitialValue": value}

    rates = {
        "@ccy": "USD",
        "CalibrationType": "None",
        "Volatility": constant(0.0085, VolatilityType="HullWhite"),
        "Reversion": constant(0.03, ReversionType="HullWhite"),
        "CalibrationSwaptions": {"Expiries": "1Y", "Terms": "5Y", "Strikes": ""},
        "ParameterTransformation": {"ShiftHorizon": 0.0, "Scaling": 1.0},
    }
    dollar = {"Currency": "USD"}
    return {
        "Parameters": {
            "Discretization": "Exact",
            "Grid": f"{n_dates},{_MONTHS // n_dates}M",
            "Calendar": "USD",
            "Sequence": "SobolBrownianBridge",
            "Scenario": "Simple",
            "Seed": 42,
            "Samples": n_paths,
        },
        "CrossAssetModel": {
            "DomesticCcy": "USD",
            "Currencies": dollar,
            "BootstrapTolerance": 0.0001,
            "InterestRateModels": {"LGM": rates},
            "ForeignExchangeModels": "",
            "InstantaneousCorrelations": "",
        },
        "Market": {
            "BaseCurrency": "USD",
            "Currencies": dollar,
            "YieldCurves": {
                "Configuration": {
                    "Tenors": "3M,6M,1Y,2Y,3Y,4Y,5Y,7Y,10Y,12Y",
                    "Interpolation": "LogLinear",
                    "Extrapolation": "Y",
                }
            },
            "Indices": {"Index": list(indices)},
            "DefaultCurves": {"Names": "", "Tenors": "6M,1Y,2Y"},
            "AggregationScenarioDataCurrencies": dollar,
            "AggregationScenarioDataIndices": {"Index": list(indices)},
        },
    }


def _run() -> dict[str, Any]:
    setup = {
        "asofDate": VALUATION_DATE, "baseCurrency": "USD", "inputPath": ".", "outputPath": ".", "logFile": "log.txt",
        "logMask": 15, "marketDataFile": "market.txt", "fixingDataFile": "fixings.txt", "curveConfigFile": "curveconfig.xml",
        "conventionsFile": "conventions.xml", "marketConfigFile": "todaysmarket.xml", "pricingEnginesFile": "pricingengine.xml",
        "portfolioFile": "portfolio.xml", "implyTodaysFixings": "Y", "observationModel": "Disable",
    }  # fmt: skip
    simulated = {
        "active": "Y", "simulationConfigFile": "simulation.xml", "pricingEnginesFile": "pricingengine.xml", "baseCurrency": "USD",
    }  # fmt: skip
    exposure = {
        "active": "Y", "csaFile": "netting.xml", "baseCurrency": "USD", "exposureProfiles": "Y", "exposureProfilesByTrade": "Y",
        "quantile": 0.95, "calculationType": "Symmetric", "allocationMethod": "None", "exerciseNextBreak": "N", "cva": "N",
        "dva": "N", "fva": "N", "colva": "N", "collateralFloor": "N",
    }  # fmt: skip

    def parameters(named: dict[str, Any]) -> list[dict[str, Any]]:
        return [{"@name": name, "": value} for name, value in named.items()]

    analytics: dict[str, dict[str, Any]] = {"simulation": simulated, "xva": exposure}
    return {
        "Setup": {"Parameter": parameters(setup)},
        "Markets": {"Parameter": parameters(dict.fromkeys(_MARKETS, "default"))},
        "Analytics": {"Analytic": [{"@type": name, "Parameter": parameters(of)} for name, of in analytics.items()]},
    }


_MARKETS = ("lgmcalibration", "fxcalibration", "eqcalibration", "pricing", "simulation")
