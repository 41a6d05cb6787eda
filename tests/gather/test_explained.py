"""What a page shows of images, gathered from a model."""

import hashlib

import pytest
import torch

import whence
from whence.gather.explained import describe_origin, explain_images, hash_memory
from whence.runs.finished import read_about


def test_memory_hash_by_hand(measured_run):
    bank = whence.load(measured_run).bank
    expected = hashlib.sha256("\n".join(bank.hashes).encode()).hexdigest()
    assert hash_memory(bank) == expected
    assert hash_memory(bank.take(torch.arange(1, len(bank)))) != expected


def test_lengths_must_agree(measured_run):
    model = whence.load(measured_run)
    images = torch.zeros(2, 1, 8, 8, dtype=torch.uint8)
    with pytest.raises(ValueError, match=r"one entry per image \(2\), got 1 and 2"):
        explain_images(model, images, ["a"], [None, None])


def test_answers_hold_the_pixels_that_they_name(measured_run, measured_digits):
    model = whence.load(measured_run)
    answers = explain_images(
        model, measured_digits.test.images[:6], list("abcdef"), [None] * 6, options={"steps": 2}
    )
    places = {index: place for place, index in enumerate(model.bank.indices.tolist())}
    for row, answer in enumerate(answers):
        named = {item.index for item in answer.explanation.evidence} | {*answer.removal.removed}
        named |= {item.index for item in answer.explanation.nearest}
        if answer.explanation.near_miss:
            named.add(answer.explanation.near_miss.index)
        assert set(answer.stored) == named
        for index, stored in answer.stored.items():
            assert torch.equal(stored.image, model.bank.images[places[index]])
            assert stored.label == int(model.bank.labels[places[index]])
            assert stored.predicted == int(model.bank.predicted[places[index]])
        assert torch.equal(answer.image, measured_digits.test.images[row])
        assert len(answer.relevance.evidence[0]) == len(answer.explanation.evidence)
    whole = whence.attribute(model, measured_digits.test.images[:6], steps=2)
    fifth = answers[4].relevance
    torch.testing.assert_close(fifth.images[0], whole.images[4])
    torch.testing.assert_close(fifth.evidence[0], whole.evidence[4])
    for name, amounts in whole.ledger.items():
        torch.testing.assert_close(fifth.ledger[name][0], amounts[4])


def test_float_images_and_unknown_labels(measured_run, measured_digits):
    model = whence.load(measured_run)
    model.remember(model.bank.images)
    images = measured_digits.test.images[:1].float() / 255
    answer = explain_images(model, images, ["x"], [None], method=None)[0]
    assert torch.equal(answer.image, measured_digits.test.images[0])
    assert {stored.label for stored in answer.stored.values()} == {None}
    assert answer.relevance is None


def test_origin_of_a_run(measured_run):
    model, about = whence.load(measured_run), read_about(measured_run)
    origin = describe_origin(measured_run, about, model, [("attribution", "none")])
    facts = dict(origin.facts)
    assert origin.run == facts["run"] == "run"
    assert (facts["seed"], facts["training images"], facts["data"]) == ("3", "50", "digits")
    assert facts["memory"] == "50 stored images"
    assert facts["attribution"] == "none"
    assert f"torch {about['versions']['torch']}" in facts["trained with"]
    assert origin.notes == ()
