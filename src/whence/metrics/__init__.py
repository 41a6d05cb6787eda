"""Measures of explanations: plain functions of what was predicted."""
