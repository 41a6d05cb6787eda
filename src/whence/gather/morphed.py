"""Everything that a report shows of the way from another class to images, gathered from models."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from whence.autoencoders.vae import VAE
from whence.bounds import BATCH_SIZE, check_number
from whence.gather.morph_training import Training, start_of
from whence.models.classifier import Classifier
from whence.models.using import check_images
from whence.morphing import OTHERS, PATHS
from whence.morphing.answers import check_fit, classify_codes, classify_images
from whence.morphing.code import Codes, find_codes
from whence.morphing.interpolate import STEPS
from whence.morphing.morph import Morphed, follow
from whence.morphing.norms import mean_norms, norm_range
from whence.morphing.others import Asked, check_decoded, choose_classes
from whence.morphing.quality import code_proximity, pixel_proximity
from whence.morphing.stored_codes import StoredCodes, store_codes
from whence.morphing.walk import MorphPlan
from whence.progress_bar import make_bar
from whence.records.morphed import Along, Code, Mask, Morph, Start, Way
from whence.records.picture import to_uint8
from whence.report.decision import say_apart
from whence.seeds import make_generator

TOGETHER = 32
"""Images whose paths are held at once."""

NEXT = {"others": "paths", "paths": "masks", "masks": "others"}
"""What the progress bar names after each part."""


@dataclass(frozen=True)
class Question:
    """How images are to be morphed.

    Attributes:
        others: names from ``OTHERS``, each once.
        to: the class of other; None is the second best of each image.
        seed: of the sampled codes.
        path: a name from ``PATHS``.
        steps: S, images on a path.
        plan: of the morphs.
    """

    others: tuple[str, ...] = ("morph",)
    to: int | None = None
    seed: int = 0
    path: str = "radial"
    steps: int = STEPS
    plan: MorphPlan | None = None


def morph_images(
    model: Classifier,
    vae: VAE,
    images: Tensor,
    names: Sequence[str],
    truths: Sequence[int | None],
    training: Training,
    *,
    question: Question | None = None,
    advice: str = "",
    batch_size: int = BATCH_SIZE,
) -> tuple[Morph, ...]:
    """Go from another class to images, and collect all that a report shows of it.

    Classes are the most probable ones; where a threshold of the model makes another answer of an
    image, its notes say so.

    Args:
        model: any classifier, with its bank if it has a memory; left as it was.
        vae: of images of the same size; left as it was.
        images: `(B, C, H, W)` uint8 or float in [0, 1].
        names: what each image is called.
        truths: true classes, None where they are not known.
        training: where other images are looked for.
        question: what is asked; None is a morph to the second best class.
        advice: what is known of the autoencoder, said where it is not good enough for an image.
        batch_size: images the networks see at once; changes memory use, not the result.

    Returns:
        One record per image. Where the autoencoder is not good enough for an image, it has no way;
        a way that failed is in it, with its reason and the nearest miss.

    Raises:
        ValueError: if lengths or sizes do not fit, a name is unknown, an image is of the class
            asked for, a class has no stored image, or a reconstruction holds NaN or infinity.
        RuntimeError: if the model has no bank that fits it.
    """
    question = question or Question()
    check_fit(model, vae)
    check_question(model, question)
    check_images(model, images)
    if not len(images) == len(names) == len(truths):
        raise ValueError(
            f"names and truths must have one entry per image ({len(images)}), "
            f"got {len(names)} and {len(truths)}."
        )
    logits = classify_images(model, images, batch_size=batch_size).cpu()
    classes = ask_classes(logits, model.class_names, names, question.to)
    stored = encode_training(model, vae, training, question, classes, batch_size=batch_size)
    generator = make_generator(question.seed)
    found: list[Morph] = []
    work = len(images) * (1 + 3 * len(question.others))
    with make_bar(total=work, unit="step", leave=False) as bar:
        for first in range(0, len(images), TOGETHER):
            rows = slice(first, first + TOGETHER)
            some = Gathering(model, vae, images[rows], stored, training, question, batch_size, bar)
            found += some.gather(names[rows], truths[rows], logits[rows], classes[rows], generator)
    return tuple(add_notes(model, one, row, advice) for one, row in zip(found, logits, strict=True))


def encode_training(
    model: Classifier,
    vae: VAE,
    training: Training,
    question: Question,
    classes: Tensor,
    *,
    batch_size: int,
) -> StoredCodes:
    """Encode the images that others are looked for among.

    Args:
        model: whose classes they are of.
        vae: that encodes them.
        training: the images.
        question: its seed is that of the codes.
        classes: `(B, 2)` of self and of other.
        batch_size: images at once.

    Raises:
        ValueError: if a class of other has no image, and another than the memory's is asked for.
    """
    with make_bar(total=len(training), desc="training images", leave=False) as bar:
        stored = store_codes(
            vae,
            training.images,
            training.labels,
            classes=len(model.class_names),
            generator=make_generator(question.seed),
            batch_size=batch_size,
            report=bar.update,
        )
    if set(question.others) != {"memory"}:
        mean_norms(model.class_names, classes[:, 1], stored.norms)  # refuses an empty class
    return stored


def add_notes(model: Classifier, one: Morph, logits: Tensor, advice: str) -> Morph:
    """Say what a threshold makes of logits `(K,)`, and what helps an image without a code."""
    noted = replace(one, notes=say_other_answer(model, logits))
    if one.code.reason is None:
        return noted
    return replace(noted, code=replace(one.code, reason=f"{one.code.reason} {advice}".strip()))


def say_other_answer(model: Classifier, logits: Tensor) -> tuple[str, ...]:
    """Say where the model answers another class than the most probable one of logits `(K,)`."""
    if model.decision is None:
        return ()
    answered, predicted = int(model.head.decide(logits[None])), int(logits.argmax())
    if answered == predicted:
        return ()
    return (say_apart(model.decision, predicted, answered, model.class_names),)


def check_question(model: Classifier, question: Question) -> None:
    """Refuse what the question alone decides.

    Raises:
        ValueError: naming what is wrong.
    """
    PATHS.find(question.path)
    if not question.others or len(set(question.others)) < len(question.others):
        raise ValueError(f"other must be given once or more, each once, got {question.others}.")
    for other in question.others:
        OTHERS.find(other)
    check_number("steps", question.steps, least=2)  # the two ends
    if question.to is not None and not 0 <= question.to < len(model.class_names):
        raise ValueError(f"to must be in 0 to {len(model.class_names) - 1}, got {question.to}.")
    if "memory" in question.others:
        if model.bank is None:
            raise ValueError(
                "This model has no memory, so there is no stored counterfactual; choose another "
                "other: morph, nearest."
            )
        if model.bank.images is None:
            raise ValueError(
                "The memory was saved without its images (no pixels), so its counterfactual has no "
                "code; choose another other: morph, nearest."
            )


def ask_classes(
    logits: Tensor, class_names: tuple[str, ...], names: Sequence[str], to: int | None
) -> Tensor:
    """Return `(B, 2)` the classes of self and of other.

    Raises:
        ValueError: naming the first image that is of the class asked for already.
    """
    if to is None:
        return choose_classes(logits, class_names)
    for name, predicted in zip(names, logits.argmax(1).tolist(), strict=True):
        if predicted == to:
            raise ValueError(
                f"{name} is already classified as {class_names[to]}; name another class with --to."
            )
    return choose_classes(logits, class_names, to=torch.full((len(logits),), to))


@dataclass
class Gathering:
    """One batch of images on its way to records."""

    model: Classifier
    vae: VAE
    images: Tensor
    stored: StoredCodes
    training: Training
    question: Question
    batch_size: int
    bar: "tqdm[Any]"

    def gather(
        self,
        names: Sequence[str],
        truths: Sequence[int | None],
        logits: Tensor,
        classes: Tensor,
        generator: torch.Generator,
    ) -> list[Morph]:
        """Find codes, others, paths and masks."""
        self.bar.set_description("codes")
        codes = find_codes(
            self.model, self.vae, self.images, generator=generator, batch_size=self.batch_size
        )
        check_decoded(codes.decoded, names.__getitem__)
        self.advance("others")
        _, decoded_logits = classify_codes(
            self.model, self.vae, codes.codes.to(self.vae.variance), batch_size=self.batch_size
        )
        answers = decoded_logits.cpu().softmax(1)
        coded = codes.found.nonzero().squeeze(1).tolist()
        ways = self.find_ways(codes, classes, coded)
        norms = codes.codes.norm(dim=1).tolist()
        return [
            Morph(
                name=names[row],
                image=to_uint8(self.images[row]),
                truth=truths[row],
                probabilities=logits[row].softmax(0),
                code=Code(
                    image=to_uint8(codes.decoded[row]),
                    probabilities=answers[row],
                    how=codes.how[row],
                    reason=codes.reasons[row],
                    distance=float(codes.distances[row]),
                    norm=norms[row],
                ),
                ways=ways.get(row, ()),
            )
            for row in range(len(self.images))
        ]

    def find_ways(
        self, codes: Codes, classes: Tensor, coded: list[int]
    ) -> dict[int, tuple[Way, ...]]:
        """Find the ways to the images at ``coded``, which have a code; by their place."""
        if not coded:
            return {}
        some = codes.take(coded)
        asked = Asked(
            self.images[coded], some.codes, classes[coded], named=self.question.to is not None
        )
        columns = [self.go(kind, some, asked) for kind in self.question.others]
        return dict(zip(coded, zip(*columns, strict=True), strict=True))

    def go(self, kind: str, codes: Codes, asked: Asked) -> list[Way]:
        """Find the others of one kind, and the paths and masks from them."""
        made = follow(
            self.model,
            self.vae,
            codes,
            asked,
            self.stored,
            other=kind,
            path=self.question.path,
            steps=self.question.steps,
            morph_plan=self.question.plan if kind == "morph" else None,
            batch_size=self.batch_size,
            report=lambda done: self.advance(NEXT[done]),
        )
        return self.lay_out(made)

    def lay_out(self, made: Morphed) -> list[Way]:
        """Turn what was computed into one record per image."""
        others, answers, masks = made.others, made.answers, made.masks
        apart = pixel_proximity(made.codes.decoded, others.decoded).tolist()
        cosines = code_proximity(made.codes.codes, others.codes).tolist()
        norms = others.codes.norm(dim=1).tolist()
        low, high = norm_range(self.stored.norms)
        window = answers.window
        return [
            Way(
                kind=others.kind,
                classes=(int(others.classes[row, 0]), int(others.classes[row, 1])),
                image=to_uint8(others.decoded[row]),
                probabilities=others.logits[row].softmax(0),
                found=bool(others.found[row]),
                reason=others.reasons[row],
                steps=int(others.steps[row]),
                start=self.find_start(others.kind, int(others.places[row])),
                pixel_distance=apart[row],
                cosine=cosines[row],
                norm=norms[row],
                class_norm=float(self.stored.norms.means[int(others.classes[row, 1])]),
                norm_range=(low, high),
                along=Along(
                    images=to_uint8(made.path[row]),
                    probabilities=answers.probabilities[row],
                    entropies=answers.entropies[row],
                    gradients=answers.gradients[row],
                    mean=float(window.mean[row]),
                    low=float(window.low[row]),
                    high=float(window.high[row]),
                ),
                mask=Mask(
                    mask=masks.masks[row],
                    increase=masks.increase[row],
                    decrease=masks.decrease[row],
                    gains=masks.gains[row],
                    full_gains=masks.full_gains[row],
                    reason=masks.reasons[row],
                ),
            )
            for row in range(len(others))
        ]

    def find_start(self, kind: str, place: int) -> Start | None:
        """Look up the real image that an other was made from."""
        if place < 0:
            return None
        if kind == "memory":  # a dataset index, not a place; perhaps of an image without a label
            return start_of(self.model.checked_bank(), place)
        return self.training.start(place)

    def advance(self, following: str) -> None:
        """Move the progress bar on by this batch."""
        self.bar.update(len(self.images))
        self.bar.set_description(following)
