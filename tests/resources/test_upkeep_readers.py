"""Upkeep under the API's feet: what it shows stays readable, whatever is merged and deleted beneath it."""

import uuid
from datetime import timedelta
from pathlib import Path

import pytest

from api.answers import Answers
from resources.id_index import IdIndex
from resources.lake import Lake
from resources.new_tables import FILES_KEPT
from resources.upkeep.days import compact_running, merge_past
from resources.upkeep.report import Report
from resources.upkeep.vacuum import vacuum
from tests.api.lakes import FIRST, GRID, HandMadeLake
from tests.resources.aging import age

HOUR = timedelta(hours=1)


@pytest.fixture
def lake(tmp_path: Path) -> HandMadeLake:
    """Twenty published windows."""
    lake = HandMadeLake(tmp_path / "lake")
    for count in range(20):
        lake.publish(FIRST.step(count), {f"id-{count}": 0, f"other-{count}": 1})
    return lake


def opened(lake: Lake) -> Answers:
    """The API's reading of a lake, with an index of its own that keeps up once."""
    answers = Answers(Lake(lake.uri), GRID, IdIndex(Path(f"{lake.uri}-ids-{uuid.uuid4()}"), 1))
    answers.keep_up()
    return answers


def upkeep(lake: Lake) -> None:
    """All of it, hours later: the day is over and past the lateness."""
    age(lake, FILES_KEPT / HOUR + 1)
    report = Report(Lake(lake.uri))
    compact_running(report.lake, FIRST.date, report)
    merge_past(report.lake, FIRST.date + timedelta(days=1), report)
    vacuum(report.lake, report)
    age(lake, FILES_KEPT / HOUR + 1)
    vacuum(report.lake, Report(report.lake))
    assert not report.left


def model_version(answers: Answers, count: int, named: bool) -> str:
    window = FIRST.step(count).key if named else None
    found = answers.find(f"id-{count}", None, window)
    assert found.window == FIRST.step(count).key
    return found.model_version[-2:]


def test_all_answers_are_there_after_a_merge_and_a_vacuum(lake: HandMadeLake) -> None:
    running = opened(lake)
    assert model_version(running, 3, named=False) == "r1"
    upkeep(lake)
    for answers in (running, opened(lake)):
        for count in range(20):
            assert model_version(answers, count, named=count % 2 == 0) == "r1"
            assert len(answers.cluster_stats(None, FIRST.step(count).key)) == 2


@pytest.mark.parametrize("merged_first", [False, True])
def test_a_window_whose_new_answer_failed_shows_its_old_one_through_all_upkeep(
    lake: HandMadeLake, merged_first: bool
) -> None:
    if merged_first:  # then the files of the version that its row names are gone
        upkeep(lake)
    running = opened(lake)
    assert model_version(running, 3, named=True) == "r1"
    lake.replace_answer(FIRST.step(3), {"id-3": 1, "other-3": 0}, revision=2)  # and its run is killed
    assert model_version(running, 3, named=True) == "r1"
    upkeep(lake)
    assert model_version(running, 3, named=True) == "r1"
    assert model_version(running, 3, named=False) == "r1"
    assert len(running.cluster_stats(None, FIRST.step(3).key)) == 2
    restarted = opened(lake)
    assert model_version(restarted, 3, named=True) == "r1"
    assert len(restarted.cluster_stats(None, FIRST.step(3).key)) == 2
    lake.publish(FIRST.step(3), {"id-3": 1, "other-3": 0}, revision=2)
    upkeep(lake)
    assert model_version(running, 3, named=True) == "r2"
