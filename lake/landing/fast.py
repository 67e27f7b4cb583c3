"""Messages of FAST 1.1 decoded by their templates: presence maps, stop-bit fields, and the values that operators leave out.

A value that cannot be what the standard has is a fault with the byte, the template and the field, never a guess. Overlong presence maps are
passed over. Source: FAST Specification 1.1, sections 6.3 (operators) and 10 (transfer encoding); errors are named as there.
"""

from __future__ import annotations

from typing import Any

from lake.errors import BadInput
from lake.landing.fast_templates import INTEGERS, Field, Group, Template, Templates

MOST_TEXT = 1 << 20  # bytes of a text or a byte vector
MOST_ELEMENTS = 10_000  # of the sequences of a message
_MOST_DIGITS = 10  # bytes of an integer: those of 64 bits with the sign
_MOST_MAP = 64  # bytes of a presence map
_UNDEFINED, _EMPTY = object(), None
_INT32 = INTEGERS["int32"]
# values of a message, in the order of the template; of a sequence a list of its elements, each such a list
Values = list[tuple[Field | Group, Any]]


CHECK = "Check that the templates are those of the recording, and its framing."


class Ends(Exception):
    """The bytes end within a message."""


class _Wrong(Exception):
    """What is wrong, in words."""


class Decoder:
    """The state of a stream: what was read last of each field, and the template in use."""

    def __init__(self, templates: Templates, name: str) -> None:
        self._templates, self._name = templates, name
        self._data, self._at, self._end = b"", 0, 0
        self._map, self._bits = 0, 0
        self._template: Template | None = None
        self._field = ""
        self.reset()

    def reset(self) -> None:
        """All previous values are undefined."""
        self._state: list[Any] = [_UNDEFINED] * self._templates.n_slots
        self._kinds = [""] * self._templates.n_slots

    def message(self, data: bytes, at: int, end: int) -> tuple[Template, Values, int]:
        """Template and values of the message that begins at a byte, and the byte after it.

        Raises `Ends` where the bytes end within it, and `BadInput` with the byte, the template and the field where it is wrong.
        """
        self._data, self._at, self._end = data, at, end
        self._field, self._elements = "template id", 0
        try:
            self._read_map()
            if self._bit():
                number = self._integer(False, False)
                self._template = self._templates.by_id.get(number)
                if self._template is None:
                    known = ", ".join(map(str, sorted(self._templates.by_id)[:10]))
                    raise _Wrong(f"template {number} is not among the templates (error D9), which have {known}")
            if self._template is None:
                raise _Wrong("the first message names no template (error D5)")
            if self._template.resets:
                self.reset()
            out: Values = []
            self._fields(self._template.inside, out)
            self._no_bits_left("presence map")
            return self._template, out, self._at
        except _Wrong as wrong:
            of = f" of template {self._template.name} ({self._template.id})" if self._template else ""
            raise BadInput(
                f"{self._name}, message at byte {at:,}: {self._field}{of}, byte {self._at:,}: {wrong}. {CHECK}"
            ) from None

    def _fields(self, inside: tuple[Field | Group, ...], out: Values) -> None:
        for item in inside:
            self._field = item.name
            if isinstance(item, Field):
                if (value := self._value(item)) is not None:
                    out.append((item, value))
            elif item.length is not None:
                self._sequence(item, item.length, out)
            elif not item.optional or self._bit():
                self._part(item, out)

    def _sequence(self, item: Group, length: Field, out: Values) -> None:
        if (count := self._value(length)) is None:
            return
        self._elements += count
        if self._elements > MOST_ELEMENTS:
            raise _Wrong(f"{self._elements:,} elements of sequences in a message; at most {MOST_ELEMENTS:,} are read")
        elements: list[Values] = []
        for _ in range(count):
            element: Values = []
            self._part(item, element)
            elements.append(element)
        out.append((item, elements))

    def _part(self, item: Group, out: Values) -> None:
        """A group or an element, with its own presence map where it has one."""
        if not item.has_map:
            self._fields(item.inside, out)
            return
        outer = self._map, self._bits
        self._read_map()
        self._fields(item.inside, out)
        self._no_bits_left(item.name)
        self._map, self._bits = outer

    # presence maps

    def _read_map(self) -> None:
        value, start = 0, self._at
        while True:
            byte = self._byte()
            value = value << 7 | (byte & 0x7F)
            if byte & 0x80:
                break
            if self._at - start >= _MOST_MAP:
                raise _Wrong(f"a presence map of more than {_MOST_MAP} bytes")
        self._map, self._bits = value, 7 * (self._at - start)

    def _bit(self) -> int:
        self._bits -= 1
        return (self._map >> self._bits) & 1 if self._bits >= 0 else 0

    def _no_bits_left(self, name: str) -> None:
        if self._bits > 0 and self._map & ((1 << self._bits) - 1):
            self._field = name
            raise _Wrong("its presence map has bits for more fields than the template has (error R8)")

    # what stands in the bytes

    def _byte(self) -> int:
        if self._at >= self._end:
            raise Ends
        self._at += 1
        return self._data[self._at - 1]

    def _integer(self, signed: bool, nullable: bool) -> Any:
        start = self._at
        byte = self._byte()
        value = byte & 0x7F
        if signed and value & 0x40:
            value -= 0x80
        while not byte & 0x80:
            if self._at - start >= _MOST_DIGITS:
                raise _Wrong("an integer of more than 64 bits (errors D2, R6)")
            byte = self._byte()
            value = value << 7 | (byte & 0x7F)
        if nullable:
            if value == 0:
                return None
            if value > 0:
                value -= 1
        return value

    def _ascii(self, nullable: bool) -> bytes | None:
        start = self._at
        while not self._byte() & 0x80:
            if self._at - start >= MOST_TEXT:
                raise _Wrong(f"a text of more than {MOST_TEXT:,} bytes")
        text = self._data[start : self._at - 1] + bytes([self._data[self._at - 1] & 0x7F])
        if text[0] == 0:  # nothing, or a zero before what would be it
            if any(text):
                raise _Wrong("a text that begins with a byte of zero (error R9)")
            left = len(text) - 1 - nullable
            return None if left < 0 else text[:left]
        return text

    def _vector(self, nullable: bool) -> bytes | None:
        length = self._integer(False, nullable)
        if length is None:
            return None
        if length > MOST_TEXT:
            raise _Wrong(f"a byte vector of {length:,} bytes; at most {MOST_TEXT:,} are read")
        if length > self._end - self._at:
            raise Ends
        self._at += length
        return self._data[self._at - length : self._at]

    def _plain(self, kind: str, nullable: bool) -> Any:
        if kind in INTEGERS:
            value = self._integer(kind[0] == "i", nullable)
            return value if value is None else self._within(kind, value)
        if kind == "ascii":
            return self._ascii(nullable)
        if kind != "decimal":
            return self._vector(nullable)
        exponent = self._integer(True, nullable)
        return None if exponent is None else self._decimal(self._integer(True, False), exponent)

    def _within(self, kind: str, value: int) -> int:
        least, most = INTEGERS[kind]
        if not least <= value <= most:
            raise _Wrong(f"{value} is no {kind} (error D2)")
        return value

    def _decimal(self, mantissa: int, exponent: int) -> tuple[int, int]:
        if not -63 <= exponent <= 63:
            raise _Wrong(f"an exponent of {exponent}; decimals have -63 to 63 (error R1)")
        return self._within("int64", mantissa), exponent

    # operators

    def _value(self, field: Field) -> Any:
        """The value of a field, None where it is absent."""
        if field.parts:
            exponent = self._operated(field.parts[0])
            return None if exponent is None else self._decimal(self._operated(field.parts[1]), exponent)
        value = self._operated(field)
        if field.kind == "unicode" and value is not None:
            try:
                value.decode()
            except UnicodeDecodeError:
                raise _Wrong("a text that is no UTF-8 (error R2)") from None
        return value

    def _operated(self, field: Field) -> Any:
        operator = field.operator
        if operator == "none":
            return self._plain(field.kind, field.optional)
        if operator == "constant":
            return field.initial if not field.optional or self._bit() else None
        if operator == "default":
            return self._plain(field.kind, field.optional) if self._bit() else field.initial
        if operator == "delta":
            return self._delta(field)
        if self._bit():
            value = self._plain(
                "byteVector" if operator == "tail" and field.kind == "unicode" else field.kind, field.optional
            )
            if value is not None and operator == "tail":
                base = self._previous(field)
                if base is _UNDEFINED or base is _EMPTY:
                    base = b"" if field.initial is None else field.initial
                value = base[: max(len(base) - len(value), 0)] + value
        else:
            value = self._previous(field)
            if value is _UNDEFINED:
                value = field.initial
                if value is None and not field.optional:
                    raise _Wrong("it is left out, without a value before it or an initial one (error D5)")
            elif value is _EMPTY:
                if not field.optional:
                    raise _Wrong("it is left out, where the value before it is absent (error D6)")
            elif operator == "increment":
                least, most = INTEGERS[field.kind]
                value = least if value == most else value + 1
        return self._keep(field, value)

    def _previous(self, field: Field) -> Any:
        value = self._state[field.slot]
        if value is not _UNDEFINED and value is not _EMPTY and self._kinds[field.slot] != field.kind:
            raise _Wrong(f"the value before it is of type {self._kinds[field.slot]}, and it is {field.kind} (error D4)")
        return value

    def _keep(self, field: Field, value: Any) -> Any:
        self._state[field.slot], self._kinds[field.slot] = value, field.kind
        return value

    def _delta(self, field: Field) -> Any:
        kind, optional = field.kind, field.optional
        number = self._integer(True, optional)  # of a text the length taken off, of a decimal the exponent
        if number is None:
            return None  # the previous value stays as it was
        base = self._previous(field)
        if base is _EMPTY:
            raise _Wrong("it is a difference, where the value before it is absent (error D6)")
        if base is _UNDEFINED:
            base = field.initial
            if base is None:
                base = 0 if kind in INTEGERS else (0, 0) if kind == "decimal" else b""
        if kind in INTEGERS:
            return self._keep(field, self._within(kind, base + number))
        if kind == "decimal":
            return self._keep(field, self._decimal(base[0] + self._integer(True, False), base[1] + number))
        if not _INT32[0] <= number <= _INT32[1]:
            raise _Wrong(f"{number} is no int32 (error D7)")
        added = self._ascii(False) if kind == "ascii" else self._vector(False)
        taken = number if number >= 0 else -number - 1
        if added is None or taken > len(base):
            raise _Wrong(f"{taken} bytes are taken off a text of {len(base)} (error D7)")
        if taken > MOST_TEXT or len(base) + len(added) > MOST_TEXT:
            raise _Wrong(f"a text of more than {MOST_TEXT:,} bytes")
        return self._keep(field, base[: len(base) - taken] + added if number >= 0 else added + base[taken:])
