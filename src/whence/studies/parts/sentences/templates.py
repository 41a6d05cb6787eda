"""Sentences from templates, in which the words that carry the class are known."""

import itertools
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

PIECE = re.compile(r"\[([^\]]*)\]|(\{\w+\})|([^\s\[\]{}]+)")
"""Of a template: words that carry the class, a slot, or a plain word."""

HELD_OUT_TEMPLATE = 4
"""Every fourth template of a class is kept for the sentences that are asked about."""


class Sentences(NamedTuple):
    """Sentences with their classes.

    Attributes:
        words: of each sentence, in order.
        labels: `(N,)` int64.
        class_names: one name per class.
        carriers: for each word of each sentence whether it carries the class; None where that is
            not known.
    """

    words: tuple[tuple[str, ...], ...]
    labels: Tensor
    class_names: tuple[str, ...]
    carriers: tuple[tuple[bool, ...], ...] | None = None

    def take_sentences(self, places: Sequence[int]) -> "Sentences":
        """Keep the sentences at places `(n,)`, in that order."""
        chosen = list(places)
        carriers = self.carriers
        return Sentences(
            tuple(self.words[one] for one in chosen),
            self.labels[chosen],
            self.class_names,
            None if carriers is None else tuple(carriers[one] for one in chosen),
        )

    def take_first(self, count: int) -> "Sentences":
        """Keep the first sentences, at most ``count``."""
        return self.take_sentences(range(min(count, len(self.words))))


Slots = Mapping[str, Sequence[str]]
"""The fillers of each slot; a filler may be of several words."""


def write_sentences(
    templates: Mapping[str, Sequence[str]],
    slots: Slots,
    counts: tuple[int, int],
    generator: np.random.Generator,
) -> tuple[Sentences, Sentences]:
    """Fill templates: sentences to learn from, and others of templates that are not among them.

    Args:
        templates: of each class. ``{slot}`` is filled, ``[words]`` carry the class, also where
            they hold a slot.
        slots: fillers by name.
        counts: sentences to learn from, and to be asked about; as many of every class, up to one.
        generator: chooses templates and fillers.

    Raises:
        ValueError: if the templates hold fewer different sentences than are asked for.
    """
    parts = []
    for part, count in enumerate(counts):
        own = {
            name: [one for place, one in enumerate(some) if is_kept(place) == (part == 1)]
            for name, some in templates.items()
        }
        parts.append(fill_evenly(own, slots, count, generator))
    return parts[0], parts[1]


def is_kept(place: int) -> bool:
    """Say whether a template is kept for the sentences that are asked about."""
    return place % HELD_OUT_TEMPLATE == HELD_OUT_TEMPLATE - 1


def fill_evenly(
    templates: Mapping[str, Sequence[str]], slots: Slots, count: int, generator: np.random.Generator
) -> Sentences:
    """Fill templates until there are ``count`` different sentences, class after class in turn.

    Raises:
        ValueError: if there are not as many.
    """
    possible = sum(count_fillings(one, slots) for some in templates.values() for one in some)
    names, found = tuple(templates), dict[tuple[str, ...], tuple[int, tuple[bool, ...]]]()
    tries = itertools.count()
    while len(found) < count:
        if next(tries) > 100 * count:
            raise ValueError(
                f"count must be below the {possible:,} sentences of the templates, got {count}."
            )
        label = len(found) % len(names)
        some = templates[names[label]]
        words, carry = fill_template(some[int(generator.integers(len(some)))], slots, generator)
        found.setdefault(words, (label, carry))
    return Sentences(
        tuple(found),
        torch.tensor([label for label, _ in found.values()]),
        names,
        tuple(carry for _, carry in found.values()),
    )


def fill_template(
    template: str, slots: Slots, generator: np.random.Generator
) -> tuple[tuple[str, ...], tuple[bool, ...]]:
    """Fill the slots of one template; its words, and which of them carry the class.

    >>> fill_template("[how many] {things} ?", {"things": ["red cars"]}, np.random.default_rng(0))
    (('how', 'many', 'red', 'cars', '?'), (True, True, False, False, False))
    """
    words: list[str] = []
    carry: list[bool] = []
    for carrying, slot, plain in PIECE.findall(template):
        for word in (carrying or slot or plain).split():
            options = slots[word[1:-1]] if word.startswith("{") else [word]
            filled = options[int(generator.integers(len(options)))].split()
            words += filled
            carry += [bool(carrying)] * len(filled)
    return tuple(words), tuple(carry)


def count_fillings(template: str, slots: Slots) -> int:
    """Count in how many ways a template can be filled.

    >>> count_fillings("[{a}] b {a}", {"a": ["x", "y", "z"]})
    9
    """
    ways = 1
    for slot in re.findall(r"\{(\w+)\}", template):
        ways *= len(slots[slot])
    return ways
