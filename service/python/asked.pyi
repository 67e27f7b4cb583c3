# fmt: off
# Written by `python -m service.python.stub`, from the models of QUESTIONS; a test says when it is out of date.
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any, Literal

from service.python.results import Answer, Figures

class Questions:
    def _ask(self, name: str, given: dict[str, Any], value: bool) -> Any: ...
    def var(
        self, *, as_of: str | date, positions_date: str | date | None = ..., market_date: str | date | None = ...,
        scenario_set: str | None = ..., valuation_set: str | None = ..., branch: str | None = ...,
        as_known: str | None = ..., by: str | Sequence[str] = ...,
        where: str | Mapping[str, Any] | Sequence[str | Mapping[str, Any]] = ..., currency: str = ...,
        measures: str | Sequence[str] = ..., levels: str | Sequence[str] = ..., estimator: str = ...,
        tail: Literal['loss', 'gain'] = ..., thresholds: float | Sequence[float] = ..., pnl_decay: str = ...,
        tail_share: str = ..., scale_to_days: int | None = ..., interval: str | None = ..., subtotals: bool = ...,
        sort: str | Sequence[str] = ..., limit: int | None = ..., bounds: bool = ..., whole_firm: bool = ...,
        value: bool = ...,
    ) -> Answer:
        """Value-at-Risk and other measures, by any combination of dimensions."""
    def intraday(
        self, *, as_of: str | date, positions_date: str | date | None = ..., scenario_set: str | None = ...,
        as_known: str | None = ..., by: str | Sequence[str] = ...,
        where: str | Mapping[str, Any] | Sequence[str | Mapping[str, Any]] = ..., currency: str = ...,
        measures: str | Sequence[str] = ..., levels: str | Sequence[str] = ..., estimator: str = ...,
        tail: Literal['loss', 'gain'] = ..., thresholds: float | Sequence[float] = ..., stale_after: int = ...,
        causes: bool = ..., limits: bool = ...,
    ) -> Answer:
        """VaR of a day that is not over: its trades and newest levels so far, what they rest on, and the change since the open."""
    def pivot(
        self, *, as_of: str | date, positions_date: str | date | None = ..., market_date: str | date | None = ...,
        scenario_set: str | None = ..., valuation_set: str | None = ..., branch: str | None = ...,
        as_known: str | None = ..., by: str | Sequence[str] = ...,
        where: str | Mapping[str, Any] | Sequence[str | Mapping[str, Any]] = ..., currency: str = ...,
        measures: str | Sequence[str] = ..., levels: str | Sequence[str] = ..., estimator: str = ...,
        tail: Literal['loss', 'gain'] = ..., thresholds: float | Sequence[float] = ..., pnl_decay: str = ...,
        tail_share: str = ..., scale_to_days: int | None = ..., interval: str | None = ..., rows: str | Sequence[str],
        columns: str | Sequence[str], sort: str | Sequence[str] = ..., limit: int | None = ..., value: bool = ...,
    ) -> Answer:
        """A cross table with the totals of rows, columns and all, each from its own net positions."""
    def series(
        self, *, as_known: str | None = ..., by: str | Sequence[str] = ...,
        where: str | Mapping[str, Any] | Sequence[str | Mapping[str, Any]] = ..., currency: str = ...,
        measures: str | Sequence[str] = ..., levels: str | Sequence[str] = ..., estimator: str = ...,
        tail: Literal['loss', 'gain'] = ..., thresholds: float | Sequence[float] = ..., pnl_decay: str = ...,
        tail_share: str = ..., scale_to_days: int | None = ..., interval: str | None = ..., from_: str | date,
        to: str | date, calendar: str = ..., scenario_set: str | None = ...,
    ) -> Answer:
        """Any measure on every day of a range, by any dimension; a day without an answer says why."""
    def pnl(
        self, *, as_of: str | date, positions_date: str | date | None = ..., market_date: str | date | None = ...,
        scenario_set: str | None = ..., valuation_set: str | None = ..., branch: str | None = ...,
        as_known: str | None = ..., by: str | Sequence[str] = ...,
        where: str | Mapping[str, Any] | Sequence[str | Mapping[str, Any]] = ..., currency: str = ...,
        scenarios: str | Sequence[str] = ..., worst: int | None = ..., histogram: int | None = ..., value: bool = ...,
    ) -> Answer:
        """P&L of each group in each scenario: all, chosen ones, the worst, or counted into a histogram."""
    def drill(
        self, *, as_of: str | date, positions_date: str | date | None = ..., market_date: str | date | None = ...,
        scenario_set: str | None = ..., valuation_set: str | None = ..., branch: str | None = ...,
        as_known: str | None = ..., by: str | Sequence[str] = ...,
        where: str | Mapping[str, Any] | Sequence[str | Mapping[str, Any]] = ..., currency: str = ...,
        measures: str | Sequence[str] = ..., levels: str | Sequence[str] = ..., estimator: str = ...,
        tail: Literal['loss', 'gain'] = ..., thresholds: float | Sequence[float] = ..., pnl_decay: str = ...,
        tail_share: str = ..., scale_to_days: int | None = ..., interval: str | None = ...,
        scenarios: str | Sequence[str] = ..., per: Literal['trade', 'contract'] = ...,
        order: Literal['loss', 'gain', 'name'] = ..., first: int = ..., limit: int = ..., value: bool = ...,
    ) -> Answer:
        """From a node to its trades or contracts, in its tail scenarios."""
    def contributions(
        self, *, as_of: str | date, positions_date: str | date | None = ..., market_date: str | date | None = ...,
        scenario_set: str | None = ..., valuation_set: str | None = ..., branch: str | None = ...,
        as_known: str | None = ..., by: str | Sequence[str] = ...,
        where: str | Mapping[str, Any] | Sequence[str | Mapping[str, Any]] = ..., currency: str = ...,
        measures: str | Sequence[str] = ..., levels: str | Sequence[str] = ..., estimator: str = ...,
        tail: Literal['loss', 'gain'] = ..., thresholds: float | Sequence[float] = ..., pnl_decay: str = ...,
        tail_share: str = ..., scale_to_days: int | None = ..., interval: str | None = ...,
        form: Literal['scenario', 'regression'] = ...,
        figures: Literal['component', 'standalone', 'marginal', 'incremental', 'stability'] | Sequence[Literal['component', 'standalone', 'marginal', 'incremental', 'stability']] = ...,
        top: int | None = ..., value: bool = ...,
    ) -> Answer:
        """What makes up a VaR or ES: components that add up to the last bit, standalone, marginal and incremental."""
    def parametric(
        self, *, as_of: str | date, positions_date: str | date | None = ..., market_date: str | date | None = ...,
        scenario_set: str | None = ..., valuation_set: str | None = ..., branch: str | None = ...,
        as_known: str | None = ..., by: str | Sequence[str] = ...,
        where: str | Mapping[str, Any] | Sequence[str | Mapping[str, Any]] = ..., currency: str = ...,
        measure: Literal['var', 'es'] = ..., level: str = ..., gamma: Literal['none', 'diagonal', 'full'] = ...,
        mean: Literal['removed', 'zero'] = ..., sensitivities: str | Sequence[str] = ..., covariance: str | None = ...,
        value: bool = ...,
    ) -> Answer:
        """VaR or ES from sensitivities and a covariance, delta-normal and delta-gamma, by group, risk factor and class."""
    def greeks(
        self, *, as_known: str | None = ..., by: str | Sequence[str] = ...,
        where: str | Mapping[str, Any] | Sequence[str | Mapping[str, Any]] = ..., currency: str = ...,
        translation: Literal['scenario', 'spot'] = ..., as_of: str | date, positions_date: str | date | None = ...,
        branch: str | None = ..., greeks: str | Sequence[str] = ..., per: Literal['factor', 'curve', 'class'] = ...,
        value: bool = ...,
    ) -> Answer:
        """Delta, gamma, PV01, CS01, vega and theta of any node, by risk factor, curve or class, of stored valuations."""
    def taylor(
        self, *, as_of: str | date, positions_date: str | date | None = ..., market_date: str | date | None = ...,
        scenario_set: str | None = ..., valuation_set: str | None = ..., branch: str | None = ...,
        as_known: str | None = ..., by: str | Sequence[str] = ...,
        where: str | Mapping[str, Any] | Sequence[str | Mapping[str, Any]] = ..., currency: str = ...,
        measure: Literal['var', 'es'] = ..., level: str = ..., gamma: Literal['none', 'diagonal', 'full'] = ...,
        value: bool = ...,
    ) -> Answer:
        """VaR or ES by full revaluation beside that of the sensitivities, and what they leave unexplained by node."""
    def crif(
        self, *, as_known: str | None = ..., by: str | Sequence[str] = ...,
        where: str | Mapping[str, Any] | Sequence[str | Mapping[str, Any]] = ..., currency: str = ...,
        as_of: str | date, positions_date: str | date | None = ..., branch: str | None = ..., value: bool = ...,
    ) -> Answer:
        """First-order sensitivities by trade in the columns of ISDA's CRIF, for another system."""
    def risk_classes(
        self, *, as_of: str | date, positions_date: str | date | None = ..., market_date: str | date | None = ...,
        scenario_set: str | None = ..., valuation_set: str | None = ..., branch: str | None = ...,
        as_known: str | None = ..., by: str | Sequence[str] = ...,
        where: str | Mapping[str, Any] | Sequence[str | Mapping[str, Any]] = ..., currency: str = ...,
        measures: str | Sequence[str] = ..., levels: str | Sequence[str] = ..., estimator: str = ...,
        tail: Literal['loss', 'gain'] = ..., thresholds: float | Sequence[float] = ..., pnl_decay: str = ...,
        tail_share: str = ..., scale_to_days: int | None = ..., interval: str | None = ..., value: bool = ...,
    ) -> Answer:
        """VaR and ES by risk class: each shocked alone, standalone, which does not add up."""
    def compare(
        self, *, as_known: str | None = ..., by: str | Sequence[str] = ...,
        where: str | Mapping[str, Any] | Sequence[str | Mapping[str, Any]] = ..., currency: str = ...,
        measures: str | Sequence[str] = ..., levels: str | Sequence[str] = ..., estimator: str = ...,
        tail: Literal['loss', 'gain'] = ..., thresholds: float | Sequence[float] = ..., pnl_decay: str = ...,
        tail_share: str = ..., scale_to_days: int | None = ..., interval: str | None = ...,
        from_: str | Mapping[str, Any], from_positions_date: str | date | None = ...,
        from_market_date: str | date | None = ..., from_scenario_set: str | None = ...,
        from_valuation_set: str | None = ..., from_branch: str | None = ..., from_as_known: str | None = ...,
        to: str | Mapping[str, Any], to_positions_date: str | date | None = ...,
        to_market_date: str | date | None = ..., to_scenario_set: str | None = ..., to_valuation_set: str | None = ...,
        to_branch: str | None = ..., to_as_known: str | None = ..., scenario_set: str | None = ..., value: bool = ...,
    ) -> Answer:
        """The same question on two days, sets or branches, and the difference by group."""
    def explain(
        self, *, as_known: str | None = ..., by: str | Sequence[str] = ...,
        where: str | Mapping[str, Any] | Sequence[str | Mapping[str, Any]] = ..., currency: str = ...,
        measures: str | Sequence[str] = ..., levels: str | Sequence[str] = ..., estimator: str = ...,
        tail: Literal['loss', 'gain'] = ..., thresholds: float | Sequence[float] = ..., pnl_decay: str = ...,
        tail_share: str = ..., scale_to_days: int | None = ..., interval: str | None = ...,
        from_: str | Mapping[str, Any], from_positions_date: str | date | None = ...,
        from_market_date: str | date | None = ..., from_scenario_set: str | None = ...,
        from_valuation_set: str | None = ..., from_branch: str | None = ..., from_as_known: str | None = ...,
        to: str | Mapping[str, Any], to_positions_date: str | date | None = ...,
        to_market_date: str | date | None = ..., to_scenario_set: str | None = ..., to_valuation_set: str | None = ...,
        to_branch: str | None = ..., to_as_known: str | None = ..., scenario_set: str | None = ...,
        method: Literal['causes', 'sequential', 'shapley'] = ..., value: bool = ...,
    ) -> Answer:
        """Why VaR or ES changed between two points, by member and cause, adding up exactly."""
    def explain_drill(
        self, *, as_known: str | None = ..., by: str | Sequence[str] = ...,
        where: str | Mapping[str, Any] | Sequence[str | Mapping[str, Any]] = ..., currency: str = ...,
        measures: str | Sequence[str] = ..., levels: str | Sequence[str] = ..., estimator: str = ...,
        tail: Literal['loss', 'gain'] = ..., thresholds: float | Sequence[float] = ..., pnl_decay: str = ...,
        tail_share: str = ..., scale_to_days: int | None = ..., interval: str | None = ...,
        from_: str | Mapping[str, Any], from_positions_date: str | date | None = ...,
        from_market_date: str | date | None = ..., from_scenario_set: str | None = ...,
        from_valuation_set: str | None = ..., from_branch: str | None = ..., from_as_known: str | None = ...,
        to: str | Mapping[str, Any], to_positions_date: str | date | None = ...,
        to_market_date: str | date | None = ..., to_scenario_set: str | None = ..., to_valuation_set: str | None = ...,
        to_branch: str | None = ..., to_as_known: str | None = ..., scenario_set: str | None = ...,
        cell: str | Mapping[str, Any] | None = ..., limit: int = ..., value: bool = ...,
    ) -> Answer:
        """A cell of an explanation as trades and scenarios that add up to it."""
    def drivers(
        self, *, measure: Literal['var', 'es'] = ..., level: str = ..., as_known: str | None = ..., to: str | date,
        from_: str | date | None = ..., where: str | Mapping[str, Any] | Sequence[str | Mapping[str, Any]] = ...,
        max: int = ..., over: str | Sequence[str] = ..., currency: str = ..., estimator: str = ...,
        scenario_set: str | None = ..., value: bool = ...,
    ) -> Answer:
        """The few members, over all dimensions and their combinations, that explain most of a change of VaR or ES."""
    def pnl_explain(
        self, *, as_known: str | None = ..., by: str | Sequence[str] = ...,
        where: str | Mapping[str, Any] | Sequence[str | Mapping[str, Any]] = ..., currency: str = ...,
        from_: str | date, to: str | date,
    ) -> Answer:
        """Why a book is worth what it is: trades, ageing, the market by risk class, currency."""
    def reconcile(
        self, *, measure: Literal['var', 'es'] = ..., level: str = ..., as_known: str | None = ..., as_of: str | date,
        theirs: str, tolerance: float | None = ...,
        where: str | Mapping[str, Any] | Sequence[str | Mapping[str, Any]] = ..., currency: str = ...,
        estimator: str = ..., positions_date: str | date | None = ..., scenario_set: str | None = ...,
        valuation_set: str | None = ..., value: bool = ...,
    ) -> Answer:
        """Which estimator, tail, window, weighting, currency or other convention gives another system's number."""
    def parameter_sensitivity(
        self, *, as_of: str | date, positions_date: str | date | None = ..., market_date: str | date | None = ...,
        scenario_set: str | None = ..., valuation_set: str | None = ..., branch: str | None = ...,
        as_known: str | None = ..., where: str | Mapping[str, Any] | Sequence[str | Mapping[str, Any]] = ...,
        currency: str = ..., level: str = ..., estimator: str = ..., levels: str | Sequence[str] = ...,
        windows: int | Sequence[int] = ..., decays: str | Sequence[str] = ..., numbers: int | Sequence[int] = ...,
        interval: str = ..., value: bool = ...,
    ) -> Answer:
        """How VaR and ES move with their parameters: confidence, window, decay, number of scenarios, estimator."""
    def what_if(
        self, *, as_of: str | date, positions_date: str | date | None = ..., market_date: str | date | None = ...,
        scenario_set: str | None = ..., valuation_set: str | None = ..., branch: str | None = ...,
        as_known: str | None = ..., by: str | Sequence[str] = ...,
        where: str | Mapping[str, Any] | Sequence[str | Mapping[str, Any]] = ..., currency: str = ...,
        measures: str | Sequence[str] = ..., levels: str | Sequence[str] = ..., estimator: str = ...,
        tail: Literal['loss', 'gain'] = ..., thresholds: float | Sequence[float] = ..., pnl_decay: str = ...,
        tail_share: str = ..., scale_to_days: int | None = ..., interval: str | None = ...,
        add: Iterable[Mapping[str, Any]] = ...,
        remove: str | Mapping[str, Any] | Sequence[str | Mapping[str, Any]] = ...,
        scale: str | Mapping[str, Any] | Sequence[str | Mapping[str, Any]] = ..., replace: bool = ...,
        value: bool = ...,
    ) -> Answer:
        """What added, removed and scaled trades do to VaR and ES: before, after, and each change alone."""
    def limit_hedge(
        self, *, as_of: str | date, positions_date: str | date | None = ..., market_date: str | date | None = ...,
        scenario_set: str | None = ..., valuation_set: str | None = ..., branch: str | None = ...,
        as_known: str | None = ..., by: str | Sequence[str] = ...,
        where: str | Mapping[str, Any] | Sequence[str | Mapping[str, Any]] = ..., currency: str = ...,
        measures: Literal['var', 'es'] | Sequence[Literal['var', 'es']] = ..., levels: str | Sequence[str] = ...,
        estimator: str = ..., tail: Literal['loss', 'gain'] = ..., thresholds: float | Sequence[float] = ...,
        pnl_decay: str = ..., tail_share: str = ..., scale_to_days: int | None = ..., interval: str | None = ...,
        limit: float, moves: Iterable[Mapping[str, Any]], value: bool = ...,
    ) -> Answer:
        """The cheapest hedges and unwinds that bring VaR or ES under a limit."""
    def limits(
        self, *, as_of: str | date, positions_date: str | date | None = ..., market_date: str | date | None = ...,
        scenario_set: str | None = ..., valuation_set: str | None = ..., branch: str | None = ...,
        as_known: str | None = ..., since: str | date | None = ..., by: str | Sequence[str] = ..., top: int = ...,
        estimator: str = ..., value: bool = ...,
    ) -> Answer:
        """Limits of VaR, ES and loss: utilisation, headroom, breaches and what drives them, and the change since a day."""
    def pre_trade(
        self, *, as_of: str | date, positions_date: str | date | None = ..., market_date: str | date | None = ...,
        scenario_set: str | None = ..., valuation_set: str | None = ..., branch: str | None = ...,
        as_known: str | None = ..., add: Iterable[Mapping[str, Any]], currency: str = ...,
        measures: str | Sequence[str] = ..., levels: str | Sequence[str] = ..., estimator: str = ..., value: bool = ...,
    ) -> Answer:
        """What trades not yet done, or all open orders, would do to VaR, ES and limits of their desk and the firm."""
    def backtest(
        self, *, as_known: str | None = ..., by: str | Sequence[str] = ...,
        where: str | Mapping[str, Any] | Sequence[str | Mapping[str, Any]] = ..., currency: str = ...,
        from_: str | date, to: str | date, levels: str | Sequence[str] = ..., estimator: str = ...,
        scenario_set: str | None = ..., source: str | None = ..., calendar: str = ..., window: int = ...,
        time: Literal['frozen', 'passes'] = ..., significance: float = ...,
        law: Literal['scenarios', 'normal', 't'] = ..., degrees: float = ..., simulations: int = ..., seed: int = ...,
        steps: int = ..., method: str = ..., parameters: Mapping[str, Any] | None = ..., value: bool = ...,
    ) -> Answer:
        """VaR of each day against the P&L of the next: exceptions, traffic light, every test, and what lies behind each exception."""
    def backtest_counts(
        self, *, exceptions: int, days: int = ..., level: str = ..., significance: float = ...,
    ) -> Answer:
        """A backtest from counts alone: so many exceptions on so many days, of any system's VaR."""
    def stress(
        self, *, as_known: str | None = ..., by: str | Sequence[str] = ...,
        where: str | Mapping[str, Any] | Sequence[str | Mapping[str, Any]] = ..., currency: str = ...,
        translation: Literal['scenario', 'spot'] = ..., as_of: str | date, scenario: str,
        positions_date: str | date | None = ..., value: bool = ...,
    ) -> Answer:
        """P&L by any dimension under a scenario, in the stress language or stored."""
    def stress_compare(
        self, *, as_known: str | None = ..., by: str | Sequence[str] = ...,
        where: str | Mapping[str, Any] | Sequence[str | Mapping[str, Any]] = ..., currency: str = ...,
        translation: Literal['scenario', 'spot'] = ..., as_of: str | date, scenarios: str | Sequence[str],
        positions_date: str | date | None = ..., value: bool = ...,
    ) -> Answer:
        """Several scenarios side by side on one day."""
    def ladder(
        self, *, as_known: str | None = ..., by: str | Sequence[str] = ...,
        where: str | Mapping[str, Any] | Sequence[str | Mapping[str, Any]] = ..., currency: str = ...,
        translation: Literal['scenario', 'spot'] = ..., measure: Literal['var', 'es'] = ..., level: str = ...,
        as_of: str | date, axes: str | Sequence[str], risk: bool = ..., scenario_set: str | None = ...,
        positions_date: str | date | None = ..., value: bool = ...,
    ) -> Answer:
        """P&L, slope and VaR of any node over a grid of moves of one or two factors or classes."""
    def scenario_pnl(
        self, *, as_of: str | date, positions_date: str | date | None = ..., market_date: str | date | None = ...,
        scenario_set: str | None = ..., valuation_set: str | None = ..., branch: str | None = ...,
        as_known: str | None = ..., by: str | Sequence[str] = ...,
        where: str | Mapping[str, Any] | Sequence[str | Mapping[str, Any]] = ..., currency: str = ...,
        translation: Literal['scenario', 'spot'] = ..., value: bool = ...,
    ) -> Answer:
        """P&L of each group in each scenario of a valued set, a column a scenario."""
    def stressed_var(
        self, *, as_of: str | date, positions_date: str | date | None = ..., market_date: str | date | None = ...,
        scenario_set: str | None = ..., valuation_set: str | None = ..., branch: str | None = ...,
        as_known: str | None = ..., by: str | Sequence[str] = ...,
        where: str | Mapping[str, Any] | Sequence[str | Mapping[str, Any]] = ..., currency: str = ...,
        measures: str | Sequence[str] = ..., levels: str | Sequence[str] = ..., estimator: str = ...,
        tail: Literal['loss', 'gain'] = ..., thresholds: float | Sequence[float] = ..., pnl_decay: str = ...,
        tail_share: str = ..., scale_to_days: int | None = ..., interval: str | None = ..., period: str | None = ...,
        length: int = ..., value: bool = ...,
    ) -> Answer:
        """The book under the moves of a stress period, beside its current VaR."""
    def stress_period(
        self, *, as_known: str | None = ..., as_of: str | date, length: int = ..., measure: Literal['var', 'es'] = ...,
        level: str = ..., estimator: str = ..., first: str | date | None = ...,
        where: str | Mapping[str, Any] | Sequence[str | Mapping[str, Any]] = ..., currency: str = ...,
        positions_date: str | date | None = ..., moves: Mapping[str, Any] | None = ...,
        runner: Literal['auto', 'in-process', 'spark'] = ..., value: bool = ...,
    ) -> Answer:
        """The worst window of a given length for a book, over the whole history."""
    def reverse_stress(
        self, *, as_known: str | None = ..., as_of: str | date, loss: float,
        where: str | Mapping[str, Any] | Sequence[str | Mapping[str, Any]] = ..., currency: str = ...,
        positions_date: str | date | None = ..., law: Mapping[str, Any] | None = ..., max_distance: float = ...,
        nearest: int = ..., name: str = ..., value: bool = ...,
    ) -> Answer:
        """The most plausible scenario with which a book loses at least an amount, and the past days that come nearest."""
    def roll_forward(
        self, *, as_known: str | None = ..., by: str | Sequence[str] = ...,
        where: str | Mapping[str, Any] | Sequence[str | Mapping[str, Any]] = ..., currency: str = ...,
        as_of: str | date, horizons: str | Sequence[str] = ..., market: Literal['forwards', 'constant'] = ...,
        positions_date: str | date | None = ..., scenario_set: str | None = ..., calendar: str = ...,
        dividend_yields: Mapping[str, Any] | None = ..., costs: Mapping[str, Any] | None = ...,
        rates: Mapping[str, Any] | None = ..., curves: Mapping[str, Any] | None = ..., value: bool = ...,
    ) -> Answer:
        """What a book is worth at T1, T2, ... when nothing happens but time, and the cash it has paid by then."""
    def cva(
        self, *, as_of: str | date, grid: str | Sequence[str] = ..., paths: int = ..., seed: int = ...,
        measure: Literal['risk_neutral', 'real_world'] = ..., sampling: Literal['random', 'antithetic', 'sobol'] = ...,
        numeraire: str = ..., path_window: int = ..., mean_reversion: Mapping[str, Any] | None = ...,
        rate_volatility: Mapping[str, Any] | None = ..., price_volatility: Mapping[str, Any] | None = ...,
        credit_paths: Literal['lognormal', 'deterministic'] = ..., discount_curves: Mapping[str, Any] | None = ...,
        positions_date: str | date | None = ..., branch: str | None = ..., as_known: str | None = ...,
        by: str | Sequence[str] = ..., where: str | Mapping[str, Any] | Sequence[str | Mapping[str, Any]] = ...,
        currency: str = ..., trades: Literal['derivatives', 'all'] = ..., collateral: bool = ...,
        margin_period: Literal['agreement', 'regime'] = ..., look_back: bool = ...,
        flows: Literal['paid', 'unpaid', 'own'] = ...,
        wrong_way: str | Mapping[str, Any] | Sequence[str | Mapping[str, Any]] = ..., recovery: float | None = ...,
        tenors: str | Sequence[str] = ..., value: bool = ...,
    ) -> Answer:
        """CVA and DVA, unilateral and to the first default, by any dimension, with sensitivities to spreads."""
    def cva_what_if(
        self, *, as_of: str | date, grid: str | Sequence[str] = ..., paths: int = ..., seed: int = ...,
        measure: Literal['risk_neutral', 'real_world'] = ..., sampling: Literal['random', 'antithetic', 'sobol'] = ...,
        numeraire: str = ..., path_window: int = ..., mean_reversion: Mapping[str, Any] | None = ...,
        rate_volatility: Mapping[str, Any] | None = ..., price_volatility: Mapping[str, Any] | None = ...,
        credit_paths: Literal['lognormal', 'deterministic'] = ..., discount_curves: Mapping[str, Any] | None = ...,
        positions_date: str | date | None = ..., branch: str | None = ..., as_known: str | None = ...,
        by: str | Sequence[str] = ..., where: str | Mapping[str, Any] | Sequence[str | Mapping[str, Any]] = ...,
        currency: str = ..., trades: Literal['derivatives', 'all'] = ..., collateral: bool = ...,
        margin_period: Literal['agreement', 'regime'] = ..., look_back: bool = ...,
        flows: Literal['paid', 'unpaid', 'own'] = ...,
        wrong_way: str | Mapping[str, Any] | Sequence[str | Mapping[str, Any]] = ..., recovery: float | None = ...,
        tenors: str | Sequence[str] = ..., add: Iterable[Mapping[str, Any]] = ...,
        remove: str | Mapping[str, Any] | Sequence[str | Mapping[str, Any]] = ...,
        scale: str | Mapping[str, Any] | Sequence[str | Mapping[str, Any]] = ..., replace: bool = ...,
        value: bool = ...,
    ) -> Answer:
        """What added, removed and scaled trades do to CVA and DVA of the netting sets they touch."""
    def cva_explain(
        self, *, as_of: str | date, grid: str | Sequence[str] = ..., paths: int = ..., seed: int = ...,
        measure: Literal['risk_neutral', 'real_world'] = ..., sampling: Literal['random', 'antithetic', 'sobol'] = ...,
        numeraire: str = ..., path_window: int = ..., mean_reversion: Mapping[str, Any] | None = ...,
        rate_volatility: Mapping[str, Any] | None = ..., price_volatility: Mapping[str, Any] | None = ...,
        credit_paths: Literal['lognormal', 'deterministic'] = ..., discount_curves: Mapping[str, Any] | None = ...,
        positions_date: str | date | None = ..., branch: str | None = ..., as_known: str | None = ...,
        by: str | Sequence[str] = ..., where: str | Mapping[str, Any] | Sequence[str | Mapping[str, Any]] = ...,
        currency: str = ..., trades: Literal['derivatives', 'all'] = ..., collateral: bool = ...,
        margin_period: Literal['agreement', 'regime'] = ..., look_back: bool = ...,
        flows: Literal['paid', 'unpaid', 'own'] = ...,
        wrong_way: str | Mapping[str, Any] | Sequence[str | Mapping[str, Any]] = ..., recovery: float | None = ...,
        tenors: str | Sequence[str] = ..., from_: str | date, value: bool = ...,
    ) -> Answer:
        """Why CVA changed between two days: ageing, market, credit spreads, agreements, trades, adding up exactly."""
    def cva_scenarios(
        self, *, as_of: str | date, grid: str | Sequence[str] = ..., paths: int = ..., seed: int = ...,
        measure: Literal['risk_neutral', 'real_world'] = ..., sampling: Literal['random', 'antithetic', 'sobol'] = ...,
        numeraire: str = ..., path_window: int = ..., mean_reversion: Mapping[str, Any] | None = ...,
        rate_volatility: Mapping[str, Any] | None = ..., price_volatility: Mapping[str, Any] | None = ...,
        credit_paths: Literal['lognormal', 'deterministic'] = ..., discount_curves: Mapping[str, Any] | None = ...,
        positions_date: str | date | None = ..., branch: str | None = ..., as_known: str | None = ...,
        by: str | Sequence[str] = ..., where: str | Mapping[str, Any] | Sequence[str | Mapping[str, Any]] = ...,
        currency: str = ..., trades: Literal['derivatives', 'all'] = ..., collateral: bool = ...,
        margin_period: Literal['agreement', 'regime'] = ..., look_back: bool = ...,
        flows: Literal['paid', 'unpaid', 'own'] = ...,
        wrong_way: str | Mapping[str, Any] | Sequence[str | Mapping[str, Any]] = ..., recovery: float | None = ...,
        tenors: str | Sequence[str] = ..., scenario: str,
        exposures: Literal['revalued', 'sensitivities', 'fixed'] = ...,
        measures: Literal['var', 'es'] | Sequence[Literal['var', 'es']] = ..., levels: str | Sequence[str] = ...,
        estimator: str = ..., value: bool = ...,
    ) -> Answer:
        """CVA in every scenario, chosen or stored, and VaR and ES of its change."""
    def ba_cva(
        self, *, as_of: str | date, positions_date: str | date | None = ..., market_date: str | date | None = ...,
        scenario_set: str | None = ..., valuation_set: str | None = ..., branch: str | None = ...,
        as_known: str | None = ..., by: str | Sequence[str] = ...,
        where: str | Mapping[str, Any] | Sequence[str | Mapping[str, Any]] = ..., currency: str = ...,
        agreements_date: str | date | None = ..., collateral_date: str | date | None = ...,
        reference_date: str | date | None = ..., regime: str = ..., rate_offset: Literal['formula', 'none'] = ...,
        illiquid: str | Sequence[str] = ..., approach: Literal['full', 'reduced'] = ...,
        exposures: Iterable[Mapping[str, Any]] = ..., internal_model: bool = ..., value: bool = ...,
    ) -> Answer:
        """Capital for CVA risk in the basic approach, reduced and full, by netting set or any dimension."""
    def ba_cva_what_if(
        self, *, as_of: str | date, positions_date: str | date | None = ..., market_date: str | date | None = ...,
        scenario_set: str | None = ..., valuation_set: str | None = ..., branch: str | None = ...,
        as_known: str | None = ..., by: str | Sequence[str] = ...,
        where: str | Mapping[str, Any] | Sequence[str | Mapping[str, Any]] = ..., currency: str = ...,
        agreements_date: str | date | None = ..., collateral_date: str | date | None = ...,
        reference_date: str | date | None = ..., regime: str = ..., rate_offset: Literal['formula', 'none'] = ...,
        illiquid: str | Sequence[str] = ..., add: Iterable[Mapping[str, Any]] = ...,
        remove: str | Mapping[str, Any] | Sequence[str | Mapping[str, Any]] = ...,
        scale: str | Mapping[str, Any] | Sequence[str | Mapping[str, Any]] = ..., replace: bool = ...,
        approach: Literal['full', 'reduced'] = ..., value: bool = ...,
    ) -> Answer:
        """What added, removed and scaled trades do to capital for CVA risk in the basic approach."""
    def sa_cva(
        self, *, as_of: str | date, grid: str | Sequence[str] = ..., paths: int = ..., seed: int = ...,
        measure: Literal['risk_neutral', 'real_world'] = ..., sampling: Literal['random', 'antithetic', 'sobol'] = ...,
        numeraire: str = ..., path_window: int = ..., mean_reversion: Mapping[str, Any] | None = ...,
        rate_volatility: Mapping[str, Any] | None = ..., price_volatility: Mapping[str, Any] | None = ...,
        credit_paths: Literal['lognormal', 'deterministic'] = ..., discount_curves: Mapping[str, Any] | None = ...,
        positions_date: str | date | None = ..., branch: str | None = ..., as_known: str | None = ...,
        by: str | Sequence[str] = ..., where: str | Mapping[str, Any] | Sequence[str | Mapping[str, Any]] = ...,
        currency: str = ..., trades: Literal['derivatives', 'all'] = ..., collateral: bool = ...,
        margin_period: Literal['agreement', 'regime'] = ..., look_back: bool = ...,
        flows: Literal['paid', 'unpaid', 'own'] = ...,
        wrong_way: str | Mapping[str, Any] | Sequence[str | Mapping[str, Any]] = ..., recovery: float | None = ...,
        tenors: str | Sequence[str] = ..., regime: str = ..., sensitivities: Iterable[Mapping[str, Any]] = ...,
        market: bool = ..., value: bool = ...,
    ) -> Answer:
        """Capital for CVA risk in the standardised approach, from our own sensitivities of CVA or from given ones."""
    def sa_ccr(
        self, *, as_of: str | date, positions_date: str | date | None = ..., market_date: str | date | None = ...,
        scenario_set: str | None = ..., valuation_set: str | None = ..., branch: str | None = ...,
        as_known: str | None = ..., by: str | Sequence[str] = ...,
        where: str | Mapping[str, Any] | Sequence[str | Mapping[str, Any]] = ..., currency: str = ...,
        agreements_date: str | date | None = ..., collateral_date: str | date | None = ...,
        reference_date: str | date | None = ..., regime: str = ..., rate_offset: Literal['formula', 'none'] = ...,
        illiquid: str | Sequence[str] = ..., value: bool = ...,
    ) -> Answer:
        """Exposure at default by SA-CCR, by netting set and by any dimension as contributions that add up exactly."""
    def sa_ccr_trades(
        self, *, as_of: str | date, positions_date: str | date | None = ..., market_date: str | date | None = ...,
        scenario_set: str | None = ..., valuation_set: str | None = ..., branch: str | None = ...,
        as_known: str | None = ..., by: str | Sequence[str] = ...,
        where: str | Mapping[str, Any] | Sequence[str | Mapping[str, Any]] = ..., currency: str = ...,
        agreements_date: str | date | None = ..., collateral_date: str | date | None = ...,
        reference_date: str | date | None = ..., regime: str = ..., rate_offset: Literal['formula', 'none'] = ...,
        illiquid: str | Sequence[str] = ..., limit: int = ..., value: bool = ...,
    ) -> Answer:
        """The rows of SA-CCR behind an exposure at default: each trade with its maturities, delta, notional and contribution."""
    def sa_ccr_what_if(
        self, *, as_of: str | date, positions_date: str | date | None = ..., market_date: str | date | None = ...,
        scenario_set: str | None = ..., valuation_set: str | None = ..., branch: str | None = ...,
        as_known: str | None = ..., by: str | Sequence[str] = ...,
        where: str | Mapping[str, Any] | Sequence[str | Mapping[str, Any]] = ..., currency: str = ...,
        agreements_date: str | date | None = ..., collateral_date: str | date | None = ...,
        reference_date: str | date | None = ..., regime: str = ..., rate_offset: Literal['formula', 'none'] = ...,
        illiquid: str | Sequence[str] = ..., add: Iterable[Mapping[str, Any]] = ...,
        remove: str | Mapping[str, Any] | Sequence[str | Mapping[str, Any]] = ...,
        scale: str | Mapping[str, Any] | Sequence[str | Mapping[str, Any]] = ..., replace: bool = ...,
        value: bool = ...,
    ) -> Answer:
        """What added, removed and scaled trades do to the exposure at default of the netting sets they touch."""
    def credit_rwa(
        self, *, as_of: str | date, positions_date: str | date | None = ..., market_date: str | date | None = ...,
        scenario_set: str | None = ..., valuation_set: str | None = ..., branch: str | None = ...,
        as_known: str | None = ..., by: str | Sequence[str] = ...,
        where: str | Mapping[str, Any] | Sequence[str | Mapping[str, Any]] = ..., currency: str = ...,
        agreements_date: str | date | None = ..., collateral_date: str | date | None = ...,
        reference_date: str | date | None = ..., regime: str = ..., rate_offset: Literal['formula', 'none'] = ...,
        illiquid: str | Sequence[str] = ..., approach: Literal['standardised', 'foundation', 'advanced'] = ...,
        cva_charged: bool = ..., rating: str | Sequence[str] = ..., pd: str | Sequence[str] = ...,
        ead: Iterable[Mapping[str, Any]] = ..., sets: int = ..., trades: int = ..., value: bool = ...,
    ) -> Answer:
        """Credit risk-weighted assets, standardised and by internal ratings, of counterparties, trades and any dimension."""
    def capital(
        self, *, as_of: str | date, positions_date: str | date | None = ..., market_date: str | date | None = ...,
        scenario_set: str | None = ..., valuation_set: str | None = ..., branch: str | None = ...,
        as_known: str | None = ..., by: str | Sequence[str] = ...,
        where: str | Mapping[str, Any] | Sequence[str | Mapping[str, Any]] = ..., currency: str = ...,
        agreements_date: str | date | None = ..., collateral_date: str | date | None = ...,
        reference_date: str | date | None = ..., regime: str = ..., rate_offset: Literal['formula', 'none'] = ...,
        illiquid: str | Sequence[str] = ...,
        parts: Literal['credit', 'cva', 'market'] | Sequence[Literal['credit', 'cva', 'market']] = ...,
        credit: Literal['standardised', 'foundation', 'advanced'] = ...,
        cva: Literal['full', 'reduced', 'standardised'] = ..., market: Literal['sa'] = ...,
        market_where: str | Mapping[str, Any] | Sequence[str | Mapping[str, Any]] = ..., cva_charged: bool = ...,
        grid: str | Sequence[str] = ..., paths: int = ..., value: bool = ...,
    ) -> Answer:
        """Risk-weighted assets and capital of credit, CVA and market risk together, by any dimension, adding up exactly."""
    def capital_compare(
        self, *, as_known: str | None = ..., by: str | Sequence[str] = ...,
        where: str | Mapping[str, Any] | Sequence[str | Mapping[str, Any]] = ..., currency: str = ...,
        parts: Literal['credit', 'cva', 'market'] | Sequence[Literal['credit', 'cva', 'market']] = ...,
        credit: Literal['standardised', 'foundation', 'advanced'] = ...,
        cva: Literal['full', 'reduced', 'standardised'] = ..., market: Literal['sa'] = ...,
        market_where: str | Mapping[str, Any] | Sequence[str | Mapping[str, Any]] = ..., cva_charged: bool = ...,
        grid: str | Sequence[str] = ..., paths: int = ..., from_: str | Mapping[str, Any],
        from_positions_date: str | date | None = ..., from_market_date: str | date | None = ...,
        from_branch: str | None = ..., from_regime: str | None = ..., to: str | Mapping[str, Any],
        to_positions_date: str | date | None = ..., to_market_date: str | date | None = ...,
        to_branch: str | None = ..., to_regime: str | None = ..., regime: str = ...,
        rate_offset: Literal['formula', 'none'] = ..., illiquid: str | Sequence[str] = ...,
        order: Literal['trades', 'market', 'ageing', 'agreements', 'collateral', 'ratings', 'regime'] | Sequence[Literal['trades', 'market', 'ageing', 'agreements', 'collateral', 'ratings', 'regime']] = ...,
        value: bool = ...,
    ) -> Answer:
        """Risk-weighted assets at two points, and their difference by any dimension and by cause, adding up exactly."""
    def capital_plan(
        self, *, as_known: str | None = ..., by: str | Sequence[str] = ...,
        where: str | Mapping[str, Any] | Sequence[str | Mapping[str, Any]] = ..., currency: str = ...,
        parts: Literal['credit', 'cva', 'market'] | Sequence[Literal['credit', 'cva', 'market']] = ...,
        credit: Literal['standardised', 'foundation', 'advanced'] = ...,
        cva: Literal['full', 'reduced', 'standardised'] = ..., market: Literal['sa'] = ...,
        market_where: str | Mapping[str, Any] | Sequence[str | Mapping[str, Any]] = ..., cva_charged: bool = ...,
        grid: str | Sequence[str] = ..., paths: int = ..., as_of: str | date, positions_date: str | date | None = ...,
        scenarios: str | Sequence[str] = ..., horizons: str | Sequence[str] = ...,
        rolled: Literal['forwards', 'constant'] = ..., calendar: str = ..., regime: str = ...,
        rate_offset: Literal['formula', 'none'] = ..., illiquid: str | Sequence[str] = ..., members: int = ...,
        value: bool = ...,
    ) -> Answer:
        """Risk-weighted assets as a table of scenario by horizon: stressed, rolled and aged, and what drives the change."""
    def exposure(
        self, *, as_of: str | date, grid: str | Sequence[str] = ..., paths: int = ..., seed: int = ...,
        measure: Literal['risk_neutral', 'real_world'] = ..., sampling: Literal['random', 'antithetic', 'sobol'] = ...,
        numeraire: str = ..., path_window: int = ..., mean_reversion: Mapping[str, Any] | None = ...,
        rate_volatility: Mapping[str, Any] | None = ..., price_volatility: Mapping[str, Any] | None = ...,
        credit_paths: Literal['lognormal', 'deterministic'] = ..., discount_curves: Mapping[str, Any] | None = ...,
        positions_date: str | date | None = ..., branch: str | None = ..., as_known: str | None = ...,
        by: str | Sequence[str] = ..., where: str | Mapping[str, Any] | Sequence[str | Mapping[str, Any]] = ...,
        currency: str = ..., trades: Literal['derivatives', 'all'] = ..., collateral: bool = ...,
        margin_period: Literal['agreement', 'regime'] = ..., look_back: bool = ...,
        flows: Literal['paid', 'unpaid', 'own'] = ..., levels: str | Sequence[str] = ..., regime: str = ...,
        alpha: float | None = ..., value: bool = ...,
    ) -> Answer:
        """Exposure to counterparties over time: EE, ENE, PFE, EPE, EEPE and EAD, netted and with collateral."""
    def exposure_drill(
        self, *, as_of: str | date, grid: str | Sequence[str] = ..., paths: int = ..., seed: int = ...,
        measure: Literal['risk_neutral', 'real_world'] = ..., sampling: Literal['random', 'antithetic', 'sobol'] = ...,
        numeraire: str = ..., path_window: int = ..., mean_reversion: Mapping[str, Any] | None = ...,
        rate_volatility: Mapping[str, Any] | None = ..., price_volatility: Mapping[str, Any] | None = ...,
        credit_paths: Literal['lognormal', 'deterministic'] = ..., discount_curves: Mapping[str, Any] | None = ...,
        positions_date: str | date | None = ..., branch: str | None = ..., as_known: str | None = ...,
        by: str | Sequence[str] = ..., where: str | Mapping[str, Any] | Sequence[str | Mapping[str, Any]] = ...,
        currency: str = ..., trades: Literal['derivatives', 'all'] = ..., collateral: bool = ...,
        margin_period: Literal['agreement', 'regime'] = ..., look_back: bool = ...,
        flows: Literal['paid', 'unpaid', 'own'] = ..., levels: str | Sequence[str] = ..., regime: str = ...,
        alpha: float | None = ..., date: str | date | None = ..., level: str = ..., worst: int = ...,
        factors: int = ..., value: bool = ...,
    ) -> Answer:
        """Behind a point of an exposure profile: the trades and the market on the path at the quantile, and the worst paths."""
    def exposure_what_if(
        self, *, as_of: str | date, grid: str | Sequence[str] = ..., paths: int = ..., seed: int = ...,
        measure: Literal['risk_neutral', 'real_world'] = ..., sampling: Literal['random', 'antithetic', 'sobol'] = ...,
        numeraire: str = ..., path_window: int = ..., mean_reversion: Mapping[str, Any] | None = ...,
        rate_volatility: Mapping[str, Any] | None = ..., price_volatility: Mapping[str, Any] | None = ...,
        credit_paths: Literal['lognormal', 'deterministic'] = ..., discount_curves: Mapping[str, Any] | None = ...,
        positions_date: str | date | None = ..., branch: str | None = ..., as_known: str | None = ...,
        by: str | Sequence[str] = ..., where: str | Mapping[str, Any] | Sequence[str | Mapping[str, Any]] = ...,
        currency: str = ..., trades: Literal['derivatives', 'all'] = ..., collateral: bool = ...,
        margin_period: Literal['agreement', 'regime'] = ..., look_back: bool = ...,
        flows: Literal['paid', 'unpaid', 'own'] = ..., levels: str | Sequence[str] = ..., regime: str = ...,
        alpha: float | None = ..., add: Iterable[Mapping[str, Any]] = ...,
        remove: str | Mapping[str, Any] | Sequence[str | Mapping[str, Any]] = ...,
        scale: str | Mapping[str, Any] | Sequence[str | Mapping[str, Any]] = ..., replace: bool = ...,
        value: bool = ...,
    ) -> Answer:
        """What added, removed and scaled trades do to exposure: before, after and the difference."""
    def exposure_limits(
        self, *, as_of: str | date, grid: str | Sequence[str] = ..., paths: int = ..., seed: int = ...,
        measure: Literal['risk_neutral', 'real_world'] = ..., sampling: Literal['random', 'antithetic', 'sobol'] = ...,
        numeraire: str = ..., path_window: int = ..., mean_reversion: Mapping[str, Any] | None = ...,
        rate_volatility: Mapping[str, Any] | None = ..., price_volatility: Mapping[str, Any] | None = ...,
        credit_paths: Literal['lognormal', 'deterministic'] = ..., discount_curves: Mapping[str, Any] | None = ...,
        positions_date: str | date | None = ..., branch: str | None = ..., as_known: str | None = ...,
        by: str | Sequence[str] = ..., where: str | Mapping[str, Any] | Sequence[str | Mapping[str, Any]] = ...,
        currency: str = ..., trades: Literal['derivatives', 'all'] = ..., collateral: bool = ...,
        margin_period: Literal['agreement', 'regime'] = ..., look_back: bool = ...,
        flows: Literal['paid', 'unpaid', 'own'] = ..., levels: str | Sequence[str] = ..., regime: str = ...,
        alpha: float | None = ..., candidates: int = ..., value: bool = ...,
    ) -> Answer:
        """Limits of exposure: utilisation, headroom, breaches, and the trade that breaches."""
    def frtb_sa(
        self, *, as_known: str | None = ..., by: str | Sequence[str] = ...,
        where: str | Mapping[str, Any] | Sequence[str | Mapping[str, Any]] = ..., currency: str = ...,
        as_of: str | date, positions_date: str | date | None = ..., branch: str | None = ...,
        add: Iterable[Mapping[str, Any]] = ...,
        remove: str | Mapping[str, Any] | Sequence[str | Mapping[str, Any]] = ...,
        scale: str | Mapping[str, Any] | Sequence[str | Mapping[str, Any]] = ..., replace: bool = ...,
        market_date: str | date | None = ..., reference_date: str | date | None = ..., regime: str = ...,
        parts: Literal['girr', 'csr', 'equity', 'commodity', 'fx', 'drc', 'rrao'] | Sequence[Literal['girr', 'csr', 'equity', 'commodity', 'fx', 'drc', 'rrao']] = ...,
        liquid_rates: Literal['divided', 'full'] = ..., liquid_fx: Literal['divided', 'full'] = ...,
        fx_curvature: Literal['divided', 'full'] = ..., equity_maturity: Literal['1Y', '3M'] = ...,
        standalone: bool = ..., value: bool = ...,
    ) -> Answer:
        """Capital for market risk by the FRTB standardised approach, with contributions that add up to the last bit."""
    def frtb_ima(
        self, *, as_known: str | None = ..., by: str | Sequence[str] = ...,
        where: str | Mapping[str, Any] | Sequence[str | Mapping[str, Any]] = ..., currency: str = ...,
        as_of: str | date, positions_date: str | date | None = ..., market_date: str | date | None = ...,
        branch: str | None = ..., regime: str = ..., scenarios: int | None = ..., stress: str | None = ...,
        domestic: str | None = ..., reduced_without: str | Sequence[str] = ...,
        untested: Literal['non_modellable', 'modellable'] = ..., idiosyncratic: str | Sequence[str] = ...,
        add: Iterable[Mapping[str, Any]] = ...,
        remove: str | Mapping[str, Any] | Sequence[str | Mapping[str, Any]] = ...,
        scale: str | Mapping[str, Any] | Sequence[str | Mapping[str, Any]] = ..., replace: bool = ...,
        contributions: bool = ..., value: bool = ...,
    ) -> Answer:
        """Internal-model capital of FRTB by any dimension: ES over liquidity horizons, IMCC, SES, and contributions that add up."""
    def drc_ima(
        self, *, as_of: str | date, positions_date: str | date | None = ..., market_date: str | date | None = ...,
        scenario_set: str | None = ..., valuation_set: str | None = ..., branch: str | None = ...,
        as_known: str | None = ..., by: str | Sequence[str] = ...,
        where: str | Mapping[str, Any] | Sequence[str | Mapping[str, Any]] = ..., currency: str = ...,
        common_correlation: float | None = ..., sector_correlation: float | None = ..., correlation_years: int = ...,
        correlation_days: int = ..., correlation_calendar: str = ..., regime: str = ...,
        pds: Mapping[str, Any] | None = ..., pd_by_rating: Mapping[str, Any] | None = ...,
        lgds: Mapping[str, Any] | None = ..., paths: int = ..., seed: int = ..., value: bool = ...,
    ) -> Answer:
        """Default risk charge of the internal model: VaR of a year's defaults by issuer, with contributions that add up."""
    def ima_capital(
        self, *, as_known: str | None = ..., by: str | Sequence[str] = ...,
        where: str | Mapping[str, Any] | Sequence[str | Mapping[str, Any]] = ..., currency: str = ...,
        as_of: str | date, positions_date: str | date | None = ..., market_date: str | date | None = ...,
        branch: str | None = ..., regime: str = ..., scenarios: int | None = ..., stress: str | None = ...,
        domestic: str | None = ..., reduced_without: str | Sequence[str] = ...,
        untested: Literal['non_modellable', 'modellable'] = ..., idiosyncratic: str | Sequence[str] = ...,
        common_correlation: float | None = ..., sector_correlation: float | None = ..., correlation_years: int = ...,
        correlation_days: int = ..., correlation_calendar: str = ..., days: int | None = ...,
        exceptions: int | None = ..., zones: Mapping[str, Any] | None = ..., tested_from: str | date | None = ...,
        standardised: Mapping[str, Any] | None = ..., standardised_all: float | None = ...,
        standardised_eligible: float | None = ..., unapproved: float | None = ..., default_risk: float | None = ...,
        pds: Mapping[str, Any] | None = ..., pd_by_rating: Mapping[str, Any] | None = ...,
        lgds: Mapping[str, Any] | None = ..., value: bool = ...,
    ) -> Answer:
        """Own funds for market risk with internal models: averages, multiplier, surcharge, cap and total."""
    def pla(
        self, *, as_known: str | None = ..., by: str | Sequence[str] = ...,
        where: str | Mapping[str, Any] | Sequence[str | Mapping[str, Any]] = ..., currency: str = ...,
        from_: str | date | None = ..., to: str | date | None = ..., levels: str | Sequence[str] = ...,
        estimator: str = ..., scenario_set: str | None = ..., source: str | None = ..., calendar: str = ...,
        window: int = ..., time: Literal['frozen', 'passes'] = ..., significance: float = ...,
        law: Literal['scenarios', 'normal', 't'] = ..., degrees: float = ..., simulations: int = ..., seed: int = ...,
        steps: int = ..., method: str = ..., parameters: Mapping[str, Any] | None = ..., regime: str = ...,
        theoretical: float | Sequence[float] = ..., hypothetical: float | Sequence[float] = ..., value: bool = ...,
    ) -> Answer:
        """P&L attribution of FRTB: theoretical against hypothetical P&L by desk, Spearman, Kolmogorov-Smirnov, zone."""
    def desk_eligibility(
        self, *, as_known: str | None = ..., by: str | Sequence[str] = ...,
        where: str | Mapping[str, Any] | Sequence[str | Mapping[str, Any]] = ..., currency: str = ...,
        from_: str | date, to: str | date, levels: str | Sequence[str] = ..., estimator: str = ...,
        scenario_set: str | None = ..., source: str | None = ..., calendar: str = ..., window: int = ...,
        time: Literal['frozen', 'passes'] = ..., significance: float = ...,
        law: Literal['scenarios', 'normal', 't'] = ..., degrees: float = ..., simulations: int = ..., seed: int = ...,
        steps: int = ..., method: str = ..., parameters: Mapping[str, Any] | None = ..., regime: str = ...,
        value: bool = ...,
    ) -> Answer:
        """Which desks may use the internal model: exceptions against their limits, attribution, multiplier, approach."""
    def rfet(
        self, *, as_known: str | None = ..., as_of: str | date, regime: str = ..., factors: str | Sequence[str] = ...,
    ) -> Answer:
        """Which risk factors are modellable: the real-price test of FRTB, with the reason."""

class Works:
    def _do(self, name: str, given: dict[str, Any]) -> Any: ...
    def value(
        self, *, as_of: str | date, positions_dates: str | date | Sequence[str | date] = ...,
        market_date: str | date | None = ..., scenario_set: str | None = ..., scenarios: Any | None = ...,
        risk_classes: str | Sequence[str] = ..., branches: str | Sequence[str] = ...,
        runner: Literal['auto', 'in-process', 'spark'] = ...,
    ) -> Figures:
        """Value every contract held on a date under every scenario; what is known is reused."""
    def make_scenario_set(
        self, *, method: str = ..., parameters: Mapping[str, Any] | None = ..., name: str | None = ...,
        only_by_name: bool = ..., of_book: bool = ..., as_of: str | date,
    ) -> Figures:
        """Make a scenario set and store it."""
    def save_branch(
        self, *, add: Iterable[Mapping[str, Any]] = ...,
        remove: str | Mapping[str, Any] | Sequence[str | Mapping[str, Any]] = ...,
        scale: str | Mapping[str, Any] | Sequence[str | Mapping[str, Any]] = ..., replace: bool = ..., name: str,
        as_of: str | date, positions_date: str | date | None = ..., upon: str | None = ...,
        scenario_set: str | None = ..., note: str = ..., new_version: bool = ...,
    ) -> Figures:
        """Save named changes of a book, which are then read like a date."""
    def set_standard(
        self, *, desk: str | None = ..., scenario_set: str | None = ..., currency: str | None = ...,
        inherit: bool = ..., reason: str | None = ...,
    ) -> Figures:
        """Set the scenarios and the currency of a question that names none, of the lake or of a desk."""
    def net_orders(
        self, *, as_of: str | datetime, positions_date: str | date | None = ...,
    ) -> Figures:
        """Net all orders up to an instant to the positions of a date."""
    def make_covariance(
        self, *, matrix: str, as_of: str | datetime, window: int = ..., stale_seconds: int = ...,
        factors: str | Sequence[str] = ...,
    ) -> Figures:
        """Make a covariance of intraday levels and store it under a name."""
    def take_live_snapshot(
        self, *, as_of: str | date, positions_date: str | date | None = ..., scenario_set: str | None = ...,
    ) -> Figures:
        """Take a snapshot of a live day: its levels, positions and vectors as rows of the lake."""
    def record_live_alarms(
        self, *, as_of: str | date, positions_date: str | date | None = ..., scenario_set: str | None = ...,
    ) -> Figures:
        """Store the alarms of a live day that are not stored yet, answered by one recalculation."""
    def set_alarm_band(
        self, *, deviations: float = ..., window: int = ..., min_interval_seconds: int = ..., complete: bool = ...,
        holds_from: str | datetime | None = ..., reason: str,
    ) -> Figures:
        """Set the band that levels of live days are held to."""
    def act_on_market(
        self, *, act: Literal['release', 'override', 'proxy'], factor: str, date: str | date, reason: str, author: str,
        value: float | None = ..., by: str | None = ..., beta: float = ...,
    ) -> Figures:
        """Release, override or proxy a market value that is held back."""
    def check_market(
        self, *, first: str | date | None = ..., hold: bool = ..., gates: str | None = ...,
    ) -> Figures:
        """Hold stored market data to the gates."""
    def release(
        self, *, answer: Mapping[str, Any], released_by: str, reason: str = ...,
    ) -> Figures:
        """Release the figures of a kept answer to the table that dashboards read."""
