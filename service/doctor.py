"""What this machine and this lake offer, and what to do about what is missing. Each check is told, none is skipped."""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Literal

from lake.audit_check import verify_trail
from lake.errors import NotReady, VarlakeError, counted
from lake.leftovers import leftovers
from lake.runtime.delta_jars import find_delta_jars
from lake.runtime.machine import find_java, usable_cores
from lake.runtime.spark import require_named_user, spark_session
from lake.schemas import TABLES
from lake.storage import is_damaged, not_writable
from lake.tables import Lake
from lake.workers import each
from service.config import Settings
from service.jobs import damaged_tables, tables_set_aside

GIB = 1 << 30
MEMORY_WANTED = 4 * GIB  # the Spark driver's 2 GiB, as much again for Python and its workers
DISK_WANTED = 5 * GIB
_CGROUP_MEMORY = Path("/sys/fs/cgroup/memory.max")


@dataclass(frozen=True)
class Finding:
    """One check: `found` says what is there, `advice` what to do when the status is not `ok`."""

    name: str
    status: Literal["ok", "warn", "fail"]
    found: str
    advice: str = ""


def examine(settings: Settings, *, start_spark: bool = False) -> list[Finding]:
    """Every check, in a fixed order; `start_spark` also runs a small job on Spark, which takes some seconds.

    `fail` means that the default run will not work, `warn` that something optional is missing or tight.
    """
    checks: tuple[Callable[[], Iterator[Finding]], ...] = (
        _python,
        _packages,
        _java,
        lambda: _spark(settings, start_spark),
        _delta_jars,
        _cores,
        _memory,
        lambda: _disk(settings.lake),
        lambda: _lake(settings.lake),
        lambda: _market_data(settings.test_market_data),
    )
    return [finding for check in checks for finding in check()]


def lines(findings: Sequence[Finding]) -> Iterator[str]:
    """The findings to read: status, name and what was found in a line each, advice below."""
    width = max(len(f.name) for f in findings)
    for f in findings:
        yield f"{f.status:<4}  {f.name:<{width}}  {f.found}"
        if f.advice:
            yield f"{'':<4}  {'':<{width}}  -> {f.advice}"


def _python() -> Iterator[Finding]:
    found = f"{platform.python_version()} at {sys.executable}"
    needed = metadata.metadata("varlake")["Requires-Python"]
    if (3, 11) <= sys.version_info[:2] <= (3, 13):
        yield Finding("Python", "ok", found)
    else:
        advice = (
            f"varlake is made for Python {needed}: set it up again with one of these, `make setup PYTHON=python3.12`."
        )
        yield Finding("Python", "fail", found, advice)


def _packages() -> Iterator[Finding]:
    """The packages varlake itself asks for, without those of the extras."""
    versions, missing = [f"varlake {metadata.version('varlake')}"], []
    for requirement in metadata.requires("varlake") or ():
        if "extra ==" in requirement:
            continue
        name = re.split(r"[^\w.-]", requirement, maxsplit=1)[0]
        try:
            versions.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            missing.append(name)
    if missing:
        yield Finding("packages", "fail", f"without {', '.join(missing)}", "Run `make setup`, or install varlake anew.")
    else:
        yield Finding("packages", "ok", ", ".join(versions))


def _java() -> Iterator[Finding]:
    try:
        java = find_java()
        java.launcher_home()
    except NotReady as error:
        yield Finding("Java", "fail", "none that Spark can use", error.message)
        return
    found = f"{java.version} at {java.home}, from {java.source}"
    if java.passed_over:
        passed_over = "; ".join(java.passed_over)
        yield Finding("Java", "warn", found, f"Mend or unset what was passed over: {passed_over}.")
    else:
        yield Finding("Java", "ok", found)


def _spark(settings: Settings, start: bool) -> Iterator[Finding]:
    found = f"pyspark {metadata.version('pyspark')}"
    try:
        require_named_user()
    except NotReady as error:
        yield Finding("Spark", "fail", f"{found} cannot run as this user", error.message)
        return
    if home := os.environ.get("SPARK_HOME"):
        advice = (
            f"SPARK_HOME is {home}, and pyspark starts that Spark instead of its own; unset it if that is not meant."
        )
        yield Finding("Spark", "warn", f"{found}, SPARK_HOME is set", advice)
    elif not start:
        yield Finding("Spark", "ok", f"{found}, not started (--spark starts it)")
    if not start:
        return
    started = time.perf_counter()
    try:
        session = spark_session(settings.spark_master, driver_memory=settings.spark_memory)
        rows = session.range(100).mapInArrow(lambda batches: batches, "id long").count()
        master = session.sparkContext.master
        session.stop()
    except Exception as error:  # whatever Java, py4j or a worker raises is the finding
        advice = "See the finding on Java, and VARLAKE_SPARK_MASTER and VARLAKE_SPARK_MEMORY."
        yield Finding("Spark", "fail", f"{found} does not start: {type(error).__name__}: {error}", advice)
        return
    seconds = time.perf_counter() - started
    if rows == 100:
        yield Finding("Spark", "ok", f"{found} on {master}: started and ran Python in {seconds:.1f} s")
    else:
        yield Finding(
            "Spark", "fail", f"{rows} of 100 rows came back from Python workers", "Run it again and report it."
        )


def _delta_jars() -> Iterator[Finding]:
    try:
        yield Finding("Delta jars", "ok", ", ".join(str(p) for p in find_delta_jars()))
    except NotReady as error:
        yield Finding("Delta jars", "warn", "not found; only Spark's own reading of Delta needs them", error.message)


def _cores() -> Iterator[Finding]:
    cores = usable_cores()
    found = f"{cores} usable of {os.cpu_count()}"
    if cores > 1:
        yield Finding("cores", "ok", found)
    else:
        yield Finding("cores", "warn", found, "Two or more are better: give the container or the process more.")


def _memory() -> Iterator[Finding]:
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if _CGROUP_MEMORY.is_file() and (limit := _CGROUP_MEMORY.read_text().strip()) != "max":
        total = min(total, int(limit))
    found = f"{total / GIB:.1f} GiB"
    if total >= MEMORY_WANTED:
        yield Finding("memory", "ok", found)
    else:
        advice = f"{MEMORY_WANTED / GIB:.0f} GiB are advised; with less, lower VARLAKE_SPARK_MEMORY and value fewer contracts at once."
        yield Finding("memory", "warn", found, advice)


def _disk(lake: Path) -> Iterator[Finding]:
    """Space and the right to write, at the lake or where it would be made."""
    place = lake.expanduser().resolve()
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    found = f"{free / GIB:.1f} GiB free at {place}"
    lacking = not_writable(place) if os.access(place, os.W_OK) else None
    if not os.access(place, os.W_OK):
        yield Finding("disk", "fail", f"{found}, which this user may not write", "Name another folder in VARLAKE_LAKE.")
    elif lacking is not None:
        yield Finding("disk", "fail", f"{found}, but nothing can be stored there", lacking.message)
    elif free < DISK_WANTED:
        advice = f"{DISK_WANTED / GIB:.0f} GiB are advised: free some, or name a folder elsewhere in VARLAKE_LAKE."
        yield Finding("disk", "warn", found, advice)
    else:
        yield Finding("disk", "ok", found)


def _lake(path: Path) -> Iterator[Finding]:
    try:
        lake = Lake.open(path)
    except VarlakeError as error:
        yield Finding("lake", "warn", f"none at {path}", error.message)
        return
    form = json.loads((lake.state / "lake.json").read_text())["format"]
    held = lake.written_by()
    writer = f"being written by {held}" if held else "no writer now"
    yield Finding("lake", "ok", f"{lake.path}, format {form}, {writer}")
    yield from _audit(lake)
    yield from _leftovers(lake)
    for name in TABLES:
        try:
            yield from _table(lake, name)
        except Exception as error:  # whatever the Delta reader raises is the finding
            found = (
                error.message if isinstance(error, VarlakeError) else f"cannot be read: {type(error).__name__}: {error}"
            )
            yield Finding(f"table {name}", "fail", found, "What the table holds cannot be read until then.")

    yield from _calendars(lake)


def _audit(lake: Lake) -> Iterator[Finding]:
    """Whether the audit trail holds."""
    try:
        verdict = verify_trail(lake)
    except Exception as error:  # the table that cannot be read is told of below
        yield Finding("audit trail", "warn", f"not examined: {error}", "See the findings on the tables.")
        return
    if verdict.holds:
        yield Finding("audit trail", "ok", f"holds, {counted(verdict.entries, 'entry', 'entries')}")
    else:
        advice = "Find out who could write the lake's folder, keep the file as it is, and restore it from a copy."
        yield Finding("audit trail", "fail", str(verdict.fault), advice)


def _leftovers(lake: Lake) -> Iterator[Finding]:
    """What killed processes have left; what is younger than an hour may be in use."""
    try:
        found = leftovers(lake, older_than=3600)
    except Exception as error:  # the table that cannot be read is told of below
        yield Finding("leftovers", "warn", f"not examined: {error}", "See the findings on the tables.")
        return
    if found:
        size, largest = sum(f.size for f in found) / 1e6, max(found, key=lambda f: f.size)
        listed = f"{len(found):,} files and folders, {size:,.1f} MB, the largest {largest.path}"
        advice = "`varlake lake clean` lists them and plans their removal."
        yield Finding("leftovers", "warn", f"killed processes have left {listed}", advice)
    else:
        yield Finding("leftovers", "ok", "none of killed processes")
    if aside := tables_set_aside(lake.state):
        yield Finding("job table", "warn", damaged_tables(aside), "`varlake lake clean` removes it once it is old.")


def _table(lake: Lake, name: str) -> Iterator[Finding]:
    """A table whose log and data files were all read and held to their digests."""
    version = lake.version(name)
    if version < 0:
        return
    files = lake.data_files(name)
    damaged = [
        *lake.log(name).damage(),
        *(f for f, spoilt in zip(files, each(is_damaged, files), strict=True) if spoilt),
    ]
    if damaged:
        found = (
            f"{counted(len(damaged), 'file')} with other bytes than were committed: {', '.join(map(str, damaged[:20]))}"
        )
        advice = "Restore these files from a copy of the lake. A checkpoint may be deleted: the log tells the same."
        yield Finding(f"table {name}", "fail", found, advice)
    else:
        found = f"version {version}, {counted(lake.count(name), 'row')}; log and {counted(len(files), 'data file')} as they were committed"
        yield Finding(f"table {name}", "ok", found)


def _calendars(lake: Lake) -> Iterator[Finding]:
    """Whether the calendars of the contracts know the holidays of all their dates."""
    try:
        # QuantLib takes a second, and may be what is missing
        from valuation.books.contracts import contract_notes, positions_dates  # noqa: PLC0415
        from valuation.types import Contract  # noqa: PLC0415

        dates = positions_dates(lake)
        if not dates:
            return
        notes = contract_notes(Contract.of(lake.read("contracts", list(Contract._fields))), dates[0])
    except Exception as error:  # the package or the table that fails is told above
        yield Finding("calendars", "warn", f"not examined: {error}", "See the findings above.")
        return
    if notes:
        advice = "Upgrade QuantLib where a newer one lists these years; until then such dates are a day or more early."
        yield Finding("calendars", "warn", " ".join(notes), advice)
    else:
        yield Finding("calendars", "ok", "know the holidays of all dates of the contracts held")


def _market_data(folder: Path | None) -> Iterator[Finding]:
    if folder is None:
        yield Finding(
            "market data for tests", "ok", "VARLAKE_TEST_MARKET_DATA is not set; tests look beside the checkout"
        )
    elif folder.is_dir():
        yield Finding(
            "market data for tests", "ok", f"{folder}, {counted(sum(1 for _ in folder.iterdir()), 'entry', 'entries')}"
        )
    else:
        advice = "Set VARLAKE_TEST_MARKET_DATA to the folder, or unset it; tests of real data are skipped without it."
        yield Finding("market data for tests", "warn", f"{folder} is not there", advice)
