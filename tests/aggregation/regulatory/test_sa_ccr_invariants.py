"""What holds for every netting set, whatever is in it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from saccr_cases import (
    BASEL,
    Trade,
    collateralised,
    commodity,
    credit,
    equity,
    exposures,
    held,
    margined,
    pair,
    positions,
    rate,
)

from aggregation.kernels.sa_ccr import split
from aggregation.regulatory.sa_ccr.portfolio import Margins, changed
from aggregation.regulatory.sa_ccr.rows import Row

AMOUNTS = st.floats(1e3, 1e9)
SIDES = st.sampled_from([-1.0, 1.0])
YEARS = st.floats(0.01, 30.0)


@st.composite
def rows(draw: st.DrawFn) -> Row:
    kind, side, amount, time = draw(st.integers(0, 5)), draw(SIDES), draw(AMOUNTS), draw(YEARS)
    name = draw(st.sampled_from("ABC"))
    if kind == 0:
        return rate(draw(st.sampled_from(["USD", "EUR"])), amount, time, side)
    if kind == 1:
        option = (draw(SIDES), draw(st.floats(0.001, 0.1)), draw(st.floats(0.001, 0.1)), time)
        return rate("USD", amount, time + 5.0, side, start=time, option=option)
    if kind == 2:
        return pair(draw(st.sampled_from(["EUR/USD", "GBP/USD"])), amount, time, side)
    if kind == 3:
        return credit(name, amount, time, side, 0.0054)
    if kind == 4:
        return equity(name, amount, time, side)
    return commodity(draw(st.sampled_from(["energy", "metals"])), name, amount, time, side)


TRADES = st.lists(st.builds(Trade, rows(), st.floats(-1e8, 1e8)), min_size=1, max_size=12)
COLLATERAL = st.floats(-1e8, 1e8)


@given(TRADES, COLLATERAL)
def test_ead_is_at_least_alpha_times_the_current_exposure(trades: Sequence[Trade], collateral: float) -> None:
    found = exposures(trades, collateralised(collateral)).figures
    current = max(sum(t.value for t in trades) - collateral, 0.0)
    assert found.ead[0] >= BASEL.alpha * current - 1e-2
    assert found.pfe[0] >= 0.05 * found.add_on.sum() * (1 - 1e-12)
    assert 0.05 <= found.multiplier[0] <= 1.0


@given(TRADES, st.data())
def test_netting_never_adds(trades: Sequence[Trade], data: st.DataObject) -> None:
    """The EAD of a netting set is at most the sum of those of any parts of it."""
    sets = data.draw(st.lists(st.integers(0, 2), min_size=len(trades), max_size=len(trades)))
    apart = exposures([dataclasses.replace(t, netting_set=s) for t, s in zip(trades, sets, strict=True)])
    assert exposures(trades).ead[0] <= apart.ead.sum() * (1 + 1e-9) + 1e-2


@given(TRADES, COLLATERAL, st.floats(0.1, 10.0))
def test_ead_grows_with_the_book(trades: Sequence[Trade], collateral: float, times: float) -> None:
    scaled = [dataclasses.replace(t, value=times * t.value, quantity=times) for t in trades]
    one = exposures(trades, collateralised(collateral)).ead[0]
    assert exposures(scaled, collateralised(times * collateral)).ead[0] == pytest.approx(
        times * one, rel=1e-8, abs=1e-2
    )


@given(TRADES, COLLATERAL, st.randoms(use_true_random=False))
def test_the_order_of_trades_changes_no_bit(trades: list[Trade], collateral: float, random: object) -> None:
    other = list(trades)
    random.shuffle(other)  # type: ignore[attr-defined]
    one, two = (exposures(t, margined(collateral, 1e5, 10.0)) for t in (trades, other))
    for a, b in zip(one.figures, two.figures, strict=True):
        assert a.tobytes() == b.tobytes()


@given(TRADES, COLLATERAL, st.floats(-1e7, 1e7))
def test_margined_is_at_most_unmargined(trades: Sequence[Trade], collateral: float, least: float) -> None:
    with_margin = exposures(trades, margined(collateral, least, 10.0)).ead[0]
    assert with_margin <= exposures(trades, collateralised(collateral)).ead[0]


@given(TRADES, TRADES, COLLATERAL, st.booleans())
def test_a_change_of_one_netting_set_gives_the_bits_of_the_whole_anew(
    trades: Sequence[Trade], more: Sequence[Trade], collateral: float, with_margin: bool
) -> None:
    """Added, and taken out again."""
    margins = margined(collateral, 1e5, 10.0) if with_margin else collateralised(collateral)
    other = [Trade(pair("EUR/USD", 5e6, 2.0), 3e5, 1)]
    both = Margins(
        *(np.append(getattr(margins, f.name), getattr(margins, f.name)) for f in dataclasses.fields(Margins))
    )
    first, whole = held([*trades, *other], both), held([*trades, *more, *other], both)
    before, after = changed(first, 0, positions(more), [t.value for t in more], margins)
    for a, b in zip(before.figures, first.exposures().figures, strict=True):
        assert a.tobytes() == b[:1].tobytes()
    for a, b in zip(after.figures, whole.exposures().figures, strict=True):
        assert a.tobytes() == b[:1].tobytes()
    _, back = changed(whole, 0, positions(more, -1.0), [-t.value for t in more], margins)
    assert back.ead[0] == first.exposures().ead[0]


def test_a_new_netting_set_is_nothing_before() -> None:
    first = held([Trade(pair("EUR/USD", 5e6, 2.0), 3e5)])
    more = [Trade(equity("A", 1e6, 2.0), 1e4)]
    before, after = changed(first, None, positions(more), [1e4], Margins.none(1))
    assert before.ead.tolist() == [0.0]
    assert after.ead[0] == exposures(more).ead[0]


@given(TRADES, COLLATERAL, st.booleans())
def test_the_slopes_are_those_of_the_exposure(trades: Sequence[Trade], collateral: float, with_margin: bool) -> None:
    """Euler: slopes times what they are in add up to RC + PFE, and those of a hedging set to its add-on."""
    margins = margined(collateral, 1e6, 10.0) if with_margin else collateralised(collateral)
    book = held(trades, margins)
    of = book.exposures()
    f = of.figures
    over = book.value.value - margins.collateral
    summed = f.to_add_on * f.add_on.sum(axis=1) + f.to_value * over + f.to_least * margins.least
    assert summed[0] == pytest.approx(f.rc[0] + f.pfe[0], rel=1e-9, abs=1e-3)
    notional = book.unscaled.value * 1.5 * np.sqrt(10 / 250) if of.by_margin[0] else book.notional.value
    assert (of.slope * notional).sum() == pytest.approx(of.add_on.sum(), rel=1e-9, abs=1e-3)


@given(st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=20))
def test_parts_add_up_to_the_last_bit_in_any_order(parts: list[float]) -> None:
    measure = np.rint(np.array([sum(parts)]) * 1024) / 1024
    found, lacking = split(np.array(parts), np.array([0, len(parts)]), measure)
    assert found.sum() == found[::-1].sum() == measure[0]
    assert abs(lacking[0]) < 1.0
