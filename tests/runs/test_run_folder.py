"""Run folders: what is in them, who may write to them, and what survives full disks and damage."""

import errno
import hashlib
import json
import os
import pickle
import shutil
import warnings
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from filelock import FileLock
from torch.testing import assert_close

import whence
from whence.cli import main
from whence.data.fingerprint import fingerprint
from whence.data.load import load_dataset
from whence.records.images import ImageSet
from whence.runs import finished as finished_module
from whence.runs import journal
from whence.runs import prepare as prepare_module
from whence.runs import run as run_module
from whence.runs.finished import evaluate_run, find_runs
from whence.runs.parse import from_mapping
from whence.runs.run import run
from whence.runs.settings import Settings, read_toml
from whence.storage import tensors as files
from whence.storage.checkpoint import Checkpoint, read_newest_checkpoint, write_checkpoint
from whence.storage.plain_files import read_json
from whence.storage.whole_files import is_leftover

SETTINGS = Settings(
    data="digits",
    train_examples=30,
    validation_examples=20,
    batch_size=10,
    memory_size=12,
    learning_rate=0.05,
    epochs=2,
    precision="float32",
)
STEPS = 6
NAMES = [
    *(".lock", "bank.safetensors", "log.jsonl", "metrics.json", "model.safetensors"),
    *("settings.toml", "whence.json"),
]


@pytest.fixture(scope="module")
def digits():
    """The digits, with fewer test images."""
    dataset = load_dataset("digits")
    return replace(dataset, test=dataset.test.take(torch.arange(40)))


@pytest.fixture(scope="module")
def finished(digits, tmp_path_factory):
    folder = tmp_path_factory.mktemp("finished") / "run"
    run(SETTINGS, folder, digits)
    return folder


@pytest.fixture
def interrupted(digits, tmp_path, monkeypatch):
    """A run that was stopped after its fourth step, with a checkpoint at every step."""
    folder = tmp_path / "interrupted"
    interrupt(folder, digits, monkeypatch, step=4)
    return folder


def interrupt(folder, dataset, monkeypatch, *, step, settings=SETTINGS, resume=False):
    def write_and_stop(place, checkpoint):
        write_checkpoint(place, checkpoint)
        if checkpoint.numbers["step"] == step:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(journal, "write_checkpoint", write_and_stop)
        with pytest.raises(KeyboardInterrupt):
            run(settings, folder, dataset, resume=resume, checkpoint_seconds=0)


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


def assert_same_result(folder, expected):
    for name in (
        "model.safetensors",
        "bank.safetensors",
        "log.jsonl",
        "settings.toml",
        "whence.json",
    ):
        assert (folder / name).read_bytes() == (expected / name).read_bytes(), name
    found, wanted = (read_json(place / "metrics.json") for place in (folder, expected))
    assert {**found, "train_seconds": 0} == {**wanted, "train_seconds": 0}
    assert set(names_in(folder)) >= set(NAMES)


# What is in a run folder


def test_contents(finished, digits):
    assert names_in(finished) == NAMES
    assert from_mapping(read_toml(finished / "settings.toml"), where="x") == SETTINGS
    lines = [json.loads(line) for line in (finished / "log.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in lines] == [1, 2]
    assert lines[0].keys() == {"epoch", "loss", "accuracy", "learning_rate"}
    about = read_json(finished / "whence.json")
    assert about["format"] == 1
    assert about["classes"] == [str(i) for i in range(10)]
    assert about["image_shape"] == [1, 8, 8]
    assert about["versions"].keys() == {"whence", "torch", "torchvision", "numpy"}
    assert about["sha256"] == {
        name: hashlib.sha256((finished / name).read_bytes()).hexdigest()
        for name in ("model.safetensors", "bank.safetensors")
    }
    recorded = about["run"]
    assert recorded["train_fingerprint"] == fingerprint(digits.train)
    assert recorded["test_fingerprint"] == fingerprint(digits.test)
    assert recorded["seed"] == recorded["plan"]["seed"] == 0
    assert recorded["plan"]["epochs"] == 2
    assert recorded["recipe"]["learning_rate"] == 0.05
    model = whence.load(finished)
    assert_close(torch.tensor(about["mean"]), model.mean.flatten())
    assert_close(torch.tensor(about["std"]), model.std.flatten())


def test_metrics_are_those_of_the_saved_model(finished, digits):
    metrics = read_json(finished / "metrics.json")
    model = whence.load(finished)
    right = model(digits.test.images).argmax(1) == digits.test.labels
    assert metrics["test"]["accuracy"] == float(right.double().mean())
    assert metrics["test"]["images"] == 40
    assert metrics["validation"]["images"] == 20
    assert len(metrics["test"]["accuracy_draws"]["passes"]) == 5
    assert metrics["device"] == "cpu"
    assert metrics["train_seconds"] > 0


def test_the_bank_says_where_its_images_come_from(finished, digits):
    bank = whence.load(finished).bank
    assert len(bank) == 30
    assert_close(bank.images, digits.train.images[bank.indices])
    assert_close(bank.labels, digits.train.labels[bank.indices])


def test_without_pixels_and_without_a_model(digits, tmp_path, finished):
    run(replace(SETTINGS, pixels=False), tmp_path / "a", digits)
    assert whence.load(tmp_path / "a").bank.images is None
    run(replace(SETTINGS, keep_model=False), tmp_path / "b", digits)
    assert names_in(tmp_path / "b") == [
        ".lock",
        "log.jsonl",
        "metrics.json",
        "settings.toml",
        "whence.json",
    ]
    metrics, whole = (read_json(p / "metrics.json") for p in (tmp_path / "b", finished))
    assert metrics["test"] == whole["test"]
    for use in (
        whence.load,
        lambda f: evaluate_run(f, data=None, device="cpu", seed=None, batch_size=9),
    ):
        with pytest.raises(
            ValueError, match=r"kept its numbers but not its model \(keep_model = false\)"
        ):
            use(tmp_path / "b")
    again = run(replace(SETTINGS, keep_model=False), tmp_path / "b", digits, resume=True)
    assert again == metrics


def test_the_batch_size_of_the_evaluation_changes_nothing(digits, tmp_path, finished):
    run(SETTINGS, tmp_path / "a", digits, batch_size=7)
    found, wanted = (read_json(p / "metrics.json") for p in (tmp_path / "a", finished))
    for name in ("accuracy", "accuracy_draws", "per_class", "explanation_accuracy"):
        assert found["test"][name] == wanted["test"][name]
    compared = 0
    for one, other in zip(numbers_in(found["test"]), numbers_in(wanted["test"]), strict=True):
        assert one == pytest.approx(other, abs=1e-6)  # sums of weights, in float32
        compared += 1
    assert compared > 60


def numbers_in(content):
    """Walk through all numbers of a JSON object."""
    values = content.values() if isinstance(content, dict) else content
    for value in values:
        if isinstance(value, (dict, list)):
            yield from numbers_in(value)
        else:
            yield value


# Who may write


def test_a_folder_that_is_not_empty_is_refused(digits, tmp_path, finished):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "notes.txt").write_text("mine")
    with pytest.raises(
        FileExistsError, match="is not empty; choose another --out, or add --resume"
    ):
        run(SETTINGS, tmp_path / "a", digits)
    with pytest.raises(FileExistsError, match="holds no run that could go on"):
        run(SETTINGS, tmp_path / "a", digits, resume=True)
    assert names_in(tmp_path / "a") == ["notes.txt"]
    with pytest.raises(FileExistsError, match="is not empty"):
        run(SETTINGS, finished, digits)
    with pytest.raises(FileExistsError, match=r"must be a folder, but .*notes.txt is a file"):
        run(SETTINGS, tmp_path / "a" / "notes.txt", digits)


@pytest.mark.parametrize(
    ("changed", "difference"),
    [
        ({"learning_rate": 0.1}, r"learning_rate \(0.05 and 0.1\)"),
        ({"seed": 3, "epochs": 9}, r"epochs \(2 and 9\)"),
        ({"memory_size": None}, r"memory_size \(12 and None\)"),
    ],
)
def test_other_settings_are_refused_naming_the_first(interrupted, digits, changed, difference):
    before = {path: path.read_bytes() for path in interrupted.iterdir()}
    with pytest.raises(FileExistsError, match=f"was started with another {difference}; choose"):
        run(replace(SETTINGS, **changed), interrupted, digits, resume=True)
    assert {path: path.read_bytes() for path in interrupted.iterdir()} == before


def test_an_empty_folder_and_a_new_one_are_fine_with_resume_too(digits, tmp_path):
    (tmp_path / "a").mkdir()
    run(SETTINGS, tmp_path / "a", digits, resume=True)
    run(SETTINGS, tmp_path / "b" / "c", digits, resume=True)
    assert_same_result(tmp_path / "a", tmp_path / "b" / "c")


def test_one_writer(digits, tmp_path, interrupted, finished):
    before = names_in(interrupted)
    message = "is being written to by another process"
    with FileLock(interrupted / ".lock"), pytest.raises(FileExistsError, match=message):
        run(SETTINGS, interrupted, digits, resume=True)
    assert names_in(interrupted) == before
    run(SETTINGS, interrupted, digits, resume=True)
    assert_same_result(interrupted, finished)


def test_a_folder_that_another_process_filled_meanwhile(digits, tmp_path, monkeypatch, finished):
    """Between the first look at the folder and the lock."""

    def fill_and_prepare(settings, dataset, **options):
        shutil.copytree(finished, tmp_path / "a")
        return prepare_module.prepare(settings, dataset, **options)

    monkeypatch.setattr(run_module, "prepare", fill_and_prepare)
    with pytest.raises(FileExistsError, match="is not empty"):
        run(SETTINGS, tmp_path / "a", digits)
    assert_same_result(tmp_path / "a", finished)


def test_a_finished_run_is_skipped(digits, finished, tmp_path, monkeypatch):
    folder = shutil.copytree(finished, tmp_path / "a")
    for name in ("checkpoint-3.safetensors", "checkpoint-3.json", ".model.safetensors.77.tmp"):
        (folder / name).write_text("left by a kill after the mark")
    monkeypatch.setattr(run_module, "fit", None)
    assert run(SETTINGS, folder, digits, resume=True) == read_json(finished / "metrics.json")
    assert names_in(folder) == NAMES
    assert_same_result(folder, finished)


def test_files_of_others_stay(digits, interrupted, finished):
    for name in ("notes.txt", ".hidden", "x.tmp", "checkpoint-x.json", ".a.b.tmp"):
        (interrupted / name).write_text("mine")
    (interrupted / ".metrics.json.4711.tmp").write_text("half a fi")
    run(SETTINGS, interrupted, digits, resume=True)
    others = {"notes.txt", ".hidden", "x.tmp", "checkpoint-x.json", ".a.b.tmp"}
    assert set(names_in(interrupted)) == others | set(NAMES)
    assert_same_result(interrupted, finished)


def test_killed_while_the_settings_were_written(digits, tmp_path, finished):
    """A folder with nothing but a lock and a temporary file is as good as empty."""
    (tmp_path / ".lock").touch()
    (tmp_path / ".settings.toml.4711.tmp").write_text("half a fi")
    run(SETTINGS, tmp_path, digits)
    assert names_in(tmp_path) == NAMES
    assert_same_result(tmp_path, finished)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"memory_size": 31}, "memory_size must be at most 30"),
        ({"memory_size": 1}, "memory_size must be at least 2"),
        ({"memory_size": 0}, "memory_size must be in 1 to 30"),
        ({"epochs": 0}, "epochs must be at least 1"),
        ({"train_examples": 5000}, "train_examples"),
        ({"encoder": "resnet19"}, "Unknown encoder 'resnet19'. Choose from: small_cnn"),
        ({"mean": (0.5,)}, "mean and std must be given together"),
        ({"mean": (0.5, 0.5), "std": (1.0, 1.0)}, "one number per channel"),
        ({"freeze_encoder": True}, "freeze_encoder needs weights"),
    ],
)
def test_settings_that_do_not_fit_write_nothing(digits, tmp_path, changed, message):
    with pytest.raises(ValueError, match=message):
        run(replace(SETTINGS, **changed), tmp_path / "a" / "b", digits)
    assert names_in(tmp_path) == []


# Checkpoints


def test_the_newest_two_are_kept(interrupted, digits, finished):
    expected = [f"checkpoint-{step}.{kind}" for step in (3, 4) for kind in ("json", "safetensors")]
    assert [name for name in names_in(interrupted) if "checkpoint" in name] == expected
    assert read_newest_checkpoint(interrupted).numbers["step"] == 4
    assert len((interrupted / "log.jsonl").read_text().splitlines()) == 1
    run(SETTINGS, interrupted, digits, resume=True)
    assert_same_result(interrupted, finished)
    assert names_in(interrupted) == NAMES


def cut(path):
    path.write_bytes(path.read_bytes()[:-7])


def flip(path):
    content = bytearray(path.read_bytes())
    content[-5] ^= 64
    path.write_bytes(content)


def link(path):
    shutil.move(path, path.parent.parent / path.name)
    path.symlink_to(path.parent.parent / path.name)


def evil(path):
    class Evil:
        def __reduce__(self):
            return os.mkdir, (str(path.parent / "ran"),)

    path.write_bytes(pickle.dumps(Evil()))


def other_step(path):
    content = read_json(path.with_suffix(".json"))
    path.with_suffix(".json").write_text(json.dumps({**content, "step": 5}))


@pytest.mark.parametrize(
    ("kind", "damage"),
    [
        *(("safetensors", damage) for damage in (cut, flip, link, evil, Path.unlink)),
        *(("json", damage) for damage in (cut, link, evil, Path.unlink, other_step)),
    ],
)
def test_a_damaged_newest_one_is_passed_over(interrupted, digits, finished, kind, damage):
    damage(interrupted / f"checkpoint-4.{kind}")
    assert read_newest_checkpoint(interrupted).numbers["step"] == 3
    run(SETTINGS, interrupted, digits, resume=True, checkpoint_seconds=0)
    assert_same_result(interrupted, finished)
    assert names_in(interrupted) == NAMES


def test_without_any_whole_one_it_starts_again(interrupted, digits, finished):
    for path in interrupted.glob("checkpoint-*.json"):
        path.unlink()
    run(SETTINGS, interrupted, digits, resume=True)
    assert_same_result(interrupted, finished)


def test_halves_of_later_steps_never_push_out_whole_ones(tmp_path):
    """Two kills while later checkpoints were written must not cost the ones that are whole."""
    for step in (30, 40, 50):
        (tmp_path / f"checkpoint-{step}.safetensors").write_bytes(b"half")
    for step in (10, 20, 25):
        numbers = {"step": step, "place": 0}
        write_checkpoint(tmp_path, Checkpoint({"order": torch.arange(step)}, numbers))
        assert read_newest_checkpoint(tmp_path).numbers == numbers
    expected = [
        f"checkpoint-{step}.{kind}" for step in (20, 25) for kind in ("json", "safetensors")
    ]
    assert names_in(tmp_path) == expected


def test_a_checkpoint_of_other_images_is_refused(interrupted, digits):
    changed = digits.train.images.clone()
    changed[7, 0, 3, 3] ^= 1
    train = ImageSet(changed, digits.train.labels, digits.train.class_names)
    with pytest.raises(
        FileExistsError, match="was started with other train images; choose another"
    ):
        run(SETTINGS, interrupted, replace(digits, train=train), resume=True)
    fewer = replace(digits, test=digits.test.take(torch.arange(9)))
    with pytest.raises(FileExistsError, match="was started with other test images"):
        run(SETTINGS, interrupted, fewer, resume=True)


def test_a_finished_run_of_other_images_is_not_skipped(finished, digits):
    fewer = replace(digits, test=digits.test.take(torch.arange(9)))
    with pytest.raises(FileExistsError, match="was made with other test images; choose another"):
        run(SETTINGS, finished, fewer, resume=True)


def test_other_code_is_refused(interrupted, digits, monkeypatch):
    """A newer whence whose recipe is another one must not go on as if it were the same."""
    recipe = replace(prepare_module.RECIPES["paper"], weight_decay=0.1)
    monkeypatch.setattr(prepare_module, "RECIPES", {"paper": recipe})
    with pytest.raises(FileExistsError, match="was started with other recipe"):
        run(SETTINGS, interrupted, digits, resume=True)


@pytest.mark.parametrize("started_with", [True, False])
def test_a_run_keeps_the_precision_it_started_with(digits, tmp_path, monkeypatch, started_with):
    settings, folder = replace(SETTINGS, precision="auto"), tmp_path / "a"
    monkeypatch.setattr(prepare_module, "has_bfloat16_units", lambda *_: started_with)
    interrupt(folder, digits, monkeypatch, step=2, settings=settings)
    monkeypatch.setattr(prepare_module, "has_bfloat16_units", lambda *_: not started_with)
    run(settings, folder, digits, resume=True)
    assert read_json(folder / "whence.json")["run"]["plan"]["bfloat16"] is started_with
    monkeypatch.setattr(prepare_module, "has_bfloat16_units", lambda *_: started_with)
    run(settings, tmp_path / "b", digits)
    assert_same_result(folder, tmp_path / "b")


@pytest.mark.parametrize("field", ["run", "seconds"])
def test_a_checkpoint_that_does_not_say_its_run_is_refused(interrupted, digits, field):
    path = interrupted / "checkpoint-4.json"
    path.write_text(json.dumps({**read_json(path), field: "x"}))
    with pytest.raises(ValueError, match="a checkpoint that does not say its run; it is damaged"):
        run(SETTINGS, interrupted, digits, resume=True)


def test_seconds_add_up(interrupted, digits, monkeypatch):
    path = interrupted / "checkpoint-4.json"
    path.write_text(json.dumps({**read_json(path), "seconds": 5000.0}))
    interrupt(interrupted, digits, monkeypatch, step=5, resume=True)
    assert 5000 < read_json(interrupted / "checkpoint-5.json")["seconds"] < 5100
    assert 5000 < run(SETTINGS, interrupted, digits, resume=True)["train_seconds"] < 5100


def test_seldom_checkpoints_are_seldom(digits, tmp_path, monkeypatch):
    written = []
    monkeypatch.setattr(journal, "write_checkpoint", lambda *_: written.append(1))
    run(SETTINGS, tmp_path / "a", digits)
    assert not written
    run(SETTINGS, tmp_path / "b", digits, checkpoint_seconds=0)
    assert len(written) == STEPS


# Full disks


class FullDisk:
    """Fail the n-th call, as a full disk does, or every call from then on."""

    def __init__(self, function, fails_at):
        self.function, self.fails_at, self.calls = function, fails_at, 0

    def __call__(self, *given):
        self.calls += 1
        if self.calls >= self.fails_at:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return self.function(*given)


def assert_nothing_half_written(folder):
    for path in folder.iterdir():
        assert not is_leftover(path)
        if path.suffix == ".json":
            read_json(path)
        if path.suffix == ".safetensors":
            files.read_layouts(path)


@pytest.mark.parametrize("fails_at", [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 35, 36, 38, 40, 42, 43])
def test_no_space_left(digits, tmp_path, monkeypatch, finished, fails_at):
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", FullDisk(os.fsync, fails_at))
        with pytest.raises(OSError, match="No space left") as caught:
            run(SETTINGS, tmp_path / "a", digits, checkpoint_seconds=0)
    assert caught.value.errno == errno.ENOSPC
    assert_nothing_half_written(tmp_path / "a")
    assert (tmp_path / "a" / "whence.json").exists() == (fails_at == 43)  # the last of all
    run(SETTINGS, tmp_path / "a", digits, resume=True)
    assert_same_result(tmp_path / "a", finished)


def test_a_full_disk_is_one_sentence(tmp_path, monkeypatch, capsys):
    arguments = ["train", "digits", "--train-examples", "30", "--epochs", "1", "--device", "cpu"]
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", FullDisk(os.fsync, 8))
        assert main([*arguments, "--out", str(tmp_path / "a")]) == 2
    error = capsys.readouterr().err
    assert error.startswith("whence: No space left on the disk of ")
    assert str(tmp_path / "a") in error
    assert error.count("\n") == 1
    assert_nothing_half_written(tmp_path / "a")
    assert main([*arguments, "--out", str(tmp_path / "a"), "--resume"]) == 0


def test_the_log_is_flushed_before_the_checkpoint_that_counts_on_it(digits, tmp_path, monkeypatch):
    """After a power cut the log must hold every epoch that the newest checkpoint has seen."""
    flushed = []

    def note(handle):
        link = Path(f"/proc/self/fd/{handle}")
        flushed.append(link.readlink().name if link.is_symlink() else "")

    monkeypatch.setattr(os, "fsync", note)
    run(SETTINGS, tmp_path / "a", digits, checkpoint_seconds=0)
    if not any(flushed):
        pytest.skip("needs /proc")
    written = [i for i, name in enumerate(flushed) if name.startswith(".checkpoint-")]
    assert len(written) == 2 * STEPS
    for index in written[::2]:
        assert flushed[index - 1] == "log.jsonl"
    last = len(flushed) - 1
    order = [".metrics.json", ".model.safetensors", ".bank.safetensors", ".whence.json"]
    ends = [max(i for i, name in enumerate(flushed) if name.startswith(o)) for o in order]
    assert ends == sorted(ends)
    assert flushed[last] == "a"  # the folder, after the mark took its name


# Hostile and damaged folders


@pytest.mark.parametrize("name", ["settings.toml", "log.jsonl", ".lock", "checkpoint-4.json"])
def test_links_lead_nowhere(interrupted, digits, tmp_path, name):
    outside = tmp_path / "outside"
    outside.write_text("mine\n" * 3)
    (interrupted / name).unlink()
    (interrupted / name).symlink_to(outside)
    if name == "checkpoint-4.json":
        run(SETTINGS, interrupted, digits, resume=True)
        assert names_in(interrupted) == NAMES
    else:
        with pytest.raises(
            (ValueError, FileExistsError), match="must be a plain file, it is a link"
        ):
            run(SETTINGS, interrupted, digits, resume=True)
    assert outside.read_text() == "mine\n" * 3


def test_a_link_to_nothing_makes_no_file(interrupted, digits, tmp_path):
    (interrupted / "log.jsonl").unlink()
    (interrupted / "log.jsonl").symlink_to(tmp_path / "new")
    with pytest.raises(ValueError, match="it is a link"):
        run(SETTINGS, interrupted, digits, resume=True)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"data = ", "must be TOML, it is damaged"),
        (b"\xff", "must be TOML, it is damaged"),
        (b"data = " + b"[" * 100_000, "must be TOML, it is damaged"),
        (b"#" * 17 * 2**20, "must have at most 16777216 bytes"),
        (b"", "must name its data"),
        (b"data = 'digits'\nevil = 'os:system'", "unknown setting 'evil'"),
        (b"data = 'digits'\nepochs = 'many'", "epochs must be a whole number"),
    ],
    ids=range(7),
)
def test_damaged_settings(interrupted, digits, content, message):
    (interrupted / "settings.toml").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        run(SETTINGS, interrupted, digits, resume=True)


def test_a_log_that_was_cut_or_went_on(interrupted, digits, finished):
    with (interrupted / "log.jsonl").open("a") as log:
        log.write('{"epoch": 2, "loss": 1.0}\n{"epo')
    run(SETTINGS, interrupted, digits, resume=True)
    assert_same_result(interrupted, finished)


# Finished runs


def test_find_runs(finished, tmp_path):
    assert find_runs(finished) == [finished]
    assert find_runs(finished.parent) == [finished]
    with pytest.raises(FileNotFoundError, match="No finished run in"):
        find_runs(tmp_path)
    with pytest.raises(FileNotFoundError, match="No run in"):
        find_runs(tmp_path / "none")


@pytest.fixture
def broken(finished, tmp_path):
    """Change what whence.json says of the run."""
    folder = shutil.copytree(finished, tmp_path / "broken")

    def change(**fields):
        about = read_json(folder / "whence.json")
        about["run"].update(fields)
        (folder / "whence.json").write_text(json.dumps(about))
        return folder

    return change


@pytest.mark.parametrize(
    "fields",
    [
        {"plan": None},
        {"plan": {}},
        {"plan": {"memory_size": "12", "seed": 0}},
        {"plan": {"memory_size": True, "seed": 0}},
        {"plan": {"memory_size": 0, "seed": 0}},
        {"plan": {"memory_size": 12}},
        {"test_fingerprint": 3},
        {"train_images": None},
        {"seed": "0"},
    ],
)
def test_a_run_that_does_not_say_how_it_was_made(broken, fields):
    with pytest.raises(
        ValueError, match=r"whence.json must say how its run was made; it is damaged"
    ):
        evaluate_run(broken(**fields), data=None, device="cpu", seed=None, batch_size=9)


def test_a_saved_model_is_no_run(finished, tmp_path):
    whence.load(finished).save(tmp_path / "a")
    with pytest.raises(ValueError, match="holds a model that no run has made"):
        evaluate_run(tmp_path / "a", data=None, device="cpu", seed=None, batch_size=9)


def test_what_decides_which_images_a_run_is_measured_on(digits, tmp_path, monkeypatch):
    """Of the run's own images the settings decide, of others their name and the run's shape."""
    loads, settings = [], SETTINGS
    monkeypatch.setattr(finished_module, "read_settings", lambda folder: settings)
    monkeypatch.setattr(finished_module, "load_data", lambda settings: loads.append(1) or digits)
    monkeypatch.setattr(finished_module, "load_dataset", lambda *_, **__: loads.append(1) or digits)
    about = {
        "image_shape": [1, 8, 8],
        "classes": list(digits.test.class_names),
        "run": {"test_fingerprint": fingerprint(digits.test)},
    }
    cache = {}
    for data in (None, "digits"):
        for change, expected in (
            ({}, 1),
            ({"seed": 3, "epochs": 5, "encoder": "resnet18"}, 0),
            ({"data": "mnist"}, data is None),
            ({"size": 5}, data is None),
            ({"encoder": "timm:resnet18"}, data is None),
            ({"data_root": "there"}, 1),
        ):
            settings = replace(SETTINGS, **change)
            for _ in range(2):
                found = finished_module.load_once(tmp_path, about, data, cache)
                assert found.dataset is digits
            assert len(loads) == expected
            loads.clear()
    settings = SETTINGS
    with pytest.raises(ValueError, match=r"must have images of shape \(3, 8, 8\), got \(1, 8, 8\)"):
        finished_module.load_once(tmp_path, about | {"image_shape": [3, 8, 8]}, "digits", cache)
    assert loads == [1]
    other = {**about, "run": {"test_fingerprint": "0"}}
    with pytest.raises(ValueError, match="they changed"):  # each run is compared
        finished_module.load_once(tmp_path, other, None, cache)


def test_warnings_are_errors_here():
    """Else the tests above would not notice a warning."""
    with pytest.raises(UserWarning):
        warnings.warn("x", UserWarning, stacklevel=1)
