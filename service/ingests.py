"""What can be brought in: INGESTS, from which come the commands `varlake ingest NAME`, the upload routes and the engine's jobs."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    from lake.committer import Committer

# ruff: noqa: PLC0415 - a command brings in one kind of file, and importing what all of them need takes a second

MOST_REJECTIONS = 10_000  # listed in the report of a file
# what an option of an ingest is, in the metadata of its field
BESIDE = "a file that comes with the files: a path on the command line, over HTTP the name of a file of the request"
OWN_MACHINE = "a file that is written where the command runs; over HTTP there is no such option"


class Options(BaseModel):
    """What may be said with files that are brought in."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ReplacingOptions(Options):
    replace_dates: bool = Field(False, description="the dates in the file become exactly the file")


class PositionsOptions(ReplacingOptions):
    force: bool = Field(False, description="replace dates even by the usable part of a file with unusable rows")
    rejects: Annotated[str | None, OWN_MACHINE] = Field(None, description="write the unusable rows to this CSV file")
    accept_unknown_factors: bool = Field(False, description="load contracts too whose risk factors no market data has")


class MarketOptions(Options):
    catalogue: Annotated[str, BESIDE] = Field(
        description="catalogue TOML file, or the name of one that comes with varlake"
    )
    accept_levels: bool = Field(False, description="load levels that are hardly meant, such as a volatility of 20")


@dataclass(frozen=True)
class Ingest:
    """An entry of INGESTS.

    meaning : one sentence for the command and the route. files : what the files are. read_in : brings in one file, or the folder
    of all with `folder`, and gives its report as JSON has it. report : the class of that report. shown : what shows the reports on
    a terminal, as `module:function` of `service.rendering`. route : path of the upload. several : whether a command takes more
    than one file. shipped : names of companions that come with varlake. check : raises for options that cannot be used.
    """

    meaning: str
    files: str
    options: type[Options]
    read_in: Callable[[Committer, str, Any], dict[str, Any]]
    report: str
    shown: str
    route: str
    several: bool = True
    folder: bool = False
    shipped: Callable[[], Mapping[str, Any]] = dict
    check: Callable[[Any], object] | None = None

    def report_class(self) -> type:
        """The class that `report` names."""
        found: type = named(self.report)
        return found


def named(place: str) -> Any:
    """What a `module:name` names, imported when it is asked for."""
    module, _, name = place.partition(":")
    return getattr(importlib.import_module(module), name)


def companions(options: type[Options]) -> list[str]:
    """The options that name a file beside the data."""
    return [name for name, field in options.model_fields.items() if BESIDE in field.metadata]


def _market(committer: Committer, path: str, options: MarketOptions) -> dict[str, Any]:
    from scenarios.market.landing_catalogue import ingest_market, load_catalogue

    described = load_catalogue(options.catalogue)
    return ingest_market(committer, path, described, accept_levels=options.accept_levels).to_dict()


def _catalogues() -> Mapping[str, Any]:
    from scenarios.market.landing_catalogue import shipped_catalogues

    return shipped_catalogues()


def _check_catalogue(options: MarketOptions) -> None:
    from scenarios.market.landing_catalogue import load_catalogue

    load_catalogue(options.catalogue)


def _positions(committer: Committer, path: str, options: PositionsOptions) -> dict[str, Any]:
    from valuation.books.positions import ingest_positions

    report = ingest_positions(committer, path, **options.model_dump())
    told, faults = report.to_dict(MOST_REJECTIONS), report.rejections.num_rows
    if faults > MOST_REJECTIONS:
        told["notes"].append(f"{faults:,} faults, of which the first {MOST_REJECTIONS:,} are listed.")
    return told


def _pnl(committer: Committer, path: str, options: ReplacingOptions) -> dict[str, Any]:
    from lake.landing.actual_pnl import ingest_pnl

    return ingest_pnl(committer, path, **options.model_dump()).to_dict()


def _hierarchy(committer: Committer, path: str, _: Options) -> dict[str, Any]:
    from aggregation.book.hierarchies import RESERVED
    from lake.landing.hierarchies import ingest_hierarchies

    return ingest_hierarchies(committer, path, RESERVED).to_dict()


INGESTS: Mapping[str, Ingest] = {
    "market": Ingest(
        "Bring market files into the lake, as a catalogue describes them; all of them load, or none.",
        "Folder with the landing files.",
        MarketOptions,
        _market,
        "scenarios.market.landing_catalogue:MarketIngestReport",
        "tables:show_market_reports",
        "/market-data",
        several=False,
        folder=True,
        shipped=_catalogues,
        check=_check_catalogue,
    ),
    "positions": Ingest(
        "Bring positions into the lake; unusable rows are listed, the others load.",
        "CSV or Parquet files, see docs/positions.md.",
        PositionsOptions,
        _positions,
        "lake.landing.positions:PositionsReport",
        "tables:show_positions_reports",
        "/positions",
    ),
    "pnl": Ingest(
        "Bring actual P&L into the lake, by day and node; a file with a fault is refused whole.",
        "CSV or Parquet files, see docs/backtesting.md.",
        ReplacingOptions,
        _pnl,
        "lake.landing.actual_pnl:PnLReport",
        "tables:show_pnl_reports",
        "/actual-pnl",
    ),
    "hierarchy": Ingest(
        "Bring a hierarchy such as division over desk; it becomes exactly the file, or stays as it is when a row is wrong.",
        "CSV file, see docs/dimensions.md.",
        Options,
        _hierarchy,
        "lake.landing.hierarchies:HierarchiesReport",
        "dimensions:show_hierarchies",
        "/hierarchies",
        several=False,
    ),
}
