"""One seed of the study: the plain network, the one with prototypes, and votes beside it."""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from whence.data.augment import to_float
from whence.encoders.at_layers import spread_evenly
from whence.records.images import Dataset
from whence.studies.parts.stored_votes import train_votes
from whence.studies.prototypes.part_network import (
    PartNetwork,
    PatchEncoder,
    PlainNetwork,
    liken,
)
from whence.studies.prototypes.train_parts import (
    PatchOrigin,
    fit_last_layer,
    push_prototypes,
    share_right,
    train_in_batches,
)
from whence.training.loop import seeded

SHOWN_PARTS = 3


class PrototypeSizes(NamedTuple):
    """How large the study is."""

    images: int
    epochs: int
    each: int  # prototypes of every class
    steps: int  # of the last layer
    vote_epochs: int
    shown: int


def ask_parts(images: Dataset, sizes: PrototypeSizes, seed: int) -> dict[str, Any]:
    """Train both networks on the images, push, fit the last layer; only what JSON can hold.

    Returns:
        "plain", "before" and "pushed", "accuracy" of the stages, "votes"; "distinct" patches among
        the "prototypes", how many are "used" (a weight for their own class above a hundredth of
        the largest), "zero" weights for other classes, mean distance "moved"; and "examples".
    """
    train, test = images.train, images.test
    pixels, labels = to_float(train.images), train.labels
    asked = to_float(test.images)
    classes, (channels, side) = len(train.class_names), pixels.shape[1:3]
    with seeded(seed, torch.device("cpu")) as randomness:
        plain = PlainNetwork(PatchEncoder(channels, side), classes, side)
        parts = PartNetwork(PatchEncoder(channels, side), classes, sizes.each)
        found: dict[str, Any] = {}
        for name, network in (("plain", plain), ("before", parts)):
            train_in_batches(
                network,
                pixels,
                labels,
                epochs=sizes.epochs,
                generator=randomness.generator,
            )
            found[name] = share_right(network, asked, test.labels)
    origins = push_prototypes(parts, pixels, labels)
    found["pushed"] = share_right(parts, asked, test.labels)
    fit_last_layer(parts, pixels, labels, steps=sizes.steps)
    found["accuracy"] = share_right(parts, asked, test.labels)
    votes, weights = vote_beside(plain.encoder, pixels, labels, asked, classes, sizes, seed)
    found["votes"] = float((votes.argmax(1) == test.labels).double().mean())
    examples = [
        {
            **explain_parts(parts, asked[place], origins, side),
            "image": place,
            "votes": [
                {"image": int(one), "weight": float(weights[place, one])}
                for one in weights[place].argsort(descending=True)[:SHOWN_PARTS]
                if weights[place, one] > 0
            ],
            "voted": int(votes[place].argmax()),
        }
        for place in spread_evenly(range(len(test)), sizes.shown)
    ]
    return {**found, **count_prototypes(parts, origins), "examples": examples}


@torch.no_grad()
def count_prototypes(network: PartNetwork, origins: list[PatchOrigin]) -> dict[str, float]:
    """Count prototypes, patches, those in use, and weights of 0, as ``ask_parts`` says."""
    own = network.owners == torch.arange(len(network.weights))[:, None]  # (K, P)
    strongest = network.weights[network.owners, torch.arange(len(origins))]
    return {
        "prototypes": len(origins),
        "distinct": len({one[:3] for one in origins}),
        "used": int((strongest > strongest.max() / 100).sum()),
        "zero": float((network.weights[~own] == 0).double().mean()),
        "moved": float(torch.tensor([one.moved for one in origins]).mean()),
    }


@torch.no_grad()
def explain_parts(
    network: PartNetwork, image: Tensor, origins: list[PatchOrigin], side: int
) -> dict[str, Any]:
    """Say which prototypes of the answered class an image `(C, H, W)` resembles, and where.

    Returns:
        "answer", and "parts" with most of its score first: "score" (similarity times weight),
        the "box" in the image, and "image" and "from" of the prototype.
    """
    distances = network.measure_patches(image[None])[0]  # (P, h, w)
    similar = liken(distances.flatten(1).amin(1))
    answer = int((network.weights @ similar).argmax())
    scores = (network.weights[answer] * similar).masked_fill(network.owners != answer, -torch.inf)
    parts = []
    for one in scores.argsort(descending=True)[:SHOWN_PARTS].tolist():
        if not scores[one].isfinite():
            break
        row, column = divmod(int(distances[one].argmin()), distances.shape[2])
        origin = origins[one]
        parts.append(
            {
                "score": float(scores[one]),
                "box": network.encoder.locate(row, column, side),
                "image": origin.image,
                "from": network.encoder.locate(origin.row, origin.column, side),
            }
        )
    return {"answer": answer, "parts": parts}


def vote_beside(
    encoder: PatchEncoder,
    pixels: Tensor,
    labels: Tensor,
    asked: Tensor,
    classes: int,
    sizes: PrototypeSizes,
    seed: int,
) -> tuple[Tensor, Tensor]:
    """Let stored images vote by what the plain network's patches are; shares and weights."""
    with torch.no_grad():
        known, new = (
            torch.cat([encoder(some).flatten(1) for some in one.split(256)])
            for one in (pixels, asked)
        )
    head = train_votes(known, labels, classes, epochs=sizes.vote_epochs, seed=seed)
    with torch.no_grad():
        stored = head.embed(known)
        read = head(head.embed(new), stored, labels=labels)
        return read.weights @ head.values(stored, labels), read.weights
