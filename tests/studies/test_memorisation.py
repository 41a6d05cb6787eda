"""Memorisation: closed forms, slow second computations, planted labels that only memory can give."""

import json

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.testing import assert_close

from whence.cli import main
from whence.data.digits import digits
from whence.records.images import Dataset, ImageSet, Marks
from whence.studies.memorisation import contrasts, heart
from whence.studies.memorisation import measurements as listed
from whence.studies.memorisation import study as whole
from whence.studies.memorisation.contrasts import (
    Learner,
    count_easy,
    follow_critical,
    follow_sensitivity,
    spread_of_rates,
    time_to_fit,
    train_held_back,
)
from whence.studies.memorisation.count_heart import (
    FoldAnswers,
    count_by_heart,
    count_copies,
)
from whence.studies.memorisation.critical import LangevinSearch, find_critical
from whence.studies.memorisation.heart_page import report_heart
from whence.studies.memorisation.noisy import make_noisy, number_images
from whence.studies.memorisation.report_contrasts import (
    compare_own_pairs,
    count_early,
    find_best_epochs,
    judge_growth,
)
from whence.studies.memorisation.sensitivity import (
    average_pairs,
    divide_sensitivity,
    measure_sensitivity,
)
from whence.studies.parts.request import StudyRequest
from whence.training.loop import seeded


@pytest.fixture
def draw():
    return torch.Generator().manual_seed(0)


@pytest.fixture
def network():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        return nn.Sequential(nn.Flatten(), nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 3)).eval()


@pytest.fixture
def shades():
    """Two classes, dark and light, told apart with a glance."""
    generator = torch.Generator().manual_seed(1)

    def make(count):
        labels = torch.arange(count) % 2
        noise = torch.randint(0, 90, (count, 1, 4, 4), generator=generator)
        noise[..., 0] += (120 * labels)[:, None, None]
        return ImageSet(noise.byte(), labels, ("dark", "light"))

    return Dataset("shades", make(40), make(20))


def test_sensitivity_is_the_slope_of_small_steps(network, draw):
    images = torch.randn(4, 1, 2, 3, generator=draw)
    labels = torch.tensor([0, 2, 1, 2])
    found = measure_sensitivity(network.double(), images.double(), labels)
    for one in range(4):
        total = 0.0
        for pixel in range(6):
            step = 1e-6 * F.one_hot(torch.tensor(pixel), 6).view(1, 2, 3).double()
            higher, lower = (
                F.cross_entropy(network((images[one] + sign * step)[None]), labels[one : one + 1])
                for sign in (1, -1)
            )
            total += abs(float((higher - lower).detach()) / 2e-6)
        assert float(found[one]) == pytest.approx(total, rel=1e-6)
    assert not images.requires_grad


def test_parts_by_class_of_a_linear_network_are_those_of_the_closed_form(draw):
    images, labels = torch.randn(5, 1, 2, 3, generator=draw), torch.tensor([0, 1, 2, 1, 0])
    network = nn.Sequential(nn.Flatten(), nn.Linear(6, 3))
    found = divide_sensitivity(network, images, labels)
    away = (network(images).softmax(1) - F.one_hot(labels, 3)).abs()
    assert_close(found, (away * network[1].weight.abs().sum(1)).detach())
    slopes = away.new_zeros(5, 6)
    for k in range(3):
        signed = (network(images).softmax(1) - F.one_hot(labels, 3))[:, k, None]
        slopes = slopes + signed * network[1].weight[k]
    assert_close(measure_sensitivity(network, images, labels), slopes.abs().sum(1).detach())


def test_pairs_are_averaged_over_the_images_of_a_class():
    parts = torch.tensor([[1.0, 2.0, 0.0], [3.0, 4.0, 0.0], [10.0, 20.0, 30.0]])
    found = average_pairs(parts, torch.tensor([1, 1, 0]))
    expected = torch.tensor([[10.0, 2.0, 0.0], [20.0, 3.0, 0.0], [30.0, 0.0, 0.0]])
    assert_close(found, expected)  # [class i, class of the image]
    pairs = [[4.0, 1.0], [3.0, 8.0]]
    assert compare_own_pairs({"pairs": pairs}) == 3.0


@pytest.mark.parametrize("noise", [0.0, 0.01])
def test_near_a_linear_decision_critical_images_are_those_within_reach(noise, draw):
    """A linear decision changes in a box of radius r if its margin is below r times an L1 norm."""
    network = nn.Sequential(nn.Flatten(), nn.Linear(4, 2))
    with torch.no_grad():
        network[1].weight.copy_(torch.tensor([[1.0, -2.0, 0.5, 0.0], [0.0, 1.0, -0.5, 1.0]]))
        network[1].bias.copy_(torch.tensor([0.1, -0.2]))
    images = torch.randn(200, 1, 2, 2, generator=draw)
    margin = network(images).diff(dim=1).squeeze(1).abs().detach()
    reach = 0.3 * float(network[1].weight.detach().diff(dim=0).abs().sum())
    search = LangevinSearch(radius=0.3, step=0.1, noise=noise, steps=8)
    found = find_critical(network, images, search, generator=draw)
    sure = (margin - reach).abs() > 0.1 if noise else torch.ones(200, dtype=torch.bool)
    assert torch.equal(found[sure], (margin < reach)[sure])
    assert 20 < int(found.sum()) < 180
    short = find_critical(network, images, search._replace(steps=1, noise=0.0), generator=draw)
    assert torch.equal(short, margin < reach / 3)


def test_the_search_stays_in_the_box_and_leaves_the_images():
    asked = []

    class Watched(nn.Module):
        def forward(self, images):
            asked.append(images.detach().clone())
            return torch.stack([images.flatten(1).sum(1), 0 * images.flatten(1).sum(1)], 1)

    images = torch.full((1, 1, 2, 2), 5.0)
    search = LangevinSearch(radius=0.2, step=0.15, noise=3.0, steps=5)
    find_critical(Watched(), images, search, generator=torch.Generator().manual_seed(0))
    assert max(float((one - images).abs().max()) for one in asked) == pytest.approx(0.2)
    assert torch.equal(images, torch.full((1, 1, 2, 2), 5.0))


def test_noise_replaces_the_pixels_or_the_labels_of_a_share(shades, draw):
    plain = make_noisy(shades, "real", 0.0, generator=draw)
    pixels = make_noisy(shades, "randX", 0.4, generator=draw)
    labels = make_noisy(shades, "randY", 1.0, generator=draw)
    changed = (pixels.images != plain.images).flatten(1).any(1)
    assert 5 < int(changed.sum()) < 28
    most = make_noisy(shades, "randX", 0.9, generator=draw)
    assert int((most.images != plain.images).flatten(1).any(1).sum()) > 30
    assert torch.equal(pixels.labels, plain.labels)
    assert torch.equal(labels.images, plain.images)
    assert 8 < int((labels.labels != plain.labels).sum()) < 32
    assert torch.equal(labels.test_labels, shades.test.labels)
    assert number_images(plain).labels.tolist() == list(range(40))
    for kind, share in (("real", 0.5), ("randZ", 0.5)):
        with pytest.raises(ValueError, match=rf"kind must be randX or randY .*got '{kind}'\."):
            make_noisy(shades, kind, share, generator=draw)


TINY_LEARNER = Learner(width=32, epochs=40, batch=8)


def test_followed_measures_have_an_entry_for_every_epoch(shades):
    found = follow_sensitivity(shades, "real", False, TINY_LEARNER, 0)
    assert len(found["gini"]) == 40
    assert torch.tensor(found["pairs"]).shape == (2, 2)
    own = follow_sensitivity(shades, "real", True, TINY_LEARNER, 0)
    assert own["pairs"] is None
    assert own["gini"] != found["gini"]
    search = LangevinSearch(0.1, 0.05, 0.01, 3)
    curves = follow_critical(shades, "randY", 0.4, TINY_LEARNER, search, 16, 0)
    assert curves["epochs_of_critical"] == [16, 32]
    assert len(curves["train"]) == 40
    assert curves["train"][-1] > 0.9 > curves["train"][0]
    json.dumps([found, own, curves])


def test_images_that_can_be_learnt_are_easy_again_and_again(shades):
    real = count_easy(shades, "real", TINY_LEARNER, 20, 0)["rates"]
    noise = count_easy(shades, "randY", TINY_LEARNER, 20, 0)["rates"]
    assert len(real) == 40
    assert real == sorted(real)
    assert sum(real) < 0.8 * sum(noise)
    independent = torch.rand(4000, 50, generator=torch.Generator().manual_seed(0)) < 0.3
    rates = independent.double().mean(1).tolist()
    assert spread_of_rates(rates, 50) == pytest.approx(1.0, abs=0.1)
    assert spread_of_rates([0.25, 0.25], 50) == 0.0
    assert spread_of_rates([0.0, 0.0], 50) == 1.0


def test_every_seed_has_trainings_of_its_own(shades, monkeypatch):
    seeds = []

    def note(seed, device):
        seeds.append(seed)
        return seeded(seed, device)

    monkeypatch.setattr(contrasts, "seeded", note)
    for seed in range(3):
        count_easy(shades, "real", TINY_LEARNER, 4, seed)
    assert seeds == [*range(12)]


def test_random_labels_take_longer_and_dropout_holds_them_back(shades):
    learner = TINY_LEARNER._replace(epochs=300, until_fitted=True)
    real = time_to_fit(shades, "real", 0.0, learner, 0)
    noise = time_to_fit(shades, "randY", 1.0, learner, 0)
    assert real["epochs"] < noise["epochs"]
    assert real["validation"] > 0.8
    assert noise["last_validation"] < real["last_validation"]
    assert noise["validation"] >= noise["last_validation"]
    assert time_to_fit(shades, "randY", 1.0, learner._replace(epochs=1), 0)["epochs"] is None
    plain = train_held_back(shades, "randY", TINY_LEARNER, 0)
    held = {
        field: train_held_back(shades, "randY", listed.hold_back(TINY_LEARNER, field, amount), 0)
        for field, amount in (("dropped", 0.9), ("weight_decay", 0.3), ("noise", 4.0))
    }
    assert all(one["train"] < plain["train"] for one in held.values())
    with pytest.raises(ValueError, match="field must be one of dropped, weight_decay, noise, got"):
        listed.hold_back(TINY_LEARNER, "epochs", 1.0)


def critical(first, last, train, validation):
    return {"critical": [first, last], "train": train, "validation": validation}


def test_growth_and_best_epochs_are_read_off_the_curves():
    found = {
        "critical-real-0": [critical(0.1, 0.2, [1.0], [1.0])],
        "critical-randX-0.5": [critical(0.1, 0.4, [1.0], [1.0])],
        "critical-randX-1": [critical(0.5, 0.3, [1.0], [1.0])],
        "critical-randY-0.5": [critical(0.1, 0.6, [0.5, 0.96, 1.0], [0.9, 0.5, 0.4])],
        "critical-randY-1": [critical(0.1, 0.9, [0.5, 0.9, 0.9], [0.1, 0.2, 0.1])],
    }
    growth = judge_growth(found, (0.5, 1.0))
    assert growth == (4, 5, {"randX": pytest.approx(0.5), "randY": pytest.approx(1.0)})
    peaks = find_best_epochs(found, (0.5, 1.0))
    assert peaks == {(0.5, 0): (1, 2), (1.0, 0): (2, None)}
    assert count_early(peaks) == 1  # where training accuracy is never high, nothing is before that
    assert count_early({(0.5, 0): (2, 2), (0.5, 1): (3, 2), (1.0, 0): (2, 9)}) == 1


TINY_MEMORISING = listed.MemorisingSize(
    images=40, validation=30, side=8, width=24, epochs=12, fitting_epochs=40, batch=10,
    runs=3, widths=(16, 24), sizes=(20, 40), shares=(0.5, 1.0),
)  # fmt: skip


def test_the_study_lays_out_every_measurement_and_goes_on(monkeypatch, tmp_path):
    monkeypatch.setattr(whole, "SMALL_MEMORISING", TINY_MEMORISING)
    few = {name: amounts[-1:] for name, amounts in listed.HOLDS_BACK.items()}
    monkeypatch.setattr(listed, "HOLDS_BACK", few)
    found = whole.memorisation(StudyRequest(out=tmp_path))
    rows = {row[:3]: row[3] for row in found.rows}
    assert rows["best validation accuracy", "real", "nothing replaced"] > 0.3
    assert rows["epochs to fit", "real", "24 units"] <= 40
    assert rows["training accuracy", "randY", "dropout 0.9"] < 0.9
    assert rows["Gini of loss sensitivity", "real", "classes as given"] > 0
    assert len(rows) == len(found.rows)
    assert found.holds == ("Not borne out" not in found.verdict)
    assert [figure.name for figure in found.figures] == ["sensitivity", "critical", "capacity"]
    assert found.made_with["search_radius"] == 0.15
    parts = sorted((tmp_path / "memorisation-parts").iterdir())
    assert len(parts) == 3 * 3 - 1 + 5 + 8 + 6 + 12
    text = json.loads((tmp_path / "memorisation-parts" / "easy-real-0.json").read_text())
    text["found"]["rates"] = [0.0] * 40
    (tmp_path / "memorisation-parts" / "easy-real-0.json").write_text(json.dumps(text))
    monkeypatch.setattr(
        "whence.studies.memorisation.report_contrasts.draw_contrasts", lambda *_: ()
    )
    again = {row[:3]: row[3] for row in whole.memorisation(StudyRequest(out=tmp_path)).rows}
    assert again["images that every run learnt", "real", "3 runs"] == 1.0


def test_labels_are_by_heart_if_only_the_training_without_their_fold_answers_otherwise():
    labels, folds = torch.tensor([0, 1, 0, 1, 0, 1]), torch.tensor([0, 1, 2, 0, 1, 2])
    own = FoldAnswers(torch.tensor([0, 1, 0, 0, 0, 1]), torch.ones(6))
    answers = [
        FoldAnswers(torch.tensor(row), torch.ones(6))
        for row in ([1, 1, 0, 0, 0, 1], [0, 1, 0, 0, 1, 1], [0, 0, 1, 1, 0, 0])
    ]
    found = count_by_heart(labels, own, answers, folds)
    # of folds 0, 1, 2: without it, images answer 1, 1, 1, 0, 1, 0; image 3 was wrong before
    assert found.by_heart.tolist() == [True, False, True, False, True, True]
    assert found.share.mean == pytest.approx(4 / 6)
    assert found.inside == pytest.approx(5 / 6)
    assert found.outside == pytest.approx(1 / 6)
    assert found.control.mean == pytest.approx(1 / 6)  # image 1, by the training without fold 2
    assert found.share.low < found.share.mean < found.share.high


def test_copies_in_two_folds_are_counted():
    images = torch.arange(5, dtype=torch.uint8).view(5, 1, 1, 1).clone()
    images[4], images[3] = images[0], images[1]
    kept = ImageSet(images, torch.zeros(5).long(), ("a", "b"))
    assert count_copies(kept, torch.tensor([0, 1, 0, 1, 1])) == 2


def test_a_training_without_a_fold_keeps_the_marks_and_the_validation_images():
    images = ImageSet(torch.arange(10).byte().view(10, 1, 1, 1), torch.arange(10) % 2, ("a", "b"))
    marks = Marks(groups=torch.arange(10) // 2, counts=torch.arange(10.0))
    dataset = Dataset("ten", images, images.take([0]), marks=marks)
    learnt = images.take(torch.tensor([5, 1, 7, 3]))
    left_out = torch.tensor([True, False, False, True])
    found = heart.leave_fold_out(dataset, torch.tensor([1, 7]), torch.tensor([8, 2]), learnt, left_out)  # fmt: skip
    assert found.train.images.flatten().tolist() == [1, 7, 8, 2]
    assert found.marks.validation.tolist() == [2, 3]
    assert found.marks.groups.tolist() == [0, 3, 4, 1]
    assert found.marks.counts.tolist() == [1.0, 7.0, 8.0, 2.0]
    assert found.test.images.flatten().tolist() == [5, 3]


@pytest.fixture
def run_folder(tmp_path, monkeypatch):
    """A run on digits of which every fifth label is wrong, and that knows its own images.

    A stand-in answers: images that a training had as they are labelled, others by the digit.
    """
    dataset = digits(tmp_path)
    true = dataset.train.labels[:100].clone()
    labels = true.clone()
    labels[::5] = (labels[::5] + 1) % 10
    train = ImageSet(dataset.train.images[:100], labels, dataset.train.class_names)
    given = Dataset("digits", train, dataset.test.take(range(20)))
    monkeypatch.setattr(heart, "load_data", lambda *_, **__: given)
    trained = []

    def remember(settings, folder, data, *, resume, device):
        assert settings.train_examples is None
        trained.append(len(data.train) - len(data.marks.validation))
        seen = {one.numpy().tobytes() for one in data.train.images[: trained[-1]]}
        torch.save(seen, folder.parent / f"{folder.name}.pt") if folder.parent.mkdir(parents=True, exist_ok=True) is None else None  # fmt: skip

    def answer(folder, images, device):
        seen = None
        if (folder.parent / f"{folder.name}.pt").exists():
            seen = torch.load(folder.parent / f"{folder.name}.pt", weights_only=False)
        digit = {
            one.numpy().tobytes(): int(label) for one, label in zip(train.images, true, strict=True)
        }
        told = [
            int(label)
            if seen is None or image.numpy().tobytes() in seen
            else digit[image.numpy().tobytes()]
            for image, label in zip(images.images, images.labels, strict=True)
        ]
        return FoldAnswers(torch.tensor(told), (torch.tensor(told) == images.labels).float())

    monkeypatch.setattr(heart, "run", remember)
    monkeypatch.setattr(heart, "answer_training", answer)
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "settings.toml").write_text('data = "digits"\nseed = 0\nvalidation_examples = 10\n')
    from whence.data.fingerprint import fingerprint

    about = {"image_shape": (1, 8, 8), "run": {"train_fingerprint": fingerprint(train)}}
    monkeypatch.setattr(heart, "read_run", lambda _: about)
    (folder / "whence.json").write_text("{}")
    return folder, about, trained, (labels != true)


def test_planted_labels_are_found_to_be_learnt_by_heart(run_folder, tmp_path):
    folder, about, trained, wrong = run_folder
    found = whole.memorisation(StudyRequest(str(folder), out=tmp_path / "out"))
    assert found.holds is None
    assert len(trained) == 5
    assert all(count == 72 for count in trained)
    count = found.rows[-1][2]
    assert found.rows[-1][:2] == ("all", 90)
    assert 14 <= count <= int(wrong.sum())
    assert found.verdict.startswith(f"This run has learnt {count / 90:.1%} (95% interval")
    assert found.sentences[0].startswith("It answers 100% of its training images as they are")
    assert "0% (95% interval 0% to 0%) of the labels are given" in found.sentences[1]
    assert len(found.sections[0].blocks[0].shown[0].cards) == count
    about["run"]["train_fingerprint"] = "other"
    with pytest.raises(ValueError, match="its training images changed"):
        whole.memorisation(StudyRequest(str(folder)))


def test_a_run_takes_no_seeds(run_folder, capsys):
    assert main(["study", "memorisation", str(run_folder[0]), "--seeds", "2"]) == 2
    assert "leave out --seeds and --full" in capsys.readouterr().err


def test_a_run_that_learns_nothing_by_heart_has_no_gallery():
    images = ImageSet(torch.zeros(4, 1, 2, 2).byte(), torch.tensor([0, 1, 0, 1]), ("a", "b"))
    own = FoldAnswers(images.labels, torch.ones(4))
    counted = count_by_heart(images.labels, own, [own, own], torch.tensor([0, 0, 1, 1]))
    found = report_heart(images, counted, images.labels, torch.ones(4), 2, {})
    assert found.sections == ()
    assert found.rows == (("a", 2, 0, 0.0), ("b", 2, 0, 0.0), ("all", 4, 0, 0.0))
    assert "The two shares do not differ clearly." in found.sentences
    assert "2 images have a copy in another fifth" in found.sentences[-1]
