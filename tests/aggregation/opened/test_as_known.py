"""Questions of what was known: an answer given then comes again bit for bit, whatever has been corrected since."""

from __future__ import annotations

import datetime as dt
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small_lake import BOOK, FACTORS, FRIDAY, MONDAY, base, book_csv, build_lake, no_spark, request
from support import put_market, random_walks

from aggregation import questions
from aggregation.opened.opened_lake import VectorCache
from aggregation.questions import QUESTIONS, ask, read
from aggregation.replay import replay
from aggregation.session import Session, reading
from lake.canonical import from_json
from lake.committer import Committer
from lake.errors import BadInput, NotValued
from lake.tables import Lake
from scenarios.store import scenario_summaries
from service.encoding import to_json
from valuation.books.positions import ingest_positions
from valuation.sets.requests import run_valuation
from valuation.sets.standards import standards

FIRST, LAST = dt.date(2019, 12, 2), dt.date(2020, 3, 17)
SPOILT = dt.date(2020, 3, 4)  # within the window


def instant() -> str:
    """Now, with the clock moved on: commits are timed by the millisecond."""
    time.sleep(0.003)
    told = dt.datetime.now(dt.UTC).isoformat().replace("+00:00", "Z")
    time.sleep(0.003)
    return told


def market(lake: Lake, **changed: dict[dt.date, float]) -> None:
    """The market with some levels changed, a factor as `EQ_AAA`."""
    walks = random_walks(FACTORS, FIRST, LAST)
    for name, levels in changed.items():
        walks[name.replace("_", ":")] |= levels
    put_market(lake, FACTORS, walks)


def book(lake: Lake, held: list[tuple[str, float, Any]]) -> None:
    file = lake.path.parent / "corrected.csv"
    file.write_text(book_csv(1, held))
    with Committer(lake, "test") as committer:
        assert ingest_positions(committer, file, replace_dates=True, force=True).rejected == 0


def value(lake: Lake, day: dt.date = MONDAY, **more: Any) -> None:
    with Committer(lake, "test") as committer:
        run_valuation(committer, request(day, **more), spark=no_spark)


def said(answer: Any) -> Any:
    """Everything an answer says but what it was asked, its receipt and the note that says what was known."""
    found = from_json(to_json(answer.to_dict()))
    return _without(found)


def _without(found: Any) -> Any:
    if isinstance(found, dict):
        hidden = ("receipt", "receipts", "query", "timings_ms", "as_known")
        kept = {k: _without(v) for k, v in found.items() if k not in hidden}
        if "notes" in kept:
            kept["notes"] = [n for n in kept["notes"] if "s known at" not in n]
        return kept
    return [_without(v) for v in found] if isinstance(found, list) else found


def var(lake: Lake, **more: Any) -> Any:
    return ask(reading(lake), "var", read("var", {"as_of": str(MONDAY), "by": ["desk"], **more}))


def test_an_answer_given_then_comes_again_and_says_what_was_known(tmp_path: Path) -> None:
    lake = build_lake(tmp_path / "lake")
    value(lake)
    then = instant()
    given_then = var(lake)
    market(lake, EQ_AAA={SPOILT: 250.0, MONDAY: 120.0})
    value(lake)
    now = var(lake)
    assert said(now) != said(given_then)
    again = var(lake, as_known=then)
    assert said(again) == said(given_then)
    assert again.rows.equals(given_then.rows)
    assert any(f"As known at {then}" in n or f"as known at {then}" in n for n in again.notes)
    assert again.receipt["question"]["as_known"] == then
    assert again.receipt["market_data_version"] == given_then.receipt["market_data_version"]
    assert "as_known" not in now.receipt["question"]
    # by the versions of a receipt
    versions = {**given_then.receipt["table_versions"], "market_data": given_then.receipt["market_data_version"]}
    assert said(var(lake, as_known=",".join(f"{n}@{v}" for n, v in versions.items()))) == said(given_then)
    # and each replays
    for answer in (given_then, now, again):
        assert replay(lake, from_json(to_json(answer.to_dict()))).verdict == "same bits"


def test_restated_trades_are_left_out_of_what_was_known(tmp_path: Path) -> None:
    lake = build_lake(tmp_path / "lake")
    value(lake)
    then, given_then = instant(), var(lake)
    book(lake, [*BOOK[1:], ("Equities", 5000.0, BOOK[0][2])])
    assert said(var(lake)) != said(given_then)
    assert said(var(lake, as_known=then)) == said(given_then)


def test_what_was_not_valued_then_is_valued_of_what_was_known_and_changes_nothing_of_today(tmp_path: Path) -> None:
    lake = build_lake(tmp_path / "lake")
    value(lake, FRIDAY)
    then = instant()
    market(lake, EQ_AAA={SPOILT: 250.0})
    value(lake)
    now, kept, names = said(var(lake)), standards(lake), {s.name for s in scenario_summaries(lake)}
    with pytest.raises(NotValued):
        var(lake, as_known=then)
    with Committer(lake, "test") as committer:
        session = Session(lake, VectorCache(lake), committer=committer, spark=no_spark)  # type: ignore[arg-type]
        query = read("var", {"as_of": str(MONDAY), "by": ["desk"], "as_known": then})
        assert not questions.plan(session, "var", query).ready
        made = ask(session, "var", questions.value(session, "var", query))
        assert questions.plan(session, "var", query).ready
    # what would have been answered had it been valued at the time
    other = build_lake(tmp_path / "other")
    value(other, FRIDAY)
    value(other)
    assert made.rows.equals(var(other).rows)
    assert said(var(lake, as_known=then)) == said(made)
    assert said(var(lake)) == now
    assert standards(lake) == kept
    (added,) = {s.name for s in scenario_summaries(lake)} - names
    assert added == f"historical-30 as known at market data version {made.receipt['market_data_version']}"


def test_a_name_given_to_other_scenarios_since_means_what_it_meant(tmp_path: Path) -> None:
    lake = build_lake(tmp_path / "lake")
    wide = {"method": "historical", "parameters": {"scenarios": 30}, "name": "ours"}
    value(lake, scenarios=wide)
    then, given_then = instant(), var(lake)
    value(lake, scenarios={**wide, "parameters": {"scenarios": 20}})
    assert var(lake).receipt["scenario_count"] == 20
    assert said(var(lake, as_known=then)) == said(given_then)


def test_wrong_instants_and_two_of_them_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="zone"):
        read("var", {"as_of": "2020-03-16", "as_known": "2020-03-20"})
    with pytest.raises(BadInput, match="both points, or for either"):
        read(
            "compare",
            {
                "from": {"as_of": "2020-03-16", "as_known": "2020-03-20T18:00Z"},
                "to": "2020-03-16",
                "as_known": "2020-03-21T18:00Z",
            },
        )


@pytest.fixture(scope="module")
def restated(tmp_path_factory: pytest.TempPathFactory, tried: list[str]) -> tuple[Lake, str, dict[str, Any]]:
    """A lake whose market and books were corrected after every question had been answered; when, and the answers."""
    lake = build_lake(tmp_path_factory.mktemp("restated") / "lake")
    value(lake, FRIDAY)
    value(lake)
    answers = {}
    with Committer(lake, "test") as committer:
        session = Session(lake, VectorCache(lake), committer=committer, spark=no_spark)  # type: ignore[arg-type]
        for name in tried:
            query = questions.value(session, name, read(name, base(name)))
            answers[name] = query, said(ask(session, name, query))
    then = instant()
    market(lake, EQ_AAA={SPOILT: 250.0, MONDAY: 120.0}, YC_USD_5Y={FRIDAY: 0.05})
    book(lake, [*BOOK[1:], ("Equities", 5000.0, BOOK[0][2])])
    value(lake, FRIDAY)
    value(lake)
    return lake, then, answers


@pytest.mark.parametrize("name", [n for n in QUESTIONS if n != "backtest-counts"])
def test_every_question_is_answered_as_it_was(restated: tuple[Lake, str, dict[str, Any]], name: str) -> None:
    lake, then, answers = restated
    query, given_then = answers[name]
    told = query.model_dump(mode="json", by_alias=True, exclude_unset=True)
    assert said(ask(reading(lake), name, read(name, {**told, "as_known": then}))) == given_then


@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(
        st.tuples(st.sampled_from(["market", "book"]), st.floats(50, 200), st.integers(0, 20)), min_size=1, max_size=4
    )
)
@pytest.mark.slow
def test_after_any_corrections_each_earlier_answer_comes_again(
    tmp_path_factory: pytest.TempPathFactory, corrections: list[tuple[str, float, int]]
) -> None:
    lake = build_lake(tmp_path_factory.mktemp("any") / "lake")
    value(lake)
    told = [(instant(), said(var(lake)))]
    days = list(random_walks(FACTORS[:1], FIRST, MONDAY)["EQ:AAA"])[-21:]
    for kind, level, place in corrections:
        if kind == "market":
            market(lake, EQ_AAA={days[place]: level})
        else:
            book(lake, [("Equities", level, BOOK[0][2]), *BOOK[1:]])
        value(lake)
        told.append((instant(), said(var(lake))))
    assert [said(var(lake, as_known=then)) for then, _ in told] == [answer for _, answer in told]


def test_a_corrected_curve_revalues_what_reads_it_and_until_then_the_answer_says_so(tmp_path: Path) -> None:
    lake = build_lake(tmp_path / "lake")
    value(lake)
    then, before = instant(), var(lake)
    assert not any("market data has changed" in n for n in before.notes)
    market(lake, YC_USD_5Y={SPOILT: 0.08})
    stale = var(lake)
    (note,) = [n for n in stale.notes if "market data has changed" in n]
    assert note.endswith(f"varlake value --as-of {MONDAY} --method historical -p scenarios=30")
    assert stale.rows.equals(before.rows)
    with Committer(lake, "test") as committer:
        run = run_valuation(committer, request(MONDAY), spark=no_spark)
    # of two shares and two options the option that lives reads the curve
    assert (run.this_run.valued, run.valuation_set.reused, run.valuation_set.failed) == (1, 2, 1)
    assert not any("market data has changed" in n for n in var(lake).notes)
    for answer in (before, stale):
        assert replay(lake, from_json(to_json(answer.to_dict()))).verdict == "same bits"
    # a point that is as known earlier is not old for that
    query = read("compare", {"from": {"as_of": str(MONDAY), "as_known": then}, "to": str(MONDAY)})
    assert not any("market data has changed" in n for n in ask(reading(lake), "compare", query).notes)
    # a later day changes nothing of this one
    market(lake, YC_USD_5Y={SPOILT: 0.08}, EQ_AAA={LAST: 1.0})
    assert not any("market data has changed" in n for n in var(lake).notes)
