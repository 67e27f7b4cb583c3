"""A book with trades added, removed and scaled, and the vectors of what was added, as the inputs of a question about all of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa

from aggregation.book.changes import changed_book
from aggregation.opened.alignment import align
from aggregation.opened.inputs import Inputs
from aggregation.opened.vectors import Vectors
from aggregation.regulatory.frtb_sa_query import FrtbSaQuery
from aggregation.whatif.request import changes_of, value_new
from valuation.types import PnLBlock


def changed_inputs(inputs: Inputs, query: FrtbSaQuery) -> tuple[Inputs, pa.Table]:
    """The inputs after the changes of the query, and the rows of the added contracts.

    ContractTerms that the valuation set does not know are valued under its scenarios, and nothing is stored; what cannot be valued is among
    the failures.
    """
    changes = changes_of(query, inputs)
    block = value_new(inputs, changes, query.currency)
    vectors = inputs.vectors if block is None else with_block(inputs.vectors, block)
    book = changed_book(inputs.book, changes, f"changes-{changes.digest()}")
    return replace(inputs, book=book, vectors=vectors, alignment=align(book, vectors)), changes.contracts


def with_block(vectors: Vectors, block: PnLBlock) -> Vectors:
    """The vectors with those of a block, whose contracts they do not hold."""
    currencies = tuple(sorted({*vectors.currencies, *block.currencies}))
    code = {c: i for i, c in enumerate(currencies)}
    old = np.array([code[c] for c in vectors.currencies], dtype=vectors.currency.dtype)
    ids = pa.concat_arrays([vectors.contract_ids, pa.array(block.contract_ids, vectors.contract_ids.type)])
    order = np.argsort(np.array(ids.to_pylist(), dtype=object), kind="stable")
    width = vectors.rows.shape[1]
    added = np.zeros((len(block.contract_ids), width))
    added[:, : vectors.n_scenarios] = block.pnl
    currency = np.concatenate(
        [old[vectors.currency], np.array([code[c] for c in block.currencies], dtype=vectors.currency.dtype)]
    )
    failed = {
        "contract_id": [f.contract_id for f in block.failures],
        "reason": [f.reason for f in block.failures],
        "message": [f.message for f in block.failures],
    }
    names = vectors.failures.schema.names
    failures = pa.RecordBatch.from_arrays(
        [pa.concat_arrays([vectors.failures[n], pa.array(failed[n], pa.string())]) for n in names], names
    )
    return replace(
        vectors,
        contract_ids=ids.take(pa.array(order)),
        currencies=currencies,
        currency=currency[order],
        base=np.concatenate([vectors.base, block.base])[order],
        unmoved=np.concatenate([vectors.unmoved, np.zeros(len(added), np.bool_)])[order],
        matrix=np.concatenate([vectors.rows, added])[order],
        failures=failures.sort_by("contract_id"),
        substituted=None
        if vectors.substituted is None
        else np.concatenate([vectors.substituted, np.zeros(len(added), np.bool_)])[order],
        set_key="",
    )
