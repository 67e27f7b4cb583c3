"""The covariance of intraday levels against pandas, and what is left out of it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from support import factor, put_market

from lake.committer import Committer
from lake.errors import BadInput, NotFound, VarlakeError
from lake.schemas import INTRADAY_LEVELS, MARKET_CALENDARS
from lake.tables import Lake
from scenarios.market.covariances import load_covariance
from scenarios.market.intraday_covariance import IntradayCovarianceRequest, store_intraday_covariance

NAMES = ["EQ:A", "EQ:B", "EQ:HALTED", "EQ:LATE", "EQ:STALE", "EQ:STILL", "YC:USD:5Y"]
OPEN = dt.datetime(2020, 3, 16, 13, 30, tzinfo=dt.UTC)
BUCKETS, SECONDS = 40, 60


def levels() -> pd.DataFrame:
    moves = np.random.default_rng(2).standard_normal((BUCKETS, len(NAMES)))
    out = pd.DataFrame(100 * np.exp(1e-3 * moves.cumsum(axis=0)), columns=NAMES)
    out["YC:USD:5Y"] = 1e-4 * moves[:, -1].cumsum()
    out["EQ:STILL"] = 50.0
    return out


@pytest.fixture(scope="module")
def committer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Committer]:
    lake = Lake.create(tmp_path_factory.mktemp("covariance") / "lake")
    rate = factor("YC:USD:5Y", "zero_rate", curve="USD", pillar="5Y")
    put_market(lake, [*(factor(n, "equity_price") for n in NAMES[:-1]), rate], {"EQ:A": {dt.date(2020, 3, 13): 100.0}})
    rows = [
        {
            "date": OPEN.date(),
            "risk_factor_id": name,
            "bucket_end": OPEN + dt.timedelta(seconds=SECONDS * (i + 1)),
            "bucket_seconds": SECONDS,
            "level": level,
            "ticks": 1,
            "carried_seconds": 360 if name == "EQ:STALE" and i == BUCKETS - 1 else 0,
            "halted": name == "EQ:HALTED",
            "sequence": i,
            "source": "feed",
        }
        for name, series in levels().items()
        for i, level in enumerate(series)
        if name != "EQ:LATE" or i > 30
    ]
    with Committer(lake, "test") as made:
        made.put("intraday_levels", pa.Table.from_pylist(rows, schema=INTRADAY_LEVELS.schema))
        calendar = {"calendar": "XNYS", "sources": ["test"], "days": None}
        made.put("market_calendars", pa.Table.from_pylist([calendar], schema=MARKET_CALENDARS.schema))
        yield made


def asked(**more: object) -> IntradayCovarianceRequest:
    end = OPEN + dt.timedelta(seconds=SECONDS * BUCKETS)
    return IntradayCovarianceRequest.model_validate({"matrix": "m", "as_of": end, "window": 20, **more})


def test_it_is_the_covariance_of_pandas_over_a_session(committer: Committer) -> None:
    report = store_intraday_covariance(committer, asked())
    found = load_covariance(committer.lake, "m")
    assert found.factors == ("EQ:A", "EQ:B", "YC:USD:5Y")
    assert found.moves == ("relative", "relative", "absolute")
    frame = levels()[list(found.factors)]
    moves = pd.concat([np.log(frame[["EQ:A", "EQ:B"]]).diff(), frame["YC:USD:5Y"].diff()], axis=1).tail(20)
    # New York is open for 390 minutes
    np.testing.assert_allclose(found.covariance, 390 * moves.cov().to_numpy(), rtol=1e-12, atol=1e-15)
    assert (report.factors, report.horizon_days, found.unit) == (3, 1, "1")
    assert report.notes[:-1] == (
        "Left out, without a level in every bucket of the window: EQ:LATE.",
        "Left out, halted: EQ:HALTED.",
        "Left out, stale: carried for more than 300 s: EQ:STALE.",
        "Left out, without a move: EQ:STILL.",
    )


def test_it_ends_with_the_instant(committer: Committer) -> None:
    early = OPEN + dt.timedelta(seconds=SECONDS * 30 + 59)
    store_intraday_covariance(committer, asked(as_of=early, factors="EQ:A,EQ:B"))
    moves = np.log(levels()[["EQ:A", "EQ:B"]]).diff().iloc[10:30]
    np.testing.assert_allclose(load_covariance(committer.lake, "m").covariance, 390 * moves.cov(), rtol=1e-12)


@pytest.mark.parametrize(
    ("more", "error", "said"),
    [
        ({"as_of": OPEN}, NotFound, "no intraday levels up to"),
        ({"window": 60}, BadInput, "0 risk factors are left of 7"),
        ({"factors": "EQ:A"}, BadInput, "1 risk factor is left of 1"),
        ({"factors": "EQ:AB,EQ:B"}, VarlakeError, "EQ:A"),
    ],
)
def test_what_gives_no_covariance_is_told(
    committer: Committer, more: dict[str, object], error: type[VarlakeError], said: str
) -> None:
    with pytest.raises(error, match=said):
        store_intraday_covariance(committer, asked(**more))


def test_an_instant_has_its_zone() -> None:
    with pytest.raises(ValueError, match="zone"):
        IntradayCovarianceRequest.model_validate({"matrix": "m", "as_of": "2020-03-16T10:00:00"})
