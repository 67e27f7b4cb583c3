"""The small lake, valued, and its vectors brought into an empty lake as those of another system."""

from __future__ import annotations

import csv
import datetime as dt
from pathlib import Path
from typing import Any

from small_lake import BOOK, FRIDAY, MONDAY, build_lake, no_spark, request

from lake.committer import Committer
from lake.landing.actual_pnl import ingest_pnl
from lake.schemas import DIMENSION_COLUMNS
from lake.tables import Lake
from scenarios.store import load_scenario_set
from valuation.sets.imported import ingest_vectors
from valuation.sets.requests import run_valuation
from valuation.sets.store import list_valuation_sets

# powers of two, so that a quantity times a vector has no rounding; no group has three positions in a currency, since a sum of
# two does not depend on their order
HELD = [(desk, quantity, terms) for (desk, _, terms), quantity in zip(BOOK, (1024.0, -256.0, 64.0, 4.0), strict=True)]


def own_lake(folder: Path) -> Lake:
    """Priced here, with actual P&L of Monday."""
    lake = build_lake(folder / "own", held=HELD)
    with Committer(lake, "test") as committer:
        for day in (FRIDAY, MONDAY):
            run_valuation(committer, request(day), spark=no_spark)  # type: ignore[arg-type]
    _actual(lake, folder)
    return lake


def _actual(lake: Lake, folder: Path) -> None:
    actual = folder / "actual.csv"
    actual.write_text(f"date,pnl,currency,desk\n{MONDAY},-90000,USD,Equities\n{MONDAY},1500,USD,Options\n")
    with Committer(lake, "test") as committer:
        ingest_pnl(committer, actual)


def exported(lake: Lake, folder: Path) -> Path:
    """What the lake holds as a file with a column a scenario: a row a trade, and rows of exchange rates."""
    seals = {s.valuation_date: s for s in list_valuation_sets(lake)}
    labels: dict[str, None] = {}
    rows: list[dict[str, Any]] = []
    vectors = {r["inputs_digest"]: r for r in lake.read("pnl_vectors").to_pylist()}
    for day, seal in sorted(seals.items()):
        scenarios = load_scenario_set(lake, seal.scenario_set_id)
        labels |= dict.fromkeys(scenarios.labels)
        members = {
            m["contract_id"]: vectors[m["inputs_digest"]]
            for m in lake.read("valuation_members", among={"valuation_set_id": [seal.valuation_set_id]}).to_pylist()
        }
        held = lake.read("positions", among={"positions_date": [day]}).to_pylist(maps_as_pydicts="strict")
        for p in held:
            vector, q = members.get(p["contract_id"]), p["quantity"]
            row = {"date": day, "currency": p["currency"], **{d: p[d] for d in DIMENSION_COLUMNS}}
            row |= {f"attribute.{k}": v for k, v in p["attributes"].items()}
            numbers = [""] * len(scenarios.labels) if vector is None else [repr(q * x) for x in vector["pnl"]]
            base = "0" if vector is None else repr(q * vector["base_value"])
            rows.append(row | {"base_value": base} | dict(zip(scenarios.labels, numbers, strict=True)))
        rate = scenarios.index.row["FX:EURUSD"]
        levels = dict(zip(scenarios.labels, map(repr, scenarios.levels[rate].tolist()), strict=True))
        rows.append({"date": day, "fx": "EURUSD", "base_value": repr(float(scenarios.base[rate])), **levels})
    files = folder / "files"
    files.mkdir(exist_ok=True)
    long = files / "vectors.csv"
    keys = [*dict.fromkeys(k for r in rows for k in r if k not in labels)]
    with long.open("w", newline="") as out:
        table = csv.writer(out)
        table.writerow([*keys, "scenario", "pnl"])
        for row in rows:
            table.writerows([*(row.get(k, "") for k in keys), s, row[s]] for s in labels if row.get(s))
            if not any(row.get(s) for s in labels):
                first = next(s for s in labels if any(s in r for r in rows if r["date"] == row["date"]))
                table.writerow([*(row.get(k, "") for k in keys), first, ""])
    return long


def imported_lake(own: Lake, folder: Path) -> Lake:
    """The vectors of the lake in another one, as those of a system called risksys."""
    lake = Lake.create(folder / "imported")
    with Committer(lake, "test") as committer:
        ingest_vectors(committer, exported(own, folder), source="risksys", scenario_set="historical-30")
    _actual(lake, folder)
    return lake


DAYS: tuple[dt.date, ...] = (FRIDAY, MONDAY)
