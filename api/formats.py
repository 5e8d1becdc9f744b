"""The formats of a list: JSON, NDJSON, CSV or an Arrow stream, chosen by ``?format=`` or ``Accept``."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from functools import cache, lru_cache
from io import BytesIO
from typing import Any, Literal

import msgspec
import polars as pl
from msgspec import Raw, inspect

from api.problems import NotAcceptableError

Format = Literal["json", "ndjson", "csv", "arrow"]
MEDIA_TYPES: dict[Format, str] = {
    "json": "application/json",
    "ndjson": "application/x-ndjson",
    "csv": "text/csv",
    "arrow": "application/vnd.apache.arrow.stream",
}
Rows = Sequence[Any] | pl.DataFrame
"""Structs, or dicts with their properties and perhaps more; or a frame whose nested columns are JSON text."""

_TYPES: dict[type[inspect.Type], Any] = {
    inspect.StrType: str,
    inspect.LiteralType: str,
    inspect.IntType: int,
    inspect.FloatType: float,
    inspect.BoolType: bool,
    inspect.DateTimeType: datetime,
}
_COLUMNS: dict[Any, Any] = {
    str: pl.String,
    int: pl.Int64,
    float: pl.Float64,
    bool: pl.Boolean,
    datetime: pl.Datetime("us", "UTC"),
    Raw: pl.String,
}
_CSV_TIME = "%Y-%m-%dT%H:%M:%S%.6fZ"
_LINES = msgspec.json.Encoder()


@lru_cache(256)
def negotiated(accept: str) -> Format:
    """The format that an ``Accept`` header likes best; of several, the first of ours.

    Raises:
        NotAcceptableError: it likes none.
    """
    ranges = [_range(part) for part in accept.split(",") if part.strip()] or [("*/*", 1.0)]
    liked = {name: _quality(media_type, ranges) for name, media_type in MEDIA_TYPES.items()}
    best = max(liked, key=lambda name: liked[name])
    if liked[best] <= 0:
        raise NotAcceptableError(", ".join(MEDIA_TYPES.values()))
    return best


def _range(part: str) -> tuple[str, float]:
    media_range, *parameters = (text.strip().lower() for text in part.split(";"))
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                return media_range, float(value)
            except ValueError:
                return media_range, 0.0
    return media_range, 1.0


def _quality(media_type: str, ranges: list[tuple[str, float]]) -> float:
    """By the most specific range that the media type lies in; 0 if it lies in none."""
    for wanted in (media_type, media_type.partition("/")[0] + "/*", "*/*"):
        if found := [quality for media_range, quality in ranges if media_range == wanted]:
            return max(found)
    return 0.0


@cache
def columns(kind: type[msgspec.Struct]) -> dict[str, Any]:
    """The properties of a struct and their Python types; what is nested is ``Raw``: JSON text."""
    info = inspect.type_info(kind)
    if not isinstance(info, inspect.StructType):
        raise TypeError(f"{kind} is no struct")
    return {field.encode_name: _type(field.type) for field in info.fields}


def _type(info: inspect.Type) -> Any:
    if isinstance(info, inspect.Metadata):
        return _type(info.type)
    if isinstance(info, inspect.UnionType):
        given = {_type(part) for part in info.types if not isinstance(part, inspect.NoneType)}
        return given.pop() if len(given) == 1 else Raw
    return _TYPES.get(type(info), Raw)


def schema(kind: type[msgspec.Struct]) -> dict[str, Any]:
    """The columns of a struct's rows in a frame."""
    return {name: _COLUMNS[python] for name, python in columns(kind).items()}


def encode(chosen: Format, kind: type[msgspec.Struct], rows: Rows) -> bytes:
    """A whole list."""
    if not isinstance(rows, pl.DataFrame):
        if chosen == "json":
            return msgspec.json.encode(rows)
        if chosen == "ndjson":
            return _LINES.encode_lines(rows)
    return b"".join(stream(chosen, kind, [frame(kind, rows)]))


def frame(kind: type[msgspec.Struct], rows: Rows) -> pl.DataFrame:
    """Rows by columns: those of the struct, then what else the rows have, which are numbers."""
    if isinstance(rows, pl.DataFrame):
        return rows
    given = msgspec.json.decode(msgspec.json.encode(rows), type=list[dict[str, Raw]])
    known = columns(kind)
    names = dict.fromkeys([*known, *(name for row in given for name in row)])
    types = {name: known.get(name, float) for name in names}
    return pl.DataFrame(
        [[_value(row.get(name), python) for row in given] for name, python in types.items()],
        schema={name: _COLUMNS[python] for name, python in types.items()},
        orient="col",
    )


def _value(raw: Raw | None, python: Any) -> Any:
    if raw is None or bytes(raw) == b"null":
        return None
    return bytes(raw).decode() if python is Raw else msgspec.json.decode(raw, type=python)


def stream(chosen: Format, kind: type[msgspec.Struct], frames: Iterable[pl.DataFrame]) -> Iterator[bytes]:
    """A list in parts, one a frame; all frames have the same columns."""
    return {"json": _json, "ndjson": _ndjson, "csv": _csv, "arrow": _arrow}[chosen](kind, frames)


def _json(kind: type[msgspec.Struct], frames: Iterable[pl.DataFrame]) -> Iterator[bytes]:
    before = b"["
    for frame in frames:
        if frame.height:
            yield before + _objects(kind, frame).str.join(",").item().encode()
            before = b","
    yield b"[]" if before == b"[" else b"]"


def _ndjson(kind: type[msgspec.Struct], frames: Iterable[pl.DataFrame]) -> Iterator[bytes]:
    for frame in frames:
        if frame.height:
            yield _objects(kind, frame).str.join("\n").item().encode() + b"\n"


def _csv(_: type[msgspec.Struct], frames: Iterable[pl.DataFrame]) -> Iterator[bytes]:
    for number, frame in enumerate(frames):
        yield frame.write_csv(include_header=number == 0, datetime_format=_CSV_TIME).encode()


def _arrow(_: type[msgspec.Struct], frames: Iterable[pl.DataFrame]) -> Iterator[bytes]:
    import pyarrow.ipc as pa_ipc  # type: ignore[import-untyped]  # noqa: PLC0415 - few ask for it

    sink, writer = BytesIO(), None
    for frame in frames:
        table = frame.to_arrow(compat_level=pl.CompatLevel.oldest())
        writer = writer or pa_ipc.new_stream(sink, table.schema)
        writer.write_table(table)
        yield _drained(sink)
    if writer:
        writer.close()
    yield _drained(sink)


def _drained(sink: BytesIO) -> bytes:
    written = sink.getvalue()
    sink.seek(0)
    sink.truncate()
    return written


def _objects(kind: type[msgspec.Struct], frame: pl.DataFrame) -> pl.Series:
    """Each row as a JSON object, what is nested last."""
    types = columns(kind)
    nested = [name for name in frame.columns if types[name] is Raw]
    times = [name for name in frame.columns if types[name] is datetime]
    text = pl.col(times).dt.to_string(_CSV_TIME).str.replace(".000000Z", "Z", literal=True)
    plain = pl.struct(pl.exclude(nested)).struct.json_encode().str.strip_suffix("}")
    parts = [part for name in nested for part in (pl.lit(f',"{name}":'), pl.col(name).fill_null("null"))]
    objects = frame.with_columns(text) if times else frame
    return objects.select(pl.concat_str(plain, *parts, pl.lit("}"))).to_series()
