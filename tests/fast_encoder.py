"""FAST 1.1 written from templates given as plain records: the other direction of `lake.landing.fast`, sharing nothing with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from xml.sax.saxutils import quoteattr

NOTHING = object()  # of a field that has not been written yet
RANGES = {
    "uInt32": (0, 2**32 - 1),
    "uInt64": (0, 2**64 - 1),
    "int32": (-(2**31), 2**31 - 1),
    "int64": (-(2**63), 2**63 - 1),
}


@dataclass(frozen=True)
class F:
    """A field; of a group or a sequence with what is `inside`, of a decimal with operators of its own the two `parts`."""

    name: str
    kind: str
    id: int | None = None
    optional: bool = False
    operator: str = "none"
    initial: Any = None
    inside: tuple[F, ...] = ()
    parts: tuple[F, ...] = ()

    @property
    def has_bit(self) -> bool:
        if self.kind == "group":
            return self.optional
        if self.kind == "sequence":
            return self.length.has_bit
        if self.parts:
            return any(p.has_bit for p in self.parts)
        return self.operator in ("copy", "default", "increment", "tail") or (
            self.operator == "constant" and self.optional
        )

    @property
    def length(self) -> F:
        return F(f"{self.name}#", "uInt32", None, self.optional, self.operator, self.initial)

    def xml(self) -> str:
        given = f' name={quoteattr(self.name)} presence="{"optional" if self.optional else "mandatory"}"'
        tag = "" if self.id is None else f' id="{self.id}"'
        if self.kind == "sequence":
            length = f"<length name={quoteattr(self.name + '#')}{tag}>{self._operator()}</length>"
            return f"<sequence{given}>{length}{_all(self.inside)}</sequence>"
        if self.kind == "group":
            return f"<group{given}>{_all(self.inside)}</group>"
        parts = "".join(
            f"<{n}>{p._operator()}</{n}>" for n, p in zip(("exponent", "mantissa"), self.parts, strict=False)
        )
        name = {"ascii": "string", "unicode": "string"}.get(self.kind, self.kind)
        charset = ' charset="unicode"' if self.kind == "unicode" else ""
        return f"<{name}{given}{tag}{charset}>{parts or self._operator()}</{name}>"

    def _operator(self) -> str:
        if self.operator == "none":
            return ""
        if self.initial is None:
            return f"<{self.operator}/>"
        return f"<{self.operator} value={quoteattr(self._text())}/>"

    def _text(self) -> str:
        if self.kind == "decimal":
            return f"{self.initial[0]}{'0' * self.initial[1]}" if self.initial[1] >= 0 else _point(*self.initial)
        return (
            str(self.initial)
            if self.kind in RANGES
            else self.initial.hex()
            if self.kind == "byteVector"
            else self.initial.decode()
        )


def _point(mantissa: int, exponent: int) -> str:
    digits = str(abs(mantissa)).rjust(1 - exponent, "0")
    return f"{'-' * (mantissa < 0)}{digits[:exponent]}.{digits[exponent:]}"


def _all(fields: tuple[F, ...]) -> str:
    return "".join(f.xml() for f in fields)


def templates_xml(*templates: tuple[str, int, tuple[F, ...]]) -> str:
    return (
        "<templates>"
        + "".join(f'<template name="{n}" id="{i}">{_all(f)}</template>' for n, i, f in templates)
        + "</templates>"
    )


def integer(value: int, signed: bool, nullable: bool = False) -> bytes:
    if nullable and value >= 0:
        value += 1
    out = [value & 0x7F | 0x80]
    value >>= 7
    while (value not in (0, -1) or (out[-1] >> 6 & 1) != (value < 0)) if signed else value:
        out.append(value & 0x7F)
        value >>= 7
    return bytes(out[::-1])


def ascii_text(value: bytes, nullable: bool) -> bytes:
    if value.strip(b"\0") == b"":
        return b"\0" * (len(value) + nullable) + b"\x80"
    return value[:-1] + bytes([value[-1] | 0x80])


def bits(given: list[int]) -> bytes:
    given = given + [0] * (-len(given) % 7) or [0] * 7
    packed = [int("".join(map(str, given[i : i + 7])), 2) for i in range(0, len(given), 7)]
    while len(packed) > 1 and not packed[-1]:
        packed.pop()
    return bytes([*packed[:-1], packed[-1] | 0x80])


class Encoder:
    def __init__(self) -> None:
        self.before: dict[str, Any] = {}

    def message(self, template: int, fields: tuple[F, ...], values: dict[str, Any]) -> bytes:
        given, body = [1], integer(template, False)
        return self._segment(fields, values, given, body)

    def _segment(self, fields: tuple[F, ...], values: dict[str, Any], given: list[int], body: bytes) -> bytes:
        for field in fields:
            body += self._written(field, values.get(field.name), given)
        return bits(given) + body

    def _written(self, field: F, value: Any, given: list[int]) -> bytes:
        if field.kind == "group":
            if field.optional:
                given.append(int(value is not None))
            return b"" if value is None else self._inside(field, value)
        if field.kind == "sequence":
            head = self._scalar(field.length, None if value is None else len(value), given)
            return head + b"".join(self._inside(field, element) for element in value or ())
        if field.parts:
            exponent = self._scalar(field.parts[0], None if value is None else value[1], given)
            return exponent if value is None else exponent + self._scalar(field.parts[1], value[0], given)
        return self._scalar(field, value, given)

    def _inside(self, field: F, values: dict[str, Any]) -> bytes:
        if any(f.has_bit for f in field.inside):
            return self._segment(field.inside, values, [], b"")
        return b"".join(self._written(f, values.get(f.name), []) for f in field.inside)

    def _scalar(self, field: F, value: Any, given: list[int]) -> bytes:
        before = self.before.get(field.name, NOTHING)
        if field.operator == "none":
            return plain(field.kind, value, field.optional)
        if field.operator == "constant":
            if field.optional:
                given.append(int(value is not None))
            return b""
        if field.operator == "delta":
            return self._delta(field, value, before)
        if field.operator == "default":
            given.append(int(value != field.initial))
            return plain(field.kind, value, field.optional) if given[-1] else b""
        self.before[field.name] = value
        implied = field.initial if before is NOTHING else before
        if field.operator == "increment" and before not in (NOTHING, None):
            least, most = RANGES[field.kind]
            implied = least if before == most else before + 1
        # a mandatory field has nothing to be left out by where nothing is implied
        given.append(int(value != implied))
        if not given[-1]:
            return b""
        if field.operator == "tail" and value is not None:
            base = before if before not in (NOTHING, None) else field.initial or b""
            assert len(value) >= len(base), "a tail cannot make a text shorter"
            same = 0
            while same < len(base) and base[same] == value[same] and len(value) == len(base):
                same += 1
            return plain("ascii" if field.kind == "ascii" else "byteVector", value[same:], field.optional)
        return plain(field.kind, value, field.optional)

    def _delta(self, field: F, value: Any, before: Any) -> bytes:
        if value is None:
            return b"\x80"
        self.before[field.name] = value
        base = before if before is not NOTHING else field.initial
        if field.kind in RANGES:
            return integer(value - (base or 0), True, field.optional)
        if field.kind == "decimal":
            base = base or (0, 0)
            return integer(value[1] - base[1], True, field.optional) + integer(value[0] - base[0], True)
        base = base or b""
        front = 0
        while front < min(len(base), len(value)) and base[front] == value[front]:
            front += 1
        back = 0
        while back < min(len(base), len(value)) and base[-1 - back] == value[-1 - back]:
            back += 1
        off, added = (len(base) - front, value[front:])
        if back > front:
            off, added = -(len(base) - back) - 1, value[: len(value) - back]
        kind = "ascii" if field.kind == "ascii" else "byteVector"
        return integer(off, True, field.optional) + plain(kind, added, False)


def plain(kind: str, value: Any, nullable: bool) -> bytes:
    if value is None:
        return b"\x80"
    if kind in RANGES:
        return integer(value, kind[0] == "i", nullable)
    if kind == "decimal":
        return integer(value[1], True, nullable) + integer(value[0], True)
    if kind == "ascii":
        return ascii_text(value, nullable)
    return integer(len(value), False, nullable) + value
