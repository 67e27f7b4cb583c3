"""What drives market paths, fitted to the stored market of a date: made once, kept as JSON, the same on every machine.

Risk-neutral paths have a driver for

| what                   | model                                                                    | fitted to             |
|------------------------|--------------------------------------------------------------------------|-----------------------|
| rates of a currency    | Hull-White, one factor; all curves share the factor of the discount curve | the curves of the date |
| exchange rate          | lognormal; the short rates of both currencies are its drift              | spot and both curves  |
| share, index           | lognormal; short rate less dividend yield                                | spot, curve and yield |
| commodity              | lognormal around spot x exp(cost of carry x t)                           | spot and carry        |
| credit curve or spread | forward hazard rate (spread) x a lognormal factor of mean 1 that reverts | the curve of the date |
| price index            | lognormal around its level; inflation swaps keep their rates             | its level             |

Volatilities: as given; else those stored (at the money, nearest a year; of rates those of swaptions nearest five years into five years);
else those of the history, as are all correlations. What has no driver keeps its level (a spot price its forward), and is named.
Real-world paths move every factor as in the history: the Monte Carlo of `scenarios.simulated`, on any grid of dates.
"""

from __future__ import annotations

import base64
import dataclasses
import datetime as dt
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np

from lake.arrays import Floats
from lake.canonical import canonical_json, digest
from lake.errors import BadInput, unknown
from lake.tables import Snapshot
from lake.words import first_of
from scenarios.kernels.covariance import repair, triangular_loadings
from scenarios.kernels.random_blocks import Sampling
from scenarios.market.base_market import load_base
from scenarios.market.moves import MoveRules
from scenarios.simulated import monte_carlo
from scenarios.simulated.simulated_levels import Process, SimulatedLevels
from scenarios.surfaces import coordinate, surface_of
from scenarios.types import SHARES, FactorIndex, MissingRiskFactor, RiskClass, RiskFactor, ShiftType, tenor_years
from valuation.kernels.path_models import slope, swap_rate_slope
from valuation.market import credit_curves
from valuation.market.rolled_market import Carry, currencies, currencies_of, curve_of, rate_curves
from valuation.market.scenario_market import DAYS_A_YEAR, ScenarioMarket, discount_pillars

VERSION = "paths-2"  # to be changed with any change of the levels or of how contracts are aged along them
BUSINESS_DAYS = 252.0
MEAN_REVERSION = 0.03  # of a short rate, where none is given
CREDIT_REVERSION = 0.2
_CALIBRATED = 5.0  # years: the pillar whose history stands for the rates of a currency, and the swaption that is fitted
_YIELDS = ("zero_rate", "par_yield", "swap_rate", "deposit_rate")
_SPREADS = ("credit_spread", "credit_yield")
_FLAT = (0.0, 50.0, 100.0)  # at the money: no coordinate, delta as that of a call x 100, moneyness in percent

Kind = Literal["rate", "credit", "fx", "share", "commodity", "price_index"]


@dataclass(frozen=True)
class Settings:
    """How paths are made. rate_volatilities : by currency sigma itself; volatilities : by risk factor id, or by currency for its price in
    the numeraire; mean_reversions : by currency. window : business days of history that correlations are read from."""

    measure: Literal["risk_neutral", "real_world"]
    numeraire: str
    paths: int
    seed: int
    sampling: Sampling
    window: int = 250
    mean_reversions: Mapping[str, float] = dataclasses.field(default_factory=dict)
    rate_volatilities: Mapping[str, float] = dataclasses.field(default_factory=dict)
    volatilities: Mapping[str, float] = dataclasses.field(default_factory=dict)
    credit: Literal["lognormal", "deterministic"] = "lognormal"


@dataclass(frozen=True)
class Driver:
    """What moves: `name` is a currency (rates; its price in the numeraire), a risk factor id or a credit curve. volatility a year;
    mean_reversion of rates and credit, else None. source : where the volatility is from, in words."""

    kind: Kind
    name: str
    currency: str
    volatility: float
    source: str
    mean_reversion: float | None = None


@dataclass(frozen=True)
class PathModel:
    """Everything that decides the paths. drivers : those that revert (rates, then credit) first; correlation (n, n) in their order.

    curves : discount curve by currency. unmodelled : risk factor id to why it keeps its level. real : of real-world paths the daily
    moves of the factors `moved`: shift types and loadings.
    """

    as_of: dt.date
    dates: tuple[dt.date, ...]
    settings: Settings
    index: FactorIndex
    base: Floats
    drivers: tuple[Driver, ...]
    correlation: Floats
    carry: Carry
    curves: Mapping[str, str]
    unmodelled: Mapping[str, str]
    moved: tuple[str, ...] = ()
    shift_types: tuple[str, ...] = ()
    loadings: Floats = dataclasses.field(default_factory=lambda: np.zeros((0, 0)))
    market_data_version: int | None = None

    def to_json(self) -> str:
        """All of it; floats to the bit."""
        return canonical_json(
            {
                "version": VERSION,
                "as_of": self.as_of,
                "dates": list(self.dates),
                "settings": dataclasses.asdict(self.settings),
                "index": [f.to_dict() for f in self.index.factors],
                "base": _packed(self.base),
                "drivers": [dataclasses.asdict(d) for d in self.drivers],
                "correlation": _packed(self.correlation),
                "carry": self.carry.to_dict(),
                "curves": dict(sorted(self.curves.items())),
                "unmodelled": dict(sorted(self.unmodelled.items())),
                "moved": list(self.moved),
                "shift_types": list(self.shift_types),
                "loadings": _packed(self.loadings),
                "market_data_version": self.market_data_version,
            }
        )

    @classmethod
    def from_json(cls, text: str) -> PathModel:
        told = json.loads(text)
        carry = told["carry"]
        return cls(
            dt.date.fromisoformat(told["as_of"]),
            tuple(map(dt.date.fromisoformat, told["dates"])),
            Settings(**told["settings"]),
            FactorIndex(tuple(RiskFactor.from_dict(f) for f in told["index"])),
            _unpacked(told["base"]),
            tuple(Driver(**d) for d in told["drivers"]),
            _unpacked(told["correlation"]),
            Carry(**{**carry, "cash_dividends": frozenset(carry.get("cash_dividends", ()))}),
            told["curves"],
            told["unmodelled"],
            tuple(told["moved"]),
            tuple(told["shift_types"]),
            _unpacked(told["loadings"]),
            told["market_data_version"],
        )

    def path_set_id(self) -> str:
        return digest(self.to_json())

    def base_market(self) -> ScenarioMarket:
        return ScenarioMarket(self.as_of, self.index, self.base, np.empty((len(self.base), 0)))

    def process(self) -> Process:
        """Of real-world paths: business days to each date."""
        days = np.busday_count(np.datetime64(self.as_of), np.array(self.dates, dtype="datetime64[D]")).tolist()
        s = self.settings
        return Process("normal", s.paths, tuple(max(int(d), 1) for d in days), s.sampling, s.seed, None, 1)

    def summary(self) -> dict[str, Any]:
        """The parameters as an answer prints them."""
        return {
            "version": VERSION,
            **dataclasses.asdict(self.settings),
            "drivers": {
                f"{d.kind} {d.name}": {"volatility": d.volatility, "source": d.source, **_reverts(d)}
                for d in self.drivers
            },
            "discount_curves": dict(sorted(self.curves.items())),
            "carry": self.carry.to_dict(),
            "keep_their_level": len(self.unmodelled),
        }

    def notes(self) -> tuple[str, ...]:
        notes = [
            "Between dates of the grid fixings and settlements are those of the same path, bridged from both sides."
            if self.settings.measure == "risk_neutral"
            else "Real-world paths: fixings and settlements between dates of the grid are at levels interpolated along the path."
        ]
        if self.unmodelled:
            reasons: dict[str, list[str]] = {}
            for name, why in sorted(self.unmodelled.items()):
                reasons.setdefault(why, []).append(name)
            told = "; ".join(
                f"{first_of(names, 3)} ({why})"
                for why, names in sorted(reasons.items(), key=lambda item: -len(item[1]))[:5]
            )
            notes.append(f"{len(self.unmodelled):,} risk factors keep their level along the paths: {told}.")
        return tuple(notes)


class Decided(NamedTuple):
    """What decides the values of a contract along paths: rows of risk factors, and currencies whose rates and exchange rate do."""

    rows: tuple[int, ...]
    currencies: tuple[str, ...]


class PathKeys:
    """Digests of everything that decides the values of a contract along the paths of a model, by what it reads.

    The rates of a currency that is read count with the exchange rate's driver: they discount, and are the drift of the others; those of
    the numeraire where an exchange rate is read. Of the rest what is read counts, with all pillars of a credit curve, all points of a
    surface and all dividends of a share: further ones are read as time passes.
    """

    def __init__(self, model: PathModel) -> None:
        self._model = model
        s = model.settings
        head = (VERSION, str(model.as_of), canonical_json(list(model.dates)), s.measure, s.numeraire)
        counts = canonical_json([s.paths, s.seed, s.sampling, len(model.drivers), model.loadings.shape])
        carry = model.carry
        everywhere = canonical_json([dict(sorted(carry.rates.items())), dict(sorted(model.curves.items()))])
        # by its mean reversion the draws of every driver after it depend on a rate
        reverting = canonical_json(
            [[d.kind, d.name, d.mean_reversion] for d in model.drivers if d.mean_reversion is not None]
        )
        factors = model.index.factors
        of = self._driven()
        lower = triangular_loadings(model.correlation) if len(model.correlation) else model.correlation
        self._drivers = [
            digest(canonical_json(dataclasses.asdict(d)), lower[i].tobytes()) for i, d in enumerate(model.drivers)
        ]
        self._factors = [self._factor(i, of) for i in range(len(factors))]
        self._head = digest(*head, counts, everywhere, reverting)
        self._rates: dict[str, list[int]] = {}
        for i, f in enumerate(factors):
            if f.risk_class == RiskClass.RATES:
                self._rates.setdefault(f.currency, []).append(i)
        self._groups: dict[tuple[str, str], list[int]] = {}
        for i, f in enumerate(factors):
            for group in self._groups_of(f):
                self._groups.setdefault(group, []).append(i)
        self._together = {i for i, f in enumerate(factors) if f.risk_class in (RiskClass.RATES, RiskClass.FX)}
        self._currencies = {c: self._currency(c) for c in currencies(model.index) | {s.numeraire}}

    def _currency(self, currency: str) -> str:
        """Of its rates and their driver, and of the driver of its exchange rate."""
        drivers = zip(self._drivers, self._model.drivers, strict=True)
        driven = [d for d, driver in drivers if (driver.kind, driver.name) in (("rate", currency), ("fx", currency))]
        return digest(currency, *driven, *(self._factors[i] for i in self._rates.get(currency, ())))

    def _driven(self) -> dict[str, list[int]]:
        """The drivers by the risk factor or curve that they move."""
        of: dict[str, list[int]] = {}
        for i, d in enumerate(self._model.drivers):
            of.setdefault(d.name, []).append(i)
        return of

    def _factor(self, i: int, of: Mapping[str, list[int]]) -> str:
        m, f = self._model, self._model.index.factors[i]
        name = f.risk_factor_id
        drivers = [self._drivers[k] for n in (name, f.curve or "") for k in of.get(n, ())]
        real = []
        if name in m.moved:
            row = m.moved.index(name)
            real = [m.shift_types[row], m.loadings[row].tobytes()]
        carry = canonical_json(
            [m.carry.dividend_yields.get(name), m.carry.costs.get(name), name in m.carry.cash_dividends]
        )
        return digest(canonical_json(f.to_dict()), np.float64(m.base[i]).tobytes(), carry, *drivers, *real)

    @staticmethod
    def _groups_of(f: RiskFactor) -> list[tuple[str, str]]:
        asset = dict(f.attributes).get("asset", "")
        groups = [
            ("curve", f.curve or ""),
            ("surface", surface_of(f) or ""),
            ("dividends", asset if f.type == "dividend" else ""),
        ]
        groups += [("dividends", f.risk_factor_id)] if f.type in SHARES else []
        return [g for g in groups if g[1]]

    def decided(self, risk_factors: Iterable[str]) -> Decided:
        """What decides the values of what reads these, on any later day."""
        index = self._model.index
        rows: set[int] = set()
        for name in risk_factors:
            i = index.row[name]
            rows.add(i)
            for group in self._groups_of(index.factors[i]):
                rows.update(self._groups.get(group, ()))
        found = {c for i in rows for c in currencies_of(index.factors[i])}
        if any(index.factors[i].risk_class == RiskClass.FX for i in rows):
            found.add(self._model.settings.numeraire)
        return Decided(tuple(sorted(rows)), tuple(sorted(found)))

    def closure(self, risk_factors: Iterable[str]) -> set[str]:
        """The factors that decide the values of what reads these, on any later day, and in any currency: with all rates and exchange
        rates."""
        rows = self._together.union(self.decided(risk_factors).rows)
        return {self._model.index.factors[i].risk_factor_id for i in rows}

    def of(self, pricer_version: str, risk_factors: Iterable[str]) -> str:
        """The digest of the values of a contract that reads these."""
        return self.digest_of(pricer_version, self.decided(risk_factors))

    def digest_of(self, pricer_version: str, decided: Decided) -> str:
        """The digest of the values that this decides."""
        return digest(
            pricer_version,
            self._head,
            *(self._currencies[c] for c in decided.currencies),
            *(self._factors[i] for i in decided.rows),
        )


def _reverts(driver: Driver) -> dict[str, float]:
    return {} if driver.mean_reversion is None else {"mean_reversion": driver.mean_reversion}


def _packed(values: Floats) -> dict[str, Any]:
    data = np.ascontiguousarray(values, dtype="<f8")
    return {"shape": list(data.shape), "float64": base64.b64encode(data.tobytes()).decode()}


def _unpacked(told: Mapping[str, Any]) -> Floats:
    flat = np.frombuffer(base64.b64decode(told["float64"]), dtype="<f8")
    values: Floats = flat.reshape(told["shape"]).astype(np.float64)
    return values


def fit(snapshot: Snapshot, as_of: dt.date, dates: Sequence[dt.date], settings: Settings, carry: Carry) -> PathModel:
    """The model of the market of a date. carry : what the contracts are priced with, of names that the market may lack.

    Raises `NotFound` for a date without a market, `BadInput` for a history too short to correlate, a numeraire without a curve, and
    parameters of names that are not there.
    """
    rules = MoveRules.model_validate({"market_date": as_of})
    market = load_base(snapshot, as_of, rules.calendar, rules.max_held_days)
    definition = monte_carlo.MonteCarloDefinition(
        market_date=as_of, window=settings.window, scenarios=2, max_held_days=rules.max_held_days
    )
    history = monte_carlo.generate(snapshot, definition, "paths")
    levels = history.levels
    assert isinstance(levels, SimulatedLevels)
    moves = History(history.index, levels.shift_types, levels.loadings)
    return fit_market(as_of, dates, settings, carry, market.index, market.base, moves, market.market_data_version)


@dataclass(frozen=True)
class History:
    """Daily moves of the factors in `index`: how each is measured, and loadings (n, k) on independent normals."""

    index: FactorIndex
    shift_types: tuple[str, ...]
    loadings: Floats


def fit_market(
    as_of: dt.date,
    dates: Sequence[dt.date],
    settings: Settings,
    carry: Carry,
    index: FactorIndex,
    base: Floats,
    history: History,
    market_data_version: int | None = None,
) -> PathModel:
    """As `fit`, of a market and a history at hand."""
    known, spoken = index.row, currencies(index)
    carry = Carry(
        {k: v for k, v in sorted(carry.dividend_yields.items()) if k in known},
        {k: v for k, v in sorted(carry.costs.items()) if k in known},
        {k: v for k, v in sorted(carry.rates.items()) if k in spoken},
        dict(carry.curves),
        carry.cash_dividends & known.keys(),
    )
    curves = {c: curve for c in sorted(spoken) if (curve := _usable(index, c, carry)) is not None}
    for currency, given in carry.curves.items():
        if currency in spoken and currency not in curves:
            raise unknown(f"discount curve of {currency}", given, rate_curves(index, currency))
    if settings.numeraire not in curves:
        raise unknown("numeraire, a currency with a discount curve,", settings.numeraire, curves)
    for name in (*settings.mean_reversions, *settings.rate_volatilities):
        if name not in curves:
            raise unknown("currency with a discount curve", name, curves)
    for name in settings.volatilities:
        if name not in known and name not in spoken:
            raise unknown("risk factor or currency", name, [*known, *spoken])
    if settings.measure == "real_world":
        gone = {i: "without a move in the history" for i in known if i not in history.index.row}
        return PathModel(
            as_of, tuple(dates), settings, index, base, (), np.zeros((0, 0)), carry, curves, gone,
            tuple(history.index.row), history.shift_types, history.loadings, market_data_version,
        )  # fmt: skip
    found = _Found(as_of, settings, carry, index, base, history, curves)
    found.rates()
    found.credit()
    found.prices()
    rows = np.array(found.rows).reshape(len(found.drivers), history.loadings.shape[1])
    return PathModel(
        as_of,
        tuple(dates),
        settings,
        index,
        base,
        tuple(found.drivers),
        repair(_correlation(rows), "clip").correlation if len(rows) else np.zeros((0, 0)),
        carry,
        curves,
        found.unmodelled(),
        market_data_version=market_data_version,
    )


def _usable(index: FactorIndex, currency: str, carry: Carry) -> str | None:
    curve = curve_of(index, currency, carry)
    try:
        if curve is not None:
            discount_pillars(index, curve)
    except MissingRiskFactor:
        return None
    return curve


def _correlation(rows: Floats) -> Floats:
    """Correlations (n, n) of rows of loadings (n, k), summed in a fixed order; a row that never moved is correlated with nothing."""
    products: Floats = np.einsum("ik,jk->ij", rows, rows, optimize=False)
    deviation = np.sqrt(np.diagonal(products))
    inverse = np.divide(1.0, deviation, out=np.zeros(len(rows)), where=deviation > 0)
    correlation: Floats = np.clip(products * np.outer(inverse, inverse), -1.0, 1.0)
    np.fill_diagonal(correlation, 1.0)
    return 0.5 * (correlation + correlation.T)


class _Found:
    """The drivers of a market, and a row of loadings of each."""

    def __init__(
        self,
        as_of: dt.date,
        settings: Settings,
        carry: Carry,
        index: FactorIndex,
        base: Floats,
        history: History,
        curves: Mapping[str, str],
    ) -> None:
        self.settings, self.carry, self.index, self.base, self.history = settings, carry, index, base, history
        self.curves = curves
        self.market = ScenarioMarket(as_of, index, base, np.empty((len(base), 0)))
        self.drivers: list[Driver] = []
        self.rows: list[Floats] = []
        self.why: dict[str, str] = {}
        self.driven: set[str] = set()

    def level(self, risk_factor_id: str) -> float:
        return float(self.base[self.index.row[risk_factor_id]])

    def relative(self, risk_factor_id: str) -> Floats | None:
        """Loadings of the factor's relative daily moves; None where it has no moves or its level is not positive."""
        row = self.history.index.row.get(risk_factor_id)
        if row is None:
            self.why[risk_factor_id] = "without a move in the history"
            return None
        if self.level(risk_factor_id) <= 0.0:
            self.why[risk_factor_id] = "not above zero, so that no lognormal move applies"
            return None
        scale = 1.0 / self.level(risk_factor_id) if self.history.shift_types[row] == ShiftType.ABSOLUTE else 1.0
        scaled: Floats = self.history.loadings[row] * scale
        return scaled

    def rates(self) -> None:
        for currency, curve in self.curves.items():
            pillars = [
                f
                for f in discount_pillars(self.index, curve)
                if f.type in _YIELDS and f.risk_factor_id in self.history.index.row
            ]
            given = self.settings.rate_volatilities.get(currency)
            a = self.settings.mean_reversions.get(currency, MEAN_REVERSION)
            if not pillars:
                self.why |= {f.risk_factor_id: "its curve has no yield with a history" for f in self.index.curve(curve)}
                continue
            pillar = min(pillars, key=lambda f: (abs(tenor_years(f.pillar or "") - _CALIBRATED), f.risk_factor_id))
            loadings = self.history.loadings[self.history.index.row[pillar.risk_factor_id]]
            tenor = tenor_years(pillar.pillar or "")
            stored = self._swaption_volatility(currency, curve, a) if given is None else None
            if given is not None:
                volatility, source = given, "given"
            elif stored is not None:
                volatility, source = stored
            else:
                moved = math.sqrt(math.fsum((loadings * loadings).tolist()) * BUSINESS_DAYS)
                volatility = moved * tenor / float(slope(a, np.array([tenor]))[0])
                source = f"history of {pillar.risk_factor_id}"
            self.add(Driver("rate", currency, currency, volatility, source, a), loadings)
        for f in self.index.factors:
            if f.curve and f.currency in {d.name for d in self.drivers} and f.type not in credit_curves.TYPES:
                self.driven.add(f.risk_factor_id)

    def _swaption_volatility(self, currency: str, curve: str, a: float) -> tuple[float, str] | None:
        """Sigma from the normal volatility of swaptions nearest five years into five years, or of the short rate itself."""
        named = [f for f in self.index.factors if f.type == "normal_vol" and f.currency == currency]
        swaptions = [f for f in named if "swaption" in f"{f.risk_factor_id} {surface_of(f)}".lower()]
        if swaptions:
            f = min(swaptions, key=lambda f: (self._distance(f, _CALIBRATED), f.risk_factor_id))
            expiry = tenor_years(dict(f.attributes).get("expiry", "5Y"))
            starts = np.arange(0.0, _CALIBRATED + 0.5)
            discounts = self.market.discount(curve, expiry + starts)[:, 0]
            steepness = swap_rate_slope(a, starts, discounts / discounts[0], np.ones(len(starts) - 1))
            reached = float(slope(2.0 * a, np.array([expiry]))[0])
            return self.level(f.risk_factor_id) * math.sqrt(
                expiry / reached
            ) / steepness, f"{f.risk_factor_id}, into five years"
        short = [f for f in named if "short_rate" in f.risk_factor_id.lower()]
        return (self.level(short[0].risk_factor_id), short[0].risk_factor_id) if short else None

    def _distance(self, f: RiskFactor, years: float) -> tuple[float, float]:
        """How far a point of a volatility surface is from an expiry, and from the money."""
        attributes = dict(f.attributes)
        expiry = tenor_years(attributes["expiry"]) if "expiry" in attributes else years
        if "delta" in attributes:
            away = abs(coordinate("delta", attributes["delta"]) - 0.5)
        elif "moneyness" in attributes:
            away = abs(coordinate("moneyness", attributes["moneyness"]) / 100.0 - 1.0)
        else:
            away = 0.0 if "strike" not in attributes else 1.0
        return abs(math.log(expiry / years)), away

    def credit(self) -> None:
        named: dict[str, tuple[str, list[RiskFactor]]] = {}
        for f in self.index.factors:
            if f.type in credit_curves.TYPES and f.curve:
                named.setdefault(f.curve, (f.currency, []))[1].append(f)
            elif f.type in _SPREADS:
                named[f.risk_factor_id] = (f.currency, [f])
        for name, (currency, factors) in sorted(named.items()):
            if self.settings.credit == "deterministic":
                self.why |= {f.risk_factor_id: "credit is deterministic" for f in factors}
                continue
            nearest = min(factors, key=lambda f: (abs(tenor_years(f.pillar or "5Y") - _CALIBRATED), f.risk_factor_id))
            loadings = self.relative(nearest.risk_factor_id)
            if loadings is None:
                self.why |= {f.risk_factor_id: self.why[nearest.risk_factor_id] for f in factors}
                continue
            volatility, source = self._volatility(nearest.risk_factor_id, nearest.risk_factor_id, loadings)
            self.add(Driver("credit", name, currency, volatility, source, CREDIT_REVERSION), loadings)
            self.driven |= {f.risk_factor_id for f in factors}

    def prices(self) -> None:
        numeraire = self.settings.numeraire
        for currency in sorted(currencies(self.index) - {numeraire}):
            self._exchange_rate(currency, numeraire)
        for f in sorted(self.index.factors, key=lambda f: f.risk_factor_id):
            kind: Kind | None = (
                "share"
                if f.type in SHARES
                else {"commodity_price": "commodity", "price_index": "price_index"}.get(f.type)  # type: ignore[assignment]
            )
            if kind is None:
                continue
            if kind == "share" and f.currency not in self.curves and f.currency not in self.carry.rates:
                self.why[f.risk_factor_id] = f"no discount curve in {f.currency}, and no rate given"
                continue
            loadings = self.relative(f.risk_factor_id)
            if loadings is not None:
                volatility, source = self._volatility(f.risk_factor_id, f.risk_factor_id, loadings)
                self.add(Driver(kind, f.risk_factor_id, f.currency, volatility, source), loadings)
                self.driven.add(f.risk_factor_id)

    def _exchange_rate(self, currency: str, numeraire: str) -> None:
        try:
            legs = self.index.fx_path(currency, numeraire)
        except MissingRiskFactor:
            return
        total = np.zeros(self.history.loadings.shape[1])
        for risk_factor_id, power in legs:
            loadings = self.relative(risk_factor_id)
            if loadings is None:
                return
            total = total + power * loadings
        if currency not in self.curves and currency not in self.carry.rates:
            self.why |= {legs[0][0]: f"no discount curve in {currency}, and no rate given"}
            return
        pair = legs[0][0] if len(legs) == 1 else ""
        volatility, source = self._volatility(currency, pair, total)
        self.add(Driver("fx", currency, numeraire, volatility, source), total)

    def _volatility(self, name: str, asset: str, loadings: Floats) -> tuple[float, str]:
        if name in self.settings.volatilities:
            return self.settings.volatilities[name], "given"
        stored = [
            f
            for f in self.index.factors
            if f.type == "implied_vol"
            and asset
            and dict(f.attributes).get("asset") == asset
            and self.level(f.risk_factor_id) > 0
        ]
        if stored:
            f = min(stored, key=lambda f: (self._distance(f, 1.0), f.risk_factor_id))
            return self.level(f.risk_factor_id), f.risk_factor_id
        moved = math.sqrt(math.fsum((loadings * loadings).tolist()) * BUSINESS_DAYS)
        return moved, "history"

    def add(self, driver: Driver, loadings: Floats) -> None:
        if not math.isfinite(driver.volatility) or driver.volatility < 0.0:
            raise BadInput(
                f"The volatility of {driver.kind} {driver.name} came out as {driver.volatility} ({driver.source}); give one."
            )
        self.drivers.append(driver)
        self.rows.append(loadings)

    def unmodelled(self) -> dict[str, str]:
        """By id why a factor keeps its level."""
        prices = {d.name for d in self.drivers if d.kind == "fx"} | {self.settings.numeraire}
        out = {}
        for f in self.index.factors:
            name = f.risk_factor_id
            if name in self.driven or (f.type == "fx_rate" and {name[-6:-3], name[-3:]} <= prices):
                continue
            out[name] = self.why.get(name) or (
                "volatilities stay" if f.type.endswith("_vol") else f"no model moves a {f.type.replace('_', ' ')}"
            )
        return out


def years_between(first: dt.date, last: dt.date) -> float:
    return (last - first).days / DAYS_A_YEAR
