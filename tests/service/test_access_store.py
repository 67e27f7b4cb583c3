"""The file of users: who is let in, until when, and what a damaged or full disk does to it."""

from __future__ import annotations

import datetime as dt
import stat
from pathlib import Path

import pytest
from users import EVERYBODY, with_users

from lake.errors import BadInput, Conflict, NotFound, NotReady, NotSignedIn
from lake.tables import Lake
from service.access import store as stored
from service.access.accounts import TokenRequest, User, UserChange
from service.access.secrets import PREFIX, holds_secret, redacted
from service.access.store import AccessStore
from service.config import Settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(lake=Lake.create(tmp_path / "lake").path)


@pytest.fixture
def store(settings: Settings) -> AccessStore:
    return with_users(settings.lake)[0]


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> dt.timedelta:
    """Moves the clock of the store."""

    def move(**time: float) -> None:
        now = dt.datetime.now(dt.UTC) + dt.timedelta(**time)
        monkeypatch.setattr(stored, "_now", lambda: now)

    return move  # type: ignore[return-value]


def test_without_a_file_there_are_no_users_and_looking_makes_none(settings: Settings) -> None:
    store = AccessStore.of(settings)
    assert not store.has_users()
    assert store.users() == []
    assert not store.path.exists()


def test_users_come_back_as_they_were_added_and_changed(store: AccessStore) -> None:
    assert store.users() == list(EVERYBODY)
    seen = {"granted": {"book": ["B2", "B1"]}, "firm_totals": True}
    changed = store.change("tom", UserChange(entitlement=seen))
    assert changed.entitlement is not None
    assert changed.entitlement.granted == {"book": ("B1", "B2")}
    assert store.user("tom") == changed
    assert store.change("tom", UserChange(entitlement=None)).entitlement is None
    assert store.identified("rita@bank") == EVERYBODY[1]
    with pytest.raises(NotFound, match="Nearest valid: rita"):
        store.user("ritta")


def test_the_first_user_is_an_admin_and_the_last_admin_stays(settings: Settings) -> None:
    store = AccessStore.of(settings)
    with pytest.raises(Conflict, match="Add an admin first"):
        store.add(EVERYBODY[2])
    store.add(EVERYBODY[0])
    for last in (lambda: store.remove("ada"), lambda: store.change("ada", UserChange(roles=("trader",)))):
        with pytest.raises(Conflict, match="the last admin"):
            last()
    store.add(User(name="al", roles=("admin", "trader"), entitlement=None))
    store.remove("ada")
    assert [u.name for u in store.users()] == ["al"]


@pytest.mark.parametrize(
    ("given", "match"),
    [
        ({"name": "local"}, "choose another"),
        ({"roles": ("admin",)}, "an admin sees everything"),
        ({"name": "a b"}, "pattern"),
        ({"roles": ()}, "at least 1"),
        ({"entitlement": {"granted": {"region": ["x"]}}}, "region"),
    ],
)
def test_a_user_that_is_none_is_refused(given: dict[str, object], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        User(**{**dict(EVERYBODY[2]), **given})


def test_names_and_identities_are_of_one_user(store: AccessStore) -> None:
    with pytest.raises(Conflict, match="There is a user tom already"):
        store.add(EVERYBODY[2])
    with pytest.raises(Conflict, match="the identity of the user rita"):
        store.change("tom", UserChange(identity="rita@bank"))
    with pytest.raises(BadInput, match="leave the entitlement null"):
        store.change("tom", UserChange(roles=("admin",)))


def test_a_token_is_its_user_until_it_is_revoked_and_only_a_digest_of_it_is_stored(store: AccessStore) -> None:
    token, secret = store.make_token("tom", TokenRequest(label="Excel"))
    assert secret.startswith(PREFIX)
    assert len(secret) == len(PREFIX) + 43  # 256 bits
    assert secret[len(PREFIX) :].encode() not in store.path.read_bytes()
    caller = store.caller_of_token(secret)
    assert caller.principal == EVERYBODY[2].principal
    assert caller.rights == {"read", "value"}
    assert store.tokens("tom")[0].last_used_at is not None
    store.revoke(token.token_id)
    with pytest.raises(NotSignedIn, match=rf"{token.token_id} \(Excel\) is revoked since"):
        AccessStore(store.path).caller_of_token(secret)  # as another process has it
    with pytest.raises(NotSignedIn, match="not known here"):
        store.caller_of_token(secret[:-1])


def test_a_token_has_no_right_that_its_user_has_not_even_later(store: AccessStore) -> None:
    with pytest.raises(BadInput, match="Unknown right of tom 'write'"):
        store.make_token("tom", TokenRequest(label="x", rights=("write",)))
    _, secret = store.make_token("rita", TokenRequest(label="x", rights=("read", "write")))
    assert store.caller_of_token(secret).rights == {"read", "write"}
    store.change("rita", UserChange(roles=("trader",)))
    assert store.caller_of_token(secret).rights == {"read"}
    store.remove("rita")
    with pytest.raises(NotSignedIn):
        store.caller_of_token(secret)


def test_a_token_ends_with_its_time(store: AccessStore) -> None:
    token, secret = store.make_token("tom", TokenRequest(label="x", days=1))
    assert token.expires_at - token.created_at == dt.timedelta(days=1)
    with store.transaction() as db:
        db.execute("UPDATE tokens SET expires_at = '2020-01-01T00:00:00+00:00' WHERE token_id = ?", (token.token_id,))
    with pytest.raises(NotSignedIn, match="is expired since 2020-01-01"):
        store.caller_of_token(secret)
    store.make_token("tom", TokenRequest(label="y"))  # which forgets those that ended long ago
    assert token.token_id not in [t.token_id for t in store.tokens()]


def test_what_was_made_with_a_token_ends_with_it_unless_it_is_told_to_stay(
    store: AccessStore, settings: Settings
) -> None:
    first, _ = store.make_token("tom", TokenRequest(label="first"))
    second, _ = store.make_token("tom", TokenRequest(label="second"), first.token_id)
    _, third = store.make_token("tom", TokenRequest(label="third"), second.token_id)
    session = store.start_session("tom", second.token_id, settings)
    store.revoke(first.token_id, alone=True)
    assert store.caller_of_session(session, settings).principal.name == "tom"
    store.revoke(first.token_id)
    for gone in (lambda: store.caller_of_token(third), lambda: store.caller_of_session(session, settings)):
        with pytest.raises(NotSignedIn):
            gone()


def test_a_session_ends_when_nobody_asks_for_long_and_after_its_time_in_any_case(
    store: AccessStore, settings: Settings, later: object
) -> None:
    secret = store.start_session("tom", None, settings)
    assert secret.encode() not in store.path.read_bytes()
    for minutes in range(0, 700, 50):
        later(minutes=minutes)  # type: ignore[operator]
        assert store.caller_of_session(secret, settings).by == "session"
    later(minutes=721)  # type: ignore[operator]
    with pytest.raises(NotSignedIn, match="Sign in again"):
        store.caller_of_session(secret, settings)
    other = store.start_session("tom", None, settings)
    later(minutes=721 + 61)  # type: ignore[operator]
    with pytest.raises(NotSignedIn):
        store.caller_of_session(other, settings)
    assert store.sessions("tom", settings) == []


def test_a_session_takes_the_place_of_the_one_before_and_has_no_more_rights_than_its_token(
    store: AccessStore, settings: Settings
) -> None:
    token, _ = store.make_token("rita", TokenRequest(label="x", rights=("read",)))
    first = store.start_session("rita", token.token_id, settings)
    second = store.start_session("rita", token.token_id, settings, instead=first)
    with pytest.raises(NotSignedIn):
        store.caller_of_session(first, settings)
    assert store.caller_of_session(second, settings).rights == {"read"}
    (listed,) = store.sessions("rita", settings)
    with pytest.raises(NotFound):
        store.end_session(listed.session_id, "tom")
    store.end_session(listed.session_id, "rita")
    with pytest.raises(NotSignedIn):
        store.caller_of_session(second, settings)


def test_a_damaged_file_lets_nobody_in_and_is_left_as_it_is(store: AccessStore) -> None:
    store.path.write_bytes(b"no database" * 1000)
    with pytest.raises(NotReady, match=r"is damaged .* nobody is let in"):
        store.has_users()
    with pytest.raises(NotReady):
        AccessStore(store.path).users()
    assert store.path.read_bytes().startswith(b"no database")


def test_a_file_that_is_gone_lets_nobody_in_who_was_not_let_in_before(store: AccessStore) -> None:
    assert store.has_users()
    store.path.unlink()
    with pytest.raises(NotReady, match="is gone, so nobody is let in"):
        store.has_users()


def test_the_file_is_for_its_owner_alone(store: AccessStore) -> None:
    assert stat.S_IMODE(store.path.stat().st_mode) == 0o600


def test_the_file_may_stand_elsewhere(tmp_path: Path) -> None:
    store = AccessStore.of(Settings(lake=tmp_path / "none", access=tmp_path / "etc" / "users.sqlite"))
    store.add(EVERYBODY[0])
    assert (tmp_path / "etc" / "users.sqlite").exists()


def test_secrets_are_known_and_cut_in_texts(store: AccessStore) -> None:
    _, secret = store.make_token("tom", TokenRequest(label="x"))
    assert holds_secret(f"/api/v1/jobs/{secret}?a=b")
    assert redacted(f"/api/v1/jobs/{secret}/x") == "/api/v1/jobs/varlake_.../x"
    assert not holds_secret("/api/v1/branches/varlake_notes")
