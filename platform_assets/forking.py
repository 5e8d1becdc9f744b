"""How a run's process starts: forked from one that has imported everything, instead of from nothing.

Dagster's code server starts each run by multiprocessing's *spawn*: 2.4 seconds of CPU for imports, more than
the work of a small window. A *forkserver* is as safe (a process of its own, without threads, made before
anything ran) and has them done once.
"""

import multiprocessing.context
import multiprocessing.forkserver
import multiprocessing.popen_forkserver

_IMPORTED = ["dagster._cli", "dagster._grpc.impl", "platform_assets.definitions"]


def fork_runs() -> None:
    """Let what this process spawns be forked from a forkserver; call it in the code server."""
    multiprocessing.forkserver.set_forkserver_preload(_IMPORTED)
    forked = staticmethod(multiprocessing.popen_forkserver.Popen)
    multiprocessing.context.SpawnProcess._Popen = forked  # type: ignore[assignment]
