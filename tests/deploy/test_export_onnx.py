"""An exported file gives the model's answers, evidence and doubt; what cannot be is said."""

import builtins
import hashlib

import numpy as np
import onnx
import pytest
import torch
from torch import nn

import whence
from tests.helpers.deciding import make, middle, rule
from tests.helpers.deploying import (
    check_answers,
    give_calibration,
    noise,
    open_session,
    read_about,
)
from tests.helpers.explaining import build, build_with_memory, draw_images
from whence.deploy.answering_graph import AnsweringGraph
from whence.deploy.export_onnx import (
    RoundingWarning,
    choose_tried,
    count_stored,
    measure_rounding,
    say_rounding,
)
from whence.deploy.pixel_keys import draw_factors, keys_of_stored, measure_keys
from whence.metrics import SIGNALS


def votes():
    """Balanced votes with a threshold, all signs of doubt, copies, and a memory out of order."""
    model = build("votes", scale=8.0)
    model.head.handicaps = torch.tensor([0.7, -0.4, 0.0])
    stored = draw_images(21, seed=2)
    stored[13] = stored[4]
    model.remember(
        stored, torch.arange(21) % 3, torch.arange(40, 19, -1), [f"{n}.png" for n in range(21)]
    )
    model.decision = rule(model, 0, middle(model, noise(model, 40), 0))
    return give_calibration(model, tuple(SIGNALS))


def memory_wrap():
    torch.manual_seed(0)
    model = whence.wrap("small_cnn", 3, image_shape=(1, 8, 8), mean=[0.5], std=[0.2]).eval()
    return model.remember(noise(model, 40, seed=1), torch.arange(40) % 3)


MODELS = {
    "votes": votes,
    "memory-wrap": memory_wrap,
    "only-memory-l2": lambda: build_with_memory(18, "only-memory", similarity="l2"),
    "standard": lambda: give_calibration(build("standard"), ("softmax", "entropy")),
}


@pytest.fixture(scope="module", params=MODELS)
def exported(request, tmp_path_factory):
    model = MODELS[request.param]()
    path = tmp_path_factory.mktemp("onnx") / f"{request.param}.onnx"
    assert whence.export_onnx(model, path) <= 1e-5
    return model, path


def test_any_number_of_images_is_answered_as_by_predict(exported):
    model, path = exported
    for count in (1, 2, 9):
        check_answers(model, path, noise(model, count, seed=count))


def test_a_stored_image_is_left_out_for_itself_with_its_copies(exported):
    model, path = exported
    if not model.has_memory:
        return
    images = noise(model, 6)
    images[2:] = model.bank.images[[0, 4, 13, 17]]
    assert all(answer.left_out for answer in whence.predict(model, images)[2:])
    check_answers(model, path, images)
    almost = images.clone()
    almost[2:, 0, 0, 0] ^= 1
    assert not any(answer.left_out for answer in whence.predict(model, almost))
    check_answers(model, path, almost)


def test_the_threshold_decides(exported):
    model, path = exported
    if model.decision is None:
        assert read_about(path)["threshold"] is None
        return
    images = noise(model, 40)
    found = check_answers(model, path, images)
    answers = [answer.predicted for answer in whence.predict(model, images)]
    assert found["answers"].tolist() == answers
    assert answers != found["probabilities"].argmax(1).tolist()
    assert read_about(path)["threshold"]["class"] == "ant"


def test_the_file_beside_it_says_what_it_holds(exported):
    model, path = exported
    about = read_about(path)
    assert about["classes"] == list(model.class_names)
    assert about["input"]["shape"] == ["batch", *model.image_shape]
    assert about["normalisation"]["std"] == model.std.flatten().tolist()
    assert about["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert about["calibrated"] == (model.calibration is not None)
    outputs = [output.name for output in onnx.load(path).graph.output]
    assert list(about["outputs"]) == outputs
    if model.bank is None:
        assert about["memory"] is None
    else:
        indices = [one["index"] for one in about["memory"]]
        assert indices == sorted(model.bank.indices.tolist())
        place = model.bank.indices.tolist().index(indices[0])
        label = int(model.bank.labels[place])
        assert about["memory"][0]["label"] == model.class_names[label]


def test_evidence_has_as_many_columns_as_the_widest_answer(exported):
    model, path = exported
    if model.has_memory:
        images = noise(model, 5)
        widest = max(len(answer.evidence) for answer in whence.predict(model, images))
        assert open_session(path)(images)["places"].shape == (5, widest)


def test_without_pixels_no_image_is_known_again(tmp_path):
    model = make("memory-wrap")
    whence.save(model, tmp_path / "run", pixels=False)
    bare = whence.load(tmp_path / "run", encoder=model.encoder)
    whence.export_onnx(bare, tmp_path / "bare.onnx")
    assert not read_about(tmp_path / "bare.onnx")["leaves_stored_image_out_for_itself"]
    check_answers(bare, tmp_path / "bare.onnx", noise(bare, 4))


def test_a_memory_of_one_image_answers_for_that_image(tmp_path):
    model = build_with_memory(1)
    whence.export_onnx(model, tmp_path / "one.onnx")
    found = check_answers(model, tmp_path / "one.onnx", model.bank.images)
    assert found["weights"].tolist() == [[1.0]]


def test_what_is_there_stays_unless_it_may_be_written_over(tmp_path):
    model = build("standard")
    (tmp_path / "a.json").write_text("mine")
    with pytest.raises(FileExistsError, match=r"a\.json is there already"):
        whence.export_onnx(model, tmp_path / "a.onnx")
    assert not (tmp_path / "a.onnx").exists()
    whence.export_onnx(model, tmp_path / "a.onnx", overwrite=True)
    assert read_about(tmp_path / "a.onnx")["variant"] == "standard"
    with pytest.raises(ValueError, match=r"must end in \.onnx"):
        whence.export_onnx(model, tmp_path / "b.pt")


class Eigenvalues(nn.Module):
    def forward(self, images):
        return torch.linalg.eigvalsh(images[:, 0, :3, :3])


class Branching(nn.Module):
    def forward(self, images):
        means = images.mean((2, 3)).expand(-1, 3)
        return means if bool(means.sum() > 1) else -means


class Counting(nn.Module):
    def forward(self, images):
        return images.view(len(images), -1)[:, :3]


@pytest.mark.parametrize(
    ("encoder", "sentence"),
    [
        (Counting, r"Counting cannot be .* it fixes the number of images; .* images\.shape\[0\]"),
        (Eigenvalues, r"Eigenvalues cannot be .* ONNX has no operator for aten\._linalg_eigh"),
        (Branching, "Branching cannot be exported .* hangs on the numbers in the images"),
    ],
)
def test_an_encoder_that_onnx_cannot_hold_is_named(tmp_path, encoder, sentence):
    model = whence.wrap(encoder(), 3, variant="standard", image_shape=(1, 4, 4)).eval()
    with pytest.raises(ValueError, match=sentence) as caught:
        whence.export_onnx(model, tmp_path / "a.onnx")
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("difference", [2e-5, float("nan")])
def test_a_file_that_answers_otherwise_is_not_written(tmp_path, monkeypatch, difference):
    monkeypatch.setattr("whence.deploy.export_onnx.measure_difference", lambda *_: difference)
    with pytest.raises(ValueError, match=f"by up to {difference:.2g}, .* nothing was written"):
        whence.export_onnx(build("standard"), tmp_path / "a.onnx")
    assert list(tmp_path.iterdir()) == []


class Folding(nn.Module):
    """The sine of large sums: their rounding is all over the features."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(64, 3)
        nn.init.normal_(self.linear.weight, std=1e4, generator=torch.Generator().manual_seed(0))

    def forward(self, images):
        return torch.sin(self.linear(images.flatten(1)))


def test_a_model_that_its_own_rounding_moves_may_differ_as_much(tmp_path, monkeypatch):
    torch.manual_seed(0)
    model = whence.wrap(Folding(), 3, variant="standard", image_shape=(1, 8, 8)).eval()
    with pytest.warns(RoundingWarning) as caught:
        worst = whence.export_onnx(model, tmp_path / "a.onnx")
    assert len(caught) == 1
    start = "Rounding moves the answers of Folding: in onnxruntime its probabilities differ by up "
    assert str(caught[0].message).startswith(f"{start}to {worst:.1g}. Random weights, or ")
    images = choose_tried(model)
    shares = torch.stack([answer.probabilities for answer in whence.predict(model, images)])
    rounding = measure_rounding(AnsweringGraph(model), images, shares)
    assert 1e-5 < worst < 10 * rounding < 1e-2
    monkeypatch.setattr("whence.deploy.export_onnx.measure_difference", lambda *_: 10.5 * rounding)
    with pytest.raises(ValueError, match="by rounding the model's own are wrong by"):
        whence.export_onnx(model, tmp_path / "b.onnx")


def test_of_stored_images_rounding_is_told_apart():
    model = memory_wrap()
    assert count_stored(model) == 4
    assert ", 0.02 of stored images. Random" in say_rounding(model, 0.1, 0.02)
    assert choose_tried(model)[:4].equal(model.bank.images[:4])
    assert not choose_tried(model)[4:].equal(model.bank.images[4:8])


class Rounding(nn.Module):
    """Loses all of its image in float32, and nothing in float64."""

    def forward(self, images):
        mean = images.flatten(1).mean(1, keepdim=True)
        return torch.cat([(mean + 2**30) - 2**30, mean * 0], 1)


class Single(nn.Module):
    def forward(self, images):
        return images.flatten(1) @ torch.ones(16, 2)


def test_rounding_is_measured_against_float64():
    model = whence.wrap(Rounding(), 2, variant="standard", image_shape=(1, 4, 4)).eval()
    model.head.load_state_dict(
        {"classifier.weight": torch.eye(2), "classifier.bias": torch.zeros(2)}
    )
    images = torch.full((1, 1, 4, 4), 255, dtype=torch.uint8)
    shares = torch.tensor([[0.5, 0.5]])
    wanted = torch.tensor([1.0, 0.0], dtype=torch.float64).softmax(0)[0] - 0.5
    graph = AnsweringGraph(model)
    assert measure_rounding(graph, images, shares) == pytest.approx(float(wanted))
    other = torch.tensor([[0.4, 0.6]])
    assert measure_rounding(graph, images, other) == pytest.approx(float(wanted) + 0.1)
    single = whence.wrap(Single(), 2, variant="standard", image_shape=(1, 4, 4)).eval()
    assert measure_rounding(AnsweringGraph(single), images, shares) == 0


def test_a_missing_package_is_named_with_the_extra(tmp_path, monkeypatch):
    real = builtins.__import__

    def without(name, *rest):
        if name == "onnxscript":
            raise ModuleNotFoundError(f"No module named '{name}'", name=name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ModuleNotFoundError, match=r"onnxscript is not installed: pip install 'whe"):
        whence.export_onnx(build("standard"), tmp_path / "a.onnx")


def test_keys_are_exact_whatever_the_order_of_additions():
    factors = draw_factors(48)
    images = torch.randint(0, 256, (30, 3, 4, 4), dtype=torch.uint8)
    wanted = [
        [
            sum(int(p) * int(f) for p, f in zip(image.flatten(), column, strict=True))
            for column in factors.T
        ]
        for image in images
    ]
    assert measure_keys(images, factors).tolist() == wanted
    assert keys_of_stored(images.float() / 255, factors, chunk=7).tolist() == wanted
    unlike = images.float() / 255
    unlike[4, 0, 0, 0] += 1e-3 if unlike[4, 0, 0, 0] < 0.5 else -1e-3
    assert (keys_of_stored(unlike, factors) < 0).any(1).nonzero().flatten().tolist() == [4]


def test_the_largest_keys_are_whole_numbers_of_float64():
    for pixels in (1, 3 * 224 * 224, 3 * 1024 * 1024):
        largest = draw_factors(2).new_tensor(0)
        factors = draw_factors(pixels)
        assert 255 * int(factors.long().sum(0).max()) < 2**53
        assert int(factors.max() if pixels > 1 else largest) < 2**31
    with pytest.raises(ValueError, match="must have fewer pixels"):
        draw_factors(2**30)
    assert np.unique(draw_factors(1000).numpy()).size > 2900
