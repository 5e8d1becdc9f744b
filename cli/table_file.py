"""The rows of a CSV, NDJSON or Parquet file, in file order, a slice at a time."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import polars as pl

from resources.errors import SettingError

_SLICE_ROWS = 10_000
_OBJECT = msgspec.json.Decoder(dict[str, Any])
Row = dict[str, Any]


class TableFile:
    """A file of rows, read by its suffix: ``.csv``, ``.ndjson`` (or ``.jsonl``) or ``.parquet``.

    CSV values stay text, an empty one is ``""``. NDJSON is read line by line: one field may be a number
    in one line and text in the next, absent in one and null in another, and stays so. Only a slice of
    the file is in memory.

    Attributes:
        count: the number of rows.
        columns: their fields, as far as the file says them for all (NDJSON does not: None).

    Raises:
        SettingError: the file is not there, cannot be read, or is of another kind.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.columns: list[str] | None = None
        if not path.is_file():
            raise SettingError(f"The file {path} is not there.")
        match path.suffix.lower():
            case ".csv":
                self._table: pl.LazyFrame | None = pl.scan_csv(
                    path, infer_schema=False, empty_string_is_null=False, glob=False
                )
            case ".parquet":
                self._table = pl.scan_parquet(path, glob=False)
            case ".ndjson" | ".jsonl":
                self._table = None
            case other:
                raise SettingError(
                    f"The file {path} ends in {other or 'nothing'!r}: name a .csv, .ndjson or .parquet file."
                )
        self.count = sum(1 for _ in self._lines()) if self._table is None else self._check(self._table)

    def __iter__(self) -> Iterator[Row]:
        return self._lines() if self._table is None else self._rows(self._table)

    def _check(self, table: pl.LazyFrame) -> int:
        count = 0
        for frame in self._slices(table):
            self.columns = frame.columns
            count += frame.height
        return count

    def _rows(self, table: pl.LazyFrame) -> Iterator[Row]:
        for frame in self._slices(table):
            yield from frame.iter_rows(named=True)

    def _slices(self, table: pl.LazyFrame) -> Iterator[pl.DataFrame]:
        try:
            yield from table.collect_batches(chunk_size=_SLICE_ROWS)
        except (pl.exceptions.PolarsError, OSError) as error:
            raise self._unreadable(error) from None

    def _lines(self) -> Iterator[Row]:
        try:
            with self.path.open("rb") as lines:
                for number, line in enumerate(lines, 1):
                    if line.strip():
                        yield self._object(line, number)
        except OSError as error:
            raise self._unreadable(error) from None

    def _object(self, line: bytes, number: int) -> Row:
        try:
            return _OBJECT.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise SettingError(f"The file {self.path}, line {number}, is no JSON object: {error}.") from None

    def _unreadable(self, error: Exception) -> SettingError:
        first_line = (str(error).splitlines() or [type(error).__name__])[0]
        return SettingError(f"The file {self.path} cannot be read: {first_line}.")
