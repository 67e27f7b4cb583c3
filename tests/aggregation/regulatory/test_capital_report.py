"""The capital report: the figures of the questions it is made of, exact sums over any dimension, and what is told of holes."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from small_lake import FRIDAY, MONDAY

from aggregation import questions
from aggregation.regulatory.capital.question import CapitalAnswer
from aggregation.session import reading
from lake.committer import Committer
from lake.errors import BadInput, NotValued
from lake.landing.reference import ingest_counterparties
from lake.tables import Lake

Ask = Callable[..., CapitalAnswer]
AMOUNTS = ("credit_rwa", "cva_rwa", "market_rwa", "rwa")
EVERY_DESK: dict[str, Any] = {"by": ["desk"]}


def asked_of(lake: Lake, name: str = "capital", **given: Any) -> Any:
    return questions.ask(reading(lake), name, questions.read(name, {"as_of": str(MONDAY), **given}))


@pytest.fixture(scope="module")
def lake(valued_lake: Path, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    path = shutil.copytree(valued_lake, tmp_path_factory.mktemp("capital") / "lake")
    made = Lake.open(path)
    with pytest.raises(NotValued):
        asked_of(made)
    with Committer(made, "test") as committer:
        session = reading(made).writing(committer)
        query = questions.read("capital", {"as_of": str(MONDAY)})
        assert not questions.plan(session, "capital", query).ready
        questions.value(session, "capital", query)
        assert questions.plan(session, "capital", query).ready
        friday = {"as_of": str(MONDAY), "market_date": str(FRIDAY), "parts": ["credit"]}
        questions.value(session, "capital", questions.read("capital", friday))
    return made


@pytest.fixture(scope="module")
def ask(lake: Lake) -> Ask:
    def asked(**given: Any) -> CapitalAnswer:
        answer: CapitalAnswer = asked_of(lake, **given)
        return answer

    return asked


def test_each_risk_is_its_own_question_to_the_bit(lake: Lake, ask: Ask) -> None:
    parts = {r["risk"]: r for r in ask().parts.to_pylist()}
    for risk, name in (("credit", "credit-rwa"), ("cva", "ba-cva"), ("market", "frtb-sa")):
        own = asked_of(lake, name, by=["legal_entity"]).total
        assert (parts[risk]["question"], parts[risk]["regime"]) == (name, "basel@2023")
        assert (parts[risk]["rwa_asked"], parts[risk]["capital"]) == (own["rwa"], own["capital"])
        assert abs(parts[risk]["rwa"] - own["rwa"]) <= 2.0**-11
    reduced = ask(cva="reduced", parts=["cva"])
    own = asked_of(lake, "ba-cva", approach="reduced", by=[]).total
    assert reduced.parts.to_pylist()[0]["rwa_asked"] == own["rwa"]
    foundation = ask(credit="foundation", parts=["credit"]).total
    assert foundation["rwa"] == asked_of(lake, "credit-rwa", approach="foundation").total["rwa"]


@pytest.mark.parametrize("by", [["desk"], ["legal_entity"], ["trade"], ["counterparty"], ["legal_entity", "desk"], []])
def test_rows_of_every_risk_add_up_to_the_last_bit(ask: Ask, by: list[str]) -> None:
    found = ask(by=by)
    rows = found.rows.to_pylist()
    for amount in AMOUNTS:
        whole = sum(Fraction(r[amount]) for r in rows if r[amount] is not None)
        assert whole == Fraction(found.total[amount]) != 0
        assert sum(r[amount] or 0.0 for r in reversed(rows)) == found.total[amount]
    assert found.total == ask(by=[]).total
    assert sum(Fraction(r["rwa"]) for r in found.parts.to_pylist()) == Fraction(found.total["rwa"])
    assert sum(r["capital"] for r in rows if r["capital"] is not None) == pytest.approx(found.total["capital"])
    assert found.total["capital"] == pytest.approx(0.08 * found.total["rwa"])


def test_rows_are_those_of_the_questions(lake: Lake, ask: Ask) -> None:
    rows = {(r["desk"], r["part"]): r for r in ask(**EVERY_DESK).rows.to_pylist()}
    for risk, name in (("credit", "credit-rwa"), ("cva", "ba-cva"), ("market", "frtb-sa")):
        for own in asked_of(lake, name, **EVERY_DESK).rows.to_pylist():
            row = rows[own["desk"], own.get("part", "trades")]
            if own["status"] == "invalid":
                assert row[f"{risk}_rwa"] is None
                assert risk in row["reason"]
            else:
                assert row[f"{risk}_rwa"] == pytest.approx(own["rwa"], abs=0.01)
    assert rows["Equities", "trades"]["credit_rwa"] is None  # shares are no derivatives
    assert rows["Options", "trades"]["ead"] > 0.0


def test_the_receipt_names_each_part_and_can_be_asked_again(lake: Lake, ask: Ask) -> None:
    found = ask()
    parts = found.receipt["parts"]
    assert set(parts) == {"credit-rwa", "ba-cva", "frtb-sa"}
    assert {p["regime"] for p in parts.values()} == {"basel@2023"}
    again = asked_of(lake, "frtb-sa", **{k: v for k, v in parts["frtb-sa"]["question"].items() if k != "as_of"})
    assert again.receipt["answer_digest"] == parts["frtb-sa"]["answer_digest"]
    assert found.receipt["answer_digest"] == ask().receipt["answer_digest"]


def test_a_failed_contract_is_told_in_its_row_and_the_total(ask: Ask) -> None:
    """The option that has expired has no value: what holds it is partial, and the row says why."""
    found = ask(**EVERY_DESK)
    assert found.total["status"] == "partial"
    options = next(r for r in found.rows.to_pylist() if r["desk"] == "Options")
    assert options["status"] == "partial"
    assert "1 of 2 positions" in options["reason"]
    assert {"credit", "cva"} <= {r["risk"] for r in found.lacking.to_pylist() if r["kind"] == "contract"}
    assert all(r["reason"] for r in found.parts.to_pylist())


def test_a_counterparty_without_a_row_is_lacking_with_its_reason(lake: Lake, tmp_path: Path) -> None:
    copy = Lake.open(shutil.copytree(lake.path, tmp_path / "lake"))
    names = tmp_path / "names.csv"
    names.write_text("counterparty,effective_from,sector,rating\ncounterparty-0,2020-03-15,financial,A\n")
    with Committer(copy, "test") as committer:
        ingest_counterparties(committer, names)
    found = asked_of(copy, by=["counterparty"])
    told = [r for r in found.lacking.to_pylist() if r["risk"] == "credit" and r["kind"] == "netting_set"]
    assert [(r["name"], r["counterparty"]) for r in told] == [("CSA-0", "counterparty-0")]
    row = next(r for r in found.rows.to_pylist() if r["counterparty"] == "counterparty-0" and r["part"] == "all")
    assert row["credit_rwa"] is None
    assert row["status"] == "partial"  # it has market risk
    assert told[0]["reason"] in row["reason"]


def test_a_part_that_cannot_be_computed_makes_the_total_partial(ask: Ask) -> None:
    found = ask(parts=["credit", "cva"], cva="standardised", market_date=str(FRIDAY))
    cva = next(r for r in found.parts.to_pylist() if r["risk"] == "cva")
    assert (cva["status"], cva["rwa"]) == ("invalid", None)
    assert "leave market_date out" in cva["reason"]
    assert found.total["status"] == "partial"
    assert found.total["cva_rwa"] is None
    assert found.total["rwa"] == found.total["credit_rwa"] > 0.0
    assert any("in no figure is cva" in n for n in found.notes)
    assert any(r["kind"] == "part" and r["risk"] == "cva" for r in found.lacking.to_pylist())


def test_filters_of_the_trading_book_are_of_market_risk_alone(ask: Ask) -> None:
    whole, some = ask(**EVERY_DESK), ask(**EVERY_DESK, market_where=["desk=Options"])
    assert some.total["credit_rwa"] == whole.total["credit_rwa"]
    equities = next(r for r in some.rows.to_pylist() if r["desk"] == "Options" and r["part"] == "trades")
    assert equities["market_rwa"] == some.total["market_rwa"]
    assert not any("market_where" in n for n in some.notes)


def test_what_cannot_be_asked_is_said(ask: Ask) -> None:
    with pytest.raises(BadInput, match="market risk is not by netting_set"):
        ask(by=["netting_set"])
    with pytest.raises(BadInput, match="by names one twice"):
        ask(by=["desk", "desk"])
    with pytest.raises(BadInput, match="desk"):
        ask(by=["dask"])
    with pytest.raises(BadInput, match="basel"):
        ask(regime="bassel")
    assert "netting_set" in ask(by=["netting_set"], parts=["credit", "cva"]).rows.column_names
