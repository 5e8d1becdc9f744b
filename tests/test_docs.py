"""README and code agree."""

import re
import tomllib

import pytest

from cli.main import silt
from resources.settings import PROJECT, Settings, variables

README = (PROJECT / "README.md").read_text()


@pytest.mark.parametrize("variable", variables())
def test_readme_lists_every_setting(variable: str) -> None:
    assert f"`{variable}`" in README


def test_readme_names_no_setting_that_is_not_there() -> None:
    named = set(re.findall(r"SILT_[A-Z_]*[A-Z]", README)) - {"SILT_KAFKA"}
    assert {name for name in named if not name.startswith("SILT_KAFKA__")} <= set(variables())


def test_readme_states_the_defaults() -> None:
    table = dict(re.findall(r"^\| `(SILT_[A-Z_]+)` \| `?([^|`]*?)`? \|", README, re.MULTILINE))
    numbers = {name: value for name, value in table.items() if value.isdigit()}
    assert numbers
    for name, value in numbers.items():
        assert Settings.model_fields[name.removeprefix("SILT_").lower()].default == int(value)


def test_readme_names_every_command() -> None:
    for command in silt.list_commands(None):  # type: ignore[arg-type]
        assert f"`silt {command}" in README


def test_the_lock_holds_every_dependency() -> None:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())
    wanted = [*project["project"]["dependencies"], *project["dependency-groups"]["dev"]]
    locked = re.findall(r"^([a-z0-9-]+)==", (PROJECT / "requirements.lock").read_text(), re.MULTILINE)
    names = {re.split(r"[\[<>=]", requirement)[0] for requirement in wanted}
    assert names <= set(locked)
