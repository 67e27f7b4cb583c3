"""Values, lists and sentences in messages."""

from __future__ import annotations

import datetime as dt
import itertools
import re

import pytest

from aggregation.questions import QUESTIONS
from lake.errors import BadInput, Issue, validated
from lake.words import clause, first_of, in_text, sentence, sentences


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (("0.5", "2"), "0.5, 2"),
        ([dt.date(2020, 3, 16), 1.5], "2020-03-16, 1.5"),
        ({"a": [None, True]}, '{"a": [null, true]}'),
        ([{"a": "ä"}], '{"a": "ä"}'),
        (None, "null"),
        (True, "true"),
        ("it's", "it's"),
    ],
)
def test_a_value_stands_as_a_person_writes_it(value: object, text: str) -> None:
    assert in_text(value) == text


def test_of_a_list_it_is_said_how_many_are_left_out() -> None:
    assert first_of("abcde") == "a, b, c, d, e"
    assert first_of("abcdefg", 5, "; ") == "a; b; c; d; e and 2 more"
    assert first_of(range(2000), 1) == "0 and 1,999 more"


def test_every_sentence_ends_once() -> None:
    assert [sentence(t) for t in ("a", "a.", "a?", "a...")] == ["a.", "a.", "a?", "a..."]
    assert [clause(t) for t in ("a", "a.", "b. a.", "a...")] == ["a", "a", "b. a", "a..."]


def test_each_reason_is_told_once_and_those_left_out_are_counted() -> None:
    assert sentences([]) == sentences([None, ""]) == ""
    assert sentences(["b", "a.", "b."]) == "b. a."
    assert sentences("abcdefg", 2) == "a. b. And 5 more."


def test_a_fault_is_told_by_its_place_where_others_have_its_words() -> None:
    same = [Issue(f"row {i}, column pd", "expected a number.") for i in range(2, 9)]
    other = Issue("row 1", "another")
    error = BadInput(
        "2 of 8 told: row 2, column pd: expected a number; row 22, column pd: expected a number.", issues=[*same, other]
    )
    assert error.untold() == [*same[1:], other]
    assert BadInput("Unknown desk 'x'.", issues=[Issue("desk", "Unknown desk 'x'.")]).untold() == []


PYTHONS = re.compile(r"\('|\['|\{'|,\)|\b(None|True|False)\b|datetime|Decimal|Input should|frozenset|object at|<class")
MADE_UP = (("zz", "1e9"), ("1",), "zz", {"a": {"b": [1]}}, [{"a": 1}], None, True, -1, 1e400, [[1]], [None])


def test_no_option_of_a_question_that_is_refused_is_shown_in_pythons_own_words() -> None:
    queries = [entry.question.query for entry in QUESTIONS.values()]
    fields = {(name, repr(f.annotation), repr(f.metadata)): q for q in queries for name, f in q.model_fields.items()}
    for ((name, *_), query), given in itertools.product(fields.items(), MADE_UP):
        with pytest.raises(BadInput) as error:
            validated(query, {name: given, "no such field": 1}, "question")
        for issue in error.value.issues:
            assert not PYTHONS.search(issue.message), (query, name, issue)
            assert not PYTHONS.search(issue.value or ""), (query, name, issue)
    assert len(fields) > 150
