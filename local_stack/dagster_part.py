"""``python -m local_stack.dagster_part MODULE ...``: a process of Dagster that seldom asks the code server
whether it is still the same. Every second, as it would, is most of what the webserver does at rest; that the
daemon besides loads every minute what the code server defines is a fifth of what the daemon does."""

import runpy
import sys

from dagster._daemon import controller
from dagster._grpc import server_watcher

ASKS_EVERY = 5
"""Seconds. A code server that was started again is known to the others after so long."""
LOADS_EVERY = 240
"""Seconds; less than the five minutes after which the daemon ends where it fails."""

if __name__ == "__main__":
    server_watcher.WATCH_INTERVAL = ASKS_EVERY
    controller.RELOAD_WORKSPACE_INTERVAL = LOADS_EVERY
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
