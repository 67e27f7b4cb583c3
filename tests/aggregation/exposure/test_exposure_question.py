"""The question exposure on a lake: groups, contributions, coverage, collateral, notes, errors."""

from fractions import Fraction

import pytest
from exposure_lake import made_up, price
from small_lake import MONDAY

from aggregation import questions
from aggregation.exposure import scope
from aggregation.regulatory.sa_ccr.classing import CLASSED
from aggregation.session import reading
from lake.errors import BadInput, VarlakeError
from lake.tables import Lake
from scenarios.market.base_market import load_base

ASKED = {"as_of": MONDAY, "grid": ["1M", "6M", "1Y"], "paths": 70}


@pytest.fixture
def ask(bare_lake, monkeypatch):
    """Asks a question of exposure on made up paths; `without` : instrument types that have no values."""
    lake = Lake.open(bare_lake)

    def asked(name="exposure", without=(), **more):
        monkeypatch.setattr(scope, "open_paths", lambda session, query: made_up(session, query, without))
        return questions.ask(reading(lake), name, questions.read(name, {**ASKED, "trades": "all", **more}))

    return asked


def test_by_counterparty_with_total(ask):
    found = ask(by=["counterparty"])
    rows, summary = found.rows.to_pylist(), found.summary.to_pylist()
    names = {r["counterparty"] for r in rows}
    assert names == {"counterparty-0", "counterparty-1"}
    assert len(rows) == 2 * 4
    assert [r["date"] for r in rows[:4]] == sorted(r["date"] for r in rows[:4])
    assert rows[0]["date"] == MONDAY
    assert rows[0]["ee_se"] == 0.0
    for r in rows:
        assert r["ee"] >= 0
        assert r["ene"] >= 0
        assert r["pfe_0.99"] >= r["pfe_0.95"] >= 0
        assert r["effective_ee"] >= r["ee"]
        if r["date"] > MONDAY:
            assert r["discounted_ee"] == pytest.approx(0.9 * r["ee"])
    # exposure is additive over netting sets in the mean, at every date
    whole = ask(by=[])
    for date in {r["date"] for r in rows}:
        (total,) = [r["ee"] for r in whole.rows.to_pylist() if r["date"] == date]
        assert sum(r["ee"] for r in rows if r["date"] == date) == pytest.approx(total, rel=1e-12)
    assert found.total == whole.total
    assert found.summary.num_rows == 2
    assert sum(r["positions"] for r in summary) == found.total["positions"] == found.coverage.positions
    assert found.total["ead"] == 1.4 * found.total["eepe"]
    assert found.alpha == 1.4
    assert found.regime == "basel@2023"
    assert found.receipt["regime"] == "basel@2023"
    assert any("in force from 2023-01-01" in n for n in found.notes)
    assert any("are paid by both sides" in n for n in found.notes)


def test_collateral_counts_and_may_be_left_out(ask, bare_lake):
    """CSA-0 holds 15,000 of variation margin and 3,000 euros that are kept apart."""
    with_it, without = ask(by=["netting_set"]), ask(by=["netting_set"], collateral=False)
    first, bare = (a.rows.to_pylist()[0] for a in (with_it, without))
    assert first["netting_set"] == bare["netting_set"] == "CSA-0"
    assert first["value"] == bare["value"]
    euro = price(load_base(Lake.open(bare_lake).snapshot(), MONDAY, "XNYS", 3), "EUR")
    assert first["collateral"] == pytest.approx(15_000 + 3_000 * euro, rel=1e-12)
    assert bare["collateral"] == 0.0
    assert first["ee"] == max(first["value"] - first["collateral"], 0.0)
    assert any("Collateral is left out, as asked" in n for n in without.notes)


def test_look_back_adds_a_date_a_margin_period_before_each(ask, monkeypatch):
    seen = []
    lookup = scope.path_scope
    monkeypatch.setattr(scope, "path_scope", lambda *a: seen.append(lookup(*a)[0].grid) or lookup(*a))
    found = ask()
    assert len(seen[-1]) == 6
    assert {r["date"] for r in found.rows.to_pylist()} > {MONDAY}
    assert found.rows.num_rows == 4
    ask(look_back=False)
    assert seen[-1] == ("1M", "6M", "1Y")


def test_finer_than_netting_gives_contributions_that_add_up_to_the_last_bit(ask):
    parts, nodes = ask(by=["counterparty", "desk", "trade"]), ask(by=["counterparty"])
    assert parts.node == ("counterparty",)
    assert nodes.node is None
    assert any("contributions, which add up to that of its counterparty" in n for n in parts.notes)
    rows = parts.rows.to_pylist()
    assert {r["part"] for r in rows} == {"trades", "collateral"}
    for name in ("ee", "pfe_0.95", "pfe_0.99"):
        for whole in nodes.rows.to_pylist():
            of = [r[name] for r in rows if (r["counterparty"], r["date"]) == (whole["counterparty"], whole["date"])]
            exact = sum(map(Fraction, of), Fraction(0))
            assert Fraction(float(exact)) == exact
            assert float(exact) == pytest.approx(whole[name], rel=1e-11, abs=1e-8)
    for whole in nodes.summary.to_pylist():
        of = [r for r in parts.summary.to_pylist() if r["counterparty"] == whole["counterparty"]]
        assert float(sum(Fraction(r["ead"]) for r in of)) == pytest.approx(whole["ead"], rel=1e-11, abs=1e-8)
        assert sum(r["positions"] for r in of) == whole["positions"]


def test_what_has_no_values_is_said_and_is_no_zero(ask):
    whole = ask(by=["counterparty"])
    kinds = ask(by=["instrument_type"]).summary.to_pylist()
    kind = kinds[0]["instrument_type"]
    found = ask(by=["instrument_type"], without=[kind])
    assert found.coverage.failed > 0
    assert found.coverage.status == "partial"
    (gone,) = [r for r in found.summary.to_pylist() if r["instrument_type"] == kind]
    assert gone["status"] == "invalid"
    assert gone["epe"] is None
    assert gone["ead"] is None
    assert any("not ageable: It cannot be aged" in n for n in found.notes)
    by_client = ask(by=["counterparty"], without=[kind]).summary.to_pylist()
    assert {r["status"] for r in by_client} == {"partial"}
    assert [r["positions"] for r in by_client] == [r["positions"] for r in whole.summary.to_pylist()]


def test_a_grid_that_ends_before_the_book_is_told(ask):
    assert any(n.startswith("The grid ends on ") and "is in no figure" in n for n in ask(grid=["1W"]).notes)
    far = ask(grid=["1M", "30Y"], look_back=False)
    assert not any(n.startswith("The grid ends on ") for n in far.notes)


def test_what_is_no_derivative_is_counted_as_sa_ccr_would_leave_it_out(ask):
    assert {k for k, rows in CLASSED.items() if isinstance(rows, str)} == scope.NO_DERIVATIVES
    (said,) = [n for n in ask(trades="derivatives").notes if "left out, as by SA-CCR" in n]
    assert any(f"{kind} " in said for kind in scope.NO_DERIVATIVES)
    (told,) = [n for n in ask().notes if "with the whole value" in n]
    assert any(f"{kind} " in told for kind in scope.NO_DERIVATIVES)


def test_derivatives_alone_are_as_a_filter_to_them_but_for_their_collateral(ask):
    kinds = sorted(
        {r["instrument_type"] for r in ask(by=["instrument_type"]).summary.to_pylist()} & scope.NO_DERIVATIVES
    )
    asked = {"by": ["counterparty"], "collateral": False}
    alone, filtered = ask(trades="derivatives", **asked), ask(where=[f"instrument_type!={','.join(kinds)}"], **asked)
    assert alone.rows.equals(filtered.rows)
    assert alone.summary.equals(filtered.summary)
    assert not alone.rows.equals(ask(**asked).rows)
    # a netting set whose derivatives are all asked about is whole, whatever else is held with the counterparty
    assert not any("of which the filters leave a part" in n for n in ask(trades="derivatives").notes)


def test_a_selection_without_a_derivative_is_refused(ask):
    with pytest.raises(BadInput, match=r"is a derivative.*trades=all"):
        ask(trades="derivatives", where=["instrument_type=cash_equity"])


def test_a_part_of_a_netting_set_has_no_collateral_and_says_so(ask):
    found = ask(by=["netting_set"], where=["desk=Options"])
    assert all(r["collateral"] == 0.0 for r in found.rows.to_pylist() if r["netting_set"] == "CSA-0")
    assert any("No collateral counts for" in n and "CSA-0" in n for n in found.notes)


def test_margin_periods_below_the_floor_are_named_and_the_floor_may_be_asked_for(ask):
    assert not any("below the floor" in n for n in ask().notes)  # the agreement has the floor's ten days
    assert ask(margin_period="regime").total["ead"] == ask().total["ead"]


def test_bad_input_says_what_is_expected(ask):
    with pytest.raises(VarlakeError, match="netting_set"):
        ask(by=["netting_sett"])
    with pytest.raises(BadInput, match=r"alpha 1\.1 was given.*1\.2 at the least"):
        ask(alpha=1.1)
    with pytest.raises(VarlakeError, match="regime"):
        ask(regime="bazel")
    with pytest.raises(BadInput, match="95"):
        ask(levels=["95"])
    with pytest.raises(BadInput, match="No position of 2020-03-16 passes"):
        ask(where=["desk=Options", "desk=Equities"])
    with pytest.raises(BadInput, match="paths have at most 120"):
        ask(grid=[f"{i}M" for i in range(1, 73)])
    assert ask(alpha=1.3).alpha == 1.3
    assert ask(levels=["0.95", "0.950"]).rows.equals(ask(levels=["0.95"]).rows)  # one level, given twice


def test_sobol_has_no_standard_errors(ask):
    found = ask(sampling="sobol")
    rows = found.rows.to_pylist()
    assert rows[1]["ee_se"] is None
    assert rows[1]["pfe_0.95_se"] is None
    assert found.total["eepe_se"] is None
    assert any("no standard errors" in n for n in found.notes)
