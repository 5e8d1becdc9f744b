"""``python -m bench.schemes``: a day of windows in each scheme, answered by the sensor, then backfilled."""

import sys
from datetime import UTC, datetime
from typing import Any

import click

from bench.common import own_stack
from platform_assets.run import PARTITION_TAG
from resources.windows import Window
from tests.e2e.dagster_ui import DagsterUI
from tests.e2e.test_schemes import ASSETS, model
from tests.e2e.test_windows_in_dagster import land, made_up
from tests.stacks import Stack

SCHEMES = {"disjoint": 1, "cumulative": 3, "sliding:3": 3}
"""How many windows a model of each sees at most."""
MINUTES, WINDOWS, RECORDS = 20, 72, 30
_PATIENCE_SECONDS = 2_400.0


@click.command()
def main() -> None:
    """Answer 72 windows of 20 minutes, a day, in each scheme: by the sensor as they become due, and again by
    a backfill over all of them. The exit code is 1 if a model, to the bit, or a revision differs then.
    """
    kept = [_same(scheme, seen) for scheme, seen in SCHEMES.items()]
    sys.exit(0 if all(kept) else 1)


def _same(scheme: str, seen: int) -> bool:
    changes = {"SILT_WINDOW_MINUTES": f"{MINUTES}", "SILT_ALLOWED_LATENESS_HOURS": "48"}
    with own_stack(SILT_SCHEME=scheme, **changes) as stack:
        stack.start("up", "--no-sample")
        newest = stack.settings.grid.newest_closed(datetime.now(UTC)).step(-3)
        day = [newest.step(-back) for back in reversed(range(WINDOWS))]
        land(stack, {window: made_up(stack, window, RECORDS) for window in day})
        keys = [window.key for window in day]
        stack.wait_published(keys, seconds=_PATIENCE_SECONDS)
        live = [_answer(stack, window) for window in day]
        runs = DagsterUI(stack.settings).backfill(ASSETS, *keys, seconds=_PATIENCE_SECONDS)
        again = [_answer(stack, window) for window in day]
    done = {run.tags[PARTITION_TAG] for run in runs}
    failed = sum(run.status != "SUCCESS" for run in runs)
    most = max(trained["records"] for trained, _ in live)
    differ = sum(one != other for one, other in zip(live, again, strict=True))
    click.echo(
        f"{scheme}: {len(day)} windows live, {len(done)} backfilled, {failed} runs failed, "
        f"models of up to {most} records, {differ} of the models or revisions differ"
    )
    return done == set(keys) and not failed and most == seen * RECORDS and differ == 0


def _answer(stack: Stack, window: Window) -> tuple[dict[str, Any], int]:
    return model(stack, window), stack.window_row(window.key)["revision"]


if __name__ == "__main__":
    main()
