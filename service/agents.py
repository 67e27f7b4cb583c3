"""The questions as tools of the Model Context Protocol, for programs that reason with them: they read, and value and store nothing.

A tool is a question, its arguments are the question's model, and its answer is the rows with coverage, notes and the digest of the receipt.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field

from aggregation import questions
from aggregation.dimensions import DIMENSIONS
from aggregation.kernels.tail import ESTIMATORS
from aggregation.measures import MEASURES
from lake.canonical import refuse_nested
from lake.errors import MOST_ISSUES, BadInput, NotReady, NotValued, VarlakeError, counted, unknown, validated
from lake.progress import allowed
from lake.tables import code_version
from service.api.limits import RequestAllowance
from service.config import Settings
from service.encoding import as_json, to_json, to_rows, without_tables
from service.python.lakes import Lake

if TYPE_CHECKING:
    from mcp.server.lowlevel import Server

SERVER = "varlake"
MOST_ROWS = 1_000
_ROWS = 100
_SCHEME = "varlake://"
_ABOUT = (
    "Value-at-Risk and what explains it, from a lake of valued positions. Losses are positive in VaR and ES; gains are positive in P&L. "
    "VaR and ES do not add up over groups: ask for each total you need. Levels are fractions such as 0.99, money is in the currency of "
    "the question. Read the resource varlake://choices first: it names the dates, dimensions and scenario sets that there are. Every "
    "answer says what it covers and has notes: tell them with a figure, and the receipt's digest, by which a figure is recomputed. Where "
    "something is not valued yet, the tool plan says what that takes; valuing is for a person to start."
)


class PlanArguments(BaseModel):
    """What would be valued before a question is answered, and what that takes; values nothing."""

    model_config = ConfigDict(extra="forbid")

    question: str = Field(description="name of the question", json_schema_extra={"enum": list(questions.QUESTIONS)})
    arguments: dict[str, Any] = Field(default_factory=dict, description="the arguments of its tool")


def tools() -> dict[str, dict[str, Any]]:
    """The tools by name: description and input schema."""
    found = {}
    for name, entry in questions.QUESTIONS.items():
        model: type[BaseModel] = entry.question.query
        schema = _untitled(model.model_json_schema())
        schema["properties"]["max_rows"] = {
            "type": "integer",
            "minimum": 1,
            "maximum": MOST_ROWS,
            "default": _ROWS,
            "description": "rows shown at the most; the answer says how many there are",
        }
        example = to_json(as_json(entry.question.example))
        found[name] = {"description": f"{entry.meaning} Example: {example}", "schema": schema}
    found["plan"] = {"description": PlanArguments.__doc__ or "", "schema": _untitled(PlanArguments.model_json_schema())}
    return found


def _untitled(schema: Any) -> Any:
    """The schema without the titles that repeat its names: a reader pays for every word."""
    if isinstance(schema, list):
        return [_untitled(s) for s in schema]
    if not isinstance(schema, dict):
        return schema
    return {k: _untitled(v) for k, v in schema.items() if k != "title" or not isinstance(v, str)}


class Desk:
    """What answers the calls of a client, from a lake in this process or behind an address.

    settings : the limits of a question that this process answers itself; a service has its own.
    """

    def __init__(self, lake: Lake, settings: Settings) -> None:
        self._lake, self._settings = lake, settings
        self._places = threading.BoundedSemaphore(settings.heavy_at_once)
        self.resources: Mapping[str, tuple[str, Callable[[], Any]]] = {
            "choices": (
                "The dates of books, the dimensions of the newest, and the scenario sets of the lake.",
                lake.choices,
            ),
            "glossary": ("What the words of questions and answers mean: measures, estimators, dimensions.", _glossary),
        }

    def call(self, tool: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """What the tool answers; raises `VarlakeError`."""
        refuse_nested(json.dumps(arguments).encode())
        limits = RequestAllowance(self._settings, self._places, lambda: False, lambda _: None)
        try:
            with allowed(limits):
                if tool == "plan":
                    return self._plan(validated(PlanArguments, arguments, "plan"))
                if tool not in questions.QUESTIONS:
                    raise unknown("tool", tool, tools())
                return self._ask(tool, dict(arguments))
        finally:
            limits.end()

    def _plan(self, asked: PlanArguments) -> dict[str, Any]:
        questions.question(asked.question)
        arguments = {k: v for k, v in asked.arguments.items() if k != "max_rows"}
        return self._lake._plan(asked.question, arguments)

    def _ask(self, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
        most = arguments.pop("max_rows", _ROWS)
        if not isinstance(most, int) or not 1 <= most <= MOST_ROWS:
            raise BadInput(f"max_rows is {most!r}; expected a whole number from 1 to {MOST_ROWS:,}.")
        try:
            answer = self._lake._ask(name, arguments, False)
        except NotValued as error:
            way = f"The tool plan says what that takes; a person has it valued, with `varlake {name} --value` or on the web pages."
            raise error.here(way) from None
        rows, about = answer.rows, answer.beside
        shown = as_json(to_rows(rows.slice(0, most)))
        left = rows.num_rows - len(shown)
        cut = f"{counted(left, 'row')} of {rows.num_rows:,} are left out: ask for fewer, by where or limit, or for more with max_rows."
        return {
            "rows": shown,
            "rows_in_all": rows.num_rows,
            **({"cut": cut} if left else {}),
            **{k: v for k, v in without_tables(about).items() if k not in ("receipt", "next_cursor")},
            "question": answer.asked,
            "receipt": {
                k: answer.receipt[k] for k in ("receipt_digest", "answer_digest", "code_version") if k in answer.receipt
            },
        }


def agents_server(desk: Desk) -> Server[Any]:
    """The server of the protocol; raises `NotReady` where its package is not installed."""
    try:
        import anyio.to_thread  # noqa: PLC0415 - optional
        import mcp_types as types  # noqa: PLC0415
        from mcp import MCPError  # noqa: PLC0415
        from mcp.server.lowlevel import Server  # noqa: PLC0415
    except ImportError:
        raise NotReady("The package mcp is not installed; install it with `pip install 'varlake[mcp]'`.") from None

    reads = types.ToolAnnotations(
        read_only_hint=True, destructive_hint=False, idempotent_hint=True, open_world_hint=False
    )

    async def list_tools(_: Any, __: Any) -> types.ListToolsResult:
        listed = [
            types.Tool(name=name, description=tool["description"], input_schema=tool["schema"], annotations=reads)
            for name, tool in tools().items()
        ]
        return types.ListToolsResult(tools=listed)

    async def call_tool(_: Any, asked: types.CallToolRequestParams) -> types.CallToolResult:
        try:
            said = await anyio.to_thread.run_sync(desk.call, asked.name, asked.arguments or {})
        except VarlakeError as error:
            return types.CallToolResult(content=[types.TextContent(text=_told(error))], is_error=True)
        return types.CallToolResult(content=[types.TextContent(text=to_json(said))], structured_content=said)

    async def list_resources(_: Any, __: Any) -> types.ListResourcesResult:
        listed = [
            types.Resource(name=name, uri=f"{_SCHEME}{name}", description=meaning, mime_type="application/json")
            for name, (meaning, _) in desk.resources.items()
        ]
        return types.ListResourcesResult(resources=listed)

    async def read_resource(_: Any, asked: types.ReadResourceRequestParams) -> types.ReadResourceResult:
        name = asked.uri.removeprefix(_SCHEME)
        try:
            if name not in desk.resources:
                raise unknown("resource", asked.uri, [f"{_SCHEME}{n}" for n in desk.resources])
            said = await anyio.to_thread.run_sync(desk.resources[name][1])
        except VarlakeError as error:
            raise MCPError(types.INVALID_PARAMS, _told(error)) from None
        text = types.TextResourceContents(uri=asked.uri, mime_type="application/json", text=to_json(said))
        return types.ReadResourceResult(contents=[text])

    return Server(
        SERVER,
        version=code_version(),
        title="varlake",
        instructions=_ABOUT,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
        on_list_resources=list_resources,
        on_read_resource=read_resource,
    )


def serve(desk: Desk) -> None:
    """Answers the client on standard input and output until it goes."""
    made = agents_server(desk)
    import anyio  # noqa: PLC0415 - there, since the server is
    from mcp.server.stdio import stdio_server  # noqa: PLC0415

    async def run() -> None:
        async with stdio_server() as (reading, writing):
            await made.run(reading, writing, made.create_initialization_options())

    anyio.run(run)


def _told(error: VarlakeError) -> str:
    """The error with every fault and what may stand there."""
    untold = error.untold()
    more = [f"... and {len(untold) - MOST_ISSUES:,} more"] if len(untold) > MOST_ISSUES else []
    return "\n".join([error.message, *(f"{i.pointer}: {i.message}" for i in untold[:MOST_ISSUES]), *more])


def _glossary() -> dict[str, Any]:
    return {
        "questions": {name: entry.meaning for name, entry in questions.QUESTIONS.items()},
        "measures": {m.name: {"meaning": m.meaning, "unit": m.unit, "source": m.source} for m in MEASURES.values()},
        "estimators": {name: e.meaning for name, e in ESTIMATORS.items()},
        "dimensions": {d.name: d.meaning for d in DIMENSIONS.values()},
    }
