"""A linear score with relevance, for tests of measures: everything about it is known exactly."""

from dataclasses import dataclass, replace

import torch

from whence.metrics.attributed import Attributed

SHAPE = (2, 5, 4)


def seeded(seed=5):
    return torch.Generator().manual_seed(seed)


def black_out(images, hidden):
    return images.masked_fill(hidden[:, None], 0.0)


@dataclass(frozen=True, eq=False)
class Linear:
    """Three logits that are linear in the pixels, and the exact relevance of one of them."""

    weights: torch.Tensor  # (K, C, H, W)
    classes: torch.Tensor  # (B,)

    def logits(self, variants, rows):
        assert len(variants) == len(rows)
        return torch.einsum("nchw,kchw->nk", variants, self.weights)

    def __call__(self, images, rows):
        return (self.weights[self.classes[rows]] * images).sum(1)

    def toward(self, classes):
        return replace(self, classes=classes)

    def cascade(self):
        for stage in (1, 2):
            drawn = torch.randn(self.weights.shape, generator=seeded(stage), dtype=torch.float64)
            yield f"stage {stage}", replace(self, weights=self.weights / stage + drawn)


def make_linear_case(total=5, *, seed=0, exact=True):
    """Images, a linear model, and relevance: exact, or drawn by chance."""
    rng = seeded(seed)
    images = torch.rand(total, *SHAPE, generator=rng, dtype=torch.float64)
    weights = torch.randn(3, *SHAPE, generator=rng, dtype=torch.float64)
    scores = torch.einsum("nchw,kchw->nk", images, weights)
    model = Linear(weights, scores.argmax(1))
    relevance = model(images, torch.arange(total))
    if not exact:
        relevance = torch.randn(relevance.shape, generator=rng, dtype=torch.float64)
    known = Attributed(images, relevance, model.classes, model.logits, black_out)
    truth = torch.rand(relevance.shape, generator=rng) < 0.3
    truth[:, 0, 0] = True
    told = {"image": relevance.sum((1, 2)), "biases": torch.linspace(-1, 1, total).double()}
    told["unexplained"] = 0.1 * torch.arange(total).double()
    return replace(known, explain=model, ledger=told, truth=truth, in_domain=known)


def take_row(case, row):
    """The case of one of its images alone."""
    one = slice(row, row + 1)
    model = replace(case.explain, classes=case.explain.classes[one])
    alone = replace(
        case,
        images=case.images[one],
        relevance=case.relevance[one],
        classes=case.classes[one],
        explain=model,
        ledger={name: amounts[one] for name, amounts in case.ledger.items()},
        truth=case.truth[one],
        in_domain=None,
        kept={},
    )
    return replace(alone, in_domain=alone)
