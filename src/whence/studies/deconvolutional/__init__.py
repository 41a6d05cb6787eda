"""Deconvolutional networks: images as sums of learned filters at few places, layer on layer."""
