"""What-if and branches as users meet them: command line, HTTP, the engine; trades read from every format."""

from __future__ import annotations

import csv
import json
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from command_line import answer, refused, varlake
from flask.testing import FlaskClient
from small_lake import BOOK, FRIDAY, MONDAY, OPTION, SHARE_A, SHARE_B, no_spark, request

from aggregation.change.compare import compare
from aggregation.opened import branch_books
from aggregation.opened.opened_lake import VectorCache
from aggregation.replay import replay
from aggregation.risk.query import run_query
from aggregation.types import RiskQuery
from aggregation.whatif.request import ChangeRequest, parse_removal, parse_scaling, run_what_if
from aggregation.whatif.save_branch import BranchRequest, remove_branch, save_branch
from aggregation.whatif.trades import trades_of_rows
from lake.committer import Committer
from lake.errors import BadInput, Conflict, Damaged, NotFound
from lake.landing.rows import read_rows
from lake.tables import Lake
from service.api.app import create_app
from service.config import Settings
from service.jobs import JobTable
from service.processes import engine
from valuation.books import branches
from valuation.books.branches import find_branch, list_branches
from valuation.sets.requests import ValuationRequest, plan_valuation, run_valuation
from valuation.sets.run import run_plan
from valuation.sets.store import list_valuation_sets

LEVEL = "0.9"
PUT = {k: v for k, v in OPTION.items() if k != "instrument_type"} | {"option_type": "put", "strike": "95"}
HEDGE = {"trade": "H1", "quantity": 30, "instrument_type": "equity_option", "terms": PUT, "desk": "Options"}
SHARES = {"trade": "S1", "quantity": -500, **SHARE_A, "desk": "Equities"}


@pytest.fixture
def own_lake(valued_lake: Path, tmp_path: Path) -> Lake:
    """A valued lake of the test's own."""
    return Lake.open(shutil.copytree(valued_lake, tmp_path / "lake"))


def question(**more: Any) -> RiskQuery:
    return RiskQuery(**{"as_of": MONDAY, "measures": ("var", "es"), "levels": (LEVEL,), **more})


def save(lake: Lake, name: str, **more: Any) -> dict[str, Any]:
    with Committer(lake, "test") as committer:
        asked = BranchRequest.model_validate({"name": name, "as_of": MONDAY, **more})
        return save_branch(committer, asked, cache=VectorCache(lake), spark=no_spark)  # type: ignore[arg-type]


_KILLED = """
import json, os, signal, sys
from pathlib import Path
from aggregation.opened.opened_lake import VectorCache
from aggregation.whatif.save_branch import BranchRequest, save_branch
from lake.committer import Committer
from lake.tables import Lake

when, table = sys.argv[2].split()
put = Committer.put

def killed(self, name, *given, **more):
    for moment in ("before", "after"):
        if (when, table) == (moment, name):
            os.kill(os.getpid(), signal.SIGKILL)
        if moment == "before":
            version = put(self, name, *given, **more)
    return version

Committer.put = killed
lake = Lake.open(Path(sys.argv[1]))
with Committer(lake, "killed") as committer:
    save_branch(committer, BranchRequest.model_validate(json.loads(sys.argv[3])), cache=VectorCache(lake), spark=None)
"""


def _killed_saving(lake: Lake, killed: str) -> int:
    asked = json.dumps({"name": "hedged", "as_of": str(MONDAY), "add": [HEDGE]})
    return subprocess.run([sys.executable, "-c", _KILLED, str(lake.path), killed, asked], check=False).returncode


def _sealed(lake: Lake) -> set[str]:
    return {s.valuation_set_id for s in list_valuation_sets(lake)}


def _without_mark(*given: Any, branch_id: str, **more: Any) -> Any:
    return run_plan(*given, **more)


class TestTrades:
    def test_every_format_reads_to_the_same_trades(self, tmp_path: Path) -> None:
        cells = {k: str(v) for k, v in {**HEDGE, **PUT, "attribute.idea": "mine"}.items() if k != "terms"}
        with (tmp_path / "t.csv").open("w", newline="") as f:
            rows = csv.DictWriter(f, list(cells))
            rows.writeheader()
            rows.writerow(cells)
        pq.write_table(pa.table({k: [v] for k, v in cells.items()}), tmp_path / "t.parquet")
        nested = {**HEDGE, "attributes": {"idea": "mine"}}
        (tmp_path / "t.json").write_text(json.dumps([nested]))
        wanted = trades_of_rows([nested], MONDAY)
        for name in ("t.csv", "t.parquet", "t.json"):
            added, contracts = trades_of_rows(read_rows(str(tmp_path / name)), MONDAY)
            assert added.equals(wanted[0])
            assert contracts.equals(wanted[1])
        assert wanted[0]["client"].to_pylist() == [None]
        assert wanted[0]["attributes"].to_pylist() == [[("idea", "mine")]]

    def test_a_positions_file_of_another_date_is_a_book(self, tmp_path: Path) -> None:
        from small_lake import book_csv

        (tmp_path / "book.csv").write_text("\n".join(book_csv().splitlines()[: 1 + len(BOOK)]))
        added, contracts = trades_of_rows(read_rows(str(tmp_path / "book.csv")), MONDAY)
        assert (added.num_rows, contracts.num_rows) == (4, 4)

    def test_trades_without_a_name_are_numbered_through(self) -> None:
        added, contracts = trades_of_rows([{**SHARES, "trade": None}] * 3, MONDAY)
        assert added["trade"].to_pylist() == ["what-if-1", "what-if-2", "what-if-3"]
        assert contracts.num_rows == 1

    @pytest.mark.parametrize(
        ("given", "says"),
        [
            ([{**SHARES, "quantity": "many"}], "row 1, quantity: expected a finite number"),
            ([{**SHARES, "instrument_type": "cash_equty"}], "Nearest valid: cash_equity"),
            ([{**SHARES, "strik": 5}], "Nearest valid: strike"),
            ([{**HEDGE, "terms": {**PUT, "strike": -1}}], "strike"),
            ([{**HEDGE, "strike": 5}], "both in terms and beside them"),
            ([{"quantity": 5}], "'instrument_type' is missing"),
            ([SHARES, {**SHARES, "quantity": 7}], "stands more than once"),
            ([5], "is not a list of trades"),
            ([], "holds no trade"),
        ],
    )
    def test_what_cannot_be_read_is_refused_with_its_place(self, given: Any, says: str) -> None:
        with pytest.raises(BadInput, match=says):
            trades_of_rows(given, MONDAY)

    def test_an_unknown_column_is_said_at_the_first_trade_that_has_it(self) -> None:
        with pytest.raises(BadInput) as refused:
            trades_of_rows([SHARES, {**SHARES, "strik": 5}], MONDAY)
        assert [i.pointer for i in refused.value.issues] == ["add/1/strik"]

    def test_removals_and_scalings_as_text(self) -> None:
        assert str(parse_removal("T1,T2")) == "trade=T1,T2"
        assert [f.dimension for f in parse_removal("desk=Rates;book!=B1").where] == ["desk", "book"]
        assert (parse_scaling("desk=Rates*0.5").factor, parse_scaling("*-1").where) == (0.5, ())
        for bad in ("desk=Rates", "desk=Rates*half", "desk=Rates*nan"):
            with pytest.raises(BadInput, match="expected FILTER"):
                parse_scaling(bad)
        with pytest.raises(BadInput):
            parse_removal(" , ")


class TestWhatIf:
    def test_a_new_contract_is_valued_as_a_valuation_would_value_it(self, own_lake: Lake) -> None:
        versions = own_lake.snapshot().versions
        asked = ChangeRequest(add=(HEDGE, SHARES))
        result = run_what_if(own_lake, question(by=("desk",)), asked)
        assert own_lake.snapshot().versions == versions
        assert len(result.receipt["valued_for_this"]) == 1  # the shares were known
        saved = save(own_lake, "hedged", add=[HEDGE, SHARES])
        assert saved["valuation_set_id"] is not None
        there = {r["desk"]: r for r in run_query(own_lake, question(by=("desk",), branch="hedged")).rows.to_pylist()}
        for row in result.rows.to_pylist():
            for figure in (f"var_{LEVEL}", f"es_{LEVEL}", "base_value"):
                assert row[f"{figure}_after"] == pytest.approx(there[row["desk"]][figure], rel=1e-12)

    def test_upon_another_market_and_another_book(self, own_lake: Lake) -> None:
        result = run_what_if(own_lake, question(positions_date=FRIDAY), ChangeRequest(add=(SHARES,)))
        assert result.receipt["positions_date"] == str(FRIDAY)
        assert result.receipt["valuation_date"] == str(MONDAY)

    def test_a_receipt_is_replayed_to_the_bit(self, own_lake: Lake) -> None:
        asked = ChangeRequest(
            add=(HEDGE, SHARES), remove=(parse_removal("T00000-1"),), scale=(parse_scaling("desk=Options*0.5"),)
        )
        receipt = run_what_if(own_lake, question(by=("desk",)), asked).receipt
        save(own_lake, "b", add=[SHARES])
        on_branch = run_what_if(own_lake, question(branch="b"), ChangeRequest(add=(HEDGE,))).receipt
        var = run_query(own_lake, question(branch="b")).receipt
        save(own_lake, "b", add=[HEDGE], new_version=True)  # what came later is not read
        for made in (receipt, on_branch, var):
            again = replay(own_lake, json.loads(json.dumps(made)))
            assert again.verdict == "same bits", again
            assert {s.state for s in again.inputs} == {"same"}

    def test_command_line(self, valued_lake: Path, tmp_path: Path) -> None:
        (tmp_path / "trades.json").write_text(json.dumps([HEDGE]))
        given = ("--as-of", MONDAY, "--by", "desk", "--level", LEVEL, "--add", tmp_path / "trades.json")
        more = ("--remove", "T00000-1", "--scale", "desk=Options*0.5")
        body = answer("what-if", *given, *more, lake=valued_lake)
        assert [i["kind"] for i in body["items"]] == ["remove", "scale", "add"]
        shown = varlake("what-if", *given, *more, "--plot", tmp_path / "w.svg", lake=valued_lake)
        assert shown.returncode == 0, shown.stderr
        assert "Each change by itself" in shown.stdout
        assert "1 contract valued for this, nothing stored" in shown.stderr
        assert "together" in (tmp_path / "w.svg").read_text()
        whole = answer(
            *("what-if", "--as-of", MONDAY, "--level", LEVEL, "--add", json.dumps(SHARES), "--replace"),
            lake=valued_lake,
        )
        assert whole["total"]["positions_after"] == 1

    @pytest.mark.parametrize(
        ("given", "says"),
        [
            ((), "No change was given"),
            (("--remove", "T9"), "Unknown trade"),
            (("--remove", "dsk=Options"), "Nearest valid: desk"),
            (("--scale", "desk=Options"), "expected FILTER*FACTOR"),
            (("--add", "{}"), "instrument_type"),
            (("--remove", "T00000-1", "--branch", "none"), "There is none yet"),
        ],
    )
    def test_bad_input_is_refused_in_words(self, valued_lake: Path, given: tuple[str, ...], says: str) -> None:
        assert says in refused("what-if", "--as-of", MONDAY, "--level", LEVEL, *given, lake=valued_lake)

    def test_http(self, client: FlaskClient) -> None:
        body = {
            "as_of": str(MONDAY),
            "by": ["desk"],
            "levels": [0.9],
            "measures": ["es"],
            "add": [HEDGE],
            "remove": [{"where": [{"dimension": "trade", "values": ["T00000-1"]}]}],
            "scale": [{"where": [{"dimension": "desk", "values": ["Options"]}], "factor": 0.5}],
        }
        got = client.post("/api/v1/what-if", json=body)
        assert got.status_code == 200, got.get_data(as_text=True)
        asked = ChangeRequest.model_validate({k: body[k] for k in ("add", "remove", "scale")})
        here = Lake.open(client.application.extensions["varlake"].settings.lake)  # type: ignore[attr-defined]
        wanted = run_what_if(here, question(by=("desk",), measures=("es",)), asked)
        assert got.get_json()["rows"] == wanted.rows.to_pylist()
        table = client.post("/api/v1/what-if?format=csv", json=body).get_data(as_text=True)
        assert table.startswith('"desk","change","positions_before"')
        bad = client.post("/api/v1/what-if", json={**body, "add": [{**HEDGE, "quantity": "x"}]})
        assert (bad.status_code, bad.get_json()["errors"][0]["pointer"]) == (422, "/add/0/quantity")
        taken = client.post("/api/v1/what-if", json={**body, "add": [{**SHARES, "trade": "T00000-0"}]})
        assert taken.status_code == 409


class TestBranches:
    def test_a_branch_is_read_like_a_date_and_values_nothing_more(self, own_lake: Lake) -> None:
        base = run_query(own_lake, question())
        saved = save(own_lake, "plain", add=[SHARES], remove=[parse_removal("T00000-1").model_dump()])
        assert saved["valuation_set_id"] is None  # every contract was known
        result = run_query(own_lake, question(branch="plain"))
        assert result.coverage.missing == 0
        assert result.receipt["positions_files"][-1] == f"branch-{saved['branch_id']}"
        assert result.receipt["table_versions"]["branches"] == own_lake.version("branches")
        after = run_query(own_lake, question())
        assert after.receipt["result_digest"] == base.receipt["result_digest"]

    def test_a_set_made_for_a_branch_answers_for_nothing_else(self, own_lake: Lake) -> None:
        before = run_query(own_lake, question()).receipt["valuation_set_id"]
        made = save(own_lake, "hedged", add=[HEDGE])["valuation_set_id"]
        assert run_query(own_lake, question()).receipt["valuation_set_id"] == before != made
        assert run_query(own_lake, question(branch="hedged")).receipt["valuation_set_id"] == made

    @pytest.mark.parametrize(
        "killed",
        [
            "before branches",
            *(pytest.param(k, marks=pytest.mark.slow) for k in ("before valuation_sets", "after valuation_sets")),
        ],
    )
    def test_killed_beside_the_seal_it_is_saved_again_with_its_set(self, own_lake: Lake, killed: str) -> None:
        """A real kill, in a process of its own; the set it sealed answers for the branch alone."""
        before, there = run_query(own_lake, question()).receipt["valuation_set_id"], _sealed(own_lake)
        assert _killed_saving(own_lake, killed) == -signal.SIGKILL
        left = _sealed(own_lake) - there
        assert (list_branches(own_lake), len(left)) == ([], killed != "before valuation_sets")
        assert run_query(own_lake, question()).receipt["valuation_set_id"] == before
        made = save(own_lake, "hedged", add=[HEDGE])["valuation_set_id"]
        assert _sealed(own_lake) - there == {made} >= left
        assert run_query(own_lake, question()).receipt["valuation_set_id"] == before != made
        assert run_query(own_lake, question(branch="hedged")).receipt["valuation_set_id"] == made

    def test_a_set_left_by_an_earlier_release_is_found_again(
        self, own_lake: Lake, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It does not say that it was made for a branch."""
        before = run_query(own_lake, question()).receipt["valuation_set_id"]
        with monkeypatch.context() as patched:
            patched.setattr("aggregation.whatif.save_branch.run_plan", _without_mark)
            patched.setattr(branches, "store_version", lambda *_: pytest.fail("killed"))
            with pytest.raises(pytest.fail.Exception, match="killed"):
                save(own_lake, "hedged", add=[HEDGE])
        made = save(own_lake, "hedged", add=[HEDGE])["valuation_set_id"]
        assert run_query(own_lake, question()).receipt["valuation_set_id"] == before != made
        assert run_query(own_lake, question(branch="hedged")).receipt["valuation_set_id"] == made

    def test_stacked_branches_are_the_changes_one_upon_the_other(self, own_lake: Lake) -> None:
        save(own_lake, "one", add=[HEDGE, SHARES])
        save(own_lake, "two", upon="one", scale=[{"where": [{"dimension": "trade", "values": ["S1"]}], "factor": 2.0}])
        save(own_lake, "three", upon="two", remove=[parse_removal("H1").model_dump()])
        save(own_lake, "flat", add=[{**SHARES, "quantity": -1000}])
        digests = {
            run_query(own_lake, question(by=("desk",), branch=b)).receipt["result_digest"] for b in ("three", "flat")
        }
        assert len(digests) == 1
        # what is below is pinned: a new version of it moves nothing above
        save(own_lake, "one", add=[{**SHARES, "quantity": 1}], new_version=True)
        assert run_query(own_lake, question(by=("desk",), branch="three")).receipt["result_digest"] in digests
        assert [r["version"] for r in list_branches(own_lake) if r["name"] == "one"] == [2]

    def test_compared_like_dates(self, own_lake: Lake) -> None:
        save(own_lake, "hedged", add=[HEDGE])
        result = compare(own_lake, question(), question(branch="hedged"))
        there = run_what_if(own_lake, question(), ChangeRequest(add=(HEDGE,))).total
        assert result.total[f"es_{LEVEL}_change"] == pytest.approx(there[f"es_{LEVEL}_incremental"], rel=1e-9)

    def test_versions_deletion_and_conflicts(self, own_lake: Lake) -> None:
        first = save(own_lake, "b", add=[SHARES], note="first")
        assert save(own_lake, "b", add=[SHARES])["version"] == 1  # the same again is the same version
        with pytest.raises(Conflict, match="is there already"):
            save(own_lake, "b", add=[HEDGE])
        assert save(own_lake, "b", add=[HEDGE], new_version=True)["version"] == 2
        assert find_branch(own_lake, "b@1")["branch_id"] == first["branch_id"]
        with pytest.raises(BadInput, match="would stand on itself"):
            save(own_lake, "b", upon="b", remove=[parse_removal("H1").model_dump()], new_version=True)
        save(own_lake, "above", upon="b", remove=[parse_removal("H1").model_dump()])
        with Committer(own_lake, "test") as committer:
            with pytest.raises(BadInput, match="as a whole"):
                remove_branch(committer, "b@1")
            assert remove_branch(committer, "b")["still_standing_on_it"] == ["above"]
            with pytest.raises(NotFound, match="was deleted on"):
                remove_branch(committer, "b")
        assert [r["name"] for r in list_branches(own_lake)] == ["above"]
        run_query(own_lake, question(branch="above"))
        assert run_query(own_lake, question(branch="b@2")).coverage.positions == len(BOOK) + 1
        with pytest.raises(NotFound, match="Nearest valid: b@2, b@1"):
            find_branch(own_lake, "b@3")
        assert save(own_lake, "b", add=[SHARES])["version"] == 4

    def test_bad_changes_and_dates_are_not_saved(self, own_lake: Lake) -> None:
        for bad, error in (
            ({"add": [{**SHARES, "trade": "T00000-0"}]}, Conflict),
            ({"remove": [parse_removal("T9").model_dump()]}, BadInput),
            ({}, BadInput),
            ({"add": [SHARES], "upon": "none"}, NotFound),
            ({"add": [SHARES], "as_of": "2020-03-12"}, NotFound),
            ({"remove": [parse_removal("desk=Equities,Options").model_dump()]}, BadInput),
        ):
            with pytest.raises(error):
                save(own_lake, "bad", **bad)
        assert list_branches(own_lake) == []
        assert own_lake.version("branch_positions") == -1
        save(own_lake, "good", add=[SHARES])
        with pytest.raises(BadInput, match="stands on the book of 2020-03-16"):
            run_query(own_lake, question(branch="good", positions_date=FRIDAY))

    def test_another_market_is_valued_when_asked_for(self, own_lake: Lake) -> None:
        save(own_lake, "hedged", add=[HEDGE])
        friday = question(as_of=FRIDAY, branch="hedged")
        result = run_query(own_lake, friday)
        assert result.coverage.missing == 1
        assert any("have them valued" in n for n in result.notes)
        asked = request(FRIDAY, branches=("hedged",))
        assert isinstance(asked, ValuationRequest)
        assert plan_valuation(own_lake.snapshot(), asked).work.num_rows == 1
        with Committer(own_lake, "test") as committer:
            run_valuation(committer, asked, spark=no_spark)  # type: ignore[arg-type]
        assert run_query(own_lake, friday).coverage.missing == 0

    def test_its_contract_that_fails_is_a_failure_with_a_reason(self, own_lake: Lake) -> None:
        save(own_lake, "bad", add=[{**SHARE_B, "underlying": "EQ:ZZZ", "trade": "Z", "quantity": 1}])
        result = run_query(own_lake, question(branch="bad"))
        assert (result.coverage.failed, result.coverage.missing) == (2, 0)  # one of the book, one of the branch

    def test_damage_is_named(self, own_lake: Lake) -> None:
        save(own_lake, "b", add=[SHARES])
        row = find_branch(own_lake, "b")
        with pytest.raises(Damaged, match="is damaged: 1 of its 2 trades"):
            branch_books.load_changes(own_lake, {**row, "trades": 2})

    def test_command_line(self, own_lake: Lake) -> None:
        lake = own_lake.path
        given = ("--as-of", MONDAY, "--level", LEVEL)
        asked = ("branch", "save", "b1", "--as-of", MONDAY)
        saved = answer(*asked, "--add", json.dumps(HEDGE), "--note", "why not", lake=lake)
        assert (saved["name"], saved["version"]) == ("b1", 1)
        assert [b["name"] for b in answer("branch", "list", lake=lake)] == ["b1"]
        shown = answer("branch", "show", "b1", lake=lake)
        assert shown["changes"]["add"][0]["trade"] == "H1"
        again = answer("what-if", *given, "--add", json.dumps(shown["changes"]["add"]), lake=lake)
        on_branch = answer("var", *given, "--branch", "b1", lake=lake)["total"]
        assert again["total"][f"es_{LEVEL}_after"] == pytest.approx(on_branch[f"es_{LEVEL}"], rel=1e-12)
        both = ("--from", MONDAY, "--to", MONDAY, "--level", LEVEL)
        moved = answer("compare", *both, "--to-branch", "b1", lake=lake)["total"]
        assert moved[f"es_{LEVEL}_change"] == pytest.approx(again["total"][f"es_{LEVEL}_incremental"], rel=1e-9)
        assert "is there already" in refused(*asked, "--add", json.dumps(SHARES), lake=lake)
        (own_lake.path.parent / "answer.json").write_text(json.dumps(again))
        kept = answer(*asked, "--answer", own_lake.path.parent / "answer.json", "--new-version", lake=lake)
        assert (kept["name"], kept["adds"]) == ("b1", 1)
        assert "holds no changes" in refused(*asked, "--answer", _file(own_lake.path.parent, moved), lake=lake)
        assert "why not" in varlake("branch", "show", "b1", lake=lake).stdout
        assert "b1" in varlake("branch", "list", lake=lake).stdout
        assert varlake("branch", "delete", "b1", lake=lake).returncode == 0
        assert answer("branch", "list", lake=lake) == []
        assert [b["deleted"] for b in answer("branch", "list", "--all", lake=lake)] == [False, True]
        assert "was deleted on" in refused("var", *given, "--branch", "b1", lake=lake)

    def test_http_saves_through_the_engine(self, own_lake: Lake) -> None:
        client = create_app(Settings(lake=own_lake.path)).test_client()
        body = {"name": "b", "as_of": str(MONDAY), "add": [HEDGE], "note": "over HTTP"}
        jobs = [client.post("/api/v1/branches", json=body)]
        run_jobs(own_lake, jobs)
        done = client.get(jobs[0].headers["Location"]).get_json()
        assert (done["state"], done["result"]["name"]) == ("done", "b"), done
        (row,) = client.get("/api/v1/branches").get_json()["rows"]
        assert (row["name"], row["upon"], row["adds"]) == ("b", str(MONDAY), 1)
        assert client.get("/api/v1/branches/b@1").get_json()["changes"]["add"][0]["desk"] == "Options"
        var = client.get(f"/api/v1/var?as_of={MONDAY}&levels=0.9&measures=es&branch=b").get_json()
        assert var["coverage"]["missing"] == 0
        run_jobs(own_lake, [client.delete("/api/v1/branches/b")])
        assert client.get("/api/v1/branches/b").status_code == 404
        assert client.delete("/api/v1/branches/b").status_code == 404


def run_jobs(lake: Lake, answers: list[Any]) -> None:
    """An engine of this process runs the queued jobs and stops."""
    assert [a.status_code for a in answers] == [202] * len(answers), [a.get_data(as_text=True) for a in answers]
    stop = threading.Event()
    thread = threading.Thread(target=engine.run_engine, args=(Settings(lake=lake.path), stop))
    thread.start()
    table = JobTable.of(lake)
    while any(j.state in ("queued", "running") for j in table.newest(None, 10, None)) and thread.is_alive():
        time.sleep(0.05)
    stop.set()
    thread.join()


def _file(folder: Path, answered: Any) -> Path:
    (folder / "other.json").write_text(json.dumps(answered))
    return folder / "other.json"


def test_no_number_here_is_not_a_number(own_lake: Lake) -> None:
    result = run_what_if(own_lake, question(by=("desk", "book")), ChangeRequest(add=(HEDGE, SHARES)))
    for column in result.rows.columns:
        if pa.types.is_floating(column.type):
            assert np.isfinite(column.drop_null().to_numpy()).all()
