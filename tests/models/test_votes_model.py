"""A model of votes: its answers are its evidence, whatever is done to the memory."""

import pytest
import torch
from torch.testing import assert_close

import whence
from whence.evidence.answers import signals_of
from whence.metrics import SIGNALS
from whence.report.reading import say_reading

SHAPE = (1, 8, 8)
NAMES = ("ant", "bee", "cat")


@pytest.fixture
def stored(rng):
    return torch.randint(0, 256, (30, *SHAPE), generator=rng, dtype=torch.uint8)


@pytest.fixture
def asked(rng):
    return torch.randint(0, 256, (6, *SHAPE), generator=rng, dtype=torch.uint8)


@pytest.fixture
def model(stored):
    torch.manual_seed(0)
    found = whence.wrap("small_cnn", NAMES, variant="votes", image_shape=SHAPE).eval()
    found.head.sharpness.fill_(40)
    return found.remember(stored, torch.arange(30) % 3)


def add_up(evidence, key):
    shares = torch.zeros(3)
    for item in evidence:
        shares[key(item)] += item.weight
    return shares


def test_the_answer_is_the_weight_of_its_evidence(model, asked):
    for answers in (whence.predict(model, asked), whence.explain(model, asked)):
        for answer in answers:
            shares = add_up(answer.evidence, lambda item: item.label)
            assert_close(answer.probabilities, shares, atol=2e-6, rtol=0)
            for item in answer.evidence:
                assert -1 <= item.similarity <= 1.0001
                above = 40 * (item.similarity - answer.threshold)
                assert item.weight == pytest.approx(above, abs=1e-4)


def test_what_is_left_without_an_image_is_what_an_edited_model_says(model, asked):
    answer = whence.explain(model, asked[:1])[0]
    for item, left in zip(answer.evidence, answer.probabilities_without, strict=True):
        edited = whence.predict(whence.edit(model, remove=item.index), asked[:1])[0]
        assert_close(edited.probabilities, left, atol=2e-5, rtol=0)


def test_no_answer_outlives_its_class(model, asked, stored):
    assert whence.explain(model, asked)[0].reliance == 1
    for answer in whence.predict(model, asked):
        left = whence.edit(model, remove=NAMES[answer.predicted])
        again = whence.predict(left, asked)
        assert all(float(one.probabilities[answer.predicted]) == 0 for one in again)


def test_the_nearest_of_each_likely_class_is_found(model, asked, stored):
    keys, asked_keys = model.bank.features, model.encode(asked).detach()
    for row, answer in enumerate(whence.explain(model, asked)):
        near = [float((keys[label::3] @ asked_keys[row]).max()) for label in range(3)]
        shares = answer.probabilities.tolist()
        order = sorted(range(3), key=lambda label: (-shares[label], -near[label]))
        assert [item.label for item in answer.nearest] == order
        for item in answer.nearest:
            places = [place for place in range(30) if place % 3 == item.label]
            best = max(places, key=lambda place: float(asked_keys[row] @ keys[place]))
            assert item.index == best
            cosine = torch.nn.functional.cosine_similarity(asked_keys[row], keys[best], dim=0)
            assert item.similarity == pytest.approx(float(cosine), abs=1e-4)
            weights = {one.index: one.weight for one in answer.evidence}
            assert item.weight == weights.get(item.index, 0)
            assert item.role == (
                "example" if item.predicted == answer.predicted else "counterfactual"
            )


def test_the_simple_truth_is_said(model, asked):
    answer = whence.predict(model, asked[:1])[0]
    share = float(answer.probabilities[answer.predicted])
    said = say_reading(answer, NAMES)
    name = NAMES[answer.predicted]
    assert said.startswith(f"Of the weight, {share:.1%} is on images labelled {name}: that is the ")
    assert f"A stored image counts from a similarity of {answer.threshold:.4g} on" in said
    wrap = whence.wrap("small_cnn", NAMES, image_shape=SHAPE).eval().remember(model.bank.images)
    assert say_reading(whence.predict(wrap, asked[:1])[0], NAMES).startswith("A stored image")


def test_a_saved_model_answers_the_same(model, asked, tmp_path):
    whence.save(model, tmp_path / "model")
    loaded = whence.load(tmp_path / "model")
    assert loaded.variant == "votes"
    assert_close(loaded(asked), model(asked), atol=0, rtol=0)
    assert loaded.bank.features.shape == (30, 128)


def test_every_stored_image_must_have_a_label(model, asked, stored):
    with pytest.raises(ValueError, match="because each votes for its own; 30 of 30 have none"):
        model.remember(stored)
    with pytest.raises(ValueError, match="Votes need the label of every stored image"):
        model(asked, stored)
    labels = torch.arange(30) % 3
    assert_close(model(asked, stored, memory_labels=labels), model(asked), atol=1e-3, rtol=1e-3)


def test_features_that_are_not_finite_give_no_answer(stored, asked):
    class Divides(torch.nn.Module):
        def forward(self, images):
            found = images.flatten(1)
            return found / found.sum(1, keepdim=True)

    model = (
        whence.wrap(Divides(), NAMES, variant="votes", image_shape=SHAPE)
        .eval()
        .remember(stored, [0, 1, 2] * 10)
    )
    with pytest.raises(ValueError, match="must be finite numbers, those of image 1 have NaN"):
        whence.predict(model, torch.stack([asked[0], asked[0] * 0]))


def test_its_doubt_rests_on_nearness_first_because_weights_that_agree_say_nothing(model, rng):
    images = torch.randint(0, 256, (60, *SHAPE), generator=rng, dtype=torch.uint8)
    assert signals_of(model)[:4] == ("key_distance", "soft_votes", "similarity_gap", "softmax")
    assert set(signals_of(model)) == set(SIGNALS)
    found = whence.calibrate(model, (images, torch.arange(60) % 3))
    assert found.names == signals_of(model)[: len(found.names)]
