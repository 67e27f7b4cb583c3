"""Who sends a request, and whether it may: before every view, by one table of operations and what they need."""

from __future__ import annotations

import datetime as dt
import hmac
from collections.abc import Mapping
from typing import Literal
from urllib.parse import urlsplit

import structlog
from flask import Flask, Response, current_app, g, redirect, request, url_for
from pydantic import BaseModel
from werkzeug.wrappers import Response as Redirect

from lake.errors import NotAllowed, NotReady, NotSignedIn, VarlakeError
from service.access.controlled import CHOSEN_WITH, check_parameters
from service.access.rights import MEANING, Right, holders, rights_of
from service.access.secrets import csrf_token, holds_secret
from service.access.store import ANYBODY_HERE, Caller, alone
from service.api.context import PREFIX, caller, context, principal
from service.api.throttling import Rates
from service.config import Settings
from service.errors import request_id


class NotFresh(NotSignedIn):
    """A session may be used by whoever finds its browser open, so what grants rights needs a sign-in that is not long ago."""

    title = "Sign in again"


class SecretInAddress(VarlakeError):
    """A token was sent where others can read it."""

    title = "A token stands in the address"


Need = Right | Literal["nothing", "an account"]
FORM = "application/x-www-form-urlencoded"
CSRF_HEADER, CSRF_FIELD = "X-CSRF-Token", "csrf_token"
SAFE = ("GET", "HEAD", "OPTIONS")
_RATES = "varlake-rates"
_log = structlog.get_logger("varlake.web")

# what an operation needs, by the name of its view; those that are made from a table are classified by the table in `needed`
NEEDED: Mapping[Need, tuple[str, ...]] = {
    "nothing": (
        "sign_in",
        "sign_in_with_token",
        "sign_in_at_provider",
        "signed_in_at_provider",
        "style",
        "start",
        "part",
    ),
    "an account": (
        *("sign_out", "openapi", "docs", "app"),
        *("me", "tokens", "make_token", "revoke_token", "sessions", "end_session"),
    ),
    "read": (
        *("views", "save_view", "change_view", "delete_view", "all_questions", "choices_of_lake"),
        *(
            "all_ingests",
            "valued_days",
            "market_ranges",
            "complete_scenario",
            "list_proposals",
            "show_proposal",
            "excel_template",
            "openbb_rows",
            "openbb_basis",
            "widgets",
            "apps",
        ),
        *("health", "table_as_file", "replay_receipt", "recompute_receipt", "released_results", "market_data_history"),
        *("dimensions", "measures", "estimators", "instruments", "scenario_methods", "risk_factors"),
        *("positions", "positions_dates", "positions_history", "dimensions_of_date"),
        *("hierarchies", "corporate_actions", "live_snapshots", "alarms", "alarm_bands"),
        *("scenario_sets", "scenario_set", "preview", "check_scenario", "diff", "export", "standards", "issues"),
        *("valuation_sets", "valuation_set", "valuation_failures", "plan", "jobs", "job", "branches", "branch"),
    ),
    "value": ("submit", "cancel", "save_branch", "delete_branch"),
    "write": (
        "approve_proposal",
        "reject_proposal",
        "withdraw_proposal",
        "make_scenario_set",
        "set_standard",
        "act_on_market",
        "check_stored_market",
        "release",
        "take_live_snapshot",
        "record_live_alarms",
        "set_alarm_band",
    ),
    "ingest": ("net_positions", "make_covariance"),
    "admin": (
        "audit_acts",
        "audit_act",
        "audit_verify",
        "audit_export",
        "users",
        "user",
        "add_user",
        "change_user",
        "remove_user",
    ),
}
# what gives or takes rights, or counts as the second pair of eyes: a session must have begun lately (ASVS 7.5.2)
SENSITIVE = frozenset(
    {"add_user", "change_user", "remove_user", "make_token", "revoke_token", "end_session", "approve_proposal"}
)
_BY_VIEW = {view: need for need, views in NEEDED.items() for view in views}


def needed(endpoint: str, path: str) -> Need | None:
    """What an operation needs; None where nobody has classified it, and then it is refused."""
    blueprint, _, view = endpoint.rpartition(".")
    if blueprint == "questions":
        return "value" if path.endswith("/value") else "read"
    if view.startswith(("bring_", "suggest_")):  # of every kind of file
        return "ingest"
    return _BY_VIEW.get(view)


def check_asked(asked: BaseModel) -> None:
    """Raises `NotAllowed` where a question or a valuation has parameters that whoever asks may not choose."""
    if CHOSEN_WITH not in caller().rights:
        check_parameters(asked, context().settings.trader_levels)


def charge(core_seconds: float) -> None:
    """Takes what a request is expected to cost from the budget of whoever asks; raises `TooOften` where too little is left."""
    if caller() is not ANYBODY_HERE:
        rates().spend(principal().name, core_seconds)


def rates() -> Rates:
    found: Rates = current_app.extensions[_RATES]
    return found


def guard(app: Flask, settings: Settings) -> None:
    """Every request of the application shows whose it is, and is refused where that user may not send it."""
    app.extensions[_RATES] = Rates(settings)
    app.before_request(_admit)
    app.after_request(_challenge)


def _admit() -> Redirect | None:
    if holds_secret(request.environ.get("REQUEST_URI") or request.full_path):
        raise SecretInAddress(
            "A token stands in this address, and addresses are kept in logs and histories. Send it in the header Authorization, as "
            "Bearer or as the password of Basic, and revoke this one: it counts as known to others."
        )
    if request.method not in SAFE:
        _check_origin()
    rule = request.url_rule
    # whether there is such a route is for users to know
    need = "an account" if rule is None else needed(rule.endpoint, rule.rule)
    if need is None:
        raise NotAllowed(f"Nobody has said who may use {request.method} {request.path}, so nobody may.")
    if need == "nothing" or request.method == "OPTIONS":  # which a browser asks before it sends who asks
        return None
    try:
        g.caller = known()
        g.principal = g.caller.principal
    except NotSignedIn:
        if (
            request.method == "GET"
            and not request.path.startswith(PREFIX)
            and "text/html" in request.accept_mimetypes.values()
        ):
            return redirect(url_for("pages.sign_in", next=request.full_path.removesuffix("?")))
        raise
    if g.caller is not ANYBODY_HERE:
        rates().request(principal().name)
    if g.caller.by == "session" and request.method not in SAFE:
        _check_csrf()
    if need != "an account" and need not in g.caller.rights:
        raise NotAllowed(_lacking(need))
    if rule is not None and rule.endpoint.rpartition(".")[2] in SENSITIVE:
        _check_fresh()
    return None


def fresh_until(asks: Caller) -> dt.datetime | None:
    """Until when a session may do what is `SENSITIVE`; None for who shows a token with every request, and in single-user mode."""
    return (
        None
        if asks.signed_in_at is None
        else asks.signed_in_at + dt.timedelta(minutes=context().settings.fresh_minutes)
    )


def _check_fresh() -> None:
    until = fresh_until(g.caller)
    if until is not None and dt.datetime.now(dt.UTC) > until:
        raise NotFresh(
            f"This needs a sign-in within the last {context().settings.fresh_minutes:g} minutes (VARLAKE_FRESH_MINUTES), and this session "
            f"began at {g.caller.signed_in_at:%H:%M} UTC. Sign in again at /sign-in?again=true, then send it once more; or send a token."
        )


def known() -> Caller:
    """Whoever sent this request; raises `NotSignedIn`."""
    store, settings = context().access, context().settings
    if not store.has_users():
        if not alone(settings):
            raise NotReady("There is no user, and this service is set up for others. Add one: varlake users add.")
        return ANYBODY_HERE
    if (given := request.authorization) is not None:
        secret = given.token if given.type == "bearer" else given.password if given.type == "basic" else None
        return of_token(secret or "")
    if (session := request.cookies.get(session_cookie())) is not None:
        return store.caller_of_session(session, settings)
    raise NotSignedIn(
        "Who asks is not known. Send a token, made with `varlake tokens make`, as Authorization: Bearer TOKEN, or as the password of "
        "Basic with any user name. In a browser, sign in at /sign-in."
    )


def of_token(secret: str) -> Caller:
    """Whoever has this token; raises `NotSignedIn`, and `TooOften` where that comes from one address again and again."""
    try:
        return context().access.caller_of_token(secret)
    except NotSignedIn as error:
        _log.warning("a token is refused", reason=error.message, address=request.remote_addr, request_id=request_id())
        rates().failure(request.remote_addr or "")
        raise


def session_cookie() -> str:
    """Name of the cookie with the secret of a session; behind TLS one that no other host can set."""
    return "__Host-varlake" if request.is_secure else "varlake"


def _check_origin() -> None:
    """Raises `NotAllowed` for what a page of another site sends, also to a single user's machine; a browser says whose page it was."""
    origin = request.headers.get("Origin")
    if origin is not None and urlsplit(origin).netloc != request.host:
        raise NotAllowed(f"This was sent by a page of {origin}, and is taken from pages of {request.host} alone.")


def _check_csrf() -> None:
    given = request.headers.get(CSRF_HEADER, "")
    if request.mimetype == FORM:
        given = request.form.get(CSRF_FIELD, given)
    if not hmac.compare_digest(given.encode(), csrf_token(request.cookies[session_cookie()]).encode()):
        raise NotAllowed(
            f"What changes something from a browser's session needs the header {CSRF_HEADER}: the csrf_token of GET {PREFIX}/me. "
            "A program sends a token instead of a cookie, and needs none."
        )


def _lacking(need: Right) -> str:
    """What is missing: a role, or only the right of the token."""
    asks, what = g.caller, f"To {MEANING[need]} takes the right {need!r}"
    if need in rights_of(asks.principal.roles):
        return f"{what}, which {asks.principal.name} has and the token {asks.token_id} has not. Make one with --right {need}."
    who = " or ".join(holders(need))
    return (
        f"{what}, which {who} has; {asks.principal.name} is {', '.join(asks.principal.roles)}. An admin changes roles."
    )


def _challenge(response: Response) -> Response:
    if response.status_code == 401:
        response.headers["WWW-Authenticate"] = 'Bearer realm="varlake"'
        if "Sec-Fetch-Mode" not in request.headers:  # a browser would put a window of its own before the page
            response.headers.add("WWW-Authenticate", 'Basic realm="varlake"')
    return response
