"""Every message of a busy topic stands in the lake once, in its home window: seen from outside."""

import time
from collections.abc import Iterator

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
        until(lambda: _is_calm(stack), 400)
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
