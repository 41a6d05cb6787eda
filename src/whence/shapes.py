"""Axis letters used in every docstring, and the shape check of the package.

B images in a batch      C channels      H, W rows and columns      N images in a dataset
M images in the memory   D features      K classes
"""

from torch import Tensor

from whence.bounds import check_number


def check_batch_size(batch_size: int) -> None:
    """Refuse a batch size that is no number of images.

    Raises:
        TypeError: if it is not a whole number.
        ValueError: if it is too small or too large.
    """
    check_number("batch_size", batch_size)


def check_shape(name: str, tensor: Tensor, axes: str, **sizes: int) -> dict[str, int]:
    """Match a tensor against axis letters and return the size of each letter.

    Args:
        name: argument name, quoted in the message.
        tensor: any shape.
        axes: letters separated by spaces, for example ``"B C H W"``.
        **sizes: sizes already known, usually from an earlier call.

    Raises:
        TypeError: if it is no tensor.
        ValueError: if the rank differs, or a letter already has another size.

    >>> import torch
    >>> check_shape("queries", torch.zeros(2, 5), "B D")
    {'B': 2, 'D': 5}
    """
    letters = axes.split()
    if not isinstance(tensor, Tensor):
        kind = type(tensor).__name__
        raise TypeError(f"{name} must be a tensor ({', '.join(letters)}), got {kind}.")
    found = tuple(tensor.shape)
    if len(found) != len(letters):
        raise ValueError(f"{name} must be ({', '.join(letters)}), got shape {found}.")
    for letter, size in zip(letters, found, strict=True):
        if sizes.setdefault(letter, size) != size:
            wanted = f"({', '.join(letters)}) with {letter}={sizes[letter]}"
            raise ValueError(f"{name} must be {wanted}, got shape {found}.")
    return sizes
