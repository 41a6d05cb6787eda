"""The classifier, what it needs to answer, and its form on disk."""
