"""Dry runs: everything that is wrong with a scenario on a market, at once, before anything is made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lake.errors import Issue, VarlakeError
from scenarios.market.base_market import BaseMarket
from scenarios.stress import forms, language
from scenarios.stress import model as m
from scenarios.stress.apply import Stored, evaluate
from scenarios.stress.generate import text_issue
from scenarios.stress.select import Universe
from scenarios.stress.warnings import warnings


@dataclass(frozen=True)
class Report:
    """faults : why the scenario cannot be used. failed : assertions that do not hold. warnings : what looks wrong.

    A fault's pointer is a JSON pointer, a line and column, or a row and column, by the form that was checked.
    """

    faults: tuple[Issue, ...] = ()
    failed: tuple[str, ...] = ()
    warnings: tuple[Issue, ...] = ()

    @property
    def ok(self) -> bool:
        return not self.faults and not self.failed


def check(document: m.Document, market: BaseMarket, stored: Stored) -> Report:
    """All faults of a document on a market; `stored` finds included scenario sets."""
    outcomes, issues = evaluate(document, market, "scenario", stored)
    if issues:
        return Report(tuple(issues))
    failed = tuple(f for o in outcomes for f in o.failed)
    return Report((), failed, tuple(warnings(document, market, outcomes)))


def check_text(text: str, market: BaseMarket, stored: Stored) -> Report:
    """As `check`, for a text: the first fault of its grammar, or all faults on the market, by line and column."""
    try:
        document, places = language.parse_with_places(text)
    except VarlakeError as error:
        return Report(error.issues or (Issue("text", error.message),))
    report = check(document, market, stored)
    return Report(
        tuple(text_issue(text, places, i) for i in report.faults),
        report.failed,
        tuple(text_issue(text, places, i) for i in report.warnings),
    )


def check_csv(text: str, market: BaseMarket, stored: Stored) -> Report:
    """As `check`, for a CSV file: all faults of its cells, and all faults of the sound rows on the market."""
    try:
        read = forms.read_csv(text)
    except VarlakeError as error:
        return Report(error.issues or (Issue("file", error.message),))
    report = check(read.document, market, stored) if read.document else Report()
    faults = [*read.issues, *(_row_issue(i, read.rows) for i in report.faults)]
    universe = Universe(market.index, market.excluded)
    for row, selector in read.selectors.items():
        try:
            universe.rows_and_pairs(selector)
        except VarlakeError as error:
            first = error.issues[0] if error.issues else Issue("", "")
            faults.append(Issue(f"row {row}, column where", error.message, first.value, first.allowed))
    if faults:
        return Report(tuple(sorted(faults, key=_row_number)))
    return Report((), report.failed, tuple(_row_issue(i, read.rows) for i in report.warnings))


def _row_issue(issue: Issue, places: Mapping[str, int]) -> Issue:
    step = "/".join(issue.pointer.split("/")[:5])
    row = places.get(step) or next((n for p, n in places.items() if p.startswith(step + "/")), 2)
    # a name that selects nothing stands in `where`; a fault without a part of the step concerns the row
    column = ", column where" if "/select/" in issue.pointer else ", column unit" if "/change" in issue.pointer else ""
    return Issue(f"row {row}{column}", issue.message, issue.value, issue.allowed)


def _row_number(issue: Issue) -> int:
    digits = issue.pointer.removeprefix("row ").partition(",")[0]
    return int(digits) if digits.isdigit() else 0
