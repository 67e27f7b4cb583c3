"""Credit RWA on a terminal: groups with their total, the netting sets without a weight, and the trades that were asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from service.rendering import display

if TYPE_CHECKING:
    from aggregation.regulatory.credit.question import CreditRwa

_MONEY = ("ead", "ead_weighted", "rwa", "capital", "expected_loss", "rwa_before", "rwa_change")
_SHOWN = 10  # netting sets without a weight


def show_credit_rwa(found: CreditRwa) -> None:
    """Groups with the total, then what has no weight, and the largest contributions where they were asked for."""
    by = found.query.by
    label = {by[0]: "Total"} if by else {}
    complete = found.coverage.status == "complete"
    left_out = (
        {"failed", "covered", "status", *(("part",) if set(found.rows["part"].to_pylist()) == {"all"} else ())}
        if by
        else set()
    )
    columns = [c for c in found.rows.column_names if not (c in left_out and (complete or c == "part"))]
    display.print_table(
        found.rows.to_pylist(),
        columns,
        title=f"Credit RWA, {found.query.approach}, in {found.query.currency}, {found.receipt['regime']}",
        last={**found.total, **label} if by else None,
        first=(*by, "ead", "rwa", "capital"),
        money=_MONEY,
    )
    lacking = [r for r in found.netting_sets.to_pylist() if r["reason"]]
    if lacking:
        names = ("netting_set", "counterparty", "ead", "reason")
        display.print_table(lacking[:_SHOWN], names, title=f"Without a risk weight, {len(lacking):,}", money=("ead",))
    if found.trades.num_rows:
        display.print_table(
            found.trades.to_pylist(), found.trades.column_names, title="Contributions to RWA", money=_MONEY
        )
    for note in found.notes:
        display.say(f"Note: {note}")
