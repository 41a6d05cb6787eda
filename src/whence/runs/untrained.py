"""The same network before training: a control for what training gave to the evidence."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from whence.encoders import OUTPUT
from whence.encoders.weights import copy_into
from whence.evidence.evaluate import evaluate
from whence.models.classifier import Classifier
from whence.records.images import ImageSet
from whence.records.measures import Evaluation
from whence.runs.load_parts import load_part
from whence.runs.normalisation import Normalisation
from whence.runs.prepare import build_model, weights_for
from whence.runs.settings import Settings
from whence.runs.where import AS_SETTINGS_SAY, Where

HINT = "add --no-controls to leave this control out."


def evaluate_untrained(
    model: Classifier,
    images: ImageSet,
    memory: ImageSet,
    settings: Settings,
    run: dict[str, Any],
    *,
    batch_size: int,
    download: bool,
) -> Evaluation:
    """Measure the model that a run started from, with the memory that the run ended with.

    Args:
        model: of the finished run, with its bank.
        images: those that the run is measured on.
        memory: the images in the bank.
        settings: of the run.
        run: what ``whence.json`` says of it.
        batch_size: images encoded at once.
        download: fetch published weights that are not in a cache. A frozen encoder still has those
            that it started with.

    Raises:
        ValueError: if the pretrained weights are no longer there as they were.
    """
    start = build_untrained(model, memory, settings, run, download=download, hint=HINT)
    start.remember(memory.images, memory.labels, batch_size=batch_size)
    return evaluate(start, images, memory_size=1, draws=1, batch_size=batch_size)


def build_untrained(
    model: Classifier,
    memory: ImageSet,
    settings: Settings,
    run: dict[str, Any],
    *,
    download: bool,
    hint: str,
) -> Classifier:
    """Build the model that a run started from, without a memory, in eval mode.

    Its parameters are exactly those before the first step: drawn from the seed of the run, or the
    pretrained ones.

    Args:
        model: of the finished run.
        memory: images of the run's shape and classes.
        settings: of the run.
        run: what ``whence.json`` says of it.
        download: fetch published weights that are not in a cache. A frozen encoder still has those
            that it started with.
        hint: what to do without it.

    Raises:
        ValueError: if the pretrained weights are no longer there as they were.
    """
    mean, std = (tuple(tensor.flatten().tolist()) for tensor in (model.mean, model.std))
    normalisation = Normalisation(mean, std, "the model")
    frozen = settings.freeze_encoder
    settings = replace(settings, layers=",".join(model.kind.layers) or OUTPUT)
    try:
        weights = None if frozen else weights_for(settings, memory, download=download)
        start, record = build_model(settings, memory, normalisation, weights)
    except (OSError, ValueError) as error:  # weights that are not here any more
        raise ValueError(
            f"The network before training cannot be built again ({str(error).rstrip('.')}); {hint}"
        ) from error
    if frozen:
        copy_into(start.encoder, model.encoder.state_dict())
    elif record != run.get("weights"):
        raise ValueError(
            f"weights must be those that the run started with, {settings.weights} changed; {hint}"
        )
    return start.to(model.mean.device).eval()


def find_memory(
    model: Classifier,
    folder: Path,
    about: dict[str, Any],
    *,
    where: Where = AS_SETTINGS_SAY,
) -> ImageSet:
    """Take the memory images from the bank, or from the data when it keeps no pixels.

    Args:
        model: of the finished run, with its bank.
        folder: of the run.
        about: the content of its ``whence.json``.
        where: the images are, and may be downloaded to.

    Raises:
        ValueError: if the images are no longer to be found.
    """
    bank = model.checked_bank()
    if bank.images is not None:
        return ImageSet(bank.images, bank.labels, model.class_names)
    try:
        return load_part(folder, about, "train", where=where)
    except (OSError, ValueError) as error:
        raise ValueError(
            f"The memory of {folder} keeps no pixels, and its images are needed for the network "
            f"before training ({str(error).rstrip('.')}); {HINT}"
        ) from error
