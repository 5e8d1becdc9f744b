"""The trainer coreset on windows larger than its sample, and what does not depend on how records lie."""

import random

import numpy as np
import pytest
from msgspec.structs import replace
from pyspark.sql import SparkSession

from platform_assets.training.coreset import SAMPLE, begin, in_order
from platform_assets.training.features import profile
from platform_assets.training.quality import quality
from platform_assets.training.restarts import best_fit
from platform_assets.training.training import Training
from resources.contract import Contract
from tests.platform_assets.conftest import MakeFrame
from tests.platform_assets.frames import Row

LARGE = 70_000
CONTRACT = Contract(
    topic="large",
    id="id",
    fields={"id": "string", "shop": "string", "price": "number", "weight": "number"},
    features=["shop", "price", "weight"],
    encoding="one-hot",
    clusters=4,
)
CENTRES = {"north": (10.0, 0.0), "south": (14.0, 3.0), "east": (10.0, 6.0), "west": (20.0, -4.0)}


def rows(count: int, seed: int) -> list[Row]:
    """Four overlapping clusters of unequal sizes; some prices are missing."""
    source = random.Random(seed)

    def row(number: int) -> Row:
        (shop,) = source.choices(list(CENTRES), weights=(8, 4, 2, 1))
        price, weight = (source.gauss(place, 1.5) for place in CENTRES[shop])
        return {
            "id": f"{number}",
            "shop": shop if source.random() < 0.8 else source.choice(list(CENTRES)),
            "price": None if source.random() < 0.02 else price,
            "weight": weight,
        }

    return [row(number) for number in range(count)]


def fit(make: MakeFrame, contract: Contract, records: list[Row], files: int = 1) -> Training:
    ordered = in_order(make(contract, records, files), len(records))
    return begin(ordered, contract, profile(ordered, contract))()


@pytest.fixture(scope="module")
def large() -> list[Row]:
    return rows(LARGE, 1)


def test_a_large_window_is_fitted_as_well_as_by_all_its_records_and_scored_by_all(
    frame: MakeFrame, large: list[Row]
) -> None:
    training = fit(frame, CONTRACT, large)
    points = training.model.encode(large)
    best = quality(points, best_fit(points, np.ones(LARGE), 4, 0).centres)
    assert training.sample == pytest.approx(SAMPLE, rel=0.05)
    assert training.quality.inertia <= 1.0001 * best.inertia
    assert training.quality.sizes == sorted(training.quality.sizes, reverse=True)
    assert training.seconds["refine"] > 0


def test_a_large_window_gives_the_same_model_to_the_last_bit_however_its_records_lie(
    frame: MakeFrame, spark: SparkSession, large: list[Row]
) -> None:
    once = fit(frame, CONTRACT, large)
    spark.conf.set("spark.sql.shuffle.partitions", "7")
    spark.conf.set("spark.sql.adaptive.enabled", "false")
    try:
        again = fit(frame, CONTRACT, large[::-1], files=5)
    finally:
        spark.conf.unset("spark.sql.shuffle.partitions")
        spark.conf.unset("spark.sql.adaptive.enabled")
    assert again.model.centres.tobytes() == once.model.centres.tobytes()
    assert again.model.features == once.model.features
    assert again.quality == once.quality
    assert (again.sample, again.iterations) == (once.sample, once.iterations)


def test_another_seed_draws_another_sample_and_finds_the_same_clusters(
    frame: MakeFrame, large: list[Row]
) -> None:
    one, other = (fit(frame, replace(CONTRACT, seed=seed), large) for seed in (1, 2))
    assert one.sample != other.sample
    assert one.quality.inertia == pytest.approx(other.quality.inertia, rel=1e-4)


def test_a_window_as_large_as_the_sample_is_fitted_exactly(frame: MakeFrame) -> None:
    exact = fit(frame, CONTRACT, rows(SAMPLE, 2))
    assert exact.sample == SAMPLE
    assert "refine" not in exact.seconds
    drawn = fit(frame, CONTRACT, rows(SAMPLE + 1, 2))
    assert drawn.sample != SAMPLE + 1
    assert drawn.seconds["refine"] > 0


def test_the_seed_batch_does_not_depend_on_the_order_in_which_its_records_came(
    frame: MakeFrame, contract: Contract, seed_batches: dict[int, list[Row]]
) -> None:
    there = fit(frame, contract, seed_batches[1])
    back = fit(frame, contract, seed_batches[1][::-1], files=3)
    assert back.model.centres.tobytes() == there.model.centres.tobytes()
    assert back.quality == there.quality
