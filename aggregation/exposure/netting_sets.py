"""Netting sets: which positions net with which, under which agreement, and what collateral is held against them.

Positions of a counterparty and one of our legal entities are in the netting set of the agreement that covers their instrument type on
the day. A trade without such an agreement nets with nothing: it is a netting set of its own.
"""

from __future__ import annotations

import datetime as dt
import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from aggregation.book.book import Book
from aggregation.exposure.reference import Agreement, agreements_of
from aggregation.opened.inputs import Inputs
from aggregation.opened.opened_lake import VectorCache
from aggregation.opened.remembered import remembered
from aggregation.reduce.currency import Conversion, conversion
from lake.arrays import Bools, Codes, Floats, Ints
from lake.errors import counted
from lake.landing.reference import ALONE
from lake.tables import Lake, Snapshot
from lake.words import first_of
from scenarios.store import load_scenario_set


@dataclass(frozen=True)
class NettingSet:
    """A netting set. agreement : None of a trade alone, whose id is `trade:` and the trade."""

    id: str
    counterparty: str | None
    legal_entity: str | None
    agreement: Agreement | None


@dataclass(frozen=True)
class Collateral:
    """What is held of each netting set in one currency, shape (n_sets,) each, held positive and posted negative.

    variation : variation margin. initial : initial margin that is not segregated; segregated : that which is.
    """

    variation: Floats
    initial: Floats
    segregated: Floats


@dataclass(frozen=True)
class Balance:
    """A balance of collateral of the netting set of this code."""

    code: int
    kind: str
    amount: float
    currency: str
    segregated: bool


@dataclass(frozen=True)
class NettingSets:
    """The netting sets of the positions of a book that are kept.

    position : (n_kept,) places in the book, ascending. code : (n_kept,) netting set of each. Sets with an agreement come first, by id, then
    trades alone, by trade. counterparties, legal_entities : of each set, length n_sets. agreements : of the first sets; the others are
    trades alone. whole : (n_sets,) whether all positions of the set in the book are kept: what is held
    as collateral is held against all of them. balances : of the sets with an agreement. notes : what a reader must know.
    """

    as_of: dt.date
    position: Ints
    code: Codes
    ids: Sequence[str]
    counterparties: Sequence[str | None]
    legal_entities: Sequence[str | None]
    agreements: Sequence[Agreement]
    whole: Bools
    balances: tuple[Balance, ...]
    notes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, code: int) -> NettingSet:
        agreement = self.agreements[code] if code < len(self.agreements) else None
        return NettingSet(self.ids[code], self.counterparties[code], self.legal_entities[code], agreement)

    @property
    def n_alone(self) -> int:
        """Trades that net with nothing."""
        return len(self) - len(self.agreements)

    @functools.cached_property
    def currencies(self) -> tuple[str, ...]:
        """Currencies of the balances and of the amounts of the agreements."""
        return tuple(sorted({b.currency for b in self.balances} | {a.currency for a in self.agreements}))

    def collateral(self, rate: Callable[[str], float]) -> Collateral:
        """What is held of each set; rate : gives the price of one unit of a currency in the one that is asked for."""
        held = Collateral(*(np.zeros(len(self)) for _ in range(3)))
        for b in self.balances:  # in a fixed order: sums have the same bits
            into = held.variation if b.kind == "variation" else held.segregated if b.segregated else held.initial
            into[b.code] += b.amount * rate(b.currency)
        return held


def netting_sets(
    snapshot: Snapshot,
    cache: VectorCache,
    book: Book,
    keep: Bools,
    as_of: dt.date,
    balanced_on: dt.date | None = None,
    among: Bools | None = None,
) -> NettingSets:
    """The netting sets of the positions of a book that are kept, (n_positions,), under the agreements of a day and with its balances,
    or with those of another day. among : (n_positions,) the positions that a whole set consists of, where that is not all.

    Raises `BadInput` for a book of P&L rows, which has no trades.
    """
    lake = snapshot.lake
    held_at, balanced_at = (snapshot.versions.get(t, lake.version(t)) for t in ("agreements", "collateral"))
    agreements = cache.keep(
        ("agreements", held_at, as_of), lambda: agreements_of(lake.at({"agreements": held_at}), as_of)
    )
    known = list(agreements.values())
    place = remembered(
        "agreement of each position", (book, agreements), lambda: _places(book, known), lambda p: p.nbytes
    )
    position = np.flatnonzero(keep)
    own = place[position]
    enforced = np.array([a.netting for a in known], np.bool_)
    unenforced = np.zeros(len(position), np.bool_)
    unenforced[own >= 0] = ~enforced[own[own >= 0]]
    nets = (own >= 0) & ~unenforced
    used, of_set = np.unique(own[nets], return_inverse=True)
    under = [known[k] for k in used.tolist()]
    alone, trade = position[~nets], book.column("trade")
    by_trade = np.argsort(trade.codes[alone], kind="stable")
    code = np.empty(len(position), np.int32)
    code[nets] = of_set
    code[np.flatnonzero(~nets)[by_trade]] = len(used) + np.arange(len(alone), dtype=np.int32)

    def members(name: str) -> list[str | None]:
        column = book.column(name)
        return column.members.take(pa.array(column.codes[alone[by_trade]])).to_pylist()  # type: ignore[no-any-return]

    everywhere = np.bincount(place[place >= 0 if among is None else (place >= 0) & among], minlength=len(known))[used]
    whole = np.ones(len(used) + len(alone), np.bool_)
    whole[: len(used)] = everywhere == np.bincount(of_set, minlength=len(used))
    day = balanced_on or as_of
    balances, unbalanced = _balances(lake.at({"collateral": balanced_at}), day, under)
    clients = members("counterparty")
    notes = [
        *_of_agreements(as_of, clients, int(unenforced.sum()), len(known)),
        *_of_collateral(lake.reader, day, under, whole, unbalanced),
    ]
    return NettingSets(
        as_of,
        position,
        code,
        [*(a.agreement for a in under), *(f"{ALONE}{t}" for t in members("trade"))],
        [*(a.counterparty for a in under), *clients],
        [*(a.legal_entity for a in under), *members("legal_entity")],
        under,
        whole,
        balances,
        tuple(notes),
    )


def base_rates(inputs: Inputs, currencies: Sequence[str], reporting: str) -> dict[str, float]:
    """Price of one unit of each currency in the reporting currency at the base market of the inputs.

    Raises `MissingRiskFactor` for a pair that their scenario set has no rate for.
    """

    def make() -> Conversion:
        scenarios = load_scenario_set(inputs.snapshot, inputs.valuation_set.scenario_set_id)
        return conversion(scenarios, currencies, currencies, reporting, fx_moves=False)

    if set(currencies) <= {reporting}:
        return dict.fromkeys(currencies, 1.0)
    read = ("base rates", tuple(currencies), reporting)
    rates = remembered(read, (inputs.vectors,), make, lambda r: r.base.nbytes + r.scenarios.nbytes)
    return dict(zip(currencies, rates.base.tolist(), strict=True))


def _places(book: Book, agreements: Sequence[Agreement]) -> Codes:
    """The agreement that covers each position, by its place among them, (n_positions,); -1 for none."""
    client, entity, kind = (book.column(n) for n in ("counterparty", "legal_entity", "instrument_type"))
    clients, entities = ({m: i for i, m in enumerate(c.members.to_pylist())} for c in (client, entity))
    types = kind.members.to_pylist()
    pairs = np.zeros(
        (len(clients), len(entities)), np.int32
    )  # row of `covers` of each pair; the first is of those without
    covers = [np.full(len(types), -1, np.int32)]
    for k, agreement in enumerate(agreements):
        if agreement.counterparty not in clients or agreement.legal_entity not in entities:
            continue
        pair = clients[agreement.counterparty], entities[agreement.legal_entity]
        if not pairs[pair]:
            pairs[pair] = len(covers)
            covers.append(np.full(len(types), -1, np.int32))
        covers[pairs[pair]][[agreement.covers(t) for t in types]] = k
    found: Codes = np.array(covers)[pairs[client.codes, entity.codes], kind.codes]
    return found


def _balances(lake: Lake, as_of: dt.date, under: Sequence[Agreement]) -> tuple[tuple[Balance, ...], list[str]]:
    """The balances of the agreements on the day, in order; and the margined agreements that have none."""
    code = {a.agreement: k for k, a in enumerate(under)}
    rows = [r for r in lake.read("collateral", among={"as_of_date": [as_of]}).to_pylist() if r["agreement"] in code]
    found = sorted(
        (Balance(code[r["agreement"]], r["kind"], r["amount"], r["currency"], r["segregated"]) for r in rows),
        key=lambda b: (b.code, b.kind, b.currency, b.segregated),
    )
    there = {b.code for b in found}
    return tuple(found), [a.agreement for k, a in enumerate(under) if a.margined and k not in there]


def _of_agreements(as_of: dt.date, clients: Sequence[str | None], unenforced: int, known: int) -> list[str]:
    """What is said of trades that net with nothing."""
    notes = []
    nobody = sum(c is None for c in clients)
    without = len(clients) - unenforced - nobody
    if without:
        why = "The lake holds no agreement on that day." if not known else ""
        some = first_of(sorted({c for c in clients if c is not None}))
        notes.append(
            f"{counted(without, 'position')} without an agreement on {as_of} net with nothing; each is a netting set of its own, where it "
            f"counts: with {some}. "
            f"{why}".strip()
        )
    if nobody:
        notes.append(f"{counted(nobody, 'trade')} without a counterparty; each is a netting set of its own.")
    if unenforced:
        notes.append(
            f"{counted(unenforced, 'trade')} under agreements whose netting is not enforceable; each is a netting set of its own, "
            "and no collateral of these agreements counts."
        )
    return notes


def _of_collateral(
    reader: str, as_of: dt.date, under: Sequence[Agreement], whole: Bools, unbalanced: Sequence[str]
) -> list[str]:
    """What is said of collateral that is left out, or held against more than is asked about."""
    if reader:
        return (
            ["Collateral is left out: balances are of whole netting sets, and you see a part of the book."]
            if under
            else []
        )
    notes = []
    if parts := [a.agreement for a, all_of_it in zip(under, whole.tolist(), strict=False) if not all_of_it]:
        notes.append(
            f"Of {counted(len(parts), 'netting set')} ({first_of(parts)}) a part of the trades is asked about; "
            "collateral is held against all."
        )
    if unbalanced:
        notes.append(
            f"{counted(len(unbalanced), 'margined agreement')} ({first_of(unbalanced)}) without a balance of collateral on {as_of}; "
            "none is taken as held."
        )
    return notes
