"""Which methods, measures and controls a table of faithfulness has; loads no torch."""

from jsonargparse import Namespace

from whence.attribution import METHODS
from whence.metrics.faithfulness import FAITHFULNESS

EVERY = "all"
UNTRAINED_CONTROL = "untrained"
CONTROL_METHODS = ("random", "edges")
"""Methods that know nothing of the model: they are rows of every table."""

NEED_TRUTH = ("trigger_mass", "trigger_rank")
"""Measures that need to know where an answer comes from, which of a run is not known."""


def choose_rows(options: Namespace) -> list[str]:
    """List the methods that were asked for, and the controls."""
    asked = list(METHODS) if EVERY in options.methods else list(dict.fromkeys(options.methods))
    controls = list(CONTROL_METHODS)
    untrained = [] if options.no_untrained else [UNTRAINED_CONTROL]
    return [*controls, *(name for name in asked if name not in controls), *untrained]


def choose_measures(options: Namespace) -> list[str]:
    """List the measures that were asked for; of all, those that a run has what it takes for."""
    if EVERY not in options.measures:
        return list(dict.fromkeys(options.measures))
    left_out = {*NEED_TRUTH} | (set() if options.idsds else {"idsds"})
    return [name for name in FAITHFULNESS if name not in left_out]
