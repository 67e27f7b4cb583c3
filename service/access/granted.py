"""Whether what a user is granted is there: a desk may be granted before anything names it, and a name may be misspelt."""

from __future__ import annotations

from collections.abc import Iterable

import pyarrow.compute as pc

from aggregation.book.entitlement import Entitlement
from lake.errors import close
from lake.tables import Lake


def grant_warnings(lake: Lake, entitlement: Entitlement | None) -> tuple[str, ...]:
    """A sentence for each granted value that nothing in the lake names, with the names most like it.

    Known are the values of positions of any date, the members of hierarchies, and desks with a standard of their own.
    """
    if entitlement is None:
        return ()
    whole = lake.whole()
    return tuple(
        warning for level, values in entitlement.granted.items() for warning in _of_level(whole, level, values)
    )


def _of_level(lake: Lake, level: str, values: Iterable[str]) -> Iterable[str]:
    days = sorted(lake.rows_by("positions", "positions_date"), reverse=True)
    known: set[str] = set()
    # the newest day has nearly all of them, and of a long history most days need not be read
    for among in filter(None, (days[:1], days[1:])):
        rows = lake.read("positions", [level], among={"positions_date": among})
        known |= set(pc.unique(rows[level]).drop_null().to_pylist())
        if known.issuperset(values):
            return
    known |= _named(lake, level)
    what = level.replace("_", " ")
    for value in values:
        if value in known:
            continue
        like = close(value, known)
        there = f" Nearest: {', '.join(like)}." if like else ""
        yield (
            f"No position names the {what} {value!r} yet, so it shows nothing until one does.{there} If the name is wrong, change "
            "the user."
        )


def _named(lake: Lake, level: str) -> set[str]:
    """What hierarchies and standards name."""
    rows = lake.read("hierarchies", ["level", "member", "parent_level", "parent"]).to_pylist()
    named = {
        r[column] for r in rows for at, column in (("level", "member"), ("parent_level", "parent")) if r[at] == level
    }
    if level == "desk":
        named |= {d for d in lake.read("standards", ["desk"])["desk"].to_pylist() if d}
    return named
