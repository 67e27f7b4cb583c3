"""Every question that names a regime finds those of the lake too, and its receipt replays when later versions are there."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from small_lake import base

from aggregation import questions
from aggregation.regulatory.own_regimes import ingest_regime
from aggregation.replay import replay
from aggregation.session import reading
from lake.committer import Committer
from lake.errors import BadInput
from lake.tables import Lake

NAMES = [n for n in questions.QUESTIONS if "regime" in questions.question(n).query.model_fields]
# its version is chosen by date; both hold on every date that is asked about
HOUSE = """name = "house"
version = "VERSION"
title = "House rules"
in_force_from = 20VERSION-01-01
source = "the board"
status = "own"
extends = "basel@2023"

[remarks]
why = "Remark of version VERSION."
"""


def bring(lake: Lake, folder: Path, version: str) -> None:
    file = folder / f"house-{version}.toml"
    file.write_text(HOUSE.replace("VERSION", version))
    with Committer(lake, "test") as committer:
        ingest_regime(committer, file)


@pytest.fixture(scope="module")
def lakes(answering_lake: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Lake, Lake]:
    """A lake with a regime of its own, and the same lake once a later version of it has come."""
    folder = tmp_path_factory.mktemp("regimes")
    lake = Lake.open(shutil.copytree(answering_lake, folder / "lake"))
    bring(lake, folder, "18")
    then = lake.at(lake.snapshot().versions)
    bring(lake, folder, "19")
    return then, lake


def test_the_questions_with_a_regime_are_found() -> None:
    assert {
        "sa-ccr",
        "ba-cva",
        "sa-cva",
        "credit-rwa",
        "exposure",
        "frtb-sa",
        "frtb-ima",
        "drc-ima",
        "pla",
        "rfet",
    } <= {*NAMES}


@pytest.mark.parametrize("name", NAMES)
def test_a_regime_of_the_lake_is_found_and_kept_by_the_receipt(name: str, lakes: tuple[Lake, Lake]) -> None:
    then, now = lakes
    query = questions.read(name, {**base(name), "regime": "house"})
    for lake, version in ((then, "18"), (now, "19")):
        session = reading(lake)
        assert questions.plan(session, name, query).ready
        assert questions.price(session, name, query) is not None
        answer = questions.ask(session, name, query)
        assert answer.receipt["regime"] == f"house@{version}"
        assert any(f"Remark of version {version}." in note for note in answer.notes)
        done = replay(now, answer.receipt)
        assert done.verdict == "same bits", (done.why, done.inputs)
    unknown = questions.read(name, {**base(name), "regime": "hose"})
    with pytest.raises(BadInput, match=r"Unknown regime 'hose'\. Nearest valid: house"):
        questions.ask(reading(now), name, unknown)
