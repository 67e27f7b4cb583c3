"""The audit trail: what was done to the lake, by whom, and whether the trail is whole. It can only be read."""

from __future__ import annotations

import datetime as dt
from dataclasses import asdict
from typing import Any

from flask import Response, g
from pydantic import Field

from lake.audit_check import ActFilter, acts_table, recorded_act, recorded_acts, verify_trail
from service.api import models
from service.api.context import context
from service.api.document import blueprint
from service.api.paging import MOST_ROWS
from service.api.requests import Parameters, TableParameters
from service.api.responses import json_answer, offers, page_answer, tabular, text_answer

api = blueprint("audit", __name__, __doc__)


class ActParameters(TableParameters, ActFilter):
    """Which acts are listed."""

    limit: int = Field(1_000, ge=1, le=MOST_ROWS, description="acts a page")
    cursor: str | None = Field(None, pattern="^[0-9]{1,18}$", description="next_cursor of the page before")


class ActPath(Parameters):
    number: int = Field(ge=1, le=10**15, description="number of the act, or of one of its entries")


class VerifyParameters(Parameters):
    head: str | None = Field(
        None,
        pattern="^[1-9][0-9]{0,17}:[0-9a-f]{64}$",
        description="number and digest of an entry that were kept elsewhere, such as 12:3f09...",
    )


class ActRow(models.Answer):
    """An act as the trail tells it."""

    number: int = Field(description="of its first entry")
    began_at: dt.datetime
    ended_at: dt.datetime | None
    actor: str = Field(description="whose act it is; local where there are no users")
    account: str = Field(description="user of the operating system whose process did it")
    act: str
    about: str = Field(description="what else its first entry says, such as the id of the job")
    outcome: str = Field(description="open, done, failed, cancelled or killed")
    tables: str = Field(description="versions of tables that it made, such as positions@4")
    error: str | None


class ActAnswer(ActRow):
    about: dict[str, Any] = Field(description="what else its first entry says")  # type: ignore[assignment]
    tables: dict[str, list[int]] = Field(description="versions that it made, by table")  # type: ignore[assignment]
    asked: dict[str, Any] = Field(description="the request; of what is long its size and digest")
    asked_digest: str | None = Field(description="SHA-256 of the whole request as canonical JSON")
    led_to: dict[str, Any]
    entries: list[dict[str, Any]] = Field(description="its entries as they stand in the trail")


class TrailAnswer(models.Answer):
    holds: bool
    entries: int = Field(description="entries that were read, up to the first fault")
    head: str | None = Field(description="number and digest of the newest entry, to be kept elsewhere")
    fault: str | None = Field(description="the first place where the trail is broken")
    notes: list[str]


class TrailLines(models.Answer):
    lines: list[str] = Field(description="the lines of the trail, each as it is digested")


Acts = models.page_model("Acts", ActRow)


@api.get("/audit/acts", responses={200: Acts})
@tabular
def audit_acts(query: ActParameters) -> Response:
    """The acts, newest first: when, by whom, what, and how each ended."""
    wanted = ActFilter(**{name: getattr(query, name) for name in ActFilter.model_fields})
    before = None if query.cursor is None else int(query.cursor)
    found = [a for a in recorded_acts(context().lake.trail, wanted)[::-1] if before is None or a.number < before]
    page = found[: query.limit]
    return page_answer(acts_table(page), "audit", str(page[-1].number) if len(found) > query.limit else None)


@api.get("/audit/acts/<number>", responses={200: ActAnswer})
def audit_act(path: ActPath, query: Parameters) -> Response:
    """An act: who asked for what, what it led to, and its entries as they stand in the trail."""
    act, entries = recorded_act(context().lake.trail, path.number)
    return json_answer({**asdict(act), "error": act.led_to.get("error"), "entries": entries})


@api.get("/audit/verify", responses={200: TrailAnswer})
def audit_verify(query: VerifyParameters) -> Response:
    """Whether the trail holds: every digest, and every version of every table since it began."""
    return json_answer(verify_trail(context().lake, query.head).to_dict())


@api.get("/audit/export", responses={200: TrailLines})
@offers("text", "json")
def audit_export(query: Parameters) -> Response:
    """The trail as it stands, JSON lines, for an auditor: it verifies by itself."""
    lines = [line.decode() for line in context().lake.trail.lines()]
    if g.format == "json":
        return json_answer({"lines": lines})
    return text_answer("".join(f"{line}\n" for line in lines), name="audit")
