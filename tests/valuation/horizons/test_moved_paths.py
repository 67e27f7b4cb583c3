"""Paths of a moved market: what does not depend on the move keeps its values, and draws that are shared change no bit."""

from __future__ import annotations

import dataclasses
import datetime as dt
import functools

import numpy as np
import pytest
from examples import BASE, EXAMPLES, INDEX, TODAY
from test_path_values import contract_of, history

from valuation.catalogue import factors_of, pricer_version
from valuation.horizons.path_values import PathBlock, value_along
from valuation.market.path_market import PathMarkets
from valuation.market.path_model import PathKeys, PathModel, Settings, fit_market
from valuation.market.rolled_market import carry_of

DATES = [TODAY + dt.timedelta(days=d) for d in (400,)]
ALL = {
    contract.contract_id: (contract, terms)
    for kind, examples in EXAMPLES.items()
    for contract, terms in (contract_of(kind, e) for e in examples[:2] if e.get("engine") != "longstaff_schwartz")
}


@functools.cache
def valued() -> tuple[PathModel, PathBlock]:
    found, _ = carry_of([terms for _, terms in ALL.values()])
    how = Settings("risk_neutral", "USD", 16, 1, "antithetic")
    model = fit_market(TODAY, DATES, how, found, INDEX, BASE, history())
    block = value_along([contract for contract, _ in ALL.values()], model)
    assert all(f.reason == "path_dependent" for f in block.failures)
    return model, block


def groups(of: str) -> list[str]:
    """Every kind of level in every currency and curve, or every driver of the paths."""
    if of == "level":
        return sorted({f"level {f.type} {f.curve or f.currency}" for f in INDEX.factors})
    return sorted(f"volatility {d.kind} {d.name}" for d in valued()[0].drivers)


def moved(group: str) -> PathModel:
    what, kind, name = group.split(" ")
    model = valued()[0]
    if what == "volatility":
        drivers = tuple(
            dataclasses.replace(d, volatility=1.01 * d.volatility) if (d.kind, d.name) == (kind, name) else d
            for d in model.drivers
        )
        return dataclasses.replace(model, drivers=drivers)
    rows = [i for i, f in enumerate(INDEX.factors) if f.type == kind and (f.curve or f.currency) == name]
    base = model.base.copy()
    base[rows] = np.where(np.abs(base[rows]) > 0.2, 1.01 * base[rows], base[rows] + 1e-4)
    return dataclasses.replace(model, base=base)


@pytest.mark.parametrize("of", [pytest.param("level", marks=pytest.mark.slow), "volatility"])
def test_what_has_the_same_key_keeps_its_bits(of: str) -> None:
    model, before = valued()
    names = before.contract_ids
    reads = [(pricer_version(ALL[n][0].instrument_type), factors_of(ALL[n][1], model.index, TODAY)) for n in names]
    before_keys = PathKeys(model)
    keys = [before_keys.of(*r) for r in reads]
    kept = 0
    for group in groups(of):
        other = moved(group)
        others = PathKeys(other)
        rows = [i for i, (key, r) in enumerate(zip(keys, reads, strict=True)) if others.of(*r) == key]
        after = value_along([ALL[names[i]][0] for i in rows], other)
        kept += len(rows)
        for k, i in enumerate(rows):
            assert (after.contract_ids[k], after.base[k]) == (names[i], before.base[i]), group
            for one, two in ((before.values, after.values), (before.cash, after.cash)):
                assert np.array_equal(one[i], two[k]), (group, ALL[names[i]])
    assert kept > 0.5 * len(groups(of)) * len(names)


def test_a_mean_reversion_is_in_every_key() -> None:
    """The joint draws of all other drivers depend on it."""
    model, before = valued()
    drivers = tuple(
        dataclasses.replace(d, mean_reversion=0.1) if (d.kind, d.name) == ("rate", "EUR") else d for d in model.drivers
    )
    other = dataclasses.replace(model, drivers=drivers)
    dollars = [n for n in before.contract_ids if ALL[n][0].instrument_type == "interest_rate_swap"]
    after = value_along([ALL[n][0] for n in dollars], other)
    at = [before.contract_ids.index(n) for n in dollars]
    assert not np.array_equal(after.values, before.values[at])
    one, two = PathKeys(model), PathKeys(other)
    for name in before.contract_ids:
        reads = factors_of(ALL[name][1], model.index, TODAY)
        assert one.of("v", reads) != two.of("v", reads)


@pytest.mark.parametrize(("group", "shared"), [("level fx_rate USD", True), ("volatility rate EUR", False)])
def test_shared_draws_change_no_bit(group: str, shared: bool) -> None:
    model, before = valued()
    other = moved(group)
    contracts = [ALL[name][0] for name in before.contract_ids]
    drawn = PathMarkets(model)
    value_along(contracts, model, lambda *_: drawn)
    again = drawn.moved(other)
    assert ("states" in vars(again)) == shared
    one, two = value_along(contracts, other, lambda *_: again), value_along(contracts, other)
    assert np.array_equal(one.values, two.values)
    assert np.array_equal(one.cash, two.cash)
