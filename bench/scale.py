"""``python -m bench.scale PLOT``: time and memory as windows, features, k and partitions grow."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import click
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, LogLocator, NullLocator

from bench.common import own_stack
from bench.generate import Messages
from resources.intake import Taker
from resources.kafka import producer

Row = dict[str, float]
VARIED: dict[str, Sequence[int]] = {
    "records": (1_000, 10_000, 100_000, 1_000_000, 10_000_000),
    "features": (3, 10, 30, 100),
    "k": (2, 5, 10, 20, 50),
    "kept": (300, 3_000, 26_000),
}
"""What is varied, each alone; the rest is as ``bench.scale_point.Point`` has it."""
PARTITIONS = (1, 4, 16, 64)
_TAKEN = 100_000
_TITLES = {
    "records": "records of the window",
    "features": "features",
    "k": "clusters",
    "kept": "windows kept",
    "partitions": "Kafka partitions",
    "seconds": "seconds",
    "pss_mb": "MB",
}


@click.command()
@click.argument("plot", type=click.Path(path_type=Path, dir_okay=False))
def main(plot: Path) -> None:
    """Measure, print tables in Markdown, and draw the picture PLOT (SVG)."""
    measured = {name: list(_answered(name, values)) for name, values in VARIED.items()}
    measured["partitions"] = [_taken(count) for count in PARTITIONS]
    for name, rows in measured.items():
        click.echo(_table(name, rows))
    plot.parent.mkdir(parents=True, exist_ok=True)
    _draw(measured).savefig(plot)


def _answered(name: str, values: Sequence[int]) -> Iterator[Row]:
    """Windows answered after their close, each by a process of its own."""
    for value in values:
        command = [sys.executable, "-m", "bench.scale_point", json.dumps({name: value})]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        row: Row = json.loads(done.stdout.splitlines()[-1])
        click.echo(f"{name} {value}: {row['seconds']:.2f} s, {row['pss_mb']:.0f} MB", err=True)
        yield row


def _taken(partitions: int) -> Row:
    """100,000 records of the sample taken in from so many Kafka partitions: messages to the ledger's row."""
    with own_stack(SILT_TOPIC_PARTITIONS=str(partitions)) as stack:
        stack.start("broker")
        settings, contract, lake = stack.settings, stack.contract, stack.lake
        sending = producer(settings, **{"queue.buffering.max.messages": 2 * _TAKEN})
        for number, (key, value) in enumerate(Messages().made([place % 1_000 for place in range(_TAKEN)])):
            sending.produce(contract.topic, value, key, partition=number % partitions)
        sending.flush()
        lake.create(datetime.now(UTC), settings.lateness)
        taker = Taker(settings, contract, lake)
        begun, cpu = time.perf_counter(), time.process_time()
        taken = taker.take_new()
        figures = {"seconds": time.perf_counter() - begun, "cpu": time.process_time() - cpu}
        assert sum(span.end - span.start for one in taken for span in one.spans.values()) == _TAKEN
        click.echo(f"partitions {partitions}: {figures['seconds']:.2f} s", err=True)
        return {"partitions": partitions, **figures}


def _table(name: str, rows: Sequence[Row]) -> str:
    lines = [
        f"| {row[name]:,} | {row['seconds']:.2f} | {row['cpu']:.2f} | "
        f"{format(row['pss_mb'], '.0f') if 'pss_mb' in row else ''} |"
        for row in rows
    ]
    head = f"| {_TITLES[name]} | seconds | CPU s | most memory, MB (PSS) |"
    return "\n".join([head, "| ---: | ---: | ---: | ---: |", *lines, ""])


def _draw(measured: dict[str, list[Row]]) -> Figure:
    """Seconds and memory against what is varied; grey is what grows in proportion to it, up to the last."""
    figure = Figure(figsize=(11, 6), layout="constrained")
    FigureCanvasSVG(figure)
    for place, (name, rows) in enumerate(measured.items(), 1):
        values, last = [row[name] for row in rows], rows[-1]
        axes = figure.add_subplot(2, 3, place, xlabel=_TITLES[name])
        _line(axes, name, rows, "seconds", "tab:blue")
        in_proportion = [last["seconds"] * value / last[name] for value in values]
        axes.plot(values, in_proportion, lw=0.7, color="grey")
        if "pss_mb" in last:
            _line(axes.twinx(), name, rows, "pss_mb", "tab:orange")
        axes.set_xticks(values)
        axes.xaxis.set_major_formatter(EngFormatter(sep=""))
        axes.xaxis.set_minor_locator(NullLocator())
    return figure


def _line(axes: Axes, name: str, rows: Sequence[Row], what: str, colour: str) -> None:
    found = [row[what] for row in rows]
    axes.loglog([row[name] for row in rows], found, marker="o", color=colour)
    axes.set_ylim(min(found) / 3, 3 * max(found))
    axes.set_ylabel(_TITLES[what], color=colour)
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_locator(NullLocator())


if __name__ == "__main__":
    main()
