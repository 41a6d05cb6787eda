"""Anchors: the shortest rule that keeps an answer with high precision."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from whence.studies.surrogates.bounds_of_shares import bound_above, bound_below, find_level

RegionRule = frozenset[int]
"""Regions that are kept as they are."""

DrawKept = Callable[[RegionRule, int], int]
"""Draws so many variants in which a rule holds, and counts those with the same answer."""


@dataclass(frozen=True)
class AnchorPlan:
    """How an anchor is looked for.

    Attributes:
        precision: tau, that it must have.
        risk: delta, of saying so wrongly.
        tolerance: epsilon, by which the rules that are gone on with may miss the best.
        beam: rules of each length that are gone on with.
        longest: regions in a rule, at most.
        draws: variants drawn of a rule at once.
        most: draws of one rule, at most.
    """

    precision: float = 0.95
    risk: float = 0.05
    tolerance: float = 0.15
    beam: int = 3
    longest: int = 8
    draws: int = 100
    most: int = 1500


class Anchor(NamedTuple):
    """A rule, its precision among the draws, its lower bound, and how often variants were drawn."""

    rule: RegionRule
    precision: float
    bound: float
    drawn: int


@dataclass
class Tally:
    """Draws of one rule, and how many kept the answer."""

    drawn: int = 0
    kept: int = 0

    @property
    def share(self) -> float:
        """Return the precision among the draws; 0 without any."""
        return self.kept / self.drawn if self.drawn else 0.0

    def above(self, level: float) -> float:
        """Return the upper bound of the precision."""
        return bound_above(self.share, level / self.drawn) if self.drawn else 1.0

    def below(self, level: float) -> float:
        """Return the lower bound of the precision."""
        return bound_below(self.share, level / self.drawn) if self.drawn else 0.0


def find_anchor(regions: int, draw: DrawKept, plan: AnchorPlan) -> Anchor | None:
    """Search rules from short to long, a few of each length, by KL-LUCB.

    Ribeiro, Singh and Guestrin (2018), "Anchors: high-precision model-agnostic explanations",
    algorithm 2. Longer rules apply more rarely, so that the search ends at the first length with a
    rule whose lower bound exceeds the precision asked for; of several the most precise is taken.

    Args:
        regions: R, that rules are made of.
        draw: variants of the image.
        plan: what is asked for.

    Returns:
        The anchor; None where no rule of the longest length is one.
    """
    best: list[RegionRule] = [frozenset()]
    total = 0
    for _ in range(min(plan.longest, regions)):
        rules = list(
            dict.fromkeys(
                rule | {one} for rule in best for one in range(regions) if one not in rule
            )
        )
        tallies = {rule: Tally() for rule in rules}
        best = pick_best(tallies, draw, plan)
        found = []
        for rule in best:
            bound = settle_rule(tallies[rule], rule, draw, len(rules), plan)
            if bound > plan.precision:
                found.append(Anchor(rule, tallies[rule].share, bound, 0))
        total += sum(tally.drawn for tally in tallies.values())
        if found:
            return max(found, key=lambda one: (one.precision, one.bound))._replace(drawn=total)
    return None


def pick_best(
    tallies: dict[RegionRule, Tally], draw: DrawKept, plan: AnchorPlan
) -> list[RegionRule]:
    """Pick the rules of highest precision, but for the tolerance, with as few draws as it takes.

    Kaufmann and Kalyanakrishnan (2013), KL-LUCB: the best one outside and the worst one inside are
    drawn again, until their bounds are no further apart than the tolerance.
    """
    rules = list(tallies)
    for rule in rules:
        tally_draws(tallies[rule], rule, draw, plan.draws)
    looks = 1
    while len(rules) > plan.beam:
        level = find_level(len(rules), looks, plan.risk)
        ranked = sorted(rules, key=lambda rule: -tallies[rule].share)
        inside, outside = ranked[: plan.beam], ranked[plan.beam :]
        weakest = min(inside, key=lambda rule: tallies[rule].below(level))
        strongest = max(outside, key=lambda rule: tallies[rule].above(level))
        gap = tallies[strongest].above(level) - tallies[weakest].below(level)
        open_rules = [one for one in (weakest, strongest) if tallies[one].drawn < plan.most]
        if gap < plan.tolerance or not open_rules:
            return inside
        for rule in open_rules:
            tally_draws(tallies[rule], rule, draw, plan.draws)
        looks += 1
    return sorted(rules, key=lambda rule: -tallies[rule].share)


def settle_rule(
    tally: Tally, rule: RegionRule, draw: DrawKept, arms: int, plan: AnchorPlan
) -> float:
    """Draw until the precision asked for lies outside the bounds; return the lower one."""
    looks = 1
    while True:
        level = find_level(arms, looks, plan.risk)
        below, above = tally.below(level), tally.above(level)
        if below > plan.precision or above < plan.precision or tally.drawn >= plan.most:
            return below
        tally_draws(tally, rule, draw, plan.draws)
        looks += 1


def tally_draws(tally: Tally, rule: RegionRule, draw: DrawKept, count: int) -> None:
    """Draw variants of a rule and add them up."""
    tally.kept += draw(rule, count)
    tally.drawn += count


def compare_rules(rules: Sequence[RegionRule]) -> float:
    """Average the overlap of all pairs of rules: shared regions over all regions of both.

    >>> compare_rules([frozenset({1, 2}), frozenset({2, 3}), frozenset({1, 2})])
    0.5555555555555555
    """
    pairs = [
        len(one & two) / max(1, len(one | two))
        for place, one in enumerate(rules)
        for two in rules[:place]
    ]
    return sum(pairs) / len(pairs) if pairs else 1.0
