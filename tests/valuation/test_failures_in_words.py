"""What is told of contracts that failed: how many, with which messages, at which stage; faults of terms that hold JSON in plain words."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from examples import BASE, EXAMPLES, INDEX, TODAY, shocked_market

from lake.canonical import from_json
from lake.committer import Committer
from lake.errors import BadInput
from lake.schemas import TABLES, VALUATION_FAILURES
from lake.tables import Lake
from valuation.batch import value_batch
from valuation.catalogue import parse_terms
from valuation.market.scenario_market import ScenarioMarket
from valuation.types import STAGES, Contract, ValuationFailure, failures_in_words


def test_each_distinct_message_has_its_count_and_the_first_few_are_shown() -> None:
    told = failures_in_words(
        [
            ("matured", "It matured on Monday", 2),
            ("missing_risk_factor", "Unknown curve 'A'.", 1),
            ("missing_risk_factor", "Unknown curve 'B'.", 5),
            ("missing_risk_factor", "Unknown curve 'C'.", 1),
            ("missing_risk_factor", "Unknown curve 'A'.", 1),
            ("missing_risk_factor", "Unknown curve 'D'.", 1),
            ("missing_risk_factor", "Unknown curve 'E'.", 1),
        ]
    )
    assert told == (
        "10 missing_risk_factor: (5) Unknown curve 'B'. (2) Unknown curve 'A'. (1) Unknown curve 'C'. And 2 more messages. "
        "Load the market data it reads, or a proxy for it. 2 matured: It matured on Monday. Take it out of the positions."
    )


def test_a_failure_says_its_stage() -> None:
    example = EXAMPLES["zero_bond"][0]
    terms = {
        "terms": "{}",
        "check": parse_terms("zero_bond", {**example, "maturity": "2020-01-02"}).to_json(),
        "factors": parse_terms("zero_bond", {**example, "discount_curve": "NONE"}).to_json(),
    }
    block = value_batch([Contract(stage, "zero_bond", text) for stage, text in terms.items()], shocked_market())
    assert [f.stage for f in block.failures] == list(terms)
    share = parse_terms("cash_equity", EXAMPLES["cash_equity"][0])
    nothing = ScenarioMarket(TODAY, INDEX, np.full(len(BASE), np.nan), np.empty((len(BASE), 0)))
    (failure,) = value_batch([Contract("share", "cash_equity", share.to_json())], nothing).failures
    assert (failure.reason, failure.stage) == ("non_finite", "value")
    assert {*terms, "value"} <= STAGES.keys()


def test_a_lake_from_before_stages_is_read_and_written_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lake = Lake.create(tmp_path / "lake")
    row = {"contract_id": "c", "instrument_type": "x", "reason": "matured", "message": "m"}
    before = dataclasses.replace(
        VALUATION_FAILURES, columns=tuple(c for c in VALUATION_FAILURES.columns if c.name != "stage")
    )
    with monkeypatch.context() as patch, Committer(lake, "test") as committer:
        patch.setitem(TABLES, "valuation_failures", before)
        rows = pa.Table.from_pylist([{"valuation_set_id": "old", **row}], schema=before.schema)
        committer.put("valuation_failures", rows)
    (old,) = Lake.open(lake.path).read("valuation_failures").to_pylist()
    assert old["stage"] is None
    new = {"valuation_set_id": "new", **dataclasses.asdict(ValuationFailure("c", "x", "matured", "m", "check"))}
    with Committer(lake, "test") as committer:
        committer.put("valuation_failures", pa.Table.from_pylist([new], schema=VALUATION_FAILURES.schema))
    rows = Lake.open(lake.path).read("valuation_failures").to_pylist()
    assert {r["valuation_set_id"]: r["stage"] for r in rows} == {"old": None, "new": "check"}


@pytest.mark.parametrize(
    ("instrument_type", "term", "text", "said"),
    [
        ("amortising_bond", "redemptions", '{"2022-06-15": 25}}', 'is no JSON: more stands there than one value, after {"2022-06-15": 25}'),
        ("amortising_bond", "redemptions", "{2022-06-15: 25}", "is no JSON: a name in double quotes is missing after {"),
        ("step_bond", "steps", '{"2022-06-15": 0.02', 'is no JSON: a comma or a closing bracket is missing after {"2022-06-15": 0.02'),
        ("step_bond", "steps", '{"2022-06-15": 0.02, "2022-06-15": 0.03}', "is no JSON: 2022-06-15 is given twice; which counts"),
        ("step_bond", "steps", '{"2022-06-15": 25}', "2022-06-15: expected a number less than 1 (later coupons"),
        ("step_bond", "steps", "[1]", "expected an object (later coupons"),
        ("credit_index", "defaults", '{"a":', "is no JSON: a value is missing after"),
        ("commodity_swap", "fixings", "71.3", "expected an object (known prices by day"),
        ("bond_future", "basket", '[{"issue_date": "x"}]', "entry 1, maturity: is missing; expected: deliverable bonds"),
        ("bermudan_swaption", "exercise_dates", '["a"]', "entry 1: a date is written as 2026-03-31"),
        ("equity_option", "strike", "abc", "expected a number (exercise price"),
        ("overnight_swap", "pay_fixed", "maybe", "expected true or false (true pays"),
        ("overnight_swap", "payment_lag", "1.5", "expected a whole number (business days"),
    ],
)  # fmt: skip
def test_faults_of_terms_are_in_plain_words(instrument_type: str, term: str, text: str, said: str) -> None:
    with pytest.raises(BadInput) as error:
        parse_terms(instrument_type, {**EXAMPLES[instrument_type][0], term: text})
    assert any(i.pointer == term and i.message.startswith(said) for i in error.value.issues), error.value.issues


def test_json_keeps_no_name_that_is_given_twice() -> None:
    assert from_json('{"a": 1, "b": {"a": 2}}') == {"a": 1, "b": {"a": 2}}
    with pytest.raises(ValueError, match="a is given twice"):
        from_json('{"b": {"a": 1, "a": 1}}')
