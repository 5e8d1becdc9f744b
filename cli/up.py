"""``silt up``: the whole stack on this machine."""

import sys

import click

from local_stack.stack import run_stack
from resources.settings import load_settings


@click.command("up")
@click.option(
    "--sample/--no-sample",
    default=None,
    help="Send the sample stream. By default only to the broker that Silt starts itself.",
)
def command(sample: bool | None) -> None:
    """Start the whole stack; Ctrl-C ends it.

    Broker, Spark, Dagster, API and a sample stream, with one line for each as it gets ready.
    """
    settings = load_settings()
    sys.exit(run_stack(settings, settings.own_broker if sample is None else sample, click.echo))
