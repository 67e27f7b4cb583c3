"""Corporate actions: brought in, and history in the terms of a day, against published prices, adjusted closes and by hand."""

from __future__ import annotations

import csv
import datetime as dt
import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import factor, new_lake, put_market

from lake.committer import Committer
from lake.errors import BadInput, NotFound
from lake.tables import Lake
from scenarios.market.base_market import load_base
from scenarios.market.corporate_actions import KINDS, load_actions
from scenarios.market.history import load_history
from scenarios.market.landing_actions import ingest_corporate_actions
from scenarios.requests import ScenarioRequest, make_scenario_set

HEADER = "risk_factor_id,ex_date,kind,ratio,amount,new_risk_factor_id,source"
# AAPL, closes in dollars as they were printed: Thursday and Friday before the split of 4 for 1, and its ex date
THURSDAY, FRIDAY, MONDAY = dt.date(2020, 8, 27), dt.date(2020, 8, 28), dt.date(2020, 8, 31)
CLOSES = {THURSDAY: 500.04, FRIDAY: 499.23, MONDAY: 129.04}
SPLIT = "EQ:AAPL,2020-08-31,split,4:1,,,Apple press release of 2020-07-30"
TUESDAY = dt.date(2020, 9, 1)


def lake_of(folder: Path, levels: dict[str, dict[dt.date, float]]) -> Lake:
    made = new_lake(folder / "lake")
    put_market(made, [factor(i, "equity_price") for i in levels], levels)
    return made


def bring(lake: Lake, *rows: str, header: str = HEADER) -> dict[str, Any]:
    path = lake.path.parent / "actions.csv"
    path.write_text("\n".join([header, *rows]) + "\n")
    with Committer(lake, "test") as c:
        return ingest_corporate_actions(c, path).to_dict()


def levels(lake: Lake, factor_id: str, terms: dt.date | None = None) -> list[float]:
    history = load_history(lake.snapshot(), "XNYS", THURSDAY, TUESDAY, terms=terms)
    return history.levels[:, history.index.row[factor_id]].tolist()


@pytest.fixture
def apple(tmp_path: Path) -> Lake:
    made = new_lake(tmp_path / "lake")
    factors = [
        factor("EQ:AAPL", "equity_price"),
        factor("IV:AAPL", "implied_vol"),
        factor("EQ:SAP", "equity_price", "EUR"),
    ]
    put_market(made, factors, {"EQ:AAPL": {**CLOSES, TUESDAY: 134.18}})
    return made


def test_a_split_is_no_loss_of_three_quarters(apple: Lake) -> None:
    before = levels(apple, "EQ:AAPL")
    assert before == [500.04, 499.23, 129.04, 134.18]
    told = bring(apple, SPLIT)
    assert told["rules"] == [{"risk_factor_id": "EQ:AAPL", "ex_date": MONDAY, "kind": "split", "factor": 0.25}]
    # the close of Friday in today's shares, as Yahoo has it: 124.81
    assert levels(apple, "EQ:AAPL") == [125.01, 124.8075, 129.04, 134.18]
    # the received value stays, and so does the history as it was read before the action was known
    stored = apple.read("market_data").to_pylist()
    assert {r["as_of_date"]: (r["value_received"], r["value_used"]) for r in stored}[FRIDAY] == (499.23, 499.23)
    assert levels(apple.at({"corporate_actions": -1}), "EQ:AAPL") == before


def test_history_is_in_the_terms_of_the_market_date_also_where_it_goes_on(apple: Lake) -> None:
    bring(apple, SPLIT)
    assert levels(apple, "EQ:AAPL", FRIDAY) == [500.04, 499.23, 516.16, 536.72]
    snapshot = apple.snapshot()
    assert load_base(snapshot, FRIDAY, "XNYS", 3).base.tolist() == [499.23]
    assert load_base(snapshot, MONDAY, "XNYS", 3).base.tolist() == [129.04]


def test_a_level_that_is_held_over_the_ex_date_is_in_the_new_shares(tmp_path: Path) -> None:
    lake = lake_of(tmp_path, {"EQ:AAPL": {FRIDAY: 499.23, TUESDAY: 134.18}, "EQ:OTHER": {MONDAY: 1.0, FRIDAY: 1.0}})
    with pytest.raises(
        BadInput, match="EQ:AAPL has no level on 2020-08-31, a Monday; nearest days with one: 2020-08-28, 2020-09-01"
    ):
        bring(lake, SPLIT)
    bring(lake, SPLIT.replace("2020-08-31", "2020-09-01"))
    base = load_base(lake.snapshot(), MONDAY, "XNYS", 3)
    assert base.held == {"EQ:AAPL": "level of 2020-08-28 held"}
    assert base.base[base.index.row["EQ:AAPL"]] == 499.23  # not yet


def test_a_scenario_of_the_ex_date_is_the_move_of_the_market(apple: Lake) -> None:
    bring(apple, SPLIT)
    request = ScenarioRequest(method="historical", parameters={"scenarios": 2}, name="two")
    made = make_scenario_set(apple.snapshot(), MONDAY, request)
    assert made.labels == ("2020-08-28", "2020-08-31")
    assert made.base.tolist() == [129.04]
    assert made.levels[0] == pytest.approx([129.04 * 499.23 / 500.04, 129.04 * 129.04 / 124.8075], rel=1e-15)
    assert made.corporate_actions_version == apple.version("corporate_actions")


@pytest.mark.parametrize(
    ("row", "factor_of", "by_hand"),
    [
        ("EQ:AAPL,2020-08-31,split,1:10,,,", "EQ:AAPL", 4992.30),
        ("EQ:AAPL,2020-08-31,stock_dividend,1:20,,,", "EQ:AAPL", 499.23 / 1.05),
        ("EQ:AAPL,2020-08-31,cash_dividend,,0.82,,", "EQ:AAPL", 499.23 - 0.82),
        ("EQ:AAPL,2020-08-31,special_dividend,,100,,", "EQ:AAPL", 399.23),
        ("EQ:AAPL,2020-08-31,spin_off,1:5,40,EQ:NEW,", "EQ:AAPL", 459.23),
        ("EQ:AAPL,2020-08-31,symbol_change,,,EQ:NEW,", "EQ:NEW", 499.23),
        ("EQ:AAPL,2020-08-31,merger,1:2,3,EQ:NEW,", "EQ:AAPL", 499.23),
    ],
)
def test_the_level_before_the_ex_date(tmp_path: Path, row: str, factor_of: str, by_hand: float) -> None:
    lake = lake_of(tmp_path, {"EQ:AAPL": dict(CLOSES), "EQ:NEW": {MONDAY: 40.0}})
    bring(lake, row)
    assert levels(lake, factor_of)[1] == pytest.approx(by_hand, rel=1e-14)


def test_two_actions_one_after_the_other_by_hand(tmp_path: Path) -> None:
    """A dividend of 5.04 on the Friday, then the split: 500.04 becomes 495 and then 123.75."""
    lake = lake_of(tmp_path, {"EQ:AAPL": dict(CLOSES)})
    bring(lake, SPLIT, "EQ:AAPL,2020-08-28,cash_dividend,,5.04,,")
    assert levels(lake, "EQ:AAPL")[:3] == pytest.approx([123.75, 499.23 / 4, 129.04], rel=1e-15)


def test_a_share_under_a_new_name_has_the_history_of_the_old_one(tmp_path: Path) -> None:
    lake = lake_of(tmp_path, {"EQ:FB": {THURSDAY: 8.0, FRIDAY: 9.0}, "EQ:META": {MONDAY: 10.0, TUESDAY: 5.5}})
    bring(lake, "EQ:FB,2020-08-31,symbol_change,,,EQ:META,", "EQ:META,2020-09-01,split,2:1,,,")
    assert levels(lake, "EQ:META") == [4.0, 4.5, 5.0, 5.5]
    assert levels(lake, "EQ:FB", FRIDAY) == [8.0, 9.0, 10.0, 11.0]


def test_a_source_that_is_adjusted_is_not_adjusted_twice(tmp_path: Path) -> None:
    """The same two actions; prices for today's shares, and total return prices."""
    raw = {THURSDAY: 500.04, FRIDAY: 499.23, MONDAY: 129.04}
    rows = (SPLIT, "EQ:AAPL,2020-08-28,cash_dividend,,5.04,,")
    expected = [123.75, 499.23 / 4, 129.04]
    of = {
        None: raw,
        "splits": {d: p / 4 if d < MONDAY else p for d, p in raw.items()},
        "all": dict(zip(raw, expected, strict=True)),
    }
    for number, (adjusted, given) in enumerate(of.items()):
        (tmp_path / str(number)).mkdir()
        lake = lake_of(tmp_path / str(number), {"EQ:AAPL": given})
        with Committer(lake, "test") as c:
            rows_of = lake.read("risk_factors").to_pylist(maps_as_pydicts="strict")
            import pyarrow as pa

            from lake.schemas import RISK_FACTORS

            marked = [{**r, "adjusted": adjusted} for r in rows_of]
            c.put("risk_factors", pa.Table.from_pylist(marked, schema=RISK_FACTORS.schema), replace=True)
        bring(lake, *rows)
        assert levels(lake, "EQ:AAPL")[:3] == pytest.approx(expected, rel=1e-14), adjusted


def test_what_a_move_is_explained_by(apple: Lake) -> None:
    bring(apple, SPLIT)
    actions = load_actions(apple)
    assert str(actions.explained("EQ:AAPL", MONDAY)) == "EQ:AAPL split 4:1 on 2020-08-31"
    assert actions.explained("EQ:AAPL", TUESDAY) is None
    assert actions.explained("EQ:AAPL", TUESDAY, since=FRIDAY) is not None  # where Monday has no level
    assert actions.explained("EQ:MSFT", MONDAY) is None


def test_a_later_file_corrects_and_cancels(apple: Lake) -> None:
    first = bring(apple, SPLIT)
    again = bring(apple, SPLIT)
    assert (first["new"], again["unchanged"], again["version"]) == (1, 1, first["version"])
    changed = bring(apple, SPLIT.replace("4:1", "5:1"))
    assert (changed["changed"], changed["rules"][0]["factor"]) == (1, 0.2)
    gone = bring(apple, "EQ:AAPL,2020-08-31,cancelled,,,,")
    assert (gone["cancelled"], gone["actions"]) == (1, 0)
    assert levels(apple, "EQ:AAPL")[0] == 500.04
    with pytest.raises(BadInput, match="the lake has no action of EQ:AAPL to cancel on 2020-08-31; it has none"):
        bring(apple, "EQ:AAPL,2020-08-31,cancelled,,,,")


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (
            "EQ:AAPLE,2020-08-31,split,4:1,,,",
            "column risk_factor_id: Unknown risk factor 'EQ:AAPLE'. Nearest valid: EQ:AAPL",
        ),
        (
            "EQ:AAPL,2020-08-31,splitt,4:1,,,",
            "column kind: Unknown kind of corporate action 'splitt'. Nearest valid: split",
        ),
        ("EQ:AAPL,31.08.2020,split,4:1,,,", "column ex_date: expected a date YYYY-MM-DD"),
        (
            "EQ:AAPL,2020-08-31,split,,,,",
            "column ratio: ratio is empty and is needed: split is ratio shares for each one held",
        ),
        ("EQ:AAPL,2020-08-31,split,0,,,", "column ratio: expected a ratio above zero"),
        ("EQ:AAPL,2020-08-31,split,4:0,,,", "column ratio: expected a ratio above zero"),
        ("EQ:AAPL,2020-08-31,split,-4,,,", "column ratio: expected a ratio above zero"),
        ("EQ:AAPL,2020-08-31,split,4:1,3,,", "column amount: amount must be empty"),
        (
            "EQ:AAPL,2020-08-31,cash_dividend,,500,,",
            "column amount: The corporate action EQ:AAPL cash dividend of 500 on 2020-08-31 pays",
        ),
        ("EQ:AAPL,2020-08-31,cash_dividend,,-1,,", "column amount: expected an amount above zero"),
        ("EQ:AAPL,2020-08-31,symbol_change,,,EQ:AAPL,", "column new_risk_factor_id: is the share itself"),
        ("EQ:AAPL,2020-08-31,merger,1:2,,EQ:SAP,", "column new_risk_factor_id: is in EUR, and EQ:AAPL in USD"),
        ("EQ:AAPL,2020-08-31,symbol_change,,,EQ:SAP,", "column new_risk_factor_id: is in EUR, and EQ:AAPL in USD"),
        ("EQ:AAPL,2020-08-31,merger,,,,", "column amount: neither ratio nor amount is given"),
        ("EQ:AAPL,2020-08-31,merger,1:2,,,", "column ratio: a merger into shares needs both"),
        ("IV:AAPL,2020-08-31,split,4:1,,,", "column risk_factor_id: is of type implied_vol, and a split is of a share"),
        (
            "EQ:AAPL,2020-08-29,split,4:1,,,",
            "column ex_date: EQ:AAPL has no level on 2020-08-29, a Saturday; nearest days",
        ),
    ],
)
def test_a_fault_refuses_the_file_and_says_where(apple: Lake, row: str, said: str) -> None:
    with pytest.raises(BadInput) as refused:
        bring(apple, "EQ:AAPL,2020-09-01,cash_dividend,,0.1,,", row)
    assert "1 fault; nothing of it is loaded. row 3" in refused.value.message
    assert said in refused.value.message
    assert apple.version("corporate_actions") == -1


def test_the_example_of_the_page_loads(apple: Lake) -> None:
    page = (Path(__file__).parents[3] / "docs" / "corporate-actions.md").read_text(encoding="utf-8")
    example = page.partition(":caption: actions.csv\n")[2].partition("```")[0].strip()
    told = bring(apple, *example.splitlines()[1:], header=example.splitlines()[0])
    assert [(r["kind"], r["factor"]) for r in told["rules"]] == [("cash_dividend", None), ("split", 0.25)]
    for kind in KINDS:
        assert f"`{kind}`" in page
        assert KINDS[kind].meaning in page


def test_two_actions_of_one_share_on_a_day_are_refused(apple: Lake) -> None:
    with pytest.raises(
        BadInput, match="row 2 has an action of EQ:AAPL on 2020-08-31 already, split; which comes first cannot be known"
    ):
        bring(apple, SPLIT, "EQ:AAPL,2020-08-31,cash_dividend,,0.82,,")


def test_an_action_that_is_announced_waits_for_its_day(apple: Lake) -> None:
    told = bring(apple, "EQ:AAPL,2021-05-07,cash_dividend,,0.22,,")
    assert told["rules"][0]["factor"] == pytest.approx(1 - 0.22 / 134.18)
    assert levels(apple, "EQ:AAPL") == [500.04, 499.23, 129.04, 134.18]


def test_before_any_market_data_there_is_no_share_to_act_on(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="holds no risk factors yet"):
        bring(new_lake(tmp_path / "lake"), SPLIT)


@pytest.mark.parametrize(
    ("first", "last", "actions"),
    [
        # dividends and splits as Apple announced them, in the shares of their day
        (dt.date(2020, 1, 2), dt.date(2020, 9, 30), ["2020-02-07,cash_dividend,,0.77", "2020-05-08,cash_dividend,,0.82",
         "2020-08-07,cash_dividend,,0.82", "2020-08-31,split,4:1,"]),
        (dt.date(2014, 1, 2), dt.date(2014, 12, 31), ["2014-02-06,cash_dividend,,3.05", "2014-05-08,cash_dividend,,3.29",
         "2014-06-09,split,7:1,", "2014-08-07,cash_dividend,,0.47", "2014-11-06,cash_dividend,,0.47"]),
    ],
)  # fmt: skip
def test_returns_are_those_of_the_adjusted_close(
    tmp_path: Path, market_data_dir: Path, first: dt.date, last: dt.date, actions: list[str]
) -> None:
    """AAPL as it was printed, adjusted here, against the adjusted close of Yahoo. Its prices carry the noise of 32 bits."""
    with gzip.open(market_data_dir / "sp500-stocks-1999-2020" / "AAPL.csv.gz", "rt") as file:
        rows = [r for r in csv.DictReader(file) if first <= dt.date.fromisoformat(r["Date"]) <= last]
    days = [dt.date.fromisoformat(r["Date"]) for r in rows]
    # Close is for the shares of 2020, after both splits
    shares = [4 * 7 if d < dt.date(2014, 6, 9) else 4 if d < MONDAY else 1 for d in days]
    printed = {d: float(r["Close"]) * n for d, r, n in zip(days, rows, shares, strict=True)}
    if first.year == 2020:
        assert round(printed[FRIDAY], 2) == 499.23
    lake = lake_of(tmp_path, {"EQ:AAPL": printed})
    bring(lake, *(f"EQ:AAPL,{a},,Apple" for a in actions))
    ours = load_history(lake.snapshot(), "XNYS", first, last).levels[:, 0]
    theirs = np.array([float(r["Adj Close"]) for r in rows])
    assert len(ours) == len(theirs) > 180
    assert ours[1:] / ours[:-1] == pytest.approx(theirs[1:] / theirs[:-1], abs=2e-6)
    plain = np.array(list(printed.values()))
    assert np.abs(plain[1:] / plain[:-1] - theirs[1:] / theirs[:-1]).max() > 0.7  # what would have been a scenario
