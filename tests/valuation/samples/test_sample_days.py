"""The market of the sample bank's days: what it says of levels that are not there."""

from __future__ import annotations

import numpy as np
import pytest
from support import factor

from lake.errors import BadInput
from scenarios.types import FactorIndex
from valuation.samples.days import DayMarket


def test_a_level_before_the_market_begins_is_told_and_not_a_key() -> None:
    there = FactorIndex((factor("EQ:A", "equity_price"),))
    market = DayMarket(np.datetime64("2019-10-02"), None, there, np.array([50.0]))
    assert market.level("EQ:A") == 50.0
    with pytest.raises(
        BadInput, match=r"no level of YC:EUR_6M:6M on 2019-10-02.*begins earlier, or ask for later dates"
    ):
        market.level("YC:EUR_6M:6M")
