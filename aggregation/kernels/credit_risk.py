"""Kernel: capital by internal ratings, the risk-weight functions of CRE31 (Vasicek's one-factor model). Arrays of one entry an exposure."""

from __future__ import annotations

import numpy as np
from scipy.special import ndtr, ndtri

from lake.arrays import Bools, Floats


def asset_correlation(pd: Floats, low: Floats, high: Floats, decay: Floats) -> Floats:
    """Correlation R, which falls from `high` at a PD of zero to `low` at one, 31.5 and 31.16."""
    share = (1.0 - np.exp(-decay * pd)) / (1.0 - np.exp(-decay))
    found: Floats = low * share + high * (1.0 - share)
    return found


def size_adjusted(
    correlation: Floats, sales: Floats, applies: Bools, least: float, below: float, reduction: float
) -> Floats:
    """The correlation of small firms, lower by up to `reduction`, 31.8. sales : of a year, in million EUR; those of below are adjusted."""
    size = 1.0 - (np.maximum(sales, least) - least) / (below - least)
    found: Floats = np.where(applies & (sales < below), correlation - reduction * size, correlation)
    return found


def maturity_factor(pd: Floats, years: Floats, intercept: float, slope: float, reference: float, base: float) -> Floats:
    """The full maturity adjustment, 31.6: 1 at `base` years, so (1 + (M - 2.5) b) / (1 - 1.5 b). pd : above zero."""
    b = (intercept - slope * np.log(pd)) ** 2
    found: Floats = (1.0 + (years - reference) * b) / (1.0 + (base - reference) * b)
    return found


def capital(pd: Floats, lgd: Floats, correlation: Floats, factor: Floats, confidence: float) -> Floats:
    """Capital K for an exposure of one, 31.5: the loss at the confidence level less the expected loss, times the maturity factor.

    Zero at a PD of zero. pd : below one. K is at least zero.
    """
    some = np.where(pd > 0.0, pd, 0.5)
    root = np.sqrt(1.0 - correlation)
    stressed = ndtr(ndtri(some) / root + np.sqrt(correlation) / root * ndtri(confidence))
    found: Floats = np.where(pd > 0.0, np.maximum(lgd * (stressed - some) * factor, 0.0), 0.0)
    return found
