"""The audit trail: chained, durable before the effect, whole after a kill at any moment, and its first broken place named."""

from __future__ import annotations

import datetime as dt
import errno
import json
import multiprocessing
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from support import factor, put_market, random_walks

from lake import storage
from lake.audit import BEGINNING, START, Trail, chained, sha256, sound
from lake.audit_check import ActFilter, recorded_act, recorded_acts, verify_file, verify_lines, verify_trail
from lake.cleaning import pin, unpin
from lake.committer import Committer
from lake.delta_log import DeltaLog
from lake.errors import BadInput, Conflict, Damaged, NotFound
from lake.progress import Cancelled
from lake.schemas import TABLES
from lake.tables import Lake
from lake.versions import commits

DOCS = Path(__file__).parents[2] / "docs" / "audit.md"


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake.create(tmp_path / "lake")


@pytest.fixture
def trail(tmp_path: Path) -> Trail:
    """Five acts: eleven entries with the one of the beginning."""
    found = Trail(tmp_path / "state")
    for i in range(5):
        with found.acting("pin", {"receipt": f"r{i}"}, "ann" if i % 2 else "bob"):
            pass
    return found


def market(lake: Lake) -> None:
    """Acts of the holder `test`: two versions of two tables."""
    stock = factor("EQ:AAA", "equity_price")
    put_market(lake, [stock], random_walks([stock], dt.date(2020, 1, 2), dt.date(2020, 1, 9)))


class TestActs:
    def test_an_act_is_in_the_trail_before_its_effect_and_its_outcome_after(self, trail: Trail) -> None:
        with trail.acting("pin", {"receipt": "x"}, "ann", job="j1") as act:
            (first,) = [e for e in trail.entries() if e["sequence"] == act.number]
            assert (first["phase"], first["actor"], first["asked"], first["job"]) == (
                "begun",
                "ann",
                {"receipt": "x"},
                "j1",
            )
            assert first["asked_digest"] == sha256(b'{"receipt":"x"}')
            act.led_to["pins"] = 1
        last = trail.head()
        assert last is not None
        assert (last["phase"], last["begun"], last["led_to"], last["open"]) == ("done", act.number, {"pins": 1}, {})

    @pytest.mark.parametrize(
        ("error", "outcome", "told"),
        [
            (BadInput("no such receipt"), "failed", "no such receipt"),
            (ValueError("inner workings"), "failed", "ValueError"),
            (Cancelled("stopped"), "cancelled", "stopped"),
            (KeyboardInterrupt(), "cancelled", "KeyboardInterrupt"),
        ],
    )
    def test_what_fails_is_told_and_raised(self, trail: Trail, error: BaseException, outcome: str, told: str) -> None:
        with pytest.raises(type(error)), trail.acting("pin", {}):
            raise error
        last = trail.head()
        assert last is not None
        assert (last["phase"], last["led_to"]) == (outcome, {"error": told})

    def test_what_is_long_in_a_request_is_kept_as_its_digest(self, trail: Trail) -> None:
        rows = ["x" * 100] * 100
        with trail.acting("release", {"reason": "month end", "answer": rows}) as act:
            pass
        entry = recorded_act(trail, act.number)[1][0]
        text = json.dumps(rows, separators=(",", ":")).encode()
        assert entry["asked"] == {"reason": "month end", "answer": {"bytes": len(text), "digest": sha256(text)}}
        assert entry["asked_digest"] == sha256(b'{"answer":' + text + b',"reason":"month end"}')

    def test_a_name_in_any_script_or_with_an_end_of_line_stays_on_its_line(self, trail: Trail) -> None:
        with trail.acting("pin", {"reason": "Zoë\n\u2028 \ud800"}, "李") as act:
            pass
        assert recorded_act(trail, act.number)[0].asked == {"reason": "Zoë\n\u2028 \ud800"}
        assert verify_lines(list(trail.lines())).holds

    def test_a_commit_names_its_act_and_the_act_its_commits(self, lake: Lake) -> None:
        market(lake)
        with Committer(lake, "test") as committer, committer.acting("ingest", {"what": "market"}, "ann") as act:
            committer.exchange("market_data", [], [])
            committer.commit("hierarchies", [])
        market(lake)
        made = {"hierarchies": [0], "market_data": [2]}
        assert recorded_act(lake.trail, act.number)[0].tables == made
        assert {name: lake.log(name).versions_of(act.number) for name in made} == made
        assert commits(lake, "market_data")[2].about["audit"] == str(act.number)
        assert verify_trail(lake).holds

    def test_what_is_committed_outside_of_an_act_is_one_by_the_name_of_the_holder(self, lake: Lake) -> None:
        market(lake)
        _, act = recorded_acts(lake.trail)
        assert (act.act, act.asked, act.outcome) == ("write", {"by": "test"}, "done")
        assert act.tables == {"market_data": [0, 1], "risk_factors": [0, 1]}

    def test_the_trail_of_a_lake_from_before_says_where_it_begins(self, lake: Lake) -> None:
        market(lake)
        lake.trail.path.unlink()
        with lake.trail.acting("pin", {}):
            pass
        first = next(lake.trail.entries())
        assert (first["act"], first["before"]) == (BEGINNING, START)
        assert first["led_to"] == {"tables": {"market_data": 1, "risk_factors": 1}}
        verdict = verify_trail(lake)
        assert verdict.holds
        assert verdict.notes == (
            "4 versions of tables had been made when the trail began.",
            "An earlier trail, up to act 2 or later, was moved away or lost.",
        )

    def test_a_lake_from_before_holds_until_its_trail_begins(self, lake: Lake) -> None:
        market(lake)
        for entry in lake.path.glob("*/_delta_log/*.json"):  # as such a lake has them
            entry.write_text(entry.read_text().replace(',"audit":"2"', ""))
        lake.trail.path.unlink()
        shutil.rmtree(lake.state / "logs")
        assert (verify_trail(lake).holds, verify_trail(lake).entries) == (True, 0)
        assert "has not begun" in verify_trail(lake).notes[0]
        with lake.trail.acting("pin", {}):
            pass
        verdict = verify_trail(lake)
        assert verdict.holds
        assert verdict.notes == ("4 versions of tables had been made when the trail began.",)

    def test_pins_are_acts(self, lake: Lake, tmp_path: Path) -> None:
        receipt = tmp_path / "receipt.json"
        receipt.write_text('{"receipt_digest": "abc", "table_versions": {}}')
        pin(lake, receipt)
        unpin(lake, "abc")
        assert [(a.act, a.asked) for a in recorded_acts(lake.trail)[1:]] == [
            ("pin", {"file": "receipt.json", "receipt": "abc"}),
            ("unpin", {"receipt": "abc"}),
        ]


class TestSeveralAtOnce:
    def test_threads_and_processes_write_one_chain(self, tmp_path: Path) -> None:
        trail = Trail(tmp_path / "state")

        def many(name: str) -> None:
            for i in range(20):
                with trail.acting("pin", {"i": i}, name):
                    pass

        context = multiprocessing.get_context("fork")
        workers = [
            *(threading.Thread(target=many, args=(f"thread{i}",)) for i in range(3)),
            *(context.Process(target=many, args=(f"process{i}",)) for i in range(2)),
        ]
        for worker in workers[::-1]:
            worker.start()
        for worker in workers:
            worker.join(60)
        assert verify_lines(list(trail.lines())).holds
        found = recorded_acts(trail)[1:]
        assert len(found) == 100
        assert {a.outcome for a in found} == {"done"}
        for name in {a.actor for a in found}:
            assert [a.asked["i"] for a in found if a.actor == name] == list(range(20))

    @pytest.mark.parametrize(
        "torn",
        [
            b'{"sequence":12,"at"',
            b"x" * 100_000,
            bytes(500),
            bytes(4096) + b'"}\n',
            b'{"sequence":12' + bytes(9) + b"\n",
        ],
    )
    def test_a_line_that_is_being_written_or_was_lost_with_the_power_is_none(self, trail: Trail, torn: bytes) -> None:
        whole = list(trail.lines())
        with trail.path.open("ab") as file:
            file.write(torn)
        assert list(trail.lines()) == whole
        assert trail.head() == sound(whole[-1])
        with trail.acting("pin", {}):
            pass
        assert list(trail.lines())[:-2] == whole
        assert verify_lines(list(trail.lines())).holds

    def test_an_act_that_began_long_ago_is_found(self, trail: Trail) -> None:
        begun = trail.begin("valuation", {}, "ann", "lake")
        for _ in range(80):
            with trail.acting("pin", {"files": ["x" * 1000] * 3}):
                pass
        assert [a.number for a in trail.open_acts("lake")] == [begun.number]
        assert list(trail.lines()) == list(trail._backwards())[::-1]

    def test_an_act_of_the_committer_stays_open_beside_short_ones(self, lake: Lake) -> None:
        with Committer(lake, "test") as committer, committer.acting("valuation", {}) as act:
            with lake.trail.acting("pin", {}):
                pass
            last = lake.trail.head()
            assert last is not None
            assert last["open"] == {str(act.number): "lake"}
        assert [a.outcome for a in recorded_acts(lake.trail)] == ["done"] * 3


class Killed(BaseException):
    """Stands for the end of the process: nothing that would come after it is done."""


def kill_at(patch: pytest.MonkeyPatch, call: int) -> Callable[[], int]:
    """The file calls of the storage from that one on are not made; returns how many there were."""
    made = 0

    def counted(name: str) -> None:
        real = getattr(os, name)

        def wrapped(*arguments: object) -> object:
            nonlocal made
            made += 1
            if made == call and name == "write":  # half of it reached the disk
                real(arguments[0], bytes(arguments[1])[: len(bytes(arguments[1])) // 2])  # type: ignore[call-overload]
            if made >= call:
                raise Killed
            return real(*arguments)

        patch.setattr(storage.os, name, wrapped)

    for name in ("write", "fsync", "ftruncate", "link", "replace", "unlink"):
        counted(name)
    return lambda: made


class TestKilled:
    def test_at_every_file_call_of_a_short_act_the_trail_is_whole(self, tmp_path: Path) -> None:
        for call in range(1, 30):
            trail = Trail(tmp_path / str(call))
            with trail.acting("pin", {"n": 0}):
                pass
            with pytest.MonkeyPatch.context() as patch:
                calls = kill_at(patch, call)
                try:
                    with trail.acting("pin", {"n": 1}):
                        storage.write_durable(tmp_path / str(call) / "effect", b"x")
                except Killed:
                    killed = True
                else:
                    killed = False
                made = calls()
            effect = (tmp_path / str(call) / "effect").exists()
            assert verify_lines(list(trail.lines())).holds
            acts = recorded_acts(trail)[2:]
            assert acts or not effect, "no effect without an entry"
            with trail.acting("pin", {"n": 2}):
                pass
            outcomes = [a.outcome for a in recorded_acts(trail)[2:]]
            assert len(outcomes) == len(acts) + 1
            # an outcome that was written, and not acknowledged, is as true
            assert {*outcomes[:-1]} <= ({"killed", "done"} if effect else {"killed"})
            assert verify_lines(list(trail.lines())).holds
            if not killed:
                assert made < call
                return
        pytest.fail("the act has more file calls than were tried")

    def test_an_act_whose_versions_cannot_be_read_stays_open_until_the_next_writer_finds_them(
        self, lake: Lake, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def unreadable(log: DeltaLog, act: int) -> list[int]:
            raise OSError(errno.EIO, "the disk cannot be read", str(log.log))

        with monkeypatch.context() as patch:
            patch.setattr(DeltaLog, "versions_of", unreadable)
            with (
                Committer(lake, "test") as committer,
                pytest.raises(OSError, match="cannot be read"),
                committer.acting("ingest", {"what": "pnl"}, "ann") as act,
            ):
                committer.put("hierarchies", TABLES["hierarchies"].schema.empty_table())
        assert lake.version("hierarchies") == 0
        assert verify_trail(lake).holds
        assert [a.number for a in recorded_acts(lake.trail, ActFilter(outcome="open"))] == [act.number]
        with Committer(lake, "test"):
            pass
        settled, _ = recorded_act(lake.trail, act.number)
        assert settled.outcome == "killed"
        assert settled.tables == {"hierarchies": [0]}
        assert verify_trail(lake).holds

    @pytest.mark.parametrize("tables", [0, 1, 2])
    def test_the_next_writer_finds_what_a_killed_one_had_committed(self, lake: Lake, tables: int) -> None:
        script = f"""
import os, sys
from lake.tables import Lake
from lake.committer import Committer
lake = Lake.open(sys.argv[1])
with Committer(lake, "test") as committer, committer.acting("ingest", {{"what": "pnl"}}, "ann"):
    for name in ("hierarchies", "covariances")[:{tables}]:
        committer.commit(name, [])
    os._exit(9)
"""
        done = subprocess.run(
            [sys.executable, "-c", script, str(lake.path)], check=False, cwd=Path(__file__).parents[2]
        )
        assert done.returncode == 9
        (left,) = recorded_acts(lake.trail, ActFilter(act="ingest"))
        assert (left.outcome, left.ended_at) == ("open", None)
        assert verify_trail(lake).holds
        with Committer(lake, "test"):
            pass
        (left,) = recorded_acts(lake.trail, ActFilter(act="ingest"))
        assert left.outcome == "killed"
        assert left.tables.keys() == {"hierarchies", "covariances"} & {*("hierarchies", "covariances")[:tables]}
        assert verify_trail(lake).holds

    def test_a_full_disk_refuses_the_act_and_leaves_the_trail_as_it_was(
        self, trail: Trail, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        whole, real = trail.path.read_bytes(), os.write
        monkeypatch.setattr(storage.os, "write", lambda file, data: real(file, data[:10]))
        done = False
        with pytest.raises(OSError, match="No space"), trail.acting("pin", {}):
            done = True
        assert not done
        assert trail.path.read_bytes() == whole


def altered(lines: list[bytes], number: int, **values: object) -> bytes:
    """An entry changed by one who knows the rules: its own digest is right."""
    entry = json.loads(lines[number - 1])
    entry.pop("digest")
    return chained({**entry, **values})


class TestVerify:
    def test_it_holds_and_says_the_head(self, trail: Trail) -> None:
        lines = list(trail.lines())
        verdict = verify_lines(lines)
        assert (verdict.holds, verdict.entries, verdict.fault) == (True, 11, None)
        assert verdict.head == f"11:{json.loads(lines[-1])['digest']}"
        assert verify_lines(lines, verdict.head).holds
        with trail.acting("pin", {}):
            pass
        assert verify_lines(list(trail.lines()), verdict.head).holds, "an earlier head stays good"

    @pytest.mark.parametrize(
        ("break_it", "fault"),
        [
            (lambda x: [*x[:4], x[4].replace(b"ann", b"eve"), *x[5:]], "broken at line 5: line 5 was changed"),
            (lambda x: [*x[:4], x[4][:-40], *x[5:]], "broken at line 5: line 5 was changed"),
            (
                lambda x: [*x[:4], altered(x, 5, actor="eve"), *x[5:]],
                "line 6: entry 6 does not follow .* entry 5 was replaced",
            ),
            (lambda x: [*x[:4], *x[5:]], "broken at line 5: entry 5 was removed"),
            (lambda x: [*x[:4], *x[7:]], "broken at line 5: entries 5 to 7 were removed"),
            (lambda x: [*x[:4], x[2], *x[4:]], "broken at line 5: entry 3 was inserted, or stands there again"),
            (lambda x: [*x[:4], altered(x, 4, sequence=5, actor="eve"), *x[4:]], "line 5: entry 5 does not follow"),
            (
                lambda x: [*x[:4], x[5], x[4], *x[6:]],
                "line 5: entry 6 stands there, and entry 5 later: they were reordered",
            ),
            (lambda x: x[1:], "broken at line 1: entry 1 was removed"),
            (lambda x: [*x[:4], b"", *x[4:]], "broken at line 5: line 5 was changed"),
            (lambda x: [*x[:4], chained({"actor": "eve"}), *x[4:]], "broken at line 5: line 5 was changed"),
        ],
    )
    def test_the_first_broken_place_is_named(
        self, trail: Trail, break_it: Callable[[list[bytes]], list[bytes]], fault: str
    ) -> None:
        verdict = verify_lines(break_it(list(trail.lines())))
        assert not verdict.holds
        assert re.search(fault, str(verdict.fault)), verdict.fault

    def test_every_changed_byte_is_found(self, trail: Trail) -> None:
        data = trail.path.read_bytes()
        for place in range(0, len(data) - 1, 7):
            changed = bytearray(data)
            changed[place] ^= 1
            assert not verify_lines(bytes(changed).split(b"\n")[:-1]).holds, place

    def test_a_trail_cut_off_at_its_end_is_found_by_a_head_kept_elsewhere(self, trail: Trail) -> None:
        lines = list(trail.lines())
        head = verify_lines(lines).head
        assert verify_lines(lines[:-2]).holds
        assert "ends with entry 9, and entry 11 was kept elsewhere" in str(verify_lines(lines[:-2], head).fault)

    def test_a_trail_written_anew_is_found_by_a_head_kept_elsewhere(self, trail: Trail) -> None:
        lines = list(trail.lines())
        head, before, forged = verify_lines(lines).head, START, []
        for line in lines:
            entry = json.loads(line)
            entry.pop("digest")
            forged.append(chained({**entry, "account": "eve", "before": before}))
            before = json.loads(forged[-1])["digest"]
        assert verify_lines(forged).holds
        assert "entry 11 is not the one whose digest was kept elsewhere" in str(verify_lines(forged, head).fault)

    @pytest.mark.parametrize("head", ["", "12", "x:y", "0:" + "a" * 64, "3:" + "A" * 64, "3:abc"])
    def test_a_head_that_is_none_is_refused(self, trail: Trail, head: str) -> None:
        with pytest.raises(BadInput, match="is no head of a trail"):
            verify_lines(list(trail.lines()), head)

    def test_a_trail_cut_off_is_found_by_the_tables(self, lake: Lake) -> None:
        with lake.trail.acting("pin", {}):
            pass
        whole = lake.trail.path.read_bytes()
        market(lake)
        lake.trail.path.write_bytes(whole)
        assert "ends with entry 3, and act 4 made version 0 of the table risk_factors" in str(verify_trail(lake).fault)

    def test_a_commit_that_no_act_made_is_found(self, lake: Lake) -> None:
        market(lake)
        table = lake.log("risk_factors").open(writing=True)
        assert table is not None
        table.alter.set_table_properties({"delta.appendOnly": "false"})
        lake.log("risk_factors").settle()
        assert "No entry of the trail belongs to version 2 of the table risk_factors" in str(verify_trail(lake).fault)

    def test_a_line_that_is_not_whole_is_a_note(self, lake: Lake) -> None:
        market(lake)
        with lake.trail.path.open("ab") as file:
            file.write(b"{")
        verdict = verify_trail(lake)
        assert verdict.holds
        assert "The last line has no end" in verdict.notes[0]

    def test_nothing_is_added_to_a_trail_whose_last_entry_is_damaged(self, trail: Trail) -> None:
        data = bytearray(trail.path.read_bytes())
        data[-40] ^= 1
        trail.path.write_bytes(data)
        with pytest.raises(Damaged, match="its last entry is not as it was written"), trail.acting("pin", {}):
            pass
        assert trail.path.read_bytes() == data

    def test_an_export_verifies_by_the_script_of_the_documentation(self, trail: Trail, tmp_path: Path) -> None:
        (script,) = re.findall(r"```python\n(.*?)```", DOCS.read_text(encoding="utf-8"), flags=re.DOTALL)
        assert len(script.splitlines()) <= 10
        out = tmp_path / "trail.jsonl"

        def verdict() -> int:
            return subprocess.run([sys.executable, "-c", script, str(out)], check=False, capture_output=True).returncode

        out.write_bytes(trail.path.read_bytes())
        assert (verify_file(out).holds, verdict()) == (True, 0)
        lines = list(trail.lines())
        for broken in (
            [*lines[:4], lines[4].replace(b"ann", b"eve"), *lines[5:]],
            [*lines[:4], *lines[5:]],
            [*lines[:4], lines[5], lines[4], *lines[6:]],
            [*lines[:4], altered(lines, 5, actor="eve"), *lines[5:]],
        ):
            out.write_bytes(b"\n".join(broken) + b"\n")
            assert not verify_file(out).holds
            assert verdict() != 0


class TestLists:
    def test_acts_are_filtered(self, trail: Trail) -> None:
        numbers = [a.number for a in recorded_acts(trail)]
        assert numbers == [1, 2, 4, 6, 8, 10]
        assert [a.number for a in recorded_acts(trail, ActFilter(actor="ann"))] == [4, 8]
        assert [a.number for a in recorded_acts(trail, ActFilter(act="trail"))] == [1]
        today = recorded_acts(trail)[0].began_at.date()
        assert len(recorded_acts(trail, ActFilter(first=today, last=today))) == 6
        assert recorded_acts(trail, ActFilter(last=today.replace(year=today.year - 1))) == []
        assert recorded_acts(trail, ActFilter(table="positions")) == []

    @pytest.mark.parametrize("wanted", [{"actor": "anne"}, {"act": "pinn"}, {"table": "position"}])
    def test_an_unknown_name_is_refused_with_the_nearest(self, trail: Trail, wanted: dict[str, str]) -> None:
        with pytest.raises(BadInput, match="Nearest valid"):
            recorded_acts(trail, ActFilter.model_validate(wanted))

    def test_an_act_is_found_by_any_of_its_entries(self, trail: Trail) -> None:
        for number in (4, 5):
            act, entries = recorded_act(trail, number)
            assert (act.number, [e["sequence"] for e in entries]) == (4, [4, 5])
        assert recorded_act(trail, 1)[0].outcome == "done"
        with pytest.raises(NotFound, match="no entry 12; the trail has 11 entries"):
            recorded_act(trail, 12)


def test_a_writer_that_lost_the_lake_begins_no_act(lake: Lake) -> None:
    with Committer(lake, "test") as committer:
        lake.marker.unlink()
        with pytest.raises(Conflict, match="was deleted or replaced"), committer.acting("ingest", {}):
            pass
    assert not lake.trail.path.exists()
