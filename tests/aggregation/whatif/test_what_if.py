"""What-if against an obvious loop over positions, against the changed book put into a lake, and by its invariants."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from reduce_lake import DAY, Valued, make_lake, position
from support import in_tail

from aggregation.book.changes import ADDED, Changes, Removal, Scaling, _Merged, changed_book, find
from aggregation.opened.inputs import open_inputs
from aggregation.opened.opened_lake import VectorCache
from aggregation.risk.query import run_query
from aggregation.risk.sampling_error import resamples_of
from aggregation.types import Filter, RiskQuery
from aggregation.whatif import what_if as what_if_module
from aggregation.whatif.what_if import WhatIf, what_if
from lake.committer import Committer
from lake.errors import BadInput, Conflict
from lake.schemas import CONTRACTS, HIERARCHIES
from lake.tables import Lake
from valuation.types import PnLBlock, ValuationFailure

N, CONTRACTS_HELD, POSITIONS = 200, 40, 600
MEASURES = {"measures": ("var", "es", "mean", "volatility"), "levels": ("0.95", "0.975")}


def vectors() -> dict[str, tuple[str, float, Any]]:
    rng = np.random.default_rng(5)
    return {
        f"c{i:02}": (("USD", "EUR", "JPY")[i % 3], float(10 + i), rng.standard_normal(N) * (1 + i % 7))
        for i in range(CONTRACTS_HELD)
    }


VECTORS = vectors()
FX = {
    "EURUSD": (1.1, 1.1 * np.exp(0.01 * np.random.default_rng(6).standard_normal(N))),
    "USDJPY": (107.0, 107.0 * np.exp(0.01 * np.random.default_rng(7).standard_normal(N))),
}


def book() -> list[dict[str, Any]]:
    rng = np.random.default_rng(8)
    rows = []
    for i in range(POSITIONS):
        contract = f"c{rng.integers(CONTRACTS_HELD):02}" if i % 97 else ("f0", "gone")[i // 97 % 2]
        attributes = {"rating": "ABC"[i % 3]} if i % 5 else {}
        dimensions = {"desk": f"d{rng.integers(6)}", "book": f"b{rng.integers(25):02}", "attributes": attributes}
        rows.append(position(f"t{i:04}", contract, float(rng.integers(-50, 50)), **dimensions))
    return rows


BOOK = book()


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    valued = Valued(VECTORS, failed={"f0": "matured"}, fx=FX)
    return make_lake(tmp_path_factory.mktemp("whatif"), valued, BOOK)


def fx_of(currency: str) -> tuple[float, Any]:
    if currency == "EUR":
        return FX["EURUSD"]
    if currency == "JPY":
        return 1 / FX["USDJPY"][0], 1 / FX["USDJPY"][1]
    return 1.0, np.ones(N)


def pnl_of(rows: Sequence[Mapping[str, Any]], vectors: Mapping[str, Any] = VECTORS) -> Any:
    """The obvious loop: each position by itself, in dollars."""
    total = np.zeros(N)
    for r in rows:
        if r["contract_id"] in vectors:
            currency, base, pnl = vectors[r["contract_id"]]
            fx0, fx = fx_of(currency)
            total += r["quantity"] * ((base + pnl) * fx - base * fx0)
    return total


def es_of(pnl: Any, level: float) -> float:
    losses = np.sort(-pnl)[::-1]
    k = in_tail(len(pnl), level)
    whole = math.floor(k)
    return float((losses[:whole].sum() + float(k - whole) * losses[min(whole, len(losses) - 1)]) / float(k))


def var_of(pnl: Any, level: float) -> float:
    return float(np.sort(-pnl)[::-1][math.ceil(in_tail(len(pnl), level)) - 1])


def changes(
    add: Sequence[Mapping[str, Any]] = (),
    remove: Sequence[str] = (),
    scale: Sequence[tuple[str, float]] = (),
    **more: Any,
) -> Changes:
    added = [{k: v for k, v in r.items() if k != "positions_date"} for r in add]
    contracts = [
        {"contract_id": c, "instrument_type": "cash_equity", "currency": "USD", "terms": "{}"}
        for c in sorted({r["contract_id"] for r in added})
    ]

    def filters(text: str) -> tuple[Filter, ...]:
        return tuple(Filter.parse(t) for t in text.split(";")) if text else ()

    return Changes(
        tuple(Removal(where=filters(r)) for r in remove),
        tuple(Scaling(where=filters(w), factor=f) for w, f in scale),
        pa.Table.from_pylist(added, schema=ADDED),
        pa.Table.from_pylist(contracts, schema=CONTRACTS.schema.remove_metadata()),
        **more,
    )


def ask(lake: Lake, change: Changes, valued: PnLBlock | None = None, **question: Any) -> WhatIf:
    query = RiskQuery(as_of=DAY, **{**MEASURES, **question})
    return what_if(open_inputs(VectorCache(lake), query), query, change, valued)


NEW = [
    position("n1", "c05", 300.0, desk="d1", book="b03"),
    position("n2", "c17", -120.0, desk="new desk", book="b03", attributes={"rating": "D", "source": "idea"}),
    position("n3", "c00", 55.0, desk=None, book="b00"),
]
SMALL = {
    "add": NEW,
    "remove": ["trade=t0003,t0010", "desk=d2;book=b01"],
    "scale": [("book=b07", 0.5), ("trade=t0400", -1.0)],
}
LARGE = {"add": NEW, "remove": ["desk=d2"], "scale": [("desk=d1,d3", 1.5), ("book=b07", 0.5)]}


def changed_rows(name: str) -> list[dict[str, Any]]:
    """The book after SMALL or LARGE, row by row."""
    rows = []
    for r in BOOK:
        q, desk, of_book, trade = r["quantity"], r["desk"], r["book"], r["trade"]
        if name == "small":
            if trade in ("t0003", "t0010") or (desk == "d2" and of_book == "b01"):
                continue
            q = q * (0.5 if of_book == "b07" else 1.0) * (-1.0 if trade == "t0400" else 1.0)
        else:
            if desk == "d2":
                continue
            q = q * (1.5 if desk in ("d1", "d3") else 1.0) * (0.5 if of_book == "b07" else 1.0)
        rows.append({**r, "quantity": q})
    return [*rows, *NEW]


CASES = {"small": (SMALL, "added to what is kept"), "large": (LARGE, "netted anew")}
GROSS = sum(np.abs(pnl_of([r])) for r in BOOK).max()


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("by", [(), ("desk",), ("book", "desk"), ("attribute.rating",), ("trade",)])
def test_before_and_after_are_those_of_an_obvious_loop(lake: Lake, name: str, by: tuple[str, ...]) -> None:
    change, computed = CASES[name]
    result = ask(lake, changes(**change), by=by)
    assert result.receipt["computed"] == computed

    def key(r: Mapping[str, Any]) -> tuple[Any, ...]:
        attributes = dict(r["attributes"])
        return tuple(attributes.get(b.removeprefix("attribute.")) if "." in b else r[b] for b in by)

    after_rows = changed_rows(name)
    groups = {tuple(r[b] for b in by): r for r in result.rows.to_pylist()} | {None: dict(result.total)}
    for group, row in groups.items():
        for when, rows in (("before", BOOK), ("after", after_rows)):
            held = [r for r in rows if group is None or not by or key(r) == group]
            assert row[f"positions_{when}"] == len(held)
            covered = [r for r in held if r["contract_id"] in VECTORS]
            if not covered:
                assert row[f"es_0.95_{when}"] is None
                assert row[f"status_{when}"] == ("invalid" if held else None)
                continue
            pnl = pnl_of(held)
            for level in (0.95, 0.975):
                assert row[f"var_{level}_{when}"] == pytest.approx(var_of(pnl, level), abs=1e-12 * GROSS)
                assert row[f"es_{level}_{when}"] == pytest.approx(es_of(pnl, level), abs=1e-12 * GROSS)
            assert row[f"mean_{when}"] == pytest.approx(pnl.mean(), abs=1e-12 * GROSS)
        assert row["change"] == (
            "both"
            if row["positions_before"] and row["positions_after"]
            else "new"
            if row["positions_after"]
            else "gone"
        )
    touched = {key(r) for r in NEW} if by else set()
    was, now = ({(r["trade"], r["quantity"]): key(r) for r in rows} for rows in (BOOK, after_rows))
    touched |= {was.get(k, now.get(k)) for k in was.keys() ^ now.keys()}
    if by:
        missed = {k for k in touched if k not in groups}
        assert not missed, "a group whose positions changed has a row"


@pytest.mark.parametrize("name", CASES)
def test_the_same_as_the_changed_book_in_a_lake(lake: Lake, name: str, tmp_path: Path) -> None:
    other = make_lake(tmp_path, Valued(VECTORS, failed={"f0": "matured"}, fx=FX), changed_rows(name))
    query = RiskQuery(as_of=DAY, by=("desk",), where=(Filter.parse("book!=b03"),), currency="EUR", **MEASURES)
    there = {r["desk"]: r for r in run_query(other, query).rows.to_pylist()}
    result = ask(lake, changes(**CASES[name][0]), by=query.by, where=query.where, currency="EUR")
    assert any("do not pass the filters" in n for n in result.notes)
    for row in result.rows.to_pylist():
        if row["desk"] in there:
            for figure in ("var_0.95", "es_0.975", "volatility", "base_value"):
                assert row[f"{figure}_after"] == pytest.approx(there[row["desk"]][figure], abs=1e-11 * GROSS)
        else:
            assert row["positions_after"] == 0


@pytest.mark.parametrize("name", CASES)
def test_a_derived_book_answers_with_the_bits_of_the_same_book_in_a_lake(lake: Lake, name: str, tmp_path: Path) -> None:
    other = make_lake(tmp_path, Valued(VECTORS, failed={"f0": "matured"}, fx=FX), changed_rows(name))
    query = RiskQuery(as_of=DAY, by=("desk", "attribute.rating"), **MEASURES)
    inputs, stored = (open_inputs(VectorCache(one), query) for one in (lake, other))
    derived = changed_book(inputs.book, changes(**CASES[name][0]), "change")
    assert derived.contract_ids.to_pylist() == stored.book.contract_ids.to_pylist()
    assert (derived.starts == stored.book.starts).all()
    assert derived.quantity.tobytes() == stored.book.quantity.tobytes()
    for column in stored.book.columns:
        one, two = (b.columns[column] for b in (derived, stored.book))
        assert one.members.take(pa.array(one.codes)).to_pylist() == two.members.take(pa.array(two.codes)).to_pylist()
        assert [m for m in one.members.to_pylist() if m is not None] == sorted(set(one.members.drop_null().to_pylist()))


def test_marginals_add_up_and_are_the_slope(lake: Lake) -> None:
    result = ask(lake, changes(**SMALL), by=("desk",))
    for figure in ("var_0.95", "es_0.975"):
        assert sum(result.items[f"{figure}_marginal"].to_pylist()) == pytest.approx(result.total[f"{figure}_marginal"])
    # a change so small that it re-orders no scenario: the slope is the whole effect
    tiny = changes(add=[{**NEW[0], "quantity": 1e-7}])
    row = ask(lake, tiny)
    for figure in ("var_0.95", "es_0.975"):
        step = es_of(pnl_of([*BOOK, {**NEW[0], "quantity": 1e-7}]), 0.975) - es_of(pnl_of(BOOK), 0.975)
        assert row.total[f"{figure}_marginal"] == pytest.approx(row.total[f"{figure}_incremental"], rel=1e-3, abs=1e-9)
    assert row.total["es_0.975_marginal"] == pytest.approx(step, rel=1e-3, abs=1e-9)


def test_each_change_alone_and_on_top(lake: Lake) -> None:
    result = ask(lake, changes(**SMALL))
    items = result.items.to_pylist()
    assert [(i["kind"], i["positions"]) for i in items[:2]] == [
        ("remove", 2),
        (
            "remove",
            len([r for r in BOOK if r["desk"] == "d2" and r["book"] == "b01" and r["trade"] not in ("t0003", "t0010")]),
        ),
    ]
    alone = pnl_of([NEW[1]])
    row = next(i for i in items if i["what"] == "n2")
    assert row["es_0.95_standalone"] == pytest.approx(es_of(alone, 0.95))
    assert row["es_0.95_incremental"] == pytest.approx(
        es_of(pnl_of(BOOK) + alone, 0.95) - es_of(pnl_of(BOOK), 0.95), abs=1e-12 * GROSS
    )


def test_invariants(lake: Lake) -> None:
    before = run_query(lake, RiskQuery(as_of=DAY, **MEASURES)).total
    twice = ask(lake, changes(scale=[("", 2.0)])).total
    turned = ask(lake, changes(scale=[("", -1.0)])).total
    nothing = ask(lake, changes(scale=[("", 1.0)])).total
    for figure in ("var_0.95", "es_0.975"):
        assert twice[f"{figure}_before"] == before[figure]
        assert twice[f"{figure}_after"] == pytest.approx(2 * before[figure], rel=1e-12)
        assert twice[f"{figure}_marginal"] == pytest.approx(
            before[figure], rel=1e-9
        )  # Euler: homogeneous of degree one
        assert nothing[f"{figure}_incremental"] == pytest.approx(0.0, abs=1e-12 * GROSS)
    assert turned["mean_after"] == pytest.approx(-before["mean"])
    # removing and adding the same again changes nothing
    same = ask(lake, changes(remove=["trade=t0001"], add=[BOOK[1]])).total
    assert same["es_0.975_incremental"] == pytest.approx(0.0, abs=1e-12 * GROSS)
    assert same["positions_after"] == same["positions_before"]


def test_the_same_bits_on_any_number_of_threads_and_in_any_order(lake: Lake) -> None:
    query = RiskQuery(as_of=DAY, by=("desk",), **MEASURES)
    inputs = open_inputs(VectorCache(lake), query)
    digests = {
        what_if(inputs, query, changes(**{**SMALL, "add": add}), None, threads).receipt["result_digest"]
        for threads in (1, 2)
        for add in (NEW, NEW[::-1])
    }
    assert len(digests) == 1
    assert changes(**SMALL).digest() == changes(**{**SMALL, "add": NEW[::-1]}).digest()
    assert changes(**SMALL).digest() != changes(**LARGE).digest()


def test_many_groups_are_netted_for_themselves(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    few = ask(lake, changes(**SMALL), by=("trade",))
    monkeypatch.setattr(what_if_module, "KEPT_BYTES", 0)
    assert ask(lake, changes(**SMALL), by=("trade",)).receipt["result_digest"] == few.receipt["result_digest"]
    monkeypatch.setattr(what_if_module, "MOST_BYTES", 1000)
    with pytest.raises(BadInput, match="group by fewer dimensions"):
        ask(lake, changes(**SMALL), by=("trade",))


def test_a_whole_book_in_place_of_another(lake: Lake) -> None:
    result = ask(lake, changes(add=NEW, replace=True), by=("desk",))
    pnl = pnl_of(NEW)
    assert result.total["es_0.95_after"] == pytest.approx(es_of(pnl, 0.95), rel=1e-12)  # nothing of the old book in it
    assert result.total["positions_after"] == 3
    gone = {r["desk"] for r in result.rows.to_pylist() if r["change"] == "gone"}
    assert gone == {f"d{i}" for i in range(6)} - {"d1"}


def block(contracts: Mapping[str, tuple[str, float, Any]], failures: Sequence[ValuationFailure] = ()) -> PnLBlock:
    columns = list(zip(*contracts.values(), strict=True))
    return PnLBlock(
        tuple(contracts),
        columns[0],
        np.array(columns[1]),
        np.array(columns[2]),
        np.ones(len(contracts)),
        np.ones(len(contracts), np.int64),
        tuple(failures),
    )


def test_new_contracts_failed_and_missing_ones(lake: Lake) -> None:
    rng = np.random.default_rng(12)
    fresh = {"x2": ("JPY", 900.0, rng.standard_normal(N) * 9), "x1": ("EUR", 3.0, rng.standard_normal(N))}
    add = [
        position("m1", "x1", 70.0, desk="d0"),
        position("m2", "x2", -5.0, desk="d0"),
        position("m3", "bad", 1.0, desk="d0"),
        position("m4", "f0", 1.0, desk="d0"),
        position("m5", "nobody values this", 1.0, desk="d9"),
    ]
    valued = block(fresh, [ValuationFailure("bad", "x", "missing_risk_factor", "no such factor")])
    result = ask(lake, changes(add=add), valued, by=("desk",))
    d0 = next(r for r in result.rows.to_pylist() if r["desk"] == "d0")
    held = [r for r in BOOK if r["desk"] == "d0"]
    pnl = pnl_of([*held, *add], {**VECTORS, **fresh})
    assert d0["es_0.95_after"] == pytest.approx(es_of(pnl, 0.95), abs=1e-12 * GROSS)
    assert d0["status_after"] == "partial"
    assert {f["trade"]: f["reason"] for f in result.failures} == {"m3": "missing_risk_factor", "m4": "matured"}
    d9 = next(r for r in result.rows.to_pylist() if r["desk"] == "d9")
    assert (d9["status_after"], d9["es_0.95_after"], d9["es_0.95_incremental"]) == ("invalid", None, None)
    assert (result.after.failed - result.before.failed, result.after.missing - result.before.missing) == (2, 1)
    assert any("2 added trades are not in the numbers" in n for n in result.notes)
    assert result.receipt["valued_for_this"] == ["x2", "x1"]


def test_nothing_is_left_nothing_passes_and_nothing_had_a_number(lake: Lake) -> None:
    gone = ask(lake, changes(remove=["trade~*"]), by=("desk",))
    assert (gone.total["positions_after"], gone.total["es_0.95_after"], gone.total["change"]) == (0, None, "gone")
    assert gone.total["es_0.95_incremental"] == -gone.total["es_0.95_before"]
    outside = ask(lake, changes(remove=["desk=d1"]), where=(Filter.parse("desk=d2"),), by=("desk",))
    assert (outside.rows.num_rows, outside.total["es_0.95_incremental"]) == (0, 0.0)
    assert outside.items["es_0.95_incremental"].to_pylist() == [None]
    failed = Filter(dimension="trade", values=tuple(r["trade"] for r in BOOK if r["contract_id"] == "f0"))
    blind = ask(lake, changes(remove=[f"trade={failed.values[0]}"]), where=(failed,))
    assert (blind.total["es_0.95_before"], blind.total["status_before"]) == (None, "invalid")
    assert {"es_0.95_incremental", "es_0.95_marginal"} <= set(blind.items.column_names)


def test_weighted_scenarios(tmp_path: Path) -> None:
    weights = np.random.default_rng(3).uniform(0.5, 1.5, N)
    weights /= weights.sum()
    lake = make_lake(tmp_path, Valued(VECTORS, fx=FX, weights=weights), BOOK)
    result = ask(lake, changes(**SMALL), measures=("es",))
    losses, w = -pnl_of(changed_rows("small")), weights
    order = np.argsort(-losses)
    reached = np.minimum(np.cumsum(w[order]), 0.05)
    share = np.diff(np.concatenate([[0.0], reached]))
    assert result.total["es_0.95_after"] == pytest.approx((share * losses[order]).sum() / 0.05, rel=1e-10)
    assert sum(result.items["es_0.95_marginal"].to_pylist()) == pytest.approx(result.total["es_0.95_marginal"])


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        ({"remove": ["trade=t9999"]}, BadInput, "Unknown trade on 2020-03-16 't9999'. Nearest valid: t0"),
        ({"remove": ["desk=d8"]}, BadInput, "Nearest valid: d"),
        ({"scale": [("dsk=d1", 2.0)]}, BadInput, "Nearest valid: desk"),
        ({"add": [position("t0001", "c01", 1.0)]}, Conflict, "are in the book of 2020-03-16 already, such as t0001"),
        ({"replace": True, "remove": ["desk=d1"]}, BadInput, "nothing left to remove"),
        ({}, BadInput, "No change was given"),
    ],
)
def test_bad_changes_are_refused_in_words(
    lake: Lake, change: Mapping[str, Any], error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        ask(lake, changes(**change))


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"remove": ["desk=d1", "desk=d8"]}, "remove/1/where/0"),
        ({"scale": [("dsk=d1", 2.0)]}, "scale/0/where/0"),
        ({"remove": ["trade=t9999"]}, "remove/0"),
    ],
)
def test_a_fault_is_said_at_the_change_it_is_in(lake: Lake, change: Mapping[str, Any], pointer: str) -> None:
    with pytest.raises(BadInput) as refused:
        ask(lake, changes(**change))
    assert [i.pointer for i in refused.value.issues] == [pointer]


def test_intervals_of_the_change_use_the_same_resamples_on_both_sides(lake: Lake) -> None:
    result = ask(lake, changes(**SMALL), by=("desk",), measures=("es",), interval="0.9")
    pnl = [pnl_of(BOOK), pnl_of(changed_rows("small"))]
    counts = resamples_of(open_inputs(VectorCache(lake), RiskQuery(as_of=DAY))).counts
    drawn = [[es_of(np.repeat(p, c), 0.95) for p in pnl] for c in counts]  # each resample written out
    moved = np.diff(np.array(drawn), axis=1)[:, 0]
    low, high = (result.total[f"es_0.95_incremental_{end}"] for end in ("low", "high"))
    assert (low, high) == pytest.approx(tuple(np.percentile(moved, [5, 95])), rel=0.05)
    assert np.mean((moved >= low) & (moved <= high)) == pytest.approx(0.9, abs=0.005)
    assert any("sampling error" in n for n in result.notes)
    new = next(r for r in result.rows.to_pylist() if r["change"] == "new")
    assert new["es_0.95_incremental_low"] == pytest.approx(new["es_0.95_after_low"])


def test_nothing_of_the_lake_changes(lake: Lake) -> None:
    before = lake.snapshot().versions
    ask(lake, changes(**SMALL))
    assert lake.snapshot().versions == before


@pytest.mark.parametrize("n_values", [3, 700])
@pytest.mark.parametrize("null", [False, True])
def test_values_are_found_and_merged_in_their_places(n_values: int, null: bool) -> None:
    rng = np.random.default_rng(n_values)
    members = sorted({f"m{i}" for i in rng.integers(0, 5000, 900)})
    values = [f"m{i}" for i in rng.integers(0, 5000, n_values)] + [None] * null
    column = pa.array([*members, *([None] * null)], pa.string())
    places, found = find(column, pa.array([v for v in values if v is not None]))
    for value, place, there in zip(values, places, found, strict=False):
        assert there == (value in set(members))
        assert place == int(np.searchsorted(members, value))
    merged = _Merged(column, pa.array(values, pa.string()))
    everything = sorted({*members, *(v for v in values if v is not None)})
    assert merged.members().to_pylist() == [*everything, *([None] * null)]
    codes = np.arange(len(members), dtype=np.int32)
    assert [everything[c] for c in merged.old(codes)] == members
    assert [([*everything, None])[c] for c in merged.added()] == values


def test_a_trade_replaced_by_itself_with_other_quantity(lake: Lake) -> None:
    row = {**BOOK[1], "quantity": BOOK[1]["quantity"] * 3}
    one = ask(lake, changes(remove=["trade=t0001"], add=[row])).total
    two = ask(lake, changes(scale=[("trade=t0001", 3.0)])).total
    assert one["es_0.95_after"] == pytest.approx(two["es_0.95_after"], rel=1e-12)
    assert dataclasses.asdict(ask(lake, changes(scale=[("trade=t0001", 3.0)])).after)["positions"] == POSITIONS


def test_positions_with_hierarchies(lake: Lake, tmp_path: Path) -> None:
    grouped = make_lake(tmp_path, Valued(VECTORS, failed={"f0": "matured"}, fx=FX), BOOK)
    rows = [
        {
            "hierarchy": "firm",
            "level": "desk",
            "member": f"d{i}",
            "parent_level": "division",
            "parent": f"D{i % 2}",
            "effective_from": DAY,
            "effective_to": None,
        }
        for i in range(6)
    ]
    with Committer(grouped, "test") as committer:
        committer.put("hierarchies", pa.Table.from_pylist(rows, schema=HIERARCHIES.schema))
    result = ask(grouped, changes(add=NEW), by=("division",))
    assert [r["division"] for r in result.rows.to_pylist()] == ["D1", "unassigned"]
    only = ask(grouped, changes(add=NEW), where=(Filter.parse("division=D1,D0"),))
    held = [r for r in [*BOOK, NEW[0]] if r["desk"] in {f"d{i}" for i in range(6)}]
    assert only.total["es_0.95_after"] == pytest.approx(es_of(pnl_of(held), 0.95), abs=1e-12 * GROSS)
