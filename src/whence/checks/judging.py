"""From verdicts to records. No torch here."""

import math

from whence.checks.expectations import Expectation
from whence.checks.rule import AskedAnswers, find_assertion
from whence.records.checked import NAMED_PROBLEMS, Checked


def judge_expectation(one: Expectation, answered: AskedAnswers) -> Checked:
    """Say whether answers are as expected.

    Args:
        one: the expectation.
        answered: all that its rule looks at.
    """
    rule = find_assertion(one.rule)
    verdict = rule.judge(answered, one.keys)
    problems = [problem for problem in verdict.problems if problem is not None]
    total = len(verdict.problems)
    needed = math.ceil(one.of_images * total - 1e-9)
    holds = total - len(problems) >= needed
    found = verdict.found
    if not rule.whole and total > 1 and problems:
        found = f"{total - len(problems):,} of {total:,} images hold; {found}"
    return Checked(
        title=one.title,
        holds=holds,
        found=found,
        images=len(answered.predictions),
        failed=len(problems),
        problems=() if rule.whole else tuple(problems[:NAMED_PROBLEMS]),
        severity=float(not holds),
    )
