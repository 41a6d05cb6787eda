"""Options of attribution methods, read from text as the method declares them."""

import inspect
from typing import Literal

import pytest
import torch

from whence.attribution import METHODS
from whence.attribution.method import Method, find_method
from whence.attribution.option_text import read_option


def compute(
    score,
    images,
    *,
    count: int = 1,
    rate: float = 0.5,
    deep: bool = False,
    rule: Literal["epsilon", "flat"] = "flat",
    start: str | torch.Tensor = "white",
    size: int | None = None,
    shape: tuple[int, int] = (1, 1),
    many: tuple[float, ...] = (),
    path: torch.Tensor,
):
    pytest.fail("only its options are read")


METHOD = Method("made_up", compute, adds_up=False)


@pytest.mark.parametrize(
    "name, text, value",
    [
        ("count", "64", 64),
        ("rate", "1e-3", 0.001),
        ("deep", "yes", True),
        ("deep", "False", False),
        ("rule", "epsilon", "epsilon"),
        ("start", "12", "12"),
        ("size", "none", None),
        ("size", "8", 8),
        ("shape", "4,5", (4, 5)),
        ("many", "0.5, 2", (0.5, 2.0)),
    ],
)
def test_a_text_becomes_the_kind_that_the_method_declares(name, text, value):
    found = read_option(METHOD, name, text)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    "name, text, message",
    [
        ("count", "1.5", "option count of made_up must be a whole number, got '1.5'."),
        ("rate", "x", "option rate of made_up must be a number, got 'x'."),
        ("deep", "2", "option deep of made_up must be yes or no, got '2'."),
        ("rule", "z", "option rule of made_up must be one of epsilon, flat, got 'z'."),
        ("size", "x", "option size of made_up must be a whole number or none, got 'x'."),
        ("shape", "1,2,3", "a whole number, more of them after commas, got '1,2,3'."),
        ("shape", "1,x", "got '1,x'."),
        ("path", "x", "option path of made_up cannot be written as text; call whence.attribute"),
    ],
)
def test_another_text_is_refused(name, text, message):
    with pytest.raises(ValueError, match=message.replace(".", r"\.")):
        read_option(METHOD, name, text)


@pytest.mark.parametrize("name", METHODS)
def test_the_defaults_of_every_method_can_be_written(name):
    method = find_method(name)
    for option, default in method.options.items():
        if default is inspect.Parameter.empty:
            continue
        text = ",".join(map(str, default)) if isinstance(default, tuple) else str(default)
        assert read_option(method, option, text) == default
