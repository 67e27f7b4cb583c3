"""What derivatives are quoted on in the synthetic market: curves of swaps, volatilities, futures, credit, inflation, dividends.

Each follows from the series of the cash markets, which it moves with, and from shocks of its own.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from lake.arrays import Floats
from scenarios.market.sample_shocks import YEAR, DailyShocks, fading_sum
from scenarios.types import tenor_years

Series = Mapping[str, Floats]

# Outlines pass through the knots of `sample_shocks`.
_LIBOR = (25, 20, 75, 110, 20, 15, 12, 30, 18, 15, 110, 10, 8, 15)  # basis points over government bonds
_CROSS_CURRENCY = (-1, -2, -45, -70, -30, -25, -10, -40, -12, -15, -70, -8, -20, -15)  # basis points on the euro
_YUAN = (2.4, 2.9, 4.1, 1.6, 1.8, 3.2, 3.8, 2.6, 3.1, 2.4, 1.9, 2.6, 2.4, 2.2)
_US_CPI = (190.7, 208.3, 219.1, 212.7, 216.0, 225.7, 238.3, 237.1, 252.4, 258.7, 258.1, 260.5, 278.8, 298.0)
_EU_HICP = (84.0, 90.0, 93.6, 92.6, 93.6, 97.4, 100.4, 98.9, 104.0, 104.7, 105.1, 105.2, 110.4, 120.5)
_INFLATION_TENORS = ("1Y", "2Y", "5Y", "10Y", "30Y")
_INFLATION = {  # outlines in percent at 1 and 10 years
    "us": (
        (2.5, 2.4, 2.2, -0.6, 1.8, 2.0, 1.9, 0.8, 2.1, 1.5, -0.1, 1.7, 3.8, 2.6),
        (2.6, 2.5, 2.3, 1.0, 2.4, 2.4, 2.25, 1.45, 2.2, 1.65, 0.9, 2.0, 2.6, 2.4),
    ),
    "eu": (
        (2.0, 2.2, 2.6, 0.4, 1.4, 1.9, 0.9, 0.2, 1.5, 0.9, 0.1, 0.8, 3.2, 4.5),
        (2.1, 2.4, 2.4, 1.6, 2.1, 2.1, 1.8, 1.2, 1.65, 1.15, 0.75, 1.25, 2.0, 2.4),
    ),
}
_NAMES = {"BAC": 70, "JPM": 55, "GE": 80, "XOM": 35, "AMD": 260, "BBY": 110}  # usual 5-year spread, basis points
_INDICES = {"CDX_IG": 65, "ITRAXX_EU": 70}
_BY_TENOR = {"1Y": 0.45, "3Y": 0.72, "5Y": 1.0, "10Y": 1.3}
_BOND_SPREADS = {"US_A": 90, "US_BBB": 170, "EU_BBB": 140}
_USUAL_HIGH_YIELD = 5.0  # percent
_USUAL_VOL = 0.18  # of the index
_EXPIRIES = ("1M", "3M", "6M", "1Y", "2Y")
_MONEYNESS = (80, 90, 100, 110, 120)
_FX_VOLS = {  # usual ones in percent, as those of commodities
    "EURUSD": 8.5, "USDJPY": 9.5, "GBPUSD": 9.0, "EURJPY": 10.5, "EURGBP": 7.5,
}  # fmt: skip
_DELTAS = {"25P": 1.045, "ATM": 1.0, "25C": 1.005}  # volatility over that at the money
_RATE_VOLS = {  # usual normal volatilities, basis points
    **{f"USD_CAP_{t}": v for t, v in (("1Y", 55), ("2Y", 70), ("5Y", 82), ("10Y", 80))},
    "EUR_CAP": 55,
    **{f"USD_SWAPTION_{t}": v for t, v in (("1Y", 84), ("5Y", 80), ("10Y", 74))},
    "EUR_SWAPTION": 60,
    "USD_SHORT_RATE": 90,
    "EUR_SHORT_RATE": 65,
}
_COMMODITY_VOLS = {"WTI": 34, "BRENT": 32, "NATGAS": 48, "GOLD": 16, "COPPER": 24}
DIVIDENDS = {"KO": 0.030, "XOM": 0.035}  # yearly, over the share's price


def quotes(
    s: DailyShocks,
    index_vol: Floats,
    high_yield: Floats,
    curves: Mapping[str, Series],
    commodities: Series,
    shares: Series,
    own: Series,
) -> dict[str, dict[str, Floats]]:
    """Columns of each landing file in the file's unit, (n_dates,) each; NaN where nothing is quoted.

    index_vol : a fraction; high_yield : spread in percent; curves : par yields in percent by currency and tenor;
    own : shocks of single shares.
    """
    wild = (index_vol / _USUAL_VOL) ** 0.5

    def vols(levels: Mapping[str, float], kind: str) -> dict[str, Floats]:
        return {name: level * wild * s.wobble(f"{kind} {name}", 0.012, 60) for name, level in levels.items()}

    fx_vols = vols(_FX_VOLS, "IV")
    goods_vols = vols(_COMMODITY_VOLS, "IV")
    swaps = _swap_curves(s, curves)
    return {
        **swaps,
        "fixings": {
            "SOFR": swaps["usd_ois_curve"]["1M"] - 0.02,
            "USD_3M": swaps["usd_3m_curve"]["3M"],
            "EUR_6M": swaps["eur_6m_curve"]["6M"],
        },
        "spx_smile": _index_smile(s, index_vol),
        "fx_vols": fx_vols,
        "eurusd_smile": _pair_smile(s, fx_vols["EURUSD"]),
        "rate_vols": vols(_RATE_VOLS, "NV"),
        "shifted_vols": vols({"USD_SHIFTED": 22}, "IV"),
        "commodity_vols": goods_vols,
        "commodity_price_vols": {"WTI": goods_vols["WTI"] / 100 * commodities["WTI"]},
        "commodity_futures": _futures(s, commodities),
        **_credit(s, high_yield, own),
        **_inflation(s),
        "dividends": _dividends(s, shares),
    }


def _swap_curves(s: DailyShocks, curves: Mapping[str, Series]) -> dict[str, dict[str, Floats]]:
    """Quotes in percent, of futures 100 less the rate: government yields plus a spread that is wide in a crisis, most at the short end."""

    def government(currency: str, tenor: str) -> Floats:
        pillars = curves[currency]
        at = [tenor_years(p) for p in pillars]
        weights = [np.interp(tenor_years(tenor), at, row) for row in np.eye(len(at))]
        return np.asarray(
            np.sum([w * levels for w, levels in zip(weights, pillars.values(), strict=True) if w], axis=0)
        )

    bank = s.price(_LIBOR, 0.02 * s.shared("LIBOR", -0.3)) / 100
    euro_bank = bank * s.wobble("EURIBOR", 0.012, 120)

    def rate(currency: str, tenor: str, spread: Floats, name: str) -> Floats:
        own = fading_sum(0.2 * s.mild * s.shock(f"{name} {tenor}"), 10) / 100
        return government(currency, tenor) + spread / (1 + 0.15 * tenor_years(tenor)) + own

    three_month = {t: rate("USD", t, bank, "USD_3M") for t in ("3M", "6M", "12M", "2Y", "5Y", "10Y", "30Y")}
    basis = {"2Y": 0.09, "10Y": 0.07, "30Y": 0.05}
    return {
        "usd_ois_curve": {
            t: rate("USD", t, np.full_like(bank, -0.03), "OIS") for t in ("1M", "1Y", "2Y", "5Y", "10Y", "30Y")
        },
        "usd_3m_curve": {t: v for t, v in three_month.items() if t not in ("6M", "12M")},
        "usd_3m_futures": {"IMM2": 100 - three_month["6M"], "IMM4": 100 - three_month["12M"]},
        "usd_6m_curve": {"6M": rate("USD", "6M", bank * 1.3, "USD_6M")}
        | {t: level * (0.6 + 0.4 * bank / 0.2) * s.wobble(f"USD_6M {t}", 0.012, 60) for t, level in basis.items()},
        "eur_6m_curve": {t: rate("EUR", t, euro_bank, "EUR_6M") for t in ("6M", "1Y", "2Y", "5Y", "10Y", "30Y")},
        "eur_usd_curve": {
            t: (
                s.around(_CROSS_CURRENCY, 0.8 * s.shared("cross currency", 0.4), 120)
                + fading_sum(0.3 * s.mild * s.shock(f"XCCY {t}"), 15)
            )
            / (100 * (1 + 0.08 * tenor_years(t)))
            for t in ("1Y", "5Y", "10Y", "30Y")
        },
        "cny_curve": {
            t: s.around(_YUAN, 0.02 * (0.4 * s.shared("rates", 0.35) + 0.9 * s.shared("rates CNY", 0.1)))
            + 0.12 * tenor_years(t)
            + fading_sum(0.003 * s.mild * s.shock(f"CNY {t}"), 60)
            for t in ("3M", "1Y", "5Y")
        },
    }


def _index_smile(s: DailyShocks, index_vol: Floats) -> dict[str, Floats]:
    """Percent by expiry and moneyness: at the money from today's volatility to the usual one, lower strikes higher and most so soon."""
    out = {}
    for expiry in _EXPIRIES:
        years = tenor_years(expiry)
        near = (1 - np.exp(-3 * years)) / (3 * years)
        level = 100 * np.sqrt(_USUAL_VOL**2 + (index_vol**2 - _USUAL_VOL**2) * near)
        own = s.wobble(f"IV SPX {expiry}", 0.004, 10)
        for moneyness in _MONEYNESS:
            x = np.log(moneyness / 100) / np.sqrt(max(years, 0.25))
            slope = -0.35 * s.wobble(f"skew SPX {expiry}", 0.01, 60)
            out[f"{expiry}_{moneyness}"] = level * own * (1 + slope * x + 0.25 * x * x)
    return out


def _pair_smile(s: DailyShocks, level: Floats) -> dict[str, Floats]:
    """Percent by expiry and delta."""
    return {
        f"{expiry}_{delta}": level * (1 + 0.03 * np.log(years / 0.25)) * s.wobble(f"EURUSD {expiry}", 0.004, 10) * size
        * s.wobble(f"EURUSD {delta}", 0.002, 30)
        for expiry, years in ((e, tenor_years(e)) for e in ("1M", "3M", "1Y"))
        for delta, size in _DELTAS.items()
    }  # fmt: skip


def _futures(s: DailyShocks, commodities: Series) -> dict[str, Floats]:
    """Prices by delivery month: a near price far from that of the year before comes back over time."""
    out = {}
    for name in ("WTI", "BRENT", "NATGAS"):
        usual = np.exp(_smoothed(np.log(commodities[name]), 500))
        for month, weight in (("M6", 0.25), ("M12", 0.45)):
            returns = (usual / commodities[name]) ** weight
            out[f"{name}_{month}"] = commodities[name] * returns * s.wobble(f"{name} {month}", 0.002, 40)
    return out


def _smoothed(levels: Floats, half_life: float) -> Floats:
    smoothed: Floats = levels[0] + (1 - 0.5 ** (1 / half_life)) * fading_sum(levels - levels[0], half_life)
    return smoothed


def _credit(s: DailyShocks, high_yield: Floats, own: Series) -> dict[str, dict[str, Floats]]:
    """Par spreads of swaps in basis points, bond spreads and recoveries in percent: all widen with high yield."""
    market = (high_yield / _USUAL_HIGH_YIELD) ** 0.8

    def spread(name: str, level: float) -> Floats:
        fear = 1.0 if name not in own else np.exp(fading_sum(-0.012 * own[name], 60))
        return level * market * fear * s.wobble(f"CDS {name}", 0.012, 90)

    return {
        "cds": {
            f"{name}_{tenor}": spread(name, level) * size * s.wobble(f"CDS {name} {tenor}", 0.002, 20)
            for name, level in _NAMES.items()
            for tenor, size in _BY_TENOR.items()
        },
        "credit_indices": {name: spread(name, level) for name, level in _INDICES.items()},
        "recoveries": {name: 40 * market**-0.1 * s.wobble(f"REC {name}", 0.002, 120) for name in _NAMES},
        "bond_spreads": {name: spread(name, level) / 100 for name, level in _BOND_SPREADS.items()},
    }


def _inflation(s: DailyShocks) -> dict[str, dict[str, Floats]]:
    """Rates of inflation swaps in percent, and the index, which has one level a month."""
    month = s.dates.astype("datetime64[M]")
    _, first, of = np.unique(month, return_index=True, return_inverse=True)
    out: dict[str, dict[str, Floats]] = {"price_indices": {}}
    for name, outline in (("US", _US_CPI), ("EU", _EU_HICP)):
        out["price_indices"][name] = s.price(outline, 0.0002 * s.shock(f"CPI {name}"))[first][of]
    ends = np.log([tenor_years(t) for t in ("1Y", "10Y")])
    for name, outlines in _INFLATION.items():
        level = s.shared(f"inflation {name}", 0.4)
        rates = out[f"inflation_{name}_curve"] = {}
        for tenor in _INFLATION_TENORS:
            at = np.log(tenor_years(tenor))
            path = tuple(float(np.interp(at, ends, o)) for o in zip(*outlines, strict=True))
            moves = 0.035 * level / (1 + 0.5 * at) + 0.006 * s.mild * s.shock(f"inflation {name} {tenor}")
            rates[tenor] = s.around(path, moves, 120)
    return out


def _dividends(s: DailyShocks, shares: Series) -> dict[str, Floats]:
    """Dividends in USD by share and ex-date, one a year in May, expected until it goes ex."""
    first, last = s.dates[[0, -1]].astype("datetime64[Y]").astype(int) + 1970
    out = {}
    for share, size in DIVIDENDS.items():
        usual = size * _smoothed(shares[share], YEAR) ** 0.8 * shares[share] ** 0.2
        for year in range(int(first), int(last) + 3):
            ex = np.busday_offset(f"{year}-05", 1, roll="forward", weekmask="Fri")
            level = usual * s.wobble(f"dividend {share} {year}", 0.003, 250)
            out[f"{share} {ex}"] = np.where(s.dates < ex, level, np.nan)
    return out
