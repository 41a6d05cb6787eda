"""How good codes, morphs, masks and the three kinds of other are on real images.

Claims (docs/results-morphing.md): nearly every image has a code that keeps the classifier's two
top classes; nearly every such code can be morphed; the gradient grows with entropy.

    python -m benchmarks.morph_quality RUN VAE SECOND [--images 1000] [--parts codes morphs ...]

RUN and SECOND are folders of ``whence train`` on the same images, VAE one of ``whence train-vae``.
The images are drawn from RUN's test images by the seed, the stored images are those that RUN was
trained on. Prints Markdown tables; "a ± b" is a mean and 1.96 standard errors, "a (b to c)" a share
with Wilson's interval of 95 %.
"""

import argparse
import time
from collections import Counter
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.intervals import average, print_table, share, share_of
from benchmarks.morph_bench import Bench, decode_way, load_bench
from benchmarks.sides import machine
from whence.data.augment import to_float
from whence.morphing import OTHERS
from whence.morphing.answers import classify_images
from whence.morphing.code import Codes, find_codes
from whence.morphing.entropy import (
    Correlation,
    correlate,
    find_window,
    group_windows,
    measure_path,
)
from whence.morphing.gain import (
    gain_kept,
    integrate_gradients,
    plain_gradient,
    random_order,
    slope_of,
)
from whence.morphing.mistakes import find_mistakes
from whence.morphing.others import Asked, Others
from whence.morphing.path_mask import MaskPlan, path_masks
from whence.morphing.quality import (
    code_proximity,
    distance_to_real,
    pixel_proximity,
    sparsity,
    validity,
)
from whence.morphing.walk import MorphPlan
from whence.studies.parts.class_autoencoders import measure_realism

PARTS = ("codes", "morphs", "correlation", "others", "masks", "mistakes")
"""In the order in which they are measured."""

TOGETHER = 20
"""Paths held at once."""


def main() -> None:
    """Load two runs and an autoencoder, measure the parts, print their tables."""
    options = read_options()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    bench = load_bench(options, device)
    print(machine())
    print(f"{options.run} {options.vae} {options.second}; {bench.plan}")
    parts = {
        "codes": lambda: show_codes(bench),
        "morphs": lambda: show_morphs(bench),
        "correlation": lambda: show_correlation(bench),
        "others": lambda: show_others(bench),
        "masks": lambda: show_masks(bench, options.masks),
        "mistakes": lambda: show_mistakes(bench, options.mistakes),
    }
    for name in PARTS:
        if name in options.parts:
            started = time.process_time()
            parts[name]()
            print(f"\n({name}: {time.process_time() - started:.0f} s of processor)", flush=True)


def read_options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("vae", type=Path)
    parser.add_argument("second", type=Path, help="another run, for validity")
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--masks", type=int, default=100, help="images with a mask")
    parser.add_argument("--mistakes", type=int, default=200, help="at most")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--weight", type=float, help="of the norm; by default the thesis's")
    parser.add_argument("--norm", choices=("proximal", "gradient"), default=MorphPlan.norm)
    parser.add_argument("--steps", type=int, default=MorphPlan.steps)
    parser.add_argument("--lead-after", type=int, default=MorphPlan.lead_after, help="-1: never")
    return parser.parse_args()


def show_codes(bench: Bench) -> None:
    """Count the images with a code."""
    codes = bench.codes
    sampled = sum(how == "sampled" for how in codes.how)
    found = int(codes.found.sum())
    rows = [
        ("40 samples", share(sampled, len(codes)), average(pick_how(codes, "sampled"))),
        ("and descent", share(found, len(codes)), average(codes.distances[codes.found])),
    ]
    print_table(("images with a code by", "share", "L1 of a pixel"), rows)
    for name, misses in count_classes(bench, ~codes.found).items():
        print(f"- no code: {misses} of class {name}")


def pick_how(codes: Codes, how: str) -> Tensor:
    """Return the distances of the codes found in one way."""
    return codes.distances[torch.tensor([one == how for one in codes.how], dtype=torch.bool)]


def count_classes(bench: Bench, rows: Tensor) -> dict[str, int]:
    """Count the answers for the images at `(B,)` bool rows, most frequent first."""
    names = bench.model.class_names
    counted = Counter(names[label] for label in bench.codes.classes[rows, 0].tolist())
    return dict(counted.most_common())


def show_morphs(bench: Bench) -> None:
    """Count the morphs that failed, and say why."""
    made = bench.morphs
    second = validity(classify_images(bench.second, made.decoded).cpu(), made.classes[:, 1])
    failed = ~made.found
    rows = [
        ("failed, of images with a code", share(int(failed.sum()), len(made))),
        ("of those found, valid on the second classifier", share_of(second[made.found])),
        ("steps of the thesis, median", f"{float(made.steps.double().median()):.0f}"),
    ]
    sampled = torch.tensor([how == "sampled" for how in bench.codes.how])[bench.codes.found]
    if not bool(sampled.all()):
        rows.insert(
            1,
            (
                "of images with a sampled code",
                share(int(failed[sampled].sum()), int(sampled.sum())),
            ),
        )
    print_table(("morphs", ""), rows)
    names = bench.model.class_names
    pairs = Counter(
        f"{names[own]} to {names[other]}" for own, other in made.classes[failed].tolist()
    )
    for pair, count in pairs.most_common(8):
        print(f"- failed: {count} from {pair}")
    for reason in [one for one in made.reasons if one is not None][:8]:
        print(f"- {reason}")


def show_correlation(bench: Bench) -> None:
    """Correlate entropy and gradient on the ways to the nearest images of the second class."""
    others = OTHERS.find("nearest")(bench.model, bench.vae, bench.asked, bench.stored)
    entropies, readings = follow_paths(bench, others, bench.asked.codes)
    groups = group_windows(find_window(entropies), entropies.shape[1])
    rows = []
    for name in ("all", "left", "center", "right", "both", "none"):
        chosen = torch.tensor([name in ("all", group) for group in groups])
        if int(chosen.sum()) >= 2:
            cells = [
                describe_correlation(correlate_each(entropies[chosen], values[chosen], bench.draws))
                for values in readings.values()
            ]
            rows.append((name, int(chosen.sum()), *cells))
    print_table(("entropy at", "paths", *readings), rows)


def describe_correlation(found: Correlation) -> str:
    """Write a correlation with its interval."""
    return f"{found.value:.3f} ({found.low:.3f} to {found.high:.3f})"


def correlate_each(entropies: Tensor, values: Tensor, generator: torch.Generator) -> Correlation:
    """Correlate entropies `(B, S)` with one number per step, or `(B, S, P)` per step and pixel."""
    if values.dim() == 2:
        return correlate(entropies, values, generator=generator)
    many = entropies[:, :, None].expand_as(values)
    return correlate(many.flatten(1), values.flatten(1), generator=generator)


def follow_paths(bench: Bench, others: Others, codes: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    """Go along radial paths, a few at a time.

    The thesis leaves open over which classes the softmax is taken whose gradient is meant, and
    whether its magnitude is that of an image or of single pixels.

    Returns:
        `(B, S)` entropies, and of each reading of the gradient `(B, S)` or, by pixel, `(B, S, P)`.
    """
    names = "norm, two classes", "norm, all classes", "single pixels, all classes"
    entropies: list[Tensor] = []
    found: dict[str, list[Tensor]] = {name: [] for name in names}
    for rows in torch.arange(len(others)).split(TOGETHER):
        path = decode_way(bench, others.codes[rows], codes[rows])
        classes = others.classes[rows]
        answers = measure_path(bench.model, path, classes)
        every = classes[:, 0].repeat_interleave(path.shape[1])
        slopes = slope_of(bench.model, path.flatten(0, 1), every, 500).cpu()
        slopes = slopes.view(*path.shape[:2], -1)  # (b, S, P)
        entropies.append(answers.entropies)
        pixels = slopes.abs()[:, :, bench.some_pixels]
        for name, values in zip(
            names, (answers.gradients, slopes.norm(dim=2), pixels), strict=True
        ):
            found[name].append(values)
    return torch.cat(entropies), {name: torch.cat(parts) for name, parts in found.items()}


def show_others(bench: Bench) -> None:
    """Put the kinds of other side by side: each on its own images, and all on the same."""
    made = {"nearest": OTHERS.find("nearest")(bench.model, bench.vae, bench.asked, bench.stored)}
    if bench.model.has_memory:
        made["memory"] = OTHERS.find("memory")(bench.model, bench.vae, bench.asked, bench.stored)
    made["morph"] = bench.morphs
    measured = {kind: measure_others(bench, others) for kind, others in made.items()}
    every = torch.stack([others.found for others in made.values()]).all(0)
    for title, chosen in (("all it has", None), ("same images", every)):
        rows = []
        for kind, others in made.items():
            kept = others.found if chosen is None else chosen
            rows.append(describe_others(kind, measured[kind], kept))
        print_table((f"other, {title}", "images", *measured["morph"]), rows)
    print_table(("for comparison", *REALISM), [("test images, decoded", *describe_real(bench))])


REALISM = ("distance to 5 real", "IM1", "IM2")


def measure_others(bench: Bench, others: Others) -> dict[str, Tensor]:
    """Measure every other, `(B,)` each; what fails is measured too, for the caller to leave out."""
    wanted = others.classes[:, 1]
    one, two = measure_realism(bench.autoencoders, others.decoded, others.classes)
    nearest = distance_to_real(
        others.decoded, wanted, to_float(bench.train.images), bench.train.labels
    )
    seen = classify_images(bench.second, others.decoded).cpu()
    return {
        "valid": validity(others.logits, wanted),
        "valid on the second": validity(seen, wanted),
        "L1 in pixels": pixel_proximity(to_float(bench.asked.images), others.decoded),
        "cosine of codes": code_proximity(bench.asked.codes, others.codes),
        REALISM[0]: nearest,
        REALISM[1]: one,
        REALISM[2]: two,
    }


def describe_others(kind: str, measured: dict[str, Tensor], kept: Tensor) -> tuple[object, ...]:
    """Write one row of the table: shares of what is valid, means of the others."""
    cells = [
        share_of(values[kept]) if name.startswith("valid") else average(values[kept])
        for name, values in measured.items()
    ]
    return kind, int(kept.sum()), *cells


def describe_real(bench: Bench) -> tuple[str, ...]:
    """Measure the decoded codes of the images themselves, as being of their own class."""
    decoded = bench.codes.decoded[bench.codes.found]
    swapped = bench.asked.classes.flip(1)  # from the second class to the first
    one, two = measure_realism(bench.autoencoders, decoded, swapped)
    nearest = distance_to_real(
        decoded, swapped[:, 1], to_float(bench.train.images), bench.train.labels
    )
    return average(nearest), average(one), average(two)


def show_masks(bench: Bench, count: int) -> None:
    """Compare the gain that the top pixels keep, by four rankings, on the ways from morphs."""
    rows = bench.morphs.found.nonzero().squeeze(1)[:count]
    own = bench.morphs.classes[rows, 0]
    kept: dict[str, list[tuple[Tensor, Tensor]]] = {}
    sparse, broken, generator = [], 0, bench.draws
    for some, label in zip(rows.split(TOGETHER), own.split(TOGETHER), strict=True):
        path = decode_way(bench, bench.morphs.codes[some], bench.asked.codes[some])
        masks = path_masks(bench.model, path, label)
        sharp = path_masks(bench.model, path, label, plan=MaskPlan(blur=0.0))
        sparse.append(sparsity(masks.masks))
        broken += sum(reason is not None for reason in masks.reasons)
        rankings = {
            "path mask": masks.masks,
            "path mask without blur": sharp.masks,
            "Integrated Gradients": integrate_gradients(bench.model, path, label),
            "plain gradient": plain_gradient(bench.model, path[:, -1], label),
            "random order": random_order((len(path), *path.shape[-2:]), generator=generator),
        }
        for name, ranking in rankings.items():
            found = gain_kept(bench.model, path, label, ranking)
            kept.setdefault(name, []).append((found.steps, found.end))
    print(
        f"\n{len(rows)} masks, {broken} broken; below 0.1: {average(torch.cat(sparse))} of pixels"
    )
    table = [
        (
            name,
            average(torch.cat([steps for steps, _ in parts])),
            average(torch.cat([e for _, e in parts])),
        )
        for name, parts in kept.items()
    ]
    print_table(("top 10 % of pixels by", "gain kept, step by step", "at the end"), table)


def show_mistakes(bench: Bench, most: int) -> None:
    """Morph wrongly classified test images to their right label."""
    wrong = find_mistakes(bench.model, bench.test.images, bench.test.labels)
    rows = wrong.rows[:most]
    images = bench.test.images[rows]
    codes = find_codes(bench.model, bench.vae, images, generator=bench.draws)
    classes = wrong.classes[:most]
    asked = Asked(images, codes.codes, classes, named=True)
    made = OTHERS.find("morph")(bench.model, bench.vae, asked, bench.stored, plan=bench.plan)
    good = codes.found & made.found
    second = classify_images(bench.second, images).cpu().argmax(1)
    seen = classify_images(bench.second, made.decoded).cpu()
    swapped = (codes.classes[:, 1] == classes[:, 1]).float()
    table = [
        ("wrong, of the test images", share(len(wrong), len(bench.test))),
        ("their right label is the second best", share_of(swapped)),
        ("have a code", share(int(codes.found.sum()), len(rows))),
        ("morphed to the right label, of those", share(int(good.sum()), int(codes.found.sum()))),
        ("steps of the thesis, median", f"{float(made.steps[good].double().median()):.0f}"),
        ("right label on the second classifier before", share_of((second == classes[:, 1])[good])),
        ("and after the morph", share_of(validity(seen, classes[:, 1])[good])),
    ]
    print_table((f"wrongly classified images, {len(rows)}", ""), table)
    names = bench.model.class_names
    pairs = Counter(
        f"{names[right]} taken for {names[own]}" for own, right in wrong.classes.tolist()
    )
    for pair, count in pairs.most_common(8):
        print(f"- {count} times {pair}")


if __name__ == "__main__":
    main()
