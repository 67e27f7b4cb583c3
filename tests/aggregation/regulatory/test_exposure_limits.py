"""Limits of exposure: brought in, used, breached, and by which trade."""

import pytest
from exposure_lake import made_up
from small_lake import MONDAY

from aggregation import questions
from aggregation.exposure import scope
from aggregation.session import reading
from lake.committer import Committer
from lake.errors import BadInput
from lake.landing.exposure_limits import ingest_exposure_limits

HEADER = "limit,effective_from,effective_to,dimension,member,measure,level,until,amount,currency\n"
ASKED = {"as_of": MONDAY, "grid": ["1M", "6M", "1Y"], "paths": 70, "collateral": False, "trades": "all"}


@pytest.fixture
def limits(work_lake, tmp_path, monkeypatch):
    """Brings limits in and asks for their use."""
    monkeypatch.setattr(scope, "open_paths", made_up)

    def asked(lines, name="exposure-limits", **more):
        file = tmp_path / "limits.csv"
        file.write_text(HEADER + "\n".join(lines) + "\n")
        with Committer(work_lake, "test") as committer:
            ingest_exposure_limits(committer, file)
        return questions.ask(reading(work_lake), name, questions.read(name, {**ASKED, **more}))

    return asked


def test_what_is_used_is_the_greatest_of_the_profile_up_to_the_tenor(limits):
    found = limits(
        [
            "A,2020-01-01,,counterparty,counterparty-0,pfe,0.95,,1e12,USD",
            "B,2020-01-01,,counterparty,counterparty-0,ee,,1M,1e12,USD",
            "C,2020-01-01,,netting_set,CSA-0,ead,,,1e12,USD",
            "D,2020-01-01,,counterparty,nobody,ee,,,5,USD",
            "E,2020-01-01,2020-02-01,counterparty,counterparty-0,ee,,,5,USD",
        ]
    )
    rows = {r["limit"]: r for r in found.rows.to_pylist()}
    assert list(rows) == ["A", "B", "C", "D"]  # E has ended
    assert rows["D"]["status"] == "no positions"
    assert (rows["D"]["used"], rows["D"]["headroom"], rows["D"]["breach"]) == (0.0, 5.0, False)
    assert found.breaches == 0
    for row in (rows["A"], rows["B"], rows["C"]):
        assert row["status"] == "complete"
        assert row["used"] > 0
        assert row["utilisation"] == row["used"] / row["amount"]
        assert row["headroom"] == row["amount"] - row["used"]


def test_used_is_the_figure_of_the_question_exposure(limits):
    line = "A,2020-01-01,,counterparty,counterparty-0,pfe,0.95,6M,1e12,USD"
    (row,) = limits([line]).rows.to_pylist()
    profile = limits([line], "exposure", by=["counterparty"]).rows.to_pylist()[:3]
    greatest = max(profile, key=lambda r: r["pfe_0.95"])
    assert (row["used"], row["date"]) == (greatest["pfe_0.95"], greatest["date"])
    (ead,) = limits(["A,2020-01-01,,counterparty,counterparty-0,ead,,,1e12,USD"]).rows.to_pylist()
    summary = limits([line], "exposure", by=["counterparty"]).summary.to_pylist()
    assert ead["used"] == summary[0]["ead"]


def test_the_trade_that_breaches_is_the_one_without_which_the_limit_holds(limits):
    line = "A,2020-01-01,,counterparty,counterparty-0,ee,,,{},USD"
    (row,) = limits([line.format(1)]).rows.to_pylist()
    assert row["breach"]
    # every trade taken away by hand
    by_hand = {}
    trades = {
        r["trade"] for r in limits([line.format(1)], "exposure", by=["counterparty", "trade"]).summary.to_pylist()
    }
    for trade in trades - {None}:
        rows = limits([line.format(1)], "exposure", by=["counterparty"], where=[f"trade!={trade}"]).rows.to_pylist()
        by_hand[trade] = max(r["ee"] for r in rows if r["counterparty"] == "counterparty-0")
    least = min(by_hand.values())
    assert row["used_without_trade"] == pytest.approx(least, rel=1e-12)
    assert by_hand[row["trade"]] == least
    assert "comes nearest" in row["reason"]
    between = (least + row["used"]) / 2
    (held,) = limits([line.format(between)]).rows.to_pylist()
    assert held["breach"]
    assert held["trade"] == row["trade"]
    assert held["reason"] is None
    (exact,) = limits([line.format(repr(row["used"]))]).rows.to_pylist()
    assert not exact["breach"]  # a limit may be reached


def test_a_limit_that_cannot_be_computed_is_a_row_with_its_reason(limits):
    found = limits(
        [
            "A,2020-01-01,,desk,Options,ee,,,5,USD",
            "B,2020-01-01,,counterprty,counterparty-0,ee,,,5,USD",
            "C,2020-01-01,,counterparty,counterparty-0,ee,,,5,BRL",
        ]
    )
    reasons = {r["limit"]: r["reason"] for r in found.rows.to_pylist()}
    assert "holds several of desk" in reasons["A"]
    assert "counterparty" in reasons["B"]
    assert "BRL" in reasons["C"]
    assert {r["status"] for r in found.rows.to_pylist()} == {"not computed"}
    assert [r["used"] for r in found.rows.to_pylist()] == [None] * 3
    assert any("3 limits are not computed" in n for n in found.notes)


def test_faults_of_a_file_are_told_by_row(limits, work_lake):
    lines = {
        "A,2020-01-01,,counterparty,X,pfe,,,5,USD": "a limit of pfe has one",
        "A,2020-01-01,,counterparty,X,ee,0.95,,5,USD": "ee has no level",
        "A,2020-01-01,,counterparty,X,pfe,95,,5,USD": "fraction between 0 and 1",
        "A,2020-01-01,,counterparty,X,pff,0.95,,5,USD": "pfe",
        "A,2020-01-01,,counterparty,X,ee,,1Q,5,USD": "expected a tenor",
        "A,2020-01-01,,counterparty,X,ead,,1Y,5,USD": "ead is of the first year",
        "A,2020-01-01,,counterparty,X,ee,,,-5,USD": "expected 0 or more",
        "A,2020-01-01,,counterparty,X,ee,,,5,USX": "ISO 4217",
    }
    for line, told in lines.items():
        with pytest.raises(BadInput, match=told):
            limits([line])
    assert not work_lake.count("exposure_limits")


def test_without_a_limit_and_with_a_group_it_says_what_to_do(limits):
    ended = limits(["A,2020-01-01,2020-01-02,counterparty,X,ee,,,5,USD"])
    assert ended.rows.num_rows == ended.breaches == 0
    assert any("No limit of exposure holds" in n and "ingest exposure-limits" in n for n in ended.notes)
    with pytest.raises(BadInput, match="leave by and where out"):
        limits(["A,2020-01-01,,counterparty,X,ee,,,5,USD"], by=["counterparty"])
