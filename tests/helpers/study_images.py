"""Small images of classes for the studies, and a classifier of them by hand."""

import torch
from torch import nn

import whence
from whence.records.images import Dataset, ImageSet


def draw_shapes(height=8, width=9, known=60, asked=21):
    """Three classes, each a pattern under noise."""
    rng = torch.Generator().manual_seed(0)
    patterns = torch.rand(3, 1, height, width, generator=rng)

    def draw(total):
        labels = torch.arange(total) % 3
        noise = 0.2 * torch.rand(total, 1, height, width, generator=rng)
        return ImageSet(((0.8 * patterns[labels] + noise) * 255).byte(), labels, ("a", "b", "c"))

    return Dataset("shapes", draw(known), draw(asked))


def draw_shades():
    """Two classes of 6 x 6 pixels, dark and light, told apart with a glance."""
    generator = torch.Generator().manual_seed(1)

    def make(count):
        labels = torch.arange(count) % 2
        noise = torch.randint(0, 90, (count, 1, 6, 6), generator=generator)
        return ImageSet(
            (noise + 120 * labels[:, None, None, None]).byte(), labels, ("dark", "light")
        )

    return Dataset("shades", make(60), make(24))


def make_linear_model(weights):
    """A classifier of `(1, H, W)` images by a linear map `(K, H * W)`."""
    model = whence.wrap(
        nn.Flatten(), len(weights), variant="standard", image_shape=(1, *weights.shape[1:])
    )
    with torch.no_grad():
        model.head.classifier.weight.copy_(weights.flatten(1))
        model.head.classifier.bias.zero_()
    return model.eval().requires_grad_(False)
