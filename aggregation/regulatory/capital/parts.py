"""The parts of the capital report: each the answer of a question that exists, and its contributions on one grid of money."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from aggregation.kernels.sa_ccr import on_grid, split
from aggregation.question import Question, seal
from aggregation.regimes.regimes import Regime, regime_of
from aggregation.regulatory.ba_cva import BA_CVA, BaCvaAnswer
from aggregation.regulatory.capital.query import CapitalQuery, Part
from aggregation.regulatory.credit.parameters import Credit
from aggregation.regulatory.credit.question import CREDIT_RWA, CreditRwa
from aggregation.regulatory.cva_parameters import BaCva, SaCva
from aggregation.regulatory.frtb_sa import FRTB_SA, FrtbSaCapital, run_frtb_sa
from aggregation.regulatory.frtb_sa_parameters import SECTION, FrtbSa
from aggregation.regulatory.sa_ccr.ead import ead_by_netting_set
from aggregation.regulatory.sa_cva import SA_CVA, SaCvaAnswer
from aggregation.session import Session
from lake.errors import BadInput, NotFound, NotValued, counted
from lake.words import sentences
from valuation.types import ValuationSet, failures_in_words

MARKET_RISK: Part = "market"
ALL, TRADES, AGREEMENT, HEDGES = "all", "trades", "agreement", "hedges"
Key = tuple[str | None, ...]  # members of a group, and last which part of it


@dataclass(frozen=True)
class Cell:
    """What a group contributes to a risk. rwa : None where it cannot be computed. ead : of credit risk alone."""

    rwa: float | None
    status: str
    reason: str | None = None
    ead: float | None = None


@dataclass(frozen=True)
class Asked:
    """The question of a part: its name, its rule in words, the query, and how its answer is read."""

    part: Part
    name: str
    rule: str
    question: Question[Any]
    make: Callable[[CapitalQuery], Any]
    read: Callable[[Session, CapitalQuery, Regime, Any], Found]


@dataclass(frozen=True)
class Found:
    """A part that was answered, or that cannot be.

    cells : by group. rwa : their sum, on the grid of money; own_rwa, capital : to the bit as the question says them; None where nothing is
    covered. ratio : capital over RWA. lacking : rows (kind, name, counterparty, reason) of what is in no figure. reason : None of a
    complete part.
    """

    cells: Mapping[Key, Cell]
    rwa: float | None
    own_rwa: float | None
    capital: float | None
    ratio: float
    status: str
    positions: int | None = None
    covered: int | None = None
    lacking: tuple[tuple[str, str | None, str | None, str], ...] = ()
    reason: str | None = None
    notes: tuple[str, ...] = ()
    receipt: Mapping[str, Any] | None = None


def asked_parts(query: CapitalQuery) -> list[Asked]:
    """The questions of the parts that are asked for, credit first."""
    basic = query.cva != "standardised"
    of: dict[Part, Asked] = {
        "credit": Asked(
            "credit", "credit-rwa", f"SA-CCR and {query.credit}", CREDIT_RWA, CapitalQuery.of_credit, _credit
        ),
        "cva": Asked("cva", "ba-cva", f"basic, {query.cva}", BA_CVA, CapitalQuery.of_basic_cva, _basic_cva)
        if basic
        else Asked("cva", "sa-cva", "standardised", SA_CVA, CapitalQuery.of_own_cva, _own_cva),
        "market": Asked("market", "frtb-sa", "FRTB standardised", FRTB_SA, CapitalQuery.of_market, _market),
    }
    return [of[p] for p in of if p in query.parts]


def answered(session: Session, query: CapitalQuery, asked: Asked, moves: ValuationSet | None = None) -> Found:
    """The part; where it cannot be computed, with the reason. Raises `NotValued` where a valuation is missing.

    moves : for market risk in a market that is not stored, the valuation under the moves of the rules there.
    """
    try:
        own = asked.make(query)
        answer = asked.question.answer(session, own) if moves is None else run_frtb_sa(session, own, moves)
        regime = regime_of(query.regime, query.as_of, session.cache.lake)
        found = asked.read(session, query, regime, answer)
    except NotValued:
        raise
    except (BadInput, NotFound) as error:
        return Found({}, None, None, None, 0.0, "invalid", reason=error.message)
    receipt = seal(answer, asked.name, own, (), session.lake.reader).receipt
    return dataclasses.replace(found, notes=answer.notes, receipt=receipt)


def _credit(session: Session, query: CapitalQuery, regime: Regime, answer: CreditRwa) -> Found:
    ratio = regime.section("credit", Credit).capital_ratio
    lacking: list[tuple[str, str | None, str | None, str]] = []
    by_set: list[tuple[Mapping[str, Any], str]] = []
    for row in answer.netting_sets.to_pylist():
        if row["reason"] is not None:
            by_set.append((row, row["reason"]))
            lacking.append((_kind(row), row["netting_set"], row["counterparty"], row["reason"]))
    for failure, n in ead_by_netting_set(session, query.sa_ccr()).failures:
        lacking.append(
            ("contract", failure.contract_id, None, failures_in_words([(failure.reason, failure.message, n)]))
        )
    cells = {}
    for row in answer.rows.to_pylist():
        reason = None
        if row["status"] != "complete":
            told = [] if query.finer else [r for s, r in by_set if all(s[b] == row[b] for b in query.by)]
            without = row["positions"] - row["covered"]
            reason = _sentence(told) or f"{without:,} of {counted(row['positions'], 'position')} have no RWA."
        invalid = row["status"] == "invalid"
        cells[_key(query, row)] = Cell(None if invalid else row["rwa"], row["status"], reason, row["ead"])
    total, coverage = answer.total, answer.coverage
    return _found(
        cells,
        None if coverage.status == "invalid" else total["rwa"],
        total["capital"],
        ratio,
        coverage.status,
        (coverage.positions, coverage.covered),
        tuple(lacking),
    )


def _basic_cva(session: Session, query: CapitalQuery, regime: Regime, answer: BaCvaAnswer) -> Found:
    factor = regime.section("ba_cva", BaCva).rwa_factor
    lacking = [
        (_kind(r), r["netting_set"], r["counterparty"], r["reason"])
        for r in answer.sets.to_pylist()
        if r["reason"] is not None
    ]
    lacking += [
        ("contract", f.contract_id, None, failures_in_words([(f.reason, f.message, 1)])) for f in answer.failures
    ]
    cells = {}
    for row in answer.rows.to_pylist():
        told = row["reason"] or (None if row["status"] == "complete" else "Some of its trades have no exposure.")
        cells[_key(query, row)] = Cell(row["rwa"], row["status"], told)
    total = answer.total
    if total["of_hedges"] is not None:
        _hedges(cells, query, factor * total["of_hedges"])
    rwa = None if total["status"] == "invalid" and total["netting_sets"] else total["rwa"]
    status = "complete" if not total["netting_sets"] else total["status"]
    return _found(cells, rwa, total["capital"], 1.0 / factor, status, lacking=tuple(lacking))


def _own_cva(session: Session, query: CapitalQuery, regime: Regime, answer: SaCvaAnswer) -> Found:
    factor = regime.section("sa_cva", SaCva).rwa_factor
    cells = {}
    for row in answer.rows.to_pylist():
        part = AGREEMENT if row["part"] == "collateral" else TRADES if query.finer else ALL
        rwa = None if row["capital"] is None else factor * row["capital"]
        told = row["reason"] or (None if row["status"] == "complete" else "Some of its trades have no exposure.")
        cells[(*(row.get(b) for b in query.by), part)] = Cell(rwa, row["status"], told)
    if answer.total["of_hedges"] is not None:
        _hedges(cells, query, factor * answer.total["of_hedges"])
    total, without = answer.total, [n for n in answer.notes if "no CVA" in n or "left out" in n]
    made = _found(cells, total["rwa"], total["capital"], 1.0 / factor, total["status"])
    if made.reason is None:
        return made
    return dataclasses.replace(made, reason=_sentence(without) or "Some trades or netting sets have no CVA.")


def _market(session: Session, query: CapitalQuery, regime: Regime, answer: FrtbSaCapital) -> Found:
    ratio = 1.0 / regime.section(SECTION, FrtbSa).rwa_multiplier
    cells = {}
    for row in answer.rows.to_pylist():
        without = row["positions"] - row["covered"]
        told = f"{without:,} of {counted(row['positions'], 'position')} have no sensitivities." if without else None
        cells[(*(row[b] for b in query.by), TRADES if query.finer else ALL)] = Cell(row["rwa"], row["status"], told)
    coverage, status = answer.coverage, answer.coverage.status
    lacking = []
    if n := answer.total["in_part"]:
        told = next((note for note in answer.notes if note.startswith("Partial")), "")
        lacking.append(("positions", str(n), None, told))
    total = answer.total
    return _found(
        cells, total["rwa"], total["capital"], ratio, status, (coverage.positions, coverage.covered), tuple(lacking)
    )


def _kind(row: Mapping[str, Any]) -> str:
    """A netting set without exposure, such as one whose trades have all failed or matured, lacks nothing by itself."""
    return "netting_set" if row["ead"] else "empty_netting_set"


def run_off(found: Found) -> Found:
    """The part where all that is in no figure has matured: what is gone is no hole, and where nothing is left it is zero."""
    if any(kind not in ("contract", "empty_netting_set") for kind, *_ in found.lacking) or found.receipt is None:
        return found
    cells = {
        k: dataclasses.replace(c, rwa=c.rwa or 0.0, status="complete", reason=None) for k, c in found.cells.items()
    }
    zero: dict[str, Any] = {"rwa": 0.0, "own_rwa": 0.0, "capital": 0.0} if found.rwa is None else {}
    return dataclasses.replace(found, cells=cells, status="complete", reason=None, **zero)


def _key(query: CapitalQuery, row: Mapping[str, Any]) -> Key:
    return (*(row[b] for b in query.by), row.get("part", ALL))


def _hedges(cells: dict[Key, Cell], query: CapitalQuery, rwa: float) -> None:
    """Hedges of CVA are of no position: a row of their own."""
    if rwa:
        cells[(*([None] * len(query.by)), HEDGES)] = Cell(rwa, "complete")


def _found(
    cells: Mapping[Key, Cell],
    own_rwa: float | None,
    capital: float,
    ratio: float,
    status: str,
    counts: tuple[int | None, int | None] = (None, None),
    lacking: tuple[tuple[str, str | None, str | None, str], ...] = (),
) -> Found:
    """The cells rounded to the grid of money, so that they add up to the RWA of the part as rounded, in any order."""
    if own_rwa is None:
        cells, rwa = {k: dataclasses.replace(c, rwa=None) for k, c in cells.items()}, None
    else:
        keys = [k for k in sorted(cells, key=sort_key) if cells[k].rwa is not None]
        amounts = np.array([cells[k].rwa for k in keys], dtype=np.float64)
        whole = on_grid(np.array([own_rwa]))
        parts, _ = split(amounts, np.array([0, len(keys)], dtype=np.int64), whole)
        rounded = dict(zip(keys, parts.tolist(), strict=True))
        cells = {k: dataclasses.replace(c, rwa=rounded.get(k)) for k, c in cells.items()}
        rwa = float(whole[0])
    positions, covered = counts
    reason = None
    if status not in ("complete", "with substitutes"):
        reason = _sentence([why for *_, why in lacking])
        if reason is None and positions is not None and covered is not None:
            reason = f"{positions - covered:,} of {counted(positions, 'position')} are in no figure."
        reason = reason or "Some of it cannot be computed."
    no = own_rwa is None
    return Found(
        cells, rwa, own_rwa, None if no else capital, ratio, status, positions, covered, tuple(lacking), reason
    )


def sort_key(key: Key) -> tuple[tuple[bool, str], ...]:
    """Groups in the order of their members, nulls last."""
    return tuple((v is None, v or "") for v in key)


def _sentence(reasons: list[str]) -> str | None:
    return sentences(reasons, 3) or None


def lacking_table(found: Mapping[str, Found]) -> pa.Table:
    """A row for everything that is in no figure: risk, kind, name, counterparty, reason."""
    rows = [(p, *row) for p, f in found.items() for row in f.lacking]
    rows += [(p, "part", None, None, f.reason) for p, f in found.items() if f.receipt is None and f.reason]
    names = ("risk", "kind", "name", "counterparty", "reason")
    return pa.table({n: pa.array([r[i] for r in rows], pa.string()) for i, n in enumerate(names)})
