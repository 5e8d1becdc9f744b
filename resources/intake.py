"""Intake: numbered, bounded reads of the topic, landed in the lake once and for all."""

import logging
import time
import uuid
from datetime import UTC, datetime, timedelta

import polars as pl

from resources.contract import Contract
from resources.errors import LogError, TransientError
from resources.kafka import BoundedRead, Topic, TopicState
from resources.lake import Lake
from resources.landing import Landing
from resources.ledger import Intake, Ledger, Span, ends, reaches
from resources.settings import Settings
from resources.tables import TABLES

CHUNK_BYTES = 64 * 1024 * 1024
"""An intake ends once it has read so many bytes of messages; the next goes on from there."""
_TRIES = 10
_LOG = logging.getLogger("silt.intake")


class Taker:
    """Takes the topic in: the only writer of ``records``, ``dead_letters`` and ``ledger``.

    Several takers may run at once, in any processes: the ledger decides whose rows count.
    """

    def __init__(self, settings: Settings, contract: Contract, lake: Lake) -> None:
        self.topic = Topic(settings, contract.topic)
        self.ledger = Ledger(lake, settings.window_minutes, contract.id)
        self._settings = settings
        self._contract = contract
        self._lake = lake
        self._grid = settings.grid

    def take_to(self, close: datetime) -> list[Intake]:
        """Take in until the ledger reaches ``close``, an instant that lies in the past.

        Returns:
            The intakes of this call, none if the ledger reached it already.

        Raises:
            TransientError: the broker is away, or other takers won every time.
            LogError: the topic is not the one that the ledger has read.
        """
        taken: list[Intake] = []
        lost = 0
        while not reaches(self.ledger.intakes(), close):
            intake = self.take()
            if intake:
                taken.append(intake)
            elif (lost := lost + 1) == _TRIES:
                raise TransientError(f"Other takers won {_TRIES} intakes in a row: try again.")
        return taken

    def take(self) -> Intake | None:
        """One intake: read a chunk, land it, enter it into the ledger.

        Returns:
            The intake; None if another taker entered the same number first (its rows count, these do not).
        """
        before = self.ledger.intakes()
        number, attempt = len(before) + 1, str(uuid.uuid4())
        taken_at = datetime.now(UTC)
        state = self.topic.state()
        _check_topic(self.topic.name, state, before)
        starts = self._starts(state, before)
        read = self.topic.read(
            {p: max(start, state.low[p]) for p, start in starts.items()}, state.end, CHUNK_BYTES
        )
        landing = Landing(self._contract, self._grid, number, attempt, taken_at, self._limits(taken_at))
        landing.take(read)
        self._lake.append("records", landing.records())
        self._lake.append("dead_letters", landing.dead_letters())
        row = self._row(landing, state, starts, read, before)
        if self._lake.insert_once("ledger", "number", row) or self._stands(number, attempt):
            return self.ledger.intakes()[number - 1]
        _LOG.info("Intake %d was another taker's: reading the ledger again.", number)
        time.sleep(0.05)
        return None

    def _starts(self, state: TopicState, before: list[Intake]) -> dict[int, int]:
        known = ends(before)
        first = state.low if before or self._settings.start_from == "earliest" else state.end
        return {partition: known.get(partition, first[partition]) for partition in state.end}

    def _limits(self, taken_at: datetime) -> tuple[datetime, datetime]:
        return (
            taken_at - self._settings.lateness,
            taken_at + timedelta(seconds=self._settings.max_future_seconds),
        )

    def _row(
        self,
        landing: Landing,
        state: TopicState,
        starts: dict[int, int],
        read: BoundedRead,
        before: list[Intake],
    ) -> pl.DataFrame:
        marks = {p: span.watermark for row in before for p, span in row.spans.items()}
        spans = []
        for partition, start in starts.items():
            missing = max(0, state.low[partition] - start)
            if missing:
                _LOG.warning(
                    "Topic %s, partition %d: offsets %d to %d were gone by the broker's retention before "
                    "they were read; the ledger counts them as missing.",
                    self.topic.name, partition, start, start + missing - 1,
                )  # fmt: skip
            mark = max(filter(None, (marks.get(partition), landing.watermarks.get(partition))), default=None)
            spans.append(Span(partition, start, read.reached[partition], missing, mark))
        row = {
            "number": landing.number,
            "attempt": landing.attempt,
            "kind": "topic",
            "topic_id": state.id,
            "window_minutes": self._settings.window_minutes,
            "id_field": self._contract.id,
            "taken_at": landing.taken_at,
            "caught_up": all(read.reached[p] >= end for p, end in state.end.items()),
            "spans": [vars(span) for span in spans],
            "landed": landing.landed(),
            "refused": landing.refused(),
        }
        return pl.DataFrame([row], schema=dict(TABLES["ledger"].schema))

    def _stands(self, number: int, attempt: str) -> bool:
        rows = self.ledger.intakes()
        return len(rows) >= number and rows[number - 1].attempt == attempt


def _check_topic(name: str, state: TopicState, before: list[Intake]) -> None:
    if not before:
        return
    if before[-1].topic_id != state.id:
        raise LogError(
            f"Topic {name} was deleted and created again: its id is {state.id}, the ledger has read "
            f"{before[-1].topic_id}. Start with an empty SILT_HOME or SILT_LAKE_URI, or restore the topic."
        )
    for partition, end in ends(before).items():
        if state.end.get(partition, -1) < end:
            raise LogError(
                f"Topic {name}, partition {partition} ends at offset {state.end.get(partition)}, and the "
                f"ledger has read to {end}: the broker lost messages. Restore the topic's log."
            )
