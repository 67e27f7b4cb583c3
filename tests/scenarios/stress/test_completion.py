"""What an editor of the stress language proposes at a place of a text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stress_market import market

from scenarios.stress import language
from scenarios.stress import model as m
from scenarios.stress.completion import MOST, Completion, complete
from scenarios.stress.select import Universe

UNIVERSE = Universe(market().index)


def completed(text: str, stored: tuple[str, ...] = ()) -> Completion:
    """At the mark |, which is no part of the text."""
    at = text.index("¦")
    return complete(text.replace("¦", ""), at, UNIVERSE, stored)


def names(text: str, stored: tuple[str, ...] = ()) -> list[str]:
    return [p.text for p in completed(text, stored).proposals]


@pytest.mark.parametrize("before", ["", "equity -20%; ", "equity -20%\n", 'scenario "a": ', "# a comment\n", "then "])
def test_a_step_begins_with_a_class_or_a_word_of_the_grammar(before: str) -> None:
    assert names(before + "¦")[:7] == list(m.CLASSES)
    assert {"include", "grid", "assert"} <= set(names(before + "¦"))
    assert names(before + "eq¦") == ["equity"]


def test_an_axis_and_an_assertion_begin_with_a_class() -> None:
    assert names("grid(¦") == list(m.CLASSES)
    assert names("grid(equity -20%..+20% step 10%, v¦")[0] == "vol"
    assert names("assert f¦")[:2] == ["fx", "factor"]


def test_in_brackets_stand_properties_and_names_of_the_class() -> None:
    inside = names("equity[¦] -20%")
    assert inside[:5] == ["ccy=", "id=", "name=", "region=", "sector="]
    assert "AAPL" in inside
    assert "WTI" not in inside
    assert names("equity[region=¦") == ["UK", "US"]
    assert names("equity[region=UK|¦") == ["UK", "US"]
    assert names("equity[ccy=USD, sector=¦") == ["Energy", '"Information Technology"']
    assert names('equity[sector="Inf¦') == ['"Information Technology"']
    assert names("equity[sector!=En¦") == ["Energy"]
    assert names("metal[¦") == []


def test_pillars_stand_in_the_order_of_time() -> None:
    assert names("rate[ccy=USD] steepener(¦") == ["3M:", "6M:", "2Y:", "5Y:", "10Y:", "30Y:"]
    assert names("rate[USD] steepener(2Y:-10bp, 3¦") == ["3M:", "30Y:"]
    assert names("rate[pillar=¦") == ["3M", "6M", "2Y", "5Y", "10Y", "30Y"]


@pytest.mark.parametrize("text", ["equity -20¦", "rate[USD] steepener(2Y:-10¦", "grid(equity -20¦", "fx[EURUSD] = 2 ¦"])
def test_a_number_takes_a_unit(text: str) -> None:
    expected = [] if text.endswith(" ¦") else list(m.UNITS)
    assert names(text) == expected


def test_a_selection_takes_a_change() -> None:
    assert names("rate ¦") == [f"{s}(" for s in m.SHAPES]
    assert names("rate[ccy=USD] ste¦") == ["steepener("]
    assert names("rate +100bp p¦") == ["parallel"]
    assert names("rate +¦") == []


def test_a_scenario_to_include_is_stored_or_stands_before() -> None:
    text = 'scenario "fall": equity -20%\nscenario "half": include "¦'
    assert names(text, ("oil crisis",)) == ['"oil crisis"', '"fall"']
    assert names('include "oi¦', ("oil crisis",)) == ['"oil crisis"']
    assert names('scenario "¦', ("oil crisis",)) == []


def test_nothing_is_proposed_in_a_comment_and_for_what_is_complete() -> None:
    assert names("equity -20% # eq¦") == []
    assert names("equity¦") == []
    assert names("equity -20%¦") == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [("eq¦", "equity"), ("equity[reg¦]", "equity[region=]"), ('equity[sector="Inf¦', 'equity[sector="Information Technology"'),
     ("rate[ccy=USD] flat¦", "rate[ccy=USD] flattener("), ("equity -20% ; vol +5p¦", "equity -20% ; vol +5pt")],
)  # fmt: skip
def test_the_first_proposal_takes_the_place_of_what_was_typed(text: str, expected: str) -> None:
    found, plain = completed(text), text.replace("¦", "")
    assert plain[: found.start] + found.proposals[0].text + plain[found.end :] == expected


def test_what_is_not_shown_is_counted() -> None:
    found = completed('include "¦', tuple(f"set {n:02}" for n in range(MOST + 7)))
    assert (len(found.proposals), found.more) == (MOST, 7)


@given(
    st.lists(
        st.sampled_from(
            [
                *'[](){},;:|=!+-<>.#\n "x',
                "equity",
                "rate",
                "ccy=",
                "US",
                "2Y",
                "10",
                "%",
                "then",
                "grid",
                "include",
                "𝛿",
            ]
        )
    )
)
def test_whatever_stands_there_is_completed_at_its_end(parts: list[str]) -> None:
    text = "".join(parts)
    found = complete(text, len(text), UNIVERSE, ("stored",))
    assert 0 <= found.start <= found.end == len(text)
    assert len({p.text for p in found.proposals}) == len(found.proposals) <= MOST


@pytest.mark.parametrize("part", ["a", " ", "1", "[", "equity ", "x1", '"', "-1%", "|", "then "])
def test_the_longest_text_is_completed_within_its_length(part: str) -> None:
    text = f"equity[{part * (language.MAX_TEXT // len(part))}("
    assert complete(text, len(text), UNIVERSE).end == len(text)
