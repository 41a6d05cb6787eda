"""Layer-wise relevance propagation keeps its ledger on every network: the table of docs.

Claim: image + evidence + biases + stabiliser is the score to 1e-9 of the largest of them, in
float64, on 2 random images, for every network and rule; and without biases LRP-0 is gradient times
input on networks of rectifiers only, an encoder that is called twice among them. n = 1, no draw
that matters: it is arithmetic. Where biases are spread, small denominators make numbers of pixels
that are many times the score and take each other away; then a double has no more digits than that
the miss is 1e-9 of the score, and it is told as a share of the sum of their absolute values, too.

    python -m benchmarks.ledger [--only NAME...]

Weights are untrained; biases and the statistics of BatchNorm are drawn, so that there is a bias to
lose. Encoders of ours are in a Memory Wrap model with 4 stored images.
"""

import argparse
from collections.abc import Iterator
from typing import NamedTuple

import timm
import torch
import torchvision
from torch import Tensor, nn

import whence
from whence.attribution.classifier_score import score_classifier
from whence.attribution.own_evidence import score_own
from whence.encoders import ENCODERS

TORCHVISION = (
    "resnet18",
    "resnet50",
    "vgg11_bn",
    "densenet121",
    "googlenet",
    "mobilenet_v2",
    "mobilenet_v3_small",
    "efficientnet_b0",
    "convnext_tiny",
    "vit_b_16",
)
TIMM = (
    "resnet18",
    "tf_efficientnet_lite0",
    "convnext_atto",
    "vit_tiny_patch16_224",
    "mobilenetv4_conv_small",
)
RULES: dict[str, dict[str, object]] = {
    "epsilon": {"rule": "epsilon"},
    "epsilon_plus_flat": {"composite": "epsilon_plus_flat"},
    "epsilon_alpha2_beta1": {"composite": "epsilon_alpha2_beta1"},
    "epsilon_gamma_box": {"composite": "epsilon_gamma_box"},
}
SPREAD: dict[str, object] = {"spread_biases": True}
CURVED = ("efficientnet_b0", "vit")
"""Encoders of ours with more than rectifiers."""


def main() -> None:
    """Print a table, a row for each network."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="*", default=[])
    only = parser.parse_args().only
    titles = ["network", *RULES, "spread biases", "of all numbers", "gradient x input"]
    print("| " + " | ".join(titles) + " |")
    print("| --- " * len(titles) + "|", flush=True)
    for name, model, images in networks(only):
        torch.manual_seed(1)
        gaps = [find_gaps(model, images, **options).of_line for options in RULES.values()]
        cells = [format_gap(gap) for gap in (*gaps, *find_gaps(model, images, **SPREAD))]
        rectified = isinstance(model, whence.Classifier) and name not in CURVED
        cells.append(format_gap(compare(model, images)) if rectified else "")
        print("| " + " | ".join([name, *cells]) + " |", flush=True)


def format_gap(gap: float) -> str:
    """Write a gap as a power of ten would be read."""
    return f"{gap:.0e}"


def networks(only: list[str]) -> Iterator[tuple[str, nn.Module, Tensor]]:
    """Build every network with drawn biases, and two images for it."""
    generator = torch.Generator().manual_seed(0)
    for name in ENCODERS:
        if not only or name in only:
            yield name, make_own(name, generator), draw_bytes(2, generator)
    for library, names in (("torchvision", TORCHVISION), ("timm", TIMM)):
        for name in names:
            if only and f"{library}:{name}" not in only:
                continue
            torch.manual_seed(0)
            size = 224 if "vit" in name else 64
            network = make_foreign(library, name)
            images = torch.randn(2, 3, size, size, generator=generator, dtype=torch.float64)
            yield f"{library}:{name}", draw_biases(network.double(), images, generator), images


def make_foreign(library: str, name: str) -> nn.Module:
    """Build a network of another library, untrained."""
    if library == "timm":
        built: nn.Module = timm.create_model(name)
        return built
    options = {"init_weights": False, "aux_logits": False} if name == "googlenet" else {}
    return torchvision.models.get_model(name, weights=None, **options)


def make_own(name: str, generator: torch.Generator) -> whence.Classifier:
    """Build a Memory Wrap model that remembers 4 images."""
    torch.manual_seed(0)
    model = whence.wrap(name, 3, image_shape=(3, 32, 32)).double()
    stored = draw_bytes(4, generator)
    draw_biases(model, draw_bytes(8, generator), generator, stored)
    return model.remember(stored)


def draw_bytes(total: int, generator: torch.Generator) -> Tensor:
    """Draw images of random pixels."""
    return torch.randint(0, 256, (total, 3, 32, 32), generator=generator, dtype=torch.uint8)


def draw_biases(model: nn.Module, *inputs: Tensor | torch.Generator) -> nn.Module:
    """Fit the statistics of BatchNorm to images, and draw what is added to them."""
    images = [one for one in inputs if isinstance(one, Tensor)]
    generator = next(one for one in inputs if isinstance(one, torch.Generator))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("bias"):
                parameter.normal_(0, 0.1, generator=generator)
            elif not parameter.any():  # as the last layer of some: no image would count
                parameter.normal_(0, 0.02, generator=generator)
        model.train()
        for module in model.modules():
            if isinstance(module, nn.Dropout):
                module.eval()
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = 1.0
        model(*images)
    return model.eval()


class Gaps(NamedTuple):
    """What a ledger misses."""

    of_line: float  # as a part of its largest amount
    of_numbers: float  # as a part of the sum of the absolute values of all pixels' numbers


def find_gaps(model: nn.Module, images: Tensor, **options: object) -> Gaps:
    """Find what the ledger misses, of the image that it misses most of."""
    found = whence.attribute(model, images, "lrp", **options)
    missing = found.ledger["unexplained"].abs()
    largest = max(float(amounts.abs().max()) for amounts in found.ledger.values())
    numbers = found.images.abs().sum((1, 2, 3), dtype=torch.float64)
    numbers = numbers + torch.stack([one.abs().sum() for one in found.evidence])
    return Gaps(float(missing.max()) / largest, float((missing / numbers).max()))


def compare(model: whence.Classifier, images: Tensor) -> float:
    """Take all biases away; how far LRP-0 is from gradient times input, as a part of it."""
    with torch.no_grad():
        for name, tensor in [*model.named_parameters(), *model.named_buffers()]:
            if name.endswith(("bias", "running_mean")) or name == "mean":
                tensor.zero_()
    model.remember(model.bank.images)
    found = whence.attribute(model, images, "lrp", epsilon=0.0)
    score = score_classifier(model, images, None, batch_size=128)
    leaves = [one.clone().requires_grad_() for one in (score.pixels(images), score.evidence)]
    slopes = torch.autograd.grad(score_own(score, *leaves, constant=True).sum(), leaves)
    gaps = []
    for own, leaf, slope in zip(
        (found.images, torch.cat(found.evidence)), leaves, slopes, strict=True
    ):
        expected = (leaf * slope).detach()
        gaps.append(float((own - expected).abs().max() / expected.abs().max()))
    return max(gaps)


if __name__ == "__main__":
    main()
