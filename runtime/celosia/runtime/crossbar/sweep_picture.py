"""Pictures of sweeps: accuracy with error bars, one curve for each network and remedy."""

from collections.abc import Mapping

import numpy as np

from celosia.runtime.crossbar.characterise import SweepResult
from celosia.runtime.crossbar.picture import as_png, new_figure

COLOURS = ("#c8553d", "#4f7cac", "#3b7a57", "#8c5e9e", "#d9a441")
MARKERS = ("o", "s", "^", "D", "v")
_APART = 0.012
"""Between the points of two curves at the same value, as a share of the axis: bars then show."""


def draw_sweep(result: SweepResult, int8: Mapping[str, float], title: str, measure: str) -> bytes:
    """A PNG of a sweep: means with one standard deviation, and the int8 networks as lines.

    `int8` has the exact accuracy of each network, `measure` says what is drawn upwards.
    """
    plan = result.plan
    figure = new_figure(7.6, 4.6)
    axis = figure.subplots()
    values = np.array(plan.values)
    places = np.arange(len(values), dtype=float) if plan.even or plan.names else values
    if plan.logarithmic:
        places = np.log10(values)
    apart = _APART * (places[-1] - places[0])
    for index, curve in enumerate(result.curves):
        means, spreads = (
            100 * np.array([getattr(point, name) for point in curve.points])
            for name in ("mean", "std")
        )
        shift = (index - (len(result.curves) - 1) / 2) * apart
        axis.errorbar(
            places + shift,
            means,
            # No share is below nothing or above all, though its standard deviation may reach there.
            [np.minimum(spreads, means), np.minimum(spreads, 100 - means)],
            label=curve.line.name,
            color=COLOURS[index],
            marker=MARKERS[index],
            markersize=5,
            linewidth=0 if plan.names else 1.4,
            elinewidth=1.2,
            capsize=3,
        )
    baselines = sorted({int8[curve.line.network] for curve in result.curves})
    for accuracy in baselines:
        axis.axhline(100 * accuracy, color="#999999", linestyle=":", linewidth=1)
    axis.text(
        0.995,
        100 * baselines[-1] + 0.6,
        "int8",
        transform=axis.get_yaxis_transform(),
        ha="right",
        va="bottom",
        fontsize=8,
        color="#777777",
    )
    labels = plan.names or [
        f"$10^{{{power:.0f}}}$" if plan.logarithmic else f"{value:g}"
        for value, power in zip(values, np.log10(np.maximum(values, 1e-30)), strict=True)
    ]
    axis.set_xticks(places, labels)
    axis.set_xlabel(plan.axis)
    axis.set_ylabel(f"{measure}, %")
    axis.set_ylim(min(axis.get_ylim()[0], 85), 104)
    axis.set_title(title, fontsize=11)
    axis.grid(axis="y", color="#e5e5e5", linewidth=0.8)
    axis.set_axisbelow(True)
    axis.spines[["top", "right"]].set_visible(False)
    figure.legend(fontsize=8, frameon=False, loc="outside lower center", ncols=2)
    return as_png(figure)
