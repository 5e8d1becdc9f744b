"""Every message of a busy topic stands in the lake once, in its home window: seen from outside."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import polars as pl
import pytest

from tests.e2e.verifier import Place, Sent, Tables, check, read_tables, read_topic
from tests.stacks import Stack, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

Read = tuple[dict[Place, Sent], Tables]


@pytest.fixture(scope="module")
def read(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Read]:
    """A topic of three partitions and its lake, after five windows of a minute with all kinds of trouble."""
    changes = {"SILT_WINDOW_MINUTES": "1", "SILT_TOPIC_PARTITIONS": "3"}
    stack = Stack(tmp_path_factory.mktemp("busy") / "home", changes)
    try:
        stack.start("up", "--no-sample")
        trouble = ("--late", "0.03", "--bad", "0.01", "--duplicate", "0.01")
        stack.silt("simulate", "--rate", "200", *trouble, "--duration", "300s", seconds=400)
        until(lambda: _is_calm(stack))
        topic = read_topic(stack.settings.kafka_properties["bootstrap.servers"], stack.contract.topic)
        yield topic, read_tables(stack.settings.lake)
    finally:
        stack.stop()


def _is_calm(stack: Stack) -> bool:
    """Whether all that was sent is published: no window is due because records landed for it."""
    time.sleep(5)
    status = stack.silt("status")
    return "records landed for it" not in status and "runs in progress: 0" in status


def test_every_message_stands_once_in_its_home(read: Read) -> None:
    topic, tables = read
    assert len(topic) > 50_000
    assert tables.dead_letters["reason"].n_unique() >= 3
    assert (tables.windows["revision"] > 1).any()
    assert check(topic, tables, minutes=1) >= 5


def without_first(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.slice(1)


def with_first_twice(frame: pl.DataFrame) -> pl.DataFrame:
    return pl.concat([frame, frame.head(1)])


def in_another_window(frame: pl.DataFrame) -> pl.DataFrame:
    first = pl.int_range(pl.len()) == 0
    return frame.with_columns(window=pl.when(first).then(pl.lit("2026-01-01T0000Z")).otherwise("window"))


def with_another_attempt(frame: pl.DataFrame) -> pl.DataFrame:
    last = pl.col("number") == pl.col("number").max()
    has_records = pl.col("landed").list.len() > 0
    return frame.with_columns(attempt=pl.when(last | has_records).then(pl.lit("none")).otherwise("attempt"))


@pytest.mark.parametrize(
    ("table", "plant"),
    [
        ("records", without_first),
        ("records", with_first_twice),
        ("records", in_another_window),
        ("dead_letters", without_first),
        ("dead_letters", with_first_twice),
        ("results", without_first),
        ("results", with_first_twice),
        ("ledger", without_first),
        ("ledger", with_another_attempt),
    ],
)
def test_a_planted_bug_is_found(
    read: Read, table: str, plant: Callable[[pl.DataFrame], pl.DataFrame]
) -> None:
    topic, tables = read
    with pytest.raises(AssertionError):
        check(topic, replace(tables, **{table: plant(getattr(tables, table))}), minutes=1)
