"""Time limits of requests, watched together: a timer for each would cost a third of an answer from memory."""

import asyncio

_LOOKS = 8
"""So many times within the limit it is looked which requests have passed it."""


class Deadline:
    """A block of code of the running task, with so many seconds from its start or its last extension.

    Code that takes longer is cancelled where it stands, and ends without an error: then it has ``expired``.
    """

    def __init__(self, deadlines: "Deadlines") -> None:
        self.expired = False
        self._deadlines = deadlines

    def extend(self) -> None:
        """The seconds begin again."""
        self.due = self._deadlines.from_now()

    def __enter__(self) -> None:
        self.extend()
        self.task = asyncio.current_task()
        self._deadlines.watch(self)

    def __exit__(self, _: object, error: BaseException | None, __: object) -> bool:
        self._deadlines.leave(self)
        alone = self.expired and self.task is not None and self.task.uncancel() == 0
        self.expired = alone and isinstance(error, asyncio.CancelledError)
        return self.expired


class Deadlines:
    """All requests that an application answers right now, each with the same limit."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._running: set[Deadline] = set()
        self._looks = False

    def from_now(self) -> float:
        """The event loop's time when what starts now is late."""
        return asyncio.get_running_loop().time() + self._seconds

    def watch(self, deadline: Deadline) -> None:
        """Cancel its task if it gets late."""
        self._running.add(deadline)
        if not self._looks:
            self._looks = True
            asyncio.get_running_loop().call_later(self._seconds / _LOOKS, self._look)

    def leave(self, deadline: Deadline) -> None:
        """Its code has ended."""
        self._running.discard(deadline)

    def _look(self) -> None:
        loop = asyncio.get_running_loop()
        late = [each for each in self._running if each.due < loop.time()]
        for deadline in late:
            self._running.discard(deadline)
            if deadline.task:
                deadline.expired = deadline.task.cancel()
        self._looks = bool(self._running)
        if self._looks:
            loop.call_later(self._seconds / _LOOKS, self._look)
