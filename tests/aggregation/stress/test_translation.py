"""Stress P&L with and without the translation of values in other currencies, by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from reduce_lake import Valued, make_lake, position
from small_lake import MONDAY, build_lake, no_spark

from aggregation import questions
from aggregation.opened.opened_lake import VectorCache
from aggregation.risk.query import run_scenarios
from aggregation.session import Session, reading
from aggregation.types import RiskQuery
from lake.committer import Committer
from lake.tables import Lake

BASE, PNL, SPOT, THEN = 100.0, -20.0, 1.1, 1.0  # a share in USD, and the price of one EUR in USD
SCENARIO = "equity -20%; fx[EURUSD] -10%"


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    made = build_lake(tmp_path_factory.mktemp("translated") / "lake")
    with Committer(made, "test") as committer:
        session = Session(made, VectorCache(made), committer, no_spark)  # type: ignore[arg-type]
        for name, asked in ASKED.items():
            questions.value(session, name, questions.read(name, {"as_of": MONDAY, **asked}))
    return made


ASKED = {
    "stress": {"scenario": SCENARIO},
    "stress-compare": {"scenarios": [SCENARIO, "equity -20%"]},
    "ladder": {"axes": ["fx[EURUSD] -10%..+10% step 10%"]},
}


def test_the_value_is_translated_or_not(tmp_path: Path) -> None:
    """A share of 100 USD that falls by 20 while EURUSD falls from 1.1 to 1.0."""
    valued = Valued({"c": ("USD", BASE, np.array([PNL, PNL]))}, fx={"EURUSD": (SPOT, np.array([THEN, SPOT]))})
    made = make_lake(tmp_path, valued, [position("t", "c", 1.0)])
    query = RiskQuery(as_of=valued.day, currency="EUR")
    whole, without = (run_scenarios(made, query, translation=by) for by in ("scenario", "spot"))
    columns = [c for c in whole.rows.column_names if c.startswith("pnl_")]
    first, second = ((BASE + PNL) / THEN - BASE / SPOT, PNL / SPOT)
    assert [whole.total[c] for c in columns] == pytest.approx([first, second], rel=1e-12)
    assert [without.total[c] for c in columns] == pytest.approx([PNL / SPOT] * 2, rel=1e-12)
    assert (whole.total["base_value"], without.total["base_value"]) == (BASE / SPOT, BASE / SPOT)
    (note,) = (n for n in whole.notes if "translation" in n)
    assert f"{first - PNL / SPOT:,.0f} of the total in scenario {columns[0].removeprefix('pnl_')}, the most" in note
    assert "translation=spot" in note
    assert any("translation=spot" in n for n in without.notes)


def test_nothing_is_said_where_exchange_rates_stand(tmp_path: Path) -> None:
    valued = Valued({"c": ("USD", BASE, np.array([PNL]))}, fx={"EURUSD": (SPOT, np.array([SPOT]))})
    made = make_lake(tmp_path, valued, [position("t", "c", 1.0)])
    for currency in ("EUR", "USD"):
        notes = run_scenarios(made, RiskQuery(as_of=valued.day, currency=currency)).notes
        assert not any("translation" in n for n in notes)


def asked(lake: Lake, name: str, currency: str, translation: str) -> Any:
    given = {"as_of": MONDAY, "currency": currency, "translation": translation, **ASKED[name]}
    return questions.ask(reading(lake), name, questions.read(name, given))


@pytest.mark.parametrize("name", ["stress", "stress-compare"])
def test_without_translation_all_currencies_tell_the_same_money(lake: Lake, name: str) -> None:
    """P&L at the base's rates in EUR is that in USD at one and the same rate; with translation it is not."""

    def rates(translation: str) -> list[float]:
        (euros,), (dollars,) = (asked(lake, name, c, translation).rows.to_pylist() for c in ("EUR", "USD"))
        counts = ("positions", "covered", "failed", "missing", "substituted", "status")
        return [dollars[k] / euros[k] for k in euros if k not in counts]  # the base value first

    spot, *others = rates("spot")
    assert others == pytest.approx([spot] * len(others), rel=1e-12)
    assert rates("scenario")[1] != pytest.approx(spot, rel=1e-3)
    assert any("translation=spot" in n for n in asked(lake, name, "EUR", "scenario").notes)


def test_a_ladder_of_exchange_rates_moves_shares_by_translation_alone(lake: Lake) -> None:
    pnl = {by: asked(lake, "ladder", "EUR", by).rows["pnl"].to_pylist() for by in ("scenario", "spot")}
    assert pnl["spot"] == [0.0, 0.0, 0.0]
    assert pnl["scenario"][0] > 0.0 > pnl["scenario"][2]  # the dollar rises, and falls
