"""Every number that a user may set has two bounds, and is checked before anything is read."""

import importlib
from dataclasses import fields
from typing import get_args

import numpy as np
import pytest
import torch

from whence.bounds import BOUNDS, check_number, check_numbers
from whence.cli import COMMANDS, main
from whence.runs.settings import Settings
from whence.runs.vae_settings import VAESettings


def build(command):
    """The parser of a command."""
    function = COMMANDS[command]
    return importlib.import_module(function.__module__).build()


def numbers_of(command):
    """The names of the options of a command that are numbers."""
    kinds = {action.dest: getattr(action, "_typehint", None) for action in build(command)._actions}
    return [name for name, kind in kinds.items() if list_types(kind) & {int, float}]


def list_types(kind):
    """All types that a type is made of, as int of list[int]."""
    return {kind}.union(*map(list_types, get_args(kind)))


def test_options_that_are_numbers_are_found():
    assert {"memory_size", "sizes", "batch_size", "seed"} <= set(numbers_of("memory"))
    assert "learning_rate" in numbers_of("train")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_that_is_a_number_has_bounds(command):
    assert set(numbers_of(command)) <= set(BOUNDS)


@pytest.mark.parametrize("kind", [Settings, VAESettings])
def test_every_setting_that_is_a_number_has_bounds(kind):
    numbers = (int, float, tuple[int, ...], tuple[float, ...])
    counted = {f.name for f in fields(kind) if {f.type, *get_args(f.type)} & set(numbers)}
    assert counted
    assert counted <= set(BOUNDS)


@pytest.mark.parametrize("name", BOUNDS)
def test_both_ends_pass_and_what_is_beyond_them_does_not(name):
    bounds = BOUNDS[name]
    step = 1 if bounds.whole else 1e-9
    low, high = bounds.low, bounds.high
    check_number(name, high)
    check_number(name, low + step)
    if not bounds.above:
        check_number(name, low)
    higher = high + 1 if bounds.whole else np.nextafter(high, 2 * high + 1)
    for value in (low if bounds.above else low - step, higher, -(2**130), 2**130):
        with pytest.raises((ValueError, TypeError), match=f"^{name} must be "):
            check_number(name, int(value) if bounds.whole else value)
    if not bounds.whole:
        for value in (float("nan"), float("inf"), -float("inf")):
            with pytest.raises(ValueError, match=f"^{name} must be .*, got -?(nan|inf)"):
                check_number(name, value)


@pytest.mark.parametrize(
    ("name", "value", "options", "sentence"),
    [
        ("epochs", 0, {}, "epochs must be at least 1, got 0."),
        ("size", 3 * 10**9, {}, "size must be at most 8,192, got 3000000000."),
        ("variance", 0, {}, "variance must be in 1e-06 to 1e+06, got 0."),
        ("learning_rate", float("nan"), {}, "learning_rate must be a number, got nan."),
        ("learning_rate", 0, {"above": 0}, "learning_rate must be above 0, got 0."),
        ("steps", 1, {"least": 2}, "steps must be at least 2, got 1."),
        ("batch-size", 0, {}, "batch-size must be at least 1, got 0."),
        ("seed", 2**63, {}, f"seed must be in 0 to 2**63 - 1, got {2**63}."),
        ("momentum", 1.0, {}, "momentum must be in [0, 1), got 1.0."),
        ("mean", 123, {}, "mean must be in [0, 1], as pixels are, got 123."),
        ("std", 0.0, {}, "std must be above 0 and at most 1, as pixels are, got 0.0."),
    ],
)
def test_the_sentence_names_what_came_and_what_is_wanted(name, value, options, sentence):
    with pytest.raises(ValueError, match="must be") as caught:
        check_number(name, value, **options)
    assert str(caught.value) == sentence


def test_whole_numbers_of_other_libraries_count_and_parts_do_not():
    for value in (3, np.int64(3), torch.tensor(3)):
        check_number("steps", value)
    for value in (2.5, 3.0, "3", torch.tensor(2.5), None):
        with pytest.raises(TypeError, match="steps must be a whole number, got "):
            check_number("steps", value)


def test_what_is_no_number_is_refused_as_such():
    for value in ("0.5", None, [0.5], torch.tensor([0.5, 1.0]), 1j):
        with pytest.raises(TypeError, match=r"^recall must be a number, got "):
            check_number("recall", value)
    for value in (1, 0.5, np.float32(0.5), torch.tensor(0.5)):
        check_number("recall", value)
    with pytest.raises(TypeError, match=r"^share must be a number, got 'a'"):
        check_number("recall", "a", shown="share")


def test_lists_are_checked_one_by_one_and_what_has_no_bounds_passes():
    check_numbers([("mean", (0.0, 1.0)), ("milestones", [1, 2]), ("width", -1), ("size", None)])
    with pytest.raises(ValueError, match=r"^mean must be in \[0, 1\].*, got 104\."):
        check_numbers([("mean", (0.5, 104.0, 117.0))])


REFUSED = [
    (["train", "photos", "--size", "3000000000"], "size must be at most 8,192, got 3000000000."),
    (["train", "photos", "--mean", "[123,116,103]", "--std", "[1,1,1]"], "mean must be in [0, 1],"),
    (["train", "photos", "--mean", "[0,0,0]", "--std", "[58,57,57]"], "std must be above 0 and at"),
    (
        ["train", "photos", "--weight-decay", "1e400"],
        "weight-decay must be at most 1e+38, got inf.",
    ),
    (["train", "photos", "--learning-rate", ".nan"], "learning-rate must be a number, got nan."),
    (
        ["train", "photos", "--draw-batch", str(2**63)],
        "draw-batch must be at most 1,000,000,000, g",
    ),
    (["train", "photos", "--milestones", "[0]"], "milestones must be at least 1, got 0."),
    (["train", "photos", "--seed", str(2**63)], "seed must be in 0 to 2**63 - 1, got 92233720368"),
    (["train", "photos", "--workers", "0", "--seeds", "2"], "workers must be at least 1, got 0."),
    (["train", "many.toml"], "many.toml: epochs must be at most 1,000,000, got 10000000."),
    (["train-vae", "photos", "--codes", "65537"], "codes must be at most 65,536, got 65537."),
    (["train-vae", "photos", "--learning-rate", "0"], "learning_rate must be above 0, got 0.0."),
    (
        ["explain", "RUN", "x.png", "--steps", "1000000000000"],
        "steps must be at most 100,000, got ",
    ),
    (["explain", "RUN", "x.png", "--draws", str(2**63)], "draws must be at most 100,000, got 922"),
    (["explain", "RUN", "x.png", "--memory-size", "0"], "memory-size must be at least 1, got 0."),
    (["memory", "RUN", "--size", "0"], "whence: size must be at least 1, got 0."),
    (["memory", "RUN", "--size", "a"], "whence: size must be a whole number, got 'a'."),
    (["memory", "RUN", "--sizes", "0", "9"], "whence: sizes must be at least 1, got 0."),
    (["explain", "RUN", "--test", "-1"], "test must be at least 0, got -1."),
    (
        ["morph", "RUN", "x.png", "--vae", "V", "--norm-weight", ".inf"],
        "norm-weight must be at most",
    ),
    (["morph", "RUN", "x.png", "--vae", "V", "--steps", "1"], "steps must be at least 2, got 1."),
    (["report", "RUN", "--hard", str(2**80)], "hard must be at most 10,000, got 12089258196146291"),
    (["demo", "--seeds", "0"], "seeds must be at least 1, got 0."),
    (["table", "1", "--epochs", "1000000000"], "epochs must be at most 1,000,000, got 1000000000."),
]


@pytest.mark.parametrize(("arguments", "sentence"), REFUSED, ids=str)
def test_numbers_are_refused_before_the_first_image_is_read(
    arguments, sentence, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()  # without an image, which would be told if it were looked into
    (tmp_path / "many.toml").write_text('data = "photos"\nepochs = 10000000\n')
    assert main(arguments) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.startswith("whence: ")
    assert sentence in output.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["many.toml", "photos"]
