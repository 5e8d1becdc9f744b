"""``python -m bench.api_conformance``: schemathesis asks the API, over HTTP, whatever its document allows and
forbids, with all checks: with a key, without one, and where none is needed."""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from urllib.request import urlopen

from resources.api_keys import add_key
from tests.api.full_lake import FullLake
from tests.stacks import free_ports, until

PROJECT = Path(__file__).parent.parent
CONFIG = PROJECT / "tests" / "api" / "conformance.toml"
_MARGIN = 1.5
"""Of a route without parameters there are few cases, so the others must make more."""
_API = "from api import keyring; keyring.GUESSES = 10**6; from api.__main__ import main; main()"
"""The API, to which every route is asked with wrong keys too, beyond the usual number a minute."""
_GENERATED = re.compile(r"(\d+) generated")


def main() -> int:
    """Run all three ways.

    Returns:
        The exit code: 1 if anything failed, or fewer cases were made than asked for.
    """
    parser = argparse.ArgumentParser(prog="bench.api_conformance", description=__doc__)
    parser.add_argument("--cases", type=int, default=20_000, help="of all ways together, at least")
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        FullLake(Path(home) / "lake")
        keys = Path(home) / "keys.json"
        key = add_key(keys, "conformance", ["read", "predict"])
        closed = {"SILT_API_KEYS_FILE": str(keys), "SILT_API_RATE_PER_MINUTE": "0"}
        ways: dict[str, tuple[Mapping[str, str], list[str]]] = {
            "keys, and one is given": (closed, ["-H", f"Authorization: Bearer {key}"]),
            "keys, and none is given": (closed, []),
            "no keys": ({}, []),
        }
        share = asked.cases // len(ways) + 1
        found = {name: _run(name, Path(home), *way, share, asked.seed) for name, way in ways.items()}
    failed = [name for name, cases in found.items() if cases is None]
    cases = sum(filter(None, found.values()))
    sys.stdout.write(f"failed: {', '.join(failed)}\n" if failed else f"{cases} cases, no check failed.\n")
    return 1 if failed or cases < asked.cases else 0


def _run(
    name: str, home: Path, settings: Mapping[str, str], options: list[str], share: int, seed: int
) -> int | None:
    """How many cases there were; None: a check failed."""
    (port,) = free_ports(1)
    environment = {**os.environ, **settings, "SILT_HOME": str(home), "SILT_API_PORT": str(port)}
    api = subprocess.Popen(
        [sys.executable, "-c", _API], cwd=PROJECT, env=environment, stderr=subprocess.DEVNULL
    )
    try:
        url = f"http://127.0.0.1:{port}"
        until(lambda: _answers(url), 30)
        with urlopen(f"{url}/schema/openapi.json") as document:
            paths = json.load(document)["paths"]
        operations = sum(method in ("get", "post") for item in paths.values() for method in item)
        command = [
            *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(CONFIG)),
            *("run", f"{url}/schema/openapi.json", "--checks", "all", "--no-color", "--continue-on-failure"),
            *("--max-examples", str(int(_MARGIN * share / operations)), "--request-timeout", "60"),
            *("--seed", str(seed), *options),
        ]
        found = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    finally:
        api.terminate()
        api.wait(30)
    cases = int(next(iter(_GENERATED.findall(found.stdout)), 0))
    sys.stdout.write(f"== {name}: {cases} cases, exit code {found.returncode}\n")
    if found.returncode:
        sys.stdout.write(found.stdout + found.stderr)
    sys.stdout.flush()
    return None if found.returncode else cases


def _answers(url: str) -> bool:
    try:
        with urlopen(f"{url}/health/ready", timeout=5) as response:
            return bool(response.status == 200)
    except OSError:
        return False


if __name__ == "__main__":
    sys.exit(main())
