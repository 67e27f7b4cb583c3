"""Values along paths through a lake: planned, valued once, reused, read back to the bit; in process and on Spark alike."""

from __future__ import annotations

import datetime as dt
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from small_lake import MONDAY, no_spark

from aggregation.exposure import stored_paths
from aggregation.exposure.path_values import PathScope, open_paths, plan_paths, value_paths
from aggregation.opened.opened_lake import VectorCache
from aggregation.session import Session, reading
from lake.committer import Committer
from lake.errors import BadInput, NotValued
from lake.tables import Lake
from valuation.horizons import path_runs
from valuation.horizons.path_runs import load_model
from valuation.horizons.path_values import value_along
from valuation.market.path_market import PathMarkets
from valuation.types import Contract

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

QUERY = PathScope(as_of=MONDAY, grid=("1M", "6M", "1Y", "3Y"), paths=64, path_window=60)


def session_of(lake: Lake, committer: Committer) -> Session:
    return Session(lake, VectorCache(lake), committer, spark=no_spark)


@pytest.fixture(scope="module")
def valued(valued_lake: Path, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    folder = tmp_path_factory.mktemp("paths") / "lake"
    shutil.copytree(valued_lake, folder)
    lake = Lake.open(folder)
    with pytest.raises(NotValued, match="4 dates on 64 paths"):
        open_paths(reading(lake), QUERY)
    plan = plan_paths(reading(lake), QUERY)
    assert not plan.ready
    assert plan.about["paths"]["missing"] > 0
    with Committer(lake, "test") as committer:
        value_paths(session_of(lake, committer), QUERY)
    return lake


def test_what_is_read_is_what_was_valued(valued: Lake) -> None:
    paths = open_paths(reading(valued), QUERY)
    assert paths.dates == (dt.date(2020, 4, 16), dt.date(2020, 9, 16), dt.date(2021, 3, 16), dt.date(2023, 3, 16))
    rows = valued.read("contracts")
    model = load_model(valued, paths.receipt["path_set_id"])
    wanted = [c for c in Contract.of(rows) if c.contract_id in paths.contract_ids.to_pylist()]
    block = value_along(sorted(wanted), model)
    assert list(block.contract_ids) == paths.contract_ids.to_pylist()
    assert list(block.currencies) == list(paths.currencies)
    assert np.array_equal(block.base, paths.base)
    for k in range(4):
        assert np.array_equal(block.values[:, k], paths.values(k))
        assert np.array_equal(block.cash[:, k], paths.cash(k))
        assert np.array_equal(block.values[1:3, k], paths.values(k, np.array([1, 2])))
    assert (np.ptp(paths.values(0), axis=1) > 0).any()
    held = set(rows["contract_id"].to_pylist())
    told = {*paths.contract_ids.to_pylist(), *(f.contract_id for f in paths.failures)}
    assert told <= held
    seal = valued.read("path_valuations").to_pylist()[0]
    assert seal["submitted"] == seal["valued"] + seal["reused"] + seal["failed"] == len(told)


def test_asking_again_values_nothing_and_another_seed_values_all(valued: Lake) -> None:
    again = plan_paths(reading(valued), QUERY)
    assert again.ready
    assert again.about["paths"]["missing"] <= len(open_paths(reading(valued), QUERY).failures)
    other = plan_paths(reading(valued), QUERY.model_copy(update={"seed": 2}))
    assert other.about["paths"]["present"] == 0
    assert other.about["paths"]["missing"] == again.about["paths"]["present"] + again.about["paths"]["missing"]


def test_any_batch_gives_the_same_file_content(valued: Lake) -> None:
    paths = open_paths(reading(valued), QUERY)
    model = load_model(valued, paths.receipt["path_set_id"])
    rows = Contract.of(valued.read("contracts"))
    wanted = sorted(c for c in rows if c.contract_id in paths.contract_ids.to_pylist())
    whole = value_along(wanted, model)
    alone = [value_along([c], model) for c in reversed(wanted)][::-1]
    assert np.array_equal(whole.values, np.concatenate([b.values for b in alone]))
    assert np.array_equal(whole.cash, np.concatenate([b.cash for b in alone]))


def test_deflated_values_of_the_currencies_are_their_discount_factors(valued: Lake) -> None:
    """The mean of what a unit of a currency is worth today is its discount factor: 99.9% bounds of the Monte Carlo error."""
    query = QUERY.model_copy(update={"paths": 4096, "sampling": "antithetic"})
    with Committer(valued, "test") as committer:
        value_paths(session_of(valued, committer), query)
    paths = open_paths(reading(valued), query)
    model = load_model(valued, paths.receipt["path_set_id"])
    base = model.base_market()
    for currency, curve in model.curves.items():
        for k, day in enumerate(paths.dates):
            pairs = paths.discount(k, currency).reshape(-1, 2).mean(axis=1)
            wanted = base.discount(curve, np.array([(day - MONDAY).days / 365.0]))[0, 0]
            assert abs(pairs.mean() - wanted) <= 3.3 * pairs.std(ddof=1) / np.sqrt(len(pairs)) + 1e-12


def test_what_the_paths_say_is_made_once_and_cannot_be_changed_by_a_caller(
    valued: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = open_paths(reading(valued), QUERY)
    assert paths.receipt["dates"] == ["2020-04-16", "2020-09-16", "2021-03-16", "2023-03-16"]
    first = [paths.fx(2, "EUR", "USD"), paths.discount(2, "EUR"), paths.discount(3, "USD")]
    wanted = [a.copy() for a in first]
    for given in first:
        given[:] = -1.0
    days = []
    made = PathMarkets.at
    monkeypatch.setattr(PathMarkets, "at", lambda self, day: days.append(day) or made(self, day))
    again = [paths.fx(2, "EUR", "USD"), paths.discount(2, "EUR"), paths.discount(3, "USD")]
    assert not days
    assert all(np.array_equal(a, b) for a, b in zip(again, wanted, strict=True))
    market = PathMarkets(load_model(valued, paths.receipt["path_set_id"])).at(paths.dates[2])
    assert np.array_equal(again[0], market.fx("EUR", "USD")[1:])
    monkeypatch.setattr(stored_paths, "_KEPT_BYTES", 0)  # what is not kept is made anew, with the same bits
    assert np.array_equal(paths.fx(1, "EUR", "USD"), paths.fx(1, "EUR", "USD"))


def test_a_tenor_that_is_none_and_a_day_without_a_book_are_refused(valued: Lake) -> None:
    with pytest.raises(BadInput, match="horizon"):
        plan_paths(reading(valued), QUERY.model_copy(update={"grid": ("1Q",)}))
    with pytest.raises(BadInput, match="numeraire"):
        plan_paths(reading(valued), QUERY.model_copy(update={"numeraire": "XXX"}))


def test_real_world_paths_are_valued_too(valued: Lake) -> None:
    query = QUERY.model_copy(update={"measure": "real_world", "grid": ("1M", "6M")})
    with Committer(valued, "test") as committer:
        value_paths(session_of(valued, committer), query)
    paths = open_paths(reading(valued), query)
    assert len(paths.contract_ids)
    assert np.isfinite(paths.values(1)).all()
    assert (paths.discount(1, "USD") < 1.1).all()


@pytest.mark.slow
def test_spark_writes_the_same_files(valued: Lake, valued_lake: Path, spark: SparkSession, tmp_path: Path) -> None:
    shutil.copytree(valued_lake, tmp_path / "lake")
    lake = Lake.open(tmp_path / "lake")
    with Committer(lake, "test") as committer:
        made = stored_paths._plan(session_of(lake, committer), QUERY)
        run = path_runs.run_along(committer, made, runner="spark", spark=lambda: spark)
    assert run.valued > 0
    one, two = open_paths(reading(valued), QUERY), open_paths(reading(lake), QUERY)
    assert one.contract_ids == two.contract_ids
    assert all(
        np.array_equal(one.values(k), two.values(k)) and np.array_equal(one.cash(k), two.cash(k)) for k in range(4)
    )
