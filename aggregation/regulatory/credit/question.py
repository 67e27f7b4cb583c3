"""The question `credit-rwa`: credit risk-weighted assets of counterparties on exposures at default, by any dimension.

RWA of a netting set is its risk weight times its EAD, so that it splits like EAD: a trade has the weight of its counterparty times its
contribution to EAD in SA-CCR, and the parts add up to the last bit. Sources: CRE20, CRE31, CRE32; RBC20.1 for the capital.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from pydantic import Field

from aggregation.answer import Answer
from aggregation.exposure.reference import Counterparty, ReferenceData, counterparties_of
from aggregation.on_demand import plan_scope, value_scope
from aggregation.question import Question
from aggregation.receipts import name_code, table_digest
from aggregation.regimes.regimes import regime_of
from aggregation.regulatory.credit.exposures import EadParts, given, of_sa_ccr
from aggregation.regulatory.credit.parameters import Credit
from aggregation.regulatory.credit.tables import Weighted, group_rows, set_rows, trade_rows, weighted
from aggregation.regulatory.credit.weights import Approach
from aggregation.regulatory.sa_ccr.ead import SaCcrQuery, ead_by_netting_set, receipt_of
from aggregation.regulatory.sa_ccr.question import price_of
from aggregation.session import Session
from aggregation.types import Coverage, DimensionName, Whole, as_model
from lake.canonical import canonical_json, digest
from lake.errors import BadInput, counted
from lake.landing.reference_values import RATINGS
from lake.tables import NEVER_WRITTEN

_MOST = 100_000
_TABLE = "counterparties"


class CreditRwaQuery(SaCcrQuery):
    """Whose credit RWA, on which day, under which rules, by which approach."""

    by: tuple[DimensionName, ...] = Field(
        ("counterparty",),
        max_length=16,
        description="dimensions to group by, outermost first; also netting_set, and of the counterparty counterparty_class, "
        "counterparty_rating, counterparty_sector, counterparty_group and counterparty_region; empty for the total alone",
    )
    approach: Approach = Field(
        "standardised",
        description="how exposures are weighted: standardised by class and rating; foundation by PD with supervisory LGD; advanced by "
        "PD, own LGD and maturity where the rules permit it, else foundation",
    )
    cva_charged: bool = Field(
        False, description="the maturity factor of internal ratings is at most one, since CVA has capital of its own"
    )
    rating: tuple[str, ...] = Field(
        (), max_length=1000, description="what if a rating were another: COUNTERPARTY=RATING, such as Acme Bank=BB"
    )
    pd: tuple[str, ...] = Field(
        (),
        max_length=1000,
        description="what if a probability of default were another: COUNTERPARTY=PD, such as Acme Bank=0.02",
    )
    ead: tuple[dict[str, Any], ...] = Field(
        (),
        max_length=_MOST,
        description="exposures at default from elsewhere, in place of SA-CCR: netting_set, counterparty, ead in the reporting currency, "
        "and where known legal_entity and maturity in years",
    )
    sets: Whole = Field(1000, ge=0, le=_MOST, description="netting sets shown, those with the largest RWA")
    trades: Whole = Field(0, ge=0, le=_MOST, description="trades shown, those with the largest contributions to RWA")


@dataclass(frozen=True)
class CreditRwa(Answer):
    """rows : a row a group, sorted: the `by` columns; part, `all`, or where a group is finer than netting sets `trades` or `agreement`
    (collateral and terms of margin); netting_sets; positions, covered, failed (also those whose counterparty has no weight), status; ead;
    ead_weighted, that of netting sets with a weight; rwa, capital and, by internal ratings, expected_loss of these; density, rwa over
    ead_weighted. Where ratings or PDs were changed also rwa_before and rwa_change. total : the same of all together.

    netting_sets : a row each, the largest RWA first: counterparty, legal_entity, approach used, credit_class, rating, pd, lgd,
    correlation, maturity, maturity_factor, risk_weight, ead, rwa, capital, expected_loss; without a weight a row with the reason.
    trades : contributions: trade, netting_set, ead, risk_weight, rwa, capital; trade is null for what an agreement contributes.
    """

    query: CreditRwaQuery
    rows: pa.Table
    total: Mapping[str, Any]
    coverage: Coverage
    netting_sets: pa.Table
    trades: pa.Table
    receipt: Mapping[str, Any]
    notes: tuple[str, ...] = ()


def _answer(session: Session, query: CreditRwaQuery) -> CreditRwa:
    lake = session.cache.lake
    if query.ead and query.where:
        raise BadInput("where filters positions, and exposures were given with the question; leave one of both out.")
    if query.ead:
        exposures, notes, regime = given(query.ead), list[str](), regime_of(query.regime, query.as_of, session.lake)
        receipt: dict[str, Any] = {
            "as_of": str(query.as_of),
            "ead_digest": digest(canonical_json([dict(r) for r in query.ead])),
            "table_versions": {},
            **regime.named,
            **name_code(),
        }
        notes += [f"Regime {regime.label}: {regime.title}.", *regime.notes(query.as_of)]
        notes.append(f"{counted(len(query.ead), 'exposure')} at default given with the question, in {query.currency}.")
        if query.where:
            raise BadInput(
                "where filters positions, and exposures were given with the question; leave one of both out."
            )
    else:
        found = ead_by_netting_set(session, as_model(SaCcrQuery, query))
        exposures, notes, regime, receipt = of_sa_ccr(found), [*found.notes], found.regime, receipt_of(found)
    parameters = regime.section("credit", Credit)
    version = lake.version(_TABLE)
    if version == NEVER_WRITTEN:
        notes.append("The lake holds no counterparties; bring them in with `varlake ingest counterparties`.")
    else:
        receipt["counterparties_digest"] = table_digest(lake.whole(), _TABLE, version)
    receipt["table_versions"] = {**receipt["table_versions"], _TABLE: version}
    known = counterparties_of(lake, query.known_on)
    after = changed(known, query.rating, query.pd)
    now = weighted(exposures, after, parameters, query.approach, query.cva_charged)
    before = (
        weighted(exposures, known, parameters, query.approach, query.cva_charged) if query.rating or query.pd else None
    )
    rows = group_rows(exposures, now, before, after, parameters, query.by)
    every = group_rows(exposures, now, before, after, parameters, ())
    total = every.to_pylist()[0]
    coverage = Coverage(
        total["positions"], total["covered"], total["failed"], total["positions"] - total["covered"] - total["failed"]
    )
    notes += _notes(exposures, now, query)
    return CreditRwa(
        query,
        rows,
        total,
        coverage,
        set_rows(exposures, now, parameters, query.sets),
        trade_rows(exposures, now, parameters, query.trades),
        receipt,
        tuple(notes),
    )


def changed(
    known: ReferenceData[Counterparty], ratings: Sequence[str], pds: Sequence[str]
) -> ReferenceData[Counterparty]:
    """The counterparties with other ratings and PDs; raises for one that there is not, and for what is no rating or PD."""
    rows = dict(known.rows)
    for field, texts in (("rating", ratings), ("pd", pds)):
        for text in texts:
            name, equals, value = (part.strip() for part in text.rpartition("="))
            if not (equals and name and value):
                example = "Acme Bank=BB" if field == "rating" else "Acme Bank=0.02"
                raise BadInput(
                    f"{text!r} changes no {field}; expected COUNTERPARTY={field.upper()}, such as {example}."
                )
            known.require(name)
            changes: dict[str, Any] = {field: _rating(value, text) if field == "rating" else _pd(value, text)}
            rows[name] = dataclasses.replace(rows[name], **changes)
    return dataclasses.replace(known, rows=rows)


def _rating(value: str, text: str) -> str:
    if value not in RATINGS:
        raise BadInput(f"{value!r} in {text!r} is no rating; expected one of {', '.join(RATINGS)}.")
    return value


def _pd(value: str, text: str) -> float:
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not 0.0 <= number <= 1.0:
        raise BadInput(f"{value!r} in {text!r} is no probability of default; expected a fraction from 0 to 1.")
    return number


def _notes(exposures: EadParts, now: Weighted, query: CreditRwaQuery) -> list[str]:
    notes = []
    lacking: dict[str, int] = {}
    without = 0.0
    for i in np.flatnonzero(exposures.in_scope).tolist():
        if (reason := now.weights[i].reason) is not None:
            lacking[reason] = lacking.get(reason, 0) + 1
            without += float(exposures.ead[i])
    if lacking:
        n = sum(lacking.values())
        first = next(iter(lacking))
        more = f" And {counted(len(lacking) - 1, 'more reason')}, in netting_sets." if len(lacking) > 1 else ""
        notes.append(
            f"{counted(n, 'netting set')} with EAD of {without:,.0f} {query.currency} {'has' if n == 1 else 'have'} no risk weight and "
            f"{'is' if n == 1 else 'are'} in no RWA: {first}{more}"
        )
    used = {w.approach for i, w in enumerate(now.weights) if exposures.in_scope[i]}
    if query.approach == "advanced" and "foundation" in used:
        n = sum(w.approach == "foundation" for i, w in enumerate(now.weights) if exposures.in_scope[i])
        notes.append(
            f"Own LGD are not permitted for {counted(n, 'netting set')}, which the foundation approach weights."
        )
    if query.approach == "advanced" and (unknown := int(np.isnan(exposures.years[exposures.in_scope]).sum())):
        notes.append(f"{counted(unknown, 'netting set')} without a maturity of its own: that of the rules is taken.")
    if query.rating and query.approach != "standardised":
        notes.append("By internal ratings the PD decides, not the rating, but for D: change it with pd.")
    if any(w.credit_class == "bank" and w.rating == "NR" for w in now.weights) and query.approach == "standardised":
        notes.append(
            "Banks without a rating have the weight of the lowest grade of due diligence, which the lake does not hold."
        )
    if any(w.rating == "D" for w in now.weights) and query.approach == "standardised":
        notes.append("Exposures in default have the weight of small specific provisions, which the lake does not hold.")
    return notes


def _price(session: Session, query: CreditRwaQuery) -> float:
    return 0.1 + 1e-5 * len(query.ead) if query.ead else price_of(session, as_model(SaCcrQuery, query))


CREDIT_RWA = Question(
    CreditRwaQuery,
    _answer,
    {"as_of": "2020-03-16", "by": ["counterparty_class"]},
    plan_scope,
    value_scope,
    price=_price,
)
