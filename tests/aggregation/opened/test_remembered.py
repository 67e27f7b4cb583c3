"""What is kept between questions: the same answer, made once, bounded in bytes, and never another question's."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from reduce_lake import DAY, Valued, make_lake, position

from aggregation.opened.inputs import open_inputs
from aggregation.opened.opened_lake import VectorCache
from aggregation.opened.remembered import ANSWER_BYTES, answers
from aggregation.reduce import selection as selection_module
from aggregation.reduce.selection import open_selection, scenario_pnl
from aggregation.risk.query import run_query
from aggregation.types import Filter, RiskQuery
from lake.disk_cache import Kept
from lake.tables import Lake

N = 70


@pytest.fixture(autouse=True)
def nothing_kept() -> Iterator[None]:
    answers.clear()
    yield
    answers.clear()


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    rng = np.random.default_rng(3)
    fx = {"EURUSD": (1.1, 1.1 * np.exp(0.01 * rng.standard_normal(N)))}
    vectors = {f"c{i:02}": ("USD" if i % 3 else "EUR", 10.0 * i, rng.standard_normal(N)) for i in range(30)}
    rows = [
        position(f"t{i:03}", f"c{rng.integers(30):02}", float(rng.integers(-5, 6)), desk=f"d{i % 4}", book=f"b{i % 7}")
        for i in range(200)
    ]
    return make_lake(tmp_path, Valued(vectors, fx=fx), rows)


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The group counts of the passes over the vectors."""
    done: list[int] = []
    group_pnl = selection_module.group_pnl

    def counted(rows: Any, net: Any, *more: Any) -> Any:
        done.append(net.n)
        return group_pnl(rows, net, *more)

    monkeypatch.setattr(selection_module, "group_pnl", counted)
    return done


def ask(**more: Any) -> RiskQuery:
    return RiskQuery(**{"as_of": DAY, "by": ("desk",), **more})


def test_another_measure_or_level_of_the_same_groups_costs_no_pass(lake: Lake, passes: list[int]) -> None:
    cache = VectorCache(lake)
    questions = [ask(), ask(), ask(measures=("es",), levels=("0.95",)), ask(estimator="hf7")]
    got = [run_query(lake, q, cache=cache) for q in questions]
    assert passes == [5]
    for question, answer in zip(questions, got, strict=True):
        answers.clear()
        alone = run_query(lake, question, cache=VectorCache(lake))
        assert alone.rows == answer.rows
        assert alone.total == answer.total
        assert alone.receipt["result_digest"] == answer.receipt["result_digest"]


@pytest.mark.parametrize(
    "other",
    [
        {"by": ("book",)},
        {"by": ("desk", "book")},
        {"currency": "EUR"},
        {"where": (Filter(dimension="book", values=("b1",)),)},
        {"where": (Filter(dimension="book", values=("b1",), exclude=True),)},
    ],
)
def test_another_question_is_another_pass(lake: Lake, passes: list[int], other: dict[str, Any]) -> None:
    cache = VectorCache(lake)
    run_query(lake, ask(), cache=cache)
    after = run_query(lake, ask(**other), cache=cache)
    assert len(passes) == 2
    answers.clear()
    alone = run_query(lake, ask(**other), cache=cache)
    assert alone.rows == after.rows
    assert alone.total == after.total


def test_another_book_of_the_same_date_is_another_pass(lake: Lake) -> None:
    """A hypothetical book has the date and the files of the real one: what is kept goes by what was read."""
    inputs = open_inputs(VectorCache(lake), ask())
    doubled = dataclasses.replace(inputs, book=dataclasses.replace(inputs.book, quantity=2 * inputs.book.quantity))
    (_, one), (_, two) = (scenario_pnl(open_selection(i, ask()), 0, 5) for i in (inputs, doubled))
    assert (two == 2 * one).all()
    assert np.abs(one).max() > 0


def test_what_is_kept_cannot_be_written_into(lake: Lake) -> None:
    base, pnl = scenario_pnl(open_selection(open_inputs(VectorCache(lake), ask()), ask()), 0, 5)
    for array in (base, pnl):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0.0


def test_eight_askers_share_one_pass(lake: Lake, passes: list[int]) -> None:
    cache, together = VectorCache(lake), threading.Barrier(8)

    def one(_: int) -> Any:
        together.wait()
        return run_query(lake, ask(), cache=cache).receipt["result_digest"]

    with ThreadPoolExecutor(8) as threads:
        assert len(set(threads.map(one, range(8)))) == 1
    assert passes == [5]


def test_kept_bytes_are_bounded() -> None:
    most = Kept(100, 1000, lambda made: made.nbytes)
    held = []
    for i in range(50):
        held.append(most.get(i, lambda i=i: np.full(30, i)))
        assert most._bytes == sum(o.nbytes for o in most._objects.values()) <= 1000  # type: ignore[attr-defined]
    assert list(most._objects) == [46, 47, 48, 49]
    assert most.get(49, lambda: None) is held[-1]
    large = most.get("large", lambda: np.zeros(126))
    assert large.nbytes > 1000
    assert list(most._objects) == [46, 47, 48, 49]  # one that cannot be kept drives out nothing
    most.clear()
    assert most._bytes == 0
    assert most.get(49, lambda: held[0]) is held[0]


def test_answers_kept_are_counted_with_all_their_arrays(lake: Lake) -> None:
    query = ask(currency="EUR")
    selection = open_selection(open_inputs(VectorCache(lake), query), query)
    made = scenario_pnl(selection, 0, 5)
    arrays = [selection.keep, selection.groups.group, selection.counts, *made]
    arrays += [selection.rates.base, selection.rates.scenarios]
    # the grouping stands by itself too, and either may go before the other
    arrays += [selection.keep, selection.groups.group]
    expected = sum(a.nbytes for a in arrays) + 2 * selection.groups.keys.nbytes
    assert answers._bytes == expected
    assert answers._bytes <= ANSWER_BYTES == 512 << 20
