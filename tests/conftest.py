"""Fixtures shared by all tests."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings
from hypothesis.internal.conjecture import providers
from hypothesis.internal.constants_ast import Constants

from lake.runtime.spark import spark_session

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

# Hypothesis: `fixed`, the profile of every run, draws the same examples everywhere; `--hypothesis-profile=search` draws new
# ones. No example has a time limit, and a failure prints the line that repeats it.
settings.register_profile("fixed", derandomize=True, deadline=None, print_blob=True)
settings.register_profile("search", derandomize=False, deadline=None, print_blob=True)
settings.load_profile("fixed")


@pytest.hookimpl(trylast=True)
def pytest_configure() -> None:
    """With `derandomize` alone, examples still depend on the numbers in whichever modules of the project are loaded."""
    if settings.get_current_profile_name() == "fixed":
        assert callable(providers._get_local_constants), "this release of Hypothesis takes them from elsewhere"
        none = Constants()
        providers._get_local_constants = lambda: none


@pytest.fixture(scope="session")
def spark() -> Iterator[SparkSession]:
    """One real Spark session for the whole run; starting it takes some seconds."""
    session = spark_session("local[2,4]")
    yield session
    session.stop()


@pytest.fixture(scope="session")
def market_data_dir() -> Path:
    """The folder of the real market files; the setting VARLAKE_TEST_MARKET_DATA, else the folder beside the repository."""
    default = Path(__file__).parents[2] / "shared" / "marketdata" / "raw"
    folder = Path(os.environ.get("VARLAKE_TEST_MARKET_DATA", default))
    if not folder.is_dir():
        pytest.skip(f"no market data at {folder}; name its folder in VARLAKE_TEST_MARKET_DATA")
    return folder
