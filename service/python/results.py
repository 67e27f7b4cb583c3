"""What the methods of a lake give: an answer with its table, and figures by name. A notebook shows them with all they say."""

from __future__ import annotations

import html
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pyarrow as pa

from lake.errors import BadInput, NotReady, unknown
from service.encoding import MEDIA_TYPES

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

_SHOWN = 50  # rows in a notebook
_DIGEST = 12  # characters of a receipt's digest that name it
_STYLE = "text-align:right;font-variant-numeric:tabular-nums"
_BELOW = "margin:0.3em 0;color:#666;font-size:90%"


class Source(Protocol):
    """Where an answer came from."""

    def said(self) -> dict[str, Any]:
        """All that it says, as JSON has it."""

    def picture(self, kind: str) -> bytes:
        """It drawn, as svg, png or pdf."""

    def replayed(self, answer: Mapping[str, Any]) -> dict[str, Any]:
        """The same question asked again of the lake as it was."""


class Figures(dict[str, Any]):
    """Figures by name, as JSON has them: `plan["ready"]` or `plan.ready`."""

    def __getattr__(self, name: str) -> Any:
        if name in self:
            value = self[name]
            return Figures(value) if isinstance(value, dict) else value
        raise AttributeError(unknown("figure", name, self).message)

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self]

    def _repr_html_(self) -> str:
        return _pairs(self)


class Picture:
    """A picture, which a notebook shows. kind : svg, png or pdf."""

    def __init__(self, data: bytes, kind: str) -> None:
        self.data, self.kind = data, kind

    def save(self, path: str | Path) -> Path:
        """Writes it to a file; returns the path."""
        path = Path(path)
        try:
            path.write_bytes(self.data)
        except OSError as error:
            raise BadInput(f"{path} cannot be written: {error.strerror or error}. Name another file.") from None
        return path

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        return {
            MEDIA_TYPES[self.kind]: self.data.decode() if self.kind == "svg" else self.data,
            "text/plain": repr(self),
        }

    def __repr__(self) -> str:
        return f"<picture, {self.kind}, {len(self.data):,} bytes>"


class Answer:
    """The answer to a question.

    question : its name. asked : what was asked, with its defaults. rows : its table, in Arrow. coverage : how much of the positions it
    rests on, where it says so, of each of several points by itself. notes : what has to be known beside the figures. receipt : every
    input, by version and digest. beside : what stands beside the rows, such as the total and the units of the columns. Whatever else
    the answer says is there by its name: `answer["scenarios"]`.
    """

    def __init__(self, question: str, rows: pa.Table, about: Mapping[str, Any], source: Source) -> None:
        """about : `service.encoding.about_answer`."""
        self.question, self.rows = question, rows
        self.receipt: dict[str, Any] = dict(about["receipt"])
        self.asked: dict[str, Any] = dict(about["question"])
        self.notes: tuple[str, ...] = tuple(about.get("notes", ()))
        self.coverage: dict[str, Any] | list[dict[str, Any]] | None = about.get("coverage")
        self._source = source
        # another question of a service, which the rest of the answer is, would take as long again
        self.beside = {k: v for k, v in about.items() if k != "question"}
        self._said: dict[str, Any] | None = None

    def to_arrow(self) -> pa.Table:
        """The table as Arrow."""
        return self.rows

    def to_pandas(self) -> pd.DataFrame:
        """The table as a pandas DataFrame, dates as datetime64."""
        return self.rows.to_pandas(date_as_object=False)

    def to_polars(self) -> pl.DataFrame:
        """The table as a Polars DataFrame; raises `NotReady` where Polars is not installed."""
        try:
            import polars  # noqa: PLC0415 - optional
        except ImportError:
            raise NotReady("Polars is not installed; install it with `pip install polars`.") from None
        return polars.DataFrame(self.rows)

    def to_dict(self) -> dict[str, Any]:
        """All that the answer says, as JSON has it."""
        if self._said is None:
            self._said = self._source.said()
        return self._said

    def plot(self, path: str | Path | None = None) -> Picture:
        """The answer drawn, for a notebook, or to a file whose ending says how: .svg, .png or .pdf.

        Raises `BadInput` for a question without a picture.
        """
        from service.rendering.answers import PICTURES  # noqa: PLC0415 - for those who want one
        from service.rendering.figure import check_ending  # noqa: PLC0415

        if self.question not in PICTURES:
            raise BadInput(f"There is no picture of {self.question}; there are of {', '.join(PICTURES)}.")
        if path is not None:
            check_ending(Path(path))
        kind = "svg" if path is None else Path(path).suffix[1:]
        picture = Picture(self._source.picture(kind), kind)
        if path is not None:
            picture.save(path)
        return picture

    def replay(self) -> Figures:
        """The same question asked again of the lake as it was: the verdict, and every figure and input that is not as it was."""
        return Figures(self._source.replayed(self.to_dict()))

    def __getitem__(self, name: str) -> Any:
        if name in self.beside:
            return self.beside[name]
        said = self.to_dict()
        if name not in said:
            raise unknown("figure of the answer", name, said)
        return said[name]

    def __len__(self) -> int:
        return int(self.rows.num_rows)

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        """Lets pandas, Polars, DuckDB and others take the answer itself as a table."""
        return self.rows.__arrow_c_stream__(requested_schema)

    def __repr__(self) -> str:
        shown = self.rows.slice(0, _SHOWN)
        lines = [f"{self.question}, {self._about()}", *_text_rows(shown), *self._more()]
        return "\n".join([*lines, *(f"Note: {note}" for note in self.notes)])

    def _repr_html_(self) -> str:
        shown = self.rows.slice(0, _SHOWN)
        below = [*self._more(), self._about(), *(f"Note: {note}" for note in self.notes)]
        return _table(shown) + "".join(f'<p style="{_BELOW}">{html.escape(line)}</p>' for line in below)

    def _more(self) -> list[str]:
        left = self.rows.num_rows - _SHOWN
        return [f"... and {left:,} more rows"] if left > 0 else []

    def _about(self) -> str:
        """The date, the currency, the coverage and the receipt in a line."""
        days = [
            str(self.asked[k])
            for k in ("as_of", "from", "to")
            if k in self.asked and not isinstance(self.asked[k], dict)
        ]
        said = [" to ".join(days), str(self.asked.get("currency") or "")]
        for one in self.coverage if isinstance(self.coverage, list) else [self.coverage or {}]:
            if "covered" in one:
                said.append(f"{one['covered']:,} of {one['positions']:,} positions covered ({one['status']})")
        said.append(f"receipt {self.receipt['receipt_digest'][:_DIGEST]}")
        return ", ".join(part for part in said if part)


def _cells(table: pa.Table) -> Iterator[tuple[Sequence[Any], Sequence[str]]]:
    from service.rendering.display import text  # noqa: PLC0415 - brings rich

    for row in table.to_pylist():
        values = list(row.values())
        yield values, [text(v) for v in values]


def _text_rows(table: pa.Table) -> list[str]:
    rows = [table.column_names, *(cells for _, cells in _cells(table))]
    widths = [max(len(row[i]) for row in rows) for i in range(table.num_columns)]
    return ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _table(table: pa.Table) -> str:
    head = "".join(f"<th>{html.escape(name)}</th>" for name in table.column_names)
    body = []
    for values, cells in _cells(table):
        tags = (
            f'<td style="{_STYLE}">' if isinstance(v, int | float) else '<td style="text-align:left">' for v in values
        )
        body.append("<tr>" + "".join(f"{t}{html.escape(c)}</td>" for t, c in zip(tags, cells, strict=True)) + "</tr>")
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(body)}</tbody></table>"


def _pairs(figures: Mapping[str, Any]) -> str:
    from service.rendering.display import text  # noqa: PLC0415 - brings rich

    rows = (f"<tr><th>{html.escape(k)}</th><td>{html.escape(text(v))}</td></tr>" for k, v in figures.items())
    return f"<table><tbody>{''.join(rows)}</tbody></table>"
