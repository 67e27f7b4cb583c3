"""What options on one price need to know of it, whether it is a share, an index or a currency pair."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from lake.arrays import Floats


@dataclass(frozen=True)
class Underlyings:
    """The underlying of each option. times : (n_options,) years to expiry; the others have shape (n_options, n_states).

    spot : price today; delivered : present value of one unit delivered at expiry; discount : discount factor to expiry.
    """

    times: Floats
    spot: Floats
    delivered: Floats
    discount: Floats

    @cached_property
    def forward(self) -> Floats:
        return self.delivered / self.discount
