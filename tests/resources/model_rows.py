"""Models of one feature, ``price``, as the assets store them, and the answers that are made from them."""

from datetime import timedelta
from typing import Any

import numpy as np
import polars as pl

from resources.cluster_model import ClusterModel, Feature
from resources.lake import Lake
from resources.tables import TABLES
from resources.windows import Window
from tests.resources.conftest import NOW, window_row

PRICE = Feature("price", "number", (), 5.0, 0.5)


def store_model(
    lake: Lake,
    window: Window,
    revision: int = 1,
    digest: str = "",
    centres: tuple[float, ...] = (1.0, 5.0),
    trained: int = 0,
    **more: Any,
) -> str:
    """Store a model with such centres, in units of price, trained so many seconds after noon; its digest."""
    model = ClusterModel((PRICE,), np.array(centres)[:, None] * PRICE.scale)
    key = digest or f"{window.key} {revision}"
    row = {
        "date": window.date, "window": window.key, "slot": window.slot, "model": f"model_{window.slot}",
        "revision": revision, "digest": key, "state": "trained", "k": len(centres), "records": 9,
        "sizes": [4, 5], "silhouette": 0.5, "inertia": 12.0, "trained_at": NOW + timedelta(seconds=trained),
        "first_source": window.key, **model.row(), **more,
    }  # fmt: skip
    frame = pl.DataFrame([row], schema=dict(TABLES["models"].schema))
    lake.replace_window("models", window, frame, key, revision)
    return key


def publish_model(lake: Lake, window: Window, revision: int = 1, **more: Any) -> str:
    """Store a model, and the row of the window that it assigned; its digest."""
    digest = store_model(lake, window, revision, **more)
    assigned = {"model_version": f"model_{window.slot}/{window.key}/r{revision}", "model_digest": digest}
    lake.replace_window("windows", window, window_row(window, revision=revision, digest=digest, **assigned))
    return digest
