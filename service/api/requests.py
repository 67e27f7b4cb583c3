"""Bases of the request models: what a request may hold is what its model declares, and nothing is guessed."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Self

from flask import request
from pydantic import BeforeValidator, ConfigDict, Field, ValidationError, WithJsonSchema

from aggregation.types import Filter
from lake.errors import BadInput, invalid
from service.api.described import Described
from service.api.responses import Format
from service.errors import Malformed


def _filter(value: Any) -> Any:
    try:
        return Filter.parse(value) if isinstance(value, str) else value
    except BadInput as error:
        raise ValueError(error.message) from None


_FILTER = "^[^=!~<>]+(!?=.*|(!?~|[<>]=?).+)$"
FilterText = Annotated[Filter, BeforeValidator(_filter), WithJsonSchema({"type": "string", "pattern": _FILTER})]


def whole(value: Any) -> Any:
    """A float that is a whole number as an integer. Limits stand before it in Annotated, or they are lost to the schema."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


# JSON has one kind of number: 10.0 is an integer there
WholeNumber = Annotated[int, BeforeValidator(whole)]


class Parameters(Described):
    """Base of query parameters: an unknown parameter is an error, never ignored."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    called: ClassVar[str] = "query"  # what an error calls it

    @classmethod
    def model_validate(cls, obj: Any, **options: Any) -> Self:
        try:
            return super().model_validate(obj, **options)
        except ValidationError as error:
            raise invalid(error, cls.called, cls) from None


class TableParameters(Parameters):
    """Base of the query parameters of a tabular answer."""

    format: Format | None = Field(None, description="format of the answer; wins over the Accept header")


class Body(Described):
    """Base of JSON bodies, read strictly: a number is no text, a text no boolean.

    The framework hands over what it has parsed leniently, or else a text that was in the JSON; both ways lead to the
    bytes of this request.
    """

    called: ClassVar[str] = "body"  # what an error calls it

    @classmethod
    def model_validate(cls, obj: Any, **options: Any) -> Self:
        return cls.model_validate_json(request.get_data())

    @classmethod
    def model_validate_json(cls, json_data: str | bytes | bytearray, **options: Any) -> Self:
        try:
            return super().model_validate_json(request.get_data(), strict=True)
        except ValidationError as error:
            fault = error.errors(include_url=False)[0]
            if fault["type"] == "json_invalid":
                raise Malformed(f"{fault['msg']}.") from None
            raise invalid(error, cls.called, cls) from None
