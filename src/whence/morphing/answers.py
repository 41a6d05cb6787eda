"""What a classifier says of images and of decoded codes, with nothing left changed in it."""

import torch
from torch import Tensor

from whence.autoencoders.vae import VAE
from whence.bounds import BATCH_SIZE
from whence.data.as_images import Images, as_images
from whence.memory.attention import at_least_float32
from whence.memory.copies import mask_copies
from whence.models.classifier import Classifier
from whence.models.evaluating import evaluating
from whence.shapes import check_batch_size


def check_fit(model: Classifier, vae: VAE) -> None:
    """Refuse a classifier and an autoencoder of different images.

    Raises:
        ValueError: with both sizes, and the command that trains an autoencoder which fits.
        RuntimeError: inside ``torch.inference_mode()``.
    """
    check_gradients()
    if tuple(model.image_shape) != tuple(vae.image_shape):
        channels, height, width = model.image_shape
        size = f" --size {height}" if height == width else ""
        raise ValueError(
            f"vae must be of images {tuple(model.image_shape)} as the classifier is, got "
            f"{tuple(vae.image_shape)}; train one on the same images: whence train-vae DATA{size} "
            f"--channels {channels}"
        )


def classify_images(model: Classifier, images: Images, *, batch_size: int = BATCH_SIZE) -> Tensor:
    """Classify real images in eval mode, as ``explain`` does: none of them by a copy of itself.

    Args:
        model: with a bank, unless it is a standard model.
        images: `(B, C, H, W)` uint8 or float in [0, 1].
        batch_size: how many at once; changes memory use, not the result.

    Returns:
        `(B, K)` logits, float32 at least, on the model's device.

    Raises:
        ValueError: if the images are of another size, or there are none.
        RuntimeError: if the model has no bank that fits it.
    """
    check_batch_size(batch_size)
    asked = as_images(images, model)
    if len(asked) == 0:
        raise ValueError("images must hold at least one image, got none.")
    parts = []
    with evaluating(model):
        for batch in asked.split(batch_size):
            mask = mask_copies(model.checked_bank(), batch) if model.has_memory else None
            parts.append(at_least_float32(model(batch, mask=mask)))
    return torch.cat(parts)


def classify_codes(
    model: Classifier, vae: VAE, codes: Tensor, *, batch_size: int = BATCH_SIZE
) -> tuple[Tensor, Tensor]:
    """Decode `(B, Z)` codes and classify what comes out, in eval mode.

    Returns:
        `(B, C, H, W)` images in [0, 1] and `(B, K)` logits, float32 at least, on the devices of vae
        and model. Where a decoding holds NaN or infinity, its logits are NaN.
    """
    check_batch_size(batch_size)
    images, logits = [], []
    with evaluating(model), evaluating(vae):
        for batch in codes.split(batch_size):
            decoded = vae.decode(batch)
            images.append(decoded)
            shown, whole = blank_broken(decoded)
            seen = at_least_float32(model.logits(shown))
            logits.append(seen.masked_fill(~whole.to(seen.device)[:, None], torch.nan))
    return torch.cat(images), torch.cat(logits)


def blank_broken(images: Tensor) -> tuple[Tensor, Tensor]:
    """Put zeros in place of images `(b, C, H, W)` with NaN or infinity, which a model refuses.

    Returns:
        The images, and `(b,)` bool, True where one was whole.
    """
    whole = images.isfinite().flatten(1).all(1)
    return images.masked_fill(~whole[:, None, None, None], 0.0), whole


def check_gradients() -> None:
    """Refuse to work where torch keeps nothing that a gradient needs.

    Raises:
        RuntimeError: inside ``torch.inference_mode()``.
    """
    if torch.is_inference_mode_enabled():
        raise RuntimeError(
            "Morphing needs gradients; call it outside torch.inference_mode(), no_grad() is fine."
        )


def top_two(logits: Tensor) -> Tensor:
    """Return `(B, 2)` the classes of the highest and the second highest of `(B, K)` logits."""
    return logits.topk(2, dim=1).indices
