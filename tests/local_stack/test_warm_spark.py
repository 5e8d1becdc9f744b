"""Warming Spark up."""

import subprocess
import sys

from tests.stacks import free_ports


def test_a_server_that_went_away_is_no_reason_to_fail() -> None:
    (port,) = free_ports(1)
    command = [sys.executable, "-m", "local_stack.warm_spark", f"sc://127.0.0.1:{port}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0
    assert "Spark stays cold until the first window" in done.stderr
