"""``python -m bench.big_lake HOME``: a lake of 26,000 windows, for `silt up` to run on, and its figures."""

import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import groupby
from pathlib import Path
from typing import TypeVar

import click
from confluent_kafka import Producer

from api.answers import Answers
from api.published import WindowsTable
from bench import lake_rows
from bench.lake_rows import Plan
from resources.id_index import FOLDER, IdIndex
from resources.kafka import Topic
from resources.lake import Lake
from resources.ledger import Ledger
from resources.tables import TABLES
from resources.upkeep.attempts import remove_lost
from resources.upkeep.days import compact_running, merge_past, running_from
from resources.upkeep.report import Report
from resources.upkeep.vacuum import vacuum
from resources.windows import Window
from tests.stacks import Stack

T = TypeVar("T")
Placed = tuple[int, Window]


@click.command()
@click.argument("home", type=click.Path(path_type=Path, file_okay=False))
@click.option("--windows", type=click.IntRange(min=3), default=26_000, show_default=True)
@click.option("--minutes", type=click.Choice(["1", "5"]), default="1", show_default=True, help="Of a window.")
@click.option("--records", type=click.IntRange(min=20), default=20, show_default=True, help="Per window.")
@click.option("--intakes", type=click.IntRange(1, 20), default=3, show_default=True, help="Per window.")
@click.option(
    "--free",
    type=click.IntRange(min=1),
    default=300,
    show_default=True,
    help="Newest closed windows without records: for a backlog.",
)
@click.option(
    "--single",
    type=click.IntRange(min=0),
    default=300,
    show_default=True,
    help="Newest windows written one by one, as runs do; the others a day at once.",
)
@click.option("--upkeep", is_flag=True, help="Afterwards do all upkeep on it, and print the figures again.")
def main(
    home: Path, windows: int, minutes: str, records: int, intakes: int, free: int, single: int, upkeep: bool
) -> None:  # fmt: skip
    """Build a lake as so many windows leave it, under the folder HOME, which becomes a SILT_HOME.

    Run on it: SILT_HOME=HOME SILT_WINDOW_MINUTES=1 SILT_RETENTION_DAYS=90 silt up. The topic holds as many
    messages as the ledger has read, without content.
    """
    stack = Stack(home.resolve(), {"SILT_WINDOW_MINUTES": minutes})
    lake = Lake(stack.settings.lake)
    if lake.exists:
        raise click.ClickException(f"There is a lake in {home} already: name another folder.")
    last = stack.settings.grid.newest_closed(datetime.now(UTC)).step(-free)
    placed = [(place, last.step(place + 1 - windows)) for place in range(windows)]
    plan = _with_topic(stack, records, intakes, windows)
    lake.create(placed[0][1].start + stack.settings.lateness + timedelta(days=1), stack.settings.lateness)
    seconds, _ = _timed(lambda: _fill(lake, plan, placed, single))
    click.echo(f"{windows} windows of {records} records, {windows * intakes} intakes: {seconds:.0f} s")
    _tell(lake, plan, placed)
    if upkeep:
        _upkeep(lake, plan)
        _tell(Lake(lake.uri), plan, placed)


def _with_topic(stack: Stack, records: int, intakes: int, windows: int) -> Plan:
    """Give the topic the messages that the ledger shall have read."""
    settings, contract = stack.settings, stack.contract
    stack.start("broker")
    try:
        producer = Producer({**settings.kafka_properties, "linger.ms": 50})
        state = Topic(settings, contract.topic).state()
        for record in range(windows * records):
            while True:
                try:
                    producer.produce(contract.topic, b"{}", partition=record % len(state.end))
                    break
                except BufferError:
                    producer.poll(0.1)
        producer.flush()
    finally:
        stack.stop()
    return Plan(settings, contract, state.id, len(state.end), records, intakes)


def _fill(lake: Lake, plan: Plan, placed: Sequence[Placed], single: int) -> None:
    whole, singles = placed[: len(placed) - single], placed[len(placed) - single :]
    for _, days in groupby(whole, lambda item: item[1].date):
        _write(lake, plan, list(days))
    for item in singles:
        _write(lake, plan, [item])


def _write(lake: Lake, plan: Plan, placed: list[Placed]) -> None:
    landed = lake_rows.records(plan, placed)
    lake.append("records", landed)
    lake.append("ledger", lake_rows.ledger(plan, placed))
    lake.append("clustering_results", lake_rows.results(plan, landed, placed))
    results = lake.table("clustering_results").version()
    versions = {"clustering_results": results, "cluster_stats": lake.table("cluster_stats").version() + 1}
    for name, rows in lake_rows.answers(plan, placed, versions).items():
        lake.append(name, rows)


def _upkeep(lake: Lake, plan: Plan) -> None:
    first = running_from(datetime.now(UTC), plan.settings.lateness)
    click.echo("\n| upkeep | s | files merged | files deleted | left |\n| --- | ---: | ---: | ---: | ---: |")
    steps: dict[str, Callable[[Report], None]] = {
        "compaction": lambda report: compact_running(lake, first, report),
        "lost attempts": lambda report: remove_lost(lake, report),
        "merging": lambda report: merge_past(lake, first, report),
        "vacuum": lambda report: vacuum(lake, report),
        "merging again": lambda report: merge_past(lake, first, report),
    }
    for name, work in steps.items():
        report = Report(lake, 3600)
        work(report)
        merged = sum(change.rewritten for change in report.changes.values())
        deleted = sum(change.deleted for change in report.changes.values())
        click.echo(f"| {name} | {report.elapsed:.1f} | {merged} | {deleted} | {len(report.left)} |")


def _tell(lake: Lake, plan: Plan, placed: Sequence[Placed]) -> None:
    click.echo("\n| table | files | MB on disk | log files |\n| --- | ---: | ---: | ---: |")
    for name in TABLES:
        folder = Path(lake.uri) / name
        sizes = [file.stat().st_size for file in folder.rglob("*") if file.is_file()]
        log = len(list((folder / "_delta_log").iterdir()))
        click.echo(f"| {name} | {len(lake.table(name).file_uris())} | {sum(sizes) / 1e6:.1f} | {log} |")
    click.echo("\n| read | first, ms | again, ms |\n| --- | ---: | ---: |")
    for what, first, again in _reads(lake, plan, placed):
        click.echo(f"| {what} | {1000 * first:.1f} | {1000 * again:.1f} |")


def _reads(lake: Lake, plan: Plan, placed: Sequence[Placed]) -> Iterator[tuple[str, float, float]]:
    """What is read, and the seconds of the first time and of the second."""
    settings, old, new = plan.settings, placed[len(placed) // 2][1], placed[-1][1]
    ledger = Ledger(Lake(lake.uri), settings.window_minutes, plan.contract.id)
    windows = WindowsTable(Lake(lake.uri))
    answers = Answers(Lake(lake.uri), settings.grid, IdIndex(settings.home / FOLDER, settings.api_index_mb))
    ids = {window: _an_id(lake, window) for window in (old, new)}
    reads: dict[str, Callable[[], object]] = {
        "the ledger": ledger.intakes,
        "the table windows, as the API does": windows.view,
        "results, opened by the API, and one id of an old day": lambda: answers.find(ids[old], None, None),
        "one id of the newest window": lambda: answers.find(ids[new], None, None),
        "one id of an old window that is named": lambda: answers.find(ids[old], None, old.key),
        "an old window's records": lambda: lake.read_window("records", old).collect(),
        "an old window's results": lambda: lake.read_window("clustering_results", old).collect(),
        "the newest window's results": lambda: lake.read_window("clustering_results", new).collect(),
    }
    for what, read in reads.items():
        yield what, _timed(read)[0], _timed(read)[0]


def _an_id(lake: Lake, window: Window) -> str:
    return str(lake.read_window("clustering_results", window).collect()["record_id"][0])


def _timed(work: Callable[[], T]) -> tuple[float, T]:
    started = time.perf_counter()
    result = work()
    return time.perf_counter() - started, result


if __name__ == "__main__":
    main()
