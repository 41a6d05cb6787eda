"""Image classifiers that show the training images every answer was computed from."""
