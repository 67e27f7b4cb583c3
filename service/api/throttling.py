"""How often a user may ask, how much its questions may cost in an hour, and how often an address may fail to sign in."""

from __future__ import annotations

import math
import time

from limits import RateLimitItem, RateLimitItemPerHour, RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter

from lake.progress import Stopped
from service.config import Settings


class TooOften(Stopped):
    """A user, or an address that fails to sign in, asks too often, or for too much."""

    status = 429
    title = "Asked too often"

    def __init__(self, message: str, seconds: int) -> None:
        super().__init__(f"{message} Ask again in {seconds:,} seconds.")
        self.retry_seconds = seconds


class Rates:
    """Counted in this process, which answers all requests, by minute and by hour."""

    def __init__(self, settings: Settings) -> None:
        self._limiter = FixedWindowRateLimiter(MemoryStorage())
        self._requests = RateLimitItemPerMinute(settings.requests_a_minute, namespace="requests")
        self._failures = RateLimitItemPerMinute(settings.failures_a_minute, namespace="failures")
        self._milliseconds = RateLimitItemPerHour(1000 * settings.core_seconds_an_hour, namespace="cost")

    def request(self, user: str) -> None:
        """Raises `TooOften` for more requests than a user may send."""
        if not self._limiter.hit(self._requests, user):
            most = f"{self._requests.amount:,} requests a minute (VARLAKE_REQUESTS_A_MINUTE)"
            raise TooOften(f"{user} may send {most}.", self._seconds(self._requests, user))

    def failure(self, address: str) -> None:
        """Counts a failed sign-in; raises `TooOften` for more than an address may have."""
        if not self._limiter.hit(self._failures, address):
            most = f"{self._failures.amount} times a minute (VARLAKE_FAILURES_A_MINUTE)"
            raise TooOften(f"Signing in may fail {most}.", self._seconds(self._failures, address))

    def spend(self, user: str, core_seconds: float) -> None:
        """Charges what a question or a valuation is expected to cost; raises `TooOften` where that is more than is left."""
        cost = math.ceil(1000 * core_seconds)
        if not self._limiter.test(self._milliseconds, user, cost=cost):
            most = f"{self._milliseconds.amount // 1000:,} an hour (VARLAKE_CORE_SECONDS_AN_HOUR)"
            left = self._limiter.get_window_stats(self._milliseconds, user).remaining / 1000
            raise TooOften(
                f"This takes about {core_seconds:,.1f} core-seconds; of the {most} that {user} has, {left:,.1f} are left.",
                self._seconds(self._milliseconds, user),
            )
        self._limiter.hit(self._milliseconds, user, cost=cost)

    def _seconds(self, item: RateLimitItem, key: str) -> int:
        return max(1, math.ceil(self._limiter.get_window_stats(item, key).reset_time - time.time()))
