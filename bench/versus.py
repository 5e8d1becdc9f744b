"""``python -m bench.versus``: Silt beside Structured Streaming and MLlib, on the same topic."""

from collections.abc import Sequence

import click

from bench import report
from bench.common import own_stack
from bench.silt import Silt
from bench.turns import Measured, Turn, take

SIZES = (1_000, 100_000, 1_000_000)
_WARM_UP = 2


@click.command()
@click.option("--sizes", default=",".join(map(str, SIZES)), show_default=True, help="Records of a window.")
@click.option("--windows", type=click.IntRange(min=1), default=5, show_default=True, help="To measure.")
def main(sizes: str, windows: int) -> None:
    """Measure one-minute windows."""
    measured = compare([int(size) for size in sizes.split(",")], windows)
    click.echo(report.machine() + "\n")
    for part in (report.comparison, report.parts, report.steps):
        click.echo(part(measured) + "\n")


def compare(sizes: Sequence[int], windows: int) -> list[Measured]:
    """Windows of each size, the sides by turns; each as it is measured is told on standard error."""
    with own_stack(SILT_TOPIC_PARTITIONS="1") as stack:
        silt = Silt(stack)
        turns = [
            Turn(silt, size, warm_up=number < _WARM_UP)
            for size in sizes
            for number in range(_WARM_UP + windows)
        ]
        measured = []
        for one in take(stack.settings, stack.contract, turns):
            tell(one)
            measured.append(one)
    return measured


def tell(one: Measured) -> None:
    """A line for those who wait."""
    click.echo(
        f"{one.window.key} {one.turn.side.name}: {one.turn.records:,} records, {one.seconds:.2f} s, "
        f"CPU {one.usage.cpu_seconds:.1f} s, inertia {one.inertia / one.best:.5f} of the best"
        f"{' (warm-up)' if one.turn.warm_up else ''}",
        err=True,
    )


if __name__ == "__main__":
    main()
