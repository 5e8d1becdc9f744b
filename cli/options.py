"""What several commands take: instants, durations, rates, and an end asked for by a signal."""

import re
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from types import FrameType

import click

_UNITS = {"ms": "milliseconds", "s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h|d)")
_CATCH_UP_SECONDS = 0.5
_LOOK_SECONDS = 0.1

RATE = click.FloatRange(min=0, min_open=True)
SHARE = click.FloatRange(min=0, max=1)


class Instant(click.ParamType[datetime]):
    """An ISO 8601 time that says its zone, such as ``2026-11-24T05:05Z``."""

    name = "time"

    def convert(
        self, value: str | datetime, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        if isinstance(value, datetime):
            return value
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is no time: write it like 2026-11-24T05:05Z.", param, ctx)
        if moment.tzinfo is None:
            self.fail(
                f"{value!r} names no time zone: append Z for UTC, or an offset like +02:00.", param, ctx
            )
        return moment.astimezone(UTC)


class Duration(click.ParamType[timedelta]):
    """A length of time, such as ``5m``, ``90s`` or ``1h30m``."""

    name = "duration"

    def convert(
        self, value: str | timedelta, param: click.Parameter | None, ctx: click.Context | None
    ) -> timedelta:
        if isinstance(value, timedelta):
            return value
        parts = _PART.findall(value)
        if not parts or "".join(number + unit for number, unit in parts) != value:
            self.fail(f"{value!r} is no duration: write it like 5m, 90s or 1h30m.", param, ctx)
        try:
            length = sum((timedelta(**{_UNITS[unit]: float(number)}) for number, unit in parts), timedelta())
        except OverflowError:
            self.fail(f"{value!r} is too long.", param, ctx)
        if not length:
            self.fail("a duration must be longer than nothing.", param, ctx)
        return length


class Pacer:
    """Lets at most ``rate`` calls of :meth:`wait` a second pass, evenly; None: no limit.

    What was missed while the caller was held up is made up for, but only half a second of it: a machine
    that slept does not flood the broker afterwards.
    """

    def __init__(
        self,
        rate: float | None,
        stopped: Callable[[], bool],
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._interval = 1 / rate if rate else 0.0
        self._stopped = stopped
        self._clock = clock
        self._sleep = sleep
        self._due = clock()

    def wait(self) -> None:
        """Return when the next message may be sent, or at once if the end was asked for."""
        self._due = max(self._due, self._clock() - _CATCH_UP_SECONDS)
        while self._interval and (left := self._due - self._clock()) > 0 and not self._stopped():
            self._sleep(min(left, _LOOK_SECONDS))
        self._due += self._interval


@contextmanager
def ending_on_signal() -> Iterator[Callable[[], bool]]:
    """Within it, SIGINT and SIGTERM ask for the end; the function it gives says whether one did.

    A second signal acts as it does without Silt, so nobody has to wait for an end that hangs.
    """
    asked = False
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def ask(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        asked = True
        restore()

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    for number in before:
        signal.signal(number, ask)
    try:
        yield lambda: asked
    finally:
        restore()
