"""Ctrl-C, SIGTERM and SIGHUP: noticed between two steps, never in the middle of one."""

import signal
import threading
from types import FrameType, TracebackType
from typing import Any

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StopRequestedError(Exception):
    """A person, or the system, wants the stack to end."""


class Stop:
    """While entered, the three signals only set a flag, which :meth:`pause` and :meth:`check` raise."""

    def __init__(self) -> None:
        self._requested = threading.Event()
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> "Stop":
        for number in _SIGNALS:
            self._before[number] = signal.signal(number, self._on_signal)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def request(self) -> None:
        """Ask for the end, as a signal does."""
        self._requested.set()

    def pause(self, seconds: float) -> None:
        """Sleep.

        Raises:
            StopRequestedError: as soon as an end was asked for.
        """
        if self._requested.wait(seconds):
            raise StopRequestedError

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self.request()

    def check(self) -> None:
        """Raise :class:`StopRequestedError` if an end was asked for."""
        self.pause(0)
