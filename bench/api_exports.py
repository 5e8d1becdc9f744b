"""``python -m bench.api_exports``: a walk beside a publisher, and the export of ten million rows."""

import hashlib
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import click
import httpx
import polars as pl
import psutil

from bench import answered_lakes
from bench.served import Server, api
from resources.id_coverage import uncovered_windows
from resources.id_index import FOLDER
from resources.lake import Lake
from resources.settings import Settings
from resources.windows import Grid, Window

_WALKED = (100, 10_000)
_EXPORTED = (600, 16_667)
_PAGE = 1_000
_MEGABYTES = 300.0
_INDEXING_SECONDS = 600
_PATH = "/api/clustering-results"


@click.command()
def main() -> None:
    """Build the lakes in temporary folders and print the figures. Ends with 1 if a row is missing or
    repeated, or a bound is missed."""
    kept = []
    for sizes, measure in ((_WALKED, walk), (_EXPORTED, export)):
        with TemporaryDirectory(prefix="silt-bench-") as folder:
            lake = answered_lakes.build(Path(folder), *sizes)
            kept.append(measure(Path(folder), lake, sizes[0] * sizes[1]))
    raise SystemExit(0 if all(kept) else 1)


def walk(home: Path, lake: Lake, rows: int) -> bool:
    """Walk by cursor while windows are published again; whether each row came once, of the first answer."""
    walked: set[tuple[str, str]] = set()
    versions: set[str] = set()
    count = pages = 0
    with (
        api(home) as server,
        _client(server) as client,
        _publisher(lake, Settings(home=home).grid) as published,
    ):
        started, url = time.perf_counter(), f"{_PATH}?limit={_PAGE}&format=arrow"
        while url:
            response = client.get(url).raise_for_status()
            frame = pl.read_ipc_stream(response.content)
            walked.update(zip(frame["window"], frame["uniqueId"], strict=True))
            versions.update(frame["modelVersion"].str.tail(2))
            count, pages = count + frame.height, pages + 1
            url = response.links.get("next", {}).get("url", "")
        seconds = time.perf_counter() - started
    click.echo(
        f"walk: {count:,} rows in {pages:,} pages of {_PAGE:,}, {len(walked):,} of them different, "
        f"{seconds:.1f} s; {len(published)} windows were published again meanwhile"
    )
    return count == len(walked) == rows and versions == {"r1"} and len(published) > 0


@contextmanager
def _publisher(lake: Lake, grid: Grid) -> Iterator[list[str]]:
    """Publishes one window after the other again, oldest first, without its first record."""
    published: list[str] = []
    keys = sorted(lake.read("windows", ["window"])["window"])
    end = threading.Event()

    def publish() -> None:
        for key in keys:
            if end.is_set():
                return
            _publish_again(lake, grid.window(key))
            published.append(key)

    thread = threading.Thread(target=publish)
    thread.start()
    try:
        yield published
    finally:
        end.set()
        thread.join()


def _publish_again(lake: Lake, window: Window) -> None:
    digest = hashlib.sha256(f"again {window.key}".encode()).hexdigest()
    head = {"revision": pl.lit(2, pl.Int32), "digest": pl.lit(digest), "date": pl.lit(window.date)}
    rows = lake.read_window("clustering_results", window).with_columns(**head).collect()
    version = lake.replace_window("clustering_results", window, rows[1:])
    row = lake.read_window("windows", window).with_columns(
        **head,
        results_version=pl.lit(version, pl.Int64),
        model_version=pl.col("model_version").str.replace("r1$", "r2"),
    )
    lake.replace_window("windows", window, row.collect())


def export(home: Path, lake: Lake, rows: int) -> bool:
    """Export all as CSV; whether every row came and the processes stayed small."""
    _index(home, lake)
    with api(home) as server, _client(server) as client:
        before = _megabytes()
        with _watched() as seen:
            started, lines, size = time.perf_counter(), 0, 0
            with client.stream("GET", f"{_PATH}?limit=all&format=csv") as response:
                for part in response.iter_raw():
                    lines, size = lines + part.count(b"\n"), size + len(part)
            seconds = time.perf_counter() - started
        click.echo(
            f"export: {lines - 1:,} rows of CSV, {size / 1e6:,.0f} MB, in {seconds:.0f} s "
            f"({server.cpu_seconds():.0f} s of CPU); memory before it {before:.0f} MB, "
            f"at most {max(seen):.0f} MB (bound {_MEGABYTES:.0f} MB)"
        )
        return lines - 1 == rows and max(seen) <= _MEGABYTES


def _index(home: Path, lake: Lake) -> None:
    """Have the API index the ids before: that takes memory of its own."""
    with api(home) as server:
        server.await_answer("/health/ready")
        started = time.perf_counter()
        while uncovered_windows(lake, home / FOLDER)[1]:
            if time.perf_counter() - started > _INDEXING_SECONDS:
                raise click.ClickException("The index was not made in time.")
            time.sleep(0.5)


@contextmanager
def _watched() -> Iterator[list[float]]:
    """The memory of the server's processes, in megabytes, ten times a second."""
    seen, end = [_megabytes()], threading.Event()

    def watch() -> None:
        while not end.wait(0.1):
            seen.append(_megabytes())

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield seen
    finally:
        end.set()
        thread.join()


def _megabytes() -> float:
    """Of the processes that this one started; what they share counts once (PSS)."""
    return sum(child.memory_full_info().pss for child in psutil.Process().children(recursive=True)) / 1e6


def _client(server: Server) -> httpx.Client:
    server.await_answer("/health/ready")
    return httpx.Client(
        base_url=f"http://127.0.0.1:{server.port}", timeout=60, headers={"Accept-Encoding": "identity"}
    )


if __name__ == "__main__":
    main()
