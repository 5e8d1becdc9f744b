"""Compaction and merging: few files, the same rows, whoever writes and reads meanwhile."""

import contextlib
import os
import threading
import time
import uuid
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from deltalake import DeltaTable, QueryBuilder
from deltalake.exceptions import CommitFailedError

from resources.lake import Lake
from resources.tables import TABLES
from resources.upkeep.days import (
    SMALL_FILES,
    STEPS,
    _merged,
    compact_running,
    days,
    is_merged,
    merge_past,
    running_from,
)
from resources.upkeep.report import Report
from resources.windows import Window
from tests.resources.conftest import FIRST, NOW, landed_rows, ledger_row, window_row

DAY = FIRST.date
NEXT_DAY = DAY + timedelta(days=1)


def results(window: Window, ids: list[str], digest: str = "d1") -> pl.DataFrame:
    """Rows of ``clustering_results``, sorted by id as the asset writes them."""
    rows = pl.DataFrame({"record_id": sorted(ids)}).with_columns(
        date=pl.lit(window.date), window=pl.lit(window.key), digest=pl.lit(digest), features=pl.lit("{}")
    )
    schema = dict(TABLES["clustering_results"].schema)
    return rows.select(
        (pl.col(name) if name in rows.columns else pl.lit(None)).cast(kind).alias(name)
        for name, kind in schema.items()
    )


def random_ids(count: int) -> list[str]:
    return [uuid.uuid4().hex for _ in range(count)]


def file_count(lake: Lake, name: str) -> int:
    return len(lake.table(name).file_uris())


def paths(lake: Lake, name: str) -> set[str]:
    return set(lake.table(name).file_uris())


def compact(lake: Lake, seconds: float = 300) -> Report:
    report = Report(lake, seconds)
    compact_running(lake, DAY, report)
    return report


def merge(lake: Lake) -> Report:
    report = Report(lake)
    merge_past(lake, NEXT_DAY, report)
    return report


# ---- compaction of the running day ----


def test_small_files_of_every_table_become_few_and_no_row_changes(lake: Lake) -> None:
    for number in range(1, 31):
        window = FIRST.step(number)
        lake.append("records", landed_rows(window, number, [(0, number)]))
        lake.replace_window("windows", window, window_row(window))
        lake.replace_window("clustering_results", window, results(window, [f"id-{number}"]))
        assert lake.insert_once("ledger", "number", ledger_row(number))
    tables = {"records": "kafka_offset", "windows": "window", "ledger": "number"}
    before = {name: lake.read(name).sort(key) for name, key in tables.items()}
    report = compact(lake)
    for name, key in tables.items():
        assert report.changes[name].files_before == 30
        assert file_count(lake, name) == report.changes[name].files_after <= SMALL_FILES
        assert lake.read(name).sort(key).equals(before[name])
    assert file_count(lake, "clustering_results") <= SMALL_FILES
    assert report.left == []


def test_few_files_are_left_alone(lake: Lake) -> None:
    for number in range(SMALL_FILES):
        lake.append("records", landed_rows(FIRST, number, [(0, number)]))
    version = lake.table("records").version()
    assert not compact(lake).changes
    assert lake.table("records").version() == version


def test_what_is_big_enough_is_not_rewritten(lake: Lake) -> None:
    big = pl.DataFrame(
        [{"date": DAY, "window": FIRST.key, "intake": 1, "value": os.urandom(STEPS[-1] + 1)}],
        schema=dict(TABLES["dead_letters"].schema),
    )
    lake.append("dead_letters", big)
    (kept,) = paths(lake, "dead_letters")
    for _ in range(SMALL_FILES + 1):
        lake.append("dead_letters", big.with_columns(value=pl.lit(b"small")))
    report = compact(lake)
    assert report.changes["dead_letters"].rewritten == SMALL_FILES + 1
    assert kept in paths(lake, "dead_letters")
    assert file_count(lake, "dead_letters") == 2


def test_a_day_of_intakes_is_written_a_handful_of_times(lake: Lake) -> None:
    """Compaction after every tenth intake: the bytes written in all stay a small multiple of the rows'."""
    written = 0
    for number in range(1, 121):
        value = os.urandom(30_000)
        row = {"date": DAY, "window": FIRST.key, "intake": number, "value": value}
        lake.append("dead_letters", pl.DataFrame([row], schema=dict(TABLES["dead_letters"].schema)))
        if number % 10 == 0:
            before = paths(lake, "dead_letters")
            compact(lake)
            written += sum(Path(new).stat().st_size for new in paths(lake, "dead_letters") - before)
    assert file_count(lake, "dead_letters") <= 2 * SMALL_FILES
    assert written < 8 * 120 * 30_000


def test_other_days_are_not_compacted(lake: Lake) -> None:
    past = FIRST.step(-288)
    for number in range(2 * SMALL_FILES):
        lake.append("records", landed_rows(past, number, [(0, number)]))
    assert not compact(lake).changes


def test_without_time_all_is_left_and_said(lake: Lake) -> None:
    for number in range(2 * SMALL_FILES):
        lake.append("records", landed_rows(FIRST, number, [(0, number)]))
    assert compact(lake, seconds=0).left == [f"records, day {DAY}: no time, the next run goes on"] * len(
        STEPS
    )
    assert file_count(lake, "records") == 2 * SMALL_FILES


def test_a_table_that_others_are_busy_with_is_left_and_said(lake: Lake) -> None:
    lake.replace_window("windows", FIRST, window_row(FIRST))
    lake.replace_window("windows", FIRST.step(1), window_row(FIRST.step(1)))
    met = []

    def late(table: DeltaTable) -> dict[str, Any]:  # another writer is first, each time
        met.append(Lake(lake.uri).replace_window("windows", FIRST, window_row(FIRST)))
        return table.optimize.compact()

    report = Report(lake)
    assert report.commit("windows", "its files", late) == {}
    assert len(met) > 3
    assert report.left == ["windows, its files: busy, the next run tries again"]
    assert report.changes["windows"].files_after == 2


def in_threads(done: threading.Event, *works: Callable[[], None]) -> list[threading.Thread]:
    """Each work again and again, until ``done``; what they raise fails the test."""

    def repeat(work: Callable[[], None]) -> None:
        while not done.is_set():
            work()

    threads = [threading.Thread(target=repeat, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    return threads


@pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning")
def test_compaction_under_live_writers_and_readers_loses_and_doubles_nothing(lake: Lake) -> None:
    done = threading.Event()
    numbers, turns, landed = [0], [0], [0]
    wrong: list[object] = []
    windows = [FIRST.step(count) for count in range(3)]
    writer, taker, lander = (Lake(lake.uri) for _ in range(3))

    def replace() -> None:  # a window's three rows carry the same digest, always
        turns[0] += 1
        window = windows[turns[0] % 3]
        writer.replace_window("clustering_results", window, results(window, ["a", "b", "c"], f"{turns[0]}"))

    def take() -> None:  # as the ledger's protocol does: again until the row stands there
        row = ledger_row(numbers[0] + 1)
        while not taker.insert_once("ledger", "number", row):
            if numbers[0] + 1 in taker.read("ledger", ["number"])["number"]:
                break
        numbers[0] += 1

    def land() -> None:
        lander.append("records", landed_rows(FIRST, landed[0], [(0, landed[0])]))
        landed[0] += 1

    def read() -> None:
        ledger = lake.read("ledger", ["number"])["number"].sort().to_list()
        if ledger != list(range(1, len(ledger) + 1)):
            wrong.append(ledger)
        for window in windows:
            rows = lake.read_window("clustering_results", window).collect()
            if rows.height not in (0, 3) or rows["digest"].n_unique() > 1:
                wrong.append(rows)

    threads = in_threads(done, replace, take, land, read)
    keeper, rewritten = Lake(lake.uri), dict.fromkeys(("records", "ledger"), 0)
    while not (min(rewritten.values()) >= 3 * SMALL_FILES and turns[0] > 60):
        for name, change in compact(keeper).changes.items():
            rewritten[name] = rewritten.get(name, 0) + change.rewritten
    done.set()
    for thread in threads:
        thread.join()
    assert not wrong
    assert lake.read("ledger")["number"].sort().to_list() == list(range(1, numbers[0] + 1))
    assert lake.read("records")["kafka_offset"].sort().to_list() == list(range(landed[0]))
    assert lake.read("clustering_results").height == 9


# ---- days past the lateness ----


def test_a_day_runs_until_it_is_past_the_lateness_and_an_hour() -> None:
    lateness = timedelta(hours=24)
    midnight = NOW.replace(hour=0)
    assert running_from(midnight + timedelta(minutes=59), lateness) == (midnight - timedelta(days=2)).date()
    assert running_from(midnight + timedelta(hours=1), lateness) == (midnight - timedelta(days=1)).date()


def merged_day(lake: Lake) -> list[Window]:
    """Three windows of 9,000 results each, and their records, merged."""
    windows = [FIRST.step(count) for count in range(3)]
    for number, window in enumerate(windows):
        lake.replace_window("clustering_results", window, results(window, random_ids(9_000)))
        places = [(0, 9_000 * number + offset) for offset in range(9_000)]
        lake.append("records", landed_rows(window, number, places))
        lake.append("records", landed_rows(windows[0], number, [(1, number)]))
    merge(lake)
    return windows


def test_a_past_day_becomes_one_file_sorted_by_id_and_records_by_window(lake: Lake) -> None:
    windows = merged_day(lake)
    (file,) = paths(lake, "clustering_results")
    assert pl.read_parquet(file)["record_id"].is_sorted()
    assert pl.read_parquet(file).height == 27_000
    (file,) = paths(lake, "records")
    assert pl.read_parquet(file)["window"].is_sorted()
    for window in windows:
        assert lake.read_window("clustering_results", window).collect().height == 9_000
    assert lake.read_window("records", windows[0]).collect().height == 9_003


def test_a_merged_file_keeps_its_row_groups_and_how_ids_are_written(lake: Lake) -> None:
    merged_day(lake)
    parquet = pytest.importorskip("pyarrow.parquet")
    metadata = parquet.ParquetFile(next(iter(paths(lake, "clustering_results")))).metadata
    group = metadata.row_group(0)
    assert group.num_rows == 16_384
    names = [group.column(n).path_in_schema for n in range(group.num_columns)]
    column = group.column(names.index("record_id"))
    assert "RLE_DICTIONARY" not in column.encodings
    assert column.has_column_index


def test_one_id_of_a_merged_day_is_found(lake: Lake) -> None:
    merged_day(lake)
    known = lake.read("clustering_results", ["record_id"])["record_id"][12_345]
    query = QueryBuilder().register("answers", lake.table("clustering_results"))
    rows = query.execute(f"SELECT record_id FROM answers WHERE record_id = '{known}'").read_all()
    assert pl.Series(pl.from_arrow(rows)).len() == 1


def test_a_merged_day_is_not_written_again(lake: Lake) -> None:
    merged_day(lake)
    versions = {name: lake.table(name).version() for name in TABLES}
    assert not merge(lake).changes
    assert {name: lake.table(name).version() for name in TABLES} == versions


def test_a_window_replaced_in_a_merged_day_makes_it_merge_again(lake: Lake) -> None:
    windows = merged_day(lake)
    lake.replace_window("clustering_results", windows[1], results(windows[1], random_ids(9_000), "d2"))
    assert not is_merged(lake, "clustering_results", days(lake, "clustering_results")[DAY])
    merge(lake)
    assert is_merged(lake, "clustering_results", days(lake, "clustering_results")[DAY])
    for window, digest in zip(windows, ("d1", "d2", "d1"), strict=True):
        rows = lake.read_window("clustering_results", window).collect()
        assert rows["digest"].unique().to_list() == [digest]
        assert rows.height == 9_000


def test_the_small_tables_of_a_past_day_become_one_file(lake: Lake) -> None:
    for number in range(3):
        window = FIRST.step(number)
        lake.replace_window("windows", window, window_row(window))
    merge(lake)
    assert file_count(lake, "windows") == 1
    assert lake.read("windows").height == 3


def test_a_running_day_is_not_merged(lake: Lake) -> None:
    for number in range(3):
        lake.append("records", landed_rows(FIRST.step(288), number, [(0, number)]))
    assert not merge(lake).changes


def test_ids_that_begin_alike_are_merged_once(lake: Lake) -> None:
    """Parquet's statistics do not tell them apart: a day shall not be rewritten for ever."""
    for count in range(2):
        window = FIRST.step(count)
        ids = [f"{'same' * 25}{number}{count}" for number in range(12_000)]
        lake.replace_window("clustering_results", window, results(window, ids))
    merge(lake)
    version = lake.table("clustering_results").version()
    merge(lake)
    assert lake.table("clustering_results").version() == version


def test_a_day_too_big_to_sort_at_once_is_in_order_all_the_same(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("resources.upkeep.days.SORTED_AT_ONCE", 1_000)
    merged_day(lake)
    for name in ("clustering_results", "records"):
        assert is_merged(lake, name, days(lake, name)[DAY])
    assert pl.read_parquet(next(iter(paths(lake, "clustering_results"))))["record_id"].is_sorted()


def test_a_record_that_lands_while_its_day_is_merged_stays(lake: Lake) -> None:
    for number in range(3):
        lake.append("records", landed_rows(FIRST, number, [(0, number)]))
    days_files = days(lake, "records")[DAY]
    stale = DeltaTable(f"{lake.uri}/records")
    lake.append("records", landed_rows(FIRST, 3, [(0, 3)]))
    with contextlib.suppress(CommitFailedError):
        _merged("records", DAY, stale)
    assert days_files.height == 3
    assert lake.read("records")["kafka_offset"].sort().to_list() == [0, 1, 2, 3]


def test_a_column_that_came_later_is_kept(lake: Lake) -> None:
    lake.append("records", landed_rows(FIRST, 1, [(0, 1)]))
    lake.append("records", landed_rows(FIRST, 2, [(0, 2)]).with_columns(city=pl.lit("Łódź")))
    merge(lake)
    assert file_count(lake, "records") == 1
    assert lake.read("records").sort("kafka_offset")["city"].to_list() == [None, "Łódź"]


@pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning")
def test_merging_under_late_answers_and_records_loses_and_doubles_nothing(lake: Lake) -> None:
    done = threading.Event()
    turns, landed = [0], [0]
    wrong: list[object] = []
    windows = [FIRST.step(count) for count in range(4)]
    last: dict[str, str] = {}
    writer, lander = Lake(lake.uri), Lake(lake.uri)

    def answer() -> None:
        time.sleep(0.2)  # a run takes seconds, and a merge gives way to it
        turns[0] += 1
        window, digest = windows[turns[0] % 4], f"{turns[0]}"
        writer.replace_window("clustering_results", window, results(window, ["a", "b", "c"], digest))
        last[window.key] = digest

    def land() -> None:
        time.sleep(0.05)
        lander.append("records", landed_rows(windows[landed[0] % 4], landed[0], [(0, landed[0])]))
        landed[0] += 1

    def read() -> None:
        for window in windows:
            rows = lake.read_window("clustering_results", window).collect()
            if rows.height not in (0, 3) or rows["digest"].n_unique() > 1:
                wrong.append(rows)

    threads = in_threads(done, answer, land, read)
    keeper, merged = Lake(lake.uri), {"records": 0, "clustering_results": 0}
    while not (min(merged.values()) >= 2 and turns[0] > 8):
        for name, change in merge(keeper).changes.items():
            merged[name] += change.rewritten > 0
    done.set()
    for thread in threads:
        thread.join()
    assert not wrong
    rows = lake.read("clustering_results")
    assert dict(rows.select("window", "digest").unique().iter_rows()) == last
    assert rows.height == 12
    assert lake.read("records")["kafka_offset"].sort().to_list() == list(range(landed[0]))
