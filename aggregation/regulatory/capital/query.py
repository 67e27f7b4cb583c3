"""What is asked of the capital report, and the questions of its parts that follow from it."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, Field, model_validator

from aggregation.exposure.path_values import MOST_DATES, MOST_PATHS
from aggregation.regulatory.ba_cva import BaCvaQuery
from aggregation.regulatory.credit.question import CreditRwaQuery
from aggregation.regulatory.credit.weights import Approach
from aggregation.regulatory.frtb_sa_query import FrtbSaQuery
from aggregation.regulatory.sa_ccr.ead import NETTING_SET, ReferenceDates, SaCcrQuery
from aggregation.regulatory.sa_cva import SaCvaQuery
from aggregation.types import Condition, DimensionName, as_model, whole
from lake.errors import BadInput, validated

Part = Literal["credit", "cva", "market"]
PARTS: tuple[Part, ...] = ("credit", "cva", "market")
CvaApproach = Literal["full", "reduced", "standardised"]
OF_SETS = (NETTING_SET, "counterparty", "legal_entity")  # what all trades of a netting set have in common
_MOST_SETS = 100_000


class CapitalChoices(BaseModel):
    """Which risks are asked for, by which approaches, grouped by what."""

    by: tuple[DimensionName, ...] = Field(
        ("legal_entity",),
        max_length=16,
        description="dimensions to group by, outermost first; without market risk also netting_set; empty for the total alone",
    )
    parts: tuple[Part, ...] = Field(
        PARTS,
        min_length=1,
        max_length=len(PARTS),
        description="risks that are asked for: credit, of counterparties' default; cva; market",
    )
    credit: Approach = Field(
        "standardised",
        description="credit risk: standardised, by class and rating; foundation or advanced, by internal ratings",
    )
    cva: CvaApproach = Field(
        "full",
        description="CVA risk: full or reduced, the basic approach with and without hedges; standardised, from our own sensitivities of "
        "CVA on market paths",
    )
    market: Literal["sa"] = Field(
        "sa", description="market risk: sa, the standardised approach. Internal models are asked by ima-capital"
    )
    market_where: tuple[Condition, ...] = Field(
        (),
        description="filters of the positions with market risk beside where, such as book~TB*; default all are of the trading book",
    )
    cva_charged: bool = Field(
        False, description="the maturity factor of internal ratings is at most one, since CVA has capital of its own"
    )
    grid: tuple[str, ...] = Field(
        (), max_length=MOST_DATES, description="with cva=standardised: T1, T2, ... of the market paths; default as cva"
    )
    paths: Annotated[int, Field(ge=2, le=MOST_PATHS), BeforeValidator(whole)] = Field(
        1000, description="with cva=standardised: number of market paths"
    )

    @model_validator(mode="after")
    def _whole(self) -> Self:
        for name in ("parts", "by"):
            if len(set(getattr(self, name))) < len(getattr(self, name)):
                raise ValueError(f"{name} names one twice")
        if NETTING_SET in self.by and "market" in self.parts:
            raise ValueError(
                "market risk is not by netting_set; give parts=credit,cva or group by counterparty, legal_entity, desk or another dimension"
            )
        return self


class CapitalQuery(CapitalChoices, SaCcrQuery):
    """Whose capital, on which day, by which rules and approaches."""

    @property
    def finer(self) -> bool:
        """Whether a group may be a part of a netting set."""
        return not set(self.by) <= set(OF_SETS)

    def sa_ccr(self) -> SaCcrQuery:
        """The question for exposures at default."""
        return as_model(SaCcrQuery, self)

    def of_credit(self) -> CreditRwaQuery:
        """The question credit-rwa, with every netting set."""
        return validated(
            CreditRwaQuery,
            {**self._exposures(), "approach": self.credit, "cva_charged": self.cva_charged, "sets": _MOST_SETS},
            "question",
        )

    def of_basic_cva(self) -> BaCvaQuery:
        """The question ba-cva."""
        return validated(BaCvaQuery, {**self._exposures(), "approach": self.cva}, "question")

    def of_own_cva(self) -> SaCvaQuery:
        """The question sa-cva, from our own sensitivities. Raises `BadInput` for what CVA on paths does not have."""
        if self.market_date not in (None, self.as_of):
            raise BadInput(
                f"CVA on market paths is of the market of as_of: market_date {self.market_date} is given and as_of is {self.as_of}. "
                "Take cva=full or reduced, or leave market_date out."
            )
        for name in ReferenceDates.model_fields:
            if getattr(self, name) not in (None, self.as_of):
                raise BadInput(f"CVA on market paths is under the reference data of as_of; leave {name} out.")
        names = ("as_of", "by", "where", "currency", "positions_date", "branch", "regime", "grid", "paths", "as_known")
        return validated(SaCvaQuery, self._given(*names), "question")

    def of_market(self) -> FrtbSaQuery:
        """The question frtb-sa."""
        names = (
            "as_of",
            "by",
            "currency",
            "positions_date",
            "market_date",
            "branch",
            "regime",
            "as_known",
            "reference_date",
        )
        return validated(FrtbSaQuery, {**self._given(*names), "where": (*self.where, *self.market_where)}, "question")

    def _exposures(self) -> dict[str, Any]:
        return self._given(*SaCcrQuery.model_fields)

    def _given(self, *names: str) -> dict[str, Any]:
        return {n: getattr(self, n) for n in names}
