"""Volatility surfaces: what their points are called and where they lie. A surface is the volatilities that share a name.

The name is the attribute `surface`, else `asset`. `expiry` is a tenor; a surface has one more coordinate across its expiries,
or none, when it is a term structure at the money:

- `strike`: a price or a rate, such as 95;
- `moneyness`: the strike in percent of the forward, 90 is 90%;
- `delta`: `10P`, `25P`, `ATM`, `25C`, `10C`, also written `25D put`, `P25`, `-0.25`, `0.25`, where a number alone is the delta of
  a call and a negative one that of a put. Delta is that of the forward, without premium; `ATM` is the strike where call and put have
  opposite deltas (delta-neutral straddle), so that a call delta of 0.5 says the same.
"""

from __future__ import annotations

import math
import re

from lake.errors import BadInput
from scenarios.types import RiskFactor, tenor_years

SURFACE = ("strike", "delta", "moneyness")  # across the expiries of a volatility surface
VOLATILITIES = ("implied_vol", "normal_vol")  # types whose factors may be points of a surface
_SIDE = re.compile(r"(?:(?P<first>P|C)(?:UT|ALL)?)?(?P<size>[+-]?\d*\.?\d+)D?(?P<last>P|C)?(?:UT|ALL)?")
_FRACTION = 5.0  # a moneyness below is one of 1, not one of 100


def coordinate(kind: str, text: str) -> float:
    """Where a point lies across the expiries: its strike, its moneyness in percent, its delta as that of a call (0.9 for 10P).

    Raises `BadInput` with what is expected.
    """
    return _call_delta(text) if kind == "delta" else _number(kind, text)


def _number(kind: str, text: str) -> float:
    try:
        value = float(text.strip().removesuffix("%"))
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise BadInput(f"{text!r} is no {kind}; expected a number, such as {'90' if kind == 'moneyness' else '95'}.")
    if kind == "moneyness" and value < _FRACTION:
        raise BadInput(f"A moneyness of {text} is hardly meant: it is in percent of the forward, 90 for 90%.")
    return value


def _call_delta(text: str) -> float:
    plain = re.sub(r"[\s_%]", "", text.upper().replace("DELTA", "D").replace("Δ", "D"))
    if plain in ("ATM", "DNS"):
        return 0.5
    match = _SIDE.fullmatch(plain)
    if match is not None:
        size = float(match["size"])
        if abs(size) >= 1:
            size /= 100
        side = match["first"] or match["last"] or ("P" if size < 0 else "C")
        delta = 1 - abs(size) if side == "P" else size
        if 0 < delta < 1:
            return delta
    raise BadInput(f"{text!r} is no delta; expected one such as 10P, 25P, ATM, 25C or 0.25.")


def plain_coordinate(kind: str, text: str) -> str:
    """A delta, moneyness or strike as it may stand in an id: 25P for `25D put`, 90 for `90%`; any other text as it is."""
    if kind not in SURFACE:
        return text
    try:
        value = coordinate(kind, text)
    except BadInput:
        return text  # whoever checks the point says what is expected
    if kind != "delta":
        return f"{value:g}"
    return "ATM" if value == 0.5 else f"{100 * min(value, 1 - value):g}{'P' if value > 0.5 else 'C'}"


def surface_of(f: RiskFactor) -> str | None:
    """Name of the surface that a risk factor is a point of; None for one that is no point of a named surface."""
    attributes = dict(f.attributes)
    is_point = f.type in VOLATILITIES and "expiry" in attributes
    return attributes.get("surface", attributes.get("asset")) if is_point else None


def check_point(f: RiskFactor) -> None:
    """Raises `BadInput` for a volatility whose coordinates cannot be read."""
    i, attributes = f.risk_factor_id, dict(f.attributes)
    across = [c for c in SURFACE if c in attributes]
    if f.type == "normal_vol" and across and across != ["strike"]:
        raise BadInput(f"{i}: a normal volatility lies by strike or at the money, not by {', '.join(across)}.")
    if len(across) > 1 or (across and "expiry" not in attributes):
        raise BadInput(
            f"{i}: a point of a surface has an expiry and at most one of {', '.join(SURFACE)}, not {', '.join(across)}"
            f"{'' if 'expiry' in attributes else ' alone'}."
        )
    try:
        for kind in across:
            coordinate(kind, attributes[kind])
        if "expiry" in attributes and not tenor_years(attributes["expiry"]) > 0:
            raise BadInput(f"An expiry of {attributes['expiry']} is no time.")
    except BadInput as error:
        raise BadInput(f"{i}: {error.message}") from None
