"""The lake as it is for whoever is entitled to a part of the book: the one place where anything is cut.

Every table is seen whole, by its rows, or made from what is seen. So whatever is computed from such a lake, by whichever question or door,
is as if what others hold were not there.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from aggregation.book.entitlement import Entitlement
from aggregation.book.filters import parse_filters
from aggregation.dimensions import ATTRIBUTE
from aggregation.types import Filter
from lake.canonical import canonical_json, digest
from lake.disk_cache import Kept
from lake.errors import NotFound
from lake.schemas import VALUATION_FAILURES, VALUATION_MEMBERS, VALUATION_SETS
from lake.tables import Lake, both, rows_among, table_called
from scenarios.store import name_made_for
from scenarios.types import IMPORTED
from valuation.books.corporate_actions import ids_in_terms_of
from valuation.types import IMPORT_OF, ValuationSet

# nothing in these is of a position; contracts are asked for by the ids that positions have
WHOLE = (
    "risk_factors",
    "market_data",
    "market_issues",
    "market_calendars",
    "covariances",
    "ticks",
    "intraday_levels",
    "corporate_actions",
    "contracts",
    "counterparties",
    "agreements",
    "classifications",
    "exposure_limits",
    "regimes",
    "real_prices",
    "alarm_bands",
)
_SETS = ("valuation_members", "valuation_failures")
# what snapshots and alarms of a live day tell of the book of all
_OF_ALL = {"live_snapshots": ("orders", "orders_until", "valuation_set_id"), "alarms": ("contracts",)}

_light = Kept(1 << 14)  # seals, contracts and members seen, by lake, reader and what they are made of
# members and failures of the last sets: a plan reads those of every set of its date. Each process keeps its own, some ten sets of 100,000
# contracts; those of fewer, as most readers have, by the hundred
_tables = Kept(4096, 256 << 20, lambda tables: sum(t.nbytes for t in tables.values()))


def entitled(lake: Lake, entitlement: Entitlement | None) -> Lake:
    """The lake as the entitlement has it; the lake itself for None."""
    return lake if entitlement is None else EntitledLake(lake, entitlement)


@dataclass(frozen=True)
class _Seen:
    """What is seen of the valuation sets of the same coordinates: one set, of the contracts whose positions are seen.

    first : the oldest set that gave any of it. seal : its own. digest : of members and failures.
    """

    first: ValuationSet
    seal: ValuationSet
    digest: str


class EntitledLake(Lake):
    """A lake of which a part is seen; `Lake.whole` gives it back for writers."""

    def __init__(self, lake: Lake, entitlement: Entitlement) -> None:
        super().__init__(lake.path)
        self._as_of, self.known = dict(lake._as_of), lake.known
        self.entitlement = entitlement
        self.reader = entitlement.reader

    def whole(self) -> Lake:
        return Lake(self.path).at(self._as_of, self.known)

    def shows_totals(self) -> bool:
        return self.entitlement.firm_totals

    def shows_version(self, name: str) -> bool:
        # contracts are added by whoever brings positions in
        return name in WHOLE and name != "contracts"

    def seen(self, name: str) -> ds.Expression | None:
        rule = _BY_ROW.get(name)
        return None if rule is None else rule(self)

    def count(self, name: str) -> int:
        return super().count(name) if name in WHOLE else self.read(name).num_rows

    def rows_by(self, name: str, partition: str, version: int | None = None) -> dict[Any, int]:
        if name in WHOLE:
            return super().rows_by(name, partition, version)
        counts = pc.value_counts(self.read(name, [partition], version=version)[partition])
        return {c["values"]: c["counts"] for c in counts.to_pylist()}

    def read(
        self,
        name: str,
        columns: Sequence[str] | None = None,
        where: ds.Expression | None = None,
        version: int | None = None,
        among: Mapping[str, Iterable[Any]] | None = None,
    ) -> pa.Table:
        if name == "pnl_vectors":
            return self._vectors(columns, where, version, among)
        if name not in _MADE:
            return super().read(name, columns, where, version, among)
        schema = table_called(name).schema
        rows = _MADE[name](self, version, {} if among is None else among)
        kept = rows_among(where, among)
        rows = rows if kept is None else rows.filter(kept)
        wanted = schema.names if columns is None else list(columns)
        return rows.select(wanted).cast(pa.schema([schema.field(c) for c in wanted]))

    def set_digest(self, valuation_set_id: str) -> str:
        """Digest of what is seen of a valuation set: the fingerprints of its contracts, and its failures."""
        found = self._seen(self._groups(None)[valuation_set_id])
        assert found is not None, "a set that is named is seen"
        return found.digest

    # --- rows ---------------------------------------------------------------------------------------------------------

    def _nodes(self) -> ds.Expression:
        """Of positions, and of figures of a node: those that name a granted member."""
        granted = (_among(n, values) for n, values in self.entitlement.granted.items())
        return functools.reduce(operator.or_, granted, ds.scalar(False))

    def _limits(self) -> ds.Expression:
        """Those of nodes that are seen whole, and of everything held where firm totals are granted."""
        nodes = self.whole().read("var_limits", ["node"])["node"].unique().drop_null().to_pylist()
        own = _among("node", [n for n in nodes if shows_node(self.entitlement, parse_filters(n))])
        return own | ds.field("node").is_null() if self.entitlement.firm_totals else own

    def _standards(self) -> ds.Expression:
        desks = {*self.entitlement.granted.get("desk", ()), *self._members("desk")}
        return ds.field("desk").is_null() | _among("desk", desks)

    def _branches(self) -> ds.Expression:
        """Branches are seen by whoever sees all that those who saved them see."""
        readers = self.whole().read("branches", ["entitlement"])["entitlement"].unique().drop_null().to_pylist()
        mine = [r for r in readers if self.entitlement.includes(Entitlement.of(r))]
        return _among("entitlement", mine)

    def _branch_positions(self) -> ds.Expression:
        return _among("branch_id", self.read("branches", ["branch_id"])["branch_id"].to_pylist())

    def _scenario_sets(self) -> ds.Expression:
        """A set whose recipe follows from what a book holds is seen by whoever sees all that those see whom it was made for."""

        def make() -> list[str]:
            readers = self.whole().read("scenario_sets", ["made_for"])["made_for"].unique().drop_null().to_pylist()
            return [r for r in readers if r and self.entitlement.includes(Entitlement.of(r))]

        mine = self._kept(("made for", self.version("scenario_sets")), make)
        return ds.field("made_for").is_null() | _among("made_for", mine)

    def _of_scenario_sets(self) -> ds.Expression:
        return _among(
            "scenario_set_id", set(self.read("scenario_sets", ["scenario_set_id"])["scenario_set_id"].to_pylist())
        )

    def _hierarchies(self) -> ds.Expression:
        """The members that positions have, and what stands above them."""
        rows = self.whole().read("hierarchies", ["level", "member", "parent_level", "parent"]).to_pylist()
        upper = {r["parent_level"] for r in rows}
        seen = {r["level"]: set(self._members(r["level"])) for r in rows if r["level"] not in upper}
        found = -1
        while found != (found := sum(map(len, seen.values()))):
            for r in rows:
                if r["member"] in seen.get(r["level"], ()):
                    seen.setdefault(r["parent_level"], set()).add(r["parent"])
        levels = ((ds.field("level") == n) & _among("member", m) for n, m in seen.items())
        return functools.reduce(operator.or_, levels, ds.scalar(False))

    def _members(self, level: str) -> Collection[str]:
        """The members of a dimension or an attribute that positions of any date have."""

        def make() -> frozenset[str]:
            column = "attributes" if level.startswith(ATTRIBUTE) else level
            if column not in table_called("positions").schema.names:
                return frozenset()
            values = self.read("positions", [column])[column]
            if column == "attributes":
                values = pc.map_lookup(values.combine_chunks(), level.removeprefix(ATTRIBUTE), "first")
            return frozenset(pc.unique(values).drop_null().to_pylist())

        found: frozenset[str] = self._kept(("members", level, self.version("positions")), make)
        return found

    def _kept(self, key: tuple[Any, ...], make: Callable[[], Any]) -> Any:
        made = self.marker.stat().st_mtime_ns  # of this lake, and not of one made later in the same place
        return _light.get((self.path, made, self.reader, *key), make)

    # --- tables made from what is seen --------------------------------------------------------------------------------

    def _sensitivity_factors(self, version: int | None, among: Mapping[str, Iterable[Any]]) -> pa.Table:
        """What the factors of the sensitivities are that are seen."""
        of_day = {c: v for c, v in among.items() if c == "as_of_date"}
        rows = self.whole().read("sensitivity_factors", version=version, among=of_day)
        key = ["as_of_date", "source", "factor"]
        own = self.read("sensitivities", [*key, "factor_2"], among=of_day)
        second = own.select(["as_of_date", "source", "factor_2"]).rename_columns(key)
        return rows.join(pa.concat_tables([own.select(key), second]), key, join_type="left semi")

    def _collateral(self, version: int | None, among: Mapping[str, Iterable[Any]]) -> pa.Table:
        """None of it: a balance is of a whole netting set, and would tell of the trades that others hold."""
        return table_called("collateral").schema.empty_table()

    def _cva_hedges(self, version: int | None, among: Mapping[str, Iterable[Any]]) -> pa.Table:
        """None of them: a hedge is of all trades with a counterparty."""
        return table_called("cva_hedges").schema.empty_table()

    def _released(self, version: int | None, among: Mapping[str, Iterable[Any]]) -> pa.Table:
        """The figures of granted nodes, and where firm totals are granted those of all that is held, without the digests of what they were
        computed from with all others."""
        rows = self.whole().read("released_results", version=version, among=among)
        pairs = list(zip(rows["node"].to_pylist(), rows["filters"].to_pylist(), strict=True))
        total = self.entitlement.firm_totals
        seen = [shows_figure(self.entitlement, *pair) or (total and pair == ("", "")) for pair in pairs]
        rows = rows.filter(pa.array(seen, pa.bool_()))
        for name in ("valuation_set_id", "receipt_digest", "restates"):
            place, given = rows.schema.get_field_index(name), rows[name]
            rows = rows.set_column(place, name, pc.if_else(pc.is_valid(given), "", given))
        return rows

    def _live_days(self, name: str, version: int | None, among: Mapping[str, Iterable[Any]]) -> pa.Table:
        """Snapshots or alarms of live days without what they tell of the rest of the book."""
        rows = self.whole().read(name, version=version, among=among)
        for hidden in _OF_ALL[name]:
            place = rows.schema.get_field_index(hidden)
            rows = rows.set_column(place, rows.schema.field(place), pa.nulls(len(rows), rows.schema.field(place).type))
        return rows

    def _vectors(
        self,
        columns: Sequence[str] | None,
        where: ds.Expression | None,
        version: int | None,
        among: Mapping[str, Iterable[Any]] | None,
    ) -> pa.Table:
        """The vectors that answer for what is seen of a valuation set."""
        schema = table_called("pnl_vectors").schema
        wanted = schema.names if columns is None else list(columns)
        dates = None if among is None or "valuation_date" not in among else {*among["valuation_date"]}
        of = [s.seal for s in self._sets(None) if dates is None or s.seal.valuation_date in dates]
        keys = ["contract_id", "inputs_digest"]
        members = [_SETS_EMPTY["valuation_members"], *(self._of_set("valuation_members", s) for s in of)]
        known = pa.concat_tables(members).select(keys).group_by(keys).aggregate([])
        where = both(where, ds.field("contract_id").isin(pc.unique(known["contract_id"])))
        rows = super().read("pnl_vectors", list(dict.fromkeys((*wanted, *keys))), where, version, among)
        pair = (pc.binary_join_element_wise(t["contract_id"], t["inputs_digest"], "/") for t in (rows, known))
        return rows.filter(pc.is_in(next(pair), value_set=next(pair).combine_chunks())).select(wanted)

    def _valuation_sets(self, version: int | None, among: Mapping[str, Iterable[Any]]) -> pa.Table:
        rows = []
        for n, found in enumerate(self._sets(version)):
            imports = {k: canonical_json({**v, "files": {}}) for k, v in found.first.imports.items()}
            # in place of the version that it was planned at, its place among those that are seen
            marks = {"valuation_sets": str(n), **{f"{IMPORT_OF}{k}": v for k, v in imports.items()}}
            rows.append({**found.seal.to_dict(), "cost_us": [], "table_versions": [*marks.items()]})
        return pa.Table.from_pylist(rows, VALUATION_SETS.schema)

    def _in_sets(self, name: str, among: Mapping[str, Iterable[Any]]) -> pa.Table:
        wanted = among.get("valuation_set_id")
        ids = None if wanted is None else {*wanted}
        seals = [s.seal for s in self._sets(None) if ids is None or s.seal.valuation_set_id in ids]
        return pa.concat_tables([_SETS_EMPTY[name], *(self._of_set(name, s) for s in seals)])

    def _of_set(self, name: str, seal: ValuationSet) -> pa.Table:
        return self._tables(self._groups(None)[seal.valuation_set_id])[name]

    # --- valuation sets -----------------------------------------------------------------------------------------------

    def _sets(self, version: int | None) -> list[_Seen]:
        """What is seen of the valuation sets, oldest first."""
        found = [s for g in self._groups(version).values() if (s := self._seen(g)) is not None]
        return sorted(found, key=lambda s: s.first.order)

    def _groups(self, version: int | None) -> dict[str, list[ValuationSet]]:
        """The stored sets that may hold what is seen, those of the same coordinates by the id of what is seen of them; the oldest first."""
        version = self.version("valuation_sets") if version is None else version

        def make() -> dict[str, list[ValuationSet]]:
            rows = self.whole().read("valuation_sets", version=version).to_pylist(maps_as_pydicts="strict")
            groups: dict[str, list[ValuationSet]] = {}
            names = self._names_for_all()
            # whoever came to hold a contract of a sealed set sees it from the next request on, as if nobody had held it before
            stored = (seal for row in rows for seal in ValuationSet.from_row(row).requests())
            for seal in sorted(stored, key=lambda s: s.order):
                if seal.reader:
                    if not self.entitlement.includes(Entitlement.of(seal.reader)):
                        continue
                # those of a branch hold what it adds; where it is seen, its own reader had it valued. So had whoever asked for scenarios
                # that follow from a book
                elif seal.for_branch or not (known := names.get(seal.scenario_set_id)):
                    continue
                elif seal.scenario_set_name not in known:
                    seal = replace(seal, scenario_set_name=known[0])
                groups.setdefault(seal.id_for(self.reader), []).append(seal)
            return groups

        found: dict[str, list[ValuationSet]] = self._kept(("groups", version, self.version("scenario_sets")), make)
        return found

    def _names_for_all(self) -> dict[str, list[str]]:
        """The names, oldest first, of the scenario sets that are everybody's, by id."""
        columns = ["scenario_set_id", "name", "created_at"]
        rows = self.whole().read("scenario_sets", columns, ds.field("made_for").is_null()).sort_by("created_at")
        names: dict[str, list[str]] = {}
        for row in rows.to_pylist():
            names.setdefault(row["scenario_set_id"], []).append(name_made_for(row["name"]))
        return names

    def _seen(self, group: Sequence[ValuationSet]) -> _Seen | None:
        """None where no contract of these sets is seen."""

        def make() -> _Seen | None:
            tables = self._tables(group)
            members, failures = (tables[name] for name in _SETS)
            if not members.num_rows + failures.num_rows:
                return None
            gave = [s for s in group if s.key in tables["gave"]["key"].to_pylist()]
            seal = replace(
                gave[0],
                valuation_set_id=gave[0].id_for(self.reader),
                submitted=members.num_rows + failures.num_rows,
                valued=members.num_rows,
                reused=0,
                failed=failures.num_rows,
                unmoved=int(pc.sum(members["unmoved"]).as_py() or 0),
                # of a run that priced for others too
                **dict.fromkeys(("pricing_seconds", "elapsed_seconds", "runner", "run_id"), None),  # type: ignore[arg-type]
                sealed_at=gave[-1].sealed_at,
            )
            # which of several vectors answers for a contract that nothing moves depends on what others have valued
            moved = pc.if_else(members["unmoved"], "", members["inputs_digest"])
            told = [
                members["contract_id"].to_pylist(),
                moved.to_pylist(),
                failures.drop(["valuation_set_id"]).to_pylist(),
            ]
            return _Seen(gave[0], seal, digest(canonical_json(told)))

        found: _Seen | None = self._kept(("seen", *self._keys(group)), make)
        return found

    def _tables(self, group: Sequence[ValuationSet]) -> Mapping[str, pa.Table]:
        """Members and failures that are seen of sets of the same coordinates, and which sets gave any: of a contract in several, the oldest
        that has its vector, else the oldest."""

        def make() -> Mapping[str, pa.Table]:
            set_id, lake = group[0].id_for(self.reader), self.whole()
            parts: dict[str, list[pa.Table]] = {name: [_SETS_EMPTY[name]] for name in _SETS}
            gave = []
            known: dict[str, pa.Array] = {name: pa.array([], pa.string()) for name in _SETS}
            for seal in group:
                held, new = self._held(seal), 0
                for name in _SETS:
                    rows = lake.read(name, among={"valuation_set_id": [seal.valuation_set_id]})
                    if held is not None:
                        rows = rows.filter(pc.is_in(rows["contract_id"], value_set=held))
                    rows = rows.filter(pc.invert(pc.is_in(rows["contract_id"], value_set=known[name])))
                    known[name] = pa.concat_arrays([known[name], rows["contract_id"].combine_chunks()])
                    parts[name].append(rows)
                    new += rows.num_rows
                gave += [seal.key] if new else []
            out = {name: pa.concat_tables(of).sort_by("contract_id") for name, of in parts.items()}
            failed = out["valuation_failures"]["contract_id"]
            valued = pc.is_in(failed, value_set=known["valuation_members"])
            out["valuation_failures"] = out["valuation_failures"].filter(pc.invert(valued))
            for name, rows in out.items():
                ids = pa.repeat(pa.scalar(set_id), rows.num_rows)
                out[name] = rows.set_column(rows.schema.get_field_index("valuation_set_id"), "valuation_set_id", ids)
            return {**out, "gave": pa.table({"key": pa.array(gave, pa.string())})}

        made = self.marker.stat().st_mtime_ns
        return _tables.get((self.path, made, self.reader, *self._keys(group)), make)

    def _keys(self, group: Sequence[ValuationSet]) -> tuple[Any, ...]:
        """Names what is seen of these sets; vectors that are brought in are sealed before their positions."""
        imported = any(s.imports for s in group)
        return (*(s.key for s in group), self.version("positions") if imported else None)

    def _held(self, seal: ValuationSet) -> pa.Array | None:
        """The contracts of the positions that are seen of a set's books, as these were when it was planned; None for all contracts of a set
        that was valued for whoever sees no more."""
        if seal.reader:
            return None

        def make() -> pa.Array:
            tables = ("positions", "corporate_actions")
            then = self.at({n: int(v) for n in tables if (v := seal.table_versions.get(n)) is not None})
            ids: set[str] = set()
            for date in seal.positions_dates:
                at = ((then, None), *([(self, ds.field("instrument_type") == IMPORTED)] if seal.imports else []))
                for lake, where in at:
                    try:
                        own = lake.read("positions", ["contract_id"], where, among={"positions_date": [date]})
                    except NotFound:  # a cleaning has removed that version: who needs it has it valued again
                        continue
                    ids |= ids_in_terms_of(lake, pc.unique(own["contract_id"]), date, seal.market_date)
            return pa.array(sorted(ids), pa.string())

        found: pa.Array = self._kept(("held", *self._keys([seal])), make)
        return found


def _among(column: str, values: Iterable[str]) -> ds.Expression:
    """The rows with one of the values in a column of texts; none where there is none."""
    return ds.field(column).isin(pa.array(sorted(values), pa.string()))


def shows_node(entitlement: Entitlement, node: Sequence[Filter]) -> bool:
    """Whether every position that passes these filters is granted, whatever is held."""
    granted = entitlement.granted
    return any(f.values and not f.exclude and {*f.values} <= {*granted.get(f.dimension, ())} for f in node)


def shows_figure(entitlement: Entitlement, node: str, filters: str) -> bool:
    """Whether a released figure is of a granted node."""
    members = [f"{n}={v}" for n, values in entitlement.granted.items() for v in values]
    paths = {m.replace("%", "%25").replace("/", "%2F") for m in members}
    return filters in members or not paths.isdisjoint(node.split("/"))


_SETS_EMPTY = {t.name: t.schema.empty_table() for t in (VALUATION_MEMBERS, VALUATION_FAILURES)}

# how each table that is not whole is cut: by an expression of its rows, or made anew
_BY_ROW: Mapping[str, Callable[[EntitledLake], ds.Expression]] = {
    # a path set says what others hold by what it was fitted to: values along paths are of the whole book alone
    **dict.fromkeys(
        ("path_sets", "path_values", "path_members", "path_failures", "path_valuations"), lambda lake: ds.scalar(False)
    ),
    **dict.fromkeys(("positions", "sensitivities", "orders", "actual_pnl", "reported_var"), EntitledLake._nodes),
    # messages of a feed are of all desks, and have none while they are text
    **dict.fromkeys(("order_feeds", "order_feed_messages"), lambda lake: ds.scalar(False)),
    "scenario_sets": EntitledLake._scenario_sets,
    **dict.fromkeys(("scenario_levels", "scenario_calibrations"), EntitledLake._of_scenario_sets),
    "standards": EntitledLake._standards,
    "var_limits": EntitledLake._limits,
    "branches": EntitledLake._branches,
    "branch_positions": EntitledLake._branch_positions,
    "hierarchies": EntitledLake._hierarchies,
}
_MADE: Mapping[str, Callable[[EntitledLake, int | None, Mapping[str, Iterable[Any]]], pa.Table]] = {
    "sensitivity_factors": EntitledLake._sensitivity_factors,
    "released_results": EntitledLake._released,
    "collateral": EntitledLake._collateral,
    "cva_hedges": EntitledLake._cva_hedges,
    "valuation_sets": EntitledLake._valuation_sets,
    **{name: functools.partial(lambda lake, _, among, name: lake._in_sets(name, among), name=name) for name in _SETS},
    **{
        name: functools.partial(lambda lake, at, among, name: lake._live_days(name, at, among), name=name)
        for name in _OF_ALL
    },
}
CUT = (*_BY_ROW, *_MADE, "pnl_vectors")  # every table that is not whole
