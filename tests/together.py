"""Which tests a process of pytest-xdist runs together, and which begin; for `--dist loadfile`.

The tests of a file stay in one process, so that what they share is made once: a lake, a server, a browser. The files that take
long go first, or the last of them would run alone when all others have ended.
"""

from __future__ import annotations

from typing import Any

import pytest
from xdist.scheduler import LoadFileScheduling

# on one Spark session, which takes as long to start as most of these tests
ON_SPARK = (
    "tests/aggregation/reduce/test_product_on_spark.py",
    "tests/aggregation/exposure/test_stored_paths.py",
    "tests/service/test_cli_and_http_reduce.py",
    "tests/valuation/samples/test_whole_book.py",
    "tests/valuation/sets/test_generated_scenarios.py",
    "tests/valuation/sets/test_plan_and_run.py",
)
# a minute and more beside others, the longest first
LONG = (
    "tests/service/test_questions.py",
    *ON_SPARK,
    "tests/service/test_openapi.py",
    "tests/test_documented_commands.py",
    "tests/service/test_python.py",
    "tests/service/test_demo.py",
    "tests/service/test_api_process.py",
    "tests/service/test_non_interference.py",
    "tests/service/test_agents.py",
    "tests/service/test_damaged_lake.py",
    "tests/service/test_engine.py",
    "tests/service/test_api_uploads.py",
    "tests/test_tutorials.py",
    "tests/lake/test_readers.py",
    "tests/valuation/sets/test_contracts_that_go_wrong.py",
)
# the files of these folders thereafter: each of the first opens a browser and waits for it
FOLDERS = ("tests/web/", "tests/service/", "tests/scenarios/", "tests/aggregation/change/")


def rank(file: str) -> int:
    """Where a file stands in the order of the files; those of one rank stay in theirs."""
    if file in LONG:
        return LONG.index(file)
    return len(LONG) + next((k for k, folder in enumerate(FOLDERS) if file.startswith(folder)), len(FOLDERS))


class Together(LoadFileScheduling):
    """Files in the order of `rank`, those on Spark as one."""

    def __init__(self, config: pytest.Config, log: Any = None) -> None:
        super().__init__(config, log)
        config.option.loadscopereorder = False  # else those with many tests go first, which are short

    def _split_scope(self, nodeid: str) -> str:
        file = super()._split_scope(nodeid)
        return "on Spark" if file in ON_SPARK else file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Together | None:
    return Together(config, log) if config.getvalue("dist") == "loadfile" else None
