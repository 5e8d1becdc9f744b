"""How a run's process starts: forked from one that has imported everything, instead of from nothing.

Dagster's code server starts each run by multiprocessing's *spawn*: 2.4 seconds of CPU for imports, more than
the work of a small window. A *forkserver* is as safe (a process that has done nothing but import) and has
them done. It is itself a fork of the code server: so the memory of what is imported, a quarter of a gigabyte,
is there once for the code server, the forkserver and all runs.
"""

import gc
import os
import signal
import sys
import threading
from collections.abc import Sequence
from itertools import pairwise
from multiprocessing import forkserver, resource_tracker, util
from multiprocessing.context import SpawnProcess
from multiprocessing.popen_forkserver import Popen
from typing import Any

_IMPORTED = ["dagster._cli", "dagster._grpc.impl", "platform_assets.definitions"]
"""For a forkserver that has to start from nothing, because the first was killed."""


def fork_runs() -> None:
    """Let what the code server spawns be forked from a forkserver; other processes stay as they are.

    Call it when all is imported, and nothing has been done yet that starts a thread.
    """
    spawned: Any = SpawnProcess
    if sys.argv[1:3] != ["api", "grpc"] or spawned._Popen is Popen:
        return
    spawned._Popen = staticmethod(Popen)
    forkserver.set_forkserver_preload(_IMPORTED)
    resource_tracker.ensure_running()
    replaced: Any = util
    spawn = replaced.spawnv_passfds
    replaced.spawnv_passfds = _fork
    try:
        forkserver.ensure_running()
    finally:
        replaced.spawnv_passfds = spawn


def _fork(_: object, arguments: Sequence[str], fds: Sequence[int]) -> int:
    """Fork, instead of starting an interpreter, for the command that this was to be given by ``-c``.

    Returns:
        The process id of the fork, which never returns.
    """
    gc.collect()
    gc.freeze()  # a collection writes to the objects that it looks at, and what is written to is not shared
    if pid := os.fork():
        return pid
    code = 1
    try:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)  # Dagster's handler is not for this process
        forkserver._forkserver._lock = threading.Lock()  # type: ignore[attr-defined]  # it was held
        for kept, next_kept in pairwise(sorted([2, *fds, os.sysconf("SC_OPEN_MAX")])):
            os.closerange(kept + 1, next_kept)
        exec(arguments[-1])
    except SystemExit:
        code = 0
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        os._exit(code)
