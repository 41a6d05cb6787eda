"""Layer-wise relevance propagation of 64 images through ResNet18, against zennit.

Claim: at most zennit's time, for the same relevance where both have the same rule for it; n = 7
pairs, in turn in one process, medians and the median of the ratios.

    python -m benchmarks.lrp

The network is torchvision's ResNet18, untrained, on images of 64 x 64; zennit has its canoniser for
it, which merges batch normalisation and makes layers of the additions. It leaves the epsilon of a
norm that it merged, so that the network of which it explains the score is another one, by 5e-6 for
each of 20 norms; so that both explain the same, that epsilon is put into the variance beforehand.
"""

import statistics
import time

import torch
import torchvision
from torch import Tensor, nn
from zennit.composites import EpsilonAlpha2Beta1, EpsilonPlus
from zennit.torchvision import ResNetCanonizer

import whence
from benchmarks.sides import machine

PAIRS = 7
CASES = {"epsilon_plus": EpsilonPlus, "epsilon_alpha2_beta1": EpsilonAlpha2Beta1}


def main() -> None:
    """Time both sides, pair by pair."""
    print(machine())
    torch.manual_seed(0)
    network = torchvision.models.resnet18(weights=None).eval()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_var += module.eps
            module.eps = 0.0
    images = torch.randn(64, 3, 64, 64)
    for composite in CASES:
        run_whence(network, images[:2], composite)
        run_zennit(network, images[:2], composite)
        times = {"whence": [], "zennit": []}
        for _ in range(PAIRS):
            for side, run in (("whence", run_whence), ("zennit", run_zennit)):
                started = time.perf_counter()
                run(network, images, composite)
                times[side].append(time.perf_counter() - started)
        ratio = statistics.median(a / b for a, b in zip(*times.values(), strict=True))
        medians = {side: round(statistics.median(some), 2) for side, some in times.items()}
        print(f"{composite}: {medians} seconds, whence / zennit {ratio:.2f}", flush=True)
        wide = network.double()
        ours, theirs = (
            run(wide, images[:2].double(), composite) for run in (run_whence, run_zennit)
        )
        network.float()
        gap = float((ours - theirs).abs().max() / theirs.abs().max())
        print(f"  largest difference in float64: {gap:.0e} of the largest value", flush=True)


def run_whence(network: nn.Module, images: Tensor, composite: str) -> Tensor:
    """Find the relevance of class 0 by ours."""
    return whence.attribute(network, images, "lrp", 0, composite=composite).images


def run_zennit(network: nn.Module, images: Tensor, composite: str) -> Tensor:
    """Find the relevance of class 0 by zennit."""
    rules = CASES[composite](canonizers=[ResNetCanonizer()])
    with rules.context(network) as changed:
        leaf = images.clone().requires_grad_()
        scores = changed(leaf)
        start = torch.zeros_like(scores)
        start[:, 0] = scores[:, 0].detach()
        (found,) = torch.autograd.grad(scores, leaf, start)
    return found


if __name__ == "__main__":
    main()
