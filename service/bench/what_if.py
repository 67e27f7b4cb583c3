"""What-if of ten trades on a large book, against asking the same of the whole changed book."""

from __future__ import annotations

import dataclasses
import itertools
import json
from typing import Any

import numpy as np

from aggregation.book.changes import changed_book
from aggregation.opened.inputs import open_inputs
from aggregation.opened.opened_lake import VectorCache
from aggregation.reduce.selection import open_selection, scenario_pnl
from aggregation.types import RiskQuery
from aggregation.whatif.request import ChangeRequest, changes_of, run_what_if
from lake.committer import Committer
from scenarios.store import save_scenario_set
from service.bench import harness
from service.bench.pre_trade import bench_pre_trade
from valuation.sets.plan import make_plan
from valuation.sets.run import run_plan

_BAR = "<= 0.1"  # of a second


def bench_what_if(n_contracts: int, n_scenarios: int, n_positions: int) -> list[harness.Row]:
    """Seconds of a warm what-if of ten trades, on contracts that are known and on new ones, against one second; and how far it
    is from netting the changed book as a whole.
    """
    contracts, made = harness.mixed_contracts(n_contracts), harness.noisy_market(n_scenarios)
    rows = []
    with harness.temporary_lake() as lake, Committer(lake, "varlake bench") as committer:
        stored = save_scenario_set(committer, made)
        committer.put("contracts", contracts)
        committer.put("positions", harness.random_positions(contracts, n_positions))
        run_plan(committer, make_plan(lake.snapshot(), contracts, stored, harness.VALUATION_DATE), runner="in-process")
        cache = VectorCache(lake)
        query = RiskQuery(as_of=harness.VALUATION_DATE, by=("desk",), measures=("var", "es"))
        kinds, terms = (contracts[c].to_pylist() for c in ("instrument_type", "terms"))
        known = [_trade(i, kinds[i], json.loads(terms[i])) for i in range(0, n_contracts, max(1, n_contracts // 10))][
            :10
        ]
        size = f"{n_positions:,} positions, {contracts.num_rows:,} x {n_scenarios}, by desk"
        run_what_if(lake, query, ChangeRequest(add=tuple(known)), cache=cache)
        # every question is another one: nothing of it is kept
        turn = itertools.count(1)

        def ask(fresh: bool) -> Any:
            number = next(turn)
            trades = [{**t, "quantity": float(number)} for t in known]
            if fresh:
                trades = [_option(i, 50.0 + number + 0.01 * i) for i in range(10)]
            return run_what_if(lake, query, ChangeRequest(add=tuple(trades)), cache=cache)

        for fresh, what in ((False, "known contracts"), (True, "new contracts, valued for it")):
            ours = harness.seconds(lambda fresh=fresh: ask(fresh), runs=15)  # type: ignore[misc]
            rows.append(harness.row(f"what-if, 10 trades on {what}, warm: {size}", ours, "s", "one second", 1.0, _BAR))
        request = ChangeRequest(add=tuple(known))
        inputs = open_inputs(cache, query)
        book = changed_book(inputs.book, changes_of(request, inputs), "bench")

        def whole() -> Any:
            anew = dataclasses.replace(inputs, book=book, alignment=cache.alignment(book, inputs.vectors))
            selection = open_selection(anew, query)
            selection = dataclasses.replace(selection, groups=dataclasses.replace(selection.groups))  # keeps nothing
            return scenario_pnl(selection, 0, selection.groups.n + 1)

        netted = harness.seconds(whole, runs=5)
        rows.append(
            harness.row(
                f"what-if, 10 trades, warm: {size}",
                rows[0]["figure"],
                "s",
                "netting the changed book",
                netted,
                "<= 0.5",
            )
        )
        rows += bench_pre_trade(committer, cache, known, size)
        _check(run_what_if(lake, query, request, cache=cache).total, whole()[1][-1], query)
    return rows


def _check(total: Any, pnl: Any, query: RiskQuery) -> None:
    losses = np.sort(-pnl)[::-1]
    k = round(0.01 * len(losses))
    assert np.isclose(total["var_0.99_after"], losses[k - 1], rtol=1e-9)
    assert np.isclose(total["es_0.99_after"], losses[:k].mean(), rtol=1e-9)


def _trade(i: int, kind: str, terms: dict[str, Any]) -> dict[str, Any]:
    return {"instrument_type": kind, "terms": terms, "desk": f"desk-{i % 20:03}", "quantity": 100.0}


def _option(i: int, strike: float) -> dict[str, Any]:
    terms = {
        "currency": "USD",
        "underlying": f"EQ:S{i:02}",
        "volatility": f"IV:S{i:02}",
        "strike": strike,
        "expiry": "2021-03-19",
        "option_type": "call",
        "discount_curve": "USD",
    }
    return _trade(i, "equity_option", terms)
