"""Market data catalogues, in TOML: which landing file feeds which risk factors; and bringing those files into the lake.

The format is described in docs/market-data.md. Nothing is filled and nothing is repaired on the way in: a cell marked
missing becomes a row of status `missing` without a value.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import difflib
import functools
import re
import tomllib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from lake.arrays import Dates
from lake.canonical import canonical_json
from lake.committer import Committer
from lake.dates import day
from lake.errors import BadInput, Issue, NotFound, VarlakeError, counted, unknown
from lake.landing.dated_values import LAYOUTS, FileOptions, read_source
from lake.landing.rows import NO_NAME, is_no_name
from lake.schemas import MARKET_CALENDARS, RISK_FACTORS
from scenarios.market.calendars import DATA, WEEKDAYS, check_calendar, read_days
from scenarios.market.corporate_actions import ALL
from scenarios.market.gates import Parameters, is_partial, load_parameters
from scenarios.market.history import calendars_of
from scenarios.market.issues import gate, store_issues
from scenarios.market.market_rows import (
    check_levels,
    contradictions,
    joined,
    market_rows,
    merge_calendars,
    merge_factors,
    upsert,
)
from scenarios.market.units import UNITS
from scenarios.market.value_versions import FILES
from scenarios.surfaces import SURFACE, VOLATILITIES, check_point, plain_coordinate
from scenarios.types import FACTOR_TYPES, FactorIndex, RiskFactor, tenor_of, tenor_years

SHIPPED = Path(__file__).parent / "catalogues"

_PLACEHOLDER = re.compile(r"\{(\w+)\}")
_PART = re.compile(r"[A-Za-z0-9._&-]+")  # of an id
_FACTOR_ID = re.compile(r"[A-Z]+(:[A-Za-z0-9._&-]+)+")
_SOURCE_NAME = re.compile(r"[a-z0-9_-]+")
_OWN = {"column", "file"}  # the placeholders every column has
# of two names of attributes: how alike misspelt ones are; characters of one too short to begin another
_ALIKE, _SHORT = 0.78, 3
_TENORS = ("tenor", "expiry")  # names whose cells are tenors, however they are written


def _inside(value: str) -> str:
    path = PurePosixPath(value)
    if value.count("*") > path.name.count("*") or value.count("*") > 1:
        raise ValueError("a * may stand once, in the name of the file")
    if path.is_absolute() or ".." in path.parts or not path.parts:
        raise ValueError("the file must lie in the folder given to the ingest: a relative path without ..")
    return value


RelativePath = Annotated[str, AfterValidator(_inside)]


class FactorTemplate(BaseModel):
    """The risk factor a column feeds.

    In every text but `type`, {column} stands for the column's name, {file} for what the * of the file's name stands for, a name
    of `by` or `header` for that part of a series' name, and any other {key} for that key of the entry in `columns`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field(description="risk factor id, such as EQ:{column}")
    type: str = Field(description="risk factor type, a key of FACTOR_TYPES")
    name: str | None = Field(None, description="what a person calls it; the id when absent")
    currency: str = Field(description="ISO 4217 currency of the level; for FX the quote currency")
    curve: str | None = Field(None, description="for rates: the curve")
    pillar: str | None = Field(None, description="for rates: the tenor on the curve, such as 10Y")
    attributes: dict[str, str] = Field(default_factory=dict, description="for selection: region, sector, rating, asset")

    @field_validator("type")
    @classmethod
    def _known_type(cls, value: str) -> str:
        if value not in FACTOR_TYPES:
            raise ValueError(unknown("risk factor type", value, FACTOR_TYPES).message)
        return value

    def placeholders(self) -> set[str]:
        """The keys that the texts hold, but for those every column has."""
        texts = [self.id, self.name, self.currency, self.curve, self.pillar, *self.attributes.values()]
        return {key for text in texts if text for key in _PLACEHOLDER.findall(text)} - _OWN

    def risk_factor(self, words: Mapping[str, str], source: str, synthetic: bool) -> RiskFactor:
        """The template filled in for one column; raises `BadInput` when that is no proper risk factor."""

        def fill(text: str) -> str:
            return _PLACEHOLDER.sub(lambda m: words[m[1]], text)

        factor = RiskFactor(
            risk_factor_id=fill(self.id),
            type=self.type,
            name=fill(self.name or self.id),
            currency=fill(self.currency),
            curve=fill(self.curve) if self.curve else None,
            pillar=fill(self.pillar) if self.pillar else None,
            attributes=tuple(sorted((k, fill(v)) for k, v in self.attributes.items())),
            source=source,
            synthetic=synthetic,
        )
        _check(factor)
        return factor


def _part(kind: str, text: str) -> str:
    """A part of a series' name as ids and attributes have it: a tenor as 3M; a delta or moneyness that no id may hold, 25D put, as 25P."""
    if kind in _TENORS:
        return tenor_of(text)
    return text if _PART.fullmatch(text) else plain_coordinate(kind, text)


def _check(f: RiskFactor) -> None:
    i = f.risk_factor_id
    if not _FACTOR_ID.fullmatch(i):
        raise BadInput(
            f"{i!r} is no risk factor id; expected a form like EQ:AAPL or YC:USD:10Y, of letters, digits and . _ & - between colons. "
            "Where a name in the file has others, list its columns with names of your own."
        )
    if not re.fullmatch("[A-Z]{3}", f.currency):
        raise BadInput(f"{i}: {f.currency!r} is no ISO 4217 currency; expected three capital letters.")
    if f.type == "fx_rate" and not re.fullmatch("FX:[A-Z]{3}" + f.currency, i):
        raise BadInput(f"{i}: an fx_rate is called FX:BASEQUOTE and has the currency QUOTE, here {f.currency}.")
    kind, attributes = FACTOR_TYPES[f.type], dict(f.attributes)
    if kind.curved:
        if f.curve is None or f.pillar is None:
            raise BadInput(f"{i}: a {f.type} needs a curve and a pillar.")
        tenor_years(f.pillar)
    elif f.curve is not None or f.pillar is not None:
        raise BadInput(f"{i}: only rates have a curve and a pillar, and hazard rates, not a {f.type}.")
    if lacking := [c for c in kind.coordinates if c not in attributes]:
        raise BadInput(f"{i}: a {f.type} needs the attribute {lacking[0]}.")
    if "ex_date" in kind.coordinates:
        _check_date(i, attributes["ex_date"])
    if f.type in VOLATILITIES:
        check_point(f)
    for name in attributes.keys() - {*_read_attributes(f)}:
        if meant := [known for known in _read_attributes(f) if _alike(name, known)]:
            raise BadInput(
                f"{i}: a {f.type} has no attribute {name!r}, and would not read it; nearest: {', '.join(meant)}."
            )


def _read_attributes(f: RiskFactor) -> tuple[str, ...]:
    """The attributes of a risk factor that decide values; others are there to be selected by, and may have any name."""
    points = ("expiry", *SURFACE, "surface", "asset") if f.type in VOLATILITIES else ()
    return FACTOR_TYPES[f.type].conventions + points


def _alike(name: str, known: str) -> bool:
    """Whether one is hardly anything but the other in another spelling."""
    one, two = (re.sub(r"[_\W]", "", text.lower()) for text in (name, known))
    begins = (
        known != "asset" and len(one) > _SHORT and (one.startswith(two) or two.startswith(one))
    )  # not of asset_class
    return begins or difflib.SequenceMatcher(None, one, two).ratio() >= _ALIKE


def _check_date(i: str, text: str) -> None:
    try:
        day(text)
    except ValueError as error:
        raise BadInput(f"{i}: {text!r} as ex_date: {error}.") from None


class Source(FileOptions):
    """A landing file and the risk factors it feeds; the keys of FileOptions say how it is read."""

    file: RelativePath = Field(
        description="path of the landing file, relative to the folder given to the ingest; with a * for several"
    )
    scale: float = Field(1.0, ge=1e-12, le=1e12, description="what a value is multiplied by: 0.01 for percent")
    unit: str | None = Field(None, description="unit of the values, a key of UNITS, in place of a scale")
    plausible: tuple[float, float] | None = Field(
        None, description="lowest and highest level used that is meant; those of the risk factor type when absent"
    )
    licence: str = Field("", description="what the file may be used for")
    optional: bool = Field(False, description="whether the file may be absent")
    adjusted: bool | Literal["splits"] = Field(
        False,
        description="true where the levels are adjusted for all corporate actions, as an adjusted close is; splits where for what "
        "changes the number of shares alone",
    )
    calendar: str | None = Field(
        None,
        description="calendar of its market: a day without data is a holiday where it is closed, a hole where it is open",
    )
    columns: dict[str, dict[str, str]] | None = Field(
        None, description="columns to load, as a list or as a table of entries for the template; all when absent"
    )
    volume: str | None = Field(
        None, description="column with the volume traded, which tells whether the last row is of a whole day"
    )
    factor: FactorTemplate = Field(description="the risk factor each column feeds")

    @field_validator("columns", mode="before")
    @classmethod
    def _listed(cls, value: Any) -> Any:
        if isinstance(value, list) and all(isinstance(v, str) for v in value):
            value = {v: {} for v in value}
        if value is not None and not (isinstance(value, dict) and value):
            raise ValueError("columns must be a list of names or a table of entries, and not empty")
        return value

    @field_validator("unit")
    @classmethod
    def _known_unit(cls, value: str | None) -> str | None:
        if value is not None and value not in UNITS:
            raise ValueError(unknown("unit", value, UNITS).message)
        return value

    @model_validator(mode="after")
    def _filled(self) -> Source:
        if self.unit is not None and self.scale != 1:
            raise ValueError("unit and scale say the same; give one of them")
        if self.volume is not None and (self.columns is None or self.volume in self.columns):
            raise ValueError(
                "a file with a volume column needs columns, those with levels, and not that one among them"
            )
        wanted = self.factor.placeholders() - self.parts
        if self.columns is None:
            if wanted:
                raise ValueError(f"the factor uses {{{min(wanted)}}}; give every column an entry with it in columns")
            return self
        if not self.several and LAYOUTS[self.layout].one_value:
            raise ValueError(f"a file of layout {self.layout} has one value column; leave columns out")
        problems = []
        for column, entry in self.columns.items():
            problems += [f"{column}: {unknown('key', k, wanted).message}" for k in entry if k not in wanted]
            if missing := sorted(wanted - set(entry)):
                problems.append(f"{column}: {', '.join(missing)} is missing, the factor uses it")
        if problems:
            raise ValueError(" ".join(problems))
        try:
            self.named_factors("", synthetic=False)
        except VarlakeError as error:
            raise ValueError(error.message) from None
        return self

    @property
    def adjusted_for(self) -> str | None:
        """As in the table risk_factors."""
        return ALL if self.adjusted is True else self.adjusted or None

    @property
    def several(self) -> bool:
        """Whether it has a file for each of several series, or several files that continue each other."""
        return "*" in self.file

    @property
    def multiplier(self) -> float:
        """What a value received is multiplied by."""
        return self.scale if self.unit is None else UNITS[self.unit]

    @property
    def percent_sign(self) -> str | None:
        """A percent sign divides by a hundred, once, whether the unit is percent or none."""
        return {1.0: "e-2", UNITS["percent"]: ""}.get(self.multiplier)

    def files(self, directory: Path) -> dict[str, Path]:
        """Its files by what the * stands for; raises `NotFound`, or `BadInput` where `columns` names one that is not there."""
        if not self.several:
            return {"": directory / self.file}
        before, after = (len(part) for part in PurePosixPath(self.file).name.split("*"))
        found = {p.name[before : len(p.name) - after]: p for p in sorted(directory.glob(self.file))}
        if not found:
            raise NotFound(f"There is no file {self.file}.")
        if self.columns is None:
            return found
        if strange := [name for name in self.columns if name not in found]:
            raise unknown(f"file {self.file} with", strange[0], found)
        return {name: found[name] for name in self.columns}

    def risk_factors(
        self, name: str, columns: Iterable[tuple[str, Mapping[str, str]]], *, synthetic: bool, file: str = ""
    ) -> tuple[RiskFactor, ...]:
        """The risk factor of each column, with the parts of its name, of the source called `name`; raises `BadInput`."""
        entries = self.columns or {}
        return tuple(
            self.factor.risk_factor(
                {k: _part(k, v) for k, v in parts.items()}
                | {"column": column, "file": file, **entries.get(file if self.several else column, {})},
                name,
                synthetic,
            )
            for column, parts in columns
        )

    def named_factors(self, name: str, *, synthetic: bool) -> tuple[RiskFactor, ...]:
        """The risk factors that are known without the file; none where its cells or columns name them."""
        if self.parts & self.factor.placeholders():
            return ()
        if self.several:
            files = self.columns or {}
            return tuple(
                f for file in files for f in self.risk_factors(name, [("", {})], synthetic=synthetic, file=file)
            )
        if self.columns is None and not LAYOUTS[self.layout].one_value:
            return ()
        return self.risk_factors(name, [(c, {}) for c in self.columns or [""]], synthetic=synthetic)


class CalendarFile(BaseModel):
    """A calendar by file: a list of business days."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    file: RelativePath = Field(
        description="path of the list, a date a line, relative to the folder given to the ingest"
    )


class Catalogue(BaseModel):
    """Sources by name. `synthetic` marks every risk factor of it as generated, never observed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(description="name of the catalogue, for reports")
    description: str = Field("", description="what it covers")
    synthetic: bool = Field(False, description="true when the data is generated")
    calendar: dict[str, CalendarFile] = Field(default_factory=dict, description="calendars that come as lists, by name")
    source: dict[str, Source] = Field(min_length=1, description="the sources by name")

    @field_validator("source", "calendar")
    @classmethod
    def _named(cls, value: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
        for name in value:
            if not _SOURCE_NAME.fullmatch(name) or name in (WEEKDAYS, DATA):
                raise ValueError(f"{name!r} is no {info.field_name} name; expected small letters, digits, _ and - only")
        return value


def shipped_catalogues() -> dict[str, Path]:
    """The catalogues that come with varlake, by name."""
    return {p.stem: p for p in SHIPPED.glob("*.toml")}


def load_catalogue(path: str | Path) -> Catalogue:
    """Reads a catalogue file, or the shipped catalogue of that name. All its errors are listed at once."""
    shipped = shipped_catalogues()
    file = shipped.get(str(path), Path(path))
    try:
        raw = tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise NotFound(
            f"There is no catalogue {path}. Give a TOML file or one of: {', '.join(sorted(shipped))}."
        ) from None
    except (OSError, ValueError) as error:
        raise BadInput(f"The catalogue {path} cannot be read as TOML: {error}.") from None
    try:
        return Catalogue.model_validate(raw)
    except ValidationError as error:
        issues = [_issue(e["loc"], e["type"], e["msg"], e["input"]) for e in error.errors()]
        listed = "".join(f"\n  {i.pointer or 'catalogue'}: {i.message}" for i in issues)
        raise BadInput(f"The catalogue {path} has {len(issues)} errors.{listed}", issues=issues) from None


@functools.cache
def shipped_factors() -> FactorIndex:
    """The risk factors that the shipped catalogues name; not those of files whose columns they do not list."""
    factors = {
        f.risk_factor_id: f
        for path in sorted(SHIPPED.glob("*.toml"))
        for name, source in load_catalogue(path).source.items()
        for f in source.named_factors(name, synthetic=False)
    }
    return FactorIndex.of(factors.values())


def _issue(loc: tuple[int | str, ...], kind: str, message: str, given: Any) -> Issue:
    pointer = ".".join(map(str, loc))
    if kind == "extra_forbidden":
        # ("name",), ("source", NAME, "file") or ("source", NAME, "factor", "id")
        models: dict[int, type[BaseModel]] = {
            1: Catalogue,
            3: CalendarFile if loc[0] == "calendar" else Source,
            4: FactorTemplate,
        }
        return unknown("key", str(loc[-1]), models[len(loc)].model_fields, pointer=pointer).issues[0]
    value = None if isinstance(given, dict | list) else str(given)
    return Issue(pointer, message.removeprefix("Value error, "), value)


@dataclass(frozen=True)
class SourceReport:
    """What one file brought, in rows of `market_data`: rows = new + changed + unchanged, missing ones included.

    `kept` counts stored rows that the file does not have; they stay. `held` counts new and
    changed values that a gate holds. `dropped` counts lines of the file left out as the
    catalogue says, by reason; `notes` say what is stored otherwise than in the file. For an optional file that is absent
    `file` is None and every count zero.
    """

    source: str
    file: str | None
    licence: str = ""
    factors: int = 0
    first: dt.date | None = None
    last: dt.date | None = None
    rows: int = 0
    missing: int = 0
    new: int = 0
    changed: int = 0
    unchanged: int = 0
    kept: int = 0
    dropped: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    held: int = 0


@dataclass(frozen=True)
class MarketIngestReport:
    """What an ingest did, by source, and the versions of its two tables afterwards."""

    catalogue: str
    synthetic: bool
    sources: tuple[SourceReport, ...]
    risk_factors_version: int
    market_data_version: int

    def to_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self)


def ingest_market(
    committer: Committer,
    directory: str | Path,
    catalogue: Catalogue,
    *,
    accept_levels: bool = False,
    gates: Parameters | None = None,
) -> MarketIngestReport:
    """Stores the files of the catalogue that lie in `directory`; raises `BadInput` and stores nothing when one has errors.

    A row of a file replaces the stored row of its date and risk factor; stored rows that the file does not have stay.
    Files that bring nothing new make no commit. At most one commit a table, for all sources together. Levels that are not
    plausible for their type are errors, unless with `accept_levels`. New and changed values that a gate suspects, with the
    parameters `gates` or those shipped, are held.
    """
    lake = committer.lake
    stored_factors = lake.read("risk_factors").to_pylist(maps_as_pydicts="strict")
    stored_calendars = sorted(lake.read("market_calendars").to_pylist(), key=lambda row: str(row["calendar"]))
    landings, factors, lists = _read_all(Path(directory), catalogue, stored_factors, stored_calendars, accept_levels)
    stored = lake.read("market_data", where=ds.field("source").isin(list(landings)))
    reports, writes, fresh = [], [], []
    for name, source in catalogue.source.items():
        if name not in landings:
            reports.append(SourceReport(name, None, source.licence))
            continue
        rows = landings[name].rows
        counts, merged, new = upsert(stored.filter(pc.equal(stored["source"], name)), rows)
        extent = pc.min_max(rows["as_of_date"]).as_py()
        reports.append(
            SourceReport(
                name,
                source.file,
                source.licence,
                factors=len(factors[name]),
                first=extent["min"],
                last=extent["max"],
                dropped=landings[name].dropped,
                notes=landings[name].notes,
                **counts,
            )
        )
        if merged is not None:
            writes.append(merged)
            fresh.append(new)
    calendars = merge_calendars({n: catalogue.source[n].calendar for n in landings}, lists, stored_calendars)
    adjusted = {n: catalogue.source[n].adjusted_for for n in landings}
    # Factors first: a crash in between leaves factors without levels, which does no harm and a rerun completes.
    files = {n: source.file for n, source in catalogue.source.items() if n in landings}
    note = {"catalogue": catalogue.name, FILES: canonical_json(files)}
    if definitions := merge_factors(factors, adjusted, stored_factors):
        committer.put("risk_factors", pa.Table.from_pylist(definitions, RISK_FACTORS.schema), replace=True, note=note)
    if calendars != stored_calendars:
        table = pa.Table.from_pylist(calendars, MARKET_CALENDARS.schema)
        committer.put("market_calendars", table, replace=True, note=note)
    if writes:
        parameters = gates or load_parameters()
        written = [f for w in writes for f in factors[w["source"][0].as_py()]]
        rows, issues = gate(
            lake,
            pa.concat_tables(writes),
            np.concatenate(fresh),
            written,
            calendars_of(calendars),
            parameters,
            adjusted,
            _partial_days(Path(directory), catalogue, landings, parameters),
        )
        reports = [_with_held(report, issues) for report in reports]
        store_issues(committer, issues, rows)
        committer.put("market_data", rows, replace=True, note=note)
    return MarketIngestReport(
        catalogue.name, catalogue.synthetic, tuple(reports), lake.version("risk_factors"), lake.version("market_data")
    )


def _with_held(report: SourceReport, issues: Iterable[Mapping[str, Any]]) -> SourceReport:
    """The report with what is held of its source."""
    held = [i for i in issues if i["state"] == "held" and i["source"] == report.source]
    if not held:
        return report
    first = held[0]
    note = (
        f"{counted(len(held), 'value is', 'values are')} held, such as {first['risk_factor_id']} on {first['as_of_date']} "
        f"({', '.join(first['rules'])}: {first['detail']}). `varlake market issues` lists them."
    )
    return dataclasses.replace(report, held=len(held), notes=(*report.notes, note))


def _partial_days(
    directory: Path, catalogue: Catalogue, landings: Mapping[str, Landed], gates: Parameters
) -> dict[str, dt.date]:
    """The last day of each source whose volumes say that it was not over."""
    out = {}
    for name, source in catalogue.source.items():
        read = name in landings and source.volume is not None
        for path in source.files(directory).values() if read else ():
            rows = read_source(path, source, [str(source.volume)]).rows.sort_by("date")
            if is_partial(rows["value"].to_numpy(), gates):
                out[name] = rows["date"][-1].as_py()
    return out


def _read_all(
    directory: Path,
    catalogue: Catalogue,
    stored_factors: list[dict[str, Any]],
    stored_calendars: list[dict[str, Any]],
    accept_levels: bool,
) -> tuple[dict[str, Landed], dict[str, tuple[RiskFactor, ...]], dict[str, Dates]]:
    """Every file, and the factors its columns feed, by source, and the lists of days by calendar; raises all errors at once."""
    if not directory.is_dir():
        raise NotFound(f"There is no folder {directory}.")
    landings: dict[str, Landed] = {}
    factors: dict[str, tuple[RiskFactor, ...]] = {}
    lists: dict[str, Dates] = {}
    errors: dict[str, VarlakeError] = {}
    for name, listed in catalogue.calendar.items():
        try:
            lists[name] = read_days(directory / listed.file)
        except VarlakeError as error:
            errors[f"calendar {name}"] = error
    known = [DATA, *catalogue.calendar, *(row["calendar"] for row in stored_calendars if row["days"] is not None)]
    for name, source in catalogue.source.items():
        if source.optional and not any(directory.glob(source.file)):
            continue
        try:
            if source.calendar is not None:
                check_calendar(source.calendar, known)
            landings[name], factors[name] = _read_files(name, source, directory, catalogue.synthetic, accept_levels)
        except VarlakeError as error:
            errors[name] = error
    errors |= contradictions(factors, stored_factors)
    if errors:
        raise _refused(errors, len(catalogue.source) + len(catalogue.calendar))
    return landings, factors, lists


@dataclass(frozen=True)
class Landed:
    """What the files of a source hold: rows of `market_data` by risk factor and date, lines left out by reason, notes."""

    rows: pa.Table
    dropped: Mapping[str, int]
    notes: tuple[str, ...]


def _read_files(
    name: str, source: Source, directory: Path, synthetic: bool, accept_levels: bool
) -> tuple[Landed, tuple[RiskFactor, ...]]:
    """The files of one source, and the risk factors they feed; raises `BadInput` with the faults of all of them."""
    parts: dict[str, pa.Table] = {}
    factors: dict[str, RiskFactor] = {}
    dropped: Counter[str] = Counter()
    notes: list[str] = []
    errors: list[VarlakeError] = []
    for file, path in source.files(directory).items():
        try:
            landing = read_source(
                path, source, None if source.columns is None or source.several else list(source.columns)
            )
            columns = zip(landing.columns, landing.names, strict=True)
            own = source.risk_factors(name, columns, synthetic=synthetic, file=file)
            if strange := [f for f in own if is_no_name(f.name) or is_no_name(f.curve)]:
                raise BadInput(f"{path.name}: the risk factor {strange[0].risk_factor_id!a} {NO_NAME}.")
            if len({f.risk_factor_id for f in own}) < len(own):
                raise BadInput("Two of its columns feed the same risk factor; every column needs its own id.")
            accepted = check_levels(path, own, landing, source.multiplier, source.plausible, accept=accept_levels)
        except VarlakeError as error:
            errors.append(error)
            continue
        parts[path.name] = market_rows(own, landing, source.multiplier)
        factors |= {f.risk_factor_id: f for f in own}
        dropped.update(landing.dropped)
        said = (*landing.notes, *accepted)
        notes += [f"{path.name}: {note}" for note in said] if source.several else said
    if len(errors) > 1:
        raise BadInput("\n    ".join(e.message for e in errors), issues=[i for e in errors for i in e.issues])
    if errors:
        raise errors[0]
    return Landed(joined(parts), dict(dropped), tuple(notes)), tuple(factors.values())


def _refused(errors: Mapping[str, VarlakeError], sources: int) -> BadInput:
    listed = "".join(f"\n  {name}: {error.message}" for name, error in errors.items())
    issues = [
        dataclasses.replace(issue, pointer=f"{name}: {issue.pointer}")
        for name, error in errors.items()
        for issue in error.issues or (Issue("source", error.message),)
    ]
    return BadInput(
        f"Nothing is stored: errors in {len(errors)} of {counted(sources, 'source')}.{listed}", issues=issues
    )
