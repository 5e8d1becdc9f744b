"""Small pictures for the Dagster UI."""

import base64
import io

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from platform_assets.training.statistics import ClusterStatistics

_INK = "#808890"  # readable on the UI's light and dark ground


def sizes_picture(statistics: list[ClusterStatistics]) -> str:
    """The clusters' sizes as bars: Markdown with the picture inside."""
    figure = Figure(figsize=(4.5, 0.5 + 0.3 * len(statistics)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    bars = axes.barh([str(s.cluster) for s in statistics], [s.count for s in statistics], color="#4c8dff")
    axes.bar_label(bars, padding=3, color=_INK)
    axes.invert_yaxis()
    axes.set_ylabel("cluster", color=_INK)
    axes.margins(x=0.12)
    axes.tick_params(colors=_INK)
    axes.xaxis.set_visible(False)
    for spine in axes.spines.values():
        spine.set_visible(False)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=120, transparent=True)
    return f"![records per cluster](data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()})"
