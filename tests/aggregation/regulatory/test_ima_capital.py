"""ima-capital: averages, multiplier, surcharge and total on a small lake, held to arithmetic written out here."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest
from small_lake import FRIDAY, MONDAY, build_lake

from aggregation import questions
from aggregation.opened.opened_lake import VectorCache
from aggregation.regulatory import ima_elsewhere
from aggregation.regulatory.ima_capital import ImaCapital
from aggregation.regulatory.ima_elsewhere import with_tests
from aggregation.session import Session, reading
from lake.committer import Committer
from lake.errors import BadInput, NotValued
from lake.tables import Lake

ASKED = {"as_of": str(MONDAY), "days": 2, "scenarios": 20, "stress": "2020-01-06:2020-02-14", "untested": "modellable"}
WHOLE = {
    "exceptions": 6,
    "zones": {"Equities": "amber", "Options": "green"},
    "standardised": {"Equities": 40.0e3, "Options": 60.0e3},
    "standardised_all": 1e9,
    "standardised_eligible": 400e3,
    "unapproved": 1000.0,
    "default_risk": 500.0,
}


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    made = build_lake(tmp_path_factory.mktemp("ima-capital") / "lake")
    query = questions.read("ima-capital", ASKED)
    with pytest.raises(NotValued):
        questions.ask(reading(made), "ima-capital", query)
    with Committer(made, "test") as committer:
        questions.value(Session(made, VectorCache(made), committer), "ima-capital", query)
    assert questions.plan(reading(made), "ima-capital", query).ready
    return made


def ask(lake: Lake, **changed: Any) -> ImaCapital:
    found: ImaCapital = questions.ask(reading(lake), "ima-capital", questions.read("ima-capital", {**ASKED, **changed}))
    return found


def of(answer: ImaCapital) -> dict[str, Any]:
    return {r["component"]: r["amount"] for r in answer.components.to_pylist()}


def test_all_components_by_hand(lake: Lake) -> None:
    answer, days = ask(lake, **WHOLE), {}
    for day in (FRIDAY, MONDAY):
        asked = {k: v for k, v in ASKED.items() if k != "days"} | {"as_of": str(day)}
        days[day] = questions.ask(reading(lake), "frtb-ima", questions.read("frtb-ima", asked)).total
    assert [(r["day"], r["imcc"], r["ses"]) for r in answer.rows.to_pylist()] == [
        (d, t["imcc"], t["ses"]) for d, t in days.items()
    ]
    mean = (days[FRIDAY]["imcc"] + days[MONDAY]["imcc"]) / 2
    own = max(days[MONDAY]["imcc"], 1.76 * mean)
    ima = own + 500.0
    surcharge = 0.5 * 40 / 100 * max(0.0, 400e3 - ima)
    assert answer.own_funds == pytest.approx(own, rel=1e-14)
    assert of(answer)["multiplier"] == 1.76
    assert of(answer)["surcharge"] == pytest.approx(surcharge, rel=1e-12)
    assert answer.total == pytest.approx(ima + surcharge + 1000.0, rel=1e-12)
    assert answer.rwa == pytest.approx(12.5 * (ima + surcharge + 1000.0), rel=1e-12)
    assert answer.status == "partial"  # two days are no sixty
    assert any("2 days; the rule takes 60" in n for n in answer.notes)


def test_the_multiplier_touches_the_average_alone(lake: Lake) -> None:
    few, many = ask(lake, exceptions=0), ask(lake, exceptions=11)
    assert (of(few)["multiplier"], of(many)["multiplier"]) == (1.5, 2.0)
    assert of(few)["imcc_latest"] == of(many)["imcc_latest"]
    assert many.own_funds == pytest.approx(2.0 * of(many)["imcc_mean"], rel=1e-14)


def test_the_cap_and_the_excess(lake: Lake) -> None:
    capped = ask(lake, **{**WHOLE, "standardised_all": 1000.0})
    own = capped.own_funds
    assert own is not None
    assert capped.total == pytest.approx(1000.0 + max(0.0, own + 500.0 - 400e3), rel=1e-12)
    over = ask(lake, **{**WHOLE, "standardised_eligible": 1000.0})
    assert of(over)["surcharge"] == 0.0
    assert over.total == pytest.approx(own + 500.0 + 1000.0 + (own + 500.0 - 1000.0), rel=1e-12)


def test_what_is_not_given_is_that_of_the_other_questions_to_the_bit(lake: Lake) -> None:
    zones = {"Equities": "amber", "Options": "green"}
    pds = {"EQ:AAA": 0.02, "EQ:BBB": 0.03}
    answer = ask(lake, zones=zones, pds=pds, correlation_days=5)
    session, at = reading(lake), {"as_of": str(MONDAY)}

    def other(name: str, **more: Any) -> Any:
        return questions.ask(session, name, questions.read(name, {**at, **more}))

    every = other("frtb-sa").total["capital"]
    alone = {r["desk"]: r["standalone"] for r in other("frtb-sa", by=["desk"], standalone=True).rows.to_pylist()}
    moves = answer.receipt["figures"]["default_risk"]["scenario_set_id"]
    default = other("drc-ima", scenario_set=moves, pds=pds, correlation_days=5).charge
    found = of(answer)
    assert default > 0.0
    assert (found["standardised_all"], found["standardised_eligible"], found["default_risk"]) == (every, every, default)
    assert found["unapproved"] == 0.0  # both desks are on the model
    own = answer.own_funds
    assert own is not None
    k = 0.5 * alone["Equities"] / (alone["Equities"] + alone["Options"])
    assert found["surcharge"] == pytest.approx(k * max(0.0, every - own - default), rel=1e-12)
    total = min(own + default + found["surcharge"], every) + max(0.0, own + default - every)
    assert answer.total == pytest.approx(total, rel=1e-12)
    assert set(answer.receipt["figures"]) >= {
        "standardised_all",
        "standardised_eligible",
        "standardised",
        "default_risk",
    }
    one = ask(lake, zones={"Equities": "green"})
    assert of(one)["unapproved"] == other("frtb-sa", where=["desk=Options"]).total["capital"]
    assert of(one)["standardised_eligible"] == other("frtb-sa", where=["desk=Equities"]).total["capital"]


def test_a_figure_that_cannot_be_had_is_said_and_not_zero(lake: Lake) -> None:
    zones = {"Equities": "amber", "Options": "green"}
    answer = ask(lake, zones=zones, standardised={"Equities": 1.0}, pds={"EQ:AAA": 0.02})
    assert [c for c, v in of(answer).items() if v is None] == ["surcharge"]
    (row,) = [r for r in answer.components.to_pylist() if r["component"] == "surcharge"]
    assert "lacking Options" in row["how"]
    (row,) = [r for r in answer.components.to_pylist() if r["component"] == "default_risk"]
    assert row["how"] == "drc-ima, partial"  # nothing is known of the other share
    assert any(n.startswith("Partial: default_risk") for n in answer.notes)
    assert answer.status == "partial"


def test_correlations_of_defaults_are_passed_on_and_lack_where_the_history_is_too_short(lake: Lake) -> None:
    pds = {"EQ:AAA": 0.02, "EQ:BBB": 0.03}
    short = ask(lake, pds=pds)
    assert of(short)["default_risk"] is None
    (row,) = [r for r in short.components.to_pylist() if r["component"] == "default_risk"]
    assert "cannot be estimated: 0 of 2 issuers have enough history" in row["how"]
    assert any(n.startswith("Not known and not in the total: default_risk") for n in short.notes)
    given = {"common_correlation": 0.2, "sector_correlation": 0.1}
    answer = ask(lake, pds=pds, **given)
    moves = answer.receipt["figures"]["default_risk"]["scenario_set_id"]
    asked = questions.read("drc-ima", {"as_of": str(MONDAY), "scenario_set": moves, "pds": pds, **given})
    assert of(answer)["default_risk"] == questions.ask(reading(lake), "drc-ima", asked).charge > 0.0
    assert answer.receipt["table_versions"]["counterparties"] == lake.version("counterparties")
    with pytest.raises(BadInput, match="sector_correlation is not given"):
        ask(lake, common_correlation=0.2)


def test_a_lake_without_the_standardised_moves_says_what_they_take(tmp_path: Path) -> None:
    made = build_lake(tmp_path / "lake")
    given = {n: WHOLE[n] for n in ("standardised_all", "standardised_eligible", "default_risk")}
    query = questions.read("ima-capital", {**ASKED, "days": 1, **given})
    with Committer(made, "test") as committer:
        questions.value(Session(made, VectorCache(made), committer), "ima-capital", query)
    assert questions.plan(reading(made), "ima-capital", query).ready  # nothing of frtb-sa is asked
    assert questions.ask(reading(made), "ima-capital", query).total is not None
    more = questions.read("ima-capital", {**ASKED, "days": 1})
    assert not questions.plan(reading(made), "ima-capital", more).ready
    with pytest.raises(NotValued):
        questions.ask(reading(made), "ima-capital", more)


def test_zones_and_exceptions_are_those_of_desk_eligibility(valued_lake: Path) -> None:
    session = reading(Lake.open(valued_lake))
    query = questions.read("ima-capital", {**ASKED, "tested_from": str(FRIDAY)})
    asked = {"from": str(FRIDAY), "to": str(MONDAY), "calendar": "books"}
    rows = questions.ask(session, "desk-eligibility", questions.read("desk-eligibility", asked)).rows.to_pylist()
    found, notes, receipt = with_tests(session, query)
    assert found.exceptions == next(r["exceptions_0.99"] for r in rows if r["total"])
    assert found.zones == {"Equities": "green", "Options": "green"}  # one day decides nothing, and they are named
    assert any("2 desks cannot be decided yet" in n and "Equities, Options" in n for n in notes)
    assert receipt is not None
    given = query.model_copy(update={"zones": {"Options": "amber"}, "exceptions": 7})
    assert with_tests(session, given) == (given, [], None)
    assert with_tests(session, query.model_copy(update={"tested_from": None}))[2] is None


def test_a_desk_that_fails_is_not_on_the_model(valued_lake: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [
        {"desk": d, "total": False, "approach": a, "zone": z, "tested": 250, "exceptions_0.99": n}
        for d, a, z, n in (
            ("A", "internal model", "green", 2),
            ("B", "internal model with surcharge", "amber", 3),
            ("C", "standardised", "red", 20),
            ("D", "undecided", "amber", 0),
        )
    ]

    def answer_with(desks: list[dict[str, Any]]) -> None:
        total = {
            "desk": None,
            "total": True,
            "approach": "undecided",
            "zone": None,
            "tested": 250,
            "exceptions_0.99": 6,
        }
        told = SimpleNamespace(rows=pa.Table.from_pylist([total, *desks]), receipt={})
        fake = SimpleNamespace(answer=lambda session, query: told)
        monkeypatch.setattr(ima_elsewhere, "DESK_ELIGIBILITY", fake)

    session = reading(Lake.open(valued_lake))
    query = questions.read("ima-capital", {**ASKED, "tested_from": str(FRIDAY)})
    answer_with(rows)
    found, _, _ = with_tests(session, query)
    assert (found.zones, found.exceptions) == ({"A": "green", "B": "amber", "D": "amber"}, 6)
    answer_with([rows[2]])
    with pytest.raises(BadInput, match="No desk passes"):
        with_tests(session, query)


def test_days_that_are_not_valued_are_rows_with_their_reason(lake: Lake) -> None:
    answer = ask(lake, scenarios=20, days=2, stress="2020-01-06:2020-02-14")
    assert [r["status"] for r in answer.rows.to_pylist()] == ["partial", "partial"]  # a matured option is in the book
    assert set(answer.receipt["days"]) == {str(FRIDAY), str(MONDAY)}


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"standardised": {"Equities": -1.0}}, "at least 0"),
        ({"zones": {"Options": "green"}, "standardised": {"Equity": 1.0}}, "not in zones"),
        ({"zones": {"Options": "red"}}, "amber"),
        ({"zones": {"Option": "green"}}, "Options"),
        ({"days": 0}, "1"),
        ({"pds": {"EQ:AAA": 2.0}}, "fraction from 0 to 1"),
        ({"tested_from": str(MONDAY)}, "a day before as_of"),
    ],
)
def test_bad_input_is_told(lake: Lake, changed: dict[str, Any], said: str) -> None:
    with pytest.raises(BadInput) as error:
        ask(lake, **changed)
    assert said in str(error.value)
