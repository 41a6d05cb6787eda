"""Random labels and pixels: networks that fit them, and what is said of it."""

import json
from dataclasses import replace

import pytest
import torch
from PIL import Image
from torch import nn
from torch.nn import functional as F
from torch.testing import assert_close

from tests.helpers.study_images import draw_shades
from whence.cli import main
from whence.studies.parts.fit_labels import FittingRecipe, count_errors, fit_labels
from whence.studies.parts.randomise import (
    PIXEL_CHANGES,
    RandomisedData,
    corrupt_labels,
    randomise_data,
    whiten_images,
)
from whence.studies.parts.request import StudyRequest
from whence.studies.random_labels import study as whole
from whence.studies.random_labels.figures import draw_fits
from whence.studies.random_labels.gram import GramFit
from whence.studies.random_labels.judge import (
    RandomFindings,
    find_factors,
    judge_fitting,
    judge_images,
)
from whence.studies.random_labels.kernels_of_images import ExactRow, GramRow
from whence.studies.random_labels.networks import RANDOM_LABEL_NETWORKS
from whence.studies.random_labels.trainings import (
    HELD_BACK,
    PUBLISHED_ERRORS,
    Fitted,
    Fitting,
    FittingSize,
    average_fits,
    list_fittings,
)

TINY = FittingSize(images=20, tests=15, wide=0.05, epochs=60, least=2, batch=5, grams=40, filters=6)


@pytest.fixture
def draw():
    return torch.Generator().manual_seed(0)


@pytest.fixture
def dataset():
    return draw_shades()


@pytest.mark.parametrize(
    "name, published",
    [
        ("Inception", 1_649_402),
        ("AlexNet", 1_387_786),
        ("MLP 3x512", 1_735_178),
        ("MLP 1x512", 1_209_866),
    ],
)
def test_networks_have_the_published_numbers_of_parameters(name, published):
    for normalise in (True, False):
        with torch.device("meta"):
            network = RANDOM_LABEL_NETWORKS[name](
                (3, 28, 28), 10, wide=1.0, normalise=normalise, dropout=False
            )
        assert sum(one.numel() for one in network.parameters()) == published


@pytest.mark.parametrize("name", RANDOM_LABEL_NETWORKS)
def test_networks_take_any_size_and_what_holds_them_back(name, draw):
    images = torch.rand(3, 2, 9, 7, generator=draw)
    kinds = {}
    for normalise, dropout in ((True, True), (True, False), (False, False)):
        network = RANDOM_LABEL_NETWORKS[name](
            (2, 9, 7), 4, wide=0.1, normalise=normalise, dropout=dropout
        )
        assert network(images).shape == (3, 4)
        kinds[normalise, dropout] = {type(one) for one in network.modules()}
    assert nn.Dropout in kinds[True, True]
    assert nn.Dropout not in kinds[True, False]
    assert (nn.BatchNorm2d in kinds[True, False]) == (name == "Inception")
    assert nn.BatchNorm2d not in kinds[False, False]


def test_labels_are_replaced_by_uniform_classes_as_often_as_was_asked(draw):
    labels = torch.zeros(20_000, dtype=torch.int64)
    found = corrupt_labels(labels, 0.4, 5, generator=draw)
    counts = found.bincount(minlength=5) / 20_000
    assert_close(counts, torch.tensor([0.68, 0.08, 0.08, 0.08, 0.08]), atol=0.01, rtol=0)
    assert torch.equal(corrupt_labels(labels, 0.0, 5, generator=draw), labels)
    with pytest.raises(ValueError, match=r"share must be in \[0, 1\], got 1\.5\."):
        corrupt_labels(labels, 1.5, 5, generator=draw)


def test_shuffled_pixels_have_one_order_and_random_ones_an_order_each(draw):
    images = torch.arange(2 * 3 * 20.0).view(2, 3, 4, 5)
    tests = images[:1] + 1000
    shuffled, other = PIXEL_CHANGES["shuffled"](images, tests, generator=draw)
    order = shuffled[0, 0].flatten().long()
    assert sorted(order.tolist()) == list(range(20))
    assert order.tolist() != list(range(20))
    expected = torch.stack([one.flatten()[order] for one in images.flatten(0, 1)])
    assert torch.equal(shuffled.flatten(0, 1).flatten(1), expected)
    assert torch.equal(other[0], shuffled[0] + 1000)
    scattered, _ = PIXEL_CHANGES["random"](images, tests, generator=draw)
    first, second = (one.flatten(1) - one.flatten(1).amin(1, keepdim=True) for one in scattered)
    assert torch.equal(first[0], first[2])
    assert not torch.equal(first[0], second[0])
    assert torch.equal(scattered.flatten(2).sort(2).values, images.flatten(2))


def test_gaussian_pixels_have_mean_and_deviation_of_each_channel(draw):
    images = torch.rand(500, 2, 6, 6, generator=draw) * torch.tensor([1.0, 0.1])[:, None, None]
    drawn, tests = PIXEL_CHANGES["Gaussian"](images, images[:7], generator=draw)
    assert tests.shape == (7, 2, 6, 6)
    assert_close(drawn.mean((0, 2, 3)), images.mean((0, 2, 3)), atol=0.01, rtol=0)
    assert_close(drawn.std((0, 2, 3)), images.std((0, 2, 3)), atol=0.01, rtol=0)


def test_each_image_is_brought_to_mean_0_and_deviation_1(draw):
    images = torch.rand(4, 2, 3, 5, generator=draw)
    images[1] = 0.5
    found = whiten_images(images)
    assert_close(found.mean((1, 2, 3)), torch.zeros(4), atol=1e-6, rtol=0)
    spread = found.flatten(1).std(1, correction=0)
    assert_close(spread, torch.tensor([1.0, 0.0, 1.0, 1.0]))


def test_only_training_labels_become_random(dataset, draw):
    data = randomise_data(dataset, "as they are", 1.0, generator=draw)
    assert torch.equal(data.test_labels, dataset.test.labels)
    assert 0.3 < (data.labels != dataset.train.labels).float().mean() < 0.7
    assert_close(data.images, whiten_images(dataset.train.images.float() / 255), atol=1e-5, rtol=0)


def line_of_four():
    images = torch.tensor([-2.0, -1.0, 1.0, 2.0]).view(4, 1, 1, 1)
    return RandomisedData(images, torch.tensor([0, 0, 1, 1]), images[:3], torch.tensor([1, 0, 1]))


def test_training_stops_where_all_labels_are_fitted_and_not_before_the_least_epochs(draw):
    data = line_of_four()
    network = nn.Sequential(nn.Flatten(), nn.Linear(1, 2))
    with torch.no_grad():
        network[1].weight.copy_(torch.tensor([[1.0], [-1.0]]))  # all wrong
        network[1].bias.zero_()
    curve = fit_labels(network, data, FittingRecipe(0.5, 50, 9, batch=4), draw)
    assert curve.train_errors[0] == 1.0 or curve.fitted == 1
    assert curve.fitted < 9 == len(curve.losses) == len(curve.test_errors)
    assert curve.train_errors[curve.fitted - 1] == 0 < curve.losses[-1] < curve.losses[0]
    assert curve.test_errors[-1] == pytest.approx(1 / 3)
    never = fit_labels(nn.Sequential(nn.Flatten(), nn.Linear(1, 2)), data._replace(labels=torch.tensor([0, 1, 0, 1])), FittingRecipe(0.1, 3, 1), draw)  # fmt: skip
    assert never.fitted is None
    assert len(never.losses) == 3


@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
def test_the_first_step_is_that_of_gradient_descent_with_decay(weight_decay, draw):
    data, network = line_of_four(), nn.Sequential(nn.Flatten(), nn.Linear(1, 2))
    start = network[1].weight.detach().clone()
    loss = F.cross_entropy(network(data.images), data.labels)
    slope = torch.autograd.grad(loss, network[1].weight)[0]
    recipe = FittingRecipe(0.5, 1, 1, batch=4, weight_decay=weight_decay)
    curve = fit_labels(network, data, recipe, draw)
    assert curve.losses == [pytest.approx(float(loss.detach()))]
    expected = start - 0.5 * (slope + weight_decay * start)
    assert_close(network[1].weight.detach(), expected)


def test_shifts_change_what_is_trained_on(draw):
    images = torch.rand(6, 1, 16, 16, generator=draw)
    data = RandomisedData(images, torch.arange(6) % 2, images, torch.arange(6) % 2)
    losses = []
    for crop in (False, True):
        torch.manual_seed(0)
        network = nn.Sequential(nn.Flatten(), nn.Linear(256, 2))
        recipe = FittingRecipe(0.1, 1, 1, crop=crop)
        losses.append(fit_labels(network, data, recipe, torch.Generator()).losses[0])
    assert losses[0] != losses[1]


def test_errors_are_counted_without_dropout():
    network = nn.Sequential(nn.Flatten(), nn.Dropout(0.999))
    images = torch.eye(4).view(4, 1, 2, 2)
    assert count_errors(network.train(), images, torch.tensor([0, 1, 2, 0])) == 0.25


def fitted(error, epochs, train_error=0.0):
    return Fitted(train_error, error, error, epochs, [1.0, 0.5], [0.9, error])


def findings(dataset, *, slow=30.0, largest=1e-9, errors=(0.1, 0.5, 0.9)):
    networks = {
        Fitting("AlexNet", share=share): fitted(error, epochs)
        for share, error, epochs in zip((0, 0.5, 1), errors, (10.0, 20.0, slow), strict=True)
    }
    networks |= {Fitting("AlexNet", "random"): fitted(0.9, 8.0)}
    grams = [
        GramRow(name, "Gaussian", ridge, noise, GramFit(0.0, 0.2, 5.0))
        for name, ridge, noise in (
            ("raw pixels", False, False),
            ("raw pixels", True, False),
            ("Gabor", False, False),
            ("raw pixels", False, True),
        )
    ]
    return RandomFindings(
        networks, grams, ExactRow(60, 36, 156, 0.0, largest), (0, 0.5, 1), dataset, 24
    )


def test_the_claim_needs_every_part(dataset):
    found = judge_fitting(findings(dataset))
    assert found.holds
    for words in ("4 of 4 trainings", "3.0 to 3.0 times", "at least 1.00", "156 = 2 x 60 + 36"):
        assert words in found.verdict
    assert "Not borne out" not in found.verdict
    for broken, what in (
        ({"slow": 101.0}, "random labels take 10.1 to 10.1 times"),
        ({"slow": None}, "3 of 4 trainings"),
        ({"largest": 1e-3}, "fits any numbers up to 1e-03"),
        ({"errors": (0.1, 0.9, 0.5)}, "rank correlation at least 0.50"),
    ):
        judged = judge_fitting(findings(dataset, **broken))
        assert judged.holds is False
        assert what in judged.verdict.split("Not borne out: ")[1]
    worse = findings(dataset)
    worse.grams[0] = worse.grams[0]._replace(fit=GramFit(0.1, 0.2, 5.0))
    assert "2 of 3 Gaussian kernels" in judge_fitting(worse).verdict.split("Not borne out: ")[1]


def test_a_users_images_get_a_verdict_in_plain_words(dataset):
    judged = judge_images(findings(dataset))
    assert judged.holds is None
    assert judged.verdict.startswith("A small network (AlexNet) learnt 100% of the labels by heart")
    assert "in 3.0 times the time that your labels take" in judged.verdict
    assert "answers 90% of the test images right, with random ones 10%" in judged.verdict
    assert judged.verdict.endswith("always saying the largest class gets 50%.")
    assert judged.sentences[0].startswith("So your labels have to do with")
    assert "Full marks on training images therefore say nothing" in judged.verdict
    assert len(judged.sentences) == 2
    weak = findings(dataset)
    weak.networks[Fitting("AlexNet", share=1)] = fitted(0.9, None, train_error=0.4)
    assert "learnt 60% of the labels by heart" in judge_images(weak).verdict
    assert "It does not learn just any labels" in judge_images(weak).verdict
    unsure = judge_images(findings(dataset, errors=(0.4, 0.5, 0.6), slow=None))
    assert unsure.sentences[0].startswith("So no sign was found")
    assert "times the time" not in unsure.verdict


def test_seeds_are_averaged_where_each_training_ended():
    one = {"train_errors": [0.5, 0.0, 0.1], "test_errors": [0.2, 0.4], "losses": [2.0], "fitted": 2}
    other = {"train_errors": [0.2], "test_errors": [0.6], "losses": [9.0], "fitted": 4}
    assert average_fits([one, other]) == Fitted(
        0.1, 0.5, pytest.approx(0.4), 3.0, [2.0], [0.2, 0.4]
    )
    assert average_fits([one, {**other, "fitted": None}]).epochs is None
    assert find_factors({Fitting("a"): fitted(0.1, 4.0), Fitting("a", share=1): fitted(1, 6.0)}) == {"a": 1.5}  # fmt: skip


def test_published_rows_are_named_and_kept_apart():
    assert Fitting("Inception", share=0.4).describe_data() == "40% of the labels random"
    assert Fitting("Inception", "shuffled").describe_data() == "shuffled pixels"
    assert Fitting("a", crop=True, normalise=False).describe_regularisers() == "crop, no BatchNorm"
    names = {one.name_part(0) for one in (*PUBLISHED_ERRORS, *HELD_BACK)}
    assert len(names) == len({*PUBLISHED_ERRORS, *HELD_BACK})
    assert PUBLISHED_ERRORS[Fitting("Inception", share=1.0)] == pytest.approx(1 - 0.0978)


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(whole, "SMALL_SIZE", TINY)
    monkeypatch.setattr(whole, "RANDOM_LABEL_NETWORKS", {"MLP 1x512": None})
    monkeypatch.setattr(whole, "LABEL_SHARES", (0.0, 1.0))
    monkeypatch.setattr(whole, "HELD_BACK", (Fitting("MLP 1x512", weight_decay=True),))
    monkeypatch.setattr(whole, "draw_stopping", lambda found, _: whole.draw_fits(found, (0.0, 1.0), "MLP 1x512", 10))  # fmt: skip


def test_the_study_lays_out_every_training_and_keeps_it(small, tmp_path):
    request = StudyRequest(seeds=2, out=tmp_path)
    found = whole.random_labels(request)
    rows = {row[:3]: row for row in found.rows}
    true, random = (rows["MLP 1x512", f"{word} labels", "none"] for word in ("true", "random"))
    assert true[3] == 0
    assert random[3] == 0
    assert true[4] < random[4]
    assert true[7] == 1
    assert random[7] == pytest.approx(random[6] / true[6])
    assert true[9] == "49.5% (CIFAR-10)"
    assert rows["Gaussian kernel, raw pixels", "true labels", "none"][3] == 0
    assert found.made_with["seeds"] == "0 to 1"
    assert len(found.made_with["train_fingerprint"]) == 64
    assert found.holds in (True, False)
    assert len(found.figures) == 2
    assert found.figures[0].png.startswith(b"\x89PNG")
    kept = sorted((tmp_path / "random_labels-parts").iterdir())
    assert len(kept) == 2 * 6 + 13
    content = json.loads(kept[-1].read_text())
    content["found"]["fitted"] = 7000
    for path in kept:
        if "random_labels_none" in path.name:
            part = json.loads(path.read_text())
            part["found"]["fitted"] = 7000
            path.write_text(json.dumps(part))
    again = {row[:3]: row for row in whole.random_labels(request).rows}
    assert again["MLP 1x512", "random labels", "none"][6] == 7000


def test_a_network_that_fits_no_labels_is_drawn_without_its_times():
    found = {one: fitted(0.5, None) for one in list_fittings(("AlexNet",), (0.0, 0.5, 1.0))}
    assert draw_fits(found, (0.0, 0.5, 1.0), "AlexNet", 10).png.startswith(b"\x89PNG")


def test_kernels_are_chosen_on_images_of_every_class(monkeypatch, dataset):
    """Images of a folder stand class by class, and kernels are chosen on the first ones."""
    order = dataset.train.labels.argsort(stable=True)
    seen = {}

    def look(some, *_):
        seen["labels"] = some.train.labels
        raise StopIteration

    monkeypatch.setattr(whole, "try_grams", look)
    sorted_images = replace(dataset, train=dataset.train.take(order))
    with pytest.raises(StopIteration):
        whole.fit_everything(
            StudyRequest(), sorted_images, TINY._replace(grams=100), [], (), own=True
        )
    assert len(seen["labels"]) == len(order)
    assert 0 < int(seen["labels"][: len(order) // 3].sum()) < len(order) // 3


def test_a_folder_of_a_users_images_gets_a_verdict(monkeypatch, tmp_path, capsys, dataset):
    monkeypatch.setattr(whole, "SMALL_SIZE", TINY)
    monkeypatch.setattr(whole, "OWN_NETWORKS", ("MLP 1x512",))
    for name, level in (("dark", 0), ("light", 1)):
        folder = tmp_path / "images" / name
        folder.mkdir(parents=True)
        for place, image in enumerate(dataset.train.images[dataset.train.labels == level]):
            Image.fromarray(image[0].numpy()).save(folder / f"{place}.png")
    assert main(["study", "random_labels", str(tmp_path / "images"), "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["holds"] is None
    assert printed["verdict"].startswith("A small network (MLP 1x512) learnt 100% of the labels")
    assert main(["study", "random_labels", str(tmp_path / "nothing")]) == 2
    assert "there is no such folder" in capsys.readouterr().err
