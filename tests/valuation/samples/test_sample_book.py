"""The sample book: valid contracts on factors at hand, hedges that net, steady daily change, the same bytes for a seed."""

from __future__ import annotations

import datetime as dt
import itertools
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from support import factor, put_market, random_walks

from lake.committer import Committer
from lake.errors import BadInput, NotFound
from lake.tables import Lake
from scenarios.market.calendars import sessions
from scenarios.types import FactorIndex, RiskFactor
from valuation.books.positions import ingest_positions
from valuation.catalogue import INSTRUMENTS, all_term_fields, parse_terms
from valuation.samples import book as sample_book
from valuation.samples.bank import DESKS, LEGAL_ENTITIES
from valuation.samples.book import book_dates, write_sample_book

FIRST, LAST = dt.date(2020, 2, 14), dt.date(2020, 3, 16)
GONE_AFTER = dt.date(2020, 2, 26)
MONTH = "2020-02-14:2020-03-16"
SIZE = 3000


def pillar(currency: str, tenor: str) -> RiskFactor:
    return factor(f"YC:{currency}:{tenor}", "par_yield", currency, curve=currency, pillar=tenor)


FACTORS = [
    *(factor(f"EQ:{name}", "equity_price") for name in ("AAA", "BBB", "CCC", "GONE")),
    factor("EQ:UUU.L", "equity_price", "GBP"),
    factor("EQ:ZZZ.X", "equity_price", "XXX"),  # a currency without an exchange rate
    factor("IDX:SPX", "index_level"),
    *(factor(f"IV:{name}", "implied_vol") for name in ("AAA", "BBB", "GONE", "SPX", "ALONE")),
    *(pillar("USD", tenor) for tenor in ("3M", "1Y", "5Y", "10Y", "30Y")),
    *(pillar("JPY", tenor) for tenor in ("1Y", "10Y", "30Y")),
    *(factor(f"FX:EUR{c}", "fx_rate", c) for c in ("USD", "GBP", "JPY", "CHF")),
    *(factor(f"CMD:{name}", "commodity_price") for name in ("WTI", "GOLD")),
    factor("CR:US_HY", "credit_spread"),
]


def market_lake(folder: Path, factors: list[RiskFactor]) -> Lake:
    lake = Lake.create(folder / "lake")
    levels = random_walks(factors, dt.date(2019, 8, 1), LAST)
    for name in ("EQ:GONE", "IV:GONE"):
        levels[name] = {d: v for d, v in levels.get(name, {}).items() if d <= GONE_AFTER}
    if "EQ:UUU.L" in levels:
        levels["EQ:UUU.L"][dt.date(2020, 2, 18)] = None  # a holiday of its market
    put_market(lake, factors, levels)
    return lake


# what the desks trade in where the market holds no more than these factors
TRADED = {
    "cash_equity", "equity_forward", "equity_future", "equity_option", "equity_american_option", "equity_digital_option",
    "equity_barrier_option", "equity_asian_option", "fx_spot", "fx_forward", "fx_swap",
    "government_bond", "zero_bond", "fixed_bond", "step_bond", "amortising_bond", "deposit",
    "interest_rate_swap", "commodity_forward", "commodity_future", "commodity_swap",
}  # fmt: skip


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    return market_lake(tmp_path_factory.mktemp("market"), FACTORS)


def read(path: Path) -> pd.DataFrame:
    frame = pd.read_csv(path, dtype=str, keep_default_na=False)
    return frame.assign(quantity=frame["quantity"].astype(float))


@pytest.fixture(scope="module")
def month(lake: Lake, tmp_path_factory: pytest.TempPathFactory) -> dict[dt.date, pd.DataFrame]:
    files = write_sample_book(lake.snapshot(), tmp_path_factory.mktemp("book"), positions=SIZE, dates=MONTH, seed=1)
    return {dt.date.fromisoformat(f.stem.removeprefix("positions-")): read(f) for f in files}


def test_one_file_for_each_business_day(month: dict[dt.date, pd.DataFrame]) -> None:
    assert list(month) == sessions("XNYS", FIRST, LAST).tolist()
    assert dt.date(2020, 2, 17) not in month  # Presidents' Day
    assert len(month[FIRST]) == SIZE
    for day, book in month.items():
        assert set(book["positions_date"]) == {str(day)}
        assert book["trade"].is_unique
        assert book["trade"].is_monotonic_increasing


def test_the_bank(month: dict[dt.date, pd.DataFrame]) -> None:
    book = month[FIRST]
    # the Treasury, and no desk whose market is missing but where it takes a trade over
    assert set(book["desk"]) == set(DESKS) - {"Rates Options", "Inflation"}
    assert set(book["legal_entity"]) == set(LEGAL_ENTITIES)
    assert book["portfolio"].nunique() == 45
    assert 140 <= book["counterparty"].nunique() <= 160
    assert book["client"].nunique() > 250
    assert book.groupby("client")["account"].nunique().drop("House").between(1, 3).all()
    for name in ("book", "counterparty"):
        assert (
            book.groupby(name)["legal_entity" if name == "book" else "attribute.counterparty_rating"].nunique() == 1
        ).all()
    assert not (book[[*book.columns[:12], "attribute.counterparty_rating", "attribute.counterparty_sector"]] == "").any(
        axis=None
    )
    assert set(book["instrument_type"]) == TRADED
    assert (book["quantity"] > 0).mean() == pytest.approx(0.5, abs=0.05)


def test_every_contract_is_valid_alive_and_reads_factors_at_hand(
    lake: Lake, month: dict[dt.date, pd.DataFrame]
) -> None:
    terms = [t for t in all_term_fields() if t in month[FIRST]]
    gone = {"EQ:GONE", "IV:GONE"}
    for day in (FIRST, dt.date(2020, 2, 18), GONE_AFTER, LAST):
        at_hand = [f for f in FACTORS if day <= GONE_AFTER or f.risk_factor_id not in gone]
        index = FactorIndex.of(at_hand)
        contracts = month[day].drop_duplicates("instrument")
        ids = set()
        for row in contracts.to_dict("records"):
            parsed = parse_terms(row["instrument_type"], {t: row[t] for t in terms})
            parsed.check(day)  # neither matured nor without the fixing of its running period
            assert INSTRUMENTS[row["instrument_type"]].risk_factors(parsed, index, day)
            ids.add(parsed.contract_id())
        assert len(ids) == len(contracts), "an instrument is one contract"
        expected = gone if day <= GONE_AFTER else set()
        assert {u for u in contracts["underlying"] if u in gone} == expected - {"IV:GONE"}
        assert "EQ:ZZZ.X" not in set(contracts["underlying"])
        assert "EQ:UUU.L" in set(contracts["underlying"])


def test_swaps_take_a_new_fixing_when_they_reset(month: dict[dt.date, pd.DataFrame]) -> None:
    def swaps(day: dt.date) -> pd.DataFrame:
        return month[day].query("instrument_type == 'interest_rate_swap'").set_index("trade")

    both = swaps(FIRST).join(swaps(LAST), rsuffix="_later", how="inner")
    fixings = both["fixings"].str.count(":"), both["fixings_later"].str.count(":")
    assert set(fixings[0]) == {1}
    assert set(fixings[1]) == {1, 2}
    assert (both["instrument"] == both["instrument_later"]).all()


def test_trades_keep_who_and_what_for_life(month: dict[dt.date, pd.DataFrame]) -> None:
    constant = ["instrument", "portfolio", "client", "account", "desk", "book", "legal_entity", "counterparty"]
    both = month[FIRST].merge(month[LAST], on="trade", suffixes=("", "_later"))
    assert len(both) > 0.7 * SIZE
    for name in constant:
        assert (both[name] == both[f"{name}_later"]).all()


def test_daily_change(month: dict[dt.date, pd.DataFrame]) -> None:
    new, closed, amended = [], [], []
    days = [d for d in month if d <= GONE_AFTER]  # after it, trades on the share that is gone close at once
    for before, after in itertools.pairwise(days):
        both = month[before].merge(month[after], on="trade", how="outer", indicator=True)
        counts = both["_merge"].value_counts() / len(month[before])
        new.append(counts["right_only"])
        closed.append(counts["left_only"])
        kept = both[both["_merge"] == "both"]
        amended.append((kept["quantity_x"] != kept["quantity_y"]).sum() / len(month[before]))
    assert np.mean(new) == pytest.approx(0.01, abs=0.001)
    assert min(closed) > 0.005
    assert np.mean(closed) == pytest.approx(0.0075, abs=0.002)
    assert np.mean(amended) == pytest.approx(0.005, abs=0.0015)


def test_trades_within_the_bank_net_to_nothing(month: dict[dt.date, pd.DataFrame]) -> None:
    for day in (FIRST, LAST):
        inside = month[day][month[day]["counterparty"].isin(LEGAL_ENTITIES)]
        assert len(inside) > 0.05 * SIZE
        assert (inside.groupby("instrument")["quantity"].sum() == 0).all()
        assert (inside["legal_entity"] != inside["counterparty"]).all()


def test_long_and_short_in_one_contract_net(month: dict[dt.date, pd.DataFrame]) -> None:
    by = month[FIRST].groupby("instrument")["quantity"].agg([lambda q: abs(q.sum()), lambda q: q.abs().sum(), "size"])
    shared = by[by["size"] > 1]
    assert (shared.iloc[:, 0] / shared.iloc[:, 1]).mean() < 0.6


def test_delta_hedges_oppose_what_they_hedge(month: dict[dt.date, pd.DataFrame]) -> None:
    desk = month[FIRST].query("desk == 'Equity Derivatives'").reset_index(drop=True)
    hedges = desk.index[desk["instrument_type"] == "cash_equity"]
    assert len(hedges) > 0.1 * len(desk)
    hedged, hedge = desk.loc[hedges - 1].reset_index(drop=True), desk.loc[hedges].reset_index(drop=True)
    assert (hedged["underlying"] == hedge["underlying"]).all()
    assert (hedged["book"] == hedge["book"]).all()
    gains_when_up = np.where(hedged["option_type"] == "put", -1, 1) * np.sign(hedged["quantity"])
    assert (gains_when_up == -np.sign(hedge["quantity"])).all()
    assert (hedge["quantity"].abs() <= hedged["quantity"].abs()).all()


def test_many_trades_share_contracts(lake: Lake, tmp_path: Path) -> None:
    (path,) = write_sample_book(lake.snapshot(), tmp_path, positions=20_000, dates=[FIRST], seed=3)
    book = read(path)
    assert len(book) == 20_000
    assert 3 <= len(book) / book["instrument"].nunique() <= 6


def test_the_same_seed_gives_the_same_bytes_whichever_dates_are_asked_for(lake: Lake, tmp_path: Path) -> None:
    def written(name: str, dates: str, seed: int) -> dict[str, bytes]:
        files = write_sample_book(lake.snapshot(), tmp_path / name, positions=150, dates=dates, seed=seed)
        return {f.name: f.read_bytes() for f in files}

    every = written("every", "2020-02-14:2020-02-21", 5)
    assert written("again", "2020-02-14:2020-02-21", 5) == every
    some = written("some", "2020-02-14,2020-02-20", 5)
    assert list(some) == ["positions-2020-02-14.csv", "positions-2020-02-20.csv"]
    assert some == {name: every[name] for name in some}
    assert set(written("other", "2020-02-14", 6).values()).isdisjoint(every.values())


def test_the_files_load_whole_and_parquet_is_the_same_book(
    lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = market_lake(tmp_path, FACTORS)
    options = {"positions": 500, "dates": "2020-02-14,2020-03-16", "seed": 2}
    files = write_sample_book(own.snapshot(), tmp_path / "csv", **options)  # type: ignore[arg-type]
    monkeypatch.setattr(sample_book, "PARQUET_FROM", 499)
    typed = write_sample_book(own.snapshot(), tmp_path / "parquet", **options)  # type: ignore[arg-type]
    assert [f.suffix for f in (*files, *typed)] == [".csv", ".csv", ".parquet", ".parquet"]
    with Committer(own, "test") as committer:
        first = [ingest_positions(committer, f) for f in files]
        again = [ingest_positions(committer, f) for f in typed]
    assert [r.rejected for r in (*first, *again)] == [0, 0, 0, 0]
    assert [r.loaded for r in first] == [len(read(f)) for f in files]
    assert [r.dates[0].unchanged for r in again] == [r.loaded for r in first]
    assert again[-1].versions == first[-1].versions


def test_a_lake_with_few_factors_still_gives_a_whole_book(tmp_path: Path) -> None:
    lake = market_lake(tmp_path, [factor("EQ:AAA", "equity_price"), factor("CR:US_HY", "credit_spread")])
    first, last = write_sample_book(lake.snapshot(), tmp_path, positions=37, dates="2020-02-14,2020-02-28", seed=1)
    assert len(read(first)) == 37
    assert set(read(last)["instrument"]) == {"AAA"}


def test_a_lake_without_any_usable_factor_says_what_is_needed(tmp_path: Path) -> None:
    lake = market_lake(tmp_path, [factor("CR:US_HY", "credit_spread")])
    with pytest.raises(NotFound, match="it needs equity prices"):
        write_sample_book(lake.snapshot(), tmp_path, positions=10, dates="2020-02-14", seed=1)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        (
            {"dates": "2020-02-15"},
            BadInput,
            "2020-02-15 is not a business day of New York; near it are .*2020-02-14, 2020-02-18",
        ),
        ({"dates": "2020-02-17"}, BadInput, "not a business day"),
        ({"dates": "2020-02-15:2020-02-17"}, BadInput, "no business day"),
        ({"dates": "2020-03-16:2020-02-14"}, BadInput, "before the first date"),
        ({"dates": "14.2.2020"}, BadInput, "'14.2.2020' is not a date"),
        ({"dates": []}, BadInput, "at least one"),
        (
            {"dates": "2020-03-17"},
            NotFound,
            "no market on 2020-03-17; near it, market data reach from .* to 2020-03-16",
        ),
        ({"positions": 0}, BadInput, "0 positions"),
        ({"seed": -1}, BadInput, "seed -1"),
    ],
)
def test_bad_requests_say_what_is_wrong(
    lake: Lake, tmp_path: Path, options: dict[str, object], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        write_sample_book(lake.snapshot(), tmp_path, **{"positions": 10, "dates": "2020-02-14", "seed": 1, **options})  # type: ignore[arg-type]


def test_dates_as_text_or_as_dates() -> None:
    assert book_dates("2020-02-14:2020-02-19") == book_dates("2020-02-19, 2020-02-18,2020-02-14,2020-02-14")
    assert book_dates([LAST, FIRST]) == (FIRST, LAST)
