"""Finding cores and a Java: what is taken, what is passed over, and what is said when there is none."""

from __future__ import annotations

import importlib.util
import os
import platform
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lake.errors import NotReady
from lake.runtime import machine
from lake.runtime.machine import JavaFound, find_java, usable_cores

FakeJava = Callable[[str, str], Path]


@pytest.fixture
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine without any Java, and with a cache folder of its own."""
    empty = tmp_path / "empty"
    empty.mkdir()
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(empty))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    find_java.cache_clear()
    yield
    find_java.cache_clear()


@pytest.fixture
def fake_java(tmp_path: Path) -> FakeJava:
    """Makes a home with a `bin/java` that tells of itself as Java does and counts how often it is asked."""

    def make(name: str, version: str) -> Path:
        home = tmp_path / name
        (home / "bin").mkdir(parents=True)
        java = home / "bin" / "java"
        java.write_text(
            f"""#!/bin/sh
echo asked >> '{home}/asked'
echo 'Property settings:' >&2
echo '    java.home = {home}' >&2
echo '    java.version = {version}' >&2
"""
        )
        java.chmod(0o755)
        return home

    return make


@pytest.mark.usefixtures("alone")
class TestFindJava:
    def test_java_home_wins_over_path(self, fake_java: FakeJava, monkeypatch: pytest.MonkeyPatch) -> None:
        first, second = fake_java("first", "17.0.15"), fake_java("second", "21.0.2")
        monkeypatch.setenv("JAVA_HOME", str(first))
        monkeypatch.setenv("PATH", f"{second}/bin")
        assert find_java() == JavaFound(first, "17.0.15", "JAVA_HOME")

    def test_an_old_java_is_passed_over_and_named(self, fake_java: FakeJava, monkeypatch: pytest.MonkeyPatch) -> None:
        old, new = fake_java("old", "1.8.0_392"), fake_java("new", "25-ea")
        monkeypatch.setenv("JAVA_HOME", str(old))
        monkeypatch.setenv("PATH", f"{new}/bin")
        found = find_java()
        assert (found.source, found.major) == ("PATH", 25)
        assert found.passed_over == (f"JAVA_HOME: {old}/bin/java is Java 1.8.0_392",)

    def test_a_command_that_is_no_java_is_passed_over(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        command = tmp_path / "empty" / "java"
        command.write_text("#!/bin/sh\necho 'Unable to locate a Java Runtime' >&2; exit 1\n")
        command.chmod(0o755)
        with pytest.raises(NotReady, match="does not answer as a Java"):
            find_java()

    def test_none_found_says_what_to_do(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("JAVA_HOME", "/nowhere")
        with pytest.raises(NotReady) as raised:
            find_java()
        for words in ("Java 17 or later", "/nowhere/bin/java", "JAVA_HOME", "varlake[java]"):
            assert words in raised.value.message

    def test_it_is_asked_once_a_process(self, fake_java: FakeJava, monkeypatch: pytest.MonkeyPatch) -> None:
        home = fake_java("home", "17.0.1")
        monkeypatch.setenv("JAVA_HOME", str(home))
        assert find_java() is find_java()
        assert (home / "asked").read_text() == "asked\n"


@pytest.mark.usefixtures("alone")
class TestLauncher:
    def run(self, home: Path, *options: str) -> list[str]:
        """What the Java at `home` receives when its launcher is started with the options."""
        java = home / "bin" / "java"
        java.parent.mkdir(parents=True)
        java.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
        java.chmod(0o755)
        version = "25.0.2" if "25" in home.name else "17.0.1"
        launcher = JavaFound(home, version, "PATH").launcher_home() / "bin" / "java"
        return subprocess.run([launcher, *options], capture_output=True, text=True, check=True).stdout.splitlines()

    def test_only_the_unwanted_options_are_left_out(self, tmp_path: Path) -> None:
        options = ["-Xmx1g", "-Dpath=/a b/$HOME'\"*", "--add-opens=java.base/sun.security.action=ALL-UNNAMED", "", "x"]
        got = self.run(tmp_path / "java 17's", "--add-modules=jdk.incubator.vector", *options)
        assert got == options

    def test_the_package_that_java_24_lost_is_not_opened(self, tmp_path: Path) -> None:
        opened = [
            "--add-opens=java.base/java.lang=ALL-UNNAMED",
            "--add-opens=java.base/sun.security.action=ALL-UNNAMED",
        ]
        assert self.run(tmp_path / "java-25", *opened) == opened[:1]

    def test_it_is_written_once(self, tmp_path: Path) -> None:
        found = JavaFound(tmp_path, "17.0.1", "PATH")
        first = (found.launcher_home() / "bin" / "java").stat()
        assert (found.launcher_home() / "bin" / "java").stat() == first
        assert len(list((tmp_path / "cache" / "varlake").iterdir())) == 1

    def test_a_cache_that_cannot_be_made_is_named(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "file").write_text("")
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
        with pytest.raises(NotReady, match="XDG_CACHE_HOME"):
            JavaFound(tmp_path, "17.0.1", "PATH").launcher_home()


@pytest.mark.parametrize(
    ("quota", "cores"), [("max 100000", 8), ("200000 100000", 2), ("150000 100000", 2), ("5000 100000", 1)]
)
def test_a_container_quota_bounds_the_cores(
    quota: str, cores: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cpu.max").write_text(f"{quota}\n")
    monkeypatch.setattr(machine, "_CPU_QUOTA", tmp_path / "cpu.max")
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)), raising=False)
    assert usable_cores() == cores


KEEPS = """
import resource
import numpy as np
from lake.runtime.machine import keep_freed_memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        arrays = [np.ones(250_000) for _ in range(4)]
        del arrays
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

without = faults()
keep_freed_memory()
faults()
print(without, faults())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other allocators have no such setting")
def test_freed_memory_is_kept() -> None:
    """Each of 80 arrays of 2 MB takes some 500 pages of the system; afterwards they take none."""
    done = subprocess.run([sys.executable, "-c", KEEPS], capture_output=True, text=True, check=True)
    without, kept = map(int, done.stdout.split())
    assert without > 5_000
    assert kept < 50
