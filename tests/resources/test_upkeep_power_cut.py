"""A power cut tears the last commit: the lake is mended at the next start, nothing is lost or doubled."""

import errno
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from resources.durability import UNSETTLED, mend, settle
from resources.lake import Lake
from resources.tables import TABLES
from tests.resources.conftest import FIRST, NOW, Feed, landed_rows, window_row

LATENESS = timedelta(hours=24)
Tear = Callable[[Path], None]


def log_of(lake: Lake, name: str) -> Path:
    return Path(lake.uri) / name / "_delta_log"


def last_commit(lake: Lake, name: str) -> Path:
    return max(log_of(lake, name).glob("*.json"))


def empty(commit: Path) -> None:
    commit.write_bytes(b"")


def half(commit: Path) -> None:
    commit.write_bytes(commit.read_bytes()[: commit.stat().st_size // 2])


def zeros(commit: Path) -> None:
    """What ext4 leaves where the length was on disk and the bytes were not."""
    commit.write_bytes(bytes(commit.stat().st_size))


def data(commit: Path) -> None:
    """The commit is whole, the data file that it adds is not."""
    table = commit.parent.parent
    newest = max(table.rglob("part-*.parquet"), key=lambda path: path.stat().st_mtime_ns)
    newest.write_bytes(newest.read_bytes()[:100])


TEARS = pytest.mark.parametrize("tear", [empty, half, zeros, data])


def restarted(lake: Lake) -> Lake:
    """The lake as the next start opens it."""
    lake = Lake(lake.uri)
    lake.create(NOW, LATENESS)
    return lake


@TEARS
@pytest.mark.parametrize("name", ["records", "ledger"])
def test_what_was_taken_in_is_taken_in_again_and_once(feed: Feed, name: str, tear: Tear) -> None:
    feed.send_records(range(10))
    feed.take()
    feed.send_records(range(10, 20))
    if name == "ledger":
        feed.take()
    else:  # a cut before the intake reached the ledger
        cut_off = {"attempt": pl.lit("cut off"), "intake": pl.lit(2, pl.Int64)}
        feed.lake.append("records", feed.stored("records").with_columns(**cut_off))
    tear(last_commit(feed.lake, name))
    restarted(feed.lake)
    feed.take()
    rows = feed.named("records").sort("kafka_partition", "kafka_offset")
    topic = sorted((message.partition(), message.offset()) for message in feed.plain())
    assert list(zip(rows["kafka_partition"], rows["kafka_offset"], strict=True)) == topic
    assert rows.height == 20
    assert feed.stored("ledger")["number"].sort().to_list() == [1, 2]


def results(digest: str, count: int = 3) -> pl.DataFrame:
    row: dict[str, Any] = {"date": FIRST.date, "window": FIRST.key, "digest": digest}
    rows = [row | {"record_id": f"{number}"} for number in range(count)]
    return pl.DataFrame(rows, schema=dict(TABLES["clustering_results"].schema))


@TEARS
@pytest.mark.parametrize("name", ["clustering_results", "windows"])
def test_an_answer_that_was_torn_is_as_if_it_had_not_been_given(lake: Lake, name: str, tear: Tear) -> None:
    """The last answer stands, whole; the window is due as before, and its next run writes it again."""

    def publish(digest: str, last: str = "windows") -> None:
        version = lake.replace_window("clustering_results", FIRST, results(digest))
        if last == "windows":
            row = window_row(FIRST, digest=digest, results_version=version)
            lake.replace_window("windows", FIRST, row)

    publish("d1")
    publish("d2", name)
    tear(last_commit(lake, name))
    lake = restarted(lake)
    (row,) = lake.read_window("windows", FIRST).collect().to_dicts()
    assert row["digest"] == "d1"
    shown = lake.read_window("clustering_results", FIRST, row["results_version"]).collect()
    assert shown["digest"].to_list() == ["d1"] * 3
    publish("d2")
    (row,) = lake.read_window("windows", FIRST).collect().to_dicts()
    assert row["digest"] == "d2"
    assert lake.read_window("clustering_results", FIRST).collect()["digest"].to_list() == ["d2"] * 3


@TEARS
@pytest.mark.parametrize("name", sorted(TABLES))
def test_no_table_stays_blocked(lake: Lake, name: str, tear: Tear) -> None:
    for count in range(3):
        add = pl.DataFrame([{}], schema=dict(TABLES[name].schema))
        add = add.with_columns(pl.lit(count, pl.Int64).alias("covered")) if "covered" in add.columns else add
        if TABLES[name].partition_by:
            add = add.with_columns(date=pl.lit(FIRST.date), window=pl.lit(FIRST.key))
        lake.append(name, add)
    tear(last_commit(lake, name))
    lake = restarted(lake)
    assert lake.table(name).version() == 2
    assert lake.read(name).height == 2


def test_what_was_torn_is_named_and_set_aside(lake: Lake, caplog: pytest.LogCaptureFixture) -> None:
    lake.append("records", landed_rows(FIRST, 1, [(0, 1)]))
    half(last_commit(lake, "records"))
    lake = restarted(lake)
    (message,) = [record.getMessage() for record in caplog.records]
    assert f"Table records of the lake {lake.uri}" in message
    assert f"{1:020}.json was torn by a power cut" in message
    assert [path.name[-25:] for path in (Path(lake.uri) / "records" / "_torn").iterdir()] == [f"{1:020}.json"]


def test_later_commits_go_with_a_torn_one(lake: Lake) -> None:
    """Their writers were not told that they had succeeded: a commit is settled with those before it."""
    for count in range(4):
        lake.append("records", landed_rows(FIRST, count, [(0, count)]))
    half(log_of(lake, "records") / f"{3:020}.json")
    assert restarted(lake).read("records")["kafka_offset"].sort().to_list() == [0, 1]


@TEARS
def test_a_torn_checkpoint_goes_and_its_commits_stay(lake: Lake, tear: Tear) -> None:
    for count in range(25):
        lake.append("records", landed_rows(FIRST, count, [(0, count)]))
    (checkpoint,) = log_of(lake, "records").glob("*.checkpoint.parquet")
    if tear is data:
        log_of(lake, "records").joinpath("_last_checkpoint").write_bytes(b"")
    else:
        tear(checkpoint)
    assert restarted(lake).read("records").height == 25


def test_a_whole_lake_is_left_alone_whatever_left_its_tables(lake: Lake) -> None:
    """Files of recent commits that later ones replaced, and that vacuum deleted, are nothing torn."""
    for count in range(2 * UNSETTLED + 3):
        lake.append("records", landed_rows(FIRST, count, [(0, count)]))
    lake.table("records").optimize.compact()
    lake.append("records", landed_rows(FIRST, 99, [(0, 99)]))
    lake.table("records").vacuum(0, dry_run=False, enforce_retention_duration=False, full=True)
    for name in TABLES:
        assert mend(Path(lake.uri) / name) == []
    assert lake.read("records").height == 2 * UNSETTLED + 4


def test_a_name_that_is_written_otherwise_in_the_log_is_found(lake: Lake) -> None:
    """Delta writes paths as URLs: a contract's partition column would be encoded too."""
    folder = Path(lake.uri).parent / "a lake, 100 % ünusual"
    other = Lake(str(folder))
    other.create(NOW, LATENESS)
    other.append("records", landed_rows(FIRST, 1, [(0, 1)]))
    assert mend(folder / "records") == []
    assert restarted(other).read("records").height == 1


def test_settling_passes_over_what_is_gone(lake: Lake) -> None:
    for count in range(3):
        lake.append("records", landed_rows(FIRST, count, [(0, count)]))
    (log_of(lake, "records") / f"{1:020}.json").unlink()
    settle(Path(lake.uri) / "records", -1, 3)


def test_each_commit_is_on_disk_before_its_writer_goes_on(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[Path] = []
    monkeypatch.setattr("resources.durability.sync", synced.append)
    lake.append("records", landed_rows(FIRST, 1, [(0, 1)]))
    files = {path for path in (Path(lake.uri) / "records").rglob("*") if path.suffix in (".json", ".parquet")}
    assert files - {log_of(lake, "records") / f"{0:020}.json"} <= set(synced)
    assert {log_of(lake, "records"), Path(lake.uri) / "records"} <= set(synced)


@pytest.mark.parametrize("where", ["resources.commits.sync", "resources.durability.sync"])
def test_what_the_disk_did_not_take_is_never_settled(
    lake: Lake, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """Linux tells of pages that it could not write at the first fsync, and forgets them."""

    def fails_once(path: Path) -> None:
        monkeypatch.undo()
        raise OSError(errno.EIO, "Input/output error", str(path))

    monkeypatch.setattr(where, fails_once)
    lake.replace_window("windows", FIRST, window_row(FIRST))
    for _ in range(2):
        with pytest.raises(OSError, match="Input/output error"):
            lake.settled()
    again = Lake(lake.uri)
    again.replace_window("windows", FIRST, window_row(FIRST))
    again.settled()
