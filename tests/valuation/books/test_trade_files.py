"""Trades in ORE's portfolio XML become positions, or are told with their reason; nothing of a trade is lost in silence."""

from __future__ import annotations

import datetime as dt
import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from support import new_lake

from lake.committer import Committer
from lake.errors import BadInput
from lake.landing.mapping import load_mapping
from lake.landing.markup import read_markup
from lake.landing.positions import PositionsReport
from lake.tables import Lake
from valuation.books.positions import ingest_positions
from valuation.catalogue import parse_terms

DAY = dt.date(2020, 3, 16)
ENVELOPE = (
    "<Envelope><CounterParty>CPTY_A</CounterParty><NettingSetId>NS1</NettingSetId><PortfolioIds><PortfolioId>P1</PortfolioId>"
    "</PortfolioIds><AdditionalFields><desk>FX</desk><Strategy>carry</Strategy></AdditionalFields></Envelope>"
)
FX = (
    "<FxForwardData><ValueDate>20210316</ValueDate><BoughtCurrency>EUR</BoughtCurrency><BoughtAmount>1000000</BoughtAmount>"
    "<SoldCurrency>USD</SoldCurrency><SoldAmount>1100000</SoldAmount><Settlement>Physical</Settlement></FxForwardData>"
)
EQUITY_OPTION = (
    "<EquityOptionData><OptionData><LongShort>Short</LongShort><OptionType>Put</OptionType><Style>European</Style>"
    "<Settlement>Cash</Settlement><ExerciseDates><ExerciseDate>2020-09-18</ExerciseDate></ExerciseDates>{more}</OptionData>"
    "<Name>RIC:.SPX</Name><Currency>USD</Currency><Strike>2800</Strike><Quantity>775</Quantity></EquityOptionData>"
)
OPTION = (
    "<OptionData><LongShort>Long</LongShort><OptionType>Call</OptionType><Style>European</Style><ExerciseDates>"
    "<ExerciseDate>2020-09-18</ExerciseDate></ExerciseDates></OptionData>"
)
BARRIER = "<BarrierData><Type>UpAndOut</Type><Levels><Level>3500</Level></Levels><Rebate>5</Rebate></BarrierData>"
FX_AMOUNTS = (
    "<BoughtCurrency>EUR</BoughtCurrency><BoughtAmount>1000000</BoughtAmount><SoldCurrency>USD</SoldCurrency>"
    "<SoldAmount>1</SoldAmount>"
)
LEG = (
    "<LegData><LegType>{kind}</LegType><Payer>{payer}</Payer><Currency>EUR</Currency><Notionals><Notional>{notional}</Notional>{exchange}"
    "</Notionals><DayCounter>{day_count}</DayCounter><PaymentConvention>MF</PaymentConvention>{rate}<ScheduleData><Rules>"
    "<StartDate>2020-03-20</StartDate><EndDate>2030-03-20</EndDate><Tenor>{tenor}</Tenor><Calendar>TARGET</Calendar>"
    "<Convention>MF</Convention><Rule>Backward</Rule></Rules></ScheduleData></LegData>"
)
FIXED = {
    "kind": "Fixed", "payer": "true", "notional": "5000000", "day_count": "30/360", "tenor": "1Y", "exchange": "",
    "rate": "<FixedLegData><Rates><Rate>0.012</Rate></Rates></FixedLegData>",
}  # fmt: skip
FLOATING = {
    **FIXED, "kind": "Floating", "payer": "false", "day_count": "A360", "tenor": "6M",
    "rate": "<FloatingLegData><Index>EUR-EURIBOR-6M</Index><IsInArrears>false</IsInArrears><FixingDays>2</FixingDays></FloatingLegData>",
}  # fmt: skip


def trade(kind: str, data: str, trade_id: str = "T1") -> str:
    return f'<Trade id="{trade_id}"><TradeType>{kind}</TradeType>{ENVELOPE}{data}</Trade>'


def swap(fixed: dict[str, str] = FIXED, floating: dict[str, str] = FLOATING) -> str:
    return trade("Swap", f"<SwapData>{LEG.format(**fixed)}{LEG.format(**floating)}</SwapData>")


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return new_lake(tmp_path / "lake")


def load(lake: Lake, tmp_path: Path, *trades: str, head: str = "") -> PositionsReport:
    path = tmp_path / "portfolio.xml"
    path.write_text(f"<?xml version='1.0'?>{head}\n<Portfolio>\n" + "\n".join(trades) + "\n</Portfolio>")
    with Committer(lake, "test") as committer:
        return ingest_positions(committer, path, as_of=DAY)


def test_a_trade_becomes_a_position_with_its_owners(lake: Lake, tmp_path: Path) -> None:
    report = load(lake, tmp_path, trade("FxForward", FX))
    assert (report.read, report.loaded, report.rejected) == (1, 1, 0)
    (row,) = lake.read("positions").to_pylist(maps_as_pydicts="strict")
    terms = {
        "currency": "USD", "base_currency": "EUR", "strike": 1.1, "maturity": "2021-03-16", "quote_curve": "USD", "base_curve": "EUR",
    }  # fmt: skip
    assert row["contract_id"] == parse_terms("fx_forward", terms).contract_id()
    assert (row["trade"], row["quantity"], row["counterparty"], row["portfolio"], row["desk"], row["book"]) == (
        "T1", 1e6, "CPTY_A", "P1", "FX", "unassigned",
    )  # fmt: skip
    assert row["attributes"] == {"netting_set": "NS1", "strategy": "carry"}


def test_a_short_put_is_a_negative_quantity_of_a_put(lake: Lake, tmp_path: Path) -> None:
    load(lake, tmp_path, trade("EquityOption", EQUITY_OPTION.format(more="")))
    (row,) = lake.read("positions").to_pylist()
    terms = {
        "currency": "USD", "underlying": "EQ:SPX", "volatility": "IV:SPX", "strike": 2800, "expiry": "2020-09-18",
        "option_type": "put", "discount_curve": "USD",
    }  # fmt: skip
    assert (row["quantity"], row["contract_id"]) == (-775.0, parse_terms("equity_option", terms).contract_id())


def test_a_swap_of_a_fixed_and_a_floating_leg(lake: Lake, tmp_path: Path) -> None:
    report = load(lake, tmp_path, swap())
    assert report.loaded == 1, report.reasons
    (contract,) = lake.read("contracts").to_pylist()
    for part in (
        '"pay_fixed":true',
        '"fixed_rate":0.012',
        '"fixed_frequency":1',
        '"float_frequency":2',
        '"calendar":"EUTA"',
    ):
        assert part in contract["terms"]
    assert lake.read("positions")["quantity"].to_pylist() == [5e6]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (trade("Autocallable", "<AutocallableData/>"), "trades of type Autocallable are not read; those that are: FxForward"),
        (trade("FxForward", ""), "it has no FxForwardData"),
        (trade("FxForward", FX.replace("20210316", "20211316")), "ValueDate is '20211316', not a date"),
        (trade("FxForward", FX.replace(">1000000<", ">a lot<")), "BoughtAmount is 'a lot', not a number"),
        (trade("FxForward", FX.replace(">1000000<", ">0<")), "not both positive"),
        (trade("FxForward", FX.replace("<Settlement>", "<Delivery>x</Delivery><Settlement>")), "Delivery of FxForwardData is not read"),
        (trade("EquityOption", EQUITY_OPTION.format(more="").replace("European", "Bermudan")), "style Bermudan"),
        (
            trade("EquityOption", EQUITY_OPTION.format(more="<Premiums><Premium><PayDate>2020-03-18</PayDate></Premium></Premiums>")),
            "its premium is paid after 2020-03-16",
        ),
        (swap(floating={**FLOATING, "notional": "1"}), "its legs differ in notional"),
        (swap(fixed={**FIXED, "day_count": "ACT/ACT"}), "DayCounter is 'ACT/ACT', which has no counterpart here"),
        (swap(floating={**FLOATING, "rate": FLOATING["rate"].replace("EURIBOR-6M", "CMS-10Y")}), "is no rate of a term"),
        (swap(floating={**FLOATING, "payer": "true"}), "both of its legs are paid"),
        (swap(floating={**FLOATING, "rate": FLOATING["rate"].replace("<IsIn", "<Lookback>2D</Lookback><IsIn")}), "has a Lookback"),
        (swap(floating={**FLOATING, "rate": FLOATING["rate"].replace("<IsIn", "<Round>2</Round><IsIn")}), "Round of FloatingLegData"),
        (
            swap(fixed={**FIXED, "exchange": "<Exchanges><NotionalInitialExchange>true</NotionalInitialExchange></Exchanges>"}),
            "its notional is exchanged",
        ),
        (trade("FxForward", FX, ""), "it has no id"),
        (trade("FxForward", FX.replace("20210316", "99991231")), "years reach from 1902 to 2198"),
        (swap(floating={**FLOATING, "rate": FLOATING["rate"].replace(">2<", ">1e99999999<")}), "FixingDays is '1e99999999', not a number"),
        (
            trade("FxBarrierOption", f"<FxBarrierOptionData>{OPTION}{BARRIER}{FX_AMOUNTS}</FxBarrierOptionData>").replace("1000000", "0"),
            "not both positive",
        ),
        (
            trade("EquityBarrierOption", EQUITY_OPTION.format(more="").replace("EquityOption", "EquityBarrierOption")
                  .replace("<Name>", f"{BARRIER}<Name>").replace("775", "0")),
            "its amounts give no terms: one of them is zero or too large",
        ),
    ],
)  # fmt: skip
def test_a_trade_that_is_not_read_is_told_and_the_others_load(
    lake: Lake, tmp_path: Path, text: str, reason: str
) -> None:
    report = load(lake, tmp_path, trade("FxForward", FX, "GOOD"), text)
    assert (report.read, report.loaded, report.rejected) == (2, 1, 1)
    (fault,) = report.rejections.to_pylist()
    assert reason in fault["reason"]
    assert fault["row"] == 4  # the line of the trade
    assert lake.read("positions")["trade"].to_pylist() == ["GOOD"]


def terms_of(lake: Lake) -> dict[str, Any]:
    (contract,) = lake.read("contracts").to_pylist()
    found: dict[str, Any] = json.loads(contract["terms"])
    return found


def test_flags_are_read_as_ore_reads_them(lake: Lake, tmp_path: Path) -> None:
    """ORE 1.8.17: a leg without Payer pays, and of the flags of an Exchanges element that is there an absent one says yes."""
    silent = {**FIXED, "payer": ""}
    report = load(lake, tmp_path, swap(fixed=silent), trade("FxForward", FX, "GOOD").replace("1000000", "1e6"))
    assert report.loaded == 2, report.reasons
    flags = "<Exchanges><NotionalAmortizingExchange>false</NotionalAmortizingExchange></Exchanges>"
    unknown = load(lake, tmp_path, swap({**FIXED, "exchange": flags.replace("Exchanges>", "Exchange>")}))
    assert "Exchange of Notionals is not read" in unknown.rejections["reason"][0].as_py()
    exchanged = load(lake, tmp_path, swap({**FIXED, "exchange": flags}))
    assert "its notional is exchanged" in exchanged.rejections["reason"][0].as_py()


def test_a_fixing_in_a_leg_is_that_of_the_period_it_precedes(lake: Lake, tmp_path: Path) -> None:
    begun = {"2020-03-20": "2020-03-10"}
    history = (
        "<HistoricalFixings><Fixing fixingDate='2020-03-06'>-0.0042</Fixing></HistoricalFixings></FloatingLegData>"
    )
    text = swap(floating={**FLOATING, "rate": FLOATING["rate"].replace("</FloatingLegData>", history)})
    for old, new in begun.items():
        text = text.replace(old, new)
    report = load(lake, tmp_path, text)
    assert report.loaded == 1, report.reasons
    assert terms_of(lake)["fixings"] == {"2020-03-10": -0.0042}  # two business days before the period, by FixingDays
    assert report.notes[0] == (
        "Rates fix on the first day of their period here, and the fixing lag in the file is not kept; 1 trade."
    )


def test_a_schedule_rolled_forward_keeps_its_odd_end(lake: Lake, tmp_path: Path) -> None:
    forward = swap().replace(">Backward<", ">Forward<").replace("2030-03-20", "2030-11-05")
    report = load(lake, tmp_path, forward)
    assert (
        "its legs differ in dates" in report.rejections["reason"][0].as_py()
    )  # a year and six months end on different days
    quarterly = {k: {**leg, "tenor": "6M"} for k, leg in (("fixed", FIXED), ("floating", FLOATING))}
    report = load(
        lake, tmp_path, swap(**quarterly).replace(">Backward<", ">Forward<").replace("2030-03-20", "2030-08-05")
    )
    assert report.loaded == 1, report.reasons
    assert (terms_of(lake)["last_period_start"], terms_of(lake).get("first_period_end")) == ("2030-03-20", None)
    odd = swap().replace("<Rule>", "<FirstDate>2020-09-20</FirstDate><Rule>")
    assert load(lake, tmp_path, odd.replace('"T1"', '"T2"')).loaded == 1


def test_an_id_that_stands_twice_is_told_for_the_second(lake: Lake, tmp_path: Path) -> None:
    report = load(lake, tmp_path, trade("FxForward", FX), trade("EquityOption", EQUITY_OPTION.format(more="")))
    assert (report.loaded, report.rejected) == (1, 1)
    assert "the id stands on line 3 too" in report.rejections["reason"][0].as_py()


def test_a_packed_file_and_its_day(lake: Lake, tmp_path: Path) -> None:
    path = tmp_path / "portfolio.xml.gz"
    path.write_bytes(gzip.compress(f"<Portfolio>{trade('FxForward', FX)}</Portfolio>".encode()))
    with Committer(lake, "test") as committer:
        with pytest.raises(BadInput, match="give it with --as-of"):
            ingest_positions(committer, path)
        assert ingest_positions(committer, path, as_of=DAY).loaded == 1


def test_one_mapping_serves_every_file_of_trades(lake: Lake, tmp_path: Path) -> None:
    """Columns stay beside what a mapping makes of them, and those that no trade of a file has are empty; other names are faults."""
    mapping = tmp_path / "trades.toml"
    mapping.write_text(
        '[columns.desk]\nfrom = "instrument_type"\nvalues = { fx_forward = "FX", equity_option = "Equities" }\n'
        '[columns.underlying]\nfrom = "underlying"\nvalues = { "EQ:SPX" = "IDX:SPX" }\n'
    )
    for number, data in enumerate((trade("FxForward", FX), trade("EquityOption", EQUITY_OPTION.format(more="")))):
        path = tmp_path / f"portfolio-{number}.xml"
        path.write_text(f"<Portfolio>{data.replace('T1', f'T{number}')}</Portfolio>")
        with Committer(lake, "test") as committer:
            assert ingest_positions(committer, path, as_of=DAY, mapping=load_mapping(mapping)).loaded == 1
    assert {r["trade"]: r["desk"] for r in lake.read("positions").to_pylist()} == {"T0": "FX", "T1": "Equities"}
    assert any('"underlying":"IDX:SPX"' in c["terms"] for c in lake.read("contracts").to_pylist())
    mapping.write_text('[columns.underlying]\nfrom = "underling"\n')
    with Committer(lake, "test") as committer, pytest.raises(BadInput, match="Unknown column of the file 'underling'"):
        ingest_positions(committer, path, as_of=DAY, mapping=load_mapping(mapping))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("<Portfolio><Trade></Portfolio>", "no well-formed XML: line 1, mismatched tag"),
        ("", "no well-formed XML: line 1, no element found"),
        ("<Trades/>", "no known file of trades; expected <Portfolio>"),
        ("<!DOCTYPE Portfolio [<!ENTITY a 'b'>]><Portfolio/>", "a document type is not read"),
        ("<a>" * 101 + "</a>" * 101, "more than 100 elements inside of each other"),
    ],
)
def test_what_is_no_file_of_trades_is_refused_as_a_whole(lake: Lake, tmp_path: Path, text: str, why: str) -> None:
    path = tmp_path / "portfolio.xml"
    path.write_text(text)
    with Committer(lake, "test") as committer, pytest.raises(BadInput, match=why):
        ingest_positions(committer, path, as_of=DAY)


def test_elements_have_their_lines_and_no_namespace(tmp_path: Path) -> None:
    path = tmp_path / "a.xml"
    path.write_text('<a xmlns="http://example.org/x"\n xmlns:i="urn:i">\n<b i:id="1"> text </b>\n<b/></a>')
    root = read_markup(path)
    assert [(b.name, b.line, b.text, b.attributes) for b in root.all("b")] == [
        ("b", 3, "text", {"id": "1"}),
        ("b", 4, "", {}),
    ]


# --- FpML -------------------------------------------------------------------------------------------------------------

PARTIES = (
    "<party id='p1'><partyId>BANK01</partyId><partyName>Our Bank</partyName></party>"
    "<party id='p2'><partyName>Them</partyName></party>"
)
PAYS, RECEIVES = (
    f"<payerPartyReference href='{a}'/><receiverPartyReference href='{b}'/>" for a, b in (("p1", "p2"), ("p2", "p1"))
)
FX_LEG = (
    "<fxSingleLeg><exchangedCurrency1>{first}<paymentAmount><currency>EUR</currency><amount>1000000</amount></paymentAmount></exchangedCurrency1>"
    "<exchangedCurrency2>{second}<paymentAmount><currency>USD</currency><amount>1100000</amount></paymentAmount></exchangedCurrency2>"
    "<valueDate>2021-03-16</valueDate></fxSingleLeg>"
)
STREAM = (
    "<swapStream>{side}<calculationPeriodDates><effectiveDate><unadjustedDate>2020-03-20</unadjustedDate></effectiveDate>"
    "<terminationDate><unadjustedDate>2030-03-20</unadjustedDate></terminationDate><calculationPeriodDatesAdjustments>"
    "<businessDayConvention>MODFOLLOWING</businessDayConvention><businessCenters><businessCenter>{centre}</businessCenter></businessCenters>"
    "</calculationPeriodDatesAdjustments><calculationPeriodFrequency><periodMultiplier>{n}</periodMultiplier><period>M</period>"
    "</calculationPeriodFrequency></calculationPeriodDates><paymentDates><paymentFrequency><periodMultiplier>{n}</periodMultiplier>"
    "<period>M</period></paymentFrequency></paymentDates><calculationPeriodAmount><calculation><notionalSchedule><notionalStepSchedule>"
    "<initialValue>5000000</initialValue><currency>EUR</currency></notionalStepSchedule></notionalSchedule>{rate}"
    "<dayCountFraction>{day_count}</dayCountFraction></calculation></calculationPeriodAmount></swapStream>"
)
FIXED_STREAM = {
    "side": PAYS, "centre": "EUTA", "n": "12", "day_count": "30/360",
    "rate": "<fixedRateSchedule><initialValue>0.012</initialValue></fixedRateSchedule>",
}  # fmt: skip
FLOATING_STREAM = {
    **FIXED_STREAM, "side": RECEIVES, "n": "6", "day_count": "ACT/360",
    "rate": "<floatingRateCalculation><floatingRateIndex>EUR-EURIBOR</floatingRateIndex><indexTenor><periodMultiplier>6</periodMultiplier>"
    "<period>M</period></indexTenor></floatingRateCalculation>",
}  # fmt: skip


def document(*products: str, root: str = "dataDocument") -> str:
    def one(i: int, product: str) -> str:
        ids = (
            f"<partyTradeIdentifier><partyReference href='{p}'/><tradeId tradeIdScheme='x'>{p}-{i}</tradeId></partyTradeIdentifier>"
            for p in ("p2", "p1")
        )
        return f"<trade><tradeHeader>{''.join(ids)}<tradeDate>2020-03-10</tradeDate></tradeHeader>{product}</trade>"

    listed = "".join(map(one, range(len(products)), products))
    return f"<{root} xmlns='http://www.fpml.org/FpML-5/confirmation' fpmlVersion='5-11'>{listed}{PARTIES}</{root}>"


def load_fpml(lake: Lake, tmp_path: Path, text: str, party: str | None = "Our Bank") -> PositionsReport:
    (tmp_path / "trades.xml").write_text(text)
    with Committer(lake, "test") as committer:
        return ingest_positions(committer, tmp_path / "trades.xml", as_of=DAY, party=party)


@pytest.mark.parametrize("party", ["p1", "BANK01", "Our Bank"])
def test_fpml_is_read_as_the_party_sees_it(lake: Lake, tmp_path: Path, party: str) -> None:
    report = load_fpml(lake, tmp_path, document(FX_LEG.format(first=RECEIVES, second=PAYS)), party)
    assert (report.read, report.loaded) == (1, 1)
    (row,) = lake.read("positions").to_pylist()
    assert (row["trade"], row["quantity"], row["counterparty"]) == ("p1-0", 1e6, "Them")


def test_the_other_party_buys_what_we_sell(lake: Lake, tmp_path: Path) -> None:
    load_fpml(lake, tmp_path, document(FX_LEG.format(first=PAYS, second=RECEIVES)))
    (row,) = lake.read("positions").to_pylist()
    (contract,) = lake.read("contracts").to_pylist()
    assert row["quantity"] == 1.1e6
    assert '"base_currency":"USD"' in contract["terms"]


def test_a_swap_in_fpml_is_that_in_ore(lake: Lake, tmp_path: Path) -> None:
    report = load_fpml(
        lake, tmp_path, document(f"<swap>{STREAM.format(**FIXED_STREAM)}{STREAM.format(**FLOATING_STREAM)}</swap>")
    )
    assert report.loaded == 1, report.reasons
    load(lake, tmp_path, swap())
    terms = [c["terms"].replace("EUR-EURIBOR-6M", "") for c in lake.read("contracts").to_pylist()]
    assert len(set(terms)) == 1
    assert lake.read("positions")["quantity"].to_pylist() == [5e6, 5e6]


@pytest.mark.parametrize(
    ("product", "reason"),
    [
        ("<bondOption/>", "trades of type bondOption are not read; those that are: fxSingleLeg"),
        (FX_LEG.format(first=RECEIVES, second=RECEIVES), "both currencies are paid to the same party"),
        (
            FX_LEG.format(first=PAYS, second=RECEIVES).replace("p2", "p3", 1),
            "it is not between the party and one other",
        ),
        (
            f"<swap>{STREAM.format(**FIXED_STREAM)}{STREAM.format(**{**FLOATING_STREAM, 'centre': 'INMU'})}</swap>",
            "its business centre INMU has no calendar here; those that have: AUSY",
        ),
        (f"<swap>{STREAM.format(**FIXED_STREAM)}</swap>", "swaps of two streams are read, and it has 1"),
        (
            f"<swap>{STREAM.format(**FIXED_STREAM)}{STREAM.format(**FLOATING_STREAM)}<earlyTerminationProvision>x</earlyTerminationProvision></swap>",
            "earlyTerminationProvision of swap is not read",
        ),
    ],
)
def test_what_fpml_says_more_is_told(lake: Lake, tmp_path: Path, product: str, reason: str) -> None:
    report = load_fpml(lake, tmp_path, document(FX_LEG.format(first=RECEIVES, second=PAYS), product))
    assert (report.read, report.loaded, report.rejected) == (2, 1, 1)
    assert reason in report.rejections["reason"][0].as_py()


@pytest.mark.parametrize(
    ("party", "said"), [(None, "does not say whose it is"), ("Them all", "has no party 'Them all'")]
)
def test_a_document_asks_whose_it_is(lake: Lake, tmp_path: Path, party: str | None, said: str) -> None:
    with pytest.raises(BadInput, match=f"{said}.*--party one of p1, BANK01, Our Bank, p2, Them"):
        load_fpml(lake, tmp_path, document(FX_LEG.format(first=RECEIVES, second=PAYS)), party)
