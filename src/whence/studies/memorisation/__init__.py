"""Arpit et al. 2017: how memorising differs from learning, and what a run has learnt by heart."""
