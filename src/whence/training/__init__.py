"""Fit a classifier: recipes, the loop, one training over several processes."""
