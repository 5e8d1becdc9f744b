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

    def __init__(self, folder: Path, now: datetime = NOW) -> None:
        super().__init__(str(folder))
        self.create(now, timedelta(hours=24))

    def take(self, number: int, taken_at: datetime, landed: dict[Window, int], **more: Any) -> None:
        """Enter an intake into the ledger; of records and dead letters the counts alone."""
        row = {
            "number": number,
            "attempt": f"attempt-{number}",
            "kind": "topic",
            "topic_id": "topic",
            "window_minutes": 5,
            "id_field": "Unique id",
            "taken_at": taken_at,
            "caught_up": True,
            "spans": [],
            "landed": [{"window": w.key, "records": n, "too_late": 0} for w, n in landed.items()],
            "refused": [],
            "replayed": [],
            **more,
        }
        self.append("ledger", _frame("ledger", [row]))

    def publish(self, window: Window, clusters: dict[str, int], revision: int = 1, **more: Any) -> None:
        """Publish a window, in the order that the assets keep: its row in ``windows`` comes last."""
        versions = self.replace_answer(window, clusters, revision)
        self.write_row(window, "published", revision, versions, **{"records": len(clusters), **more})

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

    def replace_answer_model(self, window: Window, changes: dict[str, Any], revision: int = 1) -> None:
        """Write a window's model, with some of its columns changed."""
        head = _head(window, revision)
        self.replace_window(
            "models", window, _frame("models", [_model(head) | changes | head]), head["digest"]
        )

    def refuse(self, number: int, letters: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Land dead letters under an intake's number; they count once the ledger names it.

        Args:
            letters: ``kafka_offset``, ``window``, ``reason`` and what else is given of them.

        Returns:
            What the ledger counts of them.
        """
        head = {"intake": number, "attempt": f"attempt-{number}", "kafka_partition": 0, "detail": "why"}
        rows = [{"date": NOW.date(), **head, **letter} for letter in letters]
        self.append("dead_letters", _frame("dead_letters", rows))
        return [{"window": letter["window"], "reason": letter["reason"], "count": 1} for letter in letters]

    def match(self, window: Window, events: list[dict[str, Any]], previous: Window | None = None) -> None:
        """Write what became of clusters since the window before."""
        pair = {"previous": previous.key, "previous_digest": digest(previous, 1)} if previous else {}
        rows = [{**_head(window, 1), **pair, **event} for event in events]
        self._replace("cluster_events", window, rows)

    def name_clusters(self, window: Window, names: list[str], revision: int = 1) -> None:
        """Give the clusters of a window's answer ids and names."""
        head = _head(window, revision)
        rows = [
            {**head, "cluster": number, "id": f"{window.key}/{number}", "name": name, "named": len(names)}
            for number, name in enumerate(names)
        ]
        self._replace("cluster_ids", window, rows)

    def review(self, window: Window, structure: str, psi: float, revision: int = 1) -> None:
        """Write what follows a window's publication: its structure, and its drift from the window before."""
        head = _head(window, revision)
        self._replace("model_reviews", window, [{**head, "structure": structure}])
        against = {**head, "reference": "previous", "reference_window": window.step(-1).key}
        moved = {"feature": "Item_price", "psi": psi, "distance": 0.2, "p": 0.001, "level": "major"}
        model = {"inertia_ratio": 1.01, "level": "none"}
        self._replace("drift", window, [{**against, **model}, {**against, **moved}])

    def write_row(
        self,
        window: Window,
        state: str | None,
        revision: int = 1,
        versions: dict[str, int] | None = None,
        **more: Any,
    ) -> None:
        """Write a window's row in ``windows``."""
        assigned = {"model_version": version(window, revision), "model_digest": digest(window, revision)}
        row = {
            **_head(window, revision),
            **assigned,
            "state": state,
            "covered": 1,
            "attempts": 0,
            **(versions or {}),
            **more,
        }
        self._replace("windows", window, [row])

    def _replace(self, name: str, window: Window, rows: list[dict[str, Any]]) -> int:
        return self.replace_window(name, window, _frame(name, rows))


def digest(window: Window, revision: int) -> str:
    """What stands for the SHA-256 of a window's selection."""
    return f"{window.key}-{revision}".ljust(64, "0")


def version(window: Window, revision: int) -> str:
    """The version that assigned a window's records, unless another is pinned."""
    return f"model_{window.slot}/{window.key}/r{revision}"


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
        {
            "name": "channel_name",
            "kind": "category",
            "labels": ["Inbound"],
            "fill": None,
            "scale": 1.0,
            "one_hot": False,
        },
        {
            "name": "Item_price",
            "kind": "number",
            "labels": None,
            "fill": 434.5,
            "scale": 0.01,
            "one_hot": False,
        },
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
        "centres": [[0.0, 1.0], [1.0, 5.0]],
        "sizes": [2, 1],
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
