"""Models of requests and answers, whose schemas are made once: the document asks for them with every route, the framework with requests."""

from __future__ import annotations

import functools
from typing import Any

from pydantic import BaseModel


class Described(BaseModel):
    """Base of the models. A schema is not to be changed by who gets it: making it takes longer than many answers."""

    @classmethod
    def model_json_schema(cls, *args: Any, **options: Any) -> dict[str, Any]:
        return _schema(cls, args, tuple(options.items()))


@functools.cache
def _schema(model: type[Described], args: tuple[Any, ...], options: tuple[tuple[str, Any], ...]) -> dict[str, Any]:
    return super(Described, model).model_json_schema(*args, **dict(options))
