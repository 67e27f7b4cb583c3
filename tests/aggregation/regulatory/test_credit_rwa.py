"""The question credit-rwa: on exposures of SA-CCR and on given ones, by any dimension, what sums and what is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_lake import MONDAY

from aggregation import questions
from aggregation.regulatory.credit.question import CreditRwa
from aggregation.session import reading
from lake.committer import Committer
from lake.errors import BadInput, NotFound
from lake.landing.reference import ingest_counterparties
from lake.tables import Lake

GIVEN = (
    {"netting_set": "N2", "counterparty": "counterparty-1", "ead": 1e6, "maturity": 4.0},
    {"netting_set": "N1", "counterparty": "counterparty-0", "legal_entity": "legal_entity-0", "ead": 2e6},
    {"netting_set": "N3", "counterparty": "counterparty-1", "ead": 5e5},
)


def ask(path: Path, **more: Any) -> CreditRwa:
    asked = questions.read("credit-rwa", {"as_of": str(MONDAY), **more})
    found = questions.ask(reading(Lake.open(path)), "credit-rwa", asked)
    assert isinstance(found, CreditRwa)
    return found


def by_key(found: CreditRwa, *keys: str) -> dict[Any, dict[str, Any]]:
    return {tuple(r[k] for k in keys) if len(keys) > 1 else r[keys[0]]: r for r in found.rows.to_pylist()}


def test_given_exposures_times_their_weights(valued_lake: Path) -> None:
    found = ask(valued_lake, ead=GIVEN)
    rows = by_key(found, "counterparty")
    assert (rows["counterparty-0"]["rwa"], rows["counterparty-0"]["capital"]) == (600_000.0, 48_000.0)  # A, bank: 30%
    assert (rows["counterparty-1"]["rwa"], rows["counterparty-1"]["netting_sets"]) == (
        1_125_000.0,
        2,
    )  # BBB, corporate: 75%
    assert (found.total["rwa"], found.total["ead"], found.total["capital"]) == (1_725_000.0, 3_500_000.0, 138_000.0)
    assert found.coverage.status == "complete"
    assert found.receipt["regime"] == "basel@2023"
    assert [r["netting_set"] for r in found.netting_sets.to_pylist()] == ["N2", "N1", "N3"]
    assert any("in force from 2023-01-01" in n for n in found.notes)


def test_internal_ratings_show_what_the_weight_was_made_from(valued_lake: Path) -> None:
    found = ask(valued_lake, ead=GIVEN, approach="advanced", by=["netting_set"])
    sets = {r["netting_set"]: r for r in found.netting_sets.to_pylist()}
    assert (sets["N1"]["approach"], sets["N1"]["lgd"], sets["N1"]["maturity"]) == ("foundation", 0.45, 2.5)
    assert (sets["N2"]["approach"], sets["N2"]["lgd"], sets["N2"]["maturity"]) == ("advanced", 0.4, 4.0)
    assert sets["N3"]["maturity"] == 2.5
    assert sets["N2"]["risk_weight"] > sets["N3"]["risk_weight"]
    assert sets["N1"]["expected_loss"] == pytest.approx(2e6 * 0.001 * 0.45)
    assert found.total["expected_loss"] == pytest.approx(900 + 1.5e6 * 0.003 * 0.4, abs=0.01)
    assert any("Own LGD are not permitted for 1 netting set" in n for n in found.notes)
    assert any("2 netting sets without a maturity" in n for n in found.notes)


def test_on_sa_ccr_a_trade_has_the_weight_of_its_counterparty(valued_lake: Path) -> None:
    sets = ask(valued_lake, by=["netting_set"], trades=100)
    asked = questions.read("sa-ccr", {"as_of": str(MONDAY)})
    exposures: Any = questions.ask(reading(Lake.open(valued_lake)), "sa-ccr", asked)
    ead = {r["netting_set"]: r["ead"] for r in exposures.rows.to_pylist()}
    rows = by_key(sets, "netting_set")
    assert {k: r["ead"] for k, r in rows.items()} == ead
    assert ead["CSA-0"] > 0
    assert rows["CSA-0"]["rwa"] == pytest.approx(0.3 * ead["CSA-0"], abs=0.001)
    of_trades = sets.trades.to_pylist()
    assert sum(r["rwa"] for r in of_trades if r["netting_set"] == "CSA-0") == rows["CSA-0"]["rwa"]
    for by in (["desk"], ["trade"], ["legal_entity", "desk"], ["counterparty_rating"], []):
        found = ask(valued_lake, by=by)
        assert sum(r["rwa"] or 0.0 for r in found.rows.to_pylist()) == sets.total["rwa"], by
        assert found.total == sets.total


def test_reference_data_of_the_counterparty_are_dimensions(valued_lake: Path) -> None:
    found = ask(valued_lake, ead=GIVEN, by=["counterparty_class", "counterparty_rating"])
    assert {k: r["rwa"] for k, r in by_key(found, "counterparty_class", "counterparty_rating").items()} == {
        ("bank", "A"): 600_000.0,
        ("corporate", "BBB"): 1_125_000.0,
    }
    with pytest.raises(BadInput, match="Unknown dimension 'desk'"):
        ask(valued_lake, ead=GIVEN, by=["desk"])


def test_what_if_a_rating_or_a_pd_were_another(valued_lake: Path) -> None:
    found = ask(valued_lake, ead=GIVEN, rating=["counterparty-0=BB"])
    row = by_key(found, "counterparty")["counterparty-0"]
    assert (row["rwa_before"], row["rwa"], row["rwa_change"]) == (600_000.0, 2e6, 1_400_000.0)
    assert found.total["rwa_change"] == 1_400_000.0
    irb = ask(valued_lake, ead=GIVEN, approach="foundation", pd=["counterparty-1=0.05"])
    assert by_key(irb, "counterparty")["counterparty-1"]["rwa_change"] > 0
    assert by_key(irb, "counterparty")["counterparty-0"]["rwa_change"] == 0
    for bad, message in (("counterparty-0=BBBB", "no rating"), ("BB", "changes no rating")):
        with pytest.raises(BadInput, match=message):
            ask(valued_lake, ead=GIVEN, rating=[bad])
    with pytest.raises(NotFound, match="Nearest of them: counterparty-"):
        ask(valued_lake, ead=GIVEN, rating=["counterparty-2=BB"])
    with pytest.raises(BadInput, match="no probability of default"):
        ask(valued_lake, ead=GIVEN, pd=["counterparty-0=2"])


def test_what_has_no_weight_is_a_row_with_its_reason_and_in_no_rwa(valued_copy: Lake, tmp_path: Path) -> None:
    path = tmp_path / "clients.csv"
    path.write_text("counterparty,effective_from,sector,rating\ncounterparty-0,2019-01-01,financial,A\n")
    with Committer(valued_copy, "test") as committer:
        ingest_counterparties(committer, path)
    found = ask(valued_copy.path, ead=(*GIVEN, {"netting_set": "N4", "counterparty": "Nobody", "ead": 7.0}))
    rows = by_key(found, "counterparty")
    assert (rows["counterparty-0"]["status"], rows["counterparty-0"]["rwa"], rows["counterparty-0"]["density"]) == (
        "invalid",
        None,
        None,
    )
    assert rows["counterparty-0"]["capital"] is None
    (alone,) = ask(
        valued_copy.path, ead=({"netting_set": "N4", "counterparty": "Nobody", "ead": 7.0},), by=[]
    ).rows.to_pylist()
    assert (alone["status"], alone["ead"], alone["rwa"], alone["capital"]) == ("invalid", 7.0, None, None)
    assert (rows["counterparty-0"]["ead"], rows["counterparty-0"]["ead_weighted"]) == (2e6, 0.0)
    assert (found.total["rwa"], found.total["status"], found.coverage.failed) == (1_125_000.0, "partial", 2)
    reasons = {r["netting_set"]: r["reason"] for r in found.netting_sets.to_pylist()}
    assert "has no credit_class" in reasons["N1"]
    assert "No row of counterparty 'Nobody'" in reasons["N4"]
    assert reasons["N2"] is None
    assert any("2 netting sets with EAD of 2,000,007 USD have no risk weight" in n for n in found.notes)


def test_given_exposures_with_faults_are_refused_by_row(valued_lake: Path) -> None:
    rows = ({**GIVEN[0], "ead": -1.0}, {**GIVEN[1], "netting": "x"}, GIVEN[2], GIVEN[2])
    with pytest.raises(BadInput, match=r"row 1/ead.*; row 2/netting: .*; row 4/netting_set: ") as error:
        ask(valued_lake, ead=rows)
    assert [i.pointer for i in error.value.issues] == ["row 1/ead", "row 2/netting", "row 4/netting_set"]
    with pytest.raises(BadInput, match="where filters positions"):
        ask(valued_lake, ead=GIVEN, where=["desk=Options"])


def test_the_order_of_given_rows_changes_no_bit(valued_lake: Path) -> None:
    rng = np.random.default_rng(3)
    rows = [
        {"netting_set": f"N{i:03d}", "counterparty": f"counterparty-{i % 2}", "ead": float(e)}
        for i, e in enumerate(rng.lognormal(12, 2, 200))
    ]
    one = ask(valued_lake, ead=rows, approach="foundation")
    two = ask(valued_lake, ead=rows[::-1], approach="foundation")
    assert one.rows.equals(two.rows)
    assert one.netting_sets.equals(two.netting_sets)
    assert one.total == two.total
