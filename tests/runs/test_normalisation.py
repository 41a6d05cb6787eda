"""However weights come, their images are prepared in the same way, and the command says which."""

import json
from dataclasses import replace

import pytest
import torch
from PIL import Image
from torch.testing import assert_close

import whence
from tests.helpers.networks import write
from whence.cli import main
from whence.data.load import load_dataset
from whence.encoders.adopt import build_encoder
from whence.encoders.libraries import LIBRARIES
from whence.runs.images import load_data, load_to_train
from whence.runs.normalisation import choose_normalisation
from whence.runs.prepare import prepare, weights_for
from whence.runs.published import PUBLISHED
from whence.runs.run import run
from whence.runs.settings import Settings

HALF = (0.5, 0.5, 0.5)
IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
SETTINGS = Settings(data="digits", train_examples=40, size=32, epochs=1, recipe="paper")


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """A file with the weights of a named encoder."""

    def make(encoder, channels=3):
        torch.manual_seed(1)
        path = tmp_path_factory.mktemp("weights") / "w.safetensors"
        write(path, build_encoder(encoder, (channels, 32, 32))[0].state_dict())
        return str(path)

    return make


def expected(settings, dataset=None):
    dataset = load_data(settings) if dataset is None else dataset
    model = prepare(settings, dataset).model
    return tuple(model.mean.flatten().tolist()), tuple(model.std.flatten().tolist())


@pytest.mark.parametrize(
    "encoder, mean, std",
    [
        ("timm:mobilenetv3_small_050", *IMAGENET),
        ("timm:tf_mobilenetv3_small_minimal_100", HALF, HALF),
        ("torchvision:mnasnet0_5", *IMAGENET),
    ],
)
def test_a_file_is_normalised_as_the_librarys_record_says(file, encoder, mean, std):
    settings = replace(SETTINGS, encoder=encoder, weights=file(encoder))
    assert_close(expected(settings), (mean, std))


@pytest.mark.parametrize("name", LIBRARIES)
def test_the_record_does_not_depend_on_how_weights_come(name):
    prepared = LIBRARIES[name].prepared("resnet18")
    assert (prepared.mean, prepared.std) == IMAGENET
    assert prepared.size == (224, 224)
    assert prepared.source == f"{name}'s record of resnet18"


def test_records_of_single_networks_are_read():
    assert LIBRARIES["torchvision"].prepared("efficientnet_v2_l").mean == HALF
    assert LIBRARIES["torchvision"].prepared("efficientnet_b3").size == (300, 300)
    assert LIBRARIES["timm"].prepared("inception_v3").size == (299, 299)
    assert LIBRARIES["timm"].prepared("vit_base_patch32_clip_224").mean[0] == 0.48145466


def test_a_file_of_ours_is_normalised_as_the_model_in_it_was(tmp_path):
    first = replace(SETTINGS, encoder="small_cnn", mean=(0.2,), std=(0.7,))
    run(first, tmp_path / "first", load_data(first))
    weights = str(tmp_path / "first" / "model.safetensors")
    again = replace(SETTINGS, encoder="small_cnn", weights=weights)
    assert_close(expected(again), ((0.2,), (0.7,)))
    dataset = load_to_train(again)
    assert any("mean 0.2 and deviation 0.7, as model.safetensors says" in n for n in dataset.notes)
    colour = replace(again, encoder="small_cnn")
    with pytest.raises(ValueError, match=r"by model.safetensors is of 1 channels, .* have 3; add"):
        expected(colour, load_dataset("digits", channels=3, size=32))


def test_another_choice_is_an_option(file):
    weights = file("torchvision:mnasnet0_5")
    settings = replace(SETTINGS, encoder="torchvision:mnasnet0_5", weights=weights)
    own = expected(replace(settings, weights=None))
    assert own[0][0] == pytest.approx(0.3, abs=0.1)
    assert expected(replace(settings, normalisation="images")) == own
    assert expected(replace(settings, normalisation="weights")) == expected(settings) != own
    given = replace(settings, mean=(0.1, 0.2, 0.3), std=(0.4, 0.5, 0.6))
    assert_close(expected(given), ((0.1, 0.2, 0.3), (0.4, 0.5, 0.6)))


def test_the_papers_is_the_second_choice():
    train = load_dataset("digits", channels=3).train
    settings = Settings(data="cifar10")
    published = PUBLISHED["cifar10"]
    assert choose_normalisation(settings, train, None).mean == published.mean
    prepared = LIBRARIES["torchvision"].prepared("resnet18")
    assert choose_normalisation(settings, train, prepared).mean == IMAGENET[0]
    paper = replace(settings, normalisation="paper")
    assert choose_normalisation(paper, train, prepared).std == published.std


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"mean": HALF}, "mean and std must be given together, got one of them"),
        ({"mean": HALF, "std": HALF, "normalisation": "images"}, "say it twice; leave one of them"),
        ({"normalisation": "weights"}, "'weights' needs weights that say what they expect"),
        ({"normalisation": "paper"}, "needs data of svhn, cifar10, cinic10, got 'digits'"),
    ],
)
def test_choices_that_do_not_exist(changes, message):
    train = load_dataset("digits", channels=3).train
    with pytest.raises(ValueError, match=message):
        choose_normalisation(replace(SETTINGS, **changes), train, None)


def test_the_run_says_and_keeps_whose_word_it_is(file, tmp_path, capsys):
    encoder = "timm:tf_mobilenetv3_small_minimal_100"
    command = ["train", "digits", "--size", "32", "--train-examples", "40", "--epochs", "1"]
    command += ["--encoder", encoder, "--weights", file(encoder), "--freeze-encoder"]
    assert main([*command, "--out", str(tmp_path / "run")]) == 0
    said = (
        "mean 0.5, 0.5, 0.5 and deviation 0.5, 0.5, 0.5, as timm's record of tf_mobilenetv3_small"
    )
    assert said in capsys.readouterr().err
    about = json.loads((tmp_path / "run" / "whence.json").read_text())
    assert about["run"]["normalisation"] == {
        "mean": [0.5] * 3,
        "std": [0.5] * 3,
        "source": "timm's record of tf_mobilenetv3_small_minimal_100",
    }
    assert whence.load(tmp_path / "run").mean.flatten().tolist() == [0.5] * 3


def test_weights_that_say_nothing_are_named(file):
    settings = replace(SETTINGS, encoder="small_cnn", weights=file("small_cnn", channels=1))
    notes = load_to_train(settings).notes
    assert any("w.safetensors does not say which mean and deviation it expects" in n for n in notes)
    assert weights_for(settings, load_data(settings).train).prepared is None


# The size that weights were trained with


@pytest.fixture
def photographs(tmp_path):
    for place in range(12):
        folder = tmp_path / "photographs" / "ab"[place % 2]
        folder.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (330, 310), (20 * place, 0, 90)).save(folder / f"{place}.png")
    return str(tmp_path / "photographs")


def test_large_images_get_the_size_of_the_weights(file, photographs):
    settings = Settings(data=photographs, encoder="timm:inception_v3", weights="w.pt")
    assert load_data(settings).train.images.shape[2:] == (299, 299)
    assert load_data(replace(settings, weights=None)).train.images.shape[2:] == (224, 224)
    assert load_data(replace(settings, size=40)).train.images.shape[2:] == (40, 40)
    as_before = load_data(settings, shape=(3, 224, 224))
    assert_close(as_before.train.images, load_data(replace(settings, size=224)).train.images)


def test_small_images_stay_small_and_it_is_said(file):
    encoder = "torchvision:mnasnet0_5"
    settings = replace(SETTINGS, encoder=encoder, weights=file(encoder), size=None)
    dataset = load_to_train(settings)
    assert dataset.train.images.shape[2:] == (8, 8)
    said = "The images are 8 x 8 pixels, the weights were trained with 224 x 224; --size 224 brings"
    assert any(note.startswith(said) for note in dataset.notes)
    assert not any(said[:20] in note for note in load_to_train(replace(settings, size=32)).notes)


# What is wrong is told before any image is read


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"encoder": "timm:resnet19"}, "Unknown timm .* Did you mean: "),
        ({"encoder": "torchvision:resnet19"}, "Unknown torchvision .* Did you mean: "),
        ({"encoder": "resnet19"}, "Unknown encoder 'resnet19'"),
        ({"encoder": "timm:resnet18", "weights": "none.pt"}, "none.pt must be a file, there is no"),
        (
            {"encoder": "small_cnn", "weights": "default"},
            "needs a torchvision or timm network, got",
        ),
        ({"weights": "none.pt"}, "none.pt must be a file, there is none"),
        ({"freeze_encoder": True}, "freeze_encoder needs weights"),
        ({"momentum": 2.0}, r"momentum must be in \[0, 1\), got 2.0"),
        ({"draw_batch": 0}, "draw_batch must be at least 1, got 0"),
    ],
)
def test_what_needs_no_image_is_told_before_images(changes, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        load_to_train(replace(SETTINGS, data="no such folder", **changes))


def test_weights_of_another_network_are_told_before_images(file):
    settings = replace(SETTINGS, data="no such folder", encoder="torchvision:mnasnet0_5")
    wrong = replace(settings, weights=file("torchvision:shufflenet_v2_x0_5"))
    with pytest.raises(ValueError, match=r"layers.0.weight .* is missing; .* of another network"):
        load_to_train(wrong)
    right = replace(settings, weights=file("torchvision:mnasnet0_5"))
    with pytest.raises(ValueError, match="Unknown dataset 'no such folder'"):
        load_to_train(right)


def test_networks_that_compute_while_they_are_built_are_compared_when_filled(file):
    encoder = "torchvision:regnet_x_400mf"
    settings = replace(SETTINGS, encoder=encoder, weights=file("torchvision:mnasnet0_5"))
    dataset = load_to_train(settings)
    with pytest.raises(ValueError, match="is missing"):
        prepare(settings, dataset)
