"""FAST 1.1: the worked examples of the specification, generated messages written by another encoder, each fault with its place."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import pytest
from fast_encoder import RANGES, Encoder, F, templates_xml
from hypothesis import given, settings
from hypothesis import strategies as st

from lake.errors import BadInput
from lake.landing.fast import Decoder, Ends, Values
from lake.landing.fast_templates import Field, Templates, read_templates


def loaded(folder: Path, xml: str) -> Templates:
    path = folder / "templates.xml"
    path.write_text(xml, encoding="utf-8")
    return read_templates(path)


def one_field(folder: Path, field: str) -> Decoder:
    return Decoder(loaded(folder, f'<templates><template name="T" id="1">{field}</template></templates>'), "a.fast")


def plain(values: Values) -> dict[str, Any]:
    """Values by name; a group is among its parent's."""
    return {i.name: v if isinstance(i, Field) else [plain(e) for e in v] for i, v in values}


def read(decoder: Decoder, *messages: str) -> list[Any]:
    """What the only field has in messages of template 1, each given as bits of the presence map after the first and body in hexadecimal."""
    out = []
    for message in messages:
        bits, _, body = message.partition(":")
        head = int(("1" + bits).ljust(7, "0"), 2) | 0x80
        data = bytes([head, 0x81]) + bytes.fromhex(body)
        _, values, end = decoder.message(data, 0, len(data))
        assert end == len(data)
        out.append(values[0][1] if values else None)
    return out


@pytest.mark.parametrize(
    ("element", "optional", "body", "value"),
    [  # appendix 3.1.1 to 3.1.5, and the tables of 10.6; two examples as the erratum of 14 November 2007 has them
        ("int32", True, "3945a4", 942755),
        ("int32", False, "3945a3", 942755),
        ("int32", True, "463add", -942755),
        ("int32", False, "7c1b1b9d", -7942755),
        ("int32", False, "004081", 8193),
        ("int32", False, "7f3fff", -8193),
        ("int32", False, "00c0", 64),
        ("uInt32", True, "80", None),
        ("uInt32", True, "81", 0),
        ("uInt32", True, "82", 1),
        ("uInt32", True, "3945a4", 942755),
        ("uInt32", False, "80", 0),
        ("uInt32", False, "81", 1),
        ("uInt32", False, "3945a3", 942755),
        ("uInt32", True, "1000000080", 4294967295),
        ("string", True, "80", None),
        ("string", True, "4142c3", b"ABC"),
        ("string", True, "0080", b""),
        ("string", True, "000080", b"\0"),
        ("string", False, "4142c3", b"ABC"),
        ("string", False, "80", b""),
        ("string", False, "0080", b"\0"),
        ("byteVector", True, "80", None),
        ("byteVector", True, "84414243", b"ABC"),
        ("byteVector", True, "81", b""),
        ("byteVector", False, "83414243", b"ABC"),
        ("byteVector", False, "80", b""),
        ("decimal", False, "823945a3", (942755, 2)),
        ("decimal", False, "81043f34de", (9427550, 1)),
        ("decimal", True, "833945a3", (942755, 2)),
        ("decimal", False, "fe3945a3", (942755, -2)),
        ("decimal", True, "fe463add", (-942755, -2)),
        ("decimal", True, "fd7f3fff", (-8193, -3)),
    ],
)
def test_worked_examples_of_types(tmp_path: Path, element: str, optional: bool, body: str, value: object) -> None:
    presence = "optional" if optional else "mandatory"
    decoder = one_field(tmp_path, f'<{element} name="Value" id="1" presence="{presence}"/>')
    assert read(decoder, f":{body}") == [value]


@pytest.mark.parametrize(
    ("field", "messages", "values"),
    [  # appendix 3.1.5 (6, 7), 3.2.3 to 3.2.5
        ('<decimal name="V" presence="optional"><copy/></decimal>', ["1:fe3945a3", "0:"], [(942755, -2)] * 2),
        (
            '<decimal name="V" presence="optional"><exponent><copy/></exponent><mantissa><delta/></mantissa></decimal>',
            ["1:fe3945a3", "0:81"],
            [(942755, -2), (942756, -2)],
        ),
        ('<string name="V"><copy/></string>', ["1:434dc5", "0:", "1:4953c5"], [b"CME", b"CME", b"ISE"]),
        ('<string name="V" presence="optional"><copy/></string>', ["0:", "0:", "1:434dc5"], [None, None, b"CME"]),
        ('<uInt32 name="V"><increment value="1"/></uInt32>', ["0:", "0:", "1:84"], [1, 2, 4]),
        ('<int32 name="V"><delta/></int32>', [":3945a3", ":fb", ":fb", ":80"], [942755, 942750, 942745, 942745]),
        (
            '<decimal name="V"><delta/></decimal>',
            [":fe3945a3", ":80fc", ":80fb"],
            [(942755, -2), (942751, -2), (942746, -2)],
        ),
        (
            '<decimal name="V"><delta value="12000"/></decimal>',
            [":fe09ae", ":8085", ":8085"],
            [(1210, 1), (1215, 1), (1220, 1)],
        ),
        (
            '<string name="V"><delta/></string>',
            [":80474548b6", ":824db6", ":fd45d3", ":ff52d3"],
            [b"GEH6", b"GEM6", b"ESM6", b"RSESM6"],
        ),
    ],
)
def test_worked_examples_of_operators(tmp_path: Path, field: str, messages: list[str], values: list[object]) -> None:
    assert read(one_field(tmp_path, field), *messages) == values


# generated templates

TEXTS = {
    "ascii": st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=6).map(str.encode),
    "unicode": st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=4).map(str.encode),
    "byteVector": st.binary(max_size=6),
}
VALUES: dict[str, st.SearchStrategy[Any]] = {
    **{k: st.integers(*r) | st.sampled_from([max(r[0], -65), 63, 64, r[0], r[1]]) for k, r in RANGES.items()},
    **TEXTS,
    "decimal": st.tuples(st.integers(-(2**63), 2**63 - 1), st.integers(-63, 63)),
}
# a tail leaves texts as long as they are
OF_FOUR = {
    "ascii": st.text("ABC", min_size=4, max_size=4).map(str.encode),
    "unicode": st.text("ABC", min_size=4, max_size=4).map(str.encode),
}
OF_FOUR["byteVector"] = st.binary(min_size=4, max_size=4)


def values_of(field: F) -> st.SearchStrategy[Any]:
    if field.kind in ("group", "sequence"):
        inside = st.fixed_dictionaries({f.name: values_of(f) for f in field.inside}).map(
            lambda d: {k: v for k, v in d.items() if v is not None}
        )
        made: st.SearchStrategy[Any] = inside if field.kind == "group" else st.lists(inside, max_size=3)
    elif field.operator == "constant":
        made = st.just(field.initial)
    else:
        made = OF_FOUR[field.kind] if field.operator == "tail" else VALUES[field.kind]
        if field.initial is not None:
            made = made | st.just(field.initial)
    return st.none() | made if field.optional else made


@st.composite
def fields(draw: st.DrawFn, depth: int = 2) -> tuple[F, ...]:
    out = []
    for _ in range(draw(st.integers(1, 4))):
        name = draw(st.uuids()).hex
        kind = draw(st.sampled_from([*VALUES, *(("group", "sequence") if depth else ())]))
        optional = draw(st.booleans())
        if kind == "group":
            out.append(F(name, kind, None, optional, inside=draw(fields(depth - 1))))
            continue
        if kind == "sequence":
            operator = draw(st.sampled_from(["none", "copy", "delta", "increment"]))
            out.append(F(name, kind, None, optional, operator, inside=draw(fields(depth - 1))))
            continue
        if kind == "decimal" and draw(st.booleans()):
            exponent = draw(st.sampled_from(["none", "copy", "delta", "default"]))
            initial = draw(st.integers(-63, 63)) if exponent == "default" else None
            first = F(name + "e", "int32", None, optional, exponent, initial)
            second = F(name + "m", "int64", None, False, draw(st.sampled_from(["none", "copy", "delta", "increment"])))
            out.append(F(name, kind, None, optional, parts=(first, second)))
            continue
        operators = ["none", "constant", "default", "copy", "delta"]
        operators += ["increment"] if kind in RANGES else ["tail"] if kind in TEXTS else []
        operator = draw(st.sampled_from(operators))
        initial = None
        if (
            operator == "constant"
            or (operator == "default" and not optional)
            or (operator != "none" and draw(st.booleans()))
        ):
            initial = draw(OF_FOUR[kind] if operator == "tail" else VALUES[kind])
            if kind == "decimal":
                initial = (1234567, draw(st.integers(-9, 9)))
        out.append(F(name, kind, None, optional, operator, initial))
    return tuple(out)


def flat(fields: tuple[F, ...], values: dict[str, Any]) -> dict[str, Any]:
    """Values as the decoder gives them: those of groups among their parent's, absent ones left out."""
    out: dict[str, Any] = {}
    for field in fields:
        value = values.get(field.name)
        if value is None:
            continue
        if field.kind == "group":
            out |= flat(field.inside, value)
        else:
            out[field.name] = [flat(field.inside, e) for e in value] if field.kind == "sequence" else value
    return out


@st.composite
def streams(draw: st.DrawFn) -> tuple[list[tuple[F, ...]], list[tuple[int, dict[str, Any]]]]:
    templates = draw(st.lists(fields(), min_size=1, max_size=2))
    messages = []
    for _ in range(draw(st.integers(1, 4))):
        which = draw(st.integers(0, len(templates) - 1))
        messages.append((which, draw(st.fixed_dictionaries({f.name: values_of(f) for f in templates[which]}))))
    return templates, messages


@given(streams(), st.data())
def test_what_an_encoder_writes_is_read(
    tmp_path_factory: pytest.TempPathFactory, stream: Any, data: st.DataObject
) -> None:
    templates, messages = stream
    read = loaded(
        tmp_path_factory.getbasetemp(), templates_xml(*((f"T{i}", i + 1, f) for i, f in enumerate(templates)))
    )
    encoder, decoder = Encoder(), Decoder(read, "a.fast")
    written = [encoder.message(which + 1, templates[which], values) for which, values in messages]
    whole, at = b"".join(written), 0
    for (which, values), part in zip(messages, written, strict=True):
        template, found, end = decoder.message(whole, at, len(whole))
        assert (template.id, end - at) == (which + 1, len(part))
        assert plain(found) == flat(templates[which], values)
        at = end
    # a message that is cut ends, wherever; it is never read as another
    cut = data.draw(st.integers(0, len(written[0]) - 1))
    with pytest.raises(Ends):
        Decoder(read, "a.fast").message(written[0], 0, cut)


@pytest.mark.parametrize(
    ("inside", "said"),
    [
        (
            '<uInt32 name="V" presense="optional"/>',
            "line 1, <uInt32>: Unknown attribute 'presense'. Nearest valid: presence",
        ),
        (
            '<uInt32 name="V"><delta valeu="1"/></uInt32>',
            "line 1, <delta>: Unknown attribute 'valeu'. Nearest valid: value",
        ),
        ("<uInt23 name='V'/>", "line 1, <uInt23>: Unknown field 'uInt23'. Nearest valid: "),
        (
            "<templateRef/>",
            "line 1, <templateRef>: refers to the template that the message names (a dynamic reference)",
        ),
        ('<templateRef name="U"/>', "line 1, <templateRef>: Unknown template 'U'. Nearest valid: T"),
        ('<templateRef name="T"/>', "line 1, <templateRef>: refers to a template that it stands in"),
        ('<uInt32 name="V"><copy/><delta/></uInt32>', "line 1, <delta>: is a second operator of one field"),
        ('<uInt32 name="V"><tail/></uInt32>', "line 1, <tail>: is no operator of a field of type uInt32"),
        ('<string name="V"><increment/></string>', "line 1, <increment>: is no operator of a field of type ascii"),
        ('<uInt32 name="V"><copyy/></uInt32>', "line 1, <copyy>: Unknown operator 'copyy'. Nearest valid: copy"),
        ('<uInt32 name="V"><constant/></uInt32>', "line 1, <constant>: has no value"),
        (
            '<uInt32 name="V"><copy value="-1"/></uInt32>',
            "line 1, <copy>: has a value outside of uInt32, 0 to 4294967295",
        ),
        ('<uInt32 name="V"><copy value="1.5"/></uInt32>', "line 1, <copy>: has a value that is no whole number"),
        ('<decimal name="V"><copy value="1e3"/></decimal>', "line 1, <copy>: has a value that is no decimal"),
        (
            '<byteVector name="V"><copy value="xy"/></byteVector>',
            "line 1, <copy>: has a value that is not written in hexadecimal",
        ),
        ('<string name="V" charset="latin"/>', "line 1, <string>: has a charset that is neither ascii nor unicode"),
        (
            '<uInt32 name="V" presence="maybe"/>',
            "line 1, <uInt32>: has a presence that is neither mandatory nor optional",
        ),
        ("<uInt32/>", "line 1, <uInt32>: has no name"),
        (
            '<decimal name="V"><copy/><exponent/></decimal>',
            "line 1, <decimal>: has an operator beside those of its exponent",
        ),
    ],
)
def test_a_template_that_is_not_as_the_standard_has_it_is_refused(tmp_path: Path, inside: str, said: str) -> None:
    with pytest.raises(BadInput) as error:
        one_field(tmp_path, inside)
    assert said in str(error.value)


def test_all_faults_of_templates_are_told_and_attributes_of_other_standards_are_passed_over(tmp_path: Path) -> None:
    faults = '<uInt32 name="A" presense="optional"/>\n<uInt32/>\n<string name="B" charset="latin"/>'
    with pytest.raises(BadInput) as error:
        one_field(tmp_path, faults)
    assert [i.pointer for i in error.value.issues] == ["line 1, <uInt32>", "line 2, <uInt32>", "line 3, <string>"]
    with pytest.raises(BadInput, match="has the id 1 that A has"):
        loaded(tmp_path, '<templates><template name="A" id="1"/><template name="B" id="1"/></templates>')
    spaces = 'xmlns="http://www.fixprotocol.org/ns/fast/td/1.1" xmlns:o="urn:other"'
    foreign = f'<templates {spaces}><template name="T" id="1" o:note="n"/></templates>'
    assert loaded(tmp_path, foreign).by_id.keys() == {1}


@given(st.binary(max_size=60))
@settings(max_examples=300)
def test_any_bytes_are_read_or_refused_in_words(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    field = '<string name="A"><tail/></string><decimal name="B" presence="optional"><delta/></decimal>'
    inside = f'{field}<sequence name="S"><uInt32 name="C"><copy/></uInt32><string name="U" charset="unicode"><delta/></string></sequence>'
    decoder, at = one_field(tmp_path_factory.getbasetemp(), inside), 0
    refused = None
    with contextlib.suppress(Ends):
        while at < len(data) and refused is None:
            try:
                _, _, after = decoder.message(data, at, len(data))
            except BadInput as error:
                refused = str(error)
            else:
                assert after > at
                at = after
    assert refused is None or "message at byte" in refused
