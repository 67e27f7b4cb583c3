"""The standard of a lake, and of desks: the scenario set and the currency of a question that names none.

The first sample that is sealed in a lake becomes its standard; from then on it changes only where somebody sets it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Self

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict, Field, model_validator

from lake.committer import Committer
from lake.errors import BadInput, NotFound, unknown
from lake.schemas import STANDARDS
from lake.tables import Lake, Snapshot, code_version
from scenarios.market.history import load_factors
from scenarios.store import find_scenario_set
from scenarios.types import MissingRiskFactor
from valuation.types import Currency, ValuationSet

CURRENCY = "USD"  # where a lake has no standard, or its contracts can be converted into it
_FIRST = "the first sample valued in the lake"


@dataclass(frozen=True)
class Standard:
    """What answers a question that names no scenarios and no currency.

    desk : None for the whole lake. version : 0 where nobody has set one. scenario_set : its name; None where any may answer.
    author, approved_by : who set it, and who approved that; None where that is not known, or nobody had to.
    """

    scenario_set: str | None = None
    currency: str | None = None
    desk: str | None = None
    version: int = 0
    reason: str | None = None
    author: str | None = None
    approved_by: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """As JSON; author and approval of one that was approved alone, so that other receipts stay as they are."""
        told = asdict(self)
        return told if self.approved_by else {k: v for k, v in told.items() if k not in ("author", "approved_by")}


class StandardRequest(BaseModel):
    """A new standard of the lake or of a desk; what is not given stays as it is."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    desk: str | None = Field(None, description="desk it holds for; default the whole lake")
    scenario_set: str | None = Field(
        None, description="name of a stored scenario set, which is then made on every date"
    )
    currency: Currency | None = Field(None, description="reporting currency, ISO 4217, such as USD")
    inherit: bool = Field(False, description="let the desk have the standard of the lake again")
    reason: str | None = Field(None, max_length=500, description="why, in words")

    def given(self) -> dict[str, Any]:
        """What changes."""
        return {k: v for k in ("scenario_set", "currency") if (v := getattr(self, k)) is not None}

    @model_validator(mode="after")
    def _something(self) -> Self:
        if self.inherit == bool(self.given()) or (self.inherit and self.desk is None):
            raise ValueError(
                "give a scenario set, a currency, or both; or a desk that is to inherit the lake's standard"
            )
        return self


def versions(at: Lake | Snapshot) -> list[dict[str, Any]]:
    """Every version, oldest first, as the table holds it."""
    rows: list[dict[str, Any]] = at.read("standards").sort_by("created_at").to_pylist()
    return rows


def newest(at: Lake | Snapshot) -> list[dict[str, Any]]:
    """The newest version of the lake's and of each desk's, by desk, the lake's first."""
    found = {row["desk"]: row for row in sorted(versions(at), key=lambda row: int(row["version"]))}
    return [found[desk] for desk in sorted(found, key=lambda d: d or "")]


def standards(at: Lake | Snapshot) -> dict[str | None, Standard]:
    """The newest standard of the lake, under None, and of every desk that has one."""
    return {row["desk"]: Standard(**{n: row[n] for n in Standard.__dataclass_fields__}) for row in newest(at)}


def standard_of(found: Mapping[str | None, Standard], desks: Collection[str] = ()) -> Standard:
    """The standard of a question that is filtered to these desks: of the desk where it is one alone, else of the lake."""
    of_lake = found.get(None, Standard())
    own = found.get(next(iter(desks))) if len(desks) == 1 else None
    if own is None or (own.scenario_set is None and own.currency is None):
        return of_lake
    return replace(
        own,
        scenario_set=own.scenario_set or of_lake.scenario_set,
        currency=own.currency or of_lake.currency,
    )


def set_standard(
    committer: Committer, request: StandardRequest, author: str | None = None, approved_by: str | None = None
) -> Standard:
    """Stores a version; raises `BadInput` for a set that answers only by its name, `NotFound` for one that is not there."""
    check_standard(committer.lake, request)
    now = standards(committer.lake).get(request.desk, Standard(desk=request.desk))
    kept = Standard(desk=request.desk, version=now.version) if request.inherit else now
    asked = replace(kept, **request.given(), reason=request.reason)
    return _stored(committer, replace(asked, author=author, approved_by=approved_by))


def check_standard(at: Lake | Snapshot, request: StandardRequest) -> None:
    """Raises what `set_standard` does; stores nothing."""
    if request.scenario_set is not None and not find_scenario_set(at, request.scenario_set).sample:
        raise BadInput(
            f"Scenario set {request.scenario_set} holds chosen scenarios, which answer only where they are named; "
            "a standard needs a sample, such as historical or Monte Carlo scenarios."
        )
    if request.desk is not None:
        desks = at.read("positions", ["desk"])["desk"].unique().drop_null().to_pylist()
        if request.desk not in desks:
            raise unknown("desk", request.desk, desks, error=NotFound)


def first_standard(committer: Committer, sealed: ValuationSet) -> None:
    """Makes the scenario set of a sealed valuation the lake's standard where the lake has none, and the set is a sample.

    Its currency is that of the contracts valued where they have one alone and the lake cannot convert it into US dollars.
    """
    lake = committer.lake
    # what a past state of the lake, or a part of it, is valued under is no standard of the lake
    if not sealed.sample or lake.known is not None or lake.reader or None in standards(lake):
        return
    valued = lake.read("valuation_members", ["contract_id"], among={"valuation_set_id": [sealed.valuation_set_id]})
    # the vectors have the currency, too, in far more bytes
    contracts = lake.read("contracts", ["contract_id", "currency"])
    held = pc.is_in(contracts["contract_id"], value_set=valued["contract_id"].combine_chunks())
    currencies = pc.unique(contracts.filter(held)["currency"]).to_pylist()
    alone = len(currencies) == 1 and not _converts(lake, currencies[0])
    _stored(committer, Standard(sealed.scenario_set_name, currencies[0] if alone else CURRENCY, reason=_FIRST))


def _converts(lake: Lake, currency: str) -> bool:
    try:
        load_factors(lake.snapshot("risk_factors")).fx_path(currency, CURRENCY)
    except (MissingRiskFactor, NotFound):
        return False
    return True


def _stored(committer: Committer, standard: Standard) -> Standard:
    made = replace(standard, version=standard.version + 1)
    row = {**asdict(made), "code_version": code_version(), "created_at": dt.datetime.now(dt.UTC)}
    table = pa.Table.from_pylist([row], schema=STANDARDS.schema)
    committer.put("standards", table, note={"standard": made.desk or "lake"})
    return made
