"""A command in namespaces of its own: nothing that it starts or mounts outlives it, however it ends."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

_DIES_WITH_US = ["setpriv", "--pdeathsig", "KILL"]
_NAMESPACES = ["unshare", "--mount", "--pid", "--mount-proc", "--fork", "--kill-child"]
_REAP = 'python="$1"; shift; "$python" "$@"; exit $?'
"""A shell as the first process: it reaps whoever is orphaned, as a system's own does."""


def run_apart(*arguments: str, seconds: float | None = None) -> int:
    """Run Python with these arguments and a last one, an empty folder that is removed afterwards.

    Returns:
        The exit code.
    """
    user = [] if os.geteuid() == 0 else ["--map-root-user"]
    with tempfile.TemporaryDirectory(prefix="silt-faults-") as folder:
        command = [
            *_DIES_WITH_US,
            *_NAMESPACES,
            *user,
            "bash",
            "-c",
            _REAP,
            "bash",
            sys.executable,
            *arguments,
            folder,
        ]
        environment = os.environ | {"TMPDIR": str(Path(folder) / "tmp")}
        (Path(folder) / "tmp").mkdir()
        done = subprocess.run(command, env=environment, timeout=seconds, check=False)
    return done.returncode
