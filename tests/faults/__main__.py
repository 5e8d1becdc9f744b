"""``python -m tests.faults [PLAN] [--keep FOLDER]``: the harness, apart; the report as Markdown on stdout."""

import signal
import sys
from pathlib import Path

import click

from tests.faults.apart import run_apart
from tests.faults.plans import PLANS


@click.command()
@click.argument("plan", type=click.Choice(list(PLANS)), default="long")
@click.option(
    "--keep", type=click.Path(path_type=Path, resolve_path=True), help="for what a failed run leaves"
)
def main(plan: str, keep: Path | None) -> None:
    """Run the harness."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    options = ["--keep", str(keep)] if keep else []
    sys.exit(run_apart("-m", "tests.faults.harness", plan, *options))


if __name__ == "__main__":
    main()
