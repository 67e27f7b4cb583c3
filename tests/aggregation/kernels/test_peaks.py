"""The generalised Pareto tail against Hull's published figures, SciPy's optimiser and distribution, and itself under weights."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from reduce_lake import DAY, Valued, make_lake, position
from scipy import optimize, stats

from aggregation.change.compare import compare
from aggregation.kernels import peaks
from aggregation.kernels.tail import NotDefined
from aggregation.measures import MEASURES
from aggregation.risk.query import run_query
from aggregation.risk.table import run_table
from aggregation.types import RiskQuery, TableQuery
from lake.arrays import Floats
from lake.errors import BadInput

P99 = Fraction(99, 100)


def most_likely(excess: Floats, weights: Floats) -> Floats:
    """Shape and scale by Nelder and Mead on SciPy's own density."""

    def minus_log_likelihood(x: Floats) -> float:
        return -float((weights * stats.genpareto.logpdf(excess, x[0], scale=x[1])).sum()) if x[1] > 0 else np.inf

    start = [0.1, float((weights * excess).sum() / weights.sum())]
    options = {"xatol": 1e-10, "fatol": 1e-13, "maxiter": 5000}
    return np.asarray(optimize.minimize(minus_log_likelihood, start, method="Nelder-Mead", options=options).x)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("law", [stats.t(3), stats.norm(), stats.expon(), stats.genpareto(0.436, scale=32.532)])
@pytest.mark.parametrize("share", ["0.1", "0.05"])
def test_against_scipy(law: object, share: str, weighted: bool) -> None:
    losses = law.rvs(600, random_state=7)  # type: ignore[attr-defined]
    weights = 0.998 ** np.arange(599, -1, -1.0) if weighted else None
    u, mass, count, shape, scale = (x[0] for x in peaks.fit(-losses[None], weights, Fraction(share)))
    beyond = losses > u
    p = np.full(600, 1 / 600) if weights is None else weights / weights.sum()
    assert count == beyond.sum()
    assert mass == pytest.approx(p[beyond].sum(), rel=1e-12)
    assert mass >= float(share) - 1e-12
    assert p[losses > u + 1e-12].sum() - p[beyond & (losses == losses[beyond].min())].sum() < float(share)
    assert u == losses[~beyond].max()
    np.testing.assert_allclose([shape, scale], most_likely(losses[beyond] - u, p[beyond]), rtol=1e-5, atol=1e-6)

    tail = stats.genpareto(shape, loc=u, scale=scale)
    var = tail.ppf(1 - 0.01 / mass)
    how = {"weights": weights, "estimator": "", "share": Fraction(share)}
    assert peaks.var(-losses[None], P99, **how)[0] == pytest.approx(var, rel=1e-10)
    expected = tail.expect(lambda x: x, lb=var) / (0.01 / mass)
    assert peaks.es(-losses[None], P99, **how)[0] == pytest.approx(expected, rel=1e-6)
    for x in (u + 0.1, var, u - 0.5):
        exceeding = mass * tail.sf(x) if x >= u else p[losses > x].sum()
        found = peaks.exceedance_probability(-losses[None], Fraction(float(x)), **how)[0]
        assert found == pytest.approx(exceeding, rel=1e-10)


def test_hull(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four-index portfolio, $000: 22 of 500 losses beyond 160, scale 32.532, shape 0.436."""
    published = [np.array([x]) for x in (160.0, 22 / 500, 22.0, 0.436, 32.532)]
    monkeypatch.setattr(peaks, "fit", lambda pnl, weights, share: published)
    pnl = np.zeros((1, 500))
    assert peaks.var(pnl, P99, None, "")[0] == pytest.approx(227.8, abs=0.1)
    assert peaks.var(pnl, Fraction(999, 1000), None, "")[0] == pytest.approx(474.0, abs=0.2)
    assert peaks.es(pnl, P99, None, "")[0] == pytest.approx(337.9, abs=0.2)
    assert peaks.exceedance_probability(pnl, Fraction(300), None, "")[0] == pytest.approx(0.0039, abs=5e-5)


def test_a_tail_is_fitted_once_for_all_its_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    fits: list[int] = []
    real = peaks._fits

    def counted(*given: object) -> object:
        fits.append(1)
        return real(*given)

    monkeypatch.setattr(peaks, "_fits", counted)
    rng = np.random.default_rng(11)
    one, two = rng.standard_t(4, (2, 3, 400))
    measures = [m for m in MEASURES.values() if m.fits_tail]
    for pnl in (one, two, one.copy()):
        for m in measures:
            argument = Fraction(99, 100) if m.needs_level else Fraction(3) if m.needs_threshold else None
            m.function(pnl, argument, None, "order_statistic")
    assert (len(measures), len(fits)) == (7, 2)
    peaks.fit(one, np.linspace(1, 2, 400) / np.linspace(1, 2, 400).sum(), peaks.SHARE)
    peaks.fit(one, None, Fraction(1, 5))
    assert len(fits) == 4


def test_where_it_is_not_defined() -> None:
    losses = np.random.default_rng(1).standard_t(4, (1, 500))
    with pytest.raises(NotDefined, match=r"level 0\.8 lies before the threshold: 0\.1 of the distribution is fitted"):
        peaks.var(losses, Fraction(8, 10), None, "")
    assert np.isnan(peaks.var(losses[:, :90], P99, None, ""))  # nine losses
    ties = np.where(losses < -1.2, -5.0, losses)
    assert np.isnan(peaks.fitted(ties, None, None, "", part=peaks.SHAPE))
    heavy = -stats.genpareto(1.5, scale=1.0).rvs((1, 2000), random_state=1)
    assert peaks.fitted(heavy, None, None, "", part=peaks.SHAPE)[0] > 1
    assert np.isnan(peaks.es(heavy, P99, None, ""))  # no mean
    assert np.isfinite(peaks.var(heavy, P99, None, ""))


def test_an_answer_shows_its_fit(tmp_path: Path) -> None:
    pnl = {c: np.random.default_rng(i).standard_t(4, 500) * 1e3 for i, c in enumerate("ab")}
    lake = make_lake(
        tmp_path,
        Valued({c: ("USD", 1e6, p) for c, p in pnl.items()}),
        [position(c, c, 1.0, desk=c) for c in pnl],
    )
    query = RiskQuery(as_of=DAY, by=("desk",), measures=("var_gpd", "var"), tail_share="0.05", interval="0.9")
    found = run_query(lake, query)
    row = found.rows.to_pylist()[0]
    u, _, count, shape, scale = (x[0] for x in peaks.fit(pnl["a"][None], None, Fraction("0.05")))
    shown = {n: row[n] for n in ("gpd_threshold", "gpd_exceedances", "gpd_shape", "gpd_scale")}
    assert shown == {"gpd_threshold": u, "gpd_exceedances": count, "gpd_shape": shape, "gpd_scale": scale}
    assert count == 25
    assert row["var_gpd_0.99_low"] < row["var_gpd_0.99"] < row["var_gpd_0.99_high"]
    assert "gpd_shape" not in run_query(lake, query.model_copy(update={"measures": ("var",)})).rows.column_names
    table = run_table(lake, TableQuery(as_of=DAY, by=("desk",), measures=("es_gpd",), subtotals=True, limit=1))
    assert {"es_gpd_0.99", "gpd_shape"} <= set(table.rows.column_names)
    both = compare(lake, query, query)
    assert {"var_gpd_0.99_change", "gpd_shape_change"} <= set(both.rows.column_names)
    with pytest.raises(BadInput, match="before the threshold"):
        run_query(lake, RiskQuery(as_of=DAY, measures=("es_gpd",), levels=("0.8",)))
