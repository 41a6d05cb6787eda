"""Classifiers in the form of scikit-learn."""
