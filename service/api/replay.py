"""Receipts replayed: the same question asked again, and the bits compared."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from flask import Response
from pydantic import BaseModel, ConfigDict, Field

from aggregation.questions import QUESTIONS
from aggregation.replay import OLD_KINDS, Replay, receipt_in, replay
from service.api.context import context
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
    """An answer as it was given, or its receipt alone under the key `receipt`; other keys of the answer are not looked at."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    receipt: Receipt = Field(description="the receipt of an answer")


@api.post("/replay", responses={200: shape(Replay)})
def replay_receipt(body: ReplayBody) -> Response:
    """Recomputes an answer from the lake as it was, compares the bits, and names every input that is not as it was."""
    return json_answer(replay(context().lake, receipt_in(body.receipt.model_dump(exclude_unset=True))).to_dict())
