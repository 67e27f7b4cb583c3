"""Exposure of some positions of those that were opened: one node, or one without a trade."""

from __future__ import annotations

import dataclasses

import numpy as np

from aggregation.exposure.along_paths import Along
from aggregation.exposure.netting_sets import Balance, NettingSets
from lake.arrays import Bools


def restricted(along: Along, kept: Bools) -> Along:
    """The netting sets of the positions kept, (n_positions of the book,), with the collateral that they had as a whole.

    A netting set of which a trade is taken away still has its agreement: its collateral is called on what is left.
    """
    sets = along.sets
    here = kept[sets.position]
    used, code = np.unique(sets.code[here], return_inverse=True)
    place = {int(c): i for i, c in enumerate(used.tolist())}
    under = [c for c in used.tolist() if c < len(sets.agreements)]
    fewer = NettingSets(
        sets.as_of,
        sets.position[here],
        code.astype(np.int32),
        [sets.ids[c] for c in used.tolist()],
        [sets.counterparties[c] for c in used.tolist()],
        [sets.legal_entities[c] for c in used.tolist()],
        [sets.agreements[c] for c in under],
        sets.whole[used],
        tuple(
            Balance(place[b.code], b.kind, b.amount, b.currency, b.segregated) for b in sets.balances if b.code in place
        ),
        sets.notes,
    )
    return dataclasses.replace(
        along, sets=fewer, lags=[along.lags[c] for c in under], collateralised=along.collateralised[used]
    )
