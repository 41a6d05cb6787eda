"""Layer-wise relevance propagation: what goes in comes out, and is gradient times input."""

import pytest
import torch
from torch.testing import assert_close

import whence
from tests.helpers.layerwise import (
    Busy,
    multiply_by_slopes,
    randomise,
    remember,
    take_biases_away,
    unexplained,
)

RECTIFIED = ["small_cnn", "shufflenet_v2", "densenet", "thesis_mnist", "thesis_cifar10"]
"""Encoders of rectifiers only, without the large ones; ``benchmarks.ledger`` looks at all."""

VARIANTS = ["standard", "memory-wrap", "only-memory", "votes"]


@pytest.mark.parametrize("name", RECTIFIED)
def test_without_biases_relevance_is_gradient_times_input_though_the_encoder_is_called_twice(name):
    model, images, stored, labels = remember(name, "memory-wrap", (8, 9))
    take_biases_away(model).remember(stored, labels)
    found = whence.attribute(model, images, "lrp", epsilon=0.0)
    expected, of_evidence = multiply_by_slopes(model, images)
    assert float(expected.abs().max()) > 0
    for one, other in ((found.images, expected), (torch.cat(found.evidence), of_evidence)):
        assert_close(one, other, rtol=0, atol=1e-12 * float(other.abs().max()))
    assert_close(found.ledger["biases"], torch.zeros(2).double(), rtol=0, atol=1e-12)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("weights", [None, "explained"])
def test_nothing_is_lost_on_the_way_through_a_busy_network(rng, variant, weights):
    torch.manual_seed(3)
    model, images, stored, labels = remember(randomise(Busy(), rng), variant, (6, 8), mean=0.4)
    options = {}
    if model.has_memory:
        model.remember(stored, labels)
        options = {"weights": weights}
    options["epsilon"] = 0.01
    found = whence.attribute(model, images, "lrp", **options)
    assert unexplained(found) < 1e-12
    assert float(found.ledger["biases"].abs().min()) > 1e-3
    parts = [whence.attribute(model, images[[row]], "lrp", **options) for row in (0, 1)]
    for name, amounts in found.ledger.items():  # each amount is of its own image
        assert_close(amounts, torch.cat([one.ledger[name] for one in parts]), rtol=0, atol=1e-9)


@pytest.mark.parametrize("name", ["small_cnn", "thesis_fashion_mnist"])
def test_with_biases_spread_no_more_is_missing_than_the_digits_of_the_numbers(name):
    model, images, stored, labels = remember(name, "memory-wrap", (8, 9))
    model.remember(stored, labels)
    found = whence.attribute(model, images, "lrp", spread_biases=True)
    numbers = found.images.abs().sum((1, 2, 3))
    numbers = numbers + torch.stack([one.abs().sum() for one in found.evidence])
    assert float((numbers / found.score.abs()).min()) > 100  # they take each other away
    assert float(found.ledger["stabiliser"].abs().min()) > 1e-12 * float(numbers.max())
    assert float((found.ledger["unexplained"].abs() / numbers).max()) < 1e-15


def test_votes_are_explained_by_the_weight_of_the_class():
    model, images, stored, labels = remember("small_cnn", "votes", (8, 9))
    model.remember(stored, labels)
    found = whence.attribute(model, images, "lrp", "1", score="logit")
    read = model.read(images)
    assert_close(found.score, read.weights[:, 1], rtol=0, atol=1e-12)
    assert found.target == ("weight of 1", "weight of 1")
    assert float(found.images.abs().max()) > 0
    with pytest.raises(ValueError, match=r"weights must be explained for votes, whose answer they"):
        whence.attribute(model, images, "lrp", weights="constant")


def test_with_explained_weights_an_image_of_only_memory_has_a_part_in_the_score():
    model, images, stored, _ = remember("small_cnn", "only-memory", (8, 9))
    model.remember(stored)
    constant = whence.attribute(model, images, "lrp")
    assert float(constant.images.abs().max()) == 0
    explained = whence.attribute(model, images, "lrp", weights="explained")
    assert float(explained.images.abs().max()) > 0


def test_what_does_not_fit_is_refused():
    model, images, stored, _ = remember("small_cnn", "memory-wrap", (8, 9))
    model.remember(stored)
    with pytest.raises(ValueError, match=r"Unknown weights 'some'. Choose from: constant, expl"):
        whence.attribute(model, images, "lrp", weights="some")
    with pytest.raises(ValueError, match=r"Unknown rule 'gama'. Choose from: epsilon, alpha_beta"):
        whence.attribute(model, images, "lrp", rule="gama")
    with pytest.raises(ValueError, match=r"Unknown composite 'x'. Choose from: epsilon_plus, eps"):
        whence.attribute(model, images, "lrp", composite="x")
    with pytest.raises(ValueError, match=r"rule must be left out where there is a composite"):
        whence.attribute(model, images, "lrp", rule="flat", composite="epsilon_plus")
    plain, images, *_ = remember("small_cnn", "standard", (8, 9))
    with pytest.raises(ValueError, match=r"weights must be left out for a model that reads no mem"):
        whence.attribute(plain, images, "lrp", weights="explained")


class Padded(torch.nn.Module):
    """Pads by a layer of its own, as networks of TensorFlow do."""

    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Conv2d(1, 2, 2, bias=False)

    def forward(self, images):
        padded = torch.nn.functional.pad(images, (0, 1, 0, 1), value=0.5)
        return self.layer(padded).flatten(1).relu().sum(1, keepdim=True)


@pytest.mark.parametrize("rule", ["flat", "w_squared", "epsilon", "gamma"])
def test_what_falls_on_padding_is_a_constant(rng, rule):
    torch.manual_seed(0)
    images = torch.rand(2, 1, 3, 3, generator=rng, dtype=torch.float64)
    found = whence.attribute(Padded().double().eval(), images, "lrp", 0, rule=rule)
    assert unexplained(found) < 1e-12
    assert float(found.ledger["biases"].abs().min()) > 1e-3
