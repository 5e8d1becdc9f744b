"""The batch: which records a window's answer is made from, its digest and its revision."""

import hashlib
import random
import struct
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest
from deltalake import DeltaTable

from resources.batch import Batch, check_current, landed, read_batch, select
from resources.contract import Contract
from resources.errors import LakeError
from resources.intake_rows import Intake
from resources.intakes import Intakes
from resources.lake import Lake
from resources.publication import publish
from resources.scheme import DISJOINT, Scheme
from resources.versions import Pin, Version
from resources.windows import Window
from tests.resources.conftest import FIRST, GRID, NOW, contract_with, intake, landed_rows

Places = list[tuple[int, int]]
CLOSE = GRID.close(FIRST)
REACHED = CLOSE + timedelta(seconds=1)


def named(number: int, count: int = 1, window: Window = FIRST, **more: object) -> Intake:
    """Intake ``number``, which landed records for a window and reached its close."""
    return intake(number, REACHED + timedelta(minutes=number), {window.key: count}, **more)  # type: ignore[arg-type]


def land(lake: Lake, number: int, places: Places, **more: object) -> Intake:
    """Land records at (partition, offset) places for the first window; the intake that names them."""
    lake.append("records", landed_rows(FIRST, number, places, **more))  # type: ignore[arg-type]
    return named(number, len(places))


def select_first(lake: Lake, contract: Contract, intakes: Sequence[Intake]) -> Batch:
    return select(lake, contract, GRID, FIRST, Intakes.of(intakes))


def new_lake(folder: Path) -> Lake:
    lake = Lake(str(folder))
    lake.create(NOW, timedelta(hours=24))
    return lake


def published(lake: Lake, contract: Contract, intakes: Sequence[Intake]) -> Batch:
    batch = select_first(lake, contract, intakes)
    publish(lake, GRID, batch, "published", (1, 1))
    return batch


# ---- selection ----


def test_a_window_without_records_has_an_empty_batch(lake: Lake, contract: Contract) -> None:
    batch = select_first(lake, contract, [intake(1, REACHED)])
    assert (batch.records, batch.duplicates, batch.late, batch.covered, batch.revision) == (0, 0, 0, 1, 1)
    assert len(batch.digest) == 64


def test_only_the_windows_own_records_that_the_ledger_names_are_selected(
    lake: Lake, contract: Contract
) -> None:
    first = land(lake, 1, [(0, 0), (0, 1)])
    land(lake, 2, [(0, 2)])  # its attempt is not in the ledger
    lake.append("records", landed_rows(FIRST.step(1), 1, [(0, 3)]))
    lake.append("records", landed_rows(FIRST, 1, [(0, 4)], too_late=True))
    found = landed(lake, FIRST, Intakes.of([first]), 1).collect()
    assert found["kafka_offset"].sort().to_list() == [0, 1]
    assert select_first(lake, contract, [first]).records == 2


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        ((1.0, 0, 9), (2.0, 0, 1)),  # (seconds of event time, partition, offset)
        ((1.0, 0, 9), (1.0, 1, 2)),
        ((1.0, 2, 3), (1.0, 2, 8)),
    ],
    ids=["event time first", "then partition", "then offset"],
)
@pytest.mark.parametrize("swapped", [False, True])
def test_of_several_records_with_one_id_the_latest_counts(
    lake: Lake, contract: Contract, earlier: Sequence[float], later: Sequence[float], swapped: bool
) -> None:
    both = [later, earlier] if swapped else [earlier, later]
    places = [(int(partition), int(offset)) for _, partition, offset in both]
    seconds = [second for second, _, _ in both]
    batch = select_first(lake, contract, [land(lake, 1, places, ids=["a", "a"], seconds=seconds)])
    assert (batch.records, batch.duplicates) == (1, 1)
    alone = new_lake(Path(lake.uri) / "alone")
    place = (int(later[1]), int(later[2]))
    row = land(alone, 1, [place], ids=["a"], seconds=[later[0]])
    assert select_first(alone, contract, [row]).digest == batch.digest


def test_duplicates_in_several_intakes_are_counted(lake: Lake, contract: Contract) -> None:
    rows = [
        land(lake, 1, [(0, 0), (0, 1), (0, 2)], ids=["a", "b", "a"]),
        land(lake, 2, [(0, 3), (0, 4)], ids=["a", "c"]),
    ]
    batch = select_first(lake, contract, rows)
    assert (batch.records, batch.duplicates, batch.covered) == (3, 2, 2)


def test_late_records_are_those_after_the_first_intake_that_reached_the_close(
    lake: Lake, contract: Contract
) -> None:
    attending = replace(land(lake, 1, [(0, 0), (0, 1)]), taken_at=CLOSE - timedelta(seconds=60))
    chunk = replace(land(lake, 2, [(0, 2)]), caught_up=False)
    tail = land(lake, 3, [(0, 3)])
    assert select_first(lake, contract, [attending, chunk, tail]).late == 0
    late = land(lake, 4, [(0, 4), (0, 5)])
    assert select_first(lake, contract, [attending, chunk, tail, late]).late == 2


def test_dead_letters_of_the_window_are_counted_over_all_intakes(lake: Lake, contract: Contract) -> None:
    rows = [
        named(1, 0, refused={FIRST.key: 2, None: 5}),
        named(2, 0, refused={FIRST.key: 1, FIRST.step(1).key: 9}),
    ]
    assert select_first(lake, contract, rows).dead_letters == 3


# ---- digest ----


def test_the_digest_does_not_depend_on_files_order_or_intakes(tmp_path: Path, contract: Contract) -> None:
    places = [(partition, offset) for partition in range(3) for offset in range(40)]
    one = new_lake(tmp_path / "one")
    whole = select_first(one, contract, [land(one, 1, places)])
    many = new_lake(tmp_path / "many")
    random.Random(5).shuffle(places)
    rows = [land(many, number + 1, places[number * 20 : number * 20 + 20]) for number in range(6)]
    pieces = select_first(many, contract, rows)
    assert (pieces.digest, pieces.records) == (whole.digest, whole.records)
    DeltaTable(f"{many.uri}/records").optimize.compact()
    assert len(many.window_files("records", FIRST).files) == 1
    assert select_first(many, contract, rows).digest == whole.digest


def test_the_digest_is_one_of_offsets_and_not_of_event_times(tmp_path: Path, contract: Contract) -> None:
    digests = set()
    for number, seconds in enumerate(([1.0, 2.0, 3.0], [3.0, 1.0, 2.0])):
        lake = new_lake(tmp_path / str(number))
        row = land(lake, 1, [(0, 0), (0, 1), (1, 0)], seconds=seconds)
        digests.add(select_first(lake, contract, [row]).digest)
    assert len(digests) == 1


def test_the_digest_changes_with_one_more_record(lake: Lake, contract: Contract) -> None:
    rows = [land(lake, 1, [(0, 0), (0, 1)])]
    digests = {select_first(lake, contract, rows).digest}
    for number, place in ((2, (0, 2)), (3, (1, 0)), (4, (1, 7))):
        rows.append(land(lake, number, [place]))
        digests.add(select_first(lake, contract, rows).digest)
    assert len(digests) == 4


def test_the_digest_tells_partitions_apart(tmp_path: Path, contract: Contract) -> None:
    digests = set()
    for number, places in enumerate(([(0, 1), (0, 2)], [(0, 1), (1, 2)], [(1, 1), (0, 2)], [(1, 1), (1, 2)])):
        lake = new_lake(tmp_path / str(number))
        digests.add(select_first(lake, contract, [land(lake, 1, places)]).digest)
    assert len(digests) == 4


def test_the_digest_stays_when_what_came_does_not_count(lake: Lake, contract: Contract) -> None:
    rows = [land(lake, 1, [(0, 5)], ids=["a"], seconds=[100.0])]
    before = select_first(lake, contract, rows)
    rows.append(land(lake, 2, [(0, 6)], ids=["a"], seconds=[50.0]))
    after = select_first(lake, contract, rows)
    assert (after.digest, after.covered, after.duplicates) == (before.digest, 2, 1)


def test_the_digest_changes_with_the_contract_and_the_topic(
    lake: Lake, contract: Contract, tmp_path: Path
) -> None:
    row = land(lake, 1, [(0, 0)])
    digest = select_first(lake, contract, [row]).digest
    assert select_first(lake, contract_with(tmp_path, seed=9), [row]).digest != digest
    assert select_first(lake, contract, [replace(row, topic_id="another")]).digest != digest
    assert select_first(lake, contract, [row]).digest == digest


# ---- two topics ----


def two_topics(lake: Lake, old: Mapping[str, int], new: Mapping[str, int]) -> list[Intake]:
    """Records, by their ids, at these offsets of one topic, and then of the one that took its place."""
    first, third = (
        land(lake, number, [(0, offset) for offset in ids.values()], ids=list(ids))
        for number, ids in ((1, old), (3, new))
    )
    reset = intake(2, REACHED + timedelta(minutes=2), kind="reset", topic_id="new", caught_up=False)
    return [replace(first, topic_id="old"), reset, replace(third, topic_id="new")]


def test_records_of_two_topics_at_the_same_offsets_are_all_selected_once_each(
    lake: Lake, contract: Contract
) -> None:
    rows = two_topics(lake, {"a": 0, "b": 1}, {"c": 0, "b": 1})
    batch = select_first(lake, contract, rows)
    assert (batch.records, batch.duplicates, batch.covered) == (3, 1, 3)
    assert select_first(lake, contract, rows).digest == batch.digest


def test_a_reset_changes_no_digest_of_what_was_landed(lake: Lake, contract: Contract) -> None:
    rows = two_topics(lake, {"a": 0, "b": 1}, {"c": 0, "b": 1})
    before = select_first(lake, contract, rows[:1])
    assert select_first(lake, contract, rows[:2]).digest == before.digest
    other = FIRST.step(-1)
    empty = [select(lake, contract, GRID, other, Intakes.of(rows[:count])).digest for count in (1, 2)]
    assert empty[0] == empty[1]


def test_the_digest_tells_topics_apart_at_the_same_offsets(tmp_path: Path, contract: Contract) -> None:
    digests = set()
    for number, (old, new) in enumerate([({"a": 0}, {"b": 1}), ({"a": 1}, {"b": 0}), ({"a": 0}, {"b": 0})]):
        lake = new_lake(tmp_path / str(number))
        digests.add(select_first(lake, contract, two_topics(lake, old, new)).digest)
    assert len(digests) == 3


# ---- schemes ----

CUMULATIVE, SLIDING = Scheme("cumulative"), Scheme("sliding:3")
CYCLE = [FIRST, FIRST.step(1), FIRST.step(2)]


def land_cycle(lake: Lake) -> list[Intake]:
    """Records in a window before the cycle (one), in slot 1 (two), in slot 2 (three), in slot 3 (four)."""
    rows = []
    for number, window in enumerate([FIRST.step(-1), *CYCLE], start=1):
        places = [(0, 10 * number + count) for count in range(number)]
        lake.append("records", landed_rows(window, number, places))
        rows.append(named(number, number, window))
    return rows


@pytest.mark.parametrize(
    ("scheme", "seen"), [(DISJOINT, [2, 3, 4]), (CUMULATIVE, [2, 5, 9]), (SLIDING, [3, 6, 9])]
)
def test_a_model_sees_the_records_of_its_scheme_and_the_counts_are_its_windows(
    lake: Lake, contract: Contract, scheme: Scheme, seen: list[int]
) -> None:
    rows = Intakes.of(land_cycle(lake))
    batches = [select(lake, contract, GRID, window, rows, scheme) for window in CYCLE]
    assert [batch.seen for batch in batches] == seen
    assert [batch.records for batch in batches] == [2, 3, 4]
    for batch in batches:
        assert batch.sources(GRID) == scheme.sources(batch.window, lake.floor())
        assert read_batch(lake, contract, batch.window) == batch


def test_a_digest_covers_what_the_model_sees_and_names_the_scheme(lake: Lake, contract: Contract) -> None:
    rows = land_cycle(lake)
    plain = hashlib.sha256(f"topic\n{contract.version}\n0:3\n".encode())
    plain.update(struct.pack("<3q", 30, 31, 32))
    assert select(lake, contract, GRID, CYCLE[1], Intakes.of(rows)).digest == plain.hexdigest()
    wider = hashlib.sha256(f"topic\n{contract.version}\ncumulative\n0:5\n".encode())
    wider.update(struct.pack("<5q", 20, 21, 30, 31, 32))
    assert select(lake, contract, GRID, CYCLE[1], Intakes.of(rows), CUMULATIVE).digest == wider.hexdigest()


def test_slot_one_sees_the_same_records_under_cumulative_but_has_another_digest(
    lake: Lake, contract: Contract
) -> None:
    rows = Intakes.of(land_cycle(lake))
    batches = [select(lake, contract, GRID, FIRST, rows, scheme) for scheme in (DISJOINT, CUMULATIVE)]
    assert batches[0].seen == batches[1].seen
    assert batches[0].digest != batches[1].digest


def test_a_late_record_of_slot_one_changes_the_digests_of_slots_two_and_three(
    lake: Lake, contract: Contract
) -> None:
    rows = land_cycle(lake)
    before = [select(lake, contract, GRID, each, Intakes.of(rows), CUMULATIVE).digest for each in CYCLE]
    rows.append(land(lake, 5, [(0, 90)]))
    after = [select(lake, contract, GRID, each, Intakes.of(rows), CUMULATIVE).digest for each in CYCLE]
    assert all(one != other for one, other in zip(before, after, strict=True))
    assert select(lake, contract, GRID, CYCLE[2], Intakes.of(rows), CUMULATIVE).late == 0


def test_the_order_in_which_windows_are_selected_makes_no_difference(
    tmp_path: Path, contract: Contract
) -> None:
    found = []
    for number, order in enumerate(([0, 1, 2], [2, 1, 0], [1, 2, 0])):
        lake = new_lake(tmp_path / str(number))
        rows = Intakes.of(land_cycle(lake))
        batches = {place: select(lake, contract, GRID, CYCLE[place], rows, SLIDING) for place in order}
        found.append([batches[place] for place in range(3)])
    assert found[0] == found[1] == found[2]


def test_each_window_keeps_its_own_record_of_an_id(lake: Lake, contract: Contract) -> None:
    rows = [land(lake, 1, [(0, 0), (0, 1)], ids=["a", "a"])]
    lake.append("records", landed_rows(CYCLE[1], 2, [(0, 2)], ids=["a"]))
    rows.append(named(2, 1, CYCLE[1]))
    batch = select(lake, contract, GRID, CYCLE[1], Intakes.of(rows), CUMULATIVE)
    assert (batch.records, batch.seen, batch.duplicates) == (1, 2, 0)


def test_an_empty_window_has_an_empty_model_in_every_scheme(lake: Lake, contract: Contract) -> None:
    rows = Intakes.of([land(lake, 1, [(0, 0)])])
    batch = select(lake, contract, GRID, CYCLE[1], rows, CUMULATIVE)
    assert (batch.records, batch.seen, batch.first_source) == (0, 0, CYCLE[1].key)


def test_a_model_sees_nothing_from_before_the_floor(lake: Lake, contract: Contract) -> None:
    first = GRID.home(lake.floor())
    lake.append("records", landed_rows(first.step(-1), 1, [(0, 0)]))
    lake.append("records", landed_rows(first, 1, [(0, 1)]))
    rows = Intakes.of([intake(1, REACHED, {first.step(-1).key: 1, first.key: 1})])
    batch = select(lake, contract, GRID, first, rows, SLIDING)
    assert (batch.seen, batch.first_source) == (1, first.key)


def test_a_changed_scheme_gives_a_window_that_is_selected_again_a_new_revision(
    lake: Lake, contract: Contract
) -> None:
    rows = Intakes.of(land_cycle(lake))
    for scheme, revision in ((DISJOINT, 1), (SLIDING, 2), (SLIDING, 2), (CUMULATIVE, 3), (DISJOINT, 4)):
        batch = select(lake, contract, GRID, CYCLE[1], rows, scheme)
        assert batch.revision == revision
        publish(lake, GRID, batch, "published", (1, 1))


# ---- pins ----


def pin_to(version: Version, digest: str) -> Pin:
    return Pin(version, digest, NOW, "a person")


def test_a_pin_gives_a_new_revision_only_where_another_model_assigns(lake: Lake, contract: Contract) -> None:
    rows = land_cycle(lake)
    own = published(lake, contract, rows)
    unchanged = select(
        lake, contract, GRID, FIRST, Intakes.of(rows), pin=pin_to(Version(FIRST, 1), own.digest)
    )
    assert unchanged == own
    other = pin_to(Version(FIRST.step(-3), 1), "the digest of another")
    pinned = select(lake, contract, GRID, FIRST, Intakes.of(rows), pin=other)
    assert (pinned.revision, pinned.pinned) == (2, f"model_1/{FIRST.step(-3).key}/r1")
    assert pinned.digest not in (own.digest, other.digest)
    assert read_batch(lake, contract, FIRST) == pinned
    publish(lake, GRID, pinned, "published", (2, 2))
    same = pin_to(Version(FIRST.step(-3), 2), "the digest of another")  # the same model by another name
    assert select(lake, contract, GRID, FIRST, Intakes.of(rows), pin=same).revision == 2
    assert select_first(lake, contract, rows).revision == 3


# ---- revision ----


def test_the_first_answer_is_revision_one_however_often_it_is_selected(
    lake: Lake, contract: Contract
) -> None:
    rows = [land(lake, 1, [(0, 0)])]
    assert select_first(lake, contract, rows).revision == 1
    rows.append(land(lake, 2, [(0, 1)]))
    assert select_first(lake, contract, rows).revision == 1  # nothing was published yet


def test_repeating_without_anything_new_gives_the_same_batch(lake: Lake, contract: Contract) -> None:
    rows = [land(lake, 1, [(0, 0), (1, 0)])]
    first = published(lake, contract, rows)
    assert published(lake, contract, rows) == first
    assert lake.read("kafka_batch").height == 1


def test_the_revision_rises_by_one_if_and_only_if_the_digest_differs(lake: Lake, contract: Contract) -> None:
    rows = [land(lake, 1, [(0, 0)], ids=["a"], seconds=[9.0])]
    assert published(lake, contract, rows).revision == 1
    rows.append(intake(2, REACHED + timedelta(minutes=9)))
    assert published(lake, contract, rows).revision == 1
    rows.append(land(lake, 3, [(0, 1)], ids=["a"], seconds=[1.0]))  # a duplicate that does not count
    assert published(lake, contract, rows).revision == 1
    rows.append(land(lake, 4, [(0, 2)]))
    assert published(lake, contract, rows).revision == 2
    assert published(lake, contract, rows).revision == 2


def test_a_changed_contract_gives_a_new_revision_and_changed_back_another(
    lake: Lake, contract: Contract, tmp_path: Path
) -> None:
    rows = [land(lake, 1, [(0, 0)])]
    other = contract_with(tmp_path, clusters=3)
    revisions = [published(lake, one, rows).revision for one in (contract, other, other, contract)]
    assert revisions == [1, 2, 2, 3]


def test_windows_do_not_share_revisions(lake: Lake, contract: Contract) -> None:
    rows = [land(lake, 1, [(0, 0)])]
    published(lake, contract, rows)
    neighbour = FIRST.step(1)
    lake.append("records", landed_rows(neighbour, 2, [(0, 1)]))
    rows.append(named(2, 1, neighbour))
    assert select(lake, contract, GRID, neighbour, Intakes.of(rows)).revision == 1
    assert select_first(lake, contract, rows).revision == 1


# ---- reading it back ----


def test_a_batch_is_read_back_as_it_was_selected(lake: Lake, contract: Contract) -> None:
    batch = select_first(lake, contract, [land(lake, 1, [(0, 0), (0, 1)], ids=["a", "a"])])
    assert read_batch(lake, contract, FIRST) == batch
    row = lake.read("kafka_batch").row(0, named=True)
    assert (row["window"], row["slot"], row["date"]) == (FIRST.key, 1, FIRST.date)


def test_a_window_without_batch_says_what_to_materialize(lake: Lake, contract: Contract) -> None:
    with pytest.raises(LakeError, match=f"{FIRST.key} has no batch yet: materialize kafka_batch"):
        read_batch(lake, contract, FIRST)


def test_a_batch_of_another_contract_is_refused(lake: Lake, contract: Contract, tmp_path: Path) -> None:
    select_first(lake, contract, [land(lake, 1, [(0, 0)])])
    other = contract_with(tmp_path, seed=5)
    with pytest.raises(LakeError, match=f"under contract {contract.version}, in force is {other.version}"):
        read_batch(lake, other, FIRST)


def test_work_on_a_batch_that_another_run_replaced_is_refused(lake: Lake, contract: Contract) -> None:
    rows = [land(lake, 1, [(0, 0)])]
    batch = select_first(lake, contract, rows)
    check_current(lake, contract, batch)
    rows.append(land(lake, 2, [(0, 1)]))
    select_first(lake, contract, rows)
    with pytest.raises(LakeError, match=f"Another run has selected window {FIRST.key} anew"):
        check_current(lake, contract, batch)


def test_every_row_of_a_batch_has_the_columns_of_its_table(lake: Lake, contract: Contract) -> None:
    batch = select_first(lake, contract, [land(lake, 1, [(0, 0)])])
    assert set(batch.answer() | batch.counts() | batch.pin()) == set(lake.read("kafka_batch").columns)
    assert isinstance(lake.read("kafka_batch").schema["digest"], pl.String)
