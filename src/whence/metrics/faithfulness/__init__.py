"""Measures of how faithful relevance is to the score that it explains: one file a measure."""

from whence.table import Table

FAITHFULNESS = Table("faithfulness measure", {})
"""Every measure by name, a ``FaithfulnessMeasure`` that says whether lower or higher is better.

``FAITHFULNESS[name](score, images, relevance, option=...)`` gives one number per image, `(B,)`; the
caller averages. ``score`` maps images `(B, C, H, W)` to one number each, `(B,)`; ``relevance``
`(B, H, W)` has one number per pixel. A measure knows nothing of models, methods or targets, gives
each image what it would give it alone, and takes a ``generator`` for what it draws.
"""

__all__ = ["FAITHFULNESS"]
