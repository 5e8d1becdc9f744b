"""Kafka's jars: brought once through pyspark's Ivy, kept in the user's cache, checked at each start."""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from local_stack import ivy, logs
from local_stack.stop import Stop
from resources.errors import MissingDependencyError

VERSION = "4.4.0"
PINS = Path(__file__).with_name("kafka_jars.sha256")
DEPENDENCIES = (
    ("org.apache.kafka", "kafka_2.13", VERSION),
    ("org.slf4j", "slf4j-simple", "1.7.36"),
)
_SILENCE = 180.0  # seconds without a new file, after which a download is given up


def cache_folder() -> Path:
    """Where this user's jars are kept."""
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(cache).expanduser() / "silt" / f"kafka-{VERSION}"


def pinned() -> dict[str, str]:
    """Jar file to SHA-256, as the file in the repository says."""
    lines = PINS.read_text().split("\n")
    return {name: digest for digest, name in (line.split() for line in lines if line)}


@dataclass(frozen=True)
class KafkaJars:
    """Brings Kafka's jars to this machine.

    Attributes:
        java: the ``java`` that runs Ivy.
        mirror: root URL of the repository to take them from; empty for Ivy's default.
        log: where Ivy's output goes.
        stop: asked while it waits.
        say: told what takes long.
    """

    java: Path
    mirror: str
    log: Path
    stop: Stop
    say: Callable[[str], None]

    def class_path(self) -> list[Path]:
        """The jars, downloaded if they are not in the cache yet.

        Raises:
            MissingDependencyError: the download failed, or a jar is not the one it should be.
        """
        folder = cache_folder()
        if not folder.is_dir():
            with _alone(folder, self.stop):
                if not folder.is_dir():
                    self._download(folder)
        verify(folder)
        return [folder / name for name in pinned()]

    def _download(self, folder: Path) -> None:
        for abandoned in folder.parent.glob(f"{folder.name}.new-*"):
            shutil.rmtree(abandoned, ignore_errors=True)
        self.say(f"Kafka {VERSION}: downloading {len(pinned())} jars (43 MB, once) to {folder}")
        work = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f"{folder.name}.new-"))
        try:
            self._run_ivy(work)
            self._verify_downloaded(work / "lib")
            (work / "lib").rename(folder)
        finally:
            shutil.rmtree(work, ignore_errors=True)

    def _run_ivy(self, work: Path) -> None:
        command = ivy.command(self.java, work, self.mirror, DEPENDENCIES)
        with logs.open_log(self.log) as output:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
            )
        try:
            self._follow(process, work)
        finally:
            process.kill()
            process.wait()
            _show("")

    def _follow(self, process: subprocess.Popen[bytes], work: Path) -> None:
        count, since = 0, time.monotonic()
        while process.poll() is None and time.monotonic() - since < _SILENCE:
            self.stop.pause(0.3)
            if (now := _files(work)) != count:
                count, since = now, time.monotonic()
                _show_progress(work)

    def _verify_downloaded(self, lib: Path) -> None:
        try:
            verify(lib)
        except MissingDependencyError:
            missing = [name for name in pinned() if not (lib / name).is_file()]
            what = f"{len(missing)} jars did not come" if missing else "a jar has a wrong checksum"
            raise MissingDependencyError(
                f"Kafka's jars could not be downloaded, {what}: check the network, HTTPS_PROXY and "
                f"SILT_MAVEN_MIRROR, then start again. Details: {self.log}"
            ) from None


def verify(folder: Path) -> None:
    """Check each jar's SHA-256.

    Raises:
        MissingDependencyError: a jar is not there, or is another.
    """
    for name, digest in pinned().items():
        jar = folder / name
        if not jar.is_file():
            raise MissingDependencyError(
                f"{jar} is missing: delete {folder}, the next start downloads it again."
            )
        if hashlib.sha256(jar.read_bytes()).hexdigest() != digest:
            raise MissingDependencyError(
                f"{jar} has a wrong checksum (SHA-256): delete {folder}, the next start downloads it again."
            )


@contextmanager
def _alone(folder: Path, stop: Stop) -> Iterator[None]:
    """One download at a time, however many processes want the jars."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        lock = folder.with_name(f"{folder.name}.lock").open("w")
    except OSError as error:
        raise MissingDependencyError(
            f"{folder.parent} cannot be written ({error.strerror}): set XDG_CACHE_HOME to another folder."
        ) from None
    with lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                stop.pause(0.5)
        yield


def _files(work: Path) -> int:
    return sum(1 for _ in work.rglob("*.*"))


def _show_progress(work: Path) -> None:
    modules = sum(1 for _ in work.rglob("ivy-*.xml"))
    jars = sum(1 for _ in (work / "cache").rglob("*.jar"))
    _show(f"  {modules} modules found, {jars} of {len(pinned())} jars")


def _show(text: str) -> None:
    """A line that the next one replaces; nothing unless a person watches."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\033[K{text}")
        sys.stderr.flush()
