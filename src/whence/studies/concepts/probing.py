"""Linear probes: how often a linear layer on what a layer gives is wrong."""

from collections.abc import Mapping

from torch import Tensor

from whence.training.labelled import Labelled
from whence.training.probe import fit_probe


def measure_probes(
    known: Mapping[str, Tensor],
    labels: Tensor,
    asked: Mapping[str, Tensor],
    asked_labels: Tensor,
    classes: int,
    seed: int,
) -> dict[str, float]:
    """Fit a probe to each layer, and count its mistakes on other images.

    Alain and Bengio (2016), arXiv:1610.01644, section 3.

    Args:
        known: by layer, features `(N, ...)` of the images that probes are fitted to.
        labels: `(N,)`.
        asked: by layer, features `(V, ...)` of others.
        asked_labels: `(V,)`.
        classes: K.
        seed: of the images that the penalty of a probe is chosen on.

    Returns:
        By layer, the share of wrong answers.
    """
    errors = {}
    for name, features in known.items():
        probe = fit_probe(Labelled(features.flatten(1), labels), None, classes, seed=seed)
        answers = probe.log_probabilities(asked[name].flatten(1)).argmax(1)
        errors[name] = float((answers != asked_labels).float().mean())
    return errors
