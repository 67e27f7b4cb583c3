"""ORE's value of every trade of a portfolio, from a process of its own: each has a value, or the reason why it has none."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from lake.errors import BadInput, NotReady

INSTALL = "pip install 'varlake[ore]' in CPython 3.11, or name a Python that has the wheel open-source-risk-engine with VARLAKE_ORE_PYTHON"
_ABSENT = 9  # exit code of a Python without ORE
_SECONDS = 3600
_WORK = f"""
import importlib.metadata, json, sys
try:
    import ORE
except ImportError:
    sys.exit({_ABSENT})
given = ORE.Parameters()
given.fromFile("ore.xml")
app = ORE.OREApp(given, False)
app.run()
with open("said.json", "w") as file:
    json.dump({{"version": importlib.metadata.version("open-source-risk-engine"), "errors": list(app.getErrors())}}, file)
"""


@dataclass(frozen=True)
class OreValues:
    """values : by trade id, in the currency; missing : why a trade has none, by id."""

    version: str
    values: Mapping[str, tuple[float, str]]
    missing: Mapping[str, str]


def ore_values(folder: Path, trades: Collection[str], python: Path) -> OreValues:
    """Runs ORE over the files in the folder. trades : the ids in its portfolio; python : a Python that has ORE.

    Raises `BadInput` for a Python without ORE, and `NotReady` where ORE ends without an answer.
    """
    for old in ("npv.csv", "said.json"):  # of an earlier run
        (folder / old).unlink(missing_ok=True)
    started = shutil.which(python)  # which stands still where the working directory changes
    if started is None:
        raise BadInput(f"There is no Python {python} that can be started. Expected: {INSTALL}.")
    try:
        done = subprocess.run(
            [os.path.abspath(started), "-P", "-c", _WORK],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise NotReady(f"ORE has not answered in {_SECONDS} seconds; ask about fewer trades with --where.") from None
    if done.returncode == _ABSENT:
        raise BadInput(f"The Python {python} has no ORE: {INSTALL}.")
    if done.returncode or not (folder / "npv.csv").exists():
        last = (done.stderr.strip() or done.stdout.strip() or f"exit code {done.returncode}").splitlines()[-1]
        raise NotReady(f"ORE ended without values: {last}")
    said = json.loads((folder / "said.json").read_text())
    return OreValues(said["version"], *_values(folder / "npv.csv", trades, _told(said["errors"])))


def _told(errors: list[str]) -> dict[str, str]:
    """What ORE says of a trade, by id, the first of each."""
    told: dict[str, str] = {}
    for error in map(json.loads, errors):
        for field in error.get("sub_fields", []):
            if field["name"] == "tradeId":
                told.setdefault(field["value"], error["message"].strip())
    return told


def _values(
    path: Path, trades: Collection[str], told: Mapping[str, str]
) -> tuple[dict[str, tuple[float, str]], dict[str, str]]:
    """By id: a trade that ORE could not build has a row of type Failed and value 0, one that it could not value `#N/A`, others no row."""
    values: dict[str, tuple[float, str]] = {}
    missing = dict.fromkeys(trades, "ORE has no row of it")
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            trade = row["#TradeId"]
            if trade not in missing:
                continue
            if row["TradeType"] == "Failed":
                missing[trade] = "ORE could not build it"
            elif row["NPV"] == "#N/A":
                missing[trade] = "ORE could not value it"
            else:
                values[trade] = float(row["NPV"]), row["NpvCurrency"]
    why = {
        trade: ": ".join(filter(None, (reason, told.get(trade))))
        for trade, reason in missing.items()
        if trade not in values
    }
    return values, why
