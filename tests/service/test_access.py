"""Every request shows whose it is: tokens, roles, the matrix of all operations, parameters, rates, headers."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from small_lake import MONDAY, request
from users import EVERYBODY, bearer, with_users

from aggregation.questions import QUESTIONS
from lake.tables import Lake
from service.access.accounts import TokenRequest
from service.access.rights import HELD_BY, RIGHTS
from service.access.store import AccessStore
from service.api import access
from service.api.app import create_app
from service.api.document import document
from service.config import Settings

ROLES = {"ada": "admin", "rita": "risk_controller", "tom": "trader"}
OPERATIONS = [
    (method.upper(), path, operation)
    for path, item in document(create_app(Settings()))["paths"].items()
    for method, operation in item.items()
]


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> tuple[Flask, Mapping[str, str], AccessStore]:
    """A service with users and a lake that holds nothing else."""
    lake = Lake.create(tmp_path_factory.mktemp("access") / "lake").path
    store, tokens = with_users(lake)
    return create_app(Settings(lake=lake, requests_a_minute=100_000, failures_a_minute=100_000)), tokens, store


@pytest.fixture
def client(empty: tuple[Flask, Mapping[str, str], AccessStore]) -> FlaskClient:
    return empty[0].test_client()


@pytest.fixture
def tokens(empty: tuple[Flask, Mapping[str, str], AccessStore]) -> Mapping[str, str]:
    return empty[1]


@pytest.fixture
def store(empty: tuple[Flask, Mapping[str, str], AccessStore]) -> AccessStore:
    return empty[2]


def valued(lake: Path, tmp_path: Path, **settings: Any) -> tuple[FlaskClient, Mapping[str, str]]:
    """A service with users, kept elsewhere than in the lake, that answers questions."""
    settings = {"lake": lake, "access": tmp_path / "users.sqlite", "cache": tmp_path / "cache", **settings}
    given = {k: v for k, v in settings.items() if k != "lake"}
    return create_app(Settings(**settings)).test_client(), with_users(lake, **given)[1]


class TestOperations:
    """The matrix of operations and roles, from the OpenAPI document."""

    def test_every_route_is_classified_and_nothing_else(self) -> None:
        rules = list(create_app(Settings()).url_map.iter_rules())
        assert [r.rule for r in rules if access.needed(r.endpoint, r.rule) is None] == []
        views = {r.endpoint.rpartition(".")[2] for r in rules}
        assert {view for named in access.NEEDED.values() for view in named} <= views

    def test_a_route_that_nobody_classified_is_refused_to_everybody(self, tmp_path: Path) -> None:
        app = create_app(Settings(lake=Lake.create(tmp_path / "lake").path))
        app.add_url_rule("/api/v1/new", "new.thing", lambda: "secret")
        answer = app.test_client().get("/api/v1/new")
        assert answer.status_code == 403
        assert "secret" not in answer.text

    @pytest.mark.parametrize(("method", "path", "operation"), OPERATIONS, ids=[f"{m} {p}" for m, p, _ in OPERATIONS])
    def test_who_may_and_who_may_not(
        self, method: str, path: str, operation: dict[str, Any], client: FlaskClient, tokens: Mapping[str, str]
    ) -> None:
        (need,) = {tuple(rights) for scheme in operation["security"] for rights in scheme.values()}
        address = re.sub(r"{\w+}", "nothing-of-that-name", path)

        def status(**headers: str) -> int:
            # a body that no operation takes: what is admitted goes no further
            return client.open(
                address, method=method, data="{", headers={"Content-Type": "text/x-none", **headers}
            ).status_code

        assert status() == 401
        assert status(Authorization="Bearer varlake_of-nobody-at-all-at-all") == 401
        for name, token in tokens.items():
            may = set(need) <= set(HELD_BY[ROLES[name]])  # type: ignore[index]
            assert (status(**bearer(token)) not in (401, 403)) == may, (name, need)

    @pytest.mark.parametrize(
        ("path", "method", "need"),
        [
            *((f"/api/v1/{name}", "POST", "read") for name in QUESTIONS),
            *((f"/api/v1/{name}/plan", "POST", "read") for name in QUESTIONS),
            *((f"/api/v1/{name}/value", "POST", "value") for name in QUESTIONS),
            ("/api/v1/valuations", "POST", "value"),
            ("/api/v1/scenario-sets", "POST", "write"),
            ("/api/v1/standards", "POST", "write"),
            ("/api/v1/market/acts", "POST", "write"),
            ("/api/v1/positions", "POST", "ingest"),
            ("/api/v1/market-data", "POST", "ingest"),
            ("/api/v1/users", "GET", "admin"),
        ],
    )
    def test_what_matters_most_needs_what_the_documentation_says(self, path: str, method: str, need: str) -> None:
        (operation,) = [o for m, p, o in OPERATIONS if (m, p) == (method, path)]
        assert operation["security"][0] == {"token": [need]}

    def test_what_only_looks_is_never_more_than_reading(self) -> None:
        """A GET has no effect; what has one is a POST, PATCH or DELETE."""
        looked_at = [o["security"][0]["token"] for m, p, o in OPERATIONS if m == "GET"]
        assert {tuple(needs) for needs in looked_at} == {("read",), ("admin",), ()}

    def test_every_role_has_what_the_one_before_has(self) -> None:
        assert set(HELD_BY["trader"]) < set(HELD_BY["risk_controller"]) < set(HELD_BY["admin"]) == set(RIGHTS)


class TestWhoAsks:
    def test_without_users_it_is_whoever_works_here(self, tmp_path: Path) -> None:
        app = create_app(Settings(lake=Lake.create(tmp_path / "lake").path))
        me = app.test_client().get("/api/v1/me", headers=bearer("for-a-proxy-before-it")).get_json()
        assert (me["name"], me["by"], me["rights"]) == ("local", "single-user mode", list(RIGHTS))

    @pytest.mark.parametrize(
        "setting", [{"host": "10.1.2.3"}, {"trusted_proxy": "127.0.0.1"}, {"access": Path("none")}]
    )
    def test_without_users_nobody_is_let_in_where_it_is_set_up_for_others(
        self, setting: dict[str, Any], tmp_path: Path
    ) -> None:
        app = create_app(Settings(lake=Lake.create(tmp_path / "lake").path, **setting))
        answer = app.test_client().get("/api/v1/me")
        assert answer.status_code == 503
        assert "varlake users add" in answer.get_json()["detail"]

    def test_a_token_is_taken_as_bearer_and_as_a_password_with_any_name(
        self, client: FlaskClient, tokens: Mapping[str, str]
    ) -> None:
        for sent in (
            {"headers": bearer(tokens["tom"])},
            {"auth": ("tom", tokens["tom"])},
            {"auth": ("", tokens["tom"])},
        ):
            me = client.get("/api/v1/me", **sent).get_json()  # type: ignore[arg-type]
            assert me["name"] == "tom"
            assert me["by"] == "token"
            assert me["entitlement"] == {"granted": {"desk": ["Options"]}, "firm_totals": False}

    @pytest.mark.parametrize("given", ["Bearer", "Bearer x", "Basic x", "Basic dG9tOg==", "Digest a=b", "nonsense", ""])
    def test_what_is_no_token_is_refused_in_words(self, given: str, client: FlaskClient) -> None:
        answer = client.get("/api/v1/me", headers={"Authorization": given})
        assert answer.status_code == 401
        assert answer.content_type == "application/problem+json"
        assert answer.get_json()["type"] == "urn:varlake:problem:not-signed-in"
        assert answer.headers.getlist("WWW-Authenticate") == ['Bearer realm="varlake"', 'Basic realm="varlake"']

    def test_a_page_is_asked_for_no_password_by_the_browser_itself(self, client: FlaskClient) -> None:
        answer = client.get("/api/v1/me", headers={"Sec-Fetch-Mode": "cors"})
        assert answer.headers.getlist("WWW-Authenticate") == ['Bearer realm="varlake"']

    def test_whether_there_is_a_route_is_for_users_to_know(
        self, client: FlaskClient, tokens: Mapping[str, str]
    ) -> None:
        assert client.get("/api/v1/nothing").status_code == 401
        assert client.get("/api/v1/nothing", headers=bearer(tokens["tom"])).status_code == 404

    def test_what_is_missing_is_said(self, client: FlaskClient, tokens: Mapping[str, str], store: AccessStore) -> None:
        said = client.post("/api/v1/standards", json={}, headers=bearer(tokens["tom"])).get_json()
        assert said["title"] == "Not allowed"
        assert "takes the right 'write', which risk_controller or admin has; tom is trader" in said["detail"]
        _, narrow = store.make_token("rita", TokenRequest(label="narrow"))
        said = client.post("/api/v1/standards", json={}, headers=bearer(narrow)).get_json()
        assert "Make one with --right write" in said["detail"]

    def test_a_token_in_an_address_is_refused_and_stands_in_no_log(
        self, client: FlaskClient, tokens: Mapping[str, str], logs: list[dict[str, Any]]
    ) -> None:
        secret = tokens["tom"]
        for address in (f"/api/v1/var?token={secret}", f"/api/v1/jobs/{secret}", f"/sign-in?next=/{secret}"):
            answer = client.get(address, headers=bearer(secret))
            assert answer.status_code == 400
            assert "revoke this one" in answer.get_json()["detail"]
        client.get("/api/v1/me", headers=bearer(secret))
        client.post("/sign-in", data={"token": secret})
        assert [e["event"] for e in logs] == ["request"] * 4 + ["signed in", "request"]
        assert secret not in json.dumps(logs)


class TestUsersAndTokens:
    @pytest.fixture
    def own(self, tmp_path: Path) -> tuple[FlaskClient, Mapping[str, str]]:
        lake = Lake.create(tmp_path / "lake").path
        tokens = with_users(lake)[1]
        return create_app(Settings(lake=lake)).test_client(), tokens

    def test_an_admin_adds_changes_and_removes_users(self, own: tuple[FlaskClient, Mapping[str, str]]) -> None:
        client, tokens = own
        admin = bearer(tokens["ada"])
        eve = {
            "name": "eve",
            "roles": ["trader"],
            "entitlement": {"granted": {"desk": ["Rates"]}, "firm_totals": False},
        }
        made = client.post("/api/v1/users", json=eve, headers=admin).get_json()
        assert "'Rates'" in made.pop("warnings")[0]  # no position names that desk
        assert made == {**eve, "identity": None}
        assert client.post("/api/v1/users", json=eve, headers=admin).status_code == 409
        changed = client.patch("/api/v1/users/eve", json={"identity": "e@bank"}, headers=admin).get_json()
        assert changed == client.get("/api/v1/users/eve", headers=admin).get_json()
        assert changed == {**eve, "identity": "e@bank", "warnings": changed["warnings"]}
        listed = client.get("/api/v1/users", headers=admin).get_json()["rows"]
        assert [u["name"] for u in listed] == ["ada", "eve", "rita", "tom"]
        assert client.delete("/api/v1/users/eve", headers=admin).status_code == 200
        assert client.get("/api/v1/users/eve", headers=admin).status_code == 404
        assert client.delete("/api/v1/users/ada", headers=admin).status_code == 409

    def test_what_is_wrong_with_a_user_is_told_at_its_field(self, own: tuple[FlaskClient, Mapping[str, str]]) -> None:
        client, tokens = own
        wrong = {"name": "e v e", "roles": ["traider"], "entitlement": {"granted": {"dsk": ["Rates"]}}}
        errors = client.post("/api/v1/users", json=wrong, headers=bearer(tokens["ada"])).get_json()["errors"]
        assert {e["pointer"]: e["allowed"] for e in errors}.keys() == {"/name", "/roles/0", "/entitlement/granted"}
        assert (
            client.post(
                "/api/v1/users", json={"name": "eve", "roles": ["trader"]}, headers=bearer(tokens["ada"])
            ).status_code
            == 422
        )

    def test_a_removed_user_is_out_at_once_and_a_changed_one_has_its_new_role(
        self, own: tuple[FlaskClient, Mapping[str, str]]
    ) -> None:
        client, tokens = own
        admin, tom = bearer(tokens["ada"]), bearer(tokens["tom"])
        assert client.post("/api/v1/standards", json={}, headers=tom).status_code == 403
        client.patch("/api/v1/users/tom", json={"roles": ["risk_controller"]}, headers=admin)
        assert client.get("/api/v1/me", headers=tom).get_json()["roles"] == ["risk_controller"]
        client.delete("/api/v1/users/tom", headers=admin)
        assert client.get("/api/v1/me", headers=tom).status_code == 401

    def test_one_makes_lists_and_revokes_ones_own_tokens(self, own: tuple[FlaskClient, Mapping[str, str]]) -> None:
        client, tokens = own
        tom = bearer(tokens["tom"])
        answer = client.post("/api/v1/tokens", json={"label": "Excel", "rights": ["read"], "days": 7}, headers=tom)
        made = answer.get_json()
        assert answer.headers["Cache-Control"] == "no-store"
        assert client.get("/api/v1/me", headers=bearer(made["token"])).get_json()["rights"] == ["read"]
        listed = client.get("/api/v1/tokens", headers=tom).get_json()["rows"]
        assert [t["label"] for t in listed] == ["Excel", "test"]
        assert made["token"] not in json.dumps(listed)
        revoked = client.delete(f"/api/v1/tokens/{made['token_id']}", headers=tom).get_json()
        assert revoked["revoked_at"] is not None
        assert client.get("/api/v1/me", headers=bearer(made["token"])).status_code == 401

    def test_a_token_makes_none_that_may_more(self, own: tuple[FlaskClient, Mapping[str, str]]) -> None:
        client, tokens = own
        narrow = client.post(
            "/api/v1/tokens", json={"label": "a", "rights": ["read"]}, headers=bearer(tokens["rita"])
        ).get_json()
        wider = client.post("/api/v1/tokens", json={"label": "b", "rights": ["write"]}, headers=bearer(narrow["token"]))
        assert wider.status_code == 403
        assert "has not the right write" in wider.get_json()["detail"]

    def test_tokens_of_others_are_for_admins(self, own: tuple[FlaskClient, Mapping[str, str]]) -> None:
        client, tokens = own
        admin, tom, rita = (bearer(tokens[n]) for n in ("ada", "tom", "rita"))
        (of_rita,) = client.get("/api/v1/tokens?user=rita", headers=admin).get_json()["rows"]
        for refused in (
            client.get("/api/v1/tokens?user=rita", headers=tom),
            client.get("/api/v1/sessions?user=rita", headers=tom),
            client.post("/api/v1/tokens", json={"label": "x", "user": "rita"}, headers=tom),
        ):
            assert refused.status_code == 403
        assert client.delete(f"/api/v1/tokens/{of_rita['token_id']}", headers=tom).status_code == 404
        for nobody in ("ritta", ""):
            assert client.get(f"/api/v1/tokens?user={nobody}", headers=admin).status_code == 404
            assert client.get(f"/api/v1/sessions?user={nobody}", headers=admin).status_code == 404
        made = client.post("/api/v1/tokens", json={"label": "x", "user": "rita"}, headers=admin).get_json()
        assert made["user"] == "rita"
        assert made["made_with"] is None
        assert client.delete(f"/api/v1/tokens/{of_rita['token_id']}", headers=admin).status_code == 200
        assert client.get("/api/v1/me", headers=rita).status_code == 401

    def test_without_users_there_are_no_tokens_to_make(self, tmp_path: Path) -> None:
        client = create_app(Settings(lake=Lake.create(tmp_path / "lake").path)).test_client()
        assert client.post("/api/v1/tokens", json={"label": "x"}).status_code == 409
        assert client.get("/api/v1/tokens").get_json() == client.get("/api/v1/sessions").get_json() == {"rows": []}
        added = client.post("/api/v1/users", json={"name": "ada", "roles": ["admin"], "entitlement": None})
        assert added.status_code == 200
        assert client.get("/api/v1/users").status_code == 401  # single-user mode has ended


class TestParametersOfRisk:
    """Confidence, horizon and the making of scenarios are a risk controller's."""

    @pytest.mark.parametrize(
        ("asked", "field"),
        [
            ({"levels": ["0.999"]}, "/levels"),
            ({"levels": ["0.99", "0.9"]}, "/levels"),
            ({"scale_to_days": 10}, "/scale_to_days"),
        ],
    )
    def test_a_trader_asks_with_what_is_set(
        self, asked: dict[str, Any], field: str, client: FlaskClient, tokens: Mapping[str, str]
    ) -> None:
        for route in ("var", "var/plan", "var/value"):
            answer = client.post(
                f"/api/v1/{route}", json={"as_of": str(MONDAY), **asked}, headers=bearer(tokens["tom"])
            )
            assert answer.status_code == 403
            assert [e["pointer"] for e in answer.get_json()["errors"]] == [field]
            assert "chosen by risk_controller or admin" in answer.get_json()["detail"]
            chosen = client.post(
                f"/api/v1/{route}", json={"as_of": str(MONDAY), **asked}, headers=bearer(tokens["rita"])
            )
            assert chosen.status_code != 403
        in_address = "&".join(f"{k}={x}" for k, v in asked.items() for x in (v if isinstance(v, list) else [v]))
        assert client.get(f"/api/v1/var?as_of={MONDAY}&{in_address}", headers=bearer(tokens["tom"])).status_code == 403

    def test_saying_the_default_or_an_allowed_level_says_nothing(
        self, client: FlaskClient, tokens: Mapping[str, str]
    ) -> None:
        for asked in ({"levels": ["0.99"]}, {"levels": [0.95, 0.975]}, {"scale_to_days": None}):
            answer = client.post("/api/v1/var", json={"as_of": str(MONDAY), **asked}, headers=bearer(tokens["tom"]))
            assert answer.status_code == 404  # there is no such book

    def test_a_trader_names_scenarios_and_makes_none(self, client: FlaskClient, tokens: Mapping[str, str]) -> None:
        made = request().model_dump(mode="json")
        for route in ("valuations", "valuations/plan"):
            refused = client.post(f"/api/v1/{route}", json=made, headers=bearer(tokens["tom"]))
            assert refused.status_code == 403
            assert "stored set by scenario_set" in refused.get_json()["detail"]
            named = client.post(
                f"/api/v1/{route}", json={"as_of": str(MONDAY), "scenario_set": "x"}, headers=bearer(tokens["tom"])
            )
            assert named.status_code == 404

    def test_a_trader_replays_what_he_might_ask(self, valued_lake: Path, tmp_path: Path) -> None:
        """A receipt of somebody else is computed for whoever replays it, so its parameters are held to the same rule as a question's."""
        client, tokens = valued(valued_lake, tmp_path, requests_a_minute=1000)
        ada, tom = bearer(tokens["ada"]), bearer(tokens["tom"])
        for chosen in ({"levels": ["0.999"]}, {"scale_to_days": 10}):
            asked = {"as_of": str(MONDAY), **chosen}
            refused = client.post("/api/v1/var", json=asked, headers=tom).get_json()
            answer = client.post("/api/v1/var", json=asked, headers=ada).get_json()
            for kept in (answer, {"receipt": answer["receipt"]}):
                for route in ("replay", "replay/now"):
                    said = client.post(f"/api/v1/{route}", json=kept, headers=tom)
                    assert said.status_code == 403
                    assert [said.get_json()[k] for k in ("detail", "errors")] == [
                        refused[k] for k in ("detail", "errors")
                    ]
                    assert client.post(f"/api/v1/{route}", json=kept, headers=ada).status_code == 200
        own = client.post("/api/v1/var", json={"as_of": str(MONDAY), "levels": ["0.975"]}, headers=tom).get_json()
        assert client.post("/api/v1/replay", json=own, headers=tom).get_json()["verdict"] == "same bits"
        assert client.post("/api/v1/replay/now", json=own, headers=tom).status_code == 200

    def test_a_level_that_is_none_is_told_by_its_setting(self, tmp_path: Path) -> None:
        lake = Lake.create(tmp_path / "lake").path
        tokens = with_users(lake)[1]
        app = create_app(Settings(lake=lake, trader_levels="high"))
        answer = app.test_client().get(f"/api/v1/var?as_of={MONDAY}", headers=bearer(tokens["tom"]))
        assert "VARLAKE_TRADER_LEVELS is 'high'" in answer.get_json()["detail"]


class TestRates:
    def test_a_user_sends_so_many_requests_a_minute(self, tmp_path: Path) -> None:
        lake = Lake.create(tmp_path / "lake").path
        tokens = with_users(lake)[1]
        client = create_app(Settings(lake=lake, requests_a_minute=3)).test_client()
        answers = [client.get("/api/v1/me", headers=bearer(tokens["tom"])) for _ in range(4)]
        assert [a.status_code for a in answers] == [200, 200, 200, 429]
        assert 1 <= int(answers[3].headers["Retry-After"]) <= 60
        assert "VARLAKE_REQUESTS_A_MINUTE" in answers[3].get_json()["detail"]
        assert client.get("/api/v1/me", headers=bearer(tokens["rita"])).status_code == 200

    def test_an_address_fails_so_often_and_who_has_a_token_is_not_kept_out(self, tmp_path: Path) -> None:
        lake = Lake.create(tmp_path / "lake").path
        tokens = with_users(lake)[1]
        client = create_app(Settings(lake=lake, failures_a_minute=2)).test_client()
        wrong = bearer("varlake_nobody-has-this-token-at-all")
        assert [client.get("/api/v1/me", headers=wrong).status_code for _ in range(3)] == [401, 401, 429]
        assert client.post("/sign-in", data={"token": "guess"}).status_code == 429
        assert client.get("/api/v1/me", headers=bearer(tokens["tom"])).status_code == 200
        other = client.get("/api/v1/me", headers=wrong, environ_base={"REMOTE_ADDR": "127.0.0.9"})
        assert other.status_code == 401

    def test_questions_are_paid_from_a_budget_by_their_price(
        self, valued_lake: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("aggregation.questions.price", lambda *_: 0.3)
        client, tokens = valued(valued_lake, tmp_path, core_seconds_an_hour=1)
        address = f"/api/v1/var?as_of={MONDAY}&by=desk&levels=0.95"
        answers = [client.get(address, headers=bearer(tokens["ada"])) for _ in range(4)]
        assert [a.status_code for a in answers] == [200, 200, 200, 429]
        said = answers[3].get_json()["detail"]
        assert "VARLAKE_CORE_SECONDS_AN_HOUR" in said
        assert "takes about 0.3 core-seconds" in said
        assert 1 <= int(answers[3].headers["Retry-After"]) <= 3600
        assert client.get(address, headers=bearer(tokens["rita"])).status_code == 200  # who has its own

    def test_a_valuation_is_paid_before_it_waits(self, valued_copy: Lake, tmp_path: Path) -> None:
        client, tokens = valued(valued_copy.path, tmp_path, core_seconds_an_hour=1)
        with client.application.app_context():
            access.rates().spend("ada", 1.0)
        body = request(scenarios={"parameters": {"scenarios": 29}}).model_dump(mode="json")
        refused = client.post("/api/v1/valuations", json=body, headers=bearer(tokens["ada"]))
        assert refused.status_code == 429
        assert client.get("/api/v1/jobs", headers=bearer(tokens["ada"])).get_json()["rows"] == []
        accepted = client.post("/api/v1/valuations", json=body, headers=bearer(tokens["rita"])).get_json()
        assert accepted["actor"] == "rita"


class TestHeaders:
    PAGE = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'"

    @pytest.fixture
    def answers(self, client: FlaskClient, tokens: Mapping[str, str]) -> Callable[..., Any]:
        def get(path: str, **more: Any) -> Any:
            return client.get(path, headers=bearer(tokens["ada"]), **more)

        return get

    @pytest.mark.parametrize(
        "path", ["/api/v1/me", "/docs", "/sign-in", "/openapi.json", "/api/v1/nothing", "/style.css"]
    )
    def test_every_answer_says_what_a_browser_may_do_with_it(self, path: str, answers: Any) -> None:
        headers = answers(path).headers
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "same-origin"
        assert headers["Cross-Origin-Opener-Policy"] == headers["Cross-Origin-Resource-Policy"] == "same-origin"
        policy = headers["Content-Security-Policy"]
        assert policy.startswith(self.PAGE if path in ("/docs", "/sign-in") else "default-src 'none'")
        assert "base-uri 'self'" in policy or "base-uri 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe-inline" not in policy
        assert "Strict-Transport-Security" not in headers

    def test_pages_have_neither_script_nor_style_of_their_own(self, answers: Any) -> None:
        for path in ("/docs", "/sign-in"):
            assert not re.search(r"<script|<style|\sstyle=|\son\w+=|https?://", answers(path).text)

    def test_behind_tls_a_browser_stays_with_tls(self, answers: Any) -> None:
        assert (
            answers("/api/v1/me", base_url="https://localhost").headers["Strict-Transport-Security"]
            == "max-age=31536000; includeSubDomains"
        )

    def test_no_other_site_is_allowed_to_read(self, client: FlaskClient, tokens: Mapping[str, str]) -> None:
        for method in ("GET", "OPTIONS"):
            asked = {"Origin": "https://other.example", "Access-Control-Request-Method": "GET", **bearer(tokens["ada"])}
            headers = client.open("/api/v1/me", method=method, headers=asked).headers
            assert not [name for name in headers.keys() if name.startswith("Access-Control")]  # noqa: SIM118

    def test_answers_are_kept_by_their_reader_alone_and_asked_for_again(self, answers: Any) -> None:
        assert answers("/api/v1/me").headers["Cache-Control"] == "no-store"
        assert answers("/api/v1/var").headers["Cache-Control"] == "no-store"  # what failed
        assert answers("/api/v1/measures").headers["Cache-Control"] == "private, no-cache"


def test_the_tests_that_the_documentation_names_exist() -> None:
    folder = Path(__file__).parent
    named = re.findall(r"`(test_\w+\.py)((?:::\w+)*)`", (folder.parents[1] / "docs" / "security.md").read_text())
    assert len(named) > 40
    for file, inside in named:
        text = (folder / file).read_text()
        for name in inside.split("::")[1:]:
            assert re.search(rf"(def|class) {name}\b", text), (file, name)


def test_it_takes_no_time_to_know_who_asks(empty: tuple[Flask, Mapping[str, str], AccessStore]) -> None:
    """Two looks into a file of SQLite: counted, since times are noisy."""
    app, tokens, store = empty
    opened = []
    reading = store.reading
    with app.test_request_context("/api/v1/me", headers=bearer(tokens["tom"])):
        looked = access.context().access
        object.__setattr__(looked, "reading", lambda: (opened.append(1), reading())[1])
        for _ in range(3):
            assert access.known().principal == EVERYBODY[2].principal
        del looked.__dict__["reading"]
    assert len(opened) == 6
