"""How a window's records become points: one pass counts what the encoders need."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from platform_assets.training.engines import Engine, Records, engine
from resources.cluster_model import Feature, Floats
from resources.contract import Contract

MOST_LABELS = 20
"""So many labels of a one-hot category, the most frequent, have a column of their own."""
_IQR_OF_NORMAL = 1.349
"""The interquartile range of a normal distribution, in standard deviations."""


@dataclass(frozen=True)
class Encoder:
    """A feature fitted to a window's records.

    Attributes:
        mean: of its encoded and scaled columns.
        squares: sum over records and columns of the squared differences to the mean.
    """

    feature: Feature
    mean: tuple[float, ...]
    squares: float


@dataclass(frozen=True)
class Profile:
    """What a window's records look like before training.

    Attributes:
        encoders: of the features with few enough nulls, in the contract's order.
        left_out: the others' names.
        enough: whether there are at least as many distinct points as clusters.
    """

    records: int
    encoders: tuple[Encoder, ...]
    left_out: list[str]
    enough: bool

    @property
    def features(self) -> tuple[Feature, ...]:
        return tuple(encoder.feature for encoder in self.encoders)

    @property
    def means(self) -> Floats:
        """Of the points' columns, shape (d,)."""
        return np.array([place for encoder in self.encoders for place in encoder.mean])

    @property
    def squares(self) -> float:
        """Sum of the points' squared distances to their mean."""
        return sum(encoder.squares for encoder in self.encoders)


def profile(records: Records, contract: Contract) -> Profile:
    """Fit the encoders, as the contract says; and see whether the points suffice.

    What each part of the records adds up is added in the order of the parts, so that the result repeats to
    the last bit where the parts and the order in them do.
    """
    asked = engine(records, contract)
    counted = asked.counted()
    robust = contract.scaling == "robust" and contract.numbers
    quartiles = asked.quartiles() if robust else {}
    total = int(counted.filter(pl.col("feature") == contract.features[0])["count"].sum())
    kept: list[Encoder] = []
    for name in contract.features:
        mine = counted.filter(pl.col("feature") == name)
        present = int(mine["present"].sum())
        if present and (total - present) / total <= contract.max_null_share:
            kept.append(
                _number(name, mine, total, quartiles.get(name))
                if name in contract.numbers
                else _category(name, mine, total, one_hot=contract.encoding == "one-hot")
            )
    names = {encoder.feature.name for encoder in kept}
    return Profile(
        records=total,
        encoders=tuple(kept),
        left_out=[name for name in contract.features if name not in names],
        enough=bool(kept) and _enough(asked, contract, [encoder.feature for encoder in kept], total),
    )


def _category(name: str, counted: pl.DataFrame, total: int, *, one_hot: bool) -> Encoder:
    ranked = (
        counted.drop_nulls("label")
        .group_by("label")
        .agg(pl.col("count").sum())
        .sort(["count", "label"], descending=[True, False])
        .head(MOST_LABELS if one_hot else counted.height)
    )
    counts = np.array([*ranked["count"], total - ranked["count"].sum()], dtype=np.float64)
    if one_hot:
        # The columns share one scale, so any two labels are equally far apart (simple matching: Gower 1971),
        # and their variances add up to that of a scaled number (both kinds weigh alike, as in the factor
        # analysis of mixed data: Pagès 2004).
        mean, squares = counts / total, total - float((counts**2).sum()) / total
    else:
        places = np.arange(len(counts))
        mean = np.array([(counts * places).sum() / total])
        squares = float((counts * (places - mean) ** 2).sum())
    feature = Feature(name, "category", tuple(ranked["label"]), None, _scale(squares, total), one_hot)
    return _encoder(feature, mean, squares)


def _number(name: str, counted: pl.DataFrame, total: int, quartiles: Sequence[float] | None) -> Encoder:
    mean, squares = _added_up(counted)
    present = int(counted["present"].sum())
    lower, fill, upper = quartiles or (mean, mean, mean)
    squares += (fill - mean) ** 2 * present * (total - present) / total
    if counted["least"].min() == counted["greatest"].max():
        squares = 0.0  # whatever the rounding of its mean
    scale = _scale(squares, total)
    if scale and upper > lower:
        scale = _IQR_OF_NORMAL / (upper - lower)
    mean += (fill - mean) * (total - present) / total
    return _encoder(Feature(name, "number", (), fill, scale), np.array([mean]), squares)


def _added_up(counted: pl.DataFrame) -> tuple[float, float]:
    """Mean and sum of squared differences to it, from those of each partition (Chan, Golub, LeVeque 1983)."""
    parts = counted.filter(pl.col("present") > 0).select("present", "mean", "deviation").rows()
    count, mean, squares = 0, float(parts[0][1]), 0.0
    for more, its_mean, deviation in parts:
        count, step = count + more, its_mean - mean
        mean += step * more / count
        squares += (deviation or 0.0) ** 2 * (more - 1) + step**2 * more * (count - more) / count
    return mean, squares


def _encoder(feature: Feature, mean: np.ndarray, squares: float) -> Encoder:
    return Encoder(feature, tuple((mean * feature.scale).tolist()), squares * feature.scale**2)


def _scale(squares: float, total: int) -> float:
    """1 / standard deviation, from the sum of squared differences to the mean; 0 of a constant."""
    return float((total - 1) / squares) ** 0.5 if squares else 0.0


def _enough(records: Engine, contract: Contract, features: Sequence[Feature], count: int) -> bool:
    fewest = contract.fewest_clusters
    if any(max(len(feature.labels), 2 if feature.scale else 1) >= fewest for feature in features):
        return True  # by one feature alone; only else is it worth a pass over the points
    return records.points(features, count).distinct(fewest) == fewest
