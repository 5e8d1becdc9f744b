"""How often somebody may ask: a bucket each, which refills evenly (the generic cell rate algorithm)."""

import math
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

WINDOW = 60.0
_REMEMBERED = 10_000


@dataclass(frozen=True)
class Standing:
    """How a bucket stands after a request.

    Attributes:
        allowed: whether there was one left for the request.
        remaining: so many are left.
        reset: seconds until the bucket is full again.
        wait: seconds until there is one again; 0 if there is one left.
    """

    allowed: bool
    remaining: int
    reset: int
    wait: int


class Rates:
    """A bucket of ``quota`` requests for everybody, full again after a minute. For one thread.

    Of more than 10,000 clients, those who have not asked for longest start anew: their buckets are full or
    nearly so, unless more than that ask within a minute.
    """

    def __init__(self, quota: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._quota = quota
        self._step = WINDOW / quota
        self._clock = clock
        self._full_at: OrderedDict[str, float] = OrderedDict()

    def take(self, client: str) -> Standing:
        """Count a request."""
        now = self._clock()
        full_at = max(self._full_at.get(client, now), now)
        allowed = full_at + self._step - now <= WINDOW + 1e-9
        if allowed:
            full_at += self._step
        self._full_at[client] = full_at
        self._full_at.move_to_end(client)
        if len(self._full_at) > _REMEMBERED:
            self._full_at.popitem(last=False)
        remaining = int((WINDOW - (full_at - now)) / self._step + 1e-9)
        wait = 0 if remaining else math.ceil(full_at + self._step - now - WINDOW)
        return Standing(allowed, remaining, math.ceil(full_at - now), wait)

    def give_back(self, client: str) -> None:
        """Have a request not count after all."""
        if client in self._full_at:
            self._full_at[client] -= self._step
