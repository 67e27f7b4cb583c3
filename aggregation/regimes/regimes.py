"""Regimes: what a regulator prescribes, as data. The one place that reads it.

A regime has a name, such as basel, and versions. A version is a folder `shipped/NAME/VERSION` with `regime.toml` (title, dates, source) and
a TOML file a section: `sa_ccr.toml` is the section sa_ccr. A version may extend another: what it does not say is as there, table by table.
A list is replaced whole.
Own regimes are rows of the lake, brought in by `aggregation.regulatory.own_regimes`. No formula holds a parameter: it
takes the section as a model of its own, see `Regime.section`.
"""

from __future__ import annotations

import datetime as dt
import functools
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from lake.canonical import canonical_json, digest
from lake.disk_cache import Kept
from lake.errors import BadInput, unknown, validated
from lake.tables import NEVER_WRITTEN, Lake, Snapshot

SHIPPED = Path(__file__).parent / "shipped"
ABOUT = "regime"  # the section that says what the regime is
TABLE = "regimes"

Section = TypeVar("Section", bound=BaseModel)

RegimeName = Annotated[
    str,
    Field(
        pattern=r"^[\w-]{1,40}(@[\w.-]{1,40})?$",
        description="rules and their version, such as basel or basel@2023; without a version the one in force on the date",
    ),
]


class Parameters(BaseModel):
    """Base of what a formula reads of a regime: every parameter named, none with a default."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


@dataclass(frozen=True)
class Regime:
    """A version of a regime; `sections` by name, as its files and those it extends say.

    in_force_from : first day on which it holds. status : what it is, such as law, standard or proposal. remarks : what a reader must know.
    """

    name: str
    version: str
    title: str
    in_force_from: dt.date
    source: str
    status: str
    sections: Mapping[str, Mapping[str, Any]]
    remarks: Mapping[str, str] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """Its name and version, as a query names it."""
        return f"{self.name}@{self.version}"

    @functools.cached_property
    def digest(self) -> str:
        """Of every parameter, in canonical order."""
        return digest(self.label, canonical_json(_plain(self.sections)))

    @property
    def named(self) -> dict[str, str]:
        """What an answer's receipt says of it."""
        return {"regime": self.label, "regime_digest": self.digest}

    def section(self, name: str, model: type[Section]) -> Section:
        """The parameters of a section; raises `BadInput` that names the section and every parameter missing or wrong."""
        if name not in self.sections:
            raise BadInput(
                f"Regime {self.label} has no section {name}; it has {', '.join(sorted(self.sections)) or 'none'}. "
                "Choose another regime, or add the section to its data."
            )
        return validated(model, self.sections[name], f"section {name} of regime {self.label}")

    def notes(self, as_of: dt.date) -> tuple[str, ...]:
        """What whoever reads a result of that date must know."""
        early = (
            [
                f"{self.title} ({self.label}) is in force from {self.in_force_from}; the figures say what it would ask on {as_of}."
            ]
            if as_of < self.in_force_from
            else []
        )
        return (*early, *self.remarks.values())


def names(at: Lake | Snapshot | None = None) -> dict[str, list[str]]:
    """The versions of each regime, by name: those that come with varlake, and those of a lake."""
    found: dict[str, set[str]] = defaultdict(set)
    for name, version in _shipped_names():
        found[name].add(version)
    for name, version in _own(at):
        found[name].add(version)
    return {name: sorted(versions) for name, versions in sorted(found.items())}


@functools.cache
def _shipped_names() -> tuple[tuple[str, str], ...]:
    folders = [folder for folder in SHIPPED.iterdir() if folder.is_dir()]
    return tuple((folder.name, v.name) for folder in folders for v in folder.iterdir() if v.is_dir())


def regime_of(name: str, as_of: dt.date, at: Lake | Snapshot | None) -> Regime:
    """The regime `NAME@VERSION`, or the version of `NAME` that is in force on the date: of those begun the latest, else the first.

    at : the lake whose own regimes count beside those that come with varlake; None for these alone.
    Raises `BadInput` with the nearest names.
    """
    name, _, version = name.partition("@")
    known = names(at)
    if name not in known:
        raise unknown("regime", name, known)
    if version:
        return _read(name, version, at)
    versions = sorted((_read(name, v, at) for v in known[name]), key=lambda r: (r.in_force_from, r.version))
    begun = [r for r in versions if r.in_force_from <= as_of]
    return begun[-1] if begun else versions[0]


def _read(name: str, version: str, at: Lake | Snapshot | None) -> Regime:
    versions = names(at).get(name, [])
    if version not in versions:
        raise unknown(f"version of regime {name}", version, versions)
    own = _own(at).get((name, version))
    return _shipped(name, version) if own is None else parsed(name, version, own, at)


@functools.cache
def _shipped(name: str, version: str) -> Regime:
    files = sorted((SHIPPED / name / version).glob("*.toml"))
    return parsed(name, version, {file.stem: file.read_text(encoding="utf-8") for file in files})


def parsed(name: str, version: str, texts: Mapping[str, str], at: Lake | Snapshot | None = None) -> Regime:
    """The regime that TOML texts say, by section; `regime` says what it is, and may hold sections as tables of its own.

    at : the lake that may hold what it extends. Raises `BadInput` for what is no TOML or no regime, with every fault.
    """
    import tomllib  # noqa: PLC0415 - slow to import

    sections: dict[str, Mapping[str, Any]] = {}
    for section, text in texts.items():
        try:
            sections[section] = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise BadInput(f"{section}.toml of regime {name}@{version} is no TOML: {error}.") from None
    if ABOUT not in sections:
        raise BadInput(
            f"Regime {name}@{version} has no {ABOUT}.toml, which says its title, in_force_from, source and status."
        )
    said = validated(_About, sections.pop(ABOUT), f"{ABOUT}.toml of regime {name}@{version}")
    if twice := sorted(sections.keys() & said.sections.keys()):
        raise BadInput(
            f"Section {twice[0]} of regime {name}@{version} stands in {ABOUT}.toml and in a file of its own."
        )
    sections |= said.sections
    if said.extends:
        below, _, of = said.extends.partition("@")
        sections = merged(_read(below, of, at).sections, sections)
    return Regime(name, version, said.title, said.in_force_from, said.source, said.status, sections, said.remarks)


class _About(BaseModel):
    """What `regime.toml` says."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str | None = Field(None, description="its name, of an own regime")
    version: str | None = Field(None, description="its version, likewise")
    title: str = Field(description="what a reader calls it")
    in_force_from: dt.date = Field(description="first day on which it holds")
    source: str = Field(description="where the rules stand")
    status: str = Field(description="what it is, such as law, standard, proposal or own")
    extends: str | None = Field(
        None, pattern=r"^[\w-]{1,40}@[\w.-]{1,40}$", description="NAME@VERSION of the regime that it extends"
    )
    remarks: dict[str, str] = Field(default_factory=dict, description="what whoever reads a result must know")
    sections: dict[str, dict[str, Any]] = Field(
        default_factory=dict, description="sections that have no file of their own"
    )


_kept = Kept(16)  # own regimes of a lake, by what it is and the version of their table


def _own(at: Lake | Snapshot | None) -> Mapping[tuple[str, str], Mapping[str, str]]:
    """The texts by section of each regime that a lake holds, by name and version."""
    if at is None:
        return {}
    lake = at.lake if isinstance(at, Snapshot) else at
    version = at.versions.get(TABLE, lake.version(TABLE)) if isinstance(at, Snapshot) else lake.version(TABLE)
    if version == NEVER_WRITTEN:
        return {}

    def make() -> Mapping[tuple[str, str], Mapping[str, str]]:
        found: dict[tuple[str, str], dict[str, str]] = defaultdict(dict)
        for row in lake.read(TABLE, version=version).to_pylist():
            found[row["name"], row["version"]][row["section"]] = row["content"]
        return dict(found)

    read: Mapping[tuple[str, str], Mapping[str, str]] = _kept.get(
        (lake.path, lake.marker.stat().st_mtime_ns, version), make
    )
    return read


def merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Tables laid over tables: what stands above counts, all else is as below."""
    out = dict(below)
    for key, value in above.items():
        both = isinstance(value, Mapping) and isinstance(out.get(key), Mapping)
        out[key] = merged(out[key], value) if both else value
    return out


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_plain(v) for v in value]
    return value if isinstance(value, str | int | float | bool) else str(value)
