"""Dagster's processes are started as they are, but ask the code server less often."""

import os
import subprocess
import sys
from pathlib import Path

from local_stack.dagster_part import ASKS_EVERY, LOADS_EVERY

PART = """
import sys
from dagster._daemon import controller
from dagster._grpc import server_watcher
print(__name__, server_watcher.WATCH_INTERVAL, controller.RELOAD_WORKSPACE_INTERVAL, *sys.argv[1:])
"""


def test_a_module_runs_with_its_arguments_and_asks_seldom(tmp_path: Path) -> None:
    (tmp_path / "part.py").write_text(PART)
    done = subprocess.run(
        [sys.executable, "-m", "local_stack.dagster_part", "part", "run", "-w", "workspace.yaml"],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.split() == [
        "__main__",
        str(ASKS_EVERY),
        str(LOADS_EVERY),
        "run",
        "-w",
        "workspace.yaml",
    ]
