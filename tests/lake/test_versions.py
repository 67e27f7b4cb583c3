"""What a table was: its commits, the lake as it was known, the versions of its rows. Expected values are written by hand."""

from __future__ import annotations

import datetime as dt
import itertools
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lake.committer import Committer
from lake.errors import BadInput, Damaged, NotFound
from lake.schemas import ACTUAL_PNL, MARKET_DATA, POSITIONS
from lake.tables import NEVER_WRITTEN, Lake
from lake.versions import as_known, changed_rows, check_known, commits, row_versions

DAY = dt.date(2020, 3, 16)
SECOND = dt.timedelta(seconds=1)


def levels(*told: tuple[str, float | None], source: str = "desk", day: dt.date = DAY) -> pa.Table:
    rows = [
        {
            "as_of_date": day,
            "risk_factor_id": factor,
            "value_received": value,
            "value_used": value,
            "status": "missing" if value is None else "observed",
            "rule": "as received",
            "source": source,
        }
        for factor, value in told
    ]
    return pa.Table.from_pylist(rows, MARKET_DATA.schema)


def trades(*told: tuple[str, float, dict[str, str]]) -> pa.Table:
    rows = [
        {"positions_date": DAY, "trade": trade, "quantity": quantity, "attributes": list(more.items())}
        for trade, quantity, more in told
    ]
    return pa.Table.from_pylist(rows, POSITIONS.schema)


def put(lake: Lake, name: str, rows: pa.Table, **note: Any) -> int:
    with Committer(lake, "test") as committer:
        return committer.put(name, rows, replace=True, note=note)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake.create(tmp_path / "lake")


def at(lake: Lake, name: str, version: int) -> str:
    return commits(lake, name)[version].at.isoformat().replace("+00:00", "Z")


def test_the_versions_of_a_value_are_told_with_when_and_by_which_file(lake: Lake) -> None:
    first = put(lake, "market_data", levels(("EQ:A", 100.0), ("EQ:B", 7.0)), files="monday.csv")
    put(lake, "market_data", levels(("EQ:C", 1.0), source="other"))
    second = put(lake, "market_data", levels(("EQ:A", 101.5), ("EQ:B", 7.0)), files="corrected.csv")
    third = put(lake, "market_data", levels(("EQ:B", 7.0)), files="without.csv")
    found = row_versions(lake, "market_data", {"risk_factor_id": ["EQ:A"], "as_of_date": [DAY]})
    told = [(r["version"], r["change"], r["value_used"], dict(r["about"])["files"]) for r in found.rows.to_pylist()]
    assert told == [
        (first, "new", 100.0, "monday.csv"),
        (second, "changed", 101.5, "corrected.csv"),
        (third, "removed", 101.5, "without.csv"),
    ]
    assert found.lost == ()
    stored = found.rows["stored_at"].to_pylist()
    assert stored == [commits(lake, "market_data")[v].at for v in (first, second, third)]
    assert len(set(found.rows["run_id"].to_pylist())) == 3
    # what did not change has one version, however often its file was written
    same = row_versions(lake, "market_data", {"risk_factor_id": ["EQ:B"]})
    assert same.rows["change"].to_pylist() == ["new"]
    assert row_versions(lake, "market_data", {"risk_factor_id": ["EQ:Z"]}).rows.num_rows == 0
    assert row_versions(lake, "hierarchies", {"level": ["desk"]}).rows.num_rows == 0


def test_a_change_of_an_attribute_alone_is_a_version(lake: Lake) -> None:
    put(lake, "positions", trades(("t1", 5.0, {"rating": "A"}), ("t2", 1.0, {})))
    put(lake, "positions", trades(("t1", 5.0, {"rating": "B"}), ("t2", 1.0, {})))
    found = row_versions(lake, "positions", {"positions_date": [DAY]}).rows
    told = [(r["trade"], r["change"], dict(r["attributes"])) for r in found.to_pylist()]
    assert told == [("t1", "new", {"rating": "A"}), ("t1", "changed", {"rating": "B"}), ("t2", "new", {})]


def test_keys_that_are_null_are_the_same_key(lake: Lake) -> None:
    def pnl(value: float, desk: str | None) -> pa.Table:
        row = {"pnl_date": DAY, "kind": "actual", "desk": desk, "pnl": value, "currency": "USD", "file": "a.csv"}
        return pa.Table.from_pylist([row], ACTUAL_PNL.schema)

    put(lake, "actual_pnl", pnl(1.0, None))
    put(lake, "actual_pnl", pnl(2.0, None))
    put(lake, "actual_pnl", pnl(2.0, "FX"))
    found = row_versions(lake, "actual_pnl", {"pnl_date": [DAY]}).rows
    told = [(r["desk"], r["change"], r["pnl"]) for r in found.sort_by("version").to_pylist()]
    assert told[:2] == [(None, "new", 1.0), (None, "changed", 2.0)]
    assert sorted(told[2:], key=str) == [("FX", "new", 2.0), (None, "removed", 2.0)]


def test_the_lake_as_known_at_an_instant_reads_what_was_committed_until_then(lake: Lake) -> None:
    put(lake, "market_data", levels(("EQ:A", 100.0)))
    then = at(lake, "market_data", 1)
    put(lake, "market_data", levels(("EQ:A", 101.0)))
    put(lake, "positions", trades(("t1", 5.0, {})))
    known = as_known(lake, then)
    assert known.read("market_data")["value_used"].to_pylist() == [100.0]
    assert known.version("positions") == NEVER_WRITTEN
    assert lake.read("market_data")["value_used"].to_pylist() == [101.0]
    before = (commits(lake, "market_data")[0].at - SECOND).isoformat().replace("+00:00", "Z")
    assert as_known(lake, before).version("market_data") == NEVER_WRITTEN
    by_version = as_known(lake, "market_data@1")
    assert by_version.read("market_data") == known.read("market_data")
    assert by_version.read("positions") == lake.read("positions")
    # known within known: a replay of an answer that was as known itself
    assert as_known(lake.at({"market_data": 0}), then).version("market_data") == 0


def test_an_instant_is_written_in_one_way() -> None:
    assert check_known("2020-03-20T19:00+01:00") == "2020-03-20T18:00Z"
    assert check_known(" 2020-03-20T18:00:05.250Z") == "2020-03-20T18:00:05.250000Z"
    assert check_known("positions@5, market_data@-1") == "market_data@-1,positions@5"


@pytest.mark.parametrize(
    ("told", "why"),
    [
        ("2020-03-20", "with its zone"),
        ("2020-03-20T18:00", "with its zone"),
        ("2999-01-01T00:00Z", "has passed"),
        ("2020-02-30T18:00Z", "day is out of range"),
        ("market_date@3", "market_data"),
        ("", "with its zone"),
    ],
)
def test_what_is_no_instant_is_refused_with_what_would_be(lake: Lake, told: str, why: str) -> None:
    with pytest.raises(BadInput, match=why):
        as_known(lake, told)


def test_a_version_that_is_not_there_yet_is_refused(lake: Lake) -> None:
    put(lake, "market_data", levels(("EQ:A", 100.0)))
    with pytest.raises(NotFound, match="no version 7; its newest is 1"):
        as_known(lake, "market_data@7")
    with pytest.raises(NotFound, match="table positions has no version 0; it was never written"):
        as_known(lake, "positions@0")


def test_versions_whose_files_are_gone_are_named_and_damaged_ones_refused(lake: Lake) -> None:
    for value in (1.0, 2.0, 3.0):
        put(lake, "market_data", levels(("EQ:A", value)))
    among = {"risk_factor_id": ["EQ:A"]}
    gone, spoilt = (next(iter(commits(lake, "market_data")[v].added)) for v in (2, 3))
    (lake.path / "market_data" / gone).unlink()
    found = row_versions(lake, "market_data", among)
    assert found.rows["value_used"].to_pylist() == [1.0, 3.0]
    assert found.lost == (2,)
    file = lake.path / "market_data" / spoilt
    file.chmod(0o644)
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    with pytest.raises(Damaged, match=spoilt.rpartition("/")[2]):
        row_versions(lake, "market_data", among)


@settings(max_examples=12, deadline=None)
@given(
    st.lists(
        st.dictionaries(st.sampled_from(["EQ:A", "EQ:B", "EQ:C"]), st.sampled_from([1.0, 2.0, None]), min_size=1),
        min_size=1,
        max_size=6,
    )
)
def test_versions_told_are_those_of_a_diary_kept_by_hand(
    tmp_path_factory: pytest.TempPathFactory, loads: list[dict[str, float | None]]
) -> None:
    """Each load is the whole of its source; the diary beside it notes every change in plain Python."""
    lake, diary, states, last = Lake.create(tmp_path_factory.mktemp("diary") / "lake"), [], [], {}
    for load in loads:
        version = put(lake, "market_data", levels(*sorted(load.items())))
        if load != last:
            for name in sorted({*load, *last}):
                if name not in load:
                    diary.append((name, version, "removed", last[name]))
                elif name not in last or load[name] != last[name]:
                    diary.append((name, version, "changed" if name in last else "new", load[name]))
        states.append((version, dict(load)))
        last = load
    found = row_versions(lake, "market_data", {"as_of_date": [DAY]}).rows.to_pylist()
    assert [(r["risk_factor_id"], r["version"], r["change"], r["value_used"]) for r in found] == sorted(
        diary, key=lambda d: d[:2]
    )
    for version, state in states:
        rows = as_known(lake, f"market_data@{version}").read("market_data").to_pylist()
        assert {r["risk_factor_id"]: r["value_used"] for r in rows} == state
    for (v1, one), (v2, two) in itertools.pairwise(states):
        was, now = changed_rows(*(as_known(lake, f"market_data@{v}") for v in (v1, v2)), "market_data")
        told = [{r["risk_factor_id"]: r["value_used"] for r in side.to_pylist()} for side in (was, now)]
        differ = [n for n in {*one, *two} if (n in one, one.get(n)) != (n in two, two.get(n))]
        assert told == [{n: s[n] for n in differ if n in s} for s in (one, two)]
