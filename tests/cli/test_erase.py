"""`silt erase`: it says where an id is, asks, erases it, and says what it does not reach."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cli import erase
from resources.errors import LakeError
from tests.api.lakes import FIRST, HandMadeLake
from tests.resources.conftest import landed_rows


@pytest.fixture
def lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> HandMadeLake:
    monkeypatch.setenv("SILT_HOME", str(tmp_path))
    lake = HandMadeLake(tmp_path / "lake")
    lake.append("records", landed_rows(FIRST, 1, [(0, 1), (0, 2)], ["a", "b"]))
    lake.publish(FIRST, {"a": 0, "b": 1})
    return lake


def run(*arguments: str, answer: str = "") -> Result:
    return CliRunner().invoke(erase.command, arguments, input=answer)


def ids(lake: HandMadeLake) -> set[str | None]:
    return {*lake.read("records")["record_id"], *lake.read("clustering_results")["record_id"]}


def test_a_dry_run_says_where_the_id_is_and_what_is_not_reached(lake: HandMadeLake) -> None:
    shown = run("a", "--dry-run").output
    assert "records: 1 rows; 0 files of earlier versions" in shown
    assert f"windows: {FIRST.key}\n" in shown
    assert "The topics customer-support and customer-support.dlq keep the message" in shown
    assert ids(lake) == {"a", "b"}


def test_it_erases_once_a_person_agrees(lake: HandMadeLake) -> None:
    assert "Nothing was changed." in run("a", answer="n\n").output
    assert ids(lake) == {"a", "b"}
    shown = run("a", answer="y\n")
    assert "clustering_results: 1 rows erased, 1 files deleted" in shown.output
    assert (shown.exit_code, ids(lake)) == (0, {None, "b"})
    assert "records: 0 rows erased" in run("a", "--yes").output


def test_what_is_not_erased_yet_is_an_error(lake: HandMadeLake) -> None:
    lake.replace_answer(FIRST, {"a": 0}, revision=2)
    error = run("a", "--yes").exception
    assert isinstance(error, LakeError)
    assert "a window shows its answer of it until its next is published" in str(error)
