"""Three hidden layers of rectified units: the network that explanations of digits began with."""

from torch import nn

HIDDEN_UNITS = 1296


def bach_mnist(channels: int = 3, image_size: int | tuple[int, int] = 32) -> nn.Module:
    """Build three linear layers of 1,296 rectified units each.

    Bach, Binder, Montavon, Klauschen, Mueller and Samek (2015), "On pixel-wise explanations for
    non-linear classifier decisions by layer-wise relevance propagation", explain a network of three
    hidden layers on MNIST; their rectified form, in a width of ours. The standard variant adds the
    linear layer of the classes.

    Args:
        channels: C of the images.
        image_size: H and W in pixels, one number for both; images must have this size.

    Returns:
        A module that maps `(B, C, H, W)` to `(B, 1296)`, none of them negative.
    """
    height, width = (image_size, image_size) if isinstance(image_size, int) else image_size
    layers: list[nn.Module] = [nn.Flatten()]
    for inputs in (channels * height * width, HIDDEN_UNITS, HIDDEN_UNITS):
        layers += [nn.Linear(inputs, HIDDEN_UNITS), nn.ReLU()]
    return nn.Sequential(*layers)
