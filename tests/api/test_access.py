"""Who may ask: keys, scopes, rates, hosts, origins, and what a URL may be."""

import asyncio
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from httpx import ASGITransport, AsyncClient, Response
from litestar import Litestar

from api import keyring
from api.answers import Answers
from api.app import create_app
from api.counters import REFUSALS
from api.keyring import GUESSES, KeyRing
from api.problems import ProblemError
from api.refusals import TooManyGuessesError, WrongKeyError
from resources.api_keys import ApiKey, add_key, make_key, revoke_key
from resources.settings import Settings
from tests.api.clients import LOOPBACK, Client, client_of
from tests.api.lakes import FIRST, HandMadeLake

STATS = "/api/cluster-stats"
ORIGIN = "https://app.example.com"


class Guarded:
    """An API that asks for keys, over a lake with one window, and the keys."""

    def __init__(self, home: Path) -> None:
        self.file = home / "keys.yaml"
        self.reader = add_key(self.file, "reader", ["read"])
        self.predictor = add_key(self.file, "predictor", ["predict"])
        HandMadeLake(home / "lake").publish(FIRST, {"a": 0, "b": 1})
        self.client = client_of(Settings(home=home, api_keys_file=str(self.file)))

    def get(self, key: str | None, path: str = STATS) -> Response:
        return self.client.get(path, headers={"Authorization": f"Bearer {key}"} if key else {})


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    made = Guarded(tmp_path_factory.mktemp("guarded"))
    with made.client:
        yield made


@pytest.fixture
def guarded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Guarded]:
    """One of its own, whose file of keys is looked at with every request."""
    monkeypatch.setattr(keyring, "_LOOK_SECONDS", 0.0)
    made = Guarded(tmp_path)
    with made.client:
        yield made


def kind(response: Response) -> str:
    """Of the problem that a request is answered with."""
    assert response.headers["content-type"] == "application/problem+json"
    answer = response.json()
    assert answer["status"] == response.status_code
    return str(answer["type"]).removeprefix("urn:silt:problem:")


def from_peer(app: Litestar, peer: str, path: str, headers: dict[str, str]) -> Response:
    """The answer to a request that comes over a connection from an address."""

    async def ask() -> Response:
        transport = ASGITransport(app, client=(peer, 4711))  # type: ignore[arg-type]
        async with AsyncClient(transport=transport, base_url=LOOPBACK) as client:
            return await client.get(path, headers=headers)

    return asyncio.run(ask())


def refusals(of: str) -> float:
    return float(REFUSALS.labels(of)._value.get())


def test_key_opens_the_api_in_either_header(shared: Guarded) -> None:
    assert shared.get(shared.reader).status_code == 200
    assert shared.client.get(STATS, headers={"X-API-Key": shared.reader}).status_code == 200


@pytest.mark.parametrize("path", [STATS, "/metrics", "/api/nothing", "/nothing", "/healthy", "//api/models"])
def test_without_a_key_nothing_is_told(shared: Guarded, path: str) -> None:
    response = shared.get(None, path)
    assert (response.status_code, kind(response)) == (401, "unauthorized")
    assert response.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize("path", ["/health/live", "/health/ready", "/schema", "/schema/openapi.json"])
def test_health_and_schema_need_no_key(shared: Guarded, path: str) -> None:
    assert shared.get(None, path).status_code == 200


@pytest.mark.parametrize("path", ["/health/../api/models", "/schema/..//api/models", "/health//api/models"])
def test_an_open_path_leads_nowhere_else(shared: Guarded, path: str) -> None:
    assert shared.client.get(path.replace("..", "%2e%2e")).status_code in (401, 404)


def test_wrong_keys_are_refused_counted_and_not_logged(
    shared: Guarded, caplog: pytest.LogCaptureFixture
) -> None:
    before = refusals("unauthorized")
    wrong = [shared.reader[:-1] + "?", shared.reader[:14] + make_key("x", ["read"])[1][14:], "x", "silt_é"]
    for key in wrong:
        response = shared.client.get(STATS, headers=[(b"Authorization", f"Bearer {key}".encode())])
        assert (response.status_code, kind(response)) == (401, "unauthorized")
        assert 'error="invalid_token"' in response.headers["www-authenticate"]
        assert key not in response.text
    assert refusals("unauthorized") == before + len(wrong)
    assert "Refused testclient: unauthorized" in caplog.text
    assert not any(key in caplog.text for key in wrong if len(key) > 1)


def test_key_without_the_scope_is_forbidden(shared: Guarded) -> None:
    response = shared.get(shared.predictor)
    assert (response.status_code, kind(response)) == (403, "insufficient-scope")
    assert 'scope="read"' in response.headers["www-authenticate"]


def test_answer_in_memory_is_for_keys_with_its_scope_alone(shared: Guarded) -> None:
    for _ in range(3):
        assert shared.get(shared.reader).status_code == 200
        assert shared.get(shared.predictor).status_code == 403
        assert shared.get(None).status_code == 401


def test_schema_says_which_scope_each_route_needs(shared: Guarded, client: Client) -> None:
    document = shared.client.get("/schema/openapi.json").json()
    assert document["paths"][STATS]["get"]["security"] == [{"bearer": ["read"]}, {"apiKey": ["read"]}]
    assert "security" not in document["paths"]["/health/live"]["get"]
    assert set(document["components"]["securitySchemes"]) == {"bearer", "apiKey"}
    assert "security" not in client.get("/schema/openapi.json").json()["paths"][STATS]["get"]


def test_keys_are_made_and_revoked_while_the_api_runs(guarded: Guarded) -> None:
    assert guarded.get(guarded.reader).status_code == 200

    later = add_key(guarded.file, "later", ["read"])
    assert guarded.get(later).status_code == 200
    revoke_key(guarded.file, "later")

    assert guarded.get(later).status_code == 401
    assert guarded.get(guarded.reader).status_code == 200


def test_torn_file_leaves_the_keys_as_they_were_and_a_missing_one_closes(
    guarded: Guarded, caplog: pytest.LogCaptureFixture
) -> None:
    guarded.file.write_text(guarded.file.read_text()[:40])
    assert guarded.get(guarded.reader).status_code == 200
    assert "The keys stay as they were" in caplog.text

    guarded.file.unlink()
    assert guarded.get(guarded.reader).status_code == 401


def test_ten_thousand_guesses_cost_the_hashes_of_twenty(
    guarded: Guarded, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashes = 0
    fits = ApiKey.fits

    def counted(key: ApiKey, secret: str) -> bool:
        nonlocal hashes
        hashes += 1
        return fits(key, secret)

    monkeypatch.setattr(ApiKey, "fits", counted)
    guess = guarded.reader[:-4]
    ring = KeyRing(guarded.file)

    async def guess_all() -> list[type[Exception]]:
        found: list[type[Exception]] = []
        for number in range(10_000):
            try:
                await ring.holder(f"{guess}{number:04}", "203.0.113.1")
            except ProblemError as error:
                found.append(type(error))
        await ring.holder(guarded.reader, "203.0.113.2")
        await ring.holder(guarded.reader, "203.0.113.1")
        return found

    found = asyncio.run(guess_all())
    assert len(found) == 10_000, "none of them opens"
    assert set(found) == {WrongKeyError, TooManyGuessesError}
    assert hashes < 1 + GUESSES + 5, "and a guess comes back every three seconds"


def test_client_that_guesses_is_told_to_wait(guarded: Guarded) -> None:
    assert guarded.get(guarded.reader).status_code == 200
    before = refusals("too-many-guesses")

    answers = [guarded.get(f"guess {number}") for number in range(GUESSES + 2)]

    assert {answer.status_code for answer in answers[:GUESSES]} == {401}
    assert kind(answers[-1]) == "too-many-guesses"
    assert int(answers[-1].headers["retry-after"]) in (1, 2, 3)
    assert refusals("too-many-guesses") > before
    assert guarded.get(guarded.reader).status_code == 200, "who has shown the right key stays"


def test_unknown_id_costs_a_hash_as_a_wrong_secret_does(
    guarded: Guarded, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashed: list[str] = []

    def never(key: ApiKey, secret: str) -> bool:
        hashed.append(secret)
        return False

    monkeypatch.setattr(ApiKey, "fits", never)
    guarded.get(make_key("nobody", ["read"])[1])
    guarded.get(guarded.reader)
    assert len(hashed) == 2


def test_requests_beyond_the_rate_are_told_when_to_ask_again(tmp_path: Path) -> None:
    keys = {name: add_key(tmp_path / "keys", name, ["read"]) for name in ("one", "other")}
    settings = Settings(home=tmp_path, api_keys_file=str(tmp_path / "keys"), api_rate_per_minute=3)
    with client_of(settings) as client:
        answers = [client.get("/api/nothing", headers={"X-API-Key": keys["one"]}) for _ in range(4)]
        other = client.get("/api/nothing", headers={"X-API-Key": keys["other"]})
        assert all(client.get("/health/live").status_code == 200 for _ in range(5))

    assert [answer.status_code for answer in answers] == [404, 404, 404, 429]
    assert [answer.headers["ratelimit"][:13] for answer in answers] == [
        '"default";r=2',
        '"default";r=1',
        '"default";r=0',
        '"default";r=0',
    ]
    assert answers[0].headers["ratelimit-policy"] == '"default";q=3;w=60'
    assert kind(answers[3]) == "too-many-requests"
    assert 18 <= int(answers[3].headers["retry-after"]) <= 20
    assert other.status_code == 404


def test_clients_behind_a_trusted_proxy_are_told_apart(tmp_path: Path) -> None:
    settings = Settings(
        home=tmp_path, api_host="0.0.0.0", api_rate_per_minute=1, trusted_proxies="10.0.0.0/8,192.168.1.1"
    )

    def ask(peer: str, forwarded: str) -> int:
        return from_peer(app, peer, "/nothing", {"X-Forwarded-For": forwarded}).status_code

    app = create_app(settings)
    assert ask("10.1.1.1", "203.0.113.1, 192.168.1.1") == 404
    assert ask("10.1.1.1", "203.0.113.2:4711") == 404
    assert ask("10.1.1.1", "203.0.113.9, 203.0.113.1") == 429, "what a client writes itself is not believed"
    assert ask("203.0.113.77", "203.0.113.5") == 404
    assert ask("203.0.113.77", "203.0.113.6") == 429, "who is no proxy is not believed"
    assert ask("10.1.1.1", "2001:db8::1") == 404
    assert ask("10.1.1.1", "2001:db8::2") == 429, "a network of IPv6 is one client"


def test_page_links_are_as_each_client_sees_the_api(tmp_path: Path) -> None:
    HandMadeLake(tmp_path / "lake").publish(FIRST, {"a": 0, "b": 1})
    app = create_app(Settings(home=tmp_path, trusted_proxies="10.0.0.1", api_allowed_hosts="*"))
    path = "/api/clustering-results?limit=1"

    def link(peer: str, headers: dict[str, str]) -> str:
        return str(from_peer(app, peer, path, headers).links["next"]["url"]).partition("?")[0]

    proxied = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "api.example.com"}
    assert link("10.0.0.1", proxied) == "https://api.example.com/api/clustering-results"
    assert link("10.0.0.2", proxied) == f"{LOOPBACK}/api/clustering-results", "no proxy of ours"
    assert link("10.0.0.2", {"Host": "other:8000"}) == "http://other:8000/api/clustering-results"


@pytest.mark.parametrize(
    "host", ["[", "a b", "a:b:c", "user@host", "x:port", "a/../b", "a,b", "\u00e9", "%00"]
)
def test_host_that_can_be_none_is_refused_where_any_is_answered(tmp_path: Path, host: str) -> None:
    with client_of(Settings(home=tmp_path, api_allowed_hosts="*")) as client:
        response = client.get("/health/live", headers=[(b"Host", host.encode())])
    assert (response.status_code, kind(response)) == (421, "unknown-host")


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:8000", 200),
        ("LOCALHOST", 200),
        ("[::1]:8000", 200),
        ("rebound.example.com", 421),
        ("", 421),
    ],
)
def test_on_loopback_only_its_names_are_answered(client: Client, host: str, status: int) -> None:
    response = client.get("/health/live", headers={"Host": host})
    assert response.status_code == status
    assert status == 200 or kind(response) == "unknown-host"


def test_pages_of_a_named_origin_may_ask_and_others_may_not(tmp_path: Path) -> None:
    add_key(tmp_path / "keys", "one", ["read"])
    settings = Settings(home=tmp_path, api_keys_file=str(tmp_path / "keys"), api_cors_origins=ORIGIN)
    asks = {"Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "authorization"}
    with client_of(settings) as client:
        before = client.options(STATS, headers={"Origin": ORIGIN, **asks})
        refused = client.get(STATS, headers={"Origin": ORIGIN})
        stranger = client.options(STATS, headers={"Origin": "https://evil.example.com", **asks})
        plain = client.get("/health/live")

    assert before.status_code == 204
    assert "Authorization" in before.headers["access-control-allow-headers"]
    assert refused.status_code == 401
    for answer in (before, refused):
        assert answer.headers["access-control-allow-origin"] == ORIGIN
    assert stranger.status_code == 401
    assert "access-control-allow-origin" not in stranger.headers
    assert "Origin" in plain.headers["vary"]


def test_without_the_setting_no_other_origin_may_ask(client: Client) -> None:
    response = client.get("/health/live", headers={"Origin": ORIGIN})
    assert not [name for name in response.headers if name.startswith("access-control")]


@pytest.mark.parametrize("path", ["/health/live", "/api/nothing", "/schema"])
def test_every_answer_carries_the_headers_that_keep_browsers_safe(client: Client, path: str) -> None:
    headers = client.get(path).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert "default-src 'none'" in headers["content-security-policy"]


@pytest.mark.parametrize(
    ("url", "parameter"),
    [
        ("/api/clustering-results/%00", "path"),
        ("/api/clustering-results/%ED%A0%80", "path"),
        ("/api/%FF", "path"),
        ("/api/clustering-results/" + "x" * 5_000, "path"),
        ("/api/clustering-results?uniqueId=%00", "uniqueId"),
        ("/api/clustering-results?uniqueId=%ED%A0%80", "uniqueId"),
        ("/api/clustering-results?uniqueId=" + "x" * 5_000, "uniqueId"),
        ("/api/models?model=%FF", "model"),
        ("/api/models?%FF=1", "query"),
    ],
    ids=lambda value: value[:50],
)
def test_what_is_no_text_or_too_long_is_a_bad_parameter(client: Client, url: str, parameter: str) -> None:
    response = client.get(url)
    assert (response.status_code, kind(response)) == (400, "invalid-parameter")
    assert response.json()["parameter"] == parameter
    assert len(response.text) < 10_000


def test_longer_url_is_refused_as_such(client: Client) -> None:
    response = client.get("/api/models?" + "&".join(["model=" + "x" * 4_000] * 5))
    assert (response.status_code, kind(response)) == (414, "uri-too-long")


@pytest.mark.parametrize(
    "identifier",
    ["../../etc/passwd", "' OR 1=1 --", "a'); DROP TABLE answers; --", '"', "%", "*", "\\", "a\nb"],
)
def test_ids_are_taken_literally(shared: Guarded, identifier: str) -> None:
    encoded = "".join(f"%{byte:02X}" for byte in identifier.encode())
    for path in (f"/api/clustering-results/{encoded}", f"/api/clustering-results?uniqueId={encoded}"):
        response = shared.get(shared.reader, path)
        assert (response.status_code, kind(response)) == (404, "not-found")
        assert os.fspath(shared.file.parent) not in response.text


def test_answer_that_takes_too_long_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Answers, "models", lambda *_: time.sleep(0.5))
    before = refusals("timeout")
    with client_of(Settings(home=tmp_path, api_timeout_seconds=0.1)) as client:
        HandMadeLake(tmp_path / "lake").publish(FIRST, {"a": 0, "b": 1})
        response = client.get("/api/models")
    assert (response.status_code, kind(response)) == (503, "timeout")
    assert refusals("timeout") == before + 1


def test_bodies_are_bounded_whether_their_length_is_said_or_not(shared: Guarded) -> None:
    headers = {"X-API-Key": shared.predictor, "Content-Type": "application/json"}
    path, part = "/api/models/model_1/predict", b" " * 2**20
    said = shared.client.post(path, content=part * 17, headers=headers)
    unsaid = shared.client.post(path, content=iter([part] * 17), headers=headers)
    within = shared.client.post(path, content=part * 16, headers=headers)
    assert [(answer.status_code, kind(answer)) for answer in (said, unsaid)] == [(413, "too-large")] * 2
    assert (within.status_code, kind(within)) == (400, "invalid-json")


def test_predicting_needs_its_own_scope(shared: Guarded) -> None:
    def post(key: str) -> int:
        path = "/api/models/model_1/predict"
        return shared.client.post(path, json={}, headers={"Authorization": f"bearer {key}"}).status_code

    assert (post(shared.predictor), post(shared.reader)) == (200, 403)
    document = shared.client.get("/schema/openapi.json").json()
    predict = document["paths"]["/api/models/{model}/predict"]["post"]
    assert predict["security"] == [{"bearer": ["predict"]}, {"apiKey": ["predict"]}]
