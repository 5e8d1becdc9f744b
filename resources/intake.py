"""Intake: numbered, bounded reads of the topic, landed in the lake once and for all."""

import logging
import time
import uuid
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl

from resources.columns import ColumnDecoder
from resources.contract import Contract
from resources.dead_letter_topic import DeadLetterTopic
from resources.errors import TransientError
from resources.intake_rows import Intake, Span
from resources.intakes import Intakes
from resources.kafka import BoundedRead, Topic, TopicState
from resources.lake import Lake
from resources.landing import Landing
from resources.ledger import Ledger
from resources.reset import check_topic
from resources.settings import Settings

CHUNK_BYTES = 128 * 1024 * 1024
"""An intake ends once it has read so many bytes of messages; the next goes on from there."""
_TRIES = 10
_LOG = logging.getLogger("silt.intake")


class Taker:
    """Takes the topic in: the only writer of ``records``, ``dead_letters`` and ``ledger``.

    Several takers may run at once, in any processes: the ledger decides whose rows count.

    Attributes:
        on_landed: called once for each intake that this taker won, with the rows of ``records`` exactly as
            they were appended (all columns, in the order of reading; no rows where it landed none).
            So a run need not read back what it has just written.
    """

    on_landed: Callable[[Intake, pl.DataFrame], None] | None = None

    def __init__(self, settings: Settings, contract: Contract, lake: Lake) -> None:
        self.settings = settings
        self.contract = contract
        self.lake = lake
        self.topic = Topic(settings, contract.topic)
        self.decoder = ColumnDecoder(contract)
        self.ledger = Ledger(lake, settings.window_minutes, contract.id)
        on = settings.dead_letter_topic
        self.dead_letter_topic = DeadLetterTopic(settings, contract.topic, lake) if on else None

    def take_to(self, close: datetime) -> list[Intake]:
        """Take in until the ledger reaches ``close``; wait for it first where it lies in the future.

        Returns:
            The intakes of this call, none if the ledger reached it already.

        Raises:
            TransientError: the broker is away, or other takers won every time.
            LogError: the topic is not the one that the ledger has read.
        """
        taken: list[Intake] = []
        lost = 0
        while not self.ledger.intakes().reaches(close, datetime.now(UTC)):
            _wait_for(close)
            intake = self.take()
            if intake:
                taken.append(intake)
            elif (lost := lost + 1) == _TRIES:
                raise TransientError(f"Other takers won {_TRIES} intakes in a row: try again.")
        return taken

    def take_new(self) -> list[Intake]:
        """Take in what is there to read now, in chunks; no intake where there is nothing.

        Raises:
            TransientError, LogError: as :meth:`take_to`.
        """
        taken: list[Intake] = []
        while not (taken and taken[-1].caught_up) and (attempt := self.begin()).reads:
            attempt.land()
            if intake := attempt.enter():
                taken.append(intake)
        return taken

    def take(self) -> Intake | None:
        """One intake: read a chunk, land it, enter it into the ledger.

        Returns:
            The intake; None if another taker entered the same number first (its rows count, these do not).
        """
        attempt = self.begin()
        attempt.land()
        return attempt.enter()

    def begin(self) -> "Attempt":
        """Begin the next intake: read the ledger, ask for the topic's state, fix clock and attempt.

        Raises:
            TransientError: the broker is away.
            LogError: the topic is not the one that the ledger has read.
        """
        before = self.ledger.intakes()
        taken_at = datetime.now(UTC)
        state = self.topic.state()
        check_topic(self.topic.name, state, before)
        if self.dead_letter_topic:
            self.dead_letter_topic.begin_after(before.last)
        return Attempt(self, before, state, taken_at)


class Attempt:
    """One try at the ledger's next number: begun, then landed, then entered.

    A process may end between any two of these, and others may do anything in between: what was landed
    counts if and only if it was entered.
    """

    def __init__(self, taker: Taker, before: Intakes, state: TopicState, taken_at: datetime) -> None:
        self.number = before.last + 1
        self.id = str(uuid.uuid4())
        self.taken_at = taken_at
        self._taker = taker
        self._before = before
        self._state = state
        self._starts = self._choose_starts()
        self._landing = Landing(
            taker.decoder, taker.settings.grid, self.number, self.id, taken_at, self._limits()
        )
        self._read = self._bounded_read()

    @property
    def reads(self) -> bool:
        """Whether the topic holds anything that no intake has read."""
        return any(start < self._state.end[partition] for partition, start in self._starts.items())

    def land(self) -> None:
        """Read to the chosen bound; append the records and dead letters, which nobody sees yet.

        Raises:
            TransientError: the broker is away, or the topic was replaced since this began.
        """
        self._landing.take(self._read)
        self._check_same_topic()
        self._records = self._landing.records()
        self._taker.lake.append("records", self._records)
        self._taker.lake.append("dead_letters", self._landing.dead_letters())

    def enter(self) -> Intake | None:
        """Enter the ledger's row, which makes what was landed count.

        Returns:
            The intake; None if another attempt stands under its number.
        """
        entered = self._taker.ledger.enter(self._row())
        if not entered:
            _LOG.info("Intake %d was another taker's: reading the ledger again.", self.number)
            time.sleep(0.05)
            return None
        if self._taker.on_landed:
            self._taker.on_landed(entered, self._records)
        if copies := self._taker.dead_letter_topic:
            copies.produce(self._taker.ledger.intakes())
        return entered

    def _check_same_topic(self) -> None:
        """What was read by name and offset may be another topic's, created since."""
        topic = self._taker.topic
        if self.reads and topic.id() != self._state.id:
            raise TransientError(
                f"Topic {topic.name} was deleted and created again while it was read: nothing was taken in."
            )

    def _choose_starts(self) -> dict[int, int]:
        known, state = self._before.ends(), self._state
        earliest = self._before.last or self._taker.settings.start_from == "earliest"
        first = state.low if earliest else state.end
        return {partition: known.get(partition, first[partition]) for partition in state.end}

    def _limits(self) -> tuple[datetime, datetime]:
        settings = self._taker.settings
        return (
            self.taken_at - settings.lateness,
            self.taken_at + timedelta(seconds=settings.max_future_seconds),
        )

    def _bounded_read(self) -> BoundedRead:
        low, end = self._state.low, self._state.end
        there = {p: max(start, low[p]) for p, start in self._starts.items()}
        return self._taker.topic.read(there, end, CHUNK_BYTES)

    def _row(self) -> dict[str, Any]:
        reached, end = self._read.reached, self._state.end
        stamps, marks = self._landing.stamps(), self._landing.watermarks()
        return {
            "number": self.number,
            "attempt": self.id,
            "kind": "topic",
            "topic_id": self._state.id,
            "taken_at": self.taken_at,
            "caught_up": all(reached[p] >= end[p] for p in end),
            "spans": [vars(self._span(p, marks.get(p), stamps.get(p))) for p in self._starts],
            "landed": self._landing.landed(),
            "refused": self._landing.refused(),
            "replayed": [],
        }

    def _span(
        self, partition: int, watermark: datetime | None, stamps: tuple[datetime, datetime] | None
    ) -> Span:
        start, low = self._starts[partition], self._state.low[partition]
        known = self._before.spans().get(partition)
        mark, stamp = (known.watermark, known.last_timestamp) if known else (None, None)
        first, last = stamps or (None, None)
        span = Span(
            partition=partition,
            start=start,
            end=self._read.reached[partition],
            missing=max(0, low - start),
            watermark=max(filter(None, (mark, watermark)), default=None),
            last_timestamp=last or stamp,
            missing_from=None,
            missing_to=None,
            topic_end=self._state.end[partition],
        )
        return self._with_gap(span, stamp, first) if span.missing else span

    def _with_gap(self, span: Span, last: datetime | None, first: datetime | None) -> Span:
        """Between which of the broker's timestamps lie the offsets that are gone."""
        _LOG.warning(
            "Topic %s, partition %d: offsets %d to %d were gone by the broker's retention before "
            "they were read; the ledger counts them as missing.",
            self._taker.topic.name, span.partition, span.start, span.start + span.missing - 1,
        )  # fmt: skip
        since = last or self._before.caught_up_with(span.partition) or self._taker.lake.floor()
        around = (since, first or self.taken_at)
        return replace(span, missing_from=min(around), missing_to=max(around))


def _wait_for(close: datetime) -> None:
    while (left := (close - datetime.now(UTC)).total_seconds()) > 0:
        time.sleep(left)
