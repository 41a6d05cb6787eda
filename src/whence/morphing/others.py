"""The other image: where the way to self starts, by three rules."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from whence.autoencoders.vae import VAE
from whence.bounds import BATCH_SIZE
from whence.data.fingerprint import content_hashes
from whence.models.classifier import Classifier
from whence.models.using import check_images
from whence.morphing.answers import check_fit, classify_codes, top_two
from whence.morphing.nearest import nearest_of_class
from whence.morphing.stored_codes import RETRAIN, StoredCodes
from whence.morphing.walk import MorphPlan, check_classes, morph_codes
from whence.records.show import show_record
from whence.shapes import check_shape


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
    stored: StoredCodes,
    *,
    plan: MorphPlan | None = None,
    batch_size: int = BATCH_SIZE,
) -> Others:
    """Make the other by semantic morphing (section 4.5 of the thesis)."""
    check_asked(model, vae, asked)
    made = morph_codes(
        model, vae, asked.codes, asked.classes, stored.norms, plan=plan, batch_size=batch_size
    )
    others = find_others(model, vae, "morph", asked.classes, made.codes, batch_size)
    return replace(others, found=made.found, steps=made.steps, reasons=made.reasons)


def take_nearest(
    model: Classifier, vae: VAE, asked: Asked, stored: StoredCodes, *, batch_size: int = BATCH_SIZE
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
    others = find_others(model, vae, "nearest", asked.classes, codes, batch_size)
    return replace(others, places=found.places.cpu())


def find_others(
    model: Classifier, vae: VAE, kind: str, classes: Tensor, codes: Tensor, batch_size: int
) -> Others:
    """Decode and classify codes, and record them as found."""
    codes = codes.to(vae.variance.device)
    decoded, logits = classify_codes(model, vae, codes, batch_size=batch_size)
    check_decoded(decoded, "the other of image {}".format)
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


def check_decoded(images: Tensor, name: Callable[[int], str]) -> None:
    """Refuse decodings `(B, ...)` with NaN or infinity.

    Args:
        images: the decodings.
        name: calls the one at a place by its name.

    Raises:
        ValueError: naming the first of them.
    """
    broken = (~images.isfinite().flatten(1).all(1)).nonzero()
    if len(broken) > 0:
        raise ValueError(
            f"The autoencoder decodes NaN or infinity for {name(int(broken[0]))}; {RETRAIN}"
        )
