"""``silt status``: the topic's lag, the windows by state, what is due and what runs."""

import os
from collections import Counter
from datetime import UTC, datetime

import click
from rich.console import Console
from rich.table import Table

from resources.contract import load_contract
from resources.due import covered_intakes, due_windows, first_sources
from resources.errors import SiltError
from resources.intake import Taker
from resources.intakes import Intakes
from resources.kafka import TopicState
from resources.lake import Lake
from resources.overview import STATES, window_rows, window_states
from resources.reset import plan_reset
from resources.settings import Settings, load_settings

_SHOWN = 10


@click.command("status")
def command() -> None:
    """Show the topic's lag and watermark per partition, the windows by state, what is due, what runs."""
    settings = load_settings()
    contract = load_contract(settings.contract)
    lake = Lake(settings.lake)
    taker = Taker(settings, contract, lake)
    console = Console(highlight=False)
    intakes = taker.ledger.intakes()
    try:
        _show_topic(console, contract.topic, taker.topic.state(), intakes)
    except SiltError as error:
        console.print(f"topic {contract.topic}: {error}", style="red", markup=False)
    _show_gaps(console, settings, lake, intakes)
    _show_windows(console, settings, lake, intakes)
    _show_runs(console, settings)


def _show_topic(console: Console, name: str, state: TopicState, intakes: Intakes) -> None:
    missing = sum(gap.missing for gap in intakes.gaps)
    reset = plan_reset(name, state, intakes)
    if reset:
        console.print(f"{reset.why}: see `silt ledger reset`", style="red", markup=False)
    table = Table("partition", "read to", "end", "lag", "watermark (UTC)", box=None, pad_edge=False)
    for partition, end in state.end.items():
        span = intakes.spans().get(partition)
        at = span.end if span else state.low[partition]
        mark = span.watermark if span else None
        shown = f"{mark:%Y-%m-%d %H:%M:%S}" if mark else "none"
        table.add_row(str(partition), str(at), str(end), str(max(0, end - at)), shown)
    console.print(f"topic {name}: {intakes.last} intakes, {missing} offsets missing", style="bold")
    console.print(table)


def _show_gaps(console: Console, settings: Settings, lake: Lake, intakes: Intakes) -> None:
    floor, grid = lake.floor(), settings.grid
    for gap in [gap for gap in intakes.gaps if gap.missing_to >= floor][-_SHOWN:]:
        first, last = grid.home(max(gap.missing_from, floor)), grid.home(gap.missing_to)
        line = (
            f"  partition {gap.partition}: {gap.missing} offsets from {gap.start} on were gone from the "
            f"broker before they were read; their windows lie from {first.key} to {last.key}"
        )
        console.print(line, markup=False, soft_wrap=True)


def _show_windows(console: Console, settings: Settings, lake: Lake, intakes: Intakes) -> None:
    now, floor, rows = datetime.now(UTC), lake.floor(), window_rows(lake)
    due = due_windows(intakes, covered_intakes(lake), settings.grid, floor, now, first_sources(lake))
    states = window_states(intakes, rows, due, settings.grid, floor, now)
    counts = Counter(states.values())
    console.print("\nwindows: " + ", ".join(f"{counts[state]} {state}" for state in STATES), style="bold")
    for item in due[:_SHOWN]:
        row = rows.get(item.window.key, {})
        error = f"; failed {row['attempts']} times: {row['error']}" if row.get("error") else ""
        reason = "the topic is not read to its close" if item.takes_in else "records landed for it"
        console.print(f"  due {item.window.key}: {reason}{error}", markup=False)
    if len(due) > _SHOWN:
        console.print(f"  and {len(due) - _SHOWN} more")


def _show_runs(console: Console, settings: Settings) -> None:
    home = settings.home / "dagster"
    if not (home / "dagster.yaml").exists():
        console.print("\nruns: Dagster has not been started on this home", style="bold")
        return
    os.environ["DAGSTER_HOME"] = str(home)
    import dagster as dg  # noqa: PLC0415 - a second to import, and only needed where Dagster ran
    from dagster._core.storage.dagster_run import NOT_FINISHED_STATUSES  # noqa: PLC0415

    with dg.DagsterInstance.get() as instance:
        runs = instance.get_runs(dg.RunsFilter(statuses=NOT_FINISHED_STATUSES))
    console.print(f"\nruns in progress: {len(runs)}", style="bold")
    for run in runs:
        window = run.tags.get("dagster/partition", "no window")
        console.print(f"  {window} {run.status.value.lower()} {run.run_id}", markup=False)
