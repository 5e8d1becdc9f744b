"""What the stack starts of its own."""

from pathlib import Path

import pytest

from local_stack.platform_parts import platform_parts
from resources.settings import Settings


@pytest.mark.parametrize("read_only", [True, False])
def test_dagster_ui_changes_nothing_where_it_is_read_only(tmp_path: Path, read_only: bool) -> None:
    settings = Settings(home=tmp_path, dagster_read_only=read_only, _env_file=None)
    commands = {part.name: part.command for part in platform_parts(settings, sample=False)}
    assert ("--read-only" in commands["dagster"]) == read_only
    assert "--read-only" not in commands["daemon"]
