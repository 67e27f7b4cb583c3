"""The covariance of intraday levels over the last buckets before an instant, stored as a covariance that was brought in is."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Annotated, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator

from lake.arrays import Bools, Floats, Ints
from lake.committer import Committer
from lake.errors import BadInput, NotFound, counted
from lake.landing.orders import instant
from lake.tables import Lake
from lake.words import first_of
from scenarios.kernels.alignment import log_returns
from scenarios.kernels.covariance import estimate, least_eigenvalue
from scenarios.market.covariances import MOST_FACTORS, CovarianceReport, StoredCovariance, put_covariance
from scenarios.market.history import load_calendars, load_factors
from scenarios.market.intraday import LONGEST
from scenarios.market.session_hours import session_hours
from scenarios.types import POSITIVE_TYPES, FactorIndex

_SECOND = 1_000_000


def _instant(value: Any) -> dt.datetime:
    return instant(value.isoformat() if isinstance(value, dt.datetime) else str(value))


class IntradayCovarianceRequest(BaseModel):
    """Of which buckets of intraday levels a covariance is made, and under which name it is stored."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    matrix: str = Field(pattern=r"^[\w.:-]{1,80}$", description="name of the matrix; one of that name is replaced")
    as_of: Annotated[dt.datetime, BeforeValidator(_instant)] = Field(
        description="the instant up to which buckets count, with its zone, such as 2020-03-16T15:30:00-04:00"
    )
    window: int = Field(60, ge=2, le=86_400, description="moves from bucket to bucket that it is made of, the latest")
    stale_seconds: int = Field(
        300, ge=0, le=86_400, description="a factor whose level has been carried for longer at the end is left out"
    )
    factors: tuple[str, ...] = Field((), description="risk factors; all that have levels where none are given")

    @field_validator("factors", mode="before")
    @classmethod
    def _listed(cls, value: Any) -> Any:
        return tuple(value.split(",")) if isinstance(value, str) else value


def store_intraday_covariance(committer: Committer, asked: IntradayCovarianceRequest) -> CovarianceReport:
    """Makes and stores the covariance of moves of a session: that of bucket moves times the buckets of each factor's session.

    Levels that are positive by nature move by logarithm, which is a relative move, others by difference. A factor that lacks a level in the
    window, is halted or stale at its end, or does not move in it, is left out and told. Raises `NotFound` where there are no levels, and
    `BadInput` where no two factors are left or buckets are of several lengths.
    """
    lake = committer.lake
    index = load_factors(lake.snapshot("risk_factors"))
    for factor in asked.factors:
        index.require(factor)
    rows = _rows(lake, asked)
    seconds = _one_length(rows)
    rows = rows.filter(pc.equal(rows["bucket_seconds"], seconds))
    names, levels, carried, halted = _by_bucket(rows, asked, seconds)
    positive = np.array([index.factors[index.row[n]].type in POSITIVE_TYPES for n in names])
    with np.errstate(invalid="ignore"):
        moves = np.where(positive[:, None], log_returns(levels), np.diff(levels, axis=1))
    reasons = {
        "without a level in every bucket of the window": ~np.isfinite(moves).all(axis=1),
        "halted": halted,
        f"stale: carried for more than {asked.stale_seconds} s": carried > asked.stale_seconds,
        "without a move": np.nan_to_num(np.ptp(moves, axis=1)) == 0.0,
    }
    kept, notes = _left_out(names, reasons)
    if not 2 <= kept.sum() <= MOST_FACTORS:
        left = counted(int(kept.sum()), "risk factor is", "risk factors are")
        wanted = f"a covariance has 2 to {MOST_FACTORS:,}"
        raise BadInput(" ".join([f"{left} left of {len(names):,}; {wanted}.", *notes]))
    names = [n for n, k in zip(names, kept, strict=True) if k]
    found = estimate(np.ascontiguousarray(moves[kept].T), "sample")
    deviation = found.deviation * np.sqrt(_buckets_a_session(lake, index, names, rows, seconds))
    latest = pc.max(rows["bucket_end"]).as_py()
    stored = StoredCovariance(
        asked.matrix,
        tuple(names),
        tuple("relative" if p else "absolute" for p in positive[kept]),
        found.correlation * deviation[:, None] * deviation,
        "1",
        1,
        least_eigenvalue(found.correlation),
        None,
        f"intraday levels to {latest:%Y-%m-%dT%H:%M:%SZ}, {asked.window} moves of {seconds} s",
    )
    notes.append("Moves of a session: what happens between sessions is not in it.")
    return put_covariance(committer, stored, stored.file, "1", notes)


def _rows(lake: Lake, asked: IntradayCovarianceRequest) -> pa.Table:
    """The levels of the days about the instant, up to it."""
    day = asked.as_of.astimezone(dt.UTC).date()
    where = ds.field("bucket_end") <= pa.scalar(asked.as_of, pa.timestamp("us", "UTC"))
    if asked.factors:
        where &= ds.field("risk_factor_id").isin(list(asked.factors))
    around = [day + dt.timedelta(days=d) for d in (-1, 0, 1)]
    rows = lake.read("intraday_levels", where=where, among={"date": around})
    if not rows.num_rows:
        dates = sorted(lake.rows_by("intraday_levels", "date"))
        there = (
            f"levels are there of {first_of(map(str, dates))}"
            if dates
            else "bring ticks in with `varlake ingest ticks`"
        )
        raise NotFound(f"The lake holds no intraday levels up to {asked.as_of.isoformat()} on that day; {there}.")
    return rows


def _one_length(rows: pa.Table) -> int:
    """The seconds of the latest buckets."""
    latest = pc.subtract(pc.max(rows["bucket_end"]), pa.scalar(dt.timedelta(seconds=LONGEST)))
    lengths = sorted(pc.unique(rows.filter(pc.greater(rows["bucket_end"], latest))["bucket_seconds"]).to_pylist())
    if len(lengths) > 1:
        said = ", ".join(f"{n} s" for n in lengths)
        raise BadInput(
            f"Levels are of buckets of {said}; name factors of one length, or bring their ticks in with one length."
        )
    return int(lengths[0])


def _by_bucket(rows: pa.Table, asked: IntradayCovarianceRequest, seconds: int) -> tuple[list[str], Floats, Ints, Bools]:
    """Factors, levels (n, window + 1) with NaN where there is none, and for the last bucket seconds carried and whether halted (n,)."""
    factor = rows["risk_factor_id"].combine_chunks().dictionary_encode()
    ends = rows["bucket_end"].cast(pa.int64()).to_numpy()
    at = asked.window - (ends.max() - ends) // (seconds * _SECOND)
    code = factor.indices.to_numpy()
    inside = at >= 0
    names = factor.dictionary.to_pylist()
    shape = (len(names), asked.window + 1)
    levels, carried, halted = np.full(shape, np.nan), np.zeros(shape, np.int64), np.zeros(shape, bool)
    place = (code[inside], at[inside])
    levels[place] = rows["level"].to_numpy()[inside]
    carried[place] = rows["carried_seconds"].to_numpy()[inside]
    halted[place] = rows["halted"].to_numpy()[inside]
    order = np.argsort(names)
    return [names[i] for i in order], levels[order], carried[order, -1], halted[order, -1]


def _left_out(names: list[str], reasons: Mapping[str, Bools]) -> tuple[Bools, list[str]]:
    kept, notes = np.ones(len(names), dtype=bool), []
    for reason, mask in reasons.items():
        first = mask & kept
        if first.any():
            told = first_of((names[i] for i in np.flatnonzero(first)), 3)
            notes.append(f"Left out, {reason}: {told}.")
        kept &= ~mask
    return kept, notes


def _buckets_a_session(lake: Lake, index: FactorIndex, names: list[str], rows: pa.Table, seconds: int) -> Floats:
    """How many buckets the session of each factor has on the day, (n,)."""
    calendars, day = load_calendars(lake.snapshot("market_calendars")), pc.max(rows["date"]).as_py()
    out = np.empty(len(names))
    for i, name in enumerate(names):
        hours = session_hours(calendars.of_source.get(index.factors[index.row[name]].source), day, day)
        at = int(np.abs(hours.days - np.datetime64(day)).argmin())
        out[i] = (hours.closes[at] - hours.opens[at]) / (seconds * _SECOND)
    return out
