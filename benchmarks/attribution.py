"""Joint attribution to images and the whole memory against captum with one memory per row.

Claim: `attribute(memory="all")` of 8 images with 1,000 memories and 32 steps takes at least 5 times
less time than captum's Integrated Gradients, for the same relevance. captum needs a memory of its
own in every row (`internal_batch_size=1`), or its result is wrong. n = 3 processes a side, in turn.

    python -m benchmarks.attribution --data FOLDER [--encoder resnet18]

Two cases. "same work": both sides do all of it. "whole": captum does 1 image and 4 steps, and its
time is multiplied by 64, since it goes through images and steps one by one. The encoder is trained
for a moment: in an untrained one nearly all memories are active at every step. Without a folder the
images are the 8 x 8 digits of scikit-learn.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import torch
from captum.attr import IntegratedGradients
from torch import Tensor

import whence
from benchmarks.sides import alternate, machine
from whence.training.fit import fit
from whence.training.plan import Plan
from whence.training.recipes import Recipe

CASES = {"same work": (2, 200, 8), "whole": (8, 1000, 32)}
"""Images, memories and steps."""
SAMPLE = {"same work": (2, 8), "whole": (1, 4)}
"""Images and steps that captum really does."""


def main() -> None:
    """Run one side, or both in turn."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--side", choices=("captum", "whence"))
    parser.add_argument("--case", choices=tuple(CASES))
    parser.add_argument("--data", type=Path)
    parser.add_argument("--encoder", default="small_cnn")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    if options.side is not None:
        model, images = prepare(options)
        side = run_whence if options.side == "whence" else run_captum
        seconds, facts, _ = side(model, images, options.case)
        print(json.dumps({"seconds": seconds, **facts}))
        return
    print(machine())
    arguments = ["--encoder", options.encoder, "--epochs", str(options.epochs)]
    arguments += [] if options.data is None else ["--data", str(options.data)]
    for case, (images, memories, steps) in CASES.items():
        print(f"{case}, {options.encoder}: {images} images, {memories} memories, {steps} steps:")
        alternate(
            "benchmarks.attribution",
            ("captum", "whence"),
            ["--case", case, *arguments],
            options.repeats,
        )
    options.case = "same work"
    print(f"largest difference: {compare(*prepare(options)):.1e} of its largest value")


def prepare(options: argparse.Namespace) -> tuple[whence.Classifier, Tensor]:
    """Train a model for a moment and let it remember; the images to explain are test images."""
    dataset = whence.load_dataset("digits" if options.data is None else options.data)
    generator = torch.Generator().manual_seed(0)
    train = dataset.train.take(torch.randperm(len(dataset.train), generator=generator)[:1000])
    pixels = train.images.double() / 255
    torch.manual_seed(0)
    model = whence.wrap(
        options.encoder,
        dataset.train.class_names,
        image_shape=tuple(train.images.shape[1:]),
        mean=pixels.mean((0, 2, 3)).tolist(),
        std=pixels.std((0, 2, 3)).tolist(),
    )
    fit(model, train, recipe=Recipe(), plan=Plan(options.epochs))
    images, memories, _ = CASES[options.case]
    model.remember(train.images[:memories])
    chosen = torch.randperm(len(dataset.test), generator=generator)[:images]
    return model, dataset.test.images[chosen]


Measured = tuple[float, dict[str, Any], tuple[Tensor, ...]]


def run_whence(model: whence.Classifier, images: Tensor, case: str) -> Measured:
    """Measure ours, the whole case."""
    whence.attribute(model, images[:1], steps=1, memory="all")  # PyTorch prepares forward mode once
    started = time.perf_counter()
    found = whence.attribute(model, images, steps=CASES[case][2], memory="all")
    seconds = time.perf_counter() - started
    counts = [len(one) for one in found.evidence]
    return seconds, {"evidence": counts}, (found.images, *found.evidence)


def run_captum(model: whence.Classifier, images: Tensor, case: str) -> Measured:
    """Measure captum on its part of the case; the time is scaled to the whole."""
    total, _, steps = CASES[case]
    sample, sample_steps = SAMPLE[case]
    stored = model.bank.images.float() / 255

    def forward(image: Tensor, *memory: Tensor) -> Tensor:
        return model.head(model.encode(image), model.encode(torch.cat(memory))).logits

    with torch.no_grad():
        forward(images[:1].float() / 255, *stored[:2, None])  # warm up, too
    maps, started = [], time.perf_counter()
    for image in images[:sample, None].float() / 255:
        inputs = (image, *stored[:, None])
        maps.append(
            IntegratedGradients(forward).attribute(
                inputs,
                tuple(torch.ones_like(one) for one in inputs),
                target=int(model(image).argmax()),
                n_steps=sample_steps,
                method="riemann_middle",
                internal_batch_size=1,
            )
        )
    measured = time.perf_counter() - started
    scale = total * steps / (sample * sample_steps)
    facts = {"measured": round(measured, 3), "times": scale}
    rows = tuple(torch.cat(one) for one in maps)
    return measured * scale, facts, (torch.stack([row[0] for row in rows]), *(r[1:] for r in rows))


def compare(model: whence.Classifier, images: Tensor) -> float:
    """Find the largest difference between the two sides, as a fraction of the map's maximum."""
    inputs, *evidence = run_whence(model, images, "same work")[2]
    expected, *memories = run_captum(model, images, "same work")[2]
    gaps = [float((inputs - expected).abs().max() / expected.abs().max())]
    with torch.no_grad():
        weights = model.read(images).weights
    for row, found, every in zip(weights, evidence, memories, strict=True):
        order = row.argsort(descending=True, stable=True)[: len(found)]
        gaps.append(float((found - every[order]).abs().max() / every.abs().max()))
    return max(gaps)


if __name__ == "__main__":
    main()
