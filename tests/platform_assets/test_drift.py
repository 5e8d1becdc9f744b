"""Drift raises what has moved, and nothing else."""

from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from platform_assets.training.drift import (
    ENOUGH,
    RAISED,
    FeatureDrift,
    Values,
    feature_drift,
    inertia_ratio,
    psi,
    ratio_level,
    worst,
)
from platform_assets.training.holm import holm

RECORDS, FEATURES, WINDOWS = 1000, 10, 200
SOURCE = 4


def normal(windows: int, seed: int = SOURCE) -> NDArray[np.float64]:
    """Windows of a steady stream, shape (windows, features, records)."""
    return np.random.default_rng(seed).normal(size=(windows, FEATURES, RECORDS))


def named(features: NDArray[np.float64]) -> dict[str, Values]:
    return {f"feature {number}": values for number, values in enumerate(features)}


def one(reference: Values, window: Values) -> FeatureDrift:
    (found,) = feature_drift({"it": reference}, {"it": window})
    return found


def test_a_steady_stream_gives_no_alarm_in_95_of_100_windows() -> None:
    windows = [named(features) for features in normal(WINDOWS + 1)]
    alarms = sum(
        any(found.level in RAISED for found in feature_drift(before, now))
        for before, now in pairwise(windows)
    )
    assert alarms <= 0.05 * WINDOWS


def test_half_a_deviation_in_one_feature_is_raised_in_its_window_and_in_no_other_feature() -> None:
    trials, others = normal(WINDOWS), normal(WINDOWS, SOURCE + 1)
    others[:, 3] += 0.5
    found = [feature_drift(named(one), named(two)) for one, two in zip(trials, others, strict=True)]
    assert sum(features[3].level in RAISED for features in found) >= 0.95 * WINDOWS
    falsely = sum(each.level in RAISED for features in found for each in (*features[:3], *features[4:]))
    assert falsely <= 0.05 * WINDOWS


def test_a_big_change_is_major_and_a_tiny_one_is_none_however_sure_it_is() -> None:
    source = np.random.default_rng(SOURCE)
    reference = source.normal(size=20_000)
    assert one(reference, source.normal(2, 1, 20_000)).level == "major"
    tiny = one(reference, source.normal(0.1, 1, 20_000))
    assert tiny.p is not None
    assert tiny.p < 1e-6
    assert tiny.level == "none"


def test_a_shuffled_window_has_no_distance_and_its_own_distribution_no_index() -> None:
    values = normal(1)[0, 0]
    found = one(values, np.random.default_rng(1).permutation(values))
    assert (found.psi, found.distance, found.p, found.level) == (0.0, 0.0, 1.0, "none")


def test_the_index_is_that_of_the_shares_in_the_references_deciles() -> None:
    shares = np.array([[100] * 10, [50] * 5 + [150] * 5])
    expected = sum((p - q) * np.log(p / q) for p, q in zip(*(shares / 1000), strict=True))
    assert psi(*shares) == pytest.approx(expected, rel=0.02)  # half a record is added to each
    reference, even = np.arange(1000.0), np.arange(0.0, 1000, 2)
    assert one(reference, np.concatenate([even, reference[500:]])).psi == pytest.approx(expected, rel=0.02)


@pytest.mark.parametrize("moved", [3.0, 5.0, 7.0])
def test_a_constant_that_takes_another_value_is_major(moved: float) -> None:
    level = one(np.full(RECORDS, 5.0), np.full(RECORDS, moved)).level
    assert level == ("none" if moved == 5 else "major")


def test_whole_numbers_are_compared_one_by_one() -> None:
    source = np.random.default_rng(SOURCE)
    reference = source.choice([1.0, 2.0, 3.0, 4.0, 5.0], size=RECORDS, p=[0.1, 0.1, 0.1, 0.1, 0.6])
    assert one(reference, source.permutation(reference)).level == "none"
    same_mean = source.choice([1.0, 4.0, 5.0], size=RECORDS, p=[0.2, 0.4, 0.4])
    assert one(reference, same_mean).level == "major"


def test_nulls_of_numbers_are_left_out() -> None:
    values = normal(1)[0, 0]
    holes = np.concatenate([values, np.full(300, np.nan)])
    assert one(values, holes).psi == 0.0
    assert one(values, np.concatenate([values[: ENOUGH - 1], np.full(300, np.nan)])).level == "unknown"


def test_labels_are_compared_by_their_shares_with_nulls_as_one_of_them() -> None:
    source = np.random.default_rng(SOURCE)
    labels = np.array(["north", "south", "west", ""])
    reference = source.choice(labels, RECORDS, p=[0.5, 0.3, 0.15, 0.05])
    assert one(reference, source.choice(labels, RECORDS, p=[0.5, 0.3, 0.15, 0.05])).level == "none"
    more_nulls = one(reference, source.choice(labels, RECORDS, p=[0.4, 0.2, 0.1, 0.3]))
    assert more_nulls.level == "major"
    counts = [[(column == label).sum() for label in labels] for column in (reference, labels[[0] * RECORDS])]
    expected = stats.chi2_contingency(np.array(counts), correction=False)
    only_north = one(reference, labels[[0] * RECORDS])
    assert only_north.p == pytest.approx(expected.pvalue)
    assert only_north.distance == pytest.approx(np.sqrt(expected.statistic / (2 * RECORDS)))


def test_many_rare_labels_are_no_alarm_and_a_new_frequent_one_is() -> None:
    source = np.random.default_rng(SOURCE)
    alarms = 0
    for _ in range(WINDOWS):
        places = source.zipf(1.6, size=(2, RECORDS)).clip(max=400).astype(str)
        alarms += one(places[0], places[1]).level in RAISED
    assert alarms <= 0.05 * WINDOWS
    places[1, :200] = "new"
    assert one(places[0], places[1]).level in RAISED


def test_one_label_alone_is_no_drift() -> None:
    assert one(np.full(RECORDS, "north"), np.full(RECORDS, "north")).level == "none"


@pytest.mark.parametrize("few", [0, 1])
def test_with_too_few_values_in_either_window_the_level_is_unknown(few: int) -> None:
    pair = [normal(1)[0, 0], normal(1)[0, 0] + 5]
    pair[few] = pair[few][: ENOUGH - 1]
    assert one(*pair) == FeatureDrift("it", None, None, None, "unknown")
    labels = [np.where(values > 0, "above", "below") for values in pair]
    assert one(*labels).level == "unknown"


def test_a_feature_that_the_reference_lacks_is_not_compared() -> None:
    values = normal(1)[0]
    assert [each.feature for each in feature_drift({"b": values[0]}, {"a": values[1], "b": values[2]})] == [
        "b"
    ]


def test_holms_p_values_are_those_of_the_book() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


def test_the_reference_model_explains_its_own_window_as_well_as_its_own_does() -> None:
    points = np.array([[0.0], [2.0], [10.0], [12.0]])
    clusters = np.array([0, 0, 1, 1])
    assert inertia_ratio(points, np.array([[1.0], [11.0]]), clusters) == 1.0
    assert inertia_ratio(points + 3, np.array([[1.0], [11.0]]), clusters) == pytest.approx(10.0)
    assert inertia_ratio(np.zeros((3, 1)), np.array([[0.0]]), np.zeros(3, np.int64)) == 1.0


@pytest.mark.parametrize(
    ("ratio", "records", "level"),
    [(1.1, 1000, "none"), (1.2, 1000, "moderate"), (1.5, 1000, "major"), (9.0, 499, "unknown")],
)
def test_the_level_of_an_inertia_ratio(ratio: float, records: int, level: str) -> None:
    assert ratio_level(ratio, records) == level


def test_the_worst_level_counts() -> None:
    assert worst(["none", "major", "moderate", "unknown"]) == "major"
    assert worst(["unknown", "none"]) == "none"
    assert worst([]) == "unknown"
