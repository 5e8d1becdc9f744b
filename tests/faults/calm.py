"""``python -m tests.faults.calm WINDOW…``: the calm day. The topic into a lake of its own, each window once.

Settings say which topic, Spark and lake. It runs the same assets as Dagster does, in this process, one after
the other, with nothing going wrong.
"""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import dagster as dg

from platform_assets.definitions import defs
from platform_assets.sensors import asset_names
from resources.settings import load_settings
from tests.stacks import Stack


def calm_lake(stack: Stack, home: Path, windows: Sequence[str]) -> Path:
    """Feed a stack's topic to a lake below ``home``, and answer these windows; the lake's folder."""
    settings = stack.settings
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("SILT_")},
        **stack.environment,
        "SILT_HOME": str(home),
        "SILT_LAKE_URI": str(home / "lake"),
        "SILT_KAFKA__BOOTSTRAP_SERVERS": settings.kafka_properties["bootstrap.servers"],
        "SILT_SPARK_REMOTE": settings.spark_url,
    }
    command = [sys.executable, "-m", "tests.faults.calm", *windows]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"the calm run failed: {done.stdout[-2000:]}{done.stderr[-4000:]}"
    return home / "lake"


def answer(windows: Sequence[str]) -> None:
    """Materialize each window."""
    grid = load_settings().grid
    job = defs().resolve_implicit_global_asset_job_def()
    with dg.DagsterInstance.ephemeral() as instance:
        for key in windows:
            keys = [dg.AssetKey(name) for name in asset_names(grid.window(key))]
            tags = {"dagster/partition": key}
            assert job.execute_in_process(asset_selection=keys, tags=tags, instance=instance).success


if __name__ == "__main__":
    answer(sys.argv[1:])
