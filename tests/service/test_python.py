"""`import varlake`: what is given as Python has it, what is wrong, what is stored, and what a notebook shows."""

from __future__ import annotations

import inspect
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from server import engine_of, serving
from small_lake import FRIDAY, MONDAY, SCENARIOS, build_lake
from test_engine import wait_for
from users import with_users

import varlake
from lake.tables import Lake
from service.jobs import JobTable
from service.python import stub
from service.python.lakes import Lake as Opened
from service.python.works import WORKS

SHARE = {
    **dict.fromkeys(("portfolio", "instrument", "client", "account", "book", "legal_entity", "counterparty"), "x"),
    "desk": "Options",
    "instrument_type": "cash_equity",
    "currency": "USD",
    "underlying": "EQ:AAA",
    "quantity": 7.0,
}
VALUED = {"as_of": MONDAY, "scenarios": {"parameters": {"scenarios": SCENARIOS}}, "runner": "in-process"}


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    return build_lake(tmp_path_factory.mktemp("python") / "lake")


@pytest.fixture(scope="module")
def address(stored: Lake) -> Iterator[str]:
    with serving(stored.path, web_only=False) as (_, url):
        wait_for(lambda: engine_of(url))
        varlake.open(stored.path).value(**VALUED)
        yield url


@pytest.fixture(params=["in process, beside the engine", "over HTTP"])
def opened(request: pytest.FixtureRequest, stored: Lake, address: str) -> Iterator[Opened]:
    if request.param == "over HTTP":
        with varlake.connect(address) as remote:
            yield remote
    else:
        yield varlake.open(stored.path)


def test_importing_varlake_imports_no_library_that_takes_long() -> None:
    code = "import sys, varlake; print(*sorted({m.partition('.')[0] for m in sys.modules}))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"numpy", "pyarrow", "pandas", "numba", "QuantLib", "flask", "httpx2", "rich"} & {*loaded}
    assert "varlake" in loaded


def test_the_stub_is_what_the_questions_say() -> None:
    written = Path(inspect.getfile(stub)).with_name("asked.pyi").read_text()
    assert written == stub.stub(), "write it anew: python -m service.python.stub"


def test_a_method_says_what_it_takes() -> None:
    signature = inspect.signature(Opened.var)
    assert signature.parameters["as_of"].default is inspect.Parameter.empty
    assert signature.parameters["currency"].default == "USD"
    assert all(p.kind is inspect.Parameter.KEYWORD_ONLY for n, p in signature.parameters.items() if n != "self")
    said = inspect.getdoc(Opened.var) or ""
    assert said.startswith("Value-at-Risk and other measures")
    assert "as_of : str | date\n    Valuation date" in said
    assert {*WORKS} <= {*dir(Opened)}


def test_a_question_is_valued_first_where_it_is_asked_so(opened: Opened) -> None:
    fewer = 1 + ("http" in repr(opened))
    parameters = {"scenarios": SCENARIOS - fewer}
    made = opened.make_scenario_set(as_of=FRIDAY, name=f"fewer-{fewer}", method="historical", parameters=parameters)
    assert made["name"] == f"fewer-{fewer}"
    asked = {"as_of": FRIDAY, "by": ["desk"], "scenario_set": made["name"]}
    with pytest.raises(varlake.NotValued, match=r"value=True.*lake\.plan says what that takes\.$") as error:
        opened.var(**asked)
    assert "POST" not in str(error.value)
    answer = opened.var(**asked, value=True)
    assert answer.rows["desk"].to_pylist() == ["Equities", "Options"]
    assert answer.coverage is not None
    assert answer.coverage["status"] == "partial"  # an option of the book has matured
    assert opened.plan("var", **asked).ready
    assert answer.rows.equals(opened.var(**asked).rows)


def test_what_is_given_may_be_of_numpy_pandas_polars_and_arrow(opened: Opened) -> None:
    one = opened.var(as_of="2020-03-16", by="desk, book", where="desk=Equities", levels=[0.95, 0.99])
    assert one.rows.num_rows
    rows = one.to_pandas()
    other = opened.var(
        as_of=pd.Timestamp("2020-03-16"),
        by=pd.Index(["desk", "book"]),
        where=[{"dimension": "desk", "values": ("Equities",)}],
        levels=rows["var_0.95"].to_numpy()[:0].tolist() or (0.95, pd.Series([0.99]).to_numpy()[0]),
        branch=None,
    )
    assert other.rows.equals(one.rows)
    trades = [
        {
            "instrument_type": "cash_equity",
            "currency": "USD",
            "underlying": "EQ:AAA",
            "quantity": 7.0,
            "desk": "Options",
        }
    ]
    answers = [
        opened.what_if(as_of=MONDAY, add=add).rows
        for add in (trades, trades[0], pd.DataFrame(trades), pl.DataFrame(trades), pa.Table.from_pylist(trades))
    ]
    assert all(a.equals(answers[0]) for a in answers)


def test_one_of_several_values_is_given_by_the_singular(opened: Opened) -> None:
    one = opened.var(as_of=MONDAY, measure="es", level=0.95)
    assert one.rows.equals(opened.var(as_of=MONDAY, measures=["es"], levels=[0.95]).rows)


def test_an_answer_is_a_table_for_pandas_polars_and_arrow(opened: Opened) -> None:
    answer = opened.var(as_of=MONDAY, by="desk")
    assert len(answer) == 2
    expected = answer.to_arrow()["var_0.99"].to_pylist()
    assert answer.to_pandas()["var_0.99"].tolist() == expected
    assert answer.to_polars()["var_0.99"].to_list() == expected
    assert pa.table(answer)["var_0.99"].to_pylist() == expected
    assert pl.DataFrame(answer)["var_0.99"].to_list() == expected
    assert answer["total"]["positions"] == 4
    with pytest.raises(varlake.BadInput, match=r"Unknown figure of the answer 'totl'\. Nearest valid: total"):
        answer["totl"]


def test_a_notebook_shows_texts_of_the_lake_as_texts(opened: Opened) -> None:
    answer = opened.drill(as_of=MONDAY, where="client~=*")
    shown = answer._repr_html_()
    assert "<td" in shown
    tags = set(re.findall(r"<(\w+)", shown))
    assert tags == {"table", "thead", "tr", "th", "tbody", "td", "p"}


def test_a_picture_is_shown_and_written(opened: Opened, tmp_path: Path) -> None:
    answer = opened.var(as_of=MONDAY, by="desk")
    picture = answer.plot()
    assert picture._repr_mimebundle_()["image/svg+xml"].startswith("<?xml")
    for ending, start in (("svg", b"<?xml"), ("png", b"\x89PNG"), ("pdf", b"%PDF")):
        answer.plot(tmp_path / f"var.{ending}")
        assert (tmp_path / f"var.{ending}").read_bytes().startswith(start)
    with pytest.raises(varlake.BadInput, match=r"Unknown picture format 'gif'"):
        answer.plot(tmp_path / "var.gif")
    with pytest.raises(varlake.BadInput, match=r"cannot be written: No such file"):
        answer.plot(tmp_path / "none" / "var.svg")


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        (lambda lake: lake.var(as_off="2020-03-16"), r"^Unknown parameter 'as_off'\. Nearest valid: as_of"),
        (lambda lake: lake.var(as_of="16.3.2020"), r"as_of: expected a date YYYY-MM-DD"),
        (lambda lake: lake.var(), r"as_of: is missing; expected: valuation date"),
        (lambda lake: lake.var(as_of=MONDAY, by="dsk"), r"^Unknown dimension 'dsk'\. Nearest valid: desk"),
        (lambda lake: lake.plan("vra", as_of=MONDAY), r"^Unknown question 'vra'\. Nearest valid: var"),
        (
            lambda lake: lake.ingest("position", "a.csv"),
            r"^Unknown kind of files 'position'\. Nearest valid: positions",
        ),
        (lambda lake: lake.ingest("positions", "none.csv"), r"^There is no file none\.csv"),
        (lambda lake: lake.remove_branch("none"), r"branch 'none'"),
        (lambda lake: lake.value(as_of=MONDAY, scenario_set="none"), r"scenario set 'none'"),
    ],
)
def test_what_is_wrong_is_told_alike(opened: Opened, ask: Any, said: str) -> None:
    with pytest.raises(varlake.VarlakeError, match=said):
        ask(opened)


def test_tables_are_brought_in_as_files_are(opened: Opened) -> None:
    day = {"positions_date": "2020-03-17"}
    trades = pd.DataFrame([{**SHARE, **day, "trade": "N1"}, {**SHARE, **day, "trade": "N2", "underlying": "EQ:NONE"}])
    tried = opened.ingest("positions", trades, dry_run=True, replace_dates=True)
    assert tried.reports[0]["loaded"] == 1
    assert tried.reports[0]["rejected"] == 1
    loaded = opened.ingest("positions", trades[:1], replace_dates=True)
    assert (loaded.reports[0]["loaded"], loaded.reports[0]["rejected"]) == (1, 0)
    with pytest.raises(varlake.BadInput, match=r"Unknown parameter 'replace_date'\. Nearest valid: replace_dates"):
        opened.ingest("positions", trades, replace_date=True)


def test_a_branch_is_saved_read_and_removed(opened: Opened) -> None:
    opened.save_branch(name="half", as_of=MONDAY, scale=["desk=Options*0.5"])
    assert len(opened.var(as_of=MONDAY, by="desk", branch="half")) == 2
    opened.remove_branch("half")
    with pytest.raises(varlake.NotFound, match="half"):
        opened.var(as_of=MONDAY, branch="half")


def test_a_lake_is_made_where_there_is_none(tmp_path: Path) -> None:
    with pytest.raises(varlake.NotFound, match="There is no lake at"):
        varlake.open(tmp_path / "lake")
    made = varlake.open(tmp_path / "lake", create=True)
    assert repr(made) == f"<lake in {tmp_path / 'lake'}>"


def test_an_address_where_nothing_answers_is_told_so() -> None:
    with pytest.raises(varlake.NotReady, match=r"http://127\.0\.0\.1:9/ cannot be reached.*varlake serve"):
        varlake.connect("http://127.0.0.1:9")
    with pytest.raises(varlake.BadInput, match="is no address of a service"):
        varlake.connect("127.0.0.1:8050")


def test_with_a_token_one_asks_as_oneself_and_what_is_missing_is_told(valued_lake: Path, tmp_path: Path) -> None:
    copied = shutil.copytree(valued_lake, tmp_path / "lake")
    _, tokens = with_users(copied)
    with serving(copied, web_only=True) as (_, url):
        for given in ({}, {"token": "varlake_of-nobody-at-all-here"}):
            with pytest.raises(
                varlake.NotSignedIn, match=r"Here: varlake\.connect\('http://127\.0\.0\.1:\d+/', token="
            ):
                varlake.connect(url, **given)
        with varlake.connect(url, token=f"{tokens['tom']}\n") as remote:  # as it is read from a file
            assert tokens["tom"] not in repr(remote)
            assert remote.var(as_of=MONDAY, levels="0.95").receipt["question"]["levels"] == ["0.95"]
            with pytest.raises(varlake.NotAllowed, match=r"0\.8 is none of 0\.95, 0\.975, 0\.99") as refused:
                remote.var(as_of=MONDAY, levels="0.8")
            assert refused.value.issues[0].pointer == "/levels"
            with pytest.raises(varlake.NotAllowed, match="takes the right 'write'"):
                remote.set_standard(currency="EUR")


def test_an_answer_that_the_lake_has_overtaken_gives_no_figures_of_another(address: str) -> None:
    with varlake.connect(address) as remote:
        before = remote.var(as_of=FRIDAY, by="book", value=True)
        remote.ingest("positions", pa.Table.from_pylist([{**SHARE, "positions_date": str(FRIDAY), "trade": "late"}]))
        after = remote.var(as_of=FRIDAY, by="book", value=True)
        assert after.receipt["answer_digest"] != before.receipt["answer_digest"]
        for more in (before.to_dict, before.plot):
            with pytest.raises(varlake.Conflict, match="something newer than this answer"):
                more()


def test_an_interrupt_cancels_the_job_and_without_an_engine_it_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = build_lake(tmp_path / "lake")
    with serving(lake.path, web_only=True) as (_, url), varlake.connect(url) as remote:
        with pytest.raises(
            varlake.Conflict, match=r"^No engine runs at .*; job \S+ is kept and is done when one starts"
        ):
            remote.value(**VALUED)

        def interrupted(_: float) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr("service.python.remote.sleep", interrupted)
        with pytest.raises(KeyboardInterrupt):
            remote.value(**{**VALUED, "as_of": FRIDAY})
        states = {job.request["as_of"]: job.state for job in JobTable.of(lake).newest()}
        assert states == {str(MONDAY): "queued", str(FRIDAY): "cancelled"}


@pytest.mark.slow
def test_progress_is_drawn_in_a_notebook(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bar is shown once, changed, and gone at the end; a name of the lake is a text there."""
    import IPython.display
    from rich.console import Console

    from service.rendering import display

    shown: list[str] = []

    class Handle:
        def update(self, value: Any) -> None:
            shown.append(value.data)

    console = Console(force_jupyter=True)
    monkeypatch.setattr(display, "stderr", lambda: console)
    monkeypatch.setattr(IPython.display, "display", lambda value, display_id: Handle())
    with display.progress_bar("var") as progress:
        progress("<price>", 1, 4)
        progress("<price>", 1, 4)
        progress("<price>", 4, 4)
    assert shown == [
        'var: &lt;price&gt; <progress value="1" max="4"></progress> 1 of 4',
        'var: &lt;price&gt; <progress value="4" max="4"></progress> 4 of 4',
        "",
    ]
