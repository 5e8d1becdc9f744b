"""The verdict on structure is ``yes`` for clusters, and not for what a null or rounding explains."""

from collections.abc import Collection

import numpy as np
import pytest

from bench.choice_of_k import unstructured_verdict
from bench.known_clusters import (
    CLEAR,
    UNSTRUCTURED,
    clustered,
    correlated_gaussian,
    gaussian,
    one_bimodal,
    uniform,
)
from platform_assets.training.structure import FEWEST_POINTS, LEVEL, Structure, structure
from resources.cluster_model import Floats


def judged(points: Floats, k: int = 2, left_out: Collection[str] = ()) -> Structure:
    names = [f"f{place}" for place in range(points.shape[1])]
    return structure(points, np.ones(len(points)), k, names, left_out, seed=5)


def test_one_bimodal_feature_among_noise_is_structure_by_the_dip_test_alone() -> None:
    found = judged(one_bimodal(np.random.default_rng(0)))
    assert found.verdict == "yes"
    assert [name for name, p in found.dip_p.items() if p <= LEVEL] == ["f0"]


def test_clusters_that_no_single_feature_shows_are_structure_by_both_nulls() -> None:
    rng = np.random.default_rng(0)
    corners = 2.5 * np.array([[a, b, c] for a in (-1, 1) for b in (-1, 1) for c in (-1, 1) if a * b * c > 0])
    raw = np.repeat(corners, 100, axis=0) + rng.normal(size=(400, 3))
    turned = raw @ np.linalg.qr(np.array([[1.0, 1, 1], [1, -1, 0], [1, 1, -2]])).Q
    found = judged(turned[:, [1, 2]], k=4)
    assert (found.verdict, found.box_p, found.gaussian_p) == ("yes", 0.01, 0.01)


@pytest.mark.parametrize("features", [2, 5])
def test_one_gaussian_is_no_structure(features: int) -> None:
    assert judged(gaussian(features, np.random.default_rng(1))).verdict != "yes"
    assert judged(correlated_gaussian(features, np.random.default_rng(1))).verdict != "yes"


def test_evenly_spread_points_are_at_most_weak_though_they_are_no_gaussian() -> None:
    found = judged(uniform(2, np.random.default_rng(1)), k=4)
    assert found.verdict == "weak"
    assert found.box_p is not None and found.gaussian_p is not None
    assert found.gaussian_p <= LEVEL < found.box_p


def test_left_out_features_count_for_nothing() -> None:
    points = one_bimodal(np.random.default_rng(0))
    assert judged(points).verdict == "yes"
    found = judged(points, left_out=["f0"])
    assert found.verdict != "yes"
    assert list(found.dip_p) == ["f1", "f2", "f3"]


def test_verdict_is_unknown_without_a_feature_to_look_at() -> None:
    points = np.column_stack([np.random.default_rng(0).normal(size=200), np.zeros(200)])
    assert judged(points, left_out=["f0"]) == Structure("unknown", None, None, {})


def test_verdict_is_unknown_for_few_points() -> None:
    points = np.random.default_rng(0).normal(size=(FEWEST_POINTS - 1, 2))
    assert judged(points).verdict == "unknown"


def test_rounded_values_are_no_modes() -> None:
    points = np.random.default_rng(0).normal(size=(1_000, 2)).round(0)
    assert min(judged(points).dip_p.values()) > LEVEL


def test_dip_ps_are_held_to_the_number_of_features() -> None:
    rng = np.random.default_rng(0)
    weakly_bimodal = np.r_[rng.normal(size=500), rng.normal(size=500) + 2.7]
    alone = judged(weakly_bimodal[:, None]).dip_p["f0"]
    among = judged(np.column_stack([weakly_bimodal, rng.normal(size=(1_000, 9))])).dip_p["f0"]
    assert 0 < alone < among


def test_points_of_a_weighted_sample_are_tested_as_their_window_is() -> None:
    rng = np.random.default_rng(0)
    core, far = rng.normal(size=(4_000, 2)), rng.normal(size=(4_000, 2)) + 20
    points, names = np.vstack([core, far]), ["f0", "f1"]
    light = np.repeat([1.0, 1e-9], 4_000)
    assert structure(points, np.ones(8_000), 2, names, (), seed=5).verdict == "yes"
    assert structure(points, light, 2, names, (), seed=5).verdict != "yes"


def test_same_seed_gives_the_same_verdict_and_ps() -> None:
    points = gaussian(3, np.random.default_rng(2))
    assert judged(points) == judged(points)


@pytest.mark.slow
@pytest.mark.parametrize("data", UNSTRUCTURED)
@pytest.mark.parametrize("features", [2, 10])
def test_data_without_structure_is_hardly_ever_taken_for_structure(data: str, features: int) -> None:
    verdicts = [unstructured_verdict((data, features, seed)) for seed in range(2000, 2010)]
    assert verdicts.count("yes") <= 1


@pytest.mark.slow
def test_clear_clusters_are_structure() -> None:
    verdicts = [
        judged(known.points, known.k).verdict for known in (clustered(CLEAR, seed) for seed in range(20))
    ]
    assert verdicts.count("yes") >= 18
