"""Sensitivities of CVA to the market that drives exposures, as SA-CVA asks for them: the book valued again on paths of a bumped market.

A bump moves today's levels, and for vega the volatilities that options are priced with and those that paths are drawn with, both by 1% of
themselves (MAR50.46). Paths keep their draws. Parts of positions are differences of their contributions to CVA, so that they add up.
"""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa

from aggregation.exposure.cva import cva_parts, receipt_of_cva
from aggregation.exposure.cva_query import CvaScope, OpenedCva
from aggregation.exposure.default_curves import BASIS_POINT, tenor_weights
from aggregation.exposure.moved_paths import Movable, moved_model, opened_on
from aggregation.exposure.reference import Classification, ReferenceData, classifications_of
from aggregation.receipts import name_code
from aggregation.regulatory.cva_parameters import SaCva
from aggregation.regulatory.sa_cva_charge import INFLATION, PARALLEL, RATES, Factor, is_main
from aggregation.session import Session
from lake.arrays import Floats
from lake.canonical import canonical_json, digest
from lake.disk_cache import read_mapped, write_mapped
from lake.errors import counted
from lake.words import first_of
from scenarios.types import SHARES, YIELDS, RiskFactor, tenor_years
from valuation.market.path_model import PathModel

_RELATIVE = 0.01  # of prices, exchange rates and volatilities
_SPREADS = ("credit_spread", "credit_yield", "cds_spread", "hazard_rate")
_VOLATILITIES = ("implied_vol", "normal_vol", "normal_price_vol")
_OTHER = {"equity": "11", "reference_spread": "15", "commodity": "11"}


@dataclass(frozen=True)
class MarketSensitivities:
    """factors, with the parts of positions and of netting sets' collateral, (n_kept + n_sets,) each; notes : what is not bumped."""

    factors: Sequence[Factor]
    parts: Sequence[Floats]
    notes: tuple[str, ...]


@dataclass
class Bump:
    """A move of the market: levels by risk factor id, and what volatilities of drivers are multiplied with; size : what it is divided
    by."""

    size: float
    levels: dict[str, float] = field(default_factory=dict)
    volatilities: dict[str, float] = field(default_factory=dict)


def market_sensitivities(session: Session, opened: OpenedCva, rules: SaCva) -> MarketSensitivities:
    """Of every factor of the rules that CVA depends on. Kept on disk, for it takes minutes for a large book."""
    asked = opened.query.model_dump(mode="json", by_alias=True, include=set(CvaScope.model_fields) - {"by"})
    receipt = receipt_of_cva(opened)
    made_of = ("sa-cva market", canonical_json(asked), rules.model_dump_json(), canonical_json(receipt), name_code())
    name = digest(*map(str, made_of), repr(session.lake.reader))
    return session.cache.entry(name, functools.partial(_fill, session, opened, rules), _load)


def _fill(session: Session, opened: OpenedCva, rules: SaCva, folder: Path) -> None:
    movable = Movable(opened)
    known = classifications_of(session.lake, opened.query.as_of)
    bumps, unclassified = bumps_of(movable.model, rules, known, opened.query.currency)
    base = cva_parts(opened)
    factors, parts = [], []
    for done, (factor, bump) in enumerate(sorted(bumps.items())):
        session.progress("bumped markets", done, len(bumps))
        model = moved_model(movable.model, bump.levels, bump.volatilities)
        rows = movable.affected(model)
        if not len(rows):
            continue
        moved = cva_parts(opened_on(opened, movable.moved(model, rows)))
        found = (moved - base) / bump.size
        if found.any():
            factors.append(factor)
            parts.append(found)
    session.progress("bumped markets", len(bumps), len(bumps))
    notes = [
        "Sensitivities to the market are by the book valued again on paths of the bumped market, with the same draws."
    ]
    if unclassified:
        notes.append(
            f"{counted(len(unclassified), 'risk factor')} without a classification ({first_of(unclassified)}) stand in the bucket of "
            f"others; bring them in with "
            "`varlake ingest classifications`."
        )
    np.save(folder / "parts.npy", np.array(parts).reshape(len(parts), len(base)))
    told = {"factors": [dataclasses.asdict(f) for f in factors], "notes": notes}
    write_mapped(folder / "told.arrow", {"json": pa.array([json.dumps(told)])})


def _load(folder: Path) -> MarketSensitivities:
    told = json.loads(read_mapped(folder / "told.arrow")["json"][0].as_py())
    parts: Floats = np.load(folder / "parts.npy", mmap_mode="r")
    return MarketSensitivities([Factor(**f) for f in told["factors"]], list(parts), tuple(told["notes"]))


def bumps_of(
    model: PathModel, rules: SaCva, known: ReferenceData[Classification], reporting: str
) -> tuple[dict[Factor, Bump], list[str]]:
    """The bump of every factor of the rules that the market has levels for; and the risk factors without a classification."""
    bumps: dict[Factor, Bump] = {}
    unclassified: set[str] = set()
    level = dict(zip(model.index.row, model.base.tolist(), strict=True))
    for f in model.index.factors:
        for factor, size, moved in _moves(f, level[f.risk_factor_id], rules, known, reporting, unclassified):
            bump = bumps.setdefault(factor, Bump(size))
            bump.levels[f.risk_factor_id] = moved
    _drive(model, bumps, known, rules, reporting, unclassified)
    return bumps, sorted(unclassified)


def _moves(
    f: RiskFactor,
    level: float,
    rules: SaCva,
    known: ReferenceData[Classification],
    reporting: str,
    unclassified: set[str],
) -> Iterator[tuple[Factor, float, float]]:
    """The factors of the rules that move a risk factor: factor, size, level afterwards."""
    if f.type in YIELDS or f.type == "rate_future":
        sign = -100.0 if f.type == "rate_future" else 1.0
        if not is_main(rules, f.currency, reporting):
            yield Factor("rates", "delta", f.currency, PARALLEL), BASIS_POINT, level + sign * BASIS_POINT
            return
        shares = tenor_weights(tenor_years(f.pillar or "1Y"), rules.rates.tenors).tolist()
        for tenor, share in zip(rules.rates.tenors, shares, strict=True):
            if share:
                moved = level + sign * share * BASIS_POINT
                yield Factor("rates", "delta", f.currency, tenor), BASIS_POINT, moved
    elif f.type == "inflation_rate":
        yield Factor("rates", "delta", f.currency, INFLATION), BASIS_POINT, level + BASIS_POINT
    elif f.type == "fx_rate":
        one, other = f.risk_factor_id[-6:-3], f.risk_factor_id[-3:]
        if one != reporting:
            yield Factor("fx", "delta", one), _RELATIVE, level * (1.0 + _RELATIVE)
        if other != reporting:
            yield Factor("fx", "delta", other), _RELATIVE, level / (1.0 + _RELATIVE)
    elif f.type in SHARES:
        bucket = equity_bucket(f.risk_factor_id, rules, known, unclassified)
        yield Factor("equity", "delta", bucket), _RELATIVE, level * (1.0 + _RELATIVE)
    elif f.type == "commodity_price":
        bucket = commodity_bucket(f.risk_factor_id, rules, known, unclassified)
        yield Factor("commodity", "delta", bucket), _RELATIVE, level * (1.0 + _RELATIVE)
    elif f.type in _SPREADS:
        name = f.curve or f.risk_factor_id
        bucket = reference_bucket(name, f.risk_factor_id, rules, known, unclassified)
        yield Factor("reference_spread", "delta", bucket), BASIS_POINT, level + BASIS_POINT
    elif f.type in _VOLATILITIES and (factor := _vega(f, rules, known, reporting, unclassified)) is not None:
        yield factor, _RELATIVE, level * (1.0 + _RELATIVE)


def _vega(
    f: RiskFactor,
    rules: SaCva,
    known: ReferenceData[Classification],
    reporting: str,
    unclassified: set[str],
) -> Factor | None:
    """The factor of the rules that a volatility belongs to; None of a volatility of nothing that the rules know."""
    asset = dict(f.attributes).get("asset", "")
    if f.type == "normal_vol":
        return Factor("rates", "vega", f.currency, RATES)
    if asset.startswith("FX:"):
        currency = next((c for c in (asset[-6:-3], asset[-3:]) if c != reporting), None)
        return None if currency is None else Factor("fx", "vega", currency)
    row = known.get(asset)
    if row is not None and row.kind == "commodity":
        return Factor("commodity", "vega", commodity_bucket(asset, rules, known, unclassified))
    if row is not None and row.kind in ("equity", "index"):
        return Factor("equity", "vega", equity_bucket(asset, rules, known, unclassified))
    return None


def _drive(
    model: PathModel,
    bumps: dict[Factor, Bump],
    known: ReferenceData[Classification],
    rules: SaCva,
    reporting: str,
    unclassified: set[str],
) -> None:
    """Adds the volatilities that paths are drawn with to the bumps of vega."""
    for d in model.drivers:
        factor: Factor | None = None
        if d.kind == "rate":
            factor = Factor("rates", "vega", d.currency, RATES)
        elif d.kind == "price_index":
            factor = Factor("rates", "vega", d.currency, INFLATION)
        elif d.kind == "fx" and d.name != reporting:
            factor = Factor("fx", "vega", d.name)
        elif d.kind == "share":
            factor = Factor("equity", "vega", equity_bucket(d.name, rules, known, unclassified))
        elif d.kind == "commodity":
            factor = Factor("commodity", "vega", commodity_bucket(d.name, rules, known, unclassified))
        elif d.kind == "credit":
            bucket = reference_bucket(d.name, d.name, rules, known, unclassified)
            factor = Factor("reference_spread", "vega", bucket)
        if factor is not None:
            bump = bumps.setdefault(factor, Bump(_RELATIVE))
            bump.volatilities[f"{d.kind} {d.name}"] = 1.0 + _RELATIVE


def equity_bucket(name: str, rules: SaCva, known: Mapping[str, Classification], unclassified: set[str]) -> str:
    """The bucket of a share or an index, MAR50.70 as 21.73; of others where it has no classification."""
    row = known.get(name)
    if row is None or row.kind not in ("equity", "index"):
        unclassified.add(name)
        return _OTHER["equity"]
    if row.kind == "index":
        return "12" if (row.capitalisation, row.economy) == ("large", "advanced") else "13"
    place = rules.equity.sector_places.get(row.sector or "")
    if place is None:
        return _OTHER["equity"]
    if row.capitalisation == "small":
        return "10" if row.economy == "advanced" else "9"
    return str(place + (4 if row.economy == "advanced" else 0))


def commodity_bucket(name: str, rules: SaCva, known: Mapping[str, Classification], unclassified: set[str]) -> str:
    """The bucket of a commodity, MAR50.74; of others where it has no classification."""
    row = known.get(name)
    if row is None or row.commodity_group not in rules.commodity.groups:
        unclassified.add(name)
        return _OTHER["commodity"]
    return str(rules.commodity.groups.index(row.commodity_group) + 1)


def reference_bucket(
    name: str, factor: str, rules: SaCva, known: Mapping[str, Classification], unclassified: set[str]
) -> str:
    """The bucket of a spread that drives exposure, MAR50.66; of others where it has no classification."""
    row = known.get(name) or known.get(factor)
    if row is None or row.rating is None:
        unclassified.add(name)
        return _OTHER["reference_spread"]
    if row.kind == "credit_index":
        return "16" if row.rating == "IG" or row.rating in rules.quality.investment_grade else "17"
    if row.sector not in rules.reference_spread.sectors:
        return _OTHER["reference_spread"]
    at = rules.reference_spread.sectors.index(row.sector) + 1
    return str(at if rules.quality.of(row.rating) == "investment_grade" else at + 7)
