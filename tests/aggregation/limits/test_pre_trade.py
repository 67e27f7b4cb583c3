"""Trades not yet done: what they would do to VaR, ES and limits, alone and together, and who is shown what of it."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from small_lake import MATURED, MONDAY, OPTION, SHARE_A, SHARE_B
from test_limits import OPTIONS, TOTALS, bring

from aggregation import questions
from aggregation.book.entitlement import Entitlement
from aggregation.limits.pre_trade import PreTrade
from aggregation.opened.opened_lake import VectorCache
from aggregation.session import Session, reading
from lake.errors import BadInput, Conflict, NotAllowed
from lake.tables import Lake


def trade(terms: dict[str, str], quantity: float, **more: Any) -> dict[str, Any]:
    kind = {"instrument_type": terms["instrument_type"]}
    rest = {k: v for k, v in terms.items() if k != "instrument_type"}
    return {**kind, "terms": rest, "quantity": quantity, "desk": "Options", "book": "book-0", **more}


NEW = {**OPTION, "strike": "95"}  # of a contract that is not valued
BUY = trade(SHARE_A, 300.0, trade="A")
SELL = trade(SHARE_B, -150.0, trade="B", book="book-1")
FRESH = trade(NEW, 20.0, trade="C", desk="Equities")


def asked(lake: Lake, *add: dict[str, Any], entitlement: Entitlement | None = None, **more: Any) -> PreTrade:
    session = Session(lake, VectorCache(lake), entitlement=entitlement)
    given = {"as_of": MONDAY, "add": add, "levels": ["0.9"], **more}
    found: PreTrade = questions.ask(session, "pre-trade", questions.read("pre-trade", given))
    return found


def pnl(lake: Lake, *where: str, add: Any = (), currency: str = "USD") -> Any:
    """P&L by scenario, of the book with the trades as a branch-free what-if nets them: from the exported vectors of both."""
    query = {"as_of": MONDAY, "where": where, "currency": currency}
    rows = questions.ask(reading(lake), "pnl", questions.read("pnl", query)).rows.to_pylist()
    return np.array([r["pnl"] for r in rows])


def what_if(lake: Lake, *add: dict[str, Any], where: tuple[str, ...] = (), **more: Any) -> dict[str, Any]:
    given = {"as_of": MONDAY, "add": add, "where": where, "levels": ["0.9"], **more}
    total: dict[str, Any] = questions.ask(reading(lake), "what-if", questions.read("what-if", given)).total
    return total


def by_node(found: PreTrade) -> dict[tuple[str, str | None], dict[str, Any]]:
    return {(r["kind"], r["node"]): r for r in found.rows.to_pylist()}


def test_every_node_has_the_figures_of_a_what_if_of_it(valued_copy, tmp_path):
    bring(
        valued_copy,
        tmp_path,
        "BOOK,2020-01-01,,book=book-0,var,0.9,,1e9,USD,",
        "FAR,2020-01-01,,desk=Rates,var,0.9,,1,USD,",
    )
    found = asked(valued_copy, BUY, SELL, FRESH)
    rows = by_node(found)
    assert list(rows) == [("desk", "desk=Equities"), ("desk", "desk=Options"), ("limit", "book=book-0"), ("firm", None)]
    for (_, node), row in rows.items():
        where = (node,) if node else ()
        mine = [t for t in (BUY, SELL, FRESH) if not node or f"{node.split('=')[0]}={t[node.split('=')[0]]}" == node]
        total = what_if(valued_copy, *mine, where=where)
        for name in ("var_0.9", "es_0.9"):
            for figure in ("before", "after", "incremental"):
                assert row[f"{name}_{figure}"] == pytest.approx(total[f"{name}_{figure}"], rel=1e-11, abs=1e-9)
        assert row["trades"] == len(mine)
    assert [r["trade"] for r in found.orders.to_pylist()] == ["A", "B", "C"]
    for row, each in zip(found.orders.to_pylist(), (BUY, SELL, FRESH), strict=True):
        alone = what_if(valued_copy, each)
        assert row["var_0.9_incremental"] == pytest.approx(alone["var_0.9_incremental"], rel=1e-11, abs=1e-9)
    assert "FAR" not in found.limits["limit"].to_pylist()


def test_a_share_is_added_by_hand(valued_copy, tmp_path):
    """From exported P&L alone: what one share of AAA loses in each scenario is its position's P&L over its quantity."""
    unit = pnl(valued_copy, "trade=T00000-0") / 1000.0
    before = pnl(valued_copy, "desk=Options")
    (row,) = [r for k, r in by_node(asked(valued_copy, BUY)).items() if k == ("desk", "desk=Options")]
    for when, vector in (("before", before), ("after", before + 300.0 * unit), ("standalone", 300.0 * unit)):
        losses = np.sort(-vector)[::-1]
        assert row[f"var_0.9_{when}"] == pytest.approx(losses[2], rel=1e-11)
        assert row[f"es_0.9_{when}"] == pytest.approx(losses[:3].mean(), rel=1e-11)


def test_the_verdict_is_of_all_trades_together_and_each_order_has_its_own(valued_copy, tmp_path):
    together = by_node(asked(valued_copy, BUY, FRESH))["firm", None]
    alone = {t["trade"]: what_if(valued_copy, t)["var_0.9_after"] for t in (BUY, FRESH)}
    before, after = together["var_0.9_before"], together["var_0.9_after"]
    assert before < min(alone.values()) <= max(alone.values()) < after, "both add to the risk"
    for amount, warning, status, orders in (
        (2 * after, 0.9, "within", ["within", "within"]),
        (2 * after, 0.45, "warning", ["warning" if v > 0.9 * after else "within" for v in alone.values()]),
        ((max(alone.values()) + after) / 2, "", "breach", ["within", "within"]),
        (before / 2, "", "breach", ["breach", "breach"]),
    ):
        bring(valued_copy, tmp_path, f"ALL,2020-01-01,,,var,0.9,,{amount!r},USD,{warning}")
        found = asked(valued_copy, BUY, FRESH)
        assert (found.status, found.orders["status"].to_pylist()) == (status, orders)
        (row,) = [r for r in found.limits.to_pylist() if r["limit"] == "ALL"]
        assert row["used_after"] == pytest.approx(after, rel=1e-12)
        assert row["headroom_after"] == amount - row["used_after"]
        if status == "breach":
            assert row["over"] == row["used_after"] - amount
            assert found.verdict.startswith(f"Breach of ALL by {row['over']:,.0f} USD")
            assert ("before by" in found.verdict) == (row["status_before"] == "breach")


def test_a_limit_is_measured_in_its_own_currency_and_over_its_own_horizon(valued_copy, tmp_path):
    bring(valued_copy, tmp_path, "E,2020-01-01,,desk=Options,es,0.9,4,1e9,EUR,")
    (row,) = [r for r in asked(valued_copy, BUY, FRESH).limits.to_pylist() if r["limit"] == "E"]
    total = what_if(valued_copy, BUY, where=("desk=Options",), currency="EUR", measures=["es"])
    assert row["used_before"] == pytest.approx(2 * total["es_0.9_before"], rel=1e-11)
    assert row["used_after"] == pytest.approx(2 * total["es_0.9_after"], rel=1e-11)


def test_a_node_that_holds_nothing_yet_holds_the_trades(valued_copy, tmp_path):
    bring(valued_copy, tmp_path, "NEW,2020-01-01,,desk=Credit,var,0.9,,1,USD,")
    found = asked(valued_copy, {**BUY, "desk": "Credit"})
    row = by_node(found)["desk", "desk=Credit"]
    assert (row["positions"], row["var_0.9_before"]) == (0, 0.0)
    assert row["var_0.9_after"] == row["var_0.9_standalone"] == row["var_0.9_incremental"] > 1
    assert found.status == "breach"


def test_the_same_bits_in_any_order_and_as_open_orders(valued_copy):
    one, two = asked(valued_copy, BUY, SELL, FRESH), asked(valued_copy, FRESH, SELL, BUY)
    assert one.rows.equals(two.rows)
    assert one.limits.equals(two.limits)
    order = {"order_id": "B", "side": "sell", "symbol": "EQ:BBB", "currency": "EUR", "quantity": 150, "event": "new"}
    again = asked(valued_copy, BUY, {**order, "desk": "Options", "book": "book-1", "price": 9.5}, FRESH)
    assert again.rows.equals(one.rows)


def test_a_trade_without_a_value_leaves_the_verdict_open(valued_copy, tmp_path):
    found = asked(valued_copy, BUY, trade(MATURED, 5.0, trade="M"))
    assert found.status == "not known"
    assert found.verdict == "Not known: 1 of 2 trades has no value."
    assert [f["trade"] for f in found.failures] == ["M"]
    assert found.orders["status"].to_pylist() == ["within", "not computed"]
    assert found.orders["var_0.9_incremental"].to_pylist()[1] is None
    rest = by_node(asked(valued_copy, BUY))["firm", None]
    assert by_node(found)["firm", None]["var_0.9_after"] == rest["var_0.9_after"]


def test_a_trader_sees_its_desk_and_the_firm_with_firm_totals(valued_copy, tmp_path):
    bring(valued_copy, tmp_path, "DESK,2020-01-01,,desk=Options,var,0.9,,1,USD,", "FIRM,2020-01-01,,,var,0.9,,1,USD,")
    whole, own, totals = (asked(valued_copy, BUY, entitlement=e) for e in (None, OPTIONS, TOTALS))
    assert [*by_node(own)] == [("desk", "desk=Options"), ("granted", None)]
    assert [*by_node(totals)] == [("desk", "desk=Options"), ("granted", None), ("firm", None)]
    for found in (own, totals):
        assert by_node(found)["desk", "desk=Options"] == by_node(whole)["desk", "desk=Options"]
        assert (
            by_node(found)["granted", None]["var_0.9_after"] == by_node(whole)["desk", "desk=Options"]["var_0.9_after"]
        )
    firm = {**by_node(whole)["firm", None], "reason": "1 of 5 positions is not in the figure."}  # not which
    assert by_node(totals)["firm", None] == firm
    assert "FIRM" not in own.limits["limit"].to_pylist()
    figures = [{**r, "reason": ""} for f in (totals, whole) for r in f.limits.to_pylist() if r["limit"] == "FIRM"]
    assert figures[0] == figures[1]
    assert any("firm totals, and are not shown" in n for n in own.notes)
    assert json.dumps(own.receipt).find("T00000-0") < 0


def test_what_cannot_be_tried_is_told(valued_copy):
    with pytest.raises(NotAllowed, match="names no desk, book or legal entity that you are granted"):
        asked(valued_copy, FRESH, entitlement=OPTIONS)
    with pytest.raises(Conflict, match="T00000-0"):
        asked(valued_copy, {**BUY, "trade": "T00000-0"})
    for wrong, told in (
        ({"side": "short", "quantity": 1}, "expected buy or sell"),
        ({"side": "sell", "quantity": -1}, "a positive quantity"),
        ({"event": "cancel"}, "not open"),
        ({"symbol": "EQ:AAA", "instrument_type": "equity_option"}, "names a share"),
    ):
        with pytest.raises(BadInput, match=told) as error:
            asked(valued_copy, {**BUY, **wrong})
        assert error.value.issues[0].pointer.startswith("add/0/")
