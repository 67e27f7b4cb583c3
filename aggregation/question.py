"""A question: what is asked, how it is answered, and what has to be valued first. `questions.QUESTIONS` lists them all."""

from __future__ import annotations

import dataclasses
import datetime as dt
import functools
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel

from aggregation.receipts import applied_actions, dropped_days, import_notes, parts_of, sealed
from aggregation.session import Session
from lake.canonical import canonical_json, digest
from lake.errors import BadInput, counted
from scenarios.market.issues import ACTS, all_issues, notes_on, standing
from scenarios.types import days_left_out
from valuation.costs import NOTHING, Estimate

if TYPE_CHECKING:
    from lake.tables import Lake
    from valuation.sets.plan import ValuationPlan
    from valuation.sets.requests import ValuationRequest

Query = TypeVar("Query", bound=BaseModel)

REGIMES = "regimes"  # the table of a lake's own
_BEFORE = dt.timedelta(days=30)  # as far back as a level is looked for
_RECEIPTS = ("receipt", "receipts")  # they name inputs, and are held to by a digest of their own


@dataclass(frozen=True)
class Plan:
    """What a question has valued before it is answered, and what that takes.

    valuations : a label, the request and its plan, of every valuation the question rests on. cost : seconds of one
    core, of what is missing and of what is priced for the answer without being stored. ready : whether nothing has to be valued first.
    about : further figures, by name. newer : valuations that would take market data which the scenarios of these do not know.
    answer_seconds : of one core, what the answer itself then takes at the most; None where that is not known before something is valued.
    """

    valuations: tuple[tuple[str, ValuationRequest, ValuationPlan], ...] = ()
    cost: Estimate = NOTHING
    ready: bool = True
    about: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    newer: tuple[ValuationRequest, ...] = ()
    answer_seconds: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """The figures shown before anything runs."""
        return {
            "ready": self.ready,
            **self.cost.to_dict(),
            "answer_core_seconds": None if self.answer_seconds is None else round(self.answer_seconds, 3),
            "valuations": [
                {"for": label, "request": request.model_dump(mode="json"), "plan": plan.to_dict()}
                for label, request, plan in self.valuations
            ],
            "about": dict(self.about),
            "newer_market_data": [request.model_dump(mode="json") for request in self.newer],
        }


def plan_of(valuations: Sequence[tuple[str, ValuationRequest, ValuationPlan]], **about: Any) -> Plan:
    """The plan whose cost is that of its valuations; it is ready when each of them is sealed."""
    return Plan(
        tuple(valuations),
        sum((plan.cost for _, _, plan in valuations), NOTHING),
        all(plan.sealed is not None for _, _, plan in valuations),
        about,
    )


def together(plans: Iterable[Plan]) -> Plan:
    """Several plans as one."""
    found = list(plans)
    return Plan(
        tuple(v for p in found for v in p.valuations),
        sum((p.cost for p in found), NOTHING),
        all(p.ready for p in found),
    )


@dataclass(frozen=True)
class Question(Generic[Query]):
    """An entry of QUESTIONS.

    query : the model of what is asked, with all its limits. answer : gives an `Answer` with `rows` (an Arrow table), `receipt`
    and `notes`, whose class its annotation names; it values nothing that is stored. price : seconds of one core that the answer takes
    at the most, told from the size of what it reads, before it is read: see `aggregation.price`. plan : what has to be valued first, None
    for a question that rests on no valuation. value : values it, and gives the query to ask then. example : a query of the
    documentation, on the demo lake.
    """

    query: type[Query]
    answer: Callable[[Session, Query], Any]
    example: Mapping[str, Any]
    price: Callable[[Session, Query], float] = dataclasses.field(kw_only=True)
    plan: Callable[[Session, Query], Plan] | None = None
    value: Callable[[Session, Query], Query] | None = None


def of_lake(run: Callable[..., Any]) -> Callable[[Session, Any], Any]:
    """What answers a question with a function of the lake and the query."""

    @functools.wraps(run)
    def answer(session: Session, query: Any) -> Any:
        return run(session.lake, query, cache=session.cache)

    return answer


def with_regimes(session: Session, query: BaseModel, answer: Any) -> Any:
    """The answer to a question that names a regime, with the version of the lake's own regimes in its receipt, so that a version of a
    regime that is brought in later changes no replay."""
    if "regime" not in type(query).model_fields:
        return answer
    versions = {**answer.receipt["table_versions"], REGIMES: session.lake.version(REGIMES)}
    return dataclasses.replace(answer, receipt={**answer.receipt, "table_versions": versions})


def with_market_issues(session: Session, answer: Any) -> Any:
    """The answer with notes on the market values held back in the time that it was made from, and on those that a person released,
    overrode or proxied, which its receipt names too."""
    at = session.lake.version("market_issues")
    issues = session.cache.keep(("market issues", at), lambda: all_issues(session.lake))
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for part in parts_of(answer.receipt) if issues else ():
        version, last = part.get("market_data_version"), part.get("market_date") or part.get("positions_date")
        if version is None or last is None:
            continue
        until = dt.date.fromisoformat(last)
        first = dt.date.min
        if part.get("window"):  # the move of the first scenario began some days earlier
            first = dt.date.fromisoformat(part["window"][:10]) - _BEFORE
        elif "standard" in part and part["standard"] is None:  # chosen scenarios rest on the base market alone
            first = until - _BEFORE
        for issue in standing(issues, version):
            if first <= issue["as_of_date"] <= until:
                found[issue["risk_factor_id"], str(issue["as_of_date"])] = issue
    notes = notes_on([found[key] for key in sorted(found)])
    if not notes:
        return answer
    shown = (
        "risk_factor_id",
        "as_of_date",
        "state",
        "rules",
        "value_received",
        "value_used",
        "proxy",
        "author",
        "reason",
    )
    acts = [
        {name: str(i[name]) if name == "as_of_date" else i[name] for name in shown}
        for _, i in sorted(found.items())
        if i["state"] in ACTS.values()
    ]
    receipt = {**answer.receipt, **({"market_acts": acts} if acts else {})}
    return dataclasses.replace(answer, notes=(*answer.notes, *notes), receipt=receipt)


# what of a receipt tells what is in a total
_OF_PARTS = (
    "valuation_set_id",
    "valuation_set_digest",
    "positions_files",
    "hierarchies",
    "imports",
    "exchange_rates",
    "corporate_actions_applied",
)


def without_parts(answer: Any, lake: Lake) -> Any:
    """The total of the whole firm as whoever sees a part of it is shown it: its figures and its coverage, and nothing of what is in it."""
    receipt = {k: v for k, v in answer.receipt.items() if k not in _OF_PARTS}
    versions = {n: v for n, v in receipt["table_versions"].items() if lake.shows_version(n)}
    coverage = answer.coverage
    told = ["The total of the whole firm; what is in it is not shown."]
    if lacking := coverage.positions - coverage.covered:
        told.append(
            f"{lacking:,} of {counted(coverage.positions, 'position')} {'is' if lacking == 1 else 'are'} not in it."
        )
    return dataclasses.replace(answer, receipt={**receipt, "table_versions": versions}, notes=tuple(told))


def seal(answer: Any, name: str, query: BaseModel, notes: Sequence[str] = (), reader: str = "") -> Any:
    """The answer with `notes` and those on what its receipt names; and a receipt that names the question and holds all the answer says,
    and who sees what it was made from, see `Lake.reader`.

    Noted are the days left out, vectors that were not made here, corporate actions applied to its books, and as of when it is known.
    """
    receipt = answer.receipt
    told = (days_left_out(dropped_days(receipt)), import_notes(receipt), applied_actions(receipt), _known_notes(query))
    if noted := [*notes, *(note for part in told for note in part)]:
        answer = dataclasses.replace(answer, notes=(*answer.notes, *noted))
    question = query.model_dump(mode="json", by_alias=True)
    receipt = {
        **{k: v for k, v in answer.receipt.items() if k != "receipt_digest"},
        **({"entitlement": json.loads(reader)} if reader else {}),
        "kind": name,
        "question": question,
        "query_digest": digest(canonical_json(question)),
        "answer_digest": answer_digest(answer),
    }
    return dataclasses.replace(answer, receipt=sealed(receipt))


def _known_notes(query: BaseModel) -> list[str]:
    """What of the lake was used, where that is not all that is known now."""
    whose = (
        ("", query),
        ("The first point is ", getattr(query, "from_", None)),
        ("The second point is ", getattr(query, "to", None)),
    )
    told = [(who, getattr(part, "as_known", None)) for who, part in whose]
    return [f"{who or 'It is '}as known at {known}: what was stored later is not used." for who, known in told if known]


def answer_digest(answer: Any) -> str:
    """One digest over everything an answer says: every table, figure and note, but not its receipt."""
    return digest(*_parts(answer))


def _parts(value: Any) -> list[str | bytes]:
    """What is digested of a value, in order; figures by their bits."""
    if value is None or isinstance(value, str | int | float):
        return [canonical_json(_plain(value))]
    if isinstance(value, pa.Table):
        return [part for name in value.column_names for part in (name, *_parts(value[name]))]
    if isinstance(value, pa.ChunkedArray):
        value = value.chunk(0) if value.num_chunks == 1 else value.combine_chunks()
    if isinstance(value, pa.Array):
        if pa.types.is_floating(value.type) or pa.types.is_integer(value.type):
            empty = bytes(-(-len(value) // 8))  # a bit a value; without nulls no kernel of Arrow is called for them
            if value.null_count:
                empty = np.packbits(value.is_null().to_numpy(zero_copy_only=False)).tobytes()
                value = pc.fill_null(value, 0)
            if pa.types.is_floating(value.type) and np.isinf(value.to_numpy()).any():
                raise BadInput(
                    "A figure of this answer overflows: amounts are too large to be added. Look at the largest positions and the "
                    "terms of their contracts (varlake drill), or filter them out with where."
                )
            return [str(value.type), empty, np.ascontiguousarray(value.to_numpy()).tobytes()]
        return [str(value.type), canonical_json([_plain(v) for v in value.to_pylist()])]
    if isinstance(value, np.ndarray):
        return [str(value.dtype), str(value.shape), np.ascontiguousarray(value).tobytes()]
    if isinstance(value, BaseModel):
        return [canonical_json(value.model_dump(mode="json", by_alias=True))]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        shown = [f.name for f in dataclasses.fields(value) if f.name not in _RECEIPTS]
        return [part for name in shown for part in (name, *_parts(getattr(value, name)))]
    if isinstance(value, Mapping):
        entries = [(str(k), v) for k, v in value.items() if k not in _RECEIPTS]
        return ["{", *(part for k, v in entries for part in (k, *_parts(v))), "}"]
    if isinstance(value, list | tuple):
        return ["[", *(part for v in value for part in _parts(v)), "]"]
    return [canonical_json(_plain(value))]


def _plain(value: Any) -> Any:
    """A value as JSON has it; floats as they read back, whatever they are."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return repr(value)
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    return str(value)
