"""Lakes, the application and its client for the tests of the service."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from flask.testing import FlaskClient
from flask_openapi3.openapi import OpenAPI
from small_lake import FRIDAY, MONDAY, build_lake, no_spark, request

from lake.committer import Committer
from lake.tables import Lake
from service.config import Settings
from valuation.sets.requests import run_valuation


@pytest.fixture(scope="session")
def valued_lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Not to be written to: for tests that only read, and to be copied by those that write."""
    lake = build_lake(tmp_path_factory.mktemp("service") / "lake")
    with Committer(lake, "test") as committer:
        for day in (FRIDAY, MONDAY):
            run_valuation(committer, request(day), spark=no_spark)  # type: ignore[arg-type]
    return lake.path


@pytest.fixture(scope="session")
def bare_lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A market and books, nothing valued; to be copied."""
    return build_lake(tmp_path_factory.mktemp("bare") / "lake").path


@pytest.fixture
def work_lake(bare_lake: Path, tmp_path: Path) -> Lake:
    """A lake of the test's own, nothing valued yet."""
    shutil.copytree(bare_lake, tmp_path / "lake")
    return Lake.open(tmp_path / "lake")


@pytest.fixture(autouse=True)
def logs() -> Iterator[list[structlog.typing.EventDict]]:
    """Log lines of the test, kept off the terminal."""
    with structlog.testing.capture_logs() as captured:
        yield captured


@pytest.fixture(scope="session")
def app(valued_lake: Path) -> OpenAPI:
    from service.api.app import create_app

    return create_app(Settings(lake=valued_lake))


@pytest.fixture
def client(app: OpenAPI) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def stop() -> Iterator[threading.Event]:
    """Set when the test ends, so that no engine outlives it."""
    event = threading.Event()
    yield event
    event.set()
