"""Fill an encoder with the weights of a file, or with those that its library publishes."""

from pathlib import Path

from torch import Tensor, nn

from whence.encoders.adopt import EncoderKind
from whence.encoders.explained import first_line
from whence.encoders.libraries import LIBRARIES
from whence.encoders.weights import fill, hash_tensors, read_state_dict


def load_weights(
    encoder: nn.Module,
    kind: EncoderKind,
    weights: str | Path,
    *,
    image_shape: tuple[int, int, int],
) -> str:
    """Replace an encoder's parameters by those of a file, or by the pretrained ones.

    Args:
        encoder: from :func:`adopt_encoder`; unchanged if anything fails.
        kind: from there too.
        weights: a .safetensors, .pt or .pth file, read without running anything in it; or
            "default", which downloads the pretrained weights of a torchvision or timm network.
        image_shape: (C, H, W), to which timm fits "default" weights.

    Returns:
        A sentence for the run's record: the source, the SHA-256 over all parameters now in the
        encoder, and how many tensors of the source were not used.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is unsafe or damaged, or lacks a parameter of the encoder.
        ConnectionError: if pretrained weights cannot be downloaded.
    """
    if weights == "default":
        source, found = read_published(kind, image_shape)
        unused = fill(encoder, found, source)
    else:
        source = Path(weights).name  # the folder is nobody's business
        unused = fill(encoder, read_state_dict(Path(weights)), str(weights))
    rest = f"; {unused} of its tensors were not used" if unused else ""
    return f"weights from {source}, sha256 {hash_tensors(encoder.state_dict())}{rest}"


def read_published(
    kind: EncoderKind, image_shape: tuple[int, int, int]
) -> tuple[str, dict[str, Tensor]]:
    """Download the weights that a library publishes for a network, or take them from its cache."""
    name = f"{kind.family}:{kind.name}"
    if kind.family not in LIBRARIES:
        raise ValueError(
            f'weights "default" needs a torchvision or timm network, got {name}; pass a file.'
        )
    try:
        return LIBRARIES[kind.family].read_published(kind.name, image_shape)
    except OSError as error:
        raise ConnectionError(
            f"The pretrained weights of {name} could not be downloaded ({first_line(error)}); "
            "fetch them on a machine with a network and pass the file: --weights FILE"
        ) from error
