"""Pictures of cells and products."""

from collections.abc import Sequence
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray

from celosia.runtime.crossbar.mvm import MvmReport

Window = tuple[float, float]


def draw_histogram(
    groups: Sequence[tuple[str, NDArray[np.float64]]],
    windows: Sequence[Window],
    title: str,
    axis_label: str,
) -> bytes:
    """A PNG: one histogram for each named group of values, and windows shaded behind them."""
    figure = new_figure(9, 4.5)
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
        figure.legend(loc="outside right upper", fontsize=8)
    return as_png(figure)


def draw_product(report: MvmReport) -> bytes:
    """A PNG: sums against the exact ones, their errors, and the cells behind them."""
    setup = report.setup
    figure = new_figure(13, 4.3)
    figure.suptitle(
        f"{report.device}: {setup.rows} x {report.columns} cells of {setup.cell_bits} bits, "
        f"{setup.adc_bits}-bit converters, {'calibrated' if setup.calibrated else 'raw'}; "
        f"error {report.error_relative:.2%} of the sums",
        fontsize=11,
    )
    sums, errors, cells = figure.subplots(1, 3, width_ratios=[1, 1, 1.3])
    exact = report.exact.ravel() / 1000
    ends = [float(exact.min()), float(exact.max())]
    sums.plot(ends, ends, color="#777777", linewidth=0.8)
    sums.scatter(exact, report.found.ravel() / 1000, s=5, color="#4f7cac", alpha=0.6, linewidth=0)
    sums.set_xlabel("exact sum, thousands")
    sums.set_ylabel("sum of the crossbar, thousands")
    errors.hist(report.errors.ravel() / 1000, bins=60, color="#c8553d", alpha=0.8)
    errors.axvline(0, color="#777777", linewidth=0.8)
    errors.set_xlabel("error, thousands")
    errors.set_ylabel("sums")
    for axis in (sums, errors):
        axis.spines[["top", "right"]].set_visible(False)
    image = cells.imshow(report.conductances, cmap="viridis", aspect="auto", interpolation="none")
    cells.set_xlabel("column")
    cells.set_ylabel("row")
    figure.colorbar(image, ax=cells, label="conductance, uS")
    return as_png(figure)


def new_figure(width: float, height: float) -> Any:
    """A figure of so many inches, for files only."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def as_png(figure: Any) -> bytes:
    """The figure as a file, the same one each time."""
    stream = BytesIO()
    figure.savefig(stream, format="png", dpi=110, metadata={"Software": None})
    return stream.getvalue()
