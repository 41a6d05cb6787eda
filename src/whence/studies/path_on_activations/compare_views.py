"""The first comparison: masks on pixels, on layers, and behind the concept embedding."""

from typing import Any

import torch
from torch import Tensor

from whence.morphing.gain import SHARE, gain_kept, random_order
from whence.morphing.morph import morph
from whence.records.picture import to_uint8
from whence.seeds import make_generator
from whence.studies.parts.ask_in_parts import ask_in_parts
from whence.studies.path_on_activations.follow_views import (
    ViewFollowed,
    average_measures,
    follow_view,
    show_features,
)
from whence.studies.path_on_activations.followed_views import (
    LAYER_MAPS,
    ON_PIXELS,
    PLAIN_PIXELS,
    X_FEATURES,
    FollowedView,
    view_layers,
)
from whence.studies.path_on_activations.learned import Learned, PathSizes

SHOWN_PATHS = 5
SHOWN_FEATURES = 2
SHOWN_VIEWS = (LAYER_MAPS, X_FEATURES)


def compare_views(known: Learned, sizes: PathSizes, seed: int) -> dict[str, Any]:
    """Morph test images, and follow the ways back in every view.

    Raises:
        ValueError: if no image has a path.
    """
    generator = make_generator(seed)
    whole, path, classes = find_ways_back(known, sizes, generator)
    views = view_layers(known.network, known.modules, known.scale, path.flatten(0, 1))
    found = {
        name: follow_view(view, path, classes[:, 0], steps=sizes.mask_steps, generator=generator)
        for name, view in views.items()
    }
    shown = {
        name: show_features(view, found[name], path, sizes.attributed)
        for name, view in views.items()
        if name not in ON_PIXELS
    }
    order = random_order((len(path), *path.shape[3:]), generator=generator)
    rankings = {
        "mask on pixels": found[PLAIN_PIXELS].masks,
        "pixels by chance": order,
        **{name: maps.sum(1) for name, (maps, _) in shown.items()},
    }
    return {
        "asked": len(whole),
        "with a path": len(path),
        "views": {
            name: {
                "features": found[name].masks[0].numel(),
                **average_measures(found[name].measures),
                "answers": share_of_answers(view, views[PLAIN_PIXELS], path),
            }
            for name, view in views.items()
        },
        "attributed": {
            name: keep_marked_pixels(known, path, classes, ranking)
            for name, ranking in rankings.items()
        },
        "pictures": [
            lay_out_followed(row, path, classes, found, shown)
            for row in range(min(SHOWN_PATHS, len(path)))
        ],
    }


def find_ways_back(
    known: Learned, sizes: PathSizes, generator: torch.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """Morph test images into their second class, and go the ways back.

    Returns:
        `(N,)` whether an image has a path; of the B that have one `(B, S, C, H, W)` the images on
        it, from other to self, and `(B, 2)` the classes of self and of other.

    Raises:
        ValueError: if no image has a path.
    """
    done = morph(
        known.network,
        known.vae,
        known.test.images[: sizes.paths],
        known.stored,
        generator=generator,
        steps=sizes.path_steps,
    )
    whole = torch.tensor([reason is None for reason in done.reasons])
    if not bool(whole.any()):
        raise ValueError(
            f"No image has a path to its second class; give more or simpler images. Of the first: "
            f"{done.reasons[0]}"
        )
    return whole, done.path[whole], done.others.classes[whole]


def share_of_answers(view: FollowedView, plain: FollowedView, path: Tensor) -> float:
    """Measure how often a view answers as the network does, over all images of all paths."""
    images = path.flatten(0, 1)
    said = ask_in_parts(view.model, view.lay(images)).argmax(1)
    own = ask_in_parts(plain.model, images).argmax(1)
    return float((said == own).double().mean())


def keep_marked_pixels(
    known: Learned, path: Tensor, classes: Tensor, ranking: Tensor
) -> float | None:
    """Measure the share of the gain that a tenth of the pixels keeps, in the order given."""
    kept = gain_kept(known.network, path, classes[:, 0], ranking, share=SHARE).steps
    numbers = kept[kept.isfinite()]
    return float(numbers.mean()) if len(numbers) else None


def lay_out_followed(
    row: int,
    path: Tensor,
    classes: Tensor,
    found: dict[str, ViewFollowed],
    shown: dict[str, tuple[Tensor, Tensor]],
) -> dict[str, Any]:
    """Lay out the two ends of a path, the mask on pixels, and the first features of two views."""
    change = (path[row, -1] - path[row, 0]).mean(0)
    features = [
        {
            "name": name,
            "number": int(found[name].order[row, place]),
            "rises": bool(shown[name][1][row, place]),
            "map": shown[name][0][row, place].tolist(),
        }
        for name in SHOWN_VIEWS
        for place in range(min(SHOWN_FEATURES, shown[name][0].shape[1]))
    ]
    return {
        "classes": classes[row].tolist(),
        "other": to_uint8(path[row, 0]).tolist(),
        "self": to_uint8(path[row, -1]).tolist(),
        "mask": (found[PLAIN_PIXELS].masks[row] * change).tolist(),
        "features": features,
    }
