"""One id over many windows: the index answers as a scan of all published rows would."""

import random
import shutil
from datetime import timedelta
from pathlib import Path

import pytest

from api.answers import Answers
from api.problems import NotThereError
from resources.id_index import FOLDER, IdIndex
from resources.lake import Lake
from resources.upkeep.days import compact_running, merge_past
from resources.upkeep.report import Report
from tests.api.lakes import FIRST, GRID, HandMadeLake

IDS = [f"id-{number}" for number in range(6)]
Shown = dict[int, dict[str, int]]
"""By the window's place: the clusters of its ids."""


def opened(lake: Lake, megabytes: int = 1) -> Answers:
    return Answers(Lake(lake.uri), GRID, IdIndex(Path(lake.uri).parent / FOLDER, megabytes))


def expected(shown: Shown, unique_id: str, slot: int | None) -> tuple[str, int] | None:
    places = [p for p, ids in shown.items() if unique_id in ids and slot in (None, FIRST.step(p).slot)]
    return (FIRST.step(max(places)).key, shown[max(places)][unique_id]) if places else None


def found(answers: Answers, unique_id: str, slot: int | None) -> tuple[str, int] | None:
    try:
        result = answers.find(unique_id, f"model_{slot}" if slot else None, None)
    except NotThereError:
        return None
    return result.window, result.cluster


def agree(answers: Answers, shown: Shown) -> None:
    for unique_id in (*IDS, "nowhere"):
        for slot in (None, 1, 2, 3):
            assert found(answers, unique_id, slot) == expected(shown, unique_id, slot)
    for place, ids in shown.items():
        for unique_id, cluster in ids.items():
            assert answers.find(unique_id, None, FIRST.step(place).key).cluster == cluster


@pytest.mark.parametrize("seed", range(3))
def test_index_answers_as_a_scan_while_windows_are_published_again_and_merged(
    tmp_path: Path, seed: int
) -> None:
    lake, draw = HandMadeLake(tmp_path / "lake"), random.Random(seed)
    running, shown, revisions = opened(lake), Shown(), dict[int, int]()
    for step in range(12):
        place = draw.randrange(-4, 5) * 20  # over three days
        ids = {unique_id: draw.randrange(2) for unique_id in draw.sample(IDS, draw.randrange(1, 6))}
        revisions[place] = revisions.get(place, 0) + 1
        lake.publish(FIRST.step(place), ids, revisions[place])
        shown[place] = ids
        if step % 4 == 3:
            report = Report(Lake(lake.uri))
            compact_running(report.lake, FIRST.date, report)
            merge_past(report.lake, FIRST.date + timedelta(days=draw.randrange(2)), report)
        agree(running, shown)
        if step % 2:
            running.keep_up()
            agree(running, shown)
    agree(opened(lake), shown)


def test_index_that_was_deleted_is_made_again(lake: HandMadeLake, tmp_path: Path) -> None:
    for place in range(20):
        lake.publish(FIRST.step(place), {"everywhere": 0, f"id-{place}": 1})
    opened(lake).keep_up()
    shutil.rmtree(tmp_path / FOLDER)

    answers = opened(lake)
    assert found(answers, "id-3", None) == (FIRST.step(3).key, 1)
    assert found(answers, "everywhere", None) == (FIRST.step(19).key, 0)
    answers.keep_up()
    assert list((tmp_path / FOLDER).glob("*/keys.npy"))
    assert found(answers, "id-3", None) == (FIRST.step(3).key, 1)


def test_windows_beyond_the_bound_are_scanned(lake: HandMadeLake, tmp_path: Path) -> None:
    for place in range(12):
        lake.publish(FIRST.step(place), {f"id-{place}": 0})
    answers = opened(lake, megabytes=0)
    answers.keep_up()
    assert not list((tmp_path / FOLDER).glob("*/keys.npy"))
    assert found(answers, "id-0", None) == (FIRST.key, 0)
    assert found(answers, "nowhere", None) is None


def test_once_all_is_indexed_only_the_file_that_has_the_id_is_read(
    lake: HandMadeLake, tmp_path: Path
) -> None:
    for place in range(3):
        lake.publish(FIRST.step(place), {f"id-{place}": 0})
    answers = opened(lake)
    answers.keep_up()
    files = {
        file.read_bytes().find(b"id-1") > 0: file
        for file in (tmp_path / "lake" / "clustering_results").glob("date=*/*.parquet")
    }
    files[False].write_bytes(b"no Parquet")

    assert found(answers, "id-1", None) == (FIRST.step(1).key, 0)
    assert found(answers, "nowhere", None) is None


def test_index_that_points_to_another_record_is_not_believed(lake: HandMadeLake, tmp_path: Path) -> None:
    lake.publish(FIRST, {"a": 0, "b": 1, "c": 0})
    opened(lake).keep_up()
    (rows,) = (tmp_path / FOLDER).glob("*/rows.npy")
    content = rows.read_bytes()
    rows.write_bytes(content[:-12] + (b"\2\0\0\0" * 3))

    answers = opened(lake)
    for unique_id, cluster in {"a": 0, "b": 1, "c": 0}.items():
        assert answers.find(unique_id, None, None).unique_id == unique_id
        assert found(answers, unique_id, None) == (FIRST.key, cluster)
