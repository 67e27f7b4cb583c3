"""Own regimes: brought in once, never edited, chosen like those that come with varlake."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from aggregation.regimes.regimes import Parameters, names, regime_of
from aggregation.regulatory.credit.parameters import Credit
from aggregation.regulatory.own_regimes import ingest_regime
from lake.committer import Committer, DryRun
from lake.errors import BadInput
from lake.tables import Lake

DAY = dt.date(2026, 1, 1)
HOUSE = """name = "house"
version = "1"
title = "House rules"
in_force_from = 2020-01-01
source = "the board, 2019"
status = "own"
extends = "basel@2023"

[remarks]
why = "Stricter than the standard."

[sections.house_limits]
multiple = 2.5
"""


class _Limits(Parameters):
    multiple: float


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake.create(tmp_path / "lake")


def bring(lake: Lake, path: Path, text: str = HOUSE) -> object:
    path.write_text(text)
    with Committer(lake, "test") as committer:
        return ingest_regime(committer, path)


def test_a_regime_of_ones_own_is_chosen_and_read_like_any_other(lake: Lake, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="Unknown regime 'house'"):
        regime_of("house", DAY, lake)
    report = bring(lake, tmp_path / "house.toml")
    house = regime_of("house", DAY, lake)
    assert house.section("house_limits", _Limits).multiple == 2.5
    assert (house.label, house.notes(DAY)) == ("house@1", ("Stricter than the standard.",))
    assert set(house.sections) == {*regime_of("basel", DAY, None).sections, "house_limits"}
    assert report.regime_digest == house.digest  # type: ignore[attr-defined]
    assert report.own_sections == ("house_limits",)  # type: ignore[attr-defined]
    assert "No regime that comes with varlake has a section house_limits" in report.notes[0]  # type: ignore[attr-defined]
    assert regime_of("house@1", DAY, lake.snapshot()) == house
    assert "house" in names(lake)
    assert "house" not in names()
    with pytest.raises(BadInput, match="Unknown regime 'house'"):
        regime_of("house", DAY, None)


def test_a_parameter_of_the_wrong_kind_is_refused_and_one_that_lacks_is_not(lake: Lake, tmp_path: Path) -> None:
    wrong = HOUSE + '\n[sections.credit]\ncapital_ratio = "x"\n'
    with pytest.raises(
        BadInput, match=r"section credit of regime house@1 is not valid: capital_ratio: expected a number"
    ):
        bring(lake, tmp_path / "house.toml", wrong)
    assert "house" not in names(lake)
    alone = "\n".join(line for line in HOUSE.splitlines() if not line.startswith("extends"))
    bring(lake, tmp_path / "house.toml", alone + "\n[sections.credit]\ncapital_ratio = 0.1\n")
    with pytest.raises(BadInput, match="section credit of regime house@1 is not valid"):
        regime_of("house", DAY, lake).section("credit", Credit)


def test_a_folder_holds_a_file_a_section(lake: Lake, tmp_path: Path) -> None:
    folder = tmp_path / "rules" / "house"
    folder.mkdir(parents=True)
    (folder / "more.toml").write_text("multiple = 3.0\n")
    bring(lake, folder / "regime.toml")
    with Committer(Lake.create(tmp_path / "other"), "test") as committer:
        report = ingest_regime(committer, tmp_path / "rules")
        assert report.own_sections == ("house_limits", "more")
        assert regime_of("house", DAY, committer.lake).section("more", _Limits).multiple == 3.0


def test_a_version_is_never_edited_and_the_same_again_changes_nothing(lake: Lake, tmp_path: Path) -> None:
    bring(lake, tmp_path / "house.toml")
    version = lake.version("regimes")
    again = bring(lake, tmp_path / "house.toml")
    assert not again.new  # type: ignore[attr-defined]
    with pytest.raises(BadInput, match=r"house@1 with other content \(house_limits\)"):
        bring(lake, tmp_path / "house.toml", HOUSE.replace("2.5", "2.6"))
    assert lake.version("regimes") == version
    bring(
        lake,
        tmp_path / "house.toml",
        HOUSE.replace('version = "1"', 'version = "2"').replace("2020-01-01", "2026-01-01").replace("2.5", "2.6"),
    )
    assert [regime_of("house", day, lake).label for day in (dt.date(2025, 12, 31), DAY)] == ["house@1", "house@2"]


def test_a_dry_run_stores_nothing(lake: Lake, tmp_path: Path) -> None:
    (tmp_path / "house.toml").write_text(HOUSE)
    assert ingest_regime(DryRun(lake), tmp_path / "house.toml").new
    assert names(lake) == names()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('name = "house"', 'name = "basel"', None),
        ('name = "house"\nversion = "1"', 'name = "basel"\nversion = "2023"', "comes with varlake and is not replaced"),
        ('name = "house"', "", "The name of the regime is missing"),
        ('version = "1"', 'version = "1/2"', "The version of the regime is '1/2'"),
        ("in_force_from = 2020-01-01", "", "in_force_from: is missing"),
        ("basel@2023", "bassel@2023", "Unknown version of regime bassel|Unknown regime"),
        ("status", "state", "is not a known name"),
        ("[remarks]", "[remarks", "is no TOML"),
    ],
)
def test_what_is_no_regime_is_refused_with_its_reason(
    lake: Lake, tmp_path: Path, old: str, new: str, message: str | None
) -> None:
    text = HOUSE.replace(old, new)
    if message is None:  # a new version of a regime that comes with varlake
        bring(lake, tmp_path / "house.toml", text)
        assert regime_of("basel@1", DAY, lake).label == "basel@1"
        return
    with pytest.raises(BadInput, match=message):
        bring(lake, tmp_path / "house.toml", text)
    assert lake.read("regimes").num_rows == 0


def test_a_folder_without_its_regime_file_is_refused(lake: Lake, tmp_path: Path) -> None:
    (tmp_path / "one.toml").write_text("a = 1\n")
    (tmp_path / "two.toml").write_text("a = 1\n")
    with Committer(lake, "test") as committer:
        with pytest.raises(BadInput, match=r"one regime\.toml, beside a TOML file a section; found none"):
            ingest_regime(committer, tmp_path)
        with pytest.raises(BadInput, match="no file and no folder of a regime"):
            ingest_regime(committer, tmp_path / "nowhere")
