"""A backtest from counts alone: so many exceptions on so many days, of whichever system's VaR."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field, model_validator

from aggregation.answer import HIDDEN, Answer
from aggregation.backtest.prescribed import traffic_light_rules
from aggregation.kernels import backtest_statistics as tests
from aggregation.kernels.backtest_statistics import TrafficLight
from aggregation.kernels.estimators import exact_level
from aggregation.price import SECONDS_A_QUESTION
from aggregation.question import Question
from aggregation.receipts import name_code
from aggregation.session import Session
from aggregation.types import Level, Whole
from lake.errors import BadInput, Issue


class CountsQuery(BaseModel):
    """How many exceptions, on how many days, of a VaR at which level."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    exceptions: Whole = Field(ge=0, description="days on which the loss was greater than the VaR")
    days: Whole = Field(250, ge=1, le=100_000, description="days tested")
    level: Level = Field("0.99", description="confidence level of the VaR, a fraction such as 0.99")
    significance: float = Field(0.05, ge=0.0001, le=0.5, description="p-value below which a test rejects")

    @model_validator(mode="after")
    def _some_of_the_days(self) -> CountsQuery:
        if self.exceptions > self.days:
            raise ValueError(f"expected at most as many exceptions as days, {self.days:,}")
        return self


@dataclass(frozen=True)
class CountsResult(Answer):
    """rows : a row a test that needs no more than the counts. traffic_light : the zone, with the factors of 250 days at 0.99."""

    query: CountsQuery = field(metadata=HIDDEN)
    traffic_light: TrafficLight
    rows: pa.Table
    receipt: Mapping[str, Any]
    notes: tuple[str, ...] = ()


def _answer(_: Session, query: CountsQuery) -> CountsResult:
    try:
        p = float(1 - exact_level(query.level))
    except ValueError as error:
        raise BadInput(str(error), issues=(Issue("level", str(error), query.level),)) from None
    light = tests.traffic_light(query.days, query.exceptions, p, traffic_light_rules())
    rows = [
        {
            "test": made.test,
            "statistic": made.statistic,
            "p_value": made.p_value,
            "rejected": made.rejected,
            "not_rejected_from": made.details.get("not_rejected_from"),
            "not_rejected_to": made.details.get("not_rejected_to"),
            "source": made.source,
        }
        for test in (tests.kupiec, tests.binomial)
        for made in [test(query.days, query.exceptions, p, query.significance)]
    ]
    factors = f", plus factor {light.plus_factor:.2f}, multiplier {light.multiplier:.2f}" if light.multiplier else ""
    zone = (
        f"Traffic light: {light.zone}. {light.exceptions:,} exceptions on {light.days:,} days, {query.days * p:g} expected; so many or "
        f"fewer have a probability of {light.probability:.2%}{factors}."
    )
    more = "When exceptions come, and how bad they are, counts do not tell: bring the VaR in (varlake ingest var) for the other tests."
    return CountsResult(query, light, pa.Table.from_pylist(rows), {"table_versions": {}, **name_code()}, (zone, more))


COUNTS = Question(CountsQuery, _answer, {"exceptions": 5, "days": 250}, price=lambda session, query: SECONDS_A_QUESTION)
