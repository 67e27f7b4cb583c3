"""One suite over QUESTIONS: command line, HTTP, replay and Python give the same bits, the same plan and the same errors."""

from __future__ import annotations

import html
import io
import json
import math
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.ipc as ipc
import pyarrow.parquet as pq
import pytest
import python_calamine
from command_line import refused, varlake
from flask.testing import FlaskClient
from once import built_once
from rich.cells import cell_len
from server import serving

import varlake as varlake_in_python
from aggregation import questions
from aggregation.opened.opened_lake import VectorCache
from aggregation.questions import QUESTIONS
from aggregation.replay import replay
from aggregation.session import Session, reading
from lake.committer import Committer
from lake.errors import BadInput, NotValued, VarlakeError
from lake.tables import Lake
from service.api.app import create_app
from service.cli.questions import arguments_of, columns_option, option_names
from service.config import Settings
from service.encoding import MEDIA_TYPES
from service.parameters import parameters_of
from service.python.in_process import LakeInProcess
from service.python.methods import python_name
from service.python.remote import RemoteLake
from service.rendering.answers import PICTURES

VOLATILE = ("timings_ms", "reduce", "receipt_digest")
NAMES = list(QUESTIONS)
WIDTHS = [80, pytest.param(140, marks=pytest.mark.slow)]  # of terminals
# in their examples counts, sensitivities or real prices are given
OF_NO_POSITIONS = ("backtest-counts", "sa-cva", "rfet")
OF_NO_MONEY = ("backtest-counts", "pla", "desk-eligibility", "rfet")


@pytest.fixture(scope="module")
def lake(tried: list[str], demo_lake: Path, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """What the examples rest on is valued once, question by question, as `--value` does it; of those that are tried in this run."""

    def build(folder: Path) -> Lake:
        made = Lake.open(shutil.copytree(demo_lake, folder / "lake"))
        for name in tried:
            value_first(made, name)
        return made

    return Lake.open(built_once(tmp_path_factory, "questions", build))


def value_first(made: Lake, name: str) -> None:
    """The example is not answered before it is valued, and its plan is empty thereafter."""
    query = example(name)
    session = reading(made)
    before = questions.plan(session, name, query)
    json.dumps(before.to_dict(), default=str)
    if before.ready:
        return
    if name != "backtest":  # it answers of the days that are valued, and names the others
        with pytest.raises(NotValued):
            questions.ask(session, name, query)
    with Committer(made, "test") as committer:
        questions.value(Session(made, VectorCache(made), committer), name, query)
    after = questions.plan(session, name, query)
    assert after.ready, name
    assert all(p.work.num_rows == 0 for _, _, p in after.valuations), name


@pytest.fixture(scope="module")
def client(lake: Lake) -> FlaskClient:
    return create_app(Settings(lake=lake.path)).test_client()


def example(name: str) -> Any:
    return questions.read(name, questions.question(name).example)


def steady(value: Any) -> Any:
    """An answer without what is of one run alone."""
    if isinstance(value, dict):
        return {k: steady(v) for k, v in value.items() if k not in VOLATILE}
    return [steady(v) for v in value] if isinstance(value, list) else value


def asked(lake: Lake, name: str) -> Any:
    return questions.ask(reading(lake), name, example(name))


def as_data(result: Any) -> dict[str, Any]:
    return json.loads(json.dumps(result.to_dict(), default=str))


@pytest.mark.parametrize("name", NAMES)
def test_command_line_http_and_python_answer_alike(name: str, lake: Lake, client: FlaskClient) -> None:
    question = questions.question(name)
    expected = steady(as_data(asked(lake, name)))
    done = varlake(name, *arguments_of(question.query, question.example), "--json", lake=lake.path)
    assert done.returncode in (0, 1), done.stderr
    assert steady(json.loads(done.stdout)) == expected
    body = dict(question.example)
    answer = client.post(f"/api/v1/{name}", json=json.loads(json.dumps(body)))
    assert answer.status_code == 200, answer.get_data(as_text=True)
    given = answer.get_json()
    given.pop("next_cursor", None)
    assert steady(given) == expected
    if in_address(name) and client.get(f"/api/v1/{name}", query_string=address(name)).status_code != 405:
        got = client.get(f"/api/v1/{name}", query_string=address(name))
        assert got.status_code == 200, got.get_data(as_text=True)
        assert steady({k: v for k, v in got.get_json().items() if k != "next_cursor"}) == expected


def in_address(name: str) -> bool:
    """Whether an address can hold the example, which may have objects."""
    question = questions.question(name)
    return all(p.in_address for p in parameters_of(question.query) if p.name in question.example)


def address(name: str) -> list[tuple[str, str]]:
    """The example as parameters of an address."""
    found = []
    for key, value in questions.question(name).example.items():
        values = value if isinstance(value, list) else [value]
        found += [(key, str(v)) for v in values]
    return found


@pytest.fixture(scope="module")
def in_python(lake: Lake) -> Iterator[tuple[LakeInProcess, RemoteLake]]:
    with serving(lake.path, web_only=True) as (_, address), varlake_in_python.connect(address) as remote:
        yield varlake_in_python.open(lake.path), remote


@pytest.mark.parametrize("name", NAMES)
def test_python_answers_alike_in_process_and_over_http(
    name: str, lake: Lake, in_python: tuple[LakeInProcess, RemoteLake]
) -> None:
    expected = asked(lake, name)
    given = {python_name(key): value for key, value in questions.question(name).example.items()}
    pictures = []
    for door in in_python:
        answer = getattr(door, python_name(name))(**given)
        assert answer.rows.equals(expected.rows.replace_schema_metadata(None))
        assert steady(answer.to_dict()) == steady(as_data(expected))
        assert answer.notes == tuple(expected.notes)
        for digest in ("answer_digest", "receipt_digest"):
            assert answer.receipt[digest] == expected.receipt[digest]
        assert answer.replay().verdict == "same bits"
        for shown in (repr(answer), answer._repr_html_()):
            assert answer.receipt["receipt_digest"][:12] in shown
            assert all(note in html.unescape(shown) for note in answer.notes)
        if name == "stress":  # drawn as a grid of two axes alone
            with pytest.raises(VarlakeError, match="There is no picture to draw: it is of a grid"):
                answer.plot()
        elif name in PICTURES:
            pictures.append(re.sub(rb"Receipt \w+", b"", answer.plot().data))
        else:
            with pytest.raises(BadInput, match=f"There is no picture of {name}"):
                answer.plot()
        assert steady(door.plan(name, **given)) == steady(
            json.loads(json.dumps(questions.plan(reading(lake), name, example(name)).to_dict(), default=str))
        )
    assert len(set(pictures)) == (name in PICTURES and name != "stress")


def test_the_page_of_python_does_what_it_says(lake: Lake, capsys: pytest.CaptureFixture[str]) -> None:
    page = (Path(__file__).parents[2] / "docs" / "python.md").read_text()
    code = "\n".join(re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL))
    code = code.replace('"demo-lake/lake"', repr(str(lake.path)))
    done: dict[str, Any] = {}
    exec(code, done)
    assert done["desks"].replay().verdict == "same bits"
    asked = questions.read(
        "compare", {"from": "2020-02-14", "to": "2020-03-16", "by": ["desk"], "where": ["desk!=Treasury"]}
    )
    assert done["change"].rows.equals(questions.ask(reading(lake), "compare", asked).rows)
    assert len(done["fall"]) == len(done["table"]) == len(done["desks"])
    assert capsys.readouterr().out == "Unknown dimension 'dsk'. Nearest valid: desk.\n"


@pytest.mark.parametrize("name", NAMES)
def test_every_format_holds_the_figures_of_json(name: str, lake: Lake, client: FlaskClient) -> None:
    table = asked(lake, name).rows
    body = json.loads(json.dumps(dict(questions.question(name).example)))

    def got(kind: str) -> bytes:
        return client.post(f"/api/v1/{name}", json=body, headers={"Accept": MEDIA_TYPES[kind]}).get_data()

    for read in (ipc.open_stream(got("arrow")).read_all(), pq.read_table(io.BytesIO(got("parquet")))):
        assert read.replace_schema_metadata(None).equals(table.replace_schema_metadata(None))
        assert json.loads(read.schema.metadata[b"receipt"])["kind"] == name
    written = pacsv.read_csv(io.BytesIO(got("csv"))) if table.num_rows else None
    book = python_calamine.load_workbook(io.BytesIO(got("xlsx")))
    sheet = book.get_sheet_by_name("Answer").to_python()
    assert sheet[0] == table.column_names
    assert ["receipt.kind", name] in [row[:2] for row in book.get_sheet_by_name("Context").to_python()]
    for j, column in enumerate(table.column_names if written is not None else ()):
        if pa.types.is_floating(table[column].type) and table[column].null_count < len(table):
            values = table[column].to_pylist()
            assert written[column].to_pylist() == values, column
            # Excel is written with 16 digits
            assert [row[j] for row in sheet[1:]] == [
                pytest.approx(v, rel=1e-14) if v is not None else "" for v in values
            ]


@pytest.mark.parametrize("name", NAMES)
def test_a_receipt_names_the_question_and_replays_to_the_bit(name: str, lake: Lake, tmp_path: Path) -> None:
    answer = asked(lake, name)
    assert answer.receipt["kind"] == name
    done = replay(lake, answer.receipt)
    assert done.verdict == "same bits", (done.why, done.inputs)
    rests_on = {"code", "libraries"} | (set() if name in OF_NO_POSITIONS else {"positions", "pricers"})
    assert rests_on <= {i.input.split(" ")[0] for i in done.inputs}
    file = tmp_path / "answer.json"
    file.write_text(json.dumps(as_data(answer)))
    told = varlake("replay", file, lake=lake.path)
    assert told.returncode == 0, told.stdout + told.stderr


def falsify(value: Any, path: str = "") -> str | None:
    """Changes the first number with decimals in its last bit; its JSON pointer."""
    for key, v in value.items() if isinstance(value, dict) else enumerate(value):
        if isinstance(v, float):
            value[key] = math.nextafter(v, math.inf)
            return f"{path}/{key}"
        found = falsify(v, f"{path}/{key}") if isinstance(v, dict | list) else None
        if found is not None:
            return found
    return None


@pytest.mark.parametrize("name", [n for n in NAMES if n != "rfet"])  # which has counts alone
def test_a_figure_that_was_changed_is_named(name: str, lake: Lake, tmp_path: Path) -> None:
    """One figure of each part of the answer is changed in its last bit, and no digest is; replay names each."""
    kept = as_data(asked(lake, name))
    told = json.loads(json.dumps(kept))
    parts = [k for k in kept if k not in ("receipt", "receipts", "notes")]
    places = [place for k in parts if isinstance(kept[k], dict | list) and (place := falsify(kept[k], f"/{k}"))]
    places += [f"/{k}" for k in parts if isinstance(kept[k], float)]
    kept.update({k: kept[k] + 1.0 for k in parts if isinstance(kept[k], float)})
    assert places, "an answer without a figure"
    kept["notes"] = [*kept["notes"], "All is well."]
    done = replay(lake, kept)
    assert done.verdict == "altered"
    assert {c.place for c in done.changed} == {*places, "/notes"}
    for c in done.changed:
        if c.place != "/notes":
            assert c.shown == json.dumps(at(kept, c.place))
            assert c.recomputed == json.dumps(at(told, c.place))
            assert c.column in c.place
    file = tmp_path / "answer.json"
    file.write_text(json.dumps(kept))
    said = varlake("replay", file, lake=lake.path)
    assert said.returncode == 1
    assert all(place in said.stdout for place in places)
    assert "altered" in said.stderr


def at(value: Any, place: str) -> Any:
    for key in place.split("/")[1:]:
        value = value[int(key) if isinstance(value, list) else key]
    return value


@pytest.mark.parametrize("name", NAMES)
def test_the_digest_covers_every_table_that_is_shown(name: str, lake: Lake) -> None:
    """One figure of the answer changed in its last bit, and the digest is another."""
    from dataclasses import replace

    from aggregation.question import answer_digest

    answer = asked(lake, name)
    digest = answer_digest(answer)
    assert digest == answer.receipt["answer_digest"]
    assert answer_digest(replace(answer, notes=(*answer.notes, "more"))) != digest
    fields = {f for f in type(answer).__dataclass_fields__ if isinstance(getattr(answer, f), pa.Table)}
    for field in fields:
        table = getattr(answer, field)
        for i, kind in enumerate(table.schema.types):
            values = table.column(i).to_pylist()
            if pa.types.is_float64(kind) and values and values[0] is not None:
                changed = table.set_column(i, table.schema.field(i), pa.array([values[0] + 1.0, *values[1:]], kind))
                assert answer_digest(replace(answer, **{field: changed})) != digest, (field, table.column_names[i])
                break


@pytest.mark.parametrize("name", NAMES)
def test_the_plan_is_the_same_at_every_door(name: str, lake: Lake, client: FlaskClient) -> None:
    question = questions.question(name)
    expected = json.loads(json.dumps(questions.plan(reading(lake), name, example(name)).to_dict(), default=str))
    body = json.loads(json.dumps(dict(question.example)))
    answer = client.post(f"/api/v1/{name}/plan", json=body)
    assert answer.status_code == 200, answer.get_data(as_text=True)
    assert answer.get_json() == expected
    if question.plan is not None:
        done = varlake(name, *arguments_of(question.query, question.example), "--plan", "--json", lake=lake.path)
        assert json.loads(done.stdout) == expected


@pytest.mark.parametrize("name", [n for n in NAMES if "currency" in questions.question(n).query.model_fields])
def test_bad_input_gives_the_same_error_at_every_door(name: str, lake: Lake, client: FlaskClient) -> None:
    question = questions.question(name)
    given = {**question.example, "currency": "dollars"}
    with pytest.raises(BadInput) as error:
        questions.read(name, given)
    said = error.value.message
    done = varlake(name, *arguments_of(question.query, question.example), "--currency", "dollars", lake=lake.path)
    assert done.returncode == 2
    assert said.replace("currency: ", "--currency: ", 1) in " ".join(done.stderr.split())
    answer = client.post(f"/api/v1/{name}", json=json.loads(json.dumps(given)))
    assert answer.status_code == 422
    assert answer.get_json()["detail"] == said
    address_of = [(k, v) for k, v in address(name) if k != "currency"]
    got = client.get(f"/api/v1/{name}", query_string=[*address_of, ("currency", "dollars")])
    if in_address(name) and got.status_code != 405:
        assert got.get_json()["detail"] == said


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", NAMES)
def test_the_text_fits_the_terminal(name: str, width: int, lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    """No line is wider; a figure of the full text is there as it is, or the text names columns that it leaves out."""
    line = [name, *arguments_of(questions.question(name).query, questions.question(name).example)]
    full = varlake(*line, lake=lake.path)
    monkeypatch.setenv("COLUMNS", str(width))
    fitted = varlake(*line, lake=lake.path)
    everything = varlake(*line, columns_option(name), "all", lake=lake.path)
    assert full.returncode == fitted.returncode == everything.returncode
    for shown in (fitted, everything):
        assert max(map(cell_len, (shown.stdout + shown.stderr).splitlines())) <= width
    left_out = f"Left out at a width of {width}: "
    assert left_out not in full.stdout + everything.stdout
    figures = set(re.findall(r"[-+]?[\d,.]*\d%?(?=\s)", full.stdout))
    assert figures
    assert figures <= set(re.findall(r"[-+]?[\d,.]*\d%?(?=\s)", everything.stdout))
    if left_out in fitted.stdout:
        (option,) = set(re.findall(r"(--[\w-]+)\s+all\s+shows\s+them\.", fitted.stdout))
        assert option == columns_option(name)
    else:
        assert figures <= set(re.findall(r"[-+]?[\d,.]*\d%?(?=\s)", fitted.stdout))


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize(
    "line",
    [
        ("lake",),
        ("dimensions", "--as-of", "2020-03-16"),
        ("scenarios", "list"),
        ("scenarios", "show", "historical-500", "--as-of", "2020-03-16"),
        ("scenarios", "preview", "equity -20%", "--as-of", "2020-03-16", "--plausibility"),
        ("standard", "list"),
        ("value", "--as-of", "2020-03-16", "--plan"),
        ("var", "--as-of", "2020-03-16", "--plan"),
        ("doctor",),
    ],
    ids=" ".join,
)
def test_other_tables_fit_the_terminal(
    line: tuple[str, ...], width: int, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    done = varlake(*line, lake=lake.path)
    assert done.returncode == 0, done.stderr
    assert max(map(cell_len, (done.stdout + done.stderr).splitlines())) <= width


@pytest.mark.parametrize("name", [n for n in NAMES if n not in OF_NO_MONEY])
def test_money_in_millions_is_the_money_of_the_full_text(name: str, lake: Lake) -> None:
    """Cell by cell: a cell is as it was, or a millionth of it in two decimals, and the heading then says so."""
    line = [name, *arguments_of(questions.question(name).query, questions.question(name).example)]
    full, short = (varlake(*line, "--units", unit, lake=lake.path).stdout for unit in ("1", "million"))
    # the figures before the histogram and the sparklines stand in the same order in both
    one, other = (re.findall(r"(?<=\s)-?[\d,]*\.?\d+(?:e[-+]\d+)?(?=\s)", text) for text in (full, short))
    assert len(one) == len(other)
    changed = [(a, b) for a, b in zip(one, other, strict=True) if a != b]
    for a, b in changed:
        assert re.fullmatch(r"-?[\d,]+\.\d\d", b), (a, b)
        assert float(b.replace(",", "")) == pytest.approx(float(a.replace(",", "")) / 1e6, abs=0.00501), (a, b)
    assert changed
    assert "(money in millions)" in short
    assert "(money in" not in full


def test_columns_and_units_are_of_the_tables_alone(lake: Lake, tmp_path: Path) -> None:
    line = ["var", "--as-of", "2020-03-16", "--by", "desk", "--measure", "var,es"]
    plain = varlake(*line, "--json", "--csv", tmp_path / "plain.csv", lake=lake.path)
    more = ("--units", "million", "--columns", "desk,es_0.99")
    short = varlake(*line, "--json", "--csv", tmp_path / "short.csv", *more, lake=lake.path)
    assert steady(json.loads(short.stdout)) == steady(json.loads(plain.stdout))
    rows = [
        pacsv.read_csv(
            io.BytesIO(b"".join(x for x in f.read_bytes().splitlines(True) if not x.startswith(b"#")))
        ).to_pylist()
        for f in (tmp_path / "plain.csv", tmp_path / "short.csv")
    ]
    assert rows[0] == rows[1]
    assert varlake(*line, *more, lake=lake.path).stdout.splitlines()[1].split() == ["desk", "es_0.99"]
    assert "Nearest valid: es_0.99" in refused(*line, "--columns", "desk,es_0.9", lake=lake.path)
    assert "Unknown unit of money 'millions'. Nearest valid: million" in refused(
        *line, "--units", "millions", lake=lake.path
    )
    crossed = ["pivot", "--as-of", "2020-03-16", "--row", "desk", "--column", "legal_entity"]
    across = varlake(*crossed, "--table-columns", "desk,total", lake=lake.path).stdout
    assert across.splitlines()[1].split() == ["desk", "total"]


@pytest.mark.parametrize("name", NAMES)
def test_what_a_question_is_called_and_takes(name: str) -> None:
    entry, question = QUESTIONS[name], questions.question(name)
    assert entry.meaning.endswith(".")
    assert question.query.__doc__
    options = [o for p in parameters_of(question.query) for o in option_names(p)]
    assert len(set(options)) == len(options)
    assert all(p.description for p in parameters_of(question.query)), name
    again = question.query.model_validate_json(example(name).model_dump_json(by_alias=True))
    assert again == example(name)


def test_an_unknown_name_gets_the_nearest(client: FlaskClient) -> None:
    with pytest.raises(BadInput, match="what-if"):
        questions.question("whatif")
    assert "what-if" in varlake("whatif").stderr
    assert "what-if" in client.get("/api/v1/whatif").get_json()["detail"]
