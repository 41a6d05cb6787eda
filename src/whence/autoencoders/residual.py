"""A larger autoencoder of our own, for images of any size."""

from torch import Tensor, nn

from whence.autoencoders.vae import VAE, Grid

WIDTHS = (32, 64, 128, 128, 256, 256)
"""Channels after each halving of the image."""

LARGEST = 8
"""Images are halved until no side has more pixels than this, at least once."""


def residual(image_shape: tuple[int, int, int], *, codes: int = 100) -> VAE:
    """Build strided convolutions, residual blocks and a wide layer, and their mirror image.

    Against those of the thesis: no dropout, which blurs; 512 features before the code; and residual
    blocks on the small images.

    Args:
        image_shape: (C, H, W), any size from 2 x 2 to 512 x 512 pixels.
        codes: Z.

    Raises:
        ValueError: if the image is smaller or larger than that.
    """
    channels, height, width = image_shape
    if not (min(height, width) >= 2 and max(height, width) <= LARGEST * 2 ** len(WIDTHS)):
        raise ValueError(
            f"residual takes images of 2 x 2 to {LARGEST * 2 ** len(WIDTHS)} pixels a side, "
            f"got {height} x {width}; bring them to another size."
        )
    sizes = [(height, width)]
    while max(sizes[-1]) > LARGEST or len(sizes) == 1:
        sizes.append((-(-sizes[-1][0] // 2), -(-sizes[-1][1] // 2)))
    widths = WIDTHS[: len(sizes) - 1]
    down: list[nn.Module] = []
    for before, after in zip((channels, *widths[:-1]), widths, strict=True):
        halve = nn.Conv2d(before, after, 3, stride=2, padding=1, bias=False)
        down += [halve, nn.BatchNorm2d(after), nn.ReLU()]
    flat = widths[-1] * sizes[-1][0] * sizes[-1][1]
    trunk = nn.Sequential(*down, Block(widths[-1]), nn.Flatten(), *connect(flat, 512))
    up: list[nn.Module] = []
    back = (*widths[::-1], 16)
    for before, after, size in zip(back[:-1], back[1:], sizes[-2::-1], strict=True):
        double = nn.ConvTranspose2d(before, after, 4, stride=2, padding=1, bias=False)
        up += [double, Crop(*size), nn.BatchNorm2d(after), nn.ReLU()]
    decoder = nn.Sequential(
        *connect(codes, 512),
        *connect(512, flat),
        Grid(widths[-1], *sizes[-1]),
        Block(widths[-1]),
        *up,
        nn.Conv2d(16, channels, 3, padding=1),
        nn.Sigmoid(),
    )
    return VAE(
        trunk,
        512,
        decoder,
        codes=codes,
        name="residual",
        image_shape=image_shape,
    )


def connect(inputs: int, outputs: int) -> list[nn.Module]:
    """Build a linear layer, batch normalisation and ReLU."""
    return [nn.Linear(inputs, outputs, bias=False), nn.BatchNorm1d(outputs), nn.ReLU()]


class Block(nn.Module):
    """Two convolutions of 3 x 3 beside a straight way. He et al. (2016), arXiv:1603.05027."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
        )

    def forward(self, images: Tensor) -> Tensor:
        """Map `(B, C, H, W)` to the same shape, none of it negative."""
        out: Tensor = (images + self.layers(images)).relu()
        return out


class Crop(nn.Module):
    """Keep the first rows and columns: doubling the half of an odd side makes one too many."""

    def __init__(self, height: int, width: int) -> None:
        super().__init__()
        self.height, self.width = height, width

    def forward(self, images: Tensor) -> Tensor:
        """Map `(B, C, H, W)` to `(B, C, height, width)`."""
        return images[..., : self.height, : self.width]
