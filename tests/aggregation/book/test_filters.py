"""Filters against DuckDB on the same Parquet files, their text form, and what they refuse."""

from __future__ import annotations

from pathlib import Path

import duckdb
import numpy as np
import pytest
from reduce_lake import DAY, Valued, make_lake, position

from aggregation.book.book import Book
from aggregation.book.filters import select
from aggregation.opened.opened_lake import VectorCache
from aggregation.risk.query import run_query
from aggregation.types import Filter, RiskQuery
from lake.errors import BadInput
from lake.tables import Lake

TEXTS = [
    ("desk=Rates,FX", "desk in ('Rates', 'FX')"),
    ("desk!=Rates", "desk <> 'Rates'"),
    ("book~Rates*", "book glob 'Rates*'"),
    ("book!~Rates*,?X-1", "not (book glob 'Rates*' or book glob '?X-1')"),
    ("book~100%*", "starts_with(book, '100%')"),
    ("attribute.score>=10", "score::double >= 10"),
    ("attribute.score<10", "score::double < 10"),
    ("attribute.score>-2.5", "score::double > -2.5"),
    ("attribute.score=2..1e1", "score::double between 2 and 10"),
    ("attribute.score!=2..10", "not coalesce(score::double between 2 and 10, false)"),
    ("attribute.score=..5", "score::double <= 5"),
    ("attribute.maturity=2024-01-01..2026-12-31", "maturity::date between '2024-01-01' and '2026-12-31'"),
    ("attribute.maturity>2026-12-31", "maturity::date > '2026-12-31'"),
    ("counterparty>=m", "counterparty >= 'm'"),
    ("attribute.score=", "score is null"),
    ("attribute.score!=", "score is not null"),
    ("attribute.score!=9", "score is distinct from '9'"),
]


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    rng = np.random.default_rng(5)
    scores = ["9", "10", "-3", "2.5", "1e1", "007"]
    rows = [
        position(
            f"t{i:04}",
            f"c{i % 7}",
            float(rng.normal()),
            desk=("Rates", "FX", "Credit")[i % 3],
            book=("Rates EUR", "Rates_USD", "FX-1", "EX-1", "rates low", "100% own", "100x own")[i % 7],
            counterparty=f"{chr(97 + i % 26)}lder",
            attributes={"maturity": f"20{20 + i % 9}-0{1 + i % 9}-15"} | ({"score": scores[i % 6]} if i % 4 else {}),
        )
        for i in range(400)
    ]
    vectors = {f"c{i}": ("USD", 1.0, rng.normal(size=20)) for i in range(7)}
    return make_lake(tmp_path_factory.mktemp("filters"), Valued(vectors), rows)


@pytest.fixture(scope="module")
def book(lake: Lake) -> Book:
    return VectorCache(lake).book(lake.snapshot(), DAY)


def trades(book: Book, *texts: str) -> set[str]:
    keep = select(book, [Filter.parse(t) for t in texts])
    column = book.columns["trade"]
    return set(np.array(column.members)[column.codes[keep]])


def by_duckdb(lake: Lake, sql: str) -> set[str]:
    files = [str(f) for f in lake.data_files("positions")]
    with duckdb.connect() as db:
        table = (
            "select *, attributes['score'] as score, attributes['maturity'] as maturity "
            f"from read_parquet({files}, hive_partitioning = false)"
        )
        return {row[0] for row in db.sql(f"select trade from ({table}) where {sql}").fetchall()}


@pytest.mark.parametrize(("text", "sql"), TEXTS)
def test_as_duckdb_selects_on_the_same_files(lake: Lake, book: Book, text: str, sql: str) -> None:
    found = trades(book, text)
    assert found == by_duckdb(lake, sql)
    assert 0 < len(found) < book.n_positions


def test_all_filters_must_hold(lake: Lake, book: Book) -> None:
    (one, sql_one), (two, sql_two) = TEXTS[2], TEXTS[5]
    assert trades(book, one, two) == by_duckdb(lake, f"{sql_one} and {sql_two}")


@pytest.mark.parametrize("text", [t for t, _ in TEXTS])
def test_a_filter_and_its_opposite_part_the_book(book: Book, text: str) -> None:
    f = Filter.parse(text)
    keep = select(book, [f])
    assert (select(book, [f.model_copy(update={"exclude": not f.exclude})]) == ~keep).all()


@pytest.mark.parametrize("text", [t for t, _ in TEXTS])
def test_the_text_reads_back(text: str) -> None:
    f = Filter.parse(text)
    assert Filter.parse(str(f)) == f
    assert Filter.model_validate_json(f.model_dump_json()) == f


def test_a_dimension_that_all_have(book: Book) -> None:
    assert select(book, [Filter.parse("desk!=")]).all()
    assert trades(book, "desk=FX") == {
        book.columns["trade"].members[c].as_py()
        for c in book.columns["trade"].codes[select(book, [Filter(dimension="desk", values=(None, "FX"))])]
    }


def test_null_beside_members(book: Book) -> None:
    both = Filter(dimension="attribute.score", values=(None, "9"))
    assert set(np.array(book.columns["trade"].members)[book.columns["trade"].codes[select(book, [both])]]) == (
        trades(book, "attribute.score=") | trades(book, "attribute.score=9")
    )


@pytest.mark.parametrize(
    ("texts", "says"),
    [
        (["dsk=Rates"], "Unknown dimension 'dsk'. Nearest valid: desk"),
        (["attribute.scor>=1"], "attribute.score"),
        (["desk=Rats"], "Unknown desk on 2020-03-16 'Rats'. Nearest valid: Rates"),
        (["desk=rates"], "Nearest valid: Rates"),
        (["book~Rats*"], "Unknown pattern of book on 2020-03-16 'Rats\\*'. Nearest valid: .*Rates"),
        (["desk="], "No position of 2020-03-16 passes desk=; loosen a filter: desk= left none"),
        (["counterparty>=5"], "compares by number, and the member 'alder' of counterparty on 2020-03-16 is of another"),
        (["attribute.score>=2024-01-01"], "compares by date, and the member '-3'"),
        (["attribute.score>=high"], "compares by text, and the member '-3'"),
        (["attribute.score>100"], "No position of 2020-03-16 passes attribute.score>100; loosen a filter"),
        (["desk=Rates", "book=FX-1", "trade=t0000"], "passes desk=Rates, book=FX-1, trade=t0000; .*: trade=t0000 left"),
    ],
)
def test_what_is_refused_says_what_would_do(book: Book, texts: list[str], says: str) -> None:
    with pytest.raises(BadInput, match=says):
        trades(book, *texts)


@pytest.mark.parametrize("text", ["desk", "=Rates", "desk~", "desk>=", "desk=..", "desk=,", "", "!=x"])
def test_a_text_that_is_no_filter(text: str) -> None:
    with pytest.raises(BadInput, match=r"expected dimension=member"):
        Filter.parse(text)


@pytest.mark.parametrize(
    "given", [{}, {"values": ("a",), "patterns": ("b",)}, {"values": ("a",), "at_least": "1"}, {"valeus": ("a",)}]
)
def test_a_filter_has_one_condition(given: dict) -> None:
    with pytest.raises(ValueError, match=r"give either values|Extra inputs"):
        Filter(dimension="desk", **given)


def test_a_query_counts_what_its_filter_keeps(lake: Lake, tmp_path: Path) -> None:
    query = RiskQuery(as_of=DAY, where=(Filter.parse("attribute.score>=10"),))
    found = run_query(lake, query, cache=VectorCache(lake, tmp_path)).coverage.positions
    assert found == len(by_duckdb(lake, "score::double >= 10"))
