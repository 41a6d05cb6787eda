"""Votes of a frozen encoder: trained on all images at once, against the same image by image."""

import math
from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.testing import assert_close

import whence
from whence.data.load import load_dataset
from whence.memory.keys import build_keys
from whence.memory.sparsemax import sparsemax
from whence.memory.votes import FLOOR, Votes
from whence.training import voting
from whence.training.labelled import Labelled, hold_out
from whence.training.plan import Plan
from whence.training.probe import fit_probe
from whence.training.progress import DivergedError
from whence.training.recipes import RECIPES
from whence.training.voting import choose_sharpness, fit_votes

RECIPE = RECIPES["at-once"]


def plan(epochs=4, seed=0):
    return Plan(epochs, seed=seed, freeze_encoder=True)


@pytest.fixture
def known(rng):
    labels = torch.arange(40) % 4
    spots = torch.eye(4, 6)[labels] * 2
    return Labelled(spots + torch.randn(40, 6, generator=rng), labels)


def fit(known, validation=None, **options):
    reports = []
    head = Votes(6, int(known.labels.max()) + 1).train()
    with torch.random.fork_rng():
        fit_votes(
            head,
            known,
            validation,
            recipe=options.pop("recipe", RECIPE),
            counts=options.pop("counts", None),
            plan=plan(**options),
            on_epoch=reports.append,
        )
    return head, reports


@pytest.mark.parametrize("classes", [2, 4])
def test_the_first_loss_is_that_of_every_image_answered_by_all_others(known, classes):
    known = known._replace(labels=known.labels % classes)
    _, reports = fit(known, known)
    said = fit_probe(known, known, classes).log_probabilities(known.features).exp()
    taught = 0.5 if classes > 2 else 0.0
    torch.manual_seed(0)
    keys = build_keys(6, "mlp")
    plain = known.features - known.features.mean(0)
    plain = plain / known.features.std(0, correction=0) ** 0.5
    plain = plain / plain.norm(dim=1, keepdim=True) * 6**0.5
    order = torch.randperm(40, generator=torch.Generator().manual_seed(0))
    found = torch.empty(40, 128)
    found[order] = keys(plain[order])  # with the dropout of the seed
    found = (found / found.norm(dim=1, keepdim=True)).detach()
    losses, hits = [], 0
    for row in range(40):
        votes = [0.0] * classes
        for place in range(40):
            if place != row:
                votes[known.labels[place]] += math.exp(10 * float(found[row] @ found[place]))
        shares = [(1 - FLOOR) * vote / sum(votes) + FLOOR / classes for vote in votes]
        for y, share in enumerate(shares):
            wanted = taught * float(said[row, y]) + (1 - taught) * int(y == known.labels[row])
            losses.append(-wanted * math.log(share))
        hits += shares.index(max(shares)) == known.labels[row]
    assert reports[0].loss == pytest.approx(sum(losses) / 40, rel=1e-4)
    assert reports[0].accuracy == hits / 40
    assert reports[0].learning_rate == RECIPE.learning_rate
    assert [one.epoch for one in reports] == [1, 2, 3, 4]


def test_the_seed_alone_decides(known):
    heads = [fit(known, seed=seed)[0].state_dict() for seed in (3, 3, 4)]
    for name, tensor in heads[0].items():
        assert_close(heads[1][name], tensor, rtol=0, atol=0)
    assert not torch.equal(heads[2]["keys.plain.weight"], heads[0]["keys.plain.weight"])


def test_who_looks_after_an_epoch_changes_nothing(known):
    expected, head = fit(known, known)[0], Votes(6, 4).train()

    def look(report):
        head.eval()

    with torch.random.fork_rng():
        fit_votes(head, known, known, recipe=RECIPE, plan=plan(), on_epoch=look)
    wanted = expected.state_dict()
    assert all(torch.equal(found, wanted[name]) for name, found in head.state_dict().items())


@pytest.mark.parametrize("held", [True, False])
def test_a_training_goes_on_from_any_step_to_the_same_bits(known, held):
    def run(resume=None):
        made = []
        head = Votes(6, 4).train()
        recipe = replace(RECIPE, batch_size=16)
        asked = known if held else None
        with torch.random.fork_rng():
            fit_votes(
                head,
                known,
                asked,
                recipe=recipe,
                plan=plan(),
                resume=resume,
                on_step=lambda make: made.append(make()),
            )
        return head.state_dict(), made

    whole, checkpoints = run()
    assert len(checkpoints) == 8
    for place in (0, 4, 7):
        again, left = run(checkpoints[place])
        assert len(left) == 7 - place
        for name, tensor in whole.items():
            assert_close(again[name], tensor, rtol=0, atol=0)


def test_without_validation_images_all_are_trained_on_in_the_end(known):
    one, other = fit(known)[0], fit(known, known)[0]
    for mine, theirs in zip(one.keys.parameters(), other.keys.parameters(), strict=True):
        assert_close(mine, theirs, rtol=0, atol=0)
    part, kept = hold_out(known, 0)
    assert (len(part.labels), len(kept.labels)) == (32, 8)
    assert kept.labels.bincount().tolist() == [2, 2, 2, 2]
    both = torch.cat([part.features, kept.features])
    assert sorted(both.tolist()) == sorted(known.features.tolist())
    single = Labelled(known.features[:4], known.labels[:4])
    assert hold_out(single, 0) == (single, None)
    assert fit(single)[0].sharpness > 0


@pytest.mark.parametrize("asked", [True, False])
def test_the_sharpness_is_the_likeliest_of_those_with_few_voters(known, asked, monkeypatch):
    head = fit(known, known)[0].eval()
    wrong = torch.arange(40) % 3 == 0  # so that many voters would be likelier
    known = known._replace(labels=torch.where(wrong, (known.labels + 1) % 4, known.labels))
    monkeypatch.setattr(voting, "FEW_VOTERS", 5)
    head.sharpness.fill_(1)
    keys = head.embed(known.features)
    cosines = keys @ keys.T
    if not asked:
        cosines = cosines.masked_fill(torch.eye(40, dtype=torch.bool), -torch.inf)
    losses = {}
    for sharpness in voting.SHARPNESSES:
        weights = sparsemax(cosines * sharpness)
        right = torch.stack(
            [row[known.labels == y].sum() for row, y in zip(weights, known.labels, strict=True)]
        )
        loss = -torch.log((1 - FLOOR) * right + FLOOR / 4).mean()
        if float((weights > 0).sum(1).double().median()) <= 5:
            losses[sharpness] = float(loss.detach())
    assert 2 < len(losses) < len(voting.SHARPNESSES)
    found = choose_sharpness(head, known, known if asked else None)
    assert losses[found] == pytest.approx(min(losses.values()), abs=1e-6)
    assert not head.training


def test_more_images_than_are_looked_at_together(known):
    _, reports = fit(known, known, epochs=30, recipe=replace(RECIPE, batch_size=16))
    assert len(reports) == 30
    assert reports[-1].loss < 0.95 * reports[0].loss  # half of what is learnt is unsure


def test_a_rate_that_leads_nowhere_is_said(known):
    with pytest.raises(DivergedError, match=r"The loss became nan at step \d+; try a lower"):
        fit(known, recipe=whence.Recipe(learning_rate=1e30, optimizer="sgd"))


def test_a_whole_model_learns_and_its_answers_need_their_evidence():
    digits = load_dataset("digits")
    train, test = digits.train.take(torch.arange(200)), digits.test.take(torch.arange(200))
    model = whence.wrap(nn.Flatten(), 10, variant="votes", image_shape=(1, 8, 8)).eval()
    state = torch.random.get_rng_state()
    whence.fit(model, train, recipe=RECIPE, plan=plan(epochs=60), validation=test.take(range(0)))
    assert torch.equal(torch.random.get_rng_state(), state)
    found = whence.evaluate(model.remember(train), test)
    assert found.whole_memory > 0.9
    assert found.reliance.changed_share == 1
    assert found.evidence.support_size_median <= 20  # chosen for 15, on other images
    shuffled = train.labels[torch.randperm(200, generator=torch.Generator().manual_seed(0))]
    model.remember(train.images, shuffled)
    assert whence.evaluate(model, test).whole_memory < 0.3


def test_a_model_with_a_threshold_is_trained_as_without():
    train = load_dataset("digits").train.take(torch.arange(120))
    model = whence.wrap(nn.Flatten(), 10, variant="votes", image_shape=(1, 8, 8)).eval()
    whence.fit(model, train, recipe=RECIPE, plan=plan(epochs=3))
    expected = {name: one.clone() for name, one in model.state_dict().items()}
    model.remember(train)
    model.decision = whence.choose_threshold(model, train, "3", recall=1.0)
    assert model.decision.head_start != 0
    whence.fit(model, train, recipe=RECIPE, plan=plan(epochs=1, seed=1))  # another training
    model.decision = whence.choose_threshold(model.remember(train), train, "3", recall=1.0)
    whence.fit(model, train, recipe=RECIPE, plan=plan(epochs=3))
    found = model.state_dict()
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], one) for name, one in expected.items())


def test_an_encoder_that_learns_has_its_sharpness_chosen_too():
    digits = load_dataset("digits")
    train, held = digits.train.take(torch.arange(60)), digits.test.take(torch.arange(30))
    encoder = nn.Sequential(nn.Flatten(), nn.Linear(64, 8))
    model = whence.wrap(
        encoder, 10, variant="votes", image_shape=(1, 8, 8), drop_classifier=False
    ).eval()
    learning = Plan(2, memory_size=20)
    whence.fit(model, train, recipe=RECIPES["finetune"], plan=learning, validation=held)
    found = float(model.head.sharpness)
    assert found in voting.SHARPNESSES
    with torch.no_grad():
        parts = (Labelled(model.encode_features(one.images), one.labels) for one in (train, held))
    assert found == choose_sharpness(model.head, *parts)


def test_images_that_count_more_weigh_more_in_the_loss(known):
    """The first loss is the mean of what each image loses, times what it counts."""

    def first_loss(counts):
        return fit(known, known, epochs=1, counts=counts)[1][0].loss

    alone = torch.tensor([first_loss(one * 40) for one in torch.eye(40)])
    assert float(alone.mean()) == pytest.approx(first_loss(None), rel=1e-5)
    counts = torch.linspace(0.1, 1.9, 40)
    assert float((alone * counts).mean()) == pytest.approx(first_loss(counts), rel=1e-5)
    alike, plain = (fit(known, known, counts=one)[1] for one in (torch.ones(40), None))
    assert [one.loss for one in alike] == pytest.approx([one.loss for one in plain], rel=1e-5)
