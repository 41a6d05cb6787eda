"""Options and settings files that are wrong: one sentence, exit code 2, nothing written."""

import pytest
import torch

from tests.helpers.bad_input import DIGITS


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--memory-size", "50"], "memory_size must be at most 20, the number of training images, got 50"),
        (["--memory-size", "1"], "memory_size must be at least 2, because an image may not attend"),
        (["--memory-size", "0"], "memory-size must be at least 1, got 0"),
        (["--train-examples", "0"], "train-examples must be at least 1, got 0"),
        (["--train-examples", "1"], "train_examples must be at least 2, got 1"),
        (["--train-examples", "1", "--variant", "standard"], "train_examples must be at least 2, got 1"),
        (["--train-examples", "5000"], "train_examples must be from 1 to 1167"),
        (["--validation-examples", "5000"], "validation_examples must be from 0 to 1296"),
        (["--epochs", "0"], "epochs must be at least 1, got 0"),
        (["--batch-size", "1"], "batch_size must be at least 2, got 1"),
        (["--learning-rate", "-1"], "learning-rate must be at least 0, got -1.0"),
        (["--weight-decay", "-1"], "weight-decay must be at least 0"),
        (["--momentum", "-1"], "momentum must be in [0, 1), got -1.0"),
        (["--momentum", "1", "--optimizer", "adam"], "momentum must be in [0, 1), got 1.0"),
        (["--weight-averaging", "1"], "weight-averaging must be in [0, 1), got 1.0"),
        (["--label-smoothing", "2"], "label-smoothing must be in [0, 1), got 2.0"),
        (["--label-smoothing", "-0.1"], "label-smoothing must be in [0, 1), got -0.1"),
        (["--draw-batch", "0"], "draw-batch must be at least 1, got 0"),
        (["--size", "0"], "size must be at least 1, got 0"),
        (["--size", "1"], "must accept images of image_shape (1, 1, 1)"),
        (["--seed", "-1"], "seed must be in 0 to 2**63 - 1, got -1"),
        (["--seed", "9" * 30], "seed must be in 0 to 2**63 - 1, got 999"),
        (["--seeds", "0"], "seeds must be at least 1, got 0"),
        (["--seeds", "2", "--seed", "1"], "give either --seeds or --seed"),
        (["--mean", "[0.5]"], "mean and std must be given together"),
        (["--mean", "[0.5]", "--std", "[0]"], "std must be above 0 and at most 1, as pixels are, got 0.0"),
        (["--mean", "[0.5, 0.5]", "--std", "[1, 1]"], "one number per channel (1), got 2 and 2"),
        (["--freeze-encoder"], "freeze_encoder needs weights"),
        (["--weights", "gone.pt"], "gone.pt must be a file, there is none"),
        (["--weights", "default"], "needs a torchvision or timm network"),
        (["--encoder", "resnet19"], "Unknown encoder 'resnet19'. Choose from: small_cnn, small_vgg"),
        (["--encoder", "torchvision:resnet19"], "Did you mean: resnet18"),
        (["--variant", "none"], "variant must be one of votes, memory-wrap, only-memory, standard, got 'none'"),
        (["--recipe", "x"], "recipe must be one of default, paper, vit, finetune, at-once, got 'x'"),
        (["--modality", "x"], "unrecognized arguments: --modality x; whence train --help lists the options"),
        (["--augmentation", "x"], "augmentation must be one of none, flip, crop_flip"),
        (["--mirror", "maybe"], "mirror must be one of yes, no, got 'maybe'"),
        (["--mirror", "no", "--augmentation", "flip"], "augmentation flip says already whether images are"),
        (["--budget", "soon"], "budget must be a time with its unit, such as 90s, 10m or 1h, got 'soon'"),
        (["--budget", "9s", "--epochs", "2"], "epochs and budget both say how long to train"),
        (["--epochz", "3"], "unrecognized arguments: --epochz 3; whence train --help lists the options"),
        (["--epochs", "many"], "epochs must be a whole number, got 'many'"),
        (["--epochs", "1.5"], "epochs must be a whole number, got '1.5'"),
        (["--learning-rate", "fast"], "learning-rate must be a number, got 'fast'"),
        (["--learning-rate", "nan"], "learning-rate must be a number, got 'nan'"),
        (["--milestones", "[3]"], "milestones are for schedule steps, this training has cosine; add --schedule"),
        (["--milestones", "soon"], "milestones must be a list, each a whole number, such as [1, 2]"),
        (["--epochs"], "expected one argument"),
        (["--device", "tpu"], "device must be cpu or cuda, got 'tpu'"),
        (["--device", "meta"], "device must be cpu or cuda, got 'meta'"),
        (["--device", "cuda:99"], "No GPU was found for --device cuda:99"),
    ],
)  # fmt: skip
def test_options(fails, options, message):
    fails(*DIGITS, *options, message=message)


def test_a_budget_below_one_epoch(fails):
    fails(
        *("train", "digits", "--train-examples", "20", "--validation-examples", "10"),
        *("--budget", "0.00001s", "--encoder", "small_cnn", "--device", "cpu"),
        message="budget must last for one epoch, which takes 1 s here, got 0.00001s; give more",
        leaves={".lock"},
    )


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
            "unknown setting 'epochz'. Choose from: data, data_root, path_column, label_column",
        ),
        ("data = 'digits'\nepochs = 'many'", "epochs must be a whole number, got 'many'"),
        ("data = 'digits'\nlearning_rate = true", "learning-rate must be a number, got 'True'"),
        ("data = ['digits']", "data must be text"),
        (
            "data = 'digits'\nvariant = 'x'",
            "variant must be one of votes, memory-wrap, only-memory, standard",
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
        message="a.yaml has an unknown setting a. Choose from: model, save",
    )
    (tmp_path / "big.toml").write_bytes(b"#" * 17 * 2**20)
    fails("train", tmp_path / "big.toml", message="must have at most 16777216 bytes")
    (tmp_path / "link.toml").symlink_to("big.toml")
    fails("train", tmp_path / "link.toml", message="must be a plain file, it is a link")


def test_a_file_in_the_place_of_a_folder_is_found_before_anything_begins(fails, tmp_path):
    (tmp_path / "file").write_text("")
    for out in (tmp_path / "file", tmp_path / "file" / "below"):
        for command in (["study", "parameter_counts"], ["faithfulness", tmp_path]):
            fails(
                *(*command, "--out", out),
                message=f"{out} must be a folder, but {tmp_path / 'file'} is a file.",
            )


def test_what_cannot_be_written_is_said_before_it_is_computed(fails, run, tmp_path, monkeypatch):
    monkeypatch.setattr("os.access", lambda path, mode: False)
    for command in (["report", run], ["study", "parameter_counts"]):
        out = tmp_path / "out.html"
        fails(
            *command,
            "--out",
            out,
            message=f"{tmp_path} cannot be written to; choose another place.",
        )
