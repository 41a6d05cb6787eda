"""Trainings of a given length: epochs that fit, kept from then on."""

import itertools
import json
import os
import signal

import pytest
import torch
from safetensors.torch import save_file

from tests.helpers.forked import Forked
from whence.cli import main
from whence.encoders import ENCODERS
from whence.runs import budget
from whence.runs.budget import PLAN, PLANNED, count_epochs, measure_epoch
from whence.runs.duration import read_duration
from whence.runs.images import load_data
from whence.runs.prepare import prepare
from whence.runs.run import run
from whence.runs.settings import Settings
from whence.training.distributed import Team

SETTINGS = Settings(
    data="digits",
    train_examples=30,
    validation_examples=20,
    batch_size=10,
    memory_size=12,
    learning_rate=0.01,
    budget="1s",
    seed=3,
)


@pytest.fixture(scope="module")
def digits():
    return load_data(SETTINGS)


@pytest.fixture(scope="module")
def trained(digits, tmp_path_factory):
    """An epoch is found to take a quarter of a second, however busy the machine is."""
    folder = tmp_path_factory.mktemp("budget") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(budget, "measure_epoch", lambda *given: 0.25 * bool(measure_epoch(*given)))
        run(SETTINGS, folder, digits, checkpoint_seconds=0)
    return folder


@pytest.mark.parametrize(
    ("text", "seconds"), [("30s", 30), ("10m", 600), ("1h", 3600), ("0.5s", 0.5)]
)
def test_times_by_hand(text, seconds):
    assert read_duration("budget", text) == seconds


@pytest.mark.parametrize("text", ["", "10", "m", "-3s", "0s", "0.0h", "1e3s", "3 m", "3d", "٣s"])
def test_what_is_no_time(text):
    with pytest.raises(ValueError, match=r"budget must be a time with its unit, such as 90s, 10m"):
        read_duration("budget", text)


def test_as_many_epochs_as_fit():
    assert count_epochs("100s", PLANNED) == 100
    assert count_epochs("100s", 101 * PLANNED) == 0
    assert count_epochs("1h", 1e-9) == 10**6


def test_an_epoch_is_its_steps_times_the_median_step(digits):
    """The clock ticks once a step, first not at all, which does not count, then by 1, 2, 3, ..."""
    parts = prepare(SETTINGS, digits)
    before = {name: tensor.clone() for name, tensor in parts.model.state_dict().items()}
    told: list[float] = []
    ticks = itertools.chain([0.0] * 3, itertools.accumulate(itertools.count(0.0)))

    def clock():
        told.append(next(ticks))
        return told[-1]

    found = measure_epoch(parts, None, Team(), clock)
    last = len(told) - 4  # the ticks are 0, 0, 0, 0, 1, 3, 6, ..., so steps last 1, 2, 3, ...
    assert found == (1 + last) / 2 * 3
    for name, tensor in parts.model.state_dict().items():
        assert tensor.equal(before[name]), "the model that will be trained was touched"


def test_the_number_of_epochs_is_kept_and_said(trained):
    epochs = json.loads((trained / PLAN).read_text())["epochs"]
    assert epochs == int(PLANNED / 0.25) > 1
    about = json.loads((trained / "whence.json").read_text())
    assert about["run"]["plan"]["epochs"] == epochs
    assert len((trained / "log.jsonl").read_text().splitlines()) == epochs


def test_a_run_that_goes_on_keeps_its_number_and_its_bits(digits, trained, tmp_path):
    """Whatever a new measurement would say: it was stopped before its first checkpoint."""
    folder = tmp_path / "run"
    folder.mkdir()
    for name in ("settings.toml", PLAN):
        (folder / name).write_bytes((trained / name).read_bytes())
    run(SETTINGS, folder, digits, resume=True)
    for name in ("model.safetensors", "log.jsonl", PLAN):
        assert (folder / name).read_bytes() == (trained / name).read_bytes(), name


def test_a_budget_below_one_epoch_is_refused_and_leaves_the_folder_free(digits, tmp_path):
    settings = Settings(**{**vars(SETTINGS), "budget": "0.000001s"})
    for _ in range(2):
        with pytest.raises(
            ValueError, match=r"budget must last for one epoch, which takes 1 s here"
        ):
            run(settings, tmp_path / "run", digits)
        assert not (tmp_path / "run" / "settings.toml").exists()


@pytest.mark.parametrize(
    "more", [[], ["--freeze-encoder"], ["--freeze-encoder", "--layers", "best"]], ids=" ".join
)
def test_the_command_says_so_in_one_line_and_another_budget_may_follow(more, tmp_path, capsys):
    torch.manual_seed(3)
    save_file(ENCODERS["small_cnn"](channels=1).state_dict(), tmp_path / "weights.safetensors")
    command = [
        *("train", "digits", "--train-examples", "30", "--validation-examples", "20"),
        *("--encoder", "small_cnn", "--weights", str(tmp_path / "weights.safetensors")),
        *("--device", "cpu", "--variant", "standard", "--out", str(tmp_path / "run")),
        *more,
    ]
    for _ in range(2):
        assert main([*command, "--budget", "0.000001s"]) == 2
        out, err = capsys.readouterr()
        lines = [line for line in err.splitlines() if not line.startswith("note: ")]
        assert out == ""
        assert lines == [
            "whence: budget must last for one epoch, which takes 1 s here, got 0.000001s; give more "
            "time, or fewer training images (--train-examples)."
        ]
    assert [path.name for path in (tmp_path / "run").iterdir()] == [".lock"]


@pytest.mark.skipif(os.name != "posix", reason="needs signals")
def test_a_run_killed_in_its_training_goes_on_with_what_was_measured(tmp_path, monkeypatch):
    """It ends with the bits of a run that is told so many epochs and is left alone."""
    command = [
        *("train", "digits", "--train-examples", "30", "--validation-examples", "20"),
        *("--batch-size", "10", "--memory-size", "12", "--learning-rate", "0.01"),
        *("--device", "cpu", "--precision", "float32"),
    ]
    killed, alone = tmp_path / "killed", tmp_path / "alone"
    budgeted = [*command, "--budget", "0.5s", "--checkpoint-seconds", "0", "--out", str(killed)]
    process = Forked(main, budgeted, place=tmp_path / "printed")
    process.wait_for_step(killed, 2)
    process.send(signal.SIGKILL)
    assert process.wait()[0] == -signal.SIGKILL
    assert not (killed / "metrics.json").exists()
    planned = (killed / PLAN).read_bytes()

    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as in the process that was killed
    with monkeypatch.context() as patch:
        patch.delattr(budget, "measure_epoch")  # nothing is measured anew
        assert main([*budgeted[:-4], "--resume", "--out", str(killed)]) == 0
    assert (killed / PLAN).read_bytes() == planned
    epochs = json.loads(planned)["epochs"]
    assert main([*command, "--epochs", str(epochs), "--out", str(alone)]) == 0
    torch.set_num_threads(threads)
    for name in ("model.safetensors", "bank.safetensors", "log.jsonl", "whence.json"):
        assert (killed / name).read_bytes() == (alone / name).read_bytes(), name


def test_a_damaged_plan_is_named(digits, trained, tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "settings.toml").write_bytes((trained / "settings.toml").read_bytes())
    (folder / PLAN).write_text('{"epochs": "many"}')
    with pytest.raises(ValueError, match=r"plan.json must hold a number of epochs, it is damaged"):
        run(SETTINGS, folder, digits, resume=True)
