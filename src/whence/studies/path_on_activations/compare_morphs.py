"""The second comparison: morphs of a conditional GAN beside those of the autoencoder."""

from typing import Any

import torch
from torch import Tensor

from whence.autoencoders.vae import decode_codes, encode_images
from whence.data.augment import to_float
from whence.morphing.interpolate import decode_path, radial
from whence.morphing.quality import pixel_proximity
from whence.morphing.walk import morph_codes
from whence.records.images import ImageSet
from whence.records.picture import to_uint8
from whence.seeds import make_generator
from whence.studies.parts.ask_in_parts import ask_in_parts
from whence.studies.parts.class_autoencoders import (
    Autoencoders,
    measure_realism,
    train_autoencoders,
)
from whence.studies.parts.real_images import REAL, find_distances
from whence.studies.path_on_activations.follow_views import average_measures, follow_view
from whence.studies.path_on_activations.followed_views import LAYER_MAPS, PLAIN_PIXELS, view_layers
from whence.studies.path_on_activations.learned import Learned, PathSizes
from whence.studies.path_on_activations.pair_generator import fit_pair

BY_GAN, BY_AUTOENCODER = "conditional GAN", "autoencoder"
SHOWN_MORPHS = 6
FOLLOWED_BY_SOURCE = (PLAIN_PIXELS, LAYER_MAPS)


def compare_morphs(known: Learned, sizes: PathSizes, seed: int) -> dict[str, Any]:
    """Turn test images of two classes into each other, by both ways, and judge what comes out."""
    pair = find_pair(ask_in_parts(known.network, known.pixels))
    train, ours = take_pair(known.train, pair)
    test, labels = take_pair(known.test, pair)
    if len(test) == 0:
        raise ValueError("The test images must hold some of the two classes, got none.")
    images = to_float(test.images[: sizes.morphed])
    labels_of_asked = labels[: sizes.morphed]
    wanted = 1 - labels_of_asked
    classes = torch.tensor(pair)[torch.stack([labels_of_asked, wanted], 1)]  # (B, 2)
    generator = fit_pair(train.images, ours, plan=sizes.pair, seed=seed)
    with torch.no_grad():
        made = generator(images, wanted)
    codes = encode_images(known.vae, images).mean
    walked = morph_codes(known.network, known.vae, codes, classes, known.stored.norms)
    judges = train_autoencoders(train.images, ours, classes=2, seed=seed, steps=sizes.judge_steps)
    morphs = {BY_AUTOENCODER: decode_codes(known.vae, walked.codes), BY_GAN: made}
    starts = {BY_AUTOENCODER: walked.codes, BY_GAN: encode_images(known.vae, made).mean}
    kinds = {
        name: {
            **judge_morphs(known, judges, some, wanted, pair, (to_float(train.images), ours)),
            "change": float(pixel_proximity(images, some).mean()),
            **follow_from(known, starts[name], codes, classes[:, 0], sizes, seed),
        }
        for name, some in morphs.items()
    }
    kinds[REAL] = judge_morphs(
        known, judges, to_float(test.images), labels, pair, (to_float(train.images), ours)
    )
    return {
        "pair": list(pair),
        "morphed": len(images),
        "kinds": kinds,
        "pictures": [
            {
                "classes": classes[row].tolist(),
                "image": to_uint8(images[row]).tolist(),
                **{name: to_uint8(some[row]).tolist() for name, some in morphs.items()},
            }
            for row in show_both_ways(labels_of_asked)
        ],
    }


def find_pair(logits: Tensor) -> tuple[int, int]:
    """Find the two classes that are most often the first and second of `(N, K)` logits."""
    top = logits.topk(2, dim=1).indices.sort(1).values
    pairs, counts = top.unique(dim=0, return_counts=True)
    one, other = pairs[counts.argmax()].tolist()
    return one, other


def take_pair(images: ImageSet, pair: tuple[int, int]) -> tuple[ImageSet, Tensor]:
    """Take the images of two classes, and number these 0 and 1."""
    rows = ((images.labels == pair[0]) | (images.labels == pair[1])).nonzero().squeeze(1)
    taken = images.take(rows)
    return taken, (taken.labels == pair[1]).long()


def show_both_ways(labels: Tensor) -> list[int]:
    """Choose the first rows of both classes, in turn."""
    both = [(labels == label).nonzero().squeeze(1).tolist() for label in (0, 1)]
    half = SHOWN_MORPHS // 2
    return sorted(both[0][:half] + both[1][:half])


def judge_morphs(
    known: Learned,
    judges: Autoencoders,
    made: Tensor,
    wanted: Tensor,
    pair: tuple[int, int],
    real: tuple[Tensor, Tensor],
) -> dict[str, float]:
    """Measure how real images look as their wanted class, and who takes them for it.

    Args:
        known: both networks.
        judges: autoencoders of the two classes and of both.
        made: `(B, C, H, W)` in [0, 1].
        wanted: `(B,)` 0 or 1, of the pair.
        pair: the two classes.
        real: training images of the pair, `(N, C, H, W)` in [0, 1], and their labels, 0 or 1.

    Returns:
        Means: distance to the nearest real images of the class, IM1, IM2 (of all lower is better),
        and the shares that the network and the second one put in the class.
    """
    one, two = measure_realism(judges, made, torch.stack([1 - wanted, wanted], 1))
    asked = torch.tensor(pair)[wanted]
    return {
        "to real": float(find_distances(made, wanted, *real).mean()),
        "IM1": float(one.mean()),
        "IM2": float(two.mean()),
        **{
            name: float((ask_in_parts(model, made).argmax(1) == asked).double().mean())
            for name, model in (("valid", known.network), ("second agrees", known.second))
        },
    }


def follow_from(
    known: Learned, starts: Tensor, ends: Tensor, classes: Tensor, sizes: PathSizes, seed: int
) -> dict[str, Any]:
    """Follow the paths from morphs to their images, on pixels and on maps of the convolution.

    Args:
        known: the network and the autoencoder.
        starts: `(B, Z)` codes of the morphs.
        ends: `(B, Z)` codes of the images.
        classes: `(B,)` of the images.
        sizes: how many paths, and their steps.
        seed: of the order by chance.

    Returns:
        By view the median count of features that keep most of the gain; and the share of paths that
        gain anything.
    """
    some = slice(sizes.paths)
    ways = radial(starts[some].to(ends), ends[some], steps=sizes.path_steps)
    path = decode_path(known.vae, ways)
    views = view_layers(known.network, known.modules, known.scale, path.flatten(0, 1))
    found: dict[str, Any] = {}
    for name in FOLLOWED_BY_SOURCE:
        followed = follow_view(
            views[name],
            path,
            classes[some],
            steps=sizes.mask_steps,
            generator=make_generator(seed),
        )
        found[f"needed, {name}"] = average_measures(followed.measures)["mask"]
        found["gain"] = average_measures(followed.measures)["whole gain"]
    return found
