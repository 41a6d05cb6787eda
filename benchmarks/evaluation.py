"""Evaluation by the paper's protocol against the authors' way of working.

Claim: five passes over the test set with fresh memories and the explanation accuracy take at least
6 times less time, with the small CNN at 10,000 test images and with ResNet18 at 2,000. n = 3
processes a side, in turn. whence measures the signals of doubt, the controls, purity and support in
the same time; the authors' explanation accuracy is a script of its own that encodes all once more.

    python -m benchmarks.evaluation
"""

import argparse
import json
import time

import torch

import whence
from benchmarks.authors_way import MEAN, STD, Images, Model, evaluate, measure_explanations
from benchmarks.sides import alternate, machine, random_images

CASES = {"small_cnn": (128, 10_000), "resnet18": (512, 2_000)}


def main() -> None:
    """Run one side, or both in turn."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--side", choices=("authors", "whence"))
    parser.add_argument("--encoder", choices=tuple(CASES))
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    if options.side is None:
        print(machine())
        for encoder in CASES:
            total = CASES[encoder][1]
            print(f"evaluation, {encoder}, {total} test images, five passes and explanations:")
            alternate(
                "benchmarks.evaluation",
                ("authors", "whence"),
                ["--encoder", encoder],
                options.repeats,
            )
        return
    features, total = CASES[options.encoder]
    train, test = random_images(1000, seed=0), random_images(total, seed=1)
    torch.manual_seed(0)
    if options.side == "authors":
        model = Model(options.encoder, features)
        parts = [Images(part.images, part.labels, flip=False) for part in (train, test)]
        started = time.perf_counter()
        accuracies = evaluate(model, *parts)
        measure_explanations(model, *parts)
    else:
        ours = whence.wrap(options.encoder, 10, mean=MEAN, std=STD).eval()
        started = time.perf_counter()
        ours.remember(train.images, train.labels)
        accuracies = list(whence.evaluate(ours, test).draws or ())
    seconds = time.perf_counter() - started
    print(json.dumps({"seconds": seconds, "mean accuracy": sum(accuracies) / len(accuracies)}))


if __name__ == "__main__":
    main()
