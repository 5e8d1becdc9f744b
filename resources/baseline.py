"""The baseline: a window that is pinned as a reference, with its sample and model, however old it gets."""

from datetime import UTC, datetime
from typing import Any

import polars as pl
from deltalake import write_deltalake

from resources.batch import Batch
from resources.cluster_model import ClusterModel
from resources.contract import Contract
from resources.errors import WindowError
from resources.intakes import Intakes
from resources.lake import Lake
from resources.samples import Sample, Samples, published_batch
from resources.tables import TABLES
from resources.windows import Grid, Window


def pin(lake: Lake, contract: Contract, intakes: Intakes, window: Window) -> Batch:
    """Pin a published window: those published from now on are compared with it, too.

    Raises:
        WindowError: it has no clusters.
    """
    batch = published_batch(lake, window)
    if not batch:
        raise WindowError(f"{window.key} has no published clusters: pin a window that `/api/models` shows.")
    samples = Samples(lake, lambda: intakes, Grid(window.minutes), contract.features)
    taken = samples.sample(batch)
    frame = pl.DataFrame([_row(taken, batch)], schema=dict(TABLES["baselines"].schema))
    lake.commit("baselines", lambda table: write_deltalake(table, frame, mode="overwrite"))
    return batch


def unpin(lake: Lake) -> str | None:
    """Forget the baseline; the key of the window that was pinned."""
    row = _read(lake)
    lake.commit("baselines", lambda table: table.delete())
    return row["window"] if row else None


def baseline(lake: Lake) -> Sample | None:
    """The pinned window's sample."""
    row = _read(lake)
    if not row:
        return None
    numbers = {item["feature"]: pl.Series(item["values"], dtype=pl.Float64) for item in row["numbers"]}
    labels = {item["feature"]: pl.Series(item["values"], dtype=pl.String) for item in row["labels"]}
    model = ClusterModel.from_row(row) if row["centres"] else None
    return Sample(row["window"], row["digest"], pl.DataFrame(numbers | labels), model)


def pinned_window(lake: Lake) -> str | None:
    """The key of the window that is pinned."""
    row = _read(lake)
    return row["window"] if row else None


def describe(lake: Lake) -> str:
    """What is pinned, in a line."""
    row = _read(lake)
    if not row:
        return "No baseline is pinned."
    return (
        f"{row['window']}, {row['records']} records, digest {row['digest'][:12]}, "
        f"pinned {row['pinned_at']:%Y-%m-%d %H:%M} UTC"
    )


def _read(lake: Lake) -> dict[str, Any] | None:
    rows = lake.read("baselines").to_dicts()
    return rows[0] if rows else None


def _row(taken: Sample, batch: Batch) -> dict[str, Any]:
    kinds: dict[bool, list[dict[str, Any]]] = {True: [], False: []}
    for series in taken.records:
        kinds[series.dtype.is_numeric()].append({"feature": series.name, "values": series.to_list()})
    return {
        "window": taken.window,
        "digest": taken.digest,
        "pinned_at": datetime.now(UTC),
        "records": batch.records,
        "numbers": kinds[True],
        "labels": kinds[False],
        **(taken.model.row() if taken.model else {}),
    }
