"""The stress language as JSON and as CSV, both exact: reading what was written gives the same document.

In CSV a row is a step; a grid takes a row for each axis, one after another. No cell begins with = + or @, so that a
spreadsheet keeps every cell as it is: amounts are numbers with their unit beside them.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from lake.canonical import canonical_json
from lake.canonical import from_json as parsed
from lake.errors import BadInput, Issue, VarlakeError, counted, nearest, unknown
from lake.landing.rows import check_delimiter
from scenarios.stress import language
from scenarios.stress import model as m

# column: what it holds
COLUMNS = {
    "scenario": "name of the scenario; the same in all its rows, empty when there is only one",
    "step": "shift, multiply, set, curve, include, grid or assert",
    "then": "yes when the step acts on the result of those before it",
    "class": "class of risk factors: " + ", ".join(m.CLASSES),
    "where": "conditions, as between the brackets of the language: region=US, sector=Energy",
    "value": "number: the amount, the factor, the level, the scale of an include, or the start of an axis",
    "unit": "unit of the number: " + ", ".join(m.UNITS) + " or a currency",
    "shape": "parallel, or a curve shape with its amounts: steepener(2Y:-10bp, 30Y:+40bp)",
    "moving": "for a currency cross: the currency whose held pair moves",
    "to": "end of a grid's axis",
    "increment": "step of a grid's axis",
    "compare": "comparison of an assertion: < <= > >=",
    "include": "name or id of the scenario to include",
    "label": "which of its scenarios",
}
# step: the columns it must have, and those it may have
_USES = {
    "shift": ({"class", "value", "unit"}, {"where", "shape", "moving", "then"}),
    "multiply": ({"class", "value"}, {"where", "moving", "then"}),
    "set": ({"class", "value"}, {"where", "unit", "moving", "then"}),
    "curve": ({"class", "shape"}, {"where", "then"}),
    "include": ({"include"}, {"label", "value", "then"}),
    "grid": ({"class", "value", "unit", "to", "increment"}, {"where", "then"}),
    "assert": ({"class", "compare", "value"}, {"where", "unit"}),
}
_NUMBERS = ("value", "to", "increment")
MAX_ROWS = 20_000
_FIELD_COLUMN = {
    "select": "class",
    "start": "value",
    "stop": "to",
    "comparison": "compare",
    "name": "include",
    "scale": "value",
}


def to_json(document: m.Document) -> str:
    """Canonical JSON of the document."""
    return canonical_json(document.model_dump(mode="json", by_alias=True, exclude_none=True))


def from_json(source: str | Mapping[str, Any]) -> m.Document:
    """The document of a JSON text or of the mapping it holds; raises `BadInput` listing every fault with its pointer."""
    if isinstance(source, str):
        if len(source) > 10 * language.MAX_TEXT:
            raise BadInput(f"The JSON has {len(source):,} characters; at most {10 * language.MAX_TEXT:,} are read.")
        try:
            source = parsed(source)
        except ValueError as error:
            raise BadInput(f"The scenario is no JSON: {error}.") from None
    if not isinstance(source, Mapping):
        raise BadInput('Expected a JSON object {"scenarios": [...]}.')
    try:
        return m.Document.model_validate(source)
    except ValidationError as error:
        raise _refused(error) from None


def _refused(error: ValidationError) -> BadInput:
    issues = []
    for fault in error.errors(include_url=False):
        if fault["type"] == "too_short" and fault["input"]:
            continue  # its items are wrong, and told by themselves
        # pydantic puts the kind of a step behind its number
        loc = [x for i, x in enumerate(fault["loc"]) if not (i > 1 and fault["loc"][i - 2] == "steps")]
        allowed: tuple[str, ...] = ()
        if fault["type"] == "extra_forbidden":
            allowed = tuple(m.Document.model_fields) if len(loc) == 1 else ()
        elif fault["type"] in ("union_tag_invalid", "union_tag_not_found"):
            allowed = tuple(_USES)
        message = fault["msg"].removeprefix("Value error, ")
        issues.append(Issue("/" + "/".join(map(str, loc)), message, str(fault["input"])[:80], allowed))
    listed = "".join(f"\n  {i.pointer}: {i.message} (given {i.value})" for i in issues[:50])
    return BadInput(f"The stress document has {counted(len(issues), 'fault')}.{listed}", issues=issues)


def to_csv(document: m.Document) -> str:
    """The document as CSV, with every column."""
    out = io.StringIO()
    writer = csv.DictWriter(out, list(COLUMNS), restval="", lineterminator="\n")
    writer.writeheader()
    for scenario in document.scenarios:
        for step in scenario.steps:
            for row in _rows(step):
                writer.writerow({"scenario": scenario.name or "", "step": step.step, **row})
    return out.getvalue()


def _rows(step: Any) -> list[dict[str, Any]]:
    row: dict[str, Any] = {"then": "yes"} if getattr(step, "then", False) else {}
    if isinstance(step, m.Include):
        return [{**row, "include": step.name, "label": step.label or "", "value": language.plain(step.scale)}]
    if isinstance(step, m.Grid):
        return [
            {
                **(row if i == 0 else {}),
                **_selected(axis.select),
                "value": language.plain(axis.start),
                "to": language.plain(axis.stop),
                "increment": language.plain(axis.increment),
                "unit": axis.unit,
            }
            for i, axis in enumerate(step.axes)
        ]
    row |= _selected(step.select)
    if isinstance(step, m.Curve):
        return [{**row, "shape": language.shape_text(step)}]
    row |= {"value": language.plain(step.value), "unit": getattr(step, "unit", "")}
    row |= {"shape": getattr(step, "shape", None) or "", "moving": getattr(step, "moving", None) or ""}
    return [row | ({"compare": step.comparison} if isinstance(step, m.Assertion) else {})]


def _selected(select: m.Selector) -> dict[str, str]:
    return {"class": select.risk_class, "where": language.where_text(select.where)}


def from_csv(text: str) -> m.Document:
    """The document of a CSV file; raises `BadInput` listing all faults with row, column, value and what may stand there."""
    read = read_csv(text)
    if read.issues or read.document is None:
        listed = "".join(f"\n  {i.pointer}: {i.message}" for i in read.issues[:50])
        raise BadInput(f"The file has {counted(len(read.issues), 'fault')}.{listed}", issues=read.issues)
    return read.document


@dataclass(frozen=True)
class CsvReading:
    """document : of the rows without fault, None when no scenario is left. rows : JSON pointer of a step to its row.
    issues : faults of the other rows. selectors : what those rows select, by row, where that much is sound.

    Row 1 is the header, as a spreadsheet counts.
    """

    document: m.Document | None
    rows: Mapping[str, int]
    issues: list[Issue]
    selectors: Mapping[int, m.Selector]


def read_csv(text: str) -> CsvReading:
    """All of a CSV file that can be read; raises `BadInput` when it is no table of steps at all."""
    rows, issues = _cells(text)
    selectors: dict[int, m.Selector] = {}
    scenarios: list[tuple[str, list[dict[str, Any]], list[int]]] = []
    for number, row in rows:
        name = row.pop("scenario", "")
        if not scenarios or scenarios[-1][0] != name:
            scenarios.append((name, [], []))
        _, steps, numbers = scenarios[-1]
        step, faults = _step(row, number)
        issues += faults
        if step is None:
            try:
                where = language.parse_where(row.get("where", ""))
                selectors[number] = m.Selector.model_validate({"class": row.get("class", ""), "where": where})
            except (VarlakeError, ValidationError):
                pass  # told already
            continue
        previous = steps[-1] if steps else None
        if step["step"] == "grid" and previous and previous["step"] == "grid":
            previous["axes"] += step["axes"]
            if step.get("then"):
                issues.append(Issue(f"row {number}, column then", "stands in the first row of a grid only", "yes"))
        else:
            steps.append(step)
            numbers.append(number)
    kept = [{"name": name or None, "steps": steps} for name, steps, _ in scenarios if steps]
    places = {
        f"/scenarios/{i}/steps/{j}": number
        for i, (_, _, numbers) in enumerate(s for s in scenarios if s[1])
        for j, number in enumerate(numbers)
    }
    try:
        document = m.Document.model_validate({"scenarios": kept}) if kept else None
        return CsvReading(document, places, issues, selectors)
    except ValidationError as error:
        for fault in error.errors(include_url=False):
            # steps are sound by themselves here: what is left concerns a scenario or the whole file
            scenario = "/" + "/".join(map(str, fault["loc"][:2]))
            row_of = next((n for p, n in places.items() if p.startswith(scenario + "/")), 2)
            issues.append(Issue(f"row {row_of}, column scenario", fault["msg"].removeprefix("Value error, ")))
        return CsvReading(None, places, issues, selectors)


def _cells(text: str) -> tuple[list[tuple[int, dict[str, str]]], list[Issue]]:
    """Filled cells of every row that holds any, with the row's number."""
    if len(text) > 10 * language.MAX_TEXT:
        raise BadInput(f"The file has {len(text):,} characters; at most {10 * language.MAX_TEXT:,} are read.")
    check_delimiter("The file", text.partition("\n")[0])
    reader = csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline=""), strict=True)
    issues: list[Issue] = []
    rows: list[tuple[int, dict[str, str]]] = []
    try:
        header = [h.strip() for h in next(reader, [])]
        for name in header:
            if name not in COLUMNS:
                issues.append(unknown("column", name, COLUMNS, pointer=f"row 1, column {name}").issues[0])
        if "step" not in header or len(set(header)) < len(header):
            raise BadInput(
                f"The first row names the columns, each once, `step` among them; known: {', '.join(COLUMNS)}."
            )
        for number, cells in enumerate(reader, start=2):
            if number > MAX_ROWS:
                raise BadInput(f"The file has more than {MAX_ROWS:,} rows.")
            if len(cells) > len(header):
                extra = cells[len(header)]
                issues.append(Issue(f"row {number}", f"has more cells than the header's {len(header)}", extra))
            filled = {h: c.strip() for h, c in zip(header, cells, strict=False) if c.strip()}
            if filled:
                rows.append((number, filled))
    except csv.Error as error:
        raise BadInput(f"The file is no CSV: line {reader.line_num}: {error}.") from None
    if not rows:
        issues.append(Issue("row 2", "the file has no steps"))
    return rows, issues


def _step(row: dict[str, str], number: int) -> tuple[dict[str, Any] | None, list[Issue]]:
    """The step of a row in the shape the model takes, or None and its faults."""
    issues: list[Issue] = []

    def wrong(column: str, message: str, allowed: tuple[str, ...] = ()) -> None:
        issues.append(Issue(f"row {number}, column {column}", message, row.get(column), allowed))

    kind = row.get("step", "")
    if kind not in _USES:
        wrong("step", f"unknown step {kind!r}", nearest(kind, _USES))
        return None, issues
    needed, optional = _USES[kind]
    for column in sorted(needed - row.keys()):
        wrong(column, f"is empty; a {kind} needs it")
    for column in row:
        if column != "step" and column in COLUMNS and column not in needed | optional:
            wrong(column, f"is not used by a {kind}; leave it empty")
    values: dict[str, Any] = {"step": kind}
    for column in _NUMBERS:
        if column in row:
            try:
                values[column] = float(row[column])
            except ValueError:
                wrong(column, "is no number; write the unit in its own column")
    if "then" in row:
        if row["then"] not in ("yes", "no"):
            wrong("then", "is yes or no", ("yes", "no"))
        values["then"] = row["then"] == "yes"
    where: tuple[m.FactorFilter, ...] = ()
    shape: dict[str, Any] = {}
    try:
        where = language.parse_where(row.get("where", ""))
    except VarlakeError as error:
        wrong("where", error.message, error.issues[0].allowed)
    if kind == "curve" and "shape" in row:
        try:
            shape = language.parse_shape(row["shape"])
        except VarlakeError as error:
            wrong("shape", error.message, error.issues[0].allowed)
    name = row.get("class")
    if name is not None and name not in m.CLASSES:
        wrong("class", f"unknown class {name!r}", nearest(name, m.CLASSES))
    if issues:
        return None, issues
    step = _fields(kind, row, values, {"class": name, "where": where}, shape)
    try:
        m.Scenario.model_validate({"steps": [step, _ANY_MOVE]})
    except ValidationError as error:
        for fault in error.errors(include_url=False):
            known = [str(x) for x in fault["loc"] if str(x) in COLUMNS or str(x) in _FIELD_COLUMN]
            column = _FIELD_COLUMN.get(known[-1], known[-1]) if known else ("shape" if shape else "value")
            wrong(column, fault["msg"].removeprefix("Value error, "))
        return None, issues
    return step, issues


# beside an assertion, which makes no scenario by itself, so that a row can be checked alone
_ANY_MOVE = {"step": "multiply", "select": {"class": "factor"}, "value": 1}


def _fields(
    kind: str, row: dict[str, str], values: dict[str, Any], select: dict[str, Any], shape: dict[str, Any]
) -> dict[str, Any]:
    step: dict[str, Any] = {k: values[k] for k in ("step", "then") if k in values}
    unit = row.get("unit", "")
    if kind == "include":
        return {**step, "name": row["include"], "label": row.get("label"), "scale": values.get("value", 1.0)}
    if kind == "grid":
        axis = {"start": values["value"], "stop": values["to"], "increment": values["increment"], "unit": unit}
        return {**step, "axes": [{"select": select, **axis}]}
    if kind == "curve":
        return {**step, "select": select, **shape}
    step |= {"select": select, "value": values["value"]}
    if kind == "assert":
        return {**step, "unit": unit, "comparison": row["compare"]}
    step["moving"] = row.get("moving")
    if kind == "shift":
        return {**step, "unit": unit, "shape": row.get("shape")}
    return {**step, "unit": unit} if kind == "set" else step
