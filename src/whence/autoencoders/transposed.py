"""Layers of the thesis's decoders."""

from collections.abc import Sequence

from torch import nn

from whence.autoencoders.vae import Grid

Layers = list[nn.Module]


def start(codes: int, shape: tuple[int, int, int]) -> Layers:
    """Build the layers from codes to the first small image, `(B, *shape)`."""
    width = shape[0] * shape[1] * shape[2]
    return [
        nn.Linear(codes, width),
        nn.BatchNorm1d(width),
        nn.ReLU(),
        nn.Dropout(),
        Grid(*shape),
    ]


def transpose(
    channels: int, width: int, *, kernel: int = 3, stride: int = 1, padding: int = 0
) -> Layers:
    """Build a transposed convolution without bias, batch normalisation and ReLU."""
    layer = nn.ConvTranspose2d(channels, width, kernel, stride, padding, bias=False)
    return [layer, nn.BatchNorm2d(width), nn.ReLU()]


def end(layers: Sequence[nn.Module]) -> nn.Sequential:
    """Put layers together, with a sigmoid in the place of the last ReLU."""
    return nn.Sequential(*layers[:-1], nn.Sigmoid())


def check_decoded(name: str, image_shape: tuple[int, int, int], decoded: tuple[int, int]) -> None:
    """Refuse a size that a decoder of the thesis cannot make: its strides would leave pixels over.

    Raises:
        ValueError: with the way out.
    """
    if image_shape[1:] != decoded:
        raise ValueError(
            f"{name} cannot decode images of {image_shape[1]} x {image_shape[2]} pixels; "
            "bring them to another size, or use the vae 'residual', which takes any."
        )
