"""``python -m bench.api_lookups``: one id among millions over HTTP, beside scans of the same files."""

import random
import time
from collections.abc import Callable, Sequence
from http.client import HTTPConnection
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import click
import duckdb
import polars as pl

from bench import answered_lakes
from bench.served import Server, api, get
from resources.id_coverage import uncovered_windows
from resources.id_index import FOLDER
from resources.lake import Lake

SIZES = {
    "30 million records in 300 windows": (300, 100_000),
    "13 million records in 26,000 windows": (26_000, 500),
}
_LOOK_UPS = 1_000
_SCANS = 10
_MEDIAN, _P99, _FIRST = 0.005, 0.030, 2.0
_INDEXING_SECONDS = 600
_DUCKDB = "SELECT record_id, cluster, distance, event_time, features FROM read_parquet(?) WHERE record_id = ?"


@click.command()
def main() -> None:
    """Build the tables in a temporary folder, and print how long look-ups take. Ends with 1 if a bound is
    missed."""
    kept = []
    for name, (windows, records) in SIZES.items():
        with TemporaryDirectory(prefix="silt-bench-") as folder:
            home = Path(folder)
            seconds = _timed(lambda: answered_lakes.build(home, windows, records))  # noqa: B023
            click.echo(f"\n{name}: built in {seconds:.0f} s")
            kept.append(measure(home))
    raise SystemExit(0 if all(kept) else 1)


def measure(home: Path) -> bool:
    """Print the figures of a home whose lake is there; whether all keep to their bounds."""
    lake = Lake(str(home / "lake"))
    files = pl.Series(lake.table("clustering_results").file_uris()).to_list()
    draw = random.Random(7)
    present = _ids(files, draw)
    absent = [f"{unique_id[:-1]}~" for unique_id in present]
    _index(home, lake)
    with api(home) as server:
        first = server.await_answer(_path(present[0]))
        rows = {
            "present ids": _look_ups(server, present[1:], 200),
            "absent ids": _look_ups(server, absent, 404),
        }
    click.echo("\n| over HTTP | median, ms | p99, ms | server's CPU, ms |\n| --- | ---: | ---: | ---: |")
    for what, (seconds, cpu) in rows.items():
        figures = (median(seconds), _p99(seconds), cpu / len(seconds))
        click.echo(f"| {what} | {' | '.join(f'{1e3 * figure:.2f}' for figure in figures)} |")
    _scans(files, present[:_SCANS])
    kept = [_within("first answer after a start", first, _FIRST)]
    for what, (seconds, _) in rows.items():
        kept.append(_within(f"{what}, median", median(seconds), _MEDIAN))
        kept.append(_within(f"{what}, p99", _p99(seconds), _P99))
    return all(kept)


def _within(name: str, measured: float, bound: float) -> bool:
    kept = measured <= bound
    click.echo(f"{name}: {1e3 * measured:.1f} ms (bound {1e3 * bound:g} ms){'' if kept else '  MISSED'}")
    return kept


def _ids(files: Sequence[str], draw: random.Random) -> list[str]:
    """Ids that are there, out of many files."""
    chosen = draw.sample(list(files), min(100, len(files)))
    each = _LOOK_UPS // len(chosen) + 1
    ids = [
        unique_id
        for file in chosen
        for unique_id in pl.read_parquet(file, columns=["record_id"])["record_id"].sample(each, seed=7)
    ]
    draw.shuffle(ids)
    return ids


def _index(home: Path, lake: Lake) -> None:
    """Have the API index all, and tell how long it took beside its answers."""
    with api(home) as server:
        server.await_answer("/health/live")
        started = time.perf_counter()
        while uncovered_windows(lake, home / FOLDER)[1]:
            if time.perf_counter() - started > _INDEXING_SECONDS:
                raise click.ClickException("The index was not made in time.")
            time.sleep(0.5)
        seconds, cpu = time.perf_counter() - started, server.cpu_seconds()
    size = sum(file.stat().st_size for file in (home / FOLDER).rglob("*.npy"))
    click.echo(f"index: made in {seconds:.0f} s ({cpu:.0f} s of CPU), {size / 1e6:.0f} MB")


def _look_ups(server: Server, ids: Sequence[str], status: int) -> tuple[list[float], float]:
    """Seconds of each, one after the other on one connection, and the server's CPU seconds."""
    connection, before = server.connect(), server.cpu_seconds()
    seconds = [_timed(lambda: _found(connection, unique_id, status)) for unique_id in ids]  # noqa: B023
    return seconds, server.cpu_seconds() - before


def _found(connection: HTTPConnection, unique_id: str, status: int) -> None:
    given, body = get(connection, _path(unique_id))
    if given != status or unique_id.encode() not in body:
        raise click.ClickException(f"{unique_id} was answered with {given}: {body[:200]!r}")


def _path(unique_id: str) -> str:
    return f"/api/clustering-results/{unique_id}"


def _scans(files: list[str], ids: Sequence[str]) -> None:
    def polars(unique_id: str) -> object:
        return pl.scan_parquet(files).filter(pl.col("record_id") == unique_id).collect()

    def duck(unique_id: str) -> object:
        return duckdb.execute(_DUCKDB, [files, unique_id]).fetchall()

    scans: dict[str, Callable[[str], object]] = {"polars": polars, "DuckDB": duck}
    click.echo("\n| scan of the same files | median, ms |\n| --- | ---: |")
    for name, scan in scans.items():
        seconds = [_timed(lambda: scan(unique_id)) for unique_id in ids]  # noqa: B023
        click.echo(f"| {name} | {1e3 * median(seconds):.0f} |")


def _p99(seconds: Sequence[float]) -> float:
    return sorted(seconds)[len(seconds) * 99 // 100]


def _timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
