"""First and second derivatives of groups of positions to the moves of risk factors, with the covariance of these moves.

They are the book's own, from stored bumps, or those of other systems that were brought in. The moves are those of a scenario set, or of a
covariance matrix that was brought in; whatever of the sensitivities they do not know is listed, with the reason, and in no figure.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from aggregation.book.book import Book, PositionColumn, encode, nearest_dates
from aggregation.book.filters import select
from aggregation.book.hierarchies import with_levels
from aggregation.contributions import sensitivities
from aggregation.contributions.sensitivities import Bumped, Gamma
from aggregation.dimensions import ATTRIBUTE, DIMENSIONS
from aggregation.reduce.grouping import Groups, group_by
from aggregation.types import Filter
from lake.arrays import Codes, Floats, Ints
from lake.canonical import canonical_json, digest
from lake.errors import NotFound, unknown
from lake.tables import NEVER_WRITTEN, Lake, Snapshot
from scenarios.market.covariances import BUMP, StoredCovariance
from scenarios.market.history import load_factors
from scenarios.types import FactorIndex, RiskFactor, ScenarioSet
from valuation.books.sensitivities import BY_TABLE, TABLES
from valuation.books.sensitivity_layouts import ABSOLUTE, CROSS_GAMMA, DELTA, GAMMA, RELATIVE, VEGA

SOURCE = f"{ATTRIBUTE}source"  # which system a sensitivity came from, as a dimension
_UNUSED = pa.schema(
    [
        *((c, pa.string()) for c in ("source", "factor", "kind")),
        ("rows", pa.int64()),
        ("amount", pa.float64()),
        ("currency", pa.string()),
        ("share", pa.float64()),
        ("reason", pa.string()),
    ]
)


@dataclass(frozen=True)
class Named:
    """A risk factor whose moves are known. move : absolute or relative; where a matrix does not say, as the sensitivities are bumped."""

    name: str
    risk_class: str | None
    move: str


@dataclass(frozen=True)
class Exposures:
    """delta : (n_groups, n_factors) gain per unit of the move. Second derivatives are entries: group, the two factors (a pair of
    different ones stands both ways), value; gamma : those of all groups together, (n_factors, n_factors). sigma : (n_factors,
    n_factors) covariance of the moves. unused : a row a source, factor, kind and currency that is in no figure, with its share of the
    amounts of its kind; the largest first.
    """

    factors: tuple[Named, ...]
    delta: Floats
    group: Ints
    first: Ints
    second: Ints
    value: Floats
    gamma: Floats
    sigma: Floats
    unused: pa.Table = field(default_factory=_UNUSED.empty_table)


@dataclass(frozen=True)
class Target:
    """A factor of the moves that a sensitivity is to: its number, and the derivative there for an amount of one."""

    column: int
    weight: float


class Unknown(Exception):
    """Why a sensitivity is to no move that is known."""


class Moves(Protocol):
    """The moves of risk factors, and what of them a factor of a source is."""

    factors: list[Named]
    index: FactorIndex
    base: Floats

    def find(self, key: BumpedFactor, mapped: Sequence[Mapping[str, Any]]) -> list[Target]:
        """Raises `Unknown` with the reason."""
        ...

    def covariance(self) -> Floats:
        """(n_factors, n_factors), of `factors` as they are by then."""
        ...


@dataclass(frozen=True)
class BumpedFactor:
    """A factor of a source as it was bumped there."""

    source: str
    factor: str
    move: str
    bump: float | None
    risk_class: str | None


class MatrixMoves:
    """The moves of a matrix that was brought in."""

    def __init__(self, stored: StoredCovariance, index: FactorIndex, base: Floats) -> None:
        self.stored, self.index, self.base = stored, index, base
        self.factors: list[Named] = []
        self._place = {f: i for i, f in enumerate(stored.factors)}
        self._column: dict[str, int] = {}
        self._first: dict[str, BumpedFactor] = {}

    def find(self, key: BumpedFactor, mapped: Sequence[Mapping[str, Any]]) -> list[Target]:
        named = f"the covariance {self.stored.name}"
        if key.factor in self._place:
            wanted = [(key.factor, 1.0)]
        else:
            if any(m["risk_factor_id"] is None for m in mapped):
                raise Unknown(f"{named} has no factor of this name, and {mapped[0]['rule']}")
            wanted = [(str(m["risk_factor_id"]), float(m["weight"])) for m in mapped]
            if lacking := [i for i, _ in wanted if i not in self._place]:
                raise Unknown(f"{named} has neither it nor {lacking[0]}")
            if any(m["inverse"] for m in mapped) or _is_cross(mapped):
                raise Unknown(
                    f"it is {mapped[0]['rule'].removeprefix('rule: ')}; map it with a table to moves that {named} has"
                )
        for factor, _ in wanted:
            how = self.stored.moves[self._place[factor]]
            if how not in (None, key.move):
                raise Unknown(f"its bump is {key.move}, and {named} is of {how} moves of {factor}")
        in_bumps = self.stored.unit == BUMP
        for factor, _ in wanted:
            # what a matrix leaves open is the same for all sensitivities to a factor, or they cannot be added
            first = self._first.setdefault(factor, key)
            if first.move != key.move:
                raise Unknown(
                    f"its bump is {key.move}, others of {factor} are {first.move}: say how {named} measures moves"
                )
            if in_bumps and first.bump != key.bump:
                raise Unknown(
                    f"its bump is {key.bump}, others of {factor} are of {first.bump}, and {named} is in units of one bump"
                )
        if key.bump is None and not in_bumps:
            raise Unknown("its file does not show the size of its bump, and the covariance is not in units of bumps")
        size = 1.0 if in_bumps or key.bump is None else key.bump
        return [Target(self._add(f, key), w / size) for f, w in wanted]

    def _add(self, factor: str, key: BumpedFactor) -> int:
        if factor not in self._column:
            self._column[factor] = len(self.factors)
            how = self.stored.moves[self._place[factor]] or key.move
            own = self.index.row.get(factor)
            risk_class = self.index.factors[own].risk_class.value if own is not None else key.risk_class
            self.factors.append(Named(factor, risk_class, how))
        return self._column[factor]

    def covariance(self) -> Floats:
        rows = [self._place[f.name] for f in self.factors]
        return np.ascontiguousarray(self.stored.covariance[np.ix_(rows, rows)])


class ScenarioMoves:
    """The moves of a scenario set, absolute or relative as the sensitivities were bumped."""

    def __init__(self, scenario_set: ScenarioSet, *, zero_mean: bool) -> None:
        self.set, self.index, self.base = scenario_set, scenario_set.index, scenario_set.base
        self.factors: list[Named] = []
        self._zero_mean = zero_mean
        self._column: dict[tuple[str, str, bool], int] = {}

    def find(self, key: BumpedFactor, mapped: Sequence[Mapping[str, Any]]) -> list[Target]:
        named = f"scenario set {self.set.name}"
        for m in mapped:
            if m["risk_factor_id"] is None:
                raise Unknown(str(m["rule"]))
            row = self.index.row.get(m["risk_factor_id"])
            if row is None:
                raise Unknown(f"{named} has no {m['risk_factor_id']}")
            if not self.set.shocked[row]:
                raise Unknown(f"{named} does not move {m['risk_factor_id']}")
        if key.bump is None:
            raise Unknown("its file does not show the size of its bump")
        if key.move == ABSOLUTE and _is_cross(mapped):
            raise Unknown("it is a cross rate, whose absolute moves are no sum of those of the rates that are there")
        return [Target(self._add(m, key), float(m["weight"]) / key.bump) for m in mapped]

    def _add(self, mapped: Mapping[str, Any], key: BumpedFactor) -> int:
        wanted = (str(mapped["risk_factor_id"]), key.move, bool(mapped["inverse"]))
        if wanted not in self._column:
            self._column[wanted] = len(self.factors)
            factor = self.index.factors[self.index.row[wanted[0]]]
            name = f"1 / {wanted[0]}" if wanted[2] else wanted[0]
            self.factors.append(Named(name, factor.risk_class.value, key.move))
        return self._column[wanted]

    def covariance(self) -> Floats:
        moves = np.empty((len(self.factors), self.set.n_scenarios))
        for (factor, move, inverse), i in self._column.items():
            row = self.index.row[factor]
            level, base = np.asarray(self.set.levels[row]), self.base[row]
            if inverse:
                level, base = 1.0 / level, 1.0 / base
            moves[i] = level - base if move == ABSOLUTE else level / base - 1.0
        return sensitivities.covariance(moves, self.set.weights, zero_mean=self._zero_mean)


def _is_cross(mapped: Sequence[Mapping[str, Any]]) -> bool:
    """Whether it is an exchange rate that is a product of two."""
    return len(mapped) > 1 and mapped[0]["rule"] != BY_TABLE


def own_exposures(
    bumped: Bumped, gamma: Gamma, scenario_set: ScenarioSet, shocked: Collection[str], *, zero_mean: bool
) -> tuple[Exposures, Floats]:
    """Those of the book from stored bumps, to the factors that move in the scenarios and belong to the `shocked` risk classes; and
    the base value of each group, (n_groups,)."""
    index, n_groups = bumped.scenarios.index, bumped.selection.groups.n
    unit = np.array(
        [
            1.0 if sensitivities.moves_absolutely(f) else b
            for f, b in zip(index.factors, bumped.scenarios.base, strict=True)
        ]
    )
    there = np.zeros(len(unit), np.bool_)
    for place, f in enumerate(index.factors):
        row = scenario_set.index.row.get(f.risk_factor_id)
        there[place] = row is not None and scenario_set.shocked[row] and f.risk_class.value in shocked
    i, j = bumped.pairs.T
    base, delta = np.empty(n_groups + 1), np.zeros((n_groups + 1, len(unit)))
    entries: list[tuple[Ints, Ints, Ints, Floats]] = []
    for start, found in bumped.portions(0, n_groups + 1):
        rows = slice(start, start + len(found.base))
        base[rows] = found.base
        delta[rows] = found.first * unit
        second, cross = found.second * unit**2, found.cross * unit[i] * unit[j]
        for values, one, two in ((second, np.arange(len(unit)), np.arange(len(unit))), (cross, i, j), (cross, j, i)):
            if gamma == "none":
                continue
            group, entry = np.nonzero(values)  # most trades depend on few factors
            entries.append((group + start, one[entry], two[entry], values[group, entry]))
    group, one, two, value = (np.concatenate(part) for part in zip(*entries, strict=True)) if entries else _NO_ENTRIES
    moved = np.logical_or.reduce(delta != 0.0, axis=0)
    moved[np.concatenate([one, two])] = True
    kept = np.flatnonzero(moved & there)
    column = np.full(len(unit), -1)
    column[kept] = np.arange(len(kept))
    inside = (column[one] >= 0) & (column[two] >= 0)
    group, one, two, value = group[inside], column[one[inside]], column[two[inside]], value[inside]
    whole, factors = group == n_groups, [index.factors[k] for k in kept.tolist()]
    total = np.zeros((len(kept), len(kept)))
    total[one[whole], two[whole]] = value[whole]
    moves = sensitivities.scenario_moves(
        scenario_set, factors, [scenario_set.index.row[f.risk_factor_id] for f in factors]
    )
    sigma = sensitivities.covariance(moves, scenario_set.weights, zero_mean=zero_mean)
    named = tuple(Named(f.risk_factor_id, f.risk_class.value, move_of(f)) for f in factors)
    of_groups = ~whole
    exposures = Exposures(
        named, delta[:n_groups, kept], group[of_groups], one[of_groups], two[of_groups], value[of_groups], total, sigma
    )
    return exposures, base[:n_groups]


_NO_ENTRIES = (np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))


def move_of(factor: RiskFactor) -> str:
    """How its moves are measured."""
    return ABSOLUTE if sensitivities.moves_absolutely(factor) else RELATIVE


def own_under_matrix(exposures: Exposures, moves: MatrixMoves) -> Exposures:
    """The book's own under a matrix that was brought in: what that does not know is unused."""
    column, unused = np.full(len(exposures.factors), -1), []
    size = np.abs(exposures.delta).sum(axis=0)
    for i, factor in enumerate(exposures.factors):
        key = BumpedFactor("own", factor.name, factor.move, 1.0, factor.risk_class)
        mapped = {"risk_factor_id": None, "rule": "the book has it by this name alone", "weight": 1.0, "inverse": False}
        try:
            if moves.stored.unit == BUMP:
                raise Unknown("the covariance is in units of another system's bumps")
            column[i] = moves.find(key, [mapped])[0].column
        except Unknown as reason:
            unused.append(
                _unused("own", factor.name, DELTA, 1, size[i], None, size[i] / size.sum() if size[i] else 0.0, reason)
            )
    kept = np.flatnonzero(column >= 0)
    delta = np.zeros((len(exposures.delta), len(moves.factors)))
    delta[:, column[kept]] = exposures.delta[:, kept]
    both = (column[exposures.first] >= 0) & (column[exposures.second] >= 0)
    gamma = np.zeros((len(moves.factors),) * 2)
    gamma[np.ix_(column[kept], column[kept])] = exposures.gamma[np.ix_(kept, kept)]
    return Exposures(
        tuple(moves.factors),
        delta,
        exposures.group[both],
        column[exposures.first[both]],
        column[exposures.second[both]],
        exposures.value[both],
        gamma,
        moves.covariance(),
        _table(unused),
    )


def _unused(
    source: str,
    factor: str,
    kind: str,
    rows: int,
    amount: float,
    currency: str | None,
    share: float | None,
    reason: object,
) -> dict[str, Any]:
    values = (source, factor, kind, rows, float(amount), currency, share, str(reason))
    return dict(zip(_UNUSED.names, values, strict=True))


def _table(rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    ordered = sorted(rows, key=lambda r: (-(r["share"] or 0.0), r["source"], r["factor"], r["kind"]))
    return pa.Table.from_pylist(ordered, schema=_UNUSED)


@dataclass(frozen=True)
class Nodes:
    """Sensitivities of other systems on a day, as they are stored, and the nodes they are of: a position each, of quantity 1.

    rows : the table, in the order of source, file, line and kind. node : (n_rows,) position in the `book` of each.
    """

    rows: pa.Table
    node: Codes
    book: Book


def read_nodes(snapshot: Snapshot, sources: Sequence[str], day: dt.date) -> Nodes:
    """The sensitivities of these sources; raises `NotFound` with the nearest names or days."""
    rows = snapshot.read("sensitivities", among={"as_of_date": [day]})
    there = set(rows["source"].to_pylist())
    for source in sources:
        if source not in there:
            pairs = snapshot.read("sensitivities", ["as_of_date", "source"])
            dates = set(pairs.filter(pc.equal(pairs["source"], source))["as_of_date"].to_pylist())
            if not dates:
                every = set(pairs["source"].to_pylist())
                raise unknown("source of sensitivities", source, every, pointer="sensitivities", error=NotFound)
            raise NotFound(f"No sensitivities of {source} on {day}. {nearest_dates(day, dates, 'with some')}")
    rows = rows.filter(pc.is_in(rows["source"], pa.array(list(sources))))
    rows = rows.sort_by([(c, "ascending") for c in ("source", "file", "line", "kind")]).combine_chunks()
    encoded = {name: encode(rows[name]) for name in DIMENSIONS} | {SOURCE: encode(rows["source"])}
    attributes = rows["attributes"].combine_chunks()
    for key in sorted(pc.unique(attributes.keys).to_pylist()):
        encoded[f"{ATTRIBUTE}{key}"] = encode(pc.map_lookup(attributes, key, "first"))
    nodes, example, node = np.unique(
        np.stack([codes for codes, _ in encoded.values()], axis=1), axis=0, return_index=True, return_inverse=True
    )
    book = Book(
        positions_date=day,
        files=(),
        contract_ids=pa.array([f"{i:09d}" for i in range(len(nodes))]),
        starts=np.arange(len(nodes) + 1),
        quantity=np.ones(len(nodes)),
        columns={n: PositionColumn(codes[example], members) for n, (codes, members) in encoded.items()},
    )
    if snapshot.versions["hierarchies"] != NEVER_WRITTEN:
        book = with_levels(book, snapshot.read("hierarchies"))
    return Nodes(rows, node.reshape(-1).astype(np.int32), book)


def brought_in(
    nodes: Nodes,
    mapping: pa.Table,
    moves: Moves,
    currency: str,
    gamma: Gamma,
    by: Sequence[str],
    where: Sequence[Filter],
) -> tuple[Exposures, Groups, Ints]:
    """Those of other systems: filtered, grouped, in `currency`, to the moves that are known; with the groups, and the number of
    sensitivities of each node that are in no figure, (n_nodes,)."""
    groups = group_by(nodes.book, by, select(nodes.book, where))
    kinds = {"none": (DELTA, VEGA), "diagonal": (DELTA, VEGA, GAMMA), "full": (DELTA, VEGA, GAMMA, CROSS_GAMMA)}[gamma]
    keep = (groups.group[nodes.node] >= 0) & np.isin(nodes.rows["kind"].to_numpy(zero_copy_only=False), kinds)
    node, rows = nodes.node[keep], nodes.rows.filter(pa.array(keep))
    of: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for m in mapping.to_pylist():
        of.setdefault((m["source"], m["factor"]), []).append(m)
    found = _found(moves, of)
    rate = _rates(moves, currency)
    unused: dict[tuple[str, str, str, str, str], list[float]] = {}
    whole: dict[str, list[float]] = {}
    lost = np.zeros(nodes.book.n_positions, dtype=np.int64)
    first: list[tuple[int, int, float]] = []
    second: list[tuple[int, int, int, float]] = []
    group = groups.group[node].tolist()
    names = (
        "source",
        "kind",
        "factor",
        "factor_2",
        "move",
        "bump",
        "move_2",
        "bump_2",
        "amount",
        "currency",
        "risk_class",
    )
    for place, values in enumerate(zip(*(rows[n].to_pylist() for n in names), strict=True)):
        row = dict(zip(names, values, strict=True))
        kind, factor, amount = row["kind"], row["factor"], row["amount"]
        converted = rate(row["currency"])
        if isinstance(converted, float):
            whole.setdefault(kind, []).append(abs(amount * converted))
        try:
            one = found(BumpedFactor(row["source"], factor, row["move"], row["bump"], row["risk_class"]))
            two = one
            if kind == CROSS_GAMMA:
                factor = row["factor_2"]
                two = found(BumpedFactor(row["source"], factor, row["move_2"], row["bump_2"], None))
            if not isinstance(converted, float):
                raise converted
        except Unknown as reason:
            unused.setdefault((row["source"], factor, kind, row["currency"], str(reason)), []).append(abs(amount))
            lost[node[place]] += 1
            continue
        amount *= converted
        if kind in (DELTA, VEGA):
            first += [(group[place], t.column, t.weight * amount) for t in one]
        else:
            pairs = [(s.column, t.column, s.weight * t.weight * amount) for s in one for t in two]
            second += [(group[place], *p) for p in pairs]
            second += [(group[place], j, i, v) for i, j, v in pairs if kind == CROSS_GAMMA]
    delta = np.zeros((groups.n, len(moves.factors)))
    for g, column, value in first:
        delta[g, column] += value
    totals = {key: math.fsum(amounts) for key, amounts in whole.items()}
    table = []
    for (source, factor, kind, of_currency, why), amounts in unused.items():
        converted = rate(of_currency)
        amount, total = math.fsum(amounts), totals.get(kind, 0.0)
        share = amount * converted / total if isinstance(converted, float) and total else None
        shown, unit = (amount * converted, currency) if isinstance(converted, float) else (amount, of_currency)
        table.append(_unused(source, factor, kind, len(amounts), shown, unit, share, why))
    at = np.array([entry[:3] for entry in second], dtype=np.int64).reshape(-1, 3)
    bent = np.array([entry[3] for entry in second], dtype=np.float64)
    whole_gamma = np.zeros((len(moves.factors),) * 2)
    np.add.at(whole_gamma, (at[:, 1], at[:, 2]), bent)
    exposures = Exposures(
        tuple(moves.factors), delta, at[:, 0], at[:, 1], at[:, 2], bent, whole_gamma, moves.covariance(), _table(table)
    )
    return exposures, groups, lost


def _found(
    moves: Moves, mapped: Mapping[tuple[str, str], Sequence[Mapping[str, Any]]]
) -> Callable[[BumpedFactor], list[Target]]:
    """What a key is of the moves, looked for once."""
    known: dict[BumpedFactor, list[Target] | Unknown] = {}

    def find(key: BumpedFactor) -> list[Target]:
        if key not in known:
            try:
                known[key] = moves.find(key, mapped[key.source, key.factor])
            except Unknown as reason:
                known[key] = reason
        result = known[key]
        if isinstance(result, Unknown):
            raise result
        return result

    return find


def _rates(moves: Moves, currency: str) -> Callable[[str], float | Unknown]:
    """The price of a unit of a currency at the base, or why there is none."""
    known: dict[str, float | Unknown] = {}

    def rate(of: str) -> float | Unknown:
        if of not in known:
            if moves.index.without_rate([of], currency):
                known[of] = Unknown(f"the market of the day has no exchange rate of {of} into {currency}")
            else:
                known[of] = moves.index.cross(of, currency, lambda f: float(moves.base[moves.index.row[f]]), 1.0)
        return known[of]

    return rate


def sensitivities_digest(at: Lake | Snapshot, day: dt.date) -> str:
    """Digest of all sensitivities of a day that were brought in, and of what their factors are, by the names of their data files; of a
    part of them by their content."""
    lake = at.lake if isinstance(at, Snapshot) else at
    if lake.reader:
        rows = (
            at.read(t, among={"as_of_date": [day]})
            .drop(["as_of_date", *(["file", "line"] if t == "sensitivities" else [])])
            .to_pylist()
            for t in TABLES
        )
        return digest(*(row for of_table in rows for row in sorted(map(canonical_json, of_table))))
    return digest(*(f.stem for t in TABLES for f in at.data_files(t, {"as_of_date": [day]})))


def covariance_digest(stored: StoredCovariance) -> str:
    """Digest of the factors and values of a matrix."""
    return digest(*stored.factors, stored.covariance.tobytes())


def market_of(snapshot: Snapshot, day: dt.date) -> tuple[FactorIndex, Floats]:
    """The risk factors that have a level on the day, and the levels; none in a lake without a market."""
    rows = snapshot.read("market_data", ["risk_factor_id", "value_used"], among={"as_of_date": [day]}).to_pylist()
    level = {r["risk_factor_id"]: r["value_used"] for r in rows if r["value_used"] is not None}
    factors = load_factors(snapshot).factors if level else ()
    there = FactorIndex(tuple(f for f in factors if f.risk_factor_id in level))
    return there, np.array([level[f.risk_factor_id] for f in there.factors], dtype=np.float64)
