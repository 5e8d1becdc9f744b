"""Clusters over time: which cluster of a window is which of the one before, and the ids that follow.

The published windows, in order, are a chain. ``cluster_events`` keeps what was found about each window and
the one before it, ``cluster_ids`` what follows for the whole chain: ids are a function of its pairs alone, so
that no order of runs matters. Windows are matched in ``platform_assets/identity.py``.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import polars as pl

from resources.delta import scan
from resources.lake import Lake
from resources.tables import TABLES
from resources.windows import KEY_FORMAT, Window

_HEAD = ["date", "window", "slot", "revision", "digest"]
_BATCH = [
    name
    for name in TABLES["windows"].schema
    if name in {*TABLES["kafka_batch"].schema, "model_version", "model_digest"}
]
_PAIR = ["previous", "previous_digest"]


class Identity(NamedTuple):
    """Which cluster it is, whatever its number in this window's model."""

    id: str
    name: str


@dataclass(frozen=True, slots=True)
class Pair:
    """What was found about a window and the one before it.

    Attributes:
        clusters: of the window's model, ascending.
        kept: per cluster that is one of the window before, that one's number there.
    """

    window: str
    digest: str
    previous: str | None
    previous_digest: str | None
    clusters: tuple[int, ...]
    kept: Mapping[int, int]


@dataclass(frozen=True)
class Chain:
    """The published windows from the floor on whose model is there, oldest first, and what is known of them.

    Attributes:
        windows: rows of ``windows``: what their batches are made of.
        pairs: by window key, as far as there are any, of these answers or of former ones.
        ids: rows of ``cluster_ids``, likewise.
        floor: the key of the lake's floor; what came before is gone.
    """

    windows: list[dict[str, Any]]
    pairs: Mapping[str, Pair]
    ids: pl.DataFrame
    floor: str

    def unmatched(self) -> list[int]:
        """The places of the windows that are not matched to the one before as both are now."""
        return [place for place in range(len(self.windows)) if not self._is_matched(place)]

    def _is_matched(self, place: int) -> bool:
        row = self.windows[place]
        pair = self.pairs.get(row["window"])
        if pair is None or pair.digest != row["digest"]:
            return False
        if place == 0 and pair.previous is not None:
            return pair.previous < self.floor and not self._stored(row).is_empty()
        before = self.windows[place - 1] if place else {"window": None, "digest": None}
        return (pair.previous, pair.previous_digest) == (before["window"], before["digest"])

    def identities(self) -> pl.DataFrame:
        """Rows of ``cluster_ids`` as they should be, up to the first window that is not matched."""
        matched = next(iter(self.unmatched()), len(self.windows))
        rows = [
            (window, cluster, *identity, named)
            for window, clusters, named in self._follow([row["window"] for row in self.windows[:matched]])
            for cluster, identity in clusters.items()
        ]
        schema = {
            name: TABLES["cluster_ids"].schema[name] for name in ("window", "cluster", "id", "name", "named")
        }
        heads = pl.DataFrame(self.windows, schema={name: TABLES["windows"].schema[name] for name in _HEAD})
        found = pl.DataFrame(rows, schema=schema, orient="row").join(heads, on="window")
        return found.select(list(TABLES["cluster_ids"].schema))

    def _follow(self, keys: list[str]) -> Iterator[tuple[str, dict[int, Identity], int]]:
        clusters, named = dict[int, Identity](), 0
        if keys and self.pairs[keys[0]].previous is not None:  # what came before is gone; its ids are kept
            start = self._stored(self.windows[0])
            clusters = {row["cluster"]: Identity(row["id"], row["name"]) for row in start.to_dicts()}
            named = start["named"][0]
            yield keys.pop(0), clusters, named
        for pair in (self.pairs[key] for key in keys):
            clusters, named = _inherited(pair, clusters, named)
            yield pair.window, clusters, named

    def _stored(self, row: Mapping[str, Any]) -> pl.DataFrame:
        mine = (pl.col("window") == row["window"]) & (pl.col("digest") == row["digest"])
        return self.ids.filter(mine)


def _inherited(pair: Pair, before: Mapping[int, Identity], named: int) -> tuple[dict[int, Identity], int]:
    clusters = {}
    for cluster in pair.clusters:
        if cluster in pair.kept:
            clusters[cluster] = before[pair.kept[cluster]]
        else:
            named += 1
            clusters[cluster] = Identity(f"{pair.window}/{cluster}", f"c{named}")
    return clusters, named


def read_chain(lake: Lake) -> Chain:
    """The chain as it is now."""
    windows = lake.read("windows", [*_BATCH, "state"]).filter(pl.col("state") == "published").drop("state")
    models = lake.read("models", ["digest"])
    pairs = lake.read("cluster_events", ["window", "digest", *_PAIR, "after", "keeps_before", "keeps_after"])
    ids = lake.read("cluster_ids")
    floor = lake.floor().strftime(KEY_FORMAT)  # last: what was deleted before lies before this one
    kept = windows.filter(pl.col("window") >= floor).join(
        models, left_on="model_digest", right_on="digest", how="semi"
    )
    return Chain(kept.sort("window").to_dicts(), _pairs(pairs), ids, floor)


def _pairs(events: pl.DataFrame) -> dict[str, Pair]:
    after = pl.col("after").explode().drop_nulls().unique().sort()
    rows = events.group_by("window", "digest", *_PAIR).agg(after, "keeps_after", "keeps_before")
    return {
        window: Pair(window, digest, previous, previous_digest, tuple(clusters), _kept(to, of))
        for window, digest, previous, previous_digest, clusters, to, of in rows.iter_rows()
    }


def _kept(after: Iterable[int | None], before: Iterable[int | None]) -> dict[int, int]:
    return {y: x for y, x in zip(after, before, strict=True) if y is not None and x is not None}


def write_identities(lake: Lake, chain: Chain) -> bool:
    """Bring ``cluster_ids`` up to date in one commit, from the first window that differs to the last.

    Returns:
        Whether anything differed.
    """
    due = chain.identities()
    stored = chain.ids.join(due.select("window"), on="window", how="semi")
    columns = due.columns
    differ = pl.concat([due.join(stored, on=columns, how="anti"), stored.join(due, on=columns, how="anti")])
    if differ.is_empty():
        return False
    first, last = str(differ["window"].min()), str(differ["window"].max())
    rows = due.filter(pl.col("window").is_between(pl.lit(first), pl.lit(last)))
    lake.replace_windows("cluster_ids", first, last, rows)
    return True


def read_identities(lake: Lake, window: Window, digest: str) -> dict[int, Identity]:
    """Each cluster's identity in a window's answer; empty until it is matched."""
    rows = lake.read_window("cluster_ids", window).filter(pl.col("digest") == digest).collect()
    return {row["cluster"]: Identity(row["id"], row["name"]) for row in rows.to_dicts()}


def read_events(lake: Lake, first: str, last: str) -> pl.DataFrame:
    """Rows of ``cluster_events`` of the windows from one to another (keys, both included), oldest first.

    Those alone whose two answers are the published ones: not what is about to be matched again.
    """
    events = scan(lake.table("cluster_events"))
    found = events.filter(pl.col("window").is_between(pl.lit(first), pl.lit(last))).collect()
    rows = lake.read("windows", ["window", "digest", "state"]).filter(pl.col("state") == "published")
    shown = rows.select("window", "digest")
    both = found.join(shown, on=["window", "digest"], how="semi")
    start = both.filter(pl.col("previous").is_null())
    pairs = both.join(shown, left_on=_PAIR, right_on=["window", "digest"], how="semi")
    return pl.concat([start, pairs]).sort("window", maintain_order=True)
