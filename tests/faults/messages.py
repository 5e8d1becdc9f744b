"""What the harness sends: records early, late and twice, in random order, and bytes that are no record."""

import json
import random
import uuid
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from cli.archetypes import ARCHETYPES, OFTEN_MISSING, record

MINUTE = 60_000
HOUR = 60 * MINUTE
_LATE_HOME_LASTS = 20_000
_REMEMBERED = 1_000
_SHARES = {
    "now": 0.62, "late": 0.12, "early": 0.08, "newer": 0.05, "same": 0.03, "elsewhere": 0.03,
    "bad": 0.05, "too late": 0.02,
}  # fmt: skip


@dataclass(frozen=True)
class Message:
    """One message to be: ``timestamp`` in ms since the epoch; ``identity`` is "" where it has none."""

    kind: str
    identity: str
    timestamp: int
    value: bytes | None


def window_key(start: int) -> str:
    """The key of the window that starts at these milliseconds."""
    return datetime.fromtimestamp(start / 1000, UTC).strftime("%Y-%m-%dT%H%MZ")


class Messages:
    """The messages of one run: event times up to ``end`` (milliseconds), windows of a minute.

    ``past`` holds the starts of the windows of the hours before, in milliseconds.
    """

    def __init__(self, begin: int, end: int, past: Sequence[int], seed: int) -> None:
        self._begin = begin // MINUTE * MINUTE
        self._end = end
        self._past = list(past)
        self._random = random.Random(seed)
        self._recent: deque[Message] = deque(maxlen=_REMEMBERED)

    def of_the_past(self, count: int) -> list[Message]:
        """``count`` records of each past window, in random order."""
        found = [self._record("past", self._within(start)) for start in self._past for _ in range(count)]
        self._random.shuffle(found)
        return found

    def next(self, now: int) -> Message:
        """The next message, as it is sent at ``now`` (milliseconds)."""
        (kind,) = self._random.choices(list(_SHARES), list(_SHARES.values()))
        match kind:
            case "bad":
                return self._bad(now)
            case "newer" | "same" | "elsewhere" if self._recent:
                return self._again(kind)
            case "too late":
                return self._record(kind, now - 30 * HOUR + self._random.randrange(HOUR))
            case "early":
                return self._at(kind, now + self._random.randrange(10_000, 100_000), now)
            case "late":
                return self._record(kind, self._within(self.late_home(now)))
        return self._at("now", now - self._random.randrange(5_000), now)

    def late_home(self, now: int) -> int:
        """The window, by its start, that late records go to: for twenty seconds the same one."""
        homes = self._past + list(range(self._begin, min(now, self._end) - MINUTE + 1, MINUTE))
        return random.Random(now // _LATE_HOME_LASTS).choice(homes)

    def _within(self, start: int) -> int:
        return start + self._random.randrange(MINUTE)

    def _at(self, kind: str, moment: int, now: int) -> Message:
        if moment >= self._end:
            return self._record("late", self._within(self.late_home(now)))
        return self._record(kind, moment)

    def _record(self, kind: str, timestamp: int, identity: str = "") -> Message:
        row = self._row(timestamp) | ({"Unique id": identity} if identity else {})
        made = Message(kind, row["Unique id"], timestamp, json.dumps(row).encode())
        if kind != "too late":
            self._recent.append(made)
        return made

    def _again(self, kind: str) -> Message:
        """An id that was sent before: in its window with other content or the same bytes, or elsewhere."""
        first = self._random.choice(self._recent)
        if kind == "same":
            return Message(kind, first.identity, first.timestamp, first.value)
        home = first.timestamp // MINUTE * MINUTE
        if kind == "elsewhere":
            home = self._random.choice(self._past)
        return self._record(kind, min(self._within(home), self._end - 1), first.identity)

    def _row(self, timestamp: int) -> dict[str, Any]:
        (archetype,) = self._random.choices(ARCHETYPES, [one.share for one in ARCHETYPES])
        row = record(archetype, datetime.fromtimestamp(timestamp / 1000, UTC), self._random)
        for name, share in OFTEN_MISSING.items():
            if self._random.random() < share:
                row[name] = self._random.choice((None, ""))
        if self._random.random() < 0.3:
            row["CSAT Score"] = str(row["CSAT Score"])
        return row

    def _bad(self, now: int) -> Message:
        identity = str(uuid.UUID(int=self._random.getrandbits(128), version=4))
        row = self._row(now) | {"Unique id": identity}
        values: list[bytes | None] = [
            None,
            b"",
            self._random.randbytes(40),
            json.dumps(row).encode()[:-5],
            json.dumps([row]).encode(),
            json.dumps(row | {"Item_price": "about forty"}).encode(),
            json.dumps(row | {"channel_name": 7}).encode(),
            json.dumps(row | {"Unique id": ""}).encode(),
        ]
        moment = min(now, self._end - 1)
        if self._random.random() < 0.1:  # a record from a future that the test does not live to see
            return Message("bad", identity, now + 10 * HOUR, json.dumps(row).encode())
        return Message("bad", "", moment, self._random.choice(values))
