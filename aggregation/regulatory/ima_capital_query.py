"""What is asked of `ima-capital`: whose own funds, averaged over which days, and what is given in place of other questions."""

from __future__ import annotations

import datetime as dt
import math
from typing import Literal

from pydantic import Field, model_validator

from aggregation.regulatory.default_correlations import CorrelationRules
from aggregation.regulatory.frtb_ima import FrtbImaQuery
from aggregation.regulatory.ima_query import ImaQuery
from aggregation.types import Filter, Whole
from lake.dates import Day

Zone = Literal["green", "amber"]


class ImaCapitalQuery(CorrelationRules, ImaQuery):
    """Whose capital, averaged over which days, and what comes from elsewhere."""

    days: Whole | None = Field(
        None,
        ge=1,
        le=250,
        description="latest days with a book that are averaged, the last of them as_of; default the regime's 60",
    )
    exceptions: Whole | None = Field(
        None,
        ge=0,
        le=250,
        description="exceptions of the bank-wide backtest at 99% in 250 days; default those of desk-eligibility, see tested_from, "
        "else none known",
    )
    zones: dict[str, Zone] = Field(
        default_factory=dict,
        description="desks on the internal model and their attribution zone; default those of desk-eligibility, see "
        "tested_from, else every desk, green",
    )
    tested_from: Day | None = Field(
        None,
        description="first day of the backtest and attribution (desk-eligibility, days with a book) that zones and exceptions come from; "
        "every day of it is valued; default none",
    )
    standardised: dict[str, float] = Field(
        default_factory=dict,
        description="capital of each desk by the standardised approach alone, for the surcharge, in the reporting currency; default that "
        "of frtb-sa",
    )
    standardised_all: float | None = Field(
        None,
        ge=0,
        description="capital of all desks together by the standardised approach, which caps the total; default that of frtb-sa",
    )
    standardised_eligible: float | None = Field(
        None,
        ge=0,
        description="capital by the standardised approach of the desks on the internal model together; default that of frtb-sa",
    )
    unapproved: float | None = Field(
        None,
        ge=0,
        description="C_U: capital by the standardised approach of the desks that are not on the internal model; default that of frtb-sa",
    )
    default_risk: float | None = Field(
        None,
        ge=0,
        description="default risk charge of the internal model; default that of drc-ima, with the parameters of it that are here",
    )
    pds: dict[str, float] = Field(default_factory=dict, description="probability of default by issuer, for drc-ima")
    pd_by_rating: dict[str, float] = Field(
        default_factory=dict, description="probability of default by rating, for drc-ima"
    )
    lgds: dict[str, float] = Field(default_factory=dict, description="loss given default by issuer, for drc-ima")

    @model_validator(mode="after")
    def _amounts(self) -> ImaCapitalQuery:
        wrong = sorted(d for d, v in self.standardised.items() if not (math.isfinite(v) and v >= 0))
        if wrong:
            raise ValueError(
                f"standardised capital of {wrong[0]} is {self.standardised[wrong[0]]}; expected an amount of at least 0"
            )
        strange = sorted(set(self.standardised) - set(self.zones)) if self.zones else []
        if strange:
            raise ValueError(
                f"standardised names desk {strange[0]}, which is not in zones; expected one of {', '.join(sorted(self.zones))}"
            )
        for what in ("pds", "pd_by_rating", "lgds"):
            for name, value in getattr(self, what).items():
                if not 0.0 <= value <= 1.0:
                    raise ValueError(f"{what} of {name} is {value}; expected a fraction from 0 to 1")
        if self.tested_from is not None and self.tested_from >= self.as_of:
            raise ValueError(f"tested_from is {self.tested_from}; expected a day before as_of, {self.as_of}")
        return self

    @property
    def on_model(self) -> tuple[Filter, ...]:
        """The filters of the desks on the internal model."""
        desks = tuple(sorted(self.zones))
        return (*self.where, Filter(dimension="desk", values=desks)) if desks else self.where

    def of_day(self, day: dt.date) -> FrtbImaQuery:
        """The question for IMCC and SES of one day, of the desks on the internal model."""
        given = {n: getattr(self, n) for n in ImaQuery.model_fields}
        if day != self.as_of:
            given |= {"positions_date": None, "market_date": None}
        return FrtbImaQuery(**{**given, "as_of": day, "by": (), "where": self.on_model, "contributions": False})
