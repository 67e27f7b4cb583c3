#!/usr/bin/env bash
# pydantic 2.14.3: a BeforeValidator that changes nothing makes strict JSON refuse arrays for tuples below it.
#
# In strict mode JSON may still give an array for a tuple, since JSON has no other list. A `BeforeValidator` on a model inside
# turns the rest of that value into Python objects, and from there on the strict rules of Python hold: a list is no tuple. So a
# model that may also be given as a text cannot read that text in a BeforeValidator and stay strict. A tagged union with a
# callable Discriminator keeps JSON's rules; varlake's filters are read that way (aggregation/types.py: or_text).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check pydantic==2.14.3
"$folder/venv/bin/python" - <<'PY'
from typing import Annotated, Union

import pydantic
from pydantic import AfterValidator, BaseModel, BeforeValidator, Discriminator, Tag, ValidationError

class Filter(BaseModel):
    members: tuple[str, ...] = ()

class Plain(BaseModel):
    where: tuple[Filter, ...]

class WithIdentity(BaseModel):
    where: tuple[Annotated[Filter, BeforeValidator(lambda value: value)], ...]

read = lambda text: Filter(members=tuple(text.split(",")))
kind = Discriminator(lambda value: "text" if isinstance(value, str) else "object")
text_form = Annotated[str, AfterValidator(read), Tag("text")]

class Tagged(BaseModel):
    where: tuple[Annotated[Union[Annotated[Filter, Tag("object")], text_form], kind], ...]

text = '{"where": [{"members": ["Rates"]}]}'
print("pydantic", pydantic.VERSION)
assert Plain.model_validate_json(text, strict=True).where[0].members == ("Rates",)
print("without a validator: accepted")
try:
    WithIdentity.model_validate_json(text, strict=True)
    raise SystemExit("the behaviour has changed: an identity BeforeValidator is accepted")
except ValidationError as error:
    fault = error.errors()[0]
    print("with an identity BeforeValidator:", fault["type"], fault["loc"])
    assert (fault["type"], fault["loc"]) == ("tuple_type", ("where", 0, "members"))
assert Tagged.model_validate_json(text, strict=True).where[0].members == ("Rates",)
assert Tagged.model_validate_json('{"where": ["Rates,FX"]}', strict=True).where[0].members == ("Rates", "FX")
print("with a tagged union: accepted, as an object and as a text")
PY
