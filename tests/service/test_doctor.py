"""The doctor: every check is told, whatever is missing is named, and every finding that is not ok says what to do."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import sys
from collections import namedtuple
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from examples import EXAMPLES, TODAY

from lake.committer import Committer
from lake.errors import NotReady
from lake.runtime.machine import JavaFound
from lake.schemas import DIMENSION_COLUMNS, TABLES
from lake.tables import Lake
from service import doctor
from service.config import Settings
from service.doctor import Finding, examine
from service.jobs import JobTable
from valuation.books.positions import ingest_positions

CHECKS = {
    "Python",
    "packages",
    "Java",
    "Spark",
    "Delta jars",
    "cores",
    "memory",
    "disk",
    "lake",
    "market data for tests",
}
Examine = Callable[..., dict[str, Finding]]


@pytest.fixture
def examined(tmp_path: Path) -> Examine:
    """Examines an empty place, or the lake given; the findings by name."""

    def run(lake: Path | None = None, **settings: Any) -> dict[str, Finding]:
        findings = examine(Settings(lake=lake or tmp_path / "none" / "yet", **settings))
        for finding in findings:
            assert finding.found
            assert bool(finding.advice) == (finding.status != "ok"), f"{finding.name}: advice where something is to do"
        named = {f.name: f for f in findings}
        assert len(named) == len(findings)
        assert set(named) >= CHECKS
        return named

    return run


def test_this_machine_can_run_the_default(examined: Examine) -> None:
    found = examined()
    assert [f for f in found.values() if f.status == "fail"] == []
    assert sys.executable in found["Python"].found
    assert f"pyspark {metadata.version('pyspark')}" in found["packages"].found
    assert f"varlake {metadata.version('varlake')}" in found["packages"].found
    assert found["Java"].found.startswith(("1", "2"))
    assert found["lake"].status == "warn"
    assert "varlake ingest market" in found["lake"].advice


def test_a_lake_with_its_tables_and_its_writer(examined: Examine, tmp_path: Path) -> None:
    lake = Lake.create(tmp_path / "lake")
    with Committer(lake, "varlake engine") as writer:
        row = {f.name: [f"{f.name}"] for f in TABLES["contracts"].schema}
        table = TABLES["contracts"].schema.empty_table().from_pydict(row, schema=TABLES["contracts"].schema)
        version = writer.put("contracts", table)
        found = examined(lake.path)
    assert f"being written by varlake engine (process {os.getpid()}" in found["lake"].found
    assert "format 1" in found["lake"].found
    said = f"version {version}, 1 row; log and 1 data file as they were committed"
    assert found["table contracts"] == Finding("table contracts", "ok", said)
    assert [n for n in found if n.startswith("table ")] == ["table contracts"]
    assert "no writer now" in examined(lake.path)["lake"].found


@pytest.mark.parametrize(("maturity", "status"), [("2026-09-16", "ok"), ("2027-09-16", "warn")])
def test_contracts_beyond_what_their_calendar_knows(
    examined: Examine, tmp_path: Path, maturity: str, status: str
) -> None:
    lake = Lake.create(tmp_path / "lake")
    bond = EXAMPLES["government_bond"][1] | {"calendar": "HKHK", "maturity": maturity}
    columns = dict.fromkeys(DIMENSION_COLUMNS, "A") | bond
    columns |= {"positions_date": str(TODAY), "quantity": "1", "instrument_type": "government_bond"}
    book = tmp_path / "book.csv"
    book.write_text(",".join(columns) + "\n" + ",".join(map(str, columns.values())) + "\n")
    with Committer(lake, "test") as writer:
        assert ingest_positions(writer, book).loaded == 1
    found = examined(lake.path)["calendars"]
    assert found.status == status
    assert ("HKHK lists its moving holidays of 2004-2026 alone" in found.found) == (status == "warn")


def test_a_table_that_cannot_be_read_is_a_failure(examined: Examine, tmp_path: Path) -> None:
    lake = Lake.create(tmp_path / "lake")
    log = lake.path / "contracts" / "_delta_log"
    log.mkdir(parents=True)
    (log / f"{0:020}.json").write_text(json.dumps({"commitInfo": {}}))
    finding = examined(lake.path)["table contracts"]
    assert finding.status == "fail"
    assert str(log) in finding.found


def test_damaged_files_are_failures_by_name(examined: Examine, tmp_path: Path) -> None:
    lake = Lake.create(tmp_path / "lake")
    schema = TABLES["contracts"].schema
    with Committer(lake, "test") as writer:
        for i in range(3):
            writer.put("contracts", pa.table({f.name: [f"{f.name}{i}"] for f in schema}, schema=schema))
    one, two, _ = lake.data_files("contracts")
    entry = lake.path / "contracts" / "_delta_log" / f"{1:020}.json"
    for file in (one, two, entry):
        spoilt = bytearray(file.read_bytes())
        spoilt[len(spoilt) // 2] ^= 1
        file.write_bytes(spoilt)
    finding = examined(lake.path)["table contracts"]  # opened before: the damage is found all the same
    assert finding.status == "fail"
    assert finding.found.startswith("3 files with other bytes than were committed: ")
    assert all(str(f) in finding.found for f in (one, two, entry))


def test_no_java(examined: Examine, monkeypatch: pytest.MonkeyPatch) -> None:
    def none() -> JavaFound:
        raise NotReady("Install one, or `pip install 'varlake[java]'`.")

    monkeypatch.setattr(doctor, "find_java", none)
    finding = examined()["Java"]
    assert finding.status == "fail"
    assert "varlake[java]" in finding.advice


def test_a_java_that_was_passed_over_is_told(
    examined: Examine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    java = JavaFound(Path("/java"), "21.0.2", "PATH", ("JAVA_HOME: /old/bin/java is Java 11.0.1",))
    monkeypatch.setattr(doctor, "find_java", lambda: java)
    finding = examined()["Java"]
    assert (finding.status, finding.found) == ("warn", "21.0.2 at /java, from PATH")
    assert "/old/bin/java is Java 11.0.1" in finding.advice


def test_the_lines_to_read_have_everything() -> None:
    findings = [Finding("Java", "fail", "none", "Install one."), Finding("memory", "ok", "8.0 GiB")]
    assert list(doctor.lines(findings)) == [
        "fail  Java    none",
        "              -> Install one.",
        "ok    memory  8.0 GiB",
    ]


def test_a_missing_package_is_named(examined: Examine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        metadata, "requires", lambda name: ["numpy>=2", "no-such-package>=1", "extra-one; extra == 'x'"]
    )
    finding = examined()["packages"]
    assert (finding.status, finding.found) == ("fail", "without no-such-package")


def test_a_python_that_is_too_new(examined: Examine, monkeypatch: pytest.MonkeyPatch) -> None:
    Version = namedtuple("Version", "major minor micro releaselevel serial")
    monkeypatch.setattr(sys, "version_info", Version(3, 14, 0, "final", 0))
    finding = examined()["Python"]
    assert finding.status == "fail"
    assert "make setup PYTHON=" in finding.advice


def test_another_spark_by_its_home(examined: Examine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPARK_HOME", "/opt/spark-3.5")
    finding = examined()["Spark"]
    assert finding.status == "warn"
    assert "/opt/spark-3.5" in finding.advice


def test_a_job_table_that_was_damaged(examined: Examine, tmp_path: Path) -> None:
    lake = Lake.create(tmp_path / "lake")
    assert "job table" not in examined(lake.path)
    (lake.state / "jobs.sqlite").write_bytes(b"damaged" * 5000)
    (aside,) = JobTable.of(lake).set_aside()
    told = examined(lake.path)["job table"]
    assert (told.status, aside in told.found) == ("warn", True)


def test_a_disk_that_takes_nothing(examined: Examine, monkeypatch: pytest.MonkeyPatch) -> None:
    def none_left(fd: int) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(os, "fsync", none_left)
    told = examined()["disk"]
    assert (told.status, "disk is full" in told.advice) == ("fail", True)


def test_a_user_without_a_name(examined: Examine, monkeypatch: pytest.MonkeyPatch) -> None:
    def unnamed(uid: int) -> pwd.struct_passwd:
        raise KeyError(uid)

    monkeypatch.setattr(pwd, "getpwuid", unnamed)
    finding = examined()["Spark"]
    assert finding.status == "fail"
    assert "/etc/passwd" in finding.advice


def test_no_delta_jars_is_a_warning_only(examined: Examine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("VARLAKE_DELTA_JARS", str(tmp_path))
    finding = examined()["Delta jars"]
    assert finding.status == "warn"
    assert "make delta-jars" in finding.advice


def test_a_small_container(examined: Examine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "memory.max").write_text(f"{1 << 30}\n")
    monkeypatch.setattr(doctor, "_CGROUP_MEMORY", tmp_path / "memory.max")
    monkeypatch.setattr(doctor, "usable_cores", lambda: 1)
    found = examined()
    assert (found["memory"].status, found["memory"].found) == ("warn", "1.0 GiB")
    assert found["cores"].status == "warn"


def test_a_container_without_a_limit(examined: Examine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "memory.max").write_text("max\n")
    monkeypatch.setattr(doctor, "_CGROUP_MEMORY", tmp_path / "memory.max")
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert examined()["memory"].found == f"{total / 2**30:.1f} GiB"


def test_a_full_disk_and_one_that_may_not_be_written(
    examined: Examine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(1 << 40, 1 << 40, 1 << 20))
    finding = examined()["disk"]
    assert finding.status == "warn"
    assert finding.found.endswith(f"at {tmp_path}"), "the nearest folder there is"
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert examined()["disk"].status == "fail"


def test_the_market_data_folder(examined: Examine, tmp_path: Path) -> None:
    assert examined(test_market_data=tmp_path)["market data for tests"].status == "ok"
    assert examined(test_market_data=tmp_path / "gone")["market data for tests"].status == "warn"


@pytest.mark.spark
@pytest.mark.slow
def test_spark_is_started_when_asked(tmp_path: Path) -> None:
    """In a process of its own: the doctor stops the session it starts, which other tests may share."""
    import subprocess

    program = (
        "from service.doctor import examine\nfrom service.config import Settings\n"
        "(spark,) = [f for f in examine(Settings(), start_spark=True) if f.name == 'Spark']\n"
        "print(spark.status, spark.found)\n"
    )
    env = {k: v for k, v in os.environ.items() if k != "SPARK_HOME"} | {"VARLAKE_SPARK_MASTER": "local[1]"}
    command = [sys.executable, "-c", program]
    ran = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=200)
    assert ran.returncode == 0, ran.stderr
    assert "ok pyspark" in ran.stdout
    assert "started and ran Python in" in ran.stdout
    wrong = subprocess.run(
        command, cwd=tmp_path, env=env | {"VARLAKE_SPARK_MEMORY": "1k"}, capture_output=True, text=True, timeout=200
    )
    assert "fail pyspark" in wrong.stdout
    assert "does not start" in wrong.stdout
