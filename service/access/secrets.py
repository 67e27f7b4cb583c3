"""Secrets that stand for a user: 256 random bits behind a prefix that scanners of leaked secrets know. Only a digest is stored."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets

PREFIX = "varlake_"
_SECRET = re.compile(rf"{PREFIX}[\w-]{{20,}}", re.ASCII)


def new_secret() -> str:
    return PREFIX + secrets.token_urlsafe(32)


def digest_of(secret: str) -> bytes:
    """What is stored of a secret: SHA-256. So many random bits need no slow digest."""
    return hashlib.sha256(secret.encode()).digest()


def csrf_token(session: str) -> str:
    """What a page of this session proves itself with; it tells nothing of the secret of the session."""
    return hmac.new(session.encode(), b"csrf", hashlib.sha256).hexdigest()


def holds_secret(text: str) -> bool:
    return _SECRET.search(text) is not None


def redacted(text: str) -> str:
    """The text with every secret in it cut to its prefix."""
    return _SECRET.sub(f"{PREFIX}...", text)
