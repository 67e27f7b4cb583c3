"""`varlake lake clean`: a plan, a grace time, then exactly the plan; never what a pin, branch or standard needs, nor under a reader."""

from __future__ import annotations

import datetime as dt
import json
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from command_line import answer, refused, varlake
from small_lake import MONDAY, no_spark, request

from aggregation.replay import replay
from lake.committer import Committer
from lake.compaction import compact
from lake.errors import Conflict, NotFound
from lake.schemas import TABLES
from lake.storage import check_anew
from lake.tables import Lake
from lake.verify import verify_files
from valuation.sets.cleaning import clean, plan_cleaning
from valuation.sets.requests import run_valuation
from valuation.sets.soundness import verify_sets
from valuation.sets.store import list_valuation_sets

NOW = dt.datetime.now(dt.UTC)
TOMORROW, LATER = NOW.date() + dt.timedelta(days=1), NOW + dt.timedelta(days=2)
AFTER = MONDAY + dt.timedelta(days=1)


@pytest.fixture(scope="module")
def made(valued_lake: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both days under the standard; Monday under two more sets, the newer of them in a branch's name."""
    lake = Lake.open(shutil.copytree(valued_lake, tmp_path_factory.mktemp("cleaning") / "lake"))
    with Committer(lake, "test") as committer:
        for name, scenarios in (("short", 25), ("stress", 20)):
            asked = request(MONDAY, scenarios={"parameters": {"scenarios": scenarios}, "name": name})
            run_valuation(committer, asked, spark=no_spark)  # type: ignore[arg-type]
    return lake.path


@pytest.fixture
def lake(made: Path, tmp_path: Path) -> Lake:
    return Lake.open(shutil.copytree(made, tmp_path / "lake"))


def sets(lake: Lake) -> list[tuple[dt.date, str]]:
    return sorted((s.valuation_date, s.scenario_set_name) for s in list_valuation_sets(lake))


def files(lake: Lake) -> set[Path]:
    return {p for p in lake.path.rglob("*") if p.is_file() and "cache" not in p.parts}


def kept_answer(lake: Lake, file: Path, *more: str) -> dict[str, Any]:
    told = answer("var", "--as-of", str(MONDAY), "--by", "desk", *more, lake=lake.path)
    file.write_text(json.dumps(told))
    return told


def cleaned(lake: Lake, **asked: Any) -> Any:
    """The plan of today, removed two days later."""
    plan = plan_cleaning(lake, **asked)
    with Committer(lake, "test") as committer:
        return clean(committer, plan, now=LATER)


def test_sets_that_nothing_needs_go_with_the_vectors_that_only_they_had(lake: Lake, tmp_path: Path) -> None:
    before = kept_answer(lake, tmp_path / "kept.json")
    vectors = lake.count("pnl_vectors")
    everything = files(lake)
    plan = plan_cleaning(lake, before=AFTER)
    assert files(lake) == everything  # a plan changes nothing
    assert {(s.valuation_date, s.scenario_set) for s in plan.sets} == {(MONDAY, "short"), (MONDAY, "stress")}
    (orphans,) = plan.vectors
    done, stayed = cleaned(lake, before=AFTER)
    assert (done.sets, done.vectors, stayed) == (plan.sets, plan.vectors, ())
    assert len(sets(lake)) == 2
    assert lake.count("pnl_vectors") == vectors - orphans.vectors > 0
    assert verify_sets(lake) == []
    assert verify_files(lake).faults == ()
    after = answer("var", "--as-of", str(MONDAY), "--by", "desk", lake=lake.path)
    assert after["receipt"]["answer_digest"] == before["receipt"]["answer_digest"]
    assert everything <= files(lake)  # rows went in commits; the files are still those of earlier versions
    assert cleaned(lake, before=AFTER)[0].sets == ()
    with Committer(lake, "test") as committer:  # what is gone can be valued again
        asked = request(MONDAY, scenarios={"parameters": {"scenarios": 25}, "name": "short"})
        assert run_valuation(committer, asked, spark=no_spark).this_run.valued > 0  # type: ignore[arg-type]


def test_a_day_is_kept_and_what_a_pin_or_a_branch_needs(lake: Lake, tmp_path: Path) -> None:
    assert plan_cleaning(lake, before=MONDAY).sets == ()
    kept_answer(lake, tmp_path / "short.json", "--scenario-set", "short")
    assert varlake("lake", "pin", tmp_path / "short.json", lake=lake.path).returncode == 0
    assert [s.scenario_set for s in plan_cleaning(lake, before=AFTER).sets] == ["stress"]
    (pinned,) = answer("lake", "pin", lake=lake.path)
    assert varlake("standard", "set", "--scenario-set", "stress", "--desk", "Options", lake=lake.path).returncode == 0
    assert plan_cleaning(lake, before=AFTER).sets == ()
    assert answer("lake", "pin", "--remove", pinned["receipt"], lake=lake.path) == []
    assert [s.scenario_set for s in plan_cleaning(lake, before=AFTER).sets] == ["short"]
    assert "No receipt" in refused("lake", "pin", "--remove", pinned["receipt"], lake=lake.path)


def test_the_set_of_a_branch_stays(lake: Lake) -> None:
    trade = '[{"trade": "NEW", "quantity": 10, "desk": "Options", "instrument_type": "cash_equity", "currency": "EUR", '
    trade += '"underlying": "EQ:AAA"}]'
    assert varlake("branch", "save", "more", "--as-of", MONDAY, "--add", trade, lake=lake.path).returncode == 0
    (own,) = [s for s in list_valuation_sets(lake) if s.for_branch]
    with Committer(lake, "test") as committer:  # newer scenarios of the standard: nothing else needs the branch's set
        run_valuation(
            committer,
            request(MONDAY, scenarios={"parameters": {"scenarios": 29}, "name": own.scenario_set_name}),
            spark=no_spark,
        )  # type: ignore[arg-type]
    planned = {s.valuation_set_id for s in plan_cleaning(lake, before=AFTER).sets}
    assert own.valuation_set_id not in planned
    assert len(planned) == 3
    assert varlake("branch", "delete", "more", lake=lake.path).returncode == 0
    # a version that was deleted can still be read by its number
    assert own.valuation_set_id not in {s.valuation_set_id for s in plan_cleaning(lake, before=AFTER).sets}


def test_replaced_files_go_and_what_a_pinned_receipt_names_replays(lake: Lake, tmp_path: Path) -> None:
    pinned, other = (tmp_path / f"{n}.json" for n in ("pinned", "other"))
    kept_answer(lake, pinned)
    assert varlake("lake", "pin", pinned, lake=lake.path).returncode == 0
    with Committer(lake, "test") as committer:
        committer.put("positions", lake.read("positions").slice(1), replace=True)
        kept_answer(lake, other)
        committer.put("positions", lake.read("positions").slice(1), replace=True)
        for name in TABLES:
            compact(committer, name)
    told = plan_cleaning(lake, versions_before=TOMORROW, now=LATER)
    # of positions the version between the pinned one and the newest; of other tables nothing that the pinned receipt names
    assert {f.path.partition("/")[0] for f in told.files} >= {"positions"}
    with Committer(lake, "test") as committer:
        clean(committer, told.model_copy(update={"planned_at": NOW}), now=LATER)
    check_anew()
    assert replay(lake, json.loads(pinned.read_text())).verdict == "same bits"
    gone = replay(lake, json.loads(other.read_text()))
    assert gone.verdict == "not recomputed"
    assert "was given up: `varlake lake clean` removed it on" in str(gone.why)
    assert verify_files(lake).faults == ()  # what was removed on purpose is not missed
    with pytest.raises(NotFound, match="earlier version that was given up"):
        lake.read("positions", version=lake.version("positions") - 1)
    assert answer("var", "--as-of", str(MONDAY), lake=lake.path)["rows"]


# pins the lake as it is, says so, waits for a line, and reads every row of its versions
READER = """
import sys
from lake.schemas import TABLES
from lake.tables import Lake
at = Lake.open(sys.argv[1]).snapshot()
print("pinned", flush=True)
sys.stdin.readline()
print(sum(at.read(name).num_rows for name in TABLES), flush=True)
"""


def test_a_reader_that_pinned_an_earlier_version_reads_on(lake: Lake, tmp_path: Path) -> None:
    """Within the grace time nothing is removed; what a removal commits away stays readable at the versions of before."""
    rows = sum(lake.count(name) for name in TABLES)
    with subprocess.Popen(
        [sys.executable, "-c", READER, lake.path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as reader:
        assert reader.stdout is not None
        assert reader.stdout.readline() == "pinned\n"
        with Committer(lake, "test") as committer:
            for name in TABLES:
                compact(committer, name)
        done, _ = cleaned(lake, before=AFTER)  # sets and vectors leave the newest version under the reader
        assert done.sets
        plan = tmp_path / "plan.json"
        asked = ("lake", "clean", "--versions-before", NOW.date(), "--plan", plan)
        assert varlake(*asked, lake=lake.path).returncode == 0
        assert "may still read" in " ".join(refused("lake", "clean", "--remove", plan, lake=lake.path).split())
        assert reader.communicate("\n")[0] == f"{rows}\n"
        assert reader.returncode == 0


def test_questions_are_answered_while_a_cleaning_is_at_work(lake: Lake) -> None:
    with Committer(lake, "test") as committer:
        for name in TABLES:
            compact(committer, name)
    plan = plan_cleaning(lake, versions_before=TOMORROW, before=AFTER, now=LATER)
    assert len(plan.files) > 5
    wrong: list[BaseException] = []
    over = threading.Event()

    def read() -> None:
        while not over.is_set():
            try:
                at = lake.snapshot()
                for name in TABLES:
                    at.read(name)
            except BaseException as error:
                wrong.append(error)
                return

    reader = threading.Thread(target=read)
    reader.start()
    try:
        with Committer(lake, "test") as committer:
            clean(committer, plan.model_copy(update={"planned_at": NOW}), now=LATER)
    finally:
        over.set()
        reader.join()
    assert wrong == []


def test_only_the_plan_goes_and_what_is_needed_again_stays(lake: Lake, tmp_path: Path) -> None:
    plan = plan_cleaning(lake, before=AFTER)
    kept_answer(lake, tmp_path / "short.json", "--scenario-set", "short")
    assert varlake("lake", "pin", tmp_path / "short.json", lake=lake.path).returncode == 0
    with Committer(lake, "test") as committer:
        asked = request(MONDAY, scenarios={"parameters": {"scenarios": 15}, "name": "later"})
        run_valuation(committer, asked, spark=no_spark)  # type: ignore[arg-type]
        done, stayed = clean(committer, plan, now=LATER)
    assert [s.scenario_set for s in done.sets] == ["stress"]
    assert done.vectors == ()  # others were stored on that day since
    assert len(stayed) == 2
    assert {name for day, name in sets(lake) if day == MONDAY} >= {"short", "later"}


def test_killed_between_its_commits_it_completes_when_it_is_run_again(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = plan_cleaning(lake, before=AFTER)
    commits = [0]
    transact = Committer._transact
    for at in range(1, 6):

        def dies(*given: Any, at: int = at, **named: Any) -> int:
            commits[0] += 1
            if commits[0] == at:
                raise KeyboardInterrupt
            return transact(*given, **named)

        commits[0] = 0
        with monkeypatch.context() as patch, Committer(lake, "test") as committer:
            patch.setattr(Committer, "_transact", dies)
            try:
                clean(committer, plan, now=LATER)
            except KeyboardInterrupt:
                assert verify_sets(lake) == []  # never a seal whose members are gone
                continue
        break
    assert at > 1
    cleaned(lake, before=AFTER)  # vectors that were orphaned by the run that was killed
    assert plan_cleaning(lake, before=AFTER).sets == ()
    assert plan_cleaning(lake, before=AFTER).vectors == ()
    members = set(lake.read("valuation_members")["valuation_set_id"].to_pylist())
    assert members == {s.valuation_set_id for s in list_valuation_sets(lake)}


def test_plans_that_are_none_or_too_young_or_of_another_lake(lake: Lake, tmp_path: Path) -> None:
    plan = tmp_path / "plan.json"
    assert varlake("lake", "clean", "--before", AFTER, "--plan", plan, lake=lake.path).returncode == 0
    assert "Run it after" in " ".join(refused("lake", "clean", "--remove", plan, "--grace", 1, lake=lake.path).split())
    told = json.loads(plan.read_text())
    plan.write_text(json.dumps({**told, "planned_at": "2020-01-01T00:00:00Z"}))
    assert "was changed since" in " ".join(refused("lake", "clean", "--remove", plan, lake=lake.path).split())
    for text, said in (("{", "not JSON"), ("[]", "no plan"), ("{}", "no plan")):
        plan.write_text(text)
        assert said in " ".join(refused("lake", "clean", "--remove", plan, lake=lake.path).split())
    assert "cannot be read" in refused("lake", "clean", "--remove", tmp_path / "none", lake=lake.path)
    assert "Give it alone" in refused("lake", "clean", "--remove", plan, "--before", AFTER, lake=lake.path)
    assert "not after it" in refused("lake", "clean", "--versions-before", TOMORROW, lake=lake.path).replace("\n", " ")
    assert "no date" in refused("lake", "clean", "--before", "soon", lake=lake.path)
    other = plan_cleaning(lake).model_copy(update={"lake": "/elsewhere"})
    with Committer(lake, "test") as committer, pytest.raises(Conflict, match="of the lake /elsewhere"):
        clean(committer, other, now=LATER)


def test_pins_that_are_no_receipts(lake: Lake, tmp_path: Path) -> None:
    file = tmp_path / "x.json"
    for text in ("{", "[]", "{}", '{"receipt": {"receipt_digest": "../../x", "table_versions": {}}}'):
        file.write_text(text)
        said = refused("lake", "pin", file, lake=lake.path)
        assert "receipt" in said
    assert "cannot be read" in refused("lake", "pin", tmp_path / "none", lake=lake.path)
    kept_answer(lake, file)
    with Committer(lake, "varlake lake clean"):
        assert "is being cleaned" in refused("lake", "pin", file, lake=lake.path)
    with Committer(lake, "the engine"):
        assert varlake("lake", "pin", file, lake=lake.path).returncode == 0
