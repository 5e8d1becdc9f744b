"""A topic of its own for each test, a lake in the test's folder, and readers that share nothing with Silt."""

import json
import logging
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewPartitions, NewTopic

from resources.contract import Contract, load_contract
from resources.errors import SiltError
from resources.intake import Taker
from resources.intake_rows import Intake, Span
from resources.kafka import Topic, TopicState
from resources.lake import Lake
from resources.settings import Settings
from resources.tables import TABLES
from resources.windows import Grid, Window
from tests.stacks import until as wait_until

_LOG = logging.getLogger("tests.kafka")
GRID = Grid(5)
NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
FIRST = GRID.window("2026-11-24T0500Z")
"""Its slot is 1."""
CONTRACT: dict[str, Any] = {
    "topic": "orders",
    "id": "id",
    "fields": {"id": "string", "shop": "string", "price": "number"},
    "features": ["shop", "price"],
    "statistics": {"avgPrice": "price"},
}


def contract_file(folder: Path, **changes: Any) -> Path:
    """A small contract, changed at its top level, as a file."""
    path = folder / "contract.yaml"
    path.write_text(yaml.safe_dump(CONTRACT | changes, sort_keys=False))
    return path


def contract_with(folder: Path, **changes: Any) -> Contract:
    """A small contract, changed at its top level."""
    return load_contract(contract_file(folder, **changes))


@dataclass
class Feed:
    """A topic with producers, the contract that names it, and a lake that takes it in."""

    settings: Settings
    contract: Contract
    producer: Producer = field(init=False)

    def __post_init__(self) -> None:
        self.producer = Producer(self.client)
        self.lake.create(datetime.now(UTC), self.settings.lateness)

    @property
    def client(self) -> dict[str, Any]:
        return {**self.settings.kafka_properties, "linger.ms": 5, "logger": _LOG}

    @property
    def topic(self) -> str:
        return self.contract.topic

    @property
    def lake(self) -> Lake:
        """A lake handle of its own, as another process has it."""
        return Lake(self.settings.lake)

    @property
    def admin(self) -> AdminClient:
        return AdminClient(dict(self.settings.kafka_properties))

    def taker(self, **changes: Any) -> Taker:
        """A taker of its own, as another process has it."""
        return Taker(self.settings.model_copy(update=changes), self.contract, self.lake)

    def take(self, **changes: Any) -> Intake:
        """One intake by a new taker; it must win."""
        intake = self.taker(**changes).take()
        assert intake is not None
        return intake

    def send(self, value: bytes | None, **more: Any) -> None:
        """Send one message as it stands."""
        self.producer.produce(self.topic, value, **more)
        self.producer.poll(0)

    def send_records(self, ids: Sequence[object], **more: Any) -> None:
        """Send records by their ids, wait for the broker's acknowledgement."""
        for number in ids:
            while True:
                try:
                    self.send(record(number), **more)
                    break
                except BufferError:
                    self.producer.poll(1)
        self.flush()

    def flush(self) -> None:
        assert self.producer.flush(30) == 0

    def plain(self) -> list[Message]:
        """All committed messages, read by a consumer that shares no code with Silt."""
        consumer = Consumer(
            {
                **self.settings.kafka_properties,
                "group.id": "plain",
                "isolation.level": "read_committed",
                "enable.partition.eof": True,
                "enable.auto.commit": False,
                "fetch.wait.max.ms": 10,
            }
        )
        partitions = consumer.list_topics(self.topic, timeout=10).topics[self.topic].partitions
        consumer.assign([TopicPartition(self.topic, p, OFFSET_BEGINNING) for p in partitions])
        messages: list[Message] = []
        ended: set[int | None] = set()
        while len(ended) < len(partitions):
            message = consumer.poll(10)
            assert message is not None
            error = message.error()
            if error is None:
                messages.append(message)
            else:
                assert error.code() == KafkaError._PARTITION_EOF
                ended.add(message.partition())
        consumer.close()
        return messages

    def delete_before(self, offset: int, partition: int = 0) -> None:
        """Make the broker forget what lies before an offset, as its retention does."""
        at = TopicPartition(self.topic, partition, offset)
        admin = self.admin
        admin.delete_records([at])[at].result(timeout=10)

    def add_partitions(self, total: int) -> None:
        admin = self.admin
        admin.create_partitions([NewPartitions(self.topic, total)])[self.topic].result(timeout=10)
        until(lambda: self.shows(lambda state: len(state.end) == total))
        self.producer = Producer(self.client)  # the other one keeps what it knows for minutes

    def recreate(self) -> None:
        """Delete the topic, create it again with one partition."""
        before, admin = self.state().id, self.admin
        admin.delete_topics([self.topic])[self.topic].result(timeout=20)
        until(lambda: self.topic not in admin.list_topics(timeout=10).topics)
        create_topic(self.settings, self.topic, 1, {})
        until(lambda: self.shows(lambda state: state.id != before))

    def shows(self, check: Callable[[TopicState], bool]) -> bool:
        """Whether the topic's state is so; not, while a change is still on its way through the broker."""
        try:
            return check(self.state())
        except SiltError:
            return False

    def state(self) -> TopicState:
        return Topic(self.settings, self.topic).state()

    def transaction(self) -> Producer:
        """A producer with a transaction begun."""
        writer = Producer({**self.client, "transactional.id": uuid.uuid4().hex})
        writer.init_transactions(30)
        writer.begin_transaction()
        return writer

    def wait_stable(self, offset: int, partition: int = 0) -> None:
        """Wait until the last stable offset is there: the markers of ended transactions are written."""
        until(lambda: self.shows(lambda state: state.end[partition] == offset))

    def stored(self, table: str) -> pl.DataFrame:
        """A whole table, invisible rows included."""
        return pl.read_delta(f"{self.settings.lake}/{table}")

    def named(self, table: str) -> pl.DataFrame:
        """The rows that the ledger names."""
        return self.stored(table).join(self.stored("ledger").select("attempt"), on="attempt", how="semi")

    def rows(self, *tables: str) -> int:
        return sum(self.stored(table).height for table in tables)


def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition, at most twenty seconds."""
    wait_until(condition, 20)


def record(number: object, **more: Any) -> bytes:
    """A record's bytes."""
    return json.dumps({"id": f"id-{number}", "shop": "north", "price": "1.5", **more}).encode()


def create_topic(settings: Settings, name: str, partitions: int, config: Mapping[str, str]) -> None:
    topic = NewTopic(name, partitions, replication_factor=1, config=dict(config))
    admin = AdminClient(dict(settings.kafka_properties))
    admin.create_topics([topic])[name].result(timeout=20)


MakeFeed = Callable[..., Feed]


@pytest.fixture
def make_feed(broker: Settings, tmp_path: Path) -> MakeFeed:
    """Makes a feed: partitions, topic's config, changed settings, broker; contract changes by name."""

    def make(
        partitions: int = 1,
        config: Mapping[str, str] | None = None,
        settings: Mapping[str, Any] | None = None,
        on: Settings = broker,
        **changes: Any,
    ) -> Feed:
        path = contract_file(tmp_path, topic=f"test-{uuid.uuid4().hex}", **changes)
        contract = load_contract(path)
        create_topic(on, contract.topic, partitions, config or {})
        servers = on.kafka_properties["bootstrap.servers"]
        values: dict[str, Any] = {"home": tmp_path, "contract": path, **(settings or {})}
        feed = Feed(Settings(_env_file=None, kafka={"bootstrap_servers": servers}, **values), contract)
        until(lambda: feed.shows(lambda state: len(state.end) == partitions))
        return feed

    return make


@pytest.fixture
def feed(make_feed: MakeFeed) -> Feed:
    """A feed with one partition."""
    return make_feed()


@pytest.fixture
def contract(tmp_path: Path) -> Contract:
    """The small contract of these tests."""
    return contract_with(tmp_path)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """An empty lake, created at :data:`NOW`: its floor is 2026-11-22."""
    lake = Lake(str(tmp_path / "lake"))
    lake.create(NOW, timedelta(hours=24))
    return lake


def intake(
    number: int,
    taken_at: datetime,
    landed: Mapping[str, int] | None = None,
    caught_up: bool = True,
    **more: Any,
) -> Intake:
    """A ledger row as readers see it."""
    values: dict[str, Any] = {"kind": "topic", "topic_id": "topic", "spans": {}, "refused": {}, **more}
    return Intake(
        number=number,
        attempt=f"attempt-{number}",
        taken_at=taken_at,
        caught_up=caught_up,
        landed=landed or {},
        **values,
    )


def span(start: int, end: int, partition: int = 0, missing: int = 0) -> Span:
    return Span(partition, start, end, missing, None, None, None, None)


def landed_rows(
    window: Window,
    number: int,
    places: Sequence[tuple[int, int]],
    ids: Sequence[str] | None = None,
    seconds: Sequence[float] | None = None,
    too_late: bool = False,
) -> pl.DataFrame:
    """Rows of ``records`` that intake ``number`` landed, at (partition, offset) places."""
    names = ids or [f"id-{partition}-{offset}" for partition, offset in places]
    after = seconds or [1.0] * len(places)
    rows = [
        {
            "date": window.date,
            "window": window.key,
            "record_id": name,
            "event_time": window.start + timedelta(seconds=second),
            "too_late": too_late,
            "intake": number,
            "attempt": f"attempt-{number}",
            "kafka_partition": partition,
            "kafka_offset": offset,
        }
        for (partition, offset), name, second in zip(places, names, after, strict=True)
    ]
    return pl.DataFrame(rows, schema=dict(TABLES["records"].schema))


def window_row(window: Window, **values: Any) -> pl.DataFrame:
    """A row of ``windows``, published unless ``values`` say otherwise."""
    row = {
        "date": window.date,
        "window": window.key,
        "slot": window.slot,
        "revision": 1,
        "digest": "d1",
        "state": "published",
        "covered": 1,
        "attempts": 0,
        **values,
    }
    return pl.DataFrame([row], schema=dict(TABLES["windows"].schema))


def ledger_row(number: int, attempt: str = "", **values: Any) -> pl.DataFrame:
    """A row of ``ledger``, as an intake of five-minute windows and the id field ``id`` enters it."""
    row = {
        "number": number,
        "attempt": attempt or f"attempt-{number}",
        "kind": "topic",
        "topic_id": "topic",
        "window_minutes": 5,
        "id_field": "id",
        "taken_at": NOW,
        "caught_up": True,
        "spans": [],
        "landed": [],
        "refused": [],
        "replayed": [],
        **values,
    }
    return pl.DataFrame([row], schema=dict(TABLES["ledger"].schema))
