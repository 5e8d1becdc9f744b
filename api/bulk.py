"""The rows of many answers in one read."""

from collections.abc import Sequence

import polars as pl

from api.published import Answer
from api.snapshots import AnswerTable


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
