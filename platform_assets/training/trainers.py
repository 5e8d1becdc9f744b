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
        begin: on records so laid out, under a contract, with what was found of them: gives the rest to do,
            which gives the training.
    """

    in_process: bool
    in_order: Callable[[DataFrame, int], DataFrame]
    begin: Callable[[Records, Contract, Profile], Callable[[], Training]]

    def train(self, records: Records, contract: Contract, found: Profile) -> Training:
        """Begin, and do the rest."""
        return self.begin(records, contract, found)()


TRAINERS = {
    "coreset": Trainer(True, coreset.in_order, coreset.begin),
    "mllib": Trainer(False, mllib.in_order, mllib.begin),
}
