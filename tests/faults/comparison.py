"""Compares two lakes that were fed with one topic: one lived through faults, the other had a calm day."""

import json
import math
from collections.abc import Iterator, Mapping
from typing import Any

import polars as pl

from tests.faults.tables import Tables

_COUNTS = ("state", "digest", "records", "duplicates", "contract_version")
_MODEL = (
    "state",
    "k",
    "seed",
    "records",
    "sizes",
    "left_out",
    "silhouette",
    "inertia",
    "features",
    "centres",
)
_CLOSE = 1e-9
"""Sums of floating-point numbers depend on the order of files in the last digits; clusters do not."""


def compare(tables: Tables, calm: Tables) -> int:
    """Every answer of the calm lake stands in the other, clusters included; an AssertionError names what not.

    Returns:
        The number of windows compared.
    """
    calm_rows = calm.windows.filter(pl.col("state").is_not_null())
    rows = {row["window"]: row for row in tables.windows.iter_rows(named=True)}
    for expected in calm_rows.iter_rows(named=True):
        window, digest = expected["window"], expected["digest"]
        assert window in rows, f"window {window} has no answer"
        _same(_only(rows[window], _COUNTS), _only(expected, _COUNTS), f"window {window}")
        for name in ("models", "clustering_results", "cluster_stats"):
            mine, theirs = (_answer(getattr(each, name), window, digest) for each in (tables, calm))
            _same(list(mine), list(theirs), f"{name} of window {window}")
    return calm_rows.height


def _answer(frame: pl.DataFrame, window: str, digest: str) -> Iterator[Mapping[str, Any]]:
    rows = frame.filter((pl.col("window") == window) & (pl.col("digest") == digest))
    if "centres" in rows.columns:  # a run that was killed may have trained the same for an earlier revision
        rows = rows.sort("revision").tail(1)
    order = [name for name in ("record_id", "cluster") if name in rows.columns]
    for row in rows.sort(order).iter_rows(named=True) if order else rows.iter_rows(named=True):
        yield _only(row, _MODEL) if "centres" in row else _plain(row)


def _only(row: Mapping[str, Any], names: tuple[str, ...]) -> Mapping[str, Any]:
    return {name: row[name] for name in names}


def _plain(row: Mapping[str, Any]) -> Mapping[str, Any]:
    """A row without its revisions, which count other things, and with its JSON read."""
    jsons = ("features", "averages")
    return {
        name: json.loads(value) if name in jsons else value
        for name, value in row.items()
        if name not in ("revision", "model_version")
    }


def _same(mine: Any, theirs: Any, where: str) -> None:
    if isinstance(theirs, float) and isinstance(mine, float):
        assert math.isclose(mine, theirs, rel_tol=_CLOSE, abs_tol=_CLOSE), f"{where}: {mine}, calm {theirs}"
    elif isinstance(theirs, Mapping) and isinstance(mine, Mapping):
        assert mine.keys() == theirs.keys(), f"{where}: {list(mine)}, calm {list(theirs)}"
        for name, value in theirs.items():
            _same(mine[name], value, f"{where}, {name}")
    elif isinstance(theirs, list) and isinstance(mine, list):
        assert len(mine) == len(theirs), f"{where}: {len(mine)} of {len(theirs)}"
        for one, other in zip(mine, theirs, strict=True):
            _same(one, other, where)
    else:
        assert mine == theirs, f"{where}: {mine}, calm {theirs}"
