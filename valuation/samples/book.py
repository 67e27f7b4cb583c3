"""A sample bank book on the risk factors the lake holds, written as the positions files a user would bring.

Not a model of any bank: its use is to have every instrument, long and short positions, hedges that net, shared contracts
and day-to-day change at any size. The same seed gives the same bytes. The book lives from its first date on, business day
by business day, so a date's book does not depend on which later dates are asked for.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.csv as pcsv
import pyarrow.parquet as pq

from lake.arrays import Ints
from lake.errors import BadInput, NotFound
from lake.landing.positions_file import ATTRIBUTE
from lake.tables import Snapshot
from scenarios.market.calendars import sessions
from valuation.catalogue import all_term_fields
from valuation.samples.bank import DESKS, LEGAL_ENTITIES, found_bank
from valuation.samples.contract_frames import COLUMNS
from valuation.samples.days import CALENDAR, DayMarket, MarketDays
from valuation.samples.products import PRODUCTS, missing_products

PARQUET_FROM = 200_000  # positions; below, CSV

NEW, CLOSED, AMENDED = 0.01, 0.007, 0.005  # of the trades, a day; closed includes matured
_FRESH = 0.6  # of the new trades on contracts struck today, the others on contracts struck before

# USD that an ordinary trade moves on an ordinary day, for a book of one trade; shrinks with the root of their number,
# so that the bank's one-day 99% VaR is some tens of millions whatever its size.
_BANK_RISK = 8e6
_SPREAD, _LARGEST = 0.8, 2.0  # standard deviation and greatest deviation of the log of a trade's size

# A ticket is what was agreed at once, in one to three trades; closed and amended as a whole, so that what nets stays net.
_OUTRIGHT, _OFFSET, _BACK_TO_BACK, _HEDGED = range(4)
_LEGS = np.array([1, 2, 3, 2])
_ODDS = (0.62, 0.2, 0.18, 0.0)
_ODDS_WITH_HEDGE = (0.35, 0.12, 0.13, 0.4)


def book_dates(dates: str | Sequence[dt.date]) -> tuple[dt.date, ...]:
    """Business days of New York: `A:B` for all from A to B, `D1,D2` for these, or the dates themselves; ascending."""
    if not isinstance(dates, str):
        return _business_days(dates)
    if ":" not in dates:
        return _business_days([_date(d) for d in dates.split(",")])
    first, last = (_date(d) for d in dates.split(":", 1))
    return _business_days(sessions(CALENDAR, first, last).tolist())


def _date(text: str) -> dt.date:
    try:
        return dt.date.fromisoformat(text.strip())
    except ValueError:
        raise BadInput(
            f"{text.strip()!r} is not a date; give dates as 2020-02-14,2020-03-16 or as 2020-02-14:2020-03-16."
        ) from None


def _business_days(dates: Sequence[dt.date]) -> tuple[dt.date, ...]:
    if not dates:
        raise BadInput("There is no business day of New York among the dates; give at least one.")
    known = set(sessions(CALENDAR, min(dates), max(dates)).tolist())
    closed = sorted(set(dates) - known)
    if closed:
        near = sessions(CALENDAR, closed[0] - dt.timedelta(days=5), closed[0] + dt.timedelta(days=5))
        raise BadInput(f"{closed[0]} is not a business day of New York; near it are {', '.join(map(str, near))}.")
    return tuple(sorted(set(dates)))


def write_sample_book(
    snapshot: Snapshot, directory: str | Path, *, positions: int, dates: str | Sequence[dt.date], seed: int
) -> tuple[Path, ...]:
    """Writes one positions file a date, `positions` trades on the first; the paths, in date order.

    `dates` as in `book_dates`. Raises `BadInput` for dates that are no business days, `NotFound` where the lake has no
    market on a date.
    """
    if positions < 1 or seed < 0:
        raise BadInput(f"{positions} positions with seed {seed} were asked for; give 1 or more, and a seed from 0 on.")
    wanted = book_dates(dates)
    book = _SampleBook(MarketDays(snapshot, wanted[0], wanted[-1]), positions, seed)
    folder = Path(directory)
    files = []
    for date in sessions(CALENDAR, wanted[0], wanted[-1]):
        book.live_through(date)
        if date.item() in wanted:
            folder.mkdir(parents=True, exist_ok=True)
            path = folder / f"positions-{date}.{'csv' if positions <= PARQUET_FROM else 'parquet'}"
            rows = book.rows(date)
            if path.suffix == ".csv":
                pcsv.write_csv(rows, path)
            else:
                pq.write_table(rows, path)
            files.append(path)
    return tuple(files)


class _SampleContracts:
    """Every contract the bank ever made, in order; `named` finds the present one by its instrument."""

    def __init__(self) -> None:
        self.frame = pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in COLUMNS.items()})
        self.named: dict[str, int] = {}

    def add(self, made: Mapping[str, pd.DataFrame]) -> dict[str, Ints]:
        """Rows of the contracts made, the distinct ones, by product; those that exist already are found, not made again."""
        rows: dict[str, Ints] = {}
        new = []
        count = len(self.frame)
        for product, contracts in made.items():
            found: list[int] = []
            first: list[int] = []
            for i, name in enumerate(contracts.get("instrument", ())):
                row = self.named.get(name)
                if row is None:
                    row = self.named[name] = count
                    first.append(i)
                    count += 1
                found.append(row)
            rows[product] = np.unique(np.array(found, dtype=np.int64))
            new.append(contracts.iloc[first].assign(product=product))
        self._append(new)
        return rows

    def _append(self, parts: Sequence[pd.DataFrame]) -> None:
        """Contracts of several instruments, each with columns of its own."""
        parts = [part for part in parts if len(part)]
        if not parts:
            return
        ends = np.cumsum([0, *map(len, parts)]).tolist()
        columns: dict[str, npt.NDArray[Any]] = {}
        for part, begin, end in zip(parts, ends, ends[1:], strict=False):
            for name, values in part.items():
                if name not in columns:
                    # terms as objects, so that a whole number stays one where other rows have no such term
                    columns[str(name)] = np.full(ends[-1], None, dtype=COLUMNS.get(str(name), "object"))
                columns[str(name)][begin:end] = values.to_numpy()
        made = pd.DataFrame(columns)
        self.frame = pd.concat([self.frame, made] if len(self.frame) else [made], ignore_index=True)

    def column(self, name: str, dtype: Any) -> npt.NDArray[Any]:
        column: npt.NDArray[Any] = self.frame[name].to_numpy()
        return column.astype(dtype, copy=False)

    def readable(self, market: DayMarket) -> npt.NDArray[np.bool_]:
        """Whether each contract's risk factors all have a level."""
        codes, reads = pd.factorize(self.frame["reads"])
        by_reads = np.array([market.has(r) for r in reads], dtype=bool)
        readable: npt.NDArray[np.bool_] = by_reads[codes]
        return readable

    def renew(self, rows: Ints, days: MarketDays, market: DayMarket) -> Ints:
        """The contracts that take the place of these, with what has been observed since; those that nothing changes stay."""
        becomes = rows.copy()
        of = self.column("product", str)[rows]
        changed, count = [], len(self.frame)
        for product in dict.fromkeys(of.tolist()):
            renew = PRODUCTS[product].renew
            assert renew is not None  # no other has a day of a next observation
            here = np.flatnonzero(of == product)
            old = self.frame.iloc[rows[here]].dropna(axis="columns", how="all")
            made = renew(old, days, market)
            terms = [name for name in made if name not in COLUMNS]
            same = (made[terms].astype(str) == old.reindex(columns=terms).astype(str)).all(axis="columns").to_numpy()
            for name in ("next_reset", "ends"):
                at = self.frame.columns.get_loc(name)
                self.frame.iloc[rows[here[same]], at] = made[name].to_numpy()[same]
            becomes[here[~same]] = count + np.arange((~same).sum())
            count += int((~same).sum())
            self.named.update(zip(made["instrument"][~same], becomes[here[~same]].tolist(), strict=True))
            changed.append(made[~same])
        self._append(changed)
        return becomes


class _SampleBook:
    """The bank's trades on one day after the other."""

    def __init__(self, days: MarketDays, positions: int, seed: int) -> None:
        self.days = days
        self.positions = positions
        self.seed = seed
        self.bank = found_bank(np.random.default_rng([seed, 0]))
        self.contracts = _SampleContracts()
        self.trades = pd.DataFrame()
        self.tickets = 0
        self.numbered = 0
        self.trade_risk = _BANK_RISK / math.sqrt(positions)

    def live_through(self, date: np.datetime64) -> None:
        """Moves the book to the end of the next business day."""
        if not self.days.quoted(date):
            raise NotFound(f"The lake holds no market on {date}; {self.days.range()}.")
        market = self.days.on(date)
        rng = np.random.default_rng([self.seed, int(date.astype(int))])
        if market.previous is None:
            self.trades = self._new_trades(rng, market, self.positions)
            return
        count = len(self.trades)
        self._mature(market)
        self._fix(market)
        ended = count - len(self.trades)
        self._close_and_amend(rng, _whole(rng, CLOSED * count) - ended, _whole(rng, AMENDED * count))
        new = self._new_trades(rng, market, _whole(rng, NEW * count))
        self.trades = pd.concat([self.trades, new], ignore_index=True)

    def _mature(self, market: DayMarket) -> None:
        """Drops tickets that have ended, and those whose market is no longer quoted."""
        contract = self.trades["contract"].to_numpy()
        ended = self.trades["ends"].to_numpy() <= market.date
        ended |= self.contracts.column("ends", "datetime64[D]")[contract] <= market.date  # what a barrier has ended
        ended |= ~self.contracts.readable(market)[contract]
        tickets = self.trades["ticket"].to_numpy()
        self.trades = self.trades[~np.isin(tickets, tickets[ended])].reset_index(drop=True)

    def _fix(self, market: DayMarket) -> None:
        """Contracts with an observation since yesterday become contracts that know it."""
        due = self.contracts.column("next_reset", "datetime64[D]") <= market.date
        contract = self.trades["contract"].to_numpy()
        rows = np.unique(contract[due[contract]])
        if len(rows):
            becomes = np.arange(len(self.contracts.frame))
            becomes[rows] = self.contracts.renew(rows, self.days, market)
            self.trades["contract"] = becomes[contract]

    def _close_and_amend(self, rng: np.random.Generator, close: int, amend: int) -> None:
        tickets, legs = np.unique(self.trades["ticket"].to_numpy(), return_counts=True)
        order = rng.permutation(len(tickets))
        reached = np.cumsum(legs[order])
        closed = tickets[order[reached <= close]]
        amended = tickets[order[(reached > max(close, 0)) & (reached <= max(close, 0) + amend)]]
        factors = pd.Series(rng.choice([0.5, 0.8, 1.25, 1.5], len(amended)), index=amended)
        self.trades = self.trades[~self.trades["ticket"].isin(closed)].reset_index(drop=True)
        touched = self.trades["ticket"].isin(amended).to_numpy()
        quantity = self.trades["quantity"].to_numpy().copy()
        lot = self.contracts.column("lot", float)[self.trades["contract"].to_numpy()[touched]]
        old = quantity[touched]
        new = _lots(old * factors.loc[self.trades["ticket"].to_numpy()[touched]].to_numpy(), lot)
        quantity[touched] = np.where(new == old, old + np.sign(old) * lot, new)
        self.trades["quantity"] = quantity

    def _new_trades(self, rng: np.random.Generator, market: DayMarket, count: int) -> pd.DataFrame:
        """So many new trades over all products that the market at hand allows."""
        if not count:
            return self.trades.iloc[:0]
        made = self.contracts.add(
            {
                name: product.make(
                    rng, self.days, market, math.ceil(count * product.share / product.trades_per_contract)
                )
                for name, product in PRODUCTS.items()
            }
        )
        alive = self.contracts.readable(market)
        alive &= self.contracts.column("ends", "datetime64[D]") > market.date + 5
        alive &= self.contracts.column("next_reset", "datetime64[D]") > market.date  # not held when its rate was fixed
        present = np.zeros(len(alive), dtype=bool)
        present[list(self.contracts.named.values())] = True
        of = self.contracts.frame["product"].to_numpy()
        older = {name: np.setdiff1d(np.flatnonzero(alive & present & (of == name)), made[name]) for name in PRODUCTS}
        names = [name for name in PRODUCTS if len(made[name]) or len(older[name])]
        if not names:
            raise missing_products(market)
        shares = np.array([PRODUCTS[name].share for name in names])
        counts = rng.multinomial(count, shares / shares.sum())
        parts = [
            self._product_trades(rng, PRODUCTS[name].desk, made[name], older[name], n)
            for name, n in zip(names, counts.tolist(), strict=True)
            if n
        ]
        trades = pd.concat(parts, ignore_index=True)
        trades["number"] = self.numbered + 1 + np.arange(len(trades))
        self.numbered += len(trades)
        return trades

    def _product_trades(self, rng: np.random.Generator, desk: str, made: Ints, older: Ints, count: int) -> pd.DataFrame:
        """So many trades of one product, in tickets."""
        bank, contracts = self.bank, self.contracts
        hedge_of = contracts.frame["hedge"].to_numpy()
        hedgeable = hedge_of[(made if len(made) else older)[0]] is not None
        kind = rng.choice(4, count, p=_ODDS_WITH_HEDGE if hedgeable else _ODDS)
        kind = kind[np.cumsum(_LEGS[kind]) <= count]
        kind = np.append(kind, np.full(count - _LEGS[kind].sum(), _OUTRIGHT))
        n = len(kind)
        fresh = (rng.random(n) < _FRESH) | (len(older) == 0) if len(made) else np.zeros(n, dtype=bool)
        main = np.where(fresh, _popular(rng, made, n), _popular(rng, older, n))
        lot = contracts.column("lot", float)[main]
        size = np.exp(np.clip(rng.normal(0.0, _SPREAD, n), -_LARGEST, _LARGEST))
        size *= self.trade_risk / contracts.column("risk", float)[main]
        main_quantity = _lots(size * rng.choice([-1.0, 1.0], n), lot)
        offset = _lots(-main_quantity * rng.uniform(0.7, 1.0, n), lot)
        own_book = rng.choice(bank.books_of(desk), n)
        second_book = rng.choice(bank.books_of(desk), n)
        other_book = self._book_elsewhere(rng, desk, own_book)
        strategy = rng.integers(0, len(bank.portfolios) // len(DESKS), n)
        clients = (len(bank.n_accounts) * rng.random((2, n)) ** 1.5).astype(int)  # some trade more than others
        house = rng.random(n) < 0.2
        dealer = bank.dealers[rng.integers(0, len(bank.dealers), n)]

        legs = _LEGS[kind]
        t = np.repeat(np.arange(n), legs)  # the ticket of each trade
        leg = np.arange(count) - np.repeat(np.cumsum(legs) - legs, legs)
        offsets = (leg == 1) & (kind[t] == _OFFSET)
        passes_on = (leg == 1) & (kind[t] == _BACK_TO_BACK)
        takes_over = leg == 2
        hedges = (leg == 1) & (kind[t] == _HEDGED)
        contract, quantity, book = main[t], main_quantity[t], own_book[t]
        quantity[offsets] = offset[t[offsets]]
        quantity[passes_on] *= -1.0
        if hedges.any():
            hedged = contract[hedges]
            contract[hedges] = [contracts.named[name.partition(":")[2]] for name in hedge_of[hedged]]
            quantity[hedges] = _lots(-quantity[hedges] * contracts.column("delta", float)[hedged], 1.0)
        book[offsets] = second_book[t[offsets]]
        book[takes_over] = other_book[t[takes_over]]
        entity = bank.entity_of_book[book]
        client = np.where(offsets, clients[1][t], clients[0][t])
        account = bank.first_account[client] + (bank.n_accounts[client] * rng.random(count)).astype(int)
        for_house = house[t] | passes_on | takes_over | hedges
        counterparty = np.where(for_house, dealer[t], bank.counterparty_of_client[client])
        counterparty[passes_on] = bank.inside(bank.entity_of_book[other_book[t[passes_on]]])
        counterparty[takes_over] = bank.inside(bank.entity_of_book[own_book[t[takes_over]]])
        first = self.tickets + 1
        self.tickets += n
        return pd.DataFrame(
            {
                "ticket": first + t,
                "contract": contract,
                "quantity": quantity,
                "book": book,
                "portfolio": bank.desk_of_book[book] * (len(bank.portfolios) // len(DESKS)) + strategy[t],
                "account": np.where(for_house, bank.house_account(entity), account),
                "counterparty": counterparty,
                "ends": contracts.column("ends", "datetime64[D]")[main][t].astype("datetime64[s]"),
            }
        )

    def _book_elsewhere(self, rng: np.random.Generator, desk: str, book: Ints) -> Ints:
        """For each book one of another legal entity, of the same desk or of Treasury."""
        entity = self.bank.entity_of_book
        candidates = np.concatenate([self.bank.books_of(desk), self.bank.books_of("Treasury")])
        draw = rng.random(len(book))
        out = np.empty_like(book)
        for own in np.unique(entity[book]):
            rows = entity[book] == own
            others = candidates[entity[candidates] != own]
            out[rows] = others[(draw[rows] * len(others)).astype(int)]
        return out

    def rows(self, date: np.datetime64) -> pa.Table:
        """The book as a positions file has it."""
        bank, trades = self.bank, self.trades

        def named(names: Sequence[str], codes: Ints) -> pa.Array:
            return pa.array(names, pa.string()).take(pa.array(codes))

        contract = trades["contract"].to_numpy()
        used, row = np.unique(contract, return_inverse=True)
        at = pa.array(row)
        frame = self.contracts.frame.iloc[used]
        book, account = trades["book"].to_numpy(), trades["account"].to_numpy()
        counterparty = trades["counterparty"].to_numpy()
        columns = {
            "positions_date": pa.repeat(pa.scalar(date.item(), pa.date32()), len(trades)),
            "trade": pa.array([f"T{n:09d}" for n in trades["number"].tolist()]),
            "quantity": pa.array(trades["quantity"].to_numpy()),
            "portfolio": named(bank.portfolios, trades["portfolio"].to_numpy()),
            "instrument": pa.array(frame["instrument"], pa.string()).take(at),
            "client": named(bank.clients_of_account, account),
            "account": named(bank.accounts, account),
            "desk": named(list(DESKS), bank.desk_of_book[book]),
            "book": named(bank.books, book),
            "legal_entity": named(LEGAL_ENTITIES, bank.entity_of_book[book]),
            "counterparty": named(bank.counterparties, counterparty),
            "instrument_type": pa.array(frame["instrument_type"], pa.string()).take(at),
        }
        for term in all_term_fields():
            if term in frame:
                # a term of two instruments may be a number in one and a text in the other
                values = frame[term].where(frame[term].notna(), None)
                mixed = values.map(type).isin([str]).any()
                columns[term] = pa.array(
                    values.map(str, na_action="ignore") if mixed else values, from_pandas=True
                ).take(at)
        columns[f"{ATTRIBUTE}counterparty_rating"] = named(bank.ratings, counterparty)
        columns[f"{ATTRIBUTE}counterparty_sector"] = named(bank.sectors, counterparty)
        return pa.table(columns)


def _lots(quantity: npt.NDArray[np.float64], lot: npt.NDArray[np.float64] | float) -> npt.NDArray[np.float64]:
    """Rounded to whole lots, one at least; alike for long and short, so that what nets stays net."""
    sign = np.where(quantity < 0, -1.0, 1.0)
    return sign * np.maximum(np.rint(np.abs(quantity) / lot), 1.0) * lot


def _popular(rng: np.random.Generator, pool: Ints, count: int) -> Ints:
    """Draws in which some contracts come up more often than others."""
    if not len(pool):
        return np.zeros(count, dtype=np.int64)
    drawn: Ints = rng.permutation(pool)[(len(pool) * rng.random(count) ** 1.5).astype(int)]
    return drawn


def _whole(rng: np.random.Generator, expected: float) -> int:
    """A whole number with this expectation."""
    return math.floor(expected + rng.random())
