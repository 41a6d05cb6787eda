"""What is asked of a large memory besides answers: evaluation, removals, suspicious labels.

Claim: with 50,000 stored images, answers with all that evaluation measures of them are at least
three times faster than with dense weights, and so is the control "nearest" against ``l2``.
n = 5 rounds in turn. How long the searches for removals and for suspicious labels take is told
without another side. Normal random features, D = 512, one untrained head.

    python -m benchmarks.large_memory [--stored 50000]
"""

import argparse
import statistics
import time
from collections.abc import Callable
from unittest import mock

import torch
from torch import Tensor

import whence
from benchmarks.sides import machine, ratio, take_turns
from whence.evidence import answers
from whence.evidence.answers import Memory, answer, signals_of
from whence.evidence.controls import find_nearest
from whence.evidence.suspicious import find_suspicious
from whence.memory.bank import Bank
from whence.memory.similarities import l2

QUERIES, CLASSES = 256, 10


def main() -> None:
    """Make a bank and ask."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--stored", type=int, default=50_000)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    generator = torch.Generator().manual_seed(0)
    model = remember(options.stored, generator)
    queries = torch.randn(QUERIES, model.features, generator=generator)
    memory = Memory.of(model)
    print(f"{machine()}\n{options.stored:,} stored images, D = {model.features}:")
    with torch.no_grad():
        compare(
            "answers, measures and signs of doubt",
            lambda: ask(model, queries, memory),
            lambda: ask_densely(model, queries, memory),
            options.repeats,
        )
        compare(
            "the nearest image",
            lambda: find_nearest(queries, memory.features, batch_size=128),
            lambda: torch.cat([l2(q, memory.features).argmax(1) for q in queries.split(20)]),
            options.repeats,
        )
    images = torch.rand(4, *model.image_shape, generator=generator)
    tell("find_removals", lambda: whence.find_removals(model, images), len(images))
    part = whence.edit(model, keep=range(min(options.stored, 5000)))
    tell("find_suspicious (5,000 stored)", lambda: find_suspicious(part), len(part.checked_bank()))


def remember(stored: int, generator: torch.Generator) -> whence.Classifier:
    """Build a model that remembers random features."""
    torch.manual_seed(0)
    model = whence.wrap("resnet18", CLASSES).eval()
    numbers = torch.arange(stored)
    model.attach(
        Bank(
            torch.randn(stored, model.features, generator=generator),
            numbers,
            numbers % CLASSES,
            torch.randint(CLASSES, (stored,), generator=generator),
            tuple(f"{number:032x}" for number in range(stored)),
        )
    )
    return model


def ask(model: whence.Classifier, queries: Tensor, memory: Memory) -> answers.Answers:
    """Answer as ``whence evaluate`` does."""
    labels = torch.arange(len(queries)) % CLASSES
    return answer(model, queries, labels, memory, signals=signals_of(model), batch_size=128)


def ask_densely(model: whence.Classifier, queries: Tensor, memory: Memory) -> answers.Answers:
    """Do the same with all weights, of 20 images at a time."""
    with (
        mock.patch.object(answers, "SMALL", len(memory.features)),
        mock.patch.object(answers, "PAIRS", 20 * len(memory.features)),
    ):
        return ask(model, queries, memory)


def compare(
    name: str, ours: Callable[[], object], other: Callable[[], object], repeats: int
) -> None:
    """Time both in turn."""
    found = take_turns({"ours": ours, "other": other}, repeats)
    seconds = statistics.median(found["ours"])
    print(
        f"  {name}: {1000 * seconds / QUERIES:.2f} ms an image, "
        f"{ratio(found, 'other', 'ours')} times faster",
        flush=True,
    )


def tell(name: str, work: Callable[[], object], images: int) -> None:
    """Time one call."""
    started = time.perf_counter()
    work()
    seconds = time.perf_counter() - started
    print(f"  {name}: {1000 * seconds / images:.1f} ms an image", flush=True)


if __name__ == "__main__":
    main()
