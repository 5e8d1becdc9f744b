"""Replay: dead letters are decoded again under the present contract; those that pass land as records."""

import logging
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl

from resources.columns import ColumnDecoder
from resources.contract import Contract
from resources.dead_letters import PLACE, Choice, dead_letters
from resources.errors import TransientError
from resources.intakes import Intakes
from resources.lake import Lake
from resources.landing import Landing
from resources.ledger import Ledger
from resources.settings import Settings

CHUNK_BYTES = 64 * 1024 * 1024
"""One intake replays so many bytes of values at most."""
_LETTER_BYTES = 4096
"""A letter counts at least so much: an intake's row in the ledger names every one."""
_TRIES = 10
_LOG = logging.getLogger("silt.replay")


@dataclass
class Outcome:
    """What a replay did, or would do.

    Attributes:
        landed: records per window key.
        too_late: how many of them were too late already when they were taken in: they are never selected.
        broken: how many are still dead letters, per reason under the present contract.
        before_floor: how many would be records of windows that the lake does not keep any more.
    """

    landed: Counter[str] = field(default_factory=Counter)
    too_late: int = 0
    broken: Counter[str] = field(default_factory=Counter)
    before_floor: int = 0

    def add(self, other: "Outcome") -> None:
        """Add another chunk's."""
        self.landed.update(other.landed)
        self.broken.update(other.broken)
        self.too_late += other.too_late
        self.before_floor += other.before_floor


class Replayer:
    """Lands dead letters as records, by intakes of kind ``replay`` that name them; needs no broker.

    It may run beside takers and other replays: the ledger decides, and each letter lands at most once.
    """

    def __init__(self, settings: Settings, contract: Contract, lake: Lake) -> None:
        self.settings = settings
        self.contract = contract
        self.lake = lake
        self.ledger = Ledger(lake, settings.window_minutes, contract.id)
        self.decoder = ColumnDecoder(contract)

    def replay(self, choice: Choice, dry_run: bool = False) -> Outcome:
        """Replay in chunks, each of which is whole or not at all; ``dry_run`` only tells.

        Raises:
            TransientError: takers or other replays were first every time.
            LakeError: a field of the contract has another type in the lake.
        """
        outcome = Outcome()
        for places in self._chunks(choice):
            outcome.add(self._replay_chunk(places, choice, dry_run))
        return outcome

    def _chunks(self, choice: Choice) -> Iterator[pl.DataFrame]:
        """The places of the dead letters, in the order of their intakes; a chunk is of one topic's life."""
        intakes = self.ledger.intakes()
        size = pl.max_horizontal(pl.col("value").bin.size().fill_null(0), _LETTER_BYTES).cast(pl.Int64)
        letters = dead_letters(self.lake, intakes, choice).select(*PLACE, size.alias("size"))
        lives = intakes.lives.select("number", "life").lazy()
        found = letters.join(lives, left_on="intake", right_on="number").sort(PLACE)
        chunk = pl.col("size").cum_sum() // CHUNK_BYTES
        places = found.select(*PLACE, "life", chunk.alias("chunk")).collect(engine="streaming")
        for _, part in places.group_by("life", "chunk", maintain_order=True):
            yield part.select(PLACE)

    def _replay_chunk(self, places: pl.DataFrame, choice: Choice, dry_run: bool) -> Outcome:
        for _ in range(_TRIES):
            attempt = ReplayAttempt(self, self.ledger.intakes(), places, choice)
            if dry_run or not attempt.outcome.landed:
                return attempt.outcome
            attempt.land()
            if attempt.enter():
                return attempt.outcome
            _LOG.info("Intake %d was another's: reading the ledger again.", attempt.number)
            time.sleep(0.05)
        raise TransientError(f"Other intakes were first {_TRIES} times in a row: try again.")


class ReplayAttempt:
    """One try at the ledger's next number: what it landed counts if and only if it was entered."""

    def __init__(self, replayer: Replayer, before: Intakes, places: pl.DataFrame, choice: Choice) -> None:
        self.number = before.last + 1
        self.outcome = Outcome()
        self._replayer = replayer
        self._before = before
        self._taken_at = datetime.now(UTC)
        self._floor = replayer.lake.floor()
        self._landing = self._new_landing()
        self._replayed = self._judge(self._letters(places, choice))

    def land(self) -> None:
        """Append the records, which nobody sees yet."""
        self._replayer.lake.append("records", self._landing.records())

    def enter(self) -> bool:
        """Enter the ledger's row; False if another attempt stands under its number."""
        return self._replayer.ledger.enter(self._row()) is not None

    def _new_landing(self) -> Landing:
        settings = self._replayer.settings
        latest = self._taken_at + timedelta(seconds=settings.max_future_seconds)
        limits = (self._taken_at - settings.lateness, latest)
        attempt = str(uuid.uuid4())
        return Landing(self._replayer.decoder, settings.grid, self.number, attempt, self._taken_at, limits)

    def _letters(self, places: pl.DataFrame, choice: Choice) -> pl.DataFrame:
        """Those of the chunk that are still dead, and the clock of the intake that took each in."""
        first, last = places["intake"][0], places["intake"][-1]
        rows = dead_letters(self._replayer.lake, self._before, choice)
        mine = rows.filter(pl.col("intake").is_between(first, last)).join(places.lazy(), on=PLACE, how="semi")
        clocks = self._before.rows.select("number", "taken_at").lazy()
        columns = [*PLACE, "window", "reason", "timestamp", "value", "taken_at"]
        found = mine.join(clocks, left_on="intake", right_on="number").select(columns)
        return found.sort(PLACE).collect(engine="streaming")

    def _judge(self, letters: pl.DataFrame) -> list[dict[str, Any]]:
        """Take those that are records now; what the ledger says of each.

        A letter is as late as it was when it was taken in, and as far ahead as it is now.
        """
        rows, refused = self._landing.decoded(letters["value"].to_list(), letters["timestamp"])
        lateness = self._replayer.settings.lateness
        too_late = rows["event_time"] < letters["taken_at"] - lateness
        kept = (rows["event_time"] >= self._floor).fill_null(value=False)
        places = letters.select("kafka_partition", "kafka_offset")
        self._landing.add(rows.with_columns(*places, too_late.alias("too_late")).filter(kept))
        self.outcome.broken.update(error.reason for error in refused.values())
        self.outcome.before_floor += letters.height - len(refused) - int(kept.sum())
        for window in self._landing.landed():
            self.outcome.landed[window["window"]] += window["records"] + window["too_late"]
            self.outcome.too_late += window["too_late"]
        named = [
            "intake", pl.col("kafka_partition").alias("partition"), pl.col("kafka_offset").alias("offset"),
            "window", "reason",
        ]  # fmt: skip
        return letters.filter(kept).select(named).to_dicts()

    def _row(self) -> dict[str, Any]:
        return {
            "number": self.number,
            "attempt": self._landing.attempt,
            "kind": "replay",
            "topic_id": self._before[self._replayed[0]["intake"]].topic_id,
            "taken_at": self._taken_at,
            "caught_up": False,  # it read nothing
            "spans": [],
            "landed": self._landing.landed(),
            "refused": [],
            "replayed": self._replayed,
        }
