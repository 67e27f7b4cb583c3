"""Incremental CVA: what added, removed and scaled trades do to CVA and DVA of the netting sets that they touch.

Only the contracts that are new are valued, on the paths that are there. The value of a netting set on the paths is kept between
questions, so
that a change adds its own contracts to it and passes over one netting set, however large the book is. Nothing is stored.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from aggregation.answer import Answer
from aggregation.book.changes import Changes, derive, edit
from aggregation.exposure.along_paths import Along, Exposed, Part
from aggregation.exposure.collateral import margin_period, terms_of
from aggregation.exposure.cva import notes_of_cva, plan_cva, price_of_cva, receipt_of_cva, value_cva
from aggregation.exposure.cva_figures import FIGURES, WrongWay, date_weights, wide_today
from aggregation.exposure.cva_query import CvaScope, OpenedCva, open_cva
from aggregation.exposure.default_curves import default_curves
from aggregation.exposure.netted import Netting
from aggregation.exposure.netting_sets import NettingSets, netting_sets
from aggregation.exposure.restricted import restricted
from aggregation.exposure.scope import kept_positions
from aggregation.kernels import cva
from aggregation.opened.remembered import remembered
from aggregation.question import Question
from aggregation.session import Session
from aggregation.types import DimensionName, as_model
from aggregation.whatif.request import ChangeRequest
from aggregation.whatif.trades import trades_of_rows
from lake.arrays import Floats
from lake.canonical import canonical_json
from lake.errors import counted
from valuation.types import Contract, ValuationFailure, failures_in_words

if TYPE_CHECKING:
    from valuation.horizons.path_values import PathBlock

_MARKETS_BYTES = 64 << 20  # of the markets of all paths, about


class CvaWhatIfQuery(ChangeRequest, CvaScope):
    """A question of CVA, and what to remove, scale and add before it is asked again."""

    by: tuple[DimensionName, ...] = Field((), max_length=0, description="none: a row is a netting set that is touched")


@dataclass(frozen=True)
class CvaWhatIf(Answer):
    """CVA is a cost and DVA a gain, in the reporting currency.

    rows : a row a netting set that is touched, sorted: netting_set, counterparty, legal_entity, change (both, new or gone), reason where a
    figure lacks, and cva, dva, cva_bilateral, dva_bilateral and bcva before, after and their difference, with the standard error over
    the paths of the differences of cva and bcva. total : the differences of all of them together. failures : contracts that are changed
    and have no values on the paths: they are in no figure.
    """

    query: CvaWhatIfQuery
    rows: pa.Table
    total: Mapping[str, Any]
    failures: tuple[ValuationFailure, ...]
    receipt: Mapping[str, Any]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class SetPaths:
    """Value of one netting set before collateral, in the reporting currency: today, and (n_dates, n_paths) at all dates of the paths."""

    today: float
    values: Floats

    def plus(self, other: SetPaths) -> SetPaths:
        return SetPaths(self.today + other.today, self.values + other.values)


@dataclass(frozen=True)
class _KeptNetting:
    """In place of `Netting` where the value of the one netting set is at hand."""

    paths: SetPaths
    n_sets: int = 1
    currencies: tuple[str, ...] = ()

    def today(self, spot: Floats) -> Floats:
        return np.array([self.paths.today])

    def values(self, k: int, currency: str, threads: int | None = None) -> Floats:
        return self.paths.values[k : k + 1]


@dataclass
class _Touched:
    """What happens to a netting set: units of contracts that come or go, by contract id; the trades there are before and after."""

    sets: NettingSets
    code: int
    units: dict[str, float] = field(default_factory=dict)
    before: int = 0
    after: int = 0


def run_cva_what_if(session: Session, query: CvaWhatIfQuery) -> CvaWhatIf:
    """CVA before and after the changes; raises `NotValued` where the book has no values on the paths, and as `edit` does."""
    opened = _opened(session, as_model(CvaScope, query))
    added = trades_of_rows(list(query.add), opened.book.positions_date) if query.add else None
    changes = (
        Changes(query.remove, query.scale, replace=query.replace)
        if added is None
        else Changes(query.remove, query.scale, added[0], added[1], query.replace)
    )
    touched, left_out = _touched(session, opened, query, changes)
    units = sorted({c for t in touched.values() for c in t.units})
    values, failures = _values(opened, units, changes)
    rows, by_path = [], []
    for name in sorted(touched):
        row, moved = _row(opened, name, touched[name], values)
        rows.append(row)
        by_path.append(moved)
    notes = [*notes_of_cva(opened)]
    if failures:
        why = failures_in_words((f.reason, f.message, 1) for f in failures)
        notes.append(
            f"{counted(len(failures), 'changed contract has', 'changed contracts have')} no value on the paths and no "
            f"part in the figures. {why}"
        )
    if left_out:
        notes.append(f"{counted(left_out, 'added position is', 'added positions are')} left out by the filters.")
    return CvaWhatIf(
        query,
        pa.Table.from_pylist(rows, schema=_SCHEMA),
        _total(opened, rows, by_path),
        failures,
        {**receipt_of_cva(opened), "changes_digest": changes.digest()},
        tuple(notes),
    )


_COLUMNS = (*FIGURES, "bcva")
_SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in ("netting_set", "counterparty", "legal_entity", "change", "reason")),
        *((f"{name}_{when}", pa.float64()) for name in _COLUMNS for when in ("before", "after", "difference")),
        ("cva_difference_se", pa.float64()),
        ("bcva_difference_se", pa.float64()),
    ]
)


def _opened(session: Session, query: CvaScope) -> OpenedCva:
    """All that CVA is made from, kept between questions about the same versions."""
    versions = tuple(sorted(session.lake.snapshot().versions.items()))
    key = ("cva opened", canonical_json(query.model_dump(mode="json", by_alias=True)), versions, session.lake.reader)
    return session.cache.keep(key, lambda: open_cva(session, query))


def _touched(
    session: Session, opened: OpenedCva, query: CvaWhatIfQuery, changes: Changes
) -> tuple[dict[str, _Touched], int]:
    """What the changes do to each netting set; and how many additions the filters leave out."""
    sets, book = opened.sets, opened.book
    edits = edit(book, changes)
    code = np.full(book.n_positions, -1)
    code[sets.position] = sets.code
    out: dict[str, _Touched] = {}
    contract = np.searchsorted(book.starts, edits.rows, side="right") - 1
    ids = book.contract_ids.take(pa.array(contract)).to_pylist()
    gone = ~edits.alive
    for p, c, q in zip(edits.rows.tolist(), ids, edits.quantity.tolist(), strict=True):
        if code[p] < 0:
            continue
        touched = _of(out, sets, int(code[p]), code)
        touched.units[c] = touched.units.get(c, 0.0) + q
        touched.after -= int(gone[p] and q != 0.0)
    if not changes.added.num_rows:
        return out, 0
    new, _ = derive(book, np.empty(0, np.int64), np.empty(0), changes.added, ("added",))
    keep, _ = kept_positions(new, query)
    theirs = netting_sets(opened.exposure.held.snapshot, session.cache, new, keep, query.as_of)
    place = {name: i for i, name in enumerate(sets.ids)}
    held = new.contract_ids.to_pylist()
    at = np.searchsorted(new.starts, theirs.position, side="right") - 1
    for p, c, s in zip(theirs.position.tolist(), at.tolist(), theirs.code.tolist(), strict=True):
        name = theirs.ids[s]
        own = place.get(name)
        if own is None and name not in out:
            out[name] = _Touched(theirs, s)
        touched = out[name] if own is None else _of(out, sets, own, code)
        touched.units[held[c]] = touched.units.get(held[c], 0.0) + float(new.quantity[p])
        touched.after += 1
    return out, int(new.n_positions - keep.sum())


def _of(out: dict[str, _Touched], sets: NettingSets, s: int, code: Any) -> _Touched:
    name = sets.ids[s]
    if name not in out:
        n = int((code == s).sum())
        out[name] = _Touched(sets, s, before=n, after=n)
    return out[name]


def _values(
    opened: OpenedCva, wanted: Sequence[str], changes: Changes
) -> tuple[dict[str, SetPaths], tuple[ValuationFailure, ...]]:
    """Values of one unit of each contract in the reporting currency; those that are not there are valued on the same paths."""
    paths, currency = opened.paths, opened.query.currency
    place = pc.index_in(pa.array(wanted, pa.string()), paths.contract_ids).to_pylist()
    found: dict[str, SetPaths] = {}
    known = {f.contract_id: f for f in paths.failures}
    failures = [known[c] for c in wanted if c in known]
    fresh = [c for c, p in zip(wanted, place, strict=True) if p is None and c not in known]
    for c, p in zip(wanted, place, strict=True):
        if p is not None:
            own = paths.currencies[p]
            rows = np.array([p], np.int64)
            values = np.concatenate(
                [paths.values(k, rows) * paths.fx(k, own, currency) for k in range(len(paths.dates))]
            )
            found[c] = SetPaths(float(paths.base[p]) * opened.along.spot(own), values)
    if fresh:
        block = _fresh(opened, tuple(c for c in sorted(Contract.of(changes.contracts)) if c.contract_id in fresh))
        failures += block.failures
        for i, c in enumerate(block.contract_ids):
            own = block.currencies[i]
            fx = np.array([paths.fx(k, own, currency) for k in range(len(paths.dates))])
            found[c] = SetPaths(float(block.base[i]) * opened.along.spot(own), block.values[i] * fx)
    return found, tuple(failures)


def _fresh(opened: OpenedCva, contracts: tuple[Contract, ...]) -> PathBlock:
    """New contracts valued on the paths, kept for the next question about them."""
    from aggregation.exposure.moved_paths import markets_of, model_of  # noqa: PLC0415 - with the pricers
    from valuation.horizons.path_values import value_along  # noqa: PLC0415

    model = model_of(opened.paths)
    markets = remembered("path markets", (opened,), lambda: markets_of(model), lambda _: _MARKETS_BYTES)
    at = {(m.first, m.stop): m for m in markets}
    return remembered(
        ("cva fresh", contracts),
        (opened,),
        lambda: value_along(contracts, model, lambda first, stop: at[first, stop]),
        lambda block: block.values.nbytes + block.cash.nbytes,
    )


def _row(
    opened: OpenedCva, name: str, touched: _Touched, units: Mapping[str, SetPaths]
) -> tuple[dict[str, Any], tuple[Floats, Floats]]:
    """A netting set before and after; and by path what is added to cva and bcva."""
    own = touched.sets is opened.sets
    before = _kept(opened, touched.code) if own else _nothing(opened)
    change = _nothing(opened)
    for c, q in sorted(touched.units.items()):
        if c in units:
            change = change.plus(SetPaths(q * units[c].today, q * units[c].values))
    weights, reasons = _weights(opened, touched.sets, touched.code)
    after = before.plus(change)
    one = (
        remembered(
            ("cva set figures", touched.code),
            (opened,),
            lambda: _figures(opened, touched.sets, touched.code, before, weights),
            lambda f: f.nbytes,
        )
        if own
        else _figures(opened, touched.sets, touched.code, before, weights)
    )
    two = _figures(opened, touched.sets, touched.code, after, weights)
    lacks: list[bool] = np.asarray(np.isnan(weights).any(axis=0)).tolist()
    netting_set = touched.sets[touched.code]
    row: dict[str, Any] = {
        "netting_set": name,
        "counterparty": netting_set.counterparty,
        "legal_entity": netting_set.legal_entity,
        "change": "both" if touched.before and touched.after else "new" if touched.after else "gone",
        "reason": reasons,
    }
    sums = [x.sum(axis=1) / x.shape[1] for x in (one, two)]
    for i, figure in enumerate(FIGURES):
        for when, value in (("before", sums[0][i]), ("after", sums[1][i]), ("difference", sums[1][i] - sums[0][i])):
            row[f"{figure}_{when}"] = None if lacks[i] else float(value)
    moved = two - one
    for when, of in (("before", sums[0]), ("after", sums[1]), ("difference", sums[1] - sums[0])):
        row[f"bcva_{when}"] = None if lacks[1] or lacks[3] else float(of[1] - of[3])
    paired = opened.query.sampling == "antithetic"
    if opened.query.sampling != "sobol":
        row["cva_difference_se"] = None if lacks[0] else cva.standard_error(moved[0], paired)
        row["bcva_difference_se"] = None if lacks[1] or lacks[3] else cva.standard_error(moved[1] - moved[3], paired)
    return row, (moved[0], moved[1] - moved[3])


def _nothing(opened: OpenedCva) -> SetPaths:
    return SetPaths(0.0, np.zeros((len(opened.paths.dates), opened.paths.n_paths)))


def _kept(opened: OpenedCva, s: int) -> SetPaths:
    """The value of a netting set as it is, kept between questions."""
    return remembered(("cva set", s), (opened,), lambda: kept_set(opened.along, s), lambda v: v.values.nbytes)


def kept_set(along: Along, s: int) -> SetPaths:
    """The value of netting set `s` today and at all dates of the paths."""
    mine = np.zeros(along.book.n_positions, np.bool_)
    mine[along.sets.position[along.sets.code == s]] = True
    (part,) = restricted(along, mine).parts()
    values = np.concatenate([part.netting.values(k, along.currency) for k in range(len(along.paths.dates))])
    spot = np.array([along.spot(c) for c in part.netting.currencies], np.float64)
    return SetPaths(float(part.netting.today(spot)[0]), values)


def _one(along: Along, sets: NettingSets, s: int) -> Along:
    """The one netting set, with its agreement and what is held; sets : those of `along`, or of added trades."""
    under = [sets.agreements[s]] if s < len(sets.agreements) else []
    balances = tuple(dataclasses.replace(b, code=0) for b in sets.balances if b.code == s)
    one = NettingSets(
        sets.as_of,
        np.empty(0, np.int64),
        np.empty(0, np.int32),
        [sets.ids[s]],
        [sets.counterparties[s]],
        [sets.legal_entities[s]],
        under,
        np.ones(1, np.bool_),
        balances,
        (),
    )
    known = sets is along.sets
    counts = along.collateralised[s : s + 1] if known else np.array([bool(along.collateralised.any())])
    lags = [along.lags[s] if known else margin_period(a) if a.margined else None for a in under]
    return dataclasses.replace(along, sets=one, lags=lags, collateralised=counts)


def _weights(opened: OpenedCva, sets: NettingSets, s: int) -> tuple[Floats, str | None]:
    """Weights of the dates, (n_dates, 4), NaN where a curve lacks, with the reason."""
    pair = (sets.counterparties[s], sets.legal_entities[s])
    curves = opened.curves
    unknown = [n for n in pair if n is not None and n not in curves.curves and n not in curves.reasons]
    if unknown:
        curves = default_curves(
            opened.market, opened.known, [n for n in pair if n], opened.times, opened.query.recovery
        )
    found = date_weights(curves, [pair[0]], [pair[1]], len(opened.times)).figures[0]
    told = [curves.reason(n) for n in pair]
    return found, " ".join(t for t in told if t) or None


def _figures(opened: OpenedCva, sets: NettingSets, s: int, value: SetPaths, weights: Floats) -> Floats:
    """What each path adds to the four figures, (4, n_paths)."""
    if sets is not opened.sets:
        return one_set_figures(opened.along, sets, s, value, weights)
    ways, by_date = opened.wrong_way()
    return one_set_figures(opened.along, sets, s, value, weights, ways.get(s), by_date.get(s))


def one_set_figures(
    along: Along,
    sets: NettingSets,
    s: int,
    value: SetPaths,
    weights: Floats,
    way: WrongWay | None = None,
    by_date: Floats | None = None,
) -> Floats:
    """What each path adds to the four figures of netting set `s` with that value before collateral, (4, n_paths).

    weights : (n_dates, 4), NaN for a figure that lacks a curve; way, by_date : wrong-way risk, and default probabilities by date.
    """
    one, n = _one(along, sets, s), along.paths.n_paths
    by_path = np.zeros((1, 4, n))
    part = Part(one, 0, cast(Netting, _KeptNetting(value)), terms_of(one.sets, 0, 1, one.lags, one.collateralised))
    zero, none = np.zeros(1, np.int32), np.full(1, -1, np.int32)
    slopes = np.where(np.isnan(weights), 0.0, weights)
    dates: list[Exposed] = [wide_today(part.today(), n), *part.dates()]
    for j, at in enumerate(dates):
        discount = np.ones(n) if at.k < 0 else np.ascontiguousarray(along.paths.discount(at.k, along.currency))
        on_paths = np.ones((1, n))
        if at.k >= 0 and way is not None and by_date is not None:
            scores = cva.copula_scores(along.paths.level(at.k, way.risk_factor_id))
            last = by_date[min(j + 1, len(dates) - 1)]
            on_paths[0] = cva.wrong_way_weights(scores, way.correlation, float(by_date[j - 1]), float(last))
        up, down = np.empty(1), np.empty(1)
        cva.set_profiles(at.positive, at.negative, discount, on_paths, zero, none, slopes[j : j + 1], up, down, by_path)
    found: Floats = by_path[0]
    return found


def _total(
    opened: OpenedCva, rows: Sequence[Mapping[str, Any]], by_path: Sequence[tuple[Floats, Floats]]
) -> dict[str, Any]:
    out: dict[str, Any] = {"netting_sets": len(rows)}
    for name in _COLUMNS:
        there = [r[f"{name}_difference"] for r in rows if r[f"{name}_difference"] is not None]
        out[f"{name}_difference"] = sum(there) if there else None
    out["status"] = "partial" if any(r["reason"] for r in rows) else "complete"
    if by_path and opened.query.sampling != "sobol":
        paired = opened.query.sampling == "antithetic"
        error = cva.standard_error(np.add.reduce([m[0] for m in by_path]), paired)
        out["cva_difference_se"] = None if out["cva_difference"] is None else error
    return out


def _price(session: Session, query: CvaWhatIfQuery) -> float:
    return price_of_cva(session, query) + 0.05 * (len(query.add) + len(query.remove) + len(query.scale))


CVA_WHAT_IF = Question(
    CvaWhatIfQuery,
    run_cva_what_if,
    {
        "as_of": "2020-03-16",
        "scale": ["desk=Treasury*0.5"],
        "grid": ["1M", "3M", "6M", "1Y", "2Y", "5Y"],
        "paths": 200,
    },
    plan_cva,
    value_cva,
    price=_price,
)
