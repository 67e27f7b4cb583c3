"""What the pages say of every question, made from QUESTIONS: a new question is on them with its line there.

A page holds a fence of `{questions}` with one word, and the fence is replaced before the page is read:

- `commands` : a table of all commands, and a section each with its example and its options;
- `routes` : a table of all routes, and a section each with its example and its parameters;
- `names` : a table of the names alone, with what they answer.

A page that defines a question holds the target `(question-NAME)=`, and the tables link there.
"""

from __future__ import annotations

import json
import re
import shlex
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlencode

from pydantic import BaseModel, TypeAdapter

from aggregation.on_demand import value_points, value_scope
from aggregation.questions import QUESTIONS
from service.api.document import PREFIX
from service.cli.questions import arguments_of, command, option_of
from service.parameters import Parameter, parameters_of

DOCS = Path(__file__).parent
ADDRESS = "http://127.0.0.1:8050"
SHARED_BY = 3  # a parameter that so many questions have alike stands once, in a table of its own
FENCE = re.compile(r"^```\{questions\} (\w+)\n```$", flags=re.MULTILINE)


def expand(text: str) -> str:
    """The page with its tables."""
    made = {"commands": commands, "routes": routes, "names": names}
    return FENCE.sub(lambda fence: made[fence[1]](), text)


def names() -> str:
    """Every question with what it answers."""
    return _table(("question", "what it answers"), ((_defined(n), QUESTIONS[n].meaning) for n in QUESTIONS))


def commands() -> str:
    """Every command of a question with all its options."""
    rows = ((f"[`varlake {n}`](#varlake-{n})", QUESTIONS[n].meaning, _flags(n)) for n in QUESTIONS)
    return "\n\n".join(
        [
            _table(("command", "what it answers", "further options"), rows),
            "### Options that questions share",
            "What a question has besides is in its section, and so is a default that differs.",
            _table(("option", "meaning"), map(_option_row, _shared())),
            *(_command_section(name) for name in QUESTIONS),
        ]
    )


def routes() -> str:
    """Every route of a question with all its parameters."""
    rows = ((f"[`{PREFIX}/{n}`](#api-v1-{n})", _methods(n), QUESTIONS[n].meaning) for n in QUESTIONS)
    return "\n\n".join(
        [
            _table(("route", "methods", "what it answers"), rows),
            "### Parameters that questions share",
            "What a question has besides is in its section, and so is a default that differs.",
            _table(("parameter", "default", "values", "meaning"), map(_parameter_row, _shared())),
            *(_route_section(name) for name in QUESTIONS),
        ]
    )


def _command_section(name: str) -> str:
    question = QUESTIONS[name].question
    # what rests on valuations of its own is not there until it is asked for
    own = ("--value",) if question.value not in (None, value_scope, value_points) else ()
    words = ("varlake", name, *arguments_of(question.query, question.example), *own)
    return _section(
        f"varlake {name}",
        name,
        f"```bash\n{' '.join(map(shlex.quote, words))}\n```",
        f"Besides: {_flags(name)}, `--lake`, `--json`.",
        ("option", "meaning"),
        _option_row,
    )


def _route_section(name: str) -> str:
    question = QUESTIONS[name].question
    return _section(
        f"{PREFIX}/{name}",
        name,
        f"```\n{_call(name, question.query, question.example)}\n```",
        ", ".join(_routes(name)) + ".",
        ("parameter", "default", "values", "meaning"),
        _parameter_row,
    )


def _section(title: str, name: str, example: str, said: str, heads: tuple[str, ...], row: Any) -> str:
    where = f"[{heads[0]}s that questions share](#{heads[0]}s-that-questions-share)"
    shared = _shared()
    found = parameters_of(QUESTIONS[name].question.query)
    alike = [p for p in found if any(_alike(p, s) for s in shared)]
    own = [p for p in found if p not in alike]
    lines = [f"### `{title}`", f"{QUESTIONS[name].meaning} {_more(name)}".strip(), example, said]
    if own:
        lines.append(_table(heads, map(row, own)))
    if alike:
        lines.append(f"And these {where}: {', '.join(row(p)[0] for p in alike)}.")
    return "\n\n".join(lines)


def _alike(one: Parameter, two: Parameter) -> bool:
    return _identity(one) == _identity(two)


def _identity(p: Parameter) -> str:
    return repr((p.name, p.kind, p.required, p.description, _default(p)))


def _shared() -> list[Parameter]:
    """The parameters that several questions have, of each name in its most frequent form."""
    of_all = [p for n in QUESTIONS for p in parameters_of(QUESTIONS[n].question.query)]
    often = Counter(map(_identity, of_all))
    first = {_identity(p): p for p in reversed(of_all)}
    best: dict[str, str] = {}
    for identity, count in often.most_common():
        if count >= SHARED_BY:
            best.setdefault(first[identity].name, identity)
    order = [first[best[n]] for n in dict.fromkeys(p.name for p in of_all) if n in best]
    # `measure` and `level` of questions about one number are the options of `measures` and `levels`: one line says enough
    taken = Counter(o for p in order for o in option_of(p).opts)
    return [p for p in order if not (p.kind == "one" and taken[option_of(p).opts[0]] > 1)]


def _option_row(p: Parameter) -> tuple[str, ...]:
    option = option_of(p)
    return ", ".join(f"`{o}`" for o in option.opts), str(option.help)


def _parameter_row(p: Parameter) -> tuple[str, ...]:
    several = {"several": "repeatable", "labels": "repeatable", "pairs": "body only", "objects": "body only"}
    meaning = f"{p.description}; {several[p.kind]}" if p.kind in several else p.description
    return (
        f"`{p.name}`",
        "required" if p.required else f"`{_default(p)}`" if _default(p) else "none",
        _values(p),
        meaning,
    )


def _default(p: Parameter) -> str:
    value = None if p.required else p.field.get_default(call_default_factory=True)
    if isinstance(value, bool):
        return str(value).lower()
    return ", ".join(map(str, value)) if isinstance(value, tuple) else "" if value in (None, {}) else str(value)


def _values(p: Parameter) -> str:
    """What may be given, as far as a table can say it."""
    if p.form is not None and p.kind != "labels":
        return "text, or an object in the body"
    if p.form is not None:
        return "texts, or objects in the body"
    annotated = p.field.annotation if not p.field.metadata else _with(p)
    if p.kind in ("objects", "pairs"):
        return "a list of objects" if p.kind == "objects" else "an object"
    schema = TypeAdapter(annotated).json_schema()
    forms = [s for s in schema.get("anyOf", ()) if s.get("type") != "null"]
    schema = forms[0] if len(forms) == 1 else {**schema, "anyOf": forms}
    return _kind_of(schema.get("items", schema))


def _with(p: Parameter) -> Any:
    return Annotated[(p.field.annotation, *p.field.metadata)]


def _kind_of(schema: dict[str, Any]) -> str:
    if "enum" in schema:
        many = len(schema["enum"]) > 8
        return "a name, see the catalogue" if many else ", ".join(f"`{v}`" for v in schema["enum"])
    if "const" in schema:
        return f"`{schema['const']}`"
    if schema.get("format") == "date":
        return "date"
    if schema.get("type") == "boolean":
        return "`true`, `false`"
    if schema.get("type") in ("integer", "number"):
        least = schema.get("minimum", schema.get("exclusiveMinimum"))
        most = schema.get("maximum", schema.get("exclusiveMaximum"))
        bounds = [f"{word} {bound:g}" for word, bound in (("from", least), ("to", most)) if _tells(bound)]
        return " ".join([schema["type"], *bounds])
    if any(s.get("type") == "number" for s in schema.get("anyOf", ())):
        return "fraction"
    return "text"


def _tells(bound: float | None) -> bool:
    return bound is not None and abs(bound) < 1e200


def _routes(name: str) -> list[str]:
    """`GET /api/v1/var` and the others, as the application has them."""
    return [
        f"`{method} {path}`" for method, path in _all_routes() if re.fullmatch(f"{PREFIX}/{name}(/plan|/value)?", path)
    ]


def _methods(name: str) -> str:
    return ", ".join(f"`{method}`" for method, path in _all_routes() if path == f"{PREFIX}/{name}")


def _all_routes() -> list[tuple[str, str]]:
    from service.api.app import create_app  # noqa: PLC0415 - a page of commands needs none of it
    from service.config import Settings  # noqa: PLC0415

    if not _known:
        for rule in create_app(Settings()).url_map.iter_rules():
            _known.extend((m, rule.rule) for m in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}))
        _known.sort(key=lambda route: (route[1], route[0]))
    return _known


_known: list[tuple[str, str]] = []


def _call(name: str, model: type[BaseModel], example: Any) -> str:
    """curl with the example, in the address where it fits there."""
    body_only = {p.name for p in parameters_of(model) if not p.in_address}
    if body_only & set(example):
        return (
            f"curl {ADDRESS}{PREFIX}/{name} -H 'Content-Type: application/json' -d {shlex.quote(json.dumps(example))}"
        )
    given = {k: str(v).lower() if isinstance(v, bool) else v for k, v in example.items()}
    return f"curl '{ADDRESS}{PREFIX}/{name}?{urlencode(given, doseq=True)}'"


def _flags(name: str) -> str:
    """`--plan` and its kin, those the command has."""
    own = {o for p in parameters_of(QUESTIONS[name].question.query) for o in option_of(p).opts}
    flags = [o.opts[0] for o in command(name).params if o.opts[0] not in own | {"--lake", "--json"}]
    return ", ".join(f"`{flag}`" for flag in flags)


def _defined(name: str) -> str:
    return f"[`{name}`](#question-{name})" if name in _targets() else f"`{name}`"


def _more(name: str) -> str:
    return f"[Definitions](#question-{name})." if name in _targets() else ""


def _targets() -> set[str]:
    """The questions that a page defines."""
    if not _found:
        for page in DOCS.rglob("*.md"):
            _found.update(
                re.findall(r"^\(question-([a-z-]+)\)=$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
            )
    return _found


_found: set[str] = set()


def _table(heads: tuple[str, ...], rows: Any) -> str:
    return "\n".join(_lines(heads, rows))


def _lines(heads: tuple[str, ...], rows: Any) -> Iterator[str]:
    yield f"| {' | '.join(heads)} |"
    yield "|" + "---|" * len(heads)
    for row in rows:
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |"


def setup(app: Any) -> dict[str, Any]:
    """Makes Sphinx replace the fences, and read the pages that hold one at every build."""
    pages = [str(p.relative_to(DOCS).with_suffix("")) for p in DOCS.rglob("*.md") if FENCE.search(p.read_text("utf-8"))]
    app.connect("source-read", lambda _app, _page, source: source.__setitem__(0, expand(source[0])))
    app.connect("env-get-outdated", lambda *_: pages)
    return {"parallel_read_safe": True}
