"""What a command line says of attribution methods: their options, and the target."""

from collections.abc import Mapping, Sequence
from typing import Any

from whence.attribution.method import Method, find_method
from whence.attribution.option_text import read_option
from whence.attribution.target import TargetLike, find_class_index
from whence.messages import quote
from whence.seeds import make_generator


def read_method_options(
    names: Sequence[str], pairs: Sequence[str], given: Mapping[str, object], seed: int
) -> dict[str, dict[str, Any]]:
    """Read the options of several methods; what is random follows the seed.

    Args:
        names: of the methods.
        pairs: "NAME=VALUE" for every one of them that has the option, or "METHOD.NAME=VALUE".
        given: options that the command has read already, for every method that has them.
        seed: of methods that draw.

    Returns:
        Options by name, by method.

    Raises:
        ValueError: on an option that no method has or that comes twice, and on a wrong value.
    """
    methods = [find_method(name) for name in names]
    found: dict[str, dict[str, Any]] = {method.name: {} for method in methods}
    for name, value in given.items():
        for method in having(methods, name):
            found[method.name][name] = value
    for pair in pairs:
        place, equals, text = pair.partition("=")
        if not equals:
            raise ValueError(f"option must be NAME=VALUE, got {quote(pair)}.")
        one, dot, name = place.rpartition(".")
        if dot and one not in found:
            raise ValueError(f"option must be of a method that is asked for, got {quote(pair)}.")
        for method in having([find_method(one)] if dot else methods, name):
            if name in found[method.name]:
                raise ValueError(f"option {name} of {method.name} must be given once.")
            found[method.name][name] = read_option(method, name, text)
    for method in methods:
        if "generator" in method.options:
            found[method.name].setdefault("generator", make_generator(seed))
    return found


def having(methods: Sequence[Method], name: str) -> list[Method]:
    """Keep the methods that have an option.

    Raises:
        ValueError: if none has.
    """
    found = [method for method in methods if name in method.options]
    if not found and len(methods) == 1:
        methods[0].complete({name: None})  # says which options it has
    if not found:
        known = sorted({one for method in methods for one in method.options} - {"generator"})
        choices = f"Choose from: {', '.join(known)}." if known else "They have none."
        raise ValueError(f"No method asked for has an option {quote(name)}. {choices}")
    return found


def read_target_text(text: str | None, class_names: Sequence[str]) -> TargetLike:
    """Read what is to be explained: a class, by name or index, or two with a colon between them.

    An empty side of the colon is the predicted class.

    Raises:
        ValueError: if there is no such class.

    >>> read_target_text("dog", ["cat", "dog"]), read_target_text(":0", ["cat", "dog"])
    ('dog', (None, 0))
    """
    if text is None:
        return None
    if text in class_names or ":" not in text:
        return read_class_text(text, class_names)
    places = [place for place, letter in enumerate(text) if letter == ":"]
    sides = [(text[:place], text[place + 1 :]) for place in places]
    known = [pair for pair in sides if all(side in ("", *class_names) for side in pair)]
    one, other = (known or sides)[0]
    return (
        read_class_text(one, class_names) if one else None,
        read_class_text(other, class_names) if other else None,
    )


def read_class_text(text: str, class_names: Sequence[str]) -> int | str:
    """Read a class; a name comes before an index.

    Raises:
        ValueError: if there is no such class.
    """
    one = int(text) if text not in class_names and text.isdecimal() else text
    find_class_index(one, class_names)
    return one
