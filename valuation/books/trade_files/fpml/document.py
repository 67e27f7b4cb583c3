"""Trades of FpML 5 documents, of the confirmation and the record-keeping view, in a data document or in a message.

FpML says who pays and who receives, not whose file it is: `party` does, by its id in the document or by a party id or name in it; where a
message is on behalf of a party, that is it. What a trade says that its instrument here cannot keep makes it not read, with the reason.
Source: ISDA, *FpML 5 Trade Definitions*, by the names of elements of the schema.
"""

from __future__ import annotations

import datetime as dt
import functools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from decimal import Decimal

from lake.errors import BadInput
from lake.landing.markup import Element
from valuation.books.trade_files.fpml import commodity, credit_swaps, equity, fx, rates
from valuation.books.trade_files.fpml.parts import Deal, Holding, Read, date_of, unread
from valuation.books.trade_files.trade import NotRead, Trade, number, with_terms

_RETRACTED = "Retracted"
# documents and messages that hold trades, by their root element
ROOTS = (
    "dataDocument", "requestConfirmation", "confirmationAgreed", "confirmationRetracted", "executionNotification", "executionAdvice",
    "executionAdviceRetracted", "executionRetracted", "requestClearing", "clearingConfirmed", "tradeChangeAdvice",
    "nonpublicExecutionReport", "nonpublicExecutionReportRetracted",
)  # fmt: skip
READ: Mapping[str, Read] = {  # by product: what reads it
    "fxSingleLeg": fx.fx_single_leg,
    "fxSwap": fx.fx_swap,
    "fxOption": fx.fx_option,
    "fxDigitalOption": fx.fx_digital_option,
    "swap": rates.rate_swap,
    "fra": rates.forward_rate_agreement,
    "capFloor": rates.cap_floor,
    "swaption": rates.swaption,
    "termDeposit": rates.term_deposit,
    "creditDefaultSwap": credit_swaps.default_swap,
    "equityOption": equity.equity_option,
    "equityOptionTransactionSupplement": equity.equity_option,
    "equityForward": equity.equity_forward,
    "varianceSwap": equity.variance_swap,
    "varianceSwapTransactionSupplement": equity.variance_swap,
    "commoditySwap": commodity.commodity_swap,
    "commodityOption": commodity.commodity_option,
    "commodityForward": commodity.commodity_forward,
}
# what stands beside the product in a trade and says nothing of its value
_BESIDE = frozenset(
    (
        "tradeHeader",
        "otherPartyPayment",
        "brokerPartyReference",
        "calculationAgent",
        "calculationAgentBusinessCenter",
        "determiningParty",
        "barrierDeterminingAgent",
        "hedgingParty",
        "collateral",
        "documentation",
        "governingLaw",
        "allocations",
        "approvals",
        "calculationAgentParty",
    )
)
_EVENTS = ("amendment", "increase", "termination")
_DESKS = {"tradingdesk": "desk", "desk": "desk", "book": "book", "tradingbook": "book"}
_Made = Callable[[], list[Trade]]


def trades(root: Element, as_of: dt.date, party: str | None) -> Iterator[tuple[Element, str, _Made]]:
    """Every trade and event of the document: where it stands, what it is called, and what reads it.

    Raises `BadInput` for an unknown party, and for another version than 5.
    """
    version = root.attributes.get("fpmlVersion", "5")
    if version.partition("-")[0] != "5":
        raise BadInput(f"This is FpML {version}; FpML 5 is read.")
    deal = Deal(_us(root, party), as_of, _by_id(root))
    for element in root.children:
        if element.name == "trade":
            yield element, _named(element, deal), functools.partial(_whole, element, root, deal)
        elif element.name in _EVENTS:
            yield element, _named(element, deal), functools.partial(_event, element, root, deal)
        elif root.name.endswith(_RETRACTED) and element.name in ("tradeIdentifier", "partyTradeIdentifier"):
            yield element, _named(element, deal), functools.partial(_removed, _trade_id(element, deal.us))
        elif (
            next(element.below("tradeHeader"), None) is not None
            or next(element.below("tradeIdentifier"), None) is not None
        ):
            yield element, f"{_trade_id(element, deal.us)} ({element.name})", functools.partial(_unknown, element.name)


def _by_id(root: Element) -> dict[str, Element]:
    found = {root.attributes["id"]: root} if "id" in root.attributes else {}
    for child in root.children:
        found |= _by_id(child)
    return found


def _us(root: Element, party: str | None) -> str:
    """The id in the document of the party whose file it is."""
    known: dict[str, str] = {}
    for found in root.all("party"):
        own = found.attributes.get("id", "")
        names = (own, *(e.text for e in found.children if e.name in ("partyId", "partyName")))
        known |= {name: own for name in names if name}
    behalf = root.one("onBehalfOf", "partyReference")
    if party is None and behalf is not None:
        party = behalf.attributes.get("href")
    if party is None or party not in known:
        given = "does not say whose it is; give" if party is None else f"has no party {party!r};"
        raise BadInput(
            f"An FpML document {given} with --party one of {', '.join(known) or 'its parties, of which it has none'}."
        )
    return known[party]


def _trade_id(of: Element, us: str) -> str:
    """The id that we gave it, else the first."""
    header = of if of.name == "tradeHeader" else next(of.below("tradeHeader"), of)
    given = [i for n in ("partyTradeIdentifier", "tradeIdentifier") for i in header.below(n)]
    named = [
        (
            i.value("tradeId") or i.value("versionedTradeId", "tradeId"),
            (i.one("partyReference") or i).attributes.get("href"),
        )
        for i in (given or [header])
    ]
    ours = [t for t, of in named if t and of == us] or [t for t, _ in named if t]
    return ours[0] if ours else ""


def _products(trade: Element) -> list[Element]:
    return [c for c in trade.children if c.name not in _BESIDE]


def _named(element: Element, deal: Deal) -> str:
    trade = element if element.name == "trade" else element.one("trade") or element.one("originalTrade") or element
    kind = (
        next((p.name for p in _products(trade)), "none")
        if trade is not element or element.name == "trade"
        else element.name
    )
    return f"{_trade_id(element, deal.us)} ({kind})"


def _unknown(name: str) -> list[Trade]:
    raise NotRead(f"events of type {name} are not read; those that are: {', '.join(_EVENTS)}")


def _removed(trade_id: str) -> list[Trade]:
    if not trade_id:
        raise NotRead("it has no tradeId")
    return [Trade(trade_id, "", Decimal(0), {}, {}, action="remove")]


def _whole(trade: Element, root: Element, deal: Deal) -> list[Trade]:
    if root.name.endswith(_RETRACTED):
        return _removed(_trade_id(trade, deal.us))
    return _trade(trade, root, deal)


def _trade(
    trade: Element, root: Element, deal: Deal, share: Decimal = Decimal(1), action: str | None = None
) -> list[Trade]:
    """A trade as positions, one for each contract that it is; share : the part of its notional that is left."""
    if not (trade_id := _trade_id(trade, deal.us)):
        raise NotRead("it has no tradeId")
    products = _products(trade)
    if len(products) != 1:
        raise NotRead(f"it has {len(products)} products")
    (product,) = products
    if product.name not in READ:
        raise NotRead(f"trades of type {product.name} are not read; those that are: {', '.join(READ)}")
    header = trade.one("tradeHeader")
    # ids of the trade itself go first: files that were put together repeat them
    known = replace(
        deal, ids={**deal.ids, **_by_id(trade)}, traded=None if header is None else date_of(header, "tradeDate")
    )
    parts = READ[product.name](product, known)
    if (left := next(unread(product), None)) is not None:
        raise NotRead(f"{left} is not read")
    owners = {"counterparty": _counterparty(product, root, deal), **_owners(trade, deal)}
    parts += deal.payments([p for p in trade.all("otherPartyPayment") if _is_ours(p, deal)], "fee")
    return [
        with_terms(_label(trade_id, part), part.instrument_type, part.quantity * share, part.terms, owners, action)
        for part in parts
    ]


def _label(trade_id: str, part: Holding) -> str:
    return f"{trade_id}/{part.label}" if part.label else trade_id


def _is_ours(payment: Element, deal: Deal) -> bool:
    return deal.us in {e.attributes.get("href") for e in payment.children}


def _counterparty(product: Element, root: Element, deal: Deal) -> str:
    sides = ("payerPartyReference", "receiverPartyReference", "buyerPartyReference", "sellerPartyReference")
    parties = {p.attributes.get("href", "") for side in sides for p in product.below(side)}
    others = sorted(parties - {deal.us})
    if deal.us not in parties or len(others) != 1:
        raise NotRead("it is not between the party and one other")
    names = {p.attributes.get("id"): p.value("partyName") or p.value("partyId") for p in root.all("party")}
    return names.get(others[0]) or others[0]


def _owners(trade: Element, deal: Deal) -> dict[str, str | None]:
    """What our side says of the trade: its desk and book, its account, and who traded it."""
    found: dict[str, str | None] = {}
    for told in trade.all("tradeHeader", "partyTradeInformation"):
        if (told.one("partyReference") or told).attributes.get("href") != deal.us:
            continue
        for unit in told.all("relatedBusinessUnit"):
            named = _referred(unit, "businessUnitReference", deal)
            dimension = _DESKS.get((unit.value("role") or "").lower())
            if named is not None and dimension:
                found[dimension] = named.value("name") or named.value("businessUnitId")
        for person in told.all("relatedPerson"):
            named = _referred(person, "personReference", deal)
            if named is not None and (person.value("role") or "").lower() == "trader":
                found["trader"] = named.value("personId") or named.value("surname")
        account = _referred(told, "accountReference", deal)
        if account is not None:
            found["account"] = account.value("accountName") or account.value("accountId")
    return found


def _referred(of: Element, name: str, deal: Deal) -> Element | None:
    reference = of.one(name)
    return None if reference is None else deal.ids.get(reference.attributes.get("href", ""))


def _event(event: Element, root: Element, deal: Deal) -> list[Trade]:
    """What became of a trade: an amended one takes its place, a notional that grew or shrank too, and an ended one leaves the book."""
    when = date_of(event, "effectiveDate")
    if when is not None and when > deal.as_of:
        raise NotRead(f"its {event.name} takes effect on {when}")
    if root.name.endswith(_RETRACTED):
        raise NotRead(f"it takes back an {event.name}; bring the trade as it stands now")
    paid = deal.payments(event.all("payment"), event.name)
    trade = event.one("trade") or event.one("originalTrade")
    if event.name == "amendment":
        if trade is None:
            raise NotRead("its amendment has no trade")
        made = _trade(trade, root, deal, action="amend")
    else:
        made = _resized(event, trade, root, deal)
    if len({t.trade_id for t in made}) > 1 and event.name == "amendment":
        raise NotRead(
            "it is several contracts, and how many it was before is not known; bring the whole book with --replace-dates"
        )
    owners = made[0].owners
    return [
        *made,
        *(with_terms(_label(made[0].trade_id, p), p.instrument_type, p.quantity, p.terms, owners) for p in paid),
    ]


def _resized(event: Element, trade: Element | None, root: Element, deal: Deal) -> list[Trade]:
    """A trade whose notional has changed; without what is outstanding, a termination is of the whole."""
    change = [number(e.value("amount"), e.name) for e in event.all("changeInNotionalAmount")]
    left = [number(e.value("amount"), e.name) for e in event.all("outstandingNotionalAmount")]
    if event.name == "termination" and not any(left):
        if trade is None:
            return _removed(_trade_id(event, deal.us))
        return [removed for made in _trade(trade, root, deal) for removed in _removed(made.trade_id)]
    if trade is None or not change or len(change) != len(left):
        raise NotRead(f"its {event.name} has no originalTrade, or does not say what changes and what is outstanding")
    sign = 1 if event.name == "termination" else -1
    shares = {rest / (rest + sign * by) for rest, by in zip(left, change, strict=True) if rest + sign * by > 0}
    if len(shares) != 1:
        raise NotRead("what is outstanding is not the same part of each notional")
    return _trade(trade, root, deal, shares.pop(), action="amend")
