"""The roofline of a run: what each layer reached, under what memories and multipliers allow."""

from io import BytesIO

import numpy as np

from celosia.runtime.energy import EnergyReport
from celosia.runtime.picture import require_matplotlib

_COLOURS = ("#3b7a57", "#c8553d", "#4f7cac")


def draw_roofline(report: EnergyReport) -> bytes:
    """A PNG: layers by multiply-accumulates a byte and a cycle, under each design's roof.

    Raises:
        CelosiaError: matplotlib isn't installed.
    """
    require_matplotlib()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5), layout="constrained")
    FigureCanvasAgg(figure)
    axis = figure.subplots()
    intensities = [
        layer.intensity for design in report.designs for layer in design.layers if layer.intensity
    ]
    x = np.geomspace(min([0.1, *intensities]) / 2, max([10, *intensities]) * 2, 200)
    for design, colour in zip(report.designs, _COLOURS, strict=False):
        roof = np.minimum(design.peak, x * design.bandwidth)
        axis.loglog(x, roof, color=colour, label=f"{design.title}: {design.peak} MACs a cycle")
        for layer in design.layers:
            if layer.intensity:
                axis.plot(layer.intensity, layer.macs_per_cycle, "o", color=colour, markersize=5)
                axis.annotate(
                    layer.name.rsplit("/", 1)[-1][-18:],
                    (layer.intensity, layer.macs_per_cycle),
                    xytext=(4, -9),
                    textcoords="offset points",
                    fontsize=7,
                )
    axis.set_xlabel("multiply-accumulates for each byte from the on-chip memories")
    axis.set_ylabel("multiply-accumulates a cycle")
    axis.set_title(f"{report.model} on {report.config}", fontsize=11)
    axis.legend(fontsize=8, loc="lower right")
    axis.spines[["top", "right"]].set_visible(False)
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=110, metadata={"Software": None})
    return buffer.getvalue()
