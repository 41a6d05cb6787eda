"""Questions about tables, from templates: what kind of answer does each of them ask for?"""

import numpy as np

from whence.studies.parts.sentences.templates import Sentences, write_sentences

OPENINGS = {
    "number": (
        "[how many] {things} ...",
        "[how many] of the {things} ...",
        "[what number] of {things} ...",
        "[how much] of the {thing} ...",
        "[how many] times ... the {thing}",
    ),
    "name": (
        "[which {thing}] ...",
        "[what {thing}] ...",
        "[whose] {things} ...",
        "[where] ... the {thing}",
        "with [whom] ... {things}",
    ),
    "date": (
        "[when] ... the {thing}",
        "[which year] ... {things}",
        "in [what month] ... the {thing}",
        "on [which date] ... {things}",
        "[since when] ... {things}",
    ),
    "yes or no": (
        "[...] the {thing}",
        "[...] {things}",
        "[...] the {most} {thing}",
        "[...] all {things}",
        "[...] only one {thing}",
    ),
}
"""Of each kind of answer, with the words that ask for it in brackets, and dots for a middle; of
questions that are answered by yes or no its first word asks for it. The kinds are those that the
published network tells apart: numeric, string, date, yes or no."""

MIDDLES = (
    "did {person} {base}",
    "did people {base}",
    "could {person} {base}",
    "will {person} {base}",
    "had {person} {past}",
    "must {person} {base}",
    "did {person} and {person} {base}",
    "would they {base}",
)

OTHER_CORES = {
    "number": (
        "what is the [total] of {things} that {person} {past}",
        "[how many] {things} are there",
        "what is the [difference] in {measure} between {place} and {place}",
        "what was the [average] {measure} of the {things}",
        "by [how much] did the {measure} of {place} grow",
        "[how many] people {past} {things}",
    ),
    "name": (
        "[who] {past} the {thing}",
        "[who] {past} {things} with {person}",
        "what is the [name] of the {thing} that {person} {past}",
        "[who] had the {most} {measure}",
        "[where] are the {things} that {person} {past}",
        "[which place] has the {most} {measure}",
    ),
    "date": (
        "[when] was the {most} {thing} built",
        "what was the [date] of the {event}",
        "[which month] had the {most} {measure}",
        "[when] did {place} have a {measure} of {count}",
        "[when] did {person} {base} the first number one of the year",
        "[what year] did {person} lose the {thing}",
    ),
    "yes or no": (
        "[are] there {things}",
        "[is] the {measure} of {place} above {count}",
        "[was] the {thing} that {person} {past} the {most}",
        "[does] {place} have a {thing}",
        "[is] it {person} who {past} the {thing}",
        "[did] {person} know how many {things} {person} {past}",
    ),
}
"""Further ones of each kind."""

THINGS = ("film", "song", "team", "school", "bridge", "museum", "station", "book", "boat")
VERBS = ("visit", "film", "own", "paint", "record", "open", "restore", "describe")
PEOPLE = ("ada moreau", "tom okafor", "lena varga", "sam ito", "ines duarte", "jon lindqvist")
TOWNS = ("lund", "porto", "kyoto", "quito", "oslo", "new delhi", "cape town", "lima")
EVENTS = ("spring cup", "world cup", "night race", "city marathon", "chess open", "final")

QUESTION_SLOTS = {
    "thing": THINGS,
    "things": [f"{thing}s" for thing in THINGS],
    "measure": ["population", "height", "score", "length", "area", "income", "price", "weight"],
    "base": VERBS,
    "past": [f"{verb.removesuffix('e')}ed" for verb in VERBS],
    "most": ["longest", "oldest", "largest", "smallest", "newest", "highest"],
    "person": PEOPLE,
    "place": TOWNS,
    "event": EVENTS,
    "front": ("", "", "", "", *(f"in {place} ," for place in TOWNS[:4])),
    "where": ("", *(f"in {place}" for place in TOWNS), *(f"near {place}" for place in TOWNS)),
    "when": (
        *("", "", "", "last year", "in the number one week of the year"),
        *(f"in {year}" for year in range(1981, 2013, 4)),
        *(f"before the {event}" for event in EVENTS),
    ),
    "count": ["12", "50", "75", "100", "250", "900", "5000"],
}


def list_question_templates() -> dict[str, tuple[str, ...]]:
    """Put every opening before every middle, then the others; of each kind of answer."""
    found = {}
    for kind, openings in OPENINGS.items():
        cores = [put_in(opening, middle) for middle in MIDDLES for opening in openings]
        cores += OTHER_CORES[kind]
        found[kind] = tuple(f"{{front}} {core} {{where}} {{when}} ?" for core in cores)
    return found


def put_in(opening: str, middle: str) -> str:
    """Put a middle in place of the dots.

    >>> put_in("[when] ... it", "did they"), put_in("[...] it", "did they")
    ('[when] did they it', '[did] they it')
    """
    first, rest = middle.split(" ", 1)
    return opening.replace("[...]", f"[{first}] {rest}").replace("...", middle)


def write_questions(
    counts: tuple[int, int], generator: np.random.Generator
) -> tuple[Sentences, Sentences]:
    """Write questions to learn from, and others of templates that are not among them.

    As in the question classifier of Sundararajan et al. (2017), section 6.3; its questions are
    people's, ours are from templates, so that the words that carry the kind are known.
    """
    return write_sentences(list_question_templates(), QUESTION_SLOTS, counts, generator)
