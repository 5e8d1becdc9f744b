"""``silt produce``: the rows of a file, sent to the topic."""

import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

import click
from rich.console import Console
from rich.progress import Progress

from cli.options import RATE, Duration, Instant, Pacer, ending_on_signal
from cli.sending import Sender, check_topic, encoded, spread, stamped
from cli.table_file import TableFile
from resources.contract import Contract, EventTime, load_contract
from resources.errors import SettingError
from resources.settings import load_settings

_ANSWER_SECONDS = 60.0
_PROGRESS_ROWS = 500
T = TypeVar("T")
EventTimes = Callable[[int], datetime | None]
"""From a row's place in the file to its event time; None: now, as the broker's client stamps it."""


@click.command("produce")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--at", type=Instant(), help="Event time of the first row, like 2026-11-24T05:05Z.")
@click.option("--over", type=Duration(), help="Spread the event times evenly over so long, like 5m.")
@click.option("--rate", type=RATE, help="Rows a second at most; as fast as the broker takes them if absent.")
def command(file: Path, at: datetime | None, over: timedelta | None, rate: float | None) -> None:
    """Send the rows of FILE (CSV, NDJSON or Parquet) to the contract's topic, as JSON objects.

    With --at and --over the rows' event times lie evenly in [TIME, TIME + DURATION), in file order;
    otherwise each row's event time is the moment it is sent. If the contract's event time is a field,
    it is written into that field. Exit code 0: the broker acknowledged every row.
    """
    if (at is None) != (over is None):
        raise click.UsageError("--at and --over belong together: give both, or neither.")
    settings = load_settings()
    contract = load_contract(settings.contract)
    table = TableFile(file)
    _check_has_id(table, contract)
    times = _event_times(contract, at, over, table.count)
    check_topic(settings, contract.topic)
    with ending_on_signal() as stopped:
        sender = Sender(settings, contract.topic, _ANSWER_SECONDS, stopped)
        for message in _shown(_messages(contract, table, times, Pacer(rate, stopped)), table.count):
            if stopped() or sender.away:
                break
            sender.send(*message)
        sender.finish(_ANSWER_SECONDS)
    sender.report()
    if sender.sent < table.count:
        click.echo(f"  {table.count - sender.sent} not sent: ended before")
    sys.exit(0 if sender.complete and sender.sent == table.count else 1)


def _check_has_id(table: TableFile, contract: Contract) -> None:
    if table.columns is not None and contract.id not in table.columns:
        raise SettingError(
            f"The file {table.path} has no column {contract.id!r}, the record id: name another file, or set "
            "SILT_CONTRACT to the contract that fits it."
        )


def _event_times(contract: Contract, at: datetime | None, over: timedelta | None, count: int) -> EventTimes:
    if at is not None and over is not None:
        return spread(at, over, count)
    if isinstance(contract.event_time, EventTime):
        return lambda row: datetime.now(UTC)
    return lambda row: None


def _messages(
    contract: Contract, table: TableFile, times: EventTimes, pacer: Pacer
) -> Iterator[tuple[bytes, bytes | None, int | None]]:
    for number, row in enumerate(table):
        pacer.wait()
        moment = times(number)
        timed, timestamp = (row, None) if moment is None else stamped(contract, row, moment)
        yield *encoded(contract, timed), timestamp


def _shown(rows: Iterator[T], count: int) -> Iterator[T]:
    """The same rows, with a progress bar on a terminal."""
    console = Console(stderr=True)
    with Progress(console=console, disable=not console.is_terminal, transient=True) as progress:
        task = progress.add_task("Sending", total=count)
        for number, row in enumerate(rows, 1):
            yield row
            if number % _PROGRESS_ROWS == 0:
                progress.update(task, completed=number)
