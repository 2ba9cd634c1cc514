"""Pictures of cells: histograms of conductance."""

from collections.abc import Sequence
from io import BytesIO

import numpy as np
from numpy.typing import NDArray

Window = tuple[float, float]


def draw_histogram(
    groups: Sequence[tuple[str, NDArray[np.float64]]],
    windows: Sequence[Window],
    title: str,
    axis_label: str,
) -> bytes:
    """A PNG: one histogram for each named group of values, and windows shaded behind them."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 4.5), layout="constrained")
    FigureCanvasAgg(figure)
    axis = figure.subplots()
    everything = np.concatenate([values for _, values in groups])
    edges = np.linspace(everything.min(), max(everything.max(), everything.min() + 1e-6), 161)
    for low, high in windows:
        axis.axvspan(low, high, color="#d9a441", alpha=0.25, linewidth=0)
    for name, values in groups:
        axis.hist(values, bins=list(edges), histtype="stepfilled", alpha=0.7, label=name)
    axis.set_xlim(edges[0], edges[-1])
    axis.set_yscale("log")
    axis.set_xlabel(axis_label)
    axis.set_ylabel("cells")
    axis.set_title(title, fontsize=11)
    if len(groups) > 1:
        axis.legend(fontsize=8, ncols=2)
    stream = BytesIO()
    figure.savefig(stream, format="png", dpi=110)
    return stream.getvalue()
