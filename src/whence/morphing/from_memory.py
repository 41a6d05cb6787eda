"""The other image from the memory: the counterfactual that took part in the answer."""

from dataclasses import replace

import torch
from torch import Tensor

from whence.autoencoders.vae import VAE, encode_images
from whence.bounds import BATCH_SIZE
from whence.data.augment import to_float
from whence.evidence.explain import explain
from whence.memory.bank import take_images
from whence.models.classifier import Classifier
from whence.morphing.others import Asked, Others, check_asked, find_others
from whence.morphing.stored_codes import StoredCodes
from whence.records.answers import Evidence, Explanation


def from_memory(
    model: Classifier, vae: VAE, asked: Asked, stored: StoredCodes, *, batch_size: int = BATCH_SIZE
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
    others = find_others(model, vae, "memory", classes, codes, batch_size)
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
