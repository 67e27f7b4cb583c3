"""What units of contracts contribute to the measures of a selection."""

from __future__ import annotations

from aggregation.kernels.euler import unit_contributions
from aggregation.reduce.selection import Selection
from lake.arrays import Floats


def unit_parts(selection: Selection, weights: Floats) -> Floats:
    """What one unit of each contract contributes under weights (n_measures, n_scenarios); see `kernels.euler`."""
    vectors, rates = selection.inputs.vectors, selection.rates
    return unit_contributions(
        vectors.rows,
        selection.inputs.alignment.row,
        vectors.base,
        vectors.currency,
        rates.base,
        rates.scenarios,
        weights,
    )
