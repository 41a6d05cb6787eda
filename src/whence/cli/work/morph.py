"""Morph images and write a page or JSON."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from jsonargparse import Namespace

from whence.autoencoders.saved_vae import load_vae, read_about_vae
from whence.autoencoders.vae import VAE
from whence.cli.asked import CommandPlan
from whence.cli.files import encode_page
from whence.cli.options import read_where
from whence.cli.plain_text import escape
from whence.cli.work.images import Asked, read_images_asked, report_unread
from whence.data.names import compose
from whence.gather.explained import describe_origin
from whence.gather.morph_training import (
    Training,
    check_same_data,
    choose_training,
    describe_quality,
)
from whence.gather.morphed import Question, check_question, morph_images
from whence.messages import count, quote
from whence.models.about import read_about
from whence.models.classifier import Classifier
from whence.models.load import load_to_answer
from whence.morphing.answers import check_fit
from whence.morphing.code import SAMPLES
from whence.morphing.path_mask import MaskPlan
from whence.morphing.walk import NORM_WEIGHTS, MorphPlan
from whence.records.labels import list_names
from whence.records.morphed import Morph, Way
from whence.report.as_morph_json import morphs_to_json
from whence.report.decision import say_rule
from whence.report.morph_blocks import KINDS
from whence.report.morph_page import render_morphs
from whence.report.numbers import any_share
from whence.report.path_numbers import LEAST_GAIN, share_kept
from whence.runs.where import Where
from whence.storage.whole_files import write_whole

UNKNOWN_DATA = (
    "The run or the autoencoder does not say what it was trained on; images that the autoencoder "
    "has not learnt are reconstructed badly."
)


BY_PROBABILITY = (
    "Ways look at probabilities alone: they lead from one class to the most probable one, whatever "
    "the threshold."
)


@dataclass(frozen=True)
class Ready:
    """Everything that is needed to morph images of a run."""

    model: Classifier
    vae: VAE
    training: Training
    question: Question
    advice: str
    batch_size: int
    facts: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]

    def ask(self, asked: Asked) -> tuple[Morph, ...]:
        """Morph images that were read, and put what is to be said of each beside it."""
        found = morph_images(
            self.model,
            self.vae,
            asked.images,
            asked.names,
            asked.truths,
            self.training,
            question=self.question,
            advice=self.advice,
            batch_size=self.batch_size,
        )
        return tuple(
            replace(one, notes=(*notes, *one.notes))
            for one, notes in zip(found, asked.own_notes, strict=True)
        )


def morph_all(options: Namespace, plan: CommandPlan) -> int:
    """Morph images and write a page or JSON.

    Args:
        options: of the command, checked.
        plan: images, files and the device.

    Returns:
        1 if a file could not be read, else 0.
    """
    folder, place = Path(options.run), Path(options.vae)
    about = read_about(folder)
    read_about_vae(place)  # before the model is read, which takes longer
    model = load_to_answer(folder, plan.device)
    question = Question(
        others=tuple(options.other),
        to=None if options.to is None else find_class(options.to, model.class_names),
        seed=options.seed,
        path=options.path,
        steps=options.steps,
        plan=choose_plan(about, options.norm_weight),
    )
    where = read_where(options)
    ready = get_ready(
        folder, about, model, place, question, where=where, batch_size=options.batch_size
    )
    asked = read_images_asked(options, plan.paths, model, ready.notes)
    morphs = ready.ask(asked)
    refuse_all_failed(morphs)
    origin = describe_origin(folder, about, model, ready.facts)
    origin = replace(origin, notes=(*asked.notes, *ready.notes))
    if options.format == "json":
        content = morphs_to_json(morphs, origin, model.class_names)
        page = json.dumps(content, indent=1, allow_nan=False) + "\n"
    else:
        page = render_morphs(morphs, origin, model.class_names)
    if not plan.files:
        print(page, end="")
        return report_unread(asked.unread, len(plan.paths))
    write_whole(plan.files[0], encode_page(page))
    for one, printed in zip(morphs, asked.own_notes, strict=True):
        for sentence in (one.code.reason, *one.notes[len(printed) :]):
            if sentence is not None:
                print(escape(f"{one.name}: {sentence}"))
        for way in one.ways:
            print(escape(describe(one, way, model.class_names)))
    print(f"Written: {escape(str(plan.files[0]))}")
    return report_unread(asked.unread, len(plan.paths))


def refuse_all_failed(morphs: Sequence[Morph]) -> None:
    """Stop where the autoencoder is not good enough for any of the images.

    Raises:
        ValueError: saying so of the first, with what to do.
    """
    if any(one.ways for one in morphs):
        return
    first = morphs[0]
    others = "" if len(morphs) == 1 else f", and {count(len(morphs) - 1, 'other image')} neither"
    raise ValueError(f"{first.name} cannot be morphed{others}. {first.code.reason}")


def prepare_morph(
    options: Namespace, folder: Path, about: dict[str, Any], model: Classifier
) -> Ready:
    """Get ready for ``whence explain --morph``: a morph, and the memory's counterfactual if any."""
    has_pixels = model.bank is not None and model.bank.images is not None
    question = Question(
        others=("morph", "memory") if has_pixels else ("morph",),
        seed=options.seed,
        plan=choose_plan(about, None),
    )
    place = Path(options.morph)
    return get_ready(
        folder,
        about,
        model,
        place,
        question,
        where=read_where(options),
        batch_size=options.batch_size,
    )


def get_ready(
    folder: Path,
    about: dict[str, Any],
    model: Classifier,
    place: Path,
    question: Question,
    *,
    where: Where,
    batch_size: int,
) -> Ready:
    """Read an autoencoder and the training images, and check that all of it goes together.

    Args:
        folder: of the run.
        about: the content of its ``whence.json``.
        model: that was loaded from it.
        place: folder of the autoencoder.
        question: what is asked.
        where: the run's images are, and may be downloaded to.
        batch_size: images the networks see at once.

    Raises:
        FileNotFoundError: if there is no autoencoder.
        ValueError: if it is damaged or of other images, the question does not fit the model, or the
            training images are not there any more.
    """
    check_question(model, question)
    made = read_about_vae(place)
    vae = load_vae(place, device=model.mean.device)
    check_fit(model, vae)
    same = check_same_data(folder, about["run"], place, made["run"])
    facts = (
        ("autoencoder", f"{place.resolve().name}: {vae.name}, {vae.codes} numbers in a code"),
        ("hash of the autoencoder", made["sha256"]),
        *describe_question(question),
    )
    training = choose_training(folder, model, where=where)
    notes = [] if same else [UNKNOWN_DATA]
    if model.decision is not None:
        notes.append(f"{say_rule(model.decision)} {BY_PROBABILITY}")
    advice = describe_quality(place, made["run"])
    return Ready(model, vae, training, question, advice, batch_size, facts, tuple(notes))


def find_class(name: str, class_names: tuple[str, ...]) -> int:
    """Find a class by its name.

    Raises:
        ValueError: if there is none of that name.
    """
    composed = [compose(one) for one in class_names]
    if compose(name) not in composed:
        raise ValueError(f"Unknown class {quote(name)}. Choose from: {list_names(class_names)}.")
    return composed.index(compose(name))


def choose_plan(about: dict[str, Any], norm_weight: float | None) -> MorphPlan:
    """Take the weight that was given, or the thesis's for the data, or the default."""
    if norm_weight is None:
        norm_weight = NORM_WEIGHTS.get(str(about["run"].get("dataset")), MorphPlan().weight)
    return MorphPlan(weight=norm_weight)


def describe_question(question: Question) -> list[tuple[str, str]]:
    """Name what the ways were made with."""
    plan, mask = question.plan or MorphPlan(), MaskPlan()
    found = [
        ("codes", f"{SAMPLES} samples of each image, seed {question.seed}"),
        ("path", f"{question.path}, {question.steps} images"),
        (
            "path mask",
            f"{mask.steps:,} steps of Adam in strides of {mask.stride}, penalty {mask.weight:g}, "
            f"blur {mask.blur:g} pixels",
        ),
    ]
    if "morph" in question.others:
        text = (
            f"up to {plan.steps:,} steps of Adam in strides of {plan.stride}, weight of the length "
            f"{plan.weight:g}, until the entropy is below {plan.entropy:g} bits"
        )
        found.insert(1, ("morph", text))
    return found


def describe(morph: Morph, way: Way, names: Sequence[str]) -> str:
    """Say in a line how one way went."""
    own, other = (names[label] for label in way.classes)
    start = f"{morph.name}: {own} from {other} ({KINDS[way.kind].short})"
    reason = way.reason or way.mask.reason
    if reason is not None:
        return f"{start}: {reason}"
    if not way.valid:
        seen = names[int(way.probabilities.argmax())]
        return f"{start}: the classifier puts the start of the path in {seen}, not in {other}"
    kept = share_kept(way.mask)
    if kept is None:
        return f"{start}: the path gains less than {LEAST_GAIN:g} of probability"
    return f"{start}: the mask keeps {any_share(kept)} of the path's gain"
