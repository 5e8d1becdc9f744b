"""docs/api.md tells the truth: its examples run as written, and its tables are complete."""

import contextlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from litestar import Litestar

from api import problems
from api.app import create_app
from resources.settings import Settings
from tests.api.full_lake import FullLake
from tests.stacks import free_ports, until

PROJECT = Path(__file__).parent.parent
DOCUMENT = (PROJECT / "docs" / "api.md").read_text()
_FENCE = re.compile(r"^```(\w+)\n(.*?)^```\n(?:```(json|text)\n(.*?)^```\n)?", re.MULTILINE | re.DOTALL)
EXAMPLES = [found.groups() for found in _FENCE.finditer(DOCUMENT)]
_NEEDS = {"sh": ("curl", "jq"), "js": ("node",), "python": ()}


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where an API answers from a lake in which there is something of everything."""
    home = tmp_path_factory.mktemp("home")
    FullLake(home / "lake")
    (port,) = free_ports(1)
    environment = {**os.environ, "SILT_HOME": str(home), "SILT_API_PORT": str(port)}
    api = subprocess.Popen([sys.executable, "-m", "api"], cwd=PROJECT, env=environment)
    try:
        until(lambda: _listens(port), 60)
        yield f"localhost:{port}"
    finally:
        api.terminate()
        api.wait(30)


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Litestar:
    return create_app(Settings(_env_file=None, home=tmp_path_factory.mktemp("home")))


def _listens(port: int) -> bool:
    with contextlib.suppress(httpx.TransportError):
        return httpx.get(f"http://127.0.0.1:{port}/health/ready").status_code == 200
    return False


@pytest.mark.parametrize("example", EXAMPLES, ids=[f"{item[0]}-{i}" for i, item in enumerate(EXAMPLES)])
def test_an_example_runs_as_written(example: tuple[str, str, str, str], address: str) -> None:
    language, code, kind, shown = example
    missing = [tool for tool in _NEEDS[language] if not shutil.which(tool)]
    if missing:
        pytest.skip(f"{missing[0]} is not installed")
    printed = _run(language, code.replace("localhost:8000", address))
    if kind == "json":
        assert json.loads(printed) == json.loads(shown)
    elif kind:
        assert printed == shown


def _run(language: str, code: str) -> str:
    if language == "python":
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            exec(compile(code, "docs/api.md", "exec"), {})
        return printed.getvalue()
    command = (
        ["bash", "-euo", "pipefail", "-c"] if language == "sh" else ["node", "--input-type=module", "-e"]
    )
    environment = {**os.environ, "SILT_KEY": "silt_none"}
    found = subprocess.run([*command, code], env=environment, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr
    return found.stdout


def _table(first: str) -> list[list[str]]:
    """The rows below a table's head whose first cell is this one."""
    lines = DOCUMENT.split(f"| {first} |", 1)[1].split("\n\n", 1)[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_every_route_is_in_the_table(app: Litestar) -> None:
    paths: dict[str, dict[str, Any]] = app.openapi_schema.to_schema()["paths"]
    documented = {
        f"`{method.upper()} {path}`"
        for path, item in paths.items()
        for method in item
        if method in ("get", "post")
    }
    assert {row[0] for row in _table("route")} >= documented
    assert {row[0] for row in _table("route")} - documented <= {"`GET /metrics`"}


def test_every_problem_is_in_the_table() -> None:
    known = {(int(kind.status), kind.kind) for kind in _subclasses(problems.ProblemError)}
    known |= {(status, kind) for status, (kind, _, _) in problems._FRAMEWORK.items()} | {(503, "unavailable")}
    assert {(int(row[0]), row[1].strip("`")) for row in _table("status")} == known


def _subclasses(kind: type[problems.ProblemError]) -> set[type[problems.ProblemError]]:
    return {kind}.union(*(_subclasses(item) for item in kind.__subclasses__()))


def test_every_operation_says_what_it_is_for(app: Litestar) -> None:
    for item in app.openapi_schema.to_schema()["paths"].values():
        for operation in item.values():
            assert operation["summary"]
            assert operation["description"]
            assert operation["tags"]
            assert operation["operationId"]
