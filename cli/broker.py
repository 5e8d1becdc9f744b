"""``silt broker``: the Kafka broker alone."""

import sys

import click

from local_stack.stack import run_broker
from resources.settings import load_settings


@click.command("broker")
def command() -> None:
    """Start the Kafka broker alone; Ctrl-C ends it.

    It keeps its records below SILT_HOME, where a later `silt up` finds them.
    """
    sys.exit(run_broker(load_settings(), click.echo))
