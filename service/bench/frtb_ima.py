"""Internal-model capital of a large book from stored vectors, against one second: every question is of another selection, so nothing of the
P&L that an earlier one made is kept."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np

from aggregation import questions
from aggregation.opened.opened_lake import VectorCache
from aggregation.regulatory.frtb_ima import FrtbIma
from aggregation.regulatory.ima_query import ImaQuery, lacking_cuts, made_of, rules_of
from aggregation.session import Session, reading
from lake.committer import Committer
from scenarios.requests import make_scenario_set
from scenarios.store import save_scenario_set
from scenarios.types import ScenarioSet
from service.bench import harness
from valuation.sets.plan import make_plan
from valuation.sets.run import run_plan

_PERIOD = "2019-01-02:2019-12-31"
_CELLS = "6 classes x 5 horizons x 3 sets"


def bench_frtb_ima(n_contracts: int, n_scenarios: int, n_positions: int) -> list[harness.Row]:
    """Seconds of frtb-ima, warm, of all and by desk with contributions, against one second each."""
    contracts = harness.mixed_contracts(n_contracts)
    asked = {"as_of": harness.VALUATION_DATE, "scenarios": n_scenarios, "stress": _PERIOD, "untested": "modellable"}
    query = ImaQuery(**{**asked, "reduced_without": ["IV:S01"]})  # three sets that differ
    rows = []
    with harness.temporary_lake() as lake, Committer(lake, "varlake bench") as committer:
        rules = rules_of(reading(lake), query)
        committer.put("contracts", contracts)
        committer.put("positions", harness.random_positions(contracts, n_positions))
        for request, turned in ((rules.current, False), (rules.stressed, True)):
            assert request is not None
            made = _named(harness.noisy_market(n_scenarios), str(request.name), turned)
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
        answer = ask(by=["desk"])
        assert answer.coverage.covered == n_positions - 1
        assert sum(r["contribution"] for r in answer.rows.to_pylist()) == answer.total["contribution"]
    return rows


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
