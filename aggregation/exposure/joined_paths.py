"""Values on paths of more contracts than are stored: those of a hypothetical trade, valued here on the very paths of the others."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from aggregation.exposure.path_values import PathValues, SamePaths
from lake.arrays import Bools, Floats, Ints
from lake.errors import BadInput
from lake.tables import Lake
from valuation.horizons.path_runs import load_model
from valuation.horizons.path_values import PathBlock, value_along
from valuation.types import Contract


@dataclass(frozen=True)
class _Joined(SamePaths):
    """Stored values and added ones as one, by contract id. added : (n,) whether a row is an added one; place : its row there or among the
    stored."""

    block: PathBlock
    added: Bools
    place: Ints

    def values(self, k: int, rows: Ints | None) -> Floats:
        return self._rows(rows, self.whole.values(k), self.block.values[:, k])

    def cash(self, k: int, rows: Ints | None) -> Floats:
        return self._rows(rows, self.whole.cash(k), self.block.cash[:, k])

    def _rows(self, rows: Ints | None, stored: Floats, block: Floats) -> Floats:
        of, place = (self.added, self.place) if rows is None else (self.added[rows], self.place[rows])
        out = np.empty((len(of), self.whole.n_paths))
        out[~of], out[of] = stored[place[~of]], block[place[of]]
        return out


def with_contracts(lake: Lake, paths: PathValues, contracts: Sequence[Contract]) -> PathValues:
    """The paths with these contracts valued on them as well, where they are not yet; nothing is stored. What cannot be valued is among the
    failures. Raises `BadInput` for paths that were not made of a stored model."""
    known = {*paths.contract_ids.to_pylist(), *(f.contract_id for f in paths.failures)}
    wanted = sorted({c for c in contracts if c.contract_id not in known})
    if not wanted:
        return paths
    if "path_set_id" not in paths.receipt:
        raise BadInput("These paths are of no stored model; a contract that they do not hold cannot be valued on them.")
    return joined(paths, value_along(wanted, load_model(lake, paths.receipt["path_set_id"])))


def joined(paths: PathValues, block: PathBlock) -> PathValues:
    """The paths with the contracts of a block, none of which they hold."""
    ids = pa.concat_arrays([pa.array(paths.contract_ids).cast(pa.string()), pa.array(block.contract_ids, pa.string())])
    order = pc.sort_indices(ids).to_numpy().astype(np.int64)
    n = len(paths.contract_ids)
    added = order >= n
    place = np.where(added, order - n, order)
    currencies = [*paths.currencies, *block.currencies]
    return dataclasses.replace(
        paths,
        contract_ids=ids.take(pa.array(order)),
        currencies=tuple(currencies[i] for i in order.tolist()),
        base=np.concatenate([paths.base, block.base])[order],
        failures=(*paths.failures, *block.failures),
        source=_Joined(paths, block, added, place),
    )
