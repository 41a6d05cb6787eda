"""Networks of the optional package timm, by name."""

from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import Tensor, nn

from whence.encoders.explained import check_cached, check_listed, explained
from whence.encoders.preparation import Preparation
from whence.encoders.torchvision_networks import find_download


def import_timm() -> ModuleType:
    """Import the optional package timm, or say how to get it.

    Raises:
        ModuleNotFoundError: with the command that installs it.
    """
    try:
        return import_module("timm")
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "Encoders named timm:NAME need timm; install it with: python -m pip install timm"
        ) from error


def check_timm(name: str) -> None:
    """Refuse a name that timm does not list, with or without the tag of its weights.

    Raises:
        ModuleNotFoundError: if timm is not installed.
        ValueError: naming the closest ones.
    """
    timm = import_timm()
    check_listed("timm", name, [*timm.list_models(), *timm.list_pretrained()])


def build_timm(
    name: str,
    image_shape: tuple[int, int, int],
    *,
    pretrained: bool = False,
    file: Path | None = None,
) -> nn.Module:
    """Build one of timm's networks for images (C, H, W), without its classifier.

    Args:
        name: as timm lists it; a tag behind a full stop names certain weights of a network.
        image_shape: (C, H, W).
        pretrained: download its weights, or take them from the cache.
        file: that holds the pretrained weights; then nothing is looked for in the network.

    Raises:
        ModuleNotFoundError: if timm is not installed.
        ValueError: if the name is unknown, or the network cannot be built for the shape.
    """
    check_timm(name)
    timm = import_timm()
    channels, height, width = image_shape
    options: dict[str, Any] = {"num_classes": 0, "in_chans": channels}
    if timm.get_pretrained_cfg(name).fixed_input_size:
        options["img_size"] = (height, width)
    if file is not None:
        options["pretrained_cfg_overlay"] = {"file": str(file)}
    encoder: nn.Module
    if pretrained:  # what goes wrong then is of the weights, not of the images
        encoder = timm.create_model(name, pretrained=True, **options)
        return encoder
    with explained(f"timm:{name}", image_shape):
        encoder = timm.create_model(name, **options)
    return encoder


def prepared_for_timm(name: str) -> Preparation:
    """Say how images were prepared for the weights of one of timm's networks.

    Raises:
        ModuleNotFoundError: if timm is not installed.
        ValueError: if the name is unknown.
    """
    check_timm(name)
    record = import_timm().get_pretrained_cfg(name)
    _, height, width = record.input_size
    return Preparation(
        mean=tuple(record.mean),
        std=tuple(record.std),
        size=(height, width),
        source=f"timm's record of {name}",
    )


def read_timm_weights(
    name: str, image_shape: tuple[int, int, int], *, download: bool
) -> tuple[str, dict[str, Tensor]]:
    """Read the weights of one of timm's networks, which timm fits to the shape (C, H, W).

    Args:
        name: as timm lists it.
        image_shape: (C, H, W).
        download: fetch them if they are not in a cache.

    Raises:
        ValueError: if there are none, or they are not in a cache and may not be fetched.
    """
    if not import_timm().is_model_pretrained(name):
        raise ValueError(f"timm:{name} has no pretrained weights; pass a file.")
    file = None if download else check_cached(f"timm:{name}", find_timm_file(name))
    return f"timm:{name}", build_timm(name, image_shape, pretrained=True, file=file).state_dict()


def find_timm_file(name: str) -> Path | None:
    """Name the file that the weights of one of timm's networks are cached in, if they are."""
    record = import_timm().get_pretrained_cfg(name)
    if record.hf_hub_id:
        hub = import_module("huggingface_hub")  # timm needs it
        file = record.hf_hub_filename or "model.safetensors"
        found = hub.try_to_load_from_cache(record.hf_hub_id, file)
        return Path(found) if isinstance(found, str) else None
    return find_download(record.url)
