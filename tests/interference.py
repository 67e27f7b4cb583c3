"""Pairs of lakes that differ in what other desks hold alone, and what a trader asks of both."""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
import random
import re
import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pyarrow.ipc as ipc
import pyarrow.parquet as pq
from flask import g
from flask.testing import FlaskClient
from small_lake import (
    COLLATERAL,
    FACTORS,
    FRIDAY,
    HERE,
    MATURED,
    MONDAY,
    ON_PATHS,
    OPTION,
    SHARE_A,
    SHARE_B,
    SHOCK,
    bring_limits,
    bring_reference,
    no_spark,
    request,
)
from support import put_market, random_walks
from werkzeug.test import TestResponse

from aggregation import questions
from aggregation.book.entitled_lake import entitled
from aggregation.book.entitlement import Entitlement
from aggregation.book.hierarchies import RESERVED
from aggregation.limits.landing import ingest_var_limits
from aggregation.opened.opened_lake import VectorCache
from aggregation.questions import QUESTIONS
from aggregation.release import ReleaseRequest, release
from aggregation.session import Session
from aggregation.whatif.save_branch import BranchRequest, save_branch
from lake.committer import Committer
from lake.errors import VarlakeError
from lake.landing.actual_pnl import ingest_pnl
from lake.landing.cva_hedges import ingest_cva_hedges
from lake.landing.hierarchies import ingest_hierarchies
from lake.landing.reported_var import ingest_var
from lake.schemas import DIMENSION_COLUMNS
from lake.tables import Lake
from service.access.accounts import TokenRequest, User
from service.access.principal import Principal
from service.access.store import AccessStore
from service.api.app import create_app
from service.api.context import PREFIX
from service.choices import inputs_of
from service.config import Settings
from service.encoding import to_json
from service.jobs import STANDARD, VALUATION, JobTable
from service.processes.engine import _Engine
from service.proposals import proposal_of
from service.saved_views import NewView, SavedViews
from valuation.books.positions import ingest_positions
from valuation.books.sensitivities import ingest_sensitivities
from valuation.sets.requests import run_valuation
from valuation.sets.store import list_valuation_sets

TRADER = Principal(
    name="ann", roles=("trader",), entitlement=Entitlement(granted={"desk": ("Options",), "book": ("own-book",)})
)
COLLEAGUE = Principal(name="bob", roles=("trader",), entitlement=Entitlement(granted={"desk": ("Equities", "Rates")}))
# what of an answer is of one request alone, or is a time of the clock
OF_ONE_REQUEST = {"timings_ms", "error_id", "run_id", "job_id", "cost_us", "view_id", "token_id"} | {
    f"{what}_seconds" for what in ("elapsed", "pricing", "kernels", "spark")
}
CLOCK = {"sealed_at", "created_at", "loaded_at", "submitted_at", "started_at", "finished_at", "heartbeat_at"} | {
    f"{what}_at" for what in ("changed", "expires", "last_used", "stored")
}
_RUN = re.compile(r"\d{8}T\d{6}-[0-9a-f]{8}")  # ids of jobs and runs
OF_THE_PLACE = {"lake"}  # the path of the lake
HEADERS = {"X-Request-ID", "Date"}

# questions of those who see everything, by what their scenario sets follow from
OF_THE_MARKET: list[tuple[str, dict[str, Any]]] = [
    ("stress", {}),
    ("sa-ccr", {}),
    ("frtb-sa", {}),
    ("taylor", {"gamma": "none"}),
]
OF_THE_BOOK: list[tuple[str, dict[str, Any]]] = [
    ("taylor", {"gamma": "full"}),
    ("stressed-var", {"period": None, "length": 20}),
    ("reverse-stress", {"loss": 500}),
]

# of the trader: by desk, and one position of a desk of others in a book that is granted
OWN = [
    ("O1", "Options", "vol", 50.0, OPTION),
    ("O2", "Options", "vol", 5.0, MATURED),
    ("O3", "Options", "delta", -40.0, SHARE_A),
    ("O4", "Equities", "own-book", 10.0, SHARE_B),
]


def others(seed: int) -> Iterator[tuple[str, str, str, float, Mapping[str, str]]]:
    """What the other desks hold: contracts of their own, some of the trader's too, some that fail."""
    draw = random.Random(seed)
    for i in range(draw.randint(1, 9)):
        strike = {**OPTION, "strike": str(draw.choice([80, 90, 100, 110]))}
        terms = draw.choice([SHARE_A, SHARE_B, OPTION, strike, {**strike, "expiry": "2019-11-15"}])
        desk, book = draw.choice(["Equities", "Rates", f"D{seed}"]), draw.choice(["cash", f"B{seed}"])
        yield f"X{draw.randint(0, 999)}-{i}", desk, book, float(draw.randint(-500, 500) or 1), terms


def positions(seed: int, day: dt.date, amended: float = 1.0) -> str:
    held = [(*row, "own") for row in OWN] + [(*row, "theirs") for row in others(seed)]
    terms = sorted({n for *_, t, _ in held for n in t})
    out = io.StringIO()
    extra = f"attribute.only{seed % 3}"
    rows = csv.DictWriter(out, ["positions_date", "quantity", *DIMENSION_COLUMNS, "attribute.rating", extra, *terms])
    rows.writeheader()
    for i, (trade, desk, book, quantity, contract, whose) in enumerate(held):
        if trade == "O2" and day == FRIDAY:
            continue  # a trade that is new on Monday
        quantity *= (2 if day == MONDAY and whose == "own" else 1) * (amended if trade == "O1" else 1)
        mine = whose == "own"
        rest = {d: f"{d}-{i % 2 if mine else seed % 7}" for d in ("portfolio", "client", "account", "counterparty")}
        rows.writerow(
            {
                "positions_date": day,
                "trade": trade,
                "desk": desk,
                "book": book,
                "quantity": quantity,
                "legal_entity": "le-0",
                "instrument": contract.get("underlying", "x"),
                "attribute.rating": ("AA" if i % 2 else "BBB") if mine else f"C{seed}",
                extra: "" if mine else "x",
                **rest,
                **contract,
            }
        )
    return out.getvalue()


def build(folder: Path, seed: int, own: float = 1.0) -> Lake:
    """A lake of the trader's positions, times `own` in one of them, and of others' by `seed`, with all else that hangs on positions."""
    folder.mkdir(parents=True)
    lake, draw = Lake.create(folder / "lake"), random.Random(seed)
    put_market(lake, FACTORS, random_walks(FACTORS, dt.date(2019, 12, 2), dt.date(2020, 3, 17)))

    def file(name: str, text: str) -> Path:
        (folder / name).write_text(text)
        return folder / name

    theirs = [desk for _, desk, *_ in others(seed)]
    with Committer(lake, "test") as committer:
        for day in (FRIDAY, MONDAY):
            assert ingest_positions(committer, file("book.csv", positions(seed, day))).rejected == 0
        for _ in range(draw.randint(0, 2)):  # others are corrected, and valued, more often
            again = positions(draw.randint(0, 99), FRIDAY)
            assert ingest_positions(committer, file("book.csv", again), replace_dates=True).rejected == 0
        last = positions(seed, FRIDAY)
        ingest_positions(committer, file("book.csv", last), replace_dates=True)
        rows = "".join(f"{day},CSA-0,variation,{draw.randint(1, 90_000)},USD,false\n" for day in (FRIDAY, MONDAY))
        bring_reference(committer, folder, collateral=f"{COLLATERAL.splitlines()[0]}\n{rows}")
        bring_limits(committer, folder)
        # of the trader's desk and part of it, and others that lie across desks or are of one of others
        limits = ["DESK,desk=Options,var,1", "PART,desk=Options;book=vol,es,1", "BOOK,book=vol,var,2", "FIRM,,var,1"]
        limits += [f"X{i},desk={d},var,{draw.randint(1, 9)}" for i, d in enumerate(theirs)]
        rows = "".join(f"{row},0.95,USD,2020-01-01\n" for row in limits)
        head = "limit,node,measure,amount,level,currency,effective_from\n"
        ingest_var_limits(committer, file("var-limits.csv", f"{head}{rows}"))
        hedge = f"counterparty-{draw.randint(0, 3)},C0,direct,financial,A,2022-09-12,{draw.randint(1, 9)}00000,USD"
        head = (
            "hedge,effective_from,kind,counterparty,reference,reference_type,sector,rating,maturity,notional,currency"
        )
        ingest_cva_hedges(committer, file("hedges.csv", f"{head}\nH{seed},2020-01-01,single_name,{hedge}\n"))
        levels = "Options,Volatility\nEquities,Cash\nRates,Cash\nElsewhere,Cash\n".splitlines()
        org = "".join(f"org,desk,{row.replace(',', ',division,')},2019-01-01,\n" for row in levels)
        head = "hierarchy,level,member,parent_level,parent,effective_from,effective_to\n"
        ingest_hierarchies(committer, file("org.csv", f"{head}{org}"), RESERVED)
        amounts = {"Options": 1500, **{d: draw.randint(-9000, 9000) for d in theirs}}
        rows = "".join(f"{MONDAY},{v},USD,{d}\n" for d, v in amounts.items())
        ingest_pnl(committer, file("pnl.csv", f"date,pnl,currency,desk\n{rows}"))
        rows = "".join(f"{FRIDAY},0.99,{abs(v) + 1},USD,{d}\n" for d, v in amounts.items())
        ingest_var(committer, file("var.csv", f"date,level,var,currency,desk\n{rows}"), source="risksys")
        for day in (FRIDAY, MONDAY):
            run_valuation(committer, request(day), spark=no_spark)  # type: ignore[arg-type]
        run_valuation(committer, request(MONDAY, positions_dates=[FRIDAY]), spark=no_spark)  # type: ignore[arg-type]
        rows = "".join(f"{MONDAY},delta,EQ:{f},1%,{v},USD,{d}\n" for d, v in amounts.items() for f in ("AAA", "BBB"))
        head = "date,kind,factor,bump,amount,currency,desk\n"
        ingest_sensitivities(committer, file("sens.csv", f"{head}{rows}"), source="front-office")
        for day in (FRIDAY, MONDAY) if own != 1.0 else ():
            again = positions(seed, day, own)
            ingest_positions(committer, file("book.csv", again), replace_dates=True)
        # figures of all and of another desk are released
        for _ in range(draw.randint(0, 2)):
            where = draw.choice([[], [f"desk={draw.choice(theirs)}"]])
            asked = questions.read("var", {"as_of": str(FRIDAY), "where": where, "by": ["desk"]})
            answer = questions.ask(_session(lake, committer, None), "var", asked).to_dict()
            release(committer, ReleaseRequest(answer=json.loads(to_json(answer)), released_by="bob", reason="seen"))
        # who sees everything asks what makes scenario sets of the market alone, and sometimes what makes sets of the book, or values paths
        on_paths = [(name, {}) for name in draw.sample(ON_PATHS, draw.randint(0, 2))]
        for name, more in [*OF_THE_MARKET, *draw.sample(OF_THE_BOOK, draw.randint(0, 3)), *on_paths]:
            session = _session(lake, committer, None)
            asked = questions.read(name, {**example(name), "where": [], **more})
            asked = questions.value(session, name, asked)
            if name == "reverse-stress":
                questions.ask(session, name, asked)
        # a branch of somebody who sees everything, and one of another desk
        share = {"instrument_type": "cash_equity", "terms": {"currency": "USD", "underlying": "EQ:AAA"}}
        added = {"trade": f"N{seed}", "quantity": float(seed % 11 + 1), "desk": "Rates", **share}
        for who, name in ((None, f"all-{seed % 4}"), (COLLEAGUE, f"bob:b{seed % 4}")):
            saved = BranchRequest.model_validate({"name": name, "as_of": MONDAY, "add": [added]})
            session = _session(lake, committer, who)
            save_branch(
                session.writer(),
                saved,
                cache=session.cache,
                spark=no_spark,
                actor=session.actor,  # type: ignore[arg-type]
            )
        mine = {
            "name": "ann:mine",
            "as_of": MONDAY,
            "scale": [{"where": [{"dimension": "desk", "values": ["Options"]}], "factor": 0.5}],
        }
        session = _session(lake, committer, TRADER)
        save_branch(
            session.writer(),
            BranchRequest.model_validate(json.loads(json.dumps(mine, default=str))),
            cache=session.cache,
            spark=no_spark,  # type: ignore[arg-type]
            actor=session.actor,
        )
    return lake


def _session(lake: Lake, committer: Committer, who: Principal | None) -> Session:
    entitlement = None if who is None else who.entitlement
    name = "local" if who is None else who.name
    return Session(lake, VectorCache(lake), committer, no_spark, entitlement=entitlement, actor=name)  # type: ignore[arg-type]


def value_examples(lake: Lake, who: Principal | None = TRADER, names: Iterable[str] = QUESTIONS) -> None:
    """What the examples of the questions lack is valued for the trader."""
    with Committer(lake, "test") as committer:
        session = _session(lake, committer, who)
        for name in names:
            try:
                questions.value(session, name, questions.read(name, example(name)))
            except VarlakeError:
                continue  # told alike in both lakes


def example(name: str) -> dict[str, Any]:
    """The example of a question, asked of these lakes."""
    asked = {**QUESTIONS[name].question.example, **HERE.get(name, {})}
    days = {"as_of": MONDAY, "from": FRIDAY, "to": MONDAY}
    asked |= {k: str(day) for k, day in days.items() if k in asked}
    more = {
        "limit-hedge": {"limit": 1e6, "where": [], "moves": [{"trade": "O1", "cost": 1}]},
        "stress": {"scenario": SHOCK},
        "reverse-stress": {"loss": 50, "where": ["desk=Options"], "law": {"window": 60}},
    }
    if "where" in asked:
        asked["where"] = ["desk=Options"]
    return {**asked, **more.get(name, {})}


def client(lake: Lake, who: Principal = TRADER) -> FlaskClient:
    app = create_app(Settings(lake=lake.path))
    app.before_request_funcs.setdefault(None, []).append(lambda: setattr(g, "principal", who))
    return app.test_client()


def signed_in(lake: Lake) -> FlaskClient:
    """Sends a token of the trader's with every request, to a service with users who are kept beside the lake."""
    settings = Settings(lake=lake.path, access=lake.path.parent / "users.sqlite")
    store, whole = AccessStore.of(settings), Principal(name="ada", roles=("admin",))
    for who in (whole, TRADER, COLLEAGUE):
        store.add(User(name=who.name, roles=who.roles, entitlement=who.entitlement))
    secret = [store.make_token(n, TokenRequest(label="test", rights=("read",)))[1] for n in ("bob", "bob", "ann")][-1]
    asks = create_app(settings).test_client()
    asks.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {secret}"
    return asks


def put_work(lake: Lake, seed: int) -> tuple[str, str]:
    """Jobs, a proposal and saved views of the trader's, and by `seed` of others; ids of a proposal of either."""
    draw, table, kept = random.Random(seed), JobTable.of(lake), SavedViews.of(lake)
    proposed = []
    for who, many in ((COLLEAGUE, draw.randint(1, 4)), (TRADER, 1), (COLLEAGUE, draw.randint(0, 2))):
        for i in range(many):
            table.submit(VALUATION, {"as_of": str(MONDAY), "n": seed * i}, who)
            name, address = f"{who.name} {seed * i}", f"where=desk%3DD{seed * i}"
            kept.save(NewView(name=name, page="ask", address=address), who)
        asked = {"desk": who.entitlement.granted["desk"][0], "currency": "EUR"}  # type: ignore[union-attr]
        seen = entitled(lake, who.entitlement)
        proposed.append(table.submit(STANDARD, asked, who, proposal_of(Settings(), seen, STANDARD, asked, who))[0])
    return proposed[1].job_id, proposed[0].job_id


def run_jobs(lake: Lake) -> None:
    """Does what waits in the job table, as the engine does."""
    with Committer(lake, "test") as committer:
        engine = _Engine(Settings(lake=lake.path), committer, JobTable.of(lake), threading.Event(), None)
        while engine.run_next():
            pass


def said(answer: TestResponse, lake: Lake) -> Any:
    """Everything that was received, but for what is of one request, of the clock or of the place."""
    kind = answer.mimetype
    headers = [(k, _steady_text(v, lake)) for k, v in answer.headers.items() if k not in HEADERS]
    data = answer.get_data()
    if kind.endswith("json"):
        body: Any = _steady(json.loads(data), lake)
        headers = [h for h in headers if h[0] != "Content-Length"]
        if _clocked(json.loads(data)):
            headers = [h for h in headers if h[0] != "ETag"]
    elif kind in ("application/vnd.apache.arrow.stream", "application/vnd.apache.parquet"):
        stream = io.BytesIO(data)
        table = ipc.open_stream(stream).read_all() if "arrow" in kind else pq.read_table(stream)
        about = {k.decode(): v.decode() for k, v in (table.schema.metadata or {}).items() if k != b"ARROW:schema"}
        told = {k: _steady(_json(v), lake) for k, v in about.items() if k not in OF_ONE_REQUEST}
        kept = [n for n in table.column_names if n not in CLOCK | OF_ONE_REQUEST]
        body = [str(table.schema.remove_metadata()), table.select(kept).to_pylist().__repr__(), told]
        headers = [
            h for h in headers if h[0] not in ("Content-Length", *(("ETag",) if kept != table.column_names else ()))
        ]
    elif kind == "text/csv":
        rows = list(csv.reader(io.StringIO(data.decode())))
        kept = [i for i, name in enumerate(rows[0] if rows else []) if name not in CLOCK | OF_ONE_REQUEST]
        body = [[row[i] for i in kept] for row in rows]
        if rows and len(kept) < len(rows[0]):
            headers = [h for h in headers if h[0] not in ("Content-Length", "ETag")]
    else:
        body = data
    return answer.status_code, headers, body


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _clocked(value: Any) -> bool:
    if isinstance(value, dict):
        return any(k in CLOCK | OF_ONE_REQUEST - {"timings_ms"} | OF_THE_PLACE or _clocked(v) for k, v in value.items())
    return isinstance(value, list) and any(map(_clocked, value))


def _steady(value: Any, lake: Lake) -> Any:
    if isinstance(value, dict):
        gone = OF_ONE_REQUEST | CLOCK | OF_THE_PLACE
        return {k: _steady(v, lake) for k, v in value.items() if k not in gone}
    if isinstance(value, list):
        return [_steady(v, lake) for v in value]
    return _steady_text(value, lake) if isinstance(value, str) else value


def _steady_text(text: str, lake: Lake) -> str:
    return _RUN.sub("RUN", text.replace(str(lake.path), "LAKE"))


# --- what is asked ----------------------------------------------------------------------------------------------------

# a contract that others may hold and have valued, and the trader does not
_TERMS = {k: v for k, v in OPTION.items() if k != "instrument_type"} | {"strike": 80}
ADDED = {"trade": "N1", "quantity": 3.0, "instrument_type": "equity_option", "terms": _TERMS, "desk": "Options"}
FIELDS: Mapping[str, list[Any]] = {
    "where": [
        [],
        ["desk=Options"],
        ["desk=Equities"],
        ["desk=Rates"],
        ["desk=Optons"],
        ["desk!=Options"],
        ["book=own-book"],
        ["book=cash"],
        ["trade~X*"],
        ["trade=X1-1"],
        ["attribute.rating=AA"],
        ["attribute.rating=C2"],
        ["attribute.only1=x"],
        ["division=Cash"],
        ["counterparty=counterparty-1"],
    ],
    "by": [
        [],
        ["desk"],
        ["desk", "book"],
        ["division"],
        ["attribute.rating"],
        ["attribute.only2"],
        ["trade"],
        ["counterparty"],
        ["contract"],
        ["instrument_type", "currency"],
        ["dsk"],
    ],
    "currency": ["USD", "EUR", "GBP"],
    "levels": [["0.9"], ["0.95", "0.99"]],
    "measures": [["var"], ["es", "volatility"]],
    "positions_date": [str(FRIDAY), str(MONDAY), "2020-03-12"],
    "as_of": [str(FRIDAY), str(MONDAY), "2020-03-12", "2020-03-17"],
    "branch": ["ann:mine", "ann:mine@1", "bob:b1", "all-1"],
    "valuation_set": ["OWN-SET", "THEIR-SET", "0" * 32],
    "scenario_set": ["historical-30", "historical-31", "reverse-stress", "reverse-stres", "bumps"],
    "as_known": ["positions@1", "valuation_sets@0", "market_data@0", "2020-01-01T00:00Z"],
    "subtotals": [True],
    "whole_firm": [True],
    "bounds": [True],
    "limit": [1, 5],
    "most": [2],
    "add": [[ADDED], [{**ADDED, "trade": "O1"}], [{**ADDED, "trade": "X1-1"}]],
    "remove": [
        [{"where": [{"dimension": "trade", "values": ["O3"]}]}],
        [{"where": [{"dimension": "desk", "values": ["Rates"]}]}],
    ],
    "moves": [[{"trade": "O3", "cost": 1}], [{"trade": "X1-1", "cost": 1}]],
    "sensitivities": [["front-office"], ["back-office"]],
    "reported": ["risksys", "risk"],
    "market_date": [str(FRIDAY), str(MONDAY), "2020-03-12"],
    "scale": [["desk=Options*3"], ["desk=Rates*3"], ["trade=X1-1*0"]],
    "estimator": ["type7", "harrell-davis", "typ7"],
    "tail": ["gain"],
    "interval": ["0.9"],
    "order": ["gain", "name"],
    "first": [str(FRIDAY), 1],
    "worst": [1],
    "cell": ["desk=Equities,cause=market", "desk=Options", "book=cash,cause=closed"],
    "over": [["desk", "book"], ["counterparty"], ["attribute.only1"]],
    "figures": [["standalone", "incremental"], ["marginal", "stability"]],
    "greeks": [["delta", "vega"], ["theta"]],
    "scenarios": [[SHOCK], ["equity -30%", "historical-30"], 25],
    "scenario": ["equity -5%", "historical-30", "bespoke"],
    "source": ["risksys", "risk"],
    "covariance": ["daily"],
    # of counterparties and capital
    "agreements_date": [str(FRIDAY), "2018-01-02"],
    "collateral_date": [str(FRIDAY), str(MONDAY)],
    "reference_date": [str(FRIDAY), "2018-01-02"],
    "regime": ["eu", "uk", "basel@2023", "own"],
    "approach": ["reduced", "foundation", "advanced"],
    "illiquid": [["CSA-0"], ["NET-1"], ["CSA-9"]],
    "rating": [["counterparty-0=BB"], ["counterparty-5=BB"]],
    "pd": [["counterparty-1=0.05"], ["counterparty-6=0.05"]],
    "sets": [1],
    "trades": ["all", 1],
    "parts": [["credit"], ["market"], ["equity", "drc"]],
    "credit": ["foundation"],
    "cva": ["reduced"],
    "market_where": [["book=vol"], ["book=cash"], ["desk!=Options"]],
    "cva_charged": [True],
    "replace": [True],
    "collateral": [False],
    "standalone": [True],
    "contributions": [True],
    "reduced_without": [["EQ:BBB"], ["EQ:CCC"]],
    "zones": [{"Options": "amber"}, {"Rates": "green"}, {"Equities": "green", "Options": "green"}],
    "pds": [{"EQ:AAA": 0.02}, {"EQ:CCC": 0.02}],
    "lgds": [{"EQ:BBB": 0.5}],
    "factors": [["EQ:AAA"], ["EQ:AAB"]],
    "rolled": ["constant"],
    "members": [1],
    "since": [str(FRIDAY), "2020-03-12"],
    "top": [1],
}
LISTS = [
    "/positions?date=2020-03-16",
    "/positions?date=2020-03-16&limit=2",
    "/positions?date=2020-03-13&where=desk%3DEquities",
    "/positions?date=2020-03-12",
    "/positions/dates",
    "/positions/history?trade=O1",
    "/positions/history?trade=O4&date=2020-03-13",
    "/positions/history?trade=X1-1",
    "/valuation-sets",
    "/valuation-sets/OWN-SET",
    "/valuation-sets/THEIR-SET",
    "/valuation-sets/OWN-SET/failures",
    "/valuation-sets/THEIR-SET/failures",
    "/branches",
    "/branches/ann:mine",
    "/branches/bob:b1",
    "/branches/all-1",
    "/hierarchies",
    "/dimensions",
    "/dimensions/of-date?as_of=2020-03-16",
    "/dimensions/of-date?as_of=2020-03-12",
    "/jobs",
    "/jobs?limit=1",
    "/health",
    "/standards",
    "/scenario-sets",
    "/released-results?date=2020-03-16",
    "/live/snapshots?date=2020-03-16",
    "/live/alarms?date=2020-03-16",
    "/live/bands",
    "/market/issues",
    "/risk-factors?limit=3",
    "/questions",
    "/ingests",
    "/measures",
    "/estimators",
    "/instruments",
    "/scenario-methods",
    "/choices",
    "/excel-template",
    "/valuation-sets/days",
    "/valuation-sets/days?scenario_set=historical-30",
    "/market-data/ranges",
    f"/market-data/history?risk_factor_id=EQ:AAA&date={MONDAY}",
    "/corporate-actions",
    "/scenario-sets/historical-30",
    "/scenario-sets/historical-30/export",
    f"/scenario-sets/diff?one=historical-30&two=historical-30&market_date={MONDAY}",
    "/views",
    "/jobs/OWN-JOB",
    "/jobs/THEIR-JOB",
    "/proposals",
    "/proposals?state=proposed",
    "/proposals/OWN-JOB",
    "/proposals/THEIR-JOB",
    "/widgets.json",
    "/apps.json",
]
OF_ACCOUNT = ["/me", "/tokens", "/tokens?user=bob", "/sessions", "/sessions?user=bob"]  # asked by who has signed in
FORBIDDEN = [  # to traders
    "/users",
    "/users/bob",
    "/audit/acts",
    "/audit/acts?actor=bob",
    "/audit/acts/1",
    "/audit/verify",
    "/audit/export",
]
PAGES = ("openapi", "docs", "app")  # of no lake
FORMATS = ("application/json", "text/csv", "application/vnd.apache.arrow.stream", "application/vnd.apache.parquet")


def placed(path: str) -> str:
    """The path of a request: two files of widgets stand at the root."""
    return path if path in ("/widgets.json", "/apps.json") else f"{PREFIX}{path}"


def widget(name: str, part: str = "") -> str:
    """The address from which a dashboard has the example of a question, of one that an address can hold."""
    body = example(name)
    given = {
        i.name: ("|" if i.labels else ",").join(_values(body[i.name])) for i in inputs_of(name) or () if i.name in body
    }
    return f"/openbb/{name}{part}?{urlencode(given)}"


def _values(value: Any) -> list[str]:
    return [str(v).lower() if isinstance(v, bool) else str(v) for v in (value if isinstance(value, list) else [value])]


@dataclass(frozen=True)
class Case:
    """A request: of a GET no body."""

    path: str
    body: dict[str, Any] | None = None
    accept: str = "application/json"

    def ask(self, of: Asked, ids: Asked | None = None) -> Any:
        """Everything that is received; ids : the lake whose valuation sets are named."""
        named = (ids or of).named
        path = named(self.path)
        path = path.replace("OWN-JOB", of.jobs[0]).replace("THEIR-JOB", of.jobs[1])  # whose ids are of a lake alone
        if self.body is None:
            answer = of.client.get(placed(path), headers={"Accept": self.accept})
        else:
            body = json.loads(named(json.dumps(self.body)))
            answer = of.client.post(f"/api/v1{path}", json=body, headers={"Accept": self.accept})
        return said(answer, of.lake)


@dataclass(frozen=True)
class Asked:
    """A lake that is asked, and ids of the trader's and of others': of its valuation sets as either see them, of jobs."""

    lake: Lake
    client: FlaskClient
    own: str
    theirs: str
    jobs: tuple[str, str] = ("", "")

    @classmethod
    def of(cls, lake: Lake, jobs: tuple[str, str] = ("", "")) -> Asked:
        asks = client(lake)
        own = asks.get("/api/v1/valuation-sets").get_json()["rows"][0]["valuation_set_id"]
        return cls(lake, asks, own, min(s.valuation_set_id for s in list_valuation_sets(lake)), jobs)

    def named(self, text: str) -> str:
        return text.replace("OWN-SET", self.own).replace("THEIR-SET", self.theirs)


def cases(seed: int) -> Iterator[Case]:
    """Endless: lists, plans and answers, every question as often as any other."""
    draw = random.Random(seed)
    while True:
        for name in draw.sample([*QUESTIONS], len(QUESTIONS)):
            if draw.random() < 0.25:
                yield Case(draw.choice(LISTS), accept=draw.choice(FORMATS))
            if draw.random() < 0.15:
                yield Case(widget(name, draw.choice(["", "/basis"])))
            body = example(name)
            fields = [f for f in questions.question(name).query.model_fields if f in FIELDS]
            for field in draw.sample(fields, min(len(fields), draw.randint(0, 3))):
                body[field] = draw.choice(FIELDS[field])
            way = draw.choice(["", "", "", "/plan"])
            yield Case(f"/{name}{way}", body, "application/json" if way else draw.choice(FORMATS))
