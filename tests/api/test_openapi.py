"""The OpenAPI document says what the routes do, and its page needs no other host."""

import re
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from tests.api.clients import Client
from tests.api.lakes import FIRST, NOW, HandMadeLake

ROUTES = {
    "/api/cluster-stats": {"200", "304", "400", "404", "406", "500", "503"},
    "/api/clustering-results": {"200", "304", "400", "404", "406", "410", "500", "503"},
    "/api/clustering-results/{uniqueId}": {"200", "304", "400", "404", "500", "503"},
    "/api/clustering-results/{uniqueId}/history": {"200", "304", "400", "404", "406", "410", "500", "503"},
    "/api/cluster-events": {"200", "304", "400", "404", "406", "410", "500", "503"},
    "/api/intakes": {"200", "304", "400", "406", "500", "503"},
    "/api/dead-letters": {"200", "304", "400", "406", "500", "503"},
    "/api/models": {"200", "304", "400", "404", "406", "500", "503"},
    "/api/models/{model}": {"200", "304", "400", "404", "500", "503"},
    "/api/models/{model}/versions": {"200", "304", "400", "406", "410", "500", "503"},
    "/api/models/{model}/versions/{window}": {"200", "304", "400", "404", "500", "503"},
    "/api/drift": {"200", "304", "400", "404", "406", "500", "503"},
    "/api/windows": {"200", "304", "400", "406", "500", "503"},
    "/api/windows/{window}": {"200", "304", "400", "404", "500", "503"},
    "/health/live": {"200", "400", "500"},
    "/health/ready": {"200", "400", "500", "503"},
    "/metrics": {"200", "400", "500"},
}
POSTS = {
    f"/api/models/{{model}}/{path}": {"200", "400", "404", "409", "413", "415", "422", "500", "503"}
    for path in ("predict", "versions/{window}/predict")
}
EVERYWHERE = {"414", "429"}
BY_KEY = {"401", "403"}


@pytest.fixture
def document(client: Client) -> dict[str, Any]:
    answer: dict[str, Any] = client.get("/schema/openapi.json").json()
    return answer


def operations(document: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Each path and its one operation."""
    return [(path, operation) for path, item in document["paths"].items() for operation in item.values()]


def test_document_is_valid_openapi(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1")
    OpenAPIV31SpecValidator(document).validate()


def test_every_route_documents_its_problems(document: dict[str, Any]) -> None:
    assert {path: set(item["responses"]) for path, item in operations(document)} == {
        path: own | EVERYWHERE | (set() if path.startswith("/health") else BY_KEY)
        for path, own in (ROUTES | POSTS).items()
    }
    for _, item in operations(document):
        for status, response in item["responses"].items():
            assert response["description"]
            if status not in ("200", "304"):
                content = response["content"]["application/problem+json"]
                assert content["schema"] == {"$ref": "#/components/schemas/Problem"}
                assert content["examples"]


def test_every_parameter_is_described_and_may_not_be_null(document: dict[str, Any]) -> None:
    parameters = [p for _, item in operations(document) for p in item.get("parameters", [])]
    assert {p["name"] for p in parameters} == {
        "model", "window", "cluster", "from", "to", "format", "limit", "cursor", "uniqueId", "state",
        "reason",
    }  # fmt: skip
    for parameter in parameters:
        assert parameter["description"]
        kinds = parameter["schema"].get("oneOf", [parameter["schema"]])
        assert {kind["type"] for kind in kinds} <= {"string", "integer"}


def test_answers_are_as_documented(lake: HandMadeLake, client: Client, document: dict[str, Any]) -> None:
    lake.publish(FIRST, {"a": 0, "b": 1})
    lake.review(FIRST, structure="yes", psi=0.3)
    lake.match(FIRST, [{"event": "appeared", "before": [], "after": [0], "overlaps": []}])
    letter = {"kafka_offset": 7, "window": FIRST.key, "reason": "wrong-type", "value": b"{}"}
    lake.take(1, NOW, {FIRST: 2}, refused=lake.refuse(1, [letter]))
    urls = {path: path.format(uniqueId="a", window=FIRST.key, model="model_1") for path in ROUTES}
    for path, url in urls.items():
        response = client.get(url)
        media_type = response.headers["content-type"].partition(";")[0]
        answer = response.text if media_type == "text/plain" else response.json()
        _validate(document, path, "200", media_type, answer)
    for path in ROUTES:
        wrong = client.get(f"{urls[path]}?unknown=1").json()
        _validate(document, path, "400", "application/problem+json", wrong)


def _validate(document: dict[str, Any], path: str, status: str, media_type: str, answer: Any) -> None:
    schema = document["paths"][path]["get"]["responses"][status]["content"][media_type]["schema"]
    whole = {**schema, "components": document["components"]}
    Draft202012Validator(whole).validate(answer)
    assert answer


def test_examples_of_the_document_are_as_it_says(document: dict[str, Any]) -> None:
    components = {"components": document["components"]}
    for _, item in operations(document):
        for response in item["responses"].values():
            for content in response.get("content", {}).values():
                for example in content.get("examples", {}).values():
                    Draft202012Validator({**content["schema"], **components}).validate(example["value"])
    for schema in document["components"]["schemas"].values():
        for part in [schema, *schema["properties"].values()]:
            for example in part.get("examples", []):
                Draft202012Validator({**part, **components}).validate(example)


def test_page_loads_nothing_from_another_host(client: Client) -> None:
    page = client.get("/schema").text
    assert not re.search(r"""(src|href)=["'](https?:)?//""", page)
    parts = re.findall(r"""(?:src|href)=["'](/[^"']+)""", page)
    assert len(parts) == 3
    for part in parts:
        response = client.get(part)
        assert response.status_code == 200
        assert len(response.content) > 100_000


def test_root_leads_to_the_page(client: Client) -> None:
    response = client.get("/", follow_redirects=False)
    assert (response.status_code, response.headers["location"]) == (302, "/schema")
