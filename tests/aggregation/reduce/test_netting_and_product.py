"""The fast sparse product against slow, obvious loops: the same bits."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aggregation.book.book import Book, PositionColumn
from aggregation.book.filters import select
from aggregation.dimensions import DIMENSIONS, groupable
from aggregation.opened.alignment import align
from aggregation.opened.vectors import LEAST_WIDTH, Vectors
from aggregation.reduce import grouping, in_numpy, netting, selection
from aggregation.reduce.currency import Conversion, unconverted
from aggregation.reduce.grouping import coverage, group_by
from aggregation.reduce.netting import net, net_quantities
from aggregation.reduce.product import group_base, group_pnl
from aggregation.types import Filter
from lake.errors import BadInput
from lake.schemas import DIMENSION_COLUMNS

DAY = dt.date(2020, 3, 16)


def make_book(contract: Any, quantity: Any, **columns: Any) -> Book:
    """A book of positions given in trade order; columns are lists of texts or None."""
    contract = np.asarray(contract)
    order = np.argsort(contract, kind="stable")
    held = np.unique(contract)
    encoded = {}
    for name, values in columns.items():
        members: list[str | None] = [*sorted({v for v in values if v is not None}), *([None] if None in values else [])]
        codes = np.array([members.index(v) for v in values], dtype=np.int32)
        encoded[name] = PositionColumn(codes[order], pa.array(members, pa.string()))
    return Book(
        positions_date=DAY,
        files=(),
        contract_ids=pa.array([f"c{c:06}" for c in held]),
        starts=np.searchsorted(contract[order], [*held, held[-1] + 1]).astype(np.int64),
        quantity=np.asarray(quantity, dtype=np.float64)[order],
        columns=encoded,
    )


def make_vectors(pnl: Any, currency: Any, *, unmoved: Any = (), failed: Any = (), missing: Any = ()) -> Vectors:
    """Vectors of contracts 0 to n - 1, except the failed and the missing."""
    n, scenarios = pnl.shape
    rows = np.zeros((n, max(LEAST_WIDTH, -(-scenarios // 8) * 8)))
    rows[:, :scenarios] = pnl
    rows[list(unmoved)] = 0.0
    there = np.array([i for i in range(n) if i not in failed and i not in missing])
    return Vectors(
        n_scenarios=scenarios,
        contract_ids=pa.array([f"c{c:06}" for c in there]),
        currencies=("EUR", "JPY", "USD"),
        currency=np.asarray(currency, dtype=np.int32)[there],
        base=np.linspace(-50, 150, n)[there],
        unmoved=np.isin(there, list(unmoved)),
        matrix=rows[there],
        failures=pa.record_batch({"contract_id": pa.array([f"c{c:06}" for c in failed], pa.string())}),
    )


def slowly(book: Book, groups: Any, vectors: Vectors, rates: Conversion) -> tuple[Any, Any]:
    """Base and P&L of every group and of the total: one number at a time, in the promised order."""
    ids = {c: i for i, c in enumerate(vectors.contract_ids.to_pylist())}
    n, scenarios = groups.n + 1, vectors.n_scenarios
    base, pnl = np.zeros(n), np.zeros((n, scenarios))
    for g in range(n):
        for b in range(len(vectors.currencies)):
            local_base, local = 0.0, np.zeros(scenarios)
            for c, contract in enumerate(book.contract_ids.to_pylist()):
                row = ids.get(contract)
                if row is None or vectors.currency[row] != b:
                    continue
                quantity = 0.0
                for p in range(book.starts[c], book.starts[c + 1]):
                    if groups.group[p] >= 0 and g in (groups.group[p], groups.n):
                        quantity += book.quantity[p]
                local_base += quantity * vectors.base[row]
                local += quantity * vectors.pnl[row]
            base[g] += local_base * rates.base[b]
            pnl[g] += local_base * (rates.scenarios[b] - rates.base[b]) + local * rates.scenarios[b]
    return base, pnl


@contextmanager
def kernels_worth_loading(worth: bool) -> Iterator[None]:
    """As in a process that has loaded kernels, or that need not."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (grouping, selection):
            patch.setattr(module, "is_worth_loading", lambda _: worth)
        yield


def some_rates(scenarios: int) -> Conversion:
    rng = np.random.default_rng(7)
    base = np.array([1.1, 0.009, 1.0])
    return Conversion(base, base[:, None] * np.exp(0.01 * rng.standard_normal((3, scenarios))), {})


@pytest.mark.parametrize("scenarios", [1, 8, 63, 64, 65, 127, 128, 129, 200, 333])
@pytest.mark.parametrize("desks", [1, 7, 60])
def test_same_bits_as_slow_loops(scenarios: int, desks: int) -> None:
    rng = np.random.default_rng(scenarios * 100 + desks)
    contracts, positions = 30, 400
    contract = rng.integers(0, contracts, positions)
    quantity = rng.standard_normal(positions) * 10.0 ** rng.integers(-5, 6, positions)
    quantity[200:230], contract[200:230] = -quantity[100:130], contract[100:130]  # some net to zero
    desk = [f"d{rng.integers(desks):02}" for _ in range(positions)]
    book = make_book(contract, quantity, desk=desk)
    vectors = make_vectors(
        rng.standard_normal((contracts, scenarios)) * 10.0 ** rng.integers(-8, 8, (contracts, 1)),
        rng.integers(0, 3, contracts),
        unmoved=(3, 4),
        failed=(10,),
        missing=(11, 12),
    )
    groups = group_by(book, ["desk"], select(book, []))
    alignment, rates = align(book, vectors), some_rates(scenarios)
    base, pnl = slowly(book, groups, vectors, rates)
    whole = net(book, groups, alignment, vectors, 0, groups.n + 1)
    assert (group_base(whole, rates) == base).all()
    plain_base, plain_pnl = in_numpy.group_values(book, groups, alignment, vectors, rates, 0, groups.n + 1)
    assert (plain_base == base).all()
    assert (plain_pnl == pnl).all()
    for threads in (1, 2, 3):
        assert (group_pnl(vectors.rows, whole, rates, threads) == pnl).all()
    for first in range(groups.n + 1):
        part = net(book, groups, alignment, vectors, first, 1)
        assert group_base(part, rates) == base[first]
        assert (group_pnl(vectors.rows, part, rates) == pnl[first]).all()
        plain_base, plain_pnl = in_numpy.group_values(book, groups, alignment, vectors, rates, first, 1)
        assert plain_base == base[first]
        assert (plain_pnl == pnl[first]).all()
    for worth in (True, False):
        with kernels_worth_loading(worth):
            counts = coverage(book, groups, alignment)
        assert counts.sum(axis=0).tolist() == [
            int((~np.isin(contract, (10, 11, 12))).sum()),
            int((contract == 10).sum()),
            int(np.isin(contract, (11, 12)).sum()),
        ]
        assert counts.sum(axis=1).tolist() == [desk.count(k) for k in groups.keys["desk"].to_pylist()]


@pytest.mark.parametrize("desks", [2, 20, 100])
def test_few_positions_of_a_book_are_netted_to_the_bits_of_the_whole_way(
    desks: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(desks)
    contracts, positions, scenarios = 40, 600, 70
    quantity = rng.standard_normal(positions) * 10.0 ** rng.integers(-5, 6, positions)
    quantity[5::7] = -quantity[4::7][: len(quantity[5::7])]  # some net to zero
    desk, book_name = ([f"{k}{rng.integers(n):03}" for _ in range(positions)] for k, n in (("d", desks), ("b", 3)))
    book = make_book(np.arange(positions) % contracts, quantity, desk=desk, book=book_name)
    vectors = make_vectors(
        rng.standard_normal((contracts, scenarios)),
        rng.integers(0, 3, contracts),
        unmoved=(3,),
        failed=(10,),
        missing=(11,),
    )
    alignment, rates = align(book, vectors), some_rates(scenarios)
    for name in sorted(set(desk))[:5]:
        groups = group_by(book, ["book"], select(book, [Filter.parse(f"desk={name}")]))
        base, pnl = slowly(book, groups, vectors, rates)
        nets = []
        for most in (1, positions + 1):  # always, and never
            monkeypatch.setattr(netting, "_FEW", most)
            made = net(book, groups, alignment, vectors, 0, groups.n + 1)
            assert (group_base(made, rates) == base).all()
            assert (group_pnl(vectors.rows, made, rates) == pnl).all()
            nets.append(made)
        assert len(nets[0].contract) <= len(nets[1].contract)
        assert nets[0].quantity.tobytes() == nets[1].quantity.tobytes()


def test_the_net_matrix_holds_no_zero_and_no_unmoved_contract() -> None:
    book = make_book([0, 0, 1, 2], [5.0, -5.0, 2.0, 3.0], desk=["a", "a", "a", "b"])
    vectors = make_vectors(np.ones((3, 4)), [2, 2, 2], unmoved=(1,))
    groups = group_by(book, ["desk"], select(book, []))
    sparse = net(book, groups, align(book, vectors), vectors, 0, 3)
    assert sparse.quantity.tolist() == [3.0, 3.0]
    assert sparse.group[sparse.slot].tolist() == [1, 2]
    assert group_base(sparse, unconverted(3, 4)).tolist() == [100.0, 450.0, 550.0]


def test_a_sum_in_trade_order_is_not_any_sum() -> None:
    """1e16 + 1 - 1e16 is 0 in this order and 1 in another: the order is the trades', not the file's."""
    vectors = make_vectors(np.ones((1, 2)), [2])
    for quantity, expected in (([1e16, 1.0, -1e16], 0.0), ([1e16, -1e16, 1.0], 1.0)):
        book = make_book([0, 0, 0], quantity, desk=["a"] * 3)
        groups = group_by(book, ["desk"], select(book, []))
        pnl = group_pnl(vectors.rows, net(book, groups, align(book, vectors), vectors, 0, 2), unconverted(3, 2))
        assert pnl.tolist() == [[expected] * 2] * 2


def test_what_is_valued_without_vectors_is_netted_alike() -> None:
    """In trade order, by contract and group; what cancels is still held, and what is left out is not."""
    rng = np.random.default_rng(5)
    contract, group = rng.integers(0, 9, 500), rng.integers(-1, 4, 500)
    quantity = rng.standard_normal(500) * 10.0 ** rng.integers(-5, 6, 500)
    contract[:2], group[:2], quantity[:2] = 100, 3, [7.0, -7.0]
    contract[2], group[2] = 101, -1
    book = make_book(contract, quantity)
    expected: dict[tuple[int, int], float] = {}
    for c, g, q in zip(contract.tolist(), group.tolist(), quantity.tolist(), strict=True):
        if g >= 0:
            expected[c, g] = expected.get((c, g), 0.0) + q
    starts, slot, net_of = net_quantities(book, group[np.argsort(contract, kind="stable")].astype(np.int32), 4)
    names = np.unique(contract)[np.repeat(np.arange(len(book.contract_ids)), np.diff(starts))]
    assert dict(zip(zip(names.tolist(), slot.tolist(), strict=True), net_of.tolist(), strict=True)) == expected
    assert expected[100, 3] == 0.0
    assert starts[-1] == starts[-2] == len(expected)


@pytest.mark.parametrize("worth", [True, False])
def test_the_currencies_used_are_those_of_positions_kept_and_covered(worth: bool) -> None:
    book = make_book([0, 0, 1, 2, 3, 4], [1.0] * 6)
    vectors = make_vectors(np.ones((5, 4)), [0, 1, 2, 1, 2], failed=(3,), missing=(4,))
    with kernels_worth_loading(worth):
        for keep, used in (([0, 1, 0, 1, 1, 1], "EUR USD"), ([1, 1, 1, 0, 1, 1], "EUR JPY"), ([0, 0, 0, 0, 1, 1], "")):
            found = selection.currencies_used(book, np.array(keep, dtype=bool), align(book, vectors), vectors)
            assert found == used.split()


@settings(max_examples=60)
@given(st.data())
def test_groups_are_the_distinct_members_in_order(data: st.DataObject) -> None:
    n = data.draw(st.integers(1, 30))
    texts = st.sampled_from(["a", "b", "ab", "", "Z", "é", None])
    columns = {name: data.draw(st.lists(texts, min_size=n, max_size=n)) for name in ("desk", "book", "client")}
    book = make_book(list(range(n)), [1.0] * n, **columns)
    by = data.draw(st.lists(st.sampled_from(sorted(columns)), unique=True))
    chosen = data.draw(st.sampled_from([v for v in columns["desk"] if v is not None] or ["-"]))
    exclude = data.draw(st.booleans())
    try:
        keep = select(book, [Filter(dimension="desk", values=(chosen,), exclude=exclude)])
    except BadInput:
        assert not any((v == chosen) != exclude for v in columns["desk"]) or chosen not in columns["desk"]
        return
    assert keep.tolist() == [(v == chosen) != exclude for v in columns["desk"]]
    with kernels_worth_loading(data.draw(st.booleans())):
        groups = group_by(book, by, keep)
    keys = [tuple(columns[b][i] for b in by) for i in range(n)]
    expected = sorted(
        {k for k, kept in zip(keys, keep, strict=True) if kept}, key=lambda k: [(v is None, v or "") for v in k]
    )
    assert groups.n == len(expected)
    if by:
        assert list(zip(*(groups.keys[b].to_pylist() for b in by), strict=True)) == expected
    assert groups.group.tolist() == [expected.index(k) if kept else -1 for k, kept in zip(keys, keep, strict=True)]


def test_very_many_combinations_are_grouped_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    """Above a size, group codes are sorted instead of counted in a table: the groups are the same."""
    rng = np.random.default_rng(0)
    columns = {d: [f"{rng.integers(20):02}" for _ in range(300)] for d in ("desk", "book", "client", "account")}
    book = make_book(list(range(300)), [1.0] * 300, **columns)
    keep = rng.random(300) < 0.7
    small = group_by(book, list(columns), keep)
    monkeypatch.setattr("aggregation.reduce.grouping._DENSE", 50)
    large = group_by(book, list(columns), keep)
    assert (small.group == large.group).all()
    assert small.keys == large.keys


def test_the_dimensions_are_the_columns_of_positions() -> None:
    assert tuple(d.column for d in DIMENSIONS.values()) == DIMENSION_COLUMNS
    assert all(name == d.name and d.meaning for name, d in DIMENSIONS.items())
    assert groupable(["b", "a"]) == (*DIMENSION_COLUMNS, "instrument_type", "currency", "attribute.a", "attribute.b")
