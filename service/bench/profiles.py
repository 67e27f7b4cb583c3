"""Benchmark of exposure profiles: EE, PFE and EPE by counterparty from values on paths that are there, beside one read of their bytes."""

from __future__ import annotations

import numpy as np

from aggregation.exposure.profiles import Asked, Profile, profile
from aggregation.kernels.estimators import exact_level
from service.bench.harness import Row, parallel_read, row
from service.bench.made_paths import made_paths, margined
from service.bench.reduce import together

_LEVELS = ("0.95", "0.99")


def bench_profiles(n_contracts: int = 4000, n_paths: int = 1000, n_dates: int = 60, n_sets: int = 200) -> list[Row]:
    """Seconds of EE, PFE and EPE by counterparty, margined, warm, against one read of the values by all cores."""
    paths, values = made_paths(n_contracts, n_paths, n_dates)
    along, _ = margined(paths, n_sets, n_contracts)
    asked = Asked(tuple(exact_level(x) for x in _LEVELS), 1, 1.0)
    group = np.arange(n_sets, dtype=np.int32)

    def answer() -> Profile:
        return profile(along, group, n_sets, asked)

    found = answer()
    mean_value, held = found.value[:, 1:], found.held[:, 1:]
    assert np.allclose(found.ee[:, 1:] - found.ene[:, 1:], mean_value - held, rtol=1e-9, atol=1e-6)
    ours, read = together([answer, parallel_read(values.reshape(-1, n_paths))], 15)
    size = f"{n_contracts:,} contracts x {n_dates} dates x {n_paths:,} paths, {n_sets} netting sets, {values.nbytes / 1e9:.2f} GB"
    return [
        row(
            f"EE, PFE and EPE by counterparty with collateral, warm: {size}",
            ours,
            "s",
            "one read of the bytes",
            read,
            "<= 2",
        )
    ]
