"""The whole of morphing: code, other, path, entropy and mask of each image."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from whence.autoencoders.vae import VAE
from whence.bounds import BATCH_SIZE, check_number
from whence.data.as_images import Images, as_images
from whence.kinds import check_arguments
from whence.messages import quote
from whence.models.classifier import Classifier
from whence.morphing import OTHERS, PATHS
from whence.morphing.answers import classify_images
from whence.morphing.code import Codes, find_codes
from whence.morphing.entropy import PathAnswers, measure_path
from whence.morphing.interpolate import STEPS, decode_path
from whence.morphing.others import (
    Asked,
    Others,
    check_decoded,
    choose_classes,
)
from whence.morphing.path_mask import MaskPlan, PathMasks, path_masks
from whence.morphing.stored_codes import StoredCodes
from whence.morphing.walk import MorphPlan
from whence.records.show import show_record


@dataclass(frozen=True, eq=False, repr=False)
class Morphed:
    """Everything about a batch of images; on the CPU.

    Attributes:
        codes: of the images.
        others: the other image of each.
        path: `(B, S, C, H, W)` from other to self, in [0, 1].
        answers: of the classifier along the path.
        masks: of the path.
        reasons: per image None, or a sentence: why it has no code, no other or no mask, the first
            of these that is so. Its path then starts at the nearest miss.
    """

    codes: Codes
    others: Others
    path: Tensor
    answers: PathAnswers
    masks: PathMasks
    reasons: tuple[str | None, ...]

    __repr__ = show_record

    def __len__(self) -> int:
        return len(self.path)


@check_arguments
def morph(
    model: Classifier,
    vae: VAE,
    images: Images,
    stored: StoredCodes,
    *,
    generator: torch.Generator,
    other: str = "morph",
    to: Tensor | None = None,
    path: str = "radial",
    steps: int = STEPS,
    morph_plan: MorphPlan | None = None,
    mask_plan: MaskPlan | None = None,
    batch_size: int = BATCH_SIZE,
) -> Morphed:
    """Explain images by the way from another class to their own.

    Args:
        model: any classifier, with its bank if it has a memory; left as it was.
        vae: of images of the same size.
        images: `(B, C, H, W)` uint8 or float in [0, 1]; or arrays, PIL images, files, or a list of
            these. The paths of all are held at once: explain many in parts.
        stored: made by ``store_codes`` from the training images.
        generator: of the sampled codes, on the CPU.
        other: a name from ``OTHERS``.
        to: `(B,)` the class of other; None is the second best. With the right labels of wrongly
            classified images it shows what misled the classifier (``find_mistakes``).
        path: a name from ``PATHS``.
        steps: S, images on the path.
        morph_plan: only for "morph".
        mask_plan: of the path mask.
        batch_size: images the networks see at once.

    Raises:
        ValueError: if a name is unknown, sizes do not fit, an image is of the class asked for, or a
            class has no stored image.
        RuntimeError: if the model has no bank that fits it.
    """
    check_choices(other, path, steps, morph_plan)  # before anything is computed
    shown = as_images(images, model)
    logits = classify_images(model, shown, batch_size=batch_size)
    classes = choose_classes(logits, model.class_names, to=to)
    codes = find_codes(model, vae, shown, generator=generator, batch_size=batch_size)
    asked = Asked(shown, codes.codes, classes, named=to is not None)
    return follow(
        model,
        vae,
        codes,
        asked,
        stored,
        other=other,
        path=path,
        steps=steps,
        morph_plan=morph_plan,
        mask_plan=mask_plan,
        batch_size=batch_size,
    )


def follow(
    model: Classifier,
    vae: VAE,
    codes: Codes,
    asked: Asked,
    stored: StoredCodes,
    *,
    other: str = "morph",
    path: str = "radial",
    steps: int = STEPS,
    morph_plan: MorphPlan | None = None,
    mask_plan: MaskPlan | None = None,
    batch_size: int = BATCH_SIZE,
    report: Callable[[str], None] | None = None,
) -> Morphed:
    """Find the others of images whose codes are known, and the paths and masks from them.

    Args:
        model: any classifier, with its bank if it has a memory; left as it was.
        vae: of images of the same size.
        codes: of the images.
        asked: the same images, with the classes of self and of other.
        stored: made by ``store_codes``.
        other: a name from ``OTHERS``.
        path: a name from ``PATHS``.
        steps: S.
        morph_plan: only for "morph".
        mask_plan: of the path mask.
        batch_size: images the networks see at once.
        report: called with what is done: "others", "paths", "masks".

    Raises:
        ValueError: if a name is unknown, sizes do not fit, or a class has no stored image.
        RuntimeError: if the model has no bank that fits it.
    """
    check_choices(other, path, steps, morph_plan)
    choose, go = OTHERS.find(other), PATHS.find(path)
    report = report or (lambda _: None)
    options: dict[str, Any] = {} if morph_plan is None else {"plan": morph_plan}
    others: Others = choose(model, vae, asked, stored, batch_size=batch_size, **options)
    report("others")
    device = vae.variance.device
    ways = go(others.codes.to(device), codes.codes.to(device), steps=steps)
    decoded = decode_path(vae, ways, batch_size=batch_size)
    check_decoded(decoded, "a step of the path to image {}".format)
    answers = measure_path(model, decoded, others.classes, batch_size=batch_size)
    report("paths")
    masks = path_masks(model, decoded, others.classes[:, 0], plan=mask_plan, batch_size=batch_size)
    report("masks")
    reasons = tuple(
        next((reason for reason in three if reason is not None), None)
        for three in zip(codes.reasons, others.reasons, masks.reasons, strict=True)
    )
    return Morphed(codes, others, decoded.cpu(), answers, masks, reasons)


def check_choices(other: str, path: str, steps: int, morph_plan: MorphPlan | None) -> None:
    """Refuse what does not depend on the images.

    Raises:
        ValueError: naming what is wrong.
    """
    OTHERS.find(other)
    PATHS.find(path)
    check_number("steps", steps, least=2)  # the two ends
    if morph_plan is not None and other != "morph":
        raise ValueError(f"morph_plan must be left out for {quote(other)}, which makes no morph.")
