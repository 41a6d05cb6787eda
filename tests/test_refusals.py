"""What is handed to a public function and is wrong is refused at the door, in one sentence.

The sentence comes from the package, not from a library deep inside.
"""

import inspect
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

import whence
from tests.helpers.doors import (
    DOORS,
    LABELS,
    NAMES,
    NO_COUNT,
    NO_IMAGES,
    NO_NAME,
    NO_TENSOR,
    PIXELS,
    WRONG_FEATURES,
    make,
)
from whence.kinds import check_arguments, check_fields, check_kind, list_kinds

SRC = str(Path(whence.__file__).parent)
FUNCTIONS = [name for name in whence.__all__ if inspect.isfunction(getattr(whence, name))]
INSIDE = {"attend": ("queries", "memory", "block"), "sparsemax": ("scores", "dim")}
"""Functions that are called in every step of a training, which check themselves what comes."""

CASES = [
    pytest.param(name, argument, value, id=f"{name}-{argument}-{place}")
    for name, (_, wrong) in DOORS.items()
    for argument, values in wrong.items()
    for place, value in enumerate(values)
]


def check_refused(call):
    """See that a call is refused in one sentence that the package says."""
    with pytest.raises((TypeError, ValueError, RuntimeError, OSError)) as caught:
        call()
    place = caught.tb
    while place.tb_next is not None:
        place = place.tb_next
    sentence = str(caught.value)
    assert place.tb_frame.f_code.co_filename.startswith(SRC), sentence
    assert sentence.endswith("."), sentence
    assert "\n" not in sentence


def test_every_public_function_is_tried():
    assert sorted(DOORS) == sorted(FUNCTIONS)


@pytest.mark.parametrize(("name", "argument", "value"), CASES)
def test_what_is_wrong_is_refused_at_the_door(name, argument, value, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    check_refused(lambda: getattr(whence, name)(**DOORS[name][0] | {argument: value}))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", FUNCTIONS)
def test_annotations_are_looked_at(name):
    function = getattr(whence, name)
    assert hasattr(function, "__wrapped__") != (name in INSIDE)


RECORDS = {
    whence.MorphPlan: {"weight": ("a", -1, torch.nan), "steps": ("a", 0), "stride": ("a", 0)},
    whence.MaskPlan: {"blur": ("a", -1), "looks": ("a", 0), "share": ("a", 2), "weight": (None,)},
    whence.ImageSet: {
        "images": (None, [1]),
        "labels": ("a", [0]),
        "class_names": ("ab",),
        "sources": (3,),
    },
    whence.MemoryWrap: {
        "features": (*NO_COUNT, 0),
        "classes": (*NO_COUNT, 0),
        "similarity": NO_NAME,
    },
    whence.OnlyMemory: {
        "features": (*NO_COUNT, 0),
        "classes": (*NO_COUNT, 0),
        "classifier": NO_NAME,
    },
}
FINE = {
    whence.ImageSet: {"images": PIXELS, "labels": LABELS, "class_names": NAMES},
    whence.MemoryWrap: {"features": 6, "classes": 2},
    whence.OnlyMemory: {"features": 6, "classes": 2},
}


@pytest.mark.parametrize(
    ("kind", "argument", "value"),
    [
        (kind, argument, value)
        for kind, wrong in RECORDS.items()
        for argument, values in wrong.items()
        for value in values
    ],
)
def test_a_class_refuses_what_is_wrong(kind, argument, value):
    check_refused(lambda: kind(**FINE.get(kind, {}) | {argument: value}))


METHODS = {
    "__call__": (
        {"images": PIXELS},
        {
            "images": NO_IMAGES,
            "memory_images": (3, []),
            "mask": (*NO_TENSOR, torch.ones(2, 2).bool()),
            "memory_labels": (LABELS,),
        },
    ),
    "read": ({"images": PIXELS}, {"images": NO_IMAGES, "mask": NO_TENSOR}),
    "encode": ({"images": PIXELS}, {"images": NO_IMAGES}),
    "normalise": ({"images": PIXELS}, {"images": NO_IMAGES}),
    "remember": (
        {"memory_images": PIXELS, "labels": LABELS},
        {
            "memory_images": (*NO_IMAGES, []),
            "labels": (3, [0], [9] * 12),
            "indices": (3, [0], [0.5] * 12),
            "sources": (3, ["a"]),
            "features": WRONG_FEATURES,
            "batch_size": (*NO_COUNT, 0),
        },
    ),
}


@pytest.mark.parametrize(
    ("method", "argument", "value"),
    [
        (method, argument, value)
        for method, (_, wrong) in METHODS.items()
        for argument, values in wrong.items()
        for value in values
    ],
)
def test_a_method_of_a_model_refuses_what_is_wrong(method, argument, value):
    model = make()
    check_refused(lambda: getattr(model, method)(**METHODS[method][0] | {argument: value}))


@check_arguments
def count_up(first: int, names: tuple[str, ...] | None = None, *, share: float = 0.5) -> str:
    """Take a few kinds."""
    return f"{first} {names} {share}"


def test_the_sentence_names_what_it_must_be_and_what_came():
    for arguments, options, sentence in (
        (("one",), {}, "first must be a whole number, got 'one'."),
        ((1.5,), {}, "first must be a whole number, got 1.5."),
        ((1, "ab"), {}, "names must be a tuple or None, got 'ab'."),
        ((1,), {"names": 3}, "names must be a tuple or None, got 3."),
        ((1,), {"share": [0.5]}, "share must be a number, got list."),
    ):
        with pytest.raises(TypeError) as caught:
            count_up(*arguments, **options)
        assert str(caught.value) == sentence
    with pytest.raises(TypeError, match=r"model must be a Classifier, such as whence.load\(RUN\)"):
        whence.find_suspicious("runs/digits")


def test_what_fits_passes_from_whatever_library():
    assert count_up(np.int64(1), ["a"], share=np.float32(0.5)) == "1 ['a'] 0.5"
    assert count_up(torch.tensor(1), share=1) == "1 None 1"
    check_kind("anything", object(), ())
    check_kind("names", np.array(["a", "b"]), list_kinds(Sequence[str] | None))
    check_fields(whence.Plan(1))


def test_unions_of_many_kinds_and_what_is_no_class_are_left_to_the_function():
    assert list_kinds(int | None) == (int, type(None))
    assert list_kinds(int | str | bytes | float) == ()
    assert list_kinds(whence.attribute.__annotations__["score"]) == ()


def test_missing_and_unknown_arguments_are_told_as_python_does():
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'first'"):
        count_up()
    with pytest.raises(TypeError, match="unexpected keyword argument 'last'"):
        count_up(1, last=2)
