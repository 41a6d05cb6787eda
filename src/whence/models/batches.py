"""Large sets of images, in batches that fit into the device's memory."""

from collections.abc import Callable

import torch
from torch import Tensor

from whence.progress_bar import make_bar
from whence.shapes import check_batch_size


def encode_in_batches(
    encode: Callable[[Tensor], Tensor], images: Tensor, *, batch_size: int
) -> Tensor:
    """Encode `(N, C, H, W)` images to `(N, D)` features.

    Where a batch does not fit into the device's memory, half as many are encoded at once; the
    features are the same.

    Args:
        encode: maps `(B, C, H, W)` to `(B, D)`.
        images: at least one.
        batch_size: B, at most.

    Raises:
        OutOfMemoryError: if a single image does not fit.
    """
    check_batch_size(batch_size)
    parts: list[Tensor] = []
    start = 0
    with make_bar(total=len(images), desc="encoding", unit="image", delay=2, leave=False) as bar:
        while start < len(images):
            try:
                parts.append(encode(images[start : start + batch_size]))
            except torch.OutOfMemoryError:
                if batch_size == 1:
                    raise
                fitted = False
            else:
                fitted = True
            if fitted:
                start += batch_size
                bar.update(min(batch_size, len(images) - bar.n))
            else:  # out here, where the error does not hold the memory any more
                torch.cuda.empty_cache()
                batch_size //= 2
    return torch.cat(parts)
