"""Record ids are ordered by numbers made of eight bytes as they would be as texts."""

import random

import polars as pl
import pytest

from resources.id_order import by_id, places_by_id

PIECES = ["", "a", "ab", "\0", "a\0", "é", "ß", "日本", "😀", "order-", *"0123456789"]


@pytest.mark.parametrize("begin", ["", "order-", "é-", "日", "a" * 17])
@pytest.mark.parametrize("seed", range(20))
def test_ids_are_ordered_as_texts_whatever_they_begin_with(begin: str, seed: int) -> None:
    draw = random.Random(f"{begin} {seed}")
    ids = pl.Series(
        [begin + "".join(draw.choices(PIECES, k=draw.randrange(9))) for _ in range(draw.randrange(1, 99))]
    )
    assert ids[places_by_id(ids)].to_list() == ids.sort().to_list()


def test_ids_that_differ_late_alone_are_compared_as_texts() -> None:
    ids = pl.Series([f"{tens:04}{'-' * 40}{ones}" for tens in range(9) for ones in (3, 1, 2)])
    assert ids[places_by_id(ids)].to_list() == ids.sort().to_list()


def test_rows_keep_together() -> None:
    rows = pl.DataFrame({"record_id": ["c", "a", "b", "a"], "place": [0, 1, 2, 3]})
    ordered = by_id(pl.concat([rows[:2], rows[2:]], rechunk=False))
    assert ordered["record_id"].to_list() == ["a", "a", "b", "c"]
    assert sorted(ordered["place"][:2]) == [1, 3]
    assert ordered["place"][2:].to_list() == [2, 0]


@pytest.mark.parametrize("ids", [[], ["one"]])
def test_none_or_one(ids: list[str]) -> None:
    rows = pl.DataFrame({"record_id": ids}, schema={"record_id": pl.String})
    assert by_id(rows).equals(rows)
