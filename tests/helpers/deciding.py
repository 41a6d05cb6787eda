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
    """Find a threshold that some images reach and others do not."""
    shares = torch.stack([one.probabilities for one in whence.predict(model, images)])[:, place]
    known = shares.double().unique()
    gaps = known[1:] - known[:-1]
    place = len(gaps) // 4 + int(gaps[len(gaps) // 4 : max(1, 3 * len(gaps) // 4)].argmax())
    return float(known[place] + known[place + 1]) / 2  # far from both, so that rounding is nothing
