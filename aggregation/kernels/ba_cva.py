"""Kernel: the basic approach to CVA risk (BA-CVA), reduced and full, with contributions that add up.

    K_reduced = sqrt((rho sum SCVA)^2 + (1 - rho^2) sum SCVA^2)                                          MAR50.14
    SCVA_c    = RW_c / alpha * sum over its netting sets of M EAD DF                                     MAR50.15
    K_full    = beta K_reduced + (1 - beta) K_hedged                                                     MAR50.20
    K_hedged  = sqrt((rho sum (SCVA - SNH) - IH)^2 + (1 - rho^2) sum (SCVA - SNH)^2 + sum HMA)           MAR50.21
    SNH_c = sum r RW M B DF, IH = sum RW M B DF, HMA_c = sum (1 - r^2) (RW M B DF)^2                     MAR50.23 to 50.25

All amounts are in one currency and positive for a cost; K is before the discount scalar of MAR50.14. Source: BCBS d507 (July 2020), MAR50.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from lake.arrays import Codes, Floats


@dataclass(frozen=True)
class Formula:
    """What the rules prescribe. rho : correlation of a counterparty's spread with the systematic factor; alpha : by which exposure was
    multiplied, and is divided here; beta : weight of the unhedged charge; discount_rate : a year, of the supervisory discount factor."""

    rho: float
    alpha: float
    beta: float
    discount_rate: float


@dataclass(frozen=True)
class SingleNameHedges:
    """Hedges of one counterparty's spread each, (n_hedges,).

    counterparty : its row; amount : RW M B DF, positive for protection bought; correlation : r, of its reference with the counterparty.
    """

    counterparty: Codes
    amount: Floats
    correlation: Floats


@dataclass(frozen=True)
class Charge:
    """Capital K and its Euler contributions, which add up to it but for rounding.

    counterparties : (n_counterparties,) of their SCVA; hedges : (n_hedges,) of single-name hedges, mostly negative; index : (n_index,)
    of index
    hedges. systematic, idiosyncratic, misalignment : the three squares under the root of K, of the charge after hedges.
    """

    capital: float
    counterparties: Floats
    hedges: Floats
    index: Floats
    systematic: float
    idiosyncratic: float
    misalignment: float


def discount_factors(maturity: Floats, rate: float) -> Floats:
    """(1 - exp(-rate M)) / (rate M), (n,), 1 for M = 0: the supervisory discount averaged over the life. MAR50.15(4), 50.23(5)."""
    x = rate * maturity
    safe = np.where(x == 0.0, 1.0, x)
    factors: Floats = np.where(x == 0.0, 1.0, -np.expm1(-safe) / safe)
    return factors


def standalone(weight: Floats, weighted_exposure: Floats, alpha: float) -> Floats:
    """SCVA, of each row RW / alpha * (M EAD DF); alpha divides, since EAD holds it. MAR50.15."""
    scva: Floats = weight * weighted_exposure / alpha
    return scva


def reduced(scva: Floats, formula: Formula) -> Charge:
    """The charge without hedges, SCVA (n_counterparties,)."""
    nothing = SingleNameHedges(np.empty(0, np.int32), np.empty(0), np.empty(0))
    return hedged(scva, nothing, np.empty(0), formula)


def hedged(scva: Floats, hedges: SingleNameHedges, index: Floats, formula: Formula) -> Charge:
    """K_hedged. index : (n_index,) RW M B DF of index hedges, positive for protection bought.

    Every part is homogeneous of degree one together, so that sum over parts of part * dK/dpart = K (Euler).
    """
    rho = formula.rho
    snh = np.zeros(scva.size)
    misaligned = (1.0 - hedges.correlation * hedges.correlation) * hedges.amount * hedges.amount
    offset = hedges.correlation * hedges.amount
    for h in range(hedges.amount.size):  # in the order of the hedges
        snh[hedges.counterparty[h]] += offset[h]
    net = scva - snh
    common = rho * math.fsum(net) - math.fsum(index)
    own = (1.0 - rho * rho) * net
    squares = common * common, math.fsum(own * net), math.fsum(misaligned)
    capital = math.sqrt(math.fsum(squares))
    if capital == 0.0:
        return Charge(0.0, np.zeros(scva.size), np.zeros(offset.size), np.zeros(index.size), *squares)
    slope = (rho * common + own) / capital  # dK / d net, (n_counterparties,)
    of_hedges = (misaligned / capital) - slope[hedges.counterparty] * offset
    return Charge(capital, slope * scva, of_hedges, -common / capital * index, *squares)


def full(scva: Floats, hedges: SingleNameHedges, index: Floats, formula: Formula) -> Charge:
    """K_full; the squares are those of K_hedged."""
    bare, covered = reduced(scva, formula), hedged(scva, hedges, index, formula)
    beta = formula.beta
    return Charge(
        beta * bare.capital + (1.0 - beta) * covered.capital,
        beta * bare.counterparties + (1.0 - beta) * covered.counterparties,
        (1.0 - beta) * covered.hedges,
        (1.0 - beta) * covered.index,
        covered.systematic,
        covered.idiosyncratic,
        covered.misalignment,
    )


@dataclass(frozen=True)
class Sums:
    """What K_reduced needs of all counterparties, so that one that changes is an update and no new sum."""

    total: float
    squares: float

    @classmethod
    def of(cls, scva: Floats) -> Sums:
        """Of SCVA (n_counterparties,)."""
        return cls(math.fsum(scva), math.fsum(scva * scva))

    def replaced(self, before: float, after: float) -> Sums:
        """With one counterparty's SCVA `after` in place of `before`."""
        return Sums(self.total - before + after, max(self.squares - before * before + after * after, 0.0))

    def capital(self, formula: Formula) -> float:
        """K_reduced."""
        rho = formula.rho
        return math.sqrt((rho * self.total) ** 2 + (1.0 - rho * rho) * self.squares)
