"""What the API answers after an id was erased under it."""

from pathlib import Path

from resources.contract import load_contract
from resources.erasure import Eraser
from resources.settings import Settings
from tests.api.clients import Client, problem
from tests.api.full_lake import FullLake
from tests.api.lakes import FIRST, GRID, HandMadeLake
from tests.resources.conftest import contract_with


def test_an_erased_id_is_not_there_and_the_windows_other_rows_stay(
    lake: HandMadeLake, client: Client, tmp_path: Path
) -> None:
    lake.publish(FIRST, {"a": 0, "b": 1})
    urls = ["/api/clustering-results/a", "/api/clustering-results"]
    tags = [{"If-None-Match": client.get(url).headers["ETag"]} for url in urls]
    Eraser(lake, contract_with(tmp_path), GRID, "a").erase()
    problem(client, "/api/clustering-results/a", 404)
    assert [client.get(url, headers=tag).status_code for url, tag in zip(urls, tags, strict=True)] == [
        404,
        200,
    ]
    assert [row["uniqueId"] for row in client.get("/api/clustering-results").json()] == ["b"]
    assert [row["count"] for row in client.get("/api/cluster-stats").json()] == [1, 1]


def test_an_erased_dead_letter_is_not_answered_from_memory(client: Client, tmp_path: Path) -> None:
    lake, contract = FullLake(tmp_path / "lake"), load_contract(Settings(_env_file=None).contract)
    url = "/api/dead-letters?reason=wrong-type"
    before = client.get(url)
    assert [row["preview"][:16] for row in before.json()] == ['{"Unique id": "y'] * 3
    Eraser(lake, contract, GRID, "y").erase()
    after = client.get(url, headers={"If-None-Match": before.headers["ETag"]})
    assert after.status_code == 200
    assert [(row["detail"], row["preview"], row["valueBase64"]) for row in after.json()] == [
        ("erased", None, None)
    ] * 3
