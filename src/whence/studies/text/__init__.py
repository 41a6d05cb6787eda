"""Classifiers of sentences: which words, and which stored sentences, an answer comes from."""
