"""The questions over the Model Context Protocol, asked by the package's own client of the real command."""

from __future__ import annotations

import json
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import anyio
import pytest
from command_line import refused
from jsonschema import Draft202012Validator
from mcp import Client, MCPError, StdioServerParameters
from server import serving
from small_lake import MONDAY, base

from aggregation.measures import MEASURES
from aggregation.questions import QUESTIONS
from lake.errors import NotReady
from lake.progress import Stopped
from lake.tables import Lake
from service.agents import Desk, agents_server, tools
from service.api.app import create_app
from service.config import Settings
from service.python.in_process import LakeInProcess

MAIN = "from service.cli.main import main; main()"
Talk = Callable[[Client], Awaitable[Any]]


def talked(talk: Talk, *arguments: Any) -> Any:
    """What comes of a talk with `varlake mcp` of these arguments."""
    command = StdioServerParameters(command=sys.executable, args=["-c", MAIN, "mcp", *map(str, arguments)])

    async def run() -> Any:
        async with Client(command) as client:
            return await talk(client)

    return anyio.run(run)


@pytest.fixture(scope="module")
def said(answering_lake: Path, tried: list[str]) -> dict[str, Any]:
    """What the tools of all questions answer, what is listed, and how wrong calls are told."""

    async def talk(client: Client) -> dict[str, Any]:
        found: dict[str, Any] = {"tools": await client.list_tools(), "resources": await client.list_resources()}
        for name in tried:
            found[name] = await client.call_tool(name, {**base(name), "max_rows": 3})
        found["read"] = {r.name: await client.read_resource(r.uri) for r in found["resources"].resources}
        found["about"] = client.instructions
        asked = {"question": "var", "arguments": base("var")}
        for key, tool, given in (
            ("planned", "plan", asked),
            ("no tool", "vra", {}),
            ("no dimension", "var", {"as_of": str(MONDAY), "by": ["dsk"]}),
            ("no rows", "var", {"as_of": str(MONDAY), "max_rows": 0}),
            ("unvalued", "stress", {"as_of": str(MONDAY), "scenario": "equity -77%"}),
            ("no question", "plan", {"question": "vra"}),
            ("no field", "plan", {**asked, "qestion": 1}),
        ):
            found[key] = await client.call_tool(tool, given)
        return found

    found: dict[str, Any] = talked(talk, "--lake", answering_lake)
    return found


@pytest.mark.parametrize("name", QUESTIONS)
def test_a_tool_has_the_figures_of_its_question(name: str, said: dict[str, Any], answering_lake: Path) -> None:
    result = said[name]
    assert not result.is_error, result.content
    answer = json.loads(result.content[0].text)
    assert answer == result.structured_content
    client = create_app(Settings(lake=answering_lake)).test_client()
    json_answer = client.post(f"/api/v1/{name}", json=base(name)).get_json()
    assert answer["receipt"]["receipt_digest"] == json_answer["receipt"]["receipt_digest"]
    assert answer["question"] == json_answer["receipt"]["question"]
    assert answer["notes"] == json_answer["notes"]
    assert answer.get("coverage") == json_answer.get("coverage")
    if "rows" in json_answer:
        assert answer["rows"] == json_answer["rows"][:3]
        assert answer["rows_in_all"] == len(json_answer["rows"])
        assert ("cut" in answer) == (len(json_answer["rows"]) > 3)


def test_every_question_is_a_tool_that_only_reads(said: dict[str, Any]) -> None:
    listed = {t.name: t for t in said["tools"].tools}
    assert list(listed) == [*QUESTIONS, "plan"]
    for name, tool in listed.items():
        assert tool.annotations.read_only_hint
        assert not tool.annotations.destructive_hint
        Draft202012Validator.check_schema(tool.input_schema)
        if name in QUESTIONS:
            assert tool.description.startswith(QUESTIONS[name].meaning)
            Draft202012Validator(tool.input_schema).validate({**base(name), "max_rows": 5})
    assert "Losses are positive" in said["about"]


def test_nothing_is_stored_and_nothing_is_valued(answering_lake: Path, said: dict[str, Any]) -> None:
    before = Lake.open(answering_lake).snapshot().versions
    desk = Desk(LakeInProcess(answering_lake), Settings(lake=answering_lake))
    for name in ("var", "plan"):
        desk.call(
            name,
            base("var")
            if name == "var"
            else {"question": "stress", "arguments": {"as_of": str(MONDAY), "scenario": "equity -78%"}},
        )
    assert Lake.open(answering_lake).snapshot().versions == before


def test_the_resources_name_what_there_is(said: dict[str, Any]) -> None:
    choices, words = (json.loads(said["read"][name].contents[0].text) for name in ("choices", "glossary"))
    assert choices["dates"] == ["2020-03-16", "2020-03-13"]
    assert "attribute.rating" in choices["dimensions"]
    assert "historical-30" in choices["scenario_sets"]
    assert words["measures"].keys() == MEASURES.keys()
    assert words["questions"].keys() == QUESTIONS.keys()


def test_what_is_wrong_is_told_so_that_the_next_call_is_right(said: dict[str, Any]) -> None:
    told = {
        key: said[key].content[0].text
        for key in ("no tool", "no dimension", "no rows", "unvalued", "no question", "no field")
    }
    assert all(said[key].is_error for key in told)
    assert "Nearest valid: var" in told["no tool"]
    assert "Nearest valid: desk" in told["no dimension"]
    assert "a whole number from 1 to 1,000" in told["no rows"]
    assert "Not valued yet: equity -77%" in told["unvalued"]
    assert told["unvalued"].endswith("a person has it valued, with `varlake stress --value` or on the web pages.")
    assert "Nearest valid: var" in told["no question"]
    assert "qestion" in told["no field"]
    assert said["planned"].structured_content["ready"] is True


@pytest.mark.slow
def test_a_service_answers_the_same(answering_lake: Path, said: dict[str, Any]) -> None:
    async def talk(client: Client) -> Any:
        with pytest.raises(MCPError, match="varlake://choices"):
            await client.read_resource("varlake://nothing")
        return await client.call_tool("var", {**base("var"), "max_rows": 3}), await client.read_resource(
            "varlake://choices"
        )

    with serving(answering_lake, web_only=True) as (_, address):
        answer, choices = talked(talk, "--address", address)
    assert answer.structured_content == said["var"].structured_content
    assert choices.contents[0].text == said["read"]["choices"].contents[0].text


def test_without_the_package_it_says_how_to_have_it(monkeypatch: pytest.MonkeyPatch, answering_lake: Path) -> None:
    monkeypatch.setitem(sys.modules, "mcp.server.lowlevel", None)
    with pytest.raises(NotReady, match=r"pip install 'varlake\[mcp\]'"):
        agents_server(Desk(LakeInProcess(answering_lake), Settings(lake=answering_lake)))


def test_no_lake_and_no_service_are_told_before_anything_is_answered(tmp_path: Path) -> None:
    assert "lake" in refused("mcp", lake=tmp_path / "nowhere")
    assert "no address of a service" in refused("mcp", "--address", "here")


def test_a_question_has_the_limits_of_a_request(answering_lake: Path) -> None:
    desk = Desk(LakeInProcess(answering_lake), Settings(lake=answering_lake, request_seconds=1e-9))
    with pytest.raises(Stopped, match="VARLAKE_REQUEST_SECONDS"):
        desk.call("var", base("var"))
    assert tools().keys() == {*QUESTIONS, "plan"}
