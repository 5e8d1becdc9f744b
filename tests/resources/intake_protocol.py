"""The intake protocol as a state machine: takers, crashes, readers, upkeep and retention in any order."""

import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
from confluent_kafka import Message, Producer
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from resources.batch import Batch, check_current, select
from resources.due import covered_intakes, due_windows
from resources.errors import LakeError, TransientError
from resources.intake import Attempt, Taker
from resources.intakes import Intakes
from resources.lake import Lake
from resources.ledger import Ledger
from resources.publication import publish
from resources.upkeep.attempts import remove_lost
from resources.upkeep.days import compact_running, merge_past, running_from
from resources.upkeep.report import Report
from resources.windows import Window
from tests.resources.conftest import Feed, record
from tests.resources.intake_checks import CrashError
from tests.resources.protocol_checks import MINUTES, Log, Place, Sent, Verifier

PARTITIONS = 2
TAKERS = st.integers(0, 2)
READERS = st.integers(0, 1)
STEPS = st.integers(1, 4)
POINTS = ("before dead_letters", "before ledger", "before ledger", "after ledger")
OTHERS = ("nothing", "nothing", "crash", "taker", "taker", "reader", "upkeep", "retention")
TABLES = ("ledger", "records", "dead_letters", "windows")
KINDS = ("fresh", "fresh", "again", "bad", "null", "too late")
MESSAGES = st.lists(
    st.tuples(st.sampled_from(KINDS), st.integers(0, PARTITIONS - 1), st.integers(0, 1), st.integers(0, 3)),
    min_size=1,
    max_size=5,
)
"""Kind, partition, which of two windows, seconds after its start."""


class SteppedLake(Lake):
    """A lake in which others act, or its process dies, between two of its writes."""

    def __init__(self, uri: str) -> None:
        super().__init__(uri)
        self.at: dict[str, Callable[[], object]] = {}

    def append(self, name: str, frame: pl.DataFrame) -> None:
        self._pass(f"before {name}")
        super().append(name, frame)

    def insert_once(self, name: str, key: str, frame: pl.DataFrame) -> bool:
        self._pass(f"before {name}")
        inserted = super().insert_once(name, key, frame)
        self._pass(f"after {name}")
        return inserted

    def _pass(self, point: str) -> None:
        self.at.pop(point, lambda: None)()


class TakerProcess:
    """A process that takes in, one step at a time."""

    def __init__(self, feed: Feed) -> None:
        self.lake = SteppedLake(feed.settings.lake)
        self.taker = Taker(feed.settings, feed.contract, self.lake)
        self.attempt: Attempt | None = None
        self.landed = False

    def step(self) -> str:
        """Begin, land or enter; what came of it."""
        if self.attempt is None:
            self.attempt = self.taker.begin()
            return "began"
        if not self.landed:
            return self._land(self.attempt)
        intake, self.attempt, self.landed = self.attempt.enter(), None, False
        if intake is None:
            return "lost its number"
        return "caught up" if intake.caught_up else "entered a chunk"

    def _land(self, attempt: Attempt) -> str:
        try:
            attempt.land()
        except TransientError:
            self.attempt = None
            return "retention overtook a read"
        self.landed = True
        return "landed"


class Reader:
    """A process that answers windows: it reads the ledger, selects a window's rows, publishes."""

    def __init__(self, feed: Feed) -> None:
        self.feed = feed
        self.lake = feed.lake
        self.grid = feed.settings.grid
        self.ledger = Ledger(self.lake, MINUTES, feed.contract.id)
        self.seen: Intakes | None = None
        self.batch: Batch | None = None

    def step(self, window: Window) -> str:
        """Look, select or publish; what came of it."""
        if self.seen is None:
            self.seen = self.look()
            return "looked"
        if self.batch is None:
            self.batch = self.select(window, self.seen) if self.seen.last else None
            self.seen = self.seen if self.batch else None
            return "selected"
        batch, self.batch, self.seen = self.batch, None, None
        return self.publish(batch)

    def look(self) -> Intakes:
        return self.ledger.intakes()

    def select(self, window: Window, seen: Intakes) -> Batch:
        return select(self.lake, self.feed.contract, self.grid, window, seen)

    def publish(self, batch: Batch) -> str:
        try:
            check_current(self.lake, self.feed.contract, batch)
        except LakeError:
            return "another answered"
        publish(self.lake, self.grid, batch, "published", (0, 0))
        return "answered" if batch.revision == 1 else "answered anew"


@dataclass
class History:
    """What happened in all examples of a run."""

    happened: Counter[str] = field(default_factory=Counter)
    examples: list[list[str]] = field(default_factory=list)

    def __str__(self) -> str:
        steps = sum(map(len, self.examples))
        different = len(set(map(tuple, self.examples)))
        counts = ", ".join(f"{what}: {count}" for what, count in sorted(self.happened.items()))
        return f"{len(self.examples)} examples ({different} different), {steps} steps; {counts}"


class IntakeProtocol(RuleBasedStateMachine):
    """Every rule is a few steps of one process; what must hold is checked after each.

    What Hypothesis may choose depends on its own choices alone, never on how much a read happened to fetch.
    """

    def __init__(self, make_feed: Callable[[], Feed], history: History) -> None:
        super().__init__()
        self.feed = make_feed()
        self.history = history
        self.steps: list[str] = []
        history.examples.append(self.steps)
        self.log = Log(PARTITIONS)
        self.verifier = Verifier(self.feed, self.log)
        self.holds = True
        self.takers = [TakerProcess(self.feed) for _ in range(3)]
        self.readers = [Reader(self.feed) for _ in range(2)]
        self.writer: Producer | None = None
        self.open: dict[Place, Sent] = {}
        self.turns = self.kept = 0
        self.checked = self._versions()
        home = self.feed.settings.grid.home(datetime.now(UTC))
        self.windows = [home.step(-place) for place in (4, 9)]

    # ---- the topic ----

    @precondition(lambda self: self.log.ends.total() <= 2 * self.turns)
    @rule(messages=MESSAGES, transactional=st.booleans())
    def send(self, messages: list[tuple[str, int, int, int]], transactional: bool) -> None:
        if transactional and not self.open:
            self.writer = self.writer or self._writer()
            self.writer.begin_transaction()
        producer = self.writer if transactional else None
        sent = self._produce(producer or self.feed.producer, messages)
        (self.open if transactional else self.log.committed).update(sent)
        for partition, _ in sent:
            self.log.ends[partition] += 1
        self._note("sent in a transaction" if transactional else "sent")

    @precondition(lambda self: self.open)
    @rule(commit=st.booleans())
    def end_transaction(self, commit: bool) -> None:
        assert self.writer
        end = self.writer.commit_transaction if commit else self.writer.abort_transaction
        end(20)
        if commit:
            self.log.committed.update(self.open)
        for partition in {partition for partition, _ in self.open}:
            self.log.ends[partition] += 1  # the transaction's marker
        self.open.clear()
        self._wait_stable()
        self._note("committed" if commit else "aborted")

    @precondition(lambda self: self.log.low.total() < self.turns // 5)
    @rule(partition=st.integers(0, PARTITIONS - 1), count=st.integers(1, 4))
    def forget(self, partition: int, count: int) -> None:
        """The broker's retention moves on."""
        stable = min((o for p, o in self.open if p == partition), default=self.log.ends[partition])
        offset = min(self.log.low[partition] + count, stable)
        if offset > self.log.low[partition]:
            self.feed.delete_before(offset, partition)
            self.log.low[partition] = offset
            self._note("retention moved")

    # ---- who takes in, and who answers ----

    @rule(who=TAKERS, steps=STEPS, point=st.sampled_from(POINTS), other=st.sampled_from(OTHERS))
    def take(self, who: int, steps: int, point: str, other: str) -> None:
        """A taker's next steps; amid one of them another process's, or its own death."""
        process = self.takers[who]
        process.lake.at = {point: lambda: self._amid(who, other)} if other != "nothing" else {}
        try:
            for _ in range(steps):
                self._note(process.step())
        except CrashError:
            self.crash(who)
        process.lake.at = {}

    @rule(who=TAKERS)
    def crash(self, who: int) -> None:
        if self.takers[who].attempt:
            self._note("crashed after landing" if self.takers[who].landed else "crashed before it had landed")
        self.takers[who] = TakerProcess(self.feed)

    @rule(who=READERS, window=st.integers(0, 1), steps=st.integers(1, 2))
    def read(self, who: int, window: int, steps: int) -> None:
        for _ in range(steps):
            self._note(self.readers[who].step(self.windows[window]))

    @precondition(lambda self: self.turns >= self.kept + 4)
    @rule()
    def upkeep(self) -> None:
        self.kept = self.turns
        lake, report = self.feed.lake, Report(self.feed.lake)
        remove_lost(lake, report)
        first = running_from(datetime.now(UTC), self.feed.settings.lateness)
        compact_running(lake, first, report)
        merge_past(lake, first, report)
        changes = report.changes.values()
        self._note("upkeep removed rows" if any(change.rows_removed for change in changes) else "upkeep")
        if any(change.rewritten for change in changes):
            self.history.happened["upkeep merged files"] += 1

    def _amid(self, who: int, other: str) -> None:
        self._note(f"amid a step: {other}")
        match other:
            case "crash":
                raise CrashError
            case "taker":
                rival = self.takers[(who + 1) % 3]
                while (came := rival.step()) in ("began", "landed"):
                    self._note(came)
                self._note(came)
            case "reader":
                self.read(0, 0, 1)
            case "upkeep":
                self.upkeep()
            case "retention":
                self.forget(0, 1)
        self.everything_holds()

    # ---- what must hold ----

    @invariant()
    def count(self) -> None:
        self.turns += 1

    @invariant()
    def everything_holds(self) -> None:
        if (written := self._versions()) != self.checked:
            self.holds = False
            self.verifier.check()
            self.holds, self.checked = True, written

    def teardown(self) -> None:
        """One calm taker takes the rest, every due window is answered; then nothing is left to do."""
        if not self.holds:
            return
        if self.open:
            self.end_transaction(commit=True)
        self._wait_stable()
        grid, reader = self.feed.settings.grid, Reader(self.feed)
        taker = self.feed.taker()
        taker.take_new()
        taker.take_to(grid.close(grid.newest_closed(datetime.now(UTC))))
        self.verifier.check()
        for key in self._due() & {window.key for window in self.windows}:
            reader.publish(reader.select(grid.window(key), reader.look()))
        self.verifier.check_drained()
        assert not self.verifier.unanswered()
        touched = {key for key in self._due() if taker.ledger.intakes().missing(grid.window(key))}
        assert self._due() == touched, "a window is due for which nothing landed and nothing is missing"

    def _due(self) -> set[str]:
        lake, grid = self.feed.lake, self.feed.settings.grid
        intakes = Ledger(lake, MINUTES, self.feed.contract.id).intakes()
        due = due_windows(intakes, covered_intakes(lake), grid, lake.floor(), datetime.now(UTC))
        return {one.window.key for one in due}

    # ---- helpers ----

    def _note(self, what: str) -> None:
        self.steps.append(what)
        self.history.happened[what] += 1

    def _versions(self) -> list[int]:
        lake = Path(self.feed.settings.lake)
        return [len(list((lake / name / "_delta_log").iterdir())) for name in TABLES]

    def _writer(self) -> Producer:
        writer = Producer({**self.feed.client, "transactional.id": self.feed.topic})
        writer.init_transactions(30)
        return writer

    def _produce(
        self, producer: Producer, messages: Iterable[tuple[str, int, int, int]]
    ) -> dict[Place, Sent]:
        sent: dict[Place, Sent] = {}
        for kind, partition, window, second in messages:
            at = self.windows[window].start + timedelta(seconds=second)
            at -= timedelta(hours=50) if kind == "too late" else timedelta(0)
            number = 0 if kind == "again" else len(self.log.committed) + len(self.open) + len(sent)
            message = Sent(kind, f"id-{number}", at)

            def acknowledged(error: object, there: Message, message: Sent = message) -> None:
                assert error is None
                sent[there.partition() or 0, there.offset() or 0] = message

            producer.produce(
                self.feed.topic,
                {"bad": b"no json", "null": None}.get(kind, record(number)),
                partition=partition,
                timestamp=round(at.timestamp() * 1000),
                on_delivery=acknowledged,
            )
        assert producer.flush(30) == 0
        return sent

    def _wait_stable(self) -> None:
        """The markers of ended transactions are written a moment after their end."""
        ends: dict[int, Any] = {partition: self.log.ends[partition] for partition in range(PARTITIONS)}
        deadline = time.monotonic() + 20
        while self.feed.state().end != ends:
            assert time.monotonic() < deadline
            time.sleep(0.01)
