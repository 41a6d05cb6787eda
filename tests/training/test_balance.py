"""Classes of unequal size count alike: in the loss, in the batches, or in the memories."""

import math
from collections import Counter

import pytest
import torch
from torch.testing import assert_close

import whence
from tests.helpers.deciding import make
from tests.helpers.explaining import draw_images
from whence.cli import main
from whence.data.balanced_draw import weigh_classes
from whence.records.images import ImageSet
from whence.training.plan import BALANCES, Plan
from whence.training.recipes import Recipe
from whence.training.step import BatchDraws, Criterion, choose_criterion

LABELS = torch.tensor([0] * 30 + [1] * 6 + [2] * 4)
RECIPE = Recipe(batch_size=12, learning_rate=0.05)


def draws(balance, *, seed=0, memory_size=9):
    features = torch.arange(40.0)[:, None]
    return BatchDraws(
        lambda places: features[places],
        LABELS,
        memory_size,
        False,
        torch.Generator().manual_seed(seed),
        balance,
    )


def train_set():
    return ImageSet(draw_images(40, seed=3), LABELS, ("ant", "bee", "cow"))


def test_an_image_of_a_rare_class_counts_more_in_the_loss(rng):
    logits, labels = torch.randn(8, 3, generator=rng), LABELS[[0, 1, 2, 30, 31, 36, 37, 38]]
    plan = Plan(1, balance="loss")
    loss, right = choose_criterion(RECIPE, plan, LABELS, 3).judge(logits, labels)
    counts, total = {0: 30, 1: 6, 2: 4}, 0.0
    for row, label in zip(logits.tolist(), labels.tolist(), strict=True):
        nll = math.log(sum(math.exp(x) for x in row)) - row[label]
        total += 40 / (3 * counts[label]) * nll
    assert float(loss) == pytest.approx(total / 8, rel=1e-5)
    assert float(right) == pytest.approx(float((logits.argmax(1) == labels).float().mean()))
    alike = choose_criterion(RECIPE, Plan(1), LABELS, 3)
    assert alike.weights is None
    assert_close(alike.judge(logits, labels)[0], torch.nn.functional.cross_entropy(logits, labels))


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_shares_of_processes_add_up_to_the_weighted_loss_of_one(smoothing, rng):
    logits, labels = torch.randn(12, 3, generator=rng), LABELS[26:38]
    criterion = Criterion(smoothing, weights=weigh_classes(LABELS, 3))
    parts = [(slice(0, 5), 5), (slice(5, 12), 7)]
    shares = [criterion.judge(logits[rows], labels[rows])[0] * size / 12 for rows, size in parts]
    assert_close(sum(shares), criterion.judge(logits, labels)[0])


def test_batches_hold_as_many_images_of_every_class():
    sampling, order = draws("sampling"), torch.randperm(39)
    batches = [sampling.draw(part, 0) for part in order.split(13)]
    counts = Counter(label for one in batches for label in one.labels.tolist())
    assert counts == {0: 13, 1: 13, 2: 13}
    for one in batches:
        asked, stored = one.images[:, 0].long(), one.memory[:, 0].long()
        assert LABELS[asked].tolist() == one.labels.tolist()
        assert torch.equal(one.mask, asked[:, None] != stored)
        assert len(stored.unique()) == 9
    everything = torch.cat([one.memory[:, 0] for one in batches])
    assert Counter(LABELS[everything.long()].tolist())[0] > 14  # the memory is as the images are


def test_memories_hold_as_many_images_of_every_class():
    memory = draws("memory")
    for step in range(5):
        batch = memory.draw(torch.arange(12), step)
        assert batch.images[:, 0].tolist() == list(range(12))
        assert batch.memory_labels.bincount().tolist() == [3, 3, 3]
        assert torch.equal(batch.mask, torch.arange(12)[:, None] != batch.memory[:, 0].long())
    larger = draws("memory", memory_size=14).draw(torch.arange(12), 0)
    assert larger.memory_labels.bincount().tolist() == [5, 5, 4]


def train(balance, *, variant="memory-wrap", resume=None, on_step=None):
    model = make(variant, 9).requires_grad_(True)
    whence.fit(
        model,
        train_set(),
        recipe=RECIPE,
        plan=Plan(2, memory_size=9, balance=balance),
        resume=resume,
        on_step=on_step,
    )
    return model.state_dict()


@pytest.mark.parametrize("balance", list(BALANCES))
def test_a_training_that_was_interrupted_goes_on_to_the_same_bits(balance):
    checkpoints = []
    whole = train(balance, on_step=lambda make_one: checkpoints.append(make_one()))
    assert len(checkpoints) == 6
    again = train(balance, resume=checkpoints[3])
    for name, tensor in whole.items():
        assert_close(again[name], tensor, rtol=0, atol=0)


def test_every_way_trains_another_model():
    found = [train(balance)["encoder.1.weight"] for balance in BALANCES]
    for place, one in enumerate(found):
        assert not any(torch.equal(one, other) for other in found[:place])


def test_a_balanced_training_finds_more_of_the_rare_classes(rng):
    """Classes overlap, so that one that counts little is given up."""
    labels = torch.cat([torch.zeros(180), torch.ones(20)]).long()
    values = (100 + 25 * labels[:, None] + 25 * torch.randn(200, 12, generator=rng)).clamp(0, 255)
    images = values.round().to(torch.uint8).view(200, 1, 3, 4)
    train_images = ImageSet(images, labels, ("ant", "bee", "cow"))
    recalls = {}
    for balance in ("none", "loss", "sampling"):
        model = make("standard").requires_grad_(True)
        whence.fit(
            model,
            train_images,
            recipe=Recipe(batch_size=50, learning_rate=0.02),
            plan=Plan(15, balance=balance),
        )
        recalls[balance] = whence.evaluate(model, train_images).classes[1].recall
    assert recalls["loss"] > recalls["none"] + 0.1
    assert recalls["sampling"] > recalls["none"] + 0.1


def test_what_cannot_be_balanced_is_refused(tmp_path, capsys):
    model = make("standard")
    for balance, message in (
        ("memory", "balance must be none, loss or sampling for a standard model, which has no mem"),
        ("classes", "Unknown balance 'classes'. Choose from: none, loss, sampling, memory"),
    ):
        with pytest.raises(ValueError, match=message):
            whence.fit(model, train_set(), recipe=RECIPE, plan=Plan(1, balance=balance))
    out = tmp_path / "run"
    command = ["train", "digits", "--variant", "standard", "--out", str(out), "--balance"]
    assert main([*command, "memory"]) == 2
    assert "balance must be none, loss or sampling for a standard" in capsys.readouterr().err
    assert main([*command, "often"]) == 2
    assert "balance must be one of none, loss, sampling, memory, got" in capsys.readouterr().err
    assert not out.exists()


def test_votes_without_an_image_of_a_class_are_refused():
    message = "must hold an image of every class, because votes never answer a class that no stored"
    images = train_set().take(range(36))
    model = make("votes")
    with pytest.raises(ValueError, match=f"train {message} image carries, and none is of cow"):
        whence.fit(model, images, recipe=RECIPE, plan=Plan(1, memory_size=9))
    with pytest.raises(ValueError, match=f"labels {message} image carries, and none is of cow"):
        model.remember(images.images, images.labels)
    edited = whence.edit(make("votes"), remove="cow")
    assert len(edited.bank) == 8
    added = whence.edit(make("votes"), add=(images.images[:2], [1, 1]))
    assert len(added.bank) == 14
