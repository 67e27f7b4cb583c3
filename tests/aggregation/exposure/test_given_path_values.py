"""Values on paths from arrays: order, shapes, names."""

import datetime as dt

import numpy as np
import pytest
from pydantic import ValidationError

from aggregation.exposure.path_values import PathScope, given_path_values
from lake.errors import BadInput, VarlakeError

TODAY = dt.date(2020, 3, 16)
DATES = [dt.date(2020, 4, 16), dt.date(2020, 5, 18)]


def given(**changed):
    values = np.arange(12.0).reshape(2, 2, 3)
    told = {
        "contract_ids": ["b", "a"],
        "currencies": ["EUR", "USD"],
        "base": np.array([7.0, 8.0]),
        "values": values,
        "spots": {"EUR": np.full((2, 3), 1.1), "USD": np.ones((2, 3))},
        "discounts": {"USD": np.full((2, 3), 0.99)},
        **changed,
    }
    return given_path_values(TODAY, DATES, **told)


def test_contracts_are_sorted_with_all_that_is_theirs():
    paths = given()
    assert paths.contract_ids.to_pylist() == ["a", "b"]
    assert paths.currencies == ("USD", "EUR")
    assert paths.base.tolist() == [8.0, 7.0]
    assert paths.values(1).tolist() == [[9.0, 10.0, 11.0], [6.0, 7.0, 8.0]]
    assert paths.values(0, np.array([1])).tolist() == [[0.0, 1.0, 2.0]]
    assert paths.cash(0).tolist() == [[0.0] * 3] * 2


def test_exchange_rates_go_through_the_common_currency():
    paths = given()
    assert paths.fx(0, "EUR", "USD") == pytest.approx([1.1] * 3)
    assert paths.fx(0, "GBP", "GBP").tolist() == [1.0] * 3
    with pytest.raises(VarlakeError, match="EUS"):
        paths.fx(0, "EUS", "USD")


def test_shapes_dates_and_numbers_that_do_not_fit_are_refused():
    with pytest.raises(BadInput, match="2 dates x 2 contracts"):
        given(values=np.zeros((1, 2, 3)))
    with pytest.raises(BadInput, match="differ"):
        given(contract_ids=["a", "a"])
    with pytest.raises(BadInput, match="numbered from 0"):
        given().values(2)


def test_a_scope_refuses_odd_antithetic_paths_and_dates_named_twice():
    with pytest.raises(ValidationError, match="pairs"):
        PathScope(as_of=TODAY, paths=3, sampling="antithetic")
    with pytest.raises(ValidationError, match="twice"):
        PathScope(as_of=TODAY, grid=("1M", "1M"))
    assert PathScope(as_of=TODAY, grid="1W,1M").grid == ("1W", "1M")
