"""Stress sets in a lake: stored, versioned, included in others, previewed and drawn."""

import datetime as dt
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from stress_market import DAY, LEVELS
from support import new_lake, put_market

from lake.committer import Committer
from lake.errors import BadInput, NotFound
from lake.tables import Lake
from scenarios import generators
from scenarios.store import find_scenario_set, list_scenario_sets, load_scenario_set, save_scenario_set
from scenarios.stress import forms, language
from scenarios.stress.generate import StressDefinition, check_assertions
from scenarios.stress.preview import preview, render, sparkline
from scenarios.types import ScenarioSet
from service.rendering.preview_picture import plot_preview

BEFORE = dt.date(2020, 3, 13)
TEXT = "equity[region=US] -20%; vol[AAPL] +10pt; rate[USD] +100bp; fx[USDJPY] -5%; assert fx[EURUSD] < 1.2"


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    made = new_lake(tmp_path)
    levels = {f.risk_factor_id: {BEFORE: 2 * v, DAY: v} for f, v in LEVELS.items()}
    levels["CMD:WTI"] = {BEFORE: 30.0, DAY: None}
    levels["EQ:XOM"] = {dt.date(2020, 3, 2): 40.0, DAY: None}
    put_market(made, list(LEVELS), levels)
    return made


def build(lake: Lake, text: str, name: str = "test", day: dt.date = DAY, **more: Any) -> ScenarioSet:
    return generators.generate(lake.snapshot(), "stress", {"market_date": day, "text": text, **more}, name)


def store(lake: Lake, made: ScenarioSet) -> ScenarioSet:
    with Committer(lake, "test") as committer:
        return save_scenario_set(committer, made)


def test_every_factor_is_shocked_derived_unchanged_or_left_out_with_its_reason(lake: Lake) -> None:
    made = build(lake, TEXT)
    ids = {f.risk_factor_id for f in LEVELS}
    assert set(made.index.row) | set(made.excluded) == ids
    assert made.excluded == {"EQ:XOM": "no level since 2020-03-02"}
    assert made.held == {"CMD:WTI": "level of 2020-03-13 held"}
    assert made.derived == {"FX:EURJPY": "moves so that USDJPY does what was said; FX:EURUSD unchanged"}
    shocked = {i for i, r in made.index.row.items() if made.shocked[r]}
    assert shocked == {"EQ:AAPL", "IDX:SPX", "IV:AAPL", "FX:EURJPY"} | {i for i in ids if i.startswith("YC:USD")}
    still = ~made.shocked
    np.testing.assert_array_equal(made.levels[still, 0], made.base[still])
    assert made.labels == ("test",)


def test_a_factor_left_out_is_named_when_it_is_asked_for(lake: Lake) -> None:
    with pytest.raises(BadInput, match="EQ:XOM is not in the market of this date: no level since 2020-03-02"):
        build(lake, "equity[XOM] -1%")


def test_text_document_and_definition_give_the_same_set(lake: Lake) -> None:
    made = build(lake, "equity[ region = US ]  -20 % # fall")
    document = forms.from_csv("step,class,where,value,unit\nshift,equity,region=US,-20,%\n")
    data = document.model_dump(mode="json", by_alias=True)
    typed = generators.generate(lake.snapshot(), "stress", {"market_date": DAY, "document": data}, "test")
    again = generators.generate(lake.snapshot(), "stress", made.definition, "test")
    assert made.definition["text"] == "equity[region=US] -20%"
    assert made.definition == typed.definition == again.definition
    assert made.levels.tobytes() == typed.levels.tobytes() == again.levels.tobytes()
    with pytest.raises(BadInput, match="either text or document"):
        generators.generate(lake.snapshot(), "stress", {"market_date": DAY}, "test")


def test_a_change_makes_a_new_version_and_both_stay(lake: Lake) -> None:
    one = store(lake, build(lake, TEXT))
    two = store(lake, build(lake, TEXT.replace("-20%", "-25%")))
    assert (one.version, two.version) == (1, 2)
    assert find_scenario_set(lake, "test", DAY).scenario_set_id == two.scenario_set_id
    loaded = load_scenario_set(lake, one.scenario_set_id)
    assert loaded.derived == one.derived
    assert loaded.levels.tobytes() == one.levels.tobytes()
    again = store(lake, build(lake, TEXT))
    assert (again.version, again.scenario_set_id) == (3, one.scenario_set_id)
    assert find_scenario_set(lake, "test", DAY).scenario_set_id == one.scenario_set_id
    assert store(lake, build(lake, TEXT)).version == 3


def test_an_assertion_added_to_the_same_levels_is_not_lost(lake: Lake) -> None:
    bare = store(lake, build(lake, "equity -1%"))
    bound = store(lake, build(lake, "equity -1%; assert equity[AAPL] < 60"))
    assert (bare.version, bound.version) == (1, 2)
    assert bare.levels.tobytes() == bound.levels.tobytes()
    assert load_scenario_set(lake, bound.scenario_set_id).definition["text"].endswith("assert equity[AAPL] < 60")


def test_included_sets_are_pinned(lake: Lake) -> None:
    first = store(lake, build(lake, "equity[AAPL] -20%", "fall"))
    half = build(lake, 'include "fall" x0.5', "half")
    assert half.definition["pinned"] == {"fall": first.scenario_set_id}
    assert half.levels[half.index.row["EQ:AAPL"], 0] == pytest.approx(54.0)
    store(lake, build(lake, "equity[AAPL] -40%", "fall"))
    newest = build(lake, 'include "fall" x0.5', "half")
    assert newest.levels[newest.index.row["EQ:AAPL"], 0] == pytest.approx(48.0)
    replayed = generators.generate(lake.snapshot(), "stress", half.definition, "half")
    assert replayed.levels.tobytes() == half.levels.tobytes()
    with pytest.raises(BadInput, match="Nearest valid: fall"):
        build(lake, 'include "fal"')


def test_a_stress_of_another_day_is_applied_anew(lake: Lake) -> None:
    store(lake, build(lake, "vol[AAPL] +10pt; fx[EURUSD] +10%", "points", BEFORE))
    made = build(lake, 'include "points"')
    assert made.levels[made.index.row["IV:AAPL"], 0] == pytest.approx(0.9)  # not 0.8 x 1.7 / 1.6
    assert made.levels[made.index.row["FX:EURUSD"], 0] == pytest.approx(1.12 * 1.1)
    store(lake, build(lake, "equity -1%", "later"))
    with pytest.raises(BadInput, match=r"not there for 2020-03-13; it is for 2020-03-16"):
        build(lake, 'include "later"', day=BEFORE)


def test_assertions_of_an_included_stress_are_checked_on_this_market(lake: Lake) -> None:
    store(lake, build(lake, "equity -1%; assert equity[AAPL] > 100", "floor", BEFORE))
    with pytest.raises(BadInput, match="1 assertion of the included floor does not hold"):
        build(lake, 'include "floor"')


def test_moves_of_any_other_set_are_taken_by_shift_type(lake: Lake) -> None:
    made = generators.generate(
        lake.snapshot(), "grid", {"market_date": BEFORE, "axes": ["rate[USD] -1pt..+1pt step 1pt"]}, "g"
    )
    other = ScenarioSet(**{**made.__dict__, "method": "replay", "name": "past"})
    store(lake, other)
    levels = build(lake, 'include "past" label "rate[USD] +1pt" x2')
    row = levels.index.row["YC:USD:10Y"]
    assert levels.levels[row, 0] == pytest.approx(levels.base[row] + 0.02)
    with pytest.raises(BadInput, match="has 3 scenarios; say which"):
        build(lake, 'include "past"')


def test_a_grid_by_its_axes(lake: Lake) -> None:
    axes = ["equity -20%..+20% step 10%", "vol -5pt..+5pt step 5pt"]
    made = generators.generate(lake.snapshot(), "grid", {"market_date": DAY, "axes": axes}, "ladder")
    same = build(lake, f"grid({', '.join(axes)})", "ladder")
    assert made.n_scenarios == 15
    assert made.labels == same.labels
    assert made.levels.tobytes() == same.levels.tobytes()
    check_assertions(made)


def test_broken_assertions_make_no_set_and_are_found_in_stored_ones(lake: Lake) -> None:
    with pytest.raises(BadInput, match=r"assert fx\[EURUSD\] < 1.2: FX:EURUSD is 1.232 in test"):
        build(lake, "fx[EURUSD] +10%; assert fx[EURUSD] < 1.2")
    assert list_scenario_sets(lake).num_rows == 0
    loaded = load_scenario_set(lake, store(lake, build(lake, TEXT)).scenario_set_id)
    check_assertions(loaded)
    higher = loaded.levels.copy()
    higher[loaded.index.row["FX:EURUSD"]] = 1.3
    with pytest.raises(BadInput, match=r"FX:EURUSD is 1\.3"):
        check_assertions(ScenarioSet(**{**loaded.__dict__, "levels": higher}))


def test_faults_of_a_text_carry_their_places(lake: Lake) -> None:
    with pytest.raises(BadInput) as caught:
        build(lake, "equity[region=UX] -1%;\nvol +1USD")
    assert [i.pointer for i in caught.value.issues] == ["line 1, column 15", "line 2, column 5"]
    with pytest.raises(NotFound, match="2020-03-13"):
        build(lake, TEXT, day=dt.date(2020, 3, 14))


def test_preview_lists_every_factor_before_and_after(lake: Lake) -> None:
    shown = preview(lake.snapshot(), StressDefinition(market_date=DAY, text=TEXT), "test")
    made = build(lake, TEXT)
    (scenario,) = shown.scenarios
    assert sorted(r.risk_factor_id for r in scenario.factors) == [f.risk_factor_id for f in made.index.factors]
    shown_rates = [r.risk_factor_id for r in scenario.factors if r.risk_factor_id.startswith("YC:USD:")]
    assert shown_rates == [f"YC:USD:{pillar}" for pillar in ("3M", "6M", "2Y", "5Y", "10Y", "30Y")]  # shortest first
    for row in scenario.factors:
        at = made.index.row[row.risk_factor_id]
        base, level, shocked = made.base[at], made.levels[at, 0], made.shocked[at]
        assert (row.base, row.level) == (base, level)
        assert (row.status != "unchanged") == shocked
        assert bool(row.rule) == (row.status == "derived")
    change = {r.risk_factor_id: r.change for r in scenario.factors}
    assert (change["EQ:AAPL"], change["IV:AAPL"], change["YC:USD:2Y"]) == ("-20.00%", "+10.00pt", "+100.0bp")
    assert [c.pillar for c in scenario.curves if c.curve == "USD"] == ["3M", "6M", "2Y", "5Y", "10Y", "30Y"]
    assert scenario.crosses["USDJPY"] == pytest.approx((119 / 1.12, 0.95 * 119 / 1.12))
    assert shown.assertions == ("assert fx[EURUSD] < 1.2",)
    assert shown.excluded == made.excluded
    text = render(shown)
    for word in (
        "9 shocked, 1 derived",
        "derived: moves so that USDJPY",
        "EQ:XOM: no level since",
        "unchanged: CMD:WTI",
    ):
        assert word in text


def test_preview_tells_failed_assertions_and_counts_scenarios(lake: Lake) -> None:
    text = "grid(equity -50%..+50% step 1%); assert equity[AAPL] > 31"
    shown = preview(lake.snapshot(), StressDefinition(market_date=DAY, text=text), "test", shown=2)
    assert (shown.total, len(shown.scenarios)) == (101, 2)
    assert shown.failed == ("assert equity[AAPL] > 31: EQ:AAPL is 30 in equity -50%",)
    assert "101 scenarios, first 2" in render(shown)


def test_sparkline_spans_its_range() -> None:
    assert sparkline([0.0, 0.5, 1.0], 0.0, 1.0) == "▁▅█"
    assert sparkline([2.0, 2.0], 2.0, 2.0) == "▁▁"


def test_pictures(lake: Lake, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    shown = preview(lake.snapshot(), StressDefinition(market_date=DAY, text=TEXT), "test")
    drawing = plot_preview(shown, tmp_path / "a.svg").read_text()
    assert "EQ:AAPL" in drawing
    assert "dashed before and solid after" in drawing
    assert plot_preview(shown, tmp_path / "b.svg").read_text() == drawing
    assert plot_preview(shown, tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(BadInput, match="svg"):
        plot_preview(shown, tmp_path / "a.gif")
    with pytest.raises(BadInput, match="scenario"):
        plot_preview(shown, tmp_path / "a.svg", label="other")


def test_definition_text_is_canonical(lake: Lake) -> None:
    text = build(lake, "  equity[AAPL]   -20 % ;\n\n then vol x2 ").definition["text"]
    assert text == "equity[AAPL] -20%; then vol x2"
    assert language.to_text(language.parse(text)) == text
