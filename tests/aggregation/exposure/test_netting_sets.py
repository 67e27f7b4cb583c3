"""Netting sets of a book: which positions net with which, what is held, and what is said of it."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import numpy as np
import pytest
from small_lake import FRIDAY, MONDAY

from aggregation.book.entitled_lake import entitled
from aggregation.book.entitlement import Entitlement
from aggregation.book.filters import select
from aggregation.exposure.netting_sets import NettingSets, base_rates, netting_sets
from aggregation.exposure.reference import agreements_of, classifications_of, counterparties_of
from aggregation.opened.inputs import open_inputs
from aggregation.opened.opened_lake import VectorCache
from aggregation.regulatory.credit.question import changed
from aggregation.types import RiskQuery
from lake.committer import Committer
from lake.errors import NotFound
from lake.landing.reference import ingest_agreements
from lake.tables import Lake


def sets_of(lake: Lake, as_of: dt.date = MONDAY, *filters: str) -> NettingSets:
    snapshot, cache = lake.snapshot(), VectorCache(lake)
    book = cache.book(snapshot, as_of)
    keep = select(book, RiskQuery(as_of=as_of, where=filters).where)
    return netting_sets(snapshot, cache, book, keep, as_of)


def bring(lake: Lake, text: str) -> None:
    path = lake.path.parent / "more-agreements.csv"
    path.write_text(text)
    with Committer(lake, "test") as committer:
        ingest_agreements(committer, path)


def trades(lake: Lake, sets: NettingSets) -> dict[str, list[str]]:
    """Trades by id of their netting set."""
    trade = VectorCache(lake).book(lake.snapshot(), sets.as_of).column("trade")
    found: dict[str, list[str]] = {}
    for place, code in zip(sets.position.tolist(), sets.code.tolist(), strict=True):
        found.setdefault(sets.ids[code], []).append(trade.members[trade.codes[place]].as_py())
    return {k: sorted(v) for k, v in sorted(found.items())}


def test_positions_net_under_the_agreement_of_their_counterparty_and_legal_entity(work_lake: Lake) -> None:
    sets = sets_of(work_lake)
    assert trades(work_lake, sets) == {"CSA-0": ["T00000-0", "T00000-2"], "NET-1": ["T00000-1", "T00000-3"]}
    assert (len(sets), sets.n_alone, sets.notes) == (2, 0, ())
    assert sets.whole.tolist() == [True, True]
    first = sets[0]
    assert (first.counterparty, first.legal_entity) == ("counterparty-0", "legal_entity-0")
    assert first.agreement is not None
    assert (first.agreement.threshold, first.agreement.margin_period_days) == (1000.0, 10)


def test_what_is_held_is_of_the_day_and_in_the_currency_asked_for(work_lake: Lake) -> None:
    monday = sets_of(work_lake)
    assert monday.currencies == ("EUR", "USD")
    held = monday.collateral({"USD": 1.0, "EUR": 1.25}.__getitem__)
    assert held.variation.tolist() == [15000.0, 0.0]
    assert held.segregated.tolist() == [3750.0, 0.0]
    assert held.initial.tolist() == [0.0, 0.0]
    friday = sets_of(work_lake, FRIDAY).collateral({"USD": 0.8}.__getitem__)
    assert friday.variation.tolist() == [16000.0, 0.0]
    assert friday.segregated.tolist() == [0.0, 0.0]


def test_a_part_of_a_netting_set_is_told_since_collateral_is_held_against_all_of_it(work_lake: Lake) -> None:
    sets = sets_of(work_lake, MONDAY, "desk=Options")
    assert trades(work_lake, sets) == {"CSA-0": ["T00000-2"], "NET-1": ["T00000-3"]}
    assert sets.whole.tolist() == [False, False]
    assert sets.notes == (
        "Of 2 netting sets (CSA-0, NET-1) a part of the trades is asked about; collateral is held against all.",
    )


def test_a_trade_without_an_agreement_nets_with_nothing_and_is_counted(work_lake: Lake) -> None:
    bring(
        work_lake,
        "agreement,counterparty,legal_entity,effective_from,instrument_types,netting,margined,currency\n"
        "NET-1,counterparty-1,legal_entity-1,2019-01-01,equity_option,true,false,USD\n",
    )
    sets = sets_of(work_lake)
    assert trades(work_lake, sets) == {
        "CSA-0": ["T00000-0", "T00000-2"],
        "NET-1": ["T00000-3"],
        "trade:T00000-1": ["T00000-1"],
    }
    assert (sets.n_alone, sets[2].agreement, sets[2].counterparty) == (1, None, "counterparty-1")
    told = (
        "1 position without an agreement on 2020-03-16 net with nothing; each is a netting set of its own, where it counts: "
        "with counterparty-1."
    )
    assert sets.notes == (told,)


def test_netting_that_cannot_be_enforced_nets_nothing(work_lake: Lake) -> None:
    bring(
        work_lake,
        "agreement,counterparty,legal_entity,effective_from,netting,margined,currency\n"
        "NET-1,counterparty-1,legal_entity-1,2019-01-01,false,false,USD\n",
    )
    sets = sets_of(work_lake)
    assert list(trades(work_lake, sets)) == ["CSA-0", "trade:T00000-1", "trade:T00000-3"]
    assert "2 trades under agreements whose netting is not enforceable" in sets.notes[0]


def test_an_agreement_holds_from_its_first_to_its_last_day(work_lake: Lake) -> None:
    bring(
        work_lake,
        "agreement,counterparty,legal_entity,effective_from,effective_to,netting,margined,currency\n"
        f"NET-1,counterparty-1,legal_entity-1,2019-01-01,{FRIDAY},true,false,USD\n",
    )
    assert list(trades(work_lake, sets_of(work_lake, FRIDAY))) == ["CSA-0", "NET-1"]
    assert list(trades(work_lake, sets_of(work_lake, MONDAY))) == ["CSA-0", "trade:T00000-1", "trade:T00000-3"]


def test_a_margined_agreement_without_a_balance_is_told(work_lake: Lake) -> None:
    with Committer(work_lake, "test") as committer:
        committer.put("collateral", work_lake.read("collateral").slice(0, 0), replace=True, emptied=[MONDAY])
    assert sets_of(work_lake).notes == (
        f"1 margined agreement (CSA-0) without a balance of collateral on {MONDAY}; none is taken as held.",
    )


def test_who_sees_a_part_of_the_book_sees_no_collateral_and_is_told(work_lake: Lake) -> None:
    sets = sets_of(entitled(work_lake, Entitlement(granted={"desk": ("Options",)})))
    assert sets.balances == ()
    assert sets.notes == (
        "Collateral is left out: balances are of whole netting sets, and you see a part of the book.",
    )


def test_rates_are_those_of_the_base_market(valued_lake: Path) -> None:
    lake = Lake.open(valued_lake)
    inputs = open_inputs(VectorCache(lake), RiskQuery(as_of=MONDAY, currency="USD"))
    rates = base_rates(inputs, ["EUR", "USD"], "USD")
    (level,) = lake.read(
        "market_data", ["value_used"], among={"risk_factor_id": ["FX:EURUSD"], "as_of_date": [MONDAY]}
    )["value_used"].to_pylist()
    assert rates == {"EUR": level, "USD": 1.0}


def test_reference_data_say_what_is_lacking(work_lake: Lake) -> None:
    clients = counterparties_of(work_lake, MONDAY)
    assert clients.require("counterparty-0").large_financial
    with pytest.raises(
        NotFound,
        match=r"No row of counterparty 'counterparty-9' .* ingest counterparties.*Nearest of them: counterparty-",
    ):
        clients.require("counterparty-9")
    assert classifications_of(work_lake, MONDAY)["EQ:BBB"].capitalisation == "small"
    assert len(classifications_of(work_lake, dt.date(2018, 1, 1))) == 0
    assert changed(clients, ("counterparty-0=CCC",), ())["counterparty-0"].rating == "CCC"
    assert clients["counterparty-0"].rating == "A"
    euro = agreements_of(work_lake, MONDAY)["CSA-0"].converted("EUR", 0.5)
    assert (euro.threshold, euro.minimum_transfer_amount, euro.currency) == (500.0, 50.0, "EUR")


def test_the_codes_do_not_depend_on_what_else_is_kept(work_lake: Lake) -> None:
    whole, part = sets_of(work_lake), sets_of(work_lake, MONDAY, "desk=Equities")
    of_whole = dict(zip(whole.position.tolist(), (whole.ids[c] for c in whole.code), strict=True))
    assert all(part.ids[c] == of_whole[p] for p, c in zip(part.position.tolist(), part.code.tolist(), strict=True))
    assert np.array_equal(np.unique(whole.code), np.arange(len(whole)))
