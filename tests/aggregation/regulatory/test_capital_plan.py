"""The capital plan: cells against reports asked otherwise, what drives them, what has run off and what a cell does not have."""

from __future__ import annotations

import shutil
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from small_lake import MONDAY

from aggregation import questions
from aggregation.regulatory.capital.plan import CapitalPlan
from aggregation.session import reading
from lake.committer import Committer
from lake.errors import BadInput, NotFound, NotValued
from lake.tables import Lake

CRASH = "equity -20%; vol +10pt"
ASKED: dict[str, Any] = {"scenarios": [CRASH], "horizons": ["3M", "1Y"], "by": ["desk"]}


def planned(lake: Lake, **given: Any) -> CapitalPlan:
    asked = questions.read("capital-plan", {"as_of": str(MONDAY), **ASKED, **given})
    answer: CapitalPlan = questions.ask(reading(lake), "capital-plan", asked)
    return answer


@pytest.fixture(scope="module")
def lake(valued_lake: Path, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    made = Lake.open(shutil.copytree(valued_lake, tmp_path_factory.mktemp("capital-plan") / "lake"))
    with pytest.raises(NotValued):
        planned(made)
    with Committer(made, "test") as committer:
        session = reading(made).writing(committer)
        for more in ({}, {"horizons": [], "scenarios": ["equity +0%"]}):
            query = questions.read("capital-plan", {"as_of": str(MONDAY), **ASKED, **more})
            assert questions.plan(session, "capital-plan", query).ready == bool(more)  # its only set is that of frtb-sa
            questions.value(session, "capital-plan", query)
            assert questions.plan(session, "capital-plan", query).ready
    return made


def cells(found: CapitalPlan) -> dict[tuple[str, str], dict[str, Any]]:
    return {(r["scenario"], r["horizon"]): r for r in found.rows.to_pylist()}


def test_the_first_cell_is_the_report_of_today(lake: Lake) -> None:
    found = planned(lake)
    own = questions.ask(reading(lake), "capital", questions.read("capital", {"as_of": str(MONDAY), "by": ["desk"]}))
    first = cells(found)["base", "today"]
    assert {n: first[n] for n in ("credit_rwa", "cva_rwa", "market_rwa", "rwa", "capital", "status")} == {
        n: own.total[n] for n in ("credit_rwa", "cva_rwa", "market_rwa", "rwa", "capital", "status")
    }
    assert list(cells(found)) == [(s, h) for s in ("base", CRASH) for h in ("today", "3M", "1Y")]


def test_a_scenario_in_which_nothing_moves_is_today(lake: Lake) -> None:
    """Values, exposures and sensitivities of a planned market are those of the market of the day, to the bit."""
    found = cells(planned(lake, horizons=[], scenarios=["equity +0%"]))
    base, same = found["base", "today"], found["equity +0%", "today"]
    for name in ("credit_rwa", "cva_rwa", "market_rwa", "rwa"):
        assert same[name] == base[name] > 0.0
    assert same["change"] == 0.0


def test_a_scenario_moves_every_risk(lake: Lake) -> None:
    """Shares lose a fifth: delta risk of a portfolio of shares falls by as much; exposures of bought calls fall."""
    found = cells(planned(lake))
    crash, base = found[CRASH, "today"], found["base", "today"]
    assert crash["market_rwa"] < base["market_rwa"]
    assert crash["credit_rwa"] != base["credit_rwa"]
    assert crash["change"] == sum(crash[f"{p}_change"] for p in ("credit", "cva", "market"))


def test_what_has_run_off_is_gone_and_no_hole(lake: Lake) -> None:
    """The option of December has expired after a year: no derivative is left, and so no credit and no CVA risk."""
    found = cells(planned(lake))
    late = found["base", "1Y"]
    assert (late["credit_rwa"], late["cva_rwa"], late["status"]) == (0.0, 0.0, "complete")
    assert late["market_rwa"] > 0.0
    assert (late["matured"], found["base", "3M"]["matured"]) == (2, 1)
    assert found["base", "3M"]["credit_rwa"] > 0.0


@pytest.mark.parametrize("members", [1, 20])
def test_drivers_add_up_to_the_change_to_the_last_bit(lake: Lake, members: int) -> None:
    found = planned(lake, members=members, by=["trade"])
    drivers = found.drivers.to_pylist()
    for (scenario, horizon), cell in cells(found).items():
        mine = [d for d in drivers if (d["scenario"], d["horizon"]) == (scenario, horizon)]
        for name in ("credit_change", "cva_change", "market_change", "change"):
            assert sum((Fraction(d[name] or 0.0) for d in mine), Fraction(0)) == Fraction(cell[name]), (
                scenario,
                horizon,
                name,
            )
        assert len([d for d in mine if d["part"] != "others"]) <= members


def test_sets_of_a_plan_answer_nothing_else(lake: Lake, valued_lake: Path) -> None:
    query = questions.read("var", {"as_of": str(MONDAY)})
    own, there = (questions.ask(reading(of), "var", query) for of in (lake, Lake.open(valued_lake)))
    assert own.total == there.total


def test_bad_plans_are_refused(lake: Lake) -> None:
    for given, error, said in (
        ({"horizons": ["3M", "3M"]}, BadInput, "horizons names one twice"),
        ({"horizons": ["today"]}, BadInput, "today is there anyway"),
        ({"horizons": ["3Q"]}, BadInput, "3Q"),
        ({"scenarios": ["no_such_set"]}, NotFound, "no_such_set"),
        ({"scenarios": ["equity -20 furlongs"]}, BadInput, "furlongs"),
    ):
        with pytest.raises(error, match=said):
            planned(lake, **given)
