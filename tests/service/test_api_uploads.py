"""Files brought in over HTTP: each kind as a job and as a dry run, in every form, and everything that is refused."""

from __future__ import annotations

import gzip
import http.client
import io
import json
import os
import threading
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest
from command_line import varlake
from flask.testing import FlaskClient
from server import serving
from small_lake import FRIDAY, MONDAY, book_csv
from test_engine import ended, running_engine

from lake.tables import Lake
from service.api.app import create_app
from service.config import Settings
from service.jobs import JobTable
from service.work import remove_left_uploads, upload_folder

BOOK = book_csv().encode().replace(b"2020-03", b"2020-02")  # on dates that the lake has no book of
FAULTY = BOOK.replace(b"EQ:BBB", b"", 1)
PNL = f"date,pnl,currency,desk\n{MONDAY},-12.5,USD,Options\n".encode()
DIVISION = (
    "hierarchy,level,member,parent_level,parent,effective_from,effective_to\n"
    f"org,desk,Options,division,Markets,{FRIDAY},\n"
).encode()
SHARES = b"Date,CCC\n2020-03-13,10\n2020-03-16,9\n"
OWN = (
    b'name = "own"\n[source.shares]\nfile = "eod/shares.csv"\nlayout = "wide"\n'
    b'[source.shares.factor]\nid = "EQ:{column}"\ntype = "equity_price"\ncurrency = "USD"\n'
)
CRIF = b"TradeID,RiskType,Qualifier,Amount,AmountCurrency\nT,Risk_Equity,AAA,1,USD\nT,Risk_Equity,ZZZ,1,USD\n"
ORDERS = b"""order_id,executed_at,side,symbol,quantity,currency,portfolio,client,account,desk,book,legal_entity,counterparty
A,2020-03-16T10:00:00-04:00,buy,EQ:AAA,100,USD,Growth,House,H-1,US,EQ-1,Bank,Broker
"""
ACTIONS = b"""risk_factor_id,ex_date,kind,ratio
EQ:AAA,2020-03-16,split,4:1
"""
UPLOADS = {
    "/api/v1/sensitivities?source=margin&as_of=2020-03-16&mapping=map.csv": [
        ("crif.csv", CRIF),
        ("map.csv", b"factor,risk_factor_id\nRisk_Equity/ZZZ,EQ:BBB\n"),
    ],
    "/api/v1/covariances?matrix=daily&horizon_days=1&unit=1&volatilities=vols.csv": [
        ("matrix.csv", b"correlation,a,b\na,1,0.5\nb,0.5,1\n"),
        ("vols.csv", b"factor,volatility\na,0.01\nb,0.02\n"),
    ],
    "/api/v1/positions": [("book.csv", BOOK)],
    "/api/v1/actual-pnl": [
        ("pnl.csv", PNL),
        ("more.csv", PNL.replace(b"-12.5", b"3").replace(b"Options", b"Equities")),
    ],
    "/api/v1/real-prices": [("prices.csv", b"date,risk_factor_id,source,evidence\n2020-03-13,EQ:AAA,desk,own_deal\n")],
    "/api/v1/ticks?source=feed&bucket_seconds=60": [
        ("ticks.csv", b"risk_factor_id,time,sequence,price\nEQ:AAA,2020-03-16T15:00:00Z,1,101.5\n")
    ],
    "/api/v1/orders": [("orders.csv", ORDERS)],
    "/api/v1/corporate-actions": [("actions.csv", ACTIONS)],
    "/api/v1/counterparties": [
        ("counterparties.csv", b"counterparty,effective_from,sector,rating\nD,2020-01-01,financial,A\n")
    ],
    "/api/v1/agreements": [
        (
            "agreements.csv",
            b"agreement,counterparty,legal_entity,effective_from,netting,margined,currency\nNET-D,D,L,2020-01-01,true,false,USD\n",
        )
    ],
    "/api/v1/collateral": [
        ("collateral.csv", b"as_of_date,agreement,kind,amount,currency\n2020-03-17,CSA-0,initial,5000,USD\n")
    ],
    "/api/v1/classifications": [
        ("classes.csv", b"name,effective_from,kind,economy\nJPY,2020-01-01,currency,advanced\n")
    ],
    "/api/v1/regimes": [
        (
            "house/regime.toml",
            b'name = "house"\nversion = "1"\ntitle = "House rules"\nin_force_from = 2020-01-01\nsource = "the board"\nstatus = "own"\n',
        ),
        ("house/house_limits.toml", b"multiple = 2.5\n"),
    ],
    "/api/v1/cva-hedges": [
        (
            "hedges.csv",
            b"hedge,effective_from,kind,reference,sector,rating,maturity,notional,currency\n\
H1,2020-01-01,index,IG S33,financial,A,2024-12-20,1000000,USD\n",
        )
    ],
    "/api/v1/limits-of-var": [
        (
            "limits.csv",
            b"limit,effective_from,node,measure,level,amount,currency\nD,2020-01-01,desk=Options,var,0.99,1,USD\n",
        )
    ],
    "/api/v1/limits-of-exposure": [
        (
            "limits.csv",
            b"limit,effective_from,dimension,member,measure,level,amount,currency\nL1,2020-01-01,counterparty,D,pfe,0.95,1e6,USD\n",
        )
    ],
    "/api/v1/hierarchies": [("division.csv", DIVISION)],
    "/api/v1/market-data?catalogue=own.toml": [("own.toml", OWN), ("eod/shares.csv", SHARES)],
}


@pytest.fixture
def web(work_lake: Lake) -> FlaskClient:
    return create_app(Settings(lake=work_lake.path)).test_client()


def parts(files: list[tuple[str, bytes]]) -> dict[str, Any]:
    return {"data": {"file": [(io.BytesIO(content), name) for name, content in files]}}


def also(path: str, parameter: str) -> str:
    return f"{path}{'&' if '?' in path else '?'}{parameter}"


@pytest.mark.parametrize("path", UPLOADS)
def test_files_are_tried_then_brought_in_by_the_engine_and_removed(
    path: str, web: FlaskClient, work_lake: Lake, stop: threading.Event
) -> None:
    before = work_lake.snapshot().versions
    tried = web.post(also(path, "dry_run=true"), **parts(UPLOADS[path]))
    assert tried.status_code == 200, tried.get_json()
    assert work_lake.snapshot().versions == before
    queued = web.post(path, **parts(UPLOADS[path]))
    assert (queued.status_code, queued.get_json()["kind"]) == (202, "ingest"), queued.get_json()
    (folder,) = upload_folder(work_lake, "").iterdir()  # that of the dry run is gone
    with running_engine(work_lake, stop) as table:
        job = ended(table, table.get(queued.get_json()["job_id"]))
    assert job.state == "done", job.problem
    assert web.get(queued.headers["Location"]).get_json()["result"] == job.result
    assert not folder.exists()
    now = work_lake.snapshot().versions
    assert now != before
    without = json.loads(json.dumps([tried.get_json()["reports"], job.result["reports"]]))
    for report in (r for reports in without for r in reports):
        for version in ("version", "versions", "risk_factors_version", "market_data_version"):
            report.pop(version, None)
    assert without[0] == without[1]


@pytest.mark.slow
def test_the_running_service_takes_a_file_of_unknown_length_and_the_command_line_sees_its_job(work_lake: Lake) -> None:
    """Through the real server, in chunks, to the real engine."""
    with serving(work_lake.path, web_only=False) as (_, url):
        connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)
        try:
            pieces = (BOOK[i : i + 100] for i in range(0, len(BOOK), 100))
            connection.request("POST", "/api/v1/positions?name=february.csv", pieces, {"Content-Type": "text/csv"})
            answer = connection.getresponse()
            job = json.loads(answer.read())
        finally:
            connection.close()
        assert answer.status == 202, job
        assert ended(JobTable.of(work_lake), JobTable.of(work_lake).get(job["job_id"])).state == "done"
        shown = json.loads(varlake("jobs", "show", job["job_id"], "--json", lake=work_lake.path).stdout)
    (report,) = shown["result"]["reports"]
    assert (report["path"], report["loaded"], report["rejected"]) == ("february.csv", 8, 0)


@pytest.mark.parametrize(
    ("body", "kind", "name"),
    [
        (BOOK, "text/csv", ""),
        (BOOK, "text/csv; charset=utf-8", "&name=b%C3%BCcher.csv"),
        (gzip.compress(BOOK), "application/gzip", ""),
        (BOOK, "application/octet-stream", "&name=book.csv"),
        ("parquet", "application/vnd.apache.parquet", ""),
    ],
)
def test_the_body_may_be_the_file_itself(web: FlaskClient, body: Any, kind: str, name: str) -> None:
    if body == "parquet":
        sink = pa.BufferOutputStream()
        pq.write_table(pacsv.read_csv(io.BytesIO(BOOK)), sink)
        body = sink.getvalue().to_pybytes()
    done = web.post(f"/api/v1/positions?dry_run=true{name}", data=body, content_type=kind)
    assert done.status_code == 200, done.get_json()
    (report,) = done.get_json()["reports"]
    assert (report["read"], report["loaded"]) == (8, 8)


def test_unusable_rows_are_named(web: FlaskClient) -> None:
    (report,) = web.post("/api/v1/positions?dry_run=true", data=FAULTY, content_type="text/csv").get_json()["reports"]
    assert (report["read"], report["loaded"], report["rejected"]) == (8, 7, 1)
    assert [(r["row"], r["column"]) for r in report["rejections"]] == [(3, "instrument")]


def test_a_file_that_is_refused_fails_the_job_with_every_fault_and_leaves_nothing(
    web: FlaskClient, work_lake: Lake, stop: threading.Event
) -> None:
    queued = web.post("/api/v1/actual-pnl", data=PNL.replace(b"-12.5", b"a lot"), content_type="text/csv").get_json()
    with running_engine(work_lake, stop) as table:
        job = ended(table, table.get(queued["job_id"]))
    assert job.problem is not None
    assert (job.state, job.problem["status"]) == ("failed", 422)
    assert job.problem["errors"][0] == {
        "pointer": "/row 2, column pnl",
        "message": "expected a finite number of at most 1e16, gains positive",
        "value": "a lot",
        "allowed": [],
    }
    assert list(upload_folder(work_lake, "").iterdir()) == []


@pytest.mark.parametrize(
    ("path", "files", "words"),
    [
        ("/api/v1/positions?dry_run=true", [("book.xlsx", BOOK)], "book.xlsx"),
        ("/api/v1/positions", [("../book.csv", BOOK)], "is no name of a file"),
        ("/api/v1/positions", [("/tmp/book.csv", BOOK)], "is no name of a file"),
        ("/api/v1/positions", [("a\x1b[31m.csv", BOOK)], "is no name of a file"),
        ("/api/v1/positions", [("x" * 300 + ".csv", BOOK)], "is no name of a file"),
        ("/api/v1/positions", [("a.csv", BOOK), ("a.csv", BOOK)], "two files named a.csv"),
        ("/api/v1/positions", [("a.csv", BOOK), ("a.csv/b.csv", BOOK)], "two files named a.csv/b.csv"),
        ("/api/v1/positions", [], "holds no file"),
        ("/api/v1/positions?dry=true", [("a.csv", BOOK)], "dry_run"),
        ("/api/v1/market-data", [("own.toml", OWN)], "catalogue"),
        ("/api/v1/market-data?catalogue=own.tml", [("own.toml", OWN)], "Nearest valid: own.toml"),
        ("/api/v1/market-data?catalogue=pyproject.toml", [("own.toml", OWN)], "Unknown catalogue"),
        ("/api/v1/market-data?catalogue=own.toml&dry_run=true", [("own.toml", OWN)], "shares.csv"),
        ("/api/v1/hierarchies?dry_run=true", [("d.csv", DIVISION.replace(b"desk", b"dsek"))], "desk"),
    ],
)
def test_what_is_refused_says_why_and_leaves_nothing(
    path: str, files: list[tuple[str, bytes]], words: str, web: FlaskClient, work_lake: Lake
) -> None:
    done = web.post(path, **parts(files), content_type="multipart/form-data")
    assert (done.status_code, done.content_type) == (422, "application/problem+json"), done.get_json()
    assert words in json.dumps(done.get_json(), ensure_ascii=False)
    assert not list(upload_folder(work_lake, "").glob("*"))
    assert JobTable.of(work_lake).newest() == []


def test_what_is_larger_than_the_setting_is_refused(work_lake: Lake) -> None:
    web = create_app(Settings(lake=work_lake.path, upload_mib=1)).test_client()
    for size, status in ((1 << 20, 422), ((1 << 20) + 1, 413)):  # the smaller is read, and is no book
        done = web.post("/api/v1/positions?dry_run=true", data=b"x" * size, content_type="text/csv")
        assert done.status_code == status
    assert f"larger than the {1 << 20} bytes" in done.get_json()["detail"]
    assert not list(upload_folder(work_lake, "").glob("*"))


def test_a_body_of_another_kind_is_refused(web: FlaskClient) -> None:
    done = web.post("/api/v1/positions", json={})
    assert done.status_code == 415
    assert "send Content-Type: text/csv or application/gzip" in done.get_json()["detail"]
    fields = web.post("/api/v1/positions", data={"dry_run": "true"}, content_type="multipart/form-data")
    assert "dry_run: no files. Parameters stand in the address" in fields.get_json()["detail"]


def test_files_of_a_cancelled_job_are_removed_and_no_others(web: FlaskClient, work_lake: Lake) -> None:
    one, two = (web.post("/api/v1/actual-pnl", data=PNL, content_type="text/csv").get_json() for _ in range(2))
    assert one["job_id"] != two["job_id"]  # the file may have changed
    web.delete(f"/api/v1/jobs/{one['job_id']}")
    folders = {job["job_id"]: Path(job["request"]["files"][0]["path"]).parent for job in (one, two)}
    for folder in folders.values():
        os.utime(folder, (0, 0))
    remove_left_uploads(work_lake, JobTable.of(work_lake), time.time() - 60)
    assert [folders[job["job_id"]].exists() for job in (one, two)] == [False, True]
