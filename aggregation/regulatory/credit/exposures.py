"""Exposures at default that are to be weighted: of SA-CCR with their contributions by trade, or given.

A part is a trade's contribution to its netting set, what the agreement contributes, or a given exposure as a whole.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from aggregation.book.book import PositionColumn
from aggregation.kernels.sa_ccr import on_grid
from aggregation.opened.alignment import COVERED
from aggregation.regulatory.sa_ccr.ead import NETTING_SET, OUT_OF_SCOPE, NettedExposures, effective_maturities
from aggregation.regulatory.sa_ccr.question import parts_of
from lake.arrays import Bools, Codes, Floats, Ints
from lake.errors import BadInput, Issue, unknown, validated
from lake.landing.rows import listed

GIVEN = (NETTING_SET, "counterparty", "legal_entity")
AGREEMENT = "agreement"  # the part that no trade has: of collateral and terms of margin


class GivenEad(BaseModel):
    """An exposure at default from elsewhere."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    netting_set: str = Field(min_length=1, description="its netting set, once among all rows")
    counterparty: str = Field(min_length=1, description="the counterparty")
    legal_entity: str | None = Field(None, description="our legal entity")
    ead: float = Field(ge=0, le=1e16, allow_inf_nan=False, description="exposure at default in the reporting currency")
    maturity: float | None = Field(None, gt=0, le=100, description="effective maturity in years, where it is known")


@dataclass(frozen=True)
class EadParts:
    """Exposures at default of netting sets, and their parts.

    ids, counterparties, legal_entities : of the netting sets. ead : (n_sets,). years : effective maturity of each, NaN where not known.
    in_scope : (n_sets,) whether it has an exposure at all. set_of, part : (n_parts,) netting set and EAD of each part, which add up to
    that of the set. is_trade : whether a part is a trade. covered : whether it is in the EAD; a trade that is not has a part of zero.
    columns : codes of the parts into members, by dimension; None where there is no book, of which only `GIVEN` are known.
    """

    ids: Sequence[str]
    counterparties: Sequence[str | None]
    legal_entities: Sequence[str | None]
    ead: Floats
    years: Floats
    in_scope: Bools
    set_of: Codes
    part: Floats
    is_trade: Bools
    covered: Bools
    counted: Bools
    found: NettedExposures | None

    def column(self, name: str) -> tuple[Ints, list[str | None]]:
        """Codes of the parts into the members of a dimension; null for what no trade has and for collateral of a finer dimension."""
        of_sets: Mapping[str, Sequence[str | None]] = {
            NETTING_SET: self.ids,
            "counterparty": self.counterparties,
            "legal_entity": self.legal_entities,
        }
        if name in of_sets:
            codes, members = _encoded(of_sets[name])
            return codes[self.set_of], members
        if self.found is None:
            raise unknown("dimension", name, GIVEN, pointer="by")
        column: PositionColumn = self.found.inputs.book.column(name)
        members = list(column.members.to_pylist())
        if None not in members:
            members.append(None)
        codes = np.full(len(self.set_of), len(members) - 1, dtype=np.int64)
        codes[self.is_trade] = column.codes[self.found.trades.position]
        return codes, members

    def trades(self) -> list[str | None]:
        """The trade of each part; None of an agreement's."""
        if self.found is None:
            return [None] * len(self.set_of)
        codes, members = self.column("trade")
        return [members[c] for c in codes.tolist()]


def of_sa_ccr(found: NettedExposures) -> EadParts:
    """The exposures of SA-CCR, with the additive contributions of trades and agreements."""
    parts, trades, n_sets = parts_of(found), found.trades, len(found.nets)
    n = len(trades.set_of)
    in_scope = np.zeros(n_sets, np.bool_)
    in_scope[found.in_scope] = True
    nothing = np.zeros(n_sets, np.bool_)
    return EadParts(
        found.nets.ids,
        found.nets.counterparties,
        found.nets.legal_entities,
        found.exposures.ead,
        effective_maturities(found),
        in_scope,
        parts.set_of,
        parts.figures["ead"],
        np.append(np.ones(n, np.bool_), nothing),
        np.append(trades.state == COVERED, nothing),
        np.append(trades.state != OUT_OF_SCOPE, nothing),
        found,
    )


def given(rows: Sequence[Mapping[str, Any]]) -> EadParts:
    """Exposures from elsewhere; raises `BadInput` with every fault by row, and for a netting set that stands twice."""
    read, issues, seen = list[GivenEad](), list[Issue](), dict[str, int]()
    for number, row in enumerate(rows, 1):
        try:
            one = validated(GivenEad, dict(row), f"exposure in row {number}")
        except BadInput as error:
            issues += [Issue(f"row {number}{i.pointer}", i.message, i.value, i.allowed) for i in error.issues]
            continue
        first = seen.setdefault(one.netting_set, number)
        if first != number:
            told = f"netting set {one.netting_set} stands in row {first} already; give one exposure of each"
            issues.append(Issue(f"row {number}/netting_set", told, one.netting_set))
        read.append(one)
    if issues:
        raise BadInput(f"The exposures given are not valid: {listed(issues, values=True)}.", issues=issues)
    read.sort(key=lambda e: e.netting_set)
    n = len(read)
    every = np.ones(n, np.bool_)
    ead = on_grid(np.array([e.ead for e in read], dtype=np.float64))
    return EadParts(
        [e.netting_set for e in read],
        [e.counterparty for e in read],
        [e.legal_entity for e in read],
        ead,
        np.array([np.nan if e.maturity is None else e.maturity for e in read], dtype=np.float64),
        every,
        np.arange(n, dtype=np.int32),
        ead,
        ~every,
        every,
        every,
        None,
    )


def _encoded(names: Sequence[str | None]) -> tuple[Ints, list[str | None]]:
    """Codes into the sorted members, a null last."""
    members: list[str | None] = [*sorted({n for n in names if n is not None}), None]
    place = {m: i for i, m in enumerate(members)}
    return np.array([place[n] for n in names], dtype=np.int64), members
