"""The stress language: text to the typed form and back. A hand-written recursive-descent parser; nothing is evaluated.

document  = body | { 'scenario' STRING ':' body }
body      = step { (';' | newline) step }
step      = [ 'then' ] ( move | include | grid | assert )
move      = selector ( amount [ 'parallel' ] | 'x' NUMBER | '=' level | shape ) [ 'moving' CURRENCY ]
shape     = SHAPE '(' pillar ':' amount { ',' pillar ':' amount } ')'
include   = 'include' STRING [ 'label' STRING ] [ 'x' NUMBER ]
grid      = 'grid' '(' axis { ',' axis } ')'        axis = selector amount '..' amount 'step' NUMBER unit
assert    = 'assert' selector ( '<' | '<=' | '>' | '>=' ) level
selector  = CLASS [ '[' filter { ',' filter } ']' ]
filter    = [ KEY ( '=' | '!=' ) ] value { '|' value }
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from decimal import Decimal
from typing import Any, NoReturn, TypeVar

from pydantic import BaseModel, ValidationError

from lake.errors import BadInput, Issue, nearest
from lake.words import sentence
from scenarios.stress import model as m

MAX_TEXT = 200_000  # characters

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_WORD = re.compile(r"[A-Za-z0-9*?_][A-Za-z0-9_*?&:/-]*(?:\.[A-Za-z0-9_*?&:/-]+)*")
_PILLAR = re.compile(r"[0-9]{1,3}[DWMY](?:\.\.[0-9]{1,3}[DWMY])?")
_NUMBER = re.compile(r"[0-9]{1,40}(?:\.[0-9]{1,40})?")
_UNIT = re.compile(r"%|[A-Za-z]+")
_STRING = re.compile(r'"([^"\n]*)"')
_COMPARISON = re.compile(r"[<>]=?")
_ANYTHING = re.compile(r'"[^"\n]*"?|[\w.%:-]+|\S')
_INLINE = re.compile(r"(?:[ \t\r]|#[^\n]*)*")
_SPACE = re.compile(r"(?:\s|#[^\n]*)*")
_SEPARATORS = re.compile(r"(?:[\s;]|#[^\n]*)*")
_STEPS = ("then", "include", "grid", "assert", *m.CLASSES)

Part = TypeVar("Part", bound=BaseModel)


def fault(text: str, offset: int, message: str, value: str | None = None, allowed: Iterable[str] = ()) -> BadInput:
    """The error at a place of the text, with its line, column and a caret under it."""
    issue = located(text, offset, message, value, allowed)
    line_start = text.rfind("\n", 0, offset) + 1
    line = text[line_start:].split("\n", 1)[0].replace("\t", " ")
    column = offset - line_start
    start = max(0, column - 60)  # a long line is shown around the place
    shown = line[start : start + 110].rstrip()
    return BadInput(f"{issue.pointer}: {message}\n  {shown}\n  {' ' * (column - start)}^", issues=[issue])


def located(text: str, offset: int, message: str, value: str | None = None, allowed: Iterable[str] = ()) -> Issue:
    line_start = text.rfind("\n", 0, offset) + 1
    pointer = f"line {text.count(chr(10), 0, offset) + 1}, column {offset - line_start + 1}"
    return Issue(pointer, message, value, tuple(allowed))


def parse(text: str) -> m.Document:
    """The document a text says; raises `BadInput` that points at the character and names what may stand there."""
    return parse_with_places(text)[0]


def parse_with_places(text: str) -> tuple[m.Document, dict[str, int]]:
    """The document, and where its scenarios, steps and selectors stand: JSON pointer to offset in the text."""
    if len(text) > MAX_TEXT:
        raise BadInput(f"The text has {len(text):,} characters; at most {MAX_TEXT:,} are read.")
    parser = _Parser(text)
    return parser.document(), parser.places


def parse_where(text: str) -> tuple[m.FactorFilter, ...]:
    """The filters between the brackets of a selector; raises `BadInput`."""
    if not text.strip():
        return ()
    parser = _Parser(text)
    parser.depth = 1
    filters = parser.filters()
    parser.finished()
    return filters


def parse_shape(text: str) -> dict[str, Any]:
    """Shape, knots and unit of `steepener(2Y:-10bp, 30Y:+40bp)`; raises `BadInput`."""
    parser = _Parser(text)
    shape = parser.shape()
    parser.finished()
    return shape


class _Parser:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.depth = 0  # inside brackets a new line is a space
        self.places: dict[str, int] = {}

    # reading

    def skip(self) -> int:
        match = (_SPACE if self.depth else _INLINE).match(self.text, self.at)
        self.at = match.end() if match else self.at
        return self.at

    def take(self, pattern: re.Pattern[str]) -> str | None:
        match = pattern.match(self.text, self.skip())
        if match is None:
            return None
        self.at = match.end()
        return match[0]

    def accept(self, literal: str) -> bool:
        if not self.text.startswith(literal, self.skip()):
            return False
        self.at += len(literal)
        return True

    def keyword(self, word: str) -> bool:
        match = _NAME.match(self.text, self.skip())
        if match is None or match[0] != word:
            return False
        self.at = match.end()
        return True

    def expect(self, literal: str, after: str) -> None:
        if not self.accept(literal):
            self.fail(f"expected {literal!r} after {after}", allowed=(literal,))

    def fail(self, message: str, *, at: int | None = None, allowed: Iterable[str] = ()) -> NoReturn:
        at = self.skip() if at is None else at
        match = _ANYTHING.match(self.text, at)
        found = match[0] if match else None
        shown = f"found {found!r}" if found else "the text ends here"
        raise fault(self.text, at, f"{message}; {shown}.", found, allowed)

    def unknown(self, kind: str, name: str, valid: Iterable[str], at: int) -> NoReturn:
        close = nearest(name, valid)
        message = f"unknown {kind} {name!r}. Nearest valid: {', '.join(close)}."
        raise fault(self.text, at, message, name, close)

    def build(self, part: type[Part], at: int, **fields: Any) -> Part:
        """The part of the model; what the model refuses is told at the place where the part begins."""
        try:
            return part.model_validate(fields)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            message = first["msg"].removeprefix("Value error, ")
            raise fault(self.text, at, sentence(message), self.text[at : self.at][:80]) from None

    def finished(self) -> None:
        if self.skip() < len(self.text):
            self.fail("expected nothing more")

    def separators(self) -> None:
        match = _SEPARATORS.match(self.text, self.at)
        self.at = match.end() if match else self.at

    # grammar

    def document(self) -> m.Document:
        self.separators()
        if self.at == len(self.text):
            self.fail("expected a step, such as `equity -20%`", allowed=_STEPS)
        scenarios: list[m.Scenario] = []
        named = self.at_scenario()
        while self.at < len(self.text):
            start = self.at
            if named and not self.keyword("scenario"):
                self.fail('expected `scenario "name":`')
            pointer = f"/scenarios/{len(scenarios)}"
            self.places[pointer] = start
            name = self.scenario_name() if named else None
            scenarios.append(self.build(m.Scenario, start, name=name, steps=self.body(pointer)))
            if not named and self.at < len(self.text):
                self.fail('steps stand before this; begin the text with `scenario "name":`')
        return self.build(m.Document, 0, scenarios=tuple(scenarios))

    def at_scenario(self) -> bool:
        match = _NAME.match(self.text, self.at)
        return bool(match and match[0] == "scenario")

    def scenario_name(self) -> str:
        name = self.string("the scenario's name")
        self.expect(":", "the scenario's name")
        return name

    def string(self, what: str) -> str:
        token = self.take(_STRING)
        if token is None:
            self.fail(f'expected {what} in quotation marks, such as "oil up"')
        return token[1:-1]

    def body(self, scenario: str) -> tuple[Any, ...]:
        steps: list[Any] = []
        self.separators()
        while self.at < len(self.text) and not self.at_scenario():
            steps.append(self.step(f"{scenario}/steps/{len(steps)}"))
            if len(steps) > m.MAX_STEPS:
                self.fail(f"a scenario has at most {m.MAX_STEPS} steps")
            if self.skip() < len(self.text) and self.text[self.at] not in ";\n":
                self.fail("expected `;` or a new line after the step", allowed=(";",))
            self.separators()
        if not steps:
            self.fail("expected a step, such as `equity -20%`", allowed=_STEPS)
        return tuple(steps)

    def step(self, pointer: str) -> Any:
        start = self.places[pointer] = self.skip()
        then = self.keyword("then")
        if then:
            self.separators()
        if self.keyword("assert"):
            if then:
                self.fail("an assertion is about the final levels; leave `then` out", at=start)
            return self.assertion(start, pointer)
        if self.keyword("include"):
            name = self.string("the name of a scenario")
            label = self.string("the label of one of its scenarios") if self.keyword("label") else None
            scale = self.number("scale", signed=True) if self.accept("x") else 1.0
            return self.build(m.Include, start, then=then, name=name, label=label, scale=scale)
        if self.keyword("grid"):
            self.depth += 1
            self.expect("(", "grid")
            axes = [self.axis(f"{pointer}/axes/0")]
            while self.accept(","):
                axes.append(self.axis(f"{pointer}/axes/{len(axes)}"))
            self.expect(")", "the last axis")
            self.depth -= 1
            return self.build(m.Grid, start, then=then, axes=tuple(axes))
        return self.move(start, then, self.selector(pointer, _STEPS), pointer)

    def move(self, start: int, then: bool, select: m.Selector, pointer: str) -> Any:
        here = self.places[f"{pointer}/change"] = self.skip()
        common: dict[str, Any] = {"then": then, "select": select}
        sign = self.text[here : here + 1]
        if sign in ("+", "-") or _NUMBER.match(self.text, here):
            value, unit = self.amount()
            shape = "parallel" if self.keyword("parallel") else None
            return self.build(m.Shift, start, value=value, unit=unit, shape=shape, **common, **self.moving())
        if self.accept("="):
            value, unit = self.level()
            return self.build(m.Assign, start, value=value, unit=unit, **common, **self.moving())
        if re.compile(r"x\s*[0-9+-]").match(self.text, here):
            self.accept("x")
            value = self.number("factor")
            return self.build(m.Multiply, start, value=value, **common, **self.moving())
        return self.build(m.Curve, start, **self.shape(), **common)

    def moving(self) -> dict[str, str]:
        if not self.keyword("moving"):
            return {}
        currency = self.take(_NAME)
        if currency is None:
            self.fail("expected a currency after `moving`, such as USD")
        return {"moving": currency}

    def shape(self) -> dict[str, Any]:
        at = self.skip()
        name = self.take(_NAME)
        if name is None:
            self.fail(
                "expected a change: an amount with its sign such as -20% or +100bp, x1.5, = 0.95, or a shape",
                allowed=("+", "-", "x", "=", *m.SHAPES),
            )
        if name not in m.SHAPES:
            self.unknown("change", name, ("parallel", *m.SHAPES), at)
        self.depth += 1
        self.expect("(", name)
        knots: list[dict[str, Any]] = []
        units: set[str] = set()
        while True:
            here = self.skip()
            pillar = self.take(_PILLAR)
            if pillar is None:
                self.fail("expected a pillar such as 2Y")
            self.expect(":", "the pillar")
            value, unit = self.amount()
            units.add(unit)
            if len(units) > 1:
                self.fail("every amount of a shape has the same unit", at=here)
            knots.append({"at": pillar, "value": value})
            if not self.accept(","):
                break
        self.expect(")", "the last amount")
        self.depth -= 1
        return {"shape": name, "knots": knots, "unit": units.pop()}

    def selector(self, pointer: str, valid: Iterable[str] = tuple(m.CLASSES)) -> m.Selector:
        start = self.places[f"{pointer}/select"] = self.skip()
        name = self.take(_NAME)
        if name is None:
            self.fail("expected a class of risk factors", allowed=valid)
        if name not in m.CLASSES:
            self.unknown("step or class", name, valid, start)
        where: tuple[m.FactorFilter, ...] = ()
        if self.accept("["):
            self.depth += 1
            where = self.filters(f"{pointer}/select/where")
            self.expect("]", "the last filter")
            self.depth -= 1
        return self.build(m.Selector, start, risk_class=name, where=where)

    def filters(self, pointer: str = "") -> tuple[m.FactorFilter, ...]:
        found: list[m.FactorFilter] = []
        while True:
            start = self.places[f"{pointer}/{len(found)}"] = self.skip()
            key, negate = m.BARE, False
            match = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)\s*(!=|=)").match(self.text, start)
            if match:
                key, negate, self.at = match[1], match[2] == "!=", match.end()
            elif self.accept("!="):
                negate = True
            values: list[str] = []
            while not values or self.accept("|"):
                self.places[f"{pointer}/{len(found)}/values/{len(values)}"] = self.skip()
                values.append(self.value())
            found.append(self.build(m.FactorFilter, start, key=key, values=tuple(values), negate=negate))
            if not self.accept(","):
                return tuple(found)

    def value(self) -> str:
        self.skip()
        if self.text.startswith('"', self.at):
            return self.string("a value")
        token = self.take(_PILLAR) if re.compile(r"[0-9]+[DWMY]\.\.").match(self.text, self.at) else self.take(_WORD)
        if token is None:
            self.fail('expected a value, such as US, EQ:A* or "Health Care"')
        return token

    def axis(self, pointer: str) -> m.Axis:
        start = self.skip()
        select = self.selector(pointer)
        first, unit = self.amount()
        self.expect("..", "the first amount of the axis")
        here = self.skip()
        last, other = self.amount()
        if not self.keyword("step"):
            self.fail("expected `step` and the size of a step", allowed=("step",))
        increment = self.number("size of a step")
        if {other, self.unit()} != {unit}:
            self.fail(f"every amount of an axis has the same unit, here {unit}", at=here)
        return self.build(m.Axis, start, select=select, start=first, stop=last, increment=increment, unit=unit)

    def assertion(self, start: int, pointer: str) -> m.Assertion:
        select = self.selector(pointer)
        comparison = self.take(_COMPARISON)
        if comparison is None:
            self.fail("expected a comparison", allowed=m.COMPARISONS)
        value, unit = self.level()
        return self.build(m.Assertion, start, select=select, comparison=comparison, value=value, unit=unit)

    def amount(self) -> tuple[float, str]:
        """A signed number with a unit. The sign is asked for: 20% may be read as a move to, or by, 20%."""
        start = self.skip()
        value = self.number("amount", signed=True)
        if value != 0 and self.text[start] not in "+-":
            self.fail("an amount needs its sign, + or -", at=start, allowed=("+", "-"))
        unit = self.unit()
        if not unit:
            self.fail("expected a unit after the number", allowed=(*m.UNITS, "USD"))
        return value, unit

    def level(self) -> tuple[float, str]:
        return self.number("level", signed=True), self.unit()

    def number(self, what: str, signed: bool = False) -> float:
        sign = -1.0 if signed and self.accept("-") else 1.0
        if sign > 0 and signed:
            self.accept("+")
        token = self.take(_NUMBER)
        if token is None:
            self.fail(f"expected the {what}, a number such as 1.5")
        return sign * float(token)

    def unit(self) -> str:
        at = self.skip()
        match = _UNIT.match(self.text, at)
        if match is None or match[0] in ("parallel", "moving", "step"):
            return ""
        if match[0] not in m.UNITS and not re.fullmatch("[A-Z]{3}", match[0]):
            self.unknown("unit", match[0], (*m.UNITS, "USD", "EUR"), at)
        self.at = match.end()
        return match[0]


def to_text(document: m.Document) -> str:
    """The canonical text: one line a named scenario. `parse(to_text(d)) == d`, for every document."""
    lines = []
    for scenario in document.scenarios:
        head = f'scenario "{scenario.name}": ' if scenario.name is not None else ""
        lines.append(head + "; ".join(step_text(s) for s in scenario.steps))
    return "\n".join(lines)


def step_text(step: Any) -> str:
    """A step as the language writes it."""
    if isinstance(step, m.Assertion):
        return f"assert {selector_text(step.select)} {step.comparison} {plain(step.value)}{step.unit}"
    return ("then " if step.then else "") + _change_text(step)


def _change_text(step: Any) -> str:
    if isinstance(step, m.Include):
        label = f' label "{step.label}"' if step.label is not None else ""
        return f'include "{step.name}"{label}' + (f" x{plain(step.scale)}" if step.scale != 1 else "")
    if isinstance(step, m.Grid):
        return f"grid({', '.join(map(axis_text, step.axes))})"
    selected = selector_text(step.select)
    if isinstance(step, m.Curve):
        return f"{selected} {shape_text(step)}"
    if isinstance(step, m.Shift):
        change = amount_text(step.value, step.unit) + (f" {step.shape}" if step.shape else "")
    elif isinstance(step, m.Multiply):
        change = f"x{plain(step.value)}"
    else:
        change = f"= {plain(step.value)}{step.unit}"
    return f"{selected} {change}" + (f" moving {step.moving}" if step.moving else "")


def shape_text(step: m.Curve) -> str:
    return f"{step.shape}({', '.join(f'{k.at}:{amount_text(k.value, step.unit)}' for k in step.knots)})"


def axis_text(axis: m.Axis) -> str:
    first, last = amount_text(axis.start, axis.unit), amount_text(axis.stop, axis.unit)
    return f"{selector_text(axis.select)} {first}..{last} step {plain(axis.increment)}{axis.unit}"


def selector_text(select: m.Selector) -> str:
    return select.risk_class + (f"[{where_text(select.where)}]" if select.where else "")


def where_text(where: Iterable[m.FactorFilter]) -> str:
    return ", ".join(map(_filter_text, where))


def _filter_text(condition: m.FactorFilter) -> str:
    sign = "!=" if condition.negate else "="
    head = ("!=" if condition.negate else "") if condition.key == m.BARE else condition.key + sign
    return head + "|".join(_value_text(v, condition.key) for v in condition.values)


def _value_text(value: str, key: str) -> str:
    bare = _WORD.fullmatch(value) or (key == "pillar" and _PILLAR.fullmatch(value))
    return value if bare else f'"{value}"'


def amount_text(value: float, unit: str) -> str:
    """Such as -20% or +100bp."""
    return ("-" if value < 0 else "+") + plain(abs(value)) + unit


def plain(value: float) -> str:
    """The shortest decimal that reads back to the same bits, never with an exponent."""
    return format(Decimal(repr(value)).normalize(), "f")
