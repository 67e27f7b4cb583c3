"""Signing in with a browser: a token pasted into a page, or an account of an identity provider (OpenID Connect); and out.

The pages are plain: no script, nothing from elsewhere. A session begins anew at every sign-in.
"""

from __future__ import annotations

import functools
import secrets
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import requests
import structlog
from authlib.common.errors import AuthlibBaseError
from authlib.integrations.flask_client.apps import FlaskOAuth2App
from authlib.integrations.flask_client.integration import FlaskIntegration
from flask import Flask, Response, render_template_string, request, session, url_for
from flask.sessions import SecureCookieSessionInterface
from joserfc.errors import JoseError

from lake.errors import BadInput, NotFound, NotReady, NotSignedIn, VarlakeError, validated
from service.access.accounts import User, UserChange
from service.access.groups import Groups, named
from service.access.secrets import csrf_token
from service.access.store import ANYBODY_HERE, Caller
from service.api.access import FORM, known, of_token, rates, session_cookie
from service.api.context import context
from service.api.document import pages
from service.api.responses import reads
from service.config import Settings
from service.errors import request_id
from service.process import is_loopback

_log = structlog.get_logger("varlake.web")
WAIT_SECONDS = 10  # for the identity provider
_PROVIDER = "identity provider"  # whose acts changes of users by their groups are, in the audit trail
_SHOWN = 5  # groups in an error
_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Sign in to varlake</title>
<meta name="viewport" content="width=device-width"><link rel="stylesheet" href="{{ url_for('.style') }}"></head>
<body><main><h1>{{ "varlake" if caller and not again else "Sign in to varlake" }}</h1>
{% if fault %}<p role="alert">{{ fault }}</p>{% endif %}
{% if caller and again %}<p>You are signed in as {{ caller.principal.name }}. Sign in once more to show that it is you.</p>{% endif %}
{% if caller and not again %}<p>You are signed in as {{ caller.principal.name }}. <a href="{{ next }}">Go on.</a></p>
<form method="post" action="{{ url_for('.sign_out') }}"><input type="hidden" name="csrf_token" value="{{ csrf }}">
<button>Sign out</button></form>
{% else %}{% if provider %}<p>
<a href="{{ url_for('.sign_in_at_provider', next=next, again=again) }}">Sign in at {{ provider }}</a></p>{% endif %}
<form method="post" action="{{ url_for('.sign_in_with_token') }}"><input type="hidden" name="next" value="{{ next }}">
{% if again %}<input type="hidden" name="again" value="{{ again }}">{% endif %}
<input name="user" value="token" autocomplete="username" hidden>
<label for="token">Personal access token</label>
<input id="token" name="token" type="password" autocomplete="current-password" required autofocus spellcheck="false">
<button>Sign in</button></form>
<p>An admin makes a token with <code>varlake tokens make</code>; it begins with <code>varlake_</code>.</p>{% endif %}
</main></body></html>
"""


class _Cookies(SecureCookieSessionInterface):
    """Of Flask's own session, which holds what is begun at the provider until the browser is back."""

    def get_cookie_name(self, app: Flask) -> str:
        return f"{session_cookie()}-sign-in"

    def get_cookie_secure(self, app: Flask) -> bool:
        return request.is_secure


def prepare(app: Flask) -> None:
    """Signing in that was begun before this process started is begun again."""
    app.secret_key = secrets.token_bytes(32)
    app.session_interface = _Cookies()
    app.config["SESSION_COOKIE_SAMESITE"] = "Lax"


@pages.get("/sign-in")
def sign_in() -> Response:
    """The page to sign in on; who is signed in can sign out there."""
    try:
        asks = known()
    except NotSignedIn:
        asks = None
    if asks is ANYBODY_HERE:
        return _to(_next())
    return _page(caller=asks)


@pages.post("/sign-in")
@reads(FORM)
def sign_in_with_token() -> Response:
    """Begins the session of whoever has the token of the form."""
    try:
        asks = of_token(request.form.get("token", "").strip())
    except VarlakeError as error:
        return _page(error)
    return _begun(asks.principal.name, asks.token_id)


@pages.get("/sign-in/provider")
def sign_in_at_provider() -> Response:
    """Sends the browser to the identity provider, with a state, a nonce and the challenge of PKCE."""
    try:
        settings = context().settings
        app = _provider(settings)
        if (named := app.load_server_metadata().get("issuer")) != settings.oidc_issuer:
            raise BadInput(
                f"The identity provider calls itself {named}, and VARLAKE_OIDC_ISSUER is {settings.oidc_issuer}."
            )
        session["next"] = _next()
        back = url_for(".signed_in_at_provider", _external=True)
        # who signs in again shows it to the provider too, which would else send the browser back at once
        anew = {"prompt": "login", "max_age": "0"} if _again() else {}
        begun = app.create_authorization_url(back, **anew)
        app.save_authorize_data(redirect_uri=back, **begun)
    except (VarlakeError, requests.RequestException, AuthlibBaseError) as error:
        return _page(_told(error))
    return _to(begun["url"])


@pages.get("/sign-in/provider/back")
def signed_in_at_provider() -> Response:
    """Where the provider sends the browser back to: begins the session of the user with that identity."""
    settings = context().settings
    try:
        app = _provider(settings)
        claims = app.authorize_access_token(
            claims_options={
                "iss": {"essential": True, "value": settings.oidc_issuer},
                "aud": {"essential": True, "value": settings.oidc_client},
            }
        ).get("userinfo")
        name = _user_of(claims or {}, settings)
    except (VarlakeError, requests.RequestException, AuthlibBaseError, JoseError) as error:
        try:
            rates().failure(request.remote_addr or "")
        except VarlakeError as often:
            return _page(often)
        return _page(_told(error))
    return _begun(name, None)


@pages.post("/sign-out")
@reads(FORM)
def sign_out() -> Response:
    """Ends the session of this browser."""
    asks = known()
    if asks.by == "session" and asks.credential is not None:
        context().access.by(asks.principal.name).end_session(asks.credential)
    answer = _to(url_for(".sign_in"))
    answer.delete_cookie(session_cookie(), secure=request.is_secure, httponly=True, samesite="Lax")
    answer.headers["Clear-Site-Data"] = '"cache", "storage"'
    return answer


def _begun(user: str, token_id: str | None) -> Response:
    """A new session, in place of the one that the browser had."""
    here, cookie = context(), session_cookie()
    secret = here.access.by(user).start_session(user, token_id, here.settings, instead=request.cookies.get(cookie))
    answer = _to(_next())
    session.clear()
    _log.info("signed in", user=user, token=token_id, address=request.remote_addr, request_id=request_id())
    answer.set_cookie(cookie, secret, secure=request.is_secure, httponly=True, samesite="Lax")
    return answer


def _to(address: str) -> Response:
    return Response(status=303, headers={"Location": address})


def _next() -> str:
    """Where the browser wanted to go: a path of this service, whatever was given."""
    given = request.values.get("next") or session.get("next") or "/"
    parts = urlsplit(given)
    inside = given.startswith("/") and not given.startswith(("//", "/\\")) and not parts.netloc and given.isprintable()
    return given if inside else "/"


def _again() -> str | None:
    """The text true where somebody who is signed in shows once more who it is."""
    return "true" if request.values.get("again") == "true" else None


def _page(error: VarlakeError | None = None, caller: Caller | None = None) -> Response:
    secret = request.cookies.get(session_cookie(), "")
    shown = render_template_string(
        _PAGE,
        fault=None if error is None else error.message,
        caller=caller,
        again=_again(),
        csrf=csrf_token(secret),
        next=_next(),
        provider=urlsplit(context().settings.oidc_issuer or "").hostname,
    )
    return Response(shown, 200 if error is None else error.status, content_type="text/html; charset=utf-8")


def _told(error: Exception) -> VarlakeError:
    """What somebody who signs in at the provider is told; the log has the rest."""
    if isinstance(error, VarlakeError):
        return error
    _log.warning(
        "the identity provider lets nobody in", request_id=request_id(), error=f"{type(error).__name__}: {error}"
    )
    seen = f"Sign in with a token, or begin again; the log has more under {request_id()}."
    if isinstance(error, requests.RequestException):
        return NotReady(f"The identity provider cannot be reached. {seen}")
    return NotSignedIn(f"The identity provider has not let you in, or this was begun in another browser. {seen}")


def _user_of(claims: Mapping[str, Any], settings: Settings) -> str:
    """The user of an identity; raises `NotSignedIn` where nobody has it."""
    claim = settings.oidc_claim
    identity = claims.get(claim)
    if not isinstance(identity, str) or not identity:
        raise NotSignedIn(
            f"The identity provider says nothing in the claim {claim} (VARLAKE_OIDC_CLAIM), so nobody is known by it."
        )
    if claim == "email" and claims.get("email_verified") is not True:
        raise NotSignedIn(f"The identity provider has not verified the address {identity}, so anybody could have it.")
    user = context().access.identified(identity)
    if settings.oidc_groups is not None:
        return _by_groups(Groups.read(settings.oidc_groups), claims, identity, user, settings)
    if user is None:
        raise NotSignedIn(
            f"No user has the identity {identity}. An admin gives it: varlake users change NAME --identity '{identity}'."
        )
    return user.name


def _by_groups(groups: Groups, claims: Mapping[str, Any], identity: str, user: User | None, settings: Settings) -> str:
    """The user, with the roles and the entitlement of its groups from now on: added where it comes for the first time.

    Raises `NotSignedIn` where no group of it counts here, whose sessions end then, and what adding or changing a user raises.
    """
    store = context().access.by(_PROVIDER)
    has = named(claims.get(settings.oidc_groups_claim))
    found = groups.of(has)
    if found is None:
        if user is not None:
            store.end_sessions(user.name)
        listed = f"is in {', '.join(has[:_SHOWN])}" if has else "is in none that the identity provider tells of"
        raise NotSignedIn(
            f"{identity} {listed} (claim {settings.oidc_groups_claim}), and none of these groups may sign in here. An admin lists groups "
            f"in {settings.oidc_groups.name if settings.oidc_groups else 'VARLAKE_OIDC_GROUPS'}."
        )
    roles, entitlement = found
    if user is None:
        name = str(claims.get(settings.oidc_name_claim) or identity)
        given = {"name": name, "roles": roles, "entitlement": entitlement, "identity": identity}
        return store.add(validated(User, given, f"user named by the claim {settings.oidc_name_claim}")).name
    if (user.roles, user.entitlement) != (roles, entitlement):
        store.change(user.name, UserChange(roles=roles, entitlement=entitlement))
    return user.name


@functools.cache
def _provider(settings: Settings) -> FlaskOAuth2App:
    """The identity provider of the settings; raises `NotFound` where none is set."""
    issuer = settings.oidc_issuer
    if issuer is None:
        raise NotFound("No identity provider is set (VARLAKE_OIDC_ISSUER). Sign in with a token.")
    parts = urlsplit(issuer)
    if parts.scheme != "https" and not is_loopback(parts.hostname or ""):
        raise BadInput(f"VARLAKE_OIDC_ISSUER is {issuer}; expected an address with https.")
    try:
        secret = None if settings.oidc_secret is None else settings.oidc_secret.read_text().strip()
    except OSError as error:
        raise NotReady(f"The file that VARLAKE_OIDC_SECRET names cannot be read: {error}.") from None
    return FlaskOAuth2App(
        FlaskIntegration("provider"),
        "provider",
        client_id=settings.oidc_client,
        client_secret=secret,
        server_metadata_url=f"{issuer.rstrip('/')}/.well-known/openid-configuration",
        client_kwargs={
            "scope": "openid email profile",
            "code_challenge_method": "S256",
            "default_timeout": WAIT_SECONDS,
        },
    )
