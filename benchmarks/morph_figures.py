"""Draw figures like the thesis's 4.5, 4.7, 4.8 and 5.2 to 5.5.

    python -m benchmarks.morph_figures RUN VAE --out FOLDER [--name mnist] [--pairs 200] [--seed 0]

Writes NAME-paths.png (norms along paths; entropy and gradient along one path and over many pairs),
NAME-morphs.png and NAME-mistakes.png (input, its decoding, the morph, and where the mask follows:
red grows on the way to the input, blue falls).
"""

import argparse
from pathlib import Path

import torch
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from torch import Tensor

from benchmarks.morph_bench import Bench, decode_way, load_bench
from whence.data.augment import to_float
from whence.morphing import OTHERS
from whence.morphing.code import find_codes
from whence.morphing.entropy import PathAnswers, group_windows, measure_path
from whence.morphing.interpolate import linear, radial
from whence.morphing.mistakes import find_mistakes
from whence.morphing.others import Asked, Others
from whence.morphing.path_mask import PathMasks, path_masks
from whence.morphing.walk import MorphPlan

DRAWN = 8
"""Images side by side."""

GROUPS = {"left": "tab:orange", "center": "tab:blue", "right": "tab:green", "both": "tab:red"}


def main() -> None:
    """Measure and draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("vae", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--name", default="morph")
    parser.add_argument("--pairs", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    options.second, options.images, options.weight = options.run, options.pairs, None
    options.norm, options.steps = MorphPlan.norm, MorphPlan.steps
    options.lead_after = MorphPlan.lead_after
    bench = load_bench(options, "cuda" if torch.cuda.is_available() else "cpu")
    options.out.mkdir(parents=True, exist_ok=True)
    draw_paths(bench).savefig(options.out / f"{options.name}-paths.png", dpi=50)
    draw_morphs(bench).savefig(options.out / f"{options.name}-morphs.png", dpi=75)
    draw_mistakes(bench).savefig(options.out / f"{options.name}-mistakes.png", dpi=75)


def draw_paths(bench: Bench) -> Figure:
    """Draw norms along linear and radial paths (4.5), one path (4.7) and many pairs (4.8)."""
    figure = make_figure(15, 7)
    axes = [figure.add_subplot(2, 3, place) for place in range(1, 7)]
    order = torch.randperm(len(bench.stored.codes), generator=bench.draws)[:100]
    starts, ends = bench.stored.codes[order].chunk(2)
    mean = float(bench.stored.codes.norm(dim=1).mean())
    for axis, way, title in zip(axes, (linear, radial), ("linear", "radial"), strict=False):
        axis.plot(way(starts, ends).norm(dim=2).T.cpu(), color="tab:blue", alpha=0.2, linewidth=1)
        axis.axhline(mean, color="black", linestyle="--", linewidth=1)
        axis.set(title=f"norm of the code, {title} path", xlabel="step", ylim=(0, 1.5 * mean))
    others = OTHERS.find("nearest")(bench.model, bench.vae, bench.asked, bench.stored)
    answers = follow(bench, others)
    central = [g == "center" for g in group_windows(answers.window, answers.entropies.shape[1])]
    draw_one(axes[2], answers, central.index(True) if any(central) else 0)
    draw_many(axes[3:], answers)
    figure.tight_layout()
    return figure


def follow(bench: Bench, others: Others) -> PathAnswers:
    """Measure the ways to all others, a few at a time."""
    parts = []
    for rows in torch.arange(len(others)).split(20):
        path = decode_way(bench, others.codes[rows], bench.asked.codes[rows])
        parts.append(measure_path(bench.model, path, others.classes[rows]))
    names = "probabilities", "entropies", "gradients"
    return PathAnswers(*(torch.cat([getattr(part, name) for part in parts]) for name in names))


def draw_one(axis: Axes, answers: PathAnswers, row: int) -> None:
    """Draw entropy and gradient along one path, with the window."""
    gradients = answers.gradients[row]
    axis.plot(answers.entropies[row], color="tab:red", label="entropy (bits)")
    axis.plot(gradients / gradients.max(), color="tab:blue", label="gradient (of its largest)")
    window = answers.window
    for edge, style in ((window.mean, "-"), (window.low, "--"), (window.high, "--")):
        axis.axvline(float(edge[row]), color="black", linestyle=style, linewidth=1)
    axis.set(title="one path, from other to self", xlabel="step")
    axis.legend(fontsize=7)


def draw_many(axes: list[Axes], answers: PathAnswers) -> None:
    """Scatter entropy and gradient of many paths, by where the window lies."""
    groups = group_windows(answers.window, answers.entropies.shape[1])
    thin = slice(None, None, 4)
    for axis, name in zip(axes, ("left", "center", "right"), strict=True):
        rows = torch.tensor([group == name for group in groups])
        axis.scatter(
            answers.entropies[rows][:, thin].flatten(),
            answers.gradients[rows][:, thin].flatten(),
            s=2,
            alpha=0.3,
            color=GROUPS[name],
        )
        axis.set(
            title=f"{name}: {int(rows.sum())} of {len(groups)} pairs",
            xlabel="entropy (bits)",
            ylabel="norm of the gradient",
            xlim=(0, 1),
        )


def draw_morphs(bench: Bench) -> Figure:
    """Draw some images that could be morphed (figures 5.2 and 5.3)."""
    rows = bench.morphs.found.nonzero().squeeze(1)[:DRAWN]
    asked = Asked(bench.asked.images[rows], bench.asked.codes[rows], bench.asked.classes[rows])
    return draw_grid(bench, asked)


def draw_mistakes(bench: Bench) -> Figure:
    """Draw wrongly classified images, from the right label to the prediction (figure 5.5)."""
    wrong = find_mistakes(bench.model, bench.test.images, bench.test.labels)
    rows = wrong.rows[:DRAWN]
    images = bench.test.images[rows]
    codes = find_codes(bench.model, bench.vae, images, generator=bench.draws)
    return draw_grid(bench, Asked(images, codes.codes, wrong.classes[:DRAWN], named=True))


def draw_grid(bench: Bench, asked: Asked) -> Figure:
    """Draw one column per image: input, decoding, morph, and the map of its mask."""
    others = OTHERS.find("morph")(bench.model, bench.vae, asked, bench.stored, plan=bench.plan)
    path = decode_way(bench, others.codes, asked.codes)
    masks = path_masks(bench.model, path, asked.classes[:, 0])
    names, count = bench.model.class_names, len(others)
    figure = make_figure(1.3 * count, 5.8)
    for row in range(count):
        own, other = (names[label] for label in asked.classes[row].tolist())
        failed = "" if bool(others.found[row]) else " (failed)"
        pictures = (
            (f"input: {own}", colours(to_float(asked.images[row]))),
            ("decoded", colours(path[row, -1].cpu())),
            (f"morph: {other}{failed}", colours(others.decoded[row])),
            ("mask", overlay(path[row, -1].cpu(), masks, row)),
        )
        for line, (title, picture) in enumerate(pictures):
            axis = figure.add_subplot(4, count, line * count + row + 1)
            axis.imshow(picture.clamp(0, 1).numpy(), interpolation="nearest")
            axis.set_title(title, fontsize=7)
            axis.set_axis_off()
    figure.tight_layout()
    return figure


def overlay(image: Tensor, masks: PathMasks, row: int) -> Tensor:
    """Put red and blue over a pale image `(C, H, W)`; `(H, W, 3)`."""
    pale = 1 - 0.25 * colours(image).mean(2)
    red, blue = masks.increase[row], masks.decrease[row]
    return torch.stack(
        [pale * (1 - blue), pale * (1 - (red + blue).clamp(0, 1)), pale * (1 - red)], 2
    )


def colours(image: Tensor) -> Tensor:
    """Turn `(C, H, W)` into `(H, W, 3)`; grey, unless there are three channels."""
    if len(image) != 3:
        image = image.mean(0, keepdim=True).expand(3, -1, -1)
    return image.permute(1, 2, 0)


def make_figure(width: float, height: float) -> Figure:
    """Make a figure without touching matplotlib's global state."""
    figure = Figure(figsize=(width, height))
    FigureCanvasAgg(figure)
    return figure


if __name__ == "__main__":
    main()
