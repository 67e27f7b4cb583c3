"""Random contracts of every instrument type, in random markets, against an independent library."""

from __future__ import annotations

import numpy as np
import pytest

from service.bench.instruments import compare, oracle_types
from valuation.catalogue import INSTRUMENTS


def test_every_instrument_type_has_an_oracle() -> None:
    assert oracle_types() == list(INSTRUMENTS)


@pytest.mark.parametrize("n", [50, pytest.param(1000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("instrument_type", oracle_types())
def test_random_contracts_have_the_price_of_the_oracle(instrument_type: str, n: int) -> None:
    compared = compare(instrument_type, n_contracts=n, n_states=2, seed=11)
    assert np.isfinite(compared.theirs).all()
    assert compared.largest <= compared.tolerance
    # the prices are of some size, so that agreement says something
    assert np.median(np.abs(compared.theirs) / compared.size[:, None]) > 1e-4
