"""Measures of memories against their size, as a picture."""

from collections.abc import Sequence

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from whence.records.memory_sizes import MemorySize
from whence.report.figures import to_bytes

SIZE_PANELS = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "explanation_accuracy": "top stored image in the answered class",
    "purity": "weight on images of the true class",
}
"""Fields of ``MemorySize`` that are drawn, and what each panel says."""


def draw_sizes(measured: Sequence[MemorySize]) -> bytes:
    """Draw a line for each selection, and the whole memory as a dashed one; a PNG file.

    Args:
        measured: the whole memory, and at least one other.
    """
    whole, others = measured[0], measured[1:]
    figure = Figure(figsize=(9, 6.4))
    FigureCanvasAgg(figure)
    panels = figure.subplots(2, 2, sharex=True).flatten()
    figure.subplots_adjust(0.07, 0.14, 0.985, 0.95, hspace=0.18, wspace=0.16)
    names = list(dict.fromkeys(one.selection for one in others))
    measured_sizes = sorted({one.size for one in others})
    for panel, (field, title) in zip(panels, SIZE_PANELS.items(), strict=True):
        panel.set_title(f"{title} (%)", fontsize=9)
        panel.set_xscale("log")
        panel.set_xticks(measured_sizes, [f"{size:,}" for size in measured_sizes])
        panel.xaxis.minorticks_off()
        panel.tick_params(labelsize=8)
        panel.axhline(100 * getattr(whole, field), color="0.4", linestyle="--", label="all")
        for place, name in enumerate(names):
            own = [one for one in others if one.selection == name]
            sizes, shares = [one.size for one in own], [100 * getattr(one, field) for one in own]
            panel.plot(
                sizes,
                shares,
                color="0.4" if name == "random" else f"C{place}",
                linestyle=":" if name == "random" else "-",
                marker="o",
                markersize=3,
                label=name,
            )
    for panel in panels[2:]:
        panel.set_xlabel("stored images", fontsize=9)
    lines, labels = panels[0].get_legend_handles_labels()
    labels[0] = f"all {whole.size:,}"
    figure.legend(lines, labels, ncols=len(lines), loc="lower center", fontsize=8, frameon=False)
    return to_bytes(figure)
