"""``silt baseline``: the window that later ones are compared with, besides the one before."""

import click

from resources.baseline import describe, pin, unpin
from resources.contract import load_contract
from resources.lake import Lake
from resources.ledger import Ledger
from resources.settings import load_settings


@click.group("baseline")
def command() -> None:
    """The window that later ones are compared with, besides the one before."""


@command.command("pin")
@click.argument("window")
def pin_window(window: str) -> None:
    """Pin a published WINDOW, such as 2026-11-24T0505Z: windows answered from now on are compared with it."""
    settings = load_settings()
    contract, lake = load_contract(settings.contract), Lake(settings.lake)
    intakes = Ledger(lake, settings.window_minutes, contract.id).intakes()
    pin(lake, contract, intakes, settings.grid.window(window))
    click.echo(describe(lake))


@command.command("unpin")
def unpin_window() -> None:
    """Forget the baseline."""
    window = unpin(Lake(load_settings().lake))
    click.echo(f"{window} is no baseline any more." if window else "No baseline was pinned.")


@command.command("show")
def show() -> None:
    """Show which window is pinned."""
    click.echo(describe(Lake(load_settings().lake)))
