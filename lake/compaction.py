"""Many small data files put together into few, in one commit a table: the same rows, and readers of earlier versions keep theirs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.dataset as ds

from lake.committer import Committer
from lake.progress import Progress, silent
from lake.schemas import POSITIONS, TABLES, VALUATION_FAILURES, VALUATION_MEMBERS, Table
from lake.storage import DataFile, check_data_file, write_data_file
from lake.tables import NEVER_WRITTEN, Lake

LARGEST = 128 << 20  # bytes of a file that is put together
COMPACTS = "compacts"  # the note of such a commit
# receipts name the files of these; they hold one file a book and one a set as they are
NAMED_BY_RECEIPTS = (POSITIONS, VALUATION_MEMBERS, VALUATION_FAILURES)
_Group = tuple[str, ...]


@dataclass(frozen=True)
class Compacted:
    """A table that was, or would be, compacted: `files` became `into`; `size` in bytes of what is written anew."""

    table: str
    files: int
    into: int
    size: int


def compactable(lake: Lake, name: str, largest: int = LARGEST) -> list[tuple[Mapping[str, Any], _Group, int]]:
    """The files of a table that would become one, as groups: values of the partition, paths in the order of their rows, and bytes."""
    definition = TABLES[name]
    table = None if definition in NAMED_BY_RECEIPTS else lake.log(name).open()
    if table is None:
        return []
    by_partition: dict[tuple[Any, ...], list[tuple[str, int]]] = {}
    for action in sorted(pa.table(table.get_add_actions(flatten=True)).to_pylist(), key=lambda a: str(a["path"])):
        values = tuple(action[f"partition.{c}"] for c in definition.partition_by)
        by_partition.setdefault(values, []).append((unquote(action["path"]), action["size_bytes"]))
    return [
        (dict(zip(definition.partition_by, values, strict=True)), group, size)
        for values, files in sorted(by_partition.items())
        for group, size in _grouped(files, largest)
    ]


def planned(lake: Lake, name: str, largest: int = LARGEST) -> Compacted:
    """What `compact` would do; changes nothing."""
    groups = compactable(lake, name, largest)
    return Compacted(name, sum(len(g) for _, g, _ in groups), len(groups), sum(size for _, _, size in groups))


def compact(committer: Committer, name: str, largest: int = LARGEST, progress: Progress = silent) -> Compacted:
    """Writes each group of small files of a table as one file, commits them all at once, and makes a checkpoint.

    Every file is held to its digest first. A run that was killed leaves the table as it was; run again it completes.
    """
    lake, definition = committer.lake, TABLES[name]
    groups = compactable(lake, name, largest)
    removed, made = set[str](), list[DataFile]()
    for done, (partition, paths, _) in enumerate(groups):
        progress(f"groups of files of {name}", done, len(groups))
        rows = _rows(definition, [lake.path / name / path for path in paths])
        file = write_data_file(lake.path, name, rows, partition)
        if file.path not in paths:  # one file of the rows beside empty ones
            removed.update(paths)
            made.append(file)
    if made:
        committer.exchange(name, removed, made, same_rows=True, note={COMPACTS: len(removed)})
        committer.checkpoint(name)
    return Compacted(name, len(removed), len(made), sum(f.size for f in made))


def uncompacted(lake: Lake, name: str, version: int) -> int:
    """The version of a table that has the same rows in the files in which they were first committed."""
    while version > NEVER_WRITTEN + 1 and COMPACTS in lake.log(name).notes(version):
        version -= 1
    return version


def _grouped(files: Sequence[tuple[str, int]], largest: int) -> Iterator[tuple[_Group, int]]:
    """Runs of two and more files, in their order, that fit into one."""
    group: list[str] = []
    total = 0
    for path, size in [*files, ("", largest + 1)]:
        if total + size > largest:
            if len(group) > 1:
                yield tuple(group), total
            group, total = [], 0
        if size <= largest:
            group.append(path)
            total += size


def _rows(definition: Table, paths: Sequence[Path]) -> pa.Table:
    """The rows of the files in their order; columns that are newer than a file are null in its rows."""
    for path in paths:
        check_data_file(path)
    schema = definition.file_schema.remove_metadata()
    return ds.dataset([str(p) for p in paths], schema=schema, format="parquet", partitioning=None).to_table()
