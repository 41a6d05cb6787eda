"""Features of frozen encoders: encoded once for all runs of a folder, with the same results."""

import json
import threading
from dataclasses import replace

import pytest
import torch
from safetensors.torch import save_file
from torch.testing import assert_close

import whence
from tests.helpers.run_folders import NAMES, SETTINGS, assert_same_result, interrupt, names_in
from whence.cli import main
from whence.encoders import ENCODERS
from whence.models.using import encode_all
from whence.records.images import ImageSet
from whence.runs.kept_features import FEATURES, encode_once, remove_features, write_features
from whence.runs.prepare import prepare
from whence.runs.run import run
from whence.runs.settings import Settings
from whence.storage.lock import hold
from whence.training.fit import fit
from whence.training.plan import Plan
from whence.training.recipes import Recipe


@pytest.fixture(scope="module")
def frozen(tmp_path_factory):
    """Settings of a run whose encoder is frozen."""
    torch.manual_seed(3)
    path = tmp_path_factory.mktemp("weights") / "weights.safetensors"
    save_file(ENCODERS["small_cnn"](channels=1).state_dict(), path)
    return replace(
        SETTINGS,
        variant="memory-wrap",
        encoder="small_cnn",
        weights=str(path),
        freeze_encoder=True,
        layers="output",
    )


@pytest.fixture(scope="module")
def finished_frozen(frozen, digits, tmp_path_factory):
    folder = tmp_path_factory.mktemp("frozen") / "run"
    run(frozen, folder, digits)
    return folder


@pytest.fixture
def model(frozen, digits):
    return prepare(frozen, digits).model.eval()


@pytest.fixture
def images(digits):
    return digits.train.take(range(11))


def the_file(folder):
    (path,) = folder.glob("*.safetensors")
    return path


# the features of a set of images ----------------------------------------------------------------


def test_they_are_those_of_the_encoder_and_come_from_the_file_the_next_time(
    model, images, tmp_path
):
    found = encode_once(model, images, tmp_path, batch_size=4)
    assert torch.equal(found, encode_all(model, images.images, batch_size=4))
    assert torch.equal(encode_once(model, images, tmp_path, batch_size=4), found)
    write_features(the_file(tmp_path), found + 1)  # what only a reader of the file can know
    assert torch.equal(encode_once(model, images, tmp_path, batch_size=4), found + 1)


@pytest.mark.parametrize("position", [-1, -40, 20])
def test_a_damaged_file_is_never_used(model, images, tmp_path, capsys, position):
    found = encode_once(model, images, tmp_path)
    path = the_file(tmp_path)
    whole = path.read_bytes()
    content = bytearray(whole)
    content[position] ^= 1
    path.write_bytes(content)
    assert torch.equal(encode_once(model, images, tmp_path), found)
    assert path.read_bytes() == whole
    said = capsys.readouterr().err
    assert said.startswith(f"note: {path} must ")
    assert said.endswith(" Its images are encoded again.\n")


def test_all_that_decides_them_decides_the_name(model, images, tmp_path):
    def change(**changes):
        other = prepare(
            Settings(data="digits", encoder="small_cnn", variant=model.variant),
            whence.load_dataset("digits"),
        ).model.eval()
        other.load_state_dict(model.state_dict())
        for name, value in changes.items():
            getattr(other, name).fill_(value)
        return other

    pixels = images.images.clone()
    pixels[3, 0, 2, 2] ^= 1
    bias = change()
    with torch.no_grad():
        bias.encoder[0].weight[0, 0, 0, 0] += 1
    encode_once(model, images, tmp_path)
    encode_once(change(), images, tmp_path)  # the same
    assert len(list(tmp_path.glob("*.safetensors"))) == 1
    others = [
        (model, ImageSet(pixels, images.labels, images.class_names), {}),
        (model, images.take(range(10)), {}),
        (model, images, {"batch_size": 3}),
        (change(mean=0.25), images, {}),
        (change(std=0.25), images, {}),
        (bias, images, {}),
        (change().double(), images, {}),
    ]
    for number, (other, some, options) in enumerate(others):
        encode_once(other, some, tmp_path, **options)
        assert len(list(tmp_path.glob("*.safetensors"))) == 2 + number


def test_layers_decide_them_too(images, tmp_path):
    for number, layers in enumerate((["3", "7"], ["7", "3"], ["3", "7"])):
        torch.manual_seed(0)
        model = whence.wrap("small_cnn", 10, image_shape=(1, 8, 8), layers=layers).eval()
        found = encode_once(model, images, tmp_path)
        assert torch.equal(found, encode_all(model, images.images))
        assert len(list(tmp_path.glob("*.safetensors"))) == (1, 2, 2)[number]


def test_who_comes_second_waits_for_the_first(model, images, tmp_path):
    waiting = threading.Thread(target=encode_once, args=(model, images, tmp_path))
    with hold(tmp_path):
        waiting.start()
        waiting.join(timeout=0.3)
        assert waiting.is_alive()
        assert not list(tmp_path.glob("*.safetensors"))
    waiting.join(timeout=300)
    assert the_file(tmp_path).is_file()


def test_only_what_is_kept_here_is_removed(model, images, tmp_path):
    folder = tmp_path / FEATURES
    remove_features(folder)
    encode_once(model, images, folder)
    (folder / "notes.txt").write_text("mine")
    remove_features(folder)
    assert names_in(folder) == ["notes.txt"]
    (folder / "notes.txt").unlink()
    remove_features(folder)
    assert not folder.exists()


# runs -------------------------------------------------------------------------------------------


def test_a_run_removes_them_when_it_is_done(finished_frozen):
    assert names_in(finished_frozen) == NAMES


def test_a_run_that_goes_on_ends_with_the_same_bits(
    frozen, digits, finished_frozen, tmp_path, monkeypatch
):
    folder = tmp_path / "run"
    interrupt(folder, digits, monkeypatch, step=4, settings=frozen)
    kept = names_in(folder / FEATURES)
    assert len(kept) == 3  # of training and validation images, of test images, and the lock
    interrupt(folder, digits, monkeypatch, step=5, settings=frozen, resume=True)
    assert names_in(folder / FEATURES) == kept
    run(frozen, folder, digits, resume=True)
    assert_same_result(folder, finished_frozen)
    assert names_in(folder) == NAMES


def test_a_run_that_lost_them_on_the_way_ends_with_the_same_bits(
    frozen, digits, finished_frozen, tmp_path, monkeypatch
):
    folder = tmp_path / "run"
    interrupt(folder, digits, monkeypatch, step=4, settings=frozen)
    remove_features(folder / FEATURES)
    run(frozen, folder, digits, resume=True)
    assert_same_result(folder, finished_frozen)


def test_seeds_share_them_however_they_divide_the_images(frozen, digits, tmp_path):
    some = replace(digits, train=digits.train.take(range(60)))
    settings = replace(frozen, train_examples=None, mean=(0.4,), std=(0.3,))
    kept = tmp_path / FEATURES
    for seed in range(3):
        of_seed = replace(settings, seed=seed)
        run(of_seed, tmp_path / f"{seed}", some, features_folder=kept)
        run(of_seed, tmp_path / f"{seed} alone", some)
        assert_same_result(tmp_path / f"{seed}", tmp_path / f"{seed} alone")
        assert len(names_in(kept)) == 3


def test_what_the_run_measured_is_what_the_saved_model_answers(finished_frozen, digits):
    model = whence.load(finished_frozen)
    expected = encode_all(model, model.bank.images)
    assert_close(model.bank.features, expected)
    found = whence.evaluate(model, digits.test, memory_size=12, draw_batch=500)
    metrics = json.loads((finished_frozen / "metrics.json").read_text())
    assert found.whole_memory == metrics["test"]["accuracy"]


@pytest.mark.parametrize("more", [[], ["--workers", "1"]])
def test_the_command_removes_them_after_the_last_seed(frozen, tmp_path, more):
    out = tmp_path / "runs"
    command = ["train", "digits", "--encoder", "small_cnn", "--weights", frozen.weights]
    command += ["--freeze-encoder", "--epochs", "1", "--seeds", "2", "--out", str(out), *more]
    assert main([*command, "--device", "cpu", "--train-examples", "30"]) == 0
    assert {"seed-0", "seed-1"} <= set(names_in(out))
    assert FEATURES not in names_in(out)


# training and memory ----------------------------------------------------------------------------

QUICK = {"recipe": Recipe(batch_size=5), "plan": Plan(2, 6, freeze_encoder=True)}


def test_training_on_given_features_is_training_on_the_encoders(frozen, digits, images):
    slow, fast = (prepare(frozen, digits).model.eval() for _ in range(2))
    features = encode_all(fast, images.images)
    fit(slow, images, **QUICK)
    fit(fast, images, features=features, **QUICK)
    for name, tensor in slow.state_dict().items():
        assert torch.equal(fast.state_dict()[name], tensor), name
    slow.remember(images)
    fast.remember(images, features=features)
    assert torch.equal(slow(images.images), fast(images.images))


def test_copies_in_a_memory_have_the_features_of_the_first(model, images):
    twice = images.take([4, 7, 4])
    features = torch.arange(3.0)[:, None].repeat(1, model.features)
    model.remember(twice, features=features)
    assert model.bank.features[:, 0].tolist() == [0, 1, 0]


def test_features_of_another_shape_or_for_an_encoder_that_learns_are_refused(model, images):
    features = encode_all(model, images.images)
    with pytest.raises(ValueError, match=r"features must be \(N, D\) with N=11, got shape \(10, "):
        fit(model, images, features=features[:10], **QUICK)
    with pytest.raises(ValueError, match=r"features must be \(N, D\) with D=\d+, got shape \(11, "):
        model.remember(images, features=features[:, 1:])
    with pytest.raises(ValueError, match="are those of a frozen encoder, and this plan trains it"):
        fit(model, images, features=features, plan=Plan(2, 6))
    features[2, 1] = torch.nan
    with pytest.raises(ValueError, match="those of image 2 have NaN or infinity"):
        model.remember(images, features=features)


def test_images_of_a_frozen_encoder_are_not_changed(frozen, digits, tmp_path):
    message = "augmentation must be none where the encoder is frozen, .* got 'flip'"
    with pytest.raises(ValueError, match=message):
        run(replace(frozen, augmentation="flip"), tmp_path / "run", digits)
    named = replace(
        frozen, data="cifar10", normalisation="images"
    )  # whose published augmentation is flip
    assert prepare(named, replace(digits, name="cifar10")).recipe.augmentation == "none"
    trained = replace(named, freeze_encoder=False)
    assert prepare(trained, replace(digits, name="cifar10")).recipe.augmentation == "flip"
