"""Which stored images a smaller memory keeps."""

from whence.table import Table

SELECTIONS = Table(
    "selection",
    {
        "balanced": "whence.selections.balanced:BALANCED",
        "herding": "whence.selections.herding:HERDING",
        "k-center": "whence.selections.k_center:K_CENTER",
        "support": "whence.selections.support:SUPPORT",
        "shapley": "whence.selections.shapley:SHAPLEY",
        "validation": "whence.selections.validation:VALIDATION",
        "random": "whence.selections.random_draw:RANDOM_DRAW",
    },
)
"""Every way to choose stored images by name: a ``SelectionMethod``; "random" is the control."""
