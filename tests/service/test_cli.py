"""The command line: answers on stdout, words on stderr, exit codes, no stack trace."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import answer, in_a_process, refused, varlake
from small_lake import FRIDAY, MONDAY, SCENARIOS, book_csv
from support import wait_for

from lake.committer import Committer
from lake.tables import Lake
from service import ending


def test_var_by_desk_adds_up(valued_lake: Path) -> None:
    result = answer(
        "var",
        "--as-of",
        MONDAY,
        "--by",
        "desk,instrument_type",
        "--measure",
        "var,es",
        "--level",
        "0.9,0.95",
        lake=valued_lake,
    )
    assert [r["desk"] for r in result["rows"]] == ["Equities", "Options"]
    total = result["total"]
    for column in ("var_0.9", "var_0.95", "es_0.9", "es_0.95"):
        standalone = sum(r[column] for r in result["rows"])
        assert total[f"{column}_standalone_sum"] == pytest.approx(standalone)
        assert total[f"{column}_diversification"] == pytest.approx(standalone - total[column])
    assert result["coverage"] == {
        "positions": 4,
        "covered": 3,
        "failed": 1,
        "missing": 0,
        "substituted": 0,
        "status": "partial",
    }
    assert result["receipt"]["scenario_count"] == SCENARIOS


def test_the_table_shows_the_same_numbers(valued_lake: Path) -> None:
    result = answer("var", "--as-of", MONDAY, "--by", "desk", "--measure", "var", "--level", "0.9", lake=valued_lake)
    shown = varlake("var", "--as-of", MONDAY, "--by", "desk", "--measure", "var", "--level", "0.9", lake=valued_lake)
    assert shown.returncode == 0
    for row in result["rows"]:
        line = next(line for line in shown.stdout.splitlines() if line.startswith(row["desk"]))
        assert f"{row['var_0.9']:,.0f}" in line or f"{row['var_0.9']:,.4g}" in line
    assert "partial" in shown.stderr


def test_compare(valued_lake: Path) -> None:
    result = answer(
        "compare",
        "--from",
        FRIDAY,
        "--to",
        MONDAY,
        "--by",
        "desk",
        "--measure",
        "var",
        "--level",
        "0.9",
        lake=valued_lake,
    )
    assert len(result["rows"]) == 2


def test_plan_then_value_then_nothing(work_lake, tmp_path: Path) -> None:
    path = work_lake.path
    arguments = ("--as-of", MONDAY, "--parameter", f"scenarios={SCENARIOS}", "--runner", "in-process")
    planned = answer("value", *arguments, "--plan", lake=path)
    assert (planned["wanted"], planned["present"], planned["missing"], planned["cannot_be_valued"]) == (4, 0, 3, 1)
    assert planned["expected_core_seconds"] >= 0
    assert "There is" not in varlake("lake", lake=path).stderr
    sealed = answer("value", *arguments, lake=path)
    assert (sealed["submitted"], sealed["valued"], sealed["reused"], sealed["failed"]) == (4, 3, 0, 1)
    again = answer("value", *arguments, lake=path)
    assert again["this_run"]["valued"] == 0
    # the same book on another date of the same market values nothing that is known
    shown = varlake("value", *arguments, lake=path)
    assert "nothing was missing" in shown.stdout
    for said in (sealed["why_failed"], again["why_failed"]):
        assert said.startswith("1 matured: ")
        assert said.endswith("Take it out of the positions.")
        assert f"Failed: {said}" in " ".join(shown.stderr.split())


def test_scenarios_build_list_show(work_lake) -> None:
    built = answer(
        "scenarios", "build", "--as-of", MONDAY, "-p", "scenarios=20", "--name", "short", lake=work_lake.path
    )
    assert (built["name"], built["version"], built["scenarios"]) == ("short", 1, 20)
    assert [r["name"] for r in answer("scenarios", "list", lake=work_lake.path)] == ["short"]
    shown = answer("scenarios", "show", "short", lake=work_lake.path)
    assert shown["labels"][-1] == str(MONDAY)


def test_positions_with_faults_load_the_rest_and_say_so(work_lake, tmp_path: Path) -> None:
    lines = book_csv().splitlines()
    broken = tmp_path / "broken.csv"
    broken.write_text("\n".join([*lines[:2], lines[2].replace("EQ:BBB", ""), *lines[3:]]) + "\n")
    rejects = tmp_path / "rejects.csv"
    ingest = ("ingest", "positions", broken, "--replace-dates", "--rejects", rejects)
    said = refused(*ingest, lake=work_lake.path)
    assert "1 of its 8 rows cannot be used" in said
    assert "underlying" in said
    done = varlake(*ingest, "--force", lake=work_lake.path)
    assert done.returncode == 3
    assert "8 read = 7 loaded + 1 rejected" in done.stderr
    assert "underlying" in done.stdout
    assert rejects.exists()


def test_sample_market_and_book_are_files_a_user_brings(tmp_path: Path) -> None:
    lake = tmp_path / "lake"
    wrote = varlake("sample", "market", tmp_path / "market", "--first", "2019-10-01", "--last", "2020-03-16", lake=lake)
    assert wrote.returncode == 0, wrote.stderr
    # the command it suggests works as printed
    suggested = wrote.stderr.strip().splitlines()[-1].split()
    assert suggested[0] == "varlake"
    brought = varlake(*suggested[1:], lake=lake)
    assert brought.returncode == 0, brought.stderr
    assert (
        varlake("sample", "book", tmp_path / "book", "--positions", 300, "--dates", "2020-03-16", lake=lake).returncode
        == 0
    )
    loaded = varlake("ingest", "positions", *(tmp_path / "book").iterdir(), "--json", lake=lake)
    assert loaded.returncode == 0, loaded.stderr
    assert json.loads(loaded.stdout)[0]["rejected"] == 0


def test_a_fault_of_a_market_file_is_told_once_with_the_way_past_it(tmp_path: Path) -> None:
    factor = '[source.vol.factor]\nid = "IV:{column}"\ntype = "implied_vol"\ncurrency = "USD"\n'
    (tmp_path / "own.toml").write_text(f'name = "own"\n[source.vol]\nfile = "vol.csv"\nlayout = "wide"\n{factor}')
    (tmp_path / "vol.csv").write_text("Date,A,B\n2020-03-13,0.2,0\n2020-03-16,20,0.3\n")
    ingest = ("ingest", "market", tmp_path, "--catalogue", tmp_path / "own.toml")
    said = refused(*ingest, lake=tmp_path / "lake")
    assert said.splitlines()[2:] == [
        "  vol: vol.csv, line 3, column A: found 20, hardly meant as implied_vol of 20; expected 0.002 to 3, fraction a year.",
        "  vol: vol.csv, line 2, column B: found 0, expected a positive implied_vol.",
    ]
    assert 'missing = ["0"]' in said
    (tmp_path / "vol.csv").write_text("Date,A,B\n2020-03-13,0.2,0.3\n2020-03-16,20,0.3\n")
    done = varlake(*ingest, "--accept-levels", lake=tmp_path / "lake")
    assert done.returncode == 0
    assert "Note: vol: accepted levels that are hardly meant (1), first: found 20" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("var", "--as-of", MONDAY, "--by", "dsek"), "desk"),
        (("var", "--as-of", MONDAY, "--measure", "vra"), "var"),
        (("var", "--as-of", MONDAY, "--level", "99"), "0.99"),
        (("var", "--as-of", MONDAY, "--level", "1.5"), "between 0 and 1"),
        (("var", "--as-of", MONDAY, "--where", "desk=Equity"), "Equities"),
        (("var", "--as-of", MONDAY, "--where", "desk"), "dimension=member"),
        (("var", "--as-of", "16/03/2020"), "YYYY-MM-DD"),
        (("var", "--as-of", "2020-03-12"), "2020-03-13"),
        (("var", "--as-of", MONDAY, "--currency", "XXX"), "XXX"),
        (("var", "--as-of", MONDAY, "--currency", "us"), "currency"),
        (("var", "--as-of", MONDAY, "--estimator", "order"), "order_statistic"),
        (("var", "--as-of", MONDAY, "--scenario-set", "historical-31"), "historical-30"),
        (("value", "--as-of", "2020-03-17"), "2020-03-16"),
        (("value", "--as-of", MONDAY, "-p", "scenarios"), "name=value"),
        (("value", "--as-of", MONDAY, "--plan", "--method", "historcal"), "historical"),
        (("value", "--as-of", MONDAY, "--plan", "-p", "scenarios=30", "--risk-class", "equities"), "equity"),
        (("value", "--as-of", MONDAY, "--runner", "cloud"), "in-process"),
        (("scenarios", "show", "historical-3"), "historical-30"),
        (("ingest", "positions", "not-there.csv"), "not-there.csv"),
        (("ingest", "market", ".", "--catalogue", "marketdat"), "marketdata"),
    ],
)
def test_errors_teach(valued_lake: Path, arguments: tuple[object, ...], words: str, tmp_path: Path) -> None:
    assert words in refused(*arguments, lake=valued_lake, folder=tmp_path)


def test_the_installed_command(valued_lake: Path) -> None:
    done = in_a_process("var", "--as-of", MONDAY, "--json", lake=valued_lake)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["receipt"]["scenario_count"] == SCENARIOS
    wrong = in_a_process("var", "--as-of", MONDAY, "--by", "dsek", lake=valued_lake)
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert "desk" in wrong.stderr
    assert "Traceback" not in wrong.stderr


def test_no_lake(tmp_path: Path) -> None:
    said = refused("var", "--as-of", MONDAY, lake=tmp_path / "nowhere")
    assert "varlake ingest market" in said


def test_a_second_writer_is_refused(work_lake) -> None:
    with Committer(work_lake, "varlake engine"):
        said = refused("value", "--as-of", MONDAY, lake=work_lake.path)
    assert "varlake engine" in said


def test_a_damaged_lake_has_an_exit_code_of_its_own_and_no_trace(valued_lake: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "lake"
    shutil.copytree(valued_lake, damaged)
    for file in (damaged / "pnl_vectors").rglob("*.parquet"):
        file.write_bytes(b"no parquet")
    shutil.rmtree(damaged / "_varlake" / "cache", ignore_errors=True)
    done = varlake("var", "--as-of", MONDAY, lake=damaged)
    assert done.returncode == 3
    assert "Traceback" not in done.stderr
    assert "The lake is damaged: the data file " in done.stderr


def test_version_and_help() -> None:
    assert varlake("version").stdout.strip() == "0.1.0"
    assert "var" in varlake("--help").stdout


STUCK = """
import hashlib
from service.cli.main import main
from valuation.sets import requests
requests.run_valuation = lambda *_, **__: hashlib.pbkdf2_hmac("sha256", b"", b"", 10**9)
main()
"""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_command_lost_in_native_code_ends_at_a_signal(work_lake: Lake, number: int, code: int) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", STUCK, "value", "--as-of", str(MONDAY)],
        env={**os.environ, "VARLAKE_LAKE": str(work_lake.path)},
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        wait_for(work_lake.written_by)
        process.send_signal(number)
        _, err = process.communicate(timeout=30)
    finally:
        process.kill()
    assert (process.returncode, err.splitlines()[-1]) == (code, "Stopped.")
    assert work_lake.written_by() is None


@pytest.mark.spark
@pytest.mark.slow
def test_a_valuation_is_stopped_while_spark_starts_and_leaves_no_java(work_lake: Lake) -> None:
    asked = ("value", "--as-of", str(MONDAY), "--runner", "spark", "-p", f"scenarios={SCENARIOS}")
    process = subprocess.Popen(
        [Path(sys.executable).with_name("varlake"), *asked],
        env={**os.environ, "VARLAKE_LAKE": str(work_lake.path)},
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        java = wait_for(lambda: list(ending._descendants(process.pid)))
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
    finally:
        process.kill()
    assert process.returncode == 130, err
    wait_for(lambda: not any(map(ending._lives, java)))
    assert "Traceback" not in err


def test_a_file_that_is_not_there_makes_no_lake(tmp_path: Path) -> None:
    assert "no file" in refused("ingest", "positions", tmp_path / "typo.csv", lake=tmp_path / "lake")
    assert "no folder" in refused(
        "ingest", "market", tmp_path / "typo", "--catalogue", "marketdata", lake=tmp_path / "lake"
    )
    assert not (tmp_path / "lake").exists()


def test_a_fault_in_a_question_names_the_option(work_lake: Lake) -> None:
    said = refused("compare", "--to", "2020-03-33", "--from-positions-date", "x", lake=work_lake.path)
    assert "--from: is missing" in said
    assert "--to: day is out of range" in said
    assert "--from-positions-date: expected a date" in said
    greeks = refused("greeks", "--as-of", str(MONDAY), "--greek", "dlta", lake=work_lake.path)
    assert "--greeks: Unknown sensitivity 'dlta'. Nearest valid: delta" in greeks
    assert "--catalogue: is missing" in refused("ingest", "market", work_lake.path, lake=work_lake.path)


def test_a_table_that_was_never_written_has_no_version(bare_lake: Path) -> None:
    versions = {t["table"]: t["version"] for t in answer("lake", lake=bare_lake)["tables"]}
    assert versions["pnl_vectors"] is None
    assert versions["positions"] >= 0
