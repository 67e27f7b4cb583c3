"""What one request may take: a time, a price, a place among the heavy ones; and nothing once its client has gone."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

from flask import Flask, g, has_request_context, request

from lake.errors import VarlakeError
from lake.progress import Allowance, Stopped, allowed
from lake.runtime.machine import usable_cores
from service.config import Settings

LIGHT_CORE_SECONDS = 0.5  # up to which a request needs no place among the heavy ones
SECONDS_A_VALUE = 8e-7  # of a core, to make a value of an answer and write it
QUESTIONS = "questions"  # the blueprint whose answers are tables


class TooMuch(Stopped):
    """The request is expected to take more than any request may."""

    status = 422
    title = "The question takes too long"


class PlacesTaken(Stopped):
    """As many heavy requests as may be are being answered."""

    status = 429
    title = "Other heavy questions are being answered"
    retry_seconds = 5


class Gone(Stopped):
    """The client has closed the connection: nobody reads this."""

    status = 499
    title = "The client has gone"


class OutOfTime(Stopped):
    """The request took longer than a request may."""

    status = 503
    title = "Out of time"


class TooLarge(VarlakeError):
    """The answer is larger than one is sent."""

    status = 413
    title = "The answer is too large"


_LESS = (
    "Ask for fewer groups, days or scenarios, or without an interval, or on the command line, which has no such limit"
)


class RequestAllowance(Allowance):
    """The allowance of one request, from its first moment on."""

    def __init__(
        self,
        settings: Settings,
        places: threading.Semaphore,
        gone: Callable[[], bool],
        charge: Callable[[float], None],
    ) -> None:
        self._settings, self._bytes = settings, 0
        self._charge, self._charged = charge, 0.0
        self._seconds, self._places, self._gone = settings.request_seconds, places, gone
        self._end = time.monotonic() + settings.request_seconds
        self._spent = 0.0

    def heed(self) -> None:
        if self._gone():
            raise Gone("The client has gone, so its question is not answered.")
        if time.monotonic() > self._end:
            raise OutOfTime(
                f"The question took longer than the {self._seconds:g} seconds of a request (VARLAKE_REQUEST_SECONDS). {_LESS}."
            )

    def spend(self, core_seconds: float) -> None:
        self._spent += core_seconds
        self._allow(self._spent)

    def expect(self, core_seconds: Callable[[], float]) -> None:
        self._allow(core_seconds())

    def _allow(self, core_seconds: float) -> None:
        self.heed()
        most = self._seconds * usable_cores()
        if core_seconds > most:
            raise TooMuch(
                f"The question takes about {core_seconds:,.0f} core-seconds, and a request has {most:,.0f} "
                f"(VARLAKE_REQUEST_SECONDS on {usable_cores()} cores). {_LESS}."
            )
        if core_seconds > self._charged:
            self._charge(core_seconds - self._charged)
            self._charged = core_seconds
        if core_seconds > LIGHT_CORE_SECONDS and not self.heavy:
            if not self._places.acquire(blocking=False):
                raise PlacesTaken(
                    f"The question takes about {core_seconds:,.1f} core-seconds, and as many heavy ones as may be are being "
                    f"answered (VARLAKE_HEAVY_AT_ONCE). Ask again in {PlacesTaken.retry_seconds} seconds."
                )
            self.heavy = True

    def show(self, rows: int, columns: Sequence[str]) -> None:
        if has_request_context() and request.blueprint == QUESTIONS:  # a replay shows no rows
            self._bytes += expected_bytes(rows, 8 * rows * len(columns), columns, g.format)
            check_size(self._bytes, self._settings)
        self.spend(SECONDS_A_VALUE * rows * len(columns))

    def end(self) -> None:
        """Gives back what is held."""
        if self.heavy:
            self.heavy = False
            self._places.release()


def limit_requests(app: Flask, settings: Settings, charge: Callable[[float], None]) -> None:
    """Every request of the application has an allowance; `charge` takes what it is expected to cost from whoever asks."""
    places = threading.BoundedSemaphore(settings.heavy_at_once)

    def begin() -> None:
        gone = request.environ.get("waitress.client_disconnected", lambda: False)
        g.allowance = RequestAllowance(settings, places, gone, charge)
        g.allowed = allowed(g.allowance)
        g.allowed.__enter__()

    def end(_: BaseException | None) -> None:
        if "allowance" in g:
            g.allowed.__exit__(None, None, None)
            g.allowance.end()

    app.before_request(begin)
    app.teardown_request(end)


def expected_bytes(rows: int, nbytes: int, columns: Sequence[str], kind: str) -> int:
    """What a table takes in that format, roughly: as JSON every row names its columns, and figures are texts."""
    return int(1.5 * nbytes + rows * sum(len(n) + 4 for n in columns)) if kind == "json" else nbytes


def check_size(size: int, settings: Settings) -> None:
    """Raises `TooLarge` for an answer of so many bytes, or expected to have so many, that is not sent."""
    if size > (most := int(settings.answer_mib * (1 << 20))):
        raise TooLarge(
            f"The answer has about {size / (1 << 20):,.0f} MiB, and {most / (1 << 20):g} MiB are sent (VARLAKE_ANSWER_MIB). Ask for "
            "fewer rows with limit, by or where, for format=parquet, which is smaller, or on the command line."
        )
