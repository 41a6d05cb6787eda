"""A training step, batch 128 with 100 memory images, against the authors' way of working.

Claim: with ResNet18 the step takes at most half the time where the processor has bfloat16 units,
and preparing the batch and its memory takes under 2 % of it. n = 3 processes a side, in turn, each
the median of 5 steps after 2.

    python -m benchmarks.training_step
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from itertools import pairwise

import torch

import whence
from benchmarks.authors_way import MEAN, STD, Images, Model, train_steps
from benchmarks.sides import alternate, machine, random_images
from whence.data.augment import flip
from whence.data.memory_draw import draw_memory
from whence.records.images import ImageSet
from whence.runs.precision import choose_bfloat16, has_bfloat16_units
from whence.training.fit import fit
from whence.training.plan import Plan
from whence.training.recipes import Recipe

ENCODERS = {"resnet18": 512, "mobilenet_v2": 1280}
WARM, COUNTED = 2, 5


def main() -> None:
    """Run one side, or both in turn."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--side", choices=("authors", "whence"))
    parser.add_argument("--encoder", choices=tuple(ENCODERS))
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--precision", choices=("auto", "float32"), default="auto")
    options = parser.parse_args()
    if options.side is None:
        print(machine(), f"bfloat16 units: {has_bfloat16_units()}")
        for encoder in ENCODERS if options.encoder is None else (options.encoder,):
            print(f"training step, {encoder}, batch 128 and memory 100, {options.precision}:")
            alternate(
                "benchmarks.training_step",
                ("authors", "whence"),
                ["--encoder", encoder, "--precision", options.precision],
                options.repeats,
            )
        return
    torch.manual_seed(0)
    train = random_images(1024, seed=0)
    if options.side == "authors":
        model = Model(options.encoder, ENCODERS[options.encoder])
        steps = train_steps(model, Images(train.images, train.labels, flip=True))
        times = [timed(lambda: next(steps)) for _ in range(WARM + COUNTED)]
        print(json.dumps({"seconds": statistics.median(times[WARM:])}))
        return
    model = whence.wrap(options.encoder, 10, mean=MEAN, std=STD)
    marks = [time.perf_counter()]
    fit(
        model,
        train.take(torch.arange(128 * (WARM + COUNTED))),
        recipe=Recipe(augmentation="flip"),
        plan=Plan(1, 100, bfloat16=choose_bfloat16(options.precision, model, "cpu")),
        on_step=lambda _: marks.append(time.perf_counter()),
    )
    times = [after - before for before, after in pairwise(marks)]
    seconds = statistics.median(times[WARM:])
    share = statistics.median(timed(lambda: prepare(model, train)) for _ in range(20)) / seconds
    print(json.dumps({"seconds": seconds, "share of preparing": share}))


def prepare(model: whence.Classifier, train: ImageSet) -> None:
    """Draw, index, flip and normalise a batch and its memory, as the training loop does."""
    generator = torch.Generator().manual_seed(0)
    for total in (128, 100):
        picked = draw_memory(len(train), total, generator=generator)
        model.normalise(flip(train.images[picked], generator=generator))


def timed(work: Callable[[], object]) -> float:
    """Measure one call."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
