"""How relevance is shown in a notebook."""

import base64
import io
import re
from dataclasses import replace

import numpy as np
import torch
from PIL import Image

import whence
from tests.helpers.explaining import SHAPE, build_with_memory
from whence.records.picture import NEGATIVE, POSITIVE
from whence.records.relevance import Relevance


def relevance(images, evidence):
    total = len(images)
    return Relevance(
        images=images,
        evidence=evidence,
        rest=None,
        score=torch.full((total,), 2.5),
        start=torch.zeros(total),
        ledger=None,
        target=("logit of <b>",) * total,
        method="gradient",
        options={},
        sentence="A slope & no more.",
    )


def pictures(text):
    found = re.findall(r"data:image/png;base64,([^\"]+)", text)
    return [np.array(Image.open(io.BytesIO(base64.b64decode(one)))) for one in found]


def test_a_notebook_shows_the_sum_over_channels_in_red_and_blue():
    images = torch.tensor([[[[3.0, -1.0]], [[1.0, -3.0]]]])  # (1, 2, 1, 2)
    text = relevance(images, (torch.zeros(0, 2, 1, 2),))._repr_html_()
    (shown,) = pictures(text)
    assert shown.tolist() == [[list(POSITIVE), list(NEGATIVE)]]
    assert "logit of &lt;b&gt;: 2.5<br>sum +0, full colour at ±4" in text
    assert "A slope &amp; no more." in text
    assert "<b>" not in text


def test_evidence_is_coloured_stronger_and_that_is_said():
    images = torch.full((1, 1, 1, 2), 1.0)
    evidence = torch.full((1, 1, 1, 3), -0.5)
    text = relevance(images, (evidence,))._repr_html_()
    own, other = pictures(text)
    assert own.tolist() == [[list(POSITIVE)] * 2]
    assert other.tolist() == [[list(NEGATIVE)] * 3]
    assert (
        "evidence image 1, 2 times stronger<br>sum \N{MINUS SIGN}1.5, full colour at ±0.5" in text
    )


def test_a_notebook_shows_ten_images_and_five_evidence_images_of_each():
    evidence = tuple(torch.ones(7, 1, 1, 1) for _ in range(11))
    text = relevance(torch.ones(11, 1, 1, 1), evidence)._repr_html_()
    assert len(pictures(text)) == 10 * 6
    assert text.count("and 2 more evidence images") == 10
    assert "1 more image not shown" in text
    few = replace(relevance(torch.ones(10, 1, 1, 1), evidence[:10]))
    assert "not shown" not in few._repr_html_()


def test_a_notebook_shows_what_attribute_found():
    model = build_with_memory().eval()
    found = whence.attribute(model, torch.rand(2, *SHAPE), steps=2)
    counts = [min(5, len(one)) for one in found.evidence]
    assert len(pictures(found._repr_html_())) == 2 + sum(counts)


def test_maps_of_zeros_are_said():
    images = torch.tensor([[[[0.0, 1.0]]], [[[0.0, 0.0]]], [[[0.0, -0.0]]]])
    found = relevance(images, (torch.zeros(0, 1, 1, 2),) * 3)
    zeros = "0: nothing that this method tries or reads there changes the score."
    assert found.words == f"A slope & no more. Every number of images 1, 2 is {zeros}"
    assert found.take(0).words == "A slope & no more."
    assert found.take(1).words == f"A slope & no more. Every number of the image is {zeros}"
    assert f"Every number of images 1, 2 is {zeros}" in found._repr_html_()


def test_the_largest_value_over_the_channels_is_a_view():
    images = torch.tensor([[[[3.0, -1.0]], [[1.0, -3.0]]]])  # (1, 2, 1, 2)
    seen = relevance(images, (2 * images,)).channel_maximum()
    assert seen.images.sum(1).tolist() == [[[3.0, 3.0]]]
    assert seen.evidence[0].sum(1).tolist() == [[[6.0, 6.0]]]
    assert seen.images.shape == images.shape
    assert seen.sentence.startswith("Of each pixel the largest size over its channels. A slope")
    assert seen.ledger is None
