"""The environment of the stack's processes: every setting spelled out, whatever their working folder is."""

import os
import sys
from pathlib import Path

from local_stack.groups import MARK
from resources.settings import KAFKA_PREFIX, PREFIX, Settings


def setting_variables(settings: Settings) -> dict[str, str]:
    """All settings in force, as environment variables."""
    fields = settings.model_dump(exclude={"kafka"})
    kafka = {f"{KAFKA_PREFIX}{name.upper()}": value for name, value in settings.kafka.items()}
    return {f"{PREFIX}{name.upper()}": str(value) for name, value in fields.items()} | kafka


def stack_environment(settings: Settings) -> dict[str, str]:
    """The environment that every part gets.

    Left out is what would make another Spark of this machine take part.
    """
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("SPARK_")}
    path = f"{Path(sys.executable).parent}{os.pathsep}{inherited.get('PATH', '')}"
    return {
        **inherited,
        **setting_variables(settings),
        MARK: str(settings.home),
        "PATH": path,
        "DAGSTER_HOME": str(settings.home / "dagster"),
        "PYTHONUNBUFFERED": "1",
        "MALLOC_ARENA_MAX": "2",  # glibc's default, eight a core, costs each process tens of megabytes
        # Polars gives back what it did not use for a quarter of a second: a sixth of a large window's memory.
        "_RJEM_MALLOC_CONF": "dirty_decay_ms:250,muzzy_decay_ms:0",
    }
