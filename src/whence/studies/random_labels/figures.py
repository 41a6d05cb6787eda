"""The figures of the study, in the manner of figures 1 and 2 of the publication."""

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from whence.report.figures import to_bytes
from whence.studies.parts.findings import StudyFigure
from whence.studies.parts.panels import finish_panel
from whence.studies.parts.randomise import PIXEL_CHANGES
from whence.studies.random_labels.trainings import Fitted, Fitting

CAPTION = (
    "Left: the loss of {network} falls to nearly 0, whatever the labels and pixels are. Middle: "
    "how many times as long it takes until every label is fitted, the more labels are random. "
    "Right: the share of wrong answers to test images, then; the dotted line is what guessing gets."
)

STOPPING_CAPTION = (
    "Test accuracy of {network} after every epoch of training on the true labels, with and without "
    "what holds a network back. Thin lines are the best so far: what stopping early could gain."
)


def draw_fits(
    found: Mapping[Fitting, Fitted], shares: Sequence[float], shown: str, classes: int
) -> StudyFigure:
    """Draw learning curves of one network, slowdown and test error of all.

    Args:
        found: by training.
        shares: of random labels.
        shown: the network of the learning curves.
        classes: K.
    """
    figure = Figure(figsize=(10.5, 3.6))
    curves, times, errors = figure.subplots(1, 3)
    figure.subplots_adjust(0.055, 0.14, 0.99, 0.9, wspace=0.24)
    settings = [Fitting(shown), Fitting(shown, share=1.0)]
    settings += [Fitting(shown, pixels) for pixels in PIXEL_CHANGES if pixels != "as they are"]
    for one in settings:
        losses = found[one].losses
        curves.plot(range(1, len(losses) + 1), losses, label=one.describe_data())
    finish_panel(curves, f"loss of {shown}", "epoch")
    curves.set_xscale("log")
    curves.xaxis.set_major_formatter("{x:g}")
    for name in dict.fromkeys(one.network for one in found):
        own = [(share, found[Fitting(name, share=share)]) for share in shares]
        first = own[0][1].epochs
        slow = [(share, one.epochs / first) for share, one in own if one.epochs and first]
        times.plot(*zip(*slow, strict=True), marker="o", markersize=3, label=name)
        wrong = [one.test_error for _, one in own]
        errors.plot(list(shares), wrong, marker="o", markersize=3, label=name)
    errors.axhline(1 - 1 / classes, color="0.5", linestyle=":", linewidth=1)
    errors.set_ylim(0, 1)
    finish_panel(times, "times as long as with true labels", "share of labels that are random")
    finish_panel(errors, "test error", "share of labels that are random")
    return StudyFigure("fits", CAPTION.format(network=shown), to_bytes(figure))


def draw_stopping(found: Mapping[Fitting, Fitted], shown: str) -> StudyFigure:
    """Draw the test accuracy of one network on the way, with each regulariser."""
    figure = Figure(figsize=(10.5, 3.6))
    axes = figure.subplots()
    figure.subplots_adjust(0.055, 0.14, 0.99, 0.9)
    own = [
        one
        for one in found
        if one.network == shown and one.share == 0 and one.pixels == "as they are"
    ]
    for place, one in enumerate(own):
        right = [1 - error for error in found[one].test_errors]
        best = [max(right[: end + 1]) for end in range(len(right))]
        epochs = range(1, len(right) + 1)
        axes.plot(epochs, right, color=f"C{place}", label=one.describe_regularisers())
        axes.plot(epochs, best, color=f"C{place}", linewidth=0.7, alpha=0.6)
    finish_panel(axes, f"test accuracy of {shown}", "epoch")
    axes.set_ylim(top=1)
    return StudyFigure("stopping", STOPPING_CAPTION.format(network=shown), to_bytes(figure))
