"""The API as a process of its own, on granian."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from resources.settings import PROJECT
from tests.api.lakes import FIRST, HandMadeLake

START_SECONDS = 20
STRANGE_IDS = ["a/b", "a//b/", "é?#%", "it's", "%2F", "x y+z"]


def _environment(**settings: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SILT_")}
    return {**kept, **settings}


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    """A running API over the lake in the test's folder."""
    with _running(tmp_path) as url:
        yield url


@contextmanager
def _running(home: Path, **more: str) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = _environment(SILT_HOME=str(home), SILT_API_PORT=str(port), **more)
    process = subprocess.Popen([sys.executable, "-m", "api"], env=settings, cwd=PROJECT)
    try:
        yield _answering(process, f"http://{more.get('SILT_API_HOST', '127.0.0.1')}:{port}")
    finally:
        process.terminate()
        assert process.wait(10) == 0


def _answering(process: "subprocess.Popen[bytes]", url: str) -> str:
    for _ in range(START_SECONDS * 20):
        assert process.poll() is None, "the API ended before it answered"
        try:
            httpx.get(f"{url}/health/live").raise_for_status()
        except httpx.ConnectError:
            time.sleep(0.05)
        else:
            return url
    raise AssertionError(f"the API did not answer within {START_SECONDS} s")


def test_client_walks_and_looks_up_over_http(lake: HandMadeLake, url: str) -> None:
    names = sorted([*STRANGE_IDS, *(f"r{n}" for n in range(20))])
    for step in range(3):
        lake.publish(FIRST.step(step), dict.fromkeys(names, 0))

    with httpx.Client() as client:
        rows, page = [], f"{url}/api/clustering-results?limit=7"
        while page:
            response = client.get(page)
            rows += response.json()
            page = response.links.get("next", {}).get("url", "")
        assert [(row["window"], row["uniqueId"]) for row in rows] == [
            (FIRST.step(step).key, name) for step in (2, 1, 0) for name in names
        ]
        for name in STRANGE_IDS:
            encoded = "".join(f"%{byte:02X}" for byte in name.encode())
            assert client.get(f"{url}/api/clustering-results/{encoded}").json()["uniqueId"] == name
        plain = client.get(f"{url}/api/clustering-results/a//b/").json()
        assert plain["uniqueId"] == "a//b/"
        assert client.get(f"{url}/api/models").headers["content-type"] == "application/json"


def test_wrong_setting_is_one_line_and_exit_code_2() -> None:
    line = _refused(SILT_API_PRT="1")
    assert "SILT_API_PRT" in line
    assert "SILT_API_PORT" in line
    assert "SILT_API_HOST='no.such.host.invalid'" in _refused(SILT_API_HOST="no.such.host.invalid")


def test_port_of_another_process_is_not_shared(url: str) -> None:
    port = url.rpartition(":")[2]
    assert f"127.0.0.1:{port}" in _refused(SILT_API_PORT=port)


def test_host_may_be_a_name(tmp_path: Path) -> None:
    with _running(tmp_path, SILT_API_HOST="localhost") as url:
        assert httpx.get(f"{url}/health/live").status_code == 200


def test_strangers_are_not_answered_unless_told_so_by_name(tmp_path: Path) -> None:
    line = _refused(SILT_API_HOST="0.0.0.0")
    assert all(name in line for name in ("SILT_API_HOST", "SILT_API_KEYS_FILE", "SILT_API_OPEN"))
    assert "silt keys new" in _refused(SILT_API_KEYS_FILE=str(tmp_path / "none"))
    with _running(tmp_path, SILT_API_HOST="0.0.0.0", SILT_API_OPEN="true") as url:
        assert httpx.get(f"{url}/health/live").status_code == 200


def _refused(**settings: str) -> str:
    """The one line that a process with these settings ends with."""
    outcome = subprocess.run(
        [sys.executable, "-m", "api"],
        env=_environment(**settings),
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
        timeout=START_SECONDS,
    )
    assert outcome.returncode == 2
    (line,) = outcome.stderr.splitlines()
    return line


def test_neither_dagster_nor_spark_nor_kafka_is_imported(lake: HandMadeLake, tmp_path: Path) -> None:
    lake.publish(FIRST, {"a": 0, "b": 1})
    script = (
        "import sys, api.__main__, api.app\n"
        "from litestar.testing import TestClient\n"
        "from resources.settings import load_settings\n"
        "with TestClient(api.app.create_app(load_settings()), base_url='http://127.0.0.1') as client:\n"
        "    paths = ('cluster-stats', 'models', 'clustering-results', 'clustering-results/a')\n"
        "    assert all(client.get(f'/api/{path}').status_code == 200 for path in paths)\n"
        "print(*{name.partition('.')[0] for name in sys.modules})\n"
    )
    outcome = subprocess.run(
        [sys.executable, "-c", script],
        env=_environment(SILT_HOME=str(tmp_path)),
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = set(outcome.stdout.split())
    assert {"api", "litestar", "deltalake"} <= loaded
    assert not loaded & {"dagster", "dagster_pyspark", "pyspark", "confluent_kafka"}
