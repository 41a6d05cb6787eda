"""What a report shows of ways, gathered from models."""

import re

import pytest
import torch

import whence
from tests.helpers.deciding import make, rule
from tests.helpers.morph_runs import SHORT, stop_early
from whence.autoencoders.saved_vae import load_vae
from whence.gather.morph_training import Training, choose_training
from whence.gather.morphed import Question, morph_images, say_other_answer
from whence.morphing.answers import classify_images
from whence.morphing.code import find_codes
from whence.morphing.entropy import measure_path
from whence.morphing.improve import Descent
from whence.morphing.others import check_decoded
from whence.morphing.path_mask import path_masks


def test_an_image_is_not_its_own_other(morph_runs, digits, coded):
    """An image that is put in the wrong class is the nearest image of its right one."""
    model, vae = whence.load(morph_runs / "memory"), load_vae(morph_runs / "vae")
    image = digits.test.images[coded[0][:1]]
    wrong = (int(classify_images(model, image).argmax()) + 1) % 10
    images = torch.cat([image, digits.train.images[3:4], image])
    training = Training(images, torch.tensor([wrong] * 3), torch.tensor([50, 3, 51]))
    question = Question(("nearest",), to=wrong, steps=3)
    (found,) = morph_images(model, vae, image, ["a"], [None], training, question=question)
    assert found.ways[0].start.index == 3


@pytest.mark.parametrize(
    "question, message",
    [
        (Question(others=()), "other must be given once or more, each once, got ()"),
        (Question(others=("morph", "morph")), "each once, got ('morph', 'morph')"),
        (Question(others=("far",)), "Unknown other 'far'"),
        (Question(path="wild"), "Unknown path 'wild'"),
        (Question(steps=1), "steps must be at least 2, got 1"),
        (Question(to=10), "to must be in 0 to 9, got 10"),
        (Question(to=-1), "to must be in 0 to 9, got -1"),
        (Question(others=("memory",)), "This model has no memory"),
    ],
)
def test_questions_that_make_no_sense(morph_runs, digits, question, message):
    model, vae = whence.load(morph_runs / "standard"), load_vae(morph_runs / "vae")
    training = Training(digits.train.images, digits.train.labels, torch.arange(len(digits.train)))
    with pytest.raises(ValueError, match=re.escape(message)):
        morph_images(model, vae, digits.test.images[:1], ["a"], [None], training, question=question)


def test_lengths_must_agree(morph_runs, digits):
    model, vae = whence.load(morph_runs / "standard"), load_vae(morph_runs / "vae")
    training = Training(digits.train.images, digits.train.labels, torch.arange(len(digits.train)))
    with pytest.raises(ValueError, match=r"one entry per image \(2\), got 1 and 2"):
        morph_images(model, vae, digits.test.images[:2], ["a"], [None, None], training)


def test_an_autoencoder_that_decodes_no_numbers_is_refused(morph_runs, digits):
    model, vae = whence.load(morph_runs / "memory"), load_vae(morph_runs / "vae")
    with torch.no_grad():
        for parameter in list(vae.decoder.parameters())[-8:]:
            parameter.mul_(1e18)
    training = choose_training(morph_runs / "memory", model)
    with pytest.raises(ValueError, match=r"NaN or infinity for a.png; train another with: whence"):
        morph_images(model, vae, digits.test.images[:1], ["a.png"], [None], training)


def test_reconstructions_must_be_numbers(morph_runs, digits):
    model, vae = whence.load(morph_runs / "standard"), load_vae(morph_runs / "vae")
    codes = find_codes(
        model,
        vae,
        digits.test.images[:2],
        generator=torch.Generator().manual_seed(0),
        descent=Descent(steps=0),
    )
    check_decoded(codes.decoded, ["a.png", "b.png"].__getitem__)
    codes.decoded[1, 0, 3, 4] = torch.nan
    with pytest.raises(ValueError, match=r"decodes NaN or infinity for b.png; train another"):
        check_decoded(codes.decoded, ["a.png", "b.png"].__getitem__)


def test_an_image_without_a_code_has_no_way_and_the_others_have_theirs(
    morph_runs, digits, coded, monkeypatch
):
    stop_early(monkeypatch)
    model, vae = whence.load(morph_runs / "memory"), load_vae(morph_runs / "vae")
    training = choose_training(morph_runs / "memory", model)
    (one, two, *_), (poor, *_) = coded
    question, advice = Question(("nearest", "memory"), steps=3), "Ask somebody."

    def ask(*rows):
        names = [f"image {row}" for row in rows]
        images, truths = digits.test.images[list(rows)], [None] * len(rows)
        return morph_images(
            model, vae, images, names, truths, training, question=question, advice=advice
        )

    failed, first, second = ask(poor, one, two)
    assert failed.ways == ()
    assert failed.code.how == "none"
    assert failed.code.reason.endswith("Train the autoencoder longer. Ask somebody.")
    assert failed.predicted == int(failed.probabilities.argmax())
    for found in (first, second):  # the ways stand with the image that they lead to
        assert found.code.reason is None
        for way in found.ways:
            assert torch.equal(way.along.images[-1], found.code.image)
    assert [way.kind for way in second.ways] == ["nearest", "memory"]
    assert second.ways[0].classes[0] == second.predicted


def test_more_images_than_are_held_at_once(morph_runs, digits, monkeypatch):
    monkeypatch.setattr("whence.gather.morphed.TOGETHER", 2)
    model, vae = whence.load(morph_runs / "memory"), load_vae(morph_runs / "vae")
    training = choose_training(morph_runs / "memory", model)
    images, names = digits.test.images[:5], list("abcde")
    found = morph_images(model, vae, images, names, [None] * 5, training, question=SHORT)
    monkeypatch.setattr("whence.gather.morphed.TOGETHER", 32)
    whole = morph_images(model, vae, images, names, [None] * 5, training, question=SHORT)
    for left, right in zip(found, whole, strict=True):
        assert left.name == right.name
        assert [way.steps for way in left.ways] == [way.steps for way in right.ways]
        assert left.code.norm == pytest.approx(right.code.norm, abs=1e-4)


def test_records_hold_what_the_model_says_of_their_pictures(morph_runs, digits, coded):
    model, vae = whence.load(morph_runs / "memory"), load_vae(morph_runs / "vae")
    training = choose_training(morph_runs / "memory", model)
    question = Question(("nearest",), steps=6)
    image = digits.test.images[coded[0][:1]]
    (found,) = morph_images(model, vae, image, ["a"], [3], training, question=question)
    way = found.ways[0]
    assert torch.equal(found.image, image[0])
    assert torch.equal(way.along.images[0], way.image)
    assert torch.equal(way.along.images[-1], found.code.image)
    path = way.along.images[None].float() / 255
    classes = torch.tensor([way.classes])
    again = measure_path(model, path, classes)
    torch.testing.assert_close(again.probabilities[0], way.along.probabilities, atol=0.02, rtol=0)
    masks = path_masks(model, path, classes[:, 0])
    torch.testing.assert_close(masks.full_gains[0], way.mask.full_gains, atol=0.04, rtol=0)
    shares = model.eval()(path[:, -1]).softmax(1)[0].detach()
    torch.testing.assert_close(found.code.probabilities, shares, atol=0.02, rtol=0)
    real = {int(i): image for i, image in zip(model.bank.indices, model.bank.images, strict=True)}
    assert torch.equal(way.start.image, real[way.start.index])


def test_nothing_is_left_in_the_models(morph_runs, digits):
    model, vae = whence.load(morph_runs / "memory"), load_vae(morph_runs / "vae")
    before = [(p.clone(), p.requires_grad) for p in (*model.parameters(), *vae.parameters())]
    training = choose_training(morph_runs / "memory", model)
    state = torch.get_rng_state()
    morph_images(model, vae, digits.test.images[:1], ["a"], [None], training, question=SHORT)
    assert torch.equal(torch.get_rng_state(), state)
    assert not any(module.training for module in (*model.modules(), *vae.modules()))
    for parameter, (value, wants) in zip(
        (*model.parameters(), *vae.parameters()), before, strict=True
    ):
        assert torch.equal(parameter, value)
        assert (parameter.requires_grad, parameter.grad) == (wants, None)


def test_an_image_that_a_threshold_answers_otherwise_is_said():
    """Logits of probabilities 0.6, 0.3 and 0.1."""
    model = make("standard")
    logits = torch.tensor([0.6, 0.3, 0.1]).log()
    assert say_other_answer(model, logits) == ()
    names = model.class_names
    model.decision = rule(model, 1, 0.25)
    assert say_other_answer(model, logits) == (
        f"By the threshold of {names[1]} the run answers {names[1]} here; the way leads to "
        f"{names[0]}, the most probable class.",
    )
    model.decision = rule(model, 1, 0.35)
    assert say_other_answer(model, logits) == ()
    model.decision = rule(model, 0, 0.7)
    assert say_other_answer(model, logits) == (
        f"By the threshold of {names[0]} the run answers {names[1]} here; the way leads to "
        f"{names[0]}, the most probable class.",
    )
