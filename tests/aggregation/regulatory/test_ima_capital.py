"""ima-capital: averages, multiplier, surcharge and total on a small lake, held to arithmetic written out here."""

from __future__ import annotations

from typing import Any

import pytest
from small_lake import FRIDAY, MONDAY, build_lake

from aggregation import questions
from aggregation.opened.opened_lake import VectorCache
from aggregation.regulatory.ima_capital import ImaCapital
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


def test_what_is_not_given_is_said_and_not_zero(lake: Lake) -> None:
    answer = ask(lake, zones={"Equities": "amber", "Options": "green"}, standardised={"Equities": 1.0})
    assert {c for c, v in of(answer).items() if v is None} == {
        "default_risk",
        "surcharge",
        "unapproved",
        "standardised_all",
        "standardised_eligible",
    }
    (row,) = [r for r in answer.components.to_pylist() if r["component"] == "surcharge"]
    assert "lacking Options" in row["how"]
    assert answer.status == "partial"


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
    ],
)
def test_bad_input_is_told(lake: Lake, changed: dict[str, Any], said: str) -> None:
    with pytest.raises(BadInput) as error:
        ask(lake, **changed)
    assert said in str(error.value)
