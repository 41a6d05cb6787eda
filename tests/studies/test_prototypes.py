"""The study of prototypes: distances, losses, push and last layer against slow second computations."""

import io

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.optimize import minimize
from torch.testing import assert_close

from whence.data.load import load_dataset
from whence.records.images import Dataset, ImageSet
from whence.report.cards import draw_picture
from whence.seeds import make_generator
from whence.studies.parts.request import StudyRequest
from whence.studies.prototypes.ask_parts import PrototypeSizes, ask_parts, explain_parts
from whence.studies.prototypes.page import FRAME, frame_patch
from whence.studies.prototypes.part_network import PartNetwork, PatchEncoder, PlainNetwork, liken
from whence.studies.prototypes.study import STAGES_OF_PARTS, report_parts, study_prototypes
from whence.studies.prototypes.train_parts import (
    cluster_and_separate,
    fit_last_layer,
    push_prototypes,
    share_right,
    train_in_batches,
)
from whence.training.loop import seeded

TINY = PrototypeSizes(images=60, epochs=1, each=2, steps=3, vote_epochs=2, shown=2)


@pytest.fixture
def network():
    with seeded(0, torch.device("cpu")):
        return PartNetwork(PatchEncoder(1, 8), 3, 2)


@pytest.fixture
def images():
    return torch.rand(7, 1, 8, 8, generator=make_generator(1))


LABELS = torch.tensor([0, 1, 2, 0, 1, 2, 2])


def test_distances_and_logits_are_those_of_every_patch(network, images):
    patches = network.encoder(images)
    found = network.measure_patches(images)
    assert patches.shape == (7, 16, 4, 4)
    assert found.shape == (7, 6, 4, 4)
    for prototype in range(6):
        away = patches - network.prototypes[prototype][:, None, None]
        assert_close(found[:, prototype], away.square().sum(1), rtol=1e-4, atol=1e-5)
    logits, nearest = network.compare(images)
    assert_close(nearest, found.amin((2, 3)))
    similar = torch.log((nearest + 1) / (nearest + 1e-4))
    assert_close(liken(nearest), similar)
    own = torch.tensor([[1, 1, 0, 0, 0, 0], [0, 0, 1, 1, 0, 0], [0, 0, 0, 0, 1, 1]]).bool()
    expected = (similar[:, None] * torch.where(own, 1.0, -0.5)).sum(2)
    assert_close(logits, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("side", [8, 16])
def test_patches_see_the_pixels_that_are_named(side):
    with seeded(0, torch.device("cpu")):
        encoder = PatchEncoder(2, side).double()
    for pool in (one for one in encoder.layers if isinstance(one, torch.nn.MaxPool2d)):
        pool.forward = lambda some: torch.nn.functional.avg_pool2d(some, 2)
    for one in encoder.layers:
        if isinstance(one, torch.nn.Conv2d):
            one.weight.data.abs_()
            one.bias.data.fill_(0.1)
    images = torch.rand(1, 2, side, side, generator=make_generator(0)).double() + 0.6
    images.requires_grad_()
    patches = encoder.layers[:-1](images)
    for row, column in ((0, 0), (1, 2), (patches.shape[2] - 1, 1)):
        (slope,) = torch.autograd.grad(patches[0, :, row, column].sum(), images, retain_graph=True)
        seen = (slope[0].sum(0) != 0).nonzero()
        box = (*seen.amin(0).tolist(), *(seen.amax(0) + 1).tolist())
        assert encoder.locate(row, column, side) == box


def test_cluster_and_separation_are_means_of_the_nearest():
    nearest = torch.tensor([[1.0, 4.0, 3.0, 2.0], [5.0, 0.5, 7.0, 6.0]])
    owners = torch.tensor([0, 0, 1, 1])
    cluster, separation = cluster_and_separate(nearest, torch.tensor([0, 1]), owners)
    assert float(cluster) == (1 + 6) / 2
    assert float(separation) == -(2 + 0.5) / 2


def test_prototypes_become_the_nearest_patch_of_their_class(network, images):
    before = network.prototypes.detach().clone()
    patches = network.encoder(images).detach()
    origins = push_prototypes(network, images, LABELS)
    for one, (image, row, column, moved) in enumerate(origins):
        owner = int(network.owners[one])
        distances = {
            (place, h, w): float((patches[place, :, h, w] - before[one]).norm())
            for place in range(7)
            if LABELS[place] == owner
            for h in range(4)
            for w in range(4)
        }
        assert (image, row, column) == min(distances, key=distances.get)
        assert moved == pytest.approx(distances[image, row, column], rel=1e-3)
        assert_close(network.prototypes[one], patches[image, :, row, column])
    assert_close(network.compare(images)[1].amin(0), torch.zeros(6), rtol=0, atol=1e-5)


def test_the_last_layer_is_the_best_there_is(network):
    images = torch.rand(40, 1, 8, 8, generator=make_generator(3))
    labels = torch.randint(3, (40,), generator=make_generator(4))
    push_prototypes(network, images, labels)
    own = network.owners == torch.arange(3)[:, None]
    with torch.no_grad():
        similar = liken(network.compare(images)[1]).double().numpy()

    def cost(flat):
        weights = flat.reshape(3, 6)
        logits = torch.from_numpy(similar @ weights.T)
        loss = torch.nn.functional.cross_entropy(logits, labels)
        return float(loss) + 0.005 * np.abs(weights[~own.numpy()]).sum()

    losses = fit_last_layer(network, images, labels, steps=3000, sparse=0.005)
    found = network.weights.detach().double().numpy()
    assert losses[-1] == pytest.approx(cost(found.ravel()), rel=1e-3)
    assert losses[-1] < losses[0]
    # the same with scipy: each weight as a difference of two that are at least 0
    free = own.numpy().ravel()

    def split(flat):
        weights = flat[:18] - flat[18:]
        loss = cost(weights) - 0.005 * np.abs(weights[~free]).sum()
        return loss + 0.005 * flat.reshape(2, 18)[:, ~free].sum()

    start = np.concatenate([np.maximum(found.ravel(), 0), np.maximum(-found.ravel(), 0)]) * 0.5
    best = minimize(
        split, start, method="L-BFGS-B", bounds=[(0, None)] * 36, options={"maxfun": 100_000}
    )
    assert losses[-1] < best.fun + 1e-3
    fit_last_layer(network, images, labels, steps=300, sparse=0.05)
    assert bool((network.weights[~own] == 0).any())


def test_the_last_layer_stays_while_all_else_learns(network, images):
    weights, prototypes = network.weights.detach().clone(), network.prototypes.detach().clone()
    train_in_batches(network, images, LABELS, epochs=1, generator=make_generator(0), batch=4)
    assert_close(network.weights.detach(), weights)
    assert not torch.equal(network.prototypes.detach(), prototypes)


def test_both_networks_learn():
    found = load_dataset("digits").train
    pixels, labels = found.images[:120].float() / 255, found.labels[:120]
    for kind in (PartNetwork, PlainNetwork):
        with seeded(0, torch.device("cpu")):
            rest = (2,) if kind is PartNetwork else (8,)
            network = kind(PatchEncoder(1, 8), 10, *rest)
            train_in_batches(network, pixels, labels, epochs=30, generator=make_generator(0))
        assert share_right(network, pixels, labels) > 0.6


def test_an_answer_is_explained_by_what_adds_most_to_it(network, images):
    origins = push_prototypes(network, images, LABELS)
    found = explain_parts(network, images[2], origins, 8)
    logits, nearest = network.compare(images[2:3])
    assert found["answer"] == int(logits.argmax())
    own = (network.owners == found["answer"]).nonzero().squeeze(1)
    scores = liken(nearest[0, own]) * network.weights[found["answer"], own]
    assert [one["score"] for one in found["parts"]] == pytest.approx(
        scores.sort(descending=True).values.tolist(), rel=1e-4
    )
    assert all(LABELS[one["image"]] == found["answer"] for one in found["parts"])


def test_a_frame_is_drawn_round_the_patch():
    image = torch.full((1, 8, 8), 7, dtype=torch.uint8)
    found = frame_patch(image, (2, 0, 6, 3))
    assert found.shape == (3, 96, 96)
    frame = (found == torch.tensor(FRAME, dtype=torch.uint8)[:, None, None]).all(0)
    places = frame.nonzero()
    assert places.amin(0).tolist() == [24, 0]
    assert (places.amax(0) + 1).tolist() == [72, 36]
    assert not bool(frame[30, 10])
    assert draw_picture(found, "a patch").width == 96


def test_the_claim_is_judged_by_every_seed():
    one = dict.fromkeys(STAGES_OF_PARTS, 0.9) | {"plain": 0.93, "prototypes": 20, "distinct": 18}
    one |= {"used": 20, "zero": 0.5, "moved": 0.1, "examples": []}
    images = load_dataset("digits")
    assert report_parts([one], images, {}).holds
    found = report_parts([one, one | {"plain": 0.94}], images, {})
    assert not found.holds
    assert "the seed that loses most loses 4.0 points" in found.verdict
    assert "loses 0.0 points" in report_parts([one | {"plain": 0.8}], images, {}).verdict
    assert "Of 20 prototypes 2 collapsed onto the patch of another; 20" in found.sentences[0]


def test_the_whole_study_is_kept_and_read_again(tmp_path, monkeypatch):
    images = load_dataset("digits")
    small = Dataset("digits", images.train.take(range(60)), images.test.take(range(20)))
    request = StudyRequest(seeds=1, out=tmp_path)
    found = study_prototypes(small, TINY, request)
    assert [row[0] for row in found.rows] == [*STAGES_OF_PARTS.values()]
    assert all(0 <= number <= 1 for row in found.rows for number in row[1:])
    monkeypatch.setattr("whence.studies.prototypes.study.ask_parts", lambda *_: 1 / 0)
    assert study_prototypes(small, TINY, request) == found
    (section,) = found.sections
    badges = [card.badge for card in section.blocks[1].shown[0].cards]
    assert badges[:4] == ["this", "looks like that"] * 2
    assert set(badges[4:]) == {"votes"}
    (figure,) = found.figures
    assert Image.open(io.BytesIO(figure.png)).width == 6 * 210  # this and that, three times


def test_images_that_are_not_square_are_refused():
    images = load_dataset("digits").train.take(range(3))
    wide = ImageSet(images.images[:, :, :6], images.labels, images.class_names)
    with pytest.raises(ValueError, match="images must be square, got 6 x 8 pixels"):
        study_prototypes(Dataset("wide", wide, wide), TINY, StudyRequest())


def test_images_that_stand_class_by_class_are_drawn_and_shown_from_all_classes(monkeypatch):
    images = load_dataset("digits").train.take(range(300))
    order = images.labels.argsort(stable=True)
    data = Dataset("sorted", images.take(order), images.take(order))
    seen = {}
    known = ask_parts(Dataset("few", images.take(range(60)), data.test), TINY, 0)
    shown = [one["image"] for one in known["examples"]]
    assert shown == [0, 299]

    def look(given, *_):
        seen["classes"] = given.train.labels.unique().tolist()
        return known | {"examples": []}

    monkeypatch.setattr("whence.studies.prototypes.study.ask_parts", look)
    study_prototypes(data, TINY, StudyRequest(seeds=1))
    assert seen["classes"] == [*range(10)]
