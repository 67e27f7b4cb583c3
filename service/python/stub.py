"""Writes `asked.pyi`, by which editors and type checkers know the methods of a lake: `python -m service.python.stub`."""

from __future__ import annotations

import inspect
import textwrap
from pathlib import Path

from aggregation.questions import QUESTIONS
from service.python.asked import Questions, Works
from service.python.methods import python_name
from service.python.works import WORKS

_WIDTH, _KEPT = 112, "\u00a0"  # a line breaks between parameters
_HEAD = """# fmt: off
# Written by `python -m service.python.stub`, from the models of QUESTIONS; a test says when it is out of date.
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any, Literal

from service.python.results import Answer, Figures
"""


def stub() -> str:
    """The text of `asked.pyi`."""
    questions = [_method(Questions, python_name(name), "Answer") for name in QUESTIONS]
    works = [_method(Works, name, "Figures") for name in WORKS]
    ask = "    def _ask(self, name: str, given: dict[str, Any], value: bool) -> Any: ...\n"
    do = "    def _do(self, name: str, given: dict[str, Any]) -> Any: ...\n"
    return "".join([_HEAD, "\nclass Questions:\n", ask, *questions, "\nclass Works:\n", do, *works])


def _method(owner: type, name: str, gives: str) -> str:
    made = getattr(owner, name)
    taken = []
    for p in list(inspect.signature(made).parameters.values())[1:]:
        default = "" if p.default is inspect.Parameter.empty else " = ..."
        taken.append(f"{p.name}: {p.annotation}{default},".replace(" ", _KEPT))
    filled = textwrap.TextWrapper(_WIDTH, break_long_words=False, break_on_hyphens=False)
    text = textwrap.indent(filled.fill(" ".join(["self,", "*,", *taken])), " " * 8)
    meaning = str(made.__doc__).partition("\n")[0]
    return f'    def {name}(\n{text.replace(_KEPT, " ")}\n    ) -> {gives}:\n        """{meaning}"""\n'


def main() -> None:
    Path(__file__).with_name("asked.pyi").write_text(stub())


if __name__ == "__main__":
    main()
