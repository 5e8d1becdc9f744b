"""The stored model assigns every record to the cluster that Spark's own pipeline gives it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import polars as pl
import pytest
from msgspec.structs import replace
from pyspark.ml import PipelineModel
from pyspark.sql import DataFrame

from platform_assets.training.assign import assigned, with_point
from platform_assets.training.features import profile
from platform_assets.training.trainers import TRAINERS
from platform_assets.training.training import Training
from resources.cluster_model import ClusterModel
from resources.contract import Contract
from tests.platform_assets.conftest import MakeFrame
from tests.platform_assets.frames import Row, random_rows
from tests.platform_assets.pipeline import fitted, inputs


@dataclass(frozen=True)
class Trained:
    """A window's model, and the original's pipeline fitted on the same records."""

    fit: Training
    pipeline: PipelineModel

    @property
    def features(self) -> list[str]:
        return [feature.name for feature in self.fit.model.features]


@pytest.fixture(scope="session")
def contract(contract: Contract) -> Contract:
    """That of the customer-support records, with the original's trainer."""
    return replace(contract, trainer="mllib")


def trained(records: DataFrame, contract: Contract) -> Trained:
    ordered = TRAINERS[contract.trainer].in_order(records, 0)
    both = fit(records, contract)
    return Trained(both, fitted(ordered, contract, [feature.name for feature in both.model.features]))


def fit(records: DataFrame, contract: Contract) -> Training:
    trainer = TRAINERS[contract.trainer]
    ordered = trainer.in_order(records, records.count())
    found = profile(ordered, contract)
    assert found.enough
    return trainer.train(ordered, contract, found)


def spark_prediction(records: DataFrame, contract: Contract, both: Trained) -> dict[str, int]:
    """Record id to cluster, by the original's pipeline."""
    predicted = both.pipeline.transform(inputs(records, contract, both.features))
    rows = predicted.select("record_id", "prediction").collect()
    answer = {row["record_id"]: row["prediction"] for row in rows}
    assert len(answer) == len(rows)
    return answer


def check_same_answers(records: DataFrame, rows: Sequence[Row], contract: Contract, both: Trained) -> None:
    """Without Spark, with Spark's expressions, and by the pipeline: the same for all rows, none dropped."""
    model = ClusterModel.from_row(both.fit.model.row())
    kmeans: Any = both.pipeline.stages[-1]
    np.testing.assert_allclose(model.centres, np.asarray(kmeans.clusterCenters()), rtol=1e-9)
    clusters, distances = model.assign(rows)
    ids = [str(row[contract.id]) for row in rows]
    assert spark_prediction(records, contract, both) == dict(zip(ids, clusters.tolist(), strict=True))
    expressions = assigned(records, contract, model).select("record_id", "cluster", "distance").toArrow()
    by_id = pl.DataFrame({"record_id": ids, "expected": clusters, "far": distances}).join(
        pl.DataFrame(expressions), on="record_id", validate="1:1"
    )
    assert by_id.height == len(rows) == expressions.num_rows
    assert by_id["cluster"].to_list() == by_id["expected"].to_list()
    np.testing.assert_allclose(by_id["distance"], by_id["far"], rtol=0, atol=1e-9)


@pytest.mark.parametrize("batch", [1, 2, 3])
def test_seed_records_are_assigned_as_spark_assigns_them(
    frame: MakeFrame, contract: Contract, seed_batches: dict[int, list[Row]], batch: int
) -> None:
    both = trained(frame(contract, seed_batches[batch]), contract)
    check_same_answers(frame(contract, seed_batches[batch]), seed_batches[batch], contract, both)


def test_records_with_nulls_and_unseen_categories_are_assigned_as_spark_assigns_them(
    frame: MakeFrame, contract: Contract
) -> None:
    both = trained(frame(contract, random_rows(contract, 2_000, 1, nulls=0.05)), contract)
    assert both.features == contract.features
    nothing: Row = dict.fromkeys(contract.fields) | {contract.id: "has nothing else"}
    rows = [*random_rows(contract, 9_999, 2, nulls=0.1, unseen=0.15), nothing]
    for name in contract.features:
        assert sum(row[name] is None for row in rows) > 900
    seen = {feature.name: {*feature.labels, None} for feature in both.fit.model.features}
    unseen = [row for row in rows if any(row[name] not in seen[name] for name in contract.categories)]
    missing = [row for row in rows if any(row[name] is None for name in contract.features)]
    assert min(len(unseen), len(missing)) > 1_000
    check_same_answers(frame(contract, rows, files=3), rows, contract, both)


def test_models_of_many_clusters_assign_alike(frame: MakeFrame, contract: Contract) -> None:
    many = replace(contract, clusters=9)
    rows = random_rows(many, 3_000, 3, nulls=0.2, unseen=0.1)
    both = trained(frame(many, rows), many)
    assert len(both.fit.model.centres) == 9
    check_same_answers(frame(many, rows), rows, many, both)
    clusters, _ = both.fit.model.assign(rows)
    assert np.bincount(clusters).tolist() == both.fit.quality.sizes


@pytest.mark.parametrize("encoding", ["index", "one-hot"])
@pytest.mark.parametrize("scaling", ["deviation", "robust"])
def test_every_encoding_and_scaling_gives_the_same_points_and_clusters_without_spark(
    frame: MakeFrame,
    contract: Contract,
    encoding: Literal["index", "one-hot"],
    scaling: Literal["deviation", "robust"],
) -> None:
    other = replace(contract, trainer="coreset", encoding=encoding, scaling=scaling, clusters=4)
    training = fit(frame(other, random_rows(other, 900, 21, nulls=0.05)), other)
    model = ClusterModel.from_row(training.model.row())
    rows = random_rows(other, 1_500, 22, nulls=0.1, unseen=0.15)
    records = frame(other, rows, files=2)
    points, names = with_point(records, other, model.features)
    in_spark = pl.DataFrame(points.select("record_id", *names).toArrow())
    answer = pl.DataFrame(
        assigned(records, other, model).select("record_id", "cluster", "distance").toArrow()
    )
    ids = pl.DataFrame({"record_id": [row[other.id] for row in rows]})
    aligned = ids.join(in_spark, on="record_id", maintain_order="left")
    assert np.array_equal(aligned.drop("record_id").to_numpy(), model.encode(rows))
    clusters, distances = model.assign(rows)
    answered = ids.join(answer, on="record_id", maintain_order="left")
    assert answered["cluster"].to_list() == clusters.tolist()
    assert answered["distance"].to_list() == distances.tolist()
    assert len(set(clusters)) == 4


def test_of_equally_near_centres_the_first_counts(frame: MakeFrame, contract: Contract) -> None:
    only = replace(contract, features=["Item_price"])
    both = trained(frame(only, _prices(only, [0.0, 0.0, 2.0, 2.0])), only)
    middle = _prices(only, [1.0])
    clusters, distances = both.fit.model.assign(middle)
    (row,) = assigned(frame(only, middle), only, both.fit.model).select("cluster", "distance").collect()
    assert clusters.tolist() == [row["cluster"]] == [0]
    assert distances[0] == pytest.approx(row["distance"]) == pytest.approx(both.fit.model.features[0].scale)


def _prices(contract: Contract, prices: Sequence[float]) -> list[Row]:
    return [
        dict.fromkeys(contract.fields) | {contract.id: str(number), "Item_price": price}
        for number, price in enumerate(prices)
    ]
