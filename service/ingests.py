"""What can be brought in: INGESTS, from which come the commands `varlake ingest NAME`, the upload routes and the engine's jobs."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from lake.dates import Day
from lake.errors import NotAllowed
from service.config import Settings

if TYPE_CHECKING:
    from lake.committer import Committer
    from lake.landing.mapping import FileMapping
    from lake.tables import Lake

# ruff: noqa: PLC0415 - a command brings in one kind of file, and importing what all of them need takes a second

MOST_REJECTIONS = 10_000  # listed in the report of a file
# what an option of an ingest is, in the metadata of its field
BESIDE = "a file that comes with the files: a path on the command line, over HTTP the name of a file of the request"
OWN_MACHINE = "a file that is written where the command runs; over HTTP there is no such option"


class Options(BaseModel):
    """What may be said with files that are brought in."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class MappedOptions(Options):
    mapping: Annotated[str | None, BESIDE] = Field(
        None,
        description="mapping TOML file that says how a file with columns of its own is read, or the name of a kept one",
    )
    map: tuple[str, ...] = Field(
        (), description='a column of the file and what it is called here, such as "Trade ID=trade"; repeatable'
    )


class ReplacingOptions(Options):
    replace_dates: bool = Field(False, description="the dates in the file become exactly the file")


class DatedOptions(ReplacingOptions, MappedOptions):
    """Of files that may be read by a mapping, and whose dates may be replaced."""


class PositionsOptions(DatedOptions):
    force: bool = Field(False, description="replace dates even by the usable part of a file with unusable rows")
    rejects: Annotated[str | None, OWN_MACHINE] = Field(
        None, description="write the unusable rows to this CSV file; default a file of the lake's state folder"
    )
    accept_unknown_factors: bool = Field(False, description="load contracts too whose risk factors no market data has")
    as_of: Day | None = Field(
        None, description="day of the trades in a file that has none: ORE's XML, FpML, Strata's CSV"
    )
    party: str | None = Field(None, description="whose an FpML document is: an id, name or party id in it")


class MarketOptions(Options):
    catalogue: Annotated[str, BESIDE] = Field(
        description="catalogue TOML file, or the name of one that comes with varlake"
    )
    accept_levels: bool = Field(False, description="load levels that are hardly meant, such as a volatility of 20")
    gates: Annotated[str | None, BESIDE] = Field(
        None, description="TOML file with own parameters of the gates; default the setting VARLAKE_GATES"
    )


class SourceOptions(ReplacingOptions):
    source: str = Field(pattern=r"^[\w.-]{1,60}$", description="the system that the numbers come from, such as risksys")


class VectorsOptions(SourceOptions):
    scenarios: Annotated[str | None, BESIDE] = Field(
        None, description="file of the scenarios in order: scenario and, where wanted, label and weight"
    )
    scenario_set: str | None = Field(
        None,
        pattern=r"^[\w.:-]{1,80}$",
        description="name of their scenario set, default the source; that of a stored set puts them beside what is valued under it",
    )
    horizon_days: int = Field(1, ge=1, le=250, description="business days that a scenario spans")
    only_by_name: bool = Field(False, description="chosen scenarios, which answer only questions that name their set")
    fx_at_spot: bool = Field(False, description="exchange rates stay at spot in every scenario")


class OrdersOptions(Options):
    accept_unknown_factors: bool = Field(False, description="load contracts too whose risk factors no market data has")


class TicksOptions(MappedOptions):
    source: str = Field(
        pattern=r"^[\w.-]{1,60}$", description="the feed that the ticks come from, such as consolidated"
    )
    bucket_seconds: int = Field(
        1, ge=1, le=300, description="seconds of a bucket of the levels made of the day's ticks"
    )
    only_held: bool = Field(
        False,
        description="leave out, and count, ticks of symbols that the newest book does not read; exchange rates stay",
    )
    fix: bool = Field(False, description="the file is a log of FIX 4.4, whatever its ending")
    take: Literal["both", "trades", "quotes"] = Field(
        "both", description="of a log or recording: trades, quotes or both"
    )
    session: int = Field(
        0, ge=0, le=998, description="number in its day of the session that a log or recording begins in"
    )
    templates: Annotated[str | None, BESIDE] = Field(
        None, description="templates of a recording of FAST 1.1, an XML file; the files are then such recordings"
    )
    framing: Literal["consecutive", "stop_bit", "uint32"] = Field(
        "consecutive", description="how messages of FAST follow: at once, or in blocks after their length"
    )


@dataclass(frozen=True)
class Ingest:
    """An entry of INGESTS.

    meaning : one sentence for the command and the route. files : what the files are. read_in : brings in one file, or the folder
    of all with `folder`, and gives its report as JSON has it. report : the class of that report. shown : what shows the reports on
    a terminal, as `module:function` of `service.rendering`. route : path of the upload. several : whether a command takes more
    than one file. shipped : names of companions that come with varlake or are kept. suggest : what guesses how a file is read, as
    `module:function`: a path, and a guess with `toml()`, `to_dict()`, `doubts`, `rows` and `faults`. check : raises for options that
    cannot be used. partly : whether whoever sees a part of the book may bring them in: the files hold nothing of others, or are held to
    what is granted row by row.
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
    partly: bool = False
    shipped: Callable[[], Mapping[str, Any]] = dict
    check: Callable[[Any], object] | None = None
    suggest: str | None = None

    def report_class(self) -> type:
        """The class that `report` names."""
        found: type = named(self.report)
        return found


def named(place: str) -> Any:
    """What a `module:name` names, imported when it is asked for."""
    module, _, name = place.partition(":")
    return getattr(importlib.import_module(module), name)


def check_entitled(what: str, lake: Lake) -> None:
    """Raises `NotAllowed` where whoever brings such files must see all that they hold, and sees a part of the book."""
    if lake.reader and not INGESTS[what].partly:
        raise NotAllowed(
            f"Files of {what} are brought in by those who see the whole book; you see a part of it, and may bring in its positions."
        )


def companions(options: type[Options]) -> list[str]:
    """The options that name a file beside the data."""
    return [name for name, field in options.model_fields.items() if BESIDE in field.metadata]


def from_settings(kind: Ingest, settings: Settings) -> dict[str, str]:
    """The files that settings name for options of the same name."""
    files = {name: getattr(settings, name, None) for name in companions(kind.options)}
    return {name: str(Path(path).absolute()) for name, path in files.items() if path is not None}


def _market(committer: Committer, path: str, options: MarketOptions) -> dict[str, Any]:
    from scenarios.market.gates import load_parameters
    from scenarios.market.landing_catalogue import ingest_market, load_catalogue

    described, gates = load_catalogue(options.catalogue), load_parameters(options.gates)
    return ingest_market(committer, path, described, accept_levels=options.accept_levels, gates=gates).to_dict()


def _catalogues() -> Mapping[str, Any]:
    from scenarios.market.landing_catalogue import shipped_catalogues

    return shipped_catalogues()


def _check_catalogue(options: MarketOptions) -> None:
    from scenarios.market.gates import load_parameters
    from scenarios.market.landing_catalogue import load_catalogue

    load_catalogue(options.catalogue)
    load_parameters(options.gates)


def kept_mappings() -> Mapping[str, Path]:
    """The mappings of the folder that the settings name, by name."""
    folder = Settings().mappings
    return {} if folder is None else {path.stem: path.absolute() for path in sorted(folder.glob("*.toml"))}


def _mapping(options: MappedOptions) -> FileMapping | None:
    from lake.landing.mapping import load_mapping

    name = options.mapping
    return load_mapping(None if name is None else kept_mappings().get(name, Path(name)), options.map)


def _said(options: MappedOptions) -> dict[str, Any]:
    """What is said with the files, as the functions that read them take it."""
    return {**options.model_dump(exclude={"mapping", "map"}), "mapping": _mapping(options)}


def _positions(committer: Committer, path: str, options: PositionsOptions) -> dict[str, Any]:
    from valuation.books.positions import ingest_positions

    report = ingest_positions(committer, path, **_said(options))
    told, faults = report.to_dict(MOST_REJECTIONS), report.rejections.num_rows
    if faults > MOST_REJECTIONS:
        told["notes"].append(f"{faults:,} faults, of which the first {MOST_REJECTIONS:,} are listed.")
    return told


def _pnl(committer: Committer, path: str, options: DatedOptions) -> dict[str, Any]:
    from lake.landing.actual_pnl import ingest_pnl

    return ingest_pnl(committer, path, **_said(options)).to_dict()


def _vectors(committer: Committer, path: str, options: VectorsOptions) -> dict[str, Any]:
    from valuation.sets.imported import ingest_vectors

    return ingest_vectors(committer, path, **options.model_dump()).to_dict()


def _var(committer: Committer, path: str, options: SourceOptions) -> dict[str, Any]:
    from lake.landing.reported_var import ingest_var

    return ingest_var(committer, path, **options.model_dump()).to_dict()


def _real_prices(committer: Committer, path: str, options: ReplacingOptions) -> dict[str, Any]:
    from lake.landing.real_prices import ingest_real_prices

    return ingest_real_prices(committer, path, **options.model_dump()).to_dict()


def _hierarchy(committer: Committer, path: str, options: MappedOptions) -> dict[str, Any]:
    from aggregation.book.hierarchies import RESERVED
    from lake.landing.hierarchies import ingest_hierarchies

    return ingest_hierarchies(committer, path, RESERVED, **_said(options)).to_dict()


class SensitivitiesOptions(ReplacingOptions):
    source: str = Field(pattern=r"^[\w.:-]{1,80}$", description="name of the system they come from")
    as_of: Day | None = Field(None, description="their day, of a file that has no dates")
    mapping: Annotated[str | None, BESIDE] = Field(
        None,
        description="file that says which risk factors of the lake those of the file are: factor, risk_factor_id, weight",
    )


class CovarianceOptions(Options):
    matrix: str = Field(pattern=r"^[\w.:-]{1,80}$", description="name of the matrix; one of that name is replaced")
    horizon_days: int = Field(ge=1, le=2500, description="business days that its moves are of")
    unit: Literal["1", "percent", "bp", "bump"] = Field(
        description="unit of its moves: 1, fractions or the factor's own unit; percent; bp; or bump, the bumps of the sensitivities"
    )
    moves: Literal["absolute", "relative"] | None = Field(
        None, description="how all moves are measured, where that is to be held to the bumps of sensitivities"
    )
    volatilities: Annotated[str | None, BESIDE] = Field(
        None, description="file of volatilities beside correlations: factor, volatility, unit, move"
    )
    absent_are_zero: bool = Field(False, description="pairs that a long file leaves out do not move together")
    repair: bool = Field(
        False, description="load the nearest matrix that is a covariance in place of one with a negative eigenvalue"
    )


def _sensitivities(committer: Committer, path: str, options: SensitivitiesOptions) -> dict[str, Any]:
    from valuation.books.sensitivities import ingest_sensitivities

    return ingest_sensitivities(committer, path, **options.model_dump()).to_dict()


def _covariance(committer: Committer, path: str, options: CovarianceOptions) -> dict[str, Any]:
    from scenarios.market.covariances import ingest_covariance

    given = options.model_dump()
    return ingest_covariance(committer, path, name=given.pop("matrix"), **given).to_dict()


def _ticks(committer: Committer, path: str, options: TicksOptions) -> dict[str, Any]:
    from scenarios.market.intraday import ingest_ticks

    given = _said(options)
    only = None
    if given.pop("only_held"):
        from valuation.books.factors_held import factors_held

        only = factors_held(committer.lake.snapshot())
    return ingest_ticks(committer, path, only=only, **given).to_dict()


def _orders(committer: Committer, path: str, options: OrdersOptions) -> dict[str, Any]:
    from valuation.books.orders import ingest_orders

    return ingest_orders(committer, path, **options.model_dump()).to_dict()


def _corporate_actions(committer: Committer, path: str, _: Options) -> dict[str, Any]:
    from scenarios.market.landing_actions import ingest_corporate_actions

    return ingest_corporate_actions(committer, path).to_dict()


def _counterparties(committer: Committer, path: str, options: MappedOptions) -> dict[str, Any]:
    from lake.landing.reference import ingest_counterparties

    return ingest_counterparties(committer, path, **_said(options)).to_dict()


def _agreements(committer: Committer, path: str, options: MappedOptions) -> dict[str, Any]:
    from lake.landing.reference import ingest_agreements
    from valuation.catalogue import INSTRUMENTS

    return ingest_agreements(committer, path, INSTRUMENTS, **_said(options)).to_dict()


def _collateral(committer: Committer, path: str, options: DatedOptions) -> dict[str, Any]:
    from lake.landing.reference import ingest_collateral

    return ingest_collateral(committer, path, **_said(options)).to_dict()


def _classifications(committer: Committer, path: str, options: MappedOptions) -> dict[str, Any]:
    from lake.landing.reference import ingest_classifications

    return ingest_classifications(committer, path, **_said(options)).to_dict()


def _regime(committer: Committer, path: str, _: Options) -> dict[str, Any]:
    from aggregation.regulatory.own_regimes import ingest_regime

    return ingest_regime(committer, path).to_dict()


def _cva_hedges(committer: Committer, path: str, options: MappedOptions) -> dict[str, Any]:
    from lake.landing.cva_hedges import ingest_cva_hedges

    return ingest_cva_hedges(committer, path, **_said(options)).to_dict()


def _exposure_limits(committer: Committer, path: str, options: MappedOptions) -> dict[str, Any]:
    from lake.landing.exposure_limits import ingest_exposure_limits

    return ingest_exposure_limits(committer, path, **_said(options)).to_dict()


def _var_limits(committer: Committer, path: str, options: MappedOptions) -> dict[str, Any]:
    from aggregation.limits.landing import ingest_var_limits

    return ingest_var_limits(committer, path, **_said(options)).to_dict()


INGESTS: Mapping[str, Ingest] = {
    "market": Ingest(
        "Bring market files into the lake, as a catalogue describes them; all of them load, or none.",
        "Folder with the landing files; to suggest a catalogue, a file will do.",
        MarketOptions,
        _market,
        "scenarios.market.landing_catalogue:MarketIngestReport",
        "tables:show_market_reports",
        "/market-data",
        partly=True,
        several=False,
        folder=True,
        shipped=_catalogues,
        check=_check_catalogue,
        suggest="scenarios.market.suggest:suggest_market",
    ),
    "positions": Ingest(
        "Bring positions into the lake; unusable rows are listed, the others load.",
        "CSV, Excel or Parquet files, see docs/positions.md.",
        PositionsOptions,
        _positions,
        "lake.landing.positions:PositionsReport",
        "tables:show_positions_reports",
        "/positions",
        partly=True,
        shipped=kept_mappings,
        check=_mapping,
        suggest="valuation.books.suggest:suggest_positions",
    ),
    "pnl": Ingest(
        "Bring actual P&L into the lake, by day and node; a file with a fault is refused whole.",
        "CSV, Excel or Parquet files, see docs/backtesting.md.",
        DatedOptions,
        _pnl,
        "lake.landing.actual_pnl:PnLReport",
        "tables:show_pnl_reports",
        "/actual-pnl",
        shipped=kept_mappings,
        check=_mapping,
        suggest="lake.landing.actual_pnl:suggest_pnl",
    ),
    "pnl-vectors": Ingest(
        "Bring P&L vectors of another system into the lake, as positions and a valuation set; holes are failed positions.",
        "CSV or Parquet files, see docs/vectors.md.",
        VectorsOptions,
        _vectors,
        "valuation.sets.imported:VectorsReport",
        "tables:show_vectors_reports",
        "/pnl-vectors",
    ),
    "var": Ingest(
        "Bring VaR of another system into the lake, by day, node and level; a file with a fault is refused whole.",
        "CSV or Parquet files, see docs/backtesting.md.",
        SourceOptions,
        _var,
        "lake.landing.reported_var:VarReport",
        "tables:show_var_reports",
        "/reported-var",
    ),
    "real-prices": Ingest(
        "Bring days with a real price of a risk factor into the lake, for FRTB's price test; a file with a fault is refused whole.",
        "CSV or Parquet files, see docs/frtb-ima.md.",
        ReplacingOptions,
        _real_prices,
        "lake.landing.real_prices:RealPricesReport",
        "tables:show_pnl_reports",
        "/real-prices",
    ),
    "hierarchy": Ingest(
        "Bring a hierarchy such as division over desk; it becomes exactly the file, or stays as it is when a row is wrong.",
        "CSV file, see docs/dimensions.md.",
        MappedOptions,
        _hierarchy,
        "lake.landing.hierarchies:HierarchiesReport",
        "dimensions:show_hierarchies",
        "/hierarchies",
        several=False,
        shipped=kept_mappings,
        check=_mapping,
    ),
    "sensitivities": Ingest(
        "Bring sensitivities of another system into the lake; a file with a fault is refused whole.",
        "CSV or Parquet files, in CRIF, as ORE writes them or plain, see docs/sensitivities.md.",
        SensitivitiesOptions,
        _sensitivities,
        "valuation.books.sensitivities:SensitivitiesReport",
        "tables:show_sensitivities_reports",
        "/sensitivities",
    ),
    "covariance": Ingest(
        "Bring a covariance matrix of another system into the lake; a file with a fault is refused whole.",
        "CSV or Parquet file, square or long, see docs/sensitivities.md.",
        CovarianceOptions,
        _covariance,
        "scenarios.market.covariances:CovarianceReport",
        "tables:show_covariance_reports",
        "/covariances",
        partly=True,
        several=False,
    ),
    "ticks": Ingest(
        "Bring ticks into the lake and make levels in buckets of seconds of them; a file with a fault is refused whole.",
        "CSV, Excel or Parquet files, logs of FIX 4.4, or recordings of FAST 1.1, see docs/intraday.md.",
        TicksOptions,
        _ticks,
        "scenarios.market.intraday:TicksReport",
        "tables:show_ticks_reports",
        "/ticks",
        partly=True,
        shipped=kept_mappings,
        check=_mapping,
    ),
    "orders": Ingest(
        "Bring orders into the lake, with their corrections and cancels; a file with a fault is refused whole.",
        "CSV or Parquet files, see docs/orders.md.",
        OrdersOptions,
        _orders,
        "lake.landing.orders:OrdersReport",
        "tables:show_pnl_reports",
        "/orders",
    ),
    "corporate-actions": Ingest(
        "Bring splits, dividends, spin-offs, symbol changes and mergers into the lake; a file with a fault is refused whole.",
        "CSV or Parquet files, see docs/corporate-actions.md.",
        Options,
        _corporate_actions,
        "scenarios.market.landing_actions:CorporateActionsReport",
        "tables:show_corporate_actions_reports",
        "/corporate-actions",
        partly=True,
    ),
    "counterparties": Ingest(
        "Bring counterparties into the lake: sector, rating, group, PD and LGD over time; a file with a fault is refused whole.",
        "CSV, Excel or Parquet files, see docs/counterparties.md.",
        MappedOptions,
        _counterparties,
        "lake.landing.effective_rows:ReferenceReport",
        "tables:show_pnl_reports",
        "/counterparties",
        shipped=kept_mappings,
        check=_mapping,
    ),
    "agreements": Ingest(
        "Bring netting agreements and their terms of margin into the lake; a file with a fault is refused whole.",
        "CSV, Excel or Parquet files, see docs/counterparties.md.",
        MappedOptions,
        _agreements,
        "lake.landing.effective_rows:ReferenceReport",
        "tables:show_pnl_reports",
        "/agreements",
        shipped=kept_mappings,
        check=_mapping,
    ),
    "collateral": Ingest(
        "Bring balances of collateral into the lake, by day and agreement; a file with a fault is refused whole.",
        "CSV, Excel or Parquet files, see docs/counterparties.md.",
        DatedOptions,
        _collateral,
        "lake.landing.reference:CollateralReport",
        "tables:show_pnl_reports",
        "/collateral",
        shipped=kept_mappings,
        check=_mapping,
    ),
    "classifications": Ingest(
        "Bring classifications of shares, issuers, commodities and currencies into the lake; a file with a fault is refused whole.",
        "CSV, Excel or Parquet files, see docs/counterparties.md.",
        MappedOptions,
        _classifications,
        "lake.landing.effective_rows:ReferenceReport",
        "tables:show_pnl_reports",
        "/classifications",
        shipped=kept_mappings,
        check=_mapping,
    ),
    "regime": Ingest(
        "Bring an own version of a regime into the lake: the parameters of capital rules, which it then holds for good.",
        "Folder with regime.toml and a TOML file a section, or one TOML file, see docs/regimes.md.",
        Options,
        _regime,
        "aggregation.regulatory.own_regimes:RegimeReport",
        "tables:show_pnl_reports",
        "/regimes",
        several=False,
        folder=True,
    ),
    "cva-hedges": Ingest(
        "Bring hedges of CVA into the lake, credit default swaps on names and indices; a file with a fault is refused whole.",
        "CSV, Excel or Parquet files, see docs/cva.md.",
        MappedOptions,
        _cva_hedges,
        "lake.landing.effective_rows:ReferenceReport",
        "tables:show_pnl_reports",
        "/cva-hedges",
        shipped=kept_mappings,
        check=_mapping,
    ),
    "exposure-limits": Ingest(
        "Bring limits of exposure into the lake, by counterparty or another node; a file with a fault is refused whole.",
        "CSV, Excel or Parquet files, see docs/exposure.md.",
        MappedOptions,
        _exposure_limits,
        "lake.landing.effective_rows:ReferenceReport",
        "tables:show_pnl_reports",
        "/limits-of-exposure",
        shipped=kept_mappings,
        check=_mapping,
    ),
    "var-limits": Ingest(
        "Bring limits of VaR, ES and loss into the lake, by desk or another node; a file with a fault is refused whole.",
        "CSV, Excel or Parquet files, see docs/limits.md.",
        MappedOptions,
        _var_limits,
        "lake.landing.effective_rows:ReferenceReport",
        "tables:show_pnl_reports",
        "/limits-of-var",
        shipped=kept_mappings,
        check=_mapping,
    ),
}
