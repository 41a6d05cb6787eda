"""Random labels: published sizes, closed forms, slow second computations, and a small study."""

import json
import math

import pytest
import torch
from sklearn.kernel_ridge import KernelRidge
from sklearn.metrics.pairwise import rbf_kernel
from torch import nn
from torch.nn import functional as F
from torch.testing import assert_close

from whence.cli import main
from whence.records.images import Dataset, ImageSet
from whence.studies.parts.request import StudyRequest
from whence.studies.random_labels import study as whole
from whence.studies.random_labels.exact_network import build_exact_network
from whence.studies.random_labels.filtered import (
    cut_filters,
    draw_gabor,
    gabor_features,
    random_filter_features,
)
from whence.studies.random_labels.fit_labels import FittingRecipe, count_errors, fit_labels
from whence.studies.random_labels.gram import (
    GramFit,
    GramRecipe,
    answer_left_out,
    choose_gram,
    compare_features,
    fit_gram,
    solve_few_features,
    solve_gram,
)
from whence.studies.random_labels.judge import (
    RandomFindings,
    find_factors,
    judge_fitting,
    judge_images,
)
from whence.studies.random_labels.kernels_of_images import ExactRow, GramRow, try_exact_network
from whence.studies.random_labels.networks import RANDOM_LABEL_NETWORKS
from whence.studies.random_labels.randomise import (
    PIXEL_CHANGES,
    RandomisedData,
    corrupt_labels,
    randomise_data,
    whiten_images,
)
from whence.studies.random_labels.trainings import (
    HELD_BACK,
    PUBLISHED_ERRORS,
    Fitted,
    Fitting,
    FittingSize,
    average_fits,
)

TINY = FittingSize(images=20, tests=15, wide=0.05, epochs=60, least=2, batch=5, grams=40, filters=6)


@pytest.fixture
def draw():
    return torch.Generator().manual_seed(0)


@pytest.fixture
def dataset():
    """Two classes of 6 x 5 pixels, dark and light, told apart with a glance."""
    generator = torch.Generator().manual_seed(1)

    def make(count):
        labels = torch.arange(count) % 2
        noise = torch.randint(0, 90, (count, 1, 6, 6), generator=generator)
        return ImageSet(
            (noise + 120 * labels[:, None, None, None]).byte(), labels, ("dark", "light")
        )

    return Dataset("shades", make(60), make(24))


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


def test_a_network_of_2n_plus_d_weights_fits_any_numbers(draw):
    points = torch.rand(40, 7, generator=draw, dtype=torch.float64)
    values = torch.randn(40, generator=draw, dtype=torch.float64)
    network = build_exact_network(points, values, generator=draw)
    assert network.parameters == 2 * 40 + 7
    assert_close(network(points), values, atol=1e-9, rtol=0)
    asked = torch.rand(3, 7, generator=draw, dtype=torch.float64)
    slow = [
        sum(
            float(w) * max(float(one @ network.direction) - float(b), 0.0)
            for w, b in zip(network.weights, network.biases, strict=True)
        )
        for one in asked
    ]
    assert_close(network(asked), torch.tensor(slow, dtype=torch.float64))
    heights = points @ network.direction
    middle = (heights.sort().values[3:5]).mean()  # between two neighbours it is a straight line
    near = values[heights.argsort()[3:5]].mean()
    along = network.direction / network.direction.square().sum()
    assert_close(network((middle * along)[None])[0], near)


def test_a_network_of_one_point_and_points_that_are_copies(draw):
    one = build_exact_network(torch.tensor([[2.0, 3.0]]), torch.tensor([5.0]), generator=draw)
    assert_close(one(torch.tensor([[2.0, 3.0]])), torch.tensor([5.0], dtype=torch.float64))
    with pytest.raises(ValueError, match="points must differ, 1 of 3 are copies; leave them out"):
        build_exact_network(torch.tensor([[0.0], [1.0], [0.0]]), torch.ones(3), generator=draw)
    near = torch.tensor([[1.0], [1.0 + 1e-14]], dtype=torch.float64)
    with pytest.raises(ValueError, match="points must differ in some direction"):
        build_exact_network(near, torch.ones(2), generator=draw)


def test_copies_of_images_are_left_out_of_theorem_1(dataset):
    images = torch.cat([dataset.train.images, dataset.train.images[:5]])
    labels = torch.cat([dataset.train.labels, dataset.train.labels[:5]])
    more = Dataset("more", ImageSet(images, labels, ("dark", "light")), dataset.test)
    found = try_exact_network(more, 0)
    assert (found.images, found.pixels, found.parameters) == (60, 36, 2 * 60 + 36)
    assert found.label_error == 0
    assert found.largest < 1e-8


@pytest.mark.parametrize("ridge", [0.0, 0.03])
def test_kernel_regression_is_scikit_learns(ridge, draw):
    features = torch.randn(25, 4, generator=draw)
    targets = torch.randn(25, 3, generator=draw, dtype=torch.float64)
    gram = compare_features(features, features, 1.5)
    width = 1 / (2 * 1.5**2)
    assert_close(gram, torch.from_numpy(rbf_kernel(features.double().numpy(), gamma=width)))
    alpha = solve_gram(gram, targets, ridge)
    other = KernelRidge(alpha=max(ridge, 1e-15), kernel="precomputed").fit(
        gram.numpy(), targets.numpy()
    )
    assert_close(alpha, torch.from_numpy(other.dual_coef_), atol=1e-8, rtol=1e-8)


def test_of_several_solutions_the_shortest_is_taken(draw):
    features = torch.randn(9, 3, generator=draw, dtype=torch.float64)
    targets = torch.randn(9, 2, generator=draw, dtype=torch.float64)
    alpha = solve_gram(compare_features(features, features, None), targets, 0.0)
    expected = torch.linalg.lstsq(features, targets, driver="gelsd").solution
    assert_close(features.T @ alpha, expected)
    features[:, 2] = features[:, 0]  # and where features say the same
    gram = compare_features(features, features, None)
    assert_close(solve_few_features(features, targets), solve_gram(gram, targets, 0.0))
    known, labels = features[:5], torch.tensor([0, 1, 1, 0, 1])
    few = fit_gram(known, labels, known, labels, GramRecipe())
    line = known @ torch.linalg.pinv(known) @ F.one_hot(labels).double()
    assert few.train_error == few.test_error == float((line.argmax(1) != labels).double().mean())
    wide = torch.randn(4, 6, generator=draw, dtype=torch.float64)
    labels = torch.tensor([0, 1, 1, 0])
    fit = fit_gram(wide, labels, wide[:2], torch.tensor([0, 0]), GramRecipe())
    shortest = torch.linalg.pinv(wide) @ F.one_hot(labels).double()
    assert fit == GramFit(0.0, 0.5, pytest.approx(float(shortest.norm())))


def test_an_image_is_left_out_as_by_fitting_all_others(draw):
    features = torch.randn(12, 3, generator=draw)
    targets = torch.randn(12, 2, generator=draw, dtype=torch.float64)
    gram = compare_features(features, features, 1.0)
    ridges = (0.0, 0.1)
    for ridge, found in zip(ridges, answer_left_out(gram, targets, ridges), strict=True):
        slow = []
        for one in range(12):
            rest = [place for place in range(12) if place != one]
            alpha = solve_gram(gram[rest][:, rest], targets[rest], ridge)
            slow.append(gram[one, rest] @ alpha)
        assert_close(found, torch.stack(slow))


def test_width_and_ridge_are_those_with_fewest_errors_on_images_left_out(draw):
    features = torch.randn(30, 2, generator=draw)
    labels = (features[:, 0] * features[:, 1] > 0).long()
    found = choose_gram(features, labels, gaussian=True, ridge=True)
    targets, middle = F.one_hot(labels).double(), float(torch.pdist(features.double()).median())
    errors = {}
    for width in (0.125, 0.25, 0.5, 1.0, 2.0):
        for ridge in (0.0, 1e-6, 1e-4, 1e-2, 1e-1):
            gram = compare_features(features, features, width * middle)
            wrong = answer_left_out(gram, targets, (ridge,))[0].argmax(1) != labels
            errors[GramRecipe(width * middle, ridge)] = int(wrong.sum())
    assert errors[found] == min(errors.values()) < max(errors.values())
    assert choose_gram(features, labels, gaussian=False, ridge=False) == GramRecipe()


def test_a_gabor_filter_answers_its_own_wave_and_no_even_image():
    for turn in range(4):
        bank = draw_gabor(4.0, math.pi * turn / 4)
        assert_close(bank.flatten(1).sum(1), torch.zeros(2).double(), atol=1e-12, rtol=0)
        assert_close(bank.flatten(1).norm(dim=1), torch.ones(2).double())
        line = torch.arange(-4, 5).double()
        sizes = []
        for other in range(4):
            angle = math.pi * other / 4
            along = line * math.cos(angle) + line[:, None] * math.sin(angle)
            wave = (2 * math.pi * along / 4.0 + 0.7).cos()
            sizes.append(float((bank * wave).flatten(1).sum(1).norm()))
        assert max(sizes) == sizes[turn] > 1.5 * sorted(sizes)[-2]


def test_gabor_features_grow_with_contrast_and_are_as_many_as_they_should_be(draw):
    images = torch.rand(2, 3, 12, 10, generator=draw)
    found = gabor_features(images)
    assert found.shape == (2, 8 * 6 * 5)  # 12 x 10: waves of 3 pixels, as those of 6 are too long
    assert gabor_features(torch.rand(1, 1, 24, 24, generator=draw)).shape == (1, 3 * 8 * 12 * 12)
    assert_close(gabor_features(2 * images), 2 * found)


def test_random_filters_are_patches_and_answers_are_averaged_by_quarters(draw):
    images = torch.rand(5, 2, 7, 8, generator=draw)
    bank = cut_filters(images, 6, generator=draw)
    assert bank.shape == (6, 2, 3, 3)
    assert_close(bank.flatten(1).mean(1), torch.zeros(6), atol=1e-6, rtol=0)
    assert_close(bank.flatten(1).norm(dim=1), torch.ones(6))
    patches = images.unfold(2, 3, 1).unfold(3, 3, 1).permute(0, 2, 3, 1, 4, 5).reshape(-1, 18)
    patches = patches - patches.mean(1, keepdim=True)
    patches = patches / patches.norm(dim=1, keepdim=True)
    assert float((bank.flatten(1) @ patches.T).amax(1).min()) > 0.9999
    found = random_filter_features(images, bank)
    assert found.shape == (5, 2 * 6 * 4)
    answers = torch.stack([
        (images[0, :, row : row + 3, column : column + 3] * bank[1]).sum()
        for row in range(5) for column in range(6)
    ]).view(5, 6)  # fmt: skip
    quarter = answers[:3, :3]
    assert_close(found[0, 4], quarter.clamp_min(0).mean())
    assert_close(found[0, 4 * 7], (-quarter).clamp_min(0).mean())


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
    assert "It does not learn any labels by heart" in judge_images(weak).verdict
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
    assert found.made_with["seeds"] == [0, 1]
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


def test_a_folder_of_a_users_images_gets_a_verdict(monkeypatch, tmp_path, capsys, dataset):
    from tests.helpers.image_folders import write_images

    monkeypatch.setattr(whole, "SMALL_SIZE", TINY)
    monkeypatch.setattr(whole, "OWN_NETWORKS", ("MLP 1x512",))
    assert write_images
    for name, level in (("dark", 0), ("light", 1)):
        folder = tmp_path / "images" / name
        folder.mkdir(parents=True)
        from PIL import Image

        for place, image in enumerate(dataset.train.images[dataset.train.labels == level]):
            Image.fromarray(image[0].numpy()).save(folder / f"{place}.png")
    assert main(["study", "random_labels", str(tmp_path / "images"), "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["holds"] is None
    assert printed["verdict"].startswith("A small network (MLP 1x512) learnt 100% of the labels")
    assert main(["study", "random_labels", str(tmp_path / "nothing")]) == 2
    assert "there is no such folder" in capsys.readouterr().err
