"""One currency without an exchange rate: its positions have failed, with the reason, and all else is answered at every question."""

from __future__ import annotations

import json
import re
from typing import Any

import pyarrow as pa
import pytest
from small_lake import BOOK, FACTORS, FRIDAY, MONDAY, base, build_lake, no_spark, request
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

NAMES = [n for n in QUESTIONS if n != "backtest-counts"]  # which reads no lake
ROUBLES = {"instrument_type": "cash_equity", "currency": "RUB", "underlying": "EQ:RRR"}
FILTER = "currency!=RUB"
# of the positions, not of the figures
COUNTS = ("positions", "covered", "failed", "missing", "substituted", "status", "remark")


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """The small lake with a share in RUB on the desk that is asked about, for which the market has no exchange rate."""
    factors = [*FACTORS, *(factor(share, "equity_price", "RUB") for share in ("EQ:RRR", "EQ:SSS"))]
    made = build_lake(tmp_path_factory.mktemp("roubles") / "lake", 1, factors, [*BOOK, ("Options", 3.0, ROUBLES)])
    with Committer(made, "test") as committer:
        for day in (FRIDAY, MONDAY):
            run_valuation(committer, request(day), spark=no_spark)  # type: ignore[arg-type]
        session = Session(made, VectorCache(made), committer, no_spark)  # type: ignore[arg-type]
        for name in NAMES:
            questions.value(session, name, questions.read(name, base(name)))
    return made


def asked(lake: Lake, name: str, *filters: str) -> Any:
    given = base(name)
    given["where"] = [*given.get("where", []), *filters]
    return questions.ask(reading(lake), name, questions.read(name, given))


def figures(table: pa.Table) -> list[dict[str, Any]]:
    """What the table says but of how many positions."""
    kept = [c for c in table.column_names if not any(n in c for n in COUNTS)]
    return [r for r in table.select(kept).to_pylist() if r.get("reason") != "no_exchange_rate"]


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
    assert re.search(r"\b[12] no_exchange_rate: Positions in RUB cannot be reported in USD", said)
    assert FILTER in said
    if name != "roll-forward":  # whose day of the market has the option among the cash
        assert re.search(r"\b[12] matured: ", said)
        assert WHAT_TO_DO["matured"] in said


def test_it_has_failed_and_the_reason_names_the_filter(lake: Lake) -> None:
    answer = asked(lake, "var")
    assert answer.coverage.status == "partial"
    assert answer.coverage.failed == asked(lake, "var", FILTER).coverage.failed + 1
    rows = asked(lake, "drill").rows.to_pylist()
    (failed,) = (r for r in rows if r["currency"] == "RUB")
    assert (failed["state"], failed["reason"]) == ("failed", "no_exchange_rate")
    assert all(words in failed["message"] for words in ("RUB", "USD", FILTER))


@pytest.mark.parametrize("name", [n for n in NAMES if "currency" in questions.question(n).query.model_fields])
def test_where_nothing_can_be_reported_the_question_is_refused(name: str, lake: Lake) -> None:
    query = questions.read(name, {**base(name), "currency": "CHF"})
    if name == "backtest":  # says so day by day
        assert all("CHF" in remark for remark in questions.ask(reading(lake), name, query).rows["remark"].to_pylist())
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
