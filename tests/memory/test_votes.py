"""Votes: answers by hand, the slow way, in training and out of it."""

import math

import pytest
import torch
from torch.testing import assert_close

from whence.memory import votes
from whence.memory.attend import SMALL, attend
from whence.memory.keys import KEY
from whence.memory.sparsemax import sparsemax
from whence.memory.votes import FLOOR, Votes

LABELS = torch.tensor([0, 1, 1])


def make(features=2, classes=2, **options):
    torch.manual_seed(0)
    return Votes(features, classes, **options).double().eval()


@pytest.fixture
def plain():
    """A head whose keys are the features themselves."""
    head = make(classifier="linear")
    head.keys.weight.data = torch.eye(KEY, 2, dtype=torch.float64)
    return head


@pytest.mark.parametrize(
    ("sharpness", "weights"),
    [(2.0, [1, 0, 0]), (0.5, [0.75, 0.25, 0]), (0.1, [13 / 30, 1 / 3, 7 / 30])],
)
def test_the_probability_of_a_label_is_the_weight_on_it(plain, sharpness, weights):
    plain.sharpness.fill_(sharpness)
    memory = plain.embed(torch.tensor([[3.0, 0.0], [0.0, 0.1], [-7.0, 0.0]]).double())
    read = plain(plain.embed(torch.tensor([[5.0, 0.0]]).double()), memory, labels=LABELS)
    wanted = torch.tensor([weights]).double()
    assert_close(read.weights, wanted, atol=1e-4, rtol=0)  # 1e-6 is added to squared lengths
    assert_close(
        plain.unscale(read.scores), torch.tensor([[1.0, 0, -1]]).double(), atol=1e-4, rtol=0
    )
    shares = torch.tensor([[weights[0], weights[1] + weights[2]]])
    found = plain.probabilities(read.logits)
    assert_close(found, shares.float(), atol=1e-4, rtol=0)
    assert found.dtype == torch.float32
    floor = torch.log(shares * (1 - FLOOR) + FLOOR / 2)
    assert_close(read.logits.float(), floor.float(), atol=1e-4, rtol=0)


@pytest.mark.parametrize("classifier", ["mlp", "linear"])
@pytest.mark.parametrize("total", [7, SMALL + 90])
def test_against_sums_image_by_image(rng, classifier, total):
    head = make(6, 4, classifier=classifier)
    head.fit_features(torch.randn(50, 6, generator=rng) * 3 + 1)
    head.sharpness.fill_(17)
    labels = torch.randint(0, 4, (total,), generator=rng)
    features = (torch.randn(n, 6, generator=rng).double() for n in (9, total))
    queries, memory = map(head.embed, features)
    mask = torch.rand(9, total, generator=rng) < 0.7
    weights = sparsemax((queries @ memory.T).masked_fill(~mask, -math.inf))
    expected = torch.zeros(9, 4).double()
    for row in range(9):
        for place in range(total):
            expected[row, labels[place]] += weights[row, place]
    logits = head.logits(queries, memory, mask, labels=labels)
    assert_close(head.probabilities(logits), expected.float(), atol=1e-6, rtol=0)
    assert_close(logits, head(queries, memory, mask, labels=labels).logits)
    assert_close((queries**2).sum(1), torch.full((9,), 17.0).double(), atol=1e-2, rtol=0)


def test_in_training_every_stored_image_that_may_vote_does(rng):
    head = make(6, 3).train()
    labels = torch.tensor([0, 2, 2, 1])
    queries, memory = (head.embed(torch.randn(n, 6, generator=rng).double()) for n in (2, 4))
    mask = torch.tensor([[True, True, False, True], [True, False, True, True]])
    logits = head.logits(queries, memory, mask, labels=labels)
    for row in range(2):
        usable = [place for place in range(4) if mask[row, place]]
        shares = [math.exp(float((queries[row] @ memory[place]).detach())) for place in usable]
        for label in range(3):
            mine = sum(s for s, place in zip(shares, usable, strict=True) if labels[place] == label)
            p = mine / sum(shares)
            assert float(logits[row, label].detach()) == pytest.approx(
                math.log(0.95 * p + 0.05 / 3)
            )
    logits.sum().backward()
    assert float(head.log_scale.grad.abs()) > 0
    assert all(bool(p.grad.abs().sum() > 0) for p in head.keys.parameters() if p.ndim > 1)


def test_probabilities_are_exactly_0_and_1_where_the_weights_are():
    head = make(2, 3)
    shares = torch.tensor([[1.0, 0, 0], [0.25, 0.75, 0]])
    assert head.probabilities(head.respond(shares, shares)).tolist() == shares.tolist()


def test_features_are_centred_less_unlike_and_of_one_length(rng):
    head = make(3)
    features = torch.randn(20, 3, generator=rng).double() * torch.tensor([4, 1, 0.25]) + 2
    head.fit_features(features)
    even = (features - features.mean(0)) / features.std(0, correction=0) ** 0.5
    wanted = even / even.norm(dim=1, keepdim=True) * 3**0.5
    assert_close(head.level(features), wanted, atol=1e-5, rtol=1e-5)
    assert head.level(features[:1] * 0 + features.mean(0)).abs().max() < 1e-9  # no direction


def test_features_that_hardly_vary_are_not_made_loud():
    head = make(3)
    head.fit_features(torch.tensor([[-1.0, 5, -1e-6], [1, 5, 1e-6]]))
    assert head.spread.tolist() == pytest.approx([1, (1 / 300) ** 0.5, (1 / 300) ** 0.5])
    head.fit_features(torch.ones(4, 3))
    assert head.spread.tolist() == [1, 1, 1]  # nothing varies


def test_values_are_read_as_one_by_one(rng):
    queries, memory = torch.randn(5, 4, generator=rng), torch.randn(2000, 4, generator=rng)
    values = torch.randn(2000, 3, generator=rng).requires_grad_()
    leaves = [one.requires_grad_() for one in (queries, memory)]
    found = attend(queries, memory, values=values, similarity="dot").vectors
    expected = sparsemax(queries @ memory.T) @ values
    assert_close(found, expected)
    pull = torch.randn(5, 3, generator=rng)
    slopes = [torch.autograd.grad((one * pull).sum(), leaves) for one in (found, expected)]
    for one, other in zip(*slopes, strict=True):
        assert_close(one, other, atol=1e-5, rtol=1e-4)


def test_what_is_refused():
    head = make()
    keys = head.embed(torch.ones(2, 2).double())
    with pytest.raises(ValueError, match="Votes need the label of every stored image, got none"):
        head(keys, keys)
    with pytest.raises(ValueError, match="Votes compare images by similarity cosine, got 'l2'"):
        Votes(2, 2, similarity="l2")
    with pytest.raises(ValueError, match=r"Unknown classifier 'deep'. Choose from: mlp, linear"):
        votes.build_keys(2, "deep")
    with pytest.raises(ValueError, match=r"values must be \(M, V\) with M=2, got shape \(3, 2\)"):
        attend(keys, keys, values=torch.ones(3, 2))


@pytest.mark.parametrize("classifier", ["mlp", "linear"])
def test_keys_can_be_the_features_themselves(rng, classifier):
    head = make(6, 4, classifier=classifier)
    head.fit_features(torch.randn(50, 6, generator=rng) * 3 + 1)
    features = torch.randn(9, 6, generator=rng).double() + 2
    head.compare_plainly(features)
    keys = head.embed(features)
    centred = features - features.mean(0)
    cosines = torch.nn.functional.cosine_similarity(centred[:, None], centred, dim=2)
    assert_close(keys @ keys.T / head.sharpness, cosines, atol=1e-4, rtol=1e-4)


def test_of_wide_features_keys_hold_the_directions_that_vary_most(rng):
    many = KEY + 40
    large, _ = torch.linalg.qr(torch.randn(many, many, generator=rng).double())
    features = torch.randn(300, KEY, generator=rng).double() @ large[:KEY]
    features -= features.mean(0)
    noise = 1e-5 * torch.randn(300, many - KEY, generator=rng).double() @ large[KEY:]
    head = make(many, 4)
    head.compare_plainly(features + noise)
    assert head.keys.plain.weight.shape == (KEY, many)
    keys = head.embed(features)
    cosines = torch.nn.functional.cosine_similarity(features[:, None], features, dim=2)
    assert_close(keys @ keys.T / head.sharpness, cosines, atol=1e-3, rtol=1e-3)
    noisy = head.embed(noise + 3 * features)
    assert_close(noisy, keys, atol=1e-3, rtol=1e-3)


def test_what_is_learned_of_features_has_no_gradient(rng):
    head = Votes(6, 3)
    features = torch.randn(9, 6, generator=rng).requires_grad_()
    for learn in (head.fit_features, head.compare_plainly):
        learn(features)
        assert not head.mean.requires_grad
        assert not head.spread.requires_grad
