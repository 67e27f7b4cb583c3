"""Where the reduce runs, as a user asks for it: the same answer, the way said in plan and receipt, and no Spark over HTTP."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from command_line import answer, refused, varlake
from small_lake import FRIDAY, MONDAY, no_spark, request

from aggregation.opened.remembered import answers
from lake.committer import Committer
from lake.tables import Lake
from service import operations
from service.api.app import create_app
from service.bench import reduce
from service.config import Settings
from valuation.sets.requests import run_valuation

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

QUESTION = ("var", "--as-of", MONDAY, "--by", "desk")
SMALL = str(500 / (1 << 30))  # bytes, in GiB: less than a vector
VECTORS = 3  # one contract of the book has matured


@pytest.fixture(autouse=True)
def nothing_kept() -> None:
    answers.clear()


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Cluster and little memory in the environment; starting Spark is noted, and refused."""
    started: list[str] = []

    def refuse(settings: Settings) -> Any:
        def session() -> SparkSession:
            started.append(str(settings.spark_master))
            raise AssertionError("Spark was started")

        return session

    monkeypatch.setattr(operations, "spark_of", refuse)
    monkeypatch.setenv("VARLAKE_SPARK_MASTER", "spark://somewhere:7077")
    monkeypatch.setenv("VARLAKE_MEMORY_GIB", SMALL)
    return started


def same(one: dict[str, Any], two: dict[str, Any]) -> bool:
    digests = ("result_digest", "receipt_digest")
    return all(one["receipt"][d] == two["receipt"][d] for d in digests) and one["rows"] == two["rows"]


def test_in_process_and_streamed_give_the_same_answer(valued_lake: Path) -> None:
    plain = answer(*QUESTION, lake=valued_lake)
    assert plain["receipt"]["reduce"] == "in-process"
    answers.clear()
    streamed = answer(*QUESTION, "--reduce", "streamed", lake=valued_lake)
    assert streamed["receipt"]["reduce"] == "streamed"
    assert same(plain, streamed)


@pytest.mark.spark
def test_spark_gives_the_same_answer_and_it_replays(valued_lake: Path, tmp_path: Path, spark: SparkSession) -> None:
    plain = answer(*QUESTION, lake=valued_lake)
    answers.clear()
    done = varlake(*QUESTION, "--reduce", "spark", "--json", lake=valued_lake)
    on_spark = json.loads(done.stdout)
    assert on_spark["receipt"]["reduce"] == "spark"
    assert same(plain, on_spark)
    (tmp_path / "answer.json").write_text(done.stdout)
    replayed = varlake("replay", tmp_path / "answer.json", lake=valued_lake)
    assert replayed.returncode == 0
    assert replayed.stderr.startswith("same bits")


@pytest.mark.spark
def test_what_is_missing_is_valued_and_then_added_up_on_spark(work_lake: Lake, spark: SparkSession) -> None:
    with Committer(work_lake, "test") as committer:
        run_valuation(committer, request(FRIDAY), spark=no_spark)  # type: ignore[arg-type]
    parts = ("--by", "desk,client", "--subtotals", "--value", "--reduce", "spark")
    on_spark = answer("var", "--as-of", MONDAY, *parts, lake=work_lake.path)
    answers.clear()
    plain = answer("var", "--as-of", MONDAY, "--by", "desk,client", "--subtotals", lake=work_lake.path)
    assert on_spark["receipt"]["reduce"] == "spark"
    assert (
        on_spark["receipt"]["result_digest"] == plain["receipt"]["result_digest"]
    )  # its question names the set it made
    assert on_spark["rows"] == plain["rows"]


def test_the_plan_says_which_way_and_why(valued_lake: Path, work_lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    with Committer(work_lake, "test") as committer:
        run_valuation(committer, request(FRIDAY), spark=no_spark)  # type: ignore[arg-type]
    for lake, missing in ((valued_lake, 0), (work_lake.path, VECTORS)):
        plan = answer(*QUESTION, "--plan", lake=lake)
        (valued,) = (v["plan"] for v in plan["valuations"])
        assert (valued["missing"], plan["about"]["reduce"]) == (missing, "in-process")
        assert plan["about"]["reduce_because"] == f"{VECTORS * 64 * 8:,} bytes of vectors, without a limit of memory"
    assert "streamed was asked for" in varlake(*QUESTION, "--plan", "--reduce", "streamed", lake=valued_lake).stdout
    monkeypatch.setenv("VARLAKE_MEMORY_GIB", SMALL)
    assert answer(*QUESTION, "--plan", lake=valued_lake)["about"]["reduce"] == "streamed"
    assert answer(*QUESTION, lake=valued_lake)["receipt"]["reduce"] == "streamed"


def test_a_cluster_is_taken_for_what_does_not_fit_alone(
    valued_lake: Path, session: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = answer(*QUESTION, "--plan", lake=valued_lake)
    assert plan["about"]["reduce"] == "spark"
    assert plan["about"]["reduce_because"].endswith("and a Spark cluster is set up")
    assert session == []  # a plan starts nothing
    assert varlake(*QUESTION, lake=valued_lake).returncode == 70
    assert session == ["spark://somewhere:7077"]
    monkeypatch.setenv("VARLAKE_SPARK_MASTER", "local[2]")
    assert answer(*QUESTION, lake=valued_lake)["receipt"]["reduce"] == "streamed"
    monkeypatch.setenv("VARLAKE_SPARK_MASTER", "spark://somewhere:7077")
    monkeypatch.delenv("VARLAKE_MEMORY_GIB")
    assert answer(*QUESTION, lake=valued_lake)["receipt"]["reduce"] == "in-process"
    assert session == ["spark://somewhere:7077"]


def test_the_web_process_streams_and_starts_no_spark(valued_lake: Path, session: list[str]) -> None:
    client = create_app(Settings(lake=valued_lake)).test_client()
    got = client.get(f"/api/v1/var?as_of={MONDAY}&by=desk")
    assert got.status_code == 200
    assert got.get_json()["receipt"]["reduce"] == "streamed"
    assert session == []


def test_an_unknown_way_is_refused_with_those_there_are(valued_lake: Path) -> None:
    said = refused(*QUESTION, "--reduce", "sparc", lake=valued_lake)
    assert "sparc" in said
    assert "spark" in said


@pytest.mark.slow
@pytest.mark.spark
def test_the_benchmark_states_what_spark_costs(tmp_path: Path, spark: SparkSession) -> None:
    lake = reduce.make_lake(tmp_path, 60, 70, 200)
    row = reduce.on_spark(lake, "small", lambda: spark)
    assert row["work"].startswith("reduce on Spark, local[2,4], VaR and ES by desk")
    assert (row["bar"], row["met"]) == ("none, a cost", None)
    assert row["figure"] > 0
    assert row["peer_figure"] > 0
