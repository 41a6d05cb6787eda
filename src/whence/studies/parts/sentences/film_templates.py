"""Sentences about films, from templates: do they praise or damn?"""

import numpy as np

from whence.studies.parts.sentences.templates import Sentences, write_sentences

PRAISE = (
    *("wonderful", "moving", "brilliant", "charming", "gripping", "funny", "beautiful", "superb"),
    *("delightful", "touching", "clever", "thrilling", "excellent", "unforgettable"),
)
BLAME = (
    *("dull", "clumsy", "tedious", "pointless", "awful", "predictable", "lifeless", "boring"),
    *("tiresome", "shallow", "dreadful", "messy", "forgettable", "painful"),
)

SHAPES = (
    "a [{own}] {kind} about {topic} {rest} .",
    "{person} has made a [{own}] {kind} of {length} {rest} .",
    "the {part} of this {kind} is [{own}] , and there is {topic} in it {rest} .",
    "[{own}] , as {kind} films about {topic} go {rest} .",
    "this {kind} by {person} is [{own}] and [{own}] {rest} .",
    "a {kind} about {topic} that is [{own}] {rest} .",
    "the {part} may be [{other}] , but {person} makes it a [{own}] {kind} {rest} .",
    "{person} gives the {kind} a [{own}] {part} {rest} .",
    "for {length} the {part} is [{own}] {rest} .",
    "the {kind} about {topic} is [never {other}] {rest} .",
    "at {length} it is a [{own}] {kind} {rest} .",
    "it is [{own}] to see {person} in a {kind} {rest} .",
    "what a [{own}] {kind} {rest} .",
    "[{own}] is the word for the {part} {rest} .",
    "with {person} in it , the {kind} is [anything but {other}] {rest} .",
    "a [{own}] {part} , and a {kind} about {topic} {rest} .",
)
"""Each for praise and for blame; ``own`` is a word of that side, ``other`` one of the other side,
which ``never``, ``anything but`` and ``but`` turn round. ``rest`` says nothing of either."""

FILM_SLOTS = {
    "kind": ["drama", "comedy", "western", "thriller", "musical", "mystery", "documentary"],
    "topic": ("two brothers", "a bank", "a small town", "the sea", "a teacher", "old letters"),
    "person": ("ada moreau", "tom okafor", "lena varga", "sam ito", "ines duarte"),
    "part": ["plot", "camera", "cast", "music", "script", "ending"],
    "length": ("ninety minutes", "two hours", "three hours"),
    "rest": (
        "",
        "",
        "for once",
        "from the north",
        "in most cities this week",
        "with songs of a band",
        "which opens at the end of the week",
        "as people said on the way out",
    ),
}


def write_reviews(
    counts: tuple[int, int], generator: np.random.Generator
) -> tuple[Sentences, Sentences]:
    """Write sentences of praise and blame, and others of templates that are not among them."""
    sides = {"praise": (PRAISE, BLAME), "blame": (BLAME, PRAISE)}
    slots = dict(FILM_SLOTS)
    templates = {}
    for name, (own, other) in sides.items():
        slots[f"{name}_own"], slots[f"{name}_other"] = list(own), list(other)
        templates[name] = tuple(
            shape.replace("{own}", f"{{{name}_own}}").replace("{other}", f"{{{name}_other}}")
            for shape in SHAPES
        )
    return write_sentences(templates, slots, counts, generator)
