"""The API keeps to its own document, whatever it is asked: schemathesis, in a short form.

The long one is ``python -m bench.api_conformance``.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings

import tests.api.conformance_checks  # noqa: F401 - registers them
from api import keyring
from api.app import create_app
from resources.api_keys import add_key
from resources.settings import Settings
from tests.api.full_lake import FullLake

CONFIG = Path(__file__).parent / "conformance.toml"
FEW = settings(
    max_examples=5, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("home")
    FullLake(home / "lake")
    return home


def _document(home: Path, **more: Any) -> Any:
    app = create_app(Settings(_env_file=None, home=home, api_allowed_hosts="*", **more))
    config = schemathesis.Config.from_path(CONFIG)
    return schemathesis.openapi.from_asgi("/schema/openapi.json", app, config=config)


@pytest.fixture(scope="module")
def open_api(home: Path) -> Any:
    return _document(home)


@pytest.fixture(scope="module")
def closed_api(home: Path, key: str) -> Any:
    return _document(home, api_keys_file=str(home / "keys"), api_rate_per_minute=0)


@pytest.fixture(scope="module", autouse=True)
def _many_guesses() -> Iterator[None]:
    """Each operation is asked with a wrong key, too."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keyring, "GUESSES", 1_000)
        yield


@pytest.fixture(scope="module")
def key(home: Path) -> str:
    return add_key(home / "keys", "conformance", ["read", "predict"])


@schemathesis.pytest.from_fixture("open_api").parametrize()
@FEW
def test_answers_without_keys_are_as_documented(case: Any) -> None:
    case.call_and_validate()


@schemathesis.pytest.from_fixture("closed_api").parametrize()
@FEW
def test_answers_to_a_key_are_as_documented(key: str, case: Any) -> None:
    case.call_and_validate(headers={"Authorization": f"Bearer {key}"})
