"""Queries against DuckDB and math.fsum, published losses through the whole query, coverage, errors and receipts."""

from __future__ import annotations

import datetime as dt
import itertools
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from reduce_lake import DAY, Valued, make_lake, position, put_positions, put_valued

from aggregation.opened.inputs import MARKET
from aggregation.opened.opened_lake import VectorCache
from aggregation.risk import query as query_module
from aggregation.risk.query import run_query
from aggregation.types import Filter, RiskQuery, RiskResult
from lake.canonical import canonical_json
from lake.errors import BadInput, NotFound, NotValued
from lake.tables import Lake
from scenarios.types import MissingRiskFactor

N = 250
BIG = ("var", "es", "mean", "volatility", "worst")


def some_vectors(seed: int = 0, contracts: int = 60, n: int = N) -> dict[str, tuple[str, float, Any]]:
    """Contracts in three currencies; P&L over many magnitudes, so that the order of a sum would show."""
    rng = np.random.default_rng(seed)
    return {
        f"c{i:03}": (
            ("USD", "EUR", "JPY")[i % 3],
            float(rng.normal(0, 100)),
            rng.standard_normal(n) * 10.0 ** rng.integers(-6, 7),
        )
        for i in range(contracts)
    }


def some_rates(seed: int = 1, n: int = N) -> dict[str, tuple[float, Any]]:
    rng = np.random.default_rng(seed)
    return {
        "EURUSD": (1.1, 1.1 * np.exp(0.01 * rng.standard_normal(n))),
        "EURJPY": (120.0, 120 * np.exp(0.02 * rng.standard_normal(n))),
    }


def some_positions(seed: int = 2, count: int = 1500, contracts: int = 60) -> list[dict[str, Any]]:
    """Positions with some failed and some missing contracts, hedges that net to zero, and an attribute not all have."""
    rng = np.random.default_rng(seed)
    rows = []
    for i in range(count):
        c = int(rng.integers(contracts + 2))
        name = f"c{c:03}" if c < contracts else ("failed", "missing")[c - contracts]
        rows.append(
            position(
                f"t{i:05}",
                name,
                float(rng.normal() * 10.0 ** rng.integers(-3, 4)),
                currency=("USD", "EUR", "JPY")[c % 3],
                desk=f"desk {rng.integers(4)}",
                book=f"book {rng.integers(25)}",
                counterparty=f"cpty {rng.integers(40)}",
                attributes={"rating": "ABC"[i % 3]} if i % 5 else {},
            )
        )
    for i in range(40):
        quantity = float(rng.normal())
        for side in (1, -1):
            rows.append(position(f"h{i:03}{side}", f"c{i:03}", side * quantity, desk="hedged", book="flat"))
    return rows


def rich(**more: Any) -> Valued:
    return Valued(some_vectors(), failed={"failed": "matured"}, fx=some_rates(), **more)


@pytest.fixture(scope="module")
def rich_lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    return make_lake(tmp_path_factory.mktemp("rich"), rich(files=3), some_positions())


def oracle(
    valued: Valued, rows: Sequence[Mapping[str, Any]], by: Sequence[str], where: str, currency: str
) -> dict[Any, Any]:
    """Group to its P&L vector in the reporting currency, position by position, summed by DuckDB's compensated sum."""
    # extended precision, because this form subtracts two large values
    wide = np.longdouble
    eur, jpy = ((wide(b), levels.astype(wide)) for b, levels in (valued.fx["EURUSD"], valued.fx["EURJPY"]))
    rates = {"USD": (wide(1), np.ones(N, wide)), "EUR": eur, "JPY": (eur[0] / jpy[0], eur[1] / jpy[1])}
    to = rates[currency]
    reported = [
        (b + p.astype(wide)) * (rates[c][1] / to[1]) - b * (rates[c][0] / to[0]) for c, b, p in valued.vectors.values()
    ]
    vectors = pa.table(
        {
            "contract_id": list(itertools.chain.from_iterable([c] * N for c in valued.vectors)),
            "s": list(range(N)) * len(valued.vectors),
            "reported": np.concatenate(reported).astype(np.float64),
        }
    )
    plain = [{**r, "attribute.rating": dict(r["attributes"]).get("rating")} for r in rows]
    book = pa.Table.from_pylist([{k: v for k, v in r.items() if k != "attributes"} for r in plain])
    keys = ", ".join(f'"{b}"' for b in by)
    sql = f"""select {keys + "," if by else ""} s, fsum(quantity * reported) as pnl from book join vectors using (contract_id)
              where {where} group by {keys + "," if by else ""} s order by all"""
    out: dict[Any, Any] = {}
    with duckdb.connect() as db:
        db.register("book", book)
        db.register("vectors", vectors)
        for row in db.sql(sql).fetchall():
            out.setdefault(tuple(row[: len(by)]), []).append(row[-1])
    return {k: np.array(v) for k, v in out.items()}


def figures(pnl: Any) -> dict[str, float]:
    """The measures from their definitions, in plain Python."""
    losses = sorted((-float(x) for x in pnl), reverse=True)
    n, out = len(losses), {}
    for text, percent in (("0.99", 1), ("0.95", 5)):
        k = -(-n * percent // 100)
        whole, part = divmod(n * percent, 100)
        out[f"var_{text}"] = losses[k - 1]
        tail = losses[:whole] + ([losses[whole] * part / 100] if part else [])
        out[f"es_{text}"] = math.fsum(tail) / (n * percent / 100)
    mean = math.fsum(pnl) / n
    return out | {
        "mean": mean,
        "volatility": math.sqrt(math.fsum((x - mean) ** 2 for x in pnl) / n),
        "worst": losses[0],
    }


@pytest.mark.parametrize("currency", ["USD", "EUR", "JPY"])
@pytest.mark.parametrize(
    ("by", "where", "sql"),
    [
        ((), (), "true"),
        (("desk",), (), "true"),
        (("counterparty", "desk", "attribute.rating"), (), "true"),
        (("currency", "instrument_type"), (("book", ("book 3", "book 7"), False),), "book in ('book 3', 'book 7')"),
        (
            ("book",),
            (("desk", ("desk 1",), True), ("attribute.rating", ("A",), False)),
            "desk <> 'desk 1' and \"attribute.rating\" = 'A'",
        ),
        (("desk",), (("attribute.rating", ("A",), True),), "\"attribute.rating\" is distinct from 'A'"),
    ],
)
def test_against_duckdb(rich_lake: Lake, by: tuple[str, ...], where: Any, sql: str, currency: str) -> None:
    filters = tuple(Filter(dimension=d, values=v, exclude=x) for d, v, x in where)
    query = RiskQuery(as_of=DAY, by=by, where=filters, measures=BIG, levels=("0.99", "0.95"), currency=currency)
    result = run_query(rich_lake, query)
    expected = oracle(rich(), some_positions(), by, sql, currency)
    found = {tuple(r[b] for b in by): r for r in result.rows.to_pylist()}
    covered = {k: r for k, r in found.items() if r["covered"]}
    hedged = {k for k in covered if "hedged" in k}
    assert covered.keys() == expected.keys()
    for key, pnl in expected.items():
        scale = 1e-12 * max(1.0, float(np.abs(pnl).max()))
        for name, value in figures(pnl).items():
            assert covered[key][name] == pytest.approx(value, rel=1e-11, abs=1e-3 if key in hedged else scale), (
                key,
                name,
            )
    together = figures(oracle(rich(), some_positions(), (), sql, currency)[()])
    for name, value in together.items():
        assert result.total[name] == pytest.approx(value, rel=1e-11, abs=1e-9)
        if by:
            alone = math.fsum(r[name] for r in covered.values())
            assert result.total[f"{name}_standalone_sum"] == pytest.approx(alone, rel=1e-12)
            assert result.total[f"{name}_diversification"] == pytest.approx(
                alone - result.total[name], rel=1e-9, abs=max(1e-6, 1e-12 * abs(alone))
            )
    keys = [tuple((v is None, v or "") for v in k) for k in found]
    assert keys == sorted(keys)


def test_hedges_net_to_nothing_exactly(rich_lake: Lake) -> None:
    query = RiskQuery(as_of=DAY, by=("book",), where=(Filter(dimension="desk", values=("hedged",)),), measures=BIG)
    (row,) = run_query(rich_lake, query).rows.to_pylist()
    assert (row["positions"], row["covered"], row["status"]) == (80, 80, "complete")
    assert all(row[name] == 0.0 for name in row if name.startswith(BIG) or name == "base_value")


def bits(result: RiskResult) -> str:
    numbers = {"rows": result.rows.to_pylist(), "total": dict(result.total)}
    return canonical_json(numbers)


FOUR = RiskQuery(as_of=DAY, by=("desk", "counterparty"), measures=BIG, levels=("0.99", "0.975"), currency="EUR")


def test_same_bits_whatever_the_order_the_files_and_the_threads(
    rich_lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = run_query(rich_lake, FOUR, threads=1)
    assert bits(run_query(rich_lake, FOUR, threads=2)) == bits(first)
    assert bits(run_query(rich_lake, FOUR, threads=5)) == bits(first)
    rows = some_positions()
    np.random.default_rng(9).shuffle(rows)  # type: ignore[arg-type]
    valued = rich(files=7)
    valued.vectors = dict(sorted(valued.vectors.items(), key=lambda kv: kv[0][::-1]))
    other = make_lake(tmp_path, valued, rows)
    assert bits(run_query(other, FOUR)) == bits(first)
    # groups done a few at a time
    monkeypatch.setattr(query_module, "PNL_BYTES", 8 * N * 7)
    portions = run_query(other, FOUR)
    assert bits(portions) == bits(first)
    assert portions.receipt["result_digest"] == first.receipt["result_digest"]


def test_a_group_and_the_total_do_not_depend_on_what_is_asked_beside(rich_lake: Lake) -> None:
    by_desk = run_query(rich_lake, FOUR.model_copy(update={"by": ("desk",)}))
    assert {k: v for k, v in run_query(rich_lake, FOUR).total.items() if "_s" not in k and "_d" not in k} == {
        k: v for k, v in by_desk.total.items() if "_s" not in k and "_d" not in k
    }
    alone = RiskQuery(**{**FOUR.model_dump(), "by": (), "where": ({"dimension": "desk", "values": ("desk 2",)},)})
    (row,) = [r for r in by_desk.rows.to_pylist() if r["desk"] == "desk 2"]
    total = run_query(rich_lake, alone).total
    assert {k: v for k, v in row.items() if k != "desk"} == total
    assert run_query(rich_lake, alone).rows.to_pylist() == [total]


def test_one_group_a_trade(rich_lake: Lake) -> None:
    result = run_query(rich_lake, RiskQuery(as_of=DAY, by=("trade",), measures=("worst",)))
    rows = {r["trade"]: r for r in result.rows.to_pylist()}
    assert len(rows) == 1580
    valued = rich()
    for p in some_positions()[:60]:
        if p["contract_id"] in valued.vectors and valued.vectors[p["contract_id"]][0] == "USD":
            worst = max(-p["quantity"] * valued.vectors[p["contract_id"]][2])
            assert rows[p["trade"]]["worst"] == worst


# --- published losses through the public query -----------------------------------------------------------------------

HULL = {494: 477841, 339: 345435, 349: 282204, 329: 277041, 487: 253385, 227: 217974, 131: 205256, 238: 201389}


def hull_lake(folder: Path, weights: Any = None) -> Lake:
    pnl = np.linspace(1.0, 2.0, 500)
    for scenario, loss in HULL.items():
        pnl[scenario - 1] = -loss / 1000.0
    valued = Valued({"hull": ("USD", 10.0, pnl)}, weights=weights)
    return make_lake(folder, valued, [position("t", "hull", 1000.0)])


def test_hull_published_losses(tmp_path: Path) -> None:
    result = run_query(hull_lake(tmp_path), RiskQuery(as_of=DAY, measures=("var", "es", "es_beyond")))
    found = {k: round(v) for k, v in result.total.items() if k.endswith("0.99")}
    assert found == {"var_0.99": 253385, "es_0.99": 327181, "es_beyond_0.99": 345630}
    assert result.total["base_value"] == 10_000


def test_hull_published_losses_with_age_weights(tmp_path: Path) -> None:
    weights = np.array([0.995 ** (500 - i) * 0.005 / (1 - 0.995**500) for i in range(1, 501)])
    result = run_query(hull_lake(tmp_path, weights), RiskQuery(as_of=DAY, measures=("var", "es")))
    assert {k: round(v) for k, v in result.total.items() if k.endswith("0.99")} == {
        "var_0.99": 282204,
        "es_0.99": 400914,
    }
    assert result.receipt["weighted"] is True
    assert "The scenarios carry weights." in result.notes


@pytest.mark.parametrize(("estimator", "rank"), [("hf1", 6), ("hf2", 5.5), ("hf6", 5.01), ("hf7", 5.99)])
def test_estimators_are_named_with_the_number(tmp_path: Path, estimator: str, rank: float) -> None:
    pnl = -np.random.default_rng(0).permutation(np.arange(1.0, 501.0))
    lake = make_lake(tmp_path, Valued({"c": ("USD", 0.0, pnl)}), [position("t", "c", 1.0)])
    result = run_query(lake, RiskQuery(as_of=DAY, estimator=estimator))
    assert 501 - result.total["var_0.99"] == pytest.approx(rank, abs=1e-9)
    assert result.receipt["estimator"] == estimator


def test_nist_gauge_data(tmp_path: Path) -> None:
    gauge = [95.1772, 95.1567, 95.1937, 95.1959, 95.1442, 95.0610, 95.1591, 95.1195, 95.1065, 95.0925, 95.1990, 95.1682]
    lake = make_lake(tmp_path, Valued({"c": ("USD", 0.0, -np.array(gauge))}), [position("t", "c", 1.0)])
    assert round(run_query(lake, RiskQuery(as_of=DAY, estimator="hf6", levels=("0.9",))).total["var_0.9"], 4) == 95.1981


# --- currency --------------------------------------------------------------------------------------------------------


def test_a_position_worth_something_loses_with_its_currency(tmp_path: Path) -> None:
    """An unmoved bond of 100 EUR loses 10 USD when the euro falls from 1.1 to 1.0; a vector times spot would say 0."""
    fx = {"EURUSD": (1.1, np.array([1.0, 1.1, 1.2]))}
    valued = Valued({"bond": ("EUR", 100.0, np.zeros(3))}, unmoved=frozenset({"bond"}), fx=fx)
    lake = make_lake(tmp_path, valued, [position("t", "bond", 1.0, currency="EUR")])
    worst = RiskQuery(as_of=DAY, measures=("worst", "mean"))
    assert run_query(lake, worst).total["worst"] == pytest.approx(10.0)
    assert run_query(lake, worst).total["base_value"] == pytest.approx(110.0)
    euros = run_query(lake, worst.model_copy(update={"currency": "EUR"}))
    assert (euros.total["worst"], euros.total["mean"], euros.total["base_value"]) == (0.0, 0.0, 100.0)
    assert euros.receipt["exchange_rates"] == {}


def test_exchange_rates_stay_where_they_are_not_shocked(tmp_path: Path) -> None:
    fx = {"EURUSD": (1.1, np.array([1.0, 1.1, 1.2]))}
    valued = Valued({"c": ("EUR", 100.0, np.array([-1.0, 0.0, 1.0]))}, fx=fx, risk_classes=("equity",))
    result = run_query(
        make_lake(tmp_path, valued, [position("t", "c", 1.0)]), RiskQuery(as_of=DAY, measures=("worst",))
    )
    assert result.total["worst"] == pytest.approx(1.1)
    assert "Only these risk classes are shocked: equity." in result.notes


def test_what_has_no_pair_has_failed_and_all_else_is_answered(tmp_path: Path) -> None:
    valued = Valued(
        {"c": ("CHF", 1.0, np.zeros(3)), "d": ("USD", 1.0, np.zeros(3))}, fx={"EURUSD": (1.1, np.full(3, 1.1))}
    )
    rows = [position("t", "c", 1.0, desk="swiss"), position("u", "d", 1.0, desk="us")]
    lake = make_lake(tmp_path, valued, rows)
    whole = run_query(lake, RiskQuery(as_of=DAY, by=("desk",)))
    assert (whole.coverage.status, whole.coverage.failed, whole.total["var_0.99"]) == ("partial", 1, 0.0)
    assert [(r["desk"], r["status"], r["var_0.99"]) for r in whole.rows.to_pylist()] == [
        ("swiss", "invalid", None),
        ("us", "complete", 0.0),
    ]
    with pytest.raises(
        MissingRiskFactor, match="Positions in CHF cannot be reported in EUR: scenario set hand of 2020-03-16"
    ):
        run_query(
            make_lake(tmp_path / "swiss", Valued({"c": ("CHF", 1.0, np.zeros(3))}), rows[:1]),
            RiskQuery(as_of=DAY, currency="EUR"),
        )
    only = RiskQuery(as_of=DAY, where=(Filter(dimension="desk", values=("us",)),))
    assert run_query(lake, only).total["var_0.99"] == 0.0


# --- coverage --------------------------------------------------------------------------------------------------------


def test_coverage_by_group_and_nothing_becomes_zero(tmp_path: Path) -> None:
    valued = Valued({"good": ("USD", 5.0, np.array([-1.0, 2.0]))}, failed={"bad": "matured"})
    rows = [
        position("t1", "good", 2.0, desk="whole"),
        position("t2", "good", 1.0, desk="half"),
        position("t3", "bad", 1.0, desk="half"),
        position("t4", "bad", 1.0, desk="none"),
        position("t5", "absent", 1.0, desk="none"),
    ]
    result = run_query(make_lake(tmp_path, valued, rows), RiskQuery(as_of=DAY, by=("desk",), measures=("worst",)))
    columns = ("desk", "positions", "covered", "failed", "missing", "status", "base_value", "worst")
    assert [tuple(r[c] for c in columns) for r in result.rows.to_pylist()] == [
        ("half", 2, 1, 1, 0, "partial", 5.0, 1.0),
        ("none", 2, 0, 1, 1, "invalid", None, None),
        ("whole", 1, 1, 0, 0, "complete", 10.0, 2.0),
    ]
    assert result.total["worst"] == 3.0
    assert (result.total["worst_standalone_sum"], result.total["worst_diversification"]) == (3.0, 0.0)
    assert vars(result.coverage) == {"positions": 5, "covered": 3 - 1, "failed": 2, "missing": 1, "substituted": 0}
    assert result.coverage.status == "partial"
    assert result.notes[0].startswith("2 positions are not in the numbers: they failed. 2 ")
    assert "1 position is not in the numbers: its contract is not in the valuation set." in result.notes[1]
    assert result.notes[2] == "1 group has no number: none of its positions is covered."


def test_nothing_covered_has_no_number(tmp_path: Path) -> None:
    valued = Valued({"other": ("USD", 5.0, np.array([-1.0, 2.0]))}, failed={"bad": "matured"})
    lake = make_lake(tmp_path, valued, [position("t", "bad", 1.0)])
    for by in ((), ("desk",)):
        result = run_query(lake, RiskQuery(as_of=DAY, by=by, measures=("var", "es")))
        assert result.coverage.status == "invalid"
        assert (result.total["var_0.99"], result.total["base_value"]) == (None, None)
        assert result.rows["es_0.99"].to_pylist() == [None]
        assert not by or result.total["var_0.99_diversification"] is None


# --- what is asked for is not there ----------------------------------------------------------------------------------


def refused(lake: Lake, error: type[Exception], message: str, **query: Any) -> None:
    with pytest.raises(error, match=message):
        run_query(lake, RiskQuery(**({"as_of": DAY} | query)))


def test_bad_questions_are_refused_with_the_nearest(rich_lake: Lake) -> None:
    desk = {"dimension": "desk", "values": ("desk 9",)}
    refused(rich_lake, BadInput, r"Unknown dimension 'dsk'\. Nearest valid: desk", by=("dsk",))
    refused(
        rich_lake,
        BadInput,
        r"Unknown dimension 'attribute.rattng'\. Nearest valid: attribute.rating",
        by=("attribute.rattng",),
    )
    refused(rich_lake, BadInput, "A dimension is named twice: desk, desk", by=("desk", "desk"))
    refused(rich_lake, BadInput, r"Unknown desk on 2020-03-16 'desk 9'\. Nearest valid: desk", where=(desk,))
    refused(rich_lake, BadInput, "Unknown dimension 'deks'", where=(desk | {"dimension": "deks"},))
    refused(rich_lake, BadInput, r"Unknown measure 'cvar'\. Nearest valid: var", measures=("cvar",))
    refused(rich_lake, BadInput, r"Unknown estimator 'hf77'\. Nearest valid: hf7", estimator="hf77")
    refused(rich_lake, BadInput, "'99' was given; expected a fraction between 0 and 1", levels=("99",))
    refused(
        rich_lake,
        BadInput,
        "es_beyond_0.999: No scenario of 250 ranks worse",
        measures=("es_beyond",),
        levels=("0.999",),
    )
    flat = {"dimension": "book", "values": ("flat",)}
    refused(
        rich_lake,
        BadInput,
        r"No position of 2020-03-16 passes book=flat, desk!=hedged; loosen a filter",
        where=(flat, {"dimension": "desk", "values": ("hedged",), "exclude": True}),
    )


def test_dates_and_sets_that_are_not_there(rich_lake: Lake) -> None:
    later = dt.date(2020, 3, 18)
    refused(
        rich_lake, NotFound, r"lacks .*positions of 2020-03-18\. Nearest dates with positions: 2020-03-16", as_of=later
    )
    held = {"as_of": later, "positions_date": dt.date(2020, 3, 16)}
    refused(rich_lake, NotValued, r"No valuation set of 2020-03-18\. Nearest dates with one: 2020-03-16\.", **held)
    refused(
        rich_lake,
        NotFound,
        r"No positions on 2020-03-18\. Nearest dates with positions: 2020-03-16\.",
        positions_date=later,
    )
    refused(rich_lake, NotFound, r"Unknown valued scenario set 'hnad'\. Nearest valid: hand", scenario_set="hnad")
    refused(rich_lake, NotFound, "Unknown sealed valuation set 'x'", valuation_set="x")
    set_id = rich().set_id
    refused(rich_lake, BadInput, "is of 2020-03-16, and 2020-03-18 was asked for", as_of=later, valuation_set=set_id)
    refused(
        rich_lake, BadInput, "was made under scenario set hand, and other", valuation_set=set_id, scenario_set="other"
    )


def test_an_empty_lake_says_so(tmp_path: Path) -> None:
    lake = Lake.create(tmp_path / "lake")
    lacks = (
        r"The lake lacks market data of 2020-03-16 \(there is none\); and positions of 2020-03-16\. There are no dates"
    )
    refused(lake, NotFound, lacks)
    put_valued(lake, Valued({"c": ("USD", 1.0, np.zeros(2))}))
    refused(lake, NotFound, r"No positions on 2020-03-16\. There are no dates with positions yet\.")


def test_the_newest_set_that_fits_answers(tmp_path: Path) -> None:
    def at(hour: int, name: str, loss: float, **more: Any) -> Valued:
        sealed = dt.datetime(2020, 3, 17, hour, tzinfo=dt.UTC)
        return Valued({"c": ("USD", 1.0, np.array([-loss, 0.0]))}, name=name, sealed_at=sealed, **more)

    lake = make_lake(tmp_path, at(1, "one", 1.0), [position("t", "c", 1.0)])

    def worst(**query: Any) -> float:
        result = run_query(lake, RiskQuery(**{"as_of": DAY, "measures": ("worst",), **query}))
        return float(result.total["worst"])

    assert worst() == 1.0
    two = put_valued(lake, at(3, "two", 2.0))
    put_valued(lake, at(2, "three", 3.0))
    assert worst() == 2.0
    put_valued(lake, at(4, "rates only", 4.0, risk_classes=("rates",)))
    assert worst() == 2.0
    assert worst(scenario_set="three") == 3.0
    assert worst(scenario_set=two.scenario_set_id) == 2.0
    assert worst(scenario_set="rates only") == 4.0
    assert worst(valuation_set=at(1, "one", 1.0).set_id) == 1.0


def test_any_book_can_be_read_against_any_valuation(tmp_path: Path) -> None:
    lake = make_lake(tmp_path, Valued({"c": ("USD", 1.0, np.array([-1.0, 0.0]))}), [position("t", "c", 1.0)])
    put_positions(lake, [position("t", "c", 5.0, positions_date=dt.date(2020, 2, 14))])
    result = run_query(lake, RiskQuery(as_of=DAY, positions_date=dt.date(2020, 2, 14), measures=("worst",)))
    assert (result.total["worst"], result.receipt["positions_date"]) == (5.0, "2020-02-14")


def test_new_positions_are_seen_at_once(tmp_path: Path) -> None:
    lake = make_lake(tmp_path, Valued({"c": ("USD", 1.0, np.array([-1.0, 0.0]))}), [position("t", "c", 1.0)])
    cache = VectorCache(lake)
    question = RiskQuery(as_of=DAY, measures=("worst",))
    before = run_query(lake, question, cache=cache)
    put_positions(lake, [position("t", "c", 3.0)])
    after = run_query(lake, question, cache=cache)
    assert (before.total["worst"], after.total["worst"]) == (1.0, 3.0)
    assert before.receipt["positions_files"] != after.receipt["positions_files"]


# --- columns and receipt ---------------------------------------------------------------------------------------------


def test_columns_are_named_by_measure_and_level(rich_lake: Lake) -> None:
    query = RiskQuery(as_of=DAY, by=("desk",), measures=("es", "mean", "var", "es"), levels=("0.990", "0.99", "0.9"))
    result = run_query(rich_lake, query)
    counts = ["positions", "covered", "failed", "missing", "substituted", "status", "base_value"]
    measured = ["es_0.99", "es_0.9", "mean", "var_0.99", "var_0.9"]
    assert result.rows.column_names == ["desk", *counts, *measured]
    extra = [f"{m}_{what}" for m in measured for what in ("standalone_sum", "diversification")]
    assert list(result.total) == [*counts, *measured, *extra]


def test_the_receipt_names_the_inputs_and_repeats(rich_lake: Lake) -> None:
    one, two = (run_query(rich_lake, FOUR) for _ in range(2))
    receipt = dict(one.receipt)
    assert set(receipt.pop("timings_ms")) == {"load", "select", "reduce", "measure"}
    assert receipt == {k: v for k, v in two.receipt.items() if k != "timings_ms"}
    assert receipt["scenario_count"] == N
    assert receipt["horizon_days"] == 1
    assert receipt["exchange_rates"] == {"JPY": [["FX:EURJPY", -1]], "USD": [["FX:EURUSD", -1]]}
    assert receipt["positions_files"] == [f.stem for f in rich_lake.data_files("positions")]
    assert receipt["table_versions"] == {
        t: rich_lake.version(t)
        for t in ("positions", "valuation_sets", "hierarchies", "scenario_sets", "standards", *MARKET)
    }
    other = run_query(rich_lake, FOUR.model_copy(update={"levels": ("0.98",)})).receipt
    assert other["query_digest"] != receipt["query_digest"]
    assert other["result_digest"] != receipt["result_digest"]
    json.dumps(one.to_dict(), allow_nan=False)


def test_a_level_beyond_the_scenarios_is_said(rich_lake: Lake) -> None:
    result = run_query(rich_lake, FOUR.model_copy(update={"levels": ("0.999",), "measures": ("var", "worst")}))
    assert "Fewer than one of 250 scenarios lies beyond level 0.999: the tail is the worst loss." in result.notes
    assert result.rows["var_0.999"] == result.rows["worst"]


def test_synthetic_held_and_unscaled_factors_are_said(tmp_path: Path) -> None:
    held = {f"EQ:{c}": "2020-03-13" for c in "GFEDCBA"}
    fitted = {"EQ:H": "not scaled: no volatility before 2020-02-03", "EQ:I": "GARCH(1,1): alpha 0.1"}
    valued = Valued({"c": ("USD", 1.0, np.array([-1.0, 0.0]))}, synthetic=True, held=held, fitted=fitted)
    result = run_query(make_lake(tmp_path, valued, [position("t", "c", 1.0)]), RiskQuery(as_of=DAY, levels=("0.5",)))
    assert result.notes == (
        "The market data is synthetic.",
        "Which positions rest on substituted market data is not known: the valuation set is of before that was kept.",
        "Risk factors that keep an earlier level: EQ:A, EQ:B, EQ:C, EQ:D, EQ:E and 2 more.",
        "Risk factors that moved out of a calm and are not scaled to today's volatility: EQ:H.",
    )
    assert result.receipt["synthetic"] is True


def test_the_nearest_of_very_many_members_is_found_quickly(tmp_path: Path) -> None:
    rows = [position(f"T{i:06}", "c", 1.0) for i in range(20_000)]
    lake = make_lake(tmp_path, Valued({"c": ("USD", 1.0, np.array([-1.0, 0.0]))}), rows)
    refused(
        lake,
        BadInput,
        r"Unknown trade on 2020-03-16 'T01234'\. Nearest valid: T0",
        where=({"dimension": "trade", "values": ("T01234",)},),
    )


def test_desks_that_move_alike_diversify_nothing(tmp_path: Path) -> None:
    """0.1 x and 0.2 x of one share: 0.1 x 7 + 0.2 x 7 is not 0.3 x 7 in binary, and the difference is no benefit."""
    assert 0.1 * 7.0 + 0.2 * 7.0 != (0.1 + 0.2) * 7.0
    rows = [position("t", "c", 0.1, desk="one"), position("u", "c", 0.2, desk="two")]
    lake = make_lake(tmp_path, Valued({"c": ("USD", 1.0, np.full(3, -7.0))}), rows)
    total = run_query(lake, RiskQuery(as_of=DAY, by=("desk",), measures=("var",))).total
    assert total["var_0.99_diversification"] == 0.0
