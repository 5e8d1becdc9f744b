"""Landing: an intake's messages as rows, decoded and classified by one clock."""

import gc
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any

import polars as pl
from confluent_kafka import Message

from resources.columns import ColumnDecoder, Refused
from resources.contract import BadRecordError
from resources.kafka import Lot, event_times
from resources.tables import TABLES, TIME
from resources.windows import Grid

_DEAD_LETTERS = dict(TABLES["dead_letters"].schema)
_STAMP, _START = "message timestamp", "home start"
"""Columns on the way; with a blank in its name no column of the contract's can be one."""


@dataclass
class Landing:
    """The rows that one attempt lands, and their counts: first all is taken or added, then asked for."""

    decoder: ColumnDecoder
    grid: Grid
    number: int
    attempt: str
    taken_at: datetime
    limits: tuple[datetime, datetime]
    """Earlier records are too late, later ones are dead letters."""

    _lots: list[pl.DataFrame] = field(default_factory=list)
    _dead: list[pl.DataFrame] = field(default_factory=list)

    def take(self, lots: Iterable[Lot]) -> None:
        """Turn messages into rows."""
        with _no_collection():
            for lot in lots:
                self._take(lot)

    def _take(self, lot: Lot) -> None:
        times = event_times(lot.messages)
        rows, refused = self.decoded([message.value() for message in lot.messages], times)
        partitions = pl.Series("kafka_partition", lot.partitions, dtype=pl.Int32)
        offsets = pl.Series("kafka_offset", lot.offsets, dtype=pl.Int64)
        too_late = (rows["event_time"] < self.limits[0]).alias("too_late")
        self.add(rows.hstack([partitions, offsets, too_late]))
        if refused:
            letters = [
                self._dead_letter(lot, place, times[place], refused[place]) for place in sorted(refused)
            ]
            self._dead.append(pl.DataFrame(letters, schema=_DEAD_LETTERS))

    def decoded(self, values: Sequence[bytes | None], timestamps: pl.Series) -> tuple[pl.DataFrame, Refused]:
        """Decode messages as :class:`ColumnDecoder` does, and refuse what is too far ahead.

        Returns:
            A row per message, without an event time where it is refused; and what is wrong with those.
        """
        rows, refused = self.decoder.decode(values, timestamps)
        times = rows["event_time"]
        for place in (times > self.limits[1]).arg_true():
            error = BadRecordError("future-timestamp", f"event time {times[place].isoformat()}")
            refused.setdefault(place, error)
        if refused:
            rows.replace_column(rows.get_column_index("event_time"), times.scatter(list(refused), None))
        return rows.hstack([timestamps.alias(_STAMP)]), refused

    def add(self, rows: pl.DataFrame) -> None:
        """Add decoded rows, with ``kafka_partition``, ``kafka_offset`` and ``too_late``."""
        self._lots.append(rows)

    def _dead_letter(
        self, lot: Lot, place: int, moment: datetime | None, error: BadRecordError
    ) -> dict[str, object]:
        message = lot.messages[place]
        home = self.grid.home(moment) if moment else None
        return {
            "date": home.date if home else self.taken_at.date(),
            "window": home.key if home else None,
            "intake": self.number,
            "attempt": self.attempt,
            "kafka_partition": lot.partitions[place],
            "kafka_offset": lot.offsets[place],
            "timestamp": moment,
            "reason": error.reason,
            "detail": str(error),
            "key": message.key(),
            "value": message.value(),
            "headers": _headers(message),
        }

    @cached_property
    def _taken(self) -> pl.DataFrame:
        """All messages, in the order in which they were taken; a dead letter has no event time."""
        table = TABLES["records"].schema
        own = {name: table[name] for name in ("kafka_partition", "kafka_offset", "too_late")}
        nothing = pl.DataFrame(schema={**self.decoder.schema, _STAMP: TIME, **own})
        return pl.concat([nothing, *self._lots])

    @cached_property
    def _records(self) -> pl.DataFrame:
        rows = self._taken.filter(pl.col("event_time").is_not_null())
        rows = rows.with_columns(pl.col("event_time").dt.truncate(f"{self.grid.minutes}m").alias(_START))
        homes = [(start, self.grid.home(start)) for start in rows[_START].unique()]
        home_of = pl.DataFrame(
            [(start, home.date, home.key) for start, home in homes],
            schema={_START: TIME, "date": pl.Date, "window": pl.String},
            orient="row",
        )
        homed = rows.join(home_of, on=_START, how="left", maintain_order="left").with_columns(
            intake=pl.lit(self.number, pl.Int64), attempt=pl.lit(self.attempt)
        )
        columns = list(dict.fromkeys((*TABLES["records"].schema, *self.decoder.schema)))
        return homed.select(columns)

    def records(self) -> pl.DataFrame:
        """The rows of ``records``, in the order in which they were taken."""
        return self._records

    def dead_letters(self) -> pl.DataFrame:
        """The rows of ``dead_letters``."""
        return pl.concat([pl.DataFrame(schema=_DEAD_LETTERS), *self._dead])

    def landed(self) -> list[dict[str, Any]]:
        """Records and too late ones per window, as the ledger keeps them."""
        late = pl.col("too_late")
        rows = self._records.select("window", "too_late")
        counts = rows.group_by("window").agg(records=(~late).sum(), too_late=late.sum())
        return counts.sort("window").to_dicts()

    def refused(self) -> list[dict[str, Any]]:
        """Dead letters per window and reason, as the ledger keeps them."""
        counts = self.dead_letters().group_by("window", "reason").len("count")
        return counts.sort("window", "reason").to_dicts()

    def watermarks(self) -> dict[int, datetime]:
        """Per Kafka partition, the latest event time of a record; a dead letter's may lie in any future."""
        rows = self._records.select("kafka_partition", "event_time")
        latest = rows.group_by("kafka_partition").agg(pl.col("event_time").max())
        return dict(latest.iter_rows())

    def stamps(self) -> dict[int, tuple[datetime, datetime]]:
        """Per Kafka partition, the broker's timestamps of the first and the last message."""
        stamp = pl.min_horizontal(_STAMP, pl.lit(self.limits[1], TIME))  # a producer may write any year
        rows = self._taken.select("kafka_partition", _STAMP).drop_nulls()
        by_partition = rows.group_by("kafka_partition", maintain_order=True)
        found = by_partition.agg(stamp.first().alias("first"), stamp.last().alias("last"))
        return {partition: (first, last) for partition, first, last in found.iter_rows()}


@contextmanager
def _no_collection() -> Iterator[None]:
    """No search for cycles meanwhile: messages and rows make none, and would themselves be searched."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _headers(message: Message) -> list[dict[str, object]]:
    try:
        return [{"key": header[0], "value": header[1]} for header in message.headers() or []]
    except UnicodeDecodeError:  # Kafka's header keys are text: the client cannot read these
        return []
