"""``silt simulate``: an endless stream of customer-support records with known clusters."""

import math
import random
import sys
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click

from cli.archetypes import ARCHETYPES, NUMBERS, record
from cli.options import RATE, SHARE, Duration, Pacer, ending_on_signal
from cli.sample import Sample, SampleStream, Shares
from cli.sending import Sender, check_topic, encoded, spread, stamped
from resources.contract import Contract, load_contract
from resources.errors import SettingError
from resources.settings import load_settings
from resources.windows import Grid, Window

DEFAULT_RATE = 20.0
_FOR_EVER = 0.0
_FINISH_SECONDS = 60.0


@click.command("simulate")
@click.option("--rate", type=RATE, default=DEFAULT_RATE, show_default=True, help="Records a second.")
@click.option("--late", type=SHARE, default=0.0, help="Share whose home lies one to three windows back.")
@click.option("--bad", type=SHARE, default=0.0, help="Share that breaks the contract.")
@click.option("--duplicate", type=SHARE, default=0.0, help="Share that repeats an id of its home.")
@click.option("--duration", type=Duration(), help="End after so long, like 30s; endless if absent.")
@click.option("--last-windows", type=click.IntRange(min=1), help="First, fill the last N complete windows.")
@click.option("--once", is_flag=True, help="End after --last-windows.")
def command(
    *,
    rate: float,
    late: float,
    bad: float,
    duplicate: float,
    duration: timedelta | None,
    last_windows: int | None,
    once: bool,
) -> None:
    """Send an endless stream of customer-support records with known clusters.

    Two sorts of customers, one a cluster: happy ones in the chat with cheap things, unhappy ones on the
    phone with dear ones. A broker that goes away for a while is waited for. Ctrl-C or SIGTERM ends it.
    """
    if late + bad + duplicate > 1:
        raise click.UsageError("--late, --bad and --duplicate are more than 1 together.")
    if once and (last_windows is None or duration is not None):
        raise click.UsageError("--once goes with --last-windows, and without --duration.")
    settings = load_settings()
    contract = load_contract(settings.contract)
    check_fits(contract, settings.contract)
    check_topic(settings, contract.topic)
    grid = Grid(settings.window_minutes, timedelta(seconds=settings.grace_seconds))
    stream = SampleStream(
        grid,
        Shares(late, bad, duplicate),
        allowed_lateness=timedelta(hours=settings.allowed_lateness_hours),
        max_future=timedelta(seconds=settings.max_future_seconds),
    )
    with ending_on_signal() as stopped:
        simulation = Simulation(
            contract, stream, Sender(settings, contract.topic, _FOR_EVER, stopped), stopped
        )
        if last_windows:
            newest = grid.newest_closed(datetime.now(UTC))
            for window in grid.between(newest.step(1 - last_windows), newest):
                simulation.fill(window, rate)
        if not once:
            simulation.live(rate, duration)
        complete = simulation.end()
    sys.exit(0 if complete else 1)


def check_fits(contract: Contract, path: Path) -> None:
    """Check that the sample stream's records are records of this contract.

    Raises:
        SettingError: it lacks a field that they have, or takes one for another type.
    """
    for name in record(ARCHETYPES[0], datetime.now(UTC), random.Random(0)):
        kind = "number" if name in NUMBERS else "string"
        if contract.fields.get(name) != kind:
            raise SettingError(
                f"The contract {path} has no {kind} field {name!r}: the sample stream sends customer-support "
                "records only. Set SILT_CONTRACT to contracts/customer_support.yaml, or send files by "
                "`silt produce`."
            )
    if contract.id != "Unique id":
        raise SettingError(
            f"The contract {path} names records by {contract.id!r}: the sample stream by 'Unique id'."
        )


class Simulation:
    """Sends a sample stream, and counts what it sent by kind."""

    def __init__(
        self, contract: Contract, stream: SampleStream, sender: Sender, stopped: Callable[[], bool]
    ) -> None:
        self._contract = contract
        self._stream = stream
        self._sender = sender
        self._stopped = stopped
        self._kinds: Counter[str] = Counter()

    def fill(self, window: Window, rate: float) -> None:
        """Send a past window's records, as many as ``rate`` a second makes, evenly spread over it."""
        before = self._sender.acknowledged
        length = window.end - window.start
        count = max(1, round(rate * length.total_seconds()))
        event_time = spread(window.start, length, count)
        for number in range(count):
            if self._stopped():
                break
            self._send(self._stream.clean(event_time(number)))
        self._sender.flush(_FINISH_SECONDS)
        click.echo(f"{window.key}: {self._sender.acknowledged - before} records")

    def live(self, rate: float, duration: timedelta | None) -> None:
        """Send the stream at its rate, for so long, or until the end is asked for."""
        pacer = Pacer(rate, self._stopped)
        end = time.monotonic() + duration.total_seconds() if duration else math.inf
        while not self._stopped() and time.monotonic() < end:
            self._send(self._stream.sample(_now()))
            pacer.wait()

    def end(self) -> bool:
        """Wait for what is on its way and print the counts; True if the broker has every message."""
        self._sender.finish(_FINISH_SECONDS)
        self._sender.report()
        click.echo("  " + ", ".join(f"{count} {kind}" for kind, count in self._kinds.most_common()))
        return self._sender.complete

    def _send(self, sample: Sample) -> None:
        row, timestamp = stamped(self._contract, sample.row, sample.event_time)
        value, key = encoded(self._contract, row)
        self._sender.send(value if sample.broken is None else sample.broken, key, timestamp)
        self._kinds[sample.kind] += 1


def _now() -> datetime:
    now = datetime.now(UTC)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)
