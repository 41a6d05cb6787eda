"""Answers and the stored images they were computed from."""
