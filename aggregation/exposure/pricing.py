"""What questions of exposure have valued first, and what they take."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from aggregation.exposure.path_values import plan_paths, value_paths
from aggregation.exposure.scope import ExposureScope, MarginFloors, open_book, path_scope
from aggregation.price import SECONDS_A_POSITION, SECONDS_A_QUESTION
from aggregation.question import Plan
from aggregation.session import Session

Q = TypeVar("Q", bound=ExposureScope)
FloorsOf = Callable[[Session, Any], MarginFloors | None]

# seconds of a core, measured: to add a value on a path to a netting set; for a netting set on a path its collateral, ranks and means
_A_VALUE, _A_CELL = 1.5e-9, 6e-8
_MARGIN = 1.5


def plan_exposure(floors: FloorsOf) -> Callable[[Session, Q], Plan]:
    """The plan of a question of exposure; floors : gives the margin floors of its query, by the regimes of the lake."""

    def plan(session: Session, query: Q) -> Plan:
        return plan_paths(session, path_scope(session, query, open_book(session, query, floors(session, query)))[0])

    return plan


def value_exposure(floors: FloorsOf) -> Callable[[Session, Q], Q]:
    """What values the paths of a question of exposure, and gives the question to ask then."""

    def value(session: Session, query: Q) -> Q:
        value_paths(session, path_scope(session, query, open_book(session, query, floors(session, query)))[0])
        return query

    return value


def price_of_exposure(floors: FloorsOf, passes: float = 1.0) -> Callable[[Session, Q], float]:
    """The price of a question of exposure: so many passes over the values on its paths."""

    def price(session: Session, query: Q) -> float:
        held = open_book(session, query, floors(session, query))
        scope, reported = path_scope(session, query, held)
        contracts = int(np.count_nonzero(held.book.by_contract(held.keep)))
        once = _A_VALUE * contracts * len(scope.grid) + _A_CELL * len(held.sets) * len(reported)
        positions = SECONDS_A_POSITION * held.book.n_positions
        return SECONDS_A_QUESTION + _MARGIN * (positions + passes * once * query.paths)

    return price
