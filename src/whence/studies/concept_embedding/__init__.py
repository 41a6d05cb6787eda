"""Concept embedding: a few features that say a network's answer, each seen at its own place."""
