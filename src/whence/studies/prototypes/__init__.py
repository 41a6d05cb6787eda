"""Prototypical parts: a network that answers by patches of training images (Chen et al. 2019)."""
