"""Erasure: what matters is found by leaving it out (Li, Monroe and Jurafsky 2017)."""
