"""Measures of answers and of their evidence: plain functions of what was predicted."""

from whence.table import Table

SIGNALS = Table(
    "signal of doubt",
    {
        "softmax": "whence.metrics.doubt:softmax",
        "class_mass": "whence.metrics.doubt:class_mass",
        "nearest": "whence.metrics.doubt:nearest",
        "entropy": "whence.metrics.doubt:entropy",
        "support": "whence.metrics.doubt:support",
        "top_weight": "whence.metrics.doubt:top_weight",
        "top_memory": "whence.metrics.doubt:top_memory",
        "key_distance": "whence.metrics.doubt:key_distance",
        "soft_votes": "whence.metrics.doubt:soft_votes",
        "similarity_gap": "whence.metrics.doubt:similarity_gap",
    },
)
"""One number per image, larger = more doubtful: from a read and the memory's own classes.

They stand in the order in which a calibration takes them up, after those that a head names itself.
"""

OF_VOTES = ("key_distance", "soft_votes", "similarity_gap")
"""The signals that votes alone have: they look at all stored images of each class."""

OF_MEMORY = tuple(one for one in SIGNALS if one not in OF_VOTES)
"""The signals that every model with a memory has."""

WITHOUT_MEMORY = ("softmax", "entropy")
"""The signals that a standard model has as well."""

PROBABILITIES = ("error_probability", "softmax")
"""What is a probability of error, so that its calibration can be measured."""
