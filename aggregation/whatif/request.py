"""What-if questions as users put them: trades read, unknown contracts valued in this process, the change measured.

Nothing of the lake changes: vectors made for a question are kept by the process and not stored.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

from aggregation.book.changes import Changes, Removal, Scaling
from aggregation.book.filters import parse_filters
from aggregation.on_demand import plan_scope, value_scope
from aggregation.opened.inputs import Inputs, open_inputs
from aggregation.opened.opened_lake import VectorCache
from aggregation.price import SECONDS_A_POSITION, size_of
from aggregation.question import Question
from aggregation.risk.query import risk_price
from aggregation.risk.sampling_error import SECONDS_A_RANK
from aggregation.session import Session
from aggregation.types import VAR_AND_ES, Filter, MeasureName, RiskQuery, as_model, or_text
from aggregation.whatif.trades import trades_of_rows
from aggregation.whatif.what_if import WhatIf, unknown_contracts, what_if
from lake.errors import BadInput, validated
from lake.tables import Lake
from scenarios.store import load_scenario_set
from valuation.batch import reported
from valuation.costs import Costs, Work
from valuation.sets.batches import BatchHeader, value_contracts
from valuation.types import Contract, PnLBlock

_KEPT_BYTES = 64 << 20  # vectors of one question kept for the next


def parse_removal(text: str) -> Removal:
    """Trades to remove: ids such as `T1,T2`, or filters such as `desk=Rates` or `desk=Rates;book=B1` (both hold)."""
    if not any(c in text for c in "=~<>"):
        return Removal(where=(Filter(dimension="trade", values=tuple(_words(text, "remove"))),))
    return Removal(where=parse_filters(text))


def parse_scaling(text: str) -> Scaling:
    """A scaling such as `desk=Rates*0.5`, `desk=Rates;book=B1*0` or, of the whole book, `*1.1`."""
    filters, star, factor = text.rpartition("*")
    try:
        number = float(factor)
    except ValueError:
        number = float("nan")
    if not star or number != number:
        raise BadInput(
            f"The scaling {text!r} was given; expected FILTER*FACTOR, such as desk=Rates*0.5, or *0.5 for the book."
        )
    where = parse_filters(filters) if filters.strip() else ()
    return validated(Scaling, {"where": where, "factor": number}, "scaling")


def _words(text: str, option: str) -> Sequence[str]:
    words = [w.strip() for w in text.split(",") if w.strip()]
    if not words:
        raise BadInput(
            f"{option} {text!r} names nothing; expected trade ids such as T1,T2 or a filter such as desk=Rates."
        )
    return words


if TYPE_CHECKING:
    RemovalOrText = Removal
    ScalingOrText = Scaling
else:
    RemovalOrText = or_text(Removal, parse_removal, "^.+$")
    ScalingOrText = or_text(Scaling, parse_scaling, r"^.*\*[^*]+$")


class ChangeRequest(BaseModel):
    """Trades removed, scaled and added, in this order."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    add: tuple[dict[str, Any], ...] = Field(
        (), description="trades to add: instrument_type, terms, quantity; trade, dimensions and attributes as wanted"
    )
    remove: tuple[RemovalOrText, ...] = Field((), description="positions to take out: each by filters that all hold")
    scale: tuple[ScalingOrText, ...] = Field(
        (), description="quantities to multiply: filters that all hold, and a factor"
    )
    replace: bool = Field(False, description="the book becomes exactly the trades in add")


def changes_of(request: ChangeRequest, inputs: Inputs, added: tuple[pa.Table, pa.Table] | None = None) -> Changes:
    """The changes of a request upon the book of the inputs; `added` are trades read already, such as from a file."""
    if request.add and added is not None:
        raise BadInput("Trades were given both in a file and in the request; give them in one place.")
    if request.add:
        added = trades_of_rows(list(request.add), inputs.book.positions_date)
    if added is None:
        return Changes(request.remove, request.scale, replace=request.replace)
    return Changes(request.remove, request.scale, added[0], added[1], request.replace)


def value_new(inputs: Inputs, changes: Changes, currency: str) -> PnLBlock | None:
    """Vectors of the added contracts the valuation set does not know, under its scenarios; None where it knows all.

    What has no exchange rate into `currency` is among the failures.
    """
    contracts = unknown_contracts(inputs, changes)
    if not contracts.num_rows:
        return None
    wanted = tuple(sorted(Contract.of(contracts)))
    seal = inputs.valuation_set
    value = value_contracts if len(wanted) * inputs.n_scenarios * 8 > _KEPT_BYTES else _valued
    header = BatchHeader(seal.valuation_date, seal.scenario_set_id, seal.risk_classes)
    block = value(str(inputs.snapshot.lake.path), header, wanted)
    if set(block.currencies) <= {currency}:
        return block
    return reported(block, wanted, load_scenario_set(inputs.snapshot, seal.scenario_set_id).index, currency)


@functools.lru_cache(maxsize=8)
def _valued(lake_path: str, header: BatchHeader, contracts: tuple[Contract, ...]) -> PnLBlock:
    """The same trades asked about in another way are not valued again."""
    return value_contracts(lake_path, header, contracts)


def run_what_if(
    lake: Lake,
    query: RiskQuery,
    request: ChangeRequest,
    *,
    cache: VectorCache | None = None,
    added: tuple[pa.Table, pa.Table] | None = None,
) -> WhatIf:
    """The answer of the query before and after the changes. Contracts the lake has no vector of are valued; nothing is stored."""
    cache = cache or VectorCache(lake)
    inputs = open_inputs(cache, query)
    changes = changes_of(request, inputs, added)
    return what_if(inputs, query, changes, value_new(inputs, changes, query.currency))


class WhatIfQuery(ChangeRequest, RiskQuery):
    """A question of risk, and what to remove, scale and add before it is asked again."""

    measures: tuple[MeasureName, ...] = VAR_AND_ES

    def risk(self) -> RiskQuery:
        return as_model(RiskQuery, self)

    def changes(self) -> ChangeRequest:
        return as_model(ChangeRequest, self)


def _answer(session: Session, query: WhatIfQuery) -> WhatIf:
    return run_what_if(session.lake, query.risk(), query.changes(), cache=session.cache)


_SECONDS_A_CHANGE = 2e-4  # of a core, to read a trade that is added


def price_of_changes(session: Session, query: RiskQuery, changes: int, added: Iterable[str]) -> float:
    """Of the answer before and after, of so many changes each alone, and of valuing contracts of these instrument types."""
    size, asked = size_of(session, query, by=()), len(query.measures) * len(query.levels)
    works = [Work.of_type(kind, n, size.scenarios) for kind, n in Counter(added).items()]
    # a position is in one change at the most: together they are passed over as the book is
    one = SECONDS_A_POSITION * size.positions + _SECONDS_A_CHANGE + 3 * asked * SECONDS_A_RANK * size.scenarios
    alone = size.seconds(passes=3) + changes * one
    return 2 * risk_price(session, query) + alone + Costs(session.lake).together(works).seconds


def _price(session: Session, query: WhatIfQuery) -> float:
    added = [str(row.get("instrument_type")) for row in query.add]
    return price_of_changes(session, query.risk(), len(query.remove) + len(query.scale) + len(added), added)


WHAT_IF = Question(
    WhatIfQuery,
    _answer,
    {"as_of": "2020-03-16", "by": ["desk"], "scale": ["desk=Treasury*0.5"]},
    plan_scope,
    value_scope,
    price=_price,
)
