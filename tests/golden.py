"""Guards a move of code: asks a small lake every kind of question and says in which figures the answers differ from before.

Before the move, then after every step of it, with the repository as the working folder:

    PYTHONPATH=.:tests python -m golden write /tmp/before.json --lake /tmp/golden-lake
    PYTHONPATH=.:tests python -m golden compare /tmp/before.json [--lake /tmp/golden-lake]

`write` keeps the answers, `compare` asks again, prints for each question `same` or the first paths that differ, and exits with
1 on any difference; floats are compared to the last bit. The lake is built when its folder is missing, without `--lake` anew in a
temporary folder. Questions are put to a copy of it, so that the lake stays as it was built. `receipts FILE` keeps one receipt of
each kind, which replays on a lake that `build` makes.

A command that is renamed is renamed in the lists below, and its question keeps its name.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import shlex
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from command_line import Done, varlake

import service
from lake.schemas import DIMENSION_COLUMNS

# a kind of receipt that has been renamed, to the name it had when the file was written: {"new": "old"}
OLD_KINDS: dict[str, str] = {
    "risk-classes": "classes",
    "what-if": "what_if",
    "limit-hedge": "way_back",
    "reconcile": "bridge",
}

FRIDAY, MONDAY = "2020-03-13", "2020-03-16"
AT, BOTH = f"--as-of {MONDAY}", f"--from {FRIDAY} --to {MONDAY}"
DAYS = f"--from 2020-03-02 --to {MONDAY}"
EQUITIES = "--where 'desk=US Equities'"
SWAPS = "--where 'desk=Interest Rate Swaps'"
FALL = "equity -20%; vol[equity] +10pt"

# What makes the lake, in this order. The newest valuation of a day answers, so the historical ones come last.
BUILD = {
    "ingest-market": "ingest market market --catalogue market/synthetic_market.toml",
    "sample-book": "sample book book --positions 300 --dates 2020-03-02:2020-03-16 --seed 1",
    "ingest-positions": "ingest positions {book} files/matured.csv",
    "ingest-hierarchy": "ingest hierarchy files/organisation.csv",
    "ingest-pnl": "ingest pnl files/pnl.csv",
    "scenarios-weighted": f"scenarios build {AT} --method historical -p scenarios=80 -p age_decay=0.97 --name weighted",
    "scenarios-fall": f"scenarios import files/fall.txt --name fall {AT}",
    "scenarios-milder": f"scenarios import files/milder.txt --name milder {AT}",
    "value-weighted": f"value {AT} --scenario-set weighted --runner in-process",
    "value-monte-carlo": f"value {AT} --method monte_carlo -p scenarios=200 -p seed=1 --runner in-process",
    "stress-fall": f"stress {AT} --scenario fall --value",
    "value-mixed": f"value {AT} --positions-date {FRIDAY} --positions-date {MONDAY} -p scenarios=60 --runner in-process",
    "value-days": f"backtest {DAYS} --value -p scenarios=60",
    "value-friday": f"value --as-of {FRIDAY} -p scenarios=100 --runner in-process",
    "value-monday": f"value {AT} -p scenarios=100 --runner in-process",
    # what the lake of the old receipts answered plain questions from, since it was valued last
    "standard": "standard set --scenario-set historical-100",
    "value-classes": f"risk-classes {AT} --value",
    "value-between": f"explain {BOTH} --method shapley --value",
    "value-between-in-order": f"explain {BOTH} --method sequential --value",
    "save-branch": f"branch save lighter {AT} --scale 'desk=Commodities*0.5' --remove 'desk=Treasury' --add files/hedge.json",
    "ingest-late": "ingest positions files/late.csv",  # a day with a contract that is not valued
}

# Questions that write nothing.
QUESTIONS = {
    "var": f"var {AT}",
    "var-by": f"var {AT} --by desk,legal_entity --level 0.99,0.975 --measure var,es,worst,mean,volatility,skewness",
    "var-estimator-hf7": f"var {AT} --by desk --estimator hf7 --level 0.95",
    "var-estimator-harrell-davis": f"var {AT} --by desk --estimator harrell_davis --level 0.95",
    "var-estimator-weighted": f"var {AT} --by desk --scenario-set weighted --estimator brw_half_weight --measure var --level 0.95",
    "var-weighted": f"var {AT} --by desk --scenario-set weighted --level 0.95 --interval 0.9",
    "var-monte-carlo": f"var {AT} --by desk --scenario-set {{monte_carlo}} --interval 0.95",
    "var-layout": f"var {AT} --by desk,book --subtotals --sort=-var_0.95 --limit 6 --level 0.95",
    "var-interval": f"var {AT} --by desk --interval 0.9 --level 0.95 --currency EUR",
    "var-gain": f"var {AT} --by desk --tail gain --level 0.95 --scale-to-days 10",
    "var-threshold": f"var {AT} --by desk --measure exceedance,es_beyond --threshold 1e6 --threshold 5e6 --level 0.95",
    "var-where": f"var {AT} --where 'desk=US Equities,Commodities' --where attribute.counterparty_rating!=B --by counterparty",
    "var-bounds": f"var {AT} --by desk --bounds --level 0.95",
    "var-bounds-late": "var --as-of 2020-03-09 --by desk --bounds --level 0.95",
    "var-hierarchy": f"var {AT} --by division,desk --subtotals",
    "var-attribute": f"var {AT} --by attribute.counterparty_sector",
    "var-mixed": f"var {AT} --positions-date {FRIDAY} --by desk",
    "var-plan": "var --as-of 2020-03-09 --by desk --plan",
    "var-mixed-plan": f"var --as-of {FRIDAY} --positions-date {FRIDAY} --market-date {MONDAY} --by desk --plan",
    "var-branch": f"var {AT} --branch lighter --by desk",
    "var-streamed": f"var {AT} --by desk --reduce streamed",
    "value-plan": f"value {AT} -p scenarios=70 --plan",
    "value-plan-classes": "value --as-of 2020-03-12 -p scenarios=60 --risk-class rates --branch lighter --plan",
    "value-plan-sealed": f"value {AT} -p scenarios=100 --plan",
    "dimensions": f"dimensions {AT}",
    "lake": "lake",
    "pivot": f"pivot {AT} --rows desk --columns legal_entity --measure var,es --sort=-es_0.95 --limit 4 --level 0.95",
    "pivot-hierarchy": f"pivot {AT} --rows division,desk --columns attribute.counterparty_rating",
    "series": f"series {DAYS} --by desk --scenario-set historical-60 --level 0.95",
    "series-calendar": "series --from 2020-02-27 --to 2020-03-05 --calendar weekdays --measure es",
    "pnl": f"pnl {AT} --by desk",
    "pnl-worst": f"pnl {AT} --by desk --worst 5 --currency EUR",
    "pnl-histogram": f"pnl {AT} --by desk --histogram 12",
    "pnl-scenario": f"pnl {AT} --by book --scenario 2020-03-12 --scenario 2020-03-09",
    "pnl-weighted": f"pnl {AT} --scenario-set weighted --worst 10",
    "pnl-branch": f"pnl {AT} --branch lighter --by desk --worst 3",
    "drill": f"drill {AT} {EQUITIES} --measure es --level 0.95 --limit 15",
    "drill-contract": f"drill {AT} --per contract --order gain --first 3 --limit 10",
    "drill-scenario": f"drill {AT} --scenario 2020-03-12 --order name",
    "contributions": f"contributions {AT} --by desk",
    "contributions-es": f"contributions {AT} --by desk,book --measure es --level 0.95 --interval 0.9",
    "contributions-top": f"contributions {AT} --by trade --top 5 --figures component,standalone,marginal,incremental",
    "contributions-volatility": f"contributions {AT} --by desk --measure volatility --form regression",
    "contributions-regression": f"contributions {AT} --by desk --form regression --level 0.95",
    "contributions-weighted": f"contributions {AT} --by desk --scenario-set weighted --measure es --level 0.95",
    "parametric": f"parametric {AT} --by desk --value",
    "parametric-full": f"parametric {AT} --where desk=Commodities --gamma full --mean zero --measure es --level 0.975 --value",
    "parametric-none": f"parametric {AT} --gamma none --value",
    "parametric-plan": f"parametric {AT} --plan",
    "classes": f"risk-classes {AT} --by desk --level 0.95",
    "classes-plan": "risk-classes --as-of 2020-03-13 --plan",
    "stressed-plan": f"stressed-var {AT} --period 2020-02-24:2020-03-06 --plan",
    "stressed-search-plan": f"stressed-var {AT} --length 60 --plan",
    "compare": f"compare {BOTH} --by desk",
    "compare-interval": f"compare {BOTH} --by desk --interval 0.9 --level 0.95",
    "compare-sets": f"compare --from {MONDAY} --to {MONDAY} --to-scenario-set weighted --by desk --level 0.95",
    "compare-branch": f"compare --from {MONDAY} --to {MONDAY} --to-branch lighter --by desk",
    "compare-mixed": f"compare {BOTH} --to-positions-date {FRIDAY} --by desk",
    "compare-causes": f"explain {BOTH} --by desk",
    "compare-causes-es": f"explain {BOTH} --by desk --measure es --level 0.95 --interval 0.9",
    "compare-causes-branch": f"explain --from {MONDAY} --to {MONDAY} --to-branch lighter --by desk",
    "compare-drill": f"explain-drill {BOTH} --by desk --cell 'desk=US Equities' --limit 12",
    "compare-drill-cause": f"explain-drill {BOTH} --by desk --cell cause=new --measure es --level 0.95",
    "compare-sequential": f"explain {BOTH} --by desk --method sequential",
    "compare-sequential-plan": "explain --from 2020-03-05 --to 2020-03-06 --method sequential --plan",
    "compare-shapley": f"explain {BOTH} --by desk --method shapley --measure es --level 0.95",
    "compare-shapley-plan": "explain --from 2020-03-05 --to 2020-03-06 --method shapley --plan",
    "pnl-explain": f"pnl-explain {BOTH} --by desk",
    "pnl-explain-currency": f"pnl-explain --from 2020-03-12 --to {MONDAY} {EQUITIES} --by book --currency EUR",
    "pnl-explain-plan": f"pnl-explain {BOTH} --plan",
    "drivers": f"drivers {BOTH} --measure es --level 0.95 --max 5",
    "drivers-one-day": f"drivers --to {MONDAY} --over desk,legal_entity,counterparty --max 3",
    "bridge": f"reconcile {AT} --theirs 84123456 --level 0.975",
    "bridge-tolerance": f"reconcile {AT} --theirs 10000000 --tolerance 2000000 {EQUITIES} --measure es",
    "whatif": f"what-if {AT} --by desk --add files/hedge.json --remove T000000001,T000000002 --scale 'desk=Commodities*0.5'",
    "whatif-filters": f"what-if {AT} --remove 'desk=Treasury;legal_entity=Meridane Bank London' --scale '*1.1' --measure es --level 0.95",
    "whatif-book": f"what-if {AT} --add files/hedge.json --replace",
    "whatif-on-branch": f"what-if {AT} --branch lighter --scale 'desk=US Equities*2' --by desk",
    "branch-list": "branch list",
    "branch-show": "branch show lighter",
    "way-back": f"limit-hedge {AT} {EQUITIES} --measure es --level 0.95 --limit 4000000 --moves files/moves.json",
    "way-back-var": f"limit-hedge {AT} {EQUITIES} --measure var --level 0.95 --limit 3500000 --moves files/moves.json",
    "way-back-nothing": f"limit-hedge {AT} {EQUITIES} --limit 1e12 --moves files/moves.json",
    "way-back-out-of-reach": f"limit-hedge {AT} --limit 1 --moves files/moves.json",
    "backtest": f"backtest {DAYS} --by desk --scenario-set historical-60 --simulations 300 --level 0.95,0.9",
    "backtest-passes": f"backtest {DAYS} --scenario-set historical-60 --time passes --law t --simulations 200 --steps 3 --window 8",
    "backtest-normal": f"backtest {DAYS} --scenario-set historical-60 --calendar books --law normal --simulations 200 {EQUITIES}",
    "backtest-plan": "backtest --from 2020-03-04 --to 2020-03-10 --plan -p scenarios=50",
    "stress": f"stress {AT} --scenario fall --by desk",
    "stress-reverse-plan": f"reverse-stress {AT} --loss 5000000 {EQUITIES} --plan",
    "stress-period-plan": f"stress-period {AT} --length 60 --first 2019-03-01 --plan",
    "roll": f"roll-forward {AT} --by desk",
    "roll-constant": f"roll-forward {AT} --market constant --horizons 1D,10D,6M --currency EUR {SWAPS}",
    "scenarios-list": "scenarios list",
    "scenarios-show": f"scenarios show historical-100 {AT}",
    "scenarios-show-weighted": f"scenarios show weighted {AT}",
    "scenarios-show-monte-carlo": "scenarios show {monte_carlo}",
    "scenarios-show-bespoke": f"scenarios show fall {AT}",
    "scenarios-diff": f"scenarios diff fall milder {AT}",
    "scenarios-check": f"scenarios check files/fall.txt {AT}",
    "scenarios-check-faults": f"scenarios check 'equity -20%; nothing +3' {AT}",
    "scenarios-preview": f"scenarios preview '{FALL}' {AT} --plausibility",
    "fault": f"var {AT} --estimator nope",
}

# Questions that write, after the others and in this order.
WRITING = {
    "stress-text": f"stress {AT} --scenario '{FALL}; commodity -10%' --by desk --value",
    "stress-made-anew": f"stress --as-of {FRIDAY} --scenario fall --by legal_entity --currency EUR --value",
    "stress-compare": f"stress-compare --scenario fall --scenario milder --scenario 'commodity -30%' {AT} --by desk --value",
    "stress-reverse": f"reverse-stress {AT} --loss 5000000 {EQUITIES} --name reverse --value",
    "stress-period": f"stress-period {AT} --length 60 --first 2019-03-01 --level 0.95 --value",
    "stressed": f"stressed-var {AT} --by desk --period 2020-02-24:2020-03-06 --level 0.9 --value",
    "stressed-search": f"stressed-var {AT} --by desk --length 60 --level 0.9 --value",
    "var-value": f"var --as-of {FRIDAY} --positions-date {FRIDAY} --market-date {MONDAY} --by desk --value",
    "var-value-late": "var --as-of 2020-03-09 --by desk --value",
    "classes-value": f"risk-classes --as-of {FRIDAY} --by desk --value --level 0.95",
    "compare-sequential-value": "explain --from 2020-03-05 --to 2020-03-06 --by desk --method sequential --value",
    "compare-shapley-value": "explain --from 2020-03-05 --to 2020-03-06 --by desk --method shapley --value --level 0.95",
    "backtest-value": "backtest --from 2020-03-04 --to 2020-03-10 --value -p scenarios=50 --simulations 100 --level 0.9",
    "value": "value --as-of 2020-03-12 -p scenarios=40 --risk-class rates --risk-class fx --runner in-process",
    "value-replay": f"value {AT} --method replay -p first=2020-02-24 -p last=2020-03-06 --runner in-process",
    "value-filtered": f"value {AT} --method filtered -p scenarios=60 -p window=500 --runner in-process",
    "value-again": f"value {AT} -p scenarios=100 --runner in-process",
    "scenarios-build-monte-carlo": f"scenarios build {AT} --method monte_carlo -p scenarios=50 -p window=250 -p seed=2 "
    "-p distribution=t_copula -p degrees_of_freedom=4 --name other",
    "scenarios-build-rebased": f"scenarios build {AT} --method rebased -p scenario_set=weighted -p base_set=historical-100 --name rebased",
    "scenarios-export": f"scenarios export fall fall.json {AT}",
    "scenarios-import": f"scenarios import fall.json --name fall-again {AT}",
    "whatif-save": f"branch save none {AT} --remove 'desk=Commodities' --note 'no commodities'",
    "whatif-new-version": f"branch save none {AT} --scale '*0.5' --new-version",
    "way-back-save": f"branch save under {AT} --scale 'desk=US Equities*0.5'",
    "var-of-saved": f"var {AT} --branch under --by desk",
    "branch-list-all": "branch list --all",
    "branch-delete": "branch delete lighter",
    "ingest-market": "ingest market market --catalogue market/synthetic_market.toml",
    "ingest-positions": "ingest positions files/late.csv --replace-dates",
    "ingest-rejects": "ingest positions files/unusable.csv --rejects rejects.csv",
    "ingest-hierarchy": "ingest hierarchy files/organisation.csv",
    "ingest-pnl": "ingest pnl files/pnl.csv --replace-dates",
    "var-series-after": f"series --from {FRIDAY} --to {MONDAY} --by desk",
    "lake-after": "lake",
}
WITHOUT_JSON = ("sample book", "scenarios export")

# Keys that are no part of an answer: when, how long and how it was computed, and by which code.
VOLATILE = {
    *("timings_ms", "elapsed_seconds", "pricing_seconds"),
    *("cost_us", "expected_core_seconds", "core_seconds_range", "measured", "start_seconds"),
    *("kernels_seconds", "spark_seconds"),  # from costs that were measured
    *("sealed_at", "created_at", "run_id"),
    *("code_digest", "code_version", "libraries"),
    "receipt_digest",  # of the code too
    *("kind", "question", "query_digest", "answer_digest"),  # how an answer was asked for, and one digest of it all
    "reduce",  # by the memory that is free
    "MB",  # of files that hold the time they were written
}
_PATHS_SHOWN = 5

_OPTION = {"instrument_type": "equity_option", "currency": "USD", "underlying": "EQ:UNH", "volatility": "IV:UNH"}
_OPTION |= {"discount_curve": "USD", "strike": "60", "option_type": "put"}
_SHARE = {"instrument_type": "cash_equity", "currency": "USD", "underlying": "EQ:UNH"}
_PUT_ON = {"trade": "HEDGE-1", "quantity": 5000, "desk": "US Equities", **_OPTION, "expiry": "2020-12-18"}
_SHORT = {"trade": "HEDGE-2", "quantity": -3000, "desk": "US Equities", **_SHARE}
_MOVES = [
    {"name": "sell UNH", "hedge": _SHARE, "side": "sell", "max_quantity": 40_000, "cost": 0.05},
    {"name": "puts", "hedge": {**_OPTION, "expiry": "2020-12-18"}, "side": "buy", "max_quantity": 90_000, "cost": 0.02},
    {"name": "part of the desk", "where": "desk=US Equities", "cost": 900_000},
]


def _positions_csv(day: str, rows: list[Mapping[str, Any]]) -> str:
    """A positions file of one day."""
    names = ["positions_date", *dict.fromkeys(n for row in rows for n in row)]
    lines = [",".join(str({"positions_date": day, **row}.get(n, "")) for n in names) for row in rows]
    return "\n".join([",".join(names), *lines]) + "\n"


def _files() -> dict[str, str]:
    """The small files that the commands above read."""
    own = {**dict.fromkeys(DIMENSION_COLUMNS, "Extra"), "desk": "Equity Derivatives", "quantity": 100}
    matured = {**own, "trade": "X1", **_OPTION, "expiry": "2019-12-20"}
    late = {**own, "trade": "X2", **_OPTION, "strike": "71", "expiry": "2020-12-18"}
    days = [dt.date(2020, 3, 3) + dt.timedelta(i) for i in range(14)]
    pnl = [f"{d},{(-1) ** i * 1_000_000 * (i + 1)},USD,actual" for i, d in enumerate(days) if d.weekday() < 5]
    return {
        "matured.csv": _positions_csv(MONDAY, [matured]),
        "late.csv": _positions_csv("2020-03-09", [late]),
        "unusable.csv": _positions_csv("2020-03-17", [late, {**late, "trade": "X3", "quantity": "many"}]),
        "organisation.csv": "hierarchy,level,member,parent_level,parent,effective_from,effective_to\n"
        "organisation,desk,US Equities,division,Markets,2019-01-01,2020-03-13\n"
        "organisation,desk,US Equities,division,Cash,2020-03-14,\n"
        "organisation,desk,Equity Derivatives,division,Markets,2019-01-01,\n"
        "organisation,desk,Interest Rate Swaps,division,Rates,2019-01-01,\n",
        "pnl.csv": "\n".join(["date,pnl,currency,kind", *pnl]) + "\n",
        "fall.txt": FALL + "\n",
        "milder.txt": "equity -10%; vol[equity] +5pt\n",
        "hedge.json": json.dumps([_PUT_ON, _SHORT]),
        "moves.json": json.dumps(_MOVES),
    }


def build(folder: Path) -> None:
    """Makes the lake and the files that questions read, as `folder/lake`, `folder/files` and others; always the same."""
    from scenarios.market.sample_market import write_sample_market

    folder.mkdir(parents=True)
    write_sample_market(folder / "market", seed=1, first=dt.date(2017, 11, 1), last=dt.date(2020, 3, 20))
    (folder / "files").mkdir()
    for name, text in _files().items():
        (folder / "files" / name).write_text(text)
    for name, command in BUILD.items():
        done = _run(command, folder)
        if done.returncode:
            shutil.rmtree(folder)
            raise SystemExit(
                f"The lake cannot be built: {name} ended with {done.returncode}: {done.stderr}{done.stdout}"
            )


def _run(command: str, folder: Path) -> Done:
    books = " ".join(sorted(str(f.relative_to(folder)) for f in (folder / "book").glob("*")))
    filled = command.replace("{book}", books)
    if "{monte_carlo}" in filled:
        filled = filled.replace("{monte_carlo}", _monte_carlo(folder))
    as_data = () if filled.startswith(WITHOUT_JSON) else ("--json",)
    return varlake(*shlex.split(filled), *as_data, lake=folder / "lake", folder=folder)


def _monte_carlo(folder: Path) -> str:
    from lake.tables import Lake
    from scenarios.store import list_scenario_sets

    rows = list_scenario_sets(Lake.open(folder / "lake")).to_pylist()
    return next(str(r["scenario_set_id"]) for r in rows if r["method"] == "monte_carlo")


def ask(folder: Path) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """The answers by name, and the first receipt of each kind, of the lake in `folder`, which stays as it is."""
    answers: dict[str, Any] = {}
    receipts: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory(prefix="golden-") as scratch:
        copy = Path(scratch).resolve() / "asked"
        shutil.copytree(folder, copy)
        for name, command in QUESTIONS.items():
            answers[name], found = _answer(command, copy)
            for receipt in _receipts(found):
                receipts.setdefault(receipt["kind"], receipt)
        for kind, receipt in sorted(receipts.items()):
            (copy / "receipt.json").write_text(json.dumps(receipt))
            done, _ = _answer("replay receipt.json", copy)
            known = OLD_KINDS.get(kind, kind)
            answers[f"replay-{known}"] = {k: done.get(k) for k in ("verdict", "kind", "result_digest", "exit", "said")}
        for name, command in WRITING.items():
            if name in answers:
                raise SystemExit(f"Two questions are called {name}.")
            answers[name], _ = _answer(command, copy)
    return answers, receipts


def _answer(command: str, folder: Path) -> tuple[Any, Any]:
    """What is kept of an answer, and all of it. Where the command failed, its exit code, and what it said if it gave no answer."""
    done = _run(command, folder)
    out = done.stdout.replace(str(folder), ".")
    found = json.loads(out) if out.strip() else {}
    kept = _without_volatile(found)
    if done.returncode:
        said = {} if found else {"said": done.stderr.replace(str(folder), ".")}
        kept = {**(kept if isinstance(kept, dict) else {"answer": kept}), "exit": done.returncode, **said}
    return kept, found


def _without_volatile(value: Any) -> Any:
    if isinstance(value, dict):
        kept = {k: _without_volatile(v) for k, v in value.items() if k not in VOLATILE}
        if isinstance(kept.get("kind"), str):
            kept["kind"] = OLD_KINDS.get(kept["kind"], kept["kind"])
        return kept
    return [_without_volatile(v) for v in value] if isinstance(value, list) else value


def _receipts(value: Any) -> Iterator[dict[str, Any]]:
    """Every receipt that stands in an answer."""
    if isinstance(value, dict):
        if "receipt_digest" in value and "question" in value:
            yield value
        for inner in value.values():
            yield from _receipts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _receipts(inner)


def differences(one: Any, two: Any, path: str = "$") -> Iterator[tuple[str, str, str]]:
    """JSON paths at which two values differ, with both; floats by their bits, so that 1 is not 1.0 and 0.0 not -0.0."""
    if isinstance(one, dict) and isinstance(two, dict):
        for key in dict.fromkeys((*one, *two)):
            if key not in one or key not in two:
                yield f"{path}.{key}", *(_shown(v[key]) if key in v else "nothing" for v in (one, two))
            else:
                yield from differences(one[key], two[key], f"{path}.{key}")
    elif isinstance(one, list) and isinstance(two, list):
        for i, (here, there) in enumerate(zip(one, two, strict=False)):
            yield from differences(here, there, f"{path}[{i}]")
        if len(one) != len(two):
            yield f"{path}.length", str(len(one)), str(len(two))
    elif type(one) is not type(two) or repr(one) != repr(two):
        yield path, _shown(one), _shown(two)


def _shown(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 200 else text[:200] + "..."


def compare(before: Mapping[str, Any], now: Mapping[str, Any]) -> int:
    """Prints what became of each answer; the number of those that differ."""
    different = 0
    for name in dict.fromkeys((*before, *now)):
        if name not in before or name not in now:
            print(f"{name}: {'not asked any more' if name in before else 'not in the file'}")
            different += 1
            continue
        found = list(differences(before[name], now[name]))
        different += bool(found)
        print(f"{name}: {f'{len(found)} values differ' if found else 'same'}")
        for path, was, is_now in found[:_PATHS_SHOWN]:
            print(f"    {path}: {was} -> {is_now}")
    return different


def main() -> int:
    parser = argparse.ArgumentParser(prog="golden", description=__doc__.splitlines()[0])
    parser.add_argument("action", choices=("write", "compare", "receipts"))
    parser.add_argument("file", type=Path)
    parser.add_argument("--lake", type=Path, help="folder of the lake; built when it is missing")
    parser.add_argument("--made-at", default="", help="commit of the code, noted beside receipts")
    given = parser.parse_args()
    print(f"the code of {Path(service.__file__).parents[1]}", file=sys.stderr)
    before = _without_volatile(json.loads(given.file.read_text(encoding="utf-8"))) if given.action == "compare" else {}
    with tempfile.TemporaryDirectory(prefix="golden-") as scratch:
        folder = given.lake or Path(scratch) / "built"
        started = time.perf_counter()
        if not folder.exists():
            build(folder.resolve())
            print(f"built in {time.perf_counter() - started:.0f} s", file=sys.stderr)
        started = time.perf_counter()
        answers, receipts = ask(folder.resolve())
        print(f"{len(answers)} answers in {time.perf_counter() - started:.0f} s", file=sys.stderr)
    for name, answer in answers.items():
        if isinstance(answer, dict) and answer.get("exit"):
            print(f"{name} ended with {answer['exit']}: {answer.get('said') or ''}".strip(), file=sys.stderr)
    print(f"kinds of receipt: {len(receipts)}: {', '.join(sorted(receipts))}", file=sys.stderr)
    if given.action == "compare":
        return 1 if compare(before, answers) else 0
    kept = {"note": {"made_at": given.made_at}, "receipts": receipts} if given.action == "receipts" else answers
    given.file.write_text(json.dumps(kept, indent=1, sort_keys=given.action == "receipts") + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
