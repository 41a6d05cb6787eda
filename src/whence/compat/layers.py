"""The authors' two layers by their own names, called as in their library.

La Rosa et al. (2021), arXiv:2106.01440; library memorywrap 1.1.7 and the older 1.0.6.
"""

from collections import OrderedDict
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from whence.memory import SIMILARITIES
from whence.memory.attention import recall, score, weigh
from whence.messages import quote


class AuthorsLayer(nn.Module):
    """Read a memory, then classify what was read: what the authors' two layers share.

    Args:
        encoder_output_dim: D; version 1.0.6 documents it as ``encoder_dim``.
        output_dim: K.
        classifier: maps what the layer classifies, `(B, D)` or `(B, 2D)`, to `(B, K)`; None is the
            paper's perceptron. An activation such as ``nn.ReLU()`` in this place is taken for the
            third argument of version 1.0.6.
        distance: "cosine", "l2" (squared) or "dot".
        mlp_activation: of the perceptron, version 1.0.6; None is ReLU.
        encoder_dim: the older name of ``encoder_output_dim``.

    Raises:
        ValueError: if the distance is unknown, or arguments contradict each other.
    """

    joined: ClassVar[bool]
    """The encoding is classified together with what was read."""

    def __init__(
        self,
        encoder_output_dim: int | None = None,
        output_dim: int | None = None,
        classifier: nn.Module | None = None,
        distance: str = "cosine",
        *,
        mlp_activation: nn.Module | None = None,
        encoder_dim: int | None = None,
    ) -> None:
        super().__init__()
        width = one_of(encoder_output_dim, encoder_dim) * (2 if self.joined else 1)
        self.distance_name = check_distance(distance)
        self.classifier = last_layers(width, output_dim, classifier, mlp_activation)
        # torch leaves it without types
        self.register_load_state_dict_pre_hook(rename_old_keys)  # type: ignore[no-untyped-call]

    def forward(
        self, input_encoding: Tensor, memory_encoding: Tensor, return_weights: bool = False
    ) -> Tensor | tuple[Tensor, Tensor]:
        """Classify `(B, D)` encodings with a memory `(M, D)`.

        Returns:
            Logits `(B, K)`, or with ``return_weights`` a pair with the weights `(B, M)`, which are
            float32 at least.
        """
        weights = weigh(score(input_encoding, memory_encoding, similarity=self.distance_name))
        vector = recall(weights, memory_encoding).to(input_encoding.dtype)  # (B, D)
        classified = torch.cat([input_encoding, vector], dim=1) if self.joined else vector
        logits: Tensor = self.classifier(classified)
        return (logits, weights) if return_weights else logits


class MemoryWrapLayer(AuthorsLayer):
    """Classify encodings joined with what they read in the memory, `(B, 2D)`.

    Arguments as for ``AuthorsLayer``.
    """

    joined = True


class BaselineMemory(AuthorsLayer):
    """Classify what encodings read in the memory alone, `(B, D)`.

    Arguments as for ``AuthorsLayer``.
    """

    joined = False


def one_of(encoder_output_dim: int | None, encoder_dim: int | None) -> int:
    """Return D from whichever of its two names was used."""
    given = [number for number in (encoder_output_dim, encoder_dim) if number is not None]
    if len(given) != 1:
        raise ValueError(
            f"encoder_output_dim (or encoder_dim) must be given once, got {len(given)} numbers."
        )
    return given[0]


def check_distance(distance: str) -> str:
    """Return the distance if it is a known one."""
    if distance not in SIMILARITIES:
        raise ValueError(
            f"Unknown distance {quote(distance)}. Choose from: {', '.join(SIMILARITIES)}."
        )
    return distance


def last_layers(
    width: int,
    classes: int | None,
    classifier: nn.Module | None,
    activation: nn.Module | None,
) -> nn.Module:
    """Return the classifier given, or build the perceptron ``width -> 2 width -> classes``."""
    if type(classifier).__module__ == "torch.nn.modules.activation":
        classifier, activation = None, one_activation(classifier, activation)
    if classifier is not None:
        if activation is not None:
            raise ValueError("mlp_activation must be left out when a classifier is given.")
        return classifier
    if classes is None:
        raise ValueError("output_dim must be the number of classes, got None.")
    return nn.Sequential(
        OrderedDict[str, nn.Module](
            fc1=nn.Linear(width, 2 * width),
            activation=nn.ReLU() if activation is None else activation,
            fc2=nn.Linear(2 * width, classes),
        )
    )


def one_activation(third: nn.Module | None, named: nn.Module | None) -> nn.Module | None:
    """Return the activation that came as the third argument, unless it came by name as well."""
    if named is not None:
        raise ValueError("mlp_activation must be given once, got it twice.")
    return third


def rename_old_keys(_module: nn.Module, state: dict[str, Any], prefix: str, *_rest: object) -> None:
    """Read the key layout ``fc.fc1`` of the library before 2022 as ``classifier.fc1``."""
    old = f"{prefix}fc."
    for key in [key for key in state if key.startswith(old)]:
        state[f"{prefix}classifier.{key.removeprefix(old)}"] = state.pop(key)
