"""What the stack starts of its own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from dagster import DagsterInstance

from local_stack.dagster_home import write_dagster_home
from local_stack.platform_parts import platform_parts
from resources.lake import Lake
from resources.settings import Settings


def once(settings: Settings) -> list[list[str]]:
    """The commands that are run before, or beside, what stays."""
    return [part.command for part in platform_parts(settings, sample=False) if part.once]


def test_a_new_home_gets_its_lake_at_once_and_has_no_orphans(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, _env_file=None)
    (lake,) = once(settings)
    subprocess.run(lake, env={**os.environ, "SILT_HOME": str(tmp_path)}, check=True)
    assert Lake(settings.lake).exists
    assert once(settings) == []


def test_a_home_that_was_in_use_is_searched_for_orphans(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "dagster"))
    settings = Settings(home=tmp_path, lake_uri="s3://bucket/lake", _env_file=None)
    write_dagster_home(tmp_path / "dagster", settings)
    with DagsterInstance.from_config(str(tmp_path / "dagster")):
        assert once(settings) == [[sys.executable, "-m", "local_stack.orphans"]]


def test_a_lake_that_cannot_be_made_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    env = {**os.environ, "SILT_LAKE_URI": str(tmp_path / "file" / "lake")}
    command = [sys.executable, "-m", "local_stack.new_lake"]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "cannot be written" in done.stderr


@pytest.mark.parametrize("read_only", [True, False])
def test_dagster_ui_changes_nothing_where_it_is_read_only(tmp_path: Path, read_only: bool) -> None:
    settings = Settings(home=tmp_path, dagster_read_only=read_only, _env_file=None)
    commands = {part.name: part.command for part in platform_parts(settings, sample=False)}
    assert ("--read-only" in commands["dagster"]) == read_only
    assert "--read-only" not in commands["daemon"]
