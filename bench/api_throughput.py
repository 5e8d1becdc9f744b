"""``python -m bench.api_throughput``: requests a second under wrk, beside an Express server that holds the
same answers in memory."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import NamedTuple

import click

from bench import answered_lakes
from bench.served import Server, api, free_port, get

_EXPRESS = Path(__file__).parent / "express"
_WINDOWS, _RECORDS = 3, 517
_CONNECTIONS, _SECONDS, _ROUNDS = 32, 8, 3
_BOUNDS = {"cluster-stats": 1.5, "one id of the newest cycle": 1.5, "a page of 100": 1.0}
"""Least ratio of the API's requests a second to Express's."""
_IDS_IN_TURN = """
local paths, at = {%s}, 0
request = function()
  at = at %% #paths + 1
  return wrk.format("GET", paths[at])
end
"""


class Load(NamedTuple):
    """What one run of wrk gave."""

    per_second: float
    cpu_micros: float
    """The server's, a request."""


@click.command()
def main() -> None:
    """Run both servers over 1,551 records and ask them in turn. Ends with 1 if a bound is missed."""
    for tool, what in {"wrk": "a package of most systems", "npm": "part of Node.js"}.items():
        if not shutil.which(tool):
            raise click.ClickException(f"This bench needs {tool}, {what}: install it.")
    with TemporaryDirectory(prefix="silt-bench-") as folder:
        home = Path(folder)
        answered_lakes.build(home, _WINDOWS, _RECORDS)
        with api(home) as ours, _express(home, ours) as express:
            kept = _compare(home, {"api": ours, "express": express})
    raise SystemExit(0 if kept else 1)


def _compare(folder: Path, servers: dict[str, Server]) -> bool:
    results = json.loads((folder / "answers.json").read_text())["results"]
    paths = {
        "cluster-stats": ["/api/cluster-stats"],
        "one id of the newest cycle": [f"/api/clustering-results/{row['uniqueId']}" for row in results],
        "a page of 100": ["/api/clustering-results?limit=100"],
    }
    click.echo("| requests a second | API | Express | ratio | bound | CPU, us: API | Express |")
    click.echo("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    kept = [_row(folder, servers, route, paths[route], bound) for route, bound in _BOUNDS.items()]
    return all(kept)


def _row(folder: Path, servers: dict[str, Server], route: str, paths: Sequence[str], bound: float) -> bool:
    script = folder / "ids.lua"
    script.write_text(_IDS_IN_TURN % ", ".join(f'"{path}"' for path in paths))
    loads: dict[str, list[Load]] = {name: [] for name in servers}
    for seconds in (_SECONDS, *[_SECONDS] * _ROUNDS):
        for name, server in servers.items():
            loads[name].append(_loaded(server, script, seconds))
    per_second = {name: median(load.per_second for load in runs[1:]) for name, runs in loads.items()}
    cpu = {name: median(load.cpu_micros for load in runs[1:]) for name, runs in loads.items()}
    ratio = per_second["api"] / per_second["express"]
    click.echo(
        f"| {route} | {per_second['api']:.0f} | {per_second['express']:.0f} | {ratio:.2f} | {bound:g} | "
        f"{cpu['api']:.0f} | {cpu['express']:.0f} |{'' if ratio >= bound else ' MISSED'}"
    )
    return ratio >= bound


def _loaded(server: Server, script: Path, seconds: int) -> Load:
    before = server.cpu_seconds()
    options = ["-t1", f"-c{_CONNECTIONS}", f"-d{seconds}s", f"-s{script}"]
    told = subprocess.run(
        ["wrk", *options, f"http://127.0.0.1:{server.port}"], capture_output=True, text=True, check=True
    ).stdout
    cpu = server.cpu_seconds() - before
    if "Non-2xx" in told or "Socket errors" in told:
        raise click.ClickException(f"wrk met errors:\n{told}")
    requests = int(re.findall(r"(\d+) requests in", told)[0])
    return Load(float(re.findall(r"Requests/sec: +([\d.]+)", told)[0]), 1e6 * cpu / requests)


@contextmanager
def _express(folder: Path, ours: Server) -> Iterator[Server]:
    """Express, installed in a folder, over what the API answers."""
    ours.await_answer("/api/cluster-stats")
    stats, results = (
        json.loads(get(ours.connect(), f"/api/{path}")[1])
        for path in ("cluster-stats", "clustering-results?limit=10000")
    )
    answers = folder / "answers.json"
    answers.write_text(json.dumps({"stats": stats, "results": results}))
    place = shutil.copytree(_EXPRESS, folder / "express")
    npm = ["npm", "install", "--no-package-lock", "--no-audit", "--no-fund", "--silent"]
    subprocess.run(npm, cwd=place, check=True)
    port = free_port()
    server = Server(
        ["node", str(place / "server.js"), str(port), str(answers)], port, folder / "express.log",
        NODE_ENV="production",
    )  # fmt: skip
    try:
        server.await_answer("/api/cluster-stats")
        yield server
    finally:
        server.stop()


if __name__ == "__main__":
    main()
