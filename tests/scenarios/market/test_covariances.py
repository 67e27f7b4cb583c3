"""Covariance matrices brought in: layouts, units, checks and the repair."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import new_lake

from lake.committer import Committer
from lake.errors import BadInput, NotFound
from scenarios.market.covariances import CovarianceReport, ingest_covariance, load_covariance

EXAMPLES = Path(__file__).parents[3] / "docs" / "examples"
# Higham (2002), section 1: its nearest correlation matrix has 0.7607 and 0.1573
HIGHAM = "correlation,a,b,c\na,1,1,0\nb,1,1,1\nc,0,1,1\n"
VOLATILITIES = "factor,volatility\na,0.1\nb,0.2\nc,0.3\n"


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[Committer]:
    with Committer(new_lake(tmp_path), "test") as committer:
        yield committer


def bring(
    writer: Committer, tmp_path: Path, text: str, volatilities: str | None = None, **more: Any
) -> CovarianceReport:
    path = tmp_path / "matrix.csv"
    path.write_text(text)
    if volatilities is not None:
        (tmp_path / "vols.csv").write_text(volatilities)
        more["volatilities"] = str(tmp_path / "vols.csv")
    return ingest_covariance(writer, path, **{"name": "m", "horizon_days": 1, "unit": "1", **more})


def test_long_square_and_volatilities_are_the_same(writer: Committer, tmp_path: Path) -> None:
    texts = [
        ("factor,a,b\nb,0.0018,0.0144\na,0.0025,0.0018\n", None),
        ("factor_1,factor_2,covariance\na,a,0.0025\nb,a,0.0018\nb,b,0.0144\n", None),
        ("Factor1 Factor2 Covariance\na a 0.0025\na b 0.0018\nb a 0.0018\nb b 0.0144\n", None),
        ("factor_1,factor_2,correlation\na,b,0.3\n", "factor,volatility,unit\na,5,percent\nb,1200,bp\n"),
    ]
    for text, volatilities in texts:
        bring(writer, tmp_path, text, volatilities)
        found = load_covariance(writer.lake, "m")
        assert found.factors == ("a", "b")
        assert found.covariance == pytest.approx(np.array([[0.0025, 0.0018], [0.0018, 0.0144]]), rel=1e-12)


def test_units_of_moves(writer: Committer, tmp_path: Path) -> None:
    """25 basis points squared are 25e-8; bumps stay what they are."""
    text = "factor_1,factor_2,covariance\na,a,25\n"
    for unit, wanted in (("bp", 25e-8), ("percent", 25e-4), ("1", 25.0), ("bump", 25.0)):
        report = bring(writer, tmp_path, text, unit=unit)
        assert load_covariance(writer.lake, "m").covariance[0, 0] == pytest.approx(wanted, rel=1e-12)
        assert report.unit == unit
    assert load_covariance(writer.lake, "m").unit == "bump"


def test_a_matrix_that_is_none_is_refused_with_its_eigenvalue_and_repaired_on_request(
    writer: Committer, tmp_path: Path
) -> None:
    """Eigenvalues 1 and 1 +- sqrt(2); the repair is the published one of Higham (2002)."""
    with pytest.raises(BadInput, match=r"eigenvalue -0\.414"):
        bring(writer, tmp_path, HIGHAM, VOLATILITIES)
    report = bring(writer, tmp_path, HIGHAM, VOLATILITIES, repair=True)
    assert report.least_eigenvalue == pytest.approx(1 - np.sqrt(2))
    assert report.repaired == pytest.approx(1 - 0.7607, abs=5e-5)
    sd = np.array([0.1, 0.2, 0.3])
    correlation = load_covariance(writer.lake, "m").covariance / np.outer(sd, sd)
    wanted = np.array([[1, 0.7607, 0.1573], [0.7607, 1, 0.7607], [0.1573, 0.7607, 1]])
    assert correlation == pytest.approx(wanted, abs=5e-5)
    assert any("Repaired" in note for note in report.notes)


def test_a_singular_matrix_is_one(writer: Committer, tmp_path: Path) -> None:
    report = bring(writer, tmp_path, "factor,a,b,c\na,4,2,0\nb,2,1,0\nc,0,0,0\n")
    assert report.repaired is None
    assert report.least_eigenvalue == pytest.approx(0.0, abs=1e-12)
    assert report.notes == ("1 factor does not move at all, first c.",)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("factor,a,b\na,1,0.5\nb,0.4,1\n", r"a, b: is not symmetric \(given 0\.5 and, the other way round, 0\.4\)"),
        ("factor,a,b\na,1,1.5\nb,1.5,1\n", "correlation beyond 1"),
        ("factor,a,b\na,-1,0\nb,0,1\n", "negative variance"),
        ("factor,a,b\na,1,0\n", "column that no row"),
        ("factor,a,b\na,1,0\nb,0,x\n", r"line 3, b: expected a number \(given x\)"),
        ("factor_1,factor_2,covariance\na,a,1\nb,b,1\n", "1 pair is not in the file"),
        ("factor_1,factor_2,covariance\na,a,1\na,b,0\n", "1 factor has no variance"),
        ("factor_1,factor_2,covariance\na,a,1\na,a,1\n", "line 2 already"),
        ("factor_1,factor_2,covariance,extra\na,a,1,2\n", "expected factor_1"),
        (HIGHAM, "give the volatilities"),
    ],
)
def test_faults_are_told(writer: Committer, tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(BadInput, match=told):
        bring(writer, tmp_path, text)
    assert writer.lake.version("covariances") == -1


@pytest.mark.parametrize(
    ("volatilities", "told"),
    [
        ("factor,volatility\na,0.1\nb,0.2\n", "c: has no volatility"),
        (VOLATILITIES + "d,1\n", "no factor of the correlations"),
        (VOLATILITIES.replace("0.3", "-0.3"), "not negative"),
        ("factor,volatility,unit\na,1,bips\n", "unit 1, percent or bp"),
    ],
)
def test_faults_of_volatilities_are_told(writer: Committer, tmp_path: Path, volatilities: str, told: str) -> None:
    with pytest.raises(BadInput, match=told):
        bring(writer, tmp_path, HIGHAM, volatilities, repair=True)


def test_absent_pairs_are_zero_where_that_is_said(writer: Committer, tmp_path: Path) -> None:
    bring(writer, tmp_path, "factor_1,factor_2,covariance\na,a,1\nb,b,1\n", absent_are_zero=True)
    assert load_covariance(writer.lake, "m").covariance[0, 1] == 0.0


def test_the_examples_load_and_an_unknown_name_is_told(writer: Committer) -> None:
    ingest_covariance(writer, EXAMPLES / "covariance.csv", name="daily", horizon_days=1, unit="1")
    ingest_covariance(
        writer, EXAMPLES / "ore-covariance.csv", name="ore", horizon_days=1, unit="bump", absent_are_zero=True
    )
    assert load_covariance(writer.lake, "ore").factors[0] == "DiscountCurve/USD/4/5Y"
    with pytest.raises(NotFound, match="daily"):
        load_covariance(writer.lake, "dayly")
