"""Curves of attribution methods as a picture, a panel for each measure."""

import math

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from whence.records.faithfulness import Faithfulness
from whence.report.figures import to_bytes

PANELS_ACROSS = 3
PANEL_SIZE = (3.6, 2.9)
"""Inches."""

LINE_STYLES = ("-", "--", ":", "-.")
LINE_COLOURS = 10
"""Colours of matplotlib's cycle; lines that share one have another style."""


def draw_curves(found: Faithfulness) -> bytes | None:
    """Draw the curves of all measures that have one; a PNG file, None without any.

    What stands across is the way from its beginning to its end, as fractions: of pixels that are
    hidden or shown, of sizes of sets, or of randomised layers.
    """
    curved = [
        one.name
        for one in found.measures
        if any(found.cells[method, one.name].curve for method in found.methods)
    ]
    if not curved:
        return None
    down = math.ceil((len(curved) + 1) / PANELS_ACROSS)
    size = PANEL_SIZE[0] * PANELS_ACROSS, PANEL_SIZE[1] * down
    figure = Figure(figsize=size)
    FigureCanvasAgg(figure)
    panels = figure.subplots(down, PANELS_ACROSS, squeeze=False).flatten()
    figure.subplots_adjust(0.04, 0.09 / down, 0.99, 1 - 0.09 / down, hspace=0.22, wspace=0.15)
    for panel, name in zip(panels, curved, strict=False):
        panel.set_title(name, fontsize=9)
        panel.tick_params(labelsize=7)
        for place, method in enumerate(found.methods):
            curve = found.cells[method, name].curve
            if curve is None:
                continue
            across = [step / max(1, len(curve) - 1) for step in range(len(curve))]
            panel.plot(across, curve, **style_line(place, method in found.controls))
    lines = [
        panels[-1].plot([], [], label=method, **style_line(place, method in found.controls))[0]
        for place, method in enumerate(found.methods)
    ]
    for panel in panels[len(curved) :]:
        panel.set_axis_off()
    panels[-1].legend(handles=lines, fontsize=6, ncols=2, loc="center", frameon=False)
    return to_bytes(figure)


def style_line(place: int, control: bool) -> dict[str, object]:
    """Choose colour, dashes and width of a method's line."""
    style = LINE_STYLES[place // LINE_COLOURS % len(LINE_STYLES)]
    if control:
        return {"color": "black", "linestyle": LINE_STYLES[1 + place % 3], "linewidth": 1.6}
    return {"color": f"C{place % LINE_COLOURS}", "linestyle": style, "linewidth": 1.1}
