"""Receipts replayed: the same question asked again, and the bits compared."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from flask import Response, request
from pydantic import BaseModel, ConfigDict, Field

from aggregation.questions import QUESTIONS, read
from aggregation.recomputed import Recomputed, recompute
from aggregation.replay import NOT_AS_WRITTEN, OLD_KINDS, Replay, question_of, replay
from aggregation.session import Session
from lake.errors import BadInput
from service.api.access import check_asked
from service.api.context import context, principal
from service.api.document import blueprint
from service.api.requests import Body
from service.api.responses import json_answer
from service.api.shapes import shape

api = blueprint("replay", __name__, __doc__)


class Receipt(BaseModel):
    """What a receipt must have, one of the two digests of what was answered with it; it has more, by kind."""

    model_config = ConfigDict(
        frozen=True,
        extra="allow",
        json_schema_extra={"anyOf": [{"required": ["answer_digest"]}, {"required": ["result_digest"]}]},
    )

    kind: Literal[tuple(dict.fromkeys((*QUESTIONS, *OLD_KINDS)))] = Field(description="kind of answer")  # type: ignore[valid-type]
    question: dict[str, Any]
    table_versions: dict[str, Annotated[float, Field(ge=-1, le=10**12)]]
    receipt_digest: str
    answer_digest: str = Field("", description="of all that the answer says")
    result_digest: str = Field("", description="of its figures alone")


class ReplayBody(Body):
    """An answer as it was given, or its receipt alone under the key `receipt`; whatever else is there is compared."""

    model_config = ConfigDict(frozen=True, extra="allow")

    receipt: Receipt = Field(description="the receipt of an answer")


@api.post("/replay/now", responses={200: shape(Recomputed)})
def recompute_receipt(body: ReplayBody) -> Response:
    """The same question asked of what is known now, beside the answer as published, with what was restated since."""
    _check_parameters()
    here = context()
    asks = principal()
    session = Session(here.lake, here.cache, entitlement=asks.entitlement, actor=asks.name)
    return json_answer(recompute(session, request.get_json()).to_dict())


@api.post("/replay", responses={200: shape(Replay)})
def replay_receipt(body: ReplayBody) -> Response:
    """Recomputes an answer from the lake as it was, and names every figure shown and every input that is not as it was."""
    _check_parameters()
    return json_answer(replay(context().lake, request.get_json()).to_dict())


def _check_parameters() -> None:
    """Raises `NotAllowed` where the receipt's question has parameters of risk that whoever replays it may not choose.

    A replay computes what it asks, and a receipt is quickly written. What is no question is told by the replay itself.
    """
    try:
        query = read(*question_of(request.get_json()["receipt"]))
    except (BadInput, *NOT_AS_WRITTEN):
        return
    check_asked(query)
