"""A hash that says whether two sets of sentences are the same."""

import hashlib
import json

from whence.studies.parts.sentences.templates import Sentences


def fingerprint_sentences(both: tuple[Sentences, Sentences]) -> str:
    """Hash words and labels of both parts with SHA-256; 64 hexadecimal digits."""
    content = [[one.words, one.labels.tolist(), one.class_names] for one in both]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()
