"""The question `sa-cva` from sensitivities that are given, and from our own on paths."""

import math

import pytest
from cva_lake import build_cva_lake
from small_lake import MONDAY

from aggregation import questions
from aggregation.regulatory.sa_cva import SaCvaQuery, run_sa_cva
from aggregation.session import reading
from lake.errors import BadInput


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    return reading(build_cva_lake(tmp_path_factory.mktemp("sa-cva") / "lake"))


def ask(session, *rows, **more):
    asked = {"as_of": MONDAY, "sensitivities": [dict(r) for r in rows], **more}
    return run_sa_cva(session, SaCvaQuery.model_validate(asked))


def spread(name="counterparty-0", tenor="5Y", amount=1e6, **more):
    return {"risk_class": "counterparty_spread", "name": name, "factor": tenor, "amount": amount, **more}


def test_names_take_sector_and_rating_from_the_reference_data(session):
    """counterparty-0 is a financial rated A, counterparty-1 a technology company rated BBB: 5% and 2%, gamma 15%."""
    found = ask(session, spread(), spread("counterparty-1"))
    a, b = 0.05e6, 0.02e6
    assert found.total["capital"] == pytest.approx(math.sqrt(a * a + b * b + 2 * 0.2 * a * b))
    assert found.total["rwa"] == 12.5 * found.total["capital"]
    assert found.factors["bucket"].to_pylist() == ["2", "5"]
    assert found.receipt["regime"] == "basel@2023"


def test_hedges_take_away_but_for_a_tenth(session):
    """A hedge that gains what CVA rises by: R of 1% stays, a tenth of the charge without it."""
    bare = ask(session, spread()).total["capital"]
    hedged = ask(session, spread(), spread(of="hedge"))
    assert hedged.total["capital"] == pytest.approx(0.1 * bare)
    wrong_way_round = ask(session, spread(), spread(of="hedge", amount=-1e6))
    assert wrong_way_round.total["capital"] > bare


def test_classes_are_added(session):
    rows = [
        spread(),
        {"risk_class": "fx", "bucket": "EUR", "amount": 1e5},
        {"risk_class": "equity", "bucket": "5", "kind": "vega", "amount": 1e5},
    ]
    found = ask(session, *rows)
    assert found.classes["capital"].to_pylist() == pytest.approx([0.11e5, 0.05e6, 0.78e5])
    assert found.total["capital"] == pytest.approx(0.11e5 + 0.05e6 + 0.78e5)
    assert found.total["vega"] == pytest.approx(0.78e5)


def test_contributions_add_up_to_the_last_bit(session):
    found = ask(session, spread(), spread(tenor="1Y", amount=3e5), spread("counterparty-1", of="hedge", amount=2e5))
    parts = [*found.rows["capital"].to_pylist(), *found.factors["capital_hedges"].to_pylist()]
    assert math.fsum(parts) == found.total["capital"]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (spread("counterparty-9"), "counterparty-9"),
        (spread(tenor="7Y"), "tenor"),
        (spread(kind="vega"), "no vega"),
        ({"risk_class": "fx", "amount": 1.0}, "bucket"),
        ({"risk_class": "equity", "bucket": "99", "amount": 1.0}, "bucket of equity"),
        ({"risk_class": "rates", "bucket": "USD", "factor": "4Y", "amount": 1.0}, "rate factor"),
        (spread(sector="finance"), "sector"),
        (spread(rating="AAAA"), "rating"),
    ],
)
def test_bad_rows_are_named(session, row, said):
    with pytest.raises(BadInput, match=said):
        ask(session, row)


def test_given_sensitivities_have_no_dimensions(session):
    with pytest.raises(BadInput, match="by and where"):
        questions.read("sa-cva", {"as_of": str(MONDAY), "sensitivities": [spread()], "by": ["desk"]})
