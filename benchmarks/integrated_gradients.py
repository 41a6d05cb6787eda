"""Integrated Gradients of a plain network against captum's, same points and same batches.

Claim: `attribute(network, images)` takes at most the time of captum's Integrated Gradients with as
many images a pass (ratio at most 1.0 of medians), for the same relevance of the predicted class and
the same check of what it adds up to (captum's convergence delta). One process, in turn.

    python -m benchmarks.integrated_gradients [--repeats 7]
"""

import argparse

import torch
from captum.attr import IntegratedGradients
from torch import Tensor, nn

import whence
from benchmarks.sides import machine, median_seconds, ratio, take_turns

CASES = {"small_cnn": (16, 32), "resnet18": (2, 16)}
"""Images and steps by encoder; images are 3 x 32 x 32."""

PASS = 128
"""Images a pass."""


def main() -> None:
    """Compare both on every encoder."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=7)
    options = parser.parse_args()
    print(machine())
    for encoder, (total, steps) in CASES.items():
        compare(encoder, total, steps, options.repeats)


def build(encoder: str) -> nn.Module:
    """Build a plain network of ten classes."""
    torch.manual_seed(0)
    model = whence.wrap(encoder, 10, variant="standard", image_shape=(3, 32, 32)).eval()
    return nn.Sequential(model.encoder, model.head.classifier)


def compare(encoder: str, total: int, steps: int, repeats: int) -> None:
    """Time both sides in turn, and compare what they find."""
    network = build(encoder).eval()
    images = torch.rand(total, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    theirs = IntegratedGradients(network)

    def ours() -> Tensor:
        return whence.attribute(
            network, images, steps=steps, baseline="black", batch_size=PASS
        ).images

    def captum() -> Tensor:
        with torch.no_grad():
            classes = network(images).argmax(1)
        found: Tensor = theirs.attribute(
            images,
            target=classes,
            n_steps=steps,
            method="riemann_middle",
            internal_batch_size=PASS,
            return_convergence_delta=True,
        )[0]
        return found

    gap = float((ours() - captum()).abs().max() / captum().abs().max())
    found = take_turns({"whence": ours, "captum": captum}, repeats)
    print(
        f"{encoder}, {total} images, {steps} steps, {PASS} a pass: whence "
        f"{median_seconds(found, 'whence')}, captum {median_seconds(found, 'captum')}, ratio "
        f"{ratio(found, 'whence', 'captum')}, n = {repeats}; largest difference {gap:.1e}"
    )


if __name__ == "__main__":
    main()
