"""The command ``silt``: each subcommand is imported only when it is asked for."""

import importlib
import logging
import sys

import click

from resources.errors import SiltError

_COMMANDS = {
    "up": "Start the whole stack; Ctrl-C ends it.",
    "broker": "Start the Kafka broker alone; Ctrl-C ends it.",
    "produce": "Send a file's rows to the topic.",
    "simulate": "Send an endless sample stream.",
    "status": "Show the topic's lag, the windows, what is due and what runs.",
    "ledger": "Start anew after the topic was replaced or cut.",
    "dead-letters": "List what broke the contract, and replay it once the contract is right.",
    "erase": "Remove one record id from every table and its history.",
    "models": "List and compare the models; choose which version assigns records.",
    "baseline": "Pin the window that later ones are compared with.",
    "keys": "Say who may ask the API: make, list and revoke keys.",
    "doctor": "Check what Silt needs, and say what to do.",
}


class _LazyGroup(click.Group):
    """Lists its commands without importing them: ``silt --help`` answers at once."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        command = importlib.import_module(f"cli.{cmd_name.replace('-', '_')}").command
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))


@click.group(cls=_LazyGroup)
@click.version_option(package_name="silt")
def silt() -> None:
    """A Kafka topic, cut into five-minute windows, clustered, answered over HTTP."""


def main() -> None:
    """Run ``silt``. A SiltError is one line and exit code 2; Ctrl-C is 130."""
    logging.getLogger("silt").addHandler(logging.NullHandler())  # an error is one line, not librdkafka's log
    try:
        code = silt.main(standalone_mode=False)
    except SiltError as error:
        click.echo(f"silt: {' '.join(str(error).split())}", err=True)
        sys.exit(2)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        sys.exit(130)
    sys.exit(code)


if __name__ == "__main__":
    main()
