"""Which Java is in use, and what is said about a wrong one."""

from pathlib import Path

import pytest

from local_stack.java import find_java, java_version
from resources.errors import MissingDependencyError


def stand_in(folder: Path, told: str) -> Path:
    """A `java` that prints a version to stderr, as the real one does."""
    folder.mkdir(parents=True, exist_ok=True)
    java = folder / "java"
    java.write_text(f"#!/bin/sh\necho '{told}' >&2\n")
    java.chmod(0o755)
    return java


@pytest.mark.parametrize(
    ("told", "version"),
    [
        ('openjdk version "17.0.15" 2025-04-15', 17),
        ('openjdk version "21" 2023-09-19', 21),
        ('java version "1.8.0_402"', 8),
        ('openjdk version "25-ea" 2025-09-16', 25),
    ],
)
def test_feature_version_is_read_in_every_form(tmp_path: Path, told: str, version: int) -> None:
    assert java_version(stand_in(tmp_path, told)) == version


def test_java_of_java_home_wins_over_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = stand_in(tmp_path / "home" / "bin", 'openjdk version "21.0.1"')
    stand_in(tmp_path / "path", 'openjdk version "17.0.1"')
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    assert find_java() == wanted


def test_java_home_without_java_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(MissingDependencyError, match=f"JAVA_HOME is {tmp_path}"):
        find_java()


def test_program_that_is_no_java_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingDependencyError, match="does not say which Java it is"):
        java_version(stand_in(tmp_path, "Unable to locate a Java Runtime."))
