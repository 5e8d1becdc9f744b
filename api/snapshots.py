"""The tables of answers as the API holds them: immutable versions, and which file holds which answer."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache

import polars as pl
from deltalake import DeltaTable, QueryBuilder

from api.problems import UnavailableError
from api.published import Answer
from resources.delta import add_actions
from resources.lake import Lake
from resources.tables import TABLES, Schema

SQL_NAME = "answers"
_PINNED_VERSIONS = 16
_REPLACED_ANSWERS = 1_000

Pair = tuple[str, str]
"""A window's key and a digest: they name an answer."""


@dataclass(frozen=True)
class File:
    """A data file: its address, its number of rows, the answers in it, and its highest cluster, if known."""

    address: str
    rows: int
    pairs: frozenset[Pair]
    highest_cluster: int | None

    @cached_property
    def newest(self) -> str:
        """The newest window in it."""
        return max(window for window, _ in self.pairs)


Held = Mapping[Pair, list[File]]


@dataclass(frozen=True, eq=False)
class Snapshot:
    """One version of a table whose rows belong to a window and a digest. It never changes."""

    table: DeltaTable
    version: int
    files: Mapping[str, File]
    held: Held
    replaced: Held
    """What earlier versions held and this one does not: the files outlive their versions by days."""

    @cached_property
    def sql(self) -> QueryBuilder:
        """DataFusion over this version, under the name ``answers``: it uses statistics and bloom filters."""
        return QueryBuilder().register(SQL_NAME, self.table)


class AnswerTable:
    """``clustering_results``, ``cluster_stats``, ``cluster_ids`` or ``models``, read by window and digest."""

    def __init__(self, lake: Lake, name: str) -> None:
        self._lake = lake
        self._name = name
        self._lock = threading.Lock()
        self._snapshot: Snapshot | None = None
        self._pinned = lru_cache(_PINNED_VERSIONS)(self._open)

    @property
    def schema(self) -> Schema:
        """The table's columns."""
        return TABLES[self._name].schema

    def snapshot(self) -> Snapshot:
        """The table as it is now."""
        version = self._lake.table(self._name).version()
        with self._lock:
            if self._snapshot is None or self._snapshot.version < version:
                self._snapshot = self._open(version, self._snapshot)
            return self._snapshot

    def files(self, snapshot: Snapshot, answer: Answer, version: int | None = None) -> list[File]:
        """The files that hold an answer's rows: in a snapshot, or else where its row says they are.

        While a window is being published again, its rows are replaced a moment before its row in
        ``windows`` is: then they are found in the last version before that, from ``version`` on, which that
        row names.

        Raises:
            UnavailableError: neither version holds the answer.
        """
        pair = (answer.window, answer.digest or "")
        files = snapshot.held.get(pair) or snapshot.replaced.get(pair)
        if files is None and version is not None:
            files = self._pinned(self._lake.last_with(self._name, answer.window, version)).held.get(pair)
        if files is None:
            raise UnavailableError(f"{self._name} holds no rows of {pair}")
        return files

    def rows(self, snapshot: Snapshot, answer: Answer, version: int | None = None) -> pl.LazyFrame:
        """An answer's rows; raises as :meth:`files` does."""
        return only(self.files(snapshot, answer, version), answer)

    def _open(self, version: int, last: Snapshot | None = None) -> Snapshot:
        table = self._lake.table(self._name, version)
        files = _files(table, last.files if last else {})
        held = _held(files)
        return Snapshot(table, version, files, held, _replaced(last, held) if last else {})


def _held(files: Mapping[str, File]) -> Held:
    held: dict[Pair, list[File]] = {}
    for file in files.values():
        for pair in file.pairs:
            held.setdefault(pair, []).append(file)
    return held


def _replaced(last: Snapshot, held: Held) -> Held:
    gone = {pair: files for pair, files in last.held.items() if pair not in held}
    return dict(list({**last.replaced, **gone}.items())[-_REPLACED_ANSWERS:])


def only(files: list[File], answer: Answer) -> pl.LazyFrame:
    """An answer's rows in files that may hold those of other windows too."""
    mine = (pl.col("window") == answer.window) & (pl.col("digest") == answer.digest)
    return pl.scan_parquet([file.address for file in files]).filter(mine)


def _files(table: DeltaTable, known: Mapping[str, File]) -> dict[str, File]:
    """The files of a table version; a file never changes, so what is ``known`` of it stays true."""
    actions = add_actions(table)
    if actions.is_empty():
        return {}
    highest = pl.col("max.cluster") if "max.cluster" in actions.columns else pl.lit(None)
    bounds = ("min.window", "max.window", "min.digest", "max.digest")
    columns = actions.select("address", "num_records", *bounds, highest)
    return {
        address: known.get(address) or File(address, rows, _pairs(address, *least_and_most), cluster)
        for address, rows, *least_and_most, cluster in columns.iter_rows()
    }


def _pairs(
    address: str, first: str | None, last: str | None, least: str | None, most: str | None
) -> frozenset[Pair]:
    """The (window, digest) pairs of a file: by its statistics where they leave no choice."""
    if first is not None and least is not None and first == last and least == most:
        return frozenset({(first, least)})
    pairs = pl.scan_parquet(address).select("window", "digest").unique().collect()
    return frozenset((window, digest) for window, digest in pairs.iter_rows())
