"""The table of what can be brought in."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest

from lake.committer import Committer
from lake.errors import MOST_ISSUES, VarlakeError
from lake.tables import Lake
from service.config import Settings
from service.errors import problem_of
from service.ingests import INGESTS
from service.rendering import display
from service.work import ingest, ingest_request

REQUIRED = {"catalogue": "marketdata", "source": "risksys", "matrix": "daily", "horizon_days": 1, "unit": "1"}


@pytest.mark.parametrize("kind", INGESTS)
def test_what_reads_a_file_takes_every_option_that_may_be_said(kind: str, tmp_path: Path) -> None:
    entry = INGESTS[kind]
    needed = {n: REQUIRED[n] for n, f in entry.options.model_fields.items() if f.is_required()}
    with Committer(Lake.create(tmp_path / "lake"), "test") as committer, pytest.raises(VarlakeError, match="nowhere"):
        entry.read_in(committer, str(tmp_path / "nowhere.csv"), entry.options(**needed))


HEADERS = {
    "counterparties": "counterparty,effective_from,sector,rating",
    "agreements": "agreement,counterparty,legal_entity,effective_from,netting,margined,currency",
    "collateral": "as_of_date,agreement,kind,amount,currency",
    "classifications": "name,kind,effective_from",
    "hierarchy": "hierarchy,level,member,parent_level,parent,effective_from,effective_to",
    "pnl": "date,kind,desk,pnl,currency",
    "orders": "order_id,sequence,event,executed_at,side,quantity,portfolio,client,account,desk,book,legal_entity,counterparty",
}


@pytest.mark.parametrize("kind", HEADERS)
def test_every_fault_is_told_and_of_many_all_are_in_a_file(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Rows with the same fault: whoever reads the error alone knows each row, or where all of them are."""
    lake, header = Lake.create(tmp_path / "lake"), HEADERS[kind]
    told: dict[int, VarlakeError] = {}
    for n in (7, 150):
        path = tmp_path / f"{kind}-{n}.csv"
        path.write_text("\n".join([header, *(",".join("?" for _ in header.split(",")) for _ in range(n))]))
        with Committer(lake, "test") as committer, pytest.raises(VarlakeError) as error:
            ingest(committer, ingest_request(kind, [path], {}, Settings(lake=lake.path)))
        told[n] = error.value
    display.print_error(told[7])
    shown = capsys.readouterr().err.replace("\n", " ")
    assert [n for n in range(2, 9) if not re.search(rf"(row|line) {n}\b", shown)] == []
    (place,) = (lake.state / "rejects").glob(f"{kind}-150-*.faults.csv")
    assert f"All faults are in {place}." in told[150].message
    with place.open() as file:
        rows = list(csv.DictReader(file))
    assert [(r["place"], r["fault"]) for r in rows] == [(i.pointer, i.message) for i in told[150].issues]
    assert {int(re.findall(r"\d+", r["place"].removeprefix(f"{kind}-150"))[0]) for r in rows} == set(range(2, 152))
    problem = problem_of(told[150], "/", "id")
    assert len(problem["errors"]) == MOST_ISSUES
    assert problem["detail"].endswith(f"The first {MOST_ISSUES} are listed.")
