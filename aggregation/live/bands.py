"""Bands: the moving mean of a risk factor's levels plus or minus k standard deviations, and the levels that leave it."""

from __future__ import annotations

import bisect
import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Band:
    """A row of `alarm_bands`."""

    version: int
    holds_from: dt.datetime
    deviations: float
    window: int
    min_interval_seconds: int
    complete: bool


@dataclass(frozen=True)
class Alarm:
    """A level that left its band. mean, deviation : of the `window` levels before it."""

    risk_factor_id: str
    at: dt.datetime
    level: float
    mean: float
    deviation: float
    band: Band

    @property
    def reason(self) -> str:
        away = abs(self.level - self.mean)
        told = (
            f"{away / self.deviation:.1f} standard deviations" if self.deviation else "off levels that all were alike"
        )
        side = "above" if self.level > self.mean else "below"
        return (
            f"{self.level:.9g} is {told} {side} the mean {self.mean:.9g} of the {self.band.window} levels before; the band is "
            f"{self.band.deviations:g}."
        )


@dataclass
class _Series:
    at: list[dt.datetime] = field(default_factory=list)
    level: list[float] = field(default_factory=list)
    alarms: list[Alarm] = field(default_factory=list)


class Bands:
    """The levels of a day, and the alarms among them."""

    def __init__(self, bands: Sequence[Band]) -> None:
        self._bands = sorted(bands, key=lambda b: (b.holds_from, b.version))
        self._of: dict[str, _Series] = {}

    def take(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Takes rows of `intraday_levels` in, in any order; carried levels are no levels of their own."""
        late: set[str] = set()
        for row in rows:
            if row["carried_seconds"] or row["level"] is None:
                continue
            series = self._of.setdefault(row["risk_factor_id"], _Series())
            place = bisect.bisect_left(series.at, row["bucket_end"])
            if place < len(series.at) and series.at[place] == row["bucket_end"]:
                series.level[place] = row["level"]
                late.add(row["risk_factor_id"])
            else:
                series.at.insert(place, row["bucket_end"])
                series.level.insert(place, row["level"])
                if place + 1 < len(series.at):
                    late.add(row["risk_factor_id"])
                elif row["risk_factor_id"] not in late:
                    self._look(row["risk_factor_id"], series, place)
        for factor in sorted(late):
            series = self._of[factor]
            series.alarms.clear()
            for place in range(len(series.at)):
                self._look(factor, series, place)

    def _look(self, factor: str, series: _Series, place: int) -> None:
        at, level = series.at[place], series.level[place]
        band = next((b for b in reversed(self._bands) if b.holds_from < at), None)
        if band is None or place < band.window:
            return
        if series.alarms and (at - series.alarms[-1].at).total_seconds() < band.min_interval_seconds:
            return
        before = np.array(series.level[place - band.window : place])
        mean, deviation = float(before.mean()), float(before.std())
        if abs(level - mean) > band.deviations * deviation:
            series.alarms.append(Alarm(factor, at, level, mean, deviation, band))

    @property
    def alarms(self) -> list[Alarm]:
        """Those of the day, by instant and factor."""
        found = (a for s in self._of.values() for a in s.alarms)
        return sorted(found, key=lambda a: (a.at, a.risk_factor_id))
