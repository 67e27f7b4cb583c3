"""The scenario benchmark runs at small sizes and measures what it says."""

import pytest

from service.bench.scenarios import bench_scenarios


@pytest.mark.slow
def test_rows_of_a_small_run() -> None:
    rows = bench_scenarios(n_factors=12, n_historical=40, n_paths=2048, n_many=5000)
    assert [r["work"].split(":")[0] for r in rows] == [
        "historical",
        "Monte Carlo, normal",
        "Monte Carlo, Student-t",
        "Monte Carlo, t copula with empirical margins",
        "Monte Carlo, bootstrap",
        "Monte Carlo, normal, Sobol",
        "Monte Carlo",
    ]
    assert "40 scenarios x 12 factors" in rows[0]["work"]
    assert "5,000 scenarios x 12 factors" in rows[-1]["work"]
    assert all(r["figure"] > 0 for r in rows)
    # a Python process with NumPy and Arrow takes some tens of MiB at least, and these few levels nearly nothing
    assert 0.03 < rows[-1]["figure"] < 1.0
    assert rows[-1]["met"]
