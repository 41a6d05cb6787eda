"""Simpler stand-ins for a network: rules, lines, trees, and the manifold of an autoencoder."""
