"""What a source of orders gives the feed, and what the feed gives a source that goes on after a restart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import NamedTuple, Protocol

from lake.landing.orders import Row

REFUSED, WAITING, OPEN, INCOMPLETE = "refused", "waiting", "open", "incomplete"
MOST_TEXT = 20_000  # characters of a message that are kept

Place = tuple[str, int]  # part and position


class Mark(NamedTuple):
    """How far a part has been read; see the table `order_feeds`."""

    position: int
    digest: str | None = None
    missing: tuple[str, ...] = ()


class Told(NamedTuple):
    """A message that made no row; see the table `order_feed_messages`."""

    status: str
    reason: str
    text: str


@dataclass
class Portion:
    """What was read in one go, and how far that is.

    rows : each with the place and the text it came with. told : messages to be kept, by place; None takes back what was told there.
    counts : what was read, in words.
    """

    rows: list[tuple[Place, str, Row]] = field(default_factory=list)
    told: dict[Place, Told | None] = field(default_factory=dict)
    marks: dict[str, Mark] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)

    def add(self, later: Portion) -> None:
        """Takes in what was read after it."""
        self.rows += later.rows
        self.told |= later.told
        self.marks |= later.marks
        self.counts += later.counts

    def tell(self, place: Place, status: str, reason: str, text: str) -> None:
        self.told[place] = Told(status, reason, text[:MOST_TEXT])


class Execution(NamedTuple):
    """An execution report that made a row of orders: the fill that it is of and its number there, the order that was filled, the session
    it came in, and its units: zero for a cancel."""

    order_id: str
    sequence: int
    parent_order_id: str | None
    session: str | None
    units: Fraction


@dataclass(frozen=True)
class Resumed:
    """Where a feed was when it last committed. executions : by ExecID, of all that came by FIX."""

    marks: Mapping[str, Mark]
    told: Mapping[Place, Told]
    executions: Mapping[str, Execution]


class Source(Protocol):
    """Where orders come from. One thread reads it."""

    def resume(self, at: Resumed) -> None:
        """Goes on where the feed was."""

    def read(self, seconds: float) -> Portion | None:
        """What comes next, a bounded portion; None where nothing has come within these seconds."""

    def lag(self) -> dict[str, int]:
        """What is there and has not been read, by what it is counted in."""

    def drained(self) -> bool:
        """Whether nothing is left to read unless more comes."""

    def close(self) -> None:
        """Lets go of what it has opened."""
