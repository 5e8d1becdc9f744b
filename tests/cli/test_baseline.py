"""`silt baseline`: pinned, shown, replaced by nothing else than a person, forgotten."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cli import baseline
from resources.errors import WindowError
from resources.settings import variables
from tests.platform_assets.reviewed import RECORDS, Reviewed


@pytest.fixture
def reviewed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Reviewed:
    """A published window in the lake that the settings in force name."""
    made = Reviewed(tmp_path)
    with made.instance:
        made.publish(made.windows[0], seed=1)
    for name in variables():
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SILT_HOME", str(tmp_path))
    monkeypatch.setenv("SILT_CONTRACT", str(made.settings.contract))
    return made


def silt_baseline(*arguments: str) -> Result:
    return CliRunner().invoke(baseline.command, arguments)


def test_a_published_window_is_pinned_shown_and_unpinned(reviewed: Reviewed) -> None:
    key = reviewed.windows[0].key
    assert silt_baseline("show").output == "No baseline is pinned.\n"
    pinned = silt_baseline("pin", key).output
    assert pinned.startswith(f"{key}, {RECORDS} records, digest ")
    assert silt_baseline("show").output == pinned
    assert silt_baseline("unpin").output == f"{key} is no baseline any more.\n"
    assert silt_baseline("unpin").output == "No baseline was pinned.\n"


def test_what_cannot_be_pinned_is_said(reviewed: Reviewed) -> None:
    for key, message in (("yesterday", "is no window"), (reviewed.windows[1].key, "no published clusters")):
        refused = silt_baseline("pin", key).exception
        assert isinstance(refused, WindowError)
        assert message in str(refused)
