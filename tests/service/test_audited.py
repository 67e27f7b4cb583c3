"""No effect without an entry in the audit trail: every kind of job, every kind of file, every command and every route that writes."""

from __future__ import annotations

import ast
import json
import re
import shutil
import threading
from pathlib import Path
from typing import Any, ClassVar

import pytest
from breaking.writing_commands import OPERATIONS, write_files
from command_line import answer, refused, varlake
from small_lake import MONDAY, SCENARIOS, SHOCK, base
from test_engine import running_engine, wait_for
from users import with_users

from aggregation.questions import QUESTIONS
from aggregation.session import reading
from lake.audit import ACT_NAMES, FILE
from lake.audit_check import ActFilter, recorded_acts, verify_trail
from lake.committer import Committer
from lake.errors import BadInput
from lake.tables import Lake
from service import doctor
from service.api.app import create_app
from service.api.document import document
from service.api.questions import operation_id
from service.config import Settings
from service.ingests import INGESTS
from service.jobs import JobTable
from service.work import KINDS, run

ROOT = Path(__file__).parents[2]
UPLOAD = {"data": b"date,AAA\n2020-03-16,1\n2020-03-17,2\n", "content_type": "text/csv"}
ACT = {
    "act": "override",
    "factor": "EQ:AAA",
    "date": str(MONDAY),
    "value": 90.0,
    "reason": "wrong print",
    "author": "ann",
}


def options(what: str) -> dict[str, str]:
    """What has to be said with files of a kind."""
    words = OPERATIONS[what].arguments[3:]
    said = {name[2:].replace("-", "_"): value for name, value in zip(words[::2], words[1::2], strict=True)}
    return {**said, "catalogue": "marketdata"} if "catalogue" in said else said


# of every route that takes no question and is no GET: a good request, or None for one that the test makes itself
REQUESTS: dict[str, dict[str, Any] | None] = {
    "act_on_market": {"json": ACT},
    "approve_proposal": None,
    "cancel": None,
    "check_scenario": {"json": {"as_of": str(MONDAY), "text": SHOCK}},
    "check_stored_market": {"json": {"hold": True}},
    "complete_scenario": {"json": {"as_of": str(MONDAY), "text": SHOCK, "at": 1}},
    "delete_branch": None,
    "make_covariance": {"json": {"matrix": "day", "as_of": f"{MONDAY}T15:00:00Z", "window": 2}},
    "make_scenario_set": {"json": {"as_of": str(MONDAY), "parameters": {"scenarios": 20}}},
    "net_positions": {"json": {"as_of": f"{MONDAY}T12:00:00Z", "positions_date": str(MONDAY)}},
    "plan": {"json": {"as_of": str(MONDAY), "scenarios": {"parameters": {"scenarios": SCENARIOS}}}},
    "preview": {"json": {"as_of": str(MONDAY), "text": SHOCK}},
    "reject_proposal": None,
    "release": None,
    "recompute_receipt": None,
    "record_live_alarms": {"json": {"as_of": str(MONDAY)}},
    "replay_receipt": None,
    "save_branch": {"json": {"name": "lighter", "as_of": str(MONDAY), "scale": ["desk=Options*0.5"]}},
    "set_alarm_band": {"json": {"deviations": 3, "reason": "calm"}},
    "set_standard": {"json": {"currency": "EUR"}},
    "submit": {"json": {"as_of": str(MONDAY)}},
    "table_as_file": {"json": {"columns": ["desk"], "rows": [["Rates"]]}},
    "take_live_snapshot": {"json": {"as_of": str(MONDAY)}},
    "withdraw_proposal": None,
    **{
        f"bring_{kind.route[1:].replace('-', '_')}": {**UPLOAD, "query_string": options(what)}
        for what, kind in INGESTS.items()
    },
    **{f"suggest_{kind.route[1:].replace('-', '_')}": UPLOAD for kind in INGESTS.values() if kind.suggest},
}
NO_LAKE = Settings(lake=Path("none"))
WRITES = {
    operation["operationId"]: (method, path)
    for path, item in document(create_app(NO_LAKE))["paths"].items()
    for method, operation in item.items()
    if method != "get"
}
OF_USERS = {"add_user", "change_user", "remove_user", "make_token", "revoke_token", "end_session"}
OF_VIEWS = {"save_view", "change_view", "delete_view"}
OF_QUESTIONS = {operation_id(name, suffix): name for name in QUESTIONS for suffix in ("_body", "_plan_body", "_value")}


def state(lake: Lake) -> dict[str, bytes]:
    """Every file of the lake but its trail and its caches."""
    return {
        path.relative_to(lake.path).as_posix(): path.read_bytes()
        for path in lake.path.rglob("*")
        if path.is_file() and path.name != FILE and "cache" not in path.parts and path.name != "costs.jsonl"
    }


class TestJobs:
    @pytest.mark.parametrize("kind", KINDS)
    def test_every_kind_is_in_the_trail_before_it_does_anything(
        self, work_lake: Lake, kind: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Whatever the kind does, its act is open while it does it, and a commit of it carries its number."""

        def does(session: Any, request: Any) -> dict[str, Any]:
            (open_act,) = recorded_acts(work_lake.trail, ActFilter(outcome="open"))
            assert (open_act.act, open_act.asked) == (kind, request)
            version = session.writer().commit("hierarchies", [])
            return {"name": "made", "version": version}

        monkeypatch.setitem(KINDS, kind, does)
        with Committer(work_lake, "test") as committer:
            run(reading(work_lake).writing(committer), kind, {"of": kind}, job="j1")
        (act,) = recorded_acts(work_lake.trail, ActFilter(act=kind))
        assert (act.outcome, act.tables, act.about) == ("done", {"hierarchies": [0]}, {"job": "j1"})
        assert {k: act.led_to[k] for k in ("name", "version")} == {"name": "made", "version": 0}
        assert verify_trail(work_lake).holds

    def test_the_engine_does_every_kind_through_the_trail(self, work_lake: Lake, stop: threading.Event) -> None:
        table = JobTable.of(work_lake)
        sent = {kind: table.submit(kind, {"nothing": "of use"})[0].job_id for kind in KINDS}
        with running_engine(work_lake, stop):
            wait_for(lambda: all(table.get(job).state == "failed" for job in sent.values()))
        for kind, job in sent.items():
            own = [a for a in recorded_acts(work_lake.trail) if a.about.get("job") == job]
            assert [(a.act, a.outcome) for a in own] == [("queue", "done"), (kind, "failed")]

    def test_work_is_done_through_the_trail_alone(self) -> None:
        """No module but `service.work` calls what KINDS holds."""
        for path in sorted((ROOT / "service").rglob("*.py")):
            named = {node.id for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Name)}
            assert "KINDS" not in named or path == ROOT / "service" / "work.py", path

    def test_an_unknown_kind_is_refused(self, work_lake: Lake) -> None:
        with Committer(work_lake, "test") as committer, pytest.raises(BadInput, match="Unknown kind of job"):
            run(reading(work_lake).writing(committer), "valuatoin", {})

    def test_a_job_that_is_asked_for_twice_or_cancelled_twice_is_one_act_each(self, work_lake: Lake) -> None:
        table = JobTable.of(work_lake)
        job = table.submit("standard", {"currency": "EUR"})[0]
        table.submit("standard", {"currency": "EUR"})
        table.request_cancel(job.job_id)
        table.request_cancel(job.job_id)
        told = [(a.act, a.about) for a in recorded_acts(work_lake.trail)[-2:]]
        assert told == [(act, {"kind": "standard", "job": job.job_id}) for act in ("queue", "cancel")]


@pytest.mark.parametrize("what", INGESTS)
def test_every_kind_of_file_is_brought_in_by_an_act_with_its_tables(what: str, work_lake: Lake, tmp_path: Path) -> None:
    arguments = [a.format(files=write_files(tmp_path)) for a in OPERATIONS[what].arguments]
    done = varlake(*arguments, lake=work_lake.path)
    assert done.returncode == 0, done.stderr
    (act,) = recorded_acts(work_lake.trail, ActFilter(act="ingest"))
    assert (act.outcome, act.asked["what"], act.actor) == ("done", what, "local")
    assert act.tables
    assert verify_trail(work_lake).holds


class TestRoutes:
    @pytest.fixture
    def lake(self, valued_copy: Lake) -> Lake:
        varlake("branch", "save", "held", "--as-of", MONDAY, "--scale", "desk=Options*0.5", lake=valued_copy.path)
        return valued_copy

    def asked(self, name: str, lake: Lake) -> tuple[str, dict[str, Any]]:
        """The address and the arguments of a good request."""
        _, path = WRITES[name]
        if name in OF_QUESTIONS:
            return path, {"json": base(OF_QUESTIONS[name])}
        table = JobTable.of(lake)
        if "proposal" in name:
            four_eyes = create_app(Settings(lake=lake.path, four_eyes=True)).test_client()
            currency = {"approve": "JPY", "reject": "CHF", "withdraw": "SEK"}[name.partition("_")[0]]
            job = four_eyes.post("/api/v1/standards", json={"currency": currency}).get_json()
            body = {"reason": "not agreed"} if name == "reject_proposal" else {}
            return path.replace("{job_id}", job["job_id"]), {"json": body}
        if name == "cancel":
            return path.replace("{job_id}", table.submit("standard", {"currency": "GBP"})[0].job_id), {}
        if name == "delete_branch":
            return path.replace("{name}", "held"), {}
        if name == "release" or name.endswith("_receipt"):
            kept = answer("var", "--as-of", MONDAY, "--by", "desk", lake=lake.path)
            return path, {"json": {"answer": kept, "released_by": "ann"} if name == "release" else kept}
        given = REQUESTS[name]
        assert given is not None
        return path, given

    def test_every_one_is_tried(self) -> None:
        assert WRITES.keys() == REQUESTS.keys() | OF_QUESTIONS.keys() | OF_USERS | OF_VIEWS

    def test_one_that_changes_anything_has_an_entry(self, lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
        """All of them, one after the other: what changed a file of the lake has an act more, ended, and what did not has none.

        The routes of all questions are made by one function: those of two stand for all.
        """
        client, changing = create_app(Settings(lake=lake.path)).test_client(), set()
        tried = {n: w for n, w in WRITES.items() if OF_QUESTIONS.get(n, "var") in ("var", "stress")}
        tried = {n: w for n, w in tried.items() if n not in OF_USERS | OF_VIEWS}
        for name, (method, _) in tried.items():
            address, arguments = self.asked(name, lake)
            before, acts = state(lake), len(recorded_acts(lake.trail))
            if name in ("approve_proposal", "reject_proposal"):
                monkeypatch.setattr("service.proposals.account", lambda: "another")
            given = client.open(address, method=method.upper(), **arguments)
            monkeypatch.undo()
            not_valued = name in OF_QUESTIONS and given.status_code == 404
            assert given.status_code in (200, 202) or not_valued, (name, given.get_data(as_text=True))
            new = recorded_acts(lake.trail)[acts:]
            if state(lake) != before:
                changing.add(name)
                assert [a.outcome for a in new] == ["done"], name
                if given.status_code == 202:
                    assert new[0].about["job"] == given.get_json()["job_id"], name
            else:
                assert new == [], name
        assert changing == {n for n, (_, path) in tried.items() if n in CHANGING or path.endswith("/value")}
        assert verify_trail(lake).holds

    def test_users_tokens_and_sessions_are_changed_by_acts_of_whoever_asks(self, valued_copy: Lake) -> None:
        """Their secrets are nowhere in the trail."""
        _, tokens = with_users(valued_copy.path)
        app = create_app(Settings(lake=valued_copy.path))
        client, ada = app.test_client(), {"Authorization": f"Bearer {tokens['ada']}"}
        body = {"name": "vera", "roles": ["trader"], "entitlement": {"granted": {"desk": ["Options"]}}}
        assert client.post("/api/v1/users", json=body, headers=ada).status_code == 200
        assert client.patch("/api/v1/users/vera", json={"roles": ["risk_controller"]}, headers=ada).status_code == 200
        made = client.post(
            "/api/v1/tokens", json={"label": "Excel", "rights": ["read"], "days": 1}, headers=ada
        ).get_json()
        browser = app.test_client()
        assert browser.post("/sign-in", data={"token": made["token"]}).status_code in (302, 303)
        (session,) = client.get("/api/v1/sessions", headers=ada).get_json()["rows"]
        assert client.delete(f"/api/v1/sessions/{session['session_id']}", headers=ada).status_code == 200
        assert client.delete(f"/api/v1/tokens/{made['token_id']}", headers=ada).status_code == 200
        assert client.delete("/api/v1/users/vera", headers=ada).status_code == 200
        of_whom = {a.act: a.row()["about"] for a in recorded_acts(valued_copy.trail) if a.actor == "ada"}
        assert {act: told for act, told in of_whom.items() if act in OF_USERS} == {
            **dict.fromkeys(("add_user", "change_user", "remove_user"), "user=vera"),
            **dict.fromkeys(("make_token", "revoke_token", "end_session"), "user=ada"),
        }
        told = [(a.act, a.outcome) for a in recorded_acts(valued_copy.trail) if a.actor == "ada"]
        wanted = ["add_user", "change_user", "make_token", "sign_in", "end_session", "revoke_token", "remove_user"]
        assert told == [(act, "done") for act in wanted]
        assert verify_trail(valued_copy).holds
        text = valued_copy.trail.path.read_text()
        assert made["token"] not in text
        assert not any(token in text for token in tokens.values())

    def test_views_are_saved_changed_and_deleted_by_acts(self, valued_copy: Lake) -> None:
        client = create_app(Settings(lake=valued_copy.path)).test_client()
        saved = client.post(
            "/api/v1/views", json={"name": "desks", "page": "ask", "address": "question=var"}
        ).get_json()
        address = f"/api/v1/views/{saved['view_id']}"
        assert client.put(address, json={"shared": True}).status_code == 200
        assert client.delete(address).status_code == 200
        acts = [a.act for a in recorded_acts(valued_copy.trail)]
        assert acts[-3:] == ["save_view", "change_view", "delete_view"]


def test_every_act_is_known_by_name_and_told_in_the_documentation() -> None:
    sources = [p.read_text() for package in ("lake", "valuation", "service") for p in (ROOT / package).rglob("*.py")]
    made = {name for text in sources for name in re.findall(r'acting\(\s*"([^"]+)"', text)}
    assert {"pin", "clean", "cancel", "add_user", "save_view"} <= made
    assert made | KINDS.keys() <= set(ACT_NAMES)
    table = (ROOT / "docs" / "audit.md").read_text().partition("The acts, as")[2].partition("\n\nQuestions")[0]
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    assert sorted(re.findall(r"`(\w+)`", " ".join(rows))) == sorted(ACT_NAMES)


# routes that change something; the others are questions, plans, checks and previews
CHANGING = {
    *("act_on_market", "approve_proposal", "cancel", "check_stored_market", "delete_branch", "make_covariance"),
    *("make_scenario_set", "net_positions", "reject_proposal", "release", "save_branch", "set_standard", "submit"),
    "withdraw_proposal",
    *("record_live_alarms", "set_alarm_band", "take_live_snapshot"),
    *(name for name in REQUESTS if name.startswith("bring_")),
}


class TestFiles:
    """What changes files of a lake: each place is named here with the act that its changes belong to."""

    CALLS = ("write_durable", "remove_durable", "link_durable", "write_data_file", "append_durable", "cut_durable")
    PLACES: ClassVar = {
        "lake/audit.py": "the trail itself",
        "lake/committer.py": "commits, which have an act of their own where none is open",
        "lake/compaction.py": "data files, which a commit names or nobody reads",
        "valuation/sets/store.py": "data files, which a commit names or nobody reads",
        "valuation/horizons/path_runs.py": "data files, which a commit names or nobody reads",
        "lake/delta_log.py": "the record of a log, of what was committed",
        "lake/tables.py": "an empty lake",
        "lake/cleaning.py": "pins, which are acts, and what a cleaning removes, which is one",
        "lake/runtime/delta_jars.py": "no file of a lake",
        "lake/landing/positions.py": "no file of a lake",
        "lake/landing/order_feeds/batch.py": "what a feed hands to the engine, which commits it as an act",
        "lake/landing/rows.py": "a list of the faults of a file, beside the lake's tables",
        "aggregation/kept_receipts.py": "versions that a receipt rests on, which a question keeps and changes nothing",
        "valuation/sets/cleaning.py": "no file of a lake: a plan",
        "scenarios/market/sample_ticks.py": "no file of a lake",
        "valuation/samples/live_day.py": "no file of a lake",
        "service/live_demo.py": "no file of a lake",
        "service/cli/ingest.py": "no file of a lake",
        "service/cli/audit.py": "no file of a lake",
    }

    def test_every_place_is_known(self) -> None:
        found = set()
        for package in ("lake", "scenarios", "valuation", "aggregation", "service"):
            for path in sorted((ROOT / package).rglob("*.py")):
                calls = {n.func for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Call)}
                if {f.id for f in calls if isinstance(f, ast.Name)} & {*self.CALLS} and path.name != "storage.py":
                    found.add(path.relative_to(ROOT).as_posix())
        assert found == self.PLACES.keys(), "Say here in which act the change is."

    def test_tables_are_written_by_the_committer_alone(self) -> None:
        for package in ("lake", "scenarios", "valuation", "aggregation", "service"):
            for path in sorted((ROOT / package).rglob("*.py")):
                text = path.read_text()
                writes = (
                    "create_write_transaction",
                    "write_deltalake",
                    "DeltaTable.create",
                    ".alter.",
                    "create_checkpoint(",
                )
                assert path.name == "committer.py" or not any(w in text for w in writes), path


class TestDoors:
    VALUE = ("value", "--as-of", str(MONDAY), "-p", f"scenarios={SCENARIOS}", "--runner", "in-process")

    @pytest.fixture
    def lake(self, work_lake: Lake) -> Lake:
        for line in (self.VALUE, ("standard", "set", "--currency", "EUR")):
            assert varlake(*line, lake=work_lake.path).returncode == 0
        assert "nowhere" in refused("standard", "set", "--scenario-set", "nowhere", lake=work_lake.path)
        return work_lake

    def test_the_command_lists_filters_and_shows(self, lake: Lake) -> None:
        rows = answer("audit", "list", "--act", "standard", lake=lake.path)
        assert [(r["outcome"], r["error"] is None) for r in rows] == [("done", True), ("failed", False)]
        assert answer("audit", "list", "--table", "valuation_sets", lake=lake.path)[0]["act"] == "valuation"
        assert answer("audit", "list", "--last", "2020-01-01", lake=lake.path) == []
        count = len(recorded_acts(lake.trail))
        listed = varlake("audit", "list", "--actor", "local", "--csv", lake=lake.path).stdout.splitlines()
        assert len(listed) == 1 + count
        some = varlake("audit", "list", "--limit", 2, "--csv", lake=lake.path)
        assert some.stdout.splitlines()[1:] == listed[-2:]
        assert f"The newest 2 of {count} acts; --limit 0 shows all." in some.stderr
        assert len(answer("audit", "list", "--limit", 0, lake=lake.path)) == count
        shown = answer("audit", "show", rows[0]["number"], lake=lake.path)
        assert [e["phase"] for e in shown["entries"]] == ["begun", "done"]
        assert shown["asked"]["currency"] == "EUR"
        assert "valuation_sets@1" in varlake("audit", "list", lake=lake.path).stdout
        assert "digest" in varlake("audit", "show", rows[1]["number"], lake=lake.path).stderr
        assert "Nearest valid: standard" in refused("audit", "list", "--act", "standrad", lake=lake.path)
        assert "expected one of open, done" in refused("audit", "list", "--outcome", "finished", lake=lake.path)
        assert "There is no entry 999" in refused("audit", "show", "999", lake=lake.path)

    def test_verify_prints_the_head_and_ends_with_3_where_it_is_broken(self, lake: Lake, tmp_path: Path) -> None:
        done = varlake("audit", "verify", lake=lake.path)
        head = done.stdout.strip()
        assert (done.returncode, head) == (0, verify_trail(lake).head)
        out = tmp_path / "trail.jsonl"
        varlake("audit", "export", out, lake=lake.path)
        assert out.read_bytes() == lake.trail.path.read_bytes()
        assert varlake("audit", "verify", "--file", out, "--head", head, lake=lake.path).returncode == 0
        lines = lake.trail.path.read_bytes().splitlines(keepends=True)
        lake.trail.path.write_bytes(b"".join(lines[:-2]))
        assert varlake("audit", "verify", lake=lake.path).returncode == 0
        cut = varlake("audit", "verify", "--head", head, lake=lake.path)
        assert (cut.returncode, "cut off at its end" in cut.stderr) == (3, True)
        lake.trail.path.write_bytes(b"".join([*lines[:2], *lines[3:]]))
        told = varlake("audit", "verify", "--json", lake=lake.path)
        assert told.returncode == 3
        assert json.loads(told.stdout)["fault"] == "The trail is broken at line 3: entry 3 was removed."
        assert "no head of a trail" in refused("audit", "verify", "--head", "12", lake=lake.path)

    def test_the_routes_tell_the_same(self, lake: Lake) -> None:
        client = create_app(Settings(lake=lake.path)).test_client()
        acts = recorded_acts(lake.trail)
        first = client.get("/api/v1/audit/acts?limit=2").get_json()
        assert [r["number"] for r in first["rows"]] == [a.number for a in acts[:-3:-1]]
        second = client.get(f"/api/v1/audit/acts?limit=2&cursor={first['next_cursor']}").get_json()
        assert [r["number"] for r in second["rows"]] == [a.number for a in acts[-3:-5:-1]]
        assert client.get("/api/v1/audit/acts?act=standard&format=csv").get_data(as_text=True).count("\n") == 3
        one = client.get(f"/api/v1/audit/acts/{acts[-1].number}").get_json()
        assert (one["outcome"], one["error"]) == ("failed", acts[-1].led_to["error"])
        assert client.get("/api/v1/audit/acts/999").status_code == 404
        assert client.get("/api/v1/audit/verify").get_json() == {**verify_trail(lake).to_dict()}
        assert client.get("/api/v1/audit/verify?head=x").status_code == 422
        assert client.get("/api/v1/audit/export").data == lake.trail.path.read_bytes()
        assert client.delete("/api/v1/audit/acts").status_code == 405

    def test_doctor_says_whether_it_holds(self, lake: Lake) -> None:
        def told() -> tuple[str, str]:
            (found,) = [f for f in doctor._lake(lake.path) if f.name == "audit trail"]
            return found.status, found.found

        assert told() == ("ok", f"holds, {verify_trail(lake).entries} entries")
        lake.trail.path.write_bytes(lake.trail.path.read_bytes().replace(b"local", b"eve", 1))
        assert told()[0] == "fail"

    def test_what_is_made_in_python_is_in_the_trail(self, lake: Lake) -> None:
        import varlake as package

        opened = package.open(lake.path)
        opened.set_standard(currency="USD")
        assert recorded_acts(lake.trail)[-1].asked["currency"] == "USD"
        asked = base("stress")
        opened.stress(**asked, value=True)
        act = recorded_acts(lake.trail)[-1]
        assert (act.act, act.asked["question"], "valuation_sets" in act.tables) == ("question", "stress", True)


def test_a_copied_lake_has_its_trail(valued_lake: Path, tmp_path: Path) -> None:
    assert verify_trail(Lake.open(shutil.copytree(valued_lake, tmp_path / "lake"))).holds


def test_an_emptied_trail_is_told_from_a_filter_that_nothing_fits(valued_copy: Lake) -> None:
    assert "There is no such act." in varlake("audit", "list", "--first", "2099-01-01", lake=valued_copy.path).stderr
    (valued_copy.state / FILE).write_text("")
    assert "its trail was emptied" in varlake("audit", "list", lake=valued_copy.path).stderr
    assert "There is no such act." in varlake("audit", "list", "--first", "2099-01-01", lake=valued_copy.path).stderr
