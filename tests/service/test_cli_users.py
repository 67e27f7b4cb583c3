"""`varlake users` and `varlake tokens`: what is stored, what is shown, and what is refused in words."""

from __future__ import annotations

import shutil
from pathlib import Path

from command_line import answer, refused, varlake

from aggregation.book.entitlement import Entitlement
from service.access.store import AccessStore
from service.config import Settings


def store(lake: Path) -> AccessStore:
    return AccessStore.of(Settings(lake=lake))


def test_users_are_added_listed_changed_and_removed(tmp_path: Path) -> None:
    lake = tmp_path / "lake"  # which is made with its first user
    assert "There are no users" in varlake("users", "list", lake=lake).stderr
    assert not lake.exists()
    assert "`varlake tokens make ada`" in varlake("users", "add", "ada", "--role", "admin", lake=lake).stderr
    tom = answer(
        "users", "add", "tom", "--role", "trader", "--desk", "Rates", "--desk", "FX", "--firm-totals", lake=lake
    )
    assert [w.partition(" yet,")[0] for w in tom.pop("warnings")] == [
        f"No position names the desk {name!r}" for name in ("FX", "Rates")
    ]
    assert tom == {
        "name": "tom",
        "roles": ["trader"],
        "entitlement": {"granted": {"desk": ["FX", "Rates"]}, "firm_totals": True},
        "identity": None,
    }
    shown = varlake("users", "list", lake=lake).stdout
    assert "desk FX, Rates; totals of the firm" in shown
    assert "everything" in shown
    changed = answer(
        "users", "change", "tom", "--role", "risk_controller", "--everything", "--identity", "t@b", lake=lake
    )
    assert (changed["roles"], changed["entitlement"], changed["identity"]) == (["risk_controller"], None, "t@b")
    assert answer("users", "change", "tom", "--identity", "", lake=lake)["identity"] is None
    assert varlake("users", "remove", "tom", lake=lake).returncode == 0
    assert [u["name"] for u in answer("users", "list", lake=lake)] == ["ada"]


def test_a_misspelt_desk_is_granted_with_a_warning(valued_lake: Path, tmp_path: Path) -> None:
    """Warned of, and not refused: a user may be there before the desk is."""
    lake = tmp_path / "lake"
    shutil.copytree(valued_lake, lake)
    varlake("users", "add", "ada", "--role", "admin", lake=lake)
    said = varlake("users", "add", "tom", "--role", "trader", "--desk", "Equites", "--desk", "Options", lake=lake)
    assert "No position names the desk 'Equites' yet" in said.stderr
    assert "Nearest: Equities." in said.stderr
    assert "Options'" not in said.stderr
    assert said.returncode == 0
    assert store(lake).user("tom").entitlement == Entitlement(granted={"desk": ("Equites", "Options")})
    entity = varlake("users", "change", "tom", "--legal-entity", "le-99", lake=lake)
    assert "No position names the legal entity 'le-99' yet" in entity.stderr
    assert answer("users", "change", "tom", "--desk", "Equities", lake=lake)["warnings"] == []


def test_what_is_no_user_is_refused_in_words(tmp_path: Path) -> None:
    lake = tmp_path / "lake"
    assert "Add an admin first" in refused("users", "add", "tom", "--role", "trader", "--everything", lake=lake)
    varlake("users", "add", "ada", "--role", "admin", lake=lake)
    assert "What does tom see?" in refused("users", "add", "tom", "--role", "trader", lake=lake)
    assert "nearest trader" in refused("users", "add", "tom", "--role", "traider", "--everything", lake=lake)
    assert "not both" in refused("users", "add", "tom", "--role", "trader", "--everything", "--desk", "FX", lake=lake)
    assert "an admin sees everything" in refused("users", "add", "al", "--role", "admin", "--desk", "FX", lake=lake)
    assert "is the last admin" in refused("users", "remove", "ada", lake=lake)
    assert "Nearest valid: ada" in refused("users", "remove", "adda", lake=lake)
    assert "Say what of ada" in refused("users", "change", "ada", lake=lake)


def test_tokens_are_made_listed_and_revoked(tmp_path: Path) -> None:
    lake = tmp_path / "lake"
    varlake("users", "add", "ada", "--role", "admin", lake=lake)
    made = varlake("tokens", "make", "ada", lake=lake)
    secret = made.stdout.strip()  # alone, for a pipe
    assert store(lake).caller_of_token(secret).rights == {"read", "value", "write", "ingest", "admin"}
    assert "for read, value, write, ingest, admin, until" in made.stderr
    narrow = answer("tokens", "make", "ada", "--right", "read", "--days", "7", "--label", "Excel", lake=lake)
    assert store(lake).caller_of_token(narrow["token"]).rights == {"read"}
    assert "nearest read" in refused("tokens", "make", "ada", "--right", "reed", lake=lake)
    assert "367" in refused("tokens", "make", "ada", "--days", "367", lake=lake)
    assert "Nearest valid: ada" in refused("tokens", "list", "--user", "adda", lake=lake)
    assert "Excel" in varlake("tokens", "list", "--user", "ada", lake=lake).stdout
    assert secret not in str(answer("tokens", "list", lake=lake))
    assert answer("tokens", "revoke", narrow["token_id"], "--alone", lake=lake)["revoked_at"] is not None
    assert [t["state"] for t in answer("tokens", "list", lake=lake)] == ["revoked", "valid"]
    assert "List the tokens" in refused("tokens", "revoke", "nothing", lake=lake)
