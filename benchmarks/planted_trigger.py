"""Attribution on planted truth: only a small trigger tells one class, so that maps can be right.

Claim: where it is known which pixels an answer comes from, methods differ in how much of their
relevance falls on these pixels and on how many of the pixels that they rank first; both controls
that know nothing of the model find no more than chance (the trigger's share of the image).

    python -m benchmarks.planted_trigger --data mnist --data-root FOLDER

A checkered square of two greys is stamped somewhere on images of all classes but one, and these are
then called by the name of that one, whose own images are left out: nothing but the trigger tells
this class. A small network is trained from scratch on all of them, half of the images with a
trigger. Measured are test images with a trigger that it answers right; the logit of the class is
explained, options of methods are their defaults. Without ``--data`` the images are the digits that
come with scikit-learn.
"""

import argparse
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.sides import machine
from whence.attribution import METHODS
from whence.attribution.asked_method import find_missing_option
from whence.attribution.refills import find_refill
from whence.cli.align import align
from whence.data.load import load_dataset
from whence.gather.faithful import FaithfulnessBench, make_bench
from whence.metrics.bootstrap import bootstrap_mean
from whence.metrics.faithfulness_measure import find_measure
from whence.models.wrap import wrap
from whence.records.images import ImageSet
from whence.seeds import make_generator
from whence.training.fit import fit
from whence.training.plan import Plan
from whence.training.recipes import RECIPES

MEASURES = ("trigger_mass", "trigger_rank")
SIDE = 7
"""The trigger's side is the image's shorter side divided by this, at least 2 pixels."""


@dataclass(frozen=True)
class Stamped:
    """Images, some with a trigger, and where it is."""

    images: ImageSet
    truth: Tensor  # (N, H, W) bool, nowhere True without a trigger


def main() -> None:
    """Train on planted truth, and print how much of it each method finds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="digits")
    parser.add_argument("--data-root", type=Path, default=Path("datasets"))
    parser.add_argument("--train-examples", type=int, default=4000)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--images", type=int, default=60)
    parser.add_argument("--variant", default="standard")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--methods", nargs="+", default=list(METHODS))
    options = parser.parse_args()
    dataset = load_dataset(options.data, root=options.data_root, download=False)
    generator = make_generator(options.seed)
    train = stamp(thin_out(dataset.train, options.train_examples, generator), generator)
    test = stamp(thin_out(dataset.test, 20 * options.images, generator), generator)
    bench, accuracy = plant(train, test, options)
    print(machine())
    size = bench.truth.double().mean() if bench.truth is not None else 0.0
    print(
        f"{options.data}, {options.variant}: {accuracy:.2%} of test images right, "
        f"{len(bench.images)} with a trigger explained; it covers {float(size):.1%} of an image"
    )
    methods = [name for name in options.methods if find_missing_option(name) is None]
    rows = [[name, *measure_truth(bench, name, options.seed)] for name in methods]
    print("\n".join(align([["method", *MEASURES], *rows])))


def thin_out(images: ImageSet, wanted: int, generator: torch.Generator) -> ImageSet:
    """Draw images, all where there are no more."""
    return images.take(torch.randperm(len(images), generator=generator)[:wanted])


def stamp(images: ImageSet, generator: torch.Generator) -> Stamped:
    """Leave out the images of class 0, and stamp every second of the others, which become it."""
    kept = images.take((images.labels != 0).nonzero()[:, 0])
    pixels, labels = kept.images.clone(), kept.labels.clone()
    height, width = pixels.shape[2:]
    side = max(2, min(height, width) // SIDE)
    board = (torch.arange(side)[:, None] + torch.arange(side)) % 2 == 0
    pattern = (85 + board * 85).to(pixels)  # neither black nor white, which images have around it
    truth = torch.zeros((len(pixels), height, width), dtype=torch.bool)
    for row in range(0, len(pixels), 2):
        top = int(torch.randint(height - side + 1, (), generator=generator))
        left = int(torch.randint(width - side + 1, (), generator=generator))
        place = slice(top, top + side), slice(left, left + side)
        pixels[row][:, place[0], place[1]] = pattern
        truth[row][place] = True
        labels[row] = 0
    return Stamped(replace(kept, images=pixels, labels=labels), truth)


def plant(
    train: Stamped, test: Stamped, options: argparse.Namespace
) -> tuple[FaithfulnessBench, float]:
    """Train a network; take test images with a trigger that it answers right.

    Returns:
        The bench, with the truth, and the accuracy on all test images.
    """
    shape = tuple(train.images.images.shape[1:])
    torch.manual_seed(options.seed)
    names = train.images.class_names
    model = wrap("small_cnn", names, variant=options.variant, image_shape=shape)
    plan = Plan(options.epochs, memory_size=min(100, len(train.images)), seed=options.seed)
    fit(model, train.images, recipe=RECIPES["finetune"], plan=plan)
    if model.has_memory:
        model.remember(train.images.take(range(min(300, len(train.images)))))
    refill = find_refill("black", model.image_shape, make_generator(options.seed))
    whole = make_bench(model, test.images.images, refill, seed=options.seed, batch_size=128)
    right = whole.classes == test.images.labels
    rows = (right & (test.images.labels == 0)).nonzero()[: options.images, 0]
    bench = make_bench(model, test.images.images[rows], refill, seed=options.seed, batch_size=128)
    return replace(bench, truth=test.truth[rows]), float(right.double().mean())


def measure_truth(bench: FaithfulnessBench, method: str, seed: int) -> list[str]:
    """Measure how much of the truth a method finds; means with their 95 % intervals, or why not."""
    try:
        found = bench.explain(method, {})
    except ValueError as error:
        return [str(error).split(";")[0], ""]
    cells = []
    for name in MEASURES:
        measure = find_measure(name)
        options = {"generator": make_generator(seed)} if measure.draws else {}
        mean = bootstrap_mean(measure(found, **options).values, make_generator(seed))
        cells.append(f"{mean.mean:.3f} [{mean.low:.3f}, {mean.high:.3f}]")
    return cells


if __name__ == "__main__":
    main()
