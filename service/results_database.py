"""Answers written into a relational database: figures by node at an instant, each snapshot in one transaction, the same one once.

`ResultsDatabase.publish(answer, at)` takes any answer that has a query with `by`, `rows`, `total` and a receipt: one of `var`, or of a
live book, whose watermark is written with it. See docs/results-database.md.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from aggregation.measures import asked_measures, level_text
from aggregation.release import node_of
from lake.canonical import canonical_json, digest
from lake.errors import BadInput, NotReady, unknown

if TYPE_CHECKING:
    import sqlalchemy as sa
    from sqlalchemy.engine import URL, Connection

# ruff: noqa: PLC0415 - SQLAlchemy is an extra, and takes a third of a second

DIALECTS = ("postgresql", "sqlite", "mysql", "mariadb")
RETRY_SECONDS = 60.0
MOST_NODE = 400  # characters: MySQL keys hold 3,072 bytes
_ADVICE = "Install what writes to a database: pip install 'varlake[sql]'."


@dataclass(frozen=True)
class Published:
    """What was written: instant and digest of the question, which name the snapshot, and how many figures. attempts : more than one
    where the database was away meanwhile."""

    at: dt.datetime
    question_digest: str
    receipt_digest: str
    figures: int
    attempts: int

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def results_tables(prefix: str) -> tuple[sa.Table, sa.Table]:
    """The tables of snapshots and of figures, with their keys."""
    import sqlalchemy as sa
    from sqlalchemy.dialects import mysql

    instant = sa.DateTime(timezone=True).with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")
    # names that differ in case or in blanks at the end differ, as they do here
    exact: dict[str, Any] = {"mysql_collate": "utf8mb4_0900_bin", "mysql_charset": "utf8mb4", "mysql_engine": "InnoDB"}

    def covered() -> list[Any]:
        counts = [sa.Column(name, sa.BigInteger) for name in ("positions", "covered")]
        return [*counts, sa.Column("status", sa.String(40))]

    snapshots = sa.Table(
        f"{prefix}snapshot",
        sa.MetaData(),
        sa.Column("at", instant, primary_key=True),
        sa.Column("question_digest", sa.String(32), primary_key=True),
        sa.Column("question", sa.Text, nullable=False),
        sa.Column("as_of", sa.Date),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("scenario_set", sa.String(200)),
        sa.Column("watermark", sa.Text),
        sa.Column("receipt_digest", sa.String(64), nullable=False),
        *covered(),
        sa.Column("notes", sa.Text),
        **exact,
    )
    figures = sa.Table(
        f"{prefix}figure",
        snapshots.metadata,
        sa.Column("at", instant, primary_key=True),
        sa.Column("question_digest", sa.String(32), primary_key=True),
        sa.Column("node", sa.String(MOST_NODE), primary_key=True),
        sa.Column("figure", sa.String(80), primary_key=True),
        sa.Column("measure", sa.String(80), nullable=False),
        sa.Column("level", sa.String(40)),
        sa.Column("value", sa.Double),
        *covered(),
        sa.ForeignKeyConstraint(
            ["at", "question_digest"],
            [snapshots.c["at"], snapshots.c.question_digest],
            ondelete="CASCADE",
            name=f"{prefix}figure_of_snapshot",
        ),
        **exact,
    )
    return snapshots, figures


def upsert(table: sa.Table, dialect: str) -> sa.sql.expression.Executable:
    """Inserts rows, or puts them in place of those with their key."""
    from sqlalchemy.dialects import mysql, postgresql, sqlite

    key = [c.name for c in table.primary_key]
    others = [c.name for c in table.columns if c.name not in key]
    if dialect in ("mysql", "mariadb"):
        made = mysql.insert(table)
        return made.on_duplicate_key_update({c: made.inserted[c] for c in others})
    insert = postgresql.insert(table) if dialect == "postgresql" else sqlite.insert(table)
    return insert.on_conflict_do_update(index_elements=key, set_={c: insert.excluded[c] for c in others})


class ResultsDatabase:
    """A relational database that answers are written to.

    url : as SQLAlchemy has it, without a password: what stands on a command line is seen by every user of the machine. prefix : of the
    names of the tables. Raises `BadInput` for a URL that is none, or has a password, and `NotReady` where the extra is not installed.
    """

    def __init__(self, url: str, password: str | None = None, *, prefix: str = "varlake_") -> None:
        try:
            import sqlalchemy as sa
        except ImportError as error:
            raise NotReady(f"{error}. {_ADVICE}") from None
        try:
            made = sa.make_url(url)
            dialect = made.get_backend_name()
        except sa.exc.ArgumentError:
            raise BadInput(
                "The URL of the database is none; expected such as postgresql+psycopg://user@host/database or sqlite:///file.db."
            ) from None
        if dialect not in DIALECTS:
            raise unknown("kind of database", dialect, DIALECTS)
        if made.password is not None or "password" in made.query:
            raise BadInput(
                "The URL has a password, which every user of this machine sees. Leave it out, and give it in "
                "VARLAKE_RESULTS_PASSWORD or in the file of --password-file."
            )
        self._shown = made.render_as_string(hide_password=True)
        self._dialect = dialect
        self._snapshots, self._figures = results_tables(prefix)
        self._engine = self._engine_of(made if password is None else made.set(password=password))

    def _engine_of(self, url: URL) -> sa.Engine:
        import sqlalchemy as sa

        try:
            # else psycopg gives text as bytes where the database has the encoding SQL_ASCII
            more = {"client_encoding": "utf8"} if url.drivername == "postgresql+psycopg" else {}
            engine = sa.create_engine(url, pool_pre_ping=True, hide_parameters=True, connect_args=more)
        except ImportError as error:
            raise NotReady(f"{error}. {_ADVICE}") from None
        except sa.exc.ArgumentError:
            raise BadInput(
                f"There is no driver for {self._shown}; expected such as postgresql+psycopg or mysql+pymysql."
            ) from None
        if self._dialect == "sqlite":
            sa.event.listen(engine, "connect", lambda made, _: made.execute("PRAGMA foreign_keys = ON"))
        return engine

    def make_tables(self, *, retry_seconds: float = RETRY_SECONDS) -> None:
        """Makes the tables that are not there."""
        self._tried(lambda connection: self._snapshots.metadata.create_all(connection), retry_seconds, time.sleep)

    def publish(
        self,
        answer: Any,
        at: dt.datetime,
        *,
        retry_seconds: float = RETRY_SECONDS,
        wait: Callable[[float], Any] = time.sleep,
    ) -> Published:
        """Writes the figures of an answer as of an instant, all or none, in place of what stands there for that instant and question.

        While the database is away it is tried again, for so many seconds: since a snapshot is named by instant and question, one that was
        written before the connection broke is written over by itself. Raises `NotReady` after that time.
        """
        snapshot, figures = snapshot_rows(answer, at, naive=self._dialect != "postgresql")
        name = (snapshot["at"], snapshot["question_digest"])
        of = (self._figures.c["at"] == name[0]) & (self._figures.c.question_digest == name[1])

        def write(connection: Connection) -> None:
            # first, so that of two that publish the same one waits for the other
            connection.execute(upsert(self._snapshots, self._dialect), [snapshot])
            connection.execute(self._figures.delete().where(of))
            connection.execute(upsert(self._figures, self._dialect), figures)

        attempts = self._tried(write, retry_seconds, wait)
        return Published(at, name[1], snapshot["receipt_digest"], len(figures), attempts)

    def close(self) -> None:
        self._engine.dispose()

    def _tried(self, work: Callable[[Connection], None], seconds: float, wait: Callable[[float], Any]) -> int:
        """Does the work in a transaction; how many attempts it took."""
        import sqlalchemy as sa

        until, pause, attempts = time.monotonic() + seconds, 0.1, 0
        while True:
            attempts += 1
            try:
                with self._engine.begin() as connection:
                    work(connection)
                return attempts
            except (sa.exc.OperationalError, sa.exc.InterfaceError) as error:
                if time.monotonic() + pause > until:
                    raise NotReady(f"{self._shown} does not take the results: {_said(error)}") from None
            except sa.exc.DBAPIError as error:
                raise BadInput(f"{self._shown} refuses the results: {_said(error)}") from None
            wait(pause)
            pause = min(2 * pause, 5.0)


def _said(error: sa.exc.DBAPIError) -> str:
    """The first line of what the driver says."""
    return str(error.orig).strip().partition("\n")[0][:300]


def snapshot_rows(answer: Any, at: dt.datetime, *, naive: bool = False) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The row of the snapshot and those of its figures, of every group and of the total. naive : instants in UTC without a zone, for
    databases that have none. Raises `BadInput` for an answer that is not figures by node."""
    query, receipt = getattr(answer, "query", None), getattr(answer, "receipt", None)
    if query is None or receipt is None or not hasattr(answer, "total") or not hasattr(query, "measures"):
        raise BadInput(
            f"An answer of {type(answer).__name__} has no figures by node; publish one of var or of a live book."
        )
    if at.tzinfo is None:
        raise BadInput(f"The instant {at} has no zone; give one, such as {at}Z.")
    if getattr(query, "subtotals", None):
        raise BadInput("An answer with subtotals has rows that are no nodes; leave them out, and ask once a level.")
    question = query.model_dump(mode="json", by_alias=True)
    at = at.astimezone(dt.UTC)
    key = {
        "at": at.replace(tzinfo=None) if naive else at,
        "question_digest": digest(canonical_json(question)),
    }
    total = answer.total
    snapshot = {
        **key,
        "question": canonical_json(question),
        "as_of": getattr(query, "as_of", None),
        "currency": query.currency,
        "scenario_set": receipt.get("scenario_set_name"),
        "watermark": None if (mark := getattr(answer, "watermark", None)) is None else canonical_json(mark),
        "receipt_digest": receipt["receipt_digest"],
        **_covered(total),
        "notes": "\n".join(answer.notes) or None,
    }
    rows = [(node_of(query.by, row), row) for row in answer.rows.to_pylist()] if query.by else []
    if long := [node for node, _ in rows if len(node) > MOST_NODE]:
        raise BadInput(
            f"The node {long[0][:80]}... has {len(long[0])} characters; {MOST_NODE} are kept. Group by fewer dimensions."
        )
    return snapshot, [{**key, **f} for node, row in [*rows, ("", total)] for f in _figures(query, node, row)]


def _figures(query: Any, node: str, row: Mapping[str, Any]) -> Sequence[dict[str, Any]]:
    asked = [(a.name, a.measure.name, None if a.level is None else level_text(a.level)) for a in asked_measures(query)]
    return [
        {"node": node, "figure": name, "measure": measure, "level": level, "value": row[name], **_covered(row)}
        for name, measure, level in [("base_value", "base_value", None), *asked]
    ]


def _covered(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: row.get(name) for name in ("positions", "covered", "status")}
