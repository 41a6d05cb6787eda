"""How sure the share of a few draws is: bounds by the divergence of two coins."""

import math

BOUND_HALVINGS = 30
"""Of the interval in which a bound is looked for."""

LEVEL_FACTOR, LEVEL_GROWTH = 405.5, 1.1
"""Of the level; Kaufmann and Kalyanakrishnan (2013), theorem 1: valid for more than one arm."""


def diverge(share: float, other: float) -> float:
    """Compute the Kullback-Leibler divergence of two coins, in nats.

    >>> round(diverge(0.5, 0.25), 4), diverge(1.0, 1.0), diverge(0.5, 1.0)
    (0.1438, 0.0, inf)
    """
    total = 0.0
    for one, two in ((share, other), (1 - share, 1 - other)):
        if one > 0:
            total += math.inf if two <= 0 else one * math.log(one / two)
    return total


def bound_above(share: float, level: float) -> float:
    """Find the largest share whose divergence from this one is at most a level."""
    return bisect_share(share, 1.0, share, level)


def bound_below(share: float, level: float) -> float:
    """Find the smallest share whose divergence from this one is at most a level.

    >>> round(bound_below(1.0, 0.05), 4)  # exp(-0.05)
    0.9512
    """
    return bisect_share(share, 0.0, share, level)


def bisect_share(inside: float, outside: float, share: float, level: float) -> float:
    """Halve an interval until its ends, one within the level and one not, are the same."""
    if diverge(share, outside) <= level:
        return outside
    for _ in range(BOUND_HALVINGS):
        middle = (inside + outside) / 2
        if diverge(share, middle) <= level:
            inside = middle
        else:
            outside = middle
    return inside


def find_level(arms: int, looks: int, risk: float) -> float:
    """Compute by how much, in nats, shares may miss after so many looks at so many arms.

    Kaufmann and Kalyanakrishnan (2013), "Information complexity in bandit subset selection": the
    level divided by the number of draws of an arm bounds its divergence, with a probability of
    at least 1 minus the risk at all looks together.

    Args:
        arms: that are compared.
        looks: so far, from 1.
        risk: in (0, 1).
    """
    plain = math.log(LEVEL_FACTOR * arms * looks**LEVEL_GROWTH / risk)
    return plain + math.log(plain)
