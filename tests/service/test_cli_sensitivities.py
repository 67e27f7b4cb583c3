"""Sensitivities and covariances of other systems from the command line, as the documentation shows it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from command_line import answer, refused, varlake
from flask.testing import FlaskClient
from small_lake import MONDAY

from lake.tables import Lake
from service.api.app import create_app
from service.config import Settings

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
FIRST = ("ingest", "sensitivities", EXAMPLES / "sensitivities.csv", "--source", "front-office")
SECOND = (
    "ingest",
    "covariance",
    EXAMPLES / "covariance.csv",
    "--matrix",
    "daily",
    "--horizon-days",
    "1",
    "--unit",
    "1",
)
ASKED = ("parametric", "--as-of", MONDAY, "--sensitivities", "front-office", "--covariance", "daily", "--level", "0.95")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake that holds the examples of the documentation and nothing else."""
    made = tmp_path_factory.mktemp("doors") / "lake"
    for command in (FIRST, SECOND):
        done = varlake(*command, lake=made)
        assert done.returncode == 0, done.stderr
    return made


def test_the_first_figures_in_an_empty_lake(folder: Path) -> None:
    done = varlake(*ASKED, "--by", "desk", lake=folder)
    assert done.returncode == 0, done.stderr
    assert "256,934" in done.stdout
    assert "105,301" in done.stdout
    assert "delta-gamma, exact" in done.stdout
    assert "historical" not in done.stdout
    said = answer(*ASKED, lake=folder)
    assert said["total"]["delta_gamma"] == pytest.approx(256_934, abs=0.5)
    assert said["receipt"]["covariance"]["name"] == "daily"


def test_the_same_over_http_and_replayed(folder: Path, tmp_path: Path) -> None:
    client: FlaskClient = create_app(Settings(lake=folder)).test_client()
    url = f"/api/v1/parametric?as_of={MONDAY}&sensitivities=front-office&covariance=daily&level=0.95"
    found = client.get(url)
    assert found.status_code == 200, found.get_json()
    kept = tmp_path / "answer.json"
    kept.write_text(json.dumps(answer(*ASKED, lake=folder)))
    assert found.get_json()["total"] == json.loads(kept.read_text())["total"]
    done = varlake("replay", kept, lake=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "same bits" in done.stderr
    for line in ("sensitivities of 2020-03-16", "covariance daily"):
        assert line in done.stdout
    lacking = client.get(url.replace("daily", "dayly"))
    assert lacking.status_code == 404
    assert "daily" in lacking.get_json()["detail"]


def test_a_dry_run_stores_nothing_and_lists_what_is_not_mapped(bare_lake: Path, tmp_path: Path) -> None:
    shutil.copytree(bare_lake, tmp_path / "lake")
    command = ("ingest", "sensitivities", EXAMPLES / "crif.csv", "--source", "margin", "--dry-run")
    done = varlake(*command, lake=tmp_path / "lake")
    assert done.returncode == 0, done.stderr
    assert "the lake has none of EQ:ZZZ, IDX:ZZZ" in done.stdout
    assert "Notional" in done.stdout
    assert Lake.open(tmp_path / "lake").version("sensitivities") == -1


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (("--source", "a b"), "source"),
        ((), "--source: is missing"),
        (("--source", "s", "--as-of", "2020-03-17"), "another day than the 2020-03-17"),
        (("--source", "s", "--mapping", "none.csv"), "none.csv"),
    ],
)
def test_bad_options_are_refused_in_words(folder: Path, more: tuple[str, ...], told: str) -> None:
    assert told in refused(*FIRST[:3], *more, lake=folder)


def test_a_factor_of_several_kinds_is_counted_once(tmp_path: Path) -> None:
    """ORE's example has four factors in seven sensitivities."""
    file = EXAMPLES / "ore-sensitivity.csv"
    done = varlake("ingest", "sensitivities", file, "--source", "ore", "--as-of", MONDAY, lake=tmp_path / "lake")
    assert "4 factors are none of the lake" in done.stdout + done.stderr
