"""What must hold of ledger, rows and answers after any step: plain reads, compared with what was sent."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import polars as pl

from tests.resources.conftest import Feed
from tests.resources.intake_checks import on_the_topic

Row = dict[str, Any]
Place = tuple[int, int]
MINUTES = 20


@dataclass(frozen=True)
class Sent:
    """A message that the broker acknowledged."""

    kind: str
    record_id: str
    at: datetime


@dataclass
class Log:
    """What the topic holds, as its producers know it: per (partition, offset) what was committed."""

    partitions: int
    committed: dict[Place, Sent] = field(default_factory=dict)
    ends: Counter[int] = field(default_factory=Counter)
    low: Counter[int] = field(default_factory=Counter)
    """Per partition, the first offset that retention has left."""


def key_of(at: datetime) -> str:
    """The key of the home of an event time."""
    return f"{at - timedelta(minutes=at.minute % MINUTES):%Y-%m-%dT%H%MZ}"


class Verifier:
    """Looks at the tables after each step; remembers what may not change."""

    def __init__(self, feed: Feed, log: Log) -> None:
        self.feed = feed
        self.log = log
        self.ledger: list[Row] = []
        self.records: list[Row] = []
        self.answers: dict[str, Row] = {}

    def check(self) -> None:
        """All that must hold at any time."""
        self._read_ledger()
        self.records, dead = self._named("records"), self._named("dead_letters")
        self._check_tiling()
        self._check_accounting([*self.records, *dead])
        self._check_counts(dead)
        for row in self.records:
            self._check_record(row)
        for row in dead:
            assert self.log.committed[_place(row)].kind in ("bad", "null")
        self._read_answers()

    def check_drained(self) -> None:
        """All that must hold once a calm taker took the rest and all due windows were answered."""
        self.check()
        ends = {span["partition"]: span["end"] for span in self.ledger[-1]["spans"]}
        assert ends == {partition: self.log.ends[partition] for partition in range(self.log.partitions)}
        there = [place for place in self.log.committed if place[1] >= self.log.low[place[0]]]
        assert on_the_topic(self.feed) == sorted(there)
        for row in self.records:
            assert row["too_late"] or self.answers[row["window"]]["covered"] >= row["intake"]

    def unanswered(self) -> set[str]:
        """The windows with records that no answer covers."""
        covered = {key: row["covered"] for key, row in self.answers.items()}
        rows = [row for row in self.records if not row["too_late"]]
        return {row["window"] for row in rows if row["intake"] > covered.get(row["window"], 0)}

    # ---- ledger ----

    def _read_ledger(self) -> None:
        ledger = self.feed.stored("ledger").sort("number").to_dicts()
        assert [row["number"] for row in ledger] == list(range(1, len(ledger) + 1))
        assert ledger[: len(self.ledger)] == self.ledger, "a row of the ledger changed"
        self.ledger = ledger

    def _named(self, table: str) -> list[Row]:
        attempts = {row["attempt"]: row["number"] for row in self.ledger}
        rows = self.feed.stored(table).filter(pl.col("attempt").is_in(list(attempts))).to_dicts()
        assert all(attempts[row["attempt"]] == row["intake"] for row in rows)
        return rows

    def _check_tiling(self) -> None:
        reached: dict[int, int] = {}
        for span in self._spans():
            partition = span["partition"]
            first = self.log.low[partition]
            assert span["start"] == reached.get(partition, min(span["start"], first)), "spans do not touch"
            reached[partition] = span["end"]

    def _check_accounting(self, rows: Sequence[Row]) -> None:
        expected = Counter[Place]()
        for span in self._spans():
            partition, first = span["partition"], span["start"] + span["missing"]
            assert first <= max(span["start"], self.log.low[partition]), "what is missing was there"
            places = ((partition, offset) for offset in range(first, span["end"]))
            expected.update(place for place in places if place in self.log.committed)
        assert Counter(map(_place, rows)) == expected, "a message is not exactly one row"

    def _spans(self) -> Iterable[Row]:
        return (span for row in self.ledger for span in row["spans"])

    def _check_counts(self, dead: Sequence[Row]) -> None:
        for column, rows, names in (
            ("landed", self.records, ("records", "too_late")),
            ("refused", dead, ("count",)),
        ):
            counted = Counter[tuple[int, str]]()
            for row in self.ledger:
                for entry in row[column]:
                    counted[row["number"], entry["window"]] += sum(entry[name] for name in names)
            assert counted == Counter((row["intake"], row["window"]) for row in rows)

    def _check_record(self, row: Row) -> None:
        sent = self.log.committed[_place(row)]
        assert (row["record_id"], row["event_time"]) == (sent.record_id, sent.at)
        assert row["window"] == key_of(sent.at)
        assert sent.kind in (("too late",) if row["too_late"] else ("fresh", "again"))

    # ---- answers ----

    def _read_answers(self) -> None:
        before, self.answers = self.answers, {}
        for row in self.feed.stored("windows").to_dicts():
            self.answers[row["window"]] = row
            self._check_answer(row)
            if known := before.get(row["window"]):
                same = row["digest"] == known["digest"]
                assert (row["revision"] == known["revision"]) is same, "a revision has two digests"
        assert before.keys() <= self.answers.keys()

    def _check_answer(self, answer: Row) -> None:
        """It is made from every named row up to the intake that it covers, and from nothing else."""
        assert answer["covered"] <= len(self.ledger)
        mine = [
            row
            for row in self.records
            if row["window"] == answer["window"]
            and not row["too_late"]
            and row["intake"] <= answer["covered"]
        ]
        mine.sort(key=lambda row: (row["event_time"], *_place(row)))
        latest = {row["record_id"]: _place(row) for row in mine}
        assert (answer["records"], answer["duplicates"]) == (len(latest), len(mine) - len(latest))
        assert answer["digest"] == self._digest(answer, sorted(latest.values()))

    def _digest(self, answer: Row, places: Sequence[Place]) -> str:
        digest = hashlib.sha256(f"{self.ledger[0]['topic_id']}\n{answer['contract_version']}\n".encode())
        for partition in sorted({partition for partition, _ in places}):
            offsets = [offset for one, offset in places if one == partition]
            digest.update(f"{partition}:{len(offsets)}\n".encode() + np.array(offsets, "<i8").tobytes())
        return digest.hexdigest()


def _place(row: Row) -> Place:
    return row["kafka_partition"], row["kafka_offset"]
