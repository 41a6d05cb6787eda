"""What a rule is: its keys, and how it judges answers. No torch here."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from whence.checks import ASSERTIONS

if TYPE_CHECKING:
    from whence.records.answers import Prediction

Keys: TypeAlias = Mapping[str, Any]

A_SHARE, A_CLASS, SOME_STORED, A_GROUP = "share", "class", "stored", "group"
"""Kinds of a key's value: a number in [0, 1], a class, a choice of stored images, a group."""


@dataclass(frozen=True, eq=False)
class AskedAnswers:
    """Answers that something is expected of.

    Attributes:
        images: what each image is called.
        predictions: one for each.
        truths: true classes by index, None where not known.
        class_names: one name per class.
        chosen: dataset indices of the stored images that a rule names.
        without: the answers with these left out of the memory.
    """

    images: Sequence[str]
    predictions: "Sequence[Prediction]"
    truths: Sequence[int | None]
    class_names: Sequence[str]
    chosen: frozenset[int] = frozenset()
    without: "Sequence[Prediction]" = ()


@dataclass(frozen=True)
class Verdict:
    """What came of a rule.

    Attributes:
        found: what was found, in a clause; of single images the worst of them.
        problems: for each image what is wrong with it, None for nothing; of a rule about all images
            together one entry.
    """

    found: str
    problems: tuple[str | None, ...]


@dataclass(frozen=True, eq=False)
class AssertionKind:
    """One kind of expectation.

    Attributes:
        takes: keys, each with the kind of its value; one that ends with "?" may be left out.
        judge: of answers and the values of the keys.
        say: what is expected, as a clause with "{keys}".
        whole: it is about all images together, and their share is no key.
        labelled: it needs the true classes.
    """

    takes: Mapping[str, str]
    judge: Callable[[AskedAnswers, Keys], Verdict]
    say: Callable[[Keys], str]
    whole: bool = False
    labelled: bool = False


def find_assertion(name: str) -> AssertionKind:
    """Look a rule up by name.

    Raises:
        ValueError: if there is none of this name.
    """
    return cast("AssertionKind", ASSERTIONS.find(name))
