"""``silt doctor``: checks what Silt needs, one line each, and says what to do about what fails."""

import sys
from collections.abc import Callable
from functools import partial

import click

from local_stack.jars import cache_folder, verify
from local_stack.java import find_java, java_version
from local_stack.lock import lock_holder
from local_stack.ports import Port, check_free, is_busy, stack_ports
from local_stack.stack import check_spark
from resources.contract import Contract, load_contract
from resources.errors import LakeError, SiltError
from resources.kafka import Topic
from resources.settings import Settings, load_settings

_IDLE = "is not running: `silt up` starts it"


@click.command("doctor")
def command() -> None:
    """Check Java, ports, jars, broker, topic, Spark, lake and index, and say what to do about what fails.

    With a running stack its parts are asked; without one, it is checked that they can start.
    """
    settings = load_settings()
    contract = load_contract(settings.contract)
    results = [_tell(name, check) for name, check in _checks(settings, contract).items()]
    sys.exit(0 if all(results) else 2)


def _checks(settings: Settings, contract: Contract) -> dict[str, Callable[[], str]]:
    return {
        "contract": lambda: f"{settings.contract}, version {contract.version}",
        "java": _java,
        "ports": partial(_ports, settings),
        "jars": _jars,
        "broker": partial(_broker, settings, contract),
        "spark": partial(_spark, settings),
        "lake": partial(_lake, settings),
        "index": partial(_index, settings),
    }


def _tell(name: str, check: Callable[[], str]) -> bool:
    try:
        click.echo(f"ok      {name:<9} {check()}")
    except SiltError as error:
        click.echo(f"FAILED  {name:<9} {error}")
        return False
    return True


def _java() -> str:
    java = find_java()
    return f"{java}, Java {java_version(java)}"


def _ports(settings: Settings) -> str:
    ports = stack_ports(settings)
    numbers = ", ".join(str(port.number) for port in ports)
    if holder := lock_holder(settings.home):
        return f"{numbers}: used by Silt itself, process {holder}"
    check_free(ports)
    return f"{numbers} are free"


def _jars() -> str:
    folder = cache_folder()
    if not folder.is_dir():
        return f"Kafka's are not in {folder} yet: `silt up` downloads them"
    verify(folder)
    return f"Kafka's are in {folder}"


def _broker(settings: Settings, contract: Contract) -> str:
    servers = settings.kafka_properties["bootstrap.servers"]
    if settings.own_broker and not _runs(settings, "SILT_BROKER_PORT"):
        return f"{servers} {_IDLE}"
    state = Topic(settings, contract.topic).state()
    messages = sum(state.end[number] - state.low[number] for number in state.end)
    return f"{servers} has the topic {contract.topic}: {len(state.end)} partitions, {messages} messages"


def _spark(settings: Settings) -> str:
    if not settings.spark_remote and not _runs(settings, "SILT_SPARK_PORT"):
        return f"{settings.spark_url} {_IDLE}"
    check_spark(settings, seconds=3)
    return f"{settings.spark_url} answers"


def _lake(settings: Settings) -> str:
    from resources.lake import Lake  # noqa: PLC0415  (slow to import, and only needed here)

    lake = Lake(settings.lake)
    if not lake.exists:
        return f"{settings.lake} has no tables yet: `silt up` creates them"
    newest = max(lake.read("windows", ["window"])["window"].to_list(), default="none yet")
    return f"{settings.lake}: kept since {lake.floor():%Y-%m-%d}, newest window {newest}"


def _index(settings: Settings) -> str:
    from resources.id_coverage import uncovered_windows  # noqa: PLC0415  (slow to import)
    from resources.id_index import FOLDER, damaged  # noqa: PLC0415
    from resources.lake import Lake  # noqa: PLC0415

    folder = settings.home / FOLDER
    if names := damaged(folder):
        raise LakeError(
            f"{folder} has damaged or outdated parts: {', '.join(names)}. End the API, delete the folder, "
            "and start the API: it makes the index again."
        )
    lake = Lake(settings.lake)
    if not lake.exists:
        return f"{folder} is not there yet: the API makes it"
    published, left = uncovered_windows(lake, folder)
    why = f"; the API adds the others, as far as SILT_API_INDEX_MB={settings.api_index_mb} lets it"
    return f"{folder} has {published - left} of {published} published windows{why if left else ''}"


def _runs(settings: Settings, port_setting: str) -> bool:
    """Whether this home's stack runs and has the part that listens there."""
    ports: list[Port] = [port for port in stack_ports(settings) if port.setting == port_setting]
    return lock_holder(settings.home) is not None and any(map(is_busy, ports))
