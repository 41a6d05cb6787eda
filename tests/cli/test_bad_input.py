"""Bad input at the command line: one sentence, exit code 2, nothing written."""

import json
import os
import shutil
from urllib.error import URLError

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import whence
from whence.cli import main

QUICK = ["--device", "cpu", "--epochs", "1"]
DIGITS = ["train", "digits", "--train-examples", "20", *QUICK]


def write_images(folder, classes, count=6, size=(8, 8), colour=True):
    numbers = np.random.default_rng(0)
    for name in classes:
        (folder / name).mkdir(parents=True, exist_ok=True)
        for index in range(count):
            shape = (*size, 3) if colour else size
            array = numbers.integers(0, 256, shape, dtype=np.uint8)
            Image.fromarray(array).save(folder / name / f"{index}.png")


@pytest.fixture
def photos(tmp_path):
    write_images(tmp_path / "photos", "ab")
    return tmp_path / "photos"


@pytest.fixture
def fails(tmp_path, monkeypatch, capsys):
    """Run a command that must fail with one line that holds ``message`` and leave no trace."""
    place = tmp_path / "working folder"
    place.mkdir()
    monkeypatch.chdir(place)

    def check(*arguments, message, leaves=()):
        before = list_files(tmp_path)
        assert main([str(argument) for argument in arguments]) == 2
        output = capsys.readouterr()
        lines = [line for line in output.err.splitlines() if not line.startswith("note: ")]
        assert len(lines) == 1, output.err
        assert lines[0].startswith("whence: ")
        assert message in lines[0]
        assert output.out == ""
        new = {path.name for path in list_files(tmp_path).keys() - before.keys()}
        assert new == set(leaves)
        assert {
            path: time for path, time in list_files(tmp_path).items() if path in before
        } == before

    return check


def list_files(folder):
    return {path: path.lstat().st_mtime_ns for path in folder.rglob("*") if not path.is_dir()}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run on a small image folder: (run, photos)."""
    folder = tmp_path_factory.mktemp("finished")
    write_images(folder / "photos", "ab")
    assert main(["train", str(folder / "photos"), *QUICK, "--out", str(folder / "run")]) == 0
    return folder / "run", folder / "photos"


@pytest.fixture
def run(finished, tmp_path, capsys):
    """A copy of it that may be damaged."""
    capsys.readouterr()
    return shutil.copytree(finished[0], tmp_path / "run")


# Images


def test_an_unreadable_image_is_named(photos, fails):
    (photos / "a" / "3.png").write_text("no image")
    fails("train", photos, *QUICK, message="a/3.png cannot be read as an image (it is not an image")
    png = (photos / "b" / "1.png").read_bytes()
    (photos / "a" / "3.png").write_bytes(png[: len(png) // 2])
    fails(
        "train", photos, *QUICK, message="a/3.png cannot be read as an image (image file is trunc"
    )


def test_many_unreadable_images_are_counted(photos, fails):
    for index in range(5):
        (photos / "a" / f"{index}.png").write_bytes(b"")
    fails("train", photos, *QUICK, message="5 of 12 files cannot be read as images: ")


def test_a_dangling_link_is_named(photos, fails):
    (photos / "a" / "9.png").symlink_to("gone.png")
    fails("train", photos, *QUICK, message="9.png")


def test_an_empty_class_folder(photos, fails):
    (photos / "c").mkdir()
    fails("train", photos, *QUICK, message="photos/c must hold image files, it holds nothing; add")


@pytest.mark.parametrize(("classes", "found"), [("a", "only 'a'"), ("", "no folder")])
def test_one_class_only(tmp_path, fails, classes, found):
    (tmp_path / "x").mkdir()
    write_images(tmp_path / "x", classes)
    message = f"for at least two classes, it holds {found}; put the images of each class"
    fails("train", tmp_path / "x", *QUICK, message=message)


def test_a_class_of_one_image(photos, fails):
    write_images(photos, "c", count=1)
    message = "Class 'c' in .*photos must have at least 2 images".replace(
        ".*", str(photos.parent) + "/"
    )
    fails("train", photos, *QUICK, message=message)


@pytest.mark.skipif(os.name == "nt", reason="no such names")
def test_class_folders_that_a_run_folder_could_not_name(tmp_path, fails):
    """Found out before the training, not when its result is read."""
    write_images(tmp_path / "x", ["C:", "a"])
    message = "the images must name files inside the dataset's folder, got 'C:/"
    fails("train", tmp_path / "x", *QUICK, message=message)


def test_other_classes_in_the_test_folder(tmp_path, fails):
    write_images(tmp_path / "x" / "train", "ab")
    write_images(tmp_path / "x" / "test", "ac")
    fails(
        "train", tmp_path / "x", *QUICK, message="it lacks b and adds c; give both the same folders"
    )


def test_data_that_is_no_data(photos, fails, tmp_path):
    choices = "Give an image folder or choose from: digits, mnist, "
    fails(
        "train",
        "nosuch",
        message=f"Unknown dataset 'nosuch', and there is no such folder. {choices}",
    )
    fails("train", tmp_path / "gone", message="there is no such folder")
    fails("train", photos / "a" / "0.png", message="0.png is a file; give the folder that holds")
    fails("train", message="the following arguments are required: data")


def test_datasets_that_are_not_there(fails, tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise URLError("no network")

    monkeypatch.setattr("urllib.request.urlopen", refuse)
    for name in ("cifar10", "cinic10"):
        fails("train", name, "--data-root", tmp_path / "none", *QUICK, message=f"{name} ")


# Numbers and names


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--memory-size", "50"], "memory_size must be at most 20, the number of training images, got 50"),
        (["--memory-size", "1"], "memory_size must be at least 2, because an image may not attend"),
        (["--memory-size", "0"], "memory_size must be in 1 to 20"),
        (["--train-examples", "0"], "train_examples must be from 1 to"),
        (["--train-examples", "1"], "train_examples must be at least 2, got 1"),
        (["--train-examples", "1", "--variant", "standard"], "train_examples must be at least 2, got 1"),
        (["--train-examples", "5000"], "train_examples must be from 1 to 1167"),
        (["--validation-examples", "5000"], "validation_examples must be from 0 to 1296"),
        (["--epochs", "0"], "epochs must be at least 1, got 0"),
        (["--batch-size", "1"], "batch_size must be at least 2, got 1"),
        (["--learning-rate", "-1"], "learning_rate must be at least 0, got -1.0"),
        (["--weight-decay", "-1"], "weight_decay must be at least 0"),
        (["--momentum", "-1"], "momentum must be in [0, 1), got -1.0"),
        (["--momentum", "1", "--optimizer", "adam"], "momentum must be in [0, 1), got 1.0"),
        (["--label-smoothing", "2"], "label_smoothing must be in [0, 1), got 2.0"),
        (["--label-smoothing", "-0.1"], "label_smoothing must be in [0, 1), got -0.1"),
        (["--draw-batch", "0"], "draw_batch must be at least 1, got 0"),
        (["--size", "0"], "size must be at least 1 pixel, got 0"),
        (["--size", "1"], "must accept images of image_shape (1, 1, 1)"),
        (["--seed", "-1"], "seed must be in 0 to 2**63 - 1, got -1"),
        (["--seed", "9" * 30], "seed must be in 0 to 2**63 - 1, got 999"),
        (["--seeds", "0"], "seeds must be at least 1, got 0"),
        (["--seeds", "2", "--seed", "1"], "give either --seeds or --seed"),
        (["--mean", "[0.5]"], "mean and std must be given together"),
        (["--mean", "[0.5]", "--std", "[0]"], "std must be positive, got 0.0"),
        (["--mean", "[0.5, 0.5]", "--std", "[1, 1]"], "one number per channel (1), got 2 and 2"),
        (["--freeze-encoder"], "freeze_encoder needs weights"),
        (["--weights", "gone.pt"], "gone.pt must be a file, there is none"),
        (["--weights", "default"], "needs a torchvision or timm network"),
        (["--encoder", "resnet19"], "Unknown encoder 'resnet19'. Choose from: small_cnn, mobilenet_v2"),
        (["--encoder", "torchvision:resnet19"], "Did you mean: resnet18"),
        (["--variant", "none"], "variant must be one of memory-wrap, only-memory, standard, got 'none'"),
        (["--recipe", "x"], "recipe must be one of paper, vit, finetune, got 'x'"),
        (["--modality", "x"], "Unknown modality 'x'. Choose from: std, memory, encoder_memory"),
        (["--augmentation", "x"], "augmentation must be one of none, flip, crop_flip"),
        (["--epochz", "3"], "unrecognized arguments: --epochz 3; whence train --help lists the options"),
        (["--epochs", "many"], "epochs must be a whole number, got 'many'"),
        (["--epochs", "1.5"], "epochs must be a whole number, got '1.5'"),
        (["--learning-rate", "fast"], "learning-rate must be a number, got 'fast'"),
        (["--learning-rate", "nan"], "learning-rate must be a number, got 'nan'"),
        (["--milestones", "soon"], "milestones must be a list, each a whole number, such as [1, 2]"),
        (["--epochs"], "expected one argument"),
        (["--device", "tpu"], "device must be cpu or cuda, got 'tpu'"),
        (["--device", "meta"], "device must be cpu or cuda, got 'meta'"),
        (["--device", "cuda:99"], "No GPU was found for --device cuda:99"),
    ],
)  # fmt: skip
def test_options(fails, options, message):
    fails(*DIGITS, *options, message=message)


def test_commands(fails):
    fails("trian", message="Unknown command 'trian'. Choose from: demo, train, train-vae, evaluate")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
@pytest.mark.parametrize("command", [DIGITS, ["predict", "RUN", "IMAGE"], ["evaluate", "RUN"]])
def test_no_gpu(fails, run, finished, command):
    places = {"RUN": run, "IMAGE": finished[1] / "a" / "0.png"}
    arguments = [places.get(argument, argument) for argument in command]
    fails(
        *arguments, "--device", "cuda", message="No GPU was found for --device cuda; leave it out"
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            "data = 'digits'\nepochz = 3",
            "unknown setting 'epochz'. Choose from: data, data_root, size",
        ),
        ("data = 'digits'\nepochs = 'many'", "epochs must be a whole number, got 'many'"),
        ("data = 'digits'\nlearning_rate = true", "learning-rate must be a number, got 'True'"),
        ("data = ['digits']", "data must be text"),
        (
            "data = 'digits'\nvariant = 'x'",
            "variant must be one of memory-wrap, only-memory, standard",
        ),
        ("data = 'digits'\nencoder = 'x'", "Unknown encoder 'x'. Choose from: small_cnn"),
        ("data = 'digits'\nmilestones = 3", "milestones must be a list"),
        ("data = 'digits'\nseeds = 'x'", "seeds as a whole number, got 'x'"),
        (
            "data = 'digits'\ntrain_examples = 20\nmemory_size = 21",
            "memory_size must be at most 20",
        ),
        ("epochs = 3", "must name its data"),
        ("data = ", "must be TOML, it is damaged"),
        ("data = 'nosuch'", "Unknown dataset 'nosuch'"),
        (b"\xff\xfe", "must be TOML, it is damaged"),
    ],
)
def test_settings_files(fails, tmp_path, content, message):
    path = tmp_path / "settings.toml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    fails("train", path, "--device", "cpu", message=message)


def test_settings_files_that_are_none(fails, tmp_path):
    fails("train", "gone.toml", message="No settings file gone.toml")
    fails("train", "gone.yaml", message="No settings file gone.yaml")
    (tmp_path / "a.yaml").write_text("a: 1")
    fails(
        "train",
        tmp_path / "a.yaml",
        message="a.yaml has an unknown setting a. Choose from: CIFAR10",
    )
    (tmp_path / "big.toml").write_bytes(b"#" * 17 * 2**20)
    fails("train", tmp_path / "big.toml", message="must have at most 16777216 bytes")
    (tmp_path / "link.toml").symlink_to("big.toml")
    fails("train", tmp_path / "link.toml", message="must be a plain file, it is a link")


# Training


def test_a_loss_that_becomes_nan_names_its_step_and_what_to_try(fails, tmp_path):
    left = [".lock", "settings.toml", "log.jsonl"]
    fails(
        *[*DIGITS, "--epochs", "3", "--batch-size", "5", "--learning-rate", "1e30"],
        *["--precision", "float32", "--checkpoint-seconds", "0", "--out", "runs/x"],
        message="The loss became nan at step 2; try a lower learning rate (--learning-rate)",
        leaves=[*left, "checkpoint-1.json", "checkpoint-1.safetensors"],
    )
    fails("evaluate", "runs/x", message="No finished run in runs/x")
    fails(*DIGITS, "--out", "runs/x", message="runs/x is not empty; choose another --out")


def test_a_last_step_that_makes_nan(fails):
    fails(
        *[*DIGITS, "--learning-rate", "1e38", "--batch-size", "20", "--precision", "float32"],
        *["--optimizer", "adam", "--weight-decay", "1e38", "--out", "runs/x"],
        message="After the last step the model must hold finite numbers",
        leaves=[".lock", "settings.toml", "log.jsonl"],
    )


# Run folders


def test_places_that_cannot_be_written(fails, tmp_path, photos):
    file = tmp_path / "file"
    file.write_text("mine")
    fails(*DIGITS, "--out", file, message="file must be a folder, but ")
    fails(*DIGITS, "--out", file / "a" / "b", message="file is a file")
    fails(*DIGITS, "--out", photos, message="photos is not empty; choose another --out")
    fails(*DIGITS, "--out", photos, "--resume", message="photos holds no run that could go on")
    fails(*DIGITS, "--out", "x" * 300, message="File name too long")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write")
def test_a_folder_without_permission(fails, tmp_path):
    (tmp_path / "a").mkdir(mode=0o500)
    fails(*DIGITS, "--out", tmp_path / "a" / "b", message="Permission denied")


def test_other_settings(fails, run, finished):
    message = "was started with another epochs (1 and 2); choose another --out"
    fails("train", finished[1], *QUICK, "--epochs", "2", "--out", run, "--resume", message=message)


def test_other_images(fails, run, finished, photos):
    """The images of a folder changed since the run was finished."""
    settings = (run / "settings.toml").read_text().replace(str(finished[1]), str(photos))
    (run / "settings.toml").write_text(settings)
    (photos / whence.load_parts(run).test.sources[0]).unlink()
    fails("evaluate", run, message=" was made with, 1 of 2 are gone or changed (first: ")
    write_images(photos, "c")
    message = "was made with other train images; choose another --out"
    fails("train", photos, *QUICK, "--out", run, "--resume", message=message)


def edit(run, **fields):
    about = json.loads((run / "whence.json").read_text())
    (run / "whence.json").write_text(json.dumps({**about, **fields}))


def cut(path):
    path.write_bytes(path.read_bytes()[:-9])


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda run: (run / "whence.json").unlink(), "No finished run in "),
        (shutil.rmtree, "No run in "),
        (lambda run: (run / "model.safetensors").unlink(), "model.safetensors is missing"),
        (lambda run: (run / "bank.safetensors").unlink(), "bank.safetensors is missing"),
        (lambda run: cut(run / "model.safetensors"), "model.safetensors must be a safetensors file, it is damaged"),
        (lambda run: cut(run / "bank.safetensors"), "bank.safetensors must be a safetensors file, it is damaged"),
        (lambda run: cut(run / "whence.json"), "whence.json must be JSON, it is damaged"),
        (lambda run: edit(run, format=2), "was written by a newer whence (format 2, this one reads 1); upgrade"),
        (lambda run: edit(run, format="x"), "whence.json must name its format, got 'x'; it is damaged"),
        (lambda run: edit(run, sha256={"model.safetensors": "0"}), "must have the hash in whence.json"),
        (lambda run: edit(run, sha256={}), "kept its numbers but not its model (keep_model = false)"),
    ],
)  # fmt: skip
def test_a_run_that_is_not_whole(fails, run, finished, damage, message):
    damage(run)
    fails("predict", run, finished[1] / "a" / "0.png", message=message)
    fails("evaluate", run, message=message)


def test_a_run_without_its_settings(fails, run):
    (run / "settings.toml").unlink()
    fails("evaluate", run, message="settings.toml is missing")


def test_a_saved_model_cannot_be_evaluated_by_the_command(fails, run, tmp_path):
    whence.save(whence.load(run), tmp_path / "a")
    fails("evaluate", tmp_path / "a", message="holds a model that no run has made")


# Prediction and evaluation


def test_predict(fails, run, finished, tmp_path):
    image = finished[1] / "a" / "0.png"
    (tmp_path / "notes.txt").write_text("hello")
    (tmp_path / "empty").mkdir()
    for bad, message in (
        ("notes.txt", "notes.txt cannot be read as an image (it is not an image file of a"),
        ("gone.png", "gone.png"),
        ("empty", "empty holds no image"),
    ):
        fails("predict", run, tmp_path / bad, message=message)
        fails("predict", run, image, tmp_path / bad, message=message)
    fails("predict", run, message="the following arguments are required: images")
    fails(
        "predict", run, image, "--batch-size", "0", message="batch-size must be at least 1, got 0"
    )
    fails("predict", run, image, "--what", message="unrecognized arguments: --what; whence predict")
    fails("predict", run / "model.safetensors", image, message="No run in ")


def test_evaluate(fails, run, tmp_path):
    write_images(tmp_path / "other", "xy")
    fails("evaluate", message="the following arguments are required: run")
    fails("evaluate", tmp_path / "gone", message="No run in ")
    fails("evaluate", tmp_path / "other", message="No finished run in ")
    fails("evaluate", run, "--batch-size", "0", message="batch-size must be at least 1, got 0")
    fails("evaluate", run, "--seed", "-1", message="seed must be in 0 to 2**63 - 1, got -1")
    fails("evaluate", run, "--data", "nosuch", message="Unknown dataset 'nosuch'")
    fails("evaluate", run, "--data", "digits", message="digits must have the classes of ")
    for command in ("evaluate", "report"):
        other = [command, run, "--data", tmp_path / "other"]
        fails(*other, message="(a, b), got x, y; say which is which with --map x=a, or take it out")
        fails(*other, "--map", "x", message="map must be OLD=NEW, got 'x'")
        fails(*other, "--map", "x=a", "--map", "x=b", message="map must name 'x' once, it leads")
        fails(*other, "--map", "x=c", message="map must lead to classes of the model (a, b), got")
        fails(command, run, "--map", "x=a", message="map is for the classes of other images; name")
        fails(command, run, "--data", tmp_path / "other" / "x", message="6 images without labels")


def test_a_model_given_the_wrong_channels(tmp_path):
    """In Python; the commands convert images to the channels of the model."""
    encoder = nn.Sequential(nn.Conv2d(1, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    with pytest.raises(ValueError, match=r"image_shape \(3, 8, 8\), it raised .* channels"):
        whence.wrap(encoder, 3, image_shape=(3, 8, 8))
    model = whence.wrap(encoder, 3, image_shape=(1, 8, 8))
    grey, colour = torch.rand(2, 1, 8, 8), torch.rand(2, 3, 8, 8)
    for call in (
        lambda: model(colour, grey),
        lambda: model(grey, colour),
        lambda: model.remember(colour),
        lambda: model.remember(grey).eval()(colour),
    ):
        with pytest.raises(ValueError, match=r"\(\w, C, H, W\) with C=1, got shape \(2, 3, 8, 8\)"):
            call()
