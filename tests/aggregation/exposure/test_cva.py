"""The question `cva` on values that are given: closed forms, exact sums, default curves, what lacks, wrong-way risk."""

import dataclasses
import math

import numpy as np
import pytest
from cva_lake import COUNTERPARTIES, GRID, PATHS, build_cva_lake, drawn_paths
from small_lake import MONDAY

from aggregation.exposure.cva import CvaQuery, answer_from
from aggregation.exposure.cva_query import open_cva
from aggregation.exposure.path_values import given_path_values
from aggregation.session import reading
from lake.errors import BadInput

FIGURES = ("cva", "cva_bilateral", "dva", "dva_bilateral")


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    return build_cva_lake(tmp_path_factory.mktemp("cva") / "lake")


def asked(**more):
    return CvaQuery.model_validate({"as_of": MONDAY, "grid": GRID, "paths": PATHS, "trades": "all", **more})


def ask(lake, paths=None, **more):
    session, query = reading(lake), asked(**more)
    given = drawn_paths(session, query) if paths is None else paths
    return answer_from(open_cva(session, query, paths=given))


def test_figures_of_a_netting_set_by_hand(lake):
    """Hazard rates of the stored market, on average to a tenor, constant in between: exposures and defaults added up in the test."""
    found = ask(lake, collateral=False, by=["netting_set"])
    session, query = reading(lake), asked(collateral=False)
    opened = open_cva(session, query, paths=drawn_paths(session, query))
    s = list(opened.sets.ids).index("NET-1")
    curve = opened.curves.curves["counterparty-1"]
    assert curve.loss == 0.75
    values, discount = [], np.exp(-0.02 * opened.times)
    at = np.flatnonzero(opened.along.reported).tolist()  # the paths have look-back dates as well
    book, paths = opened.book, opened.paths
    held = [p for p, c in zip(opened.sets.position.tolist(), opened.sets.code.tolist(), strict=True) if c == s]
    for k in range(len(opened.times)):
        total = np.zeros(PATHS)
        for p in held:
            c = int(np.searchsorted(book.starts, p, side="right")) - 1
            total += book.quantity[p] * (paths.base[c] if k == 0 else paths.values(at[k - 1])[c])
        values.append(discount[k] * np.maximum(total, 0.0).mean())
    survival = np.exp(curve.logs[:, 0])
    exact = sum(
        0.75 * (survival[k] - survival[k + 1]) * (values[k] + values[k + 1]) / 2 for k in range(len(values) - 1)
    )
    row = next(r for r in found.rows.to_pylist() if r["netting_set"] == "NET-1")
    assert row["cva"] == pytest.approx(exact, rel=1e-12)
    assert row["cva"] > 0.0


def test_curves_are_those_of_the_market(lake):
    """Average hazard rate to a tenor: survival to it is exp(-h T)."""
    session, query = reading(lake), asked()
    opened = open_cva(session, query, paths=drawn_paths(session, query))
    hazard = opened.market.level("HZ:C0:1Y")[0]
    k = int(np.argmin(np.abs(opened.times - 1.0)))
    assert opened.curves.curves["counterparty-0"].logs[k, 0] == pytest.approx(-hazard * opened.times[k], rel=2e-3)


@pytest.mark.parametrize("by", [["netting_set"], ["counterparty"], ["desk"], ["desk", "trade"], []])
@pytest.mark.parametrize("collateral", [True, False])
def test_rows_add_up_to_the_last_bit(lake, by, collateral):
    found = ask(lake, by=by, collateral=collateral)
    for name in (*FIGURES, "cs01", "cs01_1Y", "own_cs01"):
        values = [v for v in found.rows[name].to_pylist() if v is not None]
        assert math.fsum(values) == found.total[name]
        assert sum(values) == found.total[name]


def test_every_grouping_has_the_same_total(lake):
    totals = [ask(lake, by=by).total for by in (["netting_set"], ["desk"], [])]
    assert [t["cva"] for t in totals] == [totals[0]["cva"]] * 3


def test_no_curve_is_told_and_not_zero(lake):
    """legal_entity-1 has no row, so DVA and whatever depends on our default are not computed for its netting sets."""
    found = ask(lake, by=["legal_entity"])
    rows = {r["legal_entity"]: r for r in found.rows.to_pylist() if r["part"] == "positions"}
    assert rows["legal_entity-1"]["dva"] is None
    assert rows["legal_entity-1"]["bcva"] is None
    assert rows["legal_entity-1"]["cva"] > 0.0
    assert rows["legal_entity-1"]["status"] == "partial"
    assert found.total["status"] == "partial"
    assert "legal_entity-1" in rows["legal_entity-1"]["reason"]
    assert rows["legal_entity-0"]["bcva"] is not None
    assert any("no DVA" in n for n in found.notes)


def test_a_sum_over_netting_sets_without_dva_is_partial(lake):
    rows = ask(lake, by=["counterparty"]).rows.to_pylist()
    lacking = [r for r in rows if r["part"] == "positions" and r["reason"]]
    assert lacking
    assert {r["status"] for r in lacking} <= {"partial", "invalid"}


def test_what_has_no_values_on_the_paths_has_no_cva(lake):
    session, query = reading(lake), asked(by=["instrument_type"])
    paths = drawn_paths(session, query)
    kinds = open_cva(session, query, paths=paths).book.columns["instrument_type"]
    gone = kinds.members.to_pylist()[0]
    opened = open_cva(session, query, paths=paths)
    held = opened.exposure
    of = np.array([kinds.members.to_pylist()[c] == gone for c in kinds.codes.tolist()], np.bool_)
    opened = dataclasses.replace(opened, exposure=dataclasses.replace(held, covered=held.covered & ~of))
    rows = {r["instrument_type"]: r for r in answer_from(opened).rows.to_pylist() if r["part"] == "positions"}
    assert rows[gone]["status"] == "invalid"
    assert [rows[gone][f] for f in (*FIGURES, "bcva", "cs01")] == [None] * 6
    assert any(r["cva"] is not None for name, r in rows.items() if name != gone)


def test_a_grid_that_ends_before_the_book_is_told(lake):
    short = ask(lake, grid=["1M"])
    (said,) = [n for n in short.notes if n.startswith("The grid ends on ")]
    assert "is in no figure" in said


def test_a_counterparty_without_a_curve(tmp_path):
    lake = build_cva_lake(tmp_path / "lake", COUNTERPARTIES.replace("BBB,,C1,0.25", "BBB,,,0.25"))
    found = ask(lake, by=["counterparty"])
    rows = {r["counterparty"]: r for r in found.rows.to_pylist()}
    assert rows["counterparty-1"]["cva"] is None
    assert rows["counterparty-1"]["status"] == "invalid"
    assert "has no credit curve" in rows["counterparty-1"]["reason"]
    assert found.total["status"] == "partial"
    assert found.total["without_cva"] > 0


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ("BBB,,C9,0.25", "C9"),
        ("BBB,,C1,", "recovery"),
        ("BBB,,USD,0.4", "credit curve"),
    ],
)
def test_curves_that_cannot_be_read(tmp_path, changed, said):
    lake = build_cva_lake(tmp_path / "lake", COUNTERPARTIES.replace("BBB,,C1,0.25", changed))
    row = next(r for r in ask(lake, by=["counterparty"]).rows.to_pylist() if r["counterparty"] == "counterparty-1")
    assert row["cva"] is None
    assert said in row["reason"]


def test_recovery_given_for_those_without(tmp_path):
    lake = build_cva_lake(tmp_path / "lake", COUNTERPARTIES.replace("BBB,,C1,0.25", "BBB,,C1,"))
    found = ask(lake, by=["counterparty"], recovery=0.25)
    same = ask(build_cva_lake(tmp_path / "other"), by=["counterparty"])
    assert found.rows["cva"].to_pylist() == same.rows["cva"].to_pylist()


def _mirrored(paths):
    source = paths.source
    return given_path_values(
        paths.as_of,
        paths.dates,
        paths.contract_ids.to_pylist(),
        paths.currencies,
        -paths.base,
        -source.all_values,
        spots=source.spots,
        discounts=source.discounts,
        levels=source.levels,
    )


def test_dva_is_the_cva_of_the_other_side(tmp_path):
    """Both with one curve and recovery: what we gain is what they lose, with every value mirrored."""
    names = COUNTERPARTIES.replace("BBB,,C1,0.25", "A,,C0,0.4").replace("AA,,OWN", "AA,,C0")
    names += "legal_entity-1,2019-01-01,financial,AA,,C0,0.4\n"
    lake = build_cva_lake(tmp_path / "lake", names)
    session, query = reading(lake), asked(collateral=False, by=("netting_set",))
    paths = drawn_paths(session, query)
    one, two = (ask(lake, p, collateral=False, by=["netting_set"]) for p in (paths, _mirrored(paths)))
    assert one.rows["dva"].to_pylist() == two.rows["cva"].to_pylist()
    assert one.rows["cva_bilateral"].to_pylist() == two.rows["dva_bilateral"].to_pylist()
    assert one.total["bcva"] == -two.total["bcva"]


def test_first_to_default_is_never_more_than_alone(lake):
    found = ask(lake, by=["netting_set"])
    for r in found.rows.to_pylist():
        if r["bcva"] is not None:
            assert 0.0 <= r["cva_bilateral"] <= r["cva"]
            assert 0.0 <= r["dva_bilateral"] <= r["dva"]


def test_sensitivities_to_spreads_are_those_of_a_bumped_curve(lake):
    """A basis point of spread is one of hazard rate over the loss; tenors add up to the parallel bump but for its curvature."""
    found = ask(lake, by=["counterparty"])
    session, query = reading(lake), asked()
    opened = open_cva(session, query, paths=drawn_paths(session, query))
    by_set = np.array(found.profile["expected_exposure"]).reshape(len(opened.sets), -1)
    profile = dict(zip(opened.sets.ids, by_set, strict=True))
    row = next(r for r in found.rows.to_pylist() if r["counterparty"] == "counterparty-1")
    moved = 0.0
    for s, name in enumerate(opened.sets.counterparties):
        if name != "counterparty-1":
            continue
        logs = opened.curves.curves[name].logs[:, 0]
        for sign, at in ((1.0, logs - 1e-4 / 0.75 * opened.times), (-1.0, logs)):
            survival, e = np.exp(at), profile[opened.sets.ids[s]]
            moved += sign * 0.75 * ((survival[:-1] - survival[1:]) * (e[:-1] + e[1:]) / 2).sum()
    assert row["cs01"] == pytest.approx(moved, rel=1e-9)
    tenors = sum(row[f"cs01_{t}"] for t in ("6M", "1Y", "3Y", "5Y", "10Y"))
    assert tenors == pytest.approx(row["cs01"], rel=1e-3)


def test_wrong_way_risk_is_labelled_and_raises_cva(lake):
    """Values rise with EQ:AAA on these paths: a default that is likelier when it is high costs more, one that is likelier when it is
    low less."""
    plain = ask(lake, collateral=False)
    wrong = ask(lake, collateral=False, wrong_way=["EQ:AAA=0.7"])
    right = ask(lake, collateral=False, wrong_way=["EQ:AAA=-0.7"])
    assert right.total["cva"] < plain.total["cva"] < wrong.total["cva"]
    assert right.total["dva"] == plain.total["dva"]
    assert any("Wrong-way risk" in n and "EQ:AAA +0.7" in n for n in wrong.notes)
    assert set(wrong.sets["wrong_way"].to_pylist()) == {"EQ:AAA +0.7"}
    one = ask(lake, collateral=False, by=["counterparty"], wrong_way=["counterparty-0@EQ:AAA=0.7"])
    rows = {r["counterparty"]: r["cva"] for r in one.rows.to_pylist()}
    without = {r["counterparty"]: r["cva"] for r in ask(lake, collateral=False, by=["counterparty"]).rows.to_pylist()}
    assert rows["counterparty-1"] == pytest.approx(without["counterparty-1"], rel=1e-12)
    assert rows["counterparty-0"] > without["counterparty-0"]


def test_standard_errors_cover_what_other_paths_say(lake):
    """99.9% of a normal error: 30 other draws, none of which lies farther than 4 errors of the difference."""
    session, query = reading(lake), asked(collateral=False)
    found = [ask(lake, drawn_paths(session, query, seed), collateral=False).total for seed in range(30)]
    figures, errors = (np.array([t[n] for t in found]) for n in ("cva", "cva_se"))
    centre = figures.mean()
    assert (np.abs(figures - centre) < 4 * errors * math.sqrt(1 + 1 / 30)).all()
    assert figures.std(ddof=1) == pytest.approx(errors.mean(), rel=0.5)


def test_collateral_takes_away(lake):
    with_it, without = ask(lake), ask(lake, collateral=False)
    assert with_it.total["cva"] < without.total["cva"]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"measure": "real_world"}, "risk_neutral"),
        ({"wrong_way": ["EQ:AAA"]}, "wrong-way risk"),
        ({"wrong_way": ["EQ:AAA=0.1", "EQ:BBB=0.2"]}, "twice"),
        ({"tenors": ["5Y", "1Y"]}, "ascend"),
        ({"recovery": 1.0}, "less than 1"),
    ],
)
def test_bad_queries(more, said):
    with pytest.raises((BadInput, ValueError), match=said):
        asked(**more)


def test_unknown_names_of_wrong_way_risk(lake):
    with pytest.raises(BadInput, match="counterparty-0"):
        ask(lake, wrong_way=["counterparty-9@EQ:AAA=0.5"])
    with pytest.raises(Exception, match="EQ:AAA"):
        ask(lake, wrong_way=["EQ:AAB=0.5"])
