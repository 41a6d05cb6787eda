"""Turn an encoder into a classifier."""

from collections.abc import Sequence
from typing import Literal

from torch import nn

from whence.bounds import check_numbers
from whence.encoders.adopt import adopt_encoder
from whence.encoders.count_features import count_features
from whence.memory import VARIANT
from whence.memory.heads import build_head
from whence.models.classifier import Classifier
from whence.records.labels import read_class_names


def wrap(
    encoder: nn.Module | str,
    classes: int | Sequence[str],
    variant: str = VARIANT,
    image_shape: tuple[int, int, int] = (3, 32, 32),
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    drop_classifier: bool | Literal["auto"] = "auto",
    *,
    similarity: str = "cosine",
    classifier: str | None = None,
) -> Classifier:
    """Turn an encoder into a classifier that reads a memory.

    La Rosa et al. (2021), arXiv:2106.01440.

    Args:
        encoder: a module that maps `(B, C, H, W)` to `(B, D)`, or a name: one of ``ENCODERS``,
            "torchvision:NAME" or "timm:NAME" (built without pretrained weights).
        classes: the number of classes K, or their names.
        variant: a name from ``HEADS``: "memory-wrap", "only-memory" or "standard".
        image_shape: (C, H, W) that the encoder is probed with.
        mean: per channel, in [0, 1] pixel units; None is 0.
        std: per channel; None is 1.
        drop_classifier: "auto" drops the classifier of torchvision and timm models and of modules
            with an attribute fc, classifier, head or heads, also inside wrappers such as
            DataParallel; False keeps everything.
        similarity: "cosine", "l2" or "dot".
        classifier: the last layers, "mlp" or "linear"; None is the paper's choice: linear for
            the standard variant, mlp for the others.

    Raises:
        ValueError: if a name is unknown, the shapes do not fit, or there are under two classes.
    """
    names = read_class_names(classes)
    channels = image_shape[0]
    mean = [0.0] * channels if mean is None else list(mean)
    std = [1.0] * channels if std is None else list(std)
    if len(mean) != channels or len(std) != channels:
        raise ValueError(
            f"mean and std must have one number per channel ({channels}), "
            f"got {len(mean)} and {len(std)}."
        )
    check_numbers([("mean", mean), ("std", std)])
    network, kind = adopt_encoder(encoder, image_shape, drop_classifier)
    features = count_features(network, image_shape)
    head = build_head(variant, features, len(names), similarity=similarity, classifier=classifier)
    return Classifier(
        network,
        head,
        kind=kind,
        class_names=names,
        image_shape=image_shape,
        mean=mean,
        std=std,
    )
