"""A suspicious value is held and never used; a person releases, overrides or proxies it; what is received again or anew."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pydantic import ValidationError

from lake.committer import Committer, DryRun
from lake.errors import BadInput, NotFound
from lake.schemas import TABLES
from lake.tables import NEVER_WRITTEN, Lake
from scenarios.market.base_market import load_base
from scenarios.market.history import load_history
from scenarios.market.issues import (
    CheckRequest,
    IssueFilter,
    MarketAct,
    _set,
    act_on,
    all_issues,
    list_issues,
    newest_issues,
    run_check,
)
from scenarios.market.landing_actions import ingest_corporate_actions
from scenarios.market.landing_catalogue import MarketIngestReport, ingest_market, load_catalogue

CATALOGUE = """
name = "own"
[source.shares]
file = "shares.csv"
layout = "wide"
missing = ["n/a"]
scale = 0.01
calendar = "XNYS"
factor = { id = "EQ:{column}", type = "equity_price", currency = "GBP" }
"""
DAYS = [str(d) for d in np.arange("2019-06-03", "2020-01-01", dtype="datetime64[D]") if np.is_busday(d)]
HOLIDAYS = ("2019-07-04", "2019-09-02", "2019-11-28", "2019-12-25")
OPEN = [d for d in DAYS if d not in HOLIDAYS]
BAD = OPEN[80]
DAY = dt.date.fromisoformat(BAD)


def write(folder: Path, until: int | None = None, **cells: str) -> Path:
    """Two shares in pence that move by a percent up and down; `cells` are of A on days, such as d80."""
    lines = ["Date,A,B"]
    for i, day in enumerate(OPEN[:until]):
        a, b = (f"{100 * p * (1.01 if i % 2 else 1.0):.2f}" for p in (50, 20))
        lines.append(f"{day},{cells.get(f'd{i}', a)},{b}")
    (folder / "shares.csv").write_text("\n".join(lines) + "\n")
    (folder / "own.toml").write_text(CATALOGUE)
    return folder


def bring(lake: Lake, folder: Path) -> MarketIngestReport:
    with Committer(lake, "test") as committer:
        return ingest_market(committer, folder, load_catalogue(folder / "own.toml"))


def act(lake: Lake, what: str, **more: Any) -> dict[str, Any]:
    given = {"factor": "EQ:A", "date": DAY, "reason": "seen at the exchange", "author": "ann", **more}
    with Committer(lake, "test") as committer:
        return act_on(committer, MarketAct(act=what, **given))  # type: ignore[arg-type]


def row(lake: Lake, factor: str = "EQ:A", day: dt.date = DAY) -> dict[str, Any]:
    (found,) = [
        r for r in lake.read("market_data").to_pylist() if (r["risk_factor_id"], r["as_of_date"]) == (factor, day)
    ]
    return dict(found)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """A lake whose share A stands at ten times its price on one day."""
    made = Lake.create(tmp_path / "lake")
    report = bring(made, write(tmp_path, d80="50000"))
    (source,) = report.sources
    assert source.held == 1
    assert source.notes[0].startswith(
        f"1 value is held, such as EQ:A on {BAD} (bounds, redenomination, split, spike: 500, after 50.5 on "
    )
    return made


def test_a_held_value_is_kept_as_received_and_never_used(lake: Lake) -> None:
    held = row(lake)
    assert (held["value_received"], held["value_used"], held["status"], held["rule"]) == (
        50_000,
        None,
        "held",
        "x 0.01",
    )
    (issue,) = newest_issues(lake)
    assert (issue["state"], issue["author"], issue["reason"]) == ("held", "varlake", None)
    assert issue["rules"] == ["bounds", "redenomination", "split", "spike"]
    assert (issue["value_received"], issue["value_used"]) == (50_000, None)
    snapshot = lake.snapshot()
    history = load_history(snapshot, "XNYS", DAY - dt.timedelta(5), DAY + dt.timedelta(5))
    at = history.index.row["EQ:A"]
    here = history.dates == np.datetime64(DAY)
    assert np.isnan(history.levels[here, at]).all()
    assert history.blank[here, at].all()  # a hole, never a holiday
    base = load_base(snapshot, DAY, "XNYS", 3)
    assert base.base[base.index.row["EQ:A"]] == 50.5  # the level of the day before, visibly
    assert set(base.held) == {"EQ:A"}


def test_the_same_file_again_changes_nothing_and_a_released_value_stays_released(lake: Lake, tmp_path: Path) -> None:
    before = {name: lake.version(name) for name in TABLES}
    report = bring(lake, tmp_path)
    assert report.sources[0].unchanged == 2 * len(OPEN)
    assert {name: lake.version(name) for name in TABLES} == before
    done = act(lake, "release")
    assert (done["state"], done["value_used"]) == ("released", 500.0)
    assert (row(lake)["status"], row(lake)["value_used"], row(lake)["value_received"]) == ("released", 500.0, 50_000)
    (issue,) = newest_issues(lake)
    assert (issue["author"], issue["reason"], issue["rules"][-1]) == ("ann", "seen at the exchange", "spike")
    assert [i["state"] for i in all_issues(lake)] == ["held", "released"]  # nothing is rewritten
    version = lake.version("market_data")
    bring(lake, tmp_path)
    assert (lake.version("market_data"), row(lake)["status"]) == (version, "released")


def test_a_changed_value_is_checked_anew(lake: Lake, tmp_path: Path) -> None:
    act(lake, "release")
    bring(lake, write(tmp_path, d80="500"))  # a tenth of it now
    assert (row(lake)["status"], row(lake)["value_received"], row(lake)["value_used"]) == ("held", 500, None)
    bring(lake, write(tmp_path, d80="5010"))
    assert (row(lake)["status"], row(lake)["value_used"]) == ("observed", pytest.approx(50.1))
    assert [i["state"] for i in all_issues(lake)] == ["held", "released", "held", "replaced"]
    assert list_issues(lake, IssueFilter(state="held")) == []


def test_an_override_and_a_proxy_stand_beside_the_value_received(lake: Lake) -> None:
    act(lake, "override", value=50.2)
    assert (row(lake)["status"], row(lake)["value_used"], row(lake)["value_received"]) == ("overridden", 50.2, 50_000)
    done = act(lake, "proxy", by="EQ:B")
    # B went from 20.2 to 20 that day; A stood at 50.5
    assert done["value_used"] == pytest.approx(50.5 * (20.0 / 20.2), rel=1e-12)
    assert (row(lake)["status"], newest_issues(lake)[0]["proxy"]) == ("proxied", "EQ:B")
    done = act(lake, "proxy", by="EQ:B", beta=0.5)
    assert done["value_used"] == pytest.approx(50.5 * (1 + 0.5 * (20.0 / 20.2 - 1)), rel=1e-12)
    assert act(lake, "release")["value_used"] == 500.0
    assert [i["state"] for i in all_issues(lake)] == ["held", "overridden", "proxied", "proxied", "released"]


def test_a_bad_act_says_what_to_do_and_stores_nothing(lake: Lake) -> None:
    before = {name: lake.version(name) for name in TABLES}
    for error, said, given in (
        (NotFound, "Unknown risk factor 'EQ:C'. Nearest valid: EQ:", {"what": "release", "factor": "EQ:C"}),
        (
            NotFound,
            "Unknown value of EQ:A on '2019-11-28'. Nearest valid: 2019-",
            {"what": "release", "date": dt.date(2019, 11, 28)},
        ),
        (BadInput, "is observed, not held; there is nothing to release", {"what": "release", "factor": "EQ:B"}),
        (BadInput, "cannot be its own proxy", {"what": "proxy", "by": "EQ:A"}),
        (NotFound, "Unknown risk factor 'EQ:Z'", {"what": "proxy", "by": "EQ:Z"}),
        (BadInput, "-3 cannot be a level of EQ:A; expected a positive equity_price", {"what": "override", "value": -3}),
        (BadInput, "0 cannot be a level of EQ:A", {"what": "override", "value": 0}),
        (ValidationError, "an override needs a value", {"what": "override"}),
        (ValidationError, "a proxy needs the risk factor", {"what": "proxy"}),
        (ValidationError, "only an override has one", {"what": "release", "value": 1.0}),
        (ValidationError, "at least 3 characters", {"what": "release", "reason": ""}),
    ):
        with pytest.raises(error, match=said):
            act(lake, **given)
    with pytest.raises(BadInput, match="no level on a common day before 2019-06-03"):
        act(lake, "proxy", date=dt.date(2019, 6, 3), by="EQ:B")
    assert {name: lake.version(name) for name in TABLES} == before


def test_missing_days_and_what_was_stored_before_there_were_gates(tmp_path: Path) -> None:
    lake = Lake.create(tmp_path / "lake")
    bring(lake, write(tmp_path, d80="n/a", d81="n/a", d90="n/a"))
    found = {(i["state"], i["as_of_date"].isoformat(), i["detail"]) for i in newest_issues(lake)}
    assert found == {
        ("missing", OPEN[80], f"no value on 2 business days, to {OPEN[81]}"),
        ("missing", OPEN[90], "no value on 1 business day"),
    }
    old = Lake.create(tmp_path / "old")
    rows = Lake.open(lake.path).read("market_data").to_pandas()
    assert (rows["status"] == "held").sum() == 0
    bring(old, write(tmp_path, d80="50000"))
    act(old, "release")
    with Committer(old, "test") as committer:  # as a lake of before: the value is observed, and no issue is known
        table = old.read("market_data")
        committer.put(
            "market_data",
            _set(table, pa.array(table["status"].to_numpy() == "released"), status="observed"),
            replace=True,
        )
    listed = run_check(DryRun(old), CheckRequest())
    assert [(i["as_of_date"], i["state"]) for i in listed["issues"]] == [(DAY, "held")]
    assert row(old)["status"] == "observed"
    with Committer(old, "test") as committer:
        run_check(committer, CheckRequest(hold=True))
    assert (row(old)["status"], row(old)["value_used"], newest_issues(old)[0]["state"]) == ("held", None, "held")
    act(old, "release")
    with Committer(old, "test") as committer:
        assert run_check(committer, CheckRequest(hold=True))["issues"] == []  # a person has decided
    assert row(old)["status"] == "released"
    with pytest.raises(NotFound, match="no market data yet"):
        run_check(DryRun(Lake.create(tmp_path / "empty")), CheckRequest())


def test_the_newest_day_is_judged_by_its_size_and_told_when_later_days_bear_it_out(tmp_path: Path) -> None:
    """Half as much again on the newest day, which stays: held on the day, and no rule speaks for it afterwards."""
    lake = Lake.create(tmp_path / "lake")
    jump = {f"d{i}": f"{7100 * (1.01 if i % 2 else 1.0):.2f}" for i in range(100, len(OPEN))}
    bring(lake, write(tmp_path, until=101, **jump))
    day = dt.date.fromisoformat(OPEN[100])
    assert [(i["as_of_date"], i["rules"]) for i in newest_issues(lake)] == [(day, ["spike"])]
    bring(lake, write(tmp_path, **jump))
    assert [(i["as_of_date"], i["state"]) for i in newest_issues(lake)] == [(day, "held")]  # the days after it are not
    cleared = run_check(DryRun(lake), CheckRequest())["cleared"]
    assert [(i["risk_factor_id"], i["as_of_date"]) for i in cleared] == [("EQ:A", day)]


def test_a_list_is_filtered_by_every_column(lake: Lake) -> None:
    for given, n in (
        ({"first": DAY, "last": DAY}, 1),
        ({"first": DAY + dt.timedelta(1)}, 0),
        ({"last": DAY - dt.timedelta(1)}, 0),
        ({"factor": "EQ:A"}, 1),
        ({"factor": "EQ:B"}, 0),
        ({"rule": "spike", "state": "held"}, 1),
        ({"rule": "stale"}, 0),
        ({"state": "released"}, 0),
    ):
        assert len(list_issues(lake, IssueFilter(**given))) == n, given  # type: ignore[arg-type]
    for error, given in ((BadInput, {"rule": "spyke"}), (BadInput, {"state": "hold"}), (NotFound, {"factor": "EQ:AA"})):
        with pytest.raises(error, match="Nearest valid"):
            list_issues(lake, IssueFilter(**given))  # type: ignore[arg-type]


def test_a_dry_run_says_what_would_be_held_and_stores_nothing(tmp_path: Path) -> None:
    lake = Lake.create(tmp_path / "lake")
    report = ingest_market(DryRun(lake), write(tmp_path, d80="50000"), load_catalogue(tmp_path / "own.toml"))
    assert report.sources[0].held == 1
    assert lake.version("market_issues") == lake.version("market_data") == NEVER_WRITTEN


def split_files(folder: Path) -> dt.date:
    """A share that is split 4 for 1 on BAD; its price in the new shares from then on."""
    cells = {f"d{i}": f"{100 * 50 * (1.01 if i % 2 else 1.0) / 4:.2f}" for i in range(80, len(OPEN))}
    write(folder, **cells)
    (folder / "actions.csv").write_text(f"risk_factor_id,ex_date,kind,ratio\nEQ:A,{BAD},split,4:1\n")
    return DAY


def bring_actions(lake: Lake, folder: Path) -> dict[str, Any]:
    with Committer(lake, "test") as committer:
        return ingest_corporate_actions(committer, folder / "actions.csv").to_dict()


def test_a_split_that_is_held_takes_its_corporate_action_which_names_it_and_clears_it(tmp_path: Path) -> None:
    split_files(tmp_path)
    lake = Lake.create(tmp_path / "lake")
    bring(lake, tmp_path)
    assert row(lake)["status"] == "held"
    told = bring_actions(lake, tmp_path)
    assert (told["new"], told["rules"][0]["factor"], len(told["notes"])) == (1, 0.25, 1)
    assert f"EQ:A on {BAD} is held" in told["notes"][0]
    with Committer(lake, "test") as committer:
        found = run_check(committer, CheckRequest())
    assert found["issues"] == []
    assert [(i["risk_factor_id"], i["as_of_date"]) for i in found["cleared"]] == [("EQ:A", DAY)]
    act(lake, "release")
    assert bring_actions(lake, tmp_path)["notes"] == ()
    history = load_history(lake.snapshot(), "XNYS", dt.date.fromisoformat(OPEN[78]), DAY)
    levels = history.levels[:, history.index.row["EQ:A"]]
    assert levels.tolist() == pytest.approx([12.5, 12.625, 12.5])  # 50, 50.5, and 50 a quarter of a share each


def test_a_proxy_over_an_ex_date_is_in_the_new_shares(tmp_path: Path) -> None:
    split_files(tmp_path)
    lake = Lake.create(tmp_path / "lake")
    bring(lake, tmp_path)
    bring_actions(lake, tmp_path)
    assert act(lake, "proxy", by="EQ:B")["value_used"] == pytest.approx(50.5 / 4 * 20 / 20.2)  # B falls from 20.2 to 20


def test_an_announced_split_is_expected_and_not_held(tmp_path: Path) -> None:
    split_files(tmp_path)
    lake = Lake.create(tmp_path / "lake")
    whole = (tmp_path / "shares.csv").read_text()
    (tmp_path / "shares.csv").write_text("\n".join(whole.splitlines()[:71]) + "\n")
    bring(lake, tmp_path)
    bring_actions(lake, tmp_path)
    (tmp_path / "shares.csv").write_text(whole)
    assert bring(lake, tmp_path).sources[0].held == 0
    assert row(lake)["value_used"] == 12.5
    assert newest_issues(lake) == []


@pytest.mark.parametrize("dry", [False, True])
def test_gates_do_not_adjust_what_its_source_has_adjusted(tmp_path: Path, dry: bool) -> None:
    split_files(tmp_path)
    actions = (tmp_path / "actions.csv").read_text()
    write(tmp_path)  # in today's shares throughout
    (tmp_path / "own.toml").write_text(CATALOGUE + 'adjusted = "splits"\n')
    lake = Lake.create(tmp_path / "lake")
    bring(lake, tmp_path)
    (tmp_path / "actions.csv").write_text(actions)
    bring_actions(lake, tmp_path)
    changed = (tmp_path / "shares.csv").read_text().replace("5050.00", "5049.00")
    (tmp_path / "shares.csv").write_text(changed)
    with DryRun(lake) if dry else Committer(lake, "test") as committer:
        report = ingest_market(committer, tmp_path, load_catalogue(tmp_path / "own.toml"))
    assert (report.sources[0].changed > 50, report.sources[0].held) == (True, 0)


def test_a_payment_above_a_level_that_is_a_defect_stops_no_market_file(tmp_path: Path) -> None:
    write(tmp_path, d79="0.50")
    (tmp_path / "actions.csv").write_text(f"risk_factor_id,ex_date,kind,amount\nEQ:A,{BAD},cash_dividend,0.7\n")
    lake = Lake.create(tmp_path / "lake")
    whole = (tmp_path / "shares.csv").read_text()
    (tmp_path / "shares.csv").write_text("\n".join(whole.splitlines()[:71]) + "\n")
    bring(lake, tmp_path)
    bring_actions(lake, tmp_path)
    (tmp_path / "shares.csv").write_text(whole)
    bring(lake, tmp_path)
    assert [i["as_of_date"] for i in newest_issues(lake)] == [dt.date.fromisoformat(OPEN[79])]


def test_an_override_in_another_unit_is_refused(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "own.toml").write_text(
        CATALOGUE.replace(
            'id = "EQ:{column}", type = "equity_price"',
            'id = "YC:{column}:1Y", curve = "{column}", pillar = "1Y", type = "par_yield"',
        ).replace("0.01", "1e-5")
    )
    lake = Lake.create(tmp_path / "lake")
    bring(lake, tmp_path)
    with pytest.raises(
        BadInput,
        match=r"5 is hardly meant as a level of YC:A:1Y: expected -0\.05 to 0\.3, fraction a year; 5 percent are 0\.05",
    ):
        act(lake, "override", factor="YC:A:1Y", value=5)
    assert act(lake, "override", factor="YC:A:1Y", value=-0.01)["value_used"] == -0.01
