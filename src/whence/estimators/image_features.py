"""Images in the place of feature vectors: told apart, and encoded by a frozen encoder."""

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from whence.data.read_images import read_images
from whence.messages import quote
from whence.models.classifier import Classifier
from whence.models.using import encode_frozen
from whence.models.wrap import wrap
from whence.seeds import seed_global

OWN_SIDE, FOREIGN_SIDE = 64, 224
"""Pixels of a side that images are brought to, for encoders of ours and of others."""

READ_AT_ONCE = 256
"""Images whose pixels are held at once."""


def holds_images(samples: Any) -> bool:
    """Say whether samples are images: files, PIL images, or arrays of more than two axes.

    >>> holds_images(["a.png"]), holds_images(np.zeros((5, 8, 8))), holds_images(np.zeros((5, 8)))
    (True, True, False)
    """
    if isinstance(samples, Tensor | np.ndarray) and samples.ndim in (3, 4):
        return True
    if isinstance(samples, str | Path | Image.Image):
        return False  # one, not several
    one = find_first(samples)
    if isinstance(one, Tensor | np.ndarray):
        return one.ndim in (2, 3)
    return isinstance(one, str | Path | Image.Image)


def find_first(samples: Any) -> object:
    """Return the first sample of a list, or of a column of texts or objects; None for others."""
    if isinstance(samples, list | tuple):
        return samples[0] if samples else None
    array = np.asarray(samples) if hasattr(samples, "__array__") else None
    if array is None or array.size == 0 or array.dtype.kind not in "OUT":
        return None
    if array.ndim > 1 and array.shape[1:] != (1,):
        return None
    first: object = array.ravel()[0]
    return first


def list_pictures(samples: Any) -> Sequence[Any]:
    """List samples that are images, one by one."""
    if isinstance(samples, list | tuple):
        return samples
    if isinstance(samples, Tensor):
        return list(samples)
    array = np.asarray(samples)
    return array.ravel().tolist() if array.dtype.kind in "OUT" else list(array)


def name_pictures(samples: Any) -> tuple[str, ...] | None:
    """Name the files of samples; None where they are not all files."""
    if not holds_images(samples):
        return None
    listed = list_pictures(samples)
    files = [str(one) for one in listed if isinstance(one, str | Path)]
    return tuple(files) if len(files) == len(listed) else None


def build_reader(
    encoder: nn.Module | str | None,
    weights: str | Path | None,
    image_size: int | None,
    layers: Sequence[str] = (),
    *,
    seed: int,
) -> Classifier:
    """Build what brings images to one size and encodes them.

    Args:
        encoder: a module, which is copied, or a name.
        weights: of an encoder by name.
        image_size: pixels of a side; None is 64 for encoders of ours, 224 for others.
        layers: of the encoder whose means are the features, as ``whence.wrap`` takes them.
        seed: of whatever is random there.

    Raises:
        ValueError: if there is no encoder, or one by name has no weights.
    """
    if encoder is None:
        raise ValueError(
            "X holds images, or texts that would name their files, and EvidenceClassifier has no "
            "encoder to read them with; name one, with its weights: "
            "EvidenceClassifier(encoder='timm:NAME', weights='default'), or make vectors of texts: "
            "make_pipeline(TfidfVectorizer(), EvidenceClassifier())."
        )
    if isinstance(encoder, str) and weights is None:
        raise ValueError(
            f"encoder {quote(encoder)} needs weights, a random one tells nothing of images; give "
            "weights='default' or a file."
        )
    own = isinstance(encoder, str) and ":" not in encoder
    side = image_size or (OWN_SIDE if own else FOREIGN_SIDE)
    network = encoder if isinstance(encoder, str) else copy.deepcopy(encoder)
    with torch.random.fork_rng(devices=[]):
        seed_global(seed)
        reader = wrap(
            network,
            2,
            variant="standard",
            image_shape=(3, side, side),
            weights=weights,
            layers=layers,
        )
    return reader.eval()


def encode_pictures(reader: Classifier, samples: Any) -> NDArray[np.float64]:
    """Encode images of any kind and size, some at a time; `(N, D)`.

    Raises:
        ValueError: if one cannot be read, or a sample is not one image.
        FileNotFoundError: if a file does not exist.
    """
    listed = list_pictures(samples)
    parts = []
    for first in range(0, len(listed), READ_AT_ONCE):
        some = listed[first : first + READ_AT_ONCE]
        images = read_images(some, like=reader).images
        if len(images) != len(some):
            raise ValueError(
                f"X must hold one image in every place, {len(some)} places hold {len(images)}; "
                "name files, not folders."
            )
        parts.append(encode_frozen(reader, images).double().cpu().numpy())
    encoded: NDArray[np.float64] = np.concatenate(parts)
    return encoded


def keep_named(names: tuple[str, ...] | None, kept: NDArray[np.bool_]) -> tuple[str, ...] | None:
    """Keep the names of some samples, where they have names."""
    if names is None:
        return None
    return tuple(name for name, stays in zip(names, kept, strict=True) if stays)
