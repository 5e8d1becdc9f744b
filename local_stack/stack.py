"""What `silt up` and `silt broker` run: checks before anything starts, then the parts."""

from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from local_stack.broker import broker_parts
from local_stack.dagster_home import write_dagster_home
from local_stack.environment import stack_environment
from local_stack.groups import GroupRecords
from local_stack.jars import KafkaJars
from local_stack.java import find_java
from local_stack.lock import HomeLock
from local_stack.parts import Part
from local_stack.platform_parts import first_records_pending, mark_first_start, platform_parts, tell_urls
from local_stack.ports import answers, broker_ports, check_free, stack_ports
from local_stack.spark_server import spark_parts
from local_stack.stop import Stop
from local_stack.supervisor import Say, Supervisor
from resources.contract import Contract, load_contract
from resources.errors import SettingError, TransientError
from resources.kafka import Topic
from resources.settings import Settings


def run_stack(settings: Settings, sample: bool, say: Say) -> int:
    """`silt up`: the whole stack, until it is ended.

    Returns:
        The exit code.

    Raises:
        SiltError: something is wrong or missing; nothing was left running.
    """
    contract = load_contract(settings.contract)
    java = find_java() if settings.own_broker or not settings.spark_remote else None
    with HomeLock(settings.home), Stop() as stop:
        _end_leftovers(settings.home, say)
        check_free(stack_ports(settings))
        _check_foreign(settings, contract)
        say(f"Silt's home: {settings.home}")
        write_dagster_home(settings.home / "dagster", settings)
        if sample:
            mark_first_start(settings)
        parts = _kafka(settings, contract, java, stop, say)
        if java and not settings.spark_remote:
            parts += spark_parts(settings, java, warm=not first_records_pending(settings.home))
        parts += platform_parts(settings, sample)
        supervisor = Supervisor(settings.home, stack_environment(settings), parts, stop, say)
        return supervisor.run(when_up=partial(tell_urls, settings, say))


def run_broker(settings: Settings, say: Say) -> int:
    """`silt broker`: the broker alone, until it is ended.

    Returns:
        The exit code.

    Raises:
        SiltError: something is wrong or missing; nothing was left running.
    """
    if not settings.own_broker:
        raise SettingError(
            "SILT_KAFKA__BOOTSTRAP_SERVERS names a broker, so Silt starts none: unset it to start Silt's own."
        )
    contract = load_contract(settings.contract)
    java = find_java()
    with HomeLock(settings.home), Stop() as stop:
        _end_leftovers(settings.home, say)
        check_free(broker_ports(settings))
        say(f"Silt's home: {settings.home}")
        parts = broker_parts(settings, contract, java, _jars(settings, java, stop, say))
        supervisor = Supervisor(settings.home, stack_environment(settings), parts, stop, say)
        return supervisor.run(when_up=lambda: say("Ctrl-C ends it."))


def check_spark(settings: Settings, seconds: float = 10) -> None:
    """Connect to the Spark Connect server in use.

    Raises:
        TransientError: it accepts no connection.
    """
    url = urlsplit(settings.spark_url)
    if not answers(url.hostname or "", url.port or 15002, seconds):
        raise TransientError(
            f"The Spark Connect server {settings.spark_url} does not answer: "
            "start it, or correct SILT_SPARK_REMOTE."
        )


def _end_leftovers(home: Path, say: Say) -> None:
    if count := GroupRecords(home).end_leftovers():
        say(f"Ended what an earlier stack left running ({count} processes).")


def _check_foreign(settings: Settings, contract: Contract) -> None:
    if not settings.own_broker:
        Topic(settings, contract.topic).state()
    if settings.spark_remote:
        check_spark(settings)


def _jars(settings: Settings, java: Path, stop: Stop, say: Say) -> list[Path]:
    return KafkaJars(java, settings.maven_mirror, settings.home / "logs" / "jars.log", stop, say).class_path()


def _kafka(settings: Settings, contract: Contract, java: Path | None, stop: Stop, say: Say) -> list[Part]:
    if not java or not settings.own_broker:
        return []
    return broker_parts(settings, contract, java, _jars(settings, java, stop, say))
