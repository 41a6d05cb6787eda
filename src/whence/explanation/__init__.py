"""Explanations: the evidence behind an answer, what changes without it, and which pixels count."""
