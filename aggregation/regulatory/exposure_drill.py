"""Behind a point of an exposure profile: the path at the quantile, what trades are worth there, the worst paths, and the market."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from pydantic import Field

from aggregation.answer import Answer
from aggregation.exposure.along_paths import Exposed, Part
from aggregation.exposure.pricing import plan_exposure, price_of_exposure, value_exposure
from aggregation.exposure.scope import OpenedExposure, open_exposure
from aggregation.kernels.estimators import exact_level
from aggregation.kernels.exposure_profile import at_rank, means, quantiles
from aggregation.question import Question
from aggregation.regulatory.imm import ExposureQuery, floors_of, imm_of
from aggregation.session import Session
from aggregation.types import AtLeastOne, Coverage, Level
from lake.arrays import Floats, Ints
from lake.dates import Day
from lake.errors import BadInput, VarlakeError, counted
from scenarios.market.base_market import BaseMarket
from valuation.books.contracts import contracts_by_id
from valuation.catalogue import factors_of, terms_from_json
from valuation.types import Contract

_READERS = 50  # contracts whose risk factors are looked at, those worth most on the path first
_TRADES, _COLLATERAL = "trade", "collateral"


class ExposureDrillQuery(ExposureQuery):
    """Which point of whose profile."""

    date: Day | None = Field(
        None,
        description="date of the profile, one of those that exposure lists; default the one on which the level's PFE is greatest",
    )
    level: Level = Field("0.95", description="level of the PFE whose path is shown")
    worst: AtLeastOne = Field(10, le=1000, description="paths listed, greatest exposure first")
    factors: AtLeastOne = Field(
        20, le=1000, description="risk factors listed, those furthest from their mean over the paths first"
    )


@dataclass(frozen=True)
class ExposureDrill(Answer):
    """A point of a profile. rows : a row a trade, and one a netting set with collateral, on the path at the quantile: `value` there in the
    reporting currency, and `contribution` to the exposure, which is zero where the netting set has none on this path; they add up to `pfe`.
    worst : the paths of the greatest exposure, with their exposure. market : risk factors on the path: today, there, the mean over all
    paths, and how many standard deviations of the paths it is away from that. date, path : of the point. ee : at the date.
    """

    query: ExposureDrillQuery
    rows: pa.Table
    worst: pa.Table
    market: pa.Table
    date: dt.date
    path: int
    pfe: float
    ee: float
    coverage: Coverage
    receipt: Mapping[str, Any]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Point:
    """The parts of the netting sets at a date, and the exposure of all of them by path."""

    exposed: Sequence[Exposed]
    exposure: Floats


def _answer(session: Session, query: ExposureDrillQuery) -> ExposureDrill:
    if query.by:
        raise BadInput(
            "A point is of one group; leave by out, and choose the group with where, such as counterparty=Acme."
        )
    regime, section, _ = imm_of(session, query)
    opened = open_exposure(session, query, section.floors)
    along, level = opened.along, exact_level(query.level)
    parts = along.parts()
    day, point = _point(query, opened, parts)
    path = at_rank(point.exposure, level)
    pfe = float(point.exposure[path])
    rows, notes = [], [*opened.notes]
    worth = np.zeros(len(along.paths.contract_ids))
    for part, exposed in zip(parts, point.exposed, strict=True):
        rows += _trades(opened, part, exposed, path, worth)
    market, absent = _market(session, opened, query, point.exposed[0].k, path, worth)
    if absent:
        notes.append(f"{counted(absent, 'risk factor has', 'risk factors have')} no level along the paths.")
    order = np.argsort(-point.exposure, kind="stable")[: query.worst]
    worst = pa.table({"rank": np.arange(1, len(order) + 1), "path": order, "exposure": point.exposure[order]})
    return ExposureDrill(
        query,
        pa.Table.from_pylist(rows, schema=_SCHEMA),
        worst,
        market,
        day,
        path,
        pfe,
        float(means(point.exposure[None], 1)[0][0]),
        opened.coverage(),
        {**opened.receipt, **regime.named},
        tuple(dict.fromkeys([*notes, *regime.notes(query.as_of)])),
    )


_SCHEMA = pa.schema(
    [
        *((c, pa.string()) for c in ("kind", "trade", "netting_set", "counterparty", "instrument_type")),
        ("quantity", pa.float64()),
        ("value", pa.float64()),
        ("contribution", pa.float64()),
    ]
)


def _point(query: ExposureDrillQuery, opened: OpenedExposure, parts: Sequence[Part]) -> tuple[dt.date, _Point]:
    """The date asked for, or the one of the greatest PFE, the first of equals, with its exposure by path."""
    days = [d for d, r in zip(opened.along.paths.dates, opened.along.reported.tolist(), strict=True) if r]
    if query.date is not None and query.date not in days:
        listed = ", ".join(map(str, days))
        raise BadInput(
            f"{query.date} is no date of this profile; expected one of {listed}. Another grid has other dates."
        )
    found: tuple[float, dt.date, _Point] | None = None
    for day, exposed in zip(days, zip(*(p.dates() for p in parts), strict=True), strict=True):
        if query.date not in (None, day):
            continue
        sums = [np.add.accumulate(e.positive, axis=0)[-1] for e in exposed if len(e.positive)]
        exposure = np.add.accumulate(np.array(sums), axis=0)[-1]
        pfe = float(quantiles(exposure[None], [exact_level(query.level)])[0][0, 0])
        if found is None or pfe > found[0]:
            found = pfe, day, _Point(exposed, exposure)
    assert found is not None
    return found[1], found[2]


def _trades(opened: OpenedExposure, part: Part, exposed: Exposed, path: int, worth: Floats) -> list[dict[str, Any]]:
    """The trades of a part on the path, and the collateral of its netting sets; adds to what each contract is worth, (n_contracts,)."""
    along, netting, book, sets = opened.along, part.netting, opened.held.book, opened.held.sets
    rates = dict(zip(netting.currencies, netting.fx(exposed.k, along.currency)[:, path].tolist(), strict=True))
    here: Ints = np.flatnonzero((sets.code >= part.first) & (sets.code < part.first + netting.n_sets))
    position = sets.position[here]
    contract = np.searchsorted(book.starts, position, side="right") - 1
    row = netting.row[contract]
    rows, held = np.unique(row[row >= 0]), []
    unit = dict(zip(rows.tolist(), along.paths.values(exposed.k, rows.astype(np.int64))[:, path].tolist(), strict=True))

    def named(column: str) -> list[str | None]:
        c = book.columns[column]
        found: list[str | None] = c.members.take(pa.array(c.codes[position])).to_pylist()
        return found

    told = zip(
        named("trade"),
        named("counterparty"),
        named("instrument_type"),
        position.tolist(),
        row.tolist(),
        sets.code[here].tolist(),
        strict=True,
    )
    for trade, client, kind, place, r, code in told:
        quantity = float(book.quantity[place])
        value = None if r < 0 else quantity * unit[r] * rates[along.paths.currencies[r]]
        there = exposed.positive[code - part.first, path] > 0.0
        if value is not None:
            worth[r] += abs(value)
        held.append(
            {
                "kind": _TRADES,
                "trade": trade,
                "netting_set": sets.ids[code],
                "counterparty": client,
                "instrument_type": kind,
                "quantity": quantity,
                "value": value,
                "contribution": None if value is None else value if there else 0.0,
            }
        )
    for s in range(netting.n_sets):
        amount = float(exposed.held[s, path])
        flows = 0.0 if exposed.flows is None else float(exposed.flows[s, path])
        if amount or flows:
            there = exposed.positive[s, path] > 0.0
            held.append(
                {
                    "kind": _COLLATERAL,
                    "netting_set": sets.ids[part.first + s],
                    "counterparty": sets.counterparties[part.first + s],
                    "value": flows - amount,
                    "contribution": flows - amount if there else 0.0,
                }
            )
    return held


def _market(
    session: Session, opened: OpenedExposure, query: ExposureDrillQuery, k: int, path: int, worth: Floats
) -> tuple[pa.Table, int]:
    """The risk factors that the contracts worth most on the path read, and how many of them have no level there."""
    paths, base = opened.along.paths, opened.market
    most = np.argsort(-worth, kind="stable")[:_READERS]
    ids = paths.contract_ids.take(pa.array(most[worth[most] > 0.0]))
    names: set[str] = set()
    for contract in Contract.of(contracts_by_id(session.lake, ids)):
        terms = terms_from_json(contract.instrument_type, contract.terms)
        names |= set(factors_of(terms, base.index, paths.as_of))
    rows, absent = [], 0
    for name in sorted(names):
        try:
            levels = paths.level(k, name)
        except VarlakeError:
            absent += 1
            continue
        rows.append(_level(name, base, levels, path))
    rows.sort(key=lambda r: (-abs(r["deviations"] or 0.0), r["risk_factor"]))
    types = [("risk_factor", pa.string()), *((c, pa.float64()) for c in ("today", "level", "mean", "deviations"))]
    return pa.Table.from_pylist(rows[: query.factors], schema=pa.schema(types)), absent


def _level(name: str, base: BaseMarket, levels: Floats, path: int) -> dict[str, Any]:
    mean, error = means(np.ascontiguousarray(levels)[None], 1)
    deviation = float(error[0]) * np.sqrt(levels.size)
    there = float(levels[path])
    return {
        "risk_factor": name,
        "today": float(base.base[base.index.row[name]]) if name in base.index.row else None,
        "level": there,
        "mean": float(mean[0]),
        "deviations": (there - float(mean[0])) / deviation if deviation > 0.0 else None,
    }


EXPOSURE_DRILL = Question(
    ExposureDrillQuery,
    _answer,
    {"as_of": "2020-03-16", "grid": ["1M", "6M", "1Y"], "paths": 200, "date": "2020-09-16"},
    plan_exposure(floors_of),
    value_exposure(floors_of),
    price=price_of_exposure(floors_of),
)
