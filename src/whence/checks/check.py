"""Assertions on answers in a program: rules of the file's kind, or functions of the user's own."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from whence.checks.expectations import read_expectation, refuse_unknown_classes
from whence.checks.judging import judge_expectation
from whence.checks.rule import AskedAnswers
from whence.kinds import check_arguments
from whence.messages import quote, shorten_text
from whence.records.answers import Explanation, Prediction
from whence.records.checked import NAMED_PROBLEMS, Checked, Checks

SomeAnswers: TypeAlias = Sequence[Prediction] | Sequence[Explanation]
Assertion: TypeAlias = Callable[..., object]
OneRule: TypeAlias = Assertion | Mapping[str, Any]
WINDOW = 1


@check_arguments
def check(
    predictions: SomeAnswers,
    rules: OneRule | Iterable[OneRule],
    *,
    class_names: Sequence[str] | None = None,
    truths: Sequence[int | None] | None = None,
    images: Sequence[Any] | None = None,
    names: Sequence[str] | None = None,
    window: int = WINDOW,
) -> Checks:
    """Check answers against assertions.

    A function of one's own is a model assertion (Kang et al. 2018, "Model assertions for debugging
    machine learning"): it is called once for every answer with the recent ones, a list that ends
    with that answer and holds at most ``window`` of them, and, where ``images`` are given, with
    their images. What it returns says what is wrong: None, False, 0 or "" is nothing; True, a
    sentence, or a number above 0, how severe, is a violation. A rule of a file of checks is a
    mapping with the keys of a ``[[check]]`` table, such as ``{"assert": "own_class_weight",
    "at_least": 0.8}``.

    Args:
        predictions: what ``predict`` or ``explain`` returned, in their order.
        rules: functions and mappings.
        class_names: for rules that name a class.
        truths: true classes by index, for rules that measure accuracy.
        images: one for each answer, handed to functions as they are.
        names: what images are called; None numbers them.
        window: answers that a function sees at once, the last one included.

    Raises:
        ValueError: if lengths do not fit, or a rule is unknown or cannot be checked here.
        TypeError: if a rule is neither a function nor a mapping.

    >>> check([], [lambda recent: len(recent) > 3]).hold
    True
    """
    total = len(predictions)
    for name, given in (("truths", truths), ("images", images), ("names", names)):
        if given is not None and len(given) != total:
            raise ValueError(f"{name} must be one for each answer ({total}), got {len(given)}.")
    if window < 1:
        raise ValueError(f"window must be at least 1, got {quote(window)}.")
    called = [f"answer {place}" for place in range(total)] if names is None else list(names)
    found = []
    listed = [rules] if callable(rules) or isinstance(rules, Mapping) else rules
    for number, rule in enumerate(listed, 1):
        if callable(rule):
            found.append(assert_all(rule, predictions, images, called, window))
        elif isinstance(rule, Mapping):
            answered = AskedAnswers(
                called,
                predictions,  # type: ignore[arg-type] # explanations have the same fields
                [None] * total if truths is None else truths,
                tuple(class_names or ()),
            )
            found.append(check_mapping(rule, answered, f"rules, number {number}"))
        else:
            raise TypeError(
                f"rules must be functions or mappings, number {number} is {type(rule).__name__}."
            )
    return Checks(tuple(found))


def check_mapping(table: Mapping[str, Any], answered: AskedAnswers, where: str) -> Checked:
    """Check a rule of a file's kind on answers that are there.

    Raises:
        ValueError: if it is unknown, or needs a model to ask again.
    """
    one = read_expectation(table, where, alone=False)
    if "stored" in one.keys or "group" in one.keys:
        raise ValueError(
            f"{where}: {one.rule} asks the model's memory; write it to a file, for whence check."
        )
    if one.keys.get("class") is not None and not answered.class_names:
        raise ValueError(f"{where}: {one.rule} names a class; give class_names as well.")
    refuse_unknown_classes([one], answered.class_names)
    return judge_expectation(one, answered)


def assert_all(
    rule: Assertion,
    predictions: SomeAnswers,
    images: Sequence[Any] | None,
    names: Sequence[str],
    window: int,
) -> Checked:
    """Call an assertion for every answer, and keep what it says."""
    problems, worst = [], 0.0
    for place, name in enumerate(names):
        recent = slice(max(0, place + 1 - window), place + 1)
        given = [list(predictions[recent])]
        if images is not None:
            given.append(list(images[recent]))
        said = rule(*given)
        if said:
            problems.append(f"{name}: {said}" if isinstance(said, str) else name)
            worst = max(worst, float(said) if isinstance(said, int | float) else 1.0)
    found = f"{len(problems):,} of {len(names):,} answers violate it"
    return Checked(
        title=shorten_text(getattr(rule, "__name__", type(rule).__name__)),
        holds=not problems,
        found=f"{found} ({problems[0]})" if problems else found,
        images=len(names),
        failed=len(problems),
        problems=tuple(problems[:NAMED_PROBLEMS]),
        severity=worst,
    )
