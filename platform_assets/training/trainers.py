"""The trainers that a contract can name."""

from collections.abc import Callable
from dataclasses import dataclass

from pyspark.sql import DataFrame

from platform_assets.training import coreset, mllib
from platform_assets.training.features import Profile
from platform_assets.training.training import Training
from resources.contract import Contract


@dataclass(frozen=True)
class Trainer:
    """How a model is trained.

    Attributes:
        in_order: lays so many records out so that training repeats to the last bit.
        train: on records so laid out, under a contract, with what was found of them.
    """

    in_order: Callable[[DataFrame, int], DataFrame]
    train: Callable[[DataFrame, Contract, Profile], Training]


TRAINERS = {
    "coreset": Trainer(coreset.in_order, coreset.train),
    "mllib": Trainer(mllib.in_order, mllib.train),
}
