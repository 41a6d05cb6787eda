"""A training that is killed, at any moment, ends with the same bits as one that is left alone."""

import json
import os
import signal

import pytest
import torch
from torch import nn
from torch.testing import assert_close

import whence
from tests.helpers.forked import Forked
from tests.helpers.killed_everywhere import work
from whence.cli import main
from whence.records.images import ImageSet
from whence.storage.checkpoint import find_checkpoints, read_newest_checkpoint, write_checkpoint
from whence.training.fit import fit
from whence.training.plan import Plan
from whence.training.recipes import Recipe

SHAPE = (1, 8, 8)
TRAIN = [
    *("train", "digits", "--train-examples", "30", "--validation-examples", "20"),
    *("--batch-size", "10", "--memory-size", "12", "--learning-rate", "0.05"),
    *("--device", "cpu", "--precision", "float32", "--checkpoint-seconds", "0"),
]
TIMES = ("train_seconds",)


@pytest.fixture
def one_thread():
    """Count on the same order of additions as in a process with OMP_NUM_THREADS=1."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def outcome(folder):
    """Everything in a finished run that must not depend on how often it was killed."""
    metrics = json.loads((folder / "metrics.json").read_text())
    about = json.loads((folder / "whence.json").read_text())
    return {
        "model": (folder / "model.safetensors").read_bytes(),
        "bank": (folder / "bank.safetensors").read_bytes(),
        "metrics": {name: value for name, value in metrics.items() if name not in TIMES},
        "about": about,
        "log": [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()],
        "names": sorted(path.name for path in folder.iterdir()),
    }


def assert_same(found, expected, *, epochs):
    assert [line["epoch"] for line in found["log"]] == list(range(1, epochs + 1))
    for name, value in expected.items():
        assert found[name] == value, name


# Steps of fit, through files


class Dropping(nn.Module):
    """A user's own encoder with dropout, BatchNorm, a bare number and a layer it never uses."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, 5, 3), nn.BatchNorm2d(5), nn.ReLU(), nn.Dropout(0.3), nn.Flatten()
        )
        self.scale = nn.Parameter(torch.tensor(1.5))
        self.unused = nn.Linear(2, 3)

    def forward(self, images):
        return self.layers(images) * self.scale


def make(encoder, variant="memory-wrap"):
    torch.manual_seed(0)
    return whence.wrap(
        Dropping() if encoder == "own" else encoder, 3, variant=variant, image_shape=SHAPE
    )


@pytest.fixture(scope="module")
def images():
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(22) % 3
    noise = torch.randint(0, 60, (22, *SHAPE), generator=generator)
    pixels = (noise + 60 * labels[:, None, None, None]).to(torch.uint8)
    return ImageSet(pixels, labels, ("a", "b", "c"))


SGD = Recipe(learning_rate=0.05, batch_size=7, augmentation="crop_flip")
PLAIN = Recipe(learning_rate=0.05, batch_size=7)
CASES = {
    "sgd": ("small_cnn", SGD, Plan(epochs=2, memory_size=9)),
    "adam": ("small_cnn", Recipe(optimizer="adam", learning_rate=0.01, batch_size=7), Plan(2, 9)),
    "dropout": ("own", SGD, Plan(epochs=2, memory_size=9)),
    "no momentum": ("own", Recipe(momentum=0.0, batch_size=7), Plan(epochs=2, memory_size=9)),
    "frozen": ("small_cnn", PLAIN, Plan(epochs=2, memory_size=9, freeze_encoder=True)),
    "bfloat16": ("small_cnn", SGD, Plan(epochs=2, memory_size=9, bfloat16=True)),
    "votes": ("small_cnn", SGD, Plan(epochs=2, memory_size=9)),
    "averaged": (
        "own",
        Recipe(learning_rate=0.05, batch_size=7, weight_averaging=0.6),
        Plan(epochs=2, memory_size=9),
    ),
    "pairs, uphill": (
        "own",
        Recipe(learning_rate=0.05, batch_size=7, mixing="cutmix", sharpness_radius=0.1),
        Plan(epochs=2, memory_size=9),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_resume_at_every_step(images, tmp_path, case):
    encoder, recipe, plan = CASES[case]
    variant = "votes" if case == "votes" else "memory-wrap"
    expected, folders, all_reports = make(encoder, variant), [], []

    def keep(make_checkpoint):
        folder = tmp_path / str(len(folders))
        folder.mkdir()
        write_checkpoint(folder, make_checkpoint())
        folders.append((folder, len(all_reports)))

    fit(expected, images, recipe=recipe, plan=plan, on_step=keep, on_epoch=all_reports.append)
    assert len(folders) == 6  # 22 images make 3 batches of 7, twice
    before = make(encoder, variant).state_dict()
    changed = {
        name for name, tensor in expected.state_dict().items() if not tensor.equal(before[name])
    }
    assert changed  # else every resumed training would be right
    for folder, seen in folders:
        model, reports = make(encoder, variant), []
        checkpoint = read_newest_checkpoint(folder)
        torch.manual_seed(123)  # whatever the global random state is
        fit(model, images, recipe=recipe, plan=plan, resume=checkpoint, on_epoch=reports.append)
        for name, tensor in expected.state_dict().items():
            assert_close(model.state_dict()[name], tensor, rtol=0, atol=0)
        assert reports == all_reports[seen:]


def test_dropout_does_something(images):
    """Else the case above would prove nothing about the random state."""
    results = []
    for seed in (0, 1):
        model = make("own", "standard")
        plan = Plan(epochs=1, seed=seed)
        fit(model, images, recipe=Recipe(learning_rate=1e-9, batch_size=22), plan=plan)
        results.append(model.encoder.layers[1].running_mean.clone())
        model.train()
        a, b = (model(images.images[:2]) for _ in range(2))
        assert not a.equal(b)
    assert_close(results[0], results[1])


# Processes


@pytest.mark.skipif(os.name != "posix", reason="needs fork and SIGKILL")
def test_killed_before_every_file_operation(tmp_path):
    """Each attempt gets one file operation further, through training and again through its end."""
    arguments = [*TRAIN, "--epochs", "2"]
    process = Forked(work, tmp_path, "checkpoint-6.json", arguments, place=tmp_path / "printed")
    code, _, errors = process.wait()
    assert code == 0, errors
    trained, finished, removed = json.loads((tmp_path / "operations.json").read_text())
    assert trained > 12
    assert finished > 15
    assert removed == 4  # with 4, 4 and 3 files of two checkpoints left, then none
    assert_same(outcome(tmp_path / "killed"), outcome(tmp_path / "alone"), epochs=2)


def launch(folder, place, *more):
    return Forked(main, [*TRAIN, *more, "--out", str(folder)], place=place)


@pytest.mark.skipif(os.name != "posix", reason="needs signals")
def test_killed_and_interrupted_from_outside(tmp_path, one_thread, capsys):
    """SIGKILL once, Ctrl-C once, then to the end: the same as alone; a second writer is refused."""
    long, seldom = ["--epochs", "40"], ["--checkpoint-seconds", "1000"]
    assert main([*TRAIN, *long, *seldom, "--out", str(tmp_path / "alone")]) == 0
    folder = tmp_path / "killed"

    process = launch(folder, tmp_path / "first", *long)
    process.wait_for_step(folder, 7)
    again = [*TRAIN, *long, *seldom, "--resume", "--out", str(folder)]
    capsys.readouterr()
    assert main(again) == 2
    assert "is being written to by another process" in capsys.readouterr().err
    process.send(signal.SIGKILL)
    assert process.wait()[0] == -signal.SIGKILL
    assert not (folder / "whence.json").exists()

    process = launch(folder, tmp_path / "second", *long, "--resume")
    process.wait_for_step(folder, max(find_checkpoints(folder)) + 5)
    process.send(signal.SIGINT)
    code, _, errors = process.wait()
    assert code == 130
    assert "--resume" in errors
    assert "Traceback" not in errors
    assert not (folder / "whence.json").exists()
    assert not list(folder.glob(".*.tmp"))

    assert main(again) == 0
    assert_same(outcome(folder), outcome(tmp_path / "alone"), epochs=40)
