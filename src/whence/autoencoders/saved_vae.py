"""Autoencoders on disk: safetensors and JSON, nothing that can execute."""

from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from whence.autoencoders import VAES
from whence.autoencoders.vae import VAE
from whence.bounds import BOUNDS
from whence.encoders.weights import copy_into, put_on
from whence.kinds import check_arguments
from whence.messages import quote
from whence.models.about import find_problem_of_origin, find_problem_of_shape
from whence.models.sound import check_sound
from whence.storage.plain_files import hash_file, read_mark
from whence.storage.tensors import (
    check_layouts,
    layouts_of,
    read_layouts,
    read_tensors,
    write_tensors,
)
from whence.storage.whole_files import write_json

FORMAT = 1
"""The version of the folder's format; a newer one is refused, not guessed at."""

TENSORS, DONE = "vae.safetensors", "vae.json"
LARGEST_DECODED = {"C": 1024, "H": 512, "W": 512}
MOST_CODES = int(BOUNDS["codes"].high)
PACKAGES = ("whence", "torch")


@check_arguments
def save_vae(vae: VAE, folder: str | Path, *, about: dict[str, Any] | None = None) -> None:
    """Write an autoencoder; ``vae.json``, written last, marks the folder as finished.

    Args:
        vae: one of ``VAES``.
        folder: made if it is not there; must not hold a finished autoencoder yet.
        about: JSON that identifies the run, kept under "run".

    Raises:
        FileExistsError: if the folder holds a finished autoencoder.
        ValueError: if the autoencoder holds NaN or infinity, or is of no name in ``VAES``.
    """
    folder = Path(folder)
    if (folder / DONE).exists() or (folder / DONE).is_symlink():
        raise FileExistsError(f"{folder} already holds {DONE}; save to another folder.")
    write_vae(vae, folder, about=about)


def write_vae(vae: VAE, folder: Path, *, about: dict[str, Any] | None = None) -> None:
    """Do what ``save_vae`` does, over what an interrupted one left in the folder."""
    check_sound("vae", vae.state_dict())
    description = {
        "format": FORMAT,
        "vae": vae.name,
        "image_shape": list(vae.image_shape),
        "codes": vae.codes,
        "parameters": sum(parameter.numel() for parameter in vae.parameters()),
        "versions": {package: version(package) for package in PACKAGES},
    }
    problem = find_problem_of_vae({**description, "sha256": "", "run": {}})
    if problem is not None:
        raise ValueError(f"vae {problem}; it cannot be saved.")
    digest = write_tensors(folder / TENSORS, vae.state_dict())
    write_json(folder / DONE, {**description, "sha256": digest, "run": about or {}})


@check_arguments
def load_vae(folder: str | Path, *, device: str | torch.device | None = None) -> VAE:
    """Read an autoencoder that ``save_vae`` or ``whence train-vae`` wrote.

    Executes and downloads nothing. The global random state is left as it was.

    Args:
        folder: the run folder.
        device: where it goes; None is the CPU.

    Returns:
        The autoencoder in eval mode.

    Raises:
        FileNotFoundError: if there is no finished one, or a file is missing.
        ValueError: if a file is damaged, from a newer version, or does not fit.
    """
    folder = Path(folder)
    about = read_about_vae(folder)
    path = folder / TENSORS
    found = read_layouts(path)
    with torch.random.fork_rng(devices=[]):
        with torch.device("meta"):
            outline = layouts_of(build(folder, about).state_dict())
        check_layouts(path, found, outline)
        vae = build(folder, about)
    if hash_file(path) != about["sha256"]:
        raise ValueError(f"{path} must have the hash in {DONE}, it is damaged.")
    tensors = read_tensors(path, outline)
    check_sound(str(path), tensors)
    copy_into(vae, tensors)
    if not float(vae.variance) > 0:
        raise ValueError(f"{path} must hold a positive variance, it is damaged.")
    put_on(vae.eval(), device)
    return vae


def build(folder: Path, about: dict[str, Any]) -> VAE:
    """Build what ``vae.json`` describes.

    Raises:
        ValueError: naming the file, if there is no such autoencoder of that size.
    """
    try:
        vae: VAE = VAES[about["vae"]](tuple(about["image_shape"]), codes=about["codes"])
    except ValueError as error:
        raise ValueError(f"{folder / DONE} is damaged: {error}") from error
    return vae


def read_about_vae(folder: Path) -> dict[str, Any]:
    """Read and check ``vae.json``, the mark of a finished autoencoder.

    Raises:
        FileNotFoundError: if the folder holds no finished one.
        ValueError: if a field is missing, of the wrong type or out of range.
    """
    if not (folder / DONE).exists():
        what = "No finished autoencoder" if folder.is_dir() else "No autoencoder"
        raise FileNotFoundError(
            f"{what} in {folder}; train one with: whence train-vae DATA --out {folder}"
        )
    about = read_mark(folder / DONE, FORMAT)
    problem = find_problem_of_vae(about)
    if problem is not None:
        raise ValueError(f"{folder / DONE} {problem}; it is damaged.")
    return about


def find_problem_of_vae(about: dict[str, Any]) -> str | None:
    """Check the fields of ``vae.json``; return the first problem as a clause."""
    shape, codes = about.get("image_shape"), about.get("codes")
    if about.get("vae") not in list(VAES):
        return f"must name a vae of {', '.join(VAES)}, got {quote(about.get('vae'))}"
    problem = find_problem_of_shape(shape, LARGEST_DECODED)
    if problem is not None:
        return problem
    if type(codes) is not int or not 1 <= codes <= MOST_CODES:
        return f"must have codes in 1 to {MOST_CODES}, got {quote(codes)}"
    if not isinstance(about.get("sha256"), str):
        return f"must give the hash of {TENSORS}"
    return find_problem_of_origin(about)
