"""A lake as a program has it: questions and works as methods, and the few things that are neither."""

from __future__ import annotations

import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa

from aggregation import questions
from lake.errors import NotFound, unknown
from service.ingests import INGESTS, Ingest
from service.python.asked import Questions, Works
from service.python.methods import arguments
from service.python.results import Figures


class Lake(Questions, Works, ABC):
    """A lake: `lake.var(as_of="2020-03-16", by="desk")`. A method for each question, and for what stores something.

    Values are texts, numbers, dates, lists and tables of pandas, Polars or Arrow. What is wrong raises a `varlake.VarlakeError` that
    says what was given, what was expected and the nearest valid name.
    """

    def plan(self, question: str, **given: Any) -> Figures:
        """What would be valued before that question is answered, and what that takes; values nothing."""
        name = question.replace("_", "-")
        return Figures(self._plan(name, arguments(questions.question(name).query, given)))

    def ingest(self, what: str, *files: Any, dry_run: bool = False, **options: Any) -> Figures:
        """Brings files into the lake, as `varlake ingest` does.

        what : market, positions, pnl, ...; a key of INGESTS. files : paths, or tables of pandas, Polars or Arrow; of market data
        the folder. dry_run : only read and check. options : as the command has them. Gives the reports of the files.
        """
        if what not in INGESTS:
            raise unknown("kind of files", what, INGESTS)
        kind = INGESTS[what]
        with _paths(files) as paths:
            return Figures(self._ingest(what, kind, paths, arguments(kind.options, options), dry_run))

    @abstractmethod
    def remove_branch(self, name: str) -> Figures:
        """Removes a branch."""

    @abstractmethod
    def choices(self) -> Figures:
        """What the lake has for parameters: the dates of books, newest first, the dimensions of the newest, the scenario sets."""

    @abstractmethod
    def _plan(self, name: str, given: dict[str, Any]) -> dict[str, Any]: ...

    @abstractmethod
    def _ingest(
        self, what: str, kind: Ingest, files: list[Path], options: dict[str, Any], dry_run: bool
    ) -> Mapping[str, Any]: ...


@contextmanager
def _paths(files: tuple[Any, ...]) -> Iterator[list[Path]]:
    """The files as paths; a table is written to one for as long as it is needed."""
    import pyarrow.parquet as pq  # noqa: PLC0415 - for those who bring a table

    with tempfile.TemporaryDirectory(prefix="varlake-") as folder:
        paths = []
        for i, file in enumerate(files):
            if isinstance(file, str | Path):
                path = Path(file)
                if not path.exists():
                    raise NotFound(f"There is no file {path}.")
            else:
                path = Path(folder) / f"table-{i + 1}.parquet"
                pq.write_table(file if isinstance(file, pa.Table) else pa.table(file), path)
            paths.append(path)
        yield paths
