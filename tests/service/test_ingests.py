"""The table of what can be brought in."""

from __future__ import annotations

from pathlib import Path

import pytest

from lake.committer import Committer
from lake.errors import VarlakeError
from lake.tables import Lake
from service.ingests import INGESTS

REQUIRED = {"catalogue": "marketdata", "source": "risksys", "matrix": "daily", "horizon_days": 1, "unit": "1"}


@pytest.mark.parametrize("kind", INGESTS)
def test_what_reads_a_file_takes_every_option_that_may_be_said(kind: str, tmp_path: Path) -> None:
    entry = INGESTS[kind]
    needed = {n: REQUIRED[n] for n, f in entry.options.model_fields.items() if f.is_required()}
    with Committer(Lake.create(tmp_path / "lake"), "test") as committer, pytest.raises(VarlakeError, match="nowhere"):
        entry.read_in(committer, str(tmp_path / "nowhere.csv"), entry.options(**needed))
