"""Take the classifier off a network, so that it returns features."""

import torch
from torch import nn

CLASSIFIERS = ("fc", "classifier", "head", "heads")
"""Attributes that hold a network's classifier by convention."""


def has_classifier(encoder: nn.Module) -> bool:
    """Say whether :func:`drop_classifier` would find a classifier, dropped or not."""
    network = look_through(encoder)
    return is_timm(network) or bool(named_classifiers(network))


def named_classifiers(network: nn.Module) -> list[str]:
    """List the attributes of a network that could hold its classifier."""
    return [name for name in CLASSIFIERS if isinstance(getattr(network, name, None), nn.Module)]


def look_through(encoder: nn.Module) -> nn.Module:
    """Return the network inside wrappers: ``DataParallel``, a compiled module, a user's own.

    A wrapper holds one module and learns nothing itself. A sequence that ends with a network of
    torchvision or timm, behind a normalisation for example, is one too.
    """
    children = list(encoder.children())
    if is_timm(encoder) or named_classifiers(encoder) or not children:
        return encoder
    alone = len(children) == 1 and not list(encoder.parameters(recurse=False))
    if alone or (isinstance(encoder, nn.Sequential) and is_library_network(children[-1])):
        return look_through(children[-1])
    return encoder


def is_library_network(module: nn.Module) -> bool:
    """Say whether a module is a whole network of torchvision or timm."""
    ours = type(module).__module__.startswith("torchvision.models.")
    return is_timm(module) or (ours and bool(named_classifiers(module)))


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
    off. Wrappers are looked through. Doing it twice changes nothing more.

    Args:
        encoder: changed in place, not copied.

    Returns:
        The same module.

    Raises:
        ValueError: if several attributes could be the classifier, or it cannot be dropped.
    """
    network = look_through(encoder)
    if is_timm(network):
        # timm's own method, which torch's Module does not know
        network.reset_classifier(0)  # type: ignore[operator]
        return encoder
    if getattr(network, "aux_logits", False):  # GoogLeNet and Inception: tuples in training
        # torchvision's flag, which torch's Module does not know
        network.aux_logits = False  # type: ignore[assignment]
        for name in ("aux1", "aux2", "AuxLogits"):
            if hasattr(network, name):
                setattr(network, name, None)
    found = named_classifiers(network)
    if len(found) > 1:
        raise ValueError(
            f"{type(network).__name__} could have its classifier in {' or '.join(found)}; replace "
            "the right one by nn.Identity() and pass drop_classifier=False."
        )
    if found and isinstance(network, torch.jit.ScriptModule):
        raise ValueError(
            f"A scripted or traced module keeps its classifier ({found[0]}): replace it by "
            "nn.Identity() before torch.jit, or pass drop_classifier=False to use its logits."
        )
    for name in found:
        setattr(network, name, without_last_layer(getattr(network, name)))
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
