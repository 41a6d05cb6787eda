"""Which depths of a frozen network give the features: its training images choose."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from whence.data.stratify import stratified
from whence.encoders import OUTPUT
from whence.encoders.at_layers import AtLayers, count_by_layer
from whence.models.classifier import Classifier
from whence.seeds import make_generator

ASKED = 1000
"""Images that choose, at most: a combination takes a fifth of a second of one CPU core."""

SHARES = (0.01, 0.1, 1.0, 10.0)
"""Penalties of the ridge regression, in times the number of features."""


@dataclass(frozen=True)
class ChosenLayers:
    """Which layers give the features, and how good these are beside the encoder's output.

    Attributes:
        layers: their names, "output" the encoder's own.
        left_out: share of training images that a ridge regression on all others answers right.
        output_left_out: the same by the output alone.
    """

    layers: tuple[str, ...]
    left_out: float
    output_left_out: float

    def describe(self) -> str:
        """Say what was chosen, and why."""
        return (
            f"Features are {', '.join(self.layers)}: with each training image left out in turn "
            f"{self.left_out:.2%} are answered right, by the encoder's output alone "
            f"{self.output_left_out:.2%}."
        )


def choose_layers(features: Mapping[str, Tensor], labels: Tensor, seed: int) -> ChosenLayers:
    """Choose the depth or combination of which most images are right, each left out in turn.

    Of equally good ones the output, else the one of fewest numbers.

    Args:
        features: `(N, D)` of each depth, the output last.
        labels: `(N,)` of the images.
        seed: of the images that are asked where there are very many.
    """
    shares = dict(leave_out_by_layers(features, labels, seed, most=ASKED))
    widths = {layers: sum(features[name].shape[1] for name in layers) for layers in shares}
    widths[OUTPUT,] = 0
    best = max(shares, key=lambda layers: (shares[layers], -widths[layers]))
    return ChosenLayers(best, shares[best], shares[OUTPUT,])


def place_columns(model: Classifier) -> dict[str, Tensor]:
    """Say in which columns of a model's features of all depths each depth is, the output last."""
    assert isinstance(model.encoder, AtLayers), "a model with the features of all depths has layers"
    widths = count_by_layer(model.encoder, model.image_shape)
    columns = torch.arange(model.features).split([*widths.values()])
    return dict(zip(widths, columns, strict=True))


def gather_columns(columns: Mapping[str, Tensor], layers: Sequence[str]) -> Tensor:
    """Say in which columns some layers are, `(d,)`."""
    return torch.cat([columns[name] for name in layers])


def leave_out_by_layers(
    features: Mapping[str, Tensor], labels: Tensor, seed: int, *, most: int
) -> Iterator[tuple[tuple[str, ...], float]]:
    """Say of each depth and combination how many images it answers right, each left out in turn.

    Args:
        features: `(N, D)` of each depth.
        labels: `(N,)` of the images.
        seed: of the images that are drawn, class by class, where there are too many.
        most: images that are left out in turn, at most.
    """
    asked = torch.arange(len(labels))
    if len(labels) > most:
        asked = stratified(labels, most, generator=make_generator(seed))
    products = {name: multiply(one[asked]) for name, one in features.items()}
    for layers in list_combinations(list(features)):
        width = sum(features[name].shape[1] for name in layers)
        together = torch.stack([products[name] for name in layers]).sum(0)
        yield layers, leave_each_out(together, width, labels[asked])


def list_combinations(names: Sequence[str]) -> list[tuple[str, ...]]:
    """List each layer alone, and the last one with 1, 2, ... of those before it.

    >>> list_combinations(["a", "b", "output"])
    [('a',), ('b',), ('output',), ('b', 'output'), ('a', 'b', 'output')]
    """
    together = [tuple(names[first:]) for first in range(len(names) - 2, -1, -1)]
    return [*((name,) for name in names), *together]


def multiply(features: Tensor) -> Tensor:
    """Multiply standardised features `(N, D)` of each two images, `(N, N)`.

    The products of several layers add up to those of all their features.
    """
    features = features.double()
    deviation = features.std(0, correction=0)
    standard = (features - features.mean(0)) / torch.where(deviation > 0, deviation, 1)
    return standard @ standard.T


def leave_each_out(products: Tensor, width: int, labels: Tensor) -> float:
    """Answer every image by a ridge regression on all others; the share of right ones.

    Without fitting anew for each: what an image is answered without itself follows from the
    regression on all (Allen 1974), here in its dual form with an intercept. The penalty is the one
    of the smallest error.

    Args:
        products: `(N, N)` of the images' standardised features.
        width: how many features these are.
        labels: `(N,)` of the images.
    """
    values, vectors = torch.linalg.eigh(products)  # (N,), (N, N)
    wanted = F.one_hot(labels).double()  # (N, K)
    turned, ones = vectors.T @ wanted, vectors.sum(0)  # (N, K), (N,)
    found = []
    for share in SHARES:
        inverse = 1 / (values.clamp_min(0) + share * width)  # (N,) in the turned axes
        sums = vectors @ (inverse * ones)  # (N,)
        intercept = sums / sums.sum()
        solved = vectors @ (inverse[:, None] * turned)  # (N, K)
        solved -= intercept[:, None] * (sums @ wanted)
        diagonal = vectors.square() @ inverse - intercept * sums
        off = solved / diagonal[:, None]  # (N, K) wanted less answered
        right = float(((wanted - off).argmax(1) == labels).double().mean())
        found.append((float(off.square().mean()), right))
    return min(found)[1]
