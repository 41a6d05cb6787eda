"""Bag of words: pixel-wise decomposition of a classifier over visual words (Bach et al. 2015)."""
