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
    },
)
"""One number per image, larger = more doubtful: from a read and the memory's own classes.

They stand in the order in which a calibration takes them up, after those that a head names itself.
"""

WITHOUT_MEMORY = ("softmax", "entropy")
"""The signals that a standard model has as well."""

PROBABILITIES = ("error_probability", "softmax")
"""What is a probability of error, so that its calibration can be measured."""
