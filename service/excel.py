"""The workbook that asks questions: its parameters, the address of every question made of them, and what Power Query is given."""

from __future__ import annotations

import datetime as dt
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote

from aggregation.questions import QUESTIONS
from lake.errors import BadInput, Issue
from service.choices import Input, example_of, first_values, in_addresses, inputs_of
from service.encoding import Sheet

FORMATS = ("xlsx", "csv", "json", "parquet")  # of the answers that the addresses ask for
# characters: of an address that every program passes on, of one that HYPERLINK takes
ADDRESS_MOST, LINK_MOST = 2_000, 255
ADDRESS = r"^https?://([A-Za-z0-9.-]+|\[[0-9A-Fa-f:]+\])(:[0-9]{1,5})?(/[A-Za-z0-9._~/-]*)?$"  # of a service, perhaps behind a proxy
_PREFIX = "/api/v1/"
_VALUES = 4  # cells for the values of a parameter that takes several
_FIRST = 6  # rows above the parameters
_MEANING = 1 + _VALUES  # column
_IN_ADDRESS = _MEANING + 4  # column of the part of the address; behind it the values as they stand there
_YES_NO = ("true", "false")
# as texts, so that no program makes another day of one
_YELLOW = {"bg_color": "#FFF9E5", "border": 1, "border_color": "#BFBFBF", "num_format": "@"}
_RESERVED = "% &+#=;[]<>?\"',/:"  # by a program without ENCODEURL, in this order
_M = """let
    address = Excel.CurrentWorkbook(){{[Name="address_{name}"]}}[Content]{{0}}[Column1],
    book = Excel.Workbook(Web.Contents(address), true),
    rows = book{{[Item="Answer", Kind="Sheet"]}}[Data]
in
    rows"""


@dataclass(frozen=True)
class _Row:
    """A parameter on its sheet. used_by : the questions that take it. values : what stands there at first."""

    given: Input
    used_by: tuple[str, ...]
    values: tuple[str, ...]
    example: tuple[str, ...]
    at: int

    @property
    def part(self) -> str:
        """What it adds to an address, at first."""
        return "".join(f"&{self.given.name}={encoded(v)}" for v in self.values)


def encoded(text: str) -> str:
    """The text in an address."""
    return quote(text, safe="-_.~")


def template(address: str, lists: Mapping[str, Sequence[str]]) -> bytes:
    """The workbook for the service at that address; lists : of its lake, as `service.choices` has them.

    Raises `BadInput` for what is no address.
    """
    import xlsxwriter  # noqa: PLC0415 - for those who ask for it

    if not re.fullmatch(ADDRESS, address):
        message = f"{address!r} is no address of a service; expected one such as http://127.0.0.1:8050."
        raise BadInput(message, issues=(Issue("/address", message, address),))
    address = address.rstrip("/")
    rows = _rows(lists)
    sink = io.BytesIO()
    with xlsxwriter.Workbook(sink, {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False}) as book:
        book.set_properties({"created": dt.datetime(2000, 1, 1), "title": "varlake"})
        parameters, questions, pasted, listed = (
            Sheet(book, n) for n in ("Parameters", "Questions", "Power Query", "Lists")
        )
        places = _list_values(listed, lists, rows)
        _ask_parameters(parameters, address, rows, places)
        book.define_name("address", "=Parameters!$B$2")
        for i, name in enumerate(in_addresses(), start=1):
            book.define_name(f"address_{name.replace('-', '_')}", f"=Questions!$D${i + 1}")
        _ask_questions(questions, address, rows)
        _paste(pasted)
    return sink.getvalue()


def _rows(lists: Mapping[str, Sequence[str]]) -> list[_Row]:
    """A row a parameter; those that differ in more than their words have a row each. Those of most questions come first."""
    users: dict[Input, list[str]] = {}
    described: dict[Input, Input] = {}
    for name in in_addresses():
        for given in inputs_of(name) or ():
            alike = replace(given, description="")
            users.setdefault(alike, []).append(name)
            described.setdefault(alike, given)
    order = sorted(users, key=lambda i: (not i.required, -len(users[i])))
    found = []
    for at, alike in enumerate(order, start=_FIRST):
        given, names = described[alike], users[alike]
        example = next((e for n in names if (e := example_of(n).get(given.name))), ())
        found.append(_Row(given, tuple(names), first_values(given, example, lists), example, at))
    return found


def _list_values(sheet: Sheet, lists: Mapping[str, Sequence[str]], rows: Sequence[_Row]) -> dict[Any, str]:
    """What may be chosen, a column a list; the cells of each, by the name of the lake's list or by the options."""
    found: dict[Any, tuple[str, Sequence[str]]] = {name: (name, values) for name, values in lists.items()}
    options = {r.given.options: r.given.name for r in rows if r.given.options}
    found |= {o: (name, o) for o, name in {**options, FORMATS: "format", _YES_NO: "yes or no"}.items()}
    places = {}
    for j, (key, (name, values)) in enumerate(found.items()):
        sheet.head(j, name, max(map(len, values), default=0))
        for i, value in enumerate(values, start=1):
            sheet.cell(i, j, value, num_format="@")
        if values:
            places[key] = f"=Lists!{_cell(1, j)}:{_cell(len(values), j)}"
    sheet.finish()
    return places


def _ask_parameters(sheet: Sheet, address: str, rows: Sequence[_Row], places: Mapping[Any, str]) -> None:
    made = sheet.sheet
    for first, last, width in ((0, 0, 22), (1, _VALUES, 18), (_MEANING, _MEANING, 60), (_MEANING + 1, _IN_ADDRESS, 24)):
        made.set_column(first, last, width)
    made.set_column(_IN_ADDRESS + 1, _IN_ADDRESS + _VALUES, None, None, {"hidden": True})
    sheet.cell(
        0,
        0,
        "Fill in what is yellow; the sheet Questions has the addresses. What must be given is bold. Lists are of the lake or question.",
    )
    for i, (name, value, meaning) in enumerate(
        (
            ("address", address, "where varlake answers"),
            ("format", FORMATS[0], "of the answers; Power Query wants xlsx"),
        ),
        start=1,
    ):
        sheet.cell(i, 0, name, bold=True)
        sheet.cell(i, 1, value, **_YELLOW)
        sheet.cell(i, _MEANING, meaning)
    made.data_validation(2, 1, 2, 1, {"validate": "list", "source": places[FORMATS]})
    values = ("value", *(f"value {i}" for i in range(2, _VALUES + 1)))
    for j, title in enumerate(("parameter", *values, "meaning", "default", "example", "used by", "in the address")):
        sheet.cell(_FIRST - 1, j, title, bold=True, bottom=1)
    for row in rows:
        _ask_parameter(sheet, row, places)
    made.freeze_panes(_FIRST, 1)
    made.autofilter(_FIRST - 1, 0, rows[-1].at, _IN_ADDRESS)


def _ask_parameter(sheet: Sheet, row: _Row, places: Mapping[Any, str]) -> None:
    asked, made = row.given, sheet.sheet
    options = asked.options or (_YES_NO if asked.kind == "boolean" else ())
    parts = []
    sheet.cell(row.at, 0, asked.name, bold=asked.required)
    for j in range(1, 1 + (_VALUES if asked.several else 1)):
        value = row.values[j - 1] if j <= len(row.values) else ""
        if value:
            sheet.cell(row.at, j, value, **_YELLOW)
        else:
            made.write_blank(row.at, j, None, sheet.format(**_YELLOW))
        if source := places.get(options or asked.of):
            # of the lake's lists other values may be right too, such as a day without a book
            rule = {"error_type": "stop" if options else "warning", "error_message": "This is not on the sheet Lists."}
            made.data_validation(row.at, j, row.at, j, {"validate": "list", "source": source, **rule})
        cell, hidden = _cell(row.at, j), _cell(row.at, _IN_ADDRESS + j)
        formula = f'=IF({cell}="","",IFERROR(_xlfn.ENCODEURL({cell}),{_substituted(cell)}))'
        made.write_formula(row.at, _IN_ADDRESS + j, formula, None, encoded(value))
        parts.append(f'IF({hidden}="","","&{asked.name}="&{hidden})')
    made.write_formula(row.at, _IN_ADDRESS, f"={'&'.join(parts)}", None, row.part)
    about = (asked.description, ", ".join(asked.default), "; ".join(row.example), ", ".join(row.used_by))
    for j, text in enumerate(about, start=_MEANING):
        sheet.cell(row.at, j, text or None)


def _substituted(cell: str) -> str:
    """What ENCODEURL gives of characters that a program without it, such as Excel on a Mac, would leave as they are."""
    for letter in _RESERVED:
        quoted = letter.replace('"', '""')
        cell = f'SUBSTITUTE({cell},"{quoted}","{encoded(letter)}")'
    return cell


def _ask_questions(sheet: Sheet, address: str, rows: Sequence[_Row]) -> None:
    made = sheet.sheet
    for j, (title, width) in enumerate(
        (("question", 18), ("what it answers", 70), ("still needs", 24), ("address", 60), ("open", 24))
    ):
        sheet.head(j, title, width)
    base = 'IF(RIGHT(address,1)="/",LEFT(address,LEN(address)-1),address)'
    for i, name in enumerate(in_addresses(), start=1):
        used = [r for r in rows if name in r.used_by]
        needs = "&".join(f'IF(Parameters!$B${r.at + 1}="","{r.given.name} ","")' for r in used if r.given.required)
        missing = " ".join(r.given.name for r in used if r.given.required and not r.values)
        asked = f"{address}{_PREFIX}{name}?format={FORMATS[0]}" + "".join(r.part for r in used)
        parts = "".join(f"&Parameters!${_letters(_IN_ADDRESS)}${r.at + 1}" for r in used)
        link = (
            f'=IF(C{i + 1}<>"","needs "&C{i + 1},IF(LEN(D{i + 1})>{ADDRESS_MOST},"too long: send it as the body of a POST",'
            f'IF(LEN(D{i + 1})>{LINK_MOST},"copy the address",HYPERLINK(D{i + 1},"open"))))'
        )
        shown = f"needs {missing}" if missing else "open" if len(asked) <= LINK_MOST else "copy the address"
        sheet.cell(i, 0, name, bold=True)
        sheet.cell(i, 1, QUESTIONS[name].meaning)
        made.write_formula(i, 2, f"=TRIM({needs})", None, missing)
        made.write_formula(i, 3, f'={base}&"{_PREFIX}{name}?format="&Parameters!$B$3{parts}', None, asked)
        made.write_formula(i, 4, link, sheet.format(font_color="#0563C1"), shown)
    sheet.finish()


def _paste(sheet: Sheet) -> None:
    sheet.head(0, "question", 18)
    sheet.head(1, "Data > Get Data > From Other Sources > Blank Query > Advanced Editor: paste, Done, Close & Load", 80)
    for i, name in enumerate(in_addresses(), start=1):
        sheet.cell(i, 0, name, bold=True, valign="top")
        sheet.cell(i, 1, _M.format(name=name.replace("-", "_")), font_name="Consolas", text_wrap=True)
        sheet.sheet.set_row(i, 15 * (_M.count("\n") + 1))
    sheet.finish()


def _letters(column: int) -> str:
    return chr(ord("A") + column)


def _cell(row: int, column: int) -> str:
    return f"${_letters(column)}${row + 1}"
