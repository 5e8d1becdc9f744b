"""The trainers that a contract can name."""

from collections.abc import Callable
from dataclasses import dataclass

from pyspark.sql import DataFrame

from platform_assets.training import coreset, mllib
from platform_assets.training.engines import Records
from platform_assets.training.features import Profile
from platform_assets.training.training import Training
from resources.contract import Contract


@dataclass(frozen=True)
class Trainer:
    """How a model is trained.

    Attributes:
        in_process: whether it trains on records in memory; else on Spark's frames alone.
        in_order: lays so many of Spark's records out so that training repeats to the last bit.
        train: on records so laid out, under a contract, with what was found of them.
    """

    in_process: bool
    in_order: Callable[[DataFrame, int], DataFrame]
    train: Callable[[Records, Contract, Profile], Training]


TRAINERS = {
    "coreset": Trainer(True, coreset.in_order, coreset.train),
    "mllib": Trainer(False, mllib.in_order, mllib.train),
}
