"""A method for each entry of QUESTIONS and of WORKS. `asked.pyi`, written by `stub`, tells type checkers and editors the same."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from aggregation.questions import QUESTIONS
from service.ingests import named
from service.python.methods import LazyMethod, method, option, python_name
from service.python.works import WORKS

if TYPE_CHECKING:
    from collections.abc import Callable

VALUE = "have what is missing valued first; `plan` says what that takes"


class Questions:
    """The questions, as methods of a lake."""

    def _ask(self, name: str, given: dict[str, Any], value: bool) -> Any:
        raise NotImplementedError


class Works:
    """What stores something, as methods of a lake."""

    def _do(self, name: str, given: dict[str, Any]) -> Any:
        raise NotImplementedError


def _question(name: str) -> Callable[..., Any]:
    entry = QUESTIONS[name]

    def run(lake: Questions, given: dict[str, Any], value: bool = False) -> Any:
        return lake._ask(name, given, value)

    more = [option("value", False, "bool", VALUE)] if entry.question.value is not None else []
    return method(name, entry.meaning, entry.question.query, run, more)


def _work(name: str) -> Callable[..., Any]:
    def run(lake: Works, given: dict[str, Any]) -> Any:
        return lake._do(name, given)

    return method(name, WORKS[name].meaning, named(WORKS[name].model), run)


for _name in QUESTIONS:
    setattr(Questions, python_name(_name), LazyMethod(functools.partial(_question, _name)))
for _name in WORKS:
    setattr(Works, _name, LazyMethod(functools.partial(_work, _name)))
