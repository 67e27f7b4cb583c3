"""Own regimes in: a version of a regime as TOML, put into the lake for good.

What was brought in once is never edited: the same name and version with other content is refused, and the next one is a new version. So a
receipt that names a regime and its digest can be replayed at any time.
"""

from __future__ import annotations

import datetime as dt
import re
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds
from pydantic import BaseModel, ValidationError

from aggregation.regimes import ima_parameters
from aggregation.regimes.ima_parameters import ImaParameters
from aggregation.regimes.regimes import ABOUT, SHIPPED, TABLE, Regime, names, parsed, regime_of
from aggregation.regulatory import frtb_sa_parameters, imm
from aggregation.regulatory.credit.parameters import Credit
from aggregation.regulatory.cva_parameters import BaCva, SaCva
from aggregation.regulatory.frtb_sa_parameters import FrtbSa
from aggregation.regulatory.imm import Imm
from aggregation.regulatory.sa_ccr.parameters import SaCcr
from lake.committer import Committer
from lake.errors import BadInput, invalid, nearest
from lake.schemas import REGIMES

_SECTIONS: Mapping[str, type[BaseModel]] = {
    "sa_ccr": SaCcr,
    "credit": Credit,
    "ba_cva": BaCva,
    "sa_cva": SaCva,
    frtb_sa_parameters.SECTION: FrtbSa,
    ima_parameters.SECTION: ImaParameters,
    imm.SECTION: Imm,
}
_WORD = {
    "name": re.compile(r"[\w-]{1,40}", re.ASCII),
    "version": re.compile(r"[\w.-]{1,40}", re.ASCII),
}  # as a query names it
_LARGEST = 1 << 20  # characters of a text


@dataclass(frozen=True)
class RegimeReport:
    """What became of a regime: its label, the digest of all its parameters, and its sections. new : false where it was there.

    own_sections : those that it says itself, in whole or in part. notes : what is probably not meant.
    """

    path: str
    regime: str
    title: str
    in_force_from: dt.date
    extends: str | None
    regime_digest: str
    sections: tuple[str, ...]
    own_sections: tuple[str, ...]
    new: bool
    version: int
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def ingest_regime(committer: Committer, path: str | Path) -> RegimeReport:
    """Brings in a version of a regime: a folder with `regime.toml` and a TOML file a section, or one file with all.

    `regime.toml` says name and version beside what `Regime` has; sections may stand in it as tables below `sections`. Raises `BadInput`
    for what is no regime, for one that comes with varlake, and for one that the lake has with other content.
    """
    path, lake = Path(path), committer.lake.whole()
    texts = _texts(path)
    name, version, about = _named(path, texts[ABOUT])
    if (SHIPPED / name / version).is_dir():
        raise BadInput(
            f"Regime {name}@{version} comes with varlake and is not replaced; give yours a version of its own, "
            f'with extends = "{name}@{version}" where it differs from that in some parameters only.'
        )
    regime = parsed(name, version, texts, lake)
    _check_parameters(regime)
    own = tuple(sorted({*texts, *about.get("sections", ())} - {ABOUT}))
    where = (ds.field("name") == name) & (ds.field("version") == version)
    there = {r["section"]: r["content"] for r in lake.read(TABLE, where=where).to_pylist()}
    if there and there != texts:
        before = parsed(name, version, there, lake)
        differs = [
            s for s in sorted({*before.sections, *regime.sections}) if before.sections.get(s) != regime.sections.get(s)
        ]
        raise BadInput(
            f"The lake has regime {name}@{version} with other content ({', '.join(differs) or 'in its words alone'}); a version is never "
            "edited. Bring it in with a new version."
        )
    at = lake.version(TABLE)
    if not there:
        loaded = dt.datetime.now(dt.UTC)
        rows = [
            {"name": name, "version": version, "section": s, "content": t, "loaded_at": loaded}
            for s, t in sorted(texts.items())
        ]
        at = committer.put(TABLE, pa.Table.from_pylist(rows, schema=REGIMES.schema), note={"regime": regime.label})
    return RegimeReport(
        str(path),
        regime.label,
        regime.title,
        regime.in_force_from,
        about.get("extends"),
        regime.digest,
        tuple(sorted(regime.sections)),
        own,
        not there,
        at,
        _notes(regime, own, _known()),
    )


def _check_parameters(regime: Regime) -> None:
    """Raises `BadInput` for a parameter of the wrong kind. One that is missing is told by the question that needs it: a regime may be for
    some questions alone."""
    for name, model in _SECTIONS.items():
        try:
            model.model_validate(regime.sections.get(name, {}))
        except ValidationError as error:
            if any(e["type"] != "missing" for e in error.errors()):
                raise invalid(error, f"section {name} of regime {regime.label}", model) from None


def _texts(path: Path) -> dict[str, str]:
    """The TOML texts by section; the one file of a regime is its `regime`."""
    if path.is_dir():
        files = sorted(path.rglob("*.toml"))
        about = [f for f in files if f.stem == ABOUT]
        if len(files) == 1:
            about = files
        if len(about) != 1:
            found = "none" if not about else ", ".join(str(f.relative_to(path)) for f in about)
            raise BadInput(
                f"A folder of a regime holds one {ABOUT}.toml, beside a TOML file a section; found {found} in {path.name}."
            )
        (first,) = about
        files = [f for f in files if f.parent == first.parent]
    elif path.is_file():
        first, files = path, [path]
    else:
        raise BadInput(f"There is no file and no folder of a regime {path}.")
    texts = {}
    for file in files:
        try:
            text = file.read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else error
            raise BadInput(f"{file.name} of a regime cannot be read: {reason}.") from None
        if len(text) > _LARGEST:
            raise BadInput(f"{file.name} of a regime has {len(text):,} characters; at most {_LARGEST:,} are read.")
        texts[ABOUT if file == first else file.stem] = text
    return texts


def _named(path: Path, text: str) -> tuple[str, str, Mapping[str, Any]]:
    """Name and version that the text of `regime.toml` says, and all it says."""
    try:
        said = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BadInput(f"{path.name} is no TOML: {error}.") from None
    for word in ("name", "version"):
        given = said.get(word)
        if not isinstance(given, str) or not _WORD[word].fullmatch(given):
            found = "is missing" if given is None else f"is {given!r}"
            raise BadInput(
                f"The {word} of the regime {found} in {path.name}; expected letters, digits, - and _, such as "
                f'{word} = "{"house" if word == "name" else "2026.1"}".'
            )
    return said["name"], said["version"], said


def _notes(regime: Regime, own: tuple[str, ...], known: Mapping[str, Any]) -> tuple[str, ...]:
    """Sections and keys of sections that no regime that comes with varlake has: a name that is misspelt changes nothing."""
    notes = []
    for section in own:
        if section not in known:
            notes.append(
                f"No regime that comes with varlake has a section {section}; nearest: {', '.join(nearest(section, known))}."
            )
            continue
        if strange := sorted(regime.sections[section].keys() - known[section].keys()):
            notes.append(f"Section {section} says {', '.join(strange)}, which no regime that comes with varlake says.")
    return tuple(notes)


def _known() -> dict[str, dict[str, Any]]:
    """The sections of the regimes that come with varlake, and the keys of each."""
    found: dict[str, dict[str, Any]] = {}
    for name, versions in names().items():
        for version in versions:
            for section, content in regime_of(f"{name}@{version}", dt.date.max, None).sections.items():
                found.setdefault(section, {}).update(content)
    return found
