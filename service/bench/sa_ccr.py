"""SA-CCR of a million trades, of one trade more, and through a question, against their limits."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pyarrow as pa

from aggregation.kernels.sa_ccr import (
    ABSOLUTE,
    COMMODITY,
    CREDIT,
    EQUITY,
    FX,
    INTEREST_RATE,
    LINEAR,
    MATURITIES,
    OPTION,
    SYSTEMATIC,
    Trades,
    unit_notionals,
)
from aggregation.questions import ask, read
from aggregation.regimes.regimes import regime_of
from aggregation.regulatory.sa_ccr.parameters import SaCcr
from aggregation.regulatory.sa_ccr.portfolio import Entity, Hedging, Margins, Portfolio, Position, changed, portfolio
from aggregation.session import reading
from lake.committer import Committer
from lake.schemas import AGREEMENTS, CLASSIFICATIONS, COUNTERPARTIES
from lake.tables import Lake
from scenarios.store import save_scenario_set
from service.bench import harness
from valuation.sets.plan import make_plan
from valuation.sets.run import run_plan

_SET_TRADES = 100  # of a netting set
_SCENARIOS = 50
_COUNTERPARTIES, _ENTITIES = 500, 4  # of `harness.random_positions`


def bench_sa_ccr(trades: int, contracts: int) -> list[harness.Row]:
    """Seconds of SA-CCR of `trades` rows in netting sets of a hundred, margined and not, from the rows in memory; of one trade more on a
    tenth of them; and of the questions on a book of a tenth, with so many contracts, cold and warm.

    Raises `ArithmeticError` where one trade more does not give the bits of the whole computed anew.
    """
    parameters = regime_of("basel@2023", harness.VALUATION_DATE, None).section("sa_ccr", SaCcr)
    rows, few = _Rows(trades), max(trades // 10, 1000)

    def whole() -> Any:
        return rows.portfolio(parameters).exposures()

    size = f"{trades:,} trades in {rows.n_sets:,} netting sets, half of them margined"
    figures = [
        harness.row(f"SA-CCR from rows in memory: {size}", harness.seconds(whole), "s", "two seconds", 2.0, "<= 1"),
        _incremental(parameters, few),
    ]
    return [*figures, *_questions(few, contracts)]


class _Rows:
    """Seeded rows: every class, three in ten are options."""

    def __init__(self, n: int) -> None:
        rng = np.random.default_rng(3)
        self.n_sets = max(n // _SET_TRADES, 1)
        self.entities = _entities()
        self.set_of = rng.integers(0, self.n_sets, n).astype(np.int32)
        self.entity_of = rng.integers(0, len(self.entities), n).astype(np.int32)
        start = 2.0 * rng.random(n)
        end = np.array([e.hedging.asset_class in (INTEREST_RATE, CREDIT) for e in self.entities])[self.entity_of]
        self.trades = Trades(
            np.where(rng.random(n) < 0.3, OPTION, LINEAR).astype(np.int32),
            rng.choice([-1.0, 1.0], n),
            rng.choice([-1.0, 1.0], n),
            0.5 + rng.random(n),
            0.5 + rng.random(n),
            start,
            np.full(n, 0.5),
            np.zeros(n),
            1e7 * rng.random(n),
            start,
            np.where(end, start + 10.0 * rng.random(n), np.nan),
            10.0 * rng.random(n),
        )
        self.value = 1e5 * rng.standard_normal(n)
        none = Margins.none(self.n_sets)
        margined = rng.random(self.n_sets) < 0.5
        self.margins = Margins(
            1e5 * rng.standard_normal(self.n_sets),
            margined,
            np.full(self.n_sets, 1e5),
            np.where(margined, 10.0, np.nan),
            none.most,
        )

    def portfolio(self, parameters: SaCcr, n: int | None = None) -> Portfolio:
        """Of the first n trades, all where not given."""
        _, _, factor, notional = unit_notionals(self.trades, parameters.rules)
        of, entity = self.set_of[:n], self.entity_of[:n]
        return portfolio(
            parameters, self.entities, of, entity, notional[:n], factor[:n], of, self.value[:n], self.margins
        )


def _entities() -> list[Entity]:
    rates = [
        Entity(Hedging(INTEREST_RATE, c, MATURITIES), b, "", 0.005, 0.0)
        for c in ("EUR", "GBP", "USD")
        for b in range(3)
    ]
    pairs = [Entity(Hedging(FX, f"A/B{i}", ABSOLUTE), 0, f"A/B{i}", 0.04, 0.0) for i in range(10)]
    common = (
        (CREDIT, "credit", 200, 0.0054, 0.5),
        (EQUITY, "equity", 200, 0.32, 0.5),
        (COMMODITY, "energy", 20, 0.18, 0.4),
    )
    named = [Entity(Hedging(c, h, SYSTEMATIC), 0, f"N{i:03}", f, r) for c, h, n, f, r in common for i in range(n)]
    return sorted([*rates, *pairs, *named])


def _incremental(parameters: SaCcr, n: int) -> harness.Row:
    """One trade more, whose netting set is then checked against the whole computed anew."""
    rows = _Rows(n)
    held, whole = rows.portfolio(parameters, n - 1), rows.portfolio(parameters)
    last, code = n - 1, int(rows.set_of[-1])
    _, _, factor, notional = unit_notionals(rows.trades, parameters.rules)
    one = [Position(rows.entities[rows.entity_of[last]], float(notional[last]), float(factor[last]))]
    margins = rows.margins.of(np.array([code]))

    def more() -> Any:
        return changed(held, code, one, [float(rows.value[last])], margins)

    _, after = more()
    if after.ead[0] != whole.exposures().ead[code]:
        raise ArithmeticError("One trade more has not the bits of the whole computed anew.")
    return harness.row(
        f"SA-CCR of one trade more: {n:,} trades", harness.seconds(more, runs=25) * 1e3, "ms", "50 ms", 50.0, "<= 1"
    )


def _questions(n_positions: int, n_contracts: int) -> list[harness.Row]:
    """The questions on a book, from its opening on."""
    contracts, made = harness.mixed_contracts(n_contracts), harness.noisy_market(_SCENARIOS)
    size = f"{n_positions:,} positions, {contracts.num_rows:,} contracts, {_COUNTERPARTIES * _ENTITIES:,} agreements"
    with harness.temporary_lake() as lake, Committer(lake, "varlake bench") as committer:
        stored = save_scenario_set(committer, made)
        committer.put("contracts", contracts)
        committer.put("positions", harness.random_positions(contracts, n_positions))
        committer.put("agreements", _agreements())
        committer.put("classifications", _classifications())
        committer.put("counterparties", _counterparties())
        run_plan(committer, make_plan(lake.snapshot(), contracts, stored, harness.VALUATION_DATE), runner="in-process")
        session = reading(Lake.open(lake.path))
        day = str(harness.VALUATION_DATE)
        turn = itertools.count(1)
        ask(session, "var", read("var", {"as_of": day}))  # the book and its vectors are open

        def asked(name: str, **more: Any) -> Any:
            return ask(session, name, read(name, {"as_of": day, **more}))

        cold = harness.seconds(lambda: asked("sa-ccr", rate_offset=("formula", "none")[next(turn) % 2]), runs=1)
        warm = harness.seconds(lambda: asked("sa-ccr", by=["counterparty"]))
        trade = harness.seconds(
            lambda: asked("sa-ccr-what-if", scale=[f"trade=T{next(turn):08}*0.5"], rate_offset="formula"), runs=15
        )
        capital = harness.seconds(lambda: asked("ba-cva-what-if", scale=[f"trade=T{next(turn):08}*0.5"]), runs=15)
    return [
        harness.row(
            f"sa-ccr, the first question after the book is opened: {size}", cold, "s", "a minute", 60.0, "<= 1"
        ),
        harness.row(f"sa-ccr by counterparty, warm: {size}", warm, "s", "one second", 1.0, "<= 1"),
        harness.row(f"sa-ccr-what-if of one trade, warm: {size}", trade * 1e3, "ms", "50 ms", 50.0, "<= 1"),
        harness.row(f"ba-cva-what-if of one trade, warm: {size}", capital * 1e3, "ms", "50 ms", 50.0, "<= 1"),
    ]


def _agreements() -> pa.Table:
    rows = [
        {
            "agreement": f"A-{c:03}-{e:03}",
            "counterparty": f"counterparty-{c:03}",
            "legal_entity": f"legal_entity-{e:03}",
            "effective_from": harness.VALUATION_DATE,
            "netting": True,
            "margined": c % 2 == 0,
            "two_way": c % 2 == 0,
            "threshold": 1e5,
            "threshold_own": 1e5,
            "minimum_transfer_amount": 1e4,
            "independent_amount": 0.0,
            "initial_margin": 0.0,
            "currency": "USD",
            "margin_period_days": 10 if c % 2 == 0 else None,
            "margin_frequency_days": 1 if c % 2 == 0 else None,
            "disputed": False,
        }
        for c in range(_COUNTERPARTIES)
        for e in range(_ENTITIES)
    ]
    return pa.Table.from_pylist(rows, schema=AGREEMENTS.schema)


def _counterparties() -> pa.Table:
    rows = [
        {
            "counterparty": f"counterparty-{c:03}",
            "effective_from": harness.VALUATION_DATE,
            "sector": "financial",
            "rating": "A",
            "region": "europe",
            "credit_class": "bank",
            "large_financial": False,
        }
        for c in range(_COUNTERPARTIES)
    ]
    return pa.Table.from_pylist(rows, schema=COUNTERPARTIES.schema)


def _classifications() -> pa.Table:
    rows = [
        {"name": f"EQ:S{i:02}", "effective_from": harness.VALUATION_DATE, "kind": "equity", "covered": False}
        for i in range(harness._STOCKS)
    ]
    return pa.Table.from_pylist(rows, schema=CLASSIFICATIONS.schema)
