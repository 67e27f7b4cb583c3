"""Fixtures shared by all tests."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lake.runtime.spark import spark_session

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


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
