"""Taylor: exact on a line, roots on the way to the nearest stored image of another class."""

import pytest
import torch
from torch.testing import assert_close

import whence
from tests.helpers.attributing import Net, as_pixels, make
from whence.attribution import METHODS
from whence.attribution.score import FunctionScore


def test_on_a_line_nothing_is_left():
    generator = torch.Generator().manual_seed(0)
    weights, images = (torch.randn(3, 2, 4, 5, generator=generator).double() for _ in "ab")
    score = FunctionScore(lambda some, rows: (weights[rows] * some).sum((1, 2, 3)))
    rivals = -images * torch.tensor([2.0, 0.5, -0.5]).view(3, 1, 1, 1)
    found = METHODS["taylor"](score, images, rivals=rivals)
    values = score(images)
    assert_close(found.start, values * torch.tensor([0, 0, 0.75]), rtol=0, atol=1e-7)
    assert_close(found.images.sum((1, 2, 3)), values - found.start, rtol=0, atol=1e-10)
    assert_close(found.images[:2], (weights * images)[:2], rtol=0, atol=1e-7)
    assert "the root of the score for 2 of 3 images; for the others it does not" in found.sentence


@pytest.mark.parametrize("variant", ["memory-wrap", "only-memory", "votes"])
def test_the_nearest_stored_image_of_another_class_is_the_other_end(images, stored, variant):
    labels = [0, 1, 2, 3, 0, 1, 2, 3 if variant == "votes" else -1, 1]
    model = make(variant).remember(torch.cat([stored, images[[0, 2]]]), labels)
    answers = [one.predicted for one in whence.predict(model, images)]
    places = []
    for row, image in enumerate(as_pixels(images)):
        mask = [not torch.equal(images[row], one) for one in model.bank.images]
        distances = (as_pixels(model.bank.images) - image).square().sum((1, 2, 3))
        others = [p for p in range(9) if labels[p] not in (-1, answers[row]) and mask[p]]
        places.append(min(others, key=lambda place: distances[place]))
    found = whence.attribute(model, images, "taylor")
    expected = whence.attribute(model, images, "taylor", rivals=model.bank.images[places])
    assert_close(found.images, expected.images, rtol=0, atol=1e-12)
    assert_close(found.start, expected.start, rtol=0, atol=1e-12)
    assert found.images.flatten(1).any(1).all()
    assert "nearest stored image" in found.sentence
    assert "Evidence images stay as they are" in found.sentence
    assert found.ledger["evidence"].tolist() == [0] * len(images)


def test_a_difference_of_logits_starts_where_both_are_equal(images):
    model = make("standard")
    logits = model(images)
    pair = (int(logits[0].argmax()), int(logits[0].argmin()))
    found = whence.attribute(
        model, images[:1], "taylor", pair, rivals=as_pixels(images[1:2]), batch_size=1
    )
    one, other = (model(as_pixels(some))[0] for some in (images[:1], images[1:2]))
    crossed = bool((one[pair[0]] - one[pair[1]]) * (other[pair[0]] - other[pair[1]]) <= 0)
    assert crossed == ("does not cross 0" not in found.sentence)
    assert crossed == (abs(float(found.start[0])) < 1e-6)


def test_without_an_image_of_another_class_it_is_refused(images, stored):
    with pytest.raises(ValueError, match=r"taylor needs rivals, .* the model has no stored images"):
        whence.attribute(make("standard"), images, "taylor")
    model = make().remember(stored)
    with pytest.raises(ValueError, match=r"of another class than that of image 0, .* give rivals"):
        whence.attribute(model, images, "taylor")
    network = Net().double().eval()
    for rivals, message in (
        (torch.rand(2, 2, 8, 7), r"rivals must be \(B, C, H, W\) with B=3, got shape \(2, 2, 8, 7"),
        (torch.full((3, 2, 8, 7), torch.nan), r"rivals must be finite numbers, got numbers from"),
    ):
        with pytest.raises(ValueError, match=message):
            whence.attribute(network, as_pixels(images), "taylor", rivals=rivals)
    with pytest.raises(ValueError, match=r"rivals must be in \[0, 1\], as pixels are"):
        whence.attribute(model, images, "taylor", rivals=torch.full((3, 2, 8, 7), 1.5))
