"""What can be checked of docker-compose.yml and Dockerfile without a Docker engine."""

import copy
import importlib.util
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import yaml

from local_stack.broker import render_properties
from local_stack.jars import VERSION as KAFKA_VERSION
from local_stack.spark_server import server_command
from resources.contract import load_contract
from resources.settings import KAFKA_PREFIX, PROJECT, Settings, variables

Compose = dict[str, Any]
Words = list[str]
COMPOSE = PROJECT / "docker-compose.yml"
DOCKERFILE = PROJECT / "Dockerfile"
SCRIPTS = Path(sys.executable).parent
BY_PLACE = ("spark.local.dir", "spark.sql.warehouse.dir", "spark.driver.host", "spark.driver.bindAddress")


def read() -> Compose:
    compose: Compose = yaml.safe_load(COMPOSE.read_text())
    return compose


def services(compose: Compose) -> dict[str, Any]:
    return dict(compose["services"])


def unknown_variables(text: str) -> set[str]:
    named = set(re.findall(r"\bSILT_[A-Z0-9_]+", text))
    return {name for name in named if name not in variables() and not name.startswith(KAFKA_PREFIX)}


def unspecified(file: Path) -> str:
    command = [str(SCRIPTS / "check-jsonschema"), "--builtin-schema", "vendor.compose-spec", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else done.stdout


def programs(compose: Compose) -> Iterator[Words]:
    """Every command line, health checks included, that runs in an image built here."""
    for service in services(compose).values():
        if "build" in service:
            yield from simple_commands(service["command"])
            yield from simple_commands(service["healthcheck"]["test"][1:])


def simple_commands(words: Words) -> Iterator[Words]:
    if words[:2] != ["sh", "-c"]:
        yield words
        return
    for line in words[2].split("&&"):
        yield [word for word in shlex.split(line) if word != "exec"]


def missing_programs(compose: Compose) -> set[str]:
    missing = set()
    for words in programs(compose):
        modules = [words[at + 1] for at, word in enumerate(words) if word == "-m"]
        code = words[2] if words[:2] == ["python", "-c"] else ""
        compile(code, "health check", "exec")
        modules += re.findall(r"(?:^|;)\s*(?:import|from) ([\w.]+)", code, flags=re.MULTILINE)
        missing |= {words[0]} if not (SCRIPTS / words[0]).exists() else set()
        missing |= {module for module in modules if not found(module, run=words[:2] == ["python", "-m"])}
    return missing


def found(module: str, run: bool) -> bool:
    """Whether a module is there; ``run``: and ``python -m`` can run it."""
    spec = importlib.util.find_spec(module)
    is_package = spec is not None and spec.submodule_search_locations is not None
    return spec is not None and not (
        run and is_package and importlib.util.find_spec(f"{module}.__main__") is None
    )


def public_ports(compose: Compose) -> set[str]:
    ports = [str(port) for service in services(compose).values() for port in service.get("ports", [])]
    return {port for port in ports if not port.startswith("127.0.0.1:")}


def is_once(service: Any) -> bool:
    return bool(service["restart"] == "no")


def unwatched(compose: Compose) -> set[str]:
    return {
        name
        for name, service in services(compose).items()
        if not is_once(service) and "healthcheck" not in service
    }


def broken_dependencies(compose: Compose) -> set[tuple[str, str]]:
    all_services = services(compose)
    fits: dict[str, Callable[[Any], bool]] = {
        "service_healthy": lambda service: "healthcheck" in service,
        "service_completed_successfully": is_once,
    }
    return {
        (name, needed)
        for name, service in all_services.items()
        for needed, how in service.get("depends_on", {}).items()
        if needed not in all_services or not fits[how["condition"]](all_services[needed])
    }


def spark_conf(words: Words) -> dict[str, str]:
    joined = " ".join(words).replace("--conf ", "--conf=")
    conf = dict(re.findall(r"--conf=([\w.]+)=(\S+)", joined))
    return {name: value for name, value in conf.items() if name not in BY_PLACE}


def copied() -> list[str]:
    lines = re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE.read_text(), flags=re.MULTILINE)
    return [source for line in lines for source in line.split()[:-1]]


def stage(name: str) -> str:
    """The lines of one stage of the Dockerfile."""
    found = re.search(rf"^FROM (\S+ AS {name}\n.*?)(?=^FROM|\Z)", DOCKERFILE.read_text(), re.MULTILINE | re.S)
    assert found, f"no stage {name}"
    return found[1]


def test_file_keeps_to_the_compose_specification() -> None:
    assert unspecified(COMPOSE) == ""


def test_a_file_against_the_specification_is_found_out(tmp_path: Path) -> None:
    wrong = tmp_path / "docker-compose.yml"
    wrong.write_text(COMPOSE.read_text().replace("stop_grace_period:", "stop_grace_perod:"))
    assert "stop_grace_perod" in unspecified(wrong)


def test_every_variable_is_a_setting() -> None:
    text = COMPOSE.read_text() + DOCKERFILE.read_text()
    assert "SILT_HOME" in text
    assert unknown_variables(text) == set()
    assert unknown_variables(text + "\nSILT_HOUSE=x") == {"SILT_HOUSE"}


def test_every_default_is_the_settings_default() -> None:
    fields = Settings.model_fields
    given = dict(re.findall(r"\$\{SILT_(\w+):-([^}]*)\}", COMPOSE.read_text()))
    assert given
    assert given == {name: str(fields[name.lower()].default) for name in given}


def test_every_program_and_module_is_there() -> None:
    assert len(list(programs(read()))) > 12
    assert missing_programs(read()) == set()


def test_every_published_port_is_bound_to_loopback() -> None:
    assert sum(len(service.get("ports", [])) for service in services(read()).values()) == 3
    assert public_ports(read()) == set()


def test_every_service_has_a_health_check_or_ends_by_itself() -> None:
    assert unwatched(read()) == set()


def test_every_dependency_can_be_met() -> None:
    assert broken_dependencies(read()) == set()


Check = Callable[[Compose], set[Any]]
Damage = Callable[[dict[str, Any]], Any]


@pytest.mark.parametrize(
    ("check", "damage", "faults"),
    [
        (missing_programs, lambda all_: all_["api"]["command"].__setitem__(2, "apy"), {"apy"}),
        (missing_programs, lambda all_: all_["daemon"]["command"].__setitem__(0, "daemon"), {"daemon"}),
        (
            missing_programs,
            lambda all_: all_["code"]["command"].__setitem__(2, "exec dagster api grpc -m nowhere"),
            {"nowhere"},
        ),
        (public_ports, lambda all_: all_["api"]["ports"].append("9000:9000"), {"9000:9000"}),
        (unwatched, lambda all_: all_["kafka"].pop("healthcheck"), {"kafka"}),
        (
            broken_dependencies,
            lambda all_: all_["spark"].pop("healthcheck"),
            {("code", "spark")},
        ),
        (
            broken_dependencies,
            lambda all_: all_["topic"].update(restart="always"),
            {("code", "topic"), ("sample", "topic")},
        ),
        (broken_dependencies, lambda all_: all_.pop("postgres"), {("code", "postgres")}),
    ],
)
def test_each_check_finds_its_fault(check: Check, damage: Damage, faults: set[Any]) -> None:
    compose = copy.deepcopy(read())
    damage(compose["services"])
    assert check(compose) - check(read()) == faults


def test_kafka_is_the_version_of_the_local_stack() -> None:
    images = [service["image"] for service in services(read()).values() if "kafka" in service["image"]]
    assert images == [f"apache/kafka:{KAFKA_VERSION}"] * 2


def test_spark_server_is_the_pyspark_of_its_clients() -> None:
    locked = re.findall(r"^pyspark(?:\[\w+\])?==([\w.]+)", (PROJECT / "requirements.lock").read_text(), re.M)
    assert locked == [version("pyspark")]
    assert stage("spark").startswith("silt AS")
    assert "--from=packages" in stage("silt")
    assert "--require-hashes -r requirements.lock" in stage("packages")


def test_spark_server_is_set_as_the_local_one(tmp_path: Path) -> None:
    local = spark_conf(server_command(Settings(home=tmp_path, _env_file=None)))
    assert "spark.sql.shuffle.partitions" in local
    local["spark.connect.grpc.binding.address"] = "0.0.0.0"
    assert spark_conf(services(read())["spark"]["command"]) == local


def test_broker_keeps_records_as_the_local_one_does(tmp_path: Path) -> None:
    rendered = render_properties(Settings(home=tmp_path, _env_file=None))
    local = dict(line.split("=", 1) for line in rendered.splitlines())
    environment = services(read())["kafka"]["environment"]
    mine = {
        name.removeprefix("KAFKA_").lower().replace("_", "."): value for name, value in environment.items()
    }
    what_records_meet = re.compile(r"log\.(retention|message)|auto\.create|replication\.factor")
    assert {name for name in local if what_records_meet.match(name)} >= {"log.retention.ms"}
    for name, value in local.items():
        if what_records_meet.match(name):
            assert mine[name] == value, name


def test_topic_is_the_contracts() -> None:
    contract = load_contract(PROJECT / "contracts" / "customer_support.yaml")
    assert f"--topic={contract.topic}" in services(read())["topic"]["command"]


def test_all_that_use_the_lake_see_it_at_one_path() -> None:
    home = re.search(r"SILT_HOME=(\S+)", stage("silt"))
    assert home
    for name in ("code", "webserver", "daemon", "api", "spark"):
        mounted = services(read())[name]["volumes"]
        assert f"lake:{Settings(home=Path(home[1]), _env_file=None).lake}" in mounted, name


def test_no_image_of_ours_runs_as_root() -> None:
    for name in ("silt", "spark"):
        assert re.findall(r"^USER (\S+)", stage(name), re.M)[-1] == "silt"


def test_images_hold_what_they_need_and_no_more() -> None:
    sources = set(copied())
    assert {"resources", "platform_assets", "api", "local_stack", "cli", "contracts"} <= sources
    assert {source for source in sources if not (PROJECT / source).exists()} == set()
    ignored = (PROJECT / ".dockerignore").read_text().split()
    assert ignored[0] == "*"
    assert {line.removeprefix("!") for line in ignored if line.startswith("!")} == sources
