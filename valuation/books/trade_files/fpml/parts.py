"""What the products of FpML share: who pays, money, dates, business centres, payments, exercises, and what of a product was read.

Whatever `Element.value` was not asked for has not been read, and would be lost: `unread` tells it, but for what is listed here as silent.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from lake.landing.markup import Element
from valuation.books.trade_files.trade import NotRead, counterpart, day, number
from valuation.instruments import schedules

CONVENTIONS = {
    "FOLLOWING": "Following", "MODFOLLOWING": "ModifiedFollowing", "PRECEDING": "Preceding", "MODPRECEDING": "ModifiedPreceding",
    "NONE": "Unadjusted", "NotApplicable": "Unadjusted",
}  # fmt: skip
DAY_COUNTS = {
    "ACT/360": "Actual360",
    "ACT/365.FIXED": "Actual365Fixed",
    "ACT/ACT.ICMA": "ActualActualISMA",
    "ACT/ACT.ISDA": "ActualActualISDA",
    "30/360": "Thirty360",
    "30E/360": "Thirty360European",
}
TERM = "1T"  # the period that is the whole term
# Elements that say nothing of the value, with all that is in them: names, sources and hours, notices, what law and settlement need,
# and what repeats the amounts. A lag of fixings and of settlement of a few days is of no instrument here, which the documentation says.
_SILENT = """
primaryAssetClass secondaryAssetClass assetClass productType productId embeddedOptionType description exchangeId
relatedExchangeId optionsExchangeId clearanceSystem informationSource fxSpotRateSource primaryRateSource
settlementRateSource rateSource expiryTime expirationTime earliestExerciseTime latestExerciseTime cutName
observationStartTime observationEndTime equityExpirationTimeType equityExpirationTime valuationTime
determinationMethod exerciseProcedure automaticExercise calculationAgent equityValuation settlementType settlementDate
settlementPriceSource settlementInformation settlementMethodElection clearingInstructions extraordinaryEvents
methodOfAdjustment dividendConditions representations marketDisruption disruptionFallbacks dealtCurrency exchangeRate
spotRate soldAs tenorName tenorPeriod quoteBasis adjustedDate adjustedPaymentDates fixingDates initialFixingDate
fixingDateOffset resetDatesAdjustments relevantUnderlyingDate swaptionAdjustedDates finalRateRounding stubPeriodType
calculationPeriodNumberOfDays interest premiumPerUnit premiumQuote pricePerOption percentageOfNotional premiumType
referenceObligation noReferenceObligation unknownReferenceObligation allGuarantees securedList creditEvents
obligations physicalSettlementTerms quotationStyle marketFixedRate indexId indexAnnexDate indexAnnexSource
indexAnnexVersion entityType seniority initialLevel closingLevel expectedN vegaNotionalAmount
exchangeTradedContractNearest multipleExchangeIndexAnnexFallback componentSecurityIndexAnnexFallback localJurisdiction
relevantJurisdiction unit priceUnit quantityUnit specifiedPrice commodityBase commodityDetails deliveryLocation
indexSource mainPublication fallbackBondApplicable allocations masterAgreement standardSettlementStyle
equityEffectiveDate latestExerciseTimeType latestValueDate fixingTime
"""
SILENT = frozenset(_SILENT.split())

Terms = dict[str, Any]


@dataclass(frozen=True)
class Holding:
    """A quantity of a contract that a trade is, or is one of. label : what tells it from the others of the trade."""

    instrument_type: str
    quantity: Decimal
    terms: Terms
    label: str = ""


@dataclass(frozen=True)
class Adjustments:
    """How a day moves off a holiday; without a calendar, it was not said which days are holidays."""

    calendar: str | None = None
    convention: str | None = None

    def terms(self) -> Terms:
        return {"calendar": self.calendar, "business_day_convention": self.convention}

    def moved(self, when: dt.date) -> dt.date:
        return schedules.payment_date(when, self.calendar or "none", self.convention or "Unadjusted")


@dataclass(frozen=True)
class Deal:
    """What a product is read with: us, the id of the party whose file it is; the day; what the ids of the document stand for; and
    the day of the trade."""

    us: str
    as_of: dt.date
    ids: Mapping[str, Element]
    traded: dt.date | None = None

    def is_us(self, of: Element, one: str, other: str) -> bool:
        """Whether the party referred to by element `one` is us; raises `NotRead` unless one of both is."""
        sides = [e.attributes.get("href") for e in (of.one(one), of.one(other)) if e is not None]
        if len(sides) != 2 or self.us not in sides or sides[0] == sides[1]:
            raise NotRead(f"{of.name} is not between the party and another")
        return sides[0] == self.us

    def receives(self, of: Element) -> bool:
        return self.is_us(of, "receiverPartyReference", "payerPartyReference")

    def sign(self, of: Element) -> int:
        """1 where we have bought, -1 where we have sold."""
        return 1 if self.is_us(of, "buyerPartyReference", "sellerPartyReference") else -1

    def adjustments(self, of: Element | None) -> Adjustments:
        """Of an element with a convention and business centres, which may stand elsewhere; joint ones are joined by +."""
        if of is None:
            return Adjustments()
        said = of.value("businessDayConvention")
        convention = None if said is None else counterpart(CONVENTIONS, said, "businessDayConvention")
        centres = [of.one("businessCenters")]
        for reference in of.all("businessCentersReference"):
            centres.append(self.ids.get(reference.attributes.get("href", "")))
        names = {e.take() for c in centres if c is not None for e in c.all("businessCenter")}
        for name in sorted(names - {*schedules.CALENDARS}):
            known = ", ".join(n for n in schedules.CALENDARS if n.isupper())
            raise NotRead(f"its business centre {name} has no calendar here; those that have: {known}")
        return Adjustments("+".join(sorted(names)) or ("none" if convention == "Unadjusted" else None), convention)

    def payments(self, paid: list[Element], label: str) -> list[Holding]:
        """What is still to be paid, as certain payments: a bill of that face, of which 100 are a unit."""
        due: list[Holding] = []
        for payment in paid:
            sign = 1 if self.receives(payment) else -1
            amount, currency = money(payment, "paymentAmount")
            when, moves = self.date(payment, "paymentDate")
            if moves.moved(when) > self.as_of and amount:
                terms = {"currency": currency, "maturity": when, "discount_curve": currency, **moves.terms()}
                due.append(
                    Holding("zero_bond", sign * amount / 100, terms, f"{label}-{len(due) + 1}" if due else label)
                )
        return due

    def date(self, of: Element, name: str) -> tuple[dt.date, Adjustments]:
        """A date of FpML, adjustable or adjusted, as it stands before moving; raises `NotRead` for one that is relative to others."""
        found = of.one(name)
        if found is None:
            raise NotRead(f"it has no {name}")
        if found.text:
            return xml_date(found.take(), name), Adjustments()
        if found.one("relativeDate") is not None:
            raise NotRead(f"its {name} is given relative to another date")
        inner = found.one("adjustableDate") or found
        text = inner.value("unadjustedDate")
        if text is None:
            return xml_date(inner.value("adjustedDate"), name), Adjustments()
        return xml_date(text, name), self.adjustments(inner.one("dateAdjustments"))

    def moved_date(self, of: Element, name: str) -> dt.date:
        """The business day that a date is moved to."""
        when, moves = self.date(of, name)
        return moves.moved(when)


Read = Callable[[Element, Deal], list[Holding]]


def unread(element: Element) -> Iterator[str]:
    """What of a product nobody has read."""
    for child in element.children:
        if child.name in SILENT:
            continue
        if child.text and not child.read:
            yield f"{child.name} of {element.name}"
        yield from unread(child)


def xml_date(text: str | None, what: str) -> dt.date:
    """A date of XML, which may have a time zone or an hour behind it."""
    found = day(re.sub(r"(?<=\d{4}-\d\d-\d\d)(T.*|Z|[+-]\d\d:\d\d)$", "", (text or "").strip()) or None, what)
    if not 1902 <= found.year <= 2198:  # the years of the calendars
        raise NotRead(f"{what} is {found}; years reach from 1902 to 2198")
    return found


def whole(text: str | None, what: str) -> int:
    """A whole number of days or months."""
    found = number(text, what)
    if found != int(found):
        raise NotRead(f"{what} is {text}, not a whole number")
    return int(found)


def positive(amount: Decimal, what: str) -> Decimal:
    if amount <= 0:
        raise NotRead(f"{what} is {amount}, not above zero")
    return amount


def date_of(of: Element, name: str) -> dt.date | None:
    text = of.value(name)
    return None if text is None else xml_date(text, name)


def money(of: Element, *path: str) -> tuple[Decimal, str]:
    currency = of.value(*path, "currency")
    if currency is None:
        raise NotRead(f"{path[-1] if path else of.name} has no currency")
    return number(of.value(*path, "amount"), f"{'/'.join(path)}/amount"), currency


def period(of: Element, *path: str) -> str | None:
    """A period such as 6M; None where there is none."""
    multiplier, unit = of.value(*path, "periodMultiplier"), of.value(*path, "period")
    return None if multiplier is None or unit is None else f"{multiplier}{unit}"


def says(of: Element, *path: str) -> bool:
    """Whether a flag is there and true."""
    return (of.value(*path) or "").lower() in ("true", "1")


def expiry(option: Element, deal: Deal, kinds: Mapping[str, str]) -> tuple[str, dt.date]:
    """What the style of an option makes it, by the name of its exercise, and its last day; raises `NotRead` for other styles."""
    for style, kind in kinds.items():
        for exercise in option.below(style):
            when = date_of(exercise, "expiryDate")
            exercise.value("valueDate")  # some days later
            commencement = exercise.one("commencementDate")
            if commencement is not None and deal.moved_date(exercise, "commencementDate") > deal.as_of:
                raise NotRead("it can be exercised from a later day on, which is not read")
            return kind, deal.moved_date(exercise, "expirationDate") if when is None else when
    raise NotRead(f"it has no {' or '.join(kinds)}")
