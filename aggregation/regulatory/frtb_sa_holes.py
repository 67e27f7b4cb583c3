"""What is valued and not in the capital of the standardised approach: contracts without an amount of default or residual risk, contracts
whose factors could not be mapped, and the coverage that counts them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from aggregation.answer import shown
from aggregation.reduce.coverage import coverage_columns
from aggregation.reduce.selection import Selection
from aggregation.types import Coverage, CoverageStatus
from lake.arrays import Ints
from scenarios.types import ScenarioSet


@dataclass(frozen=True)
class CapitalCoverage(Coverage):
    """in_part : of the covered positions, those with an amount that is not known: they are not in the capital, or not wholly."""

    in_part: int = 0

    @property
    @shown("status")
    def status(self) -> CoverageStatus:
        return "partial" if self.in_part and self.covered else super().status


def held_positions(selection: Selection) -> Ints:
    """How many positions of the selection hold each contract, (n_contracts,)."""
    kept = (selection.groups.group >= 0) & selection.keep
    counts: Ints = np.diff(np.append(0, np.cumsum(kept))[selection.inputs.book.starts])
    return counts


def held_and_valued(selection: Selection, *reasons: Mapping[int, str]) -> dict[int, str]:
    """Of several maps of contracts by place to a reason, those that the selection holds and that are valued; the first reason counts."""
    there = (held_positions(selection) > 0) & (selection.inputs.alignment.row >= 0)
    out: dict[int, str] = {}
    for found in reasons:
        for place, why in found.items():
            if there[place]:
                out.setdefault(place, why)
    return dict(sorted(out.items()))


def coverage_in_part(selection: Selection, lacking: Mapping[int, str]) -> dict[str, pa.Array]:
    """The coverage columns of the groups and the total, with `in_part`, and partial where it is not zero."""
    groups, starts = selection.groups, selection.inputs.book.starts
    covered = coverage_columns(selection)
    n = groups.n
    counts = np.zeros(n + 1, np.int64)
    if lacking:
        contract = np.zeros(len(starts) - 1, np.bool_)
        contract[list(lacking)] = True
        of_groups = groups.group[np.repeat(contract, np.diff(starts)) & selection.keep & (groups.group >= 0)]
        counts[:n] = np.bincount(of_groups, minlength=n)
        counts[n] = counts[:n].sum()
        status = pc.if_else(pa.array((counts > 0) & (np.asarray(covered["covered"]) > 0)), "partial", covered["status"])
        covered["status"] = status
    names = [name for name in covered if name != "status"]
    return {**{name: covered[name] for name in names}, "in_part": pa.array(counts), "status": covered["status"]}


def lacking_rows(selection: Selection, kinds: tuple[str, ...], lacking: Mapping[int, str]) -> pa.Table:
    """A row an instrument type and reason. kinds : instrument type of each contract of the book."""
    held, ids = held_positions(selection), selection.inputs.book.contract_ids
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for place, why in lacking.items():
        kind = kinds[place]
        row = found.setdefault(
            (kind, why),
            {
                "instrument_type": kind,
                "reason": why,
                "contracts": 0,
                "positions": 0,
                "first": ids[place].as_py(),
            },
        )
        row["contracts"] += 1
        row["positions"] += int(held[place])
    texts = {"instrument_type": pa.string(), "reason": pa.string()}
    schema = pa.schema([*texts.items(), ("contracts", pa.int64()), ("positions", pa.int64()), ("first", pa.string())])
    return pa.Table.from_pylist([found[key] for key in sorted(found)], schema=schema)


def unmapped_rows(unmapped: Mapping[str, tuple[str, float]], scenarios: ScenarioSet) -> pa.Table:
    index = scenarios.index
    rows = [
        {"risk_factor": name, "type": index.factors[index.row[name]].type, "pnl": pnl, "reason": why}
        for name, (why, pnl) in sorted(unmapped.items())
    ]
    texts = [("risk_factor", pa.string()), ("type", pa.string())]
    return pa.Table.from_pylist(rows, schema=pa.schema([*texts, ("pnl", pa.float64()), ("reason", pa.string())]))
