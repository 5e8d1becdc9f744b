"""The parts' logs: appended to by the parts themselves, rotated by copy and truncate, quoted from the end."""

import shutil
from pathlib import Path
from typing import BinaryIO

LIMIT = 10 * 1024 * 1024
KEPT = 2


def open_log(path: Path) -> BinaryIO:
    """Open a log for a part to append to; the file may be truncated under its feet."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.open("ab", buffering=0)


def rotate(path: Path, limit: int = LIMIT, kept: int = KEPT) -> bool:
    """Move what a log holds to ``<name>.1`` (that to ``.2``) if it is longer than ``limit`` bytes."""
    if not path.exists() or path.stat().st_size <= limit:
        return False
    for number in range(kept, 1, -1):
        older = path.with_name(f"{path.name}.{number - 1}")
        if older.exists():
            older.replace(path.with_name(f"{path.name}.{number}"))
    shutil.copyfile(path, path.with_name(f"{path.name}.1"))
    with path.open("r+b") as file:
        file.truncate(0)
    return True


def tail(path: Path, lines: int = 15) -> str:
    """The last lines of a log."""
    if not path.exists():
        return ""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 64 * 1024))
        return "\n".join(file.read().decode(errors="replace").splitlines()[-lines:])
