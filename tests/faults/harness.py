"""``python -m tests.faults.harness PLAN FOLDER``: a stack, its faults, and the proof.

Run it apart (``python -m tests.faults``): it mounts a disk, and kills what it starts.
"""

import random
import re
import shutil
import sys
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import click

from tests.faults.calm import calm_lake
from tests.faults.comparison import compare
from tests.faults.disk import SmallDisk, small_disk
from tests.faults.faults import (
    OTHER_PARTS,
    Fault,
    backfill,
    fill_disk,
    kill_crowded_stack,
    kill_daemon,
    kill_run,
    kill_stack,
    run_twice,
    terminate_stack,
)
from tests.faults.graphql import Dagster
from tests.faults.messages import MINUTE, Messages, window_key
from tests.faults.plans import PLANS, Plan
from tests.faults.producer import Producer, now
from tests.faults.reader import Reader
from tests.faults.report import Report
from tests.faults.scene import Scene, start
from tests.faults.tables import Tables, read_tables
from tests.faults.topic import Place, Sent, batches, read_topic
from tests.faults.verifier import check, check_acknowledged
from tests.stacks import Stack, until

PARTITIONS = 3
_PAST_BEGINS = 180
_CALM_WITHIN = 900


def run(plan: Plan, folder: Path, keep: Path | None = None) -> Report:
    """One whole run in an empty folder; an AssertionError says what went wrong.

    Args:
        keep: a folder for the lake and the home of a run that failed.
    """
    report = Report()
    with small_disk(folder / "disk", plan.disk_megabytes) as disk, _stack(folder, disk, keep) as stack:
        with report.timed("start"):
            start(stack)
        scene = _scene(plan, stack, disk)
        reader = Reader(f"http://127.0.0.1:{stack.settings.api_port}", Path(stack.settings.lake))
        scene.producer.start()
        reader.start()
        with report.timed("faults"):
            _faults(plan, scene, reader)
            scene.producer.finish(120)
        topic = read_topic(stack.settings.kafka_properties["bootstrap.servers"], stack.contract.topic)
        windows = sorted(batches(topic, time.time())[0])
        with ThreadPoolExecutor() as beside:
            calm = beside.submit(calm_lake, stack, folder / "calm", windows)
            with report.timed("until calm"):
                until(lambda: _is_calm(scene), _CALM_WITHIN)
            reader.finish()
            report.faults, report.reads = dict(scene.happened), reader.counts
            assert not reader.wrong, "what no reader may see:\n" + "\n".join(reader.wrong)
            with report.timed("verification"):
                tables = _verify(plan, scene, report, topic)
                assert compare(tables, read_tables(calm.result())) >= len(windows) >= plan.least_windows
    return report


def _scene(plan: Plan, stack: Stack, disk: SmallDisk) -> Scene:
    begin = now()
    end = (begin // MINUTE + plan.live_windows) * MINUTE
    first = begin // MINUTE - _PAST_BEGINS
    past = [(first + number) * MINUTE for number in range(plan.past_windows)]
    messages = Messages(begin, end, past, seed=4)
    servers = stack.settings.kafka_properties["bootstrap.servers"]
    first_messages = messages.of_the_past(plan.past_records)
    producer = Producer(servers, stack.contract.topic, PARTITIONS, messages, first_messages, plan.rate)
    return Scene(plan, stack, Dagster(stack.settings), disk, producer, messages, past, random.Random(7))


def _faults(plan: Plan, scene: Scene, reader: Reader) -> None:
    """Every round all faults, once there is an answer to harm; they end with the producer's live windows."""
    ended = time.monotonic() + plan.live_seconds
    until(lambda: reader.counts["answers over HTTP"])
    for number in range(plan.rounds):
        for fault in _round(plan, scene, number):
            _say(f"round {number + 1}: {_name(fault)}")
            fault(scene)
            assert not reader.wrong, "what no reader may see:\n" + "\n".join(reader.wrong)
    while time.monotonic() < ended:
        time.sleep(1)


def _round(plan: Plan, scene: Scene, number: int) -> list[Fault]:
    """All faults, in another order each round; in the first, in the one that waits least."""
    faults: list[Fault] = [
        run_twice,
        kill_stack if number % plan.crowded else kill_crowded_stack,
        *OTHER_PARTS,
        *[kill_run] * plan.run_kills,
        kill_daemon,
        backfill,
        fill_disk,
        terminate_stack,
    ]
    if number:
        scene.random.shuffle(faults)
    return faults


def _is_calm(scene: Scene) -> bool:
    """Nothing is due, and nothing runs but what attends the open window."""
    open_windows = {window_key(now()), window_key(now() - MINUTE // 6)}
    running = {run.tags.get("dagster/partition") for run in scene.dagster.unfinished()}
    if not running <= open_windows or scene.dagster.backfills_in_progress():
        return False
    status = scene.stack.silt("status")
    lags = re.findall(r"^\d+ +\d+ +\d+ +(\d+) ", status, re.MULTILINE)
    return len(lags) == PARTITIONS and set(lags) == {"0"} and not re.search(r"^  due ", status, re.MULTILINE)


def _verify(plan: Plan, scene: Scene, report: Report, topic: Mapping[Place, Sent]) -> Tables:
    tables = read_tables(scene.stack.settings.lake)
    acknowledged = {place: item.identity for place, item in scene.producer.acknowledged.items()}
    assert not scene.producer.refused, f"the broker refused: {scene.producer.refused}"
    assert len(acknowledged) >= plan.least_acknowledged, f"{len(acknowledged)} acknowledged"
    check_acknowledged(topic, acknowledged)
    report.acknowledged, report.landed = len(acknowledged), len(topic)
    report.windows = check(topic, tables)
    report.revisions = int(tables.windows["revision"].sum())
    assert report.revisions > report.windows, "no window was answered twice"
    return tables


@contextmanager
def _stack(folder: Path, disk: SmallDisk, keep: Path | None) -> Iterator[Stack]:
    changes = {
        "SILT_WINDOW_MINUTES": "1",
        "SILT_TOPIC_PARTITIONS": str(PARTITIONS),
        "SILT_LAKE_URI": str(disk.folder / "lake"),
    }
    stack = Stack(folder / "home", changes)
    try:
        yield stack
    except BaseException:
        _say((stack.home / "silt.log").read_text()[-3000:])
        if keep:
            shutil.copytree(stack.settings.lake, keep / "lake")
            shutil.copytree(stack.home, keep / "home", ignore=shutil.ignore_patterns("lock"))
        raise
    finally:
        stack.stop()


def _name(fault: Fault) -> str:
    named = getattr(fault, "func", fault)
    return " ".join([named.__name__, *getattr(fault, "args", ())[:1]])


def _say(text: str) -> None:
    sys.stdout.write(f"{time.strftime('%H:%M:%S')} {text}\n")
    sys.stdout.flush()


@click.command()
@click.argument("plan", type=click.Choice(list(PLANS)))
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--keep", type=click.Path(path_type=Path))
def main(plan: str, folder: Path, keep: Path | None) -> None:
    """Run, and print the report."""
    click.echo(run(PLANS[plan], folder, keep).markdown())


if __name__ == "__main__":
    main()
