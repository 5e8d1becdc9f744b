"""Records for the tests of training: from the seed batches, or made up."""

import csv
import json
import random
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from resources.contract import Contract, Value
from resources.tables import TABLES

Row = Mapping[str, Value]
WINDOW = "2026-11-24T0500Z"
ATTEMPT = "the-attempt-that-the-ledger-names"
_START = datetime(2026, 11, 24, 5, tzinfo=UTC)
_TYPES = {"string": pl.String(), "number": pl.Float64()}


def seed_rows(path: Path, contract: Contract) -> list[Row]:
    """A CSV file's rows, each decoded from the JSON that a producer makes of it."""
    with path.open(newline="") as lines:
        decoded = [contract.decode(json.dumps(row).encode()) for row in csv.DictReader(lines)]
    return [dict(zip(contract.fields, record.values, strict=True)) for record in decoded]


def random_rows(
    contract: Contract, count: int, seed: int, *, nulls: float = 0.0, unseen: float = 0.0
) -> list[Row]:
    """Made-up rows: each feature is null, or a category that no other call knows, with such a share."""
    source = random.Random(seed)

    def value(name: str) -> Value:
        draw = source.random()
        if draw < nulls:
            return None
        if contract.fields[name] == "number":
            return round(source.gauss(400, 150), source.randrange(4))
        if draw < nulls + unseen:
            return f"unseen {seed} {source.randrange(50)}"
        return f"{name} {min(int(source.expovariate(0.5)), 7)}"

    def row(number: int) -> Row:
        return {name: f"{seed}-{number}" if name == contract.id else value(name) for name in contract.fields}

    return [row(number) for number in range(count)]


def write_records(folder: Path, contract: Contract, rows: Sequence[Row], files: int) -> list[str]:
    """Write the rows as landed records, dealt in turn to so many files and Kafka partitions.

    Event times are evenly spread over the window, in the order of the rows.
    """
    step = timedelta(minutes=5) / len(rows)
    table = TABLES["records"].schema
    landing = {name: table[name] for name in table if name not in ("date", "record_id")}
    fields = {contract.columns[name]: _TYPES[kind] for name, kind in contract.fields.items()}
    places = [(_START + i * step, False, 1, ATTEMPT, i % files, i // files) for i in range(len(rows))]
    lines = [
        (WINDOW, *place, *(row[name] for name in contract.fields))
        for row, place in zip(rows, places, strict=True)
    ]
    folder.mkdir()
    paths = []
    for number in range(files):
        path = folder / f"{number}.parquet"
        pl.DataFrame(lines[number::files], schema={**landing, **fields}, orient="row").write_parquet(path)
        paths.append(str(path))
    return paths


def silhouettes(points: NDArray[np.float64], clusters: NDArray[np.int64]) -> NDArray[np.float64]:
    """Each point's squared-Euclidean silhouette, by its definition, from all pairs of points."""
    squares = ((points[:, None, :] - points[None, :, :]) ** 2).sum(axis=2)
    labels = np.unique(clusters)
    to_cluster = np.stack([squares[:, clusters == label].sum(axis=1) for label in labels], axis=1)
    sizes = np.array([(clusters == label).sum() for label in labels])
    own = np.searchsorted(labels, clusters)
    everyone = np.arange(len(points))
    scores = np.zeros(len(points))
    near = to_cluster[everyone, own] / np.maximum(sizes[own] - 1, 1)
    others = to_cluster / sizes
    others[everyone, own] = np.inf
    far = others.min(axis=1)
    shared = sizes[own] > 1
    scores[shared] = ((far - near) / np.maximum(far, near))[shared]
    return scores
