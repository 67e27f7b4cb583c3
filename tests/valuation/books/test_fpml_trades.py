"""FpML products of random terms are exactly the contracts that are meant, on the side of whoever asks; events change a book."""

from __future__ import annotations

import contextlib
import datetime as dt
import tempfile
import xml.etree.ElementTree as ET
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import pytest
from fpml_products import DAY, PRODUCTS, Meant, document, exchange, money, tag, trade
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from support import new_lake

from lake.committer import Committer
from lake.errors import BadInput
from lake.landing.markup import read_markup
from lake.landing.positions import PositionsReport
from lake.tables import Lake
from valuation.books.positions import ingest_positions
from valuation.books.trade_files.fpml import document as fpml
from valuation.books.trade_files.fpml import parts as fpml_parts
from valuation.books.trade_files.trade import NotRead, Trade
from valuation.books.trade_history import trade_changes
from valuation.catalogue import parse_terms

AGREED_ELSEWHERE = {"bermudan_swaption": {"mean_reversion": 0.03}}  # terms that no file of trades has


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fpml")


def read(folder: Path, text: str, party: str = "us") -> list[list[Trade]]:
    (folder / "trades.xml").write_text(text)
    return [made() for _, _, made in fpml.trades(read_markup(folder / "trades.xml"), DAY, party)]


def contract(instrument_type: str, terms: dict[str, Any]) -> str:
    given = {k: float(v) if isinstance(v, Decimal) else v for k, v in terms.items() if v is not None}
    return parse_terms(instrument_type, given).contract_id()


def loaded(made: Trade) -> Meant:
    """As a row of a positions file says it."""
    row = made.row(DAY)
    of_terms = {k: v for k, v in row.items() if k in made.terms} | AGREED_ELSEWHERE.get(made.instrument_type, {})
    return made.trade_id, made.instrument_type, Decimal(row["quantity"]), of_terms


@pytest.mark.parametrize("name", PRODUCTS)
def test_a_product_is_exactly_the_contracts_that_are_meant(folder: Path, name: str) -> None:
    @settings(max_examples=25, deadline=None)
    @given(PRODUCTS[name](), st.sampled_from(["us", "Our Bank", "BANK01"]))
    def holds(product: Any, party: str) -> None:
        (made,) = read(folder, document(trade(product.text)), party)
        found = [(i, k, q, contract(k, t)) for i, k, q, t in map(loaded, made)]
        assert found == [(f"T1/{label}" if label else "T1", k, q, contract(k, t)) for label, k, q, t in product.meant]
        assert {t.owners["counterparty"] for t in made} == {"Bank B"}

    holds()


# below these nothing more is read: what they hold changes no value here
PASSED_OVER = fpml_parts.SILENT | {
    "cashSettlement",
    "physicalSettlement",
    "relativePaymentDates",
    "pricingDates",
    "cashSettlementTerms",
}


@pytest.mark.parametrize("name", PRODUCTS)
def test_what_a_product_says_more_makes_it_not_read(folder: Path, name: str) -> None:
    """An element that nobody knows, wherever it stands, is told by its name: nothing of a trade is lost."""

    @settings(max_examples=12, deadline=None)
    @given(PRODUCTS[name](), st.randoms(use_true_random=False))
    def holds(product: Any, random: Random) -> None:
        root = ET.fromstring(product.text)
        known = [root]
        for element in known:
            known += [child for child in element if child.tag not in PASSED_OVER and len(child)]
        place = random.choice(known)
        ET.SubElement(place, "rateOfTheMoon").text = "1"
        with pytest.raises(NotRead, match=r"rateOfTheMoon of \w+ is not read|other features than one"):
            read(folder, document(trade(ET.tostring(root, encoding="unicode"))))

    holds()


WRONG = st.sampled_from(
    [None, "", "x", "0", "-1", "1.5", "NaN", "1e999", "9999-12-31", "2020-02-30", "0001-01-01", "EOM", "us", "true"]
)


@pytest.mark.parametrize("name", PRODUCTS)
def test_a_product_with_a_fault_is_read_or_told_and_ends_nothing(folder: Path, name: str) -> None:
    """Any text replaced, or any element taken out: it is contracts still, or it is told, and no other error is raised."""

    @settings(max_examples=40, deadline=None)
    @given(PRODUCTS[name](), st.randoms(use_true_random=False), WRONG)
    def holds(product: Any, random: Random, wrong: str | None) -> None:
        root = ET.fromstring(product.text)
        parents = [element for element in root.iter() if len(element)]
        parent = random.choice(parents)
        child = random.choice(list(parent))
        if wrong is None or len(child):
            parent.remove(child)
        else:
            child.text = wrong
        with contextlib.suppress(NotRead):
            (made,) = read(folder, document(trade(ET.tostring(root, encoding="unicode"))))
            assert [t.row(DAY) for t in made]

    holds()


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return new_lake(tmp_path / "lake")


def load(lake: Lake, folder: Path, text: str, party: str | None = "us") -> PositionsReport:
    (folder / "message.xml").write_text(text)
    with Committer(lake, "test") as committer:
        return ingest_positions(committer, folder / "message.xml", as_of=DAY, party=party)


def test_a_message_of_every_product_loads_as_the_rows_that_are_meant(tmp_path: Path) -> None:
    """Counts add up, and the contracts of the lake are those of the same trades typed as rows."""

    @settings(
        max_examples=2, deadline=None, phases=[Phase.generate]
    )  # a load of a lake is slow: nothing is made smaller
    @given(st.tuples(*(make() for make in PRODUCTS.values())))
    def holds(products: tuple[Any, ...]) -> None:
        lake = new_lake(Path(tempfile.mkdtemp(dir=tmp_path)) / "lake")
        report = load(lake, tmp_path, document(*(trade(p.text, f"T{i}") for i, p in enumerate(products))))
        meant = {
            (f"T{i}/{label}" if label else f"T{i}"): (float(quantity), contract(kind, terms))
            for i, p in enumerate(products)
            for label, kind, quantity, terms in p.meant
            if kind not in AGREED_ELSEWHERE
        }
        assert {r["trade"]: (r["quantity"], r["contract_id"]) for r in lake.read("positions").to_pylist()} == meant
        assert report.loaded == len(meant)
        # a Bermudan asks for what no file of trades says, and is told
        assert {r["column"] for r in report.rejections.to_pylist()} <= {"mean_reversion"}
        assert report.read == report.loaded + report.rejected == sum(len(p.meant) for p in products)

    holds()


FORWARD = tag("fxSingleLeg", exchange(("EUR", Decimal(1_000_000)), ("USD", Decimal(1_100_000)), dt.date(2021, 3, 16)))
SMALLER = FORWARD.replace("1000000", "400000").replace("1100000", "440000")


def changed(name: str, *content: str) -> str:
    return tag(name, *content, tag("effectiveDate", "2020-03-12Z"))


def amounts(change: int, left: int) -> str:
    return money("changeInNotionalAmount", "EUR", change) + money("outstandingNotionalAmount", "EUR", left)


def original(product: str) -> str:
    return trade(product).replace("<trade>", "<originalTrade>").replace("</trade>", "</originalTrade>")


IDENTIFIER = tag("tradeIdentifier", tag("partyReference", href="us"), tag("tradeId", "T1"))
REPORT = "nonpublicExecutionReport"


@pytest.mark.parametrize(
    ("root", "content", "quantities"),
    [
        (REPORT, changed("amendment", trade(SMALLER)), [4e5]),
        (REPORT, tag("isCorrection", "true") + trade(SMALLER), [4e5]),
        (REPORT, changed("termination", original(FORWARD), amounts(750_000, 250_000)), [2.5e5]),
        (REPORT, changed("increase", original(FORWARD), amounts(500_000, 1_500_000)), [1.5e6]),
        (REPORT, changed("termination", IDENTIFIER), []),
        (REPORT, changed("termination", original(FORWARD), amounts(1_000_000, 0)), []),
        ("nonpublicExecutionReportRetracted", IDENTIFIER, []),
        ("executionRetracted", trade(FORWARD), []),
    ],
)
def test_an_event_makes_another_version_of_the_book(
    lake: Lake, tmp_path: Path, root: str, content: str, quantities: list[float]
) -> None:
    assert load(lake, tmp_path, document(trade(FORWARD), trade(FORWARD, "T2"))).loaded == 2
    report = load(lake, tmp_path, document(content, root=root, view="recordkeeping"))
    assert (report.read, report.loaded) == (1, 1), report.rejections.to_pylist()
    held = {r["trade"]: r["quantity"] for r in lake.read("positions").to_pylist()}
    assert held == {"T2": 1e6, **dict.fromkeys(["T1"] * len(quantities), *quantities or [0.0])}
    before, after = trade_changes(lake, ["T1"]).changes
    assert (before.action, after.action) == ("new", "amend" if quantities else "remove")
    # the same message again changes nothing
    if after.action == "remove":
        assert load(lake, tmp_path, document(content, root=root)).dates[0].unchanged == 1


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (changed("amendment", trade(SMALLER)).replace("03-12", "03-20"), "its amendment takes effect on 2020-03-20"),
        (
            changed("novation", tag("newTrade", tag("tradeHeader", IDENTIFIER))),
            "events of type novation are not read; those that are: amendment",
        ),
        (changed("increase", IDENTIFIER, amounts(1, 2)), "its increase has no originalTrade"),
        (
            changed("termination", original(FORWARD), money("outstandingNotionalAmount", "EUR", 5)),
            "or does not say what changes",
        ),
        (trade(FORWARD, ""), "it has no tradeId"),
        (trade(FORWARD + FORWARD), "it has 2 products"),
        (trade(tag("strategy", FORWARD)), "trades of type strategy are not read"),
    ],
)
def test_an_event_that_cannot_be_followed_is_told(lake: Lake, tmp_path: Path, content: str, reason: str) -> None:
    report = load(lake, tmp_path, document(content, trade(FORWARD, "GOOD"), root=REPORT))
    assert (report.read, report.loaded, report.rejected) == (2, 1, 1)
    assert reason in report.rejections["reason"][0].as_py()


def test_a_termination_of_a_trade_that_nobody_holds_is_a_fault(lake: Lake, tmp_path: Path) -> None:
    load(lake, tmp_path, document(trade(FORWARD, "T12")))
    report = load(lake, tmp_path, document(changed("termination", IDENTIFIER), root=REPORT))
    assert (report.loaded, report.rejected) == (0, 1)
    assert "has no trade 'T1' to remove" in report.rejections["reason"][0].as_py()


@pytest.mark.parametrize("view", ["confirmation", "recordkeeping"])
@pytest.mark.parametrize("version", [f"5-{n}" for n in range(14)])
def test_versions_and_views_of_fpml_5(folder: Path, view: str, version: str) -> None:
    text = document(trade(FORWARD), trade(FORWARD, "T2"), version=version, view=view, root="executionNotification")
    assert [[t.trade_id for t in made] for made in read(folder, text)] == [["T1"], ["T2"]]


def test_another_version_is_refused(folder: Path) -> None:
    with pytest.raises(BadInput, match="This is FpML 4-9; FpML 5 is read"):
        read(folder, document(trade(FORWARD), version="4-9"))


def test_a_message_says_on_whose_behalf_it_is(lake: Lake, tmp_path: Path) -> None:
    behalf = tag("onBehalfOf", tag("partyReference", href="them"))
    assert load(lake, tmp_path, document(behalf, trade(FORWARD), root=REPORT), None).loaded == 1
    (row,) = lake.read("positions").to_pylist()
    assert (row["counterparty"], row["quantity"]) == ("Our Bank", 1.1e6)


def test_what_our_side_says_of_a_trade_is_its_desk_book_account_and_trader(lake: Lake, tmp_path: Path) -> None:
    def unit(name: str, role: str) -> str:
        return tag("relatedBusinessUnit", tag("businessUnitReference", href=name), tag("role", role))

    def information(party: str, *content: str) -> str:
        return tag("partyTradeInformation", tag("partyReference", href=party), *content)

    person = tag("relatedPerson", tag("personReference", href="ann"), tag("role", "Trader"))
    ours = information(
        "us", tag("accountReference", href="a1"), unit("desk", "TradingDesk"), unit("book", "Book"), person
    )
    text = trade(FORWARD).replace(
        "<tradeDate>", f"{information('them', unit('other', 'TradingDesk'))}{ours}<tradeDate>"
    )
    units = "".join(tag("businessUnit", tag("name", n.upper()), id=n) for n in ("desk", "book", "other"))
    people = units + tag("person", tag("personId", "ann.lee"), id="ann")
    account = tag("account", tag("accountId", "ACC-1"), id="a1")
    load(lake, tmp_path, document(text, account).replace("</partyName></party>", f"</partyName>{people}</party>", 1))
    (row,) = lake.read("positions").to_pylist(maps_as_pydicts="strict")
    assert (row["desk"], row["book"], row["account"], row["attributes"]) == (
        "DESK",
        "BOOK",
        "ACC-1",
        {"trader": "ann.lee"},
    )
