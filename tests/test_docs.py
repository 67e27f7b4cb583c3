"""Whatever a user can name is documented on its page, and what the pages name exists."""

from __future__ import annotations

import functools
import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import click
import pytest
import typer.main

from aggregation.change.attribution_path import MEANING
from aggregation.dimensions import DIMENSIONS
from aggregation.kernels.change_effects import CAUSES
from aggregation.kernels.tail import ESTIMATORS
from aggregation.measures import MEASURES
from aggregation.questions import QUESTIONS
from lake.schemas import TABLES, Column
from scenarios.generators import GENERATORS
from service.api.app import create_app
from service.api.document import document
from service.cli import questions as question_commands
from service.cli.main import OTHERS
from service.config import Settings
from service.parameters import parameters_of
from valuation.catalogue import INSTRUMENTS

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PROSE = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.rglob("*.md"))]


def extension() -> ModuleType:
    """The Sphinx extension that makes the tables of the questions; the folder of the pages is no package."""
    spec = importlib.util.spec_from_file_location("question_tables", DOCS / "question_tables.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


TABLES_OF_QUESTIONS = extension()


@functools.cache
def expanded(name: str, questions: tuple[str, ...]) -> str:
    text: str = TABLES_OF_QUESTIONS.expand((DOCS / f"{name}.md").read_text(encoding="utf-8"))
    return text


def page(name: str) -> str:
    """The page as it is built: with the tables that are made from the code, which takes a second."""
    return expanded(name, tuple(QUESTIONS))


def sections(name: str) -> dict[str, str]:
    """Text of each section of second rank, by its heading without backticks."""
    parts = re.split(r"^## (.+)$", page(name), flags=re.MULTILINE)
    return {title.strip().strip("`"): text for title, text in zip(parts[1::2], parts[2::2], strict=True)}


def commands(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """Every command that does something, with the words that call it; a group may do something by itself."""
    if not isinstance(command, click.Group) or command.invoke_without_command:
        yield " ".join(path), command
    if isinstance(command, click.Group):
        for name, inner in command.commands.items():
            yield from commands(inner, (*path, name))


def other_commands() -> Iterator[tuple[str, Any]]:
    """The commands that are no questions, with all that their applications hold."""
    for name, (place, _) in OTHERS.items():
        module, _, attribute = place.partition(":")
        if attribute == "group":
            found = importlib.import_module(f"service.cli.{module}")
            typed: Any = typer.main.get_group(found.app) if hasattr(found, "app") else click.Group()
            yield from commands(click.Group(commands={**found.group().commands, **typed.commands}), (name,))
            continue
        inner: Any = typer.main.get_command(getattr(importlib.import_module(f"service.cli.{module}"), attribute))
        if module == "commands":
            inner = inner.commands[name]
        yield from commands(inner, (name,))


COMMANDS = {**{name: question_commands.command(name) for name in QUESTIONS}, **dict(other_commands())}


def column_row(column: Column) -> str:
    kind = (
        str(column.type)
        .replace("list<element: double>", "list of double")
        .replace("list<element: string>", "list of string")
    )
    return f"| `{column.name}` | {kind} | {column.meaning} |"


class TestTables:
    def test_the_page_has_every_table_and_no_other(self) -> None:
        assert set(sections("tables")) - {"Reading the tables with other tools"} == set(TABLES)

    @pytest.mark.parametrize("name", TABLES)
    def test_its_section_has_every_column_as_the_schema_has_it(self, name: str) -> None:
        table, text = TABLES[name], sections("tables")[name]
        rows = [line for line in text.splitlines() if line.startswith("| `")]
        assert rows == [column_row(c) for c in table.columns]
        assert f"One row is {table.one_row}." in text
        assert f"Key: {', '.join(f'`{k}`' for k in table.key)}." in text
        for column in table.partition_by:
            assert f"Partition: `{column}`." in text


class TestInstruments:
    def test_every_instrument_has_a_page_and_no_other(self) -> None:
        assert {p.stem for p in (DOCS / "instruments").glob("*.md")} == set(INSTRUMENTS)
        listed = re.findall(r"^\| \[`(\w+)`\]\(instruments/\1\.md\) \|", page("instruments"), flags=re.MULTILINE)
        assert sorted(listed) == sorted(INSTRUMENTS)

    @pytest.mark.parametrize("name", INSTRUMENTS)
    def test_its_page_has_its_terms_and_no_other(self, name: str) -> None:
        text = page(f"instruments/{name}")
        assert text.startswith(f"# `{name}`\n")
        terms = re.findall(r"^\| `(\w+)` \|", text, flags=re.MULTILINE)
        assert sorted(terms) == sorted(INSTRUMENTS[name].Terms.model_fields)


@pytest.mark.parametrize("name", GENERATORS)
def test_every_scenario_method_with_its_parameters(name: str) -> None:
    text = page("scenarios") + page("stress-language")
    assert f"`{name}`" in text
    for parameter in GENERATORS[name].definition.model_fields:
        assert f"`{parameter}`" in text, f"{name}: {parameter}"


@pytest.mark.parametrize("name", [*MEASURES, *ESTIMATORS])
def test_every_measure_and_estimator(name: str) -> None:
    assert f"`{name}`" in page("measures")


@pytest.mark.parametrize("name", DIMENSIONS)
def test_every_dimension(name: str) -> None:
    assert f"`{name}`" in page("dimensions")
    assert f"`{name}`" in page("positions")


class TestSettings:
    def test_every_setting_as_it_is(self) -> None:
        for name, field in Settings.model_fields.items():
            default = "none" if field.default is None else field.default
            assert f"| `VARLAKE_{name.upper()}` | {default} | {field.description} |" in page("settings")

    def test_no_page_names_another(self) -> None:
        known = {f"VARLAKE_{name.upper()}" for name in Settings.model_fields}
        for path in PROSE:
            assert set(re.findall(r"\bVARLAKE_[A-Z_]+\b", path.read_text(encoding="utf-8"))) <= known, path


class TestCommands:
    @pytest.mark.parametrize("name", COMMANDS)
    def test_every_command_with_its_options(self, name: str) -> None:
        text = page("cli")
        assert f"varlake {name}" in text
        for parameter in COMMANDS[name].params:
            if parameter.param_type_name == "option" and not parameter.hidden:  # Typer's are of a class of its own
                long = max(parameter.opts, key=len)
                assert f"`{long}" in text, f"varlake {name} {long}"

    def test_no_page_calls_a_command_that_does_not_exist(self) -> None:
        for path in PROSE:
            for block in re.findall(
                r"^```\w*\n(.*?)^```", path.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL
            ):
                for line in re.findall(r"^(?:\$ )?varlake ([a-z][a-z -]*)", block, flags=re.MULTILINE):
                    words = line.split()
                    assert any(" ".join(words[:n]) in COMMANDS for n in (1, 2)), f"{path}: varlake {line}"


class TestRoutes:
    def test_every_route(self) -> None:
        text = page("api")
        for rule in create_app(Settings()).url_map.iter_rules():
            path = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule)
            for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
                assert f"`{method} {path}`" in text

    def test_every_parameter_of_an_address_and_every_field_of_a_body(self) -> None:
        text, api = page("api"), document(create_app(Settings()))
        for path, item in api["paths"].items():
            for method, operation in item.items():
                for parameter in operation.get("parameters", ()):
                    if parameter["in"] == "query":
                        assert f"`{parameter['name']}`" in text, (method, path, parameter["name"])
                for content in operation.get("requestBody", {}).get("content", {}).values():
                    name = content["schema"].get("$ref", "").rpartition("/")[2]  # a file has none
                    for field in api["components"]["schemas"].get(name, {}).get("properties", ()):
                        assert f"`{field}`" in text, (method, path, field)


class TestQuestions:
    @pytest.mark.parametrize("name", QUESTIONS)
    def test_one_page_defines_it(self, name: str) -> None:
        holding = [p for p in PROSE if f"\n(question-{name})=\n" in "\n" + p.read_text(encoding="utf-8")]
        assert len(holding) == 1

    @pytest.mark.parametrize("name", QUESTIONS)
    def test_its_sections_have_its_meaning_and_every_parameter(self, name: str) -> None:
        for place, title, words in (
            ("cli", f"### `varlake {name}`", lambda p: question_commands.option_names(p)[0]),
            ("api", f"### `/api/v1/{name}`", lambda p: p.name),
        ):
            section = re.split(r"^##", page(place).partition(f"{title}\n")[2], maxsplit=1, flags=re.MULTILINE)[0]
            assert QUESTIONS[name].meaning in section
            for parameter in parameters_of(QUESTIONS[name].question.query):
                assert f"`{words(parameter)}`" in section, (place, parameter.name)

    def test_a_new_one_appears_on_the_pages_by_itself(self, monkeypatch: pytest.MonkeyPatch) -> None:
        entry = type(QUESTIONS["var"])(QUESTIONS["var"].place, "What nobody has asked before.")
        monkeypatch.setitem(QUESTIONS, "stress-ladder", entry)
        for place in ("cli", "api"):
            assert "What nobody has asked before." in page(place)
        assert "### `varlake stress-ladder`" in page("cli")


class TestGlossary:
    """The words of the field, each with its meaning."""

    @pytest.mark.parametrize("name", [*QUESTIONS, *MEASURES, *CAUSES, *MEANING])
    def test_every_name_of_an_answer(self, name: str) -> None:
        assert re.search(rf"^\[?`{name}`(\]\(\S+\))?\n: \S", page("glossary"), flags=re.MULTILINE)

    @pytest.mark.parametrize(
        "term",
        [
            "Hedge candidates",
            "VaR reconciliation by convention",
            "Attribution path",
            "Intermediate valuation",
            "VaR by risk class",
            "Reported VaR",
            "Actual P&L",
            "Hypothetical P&L",
            "Return distribution",
            "Carried forward (stale) level",
            "Proxied level",
            "Unaffected contract",
            "Tail scenarios",
            "Valuation set",
            "Scenario set",
            "Contract",
            "Position",
            "Netting",
            "Coverage",
            "Receipt",
            "Plan",
            "Standard error, sampling interval",
        ],
    )
    def test_every_term(self, term: str) -> None:
        assert re.search(rf"^\*\*{re.escape(term)}\*\*\n: \S", page("glossary"), flags=re.MULTILINE)


def test_every_target_of_make_that_is_named_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE))
    for path in PROSE:
        named = set(
            re.findall(r"(?:^|`)(?:[A-Z]+=\S+ )?make ([a-z-]+)", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
        )
        assert named <= targets, path


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"])
def test_links_of_the_first_pages_lead_somewhere(name: str) -> None:
    """Sphinx checks the links inside of docs/; these pages stand outside."""
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", (ROOT / name).read_text(encoding="utf-8")):
        assert (ROOT / target).exists(), target


def test_every_decision_has_a_number_and_the_same_parts() -> None:
    decisions = sorted((DOCS / "decisions").glob("[0-9]*.md"))
    assert [int(p.name[:4]) for p in decisions] == list(range(1, len(decisions) + 1))
    for path in decisions:
        text = path.read_text(encoding="utf-8")
        assert text.startswith(f"# {int(path.name[:4])}. ")
        for heading in ("## The question", "## Considered", "## Decided", "## What follows"):
            assert heading in text, path
