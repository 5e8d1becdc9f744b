"""One stack per home: a file lock that the system releases, however its holder ends."""

import fcntl
import os
from pathlib import Path
from types import TracebackType

from resources.errors import SettingError


class HomeLock:
    """Held by the process that runs a home's stack, or its broker alone."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._path = home / "run" / "lock"

    def __enter__(self) -> "HomeLock":
        while not self._take():  # the file was removed by its last holder in between
            self._file.close()
        self._file.truncate(0)
        self._file.write(f"{os.getpid()}\n")
        self._file.flush()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._path.unlink(missing_ok=True)
        self._file.close()

    def _take(self) -> bool:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._path.open("a+")
        except OSError as error:
            raise SettingError(
                f"SILT_HOME={self._home} cannot be written ({error.strerror}): set it to another folder."
            ) from None
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SettingError(
                f"Silt runs on {self._home} already (process {self._holder()}): "
                "end that one, or set SILT_HOME to another folder."
            ) from None
        try:
            return os.path.samestat(self._path.stat(), os.fstat(self._file.fileno()))
        except FileNotFoundError:
            return False

    def _holder(self) -> str:
        self._file.seek(0)
        return self._file.read().strip() or "unknown"


def lock_holder(home: Path) -> int | None:
    """The process that runs this home's stack, None if none does."""
    try:
        with (home / "run" / "lock").open() as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return int(file.read().strip() or 0) or None
    except FileNotFoundError:
        pass
    return None
