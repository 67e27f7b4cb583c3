"""One currency without an exchange rate: its positions have failed, with the reason, and all else is answered at every question."""

from __future__ import annotations

import json
import re
from typing import Any

import pyarrow as pa
import pytest
from small_lake import BOOK, FACTORS, FRIDAY, MONDAY, OPTION, base, build_lake, no_spark, request
from support import factor

from aggregation import questions
from aggregation.opened.opened_lake import VectorCache
from aggregation.questions import QUESTIONS
from aggregation.session import Session, reading
from lake.committer import Committer
from lake.errors import VarlakeError
from lake.tables import Lake
from valuation.sets.requests import run_valuation
from valuation.types import WHAT_TO_DO

# no positions, or no filters: given counts and sensitivities, real prices, and nodes that limits name
OF_NO_POSITIONS = ("backtest-counts", "sa-cva", "rfet", "exposure-limits", "limits", "pre-trade")
NAMES = [n for n in QUESTIONS if n not in OF_NO_POSITIONS]
BY_DAY = ("backtest", "pla", "desk-eligibility")  # say day by day what cannot be had
IN_RUB = ("T00000-4", "T00000-5")
ROUBLES = {"instrument_type": "cash_equity", "currency": "RUB", "underlying": "EQ:RRR"}
ROUBLE_OPTION = {
    **OPTION,
    "currency": "RUB",
    "underlying": "EQ:RRR",
    "discount_curve": "RUB",
}  # exposure is of derivatives
FILTER = "currency!=RUB"
# of the positions, not of the figures
COUNTS = ("positions", "covered", "failed", "missing", "substituted", "status", "remark", "reason")


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory, tried: list[str]) -> Lake:
    """The small lake with a share and an option in RUB on the desk that is asked about, for which the market has no exchange rate."""
    shares = [factor(share, "equity_price", "RUB") for share in ("EQ:RRR", "EQ:SSS")]
    curve = [factor(f"YC:RUB:{p}", "zero_rate", "RUB", curve="RUB", pillar=p) for p in ("1M", "5Y")]
    book = [*BOOK, ("Options", 3.0, ROUBLES), ("Options", 2.0, ROUBLE_OPTION)]
    made = build_lake(tmp_path_factory.mktemp("roubles") / "lake", 1, [*FACTORS, *shares, *curve], book)
    with Committer(made, "test") as committer:
        for day in (FRIDAY, MONDAY):
            run_valuation(committer, request(day), spark=no_spark)  # type: ignore[arg-type]
        session = Session(made, VectorCache(made), committer, no_spark)  # type: ignore[arg-type]
        for name in (n for n in NAMES if n in tried):
            questions.value(session, name, questions.read(name, base(name)))
    return made


def asked(lake: Lake, name: str, *filters: str) -> Any:
    given = base(name)
    given["where"] = [*given.get("where", []), *filters]
    return questions.ask(reading(lake), name, questions.read(name, given))


def figures(table: pa.Table) -> list[dict[str, Any]]:
    """What the table says but of how many positions."""
    kept = [c for c in table.column_names if not any(n in c for n in COUNTS)]
    rows = [r for r in table.to_pylist() if r.get("reason") != "no_exchange_rate" and r.get("trade") not in IN_RUB]
    return [{c: r[c] for c in kept} for r in rows]


@pytest.mark.parametrize("name", NAMES)
def test_all_else_is_answered(name: str, lake: Lake) -> None:
    """The figures are those of the book without the share."""
    assert figures(asked(lake, name).rows) == figures(asked(lake, name, FILTER).rows)


@pytest.mark.parametrize("name", NAMES)
def test_an_answer_says_why_positions_failed_and_what_to_do(name: str, lake: Lake) -> None:
    """An option that has matured and the share without a rate are on the desk that is asked about."""
    given = {**base(name), **({"where": []} if name == "reverse-stress" else {})}
    answer = questions.ask(reading(lake), name, questions.read(name, given))
    said = json.dumps(answer.to_dict(), default=str, ensure_ascii=False)
    assert re.search(r"\b[1-4] no_exchange_rate: Positions in RUB cannot be reported in USD", said)
    assert FILTER in said
    if name != "roll-forward":  # whose day of the market has the option among the cash
        assert re.search(r"\b[12] matured: ", said)
        assert WHAT_TO_DO["matured"] in said


@pytest.mark.parametrize("by", ["counterparty", "trade"])
@pytest.mark.parametrize("name", ["var", "sa-ccr", "credit-rwa", "ba-cva", "cva", "frtb-sa"])
def test_where_nothing_has_a_value_there_is_no_figure(name: str, by: str, lake: Lake) -> None:
    """The netting set of one counterparty has two options, and both have failed."""
    given = {**base(name), "where": [] if by == "trade" else ["instrument_type=equity_option"], "by": [by]}
    rows = questions.ask(reading(lake), name, questions.read(name, given)).rows.to_pylist()
    without = [r for r in rows if r["status"] == "invalid"]
    assert without
    assert not any(isinstance(v, float) for r in without for v in r.values())


def test_it_has_failed_and_the_reason_names_the_filter(lake: Lake) -> None:
    answer = asked(lake, "var")
    assert answer.coverage.status == "partial"
    assert answer.coverage.failed == asked(lake, "var", FILTER).coverage.failed + 2
    rows = asked(lake, "drill").rows.to_pylist()
    failed = [r for r in rows if r["currency"] == "RUB"]
    assert [(r["state"], r["reason"]) for r in failed] == [("failed", "no_exchange_rate")] * 2
    assert all(words in r["message"] for r in failed for words in ("RUB", "USD", FILTER))


@pytest.mark.parametrize("name", [n for n in NAMES if "currency" in questions.question(n).query.model_fields])
def test_where_nothing_can_be_reported_the_question_is_refused(name: str, lake: Lake) -> None:
    query = questions.read(name, {**base(name), "currency": "CHF"})
    if name in BY_DAY:
        told = questions.ask(reading(lake), name, query)
        remarks = told.rows["remark"].to_pylist() if name == "backtest" else [" ".join(told.notes)]
        assert all("cannot be reported in CHF" in remark for remark in remarks)
        return
    with pytest.raises(VarlakeError, match="CHF"):
        questions.ask(reading(lake), name, query)


@pytest.mark.parametrize("underlying", ["EQ:RRR", "EQ:SSS"])  # held already, and valued for the question
def test_a_trade_without_a_rate_is_told_among_the_failures(lake: Lake, underlying: str) -> None:
    terms = {"currency": "RUB", "underlying": underlying}
    add = [{"instrument_type": "cash_equity", "quantity": 5, "terms": terms}]
    answer = questions.ask(reading(lake), "what-if", questions.read("what-if", {"as_of": MONDAY, "add": add}))
    assert [(f["reason"], FILTER in f["message"]) for f in answer.failures] == [("no_exchange_rate", True)]
    assert answer.total["var_0.99_incremental"] == 0.0
