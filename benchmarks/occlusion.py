"""Occlusion of a plain network against captum's, with the same number of perturbations a pass.

Claim: `attribute(network, images, "occlusion")` takes at most the time of captum's Occlusion with
as many perturbed images a pass (ratio at most 1.0 of medians), for the same relevance of the
predicted class. One process, in turn.

    python -m benchmarks.occlusion [--repeats 7]
"""

import argparse

import torch
from captum.attr import Occlusion
from torch import Tensor

import whence
from benchmarks.integrated_gradients import build
from benchmarks.sides import machine, median_seconds, ratio, take_turns

CASES = {"small_cnn": 16, "resnet18": 4}
"""Images by encoder, 3 x 32 x 32."""

PATCH, STRIDE, PASS = 8, 4, 128
"""Pixels of a side of the window and of a step, and perturbed images a pass."""


def main() -> None:
    """Compare both on every encoder."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=7)
    options = parser.parse_args()
    print(machine())
    for encoder, total in CASES.items():
        compare(encoder, total, options.repeats)


def compare(encoder: str, total: int, repeats: int) -> None:
    """Time both sides in turn, and compare what they find."""
    network = build(encoder).eval()
    images = torch.rand(total, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    theirs = Occlusion(network)

    def ours() -> Tensor:
        return whence.attribute(
            network, images, "occlusion", patch=PATCH, stride=STRIDE, fill=0.0, batch_size=PASS
        ).images.sum(1)

    def captum() -> Tensor:
        with torch.no_grad():
            classes = network(images).argmax(1)
        found: Tensor = theirs.attribute(
            images,
            (3, PATCH, PATCH),
            strides=(3, STRIDE, STRIDE),
            target=classes,
            perturbations_per_eval=PASS // total,
        )
        return found.mean(1)

    gap = float((ours() - captum()).abs().max() / captum().abs().max())
    found = take_turns({"whence": ours, "captum": captum}, repeats)
    print(
        f"{encoder}, {total} images, windows of {PATCH} every {STRIDE} pixels, {PASS} a pass: "
        f"whence {median_seconds(found, 'whence')}, captum {median_seconds(found, 'captum')}, "
        f"ratio {ratio(found, 'whence', 'captum')}, n = {repeats}; largest difference {gap:.1e}"
    )


if __name__ == "__main__":
    main()
