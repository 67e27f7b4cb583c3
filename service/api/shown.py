"""A table as a page shows it, as a file: what its rows, put together from several answers, hold, in their order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import pyarrow as pa
from flask import Response
from pydantic import ConfigDict, Field, model_validator

from lake.errors import counted
from service.api.document import blueprint
from service.api.models import Answer
from service.api.requests import Body
from service.api.responses import table_answer, tabular
from service.encoding import to_rows

api = blueprint("shown", __name__, __doc__)
MOST_CELLS = 2_000_000
Cell = bool | int | float | str | None


class ShownTable(Body):
    """A table to be given back as a file, with the receipts of the answers that its figures are from."""

    model_config = ConfigDict(frozen=True, extra="forbid", title="ShownTable")

    columns: tuple[str, ...] = Field(min_length=1, max_length=2_000, description="names of the columns, each another")
    rows: tuple[tuple[Cell, ...], ...] = Field(description="the rows in their order, a value a column; null for none")
    receipts: tuple[str, ...] = Field((), max_length=1_000, description="digests of the receipts of the answers")
    notes: tuple[str, ...] = Field((), max_length=1_000, description="what has to be known beside the figures")

    @model_validator(mode="after")
    def _even(self) -> Self:
        if len(set(self.columns)) < len(self.columns):
            twice = next(c for i, c in enumerate(self.columns) if c in self.columns[:i])
            raise ValueError(f"the column {twice!r} stands there twice; name each column otherwise")
        for i, row in enumerate(self.rows):
            if len(row) != len(self.columns):
                raise ValueError(
                    f"row {i + 1} has {counted(len(row), 'value')} for {counted(len(self.columns), 'column')}; give one a column"
                )
        if len(self.rows) * len(self.columns) > MOST_CELLS:
            raise ValueError(f"the table has more than {MOST_CELLS:,} cells; show fewer nodes or measures")
        return self


class ShownRows(Answer):
    """The table again; other formats have its rows as they have those of answers."""

    rows: list[dict[str, Cell]]
    receipts: list[str]
    notes: list[str]


@api.post("/table", responses={200: ShownRows})
@tabular
def table_as_file(body: ShownTable) -> Response:
    """A table that is shown, as a file in the format asked for: numbers as they are, texts as texts. Nothing is computed or stored."""
    columns = [_column([row[i] for row in body.rows]) for i in range(len(body.columns))]
    table = pa.table(dict(zip(body.columns, columns, strict=True)))
    about = {"receipts": list(body.receipts), "notes": list(body.notes)}
    return table_answer(table, lambda: {"rows": to_rows(table), **about}, name="table", metadata=lambda: about)


def _column(values: Sequence[Any]) -> pa.Array:
    """Numbers where all are, truth values where all are, else texts; whole numbers stay whole where all of them are."""
    kinds = {type(v) for v in values if v is not None}
    if kinds == {bool}:
        return pa.array(values, pa.bool_())
    if kinds == {int} and all(v is None or -(2**63) <= v < 2**63 for v in values):
        return pa.array(values, pa.int64())
    if kinds and kinds <= {int, float}:
        return pa.array([None if v is None else float(v) for v in values], pa.float64())
    return pa.array([None if v is None else v if isinstance(v, str) else str(v) for v in values], pa.string())
