"""Measures of how faithful relevance is to the score that it explains: one file a measure."""

from whence.table import Table

MEASURE_FILES = "whence.metrics.faithfulness"

FAITHFULNESS = Table(
    "faithfulness measure",
    {
        "aopc_morf": f"{MEASURE_FILES}.aopc_morf:AOPC_MORF",
        "aopc_lerf": f"{MEASURE_FILES}.aopc_lerf:AOPC_LERF",
        "deletion": f"{MEASURE_FILES}.deletion:DELETION",
        "insertion": f"{MEASURE_FILES}.insertion:INSERTION",
        "road_morf": f"{MEASURE_FILES}.road_morf:ROAD_MORF",
        "road_lerf": f"{MEASURE_FILES}.road_lerf:ROAD_LERF",
        "sensitivity_n": f"{MEASURE_FILES}.sensitivity_n:SENSITIVITY_N",
        "infidelity": f"{MEASURE_FILES}.infidelity:INFIDELITY",
        "class_flip": f"{MEASURE_FILES}.class_flip:CLASS_FLIP",
        "unexplained": f"{MEASURE_FILES}.unexplained:UNEXPLAINED",
        "idsds": f"{MEASURE_FILES}.idsds:IDSDS",
        "max_sensitivity": f"{MEASURE_FILES}.max_sensitivity:MAX_SENSITIVITY",
        "mprt": f"{MEASURE_FILES}.mprt:MPRT",
        "smprt": f"{MEASURE_FILES}.smprt:SMPRT",
        "emprt": f"{MEASURE_FILES}.emprt:EMPRT",
        "random_logit": f"{MEASURE_FILES}.random_logit:RANDOM_LOGIT",
        "trigger_mass": f"{MEASURE_FILES}.trigger_mass:TRIGGER_MASS",
        "trigger_rank": f"{MEASURE_FILES}.trigger_rank:TRIGGER_RANK",
    },
)
"""Every measure by name, a ``FaithfulnessMeasure`` that says whether lower or higher is better.

``FAITHFULNESS[name](attributed, option=...)`` gives one number per image, `(B,)`, and a curve where
there is one; the caller averages. ``attributed`` has images, their relevance and what can be asked
again; a measure says what of it it needs. A measure knows nothing of models and methods, gives each
image what it would give it alone, and takes a ``generator`` for what it draws.
"""

__all__ = ["FAITHFULNESS"]
