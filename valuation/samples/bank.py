"""The sample bank: its legal entities, desks, books, portfolios, clients and counterparties. All names are invented."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from lake.arrays import Ints

LEGAL_ENTITIES = ("Meridane Bank NY", "Meridane Bank London", "Meridane Bank Tokyo", "Meridane Bank Frankfurt")
_NY, _LONDON, _TOKYO, _FRANKFURT = range(len(LEGAL_ENTITIES))

# Desk to the legal entities of its books. Every desk has books in two entities at least, so that it can trade
# back-to-back between them.
DESKS: dict[str, tuple[int, ...]] = {
    "US Equities": (_NY, _NY, _NY, _LONDON),
    "European Equities": (_LONDON, _LONDON, _FRANKFURT),
    "Equity Derivatives": (_NY, _NY, _LONDON, _LONDON, _FRANKFURT),
    "Foreign Exchange": (_LONDON, _LONDON, _NY, _TOKYO, _FRANKFURT),
    "Government Bonds": (_NY, _NY, _TOKYO, _TOKYO, _LONDON),
    "Interest Rate Swaps": (_NY, _NY, _LONDON, _FRANKFURT),
    "Commodities": (_LONDON, _NY, _TOKYO),
    "Credit Trading": (_NY, _NY, _LONDON, _FRANKFURT),
    "Rates Options": (_NY, _LONDON, _FRANKFURT),
    "Inflation": (_LONDON, _NY),
    "Treasury": (_NY, _LONDON, _TOKYO, _FRANKFURT),
}
_STRATEGIES = ("Market Making", "Client Flow", "Relative Value", "Hedging", "Structured")

_SECTORS = (
    "bank",
    "asset manager",
    "pension fund",
    "insurer",
    "hedge fund",
    "corporate",
    "sovereign",
    "central counterparty",
)
_FORMS = (
    "Bank",
    "Asset Management",
    "Pension Fund",
    "Insurance",
    "Capital",
    "Industries",
    "Treasury Agency",
    "Clearing",
)
_SECTOR_ODDS = (0.27, 0.18, 0.11, 0.11, 0.14, 0.14, 0.03, 0.02)
_RATINGS = ("AAA", "AA", "A", "BBB", "BB", "B")
_RATING_ODDS = (0.05, 0.20, 0.34, 0.26, 0.11, 0.04)
_FIRST = ("Vel", "Tor", "Osk", "Brel", "Quin", "Sarn", "Mord", "Hal", "Jup", "Kest", "Lum", "Nor", "Pra", "Rud", "Thal")
_SECOND = ("adane", "enmoor", "iveth", "ostrand", "uvane", "ymark", "ellin", "arrow", "ington", "eska")

N_COUNTERPARTIES = 150
N_CLIENTS = 300


@dataclass(frozen=True)
class Bank:
    """Who the bank is and whom it trades with.

    A book, portfolio, account or counterparty is its index in the tuple of names here. `books_of` lists those
    of a desk; `entity_of_book` and `desk_of_book` lead back. `accounts_of_client` lists a client's accounts,
    `counterparty_of_client` its counterparty. Accounts of the house follow those of the clients, one an entity;
    counterparties inside the bank follow those outside, one an entity. `dealers` are the banks among the outside.
    """

    books: tuple[str, ...]
    desk_of_book: Ints
    entity_of_book: Ints
    portfolios: tuple[str, ...]
    desk_of_portfolio: Ints
    accounts: tuple[str, ...]
    clients_of_account: tuple[str, ...]
    first_account: Ints
    n_accounts: Ints
    counterparty_of_client: Ints
    counterparties: tuple[str, ...]
    ratings: tuple[str, ...]
    sectors: tuple[str, ...]
    dealers: Ints

    def books_of(self, desk: str) -> Ints:
        return np.flatnonzero(self.desk_of_book == list(DESKS).index(desk))

    def house_account(self, entity: Ints) -> Ints:
        return len(self.accounts) - len(LEGAL_ENTITIES) + entity

    def inside(self, entity: Ints) -> Ints:
        """The legal entity as a counterparty of another one."""
        return N_COUNTERPARTIES + entity


def found_bank(rng: np.random.Generator) -> Bank:
    """A bank of four legal entities, eleven desks, 55 portfolios, 150 counterparties and 300 clients."""
    desks = list(DESKS)
    initials = ["".join(word[0] for word in desk.split()) for desk in desks]
    initials = [i if initials.count(i) == 1 else desk[:2].upper() for i, desk in zip(initials, desks, strict=True)]
    towns = [entity.split()[-1] for entity in LEGAL_ENTITIES]
    books = [
        (f"{initials[d]}-{towns[e]}-{n + 1}", d, e) for d, desk in enumerate(desks) for n, e in enumerate(DESKS[desk])
    ]
    portfolios = [(f"{desk} {strategy}", d) for d, desk in enumerate(desks) for strategy in _STRATEGIES]

    names = [a + b for a, b in itertools.product(_FIRST, _SECOND)]
    sector = rng.choice(len(_SECTORS), N_COUNTERPARTIES, p=_SECTOR_ODDS)
    sector[:3] = 0  # dealers there are, whatever the draw
    rating = rng.choice(_RATINGS, N_COUNTERPARTIES, p=_RATING_ODDS)
    order = rng.permutation(len(names))[:N_COUNTERPARTIES]
    counterparties = [f"{names[o]} {_FORMS[s]}" for o, s in zip(order, sector, strict=True)]

    # each counterparty has a client, some have several
    owner = np.append(
        rng.permutation(N_COUNTERPARTIES), rng.integers(0, N_COUNTERPARTIES, N_CLIENTS - N_COUNTERPARTIES)
    )
    n_accounts = rng.integers(1, 4, N_CLIENTS)
    clients = [f"{counterparties[c].split()[0]} Fund {n + 1:03d}" for n, c in enumerate(owner)]
    accounts = [(f"C{n + 1:03d}-{a + 1}", clients[n]) for n in range(N_CLIENTS) for a in range(n_accounts[n])]
    accounts += [(f"HOUSE-{town.upper()}", "House") for town in towns]
    return Bank(
        books=tuple(b for b, _, _ in books),
        desk_of_book=np.array([d for _, d, _ in books]),
        entity_of_book=np.array([e for _, _, e in books]),
        portfolios=tuple(p for p, _ in portfolios),
        desk_of_portfolio=np.array([d for _, d in portfolios]),
        accounts=tuple(a for a, _ in accounts),
        clients_of_account=tuple(c for _, c in accounts),
        first_account=np.cumsum(n_accounts) - n_accounts,
        n_accounts=n_accounts,
        counterparty_of_client=owner,
        counterparties=(*counterparties, *LEGAL_ENTITIES),
        ratings=(*rating.tolist(), *["A"] * len(LEGAL_ENTITIES)),
        sectors=(*[_SECTORS[s] for s in sector], *["bank"] * len(LEGAL_ENTITIES)),
        dealers=np.flatnonzero(sector == 0),
    )
