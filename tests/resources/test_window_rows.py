"""What a run keeps in memory of its window is what it would read from the lake."""

import random
from collections.abc import Sequence
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from resources.batch import select
from resources.contract import Contract
from resources.intake_rows import Intake
from resources.intakes import Intakes
from resources.lake import Lake
from resources.window_rows import WindowRows
from tests.resources.conftest import FIRST, GRID, NOW, contract_with, intake, landed_rows

PLENTY = 1 << 30


@pytest.fixture
def contract(tmp_path: Path) -> Contract:
    return contract_with(tmp_path)


def landing(draw: random.Random, number: int, ids: Sequence[str]) -> pl.DataFrame:
    """Rows of the first window, and of the next one, as an intake lands them."""
    places = [(draw.randrange(2), number * 100 + place) for place in range(len(ids))]
    seconds = [draw.choice((1.0, 2.0, 3.0)) for _ in ids]
    mine = landed_rows(FIRST, number, places, ids, seconds)
    other = landed_rows(FIRST.step(1), number, [(0, number * 100 + 99)])
    late = landed_rows(FIRST, number, [(0, number * 100 + 98)], ["late"], too_late=True)
    fields = [
        pl.col("record_id").alias("id"),
        pl.Series("shop", [draw.choice(("north", "south", None)) for _ in range(len(ids) + 2)], pl.String),
        pl.Series("price", [draw.choice((1.5, 2.5, None)) for _ in range(len(ids) + 2)], pl.Float64),
    ]
    return pl.concat([mine, other, late]).with_columns(fields).sort("window", "record_id")


def named(number: int, count: int) -> Intake:
    return intake(number, NOW, {FIRST.key: count, FIRST.step(1).key: 1})


def shown(rows: tuple[pl.DataFrame, pl.Series]) -> pl.DataFrame:
    return rows[0].with_columns(pl.col("shop").cast(pl.String))


@pytest.mark.parametrize("seed", range(20))
def test_what_a_run_kept_is_what_the_lake_has_whoever_landed_it(
    lake: Lake, contract: Contract, seed: int
) -> None:
    draw = random.Random(seed)
    kept, intakes = WindowRows(lake, contract, PLENTY), []
    kept.keep(FIRST)
    for number in range(1, 6):
        ids = [f"id-{draw.randrange(12)}" for _ in range(draw.randrange(8))]
        rows = landing(draw, number, ids)
        lake.append("records", rows)
        intakes.append(named(number, len(ids)))
        if draw.random() < 0.7:  # else another taker's
            kept.land(intakes[-1], rows)
        if draw.random() < 0.5:
            so_far = kept.so_far(FIRST, Intakes.of(intakes))
            expected = WindowRows(lake, contract, 0).selection(FIRST, Intakes.of(intakes), number)
            assert so_far or expected[0].is_empty()
            if so_far:
                assert_frame_equal(shown(so_far), shown(expected))
    everything = Intakes.of(intakes)
    expected = WindowRows(lake, contract, 0).selection(FIRST, everything, 5)
    found = kept.selection(FIRST, everything, 5)
    assert_frame_equal(shown(found), shown(expected))
    assert sorted(found[1]) == sorted(expected[1])
    again = select(lake, contract, GRID, FIRST, everything)
    assert found[0].height == again.records
    assert found[1].len() - found[0].height == again.duplicates


def test_a_record_that_was_erased_meanwhile_is_not_selected(lake: Lake, contract: Contract) -> None:
    draw = random.Random(1)
    rows = landing(draw, 1, ["person", "other"])
    lake.append("records", rows)
    kept, intakes = WindowRows(lake, contract, PLENTY), Intakes.of([named(1, 2)])
    kept.keep(FIRST)
    kept.land(named(1, 2), rows)
    assert kept.so_far(FIRST, intakes)
    lake.mark_erasure()
    lake.commit("records", lambda t: t.update({"record_id": "NULL"}, predicate="record_id = 'person'"))
    assert kept.selection(FIRST, intakes, 1)[0]["record_id"].to_list() == ["other"]


def test_what_was_selected_so_far_is_not_selected_again(lake: Lake, contract: Contract) -> None:
    rows = landing(random.Random(3), 1, ["one", "two"])
    lake.append("records", rows)
    kept, intakes = WindowRows(lake, contract, PLENTY), Intakes.of([named(1, 2)])
    kept.keep(FIRST)
    kept.land(named(1, 2), rows)
    so_far = kept.so_far(FIRST, intakes)
    assert kept.selection(FIRST, intakes, 1) is so_far


def test_a_window_that_outgrows_the_memory_is_read_from_the_lake(lake: Lake, contract: Contract) -> None:
    draw = random.Random(2)
    kept = WindowRows(lake, contract, 600)  # five records
    kept.keep(FIRST)
    for number in (1, 2):
        rows = landing(draw, number, [f"{number}-{place}" for place in range(3)])
        lake.append("records", rows)
        kept.land(named(number, 3), rows)
        assert kept._kept.height == (3 if number == 1 else 0)
    found, _ = kept.selection(FIRST, Intakes.of([named(1, 3), named(2, 3)]), 2)
    assert found.height == 6
    kept.hold("digest", found)
    assert kept.held("digest") is None


@pytest.mark.parametrize("seed", range(5))
def test_the_parts_of_a_window_that_does_not_fit_are_the_whole_of_it(
    lake: Lake, contract: Contract, seed: int
) -> None:
    draw, intakes = random.Random(seed), []
    for number in range(1, 4):
        ids = [f"id-{draw.randrange(20)}" for _ in range(12)]
        lake.append("records", landing(draw, number, ids))
        intakes.append(named(number, len(ids)))
    everything = Intakes.of(intakes)
    few = WindowRows(lake, contract, 1_200)  # ten records
    parts = list(few.selections(FIRST, everything, 3))
    assert len(parts) == 4
    ((whole, landed_by),) = WindowRows(lake, contract).selections(FIRST, everything, 3)
    together = pl.concat([rows for rows, _ in parts]).sort("record_id")
    assert_frame_equal(together, whole.select(together.columns))
    assert sorted(pl.concat([landed for _, landed in parts])) == sorted(landed_by)
    expected = select(lake, contract, GRID, FIRST, everything)
    assert select(lake, contract, GRID, FIRST, everything, rows=few) == expected
    assert few.held(expected.digest) is None
