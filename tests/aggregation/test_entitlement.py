"""The lake as whoever is entitled to a part of the book sees it: what is cut, how it is named, what may be written."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import pytest
from small_lake import FRIDAY, MONDAY, ON_PATHS, base, book_csv, no_spark, request

from aggregation import questions
from aggregation.book.entitled_lake import CUT, WHOLE, EntitledLake, shows_figure
from aggregation.book.entitlement import Entitlement
from aggregation.change.released import released_of
from aggregation.opened.opened_lake import VectorCache
from aggregation.regulatory.ima_sets import Period, stressed_moves
from aggregation.release import ReleaseRequest, release
from aggregation.replay import replay
from aggregation.session import Session, reading
from aggregation.stress.stress_period import StressPeriodRequest, valuation_request
from aggregation.whatif.save_branch import BranchRequest, save_branch
from lake.committer import Committer
from lake.errors import BadInput, NotAllowed, NotFound
from lake.schemas import TABLES
from lake.tables import Lake
from lake.versions import as_known
from scenarios.requests import ScenarioRequest, default_name, make_scenario_set
from scenarios.store import find_scenario_set, list_scenario_sets, load_stored, save_scenario_set
from scenarios.types import ScenarioSet
from valuation.books.branches import list_branches
from valuation.books.orders import NettingRequest, net_orders
from valuation.books.positions import ingest_positions
from valuation.books.trade_history import trade_history
from valuation.market.rolled_market import Carry, roll
from valuation.sets.requests import ValuationRequest, run_valuation
from valuation.sets.standards import StandardRequest, set_standard
from valuation.sets.store import find_sealed, list_valuation_sets

OPTIONS = Entitlement(granted={"desk": ("Options",)})
EQUITIES = Entitlement(granted={"desk": ("Equities",)})
BOTH = Entitlement(granted={"desk": ("Equities", "Options")})


def session(lake: Lake, entitlement: Entitlement = OPTIONS, committer: Committer | None = None) -> Session:
    return Session(lake, VectorCache(lake), committer, no_spark, entitlement=entitlement, actor="ann")  # type: ignore[arg-type]


def asked(of: Session, name: str = "var", **more: Any) -> Any:
    return questions.ask(of, name, questions.read(name, {"as_of": str(MONDAY), "by": ["desk"], **more}))


def kept(answer: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(json.dumps(answer.to_dict(), default=str))
    return found


def loaded(lake: Lake, tmp_path: Path, text: str, entitlement: Entitlement | None = None, **more: Any) -> Any:
    """The report of a positions file, brought in by whoever is so entitled."""
    file = tmp_path / "positions.csv"
    file.write_text(text)
    with Committer(lake, "test") as committer:
        seen = committer if entitlement is None else committer.reading(EntitledLake(lake, entitlement))
        return ingest_positions(seen, file, **more)


def test_every_table_is_whole_or_cut() -> None:
    assert sorted((*WHOLE, *CUT)) == sorted(TABLES)


def test_an_entitlement_is_held_to_the_dimensions_that_grant() -> None:
    with pytest.raises(ValueError, match=r"Unknown dimension of an entitlement 'dsk'\. Nearest valid: desk\."):
        Entitlement.model_validate({"granted": {"dsk": ["Rates"]}})
    assert BOTH.includes(OPTIONS)
    assert not OPTIONS.includes(BOTH)
    assert Entitlement.of(BOTH.reader) == BOTH


def test_a_session_is_cut_whatever_it_is_given(valued_copy: Lake) -> None:
    with Committer(valued_copy, "test") as committer:
        of = session(valued_copy, committer=committer)
        again = of.writing(committer).as_known("2020-01-01T00:00Z")
        for cut in (of, again):
            assert {cut.lake.reader, cut.cache.lake.reader, cut.writer().lake.reader} == {OPTIONS.reader}
    assert asked(of).rows["desk"].to_pylist() == ["Options"]
    assert asked(of).coverage.positions == 2
    none = session(valued_copy, Entitlement())
    with pytest.raises(NotFound, match=f"positions of {MONDAY}. There are no dates with positions yet"):
        asked(none)


def test_nothing_of_others_is_suggested_or_counted(valued_copy: Lake) -> None:
    of = session(valued_copy)
    with pytest.raises(BadInput, match=r"Unknown desk on 2020-03-16 'Equitie'\. Nearest valid: Options\."):
        asked(of, where=["desk=Equitie"])
    with pytest.raises(NotFound, match=r"Unknown trade 'T00000-0'\. Nearest valid: T00000-\d, T00000-\d\."):
        trade_history(of.lake, "T00000-0")
    book = of.cache.book(of.lake.snapshot(), MONDAY)
    assert book.columns["desk"].members.to_pylist() == ["Options"]
    assert of.lake.rows_by("positions", "positions_date") == {FRIDAY: 2, MONDAY: 2}
    assert of.lake.count("positions") == 4
    with pytest.raises(BadInput, match="Versions of the table positions are known to those who see all of it"):
        as_known(of.lake, "positions@1")


def test_what_others_have_valued_changes_no_set_that_is_seen(valued_copy: Lake, tmp_path: Path) -> None:
    before = list_valuation_sets(EntitledLake(valued_copy, OPTIONS))
    fewer = "\n".join(row for row in book_csv().splitlines() if "T00000-1" not in row)
    loaded(valued_copy, tmp_path, fewer, replace_dates=True)
    with Committer(valued_copy, "test") as committer:
        run_valuation(committer, request(MONDAY), spark=no_spark)  # type: ignore[arg-type]
    assert len(list_valuation_sets(valued_copy)) == 3
    assert list_valuation_sets(EntitledLake(valued_copy, OPTIONS)) == before
    assert [(s.submitted, s.valued, s.failed, s.reused) for s in before] == [(2, 1, 1, 0)] * 2


def test_a_contract_that_only_others_hold_is_not_valued_and_is_valued_for_oneself(
    valued_copy: Lake, tmp_path: Path
) -> None:
    """The share of the other desk is bought by this one, after the valuation."""
    row = next(r for r in book_csv().splitlines() if r.startswith(str(MONDAY)) and "T00000-0" in r)
    bought = row.replace("T00000-0", "T9").replace("Equities", "Options")
    loaded(valued_copy, tmp_path, f"{book_csv().splitlines()[0]}\n{bought}\n")
    assert asked(reading(valued_copy)).coverage.missing == 0
    of = session(valued_copy)
    assert asked(of).coverage.missing == 1
    query = questions.read("var", {"as_of": str(MONDAY), "by": ["desk"]})
    (planned,) = questions.plan(of, "var", query).valuations
    assert planned[2].work.num_rows == 1
    assert not planned[2].cost.measured
    with Committer(valued_copy, "test") as committer:
        wanted = questions.value(of.writing(committer), "var", query)
    assert asked(of).coverage.missing == 0
    assert questions.plan(of, "var", query).ready
    seal = find_sealed(of.lake, wanted.valuation_set)
    assert seal is not None
    assert (seal.submitted, seal.failed) == (3, 1)
    # nobody else is answered from what was valued for a part of the book, and no other desk sees it
    assert len(list_valuation_sets(valued_copy)) == 2
    assert len(list_valuation_sets(valued_copy, every=True)) == 3
    assert list_valuation_sets(EntitledLake(valued_copy, EQUITIES))[-1].submitted == 2
    assert list_valuation_sets(EntitledLake(valued_copy, BOTH))[-1].submitted == 4


def test_a_receipt_replays_for_those_who_see_as_much(valued_copy: Lake, tmp_path: Path) -> None:
    answer = kept(asked(session(valued_copy)))
    receipt = answer["receipt"]
    assert receipt["entitlement"] == {"desk": ["Options"]}
    assert not receipt["table_versions"].keys() & CUT
    loaded(valued_copy, tmp_path, book_csv().replace(",1000.0,", ",1001.0,"), replace_dates=True)
    for lake in (valued_copy, EntitledLake(valued_copy, OPTIONS), EntitledLake(valued_copy, BOTH)):
        done = replay(lake, answer)
        assert (done.verdict, {i.state for i in done.inputs}) == ("same bits", {"same"})
    with pytest.raises(BadInput, match="about positions that you do not see"):
        replay(EntitledLake(valued_copy, EQUITIES), answer)
    with pytest.raises(BadInput, match="about positions that you do not see"):
        replay(EntitledLake(valued_copy, OPTIONS), kept(asked(reading(valued_copy))))


def test_a_receipt_says_that_own_positions_have_changed(valued_copy: Lake, tmp_path: Path) -> None:
    answer = kept(asked(session(valued_copy)))
    loaded(valued_copy, tmp_path, book_csv().replace(",100.0,", ",101.0,"), replace_dates=True)
    done = replay(EntitledLake(valued_copy, OPTIONS), answer)
    assert (done.verdict, [i.input for i in done.inputs if i.state == "changed"]) == (
        "same bits",
        [f"positions of {MONDAY}"],
    )


def test_positions_are_brought_in_for_granted_desks_beside_those_of_others(valued_copy: Lake, tmp_path: Path) -> None:
    text = book_csv().replace(",50.0,", ",51.0,").replace(",1000.0,", ",1.0,")
    report = loaded(valued_copy, tmp_path, text, OPTIONS)
    assert (report.read, report.loaded, report.rejected) == (8, 4, 4)
    faults = report.rejections.to_pylist()
    assert {(f["column"], f["value"]) for f in faults} == {
        ("desk", "Equities"),
        ("trade", "T00000-0"),
        ("trade", "T00000-1"),
    }
    assert report.versions == {}
    held = {
        r["trade"]: r["quantity"] for r in valued_copy.read("positions", among={"positions_date": [FRIDAY]}).to_pylist()
    }
    assert held == {"T00000-0": 1000.0, "T00000-1": -200.0, "T00000-2": 51.0, "T00000-3": 5.0}
    own = "\n".join(r for r in text.splitlines() if "T00000-2" in r or r.startswith("positions_date"))
    report = loaded(valued_copy, tmp_path, own, OPTIONS, replace_dates=True)
    assert [(d.removed, d.held) for d in report.dates] == [(1, 1), (1, 1)]
    assert valued_copy.read("positions").num_rows == 6


def test_what_is_made_of_the_orders_of_all_needs_all(valued_copy: Lake) -> None:
    with (
        Committer(valued_copy, "test") as committer,
        pytest.raises(NotAllowed, match="netted by those who see the whole"),
    ):
        net_orders(
            committer.reading(EntitledLake(valued_copy, OPTIONS)),
            NettingRequest.model_validate({"as_of": "2020-03-16T20:00:00Z"}),
        )


def test_releases_say_of_which_part_they_are(valued_copy: Lake) -> None:
    whole, own = asked(reading(valued_copy)), session(valued_copy)
    with Committer(valued_copy, "test") as committer:
        release(committer, ReleaseRequest(answer=kept(whole), released_by="risk"))
        seen = committer.reading(own.lake)
        with pytest.raises(
            BadInput, match=r"its total does not say of which\. Ask it with one filter that does, such as desk=Options"
        ):
            release(seen, ReleaseRequest(answer=kept(asked(own)), released_by="ann"))
        filtered = asked(own, where=["desk=Options"])
        done = release(seen, ReleaseRequest(answer=kept(filtered), released_by="ann"))
    assert (done["new"], done["unchanged"]) == (4, 0)
    rows = released_of(own.lake, MONDAY).to_pylist()
    assert {(r["node"], r["filters"]) for r in rows} == {
        ("desk=Options", ""),
        ("desk=Options", "desk=Options"),
        ("", "desk=Options"),
    }
    assert {r["receipt_digest"] for r in rows} == {""}
    assert released_of(EntitledLake(valued_copy, EQUITIES), MONDAY)["node"].unique().to_pylist() == ["desk=Equities"]
    totals = released_of(EntitledLake(valued_copy, EQUITIES.model_copy(update={"firm_totals": True})), MONDAY)
    assert totals["node"].unique().to_pylist() == ["", "desk=Equities"]
    # the total of a part is not held to that of the firm
    assert not any("was released as" in n for n in asked(own).notes)


def test_a_node_is_read_whole() -> None:
    odd = Entitlement(granted={"desk": ("A/B",)})
    assert shows_figure(odd, "book=1/desk=A%2FB", "")
    assert not shows_figure(odd, "book=desk=A/B", "")
    assert not shows_figure(OPTIONS, "", "book=x and desk=Options")


def test_branches_are_seen_by_those_who_see_what_is_in_them(valued_copy: Lake) -> None:
    scale = {"where": [{"dimension": "desk", "values": ["Options"]}], "factor": 0.5}
    with Committer(valued_copy, "test") as committer:

        def save(name: str, of: Session) -> None:
            asked = BranchRequest.model_validate({"name": name, "as_of": MONDAY, "scale": [scale]})
            save_branch(of.writer(), asked, cache=of.cache, spark=no_spark, actor=of.actor)  # type: ignore[arg-type]

        own = session(valued_copy, committer=committer)
        save("all", reading(valued_copy).writing(committer))
        with pytest.raises(BadInput, match="Call it ann:NAME, such as ann:half"):
            save("half", own)
        save("ann:half", own)
    seen = {
        e.reader: [r["name"] for r in list_branches(EntitledLake(valued_copy, e))] for e in (OPTIONS, BOTH, EQUITIES)
    }
    assert seen == {OPTIONS.reader: ["ann:half"], BOTH.reader: ["ann:half"], EQUITIES.reader: []}
    assert [r["name"] for r in list_branches(valued_copy)] == ["all", "ann:half"]
    assert asked(own, branch="ann:half").coverage.positions == 2


def test_the_total_of_the_firm_for_those_who_are_granted_it(valued_copy: Lake) -> None:
    firm = session(valued_copy, OPTIONS.model_copy(update={"firm_totals": True}))
    everything = asked(reading(valued_copy), by=[])
    total = asked(firm, by=[], whole_firm=True)
    assert total.rows.equals(everything.rows)
    assert total.notes == ("The total of the whole firm; what is in it is not shown.", "1 of 4 positions is not in it.")
    assert not total.receipt.keys() & {"positions_files", "valuation_set_id", "exchange_rates", "hierarchies"}
    assert not total.receipt["table_versions"].keys() & CUT
    assert asked(firm, by=[]).coverage.positions == 2  # asked without, it is one's own
    for lake in (firm.lake, valued_copy):
        done = replay(lake, kept(total))
        assert (done.verdict, {i.state for i in done.inputs}) == ("same bits", {"same"})
    with pytest.raises(BadInput, match="about positions that you do not see"):
        replay(EntitledLake(valued_copy, OPTIONS), kept(total))
    with pytest.raises(NotAllowed, match="for those who are granted firm totals"):
        asked(session(valued_copy), by=[], whole_firm=True)
    with pytest.raises(NotAllowed, match="planned and valued by those who see all of it"):
        questions.plan(firm, "var", questions.read("var", {"as_of": str(MONDAY), "whole_firm": True}))
    for more in ({"by": ["desk"]}, {"by": [], "where": ["desk=Equities"]}):
        with pytest.raises(
            BadInput, match=f"the total of the whole firm has no {'where' if 'where' in more else 'by'}"
        ):
            asked(firm, whole_firm=True, **more)
    # a desk's standard is that of whoever sees it alone, and none of the firm
    with Committer(valued_copy, "test") as committer:
        set_standard(committer, StandardRequest(desk="Options", currency="EUR", reason="its own"))
    assert asked(firm, by=[]).receipt["question"]["currency"] == "EUR"
    assert asked(firm, by=[], whole_firm=True).receipt["question"]["currency"] == "USD"
    # where everything is seen it is the same answer
    assert asked(reading(valued_copy), by=[], whole_firm=True).rows.equals(everything.rows)


@pytest.mark.parametrize("name", [*ON_PATHS, "sa-cva"])
def test_values_along_paths_are_refused_to_whoever_sees_a_part(name: str, valued_lake: Path) -> None:
    """Nothing is valued here, no limit is stored and no hedge: it is refused before any of that is told."""
    of = session(Lake.open(valued_lake))
    query = questions.read(name, {**base(name), **({"sensitivities": []} if name == "sa-cva" else {})})
    for door in (questions.ask, questions.plan, questions.value):
        with pytest.raises(NotAllowed, match="of the whole book, and you see a part of it"):
            door(of, name, query)


def test_the_exposure_at_default_of_a_part_is_without_collateral(valued_lake: Path) -> None:
    query = questions.read("sa-ccr", base("sa-ccr"))
    answer = questions.ask(session(Lake.open(valued_lake)), "sa-ccr", query)
    assert answer.rows.num_rows
    assert any("Collateral is left out" in note for note in answer.notes)


def test_scenario_sets_of_a_book_are_seen_by_those_who_see_as_much(valued_copy: Lake) -> None:
    """A bump of a pair is made for everybody, then for one desk, then as a set that is everybody's."""
    lake, name = valued_copy, "bumps-of-pairs"
    pair = {"pairs": [["EQ:AAA", "EQ:BBB"]]}
    of_book = ScenarioRequest(method="bumps", parameters=pair, name=name, of_book=True)
    options, equities, both = (EntitledLake(lake, e) for e in (OPTIONS, EQUITIES, BOTH))

    def save(committer: Committer, asked: ScenarioRequest) -> ScenarioSet:
        return save_scenario_set(committer, make_scenario_set(lake.snapshot(), MONDAY, asked))

    def names(of: Lake) -> list[str]:
        return [r["name"] for r in list_scenario_sets(of).to_pylist()]

    with Committer(lake, "test") as committer:
        before, version = names(lake), lake.version("scenario_sets")
        # two contents under one name: another reader's first is version 1 all the same
        save(committer, of_book.model_copy(update={"parameters": {**pair, "price": 0.002}}))
        whole = save(committer, of_book)
        assert (whole.version, names(lake)) == (2, [*before, name, name])
        for of in (options, equities, both):
            assert names(of) == before
            with pytest.raises(NotFound, match="Unknown scenario set") as told:
                find_scenario_set(of, "bumps-of-pair")
            assert name not in told.value.message
            with pytest.raises(NotFound):
                find_scenario_set(of, whole.scenario_set_id)
            assert of.read("scenario_levels", among={"scenario_set_id": [whole.scenario_set_id]}).num_rows == 0
            assert not of.shows_version("scenario_sets")
        mine = save(committer.reading(options), of_book)
        again = save(committer.reading(options), of_book)
        assert (mine.scenario_set_id, mine.version, again.version) == (whole.scenario_set_id, 1, 1)
        assert lake.version("scenario_sets") == version + 3
        assert names(options) == [*before, name]
        assert load_stored(options, find_scenario_set(options, name)).of_book
        # a name means one's own, an id what is seen
        assert (names(both), names(equities), len(names(lake))) == (before, before, len(before) + 2)
        assert find_scenario_set(both, mine.scenario_set_id).name == name
        assert find_scenario_set(lake, name).version == 2
        everybodys = save(committer, of_book.model_copy(update={"of_book": False}))
        assert everybodys.scenario_set_id == whole.scenario_set_id
        assert names(equities) == [*before, name]
        assert not load_stored(equities, find_scenario_set(equities, name)).of_book


def test_valuations_under_scenarios_of_a_book_are_of_whoever_asked(valued_copy: Lake) -> None:
    of_book = ScenarioRequest(method="bumps", parameters={"pairs": [["EQ:AAA", "EQ:BBB"]]}, of_book=True)
    asked = ValuationRequest(as_of=MONDAY, scenarios=of_book)
    before = list_valuation_sets(EntitledLake(valued_copy, OPTIONS))
    with Committer(valued_copy, "test") as committer:
        run_valuation(committer, asked, spark=no_spark)  # type: ignore[arg-type]
        assert list_valuation_sets(EntitledLake(valued_copy, OPTIONS)) == before
        of = session(valued_copy, committer=committer)
        run_valuation(of.writer(), asked, spark=no_spark)  # type: ignore[arg-type]
    seen = list_valuation_sets(EntitledLake(valued_copy, OPTIONS))
    assert [s.scenario_set_name for s in seen[:-1]] == [s.scenario_set_name for s in before]
    assert seen[-1].scenario_set_name == default_name(of_book)
    assert len(list_valuation_sets(EntitledLake(valued_copy, EQUITIES))) == len(before)


def test_recipes_that_follow_from_the_book_say_so(valued_copy: Lake) -> None:
    cache = VectorCache(valued_copy)

    def searched(**more: Any) -> bool:
        period = StressPeriodRequest(as_of=MONDAY, length=20, **more)
        return valuation_request(valued_copy, period, cache).scenarios.of_book

    assert (searched(), searched(first=dt.date(2020, 1, 6))) == (True, False)
    for found in (True, False):
        period = Period(dt.date(2020, 1, 6), FRIDAY, searched=found)
        assert stressed_moves(10, period).of_book is found
    made = make_scenario_set(valued_copy.snapshot(), MONDAY, ScenarioRequest(parameters={"scenarios": 5}))
    assert not made.of_book
    rolled = roll(made, MONDAY + dt.timedelta(days=7), "constant", Carry())
    assert rolled.of_book
