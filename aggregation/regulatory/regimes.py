"""Regimes: what a regulator prescribes, as data. The one place that reads it.

A regime has a name, such as basel, and versions. A version is a folder `regimes/NAME/VERSION` with `regime.toml` (title, dates, source) and
a TOML file a section: `sa_ccr.toml` is the section sa_ccr. A version may extend another: what it does not say is as there, table by table.
A list is replaced whole. No formula holds a parameter: it takes the section as a model of its own, see `Regime.section`.
"""

from __future__ import annotations

import datetime as dt
import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from lake.canonical import canonical_json, digest
from lake.errors import BadInput, unknown, validated

SHIPPED = Path(__file__).parent / "regimes"
_ABOUT = "regime"  # the section that says what the regime is

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


def names() -> dict[str, list[str]]:
    """The versions of each regime, by name."""
    return {
        folder.name: sorted(version.name for version in folder.iterdir() if version.is_dir())
        for folder in sorted(SHIPPED.iterdir())
        if folder.is_dir()
    }


def regime_of(name: str, as_of: dt.date) -> Regime:
    """The regime `NAME@VERSION`, or the version of `NAME` that is in force on the date: of those begun the latest, else the first.

    Raises `BadInput` with the nearest names.
    """
    name, _, version = name.partition("@")
    known = names()
    if name not in known:
        raise unknown("regime", name, known)
    if version:
        return _read(name, version)
    versions = sorted((_read(name, v) for v in known[name]), key=lambda r: r.in_force_from)
    begun = [r for r in versions if r.in_force_from <= as_of]
    return begun[-1] if begun else versions[0]


@functools.cache
def _read(name: str, version: str) -> Regime:
    versions = names().get(name, [])
    if version not in versions:
        raise unknown(f"version of regime {name}", version, versions)
    import tomllib  # noqa: PLC0415 - slow to import

    sections = {
        file.stem: tomllib.loads(file.read_text(encoding="utf-8"))
        for file in sorted((SHIPPED / name / version).glob("*.toml"))
    }
    about = sections.pop(_ABOUT)
    if extends := about.pop("extends", None):
        sections = merged(_read(*extends.split("@")).sections, sections)
    return Regime(name, version, sections=sections, **about)


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
