"""The question `ba-cva`: rules by paragraph on exposures that are given and on those of SA-CCR, hedges, coverage, exact sums."""

import datetime as dt
import math

import pytest
from small_lake import MONDAY

from aggregation import questions
from aggregation.regimes.regimes import regime_of
from aggregation.regulatory.ba_cva import BaCvaQuery, run_ba_cva
from aggregation.session import reading
from lake.committer import Committer
from lake.errors import BadInput
from lake.landing.cva_hedges import ingest_cva_hedges
from lake.tables import Lake

HEADER = "hedge,effective_from,kind,counterparty,reference,reference_type,sector,rating,maturity,notional,currency\n"


def _given(**more):
    return {"netting_set": "N", "counterparty": "counterparty-0", "ead": 1e6, "maturity": 2.5, **more}


@pytest.fixture(scope="module")
def session(valued_lake):
    return reading(Lake.open(valued_lake))


def ask(session, **more):
    return run_ba_cva(session, BaCvaQuery.model_validate({"as_of": MONDAY, "exposures": [_given()], **more}))


def test_a_netting_set_by_hand(session):
    """counterparty-0 is a financial rated A: 5%; M of 2.5 years: discounted by 0.94002478."""
    found = ask(session)
    scva = 0.05 * 2.5 * 1e6 * 0.94002478 / 1.4
    assert found.total["capital"] == pytest.approx(0.65 * scva, rel=1e-8)
    assert found.total["rwa"] == 12.5 * found.total["capital"]
    assert found.sets["risk_weight"].to_pylist() == [0.05]
    assert found.total["status"] == "complete"
    assert any("basel@2023" in n for n in found.notes)
    assert found.receipt["regime"] == "basel@2023"


def test_exposures_of_the_internal_model_are_not_discounted(session):
    """MAR50.15(4)."""
    found = ask(session, internal_model=True)
    assert found.sets["discount_factor"].to_pylist() == [1.0]
    assert found.total["capital"] == pytest.approx(0.65 * 0.05 * 2.5e6 / 1.4)


def test_maturity_is_not_capped_and_has_a_floor(session):
    long = ask(session, exposures=[_given(maturity=20.0)])
    assert long.sets["maturity"].to_pylist() == [20.0]
    assert ask(session, exposures=[_given(maturity=0.2)]).sets["maturity"].to_pylist() == [1.0]


def test_netting_sets_of_a_counterparty_are_added_before_the_root(session):
    """Two netting sets of one counterparty are one SCVA: no diversification between them."""
    both = [_given(), _given(netting_set="M", legal_entity="X")]
    found = ask(session, exposures=both, by=["netting_set"])
    assert found.total["capital"] == pytest.approx(2 * ask(session).total["capital"])
    other = [_given(), _given(netting_set="M", counterparty="counterparty-1")]
    spread = ask(session, exposures=other, by=["counterparty"])
    one, two = spread.sets["scva"].to_pylist()
    expected = 0.65 * math.sqrt((0.5 * (one + two)) ** 2 + 0.75 * (one**2 + two**2))
    assert spread.total["capital"] == pytest.approx(expected)
    assert sum(spread.rows["capital"].to_pylist()) == spread.total["capital"]


def test_an_unknown_counterparty_is_told_and_not_zero(session):
    found = ask(
        session, exposures=[_given(), _given(netting_set="M", counterparty="counterparty-9")], by=["counterparty"]
    )
    rows = {r["counterparty"]: r for r in found.rows.to_pylist()}
    assert rows["counterparty-9"]["capital"] is None
    assert "No row of counterparty 'counterparty-9'" in rows["counterparty-9"]["reason"]
    assert rows["counterparty-9"]["status"] == "invalid"
    assert found.total["status"] == "partial"
    assert any("have no charge" in n or "has no charge" in n for n in found.notes)


def test_where_no_counterparty_is_known_there_is_no_capital(session):
    found = ask(session, exposures=[_given(counterparty="counterparty-9")])
    assert found.total["status"] == "invalid"
    assert [found.total[k] for k in ("capital", "rwa", "k", "k_reduced", "k_hedged")] == [None] * 5
    assert found.total["ead"] > 0


def test_regimes_that_extend_basel_have_its_formula(session):
    assert ask(session, regime="eu").total["capital"] == ask(session).total["capital"]
    assert ask(session, regime="uk").receipt["regime"] == "uk@ps1-26"


def test_a_regime_without_a_parameter_is_refused():
    regime = regime_of("basel", dt.date(2024, 1, 1), None)
    from aggregation.regulatory.cva_parameters import BaCva
    from lake.errors import validated

    lacking = {k: v for k, v in regime.sections["ba_cva"].items() if k != "beta"}
    with pytest.raises(BadInput, match="beta"):
        validated(BaCva, lacking, "section ba_cva")


@pytest.fixture
def hedged(valued_copy, tmp_path):
    def bring(*rows):
        path = tmp_path / "hedges.csv"
        path.write_text(HEADER + "\n".join(rows) + "\n")
        with Committer(valued_copy, "test") as committer:
            ingest_cva_hedges(committer, path)
        return reading(valued_copy)

    return bring


def test_hedges_reduce_the_full_approach_alone(hedged):
    session = hedged(
        "H1,2020-01-01,single_name,counterparty-0,C0,direct,financial,A,2022-09-12,300000,USD",
        "H2,2020-01-01,index,,IG,,financial,BBB,2025-03-16,500,EUR",
        "H3,2020-01-01,single_name,counterparty-7,C7,related,financial,A,2022-09-12,5,USD",
        "H4,2020-01-01,index,,IG,,financial,BBB,2020-01-16,100000,USD",
    )
    full, reduced = ask(session), ask(session, approach="reduced")
    assert full.total["capital"] < reduced.total["capital"]
    rows = {r["hedge"]: r for r in full.hedges.to_pylist()}
    years = 910 / 365
    amount = 0.05 * years * 3e5 * (1 - math.exp(-0.05 * years)) / (0.05 * years)
    assert rows["H1"]["amount"] == pytest.approx(amount)
    assert rows["H1"]["capital"] < 0.0
    assert rows["H2"]["capital"] < 0.0
    assert "no charge for counterparty counterparty-7" in rows["H3"]["reason"]
    assert "matured" in rows["H4"]["reason"]
    parts = [*full.rows["capital"].to_pylist(), *(r["capital"] for r in rows.values() if r["capital"] is not None)]
    assert math.fsum(parts) == full.total["capital"]
    scva, snh = full.sets["scva"][0].as_py(), rows["H1"]["amount"]
    index = rows["H2"]["amount"]
    hedged_k = math.sqrt((0.5 * (scva - snh) - index) ** 2 + 0.75 * (scva - snh) ** 2)
    assert full.total["capital"] == pytest.approx(0.65 * (0.25 * scva + 0.75 * hedged_k))


@pytest.mark.parametrize(("kind", "r"), [("direct", 1.0), ("related", 0.8), ("sector_region", 0.5)])
def test_hedges_of_other_names_count_less(hedged, kind, r):
    """MAR50.26, and MAR50.25: what they miss is charged squared."""
    session = hedged(f"H,2020-01-01,single_name,counterparty-0,X,{kind},financial,A,2022-09-12,1000000,USD")
    found = ask(session)
    amount = found.hedges["amount"][0].as_py()
    assert found.total["hedge_misalignment"] == pytest.approx((1 - r * r) * amount * amount, abs=1e-6)


def test_of_sa_ccr(session):
    """Exposures of the stored book, by the finest dimension: contributions of trades and agreements add up exactly."""
    query = BaCvaQuery(as_of=MONDAY, by=("desk",))
    found = run_ba_cva(session, query)
    coarse = run_ba_cva(session, query.model_copy(update={"by": ("counterparty",)}))
    assert found.total["capital"] == coarse.total["capital"] > 0.0
    for answer in (found, coarse):
        assert math.fsum(c for c in answer.rows["capital"].to_pylist() if c is not None) == answer.total["capital"]
    assert found.total["ead"] == pytest.approx(math.fsum(found.rows["ead"].to_pylist()))


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"exposures": [_given(), _given()]}, "twice"),
        ({"exposures": [], "internal_model": True}, "internal_model"),
        ({"by": ["desk"]}, "alone"),
        ({"exposures": [_given(ead=-1)]}, "greater than or equal"),
        ({"regime": "basle"}, "basel"),
        ({"by": ["counterparty", "counterparty"]}, "twice"),
    ],
)
def test_bad_input(session, more, said):
    with pytest.raises(BadInput, match=said):
        questions.ask(
            session, "ba-cva", questions.read("ba-cva", {"as_of": str(MONDAY), "exposures": [_given()], **more})
        )
