"""Four eyes: what others rely on is proposed by one, and done once another approves it."""

from __future__ import annotations

import datetime as dt
import json
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from command_line import answer, refused, varlake
from flask import g
from flask.testing import FlaskClient
from small_lake import FRIDAY, MONDAY, SCENARIOS
from test_engine import running_engine, wait_for

from aggregation.book.entitled_lake import entitled
from aggregation.book.entitlement import Entitlement
from aggregation.session import Session
from lake import audit
from lake.audit_check import ActFilter, recorded_acts, verify_trail
from lake.committer import Committer
from lake.errors import Conflict, NotFound
from lake.tables import Lake
from service import jobs, proposals
from service.access.principal import LOCAL, Principal
from service.api.app import create_app
from service.config import Settings
from service.jobs import INGEST, MARKET_ACT, MARKET_CHECK, RELEASE, SCENARIO_SET, STANDARD, VALUATION, JobTable
from service.operations import vector_cache
from service.work import KINDS, ingest_request, run

ANN, BOB, CY = (Principal(name=name, roles=("risk_controller",)) for name in ("ann", "bob", "cy"))
EURO = {"desk": None, "scenario_set": None, "currency": "EUR", "inherit": False, "reason": "policy"}
FACTOR = "EQ:AAA"


@pytest.fixture
def table(valued_copy: Lake) -> JobTable:
    return JobTable.of(valued_copy)


def proposed(lake: Lake, kind: str = STANDARD, request: Any = EURO, actor: Principal = ANN) -> jobs.Job:
    proposal = proposals.proposal_of(Settings(lake=lake.path), lake, kind, request, actor)
    return JobTable.of(lake).submit(kind, request, actor, proposal)[0]


def do(lake: Lake, kind: str, request: Any) -> None:
    """Does what a job asks for, without one."""
    with Committer(lake, "test") as committer:
        run(Session(lake, vector_cache(Settings(lake=lake.path), lake), committer), kind, request)


def override(lake: Lake, value: float = 90.0) -> dict[str, Any]:
    return {
        "act": "override",
        "factor": FACTOR,
        "date": str(MONDAY),
        "value": value,
        "reason": "wrong print",
        "author": "ann",
    }


def kept_answer(lake: Lake) -> dict[str, Any]:
    return answer("var", "--as-of", MONDAY, "--by", "desk", lake=lake.path)


def limits(lake: Lake, amount: float = 5.0) -> dict[str, Any]:
    """A file of limits of that amount."""
    file = lake.path.parent / f"limits-{amount:g}.csv"
    file.write_text(f"limit,effective_from,node,measure,level,amount,currency\nA,2020-01-01,,var,0.99,{amount},USD\n")
    return ingest_request("var-limits", [file], {}, Settings(lake=lake.path)).model_dump(mode="json")


# of every kind that needs approval a request that does, made of a lake
REQUESTS: dict[str, Callable[[Lake], dict[str, Any]]] = {
    STANDARD: lambda _: EURO,
    MARKET_ACT: override,
    MARKET_CHECK: lambda _: {"first": None, "hold": True, "gates": None},
    RELEASE: lambda lake: {"answer": kept_answer(lake), "released_by": "ann", "reason": ""},
    SCENARIO_SET: lambda _: {
        "as_of": str(MONDAY),
        "method": "historical",
        "parameters": {"scenarios": 20},
        "name": f"historical-{SCENARIOS}",
        "only_by_name": False,
    },
    VALUATION: lambda _: {
        "as_of": str(MONDAY),
        "scenarios": {"name": f"historical-{SCENARIOS}", "method": "historical", "parameters": {"scenarios": 20}},
    },
    INGEST: limits,
}
# another request of the same kind, whose effect moves the ground of the first
MOVES: dict[str, Callable[[Lake], dict[str, Any]]] = {
    STANDARD: lambda _: {**EURO, "currency": "GBP"},
    MARKET_ACT: lambda lake: override(lake, 91.0),
    MARKET_CHECK: override,
    INGEST: lambda lake: limits(lake, 6.0),
}


def test_every_kind_that_needs_approval_is_tried_and_is_a_kind_of_job() -> None:
    assert REQUESTS.keys() == proposals.AGAINST.keys() <= KINDS.keys()


# what each of these says in the list, by what it would change
WORDS = {
    STANDARD: "Standard of the lake: currency EUR (policy)",
    MARKET_ACT: f"Override {FACTOR} on {MONDAY} with 90 (wrong print)",
    MARKET_CHECK: "Hold the stored market values that the gates suspect",
    RELEASE: f"Release the figures of var of {MONDAY} by desk",
    SCENARIO_SET: f"Make the scenario set historical-{SCENARIOS} of a standard anew on {MONDAY}: historical, scenarios 20",
    VALUATION: f"Make the scenario set historical-{SCENARIOS} of a standard anew on {MONDAY}: historical, scenarios 20",
    INGEST: "Bring in var-limits from limits-5.csv",
}


@pytest.mark.parametrize("kind", REQUESTS)
def test_the_list_says_in_words_what_is_proposed(valued_copy: Lake, kind: str) -> None:
    job = proposed(valued_copy, kind, REQUESTS[kind](valued_copy))
    app = create_app(Settings(lake=valued_copy.path))
    app.before_request_funcs.setdefault(None, []).append(lambda: setattr(g, "principal", BOB))
    (row,) = app.test_client().get("/api/v1/proposals").get_json()["rows"]
    assert row["what"] == WORDS[kind]
    assert row["actor"] == "ann"
    assert app.test_client().get(f"/api/v1/proposals/{job.job_id}").get_json()["what"] == WORDS[kind]
    assert answer("proposals", "list", lake=valued_copy.path)[0]["what"] == WORDS[kind]


@pytest.mark.parametrize(
    ("kind", "request_", "words"),
    [
        (STANDARD, {"desk": "Rates", "inherit": True}, "Desk Rates has the standard of the lake again"),
        (STANDARD, {"desk": "FX", "scenario_set": "h-20", "currency": "EUR"}, "Standard of desk FX: scenario set h-20, currency EUR"),
        (MARKET_ACT, {"act": "release", "factor": FACTOR, "date": "2020-03-16"}, f"Release {FACTOR} on 2020-03-16 as it was received"),
        (MARKET_ACT, {"act": "proxy", "factor": FACTOR, "date": "2020-03-16", "by": "EQ:BBB", "beta": 1.5},
         f"Move {FACTOR} on 2020-03-16 with EQ:BBB, 1.5 for one"),
        (MARKET_CHECK, {"first": "2020-01-02", "hold": True, "gates": "own.toml"},
         "Hold the stored market values that the gates suspect since 2020-01-02, by the gates of own.toml"),
    ],
)  # fmt: skip
def test_proposals_of_one_kind_are_told_apart_by_their_words(
    kind: str, request_: dict[str, Any], words: str, table: JobTable
) -> None:
    job, _ = table.submit(kind, request_, ANN)
    assert proposals.in_words(job) == words


class TestWhatNeedsApproval:
    @pytest.mark.parametrize("kind", REQUESTS)
    def test_it_is_proposed_by_a_user_and_queued_at_once_where_there_are_none(
        self, valued_copy: Lake, kind: str
    ) -> None:
        request = REQUESTS[kind](valued_copy)
        job = proposed(valued_copy, kind, request)
        assert job.state == "proposed"
        assert job.proposal is not None
        assert job.proposal.proposer == "ann"
        assert JobTable.of(valued_copy).claim() is None, "what is proposed is not done"
        assert proposed(valued_copy, kind, request, LOCAL).state == "queued"
        off, on = (Settings(lake=valued_copy.path, four_eyes=value) for value in (False, True))
        assert proposals.proposal_of(off, valued_copy, kind, request, ANN) is None
        assert proposals.proposal_of(on, valued_copy, kind, request, LOCAL) is not None

    @pytest.mark.parametrize("kind", [SCENARIO_SET, VALUATION])
    def test_so_does_a_set_of_the_standard_of_a_desk_that_is_not_seen(self, valued_copy: Lake, kind: str) -> None:
        of_another = f"historical-{SCENARIOS}"
        do(valued_copy, SCENARIO_SET, {**REQUESTS[SCENARIO_SET](valued_copy), "name": "of-all"})
        do(valued_copy, STANDARD, {"desk": "Equities", "scenario_set": of_another})
        do(valued_copy, STANDARD, {"scenario_set": "of-all"})
        part = ANN.model_copy(update={"entitlement": Entitlement(granted={"desk": ("Options",)})})
        seen = entitled(valued_copy, part.entitlement)
        assert proposed(seen, kind, REQUESTS[kind](valued_copy), part).state == "proposed"

    @pytest.mark.parametrize(
        ("kind", "request_"),
        [
            (MARKET_CHECK, {"first": None, "hold": False, "gates": None}),
            (
                SCENARIO_SET,
                {"as_of": str(MONDAY), "method": "historical", "parameters": {"scenarios": 20}, "name": None},
            ),
            # the standard's own recipe on another day
            (
                SCENARIO_SET,
                {
                    "as_of": str(FRIDAY),
                    "method": "historical",
                    "parameters": {"scenarios": SCENARIOS},
                    "name": f"historical-{SCENARIOS}",
                },
            ),
            (VALUATION, {"as_of": str(MONDAY), "scenario_set": f"historical-{SCENARIOS}", "scenarios": {"name": None}}),
        ],
    )
    def test_what_changes_nothing_that_others_rely_on_needs_none(
        self, valued_copy: Lake, kind: str, request_: dict[str, Any]
    ) -> None:
        assert proposed(valued_copy, kind, request_).state == "queued"

    def test_what_is_wrong_is_refused_and_not_proposed(self, valued_copy: Lake, table: JobTable) -> None:
        with pytest.raises(NotFound, match="nowhere"):
            proposed(valued_copy, STANDARD, {**EURO, "scenario_set": "nowhere"})
        assert table.newest() == []

    def test_files_of_another_kind_need_none_and_bytes_that_changed_are_told(
        self, valued_copy: Lake, table: JobTable
    ) -> None:
        asked = limits(valued_copy)
        assert proposals.proposal_of(Settings(), valued_copy, INGEST, {**asked, "what": "orders"}, ANN) is None
        job = proposed(valued_copy, INGEST, asked)
        Path(asked["files"][0]["path"]).write_text(Path(asked["files"][0]["path"]).read_text().replace("5.0", "50"))
        with pytest.raises(Conflict, match="has changed since: files"):
            proposals.approve(valued_copy, table, job.job_id, BOB)

    def test_the_same_proposal_again_is_the_same(self, valued_copy: Lake, table: JobTable) -> None:
        assert proposed(valued_copy).job_id == proposed(valued_copy).job_id
        assert len(table.newest()) == 1


class TestDecisions:
    def test_another_approves_it_and_it_is_done_in_the_name_of_both(
        self, valued_copy: Lake, table: JobTable, stop: threading.Event
    ) -> None:
        job = proposed(valued_copy)
        approved = proposals.approve(valued_copy, table, job.job_id, BOB, "as agreed")
        assert (approved.state, approved.actor.name, approved.approved_by) == ("queued", "ann", "bob")
        with running_engine(valued_copy, stop):
            done = wait_for(lambda: (j := table.get(job.job_id)).state == "done" and j)
        assert done.result["approved_by"] == "bob"
        said = answer("var", "--as-of", MONDAY, lake=valued_copy.path)
        standard = said["receipt"]["standard"]
        assert {k: standard[k] for k in ("currency", "author", "approved_by", "reason")} == {
            "currency": "EUR",
            "author": "ann",
            "approved_by": "bob",
            "reason": "policy",
        }
        (act,) = recorded_acts(valued_copy.trail, ActFilter(act="standard"))
        assert (act.actor, act.about) == ("ann", {"job": job.job_id, "approved_by": "bob"})
        told = [(a.act, a.actor) for a in recorded_acts(valued_copy.trail) if a.about.get("job") == job.job_id]
        assert told == [("propose", "ann"), ("approve", "bob"), ("standard", "ann")]
        assert verify_trail(valued_copy).holds

    def test_nobody_approves_or_rejects_the_own_proposal(self, valued_copy: Lake, table: JobTable) -> None:
        job = proposed(valued_copy)
        with pytest.raises(Conflict, match=r"ann proposed .*: another approves it"):
            proposals.approve(valued_copy, table, job.job_id, ANN)
        with pytest.raises(Conflict, match="`withdraw` takes it back"):
            proposals.reject(table, job.job_id, ANN, "no")
        assert table.get(job.job_id).state == "proposed"

    def test_it_is_withdrawn_by_its_proposer_alone(self, valued_copy: Lake, table: JobTable) -> None:
        job = proposed(valued_copy)
        with pytest.raises(Conflict, match=r"ann proposed .*, and alone can withdraw it; bob can reject it"):
            proposals.withdraw(table, job.job_id, BOB)
        assert proposals.withdraw(table, job.job_id, ANN).state == "withdrawn"

    def test_what_is_decided_stays_so(self, valued_copy: Lake, table: JobTable) -> None:
        job = proposed(valued_copy)
        rejected = proposals.reject(table, job.job_id, BOB, "not agreed")
        assert rejected.proposal is not None
        assert (rejected.state, rejected.proposal.decided_by, rejected.proposal.reason) == (
            "rejected",
            "bob",
            "not agreed",
        )
        for again in (
            lambda: proposals.approve(valued_copy, table, job.job_id, CY),
            lambda: proposals.reject(table, job.job_id, CY, "no"),
            lambda: proposals.withdraw(table, job.job_id, ANN),
        ):
            with pytest.raises(Conflict, match="is rejected; only one that is proposed"):
                again()
        assert proposed(valued_copy).job_id != job.job_id, "and may be proposed anew"

    def test_of_two_who_approve_at_once_one_does(self, valued_copy: Lake, table: JobTable) -> None:
        job = proposed(valued_copy)
        both = [table.get(job.job_id)] * 2
        table.decide(both[0], "approved", "bob", BOB)
        with pytest.raises(Conflict, match="is queued"):
            table.decide(both[1], "rejected", "cy", CY)

    def test_a_job_that_needs_no_approval_is_no_proposal(self, valued_copy: Lake, table: JobTable) -> None:
        job = proposed(valued_copy, actor=LOCAL)
        with pytest.raises(NotFound, match="There is no proposal"):
            proposals.approve(valued_copy, table, job.job_id, BOB)
        with pytest.raises(Conflict, match="withdraw it instead"):
            table.request_cancel(proposed(valued_copy).job_id)

    def test_a_trader_sees_and_withdraws_the_own_and_decides_none(self, valued_copy: Lake, table: JobTable) -> None:
        trader, other = (Principal(name=name, roles=("trader",)) for name in ("tess", "tom"))
        job = proposed(valued_copy, actor=trader)
        for who, seen in ((trader, [job.job_id]), (other, []), (BOB, [job.job_id])):
            assert [p.job_id for p in proposals.find_proposals(table, who)] == seen
        for decide in (
            lambda: proposals.approve(valued_copy, table, job.job_id, other),
            lambda: proposals.reject(table, job.job_id, other, "no"),
            lambda: proposals.withdraw(table, job.job_id, other),
        ):
            with pytest.raises(NotFound):
                decide()
        assert proposals.withdraw(table, job.job_id, trader).state == "withdrawn"

    @pytest.mark.parametrize("kind", MOVES)
    def test_one_whose_ground_has_moved_says_so(self, valued_copy: Lake, table: JobTable, kind: str) -> None:
        job = proposed(valued_copy, kind, REQUESTS[kind](valued_copy))
        assert proposals.moved_since(valued_copy, job) is None
        moving = MARKET_ACT if kind == MARKET_CHECK else kind
        do(valued_copy, moving, MOVES[kind](valued_copy))
        with pytest.raises(Conflict, match=f"What {job.job_id} was proposed against has changed since"):
            proposals.approve(valued_copy, table, job.job_id, BOB)
        assert proposals.approve(valued_copy, table, job.job_id, BOB, although_moved=True).state == "queued"

    def test_one_moves_by_what_its_proposer_sees(self, valued_copy: Lake, table: JobTable) -> None:
        """An approver who sees more sees figures released that the proposer does not."""
        request = REQUESTS[RELEASE](valued_copy)
        do(valued_copy, RELEASE, request)
        part = ANN.model_copy(update={"entitlement": Entitlement(granted={"desk": ("Options",)})})
        seen = entitled(valued_copy, part.entitlement)
        assert 0 < seen.count("released_results") < valued_copy.count("released_results")
        job = proposed(seen, RELEASE, request, part)
        assert proposals.moved_since(valued_copy, job) is None
        assert proposals.approve(valued_copy, table, job.job_id, BOB).state == "queued"

    def test_one_that_nobody_approves_expires(
        self, valued_copy: Lake, table: JobTable, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        job = proposed(valued_copy)
        later = dt.datetime.now(dt.UTC) + dt.timedelta(15)
        monkeypatch.setattr(jobs, "_now", lambda: later)
        assert table.get(job.job_id).state == "expired"
        assert [p.job_id for p in proposals.find_proposals(table, BOB, ("expired",))] == [job.job_id]
        with pytest.raises(Conflict, match="is expired"):
            proposals.approve(valued_copy, table, job.job_id, BOB)
        assert proposed(valued_copy).job_id != job.job_id


def test_a_job_table_of_before_keeps_its_jobs(tmp_path: Path) -> None:
    new = JobTable(tmp_path / "new.sqlite")
    waiting = new.submit(STANDARD, EURO)[0]
    new.claim()
    new.finish(waiting.job_id, {"version": 1})
    queued = new.submit(STANDARD, {**EURO, "currency": "USD"})[0]
    with sqlite3.connect(new.path) as db:  # as format 2 had it
        for statement in (
            *("DROP INDEX jobs_active", "DROP INDEX jobs_state", "ALTER TABLE jobs DROP COLUMN proposal"),
            *("ALTER TABLE jobs DROP COLUMN expires_at", "CREATE INDEX jobs_state ON jobs (state, number)"),
            "CREATE UNIQUE INDEX jobs_active ON jobs (request_digest) WHERE state IN ('queued', 'running')",
            "PRAGMA user_version = 2",
        ):
            db.execute(statement)
    db.close()
    kept = JobTable(new.path)
    assert [job.to_dict() for job in kept.newest()] == [
        new.get(queued.job_id).to_dict(),
        new.get(waiting.job_id).to_dict(),
    ]
    assert kept.claim(queued.job_id) is not None
    assert kept.submit(STANDARD, {**EURO, "currency": "GBP"})[0].number == 3


class TestAtTheDoors:
    @pytest.fixture
    def served(self, valued_copy: Lake) -> Callable[[Principal], FlaskClient]:
        """A client of a user: who asks is set as logging in will set it."""
        app = create_app(Settings(lake=valued_copy.path))
        asks = [LOCAL]
        app.before_request_funcs.setdefault(None, []).append(lambda: setattr(g, "principal", asks[0]))

        def client_of(who: Principal) -> FlaskClient:
            asks[0] = who
            return app.test_client()

        return client_of

    def test_over_http_it_is_proposed_shown_and_approved(
        self, valued_copy: Lake, served: Callable[[Principal], FlaskClient]
    ) -> None:
        given = served(ANN).post("/api/v1/standards", json={"currency": "EUR"})
        assert given.status_code == 202
        job = given.get_json()
        assert (job["state"], job["actor"], job["proposal"]["proposer"]) == ("proposed", "ann", "ann")
        place = f"/api/v1/proposals/{job['job_id']}"
        listed = served(BOB).get("/api/v1/proposals?state=proposed").get_json()["rows"]
        assert [row["job_id"] for row in listed] == [job["job_id"]]
        assert served(BOB).get(place).get_json()["moved"] is None
        own = served(ANN).post(f"{place}/approve", json={})
        assert (own.status_code, own.get_json()["title"]) == (409, "Not possible now")
        assert served(BOB).post(f"{place}/reject", json={}).status_code == 422
        assert served(BOB).post(f"{place}/approve", json={}).get_json()["state"] == "queued"
        assert served(BOB).post(f"{place}/withdraw", json={}).status_code == 409
        assert served(BOB).get("/api/v1/proposals/nowhere").status_code == 404

    def test_a_user_signs_by_the_own_name(self, valued_copy: Lake, served: Callable[[Principal], FlaskClient]) -> None:
        refusal = served(BOB).post("/api/v1/market/acts", json=override(valued_copy))
        assert refusal.status_code == 422
        assert refusal.get_json()["errors"][0] == {
            "pointer": "/author",
            "message": "expected bob, who asks",
            "value": "ann",
            "allowed": ["bob"],
        }
        assert served(ANN).post("/api/v1/market/acts", json=override(valued_copy)).get_json()["state"] == "proposed"
        assert served(LOCAL).post("/api/v1/market/acts", json=override(valued_copy, 91)).get_json()["state"] == "queued"

    def test_the_command_line_proposes_and_another_user_of_the_machine_approves(
        self, valued_copy: Lake, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        lake = valued_copy.path
        monkeypatch.setenv("VARLAKE_FOUR_EYES", "on")

        def user(name: str) -> None:
            for module in (audit, proposals):
                monkeypatch.setattr(module, "account", lambda: name)

        user("ann")
        said = varlake("market", "override", FACTOR, MONDAY, "--value", "90", "--reason", "wrong print", lake=lake)
        assert (said.returncode, said.stdout) == (4, "")
        assert "another has to approve it" in said.stderr
        (row,) = answer("proposals", "list", lake=lake)
        assert row["proposal"]["proposer"] == "local:ann"
        assert "another approves it" in refused("proposals", "approve", row["job_id"], lake=lake)
        shown = varlake("proposals", "show", row["job_id"], lake=lake).stdout
        assert "wrong print" in shown
        assert "value_received" in shown
        user("bob")
        done = answer("proposals", "approve", row["job_id"], lake=lake)
        assert (done["state"], done["approved_by"]) == ("overridden", "local:bob")
        assert JobTable.of(valued_copy).get(row["job_id"]).state == "done"
        assert "There are no proposals" in varlake("proposals", "list", lake=lake).stderr
        varlake("value", "--as-of", MONDAY, "-p", f"scenarios={SCENARIOS}", "--runner", "in-process", lake=lake)
        notes = answer("var", "--as-of", MONDAY, lake=lake)["notes"]
        assert any("overridden by hand" in n and "wrong print, approved by local:bob" in n for n in notes)

    def test_what_fails_when_it_is_done_is_a_failed_job(
        self, valued_copy: Lake, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        lake, table = valued_copy.path, JobTable.of(valued_copy)
        job = proposed(valued_copy, RELEASE, REQUESTS[RELEASE](valued_copy))
        changed = json.loads(json.dumps(job.request))
        changed["answer"]["total"]["var_0.99"] += 1
        with sqlite3.connect(table.path) as db:
            db.execute("UPDATE jobs SET request = ?", (json.dumps(changed),))
        db.close()
        assert "Nothing is released" in refused("proposals", "approve", job.job_id, lake=lake)
        assert table.get(job.job_id).state == "failed"

    def test_the_command_line_rejects_and_withdraws(self, valued_copy: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
        lake = valued_copy.path
        job = proposed(valued_copy)
        assert "alone can withdraw" in refused("proposals", "withdraw", job.job_id, lake=lake)
        assert answer("proposals", "reject", job.job_id, "--reason", "not agreed", lake=lake)["state"] == "rejected"
        assert "Unknown state" in refused("proposals", "list", "--state", "done", lake=lake)
