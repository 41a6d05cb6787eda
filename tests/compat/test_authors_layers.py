"""The authors' layers against their library."""

import copy
from itertools import pairwise

import memorywrap
import pytest
import torch
from torch import nn
from torch.testing import assert_close

from whence.compat import BaselineMemory, MemoryWrapLayer

LAYERS = {"MemoryWrapLayer": MemoryWrapLayer, "BaselineMemory": BaselineMemory}
SIZES = [(2, 5, 3, 4), (7, 1, 6, 2), (1, 40, 9, 10)]  # B, M, D, K


def pair(name, features, classes, distance):
    """Their layer and ours with the same parameters, in float64."""
    theirs = getattr(memorywrap, name)(features, classes, distance=distance).double()
    ours = LAYERS[name](features, classes, distance=distance).double()
    ours.load_state_dict(theirs.state_dict())
    return theirs, ours


def encodings(sizes, rng, dtype=torch.float64):
    batch, memory, features, _ = sizes
    return [
        torch.randn(n, features, generator=rng, dtype=dtype).requires_grad_()
        for n in (batch, memory)
    ]


@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("distance", ["cosine", "l2", "dot"])
@pytest.mark.parametrize("name", LAYERS)
def test_same_as_the_library(name, distance, sizes, rng):
    theirs, ours = pair(name, sizes[2], sizes[3], distance)
    queries, memory = encodings(sizes, rng)
    direction = torch.randn(sizes[0], sizes[3], generator=rng, dtype=torch.float64)
    answers = []
    for layer in (theirs, ours):
        logits, weights = layer(queries, memory, return_weights=True)
        loss = (logits * direction).sum() + weights.square().sum()
        gradients = torch.autograd.grad(loss, [queries, memory, *layer.parameters()])
        assert_close(layer(queries, memory), logits, rtol=0, atol=0)
        answers.append((logits, weights, *gradients))
    assert_close(answers[1], answers[0])
    assert answers[1][1].shape == (sizes[0], sizes[1])


def test_the_distances_differ(rng):
    sizes = (3, 8, 5, 2)
    queries, memory = encodings(sizes, rng)
    found = [
        pair("MemoryWrapLayer", 5, 2, distance)[1](queries, memory, True)[1]
        for distance in ("cosine", "l2", "dot")
    ]
    assert not any(torch.allclose(a, b) for a, b in pairwise(found))


@pytest.mark.parametrize("name", LAYERS)
def test_same_start_and_same_keys(name):
    torch.manual_seed(3)
    theirs = getattr(memorywrap, name)(6, 4).state_dict()
    torch.manual_seed(3)
    ours = LAYERS[name](6, 4).state_dict()
    assert list(ours) == list(theirs)
    assert_close(dict(ours), dict(theirs), rtol=0, atol=0)
    getattr(memorywrap, name)(6, 4).load_state_dict(ours)


@pytest.mark.parametrize("name", LAYERS)
def test_old_keys_load(name, rng):
    layer = LAYERS[name](6, 4)
    old = {f"mw.fc.{k.removeprefix('classifier.')}": t for k, t in layer.state_dict().items()}
    kept = dict(old)
    model = copy.deepcopy(nn.ModuleDict({"mw": LAYERS[name](6, 4)}))
    model.load_state_dict(old)
    assert old == kept, "the caller's dict is not changed"
    queries, memory = encodings((2, 5, 6, 4), rng, torch.float32)
    assert_close(model["mw"](queries, memory), layer(queries, memory), rtol=0, atol=0)
    old["mw.fc.fc3.weight"] = torch.zeros(1)
    with pytest.raises(RuntimeError, match=r"mw.classifier.fc3.weight"):
        model.load_state_dict(old)


@pytest.mark.parametrize("name", LAYERS)
def test_old_signature(name, rng):
    queries, memory = encodings((2, 5, 6, 4), rng, torch.float32)
    made = []
    for arguments, options in [
        ((6, 4), {"mlp_activation": nn.Tanh()}),
        ((6, 4, nn.Tanh()), {}),
        ((), {"encoder_dim": 6, "output_dim": 4, "mlp_activation": nn.Tanh()}),
    ]:
        torch.manual_seed(0)
        made.append(LAYERS[name](*arguments, **options)(queries, memory))
    torch.manual_seed(0)
    plain = LAYERS[name](6, 4)
    assert_close(made[0], made[1], rtol=0, atol=0)
    assert_close(made[0], made[2], rtol=0, atol=0)
    assert not torch.allclose(plain(queries, memory), made[0])
    hidden = torch.tanh(plain.classifier.fc1(joined(name, plain, queries, memory)))
    assert_close(made[0], plain.classifier.fc2(hidden))


def joined(name, layer, queries, memory):
    vector = layer(queries, memory, True)[1] @ memory
    return torch.cat([queries, vector], 1) if name == "MemoryWrapLayer" else vector


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("make", [nn.Identity, nn.Sequential, lambda: nn.LazyLinear(3)])
def test_a_classifier_of_the_users_own(name, make, rng):
    classifier = make()
    layer = LAYERS[name](6, 4, classifier)
    assert layer.classifier is classifier
    queries, memory = encodings((2, 5, 6, 4), rng, torch.float32)
    assert_close(layer(queries, memory), classifier(joined(name, layer, queries, memory)))


@pytest.mark.parametrize("name", LAYERS)
def test_half_precision_reads_as_float32(name, rng):
    torch.manual_seed(0)
    layer = LAYERS[name](16, 4)
    queries, memory = (e.detach().bfloat16() for e in encodings((3, 30, 16, 4), rng))
    expected = layer(queries.float(), memory.float(), return_weights=True)[1]
    logits, weights = layer.bfloat16()(queries, memory, return_weights=True)
    assert logits.dtype == torch.bfloat16
    assert_close(weights, expected, rtol=0, atol=0)
    with torch.autocast("cpu", torch.bfloat16):
        found = LAYERS[name](16, 4)(queries.float(), memory.float(), return_weights=True)[1]
    assert_close(found, expected, rtol=0, atol=0)


@pytest.mark.parametrize(
    "arguments, options, message",
    [
        ((6, 4, None, "l1"), {}, r"Unknown distance 'l1'. Choose from: cosine, l2, dot"),
        ((6, 4), {"encoder_dim": 6}, r"must be given once, got 2 numbers"),
        ((), {"output_dim": 4}, r"must be given once, got 0 numbers"),
        ((6,), {}, "output_dim must be the number of classes, got None"),
        ((6, 4, nn.ReLU()), {"mlp_activation": nn.ReLU()}, "must be given once, got it twice"),
        ((6, 4, nn.Linear(12, 4)), {"mlp_activation": nn.ReLU()}, "must be left out when a class"),
    ],
)
@pytest.mark.parametrize("name", LAYERS)
def test_arguments_that_make_no_sense(name, arguments, options, message):
    with pytest.raises(ValueError, match=message):
        LAYERS[name](*arguments, **options)
