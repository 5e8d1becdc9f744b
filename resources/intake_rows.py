"""One row of the ledger as an object: an intake, its spans, what was missing."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from resources.windows import Window


@dataclass(frozen=True)
class Span:
    """Offsets [start, end) of one Kafka partition, as one intake read them.

    Attributes:
        missing: how many of them the broker's retention took before they were read.
        watermark: the latest event time of a record of this partition so far.
        last_timestamp: the broker's, of the last message of this partition so far.
        missing_from: the last timestamp known before what is missing.
        missing_to: the first one known after it.
        topic_end: the partition's last stable offset when the intake began; None: not known.
    """

    partition: int
    start: int
    end: int
    missing: int
    watermark: datetime | None
    last_timestamp: datetime | None
    missing_from: datetime | None
    missing_to: datetime | None
    topic_end: int | None = None

    @property
    def lag(self) -> int | None:
        """So many offsets the topic went on behind this span, as the intake saw it; None: not known."""
        return None if self.topic_end is None else max(0, self.topic_end - self.end)


@dataclass(frozen=True)
class Gap:
    """Offsets of one Kafka partition that the broker's retention took before an intake could read them.

    Attributes:
        start: the first of them.
        missing: how many.
    """

    intake: int
    partition: int
    start: int
    missing: int
    missing_from: datetime
    missing_to: datetime

    def touches(self, window: Window) -> bool:
        """Whether what is missing may have been a window's."""
        return self.missing_from < window.end and window.start <= self.missing_to


@dataclass(frozen=True)
class Intake:
    """One row of the ledger: a numbered, bounded read of the topic."""

    number: int
    attempt: str
    kind: str
    """``topic``, ``replay`` (of dead letters) or ``reset``."""
    topic_id: str
    taken_at: datetime
    caught_up: bool
    spans: Mapping[int, Span]
    landed: Mapping[str, int]
    """Records per window, without the too late ones."""
    refused: Mapping[str, int]
    """Dead letters per window of their timestamp."""


def read_intake(row: Mapping[str, Any]) -> Intake:
    """The intake of a row of the ledger."""
    refused: dict[str, int] = {}
    for item in row["refused"]:
        refused[item["window"]] = refused.get(item["window"], 0) + item["count"]
    return Intake(
        number=row["number"],
        attempt=row["attempt"],
        kind=row["kind"],
        topic_id=row["topic_id"],
        taken_at=row["taken_at"],
        caught_up=row["caught_up"],
        spans={span["partition"]: Span(**span) for span in row["spans"]},
        landed={item["window"]: item["records"] for item in row["landed"]},
        refused=refused,
    )
