"""``python -m bench.versus``: Silt beside Structured Streaming and MLlib, on the same topic."""

import signal
import sys
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta

import click

from bench import acceptance, large, report
from bench.common import own_stack
from bench.rival import structured_streaming
from bench.silt import Silt
from bench.turns import Measured, Turn, take

_FIRST_WARM_UP, _WARM_UP = 5, 2
"""Windows of the first size, and of each other, that are left out: a JVM compiles for as long."""
_START = timedelta(seconds=10)
"""The generator's, before a window begins."""


@click.command()
@click.option("--sizes", default="1000,100000,1000000", show_default=True, help="Records of a window.")
@click.option(
    "--windows", type=click.IntRange(min=1), help="To measure per size and side; 5, or 3 large ones."
)
@click.option("--large/--no-large", "with_large", default=True, help="Also at rest, and 10,000,000 records.")
def main(sizes: str, windows: int | None, with_large: bool) -> None:
    """Measure both sides by turns, in windows of a minute, and print a report in Markdown.

    The exit code is 1 if a bound is missed. It takes an hour.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # nothing is left running
    counts = {int(size): windows or (5 if int(size) < 1_000_000 else 3) for size in sizes.split(",")}
    measured = compare(counts)
    for told in (report.comparison, report.parts, report.steps):
        click.echo(f"{told(measured)}\n")
    alone = large.measure() if with_large else None
    if alone:
        click.echo(f"{large.report(alone)}\n")
    found = acceptance.points(measured, alone)
    click.echo(f"{acceptance.verdict(found)}\n\n{report.machine()}")
    sys.exit(0 if all(point.kept for point in found) else 1)


def compare(counts: dict[int, int]) -> list[Measured]:
    """So many windows of each size on each side, by turns, after those that warm it; each is told at once."""
    with own_stack(SILT_TOPIC_PARTITIONS="1") as stack:
        silt = Silt(stack)
        with structured_streaming(stack) as rival:
            turns = [
                Turn(side, size, warm_up=number < warm_up)
                for place, (size, count) in enumerate(counts.items())
                for warm_up in [_WARM_UP if place else _FIRST_WARM_UP]
                for number in range(warm_up + count)
                for side in (rival, silt)
            ]
            first = stack.settings.grid.home(datetime.now(UTC) + _START).step(1)
            return list(_told(take(stack.settings, stack.contract, turns, first)))


def _told(measured: Iterable[Measured]) -> Iterator[Measured]:
    for one in measured:
        click.echo(
            f"{one.window.key} {one.turn.side.name}: {one.turn.records:,} records, {one.seconds:.2f} s, CPU "
            f"{one.usage.cpu_seconds:.1f} s, inertia {one.inertia / one.best:.5f} of the best"
            f"{' (warm-up)' if one.turn.warm_up else ''}",
            err=True,
        )
        yield one


if __name__ == "__main__":
    main()
