"""The stored model: how it encodes a record, which cluster it gives it, and that it survives the lake."""

import math
import random
from typing import Any

import numpy as np
import polars as pl
import pytest

from resources.cluster_model import ClusterModel, Feature
from resources.lake import Lake
from resources.tables import TABLES
from tests.resources.conftest import FIRST

SHOP = Feature("shop", "category", ("north", "south", "east"), None, 0.5)
PRICE = Feature("price", "number", (), 10.0, 2.0)
MODEL = ClusterModel((SHOP, PRICE), np.array([[0.0, 0.0], [1.0, 40.0], [1.5, 20.0]]))


def random_records(count: int, seed: int = 1) -> list[dict[str, Any]]:
    draw = random.Random(seed)
    shops = ["north", "south", "east", "west", None]
    return [
        {"shop": draw.choice(shops), "price": draw.choice([None, draw.uniform(-5, 30)])} for _ in range(count)
    ]


def by_hand(model: ClusterModel, record: dict[str, Any]) -> tuple[int, float]:
    """The nearest centre and its distance, without numpy."""
    shop, price = model.features
    place = shop.labels.index(record["shop"]) if record["shop"] in shop.labels else len(shop.labels)
    filled = price.fill if record["price"] is None else record["price"]
    assert filled is not None
    point = (place * shop.scale, filled * price.scale)
    distances = [math.dist(point, centre) for centre in model.centres]
    return distances.index(min(distances)), min(distances)


def test_a_category_is_its_labels_place_scaled() -> None:
    assert SHOP.encode(["north", "south", "east"]).tolist() == [[0.0], [0.5], [1.0]]


@pytest.mark.parametrize("value", [None, "", "west", "North", 7.0])
def test_an_unseen_or_missing_category_has_a_number_of_its_own(value: Any) -> None:
    assert SHOP.encode([value]).tolist() == [[1.5]]


def test_a_one_hot_category_has_a_column_per_label_and_one_for_all_else() -> None:
    colour = Feature("colour", "category", ("red", "blue"), None, 0.5, one_hot=True)
    rows = colour.encode(["blue", "red", "green", None])
    assert colour.width == 3
    assert rows.tolist() == [[0.0, 0.5, 0.0], [0.5, 0.0, 0.0], [0.0, 0.0, 0.5], [0.0, 0.0, 0.5]]


def test_a_missing_number_is_filled_with_the_mean() -> None:
    assert PRICE.encode([1.0, None, -3.5]).tolist() == [[2.0], [20.0], [-7.0]]


def test_a_constant_feature_weighs_nothing() -> None:
    constant = Feature("price", "number", (), 7.0, 0.0)
    assert constant.encode([7.0, None, 1e300]).tolist() == [[0.0], [0.0], [0.0]]


def test_records_become_points_in_the_order_of_the_features() -> None:
    records: list[dict[str, Any]] = [{"price": 3.0, "shop": "south", "more": "x"}, {}]
    assert MODEL.encode(records).tolist() == [[0.5, 6.0], [1.5, 20.0]]


def test_every_record_gets_its_nearest_centre_and_none_is_dropped() -> None:
    records = random_records(2_000)
    clusters, distances = MODEL.assign(records)
    expected = [by_hand(MODEL, record) for record in records]
    assert clusters.tolist() == [cluster for cluster, _ in expected]
    assert np.allclose(distances, [distance for _, distance in expected], rtol=0, atol=1e-12)
    assert set(clusters.tolist()) == {0, 1, 2}


def test_of_equally_near_centres_the_first_counts() -> None:
    model = ClusterModel((PRICE,), np.array([[9.0], [4.0], [0.0], [4.0]]))
    clusters, distances = model.assign([{"price": 1.0}, {"price": 2.0}])
    assert clusters.tolist() == [1, 1]
    assert distances.tolist() == [2.0, 0.0]


def test_no_records_are_assigned_to_nothing() -> None:
    clusters, distances = MODEL.assign([])
    assert (clusters.shape, distances.shape) == ((0,), (0,))


def test_one_record_is_assigned_as_among_many() -> None:
    records = random_records(50, seed=2)
    together, distances = MODEL.assign(records)
    for number, record in enumerate(records):
        alone, distance = MODEL.assign([record])
        assert (alone[0], distance[0]) == (together[number], distances[number])


def test_a_model_comes_back_from_the_lake_with_the_same_answers(lake: Lake) -> None:
    head = {"date": FIRST.date, "window": FIRST.key, "slot": 1, "revision": 1, "digest": "d1"}
    rows = pl.DataFrame([head | MODEL.row()], schema=dict(TABLES["models"].schema))
    lake.replace_window("models", FIRST, rows)
    (row,) = lake.read_window("models", FIRST).collect().to_dicts()
    stored = ClusterModel.from_row(row)
    assert stored.features == MODEL.features
    assert np.array_equal(stored.centres, MODEL.centres)
    records = random_records(200)
    for before, after in zip(MODEL.assign(records), stored.assign(records), strict=True):
        assert np.array_equal(before, after)
