"""The sample book on the sample market: every instrument type, all of it valued, the same bits however it is cut, here and on Spark."""

from __future__ import annotations

import datetime as dt
import itertools
import re
import shutil
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest

from lake.committer import Committer
from lake.tables import Lake
from scenarios import generators
from scenarios.market.landing_catalogue import ingest_market, load_catalogue
from scenarios.market.sample_market import write_sample_market
from scenarios.store import load_scenario_set, save_scenario_set
from valuation.books.positions import ingest_positions
from valuation.catalogue import INSTRUMENTS
from valuation.samples.book import write_sample_book
from valuation.samples.days import MarketDays
from valuation.samples.products import PRODUCTS
from valuation.sets import run as run_module
from valuation.sets.plan import ValuationPlan, make_plan
from valuation.sets.run import run_plan

DAYS = (dt.date(2020, 2, 14), dt.date(2020, 3, 16))
PARTITIONS = (1, 2, 4, 8, 33)


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    folder = tmp_path_factory.mktemp("whole")
    made = Lake.create(folder / "lake")
    catalogue = write_sample_market(folder / "market", first=dt.date(2019, 7, 1), last=dt.date(2020, 3, 20))
    with Committer(made, "test") as committer:
        ingest_market(committer, folder / "market", load_catalogue(str(catalogue)))
        for file in write_sample_book(made.snapshot(), folder / "book", positions=1200, dates=DAYS, seed=1):
            assert ingest_positions(committer, file).rejected == 0
        for day in DAYS:
            levels = generators.generate(made.snapshot(), "historical", {"market_date": day, "scenarios": 15}, "test")
            save_scenario_set(committer, levels)
    return made


def plan(lake: Lake, day: dt.date) -> ValuationPlan:
    (scenarios,) = (r["scenario_set_id"] for r in lake.read("scenario_sets").to_pylist() if r["market_date"] == day)
    held = set(lake.read("positions", among={"positions_date": [day]})["contract_id"].to_pylist())
    contracts = lake.read("contracts", among={"contract_id": sorted(held)})
    return make_plan(lake.snapshot(), contracts, load_scenario_set(lake, scenarios), day)


def valued(lake: Lake, folder: Path, partitions: int, **how: object) -> dict[str, bytes]:
    """Vectors of the last day in a copy of the lake, its contracts cut into so many parts; kernels see other neighbours in each."""
    shutil.copytree(lake.path, folder)
    copy = Lake(folder)

    def cut(plan: ValuationPlan, parallelism: int) -> list[tuple[int, int]]:
        ends = np.linspace(0, plan.work.num_rows, partitions + 1).astype(int).tolist()
        return [(a, b - a) for a, b in itertools.pairwise(ends)]

    with pytest.MonkeyPatch.context() as patch, Committer(copy, "test") as committer:
        patch.setattr(run_module, "cut_batches", cut)
        run = run_plan(committer, plan(copy, DAYS[1]), **{"runner": "in-process", **how})  # type: ignore[arg-type]
        assert run.to_dict()["failed"] == 0
    return {
        r["contract_id"]: np.array([r["base_value"], *r["pnl"]]).tobytes() for r in copy.read("pnl_vectors").to_pylist()
    }


@pytest.mark.slow
def test_it_holds_every_type_and_every_contract_is_valued(lake: Lake) -> None:
    for day in DAYS:
        with Committer(lake, "test") as committer:
            run = run_plan(committer, plan(lake, day), runner="in-process").to_dict()
        assert (run["failed"], run["submitted"]) == (0, run["valued"] + run["reused"])
    first = plan(lake, DAYS[0]).members.join(lake.read("contracts"), "contract_id")
    assert set(first["instrument_type"].to_pylist()) == set(INSTRUMENTS)


def test_the_page_says_what_it_holds(lake: Lake) -> None:
    days = MarketDays(lake.snapshot(), *DAYS)
    market = days.on(np.datetime64(DAYS[0]))
    held: dict[str, float] = defaultdict(float)
    desks: dict[str, set[str]] = defaultdict(set)
    for product in PRODUCTS.values():
        (kind,) = set(product.make(np.random.default_rng(1), days, market, 3)["instrument_type"])
        held[kind] += product.share
        desks[kind].add(product.desk)
    page = (Path(__file__).parents[3] / "docs" / "positions.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \| ([\w ,]+?) \| ([\d.]+)% \|$", page, re.MULTILINE)
    total = sum(held.values())
    assert {kind: (set(d.split(", ")), share) for kind, d, share in rows} == {
        kind: (desks[kind], f"{100 * held[kind] / total:.1f}") for kind in INSTRUMENTS
    }


def test_the_bits_do_not_depend_on_how_it_is_cut(lake: Lake, tmp_path: Path) -> None:
    first, *others = (valued(lake, tmp_path / str(n), n) for n in PARTITIONS)
    assert len(first) > 400
    assert all(other == first for other in others)


@pytest.mark.spark
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_spark_gives_the_same_bits(lake: Lake, tmp_path: Path, spark: object) -> None:
    here = valued(lake, tmp_path / "here", 3)
    for n in PARTITIONS:
        assert valued(lake, tmp_path / str(n), n, runner="spark", spark=lambda: spark) == here
