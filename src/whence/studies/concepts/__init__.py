"""Concepts: what layers of a network know of them, and whether answers depend on them."""
