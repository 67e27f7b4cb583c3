"""The base market as ORE's files, for the trades of a portfolio: quotes, curve configuration, conventions, pricing engines.

ORE has one discount curve a currency, one volatility an underlying and expiry, one fixing a rate and day, where terms here may each
name their own: what a trade reads is stated as facts, and a trade whose facts contradict those of one before it cannot be added.

- Curves are quoted as discount factors on the days around each of their nodes, so that both agree on every day.
- Exchange rates have no spot lag, rates of a term fix on the first day of their period, times are Act/365F.
- A dividend yield is a flat dividend curve, a cost of carry a forward price on the last day of each trade.

Source: Open Source Risk Engine, *User Guide*, ch. "Market data", "Curve configurations".
"""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from valuation.books.trade_files.ore_portfolio import (
    HeldTrade,
    NotWritten,
    code,
    index_in_ore,
    name_in_ore,
    trade_content,
    write_xml,
)
from valuation.instruments.fx.pairs import delivered_values
from valuation.instruments.reads import volatilities
from valuation.market.scenario_market import DAYS_A_YEAR, ScenarioMarket

Facts = dict[tuple[Any, ...], Any]
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
        last = _last_day(terms)
        if last <= self._market.valuation_date:
            raise NotWritten(f"its last day is {last}, and ORE holds it for matured then")
        found = _READS[terms.instrument_type](terms, self._market)
        for currency in {terms.currency, getattr(terms, "base_currency", terms.currency)} - {self._currency}:
            found |= _exchange_rate(self._market, currency, self._currency)
        for key, value in found.items():
            if self._facts.get(key, value) != value:
                raise NotWritten(
                    f"the {' '.join(map(str, key))} is {value} for it and {self._facts[key]} for a trade before it; ORE has one"
                )
        self._facts |= found
        self._last = max(self._last, last)

    def write(self, folder: Path) -> None:
        """Writes everything that ORE reads but the portfolio, `portfolio.xml`."""
        quotes: dict[str, float] = {f"FX/RATE/{p[:3]}/{p[3:]}": rate for p, rate in self._of("exchange rate of")}
        curves = [*self._of("discount curve of"), *self._of("projection curve of")]
        prices, commodities = dict(self._of("share")), dict(self._of("commodity"))
        configured = {
            "YieldCurves": {"YieldCurve": [self._curve(quotes, name, curve) for name, curve in curves]},
            "FXVolatilities": {
                "FXVolatility": [self._pair(quotes, *found) for found in self._dated("exchange volatility of")]
            },
            "EquityCurves": {"EquityCurve": [self._share(quotes, name, *read) for name, read in prices.items()]},
            "EquityVolatilities": {
                "EquityVolatility": [
                    _share_volatility(quotes, name, dated, prices[name][0])
                    for name, dated in self._dated("volatility of")
                ]
            },
            "CommodityCurves": {
                "CommodityCurve": [
                    _commodity(quotes, name, dated, commodities[name])
                    for name, dated in self._dated("forward price of")
                ]
            },
        }
        write_xml(folder / "curveconfig.xml", "CurveConfiguration", configured)
        write_xml(folder / "conventions.xml", "Conventions", self._conventions())
        write_xml(folder / "todaysmarket.xml", "TodaysMarket", self._todaysmarket())
        write_xml(folder / "pricingengine.xml", "PricingEngines", {"Product": _ENGINES})
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

    def _curve(self, quotes: dict[str, float], name: str, curve: str | float) -> dict[str, Any]:
        """The days before and after a node: between them lies no day, and the curve's own segments are on either side.

        curve : or a continuous rate.
        """
        nodes = (self._market.nodes(curve) * DAYS_A_YEAR).tolist() if isinstance(curve, str) else []
        beyond = (self._last - self._market.valuation_date).days + _BEYOND
        days = sorted(
            {d for node in nodes for d in (math.floor(node), math.ceil(node)) if 0 < d < beyond} | {1, beyond}
        )
        times = np.array(days) / DAYS_A_YEAR
        factors = (
            self._market.discount(curve, times)[:, 0] if isinstance(curve, str) else np.exp(-curve * times)
        ).tolist()
        dates = [self._market.valuation_date + dt.timedelta(days=d) for d in days]
        own = {f"DISCOUNT/RATE/{name[:3]}/{name}/{date}": factor for date, factor in zip(dates, factors, strict=True)}
        quotes |= own
        return {
            **_named(name, name[:3]),
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
        return {
            "IborIndex": [
                {
                    "Id": index,
                    "FixingCalendar": "NullCalendar",
                    "DayCounter": day_count,
                    "SettlementDays": 0,
                    "BusinessDayConvention": "U",
                    "EndOfMonth": False,
                }
                for index, day_count in self._of("day count of")
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
        }
        used = {name: (element, key, names) for name, (element, key, names) in lists.items() if names}
        return {
            "Configuration": {"@id": "default", **{f"{name}Id": "default" for name in used}},
            **{name: {"@id": "default", element: entries(key, names)} for name, (element, key, names) in used.items()},
        }

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


def _named(name: str, currency: str) -> dict[str, Any]:
    return {"CurveId": name, "CurveDescription": "", "Currency": currency}


def _share_volatility(
    quotes: dict[str, float], name: str, dated: Mapping[dt.date, float], currency: str
) -> dict[str, Any]:
    own = {f"EQUITY_OPTION/RATE_LNVOL/{name}/{currency}/{date}/ATMF": vol for date, vol in dated.items()}
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


def _last_day(terms: Any) -> dt.date:
    last: dt.date = terms.expiry if hasattr(terms, "expiry") else terms.maturity
    return last


def _years(terms: Any, market: ScenarioMarket) -> float:
    return (_last_day(terms) - market.valuation_date).days / DAYS_A_YEAR


def _discount(curve: str, terms: Any, market: ScenarioMarket) -> float:
    return float(market.discount(curve, np.array([_years(terms, market)]))[0, 0])


def _level(market: ScenarioMarket, risk_factor_id: str) -> float:
    return float(market.level(risk_factor_id)[0])


def _exchange_rate(market: ScenarioMarket, one: str, other: str) -> Facts:
    base, quote = sorted((one, other))
    return {("exchange rate of", base + quote): float(market.fx(base, quote)[0])}


def _volatility(terms: Any, market: ScenarioMarket, forward: float) -> float:
    read = volatilities(
        market,
        [terms.volatility],
        np.array([_years(terms, market)]),
        np.array([terms.strike]),
        np.array([[forward] * market.n_states]),
    )
    return float(read[0, 0])


def _on_pair(terms: Any, market: ScenarioMarket) -> Facts:
    return {
        ("discount curve of", terms.currency): terms.quote_curve,
        ("discount curve of", terms.base_currency): terms.base_rate if terms.base_curve is None else terms.base_curve,
        **_exchange_rate(market, terms.base_currency, terms.currency),
    }


def _option_on_pair(terms: Any, market: ScenarioMarket) -> Facts:
    times = np.array([_years(terms, market)])
    forward = float(delivered_values([terms], times, market)[0, 0]) / _discount(terms.quote_curve, terms, market)
    pair = "".join(sorted((terms.base_currency, terms.currency)))
    key = ("exchange volatility of", pair, "on", terms.expiry)
    return {**_on_pair(terms, market), key: _volatility(terms, market, forward)}


def _on_share(terms: Any, market: ScenarioMarket) -> Facts:
    return {
        ("discount curve of", terms.currency): terms.discount_curve,
        ("share", name_in_ore(terms)): (terms.currency, _level(market, terms.underlying), terms.dividend_yield),
    }


def _option_on_share(terms: Any, market: ScenarioMarket) -> Facts:
    held = math.exp(-terms.dividend_yield * _years(terms, market))
    forward = _level(market, terms.underlying) * held / _discount(terms.discount_curve, terms, market)
    key = ("volatility of", name_in_ore(terms), "on", terms.expiry)
    return {**_on_share(terms, market), key: _volatility(terms, market, forward)}


def _on_commodity(terms: Any, market: ScenarioMarket) -> Facts:
    name, price = name_in_ore(terms), _level(market, terms.underlying)
    return {
        ("discount curve of", terms.currency): terms.discount_curve,
        ("commodity", name): terms.currency,
        ("forward price of", name, "on", terms.maturity): price * math.exp(terms.carry * _years(terms, market)),
    }


def _of_swap(terms: Any, market: ScenarioMarket) -> Facts:
    index, today = index_in_ore(terms), market.valuation_date
    return {
        ("discount curve of", terms.currency): terms.discount_curve,
        ("projection curve of", index): terms.projection_curve or terms.discount_curve,
        ("day count of", index): code("day_count", terms.float_day_count),
        **{("fixing of", index, "on", day): rate for day, rate in terms.fixings.items() if day <= today},
    }


_READS: Mapping[str, Callable[[Any, ScenarioMarket], Facts]] = {  # what a trade reads, by instrument
    "fx_forward": _on_pair,
    "fx_option": _option_on_pair,
    "equity_forward": _on_share,
    "equity_option": _option_on_share,
    "commodity_forward": _on_commodity,
    "interest_rate_swap": _of_swap,
}
_ENGINES = [
    {"@type": kind, "Model": model, "ModelParameters": "", "Engine": engine, "EngineParameters": ""}
    for kind, model, engine in (
        ("FxForward", "DiscountedCashflows", "DiscountingFxForwardEngine"),
        ("FxOption", "GarmanKohlhagen", "AnalyticEuropeanEngine"),
        ("EquityForward", "DiscountedCashflows", "DiscountingEquityForwardEngine"),
        ("EquityOption", "BlackScholesMerton", "AnalyticEuropeanEngine"),
        ("CommodityForward", "DiscountedCashflows", "DiscountingCommodityForwardEngine"),
        ("Swap", "DiscountedCashflows", "DiscountingSwapEngine"),
    )
]
