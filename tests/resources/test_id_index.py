"""The index of record ids: it finds what is in the files, whatever was added, replaced, torn or cut off."""

import random
from collections.abc import Iterable
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resources.id_index import IdIndex, damaged
from resources.id_segments import ENTRY_BYTES

FOLDER = "ids"
Files = dict[str, list[str]]


def write(folder: Path, name: str, ids: Iterable[str]) -> str:
    """A data file with these ids, in this order."""
    address = str(folder / f"{name}.parquet")
    pl.DataFrame({"record_id": list(ids)}, schema={"record_id": pl.String}).write_parquet(address)
    return address


def rows(files: Iterable[str]) -> dict[str, int]:
    return {address: len(pl.read_parquet(address)) for address in files}


def scanned(unique_id: str, files: Iterable[str]) -> dict[str, set[int]]:
    """What a scan finds: address to rows."""
    found = {f: {r for r, i in enumerate(pl.read_parquet(f)["record_id"]) if i == unique_id} for f in files}
    return {address: places for address, places in found.items() if places}


IDS = st.sampled_from(["", "a", "b", "é", "x" * 300, "0", "00"])
STEPS = st.lists(st.tuples(st.lists(IDS, max_size=5), st.sets(st.integers(0, 9))), min_size=1, max_size=10)


@settings(max_examples=15, deadline=None)
@given(steps=STEPS)
def test_finds_what_a_scan_finds_after_files_came_and_went(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[list[str], set[int]]]
) -> None:
    folder = tmp_path_factory.mktemp("files")
    index = IdIndex(folder / FOLDER, 1)
    files: list[str] = []
    for number, (ids, gone) in enumerate(steps):
        files.append(write(folder, str(number), ids))
        kept = [address for place, address in enumerate(files) if place not in gone]
        assert index.update(rows(kept))
        assert index.held.files >= set(kept)
        reopened = IdIndex(folder / FOLDER, 1)
        for unique_id in ("", "a", "b", "é", "x" * 300, "0", "00", "nowhere"):
            found = index.held.find(unique_id)
            assert {a: places for a, places in found.items() if a in kept} == scanned(unique_id, kept)
            assert reopened.held.find(unique_id) == found


def test_many_files_are_few_segments_and_what_is_gone_leaves_the_disk(tmp_path: Path) -> None:
    files = [write(tmp_path, str(n), (f"{n}-{i}" for i in range(50))) for n in range(60)]
    index = IdIndex(tmp_path / FOLDER, 1)
    for count in range(1, len(files) + 1):
        index.update(rows(files[:count]))
    assert len(index.held.segments) <= 6
    assert len(list((tmp_path / FOLDER).glob("*/files.json"))) == len(index.held.segments)

    index.update(rows(files[:3]))
    assert sum(len(segment) for segment in index.held.segments) == 150


def test_files_of_very_different_sizes_are_all_found(tmp_path: Path) -> None:
    draw = random.Random(5)
    files = [
        write(tmp_path, str(n), (f"{n}-{i}" for i in range(draw.choice([1, 30, 900])))) for n in range(30)
    ]
    index = IdIndex(tmp_path / FOLDER, 1)
    for count in range(3, len(files) + 1, 3):
        index.update(rows(files[:count]))
    for number, address in enumerate(files):
        last = rows([address])[address] - 1
        assert index.held.find(f"{number}-{last}") == {address: {last}}


@pytest.mark.parametrize("part", ["keys.npy", "rows.npy", "files.json"])
def test_torn_segment_is_passed_over_and_made_again(tmp_path: Path, part: str) -> None:
    file = write(tmp_path, "file", ["a", "b"])
    IdIndex(tmp_path / FOLDER, 1).update(rows([file]))
    (torn,) = (tmp_path / FOLDER).glob(f"*/{part}")
    torn.write_bytes(torn.read_bytes()[:-5])

    index = IdIndex(tmp_path / FOLDER, 1)
    assert not index.held.files
    assert damaged(tmp_path / FOLDER) == [torn.parent.name]
    index.update(rows([file]))
    assert index.held.find("b") == {file: {1}}
    assert not damaged(tmp_path / FOLDER)


def test_changed_byte_is_damage(tmp_path: Path) -> None:
    IdIndex(tmp_path / FOLDER, 1).update(rows([write(tmp_path, "file", ["a", "b"])]))
    (keys,) = (tmp_path / FOLDER).glob("*/keys.npy")
    content = keys.read_bytes()
    keys.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert damaged(tmp_path / FOLDER) == [keys.parent.name]


def test_what_a_killed_writer_left_is_removed(tmp_path: Path) -> None:
    left = tmp_path / FOLDER / "0123.new"
    left.mkdir(parents=True)
    (left / "keys.npy").write_bytes(b"half")
    index = IdIndex(tmp_path / FOLDER, 1)
    index.update(rows([write(tmp_path, "file", ["a"])]))
    assert not left.exists()
    assert index.held.find("a")


def test_beyond_the_bound_the_last_files_are_left_out(tmp_path: Path) -> None:
    third = 1_000_000 // ENTRY_BYTES // 3
    files = [write(tmp_path, str(n), (f"{n}-{i}" for i in range(third))) for n in range(4)]
    index = IdIndex(tmp_path / FOLDER, 1)
    index.update(rows(files[1:]))
    index.update(rows(files))
    assert index.held.files == set(files[:3])
    assert sum(f.stat().st_size for f in (tmp_path / FOLDER).rglob("*.npy")) < 1_010_000


def test_while_another_process_writes_nothing_is_done_and_then_its_segments_are_used(tmp_path: Path) -> None:
    file = write(tmp_path, "file", ["a"])
    one, other = IdIndex(tmp_path / FOLDER, 1), IdIndex(tmp_path / FOLDER, 1)
    with one.alone() as alone:
        assert alone
        assert not other.update(rows([file]))
    one.update(rows([file]))
    other.update(rows([file]))
    assert [s.folder for s in one.held.segments] == [s.folder for s in other.held.segments]
