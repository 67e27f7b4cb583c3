"""XML that people send: elements with their line, without what a document may ask a parser to do.

A document type, and with it every entity of its own, is refused: nothing is expanded and nothing outside of the file is read.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO
from xml.parsers import expat

from lake.errors import BadInput
from lake.landing.decoded import open_decoded

MOST_DEPTH = 100  # elements inside of each other


@dataclass
class Element:
    """An element: its name without a namespace, the text right in it, trimmed, its attributes and children.

    line : from 1. prefixed : the attributes that have a namespace of their own, without it. read :
    whether its text was asked for, so that what nobody has read of a file can be told.
    """

    name: str
    line: int
    attributes: dict[str, str]
    text: str = ""
    children: list[Element] = field(default_factory=list)
    prefixed: frozenset[str] = frozenset()
    read: bool = field(default=False, compare=False)

    def all(self, *path: str) -> list[Element]:
        """The elements at a path of names below this one."""
        found = [self]
        for name in path:
            found = [child for element in found for child in element.children if child.name == name]
        return found

    def one(self, *path: str) -> Element | None:
        """The first of them."""
        return next(iter(self.all(*path)), None)

    def value(self, *path: str) -> str | None:
        """Text of the first of them; None where there is none, or no text in it."""
        found = self.one(*path)
        return None if found is None or not found.text else found.take()

    def take(self) -> str:
        """Its text, which is read now."""
        self.read = True
        return self.text

    def skip(self) -> None:
        """It and all below it is read, since nothing of it is needed."""
        self.read = True
        for child in self.children:
            child.skip()

    def below(self, name: str) -> Iterator[Element]:
        """All elements of the name at any depth, in the order of the document."""
        for child in self.children:
            if child.name == name:
                yield child
            yield from child.below(name)


def is_markup(path: Path) -> bool:
    """Whether the ending says that it is XML, packed or not."""
    return PurePosixPath(path.name.lower().removesuffix(".gz")).suffix == ".xml"


def read_markup(path: Path) -> Element:
    """The root element. Raises `BadInput` for what is no XML, with the line, for a document type, and for elements nested too deep."""
    with open_decoded(path, None) as (name, stream):
        return _parsed(name, stream)


def _parsed(name: str, stream: IO[bytes]) -> Element:
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    top = Element("", 0, {})
    open_elements = [top]

    def start(tag: str, attributes: dict[str, str]) -> None:
        if len(open_elements) > MOST_DEPTH:
            raise BadInput(
                f"{name}, line {parser.CurrentLineNumber}: more than {MOST_DEPTH} elements inside of each other."
            )
        local = {k.rpartition(" ")[2]: v for k, v in attributes.items()}
        prefixed = frozenset(k.rpartition(" ")[2] for k in attributes if " " in k)
        element = Element(tag.rpartition(" ")[2], parser.CurrentLineNumber, local, prefixed=prefixed)
        open_elements[-1].children.append(element)
        open_elements.append(element)

    def end(_: str) -> None:
        element = open_elements.pop()
        element.text = element.text.strip()

    def data(text: str) -> None:
        open_elements[-1].text += text

    def doctype(*_: object) -> None:
        raise BadInput(
            f"{name}, line {parser.CurrentLineNumber}: a document type is not read; take the DOCTYPE and its entities out of the file."
        )

    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler, parser.StartDoctypeDeclHandler = data, doctype
    try:
        parser.ParseFile(stream)
    except expat.ExpatError as error:
        raise BadInput(f"{name} is no well-formed XML: line {error.lineno}, {expat.ErrorString(error.code)}.") from None
    return top.children[0]
