"""What a person can have wrong: one line on stderr that says what to do, exit code 2, nothing started."""

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from resources.settings import PROJECT

Change = Callable[[dict[str, object]], object]


def refuse(tmp_path: Path, *arguments: str, **settings: str) -> str:
    """Run the real `silt`, and give the one line with which it refuses."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("SILT_")}
    silt = Path(sys.executable).with_name("silt")
    process = subprocess.run(
        [silt, *arguments],
        env={**inherited, "SILT_HOME": str(tmp_path / "home"), **settings},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    lines = process.stderr.splitlines()
    assert process.returncode == 2, process
    assert len(lines) == 1, process
    assert lines[0].startswith("silt: ")
    assert not list((tmp_path / "home").glob("logs/*"))
    return lines[0]


def test_no_java(tmp_path: Path) -> None:
    line = refuse(tmp_path, "up", PATH=str(tmp_path), JAVA_HOME="")
    assert "No Java found" in line
    assert "install Java 17 or newer" in line


def test_java_that_is_too_old(tmp_path: Path) -> None:
    java = tmp_path / "java"
    java.write_text("#!/bin/sh\necho 'openjdk version \"11.0.2\" 2019-01-15' >&2\n")
    java.chmod(0o755)
    line = refuse(tmp_path, "up", PATH=f"{tmp_path}:{os.environ['PATH']}", JAVA_HOME="")
    assert f"{java} is Java 11" in line
    assert "install Java 17 or newer" in line


@pytest.mark.parametrize(
    "setting",
    [
        "SILT_BROKER_PORT",
        "SILT_CONTROLLER_PORT",
        "SILT_SPARK_PORT",
        "SILT_CODE_PORT",
        "SILT_DAGSTER_PORT",
        "SILT_API_PORT",
    ],
)
def test_busy_port(tmp_path: Path, setting: str) -> None:
    names = ("BROKER", "CONTROLLER", "SPARK", "CODE", "DAGSTER", "API")
    probes = [socket.create_server(("127.0.0.1", 0)) for _ in names]
    numbers = {f"SILT_{name}_PORT": probe.getsockname()[1] for name, probe in zip(names, probes, strict=True)}
    busy = probes[list(numbers).index(setting)]
    for probe in probes:
        if probe is not busy:
            probe.close()
    with busy:
        line = refuse(tmp_path, "up", **{name: str(number) for name, number in numbers.items()})
    assert f"Port {numbers[setting]} " in line
    assert f"by process {os.getpid()} " in line
    assert f"set {setting} to a free port" in line


def test_one_port_for_two_parts(tmp_path: Path) -> None:
    line = refuse(
        tmp_path,
        "up",
        SILT_CODE_PORT="41234",
        SILT_DAGSTER_PORT="41234",
        **free("BROKER", "CONTROLLER", "SPARK"),
    )
    assert "SILT_CODE_PORT and SILT_DAGSTER_PORT are both 41234" in line


def free(*names: str) -> dict[str, str]:
    """Free ports for these parts."""
    probes = [socket.create_server(("127.0.0.1", 0)) for _ in names]
    numbers = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return {f"SILT_{name}_PORT": str(number) for name, number in zip(names, numbers, strict=True)}


def test_unreachable_broker(tmp_path: Path) -> None:
    ports = free("SPARK", "CODE", "DAGSTER", "API", "BROKER")
    away = f"127.0.0.1:{ports.pop('SILT_BROKER_PORT')}"
    line = refuse(tmp_path, "up", SILT_KAFKA__BOOTSTRAP_SERVERS=away, **ports)
    assert f"The broker at {away} does not answer" in line
    assert "SILT_KAFKA__BOOTSTRAP_SERVERS" in line


def test_unreachable_spark(tmp_path: Path) -> None:
    ports = free("BROKER", "CONTROLLER", "CODE", "DAGSTER", "API", "SPARK")
    away = f"sc://127.0.0.1:{ports.pop('SILT_SPARK_PORT')}"
    line = refuse(tmp_path, "up", SILT_SPARK_REMOTE=away, **ports)
    assert f"{away} does not answer: start it, or correct SILT_SPARK_REMOTE" in line


def test_unknown_setting(tmp_path: Path) -> None:
    line = refuse(tmp_path, "up", SILT_API_PROT="8001")
    assert "SILT_API_PROT is no setting of Silt: did you mean SILT_API_PORT?" in line


def test_setting_of_the_wrong_type(tmp_path: Path) -> None:
    line = refuse(tmp_path, "broker", SILT_BROKER_PORT="many")
    assert "SILT_BROKER_PORT='many' is wrong" in line


def test_broker_of_another_is_not_started_here(tmp_path: Path) -> None:
    line = refuse(tmp_path, "broker", SILT_KAFKA__BOOTSTRAP_SERVERS="127.0.0.1:1")
    assert "unset it to start Silt's own" in line


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda contract: contract["features"].append("shoe_size"), "'shoe_size' is not among its fields"),
        (lambda contract: contract.update(clusters="two"), "Expected `int | object`, got `str`"),
        (lambda contract: contract["fields"].update(extra="text"), "the field 'extra' is a 'text'"),
        (lambda contract: contract.pop("id"), "missing required field `id`"),
    ],
    ids=["feature that is no field", "wrong type", "unknown field type", "no id"],
)
def test_wrong_contract(tmp_path: Path, change: Change, told: str) -> None:
    contract = yaml.safe_load((PROJECT / "contracts" / "customer_support.yaml").read_text())
    change(contract)
    file = tmp_path / "contract.yaml"
    file.write_text(yaml.safe_dump(contract))
    line = refuse(tmp_path, "up", SILT_CONTRACT=str(file))
    assert f"The contract {file} is wrong" in line
    assert told in line
    assert "Correct the file." in line


def test_contract_that_is_not_there(tmp_path: Path) -> None:
    line = refuse(tmp_path, "up", SILT_CONTRACT=str(tmp_path / "none.yaml"))
    assert "set SILT_CONTRACT to a contract file" in line
