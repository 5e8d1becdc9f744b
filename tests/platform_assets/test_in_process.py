"""A run's own process answers what training asks as Spark does."""

import numpy as np
import polars as pl
import pytest
from msgspec.structs import replace
from pyspark.sql import DataFrame

from platform_assets.training.coreset import SAMPLE, begin, in_order
from platform_assets.training.engines import engine
from platform_assets.training.features import profile
from platform_assets.training.points import Points, assigned
from resources.contract import Contract
from tests.platform_assets.conftest import MakeFrame
from tests.platform_assets.frames import Row, random_rows
from tests.platform_assets.test_coreset import CONTRACT as LARGE_CONTRACT
from tests.platform_assets.test_coreset import rows as large_rows


def in_memory(contract: Contract, rows: list[Row]) -> pl.DataFrame:
    """The rows as a run keeps them."""
    kinds = {"number": pl.Float64, "string": pl.Categorical}
    columns = {
        contract.columns[name]: pl.Series([row[name] for row in rows]).cast(kinds[contract.fields[name]])
        for name in contract.features
    }
    ids = pl.Series("record_id", [row[contract.id] for row in rows])
    return pl.DataFrame({"record_id": ids, **columns}).sort("record_id")


@pytest.fixture(params=["index", "one-hot", "robust"])
def varied(request: pytest.FixtureRequest, contract: Contract) -> Contract:
    if request.param == "robust":
        return replace(contract, scaling="robust")
    return replace(contract, encoding=request.param)


def test_the_encoders_are_those_that_spark_fits(varied: Contract, frame: MakeFrame) -> None:
    rows = random_rows(varied, 3_000, 5, nulls=0.1, unseen=0.05)
    mine = profile(in_memory(varied, rows), varied)
    sparks = profile(in_order(frame(varied, rows), len(rows)), varied)
    assert (mine.records, mine.left_out, mine.enough) == (sparks.records, sparks.left_out, sparks.enough)
    for one, other in zip(mine.features, sparks.features, strict=True):
        assert (one.name, one.labels, one.one_hot) == (other.name, other.labels, other.one_hot)
        assert one.scale == pytest.approx(other.scale, rel=1e-12)
        assert one.fill == pytest.approx(other.fill, rel=1e-12)
    assert mine.means == pytest.approx(sparks.means, rel=1e-9, abs=1e-12)
    assert mine.squares == pytest.approx(sparks.squares, rel=1e-9)


def test_a_small_window_gets_the_model_that_spark_gives(varied: Contract, frame: MakeFrame) -> None:
    rows = random_rows(varied, 2_000, 6, nulls=0.05)
    mine, sparks = (
        begin(records, varied, profile(records, varied))()
        for records in (in_memory(varied, rows), in_order(frame(varied, rows), len(rows)))
    )
    assert mine.model.centres == pytest.approx(sparks.model.centres, rel=1e-9, abs=1e-12)
    assert mine.quality.sizes == sparks.quality.sizes
    assert mine.quality.silhouette == pytest.approx(sparks.quality.silhouette, rel=1e-9)
    assert mine.quality.inertia == pytest.approx(sparks.quality.inertia, rel=1e-9)


def test_sums_and_scores_of_a_large_window_are_those_that_spark_adds_up(frame: MakeFrame) -> None:
    rows = large_rows(SAMPLE + 1, 3)
    mine = in_memory(LARGE_CONTRACT, rows)
    sparks: DataFrame = in_order(frame(LARGE_CONTRACT, rows), len(rows))
    features = profile(mine, LARGE_CONTRACT).features
    asked = [engine(each, LARGE_CONTRACT).points(features, len(rows)) for each in (mine, sparks)]
    centres = asked[0].rows()[[0, 5, 11, 40]]
    one, other = (points.sums(centres) for points in asked)
    assert one.counts.tolist() == other.counts.tolist()
    assert one.means == pytest.approx(other.means, rel=1e-9)
    assert one.squares == pytest.approx(other.squares, rel=1e-9)
    scores = [points.quality(centres, one) for points in asked]
    assert scores[0].silhouettes == pytest.approx(scores[1].silhouettes, rel=1e-9)
    assert scores[0].inertia == pytest.approx(scores[1].inertia, rel=1e-9)
    assert asked[0].distinct(3) == asked[1].distinct(3) == 3


def test_a_large_window_is_fitted_as_well_as_by_spark_and_repeats_to_the_last_bit(
    frame: MakeFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = large_rows(70_000, 1)
    records = in_memory(LARGE_CONTRACT, rows)
    found = profile(records, LARGE_CONTRACT)
    mine = begin(records, LARGE_CONTRACT, found)()
    assert mine.sample == pytest.approx(SAMPLE, rel=0.05)
    monkeypatch.setattr("os.cpu_count", lambda: 1)
    again = begin(in_memory(LARGE_CONTRACT, rows[::-1]), LARGE_CONTRACT, found)()
    assert again.model.centres.tobytes() == mine.model.centres.tobytes()
    assert again.quality == mine.quality
    ordered = in_order(frame(LARGE_CONTRACT, rows), len(rows))
    sparks = begin(ordered, LARGE_CONTRACT, profile(ordered, LARGE_CONTRACT))()
    assert mine.quality.inertia == pytest.approx(sparks.quality.inertia, rel=1e-4)


def test_records_are_assigned_as_the_stored_model_assigns_them(varied: Contract) -> None:
    rows = random_rows(varied, 1_000, 7, nulls=0.05)
    records = in_memory(varied, rows)
    model = begin(records, varied, profile(records, varied))().model
    others = random_rows(varied, 3_000, 8, nulls=0.2, unseen=0.2)
    by_id = sorted(others, key=lambda row: str(row[varied.id]).encode())
    clusters, distances = assigned(Points(in_memory(varied, others), varied, model.features), model.centres)
    expected = model.assign(by_id)
    assert clusters.tolist() == expected[0].tolist()
    assert np.array_equal(distances, expected[1])
