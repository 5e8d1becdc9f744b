"""The reader: polls the API and the tables all the while, and writes down what no reader may see."""

import random
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import polars as pl
from deltalake.exceptions import TableNotFoundError

from tests.faults.snapshots import check_clusters, check_order, check_pages, check_past, check_tables

Row = dict[str, Any]
_PAUSE = 0.3


class Reader(threading.Thread):
    """Polls one stack.

    Attributes:
        counts: what it read, and how often nobody answered.
        wrong: what it should never have seen.
    """

    def __init__(self, api: str, lake: Path) -> None:
        super().__init__(name="reader", daemon=True)
        self.counts: Counter[str] = Counter()
        self.wrong: list[str] = []
        self._client = httpx.Client(base_url=api, timeout=30)
        self._lake = lake
        self._ended = threading.Event()
        self._random = random.Random(2)
        self._ledger: dict[int, Row] = {}
        self._windows: dict[str, Row] = {}

    def run(self) -> None:
        while not self._ended.wait(_PAUSE):
            try:
                self._turn()
            except AssertionError as error:
                self.wrong.append(f"{time.strftime('%H:%M:%S')} {error}")
            except httpx.TransportError:
                self.counts["no answer"] += 1
            except TableNotFoundError:
                self.counts["no table yet"] += 1
            except Exception as error:  # a reader that dies has seen nothing: what it met is reported
                self.wrong.append(f"{time.strftime('%H:%M:%S')} {type(error).__name__}: {error}"[:500])
        self._client.close()

    def finish(self) -> None:
        """Read no more."""
        self._ended.set()
        self.join(60)
        assert not self.is_alive(), "the reader does not end"

    def _turn(self) -> None:
        self._read_ledger()
        published = self._read_windows()
        if published:
            row = self._choice(published)
            self._read_tables(row)
            self._read_api(row["window"])

    def _choice(self, published: list[Row]) -> Row:
        """Mostly one that was answered a moment ago: there two revisions could meet."""
        newest = sorted(published, key=lambda row: row["published_at"])[-4:]
        return self._random.choice(newest if self._random.random() < 0.75 else published)

    def _read_ledger(self) -> None:
        rows = pl.read_delta(str(self._lake / "ledger")).to_dicts()
        after = {row["number"]: row for row in rows}
        check_past(self._ledger, after)
        self._ledger = after
        self.counts["ledger"] += 1

    def _read_windows(self) -> list[Row]:
        rows = pl.read_delta(str(self._lake / "windows")).to_dicts()
        for row in rows:
            check_order(self._windows.get(row["window"], row), row)
        self._windows = {row["window"]: row for row in rows}
        self.counts["windows"] += 1
        return [row for row in rows if row["state"] == "published"]

    def _read_tables(self, row: Row) -> None:
        results = self._of(row, "clustering_results", row["results_version"])
        check_tables(row, results, self._of(row, "cluster_stats", row["stats_version"]))
        self.counts["answers in the tables"] += 1

    def _of(self, row: Row, table: str, version: int) -> pl.DataFrame:
        mine = (pl.col("date") == row["date"]) & (pl.col("window") == row["window"])
        return pl.scan_delta(str(self._lake / table), version=version).filter(mine).collect()

    def _read_api(self, window: str) -> None:
        before = self._get(f"/api/cluster-stats?window={window}")
        pages = self._pages(f"/api/clustering-results?window={window}&limit={self._limit()}")
        after = self._get(f"/api/cluster-stats?window={window}")
        if before is None or pages is None or after is None:
            return
        versions = check_pages(pages) | {row["modelVersion"] for row in (*before, *after)}
        if len(versions) == 1:
            check_clusters(after, pages)
            self.counts["answers over HTTP"] += 1
        else:
            self.counts["answers over HTTP that changed meanwhile"] += 1

    def _limit(self) -> int:
        return self._random.choice((500, 2_000, 10_000))

    def _pages(self, path: str) -> list[list[Row]] | None:
        pages = []
        while path:
            answer = self._answer(path)
            if answer is None:
                return None
            pages.append(answer.json())
            path = answer.links.get("next", {}).get("url", "")
        return pages

    def _get(self, path: str) -> list[Row] | None:
        answer = self._answer(path)
        return None if answer is None else answer.json()

    def _answer(self, path: str) -> httpx.Response | None:
        """None if the API says that a part that it needs is away; anything but that and 200 is wrong."""
        answer = self._client.get(path)
        self.counts[f"HTTP {answer.status_code}"] += 1
        if answer.status_code == 503:
            return None
        assert answer.status_code == 200, f"HTTP {answer.status_code} for {path}: {answer.text[:300]}"
        return answer
