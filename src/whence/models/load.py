"""Read a model from a folder, trusting nothing in it."""

from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from whence.encoders.adopt import EncoderKind, adopt_encoder, build_encoder
from whence.encoders.at_layers import AtLayers
from whence.encoders.weights import copy_into, put_on
from whence.kinds import check_arguments
from whence.memory.heads import build_head
from whence.models.about import BANK, DONE, FLOATS, MODEL, read_about
from whence.models.classifier import Classifier
from whence.models.saved_bank import bank_from_tensors
from whence.models.saved_calibration import calibration_from_json
from whence.models.saved_decision import decision_from_json
from whence.models.saved_votes import make_room_for_directions, set_handicaps, set_plain_share
from whence.models.sound import check_sound
from whence.storage.hub import SCHEME, fetch_from_hub
from whence.storage.plain_files import hash_file
from whence.storage.tensors import (
    Layout,
    check_layouts,
    layouts_of,
    read_layouts,
    read_tensors,
)


@check_arguments
def load(
    folder: str | Path,
    *,
    encoder: nn.Module | None = None,
    device: str | torch.device | None = None,
) -> Classifier:
    """Read a model that ``save`` or a training run wrote. Executes nothing.

    Nothing is downloaded but for an address on the Hugging Face Hub, of which the three files of a
    model are fetched (extra ``[hub]``) and trusted no more than others.

    Args:
        folder: the run folder, or "hf://owner/name", perhaps with "@revision".
        encoder: needed when the model was built on a module of the user's own: that module,
            whose parameter names and shapes must fit; its values are replaced.
        device: where the model goes; None is the CPU.

    Returns:
        The model in eval mode. The global random state is left as it was.

    Raises:
        FileNotFoundError: if there is no finished run, or a file is missing.
        ValueError: if a file is damaged, from a newer version, or does not fit.
        ConnectionError: if the Hub does not answer.
    """
    if isinstance(folder, str) and folder.startswith(SCHEME):
        folder = fetch_from_hub(folder, (DONE, MODEL, BANK))
    folder = Path(folder)
    about = read_about(folder)
    if MODEL not in about["sha256"]:
        raise ValueError(
            f"{folder} kept its numbers but not its model (keep_model = false); train it again."
        )
    model = rebuild(folder / MODEL, about, encoder)
    for name, expected in about["sha256"].items():
        read_layouts(folder / name)
        if hash_file(folder / name) != expected:
            raise ValueError(f"{folder / name} must have the hash in {DONE}, it is damaged.")
    wanted = without(layouts_of(model.state_dict()), about.get("absent") or ())
    tensors = read_tensors(folder / MODEL, wanted)
    check_sound(str(folder / MODEL), tensors)
    copy_into(model, tensors)
    if not bool((model.std > 0).all()):
        raise ValueError(f"{folder / MODEL} must hold a positive std, it is damaged.")
    set_handicaps(model.head, about.get("handicaps"))
    set_plain_share(model.head, about.get("plain_share"))
    model.decision = decision_from_json(about.get("decision"), model.class_names)
    put_on(model.eval(), device)
    if BANK in about["sha256"]:
        bank = bank_from_tensors(folder / BANK, model)
        model.attach(bank.map_tensors(lambda tensor: tensor.to(model.mean.device)))
    if model.bank is not None or not model.has_memory:
        model.calibration = calibration_from_json(about.get("calibration"))
    return model


def load_to_answer(folder: Path, device: str) -> Classifier:
    """Read a model that answers, with its memory if its head reads one.

    Raises:
        FileNotFoundError: if there is no finished run, or a file is missing.
        ValueError: if a file is damaged or does not fit, or the memory is not there.
    """
    model = load(folder, device=device)
    if model.has_memory and model.bank is None:
        raise ValueError(
            f"{folder} holds a model without its memory; call model.remember(images) and save it "
            "again."
        )
    return model


def rebuild(path: Path, about: dict[str, Any], encoder: nn.Module | None) -> Classifier:
    """Build the model that ``whence.json`` describes, with random parameters.

    It is compared with the header of the model's file before memory is taken for it.

    Args:
        path: the model's file.
        about: the checked content of ``whence.json``.
        encoder: the user's own module, or None.
    """
    described = about["encoder"]
    kind = EncoderKind(described["family"], described["name"], tuple(described["layers"]))
    channels, height, width = about["image_shape"]
    found = read_layouts(path)

    def build() -> Classifier:
        network = encoder
        if network is None:
            name = kind.name if kind.family == "whence" else f"{kind.family}:{kind.name}"
            network, _ = build_encoder(name, (channels, height, width))
        if kind.layers:
            network = AtLayers(network, kind.layers)
        return assemble(network, kind, about)

    if encoder is not None:
        keep = fits(encoder, found, "encoder.network." if kind.layers else "encoder.")
        encoder, _ = adopt_encoder(encoder, (channels, height, width), False if keep else "auto")
    elif kind.family == "module":
        raise ValueError(
            f"{path.parent} was made with an encoder of its user's own ({kind.name}); "
            "pass that module: whence.load(folder, encoder=module)."
        )
    with torch.random.fork_rng(devices=[]):
        outline = draw_outline(build)
        if outline is not None:
            hint = "" if encoder is None else "; is this the encoder that the model was made with?"
            check_layouts(path, found, without(outline, about.get("absent") or ()), hint=hint)
        return build()


def draw_outline(build: Callable[[], Classifier]) -> dict[str, Layout] | None:
    """Find out what a model will hold without taking memory for it.

    Returns:
        None for the few networks that compute with tensors while they are built (RegNet).
    """
    try:
        with torch.device("meta"):
            return layouts_of(build().state_dict())
    except ValueError:
        return None


def without(layouts: Mapping[str, Layout], absent: Collection[str]) -> dict[str, Layout]:
    """Leave out the tensors that an older whence did not write."""
    return {name: layout for name, layout in layouts.items() if name not in absent}


def fits(encoder: nn.Module, found: dict[str, Layout], start: str) -> bool:
    """Say whether a file holds an encoder's tensors behind a name, its classifier included."""
    shapes = {name: layout.shape for name, layout in found.items()}
    state = layouts_of(encoder.state_dict())
    return all(shapes.get(f"{start}{name}") == layout.shape for name, layout in state.items())


def assemble(network: nn.Module, kind: EncoderKind, about: dict[str, Any]) -> Classifier:
    """Put an encoder and a new head together as ``whence.json`` says."""
    channels, height, width = about["image_shape"]
    head = build_head(
        about["variant"],
        about["features"],
        len(about["classes"]),
        similarity=about["similarity"] or "cosine",
        classifier=about["classifier"],
    )
    make_room_for_directions(head, about.get("even_directions"))
    model = Classifier(
        network,
        head,
        kind=kind,
        class_names=tuple(about["classes"]),
        image_shape=(channels, height, width),
        mean=[0.0] * channels,
        std=[1.0] * channels,
    )
    dtype = FLOATS[about["dtype"]]
    return model if dtype == torch.float32 else model.to(dtype)
