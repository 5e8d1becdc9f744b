"""What must hold after intakes, and lakes whose process dies or is slow."""

import threading
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

import polars as pl
from confluent_kafka import Message, Producer

from resources.intake_rows import Intake
from resources.kafka import BoundedRead
from resources.lake import Lake
from tests.resources.conftest import Feed, record

Places = list[tuple[int, int]]


def messages_of(read: BoundedRead) -> list[Message]:
    """All that is read, to the end."""
    return [message for lot in read for message in lot.messages]


def milliseconds(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)


def places(rows: pl.DataFrame) -> Places:
    return list(rows.select("kafka_partition", "kafka_offset").iter_rows())


def taken_in(feed: Feed) -> Places:
    """Where the rows that the ledger names come from, in order; a replayed dead letter is a record."""
    named = [item for row in feed.stored("ledger")["replayed"].to_list() for item in row]
    replayed = Counter((item["partition"], item["offset"]) for item in named)
    dead = Counter(places(feed.named("dead_letters")))
    assert dead >= replayed
    return sorted([*places(feed.named("records")), *(dead - replayed).elements()])


def on_the_topic(feed: Feed) -> Places:
    return sorted((message.partition() or 0, message.offset() or 0) for message in feed.plain())


def check_tiling(intakes: Iterable[Intake], start: int = 0) -> None:
    """The spans of consecutive intakes touch, in each partition; a reset says where they go on."""
    reached: dict[int, int] = {}
    for intake in intakes:
        if intake.kind == "reset":
            reached = {partition: span.start for partition, span in intake.spans.items()}
        for partition, span in intake.spans.items():
            assert span.start == reached.get(partition, start)
            assert span.end >= span.start
            reached[partition] = span.end


def check_accounting(feed: Feed) -> None:
    """Rows and ledger say what a plain consumer reads; counts agree with the rows, window by window."""
    assert taken_in(feed) == on_the_topic(feed)
    ledger = feed.stored("ledger")
    assert ledger["number"].sort().to_list() == list(range(1, ledger.height + 1))
    for table, column, names in (
        ("records", "landed", ("records", "too_late")),
        ("dead_letters", "refused", ("count",)),
    ):
        entries = [entry for row in ledger[column].to_list() for entry in row]
        counted = Counter[Any]()
        for entry in entries:
            counted[entry["window"]] += sum(entry[name] for name in names)
        assert counted == Counter(feed.named(table)["window"].to_list())


def together(*work: Callable[[], None]) -> None:
    """Run all at once, each in a thread of its own; what one raises is raised here."""
    errors: list[BaseException] = []

    def guarded(one: Callable[[], None]) -> None:
        try:
            one()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=guarded, args=(one,)) for one in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


class CrashError(Exception):
    """A process that ends here."""


class DyingLake(Lake):
    """A lake whose process dies after it has landed, before the ledger's row is entered."""

    def insert_once(self, name: str, key: str, frame: pl.DataFrame) -> bool:
        raise CrashError


class SilentLake(Lake):
    """A lake that enters the ledger's row, and whose answer is lost on the way."""

    def insert_once(self, name: str, key: str, frame: pl.DataFrame) -> bool:
        assert super().insert_once(name, key, frame)
        return False


class SlowLake(Lake):
    """A lake in which another taker always is quicker."""

    rival: Callable[[], object]

    def insert_once(self, name: str, key: str, frame: pl.DataFrame) -> bool:
        self.rival()
        return super().insert_once(name, key, frame)


def send_with(writer: Producer, feed: Feed, ids: Iterable[object]) -> None:
    for number in ids:
        writer.produce(feed.topic, record(number), partition=0)
    writer.flush(20)


def landed_ids(feed: Feed) -> list[str]:
    return feed.named("records").sort("kafka_offset")["record_id"].to_list()
