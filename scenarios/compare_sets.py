"""Two scenario sets beside each other."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np

from lake.errors import BadInput, counted
from lake.tables import Snapshot
from scenarios.store import find_scenario_set, load_stored


def scenario_diff(snapshot: Snapshot, one: str, two: str, as_of: dt.date | None = None) -> list[dict[str, Any]]:
    """Factors whose base or levels differ between two stored sets: a row each, by id, with their largest difference."""
    left, right = (load_stored(snapshot, find_scenario_set(snapshot, s, as_of)) for s in (one, two))
    if left.n_scenarios != right.n_scenarios:
        raise BadInput(
            f"{one} has {counted(left.n_scenarios, 'scenario')} and {two} has {right.n_scenarios}; levels are compared one by one."
        )
    here, there = np.asarray(left.levels), np.asarray(right.levels)
    rows: list[dict[str, Any]] = []
    for risk_factor_id in sorted(left.index.row.keys() | right.index.row.keys()):
        i, j = left.index.row.get(risk_factor_id), right.index.row.get(risk_factor_id)
        if i is None or j is None:
            rows.append({"risk_factor": risk_factor_id, "difference": f"only in {one if j is None else two}"})
            continue
        worst = int(abs(here[i] - there[j]).argmax())
        if left.base[i] != right.base[j] or here[i, worst] != there[j, worst]:
            rows.append(
                {
                    "risk_factor": risk_factor_id,
                    "difference": "levels" if left.base[i] == right.base[j] else "base and levels",
                    "base_1": float(left.base[i]),
                    "base_2": float(right.base[j]),
                    "scenario": left.labels[worst],
                    "level_1": float(here[i, worst]),
                    "level_2": float(there[j, worst]),
                }
            )
    return rows
