"""Fixtures shared by all tests."""

from __future__ import annotations

import os
import shutil
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from flask.testing import FlaskClient
from flask_openapi3.openapi import OpenAPI
from hypothesis import settings
from hypothesis.internal.conjecture import providers
from hypothesis.internal.constants_ast import Constants
from once import built_once
from small_lake import FRIDAY, MONDAY, OF_CAPITAL, TRIED, base, bring_limits, build_lake, no_spark, request

from aggregation import questions
from aggregation.questions import QUESTIONS
from aggregation.session import reading
from lake.committer import Committer
from lake.runtime.spark import spark_session
from lake.tables import Lake
from scenarios.market.landing_catalogue import ingest_market, load_catalogue
from scenarios.market.sample_market import write_sample_market
from service.config import Settings
from valuation.sets.requests import run_valuation

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

# a shell leaves it so to what runs in its background, and to all that this starts
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Hypothesis: `fixed`, the profile of every run, draws the same examples everywhere; `--hypothesis-profile=search` draws new
# ones. No example has a time limit, and a failure prints the line that repeats it.
settings.register_profile("fixed", derandomize=True, deadline=None, print_blob=True)
settings.register_profile("search", derandomize=False, deadline=None, print_blob=True)
settings.load_profile("fixed")


# a Java that lives for minutes spends half of its processor time on compiling anew what it has compiled, and on collecting side by side
for _options in ("SPARK_SUBMIT_OPTS", "SPARK_LAUNCHER_OPTS"):
    os.environ.setdefault(_options, "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC")

# the width of the terminal of whoever runs the tests, which pytest-xdist hands on as a variable, folds no line of theirs
os.environ.pop("COLUMNS", None)


_THEIR_OWN = ("exposure", "regulatory")  # folders of their own tests, which run always
_LONG = (
    "test_agents.py",
    "test_as_known.py",
    "test_excel.py",
    "test_no_exchange_rate.py",
    "test_non_interference.py",
    "test_openbb.py",
    "test_questions.py",
    "test_terms.py",
)


_SELDOM = {True: QUESTIONS.keys() - set(TRIED), False: OF_CAPITAL}  # of the long suites, and of the others
_BEGIN = {long: tuple(f for n in names for f in (f"{n}-", f"/{n}")) for long, names in _SELDOM.items()}


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> Iterator[None]:
    """What the suites over all questions try with one on counterparties or capital is slow, and of the long ones all but `TRIED`."""
    for item in items:
        given = getattr(item, "callspec", None)
        if given is None or item.path.parent.name in _THEIR_OWN:
            continue
        seldom = _SELDOM[item.path.name in _LONG]
        named = {v for v in given.params.values() if isinstance(v, str)}
        if named & seldom or given.id in seldom or given.id.startswith(_BEGIN[item.path.name in _LONG]):
            item.add_marker(pytest.mark.slow)
    yield
    items[:] = _side_by_side(items)


def _side_by_side(items: list[pytest.Item]) -> list[pytest.Item]:
    """The tests of one Spark session, and those of the pages, each at the start of what one process of pytest-xdist is given.

    The processes get a run of tests each and steal from the end of another's, so that one alone starts Spark, and one the servers.
    """
    processes = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    if processes == 1:
        return items
    shared = {"spark": list[pytest.Item](), "pages": list[pytest.Item](), "": list[pytest.Item]()}
    for item in items:
        of_pages = item.path.parent.name == "web"
        shared["spark" if "spark" in getattr(item, "fixturenames", ()) else "pages" if of_pages else ""].append(item)
    last = max(0, (processes - 1) * len(items) // processes - len(shared["spark"]))
    first, rest = shared[""][:last], shared[""][last:]
    return [*shared["spark"], *first, *shared["pages"], *rest]


@pytest.hookimpl(trylast=True)
def pytest_configure() -> None:
    """With `derandomize` alone, examples still depend on the numbers in whichever modules of the project are loaded."""
    if settings.get_current_profile_name() == "fixed":
        assert callable(providers._get_local_constants), "this release of Hypothesis takes them from elsewhere"
        none = Constants()
        providers._get_local_constants = lambda: none


@pytest.fixture(scope="module")
def tried(request: pytest.FixtureRequest) -> list[str]:
    """The questions that the tests of a module try in this run."""
    slow = any(i.path == request.path and i.get_closest_marker("slow") for i in request.session.items)
    return [n for n in QUESTIONS if slow or n in TRIED]


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


@pytest.fixture(scope="session")
def real_market(market_data_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake with the real market files of the catalogue `marketdata`. To be copied by tests that write."""

    def build(folder: Path) -> Lake:
        lake = Lake.create(folder / "lake")
        with Committer(lake, "test") as committer:
            ingest_market(committer, market_data_dir, load_catalogue("marketdata"))
        return lake

    return built_once(tmp_path_factory, "real-market", build)


@pytest.fixture(scope="session")
def sample_market(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake with the synthetic market of the demo, all its years. Not to be written to."""

    def build(folder: Path) -> Lake:
        catalogue = write_sample_market(folder / "files")
        lake = Lake.create(folder / "lake")
        with Committer(lake, "test") as committer:
            ingest_market(committer, folder / "files", load_catalogue(catalogue))
        return lake

    return built_once(tmp_path_factory, "sample-market", build)


@pytest.fixture(scope="session")
def valued_lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Not to be written to: for tests that only read, and to be copied by those that write."""

    def build(folder: Path) -> Lake:
        lake = build_lake(folder / "lake")
        with Committer(lake, "test") as committer:
            bring_limits(committer, folder)
            for day in (FRIDAY, MONDAY):
                run_valuation(committer, request(day), spark=no_spark)  # type: ignore[arg-type]
        return lake

    return built_once(tmp_path_factory, "valued", build)


@pytest.fixture(scope="session")
def answering_lake(valued_lake: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The valued lake with everything valued that the examples of all questions rest on. To be copied by tests that write."""

    def build(folder: Path) -> Lake:
        lake = Lake.open(shutil.copytree(valued_lake, folder / "lake"))
        with Committer(lake, "test") as committer:
            session = reading(lake).writing(committer)
            for name in QUESTIONS:
                if name != "backtest":  # its days are valued
                    questions.value(session, name, questions.read(name, base(name)))
        return lake

    return built_once(tmp_path_factory, "answering", build)


@pytest.fixture(scope="session")
def bumped_lake(valued_lake: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The valued lake with the bumps of Monday and of the pairs that are read, in dollars and in euros."""

    def build(folder: Path) -> Lake:
        lake = Lake.open(shutil.copytree(valued_lake, folder / "lake"))
        with Committer(lake, "test") as committer:
            for currency in ("USD", "EUR"):
                asked = questions.read(
                    "greeks", {"as_of": MONDAY, "currency": currency, "greeks": ["delta", "cross_gamma"]}
                )
                questions.value(reading(lake).writing(committer), "greeks", asked)
        return lake

    return built_once(tmp_path_factory, "bumped", build)


@pytest.fixture(scope="session")
def demo_lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The market, bank and days of the demo with few positions, for documented examples; to be copied by tests that write."""
    from demo_lake import build_demo_lake

    return built_once(tmp_path_factory, "demo", build_demo_lake)


@pytest.fixture(scope="session")
def bare_lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A market and books, nothing valued; to be copied."""
    return built_once(tmp_path_factory, "bare", lambda folder: build_lake(folder / "lake"))


@pytest.fixture(scope="session")
def monday_lake(bare_lake: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Valued on Monday alone; to be copied."""

    def build(folder: Path) -> Lake:
        lake = Lake.open(shutil.copytree(bare_lake, folder / "lake"))
        with Committer(lake, "test") as committer:
            run_valuation(committer, request(MONDAY), spark=no_spark)  # type: ignore[arg-type]
        return lake

    return built_once(tmp_path_factory, "monday", build)


@pytest.fixture
def work_lake(bare_lake: Path, tmp_path: Path) -> Lake:
    """A lake of the test's own, nothing valued yet."""
    shutil.copytree(bare_lake, tmp_path / "lake")
    return Lake.open(tmp_path / "lake")


@pytest.fixture
def valued_copy(valued_lake: Path, tmp_path: Path) -> Lake:
    """A lake of the test's own, valued on two days."""
    shutil.copytree(valued_lake, tmp_path / "lake")
    return Lake.open(tmp_path / "lake")


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
