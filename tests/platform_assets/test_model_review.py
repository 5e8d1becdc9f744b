"""``model_review`` in a real Dagster: drift against the window before and the baseline, once published."""

from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

from platform_assets.drift import write_drift
from resources.baseline import baseline, pin, unpin
from resources.errors import WindowError
from resources.samples import MOST, Samples, published_batch
from resources.upkeep.report import Report
from resources.upkeep.retention import apply_retention
from tests.platform_assets.reviewed import RECORDS, Reviewed


@pytest.fixture
def reviewed(tmp_path: Path) -> Iterator[Reviewed]:
    made = Reviewed(tmp_path)
    with made.instance:
        yield made


def levels(reviewed: Reviewed, place: int, reference: str = "previous") -> dict[str | None, str]:
    """The level of each feature, and of the model (None), in a window's rows."""
    rows = reviewed.drift(reviewed.windows[place])
    return {row["feature"]: row["level"] for row in rows if row["reference"] == reference}


STEADY = {None: "none", "shop": "none", "price": "none", "weight": "none"}


def test_a_window_is_compared_with_the_published_one_before_it(reviewed: Reviewed) -> None:
    first, _, third = reviewed.windows[:3]
    reviewed.publish(first, seed=1)
    assert reviewed.drift(first) == []
    reviewed.publish(third, seed=2, price=1.0)
    assert levels(reviewed, 2) == STEADY | {"price": "major", None: "moderate"}
    (row,) = [row for row in reviewed.drift(third) if row["feature"] == "price"]
    before, now = (published_batch(reviewed.lake, window) for window in (first, third))
    assert before and now
    assert (row["reference_window"], row["reference_digest"]) == (first.key, before.digest)
    assert (row["digest"], row["revision"]) == (now.digest, 1)
    assert row["psi"] > 0.25
    assert 0.3 < row["distance"] < 0.5
    assert row["p"] < 1e-6


def test_a_steady_window_has_no_drift(reviewed: Reviewed) -> None:
    for place in (0, 1):
        reviewed.publish(reviewed.windows[place], seed=place)
    assert levels(reviewed, 1) == STEADY


def test_what_is_too_few_is_passed_over_and_too_little_to_tell_is_unknown(reviewed: Reviewed) -> None:
    first, few, small = reviewed.windows[:3]
    reviewed.publish(first, seed=1)
    reviewed.publish(few, seed=2, records=1)
    assert reviewed.drift(few) == []
    reviewed.publish(small, seed=3, records=100, price=3)
    rows = reviewed.drift(small)
    assert {row["reference_window"] for row in rows} == {first.key}
    assert set(levels(reviewed, 2).values()) == {"unknown"}


def test_drift_does_not_depend_on_the_order_in_which_windows_are_answered(reviewed: Reviewed) -> None:
    shifts = [0.0, 1.0, 1.0, 0.0]
    order = [2, 0, 3, 1]
    for place in order:
        reviewed.publish(reviewed.windows[place], seed=place, price=shifts[place])
    for place in range(1, 4):
        rows = reviewed.drift(reviewed.windows[place])
        assert {row["reference_window"] for row in rows} == {reviewed.windows[place - 1].key}
    assert [levels(reviewed, place)["price"] for place in (1, 2, 3)] == ["major", "none", "major"]


def test_a_new_revision_is_compared_again_by_itself_and_by_the_next_window_alone(reviewed: Reviewed) -> None:
    for place in range(3):
        reviewed.publish(reviewed.windows[place], seed=place)
    untouched = reviewed.drift(reviewed.windows[2])
    reviewed.land(reviewed.windows[0], seed=9)
    reviewed.cluster(reviewed.windows[0])
    assert reviewed.run(reviewed.windows[0]).success
    now = published_batch(reviewed.lake, reviewed.windows[0])
    assert now
    assert now.revision == 2
    assert {row["reference_digest"] for row in reviewed.drift(reviewed.windows[1])} == {now.digest}
    assert reviewed.drift(reviewed.windows[2]) == untouched


def test_drift_is_the_same_when_it_is_computed_again(reviewed: Reviewed) -> None:
    for place in (0, 1):
        reviewed.publish(reviewed.windows[place], seed=place)
    before = reviewed.drift(reviewed.windows[1])
    batch = published_batch(reviewed.lake, reviewed.windows[1])
    assert batch
    write_drift(reviewed.platform, batch)
    assert reviewed.drift(reviewed.windows[1]) == before


# ---- the baseline ----


def pin_first(reviewed: Reviewed) -> None:
    pin(reviewed.lake, reviewed.contract, reviewed.taker.ledger.intakes(), reviewed.windows[0])


def test_a_slow_drift_is_seen_from_the_pinned_baseline(reviewed: Reviewed) -> None:
    reviewed.publish(reviewed.windows[0], seed=0, records=2000)
    pin_first(reviewed)
    for place in range(1, 5):
        reviewed.publish(reviewed.windows[place], seed=place, records=2000, weight=0.2 * place)
    assert [levels(reviewed, place)["weight"] for place in range(1, 5)] == ["none"] * 4
    assert levels(reviewed, 4, "baseline")["weight"] == "major"


def test_the_baseline_outlives_its_window(reviewed: Reviewed) -> None:
    reviewed.publish(reviewed.windows[0], seed=0)
    pin_first(reviewed)
    before = baseline(reviewed.lake)
    tomorrow = reviewed.windows[0].step(2 * 288).date
    apply_retention(reviewed.lake, tomorrow, Report(reviewed.lake))
    assert published_batch(reviewed.lake, reviewed.windows[0]) is None
    after = baseline(reviewed.lake)
    assert before and after and before.model and after.model
    assert after.records.equals(before.records)
    assert after.records.height == RECORDS
    assert after.model.features == before.model.features


def test_another_pin_replaces_the_baseline_and_unpinning_ends_it(reviewed: Reviewed) -> None:
    for place in (0, 1):
        reviewed.publish(reviewed.windows[place], seed=place)
    pin_first(reviewed)
    pin(reviewed.lake, reviewed.contract, reviewed.taker.ledger.intakes(), reviewed.windows[1])
    pinned = baseline(reviewed.lake)
    assert pinned
    assert pinned.window == reviewed.windows[1].key
    assert unpin(reviewed.lake) == reviewed.windows[1].key
    assert baseline(reviewed.lake) is None
    assert unpin(reviewed.lake) is None


def test_the_baseline_is_not_compared_with_itself(reviewed: Reviewed) -> None:
    reviewed.publish(reviewed.windows[0], seed=0)
    pin_first(reviewed)
    assert reviewed.run(reviewed.windows[0], ["model_review"]).success
    assert reviewed.drift(reviewed.windows[0]) == []


def test_a_window_without_clusters_cannot_be_pinned(reviewed: Reviewed) -> None:
    with pytest.raises(WindowError, match="has no published clusters"):
        pin_first(reviewed)


# ---- samples ----


def new_samples(reviewed: Reviewed) -> Samples:
    """As another run has them: from the lake."""
    return Samples(
        reviewed.lake, reviewed.taker.ledger.intakes, reviewed.settings.grid, reviewed.contract.features
    )


def test_a_sample_of_a_big_window_is_bounded_and_even_over_its_time(reviewed: Reviewed) -> None:
    window = reviewed.windows[0]
    for number in range(3):
        reviewed.land(window, seed=number, records=MOST // 2)
    batch = reviewed.cluster(window)
    taken = new_samples(reviewed).sample(batch).records
    assert taken.height == pytest.approx(MOST, rel=0.03)
    all_rows = reviewed.lake.read_window("records", window).collect().sort("event_time", "kafka_offset")
    chosen = all_rows["price"].is_in(taken["price"].implode()).to_numpy()
    thirds = [int(chosen[start : start + MOST // 2].sum()) for start in range(0, 3 * MOST // 2, MOST // 2)]
    assert thirds == pytest.approx([MOST / 3] * 3, rel=0.05)


@pytest.mark.parametrize("records", [MOST // 2, MOST])
def test_a_sample_from_memory_is_the_one_that_the_lake_gives(reviewed: Reviewed, records: int) -> None:
    window, lake = reviewed.windows[0], reviewed.lake
    for seed in range(2):
        reviewed.land(window, seed=seed, records=records)
    twice = lake.read_window("records", window).collect().sample(records // 2, seed=1)
    again = twice.with_columns(price=pl.lit(3.5), date=pl.lit(window.date), event_time=pl.lit(window.end))
    lake.append("records", again)
    batch = reviewed.cluster(window)
    assert (batch.records, batch.duplicates) == (2 * records, records // 2)
    held = reviewed.platform.records(batch)
    assert held.height == batch.records
    from_memory = reviewed.platform.samples.sample(batch).records
    assert from_memory.equals(new_samples(reviewed).sample(batch).records)
    assert (from_memory["price"] == 3.5).mean() == pytest.approx(0.25, abs=0.03)


def test_a_sample_has_the_contracts_features_and_nulls(reviewed: Reviewed) -> None:
    window = reviewed.windows[0]
    reviewed.land(window, seed=0, records=10)
    batch = reviewed.cluster(window)
    records = new_samples(reviewed).sample(batch).records
    assert records.schema == {"shop": pl.String, "price": pl.Float64, "weight": pl.Float64}
    assert records.height == 10


def test_the_review_keeps_the_verdict_on_structure_and_draws_the_window(reviewed: Reviewed) -> None:
    first, second = reviewed.windows[:2]
    reviewed.publish(first, seed=1)
    reviewed.land(second, seed=2)
    batch = reviewed.cluster(second)
    result = reviewed.run(second)
    (event,) = [each for each in result.get_asset_materialization_events() if each.step_key == "model_review"]
    metadata = event.materialization.metadata
    assert {"clusters", "shares"} <= metadata.keys()
    (row,) = reviewed.lake.read_window("model_reviews", second).collect().to_dicts()
    assert (row["digest"], row["structure"]) == (batch.digest, metadata["structure"].value)
    assert 0 < row["box_p"] <= 1
    assert {each["feature"] for each in row["dip_p"]} == {"price", "weight"}
