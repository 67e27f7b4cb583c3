"""A sealed set says which of its contracts read a factor that was held or proxied, priced for it or reused."""

from __future__ import annotations

import dataclasses

import pyarrow.dataset as ds
import pytest
from test_plan_and_run import CONTRACTS, lake, market, plan_for, put_contracts, run, scenario_set

from lake.tables import Lake
from valuation.catalogue import instrument, terms_from_json

assert lake, market  # fixtures of this module too


@pytest.mark.parametrize("kind", ["held", "proxied"])
def test_those_that_read_it_and_no_others(lake: Lake, kind: str) -> None:
    contracts = put_contracts(lake, CONTRACTS)
    plain = scenario_set(lake)
    read = {
        c["contract_id"]: instrument(c["instrument_type"]).risk_factors(
            terms_from_json(c["instrument_type"], c["terms"]), plain.index, plain.market_date
        )
        for c in contracts.to_pylist()
    }
    factor = sorted(set(next(iter(read.values()))))[0]
    expected = {c for c, factors in read.items() if factor in factors}
    assert 0 < len(expected) < len(read)

    first = run(lake, plan_for(lake, contracts.slice(0, 2), plain))  # two vectors are there before
    assert first["valued"] == 2
    substituted = dataclasses.replace(plain, **{kind: {factor: "2020-01-02"}})
    sealed = run(lake, plan_for(lake, contracts, substituted))
    assert (sealed["reused"], sealed["submitted"]) == (2, len(read))
    for set_id, flagged in ((first["valuation_set_id"], set()), (sealed["valuation_set_id"], expected)):
        rows = lake.read("valuation_members", where=ds.field("valuation_set_id") == set_id).to_pylist()
        assert {r["contract_id"] for r in rows if r["substituted"]} == flagged
        assert None not in {r["substituted"] for r in rows}
