"""``python -m bench.scale_point '{"records": 1000000}'``: one window, answered by a process of its own.

It prints JSON: seconds from the selection to the published answer, its CPU seconds, and the most memory (PSS)
at any moment, with the making, landing and keeping of the records before.
"""

import json
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import dagster as dg
import numpy as np
import polars as pl
import psutil

from bench import lake_rows
from bench.answered_lakes import random_ids
from bench.lake_rows import Plan
from platform_assets.cluster_stats import make_cluster_stats
from platform_assets.clustering_results import make_clustering_results
from platform_assets.kafka_batch import make_kafka_batch
from platform_assets.models import make_model
from platform_assets.partitions import make_partitions
from platform_assets.run import PARTITION_TAG, Platform
from platform_assets.spark_session import SparkConnectResource
from resources.batch import select
from resources.contract import Contract
from resources.intake import Taker
from resources.intake_rows import read_intake
from resources.lake import Lake
from resources.settings import Settings
from resources.tables import TABLES
from resources.windows import SLOTS, Window

_LANDED = 160_000
"""Records of an intake."""
_APART = 3.0
"""Centres' deviation along each feature, in that of a cluster's records."""


@dataclass(frozen=True)
class Point:
    """What is varied: the window's records, its features (numbers), its clusters, and the windows kept."""

    records: int = 100_000
    features: int = 6
    k: int = 2
    kept: int = 0

    @property
    def names(self) -> list[str]:
        return [f"number {place}" for place in range(self.features)]

    def contract(self) -> Contract:
        fields = {"id": "string", **dict.fromkeys(self.names, "number")}
        return Contract("scale", "id", fields, self.names, clusters=self.k)  # type: ignore[arg-type]


class Scene:
    """A lake with the windows kept, an open window, and the process that attends it."""

    def __init__(self, point: Point, home: Path) -> None:
        self.point = point
        settings = Settings(_env_file=None, home=home)
        contract, self.lake = point.contract(), Lake(settings.lake)
        self.window = settings.grid.newest_closed(datetime.now(UTC))
        first = self.window.step(-point.kept)
        self.lake.create(first.start + settings.lateness + timedelta(days=1), settings.lateness)
        self.plan = Plan(settings, contract, "made-up", 1, 20, 3)
        self._fill([(place, first.step(place)) for place in range(point.kept)])
        self.platform = Platform(settings, contract, self.lake, Taker(settings, contract, self.lake))
        self.intakes = len(self.platform.taker.ledger.intakes())

    def _fill(self, placed: list[tuple[int, Window]]) -> None:
        for _, day in groupby(placed, lambda item: item[1].date):
            windows = list(day)
            self.lake.append("ledger", lake_rows.ledger(self.plan, windows))
            versions = {"clustering_results": 0, "cluster_stats": 0}
            for name, rows in lake_rows.answers(self.plan, windows, versions).items():
                self.lake.append(name, rows)

    def land(self) -> None:
        """Land the window's records, and keep them as its run does."""
        source, point, rows = np.random.default_rng(1), self.point, self.platform.rows
        centres = source.normal(scale=_APART, size=(point.k, point.features))
        rows.keep(self.window)
        first = self.plan.records * point.kept
        for start in range(0, point.records, _LANDED):
            count = min(_LANDED, point.records - start)
            number = len(self.platform.taker.ledger.intakes()) + 1
            frame = self._landed(number, first + start, count, source, centres)
            row = self._ledger_row(number, first + start, count)
            self.lake.append("records", frame)
            assert self.lake.insert_once("ledger", "number", row)
            rows.land(read_intake(row.row(0, named=True)), frame)

    def _landed(
        self, number: int, start: int, count: int, source: np.random.Generator, centres: Any
    ) -> pl.DataFrame:
        points = centres[source.integers(self.point.k, size=count)]
        points = points + source.normal(size=points.shape)
        ids = random_ids(count, source)
        milliseconds = pl.Series(np.sort(source.integers(0, 1000 * 60 * self.window.minutes, count)))
        own = {
            "date": self.window.date, "window": self.window.key, "too_late": False, "intake": number,
            "attempt": self.plan.attempt(number), "kafka_partition": 0,
        }  # fmt: skip
        kinds = TABLES["records"].schema
        frame = pl.DataFrame({"record_id": ids} | dict(zip(self._columns, points.T, strict=True)))
        return frame.with_columns(
            *(pl.lit(value).cast(kinds[name]).alias(name) for name, value in own.items()),
            kafka_offset=pl.int_range(start, start + count),
            event_time=pl.lit(self.window.start).cast(kinds["event_time"])
            + (1000 * milliseconds).cast(pl.Duration("us")),
        ).sort("record_id")

    @property
    def _columns(self) -> list[str]:
        return [self.platform.contract.columns[name] for name in self.point.names]

    def _ledger_row(self, number: int, start: int, count: int) -> pl.DataFrame:
        close = self.platform.grid.close(self.window)
        like = lake_rows.ledger(self.plan, [(number, self.window)]).row(0, named=True)
        end = start + count
        like |= {
            "number": number,
            "attempt": self.plan.attempt(number),
            "taken_at": close + timedelta(microseconds=number),
            "spans": [like["spans"][0] | {"start": start, "end": end, "topic_end": end}],
            "landed": [{"window": self.window.key, "records": count, "too_late": 0}],
        }
        return pl.DataFrame([like], schema=dict(TABLES["ledger"].schema))

    def answer(self) -> None:
        """What the run does after the close."""
        platform = self.platform
        ledger = platform.taker.ledger.intakes()
        select(self.lake, platform.contract, platform.grid, self.window, ledger, rows=platform.rows)
        names = (f"model_{self.window.slot}", "clustering_results", "cluster_stats")
        job = self._definitions().resolve_implicit_global_asset_job_def()
        chosen = job.get_subset(asset_selection={dg.AssetKey(name) for name in names})
        with dg.DagsterInstance.ephemeral() as instance:
            chosen.execute_in_process(instance=instance, tags={PARTITION_TAG: self.window.key})

    def _definitions(self) -> dg.Definitions:
        partitions = make_partitions(self.lake.floor(), self.window.minutes)
        assets = [
            make_kafka_batch(partitions),
            *(make_model(slot, partitions) for slot in SLOTS),
            make_clustering_results(partitions),
            make_cluster_stats(partitions),
        ]
        resources = {"platform": self.platform, "spark": SparkConnectResource(spark_config={})}
        return dg.Definitions(
            assets=assets,
            resources=resources,
            executor=dg.in_process_executor,
        )

    def published(self) -> datetime:
        """When the answer was there."""
        rows = self.lake.read_window("windows", self.window).select("published_at").collect()
        moment: datetime = rows.item()
        return moment


@contextmanager
def weighed() -> Iterator[list[int]]:
    """The most bytes (PSS) of this process within the block, known at its end."""
    most, end = [0], threading.Event()

    def look() -> None:
        while not end.wait(0.05):
            most[0] = max(most[0], psutil.Process().memory_full_info().pss)

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        yield most
    finally:
        end.set()
        watcher.join()


def measure(point: Point) -> dict[str, float]:
    """Answer a window; see the module."""
    with TemporaryDirectory(prefix="silt-scale-") as folder, weighed() as most:
        scene = Scene(point, Path(folder))
        scene.land()
        begun, cpu = datetime.now(UTC), time.process_time()
        scene.answer()
        seconds, cpu = (scene.published() - begun).total_seconds(), time.process_time() - cpu
    return asdict(point) | {"seconds": seconds, "cpu": cpu, "pss_mb": most[0] / 1e6}


if __name__ == "__main__":
    print(json.dumps(measure(Point(**json.loads(sys.argv[1])))))  # noqa: T201
