"""Using a classifier on many images."""

from torch import Tensor

from whence.bounds import BATCH_SIZE
from whence.data.as_images import Images, as_images, check_image_shape
from whence.models.batches import encode_in_batches
from whence.models.classifier import Classifier
from whence.models.evaluating import evaluating
from whence.models.sound import check_given_features, check_outputs
from whence.shapes import check_batch_size


def check_images(model: Classifier, images: Tensor) -> None:
    """Refuse a tensor that is not `(B, C, H, W)` of the shape that the model was made for.

    Raises:
        ValueError: with what came and the way out.
    """
    check_image_shape("images", images, model)


def encode_all(model: Classifier, images: Images, *, batch_size: int = BATCH_SIZE) -> Tensor:
    """Make of `(N, C, H, W)` images what the head compares, `(N, E)` on the model's device.

    Without gradients. Where a batch does not fit into the device's memory, half as many are encoded
    at once; the features are the same.

    Raises:
        RuntimeError: if the model is in training mode.
        ValueError: if images are of another shape, or features are not finite.
    """
    with evaluating(model):
        return encode_in_batches(model.encode, as_images(images, model), batch_size=batch_size)


def encode_unless_known(
    model: Classifier, images: Tensor, features: Tensor | None, *, batch_size: int
) -> Tensor:
    """Return what the head compares `(N, E)` of images: as it was handed over, or encoded now.

    Raises:
        TypeError: if the features are no tensor of floats.
        ValueError: if they are not those of so many images, or not finite.
    """
    if features is None:
        return encode_all(model, images, batch_size=batch_size)
    check_batch_size(batch_size)
    check_given_features("features", features, total=len(images), width=model.head.width)
    return features


def encode_frozen(model: Classifier, images: Images, *, batch_size: int = BATCH_SIZE) -> Tensor:
    """Encode `(N, C, H, W)` images for a head that is still to be trained, `(N, D)`.

    The encoder's own output, without gradients, on the model's device.

    Raises:
        RuntimeError: if the model is in training mode.
        ValueError: if images are of another shape, or features are not finite.
    """
    with evaluating(model):
        pixels = as_images(images, model)
        features = encode_in_batches(model.encode_features, pixels, batch_size=batch_size)
    check_outputs("features", features, model)
    return features
