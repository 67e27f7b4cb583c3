"""Ticks of files into the lake: the levels they make, whatever the order and the cut of the files; every fault; what is counted."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support import factor, put_market

from lake.committer import Committer, DryRun
from lake.errors import BadInput
from lake.landing.mapping import FileMapping
from lake.landing.ticks import EVENTS
from lake.schemas import MARKET_CALENDARS
from lake.tables import Lake
from scenarios.kernels import alignment
from scenarios.market.intraday import FATES, TicksReport, ingest_ticks

HEADER = "risk_factor_id,time,sequence,event,corrects,price,bid,ask,size"
BLACK_FRIDAY = "2020-11-27"  # New York closes at 13:00
FACTORS = [factor("EQ:AAA", "equity_price"), factor("EQ:BBB", "equity_price"), factor("CM:OIL", "commodity_price")]


@pytest.fixture
def committer(tmp_path: Path) -> Iterator[Committer]:
    lake = Lake.create(tmp_path / "lake")
    put_market(lake, FACTORS, {"EQ:AAA": {dt.date(2020, 11, 25): 10.0}})
    calendars = pa.Table.from_pylist(
        [{"calendar": "XNYS", "sources": ["test"], "days": None}], schema=MARKET_CALENDARS.schema
    )
    with Committer(lake, "test") as made:
        made.put("market_calendars", calendars)
        yield made


def bring(committer: Committer, folder: Path, *lines: str, name: str = "ticks.csv", **more: object) -> TicksReport:
    path = folder / name
    path.write_text("\n".join([HEADER, *lines]))
    return ingest_ticks(committer, path, source="feed", **more)  # type: ignore[arg-type]


def tick(name: str, time: str, sequence: int, price: float | str = "", event: str = "", corrects: str = "") -> str:
    return f"{name},{BLACK_FRIDAY}T{time}-05:00,{sequence},{event},{corrects},{price},,,"


def levels(committer: Committer) -> list[tuple[object, ...]]:
    rows = committer.lake.read("intraday_levels").to_pylist()
    wanted = ("risk_factor_id", "bucket_end", "level", "ticks", "carried_seconds", "halted", "sequence")
    return [tuple(r[c].strftime("%H:%M:%S") if c == "bucket_end" else r[c] for c in wanted) for r in rows]


def test_the_names_of_what_ticks_do_and_become_are_those_of_the_kernel() -> None:
    assert [getattr(alignment, e.upper()) for e in EVENTS] == [*range(7)]
    kernel = {"outside_session": "OUTSIDE"}
    assert [getattr(alignment, kernel.get(f, f.upper())) for f in FATES] == [*range(12)]


def test_levels_are_means_carried_and_corrected_by_sequence(committer: Committer, tmp_path: Path) -> None:
    report = bring(
        committer,
        tmp_path,
        tick("EQ:AAA", "09:30:00.25", 1, 10),
        tick("EQ:AAA", "09:30:00.75", 2, 12),
        tick("EQ:AAA", "09:30:03", 4, 14),
        f"EQ:BBB,{BLACK_FRIDAY}T14:30:01Z,3,,,,19,21,",
    )
    assert levels(committer) == [
        ("EQ:AAA", "14:30:01", 11.0, 2, 0, False, 2),
        ("EQ:AAA", "14:30:02", 11.0, 0, 1, False, 2),
        ("EQ:AAA", "14:30:03", 11.0, 0, 2, False, 2),
        ("EQ:AAA", "14:30:04", 14.0, 1, 0, False, 4),
        ("EQ:BBB", "14:30:02", 20.0, 1, 0, False, 3),
        ("EQ:BBB", "14:30:03", 20.0, 0, 1, False, 3),
        ("EQ:BBB", "14:30:04", 20.0, 0, 2, False, 3),
    ]
    assert (report.read, report.new, report.buckets, report.fresh, report.carried) == (4, 4, 7, 3, 4)
    bring(committer, tmp_path, tick("EQ:AAA", "09:30:05", 5, 16, "correction", "2"), name="later.csv")
    assert levels(committer)[0] == ("EQ:AAA", "14:30:01", 13.0, 2, 0, False, 5)


def test_every_cut_and_order_of_the_files_gives_the_same_bits(committer: Committer, tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    lines = [
        tick(
            FACTORS[rng.integers(3)].risk_factor_id,
            f"09:{30 + i // 60}:{i % 60:02}.{rng.integers(1000):03}",
            i,
            rng.uniform(9, 11),
        )
        for i in range(300)
    ]
    lines += [tick("EQ:AAA", "09:34", 400 + i, 5.5, "correction", str(i)) for i in range(0, 40, 3)]
    one = ingest_of(committer, tmp_path, "whole", [lines])
    shuffled = [lines[i] for i in rng.permutation(len(lines))]
    assert ingest_of(committer, tmp_path, "cut", [shuffled[:100], shuffled[100:]]).equals(one)


def ingest_of(committer: Committer, folder: Path, name: str, files: list[list[str]]) -> pa.Table:
    """The levels that a lake of its own has of these files."""
    lake = Lake.create(folder / name)
    put_market(lake, FACTORS, {"EQ:AAA": {dt.date(2020, 11, 25): 10.0}})
    with Committer(lake, "test") as own:
        own.put("market_calendars", committer.lake.read("market_calendars"))
        for i, lines in enumerate(files):
            bring(own, folder, *lines, name=f"{name}-{i}.csv")
    return lake.read("intraday_levels")


def test_the_same_file_twice_and_a_dry_run_change_nothing(committer: Committer, tmp_path: Path) -> None:
    line = tick("EQ:AAA", "09:30:00", 1, 10)
    path = tmp_path / "dry.csv"
    path.write_text(f"{HEADER}\n{line}\n")
    dry = ingest_ticks(DryRun(committer.lake), path, source="feed")
    assert (dry.new, dry.buckets, committer.lake.count("ticks"), committer.lake.count("intraday_levels")) == (
        1,
        1,
        0,
        0,
    )
    bring(committer, tmp_path, line)
    before = {t: committer.lake.version(t) for t in ("ticks", "intraday_levels")}
    again = bring(committer, tmp_path, line, line, name="again.csv")
    assert (again.read, again.new, again.unchanged, again.duplicates) == (2, 0, 1, 1)
    assert {t: committer.lake.version(t) for t in before} == before
    wider = bring(committer, tmp_path, line, bucket_seconds=60)
    assert (wider.new, wider.version, levels(committer)[0][1]) == (0, before["intraday_levels"] + 1, "14:31:00")


def test_what_is_not_used_is_counted_and_said(committer: Committer, tmp_path: Path) -> None:
    report = bring(
        committer,
        tmp_path,
        tick("EQ:AAA", "09:29:59", 1, 9),
        tick("EQ:AAA", "09:30:01", 2, 10),
        tick("EQ:AAA", "09:30:00", 3, 11),
        f"EQ:AAA,{BLACK_FRIDAY}T14:30:01Z,4,,,,11,9,",
        f"EQ:AAA,{BLACK_FRIDAY}T14:30:01Z,5,,,,,,",
        tick("EQ:AAA", "09:30:02", 6, 0),
        tick("CM:OIL", "09:30:02", 7, -37.63),
        tick("EQ:AAA", "09:30:03", 8, event="halt"),
        tick("EQ:AAA", "09:30:04", 9, 50),
        tick("EQ:AAA", "09:30:05", 10, event="cancel", corrects="77"),
        tick("EQ:AAA", "13:00:00.5", 11, 60),
    )
    assert report.became == {
        "used": 2, "late": 1, "crossed": 1, "not_positive": 1, "no_level": 1, "in_halt": 1, "outside_session": 2, "no_target": 1,
        "applied": 1,
    }  # fmt: skip
    assert sum(report.became.values()) == report.read == 11
    assert "Ticks outside the session of their market, not used: 2." in report.notes
    of_share = [r for r in levels(committer) if r[0] == "EQ:AAA"]
    # the session ends at 13:00, three and a half hours of seconds after the open; from the halt on nothing is fresh
    assert len(of_share) == 3.5 * 3600
    assert {r[5] for r in of_share[3:]} == {True}
    assert of_share[-1][1] == "18:00:00"
    assert -37.63 in {r[2] for r in levels(committer)}


def test_every_fault_is_told_at_once(committer: Committer, tmp_path: Path) -> None:
    with pytest.raises(BadInput) as error:
        bring(
            committer,
            tmp_path,
            "EQ:AA,2020-11-27T15:00:00Z,1,,,1,,,",
            "EQ:AAA,2020-11-27T15:00:00,2,,,1,,,",
            "EQ:AAA,2020-11-27T15:00:00Z,x,,,1,,,",
            "EQ:AAA,2020-11-27T15:00:00Z,3,,,one,,,",
            "EQ:AAA,2020-11-27T15:00:00Z,4,fix,,1,,,",
            "EQ:AAA,2020-11-27T15:00:00Z,5,cancel,,,,,",
            "EQ:AAA,2020-11-27T15:00:00Z,6,,5,1,,,",
            "EQ:AAA,2020-11-27T15:00:00Z,6,,,1,,,-1",
            "EQ:AAA,2020-11-27T15:00:00Z,7,,,1,,,",
            "EQ:AAA,2020-11-27T15:00:00Z,7,,,2,,,",
            ",2020-11-27T15:00:00Z,8,,,2,,,",
        )
    told = [(i.pointer, i.value) for i in error.value.issues]
    assert [place.partition(",")[0] for place, _ in told] == [f"row {n}" for n in (2, 3, 4, 5, 6, 7, 8, 9, 9, 11, 12)]
    assert error.value.issues[0].allowed[0] == "EQ:AAA"
    assert "zone" in error.value.issues[1].message
    assert committer.lake.count("ticks") == 0


def test_the_lakes_content_of_a_number_and_its_feed_stand(committer: Committer, tmp_path: Path) -> None:
    bring(committer, tmp_path, tick("EQ:AAA", "09:30:00", 1, 10))
    with pytest.raises(BadInput, match=r"number 1 of EQ:AAA on 2020-11-27 with other content"):
        bring(committer, tmp_path, tick("EQ:AAA", "09:30:00", 1, 11))
    path = tmp_path / "other.csv"
    path.write_text("\n".join([HEADER, tick("EQ:AAA", "09:30:00", 2, 11), tick("EQ:BBB", "09:30:00", 2, 11)]))
    with pytest.raises(BadInput, match="EQ:AAA has ticks of another feed"):
        ingest_ticks(committer, path, source="second")
    path.write_text("\n".join([HEADER, tick("EQ:BBB", "09:30:00", 2, 11)]))
    ingest_ticks(committer, path, source="second")
    bring(committer, tmp_path, tick("EQ:AAA", "09:30:01", 2, 12))
    assert [r[0] for r in levels(committer)] == ["EQ:AAA", "EQ:AAA", "EQ:BBB"]


def test_parquet_of_its_own_columns_is_read_by_a_mapping(committer: Committer, tmp_path: Path) -> None:
    midnight = dt.datetime(2020, 11, 27, tzinfo=dt.UTC)
    table = pa.table(
        {
            "Ticker": ["AAA", "AAA", "ZZZ", "AAA"],
            "at": pa.array(
                [midnight + dt.timedelta(hours=15), midnight, midnight, midnight],
                pa.timestamp("ns", "America/New_York"),
            ),
            "no": [1, 2, 3, 4],
            "px": [10.0, 11.0, 5.0, None],
            "cond": ["@", "@", "@", "H"],
        }
    )
    pq.write_table(table, tmp_path / "own.parquet")
    mapping = FileMapping.model_validate(
        {
            "columns": {
                "risk_factor_id": {"from": "Ticker", "prefix": "EQ:"},
                "time": "at",
                "sequence": "no",
                "price": {"from": "px", "unit": "pence"},
                "event": {"from": "cond", "values": {"@": "new", "H": "halt"}},
            }
        }
    )
    report = ingest_ticks(
        committer, tmp_path / "own.parquet", source="feed", only={"EQ:AAA", "EQ:NONE"}, mapping=mapping
    )
    assert (report.read, report.new, report.not_held) == (4, 3, 1)
    assert report.became == {"used": 1, "outside_session": 1, "applied": 1}
    assert levels(committer) == [("EQ:AAA", "15:00:01", 0.1, 1, 0, False, 1)]
