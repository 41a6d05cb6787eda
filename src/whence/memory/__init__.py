"""Sparse attention over stored images, and the heads that read it."""
