"""How similarities became weights, in words."""


def say_reading(threshold: float | None) -> str | None:
    """Say from which similarity on a stored image had a weight in an answer.

    Args:
        threshold: of the answer; None for a model without a memory, of which there is nothing to
            say.

    >>> say_reading(0.70968)
    'A stored image counts from a similarity of 0.7097 on; the more above, the more.'
    """
    if threshold is None:
        return None
    return (
        f"A stored image counts from a similarity of {threshold:.4g} on; the more above, the more."
    )
