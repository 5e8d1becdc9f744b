"""Landing: an intake's messages as rows, decoded and classified by one clock."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

import polars as pl
from confluent_kafka import Message

from resources.contract import BadRecordError, Contract, Record
from resources.kafka import event_time
from resources.tables import TABLES, Schema
from resources.windows import Grid

Place = tuple[int, int]
"""Kafka partition, offset."""

_PLACE = ["date", "window", "intake", "attempt", "kafka_partition", "kafka_offset"]
_RECORD = ["record_id", "event_time", "too_late"]
_DEAD_LETTER = ["timestamp", "reason", "detail", "key", "value", "headers"]
_COLUMN_TYPES = {"string": pl.String(), "number": pl.Float64()}


@dataclass
class Landing:
    """The rows that one attempt lands, and their counts."""

    contract: Contract
    grid: Grid
    number: int
    attempt: str
    taken_at: datetime
    limits: tuple[datetime, datetime]
    """Earlier records are too late, later ones are dead letters."""

    watermarks: dict[int, datetime] = field(default_factory=dict)
    """Per Kafka partition, the latest event time of a record; a dead letter's may lie in any future."""
    stamps: dict[int, tuple[datetime, datetime]] = field(default_factory=dict)
    """Per Kafka partition, the broker's timestamps of the first and the last message."""
    _records: list[tuple[object, ...]] = field(default_factory=list)
    _dead: list[tuple[object, ...]] = field(default_factory=list)
    _landed: dict[str | None, Counter[str]] = field(default_factory=dict)
    _refused: Counter[tuple[str | None, str]] = field(default_factory=Counter)

    def take(self, messages: Iterable[Message]) -> None:
        """Turn messages into rows."""
        for message in messages:
            timestamp = event_time(message)
            self._stamp(message, timestamp)
            try:
                record, moment = self.decoded(message.value(), timestamp)
            except BadRecordError as error:
                self._add_dead_letter(message, timestamp, error)
            else:
                self.add_record(_place(message), record, moment, moment < self.limits[0])
                self._mark(message, moment)

    def _stamp(self, message: Message, timestamp: datetime | None) -> None:
        partition = message.partition()
        assert partition is not None
        if timestamp:
            stamp = min(timestamp, self.limits[1])  # a producer may write any year
            self.stamps[partition] = (self.stamps.get(partition, (stamp,))[0], stamp)

    def _mark(self, message: Message, moment: datetime) -> None:
        partition = message.partition()
        assert partition is not None
        self.watermarks[partition] = max(moment, self.watermarks.get(partition, moment))

    def decoded(self, value: bytes | None, timestamp: datetime | None) -> tuple[Record, datetime]:
        """A message's record and event time.

        Raises:
            BadRecordError: it breaks the contract, or its event time is too far ahead.
        """
        if value is None:
            raise BadRecordError("null-value", "the message has no value")
        record = self.contract.decode(value)
        moment = record.event_time or timestamp
        if moment is None:
            raise BadRecordError("missing-event-time", "the message has no usable timestamp")
        if moment > self.limits[1]:
            raise BadRecordError("future-timestamp", f"event time {moment.isoformat()}")
        return record, moment

    def add_record(self, at: Place, record: Record, moment: datetime, too_late: bool) -> None:
        """Add a record to what is landed."""
        window, place = self._place(at, moment)
        self._landed.setdefault(window, Counter())["too_late" if too_late else "records"] += 1
        self._records.append((*place, record.id, moment, too_late, *record.values))

    def _add_dead_letter(self, message: Message, timestamp: datetime | None, error: BadRecordError) -> None:
        window, place = self._place(_place(message), timestamp)
        self._refused[window, error.reason] += 1
        self._dead.append(
            (*place, timestamp, error.reason, str(error), message.key(), message.value(), _headers(message))
        )

    def _place(self, at: Place, moment: datetime | None) -> tuple[str | None, tuple[object, ...]]:
        home = self.grid.home(moment) if moment else None
        key, day = (home.key, home.date) if home else (None, self.taken_at.date())
        return key, (day, key, self.number, self.attempt, *at)

    def records(self) -> pl.DataFrame:
        """The rows of ``records``, sorted by window and record id."""
        columns = self.contract.columns
        fields = {columns[name]: _COLUMN_TYPES[kind] for name, kind in self.contract.fields.items()}
        schema = {**_schema("records", _RECORD), **fields}
        return pl.DataFrame(self._records, schema=schema, orient="row").sort("window", "record_id")

    def dead_letters(self) -> pl.DataFrame:
        """The rows of ``dead_letters``."""
        return pl.DataFrame(self._dead, schema=_schema("dead_letters", _DEAD_LETTER), orient="row")

    def landed(self) -> list[dict[str, object]]:
        """Records and too late ones per window, as the ledger keeps them."""
        return [
            {"window": window, "records": counts["records"], "too_late": counts["too_late"]}
            for window, counts in sorted(self._landed.items(), key=str)
        ]

    def refused(self) -> list[dict[str, object]]:
        """Dead letters per window and reason, as the ledger keeps them."""
        return [
            {"window": window, "reason": reason, "count": count}
            for (window, reason), count in sorted(self._refused.items(), key=str)
        ]


def _place(message: Message) -> Place:
    partition, offset = message.partition(), message.offset()
    assert partition is not None
    assert offset is not None
    return partition, offset


def _headers(message: Message) -> list[dict[str, object]]:
    try:
        return [{"key": header[0], "value": header[1]} for header in message.headers() or []]
    except UnicodeDecodeError:  # Kafka's header keys are text: the client cannot read these
        return []


def _schema(table: str, columns: list[str]) -> Schema:
    own = TABLES[table].schema
    return {name: own[name] for name in [*_PLACE, *columns]}
