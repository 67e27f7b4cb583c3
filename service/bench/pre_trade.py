"""Pre-trade on a large book: one trade, and a blotter, against limits of every desk and of the firm."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from aggregation import questions
from aggregation.limits.landing import ingest_var_limits
from aggregation.opened.opened_lake import VectorCache
from aggregation.session import reading
from lake.committer import Committer
from service.bench import harness

_DESKS = 20
_BLOTTER = 50
_BAR_SECONDS = 0.03
_HEADER = "limit,effective_from,node,measure,level,amount,currency,warning"


def bench_pre_trade(
    committer: Committer, cache: VectorCache, known: Sequence[Mapping[str, Any]], size: str
) -> list[harness.Row]:
    """Seconds of a warm question, whole, of trades like `known` on contracts that are valued and on new ones; each is another one."""
    bring_limits(committer)
    session = reading(committer.lake, cache)
    turn = itertools.count(1)

    def ask(n: int, fresh: bool) -> Any:
        number = next(turn)
        trades = [{**known[i % len(known)], "quantity": float(number + i)} for i in range(n)]
        if fresh:
            option = next(t for t in known if t["instrument_type"] == "equity_option")
            strikes = [60.0 + number + 0.01 * i for i in range(n)]
            trades = [
                {**t, **option, "terms": {**option["terms"], "strike": k}} for t, k in zip(trades, strikes, strict=True)
            ]
        query = questions.read("pre-trade", {"as_of": str(harness.VALUATION_DATE), "add": trades})
        return questions.ask(session, "pre-trade", query)

    found = ask(1, False)
    assert {r["kind"] for r in found.rows.to_pylist()} == {"desk", "firm"}
    assert found.limits.num_rows == 3, "of its desk two, and one of the firm"
    rows = []
    for n, fresh, what in (
        (1, False, "one trade on a known contract"),
        (1, True, "one trade on a new contract"),
        (_BLOTTER, False, f"{_BLOTTER} open orders"),
    ):
        ask(n, fresh)
        ours = harness.seconds(lambda n=n, fresh=fresh: ask(n, fresh), runs=15)  # type: ignore[misc]
        title = f"pre-trade, {what}, {2 * _DESKS + 1} limits, warm: {size}"
        rows.append(harness.row(title, ours, "s", "30 ms", _BAR_SECONDS, "<= 1" if n == 1 else "<= 3"))
    return rows


def bring_limits(committer: Committer) -> None:
    """A limit of VaR and one of ES of each desk, and one of everything held."""
    desks = [f"{m}-{i},2000-01-01,desk=desk-{i:03},{m},0.99,1e9,USD,0.8" for i in range(_DESKS) for m in ("var", "es")]
    with TemporaryDirectory(prefix="varlake-") as folder:
        file = Path(folder) / "limits.csv"
        file.write_text("\n".join([_HEADER, *desks, "firm,2000-01-01,,var,0.99,1e12,USD,0.8"]) + "\n")
        ingest_var_limits(committer, file)
