"""A small vision transformer: 8x8 patches, 7 layers, 12 heads.

Dosovitskiy et al. (2021), arXiv:2010.11929, in the sizes of La Rosa et al. (2021),
arXiv:2106.01440. As in the network they trained, attention scores are divided by the root of the
whole width D, not of a head's, and the perceptron has a GELU after its second layer too.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

GRID = 8  # patches along each side


def vit(
    channels: int = 3, image_size: int | tuple[int, int] = 32, *, final_norm: bool = True
) -> nn.Module:
    """Build the transformer; its features are those of the class token.

    Args:
        channels: C of the images.
        image_size: H and W in pixels, one number for both. A patch is an eighth of it, rounded up,
            and images are padded with zeros below and to the right until 8x8 patches fit.
        final_norm: False leaves the features as the last layer made them, which is what the
            authors' Memory Wrap and Only Memory files were trained with.

    Returns:
        A module that maps `(B, C, H, W)` to `(B, 384)`.
    """
    height, width = (image_size, image_size) if isinstance(image_size, int) else image_size
    return ViT(channels, height, width, final_norm)


class ViT(nn.Module):
    """Patches to tokens, seven blocks, the class token."""

    def __init__(self, channels: int, height: int, width: int, final_norm: bool) -> None:
        super().__init__()
        features, layers, heads = 384, 7, 12
        self.size = height, width
        self.patch = -(-height // GRID), -(-width // GRID)
        self.emb = nn.Linear(self.patch[0] * self.patch[1] * channels, features)
        self.cls_token = nn.Parameter(torch.randn(1, 1, features))
        self.pos_emb = nn.Parameter(torch.randn(1, GRID * GRID + 1, features))
        self.enc = nn.Sequential(*(Block(features, heads) for _ in range(layers)))
        self.fc = nn.Sequential(nn.LayerNorm(features) if final_norm else nn.Identity())

    def forward(self, images: Tensor) -> Tensor:
        """Map `(B, C, H, W)` to `(B, 384)`.

        Raises:
            ValueError: if the images have another size than the network was built for.
        """
        if tuple(images.shape[-2:]) != self.size:
            height, width = self.size
            raise ValueError(
                f"images must be {height} x {width} pixels, the size this vit was built for, "
                f"got shape {tuple(images.shape)}."
            )
        tokens = self.emb(patches(images, self.patch))  # (B, 64, D)
        tokens = torch.cat([self.cls_token.expand(images.shape[0], -1, -1), tokens], dim=1)
        tokens = self.enc(tokens + self.pos_emb)  # (B, 65, D)
        features: Tensor = self.fc(tokens[:, 0])  # (B, D)
        return features


def patches(images: Tensor, patch: tuple[int, int]) -> Tensor:
    """Cut `(B, C, H, W)` into 8x8 patches of h by w pixels: `(B, 64, h w C)`, channels last."""
    height, width = patch
    missing = GRID * width - images.shape[3], GRID * height - images.shape[2]
    padded = F.pad(images, (0, missing[0], 0, missing[1]))
    rows = torch.unflatten(padded, 2, (GRID, height))  # (B, C, 8, h, 8 w)
    cut = torch.unflatten(rows, 4, (GRID, width))  # (B, C, 8, h, 8, w)
    return cut.permute(0, 2, 4, 3, 5, 1).flatten(3).flatten(1, 2)


class Block(nn.Module):
    """Attention, then a perceptron, each on normalised tokens and added to its input."""

    def __init__(self, features: int, heads: int) -> None:
        super().__init__()
        self.la1 = nn.LayerNorm(features)
        self.msa = Attention(features, heads)
        self.la2 = nn.LayerNorm(features)
        self.mlp = nn.Sequential(
            nn.Linear(features, features),
            nn.GELU(),
            nn.Identity(),  # a dropout of 0 in the authors' files, kept for the names
            nn.Linear(features, features),
            nn.GELU(),
        )

    def forward(self, tokens: Tensor) -> Tensor:
        """Map `(B, tokens, D)` to the same shape."""
        tokens = tokens + self.msa(self.la1(tokens))
        out: Tensor = tokens + self.mlp(self.la2(tokens))
        return out


class Attention(nn.Module):
    """Self-attention with softmax weights, in several heads."""

    def __init__(self, features: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q = nn.Linear(features, features)
        self.k = nn.Linear(features, features)
        self.v = nn.Linear(features, features)
        self.o = nn.Linear(features, features)

    def forward(self, tokens: Tensor) -> Tensor:
        """Map `(B, tokens, D)` to the same shape."""
        queries, keys, values = (  # (B, heads, tokens, D / heads)
            torch.unflatten(layer(tokens), -1, (self.heads, -1)).transpose(1, 2)
            for layer in (self.q, self.k, self.v)
        )
        scores = queries @ keys.mT / tokens.shape[-1] ** 0.5  # (B, heads, tokens, tokens)
        read = scores.softmax(dim=-1) @ values
        out: Tensor = self.o(read.transpose(1, 2).flatten(2))
        return out
