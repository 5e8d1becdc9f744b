"""``silt ledger reset``: go on after the topic was deleted and created again, or lost what was read."""

import click

from resources.contract import load_contract
from resources.errors import LogError
from resources.intake import Taker
from resources.lake import Lake
from resources.reset import Reset, enter_reset, plan_reset
from resources.settings import load_settings


@click.group("ledger")
def command() -> None:
    """The record of what was read from the topic."""


@command.command("reset")
@click.option("--yes", is_flag=True, help="Do not ask.")
def reset(yes: bool) -> None:
    """Start anew with a topic that is not the one that was read. What was landed stays."""
    settings = load_settings()
    contract = load_contract(settings.contract)
    taker = Taker(settings, contract, Lake(settings.lake))
    plan = plan_reset(contract.topic, taker.topic.state(), taker.ledger.intakes())
    if not plan:
        raise LogError(f"Topic {contract.topic} goes on where the ledger ends: there is nothing to reset.")
    _show(plan)
    if yes or click.confirm("Start anew?"):
        enter_reset(taker.ledger, plan)
        click.echo("The next intake starts there. What was landed stays.")
    else:
        click.echo("Nothing was changed.")


def _show(plan: Reset) -> None:
    click.echo(f"{plan.why}.")
    for span in plan.spans:
        click.echo(f"  partition {span.partition}: the next intake would start at offset {span.start}")
    for line in plan.unread:
        click.echo(f"  left unread: {line}")
