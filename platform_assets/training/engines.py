"""Who answers what training asks of a window's records: the run's own process, or Spark."""

from collections.abc import Mapping, Sequence
from typing import Protocol

import polars as pl
from pyspark.sql import DataFrame

from platform_assets.training.in_process import InProcess
from platform_assets.training.on_spark import OnSpark
from platform_assets.training.quality import Quality, Sums
from platform_assets.training.sampling import Lightweight
from resources.cluster_model import Feature, Floats
from resources.contract import Contract

Records = DataFrame | pl.DataFrame
"""Of Spark, laid out by the trainer, or in memory, by rising id."""


class EnginePoints(Protocol):
    """The records' points, encoded and scaled; each question is one pass over them."""

    def rows(self) -> Floats:
        """All points, shape (n, d): of few."""

    def distinct(self, most: int) -> int:
        """How many distinct points there are, as far as ``most``."""

    def drawn(self, coreset: Lightweight) -> Floats:
        """A sample's points, and the weight of each in the last column, shape (m, d + 1)."""

    def sums(self, centres: Floats) -> Sums:
        """What is added up of the points nearest to each centre."""

    def quality(self, centres: Floats, found: Sums) -> Quality:
        """The scores with these centres, whose sums were found."""

    def release(self) -> None:
        """No more will be asked."""


class Engine(Protocol):
    """The records of a window, one per record id."""

    def counted(self) -> pl.DataFrame:
        """Per part of the records and feature, and per label of a category: ``partition``, ``feature``,
        ``label``, ``count``, ``present``; of a number ``mean``, ``deviation``, ``least``, ``greatest``."""

    def quartiles(self) -> Mapping[str, Sequence[float] | None]:
        """The quartiles of each number, nulls aside."""

    def points(self, features: Sequence[Feature], count: int) -> EnginePoints:
        """The records, so many, as points of these features."""


def engine(records: Records, contract: Contract) -> Engine:
    """Spark for a frame of Spark, the process itself for one in memory."""
    if isinstance(records, pl.DataFrame):
        return InProcess(records, contract)
    return OnSpark(records, contract)
