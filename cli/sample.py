"""A made-up stream of customer-support records whose clusters are known."""

import random
from collections import deque
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from cli.archetypes import ARCHETYPES, NUMBERS, OFTEN_MISSING, record
from resources.windows import Grid

Kind = Literal["clean", "late", "bad", "duplicate"]
BAD_REASONS = ("invalid-json", "wrong-type", "missing-id", "future-timestamp")
_REMEMBERED = 2_000


@dataclass(frozen=True)
class Sample:
    """One message to be: ``row`` at its event time; ``broken`` replaces the row's bytes, if it is set."""

    kind: Kind
    row: dict[str, Any]
    event_time: datetime
    broken: bytes | None = None


@dataclass(frozen=True)
class Shares:
    """What part of the stream, each 0 to 1, is late, breaks the contract, or is sent a second time."""

    late: float = 0.0
    bad: float = 0.0
    duplicate: float = 0.0


class SampleStream:
    """Generates the stream; with a seed, the same one each time.

    A late record's event time lies one to three windows back, seldom more, never as far as the allowed
    lateness. A duplicate repeats the id of a record of its own home. A bad one is broken JSON, has a
    wrong type or no id, or lies further ahead than ``max_future``.
    """

    def __init__(
        self,
        grid: Grid,
        shares: Shares,
        *,
        allowed_lateness: timedelta,
        max_future: timedelta,
        seed: int | None = None,
    ) -> None:
        self._grid = grid
        self._shares = shares
        self._allowed_lateness = allowed_lateness
        self._max_future = max_future
        self._random = random.Random(seed)
        self._recent: deque[Sample] = deque(maxlen=_REMEMBERED)

    def sample(self, now: datetime) -> Sample:
        """The next message of the stream, as it is sent at ``now``."""
        draw = self._random.random()
        if draw < self._shares.late:
            return Sample("late", self._row(now), self._earlier(now))
        draw -= self._shares.late
        if draw < self._shares.bad:
            return self._bad(now)
        draw -= self._shares.bad
        if draw < self._shares.duplicate and (again := self._again(now)):
            return again
        clean = self.clean(now)
        self._recent.append(clean)
        return clean

    def clean(self, event_time: datetime) -> Sample:
        """A record without a fault, at an event time."""
        return Sample("clean", self._row(event_time), event_time)

    def _earlier(self, now: datetime) -> datetime:
        length = timedelta(minutes=self._grid.minutes)
        most = 3 if self._random.random() < 0.9 else 12
        return now - min(self._random.uniform(1, most) * length, self._allowed_lateness / 2)

    def _again(self, now: datetime) -> Sample | None:
        home = self._grid.home(now)
        while self._recent and self._grid.home(self._recent[0].event_time) != home:
            self._recent.popleft()
        if not self._recent:
            return None
        first = self._random.choice(self._recent)
        event_time = first.event_time + self._random.random() * (now - first.event_time)
        return Sample("duplicate", first.row, event_time)

    def _bad(self, now: datetime) -> Sample:
        row = self._row(now)
        match self._random.choice(BAD_REASONS):
            case "invalid-json":
                return Sample("bad", row, now, broken=b'{"Unique id": "' + row["Unique id"].encode())
            case "wrong-type":
                return Sample("bad", row | {"Item_price": "about forty"}, now)
            case "missing-id":
                return Sample("bad", row | {"Unique id": self._random.choice((None, ""))}, now)
            case _:
                ahead = self._max_future + timedelta(minutes=self._random.uniform(1, 60))
                return Sample("bad", row, now + ahead)

    def _row(self, reported: datetime) -> dict[str, Any]:
        (archetype,) = self._random.choices(ARCHETYPES, [one.share for one in ARCHETYPES])
        row = record(archetype, reported, self._random)
        for name in NUMBERS:
            if self._random.random() < 0.5:
                row[name] = str(row[name])
        for name, share in OFTEN_MISSING.items():
            if self._random.random() < share:
                self._take_away(row, name)
        return row

    def _take_away(self, row: dict[str, Any], name: str) -> None:
        match self._random.randrange(3):
            case 0:
                del row[name]
            case 1:
                row[name] = None
            case _:
                row[name] = ""
