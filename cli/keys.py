"""``silt keys``: who may ask the API."""

from datetime import UTC
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from resources.api_keys import SCOPES, Scope, add_key, read_keys, revoke_key
from resources.errors import SettingError
from resources.settings import load_settings

_WIDE = 200


@click.group("keys")
def command() -> None:
    """The keys that the API asks for, in the file SILT_API_KEYS_FILE. A running API notices each change."""


@command.command("new")
@click.argument("name")
@click.option(
    "--scope",
    "scopes",
    type=click.Choice(SCOPES),
    multiple=True,
    default=["read"],
    show_default=True,
    help="What it may do; may be given more than once.",
)
def new(name: str, scopes: tuple[Scope, ...]) -> None:
    """Make a key for NAME and show it: this once, as only its hash is kept."""
    key = add_key(_file(), name, sorted(set(scopes), key=SCOPES.index))
    click.echo(key)
    click.echo("Keep it: it is not shown again. Send it as `Authorization: Bearer …`.", err=True)


@command.command("list")
def list_them() -> None:
    """Show whose keys there are."""
    table = Table("name", "id", "scopes", "created (UTC)", box=None, pad_edge=False)
    for key in read_keys(_file()):
        created = key.created.astimezone(UTC)
        table.add_row(key.name, key.id, ", ".join(key.scopes), f"{created:%Y-%m-%d %H:%M:%S}")
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = _WIDE
    console.print(table, markup=False)


@command.command("revoke")
@click.argument("name")
def revoke(name: str) -> None:
    """Delete the key of NAME: it opens nothing any more."""
    revoke_key(_file(), name)
    click.echo(f"The key of {name} opens nothing any more.")


def _file() -> Path:
    path = load_settings().api_keys_file
    if not path:
        raise SettingError("SILT_API_KEYS_FILE is not set: name the file that holds the keys, or shall.")
    return Path(path)
