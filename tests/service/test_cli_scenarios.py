"""Scenario and stress commands, each run as a user would."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import quote

import pytest
from command_line import answer, refused, varlake
from small_lake import FRIDAY, MONDAY

from lake.tables import Lake
from service.api.app import create_app
from service.config import Settings

CRASH = "equity -20%; rate[ccy=USD] +100bp parallel\nassert equity[AAA] > 0"


@pytest.fixture
def lake(work_lake: Lake) -> Path:
    return work_lake.path


def test_preview_shows_every_factor_and_stores_nothing(lake: Path, tmp_path: Path) -> None:
    shown = answer("scenarios", "preview", CRASH, "--as-of", MONDAY, lake=lake)
    factors = {f["risk_factor_id"]: f for f in shown["scenarios"][0]["factors"]}
    assert factors["EQ:AAA"]["level"] == pytest.approx(0.8 * factors["EQ:AAA"]["base"])
    assert factors["YC:USD:5Y"]["level"] == pytest.approx(factors["YC:USD:5Y"]["base"] + 0.01)
    assert factors["FX:EURUSD"]["status"] == "unchanged"
    picture = tmp_path / "crash.svg"
    drawn = varlake("scenarios", "preview", CRASH, "--as-of", MONDAY, "--plot", picture, lake=lake)
    assert drawn.returncode == 0, drawn.stderr
    assert picture.read_text().lstrip().startswith("<?xml")
    assert answer("scenarios", "list", lake=lake) == []


def test_plausibility_names_past_days(lake: Path) -> None:
    rules = ("--as-of", MONDAY, "--plausibility", "--law", "window=60")
    calm, wild = (
        answer("scenarios", "preview", f"equity[AAA] {s}", *rules, lake=lake)["plausibility"][0]
        for s in ("-1%", "-30%")
    )
    assert 0 < calm["distance"] < wild["distance"]
    assert wild["nearest"]


def test_check_lists_faults_and_fails(lake: Path, tmp_path: Path) -> None:
    good = varlake("scenarios", "check", CRASH, "--as-of", MONDAY, lake=lake)
    assert good.returncode == 0, good.stderr
    bad = varlake("scenarios", "check", "equty -20%", "--as-of", MONDAY, "--json", lake=lake)
    assert bad.returncode == 1
    report = json.loads(bad.stdout)
    assert report["ok"] is False
    assert "equity" in report["faults"][0]["allowed"]
    table = tmp_path / "faults.csv"
    exported = tmp_path / "good.csv"
    varlake("scenarios", "import", _text(tmp_path, CRASH), "--name", "crash", "--as-of", MONDAY, lake=lake)
    assert varlake("scenarios", "export", "crash", exported, lake=lake).returncode == 0
    table.write_text(exported.read_text().replace("-20", "minus twenty"))
    faulty = varlake("scenarios", "check", table, "--as-of", MONDAY, lake=lake)
    assert faulty.returncode == 1
    assert "minus twenty" in faulty.stdout


def _text(folder: Path, text: str) -> Path:
    file = folder / "scenario.txt"
    file.write_text(text)
    return file


@pytest.mark.parametrize("ending", [".txt", ".json", ".csv"])
def test_export_and_import_give_the_same_set(lake: Path, tmp_path: Path, ending: str) -> None:
    made = answer("scenarios", "import", _text(tmp_path, CRASH), "--name", "crash", "--as-of", MONDAY, lake=lake)
    file = tmp_path / f"carried{ending}"
    assert varlake("scenarios", "export", "crash", file, lake=lake).returncode == 0
    again = answer("scenarios", "import", file, "--name", "crash", "--as-of", MONDAY, lake=lake)
    assert (again["scenario_set"], again["version"]) == (made["scenario_set"], 1)


def test_a_set_with_a_name_of_other_letters_is_exported_by_the_command_and_over_http(
    lake: Path, tmp_path: Path
) -> None:
    name = "обвал-暴落"
    answer("scenarios", "import", _text(tmp_path, CRASH), "--name", name, "--as-of", MONDAY, lake=lake)
    file = tmp_path / f"{name}.csv"
    assert varlake("scenarios", "export", name, file, lake=lake).returncode == 0
    client = create_app(Settings(lake=lake)).test_client()
    answered = client.get(f"/api/v1/scenario-sets/{quote(name)}/export?format=csv")
    assert answered.get_data(as_text=True) == file.read_bytes().decode()
    # RFC 6266 and 8187: the letters in UTF-8, percent-encoded
    assert f"filename*=UTF-8''{quote(name)}.csv" in answered.headers["Content-Disposition"]


def test_a_change_makes_a_version_and_diff_tells_it(lake: Path, tmp_path: Path) -> None:
    first = answer("scenarios", "import", _text(tmp_path, CRASH), "--name", "crash", "--as-of", MONDAY, lake=lake)
    second = answer(
        "scenarios",
        "import",
        _text(tmp_path, CRASH.replace("20", "25")),
        "--name",
        "crash",
        "--as-of",
        MONDAY,
        lake=lake,
    )
    assert (first["version"], second["version"]) == (1, 2)
    rows = answer("scenarios", "diff", first["scenario_set"], second["scenario_set"], lake=lake)
    assert {r["risk_factor"] for r in rows} == {"EQ:AAA", "EQ:BBB"}
    assert answer("scenarios", "diff", first["scenario_set"], first["scenario_set"], lake=lake) == []


def test_stress_values_once_and_adds_up(lake: Path) -> None:
    arguments = ("stress", "--as-of", MONDAY, "--scenario", "equity -20%", "--by", "desk")
    assert "Add --plan to see what that takes" in refused(*arguments, lake=lake)
    planned = answer(*arguments, "--plan", lake=lake)
    assert (planned["ready"], planned["valuations"][0]["plan"]["missing"]) == (False, 3)
    first = answer(*arguments, "--value", lake=lake)
    (column,) = [c for c in first["total"] if c.startswith("pnl_")]
    assert sum(r[column] for r in first["rows"]) == pytest.approx(first["total"][column])
    shares = next(r for r in first["rows"] if r["desk"] == "Equities")
    # long 1000 AAA and short 200 BBB: a fifth of the base value is lost, at unchanged exchange rates
    assert shares[column] == pytest.approx(-0.2 * shares["base_value"])
    assert answer(*arguments, "--plan", lake=lake)["ready"]
    assert answer(*arguments, lake=lake)["rows"] == first["rows"]


def test_a_value_given_twice_is_refused_with_the_question_for_several(lake: Path) -> None:
    twice = ("stress", "--as-of", MONDAY, "--scenario", "equity -10%", "--scenario", "equity -20%")
    assert (
        "--scenario was given 2 times, and takes one value: equity -10%, equity -20%. Several are asked of stress-compare."
        in refused(*twice, lake=lake).replace("\n", " ")
    )
    client = create_app(Settings(lake=lake)).test_client()
    got = client.get(f"/api/v1/stress?as_of={MONDAY}&scenario=equity%20-10%25&scenario=equity%20-20%25")
    assert got.status_code == 422
    assert "scenario was given 2 times" in got.get_json()["detail"]
    assert "as_of was given 2 times" in client.get(f"/api/v1/var?as_of={MONDAY}&as_of={FRIDAY}").get_json()["detail"]


def test_stress_by_name_on_another_day_and_compared(lake: Path, tmp_path: Path) -> None:
    varlake("scenarios", "import", _text(tmp_path, CRASH), "--name", "crash", "--as-of", FRIDAY, lake=lake)
    named = answer("stress", "--as-of", MONDAY, "--scenario", "crash", "--value", lake=lake)
    assert named["receipt"]["market_date"] == str(MONDAY)
    two = ("stress-compare", "--scenario", "crash", "--scenario", "equity -20%", "--as-of", MONDAY, "--by", "desk")
    both = answer(*two, "--value", lake=lake)
    assert "crash" in both["total"]
    assert len(both["rows"]) == 2
    shown = varlake(*two, lake=lake)
    assert "crash" in shown.stdout


def test_roll_adds_value_and_cash(lake: Path) -> None:
    rolled = answer("roll-forward", "--as-of", MONDAY, "--horizons", "1D,1M", "--by", "desk", lake=lake)
    for row in rolled["rows"]:
        assert row["pnl"] == pytest.approx(row["value"] + row["cash"] - row["base_value"], abs=1e-6)
    assert [t["horizon"] for t in rolled["totals"]] == ["1D", "1M"]


def test_reverse_stress_finds_a_scenario_that_loses_so_much(lake: Path) -> None:
    asked = ("--as-of", MONDAY, "--where", "desk=Equities")
    search = ("reverse-stress", *asked, "--loss", 5000, "--law", "window=60")
    plan = answer(*search, "--plan", lake=lake)
    assert plan["about"]["contracts"] == 2
    found = answer(*search, lake=lake)
    assert found["loss"] == pytest.approx(5000, rel=1e-3)
    assert answer("scenarios", "list", lake=lake) == []  # looked for, and not kept
    found = answer(*search, "--value", lake=lake)
    assert found["loss"] == pytest.approx(5000, rel=1e-3)
    # the stored scenario, valued the ordinary way, loses the same
    again = answer("stress", *asked, "--scenario", found["scenario_set"], "--value", lake=lake)["total"]
    (column,) = [c for c in again if c.startswith("pnl_")]
    assert -again[column] == pytest.approx(found["loss"], rel=1e-9)


def test_worst_period_is_the_worst_of_all_windows(lake: Path) -> None:
    search = ("stress-period", "--as-of", MONDAY, "--length", 20, "--level", "0.9")
    (wanted,) = answer(*search, "--plan", lake=lake)["valuations"]
    assert wanted["plan"]["missing"] == 3
    assert "--value" in refused(*search, lake=lake)
    period = answer(*search, "--value", lake=lake)
    assert period["worst"]["value"] == max(w["value"] for w in period["all_windows"])
    assert answer(*search, "--plan", lake=lake)["ready"]
    assert answer(*search, lake=lake)["worst"] == period["worst"]


def test_lists_as_parameters(lake: Path) -> None:
    built = answer(
        "scenarios",
        "build",
        "--as-of",
        MONDAY,
        "--method",
        "grid",
        "-p",
        'axes=["equity -20%..+20% step 20%", "vol -5pt..+5pt step 5pt"]',
        lake=lake,
    )
    assert built["scenarios"] == 9
    assert "begins like JSON" in refused(
        "scenarios", "build", "--as-of", MONDAY, "--method", "grid", "-p", "axes=[equity", lake=lake
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("stress",), "scenario: is missing; expected: scenario in the stress language"),
        (("stress", "--as-of", MONDAY, "--scenario", "crsh"), "crsh"),
        (("stress", "--as-of", MONDAY, "--scenario", "equity[region=XX] -20%"), "XX"),
        (("stress", "--as-of", MONDAY, "--scenario", "equity -20%; equity[AAA] -10%"), "EQ:AAA"),
        (("stress-compare", "--scenario", "crash", "--as-of", MONDAY), "expected at least 2"),
        (("scenarios", "export", "nothing", "x.txt"), "nothing"),
        (("scenarios", "import", "nothing.txt", "--name", "x", "--as-of", MONDAY), "nothing.txt"),
        (("roll-forward", "--as-of", MONDAY, "--horizons", "1Q"), "1Q"),
        (("stress-period", "--as-of", MONDAY, "--measure", "vra"), "measure"),
    ],
)
def test_errors_teach(lake: Path, arguments: tuple[object, ...], words: str, tmp_path: Path) -> None:
    assert words in refused(*arguments, lake=lake, folder=tmp_path)
