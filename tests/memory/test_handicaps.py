"""Votes of which large classes lose something: exact wherever a memory is read."""

import copy
import json

import pytest
import torch
from torch.testing import assert_close

import whence
from tests.helpers.deciding import make
from tests.helpers.explaining import draw_images
from whence.attribution.feature_gradients import Memory, differentiate, weigh_all
from whence.attribution.read_moved import read_moved
from whence.attribution.target import find_target
from whence.memory.sparsemax import sparsemax
from whence.memory.votes import Votes
from whence.models.using import encode_all
from whence.training.reading_of_votes import choose_handicaps

IMAGES = draw_images(25, seed=6)
HANDICAPS = torch.tensor([0.7, -0.4, 0.0])


def balanced(size=12, *, seed=0):
    model = make("votes", size, seed=seed)
    model.head.handicaps = HANDICAPS.clone()
    bank = model.bank
    return model.remember(bank.images, bank.labels)


def by_hand(model, images=IMAGES):
    """Weights `(B, M)` from cosines, one by one."""
    head, bank = model.head, model.bank
    queries, memory = encode_all(model, images), bank.features
    cosines = torch.nn.functional.cosine_similarity(queries[:, None], memory[None], dim=2)
    return sparsemax(cosines * head.sharpness - HANDICAPS[bank.labels])


def test_a_handicap_is_taken_off_the_score_of_every_image_of_its_class():
    model = balanced()
    weights = by_hand(model)
    assert not torch.equal(model(IMAGES), make("votes")(IMAGES))
    for row, answer in enumerate(whence.predict(model, IMAGES)):
        found = {item.index: item.weight for item in answer.evidence}
        wanted = {place: float(w) for place, w in enumerate(weights[row]) if w > 0}
        assert found == pytest.approx(wanted, abs=1e-5)
        for label in range(3):
            share = sum(item.weight for item in answer.evidence if item.label == label)
            assert float(answer.probabilities[label]) == pytest.approx(share, abs=1e-5)


def test_a_large_memory_is_read_in_the_same_way(rng):
    head = Votes(6, 3).eval()
    head.handicaps = HANDICAPS.clone()
    queries, memory = (
        head.embed(torch.randn(9, 6, generator=rng)),
        head.embed(torch.randn(900, 6, generator=rng)),
    )
    labels = torch.arange(900) % 3
    with torch.no_grad():
        found = head.logits(queries, memory, labels=labels)
        dense = head(queries, memory, labels=labels)
    weights = sparsemax(queries @ memory.T - HANDICAPS[labels])
    assert_close(dense.weights, weights, atol=1e-5, rtol=0)
    assert_close(found, head.respond(queries, weights @ head.values(memory, labels)))


def test_explanations_edits_and_removals_follow():
    model = balanced(9)
    explained = whence.explain(model, IMAGES[:8], draws=2, memory_size=5)
    for image, answer in zip(IMAGES[:8], explained, strict=True):
        for item, left in zip(answer.evidence, answer.probabilities_without, strict=True):
            (without,) = whence.predict(whence.edit(model, remove=[item.index]), image[None])
            if not bool(left.isnan().any()):
                assert_close(left, without.probabilities, atol=2e-5, rtol=0)
    relabelled = whence.edit(model, relabel={0: 1})
    assert_close(
        relabelled(IMAGES),
        make_with(model, relabelled.bank.labels)(IMAGES),
        atol=1e-5,
        rtol=1e-5,
    )


def make_with(model, labels):
    again = copy.deepcopy(model)
    return again.remember(model.bank.images, labels)


def test_evidence_that_moves_is_read_with_its_handicap(rng):
    model = balanced(9)
    head, bank = model.head, model.bank
    with torch.no_grad():
        queries = model.encode(IMAGES[:2])
        moved = head.embed(torch.randn(3, 5, generator=rng))
        places = (torch.tensor([0, 4]), torch.tensor([1]))
        found = read_moved(head, queries, bank.features, bank.labels, places, moved, None)
        for row, own in enumerate((moved[:2], moved[2:])):
            features = bank.features.clone()
            features[places[row]] = own
            wanted = head(queries[[row]], features, labels=bank.labels).logits[0]
            assert_close(found[row], wanted, atol=1e-5, rtol=1e-5)


def test_features_are_differentiated_as_autograd_does():
    model = balanced(9)
    head, bank = model.head, model.bank
    queries = model.encode(IMAGES[:6]).detach().requires_grad_()
    logits = head(queries, bank.features, labels=bank.labels).logits
    target, rows = find_target(None, logits, model.class_names), torch.arange(6)
    (wanted,) = torch.autograd.grad(target.of(logits, rows).sum(), queries)
    memory = Memory(
        features=bank.features,
        labels=bank.labels,
        moved=bank.features[None, :1],
        places=torch.tensor([0]),
        moves=torch.zeros(6, 9, dtype=torch.bool),
        mask=None,
    )
    parts = differentiate(head, queries.detach()[None], memory, target, rows)
    found = torch.cat([one.queries for one in parts])
    assert float(wanted.abs().max()) > 0
    assert_close(found, wanted, atol=1e-5, rtol=1e-4)
    everywhere = memory._replace(moved=bank.features[None, :], places=torch.arange(9))
    moving = everywhere._replace(moves=torch.ones(6, 9, dtype=torch.bool))
    for one in (memory, moving):
        weights = weigh_all(head, queries.detach()[None], one)
        assert_close(weights, by_hand(model)[:6], atol=1e-5, rtol=0)


def test_a_saved_model_keeps_its_handicaps(tmp_path):
    model = balanced()
    whence.save(model, tmp_path / "saved")
    again = whence.load(tmp_path / "saved", encoder=copy.deepcopy(model.encoder))
    assert_close(again(IMAGES), model(IMAGES), rtol=0, atol=0)
    assert "handicaps" not in "".join(model.state_dict())
    path = tmp_path / "saved" / "whence.json"
    about = json.loads(path.read_text())
    assert about["handicaps"] == pytest.approx(HANDICAPS.tolist())
    for wrong, message in (
        ([0.1], "must have 3 finite handicaps"),
        ([0.1, "1", 0.2], "must have 3 finite handicaps"),
        ([0.1, 1e300, 0.2], "must have 3 finite handicaps"),
    ):
        path.write_text(json.dumps({**about, "handicaps": wrong}))
        with pytest.raises(ValueError, match=message):
            whence.load(tmp_path / "saved", encoder=copy.deepcopy(model.encoder))
    path.write_text(json.dumps({**about, "handicaps": None}))
    plain = whence.load(tmp_path / "saved", encoder=copy.deepcopy(model.encoder))
    assert not torch.equal(plain(IMAGES), model(IMAGES))


def test_of_all_readings_the_one_with_the_likeliest_classes_is_taken(rng):
    labels, truth = torch.tensor([0] * 40 + [1] * 8 + [2] * 4), torch.arange(30) % 3
    counts, sharpnesses = torch.tensor([40.0, 8.0, 4.0]), (1.0, 4.0, 12.0)
    shares, spots = (counts / counts.mean()).log(), torch.eye(3, 6)
    strengths = set()
    for _ in range(5):
        head = Votes(6, 3).eval()
        stored = spots[labels] + torch.randn(52, 6, generator=rng)
        asked = spots[truth] + torch.randn(30, 6, generator=rng)
        found = choose_handicaps(
            head, stored, labels, asked, truth, sharpnesses=sharpnesses, most=15
        )
        losses = {}
        for sharpness in sharpnesses:
            for strength in (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0):
                head.sharpness.fill_(sharpness)
                head.handicaps = strength * shares
                with torch.no_grad():
                    read = head(head.embed(asked), head.embed(stored), labels=labels)
                if float((read.weights > 0).sum(1).double().median()) <= 15:
                    loss = torch.nn.functional.cross_entropy(read.logits, truth)
                    losses[sharpness, strength] = float(loss)  # as many images of every class
        strength = 0.0
        if found.handicaps is not None:
            strength = round(float(found.handicaps[0] / shares[0]), 4)
            assert_close(found.handicaps, strength * shares)
        strengths.add(strength)
        assert losses[found.sharpness, strength] == pytest.approx(min(losses.values()), abs=1e-6)
    assert len(strengths) > 1, "the case is degenerate"


def test_handicaps_without_labels_are_refused():
    head = Votes(6, 3).eval()
    head.handicaps = HANDICAPS.clone()
    with pytest.raises(ValueError, match="Votes need the label of every stored image, got none"):
        head.pair(torch.ones(1, 128), torch.ones(2, 128), None)


def test_a_training_with_balanced_memories_sets_them_and_the_next_one_takes_them_away():
    labels = torch.tensor([0] * 30 + [1] * 6 + [2] * 4)
    train = whence.ImageSet(draw_images(40, seed=3), labels, ("ant", "bee", "cow"))
    validation = whence.ImageSet(draw_images(30, seed=4), torch.arange(30) % 3, train.class_names)
    model = make("votes").requires_grad_(True)
    plan = whence.Plan(2, memory_size=9, freeze_encoder=True, balance="memory")
    recipe = whence.RECIPES["at-once"]
    whence.fit(model, train, recipe=recipe, plan=plan, validation=validation)
    assert model.head.handicaps is None or len(model.head.handicaps) == 3
    model.head.handicaps = HANDICAPS.clone()
    whence.fit(model, train, recipe=recipe, plan=whence.Plan(1, memory_size=9, freeze_encoder=True))
    assert model.head.handicaps is None
