"""Take the classifier off a network, so that it returns features."""

from torch import nn

CLASSIFIERS = ("fc", "classifier", "head", "heads")
"""Attributes that hold a network's classifier by convention."""


def has_classifier(encoder: nn.Module) -> bool:
    """Say whether :func:`drop_classifier` would find a classifier, dropped or not."""
    named = (getattr(encoder, name, None) for name in CLASSIFIERS)
    return is_timm(encoder) or any(isinstance(module, nn.Module) for module in named)


def is_timm(encoder: nn.Module) -> bool:
    """Say whether a module is one of timm's networks."""
    return type(encoder).__module__.startswith("timm.") and hasattr(encoder, "reset_classifier")


def drop_classifier(encoder: nn.Module) -> nn.Module:
    """Put nn.Identity in the place of the classifier, so that the module returns features.

    A network of timm is asked to do it itself. Elsewhere the classifier is what the attribute
    ``fc``, ``classifier``, ``head`` or ``heads`` holds; of a sequence, the last linear layer (in
    SqueezeNet: convolution) goes, with the dropout before it and the activation behind it, and what
    precedes them stays: VGG keeps its two hidden layers (D=4096), ConvNeXt its normalisation. A
    sequence without such a layer is not a classifier and stays. Auxiliary classifiers are switched
    off. Doing it twice changes nothing more.

    Args:
        encoder: changed in place, not copied.

    Returns:
        The same module.

    Raises:
        ValueError: if several attributes could be the classifier.
    """
    if is_timm(encoder):
        # timm's own method, which torch's Module does not know
        encoder.reset_classifier(0)  # type: ignore[operator]
        return encoder
    if getattr(encoder, "aux_logits", False):  # GoogLeNet and Inception: tuples in training
        # torchvision's flag, which torch's Module does not know
        encoder.aux_logits = False  # type: ignore[assignment]
        for name in ("aux1", "aux2", "AuxLogits"):
            if hasattr(encoder, name):
                setattr(encoder, name, None)
    found = [name for name in CLASSIFIERS if isinstance(getattr(encoder, name, None), nn.Module)]
    if len(found) > 1:
        raise ValueError(
            f"{type(encoder).__name__} could have its classifier in {' or '.join(found)}; replace "
            "the right one by nn.Identity() and pass drop_classifier=False."
        )
    for name in found:
        setattr(encoder, name, without_last_layer(getattr(encoder, name)))
    return encoder


def without_last_layer(classifier: nn.Module) -> nn.Module:
    """Return what stays of a classifier; positions, and so parameter names, do not change."""
    if not isinstance(classifier, nn.Sequential):
        return nn.Identity()
    kinds = [type(module) for module in classifier]
    layers = [i for i, kind in enumerate(kinds) if issubclass(kind, (nn.Linear, nn.Conv2d))]
    if not layers or nn.Identity in kinds[layers[-1] :]:  # none, or dropped before
        return classifier
    last = layers[-1]
    drop = [last]
    if last > 0 and issubclass(kinds[last - 1], nn.Dropout):
        drop.append(last - 1)
    activations = (nn.ReLU, nn.Softmax, nn.LogSoftmax, nn.Sigmoid)
    drop += [i for i in range(last + 1, len(kinds)) if issubclass(kinds[i], activations)]
    for position in drop:
        classifier[position] = nn.Identity()
    return classifier
