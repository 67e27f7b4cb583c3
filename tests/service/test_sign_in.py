"""Browsers: sessions begun with a token or at an identity provider, what their requests must carry, and how they end."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from flask.testing import FlaskClient
from users import bearer, with_users

from aggregation.book.entitlement import Entitlement
from lake.audit_check import recorded_acts
from lake.errors import BadInput, NotReady
from lake.tables import Lake
from service.access.accounts import UserChange
from service.access.groups import Groups
from service.access.store import AccessStore
from service.api import access, sign_in
from service.api.app import create_app
from service.config import Settings

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it uses a module that its library calls deprecated
    import oidc_provider_mock

Service = tuple[FlaskClient, Mapping[str, str], AccessStore]


def service(tmp_path: Path, **settings: Any) -> Service:
    lake = Lake.create(tmp_path / "lake").path
    store, tokens = with_users(lake)
    if settings and "oidc_secret" not in settings:
        secret = tmp_path / "secret"
        secret.write_text("of this service\n")  # any will do for the provider
        settings = {"oidc_secret": secret, **settings}
    return create_app(Settings(lake=lake, **settings)).test_client(), tokens, store


@pytest.fixture
def here(tmp_path: Path) -> Service:
    return service(tmp_path)


def signed_in(client: FlaskClient, token: str, **more: Any) -> Any:
    return client.post("/sign-in", data={"token": token, "next": "/docs?x=1"}, **more)


def csrf(client: FlaskClient, **more: Any) -> dict[str, str]:
    return {"X-CSRF-Token": client.get("/api/v1/me", **more).get_json()["csrf_token"]}


class TestWithAToken:
    def test_a_page_leads_to_the_sign_in_and_back(self, here: Service) -> None:
        client, tokens, _ = here
        sent = client.get("/docs?x=1", headers={"Accept": "text/html"})
        assert (sent.status_code, sent.headers["Location"]) == (302, "/sign-in?next=/docs?x%3D1")
        page = client.get(sent.headers["Location"])
        assert 'name="next" value="/docs?x=1"' in page.text
        answer = signed_in(client, tokens["tom"])
        assert (answer.status_code, answer.headers["Location"]) == (303, "/docs?x=1")
        assert client.get("/docs").status_code == 200
        assert client.get("/api/v1/me").get_json()["by"] == "session"
        assert "You are signed in as tom" in client.get("/sign-in").text

    def test_a_wrong_token_is_told_on_the_page_and_not_shown_again(self, here: Service) -> None:
        client, _, _ = here
        answer = signed_in(client, "varlake_of-nobody-at-all-here")
        assert answer.status_code == 401
        assert 'role="alert">This token is not known here' in answer.text
        assert "of-nobody" not in answer.text
        assert "Set-Cookie" not in answer.headers

    @pytest.mark.parametrize(
        "given", ["//evil.example", "https://evil.example/", "/\\evil.example", "javascript:x", "", "/\x09/e"]
    )
    def test_it_leads_to_no_other_site(self, given: str, here: Service) -> None:
        client, tokens, _ = here
        answer = client.post("/sign-in", data={"token": tokens["tom"], "next": given})
        assert answer.headers["Location"] == "/"

    def test_a_form_on_a_page_of_another_site_signs_nobody_in_or_out(self, here: Service) -> None:
        client, tokens, _ = here
        other = {"Origin": "https://evil.example"}
        assert signed_in(client, tokens["tom"], headers=other).status_code == 403
        own = {"Origin": "http://localhost"}
        assert signed_in(client, tokens["tom"], headers=own).status_code == 303
        token = csrf(client)
        assert client.post("/api/v1/tokens", json={"label": "x"}, headers={**token, **other}).status_code == 403
        assert client.post("/api/v1/tokens", json={"label": "x"}, headers={**token, **own}).status_code == 200
        assert client.post("/sign-out", data={"csrf_token": "guessed"}).status_code == 403
        assert client.get("/api/v1/me").status_code == 200

    def test_a_page_of_another_site_sends_no_file_to_the_machine_of_a_single_user(self, tmp_path: Path) -> None:
        """Browsers send forms with files anywhere, and ask nobody before."""
        client = create_app(Settings(lake=Lake.create(tmp_path / "lake").path)).test_client()
        for origin, status in (("https://evil.example", 403), ("null", 403), ("http://localhost", 422)):
            form = {"data": {}, "content_type": "multipart/form-data", "headers": {"Origin": origin}}
            assert client.post("/api/v1/positions", **form).status_code == status

    def test_the_cookie_is_for_no_script_and_behind_tls_for_tls_alone(self, here: Service) -> None:
        client, tokens, _ = here
        (plain,) = [c for c in signed_in(client, tokens["tom"]).headers.getlist("Set-Cookie") if "varlake=" in c]
        assert re.fullmatch(r"varlake=varlake_[\w-]{43}; HttpOnly; Path=/; SameSite=Lax", plain)
        tls = {"base_url": "https://localhost"}
        answer = signed_in(client, tokens["tom"], **tls)
        (secure,) = [c for c in answer.headers.getlist("Set-Cookie") if "Host-varlake=" in c]
        assert re.fullmatch(r"__Host-varlake=varlake_[\w-]{43}; Secure; HttpOnly; Path=/; SameSite=Lax", secure)
        assert client.get("/api/v1/me", **tls).get_json()["name"] == "tom"

    def test_every_change_needs_the_token_of_the_session_and_no_look_does(self, here: Service) -> None:
        client, tokens, _ = here
        signed_in(client, tokens["tom"])
        right = csrf(client)
        for headers in ({}, {"X-CSRF-Token": ""}, {"X-CSRF-Token": "é"}, {"X-CSRF-Token": "0" * 64}):
            answer = client.post("/api/v1/tokens", json={"label": "x"}, headers=headers)
            assert answer.status_code == 403
            assert "X-CSRF-Token" in answer.get_json()["detail"]
        assert client.post("/api/v1/tokens", json={"label": "x"}, headers=right).status_code == 200
        signed_in(client, tokens["tom"])  # a new session has a new one
        assert client.post("/api/v1/tokens", json={"label": "x"}, headers=right).status_code == 403
        # a program needs none
        assert client.post("/api/v1/tokens", json={"label": "x"}, headers=bearer(tokens["tom"])).status_code == 200

    def test_a_session_begins_anew_at_every_sign_in_and_ends_at_the_sign_out(self, here: Service) -> None:
        client, tokens, store = here
        client.set_cookie("varlake", "varlake_chosen-by-somebody-else")
        signed_in(client, tokens["tom"])
        first = client.get_cookie("varlake").value  # type: ignore[union-attr]
        assert first != "varlake_chosen-by-somebody-else"
        signed_in(client, tokens["rita"])
        client.set_cookie("varlake", first)
        assert client.get("/api/v1/me").status_code == 401
        signed_in(client, tokens["tom"])
        held = client.get_cookie("varlake").value  # type: ignore[union-attr]
        answer = client.post("/sign-out", data={"csrf_token": csrf(client)["X-CSRF-Token"]})
        assert (answer.status_code, answer.headers["Clear-Site-Data"]) == (303, '"cache", "storage"')
        client.set_cookie("varlake", held)
        assert client.get("/api/v1/me").status_code == 401
        assert len(store.tokens("tom")) == 1

    def test_one_sees_ones_sessions_and_ends_them_and_so_does_an_admin(self, here: Service) -> None:
        client, tokens, _ = here
        elsewhere = client.application.test_client()
        signed_in(client, tokens["tom"])
        signed_in(elsewhere, tokens["tom"])
        listed = client.get("/api/v1/sessions").get_json()["rows"]
        assert {s["user"] for s in listed} == {"tom"}
        other = listed[0]["session_id"]  # the newest
        left = client.delete(f"/api/v1/sessions/{other}", headers=csrf(client)).get_json()["rows"]
        assert [s["session_id"] for s in left] == [listed[1]["session_id"]]
        assert elsewhere.get("/api/v1/me").status_code == 401
        admin = bearer(tokens["ada"])
        (own,) = elsewhere.get("/api/v1/sessions?user=tom", headers=admin).get_json()["rows"]
        assert (
            elsewhere.delete(f"/api/v1/sessions/{own['session_id']}", headers=bearer(tokens["rita"])).status_code == 404
        )
        elsewhere.delete(f"/api/v1/sessions/{own['session_id']}", headers=admin)
        assert client.get("/api/v1/me").status_code == 401

    def test_a_session_ends_with_its_token_and_changes_with_its_user(self, here: Service) -> None:
        client, tokens, store = here
        signed_in(client, tokens["rita"])
        store.change("rita", UserChange(roles=("trader",)))
        assert client.get("/api/v1/me").get_json()["rights"] == ["read", "value"]
        store.revoke(store.tokens("rita")[0].token_id)
        assert client.get("/api/v1/me").status_code == 401

    def test_who_signs_in_and_who_fails_to_stands_in_the_log(self, here: Service, logs: list[dict[str, Any]]) -> None:
        client, tokens, store = here
        signed_in(client, tokens["tom"])
        signed_in(client, "varlake_of-nobody-at-all-here")
        client.get("/api/v1/me", headers=bearer("varlake_of-nobody-at-all-here"))
        (token,) = store.tokens("tom")
        told = [(e["event"], e["address"], e.get("token")) for e in logs if e["event"] != "request"]
        assert told == [("signed in", "127.0.0.1", token.token_id), *[("a token is refused", "127.0.0.1", None)] * 2]
        assert [e["status"] for e in logs if e["event"] == "request"] == [303, 401, 401]

    def test_without_users_there_is_nothing_to_sign_in_to(self, tmp_path: Path) -> None:
        client = create_app(Settings(lake=Lake.create(tmp_path / "lake").path)).test_client()
        assert client.get("/sign-in?next=/docs").headers["Location"] == "/docs"


@pytest.fixture
def provider() -> Iterator[str]:
    """An identity provider on this machine, where anybody may be anybody."""
    with oidc_provider_mock.run_server_in_thread() as server:
        yield f"http://localhost:{server.server_port}"


def at_provider(client: FlaskClient, identity: str, **claims: Any) -> tuple[str, dict[str, list[str]]]:
    """Where the provider sends the browser back to, and what it was asked."""
    sent = client.get("/sign-in/provider?next=/docs")
    asked = sent.headers["Location"]
    if claims:
        claims = {k: v for k, v in claims.items() if v is not None}
        base = asked.partition("/oauth2/")[0]
        requests.put(f"{base}/users/{identity}", json=claims, timeout=10).raise_for_status()
    back = requests.post(asked, data={"sub": identity}, allow_redirects=False, timeout=10).headers["Location"]
    return back, parse_qs(urlsplit(asked).query)


@pytest.mark.filterwarnings("ignore:get_jwt_config:DeprecationWarning")  # of the provider
class TestAtAnIdentityProvider:
    def test_a_user_signs_in_with_pkce_a_state_and_a_nonce(self, tmp_path: Path, provider: str) -> None:
        client, _, _ = service(tmp_path, oidc_issuer=provider)
        assert "Sign in at localhost" in client.get("/sign-in").text
        back, asked = at_provider(client, "rita@bank")
        assert asked["response_type"] == ["code"]
        assert asked["code_challenge_method"] == ["S256"]
        assert {"code_challenge", "state", "nonce"} <= asked.keys()
        answer = client.get(back)
        assert (answer.status_code, answer.headers["Location"]) == (303, "/docs")
        me = client.get("/api/v1/me").get_json()
        assert (me["name"], me["by"], "write" in me["rights"]) == ("rita", "session", True)
        assert client.get(back).status_code == 401  # once

    def test_what_was_begun_in_another_browser_is_not_ended_here(self, tmp_path: Path, provider: str) -> None:
        client, _, _ = service(tmp_path, oidc_issuer=provider)
        back, _ = at_provider(client.application.test_client(), "rita@bank")
        answer = client.get(back)
        assert answer.status_code == 401
        assert "begun in another browser" in answer.text
        assert client.get("/api/v1/me").status_code == 401

    def test_a_code_that_was_changed_on_the_way_lets_nobody_in(self, tmp_path: Path, provider: str) -> None:
        client, _, _ = service(tmp_path, oidc_issuer=provider)
        back, _ = at_provider(client, "rita@bank")
        answer = client.get(re.sub(r"code=[^&]+", "code=guessed", back))
        assert answer.status_code == 401

    def test_a_token_of_the_provider_for_another_service_lets_nobody_in(
        self, tmp_path: Path, provider: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        client, _, _ = service(tmp_path, oidc_issuer=provider)
        real = sign_in._provider
        monkeypatch.setattr(sign_in, "_provider", lambda s: real(s.model_copy(update={"oidc_client": "another"})))
        back, asked = at_provider(client, "rita@bank")
        assert asked["client_id"] == ["another"]
        assert client.get(back).status_code == 401

    def test_a_provider_that_calls_itself_otherwise_is_refused(self, tmp_path: Path, provider: str) -> None:
        client, _, _ = service(tmp_path, oidc_issuer=f"{provider}/")
        answer = client.get("/sign-in/provider")
        assert answer.status_code == 422
        assert f"calls itself {provider}, and VARLAKE_OIDC_ISSUER is {provider}/" in answer.text

    def test_an_identity_of_nobody_is_told_how_it_becomes_somebodys(self, tmp_path: Path, provider: str) -> None:
        client, _, _ = service(tmp_path, oidc_issuer=provider)
        back, _ = at_provider(client, "eve@bank")
        answer = client.get(back)
        assert answer.status_code == 401
        assert "No user has the identity eve@bank" in answer.text

    def test_an_address_counts_where_the_provider_has_verified_it(self, tmp_path: Path, provider: str) -> None:
        client, _, _ = service(tmp_path, oidc_issuer=provider, oidc_claim="email")
        for verified, status in ((None, 401), (False, 401), (True, 303)):
            back, _ = at_provider(client, "r", email="rita@bank", email_verified=verified)
            assert client.get(back).status_code == status, verified

    def test_a_provider_that_is_not_there_is_told_and_tokens_still_serve(self, tmp_path: Path) -> None:
        client, tokens, _ = service(tmp_path, oidc_issuer="http://localhost:9")
        answer = client.get("/sign-in/provider")
        assert answer.status_code == 503
        assert "cannot be reached" in answer.text
        assert signed_in(client, tokens["tom"]).status_code == 303

    def test_a_provider_without_tls_or_none_at_all_is_refused(self, tmp_path: Path) -> None:
        client, _, _ = service(tmp_path, oidc_issuer="http://login.bank.example")
        assert "expected an address with https" in client.get("/sign-in/provider").text
        lost = service(tmp_path / "lost", oidc_issuer="https://login.bank.example", oidc_secret=tmp_path / "nowhere")[0]
        assert lost.get("/sign-in/provider").status_code == 503
        other = create_app(client.application.extensions["varlake"].settings.model_copy(update={"oidc_issuer": None}))
        assert other.test_client().get("/sign-in/provider").status_code == 404

    def test_the_secret_of_the_service_comes_from_a_file(self, tmp_path: Path, provider: str) -> None:
        registered = requests.post(
            f"{provider}/oauth2/clients",
            json={
                "redirect_uris": ["http://localhost/sign-in/provider/back"],
                "token_endpoint_auth_method": "client_secret_basic",
            },
            timeout=10,
        ).json()
        secret = tmp_path / "registered"
        secret.write_text(f"{registered['client_secret']}\n")
        client, _, _ = service(tmp_path, oidc_issuer=provider, oidc_client=registered["client_id"], oidc_secret=secret)
        back, _ = at_provider(client, "rita@bank")
        assert client.get(back).status_code == 303


class TestSigningInAgain:
    @pytest.mark.parametrize(
        ("method", "path", "body"),
        [
            ("POST", "/api/v1/users", {"name": "eve", "roles": ["trader"], "entitlement": {"granted": {}}}),
            ("PATCH", "/api/v1/users/tom", {"roles": ["admin"], "entitlement": None}),
            ("DELETE", "/api/v1/users/tom", None),
            ("POST", "/api/v1/tokens", {"label": "x"}),
            ("DELETE", "/api/v1/tokens/none", None),
            ("DELETE", "/api/v1/sessions/none", None),
            ("POST", "/api/v1/proposals/none/approve", {}),
        ],
    )
    def test_what_gives_rights_needs_a_session_that_began_lately(
        self, method: str, path: str, body: Any, tmp_path: Path
    ) -> None:
        client, tokens, store = service(tmp_path, fresh_minutes=1e-6)
        users = store.users()
        signed_in(client, tokens["ada"])
        refused = client.open(path, method=method, json=body, headers=csrf(client))
        assert (refused.status_code, refused.get_json()["title"]) == (401, "Sign in again")
        assert refused.get_json()["type"] == "urn:varlake:problem:not-fresh"  # which the pages know it by
        assert "/sign-in?again=true" in refused.get_json()["detail"]
        assert store.users() == users
        # a token shows with this very request who asks
        taken = client.application.test_client().open(path, method=method, json=body, headers=bearer(tokens["ada"]))
        assert taken.status_code in (200, 404)
        lately = service(tmp_path / "lately")
        signed_in(lately[0], lately[1]["ada"])
        assert lately[0].open(path, method=method, json=body, headers=csrf(lately[0])).status_code in (200, 404)

    def test_every_view_that_is_named_is_there_and_looking_needs_no_fresh_session(self, tmp_path: Path) -> None:
        assert {view for views in access.NEEDED.values() for view in views} >= access.SENSITIVE
        client, tokens, _ = service(tmp_path, fresh_minutes=1e-6)
        signed_in(client, tokens["ada"])
        for path in ("users", "tokens", "sessions", "proposals", "audit/acts", "me"):
            assert client.get(f"/api/v1/{path}").status_code == 200

    def test_signing_in_again_begins_a_fresh_session_and_ends_the_one_before(self, here: Service) -> None:
        client, tokens, store = here
        signed_in(client, tokens["ada"])
        before = client.get("/api/v1/me").get_json()
        page = client.get("/sign-in?again=true&next=/docs").text
        assert "Sign in once more" in page
        assert 'name="token"' in page
        assert client.post("/sign-in", data={"token": tokens["ada"], "again": "true"}).status_code == 303
        after = client.get("/api/v1/me").get_json()
        assert after["fresh_until"] > before["fresh_until"]
        assert after["csrf_token"] != before["csrf_token"]
        assert len(store.sessions("ada", Settings())) == 1
        assert client.get("/api/v1/me", headers=bearer(tokens["ada"])).get_json()["fresh_until"] is None

    @pytest.mark.filterwarnings("ignore:get_jwt_config:DeprecationWarning")  # of the provider
    def test_the_provider_is_asked_to_have_it_shown_again(self, tmp_path: Path, provider: str) -> None:
        client, _, _ = service(tmp_path, oidc_issuer=provider)
        plain, again = (
            parse_qs(urlsplit(client.get(f"/sign-in/provider{more}").headers["Location"]).query)
            for more in ("", "?again=true")
        )
        assert "prompt" not in plain
        assert (again["prompt"], again["max_age"]) == (["login"], ["0"])


GROUPS = """
[groups.options]
roles = ["trader"]
granted = {desk = ["Options"]}

[groups.cash]
roles = ["trader"]
granted = {desk = ["Equities"], book = ["cash"]}
firm_totals = true

[groups.risk]
roles = ["risk_controller"]
everything = true

[groups.platform]
roles = ["admin"]
everything = true
"""


@pytest.mark.filterwarnings("ignore:get_jwt_config:DeprecationWarning")  # of the provider
class TestGroups:
    @pytest.fixture
    def grouped(self, tmp_path: Path, provider: str) -> Service:
        (tmp_path / "groups.toml").write_text(GROUPS)
        return service(tmp_path, oidc_issuer=provider, oidc_groups=tmp_path / "groups.toml")

    def test_a_user_has_the_roles_and_sees_the_positions_of_all_its_groups(self, grouped: Service) -> None:
        client, _, store = grouped
        for groups, roles, seen in (
            (["options"], ("trader",), Entitlement(granted={"desk": ("Options",)})),
            (
                ["cash", "no group of ours", "options"],
                ("trader",),
                Entitlement(granted={"desk": ("Equities", "Options"), "book": ("cash",)}, firm_totals=True),
            ),
            (["options", "risk"], ("risk_controller", "trader"), None),
            ("platform", ("admin",), None),
        ):
            back, _ = at_provider(client, "rita@bank", groups=groups)
            assert client.get(back).status_code == 303
            rita = store.user("rita")
            assert (rita.roles, rita.entitlement) == (roles, seen)
            assert client.get("/api/v1/me").get_json()["roles"] == [*roles]

    def test_who_comes_for_the_first_time_is_added_by_the_provider(self, grouped: Service, tmp_path: Path) -> None:
        client, _, store = grouped
        back, _ = at_provider(client, "new@bank", groups=["options"], preferred_username="newton")
        assert client.get(back).status_code == 303
        added = store.user("newton")
        assert (added.roles, added.identity) == (("trader",), "new@bank")
        acts = [a for a in recorded_acts(Lake(tmp_path / "lake").trail) if a.actor == "identity provider"]
        assert [(a.act, a.row()["about"]) for a in acts] == [("add_user", "user=newton")]
        back, _ = at_provider(
            client, "other@bank", groups=["options"], preferred_username="tom"
        )  # who is somebody else
        assert client.get(back).status_code == 409
        assert store.user("tom").identity is None

    def test_who_is_in_no_group_is_not_let_in_and_its_sessions_end(self, grouped: Service) -> None:
        client, _, store = grouped
        back, _ = at_provider(client, "rita@bank", groups=["risk"])
        client.get(back)
        assert len(store.sessions("rita", Settings())) == 1
        for groups, told in (([], "is in none"), (["elsewhere"], "is in elsewhere"), (None, "groups may sign in here")):
            back, _ = at_provider(client.application.test_client(), "rita@bank", groups=groups, x="y")
            other = client.application.test_client()
            assert other.get(back).status_code == 401  # begun elsewhere
            back, _ = at_provider(other, "rita@bank", groups=groups, x="y")
            answer = other.get(back)
            assert answer.status_code == 401
            assert told in answer.text
        assert store.sessions("rita", Settings()) == []
        assert client.get("/api/v1/me").status_code == 401

    def test_the_last_admin_stays_one(self, grouped: Service) -> None:
        client, _, store = grouped
        store.change("ada", UserChange(identity="ada@bank"))
        back, _ = at_provider(client, "ada@bank", groups=["options"])
        answer = client.get(back)
        assert answer.status_code == 409
        assert "the last admin" in answer.text
        assert store.user("ada").roles == ("admin",)

    @pytest.mark.parametrize(
        ("text", "told"),
        [
            ("[groups.x]\nroles = ['traider']\n", "nearest trader"),
            ("[groups.x]\nroles = ['trader']\ngranted = {dsk = ['Rates']}\n", "Nearest valid: desk"),
            ("[groups.x]\nroles = ['admin']\n", "an admin sees everything"),
            ("[groups.x]\nroles = ['trader']\neverything = true\nfirm_totals = true\n", "not both"),
            ("groups = 1", "groups"),
            ("[groups", "is no TOML"),
        ],
    )
    def test_a_file_that_is_wrong_is_told_in_words(self, text: str, told: str, tmp_path: Path) -> None:
        (tmp_path / "groups.toml").write_text(text)
        with pytest.raises(BadInput, match=re.escape(told)):
            Groups.read(tmp_path / "groups.toml")
        with pytest.raises(NotReady, match="cannot be read"):
            Groups.read(tmp_path / "nowhere.toml")
