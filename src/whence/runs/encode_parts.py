"""The features of a run whose encoder is frozen, part by part."""

from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from whence.records.images import Dataset
from whence.runs.folds import Pooled
from whence.runs.kept_features import encode_once
from whence.runs.prepare import Parts
from whence.training.distributed import Team


def encode_parts(
    parts: Parts,
    dataset: Dataset,
    folder: Path,
    team: Team,
    pooled: Pooled | None,
    *,
    batch_size: int,
) -> dict[str, Tensor]:
    """Encode the images of a run whose encoder is frozen, once; of another run nothing.

    Training and validation images are encoded together, in the order of the dataset: however a
    seed divides them, they are the same images.

    Args:
        parts: with the model, on its device.
        dataset: that they are parts of.
        folder: of the kept features.
        team: the processes that train together.
        pooled: all images of the folds that the dataset is made of; None without folds.
        batch_size: images encoded at once.

    Returns:
        `(n, D)` by the name of the part.
    """
    if not parts.plan.freeze_encoder:
        return {}
    parts.model.eval()
    encode = partial(encode_once, parts.model, batch_size=batch_size, team=team, folder=folder)
    if pooled is not None:
        found = encode(pooled.images)
        places = {
            "train": pooled.learnt[parts.indices],
            "validation": pooled.learnt[parts.validation_indices],
            "test": pooled.tested,
        }
        return {name: found[rows.to(found.device)] for name, rows in places.items()}
    both = torch.cat([parts.indices, parts.validation_indices])
    used = both.sort().values
    images = dataset.train if len(used) == len(dataset.train) else dataset.train.take(used)
    rows = encode(images)[torch.searchsorted(used, both).to(parts.model.mean.device)]
    features = {"train": rows[: len(parts.train)], "validation": rows[len(parts.train) :]}
    return features if len(parts.test) == 0 else {**features, "test": encode(parts.test)}
