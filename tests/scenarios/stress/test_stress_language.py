"""The stress language: three forms of one document, and faults that point at their place."""

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lake.errors import BadInput
from scenarios.stress import forms, language
from scenarios.stress import model as m

EXAMPLE = (
    "equity[region=US] -20%; vol[equity] +10pt; rate[ccy=USD] +100bp parallel; "
    "rate[ccy=JPY] steepener(2Y:-10bp, 30Y:+40bp); fx[EURUSD] = 0.95; credit[rating=HY] x1.5; commodity[WTI] -30%"
)

numbers = st.one_of(
    st.integers(-500, 500).map(float),
    st.floats(-1e12, 1e12).filter(lambda x: x == 0 or abs(x) >= 1e-9),
)
positive = numbers.map(abs).filter(lambda x: x > 0)
units = st.sampled_from(["%", "bp", "pt", "points", "USD"])
visible = st.characters(categories=["L", "N", "P", "S", "Zs"], exclude_characters='"')
texts = st.text(visible, min_size=1, max_size=12).filter(lambda s: s.isprintable() and s == s.strip())
names = texts.filter(lambda s: s[0].isalnum())
values = st.one_of(
    st.sampled_from(["US", "EQ:A*", "BP.L", "a..b", "Health Care", "USD:10Y", "x1", "then"]),
    texts.filter(lambda s: s[0] not in "=+-@"),
)
tenors = st.sampled_from(["1D", "2W", "6M", "2Y", "10Y", "30Y", "2Y..10Y"])
filters = st.one_of(
    st.builds(
        m.FactorFilter,
        key=st.sampled_from(["is", "region", "sector", "x1", "ccy"]),
        values=st.lists(values, min_size=1, max_size=3).map(tuple),
        negate=st.booleans(),
    ),
    st.builds(m.FactorFilter, key=st.just("pillar"), values=st.lists(tenors, min_size=1, max_size=2).map(tuple)),
)


def selectors(classes: Any = tuple(m.CLASSES)) -> st.SearchStrategy[m.Selector]:
    return st.builds(m.Selector, risk_class=st.sampled_from(classes), where=st.lists(filters, max_size=3).map(tuple))


@st.composite
def curves(draw: Any) -> m.Curve:
    shape = draw(st.sampled_from(list(m.SHAPES)))
    pillars = ("1M", "2Y", "10Y", "30Y")
    amounts = sorted(set(draw(st.lists(numbers, min_size=4, max_size=4, unique=True))))
    if shape == "flattener":
        amounts = amounts[::-1]
    if shape == "twist":
        amounts = [-1.0, *amounts[1:-1], 2.0]
    knots = tuple(m.Knot(at=p, value=v) for p, v in zip(pillars, amounts, strict=False))
    common: dict[str, Any] = {"select": draw(selectors(("rate",))), "unit": draw(st.sampled_from(["bp", "pt", "%"]))}
    return m.Curve(shape=shape, knots=knots, then=draw(st.booleans()), **common)


@st.composite
def axes(draw: Any) -> m.Axis:
    first, increment = draw(st.integers(-30, 30)), draw(st.sampled_from([1, 5, 2.5]))
    last = first + increment * draw(st.integers(0, 2))
    return m.Axis(select=draw(selectors()), start=first, stop=last, increment=increment, unit=draw(units))


currency = st.sampled_from([None, "USD"])
steps = st.one_of(
    st.builds(m.Shift, then=st.booleans(), select=selectors(), value=numbers, unit=units),
    st.builds(m.Shift, select=selectors(("rate",)), value=numbers, unit=units, shape=st.just("parallel")),
    st.builds(m.Shift, select=selectors(("fx",)), value=numbers, unit=units, moving=currency),
    st.builds(m.Multiply, then=st.booleans(), select=selectors(), value=positive),
    st.builds(m.Assign, then=st.booleans(), select=selectors(), value=numbers, unit=st.one_of(st.just(""), units)),
    curves(),
    st.builds(m.Include, then=st.booleans(), name=names, label=st.one_of(st.none(), names), scale=numbers),
)
assertions = st.builds(
    m.Assertion,
    select=selectors(),
    comparison=st.sampled_from(m.COMPARISONS),
    value=numbers,
    unit=st.one_of(st.just(""), units),
)
grids = st.builds(m.Grid, then=st.booleans(), axes=st.lists(axes(), min_size=1, max_size=3).map(tuple))
bodies = st.tuples(steps, st.lists(st.one_of(steps, assertions), max_size=4), st.lists(grids, max_size=1)).map(
    lambda parts: (parts[0], *parts[1], *parts[2])
)
documents = st.one_of(
    bodies.map(lambda b: m.Document(scenarios=(m.Scenario(name=None, steps=b),))),
    st.lists(st.tuples(names, bodies), min_size=1, max_size=3, unique_by=lambda x: x[0]).map(
        lambda named: m.Document(scenarios=tuple(m.Scenario(name=n, steps=b) for n, b in named))
    ),
)
hard = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))


@hard
@given(documents)
def test_text_json_and_csv_read_back_what_was_written(document: m.Document) -> None:
    text = language.to_text(document)
    assert language.parse(text) == document
    assert language.to_text(language.parse(text)) == text
    assert forms.from_json(forms.to_json(document)) == document
    table = forms.to_csv(document)
    assert forms.from_csv(table) == document
    assert forms.to_csv(forms.from_csv(table)) == table


@hard
@given(documents)
def test_no_cell_of_a_csv_is_a_formula(document: m.Document) -> None:
    for _, row in forms._cells(forms.to_csv(document))[0]:
        for column, cell in row.items():
            assert cell[0] not in "=+@\t\r"
            assert cell[0] != "-" or column in ("value", "to")


@hard
@given(st.text(st.sampled_from('equityrax[]=;:,."%+-x09 \n#Y<>()|*?'), max_size=60))
def test_any_text_is_read_or_refused_at_a_place(text: str) -> None:
    caught: list[BadInput] = []
    try:
        language.parse(text)
    except BadInput as error:
        caught.append(error)
    assert all(e.issues[0].pointer.startswith("line ") for e in caught)


@given(numbers)
def test_numbers_are_written_without_exponent_and_read_to_the_bit(value: float) -> None:
    written = language.plain(value)
    assert "e" not in written.lower()
    assert Decimal(written) == Decimal(repr(value))
    assert float(written) == value


def test_the_example_is_its_own_canonical_text() -> None:
    document = language.parse(EXAMPLE)
    assert language.to_text(document) == EXAMPLE
    kinds = [s.step for s in document.scenarios[0].steps]
    assert kinds == ["shift", "shift", "shift", "curve", "set", "multiply", "shift"]
    data = json.loads(forms.to_json(document))
    assert data["scenarios"][0]["steps"][3]["knots"] == [{"at": "2Y", "value": -10.0}, {"at": "30Y", "value": 40.0}]


def test_layout_and_comments_are_free() -> None:
    free = """
    # two scenarios
    scenario "a":
        equity[region = US,
               sector != Energy|"Health Care"] -20 %   # a comment

        assert rate[USD:10Y] >= 0
    scenario "b": include "a" x-0.5
    then vol[equity] +5pt; grid( equity -10%..+10% step 10% )
    """
    assert language.to_text(language.parse(free)) == (
        'scenario "a": equity[region=US, sector!=Energy|"Health Care"] -20%; assert rate[USD:10Y] >= 0\n'
        'scenario "b": include "a" x-0.5; then vol[equity] +5pt; grid(equity -10%..+10% step 10%)'
    )


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("", "line 1, column 1", "expected a step"),
        ("equty -20%", "line 1, column 1", "Nearest valid: equity"),
        ("equity 20%", "line 1, column 8", "needs its sign"),
        ("equity -20", "line 1, column 11", "expected a unit"),
        ("equity -20pct", "line 1, column 11", "Nearest valid: pt"),
        ("equity[region=US -20%", "line 1, column 18", "expected ']'"),
        ("equity -20% vol +5pt", "line 1, column 13", "expected `;`"),
        ("equity -20%\nvol[", "line 2, column 5", "expected a value"),
        ("rate stepener(2Y:+1bp)", "line 1, column 6", "Nearest valid: steepener"),
        ("rate steepener(2Y:+10bp, 30Y:-5bp)", "line 1, column 1", "long end up"),
        ("rate flattener(2Y:+1bp, 30Y:+5bp)", "line 1, column 1", "long end down"),
        ("rate twist(2Y:+1bp, 30Y:+5bp)", "line 1, column 1", "opposite"),
        ("rate interpolated(10Y:+1bp, 2Y:+5bp)", "line 1, column 1", "short to long"),
        ("rate interpolated(2Y..5Y:+1bp, 10Y:+5bp)", "line 1, column 1", "bucket only"),
        ("rate bucket(2Y..10Y:+1bp, 5Y:+5bp)", "line 1, column 1", "short to long"),
        ("rate steepener(2Y:-1bp, 30Y:+1%)", "line 1, column 25", "same unit"),
        ("equity bucket(2Y:+1bp)", "line 1, column 1", "goes with rate only"),
        ("rate[pillar=10Y..2Y] +1bp", "line 1, column 6", "runs backwards"),
        ("rate[pillar=tenY] +1bp", "line 1, column 6", "is no pillar"),
        ("equity x0", "line 1, column 1", "greater than 0"),
        ("equity moving USD", "line 1, column 8", "unknown change 'moving'"),
        ("equity -1% moving USD", "line 1, column 1", "goes with fx only"),
        ("then assert equity > 1", "line 1, column 1", "leave `then` out"),
        ("assert equity = 1", "line 1, column 15", "expected a comparison"),
        ("assert equity > 1", "line 1, column 1", "moves nothing"),
        ("include oil", "line 1, column 9", "in quotation marks"),
        ("grid(equity -20%..+20% step 7%)", "line 1, column 6", "no whole number of steps"),
        ("grid(equity +20%..-20% step 5%)", "line 1, column 6", "lower end first"),
        ("grid(equity -1%..+1% step 1%); grid(vol -1pt..+1pt step 1pt)", "line 1, column 1", "at most one grid"),
        ("grid(equity -50%..+50% step 0.001%)", "line 1, column 6", "at most 10000"),
        ("grid(equity -50%..+50% step 0.1%, vol -5pt..+5pt step 0.1pt)", "line 1, column 1", "101101 scenarios"),
        ('equity -1%\nscenario "a": equity -1%', "line 2, column 1", "steps stand before this"),
        ('scenario "a": equity -1%\nscenario "a": equity -1%', "line 1, column 1", "more than once"),
        ('scenario "=a": equity -1%', "line 1, column 1", "starts with a letter"),
        ("equity -9999999999999%", "line 1, column 1", "out of range"),
        ("__import__('os').system('x') -1%", "line 1, column 1", "unknown step or class"),
    ],
)
def test_a_fault_points_at_its_character(text: str, place: str, message: str) -> None:
    with pytest.raises(BadInput) as caught:
        language.parse(text)
    assert caught.value.issues[0].pointer == place
    assert message in caught.value.message
    # the caret stands under the place
    _, line, caret = caught.value.message.split("\n")
    column = int(place.rpartition(" ")[2])
    assert caret.index("^") == 2 + column - 1
    assert line[2:] == text.split("\n")[int(place.split(",")[0][5:]) - 1].rstrip()


def test_sizes_are_limited() -> None:
    with pytest.raises(BadInput, match="200,001 characters"):
        language.parse(" " * 200_001)
    with pytest.raises(BadInput, match="at most 500 steps"):
        language.parse("equity -1%;" * 501)
    deep = "[" * 100_000
    with pytest.raises(BadInput):
        forms.from_json(deep)
    with pytest.raises(BadInput):
        language.parse("equity" + deep)


def test_json_faults_have_json_pointers() -> None:
    bad = {
        "scenarios": [
            {
                "steps": [
                    {"step": "shift", "select": {"class": "equty"}, "value": 1, "unit": "%"},
                    {"step": "shfit", "select": {"class": "equity"}, "value": 1, "unit": "%"},
                    {"step": "multiply", "select": {"class": "equity"}, "value": -1},
                ]
            }
        ]
    }
    with pytest.raises(BadInput) as caught:
        forms.from_json(bad)
    assert [i.pointer for i in caught.value.issues] == [
        "/scenarios/0/steps/0/select",
        "/scenarios/0/steps/1",
        "/scenarios/0/steps/2/value",
    ]
    assert caught.value.issues[1].allowed[0] == "shift"


def test_a_csv_lists_all_its_faults() -> None:
    table = (
        "scenario,step,class,where,value,unit,colour\n"
        ",shift,equty,region=US,-20,%,\n"
        ",shift,equity,region=,-20,%,\n"
        ",shift,equity,AAPL,abc,pct,\n"
        ",shfit,equity,AAPL,1,%,\n"
        ",multiply,equity,AAPL,2,%,\n"
        ",shift,equity,AAPL,2,%,,extra\n"
    )
    with pytest.raises(BadInput) as caught:
        forms.from_csv(table)
    places = [(i.pointer, i.value) for i in caught.value.issues]
    assert places == [
        ("row 1, column colour", "colour"),
        ("row 7", "extra"),
        ("row 2, column class", "equty"),
        ("row 3, column where", "region="),
        ("row 4, column value", "abc"),
        ("row 5, column step", "shfit"),
        ("row 6, column unit", "%"),
    ]
    assert next(i for i in caught.value.issues if i.value == "equty").allowed == ("equity",)
    with pytest.raises(BadInput, match="`step` among them"):
        forms.from_csv("a,b\n1,2\n")
    with pytest.raises(BadInput, match="has semicolons between its columns"):
        forms.from_csv("step;class\nshift;equity\n")
