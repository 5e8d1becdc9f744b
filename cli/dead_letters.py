"""``silt dead-letters``: what broke the contract, and the way back once the contract is right."""

import click
import polars as pl
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from resources.contract import Contract, load_contract
from resources.dead_letters import Choice, count_by_reason, dead_letters, newest
from resources.lake import Lake
from resources.ledger import Ledger
from resources.replay import Outcome, Replayer
from resources.settings import Settings, load_settings

_VALUE_BYTES = 200
_SHOWN = 60
_WIDE = 250
_WINDOWS_SHOWN = 20
_WINDOW = click.option("--window", metavar="KEY", help="Those of one window, like 2026-11-24T0505Z.")
_REASON = click.option("--reason", metavar="CODE", help="Those of one reason, like wrong-type.")


@click.group("dead-letters")
def command() -> None:
    """The messages that broke the contract."""


@command.command("list")
@_WINDOW
@_REASON
@click.option(
    "--limit", type=click.IntRange(min=1), default=20, show_default=True, help="The newest so many."
)
def list_them(window: str | None, reason: str | None, limit: int) -> None:
    """Show dead letters, the last taken in first, and how many there are for each reason."""
    settings, contract, lake = _opened()
    choice = Choice.of(settings.grid, window, reason)
    intakes = Ledger(lake, settings.window_minutes, contract.id).intakes()
    letters = dead_letters(lake, intakes, choice)
    shown = newest(letters, limit, _VALUE_BYTES)
    _show_table(shown)
    counts = count_by_reason(letters)
    more = f", the newest {shown.height} are shown" if shown.height < sum(counts.values()) else ""
    click.echo(f"{_number(sum(counts.values()), 'dead letter')}{more}")
    _show_counts(counts)


@command.command("replay")
@_WINDOW
@_REASON
@click.option("--dry-run", is_flag=True, help="Only say what would become of them.")
def replay(window: str | None, reason: str | None, dry_run: bool) -> None:
    """Decode dead letters again under the present contract, and land those that pass as records."""
    settings, contract, lake = _opened()
    choice = Choice.of(settings.grid, window, reason)
    outcome = Replayer(settings, contract, lake).replay(choice, dry_run)
    _show_outcome(outcome, dry_run, lake)


def _opened() -> tuple[Settings, Contract, Lake]:
    settings = load_settings()
    return settings, load_contract(settings.contract), Lake(settings.lake)


def _show_table(letters: pl.DataFrame) -> None:
    if letters.is_empty():
        return
    table = Table(box=None, pad_edge=False)
    for name in ("window", "reason", "partition", "offset", "timestamp (UTC)"):
        table.add_column(name, no_wrap=True)
    table.add_column("detail")
    table.add_column("value")
    for letter in letters.iter_rows(named=True):
        stamp = letter["timestamp"]
        table.add_row(
            letter["window"] or "none",
            letter["reason"],
            str(letter["kafka_partition"]),
            str(letter["kafka_offset"]),
            f"{stamp:%Y-%m-%d %H:%M:%S}" if stamp else "none",
            escape(_printable(letter["detail"])),
            escape(_start(letter["value"])),
        )
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = _WIDE
    console.print(table)


def _start(value: bytes | None) -> str:
    return "none" if value is None else _printable(value.decode(errors="replace"))


def _printable(text: str) -> str:
    """The start of a text as one line, without what would steer a terminal."""
    shown = "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text[:_SHOWN])
    return shown + "…" if len(text) > _SHOWN else shown


def _show_outcome(outcome: Outcome, dry_run: bool, lake: Lake) -> None:
    total, verb = outcome.landed.total(), "would be replayed" if dry_run else "replayed"
    late = f", {outcome.too_late} of them too late to be selected" if outcome.too_late else ""
    into = f" into {_number(len(outcome.landed), 'window')}" if total else ""
    click.echo(f"{_number(total, 'dead letter')} {verb} as records{into}{late}")
    for window, count in sorted(outcome.landed.items())[-_WINDOWS_SHOWN:]:
        click.echo(f"  {window}: {count}")
    if len(outcome.landed) > _WINDOWS_SHOWN:
        click.echo(f"  and {_number(len(outcome.landed) - _WINDOWS_SHOWN, 'earlier window')}")
    if outcome.before_floor:
        click.echo(
            f"{_number(outcome.before_floor, 'dead letter')} not replayed: the lake does not keep windows "
            f"before {lake.floor():%Y-%m-%d} any more"
        )
    click.echo(f"{_number(outcome.broken.total(), 'dead letter')} still broken")
    _show_counts(dict(outcome.broken.most_common()))


def _show_counts(counts: dict[str, int]) -> None:
    for reason, count in counts.items():
        click.echo(f"  {reason}: {count}")


def _number(count: int, noun: str) -> str:
    return f"{count} {noun}" + ("" if count == 1 else "s")
