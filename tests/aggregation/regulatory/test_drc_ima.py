"""drc-ima on a small lake: amounts by hand, the charge against its law, contributions, what is missing, bad input."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scipy import stats
from small_lake import MONDAY
from support import factor

from aggregation import questions
from aggregation.regimes.regimes import regime_of
from aggregation.regulatory.frtb_sa_parameters import FrtbSa
from aggregation.regulatory.ima_default_risk import DrcIma, unit_loss
from aggregation.session import reading
from lake.errors import BadInput
from lake.tables import Lake
from scenarios.store import find_scenario_set, load_scenario_set
from scenarios.types import FactorIndex

ASKED = {"as_of": str(MONDAY), "where": ["desk=Equities"], "by": ["trade"], "paths": 20_000}
GIVEN = {"common_correlation": 0.2, "sector_correlation": 0.1}
PDS = {"EQ:AAA": 0.02, "EQ:BBB": 0.03}


def ask(lake: Path, **changed: Any) -> DrcIma:
    found: DrcIma = questions.ask(
        reading(Lake.open(lake)), "drc-ima", questions.read("drc-ima", {**ASKED, **GIVEN, "pds": PDS, **changed})
    )
    return found


def issuers(answer: DrcIma) -> dict[str, dict[str, Any]]:
    return {r["issuer"]: r for r in answer.issuers.to_pylist()}


def test_a_share_loses_its_value_and_a_short_one_gains_it(valued_lake: Path) -> None:
    answer = ask(valued_lake)
    lake = Lake.open(valued_lake)
    made = load_scenario_set(lake, find_scenario_set(lake, "historical-30", MONDAY).scenario_set_id)
    row, base = made.index.row, made.base
    expected = {
        "AAA": 1000 * base[row["EQ:AAA"]],
        "BBB": -200 * base[row["EQ:BBB"]] * base[row["FX:EURUSD"]],
    }
    assert {i: r["jump_to_default"] for i, r in issuers(answer).items()} == pytest.approx(expected, rel=1e-12)
    # the long one defaults once in fifty years, far more often than the level asks: alone it is the charge
    assert answer.charge == pytest.approx(expected["AAA"], rel=1e-12)
    assert answer.low == answer.charge == answer.high
    parts = [r["contribution"] for r in answer.rows.to_pylist()]
    assert sum(parts) == answer.charge == sum(reversed(parts))
    assert answer.status == "complete"
    assert answer.regime == "basel@2023" == answer.receipt["regime"]


def test_an_issuer_goes_by_the_name_of_its_share_with_or_without_its_prefix(valued_lake: Path) -> None:
    one, two = ask(valued_lake), ask(valued_lake, pds={"AAA": 0.02, "BBB": 0.03})
    assert (one.charge, one.issuers) == (two.charge, two.issuers)
    assert one.coverage.in_part == 0
    with pytest.raises(BadInput, match="AAA and EQ:AAA are one issuer; give pds of it once"):
        ask(valued_lake, pds={"AAA": 0.02, "EQ:AAA": 0.03})


def test_the_floor_of_probabilities_and_a_level_that_is_not_reached(valued_lake: Path) -> None:
    """At 0.03% a year an issuer defaults less often than the level looks at: the charge is nothing."""
    answer = ask(valued_lake, pds={"EQ:AAA": 0.0, "EQ:BBB": 0.0})
    assert {r["pd"] for r in issuers(answer).values()} == {0.0003}
    assert answer.charge == 0.0
    assert [r["contribution"] for r in answer.rows.to_pylist()] == [0.0, 0.0]


def test_both_defaulting_is_rarer_than_the_level_unless_they_go_together(valued_lake: Path) -> None:
    turned = {"where": ["desk=Equities"], "pds": {"EQ:AAA": 0.012, "EQ:BBB": 0.012}}
    alone = ask(valued_lake, **turned, common_correlation=0.0, sector_correlation=0.0)
    p = float(stats.norm.cdf(stats.norm.ppf(0.012)) ** 2)
    assert p < 0.001
    assert alone.charge == pytest.approx(issuers(alone)["AAA"]["jump_to_default"], rel=1e-12)


def test_the_same_seed_gives_the_same_bits_and_groups_change_nothing(valued_lake: Path) -> None:
    one, two = ask(valued_lake), ask(valued_lake, by=["desk"])
    assert one.charge == two.charge
    assert one.issuers.equals(two.issuers)
    assert ask(valued_lake, seed=2).receipt["answer_digest"] != one.receipt["answer_digest"]


def test_what_is_not_known_is_a_row_with_its_reason(valued_lake: Path) -> None:
    answer = ask(valued_lake, pds={"EQ:AAA": 0.02}, where=[])
    found = issuers(answer)
    assert "no probability of default" in found["BBB"]["reason"]
    assert found["BBB"]["contribution"] is None
    assert found["AAA"]["reason"] is None  # the option on it is in the charge too
    assert answer.status == answer.coverage.status == "partial"
    assert answer.coverage.in_part == 1
    assert any(n.startswith("Partial: 1 position of 1 issuer") for n in answer.notes)
    # so are the rows of its positions, and no others
    by_trade = ask(valued_lake, pds={"EQ:AAA": 0.02})
    assert sorted(r["status"] for r in by_trade.rows.to_pylist()) == ["complete", "partial"]
    assert sorted(r["in_part"] for r in by_trade.rows.to_pylist()) == [0, 1]
    assert by_trade.status == "partial"


BASEL = regime_of("basel@2023", MONDAY, None).section("frtb_sa", FrtbSa)
TERMS = SimpleNamespace(credit_curve="ACME", currency="USD", default_date=None)
INDEX, LEVELS = FactorIndex.of([factor("CPI:US", "price_index")]), np.array([258.0])


def unit(kind: str, terms: Any, value: float, lgd: float | None) -> Any:
    return unit_loss(kind, terms, BASEL.drc.instruments.get(kind), value, lgd, MONDAY, lambda: (INDEX, LEVELS))


@pytest.mark.parametrize(
    ("kind", "more", "value", "lost"),
    [
        ("risky_bond", {}, 97.0, 97.0 - 40.0),  # value today less face times recovery
        ("credit_default_swap", {"buy_protection": False}, -0.02, 0.58),  # pays 60 of 100, and is rid of a debt of 2
        ("credit_default_swap", {"buy_protection": True}, 0.02, -0.58),  # is paid 60, and loses what it was worth
        ("bond_forward", {"strike": 101.0}, -2.0, 60.0 - 2.0 + 1.0),  # 101 is paid all the same for what is worth 40
        ("inflation_bond", {"price_index": "CPI:US", "base_index": 240.0}, 110.0, 110.0 - 0.4 * 107.5),
    ],
)
def test_amounts_of_debt_and_protection(kind: str, more: dict[str, Any], value: float, lost: float) -> None:
    found = unit(kind, SimpleNamespace(**vars(TERMS), **more), value, 0.6)
    assert (found.issuer, found.reason) == ("ACME", None)
    assert found.amount == pytest.approx(lost, rel=1e-14)
    assert unit(kind, SimpleNamespace(**vars(TERMS), **more), value, None).reason is not None
    gone = SimpleNamespace(**{**vars(TERMS), **more, "default_date": dt.date(2020, 1, 2)})
    assert unit(kind, gone, value, 0.6).amount == 0.0


@pytest.mark.parametrize(
    ("kind", "more", "value", "lost"),
    [
        ("equity_option", {"strike": 60.0, "option_type": "call"}, 7.0, 7.0),
        ("equity_option", {"strike": 60.0, "option_type": "put"}, 12.0, -48.0),  # the strike is gained
        ("equity_forward", {"strike": 45.0}, 4.8, 49.8),
        ("equity_future", {"reference_price": 50.0}, -50.5, -0.5),  # one that is under water gains: no floor at zero
    ],
)
def test_amounts_on_shares_need_no_loss_given_default(
    kind: str, more: dict[str, Any], value: float, lost: float
) -> None:
    terms = SimpleNamespace(underlying="EQ:A", currency="USD", **more)
    for lgd in (None, 0.6):
        found = unit(kind, terms, value, lgd)
        assert (found.issuer, found.reason, found.amount) == ("A", None, pytest.approx(lost, rel=1e-14))


def test_what_is_not_known_has_a_reason_and_a_swap_no_issuer() -> None:
    asian = unit("equity_asian_option", SimpleNamespace(underlying="EQ:A", currency="USD"), 3.0, None)
    assert (asian.issuer, asian.amount) == ("A", 0.0)
    assert "equity_asian_option" in asian.reason
    lacking = SimpleNamespace(**vars(TERMS), price_index="CPI:UK", base_index=240.0)
    assert "no level of CPI:UK" in unit("inflation_bond", lacking, 110.0, 0.6).reason
    assert unit("interest_rate_swap", SimpleNamespace(currency="USD"), 3.0, None).issuer is None


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"common_correlation": 0.7, "sector_correlation": 0.4}, "below 1 together"),
        (
            {"sector_correlation": None},
            "sector_correlation is not given and common_correlation is 0.2; give both, or neither",
        ),
        (
            {"common_correlation": None},
            "common_correlation is not given and sector_correlation is 0.1; give both, or neither",
        ),
        ({"correlation_days": 0}, "correlation_days"),
        ({"correlation_years": 51}, "correlation_years"),
        ({"pds": {"EQ:AAA": 2.0}}, "fraction from 0 to 1"),
        ({"pds": {"EQ:AAB": 0.01}}, "Unknown issuer 'EQ:AAB'. Nearest valid: EQ:AAA"),
        ({"lgds": {"Nobody at all": 0.01}}, "Unknown issuer 'Nobody at all'"),
        ({"pd_by_rating": {"ZZ": 0.01}}, "Unknown rating 'ZZ'"),
        ({"paths": 100}, "10000"),
        ({"regime": "base"}, "basel"),
    ],
)
def test_bad_input_is_told(valued_lake: Path, changed: dict[str, Any], said: str) -> None:
    with pytest.raises(BadInput) as error:
        ask(valued_lake, **changed)
    assert said in str(error.value)


def test_contributions_weigh_issuers_by_how_often_they_default_in_the_tail(valued_lake: Path) -> None:
    answer = ask(valued_lake)
    found = issuers(answer)
    total = sum(r["contribution"] for r in found.values())
    assert total == pytest.approx(answer.charge, rel=1e-12)
    assert found["BBB"]["contribution"] <= 0.0  # short: its default is a gain
    assert np.isfinite(total)
