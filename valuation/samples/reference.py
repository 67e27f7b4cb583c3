"""Reference data of the sample bank, written as the files a user would bring: counterparties, agreements, collateral, classifications.

From a random generator of its own, so that the book of a seed stays as it was. Names, ratings and sectors of counterparties are those of
the book; everything else is drawn, and classifications follow from the risk factors that the lake holds.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pcsv

from lake.landing.reference_values import CREDIT_CLASSES, SECTORS
from lake.schemas import AGREEMENTS, CLASSIFICATIONS, COLLATERAL, COUNTERPARTIES, Table
from lake.tables import Snapshot
from scenarios.types import RiskFactor
from valuation.samples.bank import LEGAL_ENTITIES, N_COUNTERPARTIES, Bank, found_bank

Rng = np.random.Generator
Row = dict[str, Any]

_FROM, _CHANGED = dt.date(2005, 1, 3), dt.date(2020, 3, 2)
_GROUP = "Meridane Bank"
_SECTOR_OF = {"corporate": None, "sovereign": "sovereign"}  # all others are financial
_CORPORATE = ("materials_energy_industrial", "consumer_transport", "technology_telecom", "health_utilities", "other")
_PD = {"AAA": 0.0002, "AA": 0.0005, "A": 0.0009, "BBB": 0.0022, "BB": 0.011, "B": 0.045}
_REGIONS = ("North America", "Europe", "Asia")
_CURRENCIES = ("USD", "GBP", "JPY", "EUR")  # of collateral, as the legal entities
_THRESHOLDS = (0.0, 0.0, 0.0, 1e6, 5e6, 10e6)  # in USD
_YEN = 100.0  # amounts in yen are so many times those in other currencies
_FULL, _BARE, _NONE = range(3)  # with margin, netting alone, no agreement
_ODDS = (0.76, 0.14, 0.10)
_CASH = (
    "cash_equity",
    "government_bond",
    "fixed_bond",
    "step_bond",
    "amortising_bond",
    "floating_bond",
    "zero_bond",
    "risky_bond",
)
_MARGINED_SIZE = 4e6  # USD, of a usual balance

# equity sectors of the rules, and sectors of credit, by the sector that the market data have
_EQUITY = {
    "Consumer Discretionary": "consumer_health_utilities",
    "Consumer Staples": "consumer_health_utilities",
    "Health Care": "consumer_health_utilities",
    "Utilities": "consumer_health_utilities",
    "Communication Services": "telecom_industrial",
    "Industrials": "telecom_industrial",
    "Energy": "materials_energy_manufacturing",
    "Materials": "materials_energy_manufacturing",
    "Financials": "financial_technology",
    "Real Estate": "financial_technology",
    "Information Technology": "financial_technology",
}
_CREDIT = {
    "Consumer Discretionary": "consumer_transport",
    "Consumer Staples": "consumer_transport",
    "Health Care": "health_utilities",
    "Utilities": "health_utilities",
    "Communication Services": "technology_telecom",
    "Information Technology": "technology_telecom",
    "Industrials": "materials_energy_industrial",
    "Energy": "materials_energy_industrial",
    "Materials": "materials_energy_industrial",
    "Financials": "financial",
}
_ISSUER_RATINGS = {"BAC": "A", "JPM": "A", "GE": "BBB", "XOM": "AA", "AMD": "BB", "BBY": "BBB"}
_EMERGING = ("BRL", "CNH", "CNY", "IDR", "INR", "KRW", "MXN", "MYR", "PHP", "PLN", "RUB", "THB", "TRY", "TWD", "ZAR")
# group and type of a commodity, by the part of its risk factor's id after the prefix
_COMMODITIES = {
    "WTI": ("energy_liquid", "crude oil"),
    "BRENT": ("energy_liquid", "crude oil"),
    "NATGAS": ("gas", "natural gas"),
    "GOLD": ("precious_metals", "gold"),
    "SILVER": ("precious_metals", "silver"),
    "COPPER": ("metals", "copper"),
    "CORN": ("grains", "corn"),
    "WHEAT": ("grains", "wheat"),
    "SOYBEAN": ("grains", "soybeans"),
    "SUGAR": ("softs", "sugar"),
    "COFFEE": ("softs", "coffee"),
    "COTTON": ("softs", "cotton"),
    "COCOA": ("softs", "cocoa"),
}


def write_sample_reference(
    snapshot: Snapshot, directory: str | Path, *, dates: Sequence[dt.date], seed: int
) -> dict[str, Path]:
    """Writes a file of each kind, by kind: counterparties, agreements, collateral and classifications, which are brought in in this order.

    dates : the days that have balances of collateral. Same seed and dates, same bytes; the balances of a date do not depend on the others.
    """
    folder = Path(directory)
    folder.mkdir(parents=True, exist_ok=True)
    bank = found_bank(np.random.default_rng([seed, 0]))
    factors = [RiskFactor.from_dict(r) for r in snapshot.read("risk_factors").to_pylist(maps_as_pydicts="strict")]
    curves = sorted({f.curve for f in factors if f.type == "cds_spread" and f.curve and _issued(f)})
    agreements = _agreements(np.random.default_rng([seed, 15, 1]), bank, _at_hand(factors))
    tables: dict[str, tuple[Table, list[Row]]] = {
        "counterparties": (COUNTERPARTIES, _counterparties(np.random.default_rng([seed, 15, 0]), bank, curves)),
        "agreements": (AGREEMENTS, agreements),
        "collateral": (COLLATERAL, [r for d in sorted(dates) for r in _balances(seed, d, agreements)]),
        "classifications": (CLASSIFICATIONS, _classifications(factors)),
    }
    files = {}
    for name, (table, rows) in tables.items():
        files[name] = folder / f"{name}.csv"
        pcsv.write_csv(_as_text(rows, table), files[name])
    return files


def _as_text(rows: Sequence[Row], table: Table) -> pa.Table:
    def text(value: Any) -> str | None:
        if isinstance(value, bool):
            return str(value).lower()
        return ";".join(value) if isinstance(value, tuple) else None if value is None else str(value)

    names = table.schema.names
    return pa.table({n: pa.array([text(r.get(n)) for r in rows], pa.string()) for n in names})


def _issued(factor: RiskFactor) -> bool:
    """Whether a spread is of a name, and not of an index, whose recovery is a number."""
    return dict(factor.attributes).get("recovery", "").startswith("REC:")


def _at_hand(factors: Sequence[RiskFactor]) -> list[str]:
    """The currency of each legal entity's collateral: its own where the lake has a rate for it, else the dollar."""
    pairs = {f.risk_factor_id.removeprefix("FX:") for f in factors if f.type == "fx_rate"}
    known = {c for pair in pairs for c in (pair[:3], pair[3:])}
    return [c if c in known else "USD" for c in _CURRENCIES]


def _counterparties(rng: Rng, bank: Bank, curves: Sequence[str]) -> list[Row]:
    """A row each, and one of each legal entity of the bank, which trades with the others."""
    rows: list[Row] = []
    for i, name in enumerate(bank.counterparties):
        inside, kind, rating = i >= N_COUNTERPARTIES, bank.sectors[i], bank.ratings[i]
        draw = rng.random(6)
        sector = _SECTOR_OF.get(kind, "financial") or _CORPORATE[int(draw[0] * len(_CORPORATE))]
        small = kind == "corporate" and draw[1] < 0.4
        credit = {"sovereign": "sovereign", "corporate": "corporate_sme" if small else "corporate"}.get(
            kind, "bank" if kind in ("bank", "central counterparty") else "corporate"
        )
        assert sector in SECTORS
        assert credit in CREDIT_CLASSES
        rows.append(
            {
                "counterparty": name,
                "effective_from": _FROM,
                "sector": sector,
                "rating": rating,
                "region": _REGIONS[int(draw[2] * len(_REGIONS))],
                "group": _GROUP if inside else None,
                "credit_class": credit,
                "pd": _PD[rating],
                "lgd": round(0.35 + 0.2 * draw[3], 2),
                "sales_million_eur": round(5 + 44 * draw[4], 1)
                if small
                else round(60 + 9000 * draw[4] ** 3)
                if kind == "corporate"
                else None,
                "large_financial": bool(
                    kind == "hedge fund" or (sector == "financial" and not inside and draw[1] < 0.15)
                ),
                "credit_curve": curves[int(draw[5] * len(curves) / 0.8)]
                if curves and draw[5] < 0.8 and sector != "sovereign"
                else None,
                "recovery": 0.4,
            }
        )
    return rows


def _agreements(rng: Rng, bank: Bank, currencies: Sequence[str]) -> list[Row]:
    """Of each counterparty with each legal entity that is not itself; the terms of some changed in March 2020."""
    rows: list[Row] = []
    towns = [e.split()[-1] for e in LEGAL_ENTITIES]
    for i, counterparty in enumerate(bank.counterparties):
        form = rng.choice(3, p=_ODDS) if i < N_COUNTERPARTIES else _FULL
        draw = rng.random((len(LEGAL_ENTITIES), 8))
        for e, (entity, town) in enumerate(zip(LEGAL_ENTITIES, towns, strict=True)):
            if form == _NONE or entity == counterparty:
                continue
            d, currency = draw[e], currencies[e]
            row: Row = {
                "agreement": f"ISDA-{i + 1:03d}-{town.upper()}",
                "counterparty": counterparty,
                "legal_entity": entity,
                "effective_from": _FROM,
                "netting": True,
                "margined": form == _FULL,
                "currency": currency,
                "independent_amount": 0.0,
                "initial_margin": 0.0,
                "disputed": False,
            }
            unit = _YEN if currency == "JPY" else 1.0
            if form == _FULL:
                two_way = bool(d[0] < 0.9)
                threshold = _THRESHOLDS[int(d[1] * len(_THRESHOLDS))] * unit
                row |= {
                    "two_way": two_way,
                    "threshold": threshold,
                    "threshold_own": threshold if two_way else 0.0,
                    "minimum_transfer_amount": (0.25e6 if d[2] < 0.5 else 0.5e6) * unit,
                    "margin_period_days": 10 if d[3] < 0.9 else 20,
                    "margin_frequency_days": 1 if d[4] < 0.9 else 5,
                    "independent_amount": round(1e6 * d[5]) * unit if d[5] < 0.15 else 0.0,
                    "initial_margin": round(2e6 * d[6]) * unit if d[6] > 0.7 else 0.0,
                    "disputed": bool(d[7] < 0.02),
                }
            if d[7] > 0.9:  # the cash of these is traded under terms of its own
                prime = {
                    **row,
                    "agreement": f"GMSLA-{i + 1:03d}-{town.upper()}",
                    "instrument_types": _CASH,
                    **{k: None for k in row if k.startswith(("thres", "minimum", "margin_", "two_"))},
                    "margined": False,
                    "independent_amount": 0.0,
                    "initial_margin": 0.0,
                    "disputed": False,
                }
                rows.append(prime)
                row["instrument_types"] = _derivatives()
            if form == _FULL and d[7] < 0.1 and row["threshold"]:
                rows.append({**row, "effective_to": _CHANGED - dt.timedelta(days=1)})
                own = row["threshold_own"] / 2
                row |= {"effective_from": _CHANGED, "threshold": row["threshold"] / 2, "threshold_own": own}
            rows.append(row)
    return rows


def _derivatives() -> tuple[str, ...]:
    from valuation.catalogue import INSTRUMENTS  # noqa: PLC0415 - imports every instrument

    return tuple(sorted(set(INSTRUMENTS) - set(_CASH)))


def _balances(seed: int, date: dt.date, agreements: Sequence[Row]) -> list[Row]:
    """What is held and posted at the end of a day under the agreements that hold on it; margined ones all have a balance."""
    rng = np.random.default_rng([seed, 15, 2, date.toordinal()])
    rows: list[Row] = []
    for a in agreements:
        amount, currency_draw = rng.normal(0.0, _MARGINED_SIZE), rng.random()
        if not (a["effective_from"] <= date and (a.get("effective_to") is None or date <= a["effective_to"])):
            continue
        unit = _YEN if a["currency"] == "JPY" else 1.0
        if a["margined"]:
            held = round(amount if a["two_way"] else abs(amount), -3) + 0.0  # no minus zero
            in_dollars = currency_draw < 0.1
            rows.append(
                {
                    "as_of_date": date,
                    "agreement": a["agreement"],
                    "kind": "variation",
                    "amount": held if in_dollars else held * unit,
                    "currency": "USD" if in_dollars else a["currency"],
                    "segregated": False,
                }
            )
        if a["initial_margin"]:
            rows.append(
                {
                    "as_of_date": date,
                    "agreement": a["agreement"],
                    "kind": "initial",
                    "amount": a["initial_margin"],
                    "currency": a["currency"],
                    "segregated": True,
                }
            )
    return rows


def _classifications(factors: Sequence[RiskFactor]) -> list[Row]:
    """Of every share, index, commodity, credit curve and currency of the lake's risk factors, by name."""
    found: dict[str, Row] = {}
    shares = {f.risk_factor_id: dict(f.attributes).get("sector") for f in factors if f.type == "equity_price"}
    for f in sorted(factors):
        attributes: Mapping[str, str] = dict(f.attributes)
        economy = "emerging" if f.currency in _EMERGING else "advanced"
        if f.type == "equity_price":
            found[f.risk_factor_id] = {
                "kind": "equity",
                "sector": _EQUITY.get(attributes.get("sector", ""), "other"),
                "capitalisation": "large",
                "economy": economy,
            }
        elif f.type == "index_level":
            found[f.risk_factor_id] = {"kind": "index", "capitalisation": "large", "economy": economy}
        elif f.type == "commodity_price":
            good = f.risk_factor_id.split(":")[1].split("_")[0].upper()
            group, kind = _COMMODITIES.get(good, ("other", good.lower()))
            found[f.risk_factor_id] = {"kind": "commodity", "commodity_group": group, "commodity_type": kind}
        elif f.type in ("cds_spread", "hazard_rate") and f.curve:
            if f.type == "cds_spread" and not _issued(f):
                found[f.curve] = {"kind": "credit_index", "rating": "IG", "sector": "other"}
            else:
                sector = _CREDIT.get(shares.get(f"EQ:{f.curve}") or "", "other")
                rating = _ISSUER_RATINGS.get(f.curve, "NR")
                found[f.curve] = {"kind": "issuer", "sector": sector, "rating": rating, "seniority": "senior"}
        elif f.type in ("credit_spread", "credit_yield"):
            quality = "HY" if attributes.get("rating") in ("HY", "BB", "B", "CCC") else "IG"
            found[f.risk_factor_id] = {"kind": "credit_index", "rating": quality, "sector": "other"}
    currencies = {f.currency for f in factors}
    currencies |= {p for f in factors if f.type == "fx_rate" for p in (f.risk_factor_id[3:6], f.risk_factor_id[6:9])}
    for currency in sorted(c for c in currencies if len(c) == 3):
        found[currency] = {"kind": "currency", "economy": "emerging" if currency in _EMERGING else "advanced"}
    return [{"name": name, "effective_from": _FROM, "covered": False, **row} for name, row in sorted(found.items())]
