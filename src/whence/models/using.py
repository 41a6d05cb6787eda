"""Using a classifier on many images."""

from torch import Tensor

from whence.models.batches import encode_in_batches
from whence.models.classifier import Classifier, check_size
from whence.models.evaluating import evaluating


def encode_all(model: Classifier, images: Tensor, *, batch_size: int = 128) -> Tensor:
    """Encode `(N, C, H, W)` images without gradients, `(N, D)` on the model's device.

    Where a batch does not fit into the device's memory, half as many are encoded at once; the
    features are the same.

    Raises:
        RuntimeError: if the model is in training mode.
        ValueError: if images are of another shape, or features are not finite.
    """
    with evaluating(model):
        return encode_in_batches(model.encode, images, batch_size=batch_size)


def check_images(model: Classifier, images: Tensor) -> None:
    """Refuse images `(B, C, H, W)` of another shape than the model was made for.

    Raises:
        ValueError: with what came and the way out.
    """
    check_size("images", images, model.image_shape)


def check_labels(labels: Tensor, classes: int) -> None:
    """Refuse true classes `(N,)` outside 0 .. classes - 1.

    Raises:
        ValueError: with what came.
    """
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= classes:
        raise ValueError(f"labels must be in 0 to {classes - 1}, got {low} to {high}.")
