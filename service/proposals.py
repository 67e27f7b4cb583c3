"""Four eyes: a job that changes what others rely on is proposed by one and done once another approves it."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from lake.audit import account, sha256
from lake.canonical import canonical_json, file_digest
from lake.errors import Conflict, NotFound, VarlakeError, validated
from lake.tables import Lake
from service.access.principal import LOCAL, Principal, Role
from service.config import Settings
from service.encoding import as_json
from service.jobs import (
    INGEST,
    MARKET_ACT,
    MARKET_CHECK,
    RELEASE,
    SCENARIO_SET,
    STANDARD,
    VALUATION,
    Job,
    JobTable,
    Proposal,
    not_proposed,
)

# ruff: noqa: PLC0415 - most jobs need no approval, and what is imported here takes a second

Request = Mapping[str, Any]
STATES = ("proposed", "rejected", "withdrawn", "expired")
APPROVERS: frozenset[Role] = frozenset(
    {"risk_controller", "admin"}
)  # who decide what others propose; each sees the own


def proposal_of(settings: Settings, lake: Lake, kind: str, request: Request, actor: Principal) -> Proposal | None:
    """What a request is proposed with; None where nobody has to approve it. Raises what is wrong with the request."""
    asked_for = actor != LOCAL if settings.four_eyes is None else settings.four_eyes
    against = AGAINST[kind](lake, request) if asked_for and kind in AGAINST else None
    if against is None:
        return None
    return Proposal(identity(actor), as_json(against), dt.datetime.now(dt.UTC) + dt.timedelta(settings.proposal_days))


def identity(actor: Principal) -> str:
    """Whose eyes they are: a user, or on the command line of this machine its user."""
    return f"{actor.name}:{account()}" if actor == LOCAL else actor.name


def find_proposals(table: JobTable, asks: Principal, states: Iterable[str] = STATES) -> list[Job]:
    """The proposals in these states that whoever asks may see, newest first; approved ones are jobs like any other."""
    wanted = {*states}
    return [job for job in table.newest(limit=-1) if job.state in wanted and _is_shown(job, asks)]


def find_proposal(table: JobTable, job_id: str, asks: Principal) -> Job:
    """Raises `NotFound` for a job that nobody has to approve, or that whoever asks may not see."""
    job = table.get(job_id)
    if not _is_shown(job, asks):
        raise NotFound(f"There is no proposal {job_id}. `varlake proposals list` and GET /proposals list them.")
    return job


def _is_shown(job: Job, asks: Principal) -> bool:
    """A proposal is shown to its proposer, and to approvers who see all that the proposer sees: it may name what is held."""
    if job.proposal is None:
        return False
    own, of = asks.entitlement, job.actor.entitlement
    approver = bool(APPROVERS & {*asks.roles}) and (own is None or (of is not None and own.includes(of)))
    return approver or job.proposal.proposer == identity(asks)


def approve(
    lake: Lake, table: JobTable, job_id: str, actor: Principal, reason: str | None = None, although_moved: bool = False
) -> Job:
    """The job, queued. Raises `Conflict` for one's own proposal, for one that is decided or has expired, and for one against something
    that has changed since, unless it is approved although that moved."""
    job, proposal = _undecided(table, job_id, actor)
    who = identity(actor)
    if who == proposal.proposer:
        raise Conflict(f"{who} proposed {job_id}: another approves it. `withdraw` takes it back.")
    moved = moved_since(lake, job)
    if moved is not None and not although_moved:
        raise Conflict(
            f"{moved} Reject it, or approve it although that has changed (--although-moved, although_moved)."
        )
    return table.decide(job, "approved", who, actor, reason)


def reject(table: JobTable, job_id: str, actor: Principal, reason: str) -> Job:
    """Raises `Conflict` for one's own proposal, which is withdrawn, and for one that is decided or has expired."""
    job, proposal = _undecided(table, job_id, actor)
    if (who := identity(actor)) == proposal.proposer:
        raise Conflict(f"{who} proposed {job_id}: `withdraw` takes it back.")
    return table.decide(job, "rejected", who, actor, reason)


def withdraw(table: JobTable, job_id: str, actor: Principal, reason: str | None = None) -> Job:
    """Raises `Conflict` for the proposal of another, and for one that is decided or has expired."""
    job, proposal = _undecided(table, job_id, actor)
    if (who := identity(actor)) != proposal.proposer:
        raise Conflict(f"{proposal.proposer} proposed {job_id}, and alone can withdraw it; {who} can reject it.")
    return table.decide(job, "withdrawn", who, actor, reason)


def moved_since(lake: Lake, job: Job) -> str | None:
    """In words what the job was proposed against and has changed since, as its proposer sees it; None where all is as it was."""
    from aggregation.book.entitled_lake import entitled

    assert job.proposal is not None
    try:
        now = as_json(AGAINST[job.kind](entitled(lake.whole(), job.actor.entitlement), job.request) or {})
    except VarlakeError as error:
        return f"What {job.job_id} proposes is not possible any more: {error.message}"
    was = job.proposal.against
    changed = [
        f"{n} was {_text(was.get(n))} and is {_text(now.get(n))}" for n in {**was, **now} if was.get(n) != now.get(n)
    ]
    return f"What {job.job_id} was proposed against has changed since: {'; '.join(changed)}." if changed else None


def _text(value: Any) -> str:
    return "not there" if value is None else value if isinstance(value, str) else canonical_json(value)


def _undecided(table: JobTable, job_id: str, actor: Principal) -> tuple[Job, Proposal]:
    job = find_proposal(table, job_id, actor)
    if job.state != "proposed" or job.proposal is None:
        raise not_proposed(job)
    return job, job.proposal


# what each kind of job is proposed against: what it would change, as it is now; None for a request that needs no approval


def _standard(lake: Lake, request: Request) -> dict[str, Any]:
    from valuation.sets.standards import StandardRequest, check_standard, standards

    asked = validated(StandardRequest, request, "standard")
    check_standard(lake, asked)
    now = standards(lake).get(asked.desk)
    set_now = {"recipe": _recipe(lake, asked.scenario_set)} if asked.scenario_set else {}
    return {"standard": None if now is None else now.to_dict(), **set_now}


def _market_value(lake: Lake, request: Request) -> dict[str, Any]:
    from scenarios.market.issues import MarketAct, check_act

    _, row, used = check_act(lake, validated(MarketAct, request, "act"))
    return {**{name: row[name] for name in ("value_received", "value_used", "status")}, "level_by_the_act": used}


def _market_check(lake: Lake, request: Request) -> dict[str, Any] | None:
    if not request.get("hold"):
        return None
    gates = request.get("gates")
    return {"market_data": lake.version("market_data"), "gates": file_digest(Path(gates)) if gates else None}


def _released(lake: Lake, request: Request) -> dict[str, Any]:
    from aggregation.change.released import newest
    from aggregation.release import ReleaseRequest
    from aggregation.replay import question_of, receipt_in

    receipt = receipt_in(validated(ReleaseRequest, request, "release").answer)
    asked = question_of(receipt)[1]
    days = [dt.date.fromisoformat(d) for d in receipt.get("days") or [str(asked["as_of"])]]
    figures = sorted([[str(k) for k in key], row["release"], row["value"]] for key, row in newest(lake, days).items())
    return {"figures_released_of_these_days": sha256(canonical_json(figures).encode())}


def _set_of_standard(lake: Lake, request: Request) -> dict[str, Any] | None:
    """Of a scenario set under the name of a standard: by another recipe it would change what plain questions are answered from."""
    from scenarios.requests import ScenarioRequest, recipe_of
    from valuation.sets.standards import standards

    told = request.get("scenarios", request)
    name = told.get("name")
    if name is None or request.get("scenario_set"):
        return None
    # of desks that the proposer does not see too: sets are seen by all, and their questions are answered from them
    if name not in {s.scenario_set for s in standards(lake.whole()).values()}:
        return None
    asked = validated(ScenarioRequest, {k: told[k] for k in ScenarioRequest.model_fields if k in told}, "scenarios")
    day = dt.date.fromisoformat(request.get("market_date") or request["as_of"])
    now = _recipe(lake, name)
    same = now == _without_date(asked.method, recipe_of(day, asked).model_dump(mode="json"))
    return None if same else {"standard": name, "recipe": now}


def _recipe(lake: Lake, name: str) -> dict[str, Any]:
    """How the newest set of a name is made, on whichever day."""
    from scenarios.store import list_scenario_sets

    rows = list_scenario_sets(lake, ("name", "market_date", "version", "method", "definition")).to_pylist()
    newest = max((r for r in rows if r["name"] == name), key=lambda r: (r["market_date"], r["version"]))
    return _without_date(newest["method"], json.loads(newest["definition"]))


def _without_date(method: str, definition: Mapping[str, Any]) -> dict[str, Any]:
    return {**{k: v for k, v in definition.items() if k != "market_date"}, "method": method}


def _limits(lake: Lake, request: Request) -> dict[str, Any] | None:
    """Of files of limits. What is wrong with one is told now; the bytes that are approved are those that were proposed."""
    from lake.committer import DryRun
    from service.ingests import INGESTS

    table = _LIMITS.get(request["what"])
    if table is None:
        return None
    kind = INGESTS[request["what"]]
    for file in request["files"]:
        kind.read_in(DryRun(lake), file["path"], kind.options(**request["options"]))
    return {table: lake.version(table), "files": [file_digest(Path(f["path"])) for f in request["files"]]}


_LIMITS = {"var-limits": "var_limits", "exposure-limits": "exposure_limits"}  # kinds of files, and their tables

AGAINST: Mapping[str, Callable[[Lake, Request], dict[str, Any] | None]] = {
    STANDARD: _standard,
    MARKET_ACT: _market_value,
    MARKET_CHECK: _market_check,
    RELEASE: _released,
    SCENARIO_SET: _set_of_standard,
    VALUATION: _set_of_standard,
    INGEST: _limits,
}


def in_words(job: Job) -> str:
    """What a proposal asks for, as a sentence that tells it from others: what would change, of what, to what."""
    asked = job.request
    told = _WORDS[job.kind](asked)
    why = asked.get("reason")
    return f"{told} ({why})" if why else told


def _standard_in_words(asked: Request) -> str:
    whose = f"desk {asked['desk']}" if asked.get("desk") else "the lake"
    if asked.get("inherit"):
        return f"{whose[0].upper()}{whose[1:]} has the standard of the lake again"
    given = [f"{n.replace('_', ' ')} {asked[n]}" for n in ("scenario_set", "currency") if asked.get(n)]
    return f"Standard of {whose}: {', '.join(given)}"


def _market_value_in_words(asked: Request) -> str:
    of = f"{asked['factor']} on {asked['date']}"
    if asked["act"] == "override":
        return f"Override {of} with {asked['value']:.10g}"
    if asked["act"] == "proxy":
        return f"Move {of} with {asked['by']}, {asked.get('beta', 1.0):.6g} for one"
    return f"Release {of} as it was received"


def _check_in_words(asked: Request) -> str:
    since = f" since {asked['first']}" if asked.get("first") else ""
    own = f", by the gates of {asked['gates']}" if asked.get("gates") else ""
    return f"Hold the stored market values that the gates suspect{since}{own}"


def _release_in_words(asked: Request) -> str:
    from aggregation.replay import question_of, receipt_in

    name, question = question_of(receipt_in(asked["answer"]))
    days = [str(question[n]) for n in ("as_of", "first", "last") if question.get(n)]
    where = [
        str(w) if isinstance(w, str) else f"{w['dimension']}={','.join(w['values'])}"
        for w in question.get("where") or ()
    ]
    by = [str(b) for b in question.get("by") or ()]
    parts = [f"by {', '.join(by)}" if by else "", f"where {' and '.join(where)}" if where else ""]
    return " ".join(["Release the figures of", name, "of", " to ".join(days), *filter(None, parts)])


def _set_in_words(asked: Request) -> str:
    told = asked.get("scenarios", asked)
    parameters = [
        f"{n} {v if isinstance(v, str) else canonical_json(v)}" for n, v in (told.get("parameters") or {}).items()
    ]
    made = f"{told.get('method', 'historical')}{', ' if parameters else ''}{', '.join(parameters)}"
    day = asked.get("market_date") or asked["as_of"]
    return f"Make the scenario set {told.get('name')} of a standard anew on {day}: {made}"


def _limits_in_words(asked: Request) -> str:
    return f"Bring in {asked['what']} from {', '.join(Path(f['name']).name for f in asked['files'])}"


_WORDS: Mapping[str, Callable[[Request], str]] = {
    STANDARD: _standard_in_words,
    MARKET_ACT: _market_value_in_words,
    MARKET_CHECK: _check_in_words,
    RELEASE: _release_in_words,
    SCENARIO_SET: _set_in_words,
    VALUATION: _set_in_words,
    INGEST: _limits_in_words,
}
