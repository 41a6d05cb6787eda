"""Stored images with wrong labels: hand-worked votes, planted errors, copies, missing labels."""

import math
from dataclasses import fields, replace

import pytest
import torch
from torch import nn

from whence.evidence import suspicious
from whence.evidence.held_out import answer_held_out
from whence.evidence.suspicious import find_suspicious
from whence.memory.bank import Bank
from whence.models.wrap import wrap
from whence.records.measures import Suspicion

CLASSES, WIDTH = 3, 4


def build(features, labels, *, hashes=None, variant="memory-wrap", seed=0, **options):
    """A model of random parameters with the features `(M, 4)` given as its bank."""
    torch.manual_seed(seed)
    encoder = nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten())
    model = wrap(
        encoder, CLASSES, variant=variant, image_shape=(1, 6, 5), drop_classifier=False, **options
    ).eval()
    total = len(features)
    model.attach(
        Bank(
            features=torch.as_tensor(features, dtype=torch.float32),
            indices=torch.arange(total) + 100,
            labels=torch.as_tensor(labels),
            predicted=torch.zeros(total, dtype=torch.int64),
            hashes=hashes or tuple(f"image {k}" for k in range(total)),
            sources=tuple(f"{k}.png" for k in range(total)),
        )
    )
    return model


def make_blobs(counts=(25, 31, 19), *, spread=0.05, seed=0):
    """Features `(M, 4)` around three directions, and the labels of the directions."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.repeat_interleave(torch.arange(CLASSES), torch.tensor(counts))
    labels = labels[torch.randperm(len(labels), generator=generator)]
    noise = spread * torch.randn(len(labels), WIDTH, generator=generator)
    return torch.eye(WIDTH)[labels] + noise, labels


def judge_slowly(model, k):
    """Look at one stored image with the others as a memory of their own: no mask, no batch."""
    bank = model.bank
    others = [j for j in range(len(bank)) if bank.hashes[j] != bank.hashes[k]]
    with torch.no_grad():
        read = model.head(bank.features[[k]], bank.features[others])
    labels = bank.labels[others]
    votes = [0.0] * CLASSES
    for j in others:
        if bank.labels[j] >= 0:
            a, b = bank.features[k].double(), bank.features[j].double()
            votes[bank.labels[j]] += math.exp(10 * float(a @ b / (a.norm() * b.norm())))
    label = int(bank.labels[k])
    return {
        "predicted": int(read.logits.argmax()),
        "probability": float(read.logits.softmax(1)[0, label]),
        "mass": float(read.weights[0, labels == label].sum()),
        "shares": [vote / sum(votes) for vote in votes],
    }


def regress(features, labels, groups, label):
    """What a regression on the others gives each image, as part of what is usual for a label."""
    known = [k for k in range(len(labels)) if labels[k] >= 0]
    shares = answer_held_out(features[known], labels[known], groups[known], CLASSES).shares
    usual = shares[labels[known] == label, label].mean()
    return {k: float(row[label] / usual) for k, row in zip(known, shares, strict=True)}


# one image ----------------------------------------------------------------------------------------


def test_votes_by_hand():
    """Cosines of 0 and 1 only, so that a vote is exp(0) or exp(10)."""
    first, second = [2.0, 0.0, 0.0, 0.0], [0.0, 3.0, 0.0, 0.0]
    model = build([first, first, first, second, second, second], [0, 0, 1, 1, 1, 1])
    found = find_suspicious(model, least=0.0)
    e = math.exp(10)
    # shares of label 1: the wrong one gets none of two near votes, the others two near and one far
    wrong, right = 3 / (2 * e + 3), (2 * e + 1) / (2 * e + 3)
    stored = model.bank
    regressed = regress(stored.features, stored.labels, torch.arange(6), 1)[2]
    score = 1 - math.sqrt(regressed * wrong / ((wrong + 3 * right) / 4))
    assert 0.01 < regressed < 0.9
    assert (found[0].index, found[0].label, found[0].resembles) == (102, 1, 0)
    assert found[0].score == pytest.approx(score, abs=1e-5)
    assert found[0].evidence_mass == 0  # its evidence are the two of label 0
    assert found[0].source == "2.png"
    # every image of label 0 has one near vote for it and one against it, like the other
    assert [(one.index, one.score) for one in found if one.label == 0] == [
        (100, pytest.approx(0, abs=1e-6)),
        (101, pytest.approx(0, abs=1e-6)),
    ]
    masses = {one.index: one.evidence_mass for one in found}
    # weights: 0.5 on each near image, 0 on the far ones (sparsemax of 1, 1, 0, 0, 0)
    assert masses == pytest.approx({100: 0.5, 101: 0.5, 102: 0, 103: 1, 104: 1, 105: 1}, abs=1e-5)
    assert [one.index for one in find_suspicious(model)] == [102]


@pytest.mark.parametrize("variant", ["memory-wrap", "only-memory"])
@pytest.mark.parametrize("similarity", ["cosine", "l2", "dot"])
def test_is_what_each_image_gives_alone(variant, similarity):
    features, labels = make_blobs((5, 7, 4), spread=0.6)
    labels[3], labels[8] = -1, 2
    hashes = tuple("same" if k in (2, 6, 11) else str(k) for k in range(16))
    model = build(features, labels, hashes=hashes, variant=variant, similarity=similarity)
    found = {one.index - 100: one for one in find_suspicious(model, least=0.0, batch_size=5)}
    assert sorted(found) == [k for k in range(16) if k != 3]
    slow = {k: judge_slowly(model, k) for k in found}
    usual = [
        sum(slow[k]["shares"][c] for k in slow if labels[k] == c) / int((labels == c).sum())
        for c in range(CLASSES)
    ]
    groups = torch.tensor([2 if k in (6, 11) else k for k in range(16)])
    regressed = [regress(features, labels, groups, c) for c in range(CLASSES)]
    for k, one in found.items():
        voted = [share / usual[c] for c, share in enumerate(slow[k]["shares"])]
        relative = [math.sqrt(vote * regressed[c][k]) for c, vote in enumerate(voted)]
        label = int(labels[k])
        assert one.label == label
        assert one.predicted == slow[k]["predicted"]
        assert one.probability == pytest.approx(slow[k]["probability"], abs=1e-5)
        assert one.evidence_mass == pytest.approx(slow[k]["mass"], abs=1e-5)
        assert one.score == pytest.approx(max(0.0, 1 - relative[label]), abs=1e-4)
        relative[label] = -1
        assert one.resembles == relative.index(max(relative))
    assert len({one.predicted for one in found.values()}) > 1  # the case is not degenerate
    assert 0 < sum(one.evidence_mass for one in found.values()) < len(found)


# the list -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [0, 1])
def test_finds_exactly_the_planted_errors(seed):
    features, truth = make_blobs(seed=seed)
    labels, wrong = truth.clone(), [4, 17, 40, 66]
    labels[wrong] = (truth[wrong] + torch.tensor([1, 2, 1, 2])) % CLASSES
    found = find_suspicious(build(features, labels))
    assert sorted(one.index - 100 for one in found) == wrong
    assert [one.resembles for one in found] == truth[[one.index - 100 for one in found]].tolist()
    assert [one.label for one in found] == labels[[one.index - 100 for one in found]].tolist()
    assert find_suspicious(build(features, truth)) == ()


def test_is_in_falling_order_and_least_cuts_it():
    features, labels = make_blobs(spread=0.7)
    model = build(features, labels)
    model.attach(replace(model.bank, indices=torch.arange(len(labels)).flip(0)))
    every = find_suspicious(model, least=0.0)
    assert len(every) == len(labels)
    assert [one.score for one in every] == sorted((one.score for one in every), reverse=True)
    assert every[0].score <= 1
    typical = [one.index for one in every if one.score == 0]
    assert len(typical) > 5
    assert typical == sorted(typical)
    cut = every[10].score
    assert cut > 0.5
    assert find_suspicious(model, least=cut) == every[:11]
    assert find_suspicious(model) == tuple(one for one in every if one.score >= 0.5)


def test_a_hard_class_is_measured_by_its_own_average():
    """Classes 1 and 2 lie on each other; their images are half right and none is suspicious."""
    features, labels = make_blobs((10, 10, 10))
    features[labels == 2] = features[labels == 1]
    votes = find_suspicious(build(features, labels), least=0.0)
    assert all(one.score < 0.1 for one in votes)
    assert find_suspicious(build(features, labels)) == ()


def test_a_copy_with_the_same_wrong_label_does_not_hide_it():
    features, labels = make_blobs((6, 9, 8))
    place = int((labels == 0).nonzero()[0])
    copies = [*range(len(labels)), *[place] * 9]
    features, labels = features[copies], labels[copies]
    wrong = {place, *range(23, 32)}
    labels[list(wrong)] = 2
    hashes = tuple("copy" if k in wrong else f"image {k}" for k in range(len(labels)))
    found = find_suspicious(build(features, labels, hashes=hashes))
    assert {one.index - 100 for one in found} == wrong
    assert {one.resembles for one in found} == {0}
    assert all(one.evidence_mass == 0 for one in found)
    hidden = find_suspicious(build(features, labels))  # as different images they agree
    assert not wrong & {one.index - 100 for one in hidden}


def test_images_without_a_label_neither_vote_nor_are_listed():
    features, labels = make_blobs((6, 9, 8))
    labels[5] = (labels[5] + 1) % CLASSES
    plain = find_suspicious(build(features, labels), least=0.0)
    more = torch.cat([features, torch.eye(WIDTH)[[0, 0, 1, 2]]])
    silent = torch.cat([labels, torch.full((4,), -1)])
    found = find_suspicious(build(more, silent), least=0.0)
    assert [(one.index, one.label, one.resembles) for one in found] == [
        (one.index, one.label, one.resembles) for one in plain
    ]
    for one, other in zip(found, plain, strict=True):
        assert one.score == pytest.approx(other.score, abs=1e-5)
    assert [one.evidence_mass for one in found] != [one.evidence_mass for one in plain]


@pytest.mark.parametrize(
    "labels, hashes, listed",
    [
        ([0, 1, 1, 2], "abcd", [1, 2]),  # the only image of its label
        ([0, 1, 1, 2], "abbd", []),  # or it and its copies
        ([0, 1, 1, 2], "aaaa", []),
        ([0, -1, 0, 2], "abad", []),
        ([2, -1, 0, 2], "abad", [0, 3]),
    ],
)
def test_what_nothing_can_be_compared_with_is_left_out(labels, hashes, listed):
    model = build(torch.eye(WIDTH), labels, hashes=tuple(hashes))
    found = find_suspicious(model, least=0.0)
    assert sorted(one.index - 100 for one in found) == listed
    assert all(math.isfinite(one.score) for one in found)
    assert find_suspicious(build(torch.eye(WIDTH)[:1], [1]), least=0.0) == ()


def test_where_there_is_one_label_an_image_still_resembles_another():
    found = find_suspicious(build(torch.eye(WIDTH), [0, 0, 0, 0]), least=0.0)
    assert [(one.label, one.resembles, one.score) for one in found] == [
        (0, 1, pytest.approx(0, abs=1e-6))
    ] * 4


@pytest.mark.parametrize("batch_size", [1, 7, 300])
def test_batches_do_not_matter(batch_size):
    features, labels = make_blobs(spread=0.5)
    labels[:6] = (labels[:6] + 1) % CLASSES
    model = build(features, labels)
    expected = find_suspicious(model, least=0.0)
    found = find_suspicious(model, least=0.0, batch_size=batch_size)
    exact = {"index", "label", "predicted", "resembles", "source"}
    for one, other in zip(found, expected, strict=True):
        for name in (field.name for field in fields(Suspicion)):
            value, wanted = getattr(one, name), getattr(other, name)
            assert value == (wanted if name in exact else pytest.approx(wanted, abs=1e-5))


def test_encodes_nothing_and_leaves_no_trace(monkeypatch):
    features, labels = make_blobs()
    model = build(features, labels)
    model.bank = replace(model.bank, sources=None)

    def never(*arguments):
        raise AssertionError

    monkeypatch.setattr(model.encoder, "forward", never)
    before = model.bank.features.clone()
    found = find_suspicious(model.train(), least=0.0)
    assert model.training
    assert model.encoder.training
    assert torch.equal(model.bank.features, before)
    assert all(one.source is None for one in found)
    assert all(parameter.grad is None for parameter in model.parameters())


# what is refused ----------------------------------------------------------------------------------


def test_refuses_what_it_cannot_check():
    features, labels = make_blobs()
    with pytest.raises(ValueError, match="A standard model stores no images whose labels"):
        find_suspicious(wrap("small_cnn", 2, variant="standard", image_shape=(1, 8, 8)))
    with pytest.raises(RuntimeError, match="The model has no memory yet"):
        find_suspicious(wrap("small_cnn", 2, variant="memory-wrap", image_shape=(1, 8, 8)))
    with pytest.raises(RuntimeError, match="have no labels that could be checked; give them"):
        find_suspicious(build(features, torch.full_like(labels, -1)))
    model = build(features, labels)
    for least in (-0.1, 1.5, math.nan):
        with pytest.raises(ValueError, match=rf"least must be in \[0, 1\], got {least}"):
            find_suspicious(model, least=least)
    with torch.no_grad():
        next(model.head.parameters()).add_(1)
    with pytest.raises(RuntimeError, match="parameters changed since the memory was encoded"):
        find_suspicious(model)


def test_votes_are_judged_by_features_that_saw_no_label():
    """Keys learnt the wrong labels by heart; the pixels that are kept are encoded once again."""
    features, truth = make_blobs((12, 12, 12))
    labels = truth.clone()
    labels[5] = (truth[5] + 1) % CLASSES
    pixels = torch.zeros(36, 1, 6, 6)  # means of its quarters are the features
    for k, (row, column) in enumerate([(0, 0), (0, 3), (3, 0), (3, 3)]):
        pixels[:, 0, row : row + 3, column : column + 3] = features[:, k, None, None] / 2 + 0.25
    model = wrap(
        nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten()),
        CLASSES,
        variant="votes",
        image_shape=(1, 6, 6),
        drop_classifier=False,
    ).eval()
    model.remember(pixels, labels)
    keys = torch.nn.functional.one_hot(labels, model.head.width).float()
    model.attach(replace(model.bank, features=keys))
    assert [one.index for one in find_suspicious(model)] == [5]
    model.attach(replace(model.bank, images=None))
    assert find_suspicious(model) == ()


def test_a_large_memory_is_judged_in_parts(monkeypatch):
    features, labels = make_blobs((30, 30, 30), spread=0.2)
    labels[11] = -1
    sizes, ridges = [], []

    def answer(features, labels, groups, classes, *, ridges_seen=ridges, **options):
        sizes.append(len(labels))
        ridges_seen.append(options["ridges"])
        return answer_held_out(features, labels, groups, classes, **options)

    monkeypatch.setattr(suspicious, "PART", 25)
    monkeypatch.setattr(suspicious, "answer_held_out", answer)
    found = find_suspicious(build(features, labels), least=0.0)
    assert sizes == [23, 22, 22, 22]
    assert len(found) == 89
    assert len(ridges[0]) > 1
    assert [len(tried) for tried in ridges[1:]] == [1, 1, 1]
