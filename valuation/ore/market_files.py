"""The base market as ORE's files, for the trades of a portfolio: quotes, curve configuration, conventions, pricing engines.

What a trade reads is stated as `facts`, and a trade whose facts contradict those of one before it cannot be added.

- Curves are quoted as discount factors on the days around each of their nodes, so that both agree on every day.
- Exchange rates have no spot lag, rates of a term fix on the first day of their period, times are Act/365F.
- A dividend yield is a flat dividend curve, a cost of carry a forward price on the last day of each trade.

Source: Open Source Risk Engine, *User Guide*, ch. "Market data", "Curve configurations".
"""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from valuation.books.trade_files.ore_names import NotWritten
from valuation.books.trade_files.ore_portfolio import HeldTrade, trade_content, write_xml
from valuation.market.scenario_market import DAYS_A_YEAR, ScenarioMarket
from valuation.ore.facts import Facts, exchange_rate, facts, last_day

_BEYOND = 1000  # days after the last trade's: payments move on, and the period of a rate may end later


class OreMarket:
    """What ORE has to know of the base market for the trades that are added."""

    def __init__(self, market: ScenarioMarket, currency: str) -> None:
        """currency : into which ORE converts."""
        self._market = market
        self._currency = currency
        self._facts: Facts = {}
        self._last = market.valuation_date

    def add(self, held: HeldTrade) -> None:
        """A trade that is to be valued; raises `NotWritten` for one that ORE cannot value as it is, or not beside those before it.

        Raises `MissingRiskFactor` for a currency without an exchange rate.
        """
        trade_content(held)
        if re.search(r'[",]', held.trade_id):
            raise NotWritten("its id has a comma or a quotation mark, which ORE's tables do not keep apart")
        terms: Any = held.terms
        if re.search(r"[/,\s]", getattr(terms, "underlying", "")):
            raise NotWritten(f"its underlying {terms.underlying} cannot stand in the name of a quote of ORE's")
        last = last_day(terms)
        if last <= self._market.valuation_date:
            raise NotWritten(f"its last day is {last}, and ORE holds it for matured then")
        found = facts(terms, self._market)
        for currency in {terms.currency, getattr(terms, "base_currency", terms.currency)} - {self._currency}:
            found |= exchange_rate(self._market, currency, self._currency)
        for key, value in found.items():
            if self._facts.get(key, value) != value:
                raise NotWritten(
                    f"the {' '.join(map(str, key))} is {value} for it and {self._facts[key]} for a trade before it; ORE has one"
                )
        self._facts |= found
        # of an option on a swap the swap is read, too
        self._last = max(self._last, last, getattr(terms, "maturity", last))

    def simulate(self, currency: str, index: str) -> None:
        """Rates of the currency are to be simulated: ORE's model looks for volatilities of its swaps, whose floating rate is `index`."""
        self._facts[("rate of swaps in", currency, index)] = currency

    def write(self, folder: Path) -> None:
        """Writes everything that ORE reads but the portfolio, `portfolio.xml`."""
        quotes: dict[str, float] = {f"FX/RATE/{p[:3]}/{p[3:]}": rate for p, rate in self._of("exchange rate of")}
        curves = [
            (name[:3], name, curve)
            for what in ("discount curve of", "projection curve of")
            for name, curve in self._of(what)
        ] + [(currency, curve, curve) for curve, currency in self._of("reference curve")]
        prices, commodities = dict(self._of("share")), dict(self._of("commodity"))
        currencies = {name: read[0] for name, read in prices.items()} | commodities
        recovery = dict(self._of("recovery of"))
        # the model of the short rate is told its parameters, and looks for volatilities all the same
        swaptions = dict.fromkeys(self._swap_rates(), ("normal", 0.0, 0.01)) | dict(self._of("swaption volatility of"))
        configured = {
            "YieldCurves": {"YieldCurve": [self._curve(quotes, *curve) for curve in curves]},
            "DefaultCurves": {
                "DefaultCurve": [
                    self._default_curve(quotes, name, currency, curve, recovery[name])
                    for name, (currency, curve) in self._of("default curve of")
                ]
            },
            "SwaptionVolatilities": {"SwaptionVolatility": [_swaptions(quotes, *f) for f in sorted(swaptions.items())]},
            "CapFloorVolatilities": {"CapFloorVolatility": [_caps(quotes, *f) for f in self._of("cap volatility of")]},
            "FXVolatilities": {
                "FXVolatility": [self._pair(quotes, *found) for found in self._dated("exchange volatility of")]
            },
            "EquityCurves": {"EquityCurve": [self._share(quotes, name, *read) for name, read in prices.items()]},
            "EquityVolatilities": {
                "EquityVolatility": [
                    _price_volatility(quotes, "EQUITY_OPTION", name, dated, currencies[name])
                    for name, dated in self._dated("volatility of")
                ]
            },
            "Securities": {"Security": [_security(quotes, name, spread) for name, spread in self._of("security")]},
            "CommodityCurves": {
                "CommodityCurve": [
                    _commodity(quotes, name, dated, commodities[name])
                    for name, dated in self._dated("forward price of")
                ]
            },
            "CommodityVolatilities": {
                "CommodityVolatility": [
                    _price_volatility(quotes, "COMMODITY_OPTION", name, dated, currencies[name])
                    for name, dated in self._dated("commodity volatility of")
                ]
            },
        }
        write_xml(folder / "curveconfig.xml", "CurveConfiguration", configured)
        write_xml(folder / "conventions.xml", "Conventions", self._conventions())
        write_xml(folder / "todaysmarket.xml", "TodaysMarket", self._todaysmarket())
        write_xml(folder / "pricingengine.xml", "PricingEngines", {"Product": self._engines()})
        write_xml(folder / "ore.xml", "ORE", self._run())
        day = self._market.valuation_date
        (folder / "market.txt").write_text("".join(f"{day} {name} {value!r}\n" for name, value in quotes.items()))
        fixings = [(index, when, rate) for index, dated in self._dated("fixing of") for when, rate in dated.items()]
        (folder / "fixings.txt").write_text(
            "".join(f"{when} {index} {rate!r}\n" for index, when, rate in fixings) or "\n"
        )

    def _of(self, what: str) -> list[tuple[str, Any]]:
        return sorted((k[1], v) for k, v in self._facts.items() if k[0] == what)

    def _dated(self, what: str) -> list[tuple[str, dict[dt.date, float]]]:
        found: dict[str, dict[dt.date, float]] = {}
        for key in sorted(k for k in self._facts if k[0] == what):
            found.setdefault(key[1], {})[key[3]] = self._facts[key]
        return list(found.items())

    def _swap_rates(self) -> dict[str, str]:
        """By currency of a model of the short rate, one of the floating rates in it."""
        return {k[1]: k[2] for k in sorted(k for k in self._facts if k[0] == "rate of swaps in")}

    def _days(self, nodes: Any) -> list[int]:
        """The days before and after each node, by their distance from the valuation date, the last one beyond all trades."""
        beyond = (self._last - self._market.valuation_date).days + _BEYOND
        around = {d for node in nodes.tolist() for d in (math.floor(node), math.ceil(node)) if 0 < d < beyond}
        return sorted(around | {1, beyond})

    def _default_curve(
        self, quotes: dict[str, float], name: str, currency: str, curve: str, recovery: float
    ) -> dict[str, Any]:
        """Hazard rates that are constant between the days around each node."""
        days = self._days(self._market.nodes(curve) * DAYS_A_YEAR)
        survival = self._market.survival(curve, np.array(days) / DAYS_A_YEAR)[:, 0].tolist()
        kept = f"RECOVERY_RATE/RATE/{name}/SR/{currency}"
        own, before, since = {}, 1.0, 0
        for d, alive in zip(days, survival, strict=True):
            own[f"HAZARD_RATE/RATE/{name}/SR/{currency}/{d}D"] = math.log(before / alive) * DAYS_A_YEAR / (d - since)
            before, since = alive, d
        quotes |= {**own, kept: recovery}
        return {
            **_named(name, currency),
            "Type": "HazardRate",
            "DiscountCurve": "",
            "DayCounter": "A365",
            "RecoveryRate": kept,
            "Quotes": {"Quote": [*own]},
            "Conventions": _CDS,
            "Extrapolation": True,
        }

    def _curve(self, quotes: dict[str, float], currency: str, name: str, curve: str | float) -> dict[str, Any]:
        """The days before and after a node: between them lies no day, and the curve's own segments are on either side.

        curve : or a continuous rate.
        """
        days = self._days(self._market.nodes(curve) * DAYS_A_YEAR if isinstance(curve, str) else np.empty(0))
        times = np.array(days) / DAYS_A_YEAR
        factors = (
            self._market.discount(curve, times)[:, 0] if isinstance(curve, str) else np.exp(-curve * times)
        ).tolist()
        dates = [self._market.valuation_date + dt.timedelta(days=d) for d in days]
        own = {f"DISCOUNT/RATE/{currency}/{name}/{date}": factor for date, factor in zip(dates, factors, strict=True)}
        quotes |= own
        return {
            **_named(name, currency),
            "DiscountCurve": "",
            "Segments": {"Direct": {"Type": "Discount", "Quotes": {"Quote": [*own]}}},
            "InterpolationVariable": "Discount",
            "InterpolationMethod": "LogLinear",
            "YieldCurveDayCounter": "A365",
            "Extrapolation": True,
        }

    def _pair(self, quotes: dict[str, float], pair: str, dated: Mapping[dt.date, float]) -> dict[str, Any]:
        base, quote = pair[:3], pair[3:]
        tenors = {f"{(date - self._market.valuation_date).days}D": vol for date, vol in dated.items()}
        quotes |= {f"FX_OPTION/RATE_LNVOL/{base}/{quote}/{tenor}/ATM": vol for tenor, vol in tenors.items()}
        return {
            "CurveId": pair,
            "CurveDescription": "",
            "Dimension": "ATM",
            "Expiries": ",".join(tenors),
            "FXSpotID": f"FX/{base}/{quote}",
            "FXForeignCurveID": f"Yield/{base}/{base}",
            "FXDomesticCurveID": f"Yield/{quote}/{quote}",
            "DayCounter": "A365",
            "Calendar": "NullCalendar",
        }

    def _share(
        self, quotes: dict[str, float], name: str, currency: str, price: float, dividend_yield: float
    ) -> dict[str, Any]:
        spot = f"EQUITY/PRICE/{name}/{currency}"
        dividends = f"EQUITY_DIVIDEND/RATE/{name}/{currency}/{self._last}"
        quotes |= {spot: price, dividends: dividend_yield}
        return {
            **_named(name, currency),
            "ForecastingCurve": currency,
            "Type": "DividendYield",
            "SpotQuote": spot,
            "Quotes": {"Quote": dividends},
            "DayCounter": "A365",
            "DividendInterpolation": {"InterpolationVariable": "Zero", "InterpolationMethod": "Linear"},
            "DividendExtrapolation": True,
            "Extrapolation": True,
        }

    def _conventions(self) -> dict[str, Any]:
        calendars = dict(self._of("calendar of"))
        return {
            "IborIndex": [
                {
                    "Id": index,
                    "FixingCalendar": calendars.get(index, "NullCalendar"),
                    "DayCounter": day_count,
                    "SettlementDays": 0,
                    "BusinessDayConvention": "MF" if index in calendars else "U",
                    "EndOfMonth": False,
                }
                for index, day_count in self._of("day count of")
            ],
            "OvernightIndex": [
                {"Id": index, "FixingCalendar": calendar, "DayCounter": day_count, "SettlementDays": 0}
                for index, (day_count, calendar) in self._of("overnight rate")
            ],
            "Swap": [
                {
                    "Id": f"{currency}-SWAP",
                    "FixedCalendar": "NullCalendar",
                    "FixedFrequency": "Annual",
                    "FixedConvention": "U",
                    "FixedDayCounter": "A365",
                    "Index": index,
                }
                for currency, index in self._swap_rates().items()
            ],
            "SwapIndex": [
                {"Id": f"{currency}-CMS-{tenor}", "Conventions": f"{currency}-SWAP"}
                for currency in self._swap_rates()
                for tenor in _TENORS
            ],
            "CDS": [
                {
                    "Id": _CDS,
                    "SettlementDays": 0,
                    "Calendar": "NullCalendar",
                    "Frequency": "Quarterly",
                    "PaymentConvention": "F",
                    "Rule": "CDS2015",
                    "DayCounter": "A360",
                    "SettlesAccrual": True,
                    "PaysAtDefaultTime": True,
                }
            ],
            "FX": [
                {
                    "Id": f"{pair[:3]}-{pair[3:]}-FX",
                    "SpotDays": 0,
                    "SourceCurrency": pair[:3],
                    "TargetCurrency": pair[3:],
                    "PointsFactor": 1,
                    "AdvanceCalendar": "NullCalendar",
                    "SpotRelative": False,
                }
                for pair, _ in self._of("exchange rate of")
            ],
        }

    def _todaysmarket(self) -> dict[str, Any]:
        """Where each thing's configuration is found."""

        def entries(key: str, names: Mapping[str, str]) -> list[dict[str, str]]:
            return [{f"@{key}": name, "": spec} for name, spec in names.items()]

        pairs = [p for p, _ in self._of("exchange rate of")]
        currency = {name: read[0] for name, read in self._of("share")} | dict(self._of("commodity"))
        lists = {
            "DiscountingCurves": (
                "DiscountingCurve",
                "currency",
                {c: f"Yield/{c}/{c}" for c, _ in self._of("discount curve of")},
            ),
            "IndexForwardingCurves": (
                "Index",
                "name",
                {i: f"Yield/{i[:3]}/{i}" for i, _ in self._of("projection curve of")},
            ),
            "YieldCurves": (
                "YieldCurve",
                "name",
                {n: f"Yield/{c}/{n}" for n, c in self._of("reference curve")},
            ),
            "DefaultCurves": (
                "DefaultCurve",
                "name",
                {n: f"Default/{read[0]}/{n}" for n, read in self._of("default curve of")},
            ),
            "Securities": ("Security", "name", {n: f"Security/{n}" for n, _ in self._of("security")}),
            "SwaptionVolatilities": (
                "SwaptionVolatility",
                "key",
                {
                    c: f"SwaptionVolatility/{c}/{c}"
                    for c in sorted({*self._swap_rates(), *(c for c, _ in self._of("swaption volatility of"))})
                },
            ),
            "CapFloorVolatilities": (
                "CapFloorVolatility",
                "key",
                {i: f"CapFloorVolatility/{i[:3]}/{i}" for i, _ in self._of("cap volatility of")},
            ),
            "FxSpots": ("FxSpot", "pair", {p: f"FX/{p[:3]}/{p[3:]}" for p in pairs}),
            "FxVolatilities": (
                "FxVolatility",
                "pair",
                {p: f"FXVolatility/{p[:3]}/{p[3:]}/{p}" for p, _ in self._dated("exchange volatility of")},
            ),
            "EquityCurves": ("EquityCurve", "name", {n: f"Equity/{currency[n]}/{n}" for n, _ in self._of("share")}),
            "EquityVolatilities": (
                "EquityVolatility",
                "name",
                {n: f"EquityVolatility/{currency[n]}/{n}" for n, _ in self._dated("volatility of")},
            ),
            "CommodityCurves": (
                "CommodityCurve",
                "name",
                {n: f"Commodity/{currency[n]}/{n}" for n, _ in self._of("commodity")},
            ),
            "CommodityVolatilities": (
                "CommodityVolatility",
                "name",
                {n: f"CommodityVolatility/{currency[n]}/{n}" for n, _ in self._dated("commodity volatility of")},
            ),
        }
        used = {name: (element, key, names) for name, (element, key, names) in lists.items() if names}
        swap_indexes = [
            {"@name": f"{currency}-CMS-{tenor}", "Discounting": index}
            for currency, index in self._swap_rates().items()
            for tenor in _TENORS
        ]
        swaps = {"SwapIndexCurves": swap_indexes} if swap_indexes else {}
        return {
            "Configuration": {"@id": "default", **{f"{name}Id": "default" for name in (*used, *swaps)}},
            **{name: {"@id": "default", element: entries(key, names)} for name, (element, key, names) in used.items()},
            **{name: {"@id": "default", "SwapIndex": entries_of} for name, entries_of in swaps.items()},
        }

    def _engines(self) -> list[dict[str, Any]]:
        short_rates = {
            f"{name}_{currency}": value
            for currency, read in self._of("short rate of")
            for name, value in zip(("Reversion", "Volatility"), read, strict=True)
        }
        model = {
            "Calibration": "None", "CalibrationStrategy": "None", "Reversion": 0.0, "ReversionType": "HullWhite", "Volatility": 0.0,
            "VolatilityType": "HullWhite", "ShiftHorizon": 0.5, "Tolerance": 1.0, **short_rates,
        }  # fmt: skip
        grid = {"sy": 6.0, "ny": 60, "sx": 6.0, "nx": 60}
        return [_engine(kind, model, {}, engine, given) for kind, (model, engine, given) in _ENGINES.items()] + [
            _engine("BermudanSwaption", "LGM", model, "Grid", grid)
        ]

    def _run(self) -> dict[str, Any]:
        setup = {
            "asofDate": self._market.valuation_date, "baseCurrency": self._currency, "inputPath": ".", "outputPath": ".",
            "logFile": "log.txt",
            "logMask": 15, "marketDataFile": "market.txt", "fixingDataFile": "fixings.txt", "curveConfigFile": "curveconfig.xml",
            "conventionsFile": "conventions.xml", "marketConfigFile": "todaysmarket.xml", "pricingEnginesFile": "pricingengine.xml",
            "portfolioFile": "portfolio.xml", "implyTodaysFixings": "N", "continueOnError": True,
        }  # fmt: skip
        npv = {"active": "Y", "baseCurrency": self._currency, "outputFileName": "npv.csv"}
        parameters = [[{"@name": n, "": v} for n, v in given.items()] for given in (setup, npv)]
        return {
            "Setup": {"Parameter": parameters[0]},
            "Analytics": {"Analytic": {"@type": "npv", "Parameter": parameters[1]}},
        }


def _engine(
    kind: str, model: str, of_model: Mapping[str, Any], engine: str, given: Mapping[str, Any]
) -> dict[str, Any]:
    def parameters(named: Mapping[str, Any]) -> dict[str, Any]:
        return {"Parameter": [{"@name": n, "": v} for n, v in named.items()]}

    return {
        "@type": kind,
        "Model": model,
        "ModelParameters": parameters(of_model),
        "Engine": engine,
        "EngineParameters": parameters(given),
    }


def _named(name: str, currency: str) -> dict[str, Any]:
    return {"CurveId": name, "CurveDescription": "", "Currency": currency}


def _price_volatility(
    quotes: dict[str, float], of: str, name: str, dated: Mapping[dt.date, float], currency: str
) -> dict[str, Any]:
    strike = "ATM/AtmFwd" if of == "COMMODITY_OPTION" else "ATMF"
    own = {f"{of}/RATE_LNVOL/{name}/{currency}/{date}/{strike}": vol for date, vol in dated.items()}
    quotes |= own
    return {
        **_named(name, currency),
        "Curve": {
            "QuoteType": "ImpliedVolatility",
            "VolatilityType": "Lognormal",
            "Quotes": {"Quote": [*own]},
            "Interpolation": "Linear",
            "Extrapolation": "Flat",
        },
        "DayCounter": "A365",
        "Calendar": "NullCalendar",
    }


def _security(quotes: dict[str, float], name: str, spread: float) -> dict[str, Any]:
    quotes[f"BOND/YIELD_SPREAD/{name}"] = spread
    return {"CurveId": name, "CurveDescription": "", "SpreadQuote": f"BOND/YIELD_SPREAD/{name}"}


def _volatility_type(model: str, shift: float) -> tuple[str, str]:
    """ORE's name of a model, and the type of its quotes."""
    if model == "normal":
        return "Normal", "RATE_NVOL"
    return ("ShiftedLognormal", "RATE_SLNVOL") if shift else ("Lognormal", "RATE_LNVOL")


def _swaptions(quotes: dict[str, float], currency: str, read: tuple[str, float, float]) -> dict[str, Any]:
    """One volatility of all expiries and swaps."""
    model, shift, volatility = read
    kind, quoted = _volatility_type(model, shift)
    tenors = _TENORS
    quotes |= {f"SWAPTION/{quoted}/{currency}/{e}/{t}/ATM": volatility for e in tenors for t in tenors}
    if shift:
        quotes |= {f"SWAPTION/SHIFT/{currency}/{t}": shift for t in tenors}
    return {
        "CurveId": currency,
        "CurveDescription": "",
        "Dimension": "ATM",
        "VolatilityType": kind,
        "Extrapolation": "Flat",
        "DayCounter": "A365",
        "Calendar": "NullCalendar",
        "BusinessDayConvention": "U",
        "OptionTenors": ",".join(tenors),
        "SwapTenors": ",".join(tenors),
        "ShortSwapIndexBase": f"{currency}-CMS-1Y",
        "SwapIndexBase": f"{currency}-CMS-50Y",
    }


def _caps(quotes: dict[str, float], index: str, read: tuple[str, float, float]) -> dict[str, Any]:
    """One volatility of all periods and strikes."""
    model, shift, volatility = read
    kind, quoted = _volatility_type(model, shift)
    currency, tenor = index[:3], index.rpartition("-")[2]
    tenors, strikes = _TENORS, ("-0.05", "0.25")
    quotes |= {f"CAPFLOOR/{quoted}/{currency}/{index}/{e}/{tenor}/0/0/{k}": volatility for e in tenors for k in strikes}
    if shift:
        quotes[f"CAPFLOOR/SHIFT/{currency}/{index}/{tenor}"] = shift
    return {
        "CurveId": index,
        "CurveDescription": "",
        "VolatilityType": kind,
        "Extrapolation": "Flat",
        "InterpolationMethod": "Bilinear",
        "IncludeAtm": False,
        "DayCounter": "A365",
        "Calendar": "NullCalendar",
        "BusinessDayConvention": "U",
        "Tenors": ",".join(tenors),
        "Strikes": ",".join(strikes),
        "Index": index,
        "DiscountCurve": f"Yield/{currency}/{currency}",
        "InputType": "OptionletVolatilities",
        "QuoteIncludesIndexName": True,
    }


def _commodity(quotes: dict[str, float], name: str, dated: Mapping[dt.date, float], currency: str) -> dict[str, Any]:
    """Without a spot price, which ORE would take for that of two days later; a curve has two prices at least."""
    last = max(dated)
    prices = {**dated, last + dt.timedelta(days=1): dated[last]}
    own = {f"COMMODITY_FWD/PRICE/{name}/{currency}/{date}": forward for date, forward in prices.items()}
    quotes |= own
    return {
        **_named(name, currency),
        "Quotes": {"Quote": [*own]},
        "DayCounter": "A365",
        "InterpolationMethod": "Linear",
        "Extrapolation": True,
    }


_CDS = "STANDARD-CDS"
_TENORS = ("1Y", "50Y")  # between and beyond which a volatility that is flat is read
_GRID = {
    "Scheme": "Douglas",
    "TimeGridPerYear": 400,
    "XGrid": 400,
    "DampingSteps": 0,
    "TimeGridMinimumSize": 200,
    "EnforceMonotoneVariance": False,
}
_ENGINES: Mapping[str, tuple[str, str, dict[str, Any]]] = {  # model, engine, parameters of the engine
    "FxForward": ("DiscountedCashflows", "DiscountingFxForwardEngine", {}),
    "FxOption": ("GarmanKohlhagen", "AnalyticEuropeanEngine", {}),
    "FxOptionAmerican": ("GarmanKohlhagen", "FdBlackScholesVanillaEngine", _GRID),
    "FxBarrierOption": ("GarmanKohlhagen", "AnalyticBarrierEngine", {}),
    "FxDigitalOption": ("GarmanKohlhagen", "AnalyticEuropeanEngine", {}),
    "EquityForward": ("DiscountedCashflows", "DiscountingEquityForwardEngine", {}),
    "EquityOption": ("BlackScholesMerton", "AnalyticEuropeanEngine", {}),
    "EquityOptionAmerican": ("BlackScholesMerton", "FdBlackScholesVanillaEngine", _GRID),
    "EquityBarrierOption": ("BlackScholesMerton", "AnalyticBarrierEngine", {}),
    "EquityDigitalOption": ("BlackScholesMerton", "AnalyticEuropeanEngine", {}),
    "EquityAsianOptionArithmeticPrice": ("BlackScholesMerton", "TurnbullWakemanAsianEngine", {}),
    "EquityAsianOptionGeometricPrice": ("BlackScholesMerton", "AnalyticDiscreteGeometricAPEngine", {}),
    "CommodityForward": ("DiscountedCashflows", "DiscountingCommodityForwardEngine", {}),
    "CommodityOption": ("BlackScholes", "AnalyticEuropeanEngine", {}),
    "CommodityOptionAmerican": ("BlackScholes", "FdBlackScholesVanillaEngine", _GRID),
    "Swap": ("DiscountedCashflows", "DiscountingSwapEngine", {}),
    "CrossCurrencySwap": ("DiscountedCashflows", "DiscountingCrossCurrencySwapEngine", {}),
    "CapFloor": ("IborCapModel", "IborCapEngine", {}),
    "CapFlooredIborLeg": (
        "BlackOrBachelier",
        "BlackIborCouponPricer",
        {"TimingAdjustment": "Black76", "Correlation": 1.0},
    ),
    "EuropeanSwaption": ("BlackBachelier", "BlackBachelierSwaptionEngine", {}),
    "Bond": ("DiscountedCashflows", "DiscountingRiskyBondEngine", {"TimestepPeriod": "1W"}),
    "CreditDefaultSwap": ("DiscountedCashflows", "MidPointCdsEngine", {}),
    "IndexCreditDefaultSwap": ("DiscountedCashflows", "MidPointIndexCdsEngine", {"Curve": "Index"}),
}
