"""Answers made by hand, for the tests of everything that a report shows."""

import torch

from whence.records.answers import Draws, Evidence, Explanation, Removal
from whence.records.explained import Answer, Origin, Stored
from whence.records.relevance import Relevance

CLASSES = ("cat", "dog", "fox")


def evidence(index, weight, predicted, answer=1, label=None, source=None):
    return Evidence(
        index=index,
        label=predicted if label is None else label,
        predicted=predicted,
        weight=weight,
        similarity=0.5 + weight / 2,
        role="example" if predicted == answer else "counterfactual",
        source=source,
    )


def explanation(items=None, **changes):
    """The answer is dog with 75 %; three stored images, the last one a cat."""
    if items is None:
        items = (evidence(40, 0.5, 1), evidence(7, 0.3, 1, label=0), evidence(9, 0.2, 0))
    others = {}
    for item in items:
        if item.role == "counterfactual":
            others.setdefault(item.predicted, item)
    fields = {
        "predicted": 1,
        "probabilities": torch.tensor([0.15, 0.75, 0.1]),
        "evidence": tuple(items),
        "threshold": 0.25,
        "without": torch.zeros(len(items), 3),
        "example": next((item for item in items if item.role == "example"), None),
        "example_reason": None,
        "counterfactual": next(iter(others.values()), None),
        "counterfactual_reason": None,
        "counterfactuals": tuple(others.values()),
        "near_miss": None,
        "left_out": (),
        "draws": None,
        "reliance": 0.4,
        "flag": False,
        "error_probability": None,
    }
    fields |= changes
    known = {"probabilities_without": leave_out(fields["probabilities"], fields["without"])}
    return Explanation(**(known | fields))


def leave_out(probabilities, changes):
    """Compute the probabilities `(A, K)` that changes of every logit leave."""
    return (probabilities.log() + changes).softmax(1)


def picture(number, shape=(3, 8, 10)):
    """Pixels that no other number has."""
    generator = torch.Generator().manual_seed(number)
    return torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8)


def answer(found=None, *, shape=(3, 8, 10), pixels=True, **changes):
    found = explanation() if found is None else found
    items = [*found.evidence, *([found.near_miss] if found.near_miss else [])]
    stored = {
        item.index: Stored(
            item.label, item.predicted, item.source, picture(item.index, shape) if pixels else None
        )
        for item in items
    }
    fields = {
        "name": "photo.png",
        "image": picture(1000, shape),
        "truth": None,
        "explanation": found,
        "stored": stored,
    }
    return Answer(**(fields | changes))


def relevance(found, shape=(3, 8, 10), *, unexplained=0.5, rest=None, **changes):
    """Relevance +0.1 on each value of the image, and -0.001 * (place + 1) on those of evidence."""
    amount = len(found.evidence)
    places = torch.arange(1, amount + 1).view(-1, 1, 1, 1)
    stored = -0.001 * places * torch.ones(amount, *shape)
    image = torch.full((1, *shape), 0.1)
    ledger = {"image": image.sum()[None].double(), "evidence": stored.sum()[None].double()}
    if rest is not None:
        ledger["outside the evidence"] = torch.tensor([rest]).double()
    ledger["unexplained"] = torch.tensor([unexplained]).double()
    start = torch.tensor([-2.0])
    fields = {
        "images": image,
        "evidence": (stored,),
        "rest": None if rest is None else torch.tensor([rest]),
        "score": start + torch.stack([*ledger.values()]).sum(0).float(),
        "start": start,
        "ledger": ledger,
        "target": ("logit of dog",),
        "method": "integrated_gradients",
        "options": {"steps": 16, "baseline": "white", "memory": "evidence"},
        "sentence": "A pixel's number is its share of the change.",
    }
    return Relevance(**(fields | changes))


def draws(**changes):
    fields = {
        "draws": 20,
        "memory_size": 100,
        "seed": 3,
        "probabilities": torch.tensor([0.2, 0.7, 0.1]),
        "changed": 0.1,
        "example_drawn": 4,
        "example_kept": 0.75,
    }
    return Draws(**(fields | changes))


def removal(**changes):
    fields = {
        "removed": (7, 40),
        "becomes": 0,
        "smallest": (7, 40),
        "smallest_becomes": 0,
        "searched": 2,
        "reason": None,
    }
    return Removal(**(fields | changes))


ORIGIN = Origin("runs-7", True, (("seed", "5"), ("hash of the memory", "abc123")))
