"""Expectations about answers and their evidence, kept in a file and checked again and again."""

from whence.table import Table

ASSERTIONS = Table(
    "assertion",
    {
        "answer": "whence.checks.rules:ANSWER",
        "top_evidence": "whence.checks.rules:TOP_EVIDENCE",
        "no_evidence_from": "whence.checks.rules:NO_EVIDENCE_FROM",
        "own_class_weight": "whence.checks.rules:OWN_CLASS_WEIGHT",
        "doubt": "whence.checks.rules:DOUBT",
        "accuracy": "whence.checks.rules:RIGHT_ANSWERS",
        "balanced_accuracy": "whence.checks.rules:BALANCED_ACCURACY",
        "recall": "whence.checks.rules:RECALL",
        "unchanged_without": "whence.checks.rules:UNCHANGED_WITHOUT",
    },
)
"""What can be expected of answers, by name: a ``AssertionKind``."""
