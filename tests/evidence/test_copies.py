"""One rule for copies: an image with the same pixels is never evidence for itself."""

import pytest
import torch
from torch.testing import assert_close

import whence
from tests.helpers.explaining import build, draw_images
from whence.models.left_out import predict_left_out


@pytest.fixture(params=[30, 700])
def model(request):
    """Many of the stored images are there two or three times; the encoder sees them in batches."""
    some = draw_images(request.param // 2, seed=5)
    generator = torch.Generator().manual_seed(6)
    chosen = torch.randint(0, len(some), (request.param,), generator=generator)
    return build().remember(some[chosen], torch.arange(request.param) % 3, batch_size=7)


def test_a_stored_image_has_the_same_class_everywhere(model):
    stored = model.bank.images
    predicted = model.bank.predicted.tolist()
    assert [one.predicted for one in whence.predict(model, stored)] == predicted
    some = slice(0, 20)
    explained = whence.explain(model, stored[some], draws=0)
    assert [one.predicted for one in explained] == predicted[some]
    for suspicion in whence.find_suspicious(model, least=0):
        assert suspicion.predicted == predicted[suspicion.index]


def test_copies_have_equal_features_similarities_and_weights_lower_index_first(model):
    bank = model.bank
    assert bank.features.equal(
        bank.features[[places[0] for places in map(bank.places.get, bank.hashes)]]
    )
    images, shared = draw_images(12, seed=8), 0
    for found in (whence.predict(model, images), whence.explain(model, images, draws=0)):
        for answer in found:
            seen = {}
            for item in answer.evidence:
                seen.setdefault(bank.hashes[item.index], []).append(item)
            for copies in seen.values():
                assert len({(item.weight, item.similarity) for item in copies}) == 1
                indices = [item.index for item in copies]
                assert indices == sorted(indices)
                assert len(copies) == len(bank.places[bank.hashes[indices[0]]])
                shared += len(copies) > 1
    assert shared > 10, "pick a case with copies"


def test_the_own_class_is_that_without_the_copies():
    """Only Memory whose last layer passes the memory vector on: the answer is the neighbour's."""
    head = whence.OnlyMemory(2, 2, classifier="linear").requires_grad_(False)
    head.classifier.weight.copy_(torch.eye(2))
    head.classifier.bias.zero_()
    features = torch.tensor([[1.0, 0.9], [1.0, 0.9], [-1.0, 1.0]])
    for batch_size in (1, 3):
        found = predict_left_out(head, features, torch.tensor([0, 0, 1]), batch_size=batch_size)
        assert found.tolist() == [1, 1, 0]
    assert predict_left_out(head, features, torch.tensor([0, 1, 2])).tolist() == [0, 0, 0]
    assert predict_left_out(head, features, torch.tensor([4, 4, 4])).tolist() == [0, 0, 1]


def test_a_float_image_that_is_slightly_another_is_no_copy():
    images = draw_images(17, seed=2)
    model = build().remember(images)
    nearly = images[:1] / 255
    (same,) = whence.explain(model, nearly, draws=0)
    assert same.left_out == (0,)
    nearly = (nearly + 0.001).clamp(0, 1)  # the nearest uint8 are those of the stored image
    assert (nearly * 255).round().to(torch.uint8).equal(images[:1])
    (other,) = whence.explain(model, nearly, draws=0)
    assert other.left_out == ()
    assert other.evidence[0].index == 0


def test_a_memory_of_floats_knows_its_copies_after_it_was_saved(tmp_path):
    images = draw_images(9, seed=2) / 255 * 0.999
    model = build().remember(images)
    whence.save(model, tmp_path / "saved")
    loaded = whence.load(tmp_path / "saved", encoder=build().encoder)
    assert loaded.bank.hashes == model.bank.hashes
    (found,) = whence.explain(loaded, images[3:4], draws=0)
    assert found.left_out == (3,)
    assert_close(loaded.bank.images, images)
