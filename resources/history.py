"""A table's history: the files that left its newest version, and what its log says of files that are gone."""

import json
import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any
from urllib.parse import unquote

import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.fs as pa_fs  # type: ignore[import-untyped]
import pyarrow.parquet as pq  # type: ignore[import-untyped]
from deltalake.fs import DeltaStorageHandler

from resources.delta import add_actions, root_of
from resources.lake import Lake

_LOG, _TORN = "_delta_log/", "_torn/"
_UNNAMED_FOR = timedelta(hours=1)
"""A file that no commit names may be a writer's that is at work; after so long it is not."""


@dataclass(frozen=True)
class OldFile:
    """A data file that the newest version does not have.

    Attributes:
        why_kept: why it cannot be deleted yet; empty where it can.
    """

    path: str
    address: str
    why_kept: str


class History:
    """A table's files as they lie in its folder. Each is listed once: make a new one to look again."""

    def __init__(self, lake: Lake, name: str, needed: set[str]) -> None:
        """Look at a table.

        Args:
            needed: the addresses of old files that must stay.
        """
        self._lake, self._name = lake, name
        self._store = pa_fs.PyFileSystem(DeltaStorageHandler(lake.table(name).table_uri))
        # In this order: a data file is there before the commit that names it.
        self._commits = {path: self._read(path) for path in self._listed(_LOG) if path.endswith(".json")}
        self._files = self._listed("")
        self._needed = needed

    def old(self) -> list[OldFile]:
        """The data files that the newest version does not have."""
        table = self._lake.table(self._name)
        actions, root = add_actions(table), root_of(table)
        left = self._data - {*actions["path"]} if not actions.is_empty() else self._data
        return [OldFile(path, f"{root}/{path}", self._why_kept(path, root)) for path in sorted(left)]

    def delete(self, path: str) -> None:
        """Delete a file, unless it is gone."""
        if self._store.get_file_info(path).type == pa_fs.FileType.File:
            self._store.delete_file(path)

    def forget_gone(self) -> int:
        """Take least and greatest values of files that are gone out of the log; what was set aside goes, too.

        Every version can be opened as before.

        Returns:
            How many files of the log were written anew or deleted.
        """
        torn = [path for path in self._files if path.startswith(_TORN)]
        for path in torn:
            self.delete(path)
        changed = [self._forget_in_commit(path, text) for path, text in self._commits.items()]
        checkpoints = [path for path in self._files if path.startswith(_LOG) and path.endswith(".parquet")]
        changed += [self._forget_in_checkpoint(path) for path in checkpoints]
        return len(torn) + sum(changed)

    @cached_property
    def _data(self) -> set[str]:
        return {path for path in self._files if path.endswith(".parquet") and not path.startswith("_")}

    @cached_property
    def _named(self) -> set[str]:
        """The data files that the commits in the log have added."""
        items = [json.loads(line) for text in self._commits.values() for line in text.splitlines()]
        return {unquote(item["add"]["path"]) for item in items if "add" in item}

    def _why_kept(self, path: str, root: str) -> str:
        if f"{root}/{path}" in self._needed:
            return "a window shows its answer of it until its next is published: erase again after that"
        if path not in self._named and self._files[path] > datetime.now(UTC) - _UNNAMED_FOR:
            return "a writer may be at work on it: erase again in an hour"
        return ""

    def _listed(self, folder: str) -> dict[str, datetime]:
        """The files below a folder, and when each was written."""
        found = self._store.get_file_info(pa_fs.FileSelector(folder, recursive=True))
        return {item.path: item.mtime for item in found if item.type == pa_fs.FileType.File}

    def _read(self, path: str) -> bytes:
        with self._store.open_input_stream(path) as stream:
            content: bytes = stream.read()
            return content

    def _forget_in_commit(self, path: str, text: bytes) -> bool:
        lines = [self._forgetful(line) for line in text.splitlines()]
        changed = lines != text.splitlines()
        if changed:
            self._replace(path, b"\n".join(lines))
        return changed

    def _forgetful(self, line: bytes) -> bytes:
        item = json.loads(line)
        if "add" not in item or not self._tells(item["add"]["path"], item["add"].get("stats")):
            return line
        item["add"]["stats"] = _count_alone(item["add"]["stats"])
        return json.dumps(item, separators=(",", ":"), ensure_ascii=False).encode()

    def _forget_in_checkpoint(self, path: str) -> bool:
        rows = pq.read_table(pa.BufferReader(self._read(path)))
        adds = rows.column("add").combine_chunks()
        paths, stats = adds.field("path").to_pylist(), adds.field("stats").to_pylist()
        told = [bool(at) and self._tells(at, said) for at, said in zip(paths, stats, strict=True)]
        if not any(told):
            return False
        kept = [_count_alone(said) if tells else said for said, tells in zip(stats, told, strict=True)]
        fields = [
            pa.array(kept, field.type) if field.name == "stats" else adds.field(field.name)
            for field in adds.type
        ]
        column = pa.StructArray.from_arrays(fields, fields=list(adds.type), mask=adds.is_null())
        sink = pa.BufferOutputStream()
        at = rows.schema.get_field_index("add")
        pq.write_table(rows.set_column(at, rows.schema.field(at), column), sink)
        self._replace(path, sink.getvalue().to_pybytes())
        return True

    def _tells(self, path: str, stats: str | None) -> bool:
        return unquote(path) not in self._data and "minValues" in (stats or "")

    def _replace(self, path: str, content: bytes) -> None:
        """Write a file anew, whole or not at all; on disk when it returns."""
        folder = self._lake.folder(self._name)
        if not folder:  # an object store's PUT
            with self._store.open_output_stream(path) as stream:
                stream.write(content)
            return
        beside = folder / f"{path}.new"
        with beside.open("wb") as file:
            file.write(content)
            os.fsync(file.fileno())
        beside.replace(folder / path)


def _count_alone(stats: Any) -> str:
    return json.dumps({"numRecords": json.loads(stats)["numRecords"]})
