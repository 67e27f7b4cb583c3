"""Answers in a relational database: read back by its own SQL, written once however often they are, whole or not at all."""

from __future__ import annotations

import datetime as dt
import sqlite3
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from command_line import varlake
from postgres import Postgres, postgres
from small_lake import MONDAY, no_spark

from aggregation import questions
from aggregation.opened.opened_lake import VectorCache
from aggregation.session import Session
from lake.errors import BadInput, NotReady
from lake.tables import Lake
from service.results_database import ResultsDatabase, results_tables, upsert

sa = pytest.importorskip("sqlalchemy")
AT = dt.datetime(2020, 3, 16, 11, 5, tzinfo=dt.UTC)
FIGURES = "select node, figure, measure, level, value, positions, status from varlake_figure order by node, figure"


@pytest.fixture(scope="module")
def answers(valued_lake: Path) -> list[Any]:
    """VaR and ES by desk, and the same of one desk less."""
    lake = Lake.open(valued_lake)
    session = Session(lake, VectorCache(lake), spark=no_spark)  # type: ignore[arg-type]
    asked = {"as_of": str(MONDAY), "by": ["desk"], "measures": ["var", "es"], "levels": ["0.9", "0.99"]}
    return [
        questions.ask(session, "var", questions.settled(session, questions.read("var", {**asked, **more})))
        for more in ({}, {"where": ["desk=Options"]})
    ]


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    pytest.importorskip("psycopg")
    with postgres() as started:
        yield started


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ResultsDatabase]:
    if request.param == "sqlite":
        made = ResultsDatabase(f"sqlite:///{tmp_path / 'results.db'}")
    else:
        server = request.getfixturevalue("server")
        made = ResultsDatabase(server.url, server.password)
        made._snapshots.metadata.drop_all(made._engine)
    made.make_tables()
    yield made
    made.close()


def select(database: ResultsDatabase, statement: str) -> list[tuple[Any, ...]]:
    with database._engine.connect() as connection:
        return [tuple(row) for row in connection.execute(sa.text(statement))]


def expected(answer: Any) -> list[tuple[Any, ...]]:
    """By hand from what the answer shows."""
    told = answer.to_dict()
    rows = [(f"desk={r['desk']}", r) for r in told["rows"]] + [("", told["total"])]
    asked = [("base_value", "base_value", None)] + [(f"{m}_{a}", m, a) for m in ("var", "es") for a in ("0.9", "0.99")]
    found = [(node, name, m, a, r[name], r["positions"], r["status"]) for node, r in rows for name, m, a in asked]
    return sorted(found, key=lambda row: row[:2])


def test_figures_are_read_back_to_the_bit_by_node(database: ResultsDatabase, answers: list[Any]) -> None:
    done = database.publish(answers[0], AT)
    assert (done.figures, done.attempts) == (15, 1)
    assert select(database, FIGURES) == expected(answers[0])
    ((at, receipt, currency, covered),) = select(
        database, "select at, receipt_digest, currency, covered from varlake_snapshot"
    )
    assert (receipt, currency, covered) == (answers[0].receipt["receipt_digest"], "USD", answers[0].total["covered"])
    assert str(at).startswith("2020-03-16 11:05:00")


def test_what_is_published_twice_stands_once_and_a_node_that_went_is_gone(
    database: ResultsDatabase, answers: list[Any]
) -> None:
    whole, part = answers
    for _ in range(2):
        database.publish(whole, AT)
    database.publish(whole, AT + dt.timedelta(minutes=5))
    database.publish(part, AT)  # another question of the same instant
    assert select(database, "select count(*) from varlake_snapshot") == [(3,)]
    assert select(database, "select count(*) from varlake_figure") == [(15 + 15 + 10,)]
    # of the same instant and question, asked of a book without the other desk
    later = type(whole)(whole.query, part.rows, part.total, part.coverage, part.receipt, part.notes)
    database.publish(later, AT.astimezone(dt.timezone(dt.timedelta(hours=-4))))
    assert select(database, "select count(*) from varlake_snapshot") == [(3,)]
    assert select(database, "select count(*) from varlake_figure") == [(10 + 15 + 10,)]


def test_a_snapshot_that_fails_in_the_middle_leaves_the_one_before(
    database: ResultsDatabase, answers: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    database.publish(answers[0], AT)
    broken = type(answers[0])(**{**vars(answers[0]), "total": {**answers[0].total, "es_0.99": "no number"}})
    with pytest.raises((BadInput, NotReady, sa.exc.StatementError)):
        database.publish(broken, AT, retry_seconds=0)
    assert select(database, FIGURES) == expected(answers[0])


def test_a_watermark_is_written_with_it(database: ResultsDatabase, answers: list[Any]) -> None:
    class Live:
        def __init__(self) -> None:
            self.watermark = {"orders": 7, "prices_until": dt.datetime(2020, 3, 16, 11, 4, tzinfo=dt.UTC)}

        def __getattr__(self, name: str) -> Any:
            return getattr(answers[0], name)

    database.publish(Live(), AT)
    assert select(database, "select watermark from varlake_snapshot") == [
        ('{"orders":7,"prices_until":"2020-03-16T11:04:00+00:00"}',)
    ]


def test_a_server_that_is_killed_and_comes_back_has_every_snapshot_once(server: Postgres, answers: list[Any]) -> None:
    database = ResultsDatabase(server.url, server.password)
    database._snapshots.metadata.drop_all(database._engine)
    database.make_tables()
    instants = [AT + dt.timedelta(minutes=n) for n in range(40)]
    over = threading.Event()

    def outages() -> None:
        for _ in range(2):
            time.sleep(0.05)
            server.stop()
            time.sleep(0.2)
            server.start()
        over.set()

    breaking = threading.Thread(target=outages)
    breaking.start()
    attempts = 0
    for at in instants:
        attempts += database.publish(answers[0], at).attempts
        if not over.is_set():
            over.wait(0.05)
    breaking.join()
    attempts += database.publish(answers[0], instants[0]).attempts
    assert attempts > len(instants) + 1, "the server was never away"
    assert select(database, "select count(distinct at), count(*) from varlake_figure") == [(40, 40 * 15)]
    server.stop()
    began = time.monotonic()
    with pytest.raises(NotReady, match=r"postgres.* does not take the results: ") as told:
        database.publish(answers[0], AT, retry_seconds=0.3)
    assert server.password not in str(told.value)
    assert time.monotonic() - began < 10
    server.start()
    database.close()


def test_mysql_is_told_the_same_in_its_own_words() -> None:
    from sqlalchemy.dialects import mysql, postgresql, sqlite
    from sqlalchemy.schema import CreateTable

    snapshots, figures = results_tables("varlake_")
    said = str(upsert(figures, "mysql").compile(dialect=mysql.dialect()))
    assert "INSERT INTO varlake_figure (at, question_digest, node, figure, measure, level, value" in said
    assert said.endswith(
        "ON DUPLICATE KEY UPDATE measure = VALUES(measure), level = VALUES(level), value = VALUES(value), "
        "positions = VALUES(positions), covered = VALUES(covered), status = VALUES(status)"
    )
    for table in (snapshots, figures):
        made = str(CreateTable(table).compile(dialect=mysql.dialect()))
        assert "at DATETIME(6) NOT NULL" in made
        assert "COLLATE utf8mb4_0900_bin" in made
    assert "node VARCHAR(400) NOT NULL" in made
    assert "PRIMARY KEY (at, question_digest, node, figure)" in made
    for dialect, name in ((postgresql.dialect(), "postgresql"), (sqlite.dialect(), "sqlite")):
        said = str(upsert(snapshots, name).compile(dialect=dialect))
        assert "ON CONFLICT (at, question_digest) DO UPDATE SET question = excluded.question" in said


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("nothing", "The URL of the database is none"),
        ("oracle://u@h/d", "kind of database"),
        ("postgresql+psycopg://u:p4ss@h/d", "The URL has a password, which every user of this machine sees"),
        ("postgresql+psycopg://h/d?password=p4ss", "The URL has a password"),
        ("postgresql+nothing://u@h/d", "There is no driver for"),
    ],
)
def test_a_url_that_is_none_or_tells_a_password_is_refused(url: str, told: str) -> None:
    with pytest.raises(BadInput, match=told) as error:
        ResultsDatabase(url)
    assert "p4ss" not in str(error.value)


def test_what_is_no_figure_by_node_is_refused(answers: list[Any], tmp_path: Path) -> None:
    database = ResultsDatabase(f"sqlite:///{tmp_path / 'r.db'}")
    with pytest.raises(BadInput, match="no figures by node"):
        database.publish(object(), AT)
    with pytest.raises(BadInput, match="has no zone"):
        database.publish(answers[0], AT.replace(tzinfo=None))


def test_without_the_extra_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sqlalchemy", None)
    with pytest.raises(NotReady, match=r"pip install 'varlake\[sql\]'"):
        ResultsDatabase("sqlite://")


def test_the_command_writes_what_the_lake_answers(valued_lake: Path, tmp_path: Path, answers: list[Any]) -> None:
    file = tmp_path / "results.db"
    asked = ("--as-of", MONDAY, "--by", "desk", "--measures", "var,es", "--levels", "0.9,0.99")
    shown = varlake("results", "publish", *asked, "--url", f"sqlite:///{file}", lake=valued_lake)
    assert shown.returncode == 0, shown.stderr
    assert "Published 15 figures as of" in shown.stderr
    with sqlite3.connect(file) as read:
        assert read.execute(FIGURES).fetchall() == expected(answers[0])
    read.close()
