"""The original's pipeline, all of it in pyspark.ml: Silt's encoders and models must agree with it."""

from collections.abc import Sequence
from typing import Any

from pyspark.ml import Pipeline, PipelineModel
from pyspark.ml.clustering import KMeans
from pyspark.ml.feature import Imputer, StandardScaler, StringIndexer, VectorAssembler
from pyspark.sql import DataFrame
from pyspark.sql import functions as sf

from resources.contract import Contract
from resources.spark import column


def fitted(ordered: DataFrame, contract: Contract, features: Sequence[str]) -> PipelineModel:
    """Categories indexed by frequency, numbers filled with their mean, all scaled, then KMeans."""
    numbers = [i for i, name in enumerate(features) if contract.fields[name] == "number"]
    categories = [i for i, name in enumerate(features) if contract.fields[name] == "string"]
    stages: list[Any] = []
    if categories:
        stages.append(
            StringIndexer(inputCols=_in(categories), outputCols=_out(categories), handleInvalid="keep")
        )
    if numbers:
        stages.append(Imputer(inputCols=_in(numbers), outputCols=_out(numbers)))
    stages += [
        VectorAssembler(inputCols=_out(range(len(features))), outputCol="assembled"),
        StandardScaler(inputCol="assembled", outputCol="scaled"),
        KMeans(featuresCol="scaled", k=contract.fewest_clusters, seed=contract.seed),
    ]
    return Pipeline(stages=stages).fit(inputs(ordered, contract, features))


def inputs(records: DataFrame, contract: Contract, features: Sequence[str]) -> DataFrame:
    """The columns that the pipeline takes, and the record id."""
    columns = [sf.col(column(contract, name)).alias(f"in_{i}") for i, name in enumerate(features)]
    return records.select("record_id", *columns)


def _in(places: Sequence[int]) -> list[str]:
    return [f"in_{i}" for i in places]


def _out(places: Sequence[int]) -> list[str]:
    return [f"out_{i}" for i in places]
