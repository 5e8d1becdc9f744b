"""``silt erase``: one record id leaves every table and its history."""

import click

from resources.baseline import pinned_window
from resources.contract import Contract, load_contract
from resources.erasure import HOLDERS, Erased, Eraser, Trace
from resources.errors import LakeError
from resources.lake import Lake
from resources.settings import load_settings

_SHOWN = 10


@click.command("erase")
@click.argument("record_id", metavar="ID")
@click.option("--dry-run", is_flag=True, help="Only say where the id is.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def command(record_id: str, dry_run: bool, yes: bool) -> None:
    """Remove one record id from every table and its history. What was computed from it stays."""
    settings = load_settings()
    contract, lake = load_contract(settings.contract), Lake(settings.lake)
    eraser = Eraser(lake, contract, settings.grid, record_id)
    traces = eraser.find()
    _show(traces)
    _show_beyond(contract, lake, traces)
    if dry_run:
        return
    if not (yes or click.confirm("Erase it? There is no way back")):
        click.echo("Nothing was changed.")
        return
    _show_done(eraser.erase())


def _show(traces: list[Trace]) -> None:
    for trace in traces:
        click.echo(f"{trace.name}: {trace.rows.height} rows; {len(trace.old)} files of earlier versions")
    windows = sorted({key for trace in traces for key in trace.windows})
    more = f" and {len(windows) - _SHOWN} more" if len(windows) > _SHOWN else ""
    click.echo(f"windows: {', '.join(windows[:_SHOWN]) or 'none'}{more}")


def _show_beyond(contract: Contract, lake: Lake, traces: list[Trace]) -> None:
    """What the command does not reach."""
    topic = contract.topic
    click.echo(
        f"Not reached: Kafka. The topics {topic} and {topic}.dlq keep the message until their retention, or, "
        "where they are compacted, until a message with its key and no value follows. After "
        "`silt ledger reset` it could be taken in again."
    )
    if any(pinned_window(lake) in trace.windows for trace in traces):
        click.echo("The pinned baseline keeps its feature values, without the id: pin one anew after this.")


def _show_done(done: Erased) -> None:
    for name in HOLDERS:
        click.echo(
            f"{name}: {done.rows[name]} rows erased, {done.files[name]} files deleted, "
            f"{done.log_files[name]} files of its log rewritten"
        )
    if done.left:
        raise LakeError(f"Not all is erased: {'; '.join(done.left)}.")
    click.echo("Models and statistics stay as they are until a window is materialized again.")
    click.echo("Restart the API: pages of walks that began before this may be in its memory.")
