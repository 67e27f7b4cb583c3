"""QUESTIONS: everything that can be asked, by name. The one place to add one: a `Question` in a module, and a line here.

From this table come the command line, the routes of the API and their plans, jobs, replays of receipts and the tables of the
documentation. A question is looked up only when it is asked: its module is imported then, and not before.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from lake.errors import NotAllowed, VarlakeError, unknown, validated
from lake.progress import Stopped, allowance

if TYPE_CHECKING:
    from aggregation.question import Plan, Question
    from aggregation.session import Session


@dataclass(frozen=True)
class Entry:
    """A line of QUESTIONS. place : `module:NAME` of its `aggregation.question.Question`. meaning : what it answers."""

    place: str
    meaning: str

    @functools.cached_property
    def question(self) -> Question[Any]:
        """The question, from its module."""
        module, _, name = self.place.partition(":")
        found: Question[Any] = getattr(importlib.import_module(f"aggregation.{module}"), name)
        return found


QUESTIONS: dict[str, Entry] = {
    "var": Entry("risk.table:VAR", "Value-at-Risk and other measures, by any combination of dimensions."),
    "intraday": Entry(
        "live.intraday:INTRADAY",
        "VaR of a day that is not over: its trades and newest levels so far, what they rest on, and the change since the open.",
    ),
    "pivot": Entry(
        "risk.pivot:PIVOT", "A cross table with the totals of rows, columns and all, each from its own net positions."
    ),
    "series": Entry(
        "risk.series:SERIES", "Any measure on every day of a range, by any dimension; a day without an answer says why."
    ),
    "pnl": Entry(
        "risk.scenario_pnl:PNL",
        "P&L of each group in each scenario: all, chosen ones, the worst, or counted into a histogram.",
    ),
    "drill": Entry("risk.drill:DRILL", "From a node to its trades or contracts, in its tail scenarios."),
    "contributions": Entry(
        "contributions.contributions:CONTRIBUTIONS",
        "What makes up a VaR or ES: components that add up to the last bit, standalone, marginal and incremental.",
    ),
    "parametric": Entry(
        "contributions.parametric:PARAMETRIC",
        "VaR or ES from sensitivities and a covariance, delta-normal and delta-gamma, by group, risk factor and class.",
    ),
    "greeks": Entry(
        "stress.greeks:GREEKS_QUESTION",
        "Delta, gamma, PV01, CS01, vega and theta of any node, by risk factor, curve or class, of stored valuations.",
    ),
    "taylor": Entry(
        "stress.taylor:TAYLOR",
        "VaR or ES by full revaluation beside that of the sensitivities, and what they leave unexplained by node.",
    ),
    "crif": Entry(
        "contributions.crif:CRIF_FILE",
        "First-order sensitivities by trade in the columns of ISDA's CRIF, for another system.",
    ),
    "risk-classes": Entry(
        "contributions.risk_classes:RISK_CLASSES",
        "VaR and ES by risk class: each shocked alone, standalone, which does not add up.",
    ),
    "compare": Entry(
        "change.compare:COMPARE", "The same question on two days, sets or branches, and the difference by group."
    ),
    "explain": Entry(
        "change.explain_question:EXPLAIN",
        "Why VaR or ES changed between two points, by member and cause, adding up exactly.",
    ),
    "explain-drill": Entry(
        "change.explain_question:EXPLAIN_DRILL", "A cell of an explanation as trades and scenarios that add up to it."
    ),
    "drivers": Entry(
        "change.drivers:DRIVERS",
        "The few members, over all dimensions and their combinations, that explain most of a change of VaR or ES.",
    ),
    "pnl-explain": Entry(
        "change.pnl_explain:PNL_EXPLAIN",
        "Why a book is worth what it is: trades, ageing, the market by risk class, currency.",
    ),
    "reconcile": Entry(
        "change.reconciliation:RECONCILE",
        "Which estimator, tail, window, weighting, currency or other convention gives another system's number.",
    ),
    "parameter-sensitivity": Entry(
        "change.parameter_sensitivity:PARAMETER_SENSITIVITY",
        "How VaR and ES move with their parameters: confidence, window, decay, number of scenarios, estimator.",
    ),
    "what-if": Entry(
        "whatif.request:WHAT_IF",
        "What added, removed and scaled trades do to VaR and ES: before, after, and each change alone.",
    ),
    "limit-hedge": Entry(
        "whatif.limit_hedge:LIMIT_HEDGE", "The cheapest hedges and unwinds that bring VaR or ES under a limit."
    ),
    "limits": Entry(
        "limits.use:LIMITS",
        "Limits of VaR, ES and loss: utilisation, headroom, breaches and what drives them, and the change since a day.",
    ),
    "pre-trade": Entry(
        "limits.pre_trade:PRE_TRADE",
        "What trades not yet done, or all open orders, would do to VaR, ES and limits of their desk and the firm.",
    ),
    "backtest": Entry(
        "backtest.backtest:BACKTEST",
        "VaR of each day against the P&L of the next: exceptions, traffic light, every test, and "
        "what lies behind each exception.",
    ),
    "backtest-counts": Entry(
        "backtest.counts:COUNTS",
        "A backtest from counts alone: so many exceptions on so many days, of any system's VaR.",
    ),
    "stress": Entry(
        "stress.stress_test:STRESS", "P&L by any dimension under a scenario, in the stress language or stored."
    ),
    "stress-compare": Entry("stress.stress_test:STRESS_COMPARE", "Several scenarios side by side on one day."),
    "ladder": Entry(
        "stress.ladder:LADDER",
        "P&L, slope and VaR of any node over a grid of moves of one or two factors or classes.",
    ),
    "scenario-pnl": Entry(
        "stress.stress_test:SCENARIO_PNL", "P&L of each group in each scenario of a valued set, a column a scenario."
    ),
    "stressed-var": Entry(
        "stress.stressed_var:STRESSED_VAR", "The book under the moves of a stress period, beside its current VaR."
    ),
    "stress-period": Entry(
        "stress.stress_period:STRESS_PERIOD", "The worst window of a given length for a book, over the whole history."
    ),
    "reverse-stress": Entry(
        "stress.reverse_stress:REVERSE_STRESS",
        "The most plausible scenario with which a book loses at least an amount, and the past days that come nearest.",
    ),
    "roll-forward": Entry(
        "stress.roll_forward:ROLL_FORWARD",
        "What a book is worth at T1, T2, ... when nothing happens but time, and the cash it has paid by then.",
    ),
    "cva": Entry(
        "exposure.cva:CVA",
        "CVA and DVA, unilateral and to the first default, by any dimension, with sensitivities to spreads.",
    ),
    "cva-what-if": Entry(
        "exposure.cva_what_if:CVA_WHAT_IF",
        "What added, removed and scaled trades do to CVA and DVA of the netting sets they touch.",
    ),
    "cva-explain": Entry(
        "exposure.cva_explain:CVA_EXPLAIN",
        "Why CVA changed between two days: ageing, market, credit spreads, agreements, trades, adding up exactly.",
    ),
    "cva-scenarios": Entry(
        "exposure.cva_scenarios:CVA_SCENARIOS",
        "CVA in every scenario, chosen or stored, and VaR and ES of its change.",
    ),
    "ba-cva": Entry(
        "regulatory.ba_cva:BA_CVA",
        "Capital for CVA risk in the basic approach, reduced and full, by netting set or any dimension.",
    ),
    "ba-cva-what-if": Entry(
        "regulatory.ba_cva_what_if:BA_CVA_WHAT_IF",
        "What added, removed and scaled trades do to capital for CVA risk in the basic approach.",
    ),
    "sa-cva": Entry(
        "regulatory.sa_cva:SA_CVA",
        "Capital for CVA risk in the standardised approach, from our own sensitivities of CVA or from given ones.",
    ),
    "sa-ccr": Entry(
        "regulatory.sa_ccr.question:SA_CCR",
        "Exposure at default by SA-CCR, by netting set and by any dimension as contributions that add up exactly.",
    ),
    "sa-ccr-trades": Entry(
        "regulatory.sa_ccr.trades:SA_CCR_TRADES",
        "The rows of SA-CCR behind an exposure at default: each trade with its maturities, delta, notional and contribution.",
    ),
    "sa-ccr-what-if": Entry(
        "regulatory.sa_ccr.what_if:SA_CCR_WHAT_IF",
        "What added, removed and scaled trades do to the exposure at default of the netting sets they touch.",
    ),
    "credit-rwa": Entry(
        "regulatory.credit.question:CREDIT_RWA",
        "Credit risk-weighted assets, standardised and by internal ratings, of counterparties, trades and any dimension.",
    ),
    "capital": Entry(
        "regulatory.capital.question:CAPITAL",
        "Risk-weighted assets and capital of credit, CVA and market risk together, by any dimension, adding up exactly.",
    ),
    "capital-compare": Entry(
        "regulatory.capital.compare:CAPITAL_COMPARE",
        "Risk-weighted assets at two points, and their difference by any dimension and by cause, adding up exactly.",
    ),
    "capital-plan": Entry(
        "regulatory.capital.plan:CAPITAL_PLAN",
        "Risk-weighted assets as a table of scenario by horizon: stressed, rolled and aged, and what drives the change.",
    ),
    "exposure": Entry(
        "regulatory.imm:EXPOSURE",
        "Exposure to counterparties over time: EE, ENE, PFE, EPE, EEPE and EAD, netted and with collateral.",
    ),
    "exposure-drill": Entry(
        "regulatory.exposure_drill:EXPOSURE_DRILL",
        "Behind a point of an exposure profile: the trades and the market on the path at the quantile, and the worst paths.",
    ),
    "exposure-what-if": Entry(
        "regulatory.exposure_what_if:EXPOSURE_WHAT_IF",
        "What added, removed and scaled trades do to exposure: before, after and the difference.",
    ),
    "exposure-limits": Entry(
        "regulatory.exposure_limits:EXPOSURE_LIMITS",
        "Limits of exposure: utilisation, headroom, breaches, and the trade that breaches.",
    ),
    "frtb-sa": Entry(
        "regulatory.frtb_sa:FRTB_SA",
        "Capital for market risk by the FRTB standardised approach, with contributions that add up to the last bit.",
    ),
    "frtb-ima": Entry(
        "regulatory.frtb_ima:FRTB_IMA",
        "Internal-model capital of FRTB by any dimension: ES over liquidity horizons, IMCC, SES, and contributions that add up.",
    ),
    "drc-ima": Entry(
        "regulatory.ima_default_risk:DRC_IMA",
        "Default risk charge of the internal model: VaR of a year's defaults by issuer, with contributions that add up.",
    ),
    "ima-capital": Entry(
        "regulatory.ima_capital:IMA_CAPITAL",
        "Own funds for market risk with internal models: averages, multiplier, surcharge, cap and total.",
    ),
    "pla": Entry(
        "regulatory.ima_desks:PLA",
        "P&L attribution of FRTB: theoretical against hypothetical P&L by desk, Spearman, Kolmogorov-Smirnov, zone.",
    ),
    "desk-eligibility": Entry(
        "regulatory.ima_desks:DESK_ELIGIBILITY",
        "Which desks may use the internal model: exceptions against their limits, attribution, multiplier, approach.",
    ),
    "rfet": Entry(
        "regulatory.modellability:RFET",
        "Which risk factors are modellable: the real-price test of FRTB, with the reason.",
    ),
}


def question(name: str) -> Question[Any]:
    """The question of that name; raises `BadInput` with the nearest."""
    if name not in QUESTIONS:
        raise unknown("question", name, QUESTIONS)
    return QUESTIONS[name].question


def read(name: str, given: Mapping[str, Any]) -> BaseModel:
    """The query that is given; raises `BadInput` that names every fault."""
    model: type[BaseModel] = question(name).query
    return validated(model, given, "question")


def settled(session: Session, query: Any) -> Any:
    """The query in the currency of the lake's standard, or of the desk's that it is about, where it names none."""
    if "currency" in query.model_fields_set or "currency" not in type(query).model_fields:
        return query
    from aggregation.opened.valuation_choice import standard_for  # noqa: PLC0415 - see `ask`

    currency = standard_for(session.cache.standards(session.lake.snapshot("standards")), query).currency
    return query if currency is None else query.model_copy(update={"currency": currency})


def ask(session: Session, name: str, query: BaseModel) -> Any:
    """The answer, sealed with its receipt; raises `NotValued` where a valuation is missing."""
    from aggregation.kept_receipts import keep_versions, pinned  # noqa: PLC0415 - with Arrow, which a table of names needs not
    from aggregation.question import seal, with_market_issues, with_regimes, without_parts  # noqa: PLC0415 - see above

    session = _known(session, query)
    session = session.of(pinned(session.lake))
    of = _seeing(session, query)
    query = settled(of, query)
    allowance().expect(lambda: price(of, name, query) or 0.0)
    answer = with_regimes(of, query, question(name).answer(of, query))
    answer = with_market_issues(session, answer if of is session else without_parts(answer, session.lake))
    sealed = seal(answer, name, query, _stale(session, query, answer.receipt), session.lake.reader)
    keep_versions(session.lake, sealed.receipt)
    return sealed


def _stale(session: Session, query: BaseModel, receipt: Mapping[str, Any]) -> tuple[str, ...]:
    """What the answer says of market data that its scenarios do not know."""
    from aggregation.on_demand import stale_notes  # noqa: PLC0415 - see `ask`

    return stale_notes(session, query, receipt)


def _refuse_whole(session: Session, query: Any) -> None:
    """What the firm lacks is no business of whoever sees a part of it."""
    if _seeing(session, query) is not session:
        raise NotAllowed("What the total of the whole firm rests on is planned and valued by those who see all of it.")


def _seeing(session: Session, query: Any) -> Session:
    """The session with the lake that the query is about: all of it for the total of the whole firm. Raises `NotAllowed` for whoever is not
    granted that."""
    lake = session.lake
    if not getattr(query, "whole_firm", False) or not lake.reader:
        return session
    if not lake.shows_totals():
        raise NotAllowed(
            "The total of the whole firm is for those who are granted firm totals; your own is the answer without it."
        )
    return session.of(lake.whole())


def _known(session: Session, query: Any) -> Session:
    """The session with the lake as the query wants it known. Of two points, each may want it otherwise: see `open_inputs`."""
    return session.as_known(getattr(query, "as_known", None))


def plan(session: Session, name: str, query: BaseModel) -> Plan:
    """What is valued before the answer, and what that takes."""
    from aggregation.question import Plan  # noqa: PLC0415 - see `ask`

    session = _known(session, query)
    query = settled(session, query)
    _refuse_whole(session, query)
    make = question(name).plan
    found = Plan() if make is None else make(session, query)
    found = replace(found, answer_seconds=price(session, name, query))
    if not found.valuations:
        return found
    from aggregation.on_demand import newer_market  # noqa: PLC0415 - see `ask`

    return replace(found, newer=newer_market(session, found))


def price(session: Session, name: str, query: BaseModel) -> float | None:
    """Seconds of one core that the answer takes at the most; None where it has none, and says why itself."""
    try:
        return question(name).price(session, query)
    except Stopped:
        raise
    except VarlakeError:
        return None


def value(session: Session, name: str, query: BaseModel) -> Any:
    """Values what is missing; the query to ask then. The session must be one that writes."""
    _refuse_whole(session, query)
    make = question(name).value
    session = _known(session, query)
    query = settled(session, query)
    return query if make is None else make(session, query)
