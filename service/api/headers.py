"""Headers that tell a browser what an answer may do there, and whether it is kept."""

from __future__ import annotations

from flask import Response, request

PAGE = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
    "worker-src 'self' blob:; font-src 'self'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'"
)
DATA = "default-src 'none'; base-uri 'none'; frame-ancestors 'none'"
PICTURE = f"{DATA}; style-src 'unsafe-inline'"  # an SVG has its styles inside, and runs no script
_YEAR = 31_536_000


def secure(response: Response) -> None:
    """Adds them, but for a policy that a page has of its own. What says nothing of being kept is kept nowhere."""
    policy = {"text/html": PAGE, "image/svg+xml": PICTURE}.get(response.mimetype or "", DATA)
    response.headers.setdefault("Content-Security-Policy", policy)
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "same-origin"  # without any, a browser would not say whose page a form was on
    response.headers["Cross-Origin-Opener-Policy"] = "same-origin"
    response.headers["Cross-Origin-Resource-Policy"] = "same-origin"
    response.headers.setdefault("Cache-Control", "no-store")
    if request.is_secure:
        response.headers["Strict-Transport-Security"] = f"max-age={_YEAR}; includeSubDomains"
