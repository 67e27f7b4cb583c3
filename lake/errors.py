"""Errors that teach: what was given, what was expected, what to do.

Every error a user can cause derives from `VarlakeError`. The command line prints it and exits non-zero; the API
turns it into problem+json (RFC 9457). They live in the lowest package because every package raises them.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

Model = TypeVar("Model", bound=BaseModel)

# of a value that may be given as a text or as an object; no part of where a fault is
OBJECT_TAG, TEXT_TAG = "<object>", "<text>"


@dataclass(frozen=True)
class Issue:
    """One fault in one place of the input.

    `pointer` names the place (a column and row, a JSON pointer, a query parameter), `value` is what stood there,
    `allowed` what may stand there (possibly shortened to the nearest values).
    """

    pointer: str
    message: str
    value: str | None = None
    allowed: tuple[str, ...] = ()


class VarlakeError(Exception):
    """Base of all errors a user can cause or mend; `status` is the HTTP status the API answers with."""

    status = 400
    title = "The request cannot be answered"

    def __init__(self, message: str, *, issues: Sequence[Issue] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.issues = tuple(issues)


class BadInput(VarlakeError):
    """The input itself is wrong: a name, a number, a date, a file."""

    status = 422
    title = "The input is not valid"


class NotFound(VarlakeError):
    """The input is well-formed but names something the lake does not hold."""

    status = 404
    title = "Not found"


class NotValued(NotFound):
    """What is asked about rests on a valuation that the lake does not hold; it can be planned, and made."""

    title = "Not valued yet"


class Conflict(VarlakeError):
    """The state of the lake forbids it: another writer, a job already ended."""

    status = 409
    title = "Not possible now"


class NotReady(VarlakeError):
    """Something needed is missing on this machine or in this lake, and the message says how to bring it."""

    status = 503
    title = "Not ready"


def nearest(name: str, valid: Iterable[str], n: int = 5) -> tuple[str, ...]:
    """The valid names closest to `name`, best first; all of them, sorted, when few or none is close."""
    names = sorted(set(valid))
    folded = {v.lower(): v for v in names}
    close = difflib.get_close_matches(name.lower(), list(folded), n=n, cutoff=0.5)
    if close:
        return tuple(folded[c] for c in close)
    return tuple(names[: max(n, 12)])


def unknown(
    kind: str, name: str, valid: Iterable[str], *, pointer: str = "", error: type[VarlakeError] = BadInput
) -> VarlakeError:
    """The error for a name that is not among the valid ones, with the nearest of them."""
    allowed = nearest(name, valid)
    hint = f" Nearest valid: {', '.join(allowed)}." if allowed else " There is none yet."
    message = f"Unknown {kind} {name!r}.{hint}"
    return error(message, issues=(Issue(pointer or kind, message, name, allowed),))


def validated(model: type[Model], data: Mapping[str, Any], what: str) -> Model:
    """The model made of `data`; raises `BadInput` that lists every fault with its place, value and what is expected."""
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise invalid(error, what, model) from None


def invalid(error: ValidationError, what: str, model: type[BaseModel]) -> BadInput:
    """A pydantic error in this project's words; unknown fields get the nearest valid names."""
    issues = []
    for fault in error.errors(include_url=False):
        name = str(fault["loc"][0]) if fault["loc"] else ""
        allowed = nearest(name, model.model_fields) if fault["type"] == "extra_forbidden" else ()
        message = "is not a known name" if allowed else fault["msg"].removeprefix("Value error, ")
        place = [str(part) for part in fault["loc"] if part not in (OBJECT_TAG, TEXT_TAG)]
        issues.append(Issue("/" + "/".join(place), message, str(fault["input"])[:80], allowed))
    listed = "; ".join(
        f"{i.pointer[1:] or 'value'}: {i.message} (given {i.value})"
        + (f", nearest {', '.join(i.allowed)}" if i.allowed else "")
        for i in issues
    )
    return BadInput(f"The {what} is not valid: {listed}.", issues=issues)
