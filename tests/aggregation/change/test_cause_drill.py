"""A cell taken apart: rows of trade, contract and scenario that add up to it, with the weights and P&Ls they are made of."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from explain_lake import MONDAY, TUESDAY, Point, total, two_points, var
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_explain import BASE, LABELS, A, random_point

from aggregation.change.cause_drill import drill, parse_cell
from aggregation.change.explain import CAUSES, explained
from aggregation.change.sides import compared
from lake.errors import BadInput


def opened(folder: Path, one: Point, two: Point, monkeypatch: Any, **more: Any) -> Any:
    lake, a, b = two_points(folder, one, two, monkeypatch)
    comparison = compared(lake, a.model_copy(update=more), b.model_copy(update=more))
    return comparison, explained(comparison)


@settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 10_000), shift=st.sampled_from([0, 2, 40]))
def test_every_cell_is_the_sum_of_its_rows(tmp_path_factory: pytest.TempPathFactory, seed: int, shift: int) -> None:
    rng = np.random.default_rng(seed)
    with pytest.MonkeyPatch.context() as patch:
        points = random_point(rng, MONDAY, 0), random_point(rng, TUESDAY, shift)
        comparison, result = opened(tmp_path_factory.mktemp("drill"), *points, patch, measures=("es",))
    for row in result.rows.to_pylist():
        for cause in CAUSES:
            found = drill(comparison, result, {"desk": row["desk"], "cause": cause})
            assert sum(found.rows["value"].to_pylist()) == pytest.approx(row[cause], abs=1e-9)
            assert set(found.rows["desk"].to_pylist()) <= {row["desk"]}
    everything = drill(comparison, result, {})
    assert sum(everything.rows["value"].to_pylist()) == pytest.approx(result.change, abs=1e-9)


def test_a_row_holds_what_it_is_made_of(tmp_path: Path, monkeypatch: Any) -> None:
    two = BASE.but(day=TUESDAY, positions=[("t1", "a", 3.0, "Rates"), ("t2", "a", 1.0, "FX")])
    comparison, result = opened(tmp_path, BASE, two, monkeypatch)
    (row,) = drill(comparison, result, parse_cell(["desk=Rates,cause=amended"])).rows.to_pylist()
    assert row == {
        "desk": "Rates",
        "cause": "amended",
        "trade": "t1",
        "contract_id": "a",
        "scenario": LABELS[1],
        "quantity_before": 2.0,
        "quantity_after": 3.0,
        "weight_before": 1.0,
        "weight_after": 1.0,
        "pnl_before": -60.0,
        "pnl_after": -90.0,
        "value": 30.0,
    }


def test_the_scenario_that_left(tmp_path: Path, monkeypatch: Any) -> None:
    """The worst day leaves, so that another one stands at the quantile: it lost 60 and the third worst loses 40."""
    two = BASE.but(day=TUESDAY, labels=["2020-01-09", *LABELS[1:]], vectors={"a": ("USD", 100.0, [60.0, *A[1:]])})
    comparison, result = opened(tmp_path, BASE, two, monkeypatch)
    rows = drill(comparison, result, {"cause": "left"}).rows.to_pylist()
    # of the seven common scenarios the second worst is scenario 3: its weight comes, that of scenario 2 goes
    assert {(r["scenario"], r["weight_before"], r["weight_after"], r["value"]) for r in rows} == {
        (LABELS[1], 1.0, 0.0, -60.0),
        (LABELS[2], 0.0, 1.0, 40.0),
    }
    assert var(total(two), 0.75)[0] == result.after == 40.0


def test_the_largest_come_first_and_the_others_as_their_sum(tmp_path: Path, monkeypatch: Any) -> None:
    rng = np.random.default_rng(5)
    comparison, result = opened(tmp_path, random_point(rng, MONDAY, 0), random_point(rng, TUESDAY, 3), monkeypatch)
    whole, few = drill(comparison, result, {}), drill(comparison, result, {}, limit=3)
    sizes = np.abs(whole.rows["value"].to_numpy())
    assert (np.diff(sizes) <= 0).all()
    assert few.rows.equals(whole.rows.slice(0, 3))
    assert few.parts == whole.parts == whole.rows.num_rows
    assert few.others == pytest.approx(sum(whole.rows["value"].to_pylist()[3:]), abs=1e-9)


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ("desk=Ratse", "Unknown desk 'Ratse'. Nearest valid: Rates"),
        ("dsk=Rates", "Unknown column of the table 'dsk'. Nearest valid: desk"),
        ("cause=amend", "Unknown cause 'amend'. Nearest valid: amended"),
        ("Rates", "The cell 'Rates' was given"),
    ],
)
def test_a_cell_that_is_not_there(tmp_path: Path, monkeypatch: Any, cell: str, message: str) -> None:
    comparison, result = opened(tmp_path, BASE, BASE.but(day=TUESDAY), monkeypatch)
    with pytest.raises(BadInput, match=message):
        drill(comparison, result, parse_cell([cell]))


def test_a_member_may_hold_a_comma() -> None:
    assert parse_cell(["legal_entity=Bank, London,cause=new"]) == {"legal_entity": "Bank, London", "cause": "new"}
    assert parse_cell(["attribute.rating=", "cause=new"]) == {"attribute.rating": None, "cause": "new"}
