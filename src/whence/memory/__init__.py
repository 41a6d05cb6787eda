"""Sparse attention over stored images, and the heads that read it."""

from whence.table import Table

SIMILARITIES = Table(
    "similarity",
    {
        "cosine": "whence.memory.similarities:COSINE",
        "l2": "whence.memory.similarities:L2",
        "dot": "whence.memory.similarities:DOT",
    },
)
"""Every similarity by name: a ``Similarity`` that compares `(..., B, D)` with `(..., M, D)`."""
