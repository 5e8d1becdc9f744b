"""The faults. Each makes one happen, asserts that it did, counts it, and leaves the stack to recover."""

import contextlib
import math
import signal
import time
from collections.abc import Callable
from functools import partial

import psutil

from local_stack.groups import marked, members
from tests.faults.messages import window_key
from tests.faults.scene import NotThereError, Scene, assets, kill, leader, run_processes, start
from tests.stacks import until

Fault = Callable[[Scene], None]
_PATIENCE = 120


def kill_run(scene: Scene) -> None:
    """kill -9 of the process that executes a window's run, at any instant of its life."""
    until(lambda: run_processes(scene.home), _PATIENCE)
    time.sleep(scene.random.uniform(0, 3))
    until(lambda: _kill_any(scene), _PATIENCE)
    scene.happened["kill -9 of a window's run"] += 1


def _kill_any(scene: Scene) -> bool:
    found = run_processes(scene.home)
    if not found:
        return False
    with contextlib.suppress(NotThereError):
        kill(scene.random.choice(found))
        return True
    return False


def kill_part(part: str, title: str, scene: Scene) -> None:
    """kill -9 of a part of the stack with all its processes; the supervisor brings another."""
    time.sleep(scene.random.uniform(0, 2))
    until(lambda: leader(scene.home, part), _PATIENCE)
    pid = leader(scene.home, part) or 0
    kill(psutil.Process(pid), members(pid))
    scene.happened[f"kill -9 of {title}"] += 1
    until(lambda: leader(scene.home, part) not in (None, pid), _PATIENCE)


def kill_stack(scene: Scene) -> None:
    """kill -9 of `silt up` and of everything that it started; then `silt up` again."""
    process = scene.stack.process
    assert process
    kill(psutil.Process(process.pid), marked(scene.home))
    process.wait()
    scene.happened["kill -9 of the whole stack"] += 1
    start(scene.stack)


def kill_crowded_stack(scene: Scene) -> None:
    """The same, while more runs wait than there are slots."""
    slots, window = scene.dagster.slots(), window_key(scene.random.choice(scene.past))
    crowd: set[str] = set()
    while len(waiting := scene.dagster.waiting()) <= slots:
        for _ in range(slots + 1 - len(waiting)):  # of one window, which the queue runs one at a time
            crowd.add(scene.dagster.launch(["kafka_batch"], window, {"silt/window": window}))
    kill_stack(scene)
    scene.happened["the same with more runs waiting than slots"] += 1
    if scene.plan.calls_off:
        scene.dagster.terminate(list(crowd.intersection(waiting)))


def terminate_stack(scene: Scene) -> None:
    """SIGTERM to `silt up`: it ends all it started, in time and in order; then `silt up` again."""
    process = scene.stack.process
    assert process
    assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=20) == 0, "SIGTERM does not end the stack in order"
    left = marked(scene.home)
    assert not left, f"left running: {left}"
    scene.happened["SIGTERM of the whole stack"] += 1
    start(scene.stack)


def fill_disk(scene: Scene) -> None:
    """The lake's disk is full until a run says so."""
    since = time.time()
    scene.disk.fill()
    try:
        until(lambda: _has_failed_for_space(scene, since), _PATIENCE)
    finally:
        scene.disk.free()
    scene.happened["a full disk"] += 1


def _has_failed_for_space(scene: Scene, since: float) -> bool:
    scene.disk.fill()  # whoever freed some of it meanwhile
    runs = scene.dagster.changed_since(since)
    return any("No space left on device" in scene.dagster.said(run.id) for run in runs)


def run_twice(scene: Scene) -> None:
    """Two runs of one window by hand, at once."""
    begin = scene.random.choice(scene.past)
    until(lambda: _overlapped(scene, begin), _PATIENCE)
    scene.happened["two runs of one window at once"] += 1


def _overlapped(scene: Scene, begin: int) -> bool:
    """Launch two runs, and say whether they were under way at once: one may end before the other begins."""
    launched = [scene.dagster.launch(assets(begin), window_key(begin)) for _ in range(2)]
    until(lambda: all(scene.dagster.run(run).end for run in launched), _PATIENCE)
    runs = [scene.dagster.run(run) for run in launched]
    return max(run.start or math.inf for run in runs) < min(run.end or 0 for run in runs)


def backfill(scene: Scene) -> None:
    """A backfill, by hand, of windows that records are being written to."""
    starts = {scene.messages.late_home(round(1000 * time.time()) + ahead) for ahead in (0, 20_000)}
    windows = [window_key(start) for start in sorted(starts)]
    before = scene.producer.into(starts)
    found = scene.dagster.start_backfill(["kafka_batch", "clustering_results", "cluster_stats"], windows)
    until(lambda: any(run.start for run in scene.dagster.runs(dagster__backfill=found)), _PATIENCE)
    until(lambda: scene.producer.into(starts) > before, _PATIENCE)
    scene.happened["a backfill over what is being written"] += 1


kill_daemon: Fault = partial(kill_part, "daemon", "the daemon")
OTHER_PARTS: list[Fault] = [
    partial(kill_part, "code", "the code server"),
    partial(kill_part, "broker", "the broker"),
    partial(kill_part, "spark", "Spark Connect"),
]
