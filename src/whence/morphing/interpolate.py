"""Ways from one code to another (section 4.3 of the thesis)."""

import torch
from torch import Tensor

from whence.autoencoders.vae import VAE, decode_codes
from whence.bounds import BATCH_SIZE, check_number
from whence.shapes import check_shape

STEPS = 100


def linear(start: Tensor, end: Tensor, *, steps: int = STEPS) -> Tensor:
    """Go straight: ``(1 - a) start + a end``. Between codes of one length it leads nearer to 0.

    Args:
        start: `(B, Z)`.
        end: `(B, Z)`.
        steps: how many codes, both ends among them; ``a`` grows evenly from 0 to 1.

    Returns:
        `(B, steps, Z)`.

    Raises:
        ValueError: if the shapes do not fit, or there are fewer than 2 steps.
    """
    part = parts(start, end, steps)
    return (1 - part) * start[:, None] + part * end[:, None]


def radial(start: Tensor, end: Tensor, *, steps: int = STEPS) -> Tensor:
    """Keep the length: ``sqrt(1 - a) start + sqrt(a) end``.

    The length stays exactly between codes of one length at a right angle, which codes of many
    numbers nearly are. Arguments, result and errors as for ``linear``.

    >>> radial(torch.tensor([[3.0, 0.0]]), torch.tensor([[0.0, 3.0]]), steps=3)[0, 1]
    tensor([2.1213, 2.1213])
    """
    part = parts(start, end, steps)
    return (1 - part).sqrt() * start[:, None] + part.sqrt() * end[:, None]


def parts(start: Tensor, end: Tensor, steps: int) -> Tensor:
    """Check two ends and return `(steps, 1)` numbers that grow evenly from 0 to 1."""
    sizes = check_shape("start", start, "B Z")
    check_shape("end", end, "B Z", **sizes)
    check_number("steps", steps, least=2)  # the two ends
    return torch.linspace(0, 1, steps, dtype=start.dtype, device=start.device)[:, None]


def decode_path(vae: VAE, path: Tensor, *, batch_size: int = BATCH_SIZE) -> Tensor:
    """Decode codes `(B, S, Z)` along paths, in eval mode; `(B, S, C, H, W)` in [0, 1].

    Raises:
        ValueError: if the shape does not fit.
    """
    sizes = check_shape("path", path, "B S Z", Z=vae.codes)
    decoded = decode_codes(vae, path.flatten(0, 1), batch_size=batch_size)
    return decoded.view(sizes["B"], sizes["S"], *vae.image_shape)
