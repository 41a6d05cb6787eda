"""The other image: where the way to self starts, by three rules."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from whence.autoencoders.vae import VAE, encode_images
from whence.data.as_images import Images, as_images
from whence.data.augment import to_float
from whence.data.fingerprint import content_hashes, find_places
from whence.evidence.explain import explain
from whence.memory.attention import at_least_float32
from whence.memory.bank import take_images
from whence.models.classifier import Classifier
from whence.models.using import check_images
from whence.morphing.answers import check_fit, classify_codes, top_two
from whence.morphing.nearest import nearest_of_class
from whence.morphing.norms import Norms, measure_norms
from whence.morphing.walk import MorphPlan, check_classes, morph_codes
from whence.records.answers import Evidence, Explanation
from whence.records.labels import read_labels
from whence.records.show import show_record
from whence.shapes import check_shape
from whence.table import Table

HERE = "whence.morphing.others"
RETRAIN = "train another with: whence train-vae DATA"

OTHERS = Table(
    "other",
    {
        "morph": f"{HERE}:morphed",
        "nearest": f"{HERE}:nearest",
        "memory": f"{HERE}:from_memory",
    },
)
"""Every choice of other by name, called as ``OTHERS[name](model, vae, asked, stored)``."""


@dataclass(frozen=True)
class Asked:
    """Images to explain.

    Attributes:
        images: `(B, C, H, W)` uint8 or float in [0, 1].
        codes: `(B, Z)` the code of each (``find_codes``).
        classes: `(B, 2)` the classes of self and of other.
        named: the caller named the class of other; else it is the second of the top two, and the
            memory may choose another one.
    """

    images: Tensor
    codes: Tensor
    classes: Tensor
    named: bool = False


@dataclass(frozen=True, eq=False, repr=False)
class Stored:
    """What is known of the training images, made by ``store_codes``.

    Attributes:
        codes: `(N, Z)` mean codes.
        labels: `(N,)` int64.
        norms: of codes sampled from the encoder's distributions, as the codes of images are. Mean
            codes are shorter: a number that the encoder does not use has mean 0 and deviation 1.
        places: where the images of each content hash stand; an image is no other of its copies.
    """

    codes: Tensor
    labels: Tensor
    norms: Norms
    places: Mapping[str, tuple[int, ...]] = field(default_factory=dict)

    __repr__ = show_record


@dataclass(frozen=True, eq=False, repr=False)
class Others:
    """The other image of each image; on the CPU.

    Attributes:
        kind: a name from ``OTHERS``.
        classes: `(B, 2)` the classes of self and of other.
        codes: `(B, Z)`; where there is no other, the nearest miss, or the image's own code if there
            is not even one.
        decoded: `(B, C, H, W)` their decodings, in [0, 1].
        logits: `(B, K)` the classifier's, for the decodings.
        found: `(B,)` bool.
        places: `(B,)` int64 the stored image: its place among the stored codes for "nearest", its
            dataset index for "memory"; -1 without one.
        steps: `(B,)` int64 steps of the thesis that a morph took; 0 for the other kinds.
        reasons: per image None, or a sentence that says why there is no other.
    """

    kind: str
    classes: Tensor
    codes: Tensor
    decoded: Tensor
    logits: Tensor
    found: Tensor
    places: Tensor
    steps: Tensor
    reasons: tuple[str | None, ...]

    __repr__ = show_record

    def __len__(self) -> int:
        return len(self.codes)

    @property
    def valid(self) -> Tensor:
        """Return `(B,)` bool, True where the classifier puts the decoding in the class of other."""
        return self.logits.argmax(1) == self.classes[:, 1]


def store_codes(
    vae: VAE,
    images: Images,
    labels: Tensor | Sequence[int],
    *,
    classes: int,
    generator: torch.Generator,
    batch_size: int = 500,
    report: Callable[[int], object] | None = None,
) -> Stored:
    """Encode the training images once, for all questions.

    Args:
        vae: the autoencoder.
        images: `(N, C, H, W)` uint8 or float in [0, 1].
        labels: `(N,)`.
        classes: K.
        generator: of the samples whose norms are measured, on the CPU.
        batch_size: how many at once.
        report: called with how many more are done.

    Raises:
        ValueError: if the shapes do not fit, there are no images, or a code is not finite.
    """
    pixels = as_images(images, vae)
    known = read_labels(labels, tuple(map(str, range(classes))), len(pixels))
    if len(pixels) == 0:
        raise ValueError("images must hold at least one image to store, got none.")
    means, deviations = [], []
    for batch in pixels.split(batch_size):
        found = encode_images(vae, batch, batch_size=batch_size)
        means.append(at_least_float32(found.mean))
        deviations.append(at_least_float32(found.deviation))
        if report is not None:
            report(len(batch))
    mean, deviation = torch.cat(means), torch.cat(deviations)
    if not bool(mean.isfinite().all() & deviation.isfinite().all()):
        raise ValueError(f"The autoencoder encodes a training image to NaN or infinity; {RETRAIN}")
    noise = torch.randn(mean.shape, generator=generator).to(mean)
    norms = measure_norms(mean + deviation * noise, known, classes=classes)
    return Stored(mean, known.to(mean.device), norms, find_places(content_hashes(pixels)))


def choose_classes(logits: Tensor, names: tuple[str, ...], *, to: Tensor | None = None) -> Tensor:
    """Return `(B, 2)` the class of self, and that of other: the second best, or the one asked for.

    Args:
        logits: `(B, K)` of the images.
        names: of the K classes.
        to: `(B,)` the classes asked for; None is the second best.

    Raises:
        ValueError: if an image is of the class asked for already, or there is no such class.
    """
    classes = top_two(logits).cpu()
    if to is not None:
        check_shape("to", to, "B", B=len(logits))
        classes = torch.stack([classes[:, 0], to.cpu()], 1)
    check_classes(names, classes)
    return classes


def morphed(
    model: Classifier,
    vae: VAE,
    asked: Asked,
    stored: Stored,
    *,
    plan: MorphPlan | None = None,
    batch_size: int = 500,
) -> Others:
    """Make the other by semantic morphing (section 4.5 of the thesis)."""
    check_asked(model, vae, asked)
    made = morph_codes(
        model, vae, asked.codes, asked.classes, stored.norms, plan=plan, batch_size=batch_size
    )
    others = describe(model, vae, "morph", asked.classes, made.codes, batch_size)
    return replace(others, found=made.found, steps=made.steps, reasons=made.reasons)


def nearest(
    model: Classifier, vae: VAE, asked: Asked, stored: Stored, *, batch_size: int = 500
) -> Others:
    """Take the stored image of the class of other with the highest cosine of codes (section 4.3).

    Never a copy of the image itself. The classifier need not agree with the label: see
    ``Others.valid``.

    Raises:
        ValueError: if shapes do not fit, or that class has no stored image.
    """
    check_asked(model, vae, asked)
    names = content_hashes(asked.images)
    found = nearest_of_class(
        asked.codes.to(stored.codes),
        asked.classes[:, 1],
        stored.codes,
        stored.labels,
        leave_out=[stored.places.get(name, ()) for name in names],
        class_names=model.class_names,
    )
    codes = stored.codes[found.places]
    others = describe(model, vae, "nearest", asked.classes, codes, batch_size)
    return replace(others, places=found.places.cpu())


def from_memory(
    model: Classifier, vae: VAE, asked: Asked, stored: Stored, *, batch_size: int = 500
) -> Others:
    """Take the model's own counterfactual: a stored image that took part in the answer.

    Of the class asked for, if one was named, else of the class of the counterfactual with the
    highest weight, which need not be the second best class. Its pixels are encoded to a mean code.
    The nearest miss is the most similar stored image of another class, if no counterfactual took
    part at all.

    Raises:
        ValueError: if shapes do not fit, or the memory was kept without pixels.
        RuntimeError: if the model has no bank that fits it.
    """
    check_asked(model, vae, asked)
    if model.has_memory and model.bank is not None and model.bank.images is None:
        raise ValueError(
            "The memory was kept without its pixels, so its images have no code; "
            "choose another other, or save the run with pixels."
        )
    classes, codes = asked.classes.cpu().clone(), asked.codes.cpu().clone()
    places = torch.full((len(codes),), -1)
    reasons: list[str | None] = []
    explained = explain(model, asked.images, draws=0, batch_size=batch_size)
    for row, explanation in enumerate(explained):
        wanted = int(classes[row, 1]) if asked.named else None
        item, reason = choose_counterfactual(explanation, wanted, model.class_names)
        reasons.append(reason)
        if item is not None:
            places[row] = item.index
            classes[row, 1] = item.predicted
    chosen = (places >= 0).nonzero().squeeze(1)
    if len(chosen) > 0:
        pixels = look_up(model, places[chosen])
        codes[chosen] = encode_images(vae, pixels, batch_size=batch_size).mean.to(codes)
    others = describe(model, vae, "memory", classes, codes, batch_size)
    found = torch.tensor([reason is None for reason in reasons])
    return replace(others, found=found, places=places, reasons=tuple(reasons))


def choose_counterfactual(
    explanation: Explanation, wanted: int | None, names: tuple[str, ...]
) -> tuple[Evidence | None, str | None]:
    """Choose the stored image of an explanation, or the nearest miss with the reason."""
    miss = explanation.near_miss
    if wanted is None or not explanation.counterfactuals:
        if explanation.counterfactual is not None:
            return explanation.counterfactual, None
        if wanted is not None and miss is not None and miss.predicted != wanted:
            miss = None
        return miss, explanation.counterfactual_reason
    for item in explanation.counterfactuals:
        if item.predicted == wanted:
            return item, None
    there = ", ".join(names[item.predicted] for item in explanation.counterfactuals)
    return None, (
        f"No stored image with a weight above 0 is one that the model puts in class "
        f"{names[wanted]}; the counterfactuals are of {there}."
    )


def look_up(model: Classifier, indices: Tensor) -> Tensor:
    """Find the pixels `(b, C, H, W)` of stored images by their dataset index `(b,)`."""
    bank = model.checked_bank()
    if bank.images is None:
        raise ValueError("The memory was kept without its pixels, so its images have no code.")
    at = {index: place for place, index in enumerate(bank.indices.tolist())}
    rows = torch.tensor([at[index] for index in indices.tolist()], device=model.mean.device)
    return to_float(take_images(bank.images, rows))


def describe(
    model: Classifier, vae: VAE, kind: str, classes: Tensor, codes: Tensor, batch_size: int
) -> Others:
    """Decode and classify codes, and record them as found."""
    codes = codes.to(vae.variance.device)
    decoded, logits = classify_codes(model, vae, codes, batch_size=batch_size)
    check_decoded(decoded, "the other of image")
    count = len(codes)
    return Others(
        kind=kind,
        classes=classes.cpu(),
        codes=codes.cpu(),
        decoded=decoded.cpu(),
        logits=logits.cpu(),
        found=torch.ones(count, dtype=torch.bool),
        places=torch.full((count,), -1),
        steps=torch.zeros(count, dtype=torch.int64),
        reasons=(None,) * count,
    )


def check_asked(model: Classifier, vae: VAE, asked: Asked) -> None:
    """Refuse questions that do not fit model and autoencoder.

    Raises:
        ValueError: with what came.
    """
    check_fit(model, vae)
    check_images(model, asked.images)
    count = len(asked.images)
    if count == 0:
        raise ValueError("images must hold at least one image, got none.")
    check_shape("codes", asked.codes, "B Z", B=count, Z=vae.codes)
    check_shape("classes", asked.classes, "B two", B=count, two=2)
    check_classes(model.class_names, asked.classes)


def check_decoded(images: Tensor, what: str) -> None:
    """Refuse decodings `(B, ...)` with NaN or infinity.

    Raises:
        ValueError: naming the first of them.
    """
    broken = (~images.isfinite().flatten(1).all(1)).nonzero()
    if len(broken) > 0:
        raise ValueError(
            f"The autoencoder decodes NaN or infinity for {what} {int(broken[0])}; {RETRAIN}"
        )
