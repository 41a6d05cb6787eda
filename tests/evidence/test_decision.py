"""A class with a threshold of its own: what is answered, and all that follows from an answer."""

import copy
from dataclasses import replace
from itertools import combinations

import pytest
import torch
from torch.testing import assert_close

import whence
from tests.helpers.deciding import make, middle, rule
from tests.helpers.explaining import draw_images
from whence.evidence.answers import Memory, answer, signals_of
from whence.models.using import encode_all
from whence.records.class_measures import ClassMeasures
from whence.records.images import ImageSet
from whence.report.decision import say_decision

IMAGES = draw_images(40, seed=6)


def decide_by_hand(probabilities, place, threshold):
    if float(probabilities[place]) >= threshold:
        return place
    others = [(float(p), -k) for k, p in enumerate(probabilities) if k != place]
    return -max(others)[1]


@pytest.fixture(params=["memory-wrap", "only-memory", "votes", "standard"])
def model(request):
    return make(request.param)


def test_the_class_is_answered_from_its_threshold_on(model):
    plain = whence.predict(model, IMAGES)
    place = 1
    threshold = middle(model, IMAGES, place)
    model.decision = rule(model, place, threshold)
    found = whence.predict(model, IMAGES)
    wanted = [decide_by_hand(one.probabilities, place, threshold) for one in plain]
    assert [one.predicted for one in found] == wanted
    assert wanted != [one.predicted for one in plain], "the case is degenerate"
    assert 0 < wanted.count(place) < len(wanted)
    for one, before in zip(found, plain, strict=True):
        assert_close(one.probabilities, before.probabilities, rtol=0, atol=0)
        assert [item.weight for item in one.evidence] == [item.weight for item in before.evidence]
        assert one.decision == model.decision
        assert before.decision is None
    explained = whence.explain(model, IMAGES, draws=0)
    assert [one.predicted for one in explained] == wanted
    labels = torch.arange(40) % len(model.class_names)
    measured = whence.evaluate(
        model, ImageSet(IMAGES, labels, model.class_names), memory_size=5, draws=1
    )
    assert list(measured.predicted) == wanted
    assert measured.decision == model.decision
    hits = [one == truth for one, truth in zip(wanted, labels.tolist(), strict=True)]
    assert measured.whole_memory == sum(hits) / 40
    assert measured.classes[place].answers == wanted.count(place)


def test_what_an_answer_hangs_on_is_asked_by_the_same_rule():
    model = make("memory-wrap", 9, seed=1)
    place = 0
    model.decision = rule(model, place, middle(model, IMAGES, place))
    changed = 0
    for image, removal in zip(IMAGES, whence.find_removals(model, IMAGES), strict=True):
        (now,) = whence.predict(model, image[None])
        smallest = None
        for size in (1, 2):
            hits = {}
            for gone in combinations(model.bank.indices.tolist(), size):
                (left,) = whence.predict(whence.edit(model, remove=list(gone)), image[None])
                if left.predicted != now.predicted:
                    hits[gone] = left.predicted
            if hits:
                smallest = size
                break
        if smallest is None:
            assert removal.smallest is None
        else:
            changed += 1
            assert hits[tuple(sorted(removal.smallest))] == removal.smallest_becomes
    assert changed > 5, "the case is degenerate"


def test_an_answer_without_an_image_is_what_the_explanation_says():
    model = make("votes", 9, seed=2)
    model.decision = rule(model, 1, middle(model, IMAGES, 1))
    for image, explained in zip(IMAGES[:12], whence.explain(model, IMAGES[:12]), strict=True):
        for item, left in zip(explained.evidence, explained.probabilities_without, strict=True):
            (without,) = whence.predict(whence.edit(model, remove=[item.index]), image[None])
            if not bool(left.isnan().any()):
                assert int(explained.decide(left[None])) == without.predicted


def test_the_margin_is_below_zero_where_the_answer_is_another(rng):
    for variant in ("memory-wrap", "votes"):
        model = make(variant, 9)
        head, classes = model.head, len(model.class_names)
        shares = torch.rand(200, classes, generator=rng) ** 3
        logits = 3 * torch.randn(200, classes, generator=rng)
        if variant == "votes":
            logits = head.respond(logits, shares / shares.sum(1, keepdim=True))
        for threshold in (None, 0.2, 0.8):
            model.decision = None if threshold is None else rule(model, 1, threshold)
            answers = model.head.decide(logits)
            for place in range(classes):
                asked = torch.full((200,), place)
                margins = model.head.margin(logits, asked)
                other = answers != place
                assert bool((margins[other] <= 0).all())
                assert bool((margins[~other] >= 0).all())


def test_doubt_is_that_of_the_answer_that_is_given():
    model = make("memory-wrap", 12)
    model.decision = rule(model, 1, middle(model, IMAGES, 1))
    features = encode_all(model, IMAGES)
    found = answer(
        model,
        features,
        torch.zeros(40, dtype=torch.int64),
        Memory.of(model),
        signals=signals_of(model),
        batch_size=9,
    )
    columns = dict(zip(signals_of(model), found.doubts.unbind(1), strict=True))
    for row, one in enumerate(whence.predict(model, IMAGES)):
        share = float(one.probabilities[one.predicted])
        assert float(columns["softmax"][row]) == pytest.approx(1 - share, abs=1e-5)
        own = sum(item.weight for item in one.evidence if item.role == "example")
        assert float(columns["class_mass"][row]) == pytest.approx(1 - own, abs=1e-5)
        assert bool(columns["top_memory"][row]) == one.flag


def test_an_edited_model_keeps_its_rule_whatever_the_first_one_gets():
    model = make("votes", 9)
    model.decision = rule(model, 1, 0.3)
    edited = whence.edit(model, remove=[model.bank.indices[0]])
    assert edited.decision == model.decision
    edited.decision = None
    assert model.decision is not None
    model.decision = rule(model, 0, 0.9)
    assert edited.decision is None
    assert len(edited.bank) == 8
    assert model.checked_bank() is model.bank
    assert_close(
        edited(IMAGES), whence.edit(model, remove=[model.bank.indices[0]])(IMAGES), rtol=0, atol=0
    )


def test_a_calibration_ends_with_the_rule_that_it_was_fitted_to():
    model = make("standard")
    labels = torch.randint(0, len(model.class_names), (40,), generator=torch.Generator())
    model.calibration = whence.calibrate(model, ImageSet(IMAGES, labels, model.class_names))
    assert model.calibration is not None
    model.decision = rule(model, 1, 0.4)
    assert model.calibration is None


def test_training_again_ends_the_rule():
    model = make("memory-wrap", 9).requires_grad_(True)
    model.decision = rule(model, 1, 0.3)
    labels = torch.arange(40) % len(model.class_names)
    train = ImageSet(IMAGES, labels, model.class_names)
    whence.fit(
        model, train, recipe=whence.Recipe(batch_size=20), plan=whence.Plan(1, memory_size=9)
    )
    assert model.decision is None


def test_a_rule_for_the_class_of_another_model_is_refused():
    model = make("memory-wrap", 9)
    other = replace(rule(model, 1, 0.3), validation=ClassMeasures("unicorn", 1, 1, 1))
    with pytest.raises(ValueError, match=r"for a class of this model .*, got 'unicorn'"):
        model.decision = other
    with pytest.raises(ValueError, match="decision must be for a class of this model"):
        model.decision = replace(rule(model, 1, 0.3), place=99)


def test_a_saved_model_answers_by_its_rule(tmp_path):
    model = make("votes", 9)
    model.decision = rule(model, 1, middle(model, IMAGES, 1))
    whence.save(model, tmp_path / "saved")
    again = whence.load(tmp_path / "saved", encoder=copy.deepcopy(model.encoder))
    assert again.decision == model.decision
    answers, wanted = (whence.predict(one, IMAGES) for one in (again, model))
    assert [one.predicted for one in answers] == [one.predicted for one in wanted]


def test_the_threshold_is_said_beside_the_answer():
    model = make("votes", 12)
    model.decision = rule(model, 1, middle(model, IMAGES, 1))
    answers = whence.predict(model, IMAGES)
    name = model.class_names[1]
    for one in answers:
        sentence = say_decision(one, model.class_names)
        begin = f"Answered {name} because its probability"
        assert sentence.startswith(begin if one.predicted == 1 else f"Not answered {name}, because")
        assert "chosen for a recall of 90.0%" in sentence
    assert say_decision(replace(answers[0], decision=None), model.class_names) is None
