"""The cheapest hedge under a limit: found, verified, refused, and as users ask for it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import answer, refused, varlake
from flask.testing import FlaskClient
from small_lake import MONDAY, OPTION, SHARE_A, SHARE_B

from aggregation.replay import replay
from aggregation.risk.query import run_query
from aggregation.types import Filter, RiskQuery
from aggregation.whatif.limit_hedge import HedgeCandidate, HedgeRequest, LimitHedge, LimitHedgeQuery, limit_hedge
from aggregation.whatif.request import run_what_if
from lake.errors import BadInput, NotFound, validated
from lake.landing.rows import read_rows
from lake.tables import Lake

NODE = (Filter.parse("desk=Equities"),)
TERMS = {k: v for k, v in OPTION.items() if k != "instrument_type"}
BUY_B = {"name": "BBB shares", "hedge": {**SHARE_B}, "side": "buy", "max_quantity": 500, "cost": 2.0}
PUTS = {
    "name": "calls",
    "hedge": {"instrument_type": "equity_option", "terms": {**TERMS, "strike": "97"}},
    "max_quantity": 900,
    "cost": 0.7,
}
UNWIND = {"trade": "T00000-1", "cost": 1.5}


@pytest.fixture(scope="module")
def lake(valued_lake: Path) -> Lake:
    return Lake.open(valued_lake)


def ask(lake: Lake, limit: float, moves: list[dict[str, Any]], measure: str = "es", **more: Any) -> LimitHedge:
    query = RiskQuery(**{"as_of": MONDAY, "where": NODE, "measures": (measure,), "levels": ("0.9",), **more})
    return limit_hedge(lake, query, validated(HedgeRequest, {"limit": limit, "moves": moves}, "limit hedge"))


def now(lake: Lake, measure: str = "es", **more: Any) -> float:
    query = RiskQuery(**{"as_of": MONDAY, "where": NODE, "measures": (measure,), "levels": ("0.9",), **more})
    return float(run_query(lake, query).total[f"{measure}_0.9"])


@pytest.mark.parametrize("measure", ["es", "var"])
@pytest.mark.parametrize("share", [0.9, 0.4])
def test_it_is_met_by_the_exact_measure_at_the_cost_of_a_grid(lake: Lake, measure: str, share: float) -> None:
    limit = share * now(lake, measure)
    result = ask(lake, limit, [BUY_B, UNWIND], measure)
    assert result.status == "optimal"
    assert result.after <= limit * (1 + 1e-9)
    assert result.after == pytest.approx(limit, rel=1e-6)  # no more than needed
    assert result.what_if is not None
    assert result.changes is not None
    # both moves bring the same: the cheaper one is taken as far as it goes
    assert [a["action"] for a in result.actions] == ["unwind"]
    again = run_what_if(lake, result.query, result.changes)
    assert again.total[f"{measure}_0.9_after"] == result.after
    # a grid over both moves finds nothing cheaper
    pnl = np.array([run_scenarios_of(lake, trade) for trade in ("node", "T00000-1")])
    rank = {"es": lambda losses: losses[:3].mean(), "var": lambda losses: losses[2]}[measure]
    costs = [
        1.5 * x + 2.0 * y
        for x in np.linspace(0, 200, 101)
        for y in np.linspace(0, 200, 21)
        if rank(np.sort(-(pnl[0] - (x + y) / 200 * pnl[1]))[::-1]) <= limit
    ]
    assert result.cost <= min(costs) + 1e-6
    assert result.cost >= min(costs) - 3.0


def run_scenarios_of(lake: Lake, what: str) -> Any:
    from aggregation.risk.query import run_scenarios

    where = NODE if what == "node" else (Filter.parse(f"trade={what}"),)
    total = run_scenarios(lake, RiskQuery(as_of=MONDAY, where=where)).total
    return np.array([v for k, v in total.items() if k.startswith("pnl_")])


def test_lots_and_interval(lake: Lake) -> None:
    limit = 0.5 * now(lake)
    free = ask(lake, limit, [BUY_B])
    lots = ask(lake, limit, [{**BUY_B, "lot": 25}])
    (action,) = lots.actions
    assert action["quantity"] % 25 == 0
    assert lots.after <= limit
    assert free.cost <= lots.cost <= free.cost + 25 * 2.0
    assert lots.what_if is not None
    total = lots.what_if.total
    assert total["es_0.9_after_low"] <= lots.after <= total["es_0.9_after_high"]
    assert lots.query.interval == "0.95"


def test_a_receipt_is_replayed_to_the_bit(lake: Lake) -> None:
    receipt = ask(lake, 0.5 * now(lake), [BUY_B, UNWIND]).receipt
    assert replay(lake, json.loads(json.dumps(receipt))).verdict == "same bits"


def test_nothing_is_done_where_the_limit_is_met(lake: Lake) -> None:
    result = ask(lake, 2 * now(lake), [BUY_B])
    assert (result.status, result.actions, result.cost, result.what_if) == ("nothing to do", (), 0.0, None)
    assert result.after == result.before == now(lake)


def test_out_of_reach_says_how_low_and_with_what(lake: Lake) -> None:
    result = ask(lake, 1.0, [{**BUY_B, "max_quantity": 50}])
    assert result.status == "out of reach"
    assert result.actions[0]["quantity"] == pytest.approx(50)
    assert result.after < result.before
    assert any("the lowest found is" in n for n in result.notes)
    assert result.bound is None


def test_new_contracts_are_valued_and_both_sides_tried(lake: Lake) -> None:
    options = {"where": (Filter.parse("desk=Options"),)}
    limit = 0.3 * now(lake, **options)
    result = ask(lake, limit, [PUTS], **options)
    assert result.status == "optimal"
    (action,) = result.actions
    assert action["action"] == "sell"  # the desk is long calls
    assert result.what_if is not None
    assert result.what_if.receipt["valued_for_this"]


def test_a_share_of_a_selection_is_unwound_within_the_node(lake: Lake) -> None:
    result = ask(lake, 0.5 * now(lake), [{"where": "legal_entity=legal_entity-0,legal_entity-1", "cost": 10.0}])
    (action,) = result.actions
    assert action["share"] == pytest.approx(0.5, rel=1e-6)
    assert result.changes is not None
    assert [str(f) for f in result.changes.scale[0].where] == [
        "desk=Equities",
        "legal_entity=legal_entity-0,legal_entity-1",
    ]


def test_a_dearer_move_is_left_and_money_scales(lake: Lake) -> None:
    limit = 0.5 * now(lake)
    cheap = ask(lake, limit, [BUY_B, UNWIND])
    swapped = ask(lake, limit, [{**BUY_B, "cost": 1.0}, UNWIND])
    assert [a["move"] for a in swapped.actions] == ["BBB shares"]
    assert cheap.cost > swapped.cost
    euro = ask(lake, 0.5 * now(lake, currency="EUR"), [BUY_B, UNWIND], currency="EUR")
    assert euro.status == "optimal"


def test_what_has_no_value_is_left_out_with_a_reason(lake: Lake) -> None:
    lost = {"name": "lost", "hedge": {**SHARE_A, "underlying": "EQ:ZZZ"}, "max_quantity": 5}
    result = ask(lake, 0.5 * now(lake), [lost, BUY_B])
    assert [u["move"] for u in result.unusable] == ["lost"]
    nothing = ask(lake, 0.5 * now(lake), [lost])
    assert (nothing.status, nothing.after) == ("out of reach", nothing.before)


@pytest.mark.parametrize(
    ("moves", "error", "says"),
    [
        ([{"cost": 1}], BadInput, "given none"),
        ([{"trade": "T00000-1", "contract_id": "x"}], BadInput, "given trade and contract_id"),
        ([{"hedge": SHARE_B}], BadInput, "max_quantity is missing"),
        ([{**UNWIND, "cost": -1}], BadInput, "greater than or equal to 0"),
        ([{"where": "desk=Equities", "max_quantity": 2}], BadInput, "is a share"),
        ([{"trade": "T9"}], BadInput, "Unknown trade"),
        ([{"trade": "T00000-2"}], BadInput, "outside of the filters"),
        ([UNWIND, {"where": "desk=Equities"}], BadInput, "unwind the same positions"),
        ([{"contract_id": "none", "max_quantity": 1}], NotFound, "not in the lake"),
        ([{"hedge": {**SHARE_B, "desk": "Options"}, "max_quantity": 1}], BadInput, "outside of the filters"),
        ([], BadInput, "at least 1"),
    ],
)
def test_bad_moves_are_refused_in_words(lake: Lake, moves: Any, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        ask(lake, 1.0, moves)


@pytest.mark.parametrize(
    "more", [{"measures": ("volatility",)}, {"levels": ("0.9", "0.95")}, {"estimator": "hf7"}, {"tail": "gain"}]
)
def test_another_measure_is_refused(lake: Lake, more: dict[str, Any]) -> None:
    with pytest.raises(BadInput, match="A limit is on"):
        ask(lake, 1.0, [UNWIND], **more)


def test_moves_from_files(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text(
        "name,trade,where,instrument_type,currency,underlying,desk,side,max_quantity,cost,lot\n"
        "BBB shares,,,cash_equity,EUR,EQ:BBB,,buy,500,2,\n"
        ",T00000-1,,,,,,,,1.5,10\n"
        ",,desk=Equities;book=book-1,,,,,,,10,\n"
    )

    def read(text: str) -> tuple[HedgeCandidate, ...]:
        return LimitHedgeQuery.model_validate({"as_of": MONDAY, "limit": 1, "moves": read_rows(text)}).moves

    shares, unwind, selection = read(str(tmp_path / "m.csv"))
    assert shares == HedgeCandidate.model_validate(BUY_B)
    assert unwind == HedgeCandidate.model_validate({**UNWIND, "lot": 10})
    assert [str(f) for f in selection.where] == ["desk=Equities", "book=book-1"]
    (tmp_path / "m.json").write_text(json.dumps([BUY_B, UNWIND]))
    assert read(str(tmp_path / "m.json"))[0] == shares
    for bad, says in (
        ("none.csv", "cannot be read"),
        ("[5]", "holds no objects"),
        ("[", "is not JSON"),
        (json.dumps(SHARE_B), "max_quantity is missing"),
    ):
        with pytest.raises(BadInput, match=says):
            read(str(tmp_path / bad) if bad[0] not in "[{" else bad)


def test_command_line(valued_lake: Path, tmp_path: Path) -> None:
    given = ("limit-hedge", "--as-of", MONDAY, "--where", "desk=Equities", "--level", "0.9")
    body = answer(*given, "--limit", 10000, "--moves", json.dumps([BUY_B, UNWIND]), lake=valued_lake)
    assert body["status"] == "optimal"
    shown = varlake(
        *given, "--limit", 10000, "--moves", json.dumps([UNWIND]), "--plot", tmp_path / "w.png", lake=valued_lake
    )
    assert shown.returncode == 0, shown.stderr
    assert "interval at 0.95" in shown.stdout
    assert (tmp_path / "w.png").stat().st_size > 1000
    (tmp_path / "m.csv").write_text(
        "name,instrument_type,currency,underlying,side,max_quantity,cost\nBBB shares,cash_equity,EUR,EQ:BBB,buy,500,2\n"
    )
    assert varlake(*given, "--limit", 10000, "--moves", tmp_path / "m.csv", lake=valued_lake).returncode in (0, 1)
    beyond = varlake(*given, "--limit", 1, "--moves", json.dumps([{**UNWIND, "max_quantity": 1}]), lake=valued_lake)
    assert beyond.returncode == 1
    assert "out of reach" in beyond.stdout
    assert "Unknown trade" in refused(*given, "--limit", 1, "--moves", '{"trade": "T9"}', lake=valued_lake)


def test_http(client: FlaskClient) -> None:
    where = [{"dimension": "desk", "values": ["Equities"]}]
    part = {"where": [{"dimension": "trade", "values": ["T00000-0"]}], "cost": 1e6}
    body = {"as_of": str(MONDAY), "where": where, "levels": [0.9], "limit": 10000, "moves": [BUY_B, UNWIND, part]}
    got = client.post("/api/v1/limit-hedge", json=body)
    assert got.status_code == 200, got.get_data(as_text=True)
    found = got.get_json()
    assert (found["status"], found["measure"]) == ("optimal", "es_0.9")
    question = {k: body[k] for k in ("as_of", "where", "levels")} | {"measures": ["es"]}
    changes = {k: v for k, v in found["changes"].items() if v}
    again = client.post("/api/v1/what-if", json={**question, **changes}).get_json()
    assert again["total"]["es_0.9_after"] == found["after"]
