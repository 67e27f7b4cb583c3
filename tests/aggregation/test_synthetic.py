"""Whether an answer rests on synthetic data, of a lake in which one risk factor is synthetic."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from small_lake import FACTORS, FRIDAY, MONDAY, build_lake

from aggregation import synthetic
from aggregation.session import reading
from aggregation.synthetic import rests_on_synthetic
from aggregation.types import RiskQuery
from lake.tables import Lake


def lake_of(folder: Path, *marked: str) -> Lake:
    return build_lake(folder / "lake", factors=[replace(f, synthetic=f.risk_factor_id in marked) for f in FACTORS])


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    return lake_of(tmp_path_factory.mktemp("synthetic"), "EQ:BBB")


@pytest.mark.parametrize(
    ("asked", "marked"),
    [
        ({"where": ["desk=Options"]}, False),
        ({"where": ["desk=Equities"]}, True),
        ({"where": ["desk=Equities", "instrument=EQ:AAA"]}, False),
        ({"where": ["desk=Options"], "branch": "any"}, True),  # what a branch adds is not looked into
        ({}, True),
    ],
)
def test_it_is_what_the_positions_read(asked: dict[str, Any], marked: bool, lake: Lake) -> None:
    query = RiskQuery.model_validate({"as_of": MONDAY, **asked})
    assert rests_on_synthetic(reading(lake), [FRIDAY, MONDAY], query) is marked


def test_an_exchange_rate_that_is_synthetic_counts(tmp_path: Path) -> None:
    lake = lake_of(tmp_path, "FX:EURUSD")
    for currency, marked in (("USD", True), ("EUR", False)):
        query = RiskQuery(as_of=MONDAY, currency=currency, where=("instrument=EQ:BBB",))  # type: ignore[arg-type]
        assert rests_on_synthetic(reading(lake), [MONDAY], query) is marked


def test_of_very_many_contracts_it_is_what_the_lake_holds(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    query = RiskQuery(as_of=MONDAY, where=("desk=Options",))  # type: ignore[arg-type]
    assert not rests_on_synthetic(reading(lake), [MONDAY], query)
    monkeypatch.setattr(synthetic, "MOST_CONTRACTS", 1)
    assert rests_on_synthetic(reading(lake), [MONDAY], query)
