"""Non-deliverable forwards from QuantLib's fair rate of an FX forward and its discount factors; it has no such instrument."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import numpy as np

from service.bench.oracles.fx_pairs import base_curve, forward, random_pair, spot
from service.bench.oracles.market import TODAY, Quotes, ql_date, random_date
from valuation.instruments.fx.non_deliverable_forward import Terms

TOLERANCE = 1e-12  # one formula
BAR = 20  # a cash flow


def contracts(rng: np.random.Generator, n: int) -> list[dict[str, Any]]:
    made = []
    for _ in range(n):
        pair, strike = random_pair(rng)
        currency = str(rng.choice([pair["currency"], pair["base_currency"]]))
        day = dt.date.fromisoformat(random_date(rng, 1, 1095))
        if rng.random() < 0.1:  # fixed, not paid yet
            fixed = {"fixing": strike * float(rng.uniform(0.9, 1.1)), "fixing_date": (TODAY - dt.timedelta(days=1))}
            day = TODAY
        else:
            fixed = {"fixing_date": day}
        terms = {"settlement_currency": currency, **fixed, "maturity": day + dt.timedelta(days=int(rng.integers(1, 5)))}
        made.append({**pair, "strike": strike, **terms})
    return made


def price(terms: Terms, quotes: Quotes) -> Callable[[], float]:
    paid = ql_date(terms.maturity)
    level, base, quote = spot(terms, quotes), base_curve(terms, quotes), quotes.curve(terms.quote_curve)
    to_fix = None if terms.fixing else forward(terms, terms.strike, terms.fixing_date, quotes)

    def npv() -> float:
        rate = terms.fixing if to_fix is None else float(to_fix.fairForwardRate())
        assert rate is not None
        if terms.settlement_currency == terms.currency:
            return float((rate - terms.strike) * quote.discount(paid))
        return float(level.value() * base.discount(paid) * (1.0 - terms.strike / rate))

    return npv
