"""The roofline of a run: what each layer reached, under what memories and multipliers allow."""

import math
from collections.abc import Sequence
from io import BytesIO

import numpy as np

from celosia.runtime.energy import DesignEnergy, EnergyReport, LayerEnergy
from celosia.runtime.picture import require_matplotlib

_COLOURS = ("#3b7a57", "#c8553d", "#4f7cac")
_NEAR = 0.12  # decades between layers that share a label
_NAMED = 4  # of these


def draw_roofline(report: EnergyReport) -> bytes:
    """A PNG: layers by multiply-accumulates a byte and a cycle, under each design's roof.

    A design on the crossbar has those of its layers that are there.

    Raises:
        CelosiaError: matplotlib isn't installed.
    """
    require_matplotlib()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5), layout="constrained")
    FigureCanvasAgg(figure)
    axis = figure.subplots()
    intensities = [x for design in report.designs for _, x in _shown(design)]
    x = np.geomspace(min([0.1, *intensities]) / 2, max([10, *intensities]) * 2, 200)
    for design, colour in zip(report.designs, _COLOURS, strict=False):
        roof = np.minimum(design.peak, x * design.bandwidth)
        axis.loglog(x, roof, color=colour, label=f"{design.title}: {design.peak:.3g} MACs a cycle")
        layers = _shown(design)
        reached = [layer.macs_per_cycle for layer, _ in layers]
        axis.plot([x for _, x in layers], reached, "o", color=colour, markersize=5)
        for names, place in _labels(layers):
            axis.annotate(
                names, place, xytext=(6, -3), textcoords="offset points", fontsize=7, va="top"
            )
    axis.set_xlabel("multiply-accumulates for each byte from the on-chip memories")
    axis.set_ylabel("multiply-accumulates a cycle")
    axis.set_title(f"{report.model} on {report.config}", fontsize=11)
    axis.legend(fontsize=8, loc="lower right")
    axis.spines[["top", "right"]].set_visible(False)
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=110, metadata={"Software": None})
    return buffer.getvalue()


def _shown(design: DesignEnergy) -> list[tuple[LayerEnergy, float]]:
    """The layers that stand under a design's roof, with their intensities."""
    placed = {layer.engine for layer in design.layers} & {"crossbar"}
    return [
        (layer, layer.intensity)
        for layer in design.layers
        if layer.intensity and (not placed or layer.engine in placed)
    ]


def _labels(
    layers: Sequence[tuple[LayerEnergy, float]],
) -> list[tuple[str, tuple[float, float]]]:
    """Names, one below the other, and where they stand: layers near each other share a place."""
    groups: list[tuple[tuple[float, float], list[str]]] = []
    for layer, intensity in layers:
        place = intensity, layer.macs_per_cycle
        near = (names for other, names in groups if _decades(place, other) < _NEAR)
        names = next(near, None)
        if names is None:
            names = []
            groups.append((place, names))
        names.append(layer.name.rsplit("/", 1)[-1][-18:])
    labels = []
    for place, names in groups:
        rest = [f"and {len(names) - _NAMED} more"] if len(names) > _NAMED else []
        labels.append(("\n".join(names[:_NAMED] + rest), place))
    return labels


def _decades(a: tuple[float, float], b: tuple[float, float]) -> float:
    """How far apart two places are on logarithmic axes."""
    return math.hypot(*(math.log10(x / y) for x, y in zip(a, b, strict=True)))
