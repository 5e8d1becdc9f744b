"""``silt models``: every model that was trained, how two differ, and which version assigns records."""

import getpass
import os
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from resources.contract import load_contract
from resources.errors import VersionError
from resources.lake import Lake
from resources.ledger import Ledger
from resources.model_diff import Difference, difference, plain_centres
from resources.settings import Settings, load_settings
from resources.versions import Stored, Version, all_versions, pin, pins, read_version, unpin
from resources.windows import SLOTS

_WIDE = 200
_MODEL = click.Choice([f"model_{slot}" for slot in SLOTS])


@click.group("models")
def command() -> None:
    """The models. A version reads model_2/2026-11-24T0505Z/r1: the model, its window, its revision."""


@command.command("list")
@click.option("--model", type=_MODEL, help="Those of one model.")
@click.option(
    "--limit", type=click.IntRange(min=1), default=10, show_default=True, help="The newest so many of each."
)
def list_them(model: str | None, limit: int) -> None:
    """Show the versions of each model, the newest first."""
    settings, lake = _opened()
    pinned = [entry.version for entry in pins(lake, settings.grid).values()]
    versions = all_versions(lake, settings.grid)
    names = ("version", "state", "k", "silhouette", "inertia", "records", "trained at (UTC)", "")
    table = Table(*names, box=None, pad_edge=False)
    for name in [model] if model else _MODEL.choices:
        mine = [stored for stored in versions if stored.version.model == name]
        shown = mine[:limit] + [stored for stored in mine[limit:] if stored.version in pinned]
        for stored in shown:
            table.add_row(*_line(stored), "pinned" if stored.version in pinned else "")
    _print(table)


@command.command("show")
@click.argument("version")
def show(version: str) -> None:
    """Show one version: its scores, its clusters' sizes, and their centres."""
    settings, lake = _opened()
    stored = read_version(lake, Version.parse(version, settings.grid))
    row, entry = stored.row, pins(lake, settings.grid).get(stored.version.model)
    for name in ("state", "contract_version", "trainer", "seed", "k", "records", "first_source"):
        click.echo(f"{name.replace('_', ' ')}: {row[name]}")
    for name in ("silhouette", "inertia", "trained_at", "libraries"):
        click.echo(f"{name.replace('_', ' ')}: {_shown(row[name])}")
    if entry and entry.version == stored.version:
        click.echo(f"pinned: since {_shown(entry.pinned_at)}, by {entry.by}")
    if stored.model:
        _print(_centres(stored))


@command.command("pin")
@click.argument("version")
def pin_it(version: str) -> None:
    """Have VERSION assign the records of its model's windows from their next run on, until it is unpinned."""
    settings, lake = _opened()
    chosen = Version.parse(version, settings.grid)
    pin(lake, load_contract(settings.contract), chosen, _person())
    click.echo(f"{chosen} assigns the records of {chosen.model}'s windows from their next run on.")


@command.command("unpin")
@click.argument("model", type=_MODEL)
def unpin_it(model: str) -> None:
    """Have each window's own MODEL assign its records again, from the next run on."""
    settings, lake = _opened()
    if model not in pins(lake, settings.grid):
        raise VersionError(f"No version of {model} is pinned.")
    unpin(lake, model, _person())
    click.echo(f"Each window's own {model} assigns its records from the next run on.")


@command.command("diff")
@click.argument("one")
@click.argument("other")
def diff(one: str, other: str) -> None:
    """Show centres and sizes of two versions, and how many records of the newer one's window would move."""
    settings, lake = _opened()
    contract = load_contract(settings.contract)
    stored = [read_version(lake, Version.parse(text, settings.grid)) for text in (one, other)]
    intakes = Ledger(lake, settings.window_minutes, contract.id).intakes()
    found = difference(lake, contract, intakes, *stored)
    _print(_pairs(found))
    share = f" ({found.moved / found.records:.1%})" if found.records else ""
    where = found.newer.version.window.key
    click.echo(f"{found.moved} of the {found.records} records of {where} would move{share}")


def _opened() -> tuple[Settings, Lake]:
    settings = load_settings()
    return settings, Lake(settings.lake)


def _person() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # in a container a user may have no name
        return str(os.getuid())


def _line(stored: Stored) -> list[str]:
    names = ("state", "k", "silhouette", "inertia", "records", "trained_at")
    return [str(stored.version), *(_shown(stored.row[name]) for name in names)]


def _centres(stored: Stored) -> Table:
    centres, sizes = _centres_and_sizes(stored)
    table = Table("cluster", "records", *centres[0], box=None, pad_edge=False)
    for number, (centre, size) in enumerate(zip(centres, sizes, strict=True)):
        table.add_row(str(number), str(size), *map(_shown, centre.values()))
    return table


def _pairs(found: Difference) -> Table:
    """A row per pair of clusters that correspond, and per cluster that has no other."""
    of_older, of_newer = dict(found.pairs), {newer: older for older, newer in found.pairs}
    rows: list[tuple[int | None, int | None]] = [
        *((older, of_older.get(older)) for older in range(len(found.shared))),
        *((None, newer) for newer in range(found.shared.shape[1]) if newer not in of_newer),
    ]
    sides = [_centres_and_sizes(stored) for stored in (found.older, found.newer)]
    names = list(dict.fromkeys(name for centres, _ in sides for name in centres[0]))
    table = Table("cluster", "records", *names, box=None, pad_edge=False)
    for row in rows:
        chosen = [
            None if place is None else {"records": sizes[place], **centres[place]}
            for place, (centres, sizes) in zip(row, sides, strict=True)
        ]
        cells = [
            " → ".join(_shown(side and side.get(name)) for side in chosen) for name in ("records", *names)
        ]
        table.add_row(" → ".join(map(_shown, row)), *cells)
    return table


def _centres_and_sizes(stored: Stored) -> tuple[list[dict[str, float]], list[int]]:
    assert stored.model
    return plain_centres(stored.model), stored.row["sizes"]


def _shown(value: Any) -> str:
    match value:
        case None:
            return "none"
        case float():
            return f"{value:.4g}"
        case _ if hasattr(value, "strftime"):
            return f"{value:%Y-%m-%d %H:%M:%S}"
    return str(value)


def _print(table: Table) -> None:
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = _WIDE
    console.print(table, markup=False)
