"""Share a model: a folder with a card, on this disk or on the Hugging Face Hub."""

import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from whence.gather.explained import explain_images
from whence.kinds import check_arguments
from whence.memory.bank import Bank
from whence.messages import describe_failure
from whence.models.about import BANK, DONE, MODEL
from whence.models.classifier import Classifier
from whence.models.load import load_to_answer
from whence.models.save import save
from whence.records.explained import Answer
from whence.report.figures import draw_evidence
from whence.report.numbers import percent
from whence.runs.before import is_measured_as_answered
from whence.runs.folder import METRICS
from whence.sharing.card import EVIDENCE_PICTURE, CardFacts, write_card
from whence.storage.hub import SCHEME, check_hub_name, import_hub, list_refusals
from whence.storage.plain_files import hash_file, read_json
from whence.storage.whole_files import write_whole

CARD = "README.md"
PICTURED = 4
"""Stored images whose evidence the card shows, of different classes as far as there are."""

TOP_PICTURED = 8
"""Evidence images of each."""


@check_arguments
def push(
    model: Classifier | str | Path,
    name: str,
    *,
    pixels: bool = True,
    private: bool = True,
    measures: Mapping[str, str] | None = None,
    token: str | None = None,
) -> str:
    """Put a model on the Hugging Face Hub, with a card that says what it holds.

    With ``pixels`` the repository holds training images: whoever can read it can see them. It is
    private unless that is said otherwise. Only safetensors, JSON, the card and a picture are
    uploaded.

    Args:
        model: in eval mode, with its memory; or the folder of a run, whose measures the card lists.
        name: "owner/name".
        pixels: keep the pixels of the stored images, and show some of them in the card.
        private: make the repository a private one, where it is not there yet.
        measures: what the card lists, by what it is called; None takes those of a run.
        token: of the Hub; None takes the one that this machine is logged in with.

    Returns:
        Its address, "hf://owner/name", for ``whence.load``.

    Raises:
        ValueError: if it is no such name.
        ModuleNotFoundError: if the client of the Hub is not installed.
        ConnectionError: if the Hub does not take it.
    """
    name = name.removeprefix(SCHEME)
    check_hub_name(name)
    hub = import_hub()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "shared"
        write_shared(model, folder, name=name, pixels=pixels, measures=measures)
        client = hub.HfApi(token=token)
        try:
            client.create_repo(name, private=private, exist_ok=True)
            client.upload_folder(
                repo_id=name, folder_path=str(folder), commit_message="A model of whence"
            )
        except (*list_refusals(hub), hub.errors.LocalTokenNotFoundError) as error:
            raise ConnectionError(
                f"The Hub did not take {name} ({describe_failure(error)}); log in with: "
                "hf auth login."
            ) from error
    return f"{SCHEME}{name}"


def write_shared(
    model: Classifier | str | Path,
    folder: Path,
    *,
    name: str,
    pixels: bool,
    measures: Mapping[str, str] | None = None,
) -> None:
    """Write the folder that ``push`` uploads: the model, its card and a picture of its evidence.

    Args:
        model: as for ``push``.
        folder: made if it is not there; must not hold a model yet.
        name: of the repository.
        pixels: keep the pixels of the stored images.
        measures: as for ``push``.
    """
    if not isinstance(model, Classifier):
        run = Path(model)
        model = load_to_answer(run, "cpu")
        measures = read_measures(run, model) if measures is None else measures
    save(model, folder, pixels=pixels)
    picture = draw_some_evidence(model) if pixels else None
    if picture is not None:
        write_whole(folder / EVIDENCE_PICTURE, picture)
    written = [folder / one for one in (DONE, MODEL, BANK) if (folder / one).exists()]
    hashes = {path.name: hash_file(path) for path in written}
    facts = CardFacts(
        name=name,
        classes=model.class_names,
        kind=model.head.title,
        variant=model.variant,
        encoder=model.kind.title,
        image_shape=model.image_shape,
        stored=0 if model.bank is None else len(model.bank),
        pixels=pixels and model.bank is not None and model.bank.images is not None,
        files=hashes,
        measures=measures or {},
        calibrated=model.calibration is not None,
        own_encoder=model.kind.family == "module",
        pictured=picture is not None,
    )
    write_whole(folder / CARD, write_card(facts).encode())


def read_measures(run: Path, model: Classifier) -> dict[str, str]:
    """Read what was measured on the test images of a run, in words.

    Args:
        run: the run folder.
        model: that was loaded from it.
    """
    path = run / METRICS
    if not path.is_file():
        return {}
    test: dict[str, Any] = read_json(path).get("test", {})
    found = {}
    rule = (
        ""
        if is_measured_as_answered(test, model.decision)
        else ", before its threshold was changed"
    )
    for key, words in (
        ("accuracy", "accuracy"),
        ("balanced_accuracy", "balanced accuracy"),
        ("purity", "weight on stored images of the true class"),
    ):
        if isinstance(test.get(key), float):
            found[f"{words}, {test.get('images', 0):,} test images{rule}"] = percent(test[key])
    return found


def draw_some_evidence(model: Classifier) -> bytes | None:
    """Draw a few stored images, each answered without itself, and their evidence; None without."""
    if model.bank is None or model.bank.images is None or len(model.bank) < 2:
        return None
    places = choose_pictured(model.bank)
    names = [f"stored image {int(model.bank.indices[place])}" for place in places]
    images = model.bank.images[places]
    answers = explain_images(
        model, images, names, model.bank.labels[places].tolist(), draws=0, method=None
    )
    return draw_evidence([keep_highest(answer) for answer in answers], model.class_names)


def keep_highest(answer: Answer) -> Answer:
    """Leave an answer the stored images of highest weight."""
    found = answer.explanation
    return replace(answer, explanation=replace(found, evidence=found.evidence[:TOP_PICTURED]))


def choose_pictured(bank: Bank) -> list[int]:
    """Choose the first stored image of each class, and more where there are few classes."""
    labels = bank.labels.tolist()
    first = [labels.index(label) for label in sorted(set(labels))]
    rest = [place for place in range(len(labels)) if place not in first]
    return sorted((first + rest)[: min(PICTURED, len(labels))])
