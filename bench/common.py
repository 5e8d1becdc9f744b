"""What the benches share: a stack of their own, and the seconds from a window's close to its answer."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import click
import httpx

from resources.windows import Window
from tests.stacks import Stack

LIVE_RECORDS = 1_000
"""Records of a live window of one minute."""
_POLL_SECONDS = 0.05
_PATIENCE_SECONDS = 300.0


@dataclass(frozen=True)
class Answered:
    """A window that the API answered with.

    Attributes:
        seconds: from its close to the first answer over HTTP.
        records: how many it was made from.
        published: from its close to its publication, as the table ``windows`` has it.
    """

    window: Window
    close: datetime
    seconds: float
    records: int
    published: float


@contextmanager
def own_stack(**changes: str) -> Iterator[Stack]:
    """A stack of one-minute windows in a temporary home: not started yet, stopped and removed at the end."""
    with TemporaryDirectory(prefix="silt-bench-") as folder:
        stack = Stack(Path(folder) / "home", {"SILT_WINDOW_MINUTES": "1", **changes})
        try:
            yield stack
        finally:
            stack.stop()


def answers(stack: Stack) -> Iterator[Answered]:
    """The stack's windows from the first that begins from now on, each once the API has it; endless."""
    grid = stack.settings.grid
    window = grid.home(datetime.now(UTC)).step(1)
    with httpx.Client(base_url=f"http://127.0.0.1:{stack.settings.api_port}", timeout=30) as client:
        while True:
            yield _answered(stack, client, window)
            window = window.step(1)


def _answered(stack: Stack, client: httpx.Client, window: Window) -> Answered:
    close = stack.settings.grid.close(window)
    time.sleep(max(0.0, -_since(close)))
    while not _has(client, window):
        if _since(close) > _PATIENCE_SECONDS:
            raise click.ClickException(
                f"{window.key} had no answer {_PATIENCE_SECONDS:.0f} s after its close."
            )
        time.sleep(_POLL_SECONDS)
    seconds = _since(close)
    row = stack.window_row(window.key)
    return Answered(window, close, seconds, row["records"], row["seconds"])


def _has(client: httpx.Client, window: Window) -> bool:
    answer = client.get("/api/cluster-stats", params={"window": window.key})
    return answer.status_code == httpx.codes.OK and bool(answer.json())


def _since(moment: datetime) -> float:
    return (datetime.now(UTC) - moment).total_seconds()


def tell(answered: Answered) -> None:
    """One row of the table of windows, as soon as it is known."""
    click.echo(
        f"| {answered.window.key} | {answered.close:%H:%M:%S} | {answered.records} | "
        f"{answered.seconds:.2f} | {answered.published:.2f} |"
    )


def tell_head(title: str) -> None:
    """The head of a table of windows, in Markdown."""
    click.echo(f"\n{title}\n")
    click.echo("| window | close | records | close to answer, s | close to publication, s |")
    click.echo("| --- | --- | ---: | ---: | ---: |")


def within(name: str, measured: float, bound: float) -> bool:
    """Print a figure beside its bound, in seconds; whether it keeps to it."""
    kept = measured <= bound
    click.echo(f"{name}: {measured:.2f} s (bound {bound:g} s){'' if kept else '  MISSED'}")
    return kept


def prompt(name: str, windows: Sequence[Answered], median_bound: float, worst_bound: float) -> bool:
    """Print median and worst of the windows' seconds to the answer; whether both keep to their bounds."""
    seconds = [answered.seconds for answered in windows]
    kept = [
        within(f"{name}, median", median(seconds), median_bound),
        within(f"{name}, worst", max(seconds), worst_bound),
    ]
    return all(kept)
