"""The figures of the study, in the manner of figures 1, 3, 4, 6, 7, 8 and 9 of the publication."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from matplotlib.figure import Figure

from whence.report.figures import to_bytes
from whence.studies.parts.findings import StudyFigure
from whence.studies.parts.panels import finish_panel

KIND_COLOURS = {"real": "C0", "randX": "C1", "randY": "C2"}
KIND_TITLES = {"real": "real data", "randX": "random pixels", "randY": "random labels"}

HELD_WORDS = {"dropped": "dropout", "weight_decay": "weight decay", "noise": "noise on pixels"}

Curves = Mapping[str, Sequence[Mapping[str, Any]]]


def draw_contrasts(
    found: Curves,
    shares: Sequence[float],
    widths: Sequence[int],
    sizes: Sequence[int],
    classes: Sequence[str],
) -> tuple[StudyFigure, ...]:
    """Draw everything; curves are those of the first seed."""
    return (
        StudyFigure(
            "sensitivity",
            "Left: how uneven the dependence of the loss on the training images is; on real data "
            "it is on few images. Middle: the share of images that networks get wrong after one "
            "epoch, image by image, the easiest first; flat where no image is easier than another. "
            "Right: how much of the sensitivity of each class (row) is to images of each class "
            "(column), on a logarithmic scale, for real data and random labels.",
            draw_sensitivity(found, classes),
        ),
        StudyFigure(
            "critical",
            "Accuracy on training images (solid) and validation images (dotted), and the share of "
            "validation images near which the answer changes (critical samples), with more and "
            "more random pixels (above) and random labels (below).",
            draw_critical(found, shares),
        ),
        StudyFigure(
            "capacity",
            "Epochs until all labels are fitted, with more units and with more images; and what "
            "holds networks back: accuracy on real validation images against the share of random "
            "labels that are learnt. Flat curves hold back memorising, and nothing else.",
            draw_capacity(found, widths, sizes),
        ),
    )


def draw_sensitivity(found: Curves, classes: Sequence[str]) -> bytes:
    """Draw Gini coefficients, easy images and pairs of classes; a PNG file."""
    figure = Figure(figsize=(10.5, 3.7), layout="constrained")
    grid = figure.add_gridspec(1, 4, width_ratios=(1.5, 1.5, 1, 1))
    ginis, easy, first, second = (figure.add_subplot(grid[0, place]) for place in range(4))
    for kind, colour in KIND_COLOURS.items():
        for own, line in (("given", "-"), ("own", ":")):
            if f"sensitivity-{kind}-{own}" not in found:
                continue
            curve = found[f"sensitivity-{kind}-{own}"][0]["gini"]
            label = KIND_TITLES[kind] if own == "given" else f"{KIND_TITLES[kind]}, a class each"
            ginis.plot(range(1, len(curve) + 1), curve, line, color=colour, label=label)
        rates = found[f"easy-{kind}"][0]["rates"]
        easy.plot(range(len(rates)), rates, color=colour, label=KIND_TITLES[kind])
    finish_panel(ginis, "Gini coefficient of the sensitivity", "epoch")
    finish_panel(easy, "share of runs that are wrong", "images, sorted")
    for axes, kind in ((first, "real"), (second, "randY")):
        pairs = torch.tensor(found[f"sensitivity-{kind}-given"][0]["pairs"]).clamp_min(1e-12)
        axes.imshow(pairs.log10().numpy(), cmap="viridis")
        axes.set_title(KIND_TITLES[kind], fontsize=9)
        some = range(0, len(classes), max(1, len(classes) // 10))
        axes.set_xticks([*some], [classes[one][:6] for one in some], rotation=90, fontsize=6)
        axes.set_yticks([*some], [classes[one][:6] for one in some], fontsize=6)
    return to_bytes(figure)


def draw_critical(found: Curves, shares: Sequence[float]) -> bytes:
    """Draw accuracies and critical samples over training for each share of noise; a PNG file."""
    figure = Figure(figsize=(10.5, 6.4), layout="constrained")
    panels = figure.subplots(2, 2)
    for row, kind in zip(panels, ("randX", "randY"), strict=True):
        names = [("critical-real-0", "none")]
        names += [(f"critical-{kind}-{share:g}", f"{share:.0%}") for share in shares]
        for place, (name, label) in enumerate(names):
            one, colour = found[name][0], f"C{place}"
            epochs = range(1, len(one["train"]) + 1)
            row[0].plot(epochs, one["train"], color=colour, label=label)
            row[0].plot(epochs, one["validation"], ":", color=colour)
            row[1].plot(one["epochs_of_critical"], one["critical"], color=colour, label=label)
        finish_panel(row[0], f"accuracy, {KIND_TITLES[kind]}", "epoch", legend=False)
        finish_panel(row[1], f"critical samples, {KIND_TITLES[kind]}", "epoch", legend=False)
        row[1].legend(
            fontsize=7, frameon=False, bbox_to_anchor=(1, 1), loc="upper left", title="replaced"
        )
    return to_bytes(figure)


def draw_capacity(found: Curves, widths: Sequence[int], sizes: Sequence[int]) -> bytes:
    """Draw times to fit, and what regularisers do; a PNG file."""
    figure = Figure(figsize=(10.5, 3.6), layout="constrained")
    wide, large, held = figure.subplots(1, 3)
    for kind, colour in KIND_COLOURS.items():
        share = 0 if kind == "real" else 1
        for axes, counts, word in (
            (wide, widths, f"width-{kind}-{share}"),
            (large, sizes, f"size-{kind}"),
        ):
            epochs = [found[f"{word}-{count}"][0]["epochs"] for count in counts]
            known = [(count, one) for count, one in zip(counts, epochs, strict=True) if one]
            if known:
                axes.plot(
                    *zip(*known, strict=True),
                    "o-",
                    markersize=3,
                    color=colour,
                    label=KIND_TITLES[kind],
                )
            axes.set_xscale("log")
            axes.set_xticks([*counts], [f"{count:,}" for count in counts])
            axes.xaxis.minorticks_off()
            axes.set_ylim(bottom=0)
    finish_panel(wide, "epochs to fit all labels", "units of a layer")
    finish_panel(large, "epochs to fit all labels", "images")
    fields = {name.split("-")[1]: None for name in found if name.startswith("held-")}
    for field in fields:
        names = [
            name for name in found if name.startswith(f"held-{field}-") and name.endswith("real")
        ]
        points = sorted(
            (found[f"{name[:-5]}-randY"][0]["train"], found[name][0]["validation"])
            for name in names
        )
        held.plot(*zip(*points, strict=True), "o-", markersize=3, label=HELD_WORDS[field])
    finish_panel(held, "validation accuracy, real data", "training accuracy, random labels")
    held.set_ylim(0, 1)
    return to_bytes(figure)
