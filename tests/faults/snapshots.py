"""What one reader at one instant may see of a window: never half an answer, never two revisions mixed."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

Row = Mapping[str, Any]


def check_tables(row: Row, results: pl.DataFrame, statistics: pl.DataFrame) -> None:
    """A published window's row against the results and statistics that it names."""
    for name, frame in (("results", results), ("statistics", statistics)):
        seen = set(frame.select("revision", "digest").iter_rows())
        assert seen == {(row["revision"], row["digest"])}, f"{name} are not of the row's answer alone"
    assert results["record_id"].n_unique() == results.height, "a record has two results"
    assert results.height == row["records"], "the results are not as many as the row says"
    _check_counts(results["cluster"].to_list(), statistics.select("cluster", "count").to_dicts())


def check_pages(pages: Sequence[Sequence[Row]]) -> set[str]:
    """The pages of one window's results, as the API gives them; the model versions that were seen."""
    versions = [{row["modelVersion"] for row in page} for page in pages]
    assert all(len(of_page) <= 1 for of_page in versions), "a page mixes two revisions"
    ids = Counter((row["modelVersion"], row["uniqueId"]) for page in pages for row in page)
    assert not ids or max(ids.values()) == 1, "a record is on two pages"
    return set().union(*versions)


def check_clusters(statistics: Sequence[Row], pages: Sequence[Sequence[Row]]) -> None:
    """A window's statistics and its results, both of the one model version that they name."""
    versions = {row["modelVersion"] for rows in (statistics, *pages) for row in rows}
    assert len(versions) <= 1, "statistics mix two revisions"
    _check_counts([row["cluster"] for page in pages for row in page], statistics)


def check_past(before: Mapping[int, Row], after: Mapping[int, Row]) -> None:
    """The ledger, by number, at two instants: what stood there stands there still."""
    for number, row in before.items():
        assert number in after, f"intake {number} is gone"
        assert after[number] == row, f"intake {number} was overwritten"


def check_order(before: Row, after: Row) -> None:
    """A window's row at two instants."""
    for name in ("revision", "covered"):
        assert (after[name] or 0) >= (before[name] or 0), f"{name} fell, {after['window']}"
    if after["state"] and before["state"] and after["revision"] == before["revision"]:
        assert after["digest"] == before["digest"], f"two answers of one revision, {after['window']}"


def _check_counts(clusters: Sequence[int], statistics: Sequence[Row]) -> None:
    counted = {row["cluster"]: row["count"] for row in statistics}
    assert Counter(clusters) == counted, "statistics do not count the results"
