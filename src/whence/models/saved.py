"""Models on disk: safetensors and JSON, nothing that can execute."""

from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import nn

from whence.encoders.adopt import FAMILIES, EncoderKind, adopt_encoder, build_encoder
from whence.encoders.weights import copy_into
from whence.memory import HEADS, SIMILARITIES
from whence.memory.heads import build_head, find_head
from whence.models.classifier import Classifier
from whence.models.saved_bank import bank_from_tensors, bank_to_tensors, is_list_of_names
from whence.models.saved_calibration import (
    calibration_from_json,
    calibration_to_json,
    find_problem_of_calibration,
)
from whence.models.sound import check_sound
from whence.storage.plain_files import hash_file, read_json
from whence.storage.tensors import (
    DTYPES,
    Layout,
    check_layouts,
    layouts_of,
    read_layouts,
    read_tensors,
    write_tensors,
)
from whence.storage.whole_files import write_json

FORMAT = 1
"""The version of the folder's format; a newer one is refused, not guessed at."""

MODEL, BANK, DONE = "model.safetensors", "bank.safetensors", "whence.json"
LARGEST = {"C": 1024, "H": 4096, "W": 4096}
LARGEST_FEATURES = 2**20
MOST_CLASSES = 100_000

PACKAGES = ("whence", "torch", "torchvision", "numpy")
FLOATS = {str(d).removeprefix("torch."): d for d in DTYPES.values() if d.is_floating_point}


def save(
    model: Classifier,
    folder: str | Path,
    *,
    pixels: bool = True,
    about: dict[str, Any] | None = None,
) -> None:
    """Write a model, and its bank if it has one, to a folder.

    The bank holds the pixels of the memory images: whoever gets the folder can see them. With
    ``pixels=False`` they are left out, and explanations show indices only.

    Args:
        model: the classifier.
        folder: made if it is not there; must not hold a model yet.
        pixels: keep the memory images' pixels.
        about: JSON that identifies the run, kept under "run".

    Raises:
        FileExistsError: if the folder holds a file of one of the names that this writes.
        RuntimeError: if parameters changed since the bank was made.
        ValueError: if the model holds NaN, or anything else that ``load`` would refuse.
    """
    folder = Path(folder)
    for name in (DONE, MODEL, BANK):
        if (folder / name).exists() or (folder / name).is_symlink():
            raise FileExistsError(f"{folder} already holds {name}; save to another folder.")
    write_model(model, folder, pixels=pixels, about=about)


def write_model(
    model: Classifier, folder: Path, *, pixels: bool, about: dict[str, Any] | None = None
) -> None:
    """Do what ``save`` does, over what an interrupted ``save`` left in the folder."""
    state = model.state_dict()
    check_sound("model", state)
    bank = None
    if model.bank is not None:
        bank = bank_to_tensors(model.fitting_bank(), pixels=pixels)
    description = describe(model)
    problem = find_problem({**description, "sha256": {}, "run": {}})
    if problem is not None:
        raise ValueError(f"model {problem}; it cannot be saved.")
    hashes = {MODEL: write_tensors(folder / MODEL, state)}
    if bank is not None:
        hashes[BANK] = write_tensors(folder / BANK, bank)
    write_json(folder / DONE, {**description, "sha256": hashes, "run": about or {}})


def describe(model: Classifier) -> dict[str, Any]:
    """Collect what is needed to build the model again, besides its tensors."""
    return {
        "format": FORMAT,
        "classes": list(model.class_names),
        "image_shape": list(model.image_shape),
        "variant": model.variant,
        "similarity": model.head.similarity,
        "classifier": model.head.last_layers,
        "features": model.features,
        "dtype": str(model.mean.dtype).removeprefix("torch."),
        "mean": model.mean.flatten().tolist(),
        "std": model.std.flatten().tolist(),
        "encoder": {
            "family": model.kind.family,
            "name": model.kind.name,
            "type": type(model.encoder).__qualname__,
        },
        "calibration": calibration_to_json(model.calibration),
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "versions": {package: version(package) for package in PACKAGES},
    }


def load(
    folder: str | Path,
    encoder: nn.Module | None = None,
    device: str | torch.device | None = None,
) -> Classifier:
    """Read a model that ``save`` or a training run wrote. Executes and downloads nothing.

    Args:
        folder: the run folder.
        encoder: needed when the model was built on a module of the user's own: that module,
            whose parameter names and shapes must fit; its values are replaced.
        device: where the model goes; None is the CPU.

    Returns:
        The model in eval mode. The global random state is left as it was.

    Raises:
        FileNotFoundError: if there is no finished run, or a file is missing.
        ValueError: if a file is damaged, from a newer version, or does not fit.
    """
    folder = Path(folder)
    if encoder is not None and not isinstance(encoder, nn.Module):
        raise TypeError(f"encoder must be an nn.Module or None, got {type(encoder).__name__}.")
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
    tensors = read_tensors(folder / MODEL, layouts_of(model.state_dict()))
    check_sound(str(folder / MODEL), tensors)
    copy_into(model, tensors)
    if not bool((model.std > 0).all()):
        raise ValueError(f"{folder / MODEL} must hold a positive std, it is damaged.")
    model.eval().to(device or "cpu")
    if BANK in about["sha256"]:
        bank = bank_from_tensors(folder / BANK, model)
        model.attach(bank.map_tensors(lambda tensor: tensor.to(model.mean.device)))
    if model.bank is not None or not model.has_memory:
        model.calibration = calibration_from_json(about.get("calibration"))
    return model


def read_about(folder: Path) -> dict[str, Any]:
    """Read and check ``whence.json``, the mark of a finished run.

    Raises:
        FileNotFoundError: if the folder holds no finished run.
        ValueError: if a field is missing, of the wrong type or out of range.
    """
    if not folder.is_dir():
        raise FileNotFoundError(
            f"No run in {folder}; start one with: whence train DATA --out {folder}"
        )
    below = sorted(path.parent.name for path in folder.glob(f"*/{DONE}"))
    if below and not (folder / DONE).exists():
        names = ", ".join(below[:3]) + (", ..." if len(below) > 3 else "")
        raise FileNotFoundError(f"{folder} is a folder of runs; name one of them: {names}.")
    if not (folder / DONE).exists():
        raise FileNotFoundError(
            f"No finished run in {folder}; start one with: whence train DATA --out {folder}, "
            "or go on with one by adding --resume"
        )
    about = read_json(folder / DONE)
    encoder = about.get("encoder")
    if isinstance(encoder, dict) and encoder.get("family") == "own":
        encoder["family"] = "module"  # the word of older folders
    found = about.get("format")
    if type(found) is not int or found < 1:
        raise ValueError(f"{folder / DONE} must name its format, got {found!r}; it is damaged.")
    if found > FORMAT:
        raise ValueError(
            f"{folder} was written by a newer whence (format {found}, this one reads {FORMAT}); "
            "upgrade whence to read it."
        )
    problem = find_problem(about)
    if problem:
        raise ValueError(f"{folder / DONE} {problem}; it is damaged.")
    return about


def find_problem(about: dict[str, Any]) -> str | None:
    """Check the fields of ``whence.json``; return the first problem as a clause."""
    return (
        find_problem_of_images(about)
        or find_problem_of_network(about)
        or find_problem_of_record(about)
        or find_problem_of_calibration(
            about.get("calibration"), has_memory=find_head(about["variant"]).has_memory
        )
    )


def find_problem_of_images(about: dict[str, Any]) -> str | None:
    """Check what the images are and which classes they have."""
    classes, shape = about.get("classes"), about.get("image_shape")
    if not is_list_of_names(classes) or not 2 <= len(set(classes)) == len(classes) <= MOST_CLASSES:
        return f"must list 2 to {MOST_CLASSES} different class names"
    if not all(name.isprintable() for name in classes):
        return "must list class names of printable text"
    if not isinstance(shape, list) or len(shape) != 3:
        return f"must give image_shape as [C, H, W], got {shape!r}"
    for letter, size in zip("CHW", shape, strict=True):
        if type(size) is not int or not 1 <= size <= LARGEST[letter]:
            return f"must have image_shape {letter} in 1 to {LARGEST[letter]}, got {size!r}"
    return None


def find_problem_of_network(about: dict[str, Any]) -> str | None:
    """Check what the encoder and the head are."""
    encoder, features = about.get("encoder"), about.get("features")
    if about.get("variant") not in tuple(HEADS):
        return f"must have a variant of {', '.join(HEADS)}, got {about.get('variant')!r}"
    similarities = tuple(SIMILARITIES) if find_head(about["variant"]).has_memory else (None,)
    for name, choices in (
        ("similarity", similarities),
        ("classifier", ("mlp", "linear")),
        ("dtype", tuple(FLOATS)),
    ):
        if about.get(name) not in choices:
            return f"must have a {name} of {', '.join(map(str, choices))}, got {about.get(name)!r}"
    if type(features) is not int or not 1 <= features <= LARGEST_FEATURES:
        return f"must have features in 1 to {LARGEST_FEATURES}, got {features!r}"
    if not isinstance(encoder, dict) or not isinstance(encoder.get("name"), str):
        return "must describe the encoder"
    if encoder.get("family") not in FAMILIES:
        return f"must have an encoder of {', '.join(FAMILIES)}, got {encoder.get('family')!r}"
    if encoder["family"] == "whence" and ":" in encoder["name"]:
        return f"must name an encoder of ours, got {encoder['name']!r}"
    return None


def find_problem_of_record(about: dict[str, Any]) -> str | None:
    """Check the hashes of the files, and the shape of what identifies the run."""
    hashes = about.get("sha256")
    if not isinstance(hashes, dict) or not is_list_of_names(list(hashes.values())):
        return "must give the hashes of its files"
    allowed = {MODEL, BANK} if find_head(about["variant"]).has_memory else {MODEL}
    if not hashes.keys() <= allowed:
        return f"must name the files {', '.join(sorted(allowed))}, got {', '.join(sorted(hashes))}"
    for name in ("run", "versions"):
        if not isinstance(about.get(name), dict):
            return f"must have an object {name}, got {about.get(name)!r}"
    return None


def rebuild(path: Path, about: dict[str, Any], encoder: nn.Module | None) -> Classifier:
    """Build the model that ``whence.json`` describes, with random parameters.

    It is compared with the header of the model's file before memory is taken for it.

    Args:
        path: the model's file.
        about: the checked content of ``whence.json``.
        encoder: the user's own module, or None.
    """
    kind = EncoderKind(about["encoder"]["family"], about["encoder"]["name"])
    channels, height, width = about["image_shape"]
    found = read_layouts(path)

    def build() -> Classifier:
        network = encoder
        if network is None:
            name = kind.name if kind.family == "whence" else f"{kind.family}:{kind.name}"
            network, _ = build_encoder(name, (channels, height, width))
        return assemble(network, kind, about)

    if encoder is not None:
        keep = fits(encoder, found)
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
            check_layouts(path, found, outline, hint=hint)
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


def fits(encoder: nn.Module, found: dict[str, Layout]) -> bool:
    """Say whether a file holds an encoder's tensors, its classifier included."""
    shapes = {name: layout.shape for name, layout in found.items()}
    state = layouts_of(encoder.state_dict())
    return all(shapes.get(f"encoder.{name}") == layout.shape for name, layout in state.items())


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
