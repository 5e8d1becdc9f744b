"""The rows of many answers in one read."""

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from api.published import Answer
from api.snapshots import AnswerTable, Pair

Identities = Mapping[Pair, Mapping[int, dict[str, Any]]]
"""By window and digest, then by cluster: ``cluster_id`` and ``cluster_name``."""
NO_IDENTITY: dict[str, Any] = {"cluster_id": None, "cluster_name": None}


def rows_of(table: AnswerTable, answers: Sequence[Answer]) -> pl.DataFrame:
    """What a table has of these answers now; nothing of one whose rows are not written yet."""
    held = table.snapshot().held
    pairs = [(answer.window, answer.digest or "") for answer in answers]
    files = {file.address for pair in pairs for file in held.get(pair, ())}
    if not files:
        return pl.DataFrame(schema=table.schema)
    asked = pl.LazyFrame(pairs, schema=["window", "digest"], orient="row")
    least, most = min(pairs)[0], max(pairs)[0]
    rows = pl.scan_parquet(sorted(files)).filter(pl.col("window").is_between(pl.lit(least), pl.lit(most)))
    return rows.join(asked, on=["window", "digest"], how="semi").collect()


def ids_of(table: AnswerTable, answers: Sequence[Answer]) -> Identities:
    """What ``cluster_ids`` has of these answers; nothing of one that is not matched yet."""
    found: dict[Pair, dict[int, dict[str, Any]]] = {}
    for row in rows_of(table, answers).iter_rows(named=True):
        identity = {"cluster_id": row["id"], "cluster_name": row["name"]}
        found.setdefault((row["window"], row["digest"]), {})[row["cluster"]] = identity
    return found
