"""Kafka: the broker that Silt starts itself, and the topic on it."""

import base64
import uuid
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.cimpl import NewTopic

from local_stack.java import LIGHT
from local_stack.parts import Part
from local_stack.ports import LOOPBACK, answers
from resources.contract import Contract
from resources.errors import SiltError
from resources.kafka import Topic, admin_client
from resources.settings import Settings

_DAY_MS = 24 * 60 * 60 * 1000
_FOREVER = 2**63 - 1
_LOGGING = {  # without a provider and its configuration Kafka says nothing, not even why it ends
    "logFile": "System.out",
    "showDateTime": "true",
    "dateTimeFormat": "yyyy-MM-dd HH:mm:ss.SSS",
    "showThreadName": "false",
    "defaultLogLevel": "warn",
    "log.kafka.server": "info",
    "log.org.apache.kafka.server": "info",
}


def broker_parts(settings: Settings, contract: Contract, java: Path, jars: Sequence[Path]) -> list[Part]:
    """The broker, ready once the topic is there; before its first start, the formatting of its folder."""
    folder = settings.home / "broker"
    properties = folder / "server.properties"
    folder.mkdir(parents=True, exist_ok=True)
    properties.write_text(render_properties(settings))
    run = _java_command(settings, java, jars)
    broker = Part(
        name="broker",
        command=[*run, "kafka.Kafka", str(properties)],
        ready=partial(_ready, settings, contract),
        url=f"{LOOPBACK}:{settings.broker_port}",
        after=("broker-format",),
    )
    if is_formatted(settings.home):
        return [broker]
    tool = [*run, "kafka.tools.StorageTool", "format", "--standalone", "--ignore-formatted"]
    return [
        Part(
            name="broker-format",
            command=[*tool, "--cluster-id", _cluster_id(), "--config", str(properties)],
            once=True,
        ),
        broker,
    ]


def is_formatted(home: Path) -> bool:
    """Whether this home's broker was started before."""
    return (home / "broker" / "data" / "meta.properties").exists()


def render_properties(settings: Settings) -> str:
    """The broker's server.properties: one node that is broker and controller, on loopback alone.

    Records keep the timestamps of their producers, however old or new, and stay as long as the lake's;
    one day more, so that what the lake may still read is never at its edge.
    """
    listeners = (
        f"PLAINTEXT://{LOOPBACK}:{settings.broker_port},CONTROLLER://{LOOPBACK}:{settings.controller_port}"
    )
    properties = {
        "process.roles": "broker,controller",
        "node.id": 1,
        "listeners": listeners,
        "advertised.listeners": listeners,
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "inter.broker.listener.name": "PLAINTEXT",
        "controller.listener.names": "CONTROLLER",
        "controller.quorum.bootstrap.servers": f"{LOOPBACK}:{settings.controller_port}",
        "log.dirs": settings.home / "broker" / "data",
        "log.retention.ms": (settings.retention_days + 1) * _DAY_MS,
        "log.message.timestamp.type": "CreateTime",
        "log.message.timestamp.before.max.ms": _FOREVER,
        "log.message.timestamp.after.max.ms": _FOREVER,
        "auto.create.topics.enable": "false",
        "default.replication.factor": 1,
        "min.insync.replicas": 1,
        "offsets.topic.replication.factor": 1,
        "offsets.topic.num.partitions": 1,
        "transaction.state.log.replication.factor": 1,
        "transaction.state.log.min.isr": 1,
        "transaction.state.log.num.partitions": 1,
        "share.coordinator.state.topic.replication.factor": 1,
        "share.coordinator.state.topic.min.isr": 1,
        "share.coordinator.state.topic.num.partitions": 1,
        "group.initial.rebalance.delay.ms": 0,
        "log.cleaner.dedupe.buffer.size": 2 * 1024 * 1024,
        "num.network.threads": 2,
        "num.io.threads": 4,
        "background.threads": 2,
        "group.coordinator.threads": 1,  # Silt has no consumer group
        "metadata.max.idle.interval.ms": 60_000,  # by default the log of metadata grows twice a second
    }
    return "".join(f"{name}={_escaped(value)}\n" for name, value in properties.items())


def create_topic(settings: Settings, contract: Contract) -> None:
    """Create the contract's topic on Silt's own broker, unless it is there.

    Raises:
        KafkaException: the broker did not do it.
    """
    topic = NewTopic(contract.topic, settings.topic_partitions, replication_factor=1)
    try:
        admin_client(settings).create_topics([topic])[contract.topic].result(timeout=10)
    except KafkaException as error:
        if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
            raise


def _ready(settings: Settings, contract: Contract) -> bool:
    if not answers(LOOPBACK, settings.broker_port):
        return False
    try:
        create_topic(settings, contract)
        Topic(settings, contract.topic).state()
    except (KafkaException, SiltError):
        return False
    return True


def _java_command(settings: Settings, java: Path, jars: Sequence[Path]) -> list[str]:
    logging = {f"org.slf4j.simpleLogger.{name}": value for name, value in _LOGGING.items()}
    properties = {**logging, "java.io.tmpdir": settings.home / "tmp", "java.net.preferIPv4Stack": "true"}
    return [
        str(java),
        *("-Xms16m", f"-Xmx{settings.broker_memory}", *LIGHT),
        *(f"-D{name}={value}" for name, value in properties.items()),
        *("-cp", ":".join(map(str, jars))),
    ]


def _escaped(value: object) -> str:
    """A value as Java reads it from a properties file: all but plain ASCII as UTF-16 code units."""
    units = memoryview(str(value).encode("utf-16-le")).cast("H")
    return "".join(chr(unit) if 32 <= unit < 127 and unit != 92 else f"\\u{unit:04x}" for unit in units)


def _cluster_id() -> str:
    """A random id in Kafka's own form: a UUID in URL-safe Base64, which must not begin with a dash."""
    text = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    return text.replace("-", "A", 1) if text.startswith("-") else text
