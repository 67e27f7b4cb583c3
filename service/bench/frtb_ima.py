"""Internal-model capital of a large book of all classes from stored vectors, against one second: every question is of another selection, so
nothing of the P&L that an earlier one made is kept."""

from __future__ import annotations

import dataclasses
import datetime as dt
import itertools
import time

import numpy as np
import pyarrow as pa

from aggregation import questions
from aggregation.opened.opened_lake import VectorCache
from aggregation.regulatory.frtb_ima import FrtbIma
from aggregation.regulatory.ima_query import ImaQuery, lacking_cuts, made_of, rules_of
from aggregation.regulatory.ima_sets import PARTS
from aggregation.session import Session, reading
from lake.committer import Committer
from lake.schemas import CONTRACTS
from scenarios.requests import make_scenario_set
from scenarios.store import save_scenario_set
from scenarios.types import FactorIndex, RiskFactor, ScenarioSet
from service.bench import harness
from valuation.catalogue import parse_terms
from valuation.sets.plan import make_plan
from valuation.sets.run import run_plan

_PERIOD = "2019-01-02:2019-12-31"
_NAMES = 20  # commodities, and issuers
_CELLS = "6 classes x 5 horizons x 3 sets"


def bench_frtb_ima(n_contracts: int, n_scenarios: int, n_positions: int) -> list[harness.Row]:
    """Seconds of frtb-ima, warm, of all and by desk with contributions, against one second each."""
    contracts = _contracts(n_contracts)
    asked = {"as_of": harness.VALUATION_DATE, "scenarios": n_scenarios, "stress": _PERIOD, "untested": "modellable"}
    query = ImaQuery(**{**asked, "reduced_without": ["IV:S01"]})  # three sets that differ
    rows = []
    with harness.temporary_lake() as lake, Committer(lake, "varlake bench") as committer:
        rules = rules_of(reading(lake), query)
        committer.put("contracts", contracts)
        committer.put("positions", harness.random_positions(contracts, n_positions))
        for request, turned in ((rules.current, False), (rules.stressed, True)):
            assert request is not None
            made = _named(_market(n_scenarios), str(request.name), turned)
            stored = save_scenario_set(committer, made)
            run_plan(
                committer, make_plan(lake.snapshot(), contracts, stored, harness.VALUATION_DATE), runner="in-process"
            )
        session = Session(lake, VectorCache(lake), committer)
        sets = made_of(session, query, rules)
        assert sets is not None
        cuts = lacking_cuts(session, query, sets)
        for cut in cuts:
            assert cut.recipe is not None
            made = make_scenario_set(lake.snapshot(), harness.VALUATION_DATE, cut.recipe)
            stored = save_scenario_set(committer, made)
            run_plan(
                committer, make_plan(lake.snapshot(), contracts, stored, harness.VALUATION_DATE), runner="in-process"
            )
        reads, turn = reading(lake), itertools.count()
        size = f"{contracts.num_rows:,} contracts x {n_scenarios} x {_CELLS} ({len(sets.cuts.distinct)} differ)"

        def ask(**more: object) -> FrtbIma:
            other = {"where": [f"trade!=T{next(turn):08}"]}  # one trade less, another each time
            given = {**asked, "reduced_without": query.reduced_without, **other, **more}
            found: FrtbIma = questions.ask(reads, "frtb-ima", questions.read("frtb-ima", given))
            return found

        for what, more in (
            ("of all", {"contributions": False}),
            ("by desk, with contributions", {"by": ["desk"], "contributions": True}),
        ):
            ours = harness.seconds(lambda more=more: ask(**more))  # type: ignore[misc]
            rows.append(harness.row(f"FRTB IMA {what}, warm: {size}", ours, "s", "one second", 1.0, "<= 1"))
            cores = harness.seconds(lambda more=more: ask(**more), clock=time.process_time)  # type: ignore[misc]
            name = f"FRTB IMA {what}, warm: CPU of all cores"
            rows.append(harness.row(name, cores, "core-s", "one core-second", 1.0, "<= 1"))
        answer = ask(by=["desk"])
        assert all(answer.total[f"imcc_{part}"] > 0.0 for part in PARTS)  # every class has risk
        assert answer.coverage.covered == n_positions - 1
        assert sum(r["contribution"] for r in answer.rows.to_pylist()) == answer.total["contribution"]
    return rows


def _contracts(n: int) -> pa.Table:
    """The mixed list of the other benchmarks, with 10% commodity forwards and 10% bonds with a spread in place of as many."""
    rng = np.random.default_rng(5)
    rows = []
    for i in range(n // 5):
        maturity = harness.VALUATION_DATE + dt.timedelta(days=int(rng.integers(30, 3650)))
        terms: dict[str, object] = {"currency": "USD", "maturity": maturity.isoformat(), "discount_curve": "USD"}
        kind = "zero_bond" if i % 2 else "commodity_forward"
        if kind == "zero_bond":
            terms |= {"credit_spread": f"CR:I{i % _NAMES:02}"}
        else:
            terms |= {"underlying": f"CMD:G{i % _NAMES:02}", "strike": float(np.round(rng.uniform(60, 140), 6))}
        parsed = parse_terms(kind, terms)
        rows.append(
            {"contract_id": parsed.contract_id(), "instrument_type": kind, "currency": "USD", "terms": parsed.to_json()}
        )
    more = pa.Table.from_pylist(rows, schema=CONTRACTS.schema)
    mixed = harness.mixed_contracts(n - n // 5)
    both = pa.concat_tables([mixed, more.select(mixed.column_names)], promote_options="permissive")
    return both.group_by(CONTRACTS.schema.names).aggregate([])


def _market(n_scenarios: int) -> ScenarioSet:
    """The market of the other benchmarks, with commodities and spreads."""
    made = harness.noisy_market(n_scenarios)
    more = [
        *(RiskFactor(f"CMD:G{i:02}", "commodity_price", f"good {i}", "USD", synthetic=True) for i in range(_NAMES)),
        *(RiskFactor(f"CR:I{i:02}", "credit_spread", f"issuer {i}", "USD", synthetic=True) for i in range(_NAMES)),
    ]
    noise = np.random.default_rng(6).standard_normal((len(more), n_scenarios))
    goods = np.array([f.type == "commodity_price" for f in more])
    base = np.where(goods, 100.0, 0.02)
    levels = np.where(goods[:, None], base[:, None] * np.exp(0.015 * noise), base[:, None] + 0.0005 * noise)
    factors = [*made.index.factors, *more]
    index = FactorIndex.of(factors)
    place = {f.risk_factor_id: i for i, f in enumerate(factors)}
    order = np.array([place[f.risk_factor_id] for f in index.factors])
    return dataclasses.replace(
        made,
        index=index,
        base=np.concatenate([made.base, base])[order],
        levels=np.concatenate([np.asarray(made.levels), levels])[order],
        shocked=np.ones(len(factors), dtype=bool),
    )


def _named(made: ScenarioSet, name: str, turned: bool) -> ScenarioSet:
    """Moves over ten days under a name; turned : in the other order, for a period of stress."""
    levels = np.asarray(made.levels)
    return dataclasses.replace(
        made,
        name=name,
        horizon_days=10,
        sample=False,
        levels=np.ascontiguousarray(levels[:, ::-1]) if turned else levels,
    )
