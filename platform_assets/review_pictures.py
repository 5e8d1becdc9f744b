"""A reviewed window's pictures: its clusters, how many there could have been, and the windows before it."""

import polars as pl

from platform_assets.pictures import choice_picture, clusters_picture, history_picture
from platform_assets.run import Platform
from platform_assets.training.points import clusters_of, encoded
from resources.batch import Batch
from resources.cluster_model import ClusterModel, Floats
from resources.delta import scan
from resources.identity import read_identities
from resources.samples import Sample, published_batch, published_before

_WINDOWS = 24


def review_pictures(platform: Platform, batch: Batch, taken: Sample) -> dict[str, str]:
    """Markdown by name.

    Args:
        taken: the batch's sample, with a model.
    """
    assert taken.model
    named = _names(platform, batch)
    names = [named.get(cluster, f"{cluster}") for cluster in range(len(taken.model.centres))]
    points, clusters = encoded(taken.records, taken.model.features), clusters_of(taken.records, taken.model)
    pictures = {"clusters": clusters_picture(points, clusters, names, _before(platform, batch, taken.model))}
    return pictures | _choice(platform, batch) | _history(platform, batch)


def _names(platform: Platform, batch: Batch) -> dict[int, str]:
    identities = read_identities(platform.lake, batch.window, batch.digest)
    return {cluster: identity.name for cluster, identity in identities.items()}


def _before(platform: Platform, batch: Batch, model: ClusterModel) -> dict[str, Floats]:
    """Where the clusters of the window before had their means, by name, in a model's units."""
    window = published_before(platform.lake, platform.grid, batch.window)
    previous = published_batch(platform.lake, window) if window else None
    earlier = platform.samples.sample(previous) if previous else None
    if not previous or not earlier or not earlier.model:
        return {}
    clusters = clusters_of(earlier.records, earlier.model)
    points = encoded(earlier.records, model.features)
    names = _names(platform, previous)
    there = {name: points[clusters == cluster] for cluster, name in names.items()}
    return {name: mine.mean(axis=0) for name, mine in there.items() if len(mine)}


def _choice(platform: Platform, batch: Batch) -> dict[str, str]:
    rows = platform.lake.read_window("models", batch.window).filter(pl.col("digest") == batch.digest)
    for k, candidates in rows.select("k", "candidates").collect().iter_rows():
        scores = {each["k"]: each["silhouette"] for each in candidates or () if each["silhouette"]}
        if k in scores:
            return {"silhouettes": choice_picture(scores, k)}
    return {}


def _history(platform: Platform, batch: Batch) -> dict[str, str]:
    """The last windows up to this one, as far as their clusters have names."""
    states = platform.lake.read("windows", ["date", "window", "state"])
    published = states.filter(pl.col("state") == "published", pl.col("window") <= batch.window.key)
    last = published.sort("window").tail(_WINDOWS)
    recent = pl.col("date") >= last["date"].min(), pl.col("window").is_in(last["window"].to_list())
    sizes, ids = (
        scan(platform.lake.table(name)).filter(*recent) for name in ("cluster_stats", "cluster_ids")
    )
    answer = ["window", "digest", "cluster"]
    named = sizes.join(ids.select(*answer, "name"), on=answer).select("window", "name", "count").collect()
    counts = {(window, name): count for window, name, count in named.iter_rows()}
    if last.height < 2 or named.is_empty():
        return {}
    names = sorted(named["name"].unique(), key=lambda name: int(name.removeprefix("c")))
    by_name = {name: [counts.get((window, name), 0) for window in last["window"]] for name in names}
    return {"shares": history_picture([window[11:] for window in last["window"]], by_name)}
