"""Each cluster's statistics are those that plain Python computes from the same records."""

import statistics
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import polars as pl
import pytest
from msgspec.structs import replace
from pyspark.sql import SparkSession

from platform_assets.training.statistics import TOP_VALUES, ClusterStatistics, cluster_statistics
from resources.contract import Contract, Value
from tests.platform_assets.frames import Row, random_rows

_TYPES = {"string": pl.String(), "number": pl.Float64()}


Compute = Callable[[Contract, Sequence[Row], int], list[ClusterStatistics]]


@pytest.fixture(params=["in memory", "on Spark"])
def computed(request: pytest.FixtureRequest, spark: SparkSession) -> Compute:
    """The statistics of rows; the cluster of one is its place, modulo the number of clusters."""

    def compute(contract: Contract, rows: Sequence[Row], clusters: int) -> list[ClusterStatistics]:
        schema = {contract.columns[name]: _TYPES[kind] for name, kind in contract.fields.items()}
        lines = [[row[name] for name in contract.fields] for row in rows]
        frame = pl.DataFrame(lines, schema=schema, orient="row").with_columns(
            cluster=pl.Series([place % clusters for place in range(len(rows))], dtype=pl.Int32)
        )
        if request.param == "on Spark":
            return cluster_statistics(spark.createDataFrame(frame.to_arrow()), contract)
        return cluster_statistics(frame.lazy(), contract)

    return compute


def expected_number(values: Sequence[Value]) -> dict[str, Any]:
    numbers = [float(value) for value in values if value is not None]
    return {
        "nulls": len(values) - len(numbers),
        "mean": statistics.fmean(numbers) if numbers else None,
        "std": statistics.stdev(numbers) if len(numbers) > 1 else None,
        "min": min(numbers, default=None),
        "max": max(numbers, default=None),
    }


def expected_category(values: Sequence[Any]) -> dict[str, Any]:
    counts = Counter(value for value in values if value is not None)
    top = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:TOP_VALUES]
    return {"nulls": values.count(None), "distinct": len(counts), "top": dict(top)}


def check(found: list[ClusterStatistics], contract: Contract, rows: Sequence[Row], clusters: int) -> None:
    assert [cluster.cluster for cluster in found] == list(range(min(clusters, len(rows))))
    for cluster in found:
        mine = rows[cluster.cluster :: clusters]
        assert cluster.count == len(mine)
        assert list(cluster.features) == contract.features
        assert list(cluster.averages) == list(contract.statistics)
        for statistic, name in contract.statistics.items():
            mean = expected_number([row[name] for row in mine])["mean"]
            assert cluster.averages[statistic] == pytest.approx(mean)
        for name in contract.numbers:
            expected = expected_number([row[name] for row in mine])
            assert cluster.features[name] == pytest.approx(expected)
        for name in contract.categories:
            assert cluster.features[name] == expected_category([row[name] for row in mine])
            assert list(cluster.features[name]["top"]) == list(
                expected_category([row[name] for row in mine])["top"]
            )


def test_statistics_of_random_records(computed: Compute, contract: Contract) -> None:
    rows = random_rows(contract, 1_000, 21, nulls=0.2)
    check(computed(contract, rows, 3), contract, rows, 3)


def test_a_cluster_where_no_record_has_a_field(computed: Compute, contract: Contract) -> None:
    rows = random_rows(contract, 6, 22)
    nothing: list[Row] = [dict.fromkeys(contract.fields) | {contract.id: f"n{i}"} for i in range(6)]
    mixed = [row for pair in zip(rows, nothing, strict=True) for row in pair]
    found = computed(contract, mixed, 2)
    check(found, contract, mixed, 2)
    assert found[1].averages == {"avgCSAT": None, "avgPrice": None}
    assert found[1].features["channel_name"] == {"nulls": 6, "distinct": 0, "top": {}}


def test_a_cluster_of_one_record_has_no_deviation(computed: Compute, contract: Contract) -> None:
    rows = random_rows(contract, 2, 23)
    found = computed(contract, rows, 2)
    check(found, contract, rows, 2)
    assert found[0].features["Item_price"]["std"] is None


def test_a_contract_with_numbers_alone_or_categories_alone(computed: Compute, contract: Contract) -> None:
    rows = random_rows(contract, 50, 24, nulls=0.1)
    for features in (contract.numbers, contract.categories):
        part = replace(contract, features=features, statistics={})
        check(computed(part, rows, 2), part, rows, 2)


def test_fields_may_have_names_that_sql_would_not_take(computed: Compute, contract: Contract) -> None:
    odd = replace(
        contract,
        fields={"Unique id": "string", "price.net; in `EUR`": "number", "select": "string"},
        features=["price.net; in `EUR`", "select"],
        statistics={"the average. `net`": "price.net; in `EUR`"},
    )
    rows = random_rows(odd, 40, 25, nulls=0.1)
    check(computed(odd, rows, 2), odd, rows, 2)
