"""``whence.json``, the mark of a finished run, which says what its model is: read and checked."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from whence.encoders.adopt import FAMILIES
from whence.memory import HEADS, SIMILARITIES
from whence.memory.heads import find_head
from whence.messages import quote
from whence.models.saved_bank import is_list_of_names
from whence.models.saved_calibration import find_problem_of_calibration
from whence.models.saved_decision import find_problem_of_decision
from whence.models.saved_votes import (
    find_problem_of_directions,
    find_problem_of_handicaps,
    find_problem_of_plain_share,
)
from whence.records.labels import find_problem_of_names
from whence.storage.plain_files import read_mark
from whence.storage.tensors import DTYPES

FORMAT = 4
"""The version of the folder's format; an older one is read, a newer one refused, not guessed at."""

MODEL, BANK, DONE = "model.safetensors", "bank.safetensors", "whence.json"
OLD_VOTES_LACK = ("head.spread",)
"""What the model's file of votes lacks that were written before format 4."""

LARGEST = {"C": 1024, "H": 4096, "W": 4096}
LARGEST_FEATURES = 2**20

FLOATS = {str(d).removeprefix("torch."): d for d in DTYPES.values() if d.is_floating_point}


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
    about = read_mark(folder / DONE, FORMAT)
    upgrade(about)
    problem = find_problem_of_run(about)
    if problem:
        raise ValueError(f"{folder / DONE} {problem}; it is damaged.")
    return about


def upgrade(about: dict[str, Any]) -> None:
    """Bring what an older whence wrote to today's format, in place.

    Format 1 called an encoder that was passed as a module "own"; before format 3 the most probable
    class was always the answer; before format 4 votes did not divide features by their spread,
    which is one as a model is built, and features were always the output of the encoder.
    """
    encoder = about.get("encoder")
    if about["format"] < 2 and isinstance(encoder, dict) and encoder.get("family") == "own":
        encoder["family"] = "module"
    if about["format"] < 3:
        about["decision"] = None
    if isinstance(encoder, dict):
        encoder.setdefault("layers", [])
    if about["format"] < 4 and about.get("variant") == "votes":
        about["absent"] = [*OLD_VOTES_LACK]
    about["format"] = FORMAT


def find_problem_of_run(about: dict[str, Any]) -> str | None:
    """Check the fields of ``whence.json``; return the first problem as a clause."""
    return (
        find_problem_of_images(about)
        or find_problem_of_network(about)
        or find_problem_of_record(about)
        or find_problem_of_calibration(about.get("calibration"), find_head(about["variant"]))
        or find_problem_of_decision(
            about.get("decision"), len(about["classes"]), variant=about["variant"]
        )
        or find_problem_of_plain_share(about.get("plain_share"), variant=about["variant"])
        or find_problem_of_directions(
            about.get("even_directions"),
            share=about.get("plain_share"),
            features=about["features"],
        )
        or find_problem_of_handicaps(
            about.get("handicaps"), variant=about["variant"], classes=len(about["classes"])
        )
        or find_problem_of_absent(about.get("absent"), about["variant"])
    )


def find_problem_of_absent(absent: object, variant: str) -> str | None:
    """Check which tensors the model's file may lack: those of old votes, or none."""
    if absent is None or (variant == "votes" and absent == [*OLD_VOTES_LACK]):
        return None
    return f"must leave absent out, got {quote(absent)}"


def find_problem_of_images(about: dict[str, Any]) -> str | None:
    """Check what the images are and which classes they have."""
    classes, shape = about.get("classes"), about.get("image_shape")
    if not isinstance(classes, list):
        return "must list its classes"
    problem = find_problem_of_names(classes)
    if problem is not None:
        return f"must list classes that are {problem}"
    return find_problem_of_shape(shape, LARGEST)


def find_problem_of_shape(shape: object, largest: Mapping[str, int]) -> str | None:
    """Check the shape (C, H, W) of images against the largest number of each axis."""
    if not isinstance(shape, list) or len(shape) != 3:
        return f"must give image_shape as [C, H, W], got {quote(shape)}"
    for letter, size in zip("CHW", shape, strict=True):
        if type(size) is not int or not 1 <= size <= largest[letter]:
            return f"must have image_shape {letter} in 1 to {largest[letter]}, got {quote(size)}"
    return None


def find_problem_of_network(about: dict[str, Any]) -> str | None:
    """Check what the encoder and the head are."""
    encoder, features = about.get("encoder"), about.get("features")
    if about.get("variant") not in tuple(HEADS):
        return f"must have a variant of {', '.join(HEADS)}, got {quote(about.get('variant'))}"
    similarities = tuple(SIMILARITIES) if find_head(about["variant"]).has_memory else (None,)
    for name, choices in (
        ("similarity", similarities),
        ("classifier", ("mlp", "linear")),
        ("dtype", tuple(FLOATS)),
    ):
        if about.get(name) not in choices:
            listed = ", ".join(map(str, choices))
            return f"must have a {name} of {listed}, got {quote(about.get(name))}"
    if type(features) is not int or not 1 <= features <= LARGEST_FEATURES:
        return f"must have features in 1 to {LARGEST_FEATURES}, got {quote(features)}"
    if not isinstance(encoder, dict) or not isinstance(encoder.get("name"), str):
        return "must describe the encoder"
    if encoder.get("family") not in FAMILIES:
        return f"must have an encoder of {', '.join(FAMILIES)}, got {quote(encoder.get('family'))}"
    layers = encoder.get("layers")
    if not is_list_of_names(layers) or len(set(layers)) < len(layers):
        return f"must name layers of the encoder, each once, got {quote(layers)}"
    if encoder["family"] == "whence" and ":" in encoder["name"]:
        return f"must name an encoder of ours, got {quote(encoder['name'])}"
    return None


def find_problem_of_record(about: dict[str, Any]) -> str | None:
    """Check the hashes of the files, and the shape of what identifies the run."""
    hashes = about.get("sha256")
    if not isinstance(hashes, dict) or not is_list_of_names(list(hashes.values())):
        return "must give the hashes of its files"
    allowed = {MODEL, BANK} if find_head(about["variant"]).has_memory else {MODEL}
    if not hashes.keys() <= allowed:
        return f"must name the files {', '.join(sorted(allowed))}, got {', '.join(sorted(hashes))}"
    return find_problem_of_origin(about)


def find_problem_of_origin(about: Mapping[str, Any]) -> str | None:
    """Check that what made a folder is there: the run, and the versions of the packages."""
    for name in ("run", "versions"):
        if not isinstance(about.get(name), dict):
            return f"must have an object {name}, got {quote(about.get(name))}"
    return None
