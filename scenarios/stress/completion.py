"""What may be written at a place of a text in the stress language: words of the grammar, and names of the market."""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from lake.errors import BadInput, counted
from scenarios.stress import model as m
from scenarios.stress.select import Universe
from scenarios.types import tenor_years

MOST = 50  # proposals

_KEYWORDS = {
    "then": "the step acts on the result of those before it",
    "include": "the moves of another scenario",
    "grid": "a scenario for every value of its axes",
    "assert": "a bound that the final levels must keep",
    "scenario": "names one of several scenarios",
}
_CLASS_BEFORE = re.compile(r"\b([A-Za-z_]\w*)\s*\Z")
_CONDITION = re.compile(r"\s*(?:([A-Za-z_]\w*)\s*!?=|!=)?(?:[^|]*\|)*\s*")
_PLAIN = re.compile(r"[A-Za-z0-9*?_][A-Za-z0-9_*?&:/-]*(?:\.[A-Za-z0-9_*?&:/-]+)*")
_OF_WORDS = string.ascii_letters + string.digits + "_*?&:/.-"
_BEGUN = re.compile(r"\s*(?:then\s+|assert\s+)*\w*")
_SELECTED = re.compile(r"\s*(?:then\s+)?(?P<class>[a-z]\w*)(?:\s+|\s*\[[^\]]*\]\s*)[A-Za-z]*")
_NAMED = re.compile(r'scenario\s+"([^"\n]+)"\s*:')
_AMOUNT = re.compile(r"(?:[-+=<>x]|\.\.|step)\s*[0-9]+(?:\.[0-9]+)?(?P<unit>[A-Za-z%]*)\Z")
_CHANGED = re.compile(r"[-+]\s*[0-9]+(?:\.[0-9]+)?(?:%|bp|pt)\s+\w*\Z")


@dataclass(frozen=True)
class Proposal:
    text: str
    meaning: str


@dataclass(frozen=True)
class Completion:
    """A proposal takes the place of the characters from `start` to `end`. more : proposals that are not shown."""

    start: int
    end: int
    proposals: tuple[Proposal, ...] = ()
    more: int = 0


def complete(text: str, at: int, universe: Universe, stored: Iterable[str] = ()) -> Completion:
    """What may stand in place of the word that ends at the offset `at`; `stored` are names of scenario sets.

    Nothing is proposed in a comment, and for numbers. A word that is typed already keeps the proposals that begin with it,
    then those that hold it, whatever their case.
    """
    before = text[:at]
    step, opened, quote, comment = _place(before)
    if comment:
        return Completion(at, at)
    if quote is not None:
        found = _in_quotes(before, step, opened, quote, universe, stored)
        return _matching(quote, at, before[quote + 1 :], found)
    if opened is not None and before[opened] == "[":
        return _in_brackets(before, opened, at, universe)
    word = len(before.rstrip(_OF_WORDS))
    if opened is not None:
        name = _name_before(before, opened)
        if name in m.SHAPES:
            last = max(before.rfind(c, opened) for c in "(,:")
            typed = _AMOUNT.search(before, opened)
            if before[last] == ":":
                return _unit(typed, at)
            select = _SELECTED.match(before, step)
            return _matching(word, at, before[word:], _pillars(universe, select["class"] if select else "factor"))
        step = max(before.rfind(c, opened) for c in "(,") + 1
    typed = _AMOUNT.search(before, step)
    if typed:
        return _unit(typed, at)
    if _BEGUN.fullmatch(before, step):
        return _matching(word, at, before[word:], _step_words(universe, keywords=opened is None))
    if _CHANGED.search(before, step):
        return _matching(word, at, before[word:], {"parallel": "every pillar alike"})
    if opened is None and _SELECTED.fullmatch(before, step):
        return _matching(word, at, before[word:], {f"{name}(": meaning for name, meaning in m.SHAPES.items()})
    return Completion(at, at)


def _place(before: str) -> tuple[int, int | None, int | None, bool]:
    """Where the step begins, where the innermost bracket and the quotation open, and whether it is a comment."""
    step, opened, quote, comment = 0, list[int](), None, False
    for i, c in enumerate(before):
        if c == "\n":
            quote, comment = None, False
        if comment or quote is not None:
            quote = None if c == '"' else quote
            continue
        if c == '"':
            quote = i
        elif c == "#":
            comment = True
        elif c in "[(":
            opened.append(i)
        elif c in "])" and opened:
            opened.pop()
        if not opened and c in ";\n:":
            step = i + 1
    return step, (opened[-1] if opened else None), quote, comment


def _name_before(before: str, opened: int) -> str:
    found = _CLASS_BEFORE.search(before, 0, opened)
    return found[1] if found else ""


def _unit(typed: re.Match[str] | None, at: int) -> Completion:
    if typed is None:
        return Completion(at, at)
    return _matching(typed.start("unit"), at, typed["unit"], m.UNITS)


def _step_words(universe: Universe, *, keywords: bool) -> dict[str, str]:
    classes = {c.risk_class for c in universe.index.factors}
    held = {
        word: counted(n, "risk factor", "risk factors")
        for word, risk_class in m.CLASSES.items()
        if risk_class is None or risk_class in classes
        for n in (len(universe.rows_of_class(word)),)
    }
    return held | (_KEYWORDS if keywords else {})


def _rows(universe: Universe, word: str) -> list[Mapping[str, tuple[str, ...]]]:
    try:
        return [universe.properties[r] for r in universe.rows_of_class(word)] if word in m.CLASSES else []
    except BadInput:  # the market has none of the class
        return []


def _values(universe: Universe, word: str, key: str) -> dict[str, str]:
    numbers = Counter(v for properties in _rows(universe, word) for v in properties.get(key, ()))
    names = sorted(numbers, key=tenor_years) if key == "pillar" else sorted(numbers)
    return {n: counted(numbers[n], "risk factor", "risk factors") for n in names}


def _pillars(universe: Universe, word: str) -> dict[str, str]:
    return {f"{v}:": meaning for v, meaning in _values(universe, word, "pillar").items()}


def _in_brackets(before: str, opened: int, at: int, universe: Universe) -> Completion:
    word = _name_before(before, opened)
    first = max(before.rfind(",", opened), opened) + 1
    condition = _CONDITION.match(before, first)
    assert condition is not None  # it matches nothing at least
    start, key = condition.end(), condition[1]
    found = _values(universe, word, key or m.BARE)
    if key is None and start <= first + len(before[first:]) - len(before[first:].lstrip()):
        keys = sorted({k for properties in _rows(universe, word) for k in properties} - {m.BARE})
        found = {f"{k}=": _some(_values(universe, word, k)) for k in keys} | found
    return _matching(start, at, before[start:], {n if "=" in n else _quoted(n): s for n, s in found.items()})


def _some(values: Mapping[str, str]) -> str:
    more = ", ..." if len(values) > 3 else ""
    return f"{', '.join(list(values)[:3])}{more}"


def _quoted(name: str) -> str:
    return name if _PLAIN.fullmatch(name) else f'"{name}"'


def _in_quotes(
    before: str, step: int, opened: int | None, quote: int, universe: Universe, stored: Iterable[str]
) -> dict[str, str]:
    if opened is not None and before[opened] == "[":
        found = _CONDITION.match(before, max(before.rfind(",", opened, quote), opened) + 1, quote)
        values = _values(universe, _name_before(before, opened), (found and found[1]) or m.BARE)
        return {f'"{name}"': meaning for name, meaning in values.items()}
    if "include" not in before[step:quote]:
        return {}
    earlier = dict.fromkeys(_NAMED.findall(before, 0, step)[:-1], "a scenario of this text")
    return {
        f'"{name}"': meaning for name, meaning in {**dict.fromkeys(stored, "a stored scenario set"), **earlier}.items()
    }


def _matching(start: int, end: int, typed: str, found: Mapping[str, str]) -> Completion:
    wanted = typed.strip().strip('"').casefold()
    begin = [n for n in found if n.strip('"').casefold().startswith(wanted)]
    hold = [n for n in found if n not in begin and wanted in n.casefold()] if wanted else []
    names = [*begin, *hold]
    if typed and names == [typed]:
        return Completion(start, end)
    return Completion(start, end, tuple(Proposal(n, found[n]) for n in names[:MOST]), max(len(names) - MOST, 0))
