"""What is broken on purpose: the writing commands on small lakes, and what a lake holds, to compare."""

from __future__ import annotations

import contextlib
import itertools
import shutil
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from forked import Command, forked
from small_lake import MONDAY, SHARE_A, book_csv

from lake.audit_check import ActFilter, recorded_acts, verify_trail
from lake.schemas import TABLES
from lake.tables import Lake

# columns that say when a row was made, from what, and at what cost: no two runs share them
OF_A_RUN = (
    *("run_id", "created_at", "loaded_at", "sealed_at", "table_versions", "valued", "reused"),
    *("cost_us", "pricing_seconds", "elapsed_seconds"),
)
Contents = dict[str, Counter[str]]


@dataclass(frozen=True)
class Operation:
    """A writing command: the lake it starts from (`bare` or `valued`), and its arguments; `{files}` is the folder of FILES."""

    start: str
    arguments: tuple[str, ...]


OPERATIONS = {
    "market": Operation("bare", ("ingest", "market", "{files}", "--catalogue", "{files}/catalogue.toml")),
    "positions": Operation("bare", ("ingest", "positions", "{files}/book.csv")),
    "pnl": Operation("bare", ("ingest", "pnl", "{files}/pnl.csv")),
    "hierarchy": Operation("bare", ("ingest", "hierarchy", "{files}/organisation.csv")),
    "pnl-vectors": Operation("bare", ("ingest", "pnl-vectors", "{files}/vectors.csv", "--source", "risksys")),
    "var": Operation("bare", ("ingest", "var", "{files}/var.csv", "--source", "risksys")),
    "sensitivities": Operation("bare", ("ingest", "sensitivities", "{files}/sensitivities.csv", "--source", "desk")),
    "covariance": Operation(
        "bare",
        (
            *("ingest", "covariance", "{files}/covariance.csv", "--matrix", "daily"),
            *("--horizon-days", "1", "--unit", "1"),
        ),
    ),
    "orders": Operation("bare", ("ingest", "orders", "{files}/orders.csv")),
    "corporate-actions": Operation("bare", ("ingest", "corporate-actions", "{files}/actions.csv")),
    "counterparties": Operation("bare", ("ingest", "counterparties", "{files}/counterparties.csv")),
    "agreements": Operation("bare", ("ingest", "agreements", "{files}/agreements.csv")),
    "collateral": Operation("bare", ("ingest", "collateral", "{files}/collateral.csv")),
    "classifications": Operation("bare", ("ingest", "classifications", "{files}/classifications.csv")),
    "regime": Operation("bare", ("ingest", "regime", "{files}/house.toml")),
    "exposure-limits": Operation("bare", ("ingest", "exposure-limits", "{files}/limits.csv")),
    "real-prices": Operation("bare", ("ingest", "real-prices", "{files}/prices.csv")),
    "cva-hedges": Operation("bare", ("ingest", "cva-hedges", "{files}/hedges.csv")),
    "scenarios": Operation("bare", ("scenarios", "build", "--as-of", str(MONDAY), "-p", "scenarios=30")),
    "value": Operation("bare", ("value", "--as-of", str(MONDAY), "-p", "scenarios=30", "--runner", "in-process")),
    "branch": Operation("valued", ("branch", "save", "more", "--as-of", str(MONDAY), "--add", "{files}/trades.csv")),
}
FILES = {
    "catalogue.toml": """
name = "small"

[source.stocks]
file = "stocks.csv"
layout = "wide"
calendar = "XNYS"
licence = "mine"

[source.stocks.factor]
id = "EQ:{column}"
type = "equity_price"
currency = "USD"
""",
    "stocks.csv": "Date,CCC\n2020-01-02,75.1\n2020-01-03,74.4\n",
    "book.csv": book_csv().replace("2020-03-16", "2020-03-17").replace("2020-03-13", "2020-03-12"),
    "pnl.csv": "date,desk,kind,pnl,currency\n2020-03-16,Options,actual,-1250,USD\n",
    "organisation.csv": "hierarchy,level,member,parent_level,parent,effective_from,effective_to\n"
    "organisation,desk,Options,division,Markets,2019-01-01,\norganisation,desk,Equities,division,Markets,2019-01-01,\n",
    "vectors.csv": "date,trade,desk,currency,base_value,2019-01-02,2019-01-03,2019-01-04\n"
    "2020-03-18,V1,Options,USD,100,-1,2,-3\n2020-03-18,V2,Equities,USD,50,4,,1\n",
    "var.csv": "date,level,var,currency\n2020-03-16,0.99,1250,USD\n2020-03-17,0.99,1300,USD\n",
    "sensitivities.csv": "date,kind,factor,bump,amount,currency\n2020-03-16,delta,EQ:AAA,1%,1250,USD\n",
    "covariance.csv": "factor,EQ:AAA,EQ:BBB\nEQ:AAA,0.04,0.01\nEQ:BBB,0.01,0.09\n",
    "orders.csv": "order_id,executed_at,side,symbol,quantity,currency,portfolio,client,account,desk,book,legal_entity,counterparty\n"
    "A1,2020-03-16T10:00:00Z,buy,EQ:AAA,10,USD,P,C,A,Options,B,L,D\n",
    "actions.csv": "risk_factor_id,ex_date,kind,ratio,source\nEQ:AAA,2020-03-20,split,2:1,AAA\n",
    "counterparties.csv": "counterparty,effective_from,sector,rating\nD,2020-01-01,financial,A\nE,2020-01-01,other,NR\n",
    "agreements.csv": "agreement,counterparty,legal_entity,effective_from,netting,margined,currency\n"
    "NET-D,D,L,2020-01-01,true,false,USD\nNET-E,E,L,2020-01-01,true,false,EUR\n",
    "collateral.csv": "as_of_date,agreement,kind,amount,currency\n2020-03-17,NET-D,initial,5000,USD\n2020-03-18,NET-D,initial,1,USD\n",
    "classifications.csv": "name,effective_from,kind,economy\nJPY,2020-01-01,currency,advanced\nBRL,2020-01-01,currency,emerging\n",
    "house.toml": 'name = "house"\nversion = "1"\ntitle = "House rules"\nin_force_from = 2020-01-01\n'
    'source = "the board"\nstatus = "own"\n',
    "hedges.csv": "hedge,effective_from,kind,reference,sector,rating,maturity,notional,currency\n"
    "H1,2020-01-01,index,IG,financial,A,2024-12-20,1000000,USD\nH2,2020-01-01,index,HY,other,BB,2024-12-20,5,EUR\n",
    "limits.csv": "limit,effective_from,dimension,member,measure,level,amount,currency\n"
    "PFE-D,2020-01-01,counterparty,D,pfe,0.95,1000000,USD\nEAD-E,2020-01-01,counterparty,E,ead,,2000000,EUR\n",
    "prices.csv": "date,risk_factor_id,source,evidence\n2020-03-16,EQ:AAA,desk,own_deal\n2020-03-17,EQ:AAA,a vendor,vendor\n",
    "trades.csv": "trade,quantity,desk," + ",".join(SHARE_A) + "\nNEW,10,Options," + ",".join(SHARE_A.values()) + "\n",
}


def write_files(folder: Path) -> Path:
    for name, text in FILES.items():
        (folder / name).write_text(text)
    return folder


@contextlib.contextmanager
def copied(lake: Path, folder: Path) -> Iterator[Path]:
    """A copy of a lake, as good as the lake itself; removed afterwards."""
    shutil.copytree(lake, folder)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def contents(path: Path) -> Contents:
    """Every row of every table, without what belongs to the run that wrote it. Every file is read."""
    lake = Lake.open(path)
    return {name: rows(lake, name) for name in TABLES}


def rows(lake: Lake, name: str) -> Counter[str]:
    table = lake.read(name)
    return Counter(map(repr, table.select([c for c in table.column_names if c not in OF_A_RUN]).to_pylist()))


@dataclass(frozen=True)
class Broken:
    """One operation to be broken many times, on copies of the lake it starts from.

    seconds : how long it takes, forked and as a shell starts it.
    """

    name: str
    start: Path
    arguments: list[str]
    before: Contents
    complete: Contents
    seconds: dict[bool, float]

    @classmethod
    def prepare(cls, name: str, lakes: Mapping[str, Path], files: Path, folder: Path) -> Broken:
        """Runs it whole: first as a shell does, which compiles what it needs, so that all later runs make the same calls."""
        start = lakes[OPERATIONS[name].start]
        arguments = [a.format(files=files) for a in OPERATIONS[name].arguments]
        seconds, wholes = {}, []
        for shell in (True, True, False):
            with copied(start, folder / "whole") as lake:
                command = Command(arguments, lake, shell=shell)
                began = time.monotonic()
                assert command.go() == 0, command.said()
                seconds[shell] = time.monotonic() - began
                wholes.append(forked(contents, lake))
        before, complete = forked(contents, start), wholes[-1]
        assert lost(complete, before), "the operation writes nothing"
        assert all(w == complete for w in wholes), "a forked command does not write what one does that a shell starts"
        return cls(name, start, arguments, before, complete, seconds)

    def fault(self, lake: Path, acknowledged: bool) -> str | None:
        """What is wrong with a lake on which the command was broken, and then is run again; None where nothing is."""
        if wrong := forked(_broken, lake, self.before, self.complete, acknowledged):
            return wrong
        again = Command(self.arguments, lake)
        if (code := again.go()) != 0:
            return f"run again it exits with {code} and says {again.said()!r}"
        return forked(_incomplete, lake, self.complete)


def _broken(lake: Path, before: Contents, complete: Contents, acknowledged: bool) -> str | None:
    """What is wrong with a lake on which a command was broken."""
    found = contents(lake)
    if not (trail := verify_trail(Lake.open(lake))).holds:
        return f"the audit trail does not hold: {trail.fault}"
    if missing := lost(before, found):
        return f"rows lost from {missing}"
    if strange := lost(found, complete):
        return f"rows in {strange} that no whole run writes"
    return "it exited 0 and had not written all" if acknowledged and found != complete else None


def _incomplete(lake: Path, complete: Contents) -> str | None:
    """What is wrong with a lake on which a broken command was run again."""
    trail = verify_trail(Lake.open(lake))
    if trail.fault or recorded_acts(Lake.open(lake).trail, ActFilter(outcome="open")):
        return f"run again the audit trail has an open act, or does not hold: {trail.fault}"
    return None if contents(lake) == complete else "run again it is not what a whole run makes"


def read_over_and_over(there: Connection, lake: Path, whole: Sequence[Contents]) -> None:
    """Reads each table whenever its log has changed, and one more in turn, until told to stop; sends what was wrong: an error, or rows
    that no lake of `whole` has."""
    logs = {name: lake / name / "_delta_log" for name in TABLES}
    wrong: list[str] = []
    seen = {name: _changed(log) for name, log in logs.items()}
    turns = itertools.cycle(TABLES)
    there.send("ready")
    while not there.poll(0.01):
        changed = {name: _changed(log) for name, log in logs.items()}
        for name in dict.fromkeys([*(n for n in TABLES if changed[n] != seen[n]), next(turns)]):
            try:
                found = rows(Lake.open(lake), name)
            except Exception as error:  # a reader is never refused because of a writer
                wrong.append(f"a reader met {type(error).__name__}: {error}")
                continue
            if not any(not found - other[name] for other in whole):
                wrong.append(f"a reader saw rows of {name} that no whole run writes")
        seen = changed
    there.send(wrong)


def _changed(folder: Path) -> int | None:
    """When a file came into a folder, or went; None where there is none."""
    with contextlib.suppress(FileNotFoundError):
        return folder.stat().st_mtime_ns
    return None


def lost(before: Contents, after: Contents) -> list[str]:
    """The tables in which rows of `before` are not in `after`."""
    return [name for name in before if before[name] - after[name]]
