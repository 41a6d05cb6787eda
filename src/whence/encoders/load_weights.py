"""Fill an encoder with the weights of a file, or with those that its library publishes."""

import errno
import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError

import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from whence.encoders.adopt import EncoderKind, build_encoder
from whence.encoders.explained import first_line
from whence.encoders.libraries import LIBRARIES
from whence.encoders.preparation import Preparation, recorded_in
from whence.encoders.weights import check_names, fill, hash_tensors
from whence.encoders.weights_file import read_state_dict

OF_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG, errno.EIO)
"""Errors of writing that name no file."""

DAMAGED = (pickle.UnpicklingError, RuntimeError, EOFError, SafetensorError)
"""What readers raise on a file in a cache that was cut short."""


@dataclass(frozen=True)
class Weights:
    """Tensors that are to fill an encoder.

    Attributes:
        tensors: by name, as their source has them.
        source: where they come from, for a run's record.
        place: where they come from, for a message.
        prepared: how their images were prepared; None where nobody says.
        notes: sentences for the user, on what was chosen among the tensors of the source.
    """

    tensors: Mapping[str, Tensor]
    source: str
    place: str
    prepared: Preparation | None
    notes: tuple[str, ...] = ()


def read_weights(
    kind: EncoderKind,
    weights: str | Path,
    image_shape: tuple[int, int, int],
    *,
    download: bool = True,
) -> Weights:
    """Read the weights of a file, or those that a library publishes for its network.

    However the weights come, their images are taken to have been prepared in the same way: as the
    file says where whence saved it, else as the library's record of the network says.

    Args:
        kind: of the encoder that they are for.
        weights: a .safetensors, .pt or .pth file, read without running anything in it; or
            "default", which downloads the pretrained weights of a torchvision or timm network.
        image_shape: (C, H, W), to which timm fits "default" weights.
        download: fetch "default" weights that are not in the library's cache.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is unsafe or damaged, or there are no default weights, or they are not in
            a cache and may not be fetched.
        ConnectionError: if pretrained weights cannot be downloaded.
        PermissionError: if they cannot be kept in the library's cache.
    """
    library = LIBRARIES.get(kind.family)
    prepared = None if library is None else library.prepared(kind.name)
    if weights == "default":
        source, tensors = read_published(kind, image_shape, download=download)
        return Weights(tensors, source, source, prepared)
    path = Path(weights)
    found, name = read_state_dict(path), path.name  # the folder is nobody's business
    prepared = recorded_in(found.tensors, name) or prepared
    if not found.averaged:
        return Weights(found.tensors, name, str(path), prepared)
    note = f"The averaged weights in {name} are taken ({found.entry}), not those of the last step."
    source = f"{name}, averaged ({found.entry})"
    return Weights(found.tensors, source, str(path), prepared, (note,))


def check_fit(encoder: str, weights: Weights, image_shape: tuple[int, int, int]) -> str:
    """Refuse weights that lack a parameter of an encoder, before there are images for it.

    Shapes may depend on the images' size, so that names are all that is compared. The few networks
    that compute while they are built (RegNet) are compared only when they are filled.

    Args:
        encoder: its name.
        weights: those that are to fill it.
        image_shape: (C, H, W) of images that it could have.

    Returns:
        What stands before the encoder's names in the file, and is left out.

    Raises:
        ValueError: naming the first three parameters that are missing.
    """
    try:
        with torch.random.fork_rng(devices=[]), torch.device("meta"):
            outline, _ = build_encoder(encoder, image_shape)
    except ValueError:
        return ""
    return check_names(outline, weights.tensors, weights.place)


def load_weights(encoder: nn.Module, weights: Weights) -> str:
    """Replace an encoder's parameters; it is unchanged if anything fails.

    Returns:
        A sentence for the run's record: the source, the SHA-256 over all parameters now in the
        encoder, and how many tensors of the source were not used.

    Raises:
        ValueError: if a parameter of the encoder is missing, or of another shape or type.
    """
    unused = fill(encoder, weights.tensors, weights.place)
    rest = f"; {unused} of its tensors were not used" if unused else ""
    return f"weights from {weights.source}, sha256 {hash_tensors(encoder.state_dict())}{rest}"


def read_published(
    kind: EncoderKind, image_shape: tuple[int, int, int], *, download: bool
) -> tuple[str, dict[str, Tensor]]:
    """Download the weights that a library publishes for a network, or take them from its cache."""
    name = f"{kind.family}:{kind.name}"
    if kind.family not in LIBRARIES:
        raise ValueError(
            f'weights "default" needs a torchvision or timm network, got {name}; pass a file.'
        )
    library = LIBRARIES[kind.family]
    try:
        return library.read_published(kind.name, image_shape, download=download)
    except OSError as error:
        if is_of_disk(error):
            raise PermissionError(
                f"The pretrained weights of {name} could not be kept in the cache: "
                f"{error.filename or library.cache}: {error.strerror}; name a folder that can be "
                f"written to in the environment variable {library.cache}, or pass the file: "
                "--weights FILE"
            ) from error
        raise ConnectionError(
            f"The pretrained weights of {name} could not be downloaded ({first_line(error)}); "
            "fetch them on a machine with a network and pass the file: --weights FILE"
        ) from error
    except DAMAGED as error:
        raise ValueError(
            f"The pretrained weights of {name} are damaged ({first_line(error)}); remove them from "
            f"the cache ({library.cache}), or pass the file: --weights FILE"
        ) from error


def is_of_disk(error: OSError) -> bool:
    """Say whether an error is of the disk, not of the network: it names a file, or lacks space."""
    if isinstance(error, URLError):  # of which some name an address in place of a file
        return False
    return error.filename is not None or error.errno in OF_DISK
