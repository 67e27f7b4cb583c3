"""Collateral on paths, each rule on an example computed by hand."""

import datetime as dt

import numpy as np
from exposure_paths import TODAY, agreement, along, book, netting, paths_of

from aggregation.exposure.collateral import margin_period
from aggregation.exposure.netting_sets import Balance

DAYS = [TODAY + dt.timedelta(days=d) for d in (7, 14, 21, 28)]
# two paths: one that rises, one that falls
VALUES = np.array([[4.0, -4.0], [10.0, -10.0], [12.0, -12.0], [30.0, -30.0]])


def exposed(under, lag=0, balances=(), values=VALUES, **told):
    """Exposure of us and of them at every date of one trade under an agreement, and what is held: (n_dates, 2 paths) each."""
    values = np.asarray(values)
    of = {k: told.pop(k) for k in ("cash", "spots", "currencies", "base") if k in told}
    paths = paths_of({"c": values}, DAYS[: len(values)], **of)
    held = book([{"trade": "T", "contract": "c", "quantity": 1.0}])
    sets = netting(held, {"T": under.agreement}, [under], balances)
    lags = [lag if under.margined else None]
    found = [e for (part,) in [along(paths, held, sets, lags, **told).parts()] for e in part.dates()]
    return [np.array([getattr(e, name)[0] for e in found]).tolist() for name in ("positive", "negative", "held")]


def test_without_threshold_and_margin_period_nothing_is_left():
    positive, negative, held = exposed(agreement())
    assert positive == negative == [[0.0, 0.0]] * 4
    assert held == VALUES.tolist()


def test_a_threshold_is_left_uncollateralised_on_either_side():
    positive, negative, held = exposed(agreement(threshold=5.0, threshold_own=8.0))
    assert positive == [[4.0, 0.0], [5.0, 0.0], [5.0, 0.0], [5.0, 0.0]]
    assert negative == [[0.0, 4.0], [0.0, 8.0], [0.0, 8.0], [0.0, 8.0]]
    assert held == [[0.0, 0.0], [5.0, -2.0], [7.0, -4.0], [25.0, -22.0]]


def test_what_is_less_than_the_minimum_transfer_does_not_move():
    _, _, held = exposed(agreement(minimum_transfer_amount=5.0))
    # 4 is too little, 10 moves, the next 2 do not, the next 20 do; exactly the amount moves too
    assert held == [[0.0, 0.0], [10.0, -10.0], [10.0, -10.0], [30.0, -30.0]]
    _, _, exact = exposed(agreement(minimum_transfer_amount=4.0))
    assert exact[0] == [4.0, -4.0]


def test_under_a_one_way_agreement_the_counterparty_alone_posts():
    positive, negative, held = exposed(agreement(two_way=False))
    assert held == [[4.0, 0.0], [10.0, 0.0], [12.0, 0.0], [30.0, 0.0]]
    assert negative == [[0.0, 4.0], [0.0, 10.0], [0.0, 12.0], [0.0, 30.0]]
    assert positive == [[0.0, 0.0]] * 4


def test_a_margin_period_leaves_what_the_value_moves_within_it():
    """Five business days: the collateral of a date was called a week before."""
    positive, negative, _ = exposed(agreement(), lag=5)
    assert positive == [[4.0, 0.0], [6.0, 0.0], [2.0, 0.0], [18.0, 0.0]]
    assert negative == [[0.0, 4.0], [0.0, 6.0], [0.0, 2.0], [0.0, 18.0]]
    # seven days back there is no date: the last one before counts, which is two weeks away
    later, _, _ = exposed(agreement(), lag=7)
    assert later == [[4.0, 0.0], [10.0, 0.0], [8.0, 0.0], [20.0, 0.0]]


def test_a_value_that_falls_back_leaves_what_was_posted():
    """What we posted on a loss is not back when the value has recovered: exposure although the trade is worth nothing."""
    positive, negative, _ = exposed(agreement(), lag=5, values=[[-6.0, 6.0], [0.0, 0.0]])
    assert positive == [[0.0, 6.0], [6.0, 0.0]]
    assert negative == [[6.0, 0.0], [0.0, 6.0]]


def test_todays_balance_stands_until_a_call_is_older_than_the_margin_period():
    positive, _, held = exposed(agreement(), lag=10, balances=[Balance(0, "variation", 3.0, "USD", False)])
    assert held == [[3.0, 3.0], [3.0, 3.0], [4.0, -4.0], [10.0, -10.0]]
    assert positive[0] == [1.0, 0.0]


def test_independent_amount_and_initial_margin_reduce_what_is_left():
    positive, negative, _ = exposed(agreement(margined=False, independent_amount=3.0))
    assert positive == [[1.0, 0.0], [7.0, 0.0], [9.0, 0.0], [27.0, 0.0]]
    # we hold it and it is not kept apart: they lose it with us
    assert negative == [[0.0, 7.0], [0.0, 13.0], [0.0, 15.0], [0.0, 33.0]]
    unmargined = agreement(margined=False)
    positive, negative, _ = exposed(unmargined, balances=[Balance(0, "initial", 3.0, "USD", True)])
    assert positive[0] == [1.0, 0.0]
    assert negative[0] == [0.0, 4.0]  # kept apart, it comes back to them
    positive, negative, _ = exposed(unmargined, balances=[Balance(0, "initial", -3.0, "USD", True)])
    assert (positive[0], negative[0]) == ([4.0, 0.0], [0.0, 1.0])  # ours is kept apart, and protects them
    positive, negative, _ = exposed(unmargined, balances=[Balance(0, "initial", -3.0, "USD", False)])
    assert (positive[0], negative[0]) == ([7.0, 0.0], [0.0, 1.0])


def test_the_currency_of_the_agreement_moves_with_the_path():
    """Called at a rate of 2 dollars, held at one of 1: half of what was called is there; of the threshold of 1 euro, the rate then."""
    spots = {"EUR": np.array([[2.0, 2.0], [1.0, 4.0]])}
    under = agreement(currency="EUR")
    values = [[10.0, 10.0], [10.0, 10.0]]
    positive, negative, held = exposed(under, lag=5, values=values, spots=spots)
    assert held == [[0.0, 0.0], [5.0, 20.0]]
    assert positive[1] == [5.0, 0.0]
    assert negative[1] == [0.0, 10.0]
    _, _, held = exposed(agreement(currency="EUR", threshold=1.0), values=values, spots=spots)
    assert held == [[8.0, 8.0], [9.0, 6.0]]


def test_a_balance_in_another_currency_counts_at_its_price_and_stays():
    """3 euros are held of a dollar agreement: the call asks for what they lack at their price of the day."""
    spots = {"EUR": np.array([[2.0, 2.0], [1.0, 4.0]])}
    values = [[10.0, 10.0], [10.0, 10.0]]
    held_euros = [Balance(0, "variation", 3.0, "EUR", False)]
    _, _, held = exposed(agreement(), values=values, spots=spots, balances=held_euros)
    assert held == [[10.0, 10.0], [10.0, 10.0]]
    _, _, lagged = exposed(agreement(), lag=5, values=values, spots=spots, balances=held_euros)
    # 6 of the 10 were there in euros and 4 came in dollars; then the euros are worth 3 and 12
    assert lagged == [[6.0, 6.0], [7.0, 16.0]]


def test_cash_flows_within_the_margin_period():
    """The trade pays us 8 in the second week, so its value falls from 10 to 2; the collateral still is that of the first week."""
    values = [[10.0, 10.0], [2.0, 2.0]]
    cash = {"c": np.array([[0.0, 0.0], [8.0, -8.0]])}

    def left(flows):
        positive, negative, _ = exposed(agreement(), lag=5, values=values, cash=cash, flows=flows)
        return positive[1], negative[1]

    assert left("paid") == ([0.0, 0.0], [8.0, 8.0])
    # unpaid on either side: what was to come is still owed, and what we were to pay we still owe
    assert left("unpaid") == ([0.0, 0.0], [0.0, 16.0])
    # whoever defaults has not paid, the other has
    assert left("own") == ([0.0, 0.0], [8.0, 16.0])


def test_a_date_of_calls_alone_is_not_reported():
    reported = np.array([False, True, False, True])
    positive, _, _ = exposed(agreement(), lag=5, reported=reported)
    assert positive == [[6.0, 0.0], [18.0, 0.0]]


def test_the_margin_period_counts_the_days_between_calls_and_disputes():
    assert margin_period(agreement()) == 10
    assert margin_period(agreement(margin_frequency_days=5)) == 14
    assert margin_period(agreement(disputed=True, margin_frequency_days=5)) == 24
