"""Models of every head, and thresholds for one of their classes."""

import torch

import whence
from tests.helpers.explaining import build, build_with_memory, draw_images
from whence.records.class_measures import ClassMeasures
from whence.records.decision import Decision


def make(variant, size=12, *, seed=0):
    """Make a small random model, with a memory if it reads one."""
    if variant == "standard":
        return build("standard")
    if variant != "votes":
        return build_with_memory(size, variant, seed=seed)
    model = build("votes", seed=seed)
    return model.remember(draw_images(size, seed=2), torch.arange(size) % 3)


def rule(model, place, threshold):
    """Make a rule for a class, as if it had been chosen."""
    measures = ClassMeasures(model.class_names[place], 10, 9, 12)
    return Decision(place, threshold, 40, measures, target_recall=0.9)


def middle(model, images, place):
    """Find a threshold that some images reach, others do not, and that changes answers.

    It is far from every probability, so that rounding is nothing.
    """
    answers = whence.predict(model, images)
    shares = torch.stack([one.probabilities for one in answers])[:, place].double()
    plain = torch.tensor([one.predicted == place for one in answers])
    known = shares.unique()
    found = []
    for low, high in zip(known[:-1].tolist(), known[1:].tolist(), strict=True):
        reached = shares >= (low + high) / 2
        counts = int((reached != plain).sum()), int(reached.sum()), int((~reached).sum())
        found.append((min(counts), high - low > 1e-4, (low + high) / 2))
    return max(one for one in found if one[1])[2]
