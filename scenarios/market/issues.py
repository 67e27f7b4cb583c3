"""Suspicious market values: held at ingest, listed, and released, overridden or proxied by a person.

A held value has no `value_used`, so that whatever reads market data meets a day without a level; the value received stays beside it.
Every hold and every act is a row of `market_issues`, and the newest of a value says how it stands.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Literal, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
from pydantic import BaseModel, ConfigDict, Field, model_validator

from lake.arrays import Bools, Floats
from lake.committer import Committer
from lake.dates import Day
from lake.errors import BadInput, NotFound, counted, unknown
from lake.schemas import MARKET_ISSUES
from lake.tables import Lake, Snapshot
from lake.words import first_of
from scenarios.kernels import shifts
from scenarios.market.calendars import DATA, Calendars
from scenarios.market.corporate_actions import CorporateActions, load_actions
from scenarios.market.gates import RULES, SAME_AS, Panel, Parameters, load_parameters, suspects
from scenarios.market.history import load_calendars, load_factors
from scenarios.market.units import likely_unit
from scenarios.types import FACTOR_TYPES, POSITIVE_TYPES, FactorIndex, RiskFactor

LEAD_DAYS = 1_200  # of history before the first value that is judged: the memory of every rule
STATES = ("held", "missing", "released", "overridden", "proxied", "replaced")
ACTS = {"release": "released", "override": "overridden", "proxy": "proxied"}
_ENGINE = "varlake"  # the author of what a rule does

Issue = dict[str, Any]


def scale_of(rule: str) -> float:
    """What a value received is multiplied by, from the column `rule` of market_data."""
    return float(rule[2:]) if rule.startswith("x ") else 1.0


def received_levels(rows: pa.Table) -> Floats:
    """The level of each row in the factor's unit: the one used, or of a held value the one received; NaN where it is missing."""
    used: Floats = rows["value_used"].to_numpy()
    received: Floats = rows["value_received"].to_numpy()
    if not (held := np.isnan(used) & np.isfinite(received)).any():
        return used
    texts = rows["rule"].combine_chunks().dictionary_encode()
    scale = np.array([scale_of(text) for text in texts.dictionary.to_pylist()])[texts.indices.to_numpy()]
    levels: Floats = np.where(held, received * scale, used)
    return levels


def panel_of(
    rows: pa.Table,
    index: FactorIndex,
    calendars: Calendars,
    p: Parameters,
    partial: Mapping[str, dt.date] | None = None,
) -> tuple[Panel, Bools, tuple[Any, Any]]:
    """The panel of rows of market_data; the cells (n_dates, n_factors) that have a row; and date and factor of each row in it.

    partial : last date of a source whose last row is partial.
    """
    days = rows["as_of_date"].to_numpy().astype("datetime64[D]")
    column = pc.index_in(rows["risk_factor_id"], pa.array([f.risk_factor_id for f in index.factors])).to_numpy()
    ends = days.min(), days.max()
    kept = {f.source: calendars.of_source.get(f.source, DATA) for f in index.factors}
    span = np.arange(ends[0], ends[1] + 1)
    known = {name: calendars.closed(name, span) for name in set(kept.values()) - {DATA}}
    dates = np.unique(np.concatenate([days, *(span[sure & ~shut] for shut, sure in known.values())]))
    at = np.searchsorted(dates, days)
    levels, listed = np.full((len(dates), len(index.factors)), np.nan), np.zeros((len(dates), len(index.factors)), bool)
    levels[at, column], listed[at, column] = received_levels(rows), True
    closed, opened = np.zeros_like(listed), listed & np.isnan(levels)
    sources = np.array([f.source for f in index.factors])
    weekend = ~np.is_busday(dates)
    for source, name in kept.items():
        own = sources == source
        if name != DATA:
            shut, sure = (v[(dates - ends[0]).astype(int)] for v in known[name])
            closed[:, own], opened[:, own] = (sure & shut)[:, None], opened[:, own] | (sure & ~shut)[:, None]
        elif (
            listed[weekend][:, own].sum() <= 0.01 * listed[:, own].sum()
        ):  # no calendar, and no values on weekends by habit
            closed[:, own] = weekend[:, None]
    others = np.full_like(levels, np.nan)
    for j, f in enumerate(index.factors):
        twin = dict(f.attributes).get(SAME_AS)
        if twin in index.row:
            others[:, j], others[:, index.row[twin]] = levels[:, index.row[twin]], levels[:, j]
    late = np.zeros_like(listed)
    for source, day in (partial or {}).items():
        late[np.ix_(dates == np.datetime64(day), sources == source)] = True
    return Panel(dates, index.factors, levels, closed, opened, late & listed, others, p), listed, (at, column)


def judge(
    rows: pa.Table,
    fresh: Bools,
    index: FactorIndex,
    calendars: Calendars,
    p: Parameters,
    actions: CorporateActions,
    partial: Mapping[str, dt.date] | None = None,
) -> tuple[Bools, list[Issue]]:
    """Which of the fresh rows (n_rows,) a rule suspects, and the issues: one a held value, one a run of missing days.

    Rules look at levels in today's shares: what a corporate action explains is no split and no spike.
    """
    if not fresh.any():
        return np.zeros(rows.num_rows, dtype=bool), []
    days = rows["as_of_date"].to_numpy().astype("datetime64[D]")
    first = days[fresh].min()
    near = days >= first - np.timedelta64(LEAD_DAYS, "D")
    judged = rows if near.all() else rows.filter(pa.array(near))
    panel, _, (at, column) = panel_of(judged, index, calendars, p, partial)
    new = np.zeros(panel.levels.shape, dtype=bool)
    new[at, column] = fresh[near]
    adjusted = dataclasses.replace(panel, levels=_in_todays_shares(panel, index, actions))
    flags = suspects(adjusted)
    missing = flags.pop("missing")
    held = np.logical_or.reduce(list(flags.values())) & new & panel.seen
    out = np.zeros(rows.num_rows, dtype=bool)
    out[np.flatnonzero(near)] = held[at, column]
    told = [_held_issue(panel, adjusted.own.z, flags, i, j) for i, j in np.argwhere(held).tolist()]
    return out, told + _missing_issues(panel, missing, np.asarray(new.any(axis=0)), first)


def _in_todays_shares(panel: Panel, index: FactorIndex, actions: CorporateActions) -> Floats:
    """The levels of the panel in the terms of its last day."""
    levels = panel.levels.copy()
    try:
        actions.adjust(index.row, panel.dates, levels, np.zeros(levels.shape, dtype=bool), panel.dates[-1].item())
    except BadInput:  # a payment is more than a level that is a defect, as the gates will find: then without payments
        shares = CorporateActions(tuple(a for a in actions.actions if a.amount is None), actions.done)
        return _in_todays_shares(panel, index, shares)
    return levels


def _held_issue(panel: Panel, z: Floats, flags: Mapping[str, Bools], i: int, j: int) -> Issue:
    f = panel.factors[j]
    usable = panel.usable[:, j]
    rows = np.flatnonzero(usable if usable[i] else panel.seen[:, j])
    k = int(np.searchsorted(rows, i))
    text = f"{panel.levels[i, j]:.6g}"
    if k > 0:
        text += f", after {panel.levels[rows[k - 1], j]:.6g} on {panel.dates[rows[k - 1]]}"
    if k + 1 < len(rows):
        text += f", before {panel.levels[rows[k + 1], j]:.6g} on {panel.dates[rows[k + 1]]}"
    if np.isfinite(z[i, j]) and abs(z[i, j]) >= 1:
        text += f"; {abs(z[i, j]):.0f} usual moves"
    if flags["sources"][i, j]:
        text += f"; the other source has {panel.others[i, j]:.6g}"
    return {
        "as_of_date": panel.dates[i].item(),
        "risk_factor_id": f.risk_factor_id,
        "state": "held",
        "rules": [name for name, flag in flags.items() if flag[i, j]],
        "detail": text,
        "source": f.source,
    }


def _missing_issues(panel: Panel, missing: Bools, of: Bools, first: Any) -> list[Issue]:
    """An issue for each run of missing days of these factors (n_factors,) that ends on `first` or later, at its first day."""
    out = []
    for j in np.flatnonzero(of & missing.any(axis=0)).tolist():
        business = np.flatnonzero(panel.opened[:, j] | panel.seen[:, j])
        gone = missing[business, j]
        edge = np.diff(np.concatenate([[False], gone, [False]]).astype(np.int8))
        for a, b in zip(np.flatnonzero(edge == 1).tolist(), (np.flatnonzero(edge == -1) - 1).tolist(), strict=True):
            begin, end = panel.dates[business[a]], panel.dates[business[b]]
            if end < first:
                continue
            f = panel.factors[j]
            out.append(
                {
                    "as_of_date": begin.item(),
                    "risk_factor_id": f.risk_factor_id,
                    "state": "missing",
                    "rules": ["missing"],
                    "detail": f"no value on {counted(b - a + 1, 'business day')}" + (f", to {end}" if b > a else ""),
                    "source": f.source,
                }
            )
    return out


def held_rows(rows: pa.Table, held: Bools) -> pa.Table:
    """The rows with those marked (n_rows,) held: without a value used."""
    return _set(rows, pa.array(held), status="held", value_used=None)


def _set(rows: pa.Table, where: Any, **values: Any) -> pa.Table:
    """The rows with these values in the columns of their names where the mask holds."""
    for name, value in values.items():
        column = rows[name]
        new = pc.if_else(where, pa.scalar(value, column.type), column)
        rows = rows.set_column(rows.schema.get_field_index(name), rows.schema.field(name), new)
    return rows


def gate(
    lake: Lake,
    rows: pa.Table,
    fresh: Bools,
    factors: Sequence[RiskFactor],
    calendars: Calendars,
    p: Parameters,
    adjusted: Mapping[str, str | None],
    partial: Mapping[str, dt.date] | None = None,
) -> tuple[pa.Table, list[Issue]]:
    """Rows of market_data about to be stored, those held that a rule suspects among the fresh ones (n_rows,), and the issues.

    factors : of the rows. adjusted : what each source has adjusted for corporate actions already.
    What the lake holds of other sources is looked at beside them.
    """
    mine, new = {f.source for f in factors}, {f.risk_factor_id for f in factors}
    # a series that the new file has no more is still among the rows
    index = FactorIndex.of([*(f for f in _stored_factors(lake) if f.risk_factor_id not in new), *factors])
    since = pc.min(rows.filter(pa.array(fresh))["as_of_date"]).as_py() if fresh.any() else dt.date.max
    beside = ds.field("as_of_date") >= since - dt.timedelta(LEAD_DAYS)
    others = lake.read("market_data", where=beside & ~ds.field("source").isin(sorted(mine))) if fresh.any() else None
    known = load_actions(lake)
    done = {f.risk_factor_id: adjusted.get(f.source) for f in factors}
    actions = CorporateActions(known.actions, {f: kind for f, kind in {**known.done, **done}.items() if kind})
    both = rows if others is None else pa.concat_tables([rows.cast(others.schema), others])
    judged, issues = judge(
        both, np.append(fresh, np.zeros(both.num_rows - len(fresh), bool)), index, calendars, p, actions, partial
    )
    held = judged[: rows.num_rows]
    return held_rows(rows, held), [*issues, *_replaced(lake, rows, fresh & ~held)]


def _stored_factors(lake: Lake) -> tuple[RiskFactor, ...]:
    try:
        return load_factors(lake.snapshot("risk_factors")).factors
    except NotFound:
        return ()


def _replaced(lake: Lake, rows: pa.Table, passed: Bools) -> list[Issue]:
    """Issues that are over since another value came, of those marked (n_rows,), which no rule suspects."""
    before_it = {
        (i["as_of_date"], i["risk_factor_id"]): i
        for i in newest_issues(lake)
        if i["state"] not in ("missing", "replaced")
    }
    if not before_it:
        return []
    of_issues = pc.is_in(rows["risk_factor_id"], pa.array([factor for _, factor in before_it]))
    some = rows.filter(pc.and_(of_issues, pa.array(passed)))
    return [
        {
            **before,
            "state": "replaced",
            "detail": "another value was received",
            "reason": None,
            "author": _ENGINE,
            "proxy": None,
        }
        for r in some.to_pylist()
        if (before := before_it.get((r["as_of_date"], r["risk_factor_id"]))) is not None
        and before["value_received"] != r["value_received"]
    ]


def store_issues(committer: Committer, issues: Sequence[Issue], rows: pa.Table) -> int:
    """Appends what is not said already, with the values of `rows`, those of market_data that are stored next; how many were new.

    Before the values: a writer that is killed in between leaves issues that the same files complete.
    """
    known = {(i["as_of_date"], i["risk_factor_id"]): i for i in newest_issues(committer.lake)}
    keys = {(i["as_of_date"], i["risk_factor_id"]) for i in issues}
    some = rows.filter(pc.is_in(rows["risk_factor_id"], pa.array(sorted({k[1] for k in keys}), pa.string())))
    some = some.filter(pc.is_in(some["as_of_date"], pa.array(sorted({k[0] for k in keys}), pa.date32())))
    values = {(r["as_of_date"], r["risk_factor_id"]): r for r in some.to_pylist()}
    moment, version = dt.datetime.now(dt.UTC), max(committer.lake.version("market_data"), 0) + 1
    new = []
    for issue in issues:
        key = issue["as_of_date"], issue["risk_factor_id"]
        row = values.get(key, {"value_received": None, "value_used": None})
        told = {"author": _ENGINE, "reason": None, "proxy": None, **issue}
        told |= {name: row[name] for name in ("value_received", "value_used")}
        before = known.get(key, {})
        if any(before.get(name) != told[name] for name in told):
            new.append({**told, "market_data_version": version, "created_at": moment})
    if new:
        committer.put("market_issues", pa.Table.from_pylist(new, MARKET_ISSUES.schema))
    return len(new)


def newest_issues(at: Lake | Snapshot) -> list[Issue]:
    """How every value with an issue stands, by date and factor."""
    return standing(all_issues(at))


def all_issues(at: Lake | Snapshot) -> list[Issue]:
    """Every row of market_issues, oldest first."""
    rows: list[Issue] = at.read("market_issues").sort_by("created_at").to_pylist()
    return rows


def standing(issues: Sequence[Issue], market_data_version: int | None = None) -> list[Issue]:
    """The newest of each value among issues, oldest first; of those that held at a version of market_data where one is given."""
    found = {
        (r["as_of_date"], r["risk_factor_id"]): r
        for r in issues
        if market_data_version is None or r["market_data_version"] <= market_data_version
    }
    return [found[key] for key in sorted(found)]


class IssueFilter(BaseModel):
    """Which market issues are listed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    first: Day | None = Field(None, description="first date of the values")
    last: Day | None = Field(None, description="last date of the values")
    factor: str | None = Field(None, description="risk factor id")
    rule: str | None = Field(None, description="rule that suspects the value, such as spike")
    state: str | None = Field(
        None, description="how it stands: held, missing, released, overridden, proxied or replaced"
    )


def list_issues(at: Lake | Snapshot, wanted: IssueFilter) -> list[Issue]:
    """The newest state of the values with an issue that the filter leaves, by date and factor; raises `BadInput` for unknown names."""
    for name, value, known in (("rule", wanted.rule, RULES), ("state", wanted.state, STATES)):
        if value is not None and value not in known:
            raise unknown(name, value, known, pointer=name)
    found = newest_issues(at)
    if wanted.factor is not None and not any(i["risk_factor_id"] == wanted.factor for i in found):
        check_factor(at, wanted.factor)
    return [
        i
        for i in found
        if (wanted.first is None or i["as_of_date"] >= wanted.first)
        and (wanted.last is None or i["as_of_date"] <= wanted.last)
        and wanted.factor in (None, i["risk_factor_id"])
        and (wanted.rule is None or wanted.rule in i["rules"])
        and wanted.state in (None, i["state"])
    ]


def check_factor(at: Lake | Snapshot, factor: str) -> None:
    """Raises `NotFound` with the nearest names for a factor that the lake does not hold."""
    known = at.read("risk_factors", ["risk_factor_id"])["risk_factor_id"].to_pylist()
    if factor not in known:
        raise unknown("risk factor", factor, known, error=NotFound)


class MarketAct(BaseModel):
    """What a person does about a market value: releases it as received, overrides it, or has it moved by a proxy."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    act: Literal["release", "override", "proxy"] = Field(description="release, override or proxy")
    factor: str = Field(description="risk factor id")
    date: Day = Field(description="date of the value")
    reason: str = Field(min_length=3, max_length=500, description="why, in words")
    author: str = Field(min_length=1, max_length=100, description="who does it")
    value: float | None = Field(
        None, allow_inf_nan=False, description="of an override: the level used instead, in the unit of the risk factor"
    )
    by: str | None = Field(None, description="of a proxy: the risk factor that it moves with since its last level")
    beta: float = Field(1.0, allow_inf_nan=False, description="of a proxy: its move for one unit of the other's")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if (self.act == "override") != (self.value is not None):
            raise ValueError("an override needs a value, and only an override has one")
        if (self.act == "proxy") != (self.by is not None):
            raise ValueError("a proxy needs the risk factor that it moves by, and only a proxy has one")
        return self


def check_act(lake: Lake, act: MarketAct) -> tuple[RiskFactor, dict[str, Any], float]:
    """The risk factor, the row of market_data, and the level that the act makes used; raises `NotFound` or `BadInput`."""
    check_factor(lake, act.factor)
    index = load_factors(lake.snapshot("risk_factors"))
    factor = index.factors[index.row[act.factor]]
    rows = lake.read("market_data", where=ds.field("risk_factor_id") == act.factor).to_pylist()
    found = [row for row in rows if row["as_of_date"] == act.date]
    if not found:
        raise unknown(f"value of {act.factor} on", str(act.date), [str(r["as_of_date"]) for r in rows], error=NotFound)
    used = _used(lake, act, found[0], factor)
    kind = FACTOR_TYPES[factor.type]
    if factor.type in POSITIVE_TYPES and used <= 0:
        raise BadInput(f"{used:g} cannot be a level of {act.factor}; expected a positive {factor.type}.")
    known = [r["value_used"] for r in rows if r["value_used"] is not None]
    low, high = min(kind.plausible[0], *known), max(kind.plausible[1], *known)
    if act.act != "release" and not low <= used <= high:
        unit = likely_unit(factor.type, used)
        said = f"; {used:g} {unit[0]} are {used * unit[1]:g}" if unit else ""
        raise BadInput(
            f"{used:g} is hardly meant as a level of {act.factor}: expected {low:g} to {high:g}, {kind.unit}{said}."
        )
    return factor, found[0], used


def act_on(committer: Committer, act: MarketAct, approved_by: str | None = None) -> Issue:
    """Stores the act, and the value that it makes used; the value received stays. Raises what `check_act` does, and stores nothing then."""
    lake = committer.lake
    factor, row, used = check_act(lake, act)
    rows = lake.read("market_data", where=ds.field("source") == factor.source)
    here = pc.and_(pc.equal(rows["risk_factor_id"], act.factor), pc.equal(rows["as_of_date"], pa.scalar(act.date)))
    rows = _set(rows, here, status=ACTS[act.act], value_used=used)
    before = next(
        (i for i in newest_issues(lake) if (i["as_of_date"], i["risk_factor_id"]) == (act.date, act.factor)), None
    )
    issue: Issue = {
        "as_of_date": act.date,
        "risk_factor_id": act.factor,
        "state": ACTS[act.act],
        "rules": before["rules"] if before else [],
        "detail": before["detail"] if before else "no rule suspected it",
        "source": factor.source,
        "author": act.author,
        "reason": act.reason,
        "proxy": act.by,
        **({"approved_by": approved_by} if approved_by else {}),
    }
    store_issues(committer, [issue], rows)
    version = committer.put("market_data", rows, replace=True, note={"act": act.act, "author": act.author})
    return {**issue, "value_received": row["value_received"], "value_used": used, "market_data_version": version}


def _used(lake: Lake, act: MarketAct, row: Mapping[str, Any], factor: RiskFactor) -> float:
    """The level that the act makes used."""
    if act.value is not None:
        return act.value
    if act.by is None:
        if row["status"] not in ("held", *ACTS.values()):
            raise BadInput(f"{act.factor} on {act.date} is {row['status']}, not held; there is nothing to release.")
        if row["value_received"] is None:
            raise BadInput(f"{act.factor} on {act.date} was never received; override it, or let a proxy move it.")
        return float(row["value_received"]) * scale_of(row["rule"])
    check_factor(lake, act.by)
    if act.by == act.factor:
        raise BadInput(f"{act.factor} cannot be its own proxy; name another risk factor.")
    where = (ds.field("as_of_date") <= act.date) & ds.field("risk_factor_id").isin([act.factor, act.by])
    read = lake.read("market_data", ["as_of_date", "risk_factor_id", "value_used"], where)
    levels = {
        (r["risk_factor_id"], r["as_of_date"]): r["value_used"] for r in read.to_pylist() if r["value_used"] is not None
    }
    last = max((d for f, d in levels if f == act.factor and d < act.date and (act.by, d) in levels), default=None)
    if last is None or (act.by, act.date) not in levels:
        lacks = (
            f"{act.by} has no level on {act.date}"
            if last
            else f"the two have no level on a common day before {act.date}"
        )
        raise BadInput(f"{act.factor} cannot move by {act.by}: {lacks}. Name another risk factor.")
    other = FactorIndex.of(f for f in _stored_factors(lake) if f.risk_factor_id == act.by).factors[0]
    pair = np.array([[levels[act.factor, last], levels[act.by, last]], [np.nan, levels[act.by, act.date]]])
    days = np.array([last, act.date], dtype="datetime64[D]")
    column = {act.factor: 0, act.by: 1}  # in the shares of the day, where an ex date lies between
    load_actions(lake).adjust(column, days, pair, np.zeros((2, 2), dtype=bool), act.date)
    start, begin, end = pair[0, :1], pair[0, 1:], pair[1, 1:]
    (moved,) = shifts.apply(factor.shift_type, start, act.beta * shifts.move(other.shift_type, begin, end)).tolist()
    if factor.shift_type != other.shift_type or not np.isfinite(moved):
        raise BadInput(
            f"{act.factor} moves by {factor.shift_type} shifts and {act.by} by {other.shift_type} ones, or has no such move; "
            "name a risk factor of the same kind."
        )
    return float(moved)


class CheckScope(BaseModel):
    """What of the stored market data is held to the gates."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    first: Day | None = Field(None, description="first date of the values that are judged; default all")
    hold: bool = Field(False, description="hold what is suspicious; default only list it")


class CheckRequest(CheckScope):
    """The gates run over what is stored."""

    gates: str | None = Field(None, description="TOML file with own parameters of the gates")


def check_market(lake: Lake, p: Parameters, first: dt.date | None = None) -> tuple[pa.Table, list[Issue], list[Issue]]:
    """Stored rows with those held that a rule suspects; the issues; and the standing holds for which no rule speaks any more.

    Values on which a person has acted are left as they are.
    """
    rows = lake.read("market_data")
    if rows.num_rows == 0:
        raise NotFound("The lake holds no market data yet; bring some in with `varlake ingest market`.")
    snapshot = lake.snapshot("risk_factors", "market_calendars")
    status = rows["status"]
    fresh = pc.is_in(status, pa.array(["observed", "missing", "held"])).to_numpy(zero_copy_only=False)
    if first is not None:
        fresh = fresh & (rows["as_of_date"].to_numpy() >= np.datetime64(first))
    held, issues = judge(rows, fresh, load_factors(snapshot), load_calendars(snapshot), p, load_actions(lake))
    was = pc.equal(status, "held").to_numpy(zero_copy_only=False)
    cleared = {(r["as_of_date"], r["risk_factor_id"]) for r in rows.filter(pa.array(was & fresh & ~held)).to_pylist()}
    over = [i for i in newest_issues(lake) if (i["as_of_date"], i["risk_factor_id"]) in cleared]
    return held_rows(rows, held & ~was), issues, over


def run_check(committer: Committer, request: CheckRequest) -> dict[str, Any]:
    """Runs the gates over what is stored: the suspicious values, those missing, and the holds no rule speaks for any more.

    Stores nothing, or holds what is suspicious where that is asked for.
    """
    lake = committer.lake
    rows, issues, cleared = check_market(lake, load_parameters(request.gates), request.first)
    held = {(i["as_of_date"], i["risk_factor_id"]) for i in newest_issues(lake) if i["state"] == "held"}
    standing = sum((i["as_of_date"], i["risk_factor_id"]) in held for i in issues)
    if request.hold:
        store_issues(committer, issues, rows)
        committer.put("market_data", rows, replace=True, note={"check": "market"})
    return {
        "held": request.hold,
        "standing": standing,
        "issues": issues,
        "cleared": cleared,
        "market_data_version": lake.version("market_data"),
    }


def _why(issue: Issue) -> str:
    approved_by = issue.get("approved_by")
    return f"{issue['reason']}, approved by {approved_by}" if approved_by else str(issue["reason"])


def notes_on(issues: Collection[Issue]) -> list[str]:
    """A line for each state of market values that an answer met: held ones were not used, the others were used by an act."""
    out = []
    for state, what in (
        ("held", "held back as suspicious and not used"),
        ("overridden", "overridden by hand"),
        ("proxied", "moved by a proxy named by hand"),
        ("released", "released by hand from a hold, and used"),
    ):
        some = [i for i in issues if i["state"] == state]
        if some:
            named = [
                f"{i['risk_factor_id']} {i['as_of_date']} ({', '.join(i['rules']) if state == 'held' else _why(i)})"
                for i in some
            ]
            n = counted(len(some), "market value is", "market values are")
            out.append(f"{n} {what}: {first_of(named, between='; ')}.")
    return out
