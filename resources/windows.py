"""Window arithmetic: half-open five-minute intervals of event time, in UTC, aligned to the hour."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from resources.errors import WindowError

KEY_FORMAT = "%Y-%m-%dT%H%MZ"
SLOTS = (1, 2, 3)
_KEY = re.compile(r"\d{4}-\d\d-\d\dT\d{4}Z")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, order=True)
class Window:
    """The interval [start, start + minutes) of event time."""

    start: datetime
    minutes: int

    @property
    def key(self) -> str:
        """The start, as in ``2026-11-24T0505Z``; keys sort as their windows do."""
        text = self.start.isoformat(timespec="minutes")  # strftime is slow, and its %Y not padded everywhere
        return f"{text[:13]}{text[14:16]}Z"

    @property
    def end(self) -> datetime:
        return self.start + timedelta(minutes=self.minutes)

    @property
    def slot(self) -> int:
        """Place in its cycle of three windows, 1 to 3."""
        return (self.start - _EPOCH) // timedelta(minutes=self.minutes) % 3 + 1

    @property
    def date(self) -> date:
        """UTC day of the start: the big tables are partitioned by it."""
        return self.start.date()

    def step(self, count: int) -> "Window":
        """The window ``count`` places later (earlier, if negative)."""
        return Window(self.start + count * timedelta(minutes=self.minutes), self.minutes)


@dataclass(frozen=True)
class Grid:
    """All windows of one length, and when they close."""

    minutes: int
    grace: timedelta = timedelta(seconds=2)

    def home(self, event_time: datetime) -> Window:
        """The window that contains an event time."""
        length = timedelta(minutes=self.minutes)
        return Window(_EPOCH + (event_time - _EPOCH) // length * length, self.minutes)

    def window(self, key: str) -> Window:
        """The window with this key.

        Raises:
            WindowError: no window of this grid has the key.
        """
        try:
            if not _KEY.fullmatch(key):
                raise ValueError
            start = datetime.strptime(key, KEY_FORMAT).replace(tzinfo=UTC)
        except ValueError:
            raise WindowError(
                f"{key!r} is no window: a window is named by its start in UTC, like 2026-11-24T0505Z"
            ) from None
        window = self.home(start)
        if window.start != start:
            raise WindowError(
                f"{key!r} is no window: windows are {self.minutes} minutes long, near it starts {window.key}"
            )
        return window

    def close(self, window: Window) -> datetime:
        """The instant from which the wall clock calls the window closed: its end plus the grace."""
        return window.end + self.grace

    def newest_closed(self, now: datetime) -> Window:
        """The last window that is closed at ``now``."""
        return self.home(now - self.grace).step(-1)

    def between(self, first: Window, last: Window) -> Iterator[Window]:
        """All windows from ``first`` to ``last``, both included, oldest first."""
        while first <= last:
            yield first
            first = first.step(1)
