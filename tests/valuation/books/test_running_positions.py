"""Net positions kept as orders arrive: always what netting every event from scratch gives, in fractions, with nothing lost or left over.

The netting from scratch is written here from its definition: of each order the row with the highest number, bought less sold.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from lake.landing.orders import DIMENSIONS
from valuation.books.running_positions import Line, RunningPositions, line_of

Row = dict[str, Any]
ORDERS, CONTRACTS = "ABCDE", ("stock", "option")


def row(order: str, sequence: int, event: str = "new", quantity: str = "1", side: str = "buy", **more: Any) -> Row:
    made: Row = {"order_id": order, "sequence": sequence, "event": event, "side": side, "quantity": quantity}
    made |= dict.fromkeys(DIMENSIONS, "x") | {"contract_id": "stock", "attributes": {}} | more
    return made if event != "cancel" else dict.fromkeys(made) | {k: made[k] for k in ("order_id", "sequence", "event")}


def from_scratch(rows: list[Row]) -> dict[Line, Fraction]:
    last: dict[str, Row] = {}
    for one in rows:
        if one["order_id"] not in last or one["sequence"] > last[one["order_id"]]["sequence"]:
            last[one["order_id"]] = one
    sums: dict[Line, Fraction] = {}
    for one in last.values():
        if one["event"] != "cancel":
            units = Fraction(one["quantity"]) if one["side"] == "buy" else -Fraction(one["quantity"])
            sums[line_of(one)] = sums.get(line_of(one), Fraction(0)) + units
    return sums


def test_a_line_goes_through_zero_and_back_to_the_bit() -> None:
    running = RunningPositions()
    assert running.apply(row("A", 1, quantity="0.1"))[0][1:] == (0, Fraction("0.1"))
    running.apply(row("B", 1, quantity="0.2"))
    (moved,) = running.apply(row("C", 1, quantity="0.3", side="sell"))
    assert moved.after == 0  # in doubles it is 5.6e-17
    assert dict(running.open_lines()) == {}
    (moved,) = running.apply(row("C", 2, "correction", quantity="0.7", side="sell"))
    assert (moved.before, moved.after) == (0, Fraction("-0.4"))
    (moved,) = running.apply(row("C", 3, "cancel"))
    assert (moved.before, moved.after) == (Fraction("-0.4"), Fraction("0.3"))


def test_a_correction_to_another_contract_moves_both_lines() -> None:
    running = RunningPositions()
    running.apply(row("A", 1, quantity="5"))
    moved = running.apply(row("A", 2, "correction", quantity="7", contract_id="option"))
    assert {m.line[0]: (m.before, m.after) for m in moved} == {"option": (0, 7), "stock": (5, 0)}
    assert [line[0] for line in running.lines] == ["option"]  # no order is in the stock any more


def test_what_is_known_or_late_moves_nothing() -> None:
    running = RunningPositions()
    running.apply(row("A", 2, "correction", quantity="5"))
    assert running.apply(row("A", 1, quantity="9")) == ()
    assert running.apply(row("A", 2, "correction", quantity="5")) == ()
    assert (running.rows, running.idle, running.orders, running.sequence("A"), running.sequence("B")) == (
        *(3, 2, 1, 2),
        None,
    )
    assert running.apply(row("A", 3, "correction", quantity="5")) == ()  # moves nothing, and counts from here on
    assert running.sequence("A") == 3


def test_orders_add_to_what_was_held_at_the_open() -> None:
    held = {line_of(row("", 1)): Fraction(10), line_of(row("", 1, book="other")): Fraction(3)}
    running = RunningPositions(held)
    running.apply(row("A", 1, quantity="10", side="sell"))
    assert running.lines == {line_of(row("", 1)): 0, line_of(row("", 1, book="other")): 3}
    running.apply(row("A", 2, "cancel"))
    assert running.lines == held


class Arrivals(RuleBasedStateMachine):
    """Events are made in some order and arrive in any, some twice, some never; the process is killed, and goes on from what is stored."""

    @initialize()
    def start(self) -> None:
        self.events: dict[tuple[str, int], Row] = {}
        self.stored: list[Row] = []
        self.running = RunningPositions()

    @rule(
        order=st.sampled_from(ORDERS),
        event=st.sampled_from(("correction", "correction", "cancel")),
        quantity=st.sampled_from(("1", "0.1", "0.3", "1000000000000000.7", "2.5")),
        side=st.sampled_from(("buy", "sell")),
        contract=st.sampled_from(CONTRACTS),
        book=st.sampled_from(("b1", "b2")),
        arrives=st.booleans(),
    )
    def made(self, order: str, event: str, quantity: str, side: str, contract: str, book: str, arrives: bool) -> None:
        sequence = 1 + sum(o == order for o, _ in self.events)
        kind = "new" if sequence == 1 else event
        made = row(order, sequence, kind, quantity, side, contract_id=contract, book=book)
        self.events[order, sequence] = made
        if arrives:
            self.arrive(made)

    @rule(data=st.data())
    def late_or_again(self, data: st.DataObject) -> None:
        if self.events:
            self.arrive(self.events[data.draw(st.sampled_from(sorted(self.events)))])

    @rule(data=st.data())
    def killed(self, data: st.DataObject) -> None:
        self.running = RunningPositions()
        for one in data.draw(st.permutations(self.stored)):
            self.running.apply(one)

    @rule()
    def everything_is_sent_again(self) -> None:
        for one in reversed(self.events.values()):
            self.arrive(one)
        assert self.running.lines == from_scratch(list(self.events.values()))

    def arrive(self, made: Row) -> None:
        before = dict(self.running.lines)
        moved = self.running.apply(made)
        if made not in self.stored:
            self.stored.append(made)
        else:
            assert moved == ()
        changed = {line: (before.get(line, 0), units) for line, units in self.running.lines.items()}
        changed |= {line: (units, Fraction(0)) for line, units in before.items() if line not in self.running.lines}
        assert {m.line: (m.before, m.after) for m in moved} == {k: v for k, v in changed.items() if v[0] != v[1]}

    @invariant()
    def is_the_fold_of_what_arrived(self) -> None:
        assert self.running.lines == from_scratch(self.stored)


@pytest.mark.parametrize(
    ("sequences", "steps"), [(200, 8), pytest.param(5000, 15, marks=[pytest.mark.slow, pytest.mark.timeout(3600)])]
)
def test_every_sequence_of_arrivals_ends_in_the_fold_of_its_events(sequences: int, steps: int) -> None:
    many = settings(
        max_examples=sequences, stateful_step_count=steps, deadline=None, suppress_health_check=list(HealthCheck)
    )
    run_state_machine_as_test(Arrivals, settings=many)
