"""Erasure: an id and what its messages said are nowhere below the lake; what is counted adds up as before."""

import json
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow.parquet as pq  # type: ignore[import-untyped]
import pytest
from deltalake import DeltaTable

from resources.accounting import account
from resources.batch import Batch, check_current, read_batch, select
from resources.contract import Contract
from resources.dead_letters import Choice
from resources.erasure import HOLDERS, Erased, Eraser
from resources.errors import LakeError, SettingError
from resources.intakes import Intakes
from resources.ledger import Ledger
from resources.replay import Replayer
from resources.settings import Settings
from resources.tables import TABLES
from resources.upkeep.days import compact_running
from resources.upkeep.report import Report
from tests.api.lakes import FIRST, GRID, HandMadeLake
from tests.resources.conftest import contract_with, landed_rows, ledger_row, span

GONE, SECRET = "person-1", "Hauptstrasse"
"""The id that is erased, and what stands in its messages alone."""
SECOND = FIRST.step(1)


@dataclass
class Scene:
    """A lake with two published windows, each of which holds the id, and the contract."""

    lake: HandMadeLake
    contract: Contract

    @property
    def intakes(self) -> Intakes:
        return Ledger(self.lake, 5, "id").intakes()

    def select(self) -> Batch:
        return select(self.lake, self.contract, GRID, FIRST, self.intakes)

    def eraser(self, record_id: str = GONE) -> Eraser:
        return Eraser(self.lake, self.contract, GRID, record_id)

    def faults(self) -> list[str]:
        return account(self.lake, self.intakes, FIRST).faults

    def path(self, name: str) -> Path:
        folder = self.lake.folder(name)
        assert folder
        return folder


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    scene = Scene(HandMadeLake(tmp_path / "la ke"), contract_with(tmp_path))
    for number, window in enumerate((FIRST, SECOND), 1):
        _land(scene.lake, number, window)
        scene.lake.publish(window, {"other-1": 0, GONE: 1, "other-2": 0})
    return scene


def _land(lake: HandMadeLake, number: int, window: Any) -> None:
    """Three records, two of the id, and three dead letters of it."""
    start = number * 10
    rows = landed_rows(window, number, [(0, start + n) for n in range(4)], [GONE, "other-1", GONE, "other-2"])
    shop = pl.when(pl.col("record_id") == GONE).then(pl.lit(SECRET)).otherwise(pl.lit("north"))
    lake.append("records", rows.with_columns(pl.col("record_id").alias("id"), shop.alias("shop"), price=1.5))
    values: list[dict[str, Any]] = [
        {"key": GONE.encode(), "value": b"{", "detail": f"about {SECRET}"},
        {
            "value": json.dumps({"id": GONE, "price": SECRET}).encode(),
            "headers": [{"key": "a", "value": b"b"}],
        },
        {"value": f'{{"id": "{GONE}", {SECRET}'.encode()},
        {"value": f'{{"id": "{GONE}1", '.encode()},
        {"value": json.dumps({"id": "other-1", "near": GONE[:-2]}).encode()},
    ]
    place = {"date": window.date, "window": window.key, "intake": number, "attempt": f"attempt-{number}"}
    letters = [
        {**place, "kafka_partition": 0, "kafka_offset": start + 4 + n, "reason": "invalid-json", **value}
        for n, value in enumerate(values)
    ]
    lake.append("dead_letters", pl.DataFrame(letters, schema=dict(TABLES["dead_letters"].schema)))
    counts: dict[str, Any] = {
        "landed": [{"window": window.key, "records": 4, "too_late": 0}],
        "refused": [{"window": window.key, "reason": "invalid-json", "count": 5}],
        "spans": [vars(span(start if number > 1 else 10, start + 10))],
        "taken_at": GRID.close(window) + timedelta(seconds=1),
    }
    lake.append("ledger", ledger_row(number, **counts))


def mentions(lake: Path, text: str) -> list[str]:
    """The files below a lake that hold a text: as their bytes, or as a value of a Parquet file."""
    return [str(f.relative_to(lake)) for f in lake.rglob("*") if f.is_file() and _mentions(f, text)]


def _mentions(file: Path, text: str) -> bool:
    if text.encode() in file.read_bytes():
        return True
    return file.suffix == ".parquet" and any(
        text in value for value in _values(pq.read_table(file).to_pylist())
    )


def _values(item: Any) -> Iterator[str]:
    match item:
        case dict():
            yield from _values(list(item.values()))
        case list() | tuple():
            for part in item:
                yield from _values(part)
        case bytes():
            yield item.decode(errors="replace")
        case _:
            yield str(item)


def _words(lake: Path, text: str) -> list[str]:
    """As ``mentions``, but of a text that is part of a longer word elsewhere."""
    return [name for name in mentions(lake, text) if not name.startswith("dead_letters")]


def test_nothing_below_the_lake_holds_the_id_or_what_it_said(scene: Scene, tmp_path: Path) -> None:
    lake = scene.lake
    results = lake.read("clustering_results").filter(window=FIRST.key)
    lake.replace_window("clustering_results", FIRST, results)  # the log has the bounds of an overwritten file
    compact_running(lake, FIRST.date, Report(lake))
    for name in HOLDERS:
        DeltaTable(f"{lake.uri}/{name}").create_checkpoint()  # it has the values of files that go
    before = mentions(tmp_path / "la ke", GONE)
    assert {name.split("/")[0] for name in before} >= set(HOLDERS)
    assert any("_delta_log" in name and name.endswith(".json") for name in before)
    assert any(name.endswith(".checkpoint.parquet") for name in before)
    done = scene.eraser().erase()
    assert (done.left, done.rows) == ([], {"records": 4, "dead_letters": 6, "clustering_results": 2})
    assert mentions(tmp_path / "la ke", SECRET) == []
    assert _words(tmp_path / "la ke", GONE) == []
    letters = lake.read("dead_letters")["value"].drop_nulls().to_list()
    assert letters == [b'{"id": "person-11", ', b'{"id": "other-1", "near": "person"}'] * 2


def test_what_was_read_still_adds_up_and_others_stay(scene: Scene) -> None:
    others = ~pl.col("record_id").eq(GONE)
    before = {name: scene.lake.read(name) for name in ("records", "clustering_results")}
    ledger = scene.lake.read("ledger")
    scene.eraser().erase()
    assert scene.faults() == []
    assert scene.lake.read("ledger").equals(ledger)
    for name, rows in before.items():
        kept = scene.lake.read(name).drop_nulls("record_id").sort("window", "record_id")
        assert kept.equals(rows.filter(others).sort("window", "record_id"))
    assert scene.lake.read("records").height == before["records"].height


def test_every_version_of_the_tables_still_opens(scene: Scene) -> None:
    DeltaTable(f"{scene.lake.uri}/records").create_checkpoint()
    newest = DeltaTable(f"{scene.lake.uri}/records").version()
    scene.eraser().erase()
    for version in range(newest + 1):
        assert DeltaTable(f"{scene.lake.uri}/records", version=version).version() == version


def test_a_window_selected_again_is_a_new_revision_without_the_record(scene: Scene) -> None:
    batch = scene.select()
    assert (batch.records, batch.duplicates) == (3, 1)
    published: dict[str, Any] = batch.counts() | {"digest": batch.digest}
    scene.lake.write_row(FIRST, "published", **published)
    scene.eraser().erase()
    again = scene.select()
    assert (again.records, again.duplicates, again.revision) == (2, 0, 2)
    assert again.digest != batch.digest
    assert scene.select() == again


def test_a_run_that_had_selected_the_record_stops(scene: Scene) -> None:
    batch = scene.select()
    scene.eraser().erase()
    with pytest.raises(LakeError, match="materialize kafka_batch for it first"):
        check_current(scene.lake, scene.contract, batch)
    again = scene.select()
    assert read_batch(scene.lake, scene.contract, FIRST) == again


def test_erasing_again_finds_nothing_and_finishes_what_a_crash_left(scene: Scene, tmp_path: Path) -> None:
    eraser = scene.eraser()
    eraser._erase_rows(eraser.find(), Erased())
    assert mentions(tmp_path / "la ke", SECRET)  # in files of earlier versions
    found = {trace.name: (trace.rows.height, bool(trace.old), trace.windows) for trace in eraser.find()}
    assert found == dict.fromkeys(HOLDERS, (0, True, {FIRST.key, SECOND.key}))
    assert scene.eraser().erase().files == dict.fromkeys(HOLDERS, 2)
    assert mentions(tmp_path / "la ke", SECRET) == []
    again = scene.eraser().erase()
    assert [*again.rows.values(), *again.files.values(), *again.log_files.values()] == [0] * 9


def test_files_that_a_shown_answer_needs_stay_until_it_is_published(scene: Scene) -> None:
    versions = scene.lake.replace_answer(FIRST, {"other-1": 0, GONE: 1}, revision=2)
    done = scene.eraser().erase()
    assert len(done.left) == 1
    assert "erase again after that" in done.left[0]
    scene.lake.write_row(FIRST, "published", 2, versions)
    assert scene.eraser().erase().left == []


def test_a_file_that_no_commit_names_is_left_to_its_writer_for_an_hour(scene: Scene) -> None:
    stray = scene.path("clustering_results") / f"date={FIRST.date}" / "stray.parquet"
    pl.DataFrame({"window": [FIRST.key], "record_id": [GONE]}).write_parquet(stray)
    assert "a writer may be at work" in scene.eraser().erase().left[0]
    old = datetime.now(UTC) - timedelta(hours=2)

    os.utime(stray, (old.timestamp(),) * 2)
    assert scene.eraser().erase().left == []
    assert not stray.exists()


def test_a_published_window_of_that_record_alone_shows_nothing(scene: Scene) -> None:
    window = SECOND.step(1)
    scene.lake.publish(window, {GONE: 0})
    scene.eraser().erase()
    states = dict(scene.lake.read("windows").select("window", "state").iter_rows())
    assert states == {FIRST.key: "published", SECOND.key: "published", window.key: "too-few"}


def test_others_may_write_meanwhile(scene: Scene, tmp_path: Path) -> None:
    busy, third = threading.Event(), SECOND.step(1)

    def write() -> None:
        lake = HandMadeLake(tmp_path / "la ke")
        for number in range(3, 12):
            lake.append("records", landed_rows(third, number, [(0, number * 10)]))
            lake.replace_answer(third, {f"id-{number}": 0})
            busy.set()

    writer = threading.Thread(target=write)
    writer.start()
    busy.wait()
    done = scene.eraser().erase()
    writer.join()
    assert done.rows == {"records": 4, "dead_letters": 6, "clustering_results": 2}
    assert scene.lake.read("records").filter(window=third.key).height == 9
    assert mentions(tmp_path / "la ke", SECRET) == []


def test_an_erased_dead_letter_is_not_replayed(scene: Scene) -> None:
    scene.eraser().erase()
    settings = Settings(_env_file=None, home=Path(scene.lake.uri).parent)
    outcome = Replayer(settings, scene.contract, scene.lake).replay(Choice(FIRST), dry_run=True)
    assert outcome.broken["null-value"] == 3


def test_no_id_is_no_id(scene: Scene) -> None:
    with pytest.raises(SettingError, match="empty"):
        scene.eraser("")
