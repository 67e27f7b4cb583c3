"""Commands about scenarios: make, look at, check, compare, carry in and out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lake.errors import BadInput, counted, validated
from service import client
from service.cli.given import as_date, laid_out, open_lake
from service.cli.options import ColumnsOption, DateText, JsonOption, LakeOption, ParameterOption
from service.cli.questions import as_pairs
from service.jobs import SCENARIO_SET
from service.rendering import display

if TYPE_CHECKING:
    from scenarios.types import ScenarioSet

# ruff: noqa: PLC0415 - see service.cli.commands

app = typer.Typer(add_completion=False, help="Make, look at and carry scenario sets.", no_args_is_help=True)


_FORMS = {".txt": "text", ".json": "json", ".csv": "csv"}  # of a bespoke scenario, by the ending of its file
ScenarioFile = Annotated[Path, typer.Argument(help="Text (.txt), JSON (.json) or CSV (.csv) of a bespoke scenario.")]
LawOption = Annotated[
    list[str] | None, typer.Option("--law", help="Parameter of the return distribution, name=value; repeatable.")
]
PlotOption = Annotated[Path | None, typer.Option("--plot", help="Write a picture: .svg, .png or .pdf.")]


@app.command("build")
def scenarios_build(
    as_of: DateText,
    method: Annotated[str, typer.Option("--method", help="Scenario method.")] = "historical",
    parameter: ParameterOption = None,
    name: Annotated[str | None, typer.Option("--name", help="Name of the set; default from method and size.")] = None,
    lake: LakeOption = None,
    json: JsonOption = False,
) -> None:
    """Make and store a scenario set."""
    _make("build", as_of, {"method": method, "parameters": as_pairs(parameter or ()), "name": name}, lake, json)


def _make(command: str, as_of: str, given: dict[str, Any], lake: Path | None, json: bool) -> None:
    """Makes and stores a set, and shows it."""
    from scenarios.requests import ScenarioSetRequest
    from scenarios.store import find_scenario_set, load_stored

    settings, opened = open_lake(lake)
    day = as_date(as_of, "--as-of")
    request = validated(ScenarioSetRequest, {**given, "as_of": day}, "scenario request")
    made = client.done(settings, opened, f"scenarios {command}", SCENARIO_SET, request.model_dump(mode="json"))
    _show_scenario_set(load_stored(opened, find_scenario_set(opened, made["name"], day)), json)


@app.command("list")
def scenarios_list(lake: LakeOption = None, columns: ColumnsOption = None, json: JsonOption = False) -> None:
    """List the stored scenario sets."""
    from scenarios.store import list_scenario_sets

    _, opened = open_lake(lake)
    rows = list_scenario_sets(
        opened,
        (
            "scenario_set_id",
            "name",
            "version",
            "method",
            "market_date",
            "horizon_days",
            "factors_shocked",
            "synthetic",
            "created_at",
        ),
    ).to_pylist()
    first = ("name", "market_date", "method", "version", "horizon_days")
    title = counted(len(rows), "scenario set")
    with laid_out(columns):
        display.print_json(rows) if json else display.print_table(rows, title=title, first=first)


@app.command("show")
def scenarios_show(
    name_or_id: Annotated[str, typer.Argument(help="Name or id of the set.")],
    as_of: Annotated[str | None, typer.Option("--as-of", help="Market date, for a name.")] = None,
    plot: PlotOption = None,
    lake: LakeOption = None,
    json: JsonOption = False,
) -> None:
    """Show a scenario set: definition, window, the spread of its moves, and what was excluded, held, dropped or proxied."""
    from scenarios.store import find_scenario_set, load_stored
    from service.rendering import scenario_picture

    _, opened = open_lake(lake)
    found = find_scenario_set(opened, name_or_id, as_date(as_of, "--as-of") if as_of else None)
    stored = load_stored(opened, found)
    _show_scenario_set(stored, json)
    if plot is not None:
        written = scenario_picture.plot_scenario_set(stored, plot)
        display.say(f"Wrote {written}")


def _show_scenario_set(s: ScenarioSet, json: bool) -> None:
    from service.rendering.scenario_picture import rows_of

    facts = {
        "scenario_set": s.scenario_set_id,
        "name": s.name,
        "version": s.version,
        "method": s.method,
        "market_date": s.market_date,
        "scenarios": s.n_scenarios,
        "window": f"{s.labels[0]} to {s.labels[-1]}",
        "horizon_days": s.horizon_days,
        "factors": len(s.index.factors),
        "synthetic": s.synthetic,
    }
    if json:
        display.print_json(
            {
                **facts,
                "definition": s.definition,
                "labels": s.labels,
                "excluded": s.excluded,
                "held": s.held,
                "dropped": s.dropped,
                "proxied": s.proxied,
                "holidays": s.holidays,
                "fitted": s.fitted,
                "horizons": s.horizons,
                "calibration": s.calibration,
            }
        )
        return
    display.print_pairs(facts, title=f"Scenario set {s.name}")
    for what, entries in (
        ("figures of the calibration", s.calibration),
        ("excluded factors", s.excluded),
        ("held base levels", s.held),
        ("dropped days", s.dropped),
        ("proxied factors", s.proxied),
        ("days with a market closed", s.holidays),
        ("fitted or unscaled factors", s.fitted),
    ):
        if entries:
            display.print_pairs(entries, title=f"{len(entries)} {what}")
    display.print_table(
        rows_of(s), title="Widest moves of the shocked factors, % of the level (rates: percentage points)"
    )


def _definition(source: str, as_of: str) -> Any:
    """The stress definition of a text, or of a file in one of the three forms."""
    from scenarios.stress import forms
    from scenarios.stress.generate import StressDefinition

    path = Path(source)
    given: dict[str, Any] = {"market_date": as_date(as_of, "--as-of")}
    if path.suffix in _FORMS:
        if not path.is_file():
            raise BadInput(f"There is no file {path}.")
        content = path.read_text(encoding="utf-8")
        if path.suffix == ".json":
            given["document"] = forms.from_json(content)
        elif path.suffix == ".csv":
            given["document"] = forms.from_csv(content)
        else:
            given["text"] = content
    else:
        given["text"] = source
    return validated(StressDefinition, given, "scenario")


@app.command("preview")
def scenarios_preview(
    scenario: Annotated[str, typer.Argument(help="Scenario in the stress language, or a .txt, .json or .csv file.")],
    as_of: DateText,
    plausibility: Annotated[
        bool,
        typer.Option("--plausibility", help="Also score each scenario: how far, how rare, and the nearest past days."),
    ] = False,
    law: LawOption = None,
    plot: PlotOption = None,
    lake: LakeOption = None,
    json: JsonOption = False,
) -> None:
    """Show what a bespoke scenario does to every risk factor, before it is stored."""
    from scenarios.market.history import load_factors
    from scenarios.plausibility.plausibility import PlausibilityRules, score
    from scenarios.stress.generate import generate
    from scenarios.stress.preview import preview, render
    from service.rendering import tables
    from service.rendering.preview_picture import plot_preview as draw

    _, opened = open_lake(lake)
    snapshot, definition = opened.snapshot(), _definition(scenario, as_of)
    shown = preview(snapshot, definition, "preview")
    scores = []
    if plausibility:
        rules = validated(
            PlausibilityRules, {**as_pairs(law or ()), "market_date": definition.market_date}, "return distribution"
        )
        scores = score(snapshot, generate(snapshot, definition, "preview"), rules)
    if json:
        display.print_json({**shown.to_dict(), **({"plausibility": scores} if plausibility else {})})
    else:
        display.print_text(render(shown), indent=4)
        tables.show_plausibility(scores)
    if plot is not None:
        synthetic = {f.risk_factor_id for f in load_factors(snapshot).factors if f.synthetic}
        display.say(f"Wrote {draw(shown, plot, synthetic=synthetic)}")


@app.command("check")
def scenarios_check(
    scenario: Annotated[str, typer.Argument(help="Scenario in the stress language, or a .txt, .json or .csv file.")],
    as_of: DateText,
    lake: LakeOption = None,
    json: JsonOption = False,
) -> None:
    """List everything that is wrong with a bespoke scenario; nothing is stored."""
    from dataclasses import asdict

    from scenarios.stress.bespoke import check_bespoke

    _, opened = open_lake(lake)
    path = Path(scenario)
    is_file = path.suffix in _FORMS and path.is_file()
    content = path.read_text(encoding="utf-8") if is_file else scenario
    form = _FORMS[path.suffix] if is_file else "text"
    report = check_bespoke(opened.snapshot(), as_date(as_of, "--as-of"), form, content)
    if json:
        display.print_json({"ok": report.ok, **asdict(report)})
    else:
        for kind, issues in (("fault", report.faults), ("warning", report.warnings)):
            for issue in issues:
                given = f" (given {issue.value})" if issue.value is not None else ""
                display.print_text(f"{kind} at {issue.pointer}: {issue.message}{given}")
        for failed in report.failed:
            display.print_text(f"does not hold: {failed}")
        display.say(
            "No faults."
            if report.ok
            else f"{counted(len(report.faults), 'fault')}, "
            f"{counted(len(report.failed), 'assertion that does', 'assertions that do')} not hold."
        )
    if not report.ok:
        raise typer.Exit(1)


@app.command("diff")
def scenarios_diff(
    one: Annotated[str, typer.Argument(help="Name or id of a set.")],
    two: Annotated[str, typer.Argument(help="Name or id of another.")],
    as_of: Annotated[str | None, typer.Option("--as-of", help="Market date, for names.")] = None,
    lake: LakeOption = None,
    columns: ColumnsOption = None,
    json: JsonOption = False,
) -> None:
    """List the risk factors in which two stored sets differ, with the largest difference of each."""
    from scenarios.compare_sets import scenario_diff

    _, opened = open_lake(lake)
    rows = scenario_diff(opened.snapshot(), one, two, as_date(as_of, "--as-of") if as_of else None)
    title = counted(len(rows), "risk factor differs", "risk factors differ")
    with laid_out(columns):
        display.print_json(rows) if json else display.print_table(rows, title=title)


@app.command("export")
def scenarios_export(
    name_or_id: Annotated[str, typer.Argument(help="Name or id of a bespoke set.")],
    file: Annotated[Path, typer.Argument(help="File to write: .txt, .json or .csv.")],
    as_of: Annotated[str | None, typer.Option("--as-of", help="Market date, for a name.")] = None,
    lake: LakeOption = None,
) -> None:
    """Write a stored bespoke scenario as text, JSON or CSV; the three carry the same."""
    from scenarios.stress.bespoke import WRITERS, bespoke_document

    if file.suffix not in _FORMS:
        raise BadInput(f"{file} was given; expected a name that ends in {', '.join(_FORMS)}.")
    _, opened = open_lake(lake)
    _, document = bespoke_document(opened.snapshot(), name_or_id, as_date(as_of, "--as-of") if as_of else None)
    file.write_text(WRITERS[_FORMS[file.suffix]](document), encoding="utf-8")
    display.say(f"Wrote {file}")


@app.command("import")
def scenarios_import(
    file: ScenarioFile,
    name: Annotated[str, typer.Option("--name", help="Name of the set.")],
    as_of: DateText,
    lake: LakeOption = None,
    json: JsonOption = False,
) -> None:
    """Store a bespoke scenario from a file; a changed file makes a new version of the name."""
    definition = _definition(str(file), as_of).model_dump(
        mode="json", exclude_none=True, exclude={"method", "market_date"}
    )
    _make("import", as_of, {"method": "stress", "parameters": definition, "name": name}, lake, json)
