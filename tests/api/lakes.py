"""Small lakes made by hand, written through the real lake class as the assets write."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl

from resources.lake import Lake
from resources.tables import TABLES
from resources.windows import Grid, Window

GRID = Grid(5)
NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
"""The lake's floor is 2026-11-22, a day and the lateness before."""
FIRST = GRID.window("2026-11-24T0500Z")
"""Its slot is 1: it trains model_1."""


class HandMadeLake(Lake):
    """A lake in which a window is published from a mapping of record id to cluster."""

    def __init__(self, folder: Path) -> None:
        super().__init__(str(folder))
        self.create(NOW, timedelta(hours=24))

    def publish(self, window: Window, clusters: dict[str, int], revision: int = 1) -> None:
        """Publish a window, in the order that the assets keep: its row in ``windows`` comes last."""
        versions = self.replace_answer(window, clusters, revision)
        self.write_row(window, "published", revision, versions)

    def replace_answer(self, window: Window, clusters: dict[str, int], revision: int = 1) -> dict[str, int]:
        """Write a window's results, statistics and model, and not its row."""
        head = _head(window, revision)
        self.replace_window("models", window, _frame("models", [_model(head)]), head["digest"])
        results = [_result(head, window, *item) for item in clusters.items()]
        stats = [
            _stats(head, number, list(clusters.values()).count(number), len(clusters)) for number in (0, 1)
        ]
        return {
            "results_version": self._replace("clustering_results", window, results),
            "stats_version": self._replace("cluster_stats", window, stats),
        }

    def name_clusters(self, window: Window, names: list[str], revision: int = 1) -> None:
        """Give the clusters of a window's answer ids and names."""
        head = _head(window, revision)
        rows = [
            {**head, "cluster": number, "id": f"{window.key}/{number}", "name": name, "named": len(names)}
            for number, name in enumerate(names)
        ]
        self._replace("cluster_ids", window, rows)

    def write_row(
        self,
        window: Window,
        state: str | None,
        revision: int = 1,
        versions: dict[str, int] | None = None,
        **more: Any,
    ) -> None:
        """Write a window's row in ``windows``."""
        row = {**_head(window, revision), "state": state, "attempts": 0, **(versions or {}), **more}
        self._replace("windows", window, [row])

    def _replace(self, name: str, window: Window, rows: list[dict[str, Any]]) -> int:
        return self.replace_window(name, window, _frame(name, rows))


def digest(window: Window, revision: int) -> str:
    """What stands for the SHA-256 of a window's selection."""
    return f"{window.key}-{revision}".ljust(64, "0")


def _frame(name: str, rows: list[dict[str, Any]]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=TABLES[name].schema)


def _head(window: Window, revision: int) -> dict[str, Any]:
    return {
        "date": window.date,
        "window": window.key,
        "slot": window.slot,
        "revision": revision,
        "digest": digest(window, revision),
    }


def _model(head: dict[str, Any]) -> dict[str, Any]:
    features = [
        {"name": "channel_name", "kind": "category", "labels": ["Inbound"], "mean": None, "scale": 1.0},
        {"name": "Item_price", "kind": "number", "labels": None, "mean": 434.5, "scale": 0.01},
    ]
    return {
        **head,
        "model": f"model_{head['slot']}",
        "state": "trained",
        "k": 2,
        "records": 3,
        "silhouette": 0.5868,
        "inertia": 883.5,
        "features": features,
        "trained_at": NOW,
    }


def _result(head: dict[str, Any], window: Window, record_id: str, cluster: int) -> dict[str, Any]:
    return {
        **head,
        "record_id": record_id,
        "event_time": window.start + timedelta(seconds=90),
        "cluster": cluster,
        "distance": 1.5,
        "features": json.dumps({"CSAT Score": 5.0, "channel_name": None, "revision": head["revision"]}),
    }


def _stats(head: dict[str, Any], cluster: int, count: int, total: int) -> dict[str, Any]:
    return {
        **head,
        "cluster": cluster,
        "count": count,
        "share": count / total,
        "averages": json.dumps({"avgCSAT": 4.25, "avgPrice": None}),
        "features": json.dumps({"Item_price": {"mean": 434.5}}),
    }
