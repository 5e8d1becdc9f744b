"""`silt broker`: a real Kafka in a real process."""

import signal
import subprocess
import sys
import time
from pathlib import Path

from confluent_kafka import Consumer, Producer, TopicPartition

from local_stack.groups import marked
from local_stack.lock import lock_holder
from local_stack.ports import answers
from resources.settings import Settings
from tests.local_stack.fixture_types import Silt

TOPIC = "customer-support"
DAY_MS = 24 * 60 * 60 * 1000


def wait_until_up(process: subprocess.Popen[str]) -> list[str]:
    lines = []
    assert process.stdout is not None
    for line in process.stdout:
        lines.append(line)
        if "Ctrl-C" in line:
            return lines
    raise AssertionError(f"{''.join(lines)} {process.communicate()}")


def end(process: subprocess.Popen[str], number: signal.Signals) -> int:
    process.send_signal(number)
    return process.wait(timeout=15)


def read_first(servers: str, partition: int) -> tuple[bytes | None, int]:
    consumer = Consumer({"bootstrap.servers": servers, "group.id": "test"})
    consumer.assign([TopicPartition(TOPIC, partition, 0)])
    message = consumer.poll(10)
    consumer.close()
    assert message is not None
    assert message.error() is None
    return message.value(), message.timestamp()[1]


def test_broker_keeps_old_records_over_an_end_and_a_kill(
    silt: Silt, environment: dict[str, str], home: Path
) -> None:
    servers = f"127.0.0.1:{environment['SILT_BROKER_PORT']}"
    ports = [int(environment[f"SILT_{name}_PORT"]) for name in ("BROKER", "CONTROLLER")]
    old = int(time.time() * 1000) - 20 * DAY_MS
    ahead = int(time.time() * 1000) + 3 * DAY_MS

    first = silt("broker")
    wait_until_up(first)
    producer = Producer({"bootstrap.servers": servers})
    producer.produce(TOPIC, b"old", partition=0, timestamp=old)
    producer.produce(TOPIC, b"ahead", partition=2, timestamp=ahead)
    assert producer.flush(10) == 0
    assert lock_holder(home) == first.pid
    assert end(first, signal.SIGINT) == 0
    assert marked(home) == []
    assert lock_holder(home) is None
    assert not any(answers("127.0.0.1", port) for port in ports)

    killed = silt("broker")
    wait_until_up(killed)
    killed.kill()
    killed.wait()
    assert marked(home) != []

    healed = silt("broker")
    assert "Ended what an earlier stack left running" in "".join(wait_until_up(healed))
    assert read_first(servers, 0) == (b"old", old)
    assert read_first(servers, 2) == (b"ahead", ahead)
    assert end(healed, signal.SIGTERM) == 0
    assert marked(home) == []


def test_second_stack_on_the_same_home_is_one_clear_error(
    silt: Silt, environment: dict[str, str], home: Path
) -> None:
    first = silt("broker")
    wait_until_up(first)
    second = subprocess.run(
        [sys.executable, "-m", "cli.main", "up"], env=environment, capture_output=True, text=True, check=False
    )
    assert second.returncode == 2
    assert second.stdout == ""
    assert second.stderr.splitlines() == [
        f"silt: Silt runs on {home} already (process {first.pid}): "
        "end that one, or set SILT_HOME to another folder."
    ]
    assert end(first, signal.SIGTERM) == 0


def test_a_broker_at_rest_writes_nothing(broker: Settings) -> None:
    logs = sorted((broker.home / "broker" / "data").glob("__cluster_metadata-0/*.log"))
    before = [log.stat().st_size for log in logs]
    time.sleep(1.5)
    assert [log.stat().st_size for log in logs] == before != []
