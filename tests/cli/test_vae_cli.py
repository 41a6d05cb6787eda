"""``whence train-vae``: the folder, a kill at any moment, and bad input."""

import json
import shutil
import signal

import pytest
import torch
from torch import nn

import whence
from tests.helpers.forked import Forked
from tests.helpers.label_tables import name_columns
from whence.autoencoders import VAES
from whence.autoencoders.measure_vae import measure_reconstruction
from whence.autoencoders.saved_vae import load_vae, read_about_vae
from whence.cli import main
from whence.cli.train_vae import build
from whence.data.fingerprint import fingerprint
from whence.morphing.answers import check_fit
from whence.runs import vae_run as work
from whence.runs.images import load_data
from whence.runs.settings import Settings, read_toml
from whence.runs.vae_settings import VAE_FIELDS, VAESettings, check_vae_settings
from whence.storage.checkpoint import find_checkpoints
from whence.storage.plain_files import refuse_constant

TRAIN = [
    *("train-vae", "digits", "--train-examples", "40", "--validation-examples", "20"),
    *("--batch-size", "10", "--codes", "4", "--epochs", "3", "--device", "cpu"),
]
SETTINGS = VAESettings(
    data="digits", train_examples=40, validation_examples=20, batch_size=10, codes=4, epochs=3
)


@pytest.fixture(scope="module")
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def finished(tmp_path_factory, one_thread):
    folder = tmp_path_factory.mktemp("finished") / "vae"
    assert main([*TRAIN, "--out", str(folder)]) == 0
    return folder


def outcome(folder):
    metrics = json.loads((folder / "metrics.json").read_text())
    metrics.pop("train_seconds")
    rest = {
        name: (folder / name).read_bytes()
        for name in ("vae.safetensors", "vae.json", "log.jsonl", "settings.toml")
    }
    return {**rest, "metrics": metrics, "names": sorted(path.name for path in folder.iterdir())}


def list_files(folder):
    return {path: path.lstat().st_mtime_ns for path in folder.rglob("*")}


def test_the_folder(finished):
    names = {"settings.toml", "log.jsonl", "metrics.json", "vae.safetensors", "vae.json"}
    assert {path.name for path in finished.iterdir()} - {".lock"} == names
    run = json.loads((finished / "vae.json").read_text())["run"]
    assert (run["train_images"], run["validation_images"], run["test_images"]) == (40, 20, 500)
    assert run["dataset"] == "digits"
    assert len((finished / "log.jsonl").read_text().splitlines()) == 3
    vae, data = load_vae(finished), work.load_vae_data(VAESettings(data="digits"))
    assert (vae.name, vae.codes, vae.image_shape) == ("residual", 4, (1, 8, 8))
    metrics = json.loads((finished / "metrics.json").read_text())
    expected = measure_reconstruction(vae, data.test.images)
    assert metrics["test"] == pytest.approx(vars(expected), rel=1e-4)
    assert metrics["validation"]["images"] == 20


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """A training that was killed after five or more of its twelve steps."""
    folder = tmp_path_factory.mktemp("killed") / "vae"
    command = [*TRAIN, "--out", str(folder), "--checkpoint-seconds", "0"]
    process = Forked(main, command, place=folder.parent / "printed")
    process.wait_for_step(folder, 5)
    process.send(signal.SIGKILL)
    assert process.wait()[0] == -signal.SIGKILL
    assert 5 <= max(find_checkpoints(folder)) < 12
    return folder


def test_it_is_killed_and_goes_on_to_the_same_bits(finished, killed, tmp_path):
    folder = shutil.copytree(killed, tmp_path / "vae")
    assert not (folder / "vae.json").exists()
    with (folder / "log.jsonl").open("a") as log:
        log.write('{"epoch": 3, "train_elbo": 1.0}\n')  # of an epoch that no checkpoint has seen
    assert main([*TRAIN, "--out", str(folder), "--resume"]) == 0
    assert outcome(folder) == outcome(finished)
    before = list_files(folder)
    assert main([*TRAIN, "--out", str(folder), "--resume"]) == 0  # finished: nothing to do
    after = list_files(folder)
    assert {p for p in after if after[p] != before.get(p)} <= {folder / ".lock"}


def test_what_is_printed(finished, capsys):
    assert main([*TRAIN, "--out", str(finished), "--resume"]) == 0
    metrics = json.loads((finished / "metrics.json").read_text())
    line = capsys.readouterr().out
    assert f"off by {metrics['test']['l1']:.4f} of the range" in line
    assert f"bound {metrics['test']['elbo']:.1f} nats" in line
    elsewhere = ["--data-root", "elsewhere"]  # which does not count
    assert main([*TRAIN, "--out", str(finished), "--resume", "--json", *elsewhere]) == 0
    assert json.loads(capsys.readouterr().out) == {str(finished): metrics}


def test_by_default_it_goes_to_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main([*TRAIN, "--epochs", "1"]) == 0
    assert (tmp_path / "runs" / "digits-vae" / "vae.json").exists()


def test_the_options_are_the_settings():
    """Each setting has an option, and a default that the help names."""
    text = " ".join(build().format_help().split())
    for name, field in VAE_FIELDS.items():
        assert name == "data" or f"--{name.replace('_', '-')}" in text
        assert field.metadata["help"].split("(")[0].strip() in text
    assert "residual, thesis_mnist, thesis_fashion_mnist, thesis_cifar10" in text


@pytest.mark.parametrize(
    "total, size, epochs", [(54_000, 128, 20), (1_000, 128, 572), (3, 128, 4000)]
)
def test_epochs_by_default(total, size, epochs):
    assert work.choose_epochs(total, size) == epochs


def test_parts(finished):
    settings = VAESettings(data="digits", train_examples=40, validation_examples=20, seed=3)
    parts = work.prepare_vae(settings, work.load_vae_data(settings))
    same = work.prepare_vae(settings, work.load_vae_data(settings))
    assert parts.plan.epochs == 4000
    assert (len(parts.train), len(parts.validation), len(parts.test)) == (40, 20, 500)
    assert torch.equal(parts.vae.means.weight, same.vae.means.weight)
    assert torch.equal(parts.train, same.train)
    assert (parts.vae.calibrated, parts.identity["variance"]) == (True, None)
    other = work.prepare_vae(
        VAESettings(data="digits", train_examples=40, validation_examples=20, seed=4),
        work.load_vae_data(settings),
    )
    assert not torch.equal(parts.vae.means.weight, other.vae.means.weight)
    assert not torch.equal(parts.train, other.train)
    fixed = work.prepare_vae(
        VAESettings(data="digits", variance=0.25), work.load_vae_data(settings)
    )
    assert (fixed.vae.calibrated, float(fixed.vae.variance)) == (False, 0.25)
    assert fixed.identity["variance"] == 0.25


BAD = [
    (["--vae", "gan"], "Unknown vae 'gan'. Choose from: residual, thesis_mnist,"),
    (["--codes", "0"], "codes must be at least 1, got 0."),
    (["--codes", "70000"], "codes must be at most 65,536, got 70000."),
    (["--epochs", "0"], "epochs must be at least 1, got 0."),
    (["--epochs", "many"], "epochs must be a whole number, got 'many'."),
    (["--batch-size", "1"], "batch_size must be at least 2, got 1."),
    (["--patience", "-1"], "patience must be at least 0, got -1."),
    (["--learning-rate", "0"], "learning_rate must be above 0, got 0.0."),
    (["--learning-rate", "inf"], "learning-rate must be a number, got 'inf'."),
    (["--variance", "0"], "variance must be in 1e-06 to 1e+06, got 0.0."),
    (["--variance", "1e7"], "variance must be in 1e-06 to 1e+06, got 10000000.0."),
    (["--seed", "-1"], "seed must be in 0 to 2**63 - 1, got -1."),
    (["--vae", "thesis_mnist"], "thesis_mnist cannot decode images of 8 x 8 pixels; bring them"),
    (["--train-examples", "1"], "images must be at least 2, got 1."),
    (["--device", "tpu"], "device must be cpu or cuda, got 'tpu'."),
    (["--channels", "2"], "channels must be 1 (grey) or 3 (colour), got 2."),
    (["--channels", "4"], "channels must be at most 3, got 4."),
    (["--size", "0"], "size must be"),
]


@pytest.mark.parametrize("options, message", BAD, ids=[" ".join(case[0]) for case in BAD])
def test_bad_input_is_one_sentence_and_writes_nothing(options, message, tmp_path, capsys):
    assert main([*TRAIN, "--out", str(tmp_path / "vae"), *options]) == 2
    errors = capsys.readouterr().err
    assert errors.startswith(f"whence: {message}"), errors
    assert errors.count("\n") == 1
    assert list_files(tmp_path) == {}


def test_grey_images_in_the_channels_of_a_foreign_run(tmp_path):
    """A pretrained network takes three channels of grey photographs; so must its autoencoder."""
    out = tmp_path / "vae"
    assert main([*TRAIN, "--epochs", "1", "--channels", "3", "--out", str(out)]) == 0
    assert load_vae(out).image_shape == (3, 8, 8)
    run = load_data(Settings(data="digits", encoder="torchvision:resnet18"))
    seen = work.load_vae_data(VAESettings(data="digits", channels=3))
    assert torch.equal(run.train.images, seen.train.images)
    made = json.loads((out / "vae.json").read_text())["run"]
    assert made["train_fingerprint"] == fingerprint(run.train)
    model = whence.wrap(nn.Flatten(), 2, image_shape=(3, 8, 8))
    check_fit(model, load_vae(out))
    grey = VAES["residual"]((1, 8, 8))
    way_out = r"got \(1, 8, 8\); .*: whence train-vae DATA --size 8 --channels 3$"
    with pytest.raises(ValueError, match=way_out):
        check_fit(model, grey)
    with pytest.raises(ValueError, match=r"whence train-vae DATA --channels 3$"):
        check_fit(whence.wrap(nn.Flatten(), 2, image_shape=(3, 8, 9)), grey)


def test_unknown_data(tmp_path, capsys):
    assert main(["train-vae", "digit", "--out", str(tmp_path / "vae")]) == 2
    assert "Unknown dataset 'digit'" in capsys.readouterr().err
    assert list_files(tmp_path) == {}


def test_folders_of_something_else(finished, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "notes.txt").write_text("")
    for folder, options, message in (
        (tmp_path / "file", [], "must be a folder, but"),
        (tmp_path / "other", [], "is not empty; choose another --out, or add --resume"),
        (tmp_path / "other", ["--resume"], "holds no run that could go on; choose another"),
        (finished, [], "is not empty; choose another --out, or add --resume"),
        (finished, ["--resume", "--seed", "1"], "was started with another seed (0 and 1); choose"),
    ):
        before = list_files(folder.parent)
        assert main([*TRAIN, "--out", str(folder), *options]) == 2
        errors = capsys.readouterr().err
        assert message in errors
        assert errors.count("\n") == 1
        assert list_files(folder.parent) == before


def test_other_images_are_refused(finished):
    settings = VAESettings(
        data="digits", train_examples=40, validation_examples=20, batch_size=10, codes=4, epochs=3
    )
    data = work.load_vae_data(settings)
    data.train.images[0, 0, 0, 0] ^= 1
    with pytest.raises(FileExistsError, match="was started with other train images; choose"):
        work.train_vae(settings, finished, data, resume=True)


@pytest.mark.parametrize(
    ("rate", "message"),
    [("1e30", "The bound became "), ("5", "The bound ended at -"), ("1e10", "The bound ")],
)
@pytest.mark.parametrize("validation", ["20", "0"])
def test_a_training_that_diverges_is_one_sentence(rate, message, validation, tmp_path, capsys):
    folder = tmp_path / "vae"
    diverging = ["--learning-rate", rate, "--validation-examples", validation]
    for options in (diverging, [*diverging, "--resume"]):
        assert main([*TRAIN, *options, "--out", str(folder), "--checkpoint-seconds", "0"]) == 2
        errors = capsys.readouterr().err
        assert errors.startswith(f"whence: {message}")
        assert errors.endswith("try a lower learning rate (--learning-rate).\n")
        assert errors.count("\n") == 1
    assert not (folder / "vae.json").exists()
    for line in (folder / "log.jsonl").read_text().splitlines():
        json.loads(line, parse_constant=refuse_constant)


def test_settings_are_checked_without_images():
    check_vae_settings(VAESettings(data="anything"))
    with pytest.raises(ValueError, match="vae must not be empty"):
        check_vae_settings(VAESettings(data="anything", vae=""))


@pytest.mark.parametrize("content", ["{}", '{"test": 3}', '{"test": {"l1": "x"}}'])
def test_damaged_numbers_of_a_finished_training(finished, tmp_path, capsys, content):
    folder = tmp_path / "vae"
    shutil.copytree(finished, folder)
    (folder / "metrics.json").write_text(content)
    assert main([*TRAIN, "--out", str(folder), "--resume"]) == 2
    assert "metrics.json must hold the numbers of a finished training" in capsys.readouterr().err


@pytest.mark.parametrize(
    "key, said", [("seconds", "its run and seconds"), ("best_elbo", "the best bound")]
)
def test_a_checkpoint_without_a_number(killed, tmp_path, capsys, key, said):
    folder = shutil.copytree(killed, tmp_path / "vae")
    for path in folder.glob("checkpoint-*.json"):
        numbers = json.loads(path.read_text())
        del numbers[key]
        path.write_text(json.dumps(numbers))
    assert main([*TRAIN, "--out", str(folder), "--resume"]) == 2
    assert said in capsys.readouterr().err


def test_the_mark_of_a_finished_folder_is_written_last(finished):
    times = {path.name: path.stat().st_mtime_ns for path in finished.iterdir()}
    mark = times.pop("vae.json")
    assert {"metrics.json", "vae.safetensors"} <= set(times)
    assert all(time < mark for name, time in times.items() if name != ".lock")


def test_a_table_with_other_columns(tmp_path, capsys):
    table = name_columns(tmp_path)
    words = ["train-vae", str(table), "--path-column", "file", "--out", str(tmp_path / "vae")]
    words += ["--codes", "4", "--epochs", "1", "--batch-size", "4", "--device", "cpu"]
    assert main(words) == 2
    assert "must have a column 'label'" in capsys.readouterr().err
    assert main([*words, "--label-column", "kind"]) == 0
    kept = read_toml(tmp_path / "vae" / "settings.toml")
    assert (kept["path_column"], kept["label_column"]) == ("file", "kind")
    parts = load_data(Settings(data=str(table), path_column="file", label_column="kind"))
    assert read_about_vae(tmp_path / "vae")["run"]["train_fingerprint"] == fingerprint(parts.train)
