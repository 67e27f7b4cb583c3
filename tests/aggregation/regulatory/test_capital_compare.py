"""The comparison of two capital reports: both ends to the bit, causes alone where one alone changed, exact sums in any order."""

from __future__ import annotations

import shutil
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from small_lake import FRIDAY, MONDAY

from aggregation import questions
from aggregation.regulatory.capital.compare import CapitalComparison
from aggregation.regulatory.capital.steps import CAUSES
from aggregation.session import reading
from lake.committer import Committer
from lake.errors import BadInput, NotValued
from lake.tables import Lake

WAY = {"from": str(FRIDAY), "to": str(MONDAY)}
SAME = {"from": str(MONDAY), "to": str(MONDAY)}
OTHER_ORDER = ("regime", "ratings", "collateral", "agreements", "ageing", "market", "trades")


@pytest.fixture(scope="module")
def lake(valued_lake: Path, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    made = Lake.open(shutil.copytree(valued_lake, tmp_path_factory.mktemp("capital-compare") / "lake"))
    with pytest.raises(NotValued):
        compared(made)
    with Committer(made, "test") as committer:
        session = reading(made).writing(committer)
        for more in ({}, {"order": OTHER_ORDER, "parts": ["credit", "cva"]}):
            query = questions.read("capital-compare", {**WAY, **more})
            questions.value(session, "capital-compare", query)
            assert questions.plan(session, "capital-compare", query).ready
    return made


def compared(lake: Lake, **given: Any) -> CapitalComparison:
    asked = questions.read("capital-compare", {**WAY, **given})
    answer: CapitalComparison = questions.ask(reading(lake), "capital-compare", asked)
    return answer


def exact(rows: list[dict[str, Any]], name: str) -> Fraction:
    return sum((Fraction(r[name]) for r in rows), Fraction(0))


@pytest.mark.slow
def test_both_ends_are_the_reports_of_the_days(lake: Lake) -> None:
    found = compared(lake, by=["desk"])
    for day, side in ((FRIDAY, "rwa_from"), (MONDAY, "rwa_to")):
        own = questions.ask(reading(lake), "capital", questions.read("capital", {"as_of": str(day), "by": ["desk"]}))
        assert found.total[side] == own.total["rwa"] > 0.0
        there = {(r["desk"], r["part"]): r["rwa"] for r in own.rows.to_pylist() if r["rwa"] is not None}
        mine = {(r["desk"], r["part"]): r[side] for r in found.rows.to_pylist()}
        assert {k: mine[k] for k in there} == there
        assert all(v == 0.0 for k, v in mine.items() if k not in there)


@pytest.mark.parametrize(
    "by", [["counterparty", "desk"], *(pytest.param(by, marks=pytest.mark.slow) for by in (["desk"], ["trade"], []))]
)
def test_causes_and_members_add_up_to_the_last_bit(lake: Lake, by: list[str]) -> None:
    found = compared(lake, by=by)
    rows, total = found.rows.to_pylist(), found.total
    for row in (*rows, *found.details.to_pylist(), *found.risks.to_pylist(), total):
        assert sum(Fraction(row[c]) for c in (*CAUSES, "unattributed")) == Fraction(row["change"])
        assert Fraction(row["rwa_to"]) - Fraction(row["rwa_from"]) == Fraction(row["change"])
    for name in ("rwa_from", "rwa_to", "change", *CAUSES):
        assert exact(rows, name) == exact(found.details.to_pylist(), name) == Fraction(total[name])
    assert {c: total[c] for c in CAUSES} == {c: compared(lake).total[c] for c in CAUSES}


def test_each_step_is_a_report_of_its_own(lake: Lake) -> None:
    """The first step is Friday's report with Monday's trades, as it can be asked alone; and so on."""
    steps = compared(lake).steps.to_pylist()
    assert [s["step"] for s in steps] == ["from", *CAUSES]
    trades = questions.read("capital", {"as_of": str(FRIDAY), "positions_date": str(MONDAY)})
    assert questions.ask(reading(lake), "capital", trades).total["rwa"] == steps[1]["rwa"]
    assert compared(lake).total["trades"] == steps[1]["rwa"] - steps[0]["rwa"] != 0.0
    assert compared(lake).total["collateral"] != 0.0  # 15,000 in place of 20,000, and initial margin


def test_what_did_not_change_does_nothing(lake: Lake) -> None:
    total = compared(lake).total
    assert total["agreements"] == total["ratings"] == total["regime"] == 0.0
    none = compared(lake, **SAME)
    assert all(none.total[c] == 0.0 for c in (*CAUSES, "change"))


def test_a_regime_is_a_cause(lake: Lake) -> None:
    found = compared(lake, **{**SAME, "to": {"as_of": str(MONDAY), "regime": "uk"}, "parts": ["credit", "cva"]})
    assert found.total["regime"] == found.total["change"]
    own = questions.read("capital", {"as_of": str(MONDAY), "regime": "uk", "parts": ["credit", "cva"]})
    assert found.total["rwa_to"] == questions.ask(reading(lake), "capital", own).total["rwa"]
    assert found.steps.to_pylist()[-1]["regime"].startswith("uk@")


def test_another_order_has_the_same_ends(lake: Lake) -> None:
    one = compared(lake, parts=["credit", "cva"])
    two = compared(lake, parts=["credit", "cva"], order=OTHER_ORDER)
    assert [s["step"] for s in two.steps.to_pylist()] == ["from", *OTHER_ORDER]
    assert one.total["change"] == two.total["change"] == sum(two.total[c] for c in CAUSES)
    with pytest.raises(BadInput, match="order names every cause once"):
        compared(lake, order=["trades"])


def test_what_a_step_cannot_compute_is_not_attributed(lake: Lake) -> None:
    """The option that expired is in no figure at either point, and the answer says so."""
    found = compared(lake)
    assert found.total["status"] == "partial"
    assert any("counts as nothing there" in n for n in found.notes)
    assert all(r["reason"] for r in found.risks.to_pylist())
    assert set(found.receipt["steps"]["0 from"]) == {"credit-rwa", "ba-cva", "frtb-sa"}
