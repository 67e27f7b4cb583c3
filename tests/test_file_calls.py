"""Whatever changes a file of a lake goes through `lake.storage`, which makes it durable in the right order; others are named here."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("lake", "scenarios", "valuation", "aggregation", "service")
# of `os` and `shutil`, and of a path, whatever it is called; opening counts where something may be written
CALLS = {
    *(
        "link",
        "symlink",
        "unlink",
        "remove",
        "rename",
        "renames",
        "replace",
        "rmdir",
        "removedirs",
        "mkdir",
        "makedirs",
    ),
    *(
        "truncate",
        "ftruncate",
        "fsync",
        "fdatasync",
        "posix_fallocate",
        "rmtree",
        "copy",
        "copy2",
        "copyfile",
        "copytree",
        "move",
    ),
    *("write_text", "write_bytes", "touch", "symlink_to", "hardlink_to", "mkstemp", "mkdtemp"),
    *("NamedTemporaryFile", "TemporaryDirectory", "new_file", "write_feather"),
}
OF_TEXT_TOO = {
    "replace",
    "copy",
    "rename",
    "remove",
    "move",
}  # methods of texts, models, lists: only of `os` and `shutil` they count
# what is no file of the lake, or is made anew where it is lost
ELSEWHERE = {
    "lake/storage.py": "the one place",
    "lake/committer.py": "the lock, which is opened and never written",
    "lake/compiled.py": "the locks of kernels, beside what Numba keeps",
    "lake/runtime/machine.py": "a launcher in the cache of the user",
    "lake/runtime/delta_jars.py": "a download",
    "lake/delta_log.py": "a folder of links, outside of the lake, to read through",
    "lake/child_process.py": "what the system may end first, in /proc",
    "lake/disk_cache.py": "the cache: checked when it is opened, made again where it is damaged",
    "aggregation/opened/opened_lake.py": "a cache for one replay",
    "aggregation/exposure/stored_paths.py": "the cache of values on paths, made again where it is lost",
    "valuation/horizons/path_runs.py": "the work of a run on Spark, removed when it ends",
    "aggregation/opened/vectors.py": "an entry of the cache",
    "valuation/costs.py": "what pricing took: lines that may be lost",
    "valuation/sets/run.py": "the mark of a run at work, gone with it",
    "valuation/sets/on_spark.py": "the work list of a run on Spark, gone with it",
    "service/jobs.py": "the job table, which is SQLite's",
    "service/access/store.py": "the file of users, which is SQLite's",
    "service/work.py": "uploads, gone with their job",
    "service/api/uploads.py": "uploads, gone with their job",
    "service/demo.py": "the folder of the demo",
    "service/live_demo.py": "the folder of the demo",
    "valuation/samples/live_day.py": "files of a sample, in a folder that the user named",
    "service/cli/scenarios.py": "a file that the user named",
    "service/cli/given.py": "a file that the user named",
    "service/cli/feed.py": "what a feed hands to the engine, gone with its job",
    "service/python/lakes.py": "a table that is brought in, gone afterwards",
    "service/python/results.py": "a file that the user named",
    "service/python/stub.py": "a source file",
    "service/rendering/answers.py": "a picture, gone with its folder",
    "service/cli/check.py": "what ORE reads, gone afterwards or in a folder that the user named",
    "aggregation/ore_check.py": "the same",
    "valuation/ore": "the same",
    "scenarios/market/sample_market.py": "sample files",
    "valuation/samples/book.py": "sample files",
    "valuation/samples/reference.py": "sample files",
    "service/bench": "lakes to measure, gone afterwards",
}


def changes(source: str) -> Iterator[tuple[int, str]]:
    """Line and name of every call that may change a file."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        of = node.func.value if isinstance(node.func, ast.Attribute) else None
        module = of.id if isinstance(of, ast.Name) else None
        texts = [a.value for a in (*node.args, *(k.value for k in node.keywords)) if isinstance(a, ast.Constant)]
        writes = any(isinstance(t, str) and set(t) & set("wax+") and len(t) <= 3 for t in texts)
        if writes if name == "open" else name in CALLS and (name not in OF_TEXT_TOO or module in ("os", "shutil")):
            yield node.lineno, name


def test_files_of_a_lake_are_changed_in_one_module() -> None:
    found = {}
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            place = path.relative_to(ROOT).as_posix()
            if called := list(changes(path.read_text(encoding="utf-8"))):
                found[place] = called
    allowed = {p for p in found if p in ELSEWHERE or str(Path(p).parent) in ELSEWHERE}
    strange = {p: c for p, c in found.items() if p not in allowed}
    assert not strange, f"Write through lake.storage, or say here what it is: {strange}"
    used = allowed | {str(Path(p).parent) for p in allowed}
    assert ELSEWHERE.keys() <= used, f"No file is changed there any more: {ELSEWHERE.keys() - used}"


@pytest.mark.parametrize(
    "line",
    [
        "os.replace(a, b)",
        "path.write_text('x')",
        "path.open('ab')",
        "open(p, mode='w')",
        "shutil.rmtree(p)",
        "p.mkdir()",
    ],
)
def test_a_call_that_changes_a_file_is_seen(line: str) -> None:
    assert list(changes(line)) == [(1, line.partition("(")[0].rpartition(".")[2])]


@pytest.mark.parametrize("line", ["text.replace('a', 'b')", "path.open('rb')", "path.open()", "log.open(version)"])
def test_one_that_does_not_is_not(line: str) -> None:
    assert list(changes(line)) == []
