"""``python -m bench.backlog``: a stack that was off catches up, beside a live stream."""

import sys
from collections.abc import Sequence
from datetime import UTC, datetime

import click
import polars as pl

from bench.common import LIVE_RECORDS, Answered, answers, own_stack, prompt, tell, tell_head, within
from tests.stacks import Stack

SECONDS_A_WINDOW = 3.0
PLACES = 4
_TOLD = 20
LIVE_MEDIAN_SECONDS, LIVE_WORST_SECONDS = 5.0, 10.0


@click.command()
@click.option("--windows", type=click.IntRange(min=1), default=300, show_default=True, help="Of the backlog.")
@click.option("--records", type=click.IntRange(min=1), default=200, show_default=True, help="Per window.")
def main(windows: int, records: int) -> None:
    """Publish a backlog of one-minute windows that were produced while the stack was off.

    The exit code is 1 if a bound is missed: 3 s a window from the start of `silt up` to the last of them,
    at most four places out of order, and live windows at twice the time of `make latency`.
    """
    with own_stack() as stack:
        keys = _produce(stack, windows, records)
        started = datetime.now(UTC)
        stack.start("up", "--no-sample")
        with stack.running("simulate", "--rate", f"{LIVE_RECORDS / 60:.4f}"):
            live = _live_until_published(stack, keys)
        published = _published(stack, keys)
    sys.exit(0 if _report(started, keys, published, live) else 1)


def _produce(stack: Stack, windows: int, records: int) -> list[str]:
    """Fill the last complete windows while only the broker runs; their keys, oldest first."""
    stack.start("broker")
    output = stack.silt(
        "simulate", "--rate", f"{records / 60:.4f}", "--last-windows", str(windows), "--once", seconds=1200
    )
    stack.stop()
    return sorted(line.split(":")[0] for line in output.splitlines() if line.endswith(f": {records} records"))


def _live_until_published(stack: Stack, keys: Sequence[str]) -> list[Answered]:
    """The live windows' times, for as long as a window of the backlog is not published."""
    live = []
    tell_head("Live windows beside the backlog")
    for answered in answers(stack):
        tell(answered)
        live.append(answered)
        if _published(stack, keys).height == len(keys):
            break
    return live


def _published(stack: Stack, keys: Sequence[str]) -> pl.DataFrame:
    """Columns ``window``, ``published_at``, ``revision`` of those that are, in the order of publication."""
    rows = stack.lake.read("windows", ["window", "published_at", "revision"])
    return rows.filter(pl.col("window").is_in(list(keys))).drop_nulls("published_at").sort("published_at")


def _report(
    started: datetime, keys: Sequence[str], published: pl.DataFrame, live: Sequence[Answered]
) -> bool:
    click.echo(f"\nThe backlog, every {_TOLD}th in the order of publication\n")
    click.echo("| window | after the start, s |\n| --- | ---: |")
    for key, at in published.select("window", "published_at").gather_every(_TOLD).iter_rows():
        click.echo(f"| {key} | {(at - started).total_seconds():.1f} |")
    last = (published["published_at"].to_list()[-1] - started).total_seconds()
    again = published.filter(pl.col("revision") > 1).height
    places = _places_out_of_order(published["window"].to_list())
    click.echo(f"\n{len(keys)} windows in {last:.0f} s, {again} of them published more than once")
    click.echo(f"out of order by at most {places} places (bound {PLACES}){'  MISSED' * (places > PLACES)}")
    kept = [
        within("a window on average", last / len(keys), SECONDS_A_WINDOW),
        prompt("live windows", live, LIVE_MEDIAN_SECONDS, LIVE_WORST_SECONDS),
        places <= PLACES,
    ]
    return all(kept)


def _places_out_of_order(published: Sequence[str]) -> int:
    """How many places a window stands from where the windows' own order puts it, at most."""
    return max(abs(place - published.index(key)) for place, key in enumerate(sorted(published)))


if __name__ == "__main__":
    main()
