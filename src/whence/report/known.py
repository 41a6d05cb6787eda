"""Images that a run knows already, in a sentence."""

from whence.messages import count
from whence.records.measures import KnownImages

KNOWN_WORDS = {"memory": "in its memory", "train": "trained on", "validation": "validated on"}
"""What each set of images is called in the sentence."""


def say_known(known: KnownImages) -> str | None:
    """Say how many of the measured images a run knows, and how good it is on the others.

    >>> say_known(KnownImages(3, train=3, others=8, accuracy_of_others=0.75))
    '3 of 11 images are not new to the run (3 trained on); of the other 8, 75.00% are right.'
    """
    if not known.images:
        return None
    numbers = {words: getattr(known, name) for name, words in KNOWN_WORDS.items()}
    places = ", ".join(f"{number:,} {words}" for words, number in numbers.items() if number)
    start = (
        f"{known.images:,} of {count(known.images + known.others, 'image')} "
        f"{'is' if known.images == 1 else 'are'} not new to the run ({places})"
    )
    if known.accuracy_of_others is None:
        return f"{start}; the accuracy on them says nothing about new images."
    return f"{start}; of the other {known.others:,}, {known.accuracy_of_others:.2%} are right."
