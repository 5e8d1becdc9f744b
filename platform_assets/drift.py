"""A window's drift: computed against the window before and the pinned baseline, and written to the lake."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import polars as pl

from platform_assets.run import Platform
from platform_assets.training.drift import (
    RAISED,
    Columns,
    FeatureDrift,
    Level,
    feature_drift,
    inertia_ratio,
    ratio_level,
    worst,
)
from platform_assets.training.points import clusters_of, encoded
from resources.baseline import baseline
from resources.batch import Batch
from resources.samples import Sample, published_after, published_batch, published_before
from resources.tables import TABLES


@dataclass(frozen=True)
class Drift:
    """A window compared with one reference.

    Attributes:
        inertia_ratio: how much worse the reference's model explains the window; None where one has no model.
        model: the level of that ratio.
        level: the worst of all.
    """

    reference: Literal["previous", "baseline"]
    against: Sample
    features: Sequence[FeatureDrift]
    inertia_ratio: float | None
    model: Level

    @property
    def level(self) -> Level:
        return worst([self.model, *(feature.level for feature in self.features)])

    @property
    def raised(self) -> list[str]:
        """What has moved: features, and the model."""
        model = ["the model"] if self.model in RAISED else []
        return [feature.feature for feature in self.features if feature.level in RAISED] + model


def write_drift(platform: Platform, batch: Batch) -> list[Drift]:
    """Compare a published window with its references, and the next one too if that knows another answer of
    this window: so drift does not depend on the order in which windows are answered.
    """
    found = _write(platform, batch)
    after = published_after(platform.lake, platform.grid, batch.window)
    later = published_batch(platform.lake, after) if after else None
    if later and not _knows(platform, later, batch):
        _write(platform, later)
    return found


def _write(platform: Platform, batch: Batch) -> list[Drift]:
    """Once more if the window before is answered meanwhile: its own run may have looked too early."""
    pinned, previous = baseline(platform.lake), _before(platform, batch)
    window = platform.samples.sample(batch)
    found = []
    if previous:
        found.append(_compare("previous", platform.samples.sample(previous), window))
    if pinned and pinned.window != window.window:
        found.append(_compare("baseline", pinned, window))
    rows = [row for drift in found for row in _rows(drift, batch)]
    platform.lake.replace_window(
        "drift", batch.window, pl.DataFrame(rows, schema=dict(TABLES["drift"].schema))
    )
    answered_meanwhile = _before(platform, batch) != previous
    return _write(platform, batch) if answered_meanwhile else found


def _before(platform: Platform, batch: Batch) -> Batch | None:
    before = published_before(platform.lake, platform.grid, batch.window)
    return published_batch(platform.lake, before) if before else None


def _compare(kind: Literal["previous", "baseline"], reference: Sample, window: Sample) -> Drift:
    ratio: float | None = None
    level: Level = "unknown"
    if reference.model and window.model:
        points = encoded(window.records, reference.model.features)
        ratio = inertia_ratio(points, reference.model.centres, clusters_of(window.records, window.model))
        level = ratio_level(ratio, len(points))
    features = feature_drift(_columns(reference.records), _columns(window.records))
    return Drift(kind, reference, features, ratio, level)


def _columns(records: pl.DataFrame) -> Columns:
    return {
        series.name: series.fill_null(float("nan")).to_numpy()
        if series.dtype.is_numeric()
        else series.fill_null("").to_numpy().astype(str)
        for series in records
    }


def _rows(drift: Drift, batch: Batch) -> list[dict[str, Any]]:
    reference = {
        **batch.answer(),
        "reference": drift.reference,
        "reference_window": drift.against.window,
        "reference_digest": drift.against.digest,
    }
    model = {"inertia_ratio": drift.inertia_ratio, "level": drift.model}
    return [reference | model, *(reference | vars(feature) for feature in drift.features)]


def _knows(platform: Platform, later: Batch, batch: Batch) -> bool:
    """Whether a later window's drift, of its present answer, was computed against this batch."""
    mine = (pl.col("digest") == later.digest) & (pl.col("reference_digest") == batch.digest)
    rows = platform.lake.read_window("drift", later.window).filter(mine, pl.col("reference") == "previous")
    return not rows.collect().is_empty()
