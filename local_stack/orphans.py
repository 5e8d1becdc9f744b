"""``python -m local_stack.orphans``: reports the runs that a killed stack left as failed.

Their processes are gone, but Dagster would count them as running for ever, and each would hold its slot.
"""

import sys

from dagster import DagsterInstance, DagsterRunStatus, RunsFilter

_UNFINISHED = [
    DagsterRunStatus.NOT_STARTED,
    DagsterRunStatus.STARTING,
    DagsterRunStatus.STARTED,
    DagsterRunStatus.CANCELING,
]
_MESSAGE = "The stack was ended while this run was in progress; its window is requested again."


def report_orphans(instance: DagsterInstance) -> int:
    """Report every unfinished run as failed; queued runs stay, the daemon launches them.

    Call it only while none of the instance's run processes lives. Returns how many there were.
    """
    runs = instance.get_runs(RunsFilter(statuses=_UNFINISHED))
    for run in runs:
        instance.report_run_failed(run, _MESSAGE)
    return len(runs)


if __name__ == "__main__":
    with DagsterInstance.get() as dagster:
        sys.stdout.write(f"{report_orphans(dagster)} orphaned runs\n")
