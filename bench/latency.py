"""``python -m bench.latency``: from a window's close to the API's answer, attended and not."""

import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

import click

from bench.common import LIVE_RECORDS, Answered, answers, own_stack, prompt, tell, tell_head

MEDIAN_SECONDS, WORST_SECONDS = 2.5, 5.0
_WARM_UP = 2


@click.command()
@click.option("--windows", type=click.IntRange(min=1), default=10, show_default=True, help="To measure.")
def main(windows: int) -> None:
    """Measure one-minute windows of a live stream of 1,000 records each.

    Two stacks run side by side, on the same minutes: in one every window's run attends it from its start, in
    the other runs start when a window is due. The exit code is 1 if the attended windows miss the bounds.
    """
    with ThreadPoolExecutor() as both:
        runs = [
            both.submit(_measured, "attended", windows),
            both.submit(_measured, "not attended", windows, SILT_LEAD_SECONDS="0"),
        ]
        attended, unattended = (run.result() for run in runs)
    for title, measured in (("Attended", attended), ("Not attended (SILT_LEAD_SECONDS=0)", unattended)):
        tell_head(title)
        for answered in measured:
            tell(answered)
    click.echo()
    kept = prompt("attended", attended, MEDIAN_SECONDS, WORST_SECONDS)
    prompt("not attended", unattended, MEDIAN_SECONDS, WORST_SECONDS)
    sys.exit(0 if kept else 1)


def _measured(name: str, count: int, **changes: str) -> list[Answered]:
    """The windows' times on a stack of its own; the first two, which warm it, are left out."""
    measured = []
    with own_stack(**changes) as stack:
        stack.start("up", "--no-sample")
        with stack.running("simulate", "--rate", f"{LIVE_RECORDS / 60:.4f}"):
            for answered in islice(answers(stack), _WARM_UP, _WARM_UP + count):
                click.echo(f"{name}: {answered.window.key} after {answered.seconds:.2f} s", err=True)
                measured.append(answered)
    return measured


if __name__ == "__main__":
    main()
