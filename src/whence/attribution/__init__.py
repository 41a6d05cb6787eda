"""Relevance of pixels: of an image, and of the stored images that its answer was computed from."""
