"""Rows on shelves come back sorted, however they came and however often a shelf was divided."""

import random

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from resources import shelves
from resources.shelves import Shelves


def rows(ids: list[str], first: int) -> pl.DataFrame:
    frame = pl.DataFrame(
        {"record_id": ids, "place": range(first, first + len(ids))}, schema_overrides={"record_id": pl.String}
    )
    return frame.sort("record_id")


@pytest.mark.parametrize("seed", range(20))
def test_rows_come_back_by_rising_id_and_no_two_frames_share_one(
    monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    monkeypatch.setattr(shelves, "SHELF", 20)
    draw, kept = random.Random(seed), Shelves()
    came: list[pl.DataFrame] = []
    rising = seed % 2  # ids that rise with time all go to the last shelf
    for number in range(draw.randrange(30)):
        of_lot = range(draw.randrange(40))
        ids = [f"{number if rising else draw.randrange(99):03}-{draw.randrange(30)}" for _ in of_lot]
        lot = rows(ids, sum(each.height for each in came))
        came.append(lot)
        kept.add(lot.sample(fraction=1, shuffle=True, seed=number))
    expected = pl.concat([rows([], 0), *came]).sort("record_id", "place")
    assert kept.height == expected.height
    frames = kept.taken()
    found = pl.concat([rows([], 0), *frames])
    assert found["record_id"].is_sorted()
    assert_frame_equal(found.sort("record_id", "place"), expected)
    assert sum(frame["record_id"].n_unique() for frame in frames) == expected["record_id"].n_unique()
    assert (kept.height, kept.taken()) == (0, [])
    if not rising and expected.height > 200:
        assert len(frames) > 1


def test_one_id_alone_cannot_be_divided(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shelves, "SHELF", 5)
    kept = Shelves()
    for first in range(0, 30, 10):
        kept.add(rows(["same"] * 10, first))
    assert [frame.height for frame in kept.taken()] == [30]
