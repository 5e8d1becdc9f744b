"""Small pictures for the Dagster UI: Markdown with a PNG inside, readable on its light and dark ground."""

import base64
import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from platform_assets.training.statistics import ClusterStatistics

Floats = NDArray[np.float64]

_INK = "#808890"
_COLOURS = ("#4c8dff", "#e0803c", "#2fa36b", "#c65bb1", "#b59a2a", "#7d6be0", "#d1575c", "#3aa6b4")
_TONES = 48
"""So many colours a picture has at most: one of 1,000 points then takes some ten kilobytes."""
_POINTS = 1_000


def sizes_picture(statistics: list[ClusterStatistics]) -> str:
    """The clusters' sizes as bars."""
    axes = _axes(4.5, 0.5 + 0.3 * len(statistics))
    places = range(len(statistics))
    bars = axes.barh(places, [each.count for each in statistics], color=_COLOURS[0])
    axes.set_yticks(places, [str(each.cluster) for each in statistics])
    axes.bar_label(bars, padding=3, color=_INK)
    axes.invert_yaxis()
    axes.set_ylabel("cluster", color=_INK)
    axes.margins(x=0.12)
    axes.xaxis.set_visible(False)
    for spine in axes.spines.values():
        spine.set_visible(False)
    return _markdown(axes, "records per cluster")


def clusters_picture(
    points: Floats, clusters: NDArray[np.int64], names: Sequence[str], before: Mapping[str, Floats]
) -> str:
    """Up to 1,000 points in their first two principal components, coloured by cluster.

    Args:
        points: shape (n, features), in scaled units.
        clusters: shape (n,), each point's cluster, an index into ``names``.
        names: the clusters' names, such as ``c1``.
        before: the centre that a cluster of this name had in the window before, in the same units: an arrow
            leads from there to where it is now.
    """
    middle = points.mean(axis=0)
    squares, components = np.linalg.eigh((points - middle).T @ (points - middle))
    shares = squares[::-1] / max(squares.sum(), np.finfo(float).tiny)

    def flat(values: Floats) -> Floats:
        plane = (values - middle) @ components[:, :-3:-1]
        return plane if plane.shape[1] == 2 else np.column_stack([plane, np.zeros(len(plane))])

    axes = _axes(5.0, 3.6)
    shown = np.linspace(0, len(points) - 1, min(len(points), _POINTS)).astype(int)
    plane = flat(points[shown])
    for number, name in enumerate(names):
        everyone = points[clusters == number]
        if not len(everyone):
            continue
        mine = clusters[shown] == number
        colour = _colour(name)
        axes.scatter(plane[mine, 0], plane[mine, 1], s=6, color=colour, alpha=0.5, linewidths=0, label=name)
        centre = flat(everyone.mean(axis=0, keepdims=True))[0]
        if name in before:
            start = flat(before[name][None, :])[0]
            axes.annotate("", centre, start, arrowprops={"arrowstyle": "->", "color": _INK, "lw": 1.5})
            axes.scatter(start[0], start[1], s=40, facecolors="none", edgecolors=colour, linewidths=1.5)
        axes.scatter(centre[0], centre[1], s=50, color=colour, edgecolors=_INK, linewidths=1)
    axes.set_xlabel(f"1st principal component, {shares[0]:.0%} of the variance", color=_INK, fontsize=8)
    if len(shares) > 1:
        axes.set_ylabel(f"2nd, {shares[1]:.0%}", color=_INK, fontsize=8)
    _legend(axes)
    return _markdown(axes, "the clusters in two dimensions; rings: their centres in the window before")


def choice_picture(silhouettes: Mapping[int, float], chosen: int) -> str:
    """The silhouette of each number of clusters that was tried; the chosen one filled."""
    axes = _axes(4.5, 2.2)
    axes.plot(list(silhouettes), list(silhouettes.values()), color=_COLOURS[0], marker="o", mfc="none")
    axes.plot([chosen], [silhouettes[chosen]], color=_COLOURS[0], marker="o")
    axes.set_xticks(list(silhouettes))
    axes.set_xlabel("clusters", color=_INK)
    axes.set_ylabel("silhouette", color=_INK)
    return _markdown(axes, f"silhouette by number of clusters; chosen: {chosen}")


def history_picture(windows: Sequence[str], sizes: Mapping[str, Sequence[int]]) -> str:
    """The share of each named cluster in each of the windows, oldest first.

    Args:
        windows: their labels.
        sizes: per name, records per window.
    """
    axes = _axes(5.0, 2.6)
    totals = np.maximum(np.sum([np.asarray(counts) for counts in sizes.values()], axis=0), 1)
    floor = np.zeros(len(windows))
    for name, counts in sizes.items():
        share = np.asarray(counts) / totals
        axes.bar(range(len(windows)), share, bottom=floor, width=0.85, color=_colour(name), label=name)
        floor += share
    axes.set_xticks([0, len(windows) - 1], [windows[0], windows[-1]])
    axes.set_ylabel("share of the records", color=_INK)
    _legend(axes)
    return _markdown(axes, f"the clusters' shares over {len(windows)} windows")


def _colour(name: str) -> str:
    """The same for a cluster's name in every picture."""
    return _COLOURS[int(name.removeprefix("c")) % len(_COLOURS)]


def _axes(width: float, height: float) -> Axes:
    figure = Figure(figsize=(width, height), dpi=100, facecolor="none", layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot(facecolor="none")
    axes.tick_params(colors=_INK, labelsize=8)
    for name, spine in axes.spines.items():
        spine.set_color(_INK)
        spine.set_visible(name in ("left", "bottom"))
    return axes


def _legend(axes: Axes) -> None:
    axes.figure.legend(loc="outside right upper", frameon=False, labelcolor=_INK, fontsize=8, markerscale=2)


def _markdown(axes: Axes, title: str) -> str:
    canvas: Any = axes.figure.canvas
    canvas.draw()
    drawn, small = Image.fromarray(np.asarray(canvas.buffer_rgba())), io.BytesIO()
    drawn.quantize(_TONES, method=Image.Quantize.FASTOCTREE).save(small, "png", optimize=True)
    return f"![{title}](data:image/png;base64,{base64.b64encode(small.getvalue()).decode()})"
