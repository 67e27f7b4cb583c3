"""What has to be brought in is said in the order in which it is needed; only what valuing can mend is `NotValued`."""

from __future__ import annotations

import datetime as dt

import pytest
from small_lake import MONDAY

from aggregation.kernels.estimators import exact_level
from aggregation.risk.query import run_query
from aggregation.types import RiskQuery
from lake.errors import NotFound, NotValued
from lake.tables import Lake

SUNDAY, LATER, TUESDAY = dt.date(2020, 3, 15), dt.date(2031, 1, 2), dt.date(2020, 3, 17)


@pytest.mark.parametrize(
    ("day", "said"),
    [
        (SUNDAY, "2020-03-15 is a Sunday. The lake lacks positions of 2020-03-15. Nearest dates with positions: 2020-03-13, 2020-03-16."),
        (TUESDAY, "The lake lacks positions of 2020-03-17."),
        (LATER, "The lake lacks market data of 2031-01-02 (there is 2019-12-02 to 2020-03-17); and positions of 2031-01-02."),
    ],
)  # fmt: skip
def test_the_lake_lacks_it(work_lake: Lake, day: dt.date, said: str) -> None:
    with pytest.raises(NotFound) as raised:
        run_query(work_lake, RiskQuery(as_of=day))
    assert not isinstance(raised.value, NotValued)
    assert raised.value.message.startswith(said)
    then = "Ask for a business day" if day == SUNDAY else f"Bring that in; then {day} can be valued"
    assert raised.value.message.endswith(f"{then}.")


def test_what_is_there_but_not_valued_can_be_planned(work_lake: Lake) -> None:
    with pytest.raises(NotValued, match="Ask for the plan of this question"):
        run_query(work_lake, RiskQuery(as_of=MONDAY))
    with pytest.raises(NotValued):
        run_query(work_lake, RiskQuery(as_of=SUNDAY, positions_date=MONDAY))


@pytest.mark.parametrize(
    ("given", "meant"), [("99", "0.99"), ("97.5%", "0.975"), ("95.0", "0.95"), ("5e9", "0.99"), ("x", "0.99")]
)
def test_a_percentage_gets_its_fraction(given: str, meant: str) -> None:
    with pytest.raises(ValueError, match=rf"such as {meant}\."):
        exact_level(given)


def test_a_currency_in_small_letters_is_that_currency() -> None:
    assert RiskQuery(as_of=MONDAY, currency="eur").currency == "EUR"
