"""Help, and whatever the arguments alone decide, come without the libraries that compute.

``whence`` itself is started as a user starts it, and says at its end what it loaded. Nothing here
measures time; benchmarks/startup.py does.
"""

import inspect
import json
import subprocess
import sys
from typing import get_args

import pytest
import torch

from whence.cli import COMMANDS
from whence.cli.options import check_device
from whence.encoders import ENCODERS, FOREIGN, check_encoder
from whence.encoders.adopt import FAMILIES, build_encoder

HEAVY = {
    *("torch", "torchvision", "timm", "numpy", "sklearn", "scipy", "safetensors"),
    *("PIL", "matplotlib", "jinja2", "tqdm", "filelock", "distributed", "dask"),
}
OBSERVED = """
import atexit, json, runpy, sys
place = sys.argv.pop(1)
loaded = lambda: sorted({name.split(".")[0] for name in sys.modules})
atexit.register(lambda: json.dump(loaded(), open(place, "w")))
runpy.run_module("whence", run_name="__main__", alter_sys=True)
"""
IN_TURN = """
import contextlib, io, json, sys
from whence.cli import main
heavy, cases = json.load(sys.stdin)
found, before = [], set()
for arguments in cases:
    with contextlib.redirect_stdout(io.StringIO()) as out:
        with contextlib.redirect_stderr(io.StringIO()) as err:
            try:
                code = main(arguments)
            except SystemExit as error:  # of --help
                code = error.code
    loaded = {name.split(".")[0] for name in sys.modules} & set(heavy)
    found.append([code, out.getvalue(), err.getvalue(), sorted(loaded - before)])
    before = loaded
print(json.dumps(found))
"""
NEEDED = {
    "encoders": ["digits", "--encoder", "small_cnn"],
    "train": ["digits"],
    "train-vae": ["digits"],
    "demo": [],
    "table": ["1"],
    "evaluate": ["RUN"],
    "memory": ["RUN"],
    "predict": ["RUN", "x.png"],
    "explain": ["RUN", "x.png"],
    "attribute": ["RUN", "x.png"],
    "visualise": ["RUN"],
    "edit": ["RUN", "--corrections", "x.csv", "--out", "y"],
    "morph": ["RUN", "x.png", "--vae", "V"],
    "report": ["RUN"],
    "faithfulness": ["RUN"],
    "study": ["parameter_counts"],
    "export": ["RUN", "model.onnx"],
    "check": ["RUN"],
    "compare": ["RUN", "OTHER"],
    "view": ["RUN"],
}
"""Arguments that each command cannot do without."""

WRONG = ["--colour", "red"]

SAID = {
    "view": ["--beside RUN", "--host ADDRESS", "--token TEXT", "token that is printed"],
    "study": ["parameter_counts", "--list", "--out FOLDER", "--json"],
    "demo": ["--seeds N", "(default 3)", "(default runs/demo)", "--device"],
    "edit": ["--corrections FILE", "--out FOLDER", "or remove"],
    "encoders": ["by default all", "by default 'default'", "torchvision:NAME"],
    "train": [
        *("votes, memory-wrap, only-memory or standard", "cosine, l2 or dot", "mlp or linear"),
        *(
            "default, paper, vit, finetune or at-once",
            "sgd, adam or adamw",
            "none, flip, crop_flip, shift or shift_flip",
        ),
        *("(default 30)", "(default 0)", "(default 500)", "--no-pixels", "--unlabelled DATA"),
    ],
    "train-vae": [
        "residual, thesis_mnist, thesis_fashion_mnist, thesis_cifar10 (default residual)",
        *("(default 100)", "(default 0.001)", "(default 10)", "(default 30)", "--resume"),
    ],
    "evaluate": ["(128)", "--no-controls"],
    "memory": ["balanced, herding, k-center, support, shapley, validation, random", "@FILE"],
    "predict": ["(128)", "--json"],
    "explain": [
        *("html (default), png", "white, black, mean, blur (white)"),
        *(
            "evidence or all (evidence)",
            "(20)",
            "(32 to 288, as many as are needed)",
            "(0)",
            "(128)",
        ),
    ],
    "attribute": ["(integrated_gradients)", "(3)", "html (default)", "RUN-attribution.html", "A:B"],
    "visualise": ["(150)", "(9)", "(5000)", "RUN-units.html", "channel:LAYER:NUMBER"],
    "morph": [
        *("morph (the image's own code, changed; the default), nearest", "or memory (the"),
        *("radial or linear (radial)", "html (default) or json", "RUN-morph.html", "--to CLASS"),
        *("(100)", "(0)", "(128)", "else 0.1"),
    ],
    "faithfulness": [
        *(
            "all (default)",
            "black, white, mean, noise, blur, autoencoder (black)",
            "(100)",
            "(20)",
            "(0)",
        ),
        "RUN-faithfulness",
    ],
    "compare": ["RUN1-compared.html", "RUN2", "need no labels"],
    "check": ["(checks.toml)", "exit code 0 if all hold, 1", "JUnit XML"],
    "export": ["onnx (default)", "model.onnx", "--force"],
    "report": ["(8)", "RUN-report.html", "(128)"],
    "table": ["1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13", "auto, float32 or bfloat16"],
}
"""Choices and defaults that the help of each command names."""

DECIDED = [  # by the arguments alone, or by a small file that they name
    (["trane"], "Unknown command 'trane'."),
    (["demo", "--seeds", "0"], "seeds must be at least 1, got 0."),
    (["demo", "--out", "x.png"], "x.png must be a folder, but x.png is a file."),
    (["train", "digits", "--epochs", "many"], "epochs must be a whole number, got 'many'."),
    (
        ["train", "digits", "--variant", "both"],
        "variant must be one of votes, memory-wrap, only-memory,",
    ),
    (["encoders", "digits", "--encoder", "resnet19"], "Unknown encoder 'resnet19'. Choose from:"),
    (["encoders", "digits", "--encoder", "vit", "--size", "0"], "size must be at least 1, got 0."),
    (["train", "digits", "--encoder", "resnet19"], "Unknown encoder 'resnet19'. Choose from: sm"),
    (["train", "digits", "--encoder", "vit", "--device", "x"], "device must be cpu or cuda, got"),
    (["train", "bad.yaml", "--modality", "x"], "Unknown modality 'x'. Choose from: std, memory"),
    (["train", "digits", "--seeds", "2", "--seed", "1"], "either --seeds or --seed."),
    (["train-vae", "digits", "--vae", "gan"], "Unknown vae 'gan'. Choose from: residual, thesis"),
    (["train-vae", "digits", "--codes", "0"], "codes must be at least 1, got 0."),
    (["train", "my.toml"], "No settings file my.toml."),
    (["train", "bad.toml"], "bad.toml has an unknown setting 'colour'. Choose from: data,"),
    (["train", "bad.yaml"], "bad.yaml must give save, it is missing."),
    (["evaluate", "RUN", "--batch-size", "0"], "batch-size must be at least 1, got 0."),
    (["predict", "RUN", "x.png", "--batch-size", "0"], "batch-size must be at least 1, got 0."),
    (["predict", "RUN", "none.png"], "No image none.png."),
    (["predict", "RUN", "empty"], "empty holds no image."),
    (["explain", "RUN", "x.png", "--baseline", "red"], "Unknown baseline 'red'. Choose from: wh"),
    (["explain", "RUN", "x.png", "--memory", "none"], "Unknown memory 'none'. Choose from: evid"),
    (["explain", "RUN", "x.png", "--format", "gif"], "Unknown format 'gif'. Choose from: html,"),
    (["attribute", "RUN", "x.png", "--method", "lrq"], "Unknown attribution method 'lrq'. Choose"),
    (["attribute", "RUN", "x.png", "--format", "gif"], "Unknown format 'gif'. Choose from: html,"),
    (["attribute", "RUN", "none.png"], "No image none.png."),
    (["visualise", "RUN", "--format", "gif"], "Unknown format 'gif'. Choose from: html,"),
    (["visualise", "RUN", "--layers", "--out", "x"], "--layers prints the layers; leave out --un"),
    (["visualise", "RUN", "--layers", "--vae", "V"], "--layers prints the layers; leave out --un"),
    (["visualise", "RUN", "--layers", "--format", "png"], "--layers prints the layers; leave out"),
    (["explain", "RUN"], "IMAGE must name files or folders, or --test images"),
    (["explain", "RUN", "none.png"], "No image none.png."),
    (["explain", "RUN", "x.png", "--out", "bad.toml"], "bad.toml is there already; choose another"),
    (["explain", "RUN", "x.png", "--morph", "V", "--format", "png"], "morph is for --format html"),
    (["morph", "RUN", "x.png"], "--vae must name the folder of an autoencoder; train one with: wh"),
    (["morph", "RUN", "--vae", "V"], "IMAGE must name files or folders, or --test images"),
    (["morph", "RUN", "none.png", "--vae", "V"], "No image none.png."),
    (["morph", "RUN", "x.png", "--vae", "V", "--other", "far"], "Unknown other 'far'. Choose from"),
    (
        ["morph", "RUN", "x.png", "--vae", "V", "--other", "nearest", "--norm-weight", "1"],
        "norm-weight is for a way that starts at a morph; add --other morph.",
    ),
    (["morph", "RUN", "x.png", "--vae", "V", "--path", "wild"], "Unknown path 'wild'. Choose from"),
    (["morph", "RUN", "x.png", "--vae", "V", "--out", "bad.toml"], "bad.toml is there already; ch"),
    (["report", "RUN", "--hard", "-1"], "hard must be at least 0, got -1."),
    (["report", "RUN", "--out", "bad.toml"], "bad.toml is there already; choose another --out"),
    (["faithfulness", "RUN", "--methods", "x"], "Unknown method 'x'. Choose from: integrated_grad"),
    (["faithfulness", "RUN", "--measures", "x"], "Unknown measure 'x'. Choose from: aopc_morf,"),
    (["faithfulness", "RUN", "--refill", "x"], "Unknown refill 'x'. Choose from: black, white,"),
    (["faithfulness", "RUN", "--baseline", "x"], "Unknown baseline 'x'. Choose from: white, bla"),
    (["faithfulness", "RUN", "--refill", "autoencoder"], "refill autoencoder and --vae FOLDER go"),
    (["faithfulness", "RUN", "--vae", "V"], "refill autoencoder and --vae FOLDER go together; tr"),
    (["faithfulness", "RUN", "--measures", "idsds"], "measure idsds trains a copy of the model; a"),
    (["faithfulness", "OTHER"], "OTHER-faithfulness must be a folder, but OTHER-faithfulness is a"),
    (["faithfulness", "RUN", "--images", "0"], "images must be at least 1, got 0."),
    (
        ["faithfulness", "RUN", "--measures", "aopc_morf", "--idsds"],
        "--idsds is for the measure of this name; add it to --measures.",
    ),
    (["memory", "RUN", "--figure", "bad.toml"], "bad.toml is there already; choose another --fig"),
    (["memory", "RUN", "--size", "9", "--name", ""], "name must be that of a folder, without / an"),
    (
        ["check", "RUN", "--expect", "no.toml"],
        "No file of checks no.toml; make a first one with: whe",
    ),
    (["check", "RUN", "--expect", "bad.toml"], "bad.toml must hold [[check]] tables, got 'data'."),
    (["check", "RUN", "--expect", "bad.toml", "--write"], "bad.toml is there already; choose anot"),
    (
        ["check", "RUN", "--expect", "odd.toml"],
        "odd.toml, check 1: Unknown assertion 'answr'. Choo",
    ),
    (["compare", "RUN"], "compare needs a second run, or images for one: name them with --data."),
    (["compare", "RUN", "R", "--out", "bad.toml"], "bad.toml is there already; choose another --o"),
    (["export", "RUN", "--to", "tflite", "a.onnx"], "Unknown format 'tflite'. Choose from: onnx."),
    (["export", "RUN", "a.pt"], "FILE must end in .onnx, got a.pt."),
    (["export", "RUN", "bad.onnx"], "bad.json is there already; choose another FILE, or add --fo"),
    (["table", "99"], "table must be one of 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, got '99'."),
    (["table", "1", "--dataset", "mnist"], "dataset must be one that the table has, got 'mnist'."),
    (["table", "1", "--epochs", "0"], "epochs must be at least 1, got 0."),
    (["table", "4", "--data", "photos"], "data can stand in for one dataset only, table 4 has"),
    (["table", "11", "--epochs", "3"], "counts parameters and trains nothing; leave out --epochs."),
]

DECIDED += [
    ([name, *needed, "--device", "tpu"], "device must be cpu or cuda, got 'tpu'.")
    for name, needed in (
        NEEDED | {name: ["RUN", "photos"] for name in ("predict", "explain", "attribute")}
    ).items()
    if name not in ("study", "export")
]
DECIDED += [
    (["train", "photos", *words], sentence)
    for words, sentence in (
        (["--pseudo-limit", "0.1"], "pseudo-limit is for images without labels; name them: --unl"),
        (
            ["--unlabelled", "more", "--validation-examples", "0"],
            "unlabelled needs validation images, which say how likely an answer is wrong; leave",
        ),
        (["--unlabelled", "photos", "--pseudo-limit", "0"], "pseudo-limit must be above 0 and bel"),
        (["--unlabelled", "photos", "--seeds", "2"], "in one process; leave out --seeds."),
        (["--unlabelled", "photos", "--folds", "2"], "in one process; leave out --folds."),
        (["--unlabelled", "photos", "--workers", "2"], "in one process; leave out --workers."),
    )
]
DECIDED += [
    (
        ["explain", "RUN", "x.png", "--method", "none", *words],
        f"{words[0][2:]} is for an attribution",
    )
    for words in (
        ["--steps", "4"],
        ["--baseline", "black"],
        ["--memory", "all"],
        ["--option", "a=1"],
    )
]
DECIDED += [  # an empty path would be the folder that one is in
    (arguments, f"{name} must name a file or a folder, got ''.")
    for arguments, name in (
        (["train", ""], "data"),
        (["train", "digits", "--out", ""], "out"),
        (["train", "digits", "--expect", ""], "expect"),
        (["train-vae", "digits", "--out", ""], "out"),
        (["demo", "--out", ""], "out"),
        (["predict", "RUN", "x.png", ""], "images"),
        (["explain", "", "x.png"], "run"),
        (["explain", "RUN", "x.png", "--morph", ""], "morph"),
        (["compare", "RUN", ""], "second"),
        (["evaluate", "RUN", "--answers", ""], "answers"),
        (["edit", "RUN", "--corrections", "x.csv", "--out", ""], "out"),
        (["edit", "RUN", "--add", "", "--out", "y"], "add"),
        (["memory", "RUN", "--size", "9", "--out", ""], "out"),
        (["memory", "RUN", "--groups", ""], "groups"),
        (["check", "RUN", "--junit", ""], "junit"),
        (["export", "RUN", ""], "file"),
        (["encoders", "digits", "--encoder", "vit", "--weights", ""], "weights"),
        (["study", "parameter_counts", "--out", ""], "out"),
        (["study", "concepts", "RUN", "--concept", ""], "concept"),
    )
]
DECIDED.append((["train", "digits", "--encoder", ""], "encoder must not be empty."))
DECIDED.append((["study", "none"], "Unknown study 'none'. Choose from: parameter_counts, "))


@pytest.fixture
def start(tmp_path):
    """Run ``whence`` in an empty folder: how it ended, and the heavy libraries it loaded."""

    def run(*arguments):
        modules = tmp_path / "modules.json"
        command = [sys.executable, "-c", OBSERVED, str(modules), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
        return done, HEAVY & set(json.loads(modules.read_text()))

    return run


@pytest.fixture(scope="module")
def in_turn(tmp_path_factory):
    """Run help, wrong options and all of DECIDED, one after the other in one process, for speed."""
    folder = tmp_path_factory.mktemp("in-turn")
    (folder / "x.png").write_bytes(b"never read")
    (folder / "photos").mkdir()
    (folder / "empty").mkdir()
    (folder / "photos" / "x.png").write_bytes(b"never read")
    (folder / "odd.toml").write_text('[[check]]\nassert = "answr"\n')
    (folder / "checks.toml").write_text('[[check]]\nassert = "accuracy"\nat_least = 0.5\n')
    (folder / "bad.json").write_text("{}")
    (folder / "OTHER-faithfulness").write_text("a file")
    (folder / "bad.toml").write_text('data = "digits"\ncolour = "red"\n')
    (folder / "bad.yaml").write_text("model: resnet18\nbatch_size_train: 1\n")
    cases = [[name, "--help"] for name in COMMANDS]
    cases += [[name, *NEEDED[name], *WRONG] for name in COMMANDS]
    cases += [arguments for arguments, _ in DECIDED]
    done = subprocess.run(
        [sys.executable, "-c", IN_TURN],
        input=json.dumps([sorted(HEAVY), cases]),
        capture_output=True,
        text=True,
        cwd=folder,
        check=False,
    )
    assert done.stderr == ""
    return dict(zip(map(tuple, cases), json.loads(done.stdout), strict=True))


def check_refused(code, output, errors, sentence):
    assert (code, output) == (2, ""), errors
    assert errors.startswith("whence: ")
    assert errors.count("\n") == 1
    assert sentence in errors


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], []], ids=str)
def test_whence_itself_loads_nothing_heavy(start, arguments):
    done, heavy = start(*arguments)
    assert (done.returncode, done.stderr, heavy) == (0, "", set())
    assert done.stdout.startswith("whence 0." if arguments == ["--version"] else "usage: whence")


@pytest.mark.parametrize("name", COMMANDS)
def test_help_names_choices_and_loads_nothing_heavy(in_turn, name):
    code, output, errors, heavy = in_turn[name, "--help"]
    assert (code, errors, heavy) == (0, "", [])
    assert output.startswith(f"usage: whence {name}")
    text = " ".join(output.split())
    assert [words for words in SAID[name] if words not in text] == []


@pytest.mark.parametrize("name", COMMANDS)
def test_a_wrong_option_loads_nothing_heavy(in_turn, name):
    code, output, errors, heavy = in_turn[name, *NEEDED[name], *WRONG]
    sentence = f"unrecognized arguments: --colour red; whence {name} --help lists the options."
    check_refused(code, output, errors, sentence)
    assert heavy == []


@pytest.mark.parametrize("place", range(len(DECIDED)), ids=lambda n: " ".join(DECIDED[n][0]))
def test_what_the_arguments_decide_loads_nothing_heavy(in_turn, place):
    arguments, sentence = DECIDED[place]
    code, output, errors, heavy = in_turn[tuple(arguments)]
    check_refused(code, output, errors, sentence)
    assert heavy == []


def test_a_library_that_is_loaded_is_noticed(start):
    """Else the tests above could not fail: looking for a run does need torch."""
    done, heavy = start("evaluate", "RUN")
    check_refused(done.returncode, done.stdout, done.stderr, "No run in RUN; start one with:")
    assert {"torch", "PIL"} <= heavy


def test_names_that_stand_apart_from_torch_are_those_of_the_code_behind_them():
    from whence.attribution import METHODS
    from whence.attribution.method import find_method
    from whence.cli.explain import IN_PYTHON, list_methods
    from whence.cli.options import METHOD_OPTIONS
    from whence.runs.published import PUBLISHED
    from whence.runs.settings import FIELDS
    from whence.tables import paper_tables
    from whence.training.recipes import RECIPES

    options = {name: find_method(name).options for name in METHODS}
    assert set(METHOD_OPTIONS) <= set().union(*(options[name] for name in list_methods()))
    needed = {
        name: {one for one, default in found.items() if default is inspect.Parameter.empty}
        for name, found in options.items()
    }
    assert {n for n in METHODS if needed[n] - {*METHOD_OPTIONS, "generator"}} == {*IN_PYTHON}
    assert ("whence", *FOREIGN, "module") == tuple(FAMILIES)
    assert tuple(PUBLISHED) == paper_tables.DATASET_ORDER
    assert set(get_args(get_args(FIELDS["recipe"].type)[0])) == set(RECIPES)


@pytest.mark.parametrize("name", [None, "cpu", "cpu:0", "cuda", "cuda:0", "cuda:10", "cuda:99"])
def test_devices_that_pass_are_devices_of_torch(name):
    check_device(name)
    assert name is None or torch.device(name).type in ("cpu", "cuda")


@pytest.mark.parametrize(
    "name",
    ["", "gpu", "CUDA", "cuda:", "cuda:-1", "cuda:01", "cuda:100", "cpu ", "cuda:1\u0663", "mps"],
)
def test_other_devices_are_refused(name):
    with pytest.raises(ValueError, match=f"^device must be cpu or cuda, got {name!r}.$"):
        check_device(name)


def test_encoders_are_refused_by_name_as_when_they_are_built():
    for name in (*ENCODERS, "torchvision:alexnet", "timm:anything"):
        check_encoder(name)
    for name in ("resnet19", "torchvision", "timm", "hf-hub:a/b", ":resnet18", ""):
        with pytest.raises(ValueError, match="Unknown encoder") as early:
            check_encoder(name)
        with pytest.raises(ValueError, match="Unknown encoder") as late:
            build_encoder(name, (3, 32, 32))
        assert str(early.value) == str(late.value)
