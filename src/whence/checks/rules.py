"""The rules: each turns answers and the values of its keys into a verdict. No torch here."""

import statistics
from collections.abc import Callable, Sequence

from whence.checks.rule import (
    A_CLASS,
    A_GROUP,
    A_SHARE,
    SOME_STORED,
    AskedAnswers,
    AssertionKind,
    Keys,
    Verdict,
)

ROUNDING = 1e-6
"""By how much float32 shares may miss a number that they are compared with."""


def by_image(answered: AskedAnswers, look: Callable[[int], tuple[float, str | None]]) -> Verdict:
    """Judge image by image; the lowest number is the worst.

    Args:
        answered: the answers.
        look: takes the place of an image to its number and what is wrong, or None.
    """
    seen = [look(place) for place in range(len(answered.predictions))]
    if not seen:
        return Verdict("no image", ("no image",))
    place = min(range(len(seen)), key=lambda one: seen[one][0])
    number, problem = seen[place]
    start = f"{answered.images[place]}: " if len(seen) > 1 else ""
    found = problem or f"{start}{number:.3f}"
    return Verdict(found, tuple(problem for _, problem in seen))


def judge_answer(answered: AskedAnswers, keys: Keys) -> Verdict:
    """Expect a class, with a probability of at least so much."""
    least = keys.get("at_least", 0)
    wanted = list(answered.class_names).index(keys["class"])

    def look(place: int) -> tuple[float, str | None]:
        one = answered.predictions[place]
        share = float(one.probabilities[wanted])
        fine = one.predicted == wanted and share >= least - ROUNDING
        answer = answered.class_names[one.predicted]
        return share, None if fine else f"{answered.images[place]} is {answer}, {share:.3f}"

    return by_image(answered, look)


def judge_top_evidence(answered: AskedAnswers, keys: Keys) -> Verdict:
    """Expect the stored image of highest weight to carry a label."""
    wanted = list(answered.class_names).index(keys["class"])

    def look(place: int) -> tuple[float, str | None]:
        evidence = answered.predictions[place].evidence
        name = answered.images[place]
        if not evidence:
            return 0.0, f"{name} has no evidence"
        top = evidence[0]
        fine = top.label == wanted
        label = "without a label" if top.label is None else answered.class_names[top.label]
        return float(fine), None if fine else f"{name}: {top.source or top.index} is {label}"

    verdict = by_image(answered, look)
    return verdict if any(verdict.problems) else Verdict("it is", verdict.problems)


def judge_no_evidence_from(answered: AskedAnswers, keys: Keys) -> Verdict:
    """Expect none of the chosen stored images to have a weight."""

    def look(place: int) -> tuple[float, str | None]:
        read = [one for one in answered.predictions[place].evidence if one.index in answered.chosen]
        if not read:
            return 0.0, None
        weight = sum(one.weight for one in read)
        first = read[0].source or read[0].index
        return -weight, f"{answered.images[place]} has {weight:.3f} on {first}"

    verdict = by_image(answered, look)
    if any(verdict.problems):
        return verdict
    return Verdict(f"none of {len(answered.chosen):,} stored images", verdict.problems)


def judge_own_class_weight(answered: AskedAnswers, keys: Keys) -> Verdict:
    """Expect so much weight on stored images with the label of the answer."""

    def look(place: int) -> tuple[float, str | None]:
        one = answered.predictions[place]
        weight = sum(item.weight for item in one.evidence if item.label == one.predicted)
        fine = weight >= keys["at_least"] - ROUNDING
        return weight, None if fine else f"{answered.images[place]}: {weight:.3f}"

    return by_image(answered, look)


def judge_doubt(answered: AskedAnswers, keys: Keys) -> Verdict:
    """Expect a calibrated probability of error of at most so much."""

    def look(place: int) -> tuple[float, str | None]:
        doubt = answered.predictions[place].error_probability
        if doubt is None:
            return -1.0, "the model is not calibrated"
        fine = doubt <= keys["at_most"] + ROUNDING
        return -doubt, None if fine else f"{answered.images[place]}: {doubt:.3f}"

    verdict = by_image(answered, look)
    if any(verdict.problems):
        return verdict
    highest = max(one.error_probability or 0 for one in answered.predictions)
    return Verdict(f"at most {highest:.3f}", verdict.problems)


def recall_of(answered: AskedAnswers, place: int) -> float | None:
    """Compute the share of the images of a class that are answered with it; None without any."""
    pairs = zip(answered.predictions, answered.truths, strict=True)
    hits = [one.predicted == place for one, truth in pairs if truth == place]
    return statistics.fmean(hits) if hits else None


def at_least(found: float | None, keys: Keys) -> Verdict:
    """Compare one number of all images with the least that is expected."""
    if found is None:
        return Verdict("no image of it", ("no image of it",))
    fine = found >= keys["at_least"] - ROUNDING
    return Verdict(f"{found:.3f}", (None if fine else f"it is {found:.3f}",))


def judge_accuracy(answered: AskedAnswers, keys: Keys) -> Verdict:
    """Expect so large a share of right answers."""
    pairs = zip(answered.predictions, answered.truths, strict=True)
    hits = [one.predicted == truth for one, truth in pairs if truth is not None]
    return at_least(statistics.fmean(hits) if hits else None, keys)


def judge_balanced_accuracy(answered: AskedAnswers, keys: Keys) -> Verdict:
    """Expect so large a mean recall of the classes that have images."""
    recalls: Sequence[float | None] = [
        recall_of(answered, place) for place in range(len(answered.class_names))
    ]
    known = [one for one in recalls if one is not None]
    return at_least(statistics.fmean(known) if known else None, keys)


def judge_recall(answered: AskedAnswers, keys: Keys) -> Verdict:
    """Expect so large a share of the images of a class to be found."""
    return at_least(recall_of(answered, list(answered.class_names).index(keys["class"])), keys)


def judge_unchanged(answered: AskedAnswers, keys: Keys) -> Verdict:
    """Expect the same answers without the chosen stored images."""
    problems: list[str | None] = []
    both = zip(answered.images, answered.predictions, answered.without, strict=True)
    for name, one, other in both:
        was, becomes = (answered.class_names[p.predicted] for p in (one, other))
        problems.append(None if was == becomes else f"{name} is {becomes}, it was {was}")
    changed = [one for one in problems if one is not None]
    found = f"{len(changed):,} of {len(problems):,} answers change"
    return Verdict(f"{found} ({changed[0]})" if changed else found, tuple(problems))


def say_stored(keys: Keys) -> str:
    """Name the stored images that a rule chooses."""
    return f"group {keys['group']}" if "group" in keys else str(keys["stored"])


def say_answer(keys: Keys) -> str:
    """Say the class that is expected, and how sure."""
    least = f" with at least {keys['at_least']:g}" if "at_least" in keys else ""
    return f"{keys['class']}{least}"


CHOICE = {"stored?": SOME_STORED, "group?": A_GROUP}

ANSWER = AssertionKind({"class": A_CLASS, "at_least?": A_SHARE}, judge_answer, say_answer)
TOP_EVIDENCE = AssertionKind(
    {"class": A_CLASS}, judge_top_evidence, lambda keys: f"top evidence is of class {keys['class']}"
)
NO_EVIDENCE_FROM = AssertionKind(
    CHOICE, judge_no_evidence_from, lambda keys: f"no evidence from {say_stored(keys)}"
)
OWN_CLASS_WEIGHT = AssertionKind(
    {"at_least": A_SHARE},
    judge_own_class_weight,
    lambda keys: f"at least {keys['at_least']:g} of the weight on the answer's own class",
)
DOUBT = AssertionKind(
    {"at_most": A_SHARE}, judge_doubt, lambda keys: f"wrong with at most {keys['at_most']:g}"
)
RIGHT_ANSWERS = AssertionKind(
    {"at_least": A_SHARE},
    judge_accuracy,
    lambda keys: f"accuracy at least {keys['at_least']:g}",
    whole=True,
    labelled=True,
)
BALANCED_ACCURACY = AssertionKind(
    {"at_least": A_SHARE},
    judge_balanced_accuracy,
    lambda keys: f"balanced accuracy at least {keys['at_least']:g}",
    whole=True,
    labelled=True,
)
RECALL = AssertionKind(
    {"class": A_CLASS, "at_least": A_SHARE},
    judge_recall,
    lambda keys: f"recall of {keys['class']} at least {keys['at_least']:g}",
    whole=True,
    labelled=True,
)
UNCHANGED_WITHOUT = AssertionKind(
    CHOICE, judge_unchanged, lambda keys: f"no answer changes without {say_stored(keys)}"
)
