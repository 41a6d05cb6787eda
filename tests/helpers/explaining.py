"""A small random classifier with a memory, for the tests of explanations."""

import torch
from torch import nn

import whence

CLASSES = ("ant", "bee", "cow")
SHAPE = (1, 3, 4)


def build(variant="memory-wrap", *, seed=0, similarity="cosine", scale=4.0):
    """Build a linear encoder and a head with weights large enough for different answers."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        encoder = nn.Sequential(nn.Flatten(), nn.Linear(12, 5))
        model = whence.wrap(
            encoder,
            CLASSES,
            variant=variant,
            image_shape=SHAPE,
            drop_classifier=False,
            similarity=similarity,
        )
        with torch.no_grad():
            encoder[1].bias.copy_(-encoder[1].weight.sum(1) / 2)  # so that directions differ
            for parameter in model.head.parameters():
                parameter.mul_(scale)
    return model.eval().requires_grad_(False)


def draw_images(count, *, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, *SHAPE), generator=generator, dtype=torch.uint8)


def build_with_memory(size=17, variant="memory-wrap", *, seed=0, similarity="cosine"):
    model = build(variant, seed=seed, similarity=similarity)
    memory = draw_images(size, seed=2)
    labels = torch.arange(size) % 3
    indices = torch.arange(size) * 10 + 7
    sources = [f"{i}.png" for i in range(size)]
    last = model.head.classifier[2]
    last.bias -= model(draw_images(50, seed=9), draw_images(17, seed=2)).mean(0)  # no class rules
    return model.remember(memory, labels, indices, sources)
