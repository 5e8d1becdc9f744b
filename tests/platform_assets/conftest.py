"""One Spark session on the shared stack, and records as the assets read them."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from pyspark.sql import DataFrame, SparkSession

from resources.contract import Contract, load_contract
from resources.settings import PROJECT
from resources.spark import selected_records, spark_config
from tests.platform_assets.frames import ATTEMPT, WINDOW, Row, seed_rows, write_records
from tests.stacks import Stack

MakeFrame = Callable[..., DataFrame]


@pytest.fixture(scope="session")
def spark(stack: Stack) -> Iterator[SparkSession]:
    """A session on the stack's Spark server."""
    session = SparkSession.builder.config(map={**spark_config(stack.settings)}).create()
    yield session
    session.stop()


@pytest.fixture(scope="session")
def contract() -> Contract:
    """The contract of the customer-support records."""
    return load_contract(PROJECT / "contracts" / "customer_support.yaml")


@pytest.fixture
def frame(spark: SparkSession, tmp_path: Path) -> MakeFrame:
    """Makes the Spark frame of a window's rows, written to Parquet files as landed records are."""

    def make(contract: Contract, rows: Sequence[Row], files: int = 1) -> DataFrame:
        folder = tmp_path / f"{contract.version}-{len(list(tmp_path.iterdir()))}"
        paths = write_records(folder, contract, rows, files)
        return selected_records(spark, contract, [WINDOW], paths, [ATTEMPT])

    return make


@pytest.fixture(scope="session")
def seed_batches(seed: Path, contract: Contract) -> dict[int, list[Row]]:
    """The rows of the three seed batches, decoded as the contract says."""
    return {number: seed_rows(seed / f"batch_{number}.csv", contract) for number in (1, 2, 3)}
