"""Training: the golden models, repeatable, and what a window's records must have to be trained on."""

from collections.abc import Sequence
from itertools import combinations
from typing import Literal

import click
import numpy as np
import pytest
from msgspec.structs import replace

from platform_assets.training.features import MOST_LABELS, Profile, profile
from platform_assets.training.quality import quality
from platform_assets.training.restarts import FOUND, LEAST_STARTS, best_fit
from platform_assets.training.trainers import TRAINERS
from platform_assets.training.training import Training
from resources.contract import Contract, Value
from tests.platform_assets.conftest import MakeFrame
from tests.platform_assets.frames import Row, random_rows, silhouettes

MLLIB = {1: ({96, 325}, 0.5868), 2: ({422, 138}, 0.4665), 3: ({185, 385}, 0.5140)}
MLLIB_INERTIA = {1: 883.5494, 2: 1178.8494 * 1.086, 3: 1198.4544 * 1.043}
"""What one start of MLlib reaches with the seed 23: of batches 2 and 3 inferior optima."""
CORESET = {1: ([325, 96], 0.5868), 2: ([439, 121], 0.5950), 3: ([446, 124], 0.5950)}
BEST_INERTIA = {1: 883.5494, 2: 1178.8494, 3: 1198.4544}


def fit(frame: MakeFrame, contract: Contract, rows: Sequence[Row], files: int = 1) -> Training:
    trainer = TRAINERS[contract.trainer]
    ordered = trainer.in_order(frame(contract, rows, files), len(rows))
    return trainer.train(ordered, contract, profile(ordered, contract))


def profiled(frame: MakeFrame, contract: Contract, rows: Sequence[Row]) -> Profile:
    return profile(frame(contract, rows), contract)


def names(found: Profile) -> list[str]:
    return [feature.name for feature in found.features]


def columns(contract: Contract, **values: Sequence[Value]) -> list[Row]:
    """Rows with these features (blanks of their names as underscores), all other fields null."""
    fields = {name.replace(" ", "_").replace("-", "_"): name for name in contract.fields}
    return [
        dict.fromkeys(contract.fields)
        | {contract.id: str(number)}
        | {fields[name]: value for name, value in zip(values, row, strict=True)}
        for number, row in enumerate(zip(*values.values(), strict=True))
    ]


@pytest.mark.parametrize("batch", [1, 2, 3])
def test_mllib_repeats_the_originals_models(
    frame: MakeFrame, contract: Contract, seed_batches: dict[int, list[Row]], batch: int
) -> None:
    training = fit(frame, replace(contract, trainer="mllib"), seed_batches[batch])
    sizes, silhouette = MLLIB[batch]
    assert set(training.quality.sizes) == sizes
    assert training.quality.silhouette == pytest.approx(silhouette, abs=0.0005)
    assert training.quality.inertia == pytest.approx(MLLIB_INERTIA[batch], rel=0.0005)
    check_scores(training, seed_batches[batch])


@pytest.mark.parametrize("batch", [1, 2, 3])
def test_coreset_finds_the_best_known_models(
    frame: MakeFrame, contract: Contract, seed_batches: dict[int, list[Row]], batch: int
) -> None:
    training = fit(frame, contract, seed_batches[batch])
    sizes, silhouette = CORESET[batch]
    assert training.quality.sizes == sizes
    assert training.quality.silhouette == pytest.approx(silhouette, abs=0.00005)
    assert training.quality.inertia <= 1.0001 * BEST_INERTIA[batch]
    assert training.converged
    assert training.sample == sum(sizes)
    assert training.starts >= LEAST_STARTS
    assert training.found >= FOUND
    check_scores(training, seed_batches[batch])


@pytest.mark.parametrize("batch", [1, 2, 3])
def test_coreset_finds_the_best_known_model_from_every_seed(
    frame: MakeFrame, contract: Contract, seed_batches: dict[int, list[Row]], batch: int
) -> None:
    points = fit(frame, contract, seed_batches[batch]).model.encode(seed_batches[batch])
    weights = np.ones(len(points))
    fits = [best_fit(points, weights, 2, seed) for seed in range(50)]
    worst = max(quality(points, each.centres).inertia for each in fits) / BEST_INERTIA[batch]
    click.echo(f"batch {batch}: worst inertia of 50 seeds {worst:.7f} of the best known")
    assert worst <= 1.0001


def check_scores(training: Training, rows: Sequence[Row]) -> None:
    """The scores, against their definitions, of the records as the stored model assigns them."""
    scores, points = training.quality, training.model.encode(rows)
    clusters, distances = training.model.assign(rows)
    each = silhouettes(points, clusters)
    assert scores.sizes == np.bincount(clusters).tolist()
    assert scores.inertia == pytest.approx((distances**2).sum())
    assert scores.silhouette == pytest.approx(each.mean(), abs=1e-9)
    of_clusters = [each[clusters == cluster].mean() for cluster in range(len(scores.sizes))]
    assert scores.silhouettes == pytest.approx(of_clusters, abs=1e-9)
    centres = training.model.centres
    nearest = min(np.linalg.norm(one - other) for one, other in combinations(centres, 2))
    assert scores.separation == pytest.approx(nearest)


@pytest.mark.parametrize("trainer", ["coreset", "mllib"])
def test_training_again_gives_the_same_model_to_the_last_bit_however_the_records_lie(
    frame: MakeFrame, contract: Contract, trainer: Literal["coreset", "mllib"]
) -> None:
    contract = replace(contract, trainer=trainer)
    rows = random_rows(contract, 600, 11, nulls=0.1)
    once, again, in_files = (fit(frame, contract, rows, files) for files in (1, 1, 4))
    for other in (again, in_files):
        assert other.model.centres.tobytes() == once.model.centres.tobytes()
        assert other.model.features == once.model.features
        assert other.quality == once.quality


@pytest.mark.parametrize("trainer", ["coreset", "mllib"])
def test_scores_of_several_clusters_are_what_their_definitions_say(
    frame: MakeFrame, contract: Contract, trainer: Literal["coreset", "mllib"]
) -> None:
    five = replace(contract, clusters=5, trainer=trainer)
    rows = random_rows(five, 400, 12, nulls=0.05)
    check_scores(fit(frame, five, rows), rows)


@pytest.mark.parametrize(("nulls", "of"), [(3, 10), (30, 100), (6, 20)])
def test_a_feature_with_exactly_the_allowed_share_of_nulls_stays(
    frame: MakeFrame, contract: Contract, nulls: int, of: int
) -> None:
    prices = [None] * nulls + [float(i) for i in range(of - nulls)]
    found = profiled(frame, contract, columns(contract, Item_price=prices))
    assert names(found) == ["Item_price"]


def test_a_feature_with_more_nulls_leaves(frame: MakeFrame, contract: Contract) -> None:
    prices = [None] * 31 + [float(i) for i in range(69)]
    channels = [None] * 30 + ["Chat"] * 70
    rows = columns(contract, Item_price=prices, channel_name=channels)
    found = profiled(frame, contract, rows)
    assert names(found) == ["channel_name"]
    assert found.left_out == [name for name in contract.features if name != "channel_name"]
    assert found.enough, "null and Chat are two points"


def test_where_every_feature_leaves_there_are_too_few_points(frame: MakeFrame, contract: Contract) -> None:
    found = profiled(frame, contract, columns(contract, Manager=["a", "b", "c"]))
    assert found == Profile(3, (), contract.features, enough=False)


def test_a_feature_without_any_value_leaves_even_where_all_may_be_null(
    frame: MakeFrame, contract: Contract
) -> None:
    tolerant = replace(contract, max_null_share=1.0, features=["channel_name", "Item_price", "CSAT Score"])
    rows = columns(tolerant, CSAT_Score=[1.0, 1.0, 5.0, None])
    found = profiled(frame, tolerant, rows)
    assert names(found) == ["CSAT Score"]
    assert sorted(fit(frame, tolerant, rows).quality.sizes) == [1, 3]


def test_a_constant_feature_counts_for_nothing(frame: MakeFrame, contract: Contract) -> None:
    pair = replace(contract, features=["Item_price", "CSAT Score"])
    rows = columns(pair, Item_price=[7.0] * 6, CSAT_Score=[1.0, 1.0, 1.0, 5.0, 5.0, 5.0])
    training = fit(frame, pair, rows)
    constant, varying = training.model.features
    assert constant.scale == 0.0
    assert varying.scale == pytest.approx(1 / np.std([1, 1, 1, 5, 5, 5], ddof=1))
    assert np.all(training.model.centres[:, 0] == 0.0)
    clusters, _ = training.model.assign(rows)
    assert {tuple(clusters[:3]), tuple(clusters[3:])} == {(0, 0, 0), (1, 1, 1)}


@pytest.mark.parametrize("value", [0.1, 1e16, -3.3])
def test_a_constant_feature_with_nulls_counts_for_nothing_however_its_mean_is_rounded(
    frame: MakeFrame, contract: Contract, value: float
) -> None:
    pair = replace(contract, features=["Item_price", "CSAT Score"], max_null_share=0.5)
    rows = columns(pair, Item_price=[value, value, value, None], CSAT_Score=[1.0, 1.0, 5.0, 5.0])
    assert fit(frame, pair, rows).model.features[0].scale == 0.0


def test_categories_are_numbered_by_frequency_then_by_name(frame: MakeFrame, contract: Contract) -> None:
    channel = replace(contract, features=["channel_name"])
    values = ["b", "a", "c", "c", "c", "b", "a", None]
    (feature,) = fit(frame, channel, columns(channel, channel_name=values)).model.features
    assert feature.labels == ("c", "a", "b")


def test_a_missing_number_counts_as_the_mean(frame: MakeFrame, contract: Contract) -> None:
    price = replace(contract, features=["Item_price"])
    rows = columns(price, Item_price=[1.0, 2.0, 9.0, 100.0, None])
    (feature,) = fit(frame, price, rows).model.features
    assert feature.fill == pytest.approx(28.0)
    assert feature.scale == pytest.approx(1 / np.std([1, 2, 9, 100, 28], ddof=1))


@pytest.mark.parametrize(("clusters", "enough"), [(3, True), (4, False)])
def test_fewer_distinct_points_than_clusters_are_too_few(
    frame: MakeFrame, contract: Contract, clusters: int, enough: bool
) -> None:
    few = replace(contract, clusters=clusters, features=["channel_name", "CSAT Score"])
    rows = columns(few, channel_name=["a", "a", "b", "b", "a"], CSAT_Score=[1.0, 1.0, 1.0, 2.0, 1.0])
    assert profiled(frame, few, rows).enough is enough


def test_points_that_differ_only_by_a_null_that_the_mean_fills_are_too_few(
    frame: MakeFrame, contract: Contract
) -> None:
    pair = replace(contract, features=["channel_name", "Item_price"])
    rows = columns(pair, channel_name=["a"] * 4, Item_price=[5.0, 5.0, 5.0, None])
    assert not profiled(frame, pair, rows).enough


def test_a_single_point_gives_one_cluster_and_no_silhouette(frame: MakeFrame, contract: Contract) -> None:
    training = fit(frame, contract, columns(contract, Item_price=[5.0, 5.0, 5.0, None]))
    assert len(training.model.centres) == 1
    assert training.quality.sizes[0] == 4
    assert training.quality.silhouette is None


def test_robust_numbers_are_scaled_by_their_quartiles_and_filled_with_the_median(
    frame: MakeFrame, contract: Contract
) -> None:
    price = replace(contract, features=["Item_price"], scaling="robust")
    values = [1.0, 2.0, 3.0, 4.0, 1e6, None]
    (feature,) = profiled(frame, price, columns(price, Item_price=values)).features
    assert feature.fill == 3.0
    assert feature.scale == pytest.approx(1.349 / 2)


def test_a_robust_number_whose_quartiles_are_equal_is_scaled_by_its_deviation(
    frame: MakeFrame, contract: Contract
) -> None:
    price = replace(contract, features=["Item_price"], scaling="robust")
    values = [5.0] * 8 + [6.0, None]
    (feature,) = profiled(frame, price, columns(price, Item_price=values)).features
    assert feature.scale == pytest.approx(1 / np.std([5.0] * 9 + [6.0], ddof=1))


@pytest.mark.parametrize("value", [0.1, -3.3])
def test_a_robust_constant_counts_for_nothing(frame: MakeFrame, contract: Contract, value: float) -> None:
    price = replace(contract, features=["Item_price", "CSAT Score"], scaling="robust")
    rows = columns(price, Item_price=[value] * 7 + [None] * 3, CSAT_Score=[1.0, 2.0] * 5)
    assert profiled(frame, price, rows).features[0].scale == 0.0


def test_one_hot_labels_beyond_the_most_frequent_share_the_column_of_all_else(
    frame: MakeFrame, contract: Contract
) -> None:
    channel = replace(contract, features=["channel_name"], encoding="one-hot")
    values = [f"label {place:02}" for place in range(MOST_LABELS + 5) for _ in range(40 - place)]
    (encoder,) = profiled(frame, channel, columns(channel, channel_name=values)).encoders
    assert encoder.feature.labels == tuple(f"label {place:02}" for place in range(MOST_LABELS))
    points = encoder.feature.encode(values)
    assert points.shape[1] == MOST_LABELS + 1
    assert points.var(axis=0, ddof=1).sum() == pytest.approx(1.0), "it weighs what a scaled number weighs"
    assert ((points - encoder.mean) ** 2).sum() == pytest.approx(encoder.squares)
