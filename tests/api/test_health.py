"""`GET /health/ready` says 503 where answers cannot be given, and `/health/live` does not care."""

import shutil
from pathlib import Path

from tests.api.clients import Client, problem
from tests.api.lakes import FIRST, HandMadeLake


def _broken(client: Client) -> None:
    answer = problem(client, "/health/ready", 503)
    assert (answer["type"], answer["part"]) == ("urn:silt:problem:unavailable", "lake")
    assert client.get("/health/live").status_code == 200


def test_lake_whose_table_is_gone_is_not_ready(tmp_path: Path, lake: HandMadeLake, client: Client) -> None:
    lake.publish(FIRST, {"a": 0, "b": 1})
    assert client.get("/health/ready").json() == {"status": "ready"}
    shutil.move(tmp_path / "lake" / "models", tmp_path)
    _broken(client)

    shutil.move(tmp_path / "models", tmp_path / "lake")
    assert client.get("/health/ready").status_code == 200


def test_lake_whose_files_are_gone_is_not_ready(tmp_path: Path, lake: HandMadeLake, client: Client) -> None:
    lake.publish(FIRST, {"a": 0, "b": 1})
    assert client.get("/health/ready").status_code == 200
    for folder in (tmp_path / "lake" / "clustering_results").glob("date=*"):
        shutil.rmtree(folder)
    _broken(client)
