"""Models on disk: safetensors and JSON, nothing that can execute."""

import json
from functools import partial
from importlib.metadata import version
from pathlib import Path, PurePosixPath
from typing import Any

import torch
from torch import Tensor, nn

from whence.encoders.own import EncoderKind, adopt_encoder, build_encoder
from whence.memory.bank import Bank
from whence.prediction.files import (
    hash_file,
    read_json,
    read_shapes,
    read_tensors,
    write_json,
    write_tensors,
)
from whence.prediction.model import VARIANTS, Classifier, build_head

FORMAT = 1
"""The version of the folder's format; a newer one is refused, not guessed at."""

MODEL, BANK, DONE = "model.safetensors", "bank.safetensors", "whence.json"
LARGEST = {"C": 1024, "H": 4096, "W": 4096}
PACKAGES = ("whence", "torch", "torchvision", "numpy")


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
        FileExistsError: if the folder holds a model.
    """
    folder = Path(folder)
    if (folder / DONE).exists():
        raise FileExistsError(f"{folder} already holds a model; save to another folder.")
    state = model.state_dict()
    hashes = {MODEL: write_tensors(folder / MODEL, state)}
    if model.bank is not None:
        hashes[BANK] = write_tensors(folder / BANK, bank_to_tensors(model.bank, pixels=pixels))
    write_json(folder / DONE, {**describe(model), "sha256": hashes, "run": about or {}})


def describe(model: Classifier) -> dict[str, Any]:
    """Collect what is needed to build the model again, besides its tensors."""
    return {
        "format": FORMAT,
        "classes": list(model.class_names),
        "image_shape": list(model.image_shape),
        "variant": model.variant,
        "similarity": getattr(model.head, "similarity", None),
        "classifier": "mlp" if isinstance(model.head.classifier, nn.Sequential) else "linear",
        "features": count_head_features(model),
        "encoder": {
            "family": model.kind.family,
            "name": model.kind.name,
            "type": type(model.encoder).__qualname__,
        },
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "versions": {package: version(package) for package in PACKAGES},
    }


def count_head_features(model: Classifier) -> int:
    """Return D, read off the head's first layer."""
    first = next(layer for layer in model.head.modules() if isinstance(layer, nn.Linear))
    return first.in_features // 2 if model.variant == "memory-wrap" else first.in_features


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

    Raises:
        FileNotFoundError: if there is no finished run, or a file is missing.
        ValueError: if a file is damaged, from a newer version, or does not fit.
    """
    folder = Path(folder)
    about = read_about(folder)
    if MODEL not in about["sha256"]:
        raise ValueError(
            f"{folder} kept its numbers but not its model (keep_model = false); train it again."
        )
    for name, expected in about["sha256"].items():
        if name in (MODEL, BANK) and hash_file_of(folder / name) != expected:
            raise ValueError(f"{folder / name} must have the hash in {DONE}, it is damaged.")
    model = rebuild(folder, about, encoder)
    shapes = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    model.load_state_dict(read_tensors(folder / MODEL, shapes))
    model.eval().to(device or "cpu")
    if BANK in about["sha256"]:
        bank = bank_from_tensors(folder / BANK, model)
        model.attach(bank.map_tensors(lambda tensor: tensor.to(model.mean.device)))
    return model


def hash_file_of(path: Path) -> str:
    """Hash a file that must be there and plain."""
    read_shapes(path)
    return hash_file(path)


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
    if not (folder / DONE).exists():
        raise FileNotFoundError(
            f"No finished run in {folder}; start one with: whence train DATA --out {folder}, "
            "or go on with one by adding --resume"
        )
    about = read_json(folder / DONE)
    found = about.get("format")
    if not isinstance(found, int) or found < 1:
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
    classes, shape = about.get("classes"), about.get("image_shape")
    encoder, hashes = about.get("encoder"), about.get("sha256")
    is_list_of_names = isinstance(classes, list) and all(isinstance(c, str) for c in classes)
    if not is_list_of_names or not 2 <= len(set(classes)) == len(classes) <= 100_000:  # type: ignore[arg-type]
        return "must list at least two different classes"
    if not isinstance(shape, list) or len(shape) != 3:
        return f"must give image_shape as [C, H, W], got {shape!r}"
    for letter, size in zip("CHW", shape, strict=True):
        if type(size) is not int or not 1 <= size <= LARGEST[letter]:
            return f"must have image_shape {letter} in 1 to {LARGEST[letter]}, got {size!r}"
    if about.get("variant") not in VARIANTS:
        return f"must have a variant of {', '.join(VARIANTS)}, got {about.get('variant')!r}"
    if type(about.get("features")) is not int or not 1 <= about["features"] <= 2**20:
        return f"must have features in 1 to {2**20}, got {about.get('features')!r}"
    if not isinstance(encoder, dict) or not all(isinstance(v, str) for v in encoder.values()):
        return "must describe the encoder"
    if not isinstance(hashes, dict) or not all(isinstance(v, str) for v in hashes.values()):
        return "must give the hashes of its files"
    return None


def rebuild(folder: Path, about: dict[str, Any], encoder: nn.Module | None) -> Classifier:
    """Build the model that ``whence.json`` describes, with random parameters.

    The head is compared with the file's header before memory is taken for it.
    """
    kind = EncoderKind(about["encoder"].get("family"), about["encoder"].get("name"))
    channels, height, width = about["image_shape"]
    make_head = partial(
        build_head,
        about["variant"],
        about["features"],
        len(about["classes"]),
        similarity=about.get("similarity") or "cosine",
        classifier=about.get("classifier"),
    )
    with torch.device("meta"):
        declared = make_head().state_dict()
    found = read_shapes(folder / MODEL)
    for name, tensor in declared.items():
        if found.get(f"head.{name}") != tuple(tensor.shape):
            raise ValueError(
                f"{folder / MODEL} must hold head.{name} with shape {tuple(tensor.shape)}, "
                f"got {found.get(f'head.{name}')}; it is damaged."
            )
    if kind.family == "own" and encoder is None:
        raise ValueError(
            f"{folder} was made with an encoder of its user's own ({kind.name}); "
            "pass that module: whence.load(folder, encoder=module)."
        )
    if encoder is None:
        name = kind.name if kind.family == "whence" else f"{kind.family}:{kind.name}"
        network, _ = build_encoder(name, (channels, height, width))
    else:
        network, _ = adopt_encoder(encoder, (channels, height, width), "auto")
    return Classifier(
        network,
        make_head(),
        kind=kind,
        class_names=tuple(about["classes"]),
        image_shape=(channels, height, width),
        mean=[0.0] * channels,
        std=[1.0] * channels,
    )


def bank_to_tensors(bank: Bank, *, pixels: bool) -> dict[str, Tensor]:
    """Lay a bank out as named tensors; hashes and file names become bytes."""
    hashes = torch.frombuffer(bytearray.fromhex("".join(bank.hashes)), dtype=torch.uint8)
    tensors = {
        "features": bank.features,
        "indices": bank.indices,
        "labels": bank.labels,
        "predicted": bank.predicted,
        "hashes": hashes.view(len(bank), -1),
    }
    if pixels and bank.images is not None:
        tensors["images"] = bank.images
    if bank.sources is not None:
        names = bytearray(json.dumps(bank.sources).encode())
        tensors["sources"] = torch.frombuffer(names, dtype=torch.uint8)
    return tensors


def bank_from_tensors(path: Path, model: Classifier) -> Bank:
    """Read a bank and check everything in it against the model.

    Raises:
        ValueError: if a shape, index, label, number or file name is not what a bank may hold.
    """
    shapes = read_shapes(path)
    size = (shapes.get("features") or (0,))[0]
    declared = {
        "features": (size, count_head_features(model)),
        "indices": (size,),
        "labels": (size,),
        "predicted": (size,),
        "hashes": (size, 16),
    }
    if "images" in shapes:
        declared["images"] = (size, *model.image_shape)
    if "sources" in shapes:
        declared["sources"] = shapes["sources"]
    tensors = read_tensors(path, declared)
    if size == 0:
        raise ValueError(f"{path} must hold at least one image, got none.")
    classes = len(model.class_names)
    for name, low, high in (
        ("indices", 0, None),
        ("labels", -1, classes),
        ("predicted", 0, classes),
    ):
        values = tensors[name]
        if values.dtype != torch.int64 or int(values.min()) < low:
            raise ValueError(f"{path} must hold {name} of at least {low}, it is damaged.")
        if high is not None and int(values.max()) >= high:
            raise ValueError(f"{path} must hold {name} below {high}, got {int(values.max())}.")
    for name in ("images", "hashes"):
        if name in tensors and tensors[name].dtype not in (torch.uint8, torch.float32):
            raise ValueError(f"{path} must hold {name} as bytes, got {tensors[name].dtype}.")
    rows = tensors["hashes"].numpy()
    return Bank(
        features=tensors["features"],
        indices=tensors["indices"],
        labels=tensors["labels"],
        predicted=tensors["predicted"],
        hashes=tuple(row.tobytes().hex() for row in rows),
        images=tensors.get("images"),
        sources=read_sources(path, tensors.get("sources"), size),
    )


def read_sources(path: Path, encoded: Tensor | None, size: int) -> tuple[str, ...] | None:
    """Decode the file names of a bank; absolute names and ``..`` are refused."""
    if encoded is None:
        return None
    try:
        names = json.loads(encoded.numpy().tobytes())
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"{path} must hold its sources as JSON, it is damaged.") from error
    if not isinstance(names, list) or len(names) != size:
        raise ValueError(f"{path} must name {size} sources, it is damaged.")
    for name in names:
        if not isinstance(name, str):
            raise ValueError(f"{path} must name its sources as text, got {name!r}.")
        parts = PurePosixPath(name)
        if parts.is_absolute() or ".." in parts.parts or "\\" in name or ":" in name[:3]:
            raise ValueError(f"{path} must name sources inside the dataset, got {name!r}.")
    return tuple(names)
