"""The public benchmark of vector aggregation: a table of 100 attribute columns and a vector of 1,000 floats a row, four queries.

Published by Altinity in 2020 for ClickHouse and answered by ActiveViam in 2021; 1.72 million rows. The columns (int0 to int33,
dttime0 to dttime32, str0 to str32, arrFloat) and the queries are reproduced from there. How many members a column has was not
published; ours are stated in `_members`. Vectors are float32 in ClickHouse, as published, and the same numbers as float64 here.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from aggregation.book.book import Book, PositionColumn
from aggregation.dimensions import ATTRIBUTE
from aggregation.kernels.tail import value_at_risk
from aggregation.opened.alignment import align
from aggregation.opened.inputs import Inputs
from aggregation.opened.remembered import answers
from aggregation.opened.vectors import Vectors
from aggregation.reduce.product import by_rows
from aggregation.reduce.selection import open_selection, scenario_pnl
from aggregation.types import Filter, RiskQuery
from lake.arrays import Codes, Floats
from lake.schemas import SCENARIO_SETS, VALUATION_SETS
from lake.tables import Lake, Snapshot
from scenarios.types import ScenarioDetails
from service.bench import peers
from service.bench.harness import VALUATION_DATE, Row, row
from service.bench.reduce import together, unmeasured
from valuation.types import ValuationSet

ROWS, SCENARIOS = 1_720_000, 1000
_COLUMNS = (*(f"int{i}" for i in range(34)), *(f"dttime{i}" for i in range(33)), *(f"str{i}" for i in range(33)))
_SIX = ("str0", "str1", "int10", "int11", "dttime10", "dttime11")
_TWELVE = (*_SIX, "str2", "str3", "int12", "int13", "dttime12", "dttime13")
_FILTER = "str1-07"
_BLOCK = 20_000  # rows made at once
QUERIES: tuple[tuple[str, tuple[str, ...], bool], ...] = (
    ("5% quantile by one text column", ("str0",), False),
    ("5% quantile by six columns", _SIX, False),
    ("5% quantile by twelve columns", _TWELVE, False),
    ("P&L of every scenario by a text column, under a filter", ("str0",), True),
)


def _members(n: int) -> dict[str, Codes]:
    """Member of each row in each column: 150 in str0, 2,000 combinations of the six, 10,000 of the twelve; others 10 to 500."""
    rng = np.random.default_rng(17)
    fine = rng.integers(0, 10_000, n)
    coarse = fine % 2000
    # each column of a query is a coarsening of one of the two; together they tell all its members apart
    made = {name: (coarse * 7 + i) % (40 + 13 * i) for i, name in enumerate(_SIX)}
    made |= {name: (fine * 11 + i) % (60 + 17 * i) for i, name in enumerate(_TWELVE[6:])}
    made |= {"str0": coarse % 150, "str1": coarse // 20, "str2": fine // 100, "str3": fine % 100}
    for name in _COLUMNS:
        if name not in made:
            made[name] = rng.integers(0, int(rng.integers(10, 500)), n)
    return {name: made[name].astype(np.int32) for name in _COLUMNS}


def _texts(name: str, codes: Codes) -> pa.Array:
    """The sorted members of a column: every code up to the greatest."""
    return pa.array([f"{name}-{i:02}" if i < 100 else f"{name}-x{i:05}" for i in range(int(codes.max()) + 1)])


def _vectors_of(block: int, n: int, n_scenarios: int) -> npt.NDArray[np.float32]:
    return np.random.default_rng([23, block]).standard_normal((n, n_scenarios), dtype=np.float32)


def _blocks(n: int) -> list[tuple[int, int, int]]:
    return [(i, lo, min(lo + _BLOCK, n)) for i, lo in enumerate(range(0, n, _BLOCK))]


def bench_vectors(n: int, n_scenarios: int = SCENARIOS) -> list[Row]:
    """Seconds of the four queries on `n` rows, each asked anew, beside ClickHouse on the same numbers."""
    members = _members(n)
    with tempfile.TemporaryDirectory(prefix="varlake-bench-") as folder:
        ours = _ours(Path(folder), members, n, n_scenarios)
        answers.clear()
        (Path(folder) / "rows.f64").unlink()  # both together would not fit into the memory of a small machine
        return _beside_clickhouse(Path(folder), members, n, n_scenarios, ours)


def _ours(folder: Path, members: Mapping[str, Codes], n: int, n_scenarios: int) -> list[tuple[Floats, float]]:
    """What each query gives, and its seconds."""
    inputs = _inputs(folder, members, n, n_scenarios)
    done = []
    for _, by, filtered in QUERIES:
        query = _query(by, filtered)
        done.append((_ask(inputs, query), together([lambda q=query: _ask(inputs, q)], runs=3)[0]))  # type: ignore[misc]
    return done


def _inputs(folder: Path, members: Mapping[str, Codes], n: int, n_scenarios: int) -> Inputs:
    """The table as a book of one position a row and the vectors of as many contracts, mapped from a file as always."""
    width = -(-n_scenarios // 8) * 8
    rows = np.memmap(folder / "rows.f64", dtype=np.float64, mode="w+", shape=(n, width)).view(np.ndarray)
    for i, lo, hi in _blocks(n):
        rows[lo:hi, :n_scenarios] = _vectors_of(i, hi - lo, n_scenarios)
    ids = pa.array([f"{i:08}" for i in range(n)])
    nothing = dict.fromkeys(VALUATION_SETS.schema.names)
    made = ValuationSet.from_row({**nothing, "valuation_set_id": "bench", "scenario_count": n_scenarios})
    vectors = Vectors(
        n_scenarios=n_scenarios,
        contract_ids=ids,
        currencies=("USD",),
        currency=np.zeros(n, dtype=np.int32),
        base=np.zeros(n),
        unmoved=np.zeros(n, dtype=np.bool_),
        matrix=rows,
        failures=pa.record_batch({"contract_id": pa.array([], pa.string())}),
    )
    columns = {f"{ATTRIBUTE}{c}": PositionColumn(codes, _texts(c, codes)) for c, codes in members.items()}
    book = Book(VALUATION_DATE, (), ids, np.arange(n + 1), np.ones(n), columns)
    scenarios = ScenarioDetails.from_row(dict.fromkeys(SCENARIO_SETS.schema.names))
    return Inputs(Snapshot(Lake(folder), {}), made, scenarios, vectors, book, align(book, vectors))


def _query(by: tuple[str, ...], filtered: bool) -> RiskQuery:
    where = (Filter(dimension=f"{ATTRIBUTE}str1", values=(_FILTER,)),) if filtered else ()
    names = tuple(f"{ATTRIBUTE}{c}" for c in by)
    return RiskQuery(as_of=VALUATION_DATE, by=names, where=where, measures=("var",), levels=("0.95",))


def _ask(inputs: Inputs, query: RiskQuery) -> Floats:
    """VaR of each group, or under a filter its P&L; nothing is kept from the question before."""
    answers.clear()
    selection = open_selection(inputs, query)
    pnl = scenario_pnl(selection, 0, selection.groups.n)[1]
    return pnl if query.where else by_rows(lambda p: value_at_risk(p, Fraction(19, 20), None, query.estimator), pnl)


def _sql(by: tuple[str, ...], filtered: bool) -> str:
    names = ", ".join(by)
    if filtered:
        return f"""SELECT {names}, num, pl FROM (
            SELECT {names}, sumForEach(arrFloat) AS arr1 FROM bench.facts WHERE str1 = '{_FILTER}' GROUP BY {names}
        ) ARRAY JOIN arr1 AS pl, arrayEnumerate(arr1) AS num ORDER BY {names}, num"""
    return f"SELECT {names}, arraySort(sumForEach(arrFloat))[50] AS arr1 FROM bench.facts GROUP BY {names} ORDER BY {names}"


def _beside_clickhouse(
    folder: Path, members: Mapping[str, Codes], n: int, n_scenarios: int, ours: list[tuple[Floats, float]]
) -> list[Row]:
    works = [
        f"vector benchmark, {work}: {n:,} rows x {len(_COLUMNS)} columns x {n_scenarios}" for work, _, _ in QUERIES
    ]
    if absent := peers.missing("ClickHouse"):
        return [unmeasured(work, seconds, absent, "<= 1") for work, (_, seconds) in zip(works, ours, strict=True)]
    texts = {c: _texts(c, codes) for c, codes in members.items()}
    for i, lo, hi in _blocks(n):
        columns = {c: texts[c].take(pa.array(codes[lo:hi])) for c, codes in members.items()}
        flat = pa.array(_vectors_of(i, hi - lo, n_scenarios).reshape(-1))
        offsets = pa.array(np.arange(0, (hi - lo + 1) * n_scenarios, n_scenarios, dtype=np.int32))
        pq.write_table(
            pa.table({**columns, "arrFloat": pa.ListArray.from_arrays(offsets, flat)}),
            folder / f"facts-{i:04}.parquet",
            use_dictionary=list(_COLUMNS),
            compression="none",
        )
    rows = []
    with peers.clickhouse(folder / "clickhouse") as run:
        names = ", ".join(f"assumeNotNull({c}) AS {c}" for c in _COLUMNS)
        run(
            f"CREATE TABLE bench.facts ENGINE = Memory AS SELECT {names}, CAST(arrFloat AS Array(Float32)) AS arrFloat "
            f"FROM file('{folder}/facts-*.parquet')"
        )
        for work, (_, by, filtered), (found, seconds) in zip(works, QUERIES, ours, strict=True):
            sql = _sql(by, filtered)
            _check(found, run(sql), filtered)
            theirs = together([lambda sql=sql: run(sql)], runs=3)[0]  # type: ignore[misc]
            rows.append(row(work, seconds, "s", "ClickHouse, Memory engine, sumForEach", theirs, "<= 1"))
    return rows


def _check(ours: Floats, theirs: pa.Table | None, filtered: bool) -> None:
    """Groups are sorted alike, by their members as text."""
    assert theirs is not None
    figures = theirs.column(theirs.num_columns - 1).to_numpy()
    expected = ours.reshape(-1) if filtered else -ours
    assert np.allclose(figures, expected, rtol=1e-5, atol=1e-6 * np.abs(expected).max()), "the engines do not agree"
