"""What ``silt doctor`` says of the index of record ids."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from api.answers import Answers
from cli.doctor import command
from resources.id_index import FOLDER, IdIndex
from resources.lake import Lake
from tests.api.lakes import FIRST, GRID, HandMadeLake


def asked(home: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, Result]:
    monkeypatch.setenv("SILT_HOME", str(home))
    result = CliRunner().invoke(command)
    return next(line for line in result.output.splitlines() if "index" in line[:17]), result


def test_doctor_tells_how_many_windows_are_indexed_and_what_is_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = HandMadeLake(tmp_path / "lake")
    lake.publish(FIRST, {"a": 0})
    answers = Answers(Lake(lake.uri), GRID, IdIndex(tmp_path / FOLDER, 1))
    answers.keep_up()
    lake.publish(FIRST.step(1), {"b": 0})
    line, _ = asked(tmp_path, monkeypatch)
    assert line.startswith("ok")
    assert "1 of 2 published windows; the API adds the others" in line

    answers.keep_up()
    assert asked(tmp_path, monkeypatch)[0].endswith("2 of 2 published windows")

    keys = next((tmp_path / FOLDER).glob("*/keys.npy"))
    content = keys.read_bytes()
    keys.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    line, result = asked(tmp_path, monkeypatch)
    assert line.startswith("FAILED") and keys.parent.name in line and "delete the folder" in line
    assert result.exit_code == 2
