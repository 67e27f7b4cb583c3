"""Receipts made before every question had one name (at 2f12ae2, by `golden receipts`) replay to the bits they were made with.

Where the code sums in another order since, the replay says that the bits are others and that the code is.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import golden
import pytest
from command_line import answer

from aggregation.questions import QUESTIONS
from aggregation.replay import question_of, replay
from lake.errors import BadInput
from lake.tables import Lake

RECEIPTS: dict[str, dict[str, Any]] = json.loads(
    (Path(__file__).parent / "old_receipts.json").read_text(encoding="utf-8")
)["receipts"]
# the bridge tries conventions now that it did not know then, so that it answers more
OTHER_BITS = ("bridge",)
# parametric made its own bumps then; it reads stored ones now, which the lake of that time has not
NOT_RECOMPUTED = ("parametric",)
RENAMED = {
    "table": "var",
    "classes": "risk-classes",
    "explain-through": "explain",
    "bridge": "reconcile",
    "what_if": "what-if",
    "way_back": "limit-hedge",
}


@pytest.fixture(scope="session")
def golden_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `golden.build` makes, always the same; takes most of a minute."""
    folder = tmp_path_factory.mktemp("golden").resolve() / "built"
    golden.build(folder)
    return folder


def test_every_old_kind_is_a_question_of_today() -> None:
    names = {kind: question_of(receipt)[0] for kind, receipt in RECEIPTS.items()}
    assert names == {kind: RENAMED.get(kind, kind) for kind in RECEIPTS}
    assert len(names) == 19
    assert set(names.values()) <= set(QUESTIONS)


@pytest.mark.parametrize(
    "question", [{}, {"query": 1}, {"from": [], "to": {}}, {"queries": [{}]}, {"query": {}, "changes": 3}]
)
@pytest.mark.parametrize("kind", ["compare", "drivers", "bridge", "what_if", "way_back"])
def test_a_question_that_is_none_of_its_kind_is_refused(kind: str, question: dict[str, Any]) -> None:
    with pytest.raises(BadInput, match=f"none of the kind '{kind}'"):
        question_of({"kind": kind, "question": question})


@pytest.mark.slow
@pytest.mark.parametrize("kind", RECEIPTS)
def test_it_replays_to_the_same_bits(golden_folder: Path, kind: str) -> None:
    done = replay(Lake.open(golden_folder / "lake"), RECEIPTS[kind])
    if kind in NOT_RECOMPUTED:
        assert (done.verdict, "bumps of every risk factor" in str(done.why)) == ("not recomputed", True)
    elif kind in OTHER_BITS:
        assert (done.verdict, "code" in str(done.why)) == ("other bits", True)
    else:
        assert (done.verdict, done.why) == ("same bits", None)
    # the lake is built by the code of today, whose files of market data are others; and a branch's files are no files of a day
    assert {i.input.split(" ")[0] for i in done.inputs if i.state != "same"} <= {"code", "libraries", "market"}


@pytest.mark.slow
def test_the_command_replays_them_too(golden_folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "receipt.json"
    file.write_text(json.dumps(RECEIPTS["way_back"]))
    assert answer("replay", file, lake=golden_folder / "lake")["verdict"] == "same bits"
