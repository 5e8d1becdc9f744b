"""What a power cut can do to a local Delta table: delta-rs does not fsync, so this does it after each commit;
and what a cut tore in spite of it is set aside before the table is used again."""

import json
import os
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import unquote

UNSETTLED = 10
"""So many of the last commits may not be on disk yet: those of writers that were just at it."""
_AT_ONCE = 8
_COMMIT = re.compile(r"(\d{20})\.json")
_CHECKPOINT = re.compile(r"(\d{20})\.checkpoint.*\.parquet")
_MAGIC = b"PAR1"


def settle(table: Path, after: int, version: int) -> None:
    """Bring the commits in (after, version] to disk: their data files, the log, and the folders.

    All at once: the file system writes one journal for those that wait together. What another process has
    cleaned up meanwhile is passed over.
    """
    log = table / "_delta_log"
    paths = {log}
    for number in range(max(0, after + 1), version + 1):
        commit = log / f"{number:020}.json"
        for path in _added(_actions(commit) or []):
            paths |= {table / path, (table / path).parent, table}
        paths.add(commit)
        for checkpoint in log.glob(f"{number:020}.checkpoint*.parquet"):
            paths |= {checkpoint, log / "_last_checkpoint"}
    with ThreadPoolExecutor(_AT_ONCE) as threads:
        list(threads.map(sync, paths))


def mend(table: Path) -> list[str]:
    """Set torn checkpoints and torn last commits of a table aside, into its folder ``_torn``.

    A commit is torn if its file is no JSON, or a data file that it adds is missing or too short. All later
    ones go with it: their writers had not been told yet that they succeeded, see :func:`settle`. In a running
    system no commit is ever torn, as they appear whole.

    Returns:
        The names of the files that were set aside.
    """
    log = table / "_delta_log"
    if not log.is_dir():
        return []
    names = sorted(path.name for path in log.iterdir())
    commits = {int(found[1]): log / name for name in names if (found := _COMMIT.fullmatch(name))}
    first = _first_torn(table, commits)
    torn = [path for number, path in commits.items() if first is not None and number >= first]
    for name in names:
        if found := _CHECKPOINT.fullmatch(name):
            late = first is not None and int(found[1]) >= first
            if late or not _is_parquet(log / name):
                torn.append(log / name)
    for path in reversed(torn):
        _set_aside(table, path)
    return [path.name for path in torn]


def _first_torn(table: Path, commits: dict[int, Path]) -> int | None:
    """The number of the first torn one of the last commits."""
    removed: set[str] = set()
    first = None
    for number in sorted(commits, reverse=True)[:UNSETTLED]:
        actions = _actions(commits[number])
        if actions is None or not all(
            _is_whole(table / path, size) for path, size in _added(actions).items() if path not in removed
        ):
            first = number
        removed |= {unquote(item["remove"]["path"]) for item in actions or [] if "remove" in item}
    return first


def _actions(commit: Path) -> list[dict[str, Any]] | None:
    """A commit's actions; None if the file is torn. One that is gone has none."""
    try:
        actions = [json.loads(line) for line in commit.read_bytes().splitlines()]
    except FileNotFoundError:
        return []
    except ValueError:
        return None
    return actions if actions and all(isinstance(item, dict) for item in actions) else None


def _added(actions: list[dict[str, Any]]) -> dict[str, int]:
    """The data files that a commit adds, with their sizes in bytes."""
    adds: Iterator[dict[str, Any]] = (item["add"] for item in actions if "add" in item)
    return {unquote(add["path"]): add["size"] for add in adds}


def _is_whole(file: Path, size: int) -> bool:
    return file.is_file() and file.stat().st_size == size


def _is_parquet(file: Path) -> bool:
    try:
        with file.open("rb") as stream:
            begin = stream.read(len(_MAGIC))
            stream.seek(-len(_MAGIC), os.SEEK_END)
            return begin == stream.read() == _MAGIC
    except FileNotFoundError:  # cleaned up meanwhile
        return True
    except OSError:
        return False


def _set_aside(table: Path, file: Path) -> None:
    target = table / "_torn" / f"{os.urandom(4).hex()}-{file.name}"
    target.parent.mkdir(exist_ok=True)
    if _CHECKPOINT.fullmatch(file.name):
        (file.parent / "_last_checkpoint").unlink(missing_ok=True)  # it would name a file that is gone
    file.replace(target)


def sync(path: Path) -> None:
    """Bring a file, or a folder's names, to disk; one that is gone has nothing to bring."""
    try:
        handle = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
