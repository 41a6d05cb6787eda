"""Pseudo-labels, against what single answers say."""

import pytest
import torch

from tests.helpers.explaining import build_with_memory, draw_images
from tests.helpers.overviews import CALIBRATION
from whence.evidence.predict import predict
from whence.evidence.pseudo_labels import choose_pseudo_labels, judge_unlabelled
from whence.models.using import encode_all


def judge(calibrated=True):
    model, images = build_with_memory(), draw_images(23, seed=8)
    if calibrated:
        model.calibration = CALIBRATION
    return predict(model, images), judge_unlabelled(model, encode_all(model, images), batch_size=5)


@pytest.mark.parametrize("by", ["calibrated", "confidence"])
def test_likely_right_answers_are_taken_with_their_probability(by):
    answers, judged = judge()
    risks = [
        one.error_probability if by == "calibrated" else 1 - float(one.probabilities.max())
        for one in answers
    ]
    limit = sorted(risks)[9] + 1e-4
    found = choose_pseudo_labels(judged, limit, by=by)
    wanted = [place for place, risk in enumerate(risks) if risk <= limit]
    assert found.places.tolist() == wanted
    assert 0 < len(wanted) < 23
    assert found.labels.tolist() == [answers[place].predicted for place in wanted]
    assert found.errors.tolist() == pytest.approx([risks[place] for place in wanted], abs=1e-5)
    other = choose_pseudo_labels(judged, 0.999, by="confidence")
    same = set(found.errors.tolist()) <= set(other.errors.tolist())
    assert same == (by == "confidence")


def test_an_image_at_the_limit_is_taken():
    _, judged = judge()
    errors = torch.tensor([0.25, 0.5, 0.125])
    judged = judged._replace(predicted=torch.tensor([2, 1, 0]), errors=errors)
    assert choose_pseudo_labels(judged, 0.25).places.tolist() == [0, 2]


def test_all_that_fall_out_is_one_sentence():
    _, judged = judge()
    with pytest.raises(ValueError, match=r"None of 23 unlabelled images is taken up.*above 1e-09"):
        choose_pseudo_labels(judged, 1e-9)


@pytest.mark.parametrize(
    "limit, by, message",
    [
        (0.0, "calibrated", "limit must be above 0 and below 1, got 0.0"),
        (1, "calibrated", "limit must be above 0 and below 1, got 1"),
        (0.1, "luck", "by must be one of calibrated, confidence, got 'luck'"),
        (0.1, "calibrated", "need a calibrated model"),
    ],
)
def test_what_does_not_fit_is_refused(limit, by, message):
    _, judged = judge(calibrated=False)
    with pytest.raises(ValueError, match=message):
        choose_pseudo_labels(judged, limit, by=by)
