"""``python -m bench.late_record``: a record 20 minutes late, and what was written because of it."""

import json
import sys
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import click

from bench.common import LIVE_RECORDS, own_stack, within
from cli.sample import SampleStream, Shares
from resources.windows import Window
from tests.stacks import Stack, until

SECONDS = 30.0
_LATE = timedelta(minutes=20)
_RECORDS = 60
_CALM_SECONDS = 10.0
"""What else would be written because of the record is written within so many seconds."""


@click.command()
def main() -> None:
    """Measure the seconds from a late record's acknowledgement to its window's revision 2 over HTTP.

    The exit code is 1 if that takes longer than 30 s, or if a published window other than the record's
    home was written.
    """
    with own_stack() as stack:
        stack.start("up", "--no-sample")
        with stack.running("simulate", "--rate", f"{LIVE_RECORDS / 60:.4f}"):
            home = stack.settings.grid.home(datetime.now(UTC) - _LATE)
            neighbours = [home.step(-1), home, home.step(1)]
            _send(stack, neighbours[0], 3, 3 * _RECORDS)
            stack.wait_published([window.key for window in neighbours])
            kept = _late(stack, home)
    sys.exit(0 if kept else 1)


def _late(stack: Stack, home: Window) -> bool:
    published, before = stack.published(), stack.versions()
    late = _send(stack, home, 1, 1)[0]["Unique id"]
    sent = datetime.now(UTC)
    path = f"/api/clustering-results?window={home.key}&limit=1000"
    until(lambda: _revision(stack.get(path), late) == 2)
    seconds = (datetime.now(UTC) - sent).total_seconds()
    time.sleep(_CALM_SECONDS)
    written = stack.written_since(before)
    for name, keys in written.items():
        click.echo(f"{name}: from version {before[name] + 1} on, {', '.join(sorted(keys))} were written")
    others = set().union(*written.values()) & published - {home.key}
    click.echo(f"published windows written besides {home.key}: {', '.join(sorted(others)) or 'none'}")
    return within("late record, to revision 2 over HTTP", seconds, SECONDS) and not others


def _send(stack: Stack, first: Window, windows: int, count: int) -> list[dict[str, Any]]:
    """Send sample records, evenly spread over so many windows; they are acknowledged at the return."""
    settings = stack.settings
    stream = SampleStream(
        settings.grid,
        Shares(),
        allowed_lateness=settings.lateness,
        max_future=timedelta(seconds=settings.max_future_seconds),
    )
    rows = [stream.clean(first.start).row for _ in range(count)]
    file = stack.home / "records.ndjson"
    file.write_text("\n".join(map(json.dumps, rows)))
    stack.silt("produce", str(file), "--at", f"{first.start:%Y-%m-%dT%H:%MZ}", "--over", f"{windows}m")
    return rows


def _revision(results: list[dict[str, Any]], record: str) -> int:
    """The revision of the answer that has a record; 0 if none has."""
    versions = [result["modelVersion"] for result in results if result["uniqueId"] == record]
    return int(versions[0].rsplit("/r", 1)[1]) if versions else 0


if __name__ == "__main__":
    main()
