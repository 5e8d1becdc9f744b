"""The types of this folder's fixtures."""

import subprocess
from collections.abc import Callable
from typing import Protocol

Condition = Callable[[], object]
Until = Callable[[Condition, float], None]
FreePort = Callable[[], int]


class Silt(Protocol):
    """Starts `silt` with arguments."""

    def __call__(self, *arguments: str) -> subprocess.Popen[str]: ...
