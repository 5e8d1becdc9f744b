"""Spark selects the records of several windows as each window's batch has them."""

from pathlib import Path

import polars as pl
from pyspark.sql import SparkSession

from resources.contract import Contract
from resources.spark import selected_records
from tests.platform_assets.frames import ATTEMPT, WINDOW, random_rows, write_records

OTHERS = ("2026-11-24T0505Z", "2026-11-24T0510Z")


def test_each_window_keeps_its_latest_record_of_an_id(
    spark: SparkSession, contract: Contract, tmp_path: Path
) -> None:
    (file,) = write_records(tmp_path / "records", contract, random_rows(contract, 40, 1), files=1)
    rows = pl.read_parquet(file)
    twice = rows.head(10).with_columns(pl.col("kafka_offset") + 100)  # the same instant: the offset decides
    files = [file]
    for number, window in enumerate(OTHERS):
        files.append(str(tmp_path / f"{number}.parquet"))
        pl.concat([rows, twice]).with_columns(window=pl.lit(window)).write_parquet(files[-1])
    counts = []
    for windows in ([WINDOW], [WINDOW, OTHERS[0]], [*OTHERS]):
        found = pl.DataFrame(selected_records(spark, contract, windows, files, [ATTEMPT]).toArrow())
        counts.append(found.height)
        assert found["record_id"].n_unique() == 40
        late = found.filter(pl.col("kafka_offset") >= 100)
        assert late.height == 10 * sum(window in OTHERS for window in windows)
    assert counts == [40, 80, 80]


def test_an_erased_record_is_not_selected(spark: SparkSession, contract: Contract, tmp_path: Path) -> None:
    (file,) = write_records(tmp_path / "records", contract, random_rows(contract, 4, 1), files=1)
    rows = pl.read_parquet(file)
    erased = pl.when(pl.col("kafka_offset") != rows["kafka_offset"][0]).then("record_id").alias("record_id")
    rows.with_columns(erased).write_parquet(file)
    found = selected_records(spark, contract, [WINDOW], [file], [ATTEMPT]).toArrow()
    assert set(pl.DataFrame(found)["record_id"]) == set(rows["record_id"][1:])
