"""`silt keys`: made and shown once, listed without their secrets, revoked."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cli import keys
from resources.api_keys import add_key, parse_key, read_keys
from resources.errors import SettingError
from resources.settings import variables


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the settings say that the keys are; nothing is there yet."""
    for name in variables():
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SILT_API_KEYS_FILE", str(tmp_path / "secret" / "keys.yaml"))
    return tmp_path / "secret" / "keys.yaml"


def silt_keys(*arguments: str) -> Result:
    return CliRunner().invoke(keys.command, arguments)


def test_a_key_is_shown_once_and_never_kept(file: Path) -> None:
    text = silt_keys("new", "dashboard", "--scope", "predict", "--scope", "read").stdout.strip()

    parts = parse_key(text)
    assert parts
    (key,) = read_keys(file)
    assert (key.name, key.id, key.scopes) == ("dashboard", parts[0], ["read", "predict"])
    assert key.fits(parts[1])
    assert not key.fits(parts[1][::-1])
    assert parts[1] not in file.read_text()
    assert file.stat().st_mode & 0o777 == 0o600
    listed = silt_keys("list").output
    assert "dashboard" in listed
    assert parts[1] not in listed


def test_a_key_may_read_unless_more_is_said(file: Path) -> None:
    silt_keys("new", "plain")
    assert read_keys(file)[0].scopes == ["read"]


def test_a_revoked_key_is_gone_and_the_others_stay(file: Path) -> None:
    silt_keys("new", "one")
    silt_keys("new", "other")
    assert silt_keys("revoke", "one").exit_code == 0
    assert [key.name for key in read_keys(file)] == ["other"]


def test_each_mistake_is_one_clear_error(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(*arguments: str) -> str:
        outcome = silt_keys(*arguments)
        assert isinstance(outcome.exception, SettingError)
        assert "\n" not in str(outcome.exception)
        return str(outcome.exception)

    assert "silt keys new" in wrong("list")
    silt_keys("new", "one")
    assert "named 'one' already" in wrong("new", "one")
    assert "There are: one." in wrong("revoke", "other")
    file.write_text("- name: one\n")
    assert "is no list of keys" in wrong("list")
    file.write_text("[")
    assert "is no list of keys" in wrong("new", "other")
    assert file.read_text() == "[", "a file that cannot be read is not replaced"
    monkeypatch.setenv("SILT_API_KEYS_FILE", "")
    assert "SILT_API_KEYS_FILE is not set" in wrong("list")


def test_keys_made_at_once_are_all_there(file: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        texts = list(pool.map(lambda number: add_key(file, f"key {number}", ["read"]), range(8)))
    assert {key.id for key in read_keys(file)} == {parts[0] for text in texts if (parts := parse_key(text))}
    assert sorted(path.name for path in file.parent.iterdir()) == ["keys.yaml", "keys.yaml.lock"]
