"""The codes of the training images, encoded once for all questions."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from whence.autoencoders.vae import VAE, encode_images
from whence.bounds import BATCH_SIZE, check_number
from whence.data.as_images import Images, as_images
from whence.data.fingerprint import content_hashes, find_places
from whence.kinds import check_arguments
from whence.memory.attention import at_least_float32
from whence.morphing.norms import Norms, measure_norms
from whence.records.labels import read_labels
from whence.records.show import show_record
from whence.shapes import check_batch_size

RETRAIN = "train another with: whence train-vae DATA"


@dataclass(frozen=True, eq=False, repr=False)
class StoredCodes:
    """What is known of the training images, made by ``store_codes``.

    Attributes:
        codes: `(N, Z)` mean codes.
        labels: `(N,)` int64.
        norms: of codes sampled from the encoder's distributions, as the codes of images are. Mean
            codes are shorter: a number that the encoder does not use has mean 0 and deviation 1.
        places: where the images of each content hash stand; an image is no other of its copies.
    """

    codes: Tensor
    labels: Tensor
    norms: Norms
    places: Mapping[str, tuple[int, ...]] = field(default_factory=dict)

    __repr__ = show_record


@check_arguments
def store_codes(
    vae: VAE,
    images: Images,
    labels: Tensor | Sequence[int],
    *,
    classes: int,
    generator: torch.Generator,
    batch_size: int = BATCH_SIZE,
    report: Callable[[int], object] | None = None,
) -> StoredCodes:
    """Encode the training images once, for all questions.

    Args:
        vae: the autoencoder.
        images: `(N, C, H, W)` uint8 or float in [0, 1].
        labels: `(N,)`.
        classes: K.
        generator: of the samples whose norms are measured, on the CPU.
        batch_size: how many at once.
        report: called with how many more are done.

    Raises:
        ValueError: if the shapes do not fit, there are no images, or a code is not finite.
    """
    check_number("classes", classes)
    check_batch_size(batch_size)
    pixels = as_images(images, vae)
    known = read_labels(labels, tuple(map(str, range(classes))), len(pixels))
    if len(pixels) == 0:
        raise ValueError("images must hold at least one image to store, got none.")
    means, deviations = [], []
    for batch in pixels.split(batch_size):
        found = encode_images(vae, batch, batch_size=batch_size)
        means.append(at_least_float32(found.mean))
        deviations.append(at_least_float32(found.deviation))
        if report is not None:
            report(len(batch))
    mean, deviation = torch.cat(means), torch.cat(deviations)
    if not bool(mean.isfinite().all() & deviation.isfinite().all()):
        raise ValueError(f"The autoencoder encodes a training image to NaN or infinity; {RETRAIN}")
    noise = torch.randn(mean.shape, generator=generator).to(mean)
    norms = measure_norms(mean + deviation * noise, known, classes=classes)
    return StoredCodes(mean, known.to(mean.device), norms, find_places(content_hashes(pixels)))
