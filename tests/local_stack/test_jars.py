"""Kafka's jars: pinned, checked, and downloaded by the real Ivy, here from a small repository of files."""

import hashlib
import io
import shutil
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from local_stack import jars
from local_stack.ivy import proxy_properties
from local_stack.jars import KafkaJars, cache_folder, pinned, verify
from local_stack.java import find_java
from local_stack.stop import Stop, StopRequestedError
from resources.errors import MissingDependencyError
from tests.local_stack.fixture_types import FreePort

Download = Callable[[str], tuple[list[Path], list[str]]]

POM = """<project><modelVersion>4.0.0</modelVersion><groupId>{group}</groupId>
<artifactId>{name}</artifactId><version>{version}</version></project>"""


def empty_jar() -> bytes:
    content = io.BytesIO()
    zipfile.ZipFile(content, "w").close()
    return content.getvalue()


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A repository of files with an empty jar for each dependency; the cache is empty."""
    pins = []
    for group, name, version in jars.DEPENDENCIES:
        folder = tmp_path / "mirror" / group.replace(".", "/") / name / version
        folder.mkdir(parents=True)
        (folder / f"{name}-{version}.pom").write_text(POM.format(group=group, name=name, version=version))
        (folder / f"{name}-{version}.jar").write_bytes(empty_jar())
        pins.append(f"{hashlib.sha256(empty_jar()).hexdigest()}  {name}-{version}.jar\n")
    (tmp_path / "pins").write_text("".join(pins))
    monkeypatch.setattr(jars, "PINS", tmp_path / "pins")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return f"{(tmp_path / 'mirror').as_uri()}/"


@pytest.fixture
def download(tmp_path: Path) -> Download:
    """Asks for the class path through a mirror; gives it, and what was said meanwhile."""

    def ask(mirror: str) -> tuple[list[Path], list[str]]:
        said: list[str] = []
        wanted = KafkaJars(find_java(), mirror, tmp_path / "jars.log", Stop(), said.append)
        return wanted.class_path(), said

    return ask


def test_jars_come_through_ivy_and_nothing_else_stays(
    mirror: str, download: Download, tmp_path: Path
) -> None:
    class_path, said = download(mirror)
    assert sorted(path.name for path in class_path) == sorted(pinned())
    assert len(said) == 1
    assert {path.name for path in (tmp_path / "cache" / "silt").iterdir()} == {
        "kafka-4.4.0",
        "kafka-4.4.0.lock",
    }
    assert download(mirror) == (class_path, [])


def test_two_starts_at_once_download_once(mirror: str, download: Download) -> None:
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(download, [mirror, mirror])
    assert first[0] == second[0]
    assert len(first[1] + second[1]) == 1


def test_jar_with_a_wrong_checksum_is_not_kept(mirror: str, download: Download, tmp_path: Path) -> None:
    wrong = next((tmp_path / "mirror").rglob("kafka_*.jar"))
    wrong.write_bytes(empty_jar() + b"x")
    with pytest.raises(MissingDependencyError, match="wrong checksum"):
        download(mirror)
    assert not cache_folder().exists()


def test_download_that_fails_says_what_to_check(
    mirror: str, download: Download, tmp_path: Path, free_port: FreePort
) -> None:
    with pytest.raises(MissingDependencyError, match="2 jars did not come: check the network, HTTPS_PROXY"):
        download(f"http://127.0.0.1:{free_port()}/")
    assert [path.name for path in (tmp_path / "cache" / "silt").iterdir()] == ["kafka-4.4.0.lock"]


def test_end_of_the_stack_ends_a_download(mirror: str, tmp_path: Path) -> None:
    stop = Stop()
    wanted = KafkaJars(find_java(), mirror, tmp_path / "jars.log", stop, lambda text: stop.request())
    with pytest.raises(StopRequestedError):
        wanted.class_path()
    assert not cache_folder().exists()


def test_corrupted_jar_in_the_cache_is_noticed(tmp_path: Path) -> None:
    if not cache_folder().is_dir():
        pytest.skip("Kafka's jars are not on this machine yet")
    copy = tmp_path / "jars"
    shutil.copytree(cache_folder(), copy)
    verify(copy)
    with (copy / "kafka-clients-4.4.0.jar").open("r+b") as jar:
        jar.seek(1000)
        jar.write(b"changed")
    with pytest.raises(
        MissingDependencyError, match=rf"kafka-clients-4.4.0.jar has a wrong .* delete {copy}"
    ):
        verify(copy)


def test_proxies_of_the_environment_are_told_to_java() -> None:
    env = {
        "HTTPS_PROXY": "http://proxy.example:3128",
        "http_proxy": "proxy.example",
        "NO_PROXY": "localhost,.example",
    }
    assert proxy_properties(env) == [
        "-Dhttps.proxyHost=proxy.example",
        "-Dhttps.proxyPort=3128",
        "-Dhttp.proxyHost=proxy.example",
        "-Dhttp.proxyPort=80",
        "-Dhttp.nonProxyHosts=localhost|*.example",
    ]
    assert proxy_properties({"NO_PROXY": "localhost"}) == []
