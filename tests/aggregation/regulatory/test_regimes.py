"""Regimes are data: read, laid over each other, chosen by date, and refused by name."""

import datetime as dt

import pytest

from aggregation.regimes import regimes
from aggregation.regimes.regimes import Parameters, merged, regime_of
from lake.errors import BadInput


class _Some(Parameters):
    alpha: float


def test_a_regime_is_chosen_by_name_version_and_date() -> None:
    day = dt.date(2020, 3, 16)
    basel = regime_of("basel", day, None)
    assert basel.label == "basel@2023"
    assert basel == regime_of("basel@2023", day, None)
    assert basel.named == {"regime": "basel@2023", "regime_digest": basel.digest}
    assert regime_of("basel", dt.date(2026, 1, 1), None).notes(dt.date(2026, 1, 1)) == ()
    assert "in force from 2023-01-01" in basel.notes(day)[0]


@pytest.mark.parametrize("name", ["eu", "uk"])
def test_a_regime_that_extends_another_has_its_sections_and_is_not_it(name: str) -> None:
    day = dt.date(2027, 6, 1)
    one, basel = regime_of(name, day, None), regime_of("basel", day, None)
    assert set(one.sections) >= set(basel.sections)
    assert one.digest != basel.digest
    assert "extends" not in one.remarks


@pytest.mark.parametrize(("name", "nearest"), [("bassel", "basel"), ("basel@2032", "2023")])
def test_an_unknown_regime_or_version_is_refused_with_the_nearest(name: str, nearest: str) -> None:
    with pytest.raises(BadInput, match=nearest):
        regime_of(name, dt.date(2026, 1, 1), None)


def test_what_stands_above_counts_and_a_list_is_replaced_whole() -> None:
    below = {"a": {"b": 1, "c": [1, 2]}, "d": 4}
    assert merged(below, {"a": {"c": [3]}}) == {"a": {"b": 1, "c": [3]}, "d": 4}
    assert below == {"a": {"b": 1, "c": [1, 2]}, "d": 4}


def test_a_section_without_a_needed_parameter_is_refused_by_name() -> None:
    one = regimes.Regime("own", "1", "Own", dt.date(2020, 1, 1), "test", "law", {"sa_ccr": {"alpa": 1.4}})
    with pytest.raises(BadInput, match=r"section sa_ccr of regime own@1.*alpa") as found:
        one.section("sa_ccr", _Some)
    assert "alpha" in found.value.message
    with pytest.raises(BadInput, match="has no section ima"):
        one.section("ima", _Some)
