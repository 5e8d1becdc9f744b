"""The parts get the settings of the stack, wherever they run."""

import os
from pathlib import Path

import pytest

from local_stack.environment import setting_variables, stack_environment
from resources.settings import load_settings


def test_settings_survive_the_way_through_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in os.environ if name.startswith("SILT_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text(
        "SILT_API_PORT=8123\nSILT_KAFKA__SASL_MECHANISM=PLAIN\nSILT_WINDOW_MINUTES=1\n"
    )
    before = load_settings()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    for name, value in setting_variables(before).items():
        monkeypatch.setenv(name, value)
    assert load_settings() == before
    assert before.api_port == 8123


def test_another_spark_of_this_machine_takes_no_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPARK_HOME", "/opt/spark")
    assert "SPARK_HOME" not in stack_environment(load_settings())
