"""Covariance matrices of other systems: square, or long with a row a pair, as covariances or as correlations and volatilities."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from lake.arrays import Floats
from lake.committer import Committer
from lake.errors import BadInput, Issue, NotFound, counted, nearest, unknown
from lake.landing.delimited import TextRow, read_delimited
from lake.landing.numbers import doubles
from lake.landing.rows import refuse
from lake.schemas import COVARIANCES
from lake.tables import Lake, Snapshot
from scenarios.kernels.covariance import least_eigenvalue, nearest_correlation

Unit = Literal["1", "percent", "bp", "bump"]
Moves = Literal["absolute", "relative"]

UNITS: Mapping[str, float] = {"1": 1.0, "percent": 1e-2, "bp": 1e-4, "bump": 1.0}
BUMP = "bump"
MOST_FACTORS = 3_000
_SYMMETRIC = 1e-9  # of the product of two deviations: what rounding of a file may differ by
_ROUNDING = 1e-9  # of an eigenvalue, for each factor
_VALUES = ("covariance", "correlation")
_VOLATILITY = ("factor", "volatility", "unit", "move")


@dataclass(frozen=True)
class StoredCovariance:
    """covariance : (n, n) of moves of the `factors`, in their `unit` squared. moves : how each is measured, None where not said."""

    name: str
    factors: tuple[str, ...]
    moves: tuple[str | None, ...]
    covariance: Floats
    unit: str
    horizon_days: int
    least_eigenvalue: float
    repaired: float | None
    file: str


@dataclass(frozen=True)
class CovarianceReport:
    """What became of a file: its factors, the least eigenvalue of its correlations, and the largest change of one where it was repaired."""

    path: str
    name: str
    factors: int
    horizon_days: int
    unit: str
    least_eigenvalue: float
    repaired: float | None
    version: int
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self)


def ingest_covariance(
    committer: Committer,
    path: str | Path,
    *,
    name: str,
    horizon_days: int,
    unit: Unit,
    moves: Moves | None = None,
    volatilities: str | None = None,
    absent_are_zero: bool = False,
    repair: bool = False,
) -> CovarianceReport:
    """Brings in a matrix under a name; one of that name is replaced.

    unit : of the moves: 1 (fractions, or the factor's own unit), percent, bp, or bump, the bumps of the sensitivities. volatilities : file
    with the columns factor, volatility and, where they differ, unit and move, beside a matrix of correlations. absent_are_zero : pairs
    that a long file leaves out do not move together. Raises `BadInput` with every fault, and for a matrix with a negative eigenvalue that
    `repair` was not asked for.
    """
    path = Path(path)
    factors, matrix, correlated = _read(path, absent_are_zero)
    units = dict.fromkeys(factors, UNITS[unit])
    how: dict[str, str | None] = dict.fromkeys(factors, moves)
    if correlated != (volatilities is not None):
        raise BadInput(
            f"{path.name} holds correlations: give the volatilities of its factors in a file with the columns factor, volatility."
            if correlated
            else f"{path.name} holds covariances, which have no volatilities beside them. Call its column correlation if it holds these."
        )
    if volatilities is not None:
        deviation = _volatilities(Path(volatilities), factors, units, how)
        matrix = matrix * deviation[:, None] * deviation
    scale = np.array([units[f] for f in factors])
    matrix = matrix * scale[:, None] * scale
    _check(path, factors, matrix)
    matrix = (matrix + matrix.T) / 2
    deviation = np.sqrt(np.diagonal(matrix))
    inverse = np.divide(1.0, deviation, out=np.zeros(len(deviation)), where=deviation > 0.0)
    correlation = matrix * inverse[:, None] * inverse
    np.fill_diagonal(correlation, 1.0)
    least, change, notes = least_eigenvalue(correlation), None, []
    if least < -_ROUNDING * len(factors):
        if not repair:
            raise BadInput(
                f"{path.name} is no covariance of anything: its correlations have the eigenvalue {least:.3g}, so that some mix of the "
                "factors would have a negative variance. Mend it where it is made; with repair the nearest matrix that is one (Higham, "
                "2002) is loaded in its place, and every answer says so."
            )
        nearest_one = nearest_correlation(correlation)
        change = float(np.abs(nearest_one - correlation).max())
        matrix = nearest_one * deviation[:, None] * deviation
        notes.append(f"Repaired: the nearest correlations were taken, of which none changed by more than {change:.3g}.")
    if still := [f for f, d in zip(factors, deviation, strict=True) if d == 0.0]:
        notes.append(f"{counted(len(still), 'factor does', 'factors do')} not move at all, first {still[0]}.")
    stored = StoredCovariance(
        name,
        tuple(factors),
        tuple(how[f] for f in factors),
        matrix,
        BUMP if unit == BUMP else "1",
        horizon_days,
        least,
        change,
        path.name,
    )
    return put_covariance(committer, stored, str(path), unit, notes)


def put_covariance(
    committer: Committer, matrix: StoredCovariance, path: str, unit: str, notes: Sequence[str]
) -> CovarianceReport:
    """Stores a matrix under its name, in place of one of that name; path, unit : as the report has them."""
    common = {c: getattr(matrix, c) for c in ("name", "unit", "horizon_days", "least_eigenvalue", "repaired", "file")}
    rows = [
        {**common, "place": i, "factor": f, "move": move, "covariance": matrix.covariance[i].tolist()}
        for i, (f, move) in enumerate(zip(matrix.factors, matrix.moves, strict=True))
    ]
    version = committer.put("covariances", pa.Table.from_pylist(rows, schema=COVARIANCES.schema), replace=True)
    least, change = matrix.least_eigenvalue, matrix.repaired
    n = len(matrix.factors)
    return CovarianceReport(path, matrix.name, n, matrix.horizon_days, unit, least, change, version, tuple(notes))


def load_covariance(at: Lake | Snapshot, name: str) -> StoredCovariance:
    """The matrix of that name; raises `NotFound` with the nearest names."""
    rows = sorted(at.read("covariances", among={"name": [name]}).to_pylist(), key=lambda r: int(r["place"]))
    if not rows:
        there = set(at.read("covariances", ["name"])["name"].to_pylist())
        raise unknown("covariance", name, there, pointer="covariance", error=NotFound)
    first = rows[0]
    return StoredCovariance(
        name,
        tuple(r["factor"] for r in rows),
        tuple(r["move"] for r in rows),
        np.array([r["covariance"] for r in rows], dtype=np.float64),
        first["unit"],
        first["horizon_days"],
        first["least_eigenvalue"],
        first["repaired"],
        first["file"],
    )


def _plain(name: str) -> str:
    return re.sub(r"[\s_]", "", name).lower()


def _read(path: Path, absent_are_zero: bool) -> tuple[list[str], Floats, bool]:
    """Factors, matrix as the file has it, and whether it is of correlations."""
    names, lines = read_delimited(path, "file of covariances")
    plain = {_plain(n): n for n in names}
    if {"factor1", "factor2"} <= plain.keys():
        return _long(path, plain, lines, absent_are_zero)
    return _square(path, names, lines)


def _square(path: Path, names: Sequence[str], lines: Sequence[tuple[int, TextRow]]) -> tuple[list[str], Floats, bool]:
    corner, *factors = names
    _limit(path, len(factors))
    if _plain(corner) not in ("", "factor", "riskfactor", *_VALUES):
        raise BadInput(
            f"{path.name} begins with the column {corner!r}; expected factor, covariance or correlation above the names of the rows, and a "
            "column a factor, or the columns factor_1, factor_2 and covariance or correlation."
        )
    issues, order, texts = [], [], []
    for number, cells in lines:
        row = cells.get(corner, "")
        if row not in factors:
            issues.append(Issue(f"line {number}", "a row that no column is named as", row, nearest(row, factors)))
        elif row in order:
            issues.append(Issue(f"line {number}", "the factor has a row already", row))
        order.append(row)
        texts.append([cells.get(f, "") for f in factors])
    issues += [Issue(f, "a column that no row is named as", f) for f in factors if f not in order]
    refuse(path.name, issues)
    values = doubles(pa.array([t for row in texts for t in row], pa.string())).to_pylist()
    matrix = np.array([np.nan if v is None else v for v in values]).reshape(len(order), len(factors))
    refuse(
        path.name,
        [
            Issue(f"line {lines[i][0]}, {factors[j]}", "expected a number", texts[i][j])
            for i, j in np.argwhere(~np.isfinite(matrix)).tolist()
        ],
    )
    place = {f: i for i, f in enumerate(order)}
    return factors, matrix[[place[f] for f in factors]], _plain(corner) == "correlation"


def _long(
    path: Path, plain: Mapping[str, str], lines: Sequence[tuple[int, TextRow]], absent_are_zero: bool
) -> tuple[list[str], Floats, bool]:
    what = [n for n in (*_VALUES, "value") if n in plain]
    if len(what) != 1 or len(plain) != 3:
        raise BadInput(
            f"{path.name} has the columns {', '.join(plain.values())}; expected factor_1, factor_2 and one of covariance, correlation."
        )
    one, two, value = plain["factor1"], plain["factor2"], plain[what[0]]
    factors = list(dict.fromkeys(cells[c] for _, cells in lines for c in (one, two) if c in cells))
    _limit(path, len(factors))
    place = {f: i for i, f in enumerate(factors)}
    matrix, issues = np.full((len(factors),) * 2, np.nan), []
    said: dict[tuple[int, int], int] = {}
    numbers = doubles(pa.array([cells.get(value) for _, cells in lines], pa.string())).to_pylist()
    for (number, cells), x in zip(lines, numbers, strict=True):
        if x is None or one not in cells or two not in cells:
            issues.append(Issue(f"line {number}", "expected two factors and a number", cells.get(value)))
            continue
        i, j = place[cells[one]], place[cells[two]]
        if (i, j) in said:
            issues.append(
                Issue(f"line {number}", f"the pair stands in line {said[i, j]} already", f"{cells[one]}, {cells[two]}")
            )
        said[i, j] = number
        matrix[i, j] = x
    if what[0] == "correlation":
        np.fill_diagonal(matrix, np.where(np.isnan(np.diagonal(matrix)), 1.0, np.diagonal(matrix)))
    matrix = np.where(np.isnan(matrix), matrix.T, matrix)  # one of the two halves is enough
    absent = [(i, j) for i, j in np.argwhere(np.isnan(matrix)).tolist() if i <= j]
    if alone := [f for f, i in place.items() if (i, i) in absent]:
        issues.append(Issue(alone[0], f"{counted(len(alone), 'factor has', 'factors have')} no variance"))
    elif absent and not absent_are_zero:
        i, j = absent[0]
        issues.append(
            Issue(
                f"{factors[i]}, {factors[j]}",
                f"{counted(len(absent), 'pair is', 'pairs are')} not in the file; where that means zero, say so with --absent-are-zero",
            )
        )
    refuse(path.name, issues)
    return factors, np.nan_to_num(matrix, nan=0.0), what[0] == "correlation"


def _limit(path: Path, n: int) -> None:
    if n > MOST_FACTORS:
        raise BadInput(f"{path.name} has {n:,} factors; a covariance of at most {MOST_FACTORS:,} is read.")


def _volatilities(path: Path, factors: Sequence[str], units: dict[str, float], how: dict[str, str | None]) -> Floats:
    """The deviation of each factor as the file has it; enters its unit and kind of move where the file says them."""
    names, lines = read_delimited(path, "file of volatilities")
    issues = [i for n in names if n not in _VOLATILITY for i in unknown("column", n, _VOLATILITY, pointer=n).issues]
    refuse(path.name, issues)
    found: dict[str, float] = {}
    numbers = doubles(pa.array([cells.get("volatility") for _, cells in lines], pa.string())).to_pylist()
    for (number, cells), x in zip(lines, numbers, strict=True):
        factor, unit, move = cells.get("factor", ""), cells.get("unit"), cells.get("move")
        if factor not in units:
            issues.append(Issue(f"line {number}", "no factor of the correlations", factor, nearest(factor, units)))
        elif factor in found:
            issues.append(Issue(f"line {number}", "the factor has a volatility already", factor))
        elif x is None or x < 0.0:
            issues.append(
                Issue(f"line {number}", "expected a volatility that is not negative", cells.get("volatility"))
            )
        elif unit not in (None, "1", "percent", "bp"):
            issues.append(Issue(f"line {number}", "expected the unit 1, percent or bp", unit))
        elif move not in (None, "absolute", "relative"):
            issues.append(Issue(f"line {number}", "expected the move absolute or relative", move))
        else:
            found[factor] = x
            units[factor] = UNITS[unit] if unit is not None else units[factor]
            how[factor] = move if move is not None else how[factor]
    issues += [Issue(f, "has no volatility") for f in factors if f not in found and not issues]
    refuse(path.name, issues)
    return np.array([found[f] for f in factors])


def _check(path: Path, factors: Sequence[str], matrix: Floats) -> None:
    variance = np.diagonal(matrix)
    issues = [
        Issue(factors[i], "has a negative variance", f"{variance[i]:g}")
        for i in np.flatnonzero(variance < 0.0).tolist()
    ]
    refuse(path.name, issues)
    size = np.sqrt(variance[:, None] * variance)
    for i, j in np.argwhere(np.abs(matrix - matrix.T) > _SYMMETRIC * size).tolist():
        if i < j:
            told = f"{matrix[i, j]:g} and, the other way round, {matrix[j, i]:g}"
            issues.append(Issue(f"{factors[i]}, {factors[j]}", "is not symmetric", told))
    for i, j in np.argwhere(np.abs(matrix) > size * (1 + _SYMMETRIC)).tolist():
        if i < j:
            told = f"{matrix[i, j]:g} beside variances of {variance[i]:g} and {variance[j]:g}"
            issues.append(Issue(f"{factors[i]}, {factors[j]}", "is a correlation beyond 1", told))
    refuse(path.name, issues)
