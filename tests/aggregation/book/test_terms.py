"""Books over an ex date: a lake whose share splits 4 for 1 on the Monday answers as one in which it has always been in today's shares.

The second lake knows no corporate action, so that its answers come from outside of what is tested. Factors of four are exact in binary.
"""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_lake import FACTORS, FRIDAY, MONDAY, OPTION, SHARE_A, SHARE_B, base, no_spark, request
from support import factor, put_market, random_walks

from aggregation.opened.opened_lake import VectorCache
from aggregation.questions import QUESTIONS, ask, read, value
from aggregation.replay import replay
from aggregation.session import Session
from aggregation.whatif.save_branch import BranchRequest, save_branch
from lake.committer import Committer
from lake.errors import BadInput
from lake.schemas import DIMENSION_COLUMNS
from lake.tables import Lake
from scenarios.market.base_market import BaseMarket, with_merged
from scenarios.market.corporate_actions import Carried, CorporateAction, CorporateActions, Gone
from scenarios.market.landing_actions import ingest_corporate_actions
from scenarios.types import FactorIndex
from valuation.books.corporate_actions import Held, _held, _row
from valuation.books.positions import ingest_positions
from valuation.horizons.unit_explain import MarketPath, explain_units, unit_values
from valuation.sets.requests import run_valuation
from valuation.types import Contract

FORWARD = {"instrument_type": "equity_forward", "currency": "USD", "underlying": "EQ:AAA", "strike": "96",
           "maturity": "2020-12-18", "discount_curve": "USD"}  # fmt: skip
# trade, desk, quantity and terms in the shares of Friday
OLD = [("T1", "Equities", 1000.0, SHARE_A), ("T2", "Equities", -200.0, SHARE_B), ("T3", "Options", 50.0, OPTION),
       ("T4", "Options", -30.0, FORWARD)]  # fmt: skip
NEW = [(t, d, 4 * q, {**c, "strike": str(float(c["strike"]) / 4)} if "strike" in c else c) if c["underlying"] == "EQ:AAA" else (t, d, q, c)
       for t, d, q, c in OLD]  # fmt: skip
FIRST = dt.date(2019, 6, 3)
Books = Mapping[dt.date, Sequence[tuple[str, str, float, Mapping[str, str]]]]


def book_csv(books: Books) -> str:
    terms = sorted({name for book in books.values() for *_, c in book for name in c})
    out = io.StringIO()
    rows = csv.DictWriter(out, ["positions_date", "quantity", *DIMENSION_COLUMNS, "attribute.rating", *terms])
    rows.writeheader()
    for day, book in books.items():
        for trade, desk, quantity, contract in book:
            dimensions = dict.fromkeys(DIMENSION_COLUMNS, "one")
            own = {"positions_date": day, "trade": trade, "desk": desk, "quantity": quantity, "attribute.rating": "AA"}
            rows.writerow({**dimensions, **own, **contract})
    return out.getvalue()


def build(
    folder: Path, books: Books, *, before: float = 1.0, actions: str = "", more: Mapping[str, Any] | None = None
) -> Lake:
    """A lake whose share AAA stands at so many times its level before the Monday."""
    folder.mkdir()
    lake = Lake.create(folder / "lake")
    levels = random_walks(FACTORS, FIRST, dt.date(2020, 3, 17))
    levels["EQ:AAA"] = {d: v if d >= MONDAY else v * before for d, v in levels["EQ:AAA"].items()}
    new = [factor(i, "equity_price") for i in more or {}]
    put_market(lake, [*FACTORS, *new], {**levels, **(more or {})})
    (folder / "book.csv").write_text(book_csv(books))
    with Committer(lake, "test") as c:
        assert ingest_positions(c, folder / "book.csv").rejected == 0
        if actions:
            (folder / "actions.csv").write_text(actions)
            ingest_corporate_actions(c, folder / "actions.csv")
    return lake


HEADER = "risk_factor_id,ex_date,kind,ratio,amount,new_risk_factor_id\n"
SPLIT = f"{HEADER}EQ:AAA,{MONDAY},split,4:1,,\n"


@pytest.fixture(scope="module")
def twins(tmp_path_factory: pytest.TempPathFactory) -> tuple[Lake, Lake]:
    """The lake with the split, and the one in today's shares."""
    folder = tmp_path_factory.mktemp("terms")
    split = build(folder / "split", {FRIDAY: OLD, MONDAY: NEW}, before=4.0, actions=SPLIT)
    plain = build(folder / "plain", {FRIDAY: NEW, MONDAY: NEW})
    for lake in (split, plain):
        for day in (FRIDAY, MONDAY):
            with Committer(lake, "test") as committer:
                run_valuation(committer, request(day), spark=no_spark)  # type: ignore[arg-type]
    return split, plain


def asked(lake: Lake, name: str, **query: Any) -> Any:
    with Committer(lake, "test") as committer:
        session = Session(lake, VectorCache(lake), committer)
        return ask(session, name, value(session, name, read(name, query)))


def numbers(answer: Any) -> dict[str, Any]:
    """The figures of the rows."""
    columns = answer.rows.to_pydict()
    return {c: v for c, v in columns.items() if all(isinstance(x, float | int | None) for x in v)}


# every question that may be asked about positions of another date, as the other suites ask it
ASKED: dict[str, dict[str, Any]] = {
    name: {**base(name), "as_of": MONDAY, "positions_date": FRIDAY}
    for name, entry in QUESTIONS.items()
    if "positions_date" in entry.question.query.model_fields
}
ASKED["limit-hedge"]["moves"] = [{"trade": "T3", "cost": 1}]
ASKED["pnl-explain"] = {"from": FRIDAY, "to": MONDAY, "by": ["trade"]}


class TestASplit:
    @pytest.mark.parametrize("name", ASKED)
    def test_a_question_is_answered_as_in_todays_shares(self, twins: tuple[Lake, Lake], name: str) -> None:
        split, plain = (asked(lake, name, **ASKED[name]) for lake in twins)
        found, expected = numbers(split), numbers(plain)
        assert found.keys() == expected.keys()
        for column, values in expected.items():
            assert [v is None for v in found[column]] == [v is None for v in values]
            figures = [v for v in values if v is not None]
            assert [v for v in found[column] if v is not None] == pytest.approx(figures, rel=1e-12, abs=1e-9), column

    def test_the_notes_and_the_receipt_say_what_was_applied(self, twins: tuple[Lake, Lake]) -> None:
        split, plain = (asked(lake, "var", as_of=MONDAY, positions_date=FRIDAY) for lake in twins)
        told = f"Corporate actions applied to the book of {FRIDAY}: EQ:AAA split 4:1 on {MONDAY}."
        assert told in split.notes
        assert not [n for n in plain.notes if "Corporate" in n]
        assert split.receipt["corporate_actions_version"] == twins[0].version("corporate_actions")
        assert split.receipt["table_versions"]["corporate_actions"] == twins[0].version("corporate_actions")
        assert "corporate_actions_version" not in plain.receipt
        assert replay(twins[0], split.receipt).verdict == "same bits"

    def test_a_long_position_over_the_ex_date_is_continuous(self, twins: tuple[Lake, Lake]) -> None:
        split, plain = (asked(lake, "pnl-explain", **{"from": FRIDAY, "to": MONDAY, "by": ["trade"]}) for lake in twins)
        rows = {r["trade"]: r for r in split.rows.to_pylist()}
        move = 4000 * (AFTER - BEFORE)
        assert rows["T1"]["value_from"] == pytest.approx(4000 * BEFORE, rel=1e-14)
        assert rows["T1"]["market_equity"] == pytest.approx(move, rel=1e-10)
        assert [rows["T1"][c] for c in ("new", "closed", "amended", "cash", "failed")] == [0.0] * 5
        assert split.total["amended"] == plain.total["amended"] == 0.0

    def test_each_day_by_itself_has_its_own_value(self, twins: tuple[Lake, Lake]) -> None:
        for day in (FRIDAY, MONDAY):
            split, plain = (asked(lake, "var", as_of=day, by=["trade"], levels=["0.9"]) for lake in twins)
            assert split.total["base_value"] == pytest.approx(plain.total["base_value"], rel=1e-14)
            assert split.total["var_0.9"] == pytest.approx(plain.total["var_0.9"], rel=1e-12)

    def test_a_comparison_has_the_right_totals(self, twins: tuple[Lake, Lake]) -> None:
        points = {"from": {"as_of": FRIDAY}, "to": {"as_of": MONDAY}}
        query = {**points, "measures": ["var"], "levels": ["0.9"], "by": ["desk"]}
        split, plain = (asked(lake, "compare", **query) for lake in twins)
        assert split.rows.to_pylist() == [pytest.approx(r) for r in plain.rows.to_pylist()]
        said = "change of prices in the market: EQ:AAA split 4:1 on 2020-03-16."
        assert [n for n in split.notes if n.endswith(said)]
        causes = [asked(lake, "explain", **{**points, "measures": ["var"], "levels": ["0.9"]}) for lake in twins]
        assert [n for n in causes[0].notes if n.endswith(said)]
        assert causes[0].change == pytest.approx(causes[1].change, rel=1e-9)

    def test_a_branch_is_saved_in_the_terms_of_its_book(self, twins: tuple[Lake, Lake]) -> None:
        given = {
            "name": "half",
            "positions_date": FRIDAY,
            "scale": [{"where": [{"dimension": "desk", "values": ["Options"]}], "factor": 0.5}],
        }
        with (
            Committer(twins[0], "test") as committer,
            pytest.raises(BadInput, match="Save the branch as of 2020-03-13"),
        ):
            save_branch(
                committer,
                BranchRequest.model_validate({**given, "as_of": MONDAY}),
                cache=VectorCache(twins[0]),
                spark=no_spark,
            )  # type: ignore[arg-type]
        totals = []
        for lake in twins:
            with Committer(lake, "test") as committer:
                save_branch(
                    committer,
                    BranchRequest.model_validate({**given, "as_of": FRIDAY}),
                    cache=VectorCache(lake),
                    spark=no_spark,
                )  # type: ignore[arg-type]
            totals.append(asked(lake, "var", as_of=MONDAY, branch="half", levels=["0.9"]).total)
        assert totals[0]["base_value"] == pytest.approx(totals[1]["base_value"], rel=1e-12)
        assert totals[0]["var_0.9"] == pytest.approx(totals[1]["var_0.9"], rel=1e-12)

    def test_todays_book_in_yesterdays_market_is_in_the_shares_of_yesterday(self, twins: tuple[Lake, Lake]) -> None:
        query = {"as_of": FRIDAY, "positions_date": MONDAY, "by": ["desk"], "measures": ["var"], "levels": ["0.9"]}
        split, plain = (asked(lake, "var", **query) for lake in twins)
        assert split.total["base_value"] == pytest.approx(plain.total["base_value"], rel=1e-12)
        assert split.total["var_0.9"] == pytest.approx(plain.total["var_0.9"], rel=1e-12)

    def test_a_backtest_sees_no_loss_of_the_split(self, twins: tuple[Lake, Lake]) -> None:
        query = {"from": FRIDAY, "to": MONDAY, "calendar": "books", "levels": ["0.9"]}
        for time in ("frozen", "passes"):
            split, plain = (asked(lake, "backtest", **query, time=time) for lake in twins)
            found, expected = (a.nodes[0].days[-1]["hypothetical_pnl"] for a in (split, plain))
            assert found == pytest.approx(expected, rel=1e-10)


# --- what is paid out, and other names; by hand ---------------------------------------------------------------------------

_UNADJUSTED = (
    f"EQ:AAA {{}} on {MONDAY}, which changes no term of options and forwards here: where their exchange adjusts them, bring in the "
    "adjusted contract."
)
SHARES = [("T1", "Equities", 100.0, SHARE_A), ("T2", "Options", 10.0, OPTION)]
NEWCO = {**SHARE_A, "underlying": "EQ:NEW"}


def over(folder: Path, action: str, after: Sequence[tuple[str, str, float, Mapping[str, str]]], **more: Any) -> Any:
    """P&L explain of the two trades over the Monday, by trade, and the lake."""
    lake = build(folder / "lake", {FRIDAY: SHARES, MONDAY: after}, actions=HEADER + action, **more)
    with Committer(lake, "test") as committer:
        run_valuation(committer, request(MONDAY, positions_dates=(FRIDAY, MONDAY)), spark=no_spark)  # type: ignore[arg-type]
    answer = asked(lake, "pnl-explain", **{"from": FRIDAY, "to": MONDAY, "by": ["trade"]})
    return lake, answer, {r["trade"]: r for r in answer.rows.to_pylist()}


LEVELS: Mapping[str, Mapping[dt.date, Any]] = random_walks(FACTORS, FIRST, dt.date(2020, 3, 17))
BEFORE, AFTER = LEVELS["EQ:AAA"][FRIDAY], LEVELS["EQ:AAA"][MONDAY]


def test_a_dividend_is_pnl_and_cash_of_the_share_and_neither_of_the_option(tmp_path: Path) -> None:
    lake, answer, rows = over(tmp_path, f"EQ:AAA,{MONDAY},cash_dividend,,2.5,\n", SHARES)
    assert rows["T1"]["cash"] == 250.0
    assert rows["T1"]["pnl"] == pytest.approx(100 * (AFTER + 2.5 - BEFORE), rel=1e-12)
    assert rows["T1"]["value_to"] == pytest.approx(100 * AFTER, rel=1e-14)
    assert (rows["T1"]["amended"], rows["T2"]["amended"], rows["T2"]["cash"]) == (0.0, 0.0, 0.0)
    assert answer.total["failed"] == 0.0
    var = asked(lake, "var", as_of=MONDAY, positions_date=FRIDAY, levels=["0.9"])
    (said,) = [n for n in var.notes if n.startswith("Corporate actions")]
    assert said.endswith(
        f"{FRIDAY}: EQ:AAA cash dividend of 2.5 on {MONDAY}, whose amount is paid out and no position."
    )


def test_a_spin_off_is_no_loss_and_no_position_twice(tmp_path: Path) -> None:
    """One share of NEW, worth 20, for each five held: the holder has as much at that moment as before."""
    after = [*SHARES, ("T1/EQ:NEW", "Equities", 20.0, NEWCO)]
    more = {"EQ:NEW": dict.fromkeys(LEVELS["EQ:AAA"], 100.0)}
    lake, _, rows = over(tmp_path, f"EQ:AAA,{MONDAY},spin_off,1:5,20,EQ:NEW\n", after, more=more)
    assert rows["T1"]["pnl"] == pytest.approx(100 * (AFTER + 20 - BEFORE), rel=1e-12)
    assert rows["T1"]["cash"] == rows["T1/EQ:NEW"]["new"] == 2000.0
    # the book of Friday in the market of Monday holds both, as the book of Monday does
    one, two = (
        asked(lake, "var", as_of=MONDAY, positions_date=day, by=["trade"], levels=["0.9"]) for day in (FRIDAY, MONDAY)
    )
    assert one.rows["trade"].to_pylist() == two.rows["trade"].to_pylist() == ["T1", "T1/EQ:NEW", "T2"]
    assert one.rows["base_value"].to_pylist() == two.rows["base_value"].to_pylist()


@pytest.mark.parametrize(
    ("action", "said"),
    [
        (CorporateAction("EQ:AAA", MONDAY, "cash_dividend", None, 2.5), []),
        (
            CorporateAction("EQ:AAA", MONDAY, "special_dividend", None, 9.0),
            [_UNADJUSTED.format("special dividend of 9")],
        ),
        (
            CorporateAction("EQ:AAA", MONDAY, "spin_off", Fraction(1, 5), 20.0, "EQ:NEW"),
            [_UNADJUSTED.format("spin off 1:5 of 20 into EQ:NEW")],
        ),
    ],
    ids=lambda x: getattr(x, "kind", ""),
)
def test_an_option_keeps_its_terms_where_an_exchange_may_adjust_them_and_says_so(
    action: CorporateAction, said: list[str]
) -> None:
    row = _row("equity_option", {k: v for k, v in OPTION.items() if k != "instrument_type"})
    for back in (False, True):
        assert _held(row, (action,), back=back) == ((Held(row, Fraction(1)),), said)


def test_a_share_under_a_new_name_is_held_on(tmp_path: Path) -> None:
    after = [("T1", "Equities", 100.0, NEWCO), ("T2", "Options", 10.0, {**OPTION, "underlying": "EQ:NEW"})]
    more = {"EQ:NEW": {d: v for d, v in LEVELS["EQ:AAA"].items() if d >= MONDAY}}
    lake, _, rows = over(tmp_path, f"EQ:AAA,{MONDAY},symbol_change,,,EQ:NEW\n", after, more=more)
    assert rows["T1"]["pnl"] == pytest.approx(100 * (AFTER - BEFORE), rel=1e-12)
    for trade in ("T1", "T2"):
        assert [rows[trade][c] for c in ("new", "closed", "amended", "failed")] == [0.0] * 4
    one, two = (
        asked(lake, "var", as_of=MONDAY, positions_date=day, by=["trade"], levels=["0.9"]) for day in (FRIDAY, MONDAY)
    )
    assert numbers(one) == numbers(two)
    assert one.total["failed"] == 0


def test_a_merger_makes_shares_of_the_other_and_says_what_is_paid(tmp_path: Path) -> None:
    after = [("T1", "Equities", 50.0, NEWCO)]
    more = {"EQ:NEW": dict(LEVELS["EQ:AAA"])}
    lake, answer, carried = over(tmp_path, f"EQ:AAA,{MONDAY},merger,1:2,3,EQ:NEW\n", after, more=more)
    assert carried["T1"]["market_equity"] == pytest.approx(50 * AFTER + 300 - 100 * BEFORE, rel=1e-12)
    assert [carried["T1"][c] for c in ("cash", "amended", "closed", "failed")] == [300.0, 0.0, 0.0, 0.0]
    assert carried["T1"]["value_to"] == pytest.approx(50 * AFTER, rel=1e-14)
    # what an option on the share and the cash became nobody has said
    assert carried["T2"]["failed"] == -carried["T2"]["value_from"] < 0
    merger = f"EQ:AAA merger 1:2 of 3 into EQ:NEW on {MONDAY}"
    assert [n for n in answer.notes if f"{merger}, whose amount is paid out and no position." in n]
    assert [f["message"] for f in answer.failures.to_pylist()] == [f"{merger}: not applied to options and forwards."]
    found = asked(lake, "var", as_of=MONDAY, positions_date=FRIDAY, by=["trade"], levels=["0.9"])
    rows = {r["trade"]: r for r in found.rows.to_pylist()}
    assert rows["T1"]["base_value"] == pytest.approx(50 * AFTER, rel=1e-14)
    (said,) = [n for n in found.notes if n.startswith("Corporate actions")]
    assert f"EQ:AAA merger 1:2 of 3 into EQ:NEW on {MONDAY}, whose amount is paid out and no position." in said
    assert "not applied to options and forwards." in said


def test_p_and_l_over_a_merger_into_shares_alone_and_one_into_cash(tmp_path: Path) -> None:
    """AAA becomes half a share of NEW, which has a price of its own before; BBB becomes 40 of cash. T5 still holds what is gone."""
    option = {**OPTION, "underlying": "EQ:NEW", "strike": str(2 * float(OPTION["strike"]))}
    before = [*SHARES, ("T3", "Equities", 10.0, SHARE_B), ("T5", "Equities", 1.0, SHARE_A)]
    after = [("T1", "Equities", 50.0, NEWCO), ("T2", "Options", 5.0, option), ("T5", "Equities", 1.0, SHARE_A)]
    actions = f"{HEADER}EQ:AAA,{MONDAY},merger,1:2,,EQ:NEW\nEQ:BBB,{MONDAY},merger,,40,\n"
    more = {"EQ:NEW": {d: 150.0 if d < MONDAY else 170.0 for d in LEVELS["EQ:AAA"]}}
    lake = build(tmp_path / "lake", {FRIDAY: before, MONDAY: after}, actions=actions, more=more)
    answer = asked(lake, "pnl-explain", **{"from": FRIDAY, "to": MONDAY, "by": ["trade"]})
    rows = {r["trade"]: r for r in answer.rows.to_pylist()}
    assert rows["T1"]["pnl"] == pytest.approx(100 * (170 / 2 - BEFORE), rel=1e-12)
    assert [rows["T1"][c] for c in ("cash", "amended", "failed")] == [0.0] * 3
    euros, was = LEVELS["FX:EURUSD"], LEVELS["EQ:BBB"][FRIDAY]
    assert rows["T3"]["pnl"] == pytest.approx(400 * euros[MONDAY] - 10 * was * euros[FRIDAY], rel=1e-12)
    assert rows["T3"]["cash"] == pytest.approx(400 * euros[MONDAY], rel=1e-14)
    assert [rows["T3"][c] for c in ("amended", "closed", "failed", "value_to")] == [0.0] * 4
    # half as many options at twice the strike are worth what they were on the share at half of 170
    assert rows["T2"]["value_to"] > 0
    assert rows["T2"]["amended"] == pytest.approx(0.0, abs=1e-9 * rows["T2"]["value_to"])
    assert rows["T5"]["value_to"] == 0.0
    assert answer.total["failed_to"] == 1
    for said in (f"EQ:AAA merger 1:2 into EQ:NEW on {MONDAY}.", f"EQ:BBB merger of 40 on {MONDAY}, whose amount"):
        assert [n for n in answer.notes if said in n]


def test_what_is_paid_is_followed_through_a_merger_and_what_comes_after_it() -> None:
    """A share of A pays 1, becomes two of B and 3 in cash; B pays 0.5, is split 4 for 1, then becomes a third of C and pays 6."""

    def on(day: int, share: str, kind: str, ratio: Fraction | None, amount: float | None, new: str | None) -> Any:
        return CorporateAction(share, dt.date(2020, 3, day), kind, ratio, amount, new)

    actions = (
        on(2, "A", "cash_dividend", None, 1.0, None),
        on(3, "A", "merger", Fraction(2), 3.0, "B"),
        on(4, "B", "cash_dividend", None, 0.5, None),
        on(5, "B", "split", Fraction(4), None, None),
        on(6, "B", "merger", Fraction(1, 3), 6.0, "C"),
    )
    carried = CorporateActions(actions).carried(dt.date(2020, 3, 1), dt.date(2020, 3, 9))
    assert [carried.for_cash(share) for share in ("A", "B", "C")] == [actions[1], actions[4], None]
    bare = CorporateActions((on(3, "A", "merger", Fraction(2), None, "B"), actions[4]))
    assert bare.carried(dt.date(2020, 3, 1), dt.date(2020, 3, 9)).for_cash("A") == actions[4]
    paid, gone = carried
    assert {share: (g.into, g.shares) for share, g in gone.items()} == {"B": ("C", Fraction(1, 3)), "A": ("B", 8)}
    # B in shares after its split: 0.5 / 4 + 6; A: 1 + 3 + 8 of those
    assert paid == {"B": 6.125, "A": 53.0}
    assert CorporateActions(actions).carried(dt.date(2020, 3, 6), dt.date(2020, 3, 9)) == ({}, {})


def test_a_share_merged_into_one_of_another_currency_has_no_level() -> None:
    """Which a lake may hold from before such a merger was refused."""
    index = FactorIndex.of(f for f in FACTORS if f.risk_factor_id in ("EQ:AAA", "EQ:BBB"))
    market = BaseMarket(MONDAY, index, np.array([10.0, 20.0]), {}, {"EQ:AAA": "level of 2020-03-13 held"}, 0)
    action = CorporateAction("EQ:AAA", MONDAY, "merger", Fraction(2), None, "EQ:BBB")
    found = with_merged(market, {"EQ:AAA": Gone(action, "EQ:BBB", Fraction(2))}, index)
    assert (list(found.index.row), found.base.tolist(), found.held) == (["EQ:BBB"], [20.0], {})


@pytest.mark.parametrize("kind", ["equity_future", "variance_swap"])
def test_a_dividend_is_no_cash_of_a_future_nor_of_a_variance_swap(twins: tuple[Lake, Lake], kind: str) -> None:
    own = {"currency": "USD", "underlying": "EQ:AAA", "maturity": "2020-12-18", "discount_curve": "USD"}
    more = {"equity_future": {"reference_price": 96}, "variance_swap": {
        "volatility": "IV:AAA", "volatility_strike": 0.25, "start": "2020-06-19"}}  # fmt: skip
    path = MarketPath(twins[0].snapshot(), FRIDAY, MONDAY)
    path.carried = Carried({"EQ:AAA": 2.5}, {})
    held = [Contract(*(_row(k, {**own, **m})[c] for c in Contract._fields)) for k, m in more.items() if k == kind]
    share = Contract(*(_row("cash_equity", {"currency": "USD", "underlying": "EQ:AAA"})[c] for c in Contract._fields))
    found = explain_units(unit_values([*held, share], path.whole(end=False)), path)
    assert found.cash.tolist() == [0.0, 2.5]


def test_fractions_are_exact(tmp_path: Path) -> None:
    """300 shares at one for three are 100, which a third in binary does not say of every number."""
    lake = build(tmp_path / "lake", {FRIDAY: [("T1", "a", 300.0, SHARE_A), ("T2", "a", 33.0, SHARE_A)]},
                 actions=f"{HEADER}EQ:AAA,{MONDAY},split,1:3,,\n")  # fmt: skip
    book = VectorCache(lake).book(lake.snapshot(), FRIDAY, MONDAY)
    assert book.quantity.tolist() == [100.0, 11.0]
    assert book.columns["attribute.rating"].members.to_pylist() == ["AA"]


def test_a_position_is_not_touched_by_the_action_of_another(tmp_path: Path) -> None:
    lake = build(tmp_path / "lake", {FRIDAY: [("T2", "a", 33.0, SHARE_B)]}, actions=SPLIT)
    cache, snapshot = VectorCache(lake), lake.snapshot()
    assert cache.book(snapshot, FRIDAY, MONDAY) is cache.book(snapshot, FRIDAY)


def test_orders_before_the_ex_date_are_netted_in_the_shares_after_it(tmp_path: Path) -> None:
    from valuation.books.orders import NettingRequest, ingest_orders, net_orders

    lake = build(tmp_path / "lake", {dt.date(2020, 3, 12): SHARES}, actions=SPLIT)
    rest = ",".join(["one"] * 7)
    columns = "portfolio,client,account,desk,book,legal_entity,counterparty"
    file = tmp_path / "orders.csv"
    file.write_text(
        f"order_id,executed_at,side,symbol,quantity,currency,{columns}\n"
        f"A,2020-03-13T15:00:00-04:00,buy,EQ:AAA,100,USD,{rest}\n"
        # late on the Sunday in New York, which is the Monday in London: before the ex date
        f"B,2020-03-15T22:00:00-04:00,buy,EQ:AAA,1,USD,{rest}\n"
        f"C,2020-03-16T10:00:00-04:00,sell,EQ:AAA,4,USD,{rest}\n"
    )
    with Committer(lake, "test") as c:
        ingest_orders(c, file)
        net_orders(c, NettingRequest.model_validate({"as_of": "2020-03-13T16:00:00-04:00"}))
        told = net_orders(c, NettingRequest.model_validate({"as_of": "2020-03-16T16:00:00-04:00"}))
    held = {
        r["positions_date"]: r["quantity"] for r in lake.read("positions").to_pylist() if r["trade"].startswith("net:")
    }
    assert held == {FRIDAY: 100.0, MONDAY: 400.0}
    assert told.notes == (f"EQ:AAA split 4:1 on {MONDAY}.",)


def test_a_split_of_a_future_and_of_a_variance_swap() -> None:
    """Four futures at a quarter of the price; variance is of no number of shares."""
    split = CorporateAction("EQ:AAA", MONDAY, "split", Fraction(4))
    own = {"currency": "USD", "underlying": "EQ:AAA", "maturity": "2020-12-18", "discount_curve": "USD"}
    future = _row("equity_future", {**own, "reference_price": 96})
    swap = _row("variance_swap", {**own, "volatility": "IV:AAA", "volatility_strike": 0.25, "start": "2020-06-19"})
    ((held,), _), ((kept,), _) = (_held(row, (split,), back=False) for row in (future, swap))
    assert (held.units, json.loads(held.row["terms"])["reference_price"]) == (4, 24)
    assert kept == Held(swap, Fraction(1))
    ((again,), _) = _held(dict(held.row), (split,), back=True)
    assert again == Held(future, Fraction(1, 4))
