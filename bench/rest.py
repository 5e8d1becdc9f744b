"""``python -m bench.rest``: how soon a stack answers, and what each part takes while nothing happens."""

import contextlib
import json
import time
from collections import defaultdict
from collections.abc import Callable

import click
import httpx
import psutil

from bench.common import own_stack
from local_stack.groups import members
from tests.stacks import Stack

_POLL_SECONDS = 0.02
_LOOK_SECONDS = 5.0


@click.command()
@click.option("--sample/--no-sample", default=False, show_default=True, help="Whether the sample streams in.")
@click.option("--settle", default=330.0, show_default=True, help="Seconds from the start to the first look.")
@click.option("--seconds", default=300.0, show_default=True, help="How long it is watched: a window.")
def main(sample: bool, settle: float, seconds: float) -> None:
    """Start a stack of five-minute windows in a home of its own, let it settle, and watch it.

    Memory is PSS in MB (10^6 bytes), the mean of looks five seconds apart. CPU is in percent of a core, of a
    part's processes and of those that they started and that ended meanwhile.
    """
    with own_stack(SILT_WINDOW_MINUTES="5") as stack:
        begun = time.monotonic()
        _start(stack, sample)
        time.sleep(max(0.0, begun + settle - time.monotonic()))
        _watch(stack, seconds)


def _start(stack: Stack, sample: bool) -> None:
    begun, log = time.monotonic(), stack.home / "silt.log"

    def reached(name: str, condition: Callable[[], object]) -> None:
        while not condition():
            if stack.process and stack.process.poll() is not None:
                raise click.ClickException(log.read_text())
            time.sleep(_POLL_SECONDS)
        click.echo(f"| {name} | {time.monotonic() - begun:.1f} |")

    click.echo("| from `silt up` to | seconds |\n| --- | ---: |")
    stack.start("up", "--sample" if sample else "--no-sample", said="")
    reached("the API's first answer", lambda: _models(stack) is not None)
    reached("all parts ready", lambda: "Ctrl-C ends it." in log.read_text())
    if sample:
        reached("three models' clusters over HTTP", lambda: len(_models(stack) or ()) == 3)
    click.echo(f"\n{log.read_text()}")


def _models(stack: Stack) -> set[str] | None:
    """The models that the API answers with; None while it does not answer."""
    with contextlib.suppress(httpx.HTTPError):
        return {row["model"] for row in stack.get("/api/cluster-stats")}
    return None


def _watch(stack: Stack, seconds: float) -> None:
    memory: defaultdict[str, list[int]] = defaultdict(list)
    begun, before = time.monotonic(), _cpu_seconds(_parts(stack))
    while (left := begun + seconds - time.monotonic()) > 0:
        for name, processes in _parts(stack).items():
            memory[name].append(sum(_pss(process) for process in processes))
        time.sleep(min(_LOOK_SECONDS, left))
    used = {name: spent - before[name] for name, spent in _cpu_seconds(_parts(stack)).items()}
    lasted = time.monotonic() - begun
    click.echo("| part | PSS, MB | most, MB | CPU, % of a core |\n| --- | ---: | ---: | ---: |")
    for name, looks in memory.items():
        _row(name, sum(looks) / len(looks), max(looks), used[name] / lasted)
    together = [sum(look) for look in zip(*memory.values(), strict=False)]
    _row("all", sum(together) / len(together), max(together), sum(used.values()) / lasted)


def _row(name: str, mean: float, most: float, cpu: float) -> None:
    click.echo(f"| {name} | {mean / 1e6:.0f} | {most / 1e6:.0f} | {100 * cpu:.1f} |")


def _parts(stack: Stack) -> dict[str, list[psutil.Process]]:
    """The living processes of each part; those that the code server forks for runs apart from it."""
    assert stack.process
    parts = {"supervisor": [psutil.Process(stack.process.pid)]}
    for record in sorted((stack.home / "run").glob("*.json")):
        parts[record.stem] = members(json.loads(record.read_text())["pid"])
    forked = [process for process in parts["code"] if _is_fork(process)]
    parts["code"] = [process for process in parts["code"] if process not in forked]
    parts["runs"] = [process for process in forked if process.parent() in forked]
    parts["forkserver"] = [process for process in forked if process not in parts["runs"]]
    return parts


def _is_fork(process: psutil.Process) -> bool:
    """Whether a process has the command line of the one that it comes from."""
    parent = process.parent()
    return parent is not None and process.cmdline() == parent.cmdline()


def _cpu_seconds(parts: dict[str, list[psutil.Process]]) -> dict[str, float]:
    """CPU seconds of each part so far, and of what ended; runs that ended count for the runs."""
    spent = {}
    for name, processes in parts.items():
        times = [process.cpu_times() for process in processes]
        spent[name] = sum(sum(time[:4]) for time in times)
    ended = sum(sum(process.cpu_times()[2:4]) for process in parts["forkserver"])
    return spent | {"forkserver": spent["forkserver"] - ended, "runs": spent["runs"] + ended}


def _pss(process: psutil.Process) -> int:
    """Bytes; zero if it has just ended."""
    with contextlib.suppress(psutil.Error):
        return int(process.memory_full_info().pss)
    return 0


if __name__ == "__main__":
    main()
