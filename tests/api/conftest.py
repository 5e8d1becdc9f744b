"""A lake made by hand, and the API over it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from resources.settings import Settings
from tests.api.clients import Client, client_of
from tests.api.lakes import HandMadeLake


@pytest.fixture
def lake(tmp_path: Path) -> HandMadeLake:
    return HandMadeLake(tmp_path / "lake")


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    """A client of the API over the lake in the test's folder, be it there or not."""
    with client_of(Settings(home=tmp_path)) as client:
        yield client
