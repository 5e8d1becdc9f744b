"""What becomes of clusters from one model to the next, by the labels that both give to all records."""

import numpy as np
import pytest
from numpy.typing import NDArray

from platform_assets.training.identity import Event, transition

Cells = list[list[int]]


def labels(cells: Cells) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Labels by the model before and the model after, with so many records in each pair of clusters."""
    pairs = [(x, y) for x, row in enumerate(cells) for y, count in enumerate(row) for _ in range(count)]
    both = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    return both[:, 0], both[:, 1]


def events(earlier: Cells, later: Cells) -> list[Event]:
    return transition(labels(earlier), labels(later), len(earlier), len(earlier[0]))


def test_clusters_that_were_only_numbered_anew_survive_and_keep_their_ids() -> None:
    assert events([[0, 50], [30, 0]], [[0, 40], [40, 0]]) == [
        Event("survived", (1,), (0,), (1.0,), (1, 0)),
        Event("survived", (0,), (1,), (1.0,), (0, 1)),
    ]


def test_of_a_split_the_largest_part_keeps_the_id() -> None:
    found = events([[40, 60, 0], [0, 0, 100]], [[30, 70, 0], [0, 0, 100]])
    assert found == [
        Event("split", (0,), (0, 1), (0.4, 0.6), (0, 1)),
        Event("survived", (1,), (2,), (1.0,), (1, 2)),
    ]


def test_of_a_merger_the_largest_contributors_id_lives_on() -> None:
    assert events([[40], [60]], [[45], [55]]) == [Event("merged", (0, 1), (0,), (1.0, 1.0), (1, 0))]


def test_a_cluster_where_no_record_was_appears_though_the_model_before_gave_its_records_to_another() -> None:
    assert events([[100, 0]], [[80, 70]]) == [
        Event("survived", (0,), (0,), (1.0,), (0, 0)),
        Event("appeared", after=(1,)),
    ]


def test_a_cluster_without_later_records_disappears_though_its_neighbour_is_given_its_earlier_ones() -> None:
    assert events([[80], [70]], [[100], [0]]) == [
        Event("survived", (0,), (0,), (1.0,), (0, 0)),
        Event("disappeared", (1,)),
    ]


@pytest.mark.parametrize(("share", "name"), [(50, "survived"), (49, "disappeared")])
def test_a_cluster_survives_if_half_of_it_does(share: int, name: str) -> None:
    """The rest of it is scattered over others, to each less than a part."""
    crumbs = [9] * 5 + [55 - share]
    others = [[0, *(100 * (x == y) for y in range(6))] for x in range(6)]
    cells = [[share, *crumbs], *others]
    assert [event.event for event in events(cells, cells) if event.before == (0,)] == [name]


@pytest.mark.parametrize(("leak", "name"), [(9, "survived"), (10, "split")])
def test_a_part_is_a_tenth_of_the_cluster_or_more(leak: int, name: str) -> None:
    found = events([[100 - leak, leak], [0, 100]], [[100 - leak, leak], [0, 100]])
    assert name in [event.event for event in found if event.before == (0,)]


def test_each_cluster_passes_its_id_on_once_at_most_and_gets_one_at_most() -> None:
    """A part of a split is also the match of another cluster: who shares most with it is the same one."""
    found = events([[50, 50], [0, 100]], [[50, 50], [0, 100]])
    assert found == [
        Event("split", (0,), (0, 1), (0.5, 0.5), (0, 0)),
        Event("survived", (1,), (1,), (1.0,), (1, 1)),
    ]


def test_windows_of_very_different_sizes_weigh_the_same() -> None:
    assert events([[7, 3]], [[40_000, 60_000]])[0].keeps == (0, 0)


@pytest.mark.parametrize("seed", range(20))
def test_every_cluster_has_its_part_in_the_events(seed: int) -> None:
    draw = np.random.default_rng(seed)
    before, after = draw.integers(1, 7, 2).tolist()
    cells = [draw.integers(0, 3, (before, after)) * draw.integers(0, 40, (before, after)) for _ in range(2)]
    found = events(*(matrix.tolist() for matrix in cells))
    fates = [x for event in found for x in event.before]
    assert sorted(fates) == list(range(before)), "each has one fate"
    assert {y for event in found for y in event.after} == set(range(after))
    kept = [event.keeps for event in found if event.keeps]
    assert len({x for x, _ in kept}) == len({y for _, y in kept}) == len(kept)


def test_windows_without_records_have_nothing_in_common() -> None:
    assert [event.event for event in events([[0]], [[0]])] == ["appeared", "disappeared"]
