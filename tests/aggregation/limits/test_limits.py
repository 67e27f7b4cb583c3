"""Limits of VaR, ES and loss: brought in, used, breached, by what, and since when; what of it whoever sees a part is shown."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_lake import FRIDAY, MONDAY

from aggregation import questions
from aggregation.book.entitlement import Entitlement
from aggregation.limits.landing import ingest_var_limits
from aggregation.limits.use import Limits
from aggregation.opened.opened_lake import VectorCache
from aggregation.session import Session, reading
from lake.committer import Committer
from lake.errors import BadInput
from lake.landing.actual_pnl import ingest_pnl
from lake.tables import Lake

HEADER = "limit,effective_from,effective_to,node,measure,level,horizon_days,amount,currency,warning\n"
OPTIONS = Entitlement(granted={"desk": ("Options",)})
TOTALS = Entitlement(granted={"desk": ("Options",)}, firm_totals=True)


def bring(lake: Lake, folder: Path, *lines: str) -> None:
    file = folder / "var-limits.csv"
    file.write_text(HEADER + "\n".join(lines) + "\n")
    with Committer(lake, "test") as committer:
        ingest_var_limits(committer, file)


def asked(lake: Lake, entitlement: Entitlement | None = None, **more: Any) -> Limits:
    session = Session(lake, VectorCache(lake), entitlement=entitlement)
    found: Limits = questions.ask(session, "limits", questions.read("limits", {"as_of": MONDAY, **more}))
    return found


def by_name(found: Limits) -> dict[str, dict[str, Any]]:
    """The limits that a test brought in: the lake has others."""
    return {r["limit"]: r for r in found.rows.to_pylist() if not r["limit"].startswith("L-")}


def losses(lake: Lake, *where: str, day: Any = MONDAY, currency: str = "USD") -> Any:
    """The losses of the scenarios, greatest first, from the exported P&L."""
    query = questions.read("pnl", {"as_of": day, "where": where, "currency": currency})
    rows = questions.ask(reading(lake), "pnl", query).rows.to_pylist()
    return np.sort([-r["pnl"] for r in rows])[::-1]


def test_what_is_used_is_the_measure_of_the_node_in_the_currency_of_the_limit(valued_copy, tmp_path):
    bring(
        valued_copy,
        tmp_path,
        "A,2020-01-01,,desk=Options,var,0.9,,1e9,USD,0.8",
        "B,2020-01-01,,,es,0.9,,1e9,EUR,",
        "C,2020-01-01,,desk=Options;book=book-0,var,0.9,4,1e9,USD,",
        "D,2020-01-01,,desk=Nobody,var,0.9,,5,USD,",
        "E,2020-01-01,2020-02-01,desk=Options,var,0.9,,5,USD,",
    )
    found = asked(valued_copy)
    rows = by_name(found)
    assert list(rows) == ["A", "B", "C", "D"]  # E has ended
    # 30 scenarios at 0.9: the third worst loss, and the mean of the three worst
    assert rows["A"]["used"] == pytest.approx(losses(valued_copy, "desk=Options")[2], rel=1e-12)
    assert rows["B"]["used"] == pytest.approx(losses(valued_copy, currency="EUR")[:3].mean(), rel=1e-12)
    assert rows["C"]["used"] == pytest.approx(2 * losses(valued_copy, "desk=Options", "book=book-0")[2], rel=1e-12)
    assert (rows["D"]["used"], rows["D"]["status"]) == (0.0, "ok")
    assert "no position" in rows["D"]["reason"]
    assert rows["A"]["headroom"] == 1e9 - rows["A"]["used"]
    assert rows["A"]["utilisation"] == rows["A"]["used"] / 1e9
    assert rows["A"]["reason"].startswith("1 of 2 positions is not in the figure. 1 ")  # the option that has matured
    assert (found.breaches, found.warnings) == (0, 0)


def test_a_limit_may_be_reached_warns_beyond_its_share_and_is_breached_beyond_its_amount(valued_copy, tmp_path):
    used = float(losses(valued_copy, "desk=Options")[2])
    line = "A,2020-01-01,,desk=Options,var,0.9,,{!r},USD,{}"
    for amount, warning, status in (
        (used, "", "ok"),
        (used, 1, "ok"),
        (used, 0.999, "warning"),
        (float(np.nextafter(used, 0)), 0.5, "breach"),
        (float(np.nextafter(used, 0)), "", "breach"),
    ):
        bring(valued_copy, tmp_path, line.format(amount, warning))
        assert by_name(asked(valued_copy))["A"]["status"] == status


def test_the_drivers_of_a_breach_are_the_greatest_components(valued_copy, tmp_path):
    bring(valued_copy, tmp_path, "A,2020-01-01,,,es,0.9,,1,USD,", "B,2020-01-01,,,var,0.9,,1e12,USD,")
    found = asked(valued_copy, top=2, by=["desk", "trade"])
    query = {"as_of": MONDAY, "by": ["desk", "trade"], "measures": ["es"], "levels": ["0.9"]}
    parts = questions.ask(reading(valued_copy), "contributions", questions.read("contributions", query))
    greatest = sorted(parts.rows.to_pylist(), key=lambda r: -(r["component"] or 0.0))[:2]
    assert [(d["limit"], d["driver"], d["component"]) for d in found.drivers.to_pylist()] == [
        ("A", f"desk={r['desk']};trade={r['trade']}", r["component"]) for r in greatest
    ]
    assert found.drivers["share"][0].as_py() == greatest[0]["component"] / by_name(found)["A"]["used"]


def test_a_loss_is_of_the_pnl_that_was_made_on_the_last_days(valued_copy, tmp_path):
    pnl = tmp_path / "pnl.csv"
    rows = ("2020-03-12,Options,-70", "2020-03-13,Options,30", "2020-03-16,Options,-100", "2020-03-16,Equities,500")
    pnl.write_text("date,desk,pnl,currency\n" + "".join(f"{r},USD\n" for r in rows))
    with Committer(valued_copy, "test") as committer:
        ingest_pnl(committer, pnl)
    bring(
        valued_copy,
        tmp_path,
        "A,2020-01-01,,desk=Options,loss,,,90,USD,",
        "B,2020-01-01,,desk=Options,loss,,3,200,USD,0.5",
        "C,2020-01-01,,,loss,,,10,USD,",
        "D,2020-01-01,,desk=Options,loss,,9,1000,USD,",
        "E,2020-01-01,,book=book-0,loss,,,1,USD,",
        "F,2020-01-01,,desk=Options,loss,,,90,EUR,",
    )
    found = asked(valued_copy, since="2020-03-13")
    rows = by_name(found)
    assert {n: (r["used"], r["status"]) for n, r in rows.items() if n in "ABCD"} == {
        "A": (100.0, "breach"),
        "B": (140.0, "warning"),
        "C": (-400.0, "ok"),
        "D": (140.0, "ok"),
    }
    assert rows["A"]["used_before"] == -30.0
    assert rows["A"]["change"] == 130.0
    assert "6 earlier days have none" in rows["D"]["reason"]
    assert "does not name the dimension book" in rows["E"]["reason"]
    worth = {}
    for currency in ("USD", "EUR"):
        query = questions.read("var", {"as_of": MONDAY, "currency": currency, "where": ["desk=Options"]})
        worth[currency] = questions.ask(reading(valued_copy), "var", query).total["base_value"]
    assert rows["F"]["used"] == pytest.approx(100.0 * worth["EUR"] / worth["USD"], rel=1e-12)
    assert [(d["limit"], d["driver"], d["component"]) for d in found.drivers.to_pylist() if d["limit"] == "A"] == [
        ("A", "2020-03-16", 100.0)
    ]


def test_the_change_since_a_day_is_by_the_limit_as_it_was_then(valued_copy, tmp_path):
    bring(
        valued_copy,
        tmp_path,
        "A,2020-01-01,2020-03-13,desk=Options,var,0.9,,1,USD,",
        "A,2020-03-14,,desk=Options,var,0.9,,1e9,USD,",
        "B,2020-03-16,,desk=Options,var,0.9,,1e9,USD,",
        "C,2020-01-01,2020-03-13,desk=Options,var,0.95,,1,USD,",
        "C,2020-03-14,,desk=Options,var,0.9,,1e9,USD,",
    )
    rows = by_name(asked(valued_copy, since=FRIDAY))
    then, now = (losses(valued_copy, "desk=Options", day=d)[2] for d in (FRIDAY, MONDAY))
    assert rows["A"]["status_before"] == "breach"
    assert rows["A"]["utilisation_before"] == rows["A"]["used_before"] == pytest.approx(then, rel=1e-12)
    assert rows["A"]["change"] == pytest.approx(now - then, rel=1e-9)
    assert (rows["B"]["status_before"], rows["B"]["change"]) == ("did not hold", None)
    assert (rows["C"]["status_before"], rows["C"]["change"]) == ("breach", None)  # of another level


def test_a_limit_that_cannot_be_computed_is_a_row_with_its_reason(valued_copy, tmp_path):
    bring(
        valued_copy,
        tmp_path,
        "A,2020-01-01,,dsk=Options,var,0.9,,5,USD,",
        "B,2020-01-01,,desk=Options,var,0.9,,5,BRL,",
        "C,2020-01-01,,desk=Options,loss,,,5,USD,",
    )
    found = asked(valued_copy)
    rows = by_name(found)
    reasons = {n: r["reason"] for n, r in rows.items()}
    assert "desk" in reasons["A"]
    assert "BRL" in reasons["B"]
    assert "no actual P&L" in reasons["C"]
    assert {r["status"] for r in rows.values()} == {"not computed"}
    assert any("3 limits are not computed" in n for n in found.notes)


def test_faults_of_a_file_are_told_by_row(work_lake, tmp_path):
    lines = {
        "A,2020-01-01,,desk>Rates,var,0.9,,5,USD,": "dimension=member",
        "A,2020-01-01,,desk!=Rates,var,0.9,,5,USD,": "dimension=member",
        "A,2020-01-01,,desk=A;desk=B,var,0.9,,5,USD,": "dimension=member",
        "A,2020-01-01,,desk=A,var,,,5,USD,": "a limit of var has one",
        "A,2020-01-01,,desk=A,loss,0.9,,5,USD,": "a loss has no level",
        "A,2020-01-01,,desk=A,es,99,,5,USD,": "level",
        "A,2020-01-01,,desk=A,vr,0.9,,5,USD,": "var",
        "A,2020-01-01,,desk=A,var,0.9,0,5,USD,": "expected 1 or more",
        "A,2020-01-01,,desk=A,var,0.9,,-5,USD,": "expected 0 or more",
        "A,2020-01-01,,desk=A,var,0.9,,5,USD,80": "expected 1 or less",
    }
    for line, told in lines.items():
        with pytest.raises(BadInput, match=told):
            bring(work_lake, tmp_path, line)
    assert not work_lake.count("var_limits")
    assert any("ingest var-limits" in n for n in asked(work_lake).notes)


def test_a_trader_is_shown_the_limits_of_whole_nodes_and_the_firm_with_firm_totals(valued_copy, tmp_path):
    bring(
        valued_copy,
        tmp_path,
        "DESK,2020-01-01,,desk=Options,var,0.9,,1,USD,",
        "BOTH,2020-01-01,,desk=Options;book=book-0,var,0.9,,1,USD,",
        "OTHER,2020-01-01,,desk=Equities,var,0.9,,1,USD,",
        'TWO,2020-01-01,,"desk=Options,Equities",var,0.9,,1,USD,',
        "BOOK,2020-01-01,,book=book-0,var,0.9,,1,USD,",
        "FIRM,2020-01-01,,,var,0.9,,1,USD,",
    )
    whole, own, totals = (asked(valued_copy, e) for e in (None, OPTIONS, TOTALS))
    assert set(by_name(whole)) == {"DESK", "BOTH", "OTHER", "TWO", "BOOK", "FIRM"}
    assert list(by_name(own)) == ["BOTH", "DESK"]
    assert list(by_name(totals)) == ["BOTH", "DESK", "FIRM"]
    for found in (own, totals):
        for name, row in by_name(found).items():
            assert row["used"] == by_name(whole)[name]["used"]
    assert {d["limit"] for d in totals.drivers.to_pylist()} == {"BOTH", "DESK"}  # what drives the firm is not told
    assert {d["limit"] for d in whole.drivers.to_pylist()} == set(by_name(whole))
    assert any("and of everything held, are not shown" in n for n in own.notes)
    assert not any("and of everything held, are not shown" in n for n in totals.notes)
    assert totals.receipt["firm_totals"] is True
    assert "firm_totals" not in own.receipt


def test_the_firm_is_told_of_plain_days_and_why_others_failed_is_not(valued_copy, tmp_path):
    """A branch could take away all but somebody's positions, and a failure names a contract of others."""
    bring(valued_copy, tmp_path, "FIRM,2020-01-01,,,var,0.9,,1,USD,")
    whole, totals = (by_name(asked(valued_copy, e))["FIRM"] for e in (None, TOTALS))
    assert totals["used"] == whole["used"]
    assert whole["reason"].startswith(totals["reason"])
    assert totals["reason"] == "1 of 4 positions is not in the figure."
    row = by_name(asked(valued_copy, TOTALS, as_known=dt.datetime.now(dt.UTC).isoformat()))["FIRM"]
    assert (row["status"], row["used"]) == ("not computed", None)
    assert "without a branch" in row["reason"]
