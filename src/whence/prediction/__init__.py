"""Train, save, load, predict and evaluate classifiers."""
