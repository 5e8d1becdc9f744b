"""The lake: real Delta tables, written by many at once, read at any version."""

import resource
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path

import polars as pl
import pytest
from deltalake import DeltaTable, write_deltalake

from resources.errors import LakeError
from resources.lake import STORE_ERRORS, Lake
from resources.tables import TABLES
from resources.windows import Window
from tests.resources.conftest import FIRST, NOW, landed_rows, ledger_row, window_row


def rows_of(lake: Lake, name: str, window: Window, version: int | None = None) -> pl.DataFrame:
    return lake.read_window(name, window, version).collect()


def stats(window: Window, counts: list[int], digest: str = "d1") -> pl.DataFrame:
    """Rows of ``cluster_stats``, one per count."""
    rows = [
        {"date": window.date, "window": window.key, "digest": digest, "cluster": number, "count": count}
        for number, count in enumerate(counts)
    ]
    return pl.DataFrame(rows, schema=dict(TABLES["cluster_stats"].schema))


def counts_of(lake: Lake, window: Window, version: int | None = None) -> list[int]:
    return sorted(rows_of(lake, "cluster_stats", window, version)["count"].to_list())


def at_once(count: int, work: Callable[[int], object]) -> list[object]:
    """Run ``work(0..count-1)``, all released at one instant, each in a thread of its own."""
    gate = threading.Barrier(count)

    def one(number: int) -> object:
        gate.wait(20)
        return work(number)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(one, range(count)))


# ---- creation ----


def test_a_lake_is_created_with_every_table_and_again_without_harm(lake: Lake) -> None:
    lake.append("records", landed_rows(FIRST, 1, [(0, 0)]))
    lake.create(NOW, timedelta(hours=24))
    assert lake.exists
    for name, table in TABLES.items():
        stored = lake.table(name)
        assert {field.name for field in stored.schema().fields} == set(table.schema)
        assert stored.metadata().partition_columns == table.partition_by
    assert lake.read("records").height == 1


def test_many_may_create_the_lake_at_once(tmp_path: Path) -> None:
    def work(number: int) -> None:
        lake = Lake(str(tmp_path / "lake"))
        lake.create(NOW, timedelta(hours=24))
        lake.append("records", landed_rows(FIRST, number, [(0, number)]))

    at_once(4, work)
    lake = Lake(str(tmp_path / "lake"))
    assert all(lake.table(name) for name in TABLES)
    assert lake.floor() == datetime(2026, 11, 22, tzinfo=UTC)
    assert sorted(lake.read("records")["intake"].to_list()) == [0, 1, 2, 3]


def test_the_floor_is_a_midnight_at_least_the_lateness_and_a_day_back(tmp_path: Path) -> None:
    for hours, day in ((1, 22), (12, 22), (13, 21), (24, 21), (72, 19)):
        lake = Lake(str(tmp_path / f"lake-{hours}"))
        lake.create(datetime(2026, 11, 23, 12, 30, tzinfo=UTC), timedelta(hours=hours))
        assert lake.floor() == datetime(2026, 11, day, tzinfo=UTC)


def test_the_floor_is_fixed_by_the_first_creation(lake: Lake) -> None:
    floor = lake.floor()
    later = Lake(lake.uri)
    later.create(NOW + timedelta(days=9), timedelta(hours=1))
    assert later.floor() == lake.floor() == floor == datetime(2026, 11, 22, tzinfo=UTC)


def test_a_raised_floor_is_seen_at_once_by_all_and_does_not_fall(lake: Lake) -> None:
    reader, day = Lake(lake.uri), date(2026, 11, 23)
    assert reader.floor() == datetime(2026, 11, 22, tzinfo=UTC)
    reader.replace_window("windows", FIRST, window_row(FIRST))
    lake.raise_floor(day)
    assert reader.floor() == datetime(2026, 11, 23, tzinfo=UTC)
    reader.raise_floor(date(2026, 11, 20))
    assert lake.floor() == datetime(2026, 11, 23, tzinfo=UTC)
    assert reader.read("windows").height == 1


def test_windows_are_replaced_while_the_floor_moves(lake: Lake) -> None:
    def work(number: int) -> None:
        if number:
            window = FIRST.step(number)
            Lake(lake.uri).replace_window("windows", window, window_row(window))
        else:
            Lake(lake.uri).raise_floor(date(2026, 11, 23))

    at_once(6, work)
    assert lake.floor() == datetime(2026, 11, 23, tzinfo=UTC)
    assert lake.read("windows").height == 5


def test_a_lake_that_is_not_there_says_so(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path / "nothing"))
    assert not lake.exists
    with pytest.raises(
        LakeError, match="has no table windows: `silt up` creates it; or correct SILT_LAKE_URI"
    ):
        lake.floor()


def test_a_place_that_cannot_be_written_says_so_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LakeError, match=r"cannot be written: .* Set SILT_LAKE_URI or SILT_HOME") as caught:
        Lake(str(tmp_path / "file" / "lake")).create(NOW, timedelta(hours=24))
    assert "\n" not in str(caught.value)


# ---- insert once ----


def insert(uri: str, rows: list[pl.DataFrame], number: int) -> bool:
    return Lake(uri).insert_once("ledger", "number", rows[number])


def test_of_many_writers_of_one_number_exactly_one_wins_and_no_row_is_overwritten(lake: Lake) -> None:
    for number in (1, 2, 3):
        rows = [ledger_row(number, f"a{n}") for n in range(6)]
        won = at_once(6, partial(insert, lake.uri, rows))
        standing = lake.read("ledger").filter(pl.col("number") == number)["attempt"].to_list()
        assert len(standing) == 1
        assert [f"a{n}" for n, inserted in enumerate(won) if inserted] in ([], standing)
        assert not Lake(lake.uri).insert_once("ledger", "number", ledger_row(number, "too late"))
        assert lake.read("ledger").filter(pl.col("number") == number)["attempt"].to_list() == standing


def test_of_many_threads_that_share_a_lake_one_enters_a_number(lake: Lake) -> None:
    rows = [ledger_row(1, f"a{n}") for n in range(6)]
    won = at_once(6, lambda n: lake.insert_once("ledger", "number", rows[n]))
    assert won.count(True) == 1
    assert lake.read("ledger")["attempt"].to_list() == [f"a{won.index(True)}"]


def test_an_inserted_row_is_read_back_as_it_was(lake: Lake) -> None:
    row = ledger_row(
        1,
        spans=[{"partition": 0, "start": 1, "end": 9, "missing": 2, "watermark": NOW}],
        landed=[{"window": FIRST.key, "records": 3, "too_late": 1}],
        refused=[{"window": None, "reason": "null-value", "count": 2}],
    )
    assert lake.insert_once("ledger", "number", row)
    assert lake.read("ledger").equals(row)


# ---- appending ----


def test_rows_appended_by_many_at_once_with_columns_of_their_own_are_all_there(lake: Lake) -> None:
    def append(number: int) -> None:
        for offset in range(4):
            rows = landed_rows(FIRST, number, [(number, offset)])
            own = pl.lit(1.0).alias(f"field_{number}")
            Lake(lake.uri).append("records", rows.with_columns(own, city=pl.lit("Łódź")))

    at_once(5, append)
    found = lake.read("records")
    assert found.height == 20
    assert found["city"].to_list() == ["Łódź"] * 20
    assert [found[f"field_{number}"].count() for number in range(5)] == [4] * 5


def test_appended_rows_of_several_days_lie_each_in_its_own(lake: Lake) -> None:
    other = FIRST.step(300)
    lake.append("records", pl.concat([landed_rows(window, 1, [(0, 1)]) for window in (FIRST, other)]))
    for window in (FIRST, other):
        assert len(lake.window_files("records", window).files) == 1
        assert rows_of(lake, "records", window)["window"].to_list() == [window.key]


def test_a_disk_that_takes_no_more_is_a_failure_of_the_store_and_leaves_nothing(lake: Lake) -> None:
    lake.append("records", landed_rows(FIRST, 1, [(0, 1)]))
    before = sorted(Path(lake.uri, "records").rglob("*"))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, hard))
    try:
        with pytest.raises(STORE_ERRORS, match="File too large"):
            lake.append("records", landed_rows(FIRST, 2, [(0, offset) for offset in range(50_000)]))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert sorted(Path(lake.uri, "records").rglob("*")) == before
    assert lake.read("records").height == 1


# ---- replacing ----


def replace(uri: str, windows: list[Window], answers: list[pl.DataFrame], number: int) -> int:
    return Lake(uri).replace_window("cluster_stats", windows[number], answers[number])


def test_windows_replaced_by_many_at_once_lose_nothing(lake: Lake) -> None:
    windows = [FIRST.step(count) for count in range(8)]
    for turn in (1, 2):
        answers = [stats(window, [n, 100 * turn + n]) for n, window in enumerate(windows)]
        at_once(8, partial(replace, lake.uri, windows, answers))
    for number, window in enumerate(windows):
        assert counts_of(lake, window) == [number, 200 + number]
    assert lake.read("cluster_stats").height == 16


def test_one_window_replaced_by_many_at_once_ends_with_one_whole_answer(lake: Lake) -> None:
    at_once(
        5, lambda n: Lake(lake.uri).replace_window("cluster_stats", FIRST, stats(FIRST, [10 * n, 10 * n + 1]))
    )
    first, second = counts_of(lake, FIRST)
    assert first % 10 == 0
    assert second == first + 1


def test_a_reader_never_sees_half_of_a_replacement(lake: Lake) -> None:
    lake.replace_window("cluster_stats", FIRST, stats(FIRST, [0, 0, 0]))
    done = threading.Event()
    seen: list[list[int]] = []

    def read() -> None:
        while not done.is_set():
            seen.append(counts_of(lake, FIRST))

    reader = threading.Thread(target=read)
    reader.start()
    for count in range(1, 15):
        Lake(lake.uri).replace_window("cluster_stats", FIRST, stats(FIRST, [count] * 3))
    done.set()
    reader.join()
    assert len({tuple(counts) for counts in seen}) > 2, "the reader never met a writer"
    assert all(len(counts) == 3 and len(set(counts)) == 1 for counts in seen)


def test_replacing_touches_no_other_window_of_the_day_or_of_another_day(lake: Lake) -> None:
    others = [FIRST.step(-1), FIRST.step(1), FIRST.step(-288), FIRST.step(288)]
    for window in [*others, FIRST]:
        lake.replace_window("cluster_stats", window, stats(window, [1]))
    lake.replace_window("cluster_stats", FIRST, stats(FIRST, [7, 8]))
    assert counts_of(lake, FIRST) == [7, 8]
    assert [counts_of(lake, window) for window in others] == [[1]] * 4


def test_columns_of_a_table_are_read_again_once_anybody_has_changed_it(lake: Lake) -> None:
    lake.replace_window("cluster_stats", FIRST, stats(FIRST, [1]))
    found = lake.read("cluster_stats", ["count"])
    assert lake.read("cluster_stats", ["count"]) is found
    assert lake.read("cluster_stats", ["cluster"]).columns == ["cluster"]
    Lake(lake.uri).replace_window("cluster_stats", FIRST, stats(FIRST, [2]))
    assert lake.read("cluster_stats", ["count"])["count"].to_list() == [2]


def test_replacing_with_no_rows_empties_the_window_alone(lake: Lake) -> None:
    for window in (FIRST, FIRST.step(1)):
        lake.replace_window("cluster_stats", window, stats(window, [1, 2]))
    lake.replace_window("cluster_stats", FIRST, stats(FIRST, []))
    assert counts_of(lake, FIRST) == []
    assert counts_of(lake, FIRST.step(1)) == [1, 2]


def test_replacing_by_digest_leaves_the_rows_of_another_digest(lake: Lake) -> None:
    lake.replace_window("cluster_stats", FIRST, stats(FIRST, [1], "old"))
    lake.replace_window("cluster_stats", FIRST, stats(FIRST, [2], "new"), digest="new")
    assert counts_of(lake, FIRST) == [1, 2]
    lake.replace_window("cluster_stats", FIRST, stats(FIRST, [3], "new"), digest="new")
    assert counts_of(lake, FIRST) == [1, 3]


def test_rows_of_another_window_are_refused(lake: Lake) -> None:
    with pytest.raises(Exception, match=r"(?i)predicate|check|constraint|invariant"):
        lake.replace_window("cluster_stats", FIRST, stats(FIRST.step(1), [1]))
    assert lake.read("cluster_stats").is_empty()


def test_an_older_version_is_still_readable(lake: Lake) -> None:
    first = lake.replace_window("cluster_stats", FIRST, stats(FIRST, [1]))
    second = lake.replace_window("cluster_stats", FIRST, stats(FIRST, [2, 3]))
    third = lake.replace_window("cluster_stats", FIRST, stats(FIRST, []))
    assert first < second < third
    assert [counts_of(lake, FIRST, version) for version in (first, second, third)] == [[1], [2, 3], []]


def test_the_version_returned_is_the_one_that_holds_the_rows_whoever_else_writes(lake: Lake) -> None:
    windows = [FIRST.step(count) for count in range(6)]
    versions = at_once(
        6, lambda n: Lake(lake.uri).replace_window("cluster_stats", windows[n], stats(windows[n], [n]))
    )
    assert len(set(versions)) == 6
    for number, version in enumerate(versions):
        assert isinstance(version, int)
        assert counts_of(lake, windows[number], version) == [number]


# ---- appending and reading ----


def test_appends_of_many_at_once_all_stay(lake: Lake) -> None:
    at_once(6, lambda n: Lake(lake.uri).append("records", landed_rows(FIRST, n, [(n, 1), (n, 2)])))
    assert lake.read("records").height == 12
    assert rows_of(lake, "records", FIRST).height == 12


def test_appending_no_rows_makes_no_version(lake: Lake) -> None:
    lake.append("records", landed_rows(FIRST, 1, []))
    assert lake.table("records").version() == 0


def test_columns_that_the_table_does_not_know_are_added(lake: Lake) -> None:
    lake.append("records", landed_rows(FIRST, 1, [(0, 0)]))
    lake.append("records", landed_rows(FIRST, 2, [(0, 1)]).with_columns(city=pl.lit("Łódź")))
    found = lake.read("records").sort("kafka_offset")
    assert found["city"].to_list() == [None, "Łódź"]
    assert rows_of(lake, "records", FIRST).height == 2


def test_a_window_is_read_alone_from_whatever_files_hold_it(lake: Lake) -> None:
    neighbours = [FIRST.step(count) for count in (-1, 0, 1)]
    for number in (1, 2):
        lake.append("records", pl.concat(landed_rows(w, number, [(0, number)]) for w in neighbours))
    lake.append("records", landed_rows(FIRST.step(50), 3, [(0, 3)]))
    found = rows_of(lake, "records", FIRST)
    assert set(found["window"]) == {FIRST.key}
    assert sorted(found["intake"].to_list()) == [1, 2]
    assert len(lake.window_files("records", FIRST).files) == 2


def test_files_and_version_belong_together_while_others_write(lake: Lake) -> None:
    done = threading.Event()
    wrong: list[object] = []
    seen: set[int] = set()

    def read() -> None:
        while not done.is_set():
            scan = lake.window_files("records", FIRST)
            seen.add(scan.version)
            if len(scan.files) != scan.version:  # each version adds one file
                wrong.append(scan)

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for number in range(20):
        Lake(lake.uri).append("records", landed_rows(FIRST, number, [(0, number)]))
    done.set()
    for reader in readers:
        reader.join()
    assert len(seen) > 2, "the readers never met the writer"
    assert not wrong


@pytest.mark.parametrize("folder", ["my home", "Zürich", "100%", "a#b", "a,b=c"])
def test_a_lake_is_read_whatever_characters_its_path_has(tmp_path: Path, folder: str) -> None:
    lake = Lake(str(tmp_path / folder))
    lake.create(NOW, timedelta(hours=24))
    lake.append("records", landed_rows(FIRST, 1, [(0, 1)]))
    lake.append("records", landed_rows(FIRST.step(300), 2, [(0, 2)]).with_columns(city=pl.lit("Łódź")))
    assert lake.insert_once("ledger", "number", ledger_row(1))
    found = lake.read("records").sort("kafka_offset")
    assert found["date"].to_list() == [FIRST.date, FIRST.step(300).date]
    assert found["city"].to_list() == [None, "Łódź"]
    assert lake.read("ledger", ["number"])["number"].to_list() == [1]
    assert rows_of(lake, "records", FIRST).height == 1


def test_an_unknown_window_has_no_rows_and_all_columns(lake: Lake) -> None:
    found = rows_of(lake, "clustering_results", FIRST)
    assert found.is_empty()
    assert {"window", "record_id", "cluster"} <= set(found.columns)


def test_compaction_changes_no_answer(lake: Lake) -> None:
    for number in range(1, 6):
        lake.append("records", landed_rows(FIRST, number, [(0, number)]))
    before = rows_of(lake, "records", FIRST).sort("kafka_offset")
    DeltaTable(f"{lake.uri}/records").optimize.compact()
    assert len(lake.window_files("records", FIRST).files) == 1
    assert rows_of(lake, "records", FIRST).sort("kafka_offset").equals(before)


def test_an_open_lake_sees_what_others_write_at_once(lake: Lake) -> None:
    assert lake.read("windows").is_empty()
    Lake(lake.uri).replace_window("windows", FIRST, window_row(FIRST))
    assert lake.read("windows", ["window"])["window"].to_list() == [FIRST.key]


def test_results_are_in_small_row_groups_and_with_page_statistics_once_they_are_rewritten(lake: Lake) -> None:
    rows = pl.DataFrame(
        [{"date": FIRST.date, "window": FIRST.key, "record_id": f"id-{number}"} for number in range(40_000)],
        schema=dict(TABLES["clustering_results"].schema),
    )
    lake.replace_window("clustering_results", FIRST, rows)
    (appended,) = lake.window_files("clustering_results", FIRST).files
    assert pytest.importorskip("pyarrow.parquet").ParquetFile(appended).num_row_groups == 3
    lake.replace_window("clustering_results", FIRST, rows)
    metadata = pytest.importorskip("pyarrow.parquet").ParquetFile(
        lake.window_files("clustering_results", FIRST).files[0]
    )
    assert metadata.num_row_groups == 3
    group = metadata.metadata.row_group(0)
    column = next(
        group.column(n) for n in range(group.num_columns) if group.column(n).path_in_schema == "record_id"
    )
    assert column.compression == "ZSTD"
    assert column.has_column_index
    assert "RLE_DICTIONARY" not in column.encodings


@pytest.mark.parametrize("name", ["ledger", "windows"])
def test_a_lake_of_an_older_silt_is_one_clear_error(tmp_path: Path, name: str) -> None:
    uri = str(tmp_path / "lake")
    write_deltalake(f"{uri}/{name}", pl.DataFrame({"number": [1], "attempt": ["a"]}))
    with pytest.raises(LakeError, match=f"older Silt, whose table {name}"):
        Lake(uri).create(NOW, timedelta(hours=24))
