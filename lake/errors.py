"""Errors that teach: what was given, what was expected, what to do.

Every error a user can cause derives from `VarlakeError`. The command line prints it and exits non-zero; the API
turns it into problem+json (RFC 9457). They live in the lowest package because every package raises them.
"""

from __future__ import annotations

import difflib
import errno
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from lake.words import clause, in_text

Model = TypeVar("Model", bound=BaseModel)

MOST_ISSUES = 100  # faults of one error that a door lists

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
    """Base of all errors a user can cause or mend; `status` is the HTTP status of the API, `exit_code` that of a command."""

    status = 400
    exit_code = 2
    title = "The request cannot be answered"

    def __init__(self, message: str, *, issues: Sequence[Issue] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.issues = tuple(issues)

    def untold(self) -> list[Issue]:
        """The faults that the message does not have: neither with their place, nor in words that are of one place alone."""
        places = Counter(i.message for i in self.issues)

        def told(issue: Issue) -> bool:
            said = clause(issue.message)
            if said not in self.message or places[issue.message] == 1:
                return said in self.message
            placed = f"{issue.pointer.strip('/')}: {said}"
            return re.search(rf"(?<!\w){re.escape(placed)}", self.message) is not None

        return [i for i in self.issues if not told(i)]


class BadInput(VarlakeError):
    """The input itself is wrong: a name, a number, a date, a file."""

    status = 422
    title = "The input is not valid"


class NotFound(VarlakeError):
    """The input is well-formed but names something the lake does not hold."""

    status = 404
    title = "Not found"


BY_PLAN = "Ask for the plan of this question, and have it valued."


class NotValued(NotFound):
    """What is asked about rests on a valuation that the lake does not hold; it can be planned, and made."""

    title = "Not valued yet"

    def __init__(self, lacking: str, way: str = BY_PLAN) -> None:
        super().__init__(f"{lacking} {way}")
        self._lacking = lacking

    def here(self, way: str) -> NotValued:
        """The same error, that says in a sentence how it is planned and valued at the door where it was asked."""
        return NotValued(self._lacking, way)


class NotSignedIn(VarlakeError):
    """Who asks has not shown who it is, or no longer can."""

    status = 401
    title = "Not signed in"


class NotAllowed(VarlakeError):
    """Who asks is known, and may not do this; the message says who may."""

    status = 403
    title = "Not allowed"


class Conflict(VarlakeError):
    """The state of the lake forbids it: another writer, a job already ended."""

    status = 409
    title = "Not possible now"


class NotReady(VarlakeError):
    """Something needed is missing on this machine or in this lake, and the message says how to bring it."""

    status = 503
    title = "Not ready"


class Busy(VarlakeError):
    """Too much waits already; `retry_seconds` is after how many seconds asking again makes sense."""

    status = 429
    title = "Too much is waiting"
    retry_seconds = 30


class DiskFull(VarlakeError):
    """The disk takes no more. What was stored before stays, and is read as before."""

    status = 507
    title = "The disk is full"


class DiskFailed(VarlakeError):
    """The disk did not read or write what it was told to. What was stored before is not touched."""

    status = 500
    exit_code = 3
    title = "The disk failed"


# of libraries that give a text alone: delta-rs, Java, Arrow
_FULL = ("No space left on device", "Disk quota exceeded", "File too large")
_NOT_WRITABLE = ("Read-only file system", "Permission denied")
_FAILED = ("Input/output error", "LocalFileSystem error")


def disk_failed(where: str) -> DiskFailed:
    """What a user is told where a file call failed, and which or with what words."""
    return DiskFailed(
        f"The disk failed ({where}): a file could not be read or written, and this was not finished. What was stored before stays. Ask "
        "again, and it is completed; where it fails again, look at the disk (the log of the system has more), then run "
        "`varlake lake verify`."
    )


def of_disk(error: BaseException) -> VarlakeError | None:
    """What a user is told of a disk that is full, may not be written or fails, whichever library met it; None for other errors."""
    number, text = getattr(error, "errno", None), str(error)
    where = getattr(error, "filename", None)
    place = f" ({where})" if where else ""
    if number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG) or any(t in text for t in _FULL):
        return DiskFull(
            f"The disk is full{place}: this was not stored; what was stored before stays, and questions are answered. Make "
            "room, then ask again; `varlake lake clean` lists what killed processes have left in the lake."
        )
    if number in (errno.EROFS, errno.EACCES) or any(t in text for t in _NOT_WRITABLE):
        return NotReady(
            f"No permission{place}: the file system is read-only, or the files belong to another user. What may be read is "
            "answered; give the user of this process the right, then ask again."
        )
    if number == errno.EIO or any(t in text for t in _FAILED):
        return disk_failed(where or text)
    return None


class Damaged(VarlakeError):
    """A file of the lake is not as it was committed; the message names it. Nothing is answered from it."""

    status = 500
    exit_code = 3
    title = "The lake is damaged"

    @classmethod
    def in_task(cls, error: BaseException) -> BaseException:
        """The damage that a task on Spark found, of which its error tells in a trace; any other error as it is."""
        told = re.search(rf"^{re.escape(cls.__module__)}\.{cls.__name__}: (.*)$", str(error), re.MULTILINE)
        return cls(told[1]) if told else error


def counted(n: int, one: str, many: str = "") -> str:
    """A number of things in words, such as 1 scenario and 2,000 scenarios; many : where that is not `one` with an s."""
    return f"{n:,} {one if n == 1 else many or f'{one}s'}"


def close(name: str, valid: Iterable[str], n: int = 5) -> tuple[str, ...]:
    """The valid names that are like `name`, best first."""
    folded = {v.lower(): v for v in sorted(set(valid))}
    return tuple(folded[c] for c in difflib.get_close_matches(name.lower(), list(folded), n=n, cutoff=0.5))


def nearest(name: str, valid: Iterable[str], n: int = 5) -> tuple[str, ...]:
    """The valid names closest to `name`, best first; all of them, sorted, when few or none is close."""
    names = sorted(set(valid))
    return close(name, names, n) or tuple(names[: max(n, 12)])


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


class Invalid(BadInput):
    """Faults in the fields of something that is called `what`; each stands in the message with its field."""

    def __init__(self, what: str, issues: Sequence[Issue]) -> None:
        listed = "; ".join(
            f"{i.pointer.removeprefix('/') or 'value'}: {clause(i.message)}"
            + (f" (given {i.value})" if i.value is not None else "")
            + (f", nearest {', '.join(i.allowed)}" if i.allowed else "")
            for i in issues
        )
        super().__init__(f"The {what} is not valid: {listed}.", issues=issues)
        self._what = what

    def calling(self, names: Mapping[str, str]) -> Invalid:
        """The same faults with fields by the names of a door, which `names` has by pointer.

        One of several values is known by itself, and what is inside one by its number, from 1 on.
        """

        def named(issue: Issue) -> Issue:
            pointer = issue.pointer
            field = max((f for f in names if f"{pointer}/".startswith(f"{f}/")), key=len, default=None)
            if field is None:
                return issue
            inside = pointer[len(field) :].split("/")[1:]
            if len(inside) == 1 and inside[0].isdigit() and issue.value is not None:
                inside = []
            words = [f"item {int(part) + 1}" if part.isdigit() else part for part in inside]
            return replace(issue, pointer=", ".join([names[field], *words]))

        return Invalid(self._what, [named(i) for i in self.issues])


def invalid(error: ValidationError, what: str, model: type[BaseModel]) -> Invalid:
    """A pydantic error in this project's words: what is missing, what may stand there, and the nearest valid names."""
    return Invalid(what, [_issue(fault, model) for fault in error.errors(include_url=False)])


def _issue(fault: Mapping[str, Any], model: type[BaseModel]) -> Issue:
    place = [part for part in fault["loc"] if part not in (OBJECT_TAG, TEXT_TAG)]
    pointer, given = "/" + "/".join(map(str, place)), in_text(fault["input"])[:80]
    around, field = _at(model, place)
    described = field.description if field is not None and field.description else ""
    kind = fault["type"]
    if kind == "missing":
        return Issue(pointer, f"is missing; expected: {described}" if described else "is missing")
    if kind == "extra_forbidden":
        names = [f.alias or name for name, f in around.model_fields.items()]
        return Issue(pointer, "is not a known name", given, nearest(str(place[-1]) if place else "", names))
    if kind == "literal_error":
        options = re.findall("'([^']*)'", fault["ctx"]["expected"])
        close = nearest(given, options)
        message = f"expected one of {', '.join(options)}" if options else f"expected {fault['ctx']['expected']}"
        return Issue(pointer, message, given, close if len(close) < len(options) else ())
    # of an object as a whole its message says what is at fault
    whole = kind == "value_error" and isinstance(fault["input"], Mapping)
    return Issue(pointer, in_words(fault, described), None if whole else given)


def in_words(fault: Mapping[str, Any], described: str = "") -> str:
    """What is wrong, as pydantic says it but for its own jargon; described : what is expected there."""
    kind = fault["type"]
    if kind == "missing":
        return "is missing"
    if kind == "string_pattern_mismatch":
        return f"expected: {described}" if described else f"does not match {fault['ctx']['pattern']}"
    if kind in ("too_short", "too_long"):
        limits = fault["ctx"]
        bound = f"at least {limits['min_length']}" if kind == "too_short" else f"at most {limits['max_length']}"
        return f"expected {bound} of them" + (f": {described}" if described else "")
    message: str = fault["msg"].removeprefix("Value error, ")
    if message.startswith("Input should be "):
        compared = kind.startswith(("greater_than", "less_than"))
        message = message.partition(", unable to")[0].partition(", got ")[0]
        message = message.replace("Input should be ", "a number " if compared else "")
        for theirs, ours in _KINDS.items():
            message = message.replace(theirs, ours)
        return f"expected {message}"
    return message


_KINDS = {
    "a valid tuple": "a list",
    "a valid dictionary": "an object",
    "a valid number": "a number",
    "a valid integer": "a whole number",
    "a valid boolean": "true or false",
    "a valid string": "a text",
}


def _at(model: type[BaseModel], place: Sequence[Any]) -> tuple[type[BaseModel], FieldInfo | None]:
    """The model around a place, and the field there where there is one."""
    field, inside = None, model
    for part in place:
        if isinstance(part, int):  # of several: what is said of all of them stands for each
            continue
        model = inside
        field = next((f for name, f in model.model_fields.items() if part in (f.alias, name)), None)
        if field is None:
            break
        inside = _model_in(field.annotation) or model
    return model, field


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The first model an annotation speaks of."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((m for a in get_args(annotation) if (m := _model_in(a)) is not None), None)
