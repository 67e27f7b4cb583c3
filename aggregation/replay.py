"""Replays: a receipt's question asked again of the lake as it was, and its bits compared.

Everything that may differ is looked at by name: the receipt itself, positions, valuation set, scenario set, market data,
code, libraries. One place to make a kind of answer replayable: a line in `REPLAYED`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

import pyarrow as pa
from pydantic import BaseModel, Field

from aggregation.backtest.backtest import run_backtest
from aggregation.backtest.judgement import BacktestQuery
from aggregation.change.attribution_path import explain_through
from aggregation.change.compare import compare
from aggregation.change.convention_bridge import Theirs, run_bridge
from aggregation.change.drivers import run_drivers
from aggregation.change.explain import explain
from aggregation.change.pnl_explain import PnlExplainRequest, pnl_explain
from aggregation.contributions.contributions import ContributionQuery, run_contributions
from aggregation.contributions.parametric import ParametricQuery, run_parametric
from aggregation.contributions.risk_classes import run_risk_classes
from aggregation.opened.opened_lake import VectorCache, fresh_cache
from aggregation.receipts import (
    code_digest,
    libraries,
    market_data_digest,
    own_digest,
    valuation_set_digest,
)
from aggregation.risk.drill import DrillQuery, run_drill
from aggregation.risk.pivot import PivotQuery, run_pivot
from aggregation.risk.query import run_query, run_scenarios
from aggregation.risk.scenario_pnl import PnlQuery, run_pnl
from aggregation.risk.series import SeriesDays, run_series
from aggregation.risk.table import TableQuery, run_table
from aggregation.types import RiskQuery
from aggregation.whatif.limit_hedge import WayBackRequest, way_back
from aggregation.whatif.request import ChangeRequest, run_what_if
from lake.canonical import digest
from lake.errors import BadInput, NotFound, VarlakeError, unknown, validated
from lake.schemas import TABLES
from lake.tables import Lake, code_version
from scenarios.store import load_scenario_set, scenario_set_digest
from valuation.sets.plan import all_pricers_version

State = Literal["same", "changed", "missing", "damaged"]
Verdict = Literal["same bits", "other bits", "not recomputed"]
Receipt = Mapping[str, Any]


Asked = Callable[[Lake, VectorCache, Mapping[str, Any]], Receipt]
Question = TypeVar("Question", bound=BaseModel)


def _of(model: type[Question], answer: Callable[[Lake, VectorCache, Question], Any]) -> Asked:
    """Reads the question of a receipt as `model`, which says what is wrong with one, and gives the receipt of its answer."""

    def ask(lake: Lake, cache: VectorCache, question: Mapping[str, Any]) -> Receipt:
        found: Receipt = answer(lake, cache, validated(model, dict(question), "question of the receipt")).receipt
        return found

    return ask


class _Drivers(BaseModel):
    queries: tuple[RiskQuery, ...] = Field(min_length=1, max_length=2)
    most: int
    over: tuple[str, ...]


class _Bridge(BaseModel):
    query: RiskQuery
    theirs: str
    tolerance: float


class _Points(BaseModel):
    from_: RiskQuery = Field(alias="from")
    to: RiskQuery
    method: str = ""


class _WhatIf(BaseModel):
    query: RiskQuery
    changes: ChangeRequest


class _WayBack(BaseModel):
    query: RiskQuery
    request: WayBackRequest


def _series(lake: Lake, cache: VectorCache, question: Mapping[str, Any]) -> Receipt:
    asked = dict(question)
    days = validated(SeriesDays, {n: asked.pop(n, None) for n in SeriesDays.model_fields}, "query of the receipt")
    query = validated(RiskQuery, {**asked, "as_of": days.last}, "query of the receipt")
    return run_series(lake, query, days.first, days.last, calendar=days.calendar, cache=cache).receipt


# kind of answer to the function that answers its question again and gives the new receipt
REPLAYED: dict[str, Asked] = {
    "backtest": _of(BacktestQuery, lambda lake, cache, q: run_backtest(lake, q, cache=cache)),
    "bridge": _of(
        _Bridge, lambda lake, cache, q: run_bridge(lake, q.query, Theirs.parse(q.theirs, q.tolerance), cache=cache)
    ),
    "classes": _of(RiskQuery, lambda lake, cache, q: run_risk_classes(lake, q, cache=cache)),
    "compare": _of(_Points, lambda lake, cache, q: compare(lake, q.from_, q.to, cache=cache)),
    "contributions": _of(ContributionQuery, lambda lake, cache, q: run_contributions(lake, q, cache=cache)),
    "drill": _of(DrillQuery, lambda lake, cache, q: run_drill(lake, q, cache=cache)),
    "drivers": _of(
        _Drivers, lambda lake, cache, q: run_drivers(lake, q.queries, most=q.most, over=q.over, cache=cache)
    ),
    "explain": _of(_Points, lambda lake, cache, q: explain(lake, q.from_, q.to, cache=cache)),
    "explain-through": _of(_Points, lambda lake, cache, q: explain_through(lake, q.from_, q.to, q.method, cache=cache)),
    "parametric": _of(ParametricQuery, lambda lake, cache, q: run_parametric(lake, q, cache=cache)),
    "pivot": _of(PivotQuery, lambda lake, cache, q: run_pivot(lake, q, cache=cache)),
    "pnl": _of(PnlQuery, lambda lake, cache, q: run_pnl(lake, q, cache=cache)),
    "pnl-explain": _of(PnlExplainRequest, lambda lake, cache, q: pnl_explain(lake, q, cache=cache)),
    "scenario-pnl": _of(RiskQuery, lambda lake, cache, q: run_scenarios(lake, q, cache=cache)),
    "series": _series,
    "table": _of(TableQuery, lambda lake, cache, q: run_table(lake, q, cache=cache)),
    "var": _of(RiskQuery, lambda lake, cache, q: run_query(lake, q, cache=cache)),
    "way_back": _of(_WayBack, lambda lake, cache, q: way_back(lake, q.query, q.request, cache=cache)),
    "what_if": _of(_WhatIf, lambda lake, cache, q: run_what_if(lake, q.query, q.changes, cache=cache)),
}


@dataclass(frozen=True)
class InputState:
    """What became of one input of a receipt: `same`, `changed` since, `missing` or `damaged`; `found` says what there is."""

    input: str
    state: State
    receipt: str
    found: str

    def to_dict(self) -> dict[str, str]:
        return asdict(self)


@dataclass(frozen=True)
class Replay:
    """`verdict`: whether the recomputed answer has the same bits. `inputs`: the state of every input. `why`: what hindered."""

    verdict: Verdict
    kind: str
    result_digest: str
    recomputed_digest: str | None
    inputs: tuple[InputState, ...]
    why: str | None = None

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "inputs": [i.to_dict() for i in self.inputs]}


def read_receipt(path: Path) -> Receipt:
    """The receipt in a file: a receipt by itself, or a whole answer as `--json` and the API give it."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise NotFound(f"The receipt {path} cannot be read: {error.strerror or error}.") from None
    except ValueError as error:
        raise BadInput(
            f"{path} is not JSON: {error}. Give an answer of `varlake var --json`, or its receipt."
        ) from None
    return receipt_of(found, str(path))


def receipt_of(found: Any, where: str = "the body") -> Receipt:
    """The receipt in an answer or a receipt; raises `BadInput` for anything else."""
    receipt = found.get("receipt", found) if isinstance(found, dict) else None
    needed = ("kind", "question", "table_versions", "result_digest", "receipt_digest")
    lacking = [k for k in needed if not isinstance(receipt, dict) or k not in receipt]
    if receipt is None or lacking:
        raise BadInput(
            f"There is no receipt in {where}: {', '.join(lacking or needed)} not found. Give an answer of "
            "`varlake var --json`, or what stands under its key receipt."
        )
    if receipt["kind"] not in REPLAYED:
        raise unknown("kind of receipt", str(receipt["kind"]), REPLAYED)
    return dict(receipt)


def replay(lake: Lake, receipt: Receipt) -> Replay:
    """Asks the receipt's question of the lake at the receipt's table versions; names every input that is not as it was.

    The lake's own files are read, not what queries keep of them.
    """
    states = _inputs(lake, receipt)
    result = {"kind": receipt["kind"], "result_digest": receipt["result_digest"], "inputs": tuple(states)}
    try:
        versions = {str(k): int(v) for k, v in receipt["table_versions"].items() if k in TABLES}
        then = lake.at(versions)
        with fresh_cache(then) as cache:
            again = REPLAYED[receipt["kind"]](then, cache, receipt["question"])
    except (VarlakeError, OSError, pa.ArrowException) as error:
        why = error.message if isinstance(error, VarlakeError) else f"A file of the lake cannot be read: {error}"
        return Replay("not recomputed", recomputed_digest=None, why=why, **result)
    same = again["result_digest"] == receipt["result_digest"]
    return Replay(
        "same bits" if same else "other bits",
        recomputed_digest=again["result_digest"],
        why=None if same else _why(states),
        **result,
    )


def _why(states: list[InputState]) -> str:
    suspects = [s.input for s in states if s.state != "same"]
    if suspects:
        return f"Not as the receipt has it: {', '.join(suspects)}."
    return "Every input is as the receipt has it, and the result is not: please report this as a defect."


def _inputs(lake: Lake, receipt: Receipt) -> list[InputState]:
    told = own_digest(receipt)
    states = [_state("receipt", "damaged", receipt["receipt_digest"], told)]
    for part in _parts(receipt):
        states += [
            _positions(lake, part),
            _valuation_set(lake, part),
            _scenario_set(lake, part),
            _market_data(lake, part),
            _state("code", "changed", _code(part), f"{code_version()} {code_digest()}"),
            _state("pricers", "changed", part["pricer_version"], all_pricers_version()),
            _state("libraries", "changed", _listed(part["libraries"]), _listed(libraries())),
        ]
    return list(dict.fromkeys(states))  # two sides of a comparison share what they share


def _parts(receipt: Any) -> list[Receipt]:
    """The parts of a receipt that name inputs: itself, or the sides of a comparison."""
    if not isinstance(receipt, Mapping):
        return []
    if "valuation_set_digest" in receipt:
        return [receipt]
    return [part for value in receipt.values() for part in _parts(value)]


def _code(part: Receipt) -> str:
    return f"{part['code_version']} {part['code_digest']}"


def _state(name: str, otherwise: State, was: object, now: object) -> InputState:
    """Same where both texts are, else as `otherwise` says."""
    return InputState(name, "same" if str(was) == str(now) else otherwise, str(was), str(now))


def _listed(versions: Mapping[str, str]) -> str:
    return ", ".join(f"{k} {v}" for k, v in sorted(versions.items()))


def _positions(lake: Lake, receipt: Receipt) -> InputState:
    """The files of the book: whether they are there with the bytes they are named by, and still the newest."""
    # a branch is named beside the files it stands on: it is in the tables of branches, at the receipt's version
    date = receipt["positions_date"]
    files = [f for f in receipt["positions_files"] if not f.startswith("branch-")]
    name = f"positions of {date}"
    paths = [lake.path / "positions" / f"positions_date={date}" / f"{f}.parquet" for f in files]
    lacking = [p.stem for p in paths if not p.is_file()]
    if lacking:
        return _state(name, "missing", f"{len(files)} files", f"{len(lacking)} are not there, first {lacking[0]}")
    spoilt = [p.stem for p in paths if _digest_of(p) != p.stem]
    if spoilt:
        return _state(name, "damaged", f"{len(files)} files", f"{len(spoilt)} have other bytes, first {spoilt[0]}")
    now = sorted(p.stem for p in lake.data_files("positions", {"positions_date": [date]}))
    was, found = (f"{len(f)} files {digest(*f)}" for f in (sorted(files), now))
    return _state(name, "changed", was, found)


def _digest_of(file: Path) -> str:
    """What the file should be named."""
    return digest(memoryview(file.read_bytes()))


def _valuation_set(lake: Lake, receipt: Receipt) -> InputState:
    wanted, was = receipt["valuation_set_id"], receipt["valuation_set_digest"]
    name = f"valuation set {wanted}"
    if wanted not in lake.read("valuation_sets", ["valuation_set_id"])["valuation_set_id"].to_pylist():
        return _state(name, "missing", was, "no such sealed set")
    files = lake.data_files("pnl_vectors", {"valuation_date": [receipt["valuation_date"]]})
    spoilt = [f.stem for f in files if _digest_of(f) != f.stem]
    if spoilt:
        return _state(
            name, "damaged", was, f"{len(spoilt)} of its files of vectors have other bytes, first {spoilt[0]}"
        )
    return _state(name, "changed", was, valuation_set_digest(lake, wanted))


def _scenario_set(lake: Lake, receipt: Receipt) -> InputState:
    """The set's id is the digest of all that is in it, so what is stored can be held to it."""
    wanted = receipt["scenario_set_id"]
    name = f"scenario set {receipt['scenario_set_name']}"
    try:
        now = scenario_set_digest(load_scenario_set(lake.snapshot(), wanted))
    except NotFound as error:
        return _state(name, "missing", wanted, error.message)
    except VarlakeError as error:
        return _state(name, "damaged", wanted, error.message)
    return _state(name, "damaged", wanted, now)


def _market_data(lake: Lake, receipt: Receipt) -> InputState:
    """The version the scenarios were read from: whether it is as it was, and whether a later one has other data."""
    version = receipt["market_data_version"]
    was = receipt["market_data_digest"]
    if was is None:
        return _state("market data", "same", "none named", "none named")
    newest = lake.version("market_data")
    if version > newest:
        return _state("market data", "missing", f"version {version}", f"version {newest}")
    now = market_data_digest(lake, version)
    if now != was:
        return _state("market data", "damaged", f"version {version} {was}", f"version {version} {now}")
    latest = market_data_digest(lake, newest)
    return _state(
        "market data",
        "changed",
        f"version {version} {was}",
        f"version {newest} {latest}" if latest != was else f"version {version} {was}",
    )
