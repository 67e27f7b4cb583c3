"""Replays: a receipt's question asked again of the lake as it was, its bits compared, and every figure that was shown with it.

Everything that may differ is looked at by name: the figures, the receipt itself, positions, valuation set, scenario set, market
data, code, libraries. The kind of a receipt is the name of a question, so that every question replays.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa

from aggregation.answer import Answer
from aggregation.book.terms import TERMS
from aggregation.contributions.exposures import covariance_digest, sensitivities_digest
from aggregation.differences import Altered, differences
from aggregation.kept_receipts import kept_versions, seen_by_receipt
from aggregation.opened.opened_lake import fresh_cache
from aggregation.questions import QUESTIONS, ask, read
from aggregation.receipts import (
    VOLATILE,
    code_digest,
    libraries,
    market_data_digest,
    own_digest,
    parts_of,
    table_digest,
    valuation_set_digest,
)
from aggregation.session import reading
from aggregation.types import Point, Scope
from lake.canonical import digest, kept_json
from lake.dates import day
from lake.errors import BadInput, Damaged, NotFound, VarlakeError, unknown
from lake.progress import Stopped
from lake.schemas import TABLES
from lake.storage import check_anew, is_damaged
from lake.tables import NEVER_WRITTEN, Lake, code_version
from scenarios.market.corporate_actions import TABLE
from scenarios.market.covariances import load_covariance
from scenarios.store import load_scenario_set, scenario_set_digest
from valuation.sets.plan import all_pricers_version

State = Literal["same", "changed", "missing", "damaged"]
Verdict = Literal["same bits", "other bits", "altered", "damaged", "not recomputed"]
Receipt = Mapping[str, Any]
# of a receipt: what is of one run, is a digest of the rest, or is among the inputs looked at by name
_LOOKED_AT = (
    "query_digest",
    "result_digest",
    "answer_digest",
    "code_version",
    "code_digest",
    "libraries",
    "pricer_version",
)
_DATA_FILE = re.compile(r"[0-9a-f]{32}(-[0-9a-f]{8})?")
_SKIPPED = (*VOLATILE, *_LOOKED_AT, "next_cursor")

Question = Mapping[str, Any]


def _renamed(question: Question, names: Mapping[str, str]) -> Question:
    return {names.get(k, k): v for k, v in question.items()}


def _points(question: Question) -> Question:
    """Two whole questions as two points of one."""
    one, two = question["from"], question["to"]
    asked = {k: v for k, v in one.items() if k not in Point.model_fields}
    sides = ({k: v for k, v in q.items() if k in Point.model_fields} for q in (one, two))
    rest = {k: v for k, v in question.items() if k not in ("from", "to") and v}
    return {**asked, **dict(zip(("from", "to"), sides, strict=True)), **rest}


def _drivers(question: Question) -> Question:
    queries = question["queries"]
    asked = {k: queries[-1][k] for k in ("where", "currency", "estimator", "scenario_set")}
    days = {"to": queries[-1]["as_of"], **({"from": queries[0]["as_of"]} if len(queries) == 2 else {})}
    one = {"measure": queries[-1]["measures"][0], "level": queries[-1]["levels"][0]}
    return {**asked, **days, **one, "max": question["most"], "over": question["over"]}


def _reconcile(question: Question) -> Question:
    query = question["query"]
    asked = {k: query[k] for k in ("as_of", "where", "currency", "estimator", "positions_date", "scenario_set")}
    one = {"measure": query["measures"][0], "level": query["levels"][0], "valuation_set": query["valuation_set"]}
    return {**asked, **one, "theirs": question["theirs"], "tolerance": question["tolerance"]}


# what Python and Arrow raise where a receipt, which anybody may have written, holds something else than one of ours
NOT_AS_WRITTEN = (
    LookupError,
    TypeError,
    AttributeError,
    ValueError,
    ArithmeticError,
    RecursionError,
    OSError,
    pa.ArrowException,
)
_DAYS = {"first": "from", "last": "to"}

# kinds of receipts made before every question had one name: that name, and the question as it is asked now
OLD_KINDS: dict[str, tuple[str, Callable[[Question], Question]]] = {
    "table": ("var", dict),
    "classes": ("risk-classes", dict),
    "compare": ("compare", _points),
    "explain": ("explain", _points),
    "explain-through": ("explain", _points),
    "drivers": ("drivers", _drivers),
    "bridge": ("reconcile", _reconcile),
    "what_if": ("what-if", lambda q: {**q["query"], **q["changes"]}),
    "way_back": ("limit-hedge", lambda q: {**q["query"], **q["request"]}),
    "scenario-pnl": ("scenario-pnl", lambda q: {k: v for k, v in q.items() if k in Scope.model_fields}),
    "series": ("series", lambda q: _renamed({k: v for k, v in q.items() if v is not None}, _DAYS)),
    "backtest": ("backtest", lambda q: _renamed(q, _DAYS)),
}


def question_of(receipt: Receipt) -> tuple[str, Question]:
    """The name and the question of a receipt, of an old one as it is asked now; raises `BadInput` for one that is none."""
    kind, question = str(receipt["kind"]), receipt["question"]
    if "answer_digest" not in receipt and kind in OLD_KINDS:
        name, now = OLD_KINDS[kind]
        try:
            return name, now(question)
        except (LookupError, TypeError, AttributeError, ValueError):
            raise BadInput(f"The question of this receipt is none of the kind {kind!r}: {question!s:.200}.") from None
    return kind, question


@dataclass(frozen=True)
class InputState(Answer):
    """What became of one input of a receipt: `same`, `changed` since, `missing` or `damaged`; `found` says what there is."""

    input: str
    state: State
    receipt: str
    found: str


@dataclass(frozen=True)
class Replay(Answer):
    """Whether the recomputed answer has the same bits.

    verdict : `altered` where the receipt's answer has the same bits and what is shown is not that answer, `damaged` where a file
    of the lake that it rests on has other bytes than were committed. inputs : the state of every input. why : what hindered.
    changed : every figure, text and row shown that is not as recomputed.
    """

    verdict: Verdict
    kind: str
    result_digest: str
    recomputed_digest: str | None
    inputs: tuple[InputState, ...]
    why: str | None = None
    changed: tuple[Altered, ...] = ()


def read_kept(path: Path) -> Mapping[str, Any]:
    """What is in a file: a receipt by itself, or a whole answer as `--json` and the API give it."""
    found = kept_json(path)
    receipt_in(found, str(path))
    return dict(found)


def receipt_in(found: Any, where: str = "the body") -> Receipt:
    """The receipt in an answer or a receipt; raises `BadInput` for anything else."""
    receipt = found.get("receipt", found) if isinstance(found, dict) else None
    needed = ("kind", "question", "table_versions", "receipt_digest")
    lacking = [k for k in needed if not isinstance(receipt, dict) or k not in receipt]
    if isinstance(receipt, dict) and not {"answer_digest", "result_digest"} & receipt.keys():
        lacking.append("answer_digest")
    if receipt is None or lacking:
        raise BadInput(
            f"There is no receipt in {where}: {', '.join(lacking or needed)} not found. Give an answer of "
            "`varlake var --json`, or what stands under its key receipt."
        )
    if receipt["kind"] not in (*QUESTIONS, *OLD_KINDS):
        raise unknown("kind of receipt", str(receipt["kind"]), QUESTIONS)
    return dict(receipt)


def replay(lake: Lake, kept: Mapping[str, Any]) -> Replay:
    """Asks the receipt's question of the lake at the receipt's table versions; names every input that is not as it was, and
    everything shown that is not as recomputed. kept : an answer as JSON has it, or its receipt alone.

    The lake's own files are read, not what queries keep of them.
    """
    receipt = receipt_in(kept)
    lake = seen_by_receipt(lake, receipt)
    alone = kept.keys() <= {"receipt"} or "receipt" not in kept
    # one digest over everything that is said; receipts made before there was one have that of the figures
    which = "answer_digest" if "answer_digest" in receipt else "result_digest"
    result = {"kind": receipt["kind"], "result_digest": receipt[which]}
    check_anew()
    try:
        states = _inputs(lake, receipt)
    except NOT_AS_WRITTEN:
        raise BadInput(
            "This receipt does not name its inputs as a receipt of an answer does. Give it unchanged."
        ) from None
    except Damaged as error:
        return Replay("damaged", recomputed_digest=None, inputs=(), why=error.message, **result)
    result["inputs"] = tuple(states)
    damage = [f"{s.input}: {s.found}" for s in states[1:] if s.state == "damaged"]
    try:
        if damage and states[0].state == "same":  # of a receipt changed by hand the inputs may be other than were named
            raise Damaged(f"The lake is damaged: {'; '.join(damage)}. Restore it from a copy.")
        again = as_published(lake, receipt)
    except Stopped:
        raise  # says nothing of the receipt
    except (VarlakeError, OSError, pa.ArrowException) as error:
        why = error.message if isinstance(error, VarlakeError) else f"A file of the lake cannot be read: {error}"
        verdict: Verdict = "damaged" if isinstance(error, Damaged) else "not recomputed"
        return Replay(verdict, recomputed_digest=None, why=why, **result)
    older = {s.state for s in states if s.input == "code"} != {"same"}
    # receipts made before questions had one name write the question in their own way, and so did their answers
    skip = _SKIPPED if which == "answer_digest" else (*_SKIPPED, "receipt", "receipts", "query")
    shown, told = ({"receipt": receipt}, {"receipt": again.receipt}) if alone else (kept, again.to_dict())
    try:
        changed = tuple(differences(shown, told, skip=skip, older=older))
    except NOT_AS_WRITTEN:
        raise BadInput(
            "What stands beside this receipt is not what an answer holds. Give the answer unchanged."
        ) from None
    recomputed = again.receipt[which]
    same = recomputed == receipt[which]
    sound = not changed and states[0].state == "same"
    # a later version may say more beside what is shown; then all that is shown is held to the bit
    all_shown = older and not alone
    verdict = "same bits" if sound and (same or all_shown) else "altered" if same else "other bits"
    reason = None if verdict == "same bits" else _why(states, changed)
    return Replay(verdict, recomputed_digest=recomputed, why=reason, changed=changed, **result)


def lake_then(lake: Lake, receipt: Receipt) -> Lake:
    """The lake at the versions that a receipt names; raises `NotFound` for one that a table does not have."""
    # a receipt of before there were standards and releases was answered without them
    named: dict[str, Any] = {"standards": NEVER_WRITTEN, "released_results": NEVER_WRITTEN}
    known = [p["market_data_version"] for p in parts_of(receipt) if p.get("market_data_version") is not None]
    named |= {"market_data": max(known)} if known else {}  # a receipt of before its version was named beside the others
    named |= receipt["table_versions"]
    if lake.reader:
        named = {n: v for n, v in named.items() if lake.shows_version(n)} | kept_versions(
            lake, receipt["receipt_digest"]
        )
    return lake.at({str(k): _version(lake, k, v) for k, v in named.items() if k in TABLES})


def as_published(lake: Lake, receipt: Receipt) -> Any:
    """The answer to the receipt's question of the lake as it was, from the lake's own files."""
    then = lake_then(lake, receipt)
    with fresh_cache(then) as cache:
        name, question = question_of(receipt)
        return ask(reading(then, cache), name, read(name, question))


def _version(lake: Lake, table: str, version: Any) -> int:
    """A version that the table has, or had before it was written; raises `NotFound` for any other."""
    newest = lake.version(table)
    if version not in range(NEVER_WRITTEN, newest + 1):
        raise NotFound(
            f"The receipt names version {version!s:.20} of the table {table}, whose newest version is {newest}."
        )
    return int(version)


def _why(states: list[InputState], changed: tuple[Altered, ...]) -> str:
    suspects = [s.input for s in states if s.state != "same"]
    told = [f"Not as the receipt has it: {', '.join(suspects)}."] if suspects else []
    if changed:
        told.insert(0, f"Shown otherwise than recomputed: {len(changed)}, first {changed[0].place}.")
    return (
        " ".join(told) or "Every input is as the receipt has it, and the result is not: please report this as a defect."
    )


def _inputs(lake: Lake, receipt: Receipt) -> list[InputState]:
    """The receipt itself, and every input that it names anywhere."""
    states = [_state("receipt", "damaged", receipt["receipt_digest"], own_digest(receipt))]
    states += [look(lake, part) for part in parts_of(receipt) for key, look in _LOOK.items() if key in part]
    return list(dict.fromkeys(states))  # two sides of a comparison share what they share


def _code(_: Lake, part: Receipt) -> InputState:
    told = f"{part['code_version']} {part['code_digest']}"
    return _state("code", "changed", told, f"{code_version()} {code_digest()}")


def _state(name: str, otherwise: State, was: object, now: object) -> InputState:
    """Same where both texts are, else as `otherwise` says."""
    return InputState(name, "same" if str(was) == str(now) else otherwise, str(was), str(now))


def _listed(versions: Mapping[str, str]) -> str:
    return ", ".join(f"{k} {v}" for k, v in sorted(versions.items()))


def _positions(lake: Lake, receipt: Receipt) -> InputState:
    """The files of the book: whether they are there with the bytes they are named by, and still the newest."""
    # a branch is named beside the files it stands on: it is in the tables of branches, at the receipt's version; so are terms
    date = day(receipt["positions_date"])
    files = [f for f in receipt["positions_files"] if not f.startswith(("branch-", TERMS))]
    if lake.reader:
        return _part_of_positions(lake, date, files)
    if not all(map(_DATA_FILE.fullmatch, files)):
        raise ValueError("no name of a data file")  # nor a path out of the lake
    name = f"positions of {date}"
    paths = [lake.path / "positions" / f"positions_date={date}" / f"{f}.parquet" for f in files]
    lacking = [p.stem for p in paths if not p.is_file()]
    if lacking:
        return _state(name, "missing", f"{len(files)} files", f"{len(lacking)} are not there, first {lacking[0]}")
    spoilt = [p.stem for p in paths if is_damaged(p)]
    if spoilt:
        return _state(name, "damaged", f"{len(files)} files", f"{len(spoilt)} have other bytes, first {spoilt[0]}")
    now = sorted(p.stem for p in lake.data_files("positions", {"positions_date": [date]}))
    was, found = (f"{len(f)} files {digest(*f)}" for f in (sorted(files), now))
    return _state(name, "changed", was, found)


def _part_of_positions(lake: Lake, date: dt.date, files: list[str]) -> InputState:
    """Whether the positions that are seen are still the same."""
    try:
        with fresh_cache(lake) as cache:
            now = cache.book(lake.snapshot(), date).files
    except NotFound as error:
        return _state(f"positions of {date}", "missing", ", ".join(files), error.message)
    return _state(f"positions of {date}", "changed", ", ".join(files), ", ".join(now))


def _valuation_set(lake: Lake, receipt: Receipt) -> InputState:
    wanted, was = receipt["valuation_set_id"], receipt["valuation_set_digest"]
    name = f"valuation set {wanted}"
    if wanted not in lake.read("valuation_sets", ["valuation_set_id"])["valuation_set_id"].to_pylist():
        return _state(name, "missing", was, "no such sealed set")
    files = lake.data_files("pnl_vectors", {"valuation_date": [day(receipt["valuation_date"])]})
    spoilt = [f.stem for f in files if is_damaged(f)]
    if spoilt:
        found = f"{len(spoilt)} of the files of vectors of that day have other bytes, first {spoilt[0]}"
        return _state(name, "damaged", was, found)
    return _state(name, "changed", was, valuation_set_digest(lake, wanted))


def _scenario_set(lake: Lake, receipt: Receipt) -> InputState:
    """The set's id is the digest of all that is in it, so what is stored can be held to it."""
    wanted = receipt["scenario_set_id"]
    name = f"scenario set {receipt['scenario_set_name']}"
    try:
        now = scenario_set_digest(load_scenario_set(lake.snapshot(), wanted))
    except NotFound as error:
        return _state(name, "missing", wanted, error.message)
    except VarlakeError as error:
        return _state(name, "damaged", wanted, error.message)
    return _state(name, "damaged", wanted, now)


def _market_data(lake: Lake, receipt: Receipt) -> InputState:
    """The version the scenarios were read from: whether it is as it was, and whether a later one has other data."""
    version = receipt["market_data_version"]
    was = receipt["market_data_digest"]
    if was is None:
        return _state("market data", "same", "none named", "none named")
    newest = lake.version("market_data")
    if version not in range(newest + 1):
        return _state("market data", "missing", f"version {version}", f"version {newest}")
    now = market_data_digest(lake, version)
    if now != was:
        return _state("market data", "damaged", f"version {version} {was}", f"version {version} {now}")
    latest = market_data_digest(lake, newest)
    return _state(
        "market data",
        "changed",
        f"version {version} {was}",
        f"version {newest} {latest}" if latest != was else f"version {version} {was}",
    )


def _sensitivities(lake: Lake, receipt: Receipt) -> InputState:
    """All sensitivities of the day that other systems brought, whether they are still the same."""
    date = day(receipt["question"]["as_of"])
    now = sensitivities_digest(lake, date)
    return _state(f"sensitivities of {date}", "changed", receipt["sensitivities_digest"], now)


def _covariance(lake: Lake, part: Receipt) -> InputState:
    name, was = f"covariance {part['name']}", part["covariance_digest"]
    try:
        return _state(name, "changed", was, covariance_digest(load_covariance(lake, part["name"])))
    except NotFound as error:
        return _state(name, "missing", was, error.message)


def _corporate_actions(lake: Lake, receipt: Receipt) -> InputState:
    """Whether the table as it was read is there, and whether a later version says something else."""
    version, was = receipt["corporate_actions_version"], receipt["corporate_actions_digest"]
    newest = lake.version(TABLE)
    if version not in range(newest + 1):
        return _state("corporate actions", "missing", f"version {version}", f"version {newest}")
    then, now = (table_digest(lake, TABLE, v) for v in (version, newest))
    state: State = "damaged" if then != was else "changed"
    return _state("corporate actions", state, was, then if then != was else now)


# key of a receipt that names an input, and what looks at that input
_LOOK: Mapping[str, Callable[[Lake, Receipt], InputState]] = {
    "positions_files": _positions,
    "valuation_set_digest": _valuation_set,
    "scenario_set_id": _scenario_set,
    "market_data_digest": _market_data,
    "sensitivities_digest": _sensitivities,
    "covariance_digest": _covariance,
    "corporate_actions_digest": _corporate_actions,
    "code_digest": _code,
    "pricer_version": lambda _, part: _state("pricers", "changed", part["pricer_version"], all_pricers_version()),
    "libraries": lambda _, part: _state("libraries", "changed", _listed(part["libraries"]), _listed(libraries())),
}
