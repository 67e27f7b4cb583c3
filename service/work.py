"""What writes to a lake, by kind of job: done by the engine from the job table, and by a command that finds no engine."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field, field_validator

from lake.audit import sha256
from lake.canonical import canonical_json
from lake.committer import Committer, DryRun, new_run_id
from lake.errors import MOST_ISSUES, Invalid, Issue, VarlakeError, unknown, validated
from lake.landing.rows import write_faults
from lake.progress import Cancelled, Progress, go_on, silent
from lake.tables import Lake
from service.config import Settings
from service.encoding import as_json
from service.ingests import BESIDE, INGESTS, OWN_MACHINE, check_entitled, from_settings
from service.jobs import (
    ALARM_BAND,
    BRANCH,
    BRANCH_DELETION,
    COVARIANCE,
    INGEST,
    LIVE_ALARMS,
    LIVE_SNAPSHOT,
    MARKET_ACT,
    MARKET_CHECK,
    NETTING,
    ORDER_FEED,
    QUESTION,
    RELEASE,
    SCENARIO_SET,
    STANDARD,
    VALUATION,
    JobTable,
)

if TYPE_CHECKING:
    import threading

    from aggregation.session import Session

# ruff: noqa: PLC0415 - a command does one kind of work, and importing what all of them need takes a second and a half

Request = Mapping[str, Any]


class LandedFile(BaseModel):
    """A file that is brought in, or the folder of market files."""

    name: str = Field(description="as whoever brings it calls it")
    path: str = Field(description="where it lies on this machine, absolute")


class IngestRequest(BaseModel):
    """Files to bring in. Each request is a job of its own: its files may have changed since the one before."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    what: str = Field(description="what the files hold, a key of INGESTS")
    files: tuple[LandedFile, ...] = Field(min_length=1, description="the files, in the order they are brought in")
    options: dict[str, Any] = Field(default_factory=dict, description="what is said with them, as INGESTS has it")
    run: str = Field(
        default_factory=new_run_id,
        pattern=r"^[\w-]+$",
        description="its id, and the folder of its files where they were uploaded",
    )

    @field_validator("what")
    @classmethod
    def _known(cls, value: str) -> str:
        if value not in INGESTS:
            raise ValueError(unknown("kind of files", value, INGESTS).message)
        return value


def ingest_request(what: str, files: Sequence[Path], options: Mapping[str, Any], settings: Settings) -> IngestRequest:
    """Files of this machine, and what is said with them, as what is done with them takes it: with paths that hold in any folder.

    Raises what is wrong with the options before anything is made.
    """
    kind = INGESTS[what]
    values = {**from_settings(kind, settings), **options}
    given = validated(kind.options, values, "ingest")
    if kind.check is not None:
        kind.check(given)
    for name, field in kind.options.model_fields.items():
        if OWN_MACHINE in field.metadata and name in values and len(files) > 1:
            fault = f"names one file, and {len(files)} files of {what} were given; bring them in one by one"
            raise Invalid("ingest", [Issue(f"/{name}", fault)])
        shipped = kind.shipped() if BESIDE in field.metadata else ()
        if {BESIDE, OWN_MACHINE} & {*field.metadata} and name in values and values[name] not in shipped:
            values[name] = str(Path(values[name]).absolute())
    landed = [{"name": str(f), "path": str(f.absolute())} for f in files]
    return validated(IngestRequest, {"what": what, "files": landed, "options": values}, "ingest")


def upload_folder(lake: Lake, run: str) -> Path:
    """Where the files of an upload lie until their job has ended."""
    return lake.state / "uploads" / run


def ingest(
    committer: Committer,
    request: IngestRequest,
    progress: Progress = silent,
    cancelled: threading.Event | None = None,
) -> dict[str, Any]:
    """Brings the files in one after the other; the report of each, as JSON has it. What was uploaded for it is removed then.

    Raises what the file at fault does, and names those that are loaded already, and the file where all faults are, where they
    are too many to list. A cancelled ingest keeps its uploads, since it may only have been put back.
    """
    kind = INGESTS[request.what]
    check_entitled(request.what, committer.lake)
    options = validated(kind.options, request.options, "ingest")
    reports: list[dict[str, Any]] = []
    try:
        for i, file in enumerate(request.files):
            go_on(cancelled, "ingest")
            progress(f"ingest {request.what}", i, len(request.files))
            report = kind.read_in(committer, file.path, options)
            reports.append({**report, **({"path": file.name} if "path" in report else {})})
        progress(f"ingest {request.what}", len(request.files), len(request.files))
    except Cancelled:
        raise
    except BaseException as error:
        _remove(committer.lake, request.run)
        if not isinstance(error, VarlakeError):
            raise
        said = error.message
        if len(error.issues) > MOST_ISSUES and not isinstance(committer, DryRun):
            said += f" All faults are in {write_faults(committer.lake.state / 'rejects', Path(file.name).name, error.issues)}."
        if reports:
            said += f" Loaded before it: {', '.join(f.name for f in request.files[: len(reports)])}."
        error.message, error.args = said, (said,)
        raise
    _remove(committer.lake, request.run)
    return {"what": request.what, "reports": reports}


def _remove(lake: Lake, run: str) -> None:
    shutil.rmtree(upload_folder(lake, run), ignore_errors=True)


def remove_left_uploads(lake: Lake, table: JobTable, older_than: float) -> None:
    """Removes files of uploads that were cancelled or not approved; `older_than` is an instant in seconds, so that none is removed that is
    being received."""
    wanted = {job.request.get("run") for state in ("proposed", "queued", "running") for job in table.newest(state, -1)}
    for folder in upload_folder(lake, "").glob("*"):
        if folder.name not in wanted and folder.stat().st_mtime < older_than:
            _remove(lake, folder.name)


def _ingest(session: Session, request: Request) -> dict[str, Any]:
    asked = validated(IngestRequest, request, "job")
    return ingest(session.writer(), asked, session.progress, session.cancelled)


def _value(session: Session, request: Request) -> dict[str, Any]:
    from aggregation.on_demand import value_request
    from valuation.sets.requests import ValuationRequest

    return value_request(session, validated(ValuationRequest, request, "job")).to_dict()


def _answer(session: Session, request: Request) -> dict[str, Any]:
    """Values what the question lacks, then asks it: the result of the job is the answer."""
    from aggregation import questions

    name = str(request["question"])
    query = questions.value(session, name, questions.read(name, request["query"]))
    answer: dict[str, Any] = questions.ask(session, name, query).to_dict()
    return answer


def _make_scenario_set(session: Session, request: Request) -> dict[str, Any]:
    from scenarios.requests import ScenarioSetRequest, run_scenario_set

    made = validated(ScenarioSetRequest, request, "job")
    return run_scenario_set(session.writer(), made, progress=session.progress)


def _save_branch(session: Session, request: Request) -> dict[str, Any]:
    from aggregation.whatif.save_branch import BranchRequest, save_branch

    return save_branch(
        session.writer(),
        validated(BranchRequest, request, "job"),
        cache=session.cache,
        spark=session.spark,
        actor=session.actor,
        progress=session.progress,
        cancelled=session.cancelled,
    )


def _remove_branch(session: Session, request: Request) -> dict[str, Any]:
    from aggregation.whatif.save_branch import remove_branch

    return remove_branch(session.writer(), request["name"], session.actor)


def _set_standard(session: Session, request: Request) -> dict[str, Any]:
    from valuation.sets.standards import StandardRequest, set_standard

    asked = validated(StandardRequest, request, "job")
    return set_standard(session.writer(), asked, session.actor, session.approved_by).to_dict()


def _net_orders(session: Session, request: Request) -> dict[str, Any]:
    from valuation.books.orders import NettingRequest, net_orders

    return net_orders(session.writer(), validated(NettingRequest, request, "job")).to_dict()


def _make_covariance(session: Session, request: Request) -> dict[str, Any]:
    from scenarios.market.intraday_covariance import IntradayCovarianceRequest, store_intraday_covariance

    return store_intraday_covariance(session.writer(), validated(IntradayCovarianceRequest, request, "job")).to_dict()


def _take_snapshot(session: Session, request: Request) -> dict[str, Any]:
    from aggregation.live.opening import LiveDay
    from aggregation.live.snapshot import snapshot_day

    return snapshot_day(session, validated(LiveDay, request, "job")).to_dict()


def _record_alarms(session: Session, request: Request) -> dict[str, Any]:
    from aggregation.live.alarms import record_alarms
    from aggregation.live.opening import LiveDay

    return record_alarms(session, validated(LiveDay, request, "job"))


def _set_band(session: Session, request: Request) -> dict[str, Any]:
    from aggregation.live.alarms import BandRequest, set_band

    return set_band(session, validated(BandRequest, request, "job"))


def _feed_orders(session: Session, request: Request) -> dict[str, Any]:
    """Commits what a feed has read while an engine holds the lake."""
    from lake.landing.order_feeds.batch import FeedBatch

    batch = FeedBatch.read(Path(request["file"]), request["feed"], request["versions"])
    return {"versions": batch.commit(session.writer())}


def _act_on_market(session: Session, request: Request) -> dict[str, Any]:
    from scenarios.market.issues import MarketAct, act_on

    return act_on(session.writer(), validated(MarketAct, request, "job"), session.approved_by)


def _check_market(session: Session, request: Request) -> dict[str, Any]:
    from scenarios.market.issues import CheckRequest, run_check

    return run_check(session.writer(), validated(CheckRequest, request, "job"))


def _release(session: Session, request: Request) -> dict[str, Any]:
    from aggregation.release import ReleaseRequest, release

    return release(session.writer(), validated(ReleaseRequest, request, "job"), session.approved_by)


# kind of job to what does it; asked for through `run`
KINDS: Mapping[str, Callable[[Session, Request], dict[str, Any]]] = {
    VALUATION: _value,
    QUESTION: _answer,
    SCENARIO_SET: _make_scenario_set,
    BRANCH: _save_branch,
    BRANCH_DELETION: _remove_branch,
    STANDARD: _set_standard,
    NETTING: _net_orders,
    COVARIANCE: _make_covariance,
    LIVE_SNAPSHOT: _take_snapshot,
    LIVE_ALARMS: _record_alarms,
    ALARM_BAND: _set_band,
    ORDER_FEED: _feed_orders,
    MARKET_ACT: _act_on_market,
    MARKET_CHECK: _check_market,
    RELEASE: _release,
    INGEST: _ingest,
}

# of a result, what names the thing that was made
_NAMES = (
    "valuation_set_id",
    "scenario_set_id",
    "branch_id",
    "name",
    "version",
    "desk",
    "scenario_set",
    "currency",
    "what",
)


def run(session: Session, kind: str, request: Request, **about: Any) -> dict[str, Any]:
    """Does a piece of work, which is in the audit trail before and after; about : what else its entry says, such as the id of the job.

    Raises what the work does, and `BadInput` for a kind that there is not.
    """
    if kind not in KINDS:
        raise unknown("kind of job", kind, KINDS)
    if session.approved_by is not None:
        about["approved_by"] = session.approved_by
    with session.writer().acting(kind, request, session.actor, **about) as act:
        result: dict[str, Any] = as_json(KINDS[kind](session, request))
        act.led_to |= made(result)
    return result


def made(result: Mapping[str, Any]) -> dict[str, Any]:
    """What an entry of the audit trail says of a result: the names of what was made, its receipt, and its digest."""
    names = {name: result[name] for name in _NAMES if isinstance(result.get(name), str | int)}
    receipt = result.get("receipt") or {}
    told = {"receipt_digest": receipt["receipt_digest"]} if "receipt_digest" in receipt else {}
    return {**names, **told, "result_digest": sha256(canonical_json(result).encode(errors="surrogatepass"))}
