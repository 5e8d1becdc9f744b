"""What a killed stack left behind is ended by the next start, and nothing else is."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from local_stack.groups import MARK, GroupRecords, members
from tests.local_stack.fixture_types import Until

Leader = subprocess.Popen[bytes]

FORKS = "import os, time; os.fork(); time.sleep(600)"


@pytest.fixture
def leader() -> Iterator[Leader]:
    """A process that leads a group of two, without any mark."""
    process = subprocess.Popen([sys.executable, "-c", FORKS], start_new_session=True)
    yield process
    for member in members(process.pid):
        member.kill()
    process.wait()


def test_recorded_group_is_ended_with_all_its_members(home: Path, leader: Leader, until: Until) -> None:
    until(lambda: len(members(leader.pid)) == 2, 5)
    GroupRecords(home).write("part", leader.pid)
    assert GroupRecords(home).end_leftovers() == 2
    assert members(leader.pid) == []
    assert list((home / "run").iterdir()) == []


def test_group_whose_leader_is_dead_is_known_by_its_mark(home: Path, until: Until) -> None:
    env = {**os.environ, MARK: str(home)}
    process = subprocess.Popen([sys.executable, "-c", FORKS], start_new_session=True, env=env)
    until(lambda: len(members(process.pid)) == 2, 5)
    process.kill()
    process.wait()
    assert GroupRecords(home).end_leftovers() == 1
    assert members(process.pid) == []


def test_process_that_got_the_number_of_a_recorded_one_is_left_alone(
    home: Path, leader: Leader, until: Until
) -> None:
    until(lambda: len(members(leader.pid)) == 2, 5)
    records = GroupRecords(home)
    records.write("part", leader.pid)
    record = home / "run" / "part.json"
    created = psutil.Process(leader.pid).create_time() - 60
    record.write_text(json.dumps({"pid": leader.pid, "created": created}))
    assert records.end_leftovers() == 0
    assert len(members(leader.pid)) == 2


def test_unreadable_record_does_not_stop_the_start(home: Path) -> None:
    (home / "run").mkdir(parents=True)
    (home / "run" / "part.json").write_text("{")
    assert GroupRecords(home).end_leftovers() == 0
