"""Users, their tokens and the sessions of their browsers: an SQLite file in the lake's state folder, or where VARLAKE_ACCESS says.

Every look reads the file, so that a change holds from the next request on in every process. A damaged file lets nobody in.
"""

from __future__ import annotations

import contextlib
import copy
import datetime as dt
import json
import secrets
import sqlite3
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from lake.audit import LOCAL_ACTOR
from lake.errors import BadInput, Conflict, NotFound, NotReady, NotSignedIn, VarlakeError, invalid, unknown
from lake.storage import make_folder
from lake.tables import Lake
from service.access.accounts import BrowserSession, Token, TokenRequest, User, UserChange
from service.access.principal import LOCAL, Principal
from service.access.rights import RIGHTS, Right, rights_of
from service.access.secrets import digest_of, new_secret
from service.config import Settings
from service.database import Database
from service.process import is_loopback

USED = dt.timedelta(minutes=1)  # a use is written down when the last one is older: not every request waits for the disk
KEPT = dt.timedelta(days=90)  # tokens that are no longer valid are listed for so long
_SCHEMA = """
CREATE TABLE users (name TEXT PRIMARY KEY, roles TEXT NOT NULL, entitlement TEXT, identity TEXT UNIQUE);
CREATE TABLE tokens (
    token_id TEXT PRIMARY KEY,
    digest BLOB NOT NULL UNIQUE,
    user TEXT NOT NULL REFERENCES users,
    label TEXT NOT NULL,
    rights TEXT NOT NULL,
    made_with TEXT,
    created_at TEXT NOT NULL,
    expires_at TEXT NOT NULL,
    last_used_at TEXT,
    revoked_at TEXT
);
CREATE TABLE sessions (
    session_id TEXT PRIMARY KEY,
    digest BLOB NOT NULL UNIQUE,
    user TEXT NOT NULL REFERENCES users,
    token_id TEXT,
    created_at TEXT NOT NULL,
    last_seen_at TEXT NOT NULL,
    expires_at TEXT NOT NULL
)
"""
# a token; and with those that were made with it, and with them
_ALONE = "WITH family (token_id) AS (SELECT ?1)"
_FAMILY = (
    "WITH RECURSIVE family (token_id) AS "
    "(SELECT ?1 UNION SELECT t.token_id FROM tokens t JOIN family f ON t.made_with = f.token_id)"
)


@dataclass(frozen=True)
class Caller:
    """Whoever asks, what it may do here, and by what it is known.

    credential : id of the token or the session; None in single-user mode. token_id : the token behind either, where there is one.
    signed_in_at : when a session began, which every sign-in begins anew.
    """

    principal: Principal
    rights: frozenset[Right]
    by: Literal["single-user mode", "token", "session"]
    credential: str | None = None
    token_id: str | None = None
    expires_at: dt.datetime | None = None
    signed_in_at: dt.datetime | None = None


def alone(settings: Settings) -> bool:
    """Whether the service is for its own machine, so that there may be no users: nothing says that others reach it, or who they are."""
    return is_loopback(settings.host) and settings.trusted_proxy is None and settings.access is None


ANYBODY_HERE = Caller(LOCAL, frozenset(RIGHTS), "single-user mode")


class AccessStore(Database):
    """Who may ask. Safe for threads and processes."""

    called = "file of users"
    schema = _SCHEMA
    _seen = False
    when_full = "no user, token or session is stored until there is room; tokens that exist are taken."

    def __init__(self, path: Path, state: Path | None = None, *, make: bool = True, actor: str = LOCAL_ACTOR) -> None:
        """actor : who makes the changes, as the audit trail has it."""
        self._actor = actor
        super().__init__(path, state, make=make)

    @classmethod
    def of(cls, settings: Settings) -> AccessStore:
        state = Lake(settings.lake).state
        return cls(settings.access or state / "access.sqlite", state, make=False)

    def by(self, actor: str) -> AccessStore:
        """The same store, changed by somebody else."""
        other = copy.copy(self)
        other._actor = actor
        return other

    def _acting(self, act: str, of: str | None, **asked: Any) -> AbstractContextManager[sqlite3.Connection]:
        """of : the user whom the act is about, whom the list of the trail names too."""
        return self.acting(act, asked, self._actor, **({} if of is None else {"user": of}))

    def make(self) -> None:
        make_folder(self.path.parent)
        self.path.touch(0o600)  # for its owner alone
        super().make()

    def damaged(self, error: sqlite3.Error) -> VarlakeError:
        return NotReady(
            f"The file of users {self.path} is damaged ({error}), so nobody is let in. Bring it back from a backup; or move it away, "
            "which leaves no user, and add them again."
        )

    def has_users(self) -> bool:
        """False in single-user mode; raises `NotReady` where this process has seen users and their file is gone."""
        if not self.is_empty():
            with self.reading() as db:
                if db.execute("SELECT 1 FROM users LIMIT 1").fetchone() is not None:
                    self._seen = True
                    return True
        if self._seen:
            raise NotReady(
                f"The file of users {self.path} is gone, so nobody is let in. Bring it back, or add users and start anew."
            )
        return False

    def users(self) -> list[User]:
        """All, by name."""
        with self.reading() as db:
            return [_user(row) for row in db.execute("SELECT * FROM users ORDER BY name")]

    def user(self, name: str) -> User:
        """Raises `NotFound` with the nearest name."""
        with self.reading() as db:
            return _found(db, name)

    def identified(self, identity: str) -> User | None:
        """The user of an identity at the provider."""
        with self.reading() as db:
            row = db.execute("SELECT * FROM users WHERE identity = ?", (identity,)).fetchone()
        return None if row is None else _user(row)

    def add(self, user: User) -> User:
        """Raises `Conflict` for a name or an identity that is taken, and where the first user is no admin."""
        with self._acting("add_user", user.name, **user.model_dump(mode="json")) as db:
            if db.execute("SELECT 1 FROM users WHERE name = ?", (user.name,)).fetchone() is not None:
                raise Conflict(f"There is a user {user.name} already. Change that one, or choose another name.")
            _check_identity(db, user)
            if "admin" not in user.roles and not _admins(db):
                raise Conflict(
                    f"{user.name} would be the first user, and nobody could add another. Add an admin first; with the first user "
                    "single-user mode ends."
                )
            db.execute("INSERT INTO users (name, roles, entitlement, identity) VALUES (?, ?, ?, ?)", _row(user))
        return user

    def change(self, name: str, change: UserChange) -> User:
        """The user as it is from now on; raises `Conflict` where no admin would be left."""
        with self._acting(
            "change_user", name, name=name, change=change.model_dump(mode="json", exclude_unset=True)
        ) as db:
            before = _found(db, name)
            try:
                user = change.of(before)
            except ValidationError as error:
                raise invalid(error, "user", User) from None
            _check_identity(db, user)
            if "admin" not in user.roles:
                _check_admins(db, name)
            db.execute("UPDATE users SET roles = ?2, entitlement = ?3, identity = ?4 WHERE name = ?1", _row(user))
        return user

    def remove(self, name: str) -> User:
        """Removes a user with all tokens and sessions; raises `Conflict` for the last admin."""
        with self._acting("remove_user", name, name=name) as db:
            user = _found(db, name)
            _check_admins(db, name)
            for table, column in (("sessions", "user"), ("tokens", "user"), ("users", "name")):
                db.execute(f"DELETE FROM {table} WHERE {column} = ?", (name,))
        return user

    def make_token(self, user: str, request: TokenRequest, made_with: str | None = None) -> tuple[Token, str]:
        """A new token, and its secret, which is nowhere kept. Raises `BadInput` for rights that its user does not have."""
        now, secret = _now(), new_secret()
        with self._acting("make_token", user, user=user, **request.model_dump(mode="json")) as db:
            roles = _found(db, user).roles
            for right in request.rights:
                if right not in rights_of(roles):
                    has = tuple(r for r in RIGHTS if r in rights_of(roles))
                    error = unknown(f"right of {user}", right, has, pointer="/rights")
                    raise BadInput(
                        f"{error.message} With the roles {', '.join(roles)} no other is to be had.", issues=error.issues
                    )
            db.execute("DELETE FROM tokens WHERE max(expires_at, coalesce(revoked_at, '')) < ?", (_text(now - KEPT),))
            row = db.execute(
                "INSERT INTO tokens (token_id, digest, user, label, rights, made_with, created_at, expires_at) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?) RETURNING *",
                (
                    secrets.token_hex(6),
                    digest_of(secret),
                    user,
                    request.label,
                    json.dumps(sorted(set(request.rights), key=RIGHTS.index)),
                    made_with,
                    _text(now),
                    _text(now + dt.timedelta(request.days)),
                ),
            ).fetchone()
        return _token(row), secret

    def tokens(self, user: str | None = None) -> list[Token]:
        """Of a user or of all, the newest first; those that are no longer valid too."""
        with self.reading() as db:
            rows = db.execute(
                "SELECT * FROM tokens WHERE ?1 IS NULL OR user = ?1 ORDER BY created_at DESC, token_id", (user,)
            ).fetchall()
        return [_token(row) for row in rows]

    def revoke(self, token_id: str, user: str | None = None, *, alone: bool = False) -> Token:
        """Ends a token, those made with it unless `alone`, and their sessions. Raises `NotFound` where that user has no such token."""
        with self._acting(
            "revoke_token", self._whose("tokens", "token_id", token_id), token_id=token_id, alone=alone
        ) as db:
            row = db.execute(
                "SELECT * FROM tokens WHERE token_id = ?1 AND (?2 IS NULL OR user = ?2)", (token_id, user)
            ).fetchone()
            if row is None:
                raise NotFound(f"There is no token {token_id!r}. List the tokens to find its id.")
            family = _ALONE if alone else _FAMILY
            db.execute(
                f"{family} UPDATE tokens SET revoked_at = coalesce(revoked_at, ?2) WHERE token_id IN family",
                (token_id, _text(_now())),
            )
            db.execute(f"{family} DELETE FROM sessions WHERE token_id IN family", (token_id,))
            return _token(db.execute("SELECT * FROM tokens WHERE token_id = ?", (token_id,)).fetchone())

    def start_session(self, user: str, token_id: str | None, settings: Settings, *, instead: str | None = None) -> str:
        """The secret of a new session of a browser, which ends the one that it had, `instead`."""
        now, secret = _now(), new_secret()
        with self._acting("sign_in", user, user=user, token_id=token_id) as db:
            db.execute(
                "DELETE FROM sessions WHERE expires_at < ? OR last_seen_at < ? OR digest = ?",
                (_text(now), _text(now - _idle(settings)), digest_of(instead or "")),
            )
            db.execute(
                "INSERT INTO sessions VALUES (?, ?, ?, ?, ?, ?, ?)",
                (
                    secrets.token_hex(6),
                    digest_of(secret),
                    user,
                    token_id,
                    _text(now),
                    _text(now),
                    _text(now + dt.timedelta(hours=settings.session_hours)),
                ),
            )
        return secret

    def sessions(self, user: str | None, settings: Settings) -> list[BrowserSession]:
        """Those that last, of a user or of all, the newest first."""
        with self.reading() as db:
            rows = db.execute(
                "SELECT * FROM sessions WHERE (?1 IS NULL OR user = ?1) AND expires_at > ?2 AND last_seen_at > ?3 "
                "ORDER BY created_at DESC, session_id",
                (user, _text(_now()), _text(_now() - _idle(settings))),
            ).fetchall()
        return [BrowserSession(**{n: r[n] for n in BrowserSession.model_fields}) for r in rows]

    def end_session(self, session_id: str, user: str | None = None) -> None:
        """Raises `NotFound` where that user has no such session."""
        with self._acting(
            "end_session", self._whose("sessions", "session_id", session_id), session_id=session_id
        ) as db:
            ended = db.execute(
                "DELETE FROM sessions WHERE session_id = ?1 AND (?2 IS NULL OR user = ?2) RETURNING 1",
                (session_id, user),
            ).fetchone()
        if ended is None:
            raise NotFound(f"There is no session {session_id!r}. List the sessions to find its id.")

    def end_sessions(self, user: str) -> None:
        """Ends all sessions of a user, where there are any."""
        with self.reading() as db:
            if db.execute("SELECT 1 FROM sessions WHERE user = ? LIMIT 1", (user,)).fetchone() is None:
                return
        with self._acting("end_session", user, user=user) as db:
            db.execute("DELETE FROM sessions WHERE user = ?", (user,))

    def _whose(self, table: str, column: str, key: str) -> str | None:
        """The user of a token or a session; None where there is none of that id."""
        with self.reading() as db:
            row = db.execute(f"SELECT user FROM {table} WHERE {column} = ?", (key,)).fetchone()
        return None if row is None else str(row["user"])

    def caller_of_token(self, secret: str) -> Caller:
        """Raises `NotSignedIn` for a token that is unknown, revoked or expired."""
        now = _now()
        with self.reading() as db:
            row = db.execute(
                "SELECT t.*, u.* FROM tokens t JOIN users u ON u.name = t.user WHERE t.digest = ?", (digest_of(secret),)
            ).fetchone()
        if row is None:
            raise NotSignedIn(
                "This token is not known here. Take one that was made for this service, or have a new one made."
            )
        token = _token(row)
        if token.state != "valid":
            when = token.revoked_at or token.expires_at
            raise NotSignedIn(
                f"The token {token.token_id} ({token.label}) is {token.state} since {when:%Y-%m-%d %H:%M} UTC. Have a new one made."
            )
        self._used("UPDATE tokens SET last_used_at = ? WHERE token_id = ?", token.token_id, token.last_used_at, now)
        user, held = _user(row), token.token_id
        rights = rights_of(user.roles) & set(token.rights)
        return Caller(user.principal, rights, "token", held, held, token.expires_at)

    def caller_of_session(self, secret: str, settings: Settings) -> Caller:
        """Raises `NotSignedIn` for a session that has ended."""
        now = _now()
        with self.reading() as db:
            row = db.execute(
                "SELECT s.*, u.*, t.rights AS rights, t.revoked_at, t.expires_at AS token_expires_at FROM sessions s "
                "JOIN users u ON u.name = s.user LEFT JOIN tokens t ON t.token_id = s.token_id WHERE s.digest = ?",
                (digest_of(secret),),
            ).fetchone()
        if row is None or (row["token_id"] is not None and row["rights"] is None):
            raise NotSignedIn("This session has ended. Sign in again.")
        ends = [dt.datetime.fromisoformat(t) for t in (row["expires_at"], row["token_expires_at"]) if t is not None]
        seen = dt.datetime.fromisoformat(row["last_seen_at"])
        if row["revoked_at"] is not None or now > min(ends) or now - seen > _idle(settings):
            raise NotSignedIn("This session has ended, after its time or without a request for long. Sign in again.")
        self._used("UPDATE sessions SET last_seen_at = ? WHERE session_id = ?", row["session_id"], seen, now)
        user = _user(row)
        rights = rights_of(user.roles)
        if row["rights"] is not None:
            rights &= set(json.loads(row["rights"]))
        began = dt.datetime.fromisoformat(row["created_at"])
        return Caller(user.principal, rights, "session", row["session_id"], row["token_id"], min(ends), began)

    def _used(self, statement: str, identifier: str, before: dt.datetime | None, now: dt.datetime) -> None:
        if before is None or now - before >= USED:
            with contextlib.suppress(VarlakeError), self.transaction() as db:  # a full disk keeps nobody out
                db.execute(statement, (_text(now), identifier))


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


def _text(instant: dt.datetime) -> str:
    """As texts sort by time."""
    return instant.isoformat(timespec="microseconds")


def _idle(settings: Settings) -> dt.timedelta:
    return dt.timedelta(minutes=settings.session_idle_minutes)


def _user(row: Mapping[str, Any] | sqlite3.Row) -> User:
    entitlement = row["entitlement"]
    return User(
        name=row["name"],
        roles=tuple(json.loads(row["roles"])),
        entitlement=None if entitlement is None else json.loads(entitlement),
        identity=row["identity"],
    )


def _row(user: User) -> tuple[str, str, str | None, str | None]:
    entitlement = None if user.entitlement is None else user.entitlement.model_dump_json()
    return user.name, json.dumps(user.roles), entitlement, user.identity


def _token(row: sqlite3.Row) -> Token:
    shown = {name: row[name] for name in Token.model_fields}
    return Token(**{**shown, "rights": json.loads(row["rights"])})


def _found(db: sqlite3.Connection, name: str) -> User:
    row = db.execute("SELECT * FROM users WHERE name = ?", (name,)).fetchone()
    if row is None:
        raise unknown(
            "user", name, [r["name"] for r in db.execute("SELECT name FROM users")], pointer="/name", error=NotFound
        )
    return _user(row)


def _admins(db: sqlite3.Connection) -> list[str]:
    return [r["name"] for r in db.execute("SELECT name, roles FROM users") if "admin" in json.loads(r["roles"])]


def _check_admins(db: sqlite3.Connection, name: str) -> None:
    """Raises `Conflict` where nobody but that user is an admin."""
    if _admins(db) == [name]:
        raise Conflict(
            f"{name} is the last admin, and nobody could manage users then. Make another user an admin first."
        )


def _check_identity(db: sqlite3.Connection, user: User) -> None:
    row = db.execute("SELECT name FROM users WHERE identity = ? AND name <> ?", (user.identity, user.name)).fetchone()
    if row is not None:
        raise Conflict(f"{user.identity} is the identity of the user {row['name']} already.")
