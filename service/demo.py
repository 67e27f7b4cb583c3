"""The main job, from files to answers, through the same calls as every command; says where the time went."""

from __future__ import annotations

import datetime as dt
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from aggregation.change.compare import compare
from aggregation.risk.query import run_query
from aggregation.types import RiskQuery
from lake.committer import Committer
from lake.errors import BadInput, Conflict
from lake.landing.reference import ingest_reference
from lake.progress import Progress
from lake.runtime import spark as lake_spark
from lake.tables import Lake
from scenarios.market import sample_market
from scenarios.market.landing_catalogue import ingest_market, load_catalogue
from service import operations
from service.config import Settings
from service.processes import serve
from service.rendering import display, tables
from valuation.books.positions import ingest_positions
from valuation.catalogue import INSTRUMENTS
from valuation.samples.book import book_dates, write_sample_book
from valuation.samples.reference import write_sample_reference
from valuation.sets.requests import ValuationRequest, run_valuation

BEFORE, AFTER = dt.date(2020, 2, 14), dt.date(2020, 3, 16)
BOOK_DATES = "2020-02-13,2020-02-14,2020-03-13,2020-03-16"
SEED = 1
_MARK = "varlake-demo"


class _Clock:
    """Seconds by step, in order."""

    def __init__(self) -> None:
        self.steps: dict[str, float] = {}

    @contextmanager
    def step(self, name: str) -> Iterator[Progress]:
        started = time.perf_counter()
        with display.progress_bar(name) as progress:
            yield progress
        self.steps[name] = time.perf_counter() - started
        display.say(f"[{self.steps[name]:6.1f} s] {name}")


def run_demo(market_data: Path | None, positions: int, folder: Path, *, anew: bool = False) -> Lake:
    """Runs the demo in `folder` and gives its lake; `market_data` is the folder of the real files, None for synthetic.

    A demo that is there is kept, with whatever was done in its lake, and the new one is made beside it; `anew` deletes it.
    """
    if market_data is not None and not market_data.is_dir():
        raise BadInput(
            f"The market data folder {market_data} is not there; leave --market-data out for a synthetic market."
        )
    folder = fresh_folder(folder, anew)
    settings = Settings(lake=folder / "lake")
    files = folder / "files"
    clock = _Clock()
    lake = Lake.create(settings.lake)
    cache = operations.vector_cache(settings, lake)

    if market_data is None:
        with clock.step("write a synthetic market"):
            catalogue = sample_market.write_sample_market(files / "market", seed=SEED)
        market_data, described = files / "market", load_catalogue(str(catalogue))
    else:
        described = load_catalogue("marketdata")
    with Committer(lake, "varlake demo") as committer:
        with clock.step("ingest market data"):
            market_report = ingest_market(committer, market_data, described)
        tables.show_market_report(market_report.to_dict(), short=True)
        with clock.step(f"write a bank book of {positions:,} positions on four dates"):
            book = write_sample_book(
                lake.snapshot(), files / "positions", positions=positions, dates=BOOK_DATES, seed=SEED
            )
        with clock.step("ingest positions"):
            book_reports = [ingest_positions(committer, f) for f in book]
        tables.show_positions_reports([r.to_dict() for r in book_reports])
        with clock.step("counterparties, agreements, collateral and classifications"):
            written = write_sample_reference(
                lake.snapshot(), files / "counterparties", dates=book_dates(BOOK_DATES), seed=SEED
            )
            reference_reports = ingest_reference(committer, written, INSTRUMENTS)
        tables.show_pnl_reports([r.to_dict() for r in reference_reports])

        with clock.step("start Spark"):
            session = lake_spark.spark_session(master=settings.spark_master, driver_memory=settings.spark_memory)
        for day in (BEFORE, AFTER):
            request = ValuationRequest(as_of=day, runner="spark")
            with clock.step(f"value the book of {day} under 500 scenarios on Spark") as progress:
                sealed = run_valuation(committer, request, spark=lambda: session, progress=progress)
            tables.show_sealed(sealed.to_dict())

        before = RiskQuery(as_of=BEFORE, by=("desk",), measures=("var", "es"))
        after = before.model_copy(update={"as_of": AFTER})
        with clock.step("VaR and ES by desk on both days"):
            comparison = compare(lake, before, after, cache=cache)
        tables.show_comparison(comparison)

        display.say("\nThe February book in the March market: only contracts that market has not met are valued.")
        with clock.step(f"value the book of {BEFORE} in the market of {AFTER}") as progress:
            mixed = ValuationRequest(as_of=AFTER, positions_dates=(BEFORE, AFTER))
            sealed = run_valuation(committer, mixed, spark=lambda: session, progress=progress)
        tables.show_sealed(sealed.to_dict())
        with clock.step("VaR by desk, February book, March market"):
            crossed = run_query(lake, after.model_copy(update={"positions_date": BEFORE}), cache=cache)
        tables.show_result(crossed)

        display.say("\nOne more question, by legal entity and counterparty, and the same valuation asked for again:")
        with clock.step("VaR by legal entity and counterparty rating") as progress:
            answer = run_query(
                lake, after.model_copy(update={"by": ("legal_entity", "attribute.counterparty_rating")}), cache=cache
            )
        tables.show_result(answer)
        with clock.step("value the March book again") as progress:
            again = run_valuation(committer, ValuationRequest(as_of=AFTER), spark=lambda: session, progress=progress)
        tables.show_sealed(again.to_dict())
        session.stop()

    total = sum(clock.steps.values())
    rows = [{"step": name, "seconds": round(s, 2), "share": f"{s / total:.0%}"} for name, s in clock.steps.items()]
    display.print_table(rows, title="\nWhere the time went", last={"step": "Total", "seconds": round(total, 2)})
    size = sum(f.stat().st_size for f in lake.path.rglob("*.parquet")) / 1e6
    display.print_pairs({"lake": str(lake.path), "MB of Parquet": round(size, 1)})
    display.say(f"Ask on: varlake var --lake {lake.path} --as-of {AFTER} --by desk,book")
    display.say(f"Look at it: varlake serve --lake {lake.path}, then {serve.address(settings)} in a browser")
    return lake


def fresh_folder(folder: Path, anew: bool) -> Path:
    """The empty folder of the demo: the one named, or the next beside it; removes nothing that is not a demo's."""
    if folder.exists() and any(folder.iterdir()):
        if not (folder / _MARK).is_file():
            raise BadInput(f"{folder} holds something else than a demo; name another with --folder.")
        if anew:
            if (who := Lake(folder / "lake").written_by()) is not None:
                raise Conflict(f"The lake of {folder} is in use by {who}. Stop that first, or name another --folder.")
            shutil.rmtree(folder)
        else:
            kept, n = folder, 2
            while (folder := kept.with_name(f"{kept.name}-{n}")).exists():
                n += 1
            display.say(
                f"{kept} holds a demo and is kept; this one is made in {folder}. --anew makes {kept.name} anew."
            )
    folder.mkdir(parents=True, exist_ok=True)
    (folder / _MARK).write_text("Made by varlake demo; --anew deletes it.\n")
    return folder
