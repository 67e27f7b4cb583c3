"""What options that may be exercised early share: the choice of an engine, and their values by it.

The deterministic engine (`valuation.kernels.american`) is the default. Longstaff-Schwartz (`valuation.kernels.longstaff_schwartz`)
is by choice: an estimate, with paths that base and scenarios share, so that little of its noise is in a P&L.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from lake.arrays import Floats
from valuation.instruments.fields import Date, Name, OptionType, Price, require_alive
from valuation.instruments.reads import volatilities
from valuation.kernels import longstaff_schwartz
from valuation.kernels.american import american_options
from valuation.types import InstrumentTerms, Market, OnlyWith

PATHS, STEPS, POLICY = 10_000, 60, "base"  # of Longstaff-Schwartz where the terms do not say
_MOST_DRAWS = 6_000_000  # paths times steps: 48 MB an array


class AmericanTerms(InstrumentTerms):
    """Terms of an option that may be exercised on any day up to expiry."""

    only_with: ClassVar[OnlyWith] = dict.fromkeys(("paths", "steps", "policy"), ("engine", ("longstaff_schwartz",)))

    volatility: Name = Field(description="risk factor id of the lognormal implied volatility, such as IV:AAPL")
    strike: Price = Field(description="exercise price of one unit, positive")
    expiry: Date = Field(description="last day on which it may be exercised")
    option_type: OptionType = Field(description="call or put")
    engine: Literal["deterministic", "longstaff_schwartz"] | None = Field(
        None, description="deterministic (where not given) or longstaff_schwartz"
    )
    paths: int | None = Field(
        None, ge=100, description="of longstaff_schwartz: paths, an even number; 10,000 if not given"
    )
    steps: int | None = Field(
        None, ge=1, le=1000, description="of longstaff_schwartz: exercise dates to expiry; 60 if not given"
    )
    policy: Literal["base", "scenario"] | None = Field(
        None,
        description="of longstaff_schwartz: exercise as found at the base (if not given, and for sensitivities), or anew in each scenario",
    )

    @model_validator(mode="after")
    def _one_engine(self) -> Self:
        if (self.paths or 0) % 2:
            raise ValueError(
                f"paths is {self.paths}; an even number is expected, as half of the paths mirror the others"
            )
        draws = (self.paths or PATHS) * (self.steps or STEPS)
        if draws > _MOST_DRAWS:
            raise ValueError(f"paths times steps is {draws:,}; at most {_MOST_DRAWS:,} is expected")
        return self

    @property
    def simulated(self) -> bool:
        return self.engine == "longstaff_schwartz"

    @property
    def sign(self) -> float:
        return 1.0 if self.option_type == "call" else -1.0

    def check(self, valuation_date: dt.date, rolled_from: dt.date | None = None) -> None:
        require_alive(self.expiry, valuation_date)

    def notes(self, valuation_date: dt.date) -> tuple[str, ...]:
        if not self.simulated:
            return ()
        policy = (
            "the exercise policy of the base in all scenarios" if self._base_policy else "a policy for each scenario"
        )
        how = f"{self.paths or PATHS:,} paths, {self.steps or STEPS} steps, {policy}"
        return (
            f"{self.instrument_type} is an estimate by Longstaff-Schwartz: {how}. Its bounds are to be had by `bounds`.",
        )

    @property
    def _base_policy(self) -> bool:
        return (self.policy or POLICY) == "base"


@dataclass(frozen=True)
class Inputs:
    """What decides the values of contracts: times and strikes (n_contracts,), the others (n_contracts, n_states).

    spots : price of the asset that is exercised into; carried : present value of one delivered at expiry per unit of it. bumped :
    whether differences of the states are derivatives, in which the noise of a policy found anew would be all there is.
    """

    times: Floats
    strikes: Floats
    spots: Floats
    carried: Floats
    discounts: Floats
    volatilities: Floats
    bumped: bool

    @classmethod
    def of(
        cls,
        terms: Sequence[AmericanTerms],
        market: Market,
        times: Floats,
        spots: Floats,
        carried: Floats,
        discounts: Floats,
    ) -> Inputs:
        """With volatilities read from the market."""
        strikes: Floats = np.array([t.strike for t in terms])
        read = volatilities(market, [t.volatility for t in terms], times, strikes, lambda: spots * carried / discounts)
        return cls(times, strikes, spots, carried, discounts, read, market.bumped)


def american_values(terms: Sequence[AmericanTerms], inputs: Inputs) -> Floats:
    """Value of one unit of each contract by the engine of its terms, shape (n_contracts, n_states)."""
    out = np.empty(inputs.spots.shape)
    rows = np.array([i for i, t in enumerate(terms) if not t.simulated], np.int64)
    if len(rows):
        out[rows] = american_options(
            np.array([terms[i].sign for i in rows]),
            inputs.carried[rows],
            inputs.strikes[rows],
            inputs.times[rows],
            inputs.spots[rows],
            inputs.volatilities[rows],
            inputs.discounts[rows],
        )
    for i, t in enumerate(terms):
        if t.simulated:
            out[i] = simulated_values(t, inputs, i)[0]
    return out


def simulated_values(terms: AmericanTerms, inputs: Inputs, row: int = 0) -> tuple[Floats, Floats]:
    """Values by Longstaff-Schwartz of the contract in a row of the inputs and their standard errors, both (n_states,)."""
    return longstaff_schwartz.american_option(
        terms.sign,
        float(inputs.strikes[row]),
        float(inputs.times[row]),
        inputs.spots[row],
        inputs.volatilities[row],
        inputs.discounts[row],
        inputs.carried[row],
        paths=terms.paths or PATHS,
        steps=terms.steps or STEPS,
        base_policy=terms._base_policy or inputs.bumped,
    )


def simulated_errors(terms: AmericanTerms, inputs: Inputs, weights: Floats) -> Floats:
    """Standard errors of weighted sums over states of the one contract of the inputs, (n_sums,); weights : (n_sums, n_states)."""
    return longstaff_schwartz.difference_errors(
        terms.sign,
        float(inputs.strikes[0]),
        float(inputs.times[0]),
        inputs.spots[0],
        inputs.volatilities[0],
        inputs.discounts[0],
        inputs.carried[0],
        weights,
        paths=terms.paths or PATHS,
        steps=terms.steps or STEPS,
    )


def value_bounds(terms: AmericanTerms, inputs: Inputs, state: int = 0) -> longstaff_schwartz.Bounds:
    """Standard error, lower and upper bound of the one contract of the inputs in a state, by Longstaff-Schwartz whatever its engine."""
    return longstaff_schwartz.bounds(
        terms.sign,
        float(inputs.strikes[0]),
        float(inputs.times[0]),
        float(inputs.spots[0, state]),
        float(inputs.volatilities[0, state]),
        float(inputs.discounts[0, state]),
        float(inputs.carried[0, state]),
        paths=terms.paths or PATHS,
        steps=terms.steps or STEPS,
    )
