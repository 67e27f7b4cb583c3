"""CVA under scenarios: credit curves anew on exposures as they are, and measures of the change."""

import math

import numpy as np
import pytest
from cva_lake import GRID, PATHS, build_cva_lake, drawn_paths
from small_lake import MONDAY

from aggregation.exposure import cva_scenarios
from aggregation.exposure.cva_query import open_cva
from aggregation.exposure.cva_scenarios import CvaScenariosQuery, run_cva_scenarios
from aggregation.session import reading
from lake.errors import BadInput, NotFound
from scenarios.store import scenario_summaries


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    return build_cva_lake(tmp_path_factory.mktemp("cva") / "lake")


@pytest.fixture
def ask(lake, monkeypatch):
    def opened(session, query):
        return open_cva(session, query, paths=drawn_paths(session, query))

    monkeypatch.setattr(cva_scenarios, "open_cva", opened)

    def run(scenario, **more):
        asked = {"as_of": MONDAY, "grid": GRID, "paths": PATHS, "scenario": scenario, "trades": "all", **more}
        return run_cva_scenarios(reading(lake), CvaScenariosQuery.model_validate(asked))

    return run


def test_a_stress_of_credit_is_the_curve_moved(ask, lake):
    """Hazard rates up by two points: CVA from the moved survival by hand."""
    found = ask("credit +200bp", by=["counterparty"])
    session = reading(lake)
    query = CvaScenariosQuery(as_of=MONDAY, grid=GRID, paths=PATHS, scenario="credit +200bp", trades="all")
    opened = open_cva(session, query, paths=drawn_paths(session, query))
    profile = cva_scenarios.set_figures(opened).positive
    rows = {r["counterparty"]: r for r in found.scenarios.to_pylist()}
    for name, loss in (("counterparty-0", 0.6), ("counterparty-1", 0.75)):
        survival = np.exp(opened.curves.curves[name].logs[:, 0] - 0.02 * opened.times)
        exact = math.fsum(
            loss * ((survival[:-1] - survival[1:]) * (p[:-1] + p[1:]) / 2).sum()
            for p, c in zip(profile, opened.sets.counterparties, strict=True)
            if c == name
        )
        assert rows[name]["cva"] == pytest.approx(exact, rel=1e-9)
        assert rows[name]["change"] == rows[name]["credit"] > 0.0
        assert rows[name]["market"] == rows[name]["both"] == 0.0
    assert any("Exposures stay as they are" in n for n in found.notes)


def test_nothing_moved_changes_nothing(ask):
    found = ask("equity -20%", by=["counterparty"])
    assert found.scenarios["change"].to_pylist() == [0.0, 0.0]
    assert any("not moved by any scenario" in n for n in found.notes)


def test_measures_of_a_stored_set(ask, lake):
    """VaR is the k-th greatest rise over the scenarios of the set, k = ceil(30 x 0.1) = 3."""
    name = next(r.name for r in scenario_summaries(lake.snapshot()) if r.market_date == MONDAY)
    found = ask(name, levels=["0.9"])
    changes = sorted(found.scenarios["change"].to_pylist(), reverse=True)
    assert len(changes) == 30
    assert found.total["var_0.9"] == pytest.approx(changes[2], rel=1e-12)
    assert found.total["es_0.9"] == pytest.approx(sum(changes[:3]) / 3, rel=1e-12)


def test_dimensions_that_split_netting_sets_are_refused(ask):
    with pytest.raises(BadInput, match="split netting sets"):
        ask("credit +1bp", by=["desk"])


def test_unknown_sets_are_told(ask):
    with pytest.raises(NotFound, match="nothing-like-it"):
        ask("nothing-like-it")


def test_given_paths_cannot_be_moved(ask):
    with pytest.raises(BadInput, match="given and not drawn"):
        ask("equity -10%", exposures="revalued")
