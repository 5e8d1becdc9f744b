"""What upkeep deletes: lost attempts, days before the floor, files that nobody needs; and what it leaves."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from resources.lake import Lake
from resources.new_tables import FILES_KEPT, VERSIONS_KEPT
from resources.tables import TABLES
from resources.upkeep.attempts import remove_lost
from resources.upkeep.days import compact_running, merge_past
from resources.upkeep.report import Report
from resources.upkeep.retention import apply_retention, kept_from
from resources.upkeep.vacuum import needed_versions, vacuum
from resources.windows import Window
from tests.resources.aging import age
from tests.resources.conftest import FIRST, NOW, landed_rows, ledger_row, window_row

DAY = FIRST.date
HOUR = timedelta(hours=1)
ANSWERS = (
    "kafka_batch",
    "models",
    "clustering_results",
    "cluster_stats",
    "cluster_events",
    "cluster_ids",
    "drift",
    "model_reviews",
)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """A lake that is a week old."""
    lake = Lake(str(tmp_path / "lake"))
    lake.create(NOW - timedelta(days=6), timedelta(hours=24))
    return lake


# ---- lost attempts ----


def land(lake: Lake, number: int, attempt: str, window: Window = FIRST) -> None:
    """One record and one dead letter of an attempt."""
    rows = landed_rows(window, number, [(0, number)]).with_columns(attempt=pl.lit(attempt))
    lake.append("records", rows)
    dead = {"date": window.date, "window": window.key, "intake": number, "attempt": attempt}
    lake.append("dead_letters", pl.DataFrame([dead], schema=dict(TABLES["dead_letters"].schema)))


def attempts(lake: Lake, name: str) -> list[str]:
    return lake.read(name)["attempt"].sort().to_list()


def test_rows_of_attempts_that_lost_their_number_are_removed_and_no_others(lake: Lake) -> None:
    for number, attempt in ((1, "won"), (1, "lost"), (2, "won too"), (2, "lost too"), (3, "in progress")):
        land(lake, number, attempt)
    lake.insert_once("ledger", "number", ledger_row(1, "won"))
    lake.insert_once("ledger", "number", ledger_row(2, "won too"))
    report = Report(lake)
    remove_lost(lake, report)
    for name in ("records", "dead_letters"):
        assert attempts(lake, name) == ["in progress", "won", "won too"]
        assert report.changes[name].rows_removed == 2


def test_an_attempt_in_progress_that_wins_stays_for_ever(lake: Lake) -> None:
    land(lake, 1, "mine")
    remove_lost(lake, Report(lake))
    lake.insert_once("ledger", "number", ledger_row(1, "mine"))
    remove_lost(lake, Report(lake))
    assert attempts(lake, "records") == ["mine"]


def test_rows_of_intakes_that_retention_took_from_the_ledger_are_not_taken_for_lost(lake: Lake) -> None:
    land(lake, 1, "old")
    land(lake, 7, "won")
    lake.insert_once("ledger", "number", ledger_row(7, "won"))
    remove_lost(lake, Report(lake))
    assert attempts(lake, "records") == ["old", "won"]


def test_where_nothing_is_lost_nothing_is_written(lake: Lake) -> None:
    land(lake, 1, "won")
    lake.insert_once("ledger", "number", ledger_row(1, "won"))
    version = lake.table("records").version()
    remove_lost(lake, Report(lake))
    assert lake.table("records").version() == version


# ---- retention ----


def test_what_is_kept_is_never_less_than_the_lateness_and_a_day() -> None:
    now = datetime(2026, 11, 24, 12, tzinfo=UTC)
    assert kept_from(now, timedelta(days=30), timedelta(hours=24)) == date(2026, 10, 25)
    assert kept_from(now, timedelta(days=2), timedelta(hours=72)) == date(2026, 11, 20)


def landed(*windows: Window) -> list[dict[str, object]]:
    return [{"window": window.key, "records": 1, "too_late": 0} for window in windows]


def a_week(lake: Lake) -> list[Window]:
    """A window a day with rows in every table, each landed by the intake of its day."""
    windows = [FIRST.step(288 * back) for back in range(-6, 1)]
    for number, window in enumerate(windows, start=1):
        land(lake, number, f"attempt-{number}", window)
        row = ledger_row(number, taken_at=window.end, landed=landed(window))
        assert lake.insert_once("ledger", "number", row)
        answer = {"date": window.date, "window": window.key, "slot": window.slot, "digest": "d1"}
        for name in ANSWERS:
            lake.replace_window(name, window, pl.DataFrame([answer], schema=dict(TABLES[name].schema)))
        lake.replace_window("windows", window, window_row(window))
    return windows


def test_all_tables_lose_the_days_before_the_floor_and_keep_the_others(lake: Lake) -> None:
    windows = a_week(lake)
    report = Report(lake)
    apply_retention(lake, windows[3].date, report)
    assert Lake(lake.uri).floor() == datetime.combine(windows[3].date, datetime.min.time(), UTC)
    kept = [window.key for window in windows[3:]]
    for name, table in TABLES.items():
        if table.partition_by:
            assert lake.read(name)["window"].sort().to_list() == kept, name
            assert report.changes[name].rows_removed == 3
    assert report.left == []


def test_the_floor_moves_before_anything_is_deleted(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    windows = a_week(lake)
    floors = []

    def delete(self: Report, name: str, what: str, predicate: str) -> None:
        floors.append(Lake(lake.uri).floor().date())

    monkeypatch.setattr(Report, "delete", delete)
    apply_retention(lake, windows[3].date, Report(lake))
    assert set(floors) == {windows[3].date}


def test_the_floor_never_moves_back(lake: Lake) -> None:
    floor = lake.floor()
    version = lake.table("windows").version()
    apply_retention(lake, floor.date() - timedelta(days=3), Report(lake))
    assert lake.floor() == floor
    assert lake.table("windows").version() == version


def test_intakes_go_once_their_records_are_gone_and_a_day_has_passed(lake: Lake) -> None:
    windows = a_week(lake)
    apply_retention(lake, windows[4].date, Report(lake))
    assert lake.read("ledger")["number"].sort().to_list() == [4, 5, 6, 7]


def test_an_old_intake_that_landed_a_record_for_a_kept_day_stays_with_all_later_ones(lake: Lake) -> None:
    window = FIRST.step(-288 * 6)
    for number, home in ((1, window), (2, FIRST), (3, window), (4, FIRST)):
        row = ledger_row(number, taken_at=window.end + number * HOUR, landed=landed(home))
        assert lake.insert_once("ledger", "number", row)
    apply_retention(lake, FIRST.date, Report(lake))
    assert lake.read("ledger")["number"].sort().to_list() == [2, 3, 4]


def test_the_last_intake_that_read_the_topic_always_stays(lake: Lake) -> None:
    old = FIRST.step(-288 * 6)
    for number, kind in ((1, "topic"), (2, "topic"), (3, "replay")):
        row = ledger_row(number, kind=kind, taken_at=old.end)
        assert lake.insert_once("ledger", "number", row)
    apply_retention(lake, FIRST.date, Report(lake))
    assert lake.read("ledger")["number"].sort().to_list() == [2, 3]


def test_a_dead_letter_from_a_far_future_goes_with_its_intake(lake: Lake) -> None:
    future = FIRST.step(288 * 365)
    land(lake, 1, "attempt-1", FIRST.step(-288 * 6))
    dead = {"date": future.date, "window": future.key, "intake": 1, "attempt": "attempt-1"}
    lake.append("dead_letters", pl.DataFrame([dead], schema=dict(TABLES["dead_letters"].schema)))
    for number, day in ((1, -6), (2, 0)):
        row = ledger_row(
            number,
            taken_at=FIRST.step(288 * day).end,
            refused=[{"window": future.key, "reason": "future-timestamp", "count": 1}],
        )
        assert lake.insert_once("ledger", "number", row)
    apply_retention(lake, FIRST.date, Report(lake))
    assert lake.read("dead_letters").is_empty()
    assert lake.read("ledger")["number"].to_list() == [2]


# ---- vacuum ----


def answer(lake: Lake, window: Window, digest: str, count: int = 3) -> int:
    rows = [
        {"date": window.date, "window": window.key, "digest": digest, "record_id": f"{number}"}
        for number in range(count)
    ]
    frame = pl.DataFrame(rows, schema=dict(TABLES["clustering_results"].schema))
    return lake.replace_window("clustering_results", window, frame)


def publish(lake: Lake, window: Window, digest: str) -> int:
    version = answer(lake, window, digest)
    row = window_row(window, digest=digest, results_version=version, stats_version=0)
    lake.replace_window("windows", window, row)
    return version


def on_disk(lake: Lake, name: str) -> int:
    return len(list((Path(lake.uri) / name).rglob("part-*.parquet")))


def swept(lake: Lake) -> Report:
    fresh = Lake(lake.uri)
    report = Report(fresh)
    vacuum(fresh, report)
    return report


def test_files_that_left_their_table_hours_ago_are_deleted_and_counted(lake: Lake) -> None:
    for count in range(20):
        lake.append("records", landed_rows(FIRST, count, [(0, count)]))
    compact_running(lake, DAY, Report(lake))
    live = len(lake.table("records").file_uris())
    age(lake, FILES_KEPT / HOUR + 1)
    report = swept(lake)
    assert on_disk(lake, "records") == live < 20
    assert report.changes["records"].deleted == 20
    assert report.changes["records"].freed > 20 * 1000
    assert Lake(lake.uri).read("records").height == 20


def test_files_that_left_a_moment_ago_stay_for_their_readers(lake: Lake) -> None:
    for count in range(20):
        lake.append("records", landed_rows(FIRST, count, [(0, count)]))
    reader = lake.window_files("records", FIRST).files
    compact_running(lake, DAY, Report(lake))
    age(lake, FILES_KEPT / HOUR - 1)
    swept(lake)
    assert pl.read_parquet(reader).height == 20


def test_what_a_killed_writer_left_is_deleted_once_it_is_old_and_not_before(lake: Lake) -> None:
    lake.append("records", landed_rows(FIRST, 1, [(0, 1)]))
    folder = next((Path(lake.uri) / "records").glob("date=*"))
    age(lake, FILES_KEPT / HOUR + 1)
    (folder / "part-of-a-killed-writer.parquet").write_bytes(b"rows")
    swept(lake)
    assert on_disk(lake, "records") == 2
    age(lake, FILES_KEPT / HOUR + 1)
    swept(lake)
    assert on_disk(lake, "records") == 1


def test_the_files_of_a_shown_answer_stay_while_its_window_is_answered_anew(lake: Lake) -> None:
    named = publish(lake, FIRST, "d1")
    for count in range(1, 12):
        publish(lake, FIRST.step(count), "d1")
    compact_running(lake, DAY, Report(lake))
    last = lake.table("clustering_results").version()
    answer(lake, FIRST, "d2")  # and its run is killed before the window's row is written
    age(lake, FILES_KEPT / HOUR + 1)
    assert Lake(lake.uri).last_with("clustering_results", FIRST.key, named) == last > named
    assert needed_versions(Lake(lake.uri), "clustering_results") == [last]
    swept(lake)
    rows = Lake(lake.uri).read_window("clustering_results", FIRST, last).collect()
    assert rows["digest"].to_list() == ["d1"] * 3
    assert on_disk(lake, "clustering_results") > len(lake.table("clustering_results").file_uris())
    publish(lake, FIRST, "d2")
    age(lake, FILES_KEPT / HOUR + 1)
    assert needed_versions(Lake(lake.uri), "clustering_results") == []
    swept(lake)
    assert on_disk(lake, "clustering_results") == len(lake.table("clustering_results").file_uris())


def test_a_window_answered_again_with_the_same_digest_needs_no_old_version(lake: Lake) -> None:
    publish(lake, FIRST, "d1")
    answer(lake, FIRST, "d1")
    assert needed_versions(lake, "clustering_results") == []


def test_a_log_is_shortened_but_not_while_an_old_version_of_it_is_needed(lake: Lake) -> None:
    log = Path(lake.uri) / "clustering_results" / "_delta_log"
    named = publish(lake, FIRST, "d1")
    for count in range(1, 45):
        publish(lake, FIRST.step(count), "d1")
    answer(lake, FIRST, "d2")
    age(lake, VERSIONS_KEPT / HOUR + 1)
    answer(lake, FIRST.step(50), "d1")
    assert "its log" in " ".join(swept(lake).left)
    assert Lake(lake.uri).read_window("clustering_results", FIRST, named).collect().height == 3
    long = len(list(log.glob("*.json")))
    publish(lake, FIRST, "d2")
    assert not swept(lake).left
    assert len(list(log.glob("*.json"))) < long - 20
    assert Lake(lake.uri).read("clustering_results").height == 46 * 3


def test_the_logs_of_tables_that_nobody_reads_by_version_stay_short(lake: Lake) -> None:
    log = Path(lake.uri) / "records" / "_delta_log"
    for turn in range(4):
        for count in range(30):
            lake.append("records", landed_rows(FIRST, count, [(turn, count)]))
        age(lake, FILES_KEPT / HOUR + 1)
    lake = Lake(lake.uri)
    for count in range(20):
        lake.append("records", landed_rows(FIRST, count, [(9, count)]))
    assert len(list(log.glob("*.json"))) <= 30 + 40
    assert lake.read("records").height == 140


def test_a_reader_whose_version_is_gone_from_the_log_goes_on(lake: Lake) -> None:
    reader = Lake(lake.uri)
    assert reader.read("records").is_empty()
    for count in range(45):
        lake.append("records", landed_rows(FIRST, count, [(0, count)]))
    age(lake, FILES_KEPT / HOUR + 1)
    for count in range(45, 90):
        lake.append("records", landed_rows(FIRST, count, [(0, count)]))
    assert not (Path(lake.uri) / "records" / "_delta_log" / f"{1:020}.json").exists()
    assert reader.read("records").height == 90


def test_forgotten_files_leave_the_checkpoints(lake: Lake) -> None:
    """Otherwise every commit's checkpoint would list a week of merged files."""
    for count in range(30):
        lake.append("records", landed_rows(FIRST, count, [(0, count)]))
    compact_running(lake, DAY, Report(lake))
    age(lake, FILES_KEPT / HOUR + 1)
    lake = Lake(lake.uri)
    for count in range(30, 55):
        lake.append("records", landed_rows(FIRST, count, [(0, count)]))
    checkpoint = sorted((Path(lake.uri) / "records" / "_delta_log").glob("*.checkpoint.parquet"))[-1]
    assert pl.read_parquet(checkpoint)["remove"].drop_nulls().is_empty()


def test_all_of_it_again_changes_nothing(lake: Lake) -> None:
    windows = a_week(lake)

    def upkeep() -> None:
        report = Report(Lake(lake.uri))
        compact_running(report.lake, DAY, report)
        remove_lost(report.lake, report)
        merge_past(report.lake, DAY, report)
        apply_retention(report.lake, windows[3].date, report)
        vacuum(report.lake, report)

    upkeep()
    versions = {name: Lake(lake.uri).table(name).version() for name in TABLES}
    upkeep()
    assert {name: Lake(lake.uri).table(name).version() for name in TABLES} == versions
