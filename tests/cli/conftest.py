"""A topic of its own for each test, with the contract that names it in force."""

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from confluent_kafka import Message
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from cli.sending import check_topic
from resources.contract import Contract, load_contract
from resources.kafka import Topic
from resources.settings import KAFKA_PREFIX, PROJECT, Settings
from tests.resources.intake_checks import messages_of

CONTRACT = PROJECT / "contracts" / "customer_support.yaml"


@dataclass(frozen=True)
class ContractTopic:
    """A topic on the broker, and the contract for it."""

    contract: Contract
    settings: Settings

    def messages(self) -> list[Message]:
        """All its messages, in order within each partition."""
        check_topic(self.settings, self.contract.topic)
        topic = Topic(self.settings, self.contract.topic)
        state = topic.state()
        return messages_of(topic.read(state.low, state.end, max_bytes=2**40))


MakeTopic = Callable[..., ContractTopic]


def use_contract(monkeypatch: pytest.MonkeyPatch, folder: Path, **changes: Any) -> Contract:
    """Put a changed customer-support contract in force."""
    path = folder / "contract.yaml"
    path.write_text(yaml.safe_dump(yaml.safe_load(CONTRACT.read_text()) | changes, sort_keys=False))
    monkeypatch.setenv("SILT_CONTRACT", str(path))
    return load_contract(path)


@pytest.fixture
def make_topic(broker: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MakeTopic:
    """Makes a topic (partitions, config) and puts the contract for it, with changes by name, in force."""
    for name, value in broker.kafka_properties.items():
        monkeypatch.setenv(KAFKA_PREFIX + name.upper().replace(".", "_"), value)

    def make(partitions: int = 1, config: dict[str, str] | None = None, **changes: Any) -> ContractTopic:
        contract = use_contract(monkeypatch, tmp_path, topic=f"test-{uuid.uuid4().hex}", **changes)
        topic = NewTopic(contract.topic, partitions, replication_factor=1, config=config or {})
        admin = AdminClient(dict(broker.kafka_properties))
        admin.create_topics([topic])[contract.topic].result(timeout=20)
        return ContractTopic(contract, broker)

    return make
