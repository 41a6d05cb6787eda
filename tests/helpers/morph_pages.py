"""Ways from another class made by hand, for the tests of everything that a report shows of them."""

import torch

from tests.helpers.pages import CLASSES, picture
from whence.records.morphed import Along, Code, Mask, Morph, Start, Way

__all__ = ["CLASSES", "along", "mask", "morph", "picture", "start", "way"]


def along(steps=13, shape=(3, 8, 10), **changes):
    """Entropy 0.5 bits at steps 4 and 6, 1 bit at step 5, none elsewhere; the window is 3.6 to 6.4."""
    entropies = torch.zeros(steps)
    if steps > 6:
        entropies[4:7] = torch.tensor([0.5, 1.0, 0.5])
    fields = {
        "images": torch.stack([picture(200 + step, shape) for step in range(steps)]),
        "probabilities": torch.linspace(0.001, 0.998, steps),
        "entropies": entropies,
        "gradients": entropies * 2,
        "mean": 5.0,
        "low": 3.614,
        "high": 6.386,
    }
    return Along(**(fields | changes))


def mask(steps=13, shape=(3, 8, 10), **changes):
    """A quarter of the pixels follow wholly; the mask gains 0.6 at steps 5 to 6, of 0.9 in all."""
    height, width = shape[1:]
    whole = torch.zeros(height, width)
    whole[: height // 2, : width // 2] = 1.0
    gains, full = torch.zeros(steps - 1), torch.zeros(steps - 1)
    gains[5], full[5], full[0] = 0.6, 0.7, 0.2
    fields = {
        "mask": whole,
        "increase": whole * 0.25,
        "decrease": whole.flip(0) * 0.5,
        "gains": gains,
        "full_gains": full,
        "reason": None,
    }
    return Mask(**(fields | changes))


def start(shape=(3, 8, 10), **changes):
    fields = {"index": 41, "label": 2, "source": "fox/41.png", "image": picture(41, shape)}
    return Start(**(fields | changes))


def way(kind="morph", *, steps=13, shape=(3, 8, 10), classes=3, **changes):
    """From fox to dog."""
    probabilities = torch.full((classes,), 0.01 / (classes - 2))
    probabilities[1], probabilities[2] = 0.03, 0.96
    fields = {
        "kind": kind,
        "classes": (1, 2),
        "image": picture(300, shape),
        "probabilities": probabilities,
        "found": True,
        "reason": None,
        "steps": 1240 if kind == "morph" else 0,
        "start": None if kind == "morph" else start(shape),
        "pixel_distance": 12.345,
        "cosine": -0.25,
        "norm": 9.876,
        "class_norm": 8.765,
        "norm_range": (4.5, 14.25),
        "along": along(steps, shape),
        "mask": mask(steps, shape),
    }
    return Way(**(fields | changes))


def morph(*ways, shape=(3, 8, 10), classes=3, **changes):
    probabilities = torch.full((classes,), 0.02 / (classes - 2))
    probabilities[1], probabilities[2] = 0.9, 0.08
    code = Code(picture(400, shape), probabilities, "sampled", None, 0.0345, 10.5)
    fields = {
        "name": "photo.png",
        "image": picture(1000, shape),
        "truth": None,
        "probabilities": probabilities,
        "code": code,
        "ways": ways or (way(shape=shape, classes=classes),),
    }
    return Morph(**(fields | changes))
