"""How many pixels must be flipped until a 3 becomes an 8, and a 4 a 9, in the order of each method.

Claim: in the order of a method that explains why a 3 rather than an 8, far fewer pixels need to be
flipped than in random order (Bach et al. 2015, "On pixel-wise explanations for non-linear
classifier decisions by layer-wise relevance propagation", the figures on MNIST).

    python -m benchmarks.class_flips RUN --data-root FOLDER

RUN is a run on MNIST (``--encoder bach_mnist`` has three hidden layers, as there). Of test images
of one digit that are answered right, the logit of it minus that of the other is explained; pixels
are flipped from black to white and back, the most relevant first, until the other logit is larger.
"""

import argparse
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.sides import machine
from whence.attribution import METHODS
from whence.attribution.asked_method import find_missing_option
from whence.attribution.attribute import attribute
from whence.attribution.method import find_method
from whence.attribution.refills import find_refill
from whence.cli.align import align
from whence.gather.faithful import FaithfulnessBench, make_bench
from whence.metrics.bootstrap import bootstrap_mean
from whence.metrics.faithfulness_measure import find_measure
from whence.models.load import load_to_answer
from whence.runs.finished import read_run
from whence.runs.load_parts import load_part
from whence.runs.where import Where
from whence.seeds import make_generator

PAIRS = ((3, 8), (4, 9))


def main() -> None:
    """Print how many pixels each method needs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--data-root", type=Path, required=True)
    parser.add_argument("--images", type=int, default=50, help="of each pair")
    parser.add_argument("--methods", nargs="+", default=list(METHODS))
    options = parser.parse_args()
    about, model = read_run(options.run), load_to_answer(options.run, "cpu")
    test = load_part(options.run, about, "test", where=Where(options.data_root))
    refill = find_refill("black", model.image_shape, make_generator(0))
    print(machine())
    columns = []
    for one, other in PAIRS:
        rows = (test.labels == one).nonzero()[: 2 * options.images, 0]
        bench = make_bench(model, test.images[rows], refill, seed=0, batch_size=128)
        right = (bench.classes == one).nonzero()[: options.images, 0]
        bench = make_bench(model, bench.images[right], refill, seed=0, batch_size=128)
        columns.append(
            [
                f"{one} to {other} ({len(right)} images)",
                *(flip(bench, name, one, other) for name in options.methods),
            ]
        )
    rows_of_text = zip(["method", *options.methods], *columns, strict=True)
    print("\n".join(align([list(row) for row in rows_of_text])))


def flip(bench: FaithfulnessBench, method: str, one: int, other: int) -> str:
    """Count pixels, as a mean with its 95 % interval, or say why there is no number."""
    if find_missing_option(method) is not None:
        return "needs an option"
    try:
        relevance = explain_pair(bench, method, one, other)
    except ValueError as error:
        return str(error)[:60]
    pixels = relevance[0].numel()
    measure = find_measure("class_flip")
    found = measure(bench.put(relevance), generator=make_generator(0), steps=pixels, other=other)
    mean = bootstrap_mean(found.values * pixels, make_generator(0))
    return f"{mean.mean:.1f} [{mean.low:.1f}, {mean.high:.1f}]"


def explain_pair(bench: FaithfulnessBench, method: str, one: int, other: int) -> Tensor:
    """Explain why one class rather than another; relevance `(B, H, W)`."""
    options: dict[str, torch.Generator] = {}
    if "generator" in find_method(method).options:
        options["generator"] = make_generator(0)
    classes = ([one] * len(bench.images), [other] * len(bench.images))
    return attribute(bench.model, bench.images, method, classes, **options).images.sum(1)


if __name__ == "__main__":
    main()
