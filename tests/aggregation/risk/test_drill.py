"""Drill-through against a slow loop over positions: P&L, contributions that add up, order, pages, reasons."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from examples import EXAMPLES
from reduce_lake import DAY, make_lake
from test_query import N, rich, rich_lake, some_positions

from aggregation.risk.drill import DrillQuery, DrillResult, run_drill
from aggregation.risk.query import run_query
from aggregation.types import Filter, RiskQuery
from lake.committer import Committer
from lake.errors import BadInput
from lake.schemas import CONTRACTS
from lake.tables import Lake
from valuation.catalogue import parse_terms

assert rich_lake  # a fixture of this module too
ALL = 10_000
NODE = (Filter.parse("desk=desk 1"),)


def ask(lake: Lake, **more: Any) -> DrillResult:
    return run_drill(lake, DrillQuery(as_of=DAY, **{"limit": ALL, "where": NODE, "currency": "EUR", **more}))


def pnl_of(contract: str, quantity: float) -> tuple[float, np.ndarray]:
    """Value and P&L of a position in EUR, from the definition."""
    currency, base, pnl = rich().vectors[contract]
    usd, jpy = rich().fx["EURUSD"], rich().fx["EURJPY"]
    fx0, fx = {"EUR": (1.0, np.ones(N)), "USD": (1 / usd[0], 1 / usd[1]), "JPY": (1 / jpy[0], 1 / jpy[1])}[currency]
    return quantity * base * fx0, quantity * ((base + pnl) * fx - base * fx0)


@pytest.mark.parametrize("currency", ["EUR"])
@pytest.mark.parametrize("measure", ["var", "es"])
def test_every_trade_of_the_node_in_the_scenarios_of_its_tail(rich_lake: Lake, measure: str, currency: str) -> None:
    result = ask(rich_lake, measures=(measure,), levels=("0.99",), currency=currency)
    node = run_query(rich_lake, RiskQuery(as_of=DAY, where=NODE, measures=(measure,), currency=currency)).total
    assert result.value == node[f"{measure}_0.99"]
    held = {r["trade"]: r for r in some_positions() if r["desk"] == "desk 1"}
    rows = result.rows.to_pylist()
    assert {r["trade"] for r in rows} == held.keys()
    assert result.count == len(held) == node["positions"]
    labels = [s["scenario"] for s in result.scenarios]
    assert len(labels) == (1 if measure == "var" else 3)
    together = np.zeros(N)
    for row in rows:
        kept = held[row["trade"]]
        assert (row["quantity"], row["contract_id"], row["book"]) == (
            kept["quantity"],
            kept["contract_id"],
            kept["book"],
        )
        if kept["contract_id"] in ("failed", "missing"):
            continue
        value, pnl = pnl_of(kept["contract_id"], kept["quantity"])
        together += pnl
        assert row["base_value"] == pytest.approx(value, rel=1e-12)
        for label in labels:
            assert row[f"pnl_{label}"] == pytest.approx(pnl[int(label[1:])], rel=1e-9, abs=1e-9 * abs(value))
    worst = [f"s{i:04}" for i in np.argsort(together, kind="stable")]
    assert labels == (worst[2:3] if measure == "var" else worst[:3])
    for scenario in result.scenarios:
        assert scenario["pnl"] == pytest.approx(together[int(scenario["scenario"][1:])], rel=1e-11)
    assert math.fsum(s["weight"] for s in result.scenarios) == pytest.approx(1.0, rel=1e-15)
    parts = [r["contribution"] for r in rows if r["contribution"] is not None]
    assert sum(parts) == result.value  # to the last bit, in any order
    assert sum(sorted(parts)) == result.value


def test_a_contract_is_its_trades_netted(rich_lake: Lake) -> None:
    trades, contracts = (ask(rich_lake, per=per).rows.to_pylist() for per in ("trade", "contract"))
    for row in contracts:
        own = [t for t in trades if t["contract_id"] == row["contract_id"]]
        assert row["trades"] == len(own)
        assert row["quantity"] == pytest.approx(math.fsum(t["quantity"] for t in own), rel=1e-12, abs=1e-9)
        if row["state"] == "covered":
            assert row["contribution"] == math.fsum(t["contribution"] for t in own)
    assert sum(r["trades"] for r in contracts) == len(trades)


@pytest.mark.parametrize("per", ["trade", "contract"])
@pytest.mark.parametrize("order", ["loss", "gain", "name"])
def test_pages_are_the_whole_list_in_its_order(rich_lake: Lake, per: str, order: str) -> None:
    whole = ask(rich_lake, per=per, order=order).rows.to_pylist()
    key = "trade" if per == "trade" else "contract_id"
    sign = {"loss": -1, "gain": 1, "name": 0}[order]
    expected = sorted(
        whole, key=lambda r: (sign != 0 and r["contribution"] is None, sign * (r["contribution"] or 0.0), r[key])
    )
    assert whole == expected
    paged: list[dict[str, Any]] = []
    while page := ask(rich_lake, per=per, order=order, first=len(paged), limit=37).rows.to_pylist():
        paged += page
    assert paged == whole


def test_what_is_not_covered_says_why(rich_lake: Lake) -> None:
    rows = {r["contract_id"]: r for r in ask(rich_lake, per="contract").rows.to_pylist()}
    failed, missing, good = (rows[c] for c in ("failed", "missing", "c001"))
    assert (failed["state"], failed["reason"], failed["contribution"], failed["base_value"]) == (
        *("failed", "matured"),
        None,
        None,
    )
    assert (missing["state"], missing["reason"]) == ("missing", "not_valued")
    assert "have it valued" in missing["message"]
    assert (good["state"], good["reason"], good["message"]) == ("covered", None, None)


def test_scenarios_by_name(rich_lake: Lake) -> None:
    result = ask(rich_lake, scenarios=("s0007", "s0002"))
    assert [s["scenario"] for s in result.scenarios] == ["s0007", "s0002"]
    for row in result.rows.to_pylist():
        if row["state"] == "covered":
            mean = -(row["pnl_s0007"] + row["pnl_s0002"]) / 2
            assert row["contribution"] == pytest.approx(mean, rel=1e-9, abs=1e-6)
    assert result.value is None


def test_a_wide_tail_shows_its_worst_and_counts_all(rich_lake: Lake) -> None:
    result = ask(rich_lake, measures=("es",), levels=("0.8",))
    pnl = [s["pnl"] for s in result.scenarios]
    assert len(pnl) == 20
    assert pnl == sorted(pnl)
    assert result.notes == (
        "es_0.8 rests on 50 scenarios; the 20 worst are shown, and contributions count all.",
        "Failed: 10 matured: matured. Take it out of the positions.",
    )
    assert sum(r["contribution"] or 0.0 for r in result.rows.to_pylist()) == result.value


def test_a_node_without_a_number_still_shows_its_trades(rich_lake: Lake) -> None:
    lost = tuple(r["trade"] for r in some_positions() if r["contract_id"] in ("failed", "missing"))
    result = ask(rich_lake, where=(Filter(dimension="trade", values=lost),))
    assert (result.value, result.scenarios, result.count, result.coverage.status) == (None, (), len(lost), "invalid")
    assert {r["state"] for r in result.rows.to_pylist()} == {"failed", "missing"}
    assert result.notes == (
        "The node has no number: nothing of it is covered.",
        "Failed: 40 matured: matured. Take it out of the positions.",
    )


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"scenarios": ("s00007",)}, "Unknown scenario 's00007'. Nearest valid: s0007"),
        ({"measures": ("volatility",)}, "volatility is no sum over scenarios"),
        ({"where": (Filter.parse("desk=desk 7"),)}, "Nearest valid: desk"),
    ],
)
def test_what_is_refused(rich_lake: Lake, more: dict[str, Any], says: str) -> None:
    with pytest.raises(BadInput) as refused:
        ask(rich_lake, **more)
    assert says in refused.value.message
    with pytest.raises(ValueError, match="leave by out"):
        DrillQuery(as_of=DAY, by=("desk",))


def test_contracts_beyond_the_holidays_that_their_calendar_knows_are_told(tmp_path: Path) -> None:
    positions = [{**p, "instrument_type": "government_bond"} for p in some_positions()]
    lake = make_lake(tmp_path, rich(), positions)
    named = next(p["contract_id"] for p in positions if p["desk"] == "desk 1")
    bond = parse_terms("government_bond", EXAMPLES["government_bond"][1] | {"calendar": "HKHK"})
    row = {"contract_id": named, "instrument_type": "government_bond", "currency": "JPY", "terms": bond.to_json()}
    with Committer(lake, "test") as committer:
        committer.put("contracts", pa.Table.from_pylist([row], schema=CONTRACTS.schema))
    told = [n for n in ask(lake).notes if n.startswith("Calendar HKHK")]
    assert [n.rpartition(". ")[2] for n in told] == ["Contracts with dates there: 1."]
    mine, other = (
        next(p["trade"] for p in positions if (p["contract_id"] == named) is is_it) for is_it in (True, False)
    )
    for where, says in (((), told), ((f"trade={mine}",), told), ((f"trade={other}",), [])):
        result = run_query(lake, RiskQuery.model_validate({"as_of": DAY, "where": where}))
        assert [n for n in result.notes if n.startswith("Calendar")] == says
