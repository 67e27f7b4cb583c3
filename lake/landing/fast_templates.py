"""Templates of FAST 1.1: the XML that says which fields the messages of a feed have, of which type, and how each is left out.

Read are templates, fields, decimals with operators of their own, groups, sequences with their lengths, static template references,
dictionaries and keys. Refused by name, never read as something else: dynamic template references, elements and attributes that the
standard does not have; an attribute with a prefix belongs to another standard and is passed over. Source: FAST Specification 1.1 (FIX
Protocol Ltd., 2006-12-20), sections 4 and 6.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, get_args

from lake.errors import BadInput, Issue, unknown
from lake.landing.markup import Element, read_markup
from lake.landing.rows import refuse_whole

Kind = Literal["uInt32", "uInt64", "int32", "int64", "ascii", "unicode", "byteVector", "decimal"]
Operator = Literal["none", "constant", "default", "copy", "increment", "delta", "tail"]
INTEGERS: dict[str, tuple[int, int]] = {
    "uInt32": (0, 2**32 - 1),
    "uInt64": (0, 2**64 - 1),
    "int32": (-(2**31), 2**31 - 1),
    "int64": (-(2**63), 2**63 - 1),
}
OPERATORS = ("constant", "default", "copy", "increment", "delta", "tail")
_NAMED = ("name", "ns", "id", "presence")
ATTRIBUTES: dict[str, tuple[str, ...]] = {
    "templates": ("ns", "templateNs", "dictionary"),
    "template": ("name", "ns", "templateNs", "id", "dictionary", "reset"),
    "templateRef": ("name", "ns", "templateNs"),
    "typeRef": ("name", "ns"),
    "group": (*_NAMED, "dictionary"),
    "sequence": (*_NAMED, "dictionary"),
    "length": ("name", "ns", "id"),
    "exponent": (),
    "mantissa": (),
    "string": (*_NAMED, "charset"),
    **dict.fromkeys((*INTEGERS, "decimal", "byteVector"), _NAMED),
    **dict.fromkeys(OPERATORS, ("value", "ns", "dictionary", "key")),
}  # by element; those with a prefix belong to others and are passed over
_Said = tuple[Operator, Any, tuple[str, ...] | None]  # operator, initial value and key of a field
_NOTHING: _Said = ("none", None, None)
MOST_INSTRUCTIONS = 20_000  # with static references written out
_NUMBER = re.compile(r"([+-]?)([0-9]*)(?:\.([0-9]*))?")


@dataclass(frozen=True)
class Field:
    """A field. id : its tag, None where the template gives none. slot : place of its previous value. initial : bytes of a text, (mantissa,
    exponent) of a decimal. parts : exponent and mantissa of a decimal with an operator for each."""

    name: str
    id: int | None
    kind: Kind
    optional: bool
    operator: Operator = "none"
    initial: Any = None
    slot: int = -1
    parts: tuple[Field, Field] | None = None

    @property
    def has_bit(self) -> bool:
        """Whether it has a bit of the presence map."""
        if self.parts:
            return self.parts[0].has_bit or self.parts[1].has_bit
        return self.operator in ("default", "copy", "increment", "tail") or (
            self.operator == "constant" and self.optional
        )


@dataclass(frozen=True)
class Group:
    """Fields that are there or not together; of a sequence with `length`, as often as that says."""

    name: str
    optional: bool
    inside: tuple[Field | Group, ...]
    length: Field | None = None

    @property
    def has_map(self) -> bool:
        """Whether it begins with a presence map."""
        return any(i.has_bit for i in self.inside)

    @property
    def has_bit(self) -> bool:
        return self.optional if self.length is None else self.length.has_bit


@dataclass(frozen=True)
class Template:
    """A template. resets : all previous values are forgotten before a message of it."""

    name: str
    id: int
    resets: bool
    inside: tuple[Field | Group, ...]


@dataclass
class Templates:
    """Templates by id, and how many previous values they need."""

    by_id: dict[int, Template]
    n_slots: int


def read_templates(path: Path) -> Templates:
    """The templates of a file. Raises `BadInput` with every fault and its line."""
    root = read_markup(path)
    elements = root.all("template") if root.name == "templates" else [root] if root.name == "template" else []
    if not elements:
        raise BadInput(
            f"{path.name} begins with <{root.name}>; expected <templates> with <template> elements of FAST 1.1."
        )
    load = _Load(path.name, root, {e.attributes.get("name", ""): e for e in elements})
    load.check_attributes(root)
    templates = [t for e in elements if (t := load.template(e))]
    by_id: dict[int, Template] = {}
    for template, element in zip(templates, [e for e in elements if "id" in e.attributes], strict=False):
        if template.id in by_id:
            load.fault(element, f"has the id {template.id} that {by_id[template.id].name} has", template.name)
        by_id[template.id] = template
    refuse_whole(path.name, load.issues)
    if not by_id:
        raise BadInput(f"{path.name} has no template with an id, and so none that a message can name.")
    return Templates(by_id, len(load.slots))


class _Faulty(Exception):
    """What has a fault that was told; it is left out."""


@dataclass(frozen=True)
class _Scope:
    """What elements inherit: dictionary, template and application type, namespace, and the references around."""

    dictionary: str
    template: str
    type: str
    namespace: str
    references: tuple[str, ...] = ()


@dataclass
class _Load:
    name: str
    root: Element
    elements: dict[str, Element]
    slots: dict[tuple[str, ...], int] = field(default_factory=dict)
    issues: list[Issue] = field(default_factory=list)
    made: int = 0

    def fault(self, element: Element, said: str, value: str = "") -> None:
        self.issues.append(Issue(f"line {element.line}, <{element.name}>", said, value))

    def refuse(self, element: Element, said: str, value: str = "") -> _Faulty:
        self.fault(element, said, value)
        return _Faulty()

    def check_attributes(self, element: Element) -> None:
        known = ATTRIBUTES.get(
            element.name, tuple(element.attributes)
        )  # an element that is not known is refused where it is read
        for name in element.attributes:
            if name not in known and name not in element.prefixed:
                self.fault(element, str(unknown("attribute", name, known)), name)
        for child in element.children:
            self.check_attributes(child)

    def template(self, element: Element) -> Template | None:
        try:
            name = self.named(element)
            if "id" not in element.attributes:  # one that others refer to
                self.inside(element, self.scope_of(element, ()))
                return None
            return Template(
                name,
                self.whole(element, element.attributes["id"]),
                self.flag(element, "reset"),
                self.inside(element, self.scope_of(element, (name,))),
            )
        except _Faulty:
            return None

    def scope_of(self, element: Element, references: tuple[str, ...]) -> _Scope:
        root = self.root.attributes
        start = _Scope(root.get("dictionary", "global"), "", "", root.get("ns", ""))
        name = element.attributes.get("name", "")
        return replace(self.scope(element, start), template=name, references=references or (name,))

    def scope(self, element: Element, outer: _Scope) -> _Scope:
        of_type = element.one("typeRef")
        return replace(
            outer,
            dictionary=element.attributes.get("dictionary", outer.dictionary),
            namespace=element.attributes.get("ns", outer.namespace),
            type=of_type.attributes.get("name", "") if of_type else outer.type,
        )

    def inside(self, element: Element, scope: _Scope) -> tuple[Field | Group, ...]:
        out: list[Field | Group] = []
        for child in element.children:
            if child.name in ("typeRef", "length"):
                continue
            try:
                out += self.one(child, scope)
            except _Faulty:
                continue
        return tuple(out)

    def one(self, element: Element, scope: _Scope) -> tuple[Field | Group, ...]:
        self.made += 1
        if self.made > MOST_INSTRUCTIONS:
            self.issues[:] = [
                Issue("templates", f"have more than {MOST_INSTRUCTIONS:,} fields with references written out")
            ]
            raise BadInput(f"{self.name} has more than {MOST_INSTRUCTIONS:,} fields with its references written out.")
        if element.name == "templateRef":
            name = element.attributes.get("name")
            if name is None:
                raise self.refuse(
                    element, "refers to the template that the message names (a dynamic reference), which is not read"
                )
            if name not in self.elements:
                raise self.refuse(element, str(unknown("template", name, self.elements)), name)
            if name in scope.references:
                raise self.refuse(element, "refers to a template that it stands in", name)
            target = self.elements[name]
            return self.inside(target, self.scope_of(target, (*scope.references, name)))
        if element.name in ("group", "sequence"):
            return (self.group(element, self.scope(element, scope)),)
        return (self.field(element, scope),)

    def group(self, element: Element, scope: _Scope) -> Group:
        name, optional = self.named(element), self.optional(element)
        length = None
        if element.name == "sequence":
            given = element.one("length")
            own = scope if given is None else self.scope(given, scope)
            of = element if given is None else given
            operator, initial, key = _NOTHING if given is None else self.operator(given, "uInt32", optional)
            slot = self.slot(
                own,
                of,
                key or (of.attributes["name"],) if given and "name" in of.attributes else key or (name, "length"),
            )
            length = Field(f"{name} length", self.tag(of), "uInt32", optional, operator, initial, slot)
        return Group(name, optional, self.inside(element, scope), length)

    def field(self, element: Element, scope: _Scope) -> Field:
        kinds = {k: k for k in get_args(Kind) if k not in ("ascii", "unicode")}
        if element.name == "string":
            charset = element.attributes.get("charset", "ascii")
            if charset not in ("ascii", "unicode"):
                raise self.refuse(element, "has a charset that is neither ascii nor unicode", charset)
            kind: Kind = "ascii" if charset == "ascii" else "unicode"
        elif element.name in kinds:
            kind = kinds[element.name]
        else:
            raise self.refuse(
                element,
                str(unknown("field", element.name, [*kinds, "string", "group", "sequence", "templateRef"])),
                element.name,
            )
        name, optional, scope = self.named(element), self.optional(element), self.scope(element, scope)
        halves = [element.one(part) for part in ("exponent", "mantissa")]
        if any(halves):
            if kind != "decimal":
                raise self.refuse(element, "has an exponent or mantissa, and is no decimal", name)
            if any(element.all(o) for o in OPERATORS):
                raise self.refuse(element, "has an operator beside those of its exponent and mantissa", name)
            exponent = self.part(element, halves[0], "int32", optional, scope)
            mantissa = self.part(element, halves[1], "int64", False, scope)
            return Field(name, self.tag(element), kind, optional, parts=(exponent, mantissa))
        operator, initial, key = self.operator(element, kind, optional)
        return Field(
            name, self.tag(element), kind, optional, operator, initial, self.slot(scope, element, key or (name,))
        )

    def part(self, of: Element, element: Element | None, kind: Kind, optional: bool, scope: _Scope) -> Field:
        part, name = "exponent" if kind == "int32" else "mantissa", of.attributes["name"]
        operator, initial, key = _NOTHING if element is None else self.operator(element, kind, optional)
        slot = self.slot(scope, element or of, key or (name, part))
        return Field(f"{name} {part}", None, kind, optional, operator, initial, slot)

    def slot(self, scope: _Scope, element: Element, key: tuple[str, ...]) -> int:
        """The place of the previous value: by dictionary, what the dictionary is of, namespace and key."""
        operators = [c for c in element.children if c.name in OPERATORS]
        dictionary = operators[0].attributes.get("dictionary", scope.dictionary) if operators else scope.dictionary
        of = {"template": scope.template, "type": scope.type}.get(dictionary, "")
        namespace = operators[0].attributes.get("ns", scope.namespace) if operators else scope.namespace
        return self.slots.setdefault((dictionary, of, namespace, *key), len(self.slots))

    def operator(self, element: Element, kind: Kind, optional: bool) -> _Said:
        """Operator, initial value and key of a field."""
        known = {*OPERATORS, "typeRef", *(("exponent", "mantissa") if kind == "decimal" else ())}
        if strange := [c for c in element.children if c.name not in known]:
            raise self.refuse(strange[0], str(unknown("operator", strange[0].name, OPERATORS)), strange[0].name)
        found = [c for c in element.children if c.name in OPERATORS]
        if not found:
            return "none", None, None
        if len(found) > 1:
            raise self.refuse(found[1], "is a second operator of one field (static error S1)", found[1].name)
        of, name = found[0], found[0].name
        if (name == "increment" and kind not in INTEGERS) or (
            name == "tail" and kind not in ("ascii", "unicode", "byteVector")
        ):
            raise self.refuse(of, f"is no operator of a field of type {kind} (static error S2)", name)
        value = of.attributes.get("value")
        initial = None if value is None else self.value(of, kind, value)
        if initial is None and (name == "constant" or (name == "default" and not optional)):
            raise self.refuse(of, "has no value (static errors S4, S5)", name)
        key = of.attributes.get("key")
        operator: Operator = name  # type: ignore[assignment]
        return operator, initial, None if key is None else (key,)

    def value(self, element: Element, kind: Kind, text: str) -> Any:
        """The value that the text of a template says (static error S3, D11 of the standard)."""
        if kind in INTEGERS:
            number = self.whole(element, text)
            least, most = INTEGERS[kind]
            if not least <= number <= most:
                raise self.refuse(element, f"has a value outside of {kind}, {least} to {most}", text)
            return number
        if kind == "decimal":
            found = _NUMBER.fullmatch(text.strip())
            digits = (found[2] + (found[3] or "")) if found else ""
            if found is None or not digits or len(digits) > 100:
                raise self.refuse(element, "has a value that is no decimal (static error S3)", text)
            mantissa, exponent = int(found[1] + digits), -len(found[3] or "")
            while mantissa and mantissa % 10 == 0:  # normalised, as the standard says
                mantissa, exponent = mantissa // 10, exponent + 1
            if not (-63 <= exponent <= 63 and INTEGERS["int64"][0] <= mantissa <= INTEGERS["int64"][1]):
                raise self.refuse(element, "has a value outside of decimal (errors R1, D2)", text)
            return mantissa, exponent if mantissa else 0
        if kind == "byteVector":
            try:
                return bytes.fromhex(text)
            except ValueError:
                raise self.refuse(
                    element, "has a value that is not written in hexadecimal digits (error D11)", text
                ) from None
        if kind == "ascii" and not text.isascii():
            raise self.refuse(element, "has a value with characters outside of ASCII", text)
        return text.encode()

    def named(self, element: Element) -> str:
        if not (name := element.attributes.get("name", "")):
            raise self.refuse(element, "has no name")
        return name

    def whole(self, element: Element, text: str) -> int:
        if not re.fullmatch(r"[+-]?[0-9]{1,20}", text.strip()):
            raise self.refuse(element, "has a value that is no whole number (static error S3)", text)
        return int(text)

    def tag(self, element: Element) -> int | None:
        text = element.attributes.get("id", "")
        return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None

    def optional(self, element: Element) -> bool:
        presence = element.attributes.get("presence", "mandatory")
        if presence not in ("mandatory", "optional"):
            raise self.refuse(element, "has a presence that is neither mandatory nor optional", presence)
        return presence == "optional"

    def flag(self, element: Element, name: str) -> bool:
        given = element.attributes.get(name, "no").lower()
        if given not in ("yes", "y", "true", "1", "no", "n", "false", "0"):
            raise self.refuse(element, f"has {name} that is neither yes nor no", given)
        return given in ("yes", "y", "true", "1")
