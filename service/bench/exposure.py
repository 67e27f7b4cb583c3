"""Benchmark of exposure, CVA and capital: the rows of paths, profiles, CVA, SA-CCR and market risk capital, each beside its limit."""

from __future__ import annotations

from service.bench import cva, frtb, frtb_ima, paths, profiles, sa_ccr
from service.bench.harness import Row

_CONTRACTS = 100_000  # of market risk capital, a position each


def bench_exposure() -> list[Row]:
    """Every row with the sizes that the limits are stated for; each is measured alone, one after the other."""
    return [
        *paths.bench_paths(1000, 1000, 60),
        *profiles.bench_profiles(),
        *cva.bench_cva(),
        *sa_ccr.bench_sa_ccr(1_000_000, 20_000),
        *frtb_ima.bench_frtb_ima(_CONTRACTS, 250, _CONTRACTS),
        *frtb.bench_frtb(_CONTRACTS, _CONTRACTS),
    ]
