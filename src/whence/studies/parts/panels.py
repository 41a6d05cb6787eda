"""What the panels of figures have in common."""

from matplotlib.axes import Axes


def finish_panel(axes: Axes, title: str, across: str, *, legend: bool = True) -> None:
    """Write what a panel shows, with a legend where something is drawn."""
    axes.set_title(title, fontsize=9)
    axes.set_xlabel(across, fontsize=9)
    axes.tick_params(labelsize=8)
    if legend and axes.get_legend_handles_labels()[0]:
        axes.legend(fontsize=7, frameon=False)
