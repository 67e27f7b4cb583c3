"""Exposure at default of the netting sets of a book: what a question about SA-CCR, credit RWA and BA-CVA start from.

The value of a trade is the base value of its contract in a sealed valuation set; nothing is priced again. Agreements, collateral and
classifications are those of the date.
"""

from __future__ import annotations

import bisect
import dataclasses
import datetime as dt
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from pydantic import BaseModel, Field

from aggregation.exposure.netting_sets import Balance, NettingSets, base_rates, netting_sets
from aggregation.exposure.reference import classifications_of
from aggregation.kernels.sa_ccr import margin_periods
from aggregation.opened.alignment import COVERED, FAILED, MISSING
from aggregation.opened.inputs import Inputs, open_inputs
from aggregation.opened.remembered import remembered
from aggregation.receipts import name_inputs
from aggregation.reduce.selection import Selection, open_selection
from aggregation.regimes.regimes import Regime, RegimeName, regime_of
from aggregation.regulatory.sa_ccr.classing import CLASSED, OPTIONS, PROTECTION, UnitRows, unit_rows
from aggregation.regulatory.sa_ccr.parameters import Offset, SaCcr
from aggregation.regulatory.sa_ccr.portfolio import Exposures, Margins, Portfolio, portfolio
from aggregation.regulatory.sa_ccr.rows import Context
from aggregation.session import Session
from aggregation.types import Coverage, DimensionName, Scope, as_model
from lake.arrays import Bools, Codes, Floats, Ints
from lake.dates import Day
from lake.errors import BadInput, counted, unknown
from lake.words import first_of
from scenarios.store import load_scenario_set
from valuation.books.contracts import contracts_by_id
from valuation.catalogue import terms_from_json
from valuation.market.scenario_market import ScenarioMarket
from valuation.types import Contract, ValuationFailure, failures_in_words

NETTING_SET = "netting_set"
OUT_OF_SCOPE = 3  # state of a position, beside those of the alignment
SECONDS_A_CONTRACT = 1.5e-4  # of a core, to find the rows of a contract


class ReferenceDates(BaseModel):
    """Days of the reference data, where they are not those of the question."""

    agreements_date: Day | None = Field(None, description="date of the netting and margin agreements, when not as_of")
    collateral_date: Day | None = Field(None, description="date of the balances of collateral, when not as_of")
    reference_date: Day | None = Field(
        None, description="date of counterparties and classifications, such as ratings and sectors, when not as_of"
    )


class SaCcrQuery(ReferenceDates, Scope):
    """Whose exposure at default, on which day, under which rules."""

    by: tuple[DimensionName, ...] = Field(
        (NETTING_SET,),
        max_length=16,
        description="dimensions to group by, outermost first, or netting_set; empty for the total alone",
    )
    regime: RegimeName = "basel"
    rate_offset: Offset = Field(
        "formula",
        description="how maturities of one interest rate offset: formula, or none, where the absolute amounts are added",
    )
    illiquid: tuple[str, ...] = Field(
        (),
        max_length=10_000,
        description="agreements with illiquid collateral or trades that are hard to replace, whose margin period is longer",
    )

    @property
    def known_on(self) -> dt.date:
        """The date of counterparties and classifications."""
        return self.reference_date or self.as_of

    @property
    def agreed_on(self) -> dt.date:
        """The date of the agreements."""
        return self.agreements_date or self.as_of

    @property
    def balanced_on(self) -> dt.date:
        """The date of the balances of collateral."""
        return self.collateral_date or self.as_of


@dataclass(frozen=True)
class Trades:
    """The positions that are asked about, in the order of the book.

    position : (n,) places in the book. set_of : (n,) netting set. contract : (n,) place among the contracts. quantity, value : (n,), the
    value in the reporting currency. state : (n,) COVERED, FAILED, MISSING or OUT_OF_SCOPE; only those covered have an exposure.
    """

    position: Ints
    set_of: Codes
    contract: Ints
    quantity: Floats
    value: Floats
    state: Codes

    @property
    def covered(self) -> Bools:
        return np.asarray(self.state == COVERED)


@dataclass(frozen=True)
class NettedExposures:
    """Exposures at default by netting set, with all they were made from.

    nets : the netting sets; `exposures.ead[code]` is that of set `code`, zero of a set without a trade in scope. counts : (n_sets, 4)
    trades by state. exception : what a trade alone is under in place of the formulas, empty for most sets. initial : net independent
    collateral of each set. entries : (n_entries,) trade of each risk position, entry_row : its row among those of its contract's unit.
    """

    query: SaCcrQuery
    regime: Regime
    parameters: SaCcr
    inputs: Inputs
    selection: Selection
    nets: NettingSets
    contracts: tuple[Contract, ...]
    units: UnitRows
    trades: Trades
    portfolio: Portfolio
    exposures: Exposures
    counts: Ints
    exception: Mapping[int, str]
    entries: Ints
    entry_row: Ints
    failures: tuple[tuple[ValuationFailure, int], ...]
    out_of_scope: tuple[tuple[str, str, int], ...]
    notes: tuple[str, ...]

    @property
    def coverage(self) -> Coverage:
        """Of the trades in scope."""
        covered, failed, missing, _ = self.counts.sum(axis=0).tolist()
        return Coverage(covered + failed + missing, covered, failed, missing)

    @property
    def nbytes(self) -> int:
        """About what it takes in memory beside the rows of the contracts."""
        return 100 * len(self.trades.position) + 100 * len(self.entries) + 300 * len(self.nets)

    @property
    def in_scope(self) -> Ints:
        """The netting sets with a trade in scope, ascending."""
        return np.flatnonzero(self.counts[:, :OUT_OF_SCOPE].sum(axis=1) > 0)


def without_any(counts: Ints) -> Bools:
    """Where trades are in scope and none has an exposure, (n,): there is no figure, which is not one of zero. counts : (n, 4) by state."""
    return np.asarray((counts[:, COVERED] == 0) & (counts[:, :OUT_OF_SCOPE].sum(axis=1) > 0))


def maturity_sums(found: NettedExposures) -> tuple[Floats, Floats]:
    """Of the risk positions of each netting set the sum of notionals, and of notionals times maturities in years, (n_sets,) each."""
    of_units, trades = found.units.trades, found.trades
    weight = np.abs(of_units.notional[found.entry_row] * trades.quantity[found.entries])
    set_of, n = trades.set_of[found.entries], len(found.nets)
    by_time = weight * of_units.maturity[found.entry_row]
    one, two = (np.asarray(np.bincount(set_of, weights=w, minlength=n), np.float64) for w in (weight, by_time))
    return one, two


def effective_maturities(found: NettedExposures) -> Floats:
    """Effective maturity of each netting set in years, CRE32.49: that of its risk positions, weighted by their notionals and before any
    floor; NaN of one without any, (n_sets,)."""
    notional, by_time = maturity_sums(found)
    years = np.full(len(found.nets), np.nan)
    np.divide(by_time, notional, out=years, where=notional > 0.0)
    return years


def ead_by_netting_set(session: Session, query: SaCcrQuery) -> NettedExposures:
    """The exposures of the netting sets of what the query filters; its `by` is not looked at.

    Raises as `open_inputs` and `regime_of` do, and `BadInput` for an unknown agreement. What cannot be computed is among the failures and
    in the counts, never zero in silence.
    """
    regime = regime_of(query.regime, query.as_of, session.lake)
    parameters = regime.section("sa_ccr", SaCcr)
    if query.rate_offset not in parameters.interest_rate.offsets:
        raise unknown("rate_offset", query.rate_offset, parameters.interest_rate.offsets)
    scope = as_model(Scope, query).model_copy(update={"by": ()})
    inputs = open_inputs(session.cache, scope)
    selection = open_selection(inputs, scope)

    def make() -> NettedExposures:
        contracts, units = _units(inputs, query, regime, parameters)
        nets = netting_sets(
            inputs.snapshot, session.cache, inputs.book, selection.keep, query.agreed_on, query.balanced_on
        )
        check_agreements(query, nets)
        trades = trades_held(selection, nets.position, nets.code, contracts, units)
        return netted(query, regime, parameters, selection, nets, contracts, units, trades)

    versions = tuple(reference_versions(inputs).values())
    key = (
        "sa-ccr",
        query.where,
        query.illiquid,
        query.agreed_on,
        query.balanced_on,
        versions,
        *_key(inputs, query, regime),
    )
    made = remembered(key, (inputs.book, inputs.vectors, inputs.alignment), make, lambda f: f.nbytes)
    return dataclasses.replace(made, query=query, inputs=inputs, selection=selection)


def reference_versions(inputs: Inputs) -> dict[str, int]:
    """The versions of the tables of reference data that are read."""
    return {name: inputs.snapshot.lake.version(name) for name in ("agreements", "collateral", "classifications")}


def receipt_of(found: NettedExposures) -> dict[str, Any]:
    """What an answer's receipt says of what was read."""
    named = name_inputs(found.inputs)
    versions = {**named["table_versions"], **reference_versions(found.inputs)}
    return {**named, "table_versions": versions, **found.regime.named}


def _key(inputs: Inputs, query: SaCcrQuery, regime: Regime) -> tuple[str, ...]:
    """What rows depend on beside the book and the classifications."""
    days = str(query.as_of), str(query.known_on)
    return query.currency, query.rate_offset, regime.digest, inputs.valuation_set.scenario_set_id, *days


def netted(
    query: SaCcrQuery,
    regime: Regime,
    parameters: SaCcr,
    selection: Selection,
    nets: NettingSets,
    contracts: tuple[Contract, ...],
    units: UnitRows,
    trades: Trades,
) -> NettedExposures:
    """The exposures of trades whose netting sets and rows are known."""
    counts = np.zeros((len(nets), 4), dtype=np.int64)
    np.add.at(counts, (trades.set_of, trades.state), 1)
    entries, entry_row = entries_of(units, trades)
    entities = sorted(set(units.entities))
    number = {e: i for i, e in enumerate(entities)}
    of_row = np.array([number[e] for e in units.entities], dtype=np.int32)
    most, exception = exceptions(query, parameters, nets, trades, contracts, selection.inputs)
    margins = margins_of(query, parameters, nets, counts, selection.inputs, most)
    kept = trades.covered
    held = portfolio(
        parameters,
        entities,
        trades.set_of[entries],
        of_row[entry_row],
        units.notional[entry_row] * trades.quantity[entries],
        units.factor[entry_row],
        trades.set_of[kept],
        trades.value[kept],
        margins,
    )
    failures = _failures(selection, trades, contracts, units)
    out = Counter(contracts[c].instrument_type for c in trades.contract[trades.state == OUT_OF_SCOPE].tolist())
    return NettedExposures(
        query,
        regime,
        parameters,
        selection.inputs,
        selection,
        nets,
        contracts,
        units,
        trades,
        held,
        held.exposures(),
        counts,
        exception,
        entries,
        entry_row,
        failures,
        tuple((kind, str(CLASSED[kind]), n) for kind, n in sorted(out.items())),
        _notes(query, regime, nets, counts, units, failures, out, exception),
    )


def _units(
    inputs: Inputs, query: SaCcrQuery, regime: Regime, parameters: SaCcr
) -> tuple[tuple[Contract, ...], UnitRows]:
    """The contracts of the book and their rows; kept for the next question of the same day, currency and regime."""

    def make() -> tuple[tuple[Contract, ...], UnitRows]:
        contracts = tuple(Contract.of(contracts_by_id(inputs.snapshot.lake, inputs.book.contract_ids)))
        context = context_of(inputs, query, parameters)
        return contracts, unit_rows(context, contracts)

    key = ("sa-ccr rows", inputs.snapshot.lake.version("classifications"), *_key(inputs, query, regime))
    return remembered(key, (inputs.book, inputs.vectors), make, lambda made: 1000 * len(made[1].rows))


def context_of(inputs: Inputs, query: SaCcrQuery, parameters: SaCcr) -> Context:
    """What rows are made from: the base market of the valuation set, and the classifications of the day."""
    scenarios = load_scenario_set(inputs.snapshot, inputs.valuation_set.scenario_set_id)
    market = ScenarioMarket.of(scenarios, inputs.valuation_set.valuation_date, stop=0)
    lake = inputs.snapshot.lake
    classified = remembered(
        ("classifications", lake.version("classifications"), query.known_on),
        (inputs.book,),
        lambda: classifications_of(lake, query.known_on),
        lambda found: 500 * len(found),
    )
    return Context(
        query.as_of,
        query.currency,
        market,
        parameters,
        classified,
        query.rate_offset,
    )


def check_agreements(query: SaCcrQuery, nets: NettingSets) -> None:
    """Raises `BadInput` for an illiquid agreement that is none of the netting sets'."""
    known = [a.agreement for a in nets.agreements]
    for name in query.illiquid:
        if name not in known:
            raise unknown("agreement", name, known, pointer="illiquid")


def trades_held(
    selection: Selection, position: Ints, set_of: Codes, contracts: Sequence[Contract], units: UnitRows
) -> Trades:
    """The positions with their values and states; one whose contract has a value but no rows has failed too."""
    inputs = selection.inputs
    book, vectors, alignment = inputs.book, inputs.vectors, inputs.alignment
    contract = np.searchsorted(book.starts, position, side="right") - 1
    row = alignment.row[contract]
    there = row >= 0
    value = np.zeros(len(position))
    value[there] = book.quantity[position[there]] * (
        vectors.base[row[there]] * selection.rates.base[vectors.currency[row[there]]]
    )
    state = alignment.state[contract].astype(np.int32)
    unrowed = np.zeros(len(contracts), np.bool_)
    unrowed[list(units.failed)] = True
    state[(state == COVERED) & unrowed[contract]] = FAILED
    outside = np.array([isinstance(CLASSED.get(c.instrument_type), str) for c in contracts], np.bool_)
    state[outside[contract]] = OUT_OF_SCOPE
    return Trades(position, set_of, contract, book.quantity[position], value, state)


def entries_of(units: UnitRows, trades: Trades) -> tuple[Ints, Ints]:
    """Trade and row of each risk position of the covered trades, in the order of trades, then rows."""
    kept = np.flatnonzero(trades.covered)
    first, stop = units.starts[trades.contract[kept]], units.starts[trades.contract[kept] + 1]
    n = stop - first
    entries = np.repeat(kept, n)
    within = np.arange(len(entries)) - np.repeat(np.cumsum(n) - n, n)
    return entries, np.repeat(first, n) + within


def margins_of(
    query: SaCcrQuery,
    parameters: SaCcr,
    nets: NettingSets,
    counts: Ints,
    inputs: Inputs,
    most: Floats,
    codes: Sequence[int] | None = None,
) -> Margins:
    """What is agreed and held of each netting set, or of those of `codes` alone, 52.16-52.18 and 52.50-52.51.

    counts : (n, 4) trades by state. most : (n,) of the exceptions.

    C is variation margin and net independent collateral (NICA): the independent amount of the agreement and the balances of initial margin
    that are received, less those posted and not segregated.
    """
    chosen = range(len(nets)) if codes is None else codes
    n, under = len(chosen), len(nets.agreements)
    rates = base_rates(inputs, nets.currencies, query.currency)
    variation, independent = np.zeros(n), np.zeros(n)
    margined, least = np.zeros(n, np.bool_), np.zeros(n)
    agreed, frequency, disputed, illiquid = np.zeros(n), np.ones(n), np.zeros(n, np.bool_), np.zeros(n, np.bool_)
    for i, code in enumerate(chosen):
        if code >= under:
            continue
        agreement = nets.agreements[code].converted(query.currency, rates[nets.agreements[code].currency])
        independent[i] = agreement.independent_amount
        first = bisect.bisect_left(nets.balances, code, key=_code)
        for b in nets.balances[first : bisect.bisect_right(nets.balances, code, key=_code)]:
            if b.kind == "variation":
                variation[i] += b.amount * rates[b.currency]
            elif b.amount > 0.0 or not b.segregated:
                independent[i] += b.amount * rates[b.currency]
        if not agreement.margined:
            continue
        if not agreement.margin_period_days or not agreement.margin_frequency_days:
            raise BadInput(
                f"Agreement {agreement.agreement} is margined, with a margin period of {agreement.margin_period_days} and calls every "
                f"{agreement.margin_frequency_days} business days; expected one or more of each. Correct the table agreements."
            )
        margined[i] = True
        least[i] = agreement.threshold + agreement.minimum_transfer_amount - independent[i]
        agreed[i], frequency[i] = agreement.margin_period_days, agreement.margin_frequency_days
        disputed[i], illiquid[i] = agreement.disputed, agreement.agreement in query.illiquid
    of = parameters.margin_period
    period = margin_periods(
        agreed,
        frequency,
        counts[:, :OUT_OF_SCOPE].sum(axis=1),
        illiquid,
        disputed,
        of.base_business_days,
        of.large_business_days,
        of.large_more_than,
        of.dispute_multiple,
    )
    return Margins(variation + independent, margined, least, np.where(margined, period, np.nan), most)


def _code(balance: Balance) -> int:
    return balance.code


def exceptions(
    query: SaCcrQuery,
    parameters: SaCcr,
    nets: NettingSets,
    trades: Trades,
    contracts: Sequence[Contract],
    inputs: Inputs,
) -> tuple[Floats, dict[int, str]]:
    """What the EAD of each set is at most, and why: of trades outside netting and margin agreements, 52.1 FAQ 1 and 2."""
    most, why = np.full(len(nets), np.inf), dict[int, str]()
    alone = np.flatnonzero(trades.covered & (trades.set_of >= len(nets.agreements)))
    for i in alone.tolist():
        contract, quantity, code = contracts[trades.contract[i]], float(trades.quantity[i]), int(trades.set_of[i])
        if contract.instrument_type in OPTIONS and quantity < 0.0 and parameters.exceptions.sold_options == "zero":
            most[code], why[code] = 0.0, "sold option, premium paid"
        elif contract.instrument_type in PROTECTION and parameters.exceptions.sold_protection == "unpaid_premium":
            terms: Any = terms_from_json(contract.instrument_type, contract.terms)
            if quantity * (1.0 if terms.buy_protection else -1.0) < 0.0:
                rate = base_rates(inputs, [terms.currency], query.currency)[terms.currency]
                days = (terms.maturity - _accruing_from(query.as_of)).days + 1
                most[code] = abs(quantity) * rate * terms.coupon * days / 360.0
                why[code] = "protection sold, at most its unpaid premium"
    return most, why


def _accruing_from(day: dt.date) -> dt.date:
    """The day that the running coupon of a standard default swap accrues from: the 20th of March, June, September or December."""
    quarters = [dt.date(y, m, 20) for y in (day.year - 1, day.year) for m in (3, 6, 9, 12)]
    return max(q for q in quarters if q <= day)


def _failures(
    selection: Selection, trades: Trades, contracts: Sequence[Contract], units: UnitRows
) -> tuple[tuple[ValuationFailure, int], ...]:
    """Why trades in scope have no exposure, each contract with how many positions it has."""
    vectors = selection.inputs.vectors
    told = {
        i: (r, m)
        for i, r, m in zip(
            *(vectors.failures.column(c).to_pylist() for c in ("contract_id", "reason", "message")), strict=True
        )
    }
    held = Counter(trades.contract[(trades.state == FAILED) | (trades.state == MISSING)].tolist())
    found = []
    for place, n in sorted(held.items()):
        contract = contracts[place]
        missing = ("not_valued", "The valuation set has no value of it. Value the book of the day.")
        reason, message = told.get(contract.contract_id) or units.failed.get(place) or missing
        found.append((ValuationFailure(contract.contract_id, contract.instrument_type, reason, message), n))
    return tuple(found)


def _notes(
    query: SaCcrQuery,
    regime: Regime,
    nets: NettingSets,
    counts: Ints,
    units: UnitRows,
    failures: Sequence[tuple[ValuationFailure, int]],
    out: Mapping[str, int],
    exception: Mapping[int, str],
) -> tuple[str, ...]:
    notes = [f"Regime {regime.label}: {regime.title}.", *regime.notes(query.as_of)]
    if lacking := sum(n for _, n in failures):
        why = failures_in_words((f.reason, f.message, n) for f, n in failures)
        notes.append(
            f"{counted(lacking, 'trade has', 'trades have')} no exposure and {'is' if lacking == 1 else 'are'} in no figure. {why}"
        )
    if out:
        kinds = ", ".join(f"{kind} {n:,}" for kind, n in sorted(out.items()))
        notes.append(f"{counted(sum(out.values()), 'position')} of instruments that are no derivatives: {kinds}.")
    if exception:
        kinds = ", ".join(f"{why} {n:,}" for why, n in sorted(Counter(exception.values()).items()))
        notes.append(f"Trades outside netting and margin agreements with a rule of their own: {kinds}.")
    if lifted := {name: shift for name, shift in units.shift.items() if shift > 0.0}:
        named = first_of(f"{name} by {shift:g}" for name, shift in lifted.items())
        notes.append(f"Options on rates and prices that are not positive are lifted for their delta: {named}.")
    return (*notes, *nets.notes)


def with_shift(found: NettedExposures, shift: Mapping[str, float]) -> NettedExposures:
    """The same trades, with other shifts of what is not positive."""
    units = found.units.shifted(found.parameters.rules, shift)
    of = (found.query, found.regime, found.parameters, found.selection, found.nets, found.contracts)
    return netted(*of, units, found.trades)
